package storage

import (
	"context"
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
// when a part of the artifact is missing. When it returns nil, the lock is
// durable.
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
// last, so it tells for the rest, in one request. Zero when it is not locked, or
// was not to its end; a hold that was set in part is not told. ErrDamaged when the
// head is missing.
func (v *Vault) Locked(ctx context.Context, incident custody.IncidentID, root custody.Digest, size uint64) (until time.Time, held bool, err error) {
	k, err := v.keys(ctx, incident)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("look at the lock of the artifact %s: %w", root, err)
	}
	key := manifestAddress(k, root, size).key()
	o, err := v.bucket.Stat(ctx, key, "")
	if err != nil {
		return time.Time{}, false, fmt.Errorf("look at the lock of the artifact %s: %w", root, damage(err, key, guard.Range{Length: size}))
	}
	return o.Until, o.Hold, nil
}

// retain locks an object as Stat found it. A zero time locks nothing.
func (v *Vault) retain(ctx context.Context, o Object, until time.Time) error {
	if until.IsZero() || !v.Locks() || !o.Until.Before(until) {
		return nil
	}
	return v.bucket.Retain(ctx, o.Key, o.Version, until)
}

// Hold sets a legal hold on a sealed artifact, object by object, as Retain does.
// Chunks that it shares with others are held for them too.
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
// Of those only root and size count.
func (v *Vault) Release(ctx context.Context, incident custody.IncidentID, root custody.Digest, size uint64, held []custody.Artifact) error {
	if !v.Holds() {
		return nil
	}
	if err := v.release(ctx, incident, root, size, Kept{Artifacts: held}); err != nil {
		return fmt.Errorf("release the artifact %s: %w", root, err)
	}
	return nil
}

func (v *Vault) release(ctx context.Context, incident custody.IncidentID, root custody.Digest, size uint64, held Kept) error {
	k, err := v.keys(ctx, incident)
	if err != nil {
		return err
	}
	m, err := v.readManifest(ctx, k, root, size)
	if err != nil {
		return err
	}
	others, err := v.keepers(ctx, k, held, root, size)
	if err != nil || others.same {
		return err
	}
	err = v.eachUnshared(ctx, k, m, others, func(ctx context.Context, o Object) error {
		if !o.Hold {
			return nil
		}
		return v.bucket.Hold(ctx, o.Key, o.Version, false)
	})
	if err != nil {
		return err
	}
	return v.bucket.Barrier(ctx)
}

// eachObject does something with each object of a sealed artifact as Stat finds
// it: page by page its chunks, then the page, and last the head. What it did is
// durable when it returns nil.
func (v *Vault) eachObject(ctx context.Context, incident custody.IncidentID, root custody.Digest, size uint64, do func(context.Context, Object) error) error {
	k, err := v.keys(ctx, incident)
	if err != nil {
		return damage(err, wrappedKey(incident, 1), guard.Range{Length: size})
	}
	m, err := v.readManifest(ctx, k, root, size)
	if err != nil {
		return err
	}
	if err := v.eachUnshared(ctx, k, m, &keepers{}, do); err != nil {
		return err
	}
	return v.bucket.Barrier(ctx)
}

// eachUnshared is eachObject for those that the keepers do not use. That one is
// missing is damage.
func (v *Vault) eachUnshared(ctx context.Context, k *incidentKeys, m *manifest, others *keepers, do func(context.Context, Object) error) error {
	for i, p := range m.pages {
		rows, err := v.readPage(ctx, k, m, uint64(i))
		if err != nil {
			return err
		}
		if rows, err = others.without(ctx, rows); err != nil {
			return err
		}
		err = forEach(ctx, rows, func(ctx context.Context, c Chunk) error {
			o, err := v.find(ctx, k, c)
			if err != nil {
				return damage(err, chunkAddress(k, c).key(), pageRange(uint64(i), m.size))
			}
			return do(ctx, o)
		})
		if err != nil {
			return err
		}
		if others.pages[p.digest] {
			continue
		}
		o, err := v.bucket.Stat(ctx, pageAddress(k, p.digest).key(), p.version)
		if err != nil {
			return damage(err, pageAddress(k, p.digest).key(), pageRange(uint64(i), m.size))
		}
		if err := do(ctx, o); err != nil {
			return err
		}
	}
	return do(ctx, m.object)
}
