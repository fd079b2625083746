package investigate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// The kinds of statement by which an incident is contained and put right.
const (
	KindPlan              custody.Kind = "mitigation.plan"
	KindMeasure           custody.Kind = "mitigation.measure"
	KindCarryOut          custody.Kind = "mitigation.carry-out"
	KindTest              custody.Kind = "mitigation.test"
	KindDrop              custody.Kind = "mitigation.drop"
	KindContainment       custody.Kind = "mitigation.containment"
	KindEmergency         custody.Kind = "emergency.propose"
	KindSignEmergency     custody.Kind = "emergency.sign"
	KindWithdrawEmergency custody.Kind = "emergency.withdraw"
	KindOutageNotice      custody.Kind = "emergency.outage-notice"
)

// responding returns an Unlawful error unless the incident is in a stage in which
// it is diagnosed or put right: containment goes on beside the diagnosis.
func (i *Incident) responding() error {
	if s := i.Stage(); s != StageDiagnose && s != StageStabilize {
		return no("that is for the stages %s and %s; the incident is in %s", StageDiagnose, StageStabilize, s)
	}
	return nil
}

// Plan is the plan by which normal security and operations are restored.
type Plan struct {
	On
	Findings []custody.Digest `json:"findings" help:"a finding that it rests on, F-1 (repeat for several)"`
	Text     string           `json:"text" help:"what is done, in which order, until when"`
	Replaces
}

// Kind implements custody.Act.
func (*Plan) Kind() custody.Kind { return KindPlan }

// Detail says in a line what a history tells of it.
func (a *Plan) Detail() string { return firstLine(a.Text) }

// Check implements custody.Act.
func (a *Plan) Check(*custody.Statement) error {
	return a.names(checkFindings(a.Findings), text("text", a.Text))
}

// Lawful implements custody.Act.
func (a *Plan) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	return out, first(i.responding(), i.led(s.Actor, false), i.found(a.Findings...), replaces(i.Plans, a.Replaces.Replaces))
}

func (a *Plan) apply(i *Incident, said Said) { amend(&i.Plans, said, *a) }

// The kinds of measure.
const (
	MeasureContainment = "containment" // quarantine: at once, beside the diagnosis
	MeasureMitigation  = "mitigation"
	MeasureWorkaround  = "workaround"
	MeasureCorrective  = "corrective"
	MeasureDeployment  = "customer-deployment" // with a customer, in what he runs
	MeasureLongTerm    = "long-term"           // planned for after the immediate risk
)

// Measure is a strategy by which the incident is contained, worked around or put
// right.
type Measure struct {
	On
	Findings []custody.Digest    `json:"findings" help:"a finding that it rests on, F-1 (repeat for several)"`
	Owner    custody.PrincipalID `json:"owner" help:"who carries it out"`
	Text     string              `json:"text" help:"what is done"`
	Type     string              `json:"type" help:"containment, mitigation, workaround, corrective, customer-deployment or long-term"`
}

// Kind implements custody.Act.
func (*Measure) Kind() custody.Kind { return KindMeasure }

// Detail says in a line what a history tells of it.
func (a *Measure) Detail() string { return a.Type + ": " + firstLine(a.Text) }

// Check implements custody.Act.
func (a *Measure) Check(*custody.Statement) error {
	_, err := custody.ParsePrincipalID(string(a.Owner))
	return a.names(err, checkFindings(a.Findings), text("text", a.Text),
		oneOf("type", a.Type, []string{MeasureContainment, MeasureMitigation, MeasureWorkaround, MeasureCorrective, MeasureDeployment, MeasureLongTerm}))
}

// Lawful implements custody.Act. Containment does not wait for a finding.
func (a *Measure) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	switch {
	case err != nil:
		return out, err
	case len(a.Findings) == 0 && a.Type != MeasureContainment:
		return out, no("a measure cites the findings that it rests on; containment alone does not wait for them")
	case !i.assignedTo(a.Owner):
		return out, no("%s is not assigned to the incident", a.Owner)
	}
	return out, first(i.responding(), i.found(a.Findings...),
		i.among(s.Actor, custody.RoleIncidentManager, custody.RoleForensicEngineer, custody.RoleServiceExpert, custody.RoleCustomerSupport))
}

