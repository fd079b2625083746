package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

func assign(s *service, p custody.PrincipalID) custody.Act {
	return &investigate.Assign{Incident: s.Incident, Principal: p}
}

func TestChunksThatAreRefused(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	e := s.begin(s.Engineer, "EX-1", custody.ChunkSize+10)
	data := noise(1000, 1)
	digest := custody.ChunkDigest(data).String()
	put := func(index, digest string, b []byte) answer {
		return s.do(v, http.MethodPut, chunkPath(e, index), http.Header{api.ChunkDigest: {digest}}, b)
	}
	for name, c := range map[string]struct {
		a      answer
		status int
		kind   string
	}{
		"other bytes":        {put("0", digest, data[1:]), 400, "malformed"},
		"no bytes":           {put("0", digest, nil), 400, "malformed"},
		"no digest":          {put("0", "", data), 400, "malformed"},
		"no digest of ours":  {put("0", "sha512:00", data), 400, "malformed"},
		"SHA-256 of it":      {put("0", custody.Hash(data).String(), data), 400, "malformed"},
		"index not a number": {put("x", digest, data), 400, "malformed"},
		"index negative":     {put("-1", digest, data), 400, "malformed"},
		"index overflows":    {put("18446744073709551616", digest, data), 400, "malformed"},
		"index beyond":       {put("2", digest, data), 409, "conflict"},
		"index far beyond":   {put("9007199254740991", digest, data), 409, "conflict"},
		"too large":          {put("0", digest, noise(custody.ChunkSize+1, 1)), 413, "too-large"},
		"no session":         {s.put(nil, e, 0, data), 401, "unauthenticated"},
		"no item":            {s.put(v, "e-aaaaaaaaaaaaaaaa", 0, data), 404, "not-found"},
		"an item's odd name": {s.put(v, "e-AAAAAAAAAAAAAAAA", 0, data), 404, "not-found"},
	} {
		t.Run(name, func(t *testing.T) { problem(t, c.a, c.status, c.kind) })
	}
	require.Empty(t, s.chunks(), "nothing of it was kept")
	require.Empty(t, s.have(v, e, 0).Chunks)
}

func (s *service) have(v *visitor, e custody.EvidenceID, from int) (page api.Chunks) {
	s.t.Helper()
	a := s.get(v, fmt.Sprintf("/v1/evidence/%s/chunks?from=%d", e, from))
	require.Equal(s.t, http.StatusOK, a.StatusCode, "%s", a.body)
	require.NoError(s.t, json.Unmarshal(a.body, &page))
	return page
}

// TestResume: what was acknowledged is there, and what is missing can be sent
// in any order, twice too.
func TestResume(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	data := noise(2*custody.ChunkSize+5, 2)
	parts := [][]byte{data[:custody.ChunkSize], data[custody.ChunkSize : 2*custody.ChunkSize], data[2*custody.ChunkSize:]}
	e := s.begin(s.Engineer, "EX-1", uint64(len(data)))
	require.Equal(t, http.StatusNoContent, s.put(v, e, 2, parts[2]).StatusCode)
	require.Equal(t, http.StatusNoContent, s.put(v, e, 0, parts[0]).StatusCode)
	chunk := func(n int) api.Chunk {
		return api.Chunk{Index: uint64(n), Digest: custody.ChunkDigest(parts[n]), Length: uint64(len(parts[n]))}
	}
	require.Equal(t, api.Chunks{Chunks: []api.Chunk{chunk(0), chunk(2)}}, s.have(v, e, 0))
	require.Equal(t, api.Chunks{Chunks: []api.Chunk{chunk(2)}}, s.have(v, e, 1))

	refused := s.say(s.Engineer, "taken at the scene", s.seal(e, data))
	require.Contains(t, problem(t, refused, http.StatusForbidden, "refused").Detail, "chunk 1 did not arrive")

	again := s.login(s.Engineer)
	require.Equal(t, http.StatusNoContent, s.put(again, e, 1, parts[1]).StatusCode)
	require.Equal(t, http.StatusNoContent, s.put(again, e, 1, parts[1]).StatusCode)
	other := bytes.Clone(data)
	other[9]++
	refused = s.say(s.Engineer, "taken at the scene", s.seal(e, other))
	require.Contains(t, problem(t, refused, http.StatusForbidden, "refused").Detail, "root")
	admitted(t, s.say(s.Engineer, "taken at the scene", s.seal(e, data)))

	problem(t, s.put(again, e, 1, parts[1]), http.StatusConflict, "conflict") // it is sealed
	require.True(t, bytes.Equal(data, s.content(again, e, s.retrieve(again, e, 0, 0)).body))
}

