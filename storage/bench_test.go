package storage_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/storage/buckettest"
)

// BenchmarkSHA256 is what the others are compared with: one core, one pass.
func BenchmarkSHA256(b *testing.B) {
	data := buckettest.Bytes(chunk, 1)
	b.SetBytes(chunk)
	for b.Loop() {
		sha256.Sum256(data)
	}
}

// BenchmarkPutChunk stores distinct chunks of 8 MiB in a folder, fsynced, from
// as many goroutines as there are processors. It includes verifying the digest.
func BenchmarkPutChunk(b *testing.B) {
	b.Run("noise", func(b *testing.B) { benchmarkPut(b, buckettest.Bytes(chunk, 1)) })
	b.Run("text", func(b *testing.B) { benchmarkPut(b, text(chunk, 1)) })
}

// BenchmarkPutZeros is what a chunk costs that is not stored, and BenchmarkPutAgain
// one that is there already.
func BenchmarkPutZeros(b *testing.B) { benchmarkAgain(b, make([]byte, chunk)) }
func BenchmarkPutAgain(b *testing.B) { benchmarkAgain(b, buckettest.Bytes(chunk, 1)) }

func benchmarkAgain(b *testing.B, data []byte) {
	v := newVault(b, openFolder(b, b.TempDir()), newIdentity(b))
	d := custody.ChunkDigest(data)
	b.SetBytes(chunk)
	for b.Loop() {
		_, err := v.PutChunk(b.Context(), burglary, bytes.NewReader(data), d)
		require.NoError(b, err)
	}
}

func benchmarkPut(b *testing.B, base []byte) {
	v := newVault(b, openFolder(b, b.TempDir()), newIdentity(b))
	number := func(data []byte, n uint32) { binary.BigEndian.PutUint32(data, n) }
	digests := make([]custody.Digest, b.N)
	for n := range digests {
		number(base, uint32(n))
		digests[n] = custody.ChunkDigest(base)
	}
	var next atomic.Uint32
	b.SetBytes(chunk)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		data := bytes.Clone(base)
		for pb.Next() {
			n := next.Add(1) - 1
			number(data, n)
			if _, err := v.PutChunk(b.Context(), burglary, bytes.NewReader(data), digests[n]); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkRead reads 256 MiB from a folder, verified, by one reader.
func BenchmarkRead(b *testing.B) {
	v := newVault(b, openFolder(b, b.TempDir()), newIdentity(b))
	data, a := bytesOf(32*chunk, 1)
	take(b, v, burglary, data, a)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		r, err := v.OpenAs(b.Context(), burglary, a, guard.Range{Length: a.Size}, anyone)
		require.NoError(b, err)
		_, err = r.WriteTo(io.Discard)
		require.NoError(b, err)
		require.NoError(b, r.Close())
	}
}
