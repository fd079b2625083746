package investigate

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// KindEvent is the kind of statement that puts something on an incident's timeline.
const KindEvent custody.Kind = "incident.event"

// Event is something that happened, for the incident's timeline: what an intruder
// did, what the team did, when a system went down.
type Event struct {
	On
	Happened
	Citations []Citation     `json:"citations" help:"evidence and where in it, as of a finding: ITEM:for:line=120-140 (repeat for several)"`
	Precision string         `json:"precision,omitempty" help:"how precisely the time is known, such as ±5 minutes"`
	Replaces  custody.Digest `json:"replaces" help:"the event that this one corrects, T-1 (default: none)"`
	Source    string         `json:"source" help:"whose clock says when it was, or who"`
	Title     string         `json:"title" help:"what happened, in a line"`
}

// Kind implements custody.Act.
func (*Event) Kind() custody.Kind { return KindEvent }

// Detail says in a line what a history tells of it.
func (a *Event) Detail() string { return fmt.Sprintf("%s: %s", a.At, a.Title) }

// Check implements custody.Act.
func (a *Event) Check(s *custody.Statement) error {
	return a.names(a.past(s), checkCitations(a.Citations), optional("precision", a.Precision), custody.CheckLine("source", a.Source),
		custody.CheckLine("title", a.Title))
}

// Lawful implements custody.Act. Anybody of the team corrects what another said:
// both stay on record, each with its name.
func (a *Event) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	switch {
	case err != nil:
		return out, err
	case !i.assignedTo(s.Actor):
		return out, no("%s is not assigned to the incident", s.Actor)
	}
	if !a.Replaces.IsZero() {
		switch e := find(i.Events, a.Replaces); {
		case e == nil:
			return out, no("there is no event %s", a.Replaces)
		case e.Replaced != nil:
			return out, no("event %s was corrected by %s: name that", e.Label, find(i.Events, *e.Replaced).Label)
		}
	}
	return out, cited(v, a.Incident, a.Citations)
}

// Letter implements custody.Lettered.
func (*Event) Letter() string { return "T" }

func (a *Event) apply(i *Incident, said Said) {
	said = i.label(said, a)
	if e := find(i.Events, a.Replaces); e != nil {
		e.Replaced = &said.ID
	}
	i.Events = append(i.Events, Entry[Event]{said, *a})
}

// Moment is an entry of an incident's timeline: an event, or a finding that says
// when what was found happened.
type Moment struct {
	ID          custody.Digest      `json:"id"`
	Label       string              `json:"label"` // T-1 of an event, F-1 of a finding
	At          custody.Time        `json:"at"`    // when it happened
	Precision   string              `json:"precision,omitempty"`
	Title       string              `json:"title"`
	Source      string              `json:"source,omitempty"` // of an event's time
	Citations   []Citation          `json:"citations"`
	By          custody.PrincipalID `json:"by"`
	Recorded    custody.Time        `json:"recorded"`             // when it was put on record
	LateSeconds int64               `json:"lateSeconds,omitzero"` // by how much later than Late allows
}

// Timeline lists what happened in order of when it did, and of that what was
// recorded first: events that were not corrected, and findings that stand and say
// when.
func (i *Incident) Timeline() []Moment {
	list := []Moment{}
	for _, e := range i.Events {
		if e.Replaced == nil {
			list = append(list, Moment{
				ID: e.ID, Label: e.Label, At: e.Act.At, Precision: e.Act.Precision, Title: e.Act.Title, Source: e.Act.Source,
				Citations: e.Act.Citations, By: e.By, Recorded: e.Recorded, LateSeconds: int64(e.Act.LateBy(e.Said) / time.Second),
			})
		}
	}
	for _, f := range i.FindingsStanding() {
		if at := f.Act.EventAt; at != 0 {
			list = append(list, Moment{
				ID: f.ID, Label: f.Label, At: at, Title: f.Act.Title, Citations: f.Act.Citations, By: f.By, Recorded: f.Recorded,
				LateSeconds: int64(Happened{at}.LateBy(f.Said) / time.Second),
			})
		}
	}
	slices.SortStableFunc(list, func(a, b Moment) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Recorded, b.Recorded))
	})
	return list
}
