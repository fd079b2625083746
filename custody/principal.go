package custody

import (
	"errors"
	"fmt"
	"slices"
)

// Role is what a principal may be asked to do; policy says what each may do.
type Role string

// The roles. An administrator holds no other, so that who decides about rights
// has none over evidence.
const (
	RoleAdministrator    Role = "administrator"
	RoleOnCall           Role = "on-call"
	RoleIncidentManager  Role = "incident-manager"
	RoleForensicEngineer Role = "forensic-engineer"
	RoleCommunications   Role = "communications-manager"
	RoleServiceExpert    Role = "service-team-expert"
	RoleCustomerSupport  Role = "customer-support-engineer"
	RoleExecutive        Role = "executive-incident-manager"
	RoleLegalAdvisor     Role = "legal-advisor"
	RoleExternalAuditor  Role = "external-auditor"
	RoleServiceOwner     Role = "service-owner"
	RoleService          Role = "service" // the service's own, from genesis; never granted
)

// Roles lists the roles that can be granted.
func Roles() []Role {
	return []Role{
		RoleAdministrator, RoleOnCall, RoleIncidentManager, RoleForensicEngineer, RoleCommunications,
		RoleServiceExpert, RoleCustomerSupport, RoleExecutive, RoleLegalAdvisor, RoleExternalAuditor, RoleServiceOwner,
	}
}

// maxKeys bounds the keys that one principal ever has.
const maxKeys = 64

// Principal is somebody as of some heads: the enrolment, with all keys, from the
// policy stream, and what the principal's own stream says since.
type Principal struct {
	Enrolment
	*Standing
}

// PrincipalOf folds a principal, or returns ErrUnknown.
func PrincipalOf(v View, id PrincipalID) (Principal, error) {
	policy, err := stateOf[*Policy](v, PolicyStream)
	if err != nil {
		return Principal{}, err
	}
	e, ok := policy.Enrolments[id]
	if !ok {
		return Principal{}, ErrUnknown
	}
	s, err := stateOf[*Standing](v, id.Stream())
	if err != nil {
		return Principal{}, err
	}
	return Principal{e, s}, nil
}

// Has says whether the principal holds the role.
func (p Principal) Has(r Role) bool {
	if held, decided := p.roles[r]; decided {
		return held
	}
	return slices.Contains(p.First, r)
}

// Roles returns the roles held, sorted.
func (p Principal) Roles() []Role {
	held := []Role{}
	for _, r := range append(Roles(), RoleService) {
		if p.Has(r) {
			held = append(held, r)
		}
	}
	slices.Sort(held)
	return held
}

// Key returns the principal's key of that name if it is live.
func (p Principal) Key(id KeyID) (PublicKey, error) {
	if p.Suspended {
		return PublicKey{}, fmt.Errorf("principal %s is suspended", p.ID)
	}
	if p.revoked[id] {
		return PublicKey{}, fmt.Errorf("key %s of %s is revoked", id, p.ID)
	}
	if p.Enrolment.Key.ID() == id {
		return p.Enrolment.Key, nil
	}
	if k, ok := p.further[id]; ok {
		return k, nil
	}
	return PublicKey{}, fmt.Errorf("key %s is not one of %s", id, p.ID)
}

// Keys returns the names of all keys that are live, sorted.
func (p Principal) Keys() []KeyID {
	ids := []KeyID{}
	for id := range p.further {
		ids = append(ids, id)
	}
	ids = append(ids, p.Enrolment.Key.ID())
	ids = slices.DeleteFunc(ids, func(id KeyID) bool { return p.revoked[id] })
	slices.SortFunc(ids, func(a, b KeyID) int { return slices.Compare(a[:], b[:]) })
	return ids
}

// Standing is the fold of a principal's own stream: what came after enrolment.
type Standing struct {
	Suspended  bool
	roles      map[Role]bool // granted (true) or revoked (false) since enrolment
	revoked    map[KeyID]bool
	summarised map[Digest]bool // roots of refusals that a summary is on record of
	qualified  map[Role]QualifyPrincipal
}

// NewStanding returns the fold of an empty principal stream.
func NewStanding() *Standing {
	return &Standing{roles: map[Role]bool{}, revoked: map[KeyID]bool{}, summarised: map[Digest]bool{}, qualified: map[Role]QualifyPrincipal{}}
}

