package ledger_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkAppend1 is one caller that appends one leaf after the other, as the
// guard does when little is going on.
func BenchmarkAppend1(b *testing.B) { benchmark(b, 1, 1) }

// BenchmarkAppend64 is 64 callers with one leaf each.
func BenchmarkAppend64(b *testing.B) { benchmark(b, 64, 1) }

// BenchmarkAppendBatch is one caller with 64 leaves at a time, as the guard
// does under load.
func BenchmarkAppendBatch(b *testing.B) { benchmark(b, 1, 64) }

func benchmark(b *testing.B, callers, leaves int) {
	l := newPlace(b).open(b)
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
