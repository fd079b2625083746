package investigate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/forensic-custody/custody/custody"
)

// The kinds of statement about what an incident is and whose it is.
const (
	KindDetection custody.Kind = "incident.detection"
	KindClassify  custody.Kind = "incident.classify"
	KindScope     custody.Kind = "incident.scope"
	KindRequest   custody.Kind = "incident.customer-request"
	KindTransfer  custody.Kind = "incident.transfer"
	KindDeclare   custody.Kind = "incident.declare"
)

// Sources lists where a first indication comes from.
func Sources() []string {
	return []string{"customer-report", "vulnerability-report", "red-team", "blue-team", "monitoring-signature", "monitoring-anomaly", "operator", "employee"}
}

// properties are what an incident puts at risk, in order.
var properties = []string{"availability", "confidentiality", "integrity"}

// Detection says where an indication came from. The earliest is when Detect began,
// whenever it was put on record.
type Detection struct {
	On
	Happened
	Exercise   bool           `json:"exercise" help:"it is of an exercise: run through as if it were real, and counted apart"`
	Properties []string       `json:"properties" help:"what is at risk: availability, confidentiality, integrity (repeat for several)"`
	Reference  string         `json:"reference" help:"the ticket, alarm or report, by its name where it came from"`
	Replaces   custody.Digest `json:"replaces" help:"the indication that this one corrects, D-1 (default: none)"`
	Rules      string         `json:"rules,omitempty" help:"of an exercise: its rules of engagement, the name of a procedure in force"`
	Version    uint64         `json:"rulesVersion,omitzero" help:"of that procedure (default: the one in force)"`
	Source     string         `json:"source" help:"customer-report, vulnerability-report, red-team, blue-team, monitoring-signature, monitoring-anomaly, operator or employee"`
}

// Kind implements custody.Act.
func (*Detection) Kind() custody.Kind { return KindDetection }

// Detail says in a line what a history tells of it.
func (a *Detection) Detail() string {
	text := fmt.Sprintf("%s: %s, at %s; at risk: %s", a.Source, a.Reference, a.At, strings.Join(a.Properties, ", "))
	if a.Exercise {
		text += "; of an exercise"
	}
	if a.Rules != "" {
		text += fmt.Sprintf(", by the rules of %s, version %d", a.Rules, a.Version)
	}
	return text
}

// Check implements custody.Act.
func (a *Detection) Check(s *custody.Statement) error {
	if (a.Rules == "") != (a.Version == 0) {
		return errors.New("rules and their version are given together")
	}
	return a.names(a.past(s), oneOf("source", a.Source, Sources()), someOf("properties", a.Properties, properties),
		custody.CheckLine("reference", a.Reference), optional("rules", a.Rules))
}

// Lawful implements custody.Act. An exercise names the rules of engagement by which
// customers and their data are kept from harm: a procedure in force. In the first
// stage it may do so later.
func (a *Detection) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	switch {
	case err != nil:
		return out, err
	case len(a.Properties) == 0:
		return out, no("say what is at risk: %q", properties)
	case !slices.Contains(i.Assignees(), s.Actor):
		return out, no("%s is not assigned to the incident", s.Actor)
	case a.Exercise && a.Rules == "" && i.Definition >= stricter:
		return out, no("an exercise is run by rules of engagement that protect customer data: name the procedure")
	}
	if err := a.mayReplace(i, s.Actor); err != nil {
		return out, err
	}
	return out, a.ruled(v, i)
}

// ruled returns an Unlawful error when the indication names rules of engagement that
// are not in force, or is of no exercise. What it corrects was said to be run by rules
// that were in force then: they stay. The register of incidents is looked at for these
// rules alone: who named none was decided without it.
func (a *Detection) ruled(v custody.View, i *Incident) error {
	if a.Rules == "" {
		return nil
	}
	if !a.Exercise {
		return no("rules of engagement are an exercise's")
	}
	l, err := incidentsOf(v)
	if err != nil {
		return err
	}
	if d := find(i.Detections, a.Replaces); d != nil && d.Act.Rules == a.Rules && d.Act.Version == a.Version {
		return nil
	}
	if p := l.procedure(a.Rules); p == nil || p.Version != a.Version {
		return no("version %d of procedure %q is not in force", a.Version, a.Rules)
	}
	return nil
}

