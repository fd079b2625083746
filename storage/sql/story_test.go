package sql_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/storage/sql"
)

// TestStory lives through an incident, to a bundle that a stranger verifies, in
// a world that keeps its rows here, and starts it again on them.
func TestStory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.db")
	words := investigate.Words()
	w, err := guardtest.New(t.Context(), guardtest.Setup{Seed: 1, Store: openAt(t, path, sql.Options{})})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	s, err := w.Team(t.Context())
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
