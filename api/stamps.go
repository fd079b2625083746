package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/forensic-custody/custody/custody"
)

// Stamps are the stamps of time-stamping authorities on the log. They are public, as the
// log is.
type Stamps interface {
	// From returns the stamps of sizes from one on, all of one size or none.
	From(ctx context.Context, size uint64) (StampList, error)
	// Checkpoint returns the signed checkpoint of a size that was stamped, as its first
	// stamp has it, or custody.ErrUnknown.
	Checkpoint(ctx context.Context, size uint64) ([]byte, error)
	// Token returns a token (RFC 3161, DER) on a size by the name of its authority's
	// stamps in the list, or custody.ErrUnknown.
	Token(ctx context.Context, size uint64, name string) ([]byte, error)
}

// StampList is a page of the stamps of the log, in order of size, and whom the service asks
// for them.
type StampList struct {
	Authorities []StampAuthority `json:"authorities"` // that are asked now
	Stamps      []ListedStamp    `json:"stamps"`
	More        bool             `json:"more"` // there are some of larger sizes
}

// StampAuthority is an authority that the service asks.
type StampAuthority struct {
	Name    string                    `json:"name"`
	Kind    custody.TimeAuthorityKind `json:"kind"`    // as the operator says; a verifier's trust file decides
	Minutes int                       `json:"minutes"` // once in how many it is asked, when the log has grown
}

// ListedStamp is a stamp as the list has it. All of it can be read from the token
// too, which alone is to be believed.
type ListedStamp struct {
	Size      uint64                    `json:"size"` // of the log
	Authority string                    `json:"authority"`
	Kind      custody.TimeAuthorityKind `json:"kind"`
	Name      string                    `json:"name"` // the token is at log/stamps/SIZE/NAME.tst
	Time      custody.Time              `json:"time"` // the authority's
}

// stampList serves the list of stamps from a size on.
func (a *API) stampList(w http.ResponseWriter, r *http.Request) {
	size, err := sizeOf(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	list := StampList{Authorities: []StampAuthority{}, Stamps: []ListedStamp{}}
	if a.Stamps != nil {
		if list, err = a.Stamps.From(r.Context(), size); err != nil {
			a.fail(w, r, err)
			return
		}
	}
	w.Header().Set("Cache-Control", "no-cache")
	a.reply(w, r, http.StatusOK, list)
}

// stampPart serves a checkpoint that was stamped, or a token.
func (a *API) stampPart(w http.ResponseWriter, r *http.Request) {
	b, kind, err := a.stampBytes(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	if _, err := w.Write(b); err != nil { //nolint:gosec // neither kind of answer is shown as a page
		a.Logger.DebugContext(r.Context(), "client went away", "error", err)
	}
}

func (a *API) stampBytes(r *http.Request) (b []byte, kind string, err error) {
	size, err := sizeOf(r)
	if err != nil || a.Stamps == nil {
		return nil, "", custody.ErrUnknown
	}
	part := chi.URLParam(r, "part")
	if part == "checkpoint" {
		b, err = a.Stamps.Checkpoint(r.Context(), size)
		return b, "text/plain; charset=utf-8", err
	}
	name, ok := strings.CutSuffix(part, ".tst")
	if !ok {
		return nil, "", custody.ErrUnknown
	}
	b, err = a.Stamps.Token(r.Context(), size, name)
	return b, "application/octet-stream", err // application/timestamp-reply is the answer that it came in
}

// sizeOf reads a size of the log in its one spelling.
func sizeOf(r *http.Request) (uint64, error) {
	text := chi.URLParam(r, "size")
	size, err := strconv.ParseUint(text, 10, 63)
	if err != nil || strconv.FormatUint(size, 10) != text {
		return 0, custody.ErrUnknown
	}
	return size, nil
}