// TestManyChunksComeInPages: of an upload with more chunks than a page lists.
func TestManyChunksComeInPages(t *testing.T) {
	full := make([]api.Chunk, 1001)
	for n := range full {
		full[n] = api.Chunk{Index: uint64(2 * n), Digest: custody.Hash([]byte{byte(n)}), Length: 1}
	}
	s := newService(t, func(c *api.Config) { c.Intake = listed{c.Intake, full} })
	v := s.login(s.Engineer)
	e := s.begin(s.Engineer, "EX-1", 100)
	first := s.have(v, e, 0)
	require.Len(t, first.Chunks, 1000)
	require.NotNil(t, first.Next)
	second := s.have(v, e, int(*first.Next))
	require.Nil(t, second.Next)
	require.Equal(t, full, append(first.Chunks, second.Chunks...))
}

// TestASlowUploadHasItsTime: a chunk at the slowest rate that is borne is not
// cut by the deadline of ordinary requests.
func TestASlowUploadHasItsTime(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	e := s.begin(s.Engineer, "EX-1", 1000)
	data := noise(1000, 1)
	const atSlowest = (30 + 256) * time.Second // 8 MiB at 32 KiB/s
	ask := func(method, path string) *patient {
		w := &patient{ResponseRecorder: httptest.NewRecorder()}
		q := httptest.NewRequestWithContext(t.Context(), method, path, bytes.NewReader(data))
		q.Header.Set("Authorization", "Bearer "+v.session)
		q.Header.Set(api.ChunkDigest, custody.ChunkDigest(data).String())
		s.api.ServeHTTP(w, q)
		return w
	}
	w := ask(http.MethodPut, chunkPath(e, 0))
	require.Equal(t, http.StatusNoContent, w.Code)
	require.InDelta(t, atSlowest, time.Until(w.read), float64(5*time.Second))
	require.Greater(t, time.Until(w.write), atSlowest)
	for _, path := range []string{"/livez", "/readyz", "/openapi.json", "/log/checkpoint", "/log/tile/entries/000.p/1", "/v1/whoami"} {
		w := ask(http.MethodGet, path)
		require.InDelta(t, 2*time.Minute, time.Until(w.read), float64(5*time.Second), path)
		require.InDelta(t, 2*time.Minute, time.Until(w.write), float64(5*time.Second), path)
	}
}

// patient notes the deadlines that it is given.
type patient struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (p *patient) SetReadDeadline(t time.Time) error  { p.read = t; return nil }
func (p *patient) SetWriteDeadline(t time.Time) error { p.write = t; return nil }

// TestASealedItemTakesNothing, even when the intake has done with its upload
// and forgotten it.
func TestASealedItemTakesNothing(t *testing.T) {
	s := newService(t, func(c *api.Config) { c.Intake = forgetful{c.Intake} })
	v := s.login(s.Engineer)
	e, _ := s.takeIn(v, "EX-1", s.Artifact)
	problem(t, s.put(v, e, 0, s.Artifact), http.StatusConflict, "conflict")
}

// forgetful is an intake that does not know what was sealed.
type forgetful struct{ api.Intake }

func (f forgetful) Put(ctx context.Context, i custody.IncidentID, e custody.EvidenceID, index uint64, d custody.Digest, source io.Reader) error {
	if err := f.Intake.Put(ctx, i, e, index, d, source); !errors.Is(err, api.ErrConflict) {
		return err
	}
	return nil
}

