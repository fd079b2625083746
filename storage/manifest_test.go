package storage_test

import (
	"bytes"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/buckettest"
)

// sparse is an artifact of zeros but for some chunks.
type sparse struct {
	size   uint64
	chunks map[uint64][]byte
}

// takeSparse takes it in and seals it.
func takeSparse(t *testing.T, v *storage.Vault, s sparse) (custody.Artifact, iter.Seq2[storage.Chunk, error]) {
	t.Helper()
	put := map[uint64]storage.Chunk{}
	for i, b := range s.chunks {
		c, err := v.PutChunk(t.Context(), burglary, bytes.NewReader(b), custody.ChunkDigest(b))
		require.NoError(t, err)
		put[i] = c
	}
	list := func(yield func(storage.Chunk, error) bool) {
		for i := range custody.ChunkCount(s.size) {
			c, there := put[i]
			if !there {
				length := min(chunk, s.size-i*chunk)
				c = storage.Chunk{Digest: custody.ZeroChunk(length), Length: uint32(length)}
			}
			if !yield(c, nil) {
				return
			}
		}
	}
	var root custody.RootHash
	for c := range list {
		root.Add(c.Digest)
	}
	a := custody.Artifact{Root: root.Root(), Size: s.size, ChunkSize: chunk}
	require.NoError(t, v.Seal(t.Context(), burglary, list, a.Size, a.Root, time.Time{}))
	return a, list
}

func (s sparse) bytes(r guard.Range) []byte {
	b := make([]byte, r.Length)
	for i, c := range s.chunks {
		for n := range c {
			if at := i*chunk + uint64(n); at >= r.Offset && at < r.Offset+r.Length {
				b[at-r.Offset] = c[n]
			}
		}
	}
	return b
}

const pageOf = 4096 * chunk // bytes that one page describes

func TestManyPages(t *testing.T) {
	dir, id := t.TempDir(), newIdentity(t)
	bucket := openFolder(t, dir)
	v := newVault(t, bucket, id)
	s := sparse{2*pageOf + 100, map[uint64][]byte{
		4095: buckettest.Bytes(chunk, 1), 4096: buckettest.Bytes(chunk, 2), 8192: buckettest.Bytes(100, 3),
	}}
	a, list := takeSparse(t, v, s)
	require.Len(t, buckettest.List(t, bucket, "v1/"+string(burglary)+"/p/"), 3)
	for _, r := range []guard.Range{
		{}, {Length: 10}, {Offset: pageOf - 2*chunk, Length: 4 * chunk}, {Offset: pageOf - 1, Length: 2},
		{Offset: pageOf, Length: 1}, {Offset: 2*pageOf - 5, Length: 105}, {Offset: 2 * pageOf, Length: 100},
	} {
		got, err := read(t.Context(), v, burglary, a, r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(s.bytes(r), got), "%v", r)
	}
	require.NoError(t, v.Seal(t.Context(), burglary, list, a.Size, a.Root, time.Time{}), "again")

	// One page damaged: what the others describe can be had.
	places := secretsOf(t, dir, id, burglary).pages(t, dir, a)
	require.Len(t, places, 3)
	name := filepath.Join(dir, places[1].key)
	for _, other := range []string{"", filepath.Join(dir, places[0].key), filepath.Join(dir, places[2].key)} {
		t.Run(filepath.Base(other), func(t *testing.T) {
			whole, err := os.ReadFile(name)
			require.NoError(t, err)
			rewrite(t, name, func(b []byte) []byte {
				if other == "" {
					return b[1:]
				}
				b, err := os.ReadFile(other)
				require.NoError(t, err)
				return b
			})
			defer rewrite(t, name, func([]byte) []byte { return whole })
			r := guard.Range{Offset: pageOf - 10, Length: 20}
			got, err := read(t.Context(), v, burglary, a, r)
			require.Equal(t, s.bytes(r)[:10], got)
			var d *storage.DamageError
			require.ErrorAs(t, err, &d)
			require.Equal(t, guard.Range{Offset: pageOf, Length: pageOf}, d.Range)
			r = guard.Range{Offset: 2 * pageOf, Length: 100}
			got, err = read(t.Context(), v, burglary, a, r)
			require.NoError(t, err)
			require.Equal(t, s.bytes(r), got)

			require.NoError(t, v.Seal(t.Context(), burglary, list, a.Size, a.Root, time.Time{}), "with the chunks the page can be made again")
			r = guard.Range{Offset: pageOf - 10, Length: 20}
			got, err = read(t.Context(), v, burglary, a, r)
			require.NoError(t, err)
			require.Equal(t, s.bytes(r), got)
		})
	}

	// A chunk of the second page is not there: neither sealed nor called sealed.
	require.NoError(t, os.Remove(filepath.Join(dir, chunkFile(t, dir, id, burglary, storage.Chunk{
		Digest: custody.ChunkDigest(s.chunks[4096]), Length: chunk,
	}))))
	require.ErrorIs(t, v.Seal(t.Context(), burglary, list, a.Size, a.Root, time.Time{}), storage.ErrNotFound)
	require.NoError(t, os.Remove(filepath.Join(dir, manifestFile(t, dir, id, burglary, a))))
	require.ErrorIs(t, v.Seal(t.Context(), burglary, list, a.Size, a.Root, time.Time{}), storage.ErrNotFound)
	require.Empty(t, buckettest.List(t, bucket, "v1/"+string(burglary)+"/m/"))
}

