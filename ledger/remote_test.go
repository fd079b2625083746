package ledger_test

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/ledger/trillian"
	"github.com/forensic-custody/custody/ledger/trillian/trilliantest"
)

// The log on a Trillian log server: what happens to servers and to their
// database, and what the log makes of it.

// newRemotePlace creates a log of size 0 on a server.
func newRemotePlace(t testing.TB, on *trilliantest.Installation) *place {
	t.Helper()
	p := newFolder(t)
	p.newTree(t, on)
	p.begin(t)
	return p
}

// newTree gives a place an empty tree on the server.
func (p *place) newTree(t testing.TB, on *trilliantest.Installation) {
	t.Helper()
	r := trillian.Remote{Address: on.Address, Patience: 10 * time.Second}
	var err error
	r.Tree, err = trillian.CreateTree(ctx, r, origin)
	require.NoError(t, err)
	r.Places = p.file(fmt.Sprint("places-", r.Tree))
	p.remote = &r
}

// edit changes rows of the place's tree. A statement ends where its condition
// on the tree begins.
func (p *place) edit(t testing.TB, on *trilliantest.Installation, statement string) {
	t.Helper()
	on.Edit(t, fmt.Sprintf("%sTreeId = %d", statement, p.remote.Tree))
}

// TestOnAServer: a log on a server does what a log does.
func TestOnAServer(t *testing.T) {
	t.Parallel()
	on := trilliantest.Start(t)
	p := newRemotePlace(t, on)
	var g given
	for round := range 3 {
		p.during(t, func(l *ledger.Log) {
			start := round * 100
			g.append(t, l, start, start+1)
			g.append(t, l, start+1, start+100)
			g.append(t, l, start, start+10) // again
			g.append(t, l, 0, 2)
			checkLog(t, p, l, &g)
		})
	}
	for _, what := range []string{"tiles", fmt.Sprint("places-", p.remote.Tree)} {
		require.NoError(t, os.Remove(p.file(what)))
	}
	p.during(t, func(l *ledger.Log) {
		g.append(t, l, 299, 301)
		checkLog(t, p, l, &g)
	})
}

// TestServerSetBack: a database that was restored from a backup stops the log,
// be it running or not, whatever was in it before.
func TestServerSetBack(t *testing.T) {
	t.Parallel()
	on := trilliantest.Start(t)
	p := newRemotePlace(t, on)
	var g given
	p.during(t, func(l *ledger.Log) { g.append(t, l, 0, 30) })
	old := on.Backup(t)
	l := p.open(t)
	g.append(t, l, 30, 50)
	now := on.Backup(t)

	on.Restore(t, old)
	leaves, identities := leavesOf(50, 52)
	require.Eventually(t, func() bool {
		_, err := l.Append(ctx, leaves, identities)
		require.Error(t, err)
		return l.Ready() != nil && halted(l)
	}, 20*time.Second, 10*time.Millisecond)
	require.ErrorIs(t, l.Ready(), ledger.ErrRollback)
	_, _, err := l.Prove(ctx, identities)
	require.Error(t, err)

	_, err = p.try(t)
	require.ErrorIs(t, err, ledger.ErrRollback)
	require.NoError(t, os.Remove(p.remote.Places)) // which remembers the size, too
	_, err = p.try(t)
	require.ErrorIs(t, err, ledger.ErrRollback, "the lock remembers")

	on.Restore(t, now)
	p.during(t, func(l *ledger.Log) {
		g.append(t, l, 50, 52)
		checkLog(t, p, l, &g)
	})
}

// halted says that the log has stopped, and not only that it is in trouble.
func halted(l *ledger.Log) bool {
	for _, err := range []error{ledger.ErrRollback, ledger.ErrFork, ledger.ErrConflict} {
		if errors.Is(l.Ready(), err) {
			return true
		}
	}
	return false
}

