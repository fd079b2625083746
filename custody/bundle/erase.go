package bundle

import (
	"errors"
	"fmt"
	"maps"

	"github.com/forensic-custody/custody/custody"
)

// Erased is a record that is erased by order of two people: what was said in it
// nobody can tell any more, only that it stood there.
type Erased struct {
	Stream    custody.Stream `json:"stream"`
	Sequence  uint64         `json:"sequence"`
	Index     uint64         `json:"index"` // in the log
	Was       custody.Kind   `json:"was"`   // as the order says
	Refused   bool           `json:"refused"`
	By        []Orderer      `json:"by"` // two different people
	At        custody.Time   `json:"at"` // of the second one's order
	Authority string         `json:"authority"`
	Certified bool           `json:"certified"` // the service says that it did so
}

// String says it in a line.
func (e Erased) String() string {
	was := string(e.Was)
	if e.Refused {
		was += ", refused"
	}
	return fmt.Sprintf("record %d of %s (said to have been %s), by order of %s and %s, of %s, under the authority of %s", e.Sequence, e.Stream, was, e.By[0], e.By[1], e.At, e.Authority)
}

// checkErasures checks that what is erased of a stream was ordered by two people
// in records of the same stream, and that nothing else is said to be erased. That
// both had the right is for entitled to say.
func (c *check) checkErasures(s *stream) {
	var orders custody.Erasures
	assumed := maps.Clone(s.assumed)
	for e := range s.told() {
		if !e.record.Decision.Permit {
			continue
		}
		switch act := e.statement.Act.(type) {
		case *custody.EraseRecord:
			if act.Sequence >= e.record.Sequence {
				c.problem(e.where, errors.New("orders erased what does not stand before it"))
				continue
			}
			if assumed[act.Seconds] == asMotion { // that it says the same as the first is not shown, so it allows nothing here
				delete(assumed, act.Seconds)
				assumed[e.statement.Payload] = asOrder
				if err := act.Erasable(); err != nil {
					c.problem(e.where, err)
				}
				continue
			}
			if err := orders.Check(e.statement, e.record.Recorded); err != nil {
				c.problem(e.where, err)
				continue
			}
		case *custody.ErasedRecord:
			if assumed[act.Order] == asOrder {
				continue
			}
			if err := orders.Certifies(act); err != nil {
				c.problem(e.where, err)
				continue
			}
		default:
			continue
		}
		orders.Apply(e.record, e.statement)
	}
	for n, e := range s.records {
		o, ordered := orders.Of(uint64(n))
		switch {
		case e.withheld:
		case e.record == nil && !orders.Allows(uint64(n), e.commitment):
			c.problem(e.where, errors.New("is not here, and no two people have ordered it erased"))
		case e.record == nil:
			c.verdict.Erased = append(c.verdict.Erased, Erased{
				Stream: s.head.Stream, Sequence: uint64(n), Index: e.index, Was: o.Act.Was, Refused: o.Act.Refused,
				By: c.orderers(o.First, o.Second), At: o.At, Authority: o.Act.Authority, Certified: o.Done,
			})
		case s.whole() && ordered && o.Done:
			c.verdict.Warnings = append(c.verdict.Warnings, Problem{Where: e.where, What: "was erased by order, and somebody has kept it"})
		}
	}
}

// recall settles what an erased record had settled.
func recall(a *custody.EraseRecord, grants map[custody.Digest]*given) {
	g := grants[a.Grant]
	if g == nil || a.Refused {
		return
	}
	switch a.Was {
	case custody.KindReleaseEvidence:
		g.released = true
	case custody.KindReceiveEvidence:
		g.received = true
	}
}
