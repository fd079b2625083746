package house_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/cmd/house"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/investigate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const origin = "custody.example/test"

// create makes a service in a new folder.
func create(t *testing.T) (dir string, trust *custody.Trust) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "service")
	c := house.Default(origin)
	c.Listen = "127.0.0.1:0"
	trust, err := house.Create(t.Context(), dir, c)
	require.NoError(t, err)
	return dir, trust
}

// running is a service that is served.
type running struct {
	t *testing.T
	*house.House
	address string
	now     func() time.Time
	stop    func() // ends it, once
}

func start(t *testing.T, dir string) *running {
	t.Helper()
	return startAt(t, dir, slog.DiscardHandler, time.Now)
}

// startAt is start with a log and a clock.
func startAt(t *testing.T, dir string, log slog.Handler, now func() time.Time) *running {
	t.Helper()
	h, err := house.OpenAt(t.Context(), dir, slog.New(log), now)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	address, done := make(chan net.Addr, 1), make(chan error, 1)
	go func() { done <- h.Serve(ctx, func(a net.Addr) { address <- a }) }()
	r := &running{t: t, House: h, now: now}
	stopped := false
	r.stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(t, <-done)
			require.NoError(t, h.Close())
			replays(t, dir)
		}
	}
	select {
	case a := <-address:
		r.address = a.String()
	case err := <-done:
		require.NoError(t, errors.Join(err, h.Close()))
	}
	t.Cleanup(r.stop)
	return r
}

// replays decides everything that is on record in a service's archive again.
func replays(t *testing.T, dir string) {
	t.Helper()
	a, err := house.OpenAudit(context.Background(), dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, a.Close()) }()
	report, err := a.Run(context.Background(), a.Checkpoint(), nil)
	require.NoError(t, err)
	require.Empty(t, report.Disagrees)
}

// as returns a client of somebody: with a new key where there is none yet.
func (r *running) as(like *client.Client) *client.Client {
	r.t.Helper()
	transport := &http.Transport{}
	r.t.Cleanup(transport.CloseIdleConnections)
	c := client.Config{Server: "http://" + r.address, Trust: r.Trust, Name: "a test", Now: r.now, HTTP: &http.Client{Transport: transport}}
	if like == nil {
		_, key, err := ed25519.GenerateKey(nil)
		require.NoError(r.t, err)
		c.Signer, err = custody.NewSigner(key)
		require.NoError(r.t, err)
	} else {
		c.Signer, c.Actor = like.Signer, like.Actor
	}
	made, err := client.New(c)
	require.NoError(r.t, err)
	return made
}

func newcomer(t *testing.T, c *client.Client, name string) *custody.EnrolPrincipal {
	t.Helper()
	proof, err := custody.ProvePossession(c.Signer, origin, name)
	require.NoError(t, err)
	return &custody.EnrolPrincipal{Contact: "+49 30 1234", Key: c.Signer.Public().Bytes(), Name: name, Possession: proof, Title: "of the team"}
}

// team enrols an administrator and, as the engineer, somebody who works on an
// incident.
func (r *running) team() (administrator, engineer *client.Client, incident custody.IncidentID) {
	r.t.Helper()
	ctx := r.t.Context()
	administrator, engineer = r.as(nil), r.as(nil)
	manager := r.as(nil)
	said, err := administrator.Enrol(ctx, newcomer(r.t, administrator, "Ada"), r.Code)
	require.NoError(r.t, err)
	administrator.Actor = custody.NewPrincipalID(said.Payload)
	for _, p := range []struct {
		c    *client.Client
		name string
		role custody.Role
	}{{engineer, "Emil", custody.RoleForensicEngineer}, {manager, "Mona", custody.RoleIncidentManager}} {
		said, err = administrator.Say(ctx, "", newcomer(r.t, p.c, p.name))
		require.NoError(r.t, err)
		p.c.Actor = custody.NewPrincipalID(said.Payload)
		_, err = administrator.Say(ctx, "", &custody.GrantRole{Principal: p.c.Actor, Role: p.role})
		require.NoError(r.t, err)
	}
	said, err = manager.Say(ctx, "", &investigate.Open{
		Class: investigate.Security, DetectedAt: custody.TimeOf(r.now().Add(-time.Hour)), Title: "a login from two countries",
	})
	require.NoError(r.t, err)
	incident = custody.NewIncidentID(said.Payload)
	_, err = manager.Say(ctx, "he examines the disk", &investigate.Assign{Incident: incident, Principal: engineer.Actor})
	require.NoError(r.t, err)
	return administrator, engineer, incident
}

