package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
)

// seen remembers, in the user's home, the last checkpoint of a log. It implements
// client.Memory.
type seen struct {
	a   *app
	log custody.Digest // of the log's verifier key
}

func (s seen) name() string { return filepath.Join("seen", s.log.Hex()) }

// Last implements client.Memory.
func (s seen) Last() ([]byte, error) {
	b, err := s.a.readFile(s.name())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Keep implements client.Memory. Of two commands at once the one that saw less may
// be the last to write: what it wrote was seen, too.
func (s seen) Keep(signed []byte) error { return s.a.writeFile(s.name(), signed) }

// Accuse implements client.Memory.
func (s seen) Accuse(c *custody.Contradiction) (string, error) {
	b, err := custody.Encode(c)
	if err != nil {
		return "", err
	}
	name := "contradiction-" + custody.Hash(b).Hex()[:16] + ".json"
	path, err := s.a.file(name)
	if err != nil {
		return "", err
	}
	return path, s.a.writeFile(name, b)
}

// follow holds the log against what this user saw of it before.
func (a *app) follow(ctx context.Context, c *client.Client) error {
	_, err := c.Follow(ctx, seen{a, custody.Hash([]byte(c.Trust.Log))})
	return err
}

func (a *app) logJudge() *cobra.Command {
	trustPath := ""
	c := &cobra.Command{
		Use: "judge FILE --trust trust.json", Short: "Say what a contradiction that somebody kept proves", Args: exactly(1),
		Long: `Reads what a command or a monitor kept when the log contradicted itself: two
checkpoints that it signed, or two leaves with one tag. Exit code 0 when it proves
that the log signed two trees of which neither goes on from the other, or holds two
records for one place of a stream; 1 when it does not.`,
		Example: `  custody log judge contradiction-0123456789abcdef.json --trust trust.json`,
		RunE: func(_ *cobra.Command, args []string) error {
			if trustPath == "" {
				return usagef("give --trust")
			}
			trust, err := readTrust(trustPath)
			if err != nil {
				return err
			}
			b, err := os.ReadFile(args[0])
			if err != nil {
				return usageError{err}
			}
			if repeated, err := custody.ParseRepetition(b); err == nil {
				return a.judgeRepetition(repeated, trust)
			}
			found, err := custody.ParseContradiction(b)
			if err != nil {
				return err
			}
			first, second, proven, err := found.Verify(trust)
			if err != nil {
				return err
			}
			text := fmt.Sprintf("PROVEN: the log %s signed two trees that exclude one another, of sizes %d and %d\n", trust.Origin, first.Size, second.Size)
			if !proven {
				text = fmt.Sprintf("NOT PROVEN by itself: the log %s signed sizes %d and %d, and whoever kept this was shown the smaller one after the larger one\n", trust.Origin, first.Size, second.Size)
			}
			text += fmt.Sprintf("  %d: %s\n  %d: %s\n", first.Size, first, second.Size, second)
			if err := a.answer(struct {
				Proven bool           `json:"proven"`
				Origin string         `json:"origin"`
				Sizes  []uint64       `json:"sizes"`
				Quorum custody.Quorum `json:"quorum"` // over the larger one
			}{proven, trust.Origin, []uint64{first.Size, second.Size}, second.Quorum}, text); err != nil {
				return err
			}
			if !proven {
				return failure{exitRefused}
			}
			return nil
		},
	}
	c.Flags().StringVar(&trustPath, "trust", "", "trust file")
	return c
}

func (a *app) judgeRepetition(r *custody.Repetition, trust *custody.Trust) error {
	first, second, err := r.Verify(trust)
	if err != nil {
		return err
	}
	return a.answer(struct {
		Proven bool     `json:"proven"`
		Origin string   `json:"origin"`
		Leaves []uint64 `json:"leaves"`
	}{true, trust.Origin, []uint64{first, second}},
		fmt.Sprintf("PROVEN: the log %s holds two records for one place of one stream, its leaves %d and %d: that history is forked\n", trust.Origin, first, second))
}