// TestOffer: zeros, what the upload has, and what may be retrieved need not be
// sent; of anything else nobody learns that it is there.
func TestOffer(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	zeros, old, fresh := make([]byte, custody.ChunkSize), noise(custody.ChunkSize, 3), noise(custody.ChunkSize, 4)
	offer := func(v *visitor, e custody.EvidenceID, parts ...[]byte) (w api.Wanted) {
		list := api.Offer{}
		for n, p := range parts {
			list.Chunks = append(list.Chunks, api.Chunk{Index: uint64(n), Digest: custody.ChunkDigest(p), Length: uint64(len(p))})
		}
		body, err := json.Marshal(list)
		require.NoError(t, err)
		a := s.do(v, http.MethodPost, fmt.Sprintf("/v1/evidence/%s/chunks", e), nil, body)
		require.Equal(t, http.StatusOK, a.StatusCode, "%s", a.body)
		require.NoError(t, json.Unmarshal(a.body, &w))
		return w
	}
	first := s.begin(s.Engineer, "EX-1", 3*custody.ChunkSize)
	require.Equal(t, api.Wanted{Wanted: []uint64{1, 2}}, offer(v, first, zeros, old, fresh))
	require.Equal(t, http.StatusNoContent, s.put(v, first, 1, old).StatusCode)
	require.Equal(t, api.Wanted{Wanted: []uint64{2}, Any: true}, offer(v, first, zeros, old, fresh))

	// Not sealed, it is nobody else's: neither its bytes nor that they are there.
	second := s.begin(s.Engineer, "EX-2", 3*custody.ChunkSize)
	require.Equal(t, api.Wanted{Wanted: []uint64{1, 2}}, offer(v, second, zeros, old, fresh))

	require.Equal(t, http.StatusNoContent, s.put(v, first, 2, fresh).StatusCode)
	whole := bytes.Join([][]byte{zeros, old, fresh}, nil)
	admitted(t, s.say(s.Engineer, "taken at the scene", s.seal(first, whole)))
	require.Equal(t, api.Wanted{Wanted: []uint64{}, Any: true}, offer(v, second, fresh, zeros, old))
	other := bytes.Join([][]byte{fresh, zeros, old}, nil)
	admitted(t, s.say(s.Engineer, "taken at the scene", s.seal(second, other)))
	require.True(t, bytes.Equal(other, s.content(v, second, s.retrieve(v, second, 0, 0)).body))

	// A damaged item is offered to nobody, as nobody may retrieve it.
	_, err := s.Attest(t.Context(), "test", &custody.CheckEvidence{Evidence: first})
	require.NoError(t, err)
	_, err = s.Attest(t.Context(), "test", &custody.CheckEvidence{Evidence: second})
	require.NoError(t, err)
	third := s.begin(s.Engineer, "EX-3", 3*custody.ChunkSize)
	require.Equal(t, []uint64{1, 2}, offer(v, third, zeros, old, fresh).Wanted)
	for name, body := range map[string]string{
		"no list":     `{"chunk":[]}`,
		"beyond":      fmt.Sprintf(`{"chunks":[{"index":3,"digest":%q,"length":1}]}`, custody.Hash(nil)),
		"no length":   fmt.Sprintf(`{"chunks":[{"index":0,"digest":%q,"length":0}]}`, custody.Hash(nil)),
		"long":        fmt.Sprintf(`{"chunks":[{"index":0,"digest":%q,"length":%d}]}`, custody.Hash(nil), custody.ChunkSize+1),
		"no digest":   `{"chunks":[{"index":0,"digest":"","length":1}]}`,
		"sealed item": "",
	} {
		t.Run(name, func(t *testing.T) {
			e := third
			if body == "" {
				e, body = first, `{"chunks":[{"index":0,"digest":"`+custody.Hash(nil).String()+`","length":1}]}`
			}
			a := s.do(v, http.MethodPost, fmt.Sprintf("/v1/evidence/%s/chunks", e), nil, []byte(body))
			require.GreaterOrEqual(t, a.StatusCode, 400)
			require.Less(t, a.StatusCode, 500)
		})
	}
}

func unassign(s *service, p custody.PrincipalID) custody.Act {
	return &investigate.Unassign{Incident: s.Incident, Principal: p}
}
