package guard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/decision"
)

// How long a ticket can be used: after it was earned or a use of it began, at
// most for so long after it was earned; and for how long one use may last. A
// retrieval of many stretches, hour after hour, needs one ticket.
const (
	ticketLife = 15 * time.Minute
	ticketMost = 24 * time.Hour
	useLife    = 24 * time.Hour
	sweepEvery = 30 * time.Second
)

// admission answers with a proven record and hands out what it earned.
func (g *Guard) admission(ctx context.Context, p *pending) (*Admission, error) {
	receipt, err := custody.ParseReceipt(p.stored.Receipt)
	if err != nil {
		return nil, err
	}
	a := &Admission{
		Record: p.stored.Record, Receipt: receipt,
		Permit: p.record.Decision.Permit, Reason: p.told,
	}
	if !a.Permit {
		return a, nil
	}
	session := Session{Principal: p.statement.Actor, Key: p.statement.Signer}
	switch act := p.statement.Act.(type) {
	case *custody.OpenSession:
		a.Token, err = g.sessions.issue(session, sessionLife, sessionIdle)
	case *custody.ExportEvidence:
		a.Token, err = g.exports.issue(Export{Evidence: act.Evidence, Principal: session.Principal}, exportLife, exportLife)
	case *custody.ExportIncident:
		a.Token, err = g.exports.issue(Export{Incident: act.Incident, Principal: session.Principal}, exportLife, exportLife)
	case *custody.RetrieveEvidence:
		a.Token, err = g.lastLook(ctx, p)
	}
	return a, err
}

// ticket makes the ticket that a retrieval earns, and its token. It is
// committed with the grant's record, so that no grant is ever without one, and
// what becomes of it can be put on record after any crash. The caller holds
// g.mu, and hands out the token only after the proof and lastLook.
func (g *Guard) ticket(ctx context.Context, s *custody.Statement, act *custody.RetrieveEvidence) (*Ticket, string, error) {
	token, _, err := newToken(g.Rand)
	if err != nil {
		return nil, "", err
	}
	item, _, err := custody.ItemOf(g.folds.view(ctx, g.now(), false), act.Evidence)
	if err != nil {
		return nil, "", err
	}
	return &Ticket{
		Token: g.ticketDigest(token), Grant: s.Payload, Principal: s.Actor, Key: s.Signer, Evidence: act.Evidence,
		Span: Range{Offset: act.Offset, Length: act.Span(item.Artifact.Size)}, Expires: g.Now().Add(ticketLife),
	}, token, nil
}

// lastLook returns the token of a proven grant if the right to it is still
// there. Where it is not, that is put on record.
func (g *Guard) lastLook(ctx context.Context, p *pending) (string, error) {
	t := *p.stored.Ticket
	_, err := g.stillPermitted(ctx, t)
	if err == nil {
		err = g.witnessed(ctx, p.stored.Receipt)
	}
	if err != nil {
		return "", errors.Join(err, g.settle(ctx, t, custody.ReleaseWithheld, 0))
	}
	return p.token, nil
}

// ticketDigest is what the store holds of a token. A restart changes it for
// all tokens, so that only tickets of this run can be used.
func (g *Guard) ticketDigest(token string) custody.Digest {
	return custody.Hash(append(g.run[:], token...))
}

// ErrWithdrawn says that the right to what a ticket is for is gone.
var ErrWithdrawn = errors.New("the right to this evidence was withdrawn")

// ErrFoundDamaged says that what a ticket is for is damaged, as is on record since
// the ticket was earned.
var ErrFoundDamaged = errors.New("the item was found damaged: none of its bytes are handed out any more")

