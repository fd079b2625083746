package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/forensic-custody/custody/custody"
)

// A view reads a published head. A tile at the right edge is in memory, as it
// was when the root was computed; a full tile from storage is believed when the
// tile above it has its root.
type view struct {
	*head
	log *Log
}

func (l *Log) view() view { return view{head: l.published.Load(), log: l} }

// Prove returns receipts for the leaves of identities, in order and without
// extra data, all under one checkpoint, the latest, which it returns too.
// custody.ErrUnknown when an identity is not in the log.
//
// Where a leaf is, the engine says; a receipt is verified against the tree, and
// whoever has the leaf must verify that it is for that leaf.
func (l *Log) Prove(ctx context.Context, identities []custody.Digest) (receipts []*custody.Receipt, checkpoint []byte, err error) {
	v := l.view()
	for _, id := range identities {
		index, err := v.find(ctx, id)
		if err != nil {
			return nil, nil, fmt.Errorf("prove %s in the log: %w", id, err)
		}
		hash, err := v.hashes(ctx)([]int64{tlog.StoredHashIndex(0, int64(index))})
		if err != nil {
			return nil, nil, fmt.Errorf("prove leaf %d of the log: %w", index, err)
		}
		r, err := v.receipt(ctx, index, hash[0])
		if err != nil {
			return nil, nil, fmt.Errorf("prove leaf %d of the log: %w", index, err)
		}
		receipts = append(receipts, r)
	}
	return receipts, v.shown, nil
}

// find returns the index of a leaf in the view.
func (v view) find(ctx context.Context, identity custody.Digest) (uint64, error) {
	index, ok, err := v.log.c.Engine.Index(ctx, identity)
	if err != nil {
		return 0, err
	}
	if !ok || index >= v.tree.size {
		return 0, custody.ErrUnknown
	}
	return index, nil
}

// receipt proves that the leaf at an index has a hash, and verifies the proof.
func (v view) receipt(ctx context.Context, index uint64, leaf tlog.Hash) (*custody.Receipt, error) {
	proof, err := tlog.ProveRecord(int64(v.tree.size), int64(index), v.hashes(ctx))
	if err != nil {
		return nil, err
	}
	if err := tlog.CheckRecord(proof, int64(v.tree.size), tlog.Hash(v.checkpoint.Root), int64(index), leaf); err != nil {
		return nil, fmt.Errorf("%w: at index %d is another leaf: %w", ErrFork, index, err)
	}
	r := &custody.Receipt{Index: index, Checkpoint: v.shown, Proof: make([]custody.Digest, len(proof))}
	for i, h := range proof {
		r.Proof[i] = custody.Digest(h)
	}
	return r, nil
}

// receipts gives the requests of a batch their receipts under a head. at says
// where the leaves are that came with it; the engine finds the others.
func (l *Log) receipts(ctx context.Context, h *head, at map[custody.Digest]uint64, batch []*request) error {
	v := view{head: h, log: l}
	for _, req := range batch {
		req.receipts = make([]*custody.Receipt, len(req.entries))
		for i, e := range req.entries {
			index, ok := at[e.Identity]
			if !ok {
				var err error
				if index, err = v.find(ctx, e.Identity); err != nil {
					return fmt.Errorf("the engine has not put identity %s into the log: %w", e.Identity, err)
				}
			}
			var err error
			if req.receipts[i], err = v.receipt(ctx, index, tlog.RecordHash(e.Leaf[:])); err != nil {
				return err
			}
		}
	}
	return nil
}

// Leaves calls yield with the first n leaves of the log, in order, each checked
// against the tiles before. It ends early with the error of yield.
// custody.ErrUnknown when fewer are published.
func (l *Log) Leaves(ctx context.Context, n uint64, yield func(custody.Leaf) error) error {
	v := l.view()
	if n > v.tree.size {
		return fmt.Errorf("read %d leaves of the log, which has %d: %w", n, v.tree.size, custody.ErrUnknown)
	}
	for i := uint64(0); i*tileWidth < n; i++ {
		leaves, err := v.bundle(ctx, i)
		if err != nil {
			return fmt.Errorf("read leaves of the log: %w", err)
		}
		for _, leaf := range leaves[:min(n-i*tileWidth, tileWidth)] {
			if err := yield(leaf); err != nil {
				return err
			}
		}
	}
	return nil
}

