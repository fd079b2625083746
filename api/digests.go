package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

// PageChunks is how many chunks a page of digests is about: 32 GiB of them.
const PageChunks = 4096

// Digests are the digests of those chunks on one page of an artifact that a ticket
// touches, and the proofs that make it unnecessary to believe them: Chunks and
// Rest give the artifact's root (custody.RangeRoot, among all its chunks). Of a
// chunk of which the ticket is for a part, First and Last complete the digests of
// the part's whole blocks to the chunk's.
type Digests struct {
	Chunks []custody.Digest `json:"chunks"`          // in order, from the one at the ticket's first byte, or at the page's
	Rest   []custody.Digest `json:"rest"`            // may be empty
	First  []custody.Digest `json:"first,omitempty"` // of the first chunk; none where that is whole, or zeros
	Last   []custody.Digest `json:"last,omitempty"`  // of the last chunk, if that is another
}

// digests tells the holder of a ticket what the chunks are, so that he can
// verify each as it comes, fetch them side by side, and need not fetch zeros:
// these are handed over with their digest.
func (a *API) digests(w http.ResponseWriter, r *http.Request) {
	page, err := numberOf(r, "page", 0)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	use, err := a.Guard.Begin(r.Context(), bearer(r), r.Header.Get(TicketHeader))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	ended := false
	defer func() {
		if !ended { // a panic: recover, outside, answers it
			use.Abandon()
		}
	}()
	list, err := a.digestsOf(r, use, page)
	var told []guard.Range
	if err == nil {
		told = zeros(list.Chunks, max(page*PageChunks, use.Pass.Span().Offset/custody.ChunkSize), use.Pass)
	}
	// What is told is counted before it is told: it is little, and certain.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), time.Minute)
	defer cancel()
	ended = true
	if end := use.EndAll(ctx, told, false); end != nil && err == nil {
		err = fmt.Errorf("%w: %w", guard.ErrUnavailable, end)
	}
	if errors.Is(err, ErrDamaged) {
		a.damaged(ctx, use.Pass.Evidence(), err)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.reply(w, r, http.StatusOK, list)
}

func (a *API) digestsOf(r *http.Request, use *guard.Use, page uint64) (Digests, error) {
	if string(use.Pass.Evidence()) != chi.URLParam(r, "evidence") {
		return Digests{}, custody.ErrUnknown
	}
	if page >= (custody.ChunkCount(use.Pass.Artifact().Size)+PageChunks-1)/PageChunks {
		return Digests{}, fmt.Errorf("%w: the artifact has no page %d", guard.ErrMalformed, page)
	}
	return a.Vault.Digests(r.Context(), use.Pass, page)
}

// zeros returns the stretches of the chunks from number first on that are zeros
// and lie within what the pass is for.
func zeros(chunks []custody.Digest, first uint64, pass guard.Pass) (list []guard.Range) {
	span := pass.Span()
	for n, d := range chunks {
		begin := (first + uint64(n)) * custody.ChunkSize
		length := min(custody.ChunkSize, pass.Artifact().Size-begin)
		if d != custody.ZeroChunk(length) {
			continue
		}
		from, to := max(begin, span.Offset), min(begin+length, span.Offset+span.Length)
		if from >= to {
			continue
		}
		if last := len(list) - 1; last >= 0 && list[last].Offset+list[last].Length == from {
			list[last].Length += to - from
			continue
		}
		list = append(list, guard.Range{Offset: from, Length: to - from})
	}
	return list
}
