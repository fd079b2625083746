package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/paper"
	"github.com/forensic-custody/custody/ledger/monitor"
)

// served is a log as somebody reads it who has its trust file and its address.
type served struct {
	custody.Cosigned
	signed []byte
	source monitor.Source
}

// reach reads the checkpoint of the log at an address or in a folder, and verifies
// it.
func reach(ctx context.Context, trust *custody.Trust, where string) (*served, error) {
	source, signed, err := shown(ctx, where)
	if err != nil {
		return nil, err
	}
	point, err := trust.OpenCheckpoint(signed)
	if err != nil {
		return nil, fmt.Errorf("what %s serves as its checkpoint: %w", where, err)
	}
	return &served{*point, signed, source}, nil
}

// shown returns how the log at an address or in a folder is read, and the
// checkpoint that it shows, unverified.
func shown(ctx context.Context, where string) (source monitor.Source, signed []byte, err error) {
	if source, err = sourceOf(where); err != nil {
		return nil, nil, err
	}
	if signed, err = source(ctx, "checkpoint"); err != nil {
		return nil, nil, unreached(fmt.Errorf("%w: %w", monitor.ErrUnreachable, err))
	}
	return source, signed, nil
}

// unreached gives what a log did not answer its exit code.
func unreached(err error) error {
	if errors.Is(err, monitor.ErrUnreachable) {
		return errors.Join(err, failure{exitUnreachable})
	}
	return err
}

// tile reads what the log serves, for proofs.
func (s *served) tile(ctx context.Context) func(path string) ([]byte, error) {
	return func(path string) ([]byte, error) { return s.source(ctx, path) }
}

// extends returns nil when the log goes on from a checkpoint.
func (s *served) extends(ctx context.Context, a *app, before *custody.Cosigned, signed []byte) error {
	if before.Size > s.Size {
		return a.contradicted(&custody.Contradiction{First: string(s.signed), Second: string(signed)},
			fmt.Sprintf("the log shows size %d, and has signed size %d: it was set back, or this is an old mirror of it", s.Size, before.Size))
	}
	err := custody.Extends(before.Checkpoint, s.Checkpoint, s.tile(ctx))
	if found := new(custody.Contradiction); errors.As(err, &found) {
		found.First, found.Second = string(signed), string(s.signed)
		return a.contradicted(found, found.Error())
	}
	return err
}

// contradicted keeps what somebody can show others, and says where.
func (a *app) contradicted(c *custody.Contradiction, what string) error {
	c.Format = custody.ContradictionFormat
	if c.Proof == nil {
		c.Proof = []custody.Digest{}
	}
	path, err := seen{a: a}.Accuse(c)
	if err != nil {
		return errors.Join(errors.New(what), err)
	}
	return fmt.Errorf("%s; it is kept in %s for others (custody log judge)", what, path)
}

func (a *app) logProve() *cobra.Command {
	var trustPath, log, out string
	c := &cobra.Command{
		Use: "prove INDEX|RECEIPT --trust trust.json --log ADDRESS", Short: "Prove that a leaf stands in the log as it is served now", Args: exactly(1),
		Long: `Makes the proof, a c2sp.org/tlog-proof, that the leaf at an index stands in the
log as it is served now, from what the log serves to everybody. Given a receipt
that somebody kept, it first verifies that one with the same leaf, and that the log
goes on from the receipt's checkpoint: so an old receipt gets a checkpoint with the
witnesses of today. What the leaf stands for only its record can tell.`,
		Example: `  custody log prove 17 --trust trust.json --log https://custody.example/log/
  custody log prove EX-1.receipt --trust trust.json --log https://custody.example/log/ -o EX-1.today.receipt`,
		RunE: func(c *cobra.Command, args []string) error {
			if trustPath == "" || log == "" {
				return usagef("give --trust and --log")
			}
			trust, err := readTrust(trustPath)
			if err != nil {
				return err
			}
			kept, err := receiptOf(args[0])
			if err != nil {
				return err
			}
			at, err := reach(c.Context(), trust, log)
			if err != nil {
				return err
			}
			return a.prove(c.Context(), trust, at, kept, out)
		},
	}
	f := c.Flags()
	f.StringVar(&trustPath, "trust", "", "trust file")
	f.StringVar(&log, "log", "", "where the log is served, with the path of its tiles (…/log/), or the folder of a mirror")
	f.StringVarP(&out, "output", "o", "", "file to write the proof to, which must not exist")
	return c
}

