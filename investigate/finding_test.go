package investigate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

// examined is a world, by the default policy, with an incident that a team of people
// who are ready for their roles examines.
type examined struct {
	*guardtest.World
	t        *testing.T
	incident custody.IncidentID
	on       investigate.On

	ada, xena      *guardtest.Person // administrator, executive
	olga, mona     *guardtest.Person // on call, incident manager
	eve, fritz     *guardtest.Person // forensic engineers
	sven, lee, cam *guardtest.Person // expert of a service, legal advisor, communications manager
}

// newExamined comes as far as the team's appointment: the incident is in its first
// stage.
func newExamined(t *testing.T) *examined {
	t.Helper()
	ctx := t.Context()
	w, err := guardtest.New(ctx, guardtest.Setup{Seed: 3})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	x := &examined{World: w, t: t}
	for _, e := range []struct {
		who  **guardtest.Person
		name string
		role custody.Role
	}{
		{&x.ada, "Ada", ""}, {&x.xena, "Xena", custody.RoleExecutive}, {&x.olga, "Olga", custody.RoleOnCall},
		{&x.mona, "Mona", custody.RoleIncidentManager}, {&x.eve, "Eve", custody.RoleForensicEngineer},
		{&x.fritz, "Fritz", custody.RoleForensicEngineer}, {&x.sven, "Sven", custody.RoleServiceExpert},
		{&x.lee, "Lee", custody.RoleLegalAdvisor}, {&x.cam, "Cam", custody.RoleCommunications},
	} {
		*e.who, err = w.Person(e.name)
		require.NoError(t, err)
		if e.role == "" {
			require.NoError(t, x.ada.Enrols(ctx, *e.who))
			continue
		}
		require.NoError(t, x.ada.Enrols(ctx, *e.who, e.role))
		if e.role != custody.RoleExecutive && e.role != custody.RoleLegalAdvisor {
			x.does(x.xena, &custody.QualifyPrincipal{
				Apprenticeship: "beside Xena, 2025", Authority: "the CISO's letter", Experience: "three years", Principal: (*e.who).ID,
				Role: e.role, Training: "a course", Until: x.now().Add(24 * time.Hour * 365),
			})
		}
	}
	x.incident = custody.NewIncidentID(x.does(x.olga, &investigate.Open{Class: investigate.Security, DetectedAt: x.now(), Title: "a login at night"}))
	x.on = investigate.On{Incident: x.incident}
	for _, p := range []*guardtest.Person{x.mona, x.eve, x.fritz, x.sven, x.lee, x.cam} {
		x.does(x.olga, &investigate.Assign{Incident: x.incident, Principal: p.ID})
	}
	x.does(x.mona, &investigate.Assign{Incident: x.incident, Principal: x.olga.ID})
	appoint := func(by, who *guardtest.Person, role custody.Role, of string) {
		x.does(by, &investigate.Appoint{
			On: x.on, Happened: x.happened(), Principal: who.ID, Role: role, Service: of, Instead: "there is no rota yet",
		})
	}
	appoint(x.mona, x.olga, custody.RoleOnCall, "")
	appoint(x.olga, x.mona, custody.RoleIncidentManager, "")
	appoint(x.mona, x.eve, custody.RoleForensicEngineer, "")
	appoint(x.mona, x.fritz, custody.RoleForensicEngineer, "")
	appoint(x.mona, x.sven, custody.RoleServiceExpert, "web")
	appoint(x.mona, x.lee, custody.RoleLegalAdvisor, "")
	appoint(x.mona, x.cam, custody.RoleCommunications, "")
	return x
}

// diagnosing comes as far as stage Diagnose.
func diagnosing(t *testing.T) *examined {
	t.Helper()
	x := newExamined(t)
	x.does(x.mona, &investigate.Detection{
		On: x.on, Happened: x.happened(), Properties: []string{"confidentiality"}, Reference: "SOC-1", Source: "monitoring-anomaly",
	})
	x.moves(investigate.StageAssess)
	x.does(x.mona, &investigate.Assess{On: x.on, Escalated: true, Impact: "a server", Privacy: "unknown", Security: "yes"})
	x.does(x.mona, &investigate.Rate{On: x.on, DataRisk: investigate.RiskNone, Priority: 2, Severity: 2})
	x.does(x.mona, &investigate.Scope{On: x.on, Layer: "host", Model: "iaas", Responsibility: investigate.ByProvider})
	x.moves(investigate.StageDiagnose)
	return x
}

