package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

// The headers that carry what an admitted statement earned.
const (
	TicketHeader = "Custody-Ticket"
	ExportHeader = "Custody-Export"
)

// content hands over bytes of evidence for a ticket. The range, if given, is
// one, and lies inside the ticket's stretch; without it the whole stretch is
// handed over.
func (a *API) content(w http.ResponseWriter, r *http.Request) {
	use, err := a.Guard.Begin(r.Context(), bearer(r), r.Header.Get(TicketHeader))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	leave, err := a.contents.enter(r.Context(), use.Pass.Holder())
	if err != nil {
		a.fail(w, r, errors.Join(err, use.End(context.WithoutCancel(r.Context()), guard.Range{}, false)))
		return
	}
	defer leave()
	counted := false
	defer func() {
		if !counted { // a panic: recover, outside, answers it
			use.Abandon()
		}
	}()
	handed, answered, err := a.handOver(w, r, use)
	counted = true
	// What was handed over is put on record even when the client has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), time.Minute)
	defer cancel()
	if end := use.End(ctx, handed, answered); end != nil {
		a.Logger.ErrorContext(ctx, "release not on record yet", "evidence", use.Pass.Evidence(), "error", end)
	}
	a.metrics.released.Add(float64(handed.Length))
	if err == nil {
		return
	}
	if errors.Is(err, ErrDamaged) {
		a.damaged(ctx, use.Pass.Evidence(), err)
	}
	if handed.Length > 0 || errors.Is(err, errBegun) {
		a.Logger.WarnContext(ctx, "release broken off", "evidence", use.Pass.Evidence(), "sent", handed.Length, "error", err)
		panic(http.ErrAbortHandler) // nobody must take a part for the whole
	}
	a.fail(w, r, err)
}

// damaged puts on record that an item's bytes are not those that were sealed:
// from then on it is shown as damaged, and its retrieval refused. What was ordered
// destroyed meanwhile is not damaged.
func (a *API) damaged(ctx context.Context, id custody.EvidenceID, cause error) {
	if item, err := a.Guard.Item(ctx, id); err == nil && item.Disposal.Approved() {
		a.Logger.InfoContext(ctx, "what was being retrieved was ordered destroyed", "evidence", id)
		return
	}
	a.Logger.ErrorContext(ctx, "EVIDENCE DAMAGED", "evidence", id, "error", cause)
	act := custody.Act(&custody.CheckEvidence{Evidence: id})
	if d := (Damage{}); errors.As(cause, &d) && d.Keys != "" {
		act = &custody.LoseKeys{Evidence: id, State: d.Keys}
	}
	if _, err := a.Guard.Attest(ctx, "found while it was being retrieved", act); err != nil {
		a.Logger.ErrorContext(ctx, "damage not on record", "evidence", id, "error", err)
	}
}

// errBegun marks an error after the answer's header was sent.
var errBegun = errors.New("the answer has begun")

