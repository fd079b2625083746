package investigate

import (
	"errors"
	"fmt"

	"github.com/forensic-custody/custody/custody"
)

// KindRota is the kind of statement that says who is on call.
const KindRota custody.Kind = "team.rota"

// Rota says who of the response team is on call from when to when. Its record
// belongs to the stream incidents: it is of no incident yet.
type Rota struct {
	From      custody.Time        `json:"from" help:"when it begins"`
	Principal custody.PrincipalID `json:"principal" help:"who"`
	To        custody.Time        `json:"to" help:"when it ends"`
}

// Kind implements custody.Act.
func (*Rota) Kind() custody.Kind { return KindRota }

// NeedsPurpose implements custody.Act.
func (*Rota) NeedsPurpose() bool { return false }

// Subject implements custody.Act.
func (a *Rota) Subject() custody.Subject { return custody.Subject{Name: string(a.Principal)} }

// Detail says in a line what a history tells of it.
func (a *Rota) Detail() string {
	return fmt.Sprintf("%s is on call from %s to %s", a.Principal, a.From, a.To)
}

// Check implements custody.Act.
func (a *Rota) Check(*custody.Statement) error {
	_, err := custody.ParsePrincipalID(string(a.Principal))
	return errors.Join(err, checkSpan(a.From, a.To, longestDuty))
}

// Lawful implements custody.Act.
func (a *Rota) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	out := custody.Outcome{Stream: custody.IncidentsStream, Resource: custody.Resource{Type: "Custody", ID: s.Audience}}
	p, err := custody.PrincipalOf(v, a.Principal)
	switch {
	case errors.Is(err, custody.ErrUnknown):
		return out, no("there is no principal %s", a.Principal)
	case err != nil:
		return out, err
	case p.Suspended || !p.Has(custody.RoleOnCall):
		return out, no("%s does not hold the role %s, or is suspended", a.Principal, custody.RoleOnCall)
	case a.To < s.Time:
		return out, no("who is on call is put on record before, not afterwards")
	}
	return out, p.Ready(custody.RoleOnCall, v.Now())
}

// OnDuty says whether somebody is on call at a time.
func (l *Incidents) OnDuty(p custody.PrincipalID, at custody.Time) bool {
	for _, d := range l.Rota {
		if d.Act.Principal == p && d.Act.From <= at && at < d.Act.To {
			return true
		}
	}
	return false
}

// Able returns the register with what is to come of the rota alone, by those who can
// take it as things stand: who was suspended since, or holds the role no more, or is not
// ready for it then, covers nothing. An error is the view's.
func (l *Incidents) Able(v custody.View) (*Incidents, error) {
	able := &Incidents{}
	known := map[custody.PrincipalID]custody.Principal{}
	for _, d := range l.Rota {
		if d.Act.To <= v.Now() {
			continue
		}
		p, ok := known[d.Act.Principal]
		if !ok {
			var err error
			if p, err = custody.PrincipalOf(v, d.Act.Principal); err != nil {
				return nil, err
			}
			known[d.Act.Principal] = p
		}
		if !p.Suspended && p.Has(custody.RoleOnCall) && p.Ready(custody.RoleOnCall, max(v.Now(), d.Act.From)) == nil {
			able.Rota = append(able.Rota, d)
		}
	}
	return able, nil
}

// Unmanned lists when nobody is on call between two times.
func (l *Incidents) Unmanned(from, to custody.Time) []Span {
	var covered []Span
	for _, d := range l.Rota {
		covered = append(covered, Span{d.Act.From, d.Act.To})
	}
	return gaps(Span{from, to}, covered)
}
