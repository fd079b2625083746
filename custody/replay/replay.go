package replay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/forensic-custody/custody/custody"
)

// Record is a record as whoever audits it was given it. Nothing in it is believed.
type Record struct {
	Leaf     custody.Leaf
	Stream   custody.Stream         // of an erased one; else found in Bytes
	Sequence uint64                 // likewise
	Payload  custody.Digest         // of the statement
	Opening  custody.Opening        // zero when the record was erased
	Bytes    []byte                 // canonical; nil when it was erased
	Opens    []custody.OpenedStream // that it declares, with their keys

	// Published is a signed checkpoint that was published before this record was
	// taken into the log, or nil.
	Published []byte
}

// Config is what an audit goes by.
type Config struct {
	Trust      *custody.Trust
	Words      custody.Vocabulary // the statements that are understood
	States     custody.States     // the folds of streams
	Checkpoint []byte             // signed: what the records have to make

	// At returns the record at a place of the log again. It may be nil: then
	// nothing is decided again that asks for an earlier record.
	At func(ctx context.Context, place uint64) (Record, error)
	// Progress is told, now and then, how many records are done. It may be nil.
	Progress func(uint64)
}

// mostDisagreements is how many are listed; the others are counted.
const mostDisagreements = 100

// Disagreement is what is not as it should be.
type Disagreement struct {
	Place    uint64         `json:"place"` // in the log, from 0
	Stream   custody.Stream `json:"stream,omitempty"`
	Sequence uint64         `json:"sequence"` // in the stream
	What     string         `json:"what"`
}

// Report is what an audit found.
type Report struct {
	Agrees      bool                  `json:"agrees"` // there are no disagreements
	Origin      string                `json:"origin"`
	Size        uint64                `json:"size"` // of the log that was audited, all of it
	Root        custody.Digest        `json:"root"`
	Quorum      custody.Quorum        `json:"quorum"` // for its checkpoint, by the trust file
	Cosigned    []custody.Cosignature `json:"cosigned"`
	State       custody.Digest        `json:"state"` // custody.StateDigest of all streams
	Streams     uint64                `json:"streams"`
	Permitted   uint64                `json:"permitted"`   // records of a permission that were decided again
	Refused     uint64                `json:"refused"`     // and of a refusal
	Signatures  uint64                `json:"signatures"`  // that were verified
	Brackets    uint64                `json:"brackets"`    // records whose time was held against witnesses before, after or both
	Checkpoints uint64                `json:"checkpoints"` // that were held against the records

	Erased    []Disagreement `json:"erased"`    // records that were erased by order, and what could not be decided again for it
	Bytes     []Disagreement `json:"bytes"`     // refusals of seals for what the service said that it found in the bytes
	Disagrees []Disagreement `json:"disagrees"` // at most 100 of them
	More      uint64         `json:"more"`      // disagreements that are not listed
}

// batch is a stretch of records on its way: parsed side by side, decided in order,
// its signatures and tags verified side by side.
type batch struct {
	first   uint64
	records []parsed
	ready   chan struct{} // closed when parsed
	checks  []check
}

// parsed is a record, read and held against its commitment.
type parsed struct {
	Record
	hash      custody.Digest // of the leaf
	record    *custody.Record
	statement *custody.Statement
	err       error
}

// check is left to do once a record is decided, and needs nothing of the state.
type check struct {
	at       Disagreement
	key      custody.TagKey
	tag      custody.Tag
	envelope *custody.Envelope // nil for an erased record
	signer   custody.PublicKey
}

// batchSize is how many records go together.
const batchSize = 256