// bundle returns the leaves under the tile n of the lowest level.
func (v view) bundle(ctx context.Context, n uint64) ([]custody.Leaf, error) {
	if at, _ := edgeIndex(v.tree.size, 0); n >= at {
		if n > at {
			return nil, custody.ErrUnknown
		}
		return v.tree.leaves, nil
	}
	b, err := v.stored(ctx, EntryLevel, n)
	if err != nil {
		return nil, err
	}
	leaves, err := parseBundle(b)
	if err != nil {
		return nil, fmt.Errorf("%w: entry bundle %d: %w", ErrFork, n, err)
	}
	var t tile
	for _, leaf := range leaves[:min(len(leaves), tileWidth)] {
		t.push(tlog.RecordHash(leaf[:]))
	}
	if len(leaves) != tileWidth {
		return nil, fmt.Errorf("%w: entry bundle %d holds %d leaves", ErrFork, n, len(leaves))
	}
	return leaves, v.vouch(ctx, &t, 0, n)
}

// tile returns the tile n of a level, full or at the edge.
func (v view) tile(ctx context.Context, level int, n uint64) (*tile, error) {
	if level >= tileLevels {
		return nil, custody.ErrUnknown
	}
	if at, _ := edgeIndex(v.tree.size, level); n >= at {
		if n > at {
			return nil, custody.ErrUnknown
		}
		return v.tree.edge[level], nil
	}
	if t := v.log.cache.get(level, n); t != nil {
		return t, nil
	}
	b, err := v.stored(ctx, level, n)
	if err != nil {
		return nil, err
	}
	t, err := parseTile(b, tileWidth)
	if err != nil {
		return nil, fmt.Errorf("%w: tile %d of level %d: %w", ErrFork, n, level, err)
	}
	if err := v.vouch(ctx, t, level, n); err != nil {
		return nil, err
	}
	v.log.cache.put(level, n, t)
	return t, nil
}

// stored reads a tile that must be there.
func (v view) stored(ctx context.Context, level int, n uint64) ([]byte, error) {
	b, err := v.log.c.Tiles.Tile(ctx, level, n)
	if errors.Is(err, custody.ErrUnknown) {
		return nil, fmt.Errorf("%w: tile %d of level %d is gone", ErrFork, n, level)
	}
	return b, err
}

// vouch compares the root of a full tile with the hash in the tile above it.
func (v view) vouch(ctx context.Context, t *tile, level int, n uint64) error {
	above, err := v.tile(ctx, level+1, n>>tileHeight)
	if err != nil {
		return err
	}
	if above.nodes[0][n&(tileWidth-1)] != t.root() {
		return fmt.Errorf("%w: what is stored under tile %d of level %d is not what was signed", ErrFork, n, level)
	}
	return nil
}

// hashes returns a reader of the view's tree.
func (v view) hashes(ctx context.Context) tlog.HashReaderFunc {
	return func(indexes []int64) ([]tlog.Hash, error) {
		return hashesFrom(indexes, func(level int, n uint64) (*tile, error) { return v.tile(ctx, level, n) })
	}
}

// Tile returns what c2sp.org/tlog-tiles serves under a path, verified:
// "checkpoint", "tile/0/x001/067" (hashes), "tile/entries/000.p/7" (leaves). A
// partial tile of any width up to the published one can be had, also when the
// tile is full by now. custody.ErrUnknown for any other path.
func (l *Log) Tile(ctx context.Context, path string) ([]byte, error) {
	v := l.view()
	if path == "checkpoint" {
		return bytes.Clone(v.shown), nil
	}
	p, ok := parsePath(path)
	if !ok {
		return nil, custody.ErrUnknown
	}
	b, err := v.serve(ctx, p)
	if err != nil && !errors.Is(err, custody.ErrUnknown) {
		return nil, fmt.Errorf("read %s of the log: %w", path, err)
	}
	return b, err
}

