package investigate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

// TestCustomers: whether customer data is affected, how and whose, is determined by
// findings, and open as long as it is not known (WP-79). With the determination that
// it was altered, disclosed or lost begins the duty to notify, in the same act, and
// its delay is measured (WP-83).
func TestCustomers(t *testing.T) {
	x := diagnosing(t)
	log := x.takesIn(x.eve, "EX-1", "log", logText)
	found := x.does(x.eve, x.finding(cite(t, string(log)+":for", logText)))
	wrong := x.does(x.eve, x.finding(cite(t, string(log)+":for", logText)))
	x.does(x.eve, &investigate.WithdrawFinding{On: x.on, Finding: wrong, Reason: "a mistake"})
	type customers = investigate.Customers
	unknown := &customers{On: x.on, Impacted: "unknown"}
	yes := &customers{On: x.on, Findings: []custody.Digest{found}, How: "their keys were read", Impacted: "yes", Results: []string{"disclosure"}}
	open := func() (list []string) {
		x.looks(func(_ custody.View, i *investigate.Incident) { list = i.CustomersUnknown() })
		return list
	}
	obligation := func() (o *investigate.Obligation) {
		x.looks(func(_ custody.View, i *investigate.Incident) { o = i.Obligation })
		return o
	}

	require.Equal(t, []string{"whether customer data is affected, how, and whose"}, open())
	x.refused(x.olga, unknown, "is the incident's manager, and alone decides that")
	x.refused(x.eve, unknown, "is the incident's manager, and alone decides that")
	for _, c := range []struct {
		name   string
		change func(*customers)
		why    string
	}{
		{"yes, by nothing", func(c *customers) { c.Findings = nil }, "is known by findings"},
		{"no, by nothing", func(c *customers) { *c = customers{On: x.on, Impacted: "no"} }, "is known by findings"},
		{"by a finding that is none", func(c *customers) { c.Findings = []custody.Digest{custody.Hash(nil)} }, "there is no finding"},
		{"by one that was withdrawn", func(c *customers) { c.Findings = []custody.Digest{found, wrong} }, "there is no finding"},
		{"yes, somehow", func(c *customers) { c.How = "" }, "say how"},
		{"no, and disclosed", func(c *customers) { c.Impacted = "no" }, "where it is affected"},
		{"unknown, and whose", func(c *customers) { c.Impacted, c.Results, c.Customers = "unknown", nil, []string{"A"} }, "where it is affected"},
	} {
		t.Run(c.name, func(*testing.T) { x.refused(x.mona, with(yes, c.change), c.why) })
	}
	x.malformed(with(yes, func(c *customers) { c.Impacted = "perhaps" }), "impacted")
	x.malformed(with(yes, func(c *customers) { c.Results = []string{"theft"} }), "results")
	x.malformed(with(yes, func(c *customers) { c.Results = []string{"loss", "disclosure"} }), "not in order")

	said := x.does(x.mona, unknown)
	require.Len(t, open(), 1, "unknown stays open")
	after := func(c *customers, change func(*customers)) *customers {
		return with(c, func(c *customers) { c.Replaces.Replaces = said; change(c) })
	}
	x.refused(x.mona, yes, "this was said before")
	said = x.does(x.mona, after(yes, func(c *customers) { c.Results = nil }))
	require.Nil(t, obligation(), "affected, and nothing of it altered, disclosed or lost")
	require.Equal(t, []string{"whose customer data is affected"}, open())
	said = x.does(x.mona, after(yes, func(*customers) {}))
	began := obligation()
	require.NotNil(t, began)
	require.Equal(t, said, began.Since.ID, "in the same act")
	x.Pass(time.Hour)
	said = x.does(x.mona, after(yes, func(c *customers) { c.Customers, c.Results = []string{"A", "B"}, []string{"disclosure", "loss"} }))
	require.Empty(t, open())
	said = x.does(x.mona, after(yes, func(c *customers) { c.How, c.Impacted, c.Results = "", "no", nil }))
	require.Equal(t, began.Since.ID, obligation().Since.ID, "what was determined later neither ends it nor begins it anew")
	require.Equal(t, 2*time.Hour, obligation().Delay(began.Since.Recorded.Add(2*time.Hour)))
	require.Zero(t, obligation().Delay(began.Since.Recorded.Add(-time.Hour)))
	require.Empty(t, open())
	x.looks(func(_ custody.View, i *investigate.Incident) {
		require.Len(t, i.Customers, 5, "all of them stay")
		require.Equal(t, said, *i.Customers[3].Replaced)
	})
}

// TestCustomersBeforeTheDiagnosis: nobody misses what is not asked for yet.
func TestCustomersBeforeTheDiagnosis(t *testing.T) {
	x := newExamined(t)
	x.looks(func(_ custody.View, i *investigate.Incident) { require.Empty(t, i.CustomersUnknown()) })
	x.does(x.mona, &investigate.Customers{On: x.on, Impacted: "unknown"})
	x.looks(func(_ custody.View, i *investigate.Incident) { require.Len(t, i.CustomersUnknown(), 1) })
}

// TestWhatIsOpen lists what is not known, not reviewed, not agreed upon and not told
// to customers yet (WP-79, WP-83).
func TestWhatIsOpen(t *testing.T) {
	x := diagnosing(t)
	open := func() (list []string) {
		x.looks(func(v custody.View, i *investigate.Incident) { list = i.Unknown(v.Now()) })
		return list
	}
	log := x.takesIn(x.eve, "EX-1", "log", logText)
	require.Equal(t, []string{"whether customer data is affected, how, and whose"}, open())
	found := x.does(x.eve, x.finding(cite(t, string(log)+":for", logText)))
	require.Equal(t, "finding F-1 is unreviewed", open()[1])
	x.does(x.fritz, &investigate.Review{On: x.on, Finding: found, Text: "it is not", Verdict: investigate.VerdictDisagrees})
	require.Equal(t, string(x.fritz.ID)+" disagrees with finding F-1", open()[1])
	x.does(x.fritz, &investigate.Review{On: x.on, Finding: found, Text: "it is", Verdict: investigate.VerdictAgrees})
	require.Len(t, open(), 1)
	x.does(x.mona, &investigate.Customers{
		On: x.on, Customers: []string{"A"}, Findings: []custody.Digest{found}, How: "it was read", Impacted: "yes", Results: []string{"disclosure"},
	})
	require.Len(t, open(), 1)
	require.Contains(t, open()[0], "the notification of customers, to be given since 2026-")
	x.Pass(90 * time.Minute)
	require.Contains(t, open()[0], ": for 1h30m", "how long it has been due (WP-83)")
	x.does(x.eve, &investigate.WithdrawFinding{On: x.on, Finding: found, Reason: "a mistake"})
	require.Len(t, open(), 1, "what does not stand is not open")
}
