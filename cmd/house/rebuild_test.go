package house_test

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/cmd/house"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/ledger"
)

// lived is a service in which an item was taken in and retrieved, stopped.
type lived struct {
	dir        string
	data       []byte
	engineer   *client.Client
	incident   custody.IncidentID
	item       custody.EvidenceID
	streams    []custody.Stream
	before     map[custody.Stream][]client.Recorded
	checkpoint []byte
}

func live(t *testing.T) *lived {
	t.Helper()
	dir, _ := create(t)
	return liveIn(t, dir)
}

func liveIn(t *testing.T, dir string) *lived {
	t.Helper()
	r := start(t, dir)
	_, engineer, incident := r.team()
	l := &lived{dir: dir, data: noise(custody.ChunkSize+99, 3), engineer: engineer, incident: incident, before: map[custody.Stream][]client.Recorded{}}
	l.item = takeIn(t, engineer, incident, "EX-1", l.data)
	require.Eventually(t, func() bool {
		e, err := engineer.Evidence(t.Context(), l.item)
		return err == nil && e.Confirmed
	}, 20*time.Second, 20*time.Millisecond)
	_, err := engineer.Retrieve(t.Context(), "to examine it", l.item, 0, 0, new(bytes.Buffer), nil)
	require.NoError(t, err)
	l.streams = []custody.Stream{l.item.Stream(), incident.Stream()}
	for _, s := range l.streams {
		l.before[s], err = engineer.Records(t.Context(), s)
		require.NoError(t, err)
	}
	_, l.checkpoint, err = engineer.Checkpoint(t.Context())
	require.NoError(t, err)
	r.stop()
	return l
}

// databases are the files that a service can lose.
var databases = []string{"records.db", "log.db", "tiles.db"}

// lose removes files of the service's folder.
func lose(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		for _, more := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(filepath.Join(dir, name+more)); err != nil {
				require.ErrorIs(t, err, os.ErrNotExist)
			}
		}
		require.NoFileExists(t, filepath.Join(dir, name))
	}
}

func quiet(uint64) {}

// TestRebuild loses database and log, makes them again from the bucket, and comes
// to the same log, the same histories and the same evidence.
func TestRebuild(t *testing.T) {
	for name, lost := range map[string][]string{"the lock is there": databases, "the lock is lost": append([]string{"lock.db"}, databases...)} {
		t.Run(name, func(t *testing.T) {
			l := live(t)
			was, err := custody.CheckpointBody(l.checkpoint)
			require.NoError(t, err)
			_, err = house.Rebuild(t.Context(), l.dir, nil, quiet)
			require.ErrorContains(t, err, "is there", "what is there is not made again")
			lose(t, l.dir, lost...)
			made, err := house.Rebuild(t.Context(), l.dir, nil, quiet)
			require.NoError(t, err)
			require.Equal(t, slices.Contains(lost, "lock.db"), made.Compared == nil)
			require.GreaterOrEqual(t, made.Records, was.Size)
			found, err := house.Fsck(t.Context(), l.dir, quiet)
			require.NoError(t, err)
			require.Empty(t, found.Disagreements)
			require.Equal(t, made.Checkpoint, found.Checkpoint)

			r := start(t, l.dir)
			engineer := r.as(l.engineer)
			for _, s := range l.streams {
				after, err := engineer.Records(t.Context(), s)
				require.NoError(t, err)
				for i, record := range l.before[s] {
					require.Equal(t, record.Raw, after[i].Raw, "%s %d", s, i)
				}
			}
			var back, proof bytes.Buffer
			_, err = engineer.Retrieve(t.Context(), "to examine it again", l.item, 0, 0, &back, nil)
			require.NoError(t, err)
			require.True(t, bytes.Equal(l.data, back.Bytes()))
			takeIn(t, engineer, l.incident, "EX-2", l.data)
			require.NoError(t, engineer.Bundle(t.Context(), "to prove it", l.item, true, &proof))
			v := bundle.Verify(&proof, r.Trust, bundle.Options{Words: investigate.Words(), Artifact: &back})
			require.True(t, v.Verified && v.Complete, "%v", v.Problems)
			r.stop()
		})
	}
}

