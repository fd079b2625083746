package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

// asProgram makes this test binary behave as the program, so that tests start,
// kill and question real processes.
const asProgram = "CUSTODY_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// service is a service in a process of its own.
type service struct {
	t       testing.TB
	dir     string
	url     string
	code    string
	trust   *custody.Trust
	process *exec.Cmd
	log     *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newService makes a service in a folder.
func newService(t testing.TB, dir string, more ...string) *service {
	t.Helper()
	c := exec.Command(os.Args[0], append([]string{"init", "--dir", dir, "--origin", "custody.example/test", "--listen", "127.0.0.1:0"}, more...)...)
	c.Env = append(os.Environ(), asProgram+"=1")
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	b, err := os.ReadFile(filepath.Join(dir, "trust.json"))
	require.NoError(t, err)
	trust, err := custody.ParseTrust(b)
	require.NoError(t, err)
	return &service{t: t, dir: dir, trust: trust}
}

var (
	servingAt = regexp.MustCompile(`serving \S+ at (http\S+) `)
	firstCode = regexp.MustCompile(`--first --code (\S+)`)
)

// start starts the process and waits until it serves.
func (s *service) start() {
	s.t.Helper()
	require.NoError(s.t, s.tryStart())
}

func (s *service) tryStart() error {
	s.process = exec.Command(os.Args[0], "serve", "--dir", s.dir)
	s.process.Env = append(os.Environ(), asProgram+"=1")
	s.log = &lockedBuffer{}
	stderr, err := s.process.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.process.Start(); err != nil {
		return err
	}
	s.t.Cleanup(s.kill)
	ready := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(io.TeeReader(stderr, s.log))
		for lines.Scan() {
			if m := servingAt.FindStringSubmatch(lines.Text()); m != nil {
				ready <- m[1]
			}
			if m := firstCode.FindStringSubmatch(lines.Text()); m != nil {
				s.code = m[1]
			}
		}
		close(ready)
	}()
	select {
	case url, ok := <-ready:
		if !ok {
			return fmt.Errorf("the service did not start: %s", s.log)
		}
		s.url = url
	case <-time.After(30 * time.Second):
		return fmt.Errorf("the service does not serve after 30 s: %s", s.log)
	}
	return nil
}

// kill ends the process as a power switch would.
func (s *service) kill() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
		s.process = nil
	}
}

// stop ends the process as an operator would.
func (s *service) stop() {
	s.t.Helper()
	require.NoError(s.t, s.process.Process.Signal(syscall.SIGTERM))
	require.NoError(s.t, s.process.Wait(), "%s", s.log)
	s.process = nil
}

// person is somebody with a key of his own.
type person struct {
	name   string
	id     custody.PrincipalID
	signer custody.Signer
	*client.Client
}

func newSigner(t testing.TB) custody.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signer, err := custody.NewSigner(key)
	require.NoError(t, err)
	return signer
}

// person returns a client for somebody at the service as it runs now.
func (s *service) person(name string, id custody.PrincipalID, signer custody.Signer) *person {
	s.t.Helper()
	c, err := client.New(client.Config{
		Server: s.url, Trust: s.trust, Signer: signer, Actor: id, Name: "a test", Now: time.Now,
		HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}, Timeout: time.Minute},
	})
	require.NoError(s.t, err)
	return &person{name: name, id: id, signer: signer, Client: c}
}

// again returns the same person at the service as it runs now.
func (s *service) again(p *person) *person { return s.person(p.name, p.id, p.signer) }

func (s *service) enrolment(name string, signer custody.Signer) *custody.EnrolPrincipal {
	s.t.Helper()
	proof, err := custody.ProvePossession(signer, s.trust.Origin, name)
	require.NoError(s.t, err)
	return &custody.EnrolPrincipal{Name: name, Title: "test", Contact: "nobody", Key: signer.Public().Bytes(), Possession: proof}
}

// firstAdministrator enrols the first administrator with the printed code.
func (s *service) firstAdministrator() *person {
	s.t.Helper()
	signer := newSigner(s.t)
	p := s.person("admin", "", signer)
	require.Eventually(s.t, func() bool { return firstCode.MatchString(s.log.String()) }, patience, 5*time.Millisecond)
	code := firstCode.FindStringSubmatch(s.log.String())[1]
	said, err := p.Enrol(context.Background(), s.enrolment("admin", signer), code)
	require.NoError(s.t, err)
	return s.person("admin", custody.NewPrincipalID(said.Payload), signer)
}

