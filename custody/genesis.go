package custody

import (
	"errors"
	"fmt"
	"maps"
)

// KindGenesis is the kind of the first record of all.
const KindGenesis Kind = "genesis"

// Genesis opens the log. It is signed by the service, which it brings into
// being as a principal, and opens the streams policy and incidents. The trust
// file holds the commitment of its record.
type Genesis struct {
	Key    []byte `json:"key"`    // the service's key, PKIX DER
	Log    string `json:"log"`    // verifier key of the log
	Policy string `json:"policy"` // text of the first policy

	Witnesses string `json:"witnesses,omitempty"` // the first witness policy, where there is one
}

func (*Genesis) Kind() Kind         { return KindGenesis }
func (*Genesis) NeedsPurpose() bool { return false }
func (a *Genesis) Subject() Subject { return Subject{Name: a.Log, SHA256: Hash([]byte(a.Log))} }

// Check implements Act.
func (a *Genesis) Check(s *Statement) error {
	key, err := ParsePublicKey(a.Key)
	if err != nil {
		return err
	}
	if s.Actor != "" || s.Signer != key.ID() {
		return errors.New("genesis has no actor and is signed by the key that it names")
	}
	v, err := parseLogKey(a.Log)
	if err != nil {
		return fmt.Errorf("log key: %w", err)
	}
	if v.Name() != s.Audience {
		return errors.New("the log's key does not bear the name of the audience")
	}
	if a.Witnesses == "" {
		return nil
	}
	p, err := ParseWitnessPolicy(a.Witnesses)
	if err == nil && len(p.Witnesses) == 0 {
		err = errors.New("a witness policy without witnesses is left out")
	}
	return err
}

// Lawful implements Act. Genesis follows nothing.
func (a *Genesis) Lawful(v View, s *Statement) (Outcome, error) {
	out := Outcome{
		Stream:   PolicyStream,
		Declares: []Stream{IncidentsStream, PolicyStream, NewPrincipalID(s.Payload).Stream()},
		Resource: Resource{Type: "Custody", ID: s.Audience},
	}
	if _, err := v.State(PolicyStream); !errors.Is(err, ErrUnknown) {
		return out, unlawful("the log has its genesis")
	}
	return out, nil
}

// Enrolment is what the policy stream says of a principal.
type Enrolment struct {
	ID      PrincipalID
	Name    string
	Title   string
	Contact string
	Key     PublicKey // the first key
	First   []Role    // roles that came with the enrolment
	At      Time
	By      PrincipalID // empty for the service and the first administrator
	further map[KeyID]PublicKey
}

// Policy is the fold of the policy stream. Since all enrolments stand in this one
// stream, of principals and of further keys, it can say whose a key is, and
// that it was never anybody else's.
type Policy struct {
	Origin      string
	Service     PrincipalID
	Log         string                // the log's first verifier key
	Successions []string              // by which its keys gave way, in order
	Text        string                // the policy in force
	Digest      Digest                // of Text
	Store       *ProveStore           // what the store of evidence was last proven to do; nil before the first start
	Witnesses   string                // the witness policy in force
	Adopted     []string              // all witness policies that were ever in force, in order
	Notices     map[string]NoticeTime // how the service last stood with a time-stamping authority, by its name; none before something changed
	Enrolments  map[PrincipalID]Enrolment
	holders     map[KeyID]PrincipalID
	motions     Motions
}

// NewPolicy returns the fold of an empty policy stream.
func NewPolicy() *Policy {
	return &Policy{Witnesses: NoWitnesses, Enrolments: map[PrincipalID]Enrolment{}, Notices: map[string]NoticeTime{}, holders: map[KeyID]PrincipalID{}, motions: Motions{}}
}

// PolicyOf returns the fold of the policy stream.
func PolicyOf(v View) (*Policy, error) { return stateOf[*Policy](v, PolicyStream) }

// people counts the principals other than the service.
func (p *Policy) people() int { return len(p.Enrolments) - 1 }

// HolderOf returns whom a key was enrolled for, as his first or a further one.
// That it was revoked, or he suspended, changes nothing.
func (p *Policy) HolderOf(id KeyID) (PrincipalID, bool) {
	holder, ok := p.holders[id]
	return holder, ok
}

// Apply implements State.
func (p *Policy) Apply(r *Record, s *Statement) error {
	if !r.Decision.Permit {
		return nil
	}
	id := NewPrincipalID(s.Payload)
	switch act := s.Act.(type) {
	case *Genesis:
		p.Origin, p.Service, p.Log = s.Audience, id, act.Log
		p.Text, p.Digest = act.Policy, Hash([]byte(act.Policy))
		if act.Witnesses != "" {
			p.adopt(act.Witnesses)
		}
		return p.enrol(Enrolment{ID: id, Name: "the service", Title: "service", Contact: s.Audience, First: []Role{RoleService}, At: r.Recorded}, act.Key)
	case *EnrolPrincipal:
		e := Enrolment{ID: id, Name: act.Name, Title: act.Title, Contact: act.Contact, At: r.Recorded, By: s.Actor}
		if s.Actor == "" {
			e.First = []Role{RoleAdministrator}
		}
		return p.enrol(e, act.Key)
	case *EnrolKey:
		return p.enrolFurther(s.Actor, act.Key)
	case *ProveStore:
		p.Store = act
	case *NoticeTime:
		p.Notices[act.Authority] = *act
	case *ReplaceLogKey:
		p.Successions = append(p.Successions, act.Succession)
	case *AdoptWitnesses:
		if _, carried := p.motions.Apply(s.Payload, act.Motion(s), r.Recorded); carried {
			p.adopt(act.Policy)
		}
	}
	return nil
}

func (p *Policy) adopt(witnesses string) {
	p.Witnesses, p.Adopted = witnesses, append(p.Adopted, witnesses)
}

func (p *Policy) enrol(e Enrolment, der []byte) error {
	key, err := p.hold(e.ID, der)
	if err != nil {
		return err
	}
	e.Key = key
	p.Enrolments[e.ID] = e
	return nil
}

// enrolFurther leaves the enrolment as it was to those who have it.
func (p *Policy) enrolFurther(id PrincipalID, der []byte) error {
	e, ok := p.Enrolments[id]
	if !ok {
		return fmt.Errorf("a further key of %s, who is not enrolled", id)
	}
	key, err := p.hold(id, der)
	if err != nil {
		return err
	}
	further := map[KeyID]PublicKey{key.ID(): key}
	maps.Copy(further, e.further)
	e.further = further
	p.Enrolments[id] = e
	return nil
}

// hold notes whose a key is, for ever.
func (p *Policy) hold(id PrincipalID, der []byte) (PublicKey, error) {
	key, err := ParsePublicKey(der)
	if err != nil {
		return PublicKey{}, err
	}
	if holder, ok := p.holders[key.ID()]; ok {
		return PublicKey{}, fmt.Errorf("key %s is enrolled for %s, though it is the key of %s", key.ID(), id, holder)
	}
	p.holders[key.ID()] = id
	return key, nil
}
