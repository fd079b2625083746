package house

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/ledger/keep"
	"github.com/forensic-custody/custody/storage/archive"
	"github.com/forensic-custody/custody/storage/sql"
)

// Rebuilt says what Rebuild made.
type Rebuilt struct {
	Records    uint64             // in the log
	Erased     uint64             // of them
	Checkpoint custody.Checkpoint // of the log
	Stamps     uint64             // by time-stamping authorities, restored
	SetAside   []string           // what lay among the stamps and is none of this log, and why
	Compared   *uint64            // size of an earlier checkpoint that the log goes on from; nil when none was given
}

// rebuilding is the folder in which Rebuild works until it is done.
const rebuilding = "rebuilding"

// Rebuild makes the databases of a service anew, from its bucket and what is left
// of its folder: config.json, trust.json and keys. It refuses where one of them is
// there. earlier is a signed checkpoint of the log that somebody kept, or nothing;
// beside it the lock file counts as one, if it is there, and is renamed. The new
// log must go on from these, or nothing is made: ledger.ErrRollback when it is
// shorter, ledger.ErrFork when it is another.
//
// Without an earlier checkpoint nobody can tell whether the end of the archive is
// missing. Uploads that were not sealed have to begin again. progress is told, now
// and then, how many records are done.
func Rebuild(ctx context.Context, dir string, earlier []byte, progress func(uint64)) (*Rebuilt, error) {
	c, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	h := &House{Config: c, dir: dir, now: time.Now, logger: slog.New(slog.DiscardHandler)}
	made, err := h.rebuild(ctx, dir, earlier, progress)
	return made, errors.Join(err, h.Close())
}

func (h *House) rebuild(ctx context.Context, dir string, earlier []byte, progress func(uint64)) (*Rebuilt, error) {
	if err := h.lock(dir); err != nil {
		return nil, err
	}
	engine := h.Config.engineFile()
	for _, name := range []string{recordsFile, engine, tilesFile} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return nil, fmt.Errorf("%s is there: what is rebuilt is the database and the log as a whole; move %s, %s and %s (with -wal and -shm) away first",
				filepath.Join(dir, name), recordsFile, engine, tilesFile)
		}
	}
	k, err := h.readOwn(dir)
	if err != nil {
		return nil, err
	}
	s, err := h.openStore(ctx, dir, k)
	if err != nil {
		return nil, err
	}
	marks, err := h.marks(ctx, dir, earlier)
	if err != nil {
		return nil, err
	}
	work := filepath.Join(dir, rebuilding)
	if err := os.RemoveAll(work); err != nil { // an earlier try's
		return nil, err
	}
	if err := os.Mkdir(work, 0o700); err != nil {
		return nil, err
	}
	if _, err := h.trustedAuthorities(dir); err != nil { // which is asked for when all else is done
		return nil, err
	}
	var aside []string
	stamps := func(take func(sql.Stamp) error) error {
		return h.archivedStamps(ctx, s.archive, func(err error) error { aside = append(aside, err.Error()); return nil }, take)
	}
	made, err := h.rebuildIn(ctx, work, k, s, marks, stamps, progress)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(work))
	}
	made.SetAside = aside
	return made, h.moveIn(dir, work)
}

// readOwn reads the trust file and the keys, which must be of one service.
func (h *House) readOwn(dir string) (*keys, error) {
	b, err := os.ReadFile(filepath.Join(dir, trustFile))
	if err != nil {
		return nil, err
	}
	if h.Trust, err = custody.ParseTrust(b); err != nil {
		return nil, err
	}
	k, err := readKeys(dir)
	if err != nil {
		return nil, err
	}
	if h.logKeys, err = h.Trust.LogKeys(); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(dir, logKey+".next")); err == nil {
		return nil, fmt.Errorf("a change of the log's key was interrupted: run custody rekey --log --dir %s once more", dir)
	}
	if now, err := h.Trust.LogKey(); err != nil || now != k.logKey || h.Trust.Origin != h.Config.Origin {
		return nil, fmt.Errorf("%s, %s and %s are not of one service", trustFile, configFile, logKey)
	}
	return k, nil
}

