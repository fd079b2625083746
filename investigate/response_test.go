package investigate_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

// nothing names what is not there.
var nothing = custody.Hash([]byte("nothing"))

// TestMeasures: from what is found follows what is done; it is carried out by its
// owner, tested by somebody else, and given up on record (WP-49, WP-58, WP-60, WP-80,
// WP-85, WP-88).
func TestMeasures(t *testing.T) {
	s := newStory(t).to(investigate.StageAssess)
	plan := &investigate.Plan{On: s.on, Text: "rebuild the host\nthen watch it"}
	measure := &investigate.Measure{On: s.on, Owner: s.id("stef"), Text: "quarantine the host", Type: investigate.MeasureContainment}
	s.tries("lena", plan, "that is for the stages")
	s.tries("stef", measure, "that is for the stages")
	s.tries("emil", s.contains(investigate.RiskCustomer, true), "that is for the stages")
	s.to(investigate.StageDiagnose)
	quarantine := s.does("stef", measure) // beside the diagnosis, and before anything is found
	s.diagnosed()

	plan.Findings = []custody.Digest{nothing}
	s.tries("lena", plan, "there is no finding")
	plan.Findings = []custody.Digest{s.finding, s.finding}
	s.malformed("lena", plan, "named twice")
	plan.Findings = []custody.Digest{s.finding}
	s.tries("emil", plan, "alone decides")
	s.malformed("lena", changed(plan, func(p *investigate.Plan) { p.Text = "" }), "text is missing")
	first := s.does("lena", plan)
	s.tries("lena", plan, "say that it replaces")
	s.tries("lena", changed(plan, func(p *investigate.Plan) { p.Replaces.Replaces = nothing }), "say that it replaces")
	s.does("lena", changed(plan, func(p *investigate.Plan) { p.Replaces.Replaces = first }))

	fix := &investigate.Measure{On: s.on, Findings: plan.Findings, Owner: s.id("emil"), Text: "patch", Type: investigate.MeasureCorrective}
	s.tries("stef", changed(fix, func(m *investigate.Measure) { m.Findings = nil }), "cites the findings")
	s.tries("stef", changed(fix, func(m *investigate.Measure) { m.Findings = []custody.Digest{nothing} }), "there is no finding")
	s.tries("stef", changed(fix, func(m *investigate.Measure) { m.Owner = s.id("nina") }), "is not assigned to the incident")
	s.tries("carl", fix, "none of the roles")
	s.malformed("stef", changed(fix, func(m *investigate.Measure) { m.Type = "prayer" }), "is none of")
	s.malformed("stef", changed(fix, func(m *investigate.Measure) { m.Owner = "emil" }), "emil")
	patch := s.does("stef", fix)
	for _, kind := range []string{investigate.MeasureMitigation, investigate.MeasureWorkaround, investigate.MeasureDeployment} {
		s.does("cleo", changed(fix, func(m *investigate.Measure) { m.Type = kind }))
	}
	drop := func(m custody.Digest) *investigate.Drop { return &investigate.Drop{On: s.on, Measure: m} }
	later := s.does("lena", changed(fix, func(m *investigate.Measure) { m.Type = investigate.MeasureLongTerm }))

	carry := func(m custody.Digest) *investigate.CarryOut {
		return &investigate.CarryOut{On: s.on, Happened: s.now(), How: "done at night", Measure: m}
	}
	test := func(m custody.Digest, passed bool) *investigate.Test {
		return &investigate.Test{On: s.on, Happened: s.now(), How: "tried again", Measure: m, Passed: passed}
	}
	s.tries("emil", carry(nothing), "there is no measure")
	s.tries("stef", carry(patch), "carries out measure M-2")
	s.tries("fay", test(patch, true), "was not carried out by then")
	early := test(patch, true)
	early.At = s.in(-time.Minute)
	s.does("emil", carry(patch))
	s.tries("fay", early, "was not carried out by then")
	s.tries("emil", test(patch, true), "somebody else tests it")
	s.tries("nina", test(patch, true), hidden)
	s.tries("fay", test(nothing, true), "there is no measure")
	s.malformed("fay", changed(test(patch, true), func(x *investigate.Test) { x.How = "" }), "how is missing")
	effective := func(want bool) {
		t.Helper()
		s.looks(func(_ custody.View, i *investigate.Incident) {
			require.Equal(t, "M-2", i.Measures[1].Label)
			require.Equal(t, want, i.Measures[1].Effective())
		})
	}
	effective(false)
	s.does("fay", test(patch, true))
	effective(true)
	s.does("fay", test(patch, false))
	effective(false)
	s.does("fay", test(patch, true))
	s.does("lena", carry(patch)) // again, by the manager: what was tested is not what runs now
	effective(false)
	s.tries("lena", test(patch, true), "somebody else tests it")
	s.tries("emil", test(patch, true), "somebody else tests it") // he did it before, and it is his
	s.does("fay", test(patch, true))
	effective(true)

	s.tries("emil", drop(quarantine), "alone decides")
	s.tries("lena", drop(nothing), "there is no measure")
	s.tries("lena", drop(later), "becomes a repair item")
	s.tries("lena", changed(drop(later), func(d *investigate.Drop) { d.Repair = nothing }), "there is no repair item")
	repair := s.does("lena", s.repair())
	s.does("lena", changed(drop(later), func(d *investigate.Drop) { d.Repair = repair }))
	s.does("lena", drop(quarantine))
	s.tries("lena", drop(quarantine), "was dropped")
	s.tries("stef", carry(quarantine), "was dropped")
	s.tries("fay", test(quarantine, true), "was dropped")
}

func (s *story) repair() *investigate.Repair {
	return &investigate.Repair{On: s.on, Due: s.in(90 * 24 * time.Hour), Owner: "Ben of the mail team", Text: "rotate the keys by themselves", Type: "engineering"}
}

// TestContainment: of both risks the last word counts, each by itself (WP-87).
func TestContainment(t *testing.T) {
	s := newStory(t).to(investigate.StageStabilize)
	s.malformed("emil", s.contains("reputation", true), "is none of")
	s.tries("carl", s.contains(investigate.RiskCustomer, true), "none of the roles")
	s.does("lena", &investigate.Plan{On: s.on, Text: "rebuild"})
	missing := func(has, not string) {
		t.Helper()
		s.tries("lena", s.move(investigate.StageClose), has)
		p := s.picture()
		require.Len(t, p.Missing, 1)
		require.NotContains(t, p.Missing[0], not)
	}
	s.tries("lena", s.move(investigate.StageClose), "the risk to customers is contained")
	s.tries("lena", s.move(investigate.StageClose), "the risk to the business is contained")
	s.does("emil", s.contains(investigate.RiskCustomer, true))
	missing("the risk to the business is contained", "customers")
	s.does("stef", s.contains(investigate.RiskBusiness, true))
	s.does("fay", s.contains(investigate.RiskCustomer, false))
	missing("the risk to customers is contained", "business")
	s.does("lena", s.contains(investigate.RiskCustomer, true))
	s.does("lena", s.move(investigate.StageClose))
}

