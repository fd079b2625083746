package custody

import (
	"errors"
	"fmt"
)

// KindSummariseRefusals is the kind of the statement about refusals.
const KindSummariseRefusals Kind = "refusals.summary"

// SummariseRefusals is the service's word on refusals of one principal that
// have no records of their own, because there were too many within an hour. Its
// record belongs to that principal's stream.
type SummariseRefusals struct {
	Count     uint64      `json:"count"`     // how many there were, at least one
	From      Time        `json:"from"`      // of the first of them
	Principal PrincipalID `json:"principal"` // who was refused
	Root      Digest      `json:"root"`      // Refusals.Root
	To        Time        `json:"to"`        // of the last of them
}

func (*SummariseRefusals) Kind() Kind         { return KindSummariseRefusals }
func (*SummariseRefusals) NeedsPurpose() bool { return false }
func (a *SummariseRefusals) Subject() Subject { return Subject{Name: string(a.Principal)} }

// Check implements Act.
func (a *SummariseRefusals) Check(s *Statement) error {
	switch {
	case a.Count == 0:
		return errors.New("count: there is nothing to summarise")
	case a.Root.IsZero():
		return errors.New("root is missing")
	case a.From > a.To || a.To > s.Time:
		return fmt.Errorf("from %s to %s is not a time before the statement's own", a.From, a.To)
	}
	return checkPrincipal("principal", a.Principal)
}

// Lawful implements Act. The same refusals are summarised once.
func (a *SummariseRefusals) Lawful(v View, _ *Statement) (Outcome, error) {
	p, err := PrincipalOf(v, a.Principal)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Stream: a.Principal.Stream(), Resource: Resource{Type: "Principal", ID: string(a.Principal)}}
	if p.summarised[a.Root] {
		return out, unlawful("a summary of these refusals is on record")
	}
	return out, nil
}

// Refusals adds up the refusals of one principal for a summary. However many
// there are, it keeps one hash for each level of their tree. The zero value is
// ready.
type Refusals struct {
	tree     hashTree
	from, to Time
}

// Add takes in the refusal at a time of the statement with this payload. The same
// statement refused twice counts twice.
func (r *Refusals) Add(payload Digest, at Time) {
	if r.tree.count == 0 {
		r.from = at
	}
	r.to = at
	r.tree.add(Hash(append(leafPrefix[:1:1], payload[:]...)))
}

// Since returns the time of the first refusal.
func (r *Refusals) Since() Time { return r.from }

// Root returns the Merkle tree hash of RFC 6962, section 2.1, over the payload
// digests, 32 bytes each, in order.
func (r *Refusals) Root() Digest { return r.tree.root() }

// Summary returns what is said of them.
func (r *Refusals) Summary(of PrincipalID) *SummariseRefusals {
	return &SummariseRefusals{Count: r.tree.count, From: r.from, Principal: of, Root: r.Root(), To: r.to}
}
