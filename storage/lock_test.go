package storage_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/buckettest"
)

// lockingVault is a vault on a bucket that locks.
func lockingVault(t *testing.T, b storage.Bucket) *storage.Vault {
	t.Helper()
	proven, err := b.Probe(t.Context())
	require.NoError(t, err)
	id := newIdentity(t)
	v, err := storage.New(storage.Config{Bucket: b, Identity: id, Recipients: []age.Recipient{id.Recipient()}, Abilities: proven})
	require.NoError(t, err)
	require.True(t, v.Locks() && v.Holds())
	t.Cleanup(func() { require.Zero(t, v.BuffersTaken()) })
	return v
}

// locks returns until when each object of the incident is locked, but its keys.
func locks(t *testing.T, b storage.Bucket) map[string]storage.Object {
	t.Helper()
	all := map[string]storage.Object{}
	for _, kind := range []string{"c", "p", "m"} {
		for _, o := range buckettest.Versions(t, b, "v1/"+string(burglary)+"/"+kind+"/") {
			there, err := b.Stat(t.Context(), o.Key, o.Version)
			require.NoError(t, err)
			all[o.Key] = there
		}
	}
	return all
}

// keep is a Keep that is known beforehand.
func keep(k storage.Kept) storage.Keep {
	return func(context.Context) (storage.Kept, error) { return k, nil }
}

func dispose(t *testing.T, v *storage.Vault, i custody.IncidentID, root custody.Digest, size uint64, k storage.Keep) error {
	t.Helper()
	_, err := v.Dispose(t.Context(), i, root, size, k)
	return err
}

func requireLocked(t *testing.T, b storage.Bucket, n int, until time.Time) {
	t.Helper()
	all := locks(t, b)
	require.Len(t, all, n)
	for key, o := range all {
		require.True(t, o.Until.Equal(until), "%s is locked until %v instead of %v", key, o.Until, until)
	}
}

func soon(seconds int) time.Time {
	return time.Now().Add(time.Duration(seconds) * time.Second).Truncate(time.Second).UTC()
}

func TestLocks(t *testing.T) {
	t.Parallel() // locks last, and are waited for
	server := buckettest.StartMinIO(t)
	t.Run("sealing, renewing and disposing", func(t *testing.T) { testRetention(t, openS3(t, server.NewBucket(t))) })
	t.Run("what two artifacts share", func(t *testing.T) { testShared(t, openS3(t, server.NewBucket(t))) })
	t.Run("holds", func(t *testing.T) { testHolds(t, openS3(t, server.NewBucket(t))) })
	t.Run("disposal and discarding", func(t *testing.T) {
		testDisposal(t, openS3(t, server.NewBucket(t)))
		testDiscard(t, openS3(t, server.NewBucket(t)))
	})
}

func testRetention(t *testing.T, b storage.Bucket) {
	t.Parallel()
	v := lockingVault(t, b)
	data, a := bytesOf(chunk+100, 1)
	chunks, err := putAll(t.Context(), v, burglary, data)
	require.NoError(t, err)
	requireLocked(t, b, 2, time.Time{}) // a refused upload leaves nothing locked
	until := soon(15)
	require.NoError(t, v.Seal(t.Context(), burglary, all(chunks), a.Size, a.Root, until))
	requireLocked(t, b, 4, until)
	require.NoError(t, v.Seal(t.Context(), burglary, all(chunks), a.Size, a.Root, until.Add(-2*time.Second)), "never shortened")
	requireLocked(t, b, 4, until)
	longer := until.Add(time.Second)
	require.NoError(t, v.Seal(t.Context(), burglary, all(chunks), a.Size, a.Root, longer), "extended")
	requireLocked(t, b, 4, longer)
	longer = longer.Add(time.Second)
	require.NoError(t, v.Retain(t.Context(), burglary, a.Root, a.Size, longer))
	requireLocked(t, b, 4, longer)
	require.NoError(t, v.Retain(t.Context(), burglary, a.Root, a.Size, until))
	requireLocked(t, b, 4, longer)
	require.ErrorIs(t, v.Retain(t.Context(), burglary, custody.Digest{1}, 5, longer), storage.ErrDamaged)

	var locked *storage.LockedError
	err = dispose(t, v, burglary, a.Root, a.Size, keep(storage.Kept{}))
	require.ErrorAs(t, err, &locked)
	require.True(t, longer.Equal(locked.Until))
	err = v.Discard(t.Context(), burglary, all(chunks), keep(storage.Kept{}))
	require.ErrorIs(t, err, storage.ErrLocked)
	require.NoError(t, checkOf(t, v, a), "nothing was removed")

	require.Eventually(t, func() bool {
		return dispose(t, v, burglary, a.Root, a.Size, keep(storage.Kept{})) == nil
	}, 60*time.Second, 100*time.Millisecond)
	require.False(t, time.Now().Before(longer))
	require.Empty(t, locks(t, b))
}

