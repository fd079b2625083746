package api_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/storage"
)

// stream sends bytes as one stream; the length is not announced, as of a pipe.
func (s *service) stream(v *visitor, e custody.EvidenceID, query string, h http.Header, b []byte) answer {
	s.t.Helper()
	q, err := http.NewRequestWithContext(s.t.Context(), http.MethodPut, s.server.URL+contentPath(e)+query, struct{ io.Reader }{bytes.NewReader(b)})
	require.NoError(s.t, err)
	if h != nil {
		q.Header = h.Clone()
	}
	if v != nil {
		q.Header.Set("Authorization", "Bearer "+v.session)
	}
	r, err := s.client.Do(q)
	require.NoError(s.t, err)
	defer func() { _ = r.Body.Close() }()
	a := answer{Response: r}
	a.body, a.broken = io.ReadAll(r.Body)
	return a
}

func received(t *testing.T, a answer) (got api.Received) {
	t.Helper()
	require.Equal(t, http.StatusOK, a.StatusCode, "%s", a.body)
	require.NoError(t, json.Unmarshal(a.body, &got))
	return got
}

func (s *service) received(v *visitor, e custody.EvidenceID) api.Received {
	s.t.Helper()
	return received(s.t, s.get(v, "/v1/evidence/"+string(e)+"/received"))
}

// whole is what is received when all of data has come as a stream.
func whole(data []byte) api.Received {
	tree := custody.NewTreeHash(nil)
	_, _ = tree.Write(data) // fails only after Finish
	a := tree.Finish()
	return api.Received{
		Size: a.Size, Chunks: custody.ChunkCount(a.Size), Root: a.Root, SHA256: &a.SHA256, Next: a.Size - a.Size%custody.ChunkSize,
	}
}

func digestField(name string, b []byte) http.Header {
	d := custody.Hash(b)
	return http.Header{name: {"sha-512=:AAAA:, sha-256=:" + base64.StdEncoding.EncodeToString(d[:]) + ":"}}
}

func TestStream(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	for n, size := range []int{0, 1, custody.ChunkSize, 2*custody.ChunkSize + 5} {
		data := noise(size, byte(n))
		e := s.begin(s.Engineer, fmt.Sprintf("EX-S%d", n), uint64(size))
		for _, name := range []string{"Content-Digest", "Repr-Digest"} {
			require.Equal(t, whole(data), received(t, s.stream(v, e, "", digestField(name, data), data)))
		}
		require.Equal(t, whole(data), received(t, s.do(v, http.MethodPut, contentPath(e), nil, data)), "with its length")
		require.Equal(t, whole(data), s.received(v, e))
		admitted(t, s.say(s.Engineer, "taken at the scene", s.seal(e, data)))
		if size > 0 {
			require.True(t, bytes.Equal(data, s.content(v, e, s.retrieve(v, e, 0, 0)).body))
		}
		problem(t, s.stream(v, e, "", nil, data), http.StatusConflict, "conflict") // it is sealed
	}
}

