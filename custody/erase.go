package custody

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
)

// The kinds of statement about the erasure of records.
const (
	KindEraseRecord  Kind = "record.erase"
	KindErasedRecord Kind = "record.erased"
)

// Erasers lists the roles of which both people have one who order a record
// erased. A verifier asks for it too, so it is no matter of policy alone.
func Erasers() []Role { return []Role{RoleLegalAdvisor, RoleIncidentManager, RoleExecutive} }

// EraseRecord orders that a record be erased: its bytes and its opening are
// destroyed, and nobody can tell any more what its commitment in the log stands
// for. It takes two people, neither of whom said what is erased. Its own record
// belongs to the stream that it is about, so that whoever has the stream sees it.
//
// It says of the erased record what a fold needs: what it was, and of the
// release or the receipt of a grant which one, so that this stays settled.
type EraseRecord struct {
	Authority  string     `json:"authority"` // that asks for it: a law, a request with its number
	Commitment Commitment `json:"commitment"`
	Grant      Digest     `json:"grant"`   // payload digest of the retrieval that a release or receipt is about; else zero
	Refused    bool       `json:"refused"` // the record is of a refusal
	Seconds    Digest     `json:"seconds"` // payload digest of the first one's statement; zero in his
	Sequence   uint64     `json:"sequence"`
	Stream     Stream     `json:"stream"`
	Was        Kind       `json:"was"` // the kind of its statement
}

func (*EraseRecord) Kind() Kind         { return KindEraseRecord }
func (*EraseRecord) NeedsPurpose() bool { return true }
func (a *EraseRecord) Subject() Subject {
	return Subject{Name: fmt.Sprintf("record %d of %s", a.Sequence, a.Stream)}
}

// Check implements Act.
func (a *EraseRecord) Check(*Statement) error {
	if err := checkLine("authority", a.Authority, true); err != nil {
		return err
	}
	if err := checkLine("was", string(a.Was), true); err != nil {
		return err
	}
	_, err := ParseStream(string(a.Stream))
	return err
}

// Erasable returns an Unlawful error when no record of what the act says may be
// erased. This is the list, and why each is on it: when it is gone, every later
// decision is the same. A refusal changes no fold. Of what was permitted:
//
//   - session.open, evidence.export, incident.export: no fold takes them in.
//   - evidence.verify: asks for a check, and is answered by the next one, which
//     has to be on record.
//   - evidence.receive: settles that a grant was confirmed. The order says which.
//   - evidence.release: settles what became of a grant. The order says which. Only
//     one that finished: what was broken off is for who reads the history.
//
// Everything else makes a fold what it is (people, rights, incidents, items,
// seals, checks, holds, disposals, orders of two). Erasures are never erased, nor
// what was refused of them: who destroys records does not do it unseen.
func (a *EraseRecord) Erasable() error {
	settles := !a.Refused && (a.Was == KindReleaseEvidence || a.Was == KindReceiveEvidence)
	switch {
	case a.Was == KindEraseRecord, a.Was == KindErasedRecord:
		return unlawful("the record of an erasure is never erased")
	case settles == a.Grant.IsZero():
		return unlawful("the order to erase a release or a receipt, and no other, names its grant")
	case a.Refused, settles, a.Was == KindOpenSession, a.Was == KindExportEvidence, a.Was == KindExportIncident,
		a.Was == KindVerifyEvidence:
		return nil
	}
	return unlawful("a permitted %s is never erased: later decisions depend on it", a.Was)
}

// Lawful implements Act.
func (a *EraseRecord) Lawful(v View, s *Statement) (Outcome, error) {
	out, err := a.resource(v, s)
	if err != nil {
		return out, err
	}
	orders, err := v.Erasures(a.Stream)
	if err != nil {
		return out, err
	}
	if _, ordered := orders.Of(a.Sequence); ordered {
		return out, unlawful("record %d of %s was ordered erased before", a.Sequence, a.Stream)
	}
	if err := a.mayOrder(v, s); err != nil {
		return out, err
	}
	if err := a.fits(v, s.Actor); err != nil {
		return out, err
	}
	return out, orders.motions.CheckIn(v, a.Motion(s))
}

