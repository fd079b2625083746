// Package intake is an upload from its first chunk to the check of its seal.
//
// It promises:
//
//   - A chunk is acknowledged when it was measured, is durable in the bucket,
//     and is noted as received; or when it is zeros, or lies in the bucket
//     already for an item that may be used. What is acknowledged need not be sent
//     again, whatever happens to client or server: the disposal of that other
//     item leaves it.
//   - A seal goes through only when every chunk is there, and they make the
//     root and size that were signed.
//   - Every sealed artifact is read back from the bucket and measured whole,
//     and what was found is handed to be put on record, across restarts until
//     that is done.
//
// Who may upload, and whether a seal counts, is the guard's to say.
//
// Begin reading at Intake.Put and Intake.Seal.
package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/sql"
)

// Intake takes in uploads. Its methods may be called at once.
type Intake struct {
	Vault  *storage.Vault
	Bucket storage.Bucket // the vault's
	Rows   *sql.Store
	Now    func() time.Time

	// Damaged is told which sealed items of an incident share a chunk that was found
	// damaged, and whether what was brought was put over it: each is to be read
	// back soon. nil: nobody wants to know.
	Damaged func(i custody.IncidentID, sharing []custody.EvidenceID, mended bool)
}

// ErrSealed says that an upload takes no more chunks.
var ErrSealed = errors.New("the upload is sealed")

// Put stores one chunk of an item's upload, all that source has. When it returns
// nil the chunk is durable and noted. It fails with storage.ErrMismatch when the
// bytes do not have the digest, with storage.ErrBusy while something of the incident is
// destroyed, with ErrSealed, and with an error of source.
func (in *Intake) Put(ctx context.Context, i custody.IncidentID, e custody.EvidenceID, index uint64, digest custody.Digest, source io.Reader) error {
	up, err := in.upload(ctx, i, e)
	if err != nil {
		return err
	}
	if up.Sealed {
		return ErrSealed
	}
	_, err = in.Vault.BringChunk(ctx, i, source, digest, func(c storage.Chunk, mended bool) error {
		if err := in.Bucket.Barrier(ctx); err != nil {
			return err
		}
		if mended {
			if err := in.damaged(ctx, i, c.Digest, true); err != nil {
				return err
			}
		}
		return in.Rows.AddChunks(ctx, e, sql.Chunk{Index: index, Digest: c.Digest, Length: uint64(c.Length), Version: c.Version})
	})
	return err
}

// Offer notes those of the offered chunks that need not be brought: zeros, which
// nobody stores, and those that this upload has, or a sealed item of the
// incident of which may says that whoever asks could retrieve it now. A chunk of
// another item is read and verified first; what is damaged is wanted, and so is
// what is left after readWithin. It returns
// the indexes of the others, which are wanted, and whether an offer of anything
// but zeros can find something at all. When it returns nil, what is not wanted
// is noted for good. It fails with storage.ErrBusy as Put does.
func (in *Intake) Offer(ctx context.Context, i custody.IncidentID, e custody.EvidenceID, offered []sql.Chunk, may func(custody.EvidenceID) bool) (wanted []uint64, any bool, err error) {
	up, err := in.upload(ctx, i, e)
	if err != nil {
		return nil, false, err
	}
	if up.Sealed {
		return nil, false, ErrSealed
	}
	taking, err := in.Vault.Take(i) // what is found stays until it is noted
	if err != nil {
		return nil, false, err
	}
	defer taking.End()
	if any, err = in.Rows.AnyHeld(ctx, i, e); err != nil {
		return nil, false, err
	}
	there := []sql.Chunk{}
	begun := time.Now()
	for _, c := range offered {
		found, ok := sql.Chunk{Digest: c.Digest, Length: c.Length}, c.Digest == custody.ZeroChunk(c.Length)
		if !ok && any && time.Since(begun) < readWithin {
			if found, ok, err = in.held(ctx, i, e, c, may); err != nil {
				return nil, false, err
			}
		}
		if !ok {
			wanted = append(wanted, c.Index)
			continue
		}
		found.Index = c.Index
		there = append(there, found)
	}
	if len(there) == 0 {
		return wanted, any, nil
	}
	return wanted, any, in.Rows.AddChunks(ctx, e, there...)
}

// readWithin is how long chunks that are offered are looked for and verified.
const readWithin = 30 * time.Second

