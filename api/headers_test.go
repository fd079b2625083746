package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
)

// always are the headers of every answer.
var always = map[string]string{
	"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox",
	"X-Content-Type-Options":       "nosniff",
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Cross-Origin-Embedder-Policy": "require-corp",
	"Permissions-Policy":           "camera=(), geolocation=(), microphone=()",
}

// requireHeaders checks what every answer carries, and what none does.
func requireHeaders(t *testing.T, a answer) {
	t.Helper()
	for name, want := range always {
		require.Equal(t, []string{want}, a.Header.Values(name), name)
	}
	for _, name := range []string{"Server", "X-Powered-By", "Via", "ETag", "Last-Modified", "Content-Encoding", "Set-Cookie", "Access-Control-Allow-Origin"} {
		require.Empty(t, a.Header.Values(name), name)
	}
	require.Len(t, a.Header.Values("Cache-Control"), 1)
	if !strings.HasPrefix(a.Request.URL.Path, "/log/") || a.StatusCode >= 400 {
		require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	}
}

var filled = strings.NewReplacer(
	"{incident}", "i-aaaaaaaaaaaaaaaa", "{evidence}", "e-aaaaaaaaaaaaaaaa", "{index}", "0", "{size}", "7", "{part}", "checkpoint", "{kind}", "evidence", "{id}", "e-aaaaaaaaaaaaaaaa",
	"*", "entries/000.p/1",
)

func TestHeadersOnEveryRoute(t *testing.T) {
	for _, secure := range []bool{false, true} {
		s := newService(t, func(c *api.Config) { c.Secure = secure })
		v := s.login(s.Engineer)
		asks := []string{"GET /", "GET /nothing/here", "GET /v1/nothing", "POST /livez", "HEAD /livez", "OPTIONS /v1/statements", "TRACE /v1/whoami", "GET /log/tile/0/999"}
		for _, r := range routes(t, s.api) {
			asks = append(asks, filled.Replace(r))
		}
		for _, ask := range asks {
			method, path, _ := strings.Cut(ask, " ")
			if ask == "DELETE /v1/session" {
				defer func() { requireHeaders(t, s.do(v, method, path, nil, nil)) }()
				continue
			}
			for _, who := range []*visitor{nil, v} {
				a := s.do(who, method, path, http.Header{"Accept-Encoding": {"gzip, br, zstd"}, "If-None-Match": {"*"}}, nil)
				requireHeaders(t, a)
				hsts := []string(nil)
				if secure {
					hsts = []string{"max-age=31536000; includeSubDomains"}
				}
				require.Equal(t, hsts, a.Header.Values("Strict-Transport-Security"), ask)
			}
		}
	}
}

// panicking is a log with a bug.
type panicking struct{}

func (panicking) Tile(context.Context, string) ([]byte, error) { panic("the secret of the bug") }

func TestPanicIsAnAnswerAndTellsNothing(t *testing.T) {
	s := newService(t, func(c *api.Config) { c.Log = panicking{} })
	a := s.get(nil, "/log/checkpoint")
	requireHeaders(t, a)
	require.Empty(t, problem(t, a, http.StatusInternalServerError, "internal").Detail)
	require.NotContains(t, string(a.body), "secret")
	require.Contains(t, s.logged.String(), "the secret of the bug")
	require.Equal(t, http.StatusOK, s.get(nil, "/livez").StatusCode)
}

func TestMethods(t *testing.T) {
	s := newService(t)
	for ask, allowed := range map[string]string{
		"POST /livez":          "GET",
		"GET /v1/statements":   "POST",
		"PATCH /v1/statements": "POST",
		"GET /v1/session":      "DELETE",
		"POST /v1/evidence/e-aaaaaaaaaaaaaaaa/content":    "GET PUT",
		"DELETE /v1/evidence/e-aaaaaaaaaaaaaaaa/chunks/0": "PUT",
	} {
		method, path, _ := strings.Cut(ask, " ")
		a := s.do(nil, method, path, nil, nil)
		problem(t, a, http.StatusMethodNotAllowed, "method")
		require.Equal(t, strings.Fields(allowed), a.Header.Values("Allow"), ask) // RFC 9110, section 15.5.6
	}
}

// TestHeadTellsNothing: without reading there is nothing to learn, not even by
// whoever holds a ticket.
func TestHeadTellsNothing(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	e, _ := s.takeIn(v, "EX-1", s.Artifact)
	ticket := s.retrieve(v, e, 0, 0)
	there := s.do(v, http.MethodHead, contentPath(e), http.Header{api.TicketHeader: {ticket}}, nil)
	nowhere := s.do(v, http.MethodHead, contentPath("e-aaaaaaaaaaaaaaaa"), http.Header{api.TicketHeader: {ticket}}, nil)
	require.Equal(t, http.StatusMethodNotAllowed, there.StatusCode)
	require.Equal(t, plain(nowhere), plain(there))
	require.Empty(t, s.releases(e))
}

// plain is an answer without what differs from one moment to the next.
func plain(a answer) answer {
	h := a.Header.Clone()
	h.Del("Date")
	return answer{Response: &http.Response{StatusCode: a.StatusCode, Header: h, ContentLength: a.ContentLength}, body: a.body}
}

func TestPublicLog(t *testing.T) {
	s := newService(t)
	keys, err := s.Trust.LogKeys()
	require.NoError(t, err)
	v := keys.Now()
	a := s.get(nil, "/log/checkpoint")
	require.Equal(t, "text/plain; charset=utf-8", a.Header.Get("Content-Type"))
	require.Equal(t, "no-cache", a.Header.Get("Cache-Control"))
	point, err := custody.OpenCheckpoint(a.body, v)
	require.NoError(t, err)
	require.EqualValues(t, s.records(), point.Size)

	a = s.get(nil, "/log/tile/entries/000.p/1")
	require.Equal(t, "application/octet-stream", a.Header.Get("Content-Type"))
	require.Equal(t, "public, max-age=31536000, immutable", a.Header.Get("Cache-Control"))
	require.Len(t, a.body, 2+len(custody.Leaf{}))
	for _, path := range []string{"/log/tile/", "/log/tile/0/000", "/log/tile/%2e%2e/checkpoint", "/log/tile/../checkpoint/", "/log/"} {
		problem(t, s.get(nil, path), http.StatusNotFound, "not-found")
	}
}
