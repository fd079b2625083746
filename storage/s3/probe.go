package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/forensic-custody/custody/storage"
)

// canaries is where the probe's objects lie.
const canaries = "probe/"

// Probe implements storage.Bucket. Each thing is tried, since servers exist that
// answer yes to it and do nothing.
func (b *Bucket) Probe(ctx context.Context) (storage.Abilities, error) {
	proven, err := b.probe(ctx)
	if err != nil {
		return storage.Abilities{}, fmt.Errorf("probe: %w", err)
	}
	return proven, nil
}

func (b *Bucket) probe(ctx context.Context) (storage.Abilities, error) {
	none := storage.Abilities{}
	versioning, err := b.core.GetBucketVersioning(ctx, b.name)
	if err != nil {
		return none, fmt.Errorf("versioning of %s: %w", b.name, typed(ctx, err))
	}
	if !versioning.Enabled() {
		return none, fmt.Errorf("versioning of %s is %q: it must be on", b.name, versioning.Status)
	}
	locks, byDefault, err := b.lockConfig(ctx)
	if err != nil {
		return none, err
	}
	if byDefault {
		return none, fmt.Errorf("%s locks every object by default: take the default retention away, since keys must remain destroyable", b.name)
	}
	if err := b.sweep(ctx); err != nil {
		return none, err
	}
	proven, err := storage.ProbeObjects(ctx, b)
	if err != nil {
		return none, err
	}
	if err := b.probeChecksum(ctx); err != nil {
		return none, err
	}
	proven.Versions, proven.Checksum = true, true
	proven.Lines = append(proven.Lines, "versions are kept", "a body that does not fit its checksum is refused")
	if !locks {
		proven.Lines = append(proven.Lines, "nothing is locked: the bucket was made without object lock")
		return proven, b.probeCanary(ctx, b.probeVersions)
	}
	for _, probe := range []func(context.Context, storage.Object) error{b.probeLock, b.probeHold} {
		if err := b.probeCanary(ctx, probe); err != nil {
			return none, err
		}
	}
	proven.Lock, proven.Hold = true, true
	proven.Lines = append(proven.Lines,
		"a locked version is not removed, not with a bypass either, and its lock is neither shortened nor weakened",
		"a version under a legal hold is not removed")
	return proven, nil
}

// forgotten is the age from which a canary is not of a probe that still runs.
const forgotten = time.Minute

// sweep removes what earlier probes left.
func (b *Bucket) sweep(ctx context.Context) error {
	return b.versions(ctx, canaries, func(info minio.ObjectInfo) error {
		if time.Since(info.LastModified) < forgotten {
			return nil
		}
		if err := b.Delete(ctx, info.Key, info.VersionID); err != nil && !errors.Is(err, storage.ErrLocked) {
			return err
		}
		return nil
	})
}

// probeCanary puts an object, has it tried, and removes of it what can be
// removed, unless nothing of it is seen any more.
func (b *Bucket) probeCanary(ctx context.Context, try func(context.Context, storage.Object) error) error {
	key := canaries + rand.Text()
	version, err := b.Put(ctx, key, []byte("canary of "+key))
	if err != nil {
		return err
	}
	err = try(ctx, storage.Object{Key: key, Version: version})
	// Even when the context is done: nothing else would do it.
	ctx = context.WithoutCancel(ctx)
	if failed := b.Delete(ctx, key, version); failed != nil && !errors.Is(failed, storage.ErrLocked) {
		err = errors.Join(err, failed)
	}
	return err
}

// canaryTerm is for how long the canary is locked: longer than it takes to try
// everything, and no longer than need be.
const canaryTerm = 20 * time.Second

// probeLock locks the canary and tries to get rid of it.
func (b *Bucket) probeLock(ctx context.Context, o storage.Object) error {
	if err := b.lockedUntil(ctx, o, time.Time{}); err != nil { // by default, whatever the bucket says of itself
		return err
	}
	until := time.Now().Add(canaryTerm).Truncate(time.Second)
	if err := b.Retain(ctx, o.Key, o.Version, until); err != nil {
		return fmt.Errorf("%w (is this machine's clock right?)", err)
	}
	if err := b.lockedUntil(ctx, o, until); err != nil {
		return err
	}
	err := errors.Join(b.probeRemoval(ctx, o), b.probeWeaker(ctx, o, until), b.probeVersions(ctx, o), b.lockedUntil(ctx, o, until))
	if err != nil && !time.Now().Before(until) {
		return fmt.Errorf("the server was too slow to tell whether it locks, try again: %w", err)
	}
	return err
}

