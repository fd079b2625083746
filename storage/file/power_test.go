package file_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/deploy/lossyfs"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/buckettest"
	"github.com/forensic-custody/custody/storage/file"
)

// disk is a file system that can lose its power.
type disk struct {
	*lossyfs.FS
	backing, dir string
	unmounted    bool
}

func mount(t *testing.T, seed int64) *disk {
	t.Helper()
	dir := t.TempDir()
	d := &disk{backing: filepath.Join(dir, "disk"), dir: filepath.Join(dir, "mnt")}
	require.NoError(t, os.Mkdir(d.backing, 0o700))
	require.NoError(t, os.Mkdir(d.dir, 0o700))
	var err error
	d.FS, err = lossyfs.Mount(d.backing, d.dir, seed)
	require.NoError(t, err)
	t.Cleanup(func() { d.unmount(t) }) // after the bucket's own, which closes it
	return d
}

func (d *disk) unmount(t *testing.T) {
	t.Helper()
	if !d.unmounted {
		d.unmounted = true
		require.NoError(t, d.Unmount())
	}
}

// lose pulls the plug and opens what is left of the bucket.
func (d *disk) lose(t *testing.T, b *file.Bucket) *file.Bucket {
	t.Helper()
	require.NoError(t, d.PowerLoss())
	_ = b.Close()
	d.unmount(t)
	return open(t, filepath.Join(d.backing, "var", "bucket"))
}

// keyOf spreads objects over directories as the vault does.
func keyOf(i int) string { return fmt.Sprintf("v1/incident/c/%02x/object-%d", i*37%5, i) }

func sizeOf(i int) int { return i * 1000 % 70_001 }

func putMany(t *testing.T, b *file.Bucket, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		put(t, b, keyOf(i), buckettest.Bytes(sizeOf(i), byte(i)))
	}
}

// requireWhole fails unless the first objects are there, and whatever is there
// is whole.
func requireWhole(t *testing.T, b *file.Bucket, first, all int) {
	t.Helper()
	found := buckettest.List(t, b, "")
	for i := range all {
		if _, ok := found[keyOf(i)]; !ok {
			require.GreaterOrEqual(t, i, first, "%s is lost", keyOf(i))
			continue
		}
		require.Equal(t, buckettest.Bytes(sizeOf(i), byte(i)), buckettest.Get(t, b, keyOf(i), ""))
		delete(found, keyOf(i))
	}
	require.Empty(t, found, "nobody put these")
}

func TestPowerLoss(t *testing.T) {
	for seed := range int64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			d := mount(t, seed)
			b := open(t, filepath.Join(d.dir, "var", "bucket"))
			putMany(t, b, 0, 12)
			require.NoError(t, b.Barrier(t.Context()))
			putMany(t, b, 12, 24)
			requireWhole(t, d.lose(t, b), 12, 24)
		})
	}
}

// A process dies after it put objects and before its barrier. The next one
// finds them, by Put or by Stat, relies on them, and makes them durable.
func TestPowerLossAfterAnotherProcessDied(t *testing.T) {
	for name, find := range map[string]func(*testing.T, *file.Bucket, int){
		"put again": func(t *testing.T, b *file.Bucket, i int) {
			_, err := b.Put(t.Context(), keyOf(i), buckettest.Bytes(sizeOf(i), byte(i)))
			require.ErrorIs(t, err, storage.ErrExists)
		},
		"looked up": func(t *testing.T, b *file.Bucket, i int) {
			_, err := b.Stat(t.Context(), keyOf(i), "")
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := mount(t, 0)
			b := open(t, filepath.Join(d.dir, "var", "bucket"))
			putMany(t, b, 0, 12)
			require.NoError(t, b.Close())
			b = open(t, filepath.Join(d.dir, "var", "bucket"))
			for i := range 12 {
				find(t, b, i)
			}
			require.NoError(t, b.Barrier(t.Context()))
			requireWhole(t, d.lose(t, b), 12, 12)
		})
	}
}

// A disk that fails when it is to make things durable: the barrier says so, and
// never takes it back.
func TestBarrierOnABrokenDisk(t *testing.T) {
	d := mount(t, 0)
	b := open(t, filepath.Join(d.dir, "var", "bucket"))
	putMany(t, b, 0, 2)
	require.NoError(t, d.PowerLoss())
	require.Error(t, b.Barrier(t.Context()))
	require.Error(t, b.Barrier(t.Context()), "nothing is left to make durable, but what was is not known to be")
}