// handOver answers with the bytes that are asked for. It returns what of the
// artifact was handed over, and whether that is all that was asked for.
func (a *API) handOver(w http.ResponseWriter, r *http.Request, use *guard.Use) (handed guard.Range, answered bool, err error) {
	if string(use.Pass.Evidence()) != chi.URLParam(r, "evidence") {
		return handed, false, custody.ErrUnknown
	}
	asked := r.Header.Get("Range")
	if r.Header.Get("If-Range") != "" { // no answer has a validator, so none holds (RFC 9110, section 13.1.5)
		asked = ""
	}
	want, partial, err := rangeOf(asked, use.Pass.Span())
	if err != nil {
		a.problem(w, r, problemRange.with(err.Error()))
		return handed, false, nil
	}
	content, err := a.Vault.Open(r.Context(), use.Pass, want)
	if err != nil {
		return handed, false, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()

	// The first bytes are verified before the answer says that they come.
	first := make([]byte, copySize)
	n, err := io.ReadFull(content, first)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return handed, false, err
	}
	id := use.Pass.Evidence()
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="evidence-%s.bin"`, id))
	h.Set("Content-Length", strconv.FormatUint(want.Length, 10))
	h.Set("Accept-Ranges", "bytes")
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", want.Offset, want.Offset+want.Length-1, use.Pass.Artifact().Size))
	}
	w.WriteHeader(status)
	sent, err := a.copyOut(r.Context(), w, use, first[:n], content)
	handed = guard.Range{Offset: want.Offset, Length: sent}
	if err == nil && sent != want.Length {
		err = fmt.Errorf("%d of %d bytes", sent, want.Length)
	}
	if err != nil {
		return handed, false, errors.Join(errBegun, err)
	}
	return handed, true, nil
}

// maxOwnContents is how many requests of one person are handed bytes at once. Each
// has memory of its own beside the vault's buffers, of which one person has a share.
// mostContentsWaiting more of his can wait for their turn.
const (
	maxOwnContents      = 8
	mostContentsWaiting = 8
)

// The copying of evidence to a client: how much at once, the slowest rate that
// is borne over a chunk, which stands in a buffer meanwhile, with shortestWait more
// for it, and how often the right is looked at again.
const (
	copySize     = 256 << 10
	slowest      = 32 << 10          // bytes per second
	lookEvery    = custody.ChunkSize // bytes
	lookAfter    = 500 * time.Millisecond
	shortestWait = 30 * time.Second
)

// copyOut returns how many bytes it has given to the connection. What came out
// at its other end, its receiver says.
func (a *API) copyOut(ctx context.Context, w http.ResponseWriter, use *guard.Use, first []byte, rest io.Reader) (uint64, error) {
	c := http.NewResponseController(w)
	var sent, lookedAt uint64
	looked := time.Now()
	buffer := make([]byte, copySize)
	var pace pace
	for b := first; len(b) > 0; {
		_ = c.SetWriteDeadline(pace.deadline(sent, len(b), time.Now()))
		n, err := w.Write(b)
		sent += uint64(n)
		if err != nil {
			return sent, err
		}
		if sent-lookedAt >= lookEvery || time.Since(looked) >= lookAfter {
			if err := use.Permitted(ctx); err != nil {
				return sent, err
			}
			lookedAt, looked = sent, time.Now()
		}
		n, err = io.ReadFull(rest, buffer)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			return sent, err
		}
		b = buffer[:n]
	}
	return sent, nil
}

// pace is how fast a client has to take what is handed out.
type pace struct {
	end   uint64    // of a stretch of a chunk's length
	until time.Time // when that has to have left
}

// deadline says by when the next n bytes have to leave, after sent: in time for
// themselves, and so that their stretch is in time.
func (p *pace) deadline(sent uint64, n int, now time.Time) time.Time {
	if sent >= p.end {
		p.end, p.until = sent+custody.ChunkSize, now.Add(chunkWithin)
	}
	if own := now.Add(shortestWait + time.Duration(n/slowest)*time.Second); own.Before(p.until) {
		return own
	}
	return p.until
}

// rangeOf reads a Range header with one range of bytes (RFC 9110, section
// 14.2), counted from the start of the artifact. Without the header the whole
// stretch is meant.
func rangeOf(header string, span guard.Range) (guard.Range, bool, error) {
	if header == "" {
		return span, false, nil
	}
	spec, ok := strings.CutPrefix(header, "bytes=")
	from, to, ok2 := strings.Cut(spec, "-")
	first, err := strconv.ParseUint(from, 10, 63)
	if !ok || !ok2 || err != nil || strings.Contains(spec, ",") {
		return guard.Range{}, false, errors.New(`give one range as "bytes=FIRST-LAST" or "bytes=FIRST-", counted from the start of the artifact`)
	}
	end := span.Offset + span.Length // after the last byte
	if to != "" {
		last, err := strconv.ParseUint(to, 10, 63)
		if err != nil || last < first {
			return guard.Range{}, false, errors.New("the range ends before it begins")
		}
		end = min(end, last+1)
	}
	if first < span.Offset || first >= end {
		return guard.Range{}, false, fmt.Errorf("the ticket is for %d bytes from byte %d", span.Length, span.Offset)
	}
	return guard.Range{Offset: first, Length: end - first}, true, nil
}

// bundle hands over the bundle that an admitted export earned. The query
// leaves=0 asks for one without the leaves of the log.
func (a *API) bundle(w http.ResponseWriter, r *http.Request) {
	var export guard.Export
	err := a.Guard.Read(r.Context(), bearer(r), func(read *guard.Reader) (err error) {
		export, err = read.Exporting(r.Header.Get(ExportHeader))
		return err
	})
	if err != nil {
		a.fail(w, r, err)
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerWithin))
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s%s.bundle"`, export.Evidence, export.Incident)) // one of them is empty
	out := &begun{w: w}
	if err := a.Bundle(r.Context(), out, export, r.URL.Query().Get("leaves") != "0"); err != nil {
		if out.yes {
			a.Logger.ErrorContext(r.Context(), "bundle broken off", "error", err)
			panic(http.ErrAbortHandler)
		}
		w.Header().Del("Content-Disposition")
		a.fail(w, r, err)
	}
}

// begun notes whether anything was written.
type begun struct {
	w   io.Writer
	yes bool
}

func (b *begun) Write(p []byte) (int, error) {
	b.yes = true
	return b.w.Write(p)
}