// What takes room for a disk of 1 TiB that is empty but for two sectors.
func TestALargeSparseArtifact(t *testing.T) {
	bucket := openFolder(t, t.TempDir())
	v := newVault(t, bucket, newIdentity(t))
	s := sparse{1 << 40, map[uint64][]byte{0: text(chunk, 1), 1<<17 - 1: text(chunk, 2)}}
	a, _ := takeSparse(t, v, s)
	var stored int64
	for key, size := range buckettest.List(t, bucket, "") {
		stored += size
		if !strings.Contains(key, "/c/") {
			require.Less(t, size, int64(200<<10), key)
		}
	}
	require.Less(t, stored, int64(12<<20))
	r := guard.Range{Offset: 1<<40 - 2*chunk, Length: 2 * chunk}
	got, err := read(t.Context(), v, burglary, a, r)
	require.NoError(t, err)
	require.True(t, bytes.Equal(s.bytes(r), got))
}

// The list of chunks is gone through twice. It must be the same, and its own
// errors are not the artifact's.
func TestSealOfAnUnsteadyList(t *testing.T) {
	bucket := openFolder(t, t.TempDir())
	v := newVault(t, bucket, newIdentity(t))
	b, a := bytesOf(chunk+5, 1)
	chunks, err := putAll(t.Context(), v, burglary, b)
	require.NoError(t, err)
	broken := errors.New("the rows cannot be had")
	for name, c := range map[string]struct {
		second func(yield func(storage.Chunk, error) bool)
		want   error
	}{
		"fails":   {func(yield func(storage.Chunk, error) bool) { yield(storage.Chunk{}, broken) }, broken},
		"shorter": {func(yield func(storage.Chunk, error) bool) { yield(chunks[0], nil) }, storage.ErrMismatch},
		"none":    {func(func(storage.Chunk, error) bool) {}, storage.ErrMismatch},
		"other": {func(yield func(storage.Chunk, error) bool) {
			_ = yield(storage.Chunk{Digest: custody.ZeroChunk(chunk), Length: chunk}, nil) && yield(chunks[1], nil)
		}, storage.ErrMismatch},
		"longer": {func(yield func(storage.Chunk, error) bool) {
			_ = yield(chunks[0], nil) && yield(chunks[1], nil) && yield(chunks[1], nil)
		}, storage.ErrMismatch},
	} {
		passes := 0
		err := v.Seal(t.Context(), burglary, func(yield func(storage.Chunk, error) bool) {
			if passes++; passes == 1 {
				all(chunks)(yield)
				return
			}
			c.second(yield)
		}, a.Size, a.Root, time.Time{})
		require.ErrorIs(t, err, c.want, name)
		require.Equal(t, 2, passes)
	}
	require.Empty(t, buckettest.List(t, bucket, "v1/"+string(burglary)+"/m/"))
	err = v.Seal(t.Context(), burglary, func(yield func(storage.Chunk, error) bool) { yield(storage.Chunk{}, broken) }, a.Size, a.Root, time.Time{})
	require.ErrorIs(t, err, broken)
	require.NotErrorIs(t, err, storage.ErrMismatch)
	versioned := []storage.Chunk{{Digest: custody.ZeroChunk(9), Length: 9, Version: "v"}}
	require.ErrorIs(t, v.Seal(t.Context(), burglary, all(versioned), 9, custody.ZeroChunk(9), time.Time{}), storage.ErrMismatch)
}

// Two artifacts that begin alike share pages. What is left of one when the other
// goes is whole.
func TestSharedPages(t *testing.T) {
	bucket := openFolder(t, t.TempDir())
	v := newVault(t, bucket, newIdentity(t))
	one := sparse{pageOf + 100, map[uint64][]byte{5: buckettest.Bytes(chunk, 1), 4096: buckettest.Bytes(100, 2)}}
	two := sparse{pageOf + 100, map[uint64][]byte{5: buckettest.Bytes(chunk, 1), 4096: buckettest.Bytes(100, 3)}}
	a, _ := takeSparse(t, v, one)
	b, _ := takeSparse(t, v, two)
	pages := func() int { return len(buckettest.List(t, bucket, "v1/"+string(burglary)+"/p/")) }
	require.Equal(t, 3, pages())
	require.NoError(t, dispose(t, v, burglary, a.Root, a.Size, keep(storage.Kept{Artifacts: []custody.Artifact{b}})))
	require.Equal(t, 2, pages())
	for _, r := range []guard.Range{{Offset: 5 * chunk, Length: chunk}, {Offset: pageOf, Length: 100}} {
		got, err := read(t.Context(), v, burglary, b, r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(two.bytes(r), got))
	}
	require.NoError(t, dispose(t, v, burglary, b.Root, b.Size, keep(storage.Kept{})))
	require.Len(t, buckettest.List(t, bucket, ""), 1, "the keys")
}
