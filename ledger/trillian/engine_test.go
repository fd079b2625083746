package trillian_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/ledger/enginetest"
	"github.com/forensic-custody/custody/ledger/trillian"
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