// resource returns what the stream is about, and an Unlawful error when it is an
// item that has to stay as it is.
func (a *EraseRecord) resource(v View, s *Statement) (Outcome, error) {
	switch kind, id := a.Stream.Kind(), a.Stream.ID(); kind {
	case "evidence":
		item, out, err := ItemOf(v, EvidenceID(id))
		switch {
		case err != nil:
			return out, err
		case len(item.Holds) > 0:
			return out, unlawful("item %s is on legal hold by %s", id, item.Holds[0].Authority)
		case a.Was == KindVerifyEvidence && !a.Refused && item.CheckAsked:
			return out, unlawful("the check that was asked for is not on record yet")
		}
		return out, nil
	case "incident":
		_, out, err := caseOf(v, IncidentID(id))
		return out, err
	case "principal":
		_, err := PrincipalOf(v, PrincipalID(id))
		return Outcome{Stream: a.Stream, Resource: Resource{Type: "Principal", ID: id}}, err
	}
	_, err := v.State(a.Stream)
	return Outcome{Stream: a.Stream, Resource: Resource{Type: "Custody", ID: s.Audience}}, err
}

// unheld returns an Unlawful error when a statement is about an item that is on
// legal hold: whatever stream its record stands in.
func unheld(v View, said *Statement) error {
	id, err := ParseEvidenceID(said.Act.Subject().Name)
	if err != nil {
		return nil //nolint:nilerror // it is about something else
	}
	item, _, err := ItemOf(v, id)
	switch {
	case errors.Is(err, ErrUnknown):
		return nil
	case err != nil:
		return err
	case len(item.Holds) > 0:
		return unlawful("item %s is on legal hold by %s", id, item.Holds[0].Authority)
	}
	return nil
}

// mayOrder returns an Unlawful error unless the actor has a role of Erasers.
func (a *EraseRecord) mayOrder(v View, s *Statement) error {
	p, err := PrincipalOf(v, s.Actor)
	if err == nil && !slices.ContainsFunc(Erasers(), p.Has) {
		err = unlawful("%s holds none of the roles %q", s.Actor, Erasers())
	}
	return err
}

// fits returns an Unlawful error unless the record is what the act says of it,
// may be erased, and is another's than by's.
func (a *EraseRecord) fits(v View, by PrincipalID) error {
	r, said, c, err := v.Record(a.Stream, a.Sequence)
	if err != nil {
		return err
	}
	if err := unheld(v, said); err != nil {
		return err
	}
	var grant Digest
	switch act := said.Act.(type) {
	case *ReleaseEvidence:
		grant = act.Grant
		if r.Decision.Permit && act.Outcome != ReleaseFinished {
			return unlawful("the record of a release that did not finish is never erased")
		}
	case *ReceiveEvidence:
		grant = act.Grant
	}
	if !r.Decision.Permit {
		grant = Digest{}
	}
	switch {
	case c != a.Commitment, said.Kind != a.Was, r.Decision.Permit == a.Refused, grant != a.Grant:
		return unlawful("record %d of %s is not what the order says of it", a.Sequence, a.Stream)
	case said.Actor == by:
		return unlawful("nobody orders that what he said himself be erased")
	}
	state, err := v.State(a.Stream)
	if err != nil {
		return err
	}
	if item, ok := state.(*Evidence); ok && item.grants[grant] != nil && item.grants[grant].actor == by {
		return unlawful("nobody orders that what became of his own retrieval be erased")
	}
	return a.Erasable()
}

// Motion is what the statement moves or seconds.
func (a *EraseRecord) Motion(s *Statement) Motion {
	return Motion{
		By: s.Actor, Seconds: a.Seconds,
		What: fmt.Sprintf("erase record %d of %s, %s, %s %t %s, by %s", a.Sequence, a.Stream, a.Commitment, a.Was, a.Refused, a.Grant, a.Authority),
	}
}

// ErasedRecord is the service's certificate that a record is erased from its
// database: which, by whose order, how.
type ErasedRecord struct {
	Commitment Commitment `json:"commitment"`
	Method     string     `json:"method"` // what was done, in a line
	Order      Digest     `json:"order"`  // payload digest of the second EraseRecord
	Sequence   uint64     `json:"sequence"`
	Stream     Stream     `json:"stream"`
}

func (*ErasedRecord) Kind() Kind         { return KindErasedRecord }
func (*ErasedRecord) NeedsPurpose() bool { return false }
func (a *ErasedRecord) Subject() Subject {
	return Subject{Name: fmt.Sprintf("record %d of %s", a.Sequence, a.Stream)}
}

// Check implements Act.
func (a *ErasedRecord) Check(*Statement) error {
	if err := checkLine("method", a.Method, true); err != nil {
		return err
	}
	_, err := ParseStream(string(a.Stream))
	return err
}