func TestStreamsThatAreRefused(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	data := noise(custody.ChunkSize+10, 1)
	e := s.begin(s.Engineer, "EX-1", uint64(len(data)))
	for name, c := range map[string]struct {
		a      answer
		status int
		kind   string
	}{
		"no session":                {s.stream(nil, e, "", nil, data), 401, "unauthenticated"},
		"another's":                 {s.stream(s.login(s.Lead), e, "", nil, data), 404, "not-found"},
		"no item":                   {s.stream(v, "e-aaaaaaaaaaaaaaaa", "", nil, data), 404, "not-found"},
		"one byte too many":         {s.stream(v, e, "", nil, append(data[:len(data):len(data)], 0)), 409, "conflict"},
		"an announced length":       {s.do(v, http.MethodPut, contentPath(e), nil, append(data[:len(data):len(data)], 0)), 409, "conflict"},
		"a chunk too many":          {s.stream(v, e, "", nil, noise(2*custody.ChunkSize+1, 1)), 409, "conflict"},
		"from nowhere":              {s.stream(v, e, "?from=x", nil, data), 400, "malformed"},
		"from within a chunk":       {s.stream(v, e, "?from=10", nil, data), 400, "malformed"},
		"from beyond the end":       {s.stream(v, e, fmt.Sprintf("?from=%d", 4*custody.ChunkSize), nil, nil), 409, "conflict"},
		"a range":                   {s.stream(v, e, "", http.Header{"Content-Range": {"bytes 0-5/6"}}, data), 400, "malformed"},
		"compressed":                {s.stream(v, e, "", http.Header{"Content-Encoding": {"gzip"}}, data), 400, "malformed"},
		"a digest that is none":     {s.stream(v, e, "", http.Header{"Repr-Digest": {"sha-256=abc"}}, data), 400, "malformed"},
		"a digest that is short":    {s.stream(v, e, "", http.Header{"Repr-Digest": {"sha-256=:AAAA:"}}, data), 400, "malformed"},
		"the digest of other bytes": {s.stream(v, e, "", digestField("Repr-Digest", data[1:]), data), 400, "malformed"},
		"a digest of another kind":  {s.stream(v, e, "", http.Header{"Repr-Digest": {"md5=:AAAA:"}}, data), 400, "malformed"},
		"its content's":             {s.stream(v, e, "", digestField("Content-Digest", data[1:]), data), 400, "malformed"},
	} {
		t.Run(name, func(t *testing.T) { problem(t, c.a, c.status, c.kind) })
	}
	for _, name := range []string{"Content-Digest", "Repr-Digest"} {
		for _, said := range []string{"md5=:1B2M2Y8AsgTpgAmY7PhCfg==:", "sha-512=:AAAA:, md5=:AAAA:", ""} {
			a := s.stream(v, e, "", http.Header{name: {said}}, data)
			require.Contains(t, problem(t, a, 400, "malformed").Detail, name+" has no sha-256")
		}
	}
	problem(t, s.stream(v, e, "", digestField("Repr-Digest", data[1:]), data), 400, "malformed")
	require.Empty(t, s.have(v, e, 0).Chunks, "nothing of it is listed")
	nothing := whole(nil)
	nothing.Broken = true
	require.Equal(t, nothing, s.received(v, e))

	// A shorter one takes the place of a longer one.
	received(t, s.stream(v, e, "", nil, data))
	require.Equal(t, whole(data[:5]), received(t, s.stream(v, e, "", nil, data[:5])))
	require.Len(t, s.have(v, e, 0).Chunks, 1)
	admitted(t, s.say(s.Engineer, "taken at the scene", s.seal(e, data[:5])))
}

// TestADigestInTheTrailer: known only when all has been sent.
func TestADigestInTheTrailer(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	data := noise(1000, 1)
	for _, said := range [][]byte{data, data[1:]} {
		e := s.begin(s.Engineer, fmt.Sprintf("EX-%d", len(said)), 1000)
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.server.URL+contentPath(e), struct{ io.Reader }{bytes.NewReader(data)})
		require.NoError(t, err)
		q.Header.Set("Authorization", "Bearer "+v.session)
		q.Trailer = digestField("Content-Digest", said)
		r, err := s.client.Do(q)
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		require.Equal(t, map[bool]int{true: http.StatusOK, false: http.StatusBadRequest}[len(said) == 1000], r.StatusCode)
	}
}

// breakAfter sends the beginning of a stream, and then no more: not even its end.
func (s *service) breakAfter(v *visitor, e custody.EvidenceID, query string, b []byte) {
	s.t.Helper()
	s.breakStream(v, e, query, b, -1)
}

// breakStream is breakAfter of a stream whose length is announced, unless negative.
func (s *service) breakStream(v *visitor, e custody.EvidenceID, query string, b []byte, announced int) {
	s.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.server.URL, "http://"))
	require.NoError(s.t, err)
	length := fmt.Sprintf("Content-Length: %d\r\n\r\n", announced)
	if announced < 0 {
		length = fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", len(b))
	}
	_, err = fmt.Fprintf(c, "PUT %s%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s", contentPath(e), query, v.session, length)
	require.NoError(s.t, err)
	_, err = c.Write(b)
	require.NoError(s.t, err)
	half, ok := c.(*net.TCPConn)
	require.True(s.t, ok)
	require.NoError(s.t, half.CloseWrite())
	said, err := io.ReadAll(c)
	require.NoError(s.t, err)
	require.Contains(s.t, string(said), "HTTP/1.1 400")
	require.Contains(s.t, string(said), "the stream broke off")
	require.NoError(s.t, c.Close())
}

