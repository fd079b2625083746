package house

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/storage/archive"
	"github.com/forensic-custody/custody/storage/file"
)

// BenchmarkAudit audits an archive of CUSTODY_AUDIT_RECORDS records (100,000) in a
// folder, made for it by a guard: of each four, a session, a retrieval, its release
// and its receipt, of 100 items, archived in batches of 64. It prints records per
// second, and per second and core, beside how many Ed25519 signatures one core
// verifies, and by how much the heap grew at most.
func BenchmarkAudit(b *testing.B) {
	want, err := strconv.Atoi(os.Getenv("CUSTODY_AUDIT_RECORDS"))
	if err != nil {
		want = 100_000
	}
	a, checkpoint, size := archived(b, want)
	signatures := ed25519Rate(b)
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var most atomic.Uint64
	for b.Loop() { // the archive is made before
		stop := make(chan struct{})
		var watching sync.WaitGroup
		watching.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond):
					var now runtime.MemStats
					runtime.ReadMemStats(&now)
					most.Store(max(most.Load(), now.HeapInuse))
				}
			}
		})
		report, err := a.Run(b.Context(), checkpoint, nil)
		close(stop)
		watching.Wait()
		require.NoError(b, err)
		require.Empty(b, report.Disagrees)
		require.Equal(b, size, report.Size)
	}
	rate := float64(size) * float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "records/s")
	b.ReportMetric(rate/float64(runtime.GOMAXPROCS(0)), "records/s/core")
	b.ReportMetric(signatures, "Ed25519/s/core")
	b.ReportMetric(float64(most.Load()-min(most.Load(), before.HeapInuse))/(1<<20), "MiB-heap")
	b.ReportMetric(0, "ns/op")
}

// ed25519Rate is how many signatures over a record's statement one core verifies a
// second.
func ed25519Rate(b *testing.B) float64 {
	b.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(b, err)
	message := make([]byte, 900)
	sig := ed25519.Sign(private, message)
	const n = 20_000
	start := time.Now()
	for range n {
		if !ed25519.Verify(public, message, sig) {
			b.Fatal("it does not verify")
		}
	}
	return n / time.Since(start).Seconds()
}

// archived makes an archive of at least so many records.
func archived(b *testing.B, want int) (a *Audit, checkpoint []byte, size uint64) {
	b.Helper()
	ctx := b.Context()
	rows := guardtest.NewStore()
	w, err := guardtest.New(ctx, guardtest.Setup{Seed: 1, Store: rows})
	require.NoError(b, err)
	s, err := w.Team(ctx)
	require.NoError(b, err)
	const items = 100
	for i := range items {
		require.NoError(b, lives(b, s, i, want/items/4))
	}
	checkpoint = w.Log.Checkpoint()
	point, err := custody.CheckpointBody(checkpoint)
	require.NoError(b, err)

	identity, err := age.GenerateX25519Identity()
	require.NoError(b, err)
	bucket, err := file.Open(b.TempDir())
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, bucket.Close()) })
	to := &archive.Archive{Bucket: bucket, Identity: identity, Recipients: []age.Recipient{identity.Recipient()}, Now: time.Now}
	of := map[custody.Leaf]guard.Stored{}
	for i := 0; i < rows.Len(); i++ {
		r := rows.Nth(i)
		of[r.Leaf] = r
	}
	var batch []archive.Record
	place := uint64(0)
	keep := func() {
		require.NoError(b, to.Keep(ctx, place-uint64(len(batch)), batch, nil))
		batch = batch[:0]
	}
	require.NoError(b, w.Log.Leaves(ctx, point.Size, func(l custody.Leaf) error {
		r := of[l]
		batch = append(batch, archive.Record{Stream: r.Stream, Sequence: r.Sequence, Leaf: l, Payload: r.Payload, Opening: r.Opening, Bytes: r.Record, Opens: r.Opens})
		if place++; len(batch) == 64 {
			keep()
		}
		return nil
	}))
	keep()
	require.NoError(b, w.Close())
	return &Audit{Trust: w.Trust, archive: to}, checkpoint, point.Size
}

// lives takes an item in and retrieves it so many times.
func lives(b *testing.B, s *guardtest.Story, item, times int) error {
	own := *s
	name, err := custody.NewName(fmt.Appendf(nil, "disk%d.img", item))
	if err != nil {
		return err
	}
	begin := &custody.BeginEvidence{AtMost: 1 << 20, Exhibit: fmt.Sprintf("EX-%d", item), Incident: s.Incident, Name: name, Type: "disk"}
	raw, err := s.Engineer.Sign("it may hold the attacker's tools", begin)
	if err != nil {
		return err
	}
	if _, err := s.Admit(b.Context(), raw, ""); err != nil {
		return err
	}
	own.Evidence = custody.NewEvidenceID(guardtest.PayloadOf(raw))
	if _, err := s.Engineer.Does(b.Context(), "taken at the scene", own.Seal()); err != nil {
		return err
	}
	for range times {
		if err := own.Retrieve(b.Context()); err != nil {
			return err
		}
	}
	return nil
}
