// Package archive keeps the records of the log in the bucket, in the order of
// the log, so that database and log can be made again from the bucket and the
// service's keys.
//
// It promises:
//
//   - What Keep acknowledged is durable, and comes back from Records as it was
//     or not at all: each record is held against the commitment in its leaf.
//   - Whoever runs the bucket learns how many records there are, when they were
//     made and how long they are; not what they say, and not which belong
//     together.
//   - A record whose opening was erased cannot be read again by anybody: what
//     the bucket has of it is encrypted under a key that follows from the opening.
//   - Nothing is replaced. Where objects overlap, since a batch was interrupted,
//     they say the same.
//
// It does not say whether the records are those of the log: whoever reads them
// computes the root from their leaves. That the last of them are missing is not
// told here either.
//
// Read Keep first. segment.go has the formats.
package archive

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"golang.org/x/sync/errgroup"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/storage"
)

// Archive is an archive in a bucket. Its methods may be called at once, Keep by
// one at a time, and Erase and Rewrap likewise.
type Archive struct {
	Bucket     storage.Bucket
	Recipients []age.Recipient // whom openings are encrypted for: the service, and the escrow if there is one
	Identity   age.Identity    // that opens them; only for reading, erasing and wrapping anew
	LockFor    time.Duration   // how long segments of records are locked from when they are kept; 0: not at all
	Now        func() time.Time
}

// Record is a record as the archive keeps it.
type Record struct {
	Stream   custody.Stream
	Sequence uint64
	Leaf     custody.Leaf
	Payload  custody.Digest         // of the statement
	Opening  custody.Opening        // zero when the record was erased
	Bytes    []byte                 // canonical; nil when it was erased
	Opens    []custody.OpenedStream // that it declares, with their keys

	// Published is, of the first record of a segment that Records gives, the
	// checkpoint that was kept with it; else nil.
	Published []byte
}

// Erased says whether the record's opening was destroyed.
func (r Record) Erased() bool { return r.Opening == custody.Opening{} }

// ErrDamaged says that what the bucket has is not what was kept.
var ErrDamaged = errors.New("the archive is damaged")

// most is how many records one object holds at most.
const most = 1024

// Keep makes the records at the places from first on durable, and locked where
// the archive locks. It may be called again with the same records, or more from
// the same place on. published is the checkpoint that the log published last, signed
// and cosigned; it is kept beside them.
func (a *Archive) Keep(ctx context.Context, first uint64, records []Record, published []byte) error {
	for part := range slices.Chunk(records, most) {
		if err := a.keep(ctx, first, part, published); err != nil {
			return fmt.Errorf("archive the records %d to %d: %w", first, first+uint64(len(part))-1, err)
		}
		first += uint64(len(part))
	}
	if err := a.Bucket.Barrier(ctx); err != nil {
		return fmt.Errorf("archive the records: %w", err)
	}
	return nil
}

// keep puts the openings before what they open: where there is a segment of
// records, there are its openings.
func (a *Archive) keep(ctx context.Context, first uint64, records []Record, published []byte) error {
	span := span{first, uint64(len(records))}
	sealed, err := sealRecords(span, records, published, rand.Reader)
	if err != nil {
		return err
	}
	opened, err := a.sealOpenings(span, records)
	if err != nil {
		return err
	}
	_, err = a.Bucket.Put(ctx, openingsKey(span, 0), opened)
	if err != nil && !errors.Is(err, storage.ErrExists) {
		return err
	}
	version, put := a.Bucket.Put(ctx, recordsKey(span), sealed)
	if put != nil && !errors.Is(put, storage.ErrExists) {
		return put
	}
	if err != nil || put != nil { // by an earlier try, which may have come no further
		if version, err = a.same(ctx, span, records); err != nil {
			return err
		}
	}
	if a.LockFor == 0 {
		return nil
	}
	return a.Bucket.Retain(ctx, recordsKey(span), version, a.Now().Add(a.LockFor))
}

// ErrOther says that the bucket has the archive of another log.
var ErrOther = errors.New("the bucket has the archive of another log: a service needs a bucket of its own")