// TestEmergency: three people sign one statement, each in his role; it says what it
// does, what else was thought of, and why; and the outage has a notice of its own
// (WP-86, WP-89 to WP-91).
func TestEmergency(t *testing.T) {
	s := newStory(t).to(investigate.StageAssess)
	x := &investigate.Emergency{
		On: s.on, Service: "mail", Alternatives: []string{"block the address: he has others"}, Impact: "mail is down for an hour", Outage: true,
		Rationale: "he is exfiltrating now", Text: "cut the mail tier off", NoticeDue: s.in(time.Hour), ExpectedBack: s.in(3 * time.Hour),
	}
	s.tries("emil", x, "that is for the stages")
	s.to(investigate.StageDiagnose)
	s.tries("emil", changed(x, func(e *investigate.Emergency) { e.Alternatives = nil }), "not taken lightly")
	s.tries("emil", changed(x, func(e *investigate.Emergency) { e.Impact = "" }), "not taken lightly")
	s.tries("emil", changed(x, func(e *investigate.Emergency) { e.Rationale = "" }), "not taken lightly")
	s.tries("emil", changed(x, func(e *investigate.Emergency) { e.Findings = []custody.Digest{nothing} }), "there is no finding")
	s.tries("nina", x, hidden)
	s.malformed("emil", changed(x, func(e *investigate.Emergency) { e.Text = "" }), "text is missing")
	s.tries("emil", changed(x, func(e *investigate.Emergency) { e.NoticeDue = 0 }), "by when its notice is due")
	s.tries("emil", changed(x, func(e *investigate.Emergency) { e.ExpectedBack = 0 }), "by when the service is expected back")
	s.tries("emil", changed(x, func(e *investigate.Emergency) { e.NoticeDue = s.in(-time.Minute) }), "is late already")
	s.tries("emil", changed(x, func(e *investigate.Emergency) { e.ExpectedBack = s.in(-time.Minute) }), "which is over")
	s.tries("emil", changed(x, func(e *investigate.Emergency) { e.Outage = false }), "without an outage no notice is due")
	s.malformed("emil", changed(x, func(e *investigate.Emergency) { e.NoticeDue = -1 }), "is no time")
	s.malformed("emil", changed(x, func(e *investigate.Emergency) { e.Service = "two\nlines" }), "service")
	s.tries("emil", changed(x, func(e *investigate.Emergency) { e.Service = "" }), "says to which service it is done")
	id := s.does("emil", x)
	other := s.does("emil", changed(x, func(e *investigate.Emergency) { e.Outage, e.NoticeDue, e.ExpectedBack = false, 0, 0 }))

	sign := func(id custody.Digest, as custody.Role) *investigate.SignEmergency {
		return &investigate.SignEmergency{On: s.on, As: as, Proposal: id}
	}
	notice := func(id custody.Digest) *investigate.OutageNotice {
		return &investigate.OutageNotice{On: s.on, Happened: s.now(), ExpectedBack: s.in(2 * time.Hour), Proposal: id, Reference: "status page 77"}
	}
	approved := func(want bool) {
		t.Helper()
		s.looks(func(_ custody.View, i *investigate.Incident) { require.Equal(t, want, i.Emergencies[0].Approved()) })
	}
	s.malformed("emil", sign(id, custody.RoleForensicEngineer), "is none of")
	s.tries("emil", sign(id, custody.RoleIncidentManager), "is not incident-manager")
	s.tries("lena", sign(id, custody.RoleExecutive), "is not executive-incident-manager")
	s.tries("lena", sign(nothing, custody.RoleIncidentManager), "there is no proposal")
	s.does("lena", sign(id, custody.RoleIncidentManager))
	s.tries("lena", sign(id, custody.RoleIncidentManager), "signed X-1 as incident-manager")
	approved(false)
	require.Contains(t, s.picture().Open, "emergency mitigation X-1 lacks signatures")
	s.tries("carl", notice(id), "no approved emergency mitigation")

	// Who holds two of the roles signs in one of them.
	s.does("ada", &custody.GrantRole{Principal: s.id("exa"), Role: custody.RoleServiceOwner})
	owner := s.appoint("exa", custody.RoleServiceOwner)
	owner.Service = "web"
	s.does("lena", owner)
	s.tries("exa", sign(id, custody.RoleServiceOwner), "X-1 is done to mail, and "+string(s.id("exa"))+" is not its owner")
	s.does("lena", &investigate.Discharge{On: s.on, Happened: s.now(), Principal: s.id("exa"), Role: custody.RoleServiceOwner})
	s.tries("exa", sign(id, custody.RoleServiceOwner), "is not service-owner")
	owner = s.appoint("exa", custody.RoleServiceOwner)
	owner.Service = "mail"
	s.does("lena", owner)
	s.does("exa", sign(id, custody.RoleServiceOwner))
	s.tries("exa", sign(id, custody.RoleExecutive), "it takes three people")
	approved(false)
	s.tries("owen", sign(id, custody.RoleServiceOwner), "as service-owner") // one owner has signed
	s.does("ada", &custody.GrantRole{Principal: s.id("mia"), Role: custody.RoleExecutive})
	s.does("lena", &custody.QualifyPrincipal{
		Principal: s.id("mia"), Role: custody.RoleExecutive, Training: "t", Experience: "e", Authority: "a", Until: s.in(time.Hour),
	})
	s.does("exa", &investigate.HandOver{On: s.on, Happened: s.now(), From: s.id("exa"), To: s.id("mia"), Role: custody.RoleExecutive})
	s.does("mia", sign(id, custody.RoleExecutive))
	approved(true)

	require.Contains(t, s.picture().Open, "the outage notice for X-1, due at "+x.NoticeDue.String())
	s.to(investigate.StageStabilize)
	s.does("lena", &investigate.Plan{On: s.on, Text: "rebuild"})
	s.does("emil", s.contains(investigate.RiskCustomer, true))
	s.does("emil", s.contains(investigate.RiskBusiness, true))
	s.tries("lena", s.move(investigate.StageClose), "the outage notice for X-1")
	s.tries("emil", notice(id), "none of the roles")
	s.does("carl", notice(id))
	s.tries("carl", notice(id), "is on record")
	require.NotContains(t, strings.Join(s.picture().Open, "\n"), "the outage notice for X-1")

	s.does("lena", sign(other, custody.RoleIncidentManager))
	s.does("owen", sign(other, custody.RoleServiceOwner))
	s.does("mia", sign(other, custody.RoleExecutive))
	s.tries("carl", notice(other), "that causes an outage")
	late := s.does("emil", x)
	s.does("lena", s.move(investigate.StageClose))
	s.tries("lena", sign(late, custody.RoleIncidentManager), "that is for the stages")
	s.tries("emil", x, "that is for the stages")
}

// TestProposalsAreWithdrawn by their author or the manager, while not all three have
// signed; and then nobody signs them, and they are open no more (WP-89).
func TestProposalsAreWithdrawn(t *testing.T) {
	s := newStory(t).to(investigate.StageDiagnose)
	x := &investigate.Emergency{On: s.on, Service: "mail", Alternatives: []string{"none"}, Impact: "no mail", Rationale: "he is exfiltrating now", Text: "cut the mail tier off"}
	one, two, three := s.does("emil", x), s.does("emil", changed(x, func(e *investigate.Emergency) { e.Text = "no, the web tier" })), s.does("fay", x)
	sign := func(id custody.Digest, as custody.Role) *investigate.SignEmergency {
		return &investigate.SignEmergency{On: s.on, As: as, Proposal: id}
	}
	withdraw := func(id custody.Digest) *investigate.WithdrawEmergency {
		return &investigate.WithdrawEmergency{On: s.on, Proposal: id, Reason: "he is gone"}
	}
	s.does("lena", sign(one, custody.RoleIncidentManager))
	s.does("exa", sign(one, custody.RoleExecutive))
	s.malformed("emil", changed(withdraw(one), func(w *investigate.WithdrawEmergency) { w.Reason = "" }), "reason is missing")
	s.tries("emil", withdraw(nothing), "there is no proposal")
	s.tries("emil", withdraw(three), "who alone withdraws it")
	s.tries("exa", withdraw(one), "who alone withdraws it") // not even who signed it
	s.tries("nina", withdraw(one), hidden)
	s.does("emil", withdraw(one))
	s.tries("emil", withdraw(one), "X-1 was withdrawn by")
	s.tries("owen", sign(one, custody.RoleServiceOwner), "X-1 was withdrawn by "+string(s.id("emil"))+": he is gone")
	p := s.picture()
	require.NotContains(t, p.Open, "emergency mitigation X-1 lacks signatures")
	require.Contains(t, p.Open, "emergency mitigation X-2 lacks signatures")
	require.False(t, p.File.Emergencies[0].Approved())
	require.Equal(t, "he is gone", p.File.Emergencies[0].Withdrawn.Act.Reason)
	require.Equal(t, s.id("emil"), p.File.Emergencies[0].Withdrawn.By)
	s.does("lena", withdraw(two))
	for who, as := range map[string]custody.Role{"lena": custody.RoleIncidentManager, "owen": custody.RoleServiceOwner, "exa": custody.RoleExecutive} {
		s.does(who, sign(three, as))
	}
	s.tries("fay", withdraw(three), "X-3 is approved")
	s.tries("lena", withdraw(three), "X-3 is approved")
	undone := func(id custody.Digest) *investigate.WithdrawEmergency {
		return changed(withdraw(id), func(w *investigate.WithdrawEmergency) { w.Undone = "the switch is where it was" })
	}
	s.tries("fay", undone(three), "alone decides") // though she proposed it
	four := s.does("emil", changed(x, func(e *investigate.Emergency) {
		e.Outage, e.NoticeDue, e.ExpectedBack = true, s.in(time.Hour), s.in(time.Hour)
	}))
	s.tries("lena", undone(four), "X-4 is not approved")
	s.tries("emil", changed(x, func(e *investigate.Emergency) {
		e.Outage, e.NoticeDue, e.ExpectedBack = true, s.in(2*time.Hour), s.in(time.Hour)
	}), "before it is over")
	for who, as := range map[string]custody.Role{"lena": custody.RoleIncidentManager, "owen": custody.RoleServiceOwner, "exa": custody.RoleExecutive} {
		s.does(who, sign(four, as))
	}
	require.Len(t, s.picture().Outages, 1)
	s.does("lena", undone(four))
	require.Empty(t, s.picture().Outages)
	require.NotContains(t, strings.Join(s.picture().Open, "\n"), "the outage notice for X-4")
	s.tries("carl", &investigate.OutageNotice{On: s.on, Happened: s.now(), ExpectedBack: s.in(time.Hour), Proposal: four, Reference: "status page 7"}, "there is no approved")
	s.does("lena", undone(three))
	require.NotContains(t, s.picture().Open, "emergency mitigation X-2 lacks signatures")
}

