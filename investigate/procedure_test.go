package investigate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

// TestDefaultsAreReviewed: which document was read, what was decided, and by when it is
// looked at again: within a year, or it is overdue (WP-21).
func TestDefaultsAreReviewed(t *testing.T) {
	c := newTroupe(t)
	day := 24 * time.Hour
	stands := func() (d investigate.Defaults) {
		t.Helper()
		require.NoError(t, c.Survey(t.Context(), func(v custody.View) error {
			state, err := v.State(custody.IncidentsStream)
			require.NoError(t, err)
			d = state.(*investigate.Incidents).DefaultsAt(v.Now())
			return nil
		}))
		return d
	}
	require.True(t, stands().Overdue, "never reviewed")
	require.Equal(t, []investigate.Entry[investigate.ReviewDefaults]{}, stands().Reviews)
	r := &investigate.ReviewDefaults{Decided: "kept,\nbut for the archive", Document: "OPERATING.md", Next: c.in(100 * day), SHA256: custody.Hash([]byte("the text"))}
	for _, who := range []string{"emil", "olga", "lex", "aude", "nina"} {
		c.tries(who, r, hidden)
	}
	c.tries("ada", changed(r, func(r *investigate.ReviewDefaults) { r.SHA256 = custody.Digest{} }), "names the document by its digest")
	c.tries("ada", changed(r, func(r *investigate.ReviewDefaults) { r.Decided = "" }), "what was decided")
	c.tries("ada", changed(r, func(r *investigate.ReviewDefaults) { r.Next = 0 }), "is due later than now")
	c.tries("ada", changed(r, func(r *investigate.ReviewDefaults) { r.Next = c.in(-time.Second) }), "is due later than now")
	c.tries("ada", changed(r, func(r *investigate.ReviewDefaults) { r.Next = c.in(367 * day) }), "is due within 366 days")
	c.malformed("ada", changed(r, func(r *investigate.ReviewDefaults) { r.Document = "" }), "document is missing")
	c.malformed("ada", changed(r, func(r *investigate.ReviewDefaults) { r.Next = -1 }), "is no time")
	c.malformed("ada", changed(r, func(r *investigate.ReviewDefaults) { r.Decided = "\x00" }), "decided")
	c.unpurposed("ada", r)
	require.True(t, stands().Overdue, "what was refused is no review")

	c.does("ada", r)
	c.Pass(99 * day)
	require.False(t, stands().Overdue)
	require.InDelta(t, 99*24*60*60, stands().AgeSeconds, 60)
	require.Equal(t, r.SHA256, stands().Reviews[0].Act.SHA256)
	require.Equal(t, c.id("ada"), stands().Reviews[0].By)
	c.Pass(2 * day)
	require.True(t, stands().Overdue)
	r.Next = c.in(366 * day)
	c.does("lena", r)
	require.False(t, stands().Overdue)
	require.Len(t, stands().Reviews, 2, "no review goes")
	require.Less(t, stands().AgeSeconds, int64(60), "of the last")
	r.Next = c.in(day)
	c.does("exa", r)
}

// TestProcedures: versions that stay, each by whom and why; and in an incident, of
// each step, who does it, when it is due and when it was done (WP-11 to WP-13).
func TestProcedures(t *testing.T) {
	c := newTroupe(t).ready().opened().staffed()
	steps := []investigate.ProcedureStep{
		{Minutes: 30, Name: "call the owner", Stage: investigate.StageDetect}, {Minutes: 60, Name: "isolate the host", Stage: investigate.StageDiagnose},
	}
	first := &investigate.Procedure{Name: "intrusion", Steps: steps, Version: 1}
	c.tries("emil", first, hidden)
	second := &investigate.Procedure{Name: "intrusion", Steps: steps[:1], Version: 2}
	c.tries("lena", second, "the next version of procedure \"intrusion\" is 1")
	c.malformed("lena", &investigate.Procedure{Name: "intrusion", Steps: []investigate.ProcedureStep{}, Version: 1}, "0 steps")
	c.malformed("lena", &investigate.Procedure{Name: "intrusion", Steps: []investigate.ProcedureStep{steps[0], steps[0]}, Version: 1}, "there twice")
	c.malformed("lena", &investigate.Procedure{Name: "intrusion", Steps: []investigate.ProcedureStep{{Name: "x", Stage: "later"}}, Version: 1}, "is none of")
	c.does("lena", first)
	c.tries("lena", first, "is 2")

	step := func(name, owner string) *investigate.Step {
		return &investigate.Step{On: c.on, Owner: c.id(owner), Procedure: "intrusion", Step: name, Version: 1}
	}
	c.tries("emil", step("call the owner", "carl"), "speaks its owner")
	c.tries("lena", step("call the moon", "carl"), "has no step")
	c.tries("lena", step("call the owner", "nina"), "is not assigned")
	other := step("call the owner", "carl")
	other.Version = 2
	c.tries("lena", other, "is not in force")
	c.does("lena", step("call the owner", "carl"))
	due := func() map[string]investigate.StepDue {
		m := map[string]investigate.StepDue{}
		c.reads(func(v custody.View, i *investigate.Incident) {
			state, err := v.State(custody.IncidentsStream)
			require.NoError(t, err)
			p, err := i.Picture(v, state.(*investigate.Incidents).Opened[0])
			require.NoError(t, err)
			for _, s := range p.Steps {
				m[s.Step] = s
			}
			require.Contains(t, p.Missing, "where the first indication came from (incident.detection)")
			if m["call the owner"].Done == 0 {
				require.Contains(t, p.Open[len(p.Open)-1], "call the owner", "overdue: it was detected an hour ago")
			}
		})
		return m
	}
	require.Len(t, due(), 2)
	require.Equal(t, c.id("carl"), due()["call the owner"].Owner)
	require.Zero(t, due()["isolate the host"].Due, "its stage was not entered")
	require.NotZero(t, due()["call the owner"].Due)

	done := step("call the owner", "carl")
	done.Done, done.Automated = c.in(-time.Minute), true
	future := *done
	future.Done = c.in(time.Hour)
	c.malformed("carl", &future, "in the future")
	c.does("carl", done)
	c.tries("carl", done, "is done")
	c.does("lena", step("isolate the host", "stef"))

	// The next version: what was done by the one before stays, and says so.
	second.Steps = []investigate.ProcedureStep{{Minutes: 5, Name: "wake everybody", Stage: investigate.StageDetect}}
	c.does("lena", second)
	c.tries("lena", step("isolate the host", "stef"), "is not in force")
	require.EqualValues(t, 1, due()["call the owner"].Version)
	require.NotZero(t, due()["call the owner"].Done)
	require.True(t, due()["call the owner"].Automated)
	require.EqualValues(t, 2, due()["wake everybody"].Version)
	require.NotContains(t, due(), "isolate the host", "nobody did it, and it is a step no more")
	c.reads(func(v custody.View, _ *investigate.Incident) {
		state, err := v.State(custody.IncidentsStream)
		require.NoError(t, err)
		l := state.(*investigate.Incidents)
		require.Len(t, l.Procedures, 2, "no version goes")
		require.Equal(t, c.id("lena"), l.Procedures[0].By)
		require.Equal(t, "because", l.Procedures[0].Why)
		require.Len(t, l.InForce(), 1)
	})
}
