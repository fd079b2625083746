package house

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/sql"
)

// recordStore puts on record what the store was proven to do at this start,
// unless that is on record. Without the record the service does not start: what
// is sealed afterwards would not say what protects it.
func (h *House) recordStore(ctx context.Context, a storage.Abilities) error {
	act := &custody.ProveStore{
		Checksum: a.Checksum, ConditionalPut: a.ConditionalPut, Hold: a.Hold, Lock: a.Lock, Store: custody.StoreFolder, Versions: a.Versions,
	}
	if h.Config.S3 != nil {
		act.Store = custody.StoreS3
	}
	before, err := h.guard.StoreProven(ctx)
	if err != nil || before != nil && *before == *act {
		return err
	}
	if _, err := h.guard.Attest(ctx, "", act); err != nil {
		return fmt.Errorf("what the store was proven to do cannot be put on record: %w", err)
	}
	return nil
}

// protection is what the keeper has done for an item in this run, so that it
// does it once.
type protection struct {
	until time.Time // to when its objects are locked
	held  bool      // they are on hold
	known bool      // whether they are on hold is known
}

// protect brings the locks and holds of an item's objects to what its records
// say: retention to its full term, a legal hold as long as there is one. After a
// start it does so once for every item, since nobody knows what the last run
// came to.
func (h *House) protect(ctx context.Context, k kept, all []kept) error {
	p := h.protected[k.id]
	if p == nil {
		p = &protection{}
		h.protected[k.id] = p
	}
	if h.vault.Locks() && k.until.After(p.until) && k.until.After(time.Now()) {
		if err := h.vault.Retain(ctx, k.incident, k.artifact.Root, k.artifact.Size, k.until); err != nil {
			return fmt.Errorf("extend its retention: %w", err)
		}
		p.until = k.until
	}
	if !h.vault.Holds() || p.known && p.held == (k.holds > 0) {
		return nil
	}
	var err error
	switch {
	case k.holds > 0:
		err = h.vault.Hold(ctx, k.incident, k.artifact.Root, k.artifact.Size)
	case p.known: // one was lifted
		err = h.vault.Release(ctx, k.incident, k.artifact.Root, k.artifact.Size, onHold(k, all))
	}
	if err != nil {
		return fmt.Errorf("bring its hold about: %w", err)
	}
	p.held, p.known = k.holds > 0, true
	return nil
}

// onHold returns the other artifacts of the item's incident that are on hold:
// what they share with it stays so.
func onHold(k kept, all []kept) (held []custody.Artifact) {
	for _, o := range all {
		if o.incident == k.incident && o.id != k.id && o.holds > 0 && !o.disposal.Approved() {
			held = append(held, o.artifact)
		}
	}
	return held
}

// dispose destroys the bytes of an item as two people ordered, and certifies it.
// What must stay is looked at now, not when the pass over all items began; while
// another upload of the incident is sealed and not yet read back it waits.
func (h *House) dispose(ctx context.Context, k kept) error {
	if err := h.guard.Ready(); err != nil {
		return err
	}
	all, err := h.survey(ctx)
	if err != nil {
		return err
	}
	open, err := h.intake.Rows.OpenUploads(ctx, k.incident)
	if err != nil {
		return err
	}
	for _, up := range open {
		if up.Sealed && up.Evidence != k.id {
			return nil
		}
	}
	keep := storage.Keep{Uploads: h.uploading(ctx, k)}
	for _, o := range all {
		if o.incident == k.incident && o.id != k.id && !o.thing && !o.disposal.Approved() {
			keep.Artifacts = append(keep.Artifacts, o.artifact)
		}
	}
	method := "deleted from a folder, but for what other items of the incident share"
	switch {
	case k.thing:
		method = "a physical item: the service had no bytes of it"
	case h.Config.S3 != nil:
		method = "every version deleted from an S3 bucket, but for what other items of the incident share"
	}
	if !k.thing && !sharedWith(k.artifact, keep.Artifacts) {
		if err := h.vault.Release(ctx, k.incident, k.artifact.Root, k.artifact.Size, onHold(k, all)); err != nil && !errors.Is(err, storage.ErrDamaged) {
			return err
		}
		if err := h.vault.Dispose(ctx, k.incident, k.artifact.Root, k.artifact.Size, keep); err != nil {
			return err
		}
	} else if !k.thing {
		method = "nothing deleted: another item of the incident is the same bytes"
	}
	if err := h.intake.Rows.RemoveUpload(ctx, k.id); err != nil {
		return err
	}
	_, err = h.guard.Attest(ctx, "", &custody.DisposedEvidence{
		Evidence: k.id, Method: method, Order: k.disposal.Order, SHA256: k.artifact.SHA256,
	})
	return err
}

func sharedWith(a custody.Artifact, others []custody.Artifact) bool {
	for _, o := range others {
		if o.Root == a.Root && o.Size == a.Size {
			return true
		}
	}
	return false
}

// uploading goes through the chunks of the other uploads of an item's incident
// that are under way or not yet read back: the vault must not remove them from
// under these.
func (h *House) uploading(ctx context.Context, k kept) iter.Seq2[storage.Chunk, error] {
	return func(yield func(storage.Chunk, error) bool) {
		uploads, err := h.intake.Rows.OpenUploads(ctx, k.incident)
		if err != nil {
			yield(storage.Chunk{}, err)
			return
		}
		for _, up := range uploads {
			if up.Evidence == k.id {
				continue
			}
			for c, err := range chunksOf(ctx, h.intake.Rows, up) {
				if !yield(c, err) || err != nil {
					return
				}
			}
		}
	}
}

// chunksOf goes through the chunks of one upload.
func chunksOf(ctx context.Context, rows *sql.Store, up sql.Upload) iter.Seq2[storage.Chunk, error] {
	return func(yield func(storage.Chunk, error) bool) {
		for from := uint64(0); ; {
			list, err := rows.Chunks(ctx, up.Evidence, from, sourcePage)
			if err != nil {
				yield(storage.Chunk{}, err)
				return
			}
			for _, c := range list {
				if !yield(storage.Chunk{Digest: c.Digest, Length: uint32(c.Length), Version: c.Version}, nil) {
					return
				}
				from = c.Index + 1
			}
			if len(list) < sourcePage {
				return
			}
		}
	}
}
