package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"filippo.io/age"

	"github.com/forensic-custody/custody/custody"
)

// Rewrap wraps the keys of every incident anew, for this vault's recipients and
// under its identity, where they are still those of the service's old identity.
// Chunks and manifests are not touched. A further file is written, read back, and
// durable before the older ones are removed, so it can be interrupted anywhere
// and called again. It returns how many incidents it wrapped anew; an incident
// whose keys cannot be had is in the error, and the others are done. A vault
// that still has the old identity must not run meanwhile: what it begins after
// Rewrap passed by is wrapped in the next one.
func (v *Vault) Rewrap(ctx context.Context, old Identity) (int, error) {
	ring, err := readingKeyring(old)
	if err != nil {
		return 0, err
	}
	return v.eachIncident(ctx, func(incident custody.IncidentID) (bool, error) {
		k, file, err := v.loadKeys(ctx, incident, ring)
		if err != nil && !errors.Is(err, ErrShredded) {
			return false, err
		}
		return true, v.replaceKeys(ctx, incident, k, file)
	})
}

// Recover is Rewrap when the service's old identity is lost: the escrow's opens
// the keys. Nothing vouches for their origin then, since tags cannot be checked:
// files that do not agree are ErrDamaged, and the artifacts must be checked
// against the records afterwards.
func (v *Vault) Recover(ctx context.Context, escrow age.Identity) (int, error) {
	return v.eachIncident(ctx, func(incident custody.IncidentID) (bool, error) {
		k, file, err := v.escrowed(ctx, incident, escrow)
		if err != nil {
			return false, err
		}
		return true, v.replaceKeys(ctx, incident, k, file)
	})
}