// TestOutagesHaveTimes: by when customers are told, and by when the service is back; who
// tells them late says why, and by how much shows (WP-91).
func TestOutagesHaveTimes(t *testing.T) {
	s := newStory(t).to(investigate.StageDiagnose)
	x := &investigate.Emergency{
		On: s.on, Service: "mail", Alternatives: []string{"none"}, Impact: "no mail", Outage: true, Rationale: "he is exfiltrating now", Text: "cut the mail tier off",
		NoticeDue: s.in(time.Hour), ExpectedBack: s.in(3 * time.Hour),
	}
	before := s.in(-time.Minute)
	one, two := s.does("emil", x), s.does("emil", changed(x, func(e *investigate.Emergency) { e.Text = "and the web tier" }))
	require.Empty(t, s.picture().Outages, "nothing is taken down by a proposal")
	for _, id := range []custody.Digest{one, two} {
		for who, as := range map[string]custody.Role{"lena": custody.RoleIncidentManager, "owen": custody.RoleServiceOwner, "exa": custody.RoleExecutive} {
			s.does(who, &investigate.SignEmergency{On: s.on, As: as, Proposal: id})
		}
	}
	n := &investigate.OutageNotice{On: s.on, Happened: s.now(), ExpectedBack: s.in(2 * time.Hour), Proposal: one, Reference: "status page 77"}
	s.tries("carl", changed(n, func(n *investigate.OutageNotice) { n.ExpectedBack = 0 }), "says by when the service is expected back")
	s.tries("carl", changed(n, func(n *investigate.OutageNotice) { n.At = before }), "X-1 was proposed at")
	s.tries("carl", changed(n, func(n *investigate.OutageNotice) { n.Late = "a strike" }), "was not late")
	s.malformed("carl", changed(n, func(n *investigate.OutageNotice) { n.ExpectedBack = -1 }), "is no time")
	s.malformed("carl", changed(n, func(n *investigate.OutageNotice) { n.Late = "two\nlines" }), "late")
	outages := s.picture().Outages
	require.Equal(t, investigate.Outage{Emergency: "X-1", Due: x.NoticeDue, ExpectedBack: x.ExpectedBack}, outages[0])
	s.does("carl", n)
	outages = s.picture().Outages
	require.Equal(t, n.At, outages[0].Sent)
	require.Zero(t, outages[0].LateSeconds)
	require.Equal(t, n.ExpectedBack, outages[0].ExpectedBack, "the last word on it")

	s.Pass(x.NoticeDue.Time().Add(90 * time.Minute).Sub(s.Now()))
	require.Contains(t, s.picture().Open, "the outage notice for X-2, due at "+x.NoticeDue.String()+": late by 1h30m0s")
	n.Proposal, n.Happened, n.ExpectedBack = two, s.now(), s.in(time.Hour)
	s.tries("carl", n, "sent 1h30m0s later: say why")
	n.Late = "the page was down too"
	s.does("carl", n)
	s.Pass(time.Hour)
	late := s.picture().Outages[1]
	require.EqualValues(t, 5400, late.LateSeconds, "from when it was due until it was sent, and no longer")
	require.Equal(t, n.Late, late.Why)
	require.Equal(t, n.At, late.Sent)
}

// TestVersionsOfTheStages: what the second version asks for, an incident by the first is
// not asked: it is decided as it always was (WP-64, WP-91).
func TestVersionsOfTheStages(t *testing.T) {
	for version := range investigate.Newest().Version {
		version++
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			s := newStory(t)
			exercise := &investigate.Detection{
				On: s.on, Happened: s.now(), Exercise: true, Properties: []string{"integrity"}, Reference: "exercise 7", Source: "red-team",
			}
			s.does("emil", exercise)
			move := func(stage string) *investigate.Move {
				return changed(s.move(stage), func(m *investigate.Move) { m.Definition = version })
			}
			want := func(act custody.Act, who, why string) {
				t.Helper()
				if version == 1 {
					why = ""
				}
				s.tries(who, act, why)
			}
			want(move(investigate.StageAssess), "lena", "the rules of engagement of exercise D-1")
			if version > 1 {
				s.does("lena", &investigate.Procedure{Name: "exercises", Steps: []investigate.ProcedureStep{{Name: "no customer data is touched", Stage: "detect"}}, Version: 1})
				s.does("emil", changed(exercise, func(d *investigate.Detection) {
					d.Rules, d.Version, d.Replaces = "exercises", 1, s.picture().File.Detections[0].ID
				}))
				s.does("lena", move(investigate.StageAssess))
			}
			want(exercise, "emil", "name the procedure")
			s.does("olga", &investigate.Assess{On: s.on, Escalated: true, Impact: "web tier", Privacy: "no", Security: "yes"})
			s.does("olga", &investigate.Rate{On: s.on, DataRisk: investigate.RiskNone, Severity: 2, Priority: 2})
			s.does("lena", &investigate.Scope{On: s.on, Layer: "host", Model: "iaas", Responsibility: investigate.ByProvider})
			s.does("lena", move(investigate.StageDiagnose))
			x := &investigate.Emergency{On: s.on, Service: "mail", Alternatives: []string{"none"}, Impact: "no mail", Outage: true, Rationale: "now", Text: "cut it off"}
			want(x, "emil", "by when its notice is due")
			if version > 1 {
				return
			}
			for who, as := range map[string]custody.Role{"lena": custody.RoleIncidentManager, "owen": custody.RoleServiceOwner, "exa": custody.RoleExecutive} {
				s.does(who, &investigate.SignEmergency{On: s.on, As: as, Proposal: s.picture().File.Emergencies[0].ID})
			}
			p := s.picture()
			require.Contains(t, p.Open, "the outage notice for X-1")
			require.Contains(t, p.Open, "the rules of engagement of exercise D-1", "not asked for, and told")
			n := &investigate.OutageNotice{On: s.on, Happened: s.now(), Proposal: p.File.Emergencies[0].ID, Reference: "status page 77"}
			s.tries("carl", changed(n, func(n *investigate.OutageNotice) { n.Late = "a strike" }), "was not late")
			s.does("carl", n)
		})
	}
}

// TestNoIncidentStartsByAnOldVersion: who wants fewer rules does not choose an older
// version for it, once there was time to change; who goes by one goes on by it (WP-127).
func TestNoIncidentStartsByAnOldVersion(t *testing.T) {
	s, other := newStory(t), newStory(t)
	by := func(s *story, version uint64, stage string) *investigate.Move {
		return changed(s.move(stage), func(m *investigate.Move) { m.Definition, m.Exception = version, "a mistake" })
	}
	until := investigate.Definitions()[0].Until.Time()
	for _, s := range []*story{s, other} {
		s.does("emil", &investigate.Detection{On: s.on, Happened: s.now(), Properties: []string{"integrity"}, Reference: "alarm", Source: "monitoring-signature"})
	}
	s.does("lena", by(s, 1, investigate.StageAssess))
	s.does("olga", &investigate.Assess{On: s.on, Escalated: true, Impact: "web tier", Privacy: "no", Security: "yes"})
	s.does("olga", &investigate.Rate{On: s.on, DataRisk: investigate.RiskNone, Severity: 2, Priority: 2})
	s.does("lena", &investigate.Scope{On: s.on, Layer: "host", Model: "iaas", Responsibility: investigate.ByProvider})
	s.Pass(until.Sub(s.Now()))
	other.Pass(until.Sub(other.Now()))
	s.does("lena", by(s, 1, investigate.StageDiagnose))
	other.tries("lena", by(other, 1, investigate.StageAssess), "no incident starts by version 1 of the stages since 2027-01-01")
	other.does("lena", by(other, 2, investigate.StageAssess))
}

// TestStabilizeIsNotLeft for the closing before all of it is done; back to Diagnose it
// is left at any time (WP-55, WP-60, WP-85, WP-88).
func TestStabilizeIsNotLeft(t *testing.T) {
	s := newStory(t).to(investigate.StageStabilize)
	s.tries("lena", s.move(investigate.StageClose), "a recovery plan")
	for range 3 {
		s.does("lena", s.move(investigate.StageDiagnose))
		s.does("lena", s.move(investigate.StageStabilize))
	}
	s.tries("lena", s.move(investigate.StageAssess), "an exception")
	s.does("lena", &investigate.Plan{On: s.on, Text: "rebuild"})
	s.does("emil", s.contains(investigate.RiskCustomer, true))
	s.does("emil", s.contains(investigate.RiskBusiness, true))

	fix := &investigate.Measure{On: s.on, Findings: []custody.Digest{s.finding}, Owner: s.id("emil"), Text: "patch", Type: investigate.MeasureCorrective}
	id := s.does("lena", fix)
	s.tries("lena", s.move(investigate.StageClose), "each measure carried out and tested, or dropped: M-1")
	s.does("emil", &investigate.CarryOut{On: s.on, Happened: s.now(), How: "x", Measure: id})
	s.tries("lena", s.move(investigate.StageClose), "each measure carried out and tested, or dropped: M-1")
	s.does("fay", &investigate.Test{On: s.on, Happened: s.now(), How: "x", Measure: id, Passed: true})
	long := s.does("lena", changed(fix, func(m *investigate.Measure) { m.Type = investigate.MeasureLongTerm }))
	s.tries("lena", s.move(investigate.StageClose), "a repair item (mitigation.drop) for each long-term measure: M-2")
	s.does("lena", &investigate.Drop{On: s.on, Measure: long, Repair: s.does("lena", s.repair())})

	rated := s.does("lena", s.rate(1, investigate.RiskConfirmed))
	s.tries("lena", s.move(investigate.StageClose), "at risk no more")
	calm := s.rate(2, investigate.RiskNone)
	require.Equal(t, rated, calm.Replaces.Replaces)
	s.does("lena", calm)
	s.tries("emil", s.move(investigate.StageClose), "alone decides")
	s.tries("exa", s.move(investigate.StageClose), "alone decides")
	s.does("lena", s.move(investigate.StageClose))
	for _, act := range []custody.Act{
		fix, &investigate.Plan{On: s.on, Text: "x"}, s.contains(investigate.RiskCustomer, true),
		&investigate.CarryOut{On: s.on, Happened: s.now(), How: "x", Measure: id},
	} {
		s.tries("lena", act, "that is for the stages")
	}
	s.tries("fay", &investigate.Test{On: s.on, Happened: s.now(), How: "x", Measure: id}, "that is for the stages")
}

// rate rates anew, by the story's finding.
func (s *story) rate(severity uint64, risk string) *investigate.Rate {
	s.t.Helper()
	a := &investigate.Rate{On: s.on, DataRisk: risk, Finding: s.finding, Priority: 1, Severity: severity}
	s.looks(func(_ custody.View, i *investigate.Incident) { a.Replaces.Replaces = i.Ratings[len(i.Ratings)-1].ID })
	return a
}

