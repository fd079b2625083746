package ledger_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/ledger/trillian"
	"github.com/forensic-custody/custody/storage/sqlite"
)

// faults stands between a log and its parts. While it is armed it asks before
// each step whether the step fails, and after it whether a success is reported
// as a failure.
type faults struct {
	armed         atomic.Bool
	before, after func(step string) error
}

func (f *faults) wrap(c *ledger.Config) {
	c.Engine, c.Lock, c.Tiles = faultyEngine{c.Engine, f}, faultyLock{c.Lock, f}, faultyTiles{c.Tiles, f}
	if c.Archive != nil {
		c.Archive = faultyArchive{c.Archive, f}
	}
}

func step[T any](f *faults, name string, do func() (T, error)) (T, error) {
	var none T
	if f.armed.Load() && f.before != nil {
		if err := f.before(name); err != nil {
			return none, err
		}
	}
	v, err := do()
	if err == nil && f.armed.Load() && f.after != nil {
		if err := f.after(name); err != nil {
			return none, err
		}
	}
	return v, err
}

func step0(f *faults, name string, do func() error) error {
	_, err := step(f, name, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

type faultyEngine struct {
	ledger.Engine
	f *faults
}

func (e faultyEngine) Queue(ctx context.Context, entries []ledger.Entry) error {
	return step0(e.f, "Queue", func() error { return e.Engine.Queue(ctx, entries) })
}

func (e faultyEngine) Integrate(ctx context.Context) (ledger.Head, error) {
	return step(e.f, "Integrate", func() (ledger.Head, error) { return e.Engine.Integrate(ctx) })
}

func (e faultyEngine) Head(ctx context.Context) (ledger.Head, error) {
	return step(e.f, "Head", func() (ledger.Head, error) { return e.Engine.Head(ctx) })
}

func (e faultyEngine) Leaves(ctx context.Context, start, end uint64) ([]ledger.Entry, error) {
	return step(e.f, "Leaves", func() ([]ledger.Entry, error) { return e.Engine.Leaves(ctx, start, end) })
}

type faultyLock struct {
	ledger.Lock
	f *faults
}

func (l faultyLock) Swap(ctx context.Context, old, new []byte, at time.Time) error {
	return step0(l.f, "Swap", func() error { return l.Lock.Swap(ctx, old, new, at) })
}

type faultyArchive struct {
	ledger.Archive
	f *faults
}

func (a faultyArchive) Keep(ctx context.Context, first uint64, entries []ledger.Entry, published []byte) error {
	return step0(a.f, "Keep", func() error { return a.Archive.Keep(ctx, first, entries, published) })
}

// kept is an archive in memory, and stands before a lock: it refuses a
// checkpoint over leaves that it was not given.
type kept struct {
	ledger.Lock
	leaves map[uint64]custody.Leaf
}

func (k *kept) Keep(_ context.Context, first uint64, entries []ledger.Entry, published []byte) error {
	for i, e := range entries {
		at := first + uint64(i)
		if before, ok := k.leaves[at]; ok && before != e.Leaf {
			return fmt.Errorf("another leaf was kept at %d", at)
		}
		k.leaves[at] = e.Leaf
	}
	return nil
}

var errNotKept = errors.New("signed and not kept")

func (k *kept) Swap(ctx context.Context, old, new []byte, at time.Time) error {
	c, err := custody.CheckpointBody(new)
	if err != nil || c.Size > uint64(len(k.leaves)) {
		return errors.Join(errNotKept, err)
	}
	return k.Lock.Swap(ctx, old, new, at)
}

type faultyTiles struct {
	ledger.Tiles
	f *faults
}

func (t faultyTiles) Put(ctx context.Context, tiles []ledger.Tile, checkpoint []byte) error {
	return step0(t.f, "Put", func() error { return t.Tiles.Put(ctx, tiles, checkpoint) })
}

// TestEveryStepFails breaks each step of a batch twice: it did not happen; it
// happened, and was reported as failed. Then the log goes on, or is opened
// again, and keeps all its promises.
func TestEveryStepFails(t *testing.T) {
	broken := errors.New("broken")
	for _, name := range []string{"Queue", "Integrate", "Leaves", "Keep", "Swap", "Put"} {
		for _, happened := range []bool{false, true} {
			for _, restart := range []bool{false, true} {
				t.Run(fmt.Sprint(name, " happened=", happened, " restart=", restart), func(t *testing.T) {
					p := newPlace(t)
					f := new(faults)
					var struck atomic.Int32
					strike := func(step string) error {
						if step == name {
							struck.Add(1)
							return broken
						}
						return nil
					}
					if happened {
						f.after = strike
					} else {
						f.before = strike
					}
					leaves := map[uint64]custody.Leaf{}
					p.wrap = func(c *ledger.Config) {
						k := &kept{c.Lock, leaves}
						c.Lock, c.Archive = k, k
						f.wrap(c)
					}
					var g given
					p.during(t, func(l *ledger.Log) {
						g.append(t, l, 0, 250)
						f.armed.Store(true)
						leaves, identities := leavesOf(250, 270)
						_, err := l.Append(ctx, leaves, identities)
						require.ErrorIs(t, err, broken)
						require.ErrorIs(t, l.Ready(), broken)
						f.armed.Store(false)
						require.Positive(t, struck.Load())
						_, _, err = l.Prove(ctx, identities)
						require.ErrorIs(t, err, custody.ErrUnknown, "it is not published")
						checkLog(t, p, l, &g)
						if !restart {
							g.append(t, l, 250, 270)
							require.NoError(t, l.Ready())
							g.append(t, l, 270, 600)
							checkLog(t, p, l, &g)
						}
					})
					p.during(t, func(l *ledger.Log) {
						g.append(t, l, 250, 270)
						g.append(t, l, 600, 601)
						checkLog(t, p, l, &g)
					})
				})
			}
		}
	}
}

// TestTroublePasses: a log that could not publish tries again by itself, and
// what its last batch left behind is published then.
func TestTroublePasses(t *testing.T) {
	p := newPlace(t)
	broken := errors.New("broken")
	f := &faults{before: func(step string) error {
		if step == "Swap" {
			return broken
		}
		return nil
	}}
	p.wrap = f.wrap
	l := p.open(t)
	f.armed.Store(true)
	leaves, identities := leavesOf(0, 5)
	_, err := l.Append(ctx, leaves, identities)
	require.ErrorIs(t, err, broken)
	f.armed.Store(false)
	require.Eventually(t, func() bool { return l.Ready() == nil }, 10*time.Second, 10*time.Millisecond)
	receipts, _, err := l.Prove(ctx, identities)
	require.NoError(t, err)
	var g given
	g.add(leaves, receipts)
	checkLog(t, p, l, &g)
}

func TestRollbacks(t *testing.T) {
	var g given
	fill := func(t *testing.T, p *place) (old map[string]func()) {
		g = given{}
		p.during(t, func(l *ledger.Log) { g.append(t, l, 0, 300) })
		old = map[string]func(){}
		for _, name := range []string{"engine", "lock", "tiles"} {
			old[name] = p.copyTo(t, name)
		}
		p.during(t, func(l *ledger.Log) { g.append(t, l, 300, 900) })
		return old
	}
	for _, set := range []struct {
		back string
		want error
	}{
		{"engine", ledger.ErrRollback},
		{"lock", ledger.ErrRollback},
		{"engine tiles", ledger.ErrRollback},
		{"engine lock", ledger.ErrRollback},
		{"tiles", nil},
	} {
		t.Run(set.back, func(t *testing.T) {
			p := newPlace(t)
			old := fill(t, p)
			for _, name := range strings.Fields(set.back) {
				old[name]()
			}
			l, err := p.try(t)
			require.ErrorIs(t, err, set.want)
			if err == nil {
				g.append(t, l, 900, 901)
				checkLog(t, p, l, &g)
			}
		})
	}
	t.Run("tiles lost", func(t *testing.T) {
		p := newPlace(t)
		fill(t, p)
		p.during(t, func(l *ledger.Log) { g.append(t, l, 900, 5500) })
		require.NoError(t, os.Remove(p.file("tiles")))
		l := p.open(t)
		g.append(t, l, 5500, 5501)
		checkLog(t, p, l, &g)
	})
}

// TestLyingEngine has an engine that says what is not so, while the log runs.
func TestLyingEngine(t *testing.T) {
	for _, c := range []struct {
		name string
		lie  *liar
		want error
	}{
		{"smaller", &liar{head: func(h *ledger.Head) { h.Size = 3 }}, ledger.ErrRollback},
		{"smaller by the new leaves", &liar{head: func(h *ledger.Head) { h.Size = 300 }}, ledger.ErrFork},
		{"other root", &liar{head: func(h *ledger.Head) { h.Root[5] ^= 1 }}, ledger.ErrFork},
		{"other leaf", &liar{leaves: func(e []ledger.Entry) []ledger.Entry { e[1].Leaf[9] ^= 1; return e }}, ledger.ErrFork},
		{"a leaf too few", &liar{leaves: func(e []ledger.Entry) []ledger.Entry { return e[1:] }}, ledger.ErrFork},
		{"leaves swapped", &liar{leaves: func(e []ledger.Entry) []ledger.Entry { e[0], e[1] = e[1], e[0]; return e }}, ledger.ErrFork},
		{"identities swapped", &liar{leaves: func(e []ledger.Entry) []ledger.Entry {
			e[0].Identity, e[1].Identity = e[1].Identity, e[0].Identity
			return e
		}}, ledger.ErrFork},
		{"other index", &liar{index: func(uint64) uint64 { return 7 }}, ledger.ErrFork},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t)
			p.wrap = func(parts *ledger.Config) { c.lie.Engine, parts.Engine = parts.Engine, c.lie }
			l := p.open(t)
			var g given
			g.append(t, l, 0, 300)
			c.lie.now.Store(true)
			leaves, identities := leavesOf(298, 302) // two of them are there
			_, err := l.Append(ctx, leaves, identities)
			require.ErrorIs(t, err, c.want)
			require.ErrorIs(t, l.Ready(), c.want, "it has stopped")
			c.lie.now.Store(false)
			_, err = l.Append(ctx, leaves, identities)
			require.ErrorIs(t, err, c.want, "for good")
			checkLog(t, p, l, &g)
		})
	}
}

