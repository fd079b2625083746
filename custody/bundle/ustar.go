package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// The container is a POSIX ustar archive (IEEE Std 1003.1, pax, "ustar
// Interchange Format") of which every byte is determined: names of at most 100
// bytes, mode 0444, times and owners zero, no extensions, zero padding, two
// zero blocks at the end and nothing after them.
const (
	blockSize = 512
	maxMember = 1<<33 - 1 // bytes: eleven octal digits
)

// header returns the one header that a member of this name and size has.
func header(name string, size uint64) ([blockSize]byte, error) {
	var h [blockSize]byte
	if name == "" || len(name) > 100 {
		return h, fmt.Errorf("name %q does not fit a header", name)
	}
	if size > maxMember {
		return h, fmt.Errorf("%s has %d bytes; a member has at most %d", name, size, uint64(maxMember))
	}
	copy(h[0:], name)
	copy(h[100:], "0000444\x00"+"0000000\x00"+"0000000\x00")
	octal(h[124:135], size)
	copy(h[136:], "00000000000\x00"+"        "+"0")
	copy(h[257:], "ustar\x0000")
	copy(h[329:], "0000000\x00"+"0000000\x00")
	var sum uint64
	for _, b := range h {
		sum += uint64(b)
	}
	octal(h[148:154], sum)
	h[154] = 0 // and a space is left
	return h, nil
}

// octal fills field with the digits of n, which fits.
func octal(field []byte, n uint64) {
	for i := len(field) - 1; i >= 0; i-- {
		field[i] = '0' + byte(n&7)
		n >>= 3
	}
}

func padding(size uint64) int64 { return int64((blockSize - size%blockSize) % blockSize) }

type writer struct{ w io.Writer }

// member writes a member of exactly size bytes.
func (w writer) member(name string, size uint64, content io.Reader) error {
	h, err := header(name, size)
	if err != nil {
		return err
	}
	if _, err := w.w.Write(h[:]); err != nil {
		return err
	}
	if n, err := io.CopyN(w.w, content, int64(size)); err != nil {
		return fmt.Errorf("%s: %d of %d bytes: %w", name, n, size, err)
	}
	if n, _ := io.ReadFull(content, make([]byte, 1)); n > 0 {
		return fmt.Errorf("%s has more than %d bytes", name, size)
	}
	_, err = w.w.Write(make([]byte, padding(size)))
	return err
}

func (w writer) bytes(name string, b []byte) error {
	return w.member(name, uint64(len(b)), bytes.NewReader(b))
}

func (w writer) close() error {
	_, err := w.w.Write(make([]byte, 2*blockSize))
	return err
}

// reader reads members in order. After an error it is of no more use.
type reader struct {
	r    io.Reader
	name string
	size uint64
	left uint64
	buf  [blockSize]byte // of a header, or of padding

	again bool // next stays at the current member
}

var errEnd = errors.New("end of the archive")

// next goes to the next member, errEnd after the last one. The member before
// it must have been read to its end.
func (r *reader) next() error {
	if r.again {
		r.again = false
		return nil
	}
	if r.left > 0 {
		return fmt.Errorf("%s: %d bytes were not read", r.name, r.left)
	}
	if err := r.zeros(padding(r.size)); err != nil {
		return fmt.Errorf("after %s: %w", r.name, err)
	}
	h := &r.buf
	if _, err := io.ReadFull(r.r, h[:]); err != nil {
		return fmt.Errorf("the archive is cut off: %w", err)
	}
	if *h == [blockSize]byte{} {
		if err := r.zeros(blockSize); err != nil {
			return fmt.Errorf("at the end of the archive: %w", err)
		}
		if n, _ := io.ReadFull(r.r, make([]byte, 1)); n > 0 {
			return errors.New("data after the end of the archive")
		}
		return errEnd
	}
	name, _, _ := bytes.Cut(h[:100], []byte{0})
	var size uint64
	for _, d := range h[124:135] {
		if d < '0' || d > '7' {
			return errors.New("a member's header is damaged")
		}
		size = size<<3 | uint64(d-'0')
	}
	want, err := header(string(name), size)
	if err != nil || want != *h {
		return fmt.Errorf("the header of member %.100q is not as it must be", name)
	}
	r.name, r.size, r.left = string(name), size, size
	return nil
}

func (r *reader) zeros(n int64) error {
	b := r.buf[:n]
	if _, err := io.ReadFull(r.r, b); err != nil {
		return fmt.Errorf("the archive is cut off: %w", err)
	}
	for _, c := range b {
		if c != 0 {
			return errors.New("padding is not zero")
		}
	}
	return nil
}

// Read reads from the current member.
func (r *reader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.r.Read(p[:min(uint64(len(p)), r.left)])
	r.left -= uint64(n)
	if err == io.EOF && r.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// all reads a member of at most limit bytes, into b if it is large enough.
func (r *reader) all(b []byte, limit uint64) ([]byte, error) {
	if r.size > limit {
		return nil, fmt.Errorf("%s has %d bytes; %d are the most", r.name, r.size, limit)
	}
	b = slices.Grow(b[:0], int(r.size))[:r.size]
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("%s is cut off: %w", r.name, err)
	}
	return b, nil
}
