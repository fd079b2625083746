package lossyfs

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// A file is an open file of the mount.
type file struct {
	*fs.LoopbackFile
	fs *FS
	fd int // of the backing file
}

// wrap puts a file around the handle that the backing folder gave.
func (n *node) wrap(handle fs.FileHandle, errno syscall.Errno) fs.FileHandle {
	if errno != fs.OK {
		return nil
	}
	f := handle.(*fs.LoopbackFile)
	fd, _ := f.PassthroughFd()
	return &file{LoopbackFile: f, fs: n.fs, fd: fd}
}

// PassthroughFd keeps the kernel from going to the backing file directly.
func (f *file) PassthroughFd() (int, bool) { return 0, false }

// dirty must be called before the bytes from start to end of the file change.
func (f *FS) dirty(fd int, start, end int64) error {
	var stat syscall.Stat_t
	if err := syscall.Fstat(fd, &stat); err != nil {
		return err
	}
	c := f.files[stat.Ino]
	if c == nil {
		var err error
		if c, err = openContents(fd); err != nil {
			return err
		}
		f.files[stat.Ino] = c
	}
	return c.save(start, end)
}

// confirm makes the bytes of the file durable.
func (f *FS) confirm(fd int) error {
	var stat syscall.Stat_t
	if err := syscall.Fstat(fd, &stat); err != nil {
		return err
	}
	if c := f.files[stat.Ino]; c != nil {
		delete(f.files, stat.Ino)
		return c.file.Close()
	}
	return nil
}

func (f *file) Read(ctx context.Context, b []byte, offset int64) (result fuse.ReadResult, errno syscall.Errno) {
	errno = f.fs.do(func() (errno syscall.Errno) {
		result, errno = f.LoopbackFile.Read(ctx, b, offset)
		return errno
	})
	return result, errno
}

func (f *file) Write(ctx context.Context, b []byte, offset int64) (written uint32, errno syscall.Errno) {
	errno = f.fs.do(func() (errno syscall.Errno) {
		if err := f.fs.dirty(f.fd, offset, offset+int64(len(b))); err != nil {
			return fs.ToErrno(err)
		}
		written, errno = f.LoopbackFile.Write(ctx, b, offset)
		return errno
	})
	return written, errno
}

func (f *file) Allocate(ctx context.Context, offset, size uint64, mode uint32) syscall.Errno {
	return f.fs.do(func() syscall.Errno {
		if err := f.fs.dirty(f.fd, int64(offset), int64(offset+size)); err != nil {
			return fs.ToErrno(err)
		}
		return f.LoopbackFile.Allocate(ctx, offset, size, mode)
	})
}

// Fsync confirms the file's bytes and length.
func (f *file) Fsync(context.Context, uint32) syscall.Errno {
	return f.fs.do(func() syscall.Errno { return fs.ToErrno(f.fs.confirm(f.fd)) })
}
