package custody

import (
	"fmt"
	"slices"
	"time"
)

// The kinds of statement about how long evidence is kept, and in what state.
const (
	KindVerifyEvidence   Kind = "evidence.verify"
	KindHoldEvidence     Kind = "evidence.hold"
	KindLiftHold         Kind = "evidence.lift-hold"
	KindDisposeEvidence  Kind = "evidence.dispose"
	KindDisposedEvidence Kind = "evidence.disposed"
)

// DefaultRetention is how many days an item is kept from its seal on where
// nobody said otherwise.
const DefaultRetention = 365

// VerifyEvidence asks the service to read the item's bytes back now. What it
// finds it puts on record itself, as a CheckEvidence.
type VerifyEvidence struct {
	Evidence EvidenceID `json:"evidence"`
}

func (*VerifyEvidence) Kind() Kind         { return KindVerifyEvidence }
func (*VerifyEvidence) NeedsPurpose() bool { return true }
func (a *VerifyEvidence) Subject() Subject { return Subject{Name: string(a.Evidence)} }

// Check implements Act.
func (a *VerifyEvidence) Check(*Statement) error { return checkEvidence(a.Evidence) }

// Lawful implements Act.
func (a *VerifyEvidence) Lawful(v View, _ *Statement) (Outcome, error) {
	e, out, err := ItemOf(v, a.Evidence)
	if err == nil {
		err = e.going(a.Evidence)
	}
	return out, err
}

// HoldEvidence is a legal hold: until it is lifted the item is not disposed of,
// whatever its retention says.
type HoldEvidence struct {
	Authority string     `json:"authority"` // that ordered it: a court, a docket number
	Evidence  EvidenceID `json:"evidence"`
}

func (*HoldEvidence) Kind() Kind         { return KindHoldEvidence }
func (*HoldEvidence) NeedsPurpose() bool { return true }
func (a *HoldEvidence) Subject() Subject { return Subject{Name: string(a.Evidence)} }

// Check implements Act.
func (a *HoldEvidence) Check(*Statement) error {
	if err := checkLine("authority", a.Authority, true); err != nil {
		return err
	}
	return checkEvidence(a.Evidence)
}

// Lawful implements Act.
func (a *HoldEvidence) Lawful(v View, _ *Statement) (Outcome, error) {
	e, out, err := ItemOf(v, a.Evidence)
	if err == nil {
		err = e.going(a.Evidence)
	}
	return out, err
}

// LiftHold ends a legal hold. It takes two people: the first one's statement has
// no effect until another's seconds it, within MotionLife.
type LiftHold struct {
	Authority string     `json:"authority"` // that lifts it
	Evidence  EvidenceID `json:"evidence"`
	Hold      Digest     `json:"hold"`    // payload digest of the HoldEvidence
	Seconds   Digest     `json:"seconds"` // payload digest of the first one's statement; zero in his
}

func (*LiftHold) Kind() Kind         { return KindLiftHold }
func (*LiftHold) NeedsPurpose() bool { return true }
func (a *LiftHold) Subject() Subject { return Subject{Name: string(a.Evidence)} }

// Check implements Act.
func (a *LiftHold) Check(*Statement) error {
	if err := checkLine("authority", a.Authority, true); err != nil {
		return err
	}
	return checkEvidence(a.Evidence)
}

// Lawful implements Act.
func (a *LiftHold) Lawful(v View, s *Statement) (Outcome, error) {
	e, out, err := ItemOf(v, a.Evidence)
	if err != nil {
		return out, err
	}
	if !slices.ContainsFunc(e.Holds, func(h Hold) bool { return h.ID == a.Hold }) {
		return out, unlawful("no hold %s is on item %s", a.Hold, a.Evidence)
	}
	return out, e.motions.CheckIn(v, a.Motion(s))
}

