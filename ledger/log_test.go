package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/ledger/keep"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childFolder); dir != "" {
		fmt.Fprintln(os.Stderr, appendForEver(dir))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func TestManyCallers(t *testing.T) {
	p := newPlace(t)
	l := p.open(t)
	var g given
	var wg sync.WaitGroup
	for n := range 64 {
		wg.Go(func() {
			for i := range 8 {
				leaves, identities := leavesOf(n*8+i, n*8+i+1)
				receipts, err := l.Append(ctx, leaves, identities)
				if err != nil {
					t.Error(err)
					return
				}
				g.add(leaves, receipts)
			}
		})
	}
	wg.Wait()
	require.Len(t, g.receipts, 512)
	checkLog(t, p, l, &g)
}

func TestReceiptsInOrder(t *testing.T) {
	p := newPlace(t)
	l := p.open(t)
	var g given
	receipts := g.append(t, l, 0, 1024)
	for i, r := range receipts {
		require.EqualValues(t, i, r.Index)
		require.Equal(t, l.Checkpoint(), r.Checkpoint)
	}
	none, err := l.Append(ctx, nil, nil)
	require.NoError(t, err)
	require.Empty(t, none)
	checkLog(t, p, l, &g)
}

// TestSizes goes over the edges of tiles, with a restart at each.
func TestSizes(t *testing.T) {
	p := newPlace(t)
	var g given
	last := 0
	for _, size := range []int{0, 1, 2, 255, 256, 257, 511, 512, 600, 768} {
		p.during(t, func(l *ledger.Log) {
			if size > last {
				g.append(t, l, last, size)
			}
			last = size
			checkLog(t, p, l, &g)
		})
		p.during(t, func(l *ledger.Log) { checkLog(t, p, l, &g) })
	}
}

func TestAgain(t *testing.T) {
	p := newPlace(t)
	l := p.open(t)
	var g given
	first := g.append(t, l, 0, 300)
	before := l.Checkpoint()
	again := g.append(t, l, 0, 300)
	require.Equal(t, first, again)
	require.Equal(t, before, l.Checkpoint(), "nothing new was signed")

	leaves, identities := leavesOf(299, 301)
	leaves, identities = append(leaves, leaves...), append(identities, identities...)
	receipts, err := l.Append(ctx, leaves, identities)
	require.NoError(t, err)
	for i, want := range []uint64{299, 300, 299, 300} {
		require.Equal(t, want, receipts[i].Index)
	}
	g.add(leaves, receipts)
	checkLog(t, p, l, &g)
}

func TestConflictStopsTheLog(t *testing.T) {
	p := newPlace(t)
	var g given
	p.during(t, func(l *ledger.Log) {
		g.append(t, l, 0, 3)
		other, _ := leavesOf(7, 8)
		_, identities := leavesOf(1, 2)
		_, err := l.Append(ctx, other, identities)
		require.ErrorIs(t, err, ledger.ErrConflict)
		require.ErrorIs(t, l.Ready(), ledger.ErrConflict)
		leaves, identities := leavesOf(3, 4)
		_, err = l.Append(ctx, leaves, identities)
		require.ErrorIs(t, err, ledger.ErrConflict)
		checkLog(t, p, l, &g)
	})
	p.during(t, func(l *ledger.Log) {
		require.NoError(t, l.Ready())
		g.append(t, l, 3, 4)
		checkLog(t, p, l, &g)
	})
}

func TestAppendRefusesWhatIsNoLeaf(t *testing.T) {
	l := newPlace(t).open(t)
	leaves, identities := leavesOf(0, 2)
	_, err := l.Append(ctx, leaves, identities[:1])
	require.Error(t, err)
	leaves[1][0] = 2
	_, err = l.Append(ctx, leaves, identities)
	require.Error(t, err)
	require.NoError(t, l.Ready())
	_, _, err = l.Prove(ctx, identities)
	require.ErrorIs(t, err, custody.ErrUnknown)
}

