// Package trilliantest runs a Trillian log server and log signer of the official
// programs on a PostgreSQL server of their own, for as long as a test lasts, and
// lets the test do to them what happens to servers. They are started as the units
// in deploy start them.
//
// It promises that nothing of it is left when the test has ended. It does not
// know the log: whoever uses it dials the address like any client.
//
// Begin reading at Start.
package trilliantest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/storage/buckettest"
)

// Installation is a PostgreSQL server, a log server and a log signer.
type Installation struct {
	Address    string // of the log server's gRPC
	PostgreSQL *Process
	LogServer  *Process
	LogSigner  *Process

	dir      string // of all files
	programs string // of PostgreSQL
	port     string // of PostgreSQL
	owner    *syscall.Credential
}

// A Process is one of the three. Its methods fail the test when they cannot do
// what they are for.
type Process struct {
	t       testing.TB
	name    string
	command []string
	owner   *syscall.Credential
	ready   func() error
	running *exec.Cmd
	said    *os.File
}

// patience is how long a program may take to start.
const patience = 30 * time.Second

// database is the name of Trillian's.
const database = "trillian"

// Start starts the three, the signer alone at its work, with a pause of 10 ms
// between its rounds. flags are further ones of the log server's.
func Start(t testing.TB, flags ...string) *Installation {
	t.Helper()
	_, pg, _ := strings.Cut(address(t), ":")
	i := &Installation{Address: address(t), programs: postgreSQL(t), port: pg, owner: unprivileged(t)}
	var err error
	i.dir, err = os.MkdirTemp("", "trilliantest") // t.TempDir is closed to the user that PostgreSQL runs as
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(i.dir)) })
	if i.owner != nil {
		require.NoError(t, os.Chown(i.dir, int(i.owner.Uid), int(i.owner.Gid)))
	}
	data := filepath.Join(i.dir, "data")
	i.run(t, "initdb", "-D", data, "-U", "custody", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	i.PostgreSQL = i.process(t, i.reachable, filepath.Join(i.programs, "postgres"), "-D", data, "-p", pg,
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")
	i.PostgreSQL.Start()
	i.SQL(t, "postgres", "CREATE DATABASE "+database)
	i.feed(t, schema(t))

	i.LogServer = i.unit(t, "trillian-log-server", i.Address, flags...)
	i.LogServer.Start()
	i.LogSigner = i.Signer(t)
	return i
}

// Signer starts one more log signer, of which there should be one.
func (i *Installation) Signer(t testing.TB) *Process {
	t.Helper()
	p := i.unit(t, "trillian-log-signer", address(t))
	p.Start()
	return p
}

// unit is the process that a unit in deploy describes, but for its addresses.
func (i *Installation) unit(t testing.TB, name, at string, flags ...string) *Process {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(module(t, "github.com/forensic-custody/custody"), "deploy", name+".service"))
	require.NoError(t, err)
	_, rest, ok := strings.Cut(strings.ReplaceAll(string(b), "\\\n", ""), "\nExecStart=")
	require.True(t, ok)
	line, _, _ := strings.Cut(rest, "\n")
	command := strings.Fields(strings.ReplaceAll(line, "%%", "%"))
	command[0] = buckettest.Tool(t, filepath.Base(command[0]))
	const database = "-postgresql_uri=postgresql:///trillian?host=/run/postgresql&"
	found := false
	for n, flag := range command {
		if rest, ok := strings.CutPrefix(flag, database); ok {
			command[n] = fmt.Sprintf("-postgresql_uri=postgresql://custody@127.0.0.1:%s/trillian?sslmode=disable&%s", i.port, rest)
			found = true
		}
	}
	require.True(t, found, "%s says %s", name, line)
	return i.process(t, func() error { return listening(at) }, slices.Concat(command, []string{"-rpc_endpoint=" + at, "-http_endpoint="}, flags)...)
}