// Lawful implements Act. While an item is on legal hold nothing of its stream is
// erased, whenever that was ordered.
func (a *ErasedRecord) Lawful(v View, s *Statement) (Outcome, error) {
	state, err := v.State(a.Stream)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Stream: a.Stream, Resource: Resource{Type: "Custody", ID: s.Audience}}
	orders, err := v.Erasures(a.Stream)
	if err != nil {
		return out, err
	}
	if item, ok := state.(*Evidence); ok && len(item.Holds) > 0 {
		return out, unlawful("the item is on legal hold by %s", item.Holds[0].Authority)
	}
	return out, orders.Certifies(a)
}

// Erasure is an order of two people that a record be erased, and how far it has
// come. Its Disposal.Done says that the service's certificate is on record.
type Erasure struct {
	Disposal
	Act    EraseRecord // of the second one
	Method string      // as certified
}

// Erasures is what a stream's records say of what of it is erased. The zero value
// is that of an empty stream.
type Erasures struct {
	motions Motions
	orders  map[uint64]Erasure // by sequence of the record
}

// Apply takes in the next record of the stream.
func (x *Erasures) Apply(r *Record, s *Statement) {
	if !r.Decision.Permit {
		return
	}
	switch act := s.Act.(type) {
	case *EraseRecord:
		if x.motions == nil {
			x.motions, x.orders = Motions{}, map[uint64]Erasure{}
		}
		if first, carried := x.motions.Apply(s.Payload, act.Motion(s), r.Recorded); carried {
			x.orders[act.Sequence] = Erasure{
				Disposal: Disposal{Order: s.Payload, First: first, Second: s.Actor, At: r.Recorded}, Act: *act,
			}
		}
	case *ErasedRecord:
		if o, ok := x.orders[act.Sequence]; ok && o.Order == act.Order {
			o.Done, o.Method = true, act.Method
			x.orders[act.Sequence] = o
		}
	}
}

// Of returns the order that the record at a place of the stream be erased.
func (x *Erasures) Of(sequence uint64) (Erasure, bool) {
	o, ok := x.orders[sequence]
	return o, ok
}

// Allows says whether the stream's records order the erasure of the record that
// stood at a place and had this commitment.
func (x *Erasures) Allows(sequence uint64, c Commitment) bool {
	o, ok := x.orders[sequence]
	return ok && o.Act.Commitment == c && o.Act.Erasable() == nil
}

// Check returns an Unlawful error when a statement that is recorded at a time
// orders an erasure that it cannot, going by the stream alone.
func (x *Erasures) Check(s *Statement, at Time) error {
	act, ok := s.Act.(*EraseRecord)
	if !ok {
		return nil
	}
	if _, ordered := x.orders[act.Sequence]; ordered {
		return unlawful("record %d of %s was ordered erased before", act.Sequence, act.Stream)
	}
	if err := x.motions.Check(act.Motion(s), at); err != nil {
		return err
	}
	return act.Erasable()
}

// Certifies returns an Unlawful error unless a certificate is of what two people
// ordered, and the first of it.
func (x *Erasures) Certifies(a *ErasedRecord) error {
	switch o, ok := x.orders[a.Sequence]; {
	case !ok || o.Order != a.Order || o.Act.Commitment != a.Commitment:
		return unlawful("no order %s to erase record %d of %s", a.Order, a.Sequence, a.Stream)
	case o.Done:
		return unlawful("that record %d of %s is erased is on record", a.Sequence, a.Stream)
	}
	return nil
}

// recall settles what an erased record had settled.
func (e *Evidence) recall(a *EraseRecord) {
	g := e.grants[a.Grant]
	if g == nil || a.Refused {
		return
	}
	switch a.Was {
	case KindReleaseEvidence:
		g.released, g.withheld = true, false // nobody knows any more that none was handed over
	case KindReceiveEvidence:
		g.received = true
	}
}

// Take is Apply for who knows no other kinds of statement than these: it passes
// over a record that is about something else.
func (x *Erasures) Take(r *Record) error {
	var said struct {
		PredicateType string `json:"predicateType"`
	}
	if !bytes.Contains(r.Envelope.Payload, []byte(predicateTypePrefix+string(KindEraseRecord))) {
		return nil // most are, and this costs nothing
	}
	if err := json.Unmarshal(r.Envelope.Payload, &said); err != nil {
		return err
	}
	words := Vocabulary{
		KindEraseRecord:  func() Act { return new(EraseRecord) },
		KindErasedRecord: func() Act { return new(ErasedRecord) },
	}
	for kind := range words {
		if said.PredicateType != predicateTypePrefix+string(kind)+predicateTypeSuffix {
			continue
		}
		s, err := r.Envelope.Statement(words)
		if err != nil {
			return err
		}
		x.Apply(r, s)
	}
	return nil
}
