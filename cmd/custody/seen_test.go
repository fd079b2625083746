package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// kept returns the contradictions in a home.
func kept(t testing.TB, home string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(home, "contradiction-*.json"))
	require.NoError(t, err)
	return list
}

// TestAClientRemembers (T1, T2, without any witness): a service that is put back
// from a snapshot, or goes on from it as another, is refused by the commands of
// whoever saw more, and what shows it is kept for others.
func TestAClientRemembers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "service")
	d := newDesk(t, dir)
	trust := filepath.Join(t.TempDir(), "trust.json")
	copyFolder(t, filepath.Join(dir, "trust.json"), trust)
	d.stop()
	snapshot := filepath.Join(t.TempDir(), "snapshot")
	copyFolder(t, dir, snapshot)
	d.serve()
	for n := range 8 {
		done(t, d.eve, "incident", "open", "--title", fmt.Sprint("seen by eve ", n))
	}
	done(t, d.eve, "whoami")
	require.Empty(t, kept(t, d.eve))
	d.stop()

	require.NoError(t, os.RemoveAll(dir))
	copyFolder(t, snapshot, dir)
	d.serve()
	refused(t, exitRefused, d.eve, []string{"incident", "list"}, "THE LOG CONTRADICTS", "give that to whoever")
	require.Len(t, kept(t, d.eve), 1)
	stdout, _, code := run(t, "", "log", "judge", kept(t, d.eve)[0], "--trust", trust)
	require.Equal(t, exitRefused, code)
	require.Contains(t, stdout, "NOT PROVEN by itself")

	for n := range 12 { // mona had seen nothing of what eve saw
		done(t, d.mona, "incident", "open", "--title", fmt.Sprint("seen by mona ", n))
	}
	require.Empty(t, kept(t, d.mona))
	refused(t, exitRefused, d.eve, []string{"incident", "list"}, "another tree at size")
	require.Len(t, kept(t, d.eve), 2)
	proofs := 0
	for _, file := range kept(t, d.eve) {
		stdout, _, code := run(t, "", "log", "judge", file, "--trust", trust)
		if code == exitDone {
			proofs++
			require.Contains(t, stdout, "PROVEN: the log custody.example/test signed two trees")
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			changed := filepath.Join(t.TempDir(), "changed.json")
			require.NoError(t, os.WriteFile(changed, []byte(strings.Replace(string(b), `"prefix":"sha256:`, `"prefix":"sha256:0`, 1)), 0o600))
			refused(t, exitRefused, "", []string{"log", "judge", changed, "--trust", trust}, "contradiction")
		}
	}
	require.Equal(t, 1, proofs)
	done(t, d.mona, "incident", "list")
}
