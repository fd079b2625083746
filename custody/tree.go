package custody

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"sync"
)

// RFC 6962, section 2.1: what a leaf and an inner node are hashed behind.
var (
	leafPrefix = []byte{0}
	nodePrefix = []byte{1}
)

// ChunkCount returns the number of chunks of an artifact of size bytes.
func ChunkCount(size uint64) uint64 {
	n := size / ChunkSize
	if size%ChunkSize != 0 {
		n++
	}
	return n
}

// ChunkDigest returns the digest of the chunk b, whole in memory: the root of
// the tree over its blocks. A chunk has at most ChunkSize bytes; the digest of
// a longer b is that of no chunk.
func ChunkDigest(b []byte) Digest {
	var t hashTree
	eachBlock(b, t.add)
	return t.root()
}

// eachBlock calls do with the leaf hash of each block of b.
func eachBlock(b []byte, do func(Digest)) {
	h := sha256.New()
	for len(b) > 0 {
		n := min(BlockSize, len(b))
		h.Reset()
		h.Write(leafPrefix)
		h.Write(b[:n])
		do(sum(h))
		b = b[n:]
	}
}

// ZeroChunk returns the digest of a chunk of length bytes that are all zero,
// 1 to ChunkSize. That of a whole chunk is computed once.
func ZeroChunk(length uint64) Digest {
	if length == ChunkSize {
		return zeroChunk()
	}
	return zeroDigest(length)
}

var zeroChunk = sync.OnceValue(func() Digest { return zeroDigest(ChunkSize) })

// zeroDigest hashes one block of zeros however many there are.
func zeroDigest(length uint64) Digest {
	var t hashTree
	if whole := length / BlockSize; whole > 0 {
		d := Hash(append(leafPrefix[:1:1], make([]byte, BlockSize)...))
		for range whole {
			t.add(d)
		}
	}
	if rest := length % BlockSize; rest > 0 {
		t.add(Hash(append(leafPrefix[:1:1], make([]byte, rest)...)))
	}
	return t.root()
}

// RootHash grows an artifact's root from the digests of its chunks in order, or the
// log's from the hashes of its leaves. It keeps one hash for each level of the tree.
// Its zero value is ready.
type RootHash struct{ tree hashTree }

// Add takes in the digest of the next chunk, or the hash of the next leaf.
func (r *RootHash) Add(d Digest) { r.tree.add(d) }

// Count returns how many were added.
func (r *RootHash) Count() uint64 { return r.tree.count }

// Root returns the root of what was added so far.
func (r *RootHash) Root() Digest { return r.tree.root() }

// RootOfChunks returns the root of an artifact of size bytes from the digests
// of its chunks in order. It refuses a list that is too long or too short for
// the size.
func RootOfChunks(digests []Digest, size uint64) (Digest, error) {
	if n := ChunkCount(size); uint64(len(digests)) != n {
		return Digest{}, fmt.Errorf("an artifact of %d bytes has %d chunks, not %d", size, n, len(digests))
	}
	return SubtreeRoot(digests), nil
}

// TreeHash measures an artifact as its bytes are written to it: the tree and,
// beside it, the plain SHA-256 of the whole stream. It keeps one hash for each
// level of the tree, whatever the size.
type TreeHash struct {
	chunk func(Digest)

	whole  hash.Hash // of the stream
	block  hash.Hash // of the current block, behind its leaf prefix
	fill   int       // bytes in the current block
	blocks hashTree  // the current chunk's
	chunks hashTree  // the artifact's, over whole chunks
	size   uint64
	done   bool
}

// NewTreeHash returns a TreeHash that has seen no byte yet. chunk, unless nil,
// is given the digest of each chunk, in order, once the chunk is complete; the
// last one when Finish is called.
func NewTreeHash(chunk func(Digest)) *TreeHash {
	t := &TreeHash{chunk: chunk, whole: sha256.New(), block: sha256.New()}
	t.block.Write(leafPrefix)
	return t
}