// TestWhatIsLeftIsProtected: of an artifact one chunk is lost, or its head is hidden.
// All the rest is locked, held and released, and the damage is said.
func TestWhatIsLeftIsProtected(t *testing.T) {
	server := buckettest.StartMinIO(t)
	for name, spoil := range map[string]func(t *testing.T, bucket string, b storage.Bucket){
		"a chunk is lost": func(t *testing.T, _ string, b storage.Bucket) {
			lost := buckettest.Versions(t, b, "v1/"+string(burglary)+"/c/")[0]
			require.NoError(t, b.Delete(t.Context(), lost.Key, lost.Version))
		},
		"the head is hidden": func(t *testing.T, bucket string, b storage.Bucket) {
			server.Hide(t, bucket, buckettest.Versions(t, b, "v1/"+string(burglary)+"/m/")[0].Key)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := server.NewBucket(t)
			b := openS3(t, c)
			v := lockingVault(t, b)
			data, a := bytesOf(30*chunk, 1)
			take(t, v, burglary, data, a)
			spoil(t, c.Bucket, b)
			there := func(is func(storage.Object) bool) (all, n int) {
				for _, kind := range []string{"c", "p", "m"} {
					for _, o := range buckettest.Versions(t, b, "v1/"+string(burglary)+"/"+kind+"/") {
						if o.Marker {
							continue
						}
						o, err := b.Stat(t.Context(), o.Key, o.Version)
						require.NoError(t, err)
						if all++; is(o) {
							n++
						}
					}
				}
				return all, n
			}
			until := soon(3600)
			require.ErrorIs(t, v.Retain(t.Context(), burglary, a.Root, a.Size, until), storage.ErrDamaged)
			all, n := there(func(o storage.Object) bool { return o.Until.Equal(until) })
			require.Equal(t, all, n, "locked")
			require.GreaterOrEqual(t, all, 31)
			require.ErrorIs(t, v.Hold(t.Context(), burglary, a.Root, a.Size), storage.ErrDamaged)
			_, n = there(func(o storage.Object) bool { return o.Hold })
			require.Equal(t, all, n, "held")
			locked, held, _ := v.Locked(t.Context(), burglary, a.Root, a.Size)
			require.True(t, held && locked.Equal(until), "the head tells, hidden or not")
			require.ErrorIs(t, v.Release(t.Context(), burglary, a.Root, a.Size, nil), storage.ErrDamaged)
			_, n = there(func(o storage.Object) bool { return o.Hold })
			require.Zero(t, n, "released")
		})
	}
}

func testShared(t *testing.T, b storage.Bucket) {
	t.Parallel()
	v := lockingVault(t, b)
	data, whole := bytesOf(chunk+100, 1)
	short := artifactOf(data[:chunk])
	until := soon(15)
	chunks, err := putAll(t.Context(), v, burglary, data)
	require.NoError(t, err)
	require.NoError(t, v.Seal(t.Context(), burglary, all(chunks), whole.Size, whole.Root, until))
	require.NoError(t, v.Seal(t.Context(), burglary, all(chunks[:1]), short.Size, short.Root, until.Add(-2*time.Second)))
	shared := 0
	for _, o := range locks(t, b) {
		if o.Until.Equal(until) {
			shared++
		}
	}
	require.Equal(t, 4, shared, "the shared chunk keeps the longer lock")

	// The shorter one can go before what it shares with the longer one.
	require.Eventually(t, func() bool {
		return dispose(t, v, burglary, short.Root, short.Size, keep(storage.Kept{Artifacts: []custody.Artifact{whole}})) == nil
	}, 60*time.Second, 100*time.Millisecond)
	require.NoError(t, checkOf(t, v, whole))
}

