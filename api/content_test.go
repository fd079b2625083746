package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/investigate"
)

func TestContent(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	data := noise(custody.ChunkSize+1000, 1)
	e, _ := s.takeIn(v, "EX-1", data)
	a := s.content(v, e, s.retrieve(v, e, 0, 0), "Accept-Encoding", "gzip, zstd")
	require.NoError(t, a.broken)
	require.True(t, bytes.Equal(data, a.body))
	requireHeaders(t, a) // T36, T37, T40
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Equal(t, "application/octet-stream", a.Header.Get("Content-Type"))
	require.Equal(t, fmt.Sprintf(`attachment; filename="evidence-%s.bin"`, e), a.Header.Get("Content-Disposition"))
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	require.EqualValues(t, len(data), a.ContentLength)
	require.Empty(t, a.Header.Get("Content-Range"))
	require.Equal(t, []custody.ReleaseEvidence{
		{Evidence: e, Grant: s.Grant, Outcome: custody.ReleaseFinished, Sent: uint64(len(data))},
	}, s.released(e))
}

func TestContentOfAnEmptyArtifact(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	e, _ := s.takeIn(v, "EX-1", nil)
	ticket := s.retrieve(v, e, 0, 0)
	problem(t, s.content(v, e, ticket, "Range", "bytes=0-"), http.StatusRequestedRangeNotSatisfiable, "range")
	a := s.content(v, e, ticket)
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Empty(t, a.body)
	require.Equal(t, custody.ReleaseFinished, s.released(e)[0].Outcome)
}

// TestTickets: only who earned one can use it, for what it was earned, in time.
func TestTickets(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	e, _ := s.takeIn(v, "EX-1", s.Artifact)
	other, _ := s.takeIn(v, "EX-2", []byte("another exhibit"))
	admitted(t, s.say(s.Lead, "he helps", assign(s, s.Outsider.ID)))
	colleague := s.login(s.Outsider) // has the same right, and not earned it

	ticket := s.retrieve(v, e, 0, 0)
	none := s.content(v, e, "no ticket")
	problem(t, none, http.StatusNotFound, "not-found")
	for name, a := range map[string]answer{
		"without":                s.do(v, http.MethodGet, contentPath(e), nil, nil),
		"a colleague's":          s.content(colleague, e, ticket),
		"for another item":       s.content(v, other, ticket),
		"for no item":            s.content(v, "e-aaaaaaaaaaaaaaaa", ticket),
		"altered":                s.content(v, e, ticket[:len(ticket)-1]+"_"),
		"the path written oddly": s.do(v, http.MethodGet, strings.Replace(contentPath(e), "e-", "%65-", 1), http.Header{api.TicketHeader: {ticket}}, nil),
	} {
		require.Equal(t, plain(none), plain(a), name)
	}
	problem(t, s.content(nil, e, ticket), http.StatusUnauthorized, "unauthenticated")
	problem(t, s.content(&visitor{session: ticket}, e, ticket), http.StatusUnauthorized, "unauthenticated")
	require.Empty(t, s.releases(e))

	require.Equal(t, s.Artifact, s.content(v, e, ticket).body) // none of that used it up
	problem(t, s.content(v, e, ticket), http.StatusNotFound, "not-found")

	ticket = s.retrieve(v, e, 0, 0)
	s.Pass(16 * time.Minute)
	problem(t, s.content(v, e, ticket), http.StatusNotFound, "not-found")
}

// TestRightWithdrawn: T27. A ticket is worth nothing once the right is gone.
func TestRightWithdrawn(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	e, _ := s.takeIn(v, "EX-1", s.Artifact)
	ticket := s.retrieve(v, e, 0, 0)
	admitted(t, s.say(s.Administrator, "", &custody.RevokeRole{Principal: s.Engineer.ID, Role: custody.RoleForensicEngineer}))
	a := s.content(v, e, ticket)
	problem(t, a, http.StatusForbidden, "refused")
	require.NotContains(t, string(a.body), string(s.Artifact))
}

