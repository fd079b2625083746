package investigate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/forensic-custody/custody/custody"
)

// The kinds of statement about incidents.
const (
	KindOpen     custody.Kind = "incident.open"
	KindAssign   custody.Kind = "incident.assign"
	KindUnassign custody.Kind = "incident.unassign"
)

// Acts is the vocabulary of this package.
func Acts() custody.Vocabulary {
	return custody.Vocabulary{
		KindOpen:     func() custody.Act { return new(Open) },
		KindAssign:   func() custody.Act { return new(Assign) },
		KindUnassign: func() custody.Act { return new(Unassign) },
		KindRetain:   func() custody.Act { return new(Retain) },
	}
}

// The kinds of incident. Both go through the same stages.
const (
	Security     = "security"
	Availability = "availability"
)

// Open opens an incident: somebody noticed something. Its record belongs to
// the stream incidents and declares the incident's own.
type Open struct {
	Class      string       `json:"class"`      // Security or Availability
	DetectedAt custody.Time `json:"detectedAt"` // first indication, which may lie before the record
	Title      string       `json:"title"`
}

// Kind implements custody.Act.
func (*Open) Kind() custody.Kind { return KindOpen }

// NeedsPurpose implements custody.Act.
func (*Open) NeedsPurpose() bool { return false }

// Subject implements custody.Act.
func (a *Open) Subject() custody.Subject { return custody.Subject{Name: a.Title} }

// Detail says in a line what a history tells of it.
func (a *Open) Detail() string { return a.Class + ": " + a.Title }

// Check implements custody.Act.
func (a *Open) Check(s *custody.Statement) error {
	if a.Class != Security && a.Class != Availability {
		return fmt.Errorf("class %.40q is neither %q nor %q", a.Class, Security, Availability)
	}
	if a.DetectedAt > s.Time {
		return errors.New("an incident is not detected in the future")
	}
	return custody.CheckLine("title", a.Title)
}

// Lawful implements custody.Act.
func (a *Open) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	id := custody.NewIncidentID(s.Payload)
	out := custody.Outcome{
		Stream:   custody.IncidentsStream,
		Declares: []custody.Stream{id.Stream()},
		Resource: custody.Resource{Type: "Custody", ID: s.Audience},
	}
	if _, err := v.State(id.Stream()); !errors.Is(err, custody.ErrUnknown) {
		return out, custody.Unlawful{Why: fmt.Sprintf("incident %s exists", id)}
	}
	return out, nil
}

// Assign makes somebody a member of an incident's team.
type Assign struct {
	Incident  custody.IncidentID  `json:"incident"`
	Principal custody.PrincipalID `json:"principal"`
}

// Kind implements custody.Act.
func (*Assign) Kind() custody.Kind { return KindAssign }

// NeedsPurpose implements custody.Act.
func (*Assign) NeedsPurpose() bool { return true }

// Subject implements custody.Act.
func (a *Assign) Subject() custody.Subject { return custody.Subject{Name: string(a.Incident)} }

// Detail says in a line what a history tells of it.
func (a *Assign) Detail() string { return string(a.Principal) }

// Check implements custody.Act.
func (a *Assign) Check(*custody.Statement) error { return checkIDs(a.Incident, a.Principal) }

// Lawful implements custody.Act.
func (a *Assign) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := onIncident(v, a.Incident)
	if err != nil {
		return out, err
	}
	p, err := custody.PrincipalOf(v, a.Principal)
	switch {
	case errors.Is(err, custody.ErrUnknown):
		return out, custody.Unlawful{Why: fmt.Sprintf("there is no principal %s", a.Principal)}
	case err != nil:
		return out, err
	case s.Actor == a.Principal:
		return out, custody.Unlawful{Why: "nobody assigns himself: evidence takes two people"}
	case p.Has(custody.RoleAdministrator), p.Has(custody.RoleService):
		return out, custody.Unlawful{Why: "whoever decides about rights, and the service, work on no incident"}
	case p.Suspended:
		return out, custody.Unlawful{Why: fmt.Sprintf("%s is suspended", a.Principal)}
	case slices.Contains(i.Assignees(), a.Principal):
		return out, custody.Unlawful{Why: fmt.Sprintf("%s is assigned already", a.Principal)}
	}
	return out, nil
}

// Unassign ends a membership, at once.
type Unassign struct {
	Incident  custody.IncidentID  `json:"incident"`
	Principal custody.PrincipalID `json:"principal"`
}

// Kind implements custody.Act.
func (*Unassign) Kind() custody.Kind { return KindUnassign }

// NeedsPurpose implements custody.Act.
func (*Unassign) NeedsPurpose() bool { return true }

// Subject implements custody.Act.
func (a *Unassign) Subject() custody.Subject { return custody.Subject{Name: string(a.Incident)} }

// Detail says in a line what a history tells of it.
func (a *Unassign) Detail() string { return string(a.Principal) }

// Check implements custody.Act.
func (a *Unassign) Check(*custody.Statement) error { return checkIDs(a.Incident, a.Principal) }

