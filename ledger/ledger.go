// Package ledger is the transparency log: it appends leaves, proves them, and
// publishes signed checkpoints and the tiles behind them.
//
// An engine puts leaves in order and keeps them. It is not trusted: the log
// computes every root itself, from leaves it reads back and from tiles of its
// own, before it signs, and compares what it signs with what it signed last.
//
// It promises that
//   - a receipt is handed out only after the checkpoint it is under is on disk
//     in the lock store and published, and after the receipt was verified;
//   - it never signs two checkpoints of which one does not extend the other,
//     as long as the lock store remembers the last;
//   - when the engine, the tiles or the lock store contradict one another it
//     stops, says why, and repairs nothing;
//   - everything public follows c2sp.org/tlog-tiles, tlog-checkpoint and
//     tlog-proof: nothing shows which engine is behind it.
//
// It does not know what a leaf means, asks no witnesses, and cannot see that
// engine, lock store and tiles were all set back together: that takes somebody
// outside who remembers a checkpoint.
//
// Begin reading at Log in log.go; publish.go is the life of a batch, open.go
// what happens at the start. DESIGN.md tells the whole.
package ledger

import (
	"context"
	"errors"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Lock remembers the last checkpoint that the log signed. It lives apart from
// the engine, so that a restored engine does not restore it too.
type Lock interface {
	// Load returns the signed checkpoint and the time given with it, in UTC, or
	// ErrNoHead when there was never one.
	Load(ctx context.Context) (signed []byte, at time.Time, err error)
	// Swap replaces old, durably, or nothing when old is nil. When old is not
	// what is there the error is ErrLockMoved and nothing changes.
	Swap(ctx context.Context, old, new []byte, at time.Time) error
}

// Tile is a tile of hashes, or at level -1 a bundle of entries, with its
// bytes as c2sp.org/tlog-tiles has them.
type Tile struct {
	tlog.Tile // of height 8
	Data      []byte
}

// Tiles keeps tiles. They can be computed again from the leaves, so Save need
// not be durable on return, but what is lost must be the latest, never
// something in between.
type Tiles interface {
	// Size returns the size of the tree of the last Save, or 0.
	Size(ctx context.Context) (uint64, error)
	// Save keeps the tiles of a tree of that size: all of them or none. A tile
	// that is there in the same width or wider, and a size that is there or
	// larger, are left as they are.
	Save(ctx context.Context, size uint64, tiles []Tile) error
	// Load returns the widest version of the tile at level l and place n, or
	// ErrNotFound.
	Load(ctx context.Context, l int, n uint64) ([]byte, error)
}

// What can be wrong. ErrRollback, ErrFork and ErrConflict stop the log until
// somebody has looked into it; the others pass.
var (
	// ErrNoHead says that the log was never created.
	ErrNoHead = errors.New("the log has no signed head")
	// ErrExists says that there is a log, or something of one, already.
	ErrExists = errors.New("there is a log here already")
	// ErrLockMoved says that another process signed a checkpoint meanwhile.
	ErrLockMoved = errors.New("the signed head is not the expected one")
	// ErrRollback says that something was set back behind what was signed.
	ErrRollback = errors.New("the log was rolled back")
	// ErrFork says that the engine or the tiles hold something else than what
	// the log signed.
	ErrFork = errors.New("the log was altered or split")
	// ErrClock says that the clock is behind the last checkpoint.
	ErrClock = errors.New("the clock is behind the log")
	// ErrNotFound says that something is not in the log as published.
	ErrNotFound = errors.New("not in the log")
	// ErrClosed says that the log was closed.
	ErrClosed = errors.New("the log is closed")
)
