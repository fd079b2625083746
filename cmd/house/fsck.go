package house

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/storage/archive"
	"github.com/forensic-custody/custody/storage/sql"
)

// Fscked is what Fsck found.
type Fscked struct {
	Records       uint64             // in the log, each looked at in database, log and archive
	Erased        uint64             // of them
	Pending       uint64             // of them, that have no receipt in the database yet: the service was stopped before, and writes it when it starts
	Stamps        uint64             // by time-stamping authorities
	Checkpoint    custody.Checkpoint // of the log
	State         custody.Digest     // what the database's records come to, for the guard; zero when it could not be told
	Disagreements []string           // each in a line; none when all is well
}

// mostDisagreements is how many are listed before Fsck gives up.
const mostDisagreements = 100

// Fsck holds the parts of a service, which must not run, against each other,
// record by record: the log's engine against its tiles and the signed head, the
// database against the log, the archive in the bucket against both. It changes
// nothing but what every start does. Evidence is not read: that is what the
// service does all the time. An error means that it could not be told; what does
// not agree is in the answer.
func Fsck(ctx context.Context, dir string, progress func(uint64)) (*Fscked, error) {
	c, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	h := &House{Config: c, dir: dir, now: time.Now, logger: slog.New(slog.DiscardHandler)}
	found, err := h.fsck(ctx, dir, progress)
	return found, errors.Join(err, h.Close())
}

func (h *House) fsck(ctx context.Context, dir string, progress func(uint64)) (*Fscked, error) {
	if err := h.lock(dir); err != nil {
		return nil, err
	}
	k, err := h.readOwn(dir)
	if err != nil {
		return nil, err
	}
	rows, err := sql.Open(ctx, filepath.Join(dir, recordsFile), sql.Options{MustExist: true})
	if err != nil {
		return nil, err
	}
	h.closing(rows.Close)
	s, err := h.openStore(ctx, dir, k)
	if err != nil {
		return nil, err
	}
	lc, err := h.logConfig(ctx, dir, k, false)
	if err != nil {
		return nil, err
	}
	lc.Archive = archiver{s.archive, rows}
	log, err := ledger.Open(ctx, lc)
	if errors.Is(err, ledger.ErrFork) || errors.Is(err, ledger.ErrRollback) {
		return &Fscked{Disagreements: []string{err.Error()}}, nil // and there is no log to go on with
	}
	if err != nil {
		return nil, err
	}
	h.closing(log.Close)
	c := &comparison{rows: rows, log: log, rowKey: k.rows, progress: progress}
	found, err := c.run(ctx, s.archive)
	if err != nil {
		return nil, err
	}
	if err := c.fsckStamps(ctx, h, s.archive); err != nil {
		return nil, err
	}
	h.log = log
	streams, err := allStreams(ctx, rows)
	if err != nil {
		return nil, err
	}
	if found.State, err = guard.StateDigest(ctx, h.guardConfig(rows, k), streams); err != nil {
		found.Disagreements = append(found.Disagreements, fmt.Sprintf("database: what it has cannot be folded: %v", err))
	}
	return found, nil
}

// allStreams lists the streams of the database.
func allStreams(ctx context.Context, rows *sql.Store) ([]custody.Stream, error) {
	list := []custody.Stream{custody.PolicyStream, custody.IncidentsStream}
	for kind := range investigate.States() {
		some, err := rows.Proven(ctx, kind)
		if err != nil {
			return nil, err
		}
		for s := range some {
			list = append(list, s)
		}
	}
	return list, nil
}

// comparison is an Fsck under way.
type comparison struct {
	rows     *sql.Store
	log      *ledger.Log
	rowKey   [32]byte
	progress func(uint64)
	found    Fscked
}

var errEnough = errors.New("there are more")

// say notes a disagreement.
func (c *comparison) say(format string, args ...any) error {
	c.found.Disagreements = append(c.found.Disagreements, fmt.Sprintf(format, args...))
	if len(c.found.Disagreements) >= mostDisagreements {
		return errEnough
	}
	return nil
}

func (c *comparison) run(ctx context.Context, a *archive.Archive) (*Fscked, error) {
	if err := c.log.Check(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		_ = c.say("log: %v", err)
	}
	is, err := custody.CheckpointBody(c.log.Checkpoint())
	if err != nil {
		return nil, err
	}
	c.found.Checkpoint, c.found.Records = is, is.Size
	archived, stop := iter.Pull2(a.Records(ctx))
	defer stop()
	place := uint64(0)
	err = c.log.Leaves(ctx, is.Size, func(leaf custody.Leaf) error {
		r, err, more := archived()
		if err == nil && !more {
			err = c.say("archive: it ends after %d records; the log has %d", place, is.Size)
			archived = func() (archive.Record, error, bool) { return archive.Record{}, errEnough, false }
			return errors.Join(err, errEnough)
		}
		if err != nil {
			return errors.Join(c.say("archive: %v", err), errEnough)
		}
		err = c.one(ctx, place, leaf, r)
		if place++; place%(16*pageOfRecords) == 0 {
			c.progress(place)
		}
		return err
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	records, unproven, err := c.rows.Count(ctx)
	if err != nil {
		return nil, err
	}
	if records-unproven+c.found.Pending != is.Size {
		_ = c.say("database: it has %d records with a receipt; the log has %d, of which %d wait for theirs", records-unproven, is.Size, c.found.Pending)
	}
	return &c.found, nil
}

// one compares a record in the log with the archive's and the database's.
func (c *comparison) one(ctx context.Context, place uint64, leaf custody.Leaf, r archive.Record) error {
	if r.Leaf != leaf {
		return c.say("record %d: the archive has another leaf than the log", place)
	}
	row, err := c.rows.ByPayload(ctx, r.Payload)
	if errors.Is(err, custody.ErrUnknown) {
		return c.say("record %d: the database has none with the payload that is archived", place)
	}
	if err != nil {
		return c.say("record %d: the database: %v", place, err)
	}
	if r.Erased() {
		c.found.Erased++
	}
	want, err := guard.Restore(c.rowKey, guard.Stored{
		Stream: r.Stream, Sequence: r.Sequence, Payload: r.Payload, Record: r.Bytes, Opening: r.Opening, Leaf: r.Leaf,
	})
	if err != nil {
		return c.say("record %d: the archive: %v", place, err)
	}
	receipt, err := custody.ParseReceipt(row.Receipt)
	switch {
	case row.Erased() != r.Erased():
		return c.say("record %d (%d of %s): it is erased in the database or in the archive, and not in both", place, r.Sequence, r.Stream)
	case row.Stream != want.Stream || row.Sequence != want.Sequence || row.Leaf != want.Leaf || !bytes.Equal(row.Record, want.Record) || row.Opening != want.Opening:
		return c.say("record %d (%d of %s): the database has another than the archive", place, r.Sequence, r.Stream)
	case row.Mark != want.Mark:
		return c.say("record %d (%d of %s): its row in the database was not written by this service", place, r.Sequence, r.Stream)
	case len(row.Receipt) == 0:
		c.found.Pending++
		return nil
	case err != nil || receipt.Index != place:
		return c.say("record %d (%d of %s): its receipt in the database is none, or of another place", place, r.Sequence, r.Stream)
	}
	return nil
}
