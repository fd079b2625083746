package investigate_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

// fact is the facts of a case, by what they differ in from an attack upon the
// provider's infrastructure without any harm.
func fact(change func(*investigate.Facts)) investigate.Facts {
	f := investigate.Facts{Access: investigate.AccessNone, Cause: investigate.CauseAttack, FlawBy: investigate.ByProvider, Results: []string{}}
	change(&f)
	return f
}

// TestTableOne is the first table of the white paper: seven examples of what is no
// security incident, and five of what is (WP-3, WP-4).
func TestTableOne(t *testing.T) {
	disclosed := []string{investigate.ResultDisclosure}
	for _, c := range []struct {
		example, what string
		incident      bool
		facts         investigate.Facts
	}{
		{"a", "a vulnerability that is patched as a matter of routine", false,
			fact(func(f *investigate.Facts) { f.Cause = investigate.CauseVulnerability })},
		{"b", "a security issue without disclosure of customer data", false,
			fact(func(f *investigate.Facts) {
				f.Cause, f.Access = investigate.CauseIssue, investigate.AccessUnauthorized
			})},
		{"c", "an alarm that was false", false,
			fact(func(f *investigate.Facts) { f.Cause, f.FalsePositive = investigate.CauseAlarm, true })},
		{"d", "the Red Team at work", false,
			fact(func(f *investigate.Facts) {
				f.Cause, f.Access = investigate.CauseRedTeam, investigate.AccessUnauthorized
			})},
		{"e", "a customer's deployment that he did not patch", false,
			fact(func(f *investigate.Facts) {
				f.Deployment, f.FlawBy, f.Access, f.Results = true, investigate.ByCustomer, investigate.AccessIllegal, disclosed
			})},
		{"f", "denial of service", false,
			fact(func(f *investigate.Facts) {
				f.Cause, f.Access = investigate.CauseDenial, investigate.AccessIllegal
			})},
		{"g", "a compliance event", false, fact(func(f *investigate.Facts) { f.Cause = investigate.CauseCompliance })},
		{"h", "access to infrastructure, and exfiltration", true,
			fact(func(f *investigate.Facts) { f.Access, f.Results = investigate.AccessUnauthorized, disclosed })},
		{"i", "disclosure of keys", true,
			fact(func(f *investigate.Facts) {
				f.Cause, f.Access, f.Control = investigate.CauseIssue, investigate.AccessUnauthorized, true
			})},
		{"j", "theft of disks that are not encrypted", true,
			fact(func(f *investigate.Facts) {
				f.Cause, f.Access, f.Results = investigate.CauseTheft, investigate.AccessIllegal, disclosed
			})},
		{"k", "a bug that exposes customer data", true,
			fact(func(f *investigate.Facts) {
				f.Cause, f.Access, f.Results = investigate.CauseDefect, investigate.AccessUnauthorized, disclosed
			})},
		{"l", "a customer's deployment, through a flaw of the infrastructure", true,
			fact(func(f *investigate.Facts) {
				f.Deployment, f.Access, f.Results = true, investigate.AccessIllegal, disclosed
			})},
	} {
		t.Run(c.example+" "+c.what, func(t *testing.T) {
			incident, example := c.facts.Decide()
			require.Equal(t, c.incident, incident)
			require.Equal(t, c.example, example)
		})
	}
}

