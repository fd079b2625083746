package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

// witnessProcess is a witness in a process of its own.
type witnessProcess struct {
	*running
	dir, name, address, key string
}

var verifierKey = regexp.MustCompile(`verifier key (\S+)`)

func newWitness(t testing.TB, name string) *witnessProcess {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	w := &witnessProcess{dir: filepath.Join(t.TempDir(), name), name: name, address: address}
	w.serve(t)
	return w
}

// serve starts the process, for as long as the test lasts, and waits until it answers.
func (w *witnessProcess) serve(t testing.TB) {
	t.Helper()
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	require.NoError(t, err)
	w.running = beginFor(t, 10*time.Minute, stderr, "witness", "--dir", w.dir, "--name", w.name, "--listen", w.address)
	require.Eventually(t, func() bool {
		b, err := os.ReadFile(stderr.Name())
		require.NoError(t, err)
		if m := verifierKey.FindSubmatch(b); m != nil {
			w.key = string(m[1])
		}
		return w.key != "" && strings.Contains(string(b), "verifier key")
	}, patience, 5*time.Millisecond)
}

// knows has the witness cosign a log from now on.
func (w *witnessProcess) knows(t testing.TB, trust *custody.Trust) {
	t.Helper()
	w.kill()
	f, err := os.OpenFile(filepath.Join(w.dir, "logs.txt"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = fmt.Fprintf(f, "log %s https://%s\n", trust.Log, trust.Origin)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	w.serve(t)
}

func policyFile(t testing.TB, rest string, list ...*witnessProcess) string {
	t.Helper()
	text := "# whom we asked\n"
	for _, w := range list {
		text += fmt.Sprintf("witness %s %s http://%s/\n", w.name, w.key, w.address)
	}
	path := filepath.Join(t.TempDir(), "policy.txt")
	require.NoError(t, os.WriteFile(path, []byte(text+rest+"\n"), 0o600))
	return path
}

func get(t testing.TB, url string) string {
	t.Helper()
	r, err := http.Get(url)
	require.NoError(t, err)
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

// copyFolder copies a folder as a backup does, modes and all.
func copyFolder(t testing.TB, from, to string) {
	t.Helper()
	out, err := exec.Command("cp", "-a", from, to).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// TestAWitnessedService lives with a real witness from its first day: what is on
// record is cosigned, while the witness stands still nothing is handed out and
// everything else goes on (T50), and a folder put back from a snapshot does not
// serve (T1).
func TestAWitnessedService(t *testing.T) {
	w := newWitness(t, "witness.example/w")
	dir := filepath.Join(t.TempDir(), "service")
	d := &desk{service: newService(t, dir, "--witnesses", policyFile(t, "quorum witness.example/w", w)), gate: newGate(t)}
	w.knows(t, d.trust)
	d.settle(t)
	require.Contains(t, get(t, d.url+"/readyz"), "quorum met")
	seen := done(t, d.eve, "log", "checkpoint")
	require.Equal(t, "met", word(t, seen, "quorum"))

	file := filepath.Join(t.TempDir(), "sda.dd")
	image(t, file, 100_000)
	added := done(t, d.eve, d.add(file, "EX-W")...)
	require.Equal(t, "met", word(t, added, "quorum"))
	id, out := word(t, added, "id"), t.TempDir()
	done(t, d.eve, "evidence", "get", id, "-o", filepath.Join(out, "first"), "--purpose", "a look")
	proof := filepath.Join(out, "EX-W.bundle")
	v := done(t, d.eve, "bundle", "export", id, "-o", proof, "--purpose", "disclosure")
	require.Equal(t, "met", word(t, v, "quorum"))
	stdout, _, code := run(t, "", "bundle", "verify", proof, "--trust", filepath.Join(dir, "trust.json"))
	require.Equal(t, exitDone, code)
	require.Contains(t, stdout, "cosigned by witness.example/w at")
	require.NotContains(t, stdout, "No outside witness")

	require.NoError(t, w.process.Process.Signal(syscall.SIGSTOP))
	refused(t, exitUnreachable, d.eve, []string{"evidence", "get", id, "-o", filepath.Join(out, "second"), "--purpose", "a look"}, "witnesses have not cosigned")
	require.NoFileExists(t, filepath.Join(out, "second"))
	image(t, file, 50_000)
	added = done(t, d.eve, d.add(file, "EX-W2")...)
	require.Equal(t, "not met", word(t, added, "quorum"), "intake goes on")
	require.Contains(t, get(t, d.url+"/readyz"), "quorum not met")
	require.NoError(t, w.process.Process.Signal(syscall.SIGCONT))
	require.Eventually(t, func() bool { return strings.Contains(get(t, d.url+"/readyz"), "quorum met") }, patience, 50*time.Millisecond)
	done(t, d.eve, "evidence", "get", id, "-o", filepath.Join(out, "third"), "--purpose", "a look")

	d.stop()
	snapshot := filepath.Join(t.TempDir(), "snapshot")
	copyFolder(t, dir, snapshot)
	d.serve()
	for n := range 5 {
		done(t, d.eve, "evidence", "get", id, "-o", filepath.Join(out, fmt.Sprint("lost", n)), "--purpose", "a look")
	}
	d.stop()
	require.NoError(t, os.RemoveAll(dir))
	copyFolder(t, snapshot, dir)
	refused(t, exitRefused, "", []string{"serve", "--dir", dir}, "the log was rolled back", "witness witness.example/w has cosigned this log at size")
}

// TestAdministratorsAdoptAWitness at the command line, two of them.
func TestAdministratorsAdoptAWitness(t *testing.T) {
	w := newWitness(t, "w")
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	w.knows(t, d.trust)
	bob := d.home(t, "bob", "Bob", inAgent)
	id := word(t, done(t, d.ada, "principal", "enroll", filepath.Join(bob, requestFile), "--role", "administrator"), "id")
	done(t, bob, "login", "--principal", id)
	policy := policyFile(t, "quorum w", w)
	refused(t, exitUsage, d.ada, []string{"log", "adopt", policy}, "--purpose")
	refused(t, exitRefused, d.eve, []string{"log", "adopt", policy, "--purpose", "I want to"}, "no such thing, or not for you")
	first := word(t, done(t, d.ada, "log", "adopt", policy, "--purpose", "our first"), "payload")
	require.Contains(t, get(t, d.url+"/readyz"), "no outside witness")
	refused(t, exitRefused, d.ada, []string{"log", "adopt", policy, "--purpose", "our first", "--second", first}, "it takes two people")
	done(t, bob, "log", "adopt", policy, "--purpose", "our first", "--second", first)
	require.Eventually(t, func() bool { return strings.Contains(get(t, d.url+"/readyz"), "cosigned by w at") }, patience, 20*time.Millisecond)
	require.Equal(t, "no witness", word(t, done(t, d.ada, "log", "checkpoint"), "quorum"), "her trust file is as it was")
	d.stop()
	d.serve()
	require.Contains(t, get(t, d.url+"/readyz"), "quorum met", "a restart reads it from the records")
}
