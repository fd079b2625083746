package keep_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/ledger/keep"
)

var ctx = context.Background()

func openLock(t *testing.T, path string) *keep.Lock {
	t.Helper()
	l, err := keep.OpenLock(ctx, path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

func openTiles(t *testing.T, path string) *keep.Tiles {
	t.Helper()
	s, err := keep.OpenTiles(ctx, path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock.db")
	l := openLock(t, path)
	_, _, err := l.Load(ctx)
	require.ErrorIs(t, err, ledger.ErrNoHead)
	at := time.Date(2026, 11, 23, 21, 0, 0, 123456789, time.UTC)
	require.ErrorIs(t, l.Swap(ctx, []byte("zero"), []byte("one"), at), ledger.ErrLockMoved)
	_, _, err = l.Load(ctx)
	require.ErrorIs(t, err, ledger.ErrNoHead, "nothing changed")

	require.NoError(t, l.Swap(ctx, nil, []byte("one"), at))
	require.ErrorIs(t, l.Swap(ctx, nil, []byte("two"), at), ledger.ErrLockMoved)
	require.ErrorIs(t, l.Swap(ctx, []byte("on"), []byte("two"), at), ledger.ErrLockMoved)
	again := openLock(t, path)
	signed, when, err := again.Load(ctx)
	require.NoError(t, err)
	require.Equal(t, []byte("one"), signed)
	require.Equal(t, at, when)

	require.NoError(t, again.Swap(ctx, []byte("one"), []byte("two"), at.Add(time.Second)))
	signed, when, err = l.Load(ctx)
	require.NoError(t, err)
	require.Equal(t, []byte("two"), signed)
	require.Equal(t, at.Add(time.Second), when)
}

// TestOneSwapWins: of many that replace the same head, from two processes'
// handles, one does.
func TestOneSwapWins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock.db")
	locks := []*keep.Lock{openLock(t, path), openLock(t, path)}
	var old []byte
	for round := range 20 {
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				err := locks[i%2].Swap(ctx, old, fmt.Append(nil, round, i), time.Now())
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, ledger.ErrLockMoved) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, won.Load())
		var err error
		old, _, err = locks[0].Load(ctx)
		require.NoError(t, err)
	}
}

func TestTiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tiles.db")
	s := openTiles(t, path)
	signed, err := s.Checkpoint(ctx)
	require.NoError(t, err)
	require.Empty(t, signed)
	_, err = s.Tile(ctx, 0, 0)
	require.ErrorIs(t, err, custody.ErrUnknown)

	require.NoError(t, s.Put(ctx, []ledger.Tile{{Level: 0, N: 3, Data: []byte("a")}, {Level: ledger.EntryLevel, N: 3, Data: []byte("b")}}, []byte("one")))
	require.NoError(t, s.Put(ctx, []ledger.Tile{{Level: 0, N: 3, Data: []byte("longer")}, {Level: 1, N: 1 << 40, Data: []byte("c")}}, nil))
	for _, reader := range []*keep.Tiles{s, openTiles(t, path)} {
		for _, want := range []ledger.Tile{
			{Level: 0, N: 3, Data: []byte("longer")}, {Level: ledger.EntryLevel, N: 3, Data: []byte("b")}, {Level: 1, N: 1 << 40, Data: []byte("c")},
		} {
			got, err := reader.Tile(ctx, want.Level, want.N)
			require.NoError(t, err)
			require.Equal(t, want.Data, got)
		}
		signed, err := reader.Checkpoint(ctx)
		require.NoError(t, err)
		require.Equal(t, []byte("one"), signed)
	}
}

// TestPutIsWhole: what cannot be stored whole is not stored at all.
func TestPutIsWhole(t *testing.T) {
	s := openTiles(t, filepath.Join(t.TempDir(), "tiles.db"))
	require.Error(t, s.Put(ctx, []ledger.Tile{{Level: 0, N: 0, Data: []byte("a")}, {Level: 0, N: 1, Data: nil}}, []byte("one")))
	_, err := s.Tile(ctx, 0, 0)
	require.ErrorIs(t, err, custody.ErrUnknown)
	signed, err := s.Checkpoint(ctx)
	require.NoError(t, err)
	require.Empty(t, signed)
}