// TestServerLies: rows of the database are edited, or another tree is there, and
// the log is opened and appended to.
func TestServerLies(t *testing.T) {
	t.Parallel()
	on := trilliantest.Start(t)
	other, _ := leavesOf(7777, 7778)
	hash := custody.Hash(append([]byte{0}, other[0][:]...))
	const newest = "TreeHeadTimestamp = (SELECT max(TreeHeadTimestamp) FROM TreeHead t WHERE t.TreeId = TreeHead.TreeId) AND "
	for _, c := range []struct {
		name, statement string
		want            error
		late            bool // it is found when the next leaf comes: the signer builds nothing on it
	}{
		{"the head's root", fmt.Sprintf(`UPDATE TreeHead SET RootHash = '\x%s' WHERE %s`, hash.Hex(), newest), ledger.ErrFork, false},
		{"the head taken away", "DELETE FROM TreeHead WHERE " + newest, ledger.ErrRollback, false},
		{"the head's size", "UPDATE TreeHead SET TreeSize = TreeSize - 1 WHERE " + newest, ledger.ErrRollback, false},
		{"the last leaf taken away", "DELETE FROM SequencedLeafData WHERE SequenceNumber = 32 AND ", ledger.ErrFork, false},
		{"a leaf exchanged", fmt.Sprintf(`UPDATE SequencedLeafData SET MerkleLeafHash = '\x%s' WHERE SequenceNumber = 20 AND `, hash.Hex()), ledger.ErrFork, false},
		{"a tree of other nodes", `UPDATE Subtree SET Nodes = overlay(Nodes placing '\x00112233' from position(MerkleLeafHash in Nodes)) FROM SequencedLeafData s
			WHERE s.TreeId = Subtree.TreeId AND SequenceNumber = 32 AND Subtree.`, trillian.ErrStalled, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newRemotePlace(t, on)
			var g given
			p.during(t, func(l *ledger.Log) {
				g.append(t, l, 0, 20)
				g.append(t, l, 20, 33)
			})
			p.edit(t, on, c.statement)
			l, err := p.try(t)
			if c.late {
				require.NoError(t, err)
				leaves, identities := leavesOf(33, 34)
				_, err = l.Append(ctx, leaves, identities)
				require.ErrorIs(t, l.Ready(), c.want)
			}
			require.ErrorIs(t, err, c.want)
		})
	}
	t.Run("another tree", func(t *testing.T) {
		p, q := newRemotePlace(t, on), newRemotePlace(t, on)
		var g, h given
		p.during(t, func(l *ledger.Log) { g.append(t, l, 0, 10) })
		q.during(t, func(l *ledger.Log) { h.append(t, l, 100, 120) })
		p.remote = q.remote
		_, err := p.try(t)
		require.ErrorIs(t, err, ledger.ErrFork)
		p.newTree(t, on)
		_, err = p.try(t)
		require.ErrorIs(t, err, ledger.ErrRollback, "an empty tree")
	})
	t.Run("an old leaf", func(t *testing.T) {
		p := newRemotePlace(t, on)
		var g given
		p.during(t, func(l *ledger.Log) { g.append(t, l, 0, 300) })
		p.edit(t, on, fmt.Sprintf(`UPDATE LeafData SET LeafValue = '\x%x' WHERE LeafIdentityHash =
			(SELECT LeafIdentityHash FROM SequencedLeafData s WHERE s.TreeId = LeafData.TreeId AND SequenceNumber = 5) AND `, other[0]))
		p.during(t, func(l *ledger.Log) {
			require.ErrorIs(t, l.Check(ctx), ledger.ErrFork)
			leaves, identities := leavesOf(5, 6)
			_, err := l.Append(ctx, leaves, identities)
			require.ErrorIs(t, err, ledger.ErrConflict)
		})
	})
}

