package storage_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/buckettest"
)

// vaultFor is a vault whose keys are wrapped for the escrow too.
func vaultFor(t testing.TB, b storage.Bucket, id *age.X25519Identity, escrow *age.X25519Identity) *storage.Vault {
	t.Helper()
	v, err := storage.New(storage.Config{Bucket: b, Identity: id, Recipients: []age.Recipient{id.Recipient(), escrow.Recipient()}})
	require.NoError(t, err)
	return v
}

func checks(t *testing.T, v *storage.Vault, incident custody.IncidentID, a custody.Artifact) error {
	t.Helper()
	_, err := v.Check(t.Context(), incident, a.Root, a.Size)
	return err
}

// keyFiles returns all versions of all files of the incident's keys.
func keyFiles(t *testing.T, b storage.Bucket, incident custody.IncidentID) []storage.Object {
	t.Helper()
	return buckettest.Versions(t, b, "v1/"+string(incident)+"/k/")
}

func everywhere(t *testing.T, test func(*testing.T, storage.Bucket)) {
	t.Helper()
	t.Run("folder", func(t *testing.T) { test(t, openFolder(t, t.TempDir())) })
	t.Run("S3", func(t *testing.T) { test(t, openS3(t, buckettest.StartMinIO(t).NewBucket(t))) })
}

func TestRewrap(t *testing.T) {
	everywhere(t, func(t *testing.T, b storage.Bucket) {
		old, next, escrow, gone := newIdentity(t), newIdentity(t), newIdentity(t), custody.NewIncidentID(custody.Digest{9})
		data, a := bytesOf(1000, 1)
		before := vaultFor(t, b, old, escrow)
		for _, incident := range []custody.IncidentID{burglary, fraud, gone} {
			take(t, before, incident, data, a)
		}
		require.NoError(t, before.Shred(t.Context(), gone))
		after := vaultFor(t, b, next, escrow)
		require.ErrorIs(t, checks(t, after, burglary, a), storage.ErrDamaged)
		_, err := after.Rewrap(t.Context(), newIdentity(t))
		require.ErrorIs(t, err, storage.ErrDamaged, "by an identity that does not open them")

		n, err := after.Rewrap(t.Context(), old)
		require.NoError(t, err)
		require.Equal(t, 3, n)
		n, err = after.Rewrap(t.Context(), old)
		require.NoError(t, err)
		require.Zero(t, n, "again")
		for _, incident := range []custody.IncidentID{burglary, fraud} {
			require.NoError(t, checks(t, after, incident, a))
			require.ErrorIs(t, checks(t, vaultFor(t, b, old, escrow), incident, a), storage.ErrDamaged, "the old identity opens nothing")
			require.Len(t, keyFiles(t, b, incident), 1)
			take(t, after, incident, []byte("more"), artifactOf([]byte("more")))
		}
		require.ErrorIs(t, checks(t, after, gone, a), storage.ErrShredded)
	})
}

func TestRecover(t *testing.T) {
	everywhere(t, func(t *testing.T, b storage.Bucket) {
		lost, next, escrow, gone := newIdentity(t), newIdentity(t), newIdentity(t), custody.NewIncidentID(custody.Digest{9})
		data, a := bytesOf(1000, 1)
		before := vaultFor(t, b, lost, escrow)
		for _, incident := range []custody.IncidentID{burglary, fraud, gone} {
			take(t, before, incident, data, a)
		}
		require.NoError(t, before.Shred(t.Context(), gone))

		after := vaultFor(t, b, next, escrow)
		n, err := after.Recover(t.Context(), newIdentity(t))
		require.ErrorIs(t, err, storage.ErrDamaged)
		require.Equal(t, 1, n, "that keys were destroyed needs no key")
		n, err = after.Recover(t.Context(), escrow)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		n, err = after.Recover(t.Context(), escrow)
		require.NoError(t, err)
		require.Zero(t, n)
		for _, incident := range []custody.IncidentID{burglary, fraud} {
			require.NoError(t, checks(t, after, incident, a))
			require.Len(t, keyFiles(t, b, incident), 1)
		}
		require.ErrorIs(t, checks(t, after, gone, a), storage.ErrShredded)

		// The escrow is a recipient still.
		require.NoError(t, func() error {
			last := vaultFor(t, b, newIdentity(t), escrow)
			_, err := last.Recover(t.Context(), escrow)
			require.NoError(t, err)
			return checks(t, last, burglary, a)
		}())
	})
}

