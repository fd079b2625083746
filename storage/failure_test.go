package storage_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/buckettest"
)

// volatile is a bucket in memory that loses what no Barrier made durable.
type volatile struct {
	mu      sync.Mutex
	objects map[string][]byte
	durable map[string]bool
}

func newVolatile() *volatile {
	return &volatile{objects: map[string][]byte{}, durable: map[string]bool{}}
}

// manifestOf returns the key of an artifact's manifest.
func (b *volatile) manifestOf(t *testing.T, id *age.X25519Identity, a custody.Artifact) string {
	t.Helper()
	return openSecrets(t, buckettest.Get(t, b, "v1/"+string(burglary)+"/k/1", ""), id, burglary).manifest(a).key
}

// powerLoss drops some of what is not durable: all of it, or what chance says.
func (b *volatile) powerLoss(chance *rand.Rand) {
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		if !b.durable[key] && (chance == nil || chance.IntN(2) == 0) {
			delete(b.objects, key)
		}
	}
}

func (b *volatile) Put(ctx context.Context, key string, data []byte) (string, error) {
	if err := check(ctx, key); err != nil {
		return "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, taken := b.objects[key]; taken {
		return "", storage.ErrExists
	}
	b.objects[key] = bytes.Clone(data)
	return "", nil
}

