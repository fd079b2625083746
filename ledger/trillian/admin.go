package trillian

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/trillian"
	"github.com/google/trillian/storage"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/forensic-custody/custody/storage/sqlite"
)

// adminStorage is Trillian's storage.AdminStorage in the file of logStorage.
type adminStorage struct {
	db  *sqlite.DB
	now func() time.Time
}

var _ storage.AdminStorage = adminStorage{}

// Snapshot implements storage.AdminStorage.
func (s adminStorage) Snapshot(ctx context.Context) (storage.ReadOnlyAdminTX, error) {
	tx, err := s.db.Read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, s.db.Explain(err)
	}
	return &adminTX{adminStorage: s, tx: tx}, nil
}

// ReadWriteTransaction implements storage.AdminStorage. It never repeats do.
func (s adminStorage) ReadWriteTransaction(ctx context.Context, do storage.AdminTXFunc) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error { return do(ctx, &adminTX{adminStorage: s, tx: tx}) })
}

// CheckDatabaseAccessible implements storage.AdminStorage.
func (s adminStorage) CheckDatabaseAccessible(ctx context.Context) error {
	return s.db.Explain(s.db.Read.PingContext(ctx))
}

// adminTX is Trillian's storage.AdminTX.
type adminTX struct {
	adminStorage
	tx *sql.Tx
}

var _ storage.AdminTX = (*adminTX)(nil)

// Commit implements storage.AdminTX.
func (t *adminTX) Commit() error { return t.db.Explain(t.tx.Commit()) }

// Close implements storage.AdminTX.
func (t *adminTX) Close() error {
	if err := t.tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}

const selectTrees = `SELECT TreeId, TreeState, TreeType, DisplayName, Description, CreateTimeMillis, UpdateTimeMillis,
	MaxRootDurationMillis, DeleteTimeMillis FROM Trees `

