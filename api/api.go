package api

import (
	"context"
	_ "embed"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

// Log is the public part of the transparency log.
type Log interface {
	// Tile returns a resource of c2sp.org/tlog-tiles by its path below the
	// log's prefix ("checkpoint", "tile/0/000", "tile/entries/000.p/7"), or
	// custody.ErrUnknown.
	Tile(ctx context.Context, path string) ([]byte, error)
}

// Vault is where the bytes of artifacts come from.
type Vault interface {
	// Open returns the bytes of a stretch, each chunk verified before any of
	// it is returned; ErrDamaged where they are not what was sealed.
	Open(ctx context.Context, pass guard.Pass, r guard.Range) (io.ReadCloser, error)
	// Digests returns the digests of the chunks on a page of the artifact, of
	// which the pass must permit some bytes.
	Digests(ctx context.Context, pass guard.Pass, page uint64) (Digests, error)
}

// Intake takes in the chunks of an item's upload.
type Intake interface {
	// Put stores one chunk, all that source has: durable on return. It fails with
	// ErrMismatch when the bytes do not have the digest, ErrConflict when the
	// item is sealed, ErrFull when there is no room, guard.ErrUnavailable when
	// it cannot now, which may soon be over, and an error of source.
	Put(ctx context.Context, i custody.IncidentID, e custody.EvidenceID, index uint64, digest custody.Digest, source io.Reader) error
	// Offer notes for good those of the chunks that need not be brought:
	// zeros, and those that this upload or an item has of which may says that
	// it can be used. It returns the indexes of the others, and whether an offer
	// of anything but zeros can find something. ErrConflict when the item is
	// sealed.
	Offer(ctx context.Context, i custody.IncidentID, e custody.EvidenceID, offered []Chunk, may func(custody.EvidenceID) bool) (wanted []uint64, any bool, err error)
	// Have returns the chunks that this upload has, in order, at most limit.
	Have(ctx context.Context, e custody.EvidenceID, from uint64, limit int) ([]Chunk, error)
	// Cut forgets the chunks of this upload from an index on: they were not
	// what was to come. ErrConflict when the item is sealed.
	Cut(ctx context.Context, e custody.EvidenceID, from uint64) error
	// Break notes that a stream brings this upload and has not ended yet, or that
	// it has ended as it should; Broken says which of it was noted last.
	Break(ctx context.Context, i custody.IncidentID, e custody.EvidenceID, broken bool) error
	Broken(ctx context.Context, e custody.EvidenceID) (bool, error)
}

// Chunk is a chunk that an upload has.
type Chunk struct {
	Index  uint64         `json:"index"`
	Digest custody.Digest `json:"digest"`
	Length uint64         `json:"length"` // bytes
}

// Config is what the API is wired to.
type Config struct {
	Guard    *guard.Guard
	Log      Log
	Stamps   Stamps // on the log; nil where there are none
	Vault    Vault
	Intake   Intake
	Bundle   func(ctx context.Context, w io.Writer, e guard.Export, leaves bool) error // writes a bundle
	Logger   *slog.Logger
	Registry *prometheus.Registry
	Store    func() error // why the store serves nothing, or nil; nil where nobody knows
	Secure   bool         // served over TLS: answers say so (HSTS)
}

// API answers HTTP requests.
type API struct {
	Config
	router  chi.Router
	metrics *metrics
	limit   *limits
	bodies  *turns
	streams *streams

	contents *turns
}

// OpenAPI is the description of the API, OpenAPI 3.1.
//
//go:embed openapi.json
var OpenAPI []byte

// The bounds of one request.
const (
	maxConcurrent = 512
	maxWaiting    = 2048
	waitAtMost    = 20 * time.Second
	answerWithin  = 2 * time.Minute
)

// New returns the API's handler.
func New(c Config) *API {
	a := &API{Config: c, metrics: newMetrics(c.Registry, c.Guard), limit: newLimits(), bodies: newTurns("chunks", maxBodies, maxOwnBodies, mostOwnWaiting), contents: newTurns("retrievals", maxConcurrent, maxOwnContents, mostContentsWaiting), streams: newStreams()}
	r := chi.NewRouter()
	r.Use(middleware.RequestID, a.observe, a.recover, a.headers)
	r.NotFound(func(w http.ResponseWriter, q *http.Request) { a.problem(w, q, problemNotFound) })
	r.MethodNotAllowed(a.methodNotAllowed)

	r.Group(func(r chi.Router) {
		r.Use(deadline(answerWithin))
		r.Get("/livez", a.livez)
		r.Get("/readyz", a.readyz)
		r.Get("/openapi.json", a.openAPI)
		r.Get("/log/checkpoint", a.tile)
		r.Get("/log/tile/*", a.tile)
		r.Get("/log/stamps/from/{size}", a.stampList)
		r.Get("/log/stamps/{size}/{part}", a.stampPart)
	})

	r.Route("/v1", func(r chi.Router) {
		r.Use(a.throttle(maxConcurrent, maxWaiting, waitAtMost))
		r.Group(func(r chi.Router) {
			r.Use(deadline(answerWithin))
			r.Post("/statements", a.postStatement)
			r.Delete("/session", a.deleteSession)
			r.Get("/whoami", a.session(a.whoami))
			r.Get("/principals", a.session(a.principals))
			r.Get("/incidents", a.session(a.incidents))
			r.Get("/incidents/{incident}", a.session(a.incident))
			r.Get("/incidents/{incident}/file", a.session(a.file))
			r.Get("/repairs", a.session(a.repairs))
			r.Get("/vulnerabilities", a.session(a.vulnerabilities))
			r.Get("/team", a.session(a.team))
			r.Get("/programme", a.session(a.programme))
			r.Get("/evidence/{evidence}", a.session(a.evidence))
			r.Get("/streams/{kind}/records", a.session(a.records))
			r.Get("/streams/{kind}/{id}/records", a.session(a.records))
			r.Get("/evidence/{evidence}/chunks", a.haveChunks)
			r.Post("/evidence/{evidence}/chunks", a.offerChunks)
		})
		r.With(deadline(chunkWithin+answerWithin)).Put("/evidence/{evidence}/chunks/{index}", a.putChunk)
		r.With(deadline(answerWithin)).Get("/evidence/{evidence}/digests", a.digests)
		r.Get("/evidence/{evidence}/content", a.content)
		a.streaming(r)
		r.Get("/bundle", a.bundle)
	})
	a.router = r
	return a
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.router.ServeHTTP(w, r) }

// Routes returns the router, for tests that walk it.
func (a *API) Routes() chi.Routes { return a.router }

// methodNotAllowed names the methods that there are (RFC 9110, section 15.5.6).
func (a *API) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	for _, m := range []string{http.MethodDelete, http.MethodGet, http.MethodPost, http.MethodPut} {
		if a.router.Match(chi.NewRouteContext(), m, r.URL.Path) {
			w.Header().Add("Allow", m)
		}
	}
	a.problem(w, r, problemMethod)
}

