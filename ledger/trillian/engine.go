// Package trillian is the log's engine on Trillian: in this process, with
// Trillian's storage in one SQLite file, or on a Trillian log server with a log
// signer, over gRPC. It is the only package that names Trillian.
//
// It promises what ledger.Engine asks for: what is queued is on disk, each
// identity is in the tree at most once, and the tree only grows. Trillian's
// own conformance suites run against the storage; on a server these promises are
// the server's, and RemoteEngine reports what it can see of their breach.
//
// It signs nothing and proves nothing; the ledger computes the roots again.
// The tree is of type LOG with a maximal root duration of 0: other types and
// durations have lost leaves when two sequencers ran.
//
// Begin reading at Engine; open.go says how one comes into being. storage.go,
// tx.go and admin.go implement Trillian's storage interfaces. RemoteEngine in
// remote.go is the other engine, dial.go says how it comes into being, places.go
// what it keeps on this side.
package trillian

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/trillian"
	"github.com/google/trillian/log"
	"github.com/google/trillian/quota"
	"github.com/transparency-dev/merkle/rfc6962"
	"google.golang.org/grpc/codes"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/storage/sqlite"
)

// Engine is one Trillian log in one SQLite file.
type Engine struct {
	db    *sqlite.DB
	store *logStorage
	tree  *trillian.Tree
	clock *steady
}

var _ ledger.Engine = (*Engine)(nil)

// Close implements ledger.Engine.
func (e *Engine) Close() error {
	var err error
	if e.store != nil {
		err = e.store.close()
	}
	return errors.Join(err, e.db.Close())
}

// Queue implements ledger.Engine.
func (e *Engine) Queue(ctx context.Context, entries []ledger.Entry) error {
	leaves := make([]*trillian.LogLeaf, len(entries))
	for i := range entries {
		leaves[i] = &trillian.LogLeaf{
			LeafValue:        entries[i].Leaf[:],
			MerkleLeafHash:   rfc6962.DefaultHasher.HashLeaf(entries[i].Leaf[:]),
			LeafIdentityHash: entries[i].Identity[:],
		}
	}
	queued, err := e.store.QueueLeaves(ctx, e.tree, leaves, e.clock.Now())
	if err != nil {
		return fmt.Errorf("queue %d leaves: %w", len(entries), err)
	}
	for i, q := range queued {
		switch codes.Code(q.GetStatus().GetCode()) {
		case codes.OK:
		case codes.AlreadyExists:
			if !bytes.Equal(q.Leaf.LeafValue, entries[i].Leaf[:]) {
				return fmt.Errorf("queue identity %s: %w", entries[i].Identity, ledger.ErrConflict)
			}
		default:
			return fmt.Errorf("queue identity %s: %s", entries[i].Identity, q.Status.Message)
		}
	}
	return nil
}

// most is how many leaves are integrated in one transaction.
const most = 4096

// Integrate implements ledger.Engine.
func (e *Engine) Integrate(ctx context.Context) (ledger.Head, error) {
	for {
		n, err := log.IntegrateBatch(ctx, e.tree, most, 0, 0, e.clock, e.store, quota.Noop())
		if err != nil {
			return ledger.Head{}, fmt.Errorf("integrate leaves: %w", errors.Join(err, e.contradiction(ctx)))
		}
		if n < most {
			return e.Head(ctx)
		}
	}
}

// Head implements ledger.Engine.
func (e *Engine) Head(ctx context.Context) (ledger.Head, error) {
	var size int64
	var root []byte
	err := e.db.Read.QueryRowContext(ctx, "SELECT TreeSize, RootHash FROM TreeHead WHERE TreeId = ?", e.tree.TreeId).Scan(&size, &root)
	switch {
	case errors.Is(err, sql.ErrNoRows), err == nil && (size < 0 || len(root) != len(custody.Digest{})):
		return ledger.Head{}, fmt.Errorf("read the engine's head: %w: it is missing or malformed", ledger.ErrFork)
	case err != nil:
		return ledger.Head{}, fmt.Errorf("read the engine's head: %w", e.db.Explain(err))
	}
	return ledger.Head{Size: uint64(size), Root: custody.Digest(root)}, nil
}

// Leaves implements ledger.Engine. That a row contradicts itself does not
// depend on the tree; a row that was replaced whole is for the log to notice.
func (e *Engine) Leaves(ctx context.Context, start, end uint64) ([]ledger.Entry, error) {
	if start >= end {
		return nil, nil
	}
	head, err := e.Head(ctx)
	if err != nil {
		return nil, err
	}
	if end > head.Size {
		return nil, fmt.Errorf("read leaves %d to %d of a tree of size %d", start, end, head.Size)
	}
	rows, err := e.db.Read.QueryContext(ctx, `SELECT SequenceNumber, LeafIdentityHash, MerkleLeafHash, LeafValue FROM LeafData
		WHERE TreeId = ? AND SequenceNumber IS NOT NULL AND SequenceNumber >= ? AND SequenceNumber < ? ORDER BY SequenceNumber`,
		e.tree.TreeId, int64(start), int64(end))
	if err != nil {
		return nil, fmt.Errorf("read leaves: %w", e.db.Explain(err))
	}
	defer rows.Close()
	out := make([]ledger.Entry, 0, end-start)
	for rows.Next() {
		want := start + uint64(len(out))
		var index int64
		var identity, hash, value sql.RawBytes
		if err := rows.Scan(&index, &identity, &hash, &value); err != nil {
			return nil, fmt.Errorf("read leaf %d: %w", want, e.db.Explain(err))
		}
		entry, err := entryOf(identity, hash, value)
		if err != nil || uint64(index) != want {
			return nil, fmt.Errorf("read leaf %d: %w: its row is missing or contradicts itself", want, ledger.ErrFork)
		}
		out = append(out, entry)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read leaves: %w", e.db.Explain(err))
	}
	if got := start + uint64(len(out)); got < end {
		return nil, fmt.Errorf("read leaf %d: %w: it is missing", got, ledger.ErrFork)
	}
	return out, nil
}

// entryOf makes an entry of a row whose hash is that of its value.
func entryOf(identity, hash, value []byte) (ledger.Entry, error) {
	leaf, err := custody.ParseLeaf(value)
	if err != nil {
		return ledger.Entry{}, err
	}
	if len(identity) != len(custody.Digest{}) || !bytes.Equal(hash, rfc6962.DefaultHasher.HashLeaf(value)) {
		return ledger.Entry{}, errors.New("the hash of the row is not that of the leaf")
	}
	return ledger.Entry{Leaf: leaf, Identity: custody.Digest(identity)}, nil
}

// Index implements ledger.Engine.
func (e *Engine) Index(ctx context.Context, identity custody.Digest) (uint64, bool, error) {
	var index sql.NullInt64
	err := e.db.Read.QueryRowContext(ctx, "SELECT SequenceNumber FROM LeafData WHERE TreeId = ? AND LeafIdentityHash = ?",
		e.tree.TreeId, identity[:]).Scan(&index)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("look up an identity: %w", e.db.Explain(err))
	}
	return uint64(index.Int64), index.Valid, nil
}
