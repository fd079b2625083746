package house

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

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
	list, err := h.withdrawn(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, w := range list {
		if time.Now().Before(h.discardAfter[w.id]) {
			continue
		}
		err := h.discard(ctx, w)
		locked := new(storage.LockedError)
		if errors.As(err, &locked) { // by a seal that was refused
			h.discardAfter[w.id] = locked.Until.Add(time.Second)
			h.logger.InfoContext(ctx, "what arrived of a withdrawn item is locked", "evidence", w.id, "until", locked.Until)
			continue
		}
		if err != nil {
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

// discard removes the chunks of one upload that no other item of the incident
// uses, and then forgets it. A chunk that was on its way at the time of the
// withdrawal makes an upload again, which the next round finds. While another
// upload is sealed and not yet read back it waits, since what that one uses may
// be in neither of the two lists of what must stay.
func (h *House) discard(ctx context.Context, w withdrawnItem) error {
	up, err := h.intake.Rows.Upload(ctx, w.id)
	if errors.Is(err, custody.ErrUnknown) {
		return nil // nothing arrived, or it is done
	}
	if err != nil {
		return err
	}
	open, err := h.intake.Rows.OpenUploads(ctx, w.incident)
	if err != nil {
		return err
	}
	for _, other := range open {
		if other.Sealed && other.Evidence != w.id {
			return nil
		}
	}
	all, err := h.survey(ctx)
	if err != nil {
		return err
	}
	keep := storage.Keep{Uploads: h.chunksBut(ctx, w, open)}
	for _, o := range all {
		if o.incident == w.incident && !o.thing && !o.disposal.Approved() {
			keep.Artifacts = append(keep.Artifacts, o.artifact)
		}
	}
	err = h.vault.Discard(ctx, w.incident, chunksOf(ctx, h.intake.Rows, up), keep)
	if errors.Is(err, storage.ErrNotFound) && len(keep.Artifacts) == 0 { // no keys: nothing but zeros ever came
		err = nil
	}
	if errors.Is(err, storage.ErrShredded) { // nobody can read what is left
		err = nil
	}
	if err != nil {
		return err
	}
	return h.intake.Rows.RemoveUpload(ctx, w.id)
}

// chunksBut goes through the chunks of the incident's other uploads: of those
// that were open before what is sealed was looked at, and that are now.
func (h *House) chunksBut(ctx context.Context, w withdrawnItem, before []sql.Upload) iter.Seq2[storage.Chunk, error] {
	return func(yield func(storage.Chunk, error) bool) {
		now, err := h.intake.Rows.OpenUploads(ctx, w.incident)
		if err != nil {
			yield(storage.Chunk{}, err)
			return
		}
		seen := map[custody.EvidenceID]bool{w.id: true}
		for _, list := range [][]sql.Upload{before, now} {
			for _, up := range list {
				if seen[up.Evidence] {
					continue
				}
				seen[up.Evidence] = true
				for c, err := range chunksOf(ctx, h.intake.Rows, up) {
					if !yield(c, err) || err != nil {
						return
					}
				}
			}
		}
	}
}