func (v view) serve(ctx context.Context, p tlog.Tile) ([]byte, error) {
	if p.L == EntryLevel {
		leaves, err := v.bundle(ctx, uint64(p.N))
		if err != nil {
			return nil, err
		}
		if len(leaves) < p.W {
			return nil, custody.ErrUnknown
		}
		return marshalBundle(leaves[:p.W]), nil
	}
	t, err := v.tile(ctx, p.L, uint64(p.N))
	if err != nil {
		return nil, err
	}
	if t.width() < p.W {
		return nil, custody.ErrUnknown
	}
	return t.bytes()[:p.W*hashSize], nil
}

// parsePath reads the path of a tile. Package tlog has the height in its paths,
// and calls entries data.
func parsePath(path string) (tlog.Tile, bool) {
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok || strings.HasPrefix(rest, "data/") {
		return tlog.Tile{}, false
	}
	if entries, ok := strings.CutPrefix(rest, "entries/"); ok {
		rest = "data/" + entries
	}
	p, err := tlog.ParseTilePath(fmt.Sprintf("tile/%d/%s", tileHeight, rest))
	return p, err == nil && p.N >= 0
}

// Check reads the whole log, the engine's leaves and the stored tiles, and
// compares both with the published checkpoint. ErrFork when anything is not
// what was signed, also where nobody has read it for long.
func (l *Log) Check(ctx context.Context) error {
	v := l.view()
	h := &head{tree: emptyTree(), checkpoint: v.checkpoint}
	for h.tree.size < v.tree.size {
		entries, err := l.readBack(ctx, h.tree.size, min(h.tree.size+chunk, v.tree.size))
		if err != nil {
			return fmt.Errorf("check the log: %w", err)
		}
		t, tiles := h.tree.grow(entries)
		for _, tile := range tiles {
			b, err := v.stored(ctx, tile.Level, tile.N)
			if err == nil && !bytes.HasPrefix(b, tile.Data) {
				err = fmt.Errorf("%w: tile %d of level %d and the engine's leaves differ", ErrFork, tile.N, tile.Level)
			}
			if err != nil {
				return fmt.Errorf("check the log: %w", err)
			}
		}
		h.tree = t
	}
	if err := h.check(); err != nil {
		return fmt.Errorf("check the log: %w", err)
	}
	return nil
}

// tileCache keeps full tiles that were computed or verified. A full tile never
// changes.
type tileCache struct {
	mu    sync.Mutex
	tiles map[place]*tile
	order []place // oldest first
}

type place struct {
	level int
	n     uint64
}

// maxCached bounds the cache: a tile takes 16 KiB.
const maxCached = 1024

func (c *tileCache) get(level int, n uint64) *tile {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tiles[place{level, n}]
}

func (c *tileCache) put(level int, n uint64, t *tile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := place{level, n}
	if c.tiles == nil {
		c.tiles = map[place]*tile{}
	}
	if c.tiles[at] != nil {
		return
	}
	if len(c.order) == maxCached {
		delete(c.tiles, c.order[0])
		c.order = c.order[1:]
	}
	c.tiles[at], c.order = t, append(c.order, at)
}

// Root returns the root that the log had at a size. custody.ErrUnknown when it is not
// published that far.
func (l *Log) Root(ctx context.Context, size uint64) (custody.Digest, error) {
	v := l.view()
	if size > v.tree.size {
		return custody.Digest{}, custody.ErrUnknown
	}
	root, err := tlog.TreeHash(int64(size), v.hashes(ctx))
	if err != nil {
		return custody.Digest{}, fmt.Errorf("root of the log at size %d: %w", size, err)
	}
	return custody.Digest(root), nil
}

// Consistency returns the proof (RFC 6962, section 2.1.2) that the tree of one size is
// the beginning of the tree of another, later one. custody.ErrUnknown when the log
// is not published that far.
func (l *Log) Consistency(ctx context.Context, from, to uint64) ([]custody.Digest, error) {
	v := l.view()
	if from > to || to > v.tree.size {
		return nil, custody.ErrUnknown
	}
	proof, err := v.proveTree(ctx, from, to)
	if err != nil {
		return nil, fmt.Errorf("prove that the log of size %d continues %d: %w", to, from, err)
	}
	return proof, nil
}
