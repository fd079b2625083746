package investigate_test

import (
	"cmp"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/custody/policy"
	"github.com/forensic-custody/custody/investigate"
)

// hidden is the whole answer to whom policy permits nothing.
const hidden = "not permitted, or no such thing"

// A troupe is twelve people with a role each, an administrator and somebody with
// none, and an incident that is open and has a team.
type troupe struct {
	*guardtest.World
	t        *testing.T
	people   map[string]*guardtest.Person
	incident custody.IncidentID
	on       investigate.On
	last     custody.Digest // payload digest of what was said last
	version  uint64         // of the stages; 0: the newest
}

// parts are who there is, by the role that each holds in the service.
var parts = []struct {
	name  string
	roles []custody.Role
}{
	{"ada", nil}, // the administrator
	{"exa", []custody.Role{custody.RoleExecutive}},
	{"lena", []custody.Role{custody.RoleIncidentManager}},
	{"mia", []custody.Role{custody.RoleIncidentManager, custody.RoleOnCall}},
	{"olga", []custody.Role{custody.RoleOnCall}},
	{"emil", []custody.Role{custody.RoleForensicEngineer}},
	{"fay", []custody.Role{custody.RoleForensicEngineer}},
	{"carl", []custody.Role{custody.RoleCommunications}},
	{"stef", []custody.Role{custody.RoleServiceExpert}},
	{"owen", []custody.Role{custody.RoleServiceOwner}},
	{"cleo", []custody.Role{custody.RoleCustomerSupport}},
	{"lex", []custody.Role{custody.RoleLegalAdvisor}},
	{"aude", []custody.Role{custody.RoleExternalAuditor}},
	{"nina", nil}, // an employee
}

