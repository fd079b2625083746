package house

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
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

// protection is what is known of the locks and holds of items in this run, so that
// the bucket is asked once: after a start the head of an item's manifest tells for
// all of it.
type protection struct {
	mu    sync.Mutex
	known map[custody.EvidenceID]guarding
	lacks map[custody.EvidenceID]lack // of those of which a part is missing
	share map[custody.EvidenceID]bool // it shares bytes that were found damaged; true: and were put right
	freed map[custody.EvidenceID]bool // every object of it was released, since it is to be destroyed

	turns map[custody.IncidentID]*sync.RWMutex // nothing is put on hold while something is released, for what they share
}

// guarding is what protects an item's objects.
type guarding struct {
	until time.Time // to when all of them are locked
	held  bool      // all of them are on hold
}

// lack is that a part of an item is missing, so that not all of it could be locked,
// held or released; the rest was.
type lack struct {
	again time.Time // when to try again, in case it was restored
	until time.Time // what was tried: that it be locked until then
	holds bool      // and on hold
	read  bool      // it is not to be read back: it was since and is intact, or another item's part is missing
}

// lackAgain is after what time an item of which a part is missing is tried again.
// An item of many TiB has hundreds of thousands of objects to look at.
const lackAgain = time.Hour

func newProtection() *protection {
	return &protection{
		known: map[custody.EvidenceID]guarding{}, lacks: map[custody.EvidenceID]lack{}, share: map[custody.EvidenceID]bool{}, freed: map[custody.EvidenceID]bool{},
		turns: map[custody.IncidentID]*sync.RWMutex{},
	}
}

func (p *protection) of(id custody.EvidenceID) (g guarding, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g, known = p.known[id]
	return g, known
}

func (p *protection) note(id custody.EvidenceID, g guarding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[id] = g
}

// turn is an incident's: whoever holds something there reads, whoever releases
// writes.
func (p *protection) turn(i custody.IncidentID) *sync.RWMutex {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.turns[i] == nil {
		p.turns[i] = new(sync.RWMutex)
	}
	return p.turns[i]
}

// free notes whether every object of an item was released.
func (p *protection) free(id custody.EvidenceID, freed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.freed[id] = freed
}

func (p *protection) isFree(id custody.EvidenceID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.freed[id]
}

// lost notes that a part of an item was missing when it was to be protected, or of
// another item that it may share something with, and says whether that is new.
func (p *protection) lost(k kept, now time.Time, other bool) (isNew bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, there := p.lacks[k.id]
	p.lacks[k.id] = lack{again: now.Add(lackAgain), until: k.until, holds: k.holds > 0, read: other}
	delete(p.known, k.id)
	return !there
}

// whole notes that an item was protected and nothing was missing.
func (p *protection) whole(id custody.EvidenceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.lacks, id)
}

// found notes that an item was read back and is intact. What was missing is there
// again, and to be protected.
func (p *protection) found(id custody.EvidenceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, there := p.lacks[id]; there {
		p.lacks[id] = lack{read: true}
	}
}

// shares notes that items share bytes that were found damaged, and whether they
// were put right.
func (p *protection) shares(list []custody.EvidenceID, mended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range list {
		p.share[id] = p.share[id] || mended
	}
}

// looked notes that an item is about to be read back, and returns what was noted.
func (p *protection) looked(id custody.EvidenceID) (mended, any bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	mended, any = p.share[id]
	delete(p.share, id)
	return mended, any
}

// sharing says whether an item is to be read back for what it shares: one that
// is damaged only if something was put right.
func (p *protection) sharing(k kept) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	mended, any := p.share[k.id]
	return any && (mended || !k.damaged)
}

// missing says whether a part of an item is missing, as far as is known.
func (p *protection) missing(id custody.EvidenceID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, there := p.lacks[id]
	return there && !l.read
}

// lacking says whether not all of an item may be protected, since a part of it
// was missing; and waits whether that was tried a short time ago.
func (p *protection) lacking(k kept, now time.Time) (lacks, waits bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, lacks := p.lacks[k.id]
	return lacks, lacks && now.Before(l.again) && l.until.Equal(k.until) && l.holds == (k.holds > 0)
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
			switch err := h.protectOne(ctx, k); {
			case err == nil:
				h.guarded.whole(k.id)
			case !isLost(err):
				failed[n] = fmt.Errorf("%s: %w", k.id, err)
			case h.guarded.lost(k, h.now(), errors.Is(err, storage.ErrBeside)): // which is to be on record
				h.logger.ErrorContext(ctx, "NOT ALL OF AN ITEM CAN BE PROTECTED: a part is missing; what there is was locked and held, or released", "evidence", k.id, "error", err)
			}
		})
	}
	group.Wait()
	return errors.Join(failed...)
}

