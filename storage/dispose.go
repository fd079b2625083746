package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/forensic-custody/custody/custody"
)

// Keep says what of an incident must stay when something is removed. It is
// called again before each step, once nothing can be taken into the incident any
// more, so that what it returns holds until the step is done; the first time it
// is called to look ahead. An error ends the removal there. The vault keeps no
// counts of its own: a count can be wrong, and nothing else would tell.
type Keep func(context.Context) (Kept, error)

// Kept is what must stay.
type Kept struct {
	Artifacts []custody.Artifact      // sealed ones; only root and size count. Their manifests are read
	Uploads   iter.Seq2[Chunk, error] // the chunks of uploads that are under way; nil: there are none
}

// Removed is what a disposal came to, counted in places of the artifact: a chunk
// that it has twice counts twice. Zeros are not counted, since they are not kept.
type Removed struct {
	Chunks, Bytes             uint64 // that are destroyed
	SharedChunks, SharedBytes uint64 // that stay, because others of the incident use them
	Same                      bool   // nothing was destroyed: something else that stays is the same artifact
	Unlisted                  bool   // nothing was destroyed: nothing tells which chunks were the artifact's, as it is gone already, or its manifest alone is lost
	Whole                     bool   // false: an earlier call had removed some of it, or all, which is not counted
}