// same returns the version of a segment that is there, once it is found to say
// what it should.
func (a *Archive) same(ctx context.Context, s span, records []Record) (string, error) {
	there, err := a.read(ctx, segment{span: s})
	if err != nil {
		return "", err
	}
	for i, r := range there {
		if r.Leaf != records[i].Leaf {
			return "", ErrOther
		}
	}
	o, err := a.Bucket.Stat(ctx, recordsKey(s), "")
	return o.Version, err
}

// sealOpenings encrypts the openings of records for the recipients.
func (a *Archive) sealOpenings(s span, records []Record) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, a.Recipients...)
	if err == nil {
		_, err = w.Write(marshalOpenings(s, records))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encrypt openings: %w", err)
	}
	return out.Bytes(), nil
}

// Records gives the records in the order of the log, from the first on, without
// a gap. ErrDamaged, with the place, where one is missing or not what its leaf
// says; that ends it.
func (a *Archive) Records(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		segments, err := a.segments(ctx)
		if err != nil {
			yield(Record{}, err)
			return
		}
		next := uint64(0)
		for s, records := range a.ahead(ctx, needed(segments)) {
			if s.first > next {
				yield(Record{}, fmt.Errorf("%w: records %d to %d are missing", ErrDamaged, next, s.first-1))
				return
			}
			list, err := records()
			if err != nil {
				yield(Record{}, err)
				return
			}
			for _, r := range list[next-s.first:] {
				if !yield(r, nil) {
					return
				}
				next++
			}
		}
	}
}

// needed leaves those segments out that lie within ones before them.
func needed(segments []segment) []segment {
	end := uint64(0)
	return slices.DeleteFunc(segments, func(s segment) bool {
		if s.end() <= end {
			return true
		}
		end = s.end()
		return false
	})
}

// readAhead is how many segments are read at once: from a bucket elsewhere, each
// takes its time.
const readAhead = 8

// ahead yields the segments in order, each with what waits for its records, while
// the next ones are read.
func (a *Archive) ahead(ctx context.Context, segments []segment) iter.Seq2[segment, func() ([]Record, error)] {
	return func(yield func(segment, func() ([]Record, error)) bool) {
		ctx, stop := context.WithCancel(ctx)
		var reading sync.WaitGroup
		defer reading.Wait()
		defer stop()
		var line []func() ([]Record, error)
		for n, s := range segments {
			for len(line) < min(readAhead, len(segments)-n) {
				next := segments[n+len(line)]
				var records []Record
				var err error
				done := make(chan struct{})
				reading.Go(func() {
					defer close(done)
					records, err = a.read(ctx, next)
				})
				line = append(line, func() ([]Record, error) {
					<-done
					return records, err
				})
			}
			if !yield(s, line[0]) {
				return
			}
			line = line[1:]
		}
	}
}

// At returns the record at a place. ErrDamaged as of Records, and where there is none.
func (a *Archive) At(ctx context.Context, place uint64) (Record, error) {
	segments, err := a.segments(ctx)
	if err != nil {
		return Record{}, err
	}
	for _, s := range segments {
		if s.first <= place && place < s.end() {
			records, err := a.read(ctx, s)
			if err != nil {
				return Record{}, err
			}
			return records[place-s.first], nil
		}
	}
	return Record{}, fmt.Errorf("%w: record %d is missing", ErrDamaged, place)
}

// Disclose copies the archive into another bucket, for others to read: all records
// that are not erased, and nothing of the evidence. to.Recipients are who can read
// it, and to.Identity is not needed. It may be called again, and adds what came since.
func (a *Archive) Disclose(ctx context.Context, to *Archive) error {
	segments, err := a.segments(ctx)
	if err != nil {
		return err
	}
	for _, s := range needed(segments) {
		list, err := a.readOpenings(ctx, s)
		if err != nil {
			return err
		}
		opened, err := to.sealOpenings(s.span, recordsOf(list))
		if err != nil {
			return err
		}
		var raw []byte
		if err := a.get(ctx, recordsKey(s.span), func(b []byte) error {
			raw = b
			_, _, err := parseRecords(b, s.span)
			return err
		}); err != nil {
			return err
		}
		for key, b := range map[string][]byte{openingsKey(s.span, 0): opened, recordsKey(s.span): raw} {
			if _, err := to.Bucket.Put(ctx, key, b); err != nil && !errors.Is(err, storage.ErrExists) {
				return fmt.Errorf("disclose the records %d to %d: %w", s.first, s.end()-1, err)
			}
		}
	}
	return to.Bucket.Barrier(ctx)
}

