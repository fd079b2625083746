package bundle

import (
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/forensic-custody/custody/custody"
)

// PublicLog is the log as it is served to everybody, later than the bundle or at
// the same time.
type PublicLog struct {
	Checkpoint []byte // signed
	// Leaves yields all leaves of the log at Checkpoint, in order. It may be called
	// more than once.
	Leaves func(yield func(custody.Leaf) error) error
}

// Since is what the public log says of the streams of a bundle.
type Since struct {
	Size     uint64                `json:"size"` // of the log that was read, all of it
	Root     custody.Digest        `json:"root"`
	Quorum   custody.Quorum        `json:"quorum"`
	Cosigned []custody.Cosignature `json:"cosigned,omitempty"`
	Streams  []LaterRecords        `json:"streams"` // of which the bundle has the tag key
}

// LaterRecords says how many records of a stream the log has, as of its size:
// exactly those of the bundle, and so many more.
type LaterRecords struct {
	Stream  custody.Stream `json:"stream"`
	Records uint64         `json:"records"` // in the bundle
	Later   uint64         `json:"later"`
}

// searched is for how many places behind a stream's last one in the bundle the log is
// searched in one pass.
const searched = 1024

// readPublic goes through the public log: it must begin with the bundle's, have
// each record of the bundle once and where the bundle has it, and none before the
// bundle's size that a whole stream of the bundle leaves out. What it has later is
// counted.
func (c *check) readPublic(log *PublicLog) error {
	point, err := c.trust.OpenCheckpoint(log.Checkpoint)
	if err != nil {
		return err
	}
	if point.Size < c.point.Size {
		return fmt.Errorf("the public log has size %d, and the bundle is of size %d: the log was set back, or another one is shown", point.Size, c.point.Size)
	}
	since := &Since{Size: point.Size, Root: point.Root, Quorum: point.Quorum, Cosigned: point.By, Streams: []LaterRecords{}}
	var open []*following
	for _, s := range c.streams {
		if s.whole() {
			open = append(open, &following{stream: s})
		}
	}
	for first := true; first || len(open) > 0; first = false {
		p := newPublic(open)
		if err := log.Leaves(func(l custody.Leaf) error { return p.leaf(l, c.point) }); err != nil {
			return err
		}
		if err := p.finish(point, c.point); err != nil {
			return err
		}
		left := open[:0]
		for _, f := range open {
			if f.advance(); f.more {
				left = append(left, f)
				continue
			}
			since.Streams = append(since.Streams, LaterRecords{f.stream.head.Stream, f.stream.head.Length, f.later})
		}
		open = left
	}
	c.verdict.Since, c.verdict.Complete = since, true
	if point.Quorum == custody.QuorumNotMet {
		c.problem(checkpointName, errors.New("the witnesses that the trust file asks for did not cosign the public log"))
	}
	return nil
}

// following is a stream that is followed beyond its end in the bundle.
type following struct {
	stream *stream
	later  uint64 // records found so far, without a gap
	more   bool   // all places that were searched have one
	places []bool // of those searched in this pass
}

// advance counts what a pass found.
func (f *following) advance() {
	n := uint64(0)
	for n < uint64(len(f.places)) && f.places[n] {
		n++
	}
	f.later += n
	f.more = n == uint64(len(f.places))
}

// place is a place of a stream, which one leaf may stand for.
type place struct {
	of    *following
	entry *entry // its record in the bundle; nil behind the bundle's end
	n     int    // behind the end: which of those that are searched
	found bool
}

// public is a pass over the public log.
type public struct {
	tree   *compact.Range
	places map[custody.Tag]*place
}

func newPublic(open []*following) *public {
	p := &public{tree: (&compact.RangeFactory{Hash: hashChildren}).NewEmptyRange(0), places: map[custody.Tag]*place{}}
	for _, f := range open {
		for _, e := range f.stream.records {
			p.places[e.leaf.Tag()] = &place{of: f, entry: e}
		}
		f.places = make([]bool, searched)
		for n := range f.places {
			p.places[f.stream.key.Tag(f.stream.head.Length+f.later+uint64(n))] = &place{of: f, n: n}
		}
	}
	return p
}

func (p *public) leaf(l custody.Leaf, bundled *custody.Cosigned) error {
	index := p.tree.End()
	if index == bundled.Size {
		if err := p.begins(bundled); err != nil {
			return err
		}
	}
	if at := p.places[l.Tag()]; at != nil {
		name := at.of.stream.head.Stream
		switch {
		case at.found, at.entry != nil && (at.entry.index != index || at.entry.leaf != l):
			return fmt.Errorf("leaf %d of the public log stands for a place of %s that another one stands for: the stream is forked", index, name)
		case at.entry == nil && index < bundled.Size:
			return fmt.Errorf("leaf %d of the public log is a record of %s that this bundle leaves out", index, name)
		case at.entry == nil:
			at.of.places[at.n] = true
		}
		at.found = true
	}
	return p.tree.Append(rfc6962.DefaultHasher.HashLeaf(l[:]), nil)
}

// begins says whether what was read so far is the bundle's log.
func (p *public) begins(bundled *custody.Cosigned) error {
	root, err := treeRoot(p.tree)
	if err == nil && root != bundled.Root {
		err = fmt.Errorf("the public log has another tree of size %d than the bundle's: two logs are shown", bundled.Size)
	}
	return err
}

func (p *public) finish(at, bundled *custody.Cosigned) error {
	if p.tree.End() != at.Size {
		return fmt.Errorf("%d leaves of the public log were served; its checkpoint is of size %d", p.tree.End(), at.Size)
	}
	root, err := treeRoot(p.tree)
	if err != nil {
		return err
	}
	if root != at.Root {
		return errors.New("the leaves of the public log do not make its checkpoint's root")
	}
	if at.Size == bundled.Size {
		if err := p.begins(bundled); err != nil {
			return err
		}
	}
	for _, q := range p.places {
		if q.entry != nil && !q.found {
			return fmt.Errorf("%s is not among the leaves of the public log", q.entry.where)
		}
	}
	return nil
}
