package investigate

import (
	"fmt"
	"slices"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// Picture is an incident as its team sees it: its file, and what follows from it at
// a time.
type Picture struct {
	ID         custody.IncidentID `json:"id"`
	Title      string             `json:"title"`
	Class      string             `json:"class"`
	DetectedAt custody.Time       `json:"detectedAt"` // the first indication that is on record
	OpenedAt   custody.Time       `json:"openedAt"`
	Stage      string             `json:"stage"`
	Phase      Phase              `json:"phase"`          // in which the stage lies
	Phases     []Stretch          `json:"phases"`         // what is on record in each
	Next       string             `json:"next,omitempty"` // stage, in order
	Missing    []string           `json:"missing"`        // what has to be on record before the incident goes on, or is closed
	Open       []string           `json:"open"`           // what is not known, or not done
	Uncovered  []Span             `json:"uncovered"`      // when customer data was at risk and nobody on shift
	Times      Times              `json:"times"`
	Timeline   []Moment           `json:"timeline"` // what happened, by when it happened
	Steps      []StepDue          `json:"steps"`    // of the procedures in force
	Outages    []Outage           `json:"outages"`  // of approved emergency mitigations
	Derived    []Derivative       `json:"derived"`  // items that came out of processes
	Reports    []Linked           `json:"reports"`  // of vulnerabilities, that are linked to it
	Unseen     []UnseenItem       `json:"unseen"`   // what findings cite and their authors never had in hand
	Parts      []Part             `json:"parts"`    // of a coordinated incident: itself, and those of its parts that the reader may see; else empty
	File       File               `json:"file"`
}

// Part is an incident that others are coordinated with: who is of its team, and who of
// the teams of the others is not.
type Part struct {
	ID       custody.IncidentID    `json:"id"`
	Title    string                `json:"title"`
	Assigned []custody.PrincipalID `json:"assigned"`
	Lacking  []custody.PrincipalID `json:"lacking"`
}

// Coordinate notes in each of several incidents who is of the team of another one of
// them, and not of its own; in order of identifiers.
func Coordinate(parts []Part) {
	var all []custody.PrincipalID
	for _, p := range parts {
		all = append(all, p.Assigned...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	for n := range parts {
		parts[n].Lacking = []custody.PrincipalID{}
		for _, p := range all {
			if !slices.Contains(parts[n].Assigned, p) {
				parts[n].Lacking = append(parts[n].Lacking, p)
			}
		}
	}
}

// Derivative is an item that came out of what was done with others, and those.
type Derivative struct {
	Evidence  custody.EvidenceID   `json:"evidence"`
	Originals []custody.EvidenceID `json:"originals"`
}

// UnseenItem is an item that a finding cites, and that its author never had in hand
// before he recorded it.
type UnseenItem struct {
	Finding  string             `json:"finding"` // its label
	Evidence custody.EvidenceID `json:"evidence"`
}

// Times are how long it took, in whole seconds from the first indication; absent
// where it has not come to that.
type Times struct {
	Engaged   *int64 `json:"engaged,omitempty"`   // until somebody on call was
	Diagnosed *int64 `json:"diagnosed,omitempty"` // until the investigation began
	Contained *int64 `json:"contained,omitempty"` // until both risks were verified as contained, the first time
	Restored  *int64 `json:"restored,omitempty"`  // until normal security and operations were restored
	Repaired  *int64 `json:"repaired,omitempty"`  // from the beginning of the investigation until then
}

// Picture returns the incident's picture. It shares the fold's lists: it is read
// before the fold goes on.
func (i *Incident) Picture(v custody.View, o Opened) (Picture, error) {
	p := i.Outline(o, v.Now())
	p.Timeline = i.Timeline()
	from, told := i.lineage(), map[custody.EvidenceID]bool{}
	for _, x := range i.Processes {
		id := x.Act.Output.Evidence
		if told[id] {
			continue
		}
		told[id] = true
		if of := from.originals(id); len(of) > 0 {
			p.Derived = append(p.Derived, Derivative{id, of})
		}
	}
	l, err := incidentsOf(v)
	if err != nil {
		return p, err
	}
	p.Steps, p.Reports = i.steps(l, p.DetectedAt), i.linked(l, v.Now())
	for _, r := range p.Reports {
		if r.Overdue {
			p.Open = append(p.Open, "vulnerability "+r.Label+" is overdue")
		}
	}
	for _, s := range p.Steps {
		if s.Done == 0 && s.Due != 0 && s.Due < v.Now() {
			p.Open = append(p.Open, fmt.Sprintf("step %q of procedure %q, due at %s", s.Step, s.Procedure, s.Due))
		}
	}
	for _, f := range i.Findings {
		unseen, err := Unseen(v, f)
		if err != nil {
			return p, err
		}
		for _, e := range unseen {
			p.Unseen = append(p.Unseen, UnseenItem{f.Label, e})
		}
	}
	if i.Closed != nil {
		return p, nil
	}
	missing, err := i.next(v, &p)
	if missing != nil {
		p.Missing = missing
	}
	return p, err
}

// Outline is a picture without what takes a look at the incident's evidence: what is
// missing, and what findings cite that their authors never had.
func (i *Incident) Outline(o Opened, now custody.Time) Picture {
	p := Picture{
		ID: o.ID, Title: o.Act.Title, Class: o.Act.Class, DetectedAt: i.indicated(o), OpenedAt: o.Recorded,
		Stage: i.Stage(), Phase: PhaseOfStage(i.Stage()), Phases: i.stretches(o), Missing: []string{}, Open: i.open(now), Uncovered: i.UncoveredRisk(now),
		Times: i.times(o), Timeline: []Moment{}, Steps: []StepDue{}, Outages: i.outages(now), Derived: []Derivative{}, Reports: []Linked{}, Parts: []Part{}, Unseen: []UnseenItem{}, File: i.File,
	}
	if p.Uncovered == nil {
		p.Uncovered = []Span{}
	}
	return p
}

// next notes the stage that comes next, and returns what it takes to get there.
func (i *Incident) next(v custody.View, p *Picture) ([]string, error) {
	version := i.Definition
	if version == 0 {
		version = Newest().Version
	}
	d, _ := definition(version)
	for n, s := range d.Stages {
		if s == p.Stage && n+1 < len(d.Stages) {
			p.Next = d.Stages[n+1]
			return i.missing(v, &Move{Stage: p.Next, Definition: version})
		}
	}
	missing := i.unclosed(&Close{End: EndResolved, Notification: "-", Restored: v.Now()}, v.Now())
	gone, err := i.gone(v, p.ID)
	if err != nil {
		return nil, err
	}
	late, err := i.late(v)
	if version >= stricter {
		return slices.Concat(missing, gone, late), err
	}
	p.Open = append(p.Open, late...)
	return append(missing, gone...), err
}

// Newest returns the newest version of the process.
func Newest() Definition {
	all := Definitions()
	return all[len(all)-1]
}

// indicated returns when the first indication was.
func (i *Incident) indicated(o Opened) custody.Time {
	if at := i.Detected(); at != 0 && at < o.Act.DetectedAt {
		return at
	}
	return o.Act.DetectedAt
}

// open lists what is not known, or not done, whatever stage the incident is in.
func (i *Incident) open(now custody.Time) []string {
	list := wants{}
	is := list.lacks
	if s := current(i.Scopes); s != nil {
		is(s.Responsibility == Undetermined, "whose responsibility it is")
	}
	if a := current(i.Assessments); a != nil {
		is(a.Security == "unknown", "whether it is a security risk")
		is(a.Privacy == "unknown", "whether it is a privacy risk")
	}
	if r := current(i.Ratings); r != nil {
		is(i.affected() && r.DataRisk == RiskNone, "the rating says that no customer data is at risk, although it is affected and not contained")
	}
	for _, e := range i.Emergencies {
		is(!e.Approved() && e.Withdrawn == nil, "emergency mitigation "+e.Label+" lacks signatures")
	}
	for _, o := range i.outages(now) {
		is(o.Sent == 0, o.String())
	}
	for _, label := range i.unruled() {
		is(true, "the rules of engagement of exercise "+label)
	}
	for _, r := range i.Repairs {
		is(r.Overdue(now), "repair item "+r.Label+" is overdue")
	}
	return append(append(list, i.unknown(now)...), i.baseless()...)
}

// fallen has the labels of the findings that were withdrawn or corrected.
type fallen map[custody.Digest]string

func (i *Incident) fallen() fallen {
	list := fallen{}
	for _, f := range i.Findings {
		if !f.Stands() {
			list[f.ID] = f.Label
		}
	}
	return list
}

// rests notes which of the findings that something rests on are among them.
func (w *wants) rests(on fallen, what string, ids ...custody.Digest) {
	for _, id := range ids {
		if label, is := on[id]; is {
			*w = append(*w, what+" rests on finding "+label+", which does not stand")
		}
	}
}

// adrift lists what is said of the risk to customer data and rests on such findings.
func (i *Incident) adrift() (list wants) {
	on := i.fallen()
	if r := current(i.Ratings); r != nil {
		list.rests(on, "the rating", r.Finding)
	}
	if c := current(i.Customers); c != nil {
		list.rests(on, "what is said of customers", c.Findings...)
	}
	return list
}

// baseless lists what rests on findings that were withdrawn or corrected since.
func (i *Incident) baseless() []string {
	list, on := i.adrift(), i.fallen()
	if p := current(i.Plans); p != nil {
		list.rests(on, "the plan", p.Findings...)
	}
	for _, m := range i.Measures {
		if m.Dropped == nil {
			list.rests(on, "measure "+m.Label, m.Act.Findings...)
		}
	}
	for _, e := range i.Emergencies {
		if e.Withdrawn == nil {
			list.rests(on, "emergency mitigation "+e.Label, e.Act.Findings...)
		}
	}
	return list
}

func (i *Incident) times(o Opened) Times {
	since := i.indicated(o)
	var t Times
	after := func(from, at custody.Time) *int64 {
		seconds := max(0, int64(at.Time().Sub(from.Time())/time.Second))
		return &seconds
	}
	for _, h := range i.Holders {
		if h.Role == custody.RoleOnCall && !h.Shadow && t.Engaged == nil {
			t.Engaged = after(since, h.From)
		}
	}
	var began custody.Time
	for _, s := range i.Stages {
		if s.Stage == StageDiagnose && t.Diagnosed == nil {
			began, t.Diagnosed = s.Entered, after(since, s.Entered)
		}
	}
	contained := map[string]bool{}
	for _, c := range i.Containments {
		contained[c.Act.Risk] = c.Act.Contained
		if contained[RiskCustomer] && contained[RiskBusiness] && t.Contained == nil {
			t.Contained = after(since, c.Act.At)
		}
	}
	if i.Closed != nil && i.Closed.Act.Restored != 0 {
		t.Restored = after(since, i.Closed.Act.Restored)
		if began != 0 {
			t.Repaired = after(began, i.Closed.Act.Restored)
		}
	}
	return t
}

// Programme is how the response did, over incidents: so that it can be shown, and
// tuned. Exercises are counted apart.
type Programme struct {
	Incidents Tally            `json:"incidents"`
	Exercises Tally            `json:"exercises"`
	Sources   map[string]Tally `json:"sources"` // by where the first indication came from; no exercises
	Overdue   int              `json:"overdueRepairs"`
	Unruled   int              `json:"unruledExercises"` // exercises without rules of engagement
	Unmanned  []Span           `json:"unmanned"`         // when nobody is on call, within the next days

	Vulnerabilities VulnerabilityTally `json:"vulnerabilities"`
}

// VulnerabilityTally counts reports of vulnerabilities.
type VulnerabilityTally struct {
	Reported int            `json:"reported"`
	States   map[string]int `json:"states"` // by how they stand
	Overdue  int            `json:"overdue"`
}

// Tally counts incidents, and has the middle of their times in seconds: 0 where
// there are none.
type Tally struct {
	Opened         int            `json:"opened"`
	Closed         map[string]int `json:"closed"` // by how they ended
	FalsePositives int            `json:"falsePositives"`
	Security       int            `json:"securityIncidents"`
	Engaged        int64          `json:"medianEngaged"`
	Contained      int64          `json:"medianContained"`
	Restored       int64          `json:"medianRestored"`

	engaged, contained, restored []int64
}

// Newest returns the entry that a new act of its kind corrects, by the name of the
// field that says so; zero when there is none, or none is meant.
func (f *File) Newest(act custody.Act, field string) custody.Digest {
	if field != "replaces" {
		if _, ok := act.(*Summary); ok && field == "post-mortem" {
			return newest(f.PostMortems)
		}
		return custody.Digest{}
	}
	switch act.(type) {
	case *Teams:
		return newest(f.Teams)
	case *Classify:
		return newest(f.Classifications)
	case *Scope:
		return newest(f.Scopes)
	case *Assess:
		return newest(f.Assessments)
	case *Rate:
		return newest(f.Ratings)
	case *Plan:
		return newest(f.Plans)
	case *Customers:
		return newest(f.Customers)
	case *PostMortem:
		return newest(f.PostMortems)
	}
	return custody.Digest{}
}

func newest[A any](list []Entry[A]) custody.Digest {
	if len(list) == 0 {
		return custody.Digest{}
	}
	return list[len(list)-1].ID
}
