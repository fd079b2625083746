package guard

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// How often the service looks for what is ordered erased: while something is, at
// first and then ever less often, and otherwise.
const (
	eraseAgain = time.Second
	eraseEvery = 30 * time.Second
)

// eraseMethod is what the certificate says of how a record was erased.
const eraseMethod = "bytes and opening overwritten in the records database, which was searched for them afterwards or written anew; copies elsewhere, and backups, are not the service's to reach"

const labelErased = "custody/v1/erased-row"

// erasedMark is the mark of a row whose record is erased: HMAC-SHA256(RowKey,
// label || payload digest || leaf). A row that lost its bytes otherwise has none.
func (g *Guard) erasedMark(s Stored) [32]byte { return erasedMarkOf(g.RowKey, s) }

func erasedMarkOf(rowKey [32]byte, s Stored) [32]byte {
	m := hmac.New(sha256.New, rowKey[:])
	m.Write([]byte(labelErased))
	m.Write(s.Payload[:])
	m.Write(s.Leaf[:])
	return [32]byte(m.Sum(nil))
}

// skip takes an erased record by its commitment, for now: that it was ordered
// erased stands later in the stream.
func (e *folded) skip(s Stored) error {
	if s.Stream != e.head.Stream || s.Sequence != e.head.Length || s.Leaf != custody.NewLeaf(s.Commitment, e.key.Tag(s.Sequence)) {
		return fmt.Errorf("%s: what is left of record %d in the database is not of this place", e.head.Stream, e.head.Length)
	}
	if e.erased == nil {
		e.erased = map[uint64]custody.Commitment{}
	}
	e.erased[s.Sequence] = s.Commitment
	e.head.Commitment, e.head.Length = s.Commitment, s.Sequence+1
	return nil
}

// account returns an error when a record is erased that the stream's own records
// do not order erased.
func (e *folded) account() error {
	for sequence, c := range e.erased {
		if !e.erasures.Allows(sequence, c) {
			return fmt.Errorf("%s: record %d in the database is erased, and no two people have ordered it", e.head.Stream, sequence)
		}
		delete(e.erased, sequence)
	}
	return nil
}

// at returns the record at a place of a stream, or custody.ErrUnknown.
func (g *Guard) at(ctx context.Context, s custody.Stream, sequence uint64) (Stored, error) {
	list, err := g.Store.Records(ctx, s, sequence, 1, false)
	if err != nil {
		return Stored{}, err
	}
	if len(list) == 0 || list[0].Sequence != sequence {
		return Stored{}, custody.ErrUnknown
	}
	return list[0], g.genuine(list[0])
}

// Erasures implements custody.View.
func (v *view) Erasures(s custody.Stream) (*custody.Erasures, error) {
	if _, err := v.State(s); err != nil {
		return nil, err
	}
	e, err := v.folds.fold(v.ctx, s, false)
	if err != nil {
		return nil, err
	}
	return &e.erasures, nil
}

// Record implements custody.View. What is decided and not yet committed is not on
// record.
func (v *view) Record(s custody.Stream, sequence uint64) (*custody.Record, *custody.Statement, custody.Commitment, error) {
	none := custody.Commitment{}
	if _, err := v.State(s); err != nil {
		return nil, nil, none, err
	}
	stored, err := v.folds.one(v.ctx, s, sequence)
	switch {
	case isUnknown(err):
		return nil, nil, none, custody.Unlawful{Why: fmt.Sprintf("%s has no record %d", s, sequence)}
	case err != nil:
		return nil, nil, none, err
	case stored.Erased():
		return nil, nil, none, custody.Unlawful{Why: fmt.Sprintf("record %d of %s is erased", sequence, s)}
	}
	r, err := custody.ParseRecord(stored.Record)
	if err != nil {
		return nil, nil, none, err
	}
	if r.Stream != s || r.Sequence != sequence || custody.Commit(stored.Opening, stored.Record) != stored.Commitment {
		return nil, nil, none, fmt.Errorf("%s: record %d in the database is not the one that was recorded", s, sequence)
	}
	said, err := r.Envelope.Statement(v.folds.words)
	return r, said, stored.Commitment, err
}

