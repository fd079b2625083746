package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/decision"
)

// ahead is how far a signer's clock may be ahead of the service's.
const ahead = 30 * time.Second

// run is an audit under way. One goroutine decides; mu is for what all report.
type run struct {
	Config
	point    *custody.Cosigned
	judge    decision.Judge
	streams  map[custody.Stream]*stream
	tree     custody.RootHash
	roots    [rootsKept]custody.Digest // by size, of the last ones
	anchor   uint64                    // size of the latest checkpoint that a record names
	recent   recent
	brackets brackets

	mu     sync.Mutex
	report Report
}

// rootsKept is for how many sizes back a checkpoint that a record names can be
// held against the records. The service names its latest.
const rootsKept = 1 << 18

func newRun(c Config, point *custody.Cosigned) *run {
	r := &run{Config: c, point: point, streams: map[custody.Stream]*stream{}}
	r.recent.of = map[custody.Digest]bool{}
	r.roots[0] = r.tree.Root()
	r.report = Report{
		Origin: c.Trust.Origin, Size: point.Size, Root: point.Root, Quorum: point.Quorum, Cosigned: append([]custody.Cosignature{}, point.By...),
		Erased: []Disagreement{}, Bytes: []Disagreement{}, Disagrees: []Disagreement{},
	}
	return r
}

func (r *run) disagree(at Disagreement, format string, args ...any) {
	at.What = fmt.Sprintf(format, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.report.Disagrees) < mostDisagreements {
		r.report.Disagrees = append(r.report.Disagrees, at)
	} else {
		r.report.More++
	}
}

// sort puts what was found side by side into the order of the log.
func (r *run) sort() {
	slices.SortStableFunc(r.report.Disagrees, func(a, b Disagreement) int { return cmp.Compare(a.Place, b.Place) })
}

// decide goes through a batch in the order of the log.
func (r *run) decide(ctx context.Context, b *batch) error {
	b.checks = make([]check, 0, len(b.records))
	for i := range b.records {
		place := b.first + uint64(i)
		p := &b.records[i]
		r.tree.Add(p.hash)
		r.roots[(place+1)%rootsKept] = r.tree.Root()
		if err := r.take(ctx, place, p, b); err != nil {
			return err
		}
	}
	if done := b.first + uint64(len(b.records)); r.Progress != nil && done%(32*batchSize) == 0 {
		r.Progress(done)
	}
	return nil
}

// take decides one record again. The error is about reading others.
func (r *run) take(ctx context.Context, place uint64, p *parsed, b *batch) error {
	at := Disagreement{Place: place, Stream: p.Stream, Sequence: p.Sequence}
	if p.record != nil {
		at.Stream, at.Sequence = p.record.Stream, p.record.Sequence
	}
	r.published(p.Published, place)
	if p.err != nil {
		r.disagree(at, "%v", p.err)
	}
	if place == 0 {
		r.genesis(at, p)
	}
	s := r.streams[at.Stream]
	if s == nil {
		r.disagree(at, "stands in a stream that no record declares")
		return nil
	}
	if at.Sequence != s.head.Length {
		r.disagree(at, "stands where record %d of its stream should: there is a gap, or a second history", s.head.Length)
		return nil
	}
	left := check{at: at, key: s.key, tag: p.Leaf.Tag()}
	switch {
	case p.Bytes == nil:
		s.erased[at.Sequence] = erased{place, p.Leaf.Commitment()}
		r.note(&r.report.Erased, at, "erased by order")
	case p.err != nil:
	case place == 0:
		left.envelope, left.signer = &p.record.Envelope, genesisKey(p.statement)
	default:
		d, err := r.again(ctx, at, p)
		if err != nil {
			return err
		}
		if d != nil {
			left.envelope, left.signer = &p.record.Envelope, d.Key
		}
	}
	b.checks = append(b.checks, left)
	if left.envelope != nil {
		r.count(p.record.Decision.Permit)
	}
	if p.err == nil && p.record != nil {
		r.apply(at, s, p)
	}
	s.grow(place, p.Leaf.Commitment())
	return nil
}

func (r *run) count(permit bool) {
	r.report.Signatures++
	if permit {
		r.report.Permitted++
	} else {
		r.report.Refused++
	}
}

func (r *run) note(list *[]Disagreement, at Disagreement, what string) {
	at.What = what
	*list = append(*list, at)
}

