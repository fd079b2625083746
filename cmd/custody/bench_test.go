package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
)

// BenchmarkAccess measures access records: each client signs a retrieval, sends
// it over HTTP to a service in another process, and waits until it is on
// record, proven by a published checkpoint that it verifies. Everything on one
// machine, fsync on.
func BenchmarkAccess(b *testing.B) {
	for _, clients := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) { benchmarkAccess(b, clients) })
	}
}

func benchmarkAccess(b *testing.B, clients int) {
	w := newTeam(b, filepath.Join(b.TempDir(), "service"), clients)
	ctx := context.Background()
	id, _, err := takeIn(ctx, w.engineers[0], w.incident, "EX-1", 1<<20, io.LimitReader(zeros{}, 1<<20))
	require.NoError(b, err)
	took := make([][]time.Duration, clients)
	work := make(chan struct{}, b.N)
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	var group sync.WaitGroup
	b.ResetTimer()
	begun := time.Now()
	for n := range clients {
		group.Add(1)
		go func() {
			defer group.Done()
			for range work {
				t := time.Now()
				_, err := w.engineers[n].Say(ctx, "benchmark", &custody.RetrieveEvidence{Evidence: id})
				took[n] = append(took[n], time.Since(t))
				if err != nil {
					b.Error(err)
					return
				}
			}
		}()
	}
	group.Wait()
	total := time.Since(begun)
	b.StopTimer()
	all := slices.Concat(took...)
	slices.Sort(all)
	b.ReportMetric(float64(b.N)/total.Seconds(), "records/s")
	b.ReportMetric(ms(all[len(all)/2]), "p50-ms")
	b.ReportMetric(ms(all[len(all)*99/100]), "p99-ms")
	b.ReportMetric(0, "ns/op")
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// BenchmarkTransfer measures intake (to the receipt of the seal) and retrieval
// (to the signed confirmation), and in the same run sha256sum and cp of the
// same file on the same disk. Rates are in MB/s; the ratios are what compares.
func BenchmarkTransfer(b *testing.B) {
	const size = 512 << 20
	dir := b.TempDir()
	w := newTeam(b, filepath.Join(dir, "service"), 1)
	engineer := w.engineers[0]
	ctx := context.Background()
	path := filepath.Join(dir, "artifact")
	run := func(name string, args ...string) time.Duration {
		t := time.Now()
		out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
		require.NoError(b, err, "%s", out)
		return time.Since(t)
	}
	rate := func(d time.Duration) float64 { return size / d.Seconds() / 1e6 }
	var in, out, sum, cp []float64
	for n := range b.N {
		require.NoError(b, os.Rename(testFile(b, size), path))
		sum = append(sum, rate(run("sha256sum", path)))
		cp = append(cp, rate(run("cp", path, filepath.Join(dir, "copy"))))
		f, err := os.Open(path)
		require.NoError(b, err)
		t := time.Now()
		id, _, err := takeIn(ctx, engineer, w.incident, fmt.Sprintf("EX-%d", n), size, f)
		require.NoError(b, err)
		in = append(in, rate(time.Since(t)))
		require.NoError(b, f.Close())
		waitChecked(b, engineer.Client, id)
		g, err := os.Create(filepath.Join(dir, "back"))
		require.NoError(b, err)
		t = time.Now()
		_, err = engineer.Retrieve(ctx, "benchmark", id, 0, 0, g, nil)
		require.NoError(b, err)
		out = append(out, rate(time.Since(t)))
		require.NoError(b, g.Close())
	}
	b.ReportMetric(median(sum), "sha256sum-MB/s")
	b.ReportMetric(median(cp), "cp-MB/s")
	b.ReportMetric(median(in), "intake-MB/s")
	b.ReportMetric(median(out), "retrieval-MB/s")
	b.ReportMetric(median(in)/median(sum), "intake/sha256sum")
	b.ReportMetric(median(out)/median(sum), "retrieval/sha256sum")
	b.ReportMetric(0, "ns/op")
}

func waitChecked(t testing.TB, c *client.Client, id custody.EvidenceID) {
	require.Eventually(t, func() bool {
		e, err := c.Evidence(context.Background(), id)
		return err == nil && e.Confirmed
	}, time.Minute, 50*time.Millisecond)
}

func median(l []float64) float64 {
	slices.Sort(l)
	return l[len(l)/2]
}
