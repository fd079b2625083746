package investigate

import (
	"errors"
	"fmt"

	"github.com/forensic-custody/custody/custody"
)

// KindCatalogue is the kind of statement that catalogues what an incident has to do
// with.
const KindCatalogue custody.Kind = "incident.catalogue"

// The marks of what is catalogued.
const (
	MarkOpen         = "open"
	MarkInvestigated = "investigated"
	MarkNotRelevant  = "not-relevant"
	MarkLost         = "lost"
)

// Catalogue says of an alert, an event or forensic data how far it was gone into.
// What is said later of the same thing takes the place of what was said before.
type Catalogue struct {
	On
	Evidence  custody.EvidenceID `json:"evidence,omitempty" help:"the item, where it is one"`
	Mark      string             `json:"mark" help:"open, investigated, not-relevant or lost"`
	Reason    string             `json:"reason,omitempty" help:"why it is not relevant, or how it was lost; or what came out"`
	Reference string             `json:"reference,omitempty" help:"its name where it is kept, where it is no item"`
	What      string             `json:"what" help:"alert, event or forensic-data"`
}

// Kind implements custody.Act.
func (*Catalogue) Kind() custody.Kind { return KindCatalogue }

// Detail says in a line what a history tells of it.
func (a *Catalogue) Detail() string {
	text := fmt.Sprintf("%s %s%s: %s", a.What, a.Evidence, a.Reference, a.Mark)
	if a.Reason != "" {
		text += ", " + firstLine(a.Reason)
	}
	return text
}

// Check implements custody.Act.
func (a *Catalogue) Check(*custody.Statement) error {
	var err error
	if (a.Evidence == "") == (a.Reference == "") {
		err = errors.New("what is catalogued is an item, or has a reference, and not both")
	}
	if a.Evidence != "" {
		_, bad := custody.ParseEvidenceID(string(a.Evidence))
		err = errors.Join(err, bad)
	}
	if a.Reason != "" {
		err = errors.Join(err, text("reason", a.Reason))
	}
	return a.names(err, optional("reference", a.Reference), oneOf("what", a.What, []string{"alert", "event", "forensic-data"}),
		oneOf("mark", a.Mark, []string{MarkOpen, MarkInvestigated, MarkNotRelevant, MarkLost}))
}

// Lawful implements custody.Act.
func (a *Catalogue) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	if a.Evidence != "" {
		switch item, ok := i.Item(a.Evidence); {
		case !ok:
			return out, no("the incident has no item %s", a.Evidence)
		case item.Withdrawn:
			return out, no("item %s was withdrawn", a.Evidence)
		}
	}
	if (a.Mark == MarkLost || a.Mark == MarkNotRelevant) && a.Reason == "" {
		return out, no("what is %s is so for a reason: say it", a.Mark)
	}
	return out, i.among(s.Actor, custody.RoleIncidentManager, custody.RoleForensicEngineer, custody.RoleOnCall)
}

// same says whether two entries are about the same thing.
func (a *Catalogue) same(b *Catalogue) bool {
	if a.Evidence != "" || b.Evidence != "" {
		return a.Evidence == b.Evidence
	}
	return a.What == b.What && a.Reference == b.Reference
}

// Letter implements custody.Lettered.
func (*Catalogue) Letter() string { return "C" }

func (a *Catalogue) apply(i *Incident, said Said) {
	said = i.label(said, a)
	for n := range i.Catalogue {
		if c := &i.Catalogue[n]; c.Replaced == nil && c.Act.same(a) {
			c.Replaced = &said.ID
		}
	}
	i.Catalogue = append(i.Catalogue, Entry[Catalogue]{said, *a})
}

// Catalogued lists the last word on each thing that was catalogued, in the order in
// which they were said.
func (i *Incident) Catalogued() []Entry[Catalogue] {
	var list []Entry[Catalogue]
	for _, c := range i.Catalogue {
		if c.Replaced == nil {
			list = append(list, c)
		}
	}
	return list
}
