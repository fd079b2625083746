package storage

import (
	"context"
	"fmt"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

// Digests are the digests of those chunks on a page of an artifact that a pass
// touches, with the proofs that they are the artifact's and, of a chunk of which
// only a part is permitted, that this part's blocks are the chunk's
// (custody.RangeRoot). Nothing else of the artifact is told.
type Digests struct {
	Chunks []custody.Digest // in order; the first is that at the pass' first byte, or the page's first
	Rest   []custody.Digest // completes them to the artifact's root, among all its chunks
	First  []custody.Digest // completes the permitted blocks of the first chunk to its digest; nil where that is whole, or zeros
	Last   []custody.Digest // of the last chunk, if that is another
}

// Digests returns the digests on page i of the artifact that pass is for. The
// pass must permit some of that page's bytes (guard.ErrNoPass).
func (v *Vault) Digests(ctx context.Context, pass guard.Pass, i uint64) (Digests, error) {
	a := pass.Artifact()
	if i >= pageCount(a.Size) {
		return Digests{}, fmt.Errorf("digests of the artifact %s: it has no page %d", a.Root, i)
	}
	begin, end := pass.Span().Offset, pass.Span().Offset+pass.Span().Length
	on := pageRange(i, a.Size)
	begin, end = max(begin, on.Offset), min(end, on.Offset+on.Length)
	if begin >= end {
		return Digests{}, guard.ErrNoPass
	}
	span := guard.Range{Offset: begin, Length: end - begin}
	if err := pass.Permits(span, v.now()); err != nil {
		return Digests{}, err
	}
	d, err := v.digests(ctx, pass.Incident(), a, i, span)
	if err != nil {
		return Digests{}, fmt.Errorf("digests of the artifact %s: %w", a.Root, err)
	}
	return d, nil
}

// digests returns what concerns span, which lies on page i.
func (v *Vault) digests(ctx context.Context, incident custody.IncidentID, a custody.Artifact, i uint64, span guard.Range) (Digests, error) {
	k, err := v.keys(ctx, incident)
	if err != nil {
		return Digests{}, damage(err, wrappedKey(incident, firstKeys), guard.Range{Length: a.Size})
	}
	m, err := v.readManifest(ctx, k, a.Root, a.Size)
	if err != nil {
		return Digests{}, err
	}
	rows, err := v.readPage(ctx, k, m, i)
	if err != nil {
		return Digests{}, err
	}
	first, last := span.Offset/custody.ChunkSize, (span.Offset+span.Length-1)/custody.ChunkSize
	d := Digests{Rest: custody.ProveRange(custody.ChunkCount(a.Size), first, last+1, func(begin, end uint64) custody.Digest {
		return m.subtree(i, rows, begin, end)
	})}
	for _, c := range rows[first-i*pageChunks : last+1-i*pageChunks] {
		d.Chunks = append(d.Chunks, c.Digest)
	}
	if d.First, err = v.blockProof(ctx, k, rows[first-i*pageChunks], first, span); err == nil && last > first {
		d.Last, err = v.blockProof(ctx, k, rows[last-i*pageChunks], last, span)
	}
	return d, err
}

// subtree returns the root over the chunks [begin, end), a subtree of the
// artifact's: it lies on page i, of which rows are, or is whole pages.
func (m *manifest) subtree(i uint64, rows []Chunk, begin, end uint64) custody.Digest {
	var root custody.RootHash
	if begin/pageChunks == i && (end-1)/pageChunks == i {
		for _, c := range rows[begin-i*pageChunks : end-i*pageChunks] {
			root.Add(c.Digest)
		}
		return root.Root()
	}
	for _, p := range m.pages[begin/pageChunks : (end+pageChunks-1)/pageChunks] {
		root.Add(p.root)
	}
	return root.Root()
}

// blockProof returns what completes the blocks of chunk number index that lie
// within span to the chunk's digest: nil where the chunk lies within it whole, has
// no block that does, or is zeros, of which the digest says everything.
func (v *Vault) blockProof(ctx context.Context, k *incidentKeys, c Chunk, index uint64, span guard.Range) ([]custody.Digest, error) {
	place := guard.Range{Offset: index * custody.ChunkSize, Length: uint64(c.Length)}
	n, lo, hi := custody.BlockCount(place.Length), uint64(0), custody.BlockCount(place.Length)
	if span.Offset > place.Offset {
		lo = custody.BlockCount(span.Offset - place.Offset)
	}
	if end := span.Offset + span.Length; end < place.Offset+place.Length {
		hi = (end - place.Offset) / custody.BlockSize
	}
	if c.Zero() || lo >= hi || hi-lo == n {
		return nil, nil
	}
	buf, err := v.buffers.take(ctx)
	if err != nil {
		return nil, err
	}
	plain, buf, err := v.readChunk(ctx, k, c, place, buf)
	defer v.buffers.give(buf)
	if err != nil {
		return nil, err
	}
	blocks := custody.BlockDigests(plain)
	return custody.ProveRange(n, lo, hi, func(begin, end uint64) custody.Digest { return custody.SubtreeRoot(blocks[begin:end]) }), nil
}
