package house_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/cmd/house"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/buckettest"
	"github.com/forensic-custody/custody/storage/s3"
)

// moved is a clock that can be set forward.
type moved struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (m *moved) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Add(m.ahead)
}

func (m *moved) pass(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ahead += d
}

// line lies between the service and its S3 server. What wait says of a request is
// waited for before it goes on: nil, for nothing.
type line struct {
	server *httptest.Server
	mu     sync.Mutex
	wait   func(*http.Request) <-chan struct{}
	says   func(*http.Request) int
	broken bool
}

func newLine(t *testing.T, c *s3.Config) *line {
	t.Helper()
	behind, err := url.Parse(c.Endpoint)
	require.NoError(t, err)
	transport := &http.Transport{}
	proxy := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(behind)
		r.Out.Host = r.In.Host // it is signed
	}}
	l := &line{}
	l.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wait, broken := l.of(r)
		if broken {
			panic(http.ErrAbortHandler)
		}
		if status := l.said(r); status != 0 {
			w.WriteHeader(status)
			return
		}
		select {
		case <-wait:
		case <-r.Context().Done():
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { l.server.Close(); transport.CloseIdleConnections() })
	c.Endpoint = l.server.URL
	return l
}

var atOnce = func() <-chan struct{} { c := make(chan struct{}); close(c); return c }()

func (l *line) of(r *http.Request) (<-chan struct{}, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wait != nil {
		if c := l.wait(r); c != nil {
			return c, l.broken
		}
	}
	return atOnce, l.broken
}

func (l *line) slow(wait func(*http.Request) <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wait = wait
}

// answers has a status answered in the server's place; 0 for its own answer.
func (l *line) answers(says func(*http.Request) int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.says = says
}

func (l *line) said(r *http.Request) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.says == nil {
		return 0
	}
	return l.says(r)
}

func (l *line) breaks(broken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = broken
}

// createOnS3 makes a service with its evidence in a bucket.
func createOnS3(t *testing.T, bucket s3.Config, change func(*house.Config)) (dir string) {
	t.Helper()
	secrets := t.TempDir()
	access, secret := filepath.Join(secrets, "access"), filepath.Join(secrets, "secret")
	require.NoError(t, os.WriteFile(access, []byte(bucket.AccessKey+"\n"), 0o600))
	require.NoError(t, os.WriteFile(secret, []byte(bucket.SecretKey+"\n"), 0o600))
	c := house.Default(origin)
	c.Listen, c.Folder, c.Metrics = "127.0.0.1:0", "", free(t)
	c.S3 = &house.S3{Endpoint: bucket.Endpoint, Bucket: bucket.Bucket, AccessKeyFile: access, SecretKeyFile: secret}
	if change != nil {
		change(&c)
	}
	dir = filepath.Join(t.TempDir(), "service")
	_, err := house.Create(t.Context(), dir, c)
	require.NoError(t, err)
	return dir
}

// colleague enrols somebody else in a role.
func (r *running) colleague(administrator *client.Client, name string, role custody.Role) *client.Client {
	r.t.Helper()
	c := r.as(nil)
	said, err := administrator.Say(r.t.Context(), "", newcomer(r.t, c, name))
	require.NoError(r.t, err)
	c.Actor = custody.NewPrincipalID(said.Payload)
	_, err = administrator.Say(r.t.Context(), "", &custody.GrantRole{Principal: c.Actor, Role: role})
	require.NoError(r.t, err)
	return c
}

// two have an act said by one and seconded by another.
func two(t *testing.T, one, other *client.Client, act func(seconds custody.Digest) custody.Act) {
	t.Helper()
	said, err := one.Say(t.Context(), "the case is closed", act(custody.Digest{}))
	require.NoError(t, err)
	_, err = other.Say(t.Context(), "the case is closed", act(said.Payload))
	require.NoError(t, err)
}

// metric returns a figure of the service.
func (r *running) metric(name string) float64 {
	r.t.Helper()
	value, err := r.figure(name)
	require.NoError(r.t, err)
	return value
}

// shows says whether a figure of the service is a number now, to wait for.
func (r *running) shows(name string, want float64) func() bool {
	return func() bool {
		value, err := r.figure(name)
		return err == nil && value == want
	}
}

