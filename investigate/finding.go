package investigate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// The kinds of statement about findings.
const (
	KindFinding         custody.Kind = "finding.record"
	KindReview          custody.Kind = "finding.review"
	KindWithdrawFinding custody.Kind = "finding.withdraw"
)

// Examination is what of an incident's file was found out, and by what.
type Examination struct {
	Findings   []Reviewed            `json:"findings"`
	Processes  []Entry[Process]      `json:"processes"`
	Catalogue  []Entry[Catalogue]    `json:"catalogue"`
	Events     []Entry[Event]        `json:"events"`
	Customers  []Entry[Customers]    `json:"customers"`
	Obligation *Obligation           `json:"obligation,omitempty"` // to notify customers
	Clearances []Clearance           `json:"clearances"`
	Reports    []Entry[Intelligence] `json:"reports"` // of intelligence
}

// The states of a finding, by its author.
const (
	FindingTentative   = "tentative"
	FindingEstablished = "established"
)

// examiners are the roles whose holders record findings, and review others'.
var examiners = []custody.Role{custody.RoleForensicEngineer, custody.RoleIncidentManager, custody.RoleServiceExpert}

// Finding is what an examiner concludes: the fact, and apart from it what he takes
// it to mean; what limits it, what else he considered; and the evidence for and
// against, by digest and place.
type Finding struct {
	On
	Alternatives   []string       `json:"alternatives" help:"what else could explain it, and why it does not (repeat for several)"`
	Citations      []Citation     `json:"citations" help:"evidence and where in it: ITEM:for or ITEM:against, then nothing for all of it, or :range=OFFSET+LENGTH, :file=PATH, :range=OFFSET+LENGTH,file=PATH, :line=FROM-TO, :record=NUMBER, :address=0xHEX; a range has to lie in the item, and whether a file, line, record or address does is seen by nobody but who reviews it (repeat for several)"`
	Confidence     string         `json:"confidence" help:"low, moderate or high"`
	EventAt        custody.Time   `json:"eventAt,omitzero" help:"when what was found happened, where that is known"`
	Fact           string         `json:"fact" help:"what is there, without what it means"`
	Indicators     []Indicator    `json:"indicators" help:"by what the same is recognized elsewhere: TYPE:VALUE, such as ip:203.0.113.7 (repeat for several)"`
	Interpretation string         `json:"interpretation" help:"what the author takes it to mean"`
	Limits         string         `json:"limits" help:"what limits the finding: what was not examined, what could be wrong"`
	Replaces       custody.Digest `json:"replaces" help:"the finding that this one corrects, F-1 (default: none)"`
	Status         string         `json:"status" help:"tentative or established"`
	Techniques     []string       `json:"techniques" help:"of ATT&CK: T1059, or T1059.001 (repeat for several)"`
	Title          string         `json:"title" help:"what was found, in a line"`
}

// Kind implements custody.Act.
func (*Finding) Kind() custody.Kind { return KindFinding }

// Detail says in a line what a history tells of it.
func (a *Finding) Detail() string {
	text := fmt.Sprintf("%s, confidence %s: %s; fact: %s; taken to mean: %s", a.Status, a.Confidence, a.Title, inLine(a.Fact), inLine(a.Interpretation))
	if a.Limits != "" {
		text += "; limits: " + inLine(a.Limits)
	}
	if len(a.Alternatives) > 0 {
		text += "; what else it could be: " + strings.Join(a.Alternatives, ", ")
	}
	for _, c := range a.Citations {
		text += "; cites " + c.String()
	}
	return text
}

// inLine is a text of several lines as it stands in one, whole: what people rely upon,
// or sign, does not end where somebody began a new line.
func inLine(s string) string { return strings.ReplaceAll(s, "\n", " / ") }

// Check implements custody.Act.
func (a *Finding) Check(s *custody.Statement) error {
	var err error
	if a.EventAt < 0 || a.EventAt > s.Time {
		err = fmt.Errorf("eventAt %s is later than the statement, or no time", a.EventAt)
	}
	for _, t := range []struct{ field, text string }{{"fact", a.Fact}, {"interpretation", a.Interpretation}, {"limits", a.Limits}} {
		if t.text != "" {
			err = errors.Join(err, text(t.field, t.text))
		}
	}
	return a.names(err, custody.CheckLine("title", a.Title), lines("alternatives", a.Alternatives), checkCitations(a.Citations),
		oneOf("confidence", a.Confidence, []string{"low", "moderate", "high"}), checkIndicators(a.Indicators),
		oneOf("status", a.Status, []string{FindingTentative, FindingEstablished}), checkTechniques(a.Techniques))
}

