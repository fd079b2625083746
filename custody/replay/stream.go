package replay

import (
	"context"
	"errors"
	"fmt"

	"github.com/forensic-custody/custody/custody"
)

// stream is one stream, folded as far as the replay has come.
type stream struct {
	state    custody.State
	head     custody.Head
	key      custody.TagKey
	erasures custody.Erasures
	erased   map[uint64]erased // by sequence; the order for each has to come later in the stream
	places   []uint64          // in the log, by sequence
	recorded custody.Time      // when the last one was that was told
}

// erased is what is left of an erased record.
type erased struct {
	place      uint64
	commitment custody.Commitment
}

func newStream(name custody.Stream, key custody.TagKey, states custody.States) (*stream, error) {
	state, err := states.New(name)
	if err != nil {
		return nil, err
	}
	return &stream{state: state, head: custody.Head{Stream: name}, key: key, erased: map[uint64]erased{}}, nil
}

// grow takes in that the next record of the stream stands at a place.
func (s *stream) grow(place uint64, c custody.Commitment) {
	s.head.Length++
	s.head.Commitment = c
	s.places = append(s.places, place)
}

// errGone says that a decision needs an earlier record that is erased, or cannot be
// had.
var errGone = errors.New("asks for an earlier record that is not at hand")

// view shows the streams to a decision, and notes at which it looked.
type view struct {
	ctx  context.Context
	run  *run
	now  custody.Time
	seen []*stream
}

// State implements custody.View.
func (v *view) State(name custody.Stream) (custody.State, error) {
	s := v.run.streams[name]
	if s == nil {
		return nil, custody.ErrUnknown
	}
	for _, before := range v.seen {
		if before == s {
			return s.state, nil
		}
	}
	v.seen = append(v.seen, s)
	return s.state, nil
}

// Now implements custody.View.
func (v *view) Now() custody.Time { return v.now }

// Erasures implements custody.View.
func (v *view) Erasures(name custody.Stream) (*custody.Erasures, error) {
	if _, err := v.State(name); err != nil {
		return nil, err
	}
	return &v.run.streams[name].erasures, nil
}

// Record implements custody.View.
func (v *view) Record(name custody.Stream, sequence uint64) (*custody.Record, *custody.Statement, custody.Commitment, error) {
	none := custody.Commitment{}
	if _, err := v.State(name); err != nil {
		return nil, nil, none, err
	}
	s := v.run.streams[name]
	if sequence >= uint64(len(s.places)) {
		return nil, nil, none, custody.Unlawful{Why: fmt.Sprintf("%s has no record %d", name, sequence)}
	}
	if _, gone := s.erased[sequence]; gone || v.run.At == nil {
		return nil, nil, none, errGone
	}
	found, err := v.run.At(v.ctx, s.places[sequence])
	if err != nil {
		return nil, nil, none, err
	}
	p := parsed{Record: found}
	if p.parse(v.run.Words); p.err == nil && (p.record == nil || p.record.Stream != name || p.record.Sequence != sequence) {
		p.err = fmt.Errorf("%s: record %d is not what it was when it was read before", name, sequence)
	}
	return p.record, p.statement, p.Leaf.Commitment(), p.err
}
