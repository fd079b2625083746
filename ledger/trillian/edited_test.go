package trillian_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/ledger/enginetest"
	"github.com/forensic-custody/custody/ledger/trillian"
	"github.com/forensic-custody/custody/storage/sqlite"
)

// edit changes rows behind the engine's back.
func edit(t *testing.T, path, statement string, args ...any) {
	t.Helper()
	ctx := context.Background()
	db, err := sqlite.Open(ctx, path, sqlite.Options{MustExist: true})
	require.NoError(t, err)
	require.NoError(t, db.Tx(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, statement, args...)
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		require.NotZero(t, n, "nothing was edited")
		return err
	}))
	require.NoError(t, db.Close())
}

// TestEditedRows: what an engine can see of an edit it reports; what it cannot
// see, the log finds out, which computes the root from the leaves.
func TestEditedRows(t *testing.T) {
	ctx, other := context.Background(), enginetest.Entries(900, 901)[0].Leaf
	hash := rfc6962.DefaultHasher.HashLeaf(other[:])
	honest := enginetest.Entries(0, 300)
	root256 := enginetest.Root(t, honest[:256])

	contradicts := func(t *testing.T, e ledger.Engine) {
		_, err := e.Leaves(ctx, 0, 300)
		require.ErrorIs(t, err, ledger.ErrFork)
		_, err = e.Leaves(ctx, 5, 6)
		require.ErrorIs(t, err, ledger.ErrFork)
		got, err := e.Leaves(ctx, 6, 300)
		require.NoError(t, err)
		require.Equal(t, honest[6:], got)
	}
	stuck := func(t *testing.T, e ledger.Engine) {
		require.NoError(t, e.Queue(ctx, enginetest.Entries(300, 301)))
		_, err := e.Integrate(ctx)
		require.ErrorIs(t, err, ledger.ErrFork)
	}
	for _, c := range []struct {
		name, statement string
		args            []any
		found           func(*testing.T, ledger.Engine)
	}{
		{"a leaf's value", "UPDATE LeafData SET LeafValue = ? WHERE SequenceNumber = 5", []any{other[:]}, contradicts},
		{"a leaf's hash", "UPDATE LeafData SET MerkleLeafHash = ? WHERE SequenceNumber = 5", []any{hash}, contradicts},
		{"a leaf's value that is none", "UPDATE LeafData SET LeafValue = x'00' WHERE SequenceNumber = 5", nil, contradicts},
		{"a leaf's identity that is none", "UPDATE LeafData SET LeafIdentityHash = x'00' WHERE SequenceNumber = 5", nil, contradicts},
		{"a leaf taken away", "DELETE FROM LeafData WHERE SequenceNumber = 5", nil, contradicts},
		{"the last leaf taken away", "DELETE FROM LeafData WHERE SequenceNumber = 299", nil, func(t *testing.T, e ledger.Engine) {
			_, err := e.Leaves(ctx, 0, 300)
			require.ErrorIs(t, err, ledger.ErrFork)
		}},
		{"a leaf's value and hash", "UPDATE LeafData SET LeafValue = ?, MerkleLeafHash = ? WHERE SequenceNumber = 5", []any{other[:], hash},
			func(t *testing.T, e ledger.Engine) {
				got, err := e.Leaves(ctx, 0, 300)
				require.NoError(t, err)
				head, err := e.Head(ctx)
				require.NoError(t, err)
				require.NotEqual(t, enginetest.Root(t, got), head.Root)
				require.ErrorIs(t, e.Queue(ctx, honest[5:6]), ledger.ErrConflict)
			}},
		{"a tree of other nodes", "UPDATE Subtree SET Nodes = (SELECT Nodes FROM Subtree ORDER BY length(Nodes) LIMIT 1)", nil, stuck},
		{"a tree that is none", "UPDATE Subtree SET Nodes = x'ff'", nil, stuck},
		{"the tree taken away", "DELETE FROM Subtree", nil, stuck},
		{"the head's root", "UPDATE TreeHead SET RootHash = ?", []any{hash}, stuck},
		{"the head's size", "UPDATE TreeHead SET TreeSize = 299", nil, stuck},
		{"the head's size and root", "UPDATE TreeHead SET TreeSize = 256, RootHash = ?", []any{root256[:]}, stuck},
		{"a queued leaf's value", `INSERT INTO LeafData (TreeId, LeafIdentityHash, MerkleLeafHash, LeafValue, QueueTimestampNanos)
			SELECT TreeId, ?, MerkleLeafHash, ?, 1 FROM LeafData WHERE SequenceNumber = 7`, []any{hash, other[:]}, func(t *testing.T, e ledger.Engine) {
			head, err := e.Integrate(ctx)
			require.NoError(t, err)
			require.EqualValues(t, 301, head.Size)
			_, err = e.Leaves(ctx, 300, 301)
			require.ErrorIs(t, err, ledger.ErrFork)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := place(t)
			e := open(t, path)
			require.NoError(t, e.Queue(ctx, honest))
			_, err := e.Integrate(ctx)
			require.NoError(t, err)
			enginetest.Holds(t, e, honest)
			require.NoError(t, e.Close())

			edit(t, path, c.statement, c.args...)
			e = open(t, path)
			defer func() { require.NoError(t, e.Close()) }()
			c.found(t, e)
		})
	}
}

// TestDamagedPages: a page that the disk lost is found by whoever needs it,
// and is told from an error that passes.
func TestDamagedPages(t *testing.T) {
	const pageSize = 4096
	ctx, path := t.Context(), place(t)
	e := open(t, path)
	require.NoError(t, e.Queue(ctx, enginetest.Entries(0, 200)))
	_, err := e.Integrate(ctx)
	require.NoError(t, err)
	require.NoError(t, e.Queue(ctx, enginetest.Entries(200, 400)))
	require.NoError(t, e.Close())
	whole, err := os.ReadFile(path)
	require.NoError(t, err)

	use := func(damaged string) error {
		e, err := trillian.Open(ctx, damaged)
		if err != nil {
			return err
		}
		defer func() { require.NoError(t, e.Close()) }()
		if _, err := e.Integrate(ctx); err != nil {
			return err
		}
		got, err := e.Leaves(ctx, 0, 400)
		if err == nil {
			require.Equal(t, enginetest.Entries(0, 400), got)
		}
		return err
	}
	require.NoError(t, use(path))
	found := 0
	for page := 1; page < len(whole)/pageSize; page++ {
		b := slices.Clone(whole)
		clear(b[page*pageSize : (page+1)*pageSize])
		damaged := filepath.Join(t.TempDir(), "engine.db")
		require.NoError(t, os.WriteFile(damaged, b, 0o600))
		if err := use(damaged); err != nil {
			found++
			require.True(t, errors.Is(err, sqlite.ErrDamaged) || errors.Is(err, ledger.ErrFork), "page %d: %v", page, err)
		}
	}
	require.Greater(t, found, len(whole)/pageSize/2)
}