// Discard removes what an abandoned upload left: the manifest that a seal of its
// chunks made, if there is one, as Dispose does, and the chunks and pages, but for
// what keep names. So it also removes an artifact whose manifest is lost, for a
// caller who has the list of its chunks. It goes through the chunks twice. It fails, with nothing more
// removed, when a manifest of what is kept cannot be read, and with *LockedError
// at something locked. It may be called again. Nothing may be taken into the incident at the same time but through this
// vault, which says ErrBusy meanwhile, now and then.
func (v *Vault) Discard(ctx context.Context, incident custody.IncidentID, chunks iter.Seq2[Chunk, error], keep Keep) error {
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
	a, ok, err := ArtifactOf(chunks)
	if err != nil {
		return err
	}
	if ok { // or its head would name chunks that are gone, and nobody could seal the same again
		if _, err := v.disposeWith(ctx, k, a.Root, a.Size, keep); err != nil && !errors.Is(err, errSame) {
			return err
		}
	}
	d := &disposal{vault: v, keys: k, keep: keep}
	for rows, err := range pages(chunks) {
		if err != nil {
			return err
		}
		page := custody.Hash(marshalRows(rows)) // that a seal made of them, and only a head would name
		named := map[string]string{}
		d.name(named, rows)
		if d.strays, err = v.strays(ctx, named); err == nil {
			err = d.step(ctx, func(others *keepers) error {
				if err := d.deleteChunks(ctx, rows, others); err != nil || others.pages[page] {
					return err
				}
				return v.deleteAll(ctx, pageAddress(k, page).key())
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Dispose removes a sealed artifact: first its manifest's head, from when on
// nothing of it can be read, then those of its chunks that keep does not name:
// every version that the bucket has of each, also what was written over it or
// restored beside it. Before it removes anything it looks at all of them:
// *LockedError when one is locked. When it was interrupted, calling it again goes on. When the bucket has neither
// the manifest's head nor a note that an earlier call left, it removes nothing and
// says so (Unlisted): the artifact is gone already, or never was, or its chunks
// are there and only the manifest that names them is lost. When keep names the
// artifact itself, it stays. As with Discard, nothing may be taken into the incident
// meanwhile through another vault, and this one says ErrBusy now and then.
//
// It is destruction as far as the bucket destroys: what a folder's disk or a
// server's backups keep of it stays encrypted under keys that Shred destroys.
func (v *Vault) Dispose(ctx context.Context, incident custody.IncidentID, root custody.Digest, size uint64, keep Keep) (Removed, error) {
	done, err := v.dispose(ctx, incident, root, size, keep)
	if errors.Is(err, errSame) {
		return Removed{Same: true}, nil
	}
	if err != nil {
		return Removed{}, fmt.Errorf("dispose of the artifact %s: %w", root, err)
	}
	return done, nil
}

func (v *Vault) dispose(ctx context.Context, incident custody.IncidentID, root custody.Digest, size uint64, keep Keep) (Removed, error) {
	k, err := v.keys(ctx, incident)
	if errors.Is(err, ErrNotFound) {
		return Removed{}, v.findOrphan(ctx, incident) // without its keys nobody knows the names of what is to go
	}
	if err != nil {
		return Removed{}, err
	}
	done, err := v.disposeWith(ctx, k, root, size, keep)
	if err != nil || !done.Unlisted {
		return done, err
	}
	kept, err := keep(ctx)
	if err == nil && slices.ContainsFunc(kept.Artifacts, func(a custody.Artifact) bool { return a.Root == root && a.Size == size }) {
		err = errSame
	}
	return done, err
}

func (v *Vault) disposeWith(ctx context.Context, k *incidentKeys, root custody.Digest, size uint64, keep Keep) (Removed, error) {
	d := &disposal{
		vault: v, keys: k, keep: keep, root: root, size: size,
		head: manifestAddress(k, root, size), note: disposalAddress(k, root, size),
	}
	d.done.Whole = true
	m, err := d.begin(ctx)
	if err != nil {
		return Removed{}, err
	}
	if m == nil {
		return Removed{Unlisted: true}, nil
	}
	for _, step := range []func(context.Context, *manifest) error{d.behead, d.removeChunks, d.removePages} {
		if err := step(ctx, m); err != nil {
			return Removed{}, err
		}
	}
	return d.done, nil
}

// disposal is one on its way.
type disposal struct {
	vault      *Vault
	keys       *incidentKeys
	keep       Keep
	root       custody.Digest // and size: of what goes; zero for mere chunks
	size       uint64
	head, note address
	strays     strays // of the chunks that are next
	done       Removed
}

// errSame says that the artifact has to stay.
var errSame = errors.New("something that stays is the same artifact")

// step does a part of the work while nothing is taken in, knowing what must stay
// then. What it did is durable when it returns nil.
func (d *disposal) step(ctx context.Context, do func(*keepers) error) error {
	return d.vault.removingInTurns(ctx, d.keys.incident, func() error {
		others, err := d.others(ctx)
		if err != nil {
			return err
		}
		if others.same { // and whoever disposes of it later begins anew
			if err := d.vault.deleteAll(ctx, d.note.key()); err != nil {
				return err
			}
			if err := d.vault.bucket.Barrier(ctx); err != nil {
				return err
			}
			return errSame
		}
		if err := do(others); err != nil {
			return err
		}
		return d.vault.bucket.Barrier(ctx)
	})
}

func (d *disposal) others(ctx context.Context) (*keepers, error) {
	kept, err := d.keep(ctx)
	if err != nil {
		return nil, err
	}
	return d.vault.keepers(ctx, d.keys, kept, d.root, d.size)
}

// begin finds the manifest of what goes, in its place or, when an earlier
// disposal was interrupted, where that one noted it; nil when there is neither.
func (d *disposal) begin(ctx context.Context) (*manifest, error) {
	m, err := d.vault.findManifest(ctx, d.keys, d.head, "")
	if errors.Is(err, ErrNotFound) {
		if m, err = d.vault.findManifest(ctx, d.keys, d.note, ""); errors.Is(err, ErrNotFound) {
			return nil, d.checkGone(ctx)
		}
	} else if err == nil {
		var others *keepers
		if others, err = d.others(ctx); err == nil && !others.same {
			err = d.condemn(ctx, m, others)
		}
	}
	if err == nil && (m.root != d.root || m.size != d.size) {
		err = &DamageError{Key: d.head.key(), Reason: errors.New("it is another artifact's")}
	}
	return m, err
}

// checkGone returns nil when the manifest's head is not merely hidden: what it
// names would stay.
func (d *disposal) checkGone(ctx context.Context) error {
	all, err := d.vault.versions(ctx, d.head.key())
	for _, o := range all {
		if !o.Marker {
			return &DamageError{Key: o.Key, Reason: errors.New("a delete marker hides it: remove the marker")}
		}
	}
	return err
}

// behead removes the manifest's head.
func (d *disposal) behead(ctx context.Context, _ *manifest) error {
	return d.step(ctx, func(*keepers) error { return d.vault.deleteAll(ctx, d.head.key()) })
}

// sweepPages is for how many pages of chunks strays are looked for at one time:
// those of 512 GiB.
const sweepPages = 16

// removeChunks removes the chunks that nobody keeps, a page of them at a time.
func (d *disposal) removeChunks(ctx context.Context, m *manifest) error {
	for i, p := range m.pages {
		if i%sweepPages == 0 {
			if err := d.sweep(ctx, m, i); err != nil {
				return err
			}
		}
		rows, err := d.vault.readRows(ctx, d.keys, p, uint64(i), m.size)
		if errors.Is(err, ErrNotFound) { // a page goes after all chunks
			d.done.Whole = false
			continue
		}
		if err == nil {
			err = d.step(ctx, func(others *keepers) error { return d.deleteChunks(ctx, rows, others) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sweep finds the strays of the chunks of the pages from one on.
func (d *disposal) sweep(ctx context.Context, m *manifest, from int) (err error) {
	named := map[string]string{}
	for i := from; i < min(from+sweepPages, len(m.pages)); i++ {
		rows, err := d.vault.readRows(ctx, d.keys, m.pages[i], uint64(i), m.size)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		d.name(named, rows)
	}
	d.strays, err = d.vault.strays(ctx, named)
	return err
}

// name adds the keys of chunks, and the versions that their rows name.
func (d *disposal) name(named map[string]string, rows []Chunk) {
	for _, c := range rows {
		if !c.Zero() {
			named[chunkAddress(d.keys, c).key()] = c.Version
		}
	}
}

// pageStrays finds the strays of a manifest's pages.
func (d *disposal) pageStrays(ctx context.Context, m *manifest) (strays, error) {
	named := map[string]string{}
	for _, p := range m.pages {
		named[pageAddress(d.keys, p.digest).key()] = p.version
	}
	return d.vault.strays(ctx, named)
}

// removePages removes the pages that nobody keeps, and last the note.
func (d *disposal) removePages(ctx context.Context, m *manifest) error {
	beside, err := d.pageStrays(ctx, m)
	if err != nil {
		return err
	}
	return d.step(ctx, func(others *keepers) error {
		for _, p := range m.pages {
			if others.pages[p.digest] {
				continue
			}
			if err := d.vault.deleteWith(ctx, pageAddress(d.keys, p.digest).key(), p.version, beside); err != nil {
				return err
			}
		}
		if err := d.vault.bucket.Barrier(ctx); err != nil {
			return err
		}
		return d.vault.deleteAll(ctx, d.note.key())
	})
}

// deleteChunks removes those of the rows that nobody keeps, in all versions, and
// counts.
func (d *disposal) deleteChunks(ctx context.Context, rows []Chunk, others *keepers) error {
	gone, err := others.without(ctx, rows)
	if err != nil {
		return err
	}
	err = forEach(ctx, gone, func(ctx context.Context, c Chunk) error {
		return d.vault.deleteWith(ctx, chunkAddress(d.keys, c).key(), c.Version, d.strays)
	})
	if err != nil {
		return err
	}
	goes := make(map[Chunk]bool, len(gone))
	for _, c := range gone {
		goes[c] = true
	}
	for _, c := range rows {
		switch {
		case c.Zero():
		case goes[c]:
			d.done.Chunks++
			d.done.Bytes += uint64(c.Length)
		default:
			d.done.SharedChunks++
			d.done.SharedBytes += uint64(c.Length)
		}
	}
	return nil
}

// condemn checks that nothing that is to go is locked, and leaves a note of what
// is to go, which is durable when it returns nil.
func (d *disposal) condemn(ctx context.Context, m *manifest, others *keepers) error {
	beside, err := d.pageStrays(ctx, m)
	if err != nil {
		return err
	}
	for i, p := range m.pages {
		if i%sweepPages == 0 {
			if err := d.sweep(ctx, m, i); err != nil {
				return err
			}
		}
		rows, err := d.vault.readPage(ctx, d.keys, m, uint64(i))
		if err != nil {
			return err
		}
		if rows, err = others.without(ctx, rows); err != nil {
			return err
		}
		err = forEach(ctx, rows, func(ctx context.Context, c Chunk) error {
			return d.vault.checkUnlocked(ctx, chunkAddress(d.keys, c).key(), c.Version, d.strays)
		})
		if err == nil && !others.pages[p.digest] {
			err = d.vault.checkUnlocked(ctx, pageAddress(d.keys, p.digest).key(), p.version, beside)
		}
		if err != nil {
			return err
		}
	}
	beside, err = d.vault.strays(ctx, map[string]string{m.object.Key: m.object.Version})
	if err == nil {
		err = d.vault.checkUnlocked(ctx, m.object.Key, m.object.Version, beside)
	}
	if err != nil {
		return err
	}
	plain, err := m.marshal()
	if err != nil {
		return err
	}
	if _, err := d.vault.putObject(ctx, d.keys, d.note, plain); err != nil && !errors.Is(err, ErrExists) {
		return err
	}
	return d.vault.bucket.Barrier(ctx)
}

// strays are versions of objects beside the one that a manifest names, by the
// objects' keys: what was written over an object, restored or replicated, and
// what hides it.
type strays map[string][]Object

// strays finds them, given the versions that are named. It lists each folder that
// has one of the objects once.
func (v *Vault) strays(ctx context.Context, named map[string]string) (strays, error) {
	folders := map[string]bool{}
	for key := range named {
		folders[folderOf(key)] = true
	}
	var mu sync.Mutex
	found := strays{}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for folder := range folders {
		group.Go(func() error {
			return v.bucket.Versions(inner, folder, func(o Object) error {
				if version, ok := named[o.Key]; ok && o.Version != version {
					mu.Lock()
					defer mu.Unlock()
					found[o.Key] = append(found[o.Key], o)
				}
				return nil
			})
		})
	}
	return found, group.Wait()
}

func folderOf(key string) string { return key[:strings.LastIndexByte(key, '/')+1] }

// versions returns all versions of one object.
func (v *Vault) versions(ctx context.Context, key string) (all []Object, err error) {
	err = v.bucket.Versions(ctx, folderOf(key), func(o Object) error {
		if o.Key == key {
			all = append(all, o)
		}
		return nil
	})
	return all, err
}

// checkUnlocked returns nil when an object can be removed, in the version given
// and in those beside it, or is not there.
func (v *Vault) checkUnlocked(ctx context.Context, key, version string, beside strays) error {
	for _, o := range append([]Object{{Key: key, Version: version}}, beside[key]...) {
		if o.Marker {
			continue
		}
		o, err := v.bucket.Stat(ctx, key, o.Version)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err == nil && (o.Hold || o.Until.After(v.now())) {
			err = &LockedError{Key: key, Until: o.Until, Hold: o.Hold}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteWith removes an object in the version given and in those beside it.
func (v *Vault) deleteWith(ctx context.Context, key, version string, beside strays) error {
	for _, o := range append([]Object{{Version: version}}, beside[key]...) {
		if err := v.bucket.Delete(ctx, key, o.Version); err != nil {
			return err
		}
	}
	return nil
}

// deleteAll removes all versions of an object.
func (v *Vault) deleteAll(ctx context.Context, key string) error {
	all, err := v.versions(ctx, key)
	for _, o := range all {
		if err == nil {
			err = v.bucket.Delete(ctx, key, o.Version)
		}
	}
	return err
}

// keepers are the chunks and pages that must stay. Rows of manifests are read
// when they are needed, a page at a time.
type keepers struct {
	vault     *Vault
	keys      *incidentKeys
	manifests []*manifest
	pages     map[custody.Digest]bool
	uploads   iter.Seq2[Chunk, error]
	same      bool // one of them is the artifact that is not to be kept
}

// keepers reads the manifests of what is to be kept, but for that of the artifact
// with this root and size.
func (v *Vault) keepers(ctx context.Context, k *incidentKeys, keep Kept, root custody.Digest, size uint64) (*keepers, error) {
	all := &keepers{vault: v, keys: k, uploads: keep.Uploads, pages: map[custody.Digest]bool{}}
	for _, a := range keep.Artifacts {
		if a.Root == root && a.Size == size {
			all.same = true
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
