package investigate_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

// TestIntelligence: a forensic engineer issues finished intelligence reports, version
// after version (WP-42).
func TestIntelligence(t *testing.T) {
	x := newExamined(t)
	paper := x.takesIn(x.eve, "EX-1", "document", "a report")
	log := x.takesIn(x.eve, "EX-2", "log", logText)
	rotten := x.takesIn(x.eve, "EX-3", "document", "a report")
	x.checked(rotten, "a report", "rot")
	type intelligence = investigate.Intelligence
	first := &intelligence{
		On: x.on, Evidence: paper, SHA256: custody.Hash([]byte("a report")), Status: investigate.ReportDraft, Title: "the intruder's tools", Version: 1,
	}
	x.refused(x.mona, first, "none of the roles")
	x.refused(x.lee, first, "none of the roles")
	x.refused(x.eve, with(first, func(r *intelligence) { r.Version = 0 }), "the next version of report \"the intruder's tools\" is 1")
	x.refused(x.eve, with(first, func(r *intelligence) { r.Version = 2 }), "is 1")
	x.refused(x.eve, with(first, func(r *intelligence) { r.SHA256 = custody.Hash(nil) }), "has the SHA-256")
	x.refused(x.eve, with(first, func(r *intelligence) { r.Evidence, r.SHA256 = log, custody.Hash([]byte(logText)) }), "of type log and not document")
	x.refused(x.eve, with(first, func(r *intelligence) { r.Evidence = rotten }), "is damaged")
	x.refused(x.eve, with(first, func(r *intelligence) { r.Evidence = custody.NewEvidenceID(custody.Hash(nil)) }), "the incident has no item")
	x.malformed(with(first, func(r *intelligence) { r.Status = "nearly" }), "status")
	x.malformed(with(first, func(r *intelligence) { r.Title = "" }), "title is missing")

	x.does(x.eve, first)
	x.refused(x.fritz, first, "is 2")
	second := x.does(x.fritz, with(first, func(r *intelligence) { r.Status, r.Version = investigate.ReportFinished, 2 }))
	x.does(x.fritz, with(first, func(r *intelligence) { r.Title = "another" }))
	x.looks(func(_ custody.View, i *investigate.Incident) {
		require.Len(t, i.Reports, 3)
		require.Equal(t, second, *i.Reports[0].Replaced)
		require.Nil(t, i.Reports[1].Replaced)
		require.Equal(t, investigate.ReportFinished, i.Reports[1].Act.Status)
		require.Equal(t, "I-3", i.Reports[2].Label)
		require.Equal(t, uint64(3), i.NextVersion("the intruder's tools"))
	})
}

// examinations are the acts of an examination, each about things that are not there.
func examinations() []custody.Act {
	id, e := custody.Hash([]byte("none")), custody.NewEvidenceID(custody.Hash([]byte("none")))
	name := &custody.Name{Display: "/etc"}
	return []custody.Act{
		&investigate.Finding{Replaces: id, Citations: []investigate.Citation{{Evidence: e, Place: investigate.Place{File: name}}}},
		&investigate.Review{Finding: id}, &investigate.WithdrawFinding{Finding: id}, &investigate.Process{Repeats: id},
		&investigate.Catalogue{Evidence: e}, &investigate.Event{Replaces: id},
		&investigate.Customers{Impacted: "yes", Results: []string{"loss"}, Replaces: investigate.Replaces{Replaces: id}},
		&investigate.Clear{Evidence: e}, &investigate.WithdrawClearance{Clearance: id}, &investigate.Intelligence{Evidence: e},
	}
}

// TestExaminationsFold whatever they name; of the result a digest is made, and it is
// another with each act that says something new; and all of it can be given out.
func TestExaminationsFold(t *testing.T) {
	i := investigate.NewIncident()
	digest := func() custody.Digest {
		var d custody.StateDigest
		d.Add(custody.Head{Stream: custody.NewIncidentID(custody.Hash(nil)).Stream()}, i, &custody.Erasures{})
		require.NotZero(t, d.Sum())
		b, err := custody.Encode(i.File) // without how many acts there were
		require.NoError(t, err)
		return custody.Hash(b)
	}
	seen := map[custody.Digest]bool{digest(): true}
	for _, act := range examinations() {
		apply(t, i, act)
		switch act.(type) {
		case *investigate.Review, *investigate.WithdrawFinding, *investigate.WithdrawClearance: // of nothing
			require.True(t, seen[digest()], "%T", act)
		default:
			require.False(t, seen[digest()], "%T", act)
		}
		seen[digest()] = true
	}
	b, err := custody.Encode(i.File)
	require.NoError(t, err)
	for _, member := range []string{"findings", "processes", "catalogue", "events", "customers", "obligation", "clearances", "reports"} {
		require.Contains(t, string(b), `"`+member+`":`)
	}
}

// TestExaminationsSayWhatTheyAsk: whoever is asked for a field is told what it is.
func TestExaminationsSayWhatTheyAsk(t *testing.T) {
	var look func(reflect.Type)
	look = func(of reflect.Type) {
		for n := range of.NumField() {
			f := of.Field(n)
			if f.Anonymous {
				if f.Type != reflect.TypeFor[investigate.On]() {
					look(f.Type)
				}
				continue
			}
			require.NotEmpty(t, f.Tag.Get("help"), "%s.%s", of, f.Name)
			require.NotEmpty(t, f.Tag.Get("json"), "%s.%s", of, f.Name)
		}
	}
	for _, act := range examinations() {
		look(reflect.TypeOf(act).Elem())
		require.True(t, act.NeedsPurpose())
		require.Contains(t, investigate.Acts(), act.Kind())
		require.Equal(t, reflect.TypeOf(act), reflect.TypeOf(investigate.Acts()[act.Kind()]()))
		detailed, ok := act.(interface{ Detail() string })
		require.True(t, ok, "%T", act)
		require.NotPanics(t, func() { detailed.Detail() })
	}
}
