package house

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
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

// protection is what the keeper has done for items in this run, so that it does
// it once. What was done before a start is known from the bucket, where it is
// cheap to ask, and else done again.
type protection struct {
	mu    sync.Mutex
	until map[custody.EvidenceID]time.Time // to when all objects of the item are locked
	held  map[custody.EvidenceID]bool      // whether they are on hold; not known: absent
	gone  map[custody.EvidenceID]bool      // a part of it is missing

	lifted map[custody.IncidentID]int // how often a hold was taken off something
}

func newProtection() *protection {
	return &protection{
		until: map[custody.EvidenceID]time.Time{}, held: map[custody.EvidenceID]bool{}, gone: map[custody.EvidenceID]bool{},
		lifted: map[custody.IncidentID]int{},
	}
}

func (p *protection) of(id custody.EvidenceID) (until time.Time, held, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held, known = p.held[id]
	return p.until[id], held, known
}

func (p *protection) locked(id custody.EvidenceID, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until[id] = until
}

// released counts how often a hold was taken off something of an incident.
func (p *protection) released(i custody.IncidentID) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lifted[i]
}

// hold notes whether an item's objects are on hold; when something of its
// incident was released since, that is not known, for what they share.
func (p *protection) hold(k kept, since int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lifted[k.incident] == since {
		p.held[k.id] = k.holds > 0
	}
}

// release notes that something of an incident was released: what is on hold there
// is looked at again.
func (p *protection) release(i custody.IncidentID, list []kept) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lifted[i]++
	for _, k := range list {
		if k.incident == i && k.holds > 0 {
			delete(p.held, k.id)
		}
	}
}

// lost notes that a part of an item is missing, found that none is.
func (p *protection) lost(id custody.EvidenceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone[id] = true
}

func (p *protection) found(id custody.EvidenceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.gone, id)
}

func (p *protection) missing(id custody.EvidenceID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone[id]
}

// protectAtOnce is for how many items locks and holds are brought about at one
// time, so that a large one keeps none waiting.
const protectAtOnce = 4

// protect brings the locks and holds of all items to what their records say. What
// was sealed first comes first: its first lock ends first.
func (h *House) protect(ctx context.Context, list []kept) error {
	var group sync.WaitGroup
	places := make(chan struct{}, protectAtOnce)
	failed := make([]error, len(list))
	for n, k := range list {
		if ctx.Err() != nil || k.thing || k.gone() || h.protected(k) {
			continue
		}
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			err := h.protectOne(ctx, k)
			if isLost(err) {
				h.guarded.lost(k.id) // which is to be on record
			} else if err != nil {
				failed[n] = fmt.Errorf("%s: %w", k.id, err)
			}
		})
	}
	group.Wait()
	return errors.Join(failed...)
}

// toLock says whether an item's objects are to be locked for longer.
func (h *House) toLock(k kept, until time.Time) bool {
	return h.vault.Locks() && k.until.After(until) && k.until.After(h.now())
}

// protected says whether nothing is to be done for an item.
func (h *House) protected(k kept) bool {
	until, held, known := h.guarded.of(k.id)
	return !h.toLock(k, until) && (!h.vault.Holds() || known && held == (k.holds > 0))
}

// protectOne brings about retention to its full term, and a legal hold for as
// long as there is one.
func (h *House) protectOne(ctx context.Context, k kept) error {
	until, held, known := h.guarded.of(k.id)
	if h.toLock(k, until) && until.IsZero() {
		var err error
		if until, err = h.vault.LockedUntil(ctx, k.incident, k.artifact.Root, k.artifact.Size); err != nil {
			return err
		}
	}
	if h.toLock(k, until) {
		if err := h.vault.Retain(ctx, k.incident, k.artifact.Root, k.artifact.Size, k.until); err != nil {
			return fmt.Errorf("extend its retention: %w", err)
		}
		until = k.until
	}
	h.guarded.locked(k.id, until)
	if !h.vault.Holds() || known && held == (k.holds > 0) {
		return nil
	}
	since := h.guarded.released(k.incident)
	var err error
	switch {
	case k.holds > 0:
		err = h.vault.Hold(ctx, k.incident, k.artifact.Root, k.artifact.Size)
	case known: // one was lifted
		err = h.release(ctx, k)
		since = h.guarded.released(k.incident)
	}
	if err != nil {
		return fmt.Errorf("bring its hold about: %w", err)
	}
	h.guarded.hold(k, since)
	return nil
}