// While an item is on hold it is locked too, for holdLock from when less than
// holdRenew is left: whoever may set a hold may take it off, and not every server
// heeds it once a lock has ended.
const (
	holdLock  = 30 * 24 * time.Hour
	holdRenew = holdLock / 2
)

// toLock says until when an item's objects, which are locked until a time, are to
// be locked; zero when they are for long enough.
func (h *House) toLock(k kept, until time.Time) time.Time {
	now := h.now()
	to := k.until
	if longer := now.Add(holdLock).Truncate(time.Second); k.holds > 0 && until.Before(now.Add(holdRenew)) && to.Before(longer) {
		to = longer
	}
	if !h.vault.Locks() || !to.After(until) || !to.After(now) {
		return time.Time{}
	}
	return to
}

// toHold says whether an item's hold is to be set, or taken off.
func (h *House) toHold(k kept, held bool) bool { return h.vault.Holds() && held != (k.holds > 0) }

// protected says whether nothing is to be done for an item.
func (h *House) protected(k kept) bool {
	if !h.vault.Locks() && !h.vault.Holds() {
		return true
	}
	if _, waits := h.guarded.lacking(k, h.now()); waits {
		return true
	}
	g, known := h.guarded.of(k.id)
	return known && h.toLock(k, g.until).IsZero() && !h.toHold(k, g.held)
}

// protectOne brings about a legal hold for as long as there is one, and retention
// to its full term. Where a part of the item is missing, it does so for the rest
// and returns the damage.
func (h *House) protectOne(ctx context.Context, k kept) (err error) {
	found := []error{} // damage
	past := func(err error) error {
		if isLost(err) {
			found, err = append(found, err), nil
		}
		return err
	}
	g, known := h.guarded.of(k.id)
	if !known {
		g.until, g.held, err = h.vault.Locked(ctx, k.incident, k.artifact.Root, k.artifact.Size)
		if err := past(err); err != nil {
			return err
		}
		if lacks, _ := h.guarded.lacking(k, h.now()); lacks || k.damaged || len(found) > 0 {
			// The head does not tell for what was missing when it was locked.
			g = guarding{held: g.held && k.holds == 0}
		}
	}
	if h.toHold(k, g.held) {
		if k.holds > 0 {
			err = h.hold(ctx, k)
		} else { // it was lifted
			err = h.release(ctx, k)
		}
		if err := past(err); err != nil {
			return fmt.Errorf("bring its hold about: %w", err)
		}
		g.held = k.holds > 0
		h.guarded.note(k.id, g)
	}
	if until := h.toLock(k, g.until); !until.IsZero() {
		err := h.vault.Retain(ctx, k.incident, k.artifact.Root, k.artifact.Size, until)
		if err := past(err); err != nil {
			return fmt.Errorf("extend its retention: %w", err)
		}
		g.until = until
	}
	h.guarded.note(k.id, g)
	return errors.Join(found...)
}

// hold puts an item's objects on hold.
func (h *House) hold(ctx context.Context, k kept) error {
	turn := h.guarded.turn(k.incident)
	turn.RLock()
	defer turn.RUnlock()
	return h.vault.Hold(ctx, k.incident, k.artifact.Root, k.artifact.Size)
}

