package guard

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/policy"
)

// reasonHidden is the reason on record of a refusal whose actor may not know
// more than that he was refused.
const reasonHidden = "not permitted, or no such thing"

// decision is what was found about a statement, before it is a record.
type decision struct {
	permit   bool
	reason   string // on record, when refused
	told     string // to the actor, when refused
	rules    []string
	policy   custody.Digest
	stream   custody.Stream
	declares []custody.Stream
	basis    []custody.Head
	now      custody.Time
}

// decide finds out whether the statement is lawful and permitted now. The
// caller holds g.mu. An error means that nothing could be decided.
func (g *Guard) decide(ctx context.Context, s *custody.Statement) (*decision, error) {
	v := g.folds.view(ctx, g.now(), false)
	d := &decision{now: v.now, rules: []string{}}
	if s.Expires < v.now {
		return nil, fmt.Errorf("%w: the statement expired at %s while it waited; sign it again", ErrUnauthenticated, s.Expires)
	}
	roles, err := g.rolesOf(v, s)
	if err != nil {
		return nil, err
	}
	rules, err := g.policyInForce(v)
	if err != nil {
		return nil, err
	}
	d.policy = rules.Digest()

	out, lawErr := s.Act.Lawful(v, s)
	if lawErr != nil && !isUnknown(lawErr) && !errors.As(lawErr, new(custody.Unlawful)) {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, lawErr)
	}
	request := policy.Request{Principal: s.Actor, Roles: roles, Action: s.Kind, Resource: out.Resource, Purpose: s.Purpose}
	if request.Locks, err = locks(v); err != nil {
		return nil, err
	}
	if out.Resource.Type != "" {
		answer := rules.Decide(request)
		d.permit, d.rules = answer.Permit, answer.Rules
	}
	switch {
	case !d.permit:
		d.reason, d.told = reasonHidden, RefusedText
	case isUnknown(lawErr):
		d.permit, d.reason, d.told = false, reasonHidden, RefusedText
	case lawErr != nil:
		d.permit, d.reason, d.told = false, lawErr.Error(), lawErr.Error()
	default:
		d.stream, d.declares = out.Stream, out.Declares
	}
	if !d.permit {
		d.stream = g.refusalStream(rules, request, out)
	}
	if d.stream == "" {
		return nil, errNoLiveKey // a newcomer's refusal: he has no stream
	}
	if _, err := v.State(d.stream); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	d.basis = v.basis()
	return d, nil
}

// refusalStream says where a refusal is recorded: with the thing, if the actor
// may know that it exists, and else in his own stream.
func (g *Guard) refusalStream(rules *policy.Policy, r policy.Request, out custody.Outcome) custody.Stream {
	if out.Stream != "" {
		r.Action = policy.ReadRecords
		if rules.Decide(r).Permit {
			return out.Stream
		}
	}
	if r.Principal == "" {
		return ""
	}
	return r.Principal.Stream()
}

