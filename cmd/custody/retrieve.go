package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
)

func (a *app) evidenceGet() *cobra.Command {
	var out, span, purpose string
	var patience time.Duration
	c := &cobra.Command{
		Use: "get e-… -o FILE|- --purpose WHY", Short: "Retrieve an artifact, or a stretch of it", Args: exactly(1),
		Long: `Retrieves an artifact. The retrieval is put on record before the first byte
leaves; what arrives is verified here chunk by chunk, and confirmed with your
signature. Holes stay holes. Broken off, the same command continues where it was.
The file is a copy to work with and not forced to the disk: run sync before you
take the disk away.`,
		Example: `  custody evidence get e-abcdefghijklmnop -o disk.img --purpose "timeline of the intrusion"
  custody evidence get e-abcdefghijklmnop -o mbr.bin --range 0-511 --purpose "partition table"`,
		RunE: func(c *cobra.Command, args []string) error {
			id, err := custody.ParseEvidenceID(args[0])
			if err != nil {
				return usageError{err}
			}
			if out == "" || purpose == "" {
				return usagef("give -o and --purpose")
			}
			return a.get(c.Context(), id, out, span, purpose, patience)
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "file to write, which must not exist; - for stdout")
	c.Flags().StringVar(&span, "range", "", "FIRST-LAST: only these bytes")
	c.Flags().StringVar(&purpose, "purpose", "", "why")
	c.Flags().DurationVar(&patience, "retry", 30*time.Second, "for how long to try again while the service cannot be reached")
	return c
}

func (a *app) get(ctx context.Context, id custody.EvidenceID, out, span, purpose string, patience time.Duration) (err error) {
	offset, length, err := stretch(span)
	if err != nil {
		return err
	}
	var into *part
	if out != "-" {
		if into, err = openPart(out); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, into.close(false)) }()
	}
	cl, _, err := a.dial(ctx)
	if err != nil {
		return err
	}
	cl.Patience = patience
	total := length
	if total == 0 {
		e, err := cl.Evidence(ctx, id)
		if err == nil && e.Artifact != nil { // for the progress; whether it is to be had, the retrieval says
			total = e.Artifact.Size - min(offset, e.Artifact.Size)
		}
	}
	bar := a.progress("getting "+string(id), total, total > 0)
	var got *client.Received
	if into == nil {
		got, err = cl.Retrieve(ctx, purpose, id, offset, length, a.stdout, bar.settled)
	} else {
		got, err = cl.RetrieveInto(ctx, purpose, id, offset, length, into.file, into.resumed, bar.settled)
	}
	bar.done()
	if err == nil && into != nil {
		err = into.close(true)
	}
	if err != nil {
		return err
	}
	if err := a.keep(ctx, cl); err != nil {
		return err
	}
	answer := struct {
		Grant   proof          `json:"grant"`
		Receipt proof          `json:"receipt"`
		Size    uint64         `json:"bytes"`
		SHA256  custody.Digest `json:"sha256"`
	}{proofOf(got.Grant, ""), proofOf(got.Receipt, ""), got.Size, got.SHA256}
	text := fmt.Sprintf("%d bytes, SHA-256 %s\nretrieval on record as leaf %d, your confirmation as leaf %d\n",
		got.Size, got.SHA256.Hex(), got.Grant.Receipt.Index, got.Receipt.Receipt.Index)
	if out == "-" { // stdout is the artifact's
		a.say("%s", strings.TrimSpace(text))
		return nil
	}
	return a.answer(answer, text)
}

// part is the file beside the one that was asked for, until that is whole.
type part struct {
	file    *os.File
	path    string // of the whole
	resumed bool   // an earlier retrieval left something in it
	closed  bool
}

// openPart opens the part of a file that must not be there. Another retrieval
// into it is kept out.
func openPart(path string) (*part, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, usagef("%s is there already", path)
	}
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(usagef("%s.part is being written by another retrieval", path), f.Close())
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &part{file: f, path: path, resumed: info.Size() > 0}, nil
}

// close gives the file its name when it is good. Otherwise it stays, with what
// is verified in it, for the next try; one without anything goes. Only the first
// call does something.
func (p *part) close(good bool) error {
	if p.closed {
		return nil
	}
	p.closed = true
	if good {
		return errors.Join(os.Rename(p.file.Name(), p.path), p.file.Close())
	}
	info, err := p.file.Stat()
	if err == nil && info.Size() == 0 {
		err = os.Remove(p.file.Name())
	}
	return errors.Join(err, p.file.Close())
}

// stretch reads FIRST-LAST; without it the whole artifact is meant, length 0.
func stretch(span string) (offset, length uint64, err error) {
	if span == "" {
		return 0, 0, nil
	}
	first, last, ok := strings.Cut(span, "-")
	from, err1 := strconv.ParseUint(first, 10, 63)
	to, err2 := strconv.ParseUint(last, 10, 63)
	if !ok || err1 != nil || err2 != nil || to < from {
		return 0, 0, usagef("range %q is not FIRST-LAST, two numbers of bytes counted from 0", span)
	}
	return from, to - from + 1, nil
}
