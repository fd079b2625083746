package custody

import (
	"fmt"
	"slices"
	"time"
)

// The kinds of statement about the keys of an incident, without which nobody can
// read its evidence.
const (
	KindShredIncident    Kind = "incident.shred"
	KindShreddedIncident Kind = "incident.shredded"
	KindShreddedEvidence Kind = "evidence.shredded"
	KindLoseKeys         Kind = "evidence.keys-lost"
)

// mostShredded is how many items an incident has at most that is destroyed as a
// whole: its order's basis names each of them, and a record has a limit.
const mostShredded = 5000

// uploadLife is for how long an item that was begun and is neither sealed nor
// withdrawn counts as an upload under way. What is older was given up.
const uploadLife = 7 * 24 * time.Hour

// ShredIncident orders that the keys of an incident be destroyed, and with them
// the bytes of all its items. It takes two people. From the second one's
// statement on nothing is handed out any more and nothing is taken in.
type ShredIncident struct {
	Incident IncidentID `json:"incident"`
	Seconds  Digest     `json:"seconds"` // payload digest of the first one's statement; zero in his
}

func (*ShredIncident) Kind() Kind         { return KindShredIncident }
func (*ShredIncident) NeedsPurpose() bool { return true }
func (a *ShredIncident) Subject() Subject { return Subject{Name: string(a.Incident)} }

// Check implements Act.
func (a *ShredIncident) Check(*Statement) error {
	_, err := ParseIncidentID(string(a.Incident))
	return err
}

// Lawful implements Act. It looks at every item, so that the basis of the record
// says in what state each was.
func (a *ShredIncident) Lawful(v View, s *Statement) (Outcome, error) {
	c, out, err := caseOf(v, a.Incident)
	if err != nil {
		return out, err
	}
	if err := shreddable(v, a.Incident, c); err != nil {
		return out, err
	}
	return out, c.Motions().CheckIn(v, a.Motion(s))
}

// Motion is what the statement moves or seconds.
func (a *ShredIncident) Motion(s *Statement) Motion {
	return Motion{By: s.Actor, What: "destroy the keys", Seconds: a.Seconds}
}

// shreddable returns an Unlawful error while an item of an incident has to stay.
func shreddable(v View, i IncidentID, c Case) error {
	items := c.Items()
	switch {
	case c.Shredding().Approved():
		return unlawful("the keys of incident %s are destroyed", i)
	case len(items) > mostShredded:
		return unlawful("incident %s has more than %d items: dispose of them one by one", i, mostShredded)
	}
	for _, id := range items {
		item, err := ItemIn(v, i, id)
		if err != nil {
			return err
		}
		if err := item.mayGo(v, id); err != nil {
			return err
		}
	}
	return nil
}

// mayGo returns an Unlawful error while an item has to stay.
func (i Item) mayGo(v View, id EvidenceID) error {
	switch {
	case !i.Sealed && !i.Withdrawn && v.Now() < i.BegunAt.Add(uploadLife):
		return unlawful("item %s is being taken in: it was begun at %s, and is neither sealed nor withdrawn", id, i.BegunAt)
	case !i.Sealed || i.Disposal.Done:
		return nil
	case i.Disposal.Approved():
		return unlawful("item %s is being disposed of: wait until that is on record", id)
	case len(i.Holds) > 0:
		return unlawful("item %s is on legal hold by %s", id, i.Holds[0].Authority)
	}
	until, err := KeptUntil(v, i)
	if err == nil && v.Now() < until {
		err = unlawful("item %s is kept until %s", id, until)
	}
	return err
}

// going returns an Unlawful error when two people have ordered that the item's
// bytes be destroyed, by themselves or with its incident's keys.
func (i Item) going(id EvidenceID) error {
	switch {
	case i.Disposal.Approved():
		return unlawful("item %s is disposed of", id)
	case i.Shredding.Approved():
		return unlawful("item %s is gone: the keys of its incident are destroyed, by order of %s and %s", id, i.Shredding.First, i.Shredding.Second)
	}
	return nil
}

// ShreddedEvidence is the service's certificate, in an item's own history, that
// nobody can read its bytes any more, since the keys of its incident are
// destroyed (cryptographic erase, after NIST SP 800-88): by whose order, how.
type ShreddedEvidence struct {
	Evidence EvidenceID `json:"evidence"`
	Method   string     `json:"method"` // what was done, in a line
	Order    Digest     `json:"order"`  // payload digest of the second ShredIncident
	SHA256   Digest     `json:"sha256"` // of the bytes that are gone
}

func (*ShreddedEvidence) Kind() Kind         { return KindShreddedEvidence }
func (*ShreddedEvidence) NeedsPurpose() bool { return false }
func (a *ShreddedEvidence) Subject() Subject {
	return Subject{Name: string(a.Evidence), SHA256: a.SHA256}
}

// Check implements Act.
func (a *ShreddedEvidence) Check(*Statement) error {
	if err := checkLine("method", a.Method, true); err != nil {
		return err
	}
	return checkEvidence(a.Evidence)
}

// Lawful implements Act.
func (a *ShreddedEvidence) Lawful(v View, _ *Statement) (Outcome, error) {
	e, out, err := ItemOf(v, a.Evidence)
	if err != nil {
		return out, err
	}
	switch {
	case e.Shredding.Order != a.Order || a.Order.IsZero():
		return out, unlawful("no order %s to destroy the keys of incident %s", a.Order, e.Incident)
	case !e.Shredded.IsZero():
		return out, unlawful("that item %s is gone is on record", a.Evidence)
	case e.Disposal.Done:
		return out, unlawful("item %s was disposed of before", a.Evidence)
	case e.Artifact.SHA256 != a.SHA256:
		return out, unlawful("item %s has another SHA-256", a.Evidence)
	}
	return out, nil
}