// Somebody who can write to the bucket makes a file of keys for the escrow, with
// keys that he knows: it is not taken for the incident's.
func TestRecoverFindsPlantedKeys(t *testing.T) {
	b, lost, escrow := openFolder(t, t.TempDir()), newIdentity(t), newIdentity(t)
	elsewhere := openFolder(t, t.TempDir())
	data, a := bytesOf(1000, 1)
	take(t, vaultFor(t, b, lost, escrow), burglary, data, a)
	take(t, vaultFor(t, elsewhere, newIdentity(t), escrow), burglary, data, a)
	planted := buckettest.Get(t, elsewhere, "v1/"+string(burglary)+"/k/1", "")
	_, err := b.Put(t.Context(), "v1/"+string(burglary)+"/k/2", planted)
	require.NoError(t, err)
	require.NoError(t, checks(t, vaultFor(t, b, lost, escrow), burglary, a), "it has no tag of the service")

	after := vaultFor(t, b, newIdentity(t), escrow)
	_, err = after.Recover(t.Context(), escrow)
	require.ErrorIs(t, err, storage.ErrDamaged)
	require.NoError(t, b.Delete(t.Context(), "v1/"+string(burglary)+"/k/2", ""))
	_, err = after.Recover(t.Context(), escrow)
	require.NoError(t, err)
	require.NoError(t, checks(t, after, burglary, a))
}

func TestShred(t *testing.T) {
	everywhere(t, func(t *testing.T, b storage.Bucket) {
		id := newIdentity(t)
		v := newVault(t, b, id)
		data, a := bytesOf(chunk+5, 1)
		chunks := take(t, v, burglary, data, a)
		take(t, v, fraud, data, a)
		secret := keyFiles(t, b, burglary)[0]
		require.ErrorContains(t, v.Shred(t.Context(), "i-"), "identifier")
		for range 2 {
			require.NoError(t, v.Shred(t.Context(), burglary))
			files := keyFiles(t, b, burglary)
			require.Len(t, files, 1)
			require.NotEqual(t, secret, files[0])
			require.EqualValues(t, 32, files[0].Size, "no keys in it")
		}
		for _, v := range []*storage.Vault{v, newVault(t, b, id)} {
			_, err := read(t.Context(), v, burglary, a, guard.Range{Length: a.Size})
			require.ErrorIs(t, err, storage.ErrShredded)
			require.NotErrorIs(t, err, storage.ErrDamaged)
			require.ErrorIs(t, checks(t, v, burglary, a), storage.ErrShredded)
			_, err = v.PutChunk(t.Context(), burglary, bytes.NewReader(data[chunk:]), custody.ChunkDigest(data[chunk:]))
			require.ErrorIs(t, err, storage.ErrShredded)
			require.ErrorIs(t, v.Seal(t.Context(), burglary, all(chunks), a.Size, a.Root, time.Time{}), storage.ErrShredded)
			require.ErrorIs(t, dispose(t, v, burglary, a.Root, a.Size, keep(storage.Kept{})), storage.ErrShredded)
			require.NoError(t, checks(t, v, fraud, a), "another incident")
		}
		require.Len(t, sizes(t, b, burglary), 2, "objects stay")
	})
}

