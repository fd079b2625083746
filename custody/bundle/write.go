package bundle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forensic-custody/custody/custody"
)

// The names of the members, in the order in which they stand in a bundle: the
// head, the checkpoint, the stamps if there are any, two members for each record,
// the leaves if included, the excerpts of artifacts or the artifact if included.
const (
	headName       = "bundle.json"
	checkpointName = "checkpoint"
	leavesName     = "leaves"
	artifactName   = "artifact"
)

func recordName(s custody.Stream, sequence uint64) string {
	return fmt.Sprintf("records/%s/%08d.json", s, sequence)
}

// leafName is the member of an erased record, in place of the record.
func leafName(s custody.Stream, sequence uint64) string {
	return fmt.Sprintf("records/%s/%08d.leaf", s, sequence)
}

func proofName(s custody.Stream, sequence uint64) string {
	return fmt.Sprintf("records/%s/%08d.tlog-proof", s, sequence)
}

// Contents is what goes into a bundle.
type Contents struct {
	Scope      Scope
	Incident   custody.IncidentID
	Items      []custody.EvidenceID
	Checkpoint []byte    // signed
	Stamps     []Stamped // in order of size
	Streams    []Stream
	Leaves     func(yield func(custody.Leaf) error) error // all up to the checkpoint; nil leaves them out
	Artifact   io.Reader                                  // nil leaves it out
	Size       uint64                                     // of the artifact
}

// Stream is a whole stream, or single records of one.
type Stream struct {
	Name    custody.Stream
	Whole   bool
	TagKey  custody.TagKey // of a whole stream
	Records []Record       // in order
}

// Record is a record and what proves it.
type Record struct {
	Sequence uint64
	Bytes    []byte           // nil when it is erased
	Leaf     custody.Leaf     // of one that is erased
	Receipt  *custody.Receipt // under the bundle's checkpoint, with opening and tag
	payload  custody.Digest   // of its statement, as Collect found it
}

// Write writes a bundle. The same contents make the same bytes.
func Write(w io.Writer, c *Contents) error {
	checkpoint, err := custody.CheckpointBody(c.Checkpoint)
	if err != nil {
		return err
	}
	slices.SortFunc(c.Streams, func(a, b Stream) int { return cmp.Compare(a.Name, b.Name) })
	h := head{
		Artifact: c.Artifact != nil, Format: Format, Incident: c.Incident, Items: slices.Sorted(slices.Values(c.Items)),
		Leaves: c.Leaves != nil, Scope: c.Scope, Streams: []streamHead{},
	}
	for _, s := range c.Streams {
		h.Streams = append(h.Streams, s.head())
	}
	for _, s := range c.Stamps {
		h.Stamps = append(h.Stamps, s.Size)
	}
	out := writer{w}
	if err := errors.Join(out.head(&h), out.bytes(checkpointName, c.Checkpoint), out.stamps(c.Stamps)); err != nil {
		return err
	}
	for _, s := range c.Streams {
		for _, r := range s.Records {
			name, b := recordName(s.Name, r.Sequence), r.Bytes
			if r.Bytes == nil {
				name, b = leafName(s.Name, r.Sequence), r.Leaf[:]
			}
			if err := errors.Join(
				out.bytes(name, b),
				out.bytes(proofName(s.Name, r.Sequence), r.Receipt.Marshal()),
			); err != nil {
				return err
			}
		}
	}
	if c.Leaves != nil {
		if err := out.leaves(checkpoint.Size, c.Leaves); err != nil {
			return err
		}
	}
	if c.Artifact != nil {
		if err := out.member(artifactName, c.Size, c.Artifact); err != nil {
			return err
		}
	}
	return out.close()
}

func (s Stream) head() streamHead {
	h := streamHead{Stream: s.Name, Single: []uint64{}}
	if s.Whole {
		h.Length, h.TagKey = uint64(len(s.Records)), s.TagKey[:]
		for _, r := range s.Records {
			if r.Bytes == nil {
				h.Erased = append(h.Erased, r.Sequence)
			}
		}
		return h
	}
	for _, r := range s.Records {
		h.Single = append(h.Single, r.Sequence)
	}
	return h
}

