package bundle

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"

	"github.com/forensic-custody/custody/custody"
)

// The most bytes that a member of each kind has.
const (
	maxHead       = 64 << 20
	maxCheckpoint = 16 << 10
	maxRecord     = 1 << 20
	maxProof      = 64 << 10
)

// Options are what a verification takes beside the bundle.
type Options struct {
	Words    custody.Vocabulary // the kinds of statement that are understood
	Artifact io.Reader          // bytes to hold against what was sealed, beside those in the bundle, if any; of a bundle of one item; may be nil
	Public   *PublicLog         // the log as everybody can read it, to say what it has since; may be nil
}

// Verify reads a bundle to its end and says what it proves, given trust from
// outside it. The error is about reading only; what is wrong with the bundle
// stands in the verdict, which is never nil.
func Verify(r io.Reader, trust *custody.Trust, o Options) *Verdict {
	c := &check{
		verdict: &Verdict{Origin: trust.Origin, Items: []*Item{}, Timeline: []Event{}, Problems: []Problem{}, Warnings: []Problem{}, Times: whoseClocks},
		trust:   trust, words: o.Words, in: reader{r: r}, known: map[custody.Digest]string{},
	}
	if err := c.run(o.Artifact); err != nil {
		c.problem(c.in.name, err)
	} else if o.Public != nil {
		if err := c.readPublic(o.Public); err != nil {
			c.problem("public log", err)
		}
	}
	c.verdict.Verified = len(c.verdict.Problems) == 0
	return c.verdict
}

// check is a verification under way.
type check struct {
	verdict *Verdict
	trust   *custody.Trust
	words   custody.Vocabulary
	in      reader
	head    *head
	raw     []byte // of the record being read
	proof   []byte // of the same
	point   *custody.Cosigned
	adopted []string // the witness policies that were ever in force
	signed  []byte
	streams []*stream
	known   map[custody.Digest]string // where each statement was seen
	service custody.PrincipalID       // from genesis
	policy  custody.Digest            // from genesis
}

// stream is what a bundle says of one stream.
type stream struct {
	head    streamHead
	key     custody.TagKey
	records []*entry
	from    []uint64                // see earliest
	assumed map[custody.Digest]role // statements that visible records name, and withheld records are assumed to be of
}

// earliest returns the least position in the log of the stream's records from
// a sequence on. Records of one stream need not stand in order in the log.
func (s *stream) earliest(sequence uint64) uint64 {
	if s.from == nil {
		s.from = make([]uint64, len(s.records)+1)
		s.from[len(s.records)] = math.MaxUint64
		for n := len(s.records) - 1; n >= 0; n-- {
			s.from[n] = min(s.from[n+1], s.records[n].index)
		}
	}
	return s.from[sequence]
}

// told goes through the records of a stream but those that are erased or withheld.
func (s *stream) told() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for _, e := range s.records {
			if e.record != nil && !yield(e) {
				return
			}
		}
	}
}

// entry is one record of a bundle, read and checked by itself. Of one that is
// erased or withheld there is no record and no statement.
type entry struct {
	where      string
	withheld   bool
	record     *custody.Record
	statement  *custody.Statement
	commitment custody.Commitment
	leaf       custody.Leaf
	index      uint64
	algorithm  string // of the key that signed, once that is verified
}

func (c *check) problem(where string, err error) {
	c.verdict.Problems = append(c.verdict.Problems, Problem{Where: oneLine(where), What: oneLine(err.Error())})
}

func (c *check) run(artifact io.Reader) error {
	if err := c.readHead(); err != nil {
		return err
	}
	if err := c.readStamps(); err != nil {
		return err
	}
	if err := c.readRecords(); err != nil {
		return err
	}
	if err := c.readLeaves(); err != nil {
		return err
	}
	c.checkHistory()
	if err := c.readExcerpts(); err != nil {
		return err
	}
	return c.readArtifact(artifact)
}

// expect goes to the next member, which must have this name.
func (c *check) expect(name string) error {
	if err := c.in.next(); err != nil {
		c.in.name = name
		return err
	}
	if c.in.name != name {
		return fmt.Errorf("stands where %s should", name)
	}
	return nil
}

func (c *check) readMember(b []byte, name string, limit uint64) ([]byte, error) {
	if err := c.expect(name); err != nil {
		return nil, err
	}
	return c.in.all(b, limit)
}