func testHolds(t *testing.T, b storage.Bucket) {
	v := lockingVault(t, b)
	data, whole := bytesOf(chunk+100, 1)
	short := artifactOf(data[:chunk])
	chunks := take(t, v, burglary, data, whole)
	require.NoError(t, v.Seal(t.Context(), burglary, all(chunks[:1]), short.Size, short.Root, time.Time{}))
	held := func() (n int) {
		for _, o := range locks(t, b) {
			if o.Hold {
				n++
			}
		}
		return n
	}
	require.Zero(t, held())
	require.NoError(t, v.Hold(t.Context(), burglary, whole.Root, whole.Size))
	require.NoError(t, v.Hold(t.Context(), burglary, whole.Root, whole.Size))
	require.Equal(t, 4, held())
	require.NoError(t, v.Hold(t.Context(), burglary, short.Root, short.Size))
	require.Equal(t, 6, held())
	err := dispose(t, v, burglary, whole.Root, whole.Size, keep(storage.Kept{}))
	var locked *storage.LockedError
	require.ErrorAs(t, err, &locked)
	require.True(t, locked.Hold)

	require.NoError(t, v.Release(t.Context(), burglary, whole.Root, whole.Size, []custody.Artifact{whole}))
	require.Equal(t, 6, held(), "the same artifact is held for somebody else")
	require.NoError(t, v.Release(t.Context(), burglary, whole.Root, whole.Size, []custody.Artifact{short}))
	require.Equal(t, 3, held(), "the chunk that the held one uses")
	require.NoError(t, dispose(t, v, burglary, whole.Root, whole.Size, keep(storage.Kept{Artifacts: []custody.Artifact{short}})))
	require.NoError(t, checkOf(t, v, short))
	require.NoError(t, v.Release(t.Context(), burglary, short.Root, short.Size, nil))
	require.Zero(t, held())
	require.NoError(t, dispose(t, v, burglary, short.Root, short.Size, keep(storage.Kept{})))
	require.Empty(t, locks(t, b))
}

// A folder locks nothing, and says so.
func TestAFolderLocksNothing(t *testing.T) {
	b := openFolder(t, t.TempDir())
	proven, err := b.Probe(t.Context())
	require.NoError(t, err)
	id := newIdentity(t)
	v, err := storage.New(storage.Config{Bucket: b, Identity: id, Recipients: []age.Recipient{id.Recipient()}, Abilities: proven})
	require.NoError(t, err)
	require.False(t, v.Locks() || v.Holds())
	data, a := bytesOf(1000, 1)
	chunks, err := putAll(t.Context(), v, burglary, data)
	require.NoError(t, err)
	require.NoError(t, v.Seal(t.Context(), burglary, all(chunks), a.Size, a.Root, time.Now().Add(time.Hour)))
	require.NoError(t, v.Retain(t.Context(), burglary, a.Root, a.Size, time.Now().Add(time.Hour)))
	require.NoError(t, v.Hold(t.Context(), burglary, a.Root, a.Size))
	require.NoError(t, v.Release(t.Context(), burglary, a.Root, a.Size, nil))
	require.NoError(t, dispose(t, v, burglary, a.Root, a.Size, keep(storage.Kept{})))
	require.Len(t, buckettest.List(t, b, ""), 1, "its keys")
}

func TestDisposal(t *testing.T) {
	testDisposal(t, openFolder(t, t.TempDir()))
	testDiscard(t, openFolder(t, t.TempDir()))
}

func testDisposal(t *testing.T, b storage.Bucket) {
	v := newVault(t, b, newIdentity(t))
	data, whole := bytesOf(3*chunk+100, 1)
	other := append(bytes.Clone(data[chunk:2*chunk]), make([]byte, chunk)...)
	another := artifactOf(other)
	upload := data[2*chunk : 3*chunk]
	take(t, v, burglary, data, whole)
	take(t, v, burglary, other, another)
	underWay, err := putAll(t.Context(), v, burglary, upload)
	require.NoError(t, err)

	kept := keep(storage.Kept{Artifacts: []custody.Artifact{another}, Uploads: all(underWay)})
	require.ErrorIs(t, dispose(t, v, burglary, whole.Root, whole.Size, keep(storage.Kept{Artifacts: []custody.Artifact{{Root: custody.Digest{1}, Size: 5}}})),
		storage.ErrDamaged, "what cannot be read may use anything")
	require.NoError(t, checkOf(t, v, whole))

	require.NoError(t, dispose(t, v, burglary, whole.Root, whole.Size, kept))
	require.NoError(t, dispose(t, v, burglary, whole.Root, whole.Size, kept), "again")
	_, err = read(t.Context(), v, burglary, whole, guard.Range{Length: whole.Size})
	require.ErrorIs(t, err, storage.ErrDamaged)
	require.NoError(t, checkOf(t, v, another))
	require.Len(t, sizes(t, b, burglary), 2)
	for _, kind := range []string{"m/", "p/"} {
		require.Len(t, buckettest.List(t, b, "v1/"+string(burglary)+"/"+kind), 1)
	}
	a := artifactOf(upload)
	require.NoError(t, v.Seal(t.Context(), burglary, all(underWay), a.Size, a.Root, time.Time{}), "the upload that was under way")
	require.NoError(t, checkOf(t, v, a))
	take(t, v, burglary, data, whole)
	require.NoError(t, checkOf(t, v, whole), "brought again")
}

