package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
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
Of a range, the whole blocks of 64 KiB that it lies in are retrieved, so that they
can be verified against what was sealed; that is what the record says. The file
gets the range alone.
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
	c.Flags().StringVar(&span, "range", "", "FIRST-LAST: only these bytes, counted from 0")
	c.Flags().StringVar(&purpose, "purpose", "", "why")
	c.Flags().DurationVar(&patience, "retry", 30*time.Second, "for how long to try again while the service cannot be reached")
	return c
}

func (a *app) get(ctx context.Context, id custody.EvidenceID, out, span, purpose string, patience time.Duration) (err error) {
	var offset, length uint64 // 0: the whole artifact
	if span != "" {
		if offset, length, err = parseRange(span); err != nil {
			return err
		}
	}
	var into *part
	if out != "-" {
		if into, err = openPart(out); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, into.close(false)) }()
	}
	cl, _, err := a.dialFor(ctx, patience)
	if err != nil {
		return err
	}
	size := offset + length
	if e, err := cl.Evidence(ctx, id); err == nil && e.Artifact != nil { // whether it is to be had, the retrieval says
		size = e.Artifact.Size
	}
	from, blocks := client.Blocks(offset, length, size)
	total := blocks
	if total == 0 {
		total = size - min(from, size)
	}
	bar := a.progress("getting "+string(id), total, total > 0)
	var got *client.Received
	skip, whole := offset-from, sha256.New()
	if into == nil {
		w := &window{w: io.MultiWriter(a.stdout, whole), skip: skip, left: length}
		if length == 0 {
			w.left = math.MaxUint64
		}
		got, err = cl.Retrieve(ctx, purpose, id, from, blocks, w, bar.settled)
	} else {
		got, err = cl.RetrieveInto(ctx, purpose, id, from, blocks, into.file, into.resumed, bar.settled)
	}
	bar.done()
	if err != nil {
		return into.brokenOff(err)
	}
	if length == 0 {
		length = got.Size - skip
	}
	sum := got.SHA256
	if length != got.Size {
		if into != nil {
			err = into.cut(int64(skip), int64(length), whole)
		}
		whole.Sum(sum[:0])
	}
	if into != nil {
		err = errors.Join(err, into.close(err == nil))
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
		Release release        `json:"retrieved"`
	}{proofOf(got.Grant, ""), proofOf(got.Receipt, ""), length, sum, release{from, got.Size, got.SHA256}}
	text := fmt.Sprintf("%d bytes, SHA-256 %s\n", length, sum.Hex())
	if length != got.Size {
		text += fmt.Sprintf("retrieved, for its proof: %d bytes from byte %d, SHA-256 %s\n", got.Size, from, got.SHA256.Hex())
	}
	text += fmt.Sprintf("retrieval on record as leaf %d, your confirmation as leaf %d\n", got.Grant.Receipt.Index, got.Receipt.Receipt.Index)
	if out == "-" { // stdout is the artifact's
		a.say("%s", strings.TrimSpace(text))
		return nil
	}
	return a.answer(answer, text)
}

// release is what was retrieved: whole blocks.
type release struct {
	Offset uint64         `json:"offset"`
	Bytes  uint64         `json:"bytes"`
	SHA256 custody.Digest `json:"sha256"`
}

// window lets through what comes after skip bytes, at most left bytes of it.
type window struct {
	w          io.Writer
	skip, left uint64
}

func (w *window) Write(p []byte) (int, error) {
	n := min(w.skip, uint64(len(p)))
	through := p[n:]
	through = through[:min(w.left, uint64(len(through)))]
	w.skip, w.left = w.skip-n, w.left-uint64(len(through))
	if _, err := w.w.Write(through); err != nil {
		return 0, err
	}
	return len(p), nil
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

// cut leaves in the file the length bytes from skip on, and writes them to whole.
func (p *part) cut(skip, length int64, whole io.Writer) error {
	if _, err := io.Copy(io.MultiWriter(io.NewOffsetWriter(p.file, 0), whole), io.NewSectionReader(p.file, skip, length)); err != nil {
		return err
	}
	return p.file.Truncate(length)
}

// brokenOff adds to an error of a service that is away that the next try goes on from
// what is in the file, if anything is. Of stdout, which is no part, nothing stays.
func (p *part) brokenOff(err error) error {
	if p == nil || exitCode(err) != exitUnreachable {
		return err
	}
	if info, bad := p.file.Stat(); bad != nil || info.Size() == 0 {
		return err
	}
	return fmt.Errorf("%w; %s stays: run the same command again to continue", err, p.file.Name())
}

// close gives the file its name when it is good, unless something else has it by
// now. Otherwise it stays, with what
// is verified in it, for the next try; one without anything goes. Only the first
// call does something.
func (p *part) close(good bool) error {
	if p.closed {
		return nil
	}
	p.closed = true
	if good {
		return errors.Join(renameNew(p.file.Name(), p.path), p.file.Close())
	}
	info, err := p.file.Stat()
	if err == nil && info.Size() == 0 {
		err = os.Remove(p.file.Name())
	}
	return errors.Join(err, p.file.Close())
}

// renameNew gives a file another name, which must be free. Where the file system
// cannot do that at once, it looks first.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) {
		if _, err = os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			return os.Rename(from, to)
		} else if err == nil {
			err = unix.EEXIST
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there by now; what was retrieved, whole, is in %s", to, from)
	}
	if err != nil {
		return fmt.Errorf("name %s %s: %w", from, to, err)
	}
	return nil
}