// TestAStreamGoesOn where it was broken off, and its SHA-256 with it.
func TestAStreamGoesOn(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	const mid = custody.ChunkSize
	data := noise(3*mid+5, 2)
	e := s.begin(s.Engineer, "EX-1", uint64(len(data)))
	s.breakAfter(v, e, "", data[:mid+1000])
	here := func(size int) bool {
		want := whole(data[:size])
		want.Broken = true
		return reflect.DeepEqual(want, s.received(v, e))
	}
	require.Eventually(t, func() bool { return here(mid) }, 10*time.Second, 10*time.Millisecond)
	var refused answer // the one that broke may still be there
	require.Eventually(t, func() bool {
		refused = s.stream(v, e, fmt.Sprintf("?from=%d", 2*mid), nil, data[2*mid:])
		return !strings.Contains(string(refused.body), "another request")
	}, 10*time.Second, 10*time.Millisecond)
	require.Contains(t, problem(t, refused, 409, "conflict").Detail, fmt.Sprintf("from=%d", mid))

	s.breakAfter(v, e, fmt.Sprintf("?from=%d", mid), data[mid:2*mid+1])
	require.Eventually(t, func() bool { return here(2 * mid) }, 10*time.Second, 10*time.Millisecond)
	on := func(from int, said []byte) (a answer) {
		require.Eventually(t, func() bool {
			a = s.stream(v, e, fmt.Sprintf("?from=%d", from), digestField("Repr-Digest", said), data[from:])
			return !strings.Contains(string(a.body), "another request")
		}, 10*time.Second, 10*time.Millisecond)
		return a
	}
	require.Equal(t, whole(data), received(t, on(2*mid, data)))
	admitted(t, s.say(s.Engineer, "taken at the scene", s.seal(e, data)))

	// After a restart nobody knows the SHA-256 of the beginning any more, and says so.
	e = s.begin(s.Engineer, "EX-2", uint64(len(data)))
	received(t, s.stream(v, e, "", nil, data[:2*mid]))
	s.config.Registry = prometheus.NewRegistry()
	s.server.Close()
	s.serve()
	require.Nil(t, s.received(v, e).SHA256)
	require.Contains(t, problem(t, on(2*mid, data), 409, "conflict").Detail, "not known here any more")
	got := received(t, s.stream(v, e, fmt.Sprintf("?from=%d", 2*mid), digestField("Content-Digest", data[2*mid:]), data[2*mid:]))
	want := whole(data)
	want.SHA256 = nil
	require.Equal(t, want, got)
	admitted(t, s.say(s.Engineer, "taken at the scene", s.seal(e, data)))
}

// TestABrokenStreamIsNotWhole: what came of it is not sealed as it was received,
// before somebody has said where the artifact ends.
func TestABrokenStreamIsNotWhole(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	const mid = custody.ChunkSize
	data := noise(2*mid, 2)
	for n, announced := range []int{-1, 2 * mid} {
		e := s.begin(s.Engineer, fmt.Sprintf("EX-%d", n), uint64(len(data)))
		s.breakStream(v, e, "", data[:mid+1000], announced)
		require.Eventually(t, func() bool { got := s.received(v, e); return got.Size == mid && got.Broken }, 10*time.Second, 10*time.Millisecond)
		seal := s.seal(e, data[:mid])
		seal.AsReceived = []string{custody.DigestRoot, custody.DigestSHA256}
		a := s.say(s.Engineer, "taken at the scene", seal)
		require.Equal(t, http.StatusForbidden, a.StatusCode, "%s", a.body)
		require.Contains(t, string(a.body), "broke off")
		require.Eventually(t, func() bool {
			return s.stream(v, e, fmt.Sprintf("?from=%d", mid), digestField("Content-Digest", nil), nil).StatusCode == http.StatusOK
		}, 10*time.Second, 10*time.Millisecond, "the artifact ends here")
		require.False(t, s.received(v, e).Broken)
		admitted(t, s.say(s.Engineer, "taken at the scene", seal))
	}
}