func testDiscard(t *testing.T, b storage.Bucket) {
	v := newVault(t, b, newIdentity(t))
	data, _ := bytesOf(3*chunk, 1)
	sealed := artifactOf(data[:chunk])
	take(t, v, burglary, data[:chunk], sealed)
	chunks, err := putAll(t.Context(), v, burglary, data)
	require.NoError(t, err)
	kept := keep(storage.Kept{Artifacts: []custody.Artifact{sealed}, Uploads: all(chunks[1:2])})
	for range 2 {
		require.NoError(t, v.Discard(t.Context(), burglary, all(chunks), kept))
		require.Len(t, sizes(t, b, burglary), 2)
	}
	require.NoError(t, checkOf(t, v, sealed))
	whole := artifactOf(data)
	require.ErrorIs(t, v.Seal(t.Context(), burglary, all(chunks), whole.Size, whole.Root, time.Time{}), storage.ErrNotFound)
}

// Disposal is broken at every call, before and after its effect: nothing that is
// kept is touched, what is being disposed of is whole or cannot be read, and a
// second try completes it.
func TestDisposalBrokenAtEveryStep(t *testing.T) {
	id := newIdentity(t)
	data, whole := bytesOf(chunk+1000, 1)
	short := artifactOf(data[:chunk])
	for _, before := range []bool{true, false} {
		for at := 1; ; at++ {
			store := newVolatile()
			v := briefVault(t, store, id)
			chunks := take(t, v, burglary, data, whole)
			require.NoError(t, v.Seal(t.Context(), burglary, all(chunks[:1]), short.Size, short.Root, time.Time{}))
			broken := &faulty{Bucket: store, at: at, before: before}
			kept := keep(storage.Kept{Artifacts: []custody.Artifact{short}})
			err := dispose(t, briefVault(t, broken, id), burglary, whole.Root, whole.Size, kept)
			require.Equal(t, broken.calls < at, err == nil, "%v", err)
			store.powerLoss(nil)
			require.NoError(t, checkOf(t, v, short))
			if _, seen := buckettest.List(t, store, "v1/"+string(burglary)+"/m/")[store.manifestOf(t, id, whole)]; seen {
				require.NoError(t, checkOf(t, v, whole), "half of it is seen")
			}
			require.NoError(t, dispose(t, v, burglary, whole.Root, whole.Size, kept))
			require.NoError(t, checkOf(t, v, short))
			require.Len(t, buckettest.List(t, store, ""), 4, "keys, chunk, page, manifest")
			if broken.calls < at {
				require.Greater(t, at, 10)
				break
			}
		}
	}
}

// TestDiscardingARefusedSeal: of an upload that was sealed in the bucket, and not
// on record, nothing is left, and the same bytes can be brought and sealed again.
func TestDiscardingARefusedSeal(t *testing.T) {
	server := buckettest.StartMinIO(t)
	for name, b := range map[string]storage.Bucket{"S3": openS3(t, server.NewBucketWithoutLock(t)), "a folder": openFolder(t, t.TempDir())} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t, b, newIdentity(t))
			for _, size := range []int{0, 1000, chunk, chunk + 1000} {
				data, a := bytesOf(size, 1)
				chunks := take(t, v, burglary, data, a)
				require.NoError(t, v.Discard(t.Context(), burglary, all(chunks), keep(storage.Kept{Artifacts: []custody.Artifact{a}})))
				require.NoError(t, checkOf(t, v, a), "it stays while somebody needs it")
				for range 2 {
					require.NoError(t, v.Discard(t.Context(), burglary, all(chunks), keep(storage.Kept{})))
					require.Len(t, buckettest.Versions(t, b, "v1/"), 1, "the keys")
				}
				take(t, v, burglary, data, a)
				require.NoError(t, checkOf(t, v, a))
				require.NoError(t, dispose(t, v, burglary, a.Root, a.Size, keep(storage.Kept{})))
			}
		})
	}
}

