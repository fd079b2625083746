// Package enginetest holds every ledger.Engine to its contract. An engine's
// tests call Run; the roots that it checks against are computed by
// golang.org/x/mod/sumdb/tlog.
//
// It knows nothing of how an engine stores or orders what it is given, and does
// not try what an engine cannot be asked through its interface: a kill, a
// power loss, rows that somebody edited.
//
// Begin reading at Run.
package enginetest

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger"
)

// A Place is where one log is kept: it opens the engine there. It is called
// again only after the engine before was closed.
type Place func(t *testing.T) ledger.Engine

// Run runs the suite. fresh makes the place of a new, empty log.
func Run(t *testing.T, fresh func(t *testing.T) Place) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Place)
	}{
		{"an empty tree", testEmpty},
		{"leaves in order of queueing", testOrder},
		{"many leaves at once", testMany},
		{"what is queued is not in the tree", testQueued},
		{"the same entry again", testAgain},
		{"an identity with another leaf", testConflict},
		{"a restart", testRestart},
		{"a context that has ended", testEnded},
		{"many callers", testCallers},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, fresh(t)) })
	}
}

// Entries returns the entries from start up to but not including end of an
// endless sequence in which no two are alike.
func Entries(start, end uint64) []ledger.Entry {
	var out []ledger.Entry
	for n := start; n < end; n++ {
		c := custody.Hash(binary.BigEndian.AppendUint64([]byte("leaf"), n))
		out = append(out, ledger.Entry{
			Leaf:     custody.NewLeaf(c, custody.Tag(custody.Hash(c[:]))),
			Identity: custody.Identity(c),
		})
	}
	return out
}

// Root returns the root of the tree over the leaves of entries.
func Root(t testing.TB, entries []ledger.Entry) custody.Digest {
	t.Helper()
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			found[i] = stored[x]
		}
		return found, nil
	})
	for i := range entries {
		hashes, err := tlog.StoredHashes(int64(i), entries[i].Leaf[:], reader)
		require.NoError(t, err)
		stored = append(stored, hashes...)
	}
	root, err := tlog.TreeHash(int64(len(entries)), reader)
	require.NoError(t, err)
	return custody.Digest(root)
}

// Holds requires that the engine's tree is of exactly these entries in this
// order, whichever way it is asked.
func Holds(t testing.TB, e ledger.Engine, entries []ledger.Entry) {
	t.Helper()
	ctx, size := t.Context(), uint64(len(entries))
	head, err := e.Head(ctx)
	require.NoError(t, err)
	require.Equal(t, ledger.Head{Size: size, Root: Root(t, entries)}, head)
	for _, r := range [][2]uint64{{0, size}, {0, 0}, {size, size}, {size / 2, size}, {size / 3, size - size/3}} {
		got, err := e.Leaves(ctx, r[0], r[1])
		require.NoError(t, err)
		require.Len(t, got, int(r[1]-r[0]))
		require.True(t, slices.Equal(entries[r[0]:r[1]], got), "leaves %d to %d", r[0], r[1])
	}
	_, err = e.Leaves(ctx, 0, size+1)
	require.Error(t, err, "a leaf beyond the tree")
	require.NotErrorIs(t, err, ledger.ErrFork, "a leaf beyond the tree")
	_, err = e.Leaves(ctx, size, size+1)
	require.Error(t, err, "a leaf beyond the tree")
	require.NotErrorIs(t, err, ledger.ErrFork, "a leaf beyond the tree")
	for n := range entries {
		if n%7 != 0 && n != len(entries)-1 {
			continue
		}
		index, ok, err := e.Index(ctx, entries[n].Identity)
		require.NoError(t, err)
		require.True(t, ok)
		require.EqualValues(t, n, index)
	}
}

func open(t *testing.T, p Place) ledger.Engine {
	t.Helper()
	e := p(t)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}

func integrate(t *testing.T, e ledger.Engine, want []ledger.Entry) {
	t.Helper()
	head, err := e.Integrate(t.Context())
	require.NoError(t, err)
	require.Equal(t, ledger.Head{Size: uint64(len(want)), Root: Root(t, want)}, head)
	Holds(t, e, want)
}

func queue(t *testing.T, e ledger.Engine, entries []ledger.Entry) {
	t.Helper()
	require.NoError(t, e.Queue(t.Context(), entries))
}

func testEmpty(t *testing.T, p Place) {
	e := open(t, p)
	Holds(t, e, nil)
	integrate(t, e, nil)
	queue(t, e, nil)
	integrate(t, e, nil)
	_, ok, err := e.Index(t.Context(), Entries(0, 1)[0].Identity)
	require.NoError(t, err)
	require.False(t, ok)
}

// testOrder grows a tree across the borders at which trees are stored.
func testOrder(t *testing.T, p Place) {
	e := open(t, p)
	var size uint64
	for _, end := range []uint64{1, 2, 3, 10, 254, 255, 256, 257, 511, 513, 1024, 1025} {
		queue(t, e, Entries(size, end))
		integrate(t, e, Entries(0, end))
		size = end
	}
	queue(t, e, Entries(size, size+5))
	queue(t, e, Entries(size+5, size+6))
	queue(t, e, Entries(size+6, size+20))
	integrate(t, e, Entries(0, size+20))
}

