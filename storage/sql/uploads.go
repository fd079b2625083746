package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

// Upload is the bringing of one artifact, from its first chunk on. When its seal
// was checked it stays, with its chunks, for those who bring the same ones.
type Upload struct {
	Evidence  custody.EvidenceID
	Incident  custody.IncidentID
	Principal custody.PrincipalID // who brings it, where that matters
	AtMost    uint64              // bytes it may have; 0 when there is no limit
	Sealed    bool                // no more chunks; the check is outstanding
	Broken    bool                // a stream that brought some of it has not ended as it should; not set by AddUpload
	Begun     time.Time           // to the microsecond, UTC
}

// Chunk is a chunk that arrived and lies in the bucket.
type Chunk struct {
	Index   uint64 // place in the artifact, from 0
	Digest  custody.Digest
	Length  uint64 // bytes
	Version string // under which the bucket keeps it; may be empty
}

// ErrSealed says that an upload takes no more chunks.
var ErrSealed = errors.New("the upload is sealed")

const (
	insertUpload = `INSERT INTO uploads (evidence, incident, principal, at_most, sealed, begun)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (evidence) DO NOTHING`
	selectUpload   = `SELECT evidence, incident, principal, at_most, sealed, broken, begun FROM uploads WHERE evidence = $1`
	selectSealed   = `SELECT evidence, incident, principal, at_most, sealed, broken, begun FROM uploads WHERE sealed AND NOT checked ORDER BY begun, evidence`
	checkUpload    = `UPDATE uploads SET checked = TRUE WHERE evidence = $1`
	sealUpload     = `UPDATE uploads SET sealed = TRUE WHERE evidence = $1`
	breakUpload    = `UPDATE uploads SET broken = $1 WHERE evidence = $2`
	deleteUpload   = `DELETE FROM uploads WHERE evidence = $1`
	cutChunks      = `DELETE FROM chunks WHERE evidence = $1 AND place >= $2`
	deleteChunks   = `DELETE FROM chunks WHERE evidence = $1`
	selectIsSealed = `SELECT sealed FROM uploads WHERE evidence = $1`
	selectIncident = `SELECT incident FROM uploads WHERE evidence = $1`
	insertChunk    = `INSERT INTO chunks (evidence, place, digest, length, version) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (evidence, place) DO UPDATE SET digest = excluded.digest, length = excluded.length, version = excluded.version`
	leaveFrom = `INSERT INTO leftovers (evidence, digest, length, version)
		SELECT evidence, digest, length, version FROM chunks WHERE evidence = $1 AND place >= $2 ON CONFLICT DO NOTHING`
	leaveOther = `INSERT INTO leftovers (evidence, digest, length, version)
		SELECT evidence, digest, length, version FROM chunks WHERE evidence = $1 AND place = $2 AND (digest <> $3 OR length <> $4 OR version <> $5) ON CONFLICT DO NOTHING`
	leaveLost       = `INSERT INTO leftovers (evidence, digest, length, version) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`
	deleteLost      = `DELETE FROM chunks WHERE evidence = $1 AND digest = $2 AND length = $3 AND version = $4`
	deleteLeftovers = `DELETE FROM leftovers WHERE evidence = $1`
	selectLeftovers = `SELECT digest, length, version FROM leftovers WHERE evidence = $1 AND (digest, length, version) > ($2, $3, $4)
		ORDER BY digest, length, version LIMIT $5`
	selectOpen    = `SELECT evidence, incident, principal, at_most, sealed, broken, begun FROM uploads WHERE incident = $1 AND NOT checked ORDER BY begun, evidence`
	selectHolders = `SELECT chunks.evidence, MAX(chunks.length), MAX(chunks.version) FROM chunks JOIN uploads ON uploads.evidence = chunks.evidence
		WHERE chunks.digest = $1 AND uploads.incident = $2 AND (uploads.sealed OR uploads.evidence = $3)
		GROUP BY chunks.evidence ORDER BY chunks.evidence LIMIT 16`
	selectSharing = `SELECT DISTINCT chunks.evidence FROM chunks JOIN uploads ON uploads.evidence = chunks.evidence
		WHERE chunks.digest = $1 AND uploads.incident = $2 AND uploads.sealed ORDER BY chunks.evidence`
	selectAny = `SELECT COUNT(*) FROM (SELECT 1 FROM chunks JOIN uploads ON uploads.evidence = chunks.evidence
		WHERE uploads.incident = $1 AND (uploads.sealed OR uploads.evidence = $2) LIMIT 1) AS found`
	selectChunks = `SELECT place, digest, length, version FROM chunks WHERE evidence = $1 AND place >= $2 ORDER BY place LIMIT $3`
)

