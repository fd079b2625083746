// Package trillian is the log's engine on Trillian, in this process, with
// Trillian's storage in one SQLite file. It is the only package that names
// Trillian.
//
// It promises what ledger.Engine asks for: what is queued is on disk, each
// identity is in the tree at most once, and the tree only grows. Trillian's
// own conformance suites run against the storage.
//
// It signs nothing and proves nothing; the ledger computes the roots again.
// The tree is of type LOG with a maximal root duration of 0: other types and
// durations have lost leaves when two sequencers ran.
//
// Begin reading at Engine; storage.go, tx.go and admin.go implement Trillian's
// storage interfaces.
package trillian

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/trillian"
	"github.com/google/trillian/log"
	"github.com/google/trillian/quota"
	"github.com/google/trillian/storage"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"k8s.io/klog/v2"

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

// Create makes an empty log in a new file at path, once: it refuses with
// ledger.ErrExists when the file holds anything. The log is on disk, and so is
// the file's name, when Create returns.
func Create(ctx context.Context, path string) error {
	if err := create(ctx, path, time.Now); err != nil {
		return fmt.Errorf("create the log's engine in %s: %w", path, err)
	}
	return nil
}

func create(ctx context.Context, path string, now func() time.Time) (err error) {
	db, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Tx(ctx, func(tx *sql.Tx) error {
		return (&adminTX{adminStorage{db, now}, tx}).found(ctx)
	}); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// found makes the tables, the tree, and its head of size 0.
func (t *adminTX) found(ctx context.Context) error {
	var tables int
	if err := t.tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	if tables > 0 {
		return ledger.ErrExists
	}
	if _, err := t.tx.ExecContext(ctx, schema); err != nil {
		return err
	}
	tree, err := t.CreateTree(ctx, &trillian.Tree{
		TreeState:       trillian.TreeState_ACTIVE,
		TreeType:        trillian.TreeType_LOG,
		DisplayName:     "custody",
		MaxRootDuration: durationpb.New(0),
	})
	if err != nil {
		return err
	}
	_, err = t.tx.ExecContext(ctx, "INSERT INTO TreeHead (TreeId, TreeHeadTimestamp, TreeSize, RootHash) VALUES (?, ?, 0, ?)",
		tree.TreeId, t.now().UnixNano(), rfc6962.DefaultHasher.EmptyRoot())
	return err
}

// syncFolder makes the name of a file just made in a folder durable.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Open opens the log that Create made in the file at path. It refuses a file
// that is missing, is empty, or holds no such log.
func Open(ctx context.Context, path string) (*Engine, error) {
	e, err := open(ctx, path, time.Now)
	if err != nil {
		return nil, fmt.Errorf("open the log's engine in %s: %w", path, err)
	}
	return e, nil
}

// open takes the clock for the times that Trillian keeps with its leaves.
// Nothing is proven by them, so Open does not ask for one.
func open(ctx context.Context, path string, now func() time.Time) (*Engine, error) {
	if err := quieten(); err != nil {
		return nil, err
	}
	log.InitMetrics(nil)
	db, err := sqlite.Open(ctx, path, sqlite.Options{MustExist: true})
	if err != nil {
		return nil, err
	}
	e := &Engine{db: db, clock: &steady{now: now}}
	if err := e.load(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// quieten makes Trillian's logger print errors only: what it has to say of
// batches is of no use to an operator. The logger's settings are global to the
// process, but its flags are not put on the command line.
func quieten() error {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	return errors.Join(flags.Set("legacy_stderr_threshold_behavior", "false"), flags.Set("stderrthreshold", "ERROR"))
}

// load finds the tree and sets the clock past all times kept.
func (e *Engine) load(ctx context.Context) error {
	var err error
	if e.tree, err = theTree(ctx, adminStorage{e.db, e.clock.Now}); err != nil {
		return err
	}
	var last int64
	if err := e.db.Read.QueryRowContext(ctx, `SELECT max(
		coalesce((SELECT max(TreeHeadTimestamp) FROM TreeHead), 0),
		coalesce((SELECT max(QueueTimestampNanos) FROM LeafData WHERE SequenceNumber IS NULL), 0))`).Scan(&last); err != nil {
		return e.db.Explain(err)
	}
	e.clock.last = time.Unix(0, last)
	if e.store, err = newLogStorage(ctx, e.db); err != nil {
		return err
	}
	_, err = e.Head(ctx)
	return err
}

// theTree returns the one tree in the file.
func theTree(ctx context.Context, admin adminStorage) (*trillian.Tree, error) {
	trees, err := storage.ListTrees(ctx, admin, true)
	if err != nil {
		return nil, err
	}
	if len(trees) != 1 {
		return nil, fmt.Errorf("%w: %d trees instead of one", ledger.ErrFork, len(trees))
	}
	t := trees[0]
	if t.Deleted || t.TreeState != trillian.TreeState_ACTIVE || t.TreeType != trillian.TreeType_LOG || t.MaxRootDuration.AsDuration() != 0 {
		return nil, fmt.Errorf("%w: the tree is not an active LOG without a root duration", ledger.ErrFork)
	}
	return t, nil
}

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

// contradiction says what does not fit together in the file, with
// ledger.ErrFork. Trillian refuses to build on such a file, but its errors are
// of no kind that could be told from a full disk.
func (e *Engine) contradiction(ctx context.Context) error {
	head, err := e.Head(ctx)
	if err != nil {
		return err
	}
	root, err := e.root(ctx, head.Size)
	if err != nil {
		return err
	}
	if root != head.Root {
		return fmt.Errorf("%w: the engine's head has root %s, its tree %s", ledger.ErrFork, head.Root, root)
	}
	var beyond int64
	if err := e.db.Read.QueryRowContext(ctx, "SELECT count(*) FROM LeafData WHERE TreeId = ? AND SequenceNumber >= ?",
		e.tree.TreeId, int64(head.Size)).Scan(&beyond); err != nil {
		return e.db.Explain(err)
	}
	if beyond > 0 {
		return fmt.Errorf("%w: the engine has %d leaves beyond its head", ledger.ErrFork, beyond)
	}
	return nil
}

// root computes the root of the tree's first leaves from its nodes.
func (e *Engine) root(ctx context.Context, size uint64) (root custody.Digest, err error) {
	if size == 0 {
		return custody.Digest(rfc6962.DefaultHasher.EmptyRoot()), nil
	}
	tx, err := e.store.SnapshotForTree(ctx, e.tree)
	if err != nil {
		return root, err
	}
	defer func() { err = errors.Join(err, tx.Close()) }()
	ids := compact.RangeNodes(0, size, nil)
	nodes, err := tx.GetMerkleNodes(ctx, ids)
	if err != nil {
		return root, err
	}
	if len(nodes) != len(ids) {
		return root, fmt.Errorf("%w: nodes of the tree are missing", ledger.ErrFork)
	}
	hashes := make([][]byte, len(nodes))
	for i, n := range nodes {
		hashes[i] = n.Hash
	}
	factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	edge, err := factory.NewRange(0, size, hashes)
	if err != nil {
		return root, err
	}
	b, err := edge.GetRootHash(nil)
	if err != nil {
		return root, err
	}
	return custody.Digest(b), nil
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