// Somebody else's word that keys were destroyed is damage.
func TestShreddedByNobody(t *testing.T) {
	dir, id := t.TempDir(), newIdentity(t)
	b := openFolder(t, dir)
	data, a := bytesOf(1000, 1)
	take(t, newVault(t, b, id), burglary, data, a)
	keys := filepath.Join(dir, "v1", string(burglary), "k", "1")
	rewrite(t, keys, func(b []byte) []byte { return b[:32] })
	require.ErrorIs(t, checks(t, newVault(t, b, id), burglary, a), storage.ErrDamaged)
	require.NoError(t, os.Remove(keys))
	require.ErrorIs(t, checks(t, newVault(t, b, id), burglary, a), storage.ErrDamaged)
}

// On a server with versions, keys that were hidden or written over are destroyed
// too.
func TestShredWhatIsHidden(t *testing.T) {
	server := buckettest.StartMinIO(t)
	c := server.NewBucket(t)
	b, id := openS3(t, c), newIdentity(t)
	v := newVault(t, b, id)
	data, a := bytesOf(1000, 1)
	for _, hide := range []func(key string){
		func(key string) { server.Hide(t, c.Bucket, key) },
		func(key string) { server.Replace(t, c.Bucket, key, []byte("forged")) },
	} {
		incident := custody.NewIncidentID(custody.Hash([]byte(time.Now().String())))
		take(t, v, incident, data, a)
		hide(keyFiles(t, b, incident)[0].Key)
		require.ErrorIs(t, checks(t, newVault(t, b, id), incident, a), storage.ErrDamaged)
		require.NoError(t, v.Shred(t.Context(), incident))
		files := keyFiles(t, b, incident)
		require.Len(t, files, 1)
		require.EqualValues(t, 32, files[0].Size)
		require.ErrorIs(t, checks(t, newVault(t, b, id), incident, a), storage.ErrShredded)
	}
}

// Each of them is broken at every call, before and after its effect, and power is
// lost at that moment: the keys are there under one of the identities, or were
// destroyed as asked for, and a second try completes it.
func TestKeysBrokenAtEveryStep(t *testing.T) {
	old, next, escrow := newIdentity(t), newIdentity(t), newIdentity(t)
	data, a := bytesOf(1000, 1)
	opens := func(b storage.Bucket) bool {
		return checks(t, vaultFor(t, b, old, escrow), burglary, a) == nil || checks(t, vaultFor(t, b, next, escrow), burglary, a) == nil
	}
	for name, c := range map[string]struct {
		do   func(storage.Bucket) error
		done func(storage.Bucket) error // what is so once it is done
		want error
		kept bool
	}{
		"rewrap": {
			func(b storage.Bucket) error {
				_, err := vaultFor(t, b, next, escrow).Rewrap(t.Context(), old)
				return err
			},
			func(b storage.Bucket) error { return checks(t, vaultFor(t, b, next, escrow), burglary, a) }, nil, true},
		"recover": {
			func(b storage.Bucket) error {
				_, err := vaultFor(t, b, next, escrow).Recover(t.Context(), escrow)
				return err
			},
			func(b storage.Bucket) error { return checks(t, vaultFor(t, b, next, escrow), burglary, a) }, nil, true},
		"shred": {
			func(b storage.Bucket) error { return vaultFor(t, b, old, escrow).Shred(t.Context(), burglary) },
			func(b storage.Bucket) error { return checks(t, vaultFor(t, b, old, escrow), burglary, a) }, storage.ErrShredded, false},
	} {
		for _, before := range []bool{true, false} {
			for at := 1; ; at++ {
				store := newVolatile()
				take(t, vaultFor(t, store, old, escrow), burglary, data, a)
				broken := &faulty{Bucket: store, at: at, before: before}
				err := c.do(broken)
				store.powerLoss(nil)
				require.Equal(t, broken.calls < at, err == nil, "%s %d: %v", name, at, err)
				if c.kept {
					require.True(t, opens(store), "%s %d: the keys are lost", name, at)
				} else if !opens(store) {
					require.ErrorIs(t, c.done(store), storage.ErrShredded, "%s %d: lost, not destroyed", name, at)
				}
				require.NoError(t, c.do(store), "%s %d: a second try", name, at)
				require.ErrorIs(t, c.done(store), c.want)
				require.Len(t, keyFiles(t, store, burglary), 1)
				if broken.calls < at {
					require.Greater(t, at, 5)
					break
				}
			}
		}
	}
}

