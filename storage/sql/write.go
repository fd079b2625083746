package sql

import (
	"context"
	"database/sql"
	"fmt"
)

// A change is what one call wants written, whole or not at all.
type change struct {
	do   func(*transaction) error
	err  error
	done chan struct{} // closed when the outcome is known
}

// transaction is a change under way.
type transaction struct {
	ctx     context.Context //nolint:containedctx // lives as long as the transaction
	tx      *sql.Tx
	writing map[string]*sql.Stmt
}

// mostChanges bounds how many changes are written together.
const mostChanges = 256

// write has the writer do a change, and returns once it is on disk or has
// failed. Until its turn comes the context can call it off.
func (s *Store) write(ctx context.Context, do func(*transaction) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c := &change{do: do, done: make(chan struct{})}
	select {
	case s.changes <- c:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return errClosed
	}
	<-c.done
	return c.err
}

// writeLoop writes changes, all that wait at once in one transaction: what
// costs is the disk's answer to a commit, and so they share one.
func (s *Store) writeLoop(ctx context.Context) {
	defer close(s.done)
	for {
		select {
		case c := <-s.changes:
			s.together(ctx, c)
		case <-s.closing:
			return
		}
	}
}

func (s *Store) together(ctx context.Context, first *change) {
	group := []*change{first}
	err := s.db.Tx(ctx, func(tx *sql.Tx) error {
		group = s.waiting(group)
		t := &transaction{ctx: ctx, tx: tx, writing: s.writing}
		if len(group) == 1 {
			return first.do(t)
		}
		for _, c := range group {
			var err error
			if c.err, err = t.apart(c.do); err != nil {
				return err
			}
			c.err = s.db.Explain(c.err)
		}
		return nil
	})
	for _, c := range group {
		if c.err == nil {
			c.err = err
		}
		close(c.done)
	}
}

// waiting adds the changes that wait now.
func (s *Store) waiting(group []*change) []*change {
	for len(group) < mostChanges {
		select {
		case c := <-s.changes:
			group = append(group, c)
		default:
			return group
		}
	}
	return group
}

// apart does one of several changes, so that its failure undoes it and leaves
// the others. The second error says that nothing of the transaction stands.
func (t *transaction) apart(do func(*transaction) error) (failed, lost error) {
	if _, err := t.tx.ExecContext(t.ctx, "SAVEPOINT apart"); err != nil {
		return nil, err
	}
	failed = do(t)
	if failed != nil {
		if _, err := t.tx.ExecContext(t.ctx, "ROLLBACK TO SAVEPOINT apart"); err != nil {
			return failed, fmt.Errorf("%w; then: %w", failed, err)
		}
	}
	_, lost = t.tx.ExecContext(t.ctx, "RELEASE SAVEPOINT apart")
	return failed, lost
}

// exec runs a statement and returns how many rows it changed.
func (t *transaction) exec(text string, args ...any) (int64, error) {
	r, err := t.tx.StmtContext(t.ctx, t.writing[text]).ExecContext(t.ctx, args...) //nolint:sqlclosecheck // closed with the transaction
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// row runs a statement that returns at most one row.
func (t *transaction) row(text string, args []any, to ...any) error {
	return t.tx.StmtContext(t.ctx, t.writing[text]).QueryRowContext(t.ctx, args...).Scan(to...) //nolint:sqlclosecheck // closed with the transaction
}

// changeOne runs one statement that changes one row. It fails with none when it
// changed no row; what is what the row is about.
func (s *Store) changeOne(ctx context.Context, none error, what, text string, args ...any) error {
	err := s.write(ctx, func(t *transaction) error {
		n, err := t.exec(text, args...)
		if err == nil && n == 0 {
			return none
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