// Apply implements State.
func (s *Standing) Apply(r *Record, st *Statement) error {
	if !r.Decision.Permit {
		return nil
	}
	switch act := st.Act.(type) {
	case *GrantRole:
		s.roles[act.Role] = true
	case *RevokeRole:
		s.roles[act.Role] = false
	case *SuspendPrincipal:
		s.Suspended = true
	case *ReinstatePrincipal:
		s.Suspended = false
	case *RevokeKey:
		s.revoked[act.Key] = true
	case *QualifyPrincipal:
		s.qualified[act.Role] = *act
	case *DisqualifyPrincipal:
		delete(s.qualified, act.Role)
	case *SummariseRefusals:
		s.summarised[act.Root] = true
	}
	return nil
}

// The kinds of statement about principals.
const (
	KindEnrolPrincipal     Kind = "principal.enrol"
	KindSuspendPrincipal   Kind = "principal.suspend"
	KindReinstatePrincipal Kind = "principal.reinstate"
	KindGrantRole          Kind = "role.grant"
	KindRevokeRole         Kind = "role.revoke"
	KindEnrolKey           Kind = "key.enrol"
	KindRevokeKey          Kind = "key.revoke"
	KindOpenSession        Kind = "session.open"
)

// EnrolPrincipal brings a principal into being, with a first key. It is signed
// by an administrator; the very first is signed by the new key itself, has no
// actor, and makes an administrator.
type EnrolPrincipal struct {
	Contact    string `json:"contact"` // where to reach the person: a number or an address
	Key        []byte `json:"key"`     // PKIX DER
	Name       string `json:"name"`
	Possession []byte `json:"possession"` // signature by the new key: ProvePossession(audience, name)
	Title      string `json:"title"`
}

func (*EnrolPrincipal) Kind() Kind         { return KindEnrolPrincipal }
func (*EnrolPrincipal) NeedsPurpose() bool { return false }
func (a *EnrolPrincipal) Subject() Subject { return Subject{Name: a.Name, SHA256: Hash(a.Key)} }

// Check implements Act.
func (a *EnrolPrincipal) Check(s *Statement) error {
	for _, f := range []struct{ field, text string }{{"name", a.Name}, {"title", a.Title}, {"contact", a.Contact}} {
		if err := checkLine(f.field, f.text, true); err != nil {
			return err
		}
	}
	key, err := ParsePublicKey(a.Key)
	if err != nil {
		return err
	}
	if s.Actor == "" && s.Signer != key.ID() {
		return errors.New("an enrolment without an actor is signed by the key that it enrols")
	}
	return checkPossession(key, s.Audience, a.Name, a.Possession)
}

// Lawful implements Act.
func (a *EnrolPrincipal) Lawful(v View, s *Statement) (Outcome, error) {
	policy, err := stateOf[*Policy](v, PolicyStream)
	if err != nil {
		return Outcome{}, err
	}
	id := NewPrincipalID(s.Payload)
	out := Outcome{
		Stream:   PolicyStream,
		Declares: []Stream{id.Stream()},
		Resource: Resource{Type: "Principal", ID: string(id)},
	}
	if s.Actor == "" && policy.people() > 0 {
		return out, unlawful("only the first enrolment is signed by the key that it enrols")
	}
	if holder, ok := policy.HolderOf(Hash(a.Key)); ok {
		return out, unlawful("this key is already enrolled, for %s", holder)
	}
	if _, ok := policy.Enrolments[id]; ok {
		return out, unlawful("principal %s exists", id)
	}
	return out, nil
}

// onPrincipal is the part that acts upon another principal share.
func onPrincipal(v View, target PrincipalID) (Principal, Outcome, error) {
	p, err := PrincipalOf(v, target)
	if err != nil {
		return p, Outcome{}, err
	}
	out := Outcome{Stream: target.Stream(), Resource: Resource{Type: "Principal", ID: string(target)}}
	if p.Has(RoleService) {
		return p, out, unlawful("the service's own identity is not changed like a person's")
	}
	return p, out, nil
}

func checkPrincipal(field string, id PrincipalID) error {
	if _, err := ParsePrincipalID(string(id)); err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	return nil
}

// GrantRole gives a principal a role.
type GrantRole struct {
	Principal PrincipalID `json:"principal"`
	Role      Role        `json:"role"`
}

