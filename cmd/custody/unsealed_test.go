package main

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

// front stands before a service, and stops answers or gives its own.
type front struct {
	hinder atomic.Pointer[hindrance]
	sealed atomic.Int64 // seals that came, whatever became of them
}

// hindrance is what happens to some requests.
type hindrance struct {
	times  int64  // how often; counted down
	of     string // what is hindered, as brings says
	answer int    // the status in place of the service's answer; 0: the service gets it, and its answer is lost
}

func (d *desk) front(t *testing.T) *front {
	t.Helper()
	behind, err := url.Parse(d.url)
	require.NoError(t, err)
	f := &front{}
	proxy := &httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(behind); r.Out.Host = r.In.Host }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		what := brings(t, r)
		if what == "seal" {
			f.sealed.Add(1)
		}
		h := f.hinder.Load()
		switch {
		case h == nil || h.of != what || atomic.AddInt64(&h.times, -1) < 0:
			proxy.ServeHTTP(w, r)
		case h.answer == 0:
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(h.answer)
			_, _ = io.WriteString(w, `{"type":"about:blank","title":"a problem","status":`+strconv.Itoa(h.answer)+`}`)
		}
	}))
	t.Cleanup(server.Close)
	d.gate.lead(strings.TrimPrefix(server.URL, "http://"))
	return f
}

