package custody_test

import (
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

// incidentActs has one of each act about how an incident goes on.
func incidentActs(s *guardtest.Story) []custody.Act {
	on := investigate.On{Incident: s.Incident}
	now := custody.TimeOf(s.Now())
	at := investigate.Happened{At: now.Add(-time.Minute)}
	before := custody.Hash([]byte("an entry"))
	again := investigate.Replaces{Replaces: before}
	engineer, lead := s.Engineer.ID, s.Lead.ID
	headings := []investigate.Heading{}
	for n, h := range investigate.Headings() {
		headings = append(headings, investigate.Heading{Found: n == 0, Heading: h})
	}
	findings := []custody.Digest{before}
	return []custody.Act{
		&custody.QualifyPrincipal{
			Apprenticeship: "2025, under M. Senior", Authority: "head of response", Experience: "four years", Principal: lead,
			Role: custody.RoleIncidentManager, Training: "course 7", Until: now.Add(1000 * time.Hour),
		},
		&custody.DisqualifyPrincipal{Principal: lead, Role: custody.RoleOnCall},
		&investigate.Rota{From: now, Principal: engineer, To: now.Add(12 * time.Hour)},

		&investigate.Move{On: on, Happened: at, Definition: 1, Exception: "a second attacker was found", Stage: investigate.StageDiagnose, Undocumented: "nothing was found"},
		&investigate.Close{On: on, Happened: at, End: investigate.EndResolved, Notification: "not triggered: no data left", Restored: now, Uncovered: "one night"},
		&investigate.Reopen{On: on, Happened: at},
		&investigate.Appoint{On: on, Happened: at, Instead: "she is ill", Principal: engineer, Role: custody.RoleServiceExpert, Service: "mail", Shadow: true},
		&investigate.HandOver{On: on, Happened: at, From: lead, Role: custody.RoleIncidentManager, To: engineer},
		&investigate.Discharge{On: on, Happened: at, Principal: engineer, Role: custody.RoleForensicEngineer},
		&investigate.Contact{On: on, Instrument: "request 12", Name: "K. Park", Organisation: "national police", Party: investigate.ContactLaw, Reach: "+49 30 1"},
		&investigate.Teams{On: on, Location: "room 7", Owner: "cert", Parent: s.Incident, Participating: []string{"network team"}, Replaces: again},
		&investigate.Shift{On: on, From: now, Principal: engineer, To: now.Add(12 * time.Hour)},
		&investigate.Note{On: on, Happened: at, Audience: "customers", Contributors: []custody.PrincipalID{lead}, Text: "two\nlines", Type: investigate.NoteCustomers},
		&investigate.Detection{On: on, Happened: at, Exercise: true, Properties: []string{"availability", "integrity"}, Reference: "alarm 4711", Source: "monitoring-signature"},
		&investigate.Classify{On: on, Basis: "F-1", Example: "h", Incident: true, Replaces: again, Facts: investigate.Facts{
			Access: investigate.AccessUnauthorized, Cause: investigate.CauseAttack, FlawBy: investigate.ByProvider, Results: []string{investigate.ResultDisclosure},
		}},
		&investigate.Scope{On: on, Layer: "host", Model: "iaas", Override: "it was his image", Responsibility: investigate.ByCustomer, Replaces: again},
		&investigate.Request{On: on, Happened: at, Authority: "their CISO", Customer: "Contoso", Reference: "ticket 12"},
		&investigate.Transfer{On: on, Happened: at, Accepted: "B. Lee", Contract: "premier 7", Direction: investigate.TransferTo, Reference: "SR-8", Team: "customer-support"},
		&investigate.Declare{On: on, Happened: at, Declared: true, Limb: "unauthorized access, disclosure"},
		&investigate.Assess{On: on, Escalated: true, Impact: "the web tier", Privacy: "unknown", Security: "yes", Replaces: again},
		&investigate.Rate{On: on, DataRisk: investigate.RiskImminent, Finding: before, Priority: 2, Severity: 1, Replaces: again},
		&investigate.Dependency{On: on, Decision: "watch", Service: "mail", Team: "mail team"},
		&investigate.Consult{On: on, Happened: at, Answer: "no", Party: "operations", Question: "is it in production?", Who: "B. Lee, operations"},
		&investigate.Plan{On: on, Findings: findings, Text: "first this,\nthen that", Replaces: again},
		&investigate.Measure{On: on, Findings: findings, Owner: engineer, Text: "quarantine the host", Type: investigate.MeasureContainment},
		&investigate.CarryOut{On: on, Happened: at, How: "port 443 is shut", Measure: before},
		&investigate.Test{On: on, Happened: at, How: "scanned from outside", Measure: before, Passed: true},
		&investigate.Drop{On: on, Measure: before, Repair: before},
		&investigate.Containment{On: on, Happened: at, Contained: true, How: "no traffic since", Risk: investigate.RiskCustomer},
		&investigate.Emergency{
			On: on, Alternatives: []string{"wait: too slow"}, Findings: findings, Impact: "mail is down for an hour", Outage: true,
			Rationale: "data is leaving", Text: "cut the region off",
		},
		&investigate.SignEmergency{On: on, As: custody.RoleServiceOwner, Proposal: before},
		&investigate.OutageNotice{On: on, Happened: at, Proposal: before, Reference: "status page 88"},
		&investigate.PostMortem{On: on, Evidence: s.Evidence, Headings: headings, SHA256: custody.Hash(s.Artifact), Replaces: again},
		&investigate.Summary{On: on, Evidence: s.Evidence, PostMortem: before, SHA256: custody.Hash(s.Artifact)},
		&investigate.ApproveSummary{On: on, Summary: before},
		&investigate.Repair{On: on, Due: now.Add(720 * time.Hour), Findings: findings, Owner: "gateway team", Text: "patch the gateway", Type: "engineering"},
		&investigate.Reschedule{On: on, Due: now.Add(1440 * time.Hour), Owner: "mail team", Repair: before},
		&investigate.Repaired{On: on, Happened: at, How: "version 2.1 is out", Repair: before},
	}
}
