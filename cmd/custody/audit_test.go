package main

import (
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

// TestAudit: the service, an auditor to whom its records were disclosed, and one who
// may not see what they say, each audit the log of a service that runs; what they
// find is what its database leads to.
func TestAudit(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	id := word(t, done(t, d.eve, d.add(testFile(t, 300_000), "EX-1")...), "id")
	done(t, d.eve, "evidence", "get", id, "--purpose", "to examine it", "-o", at("copy"))
	refused(t, exitRefused, d.ada, []string{"evidence", "get", id, "--purpose", "I run this place", "-o", at("no")})

	own := done(t, "", "audit", "--dir", d.dir)
	require.Equal(t, true, own["agrees"], "%v", own)
	require.Greater(t, own["permitted"], float64(8))
	require.GreaterOrEqual(t, own["refused"], float64(1))
	require.Greater(t, own["checkpoints"], float64(5), "those that the archive has")
	text, _, code := run(t, "", "audit", "--dir", d.dir)
	require.Equal(t, exitDone, code)
	require.Contains(t, text, "AGREES: all ")
	require.Contains(t, text, "times: by the word of the service")

	auditor, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(at("auditor.key"), []byte(auditor.String()+"\n"), 0o600))
	disclose := []string{"audit", "disclose", "--dir", d.dir, "--to", auditor.Recipient().String(), "--out", at("disclosed")}
	done(t, "", disclose...)
	done(t, d.eve, "incident", "open", "--title", "a later one")
	log, trust := d.url+"/log/", filepath.Join(d.dir, "trust.json")
	outside := []string{"audit", "--archive", at("disclosed"), "--identity", at("auditor.key"), "--trust", trust, "--log", log}
	before := done(t, "", outside...)
	done(t, "", disclose...)
	after := done(t, "", outside...)
	require.Greater(t, after["size"], before["size"], "what came since was added")

	done(t, "", "audit", "structure", "--dir", d.dir, "--out", at("structure.json"))
	done(t, d.eve, "incident", "open", "--title", "and one more")
	shape := done(t, "", "audit", "--structure", at("structure.json"), "--trust", trust, "--log", log)
	require.Greater(t, shape["log"], shape["size"])

	d.stop()
	state := word(t, done(t, "", "fsck", "--dir", d.dir), "state")
	found := done(t, "", "audit", "--dir", d.dir, "--state", state)
	require.Equal(t, state, found["state"])
	text, _, code = run(t, "", "audit", "--dir", d.dir, "--state", custody.Hash(nil).String())
	require.Equal(t, exitRefused, code)
	require.Contains(t, text, "the state is another")

	t.Run("wrong input", func(t *testing.T) {
		none := filepath.Join(t.TempDir(), "none")
		stranger, err := age.GenerateX25519Identity()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(at("stranger.key"), []byte(stranger.String()+"\n"), 0o600))
		for _, args := range [][]string{
			{"audit"}, {"audit", "--dir", d.dir, "--archive", at("disclosed")}, {"audit", "--archive", at("disclosed")},
			{"audit", "--dir", d.dir, "--trust", trust}, {"audit", "--dir", d.dir, "--checkpoint", none},
			{"audit", "--structure", at("structure.json"), "--trust", trust}, {"audit", "disclose", "--dir", d.dir},
			{"audit", "structure", "--dir", d.dir, "--out", at("structure.json")},
		} {
			refused(t, exitUsage, "", args)
		}
		refused(t, exitRefused, "", []string{"audit", "--archive", at("disclosed"), "--identity", at("stranger.key"), "--trust", trust}, "not for this identity")
		refused(t, exitRefused, "", []string{"audit", "--dir", none})
		refused(t, exitRefused, "", []string{"audit", "disclose", "--dir", d.dir, "--to", "age1nobody", "--out", at("other")}, "recipient")
		b, err := os.ReadFile(at("structure.json"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(at("broken.json"), b[1:], 0o600))
		refused(t, exitRefused, "", []string{"audit", "--structure", at("broken.json"), "--trust", trust, "--log", at("disclosed")}, "structure")
	})
	t.Run("another log is shown to others", func(t *testing.T) {
		other := newDesk(t, filepath.Join(t.TempDir(), "service"))
		_, stderr, code := run(t, "", append(outside[:len(outside)-1:len(outside)-1], other.url+"/log/")...)
		require.Equal(t, exitRefused, code)
		require.Contains(t, stderr, "not signed by the log")
	})
	t.Run("a record is missing from the archive", func(t *testing.T) {
		names, err := filepath.Glob(filepath.Join(d.dir, "bucket", "records", "*", "*"))
		require.NoError(t, err)
		require.NoError(t, os.Remove(names[len(names)/2]))
		refused(t, exitRefused, "", []string{"audit", "--dir", d.dir}, "are missing")
	})
}