func takeIn(t *testing.T, c *client.Client, i custody.IncidentID, exhibit string, data []byte) custody.EvidenceID {
	t.Helper()
	name, err := custody.NewName([]byte("disk.img"))
	require.NoError(t, err)
	said, err := c.Say(t.Context(), "to examine it", &custody.BeginEvidence{
		AtMost: uint64(len(data)), Exhibit: exhibit, Incident: i, Name: name, Type: "disk",
	})
	require.NoError(t, err)
	e := custody.NewEvidenceID(said.Payload)
	a, err := c.Upload(t.Context(), e, bytes.NewReader(data), nil)
	require.NoError(t, err)
	_, err = c.Say(t.Context(), "taken at the scene", &custody.SealEvidence{
		Acquisition: custody.Acquisition{
			Authority:   custody.Authority{Kind: "policy", Reference: "incident response policy 4.2"},
			CollectedAt: "2026-11-23T20:41:00+01:00", Method: "dead", Place: "office, room 4",
			Source: custody.Source{Description: "laptop", Serial: "SN 123"}, WriteBlock: "Tableau T8u",
			Tool: &custody.Tool{Name: "dd", Version: "9.1", Settings: "bs=1M"}, Unread: &custody.Unread{},
		},
		Artifact: a, Evidence: e, Incident: i,
	})
	require.NoError(t, err)
	return e
}

func noise(n int, seed byte) []byte {
	b := make([]byte, n)
	_, _ = mathrand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}

// TestRestartKeepsEverything that was acknowledged; what was only in memory,
// sessions and tickets, is over.
func TestRestartKeepsEverything(t *testing.T) {
	dir, trust := create(t)
	first := start(t, dir)
	require.Equal(t, trust, first.Trust)
	require.NotEmpty(t, first.Code)
	administrator, engineer, incident := first.team()
	data := noise(custody.ChunkSize+1000, 1)
	e := takeIn(t, engineer, incident, "EX-1", data)
	unfinished := data[:custody.ChunkSize]
	name, err := custody.NewName([]byte("memory.lime"))
	require.NoError(t, err)
	begun, err := engineer.Say(t.Context(), "to examine it", &custody.BeginEvidence{
		AtMost: 1 << 30, Exhibit: "EX-2", Incident: incident, Name: name, Type: "memory",
	})
	require.NoError(t, err)
	_, err = engineer.Upload(t.Context(), custody.NewEvidenceID(begun.Payload), bytes.NewReader(unfinished), nil)
	require.NoError(t, err)
	grant, err := engineer.Say(t.Context(), "to examine it", &custody.RetrieveEvidence{Evidence: e})
	require.NoError(t, err)
	session, err := engineer.Session(t.Context())
	require.NoError(t, err)
	before, err := engineer.Records(t.Context(), incident.Stream())
	require.NoError(t, err)
	point, _, err := engineer.Checkpoint(t.Context())
	require.NoError(t, err)
	first.stop()

	second := start(t, dir)
	require.Empty(t, second.Code, "there is an administrator")
	c := second.as(engineer)
	after, err := c.Records(t.Context(), incident.Stream())
	require.NoError(t, err)
	require.Equal(t, before, after)
	later, _, err := c.Checkpoint(t.Context())
	require.NoError(t, err)
	require.Greater(t, later.Size, point.Size)

	for header, token := range map[string]string{"Authorization": "Bearer " + session, api.TicketHeader: grant.Token} {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+second.address+"/v1/evidence/"+string(e)+"/content", nil)
		require.NoError(t, err)
		fresh, err := c.Session(t.Context())
		require.NoError(t, err)
		q.Header.Set("Authorization", "Bearer "+fresh)
		q.Header.Set(header, token)
		a, err := c.HTTP.Do(q)
		require.NoError(t, err)
		require.NoError(t, a.Body.Close())
		require.GreaterOrEqual(t, a.StatusCode, 400)
	}
	var w bytes.Buffer
	_, err = c.Retrieve(t.Context(), "to examine it", e, 0, 0, &w, nil)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, w.Bytes()))
	require.Eventually(t, func() bool { // read back, by either of them
		item, err := c.Evidence(t.Context(), e)
		return err == nil && item.Confirmed
	}, patience, 10*time.Millisecond)

	var settled int
	for _, r := range must(c.Records(t.Context(), e.Stream())) {
		s, err := r.Record.Envelope.Statement(investigate.Words())
		require.NoError(t, err)
		if act, ok := s.Act.(*custody.ReleaseEvidence); ok && act.Grant == grant.Payload {
			settled++
			require.Equal(t, custody.ReleaseWithheld, act.Outcome)
		}
	}
	require.Equal(t, 1, settled, "the ticket that nobody used is closed")

	puts := 0
	resumed := second.as(engineer)
	resumed.HTTP.Transport = counting{resumed.HTTP.Transport, http.MethodPut, &puts}
	_, err = resumed.Upload(t.Context(), custody.NewEvidenceID(begun.Payload), bytes.NewReader(unfinished), nil)
	require.NoError(t, err)
	require.Zero(t, puts, "the chunk is there")

	again, err := second.as(administrator).Say(t.Context(), "", &custody.OpenSession{Client: "a test"})
	require.NoError(t, err)
	require.NotNil(t, again)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// counting counts requests of one method.
