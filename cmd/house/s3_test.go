package house_test

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/cmd/house"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/storage/buckettest"
)

// TestOnS3 does the main job with the evidence on an S3 server: taken in, read
// back, kept over a restart under a new key of the log, retrieved, proven, and
// decided again from the bucket.
func TestOnS3(t *testing.T) {
	dir := createOnS3(t, buckettest.StartMinIO(t).NewBucket(t), nil)
	r := start(t, dir)
	_, engineer, incident := r.team()
	data := noise(2*custody.ChunkSize+4711, 1)
	id := takeIn(t, engineer, incident, "EX-1", data)
	history, err := engineer.Records(t.Context(), id.Stream())
	require.NoError(t, err)
	require.Equal(t, []string{"seal"}, history[0].Record.Decision.Rules, "the record of the seal says by its rule that it is locked")
	require.Eventually(t, func() bool {
		e, err := engineer.Evidence(t.Context(), id)
		return err == nil && e.Confirmed
	}, 20*time.Second, 50*time.Millisecond)
	r.stop()
	first := r.Trust
	trust, err := house.RekeyLog(t.Context(), dir, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Len(t, trust.Successions, 1)

	r = start(t, dir)
	require.Equal(t, trust, r.Trust)
	_, err = first.Extend(r.Trust)
	require.NoError(t, err)
	engineer = r.as(engineer)
	var back, proof bytes.Buffer
	_, err = engineer.Retrieve(t.Context(), "to examine it", id, 0, 0, &back, nil)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, back.Bytes()))
	require.NoError(t, engineer.Bundle(t.Context(), "to prove it", id, true, &proof))
	v := bundle.Verify(&proof, r.Trust, bundle.Options{Words: investigate.Words(), Artifact: &back})
	require.True(t, v.Verified && v.Complete, "%v", v.Problems)
}