// release takes the hold off an item's objects, but for what it shares with others
// of its incident on hold. What is put on hold at the same time is looked at again
// afterwards.
func (h *House) release(ctx context.Context, k kept) error {
	all, err := h.survey(ctx)
	if err != nil {
		return err
	}
	err = h.vault.Release(ctx, k.incident, k.artifact.Root, k.artifact.Size, onHold(k, all))
	after, failed := h.survey(ctx)
	if failed != nil {
		after = all
	}
	h.guarded.release(k.incident, after)
	return errors.Join(err, failed)
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

// disposeOrdered destroys what two people ordered destroyed.
func (h *House) disposeOrdered(ctx context.Context, list []kept) error {
	var failed []error
	for _, k := range list {
		if !k.disposal.Approved() || k.disposal.Done || k.shredded || ctx.Err() != nil {
			continue
		}
		if err := h.dispose(ctx, k); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", k.id, err))
		}
	}
	return errors.Join(failed...)
}

// dispose destroys the bytes of an item as two people ordered, and certifies it.
func (h *House) dispose(ctx context.Context, k kept) error {
	if err := h.guard.Ready(); err != nil {
		return err
	}
	method := "a physical item: the service had no bytes of it"
	if !k.thing {
		if err := h.release(ctx, k); err != nil && !errors.Is(err, storage.ErrDamaged) {
			return err
		}
		done, err := h.vault.Dispose(ctx, k.incident, k.artifact.Root, k.artifact.Size, h.others(k.incident, k.id))
		if err != nil {
			return err
		}
		method = h.method(done)
	}
	if err := h.intake.Rows.RemoveUpload(ctx, k.id); err != nil {
		return err
	}
	_, err := h.guard.Attest(ctx, "", &custody.DisposedEvidence{
		Evidence: k.id, Method: method, Order: k.disposal.Order, SHA256: k.artifact.SHA256,
	})
	return err
}

// method says in a line what a disposal did.
func (h *House) method(done storage.Removed) string {
	how := "deleted from a folder"
	if h.Config.S3 != nil {
		how = "every version deleted from an S3 bucket"
	}
	chunks := func(n, bytes uint64) string { return fmt.Sprintf("%d chunks of %d bytes together", n, bytes) }
	switch {
	case done.Same:
		return "nothing deleted: another item of the incident is the same bytes"
	case !done.Whole && done.Chunks+done.SharedChunks == 0:
		return how + ", by a run that was interrupted before it had counted"
	}
	how = fmt.Sprintf("%s: %s; %s stay, which other items of the incident share", how,
		chunks(done.Chunks, done.Bytes), chunks(done.SharedChunks, done.SharedBytes))
	if !done.Whole {
		how += "; not counted is what a run deleted that was interrupted"
	}
	return how
}

// others returns what of an incident must stay when what one item brought goes:
// the other items, and the other uploads: the chunks of those that are under way,
// and the artifacts of those that are sealed, also where the seal is not on record
// yet or was refused. The vault asks for it when nothing more can be taken into
// the incident.
func (h *House) others(incident custody.IncidentID, but custody.EvidenceID) storage.Keep {
	return func(ctx context.Context) (storage.Kept, error) {
		open, err := h.intake.Rows.OpenUploads(ctx, incident)
		if err != nil {
			return storage.Kept{}, err
		}
		all, err := h.survey(ctx)
		if err != nil {
			return storage.Kept{}, err
		}
		must := storage.Kept{}
		for _, o := range all {
			if o.incident == incident && o.id != but && !o.thing && !o.disposal.Approved() {
				must.Artifacts = append(must.Artifacts, o.artifact)
			}
		}
		underWay := []sql.Upload{}
		for _, up := range open {
			switch {
			case up.Evidence == but:
			case !up.Sealed:
				underWay = append(underWay, up)
			default:
				a, err := artifactOf(ctx, h.intake.Rows, up)
				if err != nil {
					return storage.Kept{}, err
				}
				must.Artifacts = append(must.Artifacts, a)
			}
		}
		must.Uploads = h.uploading(ctx, underWay)
		return must, nil
	}
}

// artifactOf returns the artifact that a sealed upload is: root and size.
func artifactOf(ctx context.Context, rows *sql.Store, up sql.Upload) (custody.Artifact, error) {
	a, ok, err := storage.ArtifactOf(chunksOf(ctx, rows, up))
	if err == nil && !ok {
		err = errors.New("its chunks make no artifact")
	}
	if err != nil {
		return custody.Artifact{}, fmt.Errorf("the sealed upload of %s: %w", up.Evidence, err)
	}
	return a, nil
}

// uploading goes through the chunks of uploads.
func (h *House) uploading(ctx context.Context, uploads []sql.Upload) iter.Seq2[storage.Chunk, error] {
	return func(yield func(storage.Chunk, error) bool) {
		for _, up := range uploads {
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
