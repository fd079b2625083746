// Package lossyfs is a file system that loses what was not fsynced.
//
// Killing a process does not test durability: the page cache outlives it. This
// file system (FUSE) passes everything through to a backing folder and keeps,
// beside it, what is needed to undo each change that no fsync has confirmed.
// PowerLoss undoes them, and what is then in the backing folder is what a disk
// would hold after the plug was pulled.
//
// What it promises:
//   - What was fsynced stays: the contents of a file by fsync of the file, its
//     name (create, link, rename, unlink, mkdir, rmdir) by fsync of the
//     directory that holds the name. An fsync of a file does not keep its name.
//   - What was not fsynced is lost with seed 0. With any other seed, part of it
//     is: of each file's unconfirmed sectors (512 bytes) some are new and some
//     old, its length lies anywhere between, and of each directory's
//     unconfirmed changes the first few survive. The same seed and the same
//     changes give the same loss.
//   - From PowerLoss to Unmount every request fails with EIO.
//
// What it does not do: it does not lose permissions and times; it refuses to
// rename directories, and to rename between directories (EXDEV), which no user
// of it needs. Pages that the kernel holds may still be read after PowerLoss.
//
// A program that maps files into memory, as SQLite does in WAL mode, must run
// in another process than the mount: a page fault stops a thread of the Go
// runtime in a way it does not know of, and the mount could wait for it.
//
// Read this file first, then journal.go (names) and contents.go (bytes).
package lossyfs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// FS is a mounted file system.
type FS struct {
	server *fuse.Server
	chance *rand.Rand // nil: lose everything

	mu    sync.Mutex // held over each change, so that PowerLoss falls between two
	lost  bool
	names journal
	files map[uint64]*contents // by inode: files with unconfirmed bytes
}

// Mount shows the folder backing at mountpoint; both exist. The folder that
// holds backing must be writable and on the same file system: a hidden folder
// there keeps what undoing needs until Unmount. Seed 0 makes PowerLoss drop
// everything that was not fsynced, any other seed chooses a part of it.
// Mounting needs /dev/fuse, and root or the program fusermount3.
func Mount(backing, mountpoint string, seed int64) (*FS, error) {
	held, err := os.MkdirTemp(filepath.Dir(backing), ".lossyfs-")
	if err != nil {
		return nil, fmt.Errorf("could not mount %s: %w", backing, err)
	}
	f := &FS{
		names: journal{held: held, users: map[uint64]int{}},
		files: map[uint64]*contents{},
	}
	if seed != 0 {
		f.chance = rand.New(rand.NewPCG(uint64(seed), 0)) //nolint:gosec // it has to repeat, not to surprise
	}
	if err := f.serve(backing, mountpoint); err != nil {
		return nil, errors.Join(fmt.Errorf("could not mount %s: %w", backing, err), os.RemoveAll(held))
	}
	return f, nil
}

// serve answers the kernel until Unmount. No attribute and no name is cached,
// so that nothing is answered from the kernel's memory after a power loss;
// locks are left to the kernel.
func (f *FS) serve(backing, mountpoint string) error {
	root, err := fs.NewLoopbackRoot(backing)
	if err != nil {
		return err
	}
	f.server, err = fs.Mount(mountpoint, &node{LoopbackNode: root.(*fs.LoopbackNode), fs: f}, &fs.Options{
		NullPermissions: true,
		MountOptions: fuse.MountOptions{
			DirectMount:   true,
			DisableXAttrs: true,
			FsName:        backing,
			Name:          "lossyfs",
		},
	})
	return err
}

// PowerLoss pulls the plug: on return the backing folder holds what survived,
// and every request to the mount fails with EIO. A second call does nothing.
func (f *FS) PowerLoss() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost {
		return nil
	}
	f.lost = true
	if err := errors.Join(f.names.lose(f.chance), loseContents(f.files, f.chance)); err != nil {
		return fmt.Errorf("could not undo what was not fsynced: %w", err)
	}
	return nil
}

// Unmount ends the mount. Without a PowerLoss before it the backing folder
// holds everything, as after an orderly shutdown. It fails while files of the
// mount are open.
func (f *FS) Unmount() error {
	if err := f.server.Unmount(); err != nil {
		return fmt.Errorf("could not unmount: %w", err)
	}
	for _, c := range f.files {
		c.file.Close()
	}
	if err := os.RemoveAll(f.names.held); err != nil {
		return fmt.Errorf("could not clean up after the mount: %w", err)
	}
	return nil
}

// do runs op unless the power is gone.
func (f *FS) do(op func() syscall.Errno) syscall.Errno {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost {
		return syscall.EIO
	}
	return op()
}

// upTo chooses how many of n unconfirmed things survive.
func upTo(chance *rand.Rand, n int64) int64 {
	if chance == nil {
		return 0
	}
	return chance.Int64N(n + 1)
}