type counting struct {
	next   http.RoundTripper
	method string
	count  *int
}

func (c counting) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.Method == c.method {
		*c.count++
	}
	return c.next.RoundTrip(q)
}

func (c counting) CloseIdleConnections() {}

func TestOneProcessAtATime(t *testing.T) {
	dir, _ := create(t)
	first := start(t, dir)
	_, err := house.Open(t.Context(), dir, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "in use by another process")
	q, err := first.as(nil).HTTP.Get("http://" + first.address + "/readyz")
	require.NoError(t, err)
	require.NoError(t, q.Body.Close())
	require.Equal(t, http.StatusOK, q.StatusCode, "the first goes on")
	first.stop()
	start(t, dir)
}

func TestCreate(t *testing.T) {
	dir, trust := create(t)
	require.Equal(t, origin, trust.Origin)
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		if rel, _ := filepath.Rel(dir, path); !strings.HasPrefix(rel, "bucket/") || d.IsDir() { // objects are for everybody who may enter their folders
			require.Zero(t, info.Mode().Perm()&0o077, "%s is %s", path, info.Mode())
		}
		return nil
	}))

	_, err := house.Create(t.Context(), dir, house.Default(origin))
	require.Error(t, err, "it is made once")
	used := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(used, "thesis.txt"), []byte("x"), 0o600))
	_, err = house.Create(t.Context(), used, house.Default(origin))
	require.Error(t, err)
	entries, err := os.ReadDir(used)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing was added")

	nowhere := filepath.Join(t.TempDir(), "service")
	_, err = house.Create(t.Context(), nowhere, house.Config{Origin: origin})
	require.Error(t, err)
	require.NoDirExists(t, nowhere)
	_, err = house.Open(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "custody init")

	other, second := create(t)
	require.NotEqual(t, dir, other)
	require.NotEqual(t, trust.Genesis, second.Genesis)
	require.NotEqual(t, trust.Log, second.Log)
}

// TestTheConfigurationSaysWhatHolds: where no number was given, the file has the one
// that is gone by.
func TestTheConfigurationSaysWhatHolds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "service")
	c := house.Default(origin)
	c.Authorities = []house.Authority{{Name: "our clock", Kind: custody.LocalAuthority}}
	_, err := house.Create(t.Context(), dir, c)
	require.NoError(t, err)
	b, err := os.ReadFile(filepath.Join(dir, "config.json"))
	require.NoError(t, err)
	for _, want := range []string{`"minutes": 60`, `"fixityDays": 7`, `"archiveDays": 365`} {
		require.Contains(t, string(b), want)
	}
	require.Zero(t, c.Authorities[0].Minutes, "what the caller has stays as it is")
}

