package sql

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

const (
	selectHead     = `SELECT length, head FROM streams WHERE stream = $1`
	updateHead     = `UPDATE streams SET length = $1, head = $2 WHERE stream = $3 AND length = $4`
	insertStream   = `INSERT INTO streams (stream, tag_key, declared_by, length, head, proven) VALUES ($1, $2, $3, 0, $4, 0) ON CONFLICT (stream) DO NOTHING`
	insertRecord   = `INSERT INTO records (stream, sequence, payload, record, opening, commitment, tag, mark) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (payload) DO NOTHING`
	selectPosition = `SELECT coalesce(max(position), 0) FROM outbox`
	insertOutbox   = `INSERT INTO outbox (position, stream, sequence) VALUES ($1, $2, $3)`
	selectPlace    = `SELECT stream, sequence FROM records WHERE payload = $1`
	insertReceipt  = `INSERT INTO receipts (stream, sequence, receipt) VALUES ($1, $2, $3) ON CONFLICT (stream, sequence) DO NOTHING`
	deleteOutbox   = `DELETE FROM outbox WHERE stream = $1 AND sequence = $2`
	updateProven   = `UPDATE streams SET proven = coalesce((SELECT min(sequence) FROM outbox WHERE outbox.stream = streams.stream), length) WHERE stream = $1`
)

// Commit implements guard.Store. All records are read before anything is
// written: one that does not say of itself what its row says fails the list.
func (s *Store) Commit(ctx context.Context, records []guard.Stored) error {
	previous := make([]custody.Commitment, len(records))
	for i, r := range records {
		var err error
		if previous[i], err = previousOf(r); err != nil {
			return err
		}
	}
	return s.commit(ctx, records, previous)
}

// Restore is Commit for a store that is made again from an archive: in it, records
// that are erased stand where they stood.
func (s *Store) Restore(ctx context.Context, records []guard.Stored) error {
	previous := make([]custody.Commitment, len(records))
	for i, r := range records {
		if r.Erased() { // what it followed, nobody knows
			continue
		}
		var err error
		if previous[i], err = previousOf(r); err != nil {
			return err
		}
	}
	return s.commit(ctx, records, previous)
}

// commit adds records; previous are the commitments of those before them.
func (s *Store) commit(ctx context.Context, records []guard.Stored, previous []custody.Commitment) error {
	return s.write(ctx, func(t *transaction) error {
		c := &commit{t: t, heads: map[custody.Stream]*head{}}
		if err := t.row(selectPosition, nil, &c.position); err != nil {
			return err
		}
		for i, r := range records {
			if err := c.add(r, previous[i]); err != nil {
				return fmt.Errorf("record %d of %s: %w", r.Sequence, r.Stream, err)
			}
		}
		return c.finish()
	})
}

// previousOf reads a record and returns the commitment of the one before it.
func previousOf(r guard.Stored) (custody.Commitment, error) {
	said, err := custody.ParseRecord(r.Record)
	if err != nil {
		return custody.Commitment{}, err
	}
	if said.Stream != r.Stream || said.Sequence != r.Sequence || custody.Hash(said.Envelope.Payload) != r.Payload ||
		r.Leaf.Commitment() != r.Commitment || !slices.Equal(said.Basis, r.Basis) || !slices.EqualFunc(said.Declares, r.Opens, declares) {
		return custody.Commitment{}, fmt.Errorf("record %d of %s: its row says something else", r.Sequence, r.Stream)
	}
	if r.Ticket != nil && r.Ticket.Grant != r.Payload {
		return custody.Commitment{}, fmt.Errorf("record %d of %s: its ticket is for another", r.Sequence, r.Stream)
	}
	if r.Erases != nil && (r.Erases.Order != r.Payload || r.Erases.Stream != r.Stream || r.Erases.Sequence >= r.Sequence) {
		return custody.Commitment{}, fmt.Errorf("record %d of %s: what it orders erased is not before it in its stream", r.Sequence, r.Stream)
	}
	return said.Previous, nil
}

func declares(d custody.Declaration, o custody.OpenedStream) bool {
	return d.Stream == o.Stream && d.TagKey == o.TagKey.Digest()
}

// commit is a list of records being added. It reads each head once and writes
// it once.
type commit struct {
	t        *transaction
	heads    map[custody.Stream]*head
	position uint64 // of the last entry of the outbox
}

// head is a stream's head, as it is after the records added so far.
type head struct {
	custody.Head
	was uint64 // length in the database
}

// head returns a stream's head, or custody.ErrUnknown.
func (c *commit) head(name custody.Stream) (*head, error) {
	if h := c.heads[name]; h != nil {
		return h, nil
	}
	h := &head{Head: custody.Head{Stream: name}}
	err := c.t.row(selectHead, []any{string(name)}, &h.Length, into(&h.Commitment))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, custody.ErrUnknown
	}
	if err != nil {
		return nil, err
	}
	h.was = h.Length
	c.heads[name] = h
	return h, nil
}