func (w writer) leaves(n uint64, each func(func(custody.Leaf) error) error) error {
	size := n * custody.LeafSize
	h, err := header(leavesName, size)
	if err != nil {
		return err
	}
	if _, err := w.w.Write(h[:]); err != nil {
		return err
	}
	var written uint64
	err = each(func(l custody.Leaf) error {
		written++
		_, err := w.w.Write(l[:])
		return err
	})
	if err != nil {
		return err
	}
	if written != n {
		return fmt.Errorf("%d leaves instead of %d", written, n)
	}
	_, err = w.w.Write(make([]byte, padding(size)))
	return err
}

// AddArtifact copies a bundle of an item without an artifact from r to w, with the size
// bytes of artifact at its end. What it writes is of this version. It verifies
// nothing: that they are the artifact is for Verify to say.
func AddArtifact(w io.Writer, r io.Reader, artifact io.Reader, size uint64) error {
	in, out := reader{r: r}, writer{w}
	h, err := in.head()
	if err != nil {
		return err
	}
	if h.Scope != ScopeExhibit || h.Artifact || len(h.Excerpts) > 0 {
		return errors.New("the bundle is of an incident, or has its artifact, or excerpts of it")
	}
	h.Artifact, h.Format = true, Format
	if err := out.head(h); err != nil {
		return err
	}
	for {
		err := in.next()
		if errors.Is(err, errEnd) {
			break
		}
		if err != nil {
			return err
		}
		if err := out.member(in.name, in.size, &in); err != nil {
			return err
		}
	}
	if err := out.member(artifactName, size, artifact); err != nil {
		return err
	}
	return out.close()
}

// Source is where Collect finds records and proofs.
type Source interface {
	// Stream returns all proven records of a stream, and its tag key.
	Stream(context.Context, custody.Stream) ([]Found, custody.TagKey, error)
	// Record returns the record of a statement, proven, and its stream.
	Record(ctx context.Context, payload custody.Digest) (Found, custody.Stream, error)
	// Declaring returns the record that declares the stream, and its stream.
	Declaring(context.Context, custody.Stream) (Found, custody.Stream, error)
	// Prove returns receipts of the leaves with these identities, in order,
	// all under one checkpoint, which it returns too.
	Prove(context.Context, []custody.Digest) ([]*custody.Receipt, []byte, error)
	// Length returns how many records of a stream may be in the log, proven or
	// not.
	Length(context.Context, custody.Stream) (uint64, error)
	// Leaves calls yield for the first n leaves of the log.
	Leaves(ctx context.Context, n uint64, yield func(custody.Leaf) error) error

	Stamps
}

// Found is a record in a Source. One that is erased has no bytes, a leaf, and the
// sequence of its place among all of its stream.
type Found struct {
	Bytes   []byte
	Leaf    custody.Leaf
	Opening custody.Opening
	Tag     custody.Tag
	Payload custody.Digest
}

// CollectIncident gathers the bundle of an incident: its whole stream and those of
// all its items, whatever became of them, the whole streams of the policy and of
// every principal who signed anything in it but the enrolment of a key, and the
// record by which the incident came to be. It gives up as Collect does.
func CollectIncident(ctx context.Context, src Source, i custody.IncidentID, withLeaves bool) (*Contents, error) {
	return again(func() (*Contents, error) {
		g := &gathering{ctx: ctx, src: src, known: map[custody.Stream]bool{}}
		if err := errors.Join(
			g.whole(custody.PolicyStream), g.whole(i.Stream()), g.declaring(i.Stream()),
		); err != nil {
			return nil, err
		}
		items, err := begunIn(g.streams[1])
		if err != nil {
			return nil, err
		}
		for _, id := range items {
			if err := g.whole(id.Stream()); err != nil {
				return nil, err
			}
		}
		return g.contents(&Contents{Scope: ScopeIncident, Incident: i, Items: items}, withLeaves)
	})
}

// begunIn returns the items that an incident's records begin.
func begunIn(incident Stream) (items []custody.EvidenceID, err error) {
	for _, r := range incident.Records {
		if r.Bytes == nil {
			continue
		}
		kind, permitted, err := said(r.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: record %d: %w", incident.Name, r.Sequence, err)
		}
		if permitted && kind == custody.KindBeginEvidence {
			items = append(items, custody.NewEvidenceID(r.payload))
		}
	}
	return items, nil
}

// Collect gathers the bundle of an item: its whole stream, the whole streams
// of the policy and of every principal who signed anything in it but the
// enrolment of a key, and of the incident only the records by which the item and
// the incident came to be, and those two by which its keys were ordered destroyed,
// where they were.
//
// The checkpoint is one under which no record of a whole stream is left out.
// While records keep being added, Collect begins again, and gives up with
// ErrMoving.
func Collect(ctx context.Context, src Source, e custody.EvidenceID, withLeaves bool) (*Contents, error) {
	return again(func() (*Contents, error) { return collect(ctx, src, e, withLeaves) })
}