// Write takes in the next bytes of the artifact. It fails only after Finish.
func (t *TreeHash) Write(p []byte) (int, error) {
	if t.done {
		return 0, errors.New("write to an artifact that is finished")
	}
	t.whole.Write(p)
	t.size += uint64(len(p))
	for rest := p; len(rest) > 0; {
		n := min(BlockSize-t.fill, len(rest))
		t.block.Write(rest[:n])
		t.fill += n
		rest = rest[n:]
		if t.fill == BlockSize {
			t.endBlock()
		}
	}
	return len(p), nil
}

func (t *TreeHash) endBlock() {
	t.blocks.add(sum(t.block))
	t.block.Reset()
	t.block.Write(leafPrefix)
	t.fill = 0
	if t.blocks.count == ChunkSize/BlockSize {
		t.endChunk()
	}
}

func (t *TreeHash) endChunk() {
	d := t.blocks.root()
	t.blocks = hashTree{}
	t.chunks.add(d)
	if t.chunk != nil {
		t.chunk(d)
	}
}

// Size returns the number of bytes written so far.
func (t *TreeHash) Size() uint64 { return t.size }

// Finish ends the stream and returns the artifact that its bytes are. Calling
// it again returns the same.
func (t *TreeHash) Finish() Artifact {
	if !t.done {
		t.done = true
		if t.fill > 0 {
			t.endBlock()
		}
		if t.blocks.count > 0 {
			t.endChunk()
		}
	}
	return Artifact{Root: t.chunks.root(), SHA256: sum(t.whole), Size: t.size, ChunkSize: ChunkSize}
}

// Verifier says whether the bytes written to it are an artifact.
type Verifier struct {
	want Artifact
	got  *TreeHash
}

// NewVerifier returns a Verifier of a that has seen no byte yet.
func (a Artifact) NewVerifier() *Verifier {
	return &Verifier{want: a, got: NewTreeHash(nil)}
}

// Write takes in the next bytes. It fails as soon as there are more than the
// artifact has.
func (v *Verifier) Write(p []byte) (int, error) {
	if uint64(len(p)) > v.want.Size-v.got.Size() {
		return 0, fmt.Errorf("more than the %d bytes of the artifact", v.want.Size)
	}
	return v.got.Write(p)
}

// Close ends the stream. It returns nil when the bytes are the artifact, and
// otherwise the first thing about them that is not the artifact's: size, root
// or SHA-256.
func (v *Verifier) Close() error {
	got := v.got.Finish()
	switch {
	case v.want.ChunkSize != ChunkSize:
		return fmt.Errorf("chunk size %d is not %d", v.want.ChunkSize, ChunkSize)
	case got.Size != v.want.Size:
		return fmt.Errorf("%d bytes instead of the artifact's %d", got.Size, v.want.Size)
	case got.Root != v.want.Root:
		return fmt.Errorf("root is %s instead of the artifact's %s", got.Root, v.want.Root)
	case got.SHA256 != v.want.SHA256:
		return fmt.Errorf("SHA-256 is %s instead of the artifact's %s", got.SHA256, v.want.SHA256)
	}
	return nil
}

// hashTree grows a Merkle tree of RFC 6962, section 2.1, to the right. It keeps
// the roots of the perfect subtrees on its right edge, the largest first.
//
// Its leaves may be the roots of perfect subtrees of one size instead of leaf
// hashes, the last one's subtree smaller: since the tree splits at powers of
// two, the root is the same.
type hashTree struct {
	count uint64
	edge  []Digest
}

func (t *hashTree) add(d Digest) {
	t.count++
	for n := t.count; n&1 == 0; n >>= 1 {
		last := len(t.edge) - 1
		d = hashNode(t.edge[last], d)
		t.edge = t.edge[:last]
	}
	t.edge = append(t.edge, d)
}

// root of the empty tree is the SHA-256 of the empty string.
func (t *hashTree) root() Digest {
	if t.count == 0 {
		return Hash(nil)
	}
	last := len(t.edge) - 1
	d := t.edge[last]
	for i := last - 1; i >= 0; i-- {
		d = hashNode(t.edge[i], d)
	}
	return d
}

func hashNode(left, right Digest) Digest {
	var b [1 + 2*sha256.Size]byte
	copy(b[:], nodePrefix)
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

func sum(h hash.Hash) Digest {
	var d Digest
	h.Sum(d[:0])
	return d
}