// Lawful implements custody.Act.
func (a *Finding) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	if err := first(i.responding(), i.among(s.Actor, examiners...), a.complete(), i.correctable(a.Replaces, s.Actor)); err != nil {
		return out, err
	}
	return out, cited(v, a.Incident, a.Citations)
}

// complete returns an Unlawful error when a finding lacks what makes it one: fact
// and interpretation apart, limits and alternatives; and a citation for what is
// said to be established.
func (a *Finding) complete() error {
	var missing wants
	lacks := missing.lacks
	lacks(a.Fact == "", "the fact")
	lacks(a.Interpretation == "", "what it is taken to mean, apart from the fact")
	lacks(a.Limits == "", "what limits it")
	lacks(len(a.Alternatives) == 0, "which alternatives were considered")
	established := a.Status == FindingEstablished
	lacks(established && !slices.ContainsFunc(a.Citations, func(c Citation) bool { return c.Stance == StanceFor }),
		"evidence for it, cited by digest and place: without it nothing is established")
	return several("the finding lacks", missing)
}

// correctable returns an Unlawful error when somebody may not correct a finding: it
// does not stand any more, or is another's.
func (i *Incident) correctable(id custody.Digest, by custody.PrincipalID) error {
	if id.IsZero() {
		return nil
	}
	f, err := i.standing(id)
	if err == nil && f.By != by && i.led(by, false) != nil {
		err = no("finding %s is by %s, who alone corrects it or takes it back, or the incident's manager", f.Label, f.By)
	}
	return err
}

// Letter implements custody.Lettered.
func (*Finding) Letter() string { return "F" }

func (a *Finding) apply(i *Incident, said Said) {
	said = i.label(said, a)
	if f := i.finding(a.Replaces); f != nil {
		f.Replaced = &said.ID
	}
	i.Findings = append(i.Findings, Reviewed{Entry: Entry[Finding]{said, *a}})
}

// Reviewed is a finding, what others said of it, and whether it was taken back.
type Reviewed struct {
	Entry[Finding]
	Reviews   []Entry[Review]         `json:"reviews"` // none: it is unreviewed
	Withdrawn *Entry[WithdrawFinding] `json:"withdrawn,omitempty"`
}

// Stands says whether a finding was neither withdrawn nor corrected.
func (f Reviewed) Stands() bool { return f.Replaced == nil && f.Withdrawn == nil }

// Unreviewed says whether nobody but its author has said anything of a finding.
func (f Reviewed) Unreviewed() bool { return len(f.Reviews) == 0 }

// Disagreeing lists whose last word on a finding is that he disagrees, in order of
// their reviews.
func (f Reviewed) Disagreeing() []custody.PrincipalID {
	var list []custody.PrincipalID
	for n, r := range f.Reviews {
		later := slices.ContainsFunc(f.Reviews[n+1:], func(o Entry[Review]) bool { return o.By == r.By })
		if !later && r.Act.Verdict == VerdictDisagrees {
			list = append(list, r.By)
		}
	}
	return list
}

func (i *Incident) finding(id custody.Digest) *Reviewed {
	for n := range i.Findings {
		if i.Findings[n].ID == id {
			return &i.Findings[n]
		}
	}
	return nil
}

// standing returns a finding that stands, or an Unlawful error.
func (i *Incident) standing(id custody.Digest) (*Reviewed, error) {
	f := i.finding(id)
	switch {
	case f == nil:
		return nil, no("there is no finding %s", id)
	case f.Withdrawn != nil:
		return nil, no("finding %s was withdrawn by %s", f.Label, f.Withdrawn.By)
	case f.Replaced != nil:
		return nil, no("finding %s was corrected by %s: name that", f.Label, i.finding(*f.Replaced).Label)
	}
	return f, nil
}

// stands says whether there is a finding of that name which was neither withdrawn
// nor corrected.
func (i *Incident) stands(id custody.Digest) bool {
	_, err := i.standing(id)
	return err == nil
}

// FindingsStanding lists the findings that were neither withdrawn nor corrected, in
// the order in which they were recorded.
func (i *Incident) FindingsStanding() []Reviewed {
	var list []Reviewed
	for _, f := range i.Findings {
		if f.Stands() {
			list = append(list, f)
		}
	}
	return list
}