// TestRanges: RFC 9110, section 14, and T35.
func TestRanges(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	data := noise(2*custody.ChunkSize, 2)
	e, _ := s.takeIn(v, "EX-1", data)
	const from, to = 1000, custody.ChunkSize + 2000 // what the ticket is for
	ticket := s.retrieve(v, e, from, to-from)
	for asked, want := range map[string][2]int{
		"bytes=1000-1000":                {1000, 1001},
		"bytes=1000-1999":                {1000, 2000},
		"bytes=8388600-8388700":          {8388600, 8388701}, // across two chunks
		"bytes=8389000-":                 {8389000, to},
		"bytes=1000-9223372036854775806": {1000, to},
		"bytes=8390607-8390607":          {to - 1, to},
		"bytes=8390600-8390900":          {8390600, to}, // what reaches beyond the ticket is not handed over
	} {
		a := s.content(v, e, ticket, "Range", asked)
		require.Equal(t, http.StatusPartialContent, a.StatusCode, "%s: %s", asked, a.body)
		require.Equal(t, fmt.Sprintf("bytes %d-%d/%d", want[0], want[1]-1, len(data)), a.Header.Get("Content-Range"))
		require.Equal(t, strconv.Itoa(want[1]-want[0]), a.Header.Get("Content-Length"))
		require.True(t, bytes.Equal(data[want[0]:want[1]], a.body), asked)
		requireHeaders(t, a)
		ticket = s.renewed(v, e, ticket, from, to-from)
	}
	for _, asked := range []string{
		"bytes=0-999", "bytes=999-1000", "bytes=0-", "bytes=8390608-", "bytes=8390608-8390700", "bytes=99999999999-",
		"bytes=-1", "bytes=-100", "bytes=-", "bytes=2000-1000", "bytes=1000-1010,1020-1030", "bytes=1000-,1000-", "bytes=,",
		"bytes=18446744073709551615-", "bytes=18446744073709551616-18446744073709551617", "bytes=1000-18446744073709551616",
		"bytes=9223372036854775807-9223372036854775807", "bytes=+1000-1010", "bytes=0x3e8-", "bytes= 1000-1010", "bytes=1000 -1010",
		"bytes=1000-1010 ,", "bytes", "bytes=", "lines=1000-1010", "1000-1010", "bytes=1000-1e9", "bytes=-0",
	} {
		a := s.content(v, e, ticket, "Range", asked)
		problem(t, a, http.StatusRequestedRangeNotSatisfiable, "range")
	}
}

// renewed returns a ticket that can be used: the old one, or a new one.
func (s *service) renewed(v *visitor, e custody.EvidenceID, ticket string, offset, length uint64) string {
	open, err := s.Store.OpenTickets(s.t.Context())
	require.NoError(s.t, err)
	if len(open) > 0 {
		return ticket
	}
	return s.retrieve(v, e, offset, length)
}

// TestIfRange: since no answer carries a validator, none is ever current, and
// the whole stretch comes (RFC 9110, section 13.1.5).
func TestIfRange(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	e, _ := s.takeIn(v, "EX-1", s.Artifact)
	for _, condition := range []string{`"x"`, "Mon, 23 Nov 2026 21:05:00 GMT", "*"} {
		a := s.content(v, e, s.retrieve(v, e, 0, 0), "Range", "bytes=0-3", "If-Range", condition)
		require.Equal(t, http.StatusOK, a.StatusCode)
		require.Equal(t, s.Artifact, a.body)
	}
}

// TestAllRangesCount: what was handed over in parts is one release, of all bytes.
func TestAllRangesCount(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	e, _ := s.takeIn(v, "EX-1", s.Artifact)
	ticket := s.retrieve(v, e, 0, 0)
	got := s.content(v, e, ticket, "Range", "bytes=0-9").body
	require.Empty(t, s.releases(e))
	got = append(got, s.content(v, e, ticket, "Range", "bytes=10-").body...)
	require.Equal(t, s.Artifact, got)
	require.Equal(t, []custody.ReleaseEvidence{
		{Evidence: e, Grant: s.Grant, Outcome: custody.ReleaseFinished, Sent: uint64(len(got))},
	}, s.released(e))
}