// erasing returns what is to be done about a permitted order, which is the second
// of two; else nil. The order is applied to the folds. The caller holds g.mu.
func (g *Guard) erasing(s *custody.Statement, act *custody.EraseRecord) *Erasing {
	e := g.folds.cache[act.Stream]
	if e == nil {
		return nil
	}
	if o, ok := e.erasures.Of(act.Sequence); !ok || o.Order != s.Payload {
		return nil
	}
	return &Erasing{Order: s.Payload, Stream: act.Stream, Sequence: act.Sequence}
}

func (g *Guard) pokeErase() {
	select {
	case g.erase <- struct{}{}:
	default:
	}
}

// eraseLoop erases what is ordered: what an earlier run left, and then as it
// comes.
func (g *Guard) eraseLoop(ctx context.Context) {
	pause := eraseAgain
	for {
		wait := eraseEvery
		if g.eraseOrdered(ctx) {
			pause = eraseAgain
		} else {
			wait, pause = pause, min(2*pause, eraseEvery)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-g.erase:
			pause = eraseAgain
		case <-timer.C:
		}
		timer.Stop()
	}
}

// eraseOrdered says whether nothing is left to be done.
func (g *Guard) eraseOrdered(ctx context.Context) (done bool) {
	list, err := g.Store.Erasures(ctx)
	done = err == nil
	for _, x := range list {
		ended, err := g.eraseOne(ctx, x)
		done = done && ended && err == nil // what failed is tried again
		if err != nil && ctx.Err() == nil && g.Trouble != nil {
			g.Trouble(fmt.Errorf("record %d of %s is ordered erased and is not yet: %w", x.Sequence, x.Stream, err))
		}
	}
	return done
}

// eraseOne erases a record and certifies it. It goes by the proven records of the
// stream and not by the store's list, so that nothing but what two people ordered
// is destroyed.
func (g *Guard) eraseOne(ctx context.Context, x Erasing) (ended bool, err error) {
	o, ordered, err := g.provenErasure(ctx, x)
	if err != nil || !ordered { // not proven yet
		return false, err
	}
	if !o.Done {
		if err := g.mayErase(ctx, x, o); err != nil {
			return false, err
		}
		if err := g.destroy(ctx, x, o); err != nil {
			return false, err
		}
		a, err := g.Attest(ctx, "", &custody.ErasedRecord{
			Commitment: o.Act.Commitment, Method: eraseMethod, Order: x.Order, Sequence: x.Sequence, Stream: x.Stream,
		})
		if err != nil && (a == nil || a.Permit) { // a refusal says that it is on record already
			return false, err
		}
	}
	return true, g.Store.EndErasure(ctx, x.Order)
}

// mayErase returns an error while the erasure could not be certified: nothing can
// be put on record, or a legal hold came in between.
func (g *Guard) mayErase(ctx context.Context, x Erasing, o custody.Erasure) error {
	if err := g.Log.Ready(); err != nil {
		return err
	}
	act := &custody.ErasedRecord{Commitment: o.Act.Commitment, Order: x.Order, Sequence: x.Sequence, Stream: x.Stream}
	g.mu.Lock()
	defer g.mu.Unlock()
	_, err := act.Lawful(g.folds.view(ctx, g.now(), false), &custody.Statement{Header: custody.Header{Actor: g.service, Audience: g.Origin}})
	return err
}

func (g *Guard) provenErasure(ctx context.Context, x Erasing) (custody.Erasure, bool, error) {
	g.reading.Lock()
	defer g.reading.Unlock()
	e, err := g.proven.fold(ctx, x.Stream, true)
	if err != nil {
		return custody.Erasure{}, false, err
	}
	o, ok := e.erasures.Of(x.Sequence)
	return o, ok && o.Order == x.Order && e.erasures.Allows(x.Sequence, o.Act.Commitment), nil
}

// destroy has the store destroy the record's bytes and opening.
func (g *Guard) destroy(ctx context.Context, x Erasing, o custody.Erasure) error {
	stored, err := g.at(ctx, x.Stream, x.Sequence)
	if err != nil {
		return err
	}
	if stored.Commitment != o.Act.Commitment || stored.Leaf.Commitment() != o.Act.Commitment {
		return errors.New("another record stands there than was ordered erased")
	}
	receipt, err := custody.ParseReceipt(stored.Receipt)
	if err != nil {
		return err
	}
	receipt.Extra = nil
	return g.Store.Erase(ctx, Erased{
		Stream: x.Stream, Sequence: x.Sequence, Mark: g.erasedMark(stored), Receipt: receipt.Marshal(), Grant: o.Act.Grant,
	})
}
