package trillian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/trillian"
	"github.com/google/trillian/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger"
)

// RemoteEngine is one tree of a Trillian log server. A log signer of its own
// puts what is queued into the tree, also while nobody calls Integrate.
//
// It promises what Engine promises, as far as the server does: that what is
// queued is on disk rests on the server's database. What it can see of a lie it
// reports: a tree that shrinks is ledger.ErrRollback; another root at the same
// size, rows that contradict themselves, and leaves in another order than it
// queued them are ledger.ErrFork.
type RemoteEngine struct {
	conn     *grpc.ClientConn
	server   trillian.TrillianLogClient
	tree     int64
	patience time.Duration
	places   *places

	queueing turn // one Queue at a time, so that calls have an order, too
	reading  turn // one reader of new leaves at a time

	mu     sync.Mutex
	known  ledger.Head               // the largest head seen; without a root after a start
	wait   map[custody.Digest]uint64 // what was queued and not seen in the tree, with its number in the order of queueing
	queued uint64                    // the last number; 0 is for what is being queued, or was there before
	placed uint64                    // the largest number seen in the tree
}

var _ ledger.Engine = (*RemoteEngine)(nil)

// ErrStalled says that leaves are queued and the tree does not grow: the log
// signer does not run, is not the master, cannot write, or has a clock that is
// behind the tree's last head. They are not lost, and not in the log.
var ErrStalled = errors.New("the log signer puts nothing into the tree")

// Close implements ledger.Engine.
func (e *RemoteEngine) Close() error { return errors.Join(e.conn.Close(), e.places.close()) }

// Queue implements ledger.Engine. A server orders leaves by the time at which
// it is asked to queue them, and takes one at a time: hence one after the other.
func (e *RemoteEngine) Queue(ctx context.Context, entries []ledger.Entry) error {
	if err := e.queueing.take(ctx); err != nil {
		return err
	}
	defer e.queueing.end()
	for _, entry := range entries {
		if err := e.queue(ctx, entry); err != nil {
			return fmt.Errorf("queue identity %s: %w", entry.Identity, err)
		}
	}
	return nil
}

// queue takes note of the entry before it is there, so that it cannot be put
// into the tree unnoticed.
func (e *RemoteEngine) queue(ctx context.Context, entry ledger.Entry) error {
	before := e.awaits(entry)
	ctx, cancel := context.WithTimeout(ctx, e.patience)
	defer cancel()
	answer, err := e.server.QueueLeaf(ctx, &trillian.QueueLeafRequest{
		LogId: e.tree, Leaf: &trillian.LogLeaf{LeafValue: entry.Leaf[:], LeafIdentityHash: entry.Identity[:]},
	})
	if err != nil {
		if !before {
			e.forget(entry)
		}
		return err
	}
	is := answer.GetQueuedLeaf()
	switch codes.Code(is.GetStatus().GetCode()) {
	case codes.OK:
		return e.took(ctx, entry)
	case codes.AlreadyExists:
		if _, seen, err := e.places.find(ctx, entry.Identity); err != nil {
			return err
		} else if seen {
			e.forget(entry)
		}
		if !bytes.Equal(is.GetLeaf().GetLeafValue(), entry.Leaf[:]) {
			return ledger.ErrConflict
		}
		return nil
	}
	return status.ErrorProto(is.GetStatus())
}

// awaits notes that an entry is to be seen in the tree, and says whether that was
// noted before.
func (e *RemoteEngine) awaits(entry ledger.Entry) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, before := e.wait[entry.Identity]
	if !before {
		e.wait[entry.Identity] = 0
	}
	return before
}

// forget notes that an entry is not waited for.
func (e *RemoteEngine) forget(entry ledger.Entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.wait, entry.Identity)
}

// took notes that an entry came after all that were queued before. One that is in
// the tree by now must not have overtaken any of them.
func (e *RemoteEngine) took(ctx context.Context, entry ledger.Entry) error {
	e.mu.Lock()
	_, waiting := e.wait[entry.Identity]
	overtook := false
	for _, n := range e.wait {
		overtook = overtook || !waiting && n > 0
	}
	e.queued++
	if waiting {
		e.wait[entry.Identity] = e.queued
	} else {
		e.placed = e.queued
	}
	e.mu.Unlock()
	if overtook {
		return e.places.spoil(ctx)
	}
	return nil
}