func (c *check) readHead() error {
	b, err := c.readMember(nil, headName, maxHead)
	if err != nil {
		return fmt.Errorf("this is not a bundle, or its beginning is damaged: %w", err)
	}
	if c.head, err = parseHead(b); err != nil {
		return err
	}
	c.verdict.Scope, c.verdict.Incident = c.head.Scope, c.head.Incident
	for _, id := range c.head.Items {
		c.verdict.Items = append(c.verdict.Items, &Item{Evidence: id})
	}
	if c.signed, err = c.readMember(nil, checkpointName, maxCheckpoint); err != nil {
		return err
	}
	if body, err := custody.CheckpointBody(c.signed); err == nil && body.Origin != c.trust.Origin {
		return fmt.Errorf("the bundle is of log %q; the trust file is for %q", body.Origin, c.trust.Origin)
	}
	if c.point, err = c.trust.OpenCheckpoint(c.signed); err != nil {
		return err
	}
	c.verdict.Quorum, c.verdict.Cosigned = c.point.Quorum, c.point.By
	if c.point.Quorum == custody.QuorumNotMet {
		c.problem(checkpointName, fmt.Errorf("the witnesses that the trust file asks for did not cosign the log: %s", c.point))
	}
	c.verdict.Size, c.verdict.Root = c.point.Size, c.point.Root
	return nil
}

func (c *check) readRecords() error {
	for _, h := range c.head.Streams {
		s := &stream{head: h}
		copy(s.key[:], h.TagKey)
		c.streams = append(c.streams, s)
		for n := range h.Length {
			_, erased := slices.BinarySearch(h.Erased, n)
			_, withheld := slices.BinarySearch(h.Withheld, n)
			read := c.readRecord
			if erased || withheld {
				read = c.readLeaf
			}
			e, err := read(h.Stream, n)
			if err != nil {
				return err
			}
			e.withheld = withheld
			if e.leaf.Tag() != s.key.Tag(n) {
				c.in.name = e.where
				return errors.New("does not have the tag of its place")
			}
			s.records = append(s.records, e)
		}
		for _, sequence := range h.Single {
			e, err := c.readRecord(h.Stream, sequence)
			if err != nil {
				return err
			}
			s.records = append(s.records, e)
		}
	}
	return nil
}

// readRecord reads a record and its proof, and checks what can be checked of
// it alone: that it is what the log has, and in its place.
func (c *check) readRecord(s custody.Stream, sequence uint64) (*entry, error) {
	raw, err := c.readMember(c.raw, recordName(s, sequence), maxRecord)
	if err != nil {
		return nil, err
	}
	c.raw = raw
	e := &entry{where: c.in.name}
	if e.record, err = custody.ParseRecord(raw); err != nil {
		return nil, err
	}
	if e.record.Stream != s || e.record.Sequence != sequence {
		return nil, fmt.Errorf("is record %d of %s", e.record.Sequence, e.record.Stream)
	}
	proof, err := c.readMember(c.proof, proofName(s, sequence), maxProof)
	if err != nil {
		return nil, err
	}
	c.proof = proof
	receipt, err := custody.ParseReceipt(proof)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(receipt.Checkpoint, c.signed) {
		return nil, errors.New("the receipt is under another checkpoint")
	}
	if e.leaf, err = receipt.Leaf(raw); err != nil {
		return nil, err
	}
	e.commitment, e.index = e.leaf.Commitment(), receipt.Index
	if err := receipt.VerifyUnder(c.point.Checkpoint, e.leaf); err != nil {
		return nil, err
	}
	if e.statement, err = e.record.Envelope.Statement(c.words); err != nil {
		return nil, err
	}
	if first, twice := c.known[e.statement.Payload]; twice {
		return nil, fmt.Errorf("repeats the statement of %s", first)
	}
	c.known[e.statement.Payload] = e.where
	return e, nil
}

// readLeaf reads what is left of a record that is erased or withheld: its leaf and
// the proof of that. What makes an erasure lawful stands in other records.
func (c *check) readLeaf(s custody.Stream, sequence uint64) (*entry, error) {
	b, err := c.readMember(c.raw, leafName(s, sequence), custody.LeafSize)
	if err != nil {
		return nil, err
	}
	c.raw = b
	e := &entry{where: c.in.name}
	if e.leaf, err = custody.ParseLeaf(b); err != nil {
		return nil, err
	}
	proof, err := c.readMember(c.proof, proofName(s, sequence), maxProof)
	if err != nil {
		return nil, err
	}
	c.proof = proof
	receipt, err := custody.ParseReceipt(proof)
	if err != nil {
		return nil, err
	}
	switch {
	case len(receipt.Extra) > 0:
		return nil, errors.New("the receipt of a record that is not here carries something")
	case !bytes.Equal(receipt.Checkpoint, c.signed):
		return nil, errors.New("the receipt is under another checkpoint")
	}
	e.commitment, e.index = e.leaf.Commitment(), receipt.Index
	return e, receipt.VerifyUnder(c.point.Checkpoint, e.leaf)
}