// unruled lists the indications of exercises without rules of engagement, by label, of
// those that were not corrected.
func (f *File) unruled() (labels []string) {
	for _, d := range f.Detections {
		if d.Replaced == nil && d.Act.Exercise && d.Act.Rules == "" {
			labels = append(labels, d.Label)
		}
	}
	return labels
}

// mayReplace returns an Unlawful error when the indication corrects none, or another's
// without leading the incident; or so that the incident left Detect before there was
// any.
func (a *Detection) mayReplace(i *Incident, by custody.PrincipalID) error {
	if a.Replaces.IsZero() {
		return nil
	}
	d := find(i.Detections, a.Replaces)
	switch {
	case d == nil || d.Replaced != nil:
		return no("there is no indication %s, or it was corrected", a.Replaces)
	case d.By != by && i.led(by, true) != nil:
		return no("indication %s is by %s, who alone corrects it, or who leads the incident", d.Label, d.By)
	}
	first := a.At
	for _, o := range i.Detections {
		if o.Replaced == nil && o.ID != a.Replaces {
			first = min(first, o.Act.At)
		}
	}
	if len(i.Stages) > 0 && first > i.Stages[0].Entered {
		return no("the incident left its first stage at %s, before %s", i.Stages[0].Entered, first)
	}
	return nil
}

// Letter implements custody.Lettered.
func (*Detection) Letter() string { return "D" }

func (a *Detection) apply(i *Incident, said Said) {
	said = i.label(said, a)
	if d := find(i.Detections, a.Replaces); d != nil {
		d.Replaced = &said.ID
	}
	i.Detections = append(i.Detections, Entry[Detection]{said, *a})
}

// Detected returns when the first indication was, of those on record that were not
// corrected; 0 when none is.
func (i *Incident) Detected() custody.Time {
	var first custody.Time
	for _, d := range i.Detections {
		if d.Replaced == nil && (first == 0 || d.Act.At < first) {
			first = d.Act.At
		}
	}
	return first
}

// The limbs of the definition of a security incident: that access was illegal or
// unauthorized, and what became of customer data by it.
const (
	AccessNone         = "none"
	AccessIllegal      = "illegal"
	AccessUnauthorized = "unauthorized"

	ResultAlteration = "alteration"
	ResultDisclosure = "disclosure"
	ResultLoss       = "loss"
)

// The causes that facts name.
const (
	CauseAlarm         = "alarm"
	CauseAttack        = "attack" // an intrusion through the network
	CauseCompliance    = "compliance"
	CauseDefect        = "defect" // a bug in the provider's code
	CauseDenial        = "denial-of-service"
	CauseIssue         = "issue" // any other security issue
	CauseRedTeam       = "red-team"
	CauseTheft         = "theft" // a physical intrusion into a datacenter
	CauseVulnerability = "vulnerability"
)

func causes() []string {
	return []string{CauseAlarm, CauseAttack, CauseCompliance, CauseDefect, CauseDenial, CauseIssue, CauseRedTeam, CauseTheft, CauseVulnerability}
}

// Who is responsible, or introduced a flaw.
const (
	ByProvider   = "provider"
	ByCustomer   = "customer"
	ByBoth       = "both"
	Undetermined = "undetermined"
)

var parties = []string{ByProvider, ByCustomer, ByBoth, Undetermined}

// Facts are what a classification relies on.
type Facts struct {
	Access        string   `json:"access" help:"none, illegal or unauthorized"`
	Cause         string   `json:"cause" help:"alarm, attack, compliance, defect, denial-of-service, issue, red-team, theft or vulnerability"`
	Control       bool     `json:"control" help:"credentials or keys were disclosed by which customer data could be altered or accessed"`
	Deployment    bool     `json:"deployment" help:"it happened within a customer's deployment"`
	Encrypted     bool     `json:"encrypted" help:"what was taken is encrypted, and its keys were not taken"`
	FalsePositive bool     `json:"falsePositive" help:"the alarm was false"`
	FlawBy        string   `json:"flawBy" help:"who introduced the weakness: provider, customer, both or undetermined"`
	Results       []string `json:"results" help:"what became of customer data: alteration, disclosure, loss (repeat for several)"`
}

