package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

// Locks tells whether what is sealed can be locked: whether the bucket's probe
// proved it. When it cannot, Retain does nothing, and no until has any effect.
func (v *Vault) Locks() bool { return v.abilities.Lock }

// Holds tells whether the bucket knows legal holds. When it does not, Hold and
// Release do nothing.
func (v *Vault) Holds() bool { return v.abilities.Hold }

// Retain locks a sealed artifact until a time: every chunk, every page of its
// manifest, then its head. What is locked for longer already stays so. After an
// error, what was locked stays locked, and calling it again goes on. ErrDamaged
// when a part of the artifact is missing: all the rest is locked then. When it
// returns nil or ErrDamaged, the lock is durable.
func (v *Vault) Retain(ctx context.Context, incident custody.IncidentID, root custody.Digest, size uint64, until time.Time) error {
	if !v.Locks() {
		return nil
	}
	err := v.eachObject(ctx, incident, root, size, func(ctx context.Context, o Object) error { return v.retain(ctx, o, until) })
	if err != nil {
		return fmt.Errorf("lock the artifact %s: %w", root, err)
	}
	return nil
}

// Locked returns until when all of a sealed artifact is locked at least, and
// whether all of it is on hold: its manifest's head is locked, held and released
// last, so it tells for what of the rest was there, in one request. Zero when it is not locked, or
// was not to its end; a hold that was set in part is not told. ErrDamaged when the
// head is missing, beside what the head says when a delete marker merely hides it.
func (v *Vault) Locked(ctx context.Context, incident custody.IncidentID, root custody.Digest, size uint64) (until time.Time, held bool, err error) {
	k, err := v.keys(ctx, incident)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("look at the lock of the artifact %s: %w", root, err)
	}
	key := manifestAddress(k, root, size).key()
	o, err := v.bucket.Stat(ctx, key, "")
	if errors.Is(err, ErrNotFound) {
		var m *manifest
		if m, err = v.anyManifest(ctx, k, root, size); m != nil {
			o = m.object
		}
	}
	if err != nil {
		err = fmt.Errorf("look at the lock of the artifact %s: %w", root, damage(err, key, guard.Range{Length: size}))
	}
	return o.Until, o.Hold, err
}

// anyManifest is readManifest, but where the head is damaged, as when a delete
// marker hides it, it returns beside ErrDamaged the first of the head's versions
// that opens as the bucket lists them: S3 servers do from the newest on. nil, when
// none does. Whatever opens there is the artifact's.
func (v *Vault) anyManifest(ctx context.Context, k *incidentKeys, root custody.Digest, size uint64) (*manifest, error) {
	m, err := v.readManifest(ctx, k, root, size)
	if err == nil || !errors.Is(err, ErrDamaged) {
		return m, err
	}
	a := manifestAddress(k, root, size)
	all, failed := v.versions(ctx, a.key())
	if failed != nil {
		return nil, failed
	}
	for _, o := range all {
		if o.Marker {
			continue
		}
		m, failed := v.findManifest(ctx, k, a, o.Version)
		switch {
		case failed == nil && m.root == root && m.size == size:
			return m, err
		case failed != nil && !errors.Is(damage(failed, a.key(), guard.Range{}), ErrDamaged):
			return nil, failed
		}
	}
	return nil, err
}

// retain locks an object as Stat found it. A zero time locks nothing.
func (v *Vault) retain(ctx context.Context, o Object, until time.Time) error {
	if until.IsZero() || !v.Locks() || !o.Until.Before(until) {
		return nil
	}
	return v.bucket.Retain(ctx, o.Key, o.Version, until)
}

// Hold sets a legal hold on a sealed artifact, object by object, as Retain does,
// past what is damaged too. Chunks that it shares with others are held for them too.
func (v *Vault) Hold(ctx context.Context, incident custody.IncidentID, root custody.Digest, size uint64) error {
	if !v.Holds() {
		return nil
	}
	err := v.eachObject(ctx, incident, root, size, func(ctx context.Context, o Object) error {
		if o.Hold {
			return nil
		}
		return v.bucket.Hold(ctx, o.Key, o.Version, true)
	})
	if err != nil {
		return fmt.Errorf("hold the artifact %s: %w", root, err)
	}
	return nil
}

