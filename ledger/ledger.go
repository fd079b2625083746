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
// It does not know what a leaf means, and cannot see by itself that
// engine, lock store and tiles were all set back together: that takes somebody
// outside who remembers a checkpoint. Where it is given witnesses it asks them, at every
// start and for every checkpoint, and stops when one has seen more than it signed.
//
// Begin reading at Log in log.go; publish.go is the life of a batch, read.go
// what is served, tree.go the arithmetic. DESIGN.md tells the whole.
package ledger

import "errors"

// What can be wrong. ErrRollback, ErrFork and ErrConflict stop the log until
// somebody has looked into it; the others pass.
var (
	// ErrNoHead says that there is no signed checkpoint: the log was never
	// created, or its lock has been lost.
	ErrNoHead = errors.New("the log has no signed head")
	// ErrExists says that there is a log, or something of one, already.
	ErrExists = errors.New("there is a log here already")
	// ErrLockMoved says that another checkpoint is in the lock than expected:
	// another process signed one meanwhile.
	ErrLockMoved = errors.New("the signed head is not the expected one")
	// ErrRollback says that something was set back behind what was signed.
	ErrRollback = errors.New("the log was rolled back")
	// ErrFork says that the engine or the tiles hold something else than what
	// the log signed.
	ErrFork = errors.New("the log was altered or split")
	// ErrClock says that the clock is behind the last checkpoint.
	ErrClock = errors.New("the clock is behind the log")
	// ErrClosed says that the log was closed.
	ErrClosed = errors.New("the log is closed")
)
