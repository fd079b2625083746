package investigate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

// TestCatalogue: alerts, events and forensic data are catalogued, each with its mark
// (WP-73).
func TestCatalogue(t *testing.T) {
	x := newExamined(t)
	disk := x.takesIn(x.eve, "EX-1", "disk", "a disk")
	gone := x.announce(x.eve, "EX-2", "disk")
	x.does(x.eve, &custody.WithdrawEvidence{Evidence: gone, Incident: x.incident})
	alert := &investigate.Catalogue{On: x.on, Mark: investigate.MarkOpen, Reference: "SOC-1", What: "alert"}
	data := &investigate.Catalogue{On: x.on, Mark: investigate.MarkOpen, Evidence: disk, What: "forensic-data"}
	type catalogue = investigate.Catalogue

	x.malformed(with(alert, func(c *catalogue) { c.Reference = "" }), "and not both")
	x.malformed(with(alert, func(c *catalogue) { c.Evidence = disk }), "and not both")
	x.malformed(with(alert, func(c *catalogue) { c.What = "rumour" }), "what")
	x.malformed(with(alert, func(c *catalogue) { c.Mark = "done" }), "mark")
	x.refused(x.lee, alert, "none of the roles")
	x.refused(x.sven, alert, "none of the roles")
	x.refused(x.eve, with(data, func(c *catalogue) { c.Evidence = custody.NewEvidenceID(custody.Hash(nil)) }), "the incident has no item")
	x.refused(x.eve, with(data, func(c *catalogue) { c.Evidence = gone }), "was withdrawn")
	for _, mark := range []string{investigate.MarkLost, investigate.MarkNotRelevant} {
		x.refused(x.eve, with(data, func(c *catalogue) { c.Mark = mark }), "is so for a reason")
		x.does(x.eve, with(data, func(c *catalogue) { c.Mark, c.Reason = mark, "it belongs to another case" }))
	}
	x.does(x.olga, alert)
	x.does(x.olga, with(alert, func(c *catalogue) { c.What = "event" }))
	x.does(x.mona, with(data, func(c *catalogue) { c.Mark, c.What = investigate.MarkInvestigated, "event" }))
	x.does(x.eve, with(alert, func(c *catalogue) { c.Mark = investigate.MarkInvestigated }))

	x.looks(func(_ custody.View, i *investigate.Incident) {
		require.Len(t, i.Catalogue, 6, "all of them stay")
		require.Equal(t, i.Catalogue[1].ID, *i.Catalogue[0].Replaced)
		require.Equal(t, i.Catalogue[5].ID, *i.Catalogue[2].Replaced)
		var now []string
		for _, c := range i.Catalogued() {
			now = append(now, c.Label+" "+c.Act.What+" "+c.Act.Mark)
		}
		require.Equal(t, []string{"C-4 event open", "C-5 event investigated", "C-6 alert investigated"}, now)
	})
}