// recordsOf returns what openings say, to be written again.
func recordsOf(list []opening) []Record {
	records := make([]Record, len(list))
	for i, o := range list {
		records[i] = Record{Stream: o.stream, Sequence: o.sequence, Opening: o.opening, Opens: o.opens}
	}
	return records
}

// segment is the stretch of a segment of records, and the newest of its
// openings.
type segment struct {
	span
	openings uint32
}

// segments lists what there is in order of place, of those that begin together
// the longest first.
func (a *Archive) segments(ctx context.Context) ([]segment, error) {
	var list []segment
	newest := map[span]uint32{}
	seen := map[span]bool{}
	err := a.Bucket.Versions(ctx, recordsPrefix, func(o storage.Object) error {
		if s, ok := spanOf(o.Key, recordsPrefix); ok && !o.Marker && !seen[s] {
			seen[s] = true
			list = append(list, segment{span: s})
		}
		return nil
	})
	if err == nil {
		err = a.Bucket.Versions(ctx, openingsPrefix, func(o storage.Object) error {
			at := strings.LastIndexByte(o.Key, '.')
			if at < 0 || o.Marker {
				return nil
			}
			n, err := strconv.ParseUint(o.Key[at+1:], 10, 31)
			if s, ok := spanOf(o.Key[:at], openingsPrefix); ok && err == nil && o.Key == openingsKey(s, uint32(n)) {
				newest[s] = max(newest[s], uint32(n))
			}
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("list the archive: %w", err)
	}
	for i := range list {
		list[i].openings = newest[list[i].span]
	}
	slices.SortFunc(list, func(x, y segment) int {
		return cmp.Or(cmp.Compare(x.first, y.first), cmp.Compare(y.count, x.count))
	})
	return list, nil
}

// read reads a segment and verifies each record.
func (a *Archive) read(ctx context.Context, s segment) ([]Record, error) {
	var sealed []sealedRecord
	var published []byte
	var openings []opening
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error {
		return a.get(inner, recordsKey(s.span), func(b []byte) (err error) {
			sealed, published, err = parseRecords(b, s.span)
			return err
		})
	})
	group.Go(func() (err error) {
		openings, err = a.readOpenings(inner, s)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	records := make([]Record, len(sealed))
	for i, r := range sealed {
		var err error
		if records[i], err = r.open(openings[i]); err != nil {
			return nil, fmt.Errorf("%w: record %d: %w", ErrDamaged, s.first+uint64(i), err)
		}
	}
	if len(published) > 0 && len(records) > 0 {
		records[0].Published = published
	}
	return records, nil
}

func (a *Archive) readOpenings(ctx context.Context, s segment) ([]opening, error) {
	var openings []opening
	err := a.get(ctx, openingsKey(s.span, s.openings), func(b []byte) error {
		plain, err := decrypt(b, a.Identity)
		if err == nil {
			openings, err = parseOpenings(plain, s.span)
		}
		return err
	})
	return openings, err
}

// decrypt opens an age file.
func decrypt(b []byte, identity age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(b), identity)
	if err != nil {
		return nil, fmt.Errorf("these openings are not for this identity (where keys were replaced since, take the newer ones, or the escrow's): %w", err)
	}
	return io.ReadAll(r)
}

// get reads an object whole and has parse look at it. What was put over it, or
// hides it, hides nothing: then the other versions are looked at.
func (a *Archive) get(ctx context.Context, key string, parse func([]byte) error) error {
	failed := a.version(ctx, key, "", parse)
	if failed == nil || unknown(failed) {
		return failed
	}
	var versions []string
	folder := key[:strings.LastIndexByte(key, '/')+1]
	err := a.Bucket.Versions(ctx, folder, func(o storage.Object) error {
		if o.Key == key && !o.Marker && o.Version != "" {
			versions = append(versions, o.Version)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, v := range versions {
		if err := a.version(ctx, key, v, parse); err == nil || unknown(err) {
			return err
		}
	}
	return fmt.Errorf("%w: %s: %w", ErrDamaged, key, failed)
}

// unknown says whether an error does not tell what is in the bucket.
func unknown(err error) bool {
	return errors.Is(err, storage.ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func (a *Archive) version(ctx context.Context, key, version string, parse func([]byte) error) error {
	o, err := a.Bucket.Stat(ctx, key, version)
	if err != nil {
		return err
	}
	if o.Size > mostBytes {
		return storage.ErrTooLarge
	}
	b := make([]byte, o.Size)
	n, err := a.Bucket.Get(ctx, key, o.Version, b)
	if err != nil {
		return err
	}
	return parse(b[:n])
}

// Erase destroys the opening of the record at a place, in all objects that have
// it. When it returns nil, no opening of it is in the bucket. It may be called
// again.
func (a *Archive) Erase(ctx context.Context, place uint64) error {
	segments, err := a.segments(ctx)
	if err != nil {
		return err
	}
	for _, s := range segments {
		if place < s.first || place >= s.end() {
			continue
		}
		if err := a.rewrite(ctx, s, a.Identity, func(list []opening) bool { return list[place-s.first].erase() }); err != nil {
			return fmt.Errorf("erase record %d from the archive: %w", place, err)
		}
	}
	return nil
}

// Rewrap encrypts all openings anew for the recipients; old opened them before.
// It may be interrupted, and called again.
func (a *Archive) Rewrap(ctx context.Context, old age.Identity) error {
	segments, err := a.segments(ctx)
	if err != nil {
		return err
	}
	for _, s := range segments {
		if _, err := a.readOpenings(ctx, s); err == nil {
			if err := a.deleteOpenings(ctx, s.span, s.openings); err != nil { // what an interrupted call left
				return err
			}
			continue
		}
		if err := a.rewrite(ctx, s, old, func([]opening) bool { return true }); err != nil {
			return fmt.Errorf("encrypt the archive's openings anew: %w", err)
		}
	}
	return nil
}

// rewrite changes openings: it puts a further object of them, makes it durable,
// and removes those before it for good. When change says that there is nothing to
// change it removes only what an interrupted call left.
func (a *Archive) rewrite(ctx context.Context, s segment, identity age.Identity, change func([]opening) bool) error {
	by := *a
	by.Identity = identity
	list, err := by.readOpenings(ctx, s)
	if err != nil {
		return err
	}
	if !change(list) {
		return a.deleteOpenings(ctx, s.span, s.openings)
	}
	b, err := a.sealOpenings(s.span, recordsOf(list))
	if err != nil {
		return err
	}
	next := s.openings + 1
	if _, err := a.Bucket.Put(ctx, openingsKey(s.span, next), b); err != nil {
		return err
	}
	if err := a.Bucket.Barrier(ctx); err != nil {
		return err
	}
	return a.deleteOpenings(ctx, s.span, next)
}

// deleteOpenings removes all versions of a segment's openings before the object
// of this number.
func (a *Archive) deleteOpenings(ctx context.Context, s span, before uint32) error {
	old := map[string]bool{}
	for n := range before {
		old[openingsKey(s, n)] = true
	}
	folder := openingsKey(s, 0)
	folder = folder[:strings.LastIndexByte(folder, '/')+1]
	var found []storage.Object
	err := a.Bucket.Versions(ctx, folder, func(o storage.Object) error {
		if old[o.Key] {
			found = append(found, o)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, o := range found {
		if err := a.Bucket.Delete(ctx, o.Key, o.Version); err != nil {
			return err
		}
	}
	return a.Bucket.Barrier(ctx)
}
