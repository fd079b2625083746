package sql_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/storage/sql"
)

func newUpload() sql.Upload {
	return sql.Upload{
		Evidence: custody.NewEvidenceID(random[custody.Digest]()), Incident: custody.NewIncidentID(random[custody.Digest]()),
		Principal: custody.NewPrincipalID(random[custody.Digest]()), AtMost: 1 << 44,
		Begun: time.Date(2026, 11, 23, 20, 0, 0, 654321000, time.UTC),
	}
}

// TestLeftovers: what came and did not stay part of an upload is known until the
// upload is forgotten.
func TestLeftovers(t *testing.T) {
	s, ctx, u := openAt(t, filepath.Join(t.TempDir(), "records.db"), sql.Options{}), t.Context(), newUpload()
	require.NoError(t, s.AddUpload(ctx, u))
	chunk := func(n uint64, what string) sql.Chunk {
		return sql.Chunk{Index: n, Digest: custody.Hash([]byte(what)), Length: n + 1, Version: what}
	}
	left := func() (is []string) {
		after := sql.Chunk{}
		for {
			list, err := s.Leftovers(ctx, u.Evidence, after, 1)
			require.NoError(t, err)
			if len(list) == 0 {
				return is
			}
			after = list[0]
			is = append(is, after.Version)
		}
	}
	require.NoError(t, s.AddChunks(ctx, u.Evidence, chunk(0, "a"), chunk(1, "b"), chunk(2, "c"), chunk(3, "d"), chunk(4, "e")))
	require.NoError(t, s.AddChunks(ctx, u.Evidence, chunk(0, "a")))
	require.Empty(t, left(), "the same again")
	require.NoError(t, s.AddChunks(ctx, u.Evidence, chunk(0, "other"), chunk(0, "another")))
	require.ElementsMatch(t, []string{"a", "other"}, left(), "replaced")
	require.NoError(t, s.CutChunks(ctx, u.Evidence, 3))
	require.ElementsMatch(t, []string{"a", "other", "d", "e"}, left(), "cut")
	require.NoError(t, s.LoseChunks(ctx, u.Evidence, chunk(1, "b")))
	require.ElementsMatch(t, []string{"a", "other", "d", "e", "b"}, left(), "lost")
	list, err := s.Chunks(ctx, u.Evidence, 0, 10)
	require.NoError(t, err)
	require.Equal(t, []sql.Chunk{chunk(0, "another"), chunk(2, "c")}, list)
	require.NoError(t, s.RemoveUpload(ctx, u.Evidence))
	require.Empty(t, left())
}

func TestUploadsLife(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.db")
	s, ctx, u := openAt(t, path, sql.Options{}), t.Context(), newUpload()
	_, err := s.Upload(ctx, u.Evidence)
	require.ErrorIs(t, err, custody.ErrUnknown)
	require.ErrorIs(t, s.AddChunks(ctx, u.Evidence, sql.Chunk{Index: 0, Digest: custody.Hash(nil), Length: 1, Version: ""}), custody.ErrUnknown)
	require.ErrorIs(t, s.SealUpload(ctx, u.Evidence), custody.ErrUnknown)

	require.NoError(t, s.AddUpload(ctx, u))
	later := u
	later.Begun = u.Begun.Add(time.Hour)
	require.NoError(t, s.AddUpload(ctx, later))
	got, err := s.Upload(ctx, u.Evidence)
	require.NoError(t, err)
	require.Equal(t, u, got, "the first stays")
	later.Incident = custody.NewIncidentID(custody.Hash(nil))
	require.ErrorIs(t, s.AddUpload(ctx, later), guard.ErrDuplicate)

	chunk := func(n uint64) sql.Chunk {
		return sql.Chunk{Index: n, Digest: custody.Hash([]byte{byte(n)}), Length: 8<<20 - n, Version: "2026-11-23T20:00:00Z"}
	}
	var want []sql.Chunk
	for _, n := range []uint64{3, 0, 2, 1, 7} {
		c := chunk(n)
		require.NoError(t, s.AddChunks(ctx, u.Evidence, sql.Chunk{Index: c.Index, Digest: c.Digest, Length: c.Length, Version: c.Version}))
	}
	for _, n := range []uint64{0, 1, 2, 3, 7} {
		want = append(want, chunk(n))
	}
	want[2] = sql.Chunk{Index: 2, Digest: custody.Hash([]byte("sent again")), Length: 5}
	require.NoError(t, s.AddChunks(ctx, u.Evidence, sql.Chunk{Index: 2, Digest: want[2].Digest, Length: 5, Version: ""}))
	for _, c := range []struct {
		from     uint64
		limit    int
		expected []sql.Chunk
	}{{0, 10, want}, {0, 2, want[:2]}, {2, 2, want[2:4]}, {4, 10, want[4:]}, {8, 10, nil}, {math.MaxUint64, 1, nil}, {0, 0, nil}} {
		list, err := s.Chunks(ctx, u.Evidence, c.from, c.limit)
		require.NoError(t, err)
		require.Equal(t, c.expected, list)
	}

	require.NoError(t, s.SealUpload(ctx, u.Evidence))
	require.NoError(t, s.SealUpload(ctx, u.Evidence))
	require.ErrorIs(t, s.AddChunks(ctx, u.Evidence, sql.Chunk{Index: 2, Digest: custody.Hash(nil), Length: 1, Version: ""}), sql.ErrSealed)
	require.NoError(t, s.AddUpload(ctx, u))
	list, err := s.Chunks(ctx, u.Evidence, 0, 10)
	require.NoError(t, err)
	require.Equal(t, want, list)

	open := newUpload()
	require.NoError(t, s.AddUpload(ctx, open))
	require.NoError(t, s.AddChunks(ctx, open.Evidence, sql.Chunk{Index: 0, Digest: custody.Hash(nil), Length: 1, Version: ""}))
	require.NoError(t, s.Close())
	s = openAt(t, path, sql.Options{})
	u.Sealed = true
	sealed, err := s.SealedUploads(ctx)
	require.NoError(t, err)
	require.Equal(t, []sql.Upload{u}, sealed)

	// Another item of the incident finds what the sealed one has, and its own.
	third := newUpload()
	third.Incident = u.Incident
	require.NoError(t, s.AddUpload(ctx, third))
	holders := func(i custody.IncidentID, digest custody.Digest) []sql.Holder {
		list, err := s.Holders(ctx, i, third.Evidence, digest)
		require.NoError(t, err)
		return list
	}
	held := chunk(3)
	held.Index = 0
	require.Equal(t, []sql.Holder{{Evidence: u.Evidence, Chunk: held}}, holders(u.Incident, held.Digest))
	require.Empty(t, holders(open.Incident, held.Digest), "of another incident")
	require.Empty(t, holders(open.Incident, custody.Hash(nil)), "of an item that is not sealed")
	require.NoError(t, s.AddChunks(ctx, third.Evidence, chunk(3), chunk(5)))
	require.Len(t, holders(u.Incident, held.Digest), 2)
	require.Len(t, holders(u.Incident, chunk(5).Digest), 1, "its own")
	any, err := s.AnyHeld(ctx, u.Incident, third.Evidence)
	require.NoError(t, err)
	require.True(t, any)
	any, err = s.AnyHeld(ctx, open.Incident, custody.NewEvidenceID(custody.Hash(nil)))
	require.NoError(t, err)
	require.False(t, any)

	require.NoError(t, s.CheckUpload(ctx, u.Evidence))
	sealed, err = s.SealedUploads(ctx)
	require.NoError(t, err)
	require.Empty(t, sealed)
	require.Len(t, holders(u.Incident, held.Digest), 2, "a check changes nothing else")

	require.NoError(t, s.RemoveUpload(ctx, u.Evidence))
	require.NoError(t, s.RemoveUpload(ctx, u.Evidence))
	_, err = s.Upload(ctx, u.Evidence)
	require.ErrorIs(t, err, custody.ErrUnknown)
	list, err = s.Chunks(ctx, u.Evidence, 0, 10)
	require.NoError(t, err)
	require.Empty(t, list)
	list, err = s.Chunks(ctx, open.Evidence, 0, 10)
	require.NoError(t, err)
	require.Len(t, list, 1, "of another item")
}

