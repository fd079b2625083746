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

		KindRota:           func() custody.Act { return new(Rota) },
		KindProcedure:      func() custody.Act { return new(Procedure) },
		KindReviewDefaults: func() custody.Act { return new(ReviewDefaults) },
		KindStep:           func() custody.Act { return new(Step) },

		KindReportVulnerability: func() custody.Act { return new(ReportVulnerability) },
		KindAssessVulnerability: func() custody.Act { return new(AssessVulnerability) },
		KindFixVulnerability:    func() custody.Act { return new(FixVulnerability) },
		KindAcceptVulnerability: func() custody.Act { return new(AcceptVulnerability) },
		KindLinkVulnerability:   func() custody.Act { return new(LinkVulnerability) },

		KindMove:   func() custody.Act { return new(Move) },
		KindClose:  func() custody.Act { return new(Close) },
		KindReopen: func() custody.Act { return new(Reopen) },

		KindAppoint:   func() custody.Act { return new(Appoint) },
		KindHandOver:  func() custody.Act { return new(HandOver) },
		KindDischarge: func() custody.Act { return new(Discharge) },
		KindContact:   func() custody.Act { return new(Contact) },
		KindTeams:     func() custody.Act { return new(Teams) },
		KindShift:     func() custody.Act { return new(Shift) },
		KindNote:      func() custody.Act { return new(Note) },

		KindDetection: func() custody.Act { return new(Detection) },
		KindClassify:  func() custody.Act { return new(Classify) },
		KindScope:     func() custody.Act { return new(Scope) },
		KindRequest:   func() custody.Act { return new(Request) },
		KindTransfer:  func() custody.Act { return new(Transfer) },
		KindDeclare:   func() custody.Act { return new(Declare) },

		KindAssess:     func() custody.Act { return new(Assess) },
		KindRate:       func() custody.Act { return new(Rate) },
		KindDependency: func() custody.Act { return new(Dependency) },
		KindConsult:    func() custody.Act { return new(Consult) },

		KindFinding:           func() custody.Act { return new(Finding) },
		KindReview:            func() custody.Act { return new(Review) },
		KindWithdrawFinding:   func() custody.Act { return new(WithdrawFinding) },
		KindProcess:           func() custody.Act { return new(Process) },
		KindCatalogue:         func() custody.Act { return new(Catalogue) },
		KindEvent:             func() custody.Act { return new(Event) },
		KindCustomers:         func() custody.Act { return new(Customers) },
		KindClear:             func() custody.Act { return new(Clear) },
		KindWithdrawClearance: func() custody.Act { return new(WithdrawClearance) },
		KindIntelligence:      func() custody.Act { return new(Intelligence) },

		KindPlan:              func() custody.Act { return new(Plan) },
		KindMeasure:           func() custody.Act { return new(Measure) },
		KindCarryOut:          func() custody.Act { return new(CarryOut) },
		KindTest:              func() custody.Act { return new(Test) },
		KindDrop:              func() custody.Act { return new(Drop) },
		KindContainment:       func() custody.Act { return new(Containment) },
		KindEmergency:         func() custody.Act { return new(Emergency) },
		KindSignEmergency:     func() custody.Act { return new(SignEmergency) },
		KindWithdrawEmergency: func() custody.Act { return new(WithdrawEmergency) },
		KindOutageNotice:      func() custody.Act { return new(OutageNotice) },

		KindPostMortem:     func() custody.Act { return new(PostMortem) },
		KindSummary:        func() custody.Act { return new(Summary) },
		KindApproveSummary: func() custody.Act { return new(ApproveSummary) },
		KindRepair:         func() custody.Act { return new(Repair) },
		KindReschedule:     func() custody.Act { return new(Reschedule) },
		KindRepaired:       func() custody.Act { return new(Repaired) },
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
	i, out, err := onIncident(v, a.Incident, s)
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
	return out, i.maySetTeam(s.Actor)
}

// maySetTeam returns an Unlawful error unless somebody may say who is of the team:
// its manager, once it has one, or an executive.
func (i *Incident) maySetTeam(by custody.PrincipalID) error {
	if i.holder(custody.RoleIncidentManager) == "" || i.executive(by) {
		return nil
	}
	return i.led(by, false)
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
func (a *Unassign) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := onIncident(v, a.Incident, s)
	if err != nil {
		return out, err
	}
	if !slices.Contains(i.Assignees(), a.Principal) {
		return out, no("%s is not assigned", a.Principal)
	}
	if n := slices.IndexFunc(i.Holders, func(h Holder) bool { return h.Principal == a.Principal && h.Ended == nil }); n >= 0 {
		return out, no("%s is %s: hand that over, or discharge him, first", a.Principal, i.Holders[n].Role)
	}
	return out, i.maySetTeam(s.Actor)
}

func checkIDs(i custody.IncidentID, p custody.PrincipalID) error {
	if _, err := custody.ParseIncidentID(string(i)); err != nil {
		return err
	}
	_, err := custody.ParsePrincipalID(string(p))
	return err
}

// onIncident folds an incident as far as the statement's actor is concerned, and
// returns the outcome of an act upon it. Roles that he has in the incident and holds
// in the service no more count for nothing; his reach as an executive is known.
func onIncident(v custody.View, id custody.IncidentID, s *custody.Statement) (*Incident, custody.Outcome, error) {
	state, err := v.State(id.Stream())
	if err != nil {
		return nil, custody.Outcome{}, err
	}
	fold, ok := state.(*Incident)
	if !ok {
		return nil, custody.Outcome{}, fmt.Errorf("%s: folded as %T", id.Stream(), state)
	}
	actor, err := custody.PrincipalOf(v, s.Actor)
	if err != nil {
		return nil, custody.Outcome{}, err
	}
	i := *fold
	i.actor, i.actors = s.Actor, actor.Roles()
	return &i, custody.Outcome{
		Stream:   id.Stream(),
		Resource: custody.Resource{Type: "Incident", ID: string(id), Incident: id, Assigned: i.Assignees()},
	}, nil
}