// Unseen lists what a finding cites and its author never had in hand before he
// recorded it: he neither took it in nor was given any of it. An error is the
// view's.
func Unseen(v custody.View, f Reviewed) ([]custody.EvidenceID, error) {
	var list []custody.EvidenceID
	for _, c := range f.Act.Citations {
		item, err := custody.ItemIn(v, f.Act.Incident, c.Evidence)
		if err != nil {
			return nil, err
		}
		if !item.HadBy(f.By, f.Recorded) && !slices.Contains(list, c.Evidence) {
			list = append(list, c.Evidence)
		}
	}
	return list, nil
}

// The verdicts of a review.
const (
	VerdictAgrees    = "agrees"
	VerdictDisagrees = "disagrees"
	VerdictRemarks   = "remarks"
)

// Review is what a second person says of a finding.
type Review struct {
	On
	Finding custody.Digest `json:"finding" help:"the finding, F-1"`
	Text    string         `json:"text" help:"what was looked at, and what came out"`
	Verdict string         `json:"verdict" help:"agrees, disagrees or remarks"`
}

// Kind implements custody.Act.
func (*Review) Kind() custody.Kind { return KindReview }

// Detail says in a line what a history tells of it.
func (a *Review) Detail() string { return a.Verdict + ": " + inLine(a.Text) }

// Check implements custody.Act.
func (a *Review) Check(*custody.Statement) error {
	return a.names(text("text", a.Text), oneOf("verdict", a.Verdict, []string{VerdictAgrees, VerdictDisagrees, VerdictRemarks}))
}

// Lawful implements custody.Act.
func (a *Review) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	f, err := i.standing(a.Finding)
	switch {
	case err != nil:
		return out, err
	case i.wrote(f, s.Actor):
		return out, no("finding %s is by %s, or corrects one of his: a second person reviews it", f.Label, s.Actor)
	}
	return out, i.among(s.Actor, examiners...)
}

// wrote says whether a finding, or one that it corrects, is somebody's.
func (i *Incident) wrote(f *Reviewed, by custody.PrincipalID) bool {
	for f != nil {
		if f.By == by {
			return true
		}
		f = i.finding(f.Act.Replaces)
	}
	return false
}

func (a *Review) apply(i *Incident, said Said) {
	if f := i.finding(a.Finding); f != nil {
		f.Reviews = append(f.Reviews, Entry[Review]{said, *a})
	}
}

// WithdrawFinding takes a finding back. It stays on record, and marked.
type WithdrawFinding struct {
	On
	Finding custody.Digest `json:"finding" help:"the finding, F-1"`
	Reason  string         `json:"reason" help:"why it does not hold"`
}

// Kind implements custody.Act.
func (*WithdrawFinding) Kind() custody.Kind { return KindWithdrawFinding }

// Detail says in a line what a history tells of it.
func (a *WithdrawFinding) Detail() string { return inLine(a.Reason) }

// Check implements custody.Act.
func (a *WithdrawFinding) Check(*custody.Statement) error { return a.names(text("reason", a.Reason)) }

// Lawful implements custody.Act.
func (a *WithdrawFinding) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	switch {
	case err != nil:
		return out, err
	case a.Finding.IsZero():
		return out, no("there is no finding %s", a.Finding)
	}
	return out, i.correctable(a.Finding, s.Actor)
}

func (a *WithdrawFinding) apply(i *Incident, said Said) {
	if f := i.finding(a.Finding); f != nil {
		f.Withdrawn = &Entry[WithdrawFinding]{said, *a}
	}
}

// unknown lists what is not known of the customers affected, and which findings
// nobody reviewed, or somebody disagrees with.
func (i *Incident) unknown(now custody.Time) []string {
	list := i.CustomersUnknown()
	if o := i.Obligation; o != nil {
		list = append(list, fmt.Sprintf("the notification of customers, to be given since %s: for %s by now", o.Since.Recorded, o.Delay(now).Truncate(time.Second)))
	}
	for _, f := range i.FindingsStanding() {
		if f.Unreviewed() {
			list = append(list, "finding "+f.Label+" is unreviewed")
		}
		for _, p := range f.Disagreeing() {
			list = append(list, fmt.Sprintf("%s disagrees with finding %s", p, f.Label))
		}
	}
	return list
}
