package api

import (
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/forensic-custody/custody/custody/guard"
)

// headers sets what every answer carries. The API serves no pages, so its
// content policy allows nothing.
func (a *API) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Embedder-Policy", "require-corp")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		if a.Secure {
			h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		}
		next.ServeHTTP(w, r)
	})
}

// recover turns a panic into an answer. Where the answer has begun, the
// connection is cut, so that nobody takes a part for the whole.
func (a *API) recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(http.ErrAbortHandler)
			}
			a.Logger.ErrorContext(r.Context(), "panic", "path", routeOf(r), "value", v, "stack", string(debug.Stack()))
			if ww, ok := w.(middleware.WrapResponseWriter); ok && ww.Status() != 0 {
				panic(http.ErrAbortHandler)
			}
			a.problem(w, r, problemInternal)
		}()
		next.ServeHTTP(w, r)
	})
}

// observe counts and logs requests: the route, never its parameters.
func (a *API) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		begun := time.Now()
		defer func() {
			took := time.Since(begun)
			a.metrics.requests.WithLabelValues(routeOf(r), http.StatusText(ww.Status())).Observe(took.Seconds())
			a.Logger.DebugContext(r.Context(), "request", "route", routeOf(r), "status", ww.Status(),
				"bytes", ww.BytesWritten(), "took", took, "id", middleware.GetReqID(r.Context()))
		}()
		next.ServeHTTP(ww, r)
	})
}

// routeOf returns the pattern that a request matched, which names no one.
func routeOf(r *http.Request) string {
	if c := chi.RouteContext(r.Context()); c != nil && c.RoutePattern() != "" {
		return r.Method + " " + c.RoutePattern()
	}
	return r.Method + " unknown"
}

// deadline bounds how long a request's body may take to come and its answer to
// be made and read.
func deadline(d time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			until := time.Now().Add(d)
			c := http.NewResponseController(w)
			// A writer that knows no deadlines is a test's recorder.
			_, _ = c.SetReadDeadline(until), c.SetWriteDeadline(until)
			ctx, cancel := context.WithDeadline(r.Context(), until)
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

// throttle lets so many requests be answered at once, has so many more wait for
// their turn, each no longer than patience, and turns away the others.
func (a *API) throttle(concurrent, waiting int, patience time.Duration) func(http.Handler) http.Handler {
	admitted := make(chan struct{}, concurrent+waiting)
	working := make(chan struct{}, concurrent)
	busy := problemTooMany.with("the service is busy; try again")
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case admitted <- struct{}{}:
				defer func() { <-admitted }()
			default:
				a.problem(w, r, busy)
				return
			}
			turn := time.NewTimer(patience)
			defer turn.Stop()
			select {
			case working <- struct{}{}:
				defer func() { <-working }()
				next.ServeHTTP(w, r)
			case <-turn.C:
				a.problem(w, r, busy)
			case <-r.Context().Done(): // nobody is there to read an answer
			}
		})
	}
}

// limits bounds failed authentications by address.
type limits struct{ failures *httprate.RateLimiter }

const failuresPerMinute = 300

func newLimits() *limits {
	return &limits{httprate.NewRateLimiter(failuresPerMinute, time.Minute, httprate.WithResponseHeaders(httprate.ResponseHeaders{}))}
}

// failed counts a failure.
func (l *limits) failed(w http.ResponseWriter, r *http.Request) {
	l.failures.OnLimit(w, r, addressOf(r))
}

// reached says whether an address has as many failures as it may have. The
// limiter counts no further than its limit, and rounds.
func (l *limits) reached(r *http.Request) bool {
	_, rate, err := l.failures.Status(addressOf(r))
	return err != nil || math.Round(rate) >= failuresPerMinute
}

func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// metrics are what Prometheus sees.
type metrics struct {
	requests   *prometheus.HistogramVec
	statements *prometheus.CounterVec
	rejected   prometheus.Counter
	released   prometheus.Counter
}

func newMetrics(r *prometheus.Registry, g *guard.Guard) *metrics {
	m := &metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "custody_http_request_seconds", Help: "Time to answer a request.",
		}, []string{"route", "status"}),
		statements: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "custody_statements_total", Help: "Statements put on record.",
		}, []string{"kind", "permitted"}),
		rejected: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "custody_statements_rejected_total", Help: "Statements that were malformed or not authenticated; they leave no record.",
		}),
		released: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "custody_evidence_released_bytes_total", Help: "Bytes of evidence handed over.",
		}),
	}
	ready := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "custody_log_ready", Help: "1 while the log can be appended to.",
	}, func() float64 {
		if g.Ready() != nil {
			return 0
		}
		return 1
	})
	r.MustRegister(m.requests, m.statements, m.rejected, m.released, ready)
	return m
}
