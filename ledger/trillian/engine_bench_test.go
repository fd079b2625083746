package trillian_test

import (
	"context"
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger"
)

// Benchmark64 queues and integrates 64 leaves at a time.
func Benchmark64(b *testing.B) { benchmark(b, 64) }

// Benchmark1 queues and integrates one leaf at a time.
func Benchmark1(b *testing.B) { benchmark(b, 1) }

func benchmark(b *testing.B, batch int) {
	ctx := context.Background()
	e := open(b, place(b))
	defer e.Close()
	for b.Loop() {
		entries := make([]ledger.Entry, batch)
		for i := range entries {
			var c custody.Commitment
			_, _ = rand.Read(c[:])
			entries[i] = ledger.Entry{Leaf: custody.NewLeaf(c, custody.Tag{}), Identity: custody.Hash(c[:])}
		}
		require.NoError(b, e.Queue(ctx, entries))
		_, err := e.Integrate(ctx)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "leaves/s")
}
