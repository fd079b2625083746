package sql_test

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody/guard"
	store "github.com/forensic-custody/custody/storage/sql"
	"github.com/forensic-custody/custody/storage/sqlite"
)

const pageSize = 4096

// filled makes a database with records in it, closed, and returns its path.
func filled(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "records.db")
	s := openAt(t, path, store.Options{})
	h, streams := begin(t, s, 20)
	for range 10 {
		var list []guard.Stored
		for _, name := range streams {
			list = append(list, h.record(t, name, nil))
		}
		require.NoError(t, s.Commit(t.Context(), list))
		prove(t, s, list...)
	}
	require.NoError(t, s.Close())
	return path
}

func TestOpenAgain(t *testing.T) {
	path := filled(t)
	for range 2 {
		s := openAt(t, path, store.Options{MustExist: true})
		require.NoError(t, s.Check(t.Context()))
		list, err := s.Unproven(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 21, "genesis, and what opened the streams")
		require.NoError(t, s.Close())
	}
}

// TestSettings: every commit waits for the disk.
func TestSettings(t *testing.T) {
	path := filled(t)
	s := openAt(t, path, store.Options{})
	writes, reads := s.Pools()
	for _, pool := range []*sql.DB{writes, reads} {
		for name, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "secure_delete": "1"} {
			var got string
			require.NoError(t, pool.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&got))
			require.Equal(t, want, got, name)
		}
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

// TestRefusesWhatIsNotWhole damages a database in each way and opens it.
func TestRefusesWhatIsNotWhole(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string, b []byte) []byte{
		"emptied":            func(*testing.T, string, []byte) []byte { return nil },
		"cut in the middle":  func(_ *testing.T, _ string, b []byte) []byte { return b[:len(b)/2/pageSize*pageSize] },
		"cut within a page":  func(_ *testing.T, _ string, b []byte) []byte { return b[:len(b)-pageSize-100] },
		"a damaged header":   func(_ *testing.T, _ string, b []byte) []byte { copy(b, "SQLite format 4"); return b },
		"a damaged page":     func(_ *testing.T, _ string, b []byte) []byte { return noise(b, len(b)/pageSize/2) },
		"the last page":      func(_ *testing.T, _ string, b []byte) []byte { return noise(b, len(b)/pageSize-1) },
		"of another program": other("CREATE TABLE notes (text TEXT)"),
		"without a record":   other("DELETE FROM records"),
	} {
		t.Run(name, func(t *testing.T) {
			path := filled(t)
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			if name == "of another program" {
				require.NoError(t, os.Remove(path))
			}
			if b = damage(t, path, b); b != nil || name == "emptied" {
				require.NoError(t, os.WriteFile(path, b, 0o600))
			}
			_, err = store.Open(t.Context(), path, store.Options{MustExist: true})
			require.ErrorIs(t, err, sqlite.ErrDamaged)
			require.ErrorContains(t, err, path)
		})
	}
	_, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "gone.db"), store.Options{MustExist: true})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestRefusesLaterVersion(t *testing.T) {
	path := filled(t)
	other("INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)")(t, path, nil)
	_, err := store.Open(t.Context(), path, store.Options{})
	require.ErrorContains(t, err, "version 999")
	require.NotErrorIs(t, err, sqlite.ErrDamaged)
}

func noise(b []byte, page int) []byte {
	copy(b[page*pageSize:], bytes.Repeat([]byte{0x5a, 0xff, 0x13}, pageSize/3))
	return b
}

// other runs a statement of another program, or another version, on a database.
func other(statement string) func(*testing.T, string, []byte) []byte {
	return func(t *testing.T, path string, _ []byte) []byte {
		db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
		require.NoError(t, err)
		require.NoError(t, db.Tx(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(t.Context(), statement)
			return err
		}))
		require.NoError(t, db.Close())
		return nil
	}
}

func TestOpenHonoursContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := store.Open(ctx, filepath.Join(t.TempDir(), "records.db"), store.Options{})
	require.ErrorIs(t, err, context.Canceled)
}
