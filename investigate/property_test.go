package investigate_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/custody/replay"
	"github.com/forensic-custody/custody/investigate"
)

// TestNoUnlawfulState: whatever people say, lawful or not, in whatever order, an
// incident is in no state that the white paper does not know; what was refused changed
// nothing; and a replay of the log decides the same, and comes to the same state
// (WP-38, WP-53, WP-70, WP-77, WP-89, WP-92, WP-98).
func TestNoUnlawfulState(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			g := &chance{troupe: newTroupe(t).ready(), r: rand.New(rand.NewPCG(seed, 6)), seen: seen}
			g.does("ada", &custody.GrantRole{Principal: g.id("exa"), Role: custody.RoleServiceOwner}) // who could sign twice
			for round := range 12 {
				g.opened()
				g.version = 1 + uint64(round+int(seed))%2
				g.exhibits = 0
				g.looks(g.observe)
				for step, closed := 0, 0; step < 200 && closed < 25; step++ {
					g.where = fmt.Sprintf("seed %d, incident %d, step %d", seed, round, step)
					if g.step(); g.before.Closed != nil {
						closed++
					}
				}
			}
			g.replayed()
		})
	}
	t.Log(seen)
	// What was seen says that this went deep enough to mean something: about a third of
	// what it was when this was written.
	for what, least := range map[string]int{
		"permitted": 800, "refused": 800, "assess": 9, "diagnose": 9, "stabilize-recover": 8, "close-post-mortem": 5,
		"emergencies approved": 5, "closed: resolved": 4, "closed otherwise": 2, "reopened": 2, "exceptions": 1, "new managers": 2,
		"vulnerabilities confirmed": 1, "vulnerabilities duplicate": 1, "vulnerabilities not-one": 1, "vulnerabilities fixed": 1, "vulnerabilities accepted": 1, "vulnerabilities linked": 1,
		"exercises by rules": 2, "late notices": 1, "proposals withdrawn": 2, "at risk": 3, "established": 2, "measures effective": 4, "repaired": 1,
	} {
		require.GreaterOrEqual(t, seen[what], least, what)
	}
	for kind := range investigate.Acts() {
		require.NotZero(t, seen["tried "+string(kind)], "%s was never tried", kind)
	}
}

