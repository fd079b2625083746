package investigate

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// The kinds of statement that move an incident through its stages.
const (
	KindMove   custody.Kind = "incident.stage"
	KindClose  custody.Kind = "incident.close"
	KindReopen custody.Kind = "incident.reopen"
)

// The stages, in the order in which an incident first enters them.
const (
	StageDetect    = "detect"
	StageAssess    = "assess"
	StageDiagnose  = "diagnose"
	StageStabilize = "stabilize-recover"
	StageClose     = "close-post-mortem"
)

// Definition is a version of the process: which stages there are, in order, and
// between which two an incident goes back and forth as often as it takes. An incident
// keeps the version by which it left its first stage, and with it the rules that hold.
type Definition struct {
	Version uint64
	Until   custody.Time // from when on no incident starts by it any more; zero: it is the newest
	Stages  []string
	Free    [2]string
}

// stricter is the version from which on more is asked than at first: an outage has its
// times, by when its notice is due and the service is back; an emergency mitigation
// names the service whose owner signs; an exercise names the procedure by whose rules it
// is run; what came after Diagnose is kept as soundly as the rest, and what was written
// is there still, when that is asked last; an incident whose keys are destroyed is not
// reopened. And who leads a part, and is not of the whole, may say anew which teams work
// on it.
const stricter = 2

// Definitions lists the versions of the process. A version never changes, and none
// goes: incidents are decided by theirs. For some weeks after a new one an incident may
// still start by the one before, so that people with older programs can work.
func Definitions() []Definition {
	first := Definition{
		Version: 1,
		Until:   custody.TimeOf(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)),
		Stages:  []string{StageDetect, StageAssess, StageDiagnose, StageStabilize, StageClose},
		Free:    [2]string{StageDiagnose, StageStabilize},
	}
	second := first
	second.Version, second.Until = stricter, 0
	return []Definition{first, second}
}

func definition(version uint64) (Definition, bool) {
	for _, d := range Definitions() {
		if d.Version == version {
			return d, true
		}
	}
	return Definition{}, false
}

// lawful returns an Unlawful error when an incident does not go from a stage to
// another, or not without an exception.
func (d Definition) lawful(from, to, exception string) error {
	at, then := slices.Index(d.Stages, from), slices.Index(d.Stages, to)
	free := slices.Contains(d.Free[:], from) && slices.Contains(d.Free[:], to)
	switch {
	case then < 0:
		return no("there is no stage %q: %q", to, d.Stages)
	case then > at+1:
		return no("from %s the incident goes to %s first", from, d.Stages[at+1])
	case then < at && !free && exception == "":
		return no("from %s an incident does not go back to %s but by an exception on record: say why", from, to)
	}
	return nil
}

// Stage is a stretch of an incident in one stage.
type Stage struct {
	Said
	Stage     string       `json:"stage"`
	Entered   custody.Time `json:"entered"`
	Exception string       `json:"exception,omitempty"`
}

// Move takes an incident into another stage. What the one that it leaves asks for
// has to be on record.
type Move struct {
	On
	Happened
	Definition   uint64 `json:"definition" help:"version of the stages (default: the incident's, and when it leaves the first one the newest)"`
	Exception    string `json:"exception,omitempty" help:"why the incident goes back out of order"`
	Stage        string `json:"stage" help:"assess, diagnose, stabilize-recover or close-post-mortem; detect by an exception"`
	Undocumented string `json:"undocumented,omitempty" help:"why diagnose is left without a finding"`
}

// Kind implements custody.Act.
func (*Move) Kind() custody.Kind { return KindMove }

// Detail says in a line what a history tells of it.
func (a *Move) Detail() string {
	text := "to stage " + a.Stage
	if a.Exception != "" {
		text += ", by exception: " + a.Exception
	}
	if a.Undocumented != "" {
		text += ", without a finding: " + a.Undocumented
	}
	return text
}

// Check implements custody.Act.
func (a *Move) Check(s *custody.Statement) error {
	return a.names(a.past(s), custody.CheckLine("stage", a.Stage), optional("exception", a.Exception), optional("undocumented", a.Undocumented))
}

