package api_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/file"
	"github.com/forensic-custody/custody/storage/intake"
	"github.com/forensic-custody/custody/storage/sql"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is an API over a guard whose store and log are in memory, with a
// vault in a folder. Whatever it answers is held against openapi.json.
type service struct {
	*guardtest.Story
	t      *testing.T
	config api.Config
	api    *api.API
	server *httptest.Server
	client *http.Client
	folder string // of the bucket
	logged *bytes.Buffer
}

// visitor is a person with a session.
type visitor struct {
	*guardtest.Person
	session string
}

func newService(t *testing.T, change ...func(*api.Config)) *service {
	t.Helper()
	s := &service{t: t, folder: filepath.Join(t.TempDir(), "bucket"), logged: new(bytes.Buffer)}
	bucket, err := file.Open(s.folder)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bucket.Close()) })
	rows, err := sql.Open(t.Context(), filepath.Join(t.TempDir(), "uploads.db"), sql.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	in := &intake.Intake{Bucket: bucket, Rows: rows}
	w, err := guardtest.New(t.Context(), guardtest.Setup{
		Before: map[custody.Kind]func(context.Context, *custody.Statement) error{
			custody.KindSealEvidence: func(ctx context.Context, st *custody.Statement) error {
				return in.Seal(ctx, st.Act.(*custody.SealEvidence))
			},
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	identity, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	in.Now = w.Now
	in.Vault, err = storage.New(storage.Config{Bucket: bucket, Identity: identity, Recipients: []age.Recipient{identity.Recipient()}, Now: w.Now})
	require.NoError(t, err)
	s.Story, err = w.Team(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Others(t.Context()))
	s.config = api.Config{
		Guard: w.Guard, Log: publicLog{w.Log}, Vault: vault{in.Vault}, Intake: uploads{in}, Registry: prometheus.NewRegistry(),
		Bundle: func(ctx context.Context, out io.Writer, e guard.Export, leaves bool) error {
			if e.Incident == "" {
				return w.Bundle(ctx, e.Evidence, leaves, out)
			}
			c, err := w.IncidentContents(ctx, e.Incident, leaves)
			if err != nil {
				return err
			}
			return bundle.Write(out, c)
		},
		Logger: slog.New(slog.NewJSONHandler(s.logged, nil)),
	}
	for _, f := range change {
		f(&s.config)
	}
	s.serve()
	return s
}

func (s *service) serve() {
	s.api = api.New(s.config)
	s.server = httptest.NewServer(s.api)
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100}
	s.client = &http.Client{
		Transport:     described{s.t, readDescription(s.t), s.api.Routes(), transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s.t.Cleanup(func() { transport.CloseIdleConnections(); s.server.Close() })
}

// publicLog publishes the checkpoint and the entries' first tile, partial.
type publicLog struct{ *guardtest.Log }

func (l publicLog) Tile(ctx context.Context, path string) ([]byte, error) {
	if path == "checkpoint" {
		return l.Checkpoint(), nil
	}
	if path != "tile/entries/000.p/1" {
		return nil, custody.ErrUnknown
	}
	var b []byte
	err := l.Leaves(ctx, 1, func(leaf custody.Leaf) error { b = append([]byte{0, byte(len(leaf))}, leaf[:]...); return nil })
	return b, err
}

// vault and uploads tell the errors of the storage floor in the API's words.
type vault struct{ *storage.Vault }

func (v vault) Open(ctx context.Context, pass guard.Pass, r guard.Range) (io.ReadCloser, error) {
	content, err := v.Vault.Open(ctx, pass, r)
	if err != nil {
		return nil, told(err)
	}
	return reader{content}, nil
}

func (v vault) Digests(ctx context.Context, pass guard.Pass, page uint64) (api.Digests, error) {
	d, err := v.Vault.Digests(ctx, pass, page)
	return api.Digests(d), told(err)
}

type reader struct{ io.ReadCloser }

func (r reader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	return n, told(err)
}

type uploads struct{ *intake.Intake }

func (u uploads) Put(ctx context.Context, i custody.IncidentID, e custody.EvidenceID, index uint64, d custody.Digest, source io.Reader) error {
	return told(u.Intake.Put(ctx, i, e, index, d, source))
}

func (u uploads) Offer(ctx context.Context, i custody.IncidentID, e custody.EvidenceID, offered []api.Chunk, may func(custody.EvidenceID) bool) ([]uint64, bool, error) {
	rows := make([]sql.Chunk, len(offered))
	for n, c := range offered {
		rows[n] = sql.Chunk{Index: c.Index, Digest: c.Digest, Length: c.Length}
	}
	wanted, any, err := u.Intake.Offer(ctx, i, e, rows, may)
	return wanted, any, told(err)
}

func (u uploads) Have(ctx context.Context, e custody.EvidenceID, from uint64, limit int) ([]api.Chunk, error) {
	rows, err := u.Intake.Have(ctx, e, from, limit)
	list := []api.Chunk{}
	for _, r := range rows {
		list = append(list, api.Chunk{Index: r.Index, Digest: r.Digest, Length: r.Length})
	}
	return list, err
}

func (u uploads) Cut(ctx context.Context, e custody.EvidenceID, from uint64) error {
	return told(u.Intake.Cut(ctx, e, from))
}

func (u uploads) Break(ctx context.Context, i custody.IncidentID, e custody.EvidenceID, broken bool) error {
	return told(u.Intake.Break(ctx, i, e, broken))
}

func told(err error) error {
	switch {
	case errors.Is(err, storage.ErrBusy):
		return fmt.Errorf("%w: %w", guard.ErrUnavailable, err)
	case errors.Is(err, storage.ErrDamaged), errors.Is(err, storage.ErrNotFound):
		return fmt.Errorf("%w: %w", api.ErrDamaged, err)
	case errors.Is(err, storage.ErrMismatch):
		return fmt.Errorf("%w: %w", api.ErrMismatch, err)
	case errors.Is(err, intake.ErrSealed):
		return fmt.Errorf("%w: %w", api.ErrConflict, err)
	}
	return err
}

// answer is what came back, as far as it came.
type answer struct {
	*http.Response
	body   []byte
	broken error // why the body ended early
}

// do sends a request, under v's session unless v is nil.
func (s *service) do(v *visitor, method, path string, header http.Header, body []byte) answer {
	s.t.Helper()
	q, err := http.NewRequestWithContext(s.t.Context(), method, s.server.URL+path, bytes.NewReader(body))
	require.NoError(s.t, err)
	if header != nil {
		q.Header = header.Clone()
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

func (s *service) get(v *visitor, path string) answer {
	s.t.Helper()
	return s.do(v, http.MethodGet, path, nil, nil)
}

// post sends an envelope.
func (s *service) post(envelope []byte) answer {
	s.t.Helper()
	return s.do(nil, http.MethodPost, "/v1/statements", nil, envelope)
}

// say signs an act and sends it.
func (s *service) say(p *guardtest.Person, purpose string, act custody.Act) answer {
	s.t.Helper()
	envelope, err := p.Sign(purpose, act)
	require.NoError(s.t, err)
	return s.post(envelope)
}

// admitted reads the answer to a statement that was to be permitted.
func admitted(t *testing.T, a answer) (said api.Admitted, payload custody.Digest) {
	t.Helper()
	require.Contains(t, []int{http.StatusCreated, http.StatusOK}, a.StatusCode, "%s", a.body)
	require.NoError(t, json.Unmarshal(a.body, &said))
	record, err := custody.ParseRecord(said.Record)
	require.NoError(t, err)
	return said, custody.Hash(record.Envelope.Payload)
}

// problem reads a problem detail and checks its type.
func problem(t *testing.T, a answer, status int, kind string) api.Problem {
	t.Helper()
	var p api.Problem
	require.Equal(t, status, a.StatusCode, "%.300s", a.body)
	require.NoError(t, json.Unmarshal(a.body, &p))
	require.Equal(t, kind, strings.TrimPrefix(p.Type, "https://github.com/forensic-custody/custody/problems/"))
	return p
}

func (s *service) login(p *guardtest.Person) *visitor {
	s.t.Helper()
	said, _ := admitted(s.t, s.say(p, "", &custody.OpenSession{Client: "a test"}))
	require.NotEmpty(s.t, said.Token)
	return &visitor{p, said.Token}
}

// begin begins an item of at most size bytes.
func (s *service) begin(p *guardtest.Person, exhibit string, size uint64) custody.EvidenceID {
	s.t.Helper()
	name, err := custody.NewName([]byte("disk.img"))
	require.NoError(s.t, err)
	_, payload := admitted(s.t, s.say(p, "to examine it", &custody.BeginEvidence{
		AtMost: size, Exhibit: exhibit, Incident: s.Incident, Name: name, Type: "disk",
	}))
	return custody.NewEvidenceID(payload)
}

func chunkPath(e custody.EvidenceID, index any) string {
	return fmt.Sprintf("/v1/evidence/%s/chunks/%v", e, index)
}

func (s *service) put(v *visitor, e custody.EvidenceID, index any, b []byte) answer {
	s.t.Helper()
	return s.do(v, http.MethodPut, chunkPath(e, index), http.Header{api.ChunkDigest: {custody.ChunkDigest(b).String()}}, b)
}

func (s *service) seal(e custody.EvidenceID, data []byte) *custody.SealEvidence {
	tree := custody.NewTreeHash(nil)
	_, err := tree.Write(data)
	require.NoError(s.t, err)
	act := s.Seal()
	act.Evidence, act.Artifact = e, tree.Finish()
	return act
}

// takeIn takes data in, and returns beside the item the objects of the bucket
// that its chunks made, one for each chunk that was new.
func (s *service) takeIn(v *visitor, exhibit string, data []byte) (custody.EvidenceID, []string) {
	s.t.Helper()
	e := s.begin(v.Person, exhibit, uint64(len(data)))
	var objects []string
	for n, chunk := range slices.Collect(slices.Chunk(data, custody.ChunkSize)) {
		before := s.chunks()
		require.Equal(s.t, http.StatusNoContent, s.put(v, e, n, chunk).StatusCode)
		for _, name := range s.chunks() {
			if !slices.Contains(before, name) {
				objects = append(objects, name)
			}
		}
	}
	admitted(s.t, s.say(v.Person, "taken at the scene", s.seal(e, data)))
	return e, objects
}

// chunks lists the files that hold chunks.
func (s *service) chunks() (list []string) {
	require.NoError(s.t, filepath.WalkDir(s.folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(path, "/c/") {
			list = append(list, path)
		}
		return err
	}))
	return list
}

// retrieve earns a ticket for a stretch.
func (s *service) retrieve(v *visitor, e custody.EvidenceID, offset, length uint64) string {
	s.t.Helper()
	said, payload := admitted(s.t, s.say(v.Person, "to examine it", &custody.RetrieveEvidence{Evidence: e, Offset: offset, Length: length}))
	require.NotEmpty(s.t, said.Token)
	s.Grant = payload
	return said.Token
}

func contentPath(e custody.EvidenceID) string { return "/v1/evidence/" + string(e) + "/content" }

func (s *service) content(v *visitor, e custody.EvidenceID, ticket string, more ...string) answer {
	s.t.Helper()
	h := http.Header{api.TicketHeader: {ticket}}
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return s.do(v, http.MethodGet, contentPath(e), h, nil)
}

// releases returns what the item's stream says became of grants.
func (s *service) releases(e custody.EvidenceID) (list []custody.ReleaseEvidence) {
	s.t.Helper()
	stored, err := s.Store.Records(s.t.Context(), e.Stream(), 0, 1000, true)
	require.NoError(s.t, err)
	for _, st := range stored {
		record, err := custody.ParseRecord(st.Record)
		require.NoError(s.t, err)
		statement, err := record.Envelope.Statement(custody.Acts())
		require.NoError(s.t, err)
		if act, ok := statement.Act.(*custody.ReleaseEvidence); ok && record.Decision.Permit {
			list = append(list, *act)
		}
	}
	return list
}

// records counts what was committed.
func (s *service) records() int {
	store, ok := s.Store.(*guardtest.Store)
	require.True(s.t, ok)
	return store.Len()
}

// noise returns bytes that do not compress.
func noise(n int, seed byte) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}

// listed is an intake whose uploads have these chunks.
type listed struct {
	api.Intake
	chunks []api.Chunk
}

func (l listed) Have(_ context.Context, _ custody.EvidenceID, from uint64, limit int) ([]api.Chunk, error) {
	n, _ := slices.BinarySearchFunc(l.chunks, from, func(c api.Chunk, from uint64) int { return cmp.Compare(c.Index, from) })
	rest := l.chunks[n:]
	return rest[:min(limit, len(rest))], nil
}