func (r *running) figure(name string) (value float64, err error) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	q, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.Config.Metrics+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	a, err := (&http.Client{Transport: transport}).Do(q)
	if err != nil {
		return 0, err
	}
	b, err := io.ReadAll(a.Body)
	if err := errors.Join(err, a.Body.Close()); err != nil {
		return 0, err
	}
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(b)
	if found == nil {
		return 0, fmt.Errorf("%s is not among the figures", name)
	}
	_, err = fmt.Sscan(string(found[1]), &value)
	return value, err
}

const patience = 30 * time.Second

func confirmed(t *testing.T, c *client.Client, id custody.EvidenceID) {
	t.Helper()
	require.Eventually(t, func() bool {
		e, err := c.Evidence(t.Context(), id)
		return err == nil && e.Confirmed
	}, patience, 50*time.Millisecond)
}

// checks returns what the checks on an item's record found, the oldest first.
func checks(t *testing.T, c *client.Client, id custody.EvidenceID) (intact []bool) {
	t.Helper()
	said, err := c.Records(t.Context(), id.Stream())
	if err != nil {
		return nil // it is waited for, too
	}
	for _, s := range said {
		st, err := s.Record.Envelope.Statement(investigate.Words())
		if err != nil {
			return nil
		}
		if act, ok := st.Act.(*custody.CheckEvidence); ok {
			intact = append(intact, act.Intact)
		}
	}
	return intact
}

// TestReadBackOnSchedule moves the clock: each item is read back once in each
// period, damage is found, alarmed on and on record, and so is that it is over.
func TestReadBackOnSchedule(t *testing.T) {
	t.Parallel()
	dir, _ := create(t)
	metrics := free(t)
	configure(t, dir, fmt.Sprintf(`{"origin": %q, "listen": "127.0.0.1:0", "metrics": %q, "fixityDays": 10, "folder": "bucket", "lockFile": "lock.db"}`, origin, metrics))
	clock := &moved{}
	r := startAt(t, dir, slog.DiscardHandler, clock.now)
	_, engineer, incident := r.team()
	ids := []custody.EvidenceID{
		takeIn(t, engineer, incident, "EX-1", noise(1000, 1)), takeIn(t, engineer, incident, "EX-2", noise(2000, 2)),
	}
	for _, id := range ids {
		confirmed(t, engineer, id)
	}
	rounds := func() { time.Sleep(2 * 2100 * time.Millisecond) } // of the loops, so that a second check would have come
	requireChecks := func(want ...[]bool) {
		t.Helper()
		require.Eventually(t, func() bool {
			engineer = r.as(engineer) // the session is over
			return len(checks(t, engineer, ids[0])) >= len(want[0]) && len(checks(t, engineer, ids[1])) >= len(want[1])
		}, patience, 100*time.Millisecond)
		rounds()
		for n, id := range ids {
			require.Equal(t, want[n], checks(t, engineer, id))
		}
	}
	requireChecks([]bool{true}, []bool{true})
	clock.pass(7 * 24 * time.Hour)
	requireChecks([]bool{true}, []bool{true})
	require.Zero(t, r.metric("custody_fixity_overdue"))
	require.Eventually(t, func() bool {
		age, err := r.figure("custody_fixity_oldest_seconds")
		return err == nil && age > 7*24*3600-60 && age < 7*24*3600+600
	}, patience, 100*time.Millisecond)
	clock.pass(25 * time.Hour) // past eight tenths of ten days
	requireChecks([]bool{true, true}, []bool{true, true})
	require.Eventually(t, func() bool {
		age, err := r.figure("custody_fixity_oldest_seconds")
		return err == nil && age < 600
	}, patience, 100*time.Millisecond)

	// A bit rots in one of them.
	path := largest(t, dir)
	sound, err := os.ReadFile(path)
	require.NoError(t, err)
	rotten := bytes.Clone(sound)
	rotten[len(rotten)/2] ^= 1
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.WriteFile(path, rotten, 0o600))
	require.Zero(t, r.metric("custody_evidence_damaged"))
	clock.pass(9 * 24 * time.Hour)
	requireChecks([]bool{true, true, true}, []bool{true, true, false})
	require.Eventually(t, r.shows("custody_evidence_damaged", 1), patience, 100*time.Millisecond)
	e, err := engineer.Evidence(t.Context(), ids[1])
	require.NoError(t, err)
	require.True(t, e.Damaged)
	in, err := engineer.Incident(t.Context(), incident)
	require.NoError(t, err)
	damaged := 0
	for _, item := range in.Evidence {
		if item.Damaged {
			damaged++
		}
	}
	require.Equal(t, 1, damaged, "whoever looks at the incident sees it")

	// It is restored, and the next pass says so.
	require.NoError(t, os.WriteFile(path, sound, 0o600))
	clock.pass(9 * 24 * time.Hour)
	requireChecks([]bool{true, true, true, true}, []bool{true, true, false, true})
	require.Eventually(t, r.shows("custody_evidence_damaged", 0), patience, 100*time.Millisecond)
}

