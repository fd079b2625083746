package api

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestThrottle: one works, one waits and is turned away when it has waited too
// long, a third is turned away at once.
func TestThrottle(t *testing.T) {
	a := &API{Config: Config{Logger: slog.New(slog.DiscardHandler)}}
	begun, finish := make(chan struct{}), make(chan struct{})
	handler := a.throttle(1, 1, 200*time.Millisecond)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		begun <- struct{}{}
		<-finish
		w.WriteHeader(http.StatusNoContent)
	}))
	ask := func() <-chan *httptest.ResponseRecorder {
		answer := make(chan *httptest.ResponseRecorder, 1)
		go func() {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
			answer <- w
		}()
		return answer
	}
	turnedAway := func(w *httptest.ResponseRecorder) {
		require.Equal(t, http.StatusTooManyRequests, w.Code)
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
		require.NotEmpty(t, w.Header().Get("Retry-After"))
	}
	first := ask()
	<-begun
	second, third := ask(), ask()
	turnedAway(<-second)
	turnedAway(<-third)
	fourth := ask()
	finish <- struct{}{}
	require.Equal(t, http.StatusNoContent, (<-first).Code)
	<-begun
	finish <- struct{}{}
	require.Equal(t, http.StatusNoContent, (<-fourth).Code)
}