// TestChunksAndSealAtOnce: what was acknowledged before the seal is there, and
// nothing else is.
func TestChunksAndSealAtOnce(t *testing.T) {
	s, u := openNew(t), newUpload()
	require.NoError(t, s.AddUpload(t.Context(), u))
	const chunks = 64
	taken := make([]error, chunks)
	var all sync.WaitGroup
	for n := range chunks {
		all.Go(func() {
			if n == chunks/2 {
				if err := s.SealUpload(context.WithoutCancel(t.Context()), u.Evidence); err != nil {
					taken[n] = err
					return
				}
			}
			taken[n] = s.AddChunks(t.Context(), u.Evidence, sql.Chunk{Index: uint64(n), Digest: custody.Hash([]byte{byte(n)}), Length: 1})
		})
	}
	all.Wait()
	list, err := s.Chunks(t.Context(), u.Evidence, 0, chunks)
	require.NoError(t, err)
	there := map[uint64]bool{}
	for _, c := range list {
		there[c.Index] = true
	}
	for n, err := range taken {
		require.Equal(t, err == nil, there[uint64(n)], "chunk %d: %v", n, err)
		require.True(t, err == nil || errors.Is(err, sql.ErrSealed), "%v", err)
	}
	require.False(t, there[chunks/2], "it came after the seal")
}

// TestCutChunks forgets the end of an upload, unless it is sealed.
func TestCutChunks(t *testing.T) {
	s, ctx, u := openAt(t, filepath.Join(t.TempDir(), "records.db"), sql.Options{}), t.Context(), newUpload()
	require.NoError(t, s.CutChunks(ctx, u.Evidence, 0), "nothing to forget")
	require.NoError(t, s.AddUpload(ctx, u))
	other := newUpload()
	require.NoError(t, s.AddUpload(ctx, other))
	for n := range uint64(4) {
		c := sql.Chunk{Index: n, Digest: custody.Hash([]byte{byte(n)}), Length: 1}
		require.NoError(t, s.AddChunks(ctx, u.Evidence, c))
		require.NoError(t, s.AddChunks(ctx, other.Evidence, c))
	}
	count := func(e custody.EvidenceID) int {
		list, err := s.Chunks(ctx, e, 0, 10)
		require.NoError(t, err)
		return len(list)
	}
	require.NoError(t, s.CutChunks(ctx, u.Evidence, 2))
	require.Equal(t, 2, count(u.Evidence))
	require.Equal(t, 4, count(other.Evidence))
	require.NoError(t, s.SealUpload(ctx, u.Evidence))
	require.ErrorIs(t, s.CutChunks(ctx, u.Evidence, 0), sql.ErrSealed)
	require.Equal(t, 2, count(u.Evidence))
}