func (f Facts) check() error {
	for _, err := range []error{
		oneOf("access", f.Access, []string{AccessNone, AccessIllegal, AccessUnauthorized}), oneOf("cause", f.Cause, causes()),
		oneOf("flawBy", f.FlawBy, parties), someOf("results", f.Results, []string{ResultAlteration, ResultDisclosure, ResultLoss}),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// Decide says whether facts make a security incident, and which example they are
// like, "" when none: of the first table of the white paper, where (a) to (g) are no
// security incidents and (h) to (l) are. It is the definition: illegal or unauthorized access, by which
// customer data was lost, disclosed or altered, or control data disclosed by which it
// could be; not through a weakness that the customer alone introduced, and not where
// what was taken is encrypted.
func (f Facts) Decide() (incident bool, example string) {
	taken := len(f.Results) > 0 && !(f.Encrypted && f.onlyTaken())
	harmed := taken || f.Control
	customers := f.FlawBy == ByCustomer && f.Deployment
	incident = !f.FalsePositive && f.Access != AccessNone && harmed && !customers
	if !incident {
		return false, f.harmless(harmed)
	}
	switch {
	case f.Deployment && f.FlawBy == ByProvider:
		example = "l"
	case f.Cause == CauseTheft:
		example = "j"
	case f.Cause == CauseDefect:
		example = "k"
	case f.Control:
		example = "i"
	case slices.Contains(f.Results, ResultDisclosure):
		example = "h"
	}
	return true, example
}

// onlyTaken says whether encryption keeps what was done from being harm: data that
// was taken away encrypted is not disclosed. What is altered or lost is harmed.
func (f Facts) onlyTaken() bool { return slices.Equal(f.Results, []string{ResultDisclosure}) }

// harmless returns the example of what is no security incident.
func (f Facts) harmless(harmed bool) string {
	switch {
	case f.FalsePositive:
		return "c"
	case f.Deployment && f.FlawBy == ByCustomer:
		return "e"
	case harmed:
		return "" // without unlawful access: no example is like it
	}
	switch f.Cause {
	case CauseRedTeam:
		return "d"
	case CauseCompliance:
		return "g"
	case CauseDenial:
		return "f"
	case CauseVulnerability:
		return "a"
	}
	return "b"
}

// Classify says whether the incident is a security incident: by which facts, like
// which example, and by which limb of the definition.
type Classify struct {
	On
	Basis            string `json:"basis" help:"where the facts are from, in words"`
	Example          string `json:"example" help:"the example it is like, a to l; empty when like none (default: as the facts decide)"`
	Facts            Facts  `json:"facts"`
	SecurityIncident bool   `json:"securityIncident" help:"whether it is a security incident (default: as the facts decide)"`
	Replaces
}

// Kind implements custody.Act.
func (*Classify) Kind() custody.Kind { return KindClassify }

// Detail says in a line what a history tells of it.
func (a *Classify) Detail() string {
	text := "no security incident"
	if a.SecurityIncident {
		text = fmt.Sprintf("a security incident: %s access, %s of customer data", a.Facts.Access, strings.Join(a.Facts.Results, " and "))
	}
	if a.Example != "" {
		text += ", like example " + a.Example
	}
	return text
}

// Check implements custody.Act.
func (a *Classify) Check(*custody.Statement) error {
	return a.names(a.Facts.check(), text("basis", a.Basis), optional("example", a.Example))
}

// Lawful implements custody.Act.
func (a *Classify) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	if err := i.led(s.Actor, true); err != nil {
		return out, err
	}
	incident, example := a.Facts.Decide()
	switch scope := current(i.Scopes); {
	case a.SecurityIncident != incident:
		return out, no("by these facts (access %s, %q of customer data, control data %t, weakness by the %s) it is a security incident: %t",
			a.Facts.Access, a.Facts.Results, a.Facts.Control, a.Facts.FlawBy, incident)
	case a.Example != example:
		return out, no("by these facts it is like example %q, not %q", example, a.Example)
	case a.SecurityIncident && scope != nil && scope.Responsibility == ByCustomer:
		return out, no("what the customer alone is responsible for is no incident of the provider: scope it anew first")
	}
	return out, replaces(i.Classifications, a.Replaces.Replaces)
}

func (a *Classify) apply(i *Incident, said Said) { amend(&i.Classifications, said, *a) }

// The service models, and the layers of a system from the ground up.
var (
	models = []string{"on-premises", "iaas", "paas", "saas"}
	layers = []string{"datacenter", "network", "host", "guest", "platform", "application", "data"}
)

// providerUpTo is the highest layer that is the provider's, by model.
var providerUpTo = map[string]string{"on-premises": "", "iaas": "host", "paas": "platform", "saas": "application"}

// ResponsibilityFor returns who is responsible for a layer by default: on premises
// the customer for all; else the provider up to the host (IaaS), the platform (PaaS)
// or the application (SaaS), and the customer above.
func ResponsibilityFor(model, layer string) string {
	if slices.Index(layers, layer) <= slices.Index(layers, providerUpTo[model]) {
		return ByProvider
	}
	return ByCustomer
}

// Scope says whose responsibility what happened is.
type Scope struct {
	On
	Layer          string `json:"layer" help:"datacenter, network, host, guest, platform, application or data"`
	Model          string `json:"model" help:"on-premises, iaas, paas or saas"`
	Override       string `json:"override,omitempty" help:"why it is not the responsibility of whom model and layer say"`
	Responsibility string `json:"responsibility" help:"provider, customer, both or undetermined"`
	Replaces
}

// Kind implements custody.Act.
func (*Scope) Kind() custody.Kind { return KindScope }

// Detail says in a line what a history tells of it.
func (a *Scope) Detail() string {
	text := fmt.Sprintf("%s (%s, %s)", a.Responsibility, a.Model, a.Layer)
	if a.Override != "" {
		text += ", although by default another's: " + a.Override
	}
	return text
}

// Check implements custody.Act.
func (a *Scope) Check(*custody.Statement) error {
	return a.names(oneOf("layer", a.Layer, layers), oneOf("model", a.Model, models), oneOf("responsibility", a.Responsibility, parties),
		optional("override", a.Override))
}

// Lawful implements custody.Act.
func (a *Scope) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	if err := i.led(s.Actor, true); err != nil {
		return out, err
	}
	class := current(i.Classifications)
	switch by := ResponsibilityFor(a.Model, a.Layer); {
	case a.Responsibility != Undetermined && a.Responsibility != by && a.Override == "":
		return out, no("the %s of %s is the %s's: say why not", a.Layer, a.Model, by)
	case a.Responsibility == ByCustomer && class != nil && class.SecurityIncident:
		return out, no("it is classified as a security incident of the provider: classify it anew first")
	}
	return out, replaces(i.Scopes, a.Replaces.Replaces)
}

