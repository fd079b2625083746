package archive_test

import (
	"bytes"
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/archive"
	"github.com/forensic-custody/custody/storage/buckettest"
	"github.com/forensic-custody/custody/storage/file"
	"github.com/forensic-custody/custody/storage/s3"
	"github.com/forensic-custody/custody/storage/sql"
)

// log makes a log in which a team comes together and takes an item in, and
// returns its records in order.
func log(t *testing.T, seed byte) []archive.Record {
	t.Helper()
	rows, err := sql.Open(t.Context(), filepath.Join(t.TempDir(), "records.db"), sql.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	w, err := guardtest.New(t.Context(), guardtest.Setup{Seed: seed, Store: rows})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	s, err := w.Team(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Others(t.Context()))
	require.NoError(t, s.TakeIn(t.Context()))
	require.NoError(t, s.Retrieve(t.Context()))

	at := map[uint64]archive.Record{}
	streams := []custody.Stream{custody.PolicyStream}
	for n := 0; n < len(streams); n++ {
		list, err := rows.Records(t.Context(), streams[n], 0, 1000, true)
		require.NoError(t, err)
		for _, stored := range list {
			r, err := rows.ByPayload(t.Context(), stored.Payload)
			require.NoError(t, err)
			receipt, err := custody.ParseReceipt(r.Receipt)
			require.NoError(t, err)
			at[receipt.Index] = archive.Record{
				Stream: r.Stream, Sequence: r.Sequence, Leaf: r.Leaf, Payload: r.Payload, Opening: r.Opening, Bytes: r.Record, Opens: r.Opens,
			}
			for _, o := range r.Opens {
				if !slices.Contains(streams, o.Stream) {
					streams = append(streams, o.Stream)
				}
			}
		}
	}
	require.Greater(t, len(at), 12)
	var all []archive.Record
	for n := range uint64(len(at)) {
		all = append(all, at[n])
	}
	return all
}

func identity(t *testing.T) *age.X25519Identity {
	t.Helper()
	i, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return i
}

func given(t *testing.T, a *archive.Archive) (all []archive.Record, err error) {
	t.Helper()
	for r, err := range a.Records(t.Context()) {
		if err != nil {
			return all, err
		}
		if r.Published != nil {
			require.Equal(t, "checkpoint", string(r.Published))
			r.Published = nil
		}
		all = append(all, r)
	}
	return all, nil
}

// places are the kinds of bucket.
func places(t *testing.T) map[string]storage.Bucket {
	t.Helper()
	folder, err := file.Open(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, folder.Close()) })
	remote, err := s3.Open(buckettest.StartMinIO(t).NewBucket(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, remote.Close()) })
	return map[string]storage.Bucket{"folder": folder, "s3": remote}
}

func TestArchive(t *testing.T) {
	records := log(t, 1)
	for name, bucket := range places(t) {
		t.Run(name, func(t *testing.T) {
			own, escrow := identity(t), identity(t)
			a := &archive.Archive{Bucket: bucket, Identity: own, Recipients: []age.Recipient{own.Recipient(), escrow.Recipient()}, Now: time.Now}
			if name == "s3" {
				a.LockFor = time.Hour
			}
			t.Run("what is kept comes back, in order", func(t *testing.T) { keeps(t, a, records) })
			t.Run("another log finds no room", func(t *testing.T) {
				require.ErrorIs(t, a.Keep(t.Context(), 0, log(t, 2)[:4], nil), archive.ErrOther)
			})
			t.Run("whoever has the bucket reads nothing", func(t *testing.T) { disclosesNothing(t, bucket, records) })
			t.Run("the escrow reads it", func(t *testing.T) {
				by := *a
				by.Identity = escrow
				got, err := given(t, &by)
				require.NoError(t, err)
				require.Equal(t, records, got)
			})
			t.Run("an auditor is given it", func(t *testing.T) { discloses(t, a, records) })
			t.Run("what is erased is gone", func(t *testing.T) { erases(t, a, records) })
			t.Run("and he is not given that", func(t *testing.T) { discloses(t, a, records) })
			t.Run("another key", func(t *testing.T) { rewraps(t, a, records) })
			t.Run("stamps", func(t *testing.T) { stamps(t, a) })
			if name == "s3" {
				t.Run("locked", func(t *testing.T) { locks(t, bucket) })
			}
		})
	}
}

