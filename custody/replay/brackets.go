package replay

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/forensic-custody/custody/custody"
)

// clocksDiffer is by how much the clocks of the service and of a witness may.
const clocksDiffer = 5 * time.Minute

// bracket is what a cosigned checkpoint says about time: the records below its
// size were made before any witness signed, and those that name it or a later one
// after all of them did.
type bracket struct {
	custody.Checkpoint
	witnessed     bool
	first, latest custody.Time // of the cosignatures
}

// brackets goes along with the replay: after is the first checkpoint of which the
// record that is decided is a part; before are those of which it is none, the
// latest that a record named first.
type brackets struct {
	run    *run
	next   func() ([]byte, error, bool)
	stop   func()
	after  *bracket
	before []bracket
	size   uint64 // of the last one read
}

// checkpoints yields what was given, and in the end the checkpoint of the audit.
func (r *run) checkpoints(yield func([]byte, error) bool) {
	if r.Cosigned != nil {
		for signed, err := range r.Cosigned {
			if !yield(signed, err) {
				return
			}
		}
	}
	yield(r.Checkpoint, nil)
}

// reach reads on until after is a checkpoint of this size or a larger one, and
// holds it against the records when it is of this size.
func (b *brackets) reach(size uint64) error {
	for b.after == nil || b.after.Size < size {
		if b.after != nil && b.after.witnessed {
			b.before = append(b.before, *b.after)
		}
		b.after = nil
		signed, err, more := b.next()
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
		if b.after, err = b.open(signed, size); err != nil {
			return err
		}
	}
	if b.after.Size == size && b.size != size {
		b.size = size
		b.run.report.Checkpoints++
		if b.after.Root != b.run.roots[size%rootsKept] {
			b.run.forked(size)
		}
	}
	return nil
}

func (r *run) forked(size uint64) {
	r.disagree(Disagreement{Place: size}, "a checkpoint of size %d was signed with another root than the records make: the log was forked", size)
}

// open verifies a checkpoint of at least this size; one that cannot be verified is
// a disagreement, and none is returned.
func (b *brackets) open(signed []byte, size uint64) (*bracket, error) {
	c, err := b.run.opened(signed)
	if err != nil {
		b.run.disagree(Disagreement{Place: size - 1}, "a checkpoint: %v", err)
		return nil, nil
	}
	if c.Size > b.run.point.Size {
		return nil, nil
	}
	if c.Size < size { // a second one of a size, or out of order
		if c.Size+rootsKept > size && c.Root != b.run.roots[c.Size%rootsKept] {
			b.run.forked(c.Size)
		}
		return nil, nil
	}
	found := &bracket{Checkpoint: c.Checkpoint, witnessed: len(c.By) > 0}
	if found.witnessed {
		at := func(x, y custody.Cosignature) int { return int(x.Time - y.Time) }
		found.first, found.latest = slices.MinFunc(c.By, at).Time, slices.MaxFunc(c.By, at).Time
	}
	return found, nil
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
	log, err := note.NewVerifier(r.Trust.Log)
	if err != nil {
		return nil, err
	}
	return p.Open(signed, log)
}

// check returns an error when a record's time lies outside of what witnesses say.
func (b *brackets) check(report *Report, rec *custody.Record) error {
	for len(b.before) > 1 && b.before[1].Size <= rec.Checkpoint.Size {
		b.before = b.before[1:]
	}
	held := false
	if len(b.before) > 0 && b.before[0].Size <= rec.Checkpoint.Size {
		held = true
		if rec.Recorded.Add(clocksDiffer) < b.before[0].latest {
			return fmt.Errorf("was recorded at %s, and names a log that a witness first saw at %s", rec.Recorded, b.before[0].latest)
		}
	}
	if b.after != nil && b.after.witnessed {
		held = true
		if rec.Recorded > b.after.first.Add(clocksDiffer) {
			return fmt.Errorf("was recorded at %s, and a witness had seen it by %s", rec.Recorded, b.after.first)
		}
	}
	if held {
		report.Brackets++
	}
	return nil
}