// TestPiecesInAnyOrder: pieces that are fetched side by side make one release,
// which is finished when the last hole is filled, and not when as many bytes as
// the artifact has were handed over.
func TestPiecesInAnyOrder(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	data := noise(custody.ChunkSize, 8)
	e, _ := s.takeIn(v, "EX-1", data)
	ticket := s.retrieve(v, e, 0, 0)
	const pieces = 16
	size := len(data) / pieces
	fetch := func(n int) {
		a := s.content(v, e, ticket, "Range", fmt.Sprintf("bytes=%d-%d", n*size, (n+1)*size-1))
		require.Equal(t, http.StatusPartialContent, a.StatusCode, "%s", a.body)
		require.True(t, bytes.Equal(data[n*size:(n+1)*size], a.body))
	}
	var all sync.WaitGroup
	for n := range pieces {
		if n != 3 {
			all.Go(func() { fetch(n) })
		}
	}
	all.Wait()
	fetch(4) // once more: as many bytes as there are, and not all of them
	require.Empty(t, s.releases(e))
	fetch(3)
	require.Equal(t, []custody.ReleaseEvidence{
		{Evidence: e, Grant: s.Grant, Outcome: custody.ReleaseFinished, Sent: uint64(len(data) + size)},
	}, s.released(e))
}

// damage changes one byte in the middle of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	b[len(b)/2] ^= 1
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.WriteFile(path, b, 0o600))
}

// afterRestart returns what the stream says of releases once the service has
// been started again, which settles what was left.
func (s *service) afterRestart(e custody.EvidenceID) []custody.ReleaseEvidence {
	s.t.Helper()
	require.NoError(s.t, s.Reopen(s.t.Context()))
	return s.released(e)
}

// released waits until there is a release on record: the last byte is handed
// over before it is. It returns what releases does.
func (s *service) released(e custody.EvidenceID) []custody.ReleaseEvidence {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return len(s.releases(e)) > 0 }, 10*time.Second, time.Millisecond)
	return s.releases(e)
}

// TestDamage: T13, T15. Wherever the damage is, no wrong byte leaves, and the
// record says how far it went.
func TestDamage(t *testing.T) {
	data := noise(3*custody.ChunkSize+1, 3)
	for name, c := range map[string]struct {
		chunk   int
		destroy func(*testing.T, string)
		sent    int
		outcome string
	}{
		"a bit of the first chunk": {0, damage, 0, custody.ReleaseWithheld},
		"the first chunk is gone":  {0, func(t *testing.T, p string) { require.NoError(t, os.Remove(p)) }, 0, custody.ReleaseWithheld},
		"a bit of the second":      {1, damage, custody.ChunkSize, custody.ReleaseAborted},
		"the third is shorter": {2, func(t *testing.T, p string) {
			require.NoError(t, os.Chmod(p, 0o600))
			require.NoError(t, os.Truncate(p, 1000))
		}, 2 * custody.ChunkSize, custody.ReleaseAborted},
		"the last is gone": {3, func(t *testing.T, p string) { require.NoError(t, os.Remove(p)) }, 3 * custody.ChunkSize, custody.ReleaseAborted},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			v := s.login(s.Engineer)
			e, objects := s.takeIn(v, "EX-1", data)
			require.Len(t, objects, 4)
			c.destroy(t, objects[c.chunk])
			a := s.content(v, e, s.retrieve(v, e, 0, 0))
			if c.sent == 0 {
				require.NotContains(t, problem(t, a, http.StatusInternalServerError, "damaged").Detail, s.folder)
				require.Empty(t, a.Header.Get("Content-Disposition"))
				requireHeaders(t, a)
			} else {
				require.Error(t, a.broken, "nobody must take a part for the whole")
				require.True(t, bytes.Equal(data[:c.sent], a.body), "%d bytes came", len(a.body))
			}
			require.Empty(t, s.releases(e), "the ticket can be used again")
			require.Equal(t, []custody.ReleaseEvidence{
				{Evidence: e, Grant: s.Grant, Outcome: c.outcome, Sent: uint64(c.sent)},
			}, s.afterRestart(e))
		})
	}
}

