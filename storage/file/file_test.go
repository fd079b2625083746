package file_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/buckettest"
	"github.com/forensic-custody/custody/storage/file"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string) *file.Bucket {
	t.Helper()
	b, err := file.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func put(t *testing.T, b *file.Bucket, key string, data []byte) {
	t.Helper()
	_, err := b.Put(t.Context(), key, data)
	require.NoError(t, err)
}

func TestFolder(t *testing.T) {
	buckettest.Run(t, func(t *testing.T) storage.Bucket { return open(t, filepath.Join(t.TempDir(), "new", "bucket")) })
}

func mode(t *testing.T, name string) os.FileMode {
	t.Helper()
	info, err := os.Lstat(name)
	require.NoError(t, err)
	return info.Mode()
}

func TestModes(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o777))
	b := open(t, dir)
	put(t, b, "v1/i/object", []byte("x"))
	require.Equal(t, os.ModeDir|0o700, mode(t, dir))
	require.Equal(t, os.ModeDir|0o700, mode(t, filepath.Join(dir, "v1/i")))
	require.Equal(t, os.FileMode(0o444), mode(t, filepath.Join(dir, "v1/i/object")))
}

func TestWhatAnInterruptedProcessLeft(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	put(t, b, "whole", []byte("whole"))
	require.NoError(t, b.Close())
	half := filepath.Join(dir, ".staging", "7")
	require.NoError(t, os.WriteFile(half, []byte("hal"), 0o600))

	b = open(t, dir)
	require.NoFileExists(t, half)
	require.Equal(t, map[string]int64{"whole": 5}, buckettest.List(t, b, ""))
}

// TestToRead: beside the process that writes, others can read, and change nothing.
func TestToRead(t *testing.T) {
	dir := t.TempDir()
	_, err := file.OpenToRead(filepath.Join(dir, "none"))
	require.Error(t, err)
	b, err := file.Open(dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	r, err := file.OpenToRead(dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	_, err = b.Put(t.Context(), "v1/x", []byte("there"))
	require.NoError(t, err)
	require.Equal(t, "there", string(buckettest.Get(t, r, "v1/x", "")))
	_, err = r.Put(t.Context(), "v1/y", nil)
	require.ErrorContains(t, err, "for reading only")
	_, err = r.Replace(t.Context(), "v1/x", []byte("another"))
	require.ErrorContains(t, err, "for reading only")
	require.ErrorContains(t, r.Delete(t.Context(), "v1/x", ""), "for reading only")
	require.Len(t, buckettest.Versions(t, b, ""), 1)
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	_, err := file.Open(dir)
	require.ErrorContains(t, err, "another process has it open")
	require.NoError(t, b.Close())
	open(t, dir)
}

// Somebody who can write to the folder must not lead the bucket out of it.
func TestLinksAreNotFollowed(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(outside, []byte("secret"), 0o600))
	dir := t.TempDir()
	b := open(t, dir)
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "object")))
	require.NoError(t, os.Symlink(filepath.Dir(outside), filepath.Join(dir, "folder")))

	_, err := b.Get(t.Context(), "object", "", make([]byte, 100))
	require.ErrorIs(t, err, storage.ErrNotFound)
	_, err = b.Get(t.Context(), "folder/secret", "", make([]byte, 100))
	require.Error(t, err)
	_, err = b.Put(t.Context(), "folder/planted", []byte("x"))
	require.Error(t, err)
	require.NoFileExists(t, filepath.Join(filepath.Dir(outside), "planted"))
	require.Empty(t, buckettest.List(t, b, ""))
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"), "mounting a small file system needs root")
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	b, err := file.Open(dir)
	require.NoError(t, err)
	defer b.Close() // before the unmounting

	want, data := map[string]int64{}, buckettest.Bytes(5<<20, 1)
	var full error
	for i := 0; full == nil; i++ {
		require.Less(t, i, 20, "the disk does not fill up")
		key := "v1/" + string(rune('a'+i))
		if _, full = b.Put(t.Context(), key, data); full == nil {
			want[key] = int64(len(data))
		}
	}
	require.ErrorIs(t, full, storage.ErrFull)
	require.NotEmpty(t, want)
	require.Equal(t, want, buckettest.List(t, b, ""))
	left, err := os.ReadDir(filepath.Join(dir, ".staging"))
	require.NoError(t, err)
	require.Empty(t, left)
	require.NoError(t, b.Barrier(t.Context()))
	for key := range want {
		require.Equal(t, data, buckettest.Get(t, b, key, ""))
	}

	// Room again: the bucket goes on.
	require.NoError(t, b.Delete(t.Context(), "v1/a", ""))
	put(t, b, "v1/a", data)
}
