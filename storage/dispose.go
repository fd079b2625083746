package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/forensic-custody/custody/custody"
)

// Keep says what of an incident must stay when something is removed. The vault
// keeps no counts of its own: a count can be wrong, and nothing else would tell.
type Keep struct {
	Artifacts []custody.Artifact      // sealed ones; only root and size count. Their manifests are read
	Uploads   iter.Seq2[Chunk, error] // the chunks of uploads that are under way; nil: there are none
}

// Discard removes the chunks that an abandoned upload left, but for those that
// keep names. It fails, with nothing more removed, when a manifest of keep cannot
// be read, and with *LockedError at a locked chunk. It may be called again.
// Nothing else may be taken into the incident at the same time but through this
// vault, and what this vault takes in waits.
func (v *Vault) Discard(ctx context.Context, incident custody.IncidentID, chunks iter.Seq2[Chunk, error], keep Keep) error {
	defer v.removing(incident)()
	if err := v.discard(ctx, incident, chunks, keep); err != nil {
		return fmt.Errorf("discard chunks: %w", err)
	}
	return nil
}

func (v *Vault) discard(ctx context.Context, incident custody.IncidentID, chunks iter.Seq2[Chunk, error], keep Keep) error {
	k, err := v.keys(ctx, incident)
	if err != nil {
		return err
	}
	others, err := v.keepers(ctx, k, keep, custody.Digest{}, 0)
	if err != nil {
		return err
	}
	for rows, err := range pages(chunks) {
		if err != nil {
			return err
		}
		if rows, err = others.without(ctx, rows); err != nil {
			return err
		}
		if err := forEach(ctx, rows, func(ctx context.Context, c Chunk) error { return v.deleteChunk(ctx, k, c) }); err != nil {
			return err
		}
	}
	return v.bucket.Barrier(ctx)
}

// Dispose removes a sealed artifact: first its manifest's head, from when on
// nothing of it can be read, then those of its chunks that keep does not name.
// Before it removes anything it looks at all of them: *LockedError when one is
// locked. When it was interrupted, calling it again goes on; it returns nil when
// the artifact is gone already, or never was. As with Discard, nothing may be
// taken into the incident meanwhile through another vault.
//
// It is destruction as far as the bucket destroys: what a folder's disk or a
// server's backups keep of it stays encrypted under keys that Shred destroys.
func (v *Vault) Dispose(ctx context.Context, incident custody.IncidentID, root custody.Digest, size uint64, keep Keep) error {
	defer v.removing(incident)()
	if err := v.dispose(ctx, incident, root, size, keep); err != nil {
		return fmt.Errorf("dispose of the artifact %s: %w", root, err)
	}
	return nil
}

func (v *Vault) dispose(ctx context.Context, incident custody.IncidentID, root custody.Digest, size uint64, keep Keep) error {
	k, err := v.keys(ctx, incident)
	if errors.Is(err, ErrNotFound) {
		return v.findOrphan(ctx, incident) // without its keys nobody knows the names of what is to go
	}
	if err != nil {
		return err
	}
	others, err := v.keepers(ctx, k, keep, root, size)
	if err != nil {
		return err
	}
	head, note := manifestAddress(k, root, size), disposalAddress(k, root, size)
	m, err := v.findManifest(ctx, k, head)
	switch {
	case err == nil:
		if err := v.condemn(ctx, k, m, others); err != nil {
			return err
		}
	case errors.Is(err, ErrNotFound):
		if m, err = v.findManifest(ctx, k, note); errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
	default:
		return err
	}
	if m.root != root || m.size != size {
		return &DamageError{Key: head.key(), Reason: errors.New("it is another artifact's")}
	}
	if err := v.deleteAll(ctx, head.key()); err != nil {
		return err
	}
	if err := v.bucket.Barrier(ctx); err != nil {
		return err
	}
	if err := v.deleteParts(ctx, k, m, others); err != nil {
		return err
	}
	if err := v.bucket.Barrier(ctx); err != nil {
		return err
	}
	if err := v.deleteAll(ctx, note.key()); err != nil {
		return err
	}
	return v.bucket.Barrier(ctx)
}

// condemn checks that nothing that is to go is locked, and leaves a note of what
// is to go, which is durable when it returns nil.
func (v *Vault) condemn(ctx context.Context, k *incidentKeys, m *manifest, others *keepers) error {
	for i, p := range m.pages {
		rows, err := v.readPage(ctx, k, m, uint64(i))
		if err != nil {
			return err
		}
		if rows, err = others.without(ctx, rows); err != nil {
			return err
		}
		err = forEach(ctx, rows, func(ctx context.Context, c Chunk) error {
			return v.checkUnlocked(ctx, chunkAddress(k, c).key(), c.Version)
		})
		if err == nil && !others.pages[p.digest] {
			err = v.checkUnlocked(ctx, pageAddress(k, p.digest).key(), p.version)
		}
		if err != nil {
			return err
		}
	}
	if err := v.checkUnlocked(ctx, m.object.Key, m.object.Version); err != nil {
		return err
	}
	plain, err := m.marshal()
	if err != nil {
		return err
	}
	if _, err := v.putObject(ctx, k, disposalAddress(k, m.root, m.size), plain); err != nil && !errors.Is(err, ErrExists) {
		return err
	}
	return v.bucket.Barrier(ctx)
}

