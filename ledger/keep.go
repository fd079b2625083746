package ledger

import (
	"context"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// Lock keeps the last checkpoint that the log signed, apart from the engine's
// storage, so that an engine set back or exchanged is found out. Nothing signed
// is shown to anybody before Lock has it.
type Lock interface {
	// Load returns the signed checkpoint and when it was signed, or ErrNoHead
	// when there has never been one.
	Load(ctx context.Context) (signed []byte, at time.Time, err error)
	// Swap replaces old by new, durably on return; an empty old means that
	// there is none yet. It fails with ErrLockMoved when another than old is
	// there. After any other error the head is old or new.
	Swap(ctx context.Context, old, new []byte, at time.Time) error
}

// Tile is a stretch of the log as it is stored and served
// (c2sp.org/tlog-tiles): 256 hashes of 32 bytes, or an entry bundle, or fewer
// of them at the right edge of a level.
type Tile struct {
	Level int // EntryLevel, or 0 and up
	N     uint64
	Data  []byte
}

// EntryLevel is the level of a Tile that is an entry bundle.
const EntryLevel = -1

// Tiles keeps tiles and the published checkpoint. Nothing in it is trusted or
// irreplaceable: it can be emptied, and the log derives it again from the
// engine's leaves.
type Tiles interface {
	// Checkpoint returns the checkpoint given last, or nothing.
	Checkpoint(ctx context.Context) ([]byte, error)
	// Tile returns the data of a tile given last, or custody.ErrUnknown.
	Tile(ctx context.Context, level int, n uint64) ([]byte, error)
	// Put keeps tiles, in place of earlier ones of the same level and number,
	// and the checkpoint unless it is empty: all of it or nothing. A power loss
	// may undo the last calls, in order.
	Put(ctx context.Context, tiles []Tile, checkpoint []byte) error
}

// Archive keeps what the log is made of in another place than the engine, so
// that the log can be made again when the engine is lost.
type Archive interface {
	// Keep makes the leaves at the places from first on durable, and with them
	// whatever its implementation knows of them. Nothing is signed over a leaf
	// before. After an error or a crash it is called again with the same leaves
	// and perhaps more after them. published is the checkpoint, signed and with its
	// cosignatures, that was shown last.
	Keep(ctx context.Context, first uint64, entries []Entry, published []byte) error
}

// Witnesses are those outside who cosign checkpoints, so that nobody can be shown
// another log unseen. Package ledger/witness asks them.
type Witnesses interface {
	// Cosign asks for cosignatures over a checkpoint that the log signed and that is
	// in the lock, and returns those it has, as verified signature lines: when they are
	// a quorum, or when none is to be had in time. prove returns a consistency
	// proof from an earlier size, and may be called after Cosign has returned.
	// ErrRollback when a witness has seen a larger tree of this log, ErrFork when
	// one has seen another.
	Cosign(ctx context.Context, signed []byte, prove func(ctx context.Context, from uint64) ([]custody.Digest, error)) ([]byte, error)
	// Late tells that Cosign has more to return for the checkpoint it was asked for
	// last.
	Late() <-chan struct{}
}
