package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

// verdict verifies a fresh bundle of an item and returns what it says to people
// and to programs.
func (d *desk) verdict(t *testing.T, home, id string) (string, map[string]any) {
	t.Helper()
	proof := filepath.Join(t.TempDir(), "bundle")
	done(t, home, "bundle", "export", id, "-o", proof, "--purpose", "to see what it says")
	verify := []string{"bundle", "verify", proof, "--trust", filepath.Join(d.dir, "trust.json")}
	text, stderr, code := run(t, "", verify...)
	require.Equal(t, exitDone, code, "%s%s", text, stderr)
	return text, done(t, "", verify...)
}

// TestAnIncidentsKeysAreDestroyed: as two people type it, with the service killed
// in between.
func TestAnIncidentsKeysAreDestroyed(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	lee, kim := d.enrol(t, "lee", custody.RoleLegalAdvisor), d.enrol(t, "kim", custody.RoleIncidentManager)
	file := filepath.Join(t.TempDir(), "web01.dd")
	image(t, file, 1000)
	id := word(t, done(t, d.eve, d.add(file, "EX-1")...), "id")
	shred := []string{"incident", "shred", d.incident, "--purpose", "case closed"}
	refused(t, exitRefused, lee, shred, "is kept until")
	refused(t, exitRefused, d.enrol(t, "fred", custody.RoleForensicEngineer), shred, "not for you")
	refused(t, exitRefused, d.ada, shred, "not for you")
	refused(t, exitUsage, lee, shred[:3], "--purpose")
	retain := []string{"incident", "retain", d.incident, "--days", "0", "--purpose", "test data"}
	done(t, kim, append(retain, "--second", word(t, done(t, lee, retain...), "payload"))...)

	moved, _, _ := run(t, lee, shred...)
	require.Contains(t, moved, "without effect until another person runs")
	first := moved[strings.LastIndex(moved, "sha256:"):][:len("sha256:")+64]
	refused(t, exitRefused, lee, append(shred, "--second", first), "takes two people")
	keys := filepath.Join(d.dir, "bucket", "v1", d.incident, "k")
	before, err := os.ReadFile(filepath.Join(keys, "1"))
	require.NoError(t, err)
	done(t, kim, append(shred, "--second", first)...)
	d.kill()
	d.serve()
	refused(t, exitRefused, d.eve, []string{"evidence", "get", id, "-o", filepath.Join(t.TempDir(), "x"), "--purpose", "look"}, "are destroyed, by order of")
	require.Eventually(t, func() bool {
		shown, _, _ := run(t, lee, "incident", "show", d.incident)
		return strings.Contains(shown, "(done: true)") && strings.Contains(shown, "destroyed with its incident's keys")
	}, patience, 200*time.Millisecond)
	refused(t, exitRefused, d.eve, d.add(file, "EX-2"), "takes nothing in")
	files, err := os.ReadDir(keys)
	require.NoError(t, err)
	require.Len(t, files, 1)
	left, err := os.ReadFile(filepath.Join(keys, files[0].Name()))
	require.NoError(t, err)
	require.Len(t, left, 32, "what is left says that they were destroyed")
	require.NotContains(t, string(before), string(left))

	text, v := d.verdict(t, lee, id)
	require.Contains(t, text, "DESTROYED with the keys of its incident, by order of two people, lee (p-")
	require.Contains(t, text, "and kim (p-")
	require.Contains(t, text, "cryptographic erase")
	require.Equal(t, true, onlyItem(t, v)["destroyed"])
	destruction, ok := onlyItem(t, v)["destruction"].(map[string]any)
	require.True(t, ok)
	require.Equal(t, "keys", destruction["what"])
	require.Len(t, destruction["by"], 2)

	// A service that starts once more has nothing to do, and marks nothing damaged.
	d.stop()
	d.serve()
	time.Sleep(3 * keeperRound)
	shown, _, _ := run(t, lee, "evidence", "show", id)
	require.Contains(t, shown, "destroyed with its incident's keys")
	require.NotContains(t, d.log.String(), "DAMAGED")
}

// keeperRound is how often the service looks for what is to be done.
const keeperRound = 2 * time.Second

// TestAnIncidentsKeysAreLost: the file of them goes, and comes back; nobody takes
// that for damaged evidence, nor a wrong identity for lost keys.
func TestAnIncidentsKeysAreLost(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	lee := d.enrol(t, "lee", custody.RoleLegalAdvisor)
	file := filepath.Join(t.TempDir(), "web01.dd")
	image(t, file, 1000)
	id := word(t, done(t, d.eve, d.add(file, "EX-1")...), "id")
	verify := []string{"evidence", "verify", id, "--purpose", "before the hearing"}
	get := func() []string {
		return []string{"evidence", "get", id, "-o", filepath.Join(t.TempDir(), "x"), "--purpose", "look"}
	}

	keys, aside := filepath.Join(d.dir, "bucket", "v1", d.incident, "k", "1"), filepath.Join(t.TempDir(), "aside")
	require.NoError(t, os.Rename(keys, aside))
	stdout, stderr, code := run(t, d.eve, verify...)
	require.Equal(t, exitRefused, code, stderr)
	require.Contains(t, stdout, "the keys of its incident are LOST (missing)")
	refused(t, exitRefused, d.eve, get(), "the keys of its incident are lost (missing)")
	shown, _, _ := run(t, lee, "evidence", "list", "--incident", d.incident)
	require.Contains(t, shown, "KEYS LOST")
	text, v := d.verdict(t, lee, id)
	require.Contains(t, text, "the service has lost the keys of the incident (missing)")
	require.Equal(t, "missing", onlyItem(t, v)["keysLost"])

	require.NoError(t, os.Rename(aside, keys))
	require.Equal(t, true, done(t, d.eve, verify...)["intact"])
	done(t, d.eve, get()...)
	text, v = d.verdict(t, lee, id)
	require.NotContains(t, text, "WARNING")
	require.NotContains(t, v, "keysLost")

	// With another identity the service does not start, and puts nothing on record.
	d.stop()
	identity := filepath.Join(d.dir, "keys", "storage.age")
	right, err := os.ReadFile(identity)
	require.NoError(t, err)
	other := newService(t, filepath.Join(t.TempDir(), "other"))
	wrong, err := os.ReadFile(filepath.Join(other.dir, "keys", "storage.age"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(identity, wrong, 0o600))
	err = d.tryStart()
	require.ErrorContains(t, err, "is not the identity that the keys in the bucket are wrapped for")
	require.NoError(t, os.WriteFile(identity, right, 0o600))
	d.serve()
	require.Equal(t, true, done(t, d.eve, verify...)["intact"])
}
