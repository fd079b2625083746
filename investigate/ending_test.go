package investigate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

// harmless classifies the incident as no security incident.
func (s *story) harmless() {
	s.t.Helper()
	s.does("lena", &investigate.Classify{On: s.on, Basis: "the log", Example: "b", Facts: fact(func(f *investigate.Facts) { f.Cause = investigate.CauseIssue })})
}

// ends closes the incident in a way.
func (s *story) ends(how string) *investigate.Close {
	return changed(s.end(), func(c *investigate.Close) { c.End = how })
}

// affected says that customer data is affected, and what became of it.
func (s *story) affected(results ...string) *investigate.Customers {
	c := &investigate.Customers{On: s.on, Customers: []string{"Contoso"}, Findings: []custody.Digest{s.finding}, How: "read", Impacted: "yes", Results: results}
	s.looks(func(_ custody.View, i *investigate.Incident) {
		c.Replaces.Replaces = i.Customers[len(i.Customers)-1].ID
	})
	return c
}

// TestWhatIsAtRiskIsNotResolved: what was said after Stabilize & Recover was left counts
// as what was said before does (WP-1, WP-70).
func TestWhatIsAtRiskIsNotResolved(t *testing.T) {
	s := newStory(t).to(investigate.StageClose)
	s.harmless()
	s.postMortem()
	s.does("lena", s.rate(1, investigate.RiskConfirmed))
	atRisk := changed(s.end(), func(c *investigate.Close) { c.Uncovered = "nobody could come" })
	s.tries("lena", atRisk, "at risk no more")
	s.does("lena", s.rate(2, investigate.RiskNone))
	s.does("lena", s.affected(investigate.ResultDisclosure))
	s.tries("lena", changed(s.end(), func(c *investigate.Close) { c.Uncovered = "nobody could come" }), "what is on record of customer data")
}

// TestWhatBecameOfDataIsDetermined before an incident in which it was affected ends as
// no security incident (WP-1, WP-79).
func TestWhatBecameOfDataIsDetermined(t *testing.T) {
	s := newStory(t).to(investigate.StageStabilize)
	s.does("lena", s.affected())
	s.does("emil", s.contains(investigate.RiskCustomer, true))
	s.does("lena", &investigate.Classify{On: s.on, Basis: "the log", Example: "b", Facts: fact(func(f *investigate.Facts) {
		f.Access, f.Cause = investigate.AccessIllegal, investigate.CauseAttack
	})})
	s.tries("lena", s.ends(investigate.EndNot), "what is on record of customer data")
}

// TestTransferredBack: what came back, or was taken up again, is not with others; and
// what is assessed as a risk is classified before it is theirs (WP-22).
func TestTransferredBack(t *testing.T) {
	s := newStory(t).to(investigate.StageAssess)
	to := &investigate.Transfer{On: s.on, Happened: s.now(), Accepted: "Ben", Direction: investigate.TransferTo, Reference: "OPS-1", Team: "operations"}
	s.does("lena", to)
	s.does("lena", changed(to, func(x *investigate.Transfer) { x.Direction = investigate.TransferFrom }))
	s.tries("lena", s.ends(investigate.EndOperation), "who accepted it")
	s.does("lena", changed(to, func(x *investigate.Transfer) { x.Reference = "OPS-2" }))
	s.does("olga", &investigate.Assess{On: s.on, Escalated: true, Impact: "all of mail", Privacy: "yes", Security: "unknown"})
	s.tries("lena", s.ends(investigate.EndOperation), "by which it is no security incident")
	s.harmless()
	s.does("lena", s.ends(investigate.EndOperation))
	s.does("lena", &investigate.Reopen{On: s.on, Happened: s.now()})
	s.tries("lena", s.ends(investigate.EndOperation), "who accepted it")
}

// TestEscalatedAfterAll: what was escalated, and gone into, does not end as what was
// not, by whatever way it came back to Assess (WP-57).
func TestEscalatedAfterAll(t *testing.T) {
	s := newStory(t).to(investigate.StageStabilize)
	s.does("emil", s.contains(investigate.RiskCustomer, false))
	s.does("lena", changed(s.move(investigate.StageAssess), func(m *investigate.Move) { m.Exception = "it looks smaller now" }))
	a := &investigate.Assess{On: s.on, Impact: "none", Privacy: "unknown", Security: "unknown"}
	s.looks(func(_ custody.View, i *investigate.Incident) { a.Replaces.Replaces = i.Assessments[0].ID })
	s.does("olga", a)
	s.tries("lena", s.ends(investigate.EndNotRaised), "was escalated")
}

