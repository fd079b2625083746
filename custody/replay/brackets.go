package replay

import (
	"bytes"
	"slices"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// clocksDiffer is by how much the clocks of the service and of a witness may.
const clocksDiffer = 5 * time.Minute

// brackets holds the times of records against those of witnesses: a witness that
// signed a checkpoint did so after the records below its size were made, and
// before those that name it, or a later one.
type brackets struct {
	last   []byte    // the checkpoint that was looked at last
	before []bracket // cosigned ones, from the one on that records name now
	open   []dated   // records that lie below none of them yet
}

type bracket struct {
	size   uint64
	latest custody.Time // of the cosignatures
}

type dated struct {
	at       Disagreement
	recorded custody.Time
}

// published takes in a signed checkpoint of the log that was published when it had
// this size or before.
func (r *run) published(signed []byte, size uint64) {
	b := &r.brackets
	if len(signed) == 0 || bytes.Equal(signed, b.last) {
		return
	}
	b.last = signed
	at := Disagreement{Place: size}
	c, err := r.opened(signed)
	switch {
	case err != nil:
		r.disagree(at, "a checkpoint that was published before: %v", err)
		return
	case c.Size > size, c.Size+rootsKept <= size:
		r.disagree(at, "a checkpoint of size %d was published before, of a log that had size %d", c.Size, size)
		return
	case c.Root != r.roots[c.Size%rootsKept]:
		r.disagree(at, "a checkpoint of size %d was signed with another root than the records make: the log was forked", c.Size)
		return
	}
	r.report.Checkpoints++
	if len(c.By) == 0 {
		return
	}
	order := func(x, y custody.Cosignature) int { return int(x.Time - y.Time) }
	first, latest := slices.MinFunc(c.By, order).Time, slices.MaxFunc(c.By, order).Time
	for len(b.open) > 0 && b.open[0].at.Place < c.Size {
		if o := b.open[0]; o.recorded > first.Add(clocksDiffer) {
			r.disagree(o.at, "was recorded at %s, and a witness had seen it by %s", o.recorded, first)
		}
		b.open = b.open[1:]
		r.report.Brackets++
	}
	b.before = append(b.before, bracket{c.Size, latest})
}

// opened opens a checkpoint under the trust file's witness policy; where that knows
// none of the witnesses, under the one that is on record.
func (r *run) opened(signed []byte) (*custody.Cosigned, error) {
	c, err := r.Trust.OpenCheckpoint(signed)
	if err != nil || len(c.By) > 0 || len(c.Unknown) == 0 {
		return c, err
	}
	s := r.streams[custody.PolicyStream]
	if s == nil {
		return c, nil
	}
	state, ok := s.state.(*custody.Policy)
	if !ok {
		return c, nil
	}
	p, err := custody.ParseWitnessPolicy(state.Witnesses)
	if err != nil {
		return nil, err
	}
	keys, err := r.Trust.LogKeys()
	if err != nil {
		return nil, err
	}
	return p.Open(signed, keys.For(signed))
}

// dates takes in when a record was made, and returns until when a witness says that
// what it names was not there yet; zero when none does.
func (b *brackets) dates(at Disagreement, rec *custody.Record) (notBefore custody.Time) {
	if b.open = append(b.open, dated{at, rec.Recorded}); len(b.open) > rootsKept {
		b.open = b.open[1:]
	}
	for len(b.before) > 1 && b.before[1].size <= rec.Checkpoint.Size {
		b.before = b.before[1:]
	}
	if len(b.before) == 0 || b.before[0].size > rec.Checkpoint.Size {
		return 0
	}
	return b.before[0].latest
}
