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

func TestUploadsLife(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.db")
	s, ctx, u := openAt(t, path, sql.Options{}), t.Context(), newUpload()
	_, err := s.Upload(ctx, u.Evidence)
	require.ErrorIs(t, err, custody.ErrUnknown)
	require.ErrorIs(t, s.AddChunk(ctx, u.Evidence, 0, custody.Hash(nil), 1, ""), custody.ErrUnknown)
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
		require.NoError(t, s.AddChunk(ctx, u.Evidence, c.Index, c.Digest, c.Length, c.Version))
	}
	for _, n := range []uint64{0, 1, 2, 3, 7} {
		want = append(want, chunk(n))
	}
	want[2] = sql.Chunk{Index: 2, Digest: custody.Hash([]byte("sent again")), Length: 5}
	require.NoError(t, s.AddChunk(ctx, u.Evidence, 2, want[2].Digest, 5, ""))
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
	require.ErrorIs(t, s.AddChunk(ctx, u.Evidence, 2, custody.Hash(nil), 1, ""), sql.ErrSealed)
	require.NoError(t, s.AddUpload(ctx, u))
	list, err := s.Chunks(ctx, u.Evidence, 0, 10)
	require.NoError(t, err)
	require.Equal(t, want, list)

	open := newUpload()
	require.NoError(t, s.AddUpload(ctx, open))
	require.NoError(t, s.AddChunk(ctx, open.Evidence, 0, custody.Hash(nil), 1, ""))
	require.NoError(t, s.Close())
	s = openAt(t, path, sql.Options{})
	u.Sealed = true
	sealed, err := s.SealedUploads(ctx)
	require.NoError(t, err)
	require.Equal(t, []sql.Upload{u}, sealed)

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
			taken[n] = s.AddChunk(t.Context(), u.Evidence, uint64(n), custody.Hash([]byte{byte(n)}), 1, "")
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
