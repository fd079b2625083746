package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
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

// manifest is the head of an artifact's list of chunks, which lies in pages of
// 4096 chunks, 32 GiB, so that nobody need hold it whole. The plaintext of a page
// is
//
//	rows      one for each chunk: 32 bytes digest, uint32 length, uint16 length
//	          of the version, version
//
// and that of the head
//
//	uint32    length of what comes next
//	head      canonical JSON (RFC 8785) of manifestHead
//	rows      one for each page: 32 bytes root of the tree over its chunks, 32
//	          bytes SHA-256 and uint32 length of its plaintext, uint16 length of
//	          its version in the bucket, version
//
// with big-endian integers. Since a whole page is a perfect subtree, the roots of
// the pages give the artifact's root as its chunks do. So a head is accepted only
// when its rows fit the size and give the root, a page only when its rows fit
// their place and give the page's root, and nothing may follow either.
type manifest struct {
	root  custody.Digest
	size  uint64
	pages []page

	object Object // the head as the bucket has it, when it was read there
}

// page is a page of a manifest as its head describes it.
type page struct {
	root    custody.Digest // of the tree over its chunks
	digest  custody.Digest // SHA-256 of its plaintext
	length  uint32         // of its plaintext, in bytes
	version string
}

type manifestHead struct {
	ChunkSize uint64         `json:"chunkSize"`
	Format    string         `json:"format"`
	PageSize  uint64         `json:"pageSize"` // chunks of a page
	Root      custody.Digest `json:"root"`
	Size      uint64         `json:"size"`
}

const (
	manifestFormat = "custody/v2/manifest"
	pageChunks     = 4096
	pageBytes      = pageChunks * custody.ChunkSize // of the artifact, described by one page
	maxVersion     = 1024                           // bytes of a version, as S3 limits it
	rowSize        = 32 + 4 + 2
	pageRowSize    = 32 + 32 + 4 + 2
	maxHead        = 1 << 10
)

// maxManifest is the longest plaintext of a manifest's head.
const maxManifest = 4 + maxHead + custody.MaxArtifact/pageBytes*(pageRowSize+maxVersion)

// pageCount returns the number of pages of an artifact.
func pageCount(size uint64) uint64 { return (custody.ChunkCount(size) + pageChunks - 1) / pageChunks }

// pageRows returns the number of chunks on page i of an artifact.
func pageRows(i, size uint64) uint64 {
	return min(pageChunks, custody.ChunkCount(size)-i*pageChunks)
}

// pageRange returns the bytes of an artifact that page i describes.
func pageRange(i, size uint64) guard.Range {
	begin := i * pageBytes
	return guard.Range{Offset: begin, Length: min(pageBytes, size-begin)}
}

// chunkLength returns the length in bytes of chunk i of an artifact.
func chunkLength(i, size uint64) uint64 {
	begin := i * custody.ChunkSize
	if begin >= size {
		return 0
	}
	return min(custody.ChunkSize, size-begin)
}

// check refuses a chunk that is not number i of an artifact of this size.
func (c Chunk) check(i, size uint64) error {
	if want := chunkLength(i, size); uint64(c.Length) != want || want == 0 {
		return fmt.Errorf("chunk %d has %d bytes instead of %d", i, c.Length, want)
	}
	if len(c.Version) > maxVersion {
		return fmt.Errorf("the version of chunk %d is longer than %d bytes", i, maxVersion)
	}
	if c.Version != "" && c.Zero() {
		return fmt.Errorf("chunk %d is zeros and has a version", i)
	}
	return nil
}

// checkChunks refuses chunks that are not those of an artifact of this size and
// root. It goes through them once and keeps none.
func checkChunks(chunks iter.Seq2[Chunk, error], size uint64, root custody.Digest) error {
	if size > custody.MaxArtifact {
		return fmt.Errorf("%w: an artifact has at most %d bytes", ErrMismatch, uint64(custody.MaxArtifact))
	}
	var measured custody.RootHash
	for c, err := range chunks {
		if err != nil {
			return err
		}
		if err := c.check(measured.Count(), size); err != nil {
			return fmt.Errorf("%w: %w", ErrMismatch, err)
		}
		measured.Add(c.Digest)
	}
	if n := custody.ChunkCount(size); measured.Count() != n {
		return fmt.Errorf("%w: an artifact of %d bytes has %d chunks, not %d", ErrMismatch, size, n, measured.Count())
	}
	if got := measured.Root(); got != root {
		return fmt.Errorf("%w: the chunks give the root %s", ErrMismatch, got)
	}
	return nil
}

// ArtifactOf returns the artifact that Seal makes of chunks, in this order: its
// root and size. False when they are none, since only the last may be short. An
// error of chunks' own is returned.
func ArtifactOf(chunks iter.Seq2[Chunk, error]) (custody.Artifact, bool, error) {
	var measured custody.RootHash
	var size uint64
	for c, err := range chunks {
		if err != nil {
			return custody.Artifact{}, false, err
		}
		if c.Length == 0 || c.Length > custody.ChunkSize || size != measured.Count()*custody.ChunkSize || size+uint64(c.Length) > custody.MaxArtifact {
			return custody.Artifact{}, false, nil
		}
		measured.Add(c.Digest)
		size += uint64(c.Length)
	}
	return custody.Artifact{Root: measured.Root(), Size: size, ChunkSize: custody.ChunkSize}, true, nil
}

