package api

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

// ChunkDigest is the header that carries a chunk's digest.
const ChunkDigest = "Custody-Chunk-Digest"

// Chunks is a page of what an upload has, in order.
type Chunks struct {
	Chunks []Chunk `json:"chunks"`
	Next   *uint64 `json:"next,omitempty"` // index to go on from, when there may be more
}

const chunkPage = 1000

// upload is what a request needs to know of the upload that it continues.
type upload struct {
	incident custody.IncidentID
	evidence custody.EvidenceID
	atMost   uint64 // bytes that were announced
	sealed   bool
}

// uploading finds the upload that a request's session may continue.
func (a *API) uploading(r *http.Request) (u upload, err error) {
	if u.evidence, err = custody.ParseEvidenceID(chi.URLParam(r, "evidence")); err != nil {
		return upload{}, custody.ErrUnknown
	}
	err = a.Guard.Read(r.Context(), bearer(r), func(read *guard.Reader) error {
		item, incident, err := read.Uploading(u.evidence)
		if err != nil {
			return err
		}
		u.incident, u.atMost, u.sealed = incident, item.Begun.AtMost, item.Sealed
		return nil
	})
	return u, err
}

func (a *API) haveChunks(w http.ResponseWriter, r *http.Request) {
	u, err := a.uploading(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	from, err := numberOf(r, "from", 0)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	list, err := a.Intake.Have(r.Context(), u.evidence, from, chunkPage)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	page := Chunks{Chunks: append([]Chunk{}, list...)}
	if len(list) == chunkPage {
		next := list[len(list)-1].Index + 1
		page.Next = &next
	}
	a.reply(w, r, http.StatusOK, page)
}

// chunkWithin is how long the bytes of a chunk may take to come.
const chunkWithin = shortestWait + custody.ChunkSize/slowest*time.Second

// putChunk takes in one chunk: 204 when it is stored for good.
func (a *API) putChunk(w http.ResponseWriter, r *http.Request) {
	u, err := a.uploading(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	index, err := strconv.ParseUint(chi.URLParam(r, "index"), 10, 53)
	if err != nil {
		a.fail(w, r, fmt.Errorf("%w: the chunk's index is not a number", guard.ErrMalformed))
		return
	}
	digest, err := custody.ParseDigest(r.Header.Get(ChunkDigest))
	if err != nil {
		a.fail(w, r, fmt.Errorf("%w: %s: %w", guard.ErrMalformed, ChunkDigest, err))
		return
	}
	if u.sealed {
		a.fail(w, r, fmt.Errorf("%w: the item is sealed", ErrConflict))
		return
	}
	if index >= custody.ChunkCount(u.atMost) {
		a.fail(w, r, fmt.Errorf("%w: chunk %d lies beyond the %d bytes announced", ErrConflict, index, u.atMost))
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(chunkWithin))
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, custody.ChunkSize))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if err := a.Intake.Put(r.Context(), u.incident, u.evidence, index, digest, b); err != nil {
		a.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