// Run audits records in the order of the log, all of them. The error is about
// reading them, or about trust and checkpoint; what is wrong with the records
// stands in the report. Memory grows with what is in custody (items, people,
// grants), not with the number of records otherwise.
func Run(ctx context.Context, c Config, records iter.Seq2[Record, error]) (*Report, error) {
	point, err := c.Trust.OpenCheckpoint(c.Checkpoint)
	if err != nil {
		return nil, err
	}
	r := newRun(c, point)
	workers := runtime.GOMAXPROCS(0)
	group, inner := errgroup.WithContext(ctx)
	parse := make(chan *batch)
	order := make(chan *batch, 2*workers)
	verify := make(chan *batch, 2*workers)
	group.Go(func() error {
		defer close(parse)
		defer close(order)
		return split(records, point.Size, func(b *batch) error {
			for _, to := range []chan<- *batch{order, parse} {
				select {
				case to <- b:
				case <-inner.Done():
					return inner.Err()
				}
			}
			return nil
		})
	})
	for range workers {
		group.Go(func() error {
			for b := range parse {
				for i := range b.records {
					b.records[i].parse(c.Words)
				}
				close(b.ready)
			}
			return nil
		})
		group.Go(func() error {
			for b := range verify {
				for i := range b.checks {
					r.verify(&b.checks[i])
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(verify)
		for b := range order {
			select {
			case <-b.ready:
			case <-inner.Done():
				return inner.Err()
			}
			if err := r.decide(inner, b); err != nil {
				return err
			}
			select {
			case verify <- b:
			case <-inner.Done():
				return inner.Err()
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return r.finish()
}

// split cuts the records, up to the size of the log, into batches.
func split(records iter.Seq2[Record, error], size uint64, do func(*batch) error) error {
	var b *batch
	place := uint64(0)
	for r, err := range records {
		if err != nil {
			return err
		}
		if place == size {
			break
		}
		if b == nil {
			b = &batch{first: place, records: make([]parsed, 0, batchSize), ready: make(chan struct{})}
		}
		b.records = append(b.records, parsed{Record: r})
		if place++; len(b.records) == batchSize {
			if err := do(b); err != nil {
				return err
			}
			b = nil
		}
	}
	if place < size {
		return fmt.Errorf("there are %d records, and the checkpoint is of size %d: the end is missing, or the checkpoint is newer than the records", place, size)
	}
	if b != nil {
		return do(b)
	}
	return nil
}

// parse reads the record by itself.
func (p *parsed) parse(words custody.Vocabulary) {
	p.hash = custody.LeafHash(p.Leaf)
	if p.Bytes == nil {
		return
	}
	if custody.Commit(p.Opening, p.Bytes) != p.Leaf.Commitment() {
		p.err = errors.New("is not what its leaf in the log commits to")
		return
	}
	if p.record, p.err = custody.ParseRecord(p.Bytes); p.err != nil {
		return
	}
	if p.statement, p.err = p.record.Envelope.Statement(words); p.err != nil {
		return
	}
	if p.statement.Payload != p.Payload {
		p.err = errors.New("is listed under the digest of another statement")
	}
}

// verify does what needs nothing of the state.
func (r *run) verify(c *check) {
	if c.key.Tag(c.at.Sequence) != c.tag {
		r.disagree(c.at, "its leaf bears the tag of another place or stream")
	}
	if c.envelope == nil {
		return
	}
	if err := c.envelope.Verify(c.signer); err != nil {
		r.disagree(c.at, "%v", err)
	}
}

func (r *run) finish() (*Report, error) {
	if root := r.tree.Root(); root != r.point.Root {
		r.disagree(Disagreement{Place: r.point.Size}, "the records make the root %s, and the checkpoint says %s", root, r.point.Root)
	}
	if r.point.Quorum == custody.QuorumNotMet {
		r.disagree(Disagreement{Place: r.point.Size}, "the witnesses that the trust file asks for did not cosign the checkpoint")
	}
	r.published(r.Checkpoint, r.tree.Count())
	var digest custody.StateDigest
	for name, s := range r.streams {
		for sequence, place := range s.erased {
			if !s.erasures.Allows(sequence, place.commitment) {
				r.disagree(Disagreement{place.place, name, sequence, ""}, "is erased, and no two people have ordered it")
			}
		}
		digest.Add(s.head, s.state, &s.erasures)
	}
	r.report.State, r.report.Streams = digest.Sum(), uint64(len(r.streams))
	r.report.Agrees = len(r.report.Disagrees) == 0
	r.sort()
	return &r.report, nil
}
