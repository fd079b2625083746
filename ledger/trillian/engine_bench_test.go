package trillian_test

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/ledger/trillian"
)

// BenchmarkEngine64 queues and integrates 64 leaves at a time.
func BenchmarkEngine64(b *testing.B) { benchmark(b, 64) }

// BenchmarkEngine1 queues and integrates one leaf at a time.
func BenchmarkEngine1(b *testing.B) { benchmark(b, 1) }

func benchmark(b *testing.B, batch int) {
	ctx := context.Background()
	e, err := trillian.Open(ctx, filepath.Join(b.TempDir(), "log.db"), time.Now)
	require.NoError(b, err)
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