// arrived notes that entries are in the tree, which must have them in the order in
// which they were queued.
func (e *RemoteEngine) arrived(ctx context.Context, entries []ledger.Entry) error {
	e.mu.Lock()
	overtook := false
	for _, entry := range entries {
		if n := e.wait[entry.Identity]; n > 0 {
			overtook = overtook || n < e.placed
			e.placed = max(e.placed, n)
		}
		delete(e.wait, entry.Identity)
	}
	e.mu.Unlock()
	if overtook {
		return e.places.spoil(ctx)
	}
	return nil
}

// pollEvery is how often the tree's head is asked for while leaves are waited
// for.
const pollEvery = 2 * time.Millisecond

// Integrate implements ledger.Engine: it waits for the signer, and fails with
// ErrStalled when the tree does not grow for as long as its patience lasts.
//
// What an earlier process queued it does not know of, as a server cannot be
// asked what is queued. Such leaves come into the tree before all that is queued
// later.
func (e *RemoteEngine) Integrate(ctx context.Context) (ledger.Head, error) {
	e.mu.Lock()
	wanted := slices.Collect(maps.Keys(e.wait))
	e.mu.Unlock()
	grew, size := time.Now(), uint64(0)
	for {
		is, err := e.advance(ctx)
		if err != nil {
			return ledger.Head{}, fmt.Errorf("integrate leaves: %w", err)
		}
		if wanted = e.still(wanted); len(wanted) == 0 {
			return is, nil
		}
		if is.Size > size {
			grew, size = time.Now(), is.Size
		}
		if still := time.Since(grew); still > e.patience {
			return ledger.Head{}, fmt.Errorf("integrate leaves: %w: %d are queued, and for %s its size has been %d", ErrStalled, len(wanted),
				still.Round(100*time.Millisecond), size)
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return ledger.Head{}, fmt.Errorf("integrate leaves: %w", ctx.Err())
		}
	}
}

// still returns those identities that are still waited for.
func (e *RemoteEngine) still(identities []custody.Digest) []custody.Digest {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.DeleteFunc(identities, func(id custody.Digest) bool {
		_, waiting := e.wait[id]
		return !waiting
	})
}

// advance reads what the tree has beyond what was read before, and returns the
// head up to which that is done.
func (e *RemoteEngine) advance(ctx context.Context) (ledger.Head, error) {
	if err := e.reading.take(ctx); err != nil {
		return ledger.Head{}, err
	}
	defer e.reading.end()
	if err := e.places.sound(); err != nil {
		return ledger.Head{}, err
	}
	is, err := e.Head(ctx)
	if err != nil {
		return ledger.Head{}, err
	}
	for seen := e.places.seen(); seen < is.Size; seen = e.places.seen() {
		entries, err := e.Leaves(ctx, seen, min(seen+page, is.Size))
		if err != nil {
			return ledger.Head{}, err
		}
		if err := e.places.add(ctx, entries); err != nil {
			return ledger.Head{}, err
		}
		if err := e.arrived(ctx, entries); err != nil {
			return ledger.Head{}, err
		}
	}
	return is, nil
}

// Head implements ledger.Engine.
func (e *RemoteEngine) Head(ctx context.Context) (ledger.Head, error) {
	before := e.latest()
	ctx, cancel := context.WithTimeout(ctx, e.patience)
	defer cancel()
	answer, err := e.server.GetLatestSignedLogRoot(ctx, &trillian.GetLatestSignedLogRootRequest{LogId: e.tree})
	if err != nil {
		return ledger.Head{}, fmt.Errorf("read the engine's head: %w", err)
	}
	is, err := e.goesOn(before, answer.GetSignedLogRoot())
	if err != nil {
		return ledger.Head{}, fmt.Errorf("read the engine's head: %w", err)
	}
	return is, nil
}

func (e *RemoteEngine) latest() ledger.Head {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.known
}

