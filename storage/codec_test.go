package storage_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/buckettest"
)

// text returns a log of size bytes that depends on seed only.
func text(size int, seed byte) []byte {
	var b bytes.Buffer
	for noise := buckettest.Bytes(size/8+8, seed); b.Len() < size; noise = noise[2:] {
		fmt.Fprintf(&b, "sshd[%d]: connection from 192.0.2.%d\n", noise[0], noise[1])
	}
	return b.Bytes()[:size]
}

func artifactOf(b []byte) custody.Artifact {
	h := custody.NewTreeHash(nil)
	_, _ = h.Write(b)
	return h.Finish()
}

func sizes(t *testing.T, b storage.Bucket, incident custody.IncidentID) (all []int64) {
	t.Helper()
	for _, size := range buckettest.List(t, b, "v1/"+string(incident)+"/c/") {
		all = append(all, size)
	}
	return all
}

func TestWhatCompresses(t *testing.T) {
	half := append(buckettest.Bytes(chunk/2, 5), text(chunk/2, 5)...)
	for name, c := range map[string]struct {
		plain  []byte
		within [2]int64 // sizes of the object
	}{
		"text":                       {text(chunk, 1), [2]int64{chunk / 20, chunk / 2}},
		"a short text":               {text(1000, 2), [2]int64{100, 700}},
		"noise":                      {buckettest.Bytes(chunk, 3), [2]int64{chunk + 44, chunk + 44}},
		"a little noise":             {buckettest.Bytes(1000, 4), [2]int64{1044, 1044}},
		"half a text":                {half, [2]int64{chunk / 2, chunk * 9 / 10}},
		"one byte":                   {[]byte{1}, [2]int64{45, 45}},
		"noise where nobody samples": {append(text(chunk/2+sampleSize, 6), buckettest.Bytes(chunk/2-sampleSize, 6)...), [2]int64{chunk / 2, chunk * 9 / 10}},
	} {
		t.Run(name, func(t *testing.T) {
			bucket := openFolder(t, t.TempDir())
			v := newVault(t, bucket, newIdentity(t))
			a := artifactOf(c.plain)
			take(t, v, burglary, c.plain, a)
			stored := sizes(t, bucket, burglary)
			require.Len(t, stored, 1)
			require.GreaterOrEqual(t, stored[0], c.within[0])
			require.LessOrEqual(t, stored[0], c.within[1])
			got, err := read(t.Context(), v, burglary, a, guard.Range{Length: a.Size})
			require.NoError(t, err)
			require.True(t, bytes.Equal(c.plain, got))
		})
	}
}

const sampleSize = 64 << 10

func TestZerosAreNotStored(t *testing.T) {
	bucket := openFolder(t, t.TempDir())
	v := newVault(t, bucket, newIdentity(t))
	b := make([]byte, 4*chunk+100)
	b[chunk+5] = 1
	a := artifactOf(b)
	chunks := take(t, v, burglary, b, a)
	require.Len(t, sizes(t, bucket, burglary), 1)
	for i, c := range chunks {
		require.Equal(t, i != 1, c.Zero(), i)
	}
	for _, r := range []guard.Range{{Length: a.Size}, {Offset: 3, Length: chunk}, {Offset: chunk + 4, Length: 3}, {Offset: 4*chunk + 50, Length: 50}} {
		got, err := read(t.Context(), v, burglary, a, r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(b[r.Offset:r.Offset+r.Length], got), "%v", r)
	}
	measured, err := v.Check(t.Context(), burglary, a.Root, a.Size)
	require.NoError(t, err)
	require.Equal(t, a, measured)

	// Zeros are zeros under their digest only.
	_, err = v.PutChunk(t.Context(), burglary, bytes.NewReader(make([]byte, 100)), custody.ZeroChunk(101))
	require.ErrorIs(t, err, storage.ErrMismatch)
	_, err = v.PutChunk(t.Context(), burglary, bytes.NewReader([]byte{1}), custody.ZeroChunk(1))
	require.ErrorIs(t, err, storage.ErrMismatch)
}

// Whoever has the keys can write an object that expands to more or less than it
// says, or to anything: nothing of it is believed.
func TestAuthenticButExpandsToSomethingElse(t *testing.T) {
	dir, id := t.TempDir(), newIdentity(t)
	v := newVault(t, openFolder(t, dir), id)
	b := text(chunk, 1)
	a := artifactOf(b)
	take(t, v, burglary, b, a)
	s := secretsOf(t, dir, id, burglary)
	p := s.chunk(custody.ChunkDigest(b), chunk)
	encoder, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	bomb := make([]byte, 1<<30)
	for name, c := range map[string]struct {
		length int
		body   []byte
	}{
		"a bomb":           {chunk, encoder.EncodeAll(bomb, nil)},
		"a byte more":      {chunk, encoder.EncodeAll(bomb[:chunk+1], nil)},
		"a byte less":      {chunk, encoder.EncodeAll(bomb[:chunk-1], nil)},
		"other bytes":      {chunk, encoder.EncodeAll(bomb[:chunk], nil)},
		"another length":   {chunk - 1, encoder.EncodeAll(b[:chunk-1], nil)},
		"no frame":         {chunk, []byte("no frame")},
		"nothing":          {chunk, nil},
		"a frame cut":      {chunk, encoder.EncodeAll(b, nil)[:1000]},
		"two frames":       {chunk, append(encoder.EncodeAll(b[:chunk/2], nil), encoder.EncodeAll(b, nil)...)},
		"more than a form": {chunk + 1, encoder.EncodeAll(bomb[:chunk+1], nil)},
	} {
		s.writeForm(t, dir, p, 1, c.length, c.body)
		require.ErrorIs(t, checkOf(t, v, a), storage.ErrDamaged, name)
	}
	s.writeForm(t, dir, p, 1, chunk, encoder.EncodeAll(b, nil))
	require.NoError(t, checkOf(t, v, a))
	s.writeForm(t, dir, p, 0, chunk, b)
	require.NoError(t, checkOf(t, v, a), "not compressed is as good")
}

// What is there under a chunk's name is read before it is used. What is not the
// chunk is put right by whoever brings it, and sealed by nobody before.
func TestWhatIsThereAlready(t *testing.T) {
	dir, id := t.TempDir(), newIdentity(t)
	bucket := openFolder(t, dir)
	v := newVault(t, bucket, id)
	b, a := bytesOf(100_000, 1)
	chunks, err := putAll(t.Context(), v, burglary, b)
	require.NoError(t, err)
	again, err := putAll(t.Context(), newVault(t, bucket, id), burglary, b)
	require.NoError(t, err)
	require.Equal(t, chunks, again)

	name := filepath.Join(dir, chunkFile(t, dir, id, burglary, chunks[0]))
	whole, err := os.ReadFile(name)
	require.NoError(t, err)
	for _, c := range [][]byte{nil, whole[:44], append(bytes.Clone(whole), 0)} {
		rewrite(t, name, func([]byte) []byte { return c })
		require.ErrorIs(t, v.Seal(t.Context(), burglary, all(chunks), a.Size, a.Root, time.Time{}), storage.ErrDamaged)
		_, err = putAll(t.Context(), v, burglary, b)
		require.NoError(t, err, "%d bytes", len(c))
	}
	rewrite(t, name, func([]byte) []byte { return whole[:1000] })
	_, err = putAll(t.Context(), v, burglary, b)
	require.NoError(t, err)
	require.NoError(t, v.Seal(t.Context(), burglary, all(chunks), a.Size, a.Root, time.Time{}))
	_, err = v.Check(t.Context(), burglary, a.Root, a.Size)
	require.NoError(t, err)
}