// Motion is what the statement moves or seconds.
func (a *LiftHold) Motion(s *Statement) Motion {
	return Motion{By: s.Actor, What: fmt.Sprintf("lift %s by %s", a.Hold, a.Authority), Seconds: a.Seconds}
}

// DisposeEvidence orders that an item's bytes be destroyed, after its retention
// and without a hold. It takes two people. From the second one's statement on
// the bytes are not handed out any more.
type DisposeEvidence struct {
	Evidence EvidenceID `json:"evidence"`
	Seconds  Digest     `json:"seconds"` // payload digest of the first one's statement; zero in his
}

func (*DisposeEvidence) Kind() Kind         { return KindDisposeEvidence }
func (*DisposeEvidence) NeedsPurpose() bool { return true }
func (a *DisposeEvidence) Subject() Subject { return Subject{Name: string(a.Evidence)} }

// Check implements Act.
func (a *DisposeEvidence) Check(*Statement) error { return checkEvidence(a.Evidence) }

// Lawful implements Act.
func (a *DisposeEvidence) Lawful(v View, s *Statement) (Outcome, error) {
	e, out, err := ItemOf(v, a.Evidence)
	if err != nil {
		return out, err
	}
	if err := e.going(a.Evidence); err != nil {
		return out, err
	}
	until, err := KeptUntil(v, e)
	switch {
	case err != nil:
		return out, err
	case len(e.Holds) > 0:
		return out, unlawful("item %s is on legal hold by %s", a.Evidence, e.Holds[0].Authority)
	case v.Now() < until:
		return out, unlawful("item %s is kept until %s", a.Evidence, until)
	}
	return out, e.motions.CheckIn(v, a.Motion(s))
}

// Motion is what the statement moves or seconds.
func (a *DisposeEvidence) Motion(s *Statement) Motion {
	return Motion{By: s.Actor, What: "dispose", Seconds: a.Seconds}
}

// KeptUntil returns when an item's retention ends: so many days after its seal
// as its incident says of its type.
func KeptUntil(v View, e Item) (Time, error) {
	c, err := stateOf[Case](v, e.Incident.Stream())
	if err != nil {
		return 0, err
	}
	return e.SealedAt.Add(time.Duration(c.Retention(e.Begun.Type)) * 24 * time.Hour), nil
}

// DisposedEvidence is the service's certificate that an item's bytes are
// destroyed (after NIST SP 800-88): which, by whose order, how.
type DisposedEvidence struct {
	Evidence EvidenceID `json:"evidence"`
	Method   string     `json:"method"` // what was done, in a line
	Order    Digest     `json:"order"`  // payload digest of the second DisposeEvidence
	SHA256   Digest     `json:"sha256"` // of the bytes that are gone
}

func (*DisposedEvidence) Kind() Kind         { return KindDisposedEvidence }
func (*DisposedEvidence) NeedsPurpose() bool { return false }
func (a *DisposedEvidence) Subject() Subject {
	return Subject{Name: string(a.Evidence), SHA256: a.SHA256}
}

// Check implements Act.
func (a *DisposedEvidence) Check(*Statement) error {
	if err := checkLine("method", a.Method, true); err != nil {
		return err
	}
	return checkEvidence(a.Evidence)
}

// Lawful implements Act.
func (a *DisposedEvidence) Lawful(v View, _ *Statement) (Outcome, error) {
	e, out, err := ItemOf(v, a.Evidence)
	if err != nil {
		return out, err
	}
	switch {
	case e.Disposal.Order != a.Order || a.Order.IsZero():
		return out, unlawful("no order %s to dispose of item %s", a.Order, a.Evidence)
	case e.Disposal.Done:
		return out, unlawful("that item %s is disposed of is on record", a.Evidence)
	case e.Artifact.SHA256 != a.SHA256:
		return out, unlawful("item %s has another SHA-256", a.Evidence)
	}
	return out, nil
}

// Hold is a legal hold on an item.
type Hold struct {
	ID        Digest // payload digest of the HoldEvidence
	Authority string
	Reason    string
	By        PrincipalID
	At        Time
}

