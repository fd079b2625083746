package trillian

import (
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
	"github.com/google/trillian/storage"
	"github.com/transparency-dev/merkle/rfc6962"
	"google.golang.org/protobuf/types/known/durationpb"
	"k8s.io/klog/v2"

	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/storage/sqlite"
)

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
	return trees[0], usable(trees[0])
}
