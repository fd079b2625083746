package bundle

import (
	"fmt"
	"maps"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/forensic-custody/custody/custody"
)

// scan goes through the leaves of the log, in order. It recomputes the root,
// also those at the checkpoints that records name, and looks for every tag
// that the keys of whole streams can make.
type scan struct {
	tree    *compact.Range
	wanted  map[custody.Tag]*wanted
	anchors map[uint64][]*entry // records by the size of the checkpoint they name
	sizes   []uint64            // keys of anchors, ascending
}

// wanted is a place of a whole stream: its record, or none for the place after
// the last.
type wanted struct {
	stream custody.Stream
	entry  *entry
	found  bool
}

func newScan(streams []*stream) *scan {
	s := &scan{
		tree:    (&compact.RangeFactory{Hash: hashChildren}).NewEmptyRange(0),
		wanted:  map[custody.Tag]*wanted{},
		anchors: map[uint64][]*entry{},
	}
	for _, st := range streams {
		for _, e := range st.records {
			s.wanted[e.leaf.Tag()] = &wanted{stream: st.head.Stream, entry: e}
			if e.record == nil {
				continue
			}
			s.anchors[e.record.Checkpoint.Size] = append(s.anchors[e.record.Checkpoint.Size], e)
		}
		if st.whole() {
			s.wanted[st.key.Tag(st.head.Length)] = &wanted{stream: st.head.Stream}
		}
	}
	s.sizes = slices.Sorted(maps.Keys(s.anchors))
	return s
}

// hashChildren does what rfc6962.DefaultHasher.HashChildren does, with less
// memory: it is called for every leaf and every checkpoint.
func hashChildren(left, right []byte) []byte {
	h := tlog.NodeHash(tlog.Hash(left), tlog.Hash(right))
	return h[:]
}

func (s *scan) leaf(index uint64, b []byte) error {
	if err := s.anchorsAt(index); err != nil {
		return err
	}
	leaf, err := custody.ParseLeaf(b)
	if err != nil {
		return fmt.Errorf("leaf %d: %w", index, err)
	}
	if w := s.wanted[leaf.Tag()]; w != nil {
		switch {
		case w.entry == nil:
			return fmt.Errorf("leaf %d of the log is a record of %s that this bundle leaves out", index, w.stream)
		case w.entry.index != index:
			return fmt.Errorf("leaf %d of the log stands for the same place of %s as leaf %d: the stream is forked", index, w.stream, w.entry.index)
		}
		w.found = true
	}
	return s.tree.Append(rfc6962.DefaultHasher.HashLeaf(b), nil)
}

// anchorsAt checks the checkpoints of this size that records name.
func (s *scan) anchorsAt(size uint64) error {
	if len(s.sizes) == 0 || s.sizes[0] != size {
		return nil
	}
	root, err := treeRoot(s.tree)
	if err != nil {
		return err
	}
	for _, e := range s.anchors[size] {
		if e.record.Checkpoint.Root != root {
			return fmt.Errorf("%s names a checkpoint of size %d that is not the log's", e.where, size)
		}
	}
	s.sizes = s.sizes[1:]
	return nil
}

func treeRoot(tree *compact.Range) (custody.Digest, error) {
	if tree.End() == 0 {
		return custody.Digest(rfc6962.DefaultHasher.EmptyRoot()), nil
	}
	h, err := tree.GetRootHash(nil)
	return custody.Digest(h), err
}

func (s *scan) finish(root custody.Digest) error {
	if err := s.anchorsAt(s.tree.End()); err != nil {
		return err
	}
	got, err := treeRoot(s.tree)
	if err != nil {
		return err
	}
	if got != root {
		return fmt.Errorf("the leaves do not make the checkpoint's root")
	}
	for _, w := range s.wanted {
		if w.entry != nil && !w.found {
			return fmt.Errorf("%s is not among the leaves", w.entry.where)
		}
	}
	return nil
}