// AddUpload keeps a new upload. One of the same item that is there already
// stays as it is; it fails with guard.ErrDuplicate when that is of another
// incident.
func (s *Store) AddUpload(ctx context.Context, u Upload) error {
	err := s.write(ctx, func(t *transaction) error {
		if _, err := t.exec(insertUpload, string(u.Evidence), string(u.Incident), string(u.Principal), u.AtMost, u.Sealed, u.Begun.UnixMicro()); err != nil {
			return err
		}
		var i custody.IncidentID
		if err := t.row(selectIncident, []any{string(u.Evidence)}, &i); err != nil {
			return err
		}
		if i != u.Incident {
			return fmt.Errorf("it is of another incident: %w", guard.ErrDuplicate)
		}
		return nil
	})
	return uploadError(u.Evidence, err)
}

// Upload returns an item's upload, or custody.ErrUnknown.
func (s *Store) Upload(ctx context.Context, e custody.EvidenceID) (Upload, error) {
	u, err := scanUpload(func(to ...any) error { return s.row(ctx, selectUpload, []any{string(e)}, to...) })
	return u, uploadError(e, err)
}

// AddChunks keeps chunks of an item's upload, in the places of those with the
// same index, which become leftovers, all or none. It fails with ErrSealed after SealUpload, and with
// custody.ErrUnknown when there is no upload.
func (s *Store) AddChunks(ctx context.Context, e custody.EvidenceID, list ...Chunk) error {
	err := s.write(ctx, func(t *transaction) error {
		var sealed bool
		if err := t.row(selectIsSealed, []any{string(e)}, &sealed); err != nil {
			return err
		}
		if sealed {
			return ErrSealed
		}
		for _, c := range list {
			for _, do := range []string{leaveOther, insertChunk} {
				if _, err := t.exec(do, string(e), c.Index, c.Digest[:], c.Length, c.Version); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return uploadError(e, err)
}

// LoseChunks makes leftovers of chunks of an item's upload that are not in the
// bucket any more, wherever the upload has them. Their indexes do not count.
func (s *Store) LoseChunks(ctx context.Context, e custody.EvidenceID, list ...Chunk) error {
	err := s.write(ctx, func(t *transaction) error {
		for _, c := range list {
			for _, do := range []string{leaveLost, deleteLost} {
				if _, err := t.exec(do, string(e), c.Digest[:], c.Length, c.Version); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return uploadError(e, err)
}

// Leftovers returns chunks that came for an item and were cut off, replaced or
// lost since, until RemoveUpload: those after one of them, or after the zero
// Chunk, at most limit. Their indexes are not filled in.
func (s *Store) Leftovers(ctx context.Context, e custody.EvidenceID, after Chunk, limit int) (list []Chunk, err error) {
	err = s.rows(ctx, selectLeftovers, []any{string(e), after.Digest[:], after.Length, after.Version, limit}, func(scan func(...any) error) error {
		var c Chunk
		if err := scan(into(&c.Digest), &c.Length, &c.Version); err != nil {
			return err
		}
		list = append(list, c)
		return nil
	})
	return list, uploadError(e, err)
}

// CutChunks makes leftovers of the chunks of an item's upload from an index on. It fails
// with ErrSealed after SealUpload; without an upload it does nothing.
func (s *Store) CutChunks(ctx context.Context, e custody.EvidenceID, from uint64) error {
	err := s.write(ctx, func(t *transaction) error {
		var sealed bool
		if err := t.row(selectIsSealed, []any{string(e)}, &sealed); err != nil {
			return err
		}
		if sealed {
			return ErrSealed
		}
		for _, do := range []string{leaveFrom, cutChunks} {
			if _, err := t.exec(do, string(e), from); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return uploadError(e, err)
}

// Holder is an item that has a chunk, and the chunk there. Its index is not
// filled in.
type Holder struct {
	Evidence custody.EvidenceID
	Chunk    Chunk
}

// Holders returns the items of an incident that have a chunk: e, which is being
// brought, and some of those that were sealed.
func (s *Store) Holders(ctx context.Context, i custody.IncidentID, e custody.EvidenceID, digest custody.Digest) (list []Holder, err error) {
	err = s.rows(ctx, selectHolders, []any{digest[:], string(i), string(e)}, func(scan func(...any) error) error {
		h := Holder{Chunk: Chunk{Digest: digest}}
		if err := scan(&h.Evidence, &h.Chunk.Length, &h.Chunk.Version); err != nil {
			return err
		}
		list = append(list, h)
		return nil
	})
	return list, uploadError(e, err)
}

// Sharing returns the items of an incident that were sealed and have a chunk.
func (s *Store) Sharing(ctx context.Context, i custody.IncidentID, digest custody.Digest) (list []custody.EvidenceID, err error) {
	err = s.rows(ctx, selectSharing, []any{digest[:], string(i)}, func(scan func(...any) error) error {
		var e custody.EvidenceID
		err := scan(&e)
		list = append(list, e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("items of %s that share a chunk: %w", i, err)
	}
	return list, nil
}

// AnyHeld says whether Holders can find anything for an item of an incident.
func (s *Store) AnyHeld(ctx context.Context, i custody.IncidentID, e custody.EvidenceID) (bool, error) {
	var n int
	err := s.row(ctx, selectAny, []any{string(i), string(e)}, &n)
	return n > 0, uploadError(e, err)
}

// Chunks returns chunks of an item's upload in order of index, from an index
// on, at most limit of them. There are none when there is no upload.
func (s *Store) Chunks(ctx context.Context, e custody.EvidenceID, from uint64, limit int) (list []Chunk, err error) {
	if from > math.MaxInt64 || limit <= 0 {
		return nil, nil
	}
	err = s.rows(ctx, selectChunks, []any{string(e), from, limit}, func(scan func(...any) error) error {
		var c Chunk
		if err := scan(&c.Index, into(&c.Digest), &c.Length, &c.Version); err != nil {
			return err
		}
		list = append(list, c)
		return nil
	})
	return list, uploadError(e, err)
}

// SealUpload ends the taking in of chunks; again it changes nothing. It fails
// with custody.ErrUnknown when there is no upload.
func (s *Store) SealUpload(ctx context.Context, e custody.EvidenceID) error {
	return s.changeOne(ctx, custody.ErrUnknown, "upload of "+string(e), sealUpload, string(e))
}

// BreakUpload notes whether a stream that brings an upload has not ended yet as it
// should. It fails with custody.ErrUnknown when there is no upload.
func (s *Store) BreakUpload(ctx context.Context, e custody.EvidenceID, broken bool) error {
	return s.changeOne(ctx, custody.ErrUnknown, "upload of "+string(e), breakUpload, broken, string(e))
}

// CheckUpload notes that a sealed upload was read back. It fails with
// custody.ErrUnknown when there is no upload.
func (s *Store) CheckUpload(ctx context.Context, e custody.EvidenceID) error {
	return s.changeOne(ctx, custody.ErrUnknown, "upload of "+string(e), checkUpload, string(e))
}

// SealedUploads returns the uploads that were sealed and not yet checked, the
// oldest first.
func (s *Store) SealedUploads(ctx context.Context) (list []Upload, err error) {
	err = s.rows(ctx, selectSealed, nil, func(scan func(...any) error) error {
		u, err := scanUpload(scan)
		list = append(list, u)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sealed uploads: %w", err)
	}
	return list, nil
}

// OpenUploads returns the uploads of an incident that are not both sealed and
// checked, the oldest first.
func (s *Store) OpenUploads(ctx context.Context, i custody.IncidentID) (list []Upload, err error) {
	err = s.rows(ctx, selectOpen, []any{string(i)}, func(scan func(...any) error) error {
		u, err := scanUpload(scan)
		list = append(list, u)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open uploads of %s: %w", i, err)
	}
	return list, nil
}

// RemoveUpload forgets an upload, its chunks and its leftovers. Without one it
// does nothing.
func (s *Store) RemoveUpload(ctx context.Context, e custody.EvidenceID) error {
	err := s.write(ctx, func(t *transaction) error {
		for _, do := range []string{deleteChunks, deleteLeftovers, deleteUpload} {
			if _, err := t.exec(do, string(e)); err != nil {
				return err
			}
		}
		return nil
	})
	return uploadError(e, err)
}

func scanUpload(scan func(...any) error) (u Upload, err error) {
	var begun int64
	err = scan(&u.Evidence, &u.Incident, &u.Principal, &u.AtMost, &u.Sealed, &u.Broken, &begun)
	if err != nil {
		return Upload{}, err
	}
	u.Begun = time.UnixMicro(begun).UTC()
	return u, nil
}

func uploadError(e custody.EvidenceID, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return custody.ErrUnknown
	}
	return fmt.Errorf("upload of %s: %w", e, err)
}