func (i *Incident) assignedTo(p custody.PrincipalID) bool {
	for _, a := range i.Assignees() {
		if a == p {
			return true
		}
	}
	return false
}

// Letter implements custody.Lettered.
func (*Measure) Letter() string { return "M" }

func (a *Measure) apply(i *Incident, said Said) {
	i.Measures = append(i.Measures, Measured{Entry: Entry[Measure]{i.label(said, a), *a}})
}

// Measured is a measure and how far it has come.
type Measured struct {
	Entry[Measure]
	CarriedOut *Entry[CarryOut]      `json:"carriedOut,omitempty"`
	Hands      []custody.PrincipalID `json:"hands,omitempty"` // who ever carried it out
	Tests      []Entry[Test]         `json:"tests,omitempty"`
	Dropped    *Entry[Drop]          `json:"dropped,omitempty"`
}

// Effective says whether a measure was carried out, and after that tested with
// success.
func (m Measured) Effective() bool {
	return m.CarriedOut != nil && len(m.Tests) > 0 && m.Tests[len(m.Tests)-1].Act.Passed
}

func (i *Incident) measure(id custody.Digest) *Measured {
	for n := range i.Measures {
		if i.Measures[n].ID == id {
			return &i.Measures[n]
		}
	}
	return nil
}

// lawfulUpon returns the measure that an act is about, if it may be: there is one,
// and it was not dropped.
func (i *Incident) lawfulUpon(id custody.Digest) (*Measured, error) {
	m := i.measure(id)
	switch {
	case m == nil:
		return nil, no("there is no measure %s", id)
	case m.Dropped != nil:
		return nil, no("measure %s was dropped", m.Label)
	}
	return m, nil
}

// CarryOut says that a measure was carried out, and how.
type CarryOut struct {
	On
	Happened
	How     string         `json:"how" help:"what was done"`
	Measure custody.Digest `json:"measure" help:"the measure, M-1"`
}

// Kind implements custody.Act.
func (*CarryOut) Kind() custody.Kind { return KindCarryOut }

// Detail says in a line what a history tells of it.
func (a *CarryOut) Detail() string { return fmt.Sprintf("at %s: %s", a.At, firstLine(a.How)) }

// Check implements custody.Act.
func (a *CarryOut) Check(s *custody.Statement) error { return a.names(a.past(s), text("how", a.How)) }

// Lawful implements custody.Act.
func (a *CarryOut) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	m, err := i.lawfulUpon(a.Measure)
	switch {
	case err != nil:
		return out, err
	case m.Act.Owner != s.Actor && i.led(s.Actor, false) != nil:
		return out, no("%s carries out measure %s, and says so, or the incident's manager does", m.Act.Owner, m.Label)
	}
	return out, i.responding()
}

func (a *CarryOut) apply(i *Incident, said Said) {
	if m := i.measure(a.Measure); m != nil {
		m.CarriedOut, m.Tests, m.Hands = &Entry[CarryOut]{said, *a}, nil, append(m.Hands, said.By)
	}
}

// Test is the result of testing a measure.
type Test struct {
	On
	Happened
	How     string         `json:"how" help:"how it was tested, and what came out"`
	Measure custody.Digest `json:"measure" help:"the measure, M-1"`
	Passed  bool           `json:"passed" help:"whether it does what it is for"`
}

// Kind implements custody.Act.
func (*Test) Kind() custody.Kind { return KindTest }

// Detail says in a line what a history tells of it.
func (a *Test) Detail() string { return fmt.Sprintf("passed: %t; %s", a.Passed, firstLine(a.How)) }

// Check implements custody.Act.
func (a *Test) Check(s *custody.Statement) error { return a.names(a.past(s), text("how", a.How)) }

