package custody

import (
	"fmt"
	"slices"
)

// The kinds of statement about who is ready for a role.
const (
	KindQualifyPrincipal    Kind = "principal.qualify"
	KindDisqualifyPrincipal Kind = "principal.disqualify"
)

// Responders lists the roles that nobody has in an incident of whom it is not on
// record that he is ready: by training, experience and authority.
func Responders() []Role {
	return []Role{RoleOnCall, RoleIncidentManager, RoleForensicEngineer, RoleCommunications, RoleServiceExpert, RoleCustomerSupport, RoleExecutive}
}

// QualifyPrincipal puts on record that somebody is ready for a role, as far as who
// says so knows: another one, who answers for it.
type QualifyPrincipal struct {
	Apprenticeship string      `json:"apprenticeship,omitempty"` // of an incident manager: where, when and under whom
	Authority      string      `json:"authority"`                // by whom, or what, he has the role's authority
	Experience     string      `json:"experience"`
	Principal      PrincipalID `json:"principal"`
	Role           Role        `json:"role"` // one of Responders
	Training       string      `json:"training"`
	Until          Time        `json:"until"` // when it has to be said anew
}

func (*QualifyPrincipal) Kind() Kind         { return KindQualifyPrincipal }
func (*QualifyPrincipal) NeedsPurpose() bool { return false }
func (a *QualifyPrincipal) Subject() Subject { return Subject{Name: string(a.Principal)} }

// Detail says in a line what a history tells of it.
func (a *QualifyPrincipal) Detail() string {
	text := fmt.Sprintf("%s until %s: training: %s; experience: %s; authority: %s", a.Role, a.Until, a.Training, a.Experience, a.Authority)
	if a.Apprenticeship != "" {
		text += "; apprenticeship: " + a.Apprenticeship
	}
	return text
}

// Check implements Act.
func (a *QualifyPrincipal) Check(*Statement) error {
	if !slices.Contains(Responders(), a.Role) {
		if slices.Contains(Roles(), a.Role) {
			return fmt.Errorf("nobody has to be ready on record for role %s, but for one of %q", a.Role, Responders())
		}
		return fmt.Errorf("role %.40q is none of %q", a.Role, Responders())
	}
	for _, f := range []struct{ field, text string }{
		{"training", a.Training}, {"experience", a.Experience}, {"authority", a.Authority}, {"apprenticeship", a.Apprenticeship},
	} {
		if err := checkLine(f.field, f.text, false); err != nil {
			return err
		}
	}
	return checkPrincipal("principal", a.Principal)
}

// Lawful implements Act. A senior incident manager, or an executive, signs that
// somebody is ready; a new incident manager served an apprenticeship.
func (a *QualifyPrincipal) Lawful(v View, s *Statement) (Outcome, error) {
	_, out, err := onPrincipal(v, a.Principal)
	if err != nil {
		return out, err
	}
	by, err := PrincipalOf(v, s.Actor)
	manager := a.Role == RoleIncidentManager
	switch {
	case err != nil:
		return out, err
	case s.Actor == a.Principal:
		return out, unlawful("nobody says of himself that he is ready")
	case a.Training == "" || a.Experience == "" || a.Authority == "":
		return out, unlawful("somebody is ready for a role by training, experience and authority: say all three")
	case manager && a.Apprenticeship == "":
		return out, unlawful("an incident manager has served an apprenticeship: say where, when and under whom")
	case !by.mayQualify(v.Now()):
		return out, unlawful("that somebody is ready signs a senior one: an incident manager who is ready himself, or an executive")
	case a.Until <= v.Now():
		return out, unlawful("until %s is over", a.Until)
	}
	return out, nil
}

// DisqualifyPrincipal takes back, at once, that somebody is ready for a role.
type DisqualifyPrincipal struct {
	Principal PrincipalID `json:"principal"`
	Role      Role        `json:"role"`
}

func (*DisqualifyPrincipal) Kind() Kind         { return KindDisqualifyPrincipal }
func (*DisqualifyPrincipal) NeedsPurpose() bool { return true }
func (a *DisqualifyPrincipal) Subject() Subject { return Subject{Name: string(a.Principal)} }

// Detail says in a line what a history tells of it.
func (a *DisqualifyPrincipal) Detail() string { return string(a.Role) }

// Check implements Act.
func (a *DisqualifyPrincipal) Check(*Statement) error {
	return checkPrincipal("principal", a.Principal)
}

// Lawful implements Act. Who cannot say that somebody is ready does not take it back,
// but of himself.
func (a *DisqualifyPrincipal) Lawful(v View, s *Statement) (Outcome, error) {
	p, out, err := onPrincipal(v, a.Principal)
	if err != nil {
		return out, err
	}
	by, err := PrincipalOf(v, s.Actor)
	switch {
	case err != nil:
		return out, err
	case p.qualified[a.Role].Role == "":
		return out, unlawful("that %s is ready for the role %s is not on record", a.Principal, a.Role)
	case s.Actor != a.Principal && !by.mayQualify(v.Now()):
		return out, unlawful("that somebody is not ready any more signs a senior incident manager, who is ready himself, or an executive")
	}
	return out, nil
}

// mayQualify says whether somebody may say who is ready: an executive, or an incident
// manager who is ready himself.
func (p Principal) mayQualify(at Time) bool {
	return p.Has(RoleExecutive) || p.Has(RoleIncidentManager) && p.Ready(RoleIncidentManager, at) == nil
}

// Ready returns an Unlawful error unless somebody is ready for a role at a time: by
// a QualifyPrincipal, if the role is one of Responders.
func (p Principal) Ready(r Role, at Time) error {
	if !slices.Contains(Responders(), r) {
		return nil
	}
	switch q := p.qualified[r]; {
	case q.Role == "":
		return unlawful("that %s is ready for the role %s, by training, experience and authority, is not on record", p.ID, r)
	case q.Until < at:
		return unlawful("that %s is ready for the role %s has to be said anew since %s", p.ID, r, q.Until)
	}
	return nil
}

// Qualified returns what is on record of somebody's readiness, in order of role.
func (p Principal) Qualified() []QualifyPrincipal {
	list := []QualifyPrincipal{}
	for _, r := range Responders() {
		if q, ok := p.qualified[r]; ok {
			list = append(list, q)
		}
	}
	return list
}
