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
	"github.com/forensic-custody/custody/custody/decision"
)

// decided is what was decided about a statement, before it is a record.
type decided struct {
	*decision.Decision
	basis []custody.Head
	now   custody.Time
}

// decide finds out whether the statement is lawful and permitted now. The
// caller holds g.mu. An error means that nothing could be decided.
func (g *Guard) decide(ctx context.Context, s *custody.Statement) (*decided, error) {
	v := g.folds.view(ctx, g.now(), false)
	if s.Expires < v.now {
		return nil, fmt.Errorf("%w: the statement expired at %s while it waited; sign it again", ErrUnauthenticated, s.Expires)
	}
	d, err := g.judge.Decide(v, s)
	if errors.Is(err, decision.ErrNoKey) {
		return nil, errNoLiveKey
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return &decided{d, v.basis(), v.now}, nil
}

// enqueue decides and puts the record into the queue, applied to the folds, so
// that the next decision stands on it.
func (g *Guard) enqueue(ctx context.Context, e *custody.Envelope, s *custody.Statement, objection error) (*pending, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.flight[s.Payload] != nil {
		return nil, ErrDuplicate // found in the store in the meantime
	}
	d, err := g.decide(ctx, s)
	if err != nil {
		return nil, err
	}
	if d.Permit && objection != nil {
		d.Object(objection.Error())
	}
	if !d.Permit {
		if err := g.bearWith(s); err != nil {
			return nil, err
		}
	}
	p, err := g.record(e, s, d)
	if err != nil {
		return nil, err
	}
	if act, ok := s.Act.(*custody.RetrieveEvidence); ok && d.Permit {
		if p.stored.Ticket, p.token, err = g.ticket(ctx, s, act); err != nil {
			clear(g.folds.cache)
			return nil, err
		}
	}
	if act, ok := s.Act.(*custody.EraseRecord); ok && d.Permit {
		p.stored.Erases = g.erasing(s, act)
	}
	if !d.Permit {
		g.refused.note(s.Actor, d.now)
	}
	g.queue = append(g.queue, p)
	g.flight[s.Payload] = p
	g.poke()
	return p, nil
}

// record makes the record of a decision and applies it. The caller holds g.mu.
func (g *Guard) record(e *custody.Envelope, s *custody.Statement, d *decided) (*pending, error) {
	home := g.folds.cache[d.Stream]
	anchor, err := g.anchor()
	if err != nil {
		return nil, err
	}
	r := &custody.Record{
		Basis:      d.basis,
		Checkpoint: anchor,
		Decision:   d.Decision.Decision,
		Declares:   []custody.Declaration{},
		Envelope:   *e,
		Format:     custody.RecordFormat,
		Previous:   home.head.Commitment,
		Recorded:   d.now,
		Sequence:   home.head.Length,
		Stream:     d.Stream,
	}
	p, err := g.seal(r, s, d.Declares, home.key)
	if err != nil {
		return nil, err
	}
	p.told = d.Told
	if err := home.apply(r, s, p.stored.Commitment); err != nil {
		clear(g.folds.cache)
		return nil, err
	}
	for _, o := range p.stored.Opens {
		state, err := g.States.New(o.Stream)
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
		o := custody.OpenedStream{Stream: stream}
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
