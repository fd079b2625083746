package house_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/cmd/house"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/investigate"
)

// TestTheLogsKeyGivesWay, twice: what was proven before stays proven, what comes
// after is proven to whoever takes the new trust file over, and the whole service
// goes on: its bundles, an audit, fsck, and a rebuild from the bucket alone.
func TestTheLogsKeyGivesWay(t *testing.T) {
	l := live(t)
	quietly := slog.New(slog.DiscardHandler)
	first := readTrust(t, l.dir)
	var proofs []string
	for n := range 2 {
		old := read(t, filepath.Join(l.dir, "keys", "log.note"))
		trust, err := house.RekeyLog(t.Context(), l.dir, quietly)
		require.NoError(t, err)
		require.Len(t, trust.Successions, n+1)
		require.NotEqual(t, old, read(t, filepath.Join(l.dir, "keys", "log.note")))
		require.NoFileExists(t, filepath.Join(l.dir, "keys", "log.note.next"))

		r := start(t, l.dir)
		require.Equal(t, trust, r.Trust)
		engineer := r.as(l.engineer)
		_, signed, err := engineer.Checkpoint(t.Context())
		require.NoError(t, err)
		_, err = first.OpenCheckpoint(signed)
		require.ErrorContains(t, err, "custody trust extend", "who has the old trust file is told")
		extended, err := first.Extend(trust)
		require.NoError(t, err)
		_, err = extended.OpenCheckpoint(signed)
		require.NoError(t, err)
		_, err = extended.OpenCheckpoint(l.checkpoint)
		require.NoError(t, err, "what was signed before")
		var proof bytes.Buffer
		require.NoError(t, engineer.Bundle(t.Context(), "to prove it", l.item, true, &proof))
		proofs = append(proofs, proof.String())
		for i, p := range proofs {
			v := bundle.Verify(bytes.NewReader([]byte(p)), extended, bundle.Options{Words: investigate.Words()})
			require.True(t, v.Verified && v.Complete, "%d: %v", i, v.Problems)
		}
		r.stop()
	}
	found, err := house.Fsck(t.Context(), l.dir, quiet)
	require.NoError(t, err)
	require.Empty(t, found.Disagreements)
	lose(t, l.dir, databases...)
	_, err = house.Rebuild(t.Context(), l.dir, l.checkpoint, quiet)
	require.NoError(t, err)
	r := start(t, l.dir)
	takeIn(t, r.as(l.engineer), l.incident, "EX-2", l.data)
	r.stop()
}

// TestTheLogsKeyGivesWayInterrupted at each step: the service does not start, so that
// nothing is signed by two keys, until the same command has gone on.
func TestTheLogsKeyGivesWayInterrupted(t *testing.T) {
	l := live(t)
	quietly := slog.New(slog.DiscardHandler)
	key, trust := filepath.Join(l.dir, "keys", "log.note"), filepath.Join(l.dir, "trust.json")
	oldKey := read(t, key)
	_, err := house.RekeyLog(t.Context(), l.dir, quietly)
	require.NoError(t, err)
	newKey, newTrust := read(t, key), read(t, trust)

	t.Run("the new key is not in its place", func(t *testing.T) {
		write(t, key, oldKey)
		write(t, trust, newTrust)
		write(t, key+".next", newKey)
		_, err := house.Open(t.Context(), l.dir, quietly)
		require.ErrorContains(t, err, "was interrupted")
		_, err = house.RekeyLog(t.Context(), l.dir, quietly)
		require.NoError(t, err)
		require.Equal(t, newKey, read(t, key))
		start(t, l.dir).stop()
	})
	m := live(t)
	key, trust = filepath.Join(m.dir, "keys", "log.note"), filepath.Join(m.dir, "trust.json")
	t.Run("only the new key was made", func(t *testing.T) {
		write(t, trust+".next", []byte("half"))
		write(t, key+".next", newKey)
		_, err := house.Open(t.Context(), m.dir, quietly)
		require.ErrorContains(t, err, "was interrupted")
		_, err = house.RekeyLog(t.Context(), m.dir, quietly)
		require.NoError(t, err)
		start(t, m.dir).stop()
	})
	t.Run("the old trust file is back", func(t *testing.T) {
		now := read(t, trust)
		was, err := custody.ParseTrust(now)
		require.NoError(t, err)
		was.Successions = nil
		b, err := was.Marshal()
		require.NoError(t, err)
		write(t, trust, b)
		_, err = house.Open(t.Context(), m.dir, quietly)
		require.ErrorContains(t, err, "are not of one service")
		write(t, trust, now)
		start(t, m.dir).stop()
	})
}

func readTrust(t *testing.T, dir string) *custody.Trust {
	t.Helper()
	trust, err := custody.ParseTrust(read(t, filepath.Join(dir, "trust.json")))
	require.NoError(t, err)
	return trust
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, b, 0o600))
}
