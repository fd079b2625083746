package custody

import (
	"errors"
	"fmt"
	"math/bits"
)

// A stretch of leaves is shown to be a tree's by the roots of the largest
// subtrees that hold none of them, from left to right: with the leaves' own
// hashes they give the tree's root (RFC 6962, section 2.1). The tree may be that
// over the chunks of an artifact, whose leaves are their digests, or that over the
// blocks of a chunk. A proof discloses the hashes it is made of, and with them
// lets whoever has it test a guess of what lies beside the stretch.

// ProveRange returns the proof that the leaves [lo, hi) are those of a tree of n
// leaves; lo < hi <= n. root is asked for the root of the subtree over the leaves
// [begin, end).
func ProveRange(n, lo, hi uint64, root func(begin, end uint64) Digest) []Digest {
	rest := []Digest{}
	var prove func(begin, end uint64)
	prove = func(begin, end uint64) {
		switch {
		case end <= lo || hi <= begin:
			rest = append(rest, root(begin, end))
		case lo <= begin && end <= hi:
		default:
			middle := begin + leftOf(end-begin)
			prove(begin, middle)
			prove(middle, end)
		}
	}
	prove(0, n)
	return rest
}

// RangeRoot returns the root of a tree of n leaves whose leaves from lo on have
// these hashes, the rest being as a proof of ProveRange says. It refuses a proof
// of another length than the place takes.
func RangeRoot(n, lo uint64, leaves, rest []Digest) (Digest, error) {
	count := uint64(len(leaves))
	if count == 0 || lo > n || count > n-lo {
		return Digest{}, fmt.Errorf("a tree of %d leaves has no %d from leaf %d", n, count, lo)
	}
	var short bool
	var root func(begin, end uint64) Digest
	root = func(begin, end uint64) Digest {
		switch {
		case end <= lo || lo+count <= begin:
			if len(rest) == 0 {
				short = true
				return Digest{}
			}
			d := rest[0]
			rest = rest[1:]
			return d
		case lo <= begin && end <= lo+count:
			return SubtreeRoot(leaves[begin-lo : end-lo])
		}
		middle := begin + leftOf(end-begin)
		left := root(begin, middle)
		return hashNode(left, root(middle, end))
	}
	d := root(0, n)
	if short || len(rest) > 0 {
		return Digest{}, errors.New("the proof is too short or too long for its place")
	}
	return d, nil
}

// BlockDigests returns the leaf hashes of the blocks of b, which begins where a
// block does; the last block may be shorter.
func BlockDigests(b []byte) []Digest {
	list := make([]Digest, 0, BlockCount(uint64(len(b))))
	eachBlock(b, func(d Digest) { list = append(list, d) })
	return list
}

// BlockCount returns the number of blocks of size bytes.
func BlockCount(size uint64) uint64 {
	n := size / BlockSize
	if size%BlockSize != 0 {
		n++
	}
	return n
}

// SubtreeRoot returns the root of the tree over leaves with these hashes.
func SubtreeRoot(leaves []Digest) Digest {
	var t hashTree
	for _, d := range leaves {
		t.add(d)
	}
	return t.root()
}

// leftOf returns how many of n leaves, 2 at least, are in the left subtree: the
// largest power of two smaller than n.
func leftOf(n uint64) uint64 { return 1 << (bits.Len64(n-1) - 1) }