// Release takes the legal hold off a sealed artifact, but not off what it shares
// with an artifact of the incident that is still held, which may be the same one.
// Of those only root and size count. ErrDamaged when a part of the artifact is
// missing, and the rest is released then; ErrBeside too when it is one of those that
// cannot be read, and nothing more is released.
func (v *Vault) Release(ctx context.Context, incident custody.IncidentID, root custody.Digest, size uint64, held []custody.Artifact) error {
	if !v.Holds() {
		return nil
	}
	if err := v.release(ctx, incident, root, size, Kept{Artifacts: held}); err != nil {
		return fmt.Errorf("release the artifact %s: %w", root, err)
	}
	return nil
}

// ErrBeside says that what is damaged is not the artifact but another one, which
// has to be read to know what both use.
var ErrBeside = errors.New("another artifact of the incident cannot be read")

func (v *Vault) release(ctx context.Context, incident custody.IncidentID, root custody.Digest, size uint64, held Kept) error {
	k, err := v.keys(ctx, incident)
	if err != nil {
		return err
	}
	others, err := v.keepers(ctx, k, held, root, size)
	if err != nil || others.same {
		return beside(err)
	}
	return v.eachUnshared(ctx, k, root, size, others, func(ctx context.Context, o Object) error {
		if !o.Hold {
			return nil
		}
		return v.bucket.Hold(ctx, o.Key, o.Version, false)
	})
}

// eachObject does something with each object of a sealed artifact as Stat finds
// it: page by page its chunks, then the page, and last the head. What it did is
// durable when it returns nil. What is damaged it passes over, and says so at the
// end: the rest is done, and durable, too.
func (v *Vault) eachObject(ctx context.Context, incident custody.IncidentID, root custody.Digest, size uint64, do func(context.Context, Object) error) error {
	k, err := v.keys(ctx, incident)
	if err != nil {
		return damage(err, wrappedKey(incident, 1), guard.Range{Length: size})
	}
	return v.eachUnshared(ctx, k, root, size, &keepers{}, do)
}

// eachUnshared is eachObject for those that the keepers do not use. That one is
// missing is damage.
func (v *Vault) eachUnshared(ctx context.Context, k *incidentKeys, root custody.Digest, size uint64, others *keepers, do func(context.Context, Object) error) error {
	found := new(harm)
	m, err := v.anyManifest(ctx, k, root, size)
	if err := found.note(err); err != nil {
		return err
	}
	if m == nil {
		return found.err()
	}
	for i := range m.pages {
		if err := v.eachOnPage(ctx, k, m, uint64(i), others, found, do); err != nil {
			return err
		}
	}
	if err := found.note(damage(do(ctx, m.object), m.object.Key, guard.Range{Length: size})); err != nil {
		return err
	}
	if err := v.bucket.Barrier(ctx); err != nil {
		return err
	}
	return found.err()
}

func beside(err error) error {
	if errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w: %w", ErrBeside, err)
	}
	return err
}

// eachOnPage does something with the chunks of a page and with the page.
func (v *Vault) eachOnPage(ctx context.Context, k *incidentKeys, m *manifest, i uint64, others *keepers, found *harm, do func(context.Context, Object) error) error {
	span := pageRange(i, m.size)
	rows, err := v.readPage(ctx, k, m, i)
	if err := found.note(err); err != nil {
		return err
	}
	if rows, err = others.without(ctx, rows); err != nil {
		return beside(err)
	}
	err = forEach(ctx, rows, func(ctx context.Context, c Chunk) error {
		return found.note(damage(v.eachVersion(ctx, k, c, do), chunkAddress(k, c).key(), span))
	})
	p := m.pages[i]
	if err != nil || others.pages[p.digest] {
		return err
	}
	key := pageAddress(k, p.digest).key()
	o, err := v.bucket.Stat(ctx, key, p.version)
	if err == nil {
		err = do(ctx, o)
	}
	return found.note(damage(err, key, span))
}

// eachVersion does something with a chunk, and where another was put over it,
// with that one too, since it is what is read if the chunk is damaged.
func (v *Vault) eachVersion(ctx context.Context, k *incidentKeys, c Chunk, do func(context.Context, Object) error) error {
	now := c
	now.Version = ""
	over, err := v.find(ctx, k, now)
	if err == nil && over.Version == c.Version {
		return do(ctx, over)
	}
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrDamaged) {
		return err
	}
	put := err == nil
	o, err := v.find(ctx, k, c)
	if err == nil {
		err = do(ctx, o)
	} else if put && (errors.Is(err, ErrNotFound) || errors.Is(err, ErrDamaged)) {
		err = nil
	}
	if err == nil && put {
		err = do(ctx, over)
	}
	return err
}