func (b *Bucket) lockedUntil(ctx context.Context, o storage.Object, until time.Time) error {
	there, err := b.Stat(ctx, o.Key, o.Version)
	if err != nil {
		return err
	}
	if until.IsZero() && !there.Until.IsZero() {
		return fmt.Errorf("the server locked an object by default, until %s: keys must remain destroyable", there.Until)
	}
	if there.Until.IsZero() && !until.IsZero() {
		return fmt.Errorf("the server took a lock until %s and does not tell of it any more: nobody could know what is locked", until.UTC())
	}
	if !there.Until.Equal(until) {
		return fmt.Errorf("the server took a lock until %s and says that it is until %s", until.UTC(), there.Until)
	}
	return nil
}

// probeRemoval tries to remove a version that is locked or held.
func (b *Bucket) probeRemoval(ctx context.Context, o storage.Object) error {
	for _, bypass := range []bool{false, true} {
		err := b.core.RemoveObject(ctx, b.name, o.Key, minio.RemoveObjectOptions{VersionID: o.Version, GovernanceBypass: bypass})
		if err := refused(ctx, err, "the removal of a locked version"); err != nil {
			return err
		}
	}
	return nil
}

// probeWeaker tries to shorten a lock and to make one of it that can be bypassed.
func (b *Bucket) probeWeaker(ctx context.Context, o storage.Object, until time.Time) error {
	shorter := until.Add(-canaryTerm / 4)
	err := refused(ctx, b.retain(ctx, o.Key, o.Version, minio.Compliance, shorter, true), "the shortening of a lock")
	if err != nil {
		return err
	}
	return refused(ctx, b.retain(ctx, o.Key, o.Version, minio.Governance, until, true), "the weakening of a lock")
}

// probeVersions puts another object over the canary, and deletes it without
// saying which version: it must still be read by its own.
func (b *Bucket) probeVersions(ctx context.Context, o storage.Object) error {
	want := []byte("canary of " + o.Key)
	over, err := b.core.PutObject(ctx, b.name, o.Key, bytes.NewReader([]byte("forged")), 6, "", "", minio.PutObjectOptions{})
	if err != nil {
		return fmt.Errorf("put over the canary: %w", typed(ctx, err))
	}
	defer func() { _ = b.Delete(context.WithoutCancel(ctx), o.Key, over.VersionID) }() // the next probe would
	if err := b.reads(ctx, o, want); err != nil {
		return err
	}
	if err := b.core.RemoveObject(ctx, b.name, o.Key, minio.RemoveObjectOptions{}); err != nil {
		return fmt.Errorf("delete the canary: %w", typed(ctx, err))
	}
	return b.reads(ctx, o, want)
}

func (b *Bucket) reads(ctx context.Context, o storage.Object, want []byte) error {
	buf := make([]byte, len(want))
	n, err := b.Get(ctx, o.Key, o.Version, buf)
	if err != nil {
		return err
	}
	if !bytes.Equal(buf[:n], want) {
		return errors.New("a version that was written over does not read back as it was")
	}
	return nil
}

// probeHold sets a legal hold, tries to remove the canary, and takes it off.
func (b *Bucket) probeHold(ctx context.Context, o storage.Object) error {
	if err := b.Hold(ctx, o.Key, o.Version, true); err != nil {
		return err
	}
	there, err := b.Stat(ctx, o.Key, o.Version)
	if err == nil && !there.Hold {
		err = errors.New("the server took a legal hold and does not know of it")
	}
	if err == nil {
		err = b.probeRemoval(ctx, o)
	}
	return errors.Join(err, b.Hold(context.WithoutCancel(ctx), o.Key, o.Version, false))
}

// refused returns nil when err is the server's refusal.
func refused(ctx context.Context, err error, what string) error {
	if err == nil {
		return fmt.Errorf("the server allowed %s", what)
	}
	if status := minio.ToErrorResponse(err).StatusCode; status < 400 || status >= 500 {
		return fmt.Errorf("%s was answered with: %w", what, typed(ctx, err))
	}
	return nil
}

// probeChecksum sends a checksum that is wrong by one bit.
func (b *Bucket) probeChecksum(ctx context.Context) error {
	key := canaries + rand.Text()
	canary := []byte("canary of " + key)
	version, err := b.put(ctx, key, canary, crc32.Checksum(canary, castagnoli)^1, false)
	if err == nil {
		return errors.Join(errors.New("the server took a body that does not fit its checksum"),
			b.Delete(context.WithoutCancel(ctx), key, version))
	}
	if status := minio.ToErrorResponse(err).StatusCode; status != http.StatusBadRequest {
		return fmt.Errorf("a body that does not fit its checksum was answered with: %w", err)
	}
	return nil
}