func testMany(t *testing.T, p Place) {
	e := open(t, p)
	const n = 9000
	queue(t, e, Entries(0, n))
	integrate(t, e, Entries(0, n))
}

func testQueued(t *testing.T, p Place) {
	e := open(t, p)
	queue(t, e, Entries(0, 3))
	integrate(t, e, Entries(0, 3))
	queue(t, e, Entries(3, 5))
	Holds(t, e, Entries(0, 3))
	_, ok, err := e.Index(t.Context(), Entries(3, 4)[0].Identity)
	require.NoError(t, err)
	require.False(t, ok)
	integrate(t, e, Entries(0, 5))
}

func testAgain(t *testing.T, p Place) {
	e := open(t, p)
	queue(t, e, Entries(0, 4))
	queue(t, e, Entries(2, 5))
	queue(t, e, append(Entries(5, 6), Entries(5, 6)...))
	integrate(t, e, Entries(0, 6))
	queue(t, e, Entries(0, 6))
	integrate(t, e, Entries(0, 6))
	queue(t, e, Entries(4, 8))
	integrate(t, e, Entries(0, 8))
}

func testConflict(t *testing.T, p Place) {
	e := open(t, p)
	claim := func(n, with uint64) []ledger.Entry {
		return []ledger.Entry{{Leaf: Entries(with, with+1)[0].Leaf, Identity: Entries(n, n+1)[0].Identity}}
	}
	queue(t, e, Entries(0, 2))
	require.ErrorIs(t, e.Queue(t.Context(), claim(1, 9)), ledger.ErrConflict, "queued")
	integrate(t, e, Entries(0, 2))
	require.ErrorIs(t, e.Queue(t.Context(), claim(0, 9)), ledger.ErrConflict, "in the tree")
	require.ErrorIs(t, e.Queue(t.Context(), claim(0, 1)), ledger.ErrConflict, "with a leaf that is there")
	require.ErrorIs(t, e.Queue(t.Context(), append(Entries(2, 3), claim(2, 9)...)), ledger.ErrConflict, "in one call")
	queue(t, e, Entries(2, 3)) // whether or not the call before took it in
	integrate(t, e, Entries(0, 3))
}

func testRestart(t *testing.T, p Place) {
	e := p(t)
	Holds(t, e, nil)
	require.NoError(t, e.Close())
	e = p(t)
	queue(t, e, Entries(0, 300))
	integrate(t, e, Entries(0, 300))
	queue(t, e, Entries(300, 310))
	queue(t, e, Entries(310, 320))
	require.NoError(t, e.Close())
	e = open(t, p)
	Holds(t, e, Entries(0, 300))
	queue(t, e, Entries(315, 325))
	integrate(t, e, Entries(0, 325))
}

func testEnded(t *testing.T, p Place) {
	e := open(t, p)
	queue(t, e, Entries(0, 2))
	integrate(t, e, Entries(0, 2))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, e.Queue(ctx, Entries(2, 3)))
	_, err := e.Integrate(ctx)
	require.Error(t, err)
	_, err = e.Head(ctx)
	require.Error(t, err)
	_, err = e.Leaves(ctx, 0, 1)
	require.Error(t, err)
	_, _, err = e.Index(ctx, Entries(0, 1)[0].Identity)
	require.Error(t, err)
	Holds(t, e, Entries(0, 2))
	queue(t, e, Entries(2, 4))
	integrate(t, e, Entries(0, 4))
}

// testCallers queues, integrates and reads at once: every entry gets one
// place, and every head that anybody saw is one of the tree in the end.
func testCallers(t *testing.T, p Place) {
	e := open(t, p)
	const callers, each = 8, 20
	var mu sync.Mutex
	heads := map[ledger.Head]bool{}
	saw := func(h ledger.Head) {
		mu.Lock()
		defer mu.Unlock()
		heads[h] = true
	}
	g, ctx := errgroup.WithContext(t.Context())
	for caller := range uint64(callers) {
		g.Go(func() error {
			for n := caller * each; n < (caller+1)*each; n++ {
				if err := e.Queue(ctx, Entries(n, n+1)); err != nil {
					return err
				}
				h, err := e.Integrate(ctx)
				if err != nil {
					return err
				}
				saw(h)
				if h, err = e.Head(ctx); err != nil {
					return err
				}
				saw(h)
				if _, err := e.Leaves(ctx, 0, h.Size); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	got, err := e.Leaves(t.Context(), 0, callers*each)
	require.NoError(t, err)
	require.ElementsMatch(t, Entries(0, callers*each), got)
	Holds(t, e, got)
	for h := range heads {
		require.LessOrEqual(t, h.Size, uint64(len(got)))
		require.Equal(t, Root(t, got[:h.Size]), h.Root, "at size %d", h.Size)
	}
}
