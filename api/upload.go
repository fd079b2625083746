package api

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-json-experiment/json"

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
	by       custody.PrincipalID // who continues it
	atMost   uint64              // bytes that were announced
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
		if item.Withdrawn {
			return fmt.Errorf("%w: the item was withdrawn", ErrConflict)
		}
		u.incident, u.by, u.atMost, u.sealed = incident, read.Principal, item.Begun.AtMost, item.Sealed
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

// Offer says of chunks that they could be brought.
type Offer struct {
	Chunks []Chunk `json:"chunks"` // at most 1000
}

// Wanted answers an offer: which chunks are to be sent. The others are noted as
// received.
type Wanted struct {
	Wanted []uint64 `json:"wanted"` // indexes
	Any    bool     `json:"any"`    // false: nothing but zeros can be used, do not offer more
}

// offerChunks says which of the offered chunks are wanted. Nobody learns of a
// chunk here that he could not read: besides zeros it knows those of the upload
// itself, and of items that the session's principal may retrieve now.
func (a *API) offerChunks(w http.ResponseWriter, r *http.Request) {
	u, err := a.uploading(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	var offer Offer
	if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, maxOffer), &offer, json.RejectUnknownMembers(true)); err != nil {
		a.fail(w, r, fmt.Errorf("%w: %w", guard.ErrMalformed, err))
		return
	}
	if len(offer.Chunks) > chunkPage {
		a.fail(w, r, fmt.Errorf("%w: %d chunks offered; %d is the most", guard.ErrMalformed, len(offer.Chunks), chunkPage))
		return
	}
	for _, c := range offer.Chunks {
		if err := u.takes(c.Index); err != nil {
			a.fail(w, r, err)
			return
		}
		if c.Length == 0 || c.Length > custody.ChunkSize {
			a.fail(w, r, fmt.Errorf("%w: a chunk has 1 to %d bytes, not %d", guard.ErrMalformed, custody.ChunkSize, c.Length))
			return
		}
	}
	may := map[custody.EvidenceID]bool{}
	wanted, any, err := a.Intake.Offer(r.Context(), u.incident, u.evidence, offer.Chunks, func(e custody.EvidenceID) bool {
		if _, asked := may[e]; !asked {
			may[e] = a.Guard.Read(r.Context(), bearer(r), func(read *guard.Reader) error { return read.MayRetrieve(e) }) == nil
		}
		return may[e]
	})
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.reply(w, r, http.StatusOK, Wanted{Wanted: wanted, Any: any})
}

// maxOffer is the size in bytes of the longest offer.
const maxOffer = 256 << 10

// takes refuses a chunk that the upload cannot have.
func (u upload) takes(index uint64) error {
	if u.sealed {
		return fmt.Errorf("%w: the item is sealed", ErrConflict)
	}
	if index >= custody.ChunkCount(u.atMost) {
		return fmt.Errorf("%w: chunk %d lies beyond the %d bytes announced", ErrConflict, index, u.atMost)
	}
	return nil
}

// maxBodies is how many chunks are taken in at once, each in a buffer of the vault,
// which has more of them, so that chunks that come slowly leave some for what is
// read back; and maxOwnBodies how many of one person, so that his leave some for
// others. mostOwnWaiting more of his can wait for their turn.
const (
	maxBodies      = 4
	maxOwnBodies   = 3
	mostOwnWaiting = 64
)

// body has a request's chunk read within a time, and no more of it than a chunk
// can have, until done is called.
func (a *API) body(w http.ResponseWriter, r *http.Request, by custody.PrincipalID) (source io.Reader, done func(), err error) {
	if r.ContentLength > custody.ChunkSize {
		return nil, nil, &http.MaxBytesError{Limit: custody.ChunkSize}
	}
	if done, err = a.bodies.enter(r.Context(), by); err != nil {
		return nil, nil, err
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(chunkWithin))
	return http.MaxBytesReader(w, r.Body, custody.ChunkSize), done, nil
}

// hearOut reads what still comes of a chunk that is refused, if it comes at once:
// who is cut short while he sends sees a broken connection, and not the answer.
func hearOut(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(hearWithin))
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, custody.ChunkSize)) // what does not come is not missed
}

// hearWithin is how long the rest of a chunk that is refused is read.
const hearWithin = 5 * time.Second

// chunkWithin is how long the bytes of a chunk may take to come, or to leave.
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
	if err := u.takes(index); err != nil {
		a.fail(w, r, err)
		return
	}
	source, done, err := a.body(w, r, u.by)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	err = func() error {
		defer done()
		return a.Intake.Put(r.Context(), u.incident, u.evidence, index, digest, source)
	}()
	if err != nil {
		hearOut(w, r)
		a.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
