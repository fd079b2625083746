package ledger

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/forensic-custody/custody/custody"
)

// TestTreeAgreesWithTlog grows a tree over three levels of tiles, in steps of
// many sizes, and compares roots and tiles with those of package tlog.
func TestTreeAgreesWithTlog(t *testing.T) {
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = stored[x]
		}
		return out, nil
	})
	tiles := map[string][]byte{}
	tr, n := emptyTree(), 0
	root, err := tr.root()
	require.NoError(t, err)
	require.Equal(t, custody.Hash(nil), root)
	for step := 1; n < tileWidth*tileWidth+2*tileWidth; step = step*7%1021 + 1 {
		var entries []Entry
		for range step {
			leaf := custody.NewLeaf(custody.Hash(fmt.Append(nil, n)), custody.Tag{})
			hashes, err := tlog.StoredHashes(int64(n), leaf[:], read)
			require.NoError(t, err)
			stored = append(stored, hashes...)
			entries = append(entries, Entry{Leaf: leaf})
			n++
		}
		before := *tr
		rootBefore, err := tr.root()
		require.NoError(t, err)
		next, out := tr.grow(entries)
		again, err := before.root()
		require.NoError(t, err)
		require.Equal(t, rootBefore, again, "a tree does not change when another grows from it")
		tr = next

		for _, o := range out {
			tiles[fmt.Sprint(o.Level, "/", o.N)] = o.Data
		}
		want, err := tlog.TreeHash(int64(n), read)
		require.NoError(t, err)
		root, err := tr.root()
		require.NoError(t, err)
		require.Equal(t, custody.Digest(want), root, "size %d", n)
		require.Len(t, tr.leaves, n%tileWidth)
	}
	for _, w := range tlog.NewTiles(tileHeight, 0, int64(n)) {
		if w.L == 0 && w.W < tileWidth {
			continue // the engine has these
		}
		want, err := tlog.ReadTileData(w, read)
		require.NoError(t, err)
		require.Equal(t, want, tiles[fmt.Sprint(w.L, "/", w.N)], w.Path())
	}
}

func TestParsePath(t *testing.T) {
	for path, want := range map[string]tlog.Tile{
		"tile/0/000":                 {H: 8, L: 0, N: 0, W: 256},
		"tile/0/x001/067.p/8":        {H: 8, L: 0, N: 1067, W: 8},
		"tile/7/000.p/1":             {H: 8, L: 7, N: 0, W: 1},
		"tile/entries/x001/x234/067": {H: 8, L: -1, N: 1234067, W: 256},
	} {
		got, ok := parsePath(path)
		require.True(t, ok, path)
		require.Equal(t, want, got, path)
	}
	for _, path := range []string{
		"", "tile", "tile/0", "tile/0/0", "tile/0/1000", "tile/00/000", "tile/-1/000", "tile/data/000", "tile/entries/000.p/256",
		"tile/0/000.p/0", "tile/0/000/", "/tile/0/000", "tile/8/0/000", "tile/0/../000", "tile/0/x000/000", "tile/entries/000.p/07",
		"tile/0/x999/x999/x999/x999/x999/x999/x999/x999/999", "Checkpoint",
	} {
		_, ok := parsePath(path)
		require.False(t, ok, path)
	}
}

func TestParseBundle(t *testing.T) {
	leaves := []custody.Leaf{custody.NewLeaf(custody.Hash([]byte{1}), custody.Tag{}), custody.NewLeaf(custody.Hash([]byte{2}), custody.Tag{})}
	b := marshalBundle(leaves)
	got, err := parseBundle(b)
	require.NoError(t, err)
	require.Equal(t, leaves, got)
	for name, bad := range map[string][]byte{
		"cut":          b[:len(b)-1],
		"other length": append([]byte{0, 66}, b[2:]...),
		"no leaf":      append([]byte{0, 65, 2}, b[3:]...),
	} {
		_, err := parseBundle(bad)
		require.Error(t, err, name)
	}
}