// TestNearMisses: what differs in one fact is decided the other way (WP-5), and both
// limbs of the definition are needed (WP-1).
func TestNearMisses(t *testing.T) {
	incident := func(f investigate.Facts) bool { is, _ := f.Decide(); return is }
	attack := fact(func(f *investigate.Facts) {
		f.Access, f.Results = investigate.AccessUnauthorized, []string{investigate.ResultDisclosure}
	})
	with := func(f investigate.Facts, change func(*investigate.Facts)) investigate.Facts { change(&f); return f }

	require.True(t, incident(attack))
	require.False(t, incident(with(attack, func(f *investigate.Facts) { f.Access = investigate.AccessNone })), "data got out, and nobody had access without right")
	require.False(t, incident(with(attack, func(f *investigate.Facts) { f.Results = nil })), "access without right, and nothing became of the data")
	require.False(t, incident(with(attack, func(f *investigate.Facts) { f.FalsePositive = true })))

	deployment := with(attack, func(f *investigate.Facts) { f.Deployment = true })
	require.True(t, incident(deployment), "(l)")
	require.False(t, incident(with(deployment, func(f *investigate.Facts) { f.FlawBy = investigate.ByCustomer })), "(e): the customer's flaw")
	require.True(t, incident(with(deployment, func(f *investigate.Facts) { f.FlawBy = investigate.ByBoth })), "the provider's flaw, too")

	theft := with(attack, func(f *investigate.Facts) { f.Cause = investigate.CauseTheft })
	require.True(t, incident(theft), "(j)")
	require.False(t, incident(with(theft, func(f *investigate.Facts) { f.Encrypted = true })), "what was taken cannot be read")
	require.True(t, incident(with(theft, func(f *investigate.Facts) {
		f.Encrypted, f.Results = true, []string{investigate.ResultDisclosure, investigate.ResultLoss}
	})), "but it is lost")
	require.True(t, incident(with(theft, func(f *investigate.Facts) { f.Encrypted, f.Control = true, true })), "and the keys are gone, too")

	denial := with(attack, func(f *investigate.Facts) { f.Cause, f.Results = investigate.CauseDenial, nil })
	require.False(t, incident(denial), "(f)")
	require.True(t, incident(with(denial, func(f *investigate.Facts) { f.Results = []string{investigate.ResultLoss} })), "(f) with loss of data")

	red := with(attack, func(f *investigate.Facts) { f.Cause, f.Results = investigate.CauseRedTeam, nil })
	require.False(t, incident(red), "(d)")
	require.True(t, incident(with(red, func(f *investigate.Facts) { f.Results = []string{investigate.ResultAlteration} })), "(d) that touches customer data")
}

// TestClassification: it agrees with its facts, names what it corrects, and keeps it
// (WP-1, WP-6); only the executive declares, and only a security incident (WP-18,
// WP-52).
func TestClassification(t *testing.T) {
	c := newTroupe(t).ready().opened().staffed()
	class := &investigate.Classify{On: c.on, Basis: "the proxy's log", Example: "h", SecurityIncident: true, Facts: fact(func(f *investigate.Facts) {
		f.Access, f.Results = investigate.AccessUnauthorized, []string{investigate.ResultDisclosure}
	})}
	declare := func() *investigate.Declare {
		return &investigate.Declare{On: c.on, Happened: c.now(), Declared: true, Limb: "unauthorized access, disclosure"}
	}
	c.tries("exa", declare(), "is not declared")
	wrong := *class
	wrong.SecurityIncident = false
	c.tries("lena", &wrong, "it is a security incident: true")
	wrong = *class
	wrong.Example = "i"
	c.tries("lena", &wrong, `like example "h"`)
	half := *class
	half.Facts.Results = []string{}
	c.tries("lena", &half, "it is a security incident: false")
	unordered := *class
	unordered.Facts.Results = []string{investigate.ResultLoss, investigate.ResultDisclosure}
	c.malformed("lena", &unordered, "not in order")
	c.tries("emil", class, "alone decides")
	first := c.does("lena", class)
	c.tries("lena", class, "say that it replaces")
	c.tries("lena", declare(), "only the incident's executive-incident-manager")
	c.does("exa", declare())
	c.tries("lena", &investigate.Scope{On: c.on, Layer: "guest", Model: "iaas", Responsibility: investigate.ByCustomer}, "classify it anew")

	anew := *class
	anew.Facts.Results, anew.SecurityIncident, anew.Example, anew.Replaces.Replaces = []string{}, false, "b", first
	c.does("lena", &anew)
	c.tries("exa", declare(), "is not declared")
	c.does("exa", &investigate.Declare{On: c.on, Happened: c.now(), Limb: "no data was disclosed"})
	c.reads(func(_ custody.View, i *investigate.Incident) {
		require.Len(t, i.Classifications, 2)
		require.Equal(t, i.Classifications[1].ID, *i.Classifications[0].Replaced)
		require.Equal(t, "the proxy's log", i.Classifications[0].Act.Basis)
		require.Equal(t, c.id("lena"), i.Classifications[0].By)
		require.Len(t, i.Declarations, 2)
	})
	// The right to declare is handed over on record, and back (WP-52).
	c.does("ada", &custody.GrantRole{Principal: c.id("mia"), Role: custody.RoleExecutive})
	c.does("lena", &custody.QualifyPrincipal{Principal: c.id("mia"), Role: custody.RoleExecutive, Training: "t", Experience: "e", Authority: "Exa's delegation", Until: c.in(1e15)})
	c.does("exa", &investigate.HandOver{On: c.on, Happened: c.now(), From: c.id("exa"), To: c.id("mia"), Role: custody.RoleExecutive})
	c.tries("exa", &investigate.Declare{On: c.on, Happened: c.now(), Limb: "no"}, "only the incident's")
	c.does("mia", &investigate.Declare{On: c.on, Happened: c.now(), Limb: "no"})
}

