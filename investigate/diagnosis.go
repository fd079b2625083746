package investigate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/forensic-custody/custody/custody"
)

// mostItems is how many items an incident has at most that leaves Diagnose: the basis
// of the decision names each of them, and a record has a limit.
const mostItems = 5000

// undiagnosed lists what has to be on record before Diagnose is left, in whatever
// direction: that all evidence is kept in a forensically sound manner, that all
// there is was gone into, what was found, and whom it affects.
func (i *Incident) undiagnosed(v custody.View, a *Move) ([]string, error) {
	l, err := i.unkept(v, func(custody.EvidenceID) bool { return false })
	if err != nil {
		return nil, err
	}
	missing := l.list()
	if len(i.FindingsStanding()) == 0 && a.Undocumented == "" {
		missing = append(missing, "a finding (finding.record), or why the stage is left without one")
	}
	if len(i.Customers) == 0 {
		missing = append(missing, "whether customer data is affected, be it unknown (incident.customers)")
	}
	return missing, nil
}

// unkept notes which of the items, but those that are let off, lack what of being
// catalogued and kept in a forensically sound manner; and what nobody went into yet.
func (i *Incident) unkept(v custody.View, off func(custody.EvidenceID) bool) (lacking, error) {
	var l lacking
	n := 0
	for _, id := range i.order { // post-mortems come last, and are few: with them nobody is shut in
		if it := i.items[id]; !it.Withdrawn && it.Begun.Type != custody.TypePostMortem && !off(id) {
			n++
		}
	}
	if n > mostItems {
		l.is(true, fmt.Sprintf("at most %d items, since a record has no room for the state of more", mostItems), fmt.Sprintf("it has %d", n))
		return l, nil
	}
	marks := map[custody.EvidenceID]string{}
	for _, c := range i.Catalogued() {
		marks[c.Act.Evidence] = c.Act.Mark
	}
	for _, id := range i.order {
		begun := i.items[id]
		if begun.Withdrawn || off(id) {
			continue
		}
		name := fmt.Sprintf("%s (%s)", begun.Begun.Exhibit, id)
		if begun.Begun.Type != custody.TypePostMortem {
			l.is(marks[id] == "", "not catalogued (incident.catalogue)", name)
		}
		if err := l.unsound(v, begun.Begun.Incident, id, name, marks[id] == MarkLost); err != nil {
			return l, err
		}
	}
	for _, c := range i.Catalogued() {
		l.is(c.Act.Mark == MarkOpen, "catalogued as open (incident.catalogue)", fmt.Sprintf("%s, %s%s", c.Label, c.Act.Evidence, c.Act.Reference))
	}
	return l, nil
}

// late lists what items lack that came after Diagnose was left, and what is catalogued as
// open since: the incident is not resolved with them as they are. What the team wrote
// itself is looked at where it is issued.
func (i *Incident) late(v custody.View) ([]string, error) {
	l, err := i.unkept(v, func(id custody.EvidenceID) bool {
		return i.items[id].Begun.Type == custody.TypePostMortem ||
			slices.ContainsFunc(i.Summaries, func(s Summarised) bool { return s.Act.Evidence == id }) ||
			slices.ContainsFunc(i.Reports, func(r Entry[Intelligence]) bool { return r.Act.Evidence == id })
	})
	return l.list(), err
}

// kept counts the items that were not withdrawn.
func (i *Incident) kept() (n int) {
	for _, id := range i.order {
		if !i.items[id].Withdrawn {
			n++
		}
	}
	return n
}

// unsound notes what an item lacks of being kept in a forensically sound manner:
// sealed, and with that in somebody's custody; read back and found to be what was
// sealed; and neither to be altered nor deleted. A thing lies in its bag. What is said
// to be lost is so only where it never came, or is not what was sealed, or not there.
func (l *lacking) unsound(v custody.View, in custody.IncidentID, id custody.EvidenceID, name string, lost bool) error {
	item, err := custody.ItemIn(v, in, id)
	if err != nil {
		return err
	}
	rules, err := custody.PolicyOf(v)
	if err != nil {
		return err
	}
	locked := len(item.Holds) > 0 || rules.Store != nil && rules.Store.Lock
	thing := item.Begun.Type == custody.TypePhysical
	switch {
	case !item.Sealed:
		l.is(!lost, "not sealed, nor catalogued as lost (evidence.seal)", name)
	case thing:
	case item.Disposal.Approved() || item.Shredding.Approved():
		l.is(!lost, "destroyed, and not catalogued as lost", name)
	case item.Damaged || item.KeysLost != "":
		l.is(!lost, "damaged, and not catalogued as lost", name)
	default:
		l.is(!item.Confirmed, "not read back yet, as a check (evidence.verify) finds it to be what was sealed", name)
		l.is(!locked, "neither on legal hold (evidence.hold) nor in a store that was proven to lock", name)
	}
	return nil
}

// lacking is what things lack, and which things lack it, both in the order in which
// they were found.
type lacking struct {
	what []string
	who  map[string][]string
}

func (l *lacking) is(lacks bool, what, who string) {
	if !lacks {
		return
	}
	if l.who == nil {
		l.who = map[string][]string{}
	}
	if l.who[what] == nil {
		l.what = append(l.what, what)
	}
	l.who[what] = append(l.who[what], who)
}

// mostNamed is how many things a refusal names that lack the same.
const mostNamed = 20

func (l *lacking) list() []string {
	var list []string
	for _, what := range l.what {
		who := l.who[what]
		more := ""
		if n := len(who) - mostNamed; n > 0 {
			who, more = who[:mostNamed], fmt.Sprintf(" and %d more", n)
		}
		list = append(list, what+": "+strings.Join(who, ", ")+more)
	}
	return list
}
