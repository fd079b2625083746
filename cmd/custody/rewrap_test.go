package main

import (
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
)

// TestTheServicesKeyIsChangedAndLost: evidence is there as before after the key
// of the keys was changed, and after it was lost and recovered from the escrow.
func TestTheServicesKeyIsChangedAndLost(t *testing.T) {
	escrow, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	safe := filepath.Join(t.TempDir(), "escrow.age")
	require.NoError(t, os.WriteFile(safe, []byte("# kept in a safe\n"+escrow.String()+"\n"), 0o600))
	d := newDesk(t, filepath.Join(t.TempDir(), "service"), "--escrow", escrow.Recipient().String())
	file := filepath.Join(t.TempDir(), "web01.dd")
	image(t, file, 9*mib)
	id := word(t, done(t, d.eve, d.add(file, "EX-1")...), "id")
	key := filepath.Join(d.dir, "keys", "storage.age")
	first, err := os.ReadFile(key)
	require.NoError(t, err)

	refused(t, exitRefused, "", []string{"rewrap", "--dir", d.dir}, "is in use by another process")
	d.stop()
	require.Equal(t, 1.0, done(t, "", "rewrap", "--dir", d.dir)["incidents"])
	second, err := os.ReadFile(key)
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	d.serve()
	d.same(t, id, file)
	d.stop()

	// Whoever has the old key has nothing any more.
	require.NoError(t, os.WriteFile(key, first, 0o600))
	require.ErrorContains(t, d.tryStart(), "is not the identity that the keys in the bucket are wrapped for")

	require.NoError(t, os.Remove(key))
	refused(t, exitRefused, "", []string{"rewrap", "--dir", d.dir}, "give an escrow's identity")
	require.Equal(t, 1.0, done(t, "", "rewrap", "--dir", d.dir, "--escrow", safe)["incidents"])
	d.serve()
	require.Equal(t, true, done(t, d.eve, "evidence", "verify", id, "--purpose", "after the loss")["intact"])
	d.same(t, id, file)
}

// TestTheServiceSignsWithAnotherKey: what it says is under the new key, what it
// said is as good as before, and whoever has the old one has nothing.
func TestTheServiceSignsWithAnotherKey(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	dir := t.TempDir()
	file, before, after := filepath.Join(dir, "web01.dd"), filepath.Join(dir, "before"), filepath.Join(dir, "after")
	image(t, file, 9*mib)
	id := word(t, done(t, d.eve, d.add(file, "EX-1")...), "id")
	d.same(t, id, file)
	export := func(to string) { done(t, d.eve, "bundle", "export", id, "-o", to, "--purpose", "disclosure") }
	export(before)
	refused(t, exitRefused, "", []string{"rekey", "--dir", d.dir}, "is in use by another process")
	refused(t, exitUsage, "", []string{"rekey"}, "give --dir")
	d.stop()
	old := read(t, filepath.Join(d.dir, "keys", "service.pem"))
	key := word(t, done(t, "", "rekey", "--dir", d.dir), "key")
	d.serve()
	d.same(t, id, file)
	require.Equal(t, true, done(t, d.eve, "evidence", "verify", id, "--purpose", "after the change")["intact"])
	export(after)
	for _, proof := range []string{before, after} {
		done(t, "", "bundle", "verify", proof, "--trust", filepath.Join(d.dir, "trust.json"), "--artifact", file)
	}
	require.Contains(t, string(read(t, after)), key, "it is the one that signed")
	refused(t, exitRefused, d.ada, []string{"key", "revoke", key, "--purpose", "mine now"}, "not one of")

	d.stop()
	require.NoError(t, os.WriteFile(filepath.Join(d.dir, "keys", "service.pem"), old, 0o600))
	require.ErrorContains(t, d.tryStart(), "is revoked")
}