// again gathers until nothing moved meanwhile.
func again(gather func() (*Contents, error)) (*Contents, error) {
	for range attempts {
		c, err := gather()
		if !errors.Is(err, ErrMoving) {
			return c, err
		}
	}
	return nil, ErrMoving
}

// ErrMoving says that records were added faster than they could be gathered.
var ErrMoving = errors.New("records are being added: try again")

const attempts = 100

func collect(ctx context.Context, src Source, e custody.EvidenceID, withLeaves bool) (*Contents, error) {
	g := &gathering{ctx: ctx, src: src, known: map[custody.Stream]bool{}}
	if err := errors.Join(
		g.whole(custody.PolicyStream), g.whole(e.Stream()), g.declaring(e.Stream()),
	); err != nil {
		return nil, err
	}
	incident := g.streams[len(g.streams)-1].Name
	if err := g.declaring(incident); err != nil {
		return nil, err
	}
	if err := g.orders(g.streams[1], incident); err != nil {
		return nil, err
	}
	i, err := custody.ParseIncidentID(strings.TrimPrefix(string(incident), "incident/"))
	if err != nil {
		return nil, err
	}
	return g.contents(&Contents{Scope: ScopeExhibit, Incident: i, Items: []custody.EvidenceID{e}}, withLeaves)
}

// contents adds the streams of the people who signed, and proves everything.
func (g *gathering) contents(c *Contents, withLeaves bool) (*Contents, error) {
	for n := 0; n < len(g.people); n++ {
		if err := g.whole(g.people[n].Stream()); err != nil {
			return nil, err
		}
	}
	receipts, checkpoint, err := g.src.Prove(g.ctx, g.identities())
	if err != nil {
		return nil, err
	}
	var places []uint64
	for _, r := range receipts {
		places = append(places, r.Index)
	}
	body, err := custody.CheckpointBody(checkpoint)
	if err != nil {
		return nil, err
	}
	stamps, err := collectStamps(g.ctx, g.src, places, body.Size)
	if err != nil {
		return nil, fmt.Errorf("stamps: %w", err)
	}
	for _, s := range g.streams {
		if s.Whole {
			if n, err := g.src.Length(g.ctx, s.Name); err != nil {
				return nil, err
			} else if n != uint64(len(s.Records)) {
				return nil, ErrMoving
			}
		}
		for n := range s.Records {
			s.Records[n].Receipt.Checkpoint = checkpoint
			s.Records[n].Receipt.Index, s.Records[n].Receipt.Proof = receipts[0].Index, receipts[0].Proof
			receipts = receipts[1:]
		}
	}
	c.Checkpoint, c.Stamps, c.Streams = checkpoint, stamps, g.streams
	if withLeaves {
		c.Leaves = func(yield func(custody.Leaf) error) error { return g.src.Leaves(g.ctx, body.Size, yield) }
	}
	return c, nil
}

// gathering is a bundle's records as they are found.
type gathering struct {
	ctx     context.Context
	src     Source
	known   map[custody.Stream]bool
	streams []Stream
	people  []custody.PrincipalID
}

// identities returns those of all records, in the order of streams.
func (g *gathering) identities() (list []custody.Digest) {
	for _, s := range g.streams {
		for _, r := range s.Records {
			list = append(list, custody.Identity(r.payload))
		}
	}
	return list
}