// Lawful implements custody.Act. Nobody tests what he carried out himself.
func (a *Test) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	m, err := i.lawfulUpon(a.Measure)
	switch {
	case err != nil:
		return out, err
	case m.CarriedOut == nil || m.CarriedOut.Act.At > a.At:
		return out, no("measure %s was not carried out by then", m.Label)
	case slices.Contains(m.Hands, s.Actor), m.Act.Owner == s.Actor:
		return out, no("%s carried measure %s out, or has it to do: somebody else tests it", s.Actor, m.Label)
	case !i.assignedTo(s.Actor):
		return out, no("%s is not assigned to the incident", s.Actor)
	}
	return out, i.responding()
}

func (a *Test) apply(i *Incident, said Said) {
	if m := i.measure(a.Measure); m != nil {
		m.Tests = append(m.Tests, Entry[Test]{said, *a})
	}
}

// Drop gives a measure up: it is not needed, or a repair item takes its place.
type Drop struct {
	On
	Measure custody.Digest `json:"measure" help:"the measure, M-1"`
	Repair  custody.Digest `json:"repair" help:"the repair item that takes its place, R-1"`
}

// Kind implements custody.Act.
func (*Drop) Kind() custody.Kind { return KindDrop }

// Detail says in a line what a history tells of it.
func (a *Drop) Detail() string { return "a measure is given up" }

// Check implements custody.Act.
func (a *Drop) Check(*custody.Statement) error { return a.names() }

// Lawful implements custody.Act.
func (a *Drop) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	m, err := i.lawfulUpon(a.Measure)
	switch {
	case err != nil:
		return out, err
	case !a.Repair.IsZero() && i.repair(a.Repair) == nil:
		return out, no("there is no repair item %s", a.Repair)
	case a.Repair.IsZero() && m.Act.Type == MeasureLongTerm:
		return out, no("a long-term measure becomes a repair item: name it")
	}
	return out, i.led(s.Actor, false)
}

func (a *Drop) apply(i *Incident, said Said) {
	if m := i.measure(a.Measure); m != nil {
		m.Dropped = &Entry[Drop]{said, *a}
	}
}

// Containment is somebody's word that a risk is contained, or not. The risk to
// customers and that to the business are verified each by itself.
type Containment struct {
	On
	Happened
	Contained bool   `json:"contained" help:"whether the risk is contained"`
	How       string `json:"how" help:"how that was verified"`
	Risk      string `json:"risk" help:"customer or business"`
}

// The risks that are contained.
const (
	RiskCustomer = "customer"
	RiskBusiness = "business"
)

// Kind implements custody.Act.
func (*Containment) Kind() custody.Kind { return KindContainment }

// Detail says in a line what a history tells of it.
func (a *Containment) Detail() string {
	return fmt.Sprintf("%s risk contained: %t; %s", a.Risk, a.Contained, firstLine(a.How))
}

// Check implements custody.Act.
func (a *Containment) Check(s *custody.Statement) error {
	return a.names(a.past(s), text("how", a.How), oneOf("risk", a.Risk, []string{RiskCustomer, RiskBusiness}))
}

// Lawful implements custody.Act.
func (a *Containment) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err == nil {
		err = first(i.responding(), i.among(s.Actor, custody.RoleIncidentManager, custody.RoleForensicEngineer, custody.RoleServiceExpert), i.afterDetection(a.At))
	}
	return out, err
}

func (a *Containment) apply(i *Incident, said Said) {
	i.Containments = append(i.Containments, Entry[Containment]{said, *a})
}

// contained says whether the last word on a risk is that it is contained.
func (i *Incident) contained(risk string) bool {
	last := false
	for _, c := range i.Containments {
		if c.Act.Risk == risk {
			last = c.Act.Contained
		}
	}
	return last
}