// TestRatingsFollowFindings: from Diagnose on severity and priority change by what was
// found, and each change keeps what was before (WP-68 to WP-70).
func TestRatingsFollowFindings(t *testing.T) {
	s := newStory(t)
	s.tries("olga", &investigate.Rate{On: s.on, DataRisk: investigate.RiskNone, Severity: 1, Priority: 1}, "an incident is rated in stage assess")
	s.to(investigate.StageDiagnose)
	rate := s.rate(1, investigate.RiskConfirmed) // by no finding yet
	s.tries("lena", rate, "change by a finding: name it")
	s.diagnosed()
	rate.Finding = nothing
	s.tries("lena", rate, "there is no finding")
	rate.Finding = s.finding
	s.tries("carl", rate, "none of the roles")
	s.tries("lena", changed(rate, func(r *investigate.Rate) { r.Severity = 2 }), "severity is 1")
	s.tries("lena", changed(rate, func(r *investigate.Rate) { r.DataRisk, r.Severity = investigate.RiskImminent, 4 }), "severity is 1")
	s.tries("lena", changed(rate, func(r *investigate.Rate) { r.Replaces.Replaces = custody.Digest{} }), "say that it replaces")
	s.malformed("lena", changed(rate, func(r *investigate.Rate) { r.DataRisk = "some" }), "is none of")
	s.malformed("lena", changed(rate, func(r *investigate.Rate) { r.Priority = 0 }), "is not from 1 to 4")
	s.does("olga", rate)
	s.looks(func(_ custody.View, i *investigate.Incident) {
		require.Len(t, i.Ratings, 2)
		before, now := i.Ratings[0], i.Ratings[1]
		require.EqualValues(t, 2, before.Act.Severity)
		require.Equal(t, now.ID, *before.Replaced)
		require.EqualValues(t, 1, now.Act.Severity)
		require.Equal(t, s.finding, now.Act.Finding)
		require.Equal(t, s.id("olga"), now.By)
		require.Equal(t, "because", now.Why)
	})
}

// TestWhoElseIsAsked: other services at risk are the manager's decision, and what
// other teams answered is on record (WP-65, WP-72, WP-74).
func TestWhoElseIsAsked(t *testing.T) {
	s := newStory(t)
	d := &investigate.Dependency{On: s.on, Decision: "include", Service: "calendar", Team: "calendar team"}
	s.malformed("lena", changed(d, func(d *investigate.Dependency) { d.Decision = "perhaps" }), "is none of")
	s.malformed("lena", changed(d, func(d *investigate.Dependency) { d.Service = "" }), "service is missing")
	s.tries("olga", d, "alone decides")
	s.does("lena", d)
	q := &investigate.Consult{On: s.on, Happened: s.now(), Answer: "a tenth of the tenants", Party: "engineering", Question: "who is affected?", Who: "Ben of mail"}
	s.malformed("lena", changed(q, func(q *investigate.Consult) { q.Party = "press" }), "is none of")
	s.malformed("lena", changed(q, func(q *investigate.Consult) { q.Answer = "" }), "answer is missing")
	s.malformed("lena", changed(q, func(q *investigate.Consult) { q.At = s.in(time.Hour) }), "what has not happened")
	s.tries("emil", q, "alone decides")
	s.does("lena", q)
	s.looks(func(_ custody.View, i *investigate.Incident) {
		require.Equal(t, "include", i.Dependencies[0].Act.Decision)
		require.Equal(t, s.id("lena"), i.Dependencies[0].By)
		require.Equal(t, "a tenth of the tenants", i.Consultations[0].Act.Answer)
	})
}

// TestAssessmentsAreMadeAgain, and what was thought before stays (WP-37, WP-57, WP-67).
func TestAssessmentsAreMadeAgain(t *testing.T) {
	s := newStory(t).to(investigate.StageDiagnose)
	a := &investigate.Assess{On: s.on, Escalated: true, Impact: "all of mail", Privacy: "yes", Security: "unknown"}
	s.malformed("olga", changed(a, func(a *investigate.Assess) { a.Privacy = "perhaps" }), "privacy")
	s.malformed("olga", changed(a, func(a *investigate.Assess) { a.Security = "" }), "security")
	s.tries("olga", a, "say that it replaces")
	s.looks(func(_ custody.View, i *investigate.Incident) { a.Replaces.Replaces = i.Assessments[0].ID })
	s.does("olga", a)
	p := s.picture()
	require.Contains(t, p.Open, "whether it is a security risk")
	require.NotContains(t, p.Open, "whether it is a privacy risk")
	require.Len(t, p.File.Assessments, 2)
	require.NotNil(t, p.File.Assessments[0].Replaced)
}

// TestTeamsAndContacts: which teams work on it, where, as a part of what; and who of
// outside has to do with it (WP-25 to WP-28).
func TestTeamsAndContacts(t *testing.T) {
	s := newStory(t)
	parent := custody.NewIncidentID(s.does("nina", &investigate.Open{Class: investigate.Security, DetectedAt: s.in(-time.Hour), Title: "the larger one"}))
	teams := &investigate.Teams{On: s.on, Location: "bridge 4", Owner: "cloud response", Parent: parent, Participating: []string{"mail response"}}
	s.tries("emil", changed(teams, func(x *investigate.Teams) { x.Parent = "" }), "alone decides")
	s.tries("lena", teams, "you are not assigned to an incident")
	s.tries("lena", changed(teams, func(x *investigate.Teams) { x.Parent = custody.NewIncidentID(nothing) }), "you are not assigned to an incident")
	s.tries("lena", changed(teams, func(x *investigate.Teams) { x.Parent = s.incident }), "no part of itself")
	s.malformed("lena", changed(teams, func(x *investigate.Teams) { x.Owner = "" }), "owner is missing")
	s.malformed("lena", changed(teams, func(x *investigate.Teams) { x.Parent = "the larger one" }), "the larger one")
	s.does("mia", &investigate.Assign{Incident: parent, Principal: s.id("lena")})
	first := s.does("lena", teams)
	s.tries("lena", teams, "say that it replaces")
	s.does("lena", changed(teams, func(x *investigate.Teams) { x.Parent, x.Replaces.Replaces = "", first }))

	contact := &investigate.Contact{On: s.on, Instrument: "request 9/26", Name: "KHK Müller", Organisation: "LKA", Party: investigate.ContactLaw, Reach: "+49 30 1"}
	s.malformed("lena", changed(contact, func(x *investigate.Contact) { x.Party = "press" }), "is none of")
	s.malformed("lena", changed(contact, func(x *investigate.Contact) { x.Reach = "" }), "reach is missing")
	s.tries("emil", contact, "alone decides")
	s.does("lena", contact)
	s.looks(func(_ custody.View, i *investigate.Incident) {
		require.Equal(t, "KHK Müller", i.Contacts[0].Act.Name)
		require.Len(t, i.Teams, 2)
		require.Equal(t, "bridge 4", i.Teams[1].Act.Location)
	})
}

// TestWhoLeadsAPart and is not of the whole corrects which teams work on it, and leaves
// the parent (WP-26, WP-47).
func TestWhoLeadsAPart(t *testing.T) {
	for version := range investigate.Newest().Version {
		s := newStory(t)
		s.version = version + 1
		whole := custody.NewIncidentID(s.does("mia", &investigate.Open{Class: investigate.Security, DetectedAt: s.in(-time.Hour), Title: "the whole"}))
		other := custody.NewIncidentID(s.does("mia", &investigate.Open{Class: investigate.Security, DetectedAt: s.in(-time.Hour), Title: "another"}))
		s.does("mia", &investigate.Assign{Incident: whole, Principal: s.id("lena")})
		s.to(investigate.StageAssess)
		teams := &investigate.Teams{On: s.on, Owner: "cert", Parent: whole, Participating: []string{}, Service: "mail"}
		teams.Replaces.Replaces = s.does("lena", teams)
		s.does("mia", &investigate.Unassign{Incident: whole, Principal: s.id("lena")})
		teams.Participating = []string{"network team"}
		s.tries("lena", changed(teams, func(x *investigate.Teams) { x.Parent = other }), "you are not assigned to an incident")
		if s.version == 1 {
			s.tries("lena", teams, "you are not assigned to an incident") // as it was always decided
			continue
		}
		s.does("lena", teams)
		store := s.Store.(*guardtest.Store)
		r, err := custody.ParseRecord(store.Nth(store.Len() - 1).Record)
		require.NoError(t, err)
		require.NotEmpty(t, r.Basis)
		for _, h := range r.Basis {
			require.NotEqual(t, whole.Stream(), h.Stream)
		}
	}
}

// TestAPartOfOneService has that service's experts and no others (WP-47, WP-75).
func TestAPartOfOneService(t *testing.T) {
	s := newStory(t)
	teams := &investigate.Teams{On: s.on, Owner: "cloud response", Participating: []string{}, Service: "web"}
	s.tries("lena", teams, "of mail here, and not of web: discharge him first")
	teams.Service = "mail"
	first := s.does("lena", teams)
	s.does("lena", &investigate.Discharge{On: s.on, Happened: s.now(), Principal: s.id("stef"), Role: custody.RoleServiceExpert})
	expert := s.appoint("stef", custody.RoleServiceExpert)
	expert.Service = "web"
	s.tries("lena", expert, "the incident is about mail alone")
	expert.Service = "mail"
	s.does("lena", expert)
	s.malformed("lena", changed(teams, func(x *investigate.Teams) { x.Service = "two\nlines" }), "service")
	s.does("lena", changed(teams, func(x *investigate.Teams) { x.Service, x.Replaces.Replaces = "", first }))
	s.does("lena", &investigate.Discharge{On: s.on, Happened: s.now(), Principal: s.id("stef"), Role: custody.RoleServiceExpert})
	expert = s.appoint("stef", custody.RoleServiceExpert)
	expert.Service = "web"
	s.does("lena", expert)
}

