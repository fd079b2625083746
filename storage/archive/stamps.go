package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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

// stampPlace is where a stamp lies: all of it that is held of those not read yet.
type stampPlace struct{ size, name uint64 }

func (p stampPlace) key() string { return fmt.Sprintf("%s%016d-%016x", stampsPrefix, p.size, p.name) }

// parseStampKey accepts exactly what stampKey writes.
func parseStampKey(key string) (p stampPlace, ok bool) {
	size, name, _ := strings.Cut(strings.TrimPrefix(key, stampsPrefix), "-")
	n, err := strconv.ParseUint(size, 10, 63)
	d, failed := strconv.ParseUint(name, 16, 64)
	p = stampPlace{n, d}
	return p, err == nil && failed == nil && p.key() == key
}

// Stamps calls yield for each stamp in the archive, in the order of size, with
// ErrDamaged where what lies there is none. An error of yield ends it. Whether they
// verify is not looked at. There can be very many: each is read when its turn comes.
func (a *Archive) Stamps(ctx context.Context, yield func(Stamp, error) error) error {
	var places []stampPlace
	err := a.Bucket.Versions(ctx, stampsPrefix, func(o storage.Object) error {
		if p, ok := parseStampKey(o.Key); ok && !o.Marker {
			places = append(places, p)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list the stamps of the archive: %w", err)
	}
	slices.SortFunc(places, func(a, b stampPlace) int { return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.name, b.name)) })
	for _, p := range slices.Compact(places) {
		s, err := a.stamp(ctx, p.key())
		if err != nil && !errors.Is(err, ErrDamaged) {
			return fmt.Errorf("read the stamps of the archive: %w", err)
		}
		if err := yield(s, err); err != nil {
			return err
		}
	}
	return nil
}