// keeps puts a log into the archive as a service does that is interrupted: a
// batch again, and a longer one from the same place on.
func keeps(t *testing.T, a *archive.Archive, records []archive.Record) {
	for _, span := range [][2]int{{0, 4}, {4, 6}, {4, 6}, {4, 9}, {9, len(records)}} {
		require.NoError(t, a.Keep(t.Context(), uint64(span[0]), records[span[0]:span[1]], []byte("checkpoint")))
	}
	got, err := given(t, a)
	require.NoError(t, err)
	require.Equal(t, records, got)
	place := 0
	for r, err := range a.Records(t.Context()) {
		require.NoError(t, err)
		require.Equal(t, place == 0 || place == 4 || place == 9, r.Published != nil, place)
		r.Published = nil
		require.Equal(t, records[place], r)
		at, err := a.At(t.Context(), uint64(place))
		require.NoError(t, err)
		at.Published = nil
		require.Equal(t, r, at)
		place++
	}
	_, err = a.At(t.Context(), uint64(place))
	require.ErrorIs(t, err, archive.ErrDamaged)
	for range a.Records(t.Context()) {
		break // leaves nothing behind that reads on
	}
}

// discloses gives the archive to an auditor, who can read it with his own key and
// not with the service's; what was erased he does not get.
func discloses(t *testing.T, a *archive.Archive, records []archive.Record) {
	folder, err := file.Open(t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, folder.Close()) }()
	auditor := identity(t)
	to := &archive.Archive{Bucket: folder, Recipients: []age.Recipient{auditor.Recipient()}}
	for range 2 {
		require.NoError(t, a.Disclose(t.Context(), to))
	}
	disclosesNothing(t, folder, records)
	got, err := given(t, &archive.Archive{Bucket: folder, Identity: auditor})
	require.NoError(t, err)
	want, err := given(t, a)
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, err = given(t, &archive.Archive{Bucket: folder, Identity: a.Identity})
	require.ErrorIs(t, err, archive.ErrDamaged)
}

func disclosesNothing(t *testing.T, bucket storage.Bucket, records []archive.Record) {
	var secrets [][]byte
	for _, r := range records {
		secrets = append(secrets, []byte(r.Stream), r.Opening[:], r.Bytes[:40])
		for _, o := range r.Opens {
			secrets = append(secrets, o.TagKey[:])
		}
	}
	for key := range buckettest.List(t, bucket, "") {
		b := buckettest.Get(t, bucket, key, "")
		for _, s := range secrets {
			require.False(t, bytes.Contains(b, s), "%s discloses %q", key, s)
		}
	}
}

func erases(t *testing.T, a *archive.Archive, records []archive.Record) {
	const place = 5 // stands in two segments
	for range 2 {
		require.NoError(t, a.Erase(t.Context(), place))
		got, err := given(t, a)
		require.NoError(t, err)
		want := slices.Clone(records)
		want[place].Opening, want[place].Bytes = custody.Opening{}, nil
		require.Equal(t, want, got)
		require.True(t, got[place].Erased())
	}
	for _, o := range buckettest.Versions(t, a.Bucket, "openings/") {
		require.False(t, o.Marker)
		require.NotContains(t, holders(t, a, o, records), place, "%s %s", o.Key, o.Version)
	}
	require.NoError(t, a.Erase(t.Context(), uint64(len(records))+7), "what is not there is not there")
}

// holders returns the places of the records whose openings an object has.
func holders(t *testing.T, a *archive.Archive, o storage.Object, records []archive.Record) (found []int) {
	r, err := age.Decrypt(bytes.NewReader(buckettest.Get(t, a.Bucket, o.Key, o.Version)), a.Identity)
	require.NoError(t, err)
	var plain bytes.Buffer
	_, err = plain.ReadFrom(r)
	require.NoError(t, err)
	for n, record := range records {
		if bytes.Contains(plain.Bytes(), record.Opening[:]) {
			found = append(found, n)
		}
	}
	require.NotEmpty(t, found)
	return found
}