// held finds a chunk, sound, in an item that may be used.
func (in *Intake) held(ctx context.Context, i custody.IncidentID, e custody.EvidenceID, c sql.Chunk, may func(custody.EvidenceID) bool) (sql.Chunk, bool, error) {
	holders, err := in.Rows.Holders(ctx, i, e, c.Digest)
	if err != nil {
		return sql.Chunk{}, false, err
	}
	for _, h := range holders {
		switch {
		case h.Chunk.Length != c.Length || h.Evidence != e && !may(h.Evidence):
		case h.Evidence == e: // it was verified when it came
			return h.Chunk, true, nil
		default:
			sound, err := in.Vault.Verify(ctx, i, storage.Chunk{Digest: c.Digest, Length: uint32(c.Length), Version: h.Chunk.Version})
			if errors.Is(err, storage.ErrDamaged) {
				return sql.Chunk{}, false, in.damaged(ctx, i, c.Digest, false)
			}
			h.Chunk.Version = sound.Version
			return h.Chunk, err == nil, err
		}
	}
	return sql.Chunk{}, false, nil
}

// damaged tells who shares a chunk that was found damaged.
func (in *Intake) damaged(ctx context.Context, i custody.IncidentID, digest custody.Digest, mended bool) error {
	if in.Damaged == nil {
		return nil
	}
	sharing, err := in.Rows.Sharing(ctx, i, digest)
	if err == nil && len(sharing) > 0 {
		in.Damaged(i, sharing, mended)
	}
	return err
}

// DamagedAt tells who shares the chunks of a sealed item in which damage was
// found, in these bytes of it. After a rebuild nobody knows: the lists of chunks
// are not archived.
func (in *Intake) DamagedAt(ctx context.Context, i custody.IncidentID, e custody.EvidenceID, r guard.Range) error {
	first := r.Offset / custody.ChunkSize
	for next, end := first, first+custody.ChunkCount(r.Length); next < end; {
		list, err := in.Rows.Chunks(ctx, e, next, int(min(end-next, page)))
		if err != nil || len(list) == 0 {
			return err
		}
		for _, c := range list {
			if c.Index < end && c.Digest != custody.ZeroChunk(c.Length) {
				if err := in.damaged(ctx, i, c.Digest, false); err != nil {
					return err
				}
			}
		}
		next = list[len(list)-1].Index + 1
	}
	return nil
}

// upload returns an item's upload, beginning it when there is none.
func (in *Intake) upload(ctx context.Context, i custody.IncidentID, e custody.EvidenceID) (sql.Upload, error) {
	up, err := in.Rows.Upload(ctx, e)
	if !errors.Is(err, custody.ErrUnknown) {
		return up, err
	}
	up = sql.Upload{Evidence: e, Incident: i, Begun: in.Now()}
	return up, in.Rows.AddUpload(ctx, up)
}

// Have returns the chunks that an upload has, in order, from an index on.
func (in *Intake) Have(ctx context.Context, e custody.EvidenceID, from uint64, limit int) ([]sql.Chunk, error) {
	return in.Rows.Chunks(ctx, e, from, limit)
}

// Cut forgets the chunks of an upload from an index on, as those of a stream
// that was not what it was said to be. What it forgets goes from the bucket when
// the item is withdrawn or destroyed. It fails with
// ErrSealed.
func (in *Intake) Cut(ctx context.Context, e custody.EvidenceID, from uint64) error {
	err := in.Rows.CutChunks(ctx, e, from)
	if errors.Is(err, sql.ErrSealed) {
		err = ErrSealed
	}
	return err
}

// Break notes that a stream brings an upload and has not ended yet, or that it has
// ended as it should. An upload that is broken is not sealed as it was received.
func (in *Intake) Break(ctx context.Context, i custody.IncidentID, e custody.EvidenceID, broken bool) error {
	if _, err := in.upload(ctx, i, e); err != nil {
		return err
	}
	return in.Rows.BreakUpload(ctx, e, broken)
}

// Broken says whether the last stream that brought an upload did not end as it should.
func (in *Intake) Broken(ctx context.Context, e custody.EvidenceID) (bool, error) {
	up, err := in.Rows.Upload(ctx, e)
	if errors.Is(err, custody.ErrUnknown) {
		return false, nil
	}
	return up.Broken, err
}