func (x *examined) now() custody.Time { return custody.TimeOf(x.Now()) }

func (x *examined) happened() investigate.Happened { return investigate.Happened{At: x.now()} }

func (x *examined) move(stage string) *investigate.Move {
	return &investigate.Move{On: x.on, Happened: x.happened(), Definition: investigate.Newest().Version, Stage: stage}
}

func (x *examined) moves(stage string) { x.t.Helper(); x.does(x.mona, x.move(stage)) }

// does has somebody do what is permitted, and returns by what others name it.
func (x *examined) does(who *guardtest.Person, act custody.Act) custody.Digest {
	x.t.Helper()
	raw, err := who.Sign("because", act)
	require.NoError(x.t, err)
	a, err := x.Admit(x.t.Context(), raw, "")
	require.NoError(x.t, err)
	require.True(x.t, a.Permit, "%s: %s", act.Kind(), a.Reason)
	return guardtest.PayloadOf(raw)
}

// refused has somebody do what is refused. That he tried, and why it was refused,
// is on record; and the incident's file is as it was.
func (x *examined) refused(who *guardtest.Person, act custody.Act, why string) {
	x.t.Helper()
	before := x.file()
	raw, err := who.Sign("because", act)
	require.NoError(x.t, err)
	a, err := x.Admit(x.t.Context(), raw, "")
	require.NoError(x.t, err)
	require.False(x.t, a.Permit, "this was to be refused because %s", why)
	require.Contains(x.t, a.Reason, why)
	stored, err := x.Store.ByPayload(x.t.Context(), guardtest.PayloadOf(raw))
	require.NoError(x.t, err)
	r, err := custody.ParseRecord(stored.Record)
	require.NoError(x.t, err)
	require.False(x.t, r.Decision.Permit)
	require.Contains(x.t, r.Decision.Reason, why)
	require.Equal(x.t, before, x.file())
}

// malformed is an act that nobody can put on record, refused or not.
func (x *examined) malformed(act custody.Act, why string) {
	x.t.Helper()
	raw, err := x.eve.Sign("because", act)
	require.NoError(x.t, err)
	_, err = x.Admit(x.t.Context(), raw, "")
	require.ErrorContains(x.t, err, why)
}

// looks shows the incident and what else is on record.
func (x *examined) looks(at func(v custody.View, i *investigate.Incident)) {
	x.t.Helper()
	require.NoError(x.t, x.Survey(x.t.Context(), func(v custody.View) error {
		state, err := v.State(x.incident.Stream())
		if err == nil {
			at(v, state.(*investigate.Incident))
		}
		return err
	}))
}

// file is the incident's file as it is given out.
func (x *examined) file() (text string) {
	x.t.Helper()
	x.looks(func(_ custody.View, i *investigate.Incident) {
		b, err := custody.Encode(i.File)
		require.NoError(x.t, err)
		text = string(b)
	})
	return text
}

// announce begins an item.
func (x *examined) announce(by *guardtest.Person, exhibit, kind string) custody.EvidenceID {
	x.t.Helper()
	name, err := custody.NewName([]byte(exhibit + ".bin"))
	require.NoError(x.t, err)
	return custody.NewEvidenceID(x.does(by, &custody.BeginEvidence{AtMost: 1 << 20, Exhibit: exhibit, Incident: x.incident, Name: name, Type: kind}))
}