// TestStreamsAtOnce: one for an item, two of one person, and not so many that
// chunks find no room.
func TestStreamsAtOnce(t *testing.T) {
	s := newService(t)
	admitted(t, s.say(s.Lead, "she helps", assign(s, s.Outsider.ID)))
	v, other := s.login(s.Engineer), s.login(s.Outsider)
	hold := func(v *visitor, e custody.EvidenceID) (end func(), first chan answer) {
		r, w := io.Pipe()
		first = make(chan answer, 1)
		go func() {
			q, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.server.URL+contentPath(e), r)
			if err != nil {
				return
			}
			q.Header.Set("Authorization", "Bearer "+v.session)
			a, err := s.client.Do(q)
			if err == nil {
				_ = a.Body.Close()
				first <- answer{Response: a}
			}
		}()
		_, err := w.Write(append(make([]byte, custody.ChunkSize), 'x'))
		require.NoError(t, err)
		require.Eventually(t, func() bool { return s.received(v, e).Size == custody.ChunkSize }, 30*time.Second, 5*time.Millisecond)
		return func() { _ = w.Close() }, first // it is being read
	}
	items := func(v *visitor) (all []custody.EvidenceID) {
		for n := range 3 {
			all = append(all, s.begin(v.Person, fmt.Sprintf("EX-%s-%d", v.ID, n), 2*custody.ChunkSize))
		}
		return all
	}
	his, hers := items(v), items(other)
	var ends []func()
	var answers []chan answer
	begin := func(v *visitor, e custody.EvidenceID) {
		end, first := hold(v, e)
		ends, answers = append(ends, end), append(answers, first)
	}
	begin(v, his[0])
	begin(v, his[1])
	require.Contains(t, problem(t, s.stream(v, his[2], "", nil, []byte("x")), http.StatusTooManyRequests, "too-many").Detail, "of yours")
	problem(t, s.stream(v, his[0], "", nil, []byte("x")), http.StatusConflict, "conflict")
	begin(other, hers[0]) // he does not keep her from it
	begin(other, hers[1])
	require.Equal(t, http.StatusNoContent, s.put(v, his[2], 0, []byte("x")).StatusCode, "a chunk finds room")
	for n, end := range ends {
		end()
		require.Equal(t, http.StatusOK, (<-answers[n]).StatusCode)
	}
	received(t, s.stream(v, his[2], "", nil, []byte("x")))
}

// TestOnePersonsSlowness is his own: others' chunks and streams are taken in
// while his trickle, whether as chunks or as streams.
func TestOnePersonsSlowness(t *testing.T) {
	count := &counting{of: map[custody.EvidenceID]int{}}
	s := newService(t, func(c *api.Config) { count.Intake = c.Intake; c.Intake = count })
	admitted(t, s.say(s.Lead, "she helps", assign(s, s.Outsider.ID)))
	v, other := s.login(s.Engineer), s.login(s.Outsider)
	const many = 3 + 64
	slow := s.begin(s.Engineer, "EX-1", many*custody.ChunkSize)
	var conns []net.Conn
	trickle := func(head string) {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.server.URL, "http://"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		conns = append(conns, c)
		_, err = fmt.Fprintf(c, "%s\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\nx", head, v.session, custody.ChunkSize)
		require.NoError(t, err)
	}
	for n := range 2 {
		trickle("PUT " + contentPath(s.begin(s.Engineer, fmt.Sprintf("EX-S%d", n), custody.ChunkSize)) + " HTTP/1.1")
	}
	for n := range many {
		trickle(fmt.Sprintf("PUT %s HTTP/1.1\r\n%s: %s", chunkPath(slow, n), api.ChunkDigest, custody.Hash(nil)))
	}
	require.Eventually(t, func() bool { return count.begun(slow) == 3 }, 30*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { // no more wait for him
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		q, err := http.NewRequestWithContext(ctx, http.MethodPut, s.server.URL+chunkPath(slow, 0), strings.NewReader("x"))
		require.NoError(t, err)
		q.Header = http.Header{"Authorization": {"Bearer " + v.session}, api.ChunkDigest: {custody.ChunkDigest([]byte("x")).String()}}
		a, err := s.client.Do(q)
		if err != nil {
			return false
		}
		require.NoError(t, a.Body.Close())
		return a.StatusCode == http.StatusTooManyRequests
	}, 10*time.Second, time.Millisecond)
	e := s.begin(s.Outsider, "EX-2", 4*custody.ChunkSize)
	s.client.Timeout = 20 * time.Second
	data := noise(custody.ChunkSize+5, 1)
	for n := range 4 {
		require.Equal(t, http.StatusNoContent, s.put(other, e, n, data[:custody.ChunkSize]).StatusCode)
	}
	require.Equal(t, whole(data), received(t, s.stream(other, e, "", nil, data)))
	require.Equal(t, 3, count.begun(slow))

	for _, c := range conns {
		require.NoError(t, c.Close())
	}
	require.Eventually(t, func() bool { // the service learns of each by and by
		return s.put(v, slow, 0, data[:custody.ChunkSize]).StatusCode == http.StatusNoContent
	}, 30*time.Second, 20*time.Millisecond, "when his break off, he has his turn again")
}