// TestOverdue: what could not be read back in time is counted until it is.
func TestOverdue(t *testing.T) {
	bucket := buckettest.StartMinIO(t).NewBucket(t)
	l := newLine(t, &bucket)
	clock := &moved{}
	r := startAt(t, createOnS3(t, bucket, nil), slog.DiscardHandler, clock.now)
	_, engineer, incident := r.team()
	id := takeIn(t, engineer, incident, "EX-1", noise(1000, 1))
	confirmed(t, engineer, id)
	l.breaks(true)
	clock.pass(8 * 24 * time.Hour)
	require.Eventually(t, r.shows("custody_fixity_overdue", 1), patience, 100*time.Millisecond)
	l.breaks(false)
	require.Eventually(t, r.shows("custody_fixity_overdue", 0), 2*patience, 100*time.Millisecond)
	require.Equal(t, []bool{true, true}, checks(t, r.as(engineer), id), "what was not known is not on record as damage")
}

// TestALongPassDelaysNoLock: while an item is read back for days, what is sealed
// meanwhile is locked to its full term before its first lock ends, and what is put
// on hold is held.
func TestALongPassDelaysNoLock(t *testing.T) {
	bucket := buckettest.StartMinIO(t).NewBucket(t)
	direct, err := s3.Open(bucket)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, direct.Close()) })
	l := newLine(t, &bucket)
	clock := &moved{}
	r := startAt(t, createOnS3(t, bucket, nil), slog.DiscardHandler, clock.now)
	_, engineer, incident := r.team()
	first := takeIn(t, engineer, incident, "EX-1", noise(1000, 1))
	confirmed(t, engineer, first)
	old := objectsOf(t, direct, incident)

	// Reading the first item takes for ever from now on.
	never, reading := make(chan struct{}), make(chan struct{}, 100)
	defer close(never)
	l.slow(func(q *http.Request) <-chan struct{} {
		for key := range old {
			if q.Method == http.MethodGet && strings.Contains(q.URL.Path, key) && strings.Contains(key, "/c/") {
				reading <- struct{}{}
				return never
			}
		}
		return nil
	})
	_, err = engineer.Say(t.Context(), "before the hearing", &custody.VerifyEvidence{Evidence: first})
	require.NoError(t, err)
	<-reading

	second := takeIn(t, engineer, incident, "EX-2", noise(2000, 2))
	term := clock.now().Add((custody.DefaultRetention - 1) * 24 * time.Hour)
	require.Eventually(t, func() bool {
		for key, o := range objectsOf(t, direct, incident) {
			if _, there := old[key]; !there && o.Until.Before(term) {
				return false
			}
		}
		return true
	}, patience, 100*time.Millisecond, "the second item is locked to its full term")
	confirmed(t, engineer, second)
	require.Equal(t, []bool{true}, checks(t, engineer, first), "the first is still being read")
}

// objectsOf lists what is kept of an incident's items, with its locks. What goes
// while it is listed is not there.
func objectsOf(t *testing.T, b storage.Bucket, i custody.IncidentID) map[string]storage.Object {
	t.Helper()
	all := map[string]storage.Object{}
	for _, kind := range []string{"c", "p", "m"} {
		for _, o := range buckettest.Versions(t, b, "v1/"+string(i)+"/"+kind+"/") {
			there, err := b.Stat(t.Context(), o.Key, o.Version)
			if errors.Is(err, storage.ErrNotFound) {
				continue
			}
			require.NoError(t, err)
			all[o.Key] = there
		}
	}
	return all
}

