package investigate

import (
	"errors"
	"fmt"
	"slices"

	"github.com/forensic-custody/custody/custody"
)

// The kinds of statement by which an incident is assessed.
const (
	KindAssess     custody.Kind = "incident.assess"
	KindRate       custody.Kind = "incident.rate"
	KindDependency custody.Kind = "incident.dependency"
	KindConsult    custody.Kind = "incident.consult"
)

var answers = []string{"yes", "no", "unknown"}

// Assess is a preliminary assessment, made again as more is known.
type Assess struct {
	On
	Escalated bool   `json:"escalated" help:"whether it is gone into as an incident"`
	Impact    string `json:"impact" help:"what it affects, and how badly"`
	Privacy   string `json:"privacy" help:"whether it is a privacy risk: yes, no or unknown"`
	Security  string `json:"security" help:"whether it is a security risk: yes, no or unknown"`
	Replaces
}

// Kind implements custody.Act.
func (*Assess) Kind() custody.Kind { return KindAssess }

// Detail says in a line what a history tells of it.
func (a *Assess) Detail() string {
	return fmt.Sprintf("security risk: %s; privacy risk: %s; escalated: %t; %s", a.Security, a.Privacy, a.Escalated, firstLine(a.Impact))
}

// Check implements custody.Act.
func (a *Assess) Check(*custody.Statement) error {
	return a.names(text("impact", a.Impact), oneOf("privacy", a.Privacy, answers), oneOf("security", a.Security, answers))
}

// Lawful implements custody.Act.
func (a *Assess) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	switch {
	case err != nil:
		return out, err
	case !i.entered(StageAssess):
		return out, no("an incident is assessed in stage %s", StageAssess)
	}
	return out, first(i.among(s.Actor, custody.RoleOnCall, custody.RoleIncidentManager), replaces(i.Assessments, a.Replaces.Replaces))
}

func (a *Assess) apply(i *Incident, said Said) { amend(&i.Assessments, said, *a) }

// How much customer data is at risk.
const (
	RiskNone      = "none"
	RiskImminent  = "imminent"
	RiskConfirmed = "confirmed"
)

// Severity and priority go from 1, the highest, to 4.
const (
	Highest = 1
	Lowest  = 4
)

// Rate sets severity and priority, each by itself. Both may change with what is
// found; severity is the highest while customer data is at risk.
type Rate struct {
	On
	DataRisk string         `json:"dataRisk" help:"whether customer data is at risk: none, imminent or confirmed"`
	Finding  custody.Digest `json:"finding" help:"the finding by which it changes, F-1, from stage diagnose on"`
	Priority uint64         `json:"priority" help:"1, the highest, to 4"`
	Severity uint64         `json:"severity" help:"1, the highest, to 4"`
	Replaces
}

// Kind implements custody.Act.
func (*Rate) Kind() custody.Kind { return KindRate }

// Detail says in a line what a history tells of it.
func (a *Rate) Detail() string {
	return fmt.Sprintf("severity %d, priority %d, risk to customer data: %s", a.Severity, a.Priority, a.DataRisk)
}

// Check implements custody.Act.
func (a *Rate) Check(*custody.Statement) error {
	var err error
	if a.Severity < Highest || a.Severity > Lowest || a.Priority < Highest || a.Priority > Lowest {
		err = fmt.Errorf("severity %d or priority %d is not from %d to %d", a.Severity, a.Priority, Highest, Lowest)
	}
	return a.names(err, oneOf("dataRisk", a.DataRisk, []string{RiskNone, RiskImminent, RiskConfirmed}))
}

