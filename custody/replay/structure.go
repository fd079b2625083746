package replay

import (
	"errors"
	"fmt"
	"iter"

	"github.com/forensic-custody/custody/custody"
)

// StructureFormat names the version of the structure's format.
const StructureFormat = "https://github.com/forensic-custody/custody/structure/v1"

// Structure is what an auditor is given who may not see what the records say: the
// tag keys of all streams. With the public log he can tell that every leaf has its
// place in one of them and that none has a gap; not what a stream is about.
type Structure struct {
	Format string           `json:"format"` // StructureFormat
	Keys   []custody.TagKey `json:"keys"`   // in the order in which the streams were declared
	Origin string           `json:"origin"`
	Size   uint64           `json:"size"` // of the log that it is of
}

// StructureOf draws the structure of a log up from its records.
func StructureOf(origin string, records iter.Seq2[Record, error]) (*Structure, error) {
	s := &Structure{Format: StructureFormat, Keys: []custody.TagKey{}, Origin: origin}
	for r, err := range records {
		if err != nil {
			return nil, err
		}
		for _, o := range r.Opens {
			s.Keys = append(s.Keys, o.TagKey)
		}
		s.Size++
	}
	return s, nil
}

// ParseStructure reads a structure.
func ParseStructure(b []byte) (*Structure, error) {
	s := new(Structure)
	if err := custody.Decode(b, s); err != nil {
		return nil, fmt.Errorf("structure: %w", err)
	}
	if s.Format != StructureFormat {
		return nil, fmt.Errorf("structure: format %.100q is not %q", s.Format, StructureFormat)
	}
	return s, nil
}

// Shape is what a log is like by its structure.
type Shape struct {
	Agrees    bool                  `json:"agrees"`
	Origin    string                `json:"origin"`
	Size      uint64                `json:"size"` // of the log that the structure is of: so many leaves were held against it
	Log       uint64                `json:"log"`  // size of the public log, all of whose leaves were read
	Root      custody.Digest        `json:"root"` // of the public log
	Quorum    custody.Quorum        `json:"quorum"`
	Cosigned  []custody.Cosignature `json:"cosigned"`
	Streams   []uint64              `json:"streams"` // how many records each has, in the order of Structure.Keys
	Disagrees []Disagreement        `json:"disagrees"`
	More      uint64                `json:"more"`
}

// errTwice says that two streams of a structure are one.
var errTwice = errors.New("structure: a key stands in it twice")

// Check holds a structure against the leaves of the public log, up to the size that
// it is of. leaves yields all of the log at the checkpoint. The error is about
// reading them, or about trust.
func (s *Structure) Check(trust *custody.Trust, checkpoint []byte, leaves func(func(custody.Leaf) error) error) (*Shape, error) {
	point, err := trust.OpenCheckpoint(checkpoint)
	if err != nil {
		return nil, err
	}
	switch {
	case s.Origin != trust.Origin:
		return nil, fmt.Errorf("the structure is of the log %q, and the trust file of %q", s.Origin, trust.Origin)
	case s.Size > point.Size:
		return nil, fmt.Errorf("the structure is of size %d, and the public log has size %d: it was set back, or another one is shown", s.Size, point.Size)
	}
	shape := &Shape{
		Origin: s.Origin, Size: s.Size, Log: point.Size, Root: point.Root, Quorum: point.Quorum, Cosigned: append([]custody.Cosignature{}, point.By...),
		Streams: make([]uint64, len(s.Keys)), Disagrees: []Disagreement{},
	}
	next := make(map[custody.Tag]int, len(s.Keys))
	for i, k := range s.Keys {
		tag := k.Tag(0)
		if _, twice := next[tag]; twice {
			return nil, errTwice
		}
		next[tag] = i
	}
	var tree custody.RootHash
	err = leaves(func(l custody.Leaf) error {
		place := tree.Count()
		if tree.Add(custody.LeafHash(l)); place >= s.Size {
			return nil
		}
		i, ok := next[l.Tag()]
		if !ok {
			shape.disagree(place, "stands in none of the streams, or not where the next record of one should")
			return nil
		}
		delete(next, l.Tag())
		shape.Streams[i]++
		next[s.Keys[i].Tag(shape.Streams[i])] = i
		return nil
	})
	if err != nil {
		return nil, err
	}
	if tree.Count() != point.Size || tree.Root() != point.Root {
		shape.disagree(point.Size, "the leaves do not make the checkpoint's root")
	}
	if point.Quorum == custody.QuorumNotMet {
		shape.disagree(point.Size, "the witnesses that the trust file asks for did not cosign the checkpoint")
	}
	shape.Agrees = len(shape.Disagrees) == 0
	return shape, nil
}

func (s *Shape) disagree(place uint64, what string) {
	if len(s.Disagrees) < mostDisagreements {
		s.Disagrees = append(s.Disagrees, Disagreement{Place: place, What: what})
	} else {
		s.More++
	}
}