// seal says which bytes an item is.
func (x *examined) seal(by *guardtest.Person, id custody.EvidenceID, bytes string) {
	x.t.Helper()
	tree := custody.NewTreeHash(nil)
	_, err := tree.Write([]byte(bytes))
	require.NoError(x.t, err)
	x.does(by, &custody.SealEvidence{
		Acquisition: custody.Acquisition{
			Authority:   custody.Authority{Kind: "policy", Reference: "incident response policy 4.2"},
			CollectedAt: "2026-11-23T20:41:00+01:00", Method: "dead", Place: "office, room 4", WriteBlock: "Tableau T8u",
			Source: custody.Source{Description: "server"}, Tool: &custody.Tool{Name: "dd", Version: "9.1", Settings: "bs=1M"},
			Coverage: &custody.Coverage{First: "2026-11-20T00:00:00Z", Last: "2026-11-22T00:00:00Z"},
			Unread:   &custody.Unread{}, Seal: &custody.BagSeal{Bag: "B-1", Seal: "S-1"},
		},
		Artifact: tree.Finish(), Evidence: id, Incident: x.incident,
	})
}

// takesIn takes an item in.
func (x *examined) takesIn(by *guardtest.Person, exhibit, kind, bytes string) custody.EvidenceID {
	x.t.Helper()
	id := x.announce(by, exhibit, kind)
	x.seal(by, id, bytes)
	return id
}

// checked has the service read an item back.
func (x *examined) checked(id custody.EvidenceID, sealed, found string) {
	x.t.Helper()
	_, err := x.Attest(x.t.Context(), "read back", &custody.CheckEvidence{Evidence: id, Intact: sealed == found, SHA256: custody.Hash([]byte(found))})
	require.NoError(x.t, err)
}

// cite is a citation with the digest of the item's bytes.
func cite(t *testing.T, text, bytes string) investigate.Citation {
	t.Helper()
	c := investigate.Citation{SHA256: custody.Hash([]byte(bytes))}
	require.NoError(t, c.Set(text))
	return c
}

// finding is one that lacks nothing.
func (x *examined) finding(citations ...investigate.Citation) *investigate.Finding {
	return &investigate.Finding{
		On: x.on, Alternatives: []string{"an administrator at work: nobody was"}, Citations: citations, Confidence: "moderate",
		Fact: "line 2 has a login of root", Indicators: []investigate.Indicator{{Type: "ip", Value: "203.0.113.7"}},
		Interpretation: "the intruder had root's password", Limits: "only the log was read", Status: investigate.FindingEstablished,
		Techniques: []string{"T1078", "T1059.004"}, Title: "a login as root",
	}
}

func with[T any](v *T, change func(*T)) *T {
	c := *v
	change(&c)
	return &c
}

const logText = "one\ntwo: root\nthree\n"

