package sql

import "database/sql"

// Pools returns the connections, so that a test sees their settings.
func (s *Store) Pools() (write, read *sql.DB) { return s.db.Write, s.db.Read }