// Lawful implements custody.Act.
func (a *Move) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	d, known := definition(a.Definition)
	switch {
	case !known, i.Definition != 0 && i.Definition != a.Definition:
		return out, no("the incident is not by version %d of the stages", a.Definition)
	case i.Definition == 0 && d.Until != 0 && v.Now() >= d.Until:
		return out, no("no incident starts by version %d of the stages since %s: the newest is %d", a.Definition, d.Until, Newest().Version)
	}
	if a.Stage == i.Stage() {
		return out, no("the incident is in stage %s already", a.Stage)
	}
	if err := first(i.led(s.Actor, i.Stage() == StageDetect), i.since(a.At), d.lawful(i.Stage(), a.Stage, a.Exception)); err != nil {
		return out, err
	}
	missing, err := i.missing(v, a)
	if err != nil {
		return out, err
	}
	return out, several(fmt.Sprintf("stage %s is not left yet", i.Stage()), missing)
}

// since returns an Unlawful error when the incident's stage was entered only after a
// time: what ends a stage does not lie before its beginning, and nothing before the
// first indication.
func (i *Incident) since(at custody.Time) error {
	if n := len(i.Stages); n > 0 && at < i.Stages[n-1].Entered {
		return no("stage %s was entered at %s, later than %s", i.Stage(), i.Stages[n-1].Entered, at)
	}
	if n := len(i.Reopened); n > 0 && at < i.Reopened[n-1].Act.At {
		return no("the incident was closed at %s, later than %s, and reopened since", i.Reopened[n-1].Act.At, at)
	}
	return i.afterDetection(at)
}

// afterDetection returns an Unlawful error when a time lies before the first indication.
func (i *Incident) afterDetection(at custody.Time) error {
	if first := i.Detected(); at < first {
		return no("the first indication was at %s, later than %s", first, at)
	}
	return nil
}

func (a *Move) apply(i *Incident, said Said) {
	i.Definition = a.Definition
	i.Stages = append(i.Stages, Stage{Said: said, Stage: a.Stage, Entered: a.At, Exception: a.Exception})
}

// missing lists what has to be on record before the stage is left for another.
func (i *Incident) missing(v custody.View, a *Move) ([]string, error) {
	var missing wants
	lacks := missing.lacks
	switch i.Stage() {
	case StageDetect:
		lacks(len(i.Detections) == 0, "where the first indication came from (incident.detection)")
		lacks(i.holder(custody.RoleOnCall) == "" && i.holder(custody.RoleIncidentManager) == "", "who is on call for it (incident.appoint)")
		if a.Definition >= stricter {
			labels := i.unruled()
			for _, label := range labels[:min(len(labels), mostNamed)] {
				lacks(true, "the rules of engagement of exercise "+label+" (incident.detection)")
			}
			lacks(len(labels) > mostNamed, fmt.Sprintf("those of %d exercises more", len(labels)-mostNamed))
		}
	case StageAssess:
		assessed := current(i.Assessments)
		lacks(assessed == nil, "a preliminary assessment (incident.assess)")
		lacks(assessed != nil && !assessed.Escalated, "an assessment that escalates it: one that does not ends in its closing")
		lacks(current(i.Ratings) == nil, "severity and priority (incident.rate)")
		lacks(i.holder(custody.RoleIncidentManager) == "", "an incident manager (incident.appoint)")
		lacks(current(i.Scopes) == nil, "whose responsibility it is, be it undetermined (incident.scope)")
	case StageDiagnose:
		return i.undiagnosed(v, a)
	case StageStabilize:
		if a.Stage == StageClose {
			missing = i.unstable()
		}
	}
	return missing, nil
}

// The ways in which an incident ends.
const (
	EndResolved  = "resolved"
	EndNot       = "not-a-security-incident"
	EndFalse     = "false-positive"
	EndCustomer  = "customer-responsibility"
	EndOperation = "transferred"
	EndNotRaised = "not-escalated"
)

func ends() []string {
	return []string{EndResolved, EndNot, EndFalse, EndCustomer, EndOperation, EndNotRaised}
}

// Close ends an incident. What was resolved has come through all stages and has its
// post-mortem; what turned out to be none of ours says what it was.
type Close struct {
	On
	Happened
	End          string       `json:"end" help:"resolved, not-a-security-incident, false-positive, customer-responsibility, transferred or not-escalated"`
	Notification string       `json:"notification" help:"that customers were notified, and where that stands, or why that was not triggered"`
	Restored     custody.Time `json:"restored,omitzero" help:"when normal security and operations were restored"`
	Uncovered    string       `json:"uncovered,omitempty" help:"why nobody was on shift for a while although customer data was at risk"`
}

