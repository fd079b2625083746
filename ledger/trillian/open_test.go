package trillian

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/trillian"
	"github.com/google/trillian/storage"
	"github.com/google/trillian/types"
	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/merkle/rfc6962"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/ledger/enginetest"
)

// TestClockSetBack: Trillian alone would refuse to integrate until the clock
// has caught up. What a clock behind the log means is for the log to say.
func TestClockSetBack(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "engine.db")
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	require.NoError(t, create(ctx, path, clock))
	var size uint64
	for restart := range 3 {
		e, err := open(ctx, path, clock)
		require.NoError(t, err)
		for range 3 {
			_, err := e.Integrate(ctx) // what the engine before left in the queue
			require.NoError(t, err)
			require.NoError(t, e.Queue(ctx, enginetest.Entries(size, size+2)))
			_, err = e.Integrate(ctx)
			require.NoError(t, err)
			size += 2
			enginetest.Holds(t, e, enginetest.Entries(0, size))
			now = now.Add(-time.Hour)
		}
		require.NoError(t, e.Queue(ctx, enginetest.Entries(size, size+2)))
		size += 2
		require.NoError(t, e.Close(), "restart %d", restart)
		now = now.Add(-24 * time.Hour)
	}
}

// TestOpenRefuses: what is not the tree that Create made is not opened.
func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct{ name, statement string }{
		{"a frozen tree", "UPDATE Trees SET TreeState = 'FROZEN'"},
		{"a preordered tree", "UPDATE Trees SET TreeType = 'PREORDERED_LOG'"},
		{"a tree of a type that is none", "UPDATE Trees SET TreeType = 'BUSH'"},
		{"a tree with a root duration", "UPDATE Trees SET MaxRootDurationMillis = 3600000"},
		{"a deleted tree", "UPDATE Trees SET DeleteTimeMillis = 1"},
		{"no tree", "DELETE FROM Trees"},
		{"two trees", `INSERT INTO Trees SELECT TreeId + 1, TreeState, TreeType, DisplayName, Description, CreateTimeMillis,
			UpdateTimeMillis, MaxRootDurationMillis, DeleteTimeMillis FROM Trees`},
		{"no head", "DELETE FROM TreeHead"},
		{"a head that is none", "UPDATE TreeHead SET RootHash = x'00'"},
		{"a head of negative size", "UPDATE TreeHead SET TreeSize = -1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, path := t.Context(), filepath.Join(t.TempDir(), "engine.db")
			require.NoError(t, Create(ctx, path))
			e, err := Open(ctx, path)
			require.NoError(t, err)
			_, err = e.db.Write.ExecContext(ctx, c.statement)
			require.NoError(t, err)
			require.NoError(t, e.Close())
			_, err = Open(ctx, path)
			require.ErrorIs(t, err, ledger.ErrFork)
		})
	}
}

// TestHeadsOnlyGrow: the storage refuses what two sequencers or a bad clock
// could make of the head.
func TestHeadsOnlyGrow(t *testing.T) {
	ctx := t.Context()
	s, admin := fresh(ctx, t)
	tree, err := storage.CreateTree(ctx, admin, &trillian.Tree{
		TreeState: trillian.TreeState_ACTIVE, TreeType: trillian.TreeType_LOG, MaxRootDuration: durationpb.New(0),
	})
	require.NoError(t, err)
	store := func(at, size uint64) error {
		b, err := (&types.LogRootV1{RootHash: rfc6962.DefaultHasher.EmptyRoot(), TimestampNanos: at, TreeSize: size}).MarshalBinary()
		require.NoError(t, err)
		return s.ReadWriteTransaction(ctx, tree, func(ctx context.Context, tx storage.LogTreeTX) error {
			return tx.StoreSignedLogRoot(ctx, &trillian.SignedLogRoot{LogRoot: b})
		})
	}
	require.NoError(t, store(10, 5))
	require.Error(t, store(10, 6), "at the same time")
	require.Error(t, store(9, 6), "earlier")
	require.Error(t, store(11, 4), "smaller")
	require.NoError(t, store(11, 5))
	require.NoError(t, store(12, 6))
}