// Disposal is how far an item's disposal has come.
type Disposal struct {
	Order  Digest // payload digest of the second order; zero when there is none
	First  PrincipalID
	Second PrincipalID
	At     Time // of the second order
	Done   bool // the service's certificate is on record
}

// Approved says whether two people have ordered the disposal.
func (d Disposal) Approved() bool { return !d.Order.IsZero() }

// Motion is what somebody wants and another must second (S-53 of the
// requirements: two different people).
type Motion struct {
	By      PrincipalID
	What    string // the same for the first and the second
	Seconds Digest // the first one's statement; zero in his
}

// MotionLife is for how long what was moved can be seconded, by the times at
// which the two statements were recorded.
const MotionLife = 30 * 24 * time.Hour

// Motions keeps what was moved, by the digest of the statement.
type Motions map[Digest]moved

type moved struct {
	motion Motion
	at     Time // when it was recorded
}

// Check returns an Unlawful error when x, recorded at a time, seconds what nobody
// else moved, or moved too long before.
func (m Motions) Check(x Motion, at Time) error {
	if x.Seconds.IsZero() {
		return nil
	}
	first, ok := m[x.Seconds]
	switch {
	case !ok || first.motion.What != x.What:
		return unlawful("no such motion: %s", x.Seconds)
	case first.motion.By == x.By:
		return unlawful("%s cannot second his own motion: it takes two people", x.By)
	case at > first.at.Add(MotionLife):
		return unlawful("what was moved at %s could be seconded for %d days, until %s: move it anew",
			first.at, MotionLife/(24*time.Hour), first.at.Add(MotionLife))
	}
	return nil
}

// CheckIn is Check at the time of a view, and asks that who moved it first is
// still there to stand by it: not suspended, and with a live key.
func (m Motions) CheckIn(v View, x Motion) error {
	if err := m.Check(x, v.Now()); err != nil || x.Seconds.IsZero() {
		return err
	}
	first, err := PrincipalOf(v, m[x.Seconds].motion.By)
	if err != nil {
		return err
	}
	if first.Suspended || len(first.Keys()) == 0 {
		return unlawful("%s, who moved it, is suspended or has no live key any more: move it anew", first.ID)
	}
	return nil
}

// Apply takes in a motion that was recorded at a time, and returns who moved it
// first if it is lawfully seconded now. What was seconded is moved no more.
func (m Motions) Apply(payload Digest, x Motion, at Time) (first PrincipalID, carried bool) {
	if x.Seconds.IsZero() {
		m[payload] = moved{x, at}
		return "", false
	}
	if m.Check(x, at) != nil {
		return "", false
	}
	first = m[x.Seconds].motion.By
	delete(m, x.Seconds)
	return first, true
}

// applyKeeping folds what concerns how the item is kept.
func (e *Evidence) applyKeeping(r *Record, s *Statement) {
	switch act := s.Act.(type) {
	case *VerifyEvidence:
		e.CheckAsked = true
	case *HoldEvidence:
		e.Holds = append(slices.Clone(e.Holds), Hold{s.Payload, act.Authority, s.Purpose, s.Actor, r.Recorded})
	case *LiftHold:
		if _, carried := e.motions.Apply(s.Payload, act.Motion(s), r.Recorded); carried {
			e.Holds = slices.DeleteFunc(slices.Clone(e.Holds), func(h Hold) bool { return h.ID == act.Hold })
		}
	case *DisposeEvidence:
		if first, carried := e.motions.Apply(s.Payload, act.Motion(s), r.Recorded); carried {
			e.Disposal = Disposal{Order: s.Payload, First: first, Second: s.Actor, At: r.Recorded}
		}
	case *DisposedEvidence:
		e.Disposal.Done, e.Method = e.Disposal.Approved() && act.Order == e.Disposal.Order, act.Method
	}
}
