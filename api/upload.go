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

// uploading finds the upload that a request's session may continue.
func (a *API) uploading(r *http.Request) (custody.IncidentID, custody.EvidenceID, custody.Item, error) {
	id, err := custody.ParseEvidenceID(chi.URLParam(r, "evidence"))
	if err != nil {
		return "", "", custody.Item{}, custody.ErrUnknown
	}
	var incident custody.IncidentID
	var item custody.Item
	err = a.Guard.Read(r.Context(), bearer(r), func(read *guard.Reader) (err error) {
		item, incident, err = read.Uploading(id)
		return err
	})
	return incident, id, item, err
}

func (a *API) haveChunks(w http.ResponseWriter, r *http.Request) {
	_, id, _, err := a.uploading(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	from, err := numberOf(r, "from", 0)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	list, err := a.Intake.Have(r.Context(), id, from, chunkPage)
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

// putChunk takes in one chunk: 204 when it is stored for good.
func (a *API) putChunk(w http.ResponseWriter, r *http.Request) {
	incident, id, item, err := a.uploading(r)
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
	if item.Sealed {
		a.fail(w, r, fmt.Errorf("%w: the item is sealed", ErrConflict))
		return
	}
	if index >= custody.ChunkCount(item.Begun.AtMost) {
		a.fail(w, r, fmt.Errorf("%w: chunk %d lies beyond the %d bytes announced", ErrConflict, index, item.Begun.AtMost))
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(shortestWait + custody.ChunkSize/slowest*time.Second))
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, custody.ChunkSize))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if err := a.Intake.Put(r.Context(), incident, id, index, digest, b); err != nil {
		a.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
