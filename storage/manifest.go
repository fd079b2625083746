package storage

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/forensic-custody/custody/custody"
)

// Chunk is one chunk of an artifact as it lies in the bucket.
type Chunk struct {
	Digest  custody.Digest // custody.ChunkDigest of its plaintext
	Length  uint32         // of its plaintext, in bytes
	Version string         // under which the bucket keeps it; "" where the bucket knows no versions, and for zeros
}

// Zero tells whether the chunk's bytes are all zero. Such a chunk is not in the
// bucket: its digest says what its bytes are.
func (c Chunk) Zero() bool { return c.Digest == custody.ZeroChunk(uint64(c.Length)) }

// manifest lists the chunks of an artifact in order. Its plaintext is
//
//	uint32    length of the head
//	head      canonical JSON (RFC 8785) of manifestHead
//	rows      one for each chunk: 32 bytes digest, uint32 length, uint16 length
//	          of the version, version
//
// with big-endian integers. A manifest is accepted only when its rows fit the
// size and give the root, and nothing follows them.
type manifest struct {
	root   custody.Digest
	size   uint64
	chunks []Chunk
}

type manifestHead struct {
	ChunkSize uint64         `json:"chunkSize"`
	Format    string         `json:"format"`
	Root      custody.Digest `json:"root"`
	Size      uint64         `json:"size"`
}

const (
	manifestFormat = "custody/v1/manifest"
	maxVersion     = 1024 // bytes of a version, as S3 limits it
	rowSize        = 32 + 4 + 2
	maxHead        = 1 << 10
)

// maxManifest is the longest plaintext of a manifest of so many chunks.
func maxManifest(chunks uint64) uint64 { return 4 + maxHead + chunks*(rowSize+maxVersion) }

// newManifest refuses chunks that are not those of an artifact of this size and
// root.
func newManifest(chunks []Chunk, size uint64, root custody.Digest) (*manifest, error) {
	if size > custody.MaxArtifact {
		return nil, fmt.Errorf("an artifact has at most %d bytes", uint64(custody.MaxArtifact))
	}
	digests := make([]custody.Digest, len(chunks))
	for i, c := range chunks {
		digests[i] = c.Digest
		if want := chunkLength(uint64(i), size); uint64(c.Length) != want {
			return nil, fmt.Errorf("chunk %d has %d bytes instead of %d", i, c.Length, want)
		}
		if len(c.Version) > maxVersion {
			return nil, fmt.Errorf("the version of chunk %d is longer than %d bytes", i, maxVersion)
		}
	}
	measured, err := custody.RootOfChunks(digests, size)
	if err != nil {
		return nil, err
	}
	if measured != root {
		return nil, fmt.Errorf("the chunks give the root %s instead of %s", measured, root)
	}
	return &manifest{root: root, size: size, chunks: chunks}, nil
}

// chunkLength returns the length in bytes of chunk i of an artifact.
func chunkLength(i, size uint64) uint64 {
	begin := i * custody.ChunkSize
	if begin >= size {
		return 0
	}
	return min(custody.ChunkSize, size-begin)
}

func (m *manifest) marshal() ([]byte, error) {
	head, err := custody.Encode(manifestHead{
		ChunkSize: custody.ChunkSize, Format: manifestFormat, Root: m.root, Size: m.size,
	})
	if err != nil {
		return nil, err
	}
	length := 4 + len(head)
	for _, c := range m.chunks {
		length += rowSize + len(c.Version)
	}
	b := binary.BigEndian.AppendUint32(make([]byte, 0, length), uint32(len(head)))
	b = append(b, head...)
	for _, c := range m.chunks {
		b = append(b, c.Digest[:]...)
		b = binary.BigEndian.AppendUint32(b, c.Length)
		b = binary.BigEndian.AppendUint16(b, uint16(len(c.Version)))
		b = append(b, c.Version...)
	}
	return b, nil
}

// parseManifest accepts exactly what marshal writes.
func parseManifest(b []byte) (*manifest, error) {
	if len(b) < 4 {
		return nil, errors.New("the manifest is cut short")
	}
	length, rest := uint64(binary.BigEndian.Uint32(b)), b[4:]
	if length > maxHead || length > uint64(len(rest)) {
		return nil, errors.New("the manifest's head is cut short")
	}
	var head manifestHead
	if err := custody.Decode(rest[:length], &head); err != nil {
		return nil, fmt.Errorf("the manifest's head: %w", err)
	}
	if head.Format != manifestFormat || head.ChunkSize != custody.ChunkSize {
		return nil, fmt.Errorf("unknown manifest: format %.40q, chunks of %d bytes", head.Format, head.ChunkSize)
	}
	chunks, err := parseRows(rest[length:])
	if err != nil {
		return nil, err
	}
	return newManifest(chunks, head.Size, head.Root)
}

func parseRows(b []byte) ([]Chunk, error) {
	all := string(b) // one copy, which every version is a part of
	chunks := make([]Chunk, 0, len(b)/rowSize)
	for at := 0; at < len(b); {
		if len(b)-at < rowSize {
			return nil, fmt.Errorf("row %d of the manifest is cut short", len(chunks))
		}
		c := Chunk{Digest: custody.Digest(b[at : at+32]), Length: binary.BigEndian.Uint32(b[at+32:])}
		version := int(binary.BigEndian.Uint16(b[at+36:]))
		at += rowSize
		if len(b)-at < version {
			return nil, fmt.Errorf("row %d of the manifest is cut short", len(chunks))
		}
		if version > 0 { // an empty part would still hold on to all
			c.Version = all[at : at+version]
		}
		at += version
		chunks = append(chunks, c)
	}
	return chunks, nil
}
