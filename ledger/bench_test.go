package ledger_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/ledger/trillian/trilliantest"
)

// BenchmarkAppend1 is one caller that appends one leaf after the other, as the
// guard does when little is going on.
func BenchmarkAppend1(b *testing.B) { benchmark(b, 1, 1) }

// BenchmarkAppend64 is 64 callers with one leaf each.
func BenchmarkAppend64(b *testing.B) { benchmark(b, 64, 1) }

// BenchmarkAppendBatch is one caller with 64 leaves at a time, as the guard
// does under load.
func BenchmarkAppendBatch(b *testing.B) { benchmark(b, 1, 64) }

// BenchmarkRemote is the same on a Trillian log server and log signer on
// PostgreSQL, all on this machine.
func BenchmarkRemote(b *testing.B) {
	on := trilliantest.Start(b)
	for _, c := range []struct {
		name            string
		callers, leaves int
	}{{"1", 1, 1}, {"64", 64, 1}, {"Batch", 1, 64}} {
		b.Run(c.name, func(b *testing.B) { benchmarkIn(b, newRemotePlace(b, on), c.callers, c.leaves) })
	}
}

func benchmark(b *testing.B, callers, leaves int) { benchmarkIn(b, newPlace(b), callers, leaves) }

func benchmarkIn(b *testing.B, p *place, callers, leaves int) {
	l := p.open(b)
	var next atomic.Int64
	var wg sync.WaitGroup
	times := make([][]time.Duration, callers)
	b.ResetTimer()
	for c := range callers {
		wg.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= b.N {
					return
				}
				batch, identities := leavesOf(n*leaves, (n+1)*leaves)
				begin := time.Now()
				if _, err := l.Append(ctx, batch, identities); err != nil {
					b.Error(err)
					return
				}
				times[c] = append(times[c], time.Since(begin))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Sorted(slices.Values(slices.Concat(times...)))
	require.Len(b, all, b.N)
	b.ReportMetric(float64(b.N*leaves)/b.Elapsed().Seconds(), "receipts/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
}