// readLeaves goes through all leaves of the log: they must make its root, and
// no stream that is whole may have a record there that is not here.
func (c *check) readLeaves() error {
	if !c.head.Leaves {
		return nil
	}
	if err := c.expect(leavesName); err != nil {
		return err
	}
	if c.in.size != c.point.Size*custody.LeafSize {
		return fmt.Errorf("has %d bytes; %d leaves have %d", c.in.size, c.point.Size, c.point.Size*custody.LeafSize)
	}
	scan := newScan(c.streams)
	buffered := make([]byte, custody.LeafSize*1024)
	for index := uint64(0); index < c.point.Size; {
		n := min(uint64(len(buffered)), (c.point.Size-index)*custody.LeafSize)
		if _, err := io.ReadFull(&c.in, buffered[:n]); err != nil {
			return err
		}
		for b := buffered[:n]; len(b) > 0; b = b[custody.LeafSize:] {
			if err := scan.leaf(index, b[:custody.LeafSize]); err != nil {
				return err
			}
			index++
		}
	}
	if err := scan.finish(c.point.Root); err != nil {
		return err
	}
	c.verdict.Complete = true
	return nil
}

// readArtifact measures the artifact, from the bundle and from beside it.
func (c *check) readArtifact(beside io.Reader) error {
	var list []io.Reader
	switch {
	case c.head.Artifact:
		if err := c.expect(artifactName); err != nil {
			return err
		}
		list = append(list, &c.in)
		if beside != nil {
			list = append(list, beside)
		}
	case beside != nil && c.head.Scope == ScopeIncident:
		if err := c.recognize(beside); err != nil {
			return err
		}
	case beside != nil:
		list = append(list, beside)
	}
	for _, bytesOf := range list {
		if err := c.measure(c.verdict.only(), bytesOf); err != nil {
			return err
		}
	}
	if err := c.in.next(); !errors.Is(err, errEnd) {
		if err == nil {
			err = errors.New("stands where the bundle should end")
		}
		return err
	}
	return nil
}

// measure holds bytes against what was sealed. Bytes that differ are not made good by
// others that do not.
func (c *check) measure(item *Item, bytesOf io.Reader) error {
	if item == nil {
		return nil
	}
	tree := custody.NewTreeHash(nil)
	if _, err := io.CopyBuffer(tree, bytesOf, make([]byte, custody.BlockSize)); err != nil {
		return fmt.Errorf("artifact: %w", err)
	}
	switch got := tree.Finish(); {
	case item.Artifact == nil:
	case got != *item.Artifact:
		item.ArtifactState = ArtifactOther
		c.problem(artifactName, fmt.Errorf("these %d bytes have SHA-256 %s; sealed were %d bytes with %s",
			got.Size, got.SHA256.Hex(), item.Artifact.Size, item.Artifact.SHA256.Hex()))
	case item.ArtifactState != ArtifactOther:
		item.ArtifactState = ArtifactMatches
	}
	return nil
}

// recognize holds bytes against what was sealed of an incident: they are those of one
// of its items, or of several that have the same.
func (c *check) recognize(bytesOf io.Reader) error {
	tree := custody.NewTreeHash(nil)
	if _, err := io.CopyBuffer(tree, bytesOf, make([]byte, custody.BlockSize)); err != nil {
		return fmt.Errorf("artifact: %w", err)
	}
	got, known := tree.Finish(), false
	for _, item := range c.verdict.Items {
		if item.Artifact != nil && *item.Artifact == got {
			item.ArtifactState, known = ArtifactMatches, true
		}
	}
	if !known {
		c.verdict.foreign = true
		c.problem(artifactName, fmt.Errorf("these %d bytes have SHA-256 %s; sealed were no such of any item of the incident", got.Size, got.SHA256.Hex()))
	}
	return nil
}

func (c *check) stream(name custody.Stream) *stream {
	i, ok := slices.BinarySearchFunc(c.streams, name, func(s *stream, n custody.Stream) int {
		return cmp.Compare(s.head.Stream, n)
	})
	if !ok {
		return nil
	}
	return c.streams[i]
}

func (s *stream) whole() bool { return s.head.whole() }