// counting counts what it is asked to put.
type counting struct {
	api.Intake
	mu sync.Mutex
	of map[custody.EvidenceID]int
}

func (c *counting) begun(e custody.EvidenceID) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[e]
}

func (c *counting) Put(ctx context.Context, i custody.IncidentID, e custody.EvidenceID, index uint64, d custody.Digest, source io.Reader) error {
	c.mu.Lock()
	c.of[e]++
	c.mu.Unlock()
	return c.Intake.Put(ctx, i, e, index, d, source)
}

// TestAStreamOutlastsADisposal: while something of the incident is destroyed
// nothing is taken into it, and a stream waits.
func TestAStreamOutlastsADisposal(t *testing.T) {
	count := &counting{of: map[custody.EvidenceID]int{}}
	s := newService(t, func(c *api.Config) { count.Intake = c.Intake; c.Intake = count })
	v := s.login(s.Engineer)
	s.takeIn(v, "EX-0", s.Artifact) // so that the incident has keys
	data := noise(2*custody.ChunkSize+5, 1)
	e := s.begin(s.Engineer, "EX-1", uint64(len(data)))

	shut, open := make(chan struct{}), make(chan struct{})
	gone := make(chan error, 1)
	stored, ok := s.config.Vault.(vault)
	require.True(t, ok)
	go func() {
		left := func(yield func(storage.Chunk, error) bool) {
			yield(storage.Chunk{Digest: custody.ChunkDigest(data[:10]), Length: 10}, nil)
		}
		gone <- stored.Discard(t.Context(), s.Incident, left, func(context.Context) (storage.Kept, error) {
			close(shut)
			<-open
			return storage.Kept{}, nil
		})
	}()
	<-shut
	problem(t, s.put(v, e, 0, data[:custody.ChunkSize]), http.StatusServiceUnavailable, "unavailable") // its client has it still
	refused := count.begun(e)
	answers := make(chan answer, 1)
	go func() { answers <- s.stream(v, e, "", digestField("Repr-Digest", data), data) }()
	require.Eventually(t, func() bool { return count.begun(e) >= refused+3 || len(answers) > 0 }, 20*time.Second, time.Millisecond)
	close(open)
	require.NoError(t, <-gone)
	require.Equal(t, whole(data), received(t, <-answers))
	admitted(t, s.say(s.Engineer, "taken at the scene", s.seal(e, data)))
}

// TestAWaitingStreamLosesItsRight: what waits is not taken in for somebody who
// may not bring it any more.
func TestAWaitingStreamLosesItsRight(t *testing.T) {
	busy := &unready{tried: make(chan struct{}, 1000)}
	s := newService(t, func(c *api.Config) { busy.Intake = c.Intake; c.Intake = busy })
	v := s.login(s.Engineer)
	e := s.begin(s.Engineer, "EX-1", 100)
	answers := make(chan answer, 1)
	go func() { answers <- s.stream(v, e, "", nil, []byte("x")) }()
	<-busy.tried
	admitted(t, s.say(s.Lead, "he left", unassign(s, s.Engineer.ID)))
	problem(t, <-answers, http.StatusNotFound, "not-found")
}

// unready takes nothing now.
type unready struct {
	api.Intake
	tried chan struct{}
}

func (u *unready) Put(context.Context, custody.IncidentID, custody.EvidenceID, uint64, custody.Digest, io.Reader) error {
	u.tried <- struct{}{}
	return fmt.Errorf("%w: something is being destroyed", guard.ErrUnavailable)
}