// liar is an engine that changes its answers once it is told to.
type liar struct {
	ledger.Engine
	now    atomic.Bool
	head   func(*ledger.Head)
	leaves func([]ledger.Entry) []ledger.Entry
	index  func(uint64) uint64
}

func (e *liar) Integrate(ctx context.Context) (ledger.Head, error) {
	h, err := e.Engine.Integrate(ctx)
	if e.now.Load() && e.head != nil {
		e.head(&h)
	}
	return h, err
}

func (e *liar) Leaves(ctx context.Context, start, end uint64) ([]ledger.Entry, error) {
	list, err := e.Engine.Leaves(ctx, start, end)
	if e.now.Load() && e.leaves != nil && err == nil {
		list = e.leaves(list)
	}
	return list, err
}

func (e *liar) Index(ctx context.Context, identity custody.Digest) (uint64, bool, error) {
	n, ok, err := e.Engine.Index(ctx, identity)
	if e.now.Load() && e.index != nil {
		n = e.index(n)
	}
	return n, ok, err
}

// TestAltered edits rows of the engine and of the tiles behind the log's back.
// Opening, appending and reading find what they read; Check finds whatever
// differs from what was signed, and so does deriving the tiles anew.
func TestAltered(t *testing.T) {
	exec := func(t *testing.T, p *place, file string, statements ...string) {
		db, err := sqlite.Open(ctx, p.file(file), sqlite.Options{MustExist: true})
		require.NoError(t, err)
		defer db.Close()
		require.NoError(t, db.Tx(ctx, func(tx *sql.Tx) error {
			for _, s := range statements {
				r, err := tx.ExecContext(ctx, s)
				if err != nil {
					return err
				}
				if n, err := r.RowsAffected(); err != nil || n == 0 {
					return fmt.Errorf("%s: %d rows, %w", s, n, err)
				}
			}
			return nil
		}))
	}
	leaf, _ := leavesOf(7777, 7778)
	hash := custody.Hash(append([]byte{0}, leaf[0][:]...))
	value := fmt.Sprintf("LeafValue = x'%s'", hex.EncodeToString(leaf[0][:]))
	merkle := fmt.Sprintf("MerkleLeafHash = x'%s'", hash.Hex())
	use := func(p *place, t *testing.T) error {
		l, err := p.try(t)
		if err != nil {
			return err
		}
		leaves, identities := leavesOf(600, 1200)
		if _, err := l.Append(ctx, leaves, identities); err != nil {
			return err
		}
		_, identities = leavesOf(0, 600)
		if _, _, err = l.Prove(ctx, identities); err != nil {
			return err
		}
		return l.Leaves(ctx, 600, func(custody.Leaf) error { return nil })
	}
	for _, c := range []struct {
		name, file, change string
	}{
		{"leaf value at the edge", "engine", "UPDATE LeafData SET " + value + " WHERE SequenceNumber = 599"},
		{"leaf hash at the edge", "engine", "UPDATE LeafData SET " + merkle + " WHERE SequenceNumber = 599"},
		{"leaf value and hash at the edge", "engine", "UPDATE LeafData SET " + value + "," + merkle + " WHERE SequenceNumber = 599"},
		{"leaf missing at the edge", "engine", "DELETE FROM LeafData WHERE SequenceNumber = 520"},
		{"subtrees", "engine", "UPDATE Subtree SET Nodes = (SELECT Nodes FROM Subtree WHERE length(Nodes) > 1000 LIMIT 1)"},
		{"root", "engine", "UPDATE TreeHead SET RootHash = zeroblob(32)"},
		{"tree head smaller", "engine", "UPDATE TreeHead SET TreeSize = TreeSize - 1"},
		{"tree head larger", "engine", "UPDATE TreeHead SET TreeSize = TreeSize + 1"},
		{"tile of hashes", "tiles", "UPDATE tile SET data = zeroblob(8192) WHERE level = 0 AND n = 0"},
		{"tile of hashes too short", "tiles", "UPDATE tile SET data = zeroblob(8191) WHERE level = 0 AND n = 0"},
		{"tile of hashes gone", "tiles", "DELETE FROM tile WHERE level = 0 AND n = 1"},
		{"tiles swapped", "tiles", "UPDATE tile SET data = (SELECT data FROM tile WHERE level = 0 AND n = 0) WHERE level = 0 AND n = 1"},
		{"bundle", "tiles", "UPDATE tile SET data = (SELECT data FROM tile WHERE level = -1 AND n = 0) WHERE level = -1 AND n = 1"},
		{"bundle too short", "tiles", "UPDATE tile SET data = substr(data, 1, 67*255) WHERE level = -1 AND n = 1"},
		{"upper tile", "tiles", "UPDATE tile SET data = zeroblob(64) WHERE level = 1"},
		{"upper tile gone", "tiles", "DELETE FROM tile WHERE level = 1"},
		{"published checkpoint", "tiles", "UPDATE checkpoint SET signed = CAST(replace(CAST(signed AS TEXT), '600', '599') AS BLOB)"},
		{"locked checkpoint", "lock", "UPDATE head SET signed = CAST(replace(CAST(signed AS TEXT), '600', '599') AS BLOB)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t)
			var g given
			p.during(t, func(l *ledger.Log) { g.append(t, l, 0, 600) })
			exec(t, p, c.file, c.change)
			if l, err := p.try(t); err == nil {
				err = l.Check(ctx)
				require.True(t, errors.Is(err, ledger.ErrFork) || c.name == "subtrees", "%v", err)
			}
			err := use(p, t)
			require.Error(t, err)
			require.True(t, errors.Is(err, ledger.ErrFork) || errors.Is(err, ledger.ErrRollback), "%v", err)
		})
	}
	t.Run("root, while the clock is behind", func(t *testing.T) {
		p := newPlace(t)
		var g given
		p.during(t, func(l *ledger.Log) { g.append(t, l, 0, 600) })
		exec(t, p, "engine", "UPDATE TreeHead SET RootHash = zeroblob(32)")
		p.clock.set(-time.Hour)
		_, err := p.try(t)
		require.ErrorIs(t, err, ledger.ErrFork)
	})
	for name, change := range map[string]string{"leaf value": value, "leaf hash": merkle, "leaf value and hash": value + "," + merkle} {
		t.Run("old "+name, func(t *testing.T) {
			p := newPlace(t)
			var g given
			p.during(t, func(l *ledger.Log) { g.append(t, l, 0, 600) })
			exec(t, p, "engine", "UPDATE LeafData SET "+change+" WHERE SequenceNumber = 5")
			p.during(t, func(l *ledger.Log) {
				leaves, identities := leavesOf(0, 600) // the tiles have the leaf that was signed
				receipts, _, err := l.Prove(ctx, identities)
				require.NoError(t, err)
				for i, r := range receipts {
					_, err := r.Verify(p.trust, leaves[i])
					require.NoError(t, err)
				}
				require.ErrorIs(t, l.Check(ctx), ledger.ErrFork)
			})
			require.NoError(t, os.Remove(p.file("tiles")))
			_, err := p.try(t)
			require.ErrorIs(t, err, ledger.ErrFork)
		})
	}
}

