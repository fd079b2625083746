package house

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/replay"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/ledger/keep"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/archive"
	"github.com/forensic-custody/custody/storage/file"
)

// Audit is an archive of records that can be audited: a service's own, or what it
// disclosed to an auditor. The service may run.
type Audit struct {
	Trust   *custody.Trust
	archive *archive.Archive
	latest  []byte // checkpoint that the service published, or disclosed, last; nil when it is lost
	close   func() error
}

// OpenAudit opens the archive of the service in a folder, with its keys.
func OpenAudit(ctx context.Context, dir string) (*Audit, error) {
	c, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	h := &House{Config: c, dir: dir, now: time.Now, logger: slog.New(slog.DiscardHandler)}
	a, err := h.openAudit(ctx, dir)
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return a, nil
}

func (h *House) openAudit(ctx context.Context, dir string) (*Audit, error) {
	k, err := h.readOwn(dir)
	if err != nil {
		return nil, err
	}
	bucket, err := h.bucketToRead(dir)
	if err != nil {
		return nil, err
	}
	a := &Audit{Trust: h.Trust, archive: &archive.Archive{Bucket: bucket, Identity: k.storage, Now: h.now}, close: h.Close}
	path := filepath.Join(dir, tilesFile)
	if _, err := os.Lstat(path); err != nil {
		return a, nil //nolint:nilerror // lost: then the checkpoint has to come from elsewhere
	}
	tiles, err := keep.OpenTiles(ctx, path)
	if err != nil {
		return nil, err
	}
	a.latest, err = tiles.Checkpoint(ctx)
	return a, errors.Join(err, tiles.Close())
}

// bucketToRead opens the bucket beside a service that may run.
func (h *House) bucketToRead(dir string) (storage.Bucket, error) {
	if h.Config.S3 != nil {
		b, _, err := h.bucket(dir)
		return b, err
	}
	b, err := file.OpenToRead(under(dir, h.Config.Folder))
	if err != nil {
		return nil, err
	}
	h.closing(b.Close)
	return b, nil
}

// disclosed is the checkpoint in a folder that was disclosed.
const disclosed = "checkpoint"

// OpenDisclosed opens an archive that was disclosed to whoever holds the age identity
// in a file.
func OpenDisclosed(folder, identity string, trust *custody.Trust) (*Audit, error) {
	id, err := readIdentity(identity)
	if err != nil {
		return nil, err
	}
	signed, err := os.ReadFile(filepath.Join(folder, disclosed))
	if err != nil {
		return nil, fmt.Errorf("%s is no disclosed archive: %w", folder, err)
	}
	b, err := file.OpenToRead(folder)
	if err != nil {
		return nil, err
	}
	return &Audit{Trust: trust, archive: &archive.Archive{Bucket: b, Identity: id, Now: time.Now}, latest: signed, close: b.Close}, nil
}

// Close releases the archive.
func (a *Audit) Close() error { return a.close() }

// Checkpoint returns the checkpoint that the service published last, or disclosed;
// nil where that is lost.
func (a *Audit) Checkpoint() []byte { return a.latest }

// Run decides all records below a signed checkpoint again.
func (a *Audit) Run(ctx context.Context, checkpoint []byte, progress func(uint64)) (*replay.Report, error) {
	return replay.Run(ctx, replay.Config{
		Trust: a.Trust, Words: investigate.Words(), States: investigate.States(), Checkpoint: checkpoint, Progress: progress,
		At: func(ctx context.Context, place uint64) (replay.Record, error) {
			r, err := a.archive.At(ctx, place)
			return recordOf(r), err
		},
	}, a.records(ctx))
}

// Structure draws up what an auditor can be given who may not see contents: of the
// log below a signed checkpoint.
func (a *Audit) Structure(ctx context.Context, checkpoint []byte) (*replay.Structure, error) {
	point, err := a.Trust.OpenCheckpoint(checkpoint)
	if err != nil {
		return nil, err
	}
	return replay.StructureOf(a.Trust.Origin, func(yield func(replay.Record, error) bool) {
		place := uint64(0)
		for r, err := range a.records(ctx) {
			if err == nil && place == point.Size {
				return
			}
			if place++; !yield(r, err) {
				return
			}
		}
	})
}

// Disclose copies the archive into a folder, with a signed checkpoint, encrypted for
// recipients (age1...), who can audit it there. It holds what was said and by whom,
// and nothing of the evidence. It may be called again, with a later checkpoint.
func (a *Audit) Disclose(ctx context.Context, checkpoint []byte, folder string, recipients []string) (err error) {
	to := &archive.Archive{}
	for _, text := range recipients {
		r, err := age.ParseX25519Recipient(text)
		if err != nil {
			return fmt.Errorf("recipient %.80q: %w", text, err)
		}
		to.Recipients = append(to.Recipients, r)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	b, err := file.Open(folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	to.Bucket = b
	if err := a.archive.Disclose(ctx, to); err != nil {
		return err
	}
	path := filepath.Join(folder, disclosed)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return writeNew(path, checkpoint)
}

func (a *Audit) records(ctx context.Context) iter.Seq2[replay.Record, error] {
	return func(yield func(replay.Record, error) bool) {
		for r, err := range a.archive.Records(ctx) {
			if !yield(recordOf(r), err) {
				return
			}
		}
	}
}

func recordOf(r archive.Record) replay.Record {
	return replay.Record{
		Leaf: r.Leaf, Stream: r.Stream, Sequence: r.Sequence, Payload: r.Payload, Opening: r.Opening, Bytes: r.Bytes, Opens: r.Opens,
		Published: r.Published,
	}
}
