package main

import (
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/custody"
)

// source is where an artifact's bytes come from: a file or device, several
// files that are one artifact, or a pipe. Files are read by position; holes are
// told apart from data where the file system knows them.
type source struct {
	parts []segmentFile // none for a pipe
	pipe  io.Reader
	head  *beginning // of a pipe that somebody else feeds
	size  uint64     // in bytes; of a pipe the most that will come
	known bool       // that size is exact
	made  string     // of a pipe that this program feeds, the format
	fill  bool       // zeros in the place of what cannot be read

	partial  bool      // its only part is the beginning of a pipe
	identity []byte    // of a pipe whose bytes would come again
	stop     io.Closer // ends what feeds a pipe

	part   int   // that is being read
	at     int64 // in it
	dataAt int64 // where its next data begin, as far as it was asked
	digest map[string]hash.Hash
	bad    []badStretch
}

// segmentFile is an open file of an artifact, with what it was when opened.
type segmentFile struct {
	*os.File
	path string
	info fs.FileInfo
	size int64 // of a device, too
}

// badStretch is bytes of the source that could not be read, with zeros in their
// place.
type badStretch struct {
	first, last uint64
	cause       error
}

// sector is the least that a device reads.
const sector = 512

// openSource opens files whose bytes, one after the other, are an artifact.
func openSource(paths []string) (s *source, err error) {
	s = newSource()
	s.known = true
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	for _, path := range paths {
		f, err := openSegment(path)
		if err != nil {
			return s, err
		}
		s.parts = append(s.parts, f)
		for _, other := range s.parts[:len(s.parts)-1] {
			if os.SameFile(f.info, other.info) {
				return s, usagef("%s is given twice", path)
			}
		}
		s.size += uint64(f.size)
	}
	return s, nil
}

// openPipe makes a source of a pipe.
func openPipe(r io.Reader, most uint64) *source {
	s := newSource()
	s.pipe, s.size = r, most
	return s
}

func newSource() *source { return &source{digest: map[string]hash.Hash{}} }

func openSegment(path string) (segmentFile, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return segmentFile{}, usageError{err}
	case info.IsDir():
		return segmentFile{}, usagef("%s is a folder; an artifact is a file: give --each to take its files in one by one, or --container to pack it", path)
	case info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) != 0:
		return segmentFile{}, usagef("%s is a pipe: give - and lead it to stdin", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return segmentFile{}, usageError{err}
	}
	if info, err = f.Stat(); err != nil {
		return segmentFile{}, errors.Join(err, f.Close())
	}
	size := info.Size()
	if info.Mode()&fs.ModeDevice != 0 {
		if size, err = f.Seek(0, io.SeekEnd); err != nil {
			return segmentFile{}, errors.Join(err, f.Close())
		}
	}
	return segmentFile{File: f, path: path, info: info, size: size}, nil
}

// measure computes a digest of the bytes as they are read.
func (s *source) measure(algorithm string) {
	switch algorithm {
	case "md5":
		s.digest[algorithm] = md5.New()
	case "sha1":
		s.digest[algorithm] = sha1.New()
	}
}

// measured returns a digest over all that was read, in hexadecimal digits.
func (s *source) measured(algorithm string) string {
	return hex.EncodeToString(s.digest[algorithm].Sum(nil))
}

// Read implements io.Reader.
func (s *source) Read(b []byte) (n int, err error) {
	if s.pipe != nil {
		n, err = s.pipe.Read(b)
	} else {
		n, err = s.read(b)
	}
	s.hash(b[:n])
	return n, err
}

// hash feeds every digest at once.
func (s *source) hash(b []byte) {
	var all sync.WaitGroup
	for _, h := range s.digest {
		all.Go(func() { h.Write(b) })
	}
	all.Wait()
}

func (s *source) read(b []byte) (int, error) {
	for s.part < len(s.parts) && s.at == s.parts[s.part].size {
		if n, _ := s.parts[s.part].ReadAt(make([]byte, 1), s.at); n > 0 {
			return 0, errChanged
		}
		s.part, s.at, s.dataAt = s.part+1, 0, 0
	}
	if s.part == len(s.parts) {
		return 0, io.EOF
	}
	f := s.parts[s.part]
	b = b[:min(int64(len(b)), f.size-s.at)]
	n, err := f.ReadAt(b, s.at)
	switch {
	case n > 0 || len(b) == 0: // what hinders the next byte is met again
	case errors.Is(err, io.EOF):
		return 0, errChanged
	case err != nil && !s.fill:
		return 0, s.unreadable(f, int64(len(b)), err)
	case err != nil:
		n, err = s.rescue(f, b)
		if err != nil {
			return 0, err
		}
	}
	s.at += int64(n)
	return n, nil
}

// probed is how far it is looked for where a stretch that cannot be read ends.
const probed = 64 << 10

// unreadable says which of the next n bytes, that cannot be read at once, cannot
// be read at all.
func (s *source) unreadable(f segmentFile, n int64, cause error) error {
	one := make([]byte, sector)
	good := func(at int64) bool {
		piece := one[:min(sector-at%sector, f.size-at)]
		got, err := f.ReadAt(piece, at)
		if got == len(piece) {
			return true
		}
		cause = err
		return false
	}
	next := func(at int64) int64 { return min(at-at%sector+sector, f.size) }
	first := s.at
	for first < s.at+n && good(first) {
		first = next(first)
	}
	if first >= s.at+n { // this time it could be read
		return fmt.Errorf("bytes %d to %d of %s cannot be read: %w", s.at, s.at+n-1, f.path, cause)
	}
	end := next(first)
	for end < f.size && end-first < probed && !good(end) {
		end = next(end)
	}
	return fmt.Errorf("bytes %d to %d of %s, perhaps more, cannot be read: %w; --fill-unreadable puts zeros in their place, and that on record",
		first, end-1, f.path, cause)
}