// marks returns the earlier checkpoints that the log has to go on from, in order
// of size.
func (h *House) marks(ctx context.Context, dir string, earlier []byte) ([]custody.Checkpoint, error) {
	notes := [][]byte{}
	if len(earlier) > 0 {
		notes = append(notes, earlier)
	}
	path := under(dir, h.Config.LockFile)
	if _, err := os.Lstat(path); err == nil {
		lock, err := keep.OpenLock(ctx, path)
		if err != nil {
			return nil, err
		}
		signed, _, err := lock.Load(ctx)
		if err := errors.Join(err, lock.Close()); err != nil && !errors.Is(err, ledger.ErrNoHead) {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if len(signed) > 0 {
			notes = append(notes, signed)
		}
	}
	list := make([]custody.Checkpoint, len(notes))
	for i, n := range notes {
		c, err := custody.OpenOwn(n, h.logKeys.For(n)) // whoever else signed it
		if err != nil {
			return nil, fmt.Errorf("the earlier checkpoint: %w", err)
		}
		list[i] = c.Checkpoint
	}
	slices.SortFunc(list, func(a, b custody.Checkpoint) int { return int(a.Size) - int(b.Size) })
	return list, nil
}

// rebuildIn makes the databases in a folder of their own.
func (h *House) rebuildIn(ctx context.Context, work string, k *keys, s *store, marks []custody.Checkpoint, stamps func(take func(sql.Stamp) error) error, progress func(uint64)) (*Rebuilt, error) {
	within := &House{Config: h.Config, logKeys: h.logKeys, now: h.now, logger: h.logger}
	within.Config.LockFile = filepath.Base(h.Config.LockFile)
	if t := h.Config.Trillian; t != nil {
		within.Config.Trillian = &Trillian{Address: t.Address, CA: t.CA}
		if t.CA != "" {
			within.Config.Trillian.CA = under(h.dir, t.CA)
		}
	}
	made, err := within.fill(ctx, work, k, s.archive, h.Trust, marks, stamps, progress)
	if err == nil && h.Config.Trillian != nil {
		h.Config.Trillian.Tree = within.Config.Trillian.Tree // the old one is left alone
		err = h.writeConfig(work)
	}
	return made, errors.Join(err, within.Close())
}

// writeConfig puts the configuration into a folder.
func (h *House) writeConfig(dir string) error {
	b, err := h.Config.marshal()
	if err != nil {
		return err
	}
	return writeNew(filepath.Join(dir, configFile), b)
}

func (h *House) fill(ctx context.Context, work string, k *keys, a *archive.Archive, trust *custody.Trust, marks []custody.Checkpoint, stamps func(take func(sql.Stamp) error) error, progress func(uint64)) (*Rebuilt, error) {
	rows, err := sql.Open(ctx, filepath.Join(work, recordsFile), sql.Options{})
	if err != nil {
		return nil, err
	}
	h.closing(rows.Close)
	lc, err := h.logConfig(ctx, work, k, true)
	if err != nil {
		return nil, err
	}
	if err := ledger.Create(ctx, lc); err != nil {
		return nil, err
	}
	log, err := ledger.Open(ctx, lc)
	if err != nil {
		return nil, err
	}
	h.closing(log.Close)
	b := &builder{rows: rows, log: log, rowKey: k.rows, trust: trust, marks: marks, sealed: map[custody.EvidenceID]*custody.SealEvidence{}, checked: map[custody.EvidenceID]bool{}}
	for r, err := range a.Records(ctx) {
		if err == nil {
			err = b.take(ctx, r)
		}
		if err != nil {
			return nil, err
		}
		if b.made.Records%(16*pageOfRecords) == 0 {
			progress(b.made.Records)
		}
	}
	if _, err := b.end(ctx); err != nil {
		return nil, err
	}
	return &b.made, stamps(func(s sql.Stamp) error { return b.restoreStamp(ctx, s) })
}

// restoreStamp puts a stamp back into the database. One of a size that the log does not
// have, or with another root than it had there, is one that the log cannot have lost
// by itself: then nothing is made.
func (b *builder) restoreStamp(ctx context.Context, s sql.Stamp) error {
	point, err := custody.CheckpointBody(s.Checkpoint)
	if err != nil {
		return err
	}
	root, err := b.log.Root(ctx, s.Size)
	if errors.Is(err, custody.ErrUnknown) {
		return fmt.Errorf("%w: %s has stamped a checkpoint of size %d, and the archive has %d records", ledger.ErrRollback, s.Authority, s.Size, b.made.Records)
	}
	if err != nil {
		return err
	}
	if root != point.Root {
		return fmt.Errorf("%w: what is archived gives another root at size %d than %s has stamped", ledger.ErrFork, s.Size, s.Authority)
	}
	if err := b.rows.AddStamp(ctx, s); err != nil {
		return err
	}
	b.made.Stamps++
	return nil
}

// pageOfRecords is how many records are put into database and log at once.
const pageOfRecords = 512

// builder makes database and log of records in the order of the log.
type builder struct {
	rows   *sql.Store
	log    *ledger.Log
	rowKey [32]byte
	trust  *custody.Trust
	marks  []custody.Checkpoint // still to come
	page   []guard.Stored
	made   Rebuilt

	sealed  map[custody.EvidenceID]*custody.SealEvidence
	checked map[custody.EvidenceID]bool
}

// take adds the next record.
func (b *builder) take(ctx context.Context, r archive.Record) error {
	place := b.made.Records
	if place == 0 && r.Leaf.Commitment() != b.trust.Genesis {
		return errors.New("the first record in the archive is not the genesis record of the trust file: another service's bucket, or another trust file")
	}
	row, err := guard.Restore(b.rowKey, guard.Stored{
		Stream: r.Stream, Sequence: r.Sequence, Payload: r.Payload, Record: r.Bytes, Opening: r.Opening, Leaf: r.Leaf, Opens: r.Opens,
	})
	if err != nil {
		return fmt.Errorf("record %d: %w", place, err)
	}
	if r.Erased() {
		b.made.Erased++
	} else if err := b.recall(&row); err != nil {
		return fmt.Errorf("record %d: %w", place, err)
	}
	b.page = append(b.page, row)
	b.made.Records++
	atMark := len(b.marks) > 0 && b.marks[0].Size == b.made.Records
	if len(b.page) < pageOfRecords && !atMark {
		return nil
	}
	if err := b.flush(ctx); err != nil {
		return err
	}
	for len(b.marks) > 0 && b.marks[0].Size == b.made.Records {
		if err := b.compare(b.marks[0]); err != nil {
			return err
		}
		b.marks = b.marks[1:]
	}
	return nil
}

// recall restores what the database keeps beside the records, as far as it
// follows from them: tickets whose end is not on record, erasures that were ordered
// and not done, and items that were sealed.
func (b *builder) recall(row *guard.Stored) error {
	r, err := custody.ParseRecord(row.Record)
	if err != nil || !r.Decision.Permit {
		return err
	}
	s, err := r.Envelope.Statement(investigate.Words())
	if err != nil {
		return err
	}
	switch act := s.Act.(type) {
	case *custody.SealEvidence:
		b.sealed[act.Evidence] = act
	case *custody.CheckEvidence:
		b.checked[act.Evidence] = true
	case *custody.RetrieveEvidence:
		t := guard.Ticket{
			Grant: s.Payload, Principal: s.Actor, Key: s.Signer, Evidence: act.Evidence, Expires: r.Recorded.Time(),
			Span: guard.Range{Offset: act.Offset, Length: act.Length}, Begun: 1, // how far it came, nobody knows any more
		}
		if seal := b.sealed[act.Evidence]; seal != nil {
			t.Span.Length = act.Span(seal.Artifact.Size)
		}
		if _, err := io.ReadFull(rand.Reader, t.Token[:]); err != nil { // which nobody has
			return err
		}
		row.Ticket = &t
	case *custody.EraseRecord:
		if !act.Seconds.IsZero() {
			row.Erases = &guard.Erasing{Order: s.Payload, Stream: act.Stream, Sequence: act.Sequence}
		}
	}
	return nil
}

// flush puts the page into database and log.
func (b *builder) flush(ctx context.Context) error {
	if len(b.page) == 0 {
		return nil
	}
	first := b.made.Records - uint64(len(b.page))
	if err := b.rows.Restore(ctx, b.page); err != nil {
		return fmt.Errorf("records %d to %d: %w", first, b.made.Records-1, err)
	}
	leaves := make([]custody.Leaf, len(b.page))
	identities := make([]custody.Digest, len(b.page))
	for i, r := range b.page {
		leaves[i], identities[i] = r.Leaf, custody.Identity(r.Payload)
	}
	receipts, err := b.log.Append(ctx, leaves, identities)
	if err != nil {
		return err
	}
	proofs := make([]guard.Proof, len(b.page))
	for i, r := range b.page {
		if receipts[i].Index != first+uint64(i) {
			return fmt.Errorf("record %d came to stand at %d of the log", first+uint64(i), receipts[i].Index)
		}
		if !r.Erased() {
			receipts[i].Open(r.Opening, r.Leaf.Tag())
		}
		proofs[i] = guard.Proof{Payload: r.Payload, Receipt: receipts[i].Marshal()}
	}
	if err := b.rows.Prove(ctx, proofs); err != nil {
		return err
	}
	if err := b.settle(ctx); err != nil {
		return err
	}
	b.page = b.page[:0]
	return nil
}

// settle ends the tickets and erasures of which the page has the end.
func (b *builder) settle(ctx context.Context) error {
	for _, row := range b.page {
		if row.Erased() {
			continue
		}
		r, err := custody.ParseRecord(row.Record)
		if err != nil {
			return err
		}
		if !r.Decision.Permit {
			continue
		}
		s, err := r.Envelope.Statement(investigate.Words())
		if err != nil {
			return err
		}
		switch act := s.Act.(type) {
		case *custody.ReleaseEvidence:
			err = b.rows.CloseTicket(ctx, act.Grant)
		case *custody.EraseRecord: // of a release: what it settled stays settled
			if act.Was == custody.KindReleaseEvidence && !act.Refused {
				err = b.rows.CloseTicket(ctx, act.Grant)
			}
		case *custody.ErasedRecord:
			err = b.rows.EndErasure(ctx, act.Order)
		}
		if err != nil && !errors.Is(err, custody.ErrUnknown) {
			return err
		}
	}
	return nil
}

// compare holds the log against an earlier checkpoint of its present size.
func (b *builder) compare(c custody.Checkpoint) error {
	is, err := custody.CheckpointBody(b.log.Checkpoint())
	if err != nil {
		return err
	}
	if is != c {
		return fmt.Errorf("%w: what is archived gives another root at size %d than was signed", ledger.ErrFork, c.Size)
	}
	b.made.Compared = &c.Size
	return nil
}

// end finishes, once all records are taken.
func (b *builder) end(ctx context.Context) (*Rebuilt, error) {
	if b.made.Records == 0 {
		return nil, errors.New("the bucket has no archive of a log")
	}
	if err := b.flush(ctx); err != nil {
		return nil, err
	}
	for _, c := range b.marks {
		if c.Size > 0 {
			return nil, fmt.Errorf("%w: a checkpoint of size %d was signed, and the archive has %d records", ledger.ErrRollback, c.Size, b.made.Records)
		}
	}
	for e, seal := range b.sealed {
		if err := b.rows.AddUpload(ctx, sql.Upload{Evidence: e, Incident: seal.Incident, Begun: time.Now()}); err != nil {
			return nil, err
		}
		if err := b.rows.SealUpload(ctx, e); err != nil {
			return nil, err
		}
		if b.checked[e] {
			if err := b.rows.CheckUpload(ctx, e); err != nil {
				return nil, err
			}
		}
	}
	var err error
	b.made.Checkpoint, err = custody.CheckpointBody(b.log.Checkpoint())
	return &b.made, err
}

// moveIn puts the databases into their places. What was in the lock file before
// stays beside it.
func (h *House) moveIn(dir, work string) error {
	path := under(dir, h.Config.LockFile)
	if _, err := os.Lstat(path); err == nil {
		if err := os.Rename(path, path+".before-"+time.Now().UTC().Format("20060102T150405Z")); err != nil {
			return err
		}
	}
	if err := moveFile(filepath.Join(work, filepath.Base(h.Config.LockFile)), path); err != nil {
		return err
	}
	files := []string{tilesFile, h.Config.engineFile(), recordsFile}
	if h.Config.Trillian != nil {
		files = slices.Insert(files, 2, configFile) // it names the new tree
	}
	for _, name := range files {
		if err := os.Rename(filepath.Join(work, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return errors.Join(syncDir(dir), syncDir(filepath.Dir(path)), os.RemoveAll(work))
}

// moveFile moves a file, to another volume too.
func moveFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return writeNew(to, b)
}
