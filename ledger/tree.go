package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/forensic-custody/custody/custody"
)

// Tiles are of the height and form of c2sp.org/tlog-tiles: 256 hashes wide.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	hashSize   = tlog.HashSize
	tileLevels = 8 // 256 to the power of 8 leaves: as many as a uint64 counts
)

// entrySize is the size of a leaf in an entry bundle: its length in two bytes,
// big-endian, then the leaf.
const entrySize = 2 + custody.LeafSize

// A tile holds up to 256 neighbouring hashes and the roots of all whole
// subtrees above them: nodes[k][i] is the root over hashes i<<k to (i+1)<<k.
type tile struct{ nodes [tileHeight + 1][]tlog.Hash }

func (t *tile) width() int { return len(t.nodes[0]) }

func (t *tile) full() bool { return t.width() == tileWidth }

// root is the root over the hashes of a full tile.
func (t *tile) root() tlog.Hash { return t.nodes[tileHeight][0] }

// push adds a hash at the right, and the roots that it completes.
func (t *tile) push(h tlog.Hash) {
	t.nodes[0] = append(t.nodes[0], h)
	for k := 0; k < tileHeight && len(t.nodes[k])%2 == 0; k++ {
		n := len(t.nodes[k])
		t.nodes[k+1] = append(t.nodes[k+1], tlog.NodeHash(t.nodes[k][n-2], t.nodes[k][n-1]))
	}
}

func (t *tile) clone() *tile {
	c := new(tile)
	for k := range t.nodes {
		c.nodes[k] = slices.Clone(t.nodes[k])
	}
	return c
}

// bytes returns the tile as it is stored and served: its hashes in a row.
func (t *tile) bytes() []byte {
	b := make([]byte, 0, t.width()*hashSize)
	for _, h := range t.nodes[0] {
		b = append(b, h[:]...)
	}
	return b
}

// parseTile reads the first width hashes of a stored tile.
func parseTile(b []byte, width int) (*tile, error) {
	if len(b)%hashSize != 0 || len(b) < width*hashSize {
		return nil, fmt.Errorf("%d bytes are no tile of %d hashes", len(b), width)
	}
	t := new(tile)
	for i := range width {
		t.push(tlog.Hash(b[i*hashSize : (i+1)*hashSize]))
	}
	return t, nil
}

// marshalBundle returns leaves as an entry bundle of c2sp.org/tlog-tiles.
func marshalBundle(leaves []custody.Leaf) []byte {
	b := make([]byte, 0, len(leaves)*entrySize)
	for _, l := range leaves {
		b = binary.BigEndian.AppendUint16(b, custody.LeafSize)
		b = append(b, l[:]...)
	}
	return b
}

// parseBundle accepts exactly what marshalBundle writes.
func parseBundle(b []byte) ([]custody.Leaf, error) {
	if len(b)%entrySize != 0 {
		return nil, errors.New("the bundle ends within a leaf")
	}
	leaves := make([]custody.Leaf, 0, len(b)/entrySize)
	for ; len(b) > 0; b = b[entrySize:] {
		if binary.BigEndian.Uint16(b) != custody.LeafSize {
			return nil, errors.New("the bundle holds something that is no leaf")
		}
		l, err := custody.ParseLeaf(b[2:entrySize])
		if err != nil {
			return nil, err
		}
		leaves = append(leaves, l)
	}
	return leaves, nil
}

// A tree is a Merkle tree of RFC 6962, section 2.1, of which only the right
// edge is held: the tiles that are not full, and the leaves of the last one.
// From the edge follows the root. A tree never changes once it is made.
type tree struct {
	size   uint64
	edge   [tileLevels]*tile // at each level the tile that is not full; it may be empty
	leaves []custody.Leaf    // under edge[0]
}

func emptyTree() *tree {
	t := new(tree)
	for l := range t.edge {
		t.edge[l] = new(tile)
	}
	return t
}

// edgeIndex is the number of the tile at the right edge of a level, and its
// width, in a tree of the given size.
func edgeIndex(size uint64, level int) (n uint64, width int) {
	hashes := size >> (tileHeight * level)
	return hashes >> tileHeight, int(hashes & (tileWidth - 1))
}

// grow returns the tree with entries added, and what is to be stored with it.
// Of the lowest level only full tiles are stored, since the engine has the
// last leaves; of the levels above, all that changed.
func (t *tree) grow(entries []Entry) (*tree, []Tile) {
	g := &tree{size: t.size, edge: t.edge, leaves: slices.Clone(t.leaves)}
	g.edge[0] = t.edge[0].clone()
	var out []Tile
	changed := 0 // levels below this one have changed
	for _, entry := range entries {
		g.size++
		g.leaves = append(g.leaves, entry.Leaf)
		h := tlog.RecordHash(entry.Leaf[:])
		for level := range g.edge {
			if level > changed {
				g.edge[level], changed = g.edge[level].clone(), level
			}
			e := g.edge[level]
			e.push(h)
			if !e.full() {
				break
			}
			n := g.size>>(tileHeight*(level+1)) - 1
			if level == 0 {
				out = append(out, Tile{Level: EntryLevel, N: n, Data: marshalBundle(g.leaves)})
				g.leaves = nil
			}
			out = append(out, Tile{Level: level, N: n, Data: e.bytes()})
			g.edge[level], h = new(tile), e.root()
		}
	}
	for level := 1; level <= changed; level++ {
		if n, width := edgeIndex(g.size, level); width > 0 {
			out = append(out, Tile{Level: level, N: n, Data: g.edge[level].bytes()})
		}
	}
	return g, out
}

// root is the root hash of RFC 6962, section 2.1: of no leaves, SHA-256 of
// nothing.
func (t *tree) root() (custody.Digest, error) {
	if t.size == 0 {
		return custody.Hash(nil), nil
	}
	h, err := tlog.TreeHash(int64(t.size), tlog.HashReaderFunc(t.edgeHashes))
	return custody.Digest(h), err
}

// edgeHashes is a tlog.HashReader of the hashes at the edge.
func (t *tree) edgeHashes(indexes []int64) ([]tlog.Hash, error) {
	return hashesFrom(indexes, func(level int, n uint64) (*tile, error) {
		if at, _ := edgeIndex(t.size, level); n != at {
			return nil, fmt.Errorf("tile %d of level %d is not at the edge", n, level)
		}
		return t.edge[level], nil
	})
}

// hashesFrom looks up hashes by their storage index (tlog.StoredHashIndex) in
// the tiles that a function finds.
func hashesFrom(indexes []int64, find func(level int, n uint64) (*tile, error)) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		above, inside := level/tileHeight, level%tileHeight
		first := uint64(n) << inside
		t, err := find(above, first>>tileHeight)
		if err != nil {
			return nil, err
		}
		at := int(first&(tileWidth-1)) >> inside
		if at >= len(t.nodes[inside]) {
			return nil, fmt.Errorf("hash %d of level %d is outside the tree", n, level)
		}
		out[i] = t.nodes[inside][at]
	}
	return out, nil
}