// Seal makes the artifact of a seal that is about to be put on record: sealed
// in the vault, durable. It fails with custody.Unlawful when the chunks that
// were received are not the artifact that was signed, and with storage.ErrBusy as
// Put does.
func (in *Intake) Seal(ctx context.Context, act *custody.SealEvidence) error {
	up, err := in.upload(ctx, act.Incident, act.Evidence)
	if err != nil {
		return err
	}
	if up.Broken && slices.Contains(act.AsReceived, custody.DigestSHA256) {
		return custody.Unlawful{Why: "the stream that brought it broke off, and nobody has said since where the artifact ends: bring the rest, or state its size"}
	}
	taking, err := in.Vault.Take(act.Incident) // until the upload is marked as sealed
	if err != nil {
		return err
	}
	defer taking.End()
	err = taking.Seal(ctx, in.received(ctx, act), act.Artifact.Size, act.Artifact.Root, in.Now().Add(firstLock))
	if errors.Is(err, storage.ErrMismatch) {
		return custody.Unlawful{Why: "the chunks that arrived do not make the root that was signed: send them again"}
	}
	if gone := new(storage.AbsentError); errors.As(err, &gone) && !up.Sealed {
		// They were lost, or removed by hand: they have to be brought again, and only they.
		lost := make([]sql.Chunk, len(gone.Chunks))
		for n, c := range gone.Chunks {
			lost[n] = sql.Chunk{Digest: c.Digest, Length: uint64(c.Length), Version: c.Version}
		}
		if err := in.Rows.LoseChunks(ctx, act.Evidence, lost...); err != nil {
			return err
		}
		return custody.Unlawful{Why: "a chunk that was there is gone: send the artifact again"}
	}
	if errors.Is(err, storage.ErrDamaged) && !errors.Is(err, storage.ErrKeysLost) && !up.Sealed {
		// It was changed by hand: it has to be brought again.
		if err := in.Rows.RemoveUpload(ctx, act.Evidence); err != nil {
			return err
		}
		return custody.Unlawful{Why: "a chunk that was there is damaged: send the artifact again"}
	}
	if err != nil || up.Sealed {
		return err
	}
	return in.Rows.SealUpload(ctx, act.Evidence)
}

// firstLock is for how long an artifact is locked before its seal is on record:
// long enough to be extended afterwards, and not for long when the seal is
// refused.
const firstLock = 48 * time.Hour

// page is how many rows are read at once.
const page = 4096

// received goes through the upload's chunks, which must be those of the
// artifact: Unlawful, where one is missing or there are too many.
func (in *Intake) received(ctx context.Context, act *custody.SealEvidence) iter.Seq2[storage.Chunk, error] {
	return func(yield func(storage.Chunk, error) bool) {
		var next, size uint64
		for more := true; more; {
			rows, err := in.Rows.Chunks(ctx, act.Evidence, next, page)
			if err != nil {
				yield(storage.Chunk{}, err)
				return
			}
			for _, r := range rows {
				if r.Index != next {
					yield(storage.Chunk{}, custody.Unlawful{Why: fmt.Sprintf("chunk %d did not arrive", next)})
					return
				}
				if !yield(storage.Chunk{Digest: r.Digest, Length: uint32(r.Length), Version: r.Version}, nil) {
					return
				}
				next++
				size += r.Length
			}
			more = len(rows) == page
		}
		if next != custody.ChunkCount(act.Artifact.Size) || size != act.Artifact.Size {
			yield(storage.Chunk{}, custody.Unlawful{Why: fmt.Sprintf("%d chunks with %d bytes arrived; signed were %d with %d",
				next, size, custody.ChunkCount(act.Artifact.Size), act.Artifact.Size)})
		}
	}
}

// Checked is what reading a sealed artifact back found.
type Checked struct {
	Evidence custody.EvidenceID
	Intact   bool
	SHA256   custody.Digest // as measured; zero when the bytes could not be had
	Damage   error          // why they could not; else nil
}

// Check reads back what was sealed and not yet checked. sealed tells whether
// the seal is on record and the artifact is to be had, and which it is; found puts
// on record what was measured, and is to look whether it is still to be had.
func (in *Intake) Check(ctx context.Context,
	sealed func(context.Context, custody.EvidenceID) (custody.Artifact, bool, error),
	found func(context.Context, Checked) error,
) error {
	uploads, err := in.Rows.SealedUploads(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, up := range uploads {
		artifact, ok, err := sealed(ctx, up.Evidence)
		if err == nil && ok {
			err = in.check(ctx, up, artifact, found)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", up.Evidence, err))
		}
	}
	return failed
}

func (in *Intake) check(ctx context.Context, up sql.Upload, a custody.Artifact, found func(context.Context, Checked) error) error {
	c := Checked{Evidence: up.Evidence}
	got, err := in.Vault.Check(ctx, up.Incident, a.Root, a.Size)
	switch {
	case err == nil:
		c.SHA256, c.Intact = got.SHA256, got == a
	case !errors.Is(err, storage.ErrDamaged) && !errors.Is(err, storage.ErrShredded):
		return err // not known: try again later
	default:
		c.Damage = err
		if d := new(storage.DamageError); errors.As(err, &d) {
			if err := in.DamagedAt(ctx, up.Incident, up.Evidence, d.Range); err != nil {
				return err
			}
		}
	}
	if err := found(ctx, c); err != nil {
		return err
	}
	err = in.Rows.CheckUpload(ctx, up.Evidence)
	if errors.Is(err, custody.ErrUnknown) { // it was destroyed meanwhile
		err = nil
	}
	return err
}