// TestRebuildRefuses what does not go on from what was signed.
func TestRebuildRefuses(t *testing.T) {
	l := live(t)
	lose(t, l.dir, databases...)
	segments, err := filepath.Glob(filepath.Join(l.dir, "bucket", "records", "*", "*"))
	require.NoError(t, err)
	slices.Sort(segments)
	last := segments[len(segments)-1]
	fails := func(want error, earlier []byte, text string) {
		t.Helper()
		_, err := house.Rebuild(t.Context(), l.dir, earlier, quiet)
		require.Error(t, err)
		if want != nil {
			require.ErrorIs(t, err, want)
		}
		require.ErrorContains(t, err, text)
		for _, name := range append([]string{"rebuilding"}, databases...) {
			require.NoFileExists(t, filepath.Join(l.dir, name))
			require.NoDirExists(t, filepath.Join(l.dir, name))
		}
	}
	t.Run("the end is missing, and the lock says so", func(t *testing.T) {
		require.NoError(t, os.Rename(last, last+"x"))
		fails(ledger.ErrRollback, nil, "was signed")
	})
	t.Run("the end is missing, and an auditor kept a checkpoint", func(t *testing.T) {
		require.NoError(t, os.Rename(filepath.Join(l.dir, "lock.db"), filepath.Join(l.dir, "lock.away")))
		for _, s := range segments[len(segments)-3 : len(segments)-1] { // the last one is away
			require.NoError(t, os.Rename(s, s+"x"))
		}
		fails(ledger.ErrRollback, l.checkpoint, "was signed")
		for _, s := range segments[len(segments)-3:] {
			require.NoError(t, os.Rename(s+"x", s))
		}
	})
	t.Run("a segment is missing", func(t *testing.T) {
		require.NoError(t, os.Rename(segments[1], segments[1]+"x"))
		fails(nil, nil, "missing")
		require.NoError(t, os.Rename(segments[1]+"x", segments[1]))
	})
	t.Run("a checkpoint of another log", func(t *testing.T) {
		other := live(t)
		fails(nil, other.checkpoint, "checkpoint")
	})
	t.Run("another service's trust file", func(t *testing.T) {
		other := live(t)
		lose(t, other.dir, databases...)
		require.NoError(t, os.RemoveAll(filepath.Join(other.dir, "bucket")))
		require.NoError(t, os.CopyFS(filepath.Join(other.dir, "bucket"), os.DirFS(filepath.Join(l.dir, "bucket"))))
		_, err := house.Rebuild(t.Context(), other.dir, nil, quiet)
		require.Error(t, err)
	})
	made, err := house.Rebuild(t.Context(), l.dir, l.checkpoint, quiet)
	require.NoError(t, err)
	require.NotNil(t, made.Compared)
}

