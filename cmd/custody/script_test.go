package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh/agent"

	"github.com/forensic-custody/custody/custody"
)

// patience is the longest that one command may take in these tests.
const patience = 40 * time.Second

// running is a command as a person types it, in a process of its own.
type running struct {
	t              testing.TB
	process        *exec.Cmd
	stdout, stderr bytes.Buffer
	ended          chan struct{}
}

// begin starts a command for whoever has this home.
func begin(t testing.TB, home string, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r := &running{t: t, process: exec.CommandContext(ctx, os.Args[0], args...), ended: make(chan struct{})}
	r.process.Env = append(os.Environ(), asProgram+"=1", "CUSTODY_HOME="+home,
		"CUSTODY_PASSPHRASE_FILE="+filepath.Join(home, "passphrase"))
	r.process.Stdout, r.process.Stderr = &r.stdout, &r.stderr
	require.NoError(t, r.process.Start())
	go func() {
		defer cancel()
		_ = r.process.Wait() // what matters is its exit code
		close(r.ended)
	}()
	t.Cleanup(r.kill)
	return r
}

// beginFor is begin of a command that nobody's home is for, for so long at most.
// What it says goes to a file.
func beginFor(t testing.TB, atMost time.Duration, stderr io.Writer, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), atMost)
	r := &running{t: t, process: exec.CommandContext(ctx, os.Args[0], args...), ended: make(chan struct{})}
	r.process.Env = append(os.Environ(), asProgram+"=1")
	r.process.Stderr = stderr
	require.NoError(t, r.process.Start())
	go func() {
		defer cancel()
		_ = r.process.Wait()
		close(r.ended)
	}()
	t.Cleanup(r.kill)
	return r
}

// kill ends the command as the kernel would, out of memory.
func (r *running) kill() {
	_ = r.process.Process.Kill()
	<-r.ended
}

func (r *running) wait() (stdout, stderr string, code int) {
	<-r.ended
	return r.stdout.String(), r.stderr.String(), r.process.ProcessState.ExitCode()
}

func run(t testing.TB, home string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return begin(t, home, args...).wait()
}

// done runs a command that must succeed, with --json, and returns its answer.
func done(t testing.TB, home string, args ...string) map[string]any {
	t.Helper()
	stdout, stderr, code := run(t, home, append([]string{"--json"}, args...)...)
	require.Equal(t, exitDone, code, "custody %q\n%s%s", args, stdout, stderr)
	var v map[string]any
	require.NoError(t, json.Unmarshal([]byte(stdout), &v), "%s", stdout)
	return v
}

// refused runs a command that must fail: with this code, with nothing on
// stdout, and with a text that says each of what is expected.
func refused(t testing.TB, code int, home string, args []string, says ...string) {
	t.Helper()
	stdout, stderr, got := run(t, home, args...)
	require.Equal(t, code, got, "custody %q\n%s%s", args, stdout, stderr)
	require.Empty(t, stdout, "custody %q", args)
	for _, s := range says {
		require.Contains(t, stderr, s, "custody %q", args)
	}
}

// word returns a string of a command's answer.
func word(t testing.TB, v map[string]any, key string) string {
	t.Helper()
	s, ok := v[key].(string)
	require.True(t, ok, "%q of %v", key, v)
	return s
}

// desk is a service with two people at their command lines: ada, who
// administers it, and eve, who opened an incident and works on it.
type desk struct {
	*service
	gate     *gate
	ada, eve string // their homes
	mona     string // of who assigns eve
	incident string
}

func newDesk(t testing.TB, dir string, more ...string) *desk {
	t.Helper()
	d := &desk{service: newService(t, dir, more...), gate: newGate(t)}
	d.settle(t)
	return d
}

// settle starts a new service and lets its people in.
func (d *desk) settle(t testing.TB) {
	t.Helper()
	d.serve()
	startAgent(t)
	d.ada = d.home(t, "ada", "Ada", inAgent)
	require.Eventually(t, func() bool { return firstCode.MatchString(d.log.String()) }, patience, 5*time.Millisecond)
	done(t, d.ada, "principal", "enroll", "--first", "--code", firstCode.FindStringSubmatch(d.log.String())[1])
	d.eve = d.home(t, "eve", "Eve", inAgent)
	eve := word(t, done(t, d.ada, "principal", "enroll", filepath.Join(d.eve, requestFile),
		"--role", "incident-manager,forensic-engineer,legal-advisor"), "id")
	done(t, d.eve, "login", "--principal", eve)
	d.incident = word(t, done(t, d.eve, "incident", "open", "--title", "bad input"), "id")
	mona := d.home(t, "mona", "Mona", inAgent) // nobody assigns himself
	d.mona = mona
	manager := word(t, done(t, d.ada, "principal", "enroll", filepath.Join(mona, requestFile), "--role", "incident-manager"), "id")
	done(t, mona, "login", "--principal", manager)
	done(t, mona, "incident", "assign", d.incident, eve, "--purpose", "disk forensics")
}

// serve starts the service, and leads the people's address to it.
func (d *desk) serve() {
	d.t.Helper()
	d.start()
	d.gate.lead(strings.TrimPrefix(d.url, "http://"))
}

// inAgent is a kind of key that is in ssh-agent. A file under a passphrase takes a
// tenth of a second and more to open, which every command would pay.
const inAgent = "agent"

// home makes a home with a new key.
func (d *desk) home(t testing.TB, folder, name, kind string) string {
	t.Helper()
	home := filepath.Join(t.TempDir(), folder)
	require.NoError(t, os.Mkdir(home, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(home, "passphrase"), []byte("correct horse "+folder+"\n"), 0o600))
	which := []string{"--type", kind}
	if kind == inAgent {
		which = []string{"--agent", "--agent-key", addToAgent(t).String()}
	}
	done(t, home, append([]string{"key", "new", "--server", "http://" + d.gate.address(), "--trust", filepath.Join(d.dir, "trust.json"),
		"--name", name, "--title", "test", "--contact", "nobody"}, which...)...)
	return home
}