// rolesOf looks the actor up once more: the key must be live at the decision.
func (g *Guard) rolesOf(v *view, s *custody.Statement) ([]custody.Role, error) {
	if s.Actor == "" {
		return []custody.Role{policy.RoleNewcomer}, nil
	}
	p, err := custody.PrincipalOf(v, s.Actor)
	if isUnknown(err) {
		return nil, errNoLiveKey
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if _, err := p.Key(s.Signer); err != nil {
		return nil, errNoLiveKey
	}
	return p.Roles(), nil
}

// locks says whether the store was proven to lock what is sealed.
func locks(v custody.View) (bool, error) {
	state, err := v.State(custody.PolicyStream)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	store := state.(*custody.Policy).Store
	return store != nil && store.Lock, nil
}

func (g *Guard) policyInForce(v custody.View) (*policy.Policy, error) {
	state, err := v.State(custody.PolicyStream)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	st := state.(*custody.Policy)
	if p := g.policies[st.Digest]; p != nil {
		return p, nil
	}
	p, err := policy.Parse(st.Text)
	if err != nil {
		return nil, err
	}
	g.policies[st.Digest] = p
	return p, nil
}

// enqueue decides and puts the record into the queue, applied to the folds, so
// that the next decision stands on it.
func (g *Guard) enqueue(ctx context.Context, e *custody.Envelope, s *custody.Statement, objection error) (*pending, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.flight[s.Payload] != nil {
		return nil, errInFlight
	}
	d, err := g.decide(ctx, s)
	if err != nil {
		return nil, err
	}
	if d.permit && objection != nil {
		d.permit, d.reason, d.told, d.declares = false, objection.Error(), objection.Error(), nil
	}
	if !d.permit {
		if err := g.bearWith(s); err != nil {
			return nil, err
		}
	}
	p, err := g.record(e, s, d)
	if err != nil {
		return nil, err
	}
	if act, ok := s.Act.(*custody.RetrieveEvidence); ok && d.permit {
		if p.stored.Ticket, p.token, err = g.ticket(ctx, s, act); err != nil {
			clear(g.folds.cache)
			return nil, err
		}
	}
	if act, ok := s.Act.(*custody.EraseRecord); ok && d.permit {
		p.stored.Erases = g.erasing(s, act)
	}
	if !d.permit {
		g.refused.note(s.Actor, d.now)
	}
	g.queue = append(g.queue, p)
	g.flight[s.Payload] = p
	g.poke()
	return p, nil
}

// record makes the record of a decision and applies it. The caller holds g.mu.
func (g *Guard) record(e *custody.Envelope, s *custody.Statement, d *decision) (*pending, error) {
	home := g.folds.cache[d.stream]
	anchor, err := g.anchor()
	if err != nil {
		return nil, err
	}
	r := &custody.Record{
		Basis:      d.basis,
		Checkpoint: anchor,
		Decision:   custody.Decision{Permit: d.permit, Policy: d.policy, Reason: d.reason, Rules: d.rules},
		Declares:   []custody.Declaration{},
		Envelope:   *e,
		Format:     custody.RecordFormat,
		Previous:   home.head.Commitment,
		Recorded:   d.now,
		Sequence:   home.head.Length,
		Stream:     d.stream,
	}
	p, err := g.seal(r, s, d.declares, home.key)
	if err != nil {
		return nil, err
	}
	p.told = d.told
	if err := home.apply(r, s, p.stored.Commitment); err != nil {
		clear(g.folds.cache)
		return nil, err
	}
	for _, o := range p.stored.Opens {
		state, err := g.States.new(o.Stream)
		if err != nil {
			clear(g.folds.cache)
			return nil, err
		}
		g.folds.cache[o.Stream] = &folded{state: state, head: custody.Head{Stream: o.Stream}, key: o.TagKey}
	}
	return p, nil
}

// seal draws the randomness that a record needs and computes its leaf.
func (g *Guard) seal(r *custody.Record, s *custody.Statement, declares []custody.Stream, key custody.TagKey) (*pending, error) {
	stored := Stored{Stream: r.Stream, Sequence: r.Sequence, Payload: s.Payload, Basis: r.Basis}
	declares = slices.Clone(declares)
	slices.SortFunc(declares, func(a, b custody.Stream) int { return cmp.Compare(a, b) })
	for _, stream := range declares {
		o := OpenedStream{Stream: stream}
		if stream == r.Stream {
			o.TagKey = key // genesis declares the stream that it begins
		} else if said, ok := s.TagKey(); ok {
			o.TagKey = said
		} else if _, err := io.ReadFull(g.Rand, o.TagKey[:]); err != nil {
			return nil, err
		}
		stored.Opens = append(stored.Opens, o)
		r.Declares = append(r.Declares, custody.Declaration{Stream: stream, TagKey: o.TagKey.Digest()})
	}
	if _, err := io.ReadFull(g.Rand, stored.Opening[:]); err != nil {
		return nil, err
	}
	raw, err := r.Marshal()
	if err != nil {
		return nil, err
	}
	stored.Record = raw
	stored.Commitment = custody.Commit(stored.Opening, raw)
	stored.Leaf = custody.NewLeaf(stored.Commitment, key.Tag(r.Sequence))
	stored.Mark = g.mark(stored)
	return &pending{stored: stored, record: r, statement: s, done: make(chan struct{})}, nil
}

const labelMark = "custody/v1/row"

// mark is HMAC-SHA256(RowKey, label || payload digest || opening || leaf ||
// record): what tells a row that this service wrote from one that somebody put
// into its database. It is no format: nothing outside the service sees it.
func (g *Guard) mark(s Stored) [32]byte { return markOf(g.RowKey, s) }

func markOf(rowKey [32]byte, s Stored) [32]byte {
	m := hmac.New(sha256.New, rowKey[:])
	m.Write([]byte(labelMark))
	m.Write(s.Payload[:])
	m.Write(s.Opening[:])
	m.Write(s.Leaf[:])
	m.Write(s.Record)
	return [32]byte(m.Sum(nil))
}

// genuine refuses a row that this service did not write.
func (g *Guard) genuine(s Stored) error {
	mark := g.mark
	if s.Erased() {
		mark = g.erasedMark
	}
	if want := mark(s); !hmac.Equal(want[:], s.Mark[:]) {
		return fmt.Errorf("%s: record %d in the database was not written by this service", s.Stream, s.Sequence)
	}
	return nil
}

func (g *Guard) anchor() (custody.Anchor, error) {
	c, err := custody.CheckpointBody(g.Log.Checkpoint())
	if err != nil {
		return custody.Anchor{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return custody.Anchor{Size: c.Size, Root: c.Root}, nil
}
