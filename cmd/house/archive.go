package house

import (
	"context"
	"errors"
	"fmt"
	"time"

	"filippo.io/age"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/archive"
	"github.com/forensic-custody/custody/storage/sql"
)

// store is the bucket, open, with what it was proven to do.
type store struct {
	bucket     storage.Bucket
	volume     string // folder on whose volume it lies, or ""
	proven     storage.Abilities
	recipients []age.Recipient // of the keys of what lies in it
	archive    *archive.Archive
}

// openStore opens the bucket and tries it. One that does not do what evidence
// needs is refused.
func (h *House) openStore(ctx context.Context, dir string, k *keys) (*store, error) {
	s := &store{}
	var err error
	if s.bucket, s.volume, err = h.bucket(dir); err != nil {
		return nil, err
	}
	if s.proven, err = s.bucket.Probe(ctx); err != nil {
		return nil, fmt.Errorf("the bucket does not do what evidence needs: %w", err)
	}
	if h.Config.S3 != nil && !s.proven.Lock && !h.Config.Unlocked {
		return nil, errors.New("the bucket does not lock objects, so anybody who can write to it can delete evidence: make it with object lock, or set \"unlocked\": true in config.json, which every bundle will say")
	}
	for _, line := range s.proven.Lines {
		h.logger.InfoContext(ctx, "bucket", "found", line)
	}
	if s.recipients, err = h.recipients(k.storage); err != nil {
		return nil, err
	}
	s.archive = &archive.Archive{Bucket: s.bucket, Recipients: s.recipients, Identity: k.storage, Now: h.now}
	if s.proven.Lock {
		s.archive.LockFor = h.Config.archiveFor()
	}
	return s, nil
}

// defaultArchive is for how many days what is archived of the log is locked.
const defaultArchive = 365

func (c Config) archiveFor() time.Duration {
	days := c.Archive
	if days == 0 {
		days = defaultArchive
	}
	return time.Duration(days) * 24 * time.Hour
}

// archiver is the archive as the log wants it. What the log is about to sign for
// has no receipt yet, so that its records are among those few.
type archiver struct {
	archive *archive.Archive
	rows    *sql.Store
}

// Keep implements ledger.Archive. It fails when the log has a leaf that is of no
// record: as when the database was set back and the log was not.
func (a archiver) Keep(ctx context.Context, first uint64, entries []ledger.Entry, published []byte) error {
	unproven, err := a.rows.Unproven(ctx)
	if err != nil {
		return err
	}
	of := make(map[custody.Leaf]guard.Stored, len(unproven))
	for _, r := range unproven {
		of[r.Leaf] = r
	}
	records := make([]archive.Record, len(entries))
	for i, e := range entries {
		r, ok := of[e.Leaf]
		if !ok {
			return fmt.Errorf("the log has a leaf, at %d, of which the database has no record without receipt: one of them was set back", first+uint64(i))
		}
		records[i] = archive.Record{
			Stream: r.Stream, Sequence: r.Sequence, Leaf: r.Leaf, Payload: r.Payload, Opening: r.Opening, Bytes: r.Record, Opens: r.Opens,
		}
	}
	if err := a.archive.Keep(ctx, first, records, published); err != nil {
		return fmt.Errorf("%w: %w", errArchive, err)
	}
	return nil
}

// errArchive marks what kept the log from being archived.
var errArchive = errors.New("the archive")

// records is the database with the archive beside it: what is erased from the one
// is erased from both.
type records struct {
	*sql.Store
	archive *archive.Archive
}

// Erase implements guard.Store.
func (r records) Erase(ctx context.Context, e guard.Erased) error {
	receipt, err := custody.ParseReceipt(e.Receipt)
	if err != nil {
		return err
	}
	if err := r.archive.Erase(ctx, receipt.Index); err != nil {
		return err
	}
	return r.Store.Erase(ctx, e)
}