// pages gathers chunks to the rows of one page after the other. The rows are
// valid until the next ones are asked for.
func pages(chunks iter.Seq2[Chunk, error]) iter.Seq2[[]Chunk, error] {
	return func(yield func([]Chunk, error) bool) {
		rows := make([]Chunk, 0, 64)
		for c, err := range chunks {
			if err != nil {
				yield(nil, err)
				return
			}
			if rows = append(rows, c); len(rows) == pageChunks {
				if !yield(rows, nil) {
					return
				}
				rows = rows[:0]
			}
		}
		if len(rows) > 0 {
			yield(rows, nil)
		}
	}
}

// newManifest refuses pages that do not make an artifact of this size and root.
func newManifest(pages []page, size uint64, root custody.Digest) (*manifest, error) {
	if size > custody.MaxArtifact {
		return nil, fmt.Errorf("an artifact has at most %d bytes", uint64(custody.MaxArtifact))
	}
	if n := pageCount(size); uint64(len(pages)) != n {
		return nil, fmt.Errorf("an artifact of %d bytes has %d pages, not %d", size, n, len(pages))
	}
	var measured custody.RootHash
	for i, p := range pages {
		rows := pageRows(uint64(i), size)
		if n := uint64(p.length); n < rows*rowSize || n > rows*(rowSize+maxVersion) {
			return nil, fmt.Errorf("page %d has %d rows and cannot have %d bytes", i, rows, n)
		}
		if len(p.version) > maxVersion {
			return nil, fmt.Errorf("the version of page %d is longer than %d bytes", i, maxVersion)
		}
		measured.Add(p.root)
	}
	if got := measured.Root(); got != root {
		return nil, fmt.Errorf("the pages give the root %s instead of %s", got, root)
	}
	return &manifest{root: root, size: size, pages: pages}, nil
}

func (m *manifest) marshal() ([]byte, error) {
	head, err := custody.Encode(manifestHead{
		ChunkSize: custody.ChunkSize, Format: manifestFormat, PageSize: pageChunks, Root: m.root, Size: m.size,
	})
	if err != nil {
		return nil, err
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(head)))
	b = append(b, head...)
	for _, p := range m.pages {
		b = append(b, p.root[:]...)
		b = append(b, p.digest[:]...)
		b = appendVersion(binary.BigEndian.AppendUint32(b, p.length), p.version)
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
	if head.Format != manifestFormat || head.ChunkSize != custody.ChunkSize || head.PageSize != pageChunks {
		return nil, fmt.Errorf("unknown manifest: format %.40q, chunks of %d bytes, pages of %d", head.Format, head.ChunkSize, head.PageSize)
	}
	var list []page
	for rest = rest[length:]; len(rest) > 0; {
		if len(rest) < pageRowSize {
			return nil, fmt.Errorf("page %d of the manifest is cut short", len(list))
		}
		p := page{root: custody.Digest(rest[:32]), digest: custody.Digest(rest[32:64]), length: binary.BigEndian.Uint32(rest[64:])}
		var err error
		if p.version, rest, err = cutVersion(rest[68:]); err != nil {
			return nil, fmt.Errorf("page %d of the manifest: %w", len(list), err)
		}
		list = append(list, p)
	}
	return newManifest(list, head.Size, head.Root)
}

// marshalRows writes the plaintext of a page.
func marshalRows(rows []Chunk) []byte {
	length := 0
	for _, c := range rows {
		length += rowSize + len(c.Version)
	}
	b := make([]byte, 0, length)
	for _, c := range rows {
		b = append(b, c.Digest[:]...)
		b = appendVersion(binary.BigEndian.AppendUint32(b, c.Length), c.Version)
	}
	return b
}

// parseRows accepts exactly what marshalRows writes.
func parseRows(b []byte) ([]Chunk, error) {
	rows := make([]Chunk, 0, len(b)/rowSize)
	for len(b) > 0 {
		if len(b) < rowSize {
			return nil, fmt.Errorf("row %d of the page is cut short", len(rows))
		}
		c := Chunk{Digest: custody.Digest(b[:32]), Length: binary.BigEndian.Uint32(b[32:])}
		var err error
		if c.Version, b, err = cutVersion(b[36:]); err != nil {
			return nil, fmt.Errorf("row %d of the page: %w", len(rows), err)
		}
		rows = append(rows, c)
	}
	return rows, nil
}

// rootOfRows returns the root of the tree over the chunks of page i, and refuses
// what cannot be there.
func rootOfRows(rows []Chunk, i, size uint64) (custody.Digest, error) {
	if n := pageRows(i, size); uint64(len(rows)) != n {
		return custody.Digest{}, fmt.Errorf("page %d has %d rows instead of %d", i, len(rows), n)
	}
	var root custody.RootHash
	for n, c := range rows {
		if err := c.check(i*pageChunks+uint64(n), size); err != nil {
			return custody.Digest{}, err
		}
		root.Add(c.Digest)
	}
	return root.Root(), nil
}

// appendVersion writes a version behind its length.
func appendVersion(b []byte, version string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(version))), version...)
}

// cutVersion reads what appendVersion wrote and returns what follows it.
func cutVersion(b []byte) (string, []byte, error) {
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; len(b) < n {
		return "", nil, errors.New("the version is cut short")
	}
	return string(b[:n]), b[n:], nil
}