// unstable lists what has to be on record before Stabilize & Recover is left for
// the closing.
func (i *Incident) unstable() []string {
	var missing wants
	lacks := missing.lacks
	lacks(len(i.Plans) == 0, "a recovery plan (mitigation.plan)")
	lacks(!i.contained(RiskCustomer), "that the risk to customers is contained (mitigation.containment)")
	lacks(!i.contained(RiskBusiness), "that the risk to the business is contained (mitigation.containment)")
	var l lacking
	for _, m := range i.Measures {
		l.is(m.Dropped == nil && m.Act.Type == MeasureLongTerm, "a repair item (mitigation.drop) for each long-term measure", m.Label)
		l.is(m.Dropped == nil && m.Act.Type != MeasureLongTerm && !m.Effective(), "each measure carried out and tested, or dropped", m.Label)
	}
	missing = append(append(missing, l.list()...), i.unannounced()...)
	if r := current(i.Ratings); r != nil {
		lacks(r.DataRisk != RiskNone, "a rating by which customer data is at risk no more (incident.rate)")
	}
	return missing
}

// unannounced lists the outages that customers were not told of.
func (i *Incident) unannounced() (list wants) {
	for _, e := range i.Emergencies {
		list.lacks(e.InForce() && e.Act.Outage && e.Notice == nil, "the outage notice for "+e.Label+" (emergency.outage-notice)")
	}
	return list
}

// Emergency proposes an emergency mitigation. It has effect when the executive, a
// service's owner and the incident's manager, three people, have signed this very
// statement.
type Emergency struct {
	On
	Alternatives []string         `json:"alternatives" help:"what else was considered, and why not (repeat for several)"`
	ExpectedBack custody.Time     `json:"expectedBack,omitzero" help:"of an outage: by when the service is expected back"`
	Findings     []custody.Digest `json:"findings" help:"a finding that it rests on, F-1 (repeat for several)"`
	Impact       string           `json:"impact" help:"what it is expected to do to customers and operations"`
	NoticeDue    custody.Time     `json:"noticeDue,omitzero" help:"of an outage: by when customers are told of it"`
	Outage       bool             `json:"outage" help:"whether it causes an outage"`
	Rationale    string           `json:"rationale" help:"why it is needed, and now"`
	Service      string           `json:"service,omitempty" help:"the service that it is done to, and whose owner signs"`
	Text         string           `json:"text" help:"what is done"`
}

// Kind implements custody.Act.
func (*Emergency) Kind() custody.Kind { return KindEmergency }

// Detail says in a line what a history tells of it.
func (a *Emergency) Detail() string {
	text := fmt.Sprintf("%s; impact: %s; rationale: %s; instead of: %s", inLine(a.Text), inLine(a.Impact), inLine(a.Rationale), strings.Join(a.Alternatives, ", "))
	if a.Service != "" {
		text += "; done to " + a.Service
	}
	if a.Outage {
		text += "; causes an outage"
	}
	if a.NoticeDue != 0 {
		text += "; its notice is due at " + a.NoticeDue.String()
	}
	if a.ExpectedBack != 0 {
		text += "; expected back at " + a.ExpectedBack.String()
	}
	return text
}

// Check implements custody.Act.
func (a *Emergency) Check(*custody.Statement) error {
	for _, t := range []struct{ field, text string }{{"impact", a.Impact}, {"rationale", a.Rationale}} {
		if t.text != "" {
			if err := text(t.field, t.text); err != nil {
				return err
			}
		}
	}
	if a.NoticeDue < 0 || a.ExpectedBack < 0 {
		return errors.New("by when the notice is due, or the service expected back, is no time")
	}
	return a.names(checkFindings(a.Findings), lines("alternatives", a.Alternatives), optional("service", a.Service), text("text", a.Text))
}

// Lawful implements custody.Act.
func (a *Emergency) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	switch {
	case err != nil:
		return out, err
	case a.Impact == "" || a.Rationale == "" || len(a.Alternatives) == 0:
		return out, no("an emergency mitigation is not taken lightly: it says its expected impact, its alternatives and its rationale")
	case a.Service == "" && i.Definition >= stricter:
		return out, no("an emergency mitigation says to which service it is done, since that service's owner signs")
	case !i.assignedTo(s.Actor):
		return out, no("%s is not assigned to the incident", s.Actor)
	}
	return out, first(i.responding(), i.found(a.Findings...), a.timed(i, s))
}