// TestResponsibility: who is responsible by default, and that another's is said with
// a reason (WP-15, WP-16).
func TestResponsibility(t *testing.T) {
	for _, c := range []struct{ model, layer, by string }{
		{"on-premises", "datacenter", investigate.ByCustomer}, {"on-premises", "data", investigate.ByCustomer},
		{"iaas", "host", investigate.ByProvider}, {"iaas", "datacenter", investigate.ByProvider}, {"iaas", "guest", investigate.ByCustomer},
		{"paas", "platform", investigate.ByProvider}, {"paas", "application", investigate.ByCustomer},
		{"saas", "application", investigate.ByProvider}, {"saas", "data", investigate.ByCustomer},
	} {
		require.Equal(t, c.by, investigate.ResponsibilityFor(c.model, c.layer), "%s %s", c.model, c.layer)
	}
	c := newTroupe(t).ready().opened().staffed()
	scope := &investigate.Scope{On: c.on, Layer: "guest", Model: "iaas", Responsibility: investigate.ByProvider}
	c.tries("lena", scope, "say why not")
	c.tries("emil", scope, "alone decides")
	scope.Override = "the image was the provider's"
	first := c.does("lena", scope)
	c.does("lena", &investigate.Scope{On: c.on, Layer: "guest", Model: "iaas", Responsibility: investigate.ByCustomer, Replaces: investigate.Replaces{Replaces: first}})
}

// TestTheCustomersArea: evidence from there takes his request, or another authority
// (WP-17); and what is only his ends as his (WP-2, WP-18, WP-22).
func TestTheCustomersArea(t *testing.T) {
	c := newTroupe(t).ready().opened().staffed()
	c.does("lena", &investigate.Scope{On: c.on, Layer: "guest", Model: "iaas", Responsibility: investigate.ByCustomer})
	name, err := custody.NewName([]byte("guest.log"))
	require.NoError(t, err)
	begin := &custody.BeginEvidence{AtMost: 1, Exhibit: "1", Incident: c.incident, Name: name, Type: "log"}
	c.tries("emil", begin, "customer's area")
	request := &investigate.Request{On: c.on, Happened: c.now(), Authority: "their CISO", Customer: "Contoso", Reference: "ticket 12"}
	c.tries("emil", request, "alone decides")
	c.does("cleo", request)
	c.does("emil", begin)

	class := &investigate.Classify{On: c.on, Basis: "the proxy's log", Example: "l", SecurityIncident: true, Facts: fact(func(f *investigate.Facts) {
		f.Access, f.Deployment, f.Results = investigate.AccessUnauthorized, true, []string{investigate.ResultDisclosure}
	})}
	c.tries("lena", class, "no incident of the provider")
	class.Facts.FlawBy, class.SecurityIncident, class.Example = investigate.ByCustomer, false, "e"
	c.does("lena", class)

	transfer := &investigate.Transfer{On: c.on, Happened: c.now(), Direction: investigate.TransferTo, Reference: "SR-8", Team: "customer-support"}
	end := &investigate.Close{On: c.on, Happened: c.now(), End: investigate.EndOperation, Notification: "not triggered: his own deployment"}
	c.tries("lena", end, "who accepted it")
	c.tries("lena", transfer, "names who accepted it")
	transfer.Accepted = "Ben of support"
	c.tries("lena", transfer, "service contract")
	transfer.Contract = "premier 7"
	c.does("lena", transfer)
	other := *end
	other.End = investigate.EndFalse
	c.tries("lena", &other, "says that the alarm was false")
	other.End = investigate.EndResolved
	c.tries("lena", &other, "the post-mortem")
	other.End = investigate.EndCustomer
	c.does("lena", &other)
}