// Incidents is the fold of the stream incidents: which there are, who is on call, by
// which procedures the team responds, which vulnerabilities were reported, and when the
// service's defaults were reviewed.
type Incidents struct {
	Opened []Opened // in order of their records
	Rota   []Entry[Rota]

	Procedures []Entry[Procedure] // all versions, in order of their records
	Reviews    []Entry[ReviewDefaults]

	Vulnerabilities []Vulnerability // in order of their records
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
	if !r.Decision.Permit {
		return nil
	}
	switch act := s.Act.(type) {
	case *Open:
		l.Opened = append(l.Opened, Opened{custody.NewIncidentID(s.Payload), *act, s.Actor, r.Recorded})
	case *Rota:
		l.Rota = append(l.Rota, Entry[Rota]{said(r, s), *act})
	case *Procedure:
		l.Procedures = append(l.Procedures, Entry[Procedure]{said(r, s), *act})
	case *ReviewDefaults:
		l.Reviews = append(l.Reviews, Entry[ReviewDefaults]{said(r, s), *act})
	case filing:
		act.file(l, said(r, s))
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
	labels    custody.Letters   // how many entries of a letter there are
	phases    map[Phase]Stretch // what is on record in each

	actor  custody.PrincipalID // while an act is decided: whose it is
	actors []custody.Role      // and which roles he holds in the service

	File
}

// File is what is on record of an incident beside its evidence: all that its team
// said, in the order in which it was recorded. What was corrected stays.
type File struct {
	Definition uint64           `json:"definition"` // version of the stages; 0 while the incident is in the first
	Stages     []Stage          `json:"stages"`     // that it entered after Detect, in order
	Closed     *Entry[Close]    `json:"closed,omitempty"`
	Reopened   []Entry[Close]   `json:"reopened,omitempty"` // how it was closed before
	Holders    []Holder         `json:"holders"`            // of its roles, those of the past too
	Contacts   []Entry[Contact] `json:"contacts"`
	Teams      []Entry[Teams]   `json:"teams"`
	Shifts     []Entry[Shift]   `json:"shifts"`
	Notes      []Entry[Note]    `json:"notes"`
	Steps      []Entry[Step]    `json:"steps"` // of procedures, what was said of each

	Links []Entry[LinkVulnerability] `json:"links"` // of reports of vulnerabilities

	Detections      []Entry[Detection]  `json:"detections"`
	Classifications []Entry[Classify]   `json:"classifications"`
	Scopes          []Entry[Scope]      `json:"scopes"`
	Requests        []Entry[Request]    `json:"requests"`
	Transfers       []Entry[Transfer]   `json:"transfers"`
	Declarations    []Entry[Declare]    `json:"declarations"`
	Assessments     []Entry[Assess]     `json:"assessments"`
	Ratings         []Entry[Rate]       `json:"ratings"`
	Dependencies    []Entry[Dependency] `json:"dependencies"`
	Consultations   []Entry[Consult]    `json:"consultations"`

	Examination

	Plans        []Entry[Plan]        `json:"plans"`
	Measures     []Measured           `json:"measures"`
	Containments []Entry[Containment] `json:"containments"`
	Emergencies  []Mitigation         `json:"emergencies"`

	PostMortems []Entry[PostMortem] `json:"postMortems"`
	Summaries   []Summarised        `json:"summaries"`
	Repairs     []RepairItem        `json:"repairs"`
}

var _ custody.Case = (*Incident)(nil)

// NewIncident returns the fold of an empty incident stream.
func NewIncident() *Incident {
	return &Incident{items: map[custody.EvidenceID]custody.Beginning{}, exhibits: map[string]custody.EvidenceID{},
		days: map[string]uint64{}, motions: custody.Motions{}, labels: custody.Letters{}, phases: map[Phase]Stretch{}}
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
	case effect:
		act.apply(i, said(r, s))
	default:
		i.shredding.Apply(r, s, i.motions)
		return nil
	}
	in := i.phases[PhaseOf(s.Kind)]
	in.count(r.Recorded)
	i.phases[PhaseOf(s.Kind)] = in
	return nil
}

func said(r *custody.Record, s *custody.Statement) Said {
	return Said{ID: s.Payload, By: s.Actor, Signed: s.Time, Recorded: r.Recorded, Why: s.Purpose}
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

// Open implements custody.Case.
func (i *Incident) Open() bool { return i.Closed == nil }

// MayBegin implements custody.Case. A post-mortem is its manager's; what is in the
// customer's area is taken at his request, or by another authority; and an incident
// that somebody has a role in has no more items than its gates can look at.
func (i *Incident) MayBegin(by custody.Principal, item *custody.BeginEvidence) error {
	if item.Type == custody.TypePostMortem {
		acting := *i
		acting.actor, acting.actors = by.ID, by.Roles()
		return acting.led(by.ID, false)
	}
	if len(i.Holders) > 0 && i.kept() >= mostItems {
		return no("an incident has at most %d items: take a folder in as one (--container), or open another incident as a part of this one (incident.teams)", mostItems)
	}
	if s := current(i.Scopes); s != nil && s.Responsibility != ByProvider && s.Responsibility != Undetermined && len(i.Requests) == 0 {
		return no("it lies in the customer's area: his request, or another authority, has to be on record first (incident.customer-request)")
	}
	return nil
}
