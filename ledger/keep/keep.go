// Package keep is the log's own memory: the signed head and the tiles, each in
// an SQLite file of its own.
//
// The head is on disk before Swap returns, and only one of two competing
// processes replaces it. It is the one thing here that cannot be computed
// again: its file belongs on another volume than the engine's, so that one
// accident, or one restored backup, does not set back both. The tiles are
// derived from the leaves; a power loss may take the last of them, the whole
// file may be lost, and the log fills it again when it is opened.
//
// Neither file is trusted by package ledger, which checks what it reads.
//
// Begin reading at Lock.
package keep

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/storage/sqlite"
)

// Lock implements ledger.Lock.
type Lock struct{ db *sqlite.DB }

var _ ledger.Lock = (*Lock)(nil)

const lockSchema = `CREATE TABLE IF NOT EXISTS head (
  one    INTEGER PRIMARY KEY CHECK (one = 1),
  signed BLOB    NOT NULL,
  at     INTEGER NOT NULL -- nanoseconds since 1970
) STRICT`

// OpenLock opens or creates the file at path. A new file holds no head.
func OpenLock(ctx context.Context, path string) (*Lock, error) {
	db, err := open(ctx, path, sqlite.Options{Readers: 1}, lockSchema)
	if err != nil {
		return nil, fmt.Errorf("open the log's lock: %w", err)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return nil, errors.Join(fmt.Errorf("open the log's lock: %w", err), db.Close())
	}
	return &Lock{db}, nil
}

// syncFolder makes the names of files just made in a folder durable.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Load implements ledger.Lock.
func (l *Lock) Load(ctx context.Context) ([]byte, time.Time, error) {
	var signed []byte
	var at int64
	err := l.db.Read.QueryRowContext(ctx, "SELECT signed, at FROM head").Scan(&signed, &at)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, time.Time{}, ledger.ErrNoHead
	case err != nil:
		return nil, time.Time{}, fmt.Errorf("read the log's lock: %w", l.db.Explain(err))
	}
	return signed, time.Unix(0, at).UTC(), nil
}

// Swap implements ledger.Lock.
func (l *Lock) Swap(ctx context.Context, old, new []byte, at time.Time) error {
	err := l.db.Tx(ctx, func(tx *sql.Tx) error {
		var is []byte
		err := tx.QueryRowContext(ctx, "SELECT signed FROM head").Scan(&is)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if !bytes.Equal(is, old) {
			return ledger.ErrLockMoved
		}
		_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO head (one, signed, at) VALUES (1, ?, ?)", new, at.UnixNano())
		return err
	})
	if err != nil {
		return fmt.Errorf("write the log's lock: %w", err)
	}
	return nil
}

// Close closes the file.
func (l *Lock) Close() error { return l.db.Close() }

// Tiles implements ledger.Tiles.
type Tiles struct{ db *sqlite.DB }

var _ ledger.Tiles = (*Tiles)(nil)

const tilesSchema = `CREATE TABLE IF NOT EXISTS checkpoint (
  one    INTEGER PRIMARY KEY CHECK (one = 1),
  signed BLOB    NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS tile (
  level INTEGER NOT NULL, -- -1 for bundles of entries
  n     INTEGER NOT NULL,
  data  BLOB    NOT NULL,
  UNIQUE (level, n)
) STRICT`

// OpenTiles opens or creates the file at path.
func OpenTiles(ctx context.Context, path string) (*Tiles, error) {
	db, err := open(ctx, path, sqlite.Options{Derivable: true}, tilesSchema)
	if err != nil {
		return nil, fmt.Errorf("open the log's tiles: %w", err)
	}
	return &Tiles{db}, nil
}

// Checkpoint implements ledger.Tiles.
func (t *Tiles) Checkpoint(ctx context.Context) ([]byte, error) {
	var signed []byte
	err := t.db.Read.QueryRowContext(ctx, "SELECT signed FROM checkpoint").Scan(&signed)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("read the published checkpoint: %w", t.db.Explain(err))
	}
	return signed, nil
}

// Tile implements ledger.Tiles.
func (t *Tiles) Tile(ctx context.Context, level int, n uint64) ([]byte, error) {
	var data []byte
	err := t.db.Read.QueryRowContext(ctx, "SELECT data FROM tile WHERE level = ? AND n = ?", level, int64(n)).Scan(&data)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, custody.ErrUnknown
	case err != nil:
		return nil, fmt.Errorf("read tile %d of level %d: %w", n, level, t.db.Explain(err))
	}
	return data, nil
}

// Put implements ledger.Tiles.
func (t *Tiles) Put(ctx context.Context, tiles []ledger.Tile, checkpoint []byte) error {
	err := t.db.Tx(ctx, func(tx *sql.Tx) error {
		for _, tile := range tiles {
			_, err := tx.ExecContext(ctx, `INSERT INTO tile (level, n, data) VALUES (?, ?, ?)
				ON CONFLICT DO UPDATE SET data = excluded.data`, tile.Level, int64(tile.N), tile.Data)
			if err != nil {
				return err
			}
		}
		if len(checkpoint) == 0 {
			return nil
		}
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO checkpoint (one, signed) VALUES (1, ?)", checkpoint)
		return err
	})
	if err != nil {
		return fmt.Errorf("store the log's tiles: %w", err)
	}
	return nil
}

// Close closes the file.
func (t *Tiles) Close() error { return t.db.Close() }

// open opens a file and makes its tables.
func open(ctx context.Context, path string, o sqlite.Options, schema string) (*sqlite.DB, error) {
	db, err := sqlite.Open(ctx, path, o)
	if err != nil {
		return nil, err
	}
	if _, err := db.Write.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(db.Explain(err), db.Close())
	}
	return db, nil
}