// Kind implements custody.Act.
func (*Close) Kind() custody.Kind { return KindClose }

// Detail says in a line what a history tells of it.
func (a *Close) Detail() string {
	text := a.End
	if a.Restored != 0 {
		text += ", restored at " + a.Restored.String()
	}
	text += "; notification: " + a.Notification
	if a.Uncovered != "" {
		text += "; nobody was on shift for a while: " + a.Uncovered
	}
	return text
}

// Check implements custody.Act.
func (a *Close) Check(s *custody.Statement) error {
	var err error
	if a.Restored < 0 || a.Restored > s.Time {
		err = errors.New("restored is in the future, or no time")
	}
	return a.names(a.past(s), err, oneOf("end", a.End, ends()), optional("notification", a.Notification), optional("uncovered", a.Uncovered))
}

// Lawful implements custody.Act.
func (a *Close) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	if err := first(i.led(s.Actor, a.End == EndNotRaised), i.since(a.At)); err != nil {
		return out, err
	}
	if first := i.Detected(); a.Restored != 0 && a.Restored < first {
		return out, no("the first indication was at %s: nothing was restored before, at %s", first, a.Restored)
	}
	if a.Restored > a.At {
		return out, no("the incident is not closed at %s as what was restored only at %s", a.At, a.Restored)
	}
	missing := i.unclosed(a, v.Now())
	if a.End == EndResolved {
		gone, err := i.gone(v, a.Incident)
		if err != nil {
			return out, err
		}
		missing = append(missing, gone...)
	}
	if a.End == EndResolved && i.Definition >= stricter {
		late, err := i.late(v)
		if err != nil {
			return out, err
		}
		missing = append(missing, late...)
	}
	return out, several(fmt.Sprintf("the incident is not closed as %s yet", a.End), missing)
}

// gone says whether the text of the post-mortem, where there is one, is there no more.
func (i *Incident) gone(v custody.View, in custody.IncidentID) ([]string, error) {
	p := current(i.PostMortems)
	if p == nil {
		return nil, nil
	}
	_, err := i.document(v, in, p.Evidence, p.SHA256, custody.TypePostMortem)
	if errors.As(err, new(custody.Unlawful)) {
		return []string{"a post-mortem whose text is there: " + err.Error()}, nil
	}
	return nil, err
}

// unclosed lists what has to be on record before the incident is closed.
func (i *Incident) unclosed(a *Close, now custody.Time) []string {
	var missing wants
	lacks := missing.lacks
	class, scope, assessed := current(i.Classifications), current(i.Scopes), current(i.Assessments)
	lacks(a.Notification == "", "whether customers were notified, or why that was not triggered")
	missing = append(missing, i.unannounced()...)
	lacks(a.End != EndResolved && i.declared(), "that the breach which was declared is none, by the executive (incident.declare)")
	if a.End != EndCustomer { // what is the customer's alone may harm him, and is not the provider's
		rating := current(i.Ratings)
		lacks(rating != nil && rating.DataRisk != RiskNone, "a rating by which customer data is at risk no more (incident.rate)")
		missing = append(missing, i.adrift()...)
		lacks(i.contradicts(class), "a classification of what is on record of customer data (incident.customers), or word that it is not affected")
	}
	switch a.End {
	case EndResolved:
		lacks(i.Stage() != StageClose, "stage "+StageClose)
		lacks(class == nil, "whether it is a security incident (incident.classify)")
		lacks(scope == nil || scope.Responsibility == Undetermined, "whose responsibility it was (incident.scope)")
		lacks(a.Restored == 0, "when normal security and operations were restored")
		lacks(current(i.PostMortems) == nil, "the post-mortem (postmortem.issue)")
		lacks(i.outdated(), "a post-mortem of what came since it was reopened, or went back (postmortem.issue)")
		lacks(a.Uncovered == "" && len(i.UncoveredRisk(now)) > 0,
			"shifts without a gap while customer data was at risk (incident.shift), or why there were gaps")
	case EndNot, EndFalse:
		lacks(class == nil || class.SecurityIncident, "a classification by which it is no security incident (incident.classify)")
		lacks(a.End == EndFalse && class != nil && !class.Facts.FalsePositive, "a classification that says that the alarm was false")
	case EndCustomer:
		lacks(scope == nil || scope.Responsibility != ByCustomer, "that the customer alone is responsible (incident.scope)")
		lacks(class != nil && class.SecurityIncident, "a classification by which it is no security incident (incident.classify)")
	case EndOperation:
		lacks(!i.withOthers(), "who accepted it (incident.transfer)")
		risk := assessed != nil && (assessed.Security == impactYes || assessed.Privacy == impactYes)
		lacks(class != nil && class.SecurityIncident || class == nil && risk, "a classification by which it is no security incident (incident.classify)")
	case EndNotRaised:
		lacks(i.Stage() != StageAssess, "stage "+StageAssess)
		lacks(i.entered(StageDiagnose), "another end: it was escalated, and came to "+StageDiagnose)
		lacks(assessed == nil || assessed.Escalated, "an assessment that does not escalate it (incident.assess)")
		lacks(assessed != nil && (assessed.Security == impactYes || assessed.Privacy == impactYes), "an assessment by which it is no risk: what is one is escalated")
		lacks(class != nil && class.SecurityIncident, "a classification by which it is no security incident (incident.classify)")
	}
	return missing
}