// release takes the hold off an item's objects, but for what it shares with others
// of its incident on hold. Whatever is held already is on record by then, and what
// is put on hold afterwards is held afterwards.
func (h *House) release(ctx context.Context, k kept) error {
	turn := h.guarded.turn(k.incident)
	turn.Lock()
	defer turn.Unlock()
	all, err := h.survey(ctx)
	if err != nil {
		return err
	}
	return h.vault.Release(ctx, k.incident, k.artifact.Root, k.artifact.Size, onHold(k, all))
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

// errWaits says that something that is ordered destroyed is locked, or comes after
// something that failed.
var errWaits = errors.New("what is ordered destroyed has to wait")

// disposeOrdered destroys what two people ordered destroyed, of items that are the
// same bytes the last one last. It returns errWaits when all that is left has to
// wait.
func (h *House) disposeOrdered(ctx context.Context, list []kept) error {
	var failed []error
	var waits error
	undone := []kept{}
	for _, k := range list {
		if !k.disposal.Approved() || ctx.Err() != nil {
			continue
		}
		if k.disposal.Done || k.shredded {
			h.pending.over(k.id)
			continue
		}
		var err error
		if !h.postponed(k.id) && !slices.ContainsFunc(undone, k.same) {
			if err = h.dispose(ctx, k); err == nil {
				h.pending.over(k.id)
				continue
			}
		}
		undone = append(undone, k)
		h.pending.still(ctx, k.id)
		if err == nil || h.postpone(ctx, k.id, err) {
			waits = errWaits
		} else {
			failed = append(failed, fmt.Errorf("%s: %w", k.id, err))
		}
	}
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	return waits
}

// dispose destroys the bytes of an item as two people ordered, and certifies it.
func (h *House) dispose(ctx context.Context, k kept) error {
	if err := h.guard.Ready(); err != nil {
		return err
	}
	method := "a physical item: the service had no bytes of it"
	if !k.thing {
		if !h.guarded.isFree(k.id) { // object by object, also where the head is not held: a hold may have been set in part
			if err := h.release(ctx, k); err != nil && !errors.Is(err, storage.ErrDamaged) {
				return err
			}
			h.guarded.free(k.id, true)
		}
		if err := h.discardLeftovers(ctx, k.incident, k.id); err != nil && !errors.Is(err, storage.ErrNotFound) { // no keys: nothing is there
			return err
		}
		done, err := h.vault.Dispose(ctx, k.incident, k.artifact.Root, k.artifact.Size, h.others(k.incident, k.id))
		if err != nil {
			return err
		}
		method = h.method(done)
		if done.Unlisted {
			if method, err = h.disposeListed(ctx, k); err != nil {
				return err
			}
		}
	}
	if err := h.intake.Rows.RemoveUpload(ctx, k.id); err != nil {
		return err
	}
	_, err := h.guard.Attest(ctx, "", &custody.DisposedEvidence{
		Evidence: k.id, Method: method, Order: k.disposal.Order, SHA256: k.artifact.SHA256,
	})
	return err
}

// errUnlisted says that nothing tells which chunks were an item's.
var errUnlisted = errors.New("its manifest is lost, and no list of its chunks is left: they may all be there, so it is not certified as destroyed. " +
	"Restore the manifest; the service tries again by itself")

// disposeListed destroys the bytes of an item of which the vault has no manifest,
// by the list of chunks that its upload left. Without an upload it was destroyed
// before, since it is forgotten only then; errUnlisted when there is one and its
// list is not the item's, as after a rebuild.
func (h *House) disposeListed(ctx context.Context, k kept) (method string, err error) {
	up, err := h.intake.Rows.Upload(ctx, k.id)
	if errors.Is(err, custody.ErrUnknown) {
		return h.method(storage.Removed{}), nil
	}
	if err != nil {
		return "", err
	}
	chunks := chunksOf(ctx, h.intake.Rows, up)
	a, ok, err := storage.ArtifactOf(chunks)
	if err != nil {
		return "", err
	}
	if !ok || a.Root != k.artifact.Root || a.Size != k.artifact.Size {
		return "", errUnlisted
	}
	if err := h.vault.Discard(ctx, k.incident, chunks, h.others(k.incident, k.id)); err != nil {
		return "", err
	}
	return h.how() + ": no manifest was there, so it was every chunk that the service's database lists, but for those that other items of the incident share; not counted", nil
}

// how says in words what deleting is.
func (h *House) how() string {
	if h.Config.S3 != nil {
		return "every version deleted from an S3 bucket"
	}
	return "deleted from a folder"
}

// method says in a line what a disposal did.
func (h *House) method(done storage.Removed) string {
	how := h.how()
	chunks := func(n, bytes uint64) string { return fmt.Sprintf("%d chunks of %d bytes together", n, bytes) }
	switch {
	case done.Same:
		return "nothing deleted: another item of the incident is the same bytes"
	case !done.Whole && done.Chunks+done.SharedChunks == 0:
		return how + ": nothing was left to delete; what was deleted before is not counted"
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
		must, recorded := storage.Kept{}, map[custody.EvidenceID]bool{}
		for _, o := range all { // of the same bytes the last one destroys and counts
			recorded[o.id] = true
			if o.incident == incident && o.id != but && !o.thing && (!o.disposal.Approved() || o.comesAfter(but, all)) {
				must.Artifacts = append(must.Artifacts, o.artifact)
			}
		}
		underWay := []sql.Upload{}
		for _, up := range open {
			switch {
			case up.Evidence == but, recorded[up.Evidence]: // whose seal says what it is; after a rebuild nothing else does
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

// leftoversOf goes through what came for an item and was cut off, replaced or lost.
// Nobody depends on it, so it keeps nothing of others from being destroyed.
func leftoversOf(ctx context.Context, rows *sql.Store, e custody.EvidenceID) iter.Seq2[storage.Chunk, error] {
	return func(yield func(storage.Chunk, error) bool) {
		for after := (sql.Chunk{}); ; {
			list, err := rows.Leftovers(ctx, e, after, sourcePage)
			if err != nil {
				yield(storage.Chunk{}, err)
				return
			}
			for _, c := range list {
				if !yield(storage.Chunk{Digest: c.Digest, Length: uint32(c.Length), Version: c.Version}, nil) {
					return
				}
				after = c
			}
			if len(list) < sourcePage {
				return
			}
		}
	}
}
