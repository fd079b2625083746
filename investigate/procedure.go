package investigate

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// The kinds of statement about the procedures by which the team responds, and how an
// incident goes through them.
const (
	KindProcedure custody.Kind = "team.procedure"
	KindStep      custody.Kind = "incident.step"
)

// Procedure adopts a version of a standard operating procedure. Its record belongs
// to the stream incidents, and stays when the next version comes: who changed it,
// when and why. Incidents of before keep what they did by the older one.
type Procedure struct {
	Name    string          `json:"name"`
	Steps   []ProcedureStep `json:"steps"`
	Version uint64          `json:"version"` // from 1 on
}

// ProcedureStep is a step of a procedure. Its text form is STAGE:MINUTES:NAME.
type ProcedureStep struct {
	Minutes uint64 `json:"minutes"` // from the first entry of its stage until it is due
	Name    string `json:"name"`
	Stage   string `json:"stage"`
}

// Set reads the text form.
func (p *ProcedureStep) Set(text string) error {
	parts := strings.SplitN(text, ":", 3)
	if len(parts) != 3 {
		return fmt.Errorf("step %.80q is not of the form STAGE:MINUTES:NAME", text)
	}
	n, err := strconv.ParseUint(parts[1], 10, 32)
	if err != nil {
		return fmt.Errorf("step %.80q: %q is no number of minutes", text, parts[1])
	}
	said := ProcedureStep{Minutes: n, Name: parts[2], Stage: parts[0]}
	if err := said.check(); err != nil {
		return err
	}
	*p = said
	return nil
}

// mostMinutes is the longest time until a step is due: a year.
const mostMinutes = 366 * 24 * 60

func (p ProcedureStep) check() error {
	if p.Minutes > mostMinutes {
		return fmt.Errorf("%d minutes; at most %d", p.Minutes, mostMinutes)
	}
	return errors.Join(custody.CheckLine("step", p.Name), oneOf("stage", p.Stage, Newest().Stages))
}

// Kind implements custody.Act.
func (*Procedure) Kind() custody.Kind { return KindProcedure }

// NeedsPurpose implements custody.Act: why it changes.
func (*Procedure) NeedsPurpose() bool { return true }

// Subject implements custody.Act.
func (a *Procedure) Subject() custody.Subject { return custody.Subject{Name: a.Name} }

// Detail says in a line what a history tells of it.
func (a *Procedure) Detail() string {
	return fmt.Sprintf("%s, version %d, %d steps", a.Name, a.Version, len(a.Steps))
}

// Check implements custody.Act.
func (a *Procedure) Check(*custody.Statement) error {
	err := custody.CheckLine("name", a.Name)
	if len(a.Steps) == 0 || len(a.Steps) > maxList {
		err = errors.Join(err, fmt.Errorf("%d steps; from 1 to %d", len(a.Steps), maxList))
	}
	for n, s := range a.Steps {
		err = errors.Join(err, s.check())
		if slices.ContainsFunc(a.Steps[:n], func(o ProcedureStep) bool { return o.Name == s.Name }) {
			err = errors.Join(err, fmt.Errorf("step %q is there twice", s.Name))
		}
	}
	return err
}

// Lawful implements custody.Act.
func (a *Procedure) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	out := custody.Outcome{Stream: custody.IncidentsStream, Resource: custody.Resource{Type: "Custody", ID: s.Audience}}
	l, err := incidentsOf(v)
	if err != nil {
		return out, err
	}
	next := uint64(1)
	if last := l.procedure(a.Name); last != nil {
		next = last.Version + 1
	}
	if a.Version != next {
		err = no("the next version of procedure %q is %d", a.Name, next)
	}
	return out, err
}

// incidentsOf folds the register of incidents.
func incidentsOf(v custody.View) (*Incidents, error) {
	state, err := v.State(custody.IncidentsStream)
	if err != nil {
		return nil, err
	}
	l, ok := state.(*Incidents)
	if !ok {
		return nil, fmt.Errorf("%s: folded as %T", custody.IncidentsStream, state)
	}
	return l, nil
}

// procedure returns the version of a procedure that is in force, or nil.
func (l *Incidents) procedure(name string) *Procedure {
	for n := len(l.Procedures) - 1; n >= 0; n-- {
		if p := &l.Procedures[n].Act; p.Name == name {
			return p
		}
	}
	return nil
}

// InForce lists the procedures that are in force, in the order in which they were
// first adopted.
func (l *Incidents) InForce() []Procedure {
	var list []Procedure
	for _, p := range l.Procedures {
		if p.Act.Version == 1 {
			list = append(list, *l.procedure(p.Act.Name))
		}
	}
	return list
}