// TestAnEmptyStream forgets nothing, unless it is said that emptiness is meant.
func TestAnEmptyStream(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	data := noise(2*custody.ChunkSize+5, 1)
	e := s.begin(s.Engineer, "EX-1", uint64(len(data)))
	received(t, s.stream(v, e, "", nil, data))
	second := fmt.Sprintf("?from=%d", custody.ChunkSize)
	for _, from := range []string{"", second} {
		require.Contains(t, problem(t, s.stream(v, e, from, nil, nil), http.StatusConflict, "conflict").Detail, "none was forgotten")
		problem(t, s.stream(v, e, from, digestField("Content-Digest", data), nil), http.StatusBadRequest, "malformed")
	}
	problem(t, s.stream(v, e, "", digestField("Repr-Digest", data), nil), http.StatusBadRequest, "malformed")
	require.Equal(t, whole(data), s.received(v, e))
	first := whole(data[:custody.ChunkSize])
	first.SHA256 = nil // it was known of all
	require.Equal(t, first, received(t, s.stream(v, e, second, digestField("Content-Digest", nil), nil)))
	require.Len(t, s.have(v, e, 0).Chunks, 1)
	require.Equal(t, first, received(t, s.stream(v, e, second, nil, nil)), "there is nothing to forget")
	require.Equal(t, whole(nil), received(t, s.stream(v, e, "", digestField("Repr-Digest", nil), nil)))
	require.Empty(t, s.have(v, e, 0).Chunks)
	require.Equal(t, whole(nil), received(t, s.stream(v, e, "", nil, nil)))
	admitted(t, s.say(s.Engineer, "taken at the scene", s.seal(e, nil)))
}

// TestARightLostWhileAStreamComes ends it with the next chunk.
func TestARightLostWhileAStreamComes(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	e := s.begin(s.Engineer, "EX-1", 3*custody.ChunkSize)
	lost := false
	data := noise(2*custody.ChunkSize+1, 1)
	body := io.MultiReader(bytes.NewReader(data[:custody.ChunkSize]), readerFunc(func([]byte) (int, error) {
		if !lost {
			require.Eventually(t, func() bool { return s.received(v, e).Size == custody.ChunkSize }, 10*time.Second, 5*time.Millisecond)
			admitted(t, s.say(s.Lead, "he left", unassign(s, s.Engineer.ID)))
			lost = true
		}
		return 0, io.EOF
	}), bytes.NewReader(data[custody.ChunkSize:]))
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.server.URL+contentPath(e), body)
	require.NoError(t, err)
	q.Header.Set("Authorization", "Bearer "+v.session)
	r, err := s.client.Do(q)
	require.NoError(t, err)
	defer r.Body.Close()
	require.Equal(t, http.StatusNotFound, r.StatusCode)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// TestASlowStreamHasItsTime, chunk by chunk: one that stops is cut, one that goes
// on is not, however long it takes as a whole.
func TestASlowStreamHasItsTime(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	e := s.begin(s.Engineer, "EX-1", 2*custody.ChunkSize)
	w := &patient{ResponseRecorder: httptest.NewRecorder()}
	q := httptest.NewRequestWithContext(t.Context(), http.MethodPut, contentPath(e), struct{ io.Reader }{bytes.NewReader(noise(custody.ChunkSize+1, 1))})
	q.Header.Set("Authorization", "Bearer "+v.session)
	s.api.ServeHTTP(w, q)
	require.Equal(t, http.StatusOK, w.Code)
	const atSlowest = (30 + 256) * time.Second // 8 MiB at 32 KiB/s
	require.InDelta(t, atSlowest, time.Until(w.read), float64(5*time.Second))
	require.Greater(t, time.Until(w.write), atSlowest)
	_, limited := q.Context().Deadline()
	require.False(t, limited)
}

// TestAStoreThatFailsEndsAStream, and what it had taken is there.
func TestAStoreThatFailsEndsAStream(t *testing.T) {
	full := &filling{}
	s := newService(t, func(c *api.Config) { full.Intake = c.Intake; c.Intake = full })
	v := s.login(s.Engineer)
	data := noise(2*custody.ChunkSize, 1)
	e := s.begin(s.Engineer, "EX-1", uint64(len(data)))
	problem(t, s.stream(v, e, "", nil, data), http.StatusInsufficientStorage, "storage-full")
	had := whole(data[:custody.ChunkSize])
	had.Broken = true
	require.Equal(t, had, s.received(v, e))
}

// filling has room for one chunk.
type filling struct {
	api.Intake
	chunks int
}

func (f *filling) Put(ctx context.Context, i custody.IncidentID, e custody.EvidenceID, index uint64, d custody.Digest, source io.Reader) error {
	if f.chunks++; f.chunks > 1 {
		return errors.Join(api.ErrFull)
	}
	return f.Intake.Put(ctx, i, e, index, d, source)
}