// TestFalseAlarms are counted by where they came from (WP-8), exercises apart (WP-64).
func TestFalseAlarms(t *testing.T) {
	picture := func(source string, end string, exercise bool) investigate.Picture {
		p := investigate.Picture{}
		p.File.Detections = []investigate.Entry[investigate.Detection]{{Act: investigate.Detection{Source: source, Exercise: exercise}}}
		if end != "" {
			p.File.Closed = &investigate.Entry[investigate.Close]{Act: investigate.Close{End: end}}
		}
		return p
	}
	p := investigate.NewProgramme([]investigate.Picture{
		picture("operator", investigate.EndFalse, false), picture("operator", investigate.EndResolved, false), picture("operator", "", false),
		picture("employee", investigate.EndFalse, false), picture("red-team", investigate.EndFalse, true),
	}, 0)
	require.Equal(t, 4, p.Incidents.Opened)
	require.Equal(t, 2, p.Incidents.FalsePositives)
	require.Equal(t, 1, p.Sources["operator"].FalsePositives)
	require.Equal(t, 3, p.Sources["operator"].Opened)
	require.Equal(t, 1, p.Sources["employee"].FalsePositives)
	require.NotContains(t, p.Sources, "red-team")
	require.Equal(t, 1, p.Exercises.FalsePositives)
}

// TestExercisesHaveRules: an exercise names a procedure in force as its rules of
// engagement, or does not leave Detect; and no real indication has any (WP-64).
func TestExercisesHaveRules(t *testing.T) {
	s := newStory(t)
	d := &investigate.Detection{
		On: s.on, Happened: s.now(), Exercise: true, Properties: []string{"integrity"}, Reference: "exercise 7", Source: "blue-team", Rules: "exercises", Version: 1,
	}
	s.malformed("emil", changed(d, func(d *investigate.Detection) { d.Version = 0 }), "given together")
	s.malformed("emil", changed(d, func(d *investigate.Detection) { d.Rules = "" }), "given together")
	s.malformed("emil", changed(d, func(d *investigate.Detection) { d.Rules = "two\nlines" }), "rules")
	s.tries("emil", d, "version 1 of procedure \"exercises\" is not in force")
	rules := &investigate.Procedure{Name: "exercises", Steps: []investigate.ProcedureStep{{Name: "no customer data is touched", Stage: investigate.StageDetect}}, Version: 1}
	s.does("lena", rules)
	s.tries("emil", changed(d, func(d *investigate.Detection) { d.Exercise = false }), "are an exercise's")
	s.does("lena", changed(rules, func(p *investigate.Procedure) { p.Version = 2 }))
	s.tries("emil", d, "version 1 of procedure \"exercises\" is not in force")
	bare := s.does("emil", changed(d, func(d *investigate.Detection) { d.Rules, d.Version = "", 0 }))
	d.Version = 2
	s.does("emil", d)
	require.Contains(t, s.picture().Missing, "the rules of engagement of exercise D-1 (incident.detection)")
	require.Contains(t, s.picture().Open, "the rules of engagement of exercise D-1")
	require.Equal(t, 1, investigate.NewProgramme([]investigate.Picture{s.picture()}, 0).Unruled)
	s.tries("lena", s.move(investigate.StageAssess), "the rules of engagement of exercise D-1")
	d.Replaces = bare
	run := s.does("emil", d)
	require.Zero(t, investigate.NewProgramme([]investigate.Picture{s.picture()}, 0).Unruled)
	s.does("lena", changed(rules, func(p *investigate.Procedure) { p.Version = 3 })) // what it is run by stays
	s.does("lena", s.move(investigate.StageAssess))
	s.tries("emil", changed(d, func(d *investigate.Detection) { d.Replaces, d.Version = run, 1 }), "is not in force")
	s.does("emil", changed(d, func(d *investigate.Detection) { d.Replaces, d.Reference = run, "exercise 8" })) // by no others than it was run by
	d.Replaces = custody.Digest{}
	s.tries("emil", d, "is not in force")
	d.Rules, d.Version = "", 0
	s.tries("emil", d, "name the procedure")
	d.Exercise = false
	s.does("emil", d)
}

// TestOneWordMakesNoExercise: what is detected for real is counted, though somebody says
// later that it is an exercise (WP-64, WP-122, WP-123).
func TestOneWordMakesNoExercise(t *testing.T) {
	p := investigate.Picture{}
	said := func(exercise bool) {
		p.File.Detections = append(p.File.Detections, investigate.Entry[investigate.Detection]{Act: investigate.Detection{Source: "operator", Exercise: exercise}})
	}
	said(false)
	said(true)
	r := investigate.NewProgramme([]investigate.Picture{p}, 0)
	require.Equal(t, 1, r.Incidents.Opened)
	require.Equal(t, 0, r.Exercises.Opened)
}