// Lawful implements custody.Act.
func (a *Rate) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	switch {
	case err != nil:
		return out, err
	case !i.entered(StageAssess):
		return out, no("an incident is rated in stage %s", StageAssess)
	case a.DataRisk == RiskNone && i.affected():
		return out, no("customer data is affected, and it is not verified that the risk to customers is contained: it is at risk")
	case a.DataRisk != RiskNone && a.Severity != Highest:
		return out, no("while customer data is at risk severity is %d", Highest)
	case len(i.Ratings) > 0 && i.entered(StageDiagnose) && a.Finding.IsZero():
		return out, no("since stage %s severity and priority change by a finding: name it", StageDiagnose)
	}
	return out, first(i.found(a.Finding), i.among(s.Actor, custody.RoleOnCall, custody.RoleIncidentManager), replaces(i.Ratings, a.Replaces.Replaces))
}

// affected says whether customer data is affected, and the risk not contained.
func (i *Incident) affected() bool {
	c := current(i.Customers)
	return c != nil && c.Impacted == impactYes && !i.contained(RiskCustomer)
}

// found returns an Unlawful error when an identifier that is not zero names no
// finding that stands.
func (i *Incident) found(ids ...custody.Digest) error {
	for _, id := range ids {
		if !id.IsZero() && !i.stands(id) {
			return no("there is no finding %s, or it was withdrawn or corrected", id)
		}
	}
	return nil
}

func (a *Rate) apply(i *Incident, said Said) { amend(&i.Ratings, said, *a) }

// Dependency is the manager's decision on another service at risk.
type Dependency struct {
	On
	Decision string `json:"decision" help:"include, watch or exclude"`
	Service  string `json:"service" help:"which service"`
	Team     string `json:"team" help:"which team has it"`
}

// Kind implements custody.Act.
func (*Dependency) Kind() custody.Kind { return KindDependency }

// Detail says in a line what a history tells of it.
func (a *Dependency) Detail() string {
	return fmt.Sprintf("%s of %s: %s", a.Service, a.Team, a.Decision)
}

// Check implements custody.Act.
func (a *Dependency) Check(*custody.Statement) error {
	return a.names(oneOf("decision", a.Decision, []string{"include", "watch", "exclude"}), custody.CheckLine("service", a.Service), custody.CheckLine("team", a.Team))
}

// Lawful implements custody.Act.
func (a *Dependency) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err == nil {
		err = i.led(s.Actor, false)
	}
	return out, err
}

func (a *Dependency) apply(i *Incident, said Said) {
	i.Dependencies = append(i.Dependencies, Entry[Dependency]{said, *a})
}

// Consult puts on record what another team said about the effect on customers and
// production.
type Consult struct {
	On
	Happened
	Answer   string `json:"answer" help:"what they said"`
	Party    string `json:"party" help:"partner, engineering or operations"`
	Question string `json:"question" help:"what they were asked"`
	Who      string `json:"who" help:"who answered, of which team"`
}

// Kind implements custody.Act.
func (*Consult) Kind() custody.Kind { return KindConsult }

// Detail says in a line what a history tells of it.
func (a *Consult) Detail() string {
	return fmt.Sprintf("%s (%s): %s", a.Party, a.Who, firstLine(a.Answer))
}

// Check implements custody.Act.
func (a *Consult) Check(s *custody.Statement) error {
	return a.names(a.past(s), oneOf("party", a.Party, []string{"partner", "engineering", "operations"}), text("answer", a.Answer),
		text("question", a.Question), custody.CheckLine("who", a.Who))
}

// Lawful implements custody.Act.
func (a *Consult) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err == nil {
		err = i.led(s.Actor, true)
	}
	return out, err
}

func (a *Consult) apply(i *Incident, said Said) {
	i.Consultations = append(i.Consultations, Entry[Consult]{said, *a})
}

// checkFindings refuses a list of findings that is too long, or names one twice.
func checkFindings(ids []custody.Digest) error {
	if len(ids) > maxList {
		return fmt.Errorf("%d findings; at most %d", len(ids), maxList)
	}
	for n, id := range ids {
		if id.IsZero() || slices.Contains(ids[:n], id) {
			return errors.New("a finding is named twice, or is none")
		}
	}
	return nil
}