// TestFindings tries what makes no finding (S-33, S-34, WP-40, WP-78).
func TestFindings(t *testing.T) {
	x := newExamined(t)
	log := x.takesIn(x.eve, "EX-1", "log", logText)
	empty := x.takesIn(x.eve, "EX-2", "physical", "")
	unsealed := x.announce(x.eve, "EX-3", "disk")
	gone := x.announce(x.eve, "EX-4", "disk")
	x.does(x.eve, &custody.WithdrawEvidence{Evidence: gone, Incident: x.incident})
	good := x.finding(cite(t, string(log)+":for:line=2", logText))
	type finding = investigate.Finding

	x.refused(x.eve, good, "that is for the stages diagnose and stabilize-recover; the incident is in detect")
	x.does(x.mona, &investigate.Detection{On: x.on, Happened: x.happened(), Properties: []string{"integrity"}, Reference: "SOC-1", Source: "operator"})
	x.moves(investigate.StageAssess)
	x.refused(x.eve, good, "the incident is in assess")
	x.does(x.mona, &investigate.Assess{On: x.on, Escalated: true, Impact: "a server", Privacy: "no", Security: "yes"})
	x.does(x.mona, &investigate.Rate{On: x.on, DataRisk: investigate.RiskNone, Priority: 2, Severity: 2})
	x.does(x.mona, &investigate.Scope{On: x.on, Layer: "host", Model: "iaas", Responsibility: investigate.ByProvider})
	x.moves(investigate.StageDiagnose)

	for name, who := range map[string]*guardtest.Person{"on call": x.olga, "counsel": x.lee, "communications": x.cam} {
		t.Run("by "+name, func(*testing.T) { x.refused(who, good, "has in the incident none of the roles") })
	}
	x.refused(x.xena, good, "no such thing")

	at := func(place, bytes string) func(*finding) {
		return func(f *finding) { f.Citations = []investigate.Citation{cite(t, string(log)+":for:"+place, bytes)} }
	}
	of := func(id custody.EvidenceID, place, bytes string) func(*finding) {
		return func(f *finding) { f.Citations = []investigate.Citation{cite(t, string(id)+":for"+place, bytes)} }
	}
	for _, c := range []struct {
		name   string
		change func(*finding)
		why    string
	}{
		{"no fact", func(f *finding) { f.Fact = "" }, "the finding lacks: the fact"},
		{"no interpretation", func(f *finding) { f.Interpretation = "" }, "the finding lacks: what it is taken to mean"},
		{"no limits", func(f *finding) { f.Limits = "" }, "the finding lacks: what limits it"},
		{"no alternatives", func(f *finding) { f.Alternatives = nil }, "the finding lacks: which alternatives were considered"},
		{"established by nothing", func(f *finding) { f.Citations = nil }, "without it nothing is established"},
		{"established by what speaks against it", func(f *finding) {
			f.Citations = []investigate.Citation{cite(t, string(log)+":against", logText)}
		}, "without it nothing is established"},
		{"other bytes", at("line=2", "other"), "has the SHA-256"},
		{"no digest", func(f *finding) {
			f.Citations = []investigate.Citation{{Evidence: log, Place: investigate.Place{Kind: "whole"}, Stance: "for"}}
		}, "has the SHA-256"},
		{"beyond the end", at("range=20+1", logText), "are not within the 20 bytes"},
		{"far beyond the end", at("range=21+1", logText), "are not within the 20 bytes"},
		{"across the end", at("range=10+9007199254740991", logText), "are not within the 20 bytes"},
		{"no such item", of(custody.NewEvidenceID(custody.Hash(nil)), "", logText), "the incident has no item"},
		{"not sealed", of(unsealed, "", ""), "is not sealed"},
		{"withdrawn", of(gone, "", ""), "was withdrawn"},
		{"a place in a thing", of(empty, ":line=1", ""), "has no bytes"},
		{"correcting nothing", func(f *finding) { f.Replaces = custody.Hash(nil) }, "there is no finding"},
	} {
		t.Run(c.name, func(*testing.T) { x.refused(x.eve, with(good, c.change), c.why) })
	}
	for _, c := range []struct {
		name   string
		change func(*finding)
		why    string
	}{
		{"in the future", func(f *finding) { f.EventAt = x.now().Add(time.Hour) }, "eventAt"},
		{"a technique", func(f *finding) { f.Techniques = []string{"T105"} }, "technique"},
		{"a confidence", func(f *finding) { f.Confidence = "certain" }, "confidence"},
		{"a status", func(f *finding) { f.Status = "proven" }, "status"},
		{"an indicator", func(f *finding) { f.Indicators[0].Value = "203.0.113.07" }, "no IP address"},
		{"a stance", func(f *finding) { f.Citations[0].Stance = "neutral" }, "stance"},
		{"a title", func(f *finding) { f.Title = "" }, "title is missing"},
		{"a text that cannot be shown", func(f *finding) { f.Limits = "\u202e" }, "limits"},
	} {
		t.Run("malformed: "+c.name, func(*testing.T) {
			x.malformed(with(x.finding(good.Citations...), func(f *finding) { c.change(f) }), c.why)
		})
		good.Citations = []investigate.Citation{cite(t, string(log)+":for:line=2", logText)}
	}

	x.does(x.eve, good)
	x.does(x.mona, good)
	x.does(x.sven, good)
	for name, change := range map[string]func(*finding){
		"tentative by nothing": func(f *finding) { f.Citations, f.Status = nil, investigate.FindingTentative },
		"all of a thing":       of(empty, "", ""),
		"to the end":           at("range=0+20", logText),
		"a file":               at("range=1+2,file=/etc/passwd", logText),
		"for and against":      func(f *finding) { f.Citations = append(f.Citations, cite(t, string(log)+":against:line=3", logText)) },
	} {
		t.Run(name, func(*testing.T) { x.does(x.fritz, with(good, change)) })
	}
	x.looks(func(_ custody.View, i *investigate.Incident) {
		require.Len(t, i.FindingsStanding(), 8)
		first := i.FindingsStanding()[0]
		require.Equal(t, "F-1", first.Label)
		require.Equal(t, x.eve.ID, first.By)
		require.Equal(t, good.Fact, first.Act.Fact)
		require.True(t, first.Unreviewed())
		require.Equal(t, "F-8", i.FindingsStanding()[7].Label)
	})
}