// whole adds all records of a stream.
func (g *gathering) whole(name custody.Stream) error {
	found, key, err := g.src.Stream(g.ctx, name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return g.add(Stream{Name: name, Whole: true, TagKey: key}, found)
}

// orders adds the two records of the incident's stream by which its keys were
// ordered destroyed, where the item's stream says that they were.
func (g *gathering) orders(item Stream, incident custody.Stream) error {
	for _, r := range item.Records {
		if r.Bytes == nil {
			continue
		}
		order, err := orderOf(r.Bytes)
		if err != nil {
			return fmt.Errorf("%s: record %d: %w", item.Name, r.Sequence, err)
		}
		for !order.IsZero() {
			found, home, err := g.src.Record(g.ctx, order)
			if err == nil && home != incident {
				err = fmt.Errorf("stands in %s", home)
			}
			if err == nil {
				err = g.single(incident, found)
			}
			if err != nil {
				return fmt.Errorf("order %s to destroy the keys of %s: %w", order, incident, err)
			}
			if order, err = orderOf(found.Bytes); err != nil {
				return err
			}
		}
	}
	return nil
}

// single adds one more record of a stream of which single records are included.
func (g *gathering) single(name custody.Stream, found Found) error {
	if err := g.add(Stream{Name: name}, []Found{found}); err != nil {
		return err
	}
	last := len(g.streams) - 1
	added := g.streams[last]
	g.streams = g.streams[:last]
	i := slices.IndexFunc(g.streams, func(s Stream) bool { return s.Name == name })
	g.streams[i].Records = append(g.streams[i].Records, added.Records...)
	slices.SortFunc(g.streams[i].Records, func(a, b Record) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return nil
}

// orderOf returns the order that a record of a destruction of keys stands upon:
// that of a certificate, or what the second of two people's seconds; zero for any
// other record.
func orderOf(record []byte) (custody.Digest, error) {
	r, err := custody.ParseRecord(record)
	if err != nil || !r.Decision.Permit {
		return custody.Digest{}, err
	}
	var p struct {
		Predicate struct {
			Act jsontext.Value `json:"act"`
		} `json:"predicate"`
		Type string `json:"predicateType"`
	}
	if err := json.Unmarshal(r.Envelope.Payload, &p); err != nil {
		return custody.Digest{}, err
	}
	switch kindOf(p.Type) {
	case custody.KindShreddedEvidence:
		var act custody.ShreddedEvidence
		err = json.Unmarshal(p.Predicate.Act, &act)
		return act.Order, err
	case custody.KindShredIncident:
		var act custody.ShredIncident
		err = json.Unmarshal(p.Predicate.Act, &act)
		return act.Seconds, err
	}
	return custody.Digest{}, nil
}

// kindOf returns the kind that a predicate type is of: <prefix>/<kind>/<version>.
func kindOf(predicateType string) custody.Kind {
	return custody.Kind(path.Base(path.Dir(predicateType)))
}

// declaring adds the one record that declares a stream.
func (g *gathering) declaring(name custody.Stream) error {
	found, home, err := g.src.Declaring(g.ctx, name)
	if err != nil {
		return fmt.Errorf("declaration of %s: %w", name, err)
	}
	return g.add(Stream{Name: home}, []Found{found})
}

func (g *gathering) add(s Stream, found []Found) error {
	g.known[s.Name] = true
	for n, f := range found {
		if len(f.Bytes) == 0 && s.Whole {
			s.Records = append(s.Records, Record{Sequence: uint64(n), Leaf: f.Leaf, Receipt: new(custody.Receipt), payload: f.Payload})
			continue
		}
		r, err := custody.ParseRecord(f.Bytes)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		receipt := new(custody.Receipt)
		receipt.Open(f.Opening, f.Tag)
		s.Records = append(s.Records, Record{Sequence: r.Sequence, Bytes: f.Bytes, Receipt: receipt, payload: f.Payload})
		signers, kind, err := signersOf(&r.Envelope)
		if err != nil {
			return fmt.Errorf("%s: record %d: %w", s.Name, r.Sequence, err)
		}
		aside := s.Name == custody.PolicyStream && kind == custody.KindEnrolKey // see needsSigner
		for _, who := range signers {
			if who != "" && !aside && !g.known[who.Stream()] {
				g.known[who.Stream()] = true
				g.people = append(g.people, who)
			}
		}
	}
	g.streams = append(g.streams, s)
	return nil
}

// signersOf returns the actor that a statement names, of a seal also the one who
// signed at the scene, and the statement's kind, whatever that is.
func signersOf(e *custody.Envelope) ([]custody.PrincipalID, custody.Kind, error) {
	var p struct {
		Predicate struct {
			Act struct {
				Scene *custody.Envelope `json:"scene"`
			} `json:"act"`
			Actor custody.PrincipalID `json:"actor"`
		} `json:"predicate"`
		Type string `json:"predicateType"` // <prefix>/<kind>/<version>
	}
	if err := json.Unmarshal(e.Payload, &p); err != nil {
		return nil, "", err
	}
	signers, kind := []custody.PrincipalID{p.Predicate.Actor}, kindOf(p.Type)
	if p.Predicate.Act.Scene == nil {
		return signers, kind, nil
	}
	scene, _, err := signersOf(p.Predicate.Act.Scene)
	return append(signers, scene...), kind, err
}