func (c *commit) add(r guard.Stored, previous custody.Commitment) error {
	for _, h := range r.Basis {
		if err := c.at(h, r); err != nil {
			return err
		}
	}
	for _, o := range r.Opens {
		if err := c.open(o, r.Payload); err != nil {
			return err
		}
	}
	home, err := c.head(r.Stream)
	if err != nil {
		return err
	}
	if r.Erased() {
		previous = home.Commitment
	}
	if err := c.at(custody.Head{Stream: r.Stream, Length: r.Sequence, Commitment: previous}, r); err != nil {
		return err
	}
	tag := r.Leaf.Tag()
	if r.Erased() {
		r.Record = []byte{}
	}
	n, err := c.t.exec(insertRecord, string(r.Stream), r.Sequence, r.Payload[:], r.Record, r.Opening[:], r.Commitment[:], tag[:], r.Mark[:])
	if err != nil {
		return err
	}
	if n == 0 {
		return guard.ErrDuplicate
	}
	if r.Ticket != nil {
		if err := c.t.ticket(*r.Ticket); err != nil {
			return err
		}
	}
	if r.Erases != nil {
		if err := c.t.erasing(*r.Erases); err != nil {
			return err
		}
	}
	c.position++
	if _, err := c.t.exec(insertOutbox, c.position, string(r.Stream), r.Sequence); err != nil {
		return err
	}
	home.Length, home.Commitment = r.Sequence+1, r.Commitment
	return nil
}

// at returns nil when a stream is at this head, and what is the matter with r
// when it is not: a stream that nobody declared is at no head.
func (c *commit) at(want custody.Head, r guard.Stored) error {
	h, err := c.head(want.Stream)
	if err != nil && !errors.Is(err, custody.ErrUnknown) {
		return err
	}
	if err == nil && h.Head == want {
		return nil
	}
	var place custody.Head
	err = c.t.row(selectPlace, []any{r.Payload[:]}, &place.Stream, &place.Length)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%s: %w", want.Stream, guard.ErrStale)
	case err != nil:
		return err
	}
	return guard.ErrDuplicate // by its own doing the head may have moved on
}

// open declares a stream.
func (c *commit) open(o custody.OpenedStream, by custody.Digest) error {
	var none custody.Commitment
	n, err := c.t.exec(insertStream, string(o.Stream), o.TagKey[:], by[:], none[:])
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("%s: %w", o.Stream, guard.ErrDuplicate)
	}
	c.heads[o.Stream] = &head{Head: custody.Head{Stream: o.Stream}}
	return nil
}

// finish writes the heads, in order of stream, so that no two that do so wait
// for each other.
func (c *commit) finish() error {
	moved := []*head{}
	for _, h := range c.heads {
		if h.Length != h.was {
			moved = append(moved, h)
		}
	}
	slices.SortFunc(moved, func(a, b *head) int { return cmp.Compare(a.Stream, b.Stream) })
	for _, h := range moved {
		n, err := c.t.exec(updateHead, h.Length, h.Commitment[:], string(h.Stream), h.was)
		if err != nil {
			return err
		}
		if n != 1 {
			return fmt.Errorf("%s: %w", h.Stream, guard.ErrStale)
		}
	}
	return nil
}

// Prove implements guard.Store. It fails with custody.ErrUnknown, and keeps
// none of the receipts, when one is for no record.
func (s *Store) Prove(ctx context.Context, proofs []guard.Proof) error {
	return s.write(ctx, func(t *transaction) error {
		touched := map[string]bool{}
		for _, p := range proofs {
			stream, err := t.prove(p)
			if err != nil {
				return fmt.Errorf("receipt for %s: %w", p.Payload, err)
			}
			touched[stream] = true
		}
		for _, stream := range slices.Sorted(maps.Keys(touched)) {
			if _, err := t.exec(updateProven, stream); err != nil {
				return err
			}
		}
		return nil
	})
}

// prove keeps a receipt and returns the record's stream.
func (t *transaction) prove(p guard.Proof) (string, error) {
	var stream string
	var sequence uint64
	err := t.row(selectPlace, []any{p.Payload[:]}, &stream, &sequence)
	if errors.Is(err, sql.ErrNoRows) {
		return "", custody.ErrUnknown
	}
	if err != nil {
		return "", err
	}
	if _, err := t.exec(insertReceipt, stream, sequence, p.Receipt); err != nil {
		return "", err
	}
	_, err = t.exec(deleteOutbox, stream, sequence)
	return stream, err
}