// TestFindingsAreReviewedCorrectedAndWithdrawn: what was said stays, and what it was
// followed by is shown with it.
func TestFindingsAreReviewedCorrectedAndWithdrawn(t *testing.T) {
	x := diagnosing(t)
	log := x.takesIn(x.eve, "EX-1", "log", logText)
	good := x.finding(cite(t, string(log)+":for:line=2", logText))
	first, second, third := x.does(x.eve, good), x.does(x.eve, good), x.does(x.fritz, good)
	review := func(id custody.Digest, verdict string) *investigate.Review {
		return &investigate.Review{On: x.on, Finding: id, Text: "read it again", Verdict: verdict}
	}
	withdraw := func(id custody.Digest) *investigate.WithdrawFinding {
		return &investigate.WithdrawFinding{On: x.on, Finding: id, Reason: "the clock was wrong"}
	}
	labels := func() (list []string) {
		x.looks(func(_ custody.View, i *investigate.Incident) {
			for _, f := range i.FindingsStanding() {
				list = append(list, f.Label)
			}
		})
		return list
	}

	x.refused(x.eve, review(first, investigate.VerdictAgrees), "a second person reviews it")
	x.refused(x.lee, review(first, investigate.VerdictAgrees), "none of the roles")
	x.refused(x.fritz, review(custody.Hash(nil), investigate.VerdictAgrees), "there is no finding")
	x.malformed(review(first, "likes"), "verdict")
	x.does(x.fritz, review(first, investigate.VerdictDisagrees))
	x.does(x.mona, review(first, investigate.VerdictDisagrees))
	x.does(x.fritz, review(first, investigate.VerdictAgrees))
	x.does(x.sven, review(third, investigate.VerdictRemarks))
	x.looks(func(_ custody.View, i *investigate.Incident) {
		f := i.FindingsStanding()
		require.Len(t, f[0].Reviews, 3)
		require.Equal(t, []custody.PrincipalID{x.mona.ID}, f[0].Disagreeing(), "the last word of each")
		require.False(t, f[0].Unreviewed())
		require.True(t, f[1].Unreviewed())
		require.Empty(t, f[2].Disagreeing())
	})

	x.refused(x.fritz, with(good, func(f *investigate.Finding) { f.Replaces = first }), "who alone corrects it or takes it back, or the incident's manager")
	correction := x.does(x.eve, with(good, func(f *investigate.Finding) { f.Replaces = first }))
	require.Equal(t, []string{"F-2", "F-3", "F-4"}, labels())
	x.refused(x.eve, with(good, func(f *investigate.Finding) { f.Replaces = first }), "finding F-1 was corrected by F-4: name that")
	x.refused(x.fritz, review(first, investigate.VerdictAgrees), "was corrected by F-4")
	x.refused(x.eve, withdraw(first), "was corrected by F-4")

	x.refused(x.fritz, withdraw(second), "who alone corrects it or takes it back")
	x.refused(x.eve, withdraw(custody.Digest{}), "there is no finding")
	x.malformed(&investigate.WithdrawFinding{On: x.on, Finding: second}, "reason is missing")
	x.does(x.eve, withdraw(second))
	x.refused(x.eve, withdraw(second), "finding F-2 was withdrawn by "+string(x.eve.ID))
	x.refused(x.eve, with(good, func(f *investigate.Finding) { f.Replaces = second }), "was withdrawn")
	x.does(x.mona, withdraw(third))
	require.Equal(t, []string{"F-4"}, labels())
	x.does(x.mona, with(good, func(f *investigate.Finding) { f.Replaces = correction }))
	require.Equal(t, []string{"F-5"}, labels())

	x.looks(func(_ custody.View, i *investigate.Incident) {
		require.Len(t, i.Findings, 5, "all of them stay")
		require.Equal(t, correction, *i.Findings[0].Replaced)
		require.Equal(t, "the clock was wrong", i.Findings[1].Withdrawn.Act.Reason)
		require.Equal(t, x.mona.ID, i.Findings[2].Withdrawn.By)
	})
	// What does not stand carries nothing: severity rests on a finding (WP-69).
	x.refused(x.mona, x.rerate(second), "there is no finding")
	x.refused(x.mona, x.rerate(correction), "there is no finding")
	var last custody.Digest
	x.looks(func(_ custody.View, i *investigate.Incident) { last = i.Findings[4].ID })
	x.does(x.mona, x.rerate(last))
}