// TestDiagnoseIsNotLeft while an item lacks digest, custody or immutability (WP-77),
// something is not catalogued or gone into (WP-73), nothing was found, and nobody said
// why (WP-78), or it was not said whether customers are affected (WP-79). Each lack is
// named; and it is so in whatever direction the stage is left.
func TestDiagnoseIsNotLeft(t *testing.T) {
	x := diagnosing(t)
	log := x.takesIn(x.eve, "EX-1", "log", logText)
	unsealed := x.announce(x.eve, "EX-2", "disk")
	thing := x.takesIn(x.eve, "EX-3", "physical", "")
	paper := x.takesIn(x.eve, "EX-4", "document", "a letter")
	draft := x.takesIn(x.mona, "PM-1", custody.TypePostMortem, "a draft")
	gone := x.announce(x.eve, "EX-5", "disk")
	x.does(x.eve, &custody.WithdrawEvidence{Evidence: gone, Incident: x.incident})

	lacks := func(what ...string) {
		t.Helper()
		for _, w := range what {
			x.refused(x.mona, x.move(investigate.StageStabilize), w)
			x.refused(x.mona, with(x.move(investigate.StageAssess), func(m *investigate.Move) { m.Exception = "a mistake" }), w)
		}
	}
	lacksNot := func(what string) {
		t.Helper()
		raw, err := x.mona.Sign("because", x.move(investigate.StageStabilize))
		require.NoError(t, err)
		a, err := x.Admit(t.Context(), raw, "")
		require.NoError(t, err)
		require.False(t, a.Permit)
		require.NotContains(t, a.Reason, what)
	}
	name := func(exhibit string, id custody.EvidenceID) string { return exhibit + " (" + string(id) + ")" }
	catalogue := func(id custody.EvidenceID, reference, mark, reason string) {
		x.does(x.eve, &investigate.Catalogue{On: x.on, Evidence: id, Reference: reference, Mark: mark, Reason: reason, What: "forensic-data"})
	}

	lacks("stage diagnose is not left yet",
		"not catalogued (incident.catalogue): "+name("EX-1", log)+", "+name("EX-2", unsealed)+", "+name("EX-3", thing)+", "+name("EX-4", paper)+";",
		"not read back yet, as a check (evidence.verify) finds it to be what was sealed: "+name("EX-1", log)+", "+name("EX-4", paper)+", "+name("PM-1", draft)+";",
		"neither on legal hold (evidence.hold) nor in a store that was proven to lock: "+name("EX-1", log)+", "+name("EX-4", paper)+", "+name("PM-1", draft)+";",
		"not sealed, nor catalogued as lost (evidence.seal): "+name("EX-2", unsealed)+";",
		"a finding (finding.record), or why the stage is left without one",
		"whether customer data is affected, be it unknown (incident.customers)")
	lacksNot("EX-5")

	catalogue(unsealed, "", investigate.MarkLost, "the disk was wiped before it came")
	lacksNot("EX-2")
	catalogue(log, "", investigate.MarkOpen, "")
	catalogue(thing, "", investigate.MarkInvestigated, "")
	catalogue("", "SOC-1", investigate.MarkOpen, "")
	lacks("not catalogued (incident.catalogue): " + name("EX-4", paper) + ";")
	catalogue(paper, "", investigate.MarkInvestigated, "")
	lacksNot("not catalogued")
	lacks("catalogued as open (incident.catalogue): C-2, " + string(log) + ", C-4, SOC-1;")
	catalogue(log, "", investigate.MarkInvestigated, "")
	catalogue("", "SOC-1", investigate.MarkNotRelevant, "a test")
	lacksNot("catalogued as open")

	x.checked(paper, "a letter", "rot")
	lacks("damaged, and not catalogued as lost: " + name("EX-4", paper))
	x.checked(paper, "a letter", "a letter")
	x.checked(log, logText, logText)
	x.checked(draft, "a draft", "a draft")
	lacksNot("read back")
	for _, id := range []custody.EvidenceID{log, paper, draft} {
		lacks("proven to lock")
		x.does(x.lee, &custody.HoldEvidence{Authority: "a court", Evidence: id})
	}
	lacksNot("proven to lock")
	lacksNot("EX-")
	lacksNot("PM-")

	x.refused(x.mona, with(x.move(investigate.StageStabilize), func(m *investigate.Move) { m.Undocumented = "it goes on" }), "left yet: whether customer data is affected")
	x.does(x.mona, &investigate.Customers{On: x.on, Impacted: "unknown"})
	lacks("left yet: a finding (finding.record), or why the stage is left without one")
	found := x.does(x.eve, x.finding(cite(t, string(log)+":for:line=2", logText)))
	x.does(x.eve, &investigate.WithdrawFinding{On: x.on, Finding: found, Reason: "a mistake"})
	lacks("left yet: a finding")
	x.does(x.mona, with(x.move(investigate.StageStabilize), func(m *investigate.Move) { m.Undocumented = "the server burns" }))
	x.moves(investigate.StageDiagnose)
	x.does(x.eve, x.finding(cite(t, string(log)+":for:line=2", logText)))
	x.moves(investigate.StageStabilize)
}

// TestAStoreThatLocks keeps evidence from being altered as a legal hold does (WP-77);
// one that does not lock is none.
func TestAStoreThatLocks(t *testing.T) {
	x := diagnosing(t)
	log := x.takesIn(x.eve, "EX-1", "log", logText)
	x.checked(log, logText, logText)
	x.does(x.eve, &investigate.Catalogue{On: x.on, Evidence: log, Mark: investigate.MarkInvestigated, What: "forensic-data"})
	x.does(x.mona, &investigate.Customers{On: x.on, Impacted: "unknown"})
	x.does(x.eve, x.finding(cite(t, string(log)+":for:line=2", logText)))
	prove := func(lock bool) {
		_, err := x.Attest(t.Context(), "", &custody.ProveStore{Lock: lock, Store: custody.StoreS3})
		require.NoError(t, err)
	}
	prove(false)
	x.refused(x.mona, x.move(investigate.StageStabilize), "proven to lock")
	prove(true)
	x.moves(investigate.StageStabilize)
}

// TestADestroyedItem is not kept, whoever ordered it, and has to be catalogued as
// lost before Diagnose is left (WP-77).
func TestADestroyedItem(t *testing.T) {
	x := diagnosing(t)
	log := x.takesIn(x.eve, "EX-1", "log", logText)
	x.checked(log, logText, logText)
	x.does(x.eve, &investigate.Catalogue{On: x.on, Evidence: log, Mark: investigate.MarkInvestigated, What: "forensic-data"})
	x.does(x.mona, &investigate.Customers{On: x.on, Impacted: "unknown"})
	moved := x.does(x.mona, &investigate.Retain{Days: 0, Incident: x.incident})
	x.does(x.lee, &investigate.Retain{Days: 0, Incident: x.incident, Seconds: moved})
	moved = x.does(x.mona, &custody.DisposeEvidence{Evidence: log})
	x.does(x.lee, &custody.DisposeEvidence{Evidence: log, Seconds: moved})
	leave := func() *investigate.Move {
		return with(x.move(investigate.StageStabilize), func(m *investigate.Move) { m.Undocumented = "there is nothing to find" })
	}
	x.refused(x.mona, leave(), "destroyed, and not catalogued as lost: EX-1")
	x.does(x.mona, &investigate.Catalogue{On: x.on, Evidence: log, Mark: investigate.MarkLost, Reason: "disposed of by order", What: "forensic-data"})
	x.does(x.mona, leave())
}