// ShreddedIncident is the service's certificate that an incident's keys are
// destroyed, and that this stands in the history of each item that had bytes.
type ShreddedIncident struct {
	Incident IncidentID `json:"incident"`
	Items    uint64     `json:"items"`  // whose bytes are gone with the keys
	Method   string     `json:"method"` // what was done, in a line
	Order    Digest     `json:"order"`  // payload digest of the second ShredIncident
}

func (*ShreddedIncident) Kind() Kind         { return KindShreddedIncident }
func (*ShreddedIncident) NeedsPurpose() bool { return false }
func (a *ShreddedIncident) Subject() Subject { return Subject{Name: string(a.Incident)} }

// Check implements Act.
func (a *ShreddedIncident) Check(*Statement) error {
	if err := checkLine("method", a.Method, true); err != nil {
		return err
	}
	_, err := ParseIncidentID(string(a.Incident))
	return err
}

// Lawful implements Act.
func (a *ShreddedIncident) Lawful(v View, _ *Statement) (Outcome, error) {
	c, out, err := caseOf(v, a.Incident)
	if err != nil {
		return out, err
	}
	switch d := c.Shredding(); {
	case d.Order != a.Order || a.Order.IsZero():
		return out, unlawful("no order %s to destroy the keys of incident %s", a.Order, a.Incident)
	case d.Done:
		return out, unlawful("that the keys of incident %s are destroyed is on record", a.Incident)
	}
	var gone uint64
	for _, id := range c.Items() {
		item, err := ItemIn(v, a.Incident, id)
		if err != nil {
			return out, err
		}
		switch {
		case !item.Shredded.IsZero():
			gone++
		case item.HasBytes():
			return out, unlawful("that item %s is gone is not on record yet", id)
		}
	}
	if gone != a.Items {
		return out, unlawful("%d items are gone, not %d", gone, a.Items)
	}
	return out, nil
}

// HasBytes says whether there are bytes of the item that its incident's keys
// protect: it is sealed, no physical thing, and not disposed of.
func (i Item) HasBytes() bool {
	return i.Sealed && i.Begun.Type != TypePhysical && !i.Disposal.Done
}

// The ways in which an incident's keys can be lost.
const (
	KeysMissing    = "missing"    // the store has no file of them any more
	KeysUnreadable = "unreadable" // there is one, and the service's identity does not open it
	KeysDestroyed  = "destroyed"  // they were destroyed, and nobody had ordered it
)

// LoseKeys is the service's word that it cannot read an item since the keys of
// its incident are lost. Its bytes may be there and whole; a CheckEvidence that
// finds them intact says that the keys are back.
type LoseKeys struct {
	Evidence EvidenceID `json:"evidence"`
	State    string     `json:"state"` // one of the three above
}

func (*LoseKeys) Kind() Kind         { return KindLoseKeys }
func (*LoseKeys) NeedsPurpose() bool { return true }
func (a *LoseKeys) Subject() Subject { return Subject{Name: string(a.Evidence)} }

// Check implements Act.
func (a *LoseKeys) Check(*Statement) error {
	if states := []string{KeysMissing, KeysUnreadable, KeysDestroyed}; !slices.Contains(states, a.State) {
		return fmt.Errorf("state %.40q is none of %q", a.State, states)
	}
	return checkEvidence(a.Evidence)
}

// Lawful implements Act.
func (a *LoseKeys) Lawful(v View, _ *Statement) (Outcome, error) {
	e, out, err := ItemOf(v, a.Evidence)
	if err == nil {
		err = e.going(a.Evidence)
	}
	return out, err
}

// caseOf returns an incident as acts about its evidence see it, and the outcome
// of an act upon it.
func caseOf(v View, i IncidentID) (Case, Outcome, error) {
	c, err := stateOf[Case](v, i.Stream())
	if err != nil {
		return nil, Outcome{}, err
	}
	return c, Outcome{
		Stream:   i.Stream(),
		Resource: Resource{Type: "Incident", ID: string(i), Incident: i, Assigned: c.Assignees()},
	}, nil
}

// Shredding is what an incident's stream says of the destruction of its keys.
// The fold of the stream has one.
type Shredding struct{ order Disposal }

// Apply takes in a permitted record of the stream. motions are the stream's.
func (d *Shredding) Apply(r *Record, s *Statement, motions Motions) {
	switch act := s.Act.(type) {
	case *ShredIncident:
		if first, carried := motions.Apply(s.Payload, act.Motion(s), r.Recorded); carried {
			d.order = Disposal{Order: s.Payload, First: first, Second: s.Actor, At: r.Recorded}
		}
	case *ShreddedIncident:
		d.order.Done = d.order.Approved() && act.Order == d.order.Order
	}
}

// Order returns how far the destruction has come.
func (d *Shredding) Order() Disposal { return d.order }

// applyKeys folds what concerns the keys that an item needs.
func (e *Evidence) applyKeys(r *Record, s *Statement) {
	switch act := s.Act.(type) {
	case *ShreddedEvidence:
		e.Shredded, e.Method, e.Damaged, e.KeysLost = act.Order, act.Method, false, ""
	case *LoseKeys:
		e.Damaged, e.KeysLost = true, act.State
		e.CheckedAt, e.CheckAsked = r.Recorded, false
	}
}
