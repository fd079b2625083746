// Package sql keeps the rows of the service: records, the heads of their
// streams, the outbox of what the log has yet to prove, the tickets of
// retrievals, and the chunks that uploads have brought.
//
// It promises:
//
//   - What a method acknowledged is on disk.
//   - What failed is there whole or not at all, and so is what was cut short.
//   - A record is added only to the heads that it was decided on. Of two that
//     were decided on the same head one is added.
//   - Records and receipts are never changed, but that Erase destroys what they
//     disclose, and records of a stream are proven from the first on, without
//     gaps.
//   - Of what Erase destroyed nothing is in the files of the database.
//
// Of a record it checks that its row says what it says itself, and no more. It
// is not trusted: whoever alters the rows is found out by those who read them,
// since records chain and stand in the log.
//
// The SQL is one text for SQLite and PostgreSQL, but for the few words in
// sqlite.go. On PostgreSQL a transaction must be SERIALIZABLE.
//
// Begin reading at migrations/0001_begin.sql, then Store.Commit.
package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/storage/sqlite"
)

// Store is an open database. Its methods may be called at once. It implements
// guard.Store.
//
// A method whose context ends while it waits for its turn to write changes
// nothing. One whose turn has come answers with what became of it.
type Store struct {
	db      *sqlite.DB
	writing map[string]*sql.Stmt // by text
	reading map[string]*sql.Stmt

	changes chan *change
	closing chan struct{}
	close   sync.Once
	done    chan struct{} // closed when the writer has ended
	failed  error         // of closing
}

var _ guard.Store = (*Store)(nil)

// errClosed says that a change came too late.
var errClosed = errors.New("the database is closed")

// start prepares the statements and starts the writer.
func start(ctx context.Context, db *sqlite.DB) (*Store, error) {
	s := &Store{db: db, changes: make(chan *change), closing: make(chan struct{}), done: make(chan struct{})}
	var err error
	if s.writing, err = prepare(ctx, db.Write, writes); err != nil {
		return nil, err
	}
	if s.reading, err = prepare(ctx, db.Read, reads); err != nil {
		return nil, err
	}
	go s.writeLoop(context.WithoutCancel(ctx))
	return s, nil
}

func prepare(ctx context.Context, db *sql.DB, texts []string) (map[string]*sql.Stmt, error) {
	m := map[string]*sql.Stmt{}
	for _, text := range texts {
		stmt, err := db.PrepareContext(ctx, text) //nolint:sqlclosecheck // closed with the database
		if err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
		m[text] = stmt
	}
	return m, nil
}

// Close ends the store. Changes that are being written are finished; those that
// wait fail.
func (s *Store) Close() error {
	s.close.Do(func() {
		close(s.closing)
		<-s.done
		s.failed = s.db.Close()
	})
	return s.failed
}

// row reads one row, in no transaction of its own making.
func (s *Store) row(ctx context.Context, text string, args []any, to ...any) error {
	return s.db.Explain(s.reading[text].QueryRowContext(ctx, args...).Scan(to...))
}

// rows reads all rows, and calls each for every one.
func (s *Store) rows(ctx context.Context, text string, args []any, each func(scan func(...any) error) error) (err error) {
	rows, err := s.reading[text].QueryContext(ctx, args...)
	if err != nil {
		return s.db.Explain(err)
	}
	defer func() { err = s.db.Explain(errors.Join(err, rows.Close())) }()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