// module returns the folder of a module.
func module(t testing.TB, path string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", path).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// postgreSQL finds the folder with PostgreSQL's programs: Debian does not put
// those of the server onto the path.
func postgreSQL(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	require.NoError(t, err)
	if len(found) > 0 {
		return filepath.Dir(slices.Max(found))
	}
	return filepath.Dir(buckettest.Tool(t, "initdb"))
}

// unprivileged is whom the programs run as when the test is root's, since
// PostgreSQL refuses root; nil is the one who runs the test.
func unprivileged(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("nobody")
	require.NoError(t, err)
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	require.NoError(t, err)
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	require.NoError(t, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// schema is Trillian's own, of the version that the engine is built with.
func schema(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(module(t, "github.com/google/trillian"), "storage", "postgresql", "schema", "storage.sql"))
	require.NoError(t, err)
	return b
}

func address(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}

func listening(address string) error {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

// run runs a program of PostgreSQL's to its end and returns what it says.
func (i *Installation) run(t testing.TB, program string, args ...string) string {
	t.Helper()
	out, err := i.try(program, args...)
	require.NoError(t, err, "%s", out)
	return out
}

func (i *Installation) try(program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(i.programs, program), args...)
	cmd.SysProcAttr, cmd.Dir = &syscall.SysProcAttr{Credential: i.owner}, "/"
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (i *Installation) login(db string) []string {
	return []string{"-h", "127.0.0.1", "-p", i.port, "-U", "custody", "-d", db}
}

func (i *Installation) reachable() error {
	out, err := i.try("psql", append(i.login("postgres"), "-c", "SELECT 1")...)
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// SQL does something in a database behind everybody's back, and returns what
// psql says of it, without headings.
func (i *Installation) SQL(t testing.TB, db string, statements ...string) string {
	t.Helper()
	args := append(i.login(db), "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1")
	for _, s := range statements {
		args = append(args, "-c", s)
	}
	return strings.TrimSpace(i.run(t, "psql", args...))
}

// Edit does something in Trillian's database, which must concern rows.
func (i *Installation) Edit(t testing.TB, statement string) {
	t.Helper()
	done := strings.Fields(i.run(t, "psql", append(i.login(database), "-v", "ON_ERROR_STOP=1", "-c", statement)...))
	require.NotEmpty(t, done)
	require.NotEqual(t, "0", done[len(done)-1], "nothing was edited: %s", statement)
}

// feed has psql run statements in Trillian's database.
func (i *Installation) feed(t testing.TB, statements []byte) {
	t.Helper()
	cmd := exec.Command(filepath.Join(i.programs, "psql"), append(i.login(database), "-q", "-v", "ON_ERROR_STOP=1", "-f", "-")...)
	cmd.Stdin = bytes.NewReader(statements)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// Backup returns Trillian's database as pg_dump writes it.
func (i *Installation) Backup(t testing.TB) string {
	t.Helper()
	return i.run(t, "pg_dump", i.login(database)...)
}

// Restore puts a backup in place of Trillian's database, as an operator does:
// with server and signer stopped meanwhile.
func (i *Installation) Restore(t testing.TB, backup string) {
	t.Helper()
	i.LogServer.Kill()
	i.LogSigner.Kill()
	i.SQL(t, "postgres", "DROP DATABASE "+database+" WITH (FORCE)", "CREATE DATABASE "+database)
	i.feed(t, []byte(backup))
	i.LogServer.Start()
	i.LogSigner.Start()
}

func (i *Installation) process(t testing.TB, ready func() error, command ...string) *Process {
	t.Helper()
	p := &Process{t: t, name: filepath.Base(command[0]), command: command, owner: i.owner, ready: ready}
	var err error
	p.said, err = os.CreateTemp(i.dir, p.name)
	require.NoError(t, err)
	t.Cleanup(func() {
		if p == i.PostgreSQL && p.running != nil { // whose own processes write into dir until they are told
			p.Resume()
			p.signal(syscall.SIGQUIT)
			_ = p.running.Wait()
			p.running = nil
		}
		p.Kill()
		require.NoError(t, p.said.Close())
	})
	return p
}

// Start starts the process, which must not run, and returns when it answers.
func (p *Process) Start() {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := p.try(deadline)
		if err == nil {
			return
		}
		p.Kill()
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(p.said.Name())
			require.NoError(p.t, err, "%s does not start: %s", p.name, said)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// try starts the process once. After a kill PostgreSQL ends at once, and so do
// the log's programs while it is not there: then it is tried again.
func (p *Process) try(deadline time.Time) error {
	cmd := exec.Command(p.command[0], p.command[1:]...)
	cmd.SysProcAttr, cmd.Dir = &syscall.SysProcAttr{Credential: p.owner}, "/"
	cmd.Stdout, cmd.Stderr = p.said, p.said
	if err := cmd.Start(); err != nil {
		return err
	}
	p.running = cmd
	for {
		err := p.ready()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		if p.state() == "Z" {
			return errors.New("it has ended")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Kill ends the process with kill -9, wherever it is. One that does not run is
// left alone.
func (p *Process) Kill() {
	p.t.Helper()
	if p.running == nil {
		return
	}
	require.NoError(p.t, p.running.Process.Kill())
	_ = p.running.Wait()
	p.running = nil
}

// Pause stops the process where it is, and Resume lets it go on.
func (p *Process) Pause() {
	p.t.Helper()
	p.signal(syscall.SIGSTOP)
	require.Eventually(p.t, func() bool { return p.state() == "T" }, patience, time.Millisecond)
}

// Resume lets a paused process go on.
func (p *Process) Resume() {
	p.t.Helper()
	p.signal(syscall.SIGCONT)
}

func (p *Process) signal(s os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.running.Process.Signal(s))
}

// state is the letter by which the kernel says what a process does.
func (p *Process) state() string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.running.Process.Pid))
	if err != nil {
		return "Z"
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return rest[:min(1, len(rest))]
}