// TestForkedEngine: the lock has signed another history than the engine's.
func TestForkedEngine(t *testing.T) {
	p := newPlace(t)
	var g given
	p.during(t, func(l *ledger.Log) { g.append(t, l, 0, 10) })
	for _, name := range []string{"engine", "tiles"} {
		require.NoError(t, os.Remove(p.file(name)))
	}
	require.NoError(t, trillian.Create(ctx, p.file("engine")))
	c, end := p.parts(t)
	leaves, identities := leavesOf(100, 120)
	var entries []ledger.Entry
	for i := range leaves {
		entries = append(entries, ledger.Entry{Leaf: leaves[i], Identity: identities[i]})
	}
	require.NoError(t, c.Engine.Queue(ctx, entries))
	_, err := c.Engine.Integrate(ctx)
	require.NoError(t, err)
	end()
	_, err = p.try(t)
	require.ErrorIs(t, err, ledger.ErrFork)
}

const childFolder = "LEDGER_TEST_FOLDER"

// appendForEver is the child of TestKill: it appends a few leaves after the
// other and prints each number whose receipt it has, with the receipt.
func appendForEver(dir string) error {
	key, err := os.ReadFile(filepath.Join(dir, "key.db"))
	if err != nil {
		return err
	}
	private, public, _ := strings.Cut(string(key), "\n")
	p, err := placeOf(dir, private, public)
	if err != nil {
		return err
	}
	c, _, err := p.assemble()
	if err != nil {
		return err
	}
	l, err := ledger.Open(ctx, c)
	if err != nil {
		return err
	}
	head, err := custody.CheckpointBody(l.Checkpoint())
	if err != nil {
		return err
	}
	for n := int(head.Size); ; n += 3 {
		leaves, identities := leavesOf(n, n+3)
		receipts, err := l.Append(ctx, leaves, identities)
		if err != nil {
			return err
		}
		for i, r := range receipts {
			fmt.Printf("%d %s\n", n+i, hex.EncodeToString(r.Marshal()))
		}
	}
}

// TestKill kills a process that appends, again and again, and holds the log to
// every receipt that got out.
func TestKill(t *testing.T) {
	p := newPlace(t)
	var g given
	for round := range 8 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childFolder+"="+p.dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		got := 0
		for lines := bufio.NewScanner(out); lines.Scan(); got++ {
			if got == 40+61*round {
				require.NoError(t, child.Process.Kill())
			}
			var n int
			var text string
			if _, err := fmt.Sscan(lines.Text(), &n, &text); err != nil {
				break // the line that it died in
			}
			g.addText(t, n, text)
		}
		require.Error(t, child.Wait(), "it was killed")
		require.Greater(t, got, 40+61*round)
		p.during(t, func(l *ledger.Log) { checkLog(t, p, l, &g) })
	}
}

func (g *given) addText(t *testing.T, n int, text string) {
	b, err := hex.DecodeString(text)
	if err != nil {
		return // cut off
	}
	r, err := custody.ParseReceipt(b)
	require.NoError(t, err)
	leaves, _ := leavesOf(n, n+1)
	g.add(leaves, []*custody.Receipt{r})
}