// enrol lets an administrator enrol somebody with roles.
func (s *service) enrol(admin *person, name string, roles ...custody.Role) *person {
	s.t.Helper()
	signer := newSigner(s.t)
	said, err := admin.Say(context.Background(), "", s.enrolment(name, signer))
	require.NoError(s.t, err)
	id := custody.NewPrincipalID(said.Payload)
	for _, r := range roles {
		_, err := admin.Say(context.Background(), "", &custody.GrantRole{Principal: id, Role: r})
		require.NoError(s.t, err)
	}
	return s.person(name, id, signer)
}

// team is a service with people and an incident that the engineers work on.
type team struct {
	*service
	admin, manager, legal, auditor *person
	engineers                      []*person
	incident                       custody.IncidentID
}

func newTeam(t testing.TB, dir string, engineers int, more ...string) *team {
	t.Helper()
	w := &team{service: newService(t, dir, more...)}
	w.start()
	w.admin = w.firstAdministrator()
	w.manager = w.enrol(w.admin, "manager", custody.RoleIncidentManager)
	w.legal = w.enrol(w.admin, "legal", custody.RoleLegalAdvisor)
	w.auditor = w.enrol(w.admin, "auditor", custody.RoleExternalAuditor)
	ctx := context.Background()
	said, err := w.manager.Say(ctx, "", &investigate.Open{Class: investigate.Security, Title: "a test", DetectedAt: custody.TimeOf(time.Now())})
	require.NoError(t, err)
	w.incident = custody.NewIncidentID(said.Payload)
	for n := range engineers {
		e := w.enrol(w.admin, fmt.Sprintf("engineer %d", n), custody.RoleForensicEngineer)
		_, err := w.manager.Say(ctx, "forensics", &investigate.Assign{Incident: w.incident, Principal: e.id})
		require.NoError(t, err)
		w.engineers = append(w.engineers, e)
	}
	return w
}

// reconnect renews everybody's clients after a restart.
func (w *team) reconnect() {
	w.admin, w.manager, w.legal, w.auditor = w.again(w.admin), w.again(w.manager), w.again(w.legal), w.again(w.auditor)
	for n, e := range w.engineers {
		w.engineers[n] = w.again(e)
	}
}

func acquisition() custody.Acquisition {
	return custody.Acquisition{
		Authority:   custody.Authority{Kind: "policy", Reference: "a test"},
		CollectedAt: "2026-11-23T09:40:00+01:00", Method: "dead", Place: "a test", WriteBlock: "none needed",
		Source: custody.Source{Description: "a generator"}, Tool: &custody.Tool{Name: "go", Version: "1", Settings: "test"}, Unread: &custody.Unread{},
	}
}

// takeIn takes an artifact in, from announcement to seal.
func takeIn(ctx context.Context, p *person, i custody.IncidentID, exhibit string, size uint64, source io.Reader) (custody.EvidenceID, *client.Said, error) {
	said, err := p.Say(ctx, "test", &custody.BeginEvidence{
		AtMost: size, Exhibit: exhibit, Incident: i, Name: custody.Name{Display: strings.ReplaceAll(exhibit, " ", "-")}, Type: "disk",
	})
	if err != nil {
		return "", nil, err
	}
	id := custody.NewEvidenceID(said.Payload)
	artifact, err := p.Upload(ctx, id, source, nil)
	if err != nil {
		return id, nil, err
	}
	seal, err := p.Say(ctx, "test", &custody.SealEvidence{Acquisition: acquisition(), Artifact: artifact, Evidence: id, Incident: i})
	return id, seal, err
}

func testFile(t testing.TB, size int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "artifact")
	f, err := os.Create(path)
	require.NoError(t, err)
	_, err = io.CopyN(f, rand.Reader, int64(size))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return path
}

// onlyItem is what a verdict says of the one item that its bundle is of.
func onlyItem(t testing.TB, verdict map[string]any) map[string]any {
	t.Helper()
	items, ok := verdict["items"].([]any)
	require.True(t, ok)
	require.Len(t, items, 1)
	item, ok := items[0].(map[string]any)
	require.True(t, ok)
	return item
}