func configure(t *testing.T, dir, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600))
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	dir, _ := create(t)
	good := `"origin":"` + origin + `","lockFile":"lock.db","folder":"bucket"`
	for text, says := range map[string]string{
		`{` + good + `,"listen":"127.0.0.1:0","listn":"x"}`:                                                                                  "listn",
		`{` + good + `,"listen":"127.0.0.1:0","Listen":"127.0.0.1:0"}`:                                                                       "Listen",
		`{` + good + `,"listen":"127.0.0.1:0","listen":"127.0.0.1:1"}`:                                                                       "duplicate",
		`{` + good + `,"listen":"127.0.0.1:0"} {}`:                                                                                           "config.json",
		`{` + good + `,"listen":"127.0.0.1:0"`:                                                                                               "config.json",
		`{` + good + `,"listen":"0.0.0.0:8420"}`:                                                                                             "not a loopback address",
		`{` + good + `,"listen":":8420"}`:                                                                                                    "not a loopback address",
		`{` + good + `,"listen":"[::]:8420"}`:                                                                                                "not a loopback address",
		`{` + good + `,"listen":"192.0.2.1:8420"}`:                                                                                           "not a loopback address",
		`{` + good + `,"listen":"custody.example:8420"}`:                                                                                     "not a loopback address",
		`{` + good + `,"listen":"127.0.0.1.custody.example:8420"}`:                                                                           "not a loopback address",
		`{` + good + `,"listen":"127.0.0.1"}`:                                                                                                "not a loopback address",
		`{` + good + `}`:                                                                                                                     "not a loopback address",
		`{` + good + `,"listen":"127.0.0.1:0","certificate":"c.pem"}`:                                                                        "go together",
		`{` + good + `,"listen":"127.0.0.1:0","key":"k.pem"}`:                                                                                "go together",
		`{` + good + `,"listen":"127.0.0.1:0","metrics":"0.0.0.0:9090"}`:                                                                     "metrics",
		`{` + good + `,"listen":"127.0.0.1:0","s3":{"endpoint":"x"}}`:                                                                        "either folder or s3",
		`{"origin":"x","lockFile":"lock.db","listen":"127.0.0.1:0"}`:                                                                         "either folder or s3",
		`{"origin":"x","folder":"bucket","listen":"127.0.0.1:0"}`:                                                                            "lockFile is missing",
		`{"lockFile":"lock.db","folder":"bucket","listen":"127.0.0.1:0"}`:                                                                    "is not a name like",
		`{"origin":"custody.example/other","lockFile":"lock.db","folder":"bucket","listen":"127.0.0.1:0"}`:                                   "not of one service",
		`{` + good + `,"listen":"127.0.0.1:0","escrow":["no recipient"]}`:                                                                    "escrow",
		`{` + good + `,"listen":"127.0.0.1:0","authorities":[{"name":"","kind":"local"}]}`:                                                   "not a line",
		`{` + good + `,"listen":"127.0.0.1:0","authorities":[{"name":"a","kind":"good","url":"https://x"}]}`:                                 "kind of authority",
		`{` + good + `,"listen":"127.0.0.1:0","authorities":[{"name":"a","kind":"external"}]}`:                                               "then its kind is local",
		`{` + good + `,"listen":"127.0.0.1:0","authorities":[{"name":"a","kind":"external","url":"https://x"}]}`:                             "certificates is missing",
		`{` + good + `,"listen":"127.0.0.1:0","authorities":[{"name":"a","kind":"external","url":"ftp://x.example/","certificates":"c"}]}`:   "is not one of https or http",
		`{` + good + `,"listen":"127.0.0.1:0","authorities":[{"name":"a","kind":"external","url":"https://x","certificates":"none.pem"}]}`:   "none.pem",
		`{` + good + `,"listen":"127.0.0.1:0","authorities":[{"name":"a","kind":"external","url":"https://x","certificates":"trust.json"}]}`: "no certificate in PEM",
		`{` + good + `,"listen":"127.0.0.1:0","authorities":[{"name":"a","kind":"local","minutes":-1}]}`:                                     "minutes",
		`{` + good + `,"listen":"127.0.0.1:0","authorities":[{"name":"a","kind":"local"}]}`:                                                  "no key of its own",
		`{` + good + `,"listen":"127.0.0.1:0","authorities":[{"name":"a","kind":"local"},{"name":"b","kind":"local"}]}`:                      "twice",
		`{` + good + `,"listen":"127.0.0.1:0","authorities":[{"name":"a","kind":"local","hours":1}]}`:                                        "hours",
		`{` + good + `,"listen":"127.0.0.1:0","listen":null}`:                                                                                "duplicate",
	} {
		configure(t, dir, text)
		_, err := house.Open(t.Context(), dir, slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, says, text)
	}
	for _, listen := range []string{"localhost:0", "[::1]:0", "127.0.0.2:0"} {
		configure(t, dir, `{`+good+`,"listen":"`+listen+`"}`)
		h, err := house.Open(t.Context(), dir, slog.New(slog.DiscardHandler))
		require.NoError(t, err, listen)
		require.NoError(t, h.Close())
	}
}

