package guard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// How long a ticket can be used: to begin a use, and for one use to last.
const (
	ticketLife = 15 * time.Minute
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
	if _, err := g.stillPermitted(ctx, t); err != nil {
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
var ErrWithdrawn = errors.New("the right to this evidence was withdrawn, or the item was found damaged")

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
	case !d.permit:
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
func (u *Use) Abandon() { u.g.uses.end(u.ticket.Grant, 0, false) }

// uses keeps the uses under way of each ticket.
type uses struct {
	mu     sync.Mutex
	active map[custody.Digest]*underWay
	over   map[custody.Digest]bool // being settled, or settled: no use begins any more
}

type underWay struct {
	uses  int
	sent  uint64 // bytes handed over in all uses that ended
	ended bool   // one of them came to the end of the stretch
}

// begin counts a use, or returns false when the ticket is being settled.
func (u *uses) begin(t Ticket) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over[t.Grant] {
		return false
	}
	if u.active[t.Grant] == nil {
		u.active[t.Grant] = &underWay{sent: t.Sent}
	}
	u.active[t.Grant].uses++
	return true
}

// settle lets no further use begin.
func (u *uses) settle(grant custody.Digest) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.over[grant] = true
}

// forget is for a ticket that the store has closed.
func (u *uses) forget(grant custody.Digest) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.over, grant)
}

// end ends one use. last says that no other is under way, and then what became
// of all of them together.
func (u *uses) end(grant custody.Digest, sent uint64, toTheEnd bool) (all underWay, last bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	w := u.active[grant]
	w.uses--
	w.sent += sent
	w.ended = w.ended || toTheEnd
	if w.uses == 0 {
		delete(u.active, grant)
	}
	return *w, w.uses == 0
}

// busy returns the grants of which uses are under way.
func (u *uses) busy() map[custody.Digest]bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	list := map[custody.Digest]bool{}
	for grant := range u.active {
		list[grant] = true
	}
	return list
}

// Begin begins a use of a ticket by the holder of a session who is the one
// that earned it. On return the use is counted on disk, and the Pass permits to
// read. custody.ErrUnknown when there is no such ticket for him, or it is used
// up or expired. The caller must call End.
func (g *Guard) Begin(ctx context.Context, session, token string) (*Use, error) {
	s, ok := g.sessions.find(session)
	if !ok {
		return nil, fmt.Errorf("%w: the session is over; log in again", ErrUnauthenticated)
	}
	t, err := g.Store.BeginUse(ctx, g.ticketDigest(token))
	if isUnknown(err) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	u := &Use{g: g, ticket: t}
	if !g.uses.begin(t) {
		return nil, errors.Join(custody.ErrUnknown, g.Store.EndUse(context.WithoutCancel(ctx), t.Grant, 0))
	}
	now := g.Now()
	if t.Principal != s.Principal || !now.Before(t.Expires) {
		return nil, errors.Join(custody.ErrUnknown, u.End(context.WithoutCancel(ctx), 0, false))
	}
	item, err := g.stillPermitted(ctx, t)
	if err != nil {
		return nil, errors.Join(err, u.End(context.WithoutCancel(ctx), 0, false))
	}
	u.Pass = Pass{
		grant: t.Grant, incident: item.Incident, evidence: t.Evidence, artifact: item.Artifact,
		span: t.Span, expires: now.Add(useLife),
	}
	return u, nil
}

// Permitted returns nil while the right that the use stands on is there. Long
// reads ask again and again.
func (u *Use) Permitted(ctx context.Context) error {
	_, err := u.g.stillPermitted(ctx, u.ticket)
	return err
}

// End ends the use: sent bytes were handed over, to the end of the ticket's
// stretch or not. When that completes the stretch the release is put on record
// and the ticket is closed; otherwise the ticket can be used again until it
// expires. ctx has to outlive the client's request.
func (u *Use) End(ctx context.Context, sent uint64, toTheEnd bool) error {
	err := u.g.Store.EndUse(ctx, u.ticket.Grant, sent)
	all, last := u.g.uses.end(u.ticket.Grant, sent, toTheEnd)
	if err != nil || !last || !all.ended || all.sent < u.ticket.Span.Length {
		return err
	}
	return u.g.settle(ctx, u.ticket, custody.ReleaseFinished, all.sent)
}

// settle puts on record what became of a grant, and closes its ticket.
func (g *Guard) settle(ctx context.Context, t Ticket, outcome string, sent uint64) error {
	g.uses.settle(t.Grant)
	a, err := g.Attest(ctx, "", &custody.ReleaseEvidence{
		Evidence: t.Evidence, Grant: t.Grant, Outcome: outcome, Sent: sent,
	})
	if err != nil && (a == nil || a.Permit) { // a refusal says that it is on record already
		return err
	}
	if err := g.Store.CloseTicket(ctx, t.Grant); err != nil {
		return err
	}
	g.uses.forget(t.Grant)
	return nil
}

// sweepLoop settles what a stopped service left behind, and then tickets that
// expire.
func (g *Guard) sweepLoop(ctx context.Context, left map[custody.Digest]bool) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		busy := g.uses.busy() // before the tickets are read: what ends in between is settled the next time
		if open, err := g.Store.OpenTickets(ctx); err == nil {
			for _, t := range open {
				over := !g.Now().Before(t.Expires) && !busy[t.Grant]
				if (left[t.Grant] || over) && g.settle(ctx, t, outcomeOf(t), t.Sent) == nil {
					delete(left, t.Grant)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func outcomeOf(t Ticket) string {
	switch {
	case t.Begun > t.Ended:
		return custody.ReleaseUnknown
	case t.Sent == 0 && t.Span.Length > 0:
		return custody.ReleaseWithheld
	case t.Sent < t.Span.Length:
		return custody.ReleaseAborted
	default:
		return custody.ReleaseFinished
	}
}