// stillPermitted decides the retrieval of a ticket once more, without a
// record, and returns the item.
func (g *Guard) stillPermitted(ctx context.Context, t Ticket) (custody.Item, error) {
	if err := g.Log.Ready(); err != nil {
		return custody.Item{}, fmt.Errorf("%w: the log cannot be appended to: %w", ErrUnavailable, err)
	}
	s := &custody.Statement{
		Payload: t.Grant, Signer: t.Key, Kind: custody.KindRetrieveEvidence,
		Header: custody.Header{Actor: t.Principal, Audience: g.Origin, Purpose: "as granted", Expires: g.now().Add(custody.MaxValidity)},
		Act:    &custody.RetrieveEvidence{Evidence: t.Evidence, Offset: t.Span.Offset, Length: t.Span.Length},
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	d, err := g.decide(ctx, s)
	switch {
	case errors.Is(err, ErrUnauthenticated):
		return custody.Item{}, ErrWithdrawn
	case err != nil:
		return custody.Item{}, err
	case !d.Permit && d.Reason == decision.Hidden: // who has lost the right is told nothing of the item
		return custody.Item{}, ErrWithdrawn
	case !d.Permit:
		if item, _, err := custody.ItemOf(g.folds.view(ctx, g.now(), false), t.Evidence); err == nil && item.Damaged {
			return custody.Item{}, ErrFoundDamaged
		}
		return custody.Item{}, ErrWithdrawn
	}
	item, _, err := custody.ItemOf(g.folds.view(ctx, g.now(), false), t.Evidence)
	return item, err
}

// Use is one use of a ticket: from when its beginning is on disk until End.
type Use struct {
	Pass   Pass
	g      *Guard
	ticket Ticket
}

// Abandon ends the use where nobody knows any more how many bytes were handed
// over: the release goes on record as unknown once the ticket has expired.
func (u *Use) Abandon() { u.g.uses.abandon(u.ticket.Token) }

// Begin begins a use of a ticket by the holder of a session who is the one
// that earned it. On return the use is counted on disk, and the Pass permits to
// read. custody.ErrUnknown when there is no such ticket for him, or it is used
// up or expired. The caller must call End or Abandon. Uses of one ticket may be
// under way at once.
func (g *Guard) Begin(ctx context.Context, session, token string) (*Use, error) {
	s, ok := g.sessions.find(session)
	if !ok {
		return nil, fmt.Errorf("%w: the session is over; log in again", ErrUnauthenticated)
	}
	digest := g.ticketDigest(token)
	if !g.uses.begin(digest) {
		return nil, custody.ErrUnknown
	}
	t, err := g.Store.BeginUse(ctx, digest)
	if err != nil {
		g.uses.cancel(digest)
		if isUnknown(err) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	u := &Use{g: g, ticket: t}
	now := g.Now()
	if t.Principal != s.Principal || !g.uses.touch(t, now) {
		return nil, errors.Join(custody.ErrUnknown, u.End(context.WithoutCancel(ctx), Range{}, false))
	}
	item, err := g.stillPermitted(ctx, t)
	if err == nil {
		err = g.grantWitnessed(ctx, t)
	}
	if err != nil {
		return nil, errors.Join(err, u.End(context.WithoutCancel(ctx), Range{}, false))
	}
	u.Pass = Pass{
		grant: t.Grant, holder: t.Principal, incident: item.Incident, evidence: t.Evidence, artifact: item.Artifact,
		span: t.Span, expires: now.Add(useLife),
	}
	return u, nil
}

// grantWitnessed asks once more, for a use of a ticket, what lastLook asked when it was
// earned: another witness policy may have come into force.
func (g *Guard) grantWitnessed(ctx context.Context, t Ticket) error {
	stored, err := g.Store.ByPayload(ctx, t.Grant)
	if err == nil {
		err = g.genuine(stored)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return g.witnessed(ctx, stored.Receipt)
}

// Permitted returns nil while the right that the use stands on is there. Long
// reads ask again and again.
func (u *Use) Permitted(ctx context.Context) error {
	_, err := u.g.stillPermitted(ctx, u.ticket)
	return err
}

// End ends the use. handed is what was handed over, counted from the start of
// the artifact; answered says that it is all that this use was to hand over.
// When every byte of the ticket's stretch has been handed over, in this use or
// an earlier one, and no other is under way, the release is put on record as
// finished and the ticket is closed; otherwise the ticket can be used again
// until it expires. ctx has to outlive the client's request.
func (u *Use) End(ctx context.Context, handed Range, answered bool) error {
	return u.EndAll(ctx, []Range{handed}, answered)
}

// EndAll is End where several stretches were handed over: told to be zeros, for
// one, without a byte of them being sent.
func (u *Use) EndAll(ctx context.Context, handed []Range, answered bool) error {
	var n uint64
	for _, r := range handed {
		n += r.Length
	}
	err := u.g.Store.EndUse(ctx, u.ticket.Grant, n)
	sent, finished := u.g.uses.end(u.ticket, handed, answered)
	if err != nil || !finished {
		return err
	}
	return u.g.settle(ctx, u.ticket, custody.ReleaseFinished, sent)
}

// settle puts on record what became of a grant, and closes its ticket.
func (g *Guard) settle(ctx context.Context, t Ticket, outcome string, sent uint64) error {
	g.uses.close(t.Token)
	a, err := g.Attest(ctx, "", &custody.ReleaseEvidence{
		Evidence: t.Evidence, Grant: t.Grant, Outcome: outcome, Sent: sent,
	})
	if err != nil && (a == nil || a.Permit) { // a refusal says that it is on record already
		return err
	}
	if err := g.Store.CloseTicket(ctx, t.Grant); err != nil {
		return err
	}
	g.uses.forget(t.Token)
	return nil
}

// sweepLoop settles what a stopped service left behind, and then tickets that
// expire; and puts counted refusals on record.
func (g *Guard) sweepLoop(ctx context.Context, left map[custody.Digest]bool) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		_ = g.sweep(ctx, left) // what failed is tried again
		_ = g.summarise(ctx, g.now().Add(-summaryEvery))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sweep settles the tickets that are left, which it takes out of there, and
// those that have expired.
func (g *Guard) sweep(ctx context.Context, left map[custody.Digest]bool) error {
	// In this order: a use that began in time is busy, or its end is in the
	// store. What ends in between is settled the next time.
	now := g.Now()
	busy := g.uses.busy(now)
	open, err := g.Store.OpenTickets(ctx)
	if err != nil {
		return err
	}
	failed := []error{}
	for _, t := range open {
		if !left[t.Grant] && (now.Before(t.Expires) || busy[t.Token]) {
			continue
		}
		if err := g.settle(ctx, t, g.uses.outcome(t), t.Sent); err != nil {
			failed = append(failed, err)
			continue
		}
		delete(left, t.Grant)
	}
	return errors.Join(failed...)
}
