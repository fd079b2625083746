package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// A request is one call of Append.
type request struct {
	entries  []Entry
	receipts []*custody.Receipt
	err      error
	done     chan struct{} // closed when receipts or err are set
}

// maxBatch bounds how many leaves of several calls are published together. A
// call is never split.
const maxBatch = 1024

// Append adds leaves under their identities (custody.Identity) and returns
// their receipts, in order and without extra data. When it returns, the
// checkpoint in the receipts is on disk in the lock and published, and each
// receipt has been verified. Calls that wait at once share a checkpoint, whose
// bytes in the receipts must not be changed.
//
// A leaf that is in the log under its identity is not added again; its receipt
// is under the latest checkpoint. ErrConflict when the identity is there with
// another leaf; this stops the log, as do ErrRollback and ErrFork. ErrClock
// while the clock is behind the last checkpoint. When Append fails, also with
// the error of ctx, the leaves may be in the log: appending them again is safe.
func (l *Log) Append(ctx context.Context, leaves []custody.Leaf, identities []custody.Digest) ([]*custody.Receipt, error) {
	if len(leaves) != len(identities) {
		return nil, fmt.Errorf("append %d leaves to the log: there are %d identities", len(leaves), len(identities))
	}
	if len(leaves) == 0 {
		return nil, nil
	}
	r := &request{entries: make([]Entry, len(leaves)), done: make(chan struct{})}
	for i, leaf := range leaves {
		if _, err := custody.ParseLeaf(leaf[:]); err != nil {
			return nil, fmt.Errorf("append to the log: %w", err)
		}
		r.entries[i] = Entry{Leaf: leaf, Identity: identities[i]}
	}
	if err := l.submit(ctx, r); err != nil {
		return nil, fmt.Errorf("append %d leaves to the log: %w", len(leaves), err)
	}
	return r.receipts, nil
}

// submit hands a request to the publisher and waits for its end.
func (l *Log) submit(ctx context.Context, r *request) error {
	select {
	case l.requests <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.stopped:
		return ErrClosed
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retryEvery is how often a log in trouble looks whether that is over.
const retryEvery = time.Second

// publisher publishes requests, all that wait at once as one batch. It is the
// only one that signs and that moves the published head.
func (l *Log) publisher() {
	defer close(l.stopped)
	for {
		var retry <-chan time.Time
		if l.inTrouble() {
			retry = time.After(retryEvery)
		}
		select {
		case <-l.ctx.Done():
			return
		case <-retry:
			_ = l.serve(l.ctx, nil) // Ready tells how it went
		case <-l.late():
			if err := l.cosignAgain(l.ctx); err != nil {
				l.note(err)
			}
		case first := <-l.requests:
			batch := l.gather(first)
			err := l.serve(l.ctx, batch)
			if l.ctx.Err() != nil && err != nil {
				err = ErrClosed
			}
			for _, r := range batch {
				r.err = err
				close(r.done)
			}
		}
	}
}

func (l *Log) gather(first *request) []*request {
	batch, n := []*request{first}, len(first.entries)
	for n < maxBatch {
		select {
		case r := <-l.requests:
			batch, n = append(batch, r), n+len(r.entries)
		default:
			return batch
		}
	}
	return batch
}

// attempts is how often a batch is tried when others sign at the same time.
const attempts = 3

// serve publishes a batch, and with it what earlier ones left behind, and gives
// its requests their receipts. What happened to the batch before, if that went
// wrong, is read back from the lock first.
func (l *Log) serve(ctx context.Context, batch []*request) error {
	if err := l.mayAppend(); err != nil {
		return err
	}
	var err error
	for range attempts {
		err = l.attempt(ctx, batch)
		l.note(err)
		if !errors.Is(err, ErrLockMoved) {
			break
		}
	}
	return err
}

func (l *Log) attempt(ctx context.Context, batch []*request) error {
	if l.inTrouble() {
		if err := l.follow(ctx); err != nil {
			return err
		}
	}
	return l.publish(ctx, batch)
}

func (l *Log) mayAppend() error {
	l.mu.Lock()
	halted := l.halted
	l.mu.Unlock()
	if halted != nil {
		return halted
	}
	return l.clock()
}

func (l *Log) inTrouble() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trouble != nil && l.halted == nil
}

// note takes down how a batch ended, and stops the log for what cannot be.
func (l *Log) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trouble = err
	if halts(err) {
		l.halted = fmt.Errorf("the log has stopped: %w", err)
	}
}

// halts reports whether an error is one that a person must look into.
func halts(err error) bool {
	return errors.Is(err, ErrRollback) || errors.Is(err, ErrFork) || errors.Is(err, ErrConflict)
}

// publish is the life of a batch: queue, integrate, read back and compute,
// archive, sign, lock, store the tiles, have it cosigned, show, prove.
func (l *Log) publish(ctx context.Context, batch []*request) error {
	if entries := entriesOf(batch); len(entries) > 0 {
		if err := l.c.Engine.Queue(ctx, entries); err != nil {
			return err
		}
	}
	is, err := l.c.Engine.Integrate(ctx)
	if err != nil {
		return err
	}
	before := l.published.Load()
	grown, err := l.extend(ctx, before.tree, is)
	if err != nil {
		return err
	}
	after := before
	if is.Size > before.tree.size {
		if err := l.keep(ctx, before, grown.entries); err != nil {
			return err
		}
		if after, err = l.c.sign(grown.tree); err != nil {
			return err
		}
		if err := l.lockIn(ctx, before, after); err != nil {
			return err
		}
		if after, err = l.release(ctx, after, grown.tiles); err != nil {
			return err
		}
	}
	return l.receipts(ctx, after, grown.places, batch)
}

