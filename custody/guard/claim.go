package guard

import (
	"context"
	"fmt"
	"sync"

	"github.com/forensic-custody/custody/custody"
)

// first answers a statement that is on record, or is about to be. For any other
// it gives the caller, and nobody else in this process, the right to put it there,
// until he calls release, which is never nil. Between processes the store decides.
func (g *Guard) first(ctx context.Context, e *custody.Envelope, raw []byte) (a *Admission, release func(), err error) {
	payload, nothing := custody.Hash(e.Payload), func() {}
	for {
		p, release, err := g.taken(ctx, payload)
		if p == nil && err == nil {
			return nil, release, nil
		}
		if err == nil {
			err = g.await(ctx, p)
		}
		if overtaken(err) {
			continue
		} else if err != nil {
			return nil, nothing, err
		}
		a, err := answerRepeat(p.stored, raw)
		return a, nothing, err
	}
}

// taken returns the record of a statement, in flight or in the store. For any other it
// returns the claim.
func (g *Guard) taken(ctx context.Context, payload custody.Digest) (p *pending, release func(), err error) {
	p, release, err = g.claim(ctx, payload)
	if p != nil || err != nil {
		return p, nil, err
	}
	free := false
	defer func() {
		if !free { // the store failed too, or fell over
			release()
		}
	}()
	p, err = g.onRecord(ctx, payload)
	free = p == nil && err == nil
	return p, release, err
}

// claim returns the record of a statement that is in flight. For any other it
// waits until nobody decides about it, and then nobody else does until release.
func (g *Guard) claim(ctx context.Context, payload custody.Digest) (p *pending, release func(), err error) {
	for {
		g.mu.Lock()
		p, others := g.flight[payload], g.claims[payload]
		if p == nil && others == nil {
			mine := make(chan struct{})
			g.claims[payload] = mine
			release = sync.OnceFunc(func() {
				g.mu.Lock()
				delete(g.claims, payload)
				g.mu.Unlock()
				close(mine)
			})
		}
		g.mu.Unlock()
		if p != nil || release != nil {
			return p, release, nil
		}
		select {
		case <-others:
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		}
	}
}

// onRecord returns the record of a statement from the store, and nil if there
// is none.
func (g *Guard) onRecord(ctx context.Context, payload custody.Digest) (*pending, error) {
	stored, err := g.Store.ByPayload(ctx, payload)
	if isUnknown(err) {
		return nil, nil
	}
	if err == nil {
		err = g.genuine(stored)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if stored.Erased() {
		return nil, ErrErased
	}
	if stored.Receipt == nil {
		return g.adopt(ctx, stored)
	}
	return proven(stored), nil
}

// proven is a record that waits for nothing.
func proven(stored Stored) *pending {
	p := &pending{stored: stored, done: make(chan struct{})}
	close(p.done)
	return p
}
