package custody_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/forensic-custody/custody/custody"
)

// treeSizes lie around the borders of blocks, chunks and powers of two.
func treeSizes() []int {
	const b, c = custody.BlockSize, custody.ChunkSize
	return []int{
		0, 1, b - 1, b, b + 1, 2 * b, 3*b - 1, 3 * b, 127*b + 5,
		c - 1, c, c + 1, c + b, c + b + 1, 2 * c, 2*c + 1, 3*c - b, 3 * c, 3*c + 5*b + 7, 4 * c, 5*c + 100*b,
	}
}

// pattern returns n bytes that depend on seed only.
func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// sumdbRoot is the root over the blocks of b as golang.org/x/mod computes it.
func sumdbRoot(t *testing.T, b []byte) custody.Digest {
	t.Helper()
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			found[i] = stored[x]
		}
		return found, nil
	})
	var n int64
	for block := range slices.Chunk(b, custody.BlockSize) {
		hashes, err := tlog.StoredHashes(n, block, reader)
		require.NoError(t, err)
		stored = append(stored, hashes...)
		n++
	}
	root, err := tlog.TreeHash(n, reader)
	require.NoError(t, err)
	return custody.Digest(root)
}

func TestTreeIsThatOfTheGoChecksumDatabase(t *testing.T) {
	for _, size := range treeSizes() {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			b := pattern(size, 1)
			want := custody.Artifact{
				Root: sumdbRoot(t, b), SHA256: custody.Hash(b), Size: uint64(size), ChunkSize: custody.ChunkSize,
			}

			var streamed []custody.Digest
			h := custody.NewTreeHash(func(d custody.Digest) { streamed = append(streamed, d) })
			for rest, step := b, 1; len(rest) > 0; step = step*3 + 1 {
				n := min(step%(custody.ChunkSize+77777), len(rest))
				_, err := h.Write(rest[:n])
				require.NoError(t, err)
				rest = rest[n:]
			}
			require.Equal(t, want, h.Finish())
			require.Equal(t, want, h.Finish())
			_, err := h.Write([]byte{1})
			require.Error(t, err)

			var whole []custody.Digest
			for chunk := range slices.Chunk(b, custody.ChunkSize) {
				whole = append(whole, custody.ChunkDigest(chunk))
				require.Equal(t, sumdbRoot(t, chunk), whole[len(whole)-1])
			}
			require.Equal(t, whole, streamed)
			require.EqualValues(t, len(whole), custody.ChunkCount(uint64(size)))
			root, err := custody.RootOfChunks(whole, uint64(size))
			require.NoError(t, err)
			require.Equal(t, want.Root, root)
		})
	}
}

func TestEmptyArtifact(t *testing.T) {
	a := custody.NewTreeHash(func(custody.Digest) { t.Error("an empty artifact has no chunk") }).Finish()
	require.Equal(t, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", a.Root.String())
	require.Equal(t, a.Root, a.SHA256)
	require.NoError(t, a.NewVerifier().Close())
}

func TestRootOfChunksRefusesAListThatDoesNotFitTheSize(t *testing.T) {
	two := []custody.Digest{{1}, {2}}
	for _, size := range []uint64{0, 1, custody.ChunkSize, 2*custody.ChunkSize + 1, 1<<64 - 1} {
		_, err := custody.RootOfChunks(two, size)
		require.ErrorContains(t, err, "chunks, not 2", "size %d", size)
	}
	_, err := custody.RootOfChunks(two, custody.ChunkSize+1)
	require.NoError(t, err)
}

func TestVerifierNamesTheFirstWrongThing(t *testing.T) {
	b := pattern(custody.ChunkSize+custody.BlockSize+9, 2)
	h := custody.NewTreeHash(nil)
	_, err := h.Write(b)
	require.NoError(t, err)
	good := h.Finish()

	flipped := slices.Clone(b)
	flipped[custody.ChunkSize+3] ^= 1
	for _, c := range []struct {
		name    string
		bytes   []byte
		alter   func(*custody.Artifact)
		problem string
	}{
		{"the artifact", b, func(*custody.Artifact) {}, ""},
		{"a byte short", b[:len(b)-1], func(*custody.Artifact) {}, "8454152 bytes instead of the artifact's 8454153"},
		{"nothing", nil, func(*custody.Artifact) {}, "0 bytes instead"},
		{"a bit flipped", flipped, func(*custody.Artifact) {}, "root is "},
		{"another root", b, func(a *custody.Artifact) { a.Root[31] ^= 1 }, "root is "},
		{"another SHA-256", b, func(a *custody.Artifact) { a.SHA256[0] ^= 1 }, "SHA-256 is "},
		{"another chunk size", b, func(a *custody.Artifact) { a.ChunkSize /= 2 }, "chunk size "},
		{"a byte too many", append(slices.Clone(b), 0), func(*custody.Artifact) {}, "more than the 8454153 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := good
			c.alter(&a)
			v := a.NewVerifier()
			_, err := io.Copy(v, bytes.NewReader(c.bytes))
			if err == nil {
				err = v.Close()
			}
			if c.problem == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.problem)
		})
	}
}

func TestZeroChunks(t *testing.T) {
	for _, n := range []uint64{1, custody.BlockSize - 1, custody.BlockSize, custody.BlockSize + 1, 3*custody.BlockSize + 7, custody.ChunkSize - 1, custody.ChunkSize} {
		require.Equal(t, custody.ChunkDigest(make([]byte, n)), custody.ZeroChunk(n), n)
	}
}

func TestRootHashIsRootOfChunks(t *testing.T) {
	var r custody.RootHash
	digests := []custody.Digest{}
	for n := range 40 {
		root, err := custody.RootOfChunks(digests, uint64(n)*custody.ChunkSize)
		require.NoError(t, err)
		require.Equal(t, root, r.Root())
		require.Equal(t, uint64(n), r.Count())
		d := custody.Hash([]byte{byte(n)})
		digests = append(digests, d)
		r.Add(d)
	}
}