func (x *examined) rerate(finding custody.Digest) *investigate.Rate {
	x.t.Helper()
	a := &investigate.Rate{On: x.on, DataRisk: investigate.RiskNone, Finding: finding, Priority: 1, Severity: 1}
	x.looks(func(_ custody.View, i *investigate.Incident) { a.Replaces.Replaces = i.Ratings[len(i.Ratings)-1].ID })
	return a
}

// TestWhoNeverHadTheEvidence: it is seen of a finding what of the cited its author
// never had in hand before he recorded it.
func TestWhoNeverHadTheEvidence(t *testing.T) {
	x := diagnosing(t)
	ctx := t.Context()
	own := x.takesIn(x.eve, "EX-1", "log", logText)
	others := x.takesIn(x.fritz, "EX-2", "log", logText)
	retrieve := func(id custody.EvidenceID) custody.Digest {
		return x.does(x.eve, &custody.RetrieveEvidence{Evidence: id, Length: 1})
	}
	record := func() custody.Digest {
		return x.does(x.eve, x.finding(cite(t, string(own)+":for", logText), cite(t, string(others)+":for:line=1", logText), cite(t, string(others)+":against:line=2", logText)))
	}
	unseen := func(id custody.Digest) (list []custody.EvidenceID) {
		x.looks(func(v custody.View, i *investigate.Incident) {
			for _, f := range i.Findings {
				if f.ID == id {
					var err error
					list, err = investigate.Unseen(v, f)
					require.NoError(t, err)
				}
			}
		})
		return list
	}

	before := record()
	require.Equal(t, []custody.EvidenceID{others}, unseen(before))
	withheld := retrieve(others)
	_, err := x.Attest(ctx, "", &custody.ReleaseEvidence{Evidence: others, Grant: withheld, Outcome: custody.ReleaseWithheld})
	require.NoError(t, err)
	nothing := record()
	require.Equal(t, []custody.EvidenceID{others}, unseen(nothing), "he was given none of it")
	grant := retrieve(others)
	_, err = x.Attest(ctx, "", &custody.ReleaseEvidence{Evidence: others, Grant: grant, Outcome: custody.ReleaseFinished, Sent: 1})
	require.NoError(t, err)
	after := record()
	require.Empty(t, unseen(after))
	require.Equal(t, []custody.EvidenceID{others}, unseen(before), "what he was given later he had not had")

	x.looks(func(v custody.View, _ *investigate.Incident) {
		item, err := custody.ItemIn(v, x.incident, own)
		require.NoError(t, err)
		require.True(t, item.HadBy(x.eve.ID, item.SealedAt+1))
		require.False(t, item.HadBy(x.eve.ID, item.SealedAt), "not before he had sealed it")
		require.False(t, item.HadBy(x.fritz.ID, x.now()))
		item, err = custody.ItemIn(v, x.incident, others)
		require.NoError(t, err)
		require.True(t, item.HadBy(x.eve.ID, x.now()))
		require.False(t, item.HadBy(x.mona.ID, x.now()), "what another was given")
		_, err = investigate.Unseen(v, investigate.Reviewed{Entry: investigate.Entry[investigate.Finding]{
			Act: investigate.Finding{On: x.on, Citations: []investigate.Citation{{Evidence: custody.NewEvidenceID(custody.Hash(nil))}}},
		}})
		require.ErrorIs(t, err, custody.ErrUnknown)
	})
}