// TestADisposalHoldsNobodyUp: while an item of one incident is being destroyed,
// which takes long, uploads to that incident are told to come again, those to
// another go on, and afterwards all do. However many wait, they take no place of
// others.
func TestADisposalHoldsNobodyUp(t *testing.T) {
	bucket := buckettest.StartMinIO(t).NewBucketWithoutLock(t)
	l := newLine(t, &bucket)
	r := start(t, createOnS3(t, bucket, func(c *house.Config) { c.Unlocked = true }))
	administrator, engineer, incident := r.team()
	lee, kim := r.colleague(administrator, "Lee", custody.RoleLegalAdvisor), r.colleague(administrator, "Kim", custody.RoleIncidentManager)
	said, err := kim.Say(t.Context(), "", &investigate.Open{Class: investigate.Security, DetectedAt: custody.TimeOf(time.Now().Add(-time.Hour)), Title: "another"})
	require.NoError(t, err)
	other := custody.NewIncidentID(said.Payload)
	_, err = kim.Say(t.Context(), "he examines the disk", &investigate.Assign{Incident: other, Principal: engineer.Actor})
	require.NoError(t, err)
	doomed := takeIn(t, engineer, incident, "EX-1", noise(1000, 1))
	confirmed(t, engineer, doomed)

	// Deleting takes long.
	release, deleting := make(chan struct{}), make(chan struct{}, 100)
	l.slow(func(q *http.Request) <-chan struct{} {
		if q.Method == http.MethodDelete && strings.Contains(q.URL.Path, "/v1/"+string(incident)+"/") {
			deleting <- struct{}{}
			return release
		}
		return nil
	})
	two(t, lee, kim, func(d custody.Digest) custody.Act {
		return &investigate.Retain{Days: 0, Incident: incident, Seconds: d}
	})
	two(t, lee, kim, func(d custody.Digest) custody.Act { return &custody.DisposeEvidence{Evidence: doomed, Seconds: d} })
	<-deleting

	name, err := custody.NewName([]byte("disk.img"))
	require.NoError(t, err)
	said, err = engineer.Say(t.Context(), "to examine it", &custody.BeginEvidence{AtMost: 1 << 30, Exhibit: "EX-2", Incident: incident, Name: name, Type: "disk"})
	require.NoError(t, err)
	held := custody.NewEvidenceID(said.Payload)
	var many sync.WaitGroup
	for range 40 {
		many.Go(func() {
			_, err := r.as(engineer).Upload(t.Context(), held, bytes.NewReader(noise(3000, 3)), nil)
			problem := new(client.Error)
			if !errors.As(err, &problem) || problem.Status != http.StatusServiceUnavailable || !strings.Contains(problem.Detail, "is being destroyed") {
				t.Errorf("an upload to the incident: %v", err)
			}
		})
	}
	takeIn(t, engineer, other, "EX-1", noise(4000, 4))
	many.Wait()
	takeIn(t, engineer, other, "EX-2", noise(5000, 5))

	// A client that persists goes on by itself.
	patient := r.as(engineer)
	patient.Patience = patience
	done := make(chan error, 1)
	go func() {
		_, err := patient.Upload(context.WithoutCancel(t.Context()), held, bytes.NewReader(noise(3000, 3)), nil)
		done <- err
	}()
	select {
	case err := <-done:
		require.Fail(t, "it did not wait", "%v", err)
	case <-time.After(500 * time.Millisecond):
	}
	close(release)
	require.NoError(t, <-done)
	require.Eventually(t, func() bool {
		e, err := lee.Evidence(t.Context(), doomed)
		return err == nil && e.Disposal != nil && e.Disposal.Done
	}, patience, 100*time.Millisecond)
}

// TestACertificateCounts what was destroyed, and what stays because another item
// shares it.
func TestACertificateCounts(t *testing.T) {
	dir, _ := create(t)
	r := start(t, dir)
	administrator, engineer, incident := r.team()
	lee, kim := r.colleague(administrator, "Lee", custody.RoleLegalAdvisor), r.colleague(administrator, "Kim", custody.RoleIncidentManager)
	data := append(noise(2*custody.ChunkSize, 1), make([]byte, custody.ChunkSize+100)...)
	data = append(data[:3*custody.ChunkSize:3*custody.ChunkSize], noise(100, 2)...)
	one := takeIn(t, engineer, incident, "EX-1", data)
	same := takeIn(t, engineer, incident, "EX-2", data)
	other := takeIn(t, engineer, incident, "EX-3", data[:custody.ChunkSize])
	for _, id := range []custody.EvidenceID{one, same, other} {
		confirmed(t, engineer, id)
	}
	two(t, lee, kim, func(d custody.Digest) custody.Act {
		return &investigate.Retain{Days: 0, Incident: incident, Seconds: d}
	})
	method := func(id custody.EvidenceID) (says string) {
		t.Helper()
		two(t, lee, kim, func(d custody.Digest) custody.Act { return &custody.DisposeEvidence{Evidence: id, Seconds: d} })
		require.Eventually(t, func() bool {
			said, err := lee.Records(t.Context(), id.Stream())
			if err != nil || len(said) == 0 {
				return false
			}
			st, err := said[len(said)-1].Record.Envelope.Statement(investigate.Words())
			if err != nil {
				return false
			}
			act, ok := st.Act.(*custody.DisposedEvidence)
			if ok {
				says = act.Method
			}
			return ok
		}, patience, 100*time.Millisecond)
		return says
	}
	require.Equal(t, "nothing deleted: another item of the incident is the same bytes", method(one))
	require.Equal(t, "deleted from a folder: 2 chunks of 8388708 bytes together; 1 chunks of 8388608 bytes together stay, which other items of the incident share", method(same))
	require.Equal(t, "deleted from a folder: 1 chunks of 8388608 bytes together; 0 chunks of 0 bytes together stay, which other items of the incident share", method(other))
	require.Empty(t, chunks(t, dir))
}