// brings says what a request brings: "seal", "paper", "statement" or "chunk 0".
func brings(t *testing.T, r *http.Request) string {
	if r.Method == http.MethodPut {
		return "chunk " + path.Base(r.URL.Path)
	}
	if r.URL.Path != "/v1/statements" {
		return ""
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return ""
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	e, err := custody.ParseEnvelope(b)
	if err != nil {
		t.Errorf("%v", err)
		return ""
	}
	if strings.Contains(string(e.Payload), string(custody.KindSealEvidence)) {
		return "seal"
	}
	if s := string(e.Payload); strings.Contains(s, string(custody.KindReportEvidence)) || strings.Contains(s, string(custody.KindReportIncident)) {
		return "paper"
	}
	return "statement"
}

// pipe lets evidence add take in what comes through a pipe.
func (d *desk) pipe(t *testing.T, exhibit string, b []byte, more ...string) (stdout, stderr string, code int) {
	t.Helper()
	c := exec.Command(os.Args[0], append(d.add("-", exhibit, "--name", "ram.lime"), more...)...)
	c.Env = append(os.Environ(), asProgram+"=1", "CUSTODY_HOME="+d.eve, "CUSTODY_PASSPHRASE_FILE="+filepath.Join(d.eve, "passphrase"))
	var out, said bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = struct{ io.Reader }{bytes.NewReader(b)}, &out, &said
	_ = c.Run() // what matters is its exit code
	return out.String(), said.String(), c.ProcessState.ExitCode()
}

var anItem = regexp.MustCompile(`e-[a-z2-7]{16}`)

// TestWhatArrivedIsNotThrownAway: a pipe comes once. Whatever happens to the
// statement that seals it, what arrived stays, and can be sealed.
func TestWhatArrivedIsNotThrownAway(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	f := d.front(t)
	data := random(t, 9*mib)
	file := filepath.Join(t.TempDir(), "ram.lime")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	sum := custody.Hash(data).Hex()
	hinder := func(times int64, of string, answer int) {
		f.sealed.Store(0)
		f.hinder.Store(&hindrance{times: times, of: of, answer: answer})
	}
	const always = 1 << 40
	shown := func(id string) map[string]any { return done(t, d.eve, "evidence", "show", id) }
	left := func(id string) bool { // behind in the home
		_, err := os.Stat(filepath.Join(d.eve, begunFile(custody.EvidenceID(id))))
		return err == nil
	}
	for n, answer := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests, 0} {
		hinder(2, "seal", answer)
		exhibit := "EX-A" + strconv.Itoa(n)
		stdout, stderr, code := d.pipe(t, exhibit, data)
		require.Equal(t, exitDone, code, stderr)
		id := anItem.FindString(stdout)
		require.EqualValues(t, 3, f.sealed.Load())
		d.same(t, id, file)
		require.False(t, left(id))
	}
	for n, retry := range []string{"0s", "500ms"} {
		hinder(always, "seal", http.StatusServiceUnavailable)
		stdout, stderr, code := d.pipe(t, "EX-B"+strconv.Itoa(n), data, "--retry", retry)
		require.Equal(t, exitUnreachable, code, stderr)
		require.Empty(t, stdout)
		require.Equal(t, retry != "0s", f.sealed.Load() > 1)
		id := anItem.FindString(stderr)
		require.Contains(t, stderr, "custody evidence seal "+id)
		require.Contains(t, stderr, "custody evidence show "+id)
		require.Contains(t, stderr, sum)
		require.NotContains(t, stderr, "withdrawn")
		require.NotEqual(t, true, shown(id)["withdrawn"])
		hinder(1, "seal", http.StatusServiceUnavailable)
		sealed := done(t, d.eve, "evidence", "seal", id)
		require.Nil(t, sealed["asReceived"], "it was measured here")
		require.Equal(t, "sha256:"+sum, sealed["sha256"])
		require.Equal(t, "unknown; of a pipe, by its beginning", sealed["format"])
		d.same(t, id, file)
		text, _, _ := run(t, d.eve, "evidence", "show", id)
		require.Contains(t, text, "Tableau T8u", "the facts are those that were given")
		require.False(t, left(id))
	}

	// Of a file, too: what is here need not be read again.
	hinder(always, "seal", http.StatusServiceUnavailable)
	_, stderr, code := run(t, d.eve, d.add(file, "EX-C", "--retry", "0s", "--md5")...)
	require.Equal(t, exitUnreachable, code, stderr)
	f.hinder.Store(nil)
	id := anItem.FindString(stderr)
	require.Len(t, labelsOf(t, done(t, d.eve, "evidence", "seal", id)), 1)
	d.same(t, id, file)

	// The seal is on record, and nobody was told.
	hinder(always, "seal", 0)
	_, stderr, code = d.pipe(t, "EX-D", data, "--retry", "0s")
	require.Equal(t, exitUnreachable, code, stderr)
	require.Contains(t, stderr, "whether it is sealed is not known")
	id = anItem.FindString(stderr)
	require.Equal(t, true, shown(id)["sealed"])
	f.hinder.Store(nil)
	refused(t, exitRefused, d.eve, []string{"evidence", "seal", id}, "sealed already")

	t.Run("decided against", func(t *testing.T) {
		hinder(1, "seal", http.StatusForbidden)
		_, stderr, code := d.pipe(t, "EX-E", data)
		require.Equal(t, exitRefused, code, stderr)
		require.Contains(t, stderr, "was withdrawn, and the exhibit number EX-E is free again")
		f.hinder.Store(nil)
		_, stderr, code = d.pipe(t, "EX-E", data, "--at-most", "8MiB")
		require.Equal(t, exitRefused, code, stderr)
		require.Contains(t, stderr, "was withdrawn, and the exhibit number EX-E is free again")
		require.False(t, left(anItem.FindString(stderr)))
	})
	t.Run("broken off midway", func(t *testing.T) { pipeBrokenOff(t, d, f) })
	t.Run("not announced for sure", func(t *testing.T) {
		hinder(1, "statement", 0)
		stdout, stderr, code := d.pipe(t, "EX-G", data)
		require.Equal(t, exitDone, code, stderr)
		d.same(t, anItem.FindString(stdout), file)
		hinder(1, "statement", 0)
		_, stderr, code = d.pipe(t, "EX-H", data, "--retry", "0s")
		require.Equal(t, exitUnreachable, code, stderr)
		require.Contains(t, stderr, "may be announced all the same")
		done(t, d.eve, "evidence", "withdraw", anItem.FindString(stderr), "--purpose", "another try")
	})
}