// TestRangeThatIsWholeIsServed: damage elsewhere does not withhold what is well,
// until it is found; then the item is marked, on record, and withheld.
func TestRangeThatIsWholeIsServed(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	data := noise(2*custody.ChunkSize, 3)
	e, objects := s.takeIn(v, "EX-1", data)
	damage(t, objects[1])
	ticket := s.retrieve(v, e, 0, 0)
	a := s.content(v, e, ticket, "Range", "bytes=100-199")
	require.Equal(t, data[100:200], a.body)
	problem(t, s.content(v, e, ticket, "Range", "bytes=8388608-8388608"), http.StatusInternalServerError, "damaged")
	item, err := s.Item(t.Context(), e)
	require.NoError(t, err)
	require.True(t, item.Damaged)
	problem(t, s.content(v, e, ticket, "Range", "bytes=100-199"), http.StatusForbidden, "refused")
}

// TestLogDownReleasesNothing: T32.
func TestLogDownReleasesNothing(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	e, _ := s.takeIn(v, "EX-1", s.Artifact)
	ticket := s.retrieve(v, e, 0, 0)
	s.Log.Break(true)
	a := s.content(v, e, ticket)
	problem(t, a, http.StatusServiceUnavailable, "unavailable")
	problem(t, s.say(s.Engineer, "to examine it", &custody.RetrieveEvidence{Evidence: e}), http.StatusServiceUnavailable, "unavailable")
	s.Log.Mend()
	require.Equal(t, s.Artifact, s.content(v, e, ticket).body) // nothing was used up
}

// TestLogDownInBetween: a release under way ends when its right can be looked
// at no more, within a chunk and what the connection holds.
func TestLogDownInBetween(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	data := bytes.Repeat(noise(custody.ChunkSize, 4), 20) // one chunk twenty times
	e, _ := s.takeIn(v, "EX-1", data)
	ticket := s.retrieve(v, e, 0, 0)
	r := s.open(v, e, ticket)
	begin := make([]byte, 1<<20)
	_, err := io.ReadFull(r.Body, begin)
	require.NoError(t, err)
	s.Log.Break(true)
	rest, err := io.ReadAll(r.Body)
	require.Error(t, err)
	require.NoError(t, r.Body.Close())
	got := append(begin, rest...)
	require.Less(t, len(got), 32<<20)
	require.True(t, bytes.Equal(data[:len(got)], got))
	s.Log.Mend()
	releases := s.afterRestart(e)
	require.Len(t, releases, 1)
	require.Equal(t, custody.ReleaseAborted, releases[0].Outcome)
	require.GreaterOrEqual(t, releases[0].Sent, uint64(len(got)))
}

// open begins a retrieval and leaves the body to be read.
func (s *service) open(v *visitor, e custody.EvidenceID, ticket string) *http.Response {
	s.t.Helper()
	q, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.server.URL+contentPath(e), nil)
	require.NoError(s.t, err)
	q.Header.Set("Authorization", "Bearer "+v.session)
	q.Header.Set(api.TicketHeader, ticket)
	r, err := s.client.Do(q)
	require.NoError(s.t, err)
	return r
}

// TestClientGoesAway: T34. The ticket can be used again; what went out in vain
// is counted too.
func TestClientGoesAway(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	data := bytes.Repeat(noise(custody.ChunkSize, 5), 8)
	e, _ := s.takeIn(v, "EX-1", data)
	ticket := s.retrieve(v, e, 0, 0)
	r := s.open(v, e, ticket)
	_, err := io.ReadFull(r.Body, make([]byte, 1000))
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	var left guard.Ticket
	require.Eventually(t, func() bool {
		open, err := s.Store.OpenTickets(t.Context())
		if err != nil || len(open) != 1 {
			return false
		}
		left = open[0]
		return left.Ended == 1
	}, 30*time.Second, time.Millisecond)
	require.GreaterOrEqual(t, left.Sent, uint64(1000))
	require.Less(t, left.Sent, uint64(len(data)))
	require.Empty(t, s.releases(e))

	a := s.content(v, e, ticket)
	require.NoError(t, a.broken)
	require.True(t, bytes.Equal(data, a.body))
	require.Equal(t, []custody.ReleaseEvidence{
		{Evidence: e, Grant: s.Grant, Outcome: custody.ReleaseFinished, Sent: left.Sent + uint64(len(data))},
	}, s.released(e))
}

// slow is a client's connection that takes no more after a while.
type slow struct {
	*httptest.ResponseRecorder
	deadline time.Time
	waits    []time.Duration // that each write was given
	takes    int             // bytes, before its deadline passes
}

