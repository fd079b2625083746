package sql_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/storage/sql"
)

// benchCommit commits lists of n records, in 16 streams by turns, that are
// decided on two streams each.
func benchCommit(b *testing.B, n int) {
	s := openNew(b)
	h, streams := begin(b, s, 16)
	records := 0
	for b.Loop() {
		b.StopTimer()
		list := make([]guard.Stored, 0, n)
		for range n {
			name := streams[records%len(streams)]
			list = append(list, h.record(b, name, []custody.Stream{name, custody.PolicyStream}))
			records++
		}
		b.StartTimer()
		require.NoError(b, s.Commit(b.Context(), list))
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkCommit64(b *testing.B) { benchCommit(b, 64) }

func BenchmarkCommit1(b *testing.B) { benchCommit(b, 1) }

func BenchmarkProve64(b *testing.B) {
	s := openNew(b)
	h, streams := begin(b, s, 16)
	for b.Loop() {
		b.StopTimer()
		list := []guard.Stored{}
		for n := range 64 {
			list = append(list, h.record(b, streams[n%len(streams)], nil))
		}
		require.NoError(b, s.Commit(b.Context(), list))
		b.StartTimer()
		prove(b, s, list...)
	}
	b.ReportMetric(float64(b.N)*64/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkByPayload(b *testing.B) {
	s := openNew(b)
	h, streams := begin(b, s, 16)
	list := []guard.Stored{}
	for n := range 4096 {
		list = append(list, h.record(b, streams[n%len(streams)], nil))
	}
	require.NoError(b, s.Commit(b.Context(), list))
	n := 0
	for b.Loop() {
		_, err := s.ByPayload(b.Context(), list[n%len(list)].Payload)
		require.NoError(b, err)
		n++
	}
}

// BenchmarkRecords reads a page of 512 records.
func BenchmarkRecords(b *testing.B) {
	s := openNew(b)
	h, streams := begin(b, s, 1)
	list := []guard.Stored{}
	for range 512 {
		list = append(list, h.record(b, streams[0], nil))
	}
	require.NoError(b, s.Commit(b.Context(), list))
	prove(b, s, list...)
	for b.Loop() {
		got, err := s.Records(b.Context(), streams[0], 0, 512, true)
		require.NoError(b, err)
		require.Len(b, got, 512)
	}
}

// BenchmarkAddChunk notes chunks as one upload after the other, and as 16
// uploads at once do.
func BenchmarkAddChunk(b *testing.B) {
	for name, uploads := range map[string]int{"alone": 1, "16 at once": 16} {
		b.Run(name, func(b *testing.B) { benchAddChunk(b, openNew(b), uploads) })
	}
}

func benchAddChunk(b *testing.B, s *sql.Store, uploads int) {
	var all sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	for range uploads {
		u := newUpload()
		require.NoError(b, s.AddUpload(b.Context(), u))
		all.Go(func() {
			for n := uint64(0); left.Add(-1) >= 0; n++ {
				if err := s.AddChunks(b.Context(), u.Evidence, sql.Chunk{Index: n, Digest: custody.Hash(nil), Length: 8 << 20, Version: "v"}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "chunks/s")
}
