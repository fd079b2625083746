package trillian

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/storage/sqlite"
)

// places keeps where in a server's tree each identity is, in an SQLite file: a
// Trillian log server cannot be asked that. It is made of the leaves that were
// read, in their order, and can be made again from them.
type places struct {
	db   *sqlite.DB
	done uint64 // how many leaves are in it; changed by one at a time
}

const placesSchema = `CREATE TABLE IF NOT EXISTS tree (
  one  INTEGER PRIMARY KEY CHECK (one = 1),
  id   INTEGER NOT NULL, -- of the tree on the server
  seen INTEGER NOT NULL  -- how many of its leaves are here
) STRICT;
CREATE TABLE IF NOT EXISTS place (
  identity BLOB PRIMARY KEY,
  n        INTEGER NOT NULL
) STRICT, WITHOUT ROWID`

// openPlaces opens or makes the file of a tree. A file of another tree is
// refused.
func openPlaces(ctx context.Context, path string, tree int64) (*places, error) {
	db, err := sqlite.Open(ctx, path, sqlite.Options{Derivable: true})
	if err != nil {
		return nil, err
	}
	p := &places{db: db}
	if err := p.load(ctx, tree); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), db.Close())
	}
	return p, nil
}

func (p *places) load(ctx context.Context, tree int64) error {
	return p.db.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, placesSchema); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO tree (one, id, seen) VALUES (1, ?, 0) ON CONFLICT DO NOTHING", tree); err != nil {
			return err
		}
		var id, seen int64
		if err := tx.QueryRowContext(ctx, "SELECT id, seen FROM tree").Scan(&id, &seen); err != nil {
			return err
		}
		if id != tree {
			return fmt.Errorf("it is of tree %d, not of tree %d; if that is as it should be, move it away: it is made again", id, tree)
		}
		p.done = uint64(seen)
		return nil
	})
}

func (p *places) close() error { return p.db.Close() }

// seen returns how many of the tree's first leaves are in the file.
func (p *places) seen() uint64 { return p.done }

// add adds the entries that come next in the tree. ledger.ErrFork when an
// identity is there already.
func (p *places) add(ctx context.Context, entries []ledger.Entry) error {
	next := p.done + uint64(len(entries))
	err := p.db.Tx(ctx, func(tx *sql.Tx) error {
		insert, err := tx.PrepareContext(ctx, "INSERT INTO place (identity, n) VALUES (?, ?) ON CONFLICT DO NOTHING")
		if err != nil {
			return err
		}
		defer func() { _ = insert.Close() }()
		for i := range entries {
			n := p.done + uint64(i)
			done, err := insert.ExecContext(ctx, entries[i].Identity[:], int64(n))
			if err != nil {
				return err
			}
			if added, err := done.RowsAffected(); err != nil || added != 1 {
				return errors.Join(err, fmt.Errorf("%w: the identity at %d is in the tree twice", ledger.ErrFork, n))
			}
		}
		_, err = tx.ExecContext(ctx, "UPDATE tree SET seen = ?", int64(next))
		return err
	})
	if err != nil {
		return fmt.Errorf("note the places of leaves: %w", p.db.Explain(err))
	}
	p.done = next
	return nil
}

// find returns the place of an identity; ok is false when it is not among the
// leaves seen.
func (p *places) find(ctx context.Context, identity custody.Digest) (n uint64, ok bool, err error) {
	var at int64
	err = p.db.Read.QueryRowContext(ctx, "SELECT n FROM place WHERE identity = ?", identity[:]).Scan(&at)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("look up an identity: %w", p.db.Explain(err))
	}
	return uint64(at), true, nil
}
