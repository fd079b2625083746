package bundle

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/forensic-custody/custody/custody"
)

// Withheld is a record that the log has in this place, and that whoever made the
// bundle did not disclose.
type Withheld struct {
	Stream   custody.Stream `json:"stream"`
	Sequence uint64         `json:"sequence"`
	Index    uint64         `json:"index"` // in the log
}

// checkWithheld lists what is withheld of a stream, and checks that what the
// visible records name by its digest is either among them or can be one of the
// withheld ones. What a visible record stands upon without naming it is visible.
func (c *check) checkWithheld(s *stream) {
	for n, e := range s.records {
		if e.withheld {
			c.verdict.Withheld = append(c.verdict.Withheld, Withheld{s.head.Stream, uint64(n), e.index})
		}
	}
	if !s.whole() {
		return
	}
	s.assumed = map[custody.Digest]role{}
	var before int // withheld ones
	for _, e := range s.records {
		if e.withheld {
			before++
		}
		if e.record == nil || !e.record.Decision.Permit {
			continue
		}
		for d, as := range refersTo(e.statement) {
			was, twice := s.assumed[d]
			switch _, here := c.known[d]; {
			case here, twice && was == as:
			case twice:
				c.problem(e.where, fmt.Errorf("names the statement %s as a %s, and another record names it as a %s", d, as, was))
			case len(s.assumed) == before:
				c.problem(e.where, fmt.Errorf("names the %s %s, which is not here, and which no withheld record before it can be", as, d))
			default:
				s.assumed[d] = as
			}
		}
	}
}

// role is what a statement is to one that names it.
type role string

const (
	asGrant  role = "grant"
	asHold   role = "hold"
	asMotion role = "motion"
	asOrder  role = "order"
)

// refersTo returns the statements of the same stream that a statement names by
// their payload digests.
func refersTo(s *custody.Statement) map[custody.Digest]role {
	named := map[custody.Digest]role{}
	if moved, ok := s.Act.(mover); ok {
		named[moved.Motion(s).Seconds] = asMotion
	}
	switch act := s.Act.(type) {
	case *custody.ReleaseEvidence:
		named[act.Grant] = asGrant
	case *custody.ReceiveEvidence:
		named[act.Grant] = asGrant
	case *custody.LiftHold:
		named[act.Hold] = asHold
	case *custody.DisposedEvidence:
		named[act.Order] = asOrder
	case *custody.EraseRecord:
		named[act.Grant] = asGrant
	case *custody.ErasedRecord:
		named[act.Order] = asOrder
	case *custody.ShreddedIncident:
		named[act.Order] = asOrder
	}
	delete(named, custody.Digest{})
	return named
}

// mover is a kind of statement that takes two people.
type mover interface {
	Motion(*custody.Statement) custody.Motion
}

// sealComesFirst checks that no record is withheld of an item before its seal,
// which therefore is the first.
func (c *check) sealComesFirst(s *stream) {
	withheld := false
	for _, e := range s.records {
		withheld = withheld || e.withheld
		if e.record == nil || !e.record.Decision.Permit {
			continue
		}
		if _, ok := e.statement.Act.(*custody.SealEvidence); !ok {
			break
		}
		if withheld {
			c.problem(e.where, errors.New("seals the item behind a record that is withheld: which seal is the first cannot be told"))
		}
		return
	}
	if withheld {
		c.problem(headName, fmt.Errorf("records of %s are withheld, and its seal is not here", s.head.Stream))
	}
}

// warnOfWithheld says of everybody who signed something here, and of whom records
// are withheld, that his rights may have ended in one of them.
func (c *check) warnOfWithheld(p *signer, own *stream) {
	if n := withheldIn(own); n > 0 && len(p.signed) > 0 {
		c.verdict.Warnings = append(c.verdict.Warnings, Problem{Where: string(own.head.Stream), What: fmt.Sprintf(
			"of %s (%s), who signed records here, %s withheld: that none of them revoked a key or a right, or suspended him, is not shown",
			c.verdict.people[p.id].Name, p.id, plural(n, "record is", "records are"))})
	}
}

// warnOfDestruction notes what withheld records of an item leave open where its bytes
// or a record of it are gone by order: a hold stands in a record of its own.
func (c *check) warnOfDestruction(v *Item, s *stream) {
	gone := v.Destroyed || slices.ContainsFunc(s.records, func(e *entry) bool { return e.record == nil && !e.withheld })
	if n := withheldIn(s); n > 0 && gone {
		c.verdict.Warnings = append(c.verdict.Warnings, Problem{Where: string(s.head.Stream), What: fmt.Sprintf(
			"something of the item was destroyed by order, and %s withheld: that no legal hold was on it then, and that its bytes were given to nobody afterwards, is not shown",
			plural(n, "record of it is", "records of it are"))})
	}
}

// withheldIn counts the records of a stream that are withheld.
func withheldIn(s *stream) (n int) {
	for _, e := range s.records {
		if e.withheld {
			n++
		}
	}
	return n
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// withheldText lists what is withheld, and says what that means.
func (v *Verdict) withheldText() string {
	var b strings.Builder
	lists, meaning := v.undisclosed()
	for _, s := range lists {
		fmt.Fprintf(&b, "  WITHHELD    %s\n", s)
	}
	for _, s := range meaning {
		fmt.Fprintf(&b, "              %s\n", strings.ReplaceAll(s, "\n", "\n              "))
	}
	return b.String()
}

// undisclosed lists what is withheld, stream by stream, and says what that means.
func (v *Verdict) undisclosed() (lists, meaning []string) {
	kinds := map[string]bool{}
	for n := 0; n < len(v.Withheld); {
		s := v.Withheld[n].Stream
		kinds[s.Kind()] = true
		var places []string
		for ; n < len(v.Withheld) && v.Withheld[n].Stream == s; n++ {
			places = append(places, fmt.Sprintf("%d (leaf %d)", v.Withheld[n].Sequence, v.Withheld[n].Index))
		}
		lists = append(lists, fmt.Sprintf("%s of %s: %s", plural(len(places), "record", "records"), s, strings.Join(places, ", ")))
	}
	if kinds["evidence"] {
		meaning = append(meaning, "What happened to an item in its withheld records is not told: a failed check, a hold, a release\n"+
			"or a destruction may be among them, and even another seal. Whoever has them can show each of them")
	}
	if kinds["incident"] {
		meaning = append(meaning, "What happened in the incident's withheld records is not told: they may announce further items")
	}
	if kinds["principal"] {
		meaning = append(meaning, "What people did in their withheld records is not told")
	}
	return lists, meaning
}