// TestTheLessonsOfWhatCameSince: a post-mortem is of all that was done, also of what was
// done after it by an exception (WP-92).
func TestTheLessonsOfWhatCameSince(t *testing.T) {
	s := newStory(t).to(investigate.StageClose)
	s.harmless()
	text := s.postMortem()
	s.does("lena", changed(s.move(investigate.StageDiagnose), func(m *investigate.Move) { m.Exception = "more was found" }))
	s.does("emil", s.found())
	s.does("lena", s.move(investigate.StageStabilize))
	s.does("lena", s.move(investigate.StageClose))
	s.tries("lena", s.end(), "a post-mortem of what came since")
	s.does("lena", changed(s.issue(text), func(p *investigate.PostMortem) { p.Replaces.Replaces = s.issued }))
	s.does("lena", s.end())
}

// TestTheOrderOfClosings: nothing is restored after the closing that says so, and an
// incident is not closed again before it was closed (WP-54).
func TestTheOrderOfClosings(t *testing.T) {
	s := newStory(t).to(investigate.StageClose)
	s.harmless()
	s.postMortem()
	at := s.now()
	s.Pass(10 * time.Hour)
	s.tries("lena", changed(s.end(), func(c *investigate.Close) { c.Happened = at }), "restored only at")
	s = newStory(t).to(investigate.StageAssess)
	s.does("olga", &investigate.Assess{On: s.on, Impact: "none", Privacy: "no", Security: "no"})
	early := s.now()
	s.Pass(10 * time.Hour)
	s.does("lena", s.ends(investigate.EndNotRaised))
	s.does("lena", &investigate.Reopen{On: s.on, Happened: s.now()})
	s.tries("lena", changed(s.ends(investigate.EndNotRaised), func(c *investigate.Close) { c.Happened, c.Restored = early, 0 }), "was closed at")
}

// TestNoEndRestsOnWhatWasWithdrawn: what a finding said of the risk to customer data
// counts at the closing as long as the finding stands (WP-69, WP-79).
func TestNoEndRestsOnWhatWasWithdrawn(t *testing.T) {
	s := newStory(t).to(investigate.StageStabilize)
	s.harmless()
	s.does("lena", s.rate(3, investigate.RiskNone))
	s.does("emil", &investigate.WithdrawFinding{On: s.on, Finding: s.finding, Reason: "the log is of another host"})
	s.tries("lena", s.ends(investigate.EndNot), "what is said of customers rests on finding F-1, which does not stand")
	s.tries("lena", s.ends(investigate.EndNot), "the rating rests on finding F-1, which does not stand")
	s.finding = s.does("emil", s.found())
	s.does("lena", changed(s.affected(), func(c *investigate.Customers) { c.Customers, c.Impacted = nil, "no" }))
	s.does("lena", s.rate(3, investigate.RiskNone))
	s.does("lena", s.ends(investigate.EndNot))
}

// TestNoEndWithoutTheOutageNotice: customers are told of an outage whatever the incident
// turns out to be (WP-91).
func TestNoEndWithoutTheOutageNotice(t *testing.T) {
	s := newStory(t).to(investigate.StageStabilize)
	s.harmless()
	id := s.does("emil", s.outage())
	for who, as := range map[string]custody.Role{"exa": custody.RoleExecutive, "owen": custody.RoleServiceOwner, "lena": custody.RoleIncidentManager} {
		s.does(who, &investigate.SignEmergency{On: s.on, As: as, Proposal: id})
	}
	s.tries("lena", s.ends(investigate.EndNot), "the outage notice for X-1")
	s.does("carl", &investigate.OutageNotice{On: s.on, Happened: s.now(), ExpectedBack: s.in(time.Hour), Proposal: id, Reference: "status page 7"})
	s.does("lena", s.ends(investigate.EndNot))
}

// TestEvidenceThatCameLate: what was taken in after Diagnose was left is kept as soundly
// as the rest, or the incident is not resolved (WP-77). What the team wrote is no part
// of it.
func TestEvidenceThatCameLate(t *testing.T) {
	s := newStory(t).to(investigate.StageClose)
	s.does("lena", &investigate.Classify{On: s.on, Basis: "the log", Example: "b", Facts: fact(func(f *investigate.Facts) { f.Cause = investigate.CauseIssue })})
	s.postMortem()
	report := s.takes("emil", "IR-1", "document", "what others should know")
	s.does("emil", &investigate.Intelligence{On: s.on, Evidence: report, SHA256: custody.Hash([]byte("what others should know")), Status: "draft", Title: "the intruder", Version: 1})
	announced := s.begins("emil", "EX-8", "disk")
	late := s.takes("emil", "EX-9", "log", logBytes)
	s.tries("lena", s.end(), "not catalogued (incident.catalogue): EX-8 ("+string(announced)+"), EX-9 ("+string(late)+")")
	s.tries("lena", s.end(), "not sealed, nor catalogued as lost (evidence.seal): EX-8")
	s.tries("lena", s.end(), "not read back yet")
	s.sound(late, logBytes)
	s.does("emil", &custody.WithdrawEvidence{Evidence: announced, Incident: s.incident})
	alert := &investigate.Catalogue{On: s.on, Mark: investigate.MarkOpen, Reference: "alarm 4712", What: "alert"}
	s.does("emil", alert)
	s.tries("lena", s.end(), "catalogued as open (incident.catalogue): C-3, alarm 4712")
	s.does("emil", changed(alert, func(c *investigate.Catalogue) { c.Mark = investigate.MarkInvestigated }))
	s.does("lena", s.end())
}

