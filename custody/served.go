package custody

import (
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// ProveLeaf returns the RFC 6962 audit path, from the leaf up, of the leaf at an
// index under a checkpoint that the caller has verified. tile is as that of
// Extends: what it returns is believed as far as it makes the checkpoint's root.
func ProveLeaf(c Checkpoint, index uint64, tile func(path string) ([]byte, error)) ([]Digest, error) {
	if index >= c.Size {
		return nil, fmt.Errorf("a log of size %d has no leaf %d", c.Size, index)
	}
	tree := tlog.Tree{N: int64(c.Size), Hash: tlog.Hash(c.Root)}
	path, err := tlog.ProveRecord(tree.N, int64(index), tlog.TileHashReader(tree, &remoteTiles{tile}))
	if err != nil {
		return nil, fmt.Errorf("the log cannot show that leaf %d is in its tree of size %d: %w", index, c.Size, err)
	}
	proof := make([]Digest, len(path))
	for i, h := range path {
		proof[i] = Digest(h)
	}
	return proof, nil
}

// remoteTiles lets package tlog read tiles that a log serves.
type remoteTiles struct {
	read func(path string) ([]byte, error)
}

func (*remoteTiles) Height() int { return 8 }

func (*remoteTiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (r *remoteTiles) ReadTiles(list []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(list))
	for i, t := range list {
		b, err := r.read(strings.Replace(t.Path(), "tile/8/", "tile/", 1))
		if err != nil {
			return nil, err
		}
		if len(b) != t.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes", t.Path(), len(b))
		}
		all[i] = b
	}
	return all, nil
}