// timed returns an Unlawful error when an outage does not say by when its notice is
// due and the service is expected back, both yet to come.
func (a *Emergency) timed(i *Incident, s *custody.Statement) error {
	given := a.NoticeDue != 0 || a.ExpectedBack != 0
	switch {
	case !a.Outage && given:
		return no("without an outage no notice is due, and nothing is expected back")
	case a.Outage && (a.NoticeDue == 0 || a.ExpectedBack == 0) && (given || i.Definition >= stricter):
		return no("an outage says by when its notice is due, and by when the service is expected back")
	case given && a.NoticeDue < s.Time:
		return no("a notice that is due at %s is late already", a.NoticeDue)
	case given && a.ExpectedBack < s.Time:
		return no("nothing is taken down that is expected back at %s, which is over", a.ExpectedBack)
	case given && a.NoticeDue > a.ExpectedBack:
		return no("customers are told of an outage before it is over: the notice is due at %s, and the service expected back at %s", a.NoticeDue, a.ExpectedBack)
	}
	return nil
}

// Letter implements custody.Lettered.
func (*Emergency) Letter() string { return "X" }

func (a *Emergency) apply(i *Incident, said Said) {
	i.Emergencies = append(i.Emergencies, Mitigation{Entry: Entry[Emergency]{i.label(said, a), *a}})
}

// Mitigation is an emergency mitigation, who signed it, whether its proposal was
// withdrawn, and whether customers were told of the outage.
type Mitigation struct {
	Entry[Emergency]
	Signatures []Entry[SignEmergency]    `json:"signatures"`
	Withdrawn  *Entry[WithdrawEmergency] `json:"withdrawn,omitempty"`
	Notice     *Entry[OutageNotice]      `json:"outageNotice,omitempty"`
}

// signers are the roles whose holders sign, each a person of his own.
var signers = []custody.Role{custody.RoleExecutive, custody.RoleServiceOwner, custody.RoleIncidentManager}

// Approved says whether all three have signed.
func (m Mitigation) Approved() bool { return len(m.Signatures) == len(signers) }

// InForce says whether all three have signed, and nobody said that it was not carried out.
func (m Mitigation) InForce() bool { return m.Approved() && m.Withdrawn == nil }

func (i *Incident) emergency(id custody.Digest) *Mitigation {
	for n := range i.Emergencies {
		if i.Emergencies[n].ID == id {
			return &i.Emergencies[n]
		}
	}
	return nil
}

// SignEmergency is one of the three signatures under a proposal.
type SignEmergency struct {
	On
	As       custody.Role   `json:"as" help:"executive-incident-manager, service-owner or incident-manager"`
	Proposal custody.Digest `json:"proposal" help:"the proposal, X-1"`
}

// Kind implements custody.Act.
func (*SignEmergency) Kind() custody.Kind { return KindSignEmergency }

// Detail says in a line what a history tells of it.
func (a *SignEmergency) Detail() string { return "signed as " + string(a.As) }

// Check implements custody.Act.
func (a *SignEmergency) Check(*custody.Statement) error {
	return a.names(oneOf("as", string(a.As), []string{string(signers[0]), string(signers[1]), string(signers[2])}))
}

// Lawful implements custody.Act.
func (a *SignEmergency) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	m := i.emergency(a.Proposal)
	switch {
	case m == nil:
		return out, no("there is no proposal %s", a.Proposal)
	case m.Withdrawn != nil:
		return out, no("%s was withdrawn by %s: %s", m.Label, m.Withdrawn.By, firstLine(m.Withdrawn.Act.Reason))
	case !i.holds(a.As, s.Actor):
		return out, no("%s is not %s of the incident", s.Actor, a.As)
	case a.As == custody.RoleServiceOwner && m.Act.Service != "" && !i.owns(m.Act.Service, s.Actor):
		return out, no("%s is done to %s, and %s is not its owner", m.Label, m.Act.Service, s.Actor)
	}
	for _, e := range m.Signatures {
		switch {
		case e.Act.As == a.As:
			return out, no("%s signed %s as %s", e.By, m.Label, a.As)
		case e.By == s.Actor:
			return out, no("%s signed %s before: it takes three people", s.Actor, m.Label)
		}
	}
	return out, first(i.responding(), i.found(m.Act.Findings...))
}

