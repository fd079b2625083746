package custody_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

// grown is the root over leaves, as the tree that grows gives it.
func grown(leaves []custody.Digest) custody.Digest {
	var t custody.RootHash
	for _, d := range leaves {
		t.Add(d)
	}
	return t.Root()
}

// TestEveryRange proves every stretch of trees of every small size, and sees the
// proof fail for every other stretch of the same length, with any hash altered,
// left out, repeated, or added.
func TestEveryRange(t *testing.T) {
	for n := uint64(1); n <= 20; n++ {
		leaves := make([]custody.Digest, n)
		for i := range leaves {
			leaves[i] = custody.Hash([]byte{byte(i)})
		}
		root := grown(leaves)
		for lo := range n {
			for hi := lo + 1; hi <= n; hi++ {
				rest := custody.ProveRange(n, lo, hi, func(begin, end uint64) custody.Digest { return grown(leaves[begin:end]) })
				got, err := custody.RangeRoot(n, lo, leaves[lo:hi], rest)
				require.NoError(t, err)
				require.Equal(t, root, got, "%d to %d of %d", lo, hi, n)
				others(t, n, lo, leaves[lo:hi], rest, root)
			}
		}
	}
}

// others are proofs beside the one that is good.
func others(t *testing.T, n, lo uint64, leaves, rest []custody.Digest, root custody.Digest) {
	t.Helper()
	fails := func(n, lo uint64, leaves, rest []custody.Digest) {
		got, err := custody.RangeRoot(n, lo, leaves, rest)
		if err == nil {
			require.NotEqual(t, root, got, "%d leaves from %d of %d", len(leaves), lo, n)
		}
	}
	for at := range n {
		if at != lo {
			fails(n, at, leaves, rest)
		}
	}
	for i := range leaves {
		altered := slices.Clone(leaves)
		altered[i][31] ^= 1
		fails(n, lo, altered, rest)
	}
	for i := range rest {
		altered := slices.Clone(rest)
		altered[i][0] ^= 1
		fails(n, lo, leaves, altered)
		_, err := custody.RangeRoot(n, lo, leaves, slices.Delete(slices.Clone(rest), i, i+1))
		require.Error(t, err)
		_, err = custody.RangeRoot(n, lo, leaves, slices.Insert(slices.Clone(rest), i, rest[i]))
		require.Error(t, err)
	}
	_, err := custody.RangeRoot(n, lo, leaves, append(slices.Clone(rest), custody.Digest{}))
	require.Error(t, err)
}

func TestRangesThatAreNone(t *testing.T) {
	d := make([]custody.Digest, 3)
	for _, c := range []struct {
		n, lo  uint64
		leaves int
	}{{0, 0, 0}, {0, 0, 1}, {3, 0, 0}, {3, 1, 3}, {3, 4, 1}, {3, 1 << 63, 1}, {3, ^uint64(0), 2}} {
		_, err := custody.RangeRoot(c.n, c.lo, d[:c.leaves], nil)
		require.ErrorContains(t, err, "has no", "%+v", c)
	}
}

// TestARangeOfBlocks: the blocks of a chunk lead to its digest.
func TestARangeOfBlocks(t *testing.T) {
	for _, size := range []int{1, custody.BlockSize, 3*custody.BlockSize + 5, custody.ChunkSize - 1, custody.ChunkSize} {
		b := pattern(size, 7)
		blocks := custody.BlockDigests(b)
		require.EqualValues(t, custody.BlockCount(uint64(size)), len(blocks))
		require.Equal(t, custody.ChunkDigest(b), grown(blocks))
		lo := len(blocks) / 3
		hi := lo + (len(blocks)-lo+1)/2
		rest := custody.ProveRange(uint64(len(blocks)), uint64(lo), uint64(hi), func(begin, end uint64) custody.Digest { return grown(blocks[begin:end]) })
		part := b[lo*custody.BlockSize : min(hi*custody.BlockSize, size)]
		got, err := custody.RangeRoot(uint64(len(blocks)), uint64(lo), custody.BlockDigests(part), rest)
		require.NoError(t, err)
		require.Equal(t, custody.ChunkDigest(b), got)
	}
}
