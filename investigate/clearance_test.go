package investigate_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

// TestClearance: after its first stage an incident's images are examined when a legal
// advisor has cleared it, and no longer (WP-81, WP-82). Each denial is on record.
func TestClearance(t *testing.T) {
	x := newExamined(t)
	ids := map[string]custody.EvidenceID{}
	for _, kind := range []string{"disk", "memory", "mobile", "log"} {
		ids[kind] = x.takesIn(x.eve, "EX "+kind, kind, kind)
	}
	gone := x.announce(x.eve, "EX-9", "disk")
	x.does(x.eve, &custody.WithdrawEvidence{Evidence: gone, Incident: x.incident})
	type clear = investigate.Clear
	all := &clear{On: x.on, Authority: "the service contract", Conditions: "no private files"}
	// examined says for each item whether the engineer is given it.
	examined := func(want ...string) {
		t.Helper()
		for kind, id := range ids {
			raw, err := x.eve.Sign("because", &custody.RetrieveEvidence{Evidence: id})
			require.NoError(t, err)
			a, err := x.Admit(t.Context(), raw, "")
			require.NoError(t, err)
			if kind == "log" {
				require.True(t, a.Permit, a.Reason)
				continue
			}
			require.Equal(t, slices.Contains(want, kind), a.Permit, "%s: %s", kind, a.Reason)
			stored, err := x.Store.ByPayload(t.Context(), guardtest.PayloadOf(raw))
			require.NoError(t, err)
			r, err := custody.ParseRecord(stored.Record)
			require.NoError(t, err)
			require.Equal(t, id.Stream(), r.Stream)
			if !a.Permit {
				require.Contains(t, r.Decision.Reason, "no legal advisor has cleared the examination of item "+string(id))
			}
		}
	}

	examined("disk", "memory", "mobile")
	x.does(x.mona, &investigate.Detection{On: x.on, Happened: x.happened(), Properties: []string{"integrity"}, Reference: "SOC-1", Source: "operator"})
	x.moves(investigate.StageAssess)
	examined()

	x.refused(x.mona, all, "none of the roles")
	x.refused(x.eve, all, "none of the roles")
	x.refused(x.lee, with(all, func(c *clear) { c.Authority = "" }), "by which authority and under which conditions")
	x.refused(x.lee, with(all, func(c *clear) { c.Conditions = "" }), "by which authority and under which conditions")
	x.refused(x.lee, with(all, func(c *clear) { c.Until = x.now().Add(-time.Hour) }), "is over")
	x.refused(x.lee, with(all, func(c *clear) { c.Evidence = gone }), "the incident has no item")
	x.refused(x.lee, with(all, func(c *clear) { c.Evidence = custody.NewEvidenceID(custody.Hash(nil)) }), "the incident has no item")
	x.malformed(with(all, func(c *clear) { c.Evidence = "EX-1" }), "is not an evidence identifier")
	x.malformed(with(all, func(c *clear) { c.Until = -1 }), "until")
	examined()

	one := x.does(x.lee, with(all, func(c *clear) { c.Evidence = ids["disk"] }))
	examined("disk")
	x.does(x.lee, with(all, func(c *clear) { c.Until = x.now().Add(time.Hour) }))
	examined("disk", "memory", "mobile")
	x.Pass(time.Hour)
	examined("disk")

	withdraw := &investigate.WithdrawClearance{On: x.on, Clearance: one}
	x.refused(x.mona, withdraw, "none of the roles")
	x.refused(x.lee, with(withdraw, func(w *investigate.WithdrawClearance) { w.Clearance = custody.Hash(nil) }), "there is no clearance")
	x.does(x.lee, withdraw)
	examined()
	x.refused(x.lee, withdraw, "clearance L-1 was withdrawn by "+string(x.lee.ID))
	x.looks(func(_ custody.View, i *investigate.Incident) {
		require.Len(t, i.Clearances, 2, "both stay")
		require.Equal(t, "no private files", i.Clearances[0].Act.Conditions)
		require.NotNil(t, i.Clearances[0].Withdrawn)
	})
}

// TestClearanceAfterTheClosing is given, and withdrawn, as long as there is evidence.
func TestClearanceAfterTheClosing(t *testing.T) {
	x := newExamined(t)
	disk := x.takesIn(x.eve, "EX-1", "disk", "a disk")
	x.does(x.mona, &investigate.Detection{On: x.on, Happened: x.happened(), Properties: []string{"integrity"}, Reference: "SOC-1", Source: "operator"})
	x.moves(investigate.StageAssess)
	x.does(x.mona, &investigate.Assess{On: x.on, Impact: "none", Privacy: "no", Security: "no"})
	x.does(x.mona, &investigate.Close{On: x.on, Happened: x.happened(), End: investigate.EndNotRaised, Notification: "not triggered: nothing happened"})
	x.refused(x.eve, &investigate.Catalogue{On: x.on, Mark: investigate.MarkOpen, Reference: "SOC-1", What: "alert"}, "is closed")
	retrieve := &custody.RetrieveEvidence{Evidence: disk}
	x.refused(x.eve, retrieve, "or the clearance has ended (incident.clear)") // the words of old, by which old refusals are decided again
	clearance := x.does(x.lee, &investigate.Clear{On: x.on, Authority: "a court", Conditions: "none"})
	x.does(x.eve, retrieve)
	x.does(x.lee, &investigate.WithdrawClearance{On: x.on, Clearance: clearance})
	x.refused(x.eve, retrieve, "no legal advisor")
}

// TestNobodyClearsHisOwnExamination: who may be given images is not the one who clears
// that (WP-82).
func TestNobodyClearsHisOwnExamination(t *testing.T) {
	s := newStory(t)
	s.does("ada", &custody.GrantRole{Principal: s.id("emil"), Role: custody.RoleLegalAdvisor})
	s.does("lena", s.appoint("emil", custody.RoleLegalAdvisor))
	disk := s.takes("emil", "EX-1", "disk", "disk")
	s.to(investigate.StageAssess)
	clearance := &investigate.Clear{On: s.on, Authority: "a contract", Conditions: "none", Evidence: disk}
	s.tries("emil", clearance, "who examines images does not clear")
	s.does("lex", clearance)
	s.does("emil", &custody.RetrieveEvidence{Evidence: disk})

	// Neither does he who came to examine them after he had.
	s.does("ada", &custody.GrantRole{Principal: s.id("lex"), Role: custody.RoleForensicEngineer})
	s.does("lena", &custody.QualifyPrincipal{
		Principal: s.id("lex"), Role: custody.RoleForensicEngineer, Training: "t", Experience: "e", Authority: "a", Until: s.in(9000 * time.Hour),
	})
	s.does("lena", s.appoint("lex", custody.RoleForensicEngineer))
	s.tries("lex", &custody.RetrieveEvidence{Evidence: disk}, "or the clearance has ended, or is by whoever asks (incident.clear)")
}