func (w *slow) SetWriteDeadline(until time.Time) error {
	w.deadline = until
	return nil
}

func (w *slow) Write(b []byte) (int, error) {
	w.waits = append(w.waits, time.Until(w.deadline))
	n := min(len(b), max(0, w.takes-w.Body.Len()))
	written, err := w.ResponseRecorder.Write(b[:n])
	if n < len(b) {
		err = errors.Join(err, os.ErrDeadlineExceeded)
	}
	return written, err
}

// TestSlowReaderIsCut: each 256 KiB may take 30 s and what 32 KiB/s make of
// them, and no longer.
func TestSlowReaderIsCut(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	data := noise(custody.ChunkSize, 6)
	e, _ := s.takeIn(v, "EX-1", data)
	ticket := s.retrieve(v, e, 0, 0)
	ask := func(w http.ResponseWriter) {
		q := httptest.NewRequestWithContext(t.Context(), http.MethodGet, contentPath(e), nil)
		q.Header.Set("Authorization", "Bearer "+v.session)
		q.Header.Set(api.TicketHeader, ticket)
		s.api.ServeHTTP(w, q)
	}
	w := &slow{ResponseRecorder: httptest.NewRecorder(), takes: 1_000_000}
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { ask(w) })
	require.True(t, bytes.Equal(data[:1_000_000], w.Body.Bytes()))
	for _, wait := range w.waits {
		require.InDelta(t, 38*time.Second, wait, float64(5*time.Second))
	}
	open, err := s.Store.OpenTickets(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1_000_000, open[0].Sent)
	require.EqualValues(t, 1, open[0].Ended)

	whole := &slow{ResponseRecorder: httptest.NewRecorder(), takes: len(data)}
	ask(whole)
	require.Len(t, whole.waits, 32)
	for _, wait := range whole.waits { // each anew
		require.InDelta(t, 38*time.Second, wait, float64(5*time.Second))
	}
}

// TestTheSlowestPace: whoever takes each piece just in time, and so holds a chunk's
// buffer, has the time for a chunk that the slowest rate gives, and 30 s.
func TestTheSlowestPace(t *testing.T) {
	const piece = 256 << 10
	begun := time.Now()
	now, sent := begun, uint64(0)
	var p api.Pace
	took := []time.Duration{}
	for range 2 {
		for range custody.ChunkSize / piece {
			until := p.Deadline(sent, piece, now)
			require.LessOrEqual(t, until.Sub(now), 38*time.Second)
			now, sent = now.Add(min(37*time.Second, until.Sub(now))), sent+piece
		}
		took, begun = append(took, now.Sub(begun)), now
	}
	require.Equal(t, []time.Duration{286 * time.Second, 286 * time.Second}, took)
}

// TestAShareOfRetrievals: one person is handed so much at once, and others are not
// kept from theirs.
func TestAShareOfRetrievals(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	data := bytes.Repeat(noise(custody.ChunkSize, 5), 8)
	e, _ := s.takeIn(v, "EX-1", data)
	admitted(t, s.say(s.Lead, "he helps", assign(s, s.Outsider.ID)))
	ticket := s.retrieve(v, e, 0, 0)
	ask := func(ctx context.Context) int {
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server.URL+contentPath(e), nil)
		if err != nil {
			return 0
		}
		q.Header.Set("Authorization", "Bearer "+v.session)
		q.Header.Set(api.TicketHeader, ticket)
		r, err := s.client.Do(q)
		if err != nil {
			return 0
		}
		if r.StatusCode == http.StatusOK {
			<-ctx.Done() // it takes nothing more
		}
		_ = r.Body.Close()
		return r.StatusCode
	}
	ctx, cancel := context.WithCancel(t.Context())
	var many sync.WaitGroup
	for range 16 { // half of them wait for their turn
		many.Go(func() {
			for ctx.Err() == nil { // the one below may have been before it
				ask(ctx)
			}
		})
	}
	require.Eventually(t, func() bool {
		brief, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return ask(brief) == http.StatusTooManyRequests
	}, 30*time.Second, 50*time.Millisecond)
	colleague := s.login(s.Outsider)
	said, _ := admitted(t, s.say(s.Outsider, "to examine it", &custody.RetrieveEvidence{Evidence: e}))
	require.True(t, bytes.Equal(data, s.content(colleague, e, said.Token).body))
	cancel()
	many.Wait()
	require.Eventually(t, func() bool {
		a := s.content(v, e, ticket)
		return a.StatusCode == http.StatusOK && bytes.Equal(data, a.body)
	}, 30*time.Second, 100*time.Millisecond)
}