func (*GrantRole) Kind() Kind         { return KindGrantRole }
func (*GrantRole) NeedsPurpose() bool { return false }
func (a *GrantRole) Subject() Subject { return Subject{Name: string(a.Principal)} }

// Check implements Act.
func (a *GrantRole) Check(*Statement) error {
	if !slices.Contains(Roles(), a.Role) {
		return fmt.Errorf("role %.40q is none of %q", a.Role, Roles())
	}
	return checkPrincipal("principal", a.Principal)
}

// Lawful implements Act.
func (a *GrantRole) Lawful(v View, s *Statement) (Outcome, error) {
	p, out, err := onPrincipal(v, a.Principal)
	if err != nil {
		return out, err
	}
	held := p.Roles()
	switch {
	case s.Actor == a.Principal:
		return out, unlawful("nobody grants a role to himself")
	case p.Has(a.Role):
		return out, unlawful("%s holds the role %s already", a.Principal, a.Role)
	case p.Has(RoleAdministrator), a.Role == RoleAdministrator && len(held) > 0:
		return out, unlawful("an administrator holds no other role, so that who decides about rights has none over evidence")
	}
	return out, nil
}

// RevokeRole takes a role from a principal, at once.
type RevokeRole struct {
	Principal PrincipalID `json:"principal"`
	Role      Role        `json:"role"`
}

func (*RevokeRole) Kind() Kind         { return KindRevokeRole }
func (*RevokeRole) NeedsPurpose() bool { return false }
func (a *RevokeRole) Subject() Subject { return Subject{Name: string(a.Principal)} }

// Check implements Act.
func (a *RevokeRole) Check(*Statement) error { return checkPrincipal("principal", a.Principal) }

// Lawful implements Act. An administrator is made to step down by another one,
// so that there always is one left.
func (a *RevokeRole) Lawful(v View, s *Statement) (Outcome, error) {
	p, out, err := onPrincipal(v, a.Principal)
	switch {
	case err != nil:
		return out, err
	case !p.Has(a.Role):
		return out, unlawful("%s does not hold the role %s", a.Principal, a.Role)
	case a.Role == RoleAdministrator && s.Actor == a.Principal:
		return out, unlawful("an administrator does not step down by himself: another one has to remain")
	}
	return out, nil
}

// SuspendPrincipal makes all keys of a principal unusable, at once, until
// ReinstatePrincipal. What was signed before stays valid.
type SuspendPrincipal struct {
	Principal PrincipalID `json:"principal"`
}

func (*SuspendPrincipal) Kind() Kind         { return KindSuspendPrincipal }
func (*SuspendPrincipal) NeedsPurpose() bool { return true }
func (a *SuspendPrincipal) Subject() Subject { return Subject{Name: string(a.Principal)} }

// Check implements Act.
func (a *SuspendPrincipal) Check(*Statement) error { return checkPrincipal("principal", a.Principal) }

// Lawful implements Act.
func (a *SuspendPrincipal) Lawful(v View, s *Statement) (Outcome, error) {
	p, out, err := onPrincipal(v, a.Principal)
	switch {
	case err != nil:
		return out, err
	case p.Suspended:
		return out, unlawful("%s is suspended already", a.Principal)
	case s.Actor == a.Principal:
		return out, unlawful("nobody suspends himself: an administrator has to remain")
	}
	return out, nil
}

// ReinstatePrincipal ends a suspension.
type ReinstatePrincipal struct {
	Principal PrincipalID `json:"principal"`
}

func (*ReinstatePrincipal) Kind() Kind         { return KindReinstatePrincipal }
func (*ReinstatePrincipal) NeedsPurpose() bool { return true }
func (a *ReinstatePrincipal) Subject() Subject { return Subject{Name: string(a.Principal)} }

// Check implements Act.
func (a *ReinstatePrincipal) Check(*Statement) error {
	return checkPrincipal("principal", a.Principal)
}

// Lawful implements Act.
func (a *ReinstatePrincipal) Lawful(v View, _ *Statement) (Outcome, error) {
	p, out, err := onPrincipal(v, a.Principal)
	if err == nil && !p.Suspended {
		err = unlawful("%s is not suspended", a.Principal)
	}
	return out, err
}

