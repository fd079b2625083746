package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/storage/buckettest"
)

// most is the most memory that the client and the service may have, each, in
// KiB, however large the artifact is.
const most = 160 << 10

// BenchmarkSparse takes a large, mostly empty disk image into an S3 server and
// out of it again, prints how much memory client and service had at most, and
// fails when one had too much. CUSTODY_SPARSE_GIB is the size of the image
// (default 64). Of each GiB one stretch of 1 MiB is noise.
func BenchmarkSparse(b *testing.B) {
	gib := int64(64)
	if text := os.Getenv("CUSTODY_SPARSE_GIB"); text != "" {
		var err error
		gib, err = strconv.ParseInt(text, 10, 64)
		require.NoError(b, err)
	}
	s := &contest{t: b, dir: b.TempDir(), minio: buckettest.StartMinIO(b), took: map[string][]float64{}, most: map[string]int64{}}
	p := newCustody(b, s)
	image := filepath.Join(s.dir, "image")
	writeSparse(b, image, gib<<30)
	for range b.N {
		s.run("in", p.up("sparse", image, 0))
		in, err := peak(s.desk.process.Process.Pid)
		require.NoError(b, err)
		back := filepath.Join(s.dir, "back")
		begun := time.Now()
		down, _ := p.down("sparse", back, 0) // waits until it was read back
		readBack := time.Since(begun)
		s.run("out", down)
		out, err := peak(s.desk.process.Process.Pid)
		require.NoError(b, err)
		// That the bytes are those of the image, the client has found out by their
		// SHA-256. Here: that the copy is as sparse.
		require.Equal(b, gib<<30, sizeOf(b, back))
		require.Less(b, onDisk(b, back), gib<<20+gib<<20+gib<<30/64)
		fmt.Printf("%d GiB, sparse: in %.0f s, read back %.0f s later, out %.0f s; peak MiB: client %d in, %d out, service %d in, %d in all\n",
			gib, s.took["in"][0], readBack.Seconds(), s.took["out"][0], s.most["in"]>>10, s.most["out"]>>10, in>>10, out>>10)
		for what, kib := range map[string]int64{"client in": s.most["in"], "client out": s.most["out"], "service": out} {
			require.LessOrEqual(b, kib, int64(most), "%s had %d MiB", what, kib>>10)
		}
	}
	b.ReportMetric(0, "ns/op")
}

// writeSparse makes a file of holes, but for 1 MiB of noise in each GiB.
func writeSparse(t testing.TB, path string, size int64) {
	f, err := os.Create(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	require.NoError(t, f.Truncate(size))
	noise := rand.NewChaCha8([32]byte{4})
	r := rand.New(noise)
	for at := int64(0); at < size; at += 1 << 30 {
		_, err := io.CopyN(io.NewOffsetWriter(f, at+r.Int64N(1<<30-1<<20)), noise, 1<<20)
		require.NoError(t, err)
	}
}

func sizeOf(t testing.TB, path string) int64 {
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Size()
}

// onDisk returns the bytes that a file takes.
func onDisk(t testing.TB, path string) int64 {
	var s syscall.Stat_t
	require.NoError(t, syscall.Stat(path, &s))
	return s.Blocks * 512
}
