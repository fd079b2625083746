// Package excerpts writes the stretches of artifacts that a bundle holds into a
// folder, for the programs that verify bundles.
//
// It promises that a file has its name only when it is, whole, what was verified, and
// that nothing is written over.
package excerpts

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
)

// Write writes the excerpts of a bundle that verified, read once more from in, into
// a folder, which it makes where it is missing; where there are none it makes nothing.
// Each is called e-…-FIRST-LAST.bin, by its first and last byte. It returns their
// names. The error wraps fs.ErrExist when one is there already; then none is written.
func Write(in io.Reader, dir string, v *bundle.Verdict) (written []string, err error) {
	made := os.Mkdir(dir, 0o700)
	if made != nil && !errors.Is(made, fs.ErrExist) {
		return nil, made
	}
	defer func() {
		if made == nil && len(written) == 0 {
			err = errors.Join(err, os.Remove(dir))
		}
	}()
	apart, err := os.MkdirTemp(dir, ".custody-excerpts-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(apart)) }()
	var names []string
	err = v.Excerpts(in, func(id custody.EvidenceID, x bundle.Excerpt, content io.Reader) error {
		name := fmt.Sprintf("%s-%d-%d.bin", id, x.Offset, x.Offset+x.Length-1)
		w, err := os.OpenFile(filepath.Join(apart, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		names = append(names, name)
		_, err = io.Copy(w, content)
		return errors.Join(err, w.Sync(), w.Close())
	})
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return nil, fmt.Errorf("%s is there already: %w", filepath.Join(dir, name), fs.ErrExist)
		}
	}
	for _, name := range names {
		if err := os.Rename(filepath.Join(apart, name), filepath.Join(dir, name)); err != nil {
			return written, err
		}
		written = append(written, name)
	}
	d, err := os.Open(dir)
	if err != nil {
		return written, err
	}
	return written, errors.Join(d.Sync(), d.Close())
}
