package sql_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/storage/sql"
)

func openAt(t testing.TB, path string, o sql.Options) *sql.Store {
	t.Helper()
	s, err := sql.Open(t.Context(), path, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func openNew(t testing.TB) *sql.Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "records.db"), sql.Options{})
}

func TestContractOnSQLite(t *testing.T) {
	contract(t, func(t *testing.T) guard.Store { return openNew(t) })
}

// TestContractInMemory: the store that other packages test with is held to the
// same words.
func TestContractInMemory(t *testing.T) {
	contract(t, func(*testing.T) guard.Store { return guardtest.NewStore() })
}

// TestFailureDeclaresNothing: a record that fails opens no stream.
func TestFailureDeclaresNothing(t *testing.T) {
	s := openNew(t)
	h, streams := begin(t, s, 1)
	child := newStream()
	stale := h.aside()
	stale.record(t, streams[0], nil)
	require.ErrorIs(t, s.Commit(t.Context(), []guard.Stored{stale.record(t, streams[0], nil, child)}), guard.ErrStale)
	require.ErrorIs(t, s.Commit(t.Context(), []guard.Stored{stale.record(t, child, nil)}), custody.ErrUnknown)
}