// GetTree implements storage.AdminTX.
func (t *adminTX) GetTree(ctx context.Context, id int64) (*trillian.Tree, error) {
	tree, err := scanTree(t.tx.QueryRowContext(ctx, selectTrees+"WHERE TreeId = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, status.Errorf(codes.NotFound, "there is no tree %d", id)
	}
	return tree, t.db.Explain(err)
}

// ListTrees implements storage.AdminTX.
func (t *adminTX) ListTrees(ctx context.Context, deletedToo bool) ([]*trillian.Tree, error) {
	rows, err := t.tx.QueryContext(ctx, selectTrees+"WHERE ? OR DeleteTimeMillis IS NULL", deletedToo)
	if err != nil {
		return nil, t.db.Explain(err)
	}
	defer rows.Close()
	trees := []*trillian.Tree{}
	for rows.Next() {
		tree, err := scanTree(rows)
		if err != nil {
			return nil, err
		}
		trees = append(trees, tree)
	}
	return trees, t.db.Explain(rows.Err())
}

// scanTree reads a row of selectTrees. States and types that are none come out
// as unknown, which no operation accepts.
func scanTree(row interface{ Scan(...any) error }) (*trillian.Tree, error) {
	tree := new(trillian.Tree)
	var state, kind string
	var created, updated, duration int64
	var deleted sql.NullInt64
	if err := row.Scan(&tree.TreeId, &state, &kind, &tree.DisplayName, &tree.Description, &created, &updated, &duration, &deleted); err != nil {
		return nil, err
	}
	tree.TreeState = trillian.TreeState(trillian.TreeState_value[state])
	tree.TreeType = trillian.TreeType(trillian.TreeType_value[kind])
	tree.CreateTime = timestamppb.New(time.UnixMilli(created))
	tree.UpdateTime = timestamppb.New(time.UnixMilli(updated))
	tree.MaxRootDuration = durationpb.New(time.Duration(duration) * time.Millisecond)
	if deleted.Valid {
		tree.Deleted, tree.DeleteTime = true, timestamppb.New(time.UnixMilli(deleted.Int64))
	}
	return tree, nil
}

// CreateTree implements storage.AdminTX.
func (t *adminTX) CreateTree(ctx context.Context, like *trillian.Tree) (*trillian.Tree, error) {
	if err := storage.ValidateTreeForCreation(ctx, like); err != nil {
		return nil, err
	}
	id, err := storage.NewTreeID()
	if err != nil {
		return nil, err
	}
	tree, now := proto.Clone(like).(*trillian.Tree), t.now().UnixMilli()
	tree.TreeId = id
	tree.CreateTime, tree.UpdateTime = timestamppb.New(time.UnixMilli(now)), timestamppb.New(time.UnixMilli(now))
	_, err = t.tx.ExecContext(ctx, `INSERT INTO Trees (TreeId, TreeState, TreeType, DisplayName, Description, CreateTimeMillis,
		UpdateTimeMillis, MaxRootDurationMillis) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, id, tree.TreeState.String(), tree.TreeType.String(),
		tree.DisplayName, tree.Description, now, now, tree.MaxRootDuration.AsDuration().Milliseconds())
	if err != nil {
		return nil, t.db.Explain(err)
	}
	return tree, nil
}

// UpdateTree implements storage.AdminTX.
func (t *adminTX) UpdateTree(ctx context.Context, id int64, change func(*trillian.Tree)) (*trillian.Tree, error) {
	tree, err := t.GetTree(ctx, id)
	if err != nil {
		return nil, err
	}
	before := proto.Clone(tree).(*trillian.Tree)
	change(tree)
	if err := storage.ValidateTreeForUpdate(ctx, before, tree); err != nil {
		return nil, err
	}
	now := t.now().UnixMilli()
	tree.UpdateTime = timestamppb.New(time.UnixMilli(now))
	_, err = t.tx.ExecContext(ctx, `UPDATE Trees SET TreeState = ?, TreeType = ?, DisplayName = ?, Description = ?, UpdateTimeMillis = ?,
		MaxRootDurationMillis = ? WHERE TreeId = ?`, tree.TreeState.String(), tree.TreeType.String(), tree.DisplayName, tree.Description,
		now, tree.MaxRootDuration.AsDuration().Milliseconds(), id)
	if err != nil {
		return nil, t.db.Explain(err)
	}
	return tree, nil
}

// SoftDeleteTree implements storage.AdminTX.
func (t *adminTX) SoftDeleteTree(ctx context.Context, id int64) (*trillian.Tree, error) {
	return t.setDeleted(ctx, id, false, sql.NullInt64{Int64: t.now().UnixMilli(), Valid: true})
}

// UndeleteTree implements storage.AdminTX.
func (t *adminTX) UndeleteTree(ctx context.Context, id int64) (*trillian.Tree, error) {
	return t.setDeleted(ctx, id, true, sql.NullInt64{})
}

func (t *adminTX) setDeleted(ctx context.Context, id int64, was bool, at sql.NullInt64) (*trillian.Tree, error) {
	if err := t.expectDeleted(ctx, id, was); err != nil {
		return nil, err
	}
	if _, err := t.tx.ExecContext(ctx, "UPDATE Trees SET DeleteTimeMillis = ? WHERE TreeId = ?", at, id); err != nil {
		return nil, t.db.Explain(err)
	}
	return t.GetTree(ctx, id)
}

// HardDeleteTree implements storage.AdminTX: the tree and its leaves are gone.
func (t *adminTX) HardDeleteTree(ctx context.Context, id int64) error {
	if err := t.expectDeleted(ctx, id, true); err != nil {
		return err
	}
	_, err := t.tx.ExecContext(ctx, "DELETE FROM Trees WHERE TreeId = ?", id)
	return t.db.Explain(err)
}

func (t *adminTX) expectDeleted(ctx context.Context, id int64, want bool) error {
	tree, err := t.GetTree(ctx, id)
	if err != nil {
		return err
	}
	if tree.Deleted != want {
		return status.Errorf(codes.FailedPrecondition, "tree %d: deleted is %t", id, tree.Deleted)
	}
	return nil
}
