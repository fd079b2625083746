package trillian

import (
	"cmp"
	"context"
	"database/sql"
	_ "embed" // the schema
	"errors"
	"time"

	"github.com/google/trillian"
	"github.com/google/trillian/storage"
	"github.com/google/trillian/storage/cache"
	"github.com/google/trillian/types"
	"github.com/transparency-dev/merkle/rfc6962"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/forensic-custody/custody/storage/sqlite"
)

//go:embed schema.sql
var schema string

// logStorage is Trillian's storage.LogStorage in an SQLite file. Writers take
// turns; readers see the tree as of the beginning of their transaction.
type logStorage struct {
	db *sqlite.DB

	// Prepared once for the one writing connection: what runs for each leaf.
	insert, find, sequence *sql.Stmt
}

var _ storage.LogStorage = (*logStorage)(nil)

// newLogStorage returns the storage in a file that has the schema.
func newLogStorage(ctx context.Context, db *sqlite.DB) (*logStorage, error) {
	s := &logStorage{db: db}
	for _, p := range []struct {
		to   **sql.Stmt
		text string
	}{{&s.insert, insertLeafSQL}, {&s.find, findLeafSQL}, {&s.sequence, sequenceLeafSQL}} {
		stmt, err := db.Write.PrepareContext(ctx, p.text) //nolint:sqlclosecheck // kept, and closed with the storage
		if err != nil {
			return nil, errors.Join(db.Explain(err), s.close())
		}
		*p.to = stmt
	}
	return s, nil
}

// close releases the prepared statements. The file stays open.
func (s *logStorage) close() error {
	var errs []error
	for _, stmt := range []*sql.Stmt{s.insert, s.find, s.sequence} {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(errs...)
}

// CheckDatabaseAccessible implements storage.LogStorage.
func (s *logStorage) CheckDatabaseAccessible(ctx context.Context) error {
	return s.db.Explain(s.db.Read.PingContext(ctx))
}

// GetActiveLogIDs implements storage.LogStorage. Logs that drain are active:
// leaves are still integrated into them.
func (s *logStorage) GetActiveLogIDs(ctx context.Context) ([]int64, error) {
	rows, err := s.db.Read.QueryContext(ctx, `SELECT TreeId FROM Trees
		WHERE TreeType IN ('LOG', 'PREORDERED_LOG') AND TreeState IN ('ACTIVE', 'DRAINING') AND DeleteTimeMillis IS NULL`)
	if err != nil {
		return nil, s.db.Explain(err)
	}
	defer rows.Close()
	ids := []int64{}
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, s.db.Explain(rows.Err())
}

// SnapshotForTree implements storage.LogStorage. For a tree without a head it
// returns a transaction together with storage.ErrTreeNeedsInit.
func (s *logStorage) SnapshotForTree(ctx context.Context, tree *trillian.Tree) (storage.ReadOnlyLogTreeTX, error) {
	tx, err := s.db.Read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, s.db.Explain(err)
	}
	t, err := s.begin(ctx, tx, tree)
	if t == nil {
		return nil, err
	}
	return t, err
}

// ReadWriteTransaction implements storage.LogStorage. It never repeats do. Where
// the file failed, that is the error, whatever do made of it.
func (s *logStorage) ReadWriteTransaction(ctx context.Context, tree *trillian.Tree, do storage.LogTXFunc) error {
	t, err := s.beginWrite(ctx, tree)
	if err != nil && !errors.Is(err, storage.ErrTreeNeedsInit) {
		return err
	}
	if err := do(ctx, t); err != nil {
		return errors.Join(cmp.Or(t.failed, err), t.Close())
	}
	return t.Commit(ctx)
}

// QueueLeaves implements storage.LogStorage: the leaves, or those of them that
// are not there yet, are on disk when it returns.
func (s *logStorage) QueueLeaves(ctx context.Context, tree *trillian.Tree, leaves []*trillian.LogLeaf, at time.Time) ([]*trillian.QueuedLogLeaf, error) {
	return s.inTree(ctx, tree, func(t *logTX) ([]*trillian.QueuedLogLeaf, error) { return t.queue(ctx, leaves, at) })
}

// AddSequencedLeaves implements storage.LogStorage.
func (s *logStorage) AddSequencedLeaves(ctx context.Context, tree *trillian.Tree, leaves []*trillian.LogLeaf, at time.Time) ([]*trillian.QueuedLogLeaf, error) {
	return s.inTree(ctx, tree, func(t *logTX) ([]*trillian.QueuedLogLeaf, error) { return t.addSequenced(ctx, leaves, at) })
}

// inTree runs do in a transaction on a tree that has a head.
func (s *logStorage) inTree(ctx context.Context, tree *trillian.Tree,
	do func(*logTX) ([]*trillian.QueuedLogLeaf, error)) ([]*trillian.QueuedLogLeaf, error) {
	t, err := s.beginWrite(ctx, tree)
	if err != nil {
		if t != nil {
			err = errors.Join(err, t.Close())
		}
		return nil, err
	}
	out, err := do(t)
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return out, t.Commit(ctx)
}

func (s *logStorage) beginWrite(ctx context.Context, tree *trillian.Tree) (*logTX, error) {
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return nil, s.db.Explain(err)
	}
	return s.begin(ctx, tx, tree)
}

// begin wraps tx. With storage.ErrTreeNeedsInit it returns a usable
// transaction; with another error it returns none and tx is undone.
func (s *logStorage) begin(ctx context.Context, tx *sql.Tx, tree *trillian.Tree) (*logTX, error) {
	t := &logTX{
		storage: s, tx: tx, tree: tree.TreeId, preordered: tree.TreeType == trillian.TreeType_PREORDERED_LOG,
		cache: cache.NewLogSubtreeCache(rfc6962.DefaultHasher), dequeued: map[string]int64{},
	}
	var root types.LogRootV1
	err := tx.QueryRowContext(ctx, "SELECT TreeHeadTimestamp, TreeSize, RootHash FROM TreeHead WHERE TreeId = ?", t.tree).
		Scan(&root.TimestampNanos, &root.TreeSize, &root.RootHash)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return t, storage.ErrTreeNeedsInit
	case err != nil:
		return nil, errors.Join(s.db.Explain(err), t.Close())
	}
	t.root = &root
	return t, nil
}

// outcome describes what became of one leaf.
func outcome(leaf *trillian.LogLeaf, code codes.Code, why string) *trillian.QueuedLogLeaf {
	q := &trillian.QueuedLogLeaf{Leaf: leaf}
	if code != codes.OK {
		q.Status = status.New(code, why).Proto()
	}
	return q
}