func TestBundle(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	e, _ := s.takeIn(v, "EX-1", s.Artifact)
	said, _ := admitted(t, s.say(s.Engineer, "for the court", &custody.ExportEvidence{Evidence: e}))
	ask := func(v *visitor, token, query string) answer {
		return s.do(v, http.MethodGet, "/v1/bundle"+query, http.Header{api.ExportHeader: {token}}, nil)
	}
	whole, short := ask(v, said.Token, ""), ask(v, said.Token, "?leaves=0")
	requireHeaders(t, whole)
	require.Equal(t, http.StatusOK, whole.StatusCode)
	require.Equal(t, "application/x-tar", whole.Header.Get("Content-Type"))
	require.Contains(t, whole.Header.Get("Content-Disposition"), string(e))
	require.Greater(t, len(whole.body), len(short.body))
	require.NotContains(t, string(whole.body), string(s.Artifact))
	problem(t, ask(v, said.Token+"x", ""), http.StatusNotFound, "not-found")
	problem(t, ask(nil, said.Token, ""), http.StatusUnauthorized, "unauthenticated")
	problem(t, ask(s.login(s.Counsel), said.Token, ""), http.StatusNotFound, "not-found") // who may export, and is not on record for it
	admitted(t, s.say(s.Administrator, "", &custody.RevokeRole{Principal: s.Engineer.ID, Role: custody.RoleForensicEngineer}))
	problem(t, ask(v, said.Token, ""), http.StatusNotFound, "not-found")
}

// TestBundleOfAnIncident is the same, for what is asked of an incident.
func TestBundleOfAnIncident(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	_, _ = s.takeIn(v, "EX-1", s.Artifact)
	said, _ := admitted(t, s.say(s.Engineer, "for the court", &custody.ExportIncident{Incident: s.Incident}))
	a := s.do(v, http.MethodGet, "/v1/bundle", http.Header{api.ExportHeader: {said.Token}}, nil)
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Equal(t, fmt.Sprintf(`attachment; filename="%s.bundle"`, s.Incident), a.Header.Get("Content-Disposition"))
	verdict := bundle.Verify(bytes.NewReader(a.body), s.Trust, bundle.Options{Words: investigate.Words()})
	require.Empty(t, verdict.Problems)
	require.Equal(t, bundle.ScopeIncident, verdict.Scope)
	require.Len(t, verdict.Items, 1)
	admitted(t, s.say(s.Administrator, "", &custody.RevokeRole{Principal: s.Engineer.ID, Role: custody.RoleForensicEngineer}))
	problem(t, s.do(v, http.MethodGet, "/v1/bundle", http.Header{api.ExportHeader: {said.Token}}, nil), http.StatusNotFound, "not-found")
}

// TestBundleThatBreaksOff is never taken for a whole one.
func TestBundleThatBreaksOff(t *testing.T) {
	early := true
	s := newService(t, func(c *api.Config) {
		c.Bundle = func(_ context.Context, w io.Writer, _ guard.Export, _ bool) error {
			if early {
				return errors.New("the secret path")
			}
			_, err := w.Write(noise(100_000, 7))
			return errors.Join(err, errors.New("the secret path"))
		}
	})
	v := s.login(s.Engineer)
	e, _ := s.takeIn(v, "EX-1", s.Artifact)
	said, _ := admitted(t, s.say(s.Engineer, "for the court", &custody.ExportEvidence{Evidence: e}))
	h := http.Header{api.ExportHeader: {said.Token}}
	a := s.do(v, http.MethodGet, "/v1/bundle", h, nil)
	problem(t, a, http.StatusInternalServerError, "internal")
	require.NotContains(t, string(a.body), "secret")
	require.Empty(t, a.Header.Get("Content-Disposition"))
	early = false
	require.Error(t, s.do(v, http.MethodGet, "/v1/bundle", h, nil).broken)
}
