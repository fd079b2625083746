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

// Upload is the bringing of one artifact, from its first chunk until its seal
// was checked.
type Upload struct {
	Evidence  custody.EvidenceID
	Incident  custody.IncidentID
	Principal custody.PrincipalID // who brings it, where that matters
	AtMost    uint64              // bytes it may have; 0 when there is no limit
	Sealed    bool                // no more chunks; the check is outstanding
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
	selectUpload   = `SELECT evidence, incident, principal, at_most, sealed, begun FROM uploads WHERE evidence = $1`
	selectSealed   = `SELECT evidence, incident, principal, at_most, sealed, begun FROM uploads WHERE sealed ORDER BY begun, evidence`
	sealUpload     = `UPDATE uploads SET sealed = TRUE WHERE evidence = $1`
	deleteUpload   = `DELETE FROM uploads WHERE evidence = $1`
	deleteChunks   = `DELETE FROM chunks WHERE evidence = $1`
	selectIsSealed = `SELECT sealed FROM uploads WHERE evidence = $1`
	selectIncident = `SELECT incident FROM uploads WHERE evidence = $1`
	insertChunk    = `INSERT INTO chunks (evidence, place, digest, length, version) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (evidence, place) DO UPDATE SET digest = excluded.digest, length = excluded.length, version = excluded.version`
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

// AddChunk keeps a chunk of an item's upload, in the place of one with the same
// index. It fails with ErrSealed after SealUpload, and with custody.ErrUnknown
// when there is no upload.
func (s *Store) AddChunk(ctx context.Context, e custody.EvidenceID, index uint64, digest custody.Digest, length uint64, version string) error {
	err := s.write(ctx, func(t *transaction) error {
		var sealed bool
		if err := t.row(selectIsSealed, []any{string(e)}, &sealed); err != nil {
			return err
		}
		if sealed {
			return ErrSealed
		}
		_, err := t.exec(insertChunk, string(e), index, digest[:], length, version)
		return err
	})
	return uploadError(e, err)
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

// SealedUploads returns the uploads that were sealed and not yet removed,
// whose check is outstanding, the oldest first.
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

// RemoveUpload forgets an upload and its chunks. Without one it does nothing.
func (s *Store) RemoveUpload(ctx context.Context, e custody.EvidenceID) error {
	err := s.write(ctx, func(t *transaction) error {
		if _, err := t.exec(deleteChunks, string(e)); err != nil {
			return err
		}
		_, err := t.exec(deleteUpload, string(e))
		return err
	})
	return uploadError(e, err)
}

func scanUpload(scan func(...any) error) (u Upload, err error) {
	var begun int64
	err = scan(&u.Evidence, &u.Incident, &u.Principal, &u.AtMost, &u.Sealed, &begun)
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
