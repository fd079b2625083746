package monitor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/forensic-custody/custody/custody"
)

// leaves are the leaves of a log in a file, one behind the other.
type leaves struct {
	file *os.File
	size uint64         // how many
	tree *compact.Range // over all of them
}

func openLeaves(path string, size uint64) (*leaves, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	l := &leaves{file: f}
	return l, l.cut(size)
}

// cut forgets all leaves from size on.
func (l *leaves) cut(size uint64) error {
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	if uint64(info.Size()) < size*custody.LeafSize {
		return fmt.Errorf("%s has fewer than the %d leaves that were seen", l.file.Name(), size)
	}
	if err := l.file.Truncate(int64(size * custody.LeafSize)); err != nil {
		return err
	}
	tree := newRange(0)
	if err := l.each(0, size, func(_ uint64, leaf custody.Leaf) error { return tree.Append(leafHash(leaf), nil) }); err != nil {
		return err
	}
	l.tree, l.size = tree, size
	return nil
}

func newRange(begin uint64) *compact.Range {
	return (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(begin)
}

func leafHash(l custody.Leaf) []byte { return rfc6962.DefaultHasher.HashLeaf(l[:]) }

// append adds leaves. They are durable after sync.
func (l *leaves) append(list []custody.Leaf) error {
	b := make([]byte, 0, len(list)*custody.LeafSize)
	for _, leaf := range list {
		b = append(b, leaf[:]...)
		if err := l.tree.Append(leafHash(leaf), nil); err != nil {
			return err
		}
	}
	_, err := l.file.WriteAt(b, int64(l.size*custody.LeafSize))
	l.size += uint64(len(list))
	return err
}

// each calls do with the leaves [begin, end) in order.
func (l *leaves) each(begin, end uint64, do func(uint64, custody.Leaf) error) error {
	section := io.NewSectionReader(l.file, int64(begin*custody.LeafSize), int64((end-begin)*custody.LeafSize))
	r := bufio.NewReaderSize(section, 1<<20)
	var b [custody.LeafSize]byte
	for i := begin; i < end; i++ {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return fmt.Errorf("%s: leaf %d: %w", l.file.Name(), i, err)
		}
		leaf, err := custody.ParseLeaf(b[:])
		if err != nil {
			return fmt.Errorf("%s: leaf %d: %w", l.file.Name(), i, err)
		}
		if err := do(i, leaf); err != nil {
			return err
		}
	}
	return nil
}

func rootOf(tree *compact.Range) (custody.Digest, error) {
	if tree.End() == 0 {
		return custody.Digest(rfc6962.DefaultHasher.EmptyRoot()), nil
	}
	h, err := tree.GetRootHash(nil)
	if err != nil {
		return custody.Digest{}, err
	}
	return custody.Digest(h), nil
}

// rootAt returns the root of the tree over the first leaves.
func (l *leaves) rootAt(size uint64) (custody.Digest, error) {
	return l.rootOver(0, size)
}

func (l *leaves) rootOver(begin, end uint64) (custody.Digest, error) {
	tree := newRange(0)
	if err := l.each(begin, end, func(_ uint64, leaf custody.Leaf) error { return tree.Append(leafHash(leaf), nil) }); err != nil {
		return custody.Digest{}, err
	}
	return rootOf(tree)
}

// ReadHashes implements tlog.HashReader.
func (l *leaves) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		level, n := tlog.SplitStoredHashIndex(x)
		d, err := l.rootOver(uint64(n)<<level, uint64(n+1)<<level)
		if err != nil {
			return nil, err
		}
		list[i] = tlog.Hash(d)
	}
	return list, nil
}

// atOnce is how many new leaves are held in memory while all that came before are
// read past them.
const atOnce = 1 << 20

// repeats looks for tags that the leaves from a place on share with one another or
// with those before.
func (m *Monitor) repeats(ctx context.Context, from uint64, signed []byte, r *Report) error {
	l := m.leaves
	for begin := from; begin < l.size; begin += atOnce {
		end := min(begin+atOnce, l.size)
		at := make(map[custody.Tag]uint64, end-begin)
		var pairs [][2]uint64
		err := l.each(begin, end, func(i uint64, leaf custody.Leaf) error {
			if j, ok := at[leaf.Tag()]; ok {
				pairs = append(pairs, [2]uint64{j, i})
				return nil
			}
			at[leaf.Tag()] = i
			return nil
		})
		if err == nil {
			err = l.each(0, begin, func(i uint64, leaf custody.Leaf) error {
				if j, ok := at[leaf.Tag()]; ok {
					pairs = append(pairs, [2]uint64{i, j})
				}
				return ctx.Err()
			})
		}
		for _, p := range pairs {
			if err == nil {
				err = m.repeated(p[0], p[1], signed, r)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// maxAlarms bounds how many repetitions one round proves.
const maxAlarms = 100

func (m *Monitor) repeated(first, second uint64, signed []byte, r *Report) error {
	if len(r.Alarms) >= maxAlarms {
		return nil
	}
	a, err := m.leaves.prove(first, signed)
	b, failed := m.leaves.prove(second, signed)
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	return m.alarm(r, &custody.Repetition{First: a, Format: custody.RepetitionFormat, Second: b},
		"leaves %d and %d have the same tag: two records for one place of one stream", first, second)
}

// prove returns a leaf with its proof under a checkpoint over all leaves.
func (l *leaves) prove(index uint64, signed []byte) (p custody.ProvenLeaf, err error) {
	proof, err := tlog.ProveRecord(int64(l.size), int64(index), l)
	if err != nil {
		return p, err
	}
	receipt := custody.Receipt{Index: index, Checkpoint: signed}
	for _, h := range proof {
		receipt.Proof = append(receipt.Proof, custody.Digest(h))
	}
	err = l.each(index, index+1, func(_ uint64, leaf custody.Leaf) error {
		p = custody.ProvenLeaf{Leaf: leaf[:], Proof: string(receipt.Marshal())}
		return nil
	})
	return p, err
}
