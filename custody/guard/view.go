package guard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/forensic-custody/custody/custody"
)

// folds keeps the states of streams, folded from the records that a source
// returns. Its caller sees to it that only one goroutine uses it at a time.
type folds struct {
	source   func(ctx context.Context, s custody.Stream, from uint64) ([]Stored, error)
	describe func(context.Context, custody.Stream) (StreamInfo, error)
	genuine  func(Stored) error
	one      func(ctx context.Context, s custody.Stream, sequence uint64) (Stored, error)
	words    custody.Vocabulary
	states   custody.States
	cache    map[custody.Stream]*folded
}

type folded struct {
	state    custody.State
	head     custody.Head
	key      custody.TagKey
	erasures custody.Erasures
	erased   map[uint64]custody.Commitment // taken without their bytes; the orders for it come later in the stream
}

// maxFolds bounds the cache. A fold is made again from its records when it is
// needed, so that forgetting costs time only.
const maxFolds = 10_000

// fold returns a stream's state, taking in records that came since.
func (f *folds) fold(ctx context.Context, s custody.Stream, fresh bool) (*folded, error) {
	e := f.cache[s]
	if e != nil && !fresh {
		return e, nil
	}
	if e == nil {
		info, err := f.describe(ctx, s)
		if err != nil {
			return nil, err
		}
		state, err := f.states.New(s)
		if err != nil {
			return nil, err
		}
		e = &folded{state: state, head: custody.Head{Stream: s}, key: info.TagKey}
	}
	for {
		list, err := f.source(ctx, s, e.head.Length)
		if err != nil {
			delete(f.cache, s)
			return nil, err
		}
		for _, stored := range list {
			if err := f.take(e, stored); err != nil {
				delete(f.cache, s)
				return nil, err
			}
		}
		if len(list) < pageSize {
			break
		}
	}
	if err := e.account(); err != nil {
		delete(f.cache, s)
		return nil, err
	}
	if len(f.cache) >= maxFolds {
		clear(f.cache)
	}
	f.cache[s] = e
	return e, nil
}

// take applies a record from the store, which is not trusted: it must follow
// the one before it and be what its commitment says.
func (f *folds) take(e *folded, stored Stored) error {
	if err := f.genuine(stored); err != nil {
		return err
	}
	if stored.Erased() {
		return e.skip(stored)
	}
	r, err := custody.ParseRecord(stored.Record)
	if err != nil {
		return err
	}
	if r.Stream != e.head.Stream || r.Sequence != e.head.Length || r.Previous != e.head.Commitment ||
		custody.Commit(stored.Opening, stored.Record) != stored.Commitment {
		return fmt.Errorf("%s: record %d in the database is not the one that was recorded", e.head.Stream, e.head.Length)
	}
	s, err := r.Envelope.Statement(f.words)
	if err != nil {
		return fmt.Errorf("%s: record %d: %w", e.head.Stream, e.head.Length, err)
	}
	return e.apply(r, s, stored.Commitment)
}

func (e *folded) apply(r *custody.Record, s *custody.Statement, c custody.Commitment) error {
	if err := e.state.Apply(r, s); err != nil {
		return fmt.Errorf("%s: record %d: %w", e.head.Stream, r.Sequence, err)
	}
	e.erasures.Apply(r, s)
	e.head.Commitment, e.head.Length = c, r.Sequence+1
	return nil
}

// view is a custody.View that notes what was looked at.
type view struct {
	ctx   context.Context
	folds *folds
	now   custody.Time
	fresh bool // look for records that came since
	seen  map[custody.Stream]custody.Head
}

func (f *folds) view(ctx context.Context, now custody.Time, fresh bool) *view {
	return &view{ctx: ctx, folds: f, now: now, fresh: fresh, seen: map[custody.Stream]custody.Head{}}
}

// State implements custody.View.
func (v *view) State(s custody.Stream) (custody.State, error) {
	if _, err := custody.ParseStream(string(s)); err != nil {
		return nil, custody.ErrUnknown
	}
	_, again := v.seen[s]
	e, err := v.folds.fold(v.ctx, s, v.fresh && !again)
	if err != nil {
		return nil, err
	}
	v.seen[s] = e.head
	return e.state, nil
}

// Now implements custody.View.
func (v *view) Now() custody.Time { return v.now }

// basis returns the heads that were looked at, in order of stream.
func (v *view) basis() []custody.Head {
	list := []custody.Head{}
	for _, h := range v.seen {
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b custody.Head) int { return cmp.Compare(a.Stream, b.Stream) })
	return list
}

func isUnknown(err error) bool { return errors.Is(err, custody.ErrUnknown) }