func rewraps(t *testing.T, a *archive.Archive, records []archive.Record) {
	before, err := given(t, a)
	require.NoError(t, err)
	old, next := a.Identity, identity(t)
	a.Identity, a.Recipients = next, []age.Recipient{next.Recipient()}
	_, err = given(t, a)
	require.ErrorIs(t, err, archive.ErrDamaged)
	require.ErrorContains(t, err, "identity")
	for range 2 {
		require.NoError(t, a.Rewrap(t.Context(), old))
		got, err := given(t, a)
		require.NoError(t, err)
		require.Equal(t, before, got)
	}
	for _, o := range buckettest.Versions(t, a.Bucket, "openings/") {
		_, err := age.Decrypt(bytes.NewReader(buckettest.Get(t, a.Bucket, o.Key, o.Version)), old)
		require.Error(t, err, "the old key opens nothing any more")
	}
}

// locks: records cannot be removed, openings can.
func locks(t *testing.T, bucket storage.Bucket) {
	for prefix, want := range map[string]error{"records/": storage.ErrLocked, "stamps/": storage.ErrLocked, "openings/": nil} {
		all := buckettest.Versions(t, bucket, prefix)
		require.NotEmpty(t, all)
		for _, o := range all {
			require.ErrorIs(t, bucket.Delete(t.Context(), o.Key, o.Version), want, o.Key)
		}
	}
}

// backwards lists what a bucket has in the opposite order, each twice.
type backwards struct{ storage.Bucket }

func (b backwards) Versions(ctx context.Context, prefix string, yield func(storage.Object) error) error {
	var all []storage.Object
	if err := b.Bucket.Versions(ctx, prefix, func(o storage.Object) error { all = append(all, o, o); return nil }); err != nil {
		return err
	}
	for _, o := range slices.Backward(all) {
		if err := yield(o); err != nil {
			return err
		}
	}
	return nil
}

// stamps: what is kept comes back, the first of each authority and size, in the order of
// size, in whichever the bucket lists it; what is none is told apart.
func stamps(t *testing.T, a *archive.Archive) {
	at := func(size uint64) string {
		return custody.Checkpoint{Origin: "custody.example/test", Size: size, Root: custody.Hash(nil)}.String() + "\n— custody.example/test AAAAAAAA\n"
	}
	one := archive.Stamp{Authority: "one", Checkpoint: at(7), Kind: custody.ExternalAuthority, Token: []byte("a token")}
	two := archive.Stamp{Authority: "two", Checkpoint: at(7), Kind: custody.LocalAuthority, Token: []byte("another")}
	three := archive.Stamp{Authority: "one", Checkpoint: at(8), Kind: custody.ExternalAuthority, Token: []byte("a third")}
	late := one
	late.Token = []byte("later")
	for _, s := range []struct{ put, kept archive.Stamp }{{one, one}, {two, two}, {three, three}, {late, one}} {
		kept, err := a.KeepStamp(t.Context(), s.put)
		require.NoError(t, err)
		require.Equal(t, s.kept, kept)
	}
	_, err := a.KeepStamp(t.Context(), archive.Stamp{Authority: "one", Checkpoint: "none"})
	require.Error(t, err)
	stray := "stamps/0000000000000009-" + archive.StampName("one")
	_, err = a.Bucket.Put(t.Context(), stray, []byte("nothing"))
	require.NoError(t, err)
	misplaced, err := custody.Encode(one)
	require.NoError(t, err)
	_, err = a.Bucket.Put(t.Context(), "stamps/0000000000000010-"+archive.StampName("one"), misplaced)
	require.NoError(t, err)
	_, err = a.Bucket.Put(t.Context(), "stamps/7-one", []byte("not one of ours"))
	require.NoError(t, err)
	ofSeven := []archive.Stamp{one, two}
	slices.SortFunc(ofSeven, func(a, b archive.Stamp) int {
		return cmp.Compare(archive.StampName(a.Authority), archive.StampName(b.Authority))
	})
	for _, bucket := range []storage.Bucket{a.Bucket, backwards{a.Bucket}} {
		var got []archive.Stamp
		damaged := 0
		again := *a
		again.Bucket = bucket
		require.NoError(t, again.Stamps(t.Context(), func(s archive.Stamp, err error) error {
			if err != nil {
				require.ErrorIs(t, err, archive.ErrDamaged)
				damaged++
				return nil
			}
			got = append(got, s)
			return nil
		}))
		require.Equal(t, append(slices.Clone(ofSeven), three), got)
		require.Equal(t, 2, damaged)
	}
	for key := range buckettest.List(t, a.Bucket, "stamps/") {
		if !strings.Contains(key, "-"+archive.StampName("one")) && !strings.Contains(key, "-"+archive.StampName("two")) || key == stray || strings.Contains(key, "0010-") {
			for _, o := range buckettest.Versions(t, a.Bucket, key[:strings.LastIndexByte(key, '/')+1]) {
				if o.Key == key {
					require.NoError(t, a.Bucket.Delete(t.Context(), o.Key, o.Version))
				}
			}
		}
	}
}

