package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/cmd/excerpts"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
)

func (a *app) bundleExcerpt() *cobra.Command {
	var out, trustPath, artifact, item string
	var ranges []string
	c := &cobra.Command{
		Use: "excerpt BUNDLE -o FILE --trust trust.json --artifact FILE --range FIRST-LAST", Short: "Add stretches of an artifact to a proof, without the rest of it", Args: exactly(1),
		Long: `Copies a bundle and adds bytes of the artifact to it, with the proof that they are
of what was sealed: whoever verifies the result needs nothing else of the artifact.
The artifact is read once, whole, and must be the one that was sealed.

A proof reaches down to blocks of 64 KiB: the whole blocks in which the stretches
lie go along, and with them up to 65,535 bytes on either side. The result is
verified before it is kept. custody bundle verify --excerpts writes the stretches
out.`,
		Example: `  custody bundle excerpt EX-1.bundle -o EX-1-mbr.bundle --trust trust.json --artifact disk.img --range 0-511
  custody bundle excerpt EX-1.bundle -o EX-1-two.bundle --trust trust.json --artifact disk.img --range 0-511 --range 1048576-1052671`,
		RunE: func(_ *cobra.Command, args []string) error {
			if out == "" || out == "-" || trustPath == "" || artifact == "" {
				return usagef("give -o, a file, --trust, and --artifact")
			}
			stretches, err := parseRanges(ranges)
			if err != nil {
				return err
			}
			bytesOf, err := os.Open(artifact)
			if err != nil {
				return usageError{err}
			}
			defer func() { _ = bytesOf.Close() }()
			return a.cut(args[0], out, trustPath, func(w io.Writer, in io.ReadSeeker) error {
				id, err := itemIn(in, item)
				if err != nil {
					return err
				}
				return bundle.AddExcerpts(w, bufio.NewReaderSize(in, 1<<20), id, bytesOf, stretches...)
			}, func(*bundle.Verdict) string {
				return fmt.Sprintf("stretches of %s added: %d", artifact, len(stretches))
			})
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "file to write, which must not exist")
	c.Flags().StringVar(&trustPath, "trust", "", "trust file, to verify the result with")
	c.Flags().StringVar(&artifact, "artifact", "", "the artifact's bytes")
	c.Flags().StringVar(&item, "item", "", "the item e-… that they are of, where the bundle is of several")
	c.Flags().StringArrayVar(&ranges, "range", nil, "FIRST-LAST: a stretch, by its first and last byte, counted from 0")
	return c
}

// itemIn returns the item of a bundle that is meant, and goes back to its beginning.
func itemIn(in io.ReadSeeker, named string) (custody.EvidenceID, error) {
	items, err := bundle.Items(in)
	if err != nil {
		return "", err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	if named != "" {
		id, err := custody.ParseEvidenceID(named)
		if err != nil {
			return "", usageError{err}
		}
		return id, nil
	}
	if len(items) != 1 {
		return "", usagef("the bundle is of %d items: say which with --item", len(items))
	}
	return items[0], nil
}

// parseRanges reads stretches: FIRST-LAST each.
func parseRanges(ranges []string) (list []bundle.Stretch, err error) {
	for _, r := range ranges {
		offset, length, err := parseRange(r)
		if err != nil {
			return nil, err
		}
		list = append(list, bundle.Stretch{Offset: offset, Length: length})
	}
	if len(list) == 0 {
		return nil, usagef("give --range")
	}
	return list, nil
}

// parseRange reads FIRST-LAST: the first and the last byte of a stretch, counted from 0.
func parseRange(text string) (offset, length uint64, err error) {
	first, last, ok := strings.Cut(text, "-")
	from, err1 := strconv.ParseUint(first, 10, 53)
	to, err2 := strconv.ParseUint(last, 10, 53)
	if ok && err1 == nil && err2 == nil && from <= to {
		return from, to - from + 1, nil
	}
	return 0, 0, usagef("range %q is not FIRST-LAST: the first and the last byte, counted from 0; the first 512 bytes are 0-511", text)
}

// writeExcerpts writes the excerpts of a bundle that verified into a folder.
func writeExcerpts(path, dir string, v *bundle.Verdict) (written []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usageError{err}
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	written, err = excerpts.Write(bufio.NewReaderSize(f, 1<<20), dir, v)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		err = usageError{err}
	}
	return written, err
}
