package guard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// pending is a record on its way: decided, committed, proven.
type pending struct {
	stored    Stored
	record    *custody.Record
	statement *custody.Statement
	told      string
	token     string        // of the ticket that the record earns
	done      chan struct{} // closed when err is set, or the receipt
	err       error
}

// patience is how long an admission waits for its proof. The record may be
// proven later; the same statement then gets its receipt.
const patience = 30 * time.Second

func (g *Guard) await(ctx context.Context, p *pending) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	case <-timer.C:
		why := g.Log.Ready()
		if why == nil {
			why = errors.New("the log is slow")
		}
		return fmt.Errorf("%w: recorded, not yet proven: %w", ErrUnavailable, why)
	}
}

func (g *Guard) poke() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// maxBatch bounds how many records are committed or proven together.
const maxBatch = 1024

// commitLoop commits what is queued, all that waits in one transaction, and
// hands it on to be proven.
func (g *Guard) commitLoop(ctx context.Context) {
	defer g.failAll(fmt.Errorf("%w: the service is stopping", ErrUnavailable))
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.wake:
		}
		for {
			batch, err := g.nextBatch(ctx)
			if err != nil {
				g.failQueued(fmt.Errorf("%w: %w", ErrUnavailable, err))
				break
			}
			if len(batch) == 0 {
				break
			}
			select {
			case g.proofs <- batch:
			case <-ctx.Done():
				return
			}
		}
	}
}

// nextBatch commits what is queued and returns it, after what a crash or an
// uncertain commit may have left in the store unproven.
func (g *Guard) nextBatch(ctx context.Context) ([]*pending, error) {
	g.mu.Lock()
	rescan := g.rescan
	g.mu.Unlock()
	if rescan {
		return g.outbox(ctx)
	}
	g.mu.Lock()
	n := min(len(g.queue), maxBatch)
	batch := g.queue[:n:n]
	g.queue = g.queue[n:]
	g.mu.Unlock()
	if n == 0 {
		return nil, nil
	}
	records := make([]Stored, n)
	for i, p := range batch {
		records[i] = p.stored
	}
	if err := g.Store.Commit(ctx, records); err != nil {
		if !errors.Is(err, ErrStale) && !errors.Is(err, ErrDuplicate) {
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		g.fail(batch, err)
		return nil, nil
	}
	return batch, nil
}

// outbox adopts the records in the store that are neither proven nor in flight.
func (g *Guard) outbox(ctx context.Context) ([]*pending, error) {
	list, err := g.Store.Unproven(ctx)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rescan = false
	batch := []*pending{}
	for _, stored := range list {
		if err := g.genuine(stored); err != nil {
			return nil, err
		}
		if g.flight[stored.Payload] == nil {
			p := &pending{stored: stored, done: make(chan struct{})}
			g.flight[stored.Payload] = p
			batch = append(batch, p)
		}
	}
	if len(batch) == 0 && len(g.queue) > 0 {
		g.poke()
	}
	return batch, nil
}

// adopt takes a record that the store has and nobody is proving.
func (g *Guard) adopt(ctx context.Context, stored Stored) (*pending, error) {
	g.mu.Lock()
	g.rescan = true
	g.mu.Unlock()
	g.poke()
	for {
		g.mu.Lock()
		p, scanned := g.flight[stored.Payload], !g.rescan
		g.mu.Unlock()
		if p != nil {
			return p, nil
		}
		if scanned { // it was proven in the meantime
			again, err := g.Store.ByPayload(ctx, stored.Payload)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
			return proven(again), nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}

// fail ends a batch that was not committed, and with it all that was decided
// upon it. What the store has is folded again.
func (g *Guard) fail(batch []*pending, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	batch = append(batch, g.queue...)
	g.queue = nil
	g.rescan = true
	g.folds.cache = map[custody.Stream]*folded{}
	if errors.Is(err, ErrDuplicate) && len(batch) > 1 {
		err = ErrStale // one of them is on record; the others are decided again
	}
	for _, p := range batch {
		delete(g.flight, p.stored.Payload)
		p.err = err
		close(p.done)
	}
}

func (g *Guard) failQueued(err error) { g.fail(nil, err) }

// failAll ends everything that waits, when the guard stops.
func (g *Guard) failAll(err error) {
	g.fail(nil, err)
	g.mu.Lock()
	defer g.mu.Unlock()
	for payload, p := range g.flight {
		delete(g.flight, payload)
		p.err = err
		close(p.done)
	}
}

// retryPause is how long the prover waits before it offers the same records to
// the log again.
const retryPause = 200 * time.Millisecond

// proveLoop appends committed records to the log, in order, and keeps their
// receipts. What the log does not take stays at the head of the line.
func (g *Guard) proveLoop(ctx context.Context) {
	var line []*pending
	for {
		if len(line) == 0 {
			select {
			case <-ctx.Done():
				return
			case line = <-g.proofs:
			}
		}
		line = g.moreProofs(line)
		n := min(len(line), maxBatch)
		if err := g.prove(ctx, line[:n]); err != nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(retryPause):
				continue
			}
		}
		line = line[n:]
	}
}

func (g *Guard) moreProofs(line []*pending) []*pending {
	for {
		select {
		case more := <-g.proofs:
			line = append(line, more...)
		default:
			return line
		}
	}
}

// prove appends a batch and keeps the receipts, then wakes those who wait.
func (g *Guard) prove(ctx context.Context, batch []*pending) error {
	leaves := make([]custody.Leaf, len(batch))
	identities := make([]custody.Digest, len(batch))
	for i, p := range batch {
		leaves[i], identities[i] = p.stored.Leaf, custody.Identity(p.stored.Payload)
	}
	receipts, err := g.Log.Append(ctx, leaves, identities)
	if err != nil {
		return err
	}
	proofs := make([]Proof, len(batch))
	for i, p := range batch {
		receipts[i].Open(p.stored.Opening, p.stored.Leaf.Tag())
		proofs[i] = Proof{Payload: p.stored.Payload, Receipt: receipts[i].Marshal()}
	}
	if err := g.Store.Prove(ctx, proofs); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, p := range batch {
		p.stored.Receipt = proofs[i].Receipt
		if g.flight[p.stored.Payload] == p {
			delete(g.flight, p.stored.Payload)
			close(p.done)
		}
		if p.stored.Erases != nil {
			g.pokeErase()
		}
	}
	g.adopted(batch)
	return nil
}
