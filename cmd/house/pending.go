package house

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/storage"
)

// lateAfter is how long what is to be destroyed may take before it is told.
const lateAfter = 5 * time.Minute

// pending is what is to be destroyed and is not yet. It is disposeLoop's own.
type pending struct {
	now    func() time.Time
	logger *slog.Logger
	items  map[custody.EvidenceID]*wait
}

// wait is that of one item.
type wait struct {
	since time.Time
	until time.Time // when to try again: it is locked until then, or lost
	told  bool
}

// over notes that an item is destroyed.
func (p *pending) over(id custody.EvidenceID) { delete(p.items, id) }

// still notes that it is not, and tells once when that takes long.
func (p *pending) still(ctx context.Context, id custody.EvidenceID) {
	w := p.items[id]
	if w == nil {
		w = &wait{since: p.now()}
		p.items[id] = w
	}
	if w.late(p.now()) && !w.told {
		w.told = true
		p.logger.WarnContext(ctx, "what is to be destroyed is still there", "evidence", id, "since", w.since)
	}
}

func (w *wait) late(now time.Time) bool { return now.Sub(w.since) > lateAfter }

// late counts the items that wait for long.
func (p *pending) late() (n int) {
	for _, w := range p.items {
		if w.late(p.now()) {
			n++
		}
	}
	return n
}

// holdAgain is after what time an item that is to be destroyed and is on hold in
// the bucket, though not on record, is released again.
const holdAgain = time.Minute

// restoredAgain is after what time a lost manifest is looked for again.
const restoredAgain = 10 * time.Minute

// postponed says whether an item has to wait still.
func (h *House) postponed(id custody.EvidenceID) bool {
	w := h.pending.items[id]
	return w != nil && h.now().Before(w.until)
}

// postpone notes until when an item is locked, when that is what an error means,
// or that somebody has to do something about it.
func (h *House) postpone(ctx context.Context, id custody.EvidenceID, err error) bool {
	if errors.Is(err, errUnlisted) {
		h.pending.items[id].until = h.now().Add(restoredAgain)
		h.logger.ErrorContext(ctx, "WHAT IS ORDERED DESTROYED CANNOT BE FOUND", "evidence", id, "error", err)
		return true
	}
	locked := new(storage.LockedError)
	if !errors.As(err, &locked) {
		return false
	}
	until := locked.Until.Add(time.Second)
	if again := h.now().Add(holdAgain); locked.Hold && until.Before(again) {
		until = again
	}
	if locked.Hold {
		h.guarded.free(id, false)
	}
	h.pending.items[id].until = until
	h.logger.InfoContext(ctx, "what is to be destroyed is locked", "evidence", id, "until", until, "error", err)
	return true
}
