package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/investigate"
)

func (a *app) bundleRedact() *cobra.Command {
	var out, trustPath string
	var places, kinds []string
	var others bool
	c := &cobra.Command{
		Use: "redact BUNDLE -o FILE --trust trust.json", Short: "Withhold records of a proof, without a network or a service", Args: exactly(1),
		Long: `Copies a bundle without the records that are chosen: of each nothing stays but its
leaf, which discloses nothing, and the proof that it is in the log in its place. A
verdict on the result lists them, and says what can then not be told.

The result is verified before it is kept. Where a record that stays stands upon one
that is withheld, it does not verify, and the record that lacks it is named. What is
of the policy, and the seal of an item, is never withheld. A choice that fits no
record is an error. Streams and sequences stand in what custody bundle verify says.
With --others the verdict calls those people's records here disputable: without all
that they did, nobody sees that no key and no right was taken from them.`,
		Example: `  custody bundle redact EX-1.bundle -o EX-1-short.bundle --trust trust.json --others
  custody bundle redact EX-1.bundle -o EX-1-short.bundle --trust trust.json --withhold e-abcdefghijklmnop:3,5-7
  custody bundle redact EX-1.bundle -o EX-1-short.bundle --trust trust.json --kind evidence.export`,
		RunE: func(_ *cobra.Command, args []string) error {
			if out == "" || out == "-" || trustPath == "" {
				return usagef("give -o, a file, and --trust")
			}
			chosen, unfit, err := choices(places, kinds, others)
			if err != nil {
				return err
			}
			withheld := 0
			return a.cut(args[0], out, trustPath, func(w io.Writer, in io.ReadSeeker) (err error) {
				if withheld, err = bundle.Redact(w, in, chosen); err != nil {
					return err
				}
				return unfit()
			}, func(*bundle.Verdict) string { return fmt.Sprintf("%d records withheld in all", withheld) })
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "file to write, which must not exist")
	c.Flags().StringVar(&trustPath, "trust", "", "trust file, to verify the result with")
	c.Flags().StringArrayVar(&places, "withhold", nil, "records to withhold: STREAM:SEQUENCES, such as e-…:3,5-7")
	c.Flags().StringArrayVar(&kinds, "kind", nil, "withhold all records of this kind of statement, such as evidence.export")
	c.Flags().BoolVar(&others, "others", false, "withhold what people did elsewhere and the items do not need: their sessions, and what they were refused")
	return c
}

// choices reads which records are to be withheld. unfit says, once all records were
// asked for, which of what was asked for is none.
func choices(places, kinds []string, others bool) (chosen func(bundle.Choice) bool, unfit func() error, err error) {
	var list []func(bundle.Choice) bool
	var asked []string
	var wanted []int
	add := func(name string, least int, is func(bundle.Choice) bool) {
		list, asked, wanted = append(list, is), append(asked, name), append(wanted, least)
	}
	if others {
		add("--others", 1, bundle.Others)
	}
	known := investigate.Words()
	for _, k := range kinds {
		if known[custody.Kind(k)] == nil {
			return nil, nil, usagef("no such kind of statement: %s", k)
		}
		add("--kind "+k, 1, bundle.OfKind(custody.Kind(k)))
	}
	for _, p := range places {
		s, sequences, ok := strings.Cut(p, ":")
		if !ok {
			return nil, nil, usagef("%s is not STREAM:SEQUENCES, such as e-…:3,5-7", p)
		}
		stream, err := parseStream(s)
		if err != nil {
			return nil, nil, err
		}
		at, err := parseSequences(sequences)
		if err != nil {
			return nil, nil, err
		}
		slices.Sort(at)
		at = slices.Compact(at)
		add("--withhold "+p, len(at), bundle.At(stream, at...))
	}
	if len(list) == 0 {
		return nil, nil, usagef("give --withhold, --kind or --others")
	}
	found := make([]int, len(list))
	return func(c bundle.Choice) (any bool) {
			for n, is := range list {
				if is(c) {
					found[n]++
					any = true
				}
			}
			return any
		}, func() error {
			for n, name := range asked {
				if found[n] < wanted[n] {
					return usagef("%s fits %d records of the bundle instead of %d or more; nothing was written", name, found[n], wanted[n])
				}
			}
			return nil
		}, nil
}

// parseStream reads the name of a stream. An identifier names its own.
func parseStream(text string) (custody.Stream, error) {
	if id, err := custody.ParseEvidenceID(text); err == nil {
		return id.Stream(), nil
	}
	if id, err := custody.ParseIncidentID(text); err == nil {
		return id.Stream(), nil
	}
	if id, err := custody.ParsePrincipalID(text); err == nil {
		return id.Stream(), nil
	}
	s, err := custody.ParseStream(text)
	if err != nil {
		return "", usagef("%q names no stream: policy, incidents, or an identifier e-…, i-… or p-…, with or without evidence/, incident/ or principal/ before it", text)
	}
	return s, nil
}

// mostSequences is how many records one range names at most.
const mostSequences = 1 << 20

// parseSequences reads a list of sequences and ranges of them: 3,5-7.
func parseSequences(list string) (at []uint64, err error) {
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		from, err := strconv.ParseUint(first, 10, 53)
		to := from
		if err == nil && isRange {
			to, err = strconv.ParseUint(last, 10, 53)
		}
		if err != nil || to < from || to-from >= mostSequences {
			return nil, usagef("%q are not sequences, such as 3,5-7", list)
		}
		for n := from; n <= to; n++ {
			at = append(at, n)
		}
	}
	return at, nil
}

// cut makes a bundle of another, and keeps it when it verifies. said says what was done.
func (a *app) cut(path, out, trustPath string, do func(io.Writer, io.ReadSeeker) error, said func(*bundle.Verdict) string) (err error) {
	trust, err := readTrust(trustPath)
	if err != nil {
		return err
	}
	in, err := os.Open(path)
	if err != nil {
		return usageError{err}
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	w, finish, err := a.output(out)
	if err != nil {
		return err
	}
	v, err := a.write(w, in, trust, out+".part", do)
	if err := errors.Join(err, finish(err == nil)); err != nil {
		return err
	}
	return a.answer(v, fmt.Sprintf("wrote %s and verified it: %s\n", out, said(v)))
}

// write writes a bundle that is made of another, and verifies what stands in the file
// then.
func (a *app) write(w io.Writer, in io.ReadSeeker, trust *custody.Trust, part string, do func(io.Writer, io.ReadSeeker) error) (*bundle.Verdict, error) {
	buffered := bufio.NewWriterSize(w, 1<<20)
	if err := errors.Join(do(buffered, in), buffered.Flush()); err != nil {
		return nil, err
	}
	v, err := a.verify(part, trust, "", nil)
	if err == nil && !v.Verified {
		err = fmt.Errorf("what it would be does not verify, and is not kept: %s: %s", v.Problems[0].Where, v.Problems[0].What)
	}
	return v, err
}
