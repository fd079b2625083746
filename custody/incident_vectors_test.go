package custody_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
	upon := investigate.OnVulnerability{Vulnerability: before}
	engineer, lead := s.Engineer.ID, s.Lead.ID
	headings := []investigate.Heading{}
	for n, h := range investigate.Headings() {
		headings = append(headings, investigate.Heading{Found: n == 0, Heading: h})
	}
	findings := []custody.Digest{before}
	cited := investigate.Citation{Evidence: s.Evidence, SHA256: custody.Hash(s.Artifact), Stance: investigate.StanceFor}
	_ = cited.Place.Set("range=4+8,file=/var/www/html/x.php") // a text form; whether it is one the statement's check says
	return []custody.Act{
		&custody.QualifyPrincipal{
			Apprenticeship: "2025, under M. Senior", Authority: "head of response", Experience: "four years", Principal: lead,
			Role: custody.RoleIncidentManager, Training: "course 7", Until: now.Add(1000 * time.Hour),
		},
		&custody.DisqualifyPrincipal{Principal: lead, Role: custody.RoleOnCall},
		&investigate.Rota{From: now, Principal: engineer, To: now.Add(12 * time.Hour)},

		&investigate.Procedure{Name: "intrusion", Steps: []investigate.ProcedureStep{{Minutes: 30, Name: "isolate the host", Stage: investigate.StageDiagnose}}, Version: 2},
		&investigate.ReviewDefaults{Decided: "kept,\nbut for the archive: 730 days", Document: "OPERATING.md", Next: now.Add(4000 * time.Hour), SHA256: before},
		&investigate.Step{On: on, Automated: true, Done: now.Add(-time.Minute), Owner: engineer, Procedure: "intrusion", Step: "isolate the host", Version: 2},

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
		&investigate.Detection{On: on, Happened: at, Exercise: true, Properties: []string{"availability", "integrity"}, Reference: "alarm 4711", Replaces: before, Source: "monitoring-signature"},
		&investigate.Classify{On: on, Basis: "F-1", Example: "h", SecurityIncident: true, Replaces: again, Facts: investigate.Facts{
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
		&investigate.Finding{
			On: on, Alternatives: []string{"an update: none was due"}, Citations: []investigate.Citation{cited}, Confidence: "moderate", EventAt: now.Add(-time.Hour),
			Fact: "x.php passes a parameter to system()", Indicators: []investigate.Indicator{{Type: "ip", Value: "203.0.113.7"}}, Interpretation: "it is a web shell",
			Limits: "one image", Replaces: before, Status: investigate.FindingEstablished, Techniques: []string{"T1505.003"}, Title: "a web shell",
		},
		&investigate.Review{On: on, Finding: before, Text: "read it myself", Verdict: investigate.VerdictAgrees},
		&investigate.WithdrawFinding{On: on, Finding: before, Reason: "the file is older"},
		&investigate.Process{
			On: on, Happened: at, Deterministic: true, Difference: "another version of the library", Environment: "Debian 13, UTC",
			Inputs: []investigate.Input{{Evidence: s.Evidence, SHA256: custody.Hash(s.Artifact)}}, Output: investigate.Output{Evidence: s.Evidence, SHA256: custody.Hash(s.Artifact), Size: 21},
			Parameters: "-r", Repeats: before, Tool: "fls", Validation: "test report 3", Version: "4.12",
		},
		&investigate.Catalogue{On: on, Evidence: s.Evidence, Mark: investigate.MarkInvestigated, Reason: "F-1", What: "forensic-data"},
		&investigate.Event{On: on, Happened: at, Citations: []investigate.Citation{cited}, Precision: "±5 minutes", Replaces: before, Source: "the gateway's clock", Title: "first login"},
		&investigate.Customers{On: on, Customers: []string{"Contoso"}, Findings: findings, How: "mail was read", Impacted: "yes", Replaces: again, Results: []string{investigate.ResultDisclosure}},
		&investigate.Clear{On: on, Authority: "works agreement 7", Conditions: "no private mail", Evidence: s.Evidence, Until: now.Add(720 * time.Hour)},
		&investigate.WithdrawClearance{On: on, Clearance: before},
		&investigate.Intelligence{On: on, Evidence: s.Evidence, SHA256: custody.Hash(s.Artifact), Status: "finished", Title: "the intruder", Version: 2},
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
		&investigate.WithdrawEmergency{On: on, Proposal: before, Reason: "he is gone:\nthe relay is shut"},
		&investigate.OutageNotice{On: on, Happened: at, Proposal: before, Reference: "status page 88"},
		&investigate.PostMortem{On: on, Evidence: s.Evidence, Headings: headings, SHA256: custody.Hash(s.Artifact), Replaces: again},
		&investigate.Summary{On: on, Evidence: s.Evidence, PostMortem: before, SHA256: custody.Hash(s.Artifact)},
		&investigate.ApproveSummary{On: on, Summary: before},
		&investigate.Repair{On: on, Due: now.Add(720 * time.Hour), Findings: findings, Owner: "gateway team", Text: "patch the gateway", Type: "engineering"},
		&investigate.Reschedule{On: on, Due: now.Add(1440 * time.Hour), Owner: "mail team", Repair: before},
		&investigate.ReportVulnerability{
			Happened: at, Affected: "mail gateway 2.0", Contact: "security@contoso.example", Identifier: "CVE-2026-1234", Source: "researcher",
			Text: "a header of 64 KiB\nends the process", Title: "the gateway can be stopped from outside",
		},
		&investigate.AssessVulnerability{OnVulnerability: upon, Due: now.Add(720 * time.Hour), Owner: "gateway team", Severity: 2, Verdict: investigate.VulnerabilityConfirmed, Replaces: again},
		&investigate.FixVulnerability{OnVulnerability: upon, Happened: at, How: "version 2.1 is out"},
		&investigate.AcceptVulnerability{OnVulnerability: upon, Reason: "the gateway goes in a month"},
		&investigate.LinkVulnerability{On: on, Vulnerability: before},
		&investigate.Repaired{On: on, Happened: at, How: "version 2.1 is out", Repair: before},
	}
}

// laterActs has one of each act that got members later, with these: the vectors of
// incidentActs are older, and stay as they were signed.
func laterActs(s *guardtest.Story) []custody.Act {
	on, now := investigate.On{Incident: s.Incident}, custody.TimeOf(s.Now())
	at := investigate.Happened{At: now.Add(-time.Minute)}
	before := custody.Hash([]byte("an entry"))
	return []custody.Act{
		&investigate.Detection{
			On: on, Happened: at, Exercise: true, Properties: []string{"integrity"}, Reference: "plan 7", Rules: "exercises", Version: 2, Source: "red-team",
		},
		&investigate.Emergency{
			On: on, Alternatives: []string{"wait: too slow"}, ExpectedBack: now.Add(2 * time.Hour), Findings: []custody.Digest{before},
			Impact: "mail is down for an hour", NoticeDue: now.Add(time.Hour), Outage: true, Rationale: "data is leaving", Service: "mail", Text: "cut the region off",
		},
		&investigate.Teams{On: on, Owner: "cert", Participating: []string{}, Service: "mail"},
		&investigate.WithdrawEmergency{On: on, Proposal: before, Reason: "he is gone", Undone: "the relay runs"},
		&investigate.OutageNotice{On: on, Happened: at, ExpectedBack: now.Add(time.Hour), Late: "the page was down", Proposal: before, Reference: "status page 88"},
	}
}

// leftOut matches a member of which a row of FORMAT.md says that it is left out.
var leftOut = regexp.MustCompile("`([a-zA-Z]+)`(?: time)? \\([^()]*left out when there is none\\)")

// TestFormatNamesWhatIncidentsSay: FORMAT.md has a row for each act about incidents,
// with each of its members; and of what it says to be left out, that is so.
func TestFormatNamesWhatIncidentsSay(t *testing.T) {
	text, err := os.ReadFile("FORMAT.md")
	require.NoError(t, err)
	for _, act := range incidentActs(newStory(t)) {
		row := ""
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "| `"+string(act.Kind())+"`") {
				row = line
			}
		}
		require.NotEmpty(t, row, "FORMAT.md has no row of %s", act.Kind())
		require.Equal(t, act.NeedsPurpose(), strings.Contains(row, "` † |"), "the mark of %s", act.Kind())
		for _, m := range membersOf(reflect.TypeOf(act).Elem()) {
			require.Contains(t, row, "`"+m+"`", "%s has a member that FORMAT.md does not name", act.Kind())
		}
		bare, err := custody.Encode(reflect.New(reflect.TypeOf(act).Elem()).Interface())
		require.NoError(t, err)
		for _, m := range leftOut.FindAllStringSubmatch(row, -1) {
			require.NotContains(t, string(bare), `"`+m[1]+`":`, "%s: %s is not left out", act.Kind(), m[1])
		}
	}
}

// lettered matches a kind of statement in FORMAT.md with the letter of its labels.
var lettered = regexp.MustCompile("`([a-z.-]+)` \\*\\*([A-Z])\\*\\*")

// TestFormatNamesTheLetters: by FORMAT.md another verifier counts labels as the fold
// does. Each letter is of one kind.
func TestFormatNamesTheLetters(t *testing.T) {
	text, err := os.ReadFile("FORMAT.md")
	require.NoError(t, err)
	says, has, kinds := map[string]string{}, map[string]string{}, map[string]string{}
	for _, m := range lettered.FindAllStringSubmatch(string(text), -1) {
		says[m[1]] = m[2]
	}
	for kind, act := range investigate.Words() {
		if l, ok := act().(custody.Lettered); ok {
			has[string(kind)] = l.Letter()
			require.Empty(t, kinds[l.Letter()], "%s has the letter of another", kind)
			kinds[l.Letter()] = string(kind)
		}
	}
	require.Len(t, has, 11)
	require.Equal(t, has, says)
}

func membersOf(t reflect.Type) (list []string) {
	for n := range t.NumField() {
		f := t.Field(n)
		if f.Anonymous {
			list = append(list, membersOf(f.Type)...)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		list = append(list, name)
	}
	return list
}
