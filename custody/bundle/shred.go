package bundle

import (
	"errors"
	"fmt"
	"maps"

	"github.com/forensic-custody/custody/custody"
)

// Destruction says by whose order an item's bytes were destroyed, and how.
type Destruction struct {
	What  string       `json:"what"`        // "bytes" or "keys", of the incident
	By    []Orderer    `json:"by"`          // two different people
	At    custody.Time `json:"at,omitzero"` // of the second one's order; zero where that is withheld
	How   string       `json:"how"`         // as the service certified it
	Order string       `json:"order"`
}

// Orderer is one of two people who ordered something. Where a record of the order
// is withheld neither is known: then ID is empty.
type Orderer struct {
	ID   custody.PrincipalID `json:"id"`
	Name string              `json:"name"` // as enrolled
}

// undisclosed stands for the name of an Orderer who is not known.
const undisclosed = "not disclosed"

// What can be destroyed.
const (
	DestroyedBytes = "bytes"
	DestroyedKeys  = "keys"
)

// String says it in a line.
func (d *Destruction) String() string {
	what := "DESTROYED by order of two people"
	if d.What == DestroyedKeys {
		what = "DESTROYED with the keys of its incident, by order of two people"
	}
	if d.By[0].ID == "" {
		return fmt.Sprintf("DESTROYED, by the word of the service: by order of two people, who are %s; what was done: %s", undisclosed, d.How)
	}
	return fmt.Sprintf("%s, %s and %s, of %s; what was done, by the word of the service: %s", what, d.By[0], d.By[1], d.At, d.How)
}

// String returns name and identifier.
func (o Orderer) String() string { return fmt.Sprintf("%s (%s)", o.Name, o.ID) }

func (c *check) orderers(ids ...custody.PrincipalID) (list []Orderer) {
	for _, id := range ids {
		list = append(list, Orderer{id, c.verdict.people[id].Name})
	}
	return list
}

// destroyed notes by whose order the item is gone.
func (c *check) destroyed(v *Item, item *custody.Evidence, s *shredding, kept *keeping) {
	v.Destroyed = kept.certified != nil || !item.Shredded.IsZero()
	switch d := item.Disposal; {
	case kept.certified != nil && !d.Done: // who ordered it is withheld
		v.Destruction = &Destruction{DestroyedBytes, []Orderer{{Name: undisclosed}, {Name: undisclosed}}, 0, item.Method, kept.certified.Order.String()}
	case d.Done:
		v.Destruction = &Destruction{DestroyedBytes, c.orderers(d.First, d.Second), d.At, item.Method, d.Order.String()}
	case !item.Shredded.IsZero() && s != nil && item.Shredded == s.order.Order:
		v.Destruction = &Destruction{DestroyedKeys, c.orderers(s.order.First, s.order.Second), s.order.At, item.Method, s.order.Order.String()}
	}
}

// shredding is the order of two people that the incident's keys be destroyed.
type shredding struct {
	order custody.Disposal
	basis []custody.Head // the streams as the order was decided upon them
	item  custody.Head   // the item among them; see of
	at    uint64         // sequence of the second one's record in the incident's stream
}

// of returns the order as it is about one item.
func (s *shredding) of(e custody.EvidenceID) *shredding {
	if s == nil {
		return nil
	}
	about := *s
	about.item, _ = findHead(s.basis, e.Stream())
	return &about
}

// checkShredding looks for the order in the incident's stream, of which the
// bundle may hold no more than these two records. It returns nil when there is
// none.
func (c *check) checkShredding() (found *shredding) {
	s := c.stream(c.head.Incident.Stream())
	if s == nil {
		return nil
	}
	motions, state := custody.Motions{}, custody.Shredding{}
	assumed := maps.Clone(s.assumed)
	for r := range s.told() {
		act, ok := r.statement.Act.(*custody.ShredIncident)
		if !ok || !r.record.Decision.Permit {
			continue
		}
		if assumed[act.Seconds] == asMotion { // that it says the same as the first is not shown, so it allows nothing here
			delete(assumed, act.Seconds)
			continue
		}
		if err := motions.Check(act.Motion(r.statement), r.record.Recorded); err != nil {
			c.problem(r.where, err)
			continue
		}
		state.Apply(r.record, r.statement, motions)
		if found == nil && state.Order().Approved() {
			found = &shredding{order: state.Order(), basis: r.record.Basis, at: r.record.Sequence}
		}
	}
	return found
}

// shred checks what a record of the item's says about the incident's keys: that
// they were destroyed by an order that two people gave, upon a state of the item
// in which no hold was on it, and that nobody was given its bytes afterwards.
func (k *keeping) shred(e *entry) error {
	s := k.shredding
	if s != nil && e.record.Sequence >= s.item.Length && !k.ordered {
		k.ordered, k.heldAtOrder = true, len(k.holds) > 0
	}
	switch act := e.statement.Act.(type) {
	case *custody.ShreddedEvidence:
		switch {
		case s == nil || act.Order != s.order.Order || act.SHA256 != k.bytes:
			return errors.New("says that the keys of the incident were destroyed, which no two people had ordered")
		case s.item.Length == 0 || s.item.Length > e.record.Sequence:
			return errors.New("says that the keys of the incident were destroyed by an order that did not look at this item")
		case k.heldAtOrder:
			return errors.New("says that the keys of the incident were destroyed by an order that was given while the item was on legal hold")
		}
	case *custody.RetrieveEvidence:
		if s == nil {
			return nil
		}
		if h, ok := findHead(e.record.Basis, k.incident); ok && h.Length > s.at {
			return errors.New("was granted after the keys of the incident were ordered destroyed")
		}
	}
	return nil
}
