package house_test

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger/keep"
)

// TestClockSetBack: while the clock is behind what was signed, nothing goes on
// record and no byte leaves, and the answer says why.
func TestClockSetBack(t *testing.T) {
	dir, _ := create(t)
	r := start(t, dir)
	_, engineer, incident := r.team()
	id := takeIn(t, engineer, incident, "EX-1", noise(1000, 1))
	r.stop()

	// The head was signed an hour from now: the clock has been set back since.
	lock, err := keep.OpenLock(t.Context(), filepath.Join(dir, "lock.db"))
	require.NoError(t, err)
	signed, _, err := lock.Load(t.Context())
	require.NoError(t, err)
	require.NoError(t, lock.Swap(t.Context(), signed, signed, time.Now().Add(time.Hour)))
	require.NoError(t, lock.Close())

	r = start(t, dir)
	engineer = r.as(engineer)
	_, err = engineer.Say(t.Context(), "to examine it", &custody.RetrieveEvidence{Evidence: id})
	problem := new(client.Error)
	require.ErrorAs(t, err, &problem)
	require.Equal(t, http.StatusServiceUnavailable, problem.Status)
	require.Contains(t, problem.Detail, "clock is behind")
}