func (a *API) livez(w http.ResponseWriter, r *http.Request) {
	a.reply(w, r, http.StatusOK, struct {
		Status string `json:"status"`
	}{"alive"})
}

// readyz says whether the service can put something on record, and its store
// serves it.
func (a *API) readyz(w http.ResponseWriter, r *http.Request) {
	err := a.Guard.Ready()
	if err == nil && a.Store != nil {
		err = a.Store()
	}
	if err != nil {
		a.Logger.WarnContext(r.Context(), "not ready", "error", err)
		a.problem(w, r, problemUnavailable.with(whyUnavailable(err)))
		return
	}
	is, err := a.Guard.Witnessed(r.Context())
	if err != nil {
		a.Logger.WarnContext(r.Context(), "not ready", "error", err)
		a.problem(w, r, problemUnavailable.with("who cosigned the log cannot be told"))
		return
	}
	a.reply(w, r, http.StatusOK, struct {
		Status    string `json:"status"`
		Witnesses string `json:"witnesses"`
	}{"ready", is.String()})
}

func (a *API) openAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(OpenAPI); err != nil {
		a.Logger.DebugContext(r.Context(), "client went away", "error", err)
	}
}

// tile serves the public log as c2sp.org/tlog-tiles asks.
func (a *API) tile(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path[len("/log/"):]
	b, err := a.Log.Tile(r.Context(), path)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if path == "checkpoint" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
	} else {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if _, err := w.Write(b); err != nil { //nolint:gosec // neither kind of answer is shown as a page
		a.Logger.DebugContext(r.Context(), "client went away", "error", err)
	}
}