// beginsToSeal begins an item, brings its bytes, and returns what seals it.
func beginsToSeal(t *testing.T, c *client.Client, i custody.IncidentID, exhibit string, data []byte) (custody.EvidenceID, func() error) {
	t.Helper()
	name, err := custody.NewName([]byte("disk.img"))
	require.NoError(t, err)
	said, err := c.Say(t.Context(), "to examine it", &custody.BeginEvidence{AtMost: 1 << 30, Exhibit: exhibit, Incident: i, Name: name, Type: "disk"})
	require.NoError(t, err)
	e := custody.NewEvidenceID(said.Payload)
	a, err := c.Upload(t.Context(), e, bytes.NewReader(data), nil)
	require.NoError(t, err)
	act := &custody.SealEvidence{
		Acquisition: custody.Acquisition{
			Authority:   custody.Authority{Kind: "policy", Reference: "incident response policy 4.2"},
			CollectedAt: "2026-11-23T20:41:00+01:00", Method: "dead", Place: "office, room 4",
			Source: custody.Source{Description: "laptop", Serial: "SN 123"}, WriteBlock: "Tableau T8u",
			Tool: &custody.Tool{Name: "dd", Version: "9.1", Settings: "bs=1M"}, Unread: &custody.Unread{},
		},
		Artifact: a, Evidence: e, Incident: i,
	}
	return e, func() error {
		_, err := c.Say(context.WithoutCancel(t.Context()), "taken at the scene", act)
		return err
	}
}

// sealRefused seals an item and lets something happen after its manifest was
// made and before the guard decides: the seal is refused.
func (l *line) sealRefused(t *testing.T, seal func() error, meanwhile func()) {
	t.Helper()
	release, sealing := make(chan struct{}), make(chan struct{}, 100)
	l.slow(func(q *http.Request) <-chan struct{} {
		if q.Method == http.MethodPut && strings.Contains(q.URL.Path, "/m/") {
			sealing <- struct{}{}
			return release
		}
		return nil
	})
	done := make(chan error, 1)
	go func() { done <- seal() }()
	<-sealing
	meanwhile()
	close(release)
	l.slow(nil)
	require.Error(t, <-done)
}

func destroyed(t *testing.T, c *client.Client, id custody.EvidenceID) {
	t.Helper()
	require.Eventually(t, func() bool {
		e, err := c.Evidence(t.Context(), id)
		return err == nil && e.Disposal != nil && e.Disposal.Done
	}, patience, 100*time.Millisecond)
}

