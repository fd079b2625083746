package storage

import (
	"context"
	"fmt"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

// Digests are the digests of a page of an artifact's chunks, with what shows
// that they are the artifact's: the roots of all pages give its root
// (custody.RootHash), and the digests the root of their page.
type Digests struct {
	Pages  []custody.Digest // root of each page of 4096 chunks, 32 GiB
	Chunks []custody.Digest // of the page that was asked for, in order
}

// Digests returns the digests of the chunks on page i of the artifact that pass
// is for. The pass must permit some of that page's bytes (guard.ErrNoPass).
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
	if err := pass.Permits(guard.Range{Offset: begin, Length: end - begin}, v.now()); err != nil {
		return Digests{}, err
	}
	d, err := v.digests(ctx, pass.Incident(), a, i)
	if err != nil {
		return Digests{}, fmt.Errorf("digests of the artifact %s: %w", a.Root, err)
	}
	return d, nil
}

func (v *Vault) digests(ctx context.Context, incident custody.IncidentID, a custody.Artifact, i uint64) (Digests, error) {
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
	d := Digests{}
	for _, p := range m.pages {
		d.Pages = append(d.Pages, p.root)
	}
	for _, c := range rows {
		d.Chunks = append(d.Chunks, c.Digest)
	}
	return d, nil
}

// PageBytes is how many bytes of an artifact the digests on one page describe.
const PageBytes = pageBytes
