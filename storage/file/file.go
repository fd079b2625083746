// Package file is a bucket in a folder: the store of an embedded installation.
//
// It promises what storage.Bucket asks for. An object is staged beside the
// others, written, made read-only and fsynced before it gets its name by
// link(2), which never replaces anything, or, where damage is to be put right
// (Replace), by rename(2); so a name, once it is seen, leads to a whole object or
// to nothing, also after a power failure. Barrier makes the names durable.
//
// It does not promise retention. Objects are mode 0444 in directories that
// only the service's user can enter, and this package deletes only on request;
// but whoever has that user's rights, or root's, can change and remove files,
// and no folder can prevent it. What is read is therefore always verified by
// whoever reads it (storage.Vault).
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/storage"
)

// staging is where objects are written before they get their names. No key
// begins with a dot.
const staging = ".staging"

// Bucket is a folder of objects. It implements storage.Bucket.
type Bucket struct {
	root   *os.Root
	lock   *os.File      // nil: open for reading only
	staged atomic.Uint64 // names in the staging directory

	barrier sync.Mutex // held while directories are fsynced

	mu     sync.Mutex
	dirty  map[string]bool // directories whose entries may not be durable
	broken error           // why Barrier can vouch for nothing any more
}

var _ storage.Bucket = (*Bucket)(nil)

// Open takes the folder dir for a bucket, makes it if need be, sets its mode
// to 0700, and removes what an interrupted process left half-written. Only one
// process can have it open.
func Open(dir string) (*Bucket, error) {
	b, err := open(dir)
	if err != nil {
		return nil, fmt.Errorf("open the bucket in %s: %w", dir, typed(err))
	}
	return b, nil
}

// OpenToRead opens the bucket in a folder that is there, for reading only. A process
// that has it open to write may go on.
func OpenToRead(dir string) (*Bucket, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the bucket in %s: %w", dir, typed(err))
	}
	return &Bucket{root: root}, nil
}

// errReading refuses a change of a bucket that is open for reading.
var errReading = errors.New("the bucket is open for reading only")

