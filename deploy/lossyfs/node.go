package lossyfs

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// A node is a file or directory of the mount. What it does not do itself, the
// backing folder does.
type node struct {
	*fs.LoopbackNode
	fs *FS
}

// WrapChild makes everything below a node a node too.
func (n *node) WrapChild(_ context.Context, child fs.InodeEmbedder) fs.InodeEmbedder {
	return &node{LoopbackNode: child.(*fs.LoopbackNode), fs: n.fs}
}

// where is the node's place in the backing folder.
func (n *node) where() string {
	return filepath.Join(n.RootData.Path, n.Path(n.Root()))
}

// change runs op, which changes what names in this directory stand for.
func (n *node) change(op func() syscall.Errno, names ...string) syscall.Errno {
	return n.fs.do(func() syscall.Errno {
		c, err := n.fs.names.begin(n.where(), names...)
		if err != nil {
			return fs.ToErrno(err)
		}
		if errno := op(); errno != fs.OK {
			n.fs.names.release(c)
			return errno
		}
		n.fs.names.commit(c)
		return fs.OK
	})
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (child *fs.Inode, handle fs.FileHandle, fuseFlags uint32, errno syscall.Errno) {
	errno = n.change(func() (errno syscall.Errno) {
		child, handle, fuseFlags, errno = n.LoopbackNode.Create(ctx, name, readable(flags), mode, out)
		return errno
	}, name)
	return child, n.wrap(handle, errno), fuseFlags, errno
}

func (n *node) Mknod(ctx context.Context, name string, mode, dev uint32, out *fuse.EntryOut) (child *fs.Inode, errno syscall.Errno) {
	errno = n.change(func() (errno syscall.Errno) {
		child, errno = n.LoopbackNode.Mknod(ctx, name, mode, dev, out)
		return errno
	}, name)
	return child, errno
}

func (n *node) Symlink(ctx context.Context, target, name string, out *fuse.EntryOut) (child *fs.Inode, errno syscall.Errno) {
	errno = n.change(func() (errno syscall.Errno) {
		child, errno = n.LoopbackNode.Symlink(ctx, target, name, out)
		return errno
	}, name)
	return child, errno
}

func (n *node) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (child *fs.Inode, errno syscall.Errno) {
	errno = n.change(func() (errno syscall.Errno) {
		child, errno = n.LoopbackNode.Link(ctx, target, name, out)
		return errno
	}, name)
	return child, errno
}

func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	return n.change(func() syscall.Errno { return n.LoopbackNode.Unlink(ctx, name) }, name)
}

func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (child *fs.Inode, errno syscall.Errno) {
	errno = n.change(func() (errno syscall.Errno) {
		child, errno = n.LoopbackNode.Mkdir(ctx, name, mode, out)
		return errno
	}, name)
	return child, errno
}

// Rmdir moves the directory aside, with its inode, for as long as its removal
// may have to be undone.
func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	return n.change(func() syscall.Errno {
		path := filepath.Join(n.where(), name)
		names, err := os.ReadDir(path)
		if err != nil {
			return fs.ToErrno(err)
		}
		if len(names) > 0 {
			return syscall.ENOTEMPTY
		}
		number, _, err := inode(path)
		if err != nil {
			return fs.ToErrno(err)
		}
		return fs.ToErrno(os.Rename(path, n.fs.names.place(number)))
	}, name)
}

func (n *node) Rename(ctx context.Context, name string, newParent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if newParent.EmbeddedInode() != n.EmbeddedInode() {
		return syscall.EXDEV
	}
	if flags&^unix.RENAME_NOREPLACE != 0 {
		return syscall.EINVAL
	}
	if child := n.GetChild(name); child != nil && child.IsDir() {
		return syscall.EOPNOTSUPP
	}
	return n.change(func() syscall.Errno {
		return n.LoopbackNode.Rename(ctx, name, newParent, newName, flags)
	}, name, newName)
}

