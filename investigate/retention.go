package investigate

import (
	"fmt"
	"slices"

	"github.com/forensic-custody/custody/custody"
)

// KindRetain is the kind of statement that says how long evidence is kept.
const KindRetain custody.Kind = "incident.retain"

// mostDays is the longest retention: 100 years.
const mostDays = 36525

// Retain says how many days items of an incident are kept from their seal on.
// It takes two people: the first one's statement has no effect until another's
// seconds it, within custody.MotionLife. Of what is said of a type and of all types the longest wins.
type Retain struct {
	Days     uint64             `json:"days"`
	Incident custody.IncidentID `json:"incident"`
	Seconds  custody.Digest     `json:"seconds"` // payload digest of the first one's statement; zero in his
	Type     string             `json:"type"`    // one of custody.ArtifactTypes; empty for all
}

// Kind implements custody.Act.
func (*Retain) Kind() custody.Kind { return KindRetain }

// NeedsPurpose implements custody.Act.
func (*Retain) NeedsPurpose() bool { return true }

// Subject implements custody.Act.
func (a *Retain) Subject() custody.Subject { return custody.Subject{Name: string(a.Incident)} }

// Detail says in a line what a history tells of it.
func (a *Retain) Detail() string {
	what, seconded := "items of every type", "without effect until another person says the same"
	if a.Type != "" {
		what = "items of type " + a.Type
	}
	if !a.Seconds.IsZero() {
		seconded = "the second of two people to say so"
	}
	return fmt.Sprintf("%s are kept for %d days; %s", what, a.Days, seconded)
}

// Check implements custody.Act.
func (a *Retain) Check(*custody.Statement) error {
	if a.Type != "" && !slices.Contains(custody.ArtifactTypes(), a.Type) {
		return fmt.Errorf("type %.40q is none of %q", a.Type, custody.ArtifactTypes())
	}
	if a.Days > mostDays {
		return fmt.Errorf("%d days; %d is the most", a.Days, mostDays)
	}
	_, err := custody.ParseIncidentID(string(a.Incident))
	return err
}

// Lawful implements custody.Act.
func (a *Retain) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := onIncident(v, a.Incident, s)
	if err != nil {
		return out, err
	}
	return out, i.motions.CheckIn(v, a.Motion(s))
}

// Motion is what the statement moves or seconds.
func (a *Retain) Motion(s *custody.Statement) custody.Motion {
	return custody.Motion{By: s.Actor, What: fmt.Sprintf("keep %q for %d days", a.Type, a.Days), Seconds: a.Seconds}
}

// Retention implements custody.Case.
func (i *Incident) Retention(kind string) uint64 {
	all, said := i.days[""]
	own, saidOwn := i.days[kind]
	if !said && !saidOwn {
		return custody.DefaultRetention
	}
	return max(all, own)
}
