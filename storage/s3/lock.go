package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/forensic-custody/custody/storage"
)

// lock is what a server says about the object lock of a version.
type lock struct {
	mode  minio.RetentionMode
	until time.Time // zero when there is none
	hold  bool
}

// lockOf reads the answer to a HEAD. The server leaves the lock out for those
// without the right to get retention and legal hold.
func lockOf(info minio.ObjectInfo) lock {
	l := lock{
		mode: minio.RetentionMode(info.Metadata.Get("X-Amz-Object-Lock-Mode")),
		hold: info.Metadata.Get("X-Amz-Object-Lock-Legal-Hold") == string(minio.LegalHoldEnabled),
	}
	if until, err := time.Parse(time.RFC3339, info.Metadata.Get("X-Amz-Object-Lock-Retain-Until-Date")); err == nil {
		l.until = until.UTC()
	}
	return l
}

// Retain implements storage.Bucket, by a retention in compliance mode. The time
// is rounded up to a second, as servers keep it.
func (b *Bucket) Retain(ctx context.Context, key, version string, until time.Time) error {
	if err := storage.CheckKey(key); err != nil {
		return err
	}
	if whole := until.Truncate(time.Second); whole.Before(until) {
		until = whole.Add(time.Second)
	}
	err := b.retain(ctx, key, version, minio.Compliance, until, false)
	if err == nil {
		return nil
	}
	if o, failed := b.Stat(ctx, key, version); failed == nil && !o.Until.Before(until) {
		return nil // locked for longer already, which the server does not take back
	}
	return fmt.Errorf("lock %s: %w", key, b.lockRefused(ctx, err))
}

func (b *Bucket) retain(ctx context.Context, key, version string, mode minio.RetentionMode, until time.Time, bypass bool) error {
	return b.core.PutObjectRetention(ctx, b.name, key, minio.PutObjectRetentionOptions{
		GovernanceBypass: bypass, Mode: &mode, RetainUntilDate: &until, VersionID: version,
	})
}

// Hold implements storage.Bucket.
func (b *Bucket) Hold(ctx context.Context, key, version string, on bool) error {
	if err := storage.CheckKey(key); err != nil {
		return err
	}
	status := minio.LegalHoldDisabled
	if on {
		status = minio.LegalHoldEnabled
	}
	err := b.core.PutObjectLegalHold(ctx, b.name, key, minio.PutObjectLegalHoldOptions{VersionID: version, Status: &status})
	if err != nil {
		return fmt.Errorf("hold %s: %w", key, b.lockRefused(ctx, err))
	}
	return nil
}

// lockRefused says what the refusal of a lock means: in a bucket that has none,
// servers answer in many ways.
func (b *Bucket) lockRefused(ctx context.Context, err error) error {
	if kind := typed(ctx, err); errors.Is(kind, storage.ErrNotFound) || ctx.Err() != nil {
		return kind
	}
	if locks, _, failed := b.lockConfig(ctx); failed == nil && !locks {
		return fmt.Errorf("%w: %w", storage.ErrNoLock, err)
	}
	return typed(ctx, err)
}

// lockConfig tells whether the bucket says that it can lock objects, and whether
// it locks each of them by default.
func (b *Bucket) lockConfig(ctx context.Context) (locks, byDefault bool, err error) {
	enabled, mode, term, _, err := b.core.GetObjectLockConfig(ctx, b.name)
	if err == nil { // a rule may be there and say nothing
		return enabled == "Enabled", mode != nil && *mode != "" || term != nil && *term > 0, nil
	}
	answer := minio.ToErrorResponse(err)
	if ctx.Err() == nil && (answer.Code == "ObjectLockConfigurationNotFoundError" || answer.StatusCode == http.StatusNotImplemented) {
		return false, false, nil
	}
	return false, false, fmt.Errorf("object lock of %s: %w", b.name, typed(ctx, err))
}

// A server's clock may be behind ours, by so much before it refuses our requests
// altogether; what it still takes for locked is tried again a little later.
const (
	mostSkew  = 15 * time.Minute
	skewAgain = time.Minute
)

// deletionRefused says why a version could not be removed. A lock that has just
// ended by our clock may last by the server's.
func (b *Bucket) deletionRefused(ctx context.Context, key, version string, err error) error {
	if answer := minio.ToErrorResponse(err); answer.StatusCode < 400 || answer.StatusCode >= 500 {
		return typed(ctx, err)
	}
	info, failed := b.core.StatObject(ctx, b.name, key, minio.StatObjectOptions{VersionID: version})
	l, now := lockOf(info), time.Now()
	switch {
	case failed != nil || !l.hold && l.until.IsZero():
	case l.hold || l.until.After(now):
		return &storage.LockedError{Key: key, Until: l.until, Hold: l.hold}
	case minio.ToErrorResponse(err).StatusCode == http.StatusForbidden && now.Sub(l.until) < mostSkew:
		return &storage.LockedError{Key: key, Until: now.Add(skewAgain)}
	}
	return typed(ctx, err)
}
