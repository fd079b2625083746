package investigate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

// TestWhatAHistoryTells of acts whose line is all that most readers of a bundle see: what
// limits a finding, when something happened, and what three people sign.
func TestWhatAHistoryTells(t *testing.T) {
	at := custody.TimeOf(time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC))
	when := investigate.Happened{At: at}
	for want, act := range map[string]interface{ Detail() string }{
		"established, confidence high: a web shell; fact: f; taken to mean: i; limits: l; what else it could be: a, b": &investigate.Finding{
			Status: "established", Confidence: "high", Title: "a web shell", Fact: "f", Interpretation: "i", Limits: "l", Alternatives: []string{"a", "b"},
		},
		"cut it off; impact: i; rationale: r; instead of: a; causes an outage": &investigate.Emergency{
			Text: "cut it off", Impact: "i", Rationale: "r", Alternatives: []string{"a"}, Outage: true,
		},
		"cut it off / and wipe it; impact: none / but to Contoso; rationale: it spreads / it seems; instead of: a": &investigate.Emergency{
			Text: "cut it off\nand wipe it", Impact: "none\nbut to Contoso", Rationale: "it spreads\nit seems", Alternatives: []string{"a"},
		},
		"tentative, confidence low: a login; fact: a login / as root; taken to mean: he had it / or she; limits: the log / is short": &investigate.Finding{
			Status: "tentative", Confidence: "low", Title: "a login", Fact: "a login\nas root", Interpretation: "he had it\nor she", Limits: "the log\nis short",
		},
		"agrees: I read it / and not all of it":         &investigate.Review{Verdict: "agrees", Text: "I read it\nand not all of it"},
		"it is older / by a year":                       &investigate.WithdrawFinding{Reason: "it is older\nby a year"},
		"all images, by a contract: none / but no mail": &investigate.Clear{Authority: "a contract", Conditions: "none\nbut no mail"},
		"operator: ticket 7, at 2026-11-23T08:00:00.000000Z; at risk: integrity; of an exercise": &investigate.Detection{
			Happened: when, Source: "operator", Reference: "ticket 7", Properties: []string{"integrity"}, Exercise: true,
		},
		"cut it off; impact: i; rationale: r; instead of: a; causes an outage; its notice is due at 2026-11-23T08:00:00.000000Z; expected back at 2026-11-23T08:00:00.000000Z": &investigate.Emergency{
			Text: "cut it off", Impact: "i", Rationale: "r", Alternatives: []string{"a"}, Outage: true, NoticeDue: at, ExpectedBack: at,
		},
		"page 7": &investigate.OutageNotice{Happened: when, Reference: "page 7"},
		"page 7, sent at 2026-11-23T08:00:00.000000Z; expected back at 2026-11-23T08:00:00.000000Z; late: flu": &investigate.OutageNotice{
			Happened: when, ExpectedBack: at, Late: "flu", Reference: "page 7",
		},
		"red-team: plan 7, at 2026-11-23T08:00:00.000000Z; at risk: integrity; of an exercise, by the rules of red, version 2": &investigate.Detection{
			Happened: when, Source: "red-team", Reference: "plan 7", Properties: []string{"integrity"}, Exercise: true, Rules: "red", Version: 2,
		},
		"a security incident: unauthorized access, disclosure and loss of customer data, like example h": &investigate.Classify{
			Facts: investigate.Facts{Access: "unauthorized", Results: []string{"disclosure", "loss"}}, Example: "h", SecurityIncident: true,
		},
		"owned by cert": &investigate.Teams{Owner: "cert"},
		"owned by cert, with net, mail, about mail alone": &investigate.Teams{Owner: "cert", Participating: []string{"net", "mail"}, Service: "mail"},
		"at 2026-11-23T08:00:00.000000Z: patched":         &investigate.CarryOut{Happened: when, How: "patched"},
		"resolved, restored at 2026-11-23T08:00:00.000000Z; notification: given; nobody was on shift for a while: flu": &investigate.Close{
			End: "resolved", Restored: at, Notification: "given", Uncovered: "flu",
		},
		"false-positive; notification: none": &investigate.Close{End: "false-positive", Notification: "none"},
		"customer data affected: yes; what became of it is not determined; whose: Contoso; mail": &investigate.Customers{
			Impacted: "yes", Customers: []string{"Contoso"}, How: "mail",
		},
		"customer data affected: yes; disclosure, loss; whose: Contoso, Fabrikam; mail": &investigate.Customers{
			Impacted: "yes", Customers: []string{"Contoso", "Fabrikam"}, How: "mail", Results: []string{"disclosure", "loss"},
		},
	} {
		require.Equal(t, want, act.Detail())
	}
}
