package trillian

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

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

	mu      sync.Mutex
	spoiled bool
}

const placesSchema = `CREATE TABLE IF NOT EXISTS tree (
  one     INTEGER PRIMARY KEY CHECK (one = 1),
  id      INTEGER NOT NULL, -- of the tree on the server
  seen    INTEGER NOT NULL, -- how many of its leaves are here
  spoiled INTEGER NOT NULL  -- 1 when its order is not that of queueing
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
		if _, err := tx.ExecContext(ctx, "INSERT INTO tree (one, id, seen, spoiled) VALUES (1, ?, 0, 0) ON CONFLICT DO NOTHING", tree); err != nil {
			return err
		}
		var id, seen int64
		if err := tx.QueryRowContext(ctx, "SELECT id, seen, spoiled FROM tree").Scan(&id, &seen, &p.spoiled); err != nil {
			return err
		}
		if id != tree {
			return fmt.Errorf("it is of tree %d, not of tree %d; if that is as it should be, move it away: it is made again", id, tree)
		}
		p.done = uint64(seen)
		return p.sound()
	})
}

// errOrder says what a clock that was set back does to leaves.
var errOrder = fmt.Errorf("%w: leaves came into the tree in another order than they were queued, as when the log server's clock is set back",
	ledger.ErrFork)

// sound returns errOrder once it was found.
func (p *places) sound() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spoiled {
		return errOrder
	}
	return nil
}

// spoil notes, for good, that leaves are in another order than they were queued,
// and returns errOrder: nothing may be signed over them, also after a restart.
func (p *places) spoil(ctx context.Context) error {
	p.mu.Lock()
	p.spoiled = true
	p.mu.Unlock()
	err := p.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE tree SET spoiled = 1")
		return err
	})
	return errors.Join(errOrder, p.db.Explain(err))
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
