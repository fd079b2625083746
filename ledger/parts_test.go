package ledger_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/ledger/keep"
	"github.com/forensic-custody/custody/ledger/trillian"
)

const origin = "log.example/test"

var ctx = context.Background()

// A place is a folder with a log in it, and the log's keys.
type place struct {
	dir      string
	signer   note.Signer
	verifier note.Verifier
	trust    *custody.Trust
	clock    *clock
	wrap     func(*ledger.Config) // changes the parts before the log is opened
	remote   *trillian.Remote     // where the engine is; nil: in a file
}

// newPlace creates a log of size 0.
func newPlace(t testing.TB) *place {
	t.Helper()
	p := newFolder(t)
	require.NoError(t, trillian.Create(ctx, p.file("engine")))
	p.begin(t)
	return p
}

// newFolder makes a place in which there is no log yet.
func newFolder(t testing.TB) *place {
	t.Helper()
	private, public, err := note.GenerateKey(rand.Reader, origin)
	require.NoError(t, err)
	p, err := placeOf(t.TempDir(), private, public)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(p.file("key"), []byte(private+"\n"+public), 0o600))
	return p
}

// begin creates the log, of which everything is there but the log.
func (p *place) begin(t testing.TB) {
	t.Helper()
	c, end := p.parts(t)
	defer end()
	require.NoError(t, ledger.Create(ctx, c))
}

func placeOf(dir, private, public string) (*place, error) {
	signer, err := note.NewSigner(private)
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(public)
	return &place{
		dir: dir, signer: signer, verifier: verifier, clock: &clock{}, wrap: func(*ledger.Config) {},
		trust: &custody.Trust{
			Format: custody.TrustFormat, Genesis: custody.Hash([]byte("genesis")), Log: public, Origin: origin, Witnesses: custody.NoWitnesses,
		},
	}, err
}

func (p *place) file(name string) string { return filepath.Join(p.dir, name+".db") }

// assemble opens what a log is made of; end closes it.
func (p *place) assemble() (c ledger.Config, end func() error, err error) {
	engine, err := p.engine()
	if err != nil {
		return c, nil, err
	}
	lock, err := keep.OpenLock(ctx, p.file("lock"))
	if err != nil {
		return c, nil, err
	}
	tiles, err := keep.OpenTiles(ctx, p.file("tiles"))
	if err != nil {
		return c, nil, err
	}
	c = ledger.Config{Origin: origin, Signer: p.signer, Keys: custody.LogKeys{p.verifier}, Engine: engine, Lock: lock, Tiles: tiles, Now: p.clock.now}
	return c, func() error { return errors.Join(engine.Close(), lock.Close(), tiles.Close()) }, nil
}

func (p *place) engine() (ledger.Engine, error) {
	if p.remote != nil {
		return trillian.Dial(ctx, *p.remote)
	}
	return trillian.Open(ctx, p.file("engine"))
}

func (p *place) parts(t testing.TB) (c ledger.Config, end func()) {
	t.Helper()
	c, closeAll, err := p.assemble()
	require.NoError(t, err)
	return c, func() { require.NoError(t, closeAll()) }
}

// try opens the log.
func (p *place) try(t testing.TB) (*ledger.Log, error) {
	t.Helper()
	c, end := p.parts(t)
	p.wrap(&c)
	l, err := ledger.Open(ctx, c)
	if err != nil {
		end()
		return nil, err
	}
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		end()
	})
	return l, nil
}

// open opens the log until the end of the test.
func (p *place) open(t testing.TB) *ledger.Log {
	t.Helper()
	l, err := p.try(t)
	require.NoError(t, err)
	return l
}

// during opens the log for as long as do runs.
func (p *place) during(t *testing.T, do func(*ledger.Log)) {
	t.Helper()
	c, end := p.parts(t)
	defer end()
	p.wrap(&c)
	l, err := ledger.Open(ctx, c)
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	do(l)
}

// copyTo keeps a copy of a closed file, and restore puts it back.
func (p *place) copyTo(t *testing.T, name string) (restore func()) {
	t.Helper()
	b, err := os.ReadFile(p.file(name))
	require.NoError(t, err)
	return func() {
		require.NoFileExists(t, p.file(name)+"-wal", "the file is open")
		require.NoError(t, os.WriteFile(p.file(name), b, 0o600))
	}
}

// A clock is the system's, moved.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *clock) set(offset time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset = offset
}