// checkUnlocked returns nil when an object can be removed or is not there.
func (v *Vault) checkUnlocked(ctx context.Context, key, version string) error {
	o, err := v.bucket.Stat(ctx, key, version)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil && (o.Hold || o.Until.After(v.now())) {
		err = &LockedError{Key: key, Until: o.Until, Hold: o.Hold}
	}
	return err
}

// deleteParts removes an artifact's chunks and pages that nobody keeps. A page
// goes after its chunks, so when it is gone, so are they.
func (v *Vault) deleteParts(ctx context.Context, k *incidentKeys, m *manifest, others *keepers) error {
	for i, p := range m.pages {
		rows, err := v.readRows(ctx, k, p, uint64(i), m.size)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if rows, err = others.without(ctx, rows); err != nil {
			return err
		}
		if err := forEach(ctx, rows, func(ctx context.Context, c Chunk) error { return v.deleteChunk(ctx, k, c) }); err != nil {
			return err
		}
		if others.pages[p.digest] {
			continue
		}
		// Its chunks are gone for good before the list of them is.
		if err := v.bucket.Barrier(ctx); err != nil {
			return err
		}
		if err := v.bucket.Delete(ctx, pageAddress(k, p.digest).key(), p.version); err != nil {
			return err
		}
	}
	return nil
}

// deleteChunk removes the version of a chunk that its row names. Bringing the
// same bytes again puts it anew.
func (v *Vault) deleteChunk(ctx context.Context, k *incidentKeys, c Chunk) error {
	return v.bucket.Delete(ctx, chunkAddress(k, c).key(), c.Version)
}

// deleteAll removes one version of an object after the other.
func (v *Vault) deleteAll(ctx context.Context, key string) error {
	for {
		o, err := v.bucket.Stat(ctx, key, "")
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err == nil {
			err = v.bucket.Delete(ctx, key, o.Version)
		}
		if err != nil {
			return err
		}
	}
}

// removing has everything wait that this vault takes into the incident, and what
// else it removes there, until the function that it returns is called.
func (v *Vault) removing(incident custody.IncidentID) func() {
	gate := v.gate(incident)
	gate.Lock()
	return gate.Unlock
}

// taking is removing for what can be done at the same time.
func (v *Vault) taking(incident custody.IncidentID) func() {
	gate := v.gate(incident)
	gate.RLock()
	return gate.RUnlock
}

// keepers are the chunks and pages that must stay. Rows of manifests are read
// when they are needed, a page at a time.
type keepers struct {
	vault     *Vault
	keys      *incidentKeys
	manifests []*manifest
	pages     map[custody.Digest]bool
	uploads   iter.Seq2[Chunk, error]
}

// keepers reads the manifests of what is to be kept, but for the artifact that is
// not.
func (v *Vault) keepers(ctx context.Context, k *incidentKeys, keep Keep, root custody.Digest, size uint64) (*keepers, error) {
	all := &keepers{vault: v, keys: k, uploads: keep.Uploads, pages: map[custody.Digest]bool{}}
	for _, a := range keep.Artifacts {
		if a.Root == root && a.Size == size {
			continue
		}
		m, err := v.readManifest(ctx, k, a.Root, a.Size)
		if err != nil {
			return nil, fmt.Errorf("what the artifact %s uses: %w", a.Root, err)
		}
		all.manifests = append(all.manifests, m)
		for _, p := range m.pages {
			all.pages[p.digest] = true
		}
	}
	return all, nil
}

// without returns those of the rows of a page that nobody uses, each once, and
// no zeros.
func (s *keepers) without(ctx context.Context, rows []Chunk) ([]Chunk, error) {
	if len(s.manifests) == 0 && s.uploads == nil {
		return rows, nil
	}
	// Whatever version the other one names: it must find one.
	name := func(c Chunk) Chunk { return Chunk{Digest: c.Digest, Length: c.Length} }
	unused := map[Chunk][]Chunk{}
	for _, c := range rows {
		if !c.Zero() {
			unused[name(c)] = append(unused[name(c)], c)
		}
	}
	for _, m := range s.manifests {
		for i := range m.pages {
			if len(unused) == 0 {
				return nil, nil
			}
			used, err := s.vault.readPage(ctx, s.keys, m, uint64(i))
			if err != nil {
				return nil, err
			}
			for _, c := range used {
				delete(unused, name(c))
			}
		}
	}
	if s.uploads != nil {
		for c, err := range s.uploads {
			if err != nil {
				return nil, err
			}
			delete(unused, name(c))
		}
	}
	var left []Chunk
	for _, same := range unused {
		left = append(left, same...)
	}
	return left, nil
}