func (a *Scope) apply(i *Incident, said Said) { amend(&i.Scopes, said, *a) }

// Request puts on record that a customer asked for help in his own area, or by what
// other authority the provider works there.
type Request struct {
	On
	Happened
	Authority string `json:"authority" help:"who asked, or ordered it"`
	Customer  string `json:"customer" help:"whose area it is"`
	Reference string `json:"reference" help:"the ticket, letter or order"`
}

// Kind implements custody.Act.
func (*Request) Kind() custody.Kind { return KindRequest }

// Detail says in a line what a history tells of it.
func (a *Request) Detail() string {
	return fmt.Sprintf("%s, by %s: %s", a.Customer, a.Authority, a.Reference)
}

// Check implements custody.Act.
func (a *Request) Check(s *custody.Statement) error {
	return a.names(a.past(s), custody.CheckLine("authority", a.Authority), custody.CheckLine("customer", a.Customer), custody.CheckLine("reference", a.Reference))
}

// Lawful implements custody.Act.
func (a *Request) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err == nil && !i.holds(custody.RoleCustomerSupport, s.Actor) {
		err = i.led(s.Actor, true)
	}
	return out, err
}

func (a *Request) apply(i *Incident, said Said) {
	i.Requests = append(i.Requests, Entry[Request]{said, *a})
}