func entriesOf(batch []*request) []Entry {
	var out []Entry
	for _, r := range batch {
		out = append(out, r.entries...)
	}
	return out
}

// keep archives what is about to be signed for.
func (l *Log) keep(ctx context.Context, before *head, entries []Entry) error {
	if l.c.Archive == nil {
		return nil
	}
	return l.c.Archive.Keep(ctx, before.tree.size, entries, before.shown)
}

// growth is a tree that goes on from a published one.
type growth struct {
	tree    *tree
	tiles   []Tile                    // to be stored with it
	places  map[custody.Digest]uint64 // indexes of the new leaves, by identity
	entries []Entry                   // the new leaves, in order
}

// extend reads back what the engine added to a tree, computes the tree that
// this makes, and compares its root with the engine's.
func (l *Log) extend(ctx context.Context, from *tree, to Head) (*growth, error) {
	if to.Size < from.size {
		return nil, fmt.Errorf("%w: the engine holds %d leaves, and %d were signed", ErrRollback, to.Size, from.size)
	}
	g := &growth{tree: from, places: map[custody.Digest]uint64{}}
	for g.tree.size < to.Size {
		start := g.tree.size
		entries, err := l.readBack(ctx, start, min(start+chunk, to.Size))
		if err != nil {
			return nil, err
		}
		for i, e := range entries {
			g.places[e.Identity] = start + uint64(i)
		}
		t, tiles := g.tree.grow(entries)
		g.tree, g.tiles, g.entries = t, append(g.tiles, tiles...), append(g.entries, entries...)
	}
	root, err := g.tree.root()
	if err != nil {
		return nil, err
	}
	if root != to.Root {
		return nil, fmt.Errorf("%w: the engine's root of size %d is not the root of its leaves after what was signed", ErrFork, to.Size)
	}
	return g, nil
}

// lockIn puts a head into the lock, in place of the one that it goes on from.
// Nothing signed is shown before.
func (l *Log) lockIn(ctx context.Context, before, after *head) error {
	if err := l.clock(); err != nil {
		return err
	}
	at := l.now()
	if err := l.c.Lock.Swap(ctx, before.signed, after.signed, at); err != nil {
		return err
	}
	l.locked(at)
	return nil
}

func (l *Log) locked(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.signedAt = at
}

// release has a head that is in the lock cosigned, and publishes it.
func (l *Log) release(ctx context.Context, h *head, tiles []Tile) (*head, error) {
	if l.c.Witnesses == nil {
		return h, l.show(ctx, h, tiles)
	}
	if len(tiles) > 0 { // proofs for the witnesses are read from them
		if err := l.c.Tiles.Put(ctx, tiles, nil); err != nil {
			return nil, err
		}
	}
	h, err := l.cosigned(ctx, h)
	if err != nil {
		return nil, err
	}
	return h, l.show(ctx, h, nil)
}

// show publishes a head that is in the lock.
func (l *Log) show(ctx context.Context, h *head, tiles []Tile) error {
	if err := l.c.Tiles.Put(ctx, tiles, h.shown); err != nil {
		return err
	}
	l.published.Store(h)
	return nil
}

// chunk is how many leaves are read back at once.
const chunk = 16 * tileWidth

// follow goes on from the published head to the one in the lock, which is the
// last that was signed, and publishes it. The leaves in between come from the
// engine; they must give the root that was signed.
func (l *Log) follow(ctx context.Context) error {
	signed, at, err := l.c.Lock.Load(ctx)
	if err != nil {
		return err
	}
	to, err := l.c.open(signed)
	if err != nil {
		return fmt.Errorf("%w: in the lock: %w", ErrFork, err)
	}
	from := l.published.Load()
	if to.checkpoint.Size < from.checkpoint.Size {
		return fmt.Errorf("%w: the lock is at size %d, and %d was published", ErrRollback, to.checkpoint.Size, from.checkpoint.Size)
	}
	if err := l.reaches(ctx, to.checkpoint); err != nil {
		return err
	}
	tiles, err := l.derive(ctx, from.tree, to)
	if err != nil {
		return err
	}
	if !bytes.Equal(to.signed, from.signed) {
		if _, err := l.release(ctx, to, tiles); err != nil {
			return err
		}
	}
	l.locked(at)
	return nil
}

// derive gives a head its tree, from an earlier tree and the engine's leaves,
// and returns the last tiles of it. Those before are stored already: nobody is
// shown them until the head is published.
func (l *Log) derive(ctx context.Context, t *tree, to *head) ([]Tile, error) {
	var tiles []Tile
	for t.size < to.checkpoint.Size {
		if len(tiles) > 0 {
			if err := l.c.Tiles.Put(ctx, tiles, nil); err != nil {
				return nil, err
			}
		}
		entries, err := l.readBack(ctx, t.size, min(t.size+chunk, to.checkpoint.Size))
		if err != nil {
			return nil, err
		}
		t, tiles = t.grow(entries)
	}
	to.tree = t
	return tiles, to.check()
}