// TestRefusedSeals: what arrived of items that were withdrawn while they were
// being sealed goes, also when there are two of them; one whose seal was refused
// and that nobody withdrew stays and can be sealed; none keeps another item from
// being destroyed; and the same bytes can be brought and sealed again.
func TestRefusedSeals(t *testing.T) {
	bucket := buckettest.StartMinIO(t).NewBucketWithoutLock(t)
	direct, err := s3.Open(bucket)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, direct.Close()) })
	l := newLine(t, &bucket)
	r := start(t, createOnS3(t, bucket, func(c *house.Config) { c.Unlocked = true }))
	administrator, engineer, incident := r.team()
	lee, kim := r.colleague(administrator, "Lee", custody.RoleLegalAdvisor), r.colleague(administrator, "Kim", custody.RoleIncidentManager)
	doomed := takeIn(t, engineer, incident, "EX-1", noise(1000, 1))
	confirmed(t, engineer, doomed)

	for n, exhibit := range []string{"EX-2", "EX-3"} {
		id, seal := beginsToSeal(t, r.as(engineer), incident, exhibit, noise(2000+n, 2))
		l.sealRefused(t, seal, func() {
			_, err := kim.Say(t.Context(), "a mistake", &custody.WithdrawEvidence{Evidence: id, Incident: incident})
			require.NoError(t, err)
		})
	}
	abandoned, again := beginsToSeal(t, r.as(engineer), incident, "EX-4", noise(4000, 4))
	l.sealRefused(t, again, func() {
		_, err := kim.Say(t.Context(), "he is ill", &investigate.Unassign{Incident: incident, Principal: engineer.Actor})
		require.NoError(t, err)
	})
	two(t, lee, kim, func(d custody.Digest) custody.Act {
		return &investigate.Retain{Days: 0, Incident: incident, Seconds: d}
	})
	two(t, lee, kim, func(d custody.Digest) custody.Act { return &custody.DisposeEvidence{Evidence: doomed, Seconds: d} })
	destroyed(t, lee, doomed)
	require.Eventually(t, func() bool {
		return len(objectsOf(t, direct, incident)) == 3 // chunk, page and head of the abandoned one
	}, patience, 100*time.Millisecond, "nothing is left of what was withdrawn")

	_, err = kim.Say(t.Context(), "he is well", &investigate.Assign{Incident: incident, Principal: engineer.Actor})
	require.NoError(t, err)
	require.NoError(t, again())
	confirmed(t, engineer, abandoned)
	for n, exhibit := range []string{"EX-2", "EX-3"} {
		id := takeIn(t, engineer, incident, exhibit, noise(2000+n, 2))
		confirmed(t, engineer, id)
	}
}

// onHold counts an incident's objects that are on hold in the bucket.
func onHold(t *testing.T, b storage.Bucket, i custody.IncidentID) (n int) {
	t.Helper()
	for _, o := range objectsOf(t, b, i) {
		if o.Hold {
			n++
		}
	}
	return n
}

// TestAHoldAcrossStarts: what is on hold is not held again object by object after
// a start, and a hold that was lifted comes off the bucket though the service
// ended before it had done that. While it lasts, the objects are locked too, for
// longer and longer; afterwards no more.
func TestAHoldAcrossStarts(t *testing.T) {
	t.Parallel()
	bucket := buckettest.StartMinIO(t).NewBucket(t)
	direct, err := s3.Open(bucket)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, direct.Close()) })
	l := newLine(t, &bucket)
	dir, clock := createOnS3(t, bucket, nil), &moved{}
	r := startAt(t, dir, slog.DiscardHandler, clock.now)
	administrator, engineer, incident := r.team()
	lee, kim := r.colleague(administrator, "Lee", custody.RoleLegalAdvisor), r.colleague(administrator, "Kim", custody.RoleIncidentManager)
	two(t, lee, kim, func(d custody.Digest) custody.Act {
		return &investigate.Retain{Days: 0, Incident: incident, Seconds: d}
	})
	id := takeIn(t, engineer, incident, "EX-1", noise(1000, 1))
	confirmed(t, engineer, id)
	said, err := lee.Say(t.Context(), "litigation", &custody.HoldEvidence{Authority: "court", Evidence: id})
	require.NoError(t, err)
	locked := func(days int) func() bool {
		return func() bool {
			for _, o := range objectsOf(t, direct, incident) {
				if !o.Hold || o.Until.Before(clock.now().Add(time.Duration(days)*24*time.Hour)) {
					return false
				}
			}
			return true
		}
	}
	require.Eventually(t, locked(29), patience, 100*time.Millisecond)
	clock.pass(16 * 24 * time.Hour)
	require.Eventually(t, locked(29), patience, 100*time.Millisecond, "it is renewed")

	r.stop()
	var mu sync.Mutex
	looked := map[string]int{}
	l.slow(func(q *http.Request) <-chan struct{} {
		mu.Lock()
		defer mu.Unlock()
		for _, kind := range []string{"/c/", "/m/"} {
			if q.Method == http.MethodHead && strings.Contains(q.URL.Path, string(incident)+kind) {
				looked[kind]++
			}
		}
		return nil
	})
	r = startAt(t, dir, slog.DiscardHandler, clock.now)
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return looked["/m/"] > 0 }, patience, 100*time.Millisecond)
	time.Sleep(5 * time.Second)
	mu.Lock()
	require.Zero(t, looked["/c/"], "the head tells")
	mu.Unlock()

	// The hold cannot be taken off until the service has ended.
	never, releasing := make(chan struct{}), make(chan struct{}, 100)
	defer close(never)
	l.slow(func(q *http.Request) <-chan struct{} {
		if q.Method == http.MethodPut && q.URL.Query().Has("legal-hold") {
			releasing <- struct{}{}
			return never
		}
		return nil
	})
	lee, kim = r.as(lee), r.as(kim)
	two(t, lee, kim, func(d custody.Digest) custody.Act {
		return &custody.LiftHold{Authority: "court", Evidence: id, Hold: said.Payload, Seconds: d}
	})
	<-releasing
	r.stop()
	l.slow(nil)
	require.Equal(t, 3, onHold(t, direct, incident))
	r = startAt(t, dir, slog.DiscardHandler, clock.now)
	require.Eventually(t, func() bool { return onHold(t, direct, incident) == 0 }, patience, 100*time.Millisecond)

	// What was locked for the hold stays locked, and is not renewed.
	before := objectsOf(t, direct, incident)
	clock.pass(20 * 24 * time.Hour)
	time.Sleep(5 * time.Second)
	require.Equal(t, before, objectsOf(t, direct, incident))

	// A destruction waits for that lock, which is told once it takes long.
	lee, kim = r.as(lee), r.as(kim)
	two(t, lee, kim, func(d custody.Digest) custody.Act { return &custody.DisposeEvidence{Evidence: id, Seconds: d} })
	time.Sleep(5 * time.Second)
	require.Zero(t, r.metric("custody_destruction_waiting"))
	clock.pass(6 * time.Minute)
	require.Eventually(t, r.shows("custody_destruction_waiting", 1), patience, 100*time.Millisecond)
	require.Equal(t, before, objectsOf(t, direct, incident))
}

