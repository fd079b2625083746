package archive

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/storage"
)

// Stamp is a stamp of a time-stamping authority on a checkpoint of the log, as the
// archive keeps it: canonical JSON, locked like records, at
//
//	stamps/SIZE-NAME    SIZE of the log, 16 digits, decimal; NAME: 16 hexadecimal digits of SHA-256 of the authority's name
//
// It says nothing that is not public.
type Stamp struct {
	Authority  string                    `json:"authority"`  // its name
	Checkpoint string                    `json:"checkpoint"` // signed
	Kind       custody.TimeAuthorityKind `json:"kind"`
	Token      []byte                    `json:"token"` // RFC 3161, DER
}

const (
	stampsPrefix  = "stamps/"
	mostStampSize = 256 << 10 // bytes of an object
)

// StampName tells stamps of one size apart by their authority: in the archive, and
// where the log is served.
func StampName(authority string) string { return custody.Hash([]byte(authority)).Hex()[:16] }

func stampKey(size uint64, authority string) string {
	return fmt.Sprintf("%s%016d-%s", stampsPrefix, size, StampName(authority))
}

// KeepStamp makes a stamp durable, and locked where the archive locks. One of the
// same authority on the same size that is there already stays: then it is that
// which is kept, and returned.
func (a *Archive) KeepStamp(ctx context.Context, s Stamp) (Stamp, error) {
	kept, err := a.keepStamp(ctx, s)
	if err != nil {
		return Stamp{}, fmt.Errorf("archive the stamp by %s: %w", s.Authority, err)
	}
	return kept, nil
}

func (a *Archive) keepStamp(ctx context.Context, s Stamp) (Stamp, error) {
	point, err := custody.CheckpointBody([]byte(s.Checkpoint))
	if err != nil {
		return s, err
	}
	b, err := custody.Encode(s)
	if err != nil {
		return s, err
	}
	key := stampKey(point.Size, s.Authority)
	version, err := a.Bucket.Put(ctx, key, b)
	if errors.Is(err, storage.ErrExists) {
		if s, err = a.stamp(ctx, key); err != nil {
			return s, err
		}
		o, failed := a.Bucket.Stat(ctx, key, "")
		version, err = o.Version, failed
	}
	if err != nil {
		return s, err
	}
	if a.LockFor > 0 {
		if err := a.Bucket.Retain(ctx, key, version, a.Now().Add(a.LockFor)); err != nil {
			return s, err
		}
	}
	return s, a.Bucket.Barrier(ctx)
}

// stamp reads the stamp at a key.
func (a *Archive) stamp(ctx context.Context, key string) (s Stamp, err error) {
	err = a.get(ctx, key, func(b []byte) error {
		s = Stamp{}
		if err := custody.Decode(b, &s); err != nil {
			return err
		}
		point, err := custody.CheckpointBody([]byte(s.Checkpoint))
		if err == nil && stampKey(point.Size, s.Authority) != key {
			err = errors.New("it is not what its name says")
		}
		return err
	})
	return s, err
}

// Stamps calls yield for each stamp in the archive, in no particular order, with
// ErrDamaged where what lies there is none. An error of yield ends it. Whether they
// verify is not looked at.
func (a *Archive) Stamps(ctx context.Context, yield func(Stamp, error) error) error {
	seen := map[string]bool{}
	var keys []string
	err := a.Bucket.Versions(ctx, stampsPrefix, func(o storage.Object) error {
		if !o.Marker && !seen[o.Key] && isStampKey(o.Key) {
			seen[o.Key] = true
			keys = append(keys, o.Key)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list the stamps of the archive: %w", err)
	}
	for _, key := range keys {
		s, err := a.stamp(ctx, key)
		if err != nil && !errors.Is(err, ErrDamaged) {
			return fmt.Errorf("read the stamps of the archive: %w", err)
		}
		if err := yield(s, err); err != nil {
			return err
		}
	}
	return nil
}

// isStampKey accepts exactly what stampKey writes.
func isStampKey(key string) bool {
	size, name, _ := strings.Cut(strings.TrimPrefix(key, stampsPrefix), "-")
	n, err := strconv.ParseUint(size, 10, 63)
	return err == nil && len(name) == 16 && !strings.ContainsFunc(name, func(r rune) bool { return !('0' <= r && r <= '9' || 'a' <= r && r <= 'f') }) &&
		key == fmt.Sprintf("%s%016d-%s", stampsPrefix, n, name)
}