func TestProve(t *testing.T) {
	p := newPlace(t)
	l := p.open(t)
	var g given
	g.append(t, l, 0, 700)
	g.append(t, l, 700, 701)
	leaves, identities := leavesOf(0, 701)
	receipts, checkpoint, err := l.Prove(ctx, identities)
	require.NoError(t, err)
	require.Equal(t, l.Checkpoint(), checkpoint)
	for i, r := range receipts {
		require.EqualValues(t, i, r.Index)
		require.Equal(t, checkpoint, r.Checkpoint)
	}
	g.add(leaves, receipts)
	checkLog(t, p, l, &g)

	_, unknown := leavesOf(700, 702)
	_, _, err = l.Prove(ctx, unknown)
	require.ErrorIs(t, err, custody.ErrUnknown)
}

func TestLeaves(t *testing.T) {
	l := newPlace(t).open(t)
	var g given
	g.append(t, l, 0, 520)
	for _, n := range []uint64{0, 1, 256, 300, 520} {
		var got []custody.Leaf
		require.NoError(t, l.Leaves(ctx, n, func(leaf custody.Leaf) error {
			got = append(got, leaf)
			return nil
		}))
		want, _ := leavesOf(0, int(n))
		require.Equal(t, want, got)
	}
	require.ErrorIs(t, l.Leaves(ctx, 521, func(custody.Leaf) error { return nil }), custody.ErrUnknown)
	enough := errors.New("enough")
	require.ErrorIs(t, l.Leaves(ctx, 520, func(custody.Leaf) error { return enough }), enough)
}

func TestTile(t *testing.T) {
	l := newPlace(t).open(t)
	var g given
	g.append(t, l, 0, 300)
	got := func(path string) []byte {
		b, err := l.Tile(ctx, path)
		require.NoError(t, err, path)
		return b
	}
	require.Equal(t, l.Checkpoint(), got("checkpoint"))
	require.Len(t, got("tile/0/000"), 256*32)
	require.Equal(t, got("tile/0/000")[:7*32], got("tile/0/000.p/7"), "a published width, although the tile is full")
	require.Len(t, got("tile/0/001.p/44"), 44*32)
	require.Len(t, got("tile/1/000.p/1"), 32)
	require.Len(t, got("tile/entries/000"), 256*67)
	require.Equal(t, got("tile/entries/001.p/44")[:67], got("tile/entries/001.p/1"))
	for _, path := range []string{
		"", "checkpoint/", "tile/0/001", "tile/0/001.p/45", "tile/0/002.p/1", "tile/1/000", "tile/1/000.p/2", "tile/2/000.p/1",
		"tile/8/000.p/1", "tile/63/000.p/1", "tile/64/000.p/1", "tile/entries/001", "tile/entries/001.p/45", "tile/entries/002.p/1", "tile/data/000",
	} {
		_, err := l.Tile(ctx, path)
		require.ErrorIs(t, err, custody.ErrUnknown, path)
	}
}

func TestCreateOnce(t *testing.T) {
	p := newPlace(t)
	recreate := func() error {
		c, end := p.parts(t)
		defer end()
		return ledger.Create(ctx, c)
	}
	require.ErrorIs(t, recreate(), ledger.ErrExists, "the lock is there")
	var g given
	p.during(t, func(l *ledger.Log) { g.append(t, l, 0, 1) })
	require.NoError(t, os.Remove(p.file("lock")))
	_, err := p.try(t)
	require.ErrorIs(t, err, ledger.ErrNoHead)
	require.NoError(t, os.Remove(p.file("tiles")))
	require.ErrorIs(t, recreate(), ledger.ErrExists, "the engine has leaves")

	q := newPlace(t)
	require.NoError(t, os.Remove(q.file("lock")))
	c, end := q.parts(t)
	defer end()
	require.ErrorIs(t, ledger.Create(ctx, c), ledger.ErrExists, "a checkpoint was published")
}