// Setattr saves what a shorter length cuts off.
func (n *node) Setattr(ctx context.Context, handle fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	return n.fs.do(func() syscall.Errno {
		if size, ok := in.GetSize(); ok {
			if err := n.truncating(handle, int64(size)); err != nil {
				return fs.ToErrno(err)
			}
		}
		if h, ok := handle.(*file); ok {
			handle = h.LoopbackFile
		}
		return n.LoopbackNode.Setattr(ctx, handle, in, out)
	})
}

func (n *node) truncating(handle fs.FileHandle, size int64) error {
	if h, ok := handle.(*file); ok {
		return n.fs.dirty(h.fd, size, math.MaxInt64)
	}
	f, err := os.OpenFile(n.where(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return n.fs.dirty(int(f.Fd()), size, math.MaxInt64)
}

func (n *node) Open(ctx context.Context, flags uint32) (handle fs.FileHandle, fuseFlags uint32, errno syscall.Errno) {
	errno = n.fs.do(func() (errno syscall.Errno) {
		handle, fuseFlags, errno = n.LoopbackNode.Open(ctx, readable(flags))
		return errno
	})
	return n.wrap(handle, errno), fuseFlags, errno
}

func (n *node) OpendirHandle(context.Context, uint32) (handle fs.FileHandle, fuseFlags uint32, errno syscall.Errno) {
	errno = n.fs.do(func() syscall.Errno {
		stream, errno := fs.NewLoopbackDirStream(n.where())
		handle = &folder{DirStream: stream, node: n}
		return errno
	})
	return handle, 0, errno
}

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (child *fs.Inode, errno syscall.Errno) {
	errno = n.fs.do(func() (errno syscall.Errno) {
		child, errno = n.LoopbackNode.Lookup(ctx, name, out)
		return errno
	})
	return child, errno
}

func (n *node) Getattr(ctx context.Context, handle fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	return n.fs.do(func() syscall.Errno { return n.LoopbackNode.Getattr(ctx, handle, out) })
}

func (n *node) Readlink(ctx context.Context) (target []byte, errno syscall.Errno) {
	errno = n.fs.do(func() (errno syscall.Errno) {
		target, errno = n.LoopbackNode.Readlink(ctx)
		return errno
	})
	return target, errno
}

func (n *node) Statfs(ctx context.Context, out *fuse.StatfsOut) syscall.Errno {
	return n.fs.do(func() syscall.Errno { return n.LoopbackNode.Statfs(ctx, out) })
}

// CopyFileRange leaves copying to the kernel, which reads and writes.
func (n *node) CopyFileRange(context.Context, fs.FileHandle, uint64, *fs.Inode, fs.FileHandle, uint64, uint64, uint64) (uint32, syscall.Errno) {
	return 0, syscall.EOPNOTSUPP
}

// readable asks for reading too where only writing was asked for: what is
// written over has to be read first.
func readable(flags uint32) uint32 {
	if flags&syscall.O_ACCMODE == syscall.O_WRONLY {
		return flags&^syscall.O_ACCMODE | syscall.O_RDWR
	}
	return flags
}

// A folder is an open directory.
type folder struct {
	fs.DirStream
	node *node
}

func (f *folder) Readdirent(context.Context) (entry *fuse.DirEntry, errno syscall.Errno) {
	errno = f.node.fs.do(func() syscall.Errno {
		if !f.HasNext() {
			return fs.OK
		}
		next, errno := f.Next()
		entry = &next
		return errno
	})
	return entry, errno
}

func (f *folder) Seekdir(ctx context.Context, offset uint64) syscall.Errno {
	return f.DirStream.(fs.FileSeekdirer).Seekdir(ctx, offset)
}

func (f *folder) Releasedir(context.Context, uint32) { f.Close() }

// Fsyncdir confirms the directory's names.
func (f *folder) Fsyncdir(context.Context, uint32) syscall.Errno {
	return f.node.fs.do(func() syscall.Errno {
		number, _, err := inode(f.node.where())
		if err != nil {
			return fs.ToErrno(err)
		}
		f.node.fs.names.confirm(number)
		return fs.OK
	})
}
