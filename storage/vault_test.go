package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/buckettest"
	"github.com/forensic-custody/custody/storage/file"
	"github.com/forensic-custody/custody/storage/s3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	burglary = custody.NewIncidentID(custody.Hash([]byte("burglary")))
	fraud    = custody.NewIncidentID(custody.Hash([]byte("fraud")))
)

const chunk = custody.ChunkSize

func newIdentity(t testing.TB) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return id
}

func newVault(t testing.TB, b storage.Bucket, id *age.X25519Identity) *storage.Vault {
	t.Helper()
	v := briefVault(t, b, id)
	t.Cleanup(func() { require.Zero(t, v.BuffersTaken(), "buffers were not given back") })
	return v
}

// briefVault is a vault whose memory is free once it is not used any more, for
// tests that make hundreds.
func briefVault(t testing.TB, b storage.Bucket, id *age.X25519Identity) *storage.Vault {
	t.Helper()
	v, err := storage.New(storage.Config{Bucket: b, Identity: id, Recipients: []age.Recipient{id.Recipient()}})
	require.NoError(t, err)
	return v
}

func openFolder(t testing.TB, dir string) *file.Bucket {
	t.Helper()
	b, err := file.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// bytesOf returns the bytes of an artifact and the artifact.
func bytesOf(size int, seed byte) ([]byte, custody.Artifact) {
	b := buckettest.Bytes(size, seed)
	h := custody.NewTreeHash(nil)
	_, _ = h.Write(b)
	return b, h.Finish()
}

func putAll(ctx context.Context, v *storage.Vault, incident custody.IncidentID, b []byte) ([]storage.Chunk, error) {
	var chunks []storage.Chunk
	for part := range slices.Chunk(b, chunk) {
		c, err := v.PutChunk(ctx, incident, bytes.NewReader(part), custody.ChunkDigest(part))
		if err != nil {
			return nil, err
		}
		chunks = append(chunks, c)
	}
	return chunks, nil
}

// all gives chunks one by one.
func all(chunks []storage.Chunk) iter.Seq2[storage.Chunk, error] {
	return func(yield func(storage.Chunk, error) bool) {
		for _, c := range chunks {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// take takes the bytes in and seals them.
func take(t testing.TB, v *storage.Vault, incident custody.IncidentID, b []byte, a custody.Artifact) []storage.Chunk {
	t.Helper()
	chunks, err := putAll(context.Background(), v, incident, b)
	require.NoError(t, err)
	require.NoError(t, v.Seal(context.Background(), incident, all(chunks), a.Size, a.Root, time.Time{}))
	return chunks
}

func anyone(guard.Range) error { return nil }

// read returns what a reader hands out before it ends or fails.
func read(ctx context.Context, v *storage.Vault, incident custody.IncidentID, a custody.Artifact, r guard.Range) ([]byte, error) {
	reader, err := v.OpenAs(ctx, incident, a, r, anyone)
	if err != nil {
		return nil, err
	}
	var got bytes.Buffer
	_, err = reader.WriteTo(&got)
	return got.Bytes(), errors.Join(err, reader.Close())
}

func testSizes(t *testing.T, v *storage.Vault) {
	for i, size := range []int{0, 1, custody.BlockSize, chunk - 1, chunk, chunk + 1, 3*chunk + 12345} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			b, a := bytesOf(size, byte(i))
			take(t, v, burglary, b, a)

			got, err := v.Check(t.Context(), burglary, a.Root, a.Size)
			require.NoError(t, err)
			require.Equal(t, a, got)

			n := uint64(size)
			for _, r := range []guard.Range{
				{Length: n}, {Offset: n / 2, Length: n - n/2}, {Offset: n}, {Offset: n / 3, Length: min(5, n-n/3)},
				{Offset: min(chunk-1, n), Length: min(2, n-min(chunk-1, n))},
				{Offset: min(chunk, n), Length: min(chunk, n-min(chunk, n))},
			} {
				want := b[r.Offset : r.Offset+r.Length]
				got, err := read(t.Context(), v, burglary, a, r)
				require.NoError(t, err)
				require.True(t, bytes.Equal(want, got), "%v", r)

				reader, err := v.OpenAs(t.Context(), burglary, a, r, anyone)
				require.NoError(t, err)
				got, err = io.ReadAll(struct{ io.Reader }{reader})
				require.NoError(t, err)
				require.NoError(t, reader.Close())
				require.True(t, bytes.Equal(want, got), "%v", r)
			}
			for _, r := range []guard.Range{{Length: n + 1}, {Offset: n + 1}, {Offset: n, Length: 1}, {Offset: 1, Length: 1<<64 - 1}} {
				_, err := read(t.Context(), v, burglary, a, r)
				require.ErrorContains(t, err, "it has")
			}
		})
	}
}

func TestWhatIsTakenInIsReadBack(t *testing.T) {
	t.Run("folder", func(t *testing.T) {
		testSizes(t, newVault(t, openFolder(t, t.TempDir()), newIdentity(t)))
	})
	t.Run("S3", func(t *testing.T) {
		testSizes(t, newVault(t, openS3(t, buckettest.StartMinIO(t).NewBucket(t)), newIdentity(t)))
	})
}

func openS3(t testing.TB, c s3.Config) *s3.Bucket {
	t.Helper()
	b, err := s3.Open(c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// Somebody who can write to the bucket puts other objects over the current
// ones. Chunks are read by the version that was sealed.
func TestWrittenOverOnS3(t *testing.T) {
	server := buckettest.StartMinIO(t)
	c := server.NewBucket(t)
	bucket, id := openS3(t, c), newIdentity(t)
	v := newVault(t, bucket, id)
	b, a := bytesOf(2*chunk+5, 1)
	chunks := take(t, v, burglary, b, a)
	for _, c := range chunks {
		require.NotEmpty(t, c.Version)
	}
	for key := range buckettest.List(t, bucket, "v1/"+string(burglary)+"/c/") {
		server.Replace(t, c.Bucket, key, []byte("forged"))
	}
	got, err := read(t.Context(), v, burglary, a, guard.Range{Length: a.Size})
	require.NoError(t, err)
	require.True(t, bytes.Equal(b, got))

	// Nobody builds on the forged ones: what is brought is put over them.
	again, err := putAll(t.Context(), v, burglary, b)
	require.NoError(t, err)
	for n, c := range again {
		require.NotEqual(t, chunks[n].Version, c.Version)
		_, err := v.Verify(t.Context(), burglary, c)
		require.NoError(t, err)
	}

	for key := range buckettest.List(t, bucket, "v1/"+string(burglary)+"/m/") {
		server.Replace(t, c.Bucket, key, []byte("forged"))
	}
	_, err = read(t.Context(), v, burglary, a, guard.Range{Length: a.Size})
	require.ErrorIs(t, err, storage.ErrDamaged)
}

// mutations of a file in the bucket's folder; other is a file of the same kind.
func mutations() map[string]func(t *testing.T, name, other string) {
	all := map[string]func(t *testing.T, name, other string){
		"removed":   func(t *testing.T, name, _ string) { require.NoError(t, os.Remove(name)) },
		"emptied":   func(t *testing.T, name, _ string) { rewrite(t, name, func([]byte) []byte { return nil }) },
		"truncated": func(t *testing.T, name, _ string) { rewrite(t, name, func(b []byte) []byte { return b[:len(b)-1] }) },
		"appended":  func(t *testing.T, name, _ string) { rewrite(t, name, func(b []byte) []byte { return append(b, 0) }) },
		"swapped": func(t *testing.T, name, other string) {
			require.NoError(t, os.Rename(name, name+"x"))
			require.NoError(t, os.Rename(other, name))
			require.NoError(t, os.Rename(name+"x", other))
		},
		"made a directory": func(t *testing.T, name, _ string) {
			require.NoError(t, os.Remove(name))
			require.NoError(t, os.Mkdir(name, 0o700))
		},
	}
	// Every byte of the header, then a selection of the ciphertext and the tag.
	for _, at := range []int{0, 1, 2, 3, 4, 7, 8, 12, 15, 16, 20, 27, 28, 29, 40, -17, -16, -8, -1} {
		all[fmt.Sprintf("flipped at %d", at)] = func(t *testing.T, name, _ string) {
			rewrite(t, name, func(b []byte) []byte {
				b[(at+len(b))%len(b)] ^= 1 << (uint(at) % 8)
				return b
			})
		}
	}
	return all
}

func rewrite(t *testing.T, name string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	require.NoError(t, os.Remove(name))
	require.NoError(t, os.WriteFile(name, change(b), 0o444))
}

// copyTree copies a bucket's folder, by links: mutations replace files.
func copyTree(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	require.NoError(t, filepath.WalkDir(from, func(name string, entry os.DirEntry, err error) error {
		require.NoError(t, err)
		rel, err := filepath.Rel(from, name)
		require.NoError(t, err)
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		return os.Link(name, filepath.Join(to, rel))
	}))
	return to
}

func objects(t *testing.T, dir string, incident custody.IncidentID, kind string) []string {
	t.Helper()
	var found []string
	root := filepath.Join(dir, "v1", string(incident), kind)
	require.NoError(t, filepath.WalkDir(root, func(name string, entry os.DirEntry, err error) error {
		if entry != nil && !entry.IsDir() {
			found = append(found, strings.TrimPrefix(name, dir))
		}
		return err
	}))
	return found
}

func TestNeverAWrongByte(t *testing.T) {
	dir, id := t.TempDir(), newIdentity(t)
	bucket := openFolder(t, dir)
	v := newVault(t, bucket, id)
	b, a := bytesOf(2*chunk+100, 1)
	chunks := take(t, v, burglary, b, a)
	b2, a2 := bytesOf(2*chunk+100, 2) // for manifests and keys to be exchanged with
	take(t, v, burglary, b2, a2)
	take(t, v, fraud, b, a)
	require.NoError(t, bucket.Close())
	require.Len(t, chunks, 3)

	names := map[string][2]string{} // what is damaged, and what it is swapped with
	first := chunkFile(t, dir, id, burglary, chunks[0])
	second := chunkFile(t, dir, id, burglary, chunks[1])
	last := chunkFile(t, dir, id, burglary, chunks[2])
	names["first chunk"] = [2]string{first, second}
	names["last chunk"] = [2]string{last, first}
	names["chunk of another incident"] = [2]string{second, chunkFile(t, dir, id, fraud, chunks[1])}
	names["chunk as manifest"] = [2]string{second, manifestFile(t, dir, id, burglary, a)}
	names["manifest"] = [2]string{manifestFile(t, dir, id, burglary, a), manifestFile(t, dir, id, burglary, a2)}
	names["manifest of another incident"] = [2]string{manifestFile(t, dir, id, burglary, a), manifestFile(t, dir, id, fraud, a)}
	names["page"] = [2]string{pageFile(t, dir, id, burglary, a), pageFile(t, dir, id, burglary, a2)}
	names["page as manifest"] = [2]string{pageFile(t, dir, id, burglary, a), manifestFile(t, dir, id, burglary, a)}
	names["keys"] = [2]string{objects(t, dir, burglary, "k")[0], objects(t, dir, fraud, "k")[0]}

	for what, files := range names {
		for how, mutate := range mutations() {
			t.Run(what+" "+how, func(t *testing.T) {
				dir := copyTree(t, dir)
				mutate(t, filepath.Join(dir, files[0]), filepath.Join(dir, files[1]))
				v := newVault(t, openFolder(t, dir), id)
				found := false
				for _, r := range []guard.Range{
					{Length: a.Size}, {Offset: 5, Length: 7}, {Offset: chunk - 3, Length: 6}, {Offset: 2*chunk + 1, Length: 99},
				} {
					got, err := read(t.Context(), v, burglary, a, r)
					want := b[r.Offset : r.Offset+r.Length]
					require.True(t, bytes.HasPrefix(want, got), "wrong bytes in %v", r)
					if err == nil {
						require.Len(t, got, len(want))
						continue
					}
					found = true
					var d *storage.DamageError
					require.ErrorIs(t, err, storage.ErrDamaged)
					require.ErrorAs(t, err, &d)
					next := r.Offset + uint64(len(got)) // the byte that could not be had
					require.LessOrEqual(t, d.Range.Offset, next)
					require.Greater(t, d.Range.Offset+d.Range.Length, next)
				}
				require.True(t, found, "nothing noticed")
				_, err := v.Check(t.Context(), burglary, a.Root, a.Size)
				require.ErrorIs(t, err, storage.ErrDamaged)

				// What is not damaged is not withheld.
				if how == "removed" {
					_, err = v.Check(t.Context(), fraud, a.Root, a.Size)
					require.NoError(t, err)
				}
			})
		}
	}
}

func TestSealRefuses(t *testing.T) {
	dir, id := t.TempDir(), newIdentity(t)
	bucket := openFolder(t, dir)
	v := newVault(t, bucket, id)
	b, a := bytesOf(2*chunk+100, 1)
	chunks, err := putAll(t.Context(), v, burglary, b)
	require.NoError(t, err)
	change := func(f func([]storage.Chunk)) []storage.Chunk {
		c := slices.Clone(chunks)
		f(c)
		return c
	}
	for name, c := range map[string]struct {
		chunks []storage.Chunk
		size   uint64
		root   custody.Digest
	}{
		"another root":      {chunks, a.Size, custody.Digest{1}},
		"another size":      {chunks, a.Size - 1, a.Root},
		"too large a size":  {chunks, custody.MaxArtifact + 1, a.Root},
		"a chunk missing":   {chunks[:2], a.Size, a.Root},
		"no chunk":          {nil, a.Size, a.Root},
		"another order":     {[]storage.Chunk{chunks[1], chunks[0], chunks[2]}, a.Size, a.Root},
		"a length as wrong": {change(func(c []storage.Chunk) { c[0].Length-- }), a.Size, a.Root},
		"an endless version": {change(func(c []storage.Chunk) {
			c[0].Version = strings.Repeat("v", 1025)
		}), a.Size, a.Root},
	} {
		err := v.Seal(t.Context(), burglary, all(c.chunks), c.size, c.root, time.Time{})
		require.ErrorIs(t, err, storage.ErrMismatch, name)
	}
	require.ErrorIs(t, v.Seal(t.Context(), fraud, all(chunks), a.Size, a.Root, time.Time{}), storage.ErrNotFound, "chunks of another incident")
	longer := change(func(c []storage.Chunk) { c[2].Length++ })
	require.ErrorIs(t, v.Seal(t.Context(), burglary, all(longer), a.Size+1, a.Root, time.Time{}), storage.ErrNotFound, "the root alone does not tell")
	unknown := change(func(c []storage.Chunk) { c[1].Version = "other" })
	require.ErrorIs(t, v.Seal(t.Context(), burglary, all(unknown), a.Size, a.Root, time.Time{}), storage.ErrNotFound)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, v.Seal(ctx, burglary, all(chunks), a.Size, a.Root, time.Time{}), context.Canceled)

	name := filepath.Join(dir, chunkFile(t, dir, id, burglary, chunks[1]))
	require.NoError(t, os.Rename(name, name+"x"))
	require.ErrorIs(t, v.Seal(t.Context(), burglary, all(chunks), a.Size, a.Root, time.Time{}), storage.ErrNotFound)
	require.NoError(t, os.WriteFile(name, []byte("short"), 0o444))
	require.ErrorIs(t, v.Seal(t.Context(), burglary, all(chunks), a.Size, a.Root, time.Time{}), storage.ErrDamaged)
	require.NoError(t, os.Rename(name+"x", name))

	require.Empty(t, buckettest.List(t, bucket, "v1/"+string(burglary)+"/m/"))
	require.NoError(t, v.Seal(t.Context(), burglary, all(chunks), a.Size, a.Root, time.Time{}))
	require.NoError(t, v.Seal(t.Context(), burglary, all(chunks), a.Size, a.Root, time.Time{}))
	require.Len(t, buckettest.List(t, bucket, "v1/"+string(burglary)+"/m/"), 1)
}

func TestPutChunkRefuses(t *testing.T) {
	bucket := openFolder(t, t.TempDir())
	v := newVault(t, bucket, newIdentity(t))
	for _, plain := range [][]byte{nil, {1}, make([]byte, chunk+1)} {
		_, err := v.PutChunk(t.Context(), burglary, bytes.NewReader(plain), custody.Hash([]byte("another")))
		require.ErrorIs(t, err, storage.ErrMismatch)
	}
	_, err := v.PutChunk(t.Context(), burglary, bytes.NewReader(nil), custody.ChunkDigest(nil))
	require.ErrorIs(t, err, storage.ErrMismatch)
	for _, incident := range []custody.IncidentID{"", "..", "i-", "../../etc", burglary + "/x"} {
		_, err := v.PutChunk(t.Context(), incident, bytes.NewReader([]byte{1}), custody.ChunkDigest([]byte{1}))
		require.ErrorContains(t, err, "identifier")
	}
	require.Empty(t, buckettest.List(t, bucket, ""))
}

func TestManyPutTheSameChunk(t *testing.T) {
	bucket, id := openFolder(t, t.TempDir()), newIdentity(t)
	vaults := []*storage.Vault{newVault(t, bucket, id), newVault(t, bucket, id)} // two processes, as far as keys go
	b, a := bytesOf(100_000, 1)
	var group errgroup.Group
	for i := range 16 {
		group.Go(func() error {
			chunks, err := putAll(t.Context(), vaults[i%2], burglary, b)
			if err != nil {
				return err
			}
			return vaults[i%2].Seal(t.Context(), burglary, all(chunks), a.Size, a.Root, time.Time{})
		})
	}
	require.NoError(t, group.Wait())
	for kind, n := range map[string]int{"c/": 1, "p/": 1, "m/": 1, "k/": 1} {
		require.Len(t, buckettest.List(t, bucket, "v1/"+string(burglary)+"/"+kind), n)
	}
	got, err := read(t.Context(), vaults[0], burglary, a, guard.Range{Length: a.Size})
	require.NoError(t, err)
	require.Equal(t, b, got)
}

func TestManyReaders(t *testing.T) {
	bucket, id := openFolder(t, t.TempDir()), newIdentity(t)
	b, a := bytesOf(3*chunk+1, 1)
	take(t, newVault(t, bucket, id), burglary, b, a)
	few, err := storage.New(storage.Config{Bucket: bucket, Identity: id, Recipients: []age.Recipient{id.Recipient()}, Readers: 2})
	require.NoError(t, err)
	var group errgroup.Group
	for range 6 { // more than there are buffers
		group.Go(func() error {
			got, err := read(t.Context(), few, burglary, a, guard.Range{Length: a.Size})
			if err == nil && !bytes.Equal(got, b) {
				err = errors.New("wrong bytes")
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.Zero(t, few.BuffersTaken())
}

// TestSlowReaders: however slowly somebody reads, with however many readers, others
// bring chunks, have artifacts checked, and read.
func TestSlowReaders(t *testing.T) {
	id := newIdentity(t)
	v, err := storage.New(storage.Config{
		Bucket: openFolder(t, t.TempDir()), Identity: id, Recipients: []age.Recipient{id.Recipient()}, Buffers: 2, Readers: 4,
	})
	require.NoError(t, err)
	data, a := bytesOf(3*chunk, 1)
	take(t, v, burglary, data, a)
	eve, max := custody.NewPrincipalID(custody.Hash([]byte("eve"))), custody.NewPrincipalID(custody.Hash([]byte("max")))
	var slow errgroup.Group
	ctx, cancel := context.WithCancel(t.Context())
	for range 5 {
		r, err := v.OpenFor(ctx, eve, burglary, a)
		require.NoError(t, err)
		slow.Go(func() error {
			_, err := r.Read(make([]byte, 100))
			<-ctx.Done()
			return errors.Join(err, r.Close())
		})
	}
	require.Eventually(t, func() bool { return v.BuffersTaken() == 3 }, 10*time.Second, time.Millisecond)
	done := make(chan error, 1)
	go func() {
		r, err := v.OpenFor(t.Context(), max, burglary, a)
		if err == nil {
			_, err = io.Copy(io.Discard, r)
			err = errors.Join(err, r.Close())
		}
		_, failed := v.Check(t.Context(), burglary, a.Root, a.Size)
		part := buckettest.Bytes(100, 9)
		_, put := v.PutChunk(t.Context(), burglary, bytes.NewReader(part), custody.ChunkDigest(part))
		done <- errors.Join(err, failed, put)
	}()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(30 * time.Second):
		require.Fail(t, "they wait for a slow reader")
	}
	cancel()
	require.ErrorIs(t, slow.Wait(), context.Canceled) // of those who waited for a buffer
	require.Zero(t, v.BuffersTaken())
}

func TestAReaderThatIsGivenUp(t *testing.T) {
	v := newVault(t, openFolder(t, t.TempDir()), newIdentity(t))
	b, a := bytesOf(3*chunk, 1)
	take(t, v, burglary, b, a)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := v.OpenAs(ctx, burglary, a, guard.Range{Length: a.Size}, anyone)
	require.NoError(t, err)
	_, err = io.ReadFull(r, make([]byte, 100))
	require.NoError(t, err)
	require.Equal(t, 3, v.BuffersTaken())
	cancel()
	_, err = io.Copy(io.Discard, r)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, r.Close())
	require.NoError(t, r.Close())
	_, err = r.Read(make([]byte, 1))
	require.ErrorContains(t, err, "closed")
	require.Zero(t, v.BuffersTaken())
}

func TestNoPassNoByte(t *testing.T) {
	v := newVault(t, openFolder(t, t.TempDir()), newIdentity(t))
	b, a := bytesOf(3*chunk, 1)
	take(t, v, burglary, b, a)

	_, err := v.Open(t.Context(), guard.Pass{}, guard.Range{})
	require.ErrorIs(t, err, guard.ErrNoPass)

	// A pass that expires after the first chunk.
	var asked []guard.Range
	r, err := v.OpenAs(t.Context(), burglary, a, guard.Range{Offset: 10, Length: 2 * chunk}, func(part guard.Range) error {
		asked = append(asked, part)
		if len(asked) > 1 {
			return guard.ErrNoPass
		}
		return nil
	})
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.ErrorIs(t, err, guard.ErrNoPass)
	require.True(t, bytes.Equal(b[10:chunk], got))
	require.Equal(t, []guard.Range{{Offset: 10, Length: chunk - 10}, {Offset: chunk, Length: chunk}}, asked)
	_, err = r.Read(make([]byte, 1))
	require.ErrorIs(t, err, guard.ErrNoPass)
	require.NoError(t, r.Close())
}

func TestABucketTellsNothing(t *testing.T) {
	dir := t.TempDir()
	bucket := openFolder(t, dir)
	v := newVault(t, bucket, newIdentity(t))
	b := bytes.Repeat([]byte("the quick brown fox jumps over the lazy dog. "), 4000)
	h := custody.NewTreeHash(nil)
	_, _ = h.Write(b)
	a := h.Finish()
	chunks := take(t, v, burglary, b, a)
	take(t, v, fraud, b, a)

	names := map[string]bool{}
	for key := range buckettest.List(t, bucket, "") {
		base := filepath.Base(key)
		require.False(t, names[base] && base != "1", "two incidents give one name")
		names[base] = true
		stored := buckettest.Get(t, bucket, key, "")
		for _, secret := range [][]byte{b[:40], a.Root[:], a.SHA256[:], []byte(a.Root.Hex()), chunks[0].Digest[:], []byte(chunks[0].Digest.Hex())} {
			require.False(t, bytes.Contains(stored, secret), key)
			require.NotContains(t, key, string(secret))
		}
	}
	require.Len(t, names, 7) // two chunks, two pages, two manifests, and keys named 1
}

func TestKeys(t *testing.T) {
	dir, id := t.TempDir(), newIdentity(t)
	bucket := openFolder(t, dir)
	b, a := bytesOf(1000, 1)
	take(t, newVault(t, bucket, id), burglary, b, a)
	keys := filepath.Join(dir, "v1", string(burglary), "k", "1")
	wrapped, err := os.ReadFile(keys)
	require.NoError(t, err)

	t.Run("another service does not open them", func(t *testing.T) {
		_, err := read(t.Context(), newVault(t, bucket, newIdentity(t)), burglary, a, guard.Range{Length: a.Size})
		require.ErrorIs(t, err, storage.ErrDamaged)
	})
	t.Run("the service must be a recipient", func(t *testing.T) {
		_, err := storage.New(storage.Config{Bucket: bucket, Identity: id, Recipients: []age.Recipient{newIdentity(t).Recipient()}})
		require.ErrorContains(t, err, "does not open")
	})
	t.Run("keys made by somebody else for the service are refused", func(t *testing.T) {
		var forged bytes.Buffer
		forged.Write(wrapped[:32]) // the best tag that he has
		w, err := age.Encrypt(&forged, id.Recipient())
		require.NoError(t, err)
		plain := append([]byte{1}, fraud...)
		plain = append(plain, 0, 0, 0, 1)
		_, err = w.Write(append(plain, make([]byte, 64)...))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		_, err = bucket.Put(t.Context(), "v1/"+string(fraud)+"/k/1", forged.Bytes())
		require.NoError(t, err)
		_, err = newVault(t, bucket, id).PutChunk(t.Context(), fraud, bytes.NewReader(b), custody.ChunkDigest(b))
		require.ErrorContains(t, err, "did not make the file")
		require.ErrorIs(t, err, storage.ErrDamaged)
	})
	t.Run("lost keys are not made anew", func(t *testing.T) {
		require.NoError(t, os.Remove(keys))
		v := newVault(t, bucket, id)
		_, err := v.PutChunk(t.Context(), burglary, bytes.NewReader(b), custody.ChunkDigest(b))
		require.ErrorIs(t, err, storage.ErrDamaged)
		require.NoFileExists(t, keys)
		require.NoError(t, os.WriteFile(keys, wrapped, 0o444))
		_, err = v.PutChunk(t.Context(), burglary, bytes.NewReader(b), custody.ChunkDigest(b))
		require.NoError(t, err)
	})
	t.Run("the escrow opens them", func(t *testing.T) {
		escrow := newIdentity(t)
		dir := t.TempDir()
		v, err := storage.New(storage.Config{Bucket: openFolder(t, dir), Identity: id,
			Recipients: []age.Recipient{id.Recipient(), escrow.Recipient()}})
		require.NoError(t, err)
		chunks := take(t, v, burglary, b, a)
		byEscrow := secretsOf(t, dir, escrow, burglary)
		require.Equal(t, secretsOf(t, dir, id, burglary), byEscrow)
		require.Equal(t, b, byEscrow.decrypt(t, dir, byEscrow.chunk(chunks[0].Digest, len(b))))
	})
}

func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"), "mounting a small file system needs root")
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	bucket, err := file.Open(dir)
	require.NoError(t, err)
	defer bucket.Close() // before the unmounting
	v := newVault(t, bucket, newIdentity(t))
	b, a := bytesOf(5*chunk, 1)
	take(t, v, burglary, b, a)

	more, moreArtifact := bytesOf(4*chunk, 2)
	_, err = putAll(t.Context(), v, burglary, more)
	require.ErrorIs(t, err, storage.ErrFull)
	for key, size := range buckettest.List(t, bucket, "v1/"+string(burglary)+"/c/") {
		require.EqualValues(t, chunk+44, size, key)
	}
	_, err = v.Check(t.Context(), burglary, a.Root, a.Size)
	require.NoError(t, err)
	_, err = v.Check(t.Context(), burglary, moreArtifact.Root, moreArtifact.Size)
	require.ErrorIs(t, err, storage.ErrDamaged)
}

// TestAGoodOriginalMends: what is brought again is put over what is damaged, and
// with it everything that shares it can be read.
func TestAGoodOriginalMends(t *testing.T) {
	t.Run("in a folder", func(t *testing.T) {
		dir := t.TempDir()
		id := newIdentity(t)
		testMending(t, openFolder(t, dir), id, func(key string) {
			rewrite(t, filepath.Join(dir, key), func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		})
	})
	t.Run("on S3", func(t *testing.T) {
		server := buckettest.StartMinIO(t)
		c := server.NewBucket(t)
		bucket := openS3(t, c)
		testMending(t, &rotten{Bucket: bucket}, newIdentity(t), nil)
	})
}

// rotten is a bucket in which versions rot.
type rotten struct {
	storage.Bucket
	mu  sync.Mutex
	bad map[string]bool // key and version
}

func (r *rotten) Get(ctx context.Context, key, version string, buf []byte) (int, error) {
	n, err := r.Bucket.Get(ctx, key, version, buf)
	if version == "" {
		o, err := r.Stat(ctx, key, "")
		if err != nil {
			return 0, err
		}
		version = o.Version
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bad[key+version] {
		buf[n/2] ^= 1
	}
	return n, err
}

func (r *rotten) rot(t *testing.T, key string) {
	t.Helper()
	o, err := r.Stat(t.Context(), key, "")
	require.NoError(t, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bad == nil {
		r.bad = map[string]bool{}
	}
	r.bad[key+o.Version] = true
}

func testMending(t *testing.T, bucket storage.Bucket, id *age.X25519Identity, spoil func(key string)) {
	if r, ok := bucket.(*rotten); ok {
		spoil = func(key string) { r.rot(t, key) }
	}
	v := newVault(t, bucket, id)
	b, a := bytesOf(2*chunk+5, 1)
	longer := append(bytes.Clone(b[:2*chunk]), buckettest.Bytes(chunk/2, 9)...)
	tree := custody.NewTreeHash(nil)
	_, _ = tree.Write(longer)
	l := tree.Finish()
	take(t, v, burglary, b, a)
	take(t, v, burglary, longer, l)
	whole := func() {
		t.Helper()
		for _, a := range []custody.Artifact{a, l} {
			got, err := v.Check(t.Context(), burglary, a.Root, a.Size)
			require.NoError(t, err)
			require.Equal(t, a, got)
		}
	}
	for _, kind := range []string{"c/", "p/", "m/"} {
		for key := range buckettest.List(t, bucket, "v1/"+string(burglary)+"/"+kind) {
			spoil(key)
		}
		for _, a := range []custody.Artifact{a, l} {
			_, err := v.Check(t.Context(), burglary, a.Root, a.Size)
			require.ErrorIs(t, err, storage.ErrDamaged, kind)
		}
		take(t, v, burglary, b, a)
		if kind == "c/" { // but for the chunk that it alone has
			_, err := v.PutChunk(t.Context(), burglary, bytes.NewReader(longer[2*chunk:]), custody.ChunkDigest(longer[2*chunk:]))
			require.NoError(t, err)
		} else {
			take(t, v, burglary, longer, l)
		}
		whole()
	}
}