// receiptOf reads a receipt, or makes one of an index that has no checkpoint yet.
func receiptOf(arg string) (*custody.Receipt, error) {
	if index, err := strconv.ParseUint(arg, 10, 63); err == nil {
		return &custody.Receipt{Index: index}, nil
	}
	b, err := os.ReadFile(arg)
	if err != nil {
		return nil, usagef("%q is neither an index in the log nor a file: %w", arg, err)
	}
	r, err := custody.ParseReceipt(proofIn(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", arg, err)
	}
	return r, nil
}

// proofIn returns the receipt in what custody keeps of one: a paper's receipt holds it.
func proofIn(b []byte) []byte {
	var i paper.Issue
	if err := custody.Decode(b, &i); err == nil {
		return []byte(i.Proof)
	}
	return b
}

func (a *app) prove(ctx context.Context, trust *custody.Trust, at *served, kept *custody.Receipt, out string) error {
	leaf, err := monitor.Leaf(ctx, at.source, kept.Index, at.Size)
	if err != nil {
		return unreached(err)
	}
	if kept.Checkpoint != nil {
		before, err := trust.OpenCheckpoint(kept.Checkpoint)
		if err != nil {
			return fmt.Errorf("the receipt: %w", err)
		}
		if err := at.extends(ctx, a, before, kept.Checkpoint); err != nil {
			return err
		}
		if err := kept.VerifyUnder(before.Checkpoint, leaf); err != nil {
			return fmt.Errorf("leaf %d, as the log serves it, is not the one that the receipt is for: %w", kept.Index, err)
		}
	}
	r := &custody.Receipt{Extra: kept.Extra, Index: kept.Index, Checkpoint: at.signed}
	if r.Proof, err = custody.ProveLeaf(at.Checkpoint, r.Index, at.tile(ctx)); err != nil {
		return err
	}
	if err := r.VerifyUnder(at.Checkpoint, leaf); err != nil {
		return err
	}
	text := string(r.Marshal())
	if out != "" {
		w, finish, err := a.output(out)
		if err != nil {
			return err
		}
		_, err = w.Write(r.Marshal())
		if err := errors.Join(err, finish(err == nil)); err != nil {
			return err
		}
		text = fmt.Sprintf("leaf %d stands in the log of size %d (%s); the proof is in %s\n", r.Index, at.Size, &at.Cosigned, out)
	}
	return a.answer(struct {
		Index   uint64         `json:"index"`
		Leaf    []byte         `json:"leaf"`
		Size    uint64         `json:"size"`
		Root    custody.Digest `json:"root"`
		Quorum  custody.Quorum `json:"quorum"`
		Receipt string         `json:"receipt"`
	}{r.Index, leaf[:], at.Size, at.Root, at.Quorum, string(r.Marshal())}, text)
}

func (a *app) logConsistency() *cobra.Command {
	var trustPath, log string
	c := &cobra.Command{
		Use: "consistency CHECKPOINT… --trust trust.json --log ADDRESS", Short: "Verify that the log goes on from checkpoints that somebody kept",
		Args: atLeast(1),
		Long: `Verifies that the log as it is served now begins with the tree of each checkpoint
given: a signed checkpoint, or a receipt, whose checkpoint is taken. Where it does
not, the contradiction is kept for others to judge. Exit code 0 only when all agree.`,
		Example: `  custody log consistency kept.checkpoint EX-1.receipt --trust trust.json --log https://custody.example/log/`,
		RunE: func(c *cobra.Command, args []string) error {
			if trustPath == "" || log == "" {
				return usagef("give --trust and --log")
			}
			trust, err := readTrust(trustPath)
			if err != nil {
				return err
			}
			kept, err := checkpointsOf(trust, args)
			if err != nil {
				return err
			}
			at, err := reach(c.Context(), trust, log)
			if err != nil {
				return err
			}
			return a.consistent(c.Context(), at, args, kept)
		},
	}
	c.Flags().StringVar(&trustPath, "trust", "", "trust file")
	c.Flags().StringVar(&log, "log", "", "where the log is served, with the path of its tiles (…/log/), or the folder of a mirror")
	return c
}

// keptPoint is a checkpoint that somebody kept.
type keptPoint struct {
	*custody.Cosigned
	signed []byte
}

func checkpointsOf(trust *custody.Trust, names []string) (list []keptPoint, err error) {
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, usageError{err}
		}
		if r, err := custody.ParseReceipt(proofIn(b)); err == nil {
			b = r.Checkpoint
		}
		point, err := trust.OpenCheckpoint(b)
		if err != nil {
			return nil, fmt.Errorf("%s is neither a checkpoint nor a receipt of %s: %w", name, trust.Origin, err)
		}
		list = append(list, keptPoint{point, b})
	}
	return list, nil
}

func (a *app) consistent(ctx context.Context, at *served, names []string, kept []keptPoint) error {
	type agreed struct {
		Name string         `json:"name"`
		Size uint64         `json:"size"`
		Root custody.Digest `json:"root"`
	}
	list, text := []agreed{}, ""
	for n, k := range kept {
		if err := at.extends(ctx, a, k.Cosigned, k.signed); err != nil {
			return fmt.Errorf("%s: %w", names[n], err)
		}
		list = append(list, agreed{names[n], k.Size, k.Root})
		text += fmt.Sprintf("%s: the log goes on from size %d\n", names[n], k.Size)
	}
	return a.answer(struct {
		Size   uint64         `json:"size"`
		Root   custody.Digest `json:"root"`
		Quorum custody.Quorum `json:"quorum"`
		From   []agreed       `json:"from"`
	}{at.Size, at.Root, at.Quorum, list}, text+fmt.Sprintf("to size %d, %s\n", at.Size, &at.Cosigned))
}