// pipeBrokenOff: the rest is sent as a stream, and all of it sealed.
func pipeBrokenOff(t *testing.T, d *desk, f *front) {
	data := random(t, 25*mib)
	f.hinder.Store(&hindrance{times: 1 << 40, of: "chunk 2", answer: http.StatusServiceUnavailable})
	_, stderr, code := d.pipe(t, "EX-F", data, "--retry", "0s")
	require.Equal(t, exitUnreachable, code, stderr)
	require.Contains(t, stderr, "stays announced, with what arrived of it")
	f.hinder.Store(nil)
	id := anItem.FindString(stderr)
	require.NotEqual(t, true, done(t, d.eve, "evidence", "show", id)["withdrawn"])
	refused(t, exitUsage, d.eve, []string{"evidence", "seal", id}, "say who measured")
	got, code := d.curl(t, id, "/received")
	require.Zero(t, code)
	next, ok := got["next"].(float64)
	require.True(t, ok)
	rest := filepath.Join(t.TempDir(), "rest")
	require.NoError(t, os.WriteFile(rest, data[int(next):], 0o600))
	answer, code := d.curl(t, id, "/content?from="+strconv.Itoa(int(next)), "-T", rest)
	require.Zero(t, code, "%v", answer)
	sealed := done(t, d.eve, "evidence", "seal", id, "--sha256", custody.Hash(data).Hex())
	require.EqualValues(t, len(data), sealed["bytes"])
	b, err := json.Marshal(sealed["asReceived"])
	require.NoError(t, err)
	require.JSONEq(t, `["root"]`, string(b))
}

// TestASealThatExpired while it could not be put on record is signed anew, once.
func TestASealThatExpired(t *testing.T) {
	w := newTeam(t, filepath.Join(t.TempDir(), "service"), 1)
	eve := w.engineers[0]
	said, err := eve.Say(t.Context(), "test", &custody.BeginEvidence{AtMost: 10, Exhibit: "EX-1", Incident: w.incident, Name: custody.Name{Display: "x"}, Type: "disk"})
	require.NoError(t, err)
	id := custody.NewEvidenceID(said.Payload)
	artifact, err := eve.Upload(t.Context(), id, strings.NewReader("x"), nil)
	require.NoError(t, err)
	seal := &custody.SealEvidence{Acquisition: acquisition(), Artifact: artifact, Evidence: id, Incident: w.incident}
	asked := 0
	late := func(times int) func() time.Time {
		asked = 0
		return func() time.Time {
			if asked++; asked <= times {
				return time.Now().Add(-6 * time.Minute)
			}
			return time.Now()
		}
	}
	eve.Now = late(10)
	_, err = sealNow(t.Context(), eve.Client, "test", seal)
	require.ErrorContains(t, err, "expired")
	eve.Now = late(2)
	_, err = sealNow(t.Context(), eve.Client, "test", seal)
	require.NoError(t, err)
}

// TestPatienceFromTheFirstRequest: a pipe comes only once, and the service may be
// starting again when it begins.
func TestPatienceFromTheFirstRequest(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	file := filepath.Join(t.TempDir(), "a")
	image(t, file, 3*mib)
	away := func() {
		d.gate.lead("127.0.0.1:1")
		time.AfterFunc(time.Second, func() { d.gate.lead(strings.TrimPrefix(d.url, "http://")) })
	}
	away()
	stdout, stderr, code := d.pipe(t, "EX-1", read(t, file), "--json")
	require.Equal(t, exitDone, code, stderr)
	var sealed map[string]any
	require.NoError(t, json.Unmarshal([]byte(stdout), &sealed))

	away()
	d.same(t, word(t, sealed, "id"), file)

	require.NoError(t, os.Remove(filepath.Join(d.eve, "session")))
	away()
	d.same(t, word(t, sealed, "id"), file)

	away()
	_, _, code = run(t, d.eve, "evidence", "get", word(t, sealed, "id"), "-o", filepath.Join(t.TempDir(), "x"), "--purpose", "look", "--retry", "0s")
	require.Equal(t, exitUnreachable, code)
}