// TestShifts: while customer data is at risk somebody is on shift at all times; that
// nobody was shows, and is no silent end (WP-70).
func TestShifts(t *testing.T) {
	s := newStory(t).to(investigate.StageDiagnose)
	s.diagnosed()
	shift := func(who string, from, to time.Duration) *investigate.Shift {
		return &investigate.Shift{On: s.on, From: s.in(from), Principal: s.id(who), To: s.in(to)}
	}
	s.malformed("lena", shift("emil", time.Hour, time.Hour), "not after")
	s.malformed("lena", &investigate.Shift{On: s.on, Principal: s.id("emil")}, "from and to are needed")
	s.malformed("lena", shift("emil", 0, 8*24*time.Hour), "is longer than 24 hours")
	s.tries("lena", shift("nina", 0, time.Hour), "is not assigned")
	s.malformed("lena", shift("emil", 0, 25*time.Hour), "is longer than 24 hours")
	s.tries("lena", shift("emil", -25*time.Hour, -2*time.Hour), "not afterwards")
	s.tries("emil", shift("emil", 0, time.Hour), "alone decides")
	s.does("lena", shift("emil", -23*time.Hour, time.Hour))
	s.does("lena", shift("fay", 2*time.Hour, 3*time.Hour))
	require.Empty(t, s.picture().Uncovered, "nothing is at risk")

	s.does("lena", s.rate(1, investigate.RiskImminent))
	from := s.in(0)
	s.Pass(30 * time.Minute)
	require.Empty(t, s.picture().Uncovered)
	s.Pass(60 * time.Minute)
	gap := s.picture().Uncovered
	require.Len(t, gap, 1, "an hour after it began emil went home")
	s.Pass(4 * time.Hour)
	s.does("lena", s.rate(2, investigate.RiskNone))
	gap = s.picture().Uncovered
	require.Len(t, gap, 2, "between two shifts, and after the last")
	require.Equal(t, time.Hour, gap[0].To.Time().Sub(gap[0].From.Time()).Round(time.Minute))
	require.Less(t, from, gap[0].From)
	s.Pass(time.Hour)
	require.Equal(t, gap, s.picture().Uncovered, "it is at risk no more")

	s.does("lena", s.move(investigate.StageStabilize))
	s.to(investigate.StageClose)
	s.postMortem()
	class := &investigate.Classify{On: s.on, Basis: "the log", Example: "b", Facts: fact(func(f *investigate.Facts) { f.Cause = investigate.CauseIssue })}
	s.does("lena", class)
	end := s.end()
	s.tries("lena", end, "shifts without a gap while customer data was at risk")
	end.Uncovered = "the bridge was staffed by Contoso"
	s.does("lena", end)
}

// end closes the incident as resolved.
func (s *story) end() *investigate.Close {
	return &investigate.Close{On: s.on, Happened: s.now(), End: investigate.EndResolved, Notification: "not triggered: no customer data", Restored: s.in(0)}
}

// TestNotes: what was done, advised, decided and told, by whom that is, and with whom
// (WP-35, WP-43 to WP-46, WP-48, WP-50, WP-51, WP-76).
func TestNotes(t *testing.T) {
	s := newStory(t)
	note := func(kind string) *investigate.Note {
		return &investigate.Note{On: s.on, Happened: s.now(), Contributors: []custody.PrincipalID{}, Text: "we looked at it", Type: kind}
	}
	told := func(kind string) *investigate.Note {
		n := note(kind)
		n.Audience, n.Contributors = "all tenants", []custody.PrincipalID{s.id("lena"), s.id("emil")}
		return n
	}
	s.malformed("lena", note("rumour"), "no kind of note")
	s.malformed("lena", changed(note(investigate.NoteActivity), func(n *investigate.Note) { n.Text = "" }), "text is missing")
	s.tries("nina", note(investigate.NoteActivity), hidden)
	for _, who := range []string{"stef", "cleo", "emil"} {
		s.does(who, note(investigate.NoteActivity))
	}
	s.does("lex", note(investigate.NoteAdvice))
	s.tries("emil", note(investigate.NoteDecision), "none of the roles")
	s.does("lena", note(investigate.NoteDecision))
	s.does("exa", note(investigate.NoteDecision))
	for _, kind := range []string{investigate.NoteCustomers, investigate.NoteSupport} {
		s.tries("carl", note(kind), "say who was told")
		s.tries("carl", changed(told(kind), func(n *investigate.Note) { n.Contributors = nil }), "names who else contributed")
		s.tries("carl", changed(told(kind), func(n *investigate.Note) { n.Contributors = []custody.PrincipalID{s.id("nina")} }), "is not assigned")
		s.tries("lena", told(kind), "none of the roles")
		s.does("carl", told(kind))
	}
	s.tries("carl", note(investigate.NoteDraft), "names who else contributed")
	s.tries("carl", changed(told(investigate.NoteDraft), func(n *investigate.Note) { n.Contributors = []custody.PrincipalID{s.id("carl")} }), "names who else contributed")
	s.tries("stef", told(investigate.NoteDraft), "none of the roles")
	s.does("carl", told(investigate.NoteDraft))
	s.tries("lex", told(investigate.NoteExecutive), "none of the roles")
	s.does("exa", told(investigate.NoteExecutive))
	s.looks(func(_ custody.View, i *investigate.Incident) { require.Len(t, i.Notes, 10) })
}

// TestHandOversByOthers: the manager or the executive lets somebody hand over, who
// himself decides; nobody takes a role by himself, and nobody gets it who is not ready
// (WP-24, WP-29, WP-34, WP-120).
func TestHandOversByOthers(t *testing.T) {
	s := newStory(t)
	hand := func(from, to string, r custody.Role) *investigate.HandOver {
		return &investigate.HandOver{On: s.on, Happened: s.now(), From: s.id(from), To: s.id(to), Role: r}
	}
	s.tries("mia", hand("olga", "mia", custody.RoleOnCall), "hands over himself")
	s.tries("emil", hand("olga", "mia", custody.RoleOnCall), "hands over himself")
	s.does("ada", &custody.GrantRole{Principal: s.id("lena"), Role: custody.RoleOnCall})
	s.tries("lena", hand("olga", "lena", custody.RoleOnCall), "nobody takes a role by himself")
	s.tries("lena", hand("emil", "fay", custody.RoleForensicEngineer), "already")
	s.does("exa", hand("olga", "mia", custody.RoleOnCall)) // the executive
	s.does("lena", hand("mia", "olga", custody.RoleOnCall))
	s.does("ada", &custody.SuspendPrincipal{Principal: s.id("mia")})
	s.tries("olga", hand("olga", "mia", custody.RoleOnCall), "is suspended")
	s.does("lena", &investigate.Discharge{On: s.on, Happened: s.now(), Principal: s.id("fay"), Role: custody.RoleForensicEngineer})
	s.tries("emil", &investigate.Discharge{On: s.on, Happened: s.now(), Principal: s.id("cleo"), Role: custody.RoleCustomerSupport}, "alone decides")
	apprentice := s.appoint("olga", custody.RoleIncidentManager)
	apprentice.Shadow = true
	s.does("lena", apprentice)
	s.tries("olga", s.repair(), "alone decides")
}

// TestBackByAnException: otherwise than between Diagnose and Stabilize & Recover an
// incident goes back for a reason on record, and comes forward again by the same gates
// (WP-53, WP-55).
func TestBackByAnException(t *testing.T) {
	s := newStory(t).to(investigate.StageClose)
	for _, stage := range order[:4] {
		s.tries("lena", s.move(stage), "by an exception")
	}
	back := s.move(investigate.StageDetect)
	back.Exception = "it is another incident"
	s.tries("emil", back, "alone decides")
	s.does("lena", back)
	s.tries("lena", s.move(investigate.StageDiagnose), "goes to assess first")
	for _, stage := range order[1:3] {
		s.does("lena", s.move(stage))
	}
	open := s.takes("emil", "EX-9", "log", logBytes)
	s.tries("lena", s.move(investigate.StageStabilize), "not catalogued")
	s.sound(open, logBytes)
	s.does("lena", s.move(investigate.StageStabilize))
	s.does("lena", s.move(investigate.StageClose))
	s.looks(func(_ custody.View, i *investigate.Incident) {
		require.Len(t, i.Stages, 9)
		require.Equal(t, "it is another incident", i.Stages[4].Exception)
		require.EqualValues(t, 2, i.Definition)
	})
}

// TestTheEnds: an incident is closed as what it was, by its manager, once that is on
// record; and how customers were notified, or why not (WP-18, WP-20, WP-38, WP-84,
// WP-92).
func TestTheEnds(t *testing.T) {
	s := newStory(t)
	end := s.end()
	s.malformed("lena", changed(end, func(c *investigate.Close) { c.End = "forgotten" }), "is none of")
	s.malformed("lena", changed(end, func(c *investigate.Close) { c.Restored = s.in(time.Hour) }), "restored is in the future")
	s.tries("lena", end, "stage close-post-mortem")
	s.to(investigate.StageDiagnose)
	s.does("lena", s.unscoped())
	s.to(investigate.StageClose)
	lacks := func(why string) {
		t.Helper()
		end.Happened, end.Restored = s.now(), s.in(0)
		s.tries("lena", end, why)
	}
	lacks("whether it is a security incident")
	s.does("lena", &investigate.Classify{On: s.on, Basis: "the log", Example: "b", Facts: fact(func(f *investigate.Facts) { f.Cause = investigate.CauseIssue })})
	lacks("whose responsibility it was")
	require.Contains(t, s.picture().Open, "whose responsibility it is")
	scope := s.unscoped()
	scope.Responsibility = investigate.ByProvider
	s.does("lena", scope)
	lacks("the post-mortem")
	s.postMortem()
	s.tries("lena", changed(s.end(), func(c *investigate.Close) { c.Restored = 0 }), "when normal security and operations were restored")
	s.tries("lena", changed(s.end(), func(c *investigate.Close) { c.Notification = "" }), "why that was not triggered")
	for _, c := range []struct{ end, why string }{
		{investigate.EndFalse, "says that the alarm was false"}, {investigate.EndCustomer, "the customer alone is responsible"},
		{investigate.EndOperation, "who accepted it"}, {investigate.EndNotRaised, "stage assess"},
	} {
		s.tries("lena", changed(s.end(), func(x *investigate.Close) { x.End = c.end }), c.why)
	}
	for _, who := range []string{"emil", "olga", "exa"} {
		s.tries(who, s.end(), "alone decides")
	}
	s.does("lena", s.end())
	s.tries("lena", s.end(), "is closed")
}