// owns says whether somebody is in the incident as the owner of a service.
func (i *Incident) owns(service string, p custody.PrincipalID) bool {
	return slices.ContainsFunc(i.Holders, func(h Holder) bool {
		return h.Role == custody.RoleServiceOwner && h.Principal == p && h.Ended == nil && !h.Shadow && h.Service == service
	})
}

func (a *SignEmergency) apply(i *Incident, said Said) {
	if m := i.emergency(a.Proposal); m != nil {
		m.Signatures = append(m.Signatures, Entry[SignEmergency]{said, *a})
	}
}

// WithdrawEmergency takes a proposal back. Nobody signs it after that; who thinks
// otherwise proposes it anew. What all three have signed is taken back only where it was
// not carried out: then there was no outage to tell of.
type WithdrawEmergency struct {
	On
	Proposal custody.Digest `json:"proposal" help:"the proposal, X-1"`
	Reason   string         `json:"reason" help:"why it is not needed, or not right"`
	Undone   string         `json:"undone,omitempty" help:"of what is approved: how it is known that it was not carried out"`
}

// Kind implements custody.Act.
func (*WithdrawEmergency) Kind() custody.Kind { return KindWithdrawEmergency }

// Detail says in a line what a history tells of it.
func (a *WithdrawEmergency) Detail() string {
	if a.Undone == "" {
		return inLine(a.Reason)
	}
	return inLine(a.Reason) + "; not carried out: " + inLine(a.Undone)
}

// Check implements custody.Act.
func (a *WithdrawEmergency) Check(*custody.Statement) error {
	err := text("reason", a.Reason)
	if a.Undone != "" {
		err = errors.Join(err, text("undone", a.Undone))
	}
	return a.names(err)
}

// Lawful implements custody.Act. Its author withdraws a proposal, or the manager, and
// what is approved the manager alone.
func (a *WithdrawEmergency) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	switch m := i.emergency(a.Proposal); {
	case m == nil:
		return out, no("there is no proposal %s", a.Proposal)
	case m.Withdrawn != nil:
		return out, no("%s was withdrawn by %s", m.Label, m.Withdrawn.By)
	case m.Approved() && a.Undone == "":
		return out, no("%s is approved, and no proposal any more: where it was not carried out, say how that is known", m.Label)
	case m.Approved() && m.Notice != nil:
		return out, no("customers were told of the outage of %s", m.Label)
	case m.Approved():
		return out, i.led(s.Actor, false)
	case a.Undone != "":
		return out, no("%s is not approved: there is nothing to carry out", m.Label)
	case m.By != s.Actor && i.led(s.Actor, false) != nil:
		return out, no("%s is by %s, who alone withdraws it, or the incident's manager", m.Label, m.By)
	}
	return out, nil
}

func (a *WithdrawEmergency) apply(i *Incident, said Said) {
	if m := i.emergency(a.Proposal); m != nil {
		m.Withdrawn = &Entry[WithdrawEmergency]{said, *a}
	}
}

// OutageNotice says that customers were told of the outage that an emergency
// mitigation causes, as of any outage. It is no security notice.
type OutageNotice struct {
	On
	Happened
	ExpectedBack custody.Time   `json:"expectedBack,omitzero" help:"by when the notice says that the service is expected back"`
	Late         string         `json:"late,omitempty" help:"of a notice that was sent later than it was due: why"`
	Proposal     custody.Digest `json:"proposal" help:"the emergency mitigation, X-1"`
	Reference    string         `json:"reference" help:"the notice, by its name where it was published"`
}

// Kind implements custody.Act.
func (*OutageNotice) Kind() custody.Kind { return KindOutageNotice }

// Detail says in a line what a history tells of it.
func (a *OutageNotice) Detail() string {
	text := a.Reference
	if a.ExpectedBack != 0 {
		text += fmt.Sprintf(", sent at %s; expected back at %s", a.At, a.ExpectedBack)
	}
	if a.Late != "" {
		text += "; late: " + a.Late
	}
	return text
}