// TestServerExchangesLeaves: what a clock that is set back does to two leaves in
// the queue is not signed, neither now nor after a restart.
func TestServerExchangesLeaves(t *testing.T) {
	t.Parallel()
	on := trilliantest.Start(t)
	p := newRemotePlace(t, on)
	l := p.open(t)
	var g given
	g.append(t, l, 0, 5)
	on.LogSigner.Pause()
	var group errgroup.Group
	group.Go(func() error {
		leaves, identities := leavesOf(5, 9)
		_, err := l.Append(ctx, leaves, identities)
		return err
	})
	waiting := fmt.Sprintf("FROM Unsequenced WHERE TreeId = %d", p.remote.Tree)
	require.Eventually(t, func() bool { return on.SQL(t, "trillian", "SELECT count(*) "+waiting) == "4" }, 5*time.Second, 10*time.Millisecond)
	on.Edit(t, "UPDATE Unsequenced SET QueueTimestampNanos = (SELECT min(QueueTimestampNanos) - 1000 "+waiting+
		") WHERE QueueTimestampNanos = (SELECT max(QueueTimestampNanos) "+waiting+")")
	on.LogSigner.Resume()
	require.ErrorIs(t, group.Wait(), ledger.ErrFork)
	require.ErrorIs(t, l.Ready(), ledger.ErrFork)
	checkLog(t, p, l, &g)
	c, err := custody.CheckpointBody(l.Checkpoint())
	require.NoError(t, err)
	require.EqualValues(t, 5, c.Size)
	_, _, err = p.assemble()
	require.ErrorIs(t, err, ledger.ErrFork)
}

// TestServerStalls: while the signer stands still nobody gets a receipt, and when
// it works again the log goes on by itself.
func TestServerStalls(t *testing.T) {
	t.Parallel()
	on := trilliantest.Start(t)
	p := newRemotePlace(t, on)
	p.remote.Patience = 3 * time.Second
	l := p.open(t)
	var g given
	g.append(t, l, 0, 5)
	on.LogSigner.Pause()
	leaves, identities := leavesOf(5, 8)
	_, err := l.Append(ctx, leaves, identities)
	require.ErrorIs(t, err, trillian.ErrStalled)
	require.ErrorIs(t, l.Ready(), trillian.ErrStalled)
	_, _, err = l.Prove(ctx, identities)
	require.ErrorIs(t, err, custody.ErrUnknown)
	checkLog(t, p, l, &g)
	on.LogSigner.Resume()
	require.Eventually(t, func() bool { return l.Ready() == nil }, 10*time.Second, 10*time.Millisecond)
	receipts, _, err := l.Prove(ctx, identities)
	require.NoError(t, err)
	g.add(leaves, receipts)
	checkLog(t, p, l, &g)
}

// TestServerWithTwoSigners: a second signer, which there must not be, costs time
// and nothing else, as PostgreSQL is told to isolate them.
func TestServerWithTwoSigners(t *testing.T) {
	t.Parallel()
	on := trilliantest.Start(t)
	on.Signer(t)
	p := newRemotePlace(t, on)
	l := p.open(t)
	var g given
	for n := 0; n < 300; n += 3 {
		g.append(t, l, n, n+3)
	}
	checkLog(t, p, l, &g)
}

// TestServersKilled: kill -9 for the log server, the signer and PostgreSQL in
// turn, under load. Whatever was acknowledged is in the log, once, and the log
// goes on by itself.
func TestServersKilled(t *testing.T) {
	t.Parallel()
	on := trilliantest.Start(t)
	p := newRemotePlace(t, on)
	l := p.open(t)
	var g given
	next := 0
	for round, victim := range []*trilliantest.Process{on.LogServer, on.LogSigner, on.PostgreSQL} {
		killed := make(chan struct{})
		go func() {
			time.Sleep(time.Duration(150+70*round) * time.Millisecond) // under load; no moment is better than another
			victim.Kill()
			close(killed)
		}()
		failed := 0
		for ended := false; !ended; {
			leaves, identities := leavesOf(next, next+3)
			receipts, err := l.Append(ctx, leaves, identities)
			if err == nil {
				g.add(leaves, receipts)
				next += 3
				continue
			}
			failed++
			select {
			case <-killed:
				ended = true
			case <-time.After(time.Millisecond):
			}
		}
		victim.Start()
		require.Eventually(t, func() bool { return l.Ready() == nil }, 20*time.Second, 10*time.Millisecond)
		require.Positive(t, failed)
		next += 3 // what was left behind may be in the log or not
		g.append(t, l, next-3, next)
		checkLog(t, p, l, &g)
	}
}
