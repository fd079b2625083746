package ledger

import (
	"context"
	"errors"

	"github.com/forensic-custody/custody/custody"
)

// Entry is a leaf and the name under which it is logged at most once.
type Entry struct {
	Leaf     custody.Leaf
	Identity custody.Digest // custody.Identity of the statement's payload digest
}

// Head is the size of a tree and its RFC 6962 root.
type Head struct {
	Size uint64
	Root custody.Digest
}

// ErrConflict says that an identity is in the log, or queued, with another
// leaf.
var ErrConflict = errors.New("the identity is logged with another leaf")

// Engine orders leaves and keeps them. The log does not trust it. Its methods
// may be called at once; the suite in enginetest holds an engine to them.
type Engine interface {
	// Queue takes entries in; they are durable on return. The same entry again
	// is fine and changes nothing. An identity that is there with another leaf
	// is ErrConflict, and the other entries may or may not have been taken in.
	Queue(ctx context.Context, entries []Entry) error
	// Integrate puts all that was queued before the call at the end of the
	// tree, durably, in the order of queueing, and returns the head after it.
	// With nothing queued that is the head as it was.
	Integrate(ctx context.Context) (Head, error)
	// Head returns the head of the tree as integrated so far, also after a
	// restart; a tree of no leaves has the root of RFC 6962, section 2.1.
	Head(ctx context.Context) (Head, error)
	// Leaves returns the entries from start up to but not including end, in
	// order and without a gap. What is kept of a leaf and contradicts itself, or
	// is missing below the size of the tree, is ErrFork; a tree that ends before
	// end is another error.
	Leaves(ctx context.Context, start, end uint64) ([]Entry, error)
	// Index returns the place in the tree of the entry of that identity; ok is
	// false when it is not in the tree, be it that it is still queued.
	Index(ctx context.Context, identity custody.Digest) (index uint64, ok bool, err error)
	// Close releases what the engine holds. Nothing may be called after it.
	Close() error
}