// unscoped says anew that nobody knows yet whose responsibility it is.
func (s *story) unscoped() *investigate.Scope {
	s.t.Helper()
	a := &investigate.Scope{On: s.on, Layer: "host", Model: "iaas", Responsibility: investigate.Undetermined}
	s.looks(func(_ custody.View, i *investigate.Incident) { a.Replaces.Replaces = i.Scopes[len(i.Scopes)-1].ID })
	return a
}

// TestNoSecurityIncident: what is classified as a security incident does not end as
// none, whatever else is said (WP-1, WP-2, WP-18, WP-92).
func TestNoSecurityIncident(t *testing.T) {
	s := newStory(t).to(investigate.StageAssess)
	s.does("olga", &investigate.Assess{On: s.on, Impact: "none", Privacy: "no", Security: "no"})
	s.does("lena", &investigate.Transfer{
		On: s.on, Happened: s.now(), Accepted: "Ben", Direction: investigate.TransferTo, Reference: "BCP-1", Team: "business-continuity",
	})
	for _, end := range []string{investigate.EndNot, investigate.EndFalse} {
		s.tries("lena", changed(s.end(), func(c *investigate.Close) { c.End = end }), "a classification by which it is no security incident")
	}
	class := &investigate.Classify{On: s.on, Basis: "the log", Example: "h", SecurityIncident: true, Facts: fact(func(f *investigate.Facts) {
		f.Access, f.Results = investigate.AccessUnauthorized, []string{investigate.ResultDisclosure}
	})}
	first := s.does("lena", class)
	for _, end := range []string{investigate.EndNot, investigate.EndFalse, investigate.EndOperation, investigate.EndNotRaised, investigate.EndCustomer} {
		s.tries("lena", changed(s.end(), func(c *investigate.Close) { c.End = end }), "no security incident")
	}
	s.does("lena", &investigate.Classify{
		On: s.on, Basis: "the log, again", Example: "f", Facts: fact(func(f *investigate.Facts) { f.Cause = investigate.CauseDenial }), Replaces: investigate.Replaces{Replaces: first},
	})
	s.does("lena", changed(s.end(), func(c *investigate.Close) { c.End = investigate.EndOperation }))
	s.looks(func(_ custody.View, i *investigate.Incident) { require.Empty(t, i.Declarations) })
}

// TestADeclaredBreach is taken back by whoever declared it before the incident ends as
// none (WP-1, WP-52).
func TestADeclaredBreach(t *testing.T) {
	s := newStory(t).to(investigate.StageAssess)
	first := s.does("lena", &investigate.Classify{On: s.on, Basis: "the log", Example: "h", SecurityIncident: true, Facts: fact(func(f *investigate.Facts) {
		f.Access, f.Results = investigate.AccessUnauthorized, []string{investigate.ResultDisclosure}
	})})
	s.does("exa", &investigate.Declare{On: s.on, Happened: s.now(), Declared: true, Limb: "unauthorized access, disclosure"})
	s.does("lena", &investigate.Classify{
		On: s.on, Basis: "the log, again", Example: "b", Facts: fact(func(f *investigate.Facts) { f.Cause = investigate.CauseIssue }), Replaces: investigate.Replaces{Replaces: first},
	})
	end := func() *investigate.Close {
		return changed(s.end(), func(c *investigate.Close) { c.End = investigate.EndNot })
	}
	s.tries("lena", end(), "the breach which was declared is none")
	s.does("exa", &investigate.Declare{On: s.on, Happened: s.now(), Limb: "nobody had access"})
	s.does("lena", end())
}

// TestSupportCollects: what customer support collects comes in as evidence, with who
// collected it (WP-48); an expert of a service takes nothing in, and gets no bytes of
// what others did (WP-47, WP-75).
func TestSupportCollects(t *testing.T) {
	s := newStory(t)
	id := s.takes("cleo", "CU-1", "log", logBytes)
	s.looks(func(v custody.View, _ *investigate.Incident) {
		item, err := custody.ItemIn(v, s.incident, id)
		require.NoError(t, err)
		require.Equal(t, s.id("cleo"), item.SealedBy)
	})
	s.tries("stef", beginning(t, s.incident, "CU-2", "log"), hidden)
	s.tries("stef", &custody.RetrieveEvidence{Evidence: id, Length: 1}, hidden)
	s.does("emil", &custody.RetrieveEvidence{Evidence: id, Length: 1})
}

// TestNotReopenedWithoutItsKeys: an incident whose keys are destroyed takes nothing in,
// not even another post-mortem, and would never be resolved again.
func TestNotReopenedWithoutItsKeys(t *testing.T) {
	s := newStory(t).to(investigate.StageClose)
	s.closed()
	two := func(act func(seconds custody.Digest) custody.Act) {
		s.does("exa", act(s.does("lena", act(custody.Digest{}))))
	}
	holds := map[custody.EvidenceID]custody.Digest{}
	s.looks(func(v custody.View, i *investigate.Incident) {
		for _, id := range i.Items() {
			item, err := custody.ItemIn(v, s.incident, id)
			require.NoError(t, err)
			for _, h := range item.Holds {
				holds[id] = h.ID
			}
		}
	})
	for id, hold := range holds {
		two(func(d custody.Digest) custody.Act {
			return &custody.LiftHold{Authority: "a court", Evidence: id, Hold: hold, Seconds: d}
		})
	}
	two(func(d custody.Digest) custody.Act { return &investigate.Retain{Incident: s.incident, Seconds: d} })
	two(func(d custody.Digest) custody.Act { return &custody.ShredIncident{Incident: s.incident, Seconds: d} })
	s.tries("lena", &investigate.Reopen{On: s.on, Happened: s.now()}, "the keys of incident "+string(s.incident)+" are destroyed")
}

// TestReopened: whoever led it takes it up again, in Diagnose; how it was closed stays
// (WP-53).
func TestReopened(t *testing.T) {
	s := newStory(t).to(investigate.StageClose)
	s.closed()
	reopen := &investigate.Reopen{On: s.on, Happened: s.now()}
	s.tries("emil", reopen, "alone decides")
	s.does("lena", reopen)
	s.tries("lena", reopen, "is not closed")
	s.looks(func(_ custody.View, i *investigate.Incident) {
		require.Equal(t, investigate.StageDiagnose, i.Stage())
		require.Len(t, i.Reopened, 1)
		require.Equal(t, investigate.EndResolved, i.Reopened[0].Act.End)
		require.Contains(t, i.Stages[len(i.Stages)-1].Exception, "because")
	})
	s.tries("lena", s.end(), "stage close-post-mortem")
	s.does("lena", s.move(investigate.StageStabilize))
	s.does("lena", s.move(investigate.StageClose))
	s.tries("lena", s.end(), "of what came since it was reopened")
	var issued investigate.Entry[investigate.PostMortem]
	s.looks(func(_ custody.View, i *investigate.Incident) { issued = i.PostMortems[0] })
	again := s.issue(issued.Act.Evidence)
	again.Replaces.Replaces = issued.ID
	s.does("lena", again)
	s.readBack(issued.Act.Evidence, lessons, "rotten")
	s.tries("lena", s.end(), "whose text is there")
	s.readBack(issued.Act.Evidence, lessons, lessons)
	s.does("lena", s.end())
}

// TestWhatRestsOnNothing: what was said by a finding that does not stand any more is
// shown to be open (WP-69, WP-80).
func TestWhatRestsOnNothing(t *testing.T) {
	s := newStory(t).to(investigate.StageStabilize)
	require.NotContains(t, strings.Join(s.picture().Open, "\n"), "does not stand")
	s.does("emil", &investigate.WithdrawFinding{On: s.on, Finding: s.finding, Reason: "the file is older"})
	open := strings.Join(s.picture().Open, "\n")
	require.Contains(t, open, "what is said of customers rests on finding F-1, which does not stand")
}

// TestAnIndicationIsCorrected: by whoever said it, or who leads the incident; and never
// so that it left Detect before there was any (WP-56).
func TestAnIndicationIsCorrected(t *testing.T) {
	s := newStory(t)
	seen := func(at time.Duration, replaces custody.Digest) *investigate.Detection {
		return &investigate.Detection{
			On: s.on, Happened: investigate.Happened{At: s.in(at)}, Properties: []string{"integrity"}, Reference: "mail", Replaces: replaces, Source: "employee",
		}
	}
	wrong := s.does("emil", seen(-365*24*time.Hour, custody.Digest{}))
	s.does("lena", s.move(investigate.StageAssess))
	s.tries("fay", seen(-3*time.Hour, wrong), "alone corrects it")
	s.tries("emil", seen(-3*time.Hour, nothing), "there is no indication")
	s.tries("emil", seen(0, wrong), "left its first stage at")
	right := s.in(-3 * time.Hour)
	s.does("emil", seen(-3*time.Hour, wrong))
	s.tries("emil", seen(-3*time.Hour, wrong), "was corrected")
	s.looks(func(_ custody.View, i *investigate.Incident) { require.Equal(t, right, i.Detected()) })
	require.Equal(t, "D-2", s.picture().File.Detections[1].Label)
}

