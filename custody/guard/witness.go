package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/forensic-custody/custody/custody"
)

// Witnesses returns the witness policy in force by the records of a store, those not
// yet proven too: for a service that is about to open its log.
func Witnesses(ctx context.Context, c Config) (*custody.WitnessPolicy, error) {
	st, err := newGuard(c).policyState(ctx)
	if err != nil {
		return nil, err
	}
	return custody.ParseWitnessPolicy(st.Witnesses)
}

// Witnessed says who cosigned the log's latest checkpoint and what that comes to
// by the witness policy in force.
func (g *Guard) Witnessed(ctx context.Context) (*custody.Cosigned, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened(ctx, g.Log.Checkpoint())
}

// opened opens a checkpoint under the witness policy in force. The caller holds g.mu.
func (g *Guard) opened(ctx context.Context, signed []byte) (*custody.Cosigned, error) {
	st, err := g.policyState(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	p, err := custody.ParseWitnessPolicy(st.Witnesses)
	if err != nil {
		return nil, err
	}
	return p.Open(signed, g.LogKeys.For(signed))
}

// witnessed returns nil when the record that a receipt proves lies under a
// checkpoint that as many witnesses cosigned as the policy in force asks for: the
// receipt's own, or the latest, which goes on from it. Without that no right is given
// to a byte: another log could be shown to others.
func (g *Guard) witnessed(ctx context.Context, raw []byte) error {
	r, err := custody.ParseReceipt(raw)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var c *custody.Cosigned
	for _, signed := range [][]byte{r.Checkpoint, g.Log.Checkpoint()} {
		if c, err = g.opened(ctx, signed); err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if c.Quorum != custody.QuorumNotMet && c.Size > r.Index {
			return nil
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, Stopped{
		Why:   fmt.Sprintf("the log's witnesses have not cosigned this record, so nothing is handed out (%s): try again when they answer", c),
		Cause: errors.New("quorum not met"),
	})
}

// adopted tells the log's side of the service which witness policy is in force, once
// a record that may have changed it is proven. The caller holds g.mu.
func (g *Guard) adopted(batch []*pending) {
	ours := func(p *pending) bool { return p.stored.Stream == custody.PolicyStream }
	if g.Adopted == nil || !slices.ContainsFunc(batch, ours) {
		return
	}
	st, err := g.policyState(context.Background())
	if err != nil {
		return // what comes next asks the store again
	}
	if policy, err := custody.ParseWitnessPolicy(st.Witnesses); err == nil {
		g.Adopted(policy)
	}
}