// Lawful implements custody.Act.
func (a *Unassign) Lawful(v custody.View, _ *custody.Statement) (custody.Outcome, error) {
	i, out, err := onIncident(v, a.Incident)
	if err == nil && !slices.Contains(i.Assignees(), a.Principal) {
		err = custody.Unlawful{Why: fmt.Sprintf("%s is not assigned", a.Principal)}
	}
	return out, err
}

func checkIDs(i custody.IncidentID, p custody.PrincipalID) error {
	if _, err := custody.ParseIncidentID(string(i)); err != nil {
		return err
	}
	_, err := custody.ParsePrincipalID(string(p))
	return err
}

func onIncident(v custody.View, id custody.IncidentID) (*Incident, custody.Outcome, error) {
	state, err := v.State(id.Stream())
	if err != nil {
		return nil, custody.Outcome{}, err
	}
	i, ok := state.(*Incident)
	if !ok {
		return nil, custody.Outcome{}, fmt.Errorf("%s: folded as %T", id.Stream(), state)
	}
	return i, custody.Outcome{
		Stream:   id.Stream(),
		Resource: custody.Resource{Type: "Incident", ID: string(id), Incident: id, Assigned: i.Assignees()},
	}, nil
}

// Incidents is the fold of the stream incidents: which there are.
type Incidents struct {
	Opened []Opened // in order of their records
}

// Opened is what the record says that opened an incident.
type Opened struct {
	ID       custody.IncidentID
	Act      Open
	By       custody.PrincipalID
	Recorded custody.Time
}

// Apply implements custody.State.
func (l *Incidents) Apply(r *custody.Record, s *custody.Statement) error {
	if act, ok := s.Act.(*Open); ok && r.Decision.Permit {
		l.Opened = append(l.Opened, Opened{custody.NewIncidentID(s.Payload), *act, s.Actor, r.Recorded})
	}
	return nil
}

// Incident is the fold of one incident's stream.
type Incident struct {
	assigned  []custody.PrincipalID // sorted
	items     map[custody.EvidenceID]custody.Beginning
	order     []custody.EvidenceID // in order of their records
	exhibits  map[string]custody.EvidenceID
	days      map[string]uint64 // of retention, by type; "" for all
	motions   custody.Motions
	shredding custody.Shredding
}

var _ custody.Case = (*Incident)(nil)

// NewIncident returns the fold of an empty incident stream.
func NewIncident() *Incident {
	return &Incident{items: map[custody.EvidenceID]custody.Beginning{}, exhibits: map[string]custody.EvidenceID{},
		days: map[string]uint64{}, motions: custody.Motions{}}
}

// Apply implements custody.State.
func (i *Incident) Apply(r *custody.Record, s *custody.Statement) error {
	if !r.Decision.Permit {
		return nil
	}
	switch act := s.Act.(type) {
	case *Assign:
		at, _ := slices.BinarySearch(i.assigned, act.Principal)
		i.assigned = slices.Insert(slices.Clone(i.assigned), at, act.Principal)
	case *Unassign:
		i.assigned = slices.DeleteFunc(slices.Clone(i.assigned), func(p custody.PrincipalID) bool { return p == act.Principal })
	case *custody.BeginEvidence:
		id := custody.NewEvidenceID(s.Payload)
		i.items[id] = custody.Beginning{Begun: *act, BegunBy: s.Actor, BegunAt: r.Recorded}
		i.order = append(i.order, id)
		i.exhibits[fold(act.Exhibit)] = id
	case *custody.WithdrawEvidence:
		if it, ok := i.items[act.Evidence]; ok {
			it.Withdrawn = true
			i.items[act.Evidence] = it
			delete(i.exhibits, fold(it.Begun.Exhibit))
		}
	case *Retain:
		if _, carried := i.motions.Apply(s.Payload, act.Motion(s), r.Recorded); carried {
			i.days[act.Type] = act.Days
		}
	default:
		i.shredding.Apply(r, s, i.motions)
	}
	return nil
}

// fold makes exhibit numbers that look alike the same.
func fold(exhibit string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, exhibit)
}

// Assignees implements custody.Case. The list is never changed afterwards.
func (i *Incident) Assignees() []custody.PrincipalID { return i.assigned }

// Item implements custody.Case.
func (i *Incident) Item(id custody.EvidenceID) (custody.Beginning, bool) {
	it, ok := i.items[id]
	return it, ok
}

// Items implements custody.Case.
func (i *Incident) Items() []custody.EvidenceID { return slices.Clone(i.order) }

// Exhibit implements custody.Case.
func (i *Incident) Exhibit(number string) (custody.EvidenceID, bool) {
	id, ok := i.exhibits[fold(number)]
	return id, ok
}

// Motions implements custody.Case.
func (i *Incident) Motions() custody.Motions { return i.motions }

// Shredding implements custody.Case.
func (i *Incident) Shredding() custody.Disposal { return i.shredding.Order() }

// Open implements custody.Case. An incident cannot be closed yet.
func (i *Incident) Open() bool { return true }