// rescue reads sector by sector, and puts zeros where the medium does not give
// one. Other errors, as of a device that is gone, are errors still.
func (s *source) rescue(f segmentFile, b []byte) (int, error) {
	b = b[:min(len(b), probed)] // so that where it can be read it is read quickly again
	for done := 0; done < len(b); {
		at := s.at + int64(done)
		piece := b[done:min(len(b), done+int(sector-at%sector))]
		n, err := f.ReadAt(piece, at)
		if n < len(piece) {
			if !ofMedium(err) {
				return 0, fmt.Errorf("read %s at byte %d: %w", f.path, at+int64(n), err)
			}
			clear(piece)
			s.unread(uint64(s.before()+at), uint64(len(piece)), err)
		}
		done += len(piece)
	}
	return len(b), nil
}

// ofMedium says whether an error is about the bytes that were asked for, and
// not about the device.
func ofMedium(err error) bool {
	for _, e := range []error{unix.EIO, unix.ENODATA, unix.EREMOTEIO, unix.EILSEQ} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// before returns how many bytes of the artifact come before the part that is
// being read.
func (s *source) before() (n int64) {
	for _, f := range s.parts[:s.part] {
		n += f.size
	}
	return n
}

func (s *source) unread(first, count uint64, cause error) {
	if n := len(s.bad) - 1; n >= 0 && s.bad[n].last+1 == first {
		s.bad[n].last += count
		return
	}
	s.bad = append(s.bad, badStretch{first, first + count - 1, cause})
}

// acquisition adds what could not be read to what the collector said.
func (s *source) acquisition(q custody.Acquisition) custody.Acquisition {
	if len(s.bad) == 0 {
		return q
	}
	const room = 900 // of the 1000 bytes that a line has
	said := custody.Unread{}
	if q.Unread != nil {
		said = *q.Unread
	}
	said.Filled = true
	var list strings.Builder
	list.WriteString(said.Note)
	for n, b := range s.bad {
		said.Bytes += b.last - b.first + 1
		place := fmt.Sprintf("bytes %d to %d: %s", b.first, b.last, rootCause(b.cause))
		switch {
		case list.Len()+len(place) < room:
			if list.Len() > 0 {
				list.WriteString("; ")
			}
			list.WriteString(place)
		case n == len(s.bad)-1:
			fmt.Fprintf(&list, "; and more, to byte %d", b.last)
		}
	}
	said.Note = list.String()
	q.Unread = &said
	return q
}

func rootCause(err error) string {
	if errno := unix.Errno(0); errors.As(err, &errno) {
		return errno.Error()
	}
	return "read error"
}

// Hole implements client.Sparse.
func (s *source) Hole(n int64) bool {
	if s.part >= len(s.parts) || s.at > s.parts[s.part].size-n {
		return false
	}
	f := s.parts[s.part]
	if s.dataAt < s.at+n {
		data, err := unix.Seek(int(f.Fd()), s.at, unix.SEEK_DATA)
		switch {
		case errors.Is(err, unix.ENXIO): // no more data
			data = f.size
		case err != nil: // the file system does not tell
			return false
		}
		s.dataAt = data
	}
	if s.dataAt < s.at+n {
		return false
	}
	s.at += n
	if len(s.digest) > 0 {
		zeros := make([]byte, 1<<20)
		for ; n > 0; n -= min(n, int64(len(zeros))) {
			s.hash(zeros[:min(n, int64(len(zeros)))])
		}
	}
	return true
}

var errChanged = otherBytes{errors.New("the file changed while it was read; nothing was sealed: copy it first, and take the copy in")}

// unchanged turns the outcome of reading into errChanged when a file is no
// longer what it was when it was opened: also that of a reading that failed,
// which a file that grows makes it do.
func (s *source) unchanged(size uint64, outcome error) error {
	for _, f := range s.parts {
		now, err := f.Stat()
		if err != nil {
			return errors.Join(outcome, err)
		}
		if now.Size() != f.info.Size() || !now.ModTime().Equal(f.info.ModTime()) {
			return errChanged
		}
	}
	if s.known && outcome == nil && size != s.size {
		return errChanged
	}
	return outcome
}

func (s *source) close() (err error) {
	if s.stop != nil {
		err = s.stop.Close()
	}
	if s.head != nil {
		err = errors.Join(err, s.head.Close())
	}
	for _, f := range s.parts {
		err = errors.Join(err, f.Close())
	}
	return err
}

// mark names a file of the home that remembers an upload of this source; "" for
// a pipe, which cannot be read again.
func (s *source) mark(incident, exhibit string) (string, error) {
	if len(s.parts) == 0 && s.identity == nil {
		return "", nil
	}
	text := fmt.Appendf(nil, "%s\x00%s\x00%s", incident, exhibit, s.identity)
	for _, f := range s.parts {
		full, err := filepath.Abs(f.path)
		if err != nil {
			return "", err
		}
		text = fmt.Appendf(text, "\x00%s\x00%d\x00%d", full, f.size, f.info.ModTime().UnixNano())
	}
	return filepath.Join("uploads", custody.Hash(text).Hex()), nil
}

// names lists the parts of the artifact; nil where there is one.
func (s *source) names() (list []custody.Part, err error) {
	if len(s.parts) < 2 {
		return nil, nil
	}
	for _, f := range s.parts {
		name, err := custody.NewName([]byte(filepath.Base(f.path)))
		if err != nil {
			return nil, err
		}
		list = append(list, custody.Part{Name: name, Size: uint64(f.size)})
	}
	return list, nil
}