// goesOn reads a head, which must go on from one that was known before it was
// asked for, and makes it known.
func (e *RemoteEngine) goesOn(before ledger.Head, root *trillian.SignedLogRoot) (ledger.Head, error) {
	var r types.LogRootV1
	if err := r.UnmarshalBinary(root.GetLogRoot()); err != nil {
		return ledger.Head{}, err
	}
	// Trillian makes up a head of size 0 without a hash when it cannot read the
	// row. That passes, so it is no ErrFork.
	if len(r.RootHash) != len(custody.Digest{}) || int64(r.TreeSize) < 0 {
		return ledger.Head{}, errors.New("the server gives a head that is none")
	}
	is := ledger.Head{Size: r.TreeSize, Root: custody.Digest(r.RootHash)}
	switch {
	case is.Size < before.Size:
		return ledger.Head{}, fmt.Errorf("%w: the engine holds %d leaves, and held %d", ledger.ErrRollback, is.Size, before.Size)
	case is.Size == before.Size && before.Root != custody.Digest{} && is.Root != before.Root:
		return ledger.Head{}, fmt.Errorf("%w: the engine's root of size %d is %s, and was %s", ledger.ErrFork, is.Size, is.Root, before.Root)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if is.Size >= e.known.Size {
		e.known = is
	}
	return is, nil
}

// page is how many leaves are asked for at once. A leaf takes about 200 bytes of
// the 4 MiB that an answer may have.
const page = 4096

// Leaves implements ledger.Engine.
func (e *RemoteEngine) Leaves(ctx context.Context, start, end uint64) ([]ledger.Entry, error) {
	if start >= end {
		return nil, nil
	}
	out, count := make([]ledger.Entry, 0, end-start), uint64(page)
	for at := start; at < end; at = start + uint64(len(out)) {
		entries, err := e.some(ctx, at, min(count, end-at), end)
		// When a row is missing the server answers for the leaves before it, and
		// with an error, like any other, for a stretch that goes on after it.
		if count = min(count, end-at) / 2; status.Code(err) == codes.Unknown && count > 0 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read leaves: %w", err)
		}
		out, count = append(out, entries...), page
	}
	return out, nil
}

// some reads count leaves of a tree that must reach as far as end.
func (e *RemoteEngine) some(ctx context.Context, start, count, end uint64) ([]ledger.Entry, error) {
	before := e.latest()
	ctx, cancel := context.WithTimeout(ctx, e.patience)
	defer cancel()
	answer, err := e.server.GetLeavesByRange(ctx, &trillian.GetLeavesByRangeRequest{LogId: e.tree, StartIndex: int64(start), Count: int64(count)})
	if err != nil {
		return nil, err
	}
	is, err := e.goesOn(before, answer.GetSignedLogRoot())
	if err != nil {
		return nil, err
	}
	if is.Size < end {
		return nil, fmt.Errorf("leaf %d of a tree of size %d", end-1, is.Size)
	}
	out := make([]ledger.Entry, 0, count)
	for i, leaf := range answer.GetLeaves() {
		entry, err := entryOf(leaf.GetLeafIdentityHash(), leaf.GetMerkleLeafHash(), leaf.GetLeafValue())
		if err != nil || leaf.GetLeafIndex() != int64(start)+int64(i) {
			return nil, fmt.Errorf("%w: leaf %d is missing or contradicts itself", ledger.ErrFork, start+uint64(i))
		}
		out = append(out, entry)
	}
	if got := uint64(len(out)); got != count {
		return nil, fmt.Errorf("%w: of the leaves from %d on there are %d instead of %d", ledger.ErrFork, start, got, count)
	}
	return out, nil
}

// Index implements ledger.Engine: places are kept on this side.
func (e *RemoteEngine) Index(ctx context.Context, identity custody.Digest) (uint64, bool, error) {
	if n, ok, err := e.places.find(ctx, identity); ok || err != nil {
		return n, ok, err
	}
	if _, err := e.advance(ctx); err != nil {
		return 0, false, fmt.Errorf("look up an identity: %w", err)
	}
	return e.places.find(ctx, identity)
}

// A turn is a lock for which one stops waiting when a context ends.
type turn chan struct{}

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) end() { <-t }