// genesis opens the first streams.
func (r *run) genesis(at Disagreement, p *parsed) {
	if p.Leaf.Commitment() != r.Trust.Genesis {
		r.disagree(at, "is not the genesis record that the trust file names")
	}
	if p.statement == nil {
		r.disagree(at, "the genesis record is not here: nothing can be decided again")
		return
	}
	act, ok := p.statement.Act.(*custody.Genesis)
	if !ok || act.Log != r.Trust.Log || p.statement.Audience != r.Trust.Origin {
		r.disagree(at, "is no genesis of this log")
		return
	}
	out, err := act.Lawful(&view{run: r}, p.statement)
	want := custody.Decision{Permit: true, Policy: custody.Hash([]byte(act.Policy)), Rules: []string{}}
	if got := p.record.Decision; err != nil || p.record.Stream != out.Stream || !got.Permit || got.Policy != want.Policy || got.Reason != "" || len(got.Rules) != 0 || len(p.record.Basis) != 0 {
		r.disagree(at, "was not decided as a genesis is")
	}
	r.declare(at, p, out.Declares)
}

func genesisKey(s *custody.Statement) (key custody.PublicKey) {
	if act, ok := s.Act.(*custody.Genesis); ok {
		key, _ = custody.ParsePublicKey(act.Key) // it was checked when it was read
	}
	return key
}

// again checks a record against what is on record before it, and decides it again;
// nil when that could not be.
func (r *run) again(ctx context.Context, at Disagreement, p *parsed) (*decision.Decision, error) {
	if err := r.fits(at, p); err != nil {
		r.disagree(at, "%v", err)
	}
	v := &view{ctx: ctx, run: r, now: p.record.Recorded}
	d, err := r.judge.Decide(v, p.statement)
	switch {
	case errors.Is(err, decision.ErrNoKey):
		r.disagree(at, "its signer is no key of its actor that was live")
		return nil, nil
	case errors.Is(err, errGone):
		return r.erasing(at, p, v), nil
	case err != nil:
		return nil, fmt.Errorf("record %d: %w", at.Place, err)
	}
	for _, s := range v.seen {
		if _, ok := findHead(p.record.Basis, s.head.Stream); !ok {
			r.disagree(at, "its basis lacks %s, on which it depends", s.head.Stream)
		}
	}
	r.compare(at, p, d)
	return d, nil
}

// compare holds the decision on record against the one that was made again.
func (r *run) compare(at Disagreement, p *parsed, d *decision.Decision) {
	was := p.record.Decision
	if d.Permit && !was.Permit && p.statement.Kind == custody.KindSealEvidence && was.Reason != "" && was.Reason != decision.Hidden {
		d.Object(was.Reason)
		r.note(&r.report.Bytes, at, was.Reason)
	}
	switch {
	case was.Policy != d.Policy:
		r.disagree(at, "was decided under another policy than the one in force")
	case was.Permit && !d.Permit:
		r.disagree(at, "was permitted, and should have been refused: %s", d.Reason)
	case !was.Permit && d.Permit:
		r.disagree(at, "was refused (%s), and should have been permitted by %q", was.Reason, d.Rules)
	case was.Reason != d.Reason:
		r.disagree(at, "was refused because %q, and should have been because %q", was.Reason, d.Reason)
	case !slices.Equal(was.Rules, d.Rules):
		r.disagree(at, "was decided by the rules %q, and should have been by %q", was.Rules, d.Rules)
	case p.record.Stream != d.Stream:
		r.disagree(at, "belongs to %s", d.Stream)
	}
	r.declare(at, p, d.Declares)
}

// erasing checks an order to erase what is not at hand any more: all of it but what
// it says about the erased record.
func (r *run) erasing(at Disagreement, p *parsed, v *view) *decision.Decision {
	who, err := custody.PrincipalOf(v, p.statement.Actor)
	var key custody.PublicKey
	if err == nil {
		key, err = who.Key(p.statement.Signer)
	}
	act, ok := p.statement.Act.(*custody.EraseRecord)
	if err != nil || !ok || act.Stream != at.Stream {
		r.disagree(at, "%v", errors.Join(errGone, err))
		return nil
	}
	if p.record.Decision.Permit {
		err := r.streams[at.Stream].erasures.Check(p.statement, p.record.Recorded)
		if err == nil && !slices.ContainsFunc(custody.Erasers(), who.Has) {
			err = fmt.Errorf("%s holds none of the roles %q", who.ID, custody.Erasers())
		}
		if err != nil {
			r.disagree(at, "was permitted, and should have been refused: %v", err)
		}
	}
	r.note(&r.report.Erased, at, "is an order to erase: what it says of the record that is gone cannot be decided again")
	return &decision.Decision{Key: key}
}

