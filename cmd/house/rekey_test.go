package house_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/cmd/house"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

// keyActs are the service's acts upon its keys that are on record, in the order of
// its streams.
func (r *running) keyActs() (acts []string) {
	r.t.Helper()
	administrator, _, _ := r.team()
	auditor := r.colleague(administrator, "Otto Outsider", custody.RoleExternalAuditor)
	var service custody.PrincipalID
	for _, stream := range []func() custody.Stream{func() custody.Stream { return custody.PolicyStream }, func() custody.Stream { return service.Stream() }} {
		list, err := auditor.Records(r.t.Context(), stream())
		require.NoError(r.t, err)
		for _, recorded := range list {
			s, err := recorded.Record.Envelope.Statement(investigate.Words())
			require.NoError(r.t, err)
			switch act := s.Act.(type) {
			case *custody.Genesis:
				service = custody.NewPrincipalID(s.Payload)
			case *custody.EnrolKey:
				require.Equal(r.t, service, s.Actor)
				acts = append(acts, "enrol "+custody.Hash(act.Key).String())
			case *custody.RevokeKey:
				acts = append(acts, "revoke "+act.Key.String())
			}
		}
	}
	return acts
}

// TestRekeyGoesOn where it was interrupted: with the new key made, enrolled, in
// its place.
func TestRekeyGoesOn(t *testing.T) {
	dir, _ := create(t)
	key := filepath.Join(dir, "keys", "service.pem")
	original, err := os.ReadFile(key)
	require.NoError(t, err)
	rekey := func() (custody.KeyID, error) { return house.Rekey(t.Context(), dir, slog.New(slog.DiscardHandler)) }
	first, err := rekey()
	require.NoError(t, err)
	second, err := rekey()
	require.NoError(t, err)
	require.NotEqual(t, first, second)

	// It cannot take its place.
	require.NoError(t, unix.Mount(key, key, "", unix.MS_BIND, ""))
	_, err = rekey()
	require.ErrorIs(t, err, unix.EBUSY)
	require.NoError(t, unix.Unmount(key, 0))
	third, err := os.ReadFile(key + ".next")
	require.NoError(t, err)
	start(t, dir).stop() // meanwhile the service runs with the key that it has
	again, err := rekey()
	require.NoError(t, err)
	now, err := os.ReadFile(key)
	require.NoError(t, err)
	require.Equal(t, third, now, "the one that was enrolled")
	require.NoFileExists(t, key+".next")

	// It has, and the old one is not revoked yet.
	require.NoError(t, unix.Mount(key, key, "", unix.MS_BIND, ""))
	_, err = rekey()
	require.ErrorIs(t, err, unix.EBUSY)
	require.NoError(t, unix.Unmount(key, 0))
	require.NoError(t, os.Rename(key+".next", key))
	last, err := rekey()
	require.NoError(t, err)

	r := start(t, dir)
	acts := r.keyActs()
	require.Len(t, acts, 8, "four enrolled, four revoked")
	require.Equal(t, "enrol "+first.String(), acts[0])
	require.Equal(t, "enrol "+second.String(), acts[1])
	require.Equal(t, "enrol "+again.String(), acts[2])
	require.Equal(t, "enrol "+last.String(), acts[3])
	require.Equal(t, []string{"revoke " + first.String(), "revoke " + second.String(), "revoke " + again.String()}, acts[5:])
	r.stop()

	require.NoError(t, os.WriteFile(key, original, 0o600))
	_, err = house.OpenAt(t.Context(), dir, slog.New(slog.DiscardHandler), time.Now)
	require.ErrorContains(t, err, "is revoked")
}