// TestALostHead: the manifest's head is gone for good. A disposal says that nothing
// tells which chunks were the artifact's, and with their list everything goes.
func TestALostHead(t *testing.T) {
	b := openFolder(t, t.TempDir())
	v := newVault(t, b, newIdentity(t))
	data, a := bytesOf(2*chunk+100, 1)
	short := artifactOf(data[:chunk])
	chunks := take(t, v, burglary, data, a)
	for key := range buckettest.List(t, b, "v1/"+string(burglary)+"/m/") {
		require.NoError(t, b.Delete(t.Context(), key, ""))
	}
	take(t, v, burglary, data[:chunk], short)
	done, err := v.Dispose(t.Context(), burglary, a.Root, a.Size, keep(storage.Kept{Artifacts: []custody.Artifact{a}}))
	require.NoError(t, err)
	require.Equal(t, storage.Removed{Same: true}, done, "another item is the same")
	kept := keep(storage.Kept{Artifacts: []custody.Artifact{short}})
	done, err = v.Dispose(t.Context(), burglary, a.Root, a.Size, kept)
	require.NoError(t, err)
	require.Equal(t, storage.Removed{Unlisted: true}, done)
	require.Len(t, sizes(t, b, burglary), 3, "nothing was removed")
	require.NoError(t, v.Discard(t.Context(), burglary, all(chunks), kept))
	require.Len(t, sizes(t, b, burglary), 1)
	require.Len(t, buckettest.List(t, b, "v1/"+string(burglary)+"/p/"), 1)
	require.NoError(t, checkOf(t, v, short))
}

// TestADisposalRemovesEveryVersion: of a chunk, a page and a head that were
// written over, restored or hidden no version stays, and a locked one is found
// before anything is removed.
func TestADisposalRemovesEveryVersion(t *testing.T) {
	t.Parallel() // as TestLocks
	server := buckettest.StartMinIO(t)
	c := server.NewBucket(t)
	b := openS3(t, c)
	v := lockingVault(t, b)
	data, a := bytesOf(chunk+100, 1)
	prefix := "v1/" + string(burglary) + "/"
	again := func() {
		for _, kind := range []string{"c/", "p/", "m/"} {
			for key := range buckettest.List(t, b, prefix+kind) {
				server.Replace(t, c.Bucket, key, buckettest.Get(t, b, key, ""))
			}
		}
	}
	chunks := take(t, v, burglary, data, a)
	again()
	key := ""
	for key = range buckettest.List(t, b, prefix+"c/") { // one of them
		server.Hide(t, c.Bucket, key)
		break
	}
	require.NoError(t, checkOf(t, v, a))
	require.Len(t, buckettest.Versions(t, b, prefix), 1+2*4+1)

	var stray storage.Object
	for _, o := range buckettest.Versions(t, b, prefix+"c/") {
		if o.Key == key && !o.Marker && o.Version != chunks[0].Version && o.Version != chunks[1].Version {
			stray = o
		}
	}
	until := soon(15)
	require.NoError(t, b.Retain(t.Context(), key, stray.Version, until))
	var locked *storage.LockedError
	require.ErrorAs(t, dispose(t, v, burglary, a.Root, a.Size, keep(storage.Kept{})), &locked)
	require.True(t, until.Equal(locked.Until))
	require.NoError(t, checkOf(t, v, a), "nothing was removed")

	short := artifactOf(data[:chunk])
	take(t, v, burglary, data[:chunk], short)
	require.Eventually(t, func() bool {
		return dispose(t, v, burglary, a.Root, a.Size, keep(storage.Kept{Artifacts: []custody.Artifact{short}})) == nil
	}, 60*time.Second, 100*time.Millisecond)
	require.NoError(t, checkOf(t, v, short))
	require.Eventually(t, func() bool { // the locked one may be the chunk that they share
		return dispose(t, v, burglary, short.Root, short.Size, keep(storage.Kept{})) == nil
	}, 60*time.Second, 100*time.Millisecond)
	require.Len(t, buckettest.Versions(t, b, prefix), 1, "the keys")

	// An upload that was given up.
	chunks, err := putAll(t.Context(), v, burglary, data)
	require.NoError(t, err)
	again()
	require.NoError(t, v.Discard(t.Context(), burglary, all(chunks), keep(storage.Kept{})))
	require.Len(t, buckettest.Versions(t, b, prefix), 1, "the keys")

	// What is merely hidden is not gone.
	take(t, v, burglary, data, a)
	for key := range buckettest.List(t, b, prefix+"m/") {
		server.Hide(t, c.Bucket, key)
	}
	require.ErrorIs(t, dispose(t, v, burglary, a.Root, a.Size, keep(storage.Kept{})), storage.ErrDamaged)
}
