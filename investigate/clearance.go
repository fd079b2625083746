package investigate

import (
	"errors"
	"fmt"
	"slices"

	"github.com/forensic-custody/custody/custody"
)

// The kinds of statement by which a legal advisor clears the examination of images.
const (
	KindClear             custody.Kind = "incident.clear"
	KindWithdrawClearance custody.Kind = "incident.withdraw-clearance"
)

// Clear is a legal advisor's word that images may be examined, and under which
// conditions.
type Clear struct {
	On
	Authority  string             `json:"authority" help:"by which law, contract or consent"`
	Conditions string             `json:"conditions" help:"under which conditions; or that there are none"`
	Evidence   custody.EvidenceID `json:"evidence,omitempty" help:"the item (default: all of the incident)"`
	Until      custody.Time       `json:"until,omitzero" help:"when it ends (default: when it is withdrawn)"`
}

// Kind implements custody.Act.
func (*Clear) Kind() custody.Kind { return KindClear }

// Detail says in a line what a history tells of it.
func (a *Clear) Detail() string {
	text := "all images"
	if a.Evidence != "" {
		text = string(a.Evidence)
	}
	if a.Until != 0 {
		text += fmt.Sprintf(", until %s", a.Until)
	}
	return fmt.Sprintf("%s, by %s: %s", text, a.Authority, inLine(a.Conditions))
}

// Check implements custody.Act.
func (a *Clear) Check(*custody.Statement) error {
	var err error
	if a.Evidence != "" {
		_, err = custody.ParseEvidenceID(string(a.Evidence))
	}
	if a.Conditions != "" {
		err = errors.Join(err, text("conditions", a.Conditions))
	}
	if a.Until < 0 {
		err = errors.Join(err, errors.New("until is no time"))
	}
	return a.names(err, optional("authority", a.Authority))
}

// Lawful implements custody.Act. It goes on after the incident's closing, since
// evidence is examined then too.
func (a *Clear) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := onIncident(v, a.Incident, s)
	if err != nil {
		return out, err
	}
	if err := i.among(s.Actor, custody.RoleLegalAdvisor); err != nil {
		return out, err
	}
	switch {
	case slices.Contains(i.actors, custody.RoleForensicEngineer):
		return out, no("who examines images does not clear their examination")
	case a.Authority == "" || a.Conditions == "":
		return out, no("a clearance says by which authority and under which conditions, or that there are none")
	case a.Until != 0 && a.Until <= v.Now():
		return out, no("until %s is over", a.Until)
	}
	if a.Evidence != "" {
		if item, ok := i.Item(a.Evidence); !ok || item.Withdrawn {
			return out, no("the incident has no item %s, or it was withdrawn", a.Evidence)
		}
	}
	return out, nil
}

// Letter implements custody.Lettered.
func (*Clear) Letter() string { return "L" }

func (a *Clear) apply(i *Incident, said Said) {
	i.Clearances = append(i.Clearances, Clearance{Entry: Entry[Clear]{i.label(said, a), *a}})
}

// Clearance is a clearance, and whether it was withdrawn.
type Clearance struct {
	Entry[Clear]
	Withdrawn *Entry[WithdrawClearance] `json:"withdrawn,omitempty"`
}

// Clears says whether a clearance is in force for an item at a time.
func (c Clearance) Clears(item custody.EvidenceID, at custody.Time) bool {
	return c.Withdrawn == nil && (c.Act.Until == 0 || at < c.Act.Until) && (c.Act.Evidence == "" || c.Act.Evidence == item)
}

func (i *Incident) clearance(id custody.Digest) *Clearance {
	for n := range i.Clearances {
		if i.Clearances[n].ID == id {
			return &i.Clearances[n]
		}
	}
	return nil
}

// WithdrawClearance ends a clearance, at once.
type WithdrawClearance struct {
	On
	Clearance custody.Digest `json:"clearance" help:"the clearance, L-1"`
}

// Kind implements custody.Act.
func (*WithdrawClearance) Kind() custody.Kind { return KindWithdrawClearance }

// Detail says in a line what a history tells of it.
func (a *WithdrawClearance) Detail() string { return "images are cleared by it no more" }

// Check implements custody.Act.
func (a *WithdrawClearance) Check(*custody.Statement) error { return a.names() }

// Lawful implements custody.Act. It goes on after the incident's closing, as the
// clearance does.
func (a *WithdrawClearance) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := onIncident(v, a.Incident, s)
	if err != nil {
		return out, err
	}
	if err := i.among(s.Actor, custody.RoleLegalAdvisor); err != nil {
		return out, err
	}
	switch c := i.clearance(a.Clearance); {
	case c == nil:
		return out, no("there is no clearance %s", a.Clearance)
	case c.Withdrawn != nil:
		return out, no("clearance %s was withdrawn by %s", c.Label, c.Withdrawn.By)
	}
	return out, nil
}

func (a *WithdrawClearance) apply(i *Incident, said Said) {
	if c := i.clearance(a.Clearance); c != nil {
		c.Withdrawn = &Entry[WithdrawClearance]{said, *a}
	}
}

// Cleared implements custody.Case. In its first stage an incident's images are
// looked at to see whether there is something: from then on it takes a clearance, by
// somebody else, whatever either of them became since.
func (i *Incident) Cleared(item custody.EvidenceID, by custody.PrincipalID, at custody.Time) error {
	if len(i.Stages) == 0 {
		return nil
	}
	own := ""
	for _, c := range i.Clearances {
		if c.Clears(item, at) && c.By != by {
			return nil
		} else if c.Clears(item, at) {
			own = ", or is by whoever asks"
		}
	}
	return no("no legal advisor has cleared the examination of item %s, or the clearance has ended%s (incident.clear)", item, own)
}
