package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/storage/sqlite"
)

func open(t *testing.T, path string, o sqlite.Options) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(context.Background(), path, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func exec(t *testing.T, db *sqlite.DB, statement string, args ...any) {
	t.Helper()
	require.NoError(t, db.Tx(context.Background(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(context.Background(), statement, args...)
		return err
	}))
}

func pragma(t *testing.T, db *sql.DB, name string) string {
	t.Helper()
	var v string
	require.NoError(t, db.QueryRowContext(context.Background(), "PRAGMA "+name).Scan(&v))
	return v
}

func TestSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path, sqlite.Options{})
	for _, pool := range []*sql.DB{db.Write, db.Read} {
		require.Equal(t, "wal", pragma(t, pool, "journal_mode"))
		require.Equal(t, "2", pragma(t, pool, "synchronous"), "FULL")
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	derivable := open(t, filepath.Join(t.TempDir(), "y.db"), sqlite.Options{Derivable: true})
	require.Equal(t, "1", pragma(t, derivable.Write, "synchronous"), "NORMAL")
}

func TestReadersCannotWrite(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), sqlite.Options{})
	_, err := db.Read.ExecContext(context.Background(), "CREATE TABLE t (x)")
	require.Error(t, err)
}

func TestFailedTransactionLeavesNothing(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), sqlite.Options{})
	exec(t, db, "CREATE TABLE t (x)")
	failure := errors.New("no")
	err := db.Tx(context.Background(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(context.Background(), "INSERT INTO t VALUES (1)")
		return errors.Join(err, failure)
	})
	require.ErrorIs(t, err, failure)
	var n int
	require.NoError(t, db.Read.QueryRowContext(context.Background(), "SELECT count(*) FROM t").Scan(&n))
	require.Zero(t, n)
}

func TestRefusesWhatIsNoDatabase(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		p := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(p, b, 0o600))
		return p
	}
	_, err := sqlite.Open(context.Background(), write("text", bytes.Repeat([]byte("not a database\n"), 1000)), sqlite.Options{})
	require.ErrorIs(t, err, sqlite.ErrDamaged)
	_, err = sqlite.Open(context.Background(), write("empty", nil), sqlite.Options{MustExist: true})
	require.ErrorIs(t, err, sqlite.ErrDamaged)
	_, err = sqlite.Open(context.Background(), filepath.Join(dir, "missing"), sqlite.Options{MustExist: true})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	db, err := sqlite.Open(context.Background(), filepath.Join(dir, "x.db"), sqlite.Options{})
	require.NoError(t, err)
	exec(t, db, "CREATE TABLE t (x)")
	for n := 0; ; n++ {
		err := db.Tx(context.Background(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(context.Background(), "INSERT INTO t VALUES (?)", make([]byte, 100_000))
			return err
		})
		if err != nil {
			require.ErrorIs(t, err, sqlite.ErrFull)
			var rows int
			require.NoError(t, db.Read.QueryRowContext(context.Background(), "SELECT count(*) FROM t").Scan(&rows))
			require.Equal(t, n, rows, "every acknowledged row, and no other")
			break
		}
		require.Less(t, n, 100)
	}
	require.NoError(t, db.Close())
}