// TestAnIncidentWhoseKeysAreDestroyed: by that its items are destroyed too (WP-77).
func TestAnIncidentWhoseKeysAreDestroyed(t *testing.T) {
	x := diagnosing(t)
	log := x.takesIn(x.eve, "EX-1", "log", logText)
	x.checked(log, logText, logText)
	x.does(x.lee, &custody.HoldEvidence{Authority: "a court", Evidence: log})
	x.does(x.eve, &investigate.Catalogue{On: x.on, Evidence: log, Mark: investigate.MarkInvestigated, What: "forensic-data"})
	x.does(x.mona, &investigate.Customers{On: x.on, Impacted: "unknown"})
	leave := func() *investigate.Move {
		return with(x.move(investigate.StageStabilize), func(m *investigate.Move) { m.Undocumented = "there is nothing to find" })
	}
	x.does(x.mona, leave())
	x.moves(investigate.StageDiagnose)
	var hold custody.Digest
	x.looks(func(v custody.View, _ *investigate.Incident) {
		item, err := custody.ItemIn(v, x.incident, log)
		require.NoError(t, err)
		hold = item.Holds[0].ID
	})
	two := func(act func(seconds custody.Digest) custody.Act) {
		x.does(x.lee, act(x.does(x.mona, act(custody.Digest{}))))
	}
	two(func(d custody.Digest) custody.Act {
		return &custody.LiftHold{Authority: "a court", Evidence: log, Hold: hold, Seconds: d}
	})
	two(func(d custody.Digest) custody.Act { return &investigate.Retain{Incident: x.incident, Seconds: d} })
	two(func(d custody.Digest) custody.Act { return &custody.ShredIncident{Incident: x.incident, Seconds: d} })
	x.refused(x.mona, leave(), "destroyed, and not catalogued as lost: EX-1")
}

// TestManyThingsThatLackTheSame are not all named.
func TestManyThingsThatLackTheSame(t *testing.T) {
	x := diagnosing(t)
	for n := range 22 {
		x.announce(x.eve, fmt.Sprintf("EX-%02d", n), "disk")
	}
	x.refused(x.mona, x.move(investigate.StageStabilize), ") and 2 more;")
	x.looks(func(v custody.View, i *investigate.Incident) {
		p, err := i.Picture(v, investigate.Opened{ID: x.incident})
		require.NoError(t, err)
		text := strings.Join(p.Missing, "\n")
		require.Contains(t, text, "EX-19 (")
		require.NotContains(t, text, "EX-20 (")
	})
}

// TestAnIncidentOfTooManyItems is not looked through: a decision upon so many streams
// would make a record that no verifier reads.
func TestAnIncidentOfTooManyItems(t *testing.T) {
	i := investigate.NewIncident()
	var acts []custody.Act
	for range 5001 {
		acts = append(acts, &custody.BeginEvidence{Type: "disk"})
	}
	acts = append(acts, &custody.BeginEvidence{Type: custody.TypePostMortem}) // or one of 5000 would never be closed
	apply(t, i, acts...)
	missing, err := i.Undiagnosed(nil) // nothing to look at
	require.NoError(t, err)
	require.Contains(t, missing, "at most 5000 items, since a record has no room for the state of more: it has 5001")
}

// TestWhatIsHereIsNotLost: an item that is sealed and there is kept soundly, whatever it
// is catalogued as (WP-77).
func TestWhatIsHereIsNotLost(t *testing.T) {
	s := newStory(t).to(investigate.StageDiagnose)
	s.diagnosed()
	id := s.takes("emil", "EX-2", "log", "four\n")
	s.does("emil", &investigate.Catalogue{On: s.on, Evidence: id, Mark: investigate.MarkLost, Reason: "gone", What: "forensic-data"})
	s.tries("lena", s.move(investigate.StageStabilize), "not read back yet")
	s.readBack(id, "four\n", "four\n")
	s.tries("lena", s.move(investigate.StageStabilize), "neither on legal hold")
	s.does("lex", &custody.HoldEvidence{Authority: "court of Berlin", Evidence: id})
	s.does("lena", s.move(investigate.StageStabilize))
}

// TestWithdrawnItemsAreNotCounted: what was announced and withdrawn is not looked at, and
// keeps no incident in Diagnose.
func TestWithdrawnItemsAreNotCounted(t *testing.T) {
	i := investigate.NewIncident()
	acts := []custody.Act{}
	for range 5001 {
		acts = append(acts, &custody.BeginEvidence{Type: "disk"})
	}
	apply(t, i, acts...)
	for _, id := range i.Items() {
		apply(t, i, &custody.WithdrawEvidence{Evidence: id})
	}
	missing, err := i.Undiagnosed(nil) // nothing to look at
	require.NoError(t, err)
	require.NotContains(t, strings.Join(missing, "\n"), "5001")
}