// leavesOf returns leaves and identities numbered from start to end.
func leavesOf(start, end int) (leaves []custody.Leaf, identities []custody.Digest) {
	for n := start; n < end; n++ {
		payload := custody.Hash(fmt.Append(nil, "statement ", n))
		leaves = append(leaves, custody.NewLeaf(custody.Hash(payload[:]), custody.Tag(custody.Hash(fmt.Append(nil, "tag ", n)))))
		identities = append(identities, custody.Identity(payload))
	}
	return leaves, identities
}

// given remembers every receipt that a log has handed out.
type given struct {
	mu       sync.Mutex
	receipts []*custody.Receipt
	leaves   []custody.Leaf
}

func (g *given) add(leaves []custody.Leaf, receipts []*custody.Receipt) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leaves, g.receipts = append(g.leaves, leaves...), append(g.receipts, receipts...)
}

// append appends leaves numbered from start to end and remembers the receipts.
func (g *given) append(t testing.TB, l *ledger.Log, start, end int) []*custody.Receipt {
	t.Helper()
	leaves, identities := leavesOf(start, end)
	receipts, err := l.Append(ctx, leaves, identities)
	require.NoError(t, err)
	require.Len(t, receipts, len(leaves))
	g.add(leaves, receipts)
	return receipts
}

// checkLog checks all that the log promises, with package tlog alone: every
// receipt ever given verifies, every checkpoint ever given is a beginning of
// the published one, the tiles give its root, the leaves are those under the
// tiles, and no leaf is there twice.
func checkLog(t testing.TB, p *place, l *ledger.Log, g *given) {
	t.Helper()
	head, err := custody.OpenCheckpoint(l.Checkpoint(), p.verifier)
	require.NoError(t, err)
	size := int64(head.Size)
	outside := tlog.TileHashReader(tlog.Tree{N: size, Hash: tlog.Hash(head.Root)}, tileReader{l})

	var leaves []custody.Leaf
	require.NoError(t, l.Leaves(ctx, head.Size, func(leaf custody.Leaf) error {
		leaves = append(leaves, leaf)
		return nil
	}))
	require.Len(t, leaves, int(size))
	seen := map[custody.Leaf]bool{}
	indexes := make([]int64, size)
	for i, leaf := range leaves {
		require.False(t, seen[leaf], "leaf %d is there twice", i)
		seen[leaf] = true
		indexes[i] = tlog.StoredHashIndex(0, int64(i))
	}
	if size > 0 {
		hashes, err := outside.ReadHashes(indexes)
		require.NoError(t, err)
		for i, leaf := range leaves {
			require.Equal(t, tlog.RecordHash(leaf[:]), hashes[i], "leaf %d", i)
		}
	}
	for n := int64(0); n*256 < size; n++ {
		w := min(size-n*256, 256)
		path := strings.Replace(tlog.Tile{H: 8, L: -1, N: n, W: int(w)}.Path(), "tile/8/data", "tile/entries", 1)
		b, err := l.Tile(ctx, path)
		require.NoError(t, err)
		var want bytes.Buffer
		for _, leaf := range leaves[n*256 : n*256+w] {
			want.Write([]byte{0, custody.LeafSize})
			want.Write(leaf[:])
		}
		require.Equal(t, want.Bytes(), b, path)
	}

	require.NoError(t, l.Check(ctx))

	g.mu.Lock()
	defer g.mu.Unlock()
	grown := map[string]bool{}
	for i, r := range g.receipts {
		c, err := r.Verify(p.trust, g.leaves[i])
		require.NoError(t, err)
		require.Equal(t, g.leaves[i], leaves[r.Index])
		require.Empty(t, r.Extra)
		if grown[string(r.Checkpoint)] {
			continue
		}
		grown[string(r.Checkpoint)] = true
		proof, err := tlog.ProveTree(size, int64(c.Size), outside)
		require.NoError(t, err)
		require.NoError(t, tlog.CheckTree(proof, size, tlog.Hash(head.Root), int64(c.Size), tlog.Hash(c.Root)))
	}
}

// tileReader reads a log's tiles as an outsider does.
type tileReader struct{ l *ledger.Log }

func (r tileReader) Height() int                     { return 8 }
func (r tileReader) SaveTiles([]tlog.Tile, [][]byte) {}
func (r tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	for i, t := range tiles {
		b, err := r.l.Tile(ctx, strings.Replace(t.Path(), "tile/8/", "tile/", 1))
		if err != nil {
			return nil, err
		}
		out[i] = b
	}
	return out, nil
}