// TestTheSameBytesTwice are ordered destroyed as two items at one time: the last
// one's certificate counts what went, the other's says that it was there.
func TestTheSameBytesTwice(t *testing.T) {
	bucket := buckettest.StartMinIO(t).NewBucketWithoutLock(t)
	direct, err := s3.Open(bucket)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, direct.Close()) })
	l := newLine(t, &bucket)
	r := start(t, createOnS3(t, bucket, func(c *house.Config) { c.Unlocked = true }))
	administrator, engineer, incident := r.team()
	lee, kim := r.colleague(administrator, "Lee", custody.RoleLegalAdvisor), r.colleague(administrator, "Kim", custody.RoleIncidentManager)
	two(t, lee, kim, func(d custody.Digest) custody.Act {
		return &investigate.Retain{Days: 0, Incident: incident, Seconds: d}
	})
	ids := []custody.EvidenceID{}
	for _, exhibit := range []string{"EX-1", "EX-2"} {
		id := takeIn(t, engineer, incident, exhibit, noise(1000, 1))
		confirmed(t, engineer, id)
		ids = append(ids, id)
	}
	release := make(chan struct{})
	l.slow(func(q *http.Request) <-chan struct{} { // no disposal begins before both are ordered
		if strings.Contains(q.URL.Path, string(incident)+"/m/") {
			return release
		}
		return nil
	})
	for _, id := range ids {
		two(t, lee, kim, func(d custody.Digest) custody.Act { return &custody.DisposeEvidence{Evidence: id, Seconds: d} })
	}
	close(release)
	says := []string{}
	for _, id := range ids {
		destroyed(t, lee, id)
		act, _ := lastSaid[*custody.DisposedEvidence](t, lee, id)
		says = append(says, act.Method)
	}
	require.Equal(t, []string{
		"nothing deleted: another item of the incident is the same bytes",
		"every version deleted from an S3 bucket: 1 chunks of 1000 bytes together; 0 chunks of 0 bytes together stay, which other items of the incident share",
	}, says)
	require.Empty(t, objectsOf(t, direct, incident))
}

// lastSaid returns the last act on an item's record, and its purpose.
func lastSaid[A custody.Act](t *testing.T, c *client.Client, id custody.EvidenceID) (act A, purpose string) {
	t.Helper()
	said, err := c.Records(t.Context(), id.Stream())
	require.NoError(t, err)
	st, err := said[len(said)-1].Record.Envelope.Statement(investigate.Words())
	require.NoError(t, err)
	act, ok := st.Act.(A)
	require.True(t, ok, "%s", st.Kind)
	return act, st.Purpose
}