// EnrolKey adds a key to the actor's own. It is signed by a live one, and the
// new key proves that the actor has it. A key is one principal's for ever: its
// record stands in the policy stream, beside all other enrolments, which is in the
// basis of every decision.
type EnrolKey struct {
	Key        []byte `json:"key"`        // PKIX DER
	Possession []byte `json:"possession"` // signature by the new key: ProvePossession(audience, actor)
}

func (*EnrolKey) Kind() Kind         { return KindEnrolKey }
func (*EnrolKey) NeedsPurpose() bool { return false }
func (a *EnrolKey) Subject() Subject {
	return Subject{Name: "key " + Hash(a.Key).String(), SHA256: Hash(a.Key)}
}

// Check implements Act.
func (a *EnrolKey) Check(s *Statement) error {
	key, err := ParsePublicKey(a.Key)
	if err != nil {
		return err
	}
	if s.Signer == key.ID() {
		return errors.New("a further key is signed by a live one, not by itself")
	}
	return checkPossession(key, s.Audience, string(s.Actor), a.Possession)
}

// Lawful implements Act. The service changes its key as people do.
func (a *EnrolKey) Lawful(v View, s *Statement) (Outcome, error) {
	p, err := PrincipalOf(v, s.Actor)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Stream: PolicyStream, Resource: Resource{Type: "Principal", ID: string(s.Actor)}}
	policy, err := stateOf[*Policy](v, PolicyStream)
	if err != nil {
		return out, err
	}
	_, enrolled := policy.HolderOf(Hash(a.Key))
	switch {
	case enrolled:
		return out, unlawful("this key was enrolled before")
	case len(p.further) >= maxKeys:
		return out, unlawful("%s has had %d keys; that is the most", s.Actor, maxKeys)
	}
	return out, nil
}

// RevokeKey makes a key unusable, at once. What it signed before stays valid. A key
// of the service is revoked by the service, with another of its keys.
type RevokeKey struct {
	Key       KeyID       `json:"key"`
	Principal PrincipalID `json:"principal"`
}

func (*RevokeKey) Kind() Kind         { return KindRevokeKey }
func (*RevokeKey) NeedsPurpose() bool { return true }
func (a *RevokeKey) Subject() Subject { return Subject{Name: string(a.Principal)} }

// Check implements Act.
func (a *RevokeKey) Check(*Statement) error { return checkPrincipal("principal", a.Principal) }

// Lawful implements Act.
func (a *RevokeKey) Lawful(v View, s *Statement) (Outcome, error) {
	p, err := PrincipalOf(v, a.Principal)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Stream: a.Principal.Stream(), Resource: Resource{Type: "Principal", ID: string(a.Principal)}}
	_, further := p.further[a.Key]
	switch {
	case p.Has(RoleService) && s.Actor != a.Principal:
		return out, unlawful("the service revokes its keys itself")
	case p.Has(RoleService) && s.Signer == a.Key:
		return out, unlawful("the service revokes a key with the one that takes its place")
	case p.Enrolment.Key.ID() != a.Key && !further:
		return out, unlawful("key %s is not one of %s", a.Key, a.Principal)
	case p.revoked[a.Key]:
		return out, unlawful("key %s is revoked already", a.Key)
	case s.Actor == a.Principal && p.Has(RoleAdministrator) && len(p.Keys()) == 1:
		return out, unlawful("an administrator does not revoke his last key: enrol another, or let another administrator do it")
	}
	return out, nil
}

// OpenSession opens a session for reading. It stands on record for all the
// ordinary reading done in it.
type OpenSession struct {
	Client string `json:"client"` // the program that the actor uses
}

func (*OpenSession) Kind() Kind         { return KindOpenSession }
func (*OpenSession) NeedsPurpose() bool { return false }
func (a *OpenSession) Subject() Subject { return Subject{Name: "session of " + a.Client} }

// Check implements Act.
func (a *OpenSession) Check(*Statement) error { return checkLine("client", a.Client, true) }

// Lawful implements Act.
func (a *OpenSession) Lawful(v View, s *Statement) (Outcome, error) {
	if _, err := PrincipalOf(v, s.Actor); err != nil {
		return Outcome{}, err
	}
	return Outcome{Stream: s.Actor.Stream(), Resource: Resource{Type: "Principal", ID: string(s.Actor)}}, nil
}