// TestTooManyItems: an incident that people work on has no more than its gates can look
// at; withdrawn ones do not count.
func TestTooManyItems(t *testing.T) {
	c := newTroupe(t).ready().opened()
	name, err := custody.NewName([]byte("a.log"))
	require.NoError(t, err)
	begin := &custody.BeginEvidence{AtMost: 1, Exhibit: "x", Incident: c.incident, Name: name, Type: "log"}
	i := investigate.NewIncident()
	first := custody.EvidenceID("")
	for n := range 5000 {
		s := &custody.Statement{Payload: custody.Hash(fmt.Appendf(nil, "item %d", n)), Act: &custody.BeginEvidence{Exhibit: fmt.Sprint(n), Type: "log"}}
		require.NoError(t, i.Apply(permitted, s))
		first = custody.NewEvidenceID(s.Payload)
	}
	require.NoError(t, i.MayBegin(custody.Principal{}, begin), "nobody has a role in it yet")
	apply(t, i, c.appoint("olga", custody.RoleOnCall))
	require.ErrorContains(t, i.MayBegin(custody.Principal{}, begin), "at most 5000 items")
	apply(t, i, &custody.WithdrawEvidence{Evidence: first, Incident: c.incident})
	require.NoError(t, i.MayBegin(custody.Principal{}, begin))
}

// closed closes the incident as resolved.
func (s *story) closed() {
	s.t.Helper()
	s.does("lena", &investigate.Classify{On: s.on, Basis: "the log", Example: "b", Facts: fact(func(f *investigate.Facts) { f.Cause = investigate.CauseIssue })})
	s.postMortem()
	s.does("lena", s.end())
}

// TestAClosedIncident takes nothing in but what is left to do after it: repair items,
// summaries, a hand-over, clearances; and its reopening.
func TestAClosedIncident(t *testing.T) {
	s := newStory(t).to(investigate.StageClose)
	s.closed()
	for kind, create := range investigate.Acts() {
		act := create()
		switch kind {
		case investigate.KindOpen, investigate.KindRota, investigate.KindProcedure, investigate.KindReviewDefaults,
			investigate.KindReportVulnerability, investigate.KindAssessVulnerability, investigate.KindFixVulnerability, investigate.KindAcceptVulnerability, // of no incident
			investigate.KindAssign, investigate.KindUnassign, investigate.KindRetain,
			investigate.KindReopen, investigate.KindHandOver, investigate.KindSummary, investigate.KindApproveSummary,
			investigate.KindRepair, investigate.KindReschedule, investigate.KindRepaired, investigate.KindClear, investigate.KindWithdrawClearance:
			continue
		}
		s.looks(func(v custody.View, i *investigate.Incident) {
			reflect.ValueOf(act).Elem().FieldByName("On").Set(reflect.ValueOf(s.on))
			_, err := act.Lawful(v, &custody.Statement{Act: act, Header: custody.Header{Actor: s.id("lena"), Time: s.in(0)}})
			require.ErrorContains(t, err, "reopen it first", kind)
		})
	}
	s.does("lena", s.repair())
	s.does("lena", &investigate.HandOver{On: s.on, Happened: s.now(), From: s.id("lena"), To: s.id("mia"), Role: custody.RoleIncidentManager})
	s.tries("lena", s.repair(), "alone decides")
	s.does("mia", s.repair())
}

// TestPicture: what is missing for the next stage, what is open, and how long it took,
// by when it happened and not by when it was said (WP-7, WP-54, WP-56, WP-66).
func TestPicture(t *testing.T) {
	s := newStory(t)
	p := s.picture()
	require.Equal(t, investigate.StageDetect, p.Stage)
	require.Equal(t, investigate.StageAssess, p.Next)
	require.Equal(t, []string{"where the first indication came from (incident.detection)"}, p.Missing)
	require.Nil(t, p.Times.Diagnosed)
	began := s.in(-3 * time.Hour)
	s.does("emil", &investigate.Detection{
		On: s.on, Happened: investigate.Happened{At: began}, Properties: []string{"integrity"}, Reference: "an old log", Source: "employee",
	})
	s.to(investigate.StageDiagnose)
	diagnosed := s.picture()
	require.Equal(t, began, diagnosed.DetectedAt, "the first indication, whenever it was put on record")
	require.NotEmpty(t, diagnosed.Missing)
	s.to(investigate.StageClose)
	p = s.picture()
	require.Empty(t, p.Next)
	require.Len(t, p.Missing, 2, "%q", p.Missing)
	s.Pass(time.Hour)
	s.closed()
	p = s.picture()
	require.Empty(t, p.Missing)
	since := func(at custody.Time) int64 { return int64(at.Time().Sub(began.Time()) / time.Second) }
	require.Equal(t, since(p.File.Holders[0].From), *p.Times.Engaged)
	require.Equal(t, since(p.File.Stages[1].Entered), *p.Times.Diagnosed)
	require.Equal(t, since(p.File.Containments[1].Act.At), *p.Times.Contained)
	require.Equal(t, since(p.File.Closed.Act.Restored), *p.Times.Restored)
	require.Equal(t, *p.Times.Restored-*p.Times.Diagnosed, *p.Times.Repaired)

	all := investigate.NewProgramme([]investigate.Picture{p, p, diagnosed}, s.in(0))
	require.Equal(t, *p.Times.Restored, all.Incidents.Restored)
	require.Equal(t, *p.Times.Contained, all.Incidents.Contained)
	require.Equal(t, *p.Times.Engaged, all.Incidents.Engaged)
	require.Equal(t, map[string]int{investigate.EndResolved: 2}, all.Incidents.Closed)
	require.Equal(t, 3, all.Sources["employee"].Opened)
}

// TestNothingEndsBeforeItBegan: neither a stage nor somebody's time in a role; and two
// people have a role of one after each other (WP-29, WP-38, WP-53).
func TestNothingEndsBeforeItBegan(t *testing.T) {
	s := newStory(t)
	before := investigate.Happened{At: s.in(-30 * time.Minute)}
	s.tries("lena", &investigate.HandOver{On: s.on, Happened: before, From: s.id("lena"), To: s.id("mia"), Role: custody.RoleIncidentManager}, "which is later than")
	s.tries("lena", &investigate.Discharge{On: s.on, Happened: before, Principal: s.id("olga"), Role: custody.RoleOnCall}, "which is later than")
	s.does("lena", &investigate.Discharge{On: s.on, Happened: s.now(), Principal: s.id("olga"), Role: custody.RoleOnCall})
	again := s.appoint("olga", custody.RoleOnCall)
	again.Happened = before
	s.tries("lena", again, "which is later than")
	s.does("lena", s.appoint("olga", custody.RoleOnCall))

	s.to(investigate.StageClose)
	s.does("lena", &investigate.Classify{On: s.on, Basis: "the log", Example: "b", Facts: fact(func(f *investigate.Facts) { f.Cause = investigate.CauseIssue })})
	s.postMortem()
	s.tries("lena", changed(s.end(), func(c *investigate.Close) { c.Happened = before }), "was entered at")
	s.does("lena", s.end())
	s.tries("lena", &investigate.Reopen{On: s.on, Happened: before}, "was closed at")
}

// TestReopenedBeforeTheDiagnosis: what was closed in Assess is there again, and passes
// its gate before anything else (WP-53, WP-71).
func TestReopenedBeforeTheDiagnosis(t *testing.T) {
	s := newStory(t).to(investigate.StageAssess)
	s.does("olga", &investigate.Assess{On: s.on, Impact: "none", Privacy: "no", Security: "no"})
	s.does("lena", changed(s.end(), func(c *investigate.Close) { c.End = investigate.EndNotRaised }))
	s.does("lena", &investigate.Reopen{On: s.on, Happened: s.now()})
	s.looks(func(_ custody.View, i *investigate.Incident) { require.Equal(t, investigate.StageAssess, i.Stage()) })
	s.tries("lena", s.move(investigate.StageDiagnose), "an assessment that escalates it")
}

// TestApprentices learn a role beside whoever has it, and have nothing of its authority:
// neither do they decide, nor do they keep the place of who does (WP-120).
func TestApprentices(t *testing.T) {
	s := newStory(t).to(investigate.StageDiagnose)
	learns := func(who string, r custody.Role) {
		t.Helper()
		a := s.appoint(who, r)
		a.Shadow = true
		s.does("lena", a)
	}
	learns("carl", custody.RoleForensicEngineer)
	s.tries("carl", s.contains(investigate.RiskCustomer, true), "none of the roles")
	learns("fay", custody.RoleIncidentManager)
	s.tries("fay", s.repair(), "alone decides")
	s.tries("fay", &investigate.HandOver{On: s.on, Happened: s.now(), From: s.id("fay"), To: s.id("mia"), Role: custody.RoleIncidentManager}, "is not incident-manager")

	s.does("lena", &investigate.Discharge{On: s.on, Happened: s.now(), Principal: s.id("olga"), Role: custody.RoleOnCall})
	learns("emil", custody.RoleOnCall)
	next := s.appoint("mia", custody.RoleOnCall)
	next.Instead = "she is near"
	s.does("lena", next)
	s.tries("lena", s.appoint("olga", custody.RoleOnCall), "one hands over")
}

