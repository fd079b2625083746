package custody

// Artifact names the bytes of an evidence item.
type Artifact struct {
	Root      Digest `json:"root"`      // RFC 6962 root over the blocks
	SHA256    Digest `json:"sha256"`    // of the whole stream of bytes
	Size      uint64 `json:"size"`      // in bytes
	ChunkSize uint64 `json:"chunkSize"` // in bytes; ChunkSize
}

// An artifact is an RFC 6962 Merkle tree over its blocks, the last one short.
// A chunk is a run of 128 blocks, the last one short; its digest is the root
// of its subtree, so that the root of the artifact follows from the digests of
// its chunks, and a proof in the tree reaches down to one block.
const (
	BlockSize = 64 << 10
	ChunkSize = 128 * BlockSize // 8 MiB
)
