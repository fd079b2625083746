package trillian

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/trillian"
	"github.com/google/trillian/storage"
	"github.com/google/trillian/storage/cache"
	"github.com/google/trillian/storage/storagepb"
	"github.com/google/trillian/storage/tree"
	"github.com/google/trillian/types"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/forensic-custody/custody/ledger"
)

const (
	insertLeafSQL = `INSERT INTO LeafData (TreeId, LeafIdentityHash, MerkleLeafHash, LeafValue, ExtraData, QueueTimestampNanos,
		SequenceNumber, IntegrateTimestampNanos) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	sequenceLeafSQL = `UPDATE LeafData SET SequenceNumber = ?, IntegrateTimestampNanos = ? WHERE Arrival = ? AND SequenceNumber IS NULL`

	selectLeaves = `SELECT MerkleLeafHash, LeafIdentityHash, LeafValue, coalesce(SequenceNumber, -1), ExtraData, QueueTimestampNanos,
		IntegrateTimestampNanos FROM LeafData `
	findLeafSQL = selectLeaves + "WHERE TreeId = ? AND LeafIdentityHash = ?"
)

// logTX is Trillian's storage.LogTreeTX: one transaction on one tree.
type logTX struct {
	mu         sync.Mutex // the methods may be called at once
	storage    *logStorage
	tx         *sql.Tx
	tree       int64
	preordered bool
	root       *types.LogRootV1 // nil before the first head
	cache      *cache.SubtreeCache
	dequeued   map[string]int64 // arrival of leaves by identity
	failed     error            // the first failure of the file
	done       bool
}

var _ storage.LogTreeTX = (*logTX)(nil)

// explain is for every error of the file: it makes it known to the storage,
// since Trillian's sequencer passes on no more than its text.
func (t *logTX) explain(err error) error {
	err = t.storage.db.Explain(err)
	if t.failed == nil {
		t.failed = err
	}
	return err
}

// Commit implements storage.LogTreeTX: what was done is on disk on return.
func (t *logTX) Commit(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	tiles, err := t.cache.UpdatedTiles()
	if err != nil {
		return errors.Join(err, t.close())
	}
	for _, s := range tiles {
		if err := t.saveSubtree(ctx, s); err != nil {
			return errors.Join(t.explain(err), t.close())
		}
	}
	t.done = true
	return t.explain(t.tx.Commit())
}

func (t *logTX) saveSubtree(ctx context.Context, s *storagepb.SubtreeProto) error {
	b, err := proto.Marshal(s)
	if err != nil {
		return err
	}
	prefix := s.Prefix
	if prefix == nil {
		prefix = []byte{} // the topmost; nil would be NULL
	}
	_, err = t.tx.ExecContext(ctx, `INSERT INTO Subtree (TreeId, SubtreeId, Nodes) VALUES (?, ?, ?)
		ON CONFLICT DO UPDATE SET Nodes = excluded.Nodes`, t.tree, prefix, b)
	return err
}

// Close implements storage.LogTreeTX.
func (t *logTX) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.close()
}

func (t *logTX) close() error {
	if t.done {
		return nil
	}
	t.done = true
	if err := t.tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}

// LatestSignedLogRoot implements storage.LogTreeTX. Despite its name nothing
// is signed.
func (t *logTX) LatestSignedLogRoot(context.Context) (*trillian.SignedLogRoot, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.root == nil {
		return nil, storage.ErrTreeNeedsInit
	}
	b, err := t.root.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return &trillian.SignedLogRoot{LogRoot: b}, nil
}

// StoreSignedLogRoot implements storage.LogTreeTX. It refuses a head that is
// older or smaller than the one it replaces.
func (t *logTX) StoreSignedLogRoot(ctx context.Context, slr *trillian.SignedLogRoot) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var root types.LogRootV1
	if err := root.UnmarshalBinary(slr.LogRoot); err != nil {
		return err
	}
	if len(root.Metadata) != 0 {
		return errors.New("log root metadata are not stored")
	}
	if root.RootHash == nil {
		root.RootHash = []byte{}
	}
	done, err := t.tx.ExecContext(ctx, `INSERT INTO TreeHead (TreeId, TreeHeadTimestamp, TreeSize, RootHash) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET TreeHeadTimestamp = excluded.TreeHeadTimestamp, TreeSize = excluded.TreeSize, RootHash = excluded.RootHash
		WHERE excluded.TreeHeadTimestamp > TreeHeadTimestamp AND excluded.TreeSize >= TreeSize`,
		t.tree, int64(root.TimestampNanos), int64(root.TreeSize), root.RootHash)
	if err != nil {
		return t.explain(err)
	}
	return oneRow(done, "a tree head that is older or smaller than the last")
}

// oneRow returns nil when exactly one row changed.
func oneRow(done sql.Result, otherwise string) error {
	n, err := done.RowsAffected()
	if err != nil {
		return err
	}
	if n != 1 {
		return status.Error(codes.FailedPrecondition, otherwise)
	}
	return nil
}

// GetMerkleNodes implements storage.LogTreeTX. Nodes are asked for that must
// be there, so a subtree that is missing is ledger.ErrFork.
func (t *logTX) GetMerkleNodes(ctx context.Context, ids []compact.NodeID) ([]tree.Node, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cache.GetNodes(ids, func(ids [][]byte) ([]*storagepb.SubtreeProto, error) {
		found, err := t.subtrees(ctx)(ids)
		if err == nil && len(found) < len(ids) {
			err = fmt.Errorf("%w: %d of %d subtrees are missing", ledger.ErrFork, len(ids)-len(found), len(ids))
		}
		return found, err
	})
}

// SetMerkleNodes implements storage.LogTreeTX. Commit writes the nodes.
func (t *logTX) SetMerkleNodes(ctx context.Context, nodes []tree.Node) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cache.SetNodes(nodes, t.subtrees(ctx))
}

// subtrees reads subtrees for the cache. Those that are not there are left out.
func (t *logTX) subtrees(ctx context.Context) cache.GetSubtreesFunc {
	return func(ids [][]byte) ([]*storagepb.SubtreeProto, error) {
		var out []*storagepb.SubtreeProto
		for _, id := range ids {
			var b []byte
			err := t.tx.QueryRowContext(ctx, "SELECT Nodes FROM Subtree WHERE TreeId = ? AND SubtreeId = ?", t.tree, id).Scan(&b)
			switch {
			case errors.Is(err, sql.ErrNoRows):
				continue
			case err != nil:
				return nil, t.explain(err)
			}
			s := new(storagepb.SubtreeProto)
			if err := proto.Unmarshal(b, s); err != nil {
				return nil, fmt.Errorf("%w: subtree %x: %w", ledger.ErrFork, id, err)
			}
			if s.Prefix == nil {
				s.Prefix = []byte{}
			}
			if !bytes.Equal(s.Prefix, id) {
				return nil, fmt.Errorf("%w: subtree %x stands in the row of %x", ledger.ErrFork, s.Prefix, id)
			}
			out = append(out, s)
		}
		return out, nil
	}
}

// GetLeavesByRange implements storage.LogTreeTX. In a log, a leaf that is
// missing below the tree's size is an error; in a preordered one it ends the
// answer.
func (t *logTX) GetLeavesByRange(ctx context.Context, start, count int64) ([]*trillian.LogLeaf, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.leaves(ctx, start, count)
}

func (t *logTX) leaves(ctx context.Context, start, count int64) ([]*trillian.LogLeaf, error) {
	if count <= 0 || start < 0 {
		return nil, status.Errorf(codes.InvalidArgument, "no leaves can be at %d, %d of them", start, count)
	}
	size := int64(0)
	if t.root != nil {
		size = int64(t.root.TreeSize)
	}
	if !t.preordered {
		if start >= size {
			return nil, status.Errorf(codes.OutOfRange, "leaf %d is outside the tree of size %d", start, size)
		}
		count = min(count, size-start)
	}
	rows, err := t.tx.QueryContext(ctx, selectLeaves+`WHERE TreeId = ? AND SequenceNumber IS NOT NULL
		AND SequenceNumber >= ? AND SequenceNumber < ? ORDER BY SequenceNumber`, t.tree, start, start+count)
	if err != nil {
		return nil, t.explain(err)
	}
	found, err := t.scan(rows)
	if err != nil {
		return nil, err
	}
	for i, leaf := range found {
		if want := start + int64(i); leaf.LeafIndex != want {
			if want < size {
				return nil, fmt.Errorf("leaf %d is missing", want)
			}
			return found[:i], nil
		}
	}
	if end := start + int64(len(found)); end < min(start+count, size) {
		return nil, fmt.Errorf("leaf %d is missing", end)
	}
	return found, nil
}

// GetLeavesByHash implements storage.LogTreeTX. No index supports it: the log
// is asked by identity and by index.
func (t *logTX) GetLeavesByHash(ctx context.Context, hashes [][]byte, _ bool) ([]*trillian.LogLeaf, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []*trillian.LogLeaf
	for _, h := range hashes {
		rows, err := t.tx.QueryContext(ctx, selectLeaves+`WHERE TreeId = ? AND MerkleLeafHash = ? AND SequenceNumber IS NOT NULL
			ORDER BY SequenceNumber`, t.tree, h)
		if err != nil {
			return nil, t.explain(err)
		}
		found, err := t.scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

func (t *logTX) scan(rows *sql.Rows) ([]*trillian.LogLeaf, error) {
	defer rows.Close()
	var out []*trillian.LogLeaf
	for rows.Next() {
		leaf, err := scanLeaf(rows)
		if err != nil {
			return nil, t.explain(err)
		}
		out = append(out, leaf)
	}
	return out, t.explain(rows.Err())
}

// scanLeaf reads a row of selectLeaves.
func scanLeaf(row interface{ Scan(...any) error }) (*trillian.LogLeaf, error) {
	leaf := new(trillian.LogLeaf)
	var queued int64
	var integrated sql.NullInt64
	if err := row.Scan(&leaf.MerkleLeafHash, &leaf.LeafIdentityHash, &leaf.LeafValue, &leaf.LeafIndex, &leaf.ExtraData,
		&queued, &integrated); err != nil {
		return nil, err
	}
	leaf.QueueTimestamp = timestamppb.New(time.Unix(0, queued))
	if integrated.Valid {
		leaf.IntegrateTimestamp = timestamppb.New(time.Unix(0, integrated.Int64))
	}
	return leaf, nil
}

// DequeueLeaves implements storage.LogTreeTX: leaves in the order in which
// they were queued.
func (t *logTX) DequeueLeaves(ctx context.Context, limit int, cutoff time.Time) ([]*trillian.LogLeaf, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.preordered {
		if t.root == nil {
			return nil, storage.ErrTreeNeedsInit
		}
		return t.leaves(ctx, int64(t.root.TreeSize), int64(limit))
	}
	rows, err := t.tx.QueryContext(ctx, `SELECT Arrival, LeafIdentityHash, MerkleLeafHash, QueueTimestampNanos FROM LeafData
		WHERE TreeId = ? AND SequenceNumber IS NULL AND QueueTimestampNanos <= ?
		ORDER BY QueueTimestampNanos, Arrival LIMIT ?`, t.tree, cutoff.UnixNano(), limit)
	if err != nil {
		return nil, t.explain(err)
	}
	defer rows.Close()
	var out []*trillian.LogLeaf
	for rows.Next() {
		leaf := new(trillian.LogLeaf)
		var arrival, queued int64
		if err := rows.Scan(&arrival, &leaf.LeafIdentityHash, &leaf.MerkleLeafHash, &queued); err != nil {
			return nil, t.explain(err)
		}
		if _, again := t.dequeued[string(leaf.LeafIdentityHash)]; again {
			continue
		}
		t.dequeued[string(leaf.LeafIdentityHash)] = arrival
		leaf.QueueTimestamp = timestamppb.New(time.Unix(0, queued))
		out = append(out, leaf)
	}
	return out, t.explain(rows.Err())
}

// UpdateSequencedLeaves implements storage.LogTreeTX.
func (t *logTX) UpdateSequencedLeaves(ctx context.Context, leaves []*trillian.LogLeaf) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	sequence := t.tx.StmtContext(ctx, t.storage.sequence)
	defer func() { _ = sequence.Close() }()
	for _, leaf := range leaves {
		arrival, ok := t.dequeued[string(leaf.LeafIdentityHash)]
		if !ok {
			return fmt.Errorf("leaf %x was not dequeued", leaf.LeafIdentityHash)
		}
		done, err := sequence.ExecContext(ctx, leaf.LeafIndex, leaf.IntegrateTimestamp.AsTime().UnixNano(), arrival)
		if err != nil {
			return t.explain(err)
		}
		if err := oneRow(done, "a leaf that was sequenced already"); err != nil {
			return err
		}
	}
	return nil
}

// queue adds leaves that are not there yet and says which were.
func (t *logTX) queue(ctx context.Context, leaves []*trillian.LogLeaf, at time.Time) ([]*trillian.QueuedLogLeaf, error) {
	insert := t.tx.StmtContext(ctx, t.storage.insert)
	defer func() { _ = insert.Close() }()
	out := make([]*trillian.QueuedLogLeaf, len(leaves))
	for i, leaf := range leaves {
		leaf.QueueTimestamp = timestamppb.New(at)
		added, err := t.insert(ctx, insert, leaf, at, nil, nil)
		if err != nil {
			return nil, err
		}
		if added {
			out[i] = outcome(leaf, codes.OK, "")
			continue
		}
		first, err := scanLeaf(t.tx.StmtContext(ctx, t.storage.find).QueryRowContext(ctx, t.tree, leaf.LeafIdentityHash)) //nolint:sqlclosecheck // closed with the transaction
		if err != nil {
			return nil, t.explain(err)
		}
		out[i] = outcome(first, codes.AlreadyExists, "the identity is there already")
	}
	return out, nil
}

// addSequenced adds leaves at the indexes that they name.
func (t *logTX) addSequenced(ctx context.Context, leaves []*trillian.LogLeaf, at time.Time) ([]*trillian.QueuedLogLeaf, error) {
	insert := t.tx.StmtContext(ctx, t.storage.insert)
	defer func() { _ = insert.Close() }()
	out := make([]*trillian.QueuedLogLeaf, len(leaves))
	for i, leaf := range leaves {
		added, err := t.insert(ctx, insert, leaf, at, leaf.LeafIndex, 0)
		if err != nil {
			return nil, err
		}
		out[i] = outcome(leaf, codes.OK, "")
		if !added {
			out[i] = outcome(leaf, codes.FailedPrecondition, "the identity or the index is taken")
		}
	}
	return out, nil
}

// insert reports whether the leaf was added; index and integrated are nil for
// a leaf that waits in the queue.
func (t *logTX) insert(ctx context.Context, insert *sql.Stmt, leaf *trillian.LogLeaf, at time.Time, index, integrated any) (bool, error) {
	size := rfc6962.DefaultHasher.Size()
	if len(leaf.LeafIdentityHash) != size || len(leaf.MerkleLeafHash) != size {
		return false, status.Errorf(codes.InvalidArgument, "a leaf's identity or Merkle hash is not %d bytes", size)
	}
	value := leaf.LeafValue
	if value == nil {
		value = []byte{}
	}
	done, err := insert.ExecContext(ctx, t.tree, leaf.LeafIdentityHash, leaf.MerkleLeafHash, value, leaf.ExtraData, at.UnixNano(), index, integrated)
	if err != nil {
		return false, t.explain(err)
	}
	n, err := done.RowsAffected()
	return n == 1, err
}