// TestAssessIsNotLeft before it was assessed, escalated and rated, and somebody said
// whose responsibility it is; each lack by itself (WP-32, WP-57, WP-68, WP-71).
func TestAssessIsNotLeft(t *testing.T) {
	s := newStory(t).to(investigate.StageAssess)
	lacks := func(what ...string) {
		t.Helper()
		s.tries("lena", s.move(investigate.StageDiagnose), "stage assess is not left yet")
		require.Len(t, s.picture().Missing, len(what))
		for n, w := range what {
			require.Contains(t, s.picture().Missing[n], w)
		}
	}
	lacks("a preliminary assessment", "severity and priority", "whose responsibility")
	s.does("olga", &investigate.Rate{On: s.on, DataRisk: investigate.RiskNone, Severity: 2, Priority: 3})
	lacks("a preliminary assessment", "whose responsibility")
	first := s.does("olga", &investigate.Assess{On: s.on, Impact: "web tier", Privacy: "no", Security: "yes"})
	lacks("an assessment that escalates it", "whose responsibility")
	s.does("lena", &investigate.Scope{On: s.on, Layer: "host", Model: "iaas", Responsibility: investigate.ByProvider})
	lacks("an assessment that escalates it")
	s.does("olga", &investigate.Assess{On: s.on, Escalated: true, Impact: "web tier", Privacy: "no", Security: "yes", Replaces: investigate.Replaces{Replaces: first}})
	s.does("lena", s.move(investigate.StageDiagnose))
}

// TestAssessIsNotLeftUnrated neither.
func TestAssessIsNotLeftUnrated(t *testing.T) {
	s := newStory(t).to(investigate.StageAssess)
	s.does("olga", &investigate.Assess{On: s.on, Escalated: true, Impact: "web tier", Privacy: "no", Security: "yes"})
	s.does("lena", &investigate.Scope{On: s.on, Layer: "host", Model: "iaas", Responsibility: investigate.ByProvider})
	s.tries("lena", s.move(investigate.StageDiagnose), "not left yet: severity and priority (incident.rate)")
}

// TestWhatIsAtRiskDoesNotEndAsNone: while customer data is rated as at risk, or on
// record as affected in a way of which the classification says nothing, an incident
// does not end without its post-mortem (WP-1, WP-57, WP-70, WP-92).
func TestWhatIsAtRiskDoesNotEndAsNone(t *testing.T) {
	s := newStory(t).to(investigate.StageAssess)
	risk := s.does("olga", &investigate.Assess{On: s.on, Impact: "none", Privacy: "no", Security: "yes"})
	rated := s.does("olga", &investigate.Rate{On: s.on, DataRisk: investigate.RiskConfirmed, Severity: 1, Priority: 1})
	end := func(how string) *investigate.Close {
		return changed(s.end(), func(c *investigate.Close) { c.End = how })
	}
	s.tries("lena", end(investigate.EndNotRaised), "at risk no more")
	s.does("olga", &investigate.Rate{On: s.on, DataRisk: investigate.RiskNone, Severity: 2, Priority: 2, Replaces: investigate.Replaces{Replaces: rated}})
	s.tries("lena", end(investigate.EndNotRaised), "by which it is no risk")
	s.does("olga", &investigate.Assess{On: s.on, Impact: "none", Privacy: "unknown", Security: "no", Replaces: investigate.Replaces{Replaces: risk}})
	s.does("lena", end(investigate.EndNotRaised))

	s = newStory(t).to(investigate.StageStabilize)
	var known custody.Digest
	s.looks(func(_ custody.View, i *investigate.Incident) { known = i.Customers[len(i.Customers)-1].ID })
	known = s.does("lena", &investigate.Customers{
		On: s.on, Customers: []string{"Contoso"}, Findings: []custody.Digest{s.finding}, How: "read", Impacted: "yes",
		Results: []string{investigate.ResultDisclosure}, Replaces: investigate.Replaces{Replaces: known},
	})
	s.tries("lena", end(investigate.EndOperation), "what is on record of customer data")
	class := &investigate.Classify{On: s.on, Basis: "so I say", Example: "c", Facts: fact(func(f *investigate.Facts) {
		f.Cause, f.FalsePositive, f.Results = investigate.CauseAlarm, true, []string{investigate.ResultDisclosure}
	})}
	first := s.does("lena", class)
	s.tries("lena", end(investigate.EndFalse), "what is on record of customer data")
	s.does("lena", &investigate.Classify{On: s.on, Basis: "so I say", Example: "b", Facts: fact(func(f *investigate.Facts) {
		f.Cause = investigate.CauseIssue
	}), Replaces: investigate.Replaces{Replaces: first}})
	s.tries("lena", end(investigate.EndNot), "what is on record of customer data")
	s.does("lena", &investigate.Customers{
		On: s.on, Customers: []string{}, Findings: []custody.Digest{s.finding}, Impacted: "no", Results: []string{}, Replaces: investigate.Replaces{Replaces: known},
	})
	s.does("lena", end(investigate.EndNot))
}

// TestNothingIsBeforeTheFirstIndication: no stage is entered, and nothing restored,
// before there was anything (WP-54, WP-56).
func TestNothingIsBeforeTheFirstIndication(t *testing.T) {
	s := newStory(t)
	s.does("olga", &investigate.Detection{On: s.on, Happened: s.now(), Properties: []string{"integrity"}, Reference: "mail", Source: "employee"})
	s.tries("lena", &investigate.Move{On: s.on, Happened: investigate.Happened{At: 1}, Definition: 1, Stage: investigate.StageAssess}, "first indication")
	s.tries("lena", changed(s.move(investigate.StageAssess), func(m *investigate.Move) { m.At = s.in(-time.Hour) }), "first indication")
	s = newStory(t).to(investigate.StageClose)
	s.postMortem()
	s.tries("lena", changed(s.end(), func(c *investigate.Close) { c.Restored = 1 }), "first indication")
	s.malformed("lena", changed(s.end(), func(c *investigate.Close) { c.Restored = -1 }), "restored")
}

// TestAtRiskUntilContained: while customer data is affected, and nobody has verified
// that the risk to customers is contained, it is rated as at risk (WP-70).
func TestAtRiskUntilContained(t *testing.T) {
	s := newStory(t).to(investigate.StageDiagnose)
	s.diagnosed()
	yes := &investigate.Customers{On: s.on, Customers: []string{"Contoso"}, Findings: []custody.Digest{s.finding}, How: "read", Impacted: "yes", Results: []string{"disclosure"}}
	s.looks(func(_ custody.View, i *investigate.Incident) { yes.Replaces.Replaces = i.Customers[0].ID })
	s.does("lena", yes)
	const open = "the rating says that no customer data is at risk, although it is affected and not contained"
	require.Contains(t, s.picture().Open, open)
	s.tries("lena", s.rate(2, investigate.RiskNone), "it is at risk")
	s.does("lena", s.rate(1, investigate.RiskConfirmed))
	require.NotContains(t, s.picture().Open, open)
	s.tries("lena", s.rate(1, investigate.RiskNone), "it is at risk")
	s.does("emil", s.contains(investigate.RiskBusiness, true))
	s.tries("lena", s.rate(1, investigate.RiskNone), "it is at risk")
	s.does("emil", s.contains(investigate.RiskCustomer, true))
	s.does("lena", s.rate(2, investigate.RiskNone))
	s.does("fay", s.contains(investigate.RiskCustomer, false))
	s.tries("lena", s.rate(2, investigate.RiskNone), "it is at risk")
}

// TestManyMeasuresThatAreNotDone: however many there are, the refusal has room in a
// record, and the record in a bundle: anybody who adds measures could otherwise see to it
// that the incident is never proven.
func TestManyMeasuresThatAreNotDone(t *testing.T) {
	s := newStory(t).to(investigate.StageStabilize)
	s.looks(func(v custody.View, i *investigate.Incident) {
		for n := range 25_000 {
			kind := []string{investigate.MeasureContainment, investigate.MeasureLongTerm}[n%2]
			apply(t, i, &investigate.Measure{On: s.on, Owner: s.id("emil"), Text: "x", Type: kind})
		}
		move := s.move(investigate.StageClose)
		_, err := move.Lawful(v, &custody.Statement{Act: move, Header: custody.Header{Actor: s.id("lena"), Time: s.in(0)}})
		require.ErrorContains(t, err, "a repair item (mitigation.drop) for each long-term measure: M-2, M-4, ")
		require.ErrorContains(t, err, "each measure carried out and tested, or dropped: M-1, M-3, ")
		require.ErrorContains(t, err, " and 12480 more")
		require.Less(t, len(err.Error()), 2000)
	})
}

// TestManyMeasuresOfManyFindings: what rests on what is looked up while others wait for
// their turn to read, and after each act. It took seconds.
func TestManyMeasuresOfManyFindings(t *testing.T) {
	i := investigate.NewIncident()
	said := func(n int, act custody.Act) custody.Digest {
		s := &custody.Statement{Payload: custody.Hash(fmt.Appendf(nil, "%d %T", n, act)), Act: act}
		require.NoError(t, i.Apply(permitted, s))
		return s.Payload
	}
	var findings []custody.Digest
	for n := range 2000 {
		findings = append(findings, said(n, &investigate.Finding{}))
	}
	for n := range 10_000 {
		said(n, &investigate.Measure{Findings: findings[n%1900:][:100]})
	}
	said(0, &investigate.WithdrawFinding{Finding: findings[5]})
	began := time.Now()
	open := i.Outline(investigate.Opened{}, 1).Open
	require.Less(t, time.Since(began), 2*time.Second)
	require.Contains(t, open, "measure M-1 rests on finding F-6, which does not stand")
}

// TestManyExercisesWithoutRules: likewise.
func TestManyExercisesWithoutRules(t *testing.T) {
	s := newStory(t)
	s.looks(func(v custody.View, i *investigate.Incident) {
		for range 20_000 {
			apply(t, i, &investigate.Detection{On: s.on, Exercise: true, Source: "red-team"})
		}
		move := s.move(investigate.StageAssess)
		_, err := move.Lawful(v, &custody.Statement{Act: move, Header: custody.Header{Actor: s.id("lena"), Time: s.in(0)}})
		require.ErrorContains(t, err, "the rules of engagement of exercise D-20 (incident.detection); those of 19980 exercises more")
		require.Less(t, len(err.Error()), 2000)
	})
}