// A chance is a troupe of which anybody says anything.
type chance struct {
	*troupe
	r        *rand.Rand
	where    string
	exhibits int

	procedures uint64 // versions that there are
	reports    []investigate.Vulnerability
	version    uint64 // of the stages, by which the incident goes for the most part
	stuck      int    // for how many steps nothing helps
	sealed     map[custody.EvidenceID]bool
	before     investigate.File // as it was, with lists of its own
	items      []custody.EvidenceID
	assigned   []custody.PrincipalID
	sum        custody.Digest // of the incident's and its items' folds
	seen       map[string]int
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func (g *chance) one(in int) bool { return g.r.IntN(in) == 0 }

// some returns one of a list of things by their identifiers, or what is not there, or
// nothing.
func some[E any](g *chance, list []E, id func(E) custody.Digest) custody.Digest {
	switch {
	case len(list) > 0 && !g.one(6):
		return id(list[len(list)-1-g.r.IntN(min(len(list), 4))])
	case g.one(2):
		return nothing
	}
	return custody.Digest{}
}

func entry[A any](e investigate.Entry[A]) custody.Digest { return e.ID }

func (g *chance) finding() custody.Digest {
	return some(g, g.before.Findings, func(f investigate.Reviewed) custody.Digest { return f.ID })
}

func (g *chance) findings() []custody.Digest {
	if id := g.finding(); !id.IsZero() {
		return []custody.Digest{id}
	}
	return []custody.Digest{}
}

// newest names the last of a list, most of the time: whoever corrects says what.
func newest[A any](g *chance, list []investigate.Entry[A]) investigate.Replaces {
	if g.one(8) {
		return investigate.Replaces{Replaces: nothing}
	}
	if len(list) == 0 {
		return investigate.Replaces{}
	}
	return investigate.Replaces{Replaces: list[len(list)-1].ID}
}

func (g *chance) anybody() string { return pick(g.r, parts...).name }

// holder returns by name who has a role, of those that one person has.
func (g *chance) holder(r custody.Role) string {
	for _, h := range g.before.Holders {
		if h.Role == r && h.Ended == nil && !h.Shadow {
			return g.name(h.Principal)
		}
	}
	return ""
}

// name is by whom a principal is known here.
func (g *chance) name(id custody.PrincipalID) string {
	for name, p := range g.people {
		if p.ID == id {
			return name
		}
	}
	return ""
}

func (g *chance) manager() string {
	if m := g.holder(custody.RoleIncidentManager); m != "" {
		return m
	}
	return "olga"
}

func (g *chance) oncall() string {
	if o := g.holder(custody.RoleOnCall); o != "" {
		return o
	}
	return "olga"
}

// when is about now, and sometimes earlier.
func (g *chance) when() investigate.Happened {
	if g.one(8) {
		return investigate.Happened{At: g.in(-time.Duration(g.r.IntN(7200)) * time.Second)}
	}
	return g.now()
}

func (g *chance) item() custody.EvidenceID {
	if len(g.items) == 0 || g.one(10) {
		return custody.NewEvidenceID(nothing)
	}
	return pick(g.r, g.items...)
}

func (g *chance) stage() string {
	if len(g.before.Stages) == 0 {
		return investigate.StageDetect
	}
	return g.before.Stages[len(g.before.Stages)-1].Stage
}

// acts says something of each kind, from small pools of what can be said.
func (g *chance) acts() map[custody.Kind]func() custody.Act {
	r, on, f := g.r, g.on, &g.before
	role := func() custody.Role { return pick(r, investigate.Appointable()...) }
	yes := func() bool { return r.IntN(2) == 0 }
	answer := func() string { return pick(r, "yes", "no", "unknown") }
	facts := func() investigate.Facts {
		return investigate.Facts{
			Access: pick(r, "none", "illegal", "unauthorized"), Cause: pick(r, "attack", "alarm", "issue", "denial-of-service"), FlawBy: pick(r, "provider", "customer"),
			Results: pick(r, []string{}, []string{"disclosure"}), FalsePositive: g.one(4), Deployment: g.one(4),
		}
	}
	measure := func() custody.Digest {
		return some(g, f.Measures, func(m investigate.Measured) custody.Digest { return m.ID })
	}
	emergency := func() custody.Digest {
		return some(g, f.Emergencies, func(m investigate.Mitigation) custody.Digest { return m.ID })
	}
	repair := func() custody.Digest {
		return some(g, f.Repairs, func(m investigate.RepairItem) custody.Digest { return m.ID })
	}
	report := func() investigate.OnVulnerability {
		return investigate.OnVulnerability{Vulnerability: some(g, g.reports, func(v investigate.Vulnerability) custody.Digest { return v.ID })}
	}
	open := func() investigate.OnVulnerability {
		for _, v := range g.reports {
			if v.State == "confirmed" && !g.one(4) {
				return investigate.OnVulnerability{Vulnerability: v.ID}
			}
		}
		return report()
	}
	return map[custody.Kind]func() custody.Act{
		investigate.KindReportVulnerability: func() custody.Act {
			return &investigate.ReportVulnerability{Happened: g.when(), Affected: "x", Source: "scan", Text: "y", Title: "z"}
		},
		investigate.KindAssessVulnerability: func() custody.Act {
			a := &investigate.AssessVulnerability{OnVulnerability: report(), Verdict: pick(r, "confirmed", "confirmed", "confirmed", "not-one", "duplicate")}
			for _, v := range g.reports {
				if v.ID == a.Vulnerability {
					a.Replaces = newest(g, v.Assessments)
				}
			}
			switch {
			case a.Verdict == "confirmed":
				a.Due, a.Owner, a.Severity = pick(r, g.in(time.Hour), g.in(time.Hour), g.in(time.Hour), 0), pick(r, "Eva", "Ben", "Kim", ""), uint64(r.IntN(5))
			case a.Verdict == "duplicate" || g.one(6):
				a.Of = report().Vulnerability
			}
			return a
		},
		investigate.KindFixVulnerability: func() custody.Act {
			return &investigate.FixVulnerability{OnVulnerability: open(), Happened: g.when(), How: "x"}
		},
		investigate.KindAcceptVulnerability: func() custody.Act {
			return &investigate.AcceptVulnerability{OnVulnerability: open(), Reason: pick(r, "", "x")}
		},
		investigate.KindLinkVulnerability: func() custody.Act {
			return &investigate.LinkVulnerability{On: on, Vulnerability: report().Vulnerability}
		},
		investigate.KindOpen: func() custody.Act {
			return &investigate.Open{Class: investigate.Availability, DetectedAt: g.in(0), Title: "another"}
		},
		investigate.KindRota: func() custody.Act {
			return &investigate.Rota{From: g.in(0), Principal: g.id(g.anybody()), To: g.in(time.Hour)}
		},
		investigate.KindAssign: func() custody.Act {
			return &investigate.Assign{Incident: g.incident, Principal: g.id(g.anybody())}
		},
		investigate.KindUnassign: func() custody.Act {
			return &investigate.Unassign{Incident: g.incident, Principal: g.id(g.anybody())}
		},
		investigate.KindRetain: func() custody.Act { return &investigate.Retain{Days: 400, Incident: g.incident} },
		investigate.KindMove: func() custody.Act {
			return &investigate.Move{On: on, Happened: g.when(), Definition: pick(r, g.version, g.version, g.version, 1, 2, 3), Stage: pick(r, order...),
				Exception: pick(r, "", "", "", "a mistake"), Undocumented: pick(r, "", "", "it burns")}
		},
		investigate.KindClose: func() custody.Act {
			return &investigate.Close{On: on, Happened: g.when(), End: pick(r, "resolved", "not-a-security-incident", "false-positive", "customer-responsibility", "transferred", "not-escalated"),
				Notification: pick(r, "not triggered", "not triggered", ""), Restored: pick(r, g.in(0), g.in(0), 0), Uncovered: pick(r, "", "staffed elsewhere")}
		},
		investigate.KindReopen: func() custody.Act { return &investigate.Reopen{On: on, Happened: g.when()} },
		investigate.KindAppoint: func() custody.Act {
			a := &investigate.Appoint{On: on, Happened: g.when(), Principal: g.id(g.anybody()), Role: role(), Shadow: g.one(5), Instead: pick(r, "", "he is near")}
			if a.Role == custody.RoleServiceExpert || a.Role == custody.RoleServiceOwner {
				a.Service = "mail"
			}
			return a
		},
		investigate.KindHandOver: func() custody.Act {
			a := &investigate.HandOver{On: on, Happened: g.when(), From: g.id(g.anybody()), Role: role(), To: g.id(g.anybody())}
			if len(f.Holders) > 0 && !g.one(5) {
				h := pick(r, f.Holders...)
				a.From, a.Role = h.Principal, h.Role
			}
			return a
		},
		investigate.KindDischarge: func() custody.Act {
			a := &investigate.Discharge{On: on, Happened: g.when(), Principal: g.id(g.anybody()), Role: role()}
			if len(f.Holders) > 0 && !g.one(5) {
				h := pick(r, f.Holders...)
				a.Principal, a.Role = h.Principal, h.Role
			}
			return a
		},
		investigate.KindContact: func() custody.Act {
			return &investigate.Contact{On: on, Name: "Müller", Organisation: "LKA", Party: investigate.ContactLaw, Reach: "1"}
		},
		investigate.KindTeams: func() custody.Act {
			return &investigate.Teams{On: on, Owner: "us", Parent: pick(r, "", g.incident), Participating: []string{}, Replaces: newest(g, f.Teams)}
		},
		investigate.KindShift: func() custody.Act {
			return &investigate.Shift{On: on, From: g.in(0), Principal: g.id(g.anybody()), To: g.in(10 * time.Hour)}
		},
		investigate.KindNote: func() custody.Act {
			return &investigate.Note{On: on, Happened: g.when(), Audience: pick(r, "", "all"), Contributors: []custody.PrincipalID{g.id(g.anybody())}, Text: "x",
				Type: pick(r, investigate.NoteActivity, investigate.NoteDecision, investigate.NoteDraft, investigate.NoteCustomers)}
		},
		investigate.KindDetection: func() custody.Act {
			a := &investigate.Detection{On: on, Happened: g.when(), Properties: pick(r, []string{}, []string{"integrity"}), Reference: "1", Source: pick(r, investigate.Sources()...),
				Exercise: g.one(3), Replaces: pick(r, custody.Digest{}, some(g, f.Detections, entry))}
			if g.one(2) {
				a.Rules, a.Version = "intrusion", max(1, pick(r, 1, g.procedures, g.procedures))
			}
			return a
		},
		investigate.KindClassify: func() custody.Act {
			a := &investigate.Classify{On: on, Basis: "x", Facts: facts(), Replaces: newest(g, f.Classifications)}
			if a.SecurityIncident, a.Example = a.Facts.Decide(); g.one(4) {
				a.SecurityIncident = !a.SecurityIncident
			}
			return a
		},
		investigate.KindScope: func() custody.Act {
			return &investigate.Scope{On: on, Layer: pick(r, "host", "guest"), Model: "iaas", Override: pick(r, "", "so it is"),
				Responsibility: pick(r, "provider", "provider", "customer", "undetermined", "both"), Replaces: newest(g, f.Scopes)}
		},
		investigate.KindRequest: func() custody.Act {
			return &investigate.Request{On: on, Happened: g.when(), Authority: "CISO", Customer: "Contoso", Reference: "1"}
		},
		investigate.KindTransfer: func() custody.Act {
			return &investigate.Transfer{On: on, Happened: g.when(), Accepted: pick(r, "", "Ben"), Direction: pick(r, "to", "from"), Reference: "1", Team: pick(r, "operations", "customer-support")}
		},
		investigate.KindDeclare: func() custody.Act {
			return &investigate.Declare{On: on, Happened: g.when(), Declared: yes(), Limb: "x"}
		},
		investigate.KindAssess: func() custody.Act {
			return &investigate.Assess{On: on, Escalated: yes(), Impact: "x", Privacy: answer(), Security: answer(), Replaces: newest(g, f.Assessments)}
		},
		investigate.KindRate: func() custody.Act {
			return &investigate.Rate{On: on, DataRisk: pick(r, "none", "imminent", "confirmed"), Finding: g.finding(), Priority: 1 + uint64(r.IntN(4)),
				Severity: 1 + uint64(r.IntN(4)), Replaces: newest(g, f.Ratings)}
		},
		investigate.KindDependency: func() custody.Act {
			return &investigate.Dependency{On: on, Decision: "watch", Service: "x", Team: "y"}
		},
		investigate.KindConsult: func() custody.Act {
			return &investigate.Consult{On: on, Happened: g.when(), Answer: "x", Party: "partner", Question: "y", Who: "z"}
		},
		investigate.KindFinding: func() custody.Act {
			a := &investigate.Finding{On: on, Alternatives: pick(r, []string{}, []string{"none"}, []string{"none"}), Confidence: "low", Fact: "x", Interpretation: pick(r, "", "y", "y"), Limits: "z",
				Status: pick(r, "tentative", "established"), Title: "t", Citations: []investigate.Citation{}, Indicators: []investigate.Indicator{}, Techniques: []string{}}
			if g.one(4) {
				a.Replaces = g.finding()
			}
			if !g.one(4) {
				a.Citations = append(a.Citations, investigate.Citation{Evidence: g.item(), SHA256: pick(r, custody.Hash([]byte(logBytes)), custody.Hash([]byte(logBytes)), nothing),
					Stance: pick(r, "for", "for", "against"), Place: investigate.Place{Kind: investigate.PlaceLine, From: 1, To: 1}})
			}
			return a
		},
		investigate.KindReview: func() custody.Act {
			return &investigate.Review{On: on, Finding: g.finding(), Text: "x", Verdict: pick(r, "agrees", "disagrees")}
		},
		investigate.KindWithdrawFinding: func() custody.Act {
			return &investigate.WithdrawFinding{On: on, Finding: g.finding(), Reason: "x"}
		},
		investigate.KindProcess: func() custody.Act {
			return &investigate.Process{On: on, Happened: g.when(), Environment: "x", Inputs: []investigate.Input{{Evidence: g.item(), SHA256: custody.Hash([]byte(logBytes))}},
				Output: investigate.Output{SHA256: nothing, Size: 1}, Parameters: pick(r, "", "-x"), Tool: "grep", Version: "1"}
		},
		investigate.KindCatalogue: func() custody.Act {
			return &investigate.Catalogue{On: on, Evidence: g.item(), Mark: pick(r, "investigated", "investigated", "open", "not-relevant", "lost"), Reason: pick(r, "", "x"), What: "forensic-data"}
		},
		investigate.KindEvent: func() custody.Act {
			return &investigate.Event{On: on, Happened: g.when(), Citations: []investigate.Citation{}, Replaces: pick(r, custody.Digest{}, some(g, f.Events, entry)), Source: "x", Title: "y"}
		},
		investigate.KindCustomers: func() custody.Act {
			a := &investigate.Customers{On: on, Customers: []string{}, Findings: g.findings(), How: pick(r, "", "x"), Impacted: answer(), Results: []string{}, Replaces: newest(g, f.Customers)}
			if g.one(2) {
				a.Customers, a.Results = []string{"Contoso"}, []string{"loss"}
			}
			return a
		},
		investigate.KindClear: func() custody.Act {
			return &investigate.Clear{On: on, Authority: "x", Conditions: pick(r, "", "none"), Until: pick(r, 0, g.in(time.Hour))}
		},
		investigate.KindWithdrawClearance: func() custody.Act {
			return &investigate.WithdrawClearance{On: on, Clearance: some(g, f.Clearances, func(c investigate.Clearance) custody.Digest { return c.ID })}
		},
		investigate.KindIntelligence: func() custody.Act {
			return &investigate.Intelligence{On: on, Evidence: g.item(), SHA256: custody.Hash([]byte(logBytes)), Status: "finished", Title: "x", Version: f.NextVersion("x")}
		},
		investigate.KindPlan: func() custody.Act {
			return &investigate.Plan{On: on, Findings: g.findings(), Text: "x", Replaces: newest(g, f.Plans)}
		},
		investigate.KindMeasure: func() custody.Act {
			return &investigate.Measure{On: on, Findings: g.findings(), Owner: g.id(g.anybody()), Text: "x", Type: pick(r, "containment", "corrective", "long-term")}
		},
		investigate.KindCarryOut: func() custody.Act {
			return &investigate.CarryOut{On: on, Happened: g.when(), How: "x", Measure: measure()}
		},
		investigate.KindTest: func() custody.Act {
			return &investigate.Test{On: on, Happened: g.when(), How: "x", Measure: measure(), Passed: yes()}
		},
		investigate.KindDrop: func() custody.Act {
			return &investigate.Drop{On: on, Measure: measure(), Repair: pick(r, custody.Digest{}, repair())}
		},
		investigate.KindContainment: func() custody.Act {
			return &investigate.Containment{On: on, Happened: g.when(), Contained: yes(), How: "x", Risk: pick(r, "customer", "business")}
		},
		investigate.KindEmergency: func() custody.Act {
			a := &investigate.Emergency{On: on, Alternatives: []string{"none"}, Findings: g.findings(), Impact: pick(r, "", "x", "x"), Outage: yes(), Rationale: "y", Service: pick(r, "mail", "mail", "mail", "mail", "web", ""), Text: "z"}
			if a.Outage && !g.one(4) || g.one(8) {
				a.NoticeDue, a.ExpectedBack = g.in(pick(r, -time.Minute, time.Second, time.Second, time.Minute, time.Hour)), g.in(pick(r, -time.Minute, time.Hour, time.Hour))
			}
			return a
		},
		investigate.KindSignEmergency: func() custody.Act {
			return &investigate.SignEmergency{On: on, As: pick(r, custody.RoleExecutive, custody.RoleServiceOwner, custody.RoleIncidentManager), Proposal: emergency()}
		},
		investigate.KindWithdrawEmergency: func() custody.Act {
			return &investigate.WithdrawEmergency{On: on, Proposal: emergency(), Reason: "x", Undone: pick(r, "", "", "y")}
		},
		investigate.KindOutageNotice: func() custody.Act {
			return &investigate.OutageNotice{On: on, Happened: g.when(), ExpectedBack: pick(r, 0, g.in(time.Hour)), Late: pick(r, "", "x"), Proposal: emergency(), Reference: "1"}
		},
		investigate.KindPostMortem: func() custody.Act {
			a := &investigate.PostMortem{On: on, Evidence: g.item(), Headings: headings(), SHA256: custody.Hash([]byte(logBytes)), Replaces: newest(g, f.PostMortems)}
			if g.one(3) {
				a.Headings = a.Headings[:r.IntN(len(a.Headings))]
			}
			return a
		},
		investigate.KindSummary: func() custody.Act {
			return &investigate.Summary{On: on, Evidence: g.item(), PostMortem: some(g, f.PostMortems, entry), SHA256: custody.Hash([]byte(logBytes))}
		},
		investigate.KindApproveSummary: func() custody.Act {
			return &investigate.ApproveSummary{On: on, Summary: some(g, f.Summaries, func(s investigate.Summarised) custody.Digest { return s.ID })}
		},
		investigate.KindRepair: func() custody.Act {
			return &investigate.Repair{On: on, Due: pick(r, 0, g.in(-time.Hour), g.in(time.Hour), g.in(100*time.Hour)), Findings: g.findings(), Owner: pick(r, "", "Ben", "Eva"), Text: "x", Type: "tool"}
		},
		investigate.KindReschedule: func() custody.Act {
			return &investigate.Reschedule{On: on, Due: pick(r, 0, g.in(time.Hour)), Owner: pick(r, "", "Eva"), Repair: repair()}
		},
		investigate.KindRepaired: func() custody.Act {
			return &investigate.Repaired{On: on, Happened: g.when(), How: "x", Repair: repair()}
		},
		investigate.KindProcedure: func() custody.Act {
			return &investigate.Procedure{Name: "intrusion", Version: g.procedures + pick[uint64](r, 1, 1, 0), Steps: []investigate.ProcedureStep{{Minutes: 5, Name: "call", Stage: "detect"}}}
		},
		investigate.KindReviewDefaults: func() custody.Act {
			return &investigate.ReviewDefaults{Decided: pick(r, "", "kept"), Document: "OPERATING.md", Next: g.in(pick(r, -time.Hour, time.Hour, 9999*time.Hour)), SHA256: pick(r, custody.Digest{}, nothing)}
		},
		investigate.KindStep: func() custody.Act {
			return &investigate.Step{On: on, Done: pick(r, 0, g.in(0)), Owner: g.id(g.anybody()), Procedure: "intrusion", Step: pick(r, "call", "run"), Version: pick(r, 1, g.procedures)}
		},
		custody.KindBeginEvidence: func() custody.Act { return g.begin(pick(r, "log", "document", "post-mortem")) },
		custody.KindSealEvidence:  func() custody.Act { return sealing(g.t, g.incident, g.item(), logBytes) },
		custody.KindHoldEvidence: func() custody.Act {
			return &custody.HoldEvidence{Authority: "a court", Evidence: g.item()}
		},
		custody.KindWithdrawEvidence: func() custody.Act {
			return &custody.WithdrawEvidence{Evidence: g.item(), Incident: g.incident}
		},
		custody.KindRetrieveEvidence: func() custody.Act { return &custody.RetrieveEvidence{Evidence: g.item(), Length: 1} },
	}
}

func (g *chance) begin(kind string) custody.Act {
	g.exhibits++
	return beginning(g.t, g.incident, fmt.Sprint(g.exhibits), kind)
}

// step lets somebody say something: what would help, or anything.
func (g *chance) step() {
	g.Pass(time.Duration(g.r.IntN(40)) * time.Second)
	all := g.acts()
	if g.stuck > 0 {
		g.stuck--
	} else if !g.one(3) {
		if who, act := g.helpful(all); act != nil {
			if !g.says(who, act) {
				g.stuck = 4 // what was to help does not: chance has to
			}
			return
		}
	}
	kinds := slices.Sorted(maps.Keys(all))
	act := all[pick(g.r, kinds...)]()
	who := g.anybody()
	switch g.r.IntN(4) {
	case 0:
		who = g.manager()
	case 1:
		who = pick(g.r, "emil", "fay", "exa", "owen", "lex", "stef", "carl")
	}
	if strings.HasPrefix(string(act.Kind()), "vulnerability.") && !g.one(3) {
		who = pick(g.r, "lena", "mia", "exa", "olga")
	}
	g.says(who, act)
}

// says lets somebody say something, looks at what became of it, and says whether it
// was permitted.
func (g *chance) says(who string, act custody.Act) bool {
	g.t.Helper()
	g.seen["tried "+string(act.Kind())]++
	raw, err := g.people[who].Sign("because", act)
	require.NoError(g.t, err)
	a, err := g.Admit(g.t.Context(), raw, "")
	require.NoError(g.t, err, "%s: %s, %s", g.where, who, act.Kind())
	g.where += fmt.Sprintf(": %s, %s, permitted: %t", who, act.Kind(), a.Permit)
	was, sum := g.before, g.sum
	g.looks(g.observe)
	if !a.Permit {
		g.seen["refused"]++
		require.Equal(g.t, sum, g.sum, "%s: what was refused changed something", g.where)
		return false
	}
	g.seen["permitted"]++
	g.followed(was, act)
	g.lawful()
	return true
}

// observe keeps what is on record of the incident.
func (g *chance) observe(v custody.View, i *investigate.Incident) {
	state, err := v.State(custody.IncidentsStream)
	require.NoError(g.t, err)
	g.reports = slices.Clone(state.(*investigate.Incidents).Vulnerabilities)
	var d custody.StateDigest
	d.Add(custody.Head{Stream: g.incident.Stream()}, i, nil)
	g.sealed = map[custody.EvidenceID]bool{}
	for _, id := range i.Items() {
		e, err := v.State(id.Stream())
		require.NoError(g.t, err)
		d.Add(custody.Head{Stream: id.Stream()}, e, nil)
		g.sealed[id] = e.(*custody.Evidence).Sealed
	}
	if d.Sum() == g.sum {
		return
	}
	g.sum, g.items, g.assigned = d.Sum(), i.Items(), slices.Clone(i.Assignees())
	b, err := custody.Encode(i.File) // a copy that shares nothing with the fold
	require.NoError(g.t, err)
	g.before = investigate.File{}
	require.NoError(g.t, custody.Decode(b, &g.before))
}

// after are the acts that a closed incident's file takes in.
var after = []custody.Kind{
	investigate.KindReopen, investigate.KindHandOver, investigate.KindSummary, investigate.KindApproveSummary, investigate.KindRepair,
	investigate.KindReschedule, investigate.KindRepaired, investigate.KindClear, investigate.KindWithdrawClearance,
}

// followed holds what was permitted against what was before.
func (g *chance) followed(was investigate.File, act custody.Act) {
	g.t.Helper()
	now := g.before
	if was.Closed != nil && !slices.Contains(after, act.Kind()) {
		old, err := custody.Encode(was)
		require.NoError(g.t, err)
		is, err := custody.Encode(now)
		require.NoError(g.t, err)
		require.Equal(g.t, string(old), string(is), "%s: a closed incident's file changed", g.where)
	}
	switch act := act.(type) {
	case *investigate.Move:
		g.seen[act.Stage]++
		if act.Exception != "" {
			g.seen["exceptions"]++
		}
		from := investigate.StageDetect
		if len(was.Stages) > 0 {
			from = was.Stages[len(was.Stages)-1].Stage
		}
		g.left(from, act.Stage)
	case *investigate.Procedure:
		g.procedures++
	case *investigate.Reopen:
		g.seen["reopened"]++
		came := slices.ContainsFunc(was.Stages, func(s investigate.Stage) bool { return s.Stage == investigate.StageDiagnose })
		is := slices.ContainsFunc(now.Stages, func(s investigate.Stage) bool { return s.Stage == investigate.StageDiagnose })
		require.Equal(g.t, came, is, "%s: reopened further than it ever came", g.where)
	case *investigate.HandOver:
		if act.Role == custody.RoleIncidentManager {
			g.seen["new managers"]++
		}
	case *investigate.Close:
		if act.End == investigate.EndResolved {
			g.seen["closed: resolved"]++
		} else {
			g.seen["closed otherwise"]++
		}
	case *investigate.Rate:
		if act.DataRisk != "none" {
			g.seen["at risk"]++
			return
		}
		affected, contained := false, false
		for _, c := range was.Customers {
			affected = c.Act.Impacted == "yes"
		}
		for _, c := range was.Containments {
			contained = contained && c.Act.Risk != "customer" || c.Act.Risk == "customer" && c.Act.Contained
		}
		require.True(g.t, !affected || contained, "%s: at risk no more, though affected and not contained", g.where)
	case *investigate.Finding:
		if act.Status == "established" {
			g.seen["established"]++
		}
	case *investigate.WithdrawEmergency:
		g.seen["proposals withdrawn"]++
		of := func(e investigate.Mitigation) bool { return e.ID == act.Proposal }
		require.Equal(g.t, act.Undone != "", was.Emergencies[slices.IndexFunc(was.Emergencies, of)].Approved(), "%s: approved, and withdrawn", g.where)
	case *investigate.OutageNotice:
		if act.Late != "" {
			g.seen["late notices"]++
		}
	case *investigate.Detection:
		if act.Rules != "" {
			g.seen["exercises by rules"]++
		}
	case *investigate.Repaired:
		g.seen["repaired"]++
	}
	approved := func(f investigate.File) (n int) {
		for _, e := range f.Emergencies {
			if len(e.Signatures) == 3 {
				n++
			}
		}
		return n
	}
	g.seen["emergencies approved"] += max(0, approved(now)-approved(was))
	effective := func(f investigate.File) (n int) {
		for _, m := range f.Measures {
			if m.Effective() {
				n++
			}
		}
		return n
	}
	g.seen["measures effective"] += max(0, effective(now)-effective(was))
}

// left holds a stage that was left against what the white paper asks for before.
func (g *chance) left(from, to string) {
	g.t.Helper()
	f := g.before
	switch {
	case from == investigate.StageAssess && to == investigate.StageDiagnose:
		require.NotEmpty(g.t, f.Ratings, g.where)
		require.True(g.t, f.Assessments[len(f.Assessments)-1].Act.Escalated, g.where)
		require.NotEmpty(g.t, g.holder(custody.RoleIncidentManager), g.where)
	case from == investigate.StageDiagnose:
		g.looks(func(v custody.View, i *investigate.Incident) {
			for _, id := range i.Items() {
				item, err := custody.ItemIn(v, g.incident, id)
				require.NoError(g.t, err)
				mark := ""
				for _, c := range f.Catalogue {
					if c.Act.Evidence == id {
						mark = c.Act.Mark
					}
				}
				sound := item.Sealed && item.Confirmed && !item.Damaged && len(item.Holds) > 0
				lost := mark == "lost" && (!item.Sealed || item.Damaged)
				require.True(g.t, item.Withdrawn || lost || sound, "%s: %s is not sound, and marked %q", g.where, id, mark)
				require.NotEqual(g.t, "open", mark, g.where)
			}
		})
		require.NotEmpty(g.t, f.Customers, g.where)
	case from == investigate.StageStabilize && to == investigate.StageClose:
		require.NotEmpty(g.t, f.Plans, g.where)
		contained := map[string]bool{}
		for _, c := range f.Containments {
			contained[c.Act.Risk] = c.Act.Contained
		}
		require.Equal(g.t, map[string]bool{"customer": true, "business": true}, contained, g.where)
		for _, m := range f.Measures {
			tested := len(m.Tests) > 0 && m.Tests[len(m.Tests)-1].Act.Passed && m.CarriedOut != nil
			require.True(g.t, m.Dropped != nil || tested, "%s: measure %s", g.where, m.Label)
		}
		require.Equal(g.t, "none", f.Ratings[len(f.Ratings)-1].Act.DataRisk, g.where)
		for _, e := range f.Emergencies {
			require.False(g.t, len(e.Signatures) == 3 && e.Withdrawn == nil && e.Act.Outage && e.Notice == nil, "%s: no outage notice", g.where)
		}
	}
}

// lawful holds the incident's file against what the white paper knows.
func (g *chance) lawful() {
	g.t.Helper()
	g.lawfulStages()
	g.lawfulRoles()
	f := g.before
	for _, r := range f.Ratings {
		require.True(g.t, r.Act.DataRisk == "none" || r.Act.Severity == 1, "%s: at risk with severity %d", g.where, r.Act.Severity)
	}
	for _, e := range f.Emergencies {
		by, as := map[custody.PrincipalID]bool{}, map[custody.Role]bool{}
		for _, s := range e.Signatures {
			by[s.By], as[s.Act.As] = true, true
			require.True(g.t, g.held(s.By, s.Act.As, s.Recorded), "%s: who signed %s was not %s", g.where, e.Label, s.Act.As)
		}
		require.Len(g.t, by, len(e.Signatures), g.where)
		require.Len(g.t, as, len(e.Signatures), g.where)
		require.False(g.t, e.Withdrawn != nil && e.InForce(), "%s: %s is withdrawn and in force", g.where, e.Label)
		require.False(g.t, e.Approved() && len(by) != 3, "%s: approved by %d", g.where, len(by))
		require.NotEmpty(g.t, e.Act.Impact, g.where)
		require.False(g.t, e.Act.Service == "" && f.Definition >= 2, "%s: %s is done to no service", g.where, e.Label)
		for _, s := range e.Signatures {
			owner := slices.ContainsFunc(f.Holders, func(h investigate.Holder) bool {
				return h.Role == custody.RoleServiceOwner && h.Principal == s.By && h.Service == e.Act.Service
			})
			require.True(g.t, owner || s.Act.As != custody.RoleServiceOwner || e.Act.Service == "", "%s: %s is signed by the owner of another service", g.where, e.Label)
		}
		if e.Act.Outage && f.Definition >= 2 {
			require.NotZero(g.t, e.Act.NoticeDue, g.where)
			require.NotZero(g.t, e.Act.ExpectedBack, g.where)
		}
		if n := e.Notice; n != nil && e.Act.NoticeDue != 0 {
			require.NotZero(g.t, n.Act.ExpectedBack, g.where)
			require.Equal(g.t, n.Act.At > e.Act.NoticeDue, n.Act.Late != "", "%s: late, and why", g.where)
		}
	}
	for _, x := range f.Findings {
		cited := slices.ContainsFunc(x.Act.Citations, func(c investigate.Citation) bool { return c.Stance == "for" && g.sealed[c.Evidence] })
		require.True(g.t, x.Act.Status != "established" || cited, "%s: %s is established by nothing", g.where, x.Label)
		require.False(g.t, slices.ContainsFunc(x.Reviews, func(r investigate.Entry[investigate.Review]) bool { return r.By == x.By }), "%s: %s reviewed by its author", g.where, x.Label)
	}
	for _, m := range f.Measures {
		for _, t := range m.Tests {
			require.NotEqual(g.t, m.CarriedOut.By, t.By, "%s: %s", g.where, m.Label)
		}
	}
	for _, r := range f.Repairs {
		require.NotEmpty(g.t, r.Owner, g.where)
		require.NotZero(g.t, r.Due, g.where)
	}
	for _, p := range f.PostMortems {
		require.True(g.t, g.held(p.By, custody.RoleIncidentManager, p.Recorded), "%s: a post-mortem by another", g.where)
	}
	g.lawfulReports()
	for _, d := range f.Detections {
		ruled := !d.Act.Exercise || d.Act.Rules != "" || d.Replaced != nil
		require.True(g.t, ruled || f.Definition < 2, "%s: exercise %s by no rules", g.where, d.Label)
	}
	g.lawfullyClosed()
}

// lawfulReports: what is confirmed has an owner and a day; a duplicate is one of what is
// gone into itself; and an incident has each report once.
func (g *chance) lawfulReports() {
	g.t.Helper()
	states := map[custody.Digest]string{}
	for _, v := range g.reports {
		states[v.ID] = v.State
	}
	for _, v := range g.reports {
		g.seen["vulnerabilities "+v.State]++
		switch n := len(v.Assessments); v.State {
		case "reported":
			require.Zero(g.t, n, g.where)
		case "duplicate":
			of := v.Assessments[n-1].Act.Of
			require.NotContains(g.t, []string{"", "duplicate"}, states[of], "%s: %s", g.where, v.Label)
			require.NotEqual(g.t, v.ID, of, g.where)
		case "not-one":
			require.Empty(g.t, v.Assessments[n-1].Act.Owner, g.where)
		default:
			a := v.Assessments[n-1].Act
			require.True(g.t, a.Verdict == "confirmed" && a.Owner != "" && a.Due > v.Assessments[n-1].Signed && a.Severity > 0, "%s: %s", g.where, v.Label)
		}
	}
	linked := map[custody.Digest]bool{}
	for _, e := range g.before.Links {
		require.False(g.t, linked[e.Act.Vulnerability], "%s: linked twice", g.where)
		linked[e.Act.Vulnerability] = true
		require.NotEmpty(g.t, states[e.Act.Vulnerability], g.where)
		g.seen["vulnerabilities linked"]++
	}
}

func (g *chance) lawfullyClosed() {
	f := g.before
	if f.Closed == nil {
		return
	}
	require.NotEmpty(g.t, f.Closed.Act.Notification, g.where)
	require.LessOrEqual(g.t, f.Closed.Act.Restored, f.Closed.Act.At, g.where)
	if n := len(f.Ratings); n > 0 && f.Closed.Act.End != investigate.EndCustomer {
		require.Equal(g.t, investigate.RiskNone, f.Ratings[n-1].Act.DataRisk, g.where)
	}
	for _, e := range f.Emergencies {
		require.False(g.t, e.Approved() && e.Act.Outage && e.Notice == nil, "%s: no outage notice", g.where)
	}
	security := len(f.Classifications) > 0 && f.Classifications[len(f.Classifications)-1].Act.SecurityIncident
	if f.Closed.Act.End != investigate.EndResolved {
		require.False(g.t, security, "%s: a security incident ended as %s", g.where, f.Closed.Act.End)
		return
	}
	require.Equal(g.t, investigate.StageClose, g.stage(), g.where)
	require.NotEqual(g.t, "undetermined", f.Scopes[len(f.Scopes)-1].Act.Responsibility, g.where)
	require.NotZero(g.t, f.Closed.Act.Restored, g.where)
	require.NotEmpty(g.t, f.PostMortems, g.where)
	require.GreaterOrEqual(g.t, f.PostMortems[len(f.PostMortems)-1].Recorded, f.Stages[len(f.Stages)-1].Recorded, "%s: the post-mortem is older than the last stage", g.where)
	have := []string{}
	for _, h := range f.PostMortems[len(f.PostMortems)-1].Act.Headings {
		have = append(have, h.Heading)
	}
	for _, h := range []string{
		"technical-lapses", "communication-lapses", "procedural-failures", "manual-errors", "process-flaws", "engineering-follow-up", "response-procedures", "procedure-updates", "revisions",
	} {
		require.Contains(g.t, have, h, g.where)
	}
}

// lawfulStages: forward one by one, free between Diagnose and Stabilize & Recover, back
// otherwise with a reason, and never earlier than before.
func (g *chance) lawfulStages() {
	g.t.Helper()
	at, furthest, since := 0, 0, custody.Time(0)
	for _, s := range g.before.Stages {
		to := slices.Index(order, s.Stage)
		require.GreaterOrEqual(g.t, to, 0, g.where)
		forward, free := to == at+1, min(at, to) == 2 && max(at, to) == 3
		require.True(g.t, forward || free || to <= at && s.Exception != "", "%s: from %s to %s", g.where, order[at], s.Stage)
		require.LessOrEqual(g.t, to, furthest+1, "%s: first entries", g.where)
		require.LessOrEqual(g.t, since, s.Entered, "%s: entered earlier than what was before", g.where)
		at, furthest, since = to, max(furthest, to), s.Entered
	}
}

// lawfulRoles: one manager, on call and executive at a time; always a manager once there
// was one; each with the role in the service, and of the team.
func (g *chance) lawfulRoles() {
	g.t.Helper()
	had := false
	for _, r := range []custody.Role{custody.RoleIncidentManager, custody.RoleOnCall, custody.RoleExecutive} {
		holding, until := 0, custody.Time(0)
		for _, h := range g.before.Holders {
			if h.Role != r || h.Shadow {
				continue
			}
			require.LessOrEqual(g.t, until, h.From, "%s: two are %s at a time", g.where, r)
			until = h.Until
			if h.Ended == nil {
				holding++
			}
			had = had || r == custody.RoleIncidentManager
		}
		require.LessOrEqual(g.t, holding, 1, "%s: %s", g.where, r)
		require.False(g.t, r == custody.RoleIncidentManager && had && holding != 1, "%s: no manager any more", g.where)
	}
	for _, h := range g.before.Holders {
		require.True(g.t, h.Ended == nil || h.From <= h.Until, "%s: %s was %s until before he was", g.where, h.Principal, h.Role)
		require.True(g.t, h.Ended != nil || slices.Contains(g.assigned, h.Principal), "%s: %s is %s and not of the team", g.where, h.Principal, h.Role)
		of := slices.IndexFunc(parts, func(p struct {
			name  string
			roles []custody.Role
		}) bool {
			return p.name == g.name(h.Principal)
		})
		granted := slices.Contains(parts[of].roles, h.Role) || parts[of].name == "exa" && h.Role == custody.RoleServiceOwner
		require.True(g.t, h.Shadow || granted, "%s: %s is %s", g.where, parts[of].name, h.Role)
	}
}

// held says whether somebody had a role when something was recorded.
func (g *chance) held(p custody.PrincipalID, r custody.Role, at custody.Time) bool {
	return slices.ContainsFunc(g.before.Holders, func(h investigate.Holder) bool {
		return h.Principal == p && h.Role == r && !h.Shadow && h.Recorded <= at && (h.Ended == nil || at <= h.Ended.Recorded)
	})
}

// helpful says what brings the incident on, and who says it; or nothing.
func (g *chance) helpful(all map[custody.Kind]func() custody.Act) (string, custody.Act) {
	f, m := g.before, g.manager()
	move := func(stage string) (string, custody.Act) {
		exception := ""
		if g.one(6) {
			stage, exception = pick(g.r, order...), pick(g.r, "", "a mistake")
		}
		return m, &investigate.Move{On: g.on, Happened: g.when(), Definition: g.version, Exception: exception, Stage: stage, Undocumented: "it burns"}
	}
	if f.Closed != nil {
		if g.one(10) {
			return m, &investigate.Reopen{On: g.on, Happened: g.now()}
		}
		for _, r := range f.Repairs {
			if r.Done == nil && g.one(2) {
				return m, &investigate.Repaired{On: g.on, Happened: g.now(), How: "x", Repair: r.ID}
			}
		}
		return m, pick(g.r, all[investigate.KindRepair], all[investigate.KindRepaired])()
	}
	for _, h := range []struct {
		who, by string
		role    custody.Role
	}{
		{"olga", "lena", custody.RoleOnCall}, {"lena", g.holder(custody.RoleOnCall), custody.RoleIncidentManager}, {"emil", m, custody.RoleForensicEngineer},
		{"fay", m, custody.RoleForensicEngineer}, {"exa", m, custody.RoleExecutive}, {"owen", m, custody.RoleServiceOwner}, {"exa", m, custody.RoleServiceOwner}, {"lex", m, custody.RoleLegalAdvisor},
	} {
		missing := !slices.ContainsFunc(f.Holders, func(x investigate.Holder) bool {
			one := h.role == custody.RoleOnCall || h.role == custody.RoleIncidentManager || h.role == custody.RoleExecutive
			return x.Role == h.role && !x.Shadow && x.Ended == nil && (one || x.Principal == g.id(h.who))
		})
		if missing && h.by != "" && slices.Contains(g.assigned, g.id(h.who)) && !g.one(4) {
			a := g.appoint(h.who, h.role)
			a.Instead, a.Happened = "he is near", g.when()
			if h.role == custody.RoleServiceOwner {
				a.Service = "mail"
			}
			return h.by, a
		}
	}
	if len(f.Findings) > 0 && g.one(3) {
		return g.working(all)
	}
	switch g.stage() {
	case investigate.StageDetect:
		if len(f.Detections) == 0 {
			return "olga", all[investigate.KindDetection]()
		}
		for _, d := range f.Detections {
			if d.Replaced == nil && d.Act.Exercise && d.Act.Rules == "" && !g.one(4) {
				a := d.Act
				a.Replaces, a.Exercise = d.ID, g.procedures > 0
				if a.Exercise {
					a.Rules, a.Version = "intrusion", g.procedures
				}
				return m, &a
			}
		}
		return move(investigate.StageAssess)
	case investigate.StageAssess:
		none := &investigate.Close{On: g.on, Happened: g.now(), End: investigate.EndNotRaised, Notification: "not triggered"}
		switch {
		case len(f.Assessments) == 0 && g.one(3):
			return "olga", all[investigate.KindAssess]()
		case len(f.Assessments) > 0 && !f.Assessments[len(f.Assessments)-1].Act.Escalated && !g.one(3):
			return m, none
		case len(f.Classifications) > 0 && g.one(4):
			none.End = investigate.EndNot
			return m, none
		case len(f.Assessments) == 0 || !f.Assessments[len(f.Assessments)-1].Act.Escalated:
			return m, &investigate.Assess{On: g.on, Escalated: true, Impact: "x", Privacy: "no", Security: "yes", Replaces: newest(g, f.Assessments)}
		case len(f.Ratings) == 0:
			return m, all[investigate.KindRate]()
		case len(f.Scopes) == 0:
			return m, all[investigate.KindScope]()
		}
		return move(investigate.StageDiagnose)
	case investigate.StageDiagnose:
		if n := len(f.Emergencies); g.one(2) && (n == 0 || len(f.Emergencies[n-1].Signatures) < 3) {
			return g.emergency(all)
		}
		if len(g.items) > 0 && len(f.Customers) > 0 && g.one(3) {
			return move(investigate.StageStabilize) // whatever it lacks
		}
		if len(f.Customers) == 0 && g.one(3) {
			return m, all[investigate.KindCustomers]()
		}
		if who, act := g.safe(); act != nil {
			return who, act
		}
		if len(f.Customers) == 0 {
			return m, &investigate.Customers{On: g.on, Customers: []string{}, Findings: []custody.Digest{}, Impacted: "unknown", Results: []string{}}
		}
		if len(f.Findings) == 0 || g.one(2) {
			return pick(g.r, "emil", "fay"), all[investigate.KindFinding]()
		}
		return move(investigate.StageStabilize)
	case investigate.StageStabilize:
		return g.stable(all)
	}
	return g.ending(all)
}

// working does what goes on beside: measures, ratings, reviews, hand-overs, back and
// forth.
func (g *chance) working(all map[custody.Kind]func() custody.Act) (string, custody.Act) {
	m := g.manager()
	switch g.r.IntN(14) {
	case 10:
		return m, all[investigate.KindCustomers]()
	case 5, 6, 7:
		return g.emergency(all)
	case 8:
		role, who := custody.RoleOnCall, g.oncall()
		if g.one(3) {
			role, who = custody.RoleIncidentManager, m
		}
		return m, &investigate.Discharge{On: g.on, Happened: g.when(), Principal: g.id(who), Role: role}
	case 9: // beside who has it
		a := g.appoint("mia", pick(g.r, custody.RoleOnCall, custody.RoleIncidentManager))
		a.Instead = "she is near"
		return "exa", a
	case 0, 12:
		a := all[investigate.KindMeasure]().(*investigate.Measure)
		a.Owner = g.id("emil")
		return "fay", a
	case 1:
		a := all[investigate.KindRate]().(*investigate.Rate)
		a.Severity = 1
		if g.one(2) {
			a.DataRisk = "none"
		}
		return m, a
	case 2:
		return pick(g.r, "emil", "fay"), all[investigate.KindReview]()
	case 3:
		to := "lena"
		if m == to {
			to = "mia"
		}
		return m, &investigate.HandOver{On: g.on, Happened: g.when(), From: g.id(m), Role: custody.RoleIncidentManager, To: g.id(to)}
	case 4:
		return m, &investigate.Move{On: g.on, Happened: g.when(), Definition: g.version, Stage: pick(g.r, order...), Exception: pick(g.r, "", "a mistake", "a mistake"), Undocumented: "it burns"}
	}
	return "emil", all[investigate.KindFinding]()
}

// safe keeps the items as Diagnose asks for.
func (g *chance) safe() (who string, act custody.Act) {
	if scopes := g.before.Scopes; len(scopes) > 0 && scopes[len(scopes)-1].Act.Responsibility != "provider" && len(g.before.Requests) == 0 {
		return g.manager(), &investigate.Request{On: g.on, Happened: g.now(), Authority: "CISO", Customer: "Contoso", Reference: "1"}
	}
	if len(g.items) == 0 {
		return "emil", g.begin("log")
	}
	for _, id := range g.items {
		if g.sealed[id] && !g.confirmed(id) {
			g.readBack(id, logBytes, logBytes)
			g.looks(g.observe)
		}
	}
	g.looks(func(v custody.View, i *investigate.Incident) {
		for _, id := range i.Items() {
			item, err := custody.ItemIn(v, g.incident, id)
			require.NoError(g.t, err)
			mark := ""
			for _, c := range i.Catalogued() {
				if c.Act.Evidence == id {
					mark = c.Act.Mark
				}
			}
			switch {
			case act != nil || item.Withdrawn:
			case mark == "" || mark == "open":
				who, act = g.manager(), &investigate.Catalogue{On: g.on, Evidence: id, Mark: "investigated", What: "forensic-data"}
			case mark == "lost" && !item.Sealed:
			case !item.Sealed:
				who, act = g.name(item.BegunBy), sealing(g.t, g.incident, id, logBytes)
			case len(item.Holds) == 0:
				who, act = "lex", &custody.HoldEvidence{Authority: "a court", Evidence: id}
			}
		}
	})
	return who, act
}

func (g *chance) confirmed(id custody.EvidenceID) (is bool) {
	g.looks(func(v custody.View, _ *investigate.Incident) {
		item, err := custody.ItemIn(v, g.incident, id)
		require.NoError(g.t, err)
		is = item.Confirmed
	})
	return is
}

// emergency has one proposed, or signed by who may.
func (g *chance) emergency(all map[custody.Kind]func() custody.Act) (string, custody.Act) {
	if n := len(g.before.Emergencies); n > 0 && g.one(12) {
		e := g.before.Emergencies[n-1]
		return pick(g.r, g.manager(), g.name(e.By)), &investigate.WithdrawEmergency{On: g.on, Proposal: e.ID, Reason: "x"}
	}
	if n := len(g.before.Emergencies); n > 0 && g.before.Emergencies[n-1].Withdrawn == nil {
		e := g.before.Emergencies[n-1]
		for _, s := range []struct {
			who string
			as  custody.Role
		}{{"exa", custody.RoleExecutive}, {pick(g.r, "owen", "owen", "exa"), custody.RoleServiceOwner}, {g.manager(), custody.RoleIncidentManager}} {
			if !slices.ContainsFunc(e.Signatures, func(x investigate.Entry[investigate.SignEmergency]) bool { return x.Act.As == s.as }) {
				return s.who, &investigate.SignEmergency{On: g.on, As: s.as, Proposal: e.ID}
			}
		}
	}
	return "emil", all[investigate.KindEmergency]()
}

// stable does what Stabilize & Recover asks for.
func (g *chance) stable(all map[custody.Kind]func() custody.Act) (string, custody.Act) {
	f, m := g.before, g.manager()
	if len(f.Measures) == 0 && g.one(2) {
		return "fay", &investigate.Measure{On: g.on, Owner: g.id("emil"), Text: "x", Type: "containment"}
	}
	for _, x := range f.Measures {
		switch {
		case x.Dropped != nil || x.Effective():
		case x.Act.Type == "long-term" && len(f.Repairs) == 0:
			return m, all[investigate.KindRepair]()
		case x.Act.Type == "long-term":
			return m, &investigate.Drop{On: g.on, Measure: x.ID, Repair: f.Repairs[0].ID}
		case x.CarriedOut == nil:
			return m, &investigate.CarryOut{On: g.on, Happened: g.now(), How: "x", Measure: x.ID}
		default:
			return pick(g.r, "emil", "fay"), &investigate.Test{On: g.on, Happened: g.now(), How: "x", Measure: x.ID, Passed: true}
		}
	}
	for _, e := range f.Emergencies {
		if e.Approved() && e.Act.Outage && e.Notice == nil {
			n := &investigate.OutageNotice{On: g.on, Happened: g.now(), ExpectedBack: g.in(time.Hour), Proposal: e.ID, Reference: "1"}
			if e.Act.NoticeDue != 0 && n.At > e.Act.NoticeDue && !g.one(4) {
				n.Late = "x"
			}
			return m, n
		}
	}
	switch {
	case len(f.Plans) == 0:
		return m, all[investigate.KindPlan]()
	case f.Ratings[len(f.Ratings)-1].Act.DataRisk != "none":
		a := all[investigate.KindRate]().(*investigate.Rate)
		a.DataRisk = "none"
		return m, a
	case g.one(3):
		return m, &investigate.Containment{On: g.on, Happened: g.now(), Contained: true, How: "x", Risk: "customer"}
	case g.one(3):
		return m, &investigate.Containment{On: g.on, Happened: g.now(), Contained: true, How: "x", Risk: "business"}
	}
	return m, &investigate.Move{On: g.on, Happened: g.now(), Definition: g.version, Stage: investigate.StageClose}
}

// ending does what the closing asks for.
func (g *chance) ending(all map[custody.Kind]func() custody.Act) (string, custody.Act) {
	f, m := g.before, g.manager()
	switch {
	case g.one(4): // whatever is missing
		return m, &investigate.Close{On: g.on, Happened: g.now(), End: investigate.EndResolved, Notification: "not triggered", Restored: g.in(0), Uncovered: "staffed elsewhere"}
	case len(f.Classifications) == 0:
		return m, all[investigate.KindClassify]()
	case len(f.PostMortems) > 0 && f.Scopes[len(f.Scopes)-1].Act.Responsibility == "undetermined" && !g.one(3):
		return m, all[investigate.KindScope]()
	case len(f.PostMortems) > 0:
		return m, &investigate.Close{On: g.on, Happened: g.now(), End: investigate.EndResolved, Notification: "not triggered", Restored: g.in(0), Uncovered: "staffed elsewhere"}
	}
	var own custody.EvidenceID
	g.looks(func(_ custody.View, i *investigate.Incident) {
		for _, id := range i.Items() {
			if b, _ := i.Item(id); b.Begun.Type == custody.TypePostMortem && !b.Withdrawn && g.name(b.BegunBy) == m {
				own = id
			}
		}
	})
	switch {
	case own == "":
		return m, g.begin(custody.TypePostMortem)
	case !g.sealed[own]:
		return m, sealing(g.t, g.incident, own, logBytes)
	}
	return m, &investigate.PostMortem{On: g.on, Evidence: own, Headings: headings()[:pick(g.r, 9, 9, 8)], SHA256: custody.Hash([]byte(logBytes))}
}

// replayed decides everything again from the log, and comes to the same.
func (g *chance) replayed() {
	t := g.t
	t.Helper()
	store, ok := g.Store.(*guardtest.Store)
	require.True(t, ok)
	by, streams := map[custody.Leaf]guard.Stored{}, []custody.Stream{}
	for n := range store.Len() {
		s := store.Nth(n)
		by[s.Leaf] = s
		for _, o := range s.Opens {
			streams = append(streams, o.Stream)
		}
	}
	var list []replay.Record
	signed, err := custody.CheckpointBody(g.Log.Checkpoint())
	require.NoError(t, err)
	require.EqualValues(t, store.Len(), signed.Size)
	require.NoError(t, g.Log.Leaves(t.Context(), signed.Size, func(l custody.Leaf) error {
		s, ok := by[l]
		if !ok {
			return errors.New("a leaf of no record")
		}
		list = append(list, replay.Record{Leaf: l, Stream: s.Stream, Sequence: s.Sequence, Payload: s.Payload, Opening: s.Opening, Bytes: s.Record, Opens: s.Opens})
		return nil
	}))
	report, err := replay.Run(t.Context(), replay.Config{
		Trust: g.Trust, Words: investigate.Words(), States: investigate.States(), Checkpoint: g.Log.Checkpoint(),
		At: func(_ context.Context, place uint64) (replay.Record, error) { return list[place], nil },
	}, func(yield func(replay.Record, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	})
	require.NoError(t, err)
	require.Empty(t, report.Disagrees)
	require.True(t, report.Agrees)
	require.EqualValues(t, len(list), report.Permitted+report.Refused)
	own, err := guard.StateDigest(t.Context(), guard.Config{Store: g.Store, Words: investigate.Words(), States: investigate.States(), Now: g.Now}, streams)
	require.NoError(t, err)
	require.Equal(t, own, report.State)
}