// startAgent starts an ssh-agent for the test's commands.
func startAgent(t testing.TB) {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // a socket's path is short
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	socket := filepath.Join(dir, "s")
	process := exec.Command("ssh-agent", "-D", "-a", socket)
	require.NoError(t, process.Start())
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait() // killed
	})
	t.Setenv("SSH_AUTH_SOCK", socket)
	require.Eventually(t, func() bool {
		c, err := new(net.Dialer).DialContext(t.Context(), "unix", socket)
		return err == nil && c.Close() == nil
	}, patience, time.Millisecond)
}

// addToAgent gives the test's ssh-agent a new key.
func addToAgent(t testing.TB) custody.KeyID {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	c, err := new(net.Dialer).DialContext(t.Context(), "unix", os.Getenv("SSH_AUTH_SOCK"))
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	require.NoError(t, agent.NewClient(c).Add(agent.AddedKey{PrivateKey: &key}))
	known, err := custody.NewPublicKey(public)
	require.NoError(t, err)
	return known.ID()
}

// add is the command that takes a file in; more flags may follow, and replace.
func (d *desk) add(path, exhibit string, more ...string) []string {
	return append([]string{
		"evidence", "add", path, "--incident", d.incident, "--exhibit", exhibit, "--type", "disk",
		"--source", "web01", "--method", "dead", "--write-blocker", "Tableau T8u", "--unread", "0",
		"--tool", "dc3dd", "--tool-version", "7.2.646", "--tool-settings", "hash=sha256",
		"--collected-at", "2026-11-23T09:40:00+01:00", "--place", "Frankfurt",
		"--authority-kind", "policy", "--authority", "incident response policy", "--purpose", "alert 4711",
	}, more...)
}

// listed returns the exhibits that are listed, each of which is sealed.
func (d *desk) listed(t testing.TB) []string {
	t.Helper()
	exhibits := []string{}
	items, ok := done(t, d.eve, "evidence", "list", "--incident", d.incident)["evidence"].([]any)
	require.True(t, ok)
	for _, item := range items {
		e, ok := item.(map[string]any)
		require.True(t, ok)
		require.Equal(t, true, e["sealed"], "%v", e)
		exhibits = append(exhibits, word(t, e, "exhibit"))
	}
	return exhibits
}

// same says whether an item, retrieved, is what the file holds.
func (d *desk) same(t testing.TB, id, path string) {
	t.Helper()
	back := filepath.Join(t.TempDir(), "back")
	done(t, d.eve, "evidence", "get", id, "-o", back, "--purpose", "compare")
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	got, err := os.ReadFile(back)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "%s differs from %s", id, path)
}

// image makes a file that does not compress.
func image(t testing.TB, path string, size int64) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	_, err = io.CopyN(f, rand.Reader, size)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// gate is an address that leads to a service, wherever that is at the moment,
// and that can stop what flows to it at a given byte: what happens in the
// middle of an upload then happens there every time.
type gate struct {
	t        testing.TB
	listener net.Listener
	group    sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond
	target  string
	conns   map[net.Conn]bool
	calls   int   // connections so far
	passed  int64 // bytes towards the service since the last count
	limit   int64 // where passed stops; negative: nowhere
	waiting bool  // something stands at the limit
}

func newGate(t testing.TB) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := &gate{t: t, listener: l, conns: map[net.Conn]bool{}, limit: -1}
	g.changed = sync.NewCond(&g.mu)
	g.group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			g.group.Go(func() { g.connect(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		g.cut()
		g.group.Wait()
	})
	return g
}

func (g *gate) address() string { return g.listener.Addr().String() }

// lead sends whoever comes from now on to a service.
func (g *gate) lead(target string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.target = target
}

// stopAt counts from 0 again, and lets this many bytes pass; negative: all.
func (g *gate) stopAt(limit int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passed, g.limit, g.waiting = 0, limit, false
	g.changed.Broadcast()
}

// cut ends all connections and opens the gate.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		_ = c.Close()
	}
	g.passed, g.limit, g.waiting = 0, -1, false
	g.changed.Broadcast()
}

// stopped waits until something stands at the limit.
func (g *gate) stopped() {
	g.t.Helper()
	require.Eventually(g.t, func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.waiting
	}, patience, 2*time.Millisecond, "nothing came as far as the limit")
}

// count returns how many connections were made and how many bytes passed.
func (g *gate) count() (calls int, passed int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls, g.passed
}

func (g *gate) connect(from net.Conn) {
	g.mu.Lock()
	g.calls++
	to, err := net.Dial("tcp", g.target)
	if err != nil {
		g.mu.Unlock()
		_ = from.Close()
		return
	}
	g.conns[from], g.conns[to] = true, true
	g.mu.Unlock()
	g.group.Go(func() { g.flow(from, to, to) })
	g.flow(to, from, nil)
}

// flow copies until one side ends, and then ends both. What flows to the
// service is counted.
func (g *gate) flow(to, from, service net.Conn) {
	defer func() {
		_, _ = from.Close(), to.Close()
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.conns, from)
		delete(g.conns, to)
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if service == nil && n > 0 {
			g.pass(int64(n))
		}
		if _, bad := to.Write(b[:n]); bad != nil || err != nil {
			return
		}
	}
}

func (g *gate) pass(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.limit >= 0 && g.passed+n > g.limit {
		g.waiting = true
		g.changed.Wait()
	}
	g.passed += n
}
