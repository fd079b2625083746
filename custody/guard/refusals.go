package guard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// refusalsPerHour is how many refusals of one actor are put on record in an
// hour. After so many, a further one is answered and counted, until the first
// of them is an hour old. What is permitted goes on record as ever.
const refusalsPerHour = 100

// summaryEvery is after how long what was counted of one actor is put on
// record, in one statement of the service's own.
const summaryEvery = time.Hour

// refusals keeps how often each actor was refused. Its owner holds Guard.mu. It
// is in memory: a crash loses what was counted since an actor's last summary, at
// most an hour and half a minute of refusals beyond the limit, and after any
// restart the limit begins anew. Those on record by themselves are not
// concerned.
type refusals struct {
	recorded map[custody.PrincipalID][]custody.Time    // of the last hour, oldest first
	counted  map[custody.PrincipalID]*custody.Refusals // beyond the limit, since the last summary
	due      []*custody.SummariseRefusals              // to be put on record
}

func newRefusals() *refusals {
	return &refusals{recorded: map[custody.PrincipalID][]custody.Time{}, counted: map[custody.PrincipalID]*custody.Refusals{}}
}

// note notes that a refusal is put on record.
func (r *refusals) note(who custody.PrincipalID, now custody.Time) {
	r.recorded[who] = append(r.recorded[who], now)
}

// until returns when the next refusal of an actor is put on record again; zero
// when it is so now.
func (r *refusals) until(who custody.PrincipalID, now custody.Time) custody.Time {
	list := r.recorded[who]
	for len(list) > 0 && list[0] < now.Add(-time.Hour) {
		list = list[1:]
	}
	r.recorded[who] = list
	switch {
	case len(list) == 0:
		delete(r.recorded, who)
		return 0
	case len(list) < refusalsPerHour:
		return 0
	}
	return list[0].Add(time.Hour)
}

// count counts a refusal that is not put on record by itself.
func (r *refusals) count(who custody.PrincipalID, payload custody.Digest, now custody.Time) {
	if r.counted[who] == nil {
		r.counted[who] = &custody.Refusals{}
	}
	r.counted[who].Add(payload, now)
}

// close ends the counts that began before a time, and returns what is to be put
// on record, which is not due any more.
func (r *refusals) close(before custody.Time) []*custody.SummariseRefusals {
	ended := []*custody.SummariseRefusals{}
	for who, c := range r.counted {
		if c.Since() < before {
			ended = append(ended, c.Summary(who))
			delete(r.counted, who)
		}
	}
	slices.SortFunc(ended, func(a, b *custody.SummariseRefusals) int { return cmp.Compare(a.Principal, b.Principal) })
	due := append(r.due, ended...)
	r.due = nil
	return due
}

// lost returns an error for each count that will not be put on record any more,
// and forgets them.
func (r *refusals) lost() error {
	failed := []error{}
	for _, act := range r.due {
		failed = append(failed, fmt.Errorf("%d refusals of %s from %s to %s are not on record", act.Count, act.Principal, act.From, act.To))
	}
	r.due = nil
	return errors.Join(failed...)
}

// bearWith returns ErrTooMany for an actor who was refused too often, and counts
// the refusal. The caller holds g.mu.
func (g *Guard) bearWith(s *custody.Statement) error {
	now := g.now()
	until := g.refused.until(s.Actor, now)
	if until == 0 || s.Actor == g.service {
		return nil
	}
	g.refused.count(s.Actor, s.Payload, now)
	return fmt.Errorf("%w: refused; this was one of more than %d within an hour, and goes on record in a summary that says how many; the next is recorded by itself after %s",
		ErrTooMany, refusalsPerHour, until.Time().Format(time.RFC3339))
}

// summarise puts the counts that began before a time on record. What could not
// be is tried again the next time.
func (g *Guard) summarise(ctx context.Context, before custody.Time) error {
	g.mu.Lock()
	due := g.refused.close(before)
	g.mu.Unlock()
	failed := []error{}
	for _, act := range due {
		a, err := g.Attest(ctx, "", act)
		if err == nil || a != nil && !a.Permit { // a refusal says that it is on record already
			continue
		}
		failed = append(failed, fmt.Errorf("summary of %d refusals of %s: %w", act.Count, act.Principal, err))
		g.mu.Lock()
		g.refused.due = append(g.refused.due, act)
		g.mu.Unlock()
	}
	return errors.Join(failed...)
}