// eachIncident has those incidents rewrapped whose keys this vault does not open.
func (v *Vault) eachIncident(ctx context.Context, rewrap func(custody.IncidentID) (bool, error)) (done int, failed error) {
	var incidents []custody.IncidentID
	err := v.bucket.Folders(ctx, "v1/", func(name string) error {
		if i, err := custody.ParseIncidentID(name); err == nil {
			incidents = append(incidents, i)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("wrap keys anew: %w", err)
	}
	for _, incident := range incidents {
		k, file, err := v.loadKeys(ctx, incident, v.ring)
		switch {
		case err == nil || errors.Is(err, ErrShredded):
			err = v.removeKeys(ctx, incident, k, file) // what an interrupted call left
		case errors.Is(err, ErrDamaged): // not this vault's
			var did bool
			if did, err = rewrap(incident); did && err == nil {
				done++
			}
		}
		if ctx.Err() != nil {
			return done, errors.Join(failed, ctx.Err())
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("wrap the keys of incident %s anew: %w", incident, err))
		}
	}
	return done, failed
}

// escrowed returns the keys that all files of the incident agree on which the
// identity opens, in whatever version, and the highest number of a file. Without
// keys it returns nil when a file says that they were destroyed.
func (v *Vault) escrowed(ctx context.Context, incident custody.IncidentID, escrow age.Identity) (found *incidentKeys, highest uint32, err error) {
	shredded := false
	err = v.bucket.Versions(ctx, wrappedPrefix(incident), func(o Object) error {
		file, ok := keyFile(incident, o.Key)
		if !ok || o.Marker || o.Size > maxWrapped {
			return nil
		}
		highest = max(highest, file)
		b, err := v.small(ctx, o.Key, o.Version)
		if err != nil {
			return err
		}
		if len(b) == tagLength {
			shredded = true
		}
		if len(b) <= tagLength {
			return nil
		}
		k, err := openKeys(b[tagLength:], incident, escrow)
		if err != nil {
			return nil //nolint:nilerror // not for the escrow, or damaged; another may be
		}
		if found != nil && *found != *k {
			return &DamageError{Key: o.Key, Reason: errors.New("it holds other keys than another file of the incident")}
		}
		found = k
		return nil
	})
	switch {
	case err != nil:
	case found != nil && shredded:
		err = &DamageError{Key: wrappedKey(incident, highest), Reason: errors.New("one file has the keys, another says that they were destroyed")}
	case found == nil && !shredded:
		err = &DamageError{Key: wrappedKey(incident, max(highest, 1)), Reason: errors.New("no file of the incident opens with this identity")}
	}
	return found, highest, err
}

// replaceKeys writes a file of keys after the one with this number, for this
// vault, and removes those that it replaces. Without keys the file says that they
// were destroyed.
func (v *Vault) replaceKeys(ctx context.Context, incident custody.IncidentID, k *incidentKeys, file uint32) error {
	err := v.bucket.Versions(ctx, wrappedPrefix(incident), func(o Object) error {
		if other, ok := keyFile(incident, o.Key); ok {
			file = max(file, other) // also one that somebody has hidden
		}
		return nil
	})
	if err != nil {
		return err
	}
	if file++; k == nil {
		err = v.putKeyFile(ctx, incident, file, v.ring.tag(incident, file, nil))
	} else {
		var wrapped []byte
		if wrapped, err = v.ring.wrap(k, file); err == nil {
			err = v.putKeyFile(ctx, incident, file, wrapped)
		}
	}
	if err != nil {
		return err
	}
	return v.removeKeys(ctx, incident, k, file)
}

// putKeyFile has returned nil when the file is durable and reads back.
func (v *Vault) putKeyFile(ctx context.Context, incident custody.IncidentID, file uint32, b []byte) error {
	key := wrappedKey(incident, file)
	if _, err := v.bucket.Put(ctx, key, b); err != nil {
		return err
	}
	if err := v.bucket.Barrier(ctx); err != nil {
		return err
	}
	there, err := v.small(ctx, key, "")
	if err == nil && !bytes.Equal(there, b) {
		err = &DamageError{Key: key, Reason: errors.New("it reads back as other bytes")}
	}
	return err
}

// removeKeys removes all versions of the incident's files of keys with lower
// numbers than the one that counts. Those with higher ones are not this
// service's. When the keys were destroyed it removes the others whatever their
// number.
func (v *Vault) removeKeys(ctx context.Context, incident custody.IncidentID, k *incidentKeys, counts uint32) error {
	var old []Object
	err := v.bucket.Versions(ctx, wrappedPrefix(incident), func(o Object) error {
		file, ok := keyFile(incident, o.Key)
		if k == nil && o.Key != wrappedKey(incident, counts) || ok && file < counts {
			old = append(old, o)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, o := range old {
		if err := v.bucket.Delete(ctx, o.Key, o.Version); err != nil {
			return err
		}
	}
	return v.bucket.Barrier(ctx)
}

// Shred destroys the keys of an incident: all versions of all files of them, for
// good. Its objects stay, and nobody can read them any more; what asks for them
// gets ErrShredded, also in times to come, and also when the incident had no keys
// yet. It can be interrupted and called again. Readers that are open, and other
// processes that used the keys, have them until they end.
func (v *Vault) Shred(ctx context.Context, incident custody.IncidentID) error {
	if _, err := v.removing(ctx, incident, func() error { return v.shred(ctx, incident) }); err != nil {
		return fmt.Errorf("destroy the keys of incident %s: %w", incident, err)
	}
	return nil
}

func (v *Vault) shred(ctx context.Context, incident custody.IncidentID) error {
	if _, err := custody.ParseIncidentID(string(incident)); err != nil {
		return err
	}
	_, file, err := v.loadKeys(ctx, incident, v.ring)
	switch {
	case errors.Is(err, ErrShredded):
		err = v.removeKeys(ctx, incident, nil, file)
	case err == nil, errors.Is(err, ErrDamaged), errors.Is(err, ErrNotFound): // what this service does not open or see goes too
		err = v.replaceKeys(ctx, incident, nil, file)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.known, incident)
	delete(v.durable, incident)
	v.shredded[incident] = v.shredded[incident] || err == nil
	return err
}