// Check implements custody.Act.
func (a *OutageNotice) Check(s *custody.Statement) error {
	if a.ExpectedBack < 0 {
		return errors.New("by when the service is expected back is no time")
	}
	return a.names(a.past(s), custody.CheckLine("reference", a.Reference), optional("late", a.Late))
}

// Lawful implements custody.Act. A notice that was sent later than it was due says why.
func (a *OutageNotice) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	m := i.emergency(a.Proposal)
	switch {
	case m == nil || !m.InForce() || !m.Act.Outage:
		return out, no("there is no approved emergency mitigation %s that causes an outage", a.Proposal)
	case m.Notice != nil:
		return out, no("the outage notice for %s is on record", m.Label)
	}
	return out, first(i.among(s.Actor, custody.RoleCommunications, custody.RoleIncidentManager), a.timed(m))
}

// timed holds the notice against the times of its proposal, where that has any.
func (a *OutageNotice) timed(m *Mitigation) error {
	due := m.Act.NoticeDue
	late := due != 0 && a.At > due
	switch {
	case due != 0 && a.ExpectedBack == 0:
		return no("the notice for %s says by when the service is expected back", m.Label)
	case due != 0 && a.At < m.Signed:
		return no("%s was proposed at %s, later than %s", m.Label, m.Signed, a.At)
	case late && a.Late == "":
		return no("the notice for %s was due at %s, and sent %s later: say why", m.Label, due, lateness(due, a.At))
	case !late && a.Late != "":
		return no("the notice for %s was not late", m.Label)
	}
	return nil
}

// lateness is by how much something came, or is to come, later than it was due: to the
// second, and never nothing.
func lateness(due, at custody.Time) time.Duration {
	return max(at.Time().Sub(due.Time()).Truncate(time.Second), time.Second)
}

func (a *OutageNotice) apply(i *Incident, said Said) {
	if m := i.emergency(a.Proposal); m != nil {
		m.Notice = &Entry[OutageNotice]{said, *a}
	}
}

// Outage is the outage that an approved emergency mitigation causes, and how it stands
// with the notice of it.
type Outage struct {
	Emergency    string       `json:"emergency"`             // by its label, X-1
	Due          custody.Time `json:"due,omitzero"`          // by when its notice is; zero where nobody said so
	Sent         custody.Time `json:"sent,omitzero"`         // when it was; zero while it was not
	Recorded     custody.Time `json:"recorded,omitzero"`     // when that was put on record
	LateSeconds  int64        `json:"lateSeconds,omitzero"`  // by how much it was late, or is by now
	Why          string       `json:"why,omitempty"`         // it was late
	ExpectedBack custody.Time `json:"expectedBack,omitzero"` // the service, by the last word on it
}

// outages lists the outages of approved emergency mitigations, as they stand at a time.
func (f *File) outages(now custody.Time) []Outage {
	list := []Outage{}
	for _, m := range f.Emergencies {
		if !m.InForce() || !m.Act.Outage {
			continue
		}
		o := Outage{Emergency: m.Label, Due: m.Act.NoticeDue, ExpectedBack: m.Act.ExpectedBack}
		at := now
		if n := m.Notice; n != nil {
			at = n.Act.At
			o.Sent, o.Recorded, o.Why = n.Act.At, n.Recorded, n.Act.Late
			if n.Act.ExpectedBack != 0 {
				o.ExpectedBack = n.Act.ExpectedBack
			}
		}
		if o.Due != 0 && at > o.Due {
			o.LateSeconds = int64(lateness(o.Due, at) / time.Second)
		}
		list = append(list, o)
	}
	return list
}

// String says in words that a notice is to be given, by when, and by how much it is late.
func (o Outage) String() string {
	text := "the outage notice for " + o.Emergency
	if o.Due != 0 {
		text += ", due at " + o.Due.String()
	}
	if o.LateSeconds > 0 {
		text += fmt.Sprintf(": late by %s", time.Duration(o.LateSeconds)*time.Second)
	}
	return text
}
