package house

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/sql"
)

// withdrawnItem is an item whose upload was ended by record.
type withdrawnItem struct {
	id       custody.EvidenceID
	incident custody.IncidentID
}

// discardWithdrawn removes what arrived of items that were withdrawn. Their
// records stay.
func (h *House) discardWithdrawn(ctx context.Context) error {
	if now := h.items.changes(); now != h.withdrawnAt {
		list, err := h.withdrawn(ctx)
		if err != nil {
			return err
		}
		h.withdrawnList, h.withdrawnAt = list, now
	}
	var failed []error
	for _, w := range h.withdrawnList {
		var err error
		if !h.postponed(w.id) {
			if err = h.discard(ctx, w); err == nil {
				h.pending.over(w.id)
				continue
			}
		}
		h.pending.still(ctx, w.id)
		if err != nil && !h.postpone(ctx, w.id, err) { // locked by a seal that was refused
			failed = append(failed, fmt.Errorf("%s: %w", w.id, err))
		}
	}
	return errors.Join(failed...)
}

// withdrawn lists the items whose withdrawal is proven to be in the log.
func (h *House) withdrawn(ctx context.Context) (list []withdrawnItem, err error) {
	err = h.guard.Survey(ctx, func(v custody.View) error {
		state, err := v.State(custody.IncidentsStream)
		if err != nil {
			return err
		}
		incidents, ok := state.(*investigate.Incidents)
		if !ok {
			return fmt.Errorf("%s: folded as %T", custody.IncidentsStream, state)
		}
		for _, opened := range incidents.Opened {
			state, err := v.State(opened.ID.Stream())
			if err != nil {
				return err
			}
			i, ok := state.(*investigate.Incident)
			if !ok {
				return fmt.Errorf("%s: folded as %T", opened.ID.Stream(), state)
			}
			for _, id := range i.Items() {
				if item, ok := i.Item(id); ok && item.Withdrawn {
					list = append(list, withdrawnItem{id, opened.ID})
				}
			}
		}
		return nil
	})
	return list, err
}

// discard removes the chunks of one upload, and those that were cut off or replaced,
// that nothing else of the incident uses, with the manifest of a seal that was refused, and then forgets it. A chunk that was on its way at the time of the
// withdrawal makes an upload again, which the next round finds.
func (h *House) discard(ctx context.Context, w withdrawnItem) error {
	up, err := h.intake.Rows.Upload(ctx, w.id)
	if errors.Is(err, custody.ErrUnknown) {
		return nil // nothing arrived, or it is done
	}
	if err != nil {
		return err
	}
	err = h.vault.Discard(ctx, w.incident, chunksOf(ctx, h.intake.Rows, up), h.others(w.incident, w.id))
	if err == nil {
		err = h.discardLeftovers(ctx, w.incident, w.id)
	}
	switch {
	case errors.Is(err, storage.ErrNotFound) && !h.anySealed(w.incident): // no keys: nothing but zeros ever came
	case errors.Is(err, storage.ErrShredded): // nobody can read what is left
	case err != nil:
		return err
	}
	return h.intake.Rows.RemoveUpload(ctx, w.id)
}

// discardLeftovers removes what came for an item and did not stay part of it.
func (h *House) discardLeftovers(ctx context.Context, i custody.IncidentID, e custody.EvidenceID) error {
	any, err := h.intake.Rows.Leftovers(ctx, e, sql.Chunk{}, 1)
	if err != nil || len(any) == 0 {
		return err
	}
	return h.vault.Discard(ctx, i, leftoversOf(ctx, h.intake.Rows, e), h.others(i, e))
}

// anySealed says whether anything was sealed in an incident, to go by the last
// survey.
func (h *House) anySealed(incident custody.IncidentID) bool {
	h.items.mu.Lock()
	defer h.items.mu.Unlock()
	return slices.ContainsFunc(h.items.sorted, func(k kept) bool { return k.incident == incident && !k.thing })
}