func (b *volatile) Replace(ctx context.Context, key string, data []byte) (string, error) {
	if err := check(ctx, key); err != nil {
		return "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[key] = bytes.Clone(data)
	return "", nil
}

func (b *volatile) Get(ctx context.Context, key, version string, buf []byte) (int, error) {
	if err := check(ctx, key); err != nil {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.objects[key]
	switch {
	case !ok || version != "":
		return 0, storage.ErrNotFound
	case len(data) > len(buf):
		return 0, storage.ErrTooLarge
	}
	return copy(buf, data), nil
}

func (b *volatile) Stat(ctx context.Context, key, version string) (storage.Object, error) {
	if err := check(ctx, key); err != nil {
		return storage.Object{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.objects[key]
	if !ok || version != "" {
		return storage.Object{}, storage.ErrNotFound
	}
	return storage.Object{Key: key, Size: int64(len(data))}, nil
}

func (b *volatile) List(ctx context.Context, prefix string, yield func(storage.Object) error) error {
	if err := storage.CheckPrefix(prefix); err != nil {
		return err
	}
	b.mu.Lock()
	objects := maps.Clone(b.objects)
	b.mu.Unlock()
	for key, data := range objects {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		if err := yield(storage.Object{Key: key, Size: int64(len(data))}); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (b *volatile) Delete(ctx context.Context, key, _ string) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.objects, key)
	return nil
}

func (b *volatile) Barrier(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key := range b.objects {
		b.durable[key] = true
	}
	return ctx.Err()
}

func (b *volatile) Versions(ctx context.Context, prefix string, yield func(storage.Object) error) error {
	return b.List(ctx, prefix, yield)
}

func (b *volatile) Folders(ctx context.Context, prefix string, yield func(string) error) error {
	found := map[string]bool{}
	err := b.List(ctx, prefix, func(o storage.Object) error {
		if name, _, ok := strings.Cut(strings.TrimPrefix(o.Key, prefix), "/"); ok {
			found[name] = true
		}
		return nil
	})
	for name := range found {
		if err == nil {
			err = yield(name)
		}
	}
	return err
}

func (b *volatile) Retain(ctx context.Context, key, version string, _ time.Time) error {
	_, err := b.Stat(ctx, key, version)
	return cmp.Or(err, storage.ErrNoLock)
}

func (b *volatile) Hold(ctx context.Context, key, version string, _ bool) error {
	return b.Retain(ctx, key, version, time.Time{})
}

func (b *volatile) Probe(ctx context.Context) (storage.Abilities, error) {
	proven, err := storage.ProbeObjects(ctx, b)
	proven.Checksum = true
	proven.Lines = append(proven.Lines, "nothing is kept longer than the process")
	return proven, err
}

func check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return storage.CheckKey(key)
}

func TestVolatileIsABucket(t *testing.T) {
	buckettest.Run(t, func(*testing.T) storage.Bucket { return newVolatile() })
}

// faulty fails once, at one call, before or after the call has its effect.
type faulty struct {
	storage.Bucket
	mu     sync.Mutex
	calls  int
	at     int
	before bool
}

func (f *faulty) fail(call func() error) error {
	f.mu.Lock()
	f.calls++
	now := f.calls == f.at
	f.mu.Unlock()
	if !now {
		return call()
	}
	if !f.before {
		_ = call()
	}
	return fmt.Errorf("%w: broken on purpose", storage.ErrUnavailable)
}

func (f *faulty) Put(ctx context.Context, key string, data []byte) (version string, err error) {
	err = f.fail(func() error { version, err = f.Bucket.Put(ctx, key, data); return err })
	return version, err
}

func (f *faulty) Replace(ctx context.Context, key string, data []byte) (version string, err error) {
	err = f.fail(func() error { version, err = f.Bucket.Replace(ctx, key, data); return err })
	return version, err
}

func (f *faulty) Get(ctx context.Context, key, version string, buf []byte) (n int, err error) {
	err = f.fail(func() error { n, err = f.Bucket.Get(ctx, key, version, buf); return err })
	return n, err
}

func (f *faulty) Stat(ctx context.Context, key, version string) (o storage.Object, err error) {
	err = f.fail(func() error { o, err = f.Bucket.Stat(ctx, key, version); return err })
	return o, err
}

func (f *faulty) List(ctx context.Context, prefix string, yield func(storage.Object) error) error {
	return f.fail(func() error { return f.Bucket.List(ctx, prefix, yield) })
}

func (f *faulty) Versions(ctx context.Context, prefix string, yield func(storage.Object) error) error {
	return f.fail(func() error { return f.Bucket.Versions(ctx, prefix, yield) })
}

func (f *faulty) Folders(ctx context.Context, prefix string, yield func(string) error) error {
	return f.fail(func() error { return f.Bucket.Folders(ctx, prefix, yield) })
}

func (f *faulty) Delete(ctx context.Context, key, version string) error {
	return f.fail(func() error { return f.Bucket.Delete(ctx, key, version) })
}

func (f *faulty) Barrier(ctx context.Context) error {
	return f.fail(func() error { return f.Bucket.Barrier(ctx) })
}

// Intake is broken at every call to the bucket in turn, before and after the
// call's effect, and once more by a loss of power at that moment. Whatever
// happens: what Seal acknowledged is there, what it did not can be taken in
// again, and no reader gets anything but the artifact.
func TestIntakeBrokenAtEveryStep(t *testing.T) {
	id := newIdentity(t)
	b, a := bytesOf(chunk+1000, 1)
	chance := rand.New(rand.NewPCG(1, 2))
	intake := func(bucket storage.Bucket) error {
		v := briefVault(t, bucket, id)
		chunks, err := putAll(t.Context(), v, burglary, b)
		if err != nil {
			return err
		}
		return v.Seal(t.Context(), burglary, all(chunks), a.Size, a.Root, time.Time{})
	}
	for _, before := range []bool{true, false} {
		for _, loss := range []string{"none", "all", "some"} {
			for at := 1; ; at++ {
				t.Log("before:", before, "loss:", loss, "call:", at)
				store := newVolatile()
				broken := &faulty{Bucket: store, at: at, before: before}
				err := intake(broken)
				done := broken.calls < at
				require.Equal(t, done, err == nil, "%v", err)
				if err != nil {
					require.ErrorIs(t, err, storage.ErrUnavailable)
				}
				switch loss {
				case "all":
					store.powerLoss(nil)
				case "some":
					store.powerLoss(chance)
				}
				got, readErr := read(t.Context(), briefVault(t, store, id), burglary, a, guard.Range{Length: a.Size})
				require.True(t, bytes.HasPrefix(b, got))
				if readErr != nil {
					require.ErrorIs(t, readErr, storage.ErrDamaged)
					require.Error(t, err, "acknowledged and lost")
					require.Empty(t, buckettest.List(t, store, "v1/"+string(burglary)+"/m/"), "half of it is seen")
				}

				require.NoError(t, intake(store), "a second try")
				store.powerLoss(nil)
				measured, err := briefVault(t, store, id).Check(t.Context(), burglary, a.Root, a.Size)
				require.NoError(t, err)
				require.Equal(t, a, measured)
				if done {
					require.Greater(t, at, 5)
					break
				}
			}
		}
	}
}

// Reading is broken at every call in turn.
func TestReadingBrokenAtEveryStep(t *testing.T) {
	id, store := newIdentity(t), newVolatile()
	b, a := bytesOf(2*chunk+1000, 1)
	take(t, briefVault(t, store, id), burglary, b, a)
	for at := 1; ; at++ {
		broken := &faulty{Bucket: store, at: at}
		v := briefVault(t, broken, id)
		got, err := read(t.Context(), v, burglary, a, guard.Range{Length: a.Size})
		require.True(t, bytes.HasPrefix(b, got))
		if broken.calls < at {
			require.NoError(t, err)
			require.Equal(t, custody.Hash(b), custody.Hash(got))
			return
		}
		require.ErrorIs(t, err, storage.ErrUnavailable)
		require.NotErrorIs(t, err, storage.ErrDamaged, "a bucket that does not answer is not damaged")
		got, err = read(t.Context(), v, burglary, a, guard.Range{Length: a.Size})
		require.NoError(t, err)
		require.True(t, bytes.Equal(b, got))
	}
}
