package bundle

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/forensic-custody/custody/custody"
)

// The states of an item.
const (
	StateSealed    = "sealed"
	StateAnnounced = "announced" // and neither sealed nor withdrawn
	StateWithdrawn = "withdrawn" // and never sealed
)

// kindOpenIncident is the kind of statement that opens an incident; package
// investigate has it.
const kindOpenIncident custody.Kind = "incident.open"

// checkIncident checks the incident's own stream, where that is in the bundle
// whole: that it announces the items of the bundle and no others, and what it says
// became of them.
func (c *check) checkIncident(in *stream, order *shredding) {
	if in == nil || !in.whole() {
		c.problem(headName, errors.New("the incident's stream is not included whole"))
		return
	}
	shredded, motions, assumed := false, custody.Motions{}, maps.Clone(in.assumed)
	for e := range in.told() {
		if !e.record.Decision.Permit {
			continue
		}
		if moved, ok := e.statement.Act.(mover); ok && !settledElsewhere(e.statement.Act) {
			m := moved.Motion(e.statement)
			if assumed[m.Seconds] == asMotion { // that it says the same as the first is not shown
				delete(assumed, m.Seconds)
			} else if err := motions.Check(m, e.record.Recorded); err != nil {
				c.problem(e.where, err)
			}
			motions.Apply(e.statement.Payload, m, e.record.Recorded)
		}
		switch act := e.statement.Act.(type) {
		case *custody.BeginEvidence:
			if id := custody.NewEvidenceID(e.statement.Payload); c.item(id) == nil {
				c.problem(e.where, fmt.Errorf("announces item %s, which this bundle leaves out", id))
			}
		case *custody.WithdrawEvidence:
			if err := c.withdrawn(c.item(act.Evidence)); err != nil {
				c.problem(e.where, err)
			}
		case *custody.ShreddedIncident:
			switch ordered := order != nil && order.order.Order == act.Order; {
			case !ordered && in.assumed[act.Order] != asOrder && !c.halfway(in, act.Order):
				c.problem(e.where, errors.New("says that the keys of the incident were destroyed, which no two people had ordered"))
			case shredded:
				c.problem(e.where, errors.New("says a second time that the keys of the incident were destroyed"))
			}
			shredded = true
		}
	}
	c.oneNumberEach()
}

// chosen warns of records without the rest of their history that nothing here stands
// upon: whoever made the bundle chose them, and what takes them back can be elsewhere.
func (c *check) chosen() {
	for _, s := range c.streams {
		n := 0
		for e := range s.told() {
			if !s.whole() && !c.stoodUpon(e) {
				n++
			}
		}
		if n > 0 {
			c.verdict.Warnings = append(c.verdict.Warnings, Problem{Where: string(s.head.Stream), What: fmt.Sprintf(
				"%s here that the proof does not need, and not the others of that history: what corrects them, or takes them back, is not shown",
				plural(n, "record is", "records are"))})
		}
	}
}

// stoodUpon says whether a record declares a stream of the bundle, or speaks of the
// destruction of the incident's keys.
func (c *check) stoodUpon(e *entry) bool {
	switch e.statement.Act.(type) {
	case *custody.ShredIncident, *custody.ShreddedIncident:
		return true
	}
	return slices.ContainsFunc(e.record.Declares, func(d custody.Declaration) bool { return c.stream(d.Stream) != nil })
}

// oneNumberEach warns of items that share an exhibit number, which only an item that
// was withdrawn leaves to another.
func (c *check) oneNumberEach() {
	of := map[string]custody.EvidenceID{}
	for _, v := range c.verdict.Items {
		if v.State == StateWithdrawn || v.Exhibit == "" {
			continue
		}
		if other, taken := of[v.Exhibit]; taken {
			c.verdict.Warnings = append(c.verdict.Warnings, Problem{Where: string(v.Evidence.Stream()), What: fmt.Sprintf(
				"is exhibit %s, as item %s is, and neither is shown to be withdrawn", v.Exhibit, other)})
			continue
		}
		of[v.Exhibit] = v.Evidence
	}
}

// settledElsewhere says whether other checks are about a motion: the destruction of
// keys, of which an exhibit's bundle has the orders too, and erasures.
func settledElsewhere(act custody.Act) bool {
	switch act.(type) {
	case *custody.ShredIncident, *custody.EraseRecord:
		return true
	}
	return false
}

// halfway says whether an order is visible in a stream, and what it seconds is not.
func (c *check) halfway(in *stream, order custody.Digest) bool {
	for e := range in.told() {
		act, ok := e.statement.Act.(*custody.ShredIncident)
		if ok && e.record.Decision.Permit && e.statement.Payload == order && in.assumed[act.Seconds] == asMotion {
			return true
		}
	}
	return false
}

// withdrawn notes that an item was withdrawn.
func (c *check) withdrawn(v *Item) error {
	switch {
	case v == nil || v.State == "":
		return errors.New("withdraws what was not announced")
	case v.State == StateSealed:
		return fmt.Errorf("withdraws item %s, which is sealed", v.Evidence)
	case v.State == StateWithdrawn:
		return fmt.Errorf("withdraws item %s a second time", v.Evidence)
	}
	v.State = StateWithdrawn
	return nil
}

// item returns what is found of an item of the bundle; nil when it is none.
func (c *check) item(id custody.EvidenceID) *Item {
	i := slices.IndexFunc(c.verdict.Items, func(v *Item) bool { return v.Evidence == id })
	if i < 0 {
		return nil
	}
	return c.verdict.Items[i]
}

// titles says of events of which exhibit they are, and what the incident is called:
// the subject of the statement that opened it.
func (c *check) titles() {
	exhibits := map[custody.Stream]string{}
	for _, v := range c.verdict.Items {
		exhibits[v.Evidence.Stream()] = v.Exhibit
	}
	for n := range c.verdict.Timeline {
		e := &c.verdict.Timeline[n]
		e.Exhibit = exhibits[e.Stream]
	}
	s := c.stream(custody.IncidentsStream)
	if s == nil {
		return
	}
	for e := range s.told() {
		if custody.NewIncidentID(e.statement.Payload) == c.head.Incident && e.record.Decision.Permit {
			c.verdict.Title = e.statement.Act.Subject().Name
		}
	}
}

// incidentText says what an incident's bundle is of, for people.
func (v *Verdict) incidentText() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Incident    %s: %s\n", v.Incident, v.Title)
	states := map[string]int{}
	for _, i := range v.Items {
		states[i.State]++
	}
	fmt.Fprintf(&b, "            %s announced: %d sealed, %d not sealed, %d withdrawn\n", plural(len(v.Items), "item", "items"),
		states[StateSealed], states[StateAnnounced], states[StateWithdrawn])
	return b.String()
}
