package custody

import (
	"errors"
	"fmt"
	"time"
)

// KindNoticeTime is the kind of statement by which the service says that it lost a
// time-stamping authority, has it back, or disagrees with it about the time.
const KindNoticeTime Kind = "time.notice"

// NoticeTime is a change in how the service stands with a time-stamping authority. It
// stands in the policy stream, so that every bundle tells for which times records
// could not be stamped, and when the service's clock was doubtful.
type NoticeTime struct {
	Authority string `json:"authority"` // its name
	DriftMs   int64  `json:"driftMs"`   // by how many milliseconds its time was ahead of the service's clock; 0 unless State is TimeDrift
	Since     Time   `json:"since"`     // from when it is so, by the service's clock
	State     string `json:"state"`     // one of the three below
}

// How the service stands with an authority.
const (
	TimeLost  = "lost"  // it has not stamped for an interval, though asked
	TimeBack  = "back"  // it stamps, and the clocks agree
	TimeDrift = "drift" // it stamps, and its time is not the service's
)

// maxDrift bounds a drift, in milliseconds: a hundred years.
const maxDrift = int64(100*366*24*time.Hour) / int64(time.Millisecond)

func (*NoticeTime) Kind() Kind         { return KindNoticeTime }
func (*NoticeTime) NeedsPurpose() bool { return false }
func (a *NoticeTime) Subject() Subject { return Subject{Name: a.Authority} }

// Check implements Act.
func (a *NoticeTime) Check(s *Statement) error {
	if err := checkLine("authority", a.Authority, true); err != nil {
		return err
	}
	switch a.State {
	case TimeLost, TimeBack, TimeDrift:
	default:
		return fmt.Errorf("state %.20q is not %q, %q or %q", a.State, TimeLost, TimeBack, TimeDrift)
	}
	switch {
	case (a.State == TimeDrift) != (a.DriftMs != 0) || a.DriftMs > maxDrift || a.DriftMs < -maxDrift:
		return errors.New("a drift, and nothing else, is of some milliseconds")
	case a.Since > s.Time:
		return errors.New("since is after the statement's time")
	}
	return nil
}

// Lawful implements Act. A notice says what changed.
func (a *NoticeTime) Lawful(v View, s *Statement) (Outcome, error) {
	p, err := stateOf[*Policy](v, PolicyStream)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Stream: PolicyStream, Resource: Resource{Type: "Custody", ID: s.Audience}}
	before, noted := p.Notices[a.Authority]
	if !noted {
		before.State = TimeBack
	}
	if before.State == a.State {
		return out, unlawful("that authority %s is %s is on record", a.Authority, a.State)
	}
	return out, nil
}

// String says in a line what changed.
func (a NoticeTime) String() string {
	switch a.State {
	case TimeLost:
		return fmt.Sprintf("time-stamping authority %s has not stamped since %s", a.Authority, a.Since)
	case TimeDrift:
		by := time.Duration(a.DriftMs) * time.Millisecond
		if by < 0 {
			return fmt.Sprintf("the service's clock is %s ahead of time-stamping authority %s", -by, a.Authority)
		}
		return fmt.Sprintf("the service's clock is %s behind time-stamping authority %s", by, a.Authority)
	}
	return fmt.Sprintf("time-stamping authority %s stamps again, and the clocks agree", a.Authority)
}
