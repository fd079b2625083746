// Package sqlite is an SQLite file opened the one safe way: write-ahead log,
// one writer, many readers, and a commit that has reached the disk before it
// returns.
//
// It promises that every connection has the settings it asked for, read back
// from SQLite itself, and that a file which is no whole database is refused. It
// knows nothing of what is kept in the file.
//
// Begin reading at Open.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
	"golang.org/x/sys/unix"
)

// Options say how a file is opened. The zero value is the safe one.
type Options struct {
	// MustExist refuses a file that is not there or is empty, where the caller
	// knows that it has been written to.
	MustExist bool
	// Derivable lets commits return before they have reached the disk
	// (synchronous=NORMAL): only for what can be computed again from elsewhere.
	// A power loss undoes the last commits and damages nothing.
	Derivable bool
	// Overwrite has SQLite write zeros over what is deleted (secure_delete).
	Overwrite bool
	// Readers bounds the connections of the reading pool; 0 means 4.
	Readers int
}

// DB is an open file.
type DB struct {
	Write *sql.DB // one connection; its transactions hold the write lock from their beginning
	Read  *sql.DB // connections that cannot write
	path  string
}

// ErrDamaged says that a file is not a whole SQLite database.
var ErrDamaged = errors.New("the database file is damaged")

// ErrFull says that the disk, or the file's limit, is full. Nothing was
// written.
var ErrFull = errors.New("the disk is full")

// Open opens or creates the file at path, mode 0600, and checks its header and
// schema.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	if err := prepare(path, o.MustExist); err != nil {
		return nil, err
	}
	readers := o.Readers
	if readers == 0 {
		readers = 4
	}
	write, err := pool(path, o, false, 1)
	if err != nil {
		return nil, err
	}
	read, err := pool(path, o, true, readers)
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	db := &DB{Write: write, Read: read, path: path}
	if err := db.check(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), db.Close())
	}
	return db, nil
}

func prepare(path string, mustExist bool) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist) && !mustExist:
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		return f.Close()
	case err != nil:
		return err
	case mustExist && info.Size() == 0:
		return fmt.Errorf("%s: %w: it is empty", path, ErrDamaged)
	}
	return os.Chmod(path, 0o600)
}

func pool(path string, o Options, readOnly bool, most int) (*sql.DB, error) {
	level, want := "FULL", map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "secure_delete": "0"}
	if o.Derivable {
		level, want["synchronous"] = "NORMAL", "1"
	}
	overwrite := "off"
	if o.Overwrite {
		overwrite, want["secure_delete"] = "on", "1"
	}
	query := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(wal)", "synchronous(" + level + ")", "foreign_keys(on)", "secure_delete(" + overwrite + ")"}}
	if readOnly {
		query["_pragma"] = append(query["_pragma"], "query_only(on)")
	}
	query.Set("_txlock", "immediate")
	name := (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query.Encode()}).String()
	db, err := driver.Open(name, func(c *sqlite3.Conn) error { return assert(c, want) })
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return db, nil
}

// assert reads a connection's settings back.
func assert(c *sqlite3.Conn, settings map[string]string) error {
	for pragma, want := range settings {
		s, _, err := c.Prepare("PRAGMA " + pragma)
		if err != nil {
			return err
		}
		got := ""
		if s.Step() {
			got = s.ColumnText(0)
		}
		if err := s.Close(); err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("sqlite: %s is %q instead of %q", pragma, got, want)
		}
	}
	return nil
}

// check reads the file's header and schema. It does not read the whole file:
// SQLite reports a damaged page when it is read.
func (db *DB) check(ctx context.Context) error {
	for _, pool := range []*sql.DB{db.Write, db.Read} {
		var n int
		if err := pool.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n); err != nil {
			return db.Explain(err)
		}
	}
	return nil
}

// Close closes all connections.
func (db *DB) Close() error { return errors.Join(db.Read.Close(), db.Write.Close()) }

// Tx runs do in a transaction of the writer: committed, and on disk, when Tx
// returns nil; undone when do or Tx fails.
func (db *DB) Tx(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := db.Write.BeginTx(ctx, nil)
	if err != nil {
		return db.Explain(err)
	}
	if err := do(tx); err != nil {
		return errors.Join(db.Explain(err), rollback(tx))
	}
	return db.Explain(tx.Commit())
}

// rollback ends a transaction that failed; SQLite may have ended it already.
func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}

// Explain adds ErrFull or ErrDamaged to the errors of SQLite that mean so. The
// driver reports a write that found no room as a general I/O error, so the
// room that is left decides.
func (db *DB) Explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sqlite3.FULL), errors.Is(err, sqlite3.IOERR) && db.noRoom():
		return fmt.Errorf("%w: %w", ErrFull, err)
	case errors.Is(err, sqlite3.CORRUPT), errors.Is(err, sqlite3.NOTADB):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// little is less room, in bytes, than a transaction may need.
const little = 1 << 20

func (db *DB) noRoom() bool {
	var s unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(db.path), &s); err != nil {
		return false
	}
	return s.Bavail*uint64(s.Bsize) < little || s.Files > 0 && s.Ffree == 0
}
