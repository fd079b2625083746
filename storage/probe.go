package storage

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
)

// ProbeObjects is the part of Probe that is the same for every bucket: an
// object is stored, read back equal, not replaced, listed, deleted and gone.
// It returns what was proven.
func ProbeObjects(ctx context.Context, b Bucket) (Abilities, error) {
	prefix := "probe/"
	key := prefix + rand.Text()
	canary := []byte("canary of " + key)
	version, err := b.Put(ctx, key, canary)
	if err != nil {
		return Abilities{}, fmt.Errorf("probe: %w", err)
	}
	err = probeObject(ctx, b, prefix, Object{Key: key, Version: version, Size: int64(len(canary))}, canary)
	// Removed even when the context is done: nothing else would remove it.
	if failed := b.Delete(context.WithoutCancel(ctx), key, version); failed != nil {
		err = errors.Join(err, failed)
	}
	if err != nil {
		return Abilities{}, fmt.Errorf("probe: %w", err)
	}
	if _, err := b.Stat(ctx, key, ""); !errors.Is(err, ErrNotFound) {
		return Abilities{}, fmt.Errorf("probe: after deletion: %v instead of %w", err, ErrNotFound)
	}
	return Abilities{ConditionalPut: true, Lines: []string{
		"an object is read back as it was stored",
		"an object is not replaced",
		"an object is listed until it is deleted",
	}}, nil
}

func probeObject(ctx context.Context, b Bucket, prefix string, o Object, canary []byte) error {
	if _, err := b.Put(ctx, o.Key, []byte("a replacement")); !errors.Is(err, ErrExists) {
		return fmt.Errorf("putting on a taken key gave %v instead of %w", err, ErrExists)
	}
	buf := make([]byte, len(canary))
	for _, version := range []string{o.Version, ""} {
		n, err := b.Get(ctx, o.Key, version, buf)
		if err != nil {
			return err
		}
		if !bytes.Equal(buf[:n], canary) {
			return fmt.Errorf("%s reads back as other bytes than were stored", o.Key)
		}
	}
	listed := false
	err := b.List(ctx, prefix, func(other Object) error {
		listed = listed || other.Key == o.Key && other.Size == o.Size
		return nil
	})
	if err != nil {
		return err
	}
	if !listed {
		return fmt.Errorf("%s is stored but not listed", o.Key)
	}
	return b.Barrier(ctx)
}