// TestKeysThatAreLost: that an incident's keys are missing or do not open is
// found by a check, also of a vault that remembers them, and told from damage of
// what they encrypt; when they are back, so is everything.
func TestKeysThatAreLost(t *testing.T) {
	dir, id := t.TempDir(), newIdentity(t)
	b := openFolder(t, dir)
	data, a := bytesOf(1000, 1)
	v := newVault(t, b, id)
	take(t, v, burglary, data, a)
	file, aside := filepath.Join(dir, "v1", string(burglary), "k", "1"), filepath.Join(t.TempDir(), "aside")
	require.NoError(t, os.Rename(file, aside))
	for name, w := range map[string]*storage.Vault{"remembers": v, "does not": newVault(t, b, id)} {
		err := checks(t, w, burglary, a)
		require.ErrorIs(t, err, storage.ErrKeysLost, name)
		require.ErrorIs(t, err, storage.ErrDamaged, name)
		d := new(storage.DamageError)
		require.ErrorAs(t, err, &d, name)
		require.ErrorIs(t, d.Reason, storage.ErrNotFound, name)
	}
	err := dispose(t, newVault(t, b, id), burglary, a.Root, a.Size, keep(storage.Kept{}))
	require.ErrorIs(t, err, storage.ErrDamaged, "nothing is destroyed when nobody knows what it is called")

	require.NoError(t, os.Rename(aside, file))
	require.NoError(t, checks(t, v, burglary, a))
	var whole []byte
	rewrite(t, file, func(b []byte) []byte {
		whole = bytes.Clone(b)
		b[len(b)-1] ^= 1
		return b
	})
	err = checks(t, v, burglary, a)
	require.ErrorIs(t, err, storage.ErrKeysLost)
	require.NotErrorIs(t, err, storage.ErrNotFound)
	rewrite(t, file, func([]byte) []byte { return whole })
	require.NoError(t, checks(t, v, burglary, a))

	require.NoError(t, filepath.WalkDir(filepath.Join(dir, "v1", string(burglary), "c"), func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			err = os.Remove(path)
		}
		return err
	}))
	err = checks(t, v, burglary, a)
	require.ErrorIs(t, err, storage.ErrDamaged)
	require.NotErrorIs(t, err, storage.ErrKeysLost, "what is missing is what they encrypt")
}

// TestRecognize: an identity that opens none of the keys that are there is a
// wrong one; one that opens any, or finds none, is not.
func TestRecognize(t *testing.T) {
	everywhere(t, func(t *testing.T, b storage.Bucket) {
		id, data := newIdentity(t), []byte("found at the scene")
		tree := custody.NewTreeHash(nil)
		_, _ = tree.Write(data) // fails only after Finish
		a := tree.Finish()
		v := newVault(t, b, id)
		require.NoError(t, v.Recognize(t.Context()), "of nothing")
		take(t, v, burglary, data, a)
		require.NoError(t, newVault(t, b, id).Recognize(t.Context()))
		other := newVault(t, b, newIdentity(t))
		require.ErrorIs(t, other.Recognize(t.Context()), storage.ErrWrongIdentity)
		second := custody.NewIncidentID(custody.Hash([]byte("another")))
		take(t, other, second, data, a)
		require.NoError(t, other.Recognize(t.Context()), "one is its own")
		require.NoError(t, v.Shred(t.Context(), burglary))
		require.NoError(t, newVault(t, b, id).Recognize(t.Context()), "it destroyed them itself")
		require.ErrorIs(t, newVault(t, b, newIdentity(t)).Recognize(t.Context()), storage.ErrWrongIdentity)
	})
}