// TestFsck: whatever is altered with SQL or in the bucket is named.
func TestFsck(t *testing.T) {
	l := live(t)
	change := func(name, text string) {
		t.Helper()
		db, err := sql.Open("sqlite3", "file:"+filepath.Join(l.dir, name))
		require.NoError(t, err)
		_, err = db.ExecContext(context.Background(), text)
		require.NoError(t, err)
		require.NoError(t, db.Close())
	}
	copied := func(t *testing.T) (restore func()) {
		t.Helper()
		save := t.TempDir()
		require.NoError(t, os.CopyFS(save, os.DirFS(l.dir)))
		return func() {
			require.NoError(t, os.RemoveAll(l.dir))
			require.NoError(t, os.CopyFS(l.dir, os.DirFS(save)))
			require.NoError(t, filepath.WalkDir(l.dir, func(path string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() && !bytes.Contains([]byte(path), []byte("/bucket/")) {
					err = os.Chmod(path, 0o600)
				} else if err == nil && d.IsDir() {
					err = os.Chmod(path, 0o700)
				}
				return err
			}))
		}
	}
	found, err := house.Fsck(t.Context(), l.dir, quiet)
	require.NoError(t, err)
	require.Empty(t, found.Disagreements)
	require.NotZero(t, found.Records)
	segments, err := filepath.Glob(filepath.Join(l.dir, "bucket", "records", "*", "*"))
	require.NoError(t, err)
	slices.Sort(segments)
	for _, c := range []struct {
		name string
		do   func()
		want string
	}{
		{"an opening in the database", func() { change("records.db", `UPDATE records SET opening = zeroblob(32) WHERE sequence = 1`) }, "another than the archive"},
		{"a mark in the database", func() { change("records.db", `UPDATE records SET mark = zeroblob(32) WHERE sequence = 1`) }, "not written by this service"},
		{"a record less in the database", func() {
			change("records.db", `DELETE FROM records WHERE (stream, sequence) IN (SELECT stream, sequence FROM records ORDER BY stream LIMIT 1)`)
		}, "the database has none"},
		{"a receipt of another", func() {
			change("records.db", `UPDATE receipts SET receipt = (SELECT receipt FROM receipts WHERE sequence = 0 LIMIT 1) WHERE sequence = 2`)
		}, "its receipt"},
		{"an erasure nobody ordered", func() { change("records.db", `UPDATE records SET record = x'' WHERE sequence = 1`) }, "erased in the database or in the archive"},
		{"an old leaf in the engine", func() { change("log.db", `UPDATE LeafData SET LeafValue = zeroblob(65) WHERE SequenceNumber = 1`) }, "altered or split"},
		{"a segment less in the bucket", func() { require.NoError(t, os.Remove(segments[1])) }, "archive:"},
		{"the last segment", func() { require.NoError(t, os.Remove(segments[len(segments)-1])) }, "it ends after"},
	} {
		t.Run(c.name, func(t *testing.T) {
			restore := copied(t)
			defer restore()
			c.do()
			found, err := house.Fsck(t.Context(), l.dir, quiet)
			require.NoError(t, err)
			require.Contains(t, "\n"+joined(found.Disagreements), c.want)
		})
	}
	found, err = house.Fsck(t.Context(), l.dir, quiet)
	require.NoError(t, err)
	require.Empty(t, found.Disagreements)
	require.Zero(t, found.Pending)

	// Stopped between the log and the database, which every start puts right.
	change("records.db", `INSERT INTO outbox SELECT 1000000, stream, length - 1 FROM streams WHERE stream = 'policy';
		DELETE FROM receipts WHERE (stream, sequence) IN (SELECT stream, sequence FROM outbox);
		UPDATE streams SET proven = length - 1 WHERE stream = 'policy'`)
	waiting, err := house.Fsck(t.Context(), l.dir, quiet)
	require.NoError(t, err)
	require.Empty(t, waiting.Disagreements)
	require.EqualValues(t, 1, waiting.Pending)
	require.Equal(t, found.Records, waiting.Records)
	r := start(t, l.dir)
	require.Eventually(t, func() bool {
		db, err := sql.Open("sqlite3", "file:"+filepath.Join(l.dir, "records.db")+"?mode=ro")
		require.NoError(t, err)
		waiting := 1
		err = db.QueryRowContext(t.Context(), `SELECT count(*) FROM outbox`).Scan(&waiting)
		require.NoError(t, db.Close())
		return err == nil && waiting == 0
	}, 30*time.Second, 20*time.Millisecond)
	r.stop()
	again, err := house.Fsck(t.Context(), l.dir, quiet)
	require.NoError(t, err)
	require.Empty(t, again.Disagreements)
	require.Zero(t, again.Pending)
}

func joined(lines []string) (all string) {
	for _, l := range lines {
		all += l + "\n"
	}
	return all
}
