package investigate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

// TestTimeline: when something happened is kept apart from when it was put on record,
// and what was put on record late is marked so (S-35).
func TestTimeline(t *testing.T) {
	x := diagnosing(t)
	log := x.takesIn(x.eve, "EX-1", "log", logText)
	now := x.now()
	event := func(title string, before time.Duration) *investigate.Event {
		return &investigate.Event{On: x.on, Happened: investigate.Happened{At: now.Add(-before)}, Source: "the server's clock", Title: title}
	}
	replacing := func(e *investigate.Event, id custody.Digest) *investigate.Event {
		return with(e, func(e *investigate.Event) { e.Replaces = id })
	}

	x.malformed(event("tomorrow", -24*time.Hour), "later than the statement")
	x.malformed(with(event("no source", 0), func(e *investigate.Event) { e.Source = "" }), "source is missing")
	x.malformed(with(event("no time", 0), func(e *investigate.Event) { e.At = 0 }), "when did it happen")
	x.refused(x.xena, event("an outsider's", 0), "no such thing")
	x.looks(func(v custody.View, _ *investigate.Incident) { // whatever a policy permits
		_, err := event("an outsider's", 0).Lawful(v, &custody.Statement{Header: custody.Header{Actor: x.xena.ID}})
		require.Equal(t, custody.Unlawful{Why: string(x.xena.ID) + " is not assigned to the incident"}, err)
	})
	x.refused(x.eve, with(event("of other bytes", 0), func(e *investigate.Event) {
		e.Citations = []investigate.Citation{cite(t, string(log)+":for:line=2", "other")}
	}), "has the SHA-256")
	x.refused(x.eve, replacing(event("of nothing", 0), custody.Hash(nil)), "there is no event")

	first := x.does(x.eve, with(event("root logs in", 90*time.Minute), func(e *investigate.Event) {
		e.Citations, e.Precision = []investigate.Citation{cite(t, string(log)+":for:line=2", logText)}, "±1 s"
	}))
	x.does(x.lee, event("the court calls", time.Hour))
	x.does(x.fritz, event("the first login", 49*time.Hour))
	x.does(x.sven, event("beside the login", 90*time.Minute))
	correction := x.does(x.mona, replacing(event("root logs in, from outside", 2*time.Hour), first))
	x.refused(x.eve, replacing(event("once more", 0), first), "event T-1 was corrected by T-5: name that")
	x.does(x.eve, replacing(event("root logs in by SSH", 2*time.Hour), correction))
	said := x.does(x.eve, with(x.finding(cite(t, string(log)+":for", logText)), func(f *investigate.Finding) { f.EventAt, f.Title = now.Add(-100*time.Minute), "a tool was fetched" }))
	back := x.does(x.eve, with(x.finding(cite(t, string(log)+":for", logText)), func(f *investigate.Finding) { f.EventAt = now }))
	x.does(x.eve, &investigate.WithdrawFinding{On: x.on, Finding: back, Reason: "a mistake"})
	x.does(x.eve, x.finding(cite(t, string(log)+":for", logText))) // says no time

	x.looks(func(_ custody.View, i *investigate.Incident) {
		var got []string
		for n, m := range i.Timeline() {
			got = append(got, m.Label+" "+m.Title)
			require.Equal(t, n == 0, m.LateSeconds > 0, m.Title)
			require.Greater(t, m.Recorded, now)
		}
		require.Equal(t, []string{
			"T-3 the first login", "T-6 root logs in by SSH", "F-1 a tool was fetched", "T-4 beside the login", "T-2 the court calls",
		}, got)
		line := i.Timeline()
		require.Equal(t, int64(line[0].Recorded.Time().Sub(line[0].At.Time())/time.Second)-24*3600, line[0].LateSeconds)
		require.Equal(t, now.Add(-49*time.Hour), line[0].At)
		require.Equal(t, said, line[2].ID)
		require.Equal(t, x.fritz.ID, line[0].By)
		require.Len(t, i.Events, 6, "all of them stay")
		require.Equal(t, "±1 s", i.Events[0].Act.Precision)
		require.Equal(t, correction, *i.Events[0].Replaced)
	})
}

// TestWhatHappenedAtOnce stands in the order of its records.
func TestWhatHappenedAtOnce(t *testing.T) {
	i := investigate.NewIncident()
	for n, at := range []custody.Time{9, 8, 7} {
		s := &custody.Statement{Payload: custody.Hash([]byte{byte(n)}), Act: &investigate.Event{Happened: investigate.Happened{At: 1}}}
		require.NoError(t, i.Apply(&custody.Record{Decision: custody.Decision{Permit: true}, Recorded: at}, s))
	}
	var got []string
	for _, m := range i.Timeline() {
		got = append(got, m.Label)
	}
	require.Equal(t, []string{"T-3", "T-2", "T-1"}, got)
}
