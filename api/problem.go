package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

// Problem is an RFC 9457 problem detail. Type is problemBase and one of the
// names in the table below.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

const problemBase = "https://github.com/forensic-custody/custody/problems/"

// The kinds of problem.
var (
	problemRefused         = Problem{Type: problemBase + "refused", Title: "Refused", Status: http.StatusForbidden}
	problemNotFound        = Problem{Type: problemBase + "not-found", Title: "No such thing, or not for you", Status: http.StatusNotFound}
	problemMalformed       = Problem{Type: problemBase + "malformed", Title: "Malformed request", Status: http.StatusBadRequest}
	problemUnauthenticated = Problem{Type: problemBase + "unauthenticated", Title: "Not authenticated", Status: http.StatusUnauthorized}
	problemUnavailable     = Problem{Type: problemBase + "unavailable", Title: "Nothing can be put on record now", Status: http.StatusServiceUnavailable}
	problemConflict        = Problem{Type: problemBase + "conflict", Title: "Conflicts with what is there", Status: http.StatusConflict}
	problemErased          = Problem{Type: problemBase + "erased", Title: "Erased by order", Status: http.StatusGone}
	problemDamaged         = Problem{Type: problemBase + "damaged", Title: "Evidence damaged", Status: http.StatusInternalServerError}
	problemTooLarge        = Problem{Type: problemBase + "too-large", Title: "Too large", Status: http.StatusRequestEntityTooLarge}
	problemFull            = Problem{Type: problemBase + "storage-full", Title: "The store is full", Status: http.StatusInsufficientStorage}
	problemTooMany         = Problem{Type: problemBase + "too-many", Title: "Too many requests", Status: http.StatusTooManyRequests}
	problemRange           = Problem{Type: problemBase + "range", Title: "Range outside of what was granted", Status: http.StatusRequestedRangeNotSatisfiable}
	problemMethod          = Problem{Type: problemBase + "method", Title: "Method not allowed", Status: http.StatusMethodNotAllowed}
	problemInternal        = Problem{Type: problemBase + "internal", Title: "Internal error", Status: http.StatusInternalServerError}
)

// The errors of what the service is wired to that have a problem of their own.
var (
	ErrConflict = errors.New("conflicts with what is there")
	ErrDamaged  = errors.New("damaged")
	ErrFull     = errors.New("full")
	ErrMismatch = errors.New("the bytes are not those of the digest")
)

// Damage is ErrDamaged with the place: bytes of the artifact that cannot be had.
// Keys is how the incident's keys are lost, as in custody.LoseKeys, where that is
// why.
type Damage struct {
	Range guard.Range
	Keys  string
}

func (d Damage) Error() string {
	if d.Range.Length == 0 {
		return ErrDamaged.Error()
	}
	return fmt.Sprintf("%s at bytes %d to %d", ErrDamaged, d.Range.Offset, d.Range.Offset+d.Range.Length-1)
}

// Is reports whether target is ErrDamaged.
func (d Damage) Is(target error) bool { return target == ErrDamaged }

// problemOf finds the problem that an error is shown as. Only errors made for
// the caller keep their text.
func problemOf(err error) Problem {
	tooLarge := new(http.MaxBytesError)
	switch {
	case errors.Is(err, custody.ErrUnknown):
		return problemNotFound
	case errors.Is(err, guard.ErrMalformed):
		return problemMalformed.with(strings.TrimPrefix(err.Error(), guard.ErrMalformed.Error()+": "))
	case errors.Is(err, guard.ErrUnauthenticated):
		return problemUnauthenticated.with(strings.TrimPrefix(err.Error(), guard.ErrUnauthenticated.Error()+": "))
	case errors.Is(err, guard.ErrTooMany):
		return problemTooMany.with(err.Error())
	case errors.Is(err, guard.ErrErased):
		return problemErased.with(guard.ErrErased.Error())
	case errors.Is(err, guard.ErrWithdrawn):
		return problemRefused.with(guard.ErrWithdrawn.Error())
	case errors.Is(err, guard.ErrFoundDamaged):
		return problemRefused.with(guard.ErrFoundDamaged.Error())
	case errors.Is(err, ErrMismatch):
		return problemMalformed.with(ErrMismatch.Error())
	case errors.Is(err, ErrConflict):
		return problemConflict.with(err.Error())
	case errors.Is(err, ErrFull):
		return problemFull.with("free some space or choose another store; the upload can be continued")
	case errors.Is(err, ErrDamaged):
		return problemDamaged.with(whereDamaged(err))
	case errors.As(err, &tooLarge):
		return problemTooLarge
	case errors.Is(err, guard.ErrUnavailable):
		return problemUnavailable.with(whyUnavailable(err))
	case errors.Is(err, context.DeadlineExceeded):
		return problemUnavailable.with("this took too long")
	}
	return problemInternal
}

func whereDamaged(err error) string {
	d := Damage{}
	if errors.As(err, &d) && d.Keys != "" {
		return "the keys that the stored bytes are encrypted under are lost (" + d.Keys + "); none of the bytes was released"
	}
	if errors.As(err, &d) && d.Range.Length > 0 {
		return fmt.Sprintf("the stored bytes %d to %d are not those that were sealed; none of them was released", d.Range.Offset, d.Range.Offset+d.Range.Length-1)
	}
	return "the stored bytes are not those that were sealed; none of them was released"
}

func whyUnavailable(err error) string {
	why := "the log or the database cannot take a record"
	if stopped := new(guard.Stopped); errors.As(err, stopped) {
		why = stopped.Why
	}
	return why + "; nothing was released or changed; send the same statement again later"
}

func (p Problem) with(detail string) Problem {
	p.Detail = detail
	return p
}

// fail answers with the problem of an error and notes the error in the log.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p.Status >= http.StatusInternalServerError {
		a.Logger.ErrorContext(r.Context(), "request failed", "path", routeOf(r), "status", p.Status, "error", err)
	}
	a.problem(w, r, p)
}

func (a *API) problem(w http.ResponseWriter, r *http.Request, p Problem) {
	if p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "5")
	}
	a.write(w, r, p.Status, "application/problem+json", p)
}

// reply answers with JSON.
func (a *API) reply(w http.ResponseWriter, r *http.Request, status int, v any) {
	a.write(w, r, status, "application/json", v)
}

func (a *API) write(w http.ResponseWriter, r *http.Request, status int, kind string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		a.Logger.ErrorContext(r.Context(), "answer cannot be encoded", "path", routeOf(r), "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	if _, err := w.Write(append(b, '\n')); err != nil { //nolint:gosec // JSON, and the headers say so
		a.Logger.DebugContext(r.Context(), "client went away", "path", routeOf(r), "error", err)
	}
}
