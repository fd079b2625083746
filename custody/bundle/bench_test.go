package bundle_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkVerify verifies a bundle of many records, signatures included, on
// one processor.
func BenchmarkVerify(b *testing.B) {
	s := newStory(b, 1)
	ctx := b.Context()
	for range 2000 {
		a, err := s.Engineer.Does(ctx, "to look for the tools", s.Retrieval())
		require.NoError(b, err)
		require.True(b, a.Permit)
	}
	c := contents(b, s, true)
	records := 0
	for _, st := range c.Streams {
		records += len(st.Records)
	}
	whole := written(b, c)
	for b.Loop() {
		require.True(b, verify(whole, s.Trust).Verified)
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
