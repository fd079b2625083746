package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// peeked is how much of the beginning of a pipe is looked at: a partition table,
// and the file system of a first partition, which is at 1 MiB as a rule.
const peeked = 2 << 20

// beginning is what was read of a pipe to look at it, in memory.
type beginning struct {
	*os.File
	size  int64
	whole bool // nothing comes behind it
}

// peek reads the beginning of a pipe, which comes again when the pipe is read.
func (s *source) peek() error {
	b := make([]byte, peeked)
	n, err := io.ReadFull(s.pipe, b)
	whole := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if err != nil && !whole {
		return fmt.Errorf("read the pipe: %w", err)
	}
	fd, err := unix.MemfdCreate("beginning", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("memory to look at the pipe's beginning: %w", err)
	}
	s.head = &beginning{os.NewFile(uintptr(fd), "beginning"), int64(n), whole}
	if _, err := s.head.WriteAt(b[:n], 0); err != nil {
		return errors.Join(err, s.head.Close())
	}
	s.pipe = io.MultiReader(bytes.NewReader(b[:n]), s.pipe)
	return nil
}

// visible is what a child can look at: the files, or a pipe's beginning; nil
// when there is nothing.
func (s *source) visible() *source {
	switch {
	case len(s.parts) > 0:
		return s
	case s.head == nil:
		return nil
	}
	v := newSource()
	v.parts, v.size, v.partial = []segmentFile{{File: s.head.File, size: s.head.size}}, uint64(s.head.size), !s.head.whole
	return v
}
