package sql

import (
	"context"
	"database/sql"
)

// Pools returns the connections, so that a test sees their settings.
func (s *Store) Pools() (write, read *sql.DB) { return s.db.Write, s.db.Read }

// Busy makes the writer do the change do, and nothing else until it returns.
func (s *Store) Busy(do func()) error {
	return s.write(context.Background(), func(*transaction) error { do(); return nil })
}