// Step says who does a step of a procedure in an incident, or that it is done. What
// is said of it later goes before.
type Step struct {
	On
	Automated bool                `json:"automated" help:"a machine does it"`
	Done      custody.Time        `json:"done,omitzero" help:"when it was done; without it, who is to do it is said"`
	Owner     custody.PrincipalID `json:"owner" help:"who does it, or answers for it"`
	Procedure string              `json:"procedure" help:"the procedure"`
	Step      string              `json:"step" help:"the step, by its name"`
	Version   uint64              `json:"version" help:"of the procedure (default: the one in force)"`
}

// Kind implements custody.Act.
func (*Step) Kind() custody.Kind { return KindStep }

// Detail says in a line what a history tells of it.
func (a *Step) Detail() string {
	text := fmt.Sprintf("%s, version %d: %s, by %s", a.Procedure, a.Version, a.Step, a.Owner)
	if a.Automated {
		text += ", automated"
	}
	if a.Done != 0 {
		text += ", done at " + a.Done.String()
	}
	return text
}

// Check implements custody.Act.
func (a *Step) Check(s *custody.Statement) error {
	err := errors.Join(checkIDs(a.Incident, a.Owner), custody.CheckLine("procedure", a.Procedure), custody.CheckLine("step", a.Step))
	if a.Done < 0 || a.Done > s.Time {
		err = errors.Join(err, errors.New("done is in the future, or no time"))
	}
	return err
}

// Lawful implements custody.Act.
func (a *Step) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	l, err := incidentsOf(v)
	if err != nil {
		return out, err
	}
	p := l.procedure(a.Procedure)
	switch {
	case p == nil || p.Version != a.Version:
		return out, no("version %d of procedure %q is not in force", a.Version, a.Procedure)
	case !slices.ContainsFunc(p.Steps, func(x ProcedureStep) bool { return x.Name == a.Step }):
		return out, no("procedure %q, version %d, has no step %q", a.Procedure, a.Version, a.Step)
	case !i.assignedTo(a.Owner):
		return out, no("%s is not assigned to the incident", a.Owner)
	case s.Actor != a.Owner && i.led(s.Actor, true) != nil:
		return out, no("of a step speaks its owner, or who leads the incident")
	case i.step(a.Procedure, a.Step) != nil && i.step(a.Procedure, a.Step).Done != 0:
		return out, no("step %q is done", a.Step)
	}
	return out, nil
}

// step returns what was last said of a step, or nil.
func (i *Incident) step(procedure, name string) *Step {
	for n := len(i.Steps) - 1; n >= 0; n-- {
		if s := &i.Steps[n].Act; s.Procedure == procedure && s.Step == name {
			return s
		}
	}
	return nil
}

func (a *Step) apply(i *Incident, said Said) { i.Steps = append(i.Steps, Entry[Step]{said, *a}) }

// StepDue is a step of a procedure as an incident has it.
type StepDue struct {
	Procedure string              `json:"procedure"`
	Version   uint64              `json:"version"` // by which it was done, or that is in force
	Step      string              `json:"step"`
	Stage     string              `json:"stage"`
	Owner     custody.PrincipalID `json:"owner,omitempty"` // nobody yet
	Automated bool                `json:"automated"`
	Due       custody.Time        `json:"due,omitzero"` // zero while its stage was not entered
	Done      custody.Time        `json:"done,omitzero"`
}

// steps lists the steps of the procedures that are in force, and what was said of
// them in the incident; and what was done by an older version and is a step no more.
func (i *Incident) steps(l *Incidents, detected custody.Time) []StepDue {
	list := []StepDue{}
	for _, p := range l.InForce() {
		for _, s := range p.Steps {
			d := StepDue{Procedure: p.Name, Version: p.Version, Step: s.Name, Stage: s.Stage}
			if at := i.firstEntered(s.Stage, detected); at != 0 {
				d.Due = at.Add(time.Duration(s.Minutes) * time.Minute)
			}
			if said := i.step(p.Name, s.Name); said != nil {
				d.Owner, d.Automated, d.Done, d.Version = said.Owner, said.Automated, said.Done, said.Version
			}
			list = append(list, d)
		}
	}
	for _, e := range i.Steps {
		known := slices.ContainsFunc(list, func(d StepDue) bool { return d.Procedure == e.Act.Procedure && d.Step == e.Act.Step })
		if a := e.Act; !known && a.Done != 0 {
			list = append(list, StepDue{Procedure: a.Procedure, Version: a.Version, Step: a.Step, Owner: a.Owner, Automated: a.Automated, Done: a.Done})
		}
	}
	return list
}

// firstEntered returns when a stage was first entered; 0 when it was not.
func (i *Incident) firstEntered(stage string, detected custody.Time) custody.Time {
	if stage == StageDetect {
		return detected
	}
	for _, s := range i.Stages {
		if s.Stage == stage {
			return s.Entered
		}
	}
	return 0
}