// The directions of a transfer.
const (
	TransferTo   = "to"
	TransferFrom = "from"
)

// Transfer passes an incident to those who deal with what is no security incident,
// or takes it from them.
type Transfer struct {
	On
	Happened
	Accepted  string `json:"accepted,omitempty" help:"who accepted it there"`
	Contract  string `json:"contract,omitempty" help:"of a customer's: the service contract by which support may take it"`
	Direction string `json:"direction" help:"to or from"`
	Reference string `json:"reference" help:"by which they keep it: the plan or ticket"`
	Team      string `json:"team" help:"operations, business-continuity, customer-support or partner"`
}

// Kind implements custody.Act.
func (*Transfer) Kind() custody.Kind { return KindTransfer }

// Detail says in a line what a history tells of it.
func (a *Transfer) Detail() string {
	return fmt.Sprintf("%s %s: %s, accepted by %s", a.Direction, a.Team, a.Reference, a.Accepted)
}

const teamSupport = "customer-support"

// Check implements custody.Act.
func (a *Transfer) Check(s *custody.Statement) error {
	return a.names(a.past(s), oneOf("direction", a.Direction, []string{TransferTo, TransferFrom}),
		oneOf("team", a.Team, []string{"operations", "business-continuity", teamSupport, "partner"}),
		custody.CheckLine("reference", a.Reference), optional("accepted", a.Accepted), optional("contract", a.Contract))
}

// Lawful implements custody.Act.
func (a *Transfer) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	switch {
	case err != nil:
		return out, err
	case a.Accepted == "":
		return out, no("a transfer names who accepted it")
	case a.Team == teamSupport && a.Contract == "":
		return out, no("customer support takes what the customer's service contract lets it: name it")
	}
	return out, i.led(s.Actor, true)
}

func (a *Transfer) apply(i *Incident, said Said) {
	i.Transfers = append(i.Transfers, Entry[Transfer]{said, *a})
}

// Declare is the executive's word on whether a breach is declared.
type Declare struct {
	On
	Happened
	Declared bool   `json:"declared" help:"whether a breach is declared"`
	Limb     string `json:"limb" help:"by which part of the definition, or why not"`
}

// Kind implements custody.Act.
func (*Declare) Kind() custody.Kind { return KindDeclare }

// Detail says in a line what a history tells of it.
func (a *Declare) Detail() string { return fmt.Sprintf("breach declared: %t; %s", a.Declared, a.Limb) }

// Check implements custody.Act.
func (a *Declare) Check(s *custody.Statement) error {
	return a.names(a.past(s), custody.CheckLine("limb", a.Limb))
}

// Lawful implements custody.Act. Whoever else is to declare takes over the role of
// the executive, by a hand-over on record.
func (a *Declare) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	class, scope := current(i.Classifications), current(i.Scopes)
	switch {
	case !i.holds(custody.RoleExecutive, s.Actor):
		return out, no("only the incident's %s declares a breach", custody.RoleExecutive)
	case a.Declared && (class == nil || !class.SecurityIncident):
		return out, no("what is not classified as a security incident is not declared: access, and what became of customer data, stand in the classification")
	case a.Declared && scope != nil && scope.Responsibility == ByCustomer:
		return out, no("what the customer alone is responsible for is not declared")
	}
	return out, nil
}

// declared says whether the executive's last word is that there was a breach.
func (i *Incident) declared() bool {
	d := current(i.Declarations)
	return d != nil && d.Declared
}

func (a *Declare) apply(i *Incident, said Said) {
	i.Declarations = append(i.Declarations, Entry[Declare]{said, *a})
}
