package trillian_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/ledger/enginetest"
	"github.com/forensic-custody/custody/ledger/trillian"
	"github.com/forensic-custody/custody/storage/sqlite"
)

// place makes a new log and returns its file.
func place(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "engine.db")
	require.NoError(t, trillian.Create(context.Background(), path))
	return path
}

func open(t testing.TB, path string) *trillian.Engine {
	t.Helper()
	e, err := trillian.Open(context.Background(), path)
	require.NoError(t, err)
	return e
}

func TestEngine(t *testing.T) {
	enginetest.Run(t, func(t *testing.T) enginetest.Place {
		path := place(t)
		return func(t *testing.T) ledger.Engine { return open(t, path) }
	})
}

// TestCreatedOnce: a log never comes into being by opening it, nor twice.
func TestCreatedOnce(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	path := filepath.Join(dir, "engine.db")
	_, err := trillian.Open(ctx, path)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoFileExists(t, path)
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err = trillian.Open(ctx, path)
	require.Error(t, err, "an empty file")

	require.NoError(t, trillian.Create(ctx, path))
	require.ErrorIs(t, trillian.Create(ctx, path), ledger.ErrExists)
	e := open(t, path)
	enginetest.Holds(t, e, nil)
	require.NoError(t, e.Queue(ctx, enginetest.Entries(0, 3)))
	_, err = e.Integrate(ctx)
	require.NoError(t, err)
	require.ErrorIs(t, trillian.Create(ctx, path), ledger.ErrExists)
	enginetest.Holds(t, e, enginetest.Entries(0, 3))
	require.NoError(t, e.Close())
}

// TestFullDisk: a full disk is told from other failures, takes nothing that
// was acknowledged, and is over once there is room.
func TestFullDisk(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	path := filepath.Join(dir, "engine.db")
	require.NoError(t, trillian.Create(ctx, path))
	e := open(t, path)
	var queued uint64
	for {
		err := e.Queue(ctx, enginetest.Entries(queued, queued+100))
		if err != nil {
			require.ErrorIs(t, err, sqlite.ErrFull)
			break
		}
		queued += 100
		require.Less(t, queued, uint64(100_000))
	}
	_, err := e.Integrate(ctx)
	require.ErrorIs(t, err, sqlite.ErrFull)
	enginetest.Holds(t, e, nil)

	require.NoError(t, unix.Mount("", dir, "", unix.MS_REMOUNT, "size=64m"))
	head, err := e.Integrate(ctx)
	require.NoError(t, err)
	require.Equal(t, queued, head.Size)
	enginetest.Holds(t, e, enginetest.Entries(0, queued))
	require.NoError(t, e.Close())
}
