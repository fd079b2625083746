package sql_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/storage/sql"
)

// TestStory lives through an incident, to a bundle that a stranger verifies, in
// a world that keeps its rows here, and starts it again on them.
func TestStory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.db")
	words := custody.Acts().With(investigate.Acts())
	w, err := guardtest.New(t.Context(), guardtest.Setup{
		Seed: 1, Words: words, Store: openAt(t, path, sql.Options{}),
		States: custody.States{
			"policy":    func() custody.State { return custody.NewPolicy() },
			"incidents": func() custody.State { return &investigate.Incidents{} },
			"principal": func() custody.State { return custody.NewStanding() },
			"incident":  func() custody.State { return investigate.NewIncident() },
			"evidence":  func() custody.State { return custody.NewEvidence() },
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	s, err := w.Team(t.Context(), guardtest.Incidents{
		Open: func(title string, at custody.Time) custody.Act {
			return &investigate.Open{Class: investigate.Security, DetectedAt: at, Title: title}
		},
		Assign: func(i custody.IncidentID, p custody.PrincipalID) custody.Act {
			return &investigate.Assign{Incident: i, Principal: p}
		},
	})
	require.NoError(t, err)
	require.NoError(t, s.TakeIn(t.Context()))
	require.NoError(t, w.Reopen(t.Context()))
	require.NoError(t, s.Retrieve(t.Context()))

	unproven, err := w.Store.Unproven(t.Context())
	require.NoError(t, err)
	require.Empty(t, unproven)
	tickets, err := w.Store.OpenTickets(t.Context())
	require.NoError(t, err)
	require.Empty(t, tickets, "the retrieval was finished")
	var b bytes.Buffer
	require.NoError(t, w.Bundle(t.Context(), s.Evidence, true, &b))
	v := bundle.Verify(&b, w.Trust, bundle.Options{Words: words})
	require.True(t, v.Verified, "%+v", v.Problems)
	require.True(t, v.Complete)
}