// fits checks what a record says of time and place.
func (r *run) fits(at Disagreement, p *parsed) error {
	rec, s, place := p.record, p.statement, at.Place
	switch size := rec.Checkpoint.Size; {
	case s.Audience != r.Trust.Origin:
		return fmt.Errorf("its statement is for %q", s.Audience)
	case rec.Recorded > s.Expires:
		return fmt.Errorf("was recorded at %s, after its statement had expired at %s", rec.Recorded, s.Expires)
	case s.Time > rec.Recorded.Add(ahead):
		return fmt.Errorf("was signed at %s, after it was recorded at %s", s.Time, rec.Recorded)
	case size > place:
		return fmt.Errorf("names a checkpoint of size %d, which is later than itself", size)
	case size+rootsKept <= place:
		return fmt.Errorf("names a checkpoint of size %d, which was long out of date", size)
	case rec.Checkpoint.Root != r.roots[size%rootsKept]:
		return fmt.Errorf("names a checkpoint of size %d with another root than the records make", size)
	}
	for _, h := range rec.Basis {
		if t := r.streams[h.Stream]; t == nil || t.head != h {
			return fmt.Errorf("was not decided on the newest state of %s", h.Stream)
		}
	}
	if err := r.recent.add(s, rec.Recorded); err != nil {
		return err
	}
	if rec.Checkpoint.Size < r.anchor {
		return fmt.Errorf("names a checkpoint of size %d, older than one before it in the log names", rec.Checkpoint.Size)
	}
	r.anchor = rec.Checkpoint.Size
	if t := r.streams[rec.Stream]; t != nil && rec.Recorded < t.recorded {
		return fmt.Errorf("was recorded at %s, before the one before it in its stream at %s", rec.Recorded, t.recorded)
	}
	if t := r.brackets.dates(at, rec); rec.Recorded.Add(clocksDiffer) < t {
		return fmt.Errorf("was recorded at %s, and names a log that a witness first saw at %s", rec.Recorded, t)
	}
	return nil
}

// declare opens the streams that a record declares, which must be those that follow
// from the decision.
func (r *run) declare(at Disagreement, p *parsed, want []custody.Stream) {
	want = slices.Sorted(slices.Values(want))
	if !slices.EqualFunc(p.record.Declares, want, func(d custody.Declaration, s custody.Stream) bool { return d.Stream == s }) {
		r.disagree(at, "declares other streams than follow from it")
	}
	for _, d := range p.record.Declares {
		if r.streams[d.Stream] != nil {
			r.disagree(at, "declares %s a second time", d.Stream)
			continue
		}
		i := slices.IndexFunc(p.Opens, func(o custody.OpenedStream) bool { return o.Stream == d.Stream })
		if i < 0 || p.Opens[i].TagKey.Digest() != d.TagKey {
			r.disagree(at, "the tag key of %s is not here, or not the one that was declared", d.Stream)
			continue
		}
		if said, ok := p.statement.TagKey(); ok && said != p.Opens[i].TagKey {
			r.disagree(at, "declares %s under another tag key than its statement's", d.Stream)
		}
		s, err := newStream(d.Stream, p.Opens[i].TagKey, r.States)
		if err != nil {
			r.disagree(at, "%v", err)
			continue
		}
		r.streams[d.Stream] = s
	}
}

// apply takes a record into its stream's fold.
func (r *run) apply(at Disagreement, s *stream, p *parsed) {
	if p.record.Previous != s.head.Commitment {
		r.disagree(at, "does not follow the record before it")
	}
	if err := s.state.Apply(p.record, p.statement); err != nil {
		r.disagree(at, "%v", err)
	}
	s.erasures.Apply(p.record, p.statement)
	s.recorded = p.record.Recorded
}

func findHead(basis []custody.Head, s custody.Stream) (custody.Head, bool) {
	i, ok := slices.BinarySearchFunc(basis, s, func(h custody.Head, s custody.Stream) int { return cmp.Compare(h.Stream, s) })
	if !ok {
		return custody.Head{}, false
	}
	return basis[i], true
}

// recent finds a statement that is on record twice. Since one is recorded before it
// expires, which is within minutes, the last ones are enough.
type recent struct {
	of     map[custody.Digest]bool
	order  []said
	latest custody.Time
}

type said struct {
	payload custody.Digest
	expires custody.Time
}

func (x *recent) add(s *custody.Statement, at custody.Time) error {
	if at < x.latest.Add(-custody.MaxValidity) {
		return fmt.Errorf("was recorded at %s, long before one that stands before it in the log, at %s", at, x.latest)
	}
	x.latest = max(x.latest, at)
	for len(x.order) > 0 && x.order[0].expires < x.latest.Add(-custody.MaxValidity) {
		delete(x.of, x.order[0].payload)
		x.order = x.order[1:]
	}
	if x.of[s.Payload] {
		return errors.New("its statement is on record twice")
	}
	x.of[s.Payload] = true
	x.order = append(x.order, said{s.Payload, s.Expires})
	return nil
}