// TestAPartIsMissing: an item of which the keeper finds a part missing when it puts
// it on hold is read back, and the record does not say that somebody asked. The rest
// is held; it is told once and shown, and once the part is back, that is held too.
func TestAPartIsMissing(t *testing.T) {
	t.Parallel()
	server := buckettest.StartMinIO(t)
	bucket := server.NewBucket(t)
	direct, err := s3.Open(bucket)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, direct.Close()) })
	l := newLine(t, &bucket)
	clock, log := &moved{}, &paper{}
	r := startAt(t, createOnS3(t, bucket, nil), slog.NewTextHandler(log, nil), clock.now)
	administrator, engineer, incident := r.team()
	lee := r.colleague(administrator, "Lee", custody.RoleLegalAdvisor)
	id := takeIn(t, engineer, incident, "EX-1", noise(2*custody.ChunkSize, 1))
	confirmed(t, engineer, id)
	all := objectsOf(t, direct, incident)
	require.Len(t, all, 4)
	lost := ""
	for key := range all {
		if strings.Contains(key, "/c/") {
			lost = key
		}
	}
	// A server's answer that a locked version is not there is as good as its loss.
	var mu sync.Mutex
	gone, looks := true, 0
	l.answers(func(q *http.Request) int {
		mu.Lock()
		defer mu.Unlock()
		if !gone || !strings.HasSuffix(q.URL.Path, lost) {
			return 0
		}
		if q.Method == http.MethodHead {
			looks++
		}
		return http.StatusNotFound
	})
	_, err = lee.Say(t.Context(), "litigation", &custody.HoldEvidence{Authority: "court", Evidence: id})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return onHold(t, direct, incident) == 3 }, patience, 100*time.Millisecond, "the rest is held")
	require.Eventually(t, func() bool { return len(checks(t, engineer, id)) == 2 }, patience, 100*time.Millisecond)
	act, purpose := lastSaid[*custody.CheckEvidence](t, engineer, id)
	require.False(t, act.Intact)
	require.Equal(t, "read back because a part was found missing", purpose)
	require.Eventually(t, r.shows("custody_protection_incomplete", 1), patience, 100*time.Millisecond)
	mu.Lock()
	before := looks
	mu.Unlock()
	time.Sleep(5 * time.Second) // of rounds
	mu.Lock()
	require.Equal(t, before, looks, "it waits before it tries again")
	gone = false
	mu.Unlock()
	require.Equal(t, 1, strings.Count(log.String(), "NOT ALL OF AN ITEM CAN BE PROTECTED"))

	clock.pass(time.Hour)
	require.Eventually(t, func() bool { return onHold(t, direct, incident) == 4 }, patience, 100*time.Millisecond, "it is back")
	require.Eventually(t, r.shows("custody_protection_incomplete", 0), patience, 100*time.Millisecond)
}

// TestDestroyedWhileItIsRead: an item is destroyed by order while it is being read
// back, on request and after its seal. That is not put on record as damage.
func TestDestroyedWhileItIsRead(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{true, false} {
		t.Run(map[bool]string{true: "on request", false: "after its seal"}[asked], func(t *testing.T) {
			t.Parallel()
			bucket := buckettest.StartMinIO(t).NewBucketWithoutLock(t)
			l := newLine(t, &bucket)
			log := &paper{}
			r := startAt(t, createOnS3(t, bucket, func(c *house.Config) { c.Unlocked = true }), slog.NewTextHandler(log, nil), time.Now)
			administrator, engineer, incident := r.team()
			lee, kim := r.unretained(administrator, incident)
			release, reading := make(chan struct{}), make(chan struct{}, 100)
			hold := func() {
				l.slow(func(q *http.Request) <-chan struct{} {
					if q.Method == http.MethodGet && strings.Contains(q.URL.Path, string(incident)+"/c/") {
						reading <- struct{}{}
						return release
					}
					return nil
				})
			}
			if !asked {
				hold()
			}
			id := takeIn(t, engineer, incident, "EX-1", noise(1000, 1))
			if asked {
				confirmed(t, engineer, id)
				hold()
				_, err := lee.Say(t.Context(), "look", &custody.VerifyEvidence{Evidence: id})
				require.NoError(t, err)
			}
			<-reading
			orderDestroyed(t, lee, kim, id)
			destroyed(t, lee, id)
			close(release)
			require.Eventually(t, func() bool { return strings.Contains(log.String(), "was ordered destroyed") }, patience, 50*time.Millisecond)
			require.NotContains(t, checks(t, lee, id), false)
			e, err := lee.Evidence(t.Context(), id)
			require.NoError(t, err)
			require.False(t, e.Damaged, "it was destroyed by order, not damaged")
			require.NotContains(t, log.String(), "EVIDENCE DAMAGED")
		})
	}
}