// TestDamage changes each byte region of each object, removes each, and puts
// another over each: what comes back is what was kept, or ErrDamaged.
func TestDamage(t *testing.T) {
	records := log(t, 1)
	dir := t.TempDir()
	bucket, err := file.Open(dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, bucket.Close()) }()
	own := identity(t)
	a := &archive.Archive{Bucket: bucket, Identity: own, Recipients: []age.Recipient{own.Recipient()}, Now: time.Now}
	require.NoError(t, a.Keep(t.Context(), 0, records[:6], []byte("checkpoint")))
	require.NoError(t, a.Keep(t.Context(), 6, records[6:], []byte("checkpoint")))
	keys := []string{}
	for key := range buckettest.List(t, bucket, "") {
		keys = append(keys, key)
	}
	require.Len(t, keys, 4)
	slices.SortFunc(keys, cmp.Compare[string])
	last := func(key string) bool {
		return strings.Contains(key, "-"+key[len(key)-16:]) && strings.HasPrefix(filepath.Base(key), "0000000000000006")
	}
	for _, key := range keys {
		path := filepath.Join(dir, key)
		good := read(t, path)
		for at := 0; at < len(good); at += max(1, len(good)/97) {
			bad := bytes.Clone(good)
			bad[at] ^= 1
			write(t, path, bad)
			got, err := given(t, a)
			if err == nil { // the payload digest is the log's to compare, by its identity
				require.Equal(t, leaves(records), leaves(got), "%s, byte %d", key, at)
				continue
			}
			require.ErrorIs(t, err, archive.ErrDamaged, "%s, byte %d", key, at)
			require.Equal(t, records[:len(got):len(got)], append([]archive.Record{}, got...))
		}
		write(t, path, append(bytes.Clone(good), 0))
		_, err := given(t, a)
		require.ErrorIs(t, err, archive.ErrDamaged)
		remove(t, path)
		got, err := given(t, a)
		if last(key) && strings.HasPrefix(key, "records/") {
			require.NoError(t, err, "that the last are missing, nobody can tell from here")
		} else {
			require.ErrorIs(t, err, archive.ErrDamaged, key)
		}
		require.Equal(t, records[:len(got):len(got)], append([]archive.Record{}, got...))
		write(t, path, good)
	}
	got, err := given(t, a)
	require.NoError(t, err)
	require.Equal(t, records, got)
}

// TestShadowed: what somebody puts over an object of a bucket with versions, or
// hides it with, hides nothing.
func TestShadowed(t *testing.T) {
	records := log(t, 1)
	server := buckettest.StartMinIO(t)
	c := server.NewBucket(t)
	bucket, err := s3.Open(c)
	require.NoError(t, err)
	defer func() { require.NoError(t, bucket.Close()) }()
	own := identity(t)
	a := &archive.Archive{Bucket: bucket, Identity: own, Recipients: []age.Recipient{own.Recipient()}, Now: time.Now}
	require.NoError(t, a.Keep(t.Context(), 0, records, []byte("checkpoint")))
	for key := range buckettest.List(t, bucket, "") {
		server.Replace(t, c.Bucket, key, []byte("nothing"))
		got, err := given(t, a)
		require.NoError(t, err)
		require.Equal(t, records, got)
		server.Hide(t, c.Bucket, key)
		got, err = given(t, a)
		require.NoError(t, err)
		require.Equal(t, records, got)
	}
}

func leaves(records []archive.Record) (list []custody.Leaf) {
	for _, r := range records {
		list = append(list, r.Leaf)
	}
	return list
}