// TestFilesThatAreNotRight: what is missing, altered or readable by others
// stops the service before it serves anything.
func TestFilesThatAreNotRight(t *testing.T) {
	other, _ := create(t)
	for _, name := range []string{"keys/service.pem", "keys/log.note", "keys/storage.age"} {
		for _, mode := range []os.FileMode{0o640, 0o604, 0o666} {
			dir, _ := create(t)
			require.NoError(t, os.Chmod(filepath.Join(dir, name), mode))
			_, err := house.Open(t.Context(), dir, slog.New(slog.DiscardHandler))
			require.ErrorContains(t, err, "can be read by others", "%s %o", name, mode)
		}
	}
	for _, name := range []string{
		"config.json", "trust.json", "records.db", "log.db", "lock.db", "keys/service.pem", "keys/log.note", "keys/storage.age",
	} {
		t.Run(name+" is gone", func(t *testing.T) {
			dir, _ := create(t)
			require.NoError(t, os.Remove(filepath.Join(dir, name)))
			_, err := house.Open(t.Context(), dir, slog.New(slog.DiscardHandler))
			require.Error(t, err)
		})
	}
	for _, name := range []string{"trust.json", "keys/service.pem", "keys/log.note", "records.db", "log.db", "lock.db"} {
		t.Run(name+" is another's", func(t *testing.T) {
			dir, _ := create(t)
			b, err := os.ReadFile(filepath.Join(other, name))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
			for _, tail := range []string{"-wal", "-shm"} {
				require.NoError(t, os.RemoveAll(filepath.Join(dir, name+tail)))
			}
			_, err = house.Open(t.Context(), dir, slog.New(slog.DiscardHandler))
			require.Error(t, err)
		})
	}
}

// TestEnrolmentCode admits one, who has it, and nobody after.
func TestEnrolmentCode(t *testing.T) {
	dir, _ := create(t)
	r := start(t, dir)
	for _, wrong := range []string{"", "x", strings.ToUpper(r.Code), r.Code + "x"} {
		c := r.as(nil)
		_, err := c.Enrol(t.Context(), newcomer(t, c, "Mallory"), wrong)
		require.Error(t, err)
	}
	r.team()
	c := r.as(nil)
	_, err := c.Enrol(t.Context(), newcomer(t, c, "Mallory"), r.Code)
	problem := new(client.Error)
	require.ErrorAs(t, err, &problem)
}

// get asks for something without a session.
func get(t *testing.T, c *http.Client, url string) (*http.Response, []byte) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	r, err := c.Do(q)
	require.NoError(t, err)
	b, err := io.ReadAll(r.Body)
	require.NoError(t, errors.Join(err, r.Body.Close()))
	return r, b
}

