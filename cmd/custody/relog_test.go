package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestANewKeyOfTheLog: whoever has the old trust file is told what to do, takes the
// new one over, and goes on; a file that the old one does not vouch for he does not
// get.
func TestANewKeyOfTheLog(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	id := word(t, done(t, d.eve, d.add(testFile(t, 300_000), "EX-1")...), "id")
	trust, old := filepath.Join(d.dir, "trust.json"), filepath.Join(t.TempDir(), "trust.json")
	b, err := os.ReadFile(trust)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(old, b, 0o600))
	watch := filepath.Join(t.TempDir(), "watch")
	monitor := func(trust string) []string {
		return []string{"log", "monitor", "--trust", trust, "--log", "http://" + d.gate.address() + "/log/", "--dir", watch}
	}
	seen := done(t, "", monitor(old)...)
	before := done(t, d.eve, "trust", "show")
	refused(t, exitRefused, "", []string{"rekey", "--dir", d.dir, "--log"}, "in use by another process")
	d.stop()
	after := done(t, "", "rekey", "--dir", d.dir, "--log")
	require.Equal(t, before["fingerprint"], after["fingerprint"])
	require.NotEqual(t, before["log"], after["log"])
	require.EqualValues(t, 1, after["replaced"])
	d.serve()
	text, _, code := run(t, "", monitor(old)...)
	require.Equal(t, exitRefused, code)
	require.Contains(t, text, "is not the log's")
	goesOn := done(t, "", monitor(trust)...)
	require.Empty(t, goesOn["alarms"])
	require.Greater(t, goesOn["size"], seen["size"])

	get := []string{"evidence", "get", id, "--purpose", "to examine it", "-o", filepath.Join(t.TempDir(), "copy")}
	refused(t, exitRefused, d.eve, get, "custody trust extend")
	other := filepath.Join(t.TempDir(), "other")
	done(t, "", "init", "--dir", other, "--origin", "custody.example/test")
	refused(t, exitRefused, d.eve, []string{"trust", "extend", filepath.Join(other, "trust.json")}, "fingerprint")
	refused(t, exitUsage, d.eve, []string{"trust", "extend", get[len(get)-1]})
	for range 2 {
		extended := done(t, d.eve, "trust", "extend", trust)
		require.Equal(t, after["log"], extended["log"])
	}
	done(t, d.eve, get...)

	w := newWitness(t, "witness.example/w1")
	policy, made := policyFile(t, "quorum witness.example/w1", w), filepath.Join(t.TempDir(), "made.json")
	strict := done(t, d.eve, "trust", "witnesses", policy, "--out", made)
	require.NotEqual(t, after["fingerprint"], strict["fingerprint"])
	refused(t, exitUsage, d.eve, []string{"trust", "witnesses", policy, "--out", made}, "is there already")
	proof := filepath.Join(t.TempDir(), "proof.bundle")
	done(t, d.eve, "bundle", "export", id, "-o", proof, "--purpose", "to show it")
	verify := func(trust string) (string, int) {
		text, _, code := run(t, "", "bundle", "verify", proof, "--trust", trust)
		return text, code
	}
	_, code = verify(trust)
	require.Equal(t, exitDone, code)
	text, code = verify(made)
	require.Equal(t, exitRefused, code)
	require.Contains(t, text, "witnesses")
	d.stop()
	require.Equal(t, true, done(t, "", "audit", "--dir", d.dir)["agrees"])
}