// TestTheStatusTellsOfLateEvidence: what the closing will ask for is told before it is
// tried (WP-77). By the first version of the stages it is told, and not asked.
func TestTheStatusTellsOfLateEvidence(t *testing.T) {
	for version := range investigate.Newest().Version {
		s := newStory(t)
		s.version = version + 1
		s.to(investigate.StageClose)
		s.harmless()
		text := s.postMortem()
		require.Empty(t, s.picture().Missing)
		late := s.takes("emil", "EX-9", "log", logBytes)
		said, where := s.picture(), func(p investigate.Picture) []string { return p.Missing }
		if s.version == 1 {
			where = func(p investigate.Picture) []string { return p.Open }
			require.Empty(t, said.Missing)
		}
		require.Contains(t, where(said), "not catalogued (incident.catalogue): EX-9 ("+string(late)+")")
		s.readBack(text, lessons, "not that")
		require.Contains(t, strings.Join(s.picture().Missing, "; "), "a post-mortem whose text is there")
		s.readBack(text, lessons, lessons)
		if s.version == 1 {
			s.does("lena", s.end())
		} else {
			s.tries("lena", s.end(), "EX-9")
		}
	}
}

// TestTheStatusNamesTheManager: who is on call brings an incident into Assess, and is told
// there that a manager has to take it on.
func TestTheStatusNamesTheManager(t *testing.T) {
	s := newTroupe(t).ready().opened()
	onCall := s.appoint("olga", custody.RoleOnCall)
	onCall.Instead = "there is no rota"
	require.Contains(t, s.picture().Missing, "who is on call for it (incident.appoint)")
	s.does("lena", onCall)
	require.NotContains(t, s.picture().Missing, "who is on call for it (incident.appoint)")
	s.does("olga", &investigate.Detection{On: s.on, Happened: s.now(), Properties: []string{"integrity"}, Reference: "alarm", Source: "monitoring-signature"})
	s.does("olga", s.move(investigate.StageAssess))
	require.Contains(t, s.picture().Missing, "an incident manager (incident.appoint)")
	s.does("olga", s.appoint("lena", custody.RoleIncidentManager))
	require.NotContains(t, s.picture().Missing, "an incident manager (incident.appoint)")
}

func (s *story) outage() *investigate.Emergency {
	return &investigate.Emergency{
		On: s.on, Service: "mail", Alternatives: []string{"wait: it spreads"}, Findings: []custody.Digest{s.finding}, Impact: "mail is down", Outage: true, Rationale: "it spreads",
		Text: "unplug mail", NoticeDue: s.in(time.Hour), ExpectedBack: s.in(3 * time.Hour),
	}
}

// TestNobodySignsForWhatWasWithdrawn: an emergency mitigation rests on its findings until
// the last signature (WP-80, WP-89).
func TestNobodySignsForWhatWasWithdrawn(t *testing.T) {
	s := newStory(t).to(investigate.StageDiagnose)
	s.diagnosed()
	id := s.does("emil", s.outage())
	sign := func(as custody.Role) *investigate.SignEmergency {
		return &investigate.SignEmergency{On: s.on, As: as, Proposal: id}
	}
	s.does("exa", sign(custody.RoleExecutive))
	s.does("owen", sign(custody.RoleServiceOwner))
	s.does("emil", &investigate.WithdrawFinding{On: s.on, Finding: s.finding, Reason: "the log is of another host"})
	require.Contains(t, s.picture().Open, "emergency mitigation X-1 rests on finding F-1, which does not stand")
	s.tries("lena", sign(custody.RoleIncidentManager), "or it was withdrawn or corrected")
	s.does("emil", &investigate.WithdrawEmergency{On: s.on, Proposal: id, Reason: "it rests on nothing"})
	require.NotContains(t, strings.Join(s.picture().Open, "; "), "X-1", "nothing is left to do about it")
}

// TestNothingIsContainedBeforeTheFirstIndication: it would count as contained at once
// (WP-54, WP-87).
func TestNothingIsContainedBeforeTheFirstIndication(t *testing.T) {
	s := newStory(t).to(investigate.StageDiagnose)
	early := s.contains(investigate.RiskCustomer, true)
	early.At = s.in(-48 * time.Hour)
	s.tries("emil", early, "the first indication was at")
	s.does("emil", s.contains(investigate.RiskCustomer, true))
}