// withOthers says whether the incident was transferred, and neither came back nor was
// closed and taken up again since.
func (i *Incident) withOthers() bool {
	t, r := len(i.Transfers)-1, len(i.Reopened)-1
	return t >= 0 && i.Transfers[t].Act.Direction == TransferTo && (r < 0 || i.Transfers[t].Recorded > i.Reopened[r].Recorded)
}

// contradicts says whether customer data is affected, by the last word on it, in a way
// of which a classification says nothing; or nobody knows in which, and it says that
// there is no security incident.
func (i *Incident) contradicts(class *Classify) bool {
	c := current(i.Customers)
	if c == nil || c.Impacted != impactYes {
		return false
	}
	return class == nil || class.Facts.FalsePositive || len(c.Results) == 0 && !class.SecurityIncident ||
		slices.ContainsFunc(c.Results, func(r string) bool { return !slices.Contains(class.Facts.Results, r) })
}

// outdated says whether the incident came to its last stage, by a reopening or after an
// exception, since its post-mortem.
func (i *Incident) outdated() bool {
	n, p := len(i.Stages), len(i.PostMortems)
	return n > 0 && p > 0 && i.PostMortems[p-1].Recorded < i.Stages[n-1].Recorded
}

func (a *Close) apply(i *Incident, said Said) { i.Closed = &Entry[Close]{said, *a} }

// Reopen takes a closed incident up again: in stage Diagnose, or where it was closed
// if it never came so far. What that stage asks for was not on record then.
type Reopen struct {
	On
	Happened
}

// Kind implements custody.Act.
func (*Reopen) Kind() custody.Kind { return KindReopen }

// Detail says in a line what a history tells of it.
func (a *Reopen) Detail() string { return "reopened" }

// Check implements custody.Act.
func (a *Reopen) Check(s *custody.Statement) error { return a.names(a.past(s)) }

// Lawful implements custody.Act.
func (a *Reopen) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := onIncident(v, a.Incident, s)
	switch {
	case err != nil:
		return out, err
	case i.Closed == nil:
		return out, no("incident %s is not closed", a.Incident)
	case a.At < i.Closed.Act.At:
		return out, no("incident %s was closed at %s, later than %s", a.Incident, i.Closed.Act.At, a.At)
	}
	if d := i.Shredding(); d.Approved() && i.Definition >= stricter {
		return out, no("the keys of incident %s are destroyed, by order of %s and %s: it takes nothing in, and would never be closed again; open another", a.Incident, d.First, d.Second)
	}
	return out, i.led(s.Actor, true)
}

func (a *Reopen) apply(i *Incident, said Said) {
	if i.Closed == nil {
		return // against the law: whoever decides it again finds that
	}
	i.Reopened = append(i.Reopened, *i.Closed)
	i.Closed = nil
	if i.entered(StageDiagnose) {
		i.Stages = append(i.Stages, Stage{Said: said, Stage: StageDiagnose, Entered: a.At, Exception: "reopened: " + said.Why})
	}
}

// Stage returns the stage that the incident is in.
func (i *Incident) Stage() string {
	if len(i.Stages) == 0 {
		return StageDetect
	}
	return i.Stages[len(i.Stages)-1].Stage
}

// entered says whether the incident has ever been in a stage.
func (i *Incident) entered(stage string) bool {
	return stage == StageDetect || slices.ContainsFunc(i.Stages, func(s Stage) bool { return s.Stage == stage })
}