func open(dir string) (*Bucket, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	b := &Bucket{root: root, dirty: map[string]bool{}}
	if err := b.prepare(); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// makeDir makes the folder, and those above it, and has their names durable.
func makeDir(dir string) error {
	parent := filepath.Dir(dir)
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeDir(parent); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	p, err := os.Open(parent)
	if err != nil {
		return err
	}
	return errors.Join(p.Sync(), p.Close())
}

// prepare locks the folder and empties the staging directory.
func (b *Bucket) prepare() error {
	var err error
	if b.lock, err = b.root.Open("."); err != nil {
		return err
	}
	if err := unix.Flock(int(b.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("another process has it open: %w", err)
	}
	if err := b.root.Chmod(".", 0o700); err != nil {
		return err
	}
	if err := b.root.RemoveAll(staging); err != nil {
		return err
	}
	if err := b.root.Mkdir(staging, 0o700); err != nil {
		return err
	}
	return b.lock.Sync()
}

// Close gives the folder up. It makes nothing durable.
func (b *Bucket) Close() error {
	var err error
	if b.lock != nil {
		err = b.lock.Close()
	}
	return errors.Join(err, b.root.Close())
}

// Put implements storage.Bucket.
func (b *Bucket) Put(ctx context.Context, key string, data []byte) (string, error) {
	if err := check(ctx, key); err != nil {
		return "", err
	}
	if b.lock == nil {
		return "", errReading
	}
	if err := b.put(key, data); err != nil {
		return "", fmt.Errorf("put %s: %w", key, typed(err))
	}
	return "", nil
}

// Replace implements storage.Bucket. What was there is gone.
func (b *Bucket) Replace(ctx context.Context, key string, data []byte) (string, error) {
	if err := check(ctx, key); err != nil {
		return "", err
	}
	if b.lock == nil {
		return "", errReading
	}
	if err := b.replace(key, data); err != nil {
		return "", fmt.Errorf("replace %s: %w", key, typed(err))
	}
	return "", nil
}

func (b *Bucket) replace(key string, data []byte) error {
	temp := path.Join(staging, strconv.FormatUint(b.staged.Add(1), 10))
	err := b.write(temp, data)
	if err == nil {
		err = b.root.MkdirAll(path.Dir(key), 0o700)
	}
	if err == nil {
		err = b.root.Rename(temp, key)
		b.touched(key)
	}
	if err != nil {
		err = errors.Join(err, b.remove(temp))
	}
	return err
}

func (b *Bucket) put(key string, data []byte) error {
	if _, err := b.root.Lstat(key); err == nil {
		b.touched(key)
		return fs.ErrExist
	}
	temp := path.Join(staging, strconv.FormatUint(b.staged.Add(1), 10))
	if err := b.write(temp, data); err != nil {
		return errors.Join(err, b.remove(temp))
	}
	err := b.root.MkdirAll(path.Dir(key), 0o700)
	if err == nil {
		err = b.root.Link(temp, key)
		b.touched(key)
	}
	return errors.Join(err, b.remove(temp))
}

// write makes a file whose content is durable and read-only.
func (b *Bucket) write(name string, data []byte) error {
	f, err := b.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o444)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (b *Bucket) remove(name string) error {
	if err := b.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// touched notes the directories on the way to key for the next Barrier. An
// object that was found is noted too: the process that linked it may have died
// before its Barrier.
func (b *Bucket) touched(key string) {
	if b.lock == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for dir := path.Dir(key); ; dir = path.Dir(dir) {
		b.dirty[dir] = true
		if dir == "." {
			return
		}
	}
}

// Get implements storage.Bucket.
func (b *Bucket) Get(ctx context.Context, key, version string, buf []byte) (int, error) {
	if err := check(ctx, key); err != nil {
		return 0, err
	}
	n, err := b.get(key, version, buf)
	if err != nil {
		return 0, fmt.Errorf("get %s: %w", key, typed(err))
	}
	return n, nil
}

func (b *Bucket) get(key, version string, buf []byte) (int, error) {
	size, err := b.size(key, version)
	if err != nil {
		return 0, err
	}
	if size > int64(len(buf)) {
		return 0, storage.ErrTooLarge
	}
	f, err := b.root.Open(key)
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(f, buf[:size])
	return n, errors.Join(err, f.Close())
}

// size of the object under key. What is not a plain file is no object.
func (b *Bucket) size(key, version string) (int64, error) {
	info, err := b.root.Lstat(key)
	if err != nil {
		return 0, err
	}
	if version != "" || !info.Mode().IsRegular() {
		return 0, storage.ErrNotFound
	}
	return info.Size(), nil
}

// Stat implements storage.Bucket.
func (b *Bucket) Stat(ctx context.Context, key, version string) (storage.Object, error) {
	if err := check(ctx, key); err != nil {
		return storage.Object{}, err
	}
	size, err := b.size(key, version)
	if err != nil {
		return storage.Object{}, fmt.Errorf("look up %s: %w", key, typed(err))
	}
	b.touched(key)
	return storage.Object{Key: key, Size: size}, nil
}

// List implements storage.Bucket.
func (b *Bucket) List(ctx context.Context, prefix string, yield func(storage.Object) error) error {
	if err := storage.CheckPrefix(prefix); err != nil {
		return err
	}
	var stop error // from yield: not ours to wrap
	err := fs.WalkDir(b.root.FS(), path.Clean(prefix), func(name string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, fs.ErrNotExist): // nothing has this prefix, or it was deleted meanwhile
			return nil
		case err != nil:
			return err
		case name == staging:
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		stop = yield(storage.Object{Key: name, Size: info.Size()})
		return stop
	})
	if err == nil || stop != nil {
		return stop
	}
	return fmt.Errorf("list %s: %w", prefix, typed(err))
}

// Versions implements storage.Bucket: there is one of each object.
func (b *Bucket) Versions(ctx context.Context, prefix string, yield func(storage.Object) error) error {
	return b.List(ctx, prefix, yield)
}

// Folders implements storage.Bucket.
func (b *Bucket) Folders(ctx context.Context, prefix string, yield func(string) error) error {
	if err := storage.CheckPrefix(prefix); err != nil {
		return err
	}
	entries, err := fs.ReadDir(b.root.FS(), path.Clean(prefix))
	if errors.Is(err, fs.ErrNotExist) {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", prefix, typed(err))
	}
	for _, entry := range entries {
		if !entry.IsDir() || entry.Name() == staging {
			continue
		}
		inhabited, err := b.inhabited(ctx, prefix+entry.Name()+"/")
		if err == nil && inhabited {
			err = yield(entry.Name())
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// inhabited tells whether any object has the prefix: directories stay when
// their last object goes.
func (b *Bucket) inhabited(ctx context.Context, prefix string) (bool, error) {
	found := errors.New("found")
	err := b.List(ctx, prefix, func(storage.Object) error { return found })
	if errors.Is(err, found) {
		return true, nil
	}
	return false, err
}

// Retain implements storage.Bucket: a folder locks nothing.
func (b *Bucket) Retain(ctx context.Context, key, version string, _ time.Time) error {
	return b.noLock(ctx, key, version)
}

// Hold implements storage.Bucket: a folder holds nothing.
func (b *Bucket) Hold(ctx context.Context, key, version string, _ bool) error {
	return b.noLock(ctx, key, version)
}

func (b *Bucket) noLock(ctx context.Context, key, version string) error {
	if _, err := b.Stat(ctx, key, version); err != nil {
		return err
	}
	return fmt.Errorf("lock %s: %w", key, storage.ErrNoLock)
}

// Delete implements storage.Bucket.
func (b *Bucket) Delete(ctx context.Context, key, version string) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	if b.lock == nil {
		return errReading
	}
	if version != "" {
		return nil
	}
	if err := b.remove(key); err != nil {
		return fmt.Errorf("delete %s: %w", key, typed(err))
	}
	b.touched(key)
	return nil
}

// Barrier implements storage.Bucket. Barriers wait for one another, since the
// later one may rely on directories that the earlier one is about to sync. A
// failed fsync is final: the kernel reports such an error once and may drop
// what it could not write, so a second try would prove nothing.
func (b *Bucket) Barrier(ctx context.Context) error {
	b.barrier.Lock()
	defer b.barrier.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	dirty, broken := b.dirty, b.broken
	b.dirty = map[string]bool{}
	b.mu.Unlock()
	if broken != nil {
		return broken
	}
	for dir := range dirty {
		if err := b.syncDir(dir); err != nil {
			broken = fmt.Errorf("make %s durable: %w", dir, typed(err))
			b.mu.Lock()
			b.broken = broken
			b.mu.Unlock()
			return broken
		}
	}
	return nil
}

// syncDir makes the entries of a directory durable. One that is gone has none.
func (b *Bucket) syncDir(dir string) error {
	d, err := b.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Probe implements storage.Bucket.
func (b *Bucket) Probe(ctx context.Context) (storage.Abilities, error) {
	proven, err := storage.ProbeObjects(ctx, b)
	if err != nil {
		return storage.Abilities{}, err
	}
	proven.Checksum = true // the bytes go nowhere
	proven.Lines = append(proven.Lines, "nothing is locked: root and the service's own user can remove files")
	return proven, nil
}

func check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return storage.CheckKey(key)
}

// typed gives an error of the operating system the kind that callers know.
func typed(err error) error {
	for kind, causes := range map[error][]error{
		storage.ErrExists:   {fs.ErrExist},
		storage.ErrNotFound: {fs.ErrNotExist, unix.ENOTDIR},
		storage.ErrFull:     {unix.ENOSPC, unix.EDQUOT},
	} {
		for _, cause := range causes {
			if errors.Is(err, cause) {
				return fmt.Errorf("%w: %w", kind, err)
			}
		}
	}
	return err
}