func TestOpenRefusesOtherKeys(t *testing.T) {
	p, q := newPlace(t), newPlace(t)
	p.wrap = func(c *ledger.Config) { c.Signer = q.signer }
	_, err := p.try(t)
	require.Error(t, err, "the signer is not the verifier's")
	p.wrap = func(c *ledger.Config) { c.Signer, c.Keys = q.signer, custody.LogKeys{q.verifier} }
	_, err = p.try(t)
	require.ErrorIs(t, err, ledger.ErrFork, "the lock was signed by another key")
	p.wrap = func(c *ledger.Config) { c.Origin = "log.example/other" }
	_, err = p.try(t)
	require.Error(t, err)
}

func TestClockSetBack(t *testing.T) {
	p := newPlace(t)
	var g given
	p.during(t, func(l *ledger.Log) {
		p.clock.set(2 * time.Hour)
		g.append(t, l, 0, 2)
		p.clock.set(time.Hour)
		leaves, identities := leavesOf(2, 3)
		_, err := l.Append(ctx, leaves, identities)
		require.ErrorIs(t, err, ledger.ErrClock)
		require.ErrorIs(t, l.Ready(), ledger.ErrClock)
		checkLog(t, p, l, &g)
	})
	p.during(t, func(l *ledger.Log) {
		require.ErrorIs(t, l.Ready(), ledger.ErrClock, "after a restart, too")
		checkLog(t, p, l, &g)
		p.clock.set(3 * time.Hour)
		require.NoError(t, l.Ready())
		g.append(t, l, 2, 3)
		checkLog(t, p, l, &g)
	})
}

func TestCallerLeavesEarly(t *testing.T) {
	p := newPlace(t)
	begun, slow := make(chan struct{}, 9), make(chan struct{})
	f := &faults{before: func(step string) error {
		if step == "Integrate" {
			begun <- struct{}{}
			<-slow
		}
		return nil
	}}
	p.wrap = f.wrap
	l := p.open(t)
	f.armed.Store(true)
	gone, leave := context.WithCancel(ctx)
	done := make(chan error)
	leaves, identities := leavesOf(0, 2)
	go func() {
		_, err := l.Append(gone, leaves, identities)
		done <- err
	}()
	<-begun
	leave()
	require.ErrorIs(t, <-done, context.Canceled)
	close(slow)
	var g given
	g.append(t, l, 0, 2)
	checkLog(t, p, l, &g)
}

func TestClosed(t *testing.T) {
	p := newPlace(t)
	var g given
	c, end := p.parts(t)
	defer end()
	l, err := ledger.Open(ctx, c)
	require.NoError(t, err)
	g.append(t, l, 0, 1)
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Ready(), ledger.ErrClosed)
	leaves, identities := leavesOf(1, 2)
	_, err = l.Append(ctx, leaves, identities)
	require.ErrorIs(t, err, ledger.ErrClosed)
}

// TestTwoPublishers: two logs on one engine and one lock take turns and follow
// one another.
func TestTwoPublishers(t *testing.T) {
	p := newPlace(t)
	c, end := p.parts(t)
	defer end()
	tiles, err := keep.OpenTiles(ctx, p.file("tiles2"))
	require.NoError(t, err)
	defer tiles.Close()
	other := c
	other.Tiles = tiles
	var logs []*ledger.Log
	for _, c := range []ledger.Config{c, other} {
		l, err := ledger.Open(ctx, c)
		require.NoError(t, err)
		defer l.Close()
		logs = append(logs, l)
	}
	var g given
	for i := range 20 {
		g.append(t, logs[i%2], i*100, i*100+100)
	}
	var wg sync.WaitGroup
	for n, l := range logs {
		wg.Go(func() {
			for i := range 10 {
				at := 2000 + 100*(10*n+i)
				for {
					leaves, identities := leavesOf(at, at+100)
					receipts, err := l.Append(ctx, leaves, identities)
					if errors.Is(err, ledger.ErrLockMoved) {
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					g.add(leaves, receipts)
					break
				}
			}
		})
	}
	wg.Wait()
	for _, l := range logs {
		g.append(t, l, 0, 1) // follows the other
	}
	g.append(t, logs[0], 4000, 4001)
	checkLog(t, p, logs[0], &g)
}