// newTroupe lets people be enrolled under the default policy, and none be ready.
func newTroupe(t *testing.T) *troupe {
	t.Helper()
	w, err := guardtest.New(t.Context(), guardtest.Setup{
		Origin: "custody.example/test", Seed: 11, Policy: policy.Default,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	c := &troupe{World: w, t: t, people: map[string]*guardtest.Person{}}
	for _, p := range parts {
		c.people[p.name], err = w.Person(p.name)
		require.NoError(t, err)
		require.NoError(t, c.people["ada"].Enrols(t.Context(), c.people[p.name], p.roles...))
	}
	return c
}

// ready puts on record that everybody is ready for his roles, and who is on call.
func (c *troupe) ready() *troupe {
	c.t.Helper()
	manager := &custody.QualifyPrincipal{
		Principal: c.id("lena"), Role: custody.RoleIncidentManager, Training: "t", Experience: "e", Authority: "a",
		Apprenticeship: "2025 under Exa", Until: c.in(9000 * time.Hour),
	}
	c.does("exa", manager)
	for _, p := range parts {
		for _, r := range p.roles {
			q := *manager
			q.Principal, q.Role, q.Apprenticeship = c.id(p.name), r, ""
			if r == custody.RoleIncidentManager {
				q.Apprenticeship = "2025 under Lena"
			}
			if p.name != "lena" && c.responds(r) {
				c.does("lena", &q)
			}
		}
	}
	c.does("lena", &investigate.Rota{From: c.in(-time.Hour), Principal: c.id("olga"), To: c.in(100 * time.Hour)})
	return c
}

func (c *troupe) responds(r custody.Role) bool {
	for _, x := range custody.Responders() {
		if x == r {
			return true
		}
	}
	return false
}

// opened opens the incident, by an employee, and gives it its team.
func (c *troupe) opened() *troupe {
	c.t.Helper()
	c.does("nina", &investigate.Open{Class: investigate.Security, DetectedAt: c.in(-time.Hour), Title: "a login from two countries at once"})
	c.incident = custody.NewIncidentID(c.last)
	c.on = investigate.On{Incident: c.incident}
	for _, p := range parts {
		if p.name != "ada" && p.name != "nina" && p.name != "lena" && p.name != "aude" {
			c.does("lena", &investigate.Assign{Incident: c.incident, Principal: c.id(p.name)})
		}
	}
	c.does("olga", &investigate.Assign{Incident: c.incident, Principal: c.id("lena")})
	return c
}

// staffed gives the incident its roles.
func (c *troupe) staffed() *troupe {
	c.t.Helper()
	c.does("lena", c.appoint("olga", custody.RoleOnCall))
	c.does("olga", c.appoint("lena", custody.RoleIncidentManager))
	for _, p := range []struct {
		name string
		role custody.Role
	}{
		{"exa", custody.RoleExecutive}, {"emil", custody.RoleForensicEngineer}, {"fay", custody.RoleForensicEngineer},
		{"carl", custody.RoleCommunications}, {"cleo", custody.RoleCustomerSupport}, {"lex", custody.RoleLegalAdvisor},
	} {
		c.does("lena", c.appoint(p.name, p.role))
	}
	for name, role := range map[string]custody.Role{"stef": custody.RoleServiceExpert, "owen": custody.RoleServiceOwner} {
		a := c.appoint(name, role)
		a.Service = "mail"
		c.does("lena", a)
	}
	return c
}

func (c *troupe) id(name string) custody.PrincipalID { return c.people[name].ID }

// in returns the time so much from now.
func (c *troupe) in(d time.Duration) custody.Time { return custody.TimeOf(c.Now()).Add(d) }

// now is when something happened that is said now.
func (c *troupe) now() investigate.Happened { return investigate.Happened{At: c.in(0)} }

func (c *troupe) appoint(name string, r custody.Role) *investigate.Appoint {
	return &investigate.Appoint{On: c.on, Happened: c.now(), Principal: c.id(name), Role: r}
}

func (c *troupe) move(stage string) *investigate.Move {
	return &investigate.Move{On: c.on, Happened: c.now(), Definition: cmp.Or(c.version, investigate.Newest().Version), Stage: stage}
}

// does lets somebody do what is permitted.
func (c *troupe) does(who string, act custody.Act) custody.Digest {
	c.t.Helper()
	c.tries(who, act, "")
	return c.last
}

// tries lets somebody do something, and asks for the refusal that is on record by its
// reason; "" for none.
func (c *troupe) tries(who string, act custody.Act, why string) {
	c.t.Helper()
	raw, err := c.people[who].Sign("because", act)
	require.NoError(c.t, err)
	c.last = guardtest.PayloadOf(raw)
	a, err := c.Admit(c.t.Context(), raw, "")
	require.NoError(c.t, err, "%s, %s", who, act.Kind())
	require.Equal(c.t, why == "", a.Permit, "%s, %s: %s", who, act.Kind(), a.Reason)
	r, err := custody.ParseRecord(a.Record)
	require.NoError(c.t, err)
	require.Equal(c.t, why == "", r.Decision.Permit, "what is answered is on record")
	require.Contains(c.t, r.Decision.Reason, why)
}

// malformed lets somebody say what is no statement.
func (c *troupe) malformed(who string, act custody.Act, why string) {
	c.t.Helper()
	raw, err := c.people[who].Sign("because", act)
	require.NoError(c.t, err)
	_, err = c.Admit(c.t.Context(), raw, "")
	require.ErrorContains(c.t, err, why)
}

// reads calls do with the incident's fold, for somebody's session.
func (c *troupe) reads(do func(custody.View, *investigate.Incident)) {
	c.t.Helper()
	a, err := c.people["lena"].Does(c.t.Context(), "", &custody.OpenSession{Client: "a test"})
	require.NoError(c.t, err)
	require.NoError(c.t, c.Read(c.t.Context(), a.Token, func(r *guard.Reader) error {
		state, err := r.View().State(c.incident.Stream())
		if err != nil {
			return err
		}
		i, ok := state.(*investigate.Incident)
		if !ok {
			return errors.New("no incident")
		}
		do(r.View(), i)
		return nil
	}))
}

// TestReadiness: nobody has a role in an incident of whom it is not on record that he
// is ready for it (WP-14, WP-118 to WP-120).
func TestReadiness(t *testing.T) {
	c := newTroupe(t)
	q := custody.QualifyPrincipal{
		Principal: c.id("lena"), Role: custody.RoleIncidentManager, Training: "course", Experience: "years", Authority: "the board",
		Apprenticeship: "2025 under Exa", Until: c.in(1000 * time.Hour),
	}
	with := func(change func(*custody.QualifyPrincipal)) *custody.QualifyPrincipal {
		x := q
		change(&x)
		return &x
	}
	c.tries("lena", &q, "nobody says of himself")
	c.tries("mia", &q, "signs a senior")
	c.tries("emil", &q, hidden)
	c.tries("exa", with(func(x *custody.QualifyPrincipal) { x.Training = "" }), "say all three")
	c.tries("exa", with(func(x *custody.QualifyPrincipal) { x.Experience = "" }), "say all three")
	c.tries("exa", with(func(x *custody.QualifyPrincipal) { x.Authority = "" }), "say all three")
	c.tries("exa", with(func(x *custody.QualifyPrincipal) { x.Apprenticeship = "" }), "served an apprenticeship")
	c.tries("exa", with(func(x *custody.QualifyPrincipal) { x.Until = c.in(-time.Hour) }), "is over")
	c.malformed("exa", with(func(x *custody.QualifyPrincipal) { x.Role = custody.RoleLegalAdvisor }), "nobody has to be ready")
	// An apprentice answers for nobody, and takes nobody's readiness from him.
	c.tries("mia", with(func(x *custody.QualifyPrincipal) {
		x.Principal, x.Role, x.Apprenticeship = c.id("olga"), custody.RoleOnCall, ""
	}), "signs a senior")
	rota := func() *investigate.Rota {
		return &investigate.Rota{From: c.in(-time.Hour), Principal: c.id("olga"), To: c.in(50 * time.Hour)}
	}
	c.tries("lena", rota(), "is not on record")
	c.does("exa", &q)
	c.does("lena", with(func(x *custody.QualifyPrincipal) {
		x.Principal, x.Role, x.Apprenticeship = c.id("olga"), custody.RoleOnCall, ""
	}))
	c.does("lena", with(func(x *custody.QualifyPrincipal) { x.Principal = c.id("mia") }))
	c.does("exa", with(func(x *custody.QualifyPrincipal) {
		x.Principal, x.Role, x.Apprenticeship = c.id("fay"), custody.RoleForensicEngineer, ""
	}))
	c.does("ada", &custody.GrantRole{Principal: c.id("nina"), Role: custody.RoleIncidentManager})
	c.tries("nina", &custody.DisqualifyPrincipal{Principal: c.id("fay"), Role: custody.RoleForensicEngineer}, "not ready any more signs a senior")
	c.does("ada", &custody.RevokeRole{Principal: c.id("nina"), Role: custody.RoleIncidentManager})
	c.tries("olga", rota(), hidden)
	c.does("lena", rota())
	c.tries("lena", &investigate.Rota{From: c.in(-time.Hour), Principal: c.id("emil"), To: c.in(time.Hour)}, "does not hold the role")

	c.opened()
	c.does("lena", c.appoint("olga", custody.RoleOnCall))
	c.does("olga", c.appoint("lena", custody.RoleIncidentManager))
	c.tries("lena", c.appoint("emil", custody.RoleForensicEngineer), "is not on record")
	shadow := c.appoint("emil", custody.RoleForensicEngineer)
	shadow.Shadow = true
	c.does("lena", shadow)
	c.tries("emil", &investigate.Containment{On: c.on, Happened: c.now(), How: "x", Risk: investigate.RiskBusiness}, "that is for the stages")
	c.does("lena", &custody.DisqualifyPrincipal{Principal: c.id("mia"), Role: custody.RoleIncidentManager})
	c.tries("lena", &custody.DisqualifyPrincipal{Principal: c.id("mia"), Role: custody.RoleIncidentManager}, "is not on record")
	c.tries("lena", &investigate.HandOver{On: c.on, Happened: c.now(), From: c.id("lena"), To: c.id("mia"), Role: custody.RoleIncidentManager}, "is not on record")
}

// TestTheRota: who is on call is known beforehand, and a time without anybody shows
// (WP-30, WP-31).
func TestTheRota(t *testing.T) {
	l := &investigate.Incidents{}
	at := func(h int) custody.Time { return custody.Time(0).Add(time.Duration(h) * time.Hour) }
	for _, d := range [][2]int{{10, 20}, {0, 10}, {22, 30}, {25, 28}} {
		apply(t, l, &investigate.Rota{From: at(d[0]), Principal: person(1), To: at(d[1])})
	}
	require.Equal(t, []investigate.Span{{From: at(20), To: at(22)}, {From: at(30), To: at(40)}}, l.Unmanned(at(0), at(40)))
	require.Equal(t, []investigate.Span{{From: at(20), To: at(21)}}, l.Unmanned(at(5), at(21)))
	require.Empty(t, l.Unmanned(at(1), at(20)))
	require.True(t, l.OnDuty(person(1), at(19)))
	require.False(t, l.OnDuty(person(1), at(20)))
	require.False(t, l.OnDuty(person(2), at(19)))
}

// TestRoles: predefined, handed over in one act, and one manager at a time (WP-24,
// WP-29 to WP-38, WP-71, WP-75).
func TestRoles(t *testing.T) {
	c := newTroupe(t).ready().opened()
	c.tries("emil", c.appoint("olga", custody.RoleOnCall), "") // whoever is of the team calls in whom the rota names
	c.tries("lena", c.appoint("mia", custody.RoleOnCall), "is not on the rota")
	instead := c.appoint("mia", custody.RoleOnCall)
	instead.Instead = "she is nearer"
	c.tries("lena", instead, "one hands over")
	c.tries("lena", c.appoint("lena", custody.RoleIncidentManager), "nobody appoints himself")
	c.tries("emil", c.appoint("lena", custody.RoleIncidentManager), "none of the roles")
	c.tries("lena", c.appoint("emil", custody.RoleForensicEngineer), "appoint one first")
	c.tries("olga", c.move(investigate.StageAssess), "where the first indication came from")
	c.tries("olga", c.appoint("emil", custody.RoleIncidentManager), "does not hold the role")
	c.does("olga", c.appoint("lena", custody.RoleIncidentManager))
	c.tries("olga", c.appoint("mia", custody.RoleIncidentManager), "one hands over")
	c.does("lena", c.appoint("emil", custody.RoleForensicEngineer))
	c.tries("lena", c.appoint("emil", custody.RoleForensicEngineer), "already")
	c.tries("lena", c.appoint("nina", custody.RoleForensicEngineer), "is not assigned")
	c.tries("lena", c.appoint("stef", custody.RoleServiceExpert), "say of which")
	c.tries("olga", c.appoint("fay", custody.RoleForensicEngineer), "alone decides")
	c.malformed("lena", c.appoint("ada", custody.RoleAdministrator), "is none of")

	// The manager says who is of the team (WP-34, WP-36).
	c.tries("mia", &investigate.Unassign{Incident: c.incident, Principal: c.id("fay")}, "alone decides")
	c.tries("mia", &investigate.Assign{Incident: c.incident, Principal: c.id("nina")}, "alone decides")
	c.tries("lena", &investigate.Unassign{Incident: c.incident, Principal: c.id("emil")}, "hand that over")
	c.does("lena", &investigate.Unassign{Incident: c.incident, Principal: c.id("fay")})

	hand := func(from, to string, r custody.Role) *investigate.HandOver {
		return &investigate.HandOver{On: c.on, Happened: c.now(), From: c.id(from), To: c.id(to), Role: r}
	}
	c.tries("mia", hand("lena", "mia", custody.RoleIncidentManager), "hands over himself")
	c.tries("lena", hand("lena", "olga", custody.RoleIncidentManager), "does not hold the role")
	c.tries("lena", hand("mia", "lena", custody.RoleIncidentManager), "is not incident-manager")
	c.tries("lena", &investigate.Discharge{On: c.on, Happened: c.now(), Principal: c.id("lena"), Role: custody.RoleIncidentManager}, "always has a manager")
	c.does("lena", hand("lena", "mia", custody.RoleIncidentManager))
	c.tries("lena", c.appoint("cleo", custody.RoleCustomerSupport), "alone decides")
	c.does("mia", &investigate.Discharge{On: c.on, Happened: c.now(), Principal: c.id("emil"), Role: custody.RoleForensicEngineer})
	c.tries("mia", &investigate.Discharge{On: c.on, Happened: c.now(), Principal: c.id("emil"), Role: custody.RoleForensicEngineer}, "is not forensic-engineer")
	c.reads(func(_ custody.View, i *investigate.Incident) {
		managers := 0
		for _, h := range i.Holders {
			if h.Role == custody.RoleIncidentManager {
				managers++
			}
		}
		require.Equal(t, 2, managers)
		first, second := i.Holders[1], i.Holders[3]
		require.Equal(t, c.id("lena"), first.Principal)
		require.Equal(t, c.id("mia"), second.Principal)
		require.Equal(t, first.Until, second.From, "no moment without a manager")
	})
	// Who is called in without being on the rota is called in for a reason.
	c.does("mia", &investigate.Discharge{On: c.on, Happened: c.now(), Principal: c.id("olga"), Role: custody.RoleOnCall})
	another := c.appoint("mia", custody.RoleOnCall)
	c.tries("lena", another, "is not on the rota")
	another.Instead = "Olga is ill"
	c.does("lena", another)
}

// TestStages: the five, in order of first entry; back and forth between Diagnose and
// Stabilize; and back otherwise by an exception only (WP-53, WP-55, WP-56, WP-62,
// WP-66 to WP-71).
func TestStages(t *testing.T) {
	c := newTroupe(t).ready().opened()
	detection := &investigate.Detection{
		On: c.on, Happened: investigate.Happened{At: c.in(-2 * time.Hour)}, Properties: []string{"confidentiality"}, Reference: "alarm 4711", Source: "monitoring-signature",
	}
	c.tries("nina", detection, hidden)
	nothing := *detection
	nothing.Properties = []string{}
	c.tries("olga", &nothing, "say what is at risk")
	nowhere := *detection
	nowhere.Source = "a dream"
	c.malformed("olga", &nowhere, "is none of")
	future := *detection
	future.At = c.in(time.Hour)
	c.malformed("olga", &future, "what has not happened")
	c.tries("olga", c.move(investigate.StageAssess), "is not on call for it")
	c.does("lena", c.appoint("olga", custody.RoleOnCall))
	c.tries("olga", c.move(investigate.StageAssess), "incident.detection")
	c.does("olga", detection)
	c.tries("olga", c.move(investigate.StageDiagnose), "goes to assess first")
	c.tries("olga", c.move("elsewhere"), "there is no stage")
	other := c.move(investigate.StageAssess)
	other.Definition = investigate.Newest().Version + 1
	c.tries("olga", other, "not by version 3")
	assess := &investigate.Assess{On: c.on, Escalated: true, Impact: "web tier", Privacy: "unknown", Security: "yes"}
	c.tries("olga", assess, "assessed in stage")
	c.does("olga", c.move(investigate.StageAssess))
	c.reads(func(_ custody.View, i *investigate.Incident) {
		require.Equal(t, detection.At, i.Detected(), "the first indication, whenever it was put on record")
		require.EqualValues(t, 2, i.Definition)
	})
	other.Stage, other.Definition = investigate.StageDiagnose, 1
	c.tries("olga", other, "not by version 1")

	c.tries("olga", c.move(investigate.StageDiagnose), "incident has no manager")
	c.tries("emil", assess, "none of the roles")
	assessed := c.does("olga", assess)
	c.tries("olga", assess, "say that it replaces")
	rate := &investigate.Rate{On: c.on, DataRisk: investigate.RiskImminent, Severity: 2, Priority: 3}
	c.tries("olga", rate, "severity is 1")
	rate.Severity = 1
	c.tries("emil", rate, "none of the roles")
	c.does("olga", rate)
	first := c.last
	lower := *rate
	lower.Severity, lower.Replaces.Replaces = 3, first
	c.tries("olga", &lower, "severity is 1")
	lower.DataRisk = investigate.RiskNone
	c.does("olga", &lower)
	c.malformed("olga", &investigate.Rate{On: c.on, DataRisk: investigate.RiskNone, Severity: 5, Priority: 1}, "not from 1 to 4")

	c.does("olga", c.appoint("lena", custody.RoleIncidentManager))
	c.tries("olga", c.move(investigate.StageDiagnose), "alone decides")
	c.tries("lena", c.move(investigate.StageDiagnose), "whose responsibility")
	not := *assess
	not.Escalated, not.Replaces.Replaces = false, assessed
	notAt := c.does("olga", &not)
	c.tries("lena", c.move(investigate.StageDiagnose), "one that does not ends in its closing")
	again := *assess
	again.Replaces.Replaces = notAt
	c.does("olga", &again)
	c.does("lena", &investigate.Scope{On: c.on, Layer: "host", Model: "iaas", Responsibility: investigate.Undetermined})
	early := c.move(investigate.StageDiagnose)
	early.At = c.in(-time.Hour)
	c.tries("lena", early, "was entered at")
	c.does("lena", c.move(investigate.StageDiagnose))
	back := c.move(investigate.StageAssess)
	c.tries("lena", back, "an exception")
	c.tries("lena", c.move(investigate.StageDiagnose), "is in stage diagnose")
}

// TestNotEscalated: that somebody on call saw nothing in it is an end, too (WP-57).
func TestNotEscalated(t *testing.T) {
	c := newTroupe(t).ready().opened()
	c.does("lena", c.appoint("olga", custody.RoleOnCall))
	c.does("olga", &investigate.Detection{On: c.on, Happened: c.now(), Properties: []string{"integrity"}, Reference: "mail", Source: "employee"})
	c.does("olga", c.move(investigate.StageAssess))
	end := &investigate.Close{On: c.on, Happened: c.now(), End: investigate.EndNotRaised, Notification: "not triggered: nothing happened"}
	c.tries("olga", end, "an assessment that does not escalate it")
	c.does("olga", &investigate.Assess{On: c.on, Impact: "none", Privacy: "no", Security: "no"})
	c.tries("olga", c.move(investigate.StageDiagnose), "appoint one first")
	silent := *end
	silent.Notification = ""
	c.tries("olga", &silent, "not triggered")
	c.tries("emil", end, "is not on call")
	c.does("olga", end)
	c.tries("olga", end, "is closed")
	c.tries("lena", &investigate.Rate{On: c.on, DataRisk: investigate.RiskNone, Severity: 1, Priority: 1}, "reopen it first")
	name, err := custody.NewName([]byte("a.log"))
	require.NoError(t, err)
	c.tries("emil", &custody.BeginEvidence{AtMost: 1, Exhibit: "1", Incident: c.incident, Name: name, Type: "log"}, "is closed")
	c.tries("emil", &investigate.Reopen{On: c.on, Happened: c.now()}, "is not on call")
	c.does("olga", &investigate.Reopen{On: c.on, Happened: c.now()})
	c.tries("olga", &investigate.Reopen{On: c.on, Happened: c.now()}, "is not closed")
}

// TestARoleThatIsRevoked counts for nothing in the incident either, at once; and an
// executive, though he has no role there, puts another in its manager's place (WP-34,
// WP-38).
func TestARoleThatIsRevoked(t *testing.T) {
	c := newTroupe(t).ready().opened()
	c.does("lena", c.appoint("olga", custody.RoleOnCall))
	c.does("olga", c.appoint("lena", custody.RoleIncidentManager))
	scope := &investigate.Scope{On: c.on, Layer: "host", Model: "iaas", Responsibility: investigate.ByProvider}
	c.does("ada", &custody.RevokeRole{Principal: c.id("lena"), Role: custody.RoleIncidentManager})
	c.tries("lena", scope, "any more")
	c.tries("olga", scope, "alone decides")
	c.tries("olga", c.appoint("mia", custody.RoleIncidentManager), "one hands over")
	hand := &investigate.HandOver{On: c.on, Happened: c.now(), From: c.id("lena"), To: c.id("mia"), Role: custody.RoleIncidentManager}
	c.tries("emil", hand, "hands over himself")
	c.tries("aude", hand, hidden)
	c.does("ada", &custody.SuspendPrincipal{Principal: c.id("lena")})
	c.does("exa", &investigate.Assign{Incident: c.incident, Principal: c.id("aude")})
	hand.Happened = c.now()
	c.does("exa", hand)
	c.does("mia", scope)
}

// TestNobodyHandsOverWhatHeLost: whose role was revoked in the service does not say who
// has it after him (WP-34, WP-52).
func TestNobodyHandsOverWhatHeLost(t *testing.T) {
	s := newStory(t)
	s.does("ada", &custody.RevokeRole{Principal: s.id("lena"), Role: custody.RoleIncidentManager})
	hand := &investigate.HandOver{On: s.on, Happened: s.now(), From: s.id("lena"), To: s.id("mia"), Role: custody.RoleIncidentManager}
	s.tries("lena", hand, "hands over himself")
	s.does("exa", changed(hand, func(h *investigate.HandOver) { h.Happened = s.now() }))
}

// TestWhoCannotBeOnCallCoversNothing: a gap shows as soon as who was to fill it is
// suspended, or holds the role no more, or is not ready for it (WP-31).
func TestWhoCannotBeOnCallCoversNothing(t *testing.T) {
	for what, act := range map[string]func(*troupe) (string, custody.Act){
		"suspended": func(c *troupe) (string, custody.Act) {
			return "ada", &custody.SuspendPrincipal{Principal: c.id("olga")}
		},
		"revoked": func(c *troupe) (string, custody.Act) {
			return "ada", &custody.RevokeRole{Principal: c.id("olga"), Role: custody.RoleOnCall}
		},
		"disqualified": func(c *troupe) (string, custody.Act) {
			return "lena", &custody.DisqualifyPrincipal{Principal: c.id("olga"), Role: custody.RoleOnCall}
		},
	} {
		c := newTroupe(t).ready().opened()
		gaps := func() (list []investigate.Span) {
			c.looks(func(v custody.View, _ *investigate.Incident) {
				state, err := v.State(custody.IncidentsStream)
				require.NoError(t, err)
				l, ok := state.(*investigate.Incidents)
				require.True(t, ok)
				able, err := l.Able(v)
				require.NoError(t, err)
				list = able.Unmanned(v.Now(), v.Now().Add(50*time.Hour))
			})
			return list
		}
		require.Empty(t, gaps(), what)
		who, does := act(c)
		c.does(who, does)
		require.Len(t, gaps(), 1, what)
	}
}