// free returns an address that nobody listens at.
func free(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// TestMetrics are served to themselves.
func TestMetrics(t *testing.T) {
	dir, _ := create(t)
	address := free(t)
	configure(t, dir, fmt.Sprintf(`{"origin":%q,"lockFile":"lock.db","folder":"bucket","listen":"127.0.0.1:0","metrics":%q}`, origin, address))
	r := start(t, dir)
	c := r.as(nil).HTTP
	_, engineer, incident := r.team()
	e := takeIn(t, engineer, incident, "EX-1", noise(1000, 1))
	_, err := engineer.Retrieve(t.Context(), "to examine it", e, 0, 0, io.Discard, nil)
	require.NoError(t, err)
	a, b := get(t, c, "http://"+address+"/metrics")
	require.Equal(t, http.StatusOK, a.StatusCode)
	for _, line := range []string{
		"custody_log_ready 1", "custody_evidence_released_bytes_total 1000", `custody_statements_total{kind="evidence.retrieve",permitted="true"} 1`,
		"go_goroutines", "process_open_fds",
	} {
		require.Contains(t, string(b), line)
	}
	require.NotContains(t, string(b), string(e), "it names nothing")
	a, _ = get(t, c, "http://"+r.address+"/metrics")
	require.Equal(t, http.StatusNotFound, a.StatusCode)
	for _, path := range []string{"/livez", "/debug/pprof/", "/"} {
		a, _ = get(t, c, "http://"+address+path)
		require.Equal(t, http.StatusNotFound, a.StatusCode, path)
	}
}

// TestAddressesThatAreTaken end Serve with a reason, and leave nothing behind.
func TestAddressesThatAreTaken(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, taken.Close()) })
	dir, _ := create(t)
	for _, text := range []string{
		fmt.Sprintf(`"listen":%q`, taken.Addr()), fmt.Sprintf(`"listen":"127.0.0.1:0","metrics":%q`, taken.Addr()),
	} {
		configure(t, dir, `{"origin":"`+origin+`","lockFile":"lock.db","folder":"bucket",`+text+`}`)
		h, err := house.Open(t.Context(), dir, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		err = h.Serve(t.Context(), func(net.Addr) { t.Error("it listens") })
		require.ErrorContains(t, err, "address already in use")
		require.NoError(t, h.Close())
	}
}

// certify puts a self-signed certificate for 127.0.0.1 into the folder.
func certify(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for name, block := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: der}, "tls.key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600))
	}
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return pool
}

func TestTLS(t *testing.T) {
	dir, _ := create(t)
	pool := certify(t, dir)
	configure(t, dir, `{"origin":"`+origin+`","lockFile":"lock.db","folder":"bucket","listen":"127.0.0.1:0","certificate":"tls.crt","key":"tls.key"}`)
	r := start(t, dir)
	with := func(c *tls.Config) *http.Client {
		transport := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	a, _ := get(t, with(&tls.Config{RootCAs: pool}), "https://"+r.address+"/livez")
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Equal(t, 2, a.ProtoMajor)
	require.EqualValues(t, tls.VersionTLS13, a.TLS.Version)
	require.Equal(t, "max-age=31536000; includeSubDomains", a.Header.Get("Strict-Transport-Security"))

	for name, c := range map[string]*tls.Config{"TLS 1.2": {RootCAs: pool, MaxVersion: tls.VersionTLS12}, "no trust": {}} {
		_, err := with(c).Get("https://" + r.address + "/livez")
		require.Error(t, err, name)
	}
	a, _ = get(t, with(nil), "http://"+r.address+"/livez")
	require.Equal(t, http.StatusBadRequest, a.StatusCode, "in clear it says nothing, and leads nowhere")

	// HTTP/2 breaks a stream off as surely as HTTP/1.1 a connection.
	r.stop()
	for name, spoil := range map[string]func(string) error{
		"can be read by others": func(p string) error { return os.Chmod(p, 0o640) },
		"no such file":          os.Remove,
		"certificate tls.crt and key tls.key": func(p string) error {
			certify(t, filepath.Dir(p))
			other := t.TempDir()
			certify(t, other)
			return os.Rename(filepath.Join(other, "tls.key"), p)
		},
	} {
		certify(t, dir)
		require.NoError(t, spoil(filepath.Join(dir, "tls.key")))
		h, err := house.Open(t.Context(), dir, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		require.ErrorContains(t, h.Serve(t.Context(), func(net.Addr) { t.Error("it listens") }), name)
		require.NoError(t, h.Close())
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "tls.key")))
	}
}

// TestPlainAnswersHaveNoHSTS, since there is no TLS to insist on.
func TestPlainAnswersHaveNoHSTS(t *testing.T) {
	dir, _ := create(t)
	r := start(t, dir)
	a, _ := get(t, r.as(nil).HTTP, "http://"+r.address+"/livez")
	require.Empty(t, a.Header.Values("Strict-Transport-Security"))
	require.Empty(t, a.Header.Values("Server"))
}

// TestDamage in the real bucket: what comes is what was sealed, or nothing.
func TestDamage(t *testing.T) {
	dir, _ := create(t)
	r := start(t, dir)
	_, engineer, incident := r.team()
	data := noise(2*custody.ChunkSize, 1)
	first := takeIn(t, engineer, incident, "EX-1", data[:1000])
	there := chunks(t, dir)
	require.Len(t, there, 1)
	second := takeIn(t, engineer, incident, "EX-2", data)
	for path := range there {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		b[len(b)/2] ^= 1
		require.NoError(t, os.Chmod(path, 0o600))
		require.NoError(t, os.WriteFile(path, b, 0o600))
	}
	var w bytes.Buffer
	_, err := engineer.Retrieve(t.Context(), "to examine it", first, 0, 0, &w, nil)
	problem := new(client.Error)
	require.ErrorAs(t, err, &problem)
	require.Contains(t, []int{http.StatusInternalServerError, http.StatusForbidden}, problem.Status) // Forbidden once the check has found it
	require.Contains(t, strings.ToLower(problem.Error()), "damaged")
	require.Zero(t, w.Len())

	require.NoError(t, os.Remove(largest(t, dir)))
	_, err = engineer.Retrieve(t.Context(), "to examine it", second, 0, 0, &w, nil)
	require.Error(t, err)
	require.True(t, bytes.HasPrefix(data, w.Bytes()), "%d bytes came", w.Len())
	require.Less(t, w.Len(), len(data))
}

// chunks lists the files that hold chunks, with their sizes.
func chunks(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	found := map[string]int64{}
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, "bucket"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(path, "/c/") {
			info, err := d.Info()
			require.NoError(t, err)
			found[path] = info.Size()
		}
		return err
	}))
	return found
}

func largest(t *testing.T, dir string) (path string) {
	t.Helper()
	var size int64
	for p, n := range chunks(t, dir) {
		if n > size {
			path, size = p, n
		}
	}
	return path
}

// TestBundleFromTheService verifies with nothing but the trust file.
func TestBundleFromTheService(t *testing.T) {
	dir, trust := create(t)
	r := start(t, dir)
	_, engineer, incident := r.team()
	e := takeIn(t, engineer, incident, "EX-1", noise(1000, 1))
	for _, leaves := range []bool{true, false} {
		var w bytes.Buffer
		require.NoError(t, engineer.Bundle(t.Context(), "for the court", e, leaves, &w))
		v := bundle.Verify(bytes.NewReader(w.Bytes()), trust, bundle.Options{Words: investigate.Words()})
		require.True(t, v.Verified, "%+v", v)
		require.Equal(t, leaves, v.Complete)
	}
}

// TestPublicLog: the log that is served is the one that receipts are of.
func TestPublicLog(t *testing.T) {
	dir, trust := create(t)
	r := start(t, dir)
	r.team()
	c := r.as(nil)
	point, _, err := c.Checkpoint(t.Context())
	require.NoError(t, err)
	require.Equal(t, trust.Origin, point.Origin)
	a, b := get(t, c.HTTP, fmt.Sprintf("http://%s/log/tile/0/000.p/%d", r.address, point.Size))
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Len(t, b, 32*int(point.Size))
	a, b = get(t, c.HTTP, fmt.Sprintf("http://%s/log/tile/entries/000.p/%d", r.address, point.Size))
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Len(t, b, (2+len(custody.Leaf{}))*int(point.Size))
	for _, path := range []string{
		"0/001", fmt.Sprintf("0/000.p/%d", point.Size+1), "0/000", "0/x", "-1/000", "0/000.p/0", "0/000.p/256", "0/00", "0/0000",
		"entries/000", "entries/../../records.db", "..%2f..%2frecords.db", "64/000", "",
	} {
		a, _ := get(t, c.HTTP, "http://"+r.address+"/log/tile/"+path)
		require.Equal(t, http.StatusNotFound, a.StatusCode, path)
	}
}
