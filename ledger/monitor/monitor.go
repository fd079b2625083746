package monitor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/forensic-custody/custody/custody"
)

// Source reads what a log serves under a path of c2sp.org/tlog-tiles, "checkpoint"
// or "tile/entries/000.p/7"; fs.ErrNotExist when it answers that there is no such
// thing. Several goroutines may call it.
type Source func(ctx context.Context, path string) ([]byte, error)

// Other is a place where somebody else was shown the log.
type Other struct {
	Name string
	Read Source // of a kept checkpoint there is nothing but "checkpoint"
}

// Report is what a round found.
type Report struct {
	Size      uint64         `json:"size"` // of the log, when it was verified
	Root      custody.Digest `json:"root"`
	Added     uint64         `json:"added"` // leaves since the last round
	Quorum    custody.Quorum `json:"quorum"`
	Cosigned  []string       `json:"cosigned"`  // by which witnesses
	Compared  []string       `json:"compared"`  // with which others
	Unreached []string       `json:"unreached"` // others that did not answer, and why
	Alarms    []Alarm        `json:"alarms"`
}

// Alarm is something that must not be.
type Alarm struct {
	What  string `json:"what"`
	Proof string `json:"proof,omitempty"` // file with a custody.Contradiction or custody.Repetition, for others to judge
}

// ErrUnreachable says that the log did not answer. It says nothing about the log.
var ErrUnreachable = errors.New("the log did not answer")

// most leaves of a bundle (c2sp.org/tlog-tiles).
const bundle = 256

// Round looks at the log once. What was verified is on disk when it returns, and
// stands for what was seen in the next round; so is every proof of a lie, of which
// each later round reminds until somebody takes it away. An error means that the
// round could not be made; what is wrong with the log is in the report.
func (m *Monitor) Round(ctx context.Context, log Source, others ...Other) (*Report, error) {
	r := &Report{Cosigned: []string{}, Compared: []string{}, Unreached: []string{}, Alarms: []Alarm{}}
	if err := m.remind(r); err != nil {
		return nil, err
	}
	// The others first: the log must have what they were shown before it was asked.
	shown, err := m.ask(ctx, others, r)
	if err != nil {
		return nil, err
	}
	signed, err := log(ctx, "checkpoint")
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("no checkpoint is served there (Custody serves its log at …/log/): %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	now, err := m.trust.OpenCheckpoint(signed)
	if err != nil {
		return r, m.alarm(r, nil, "what is served as the checkpoint is not the log's: %v", err)
	}
	r.Quorum = now.Quorum
	for _, c := range now.By {
		r.Cosigned = append(r.Cosigned, c.Name)
	}
	if now.Quorum == custody.QuorumNotMet {
		if err := m.alarm(r, nil, "the checkpoint of size %d is not cosigned by the witnesses that the trust file asks for", now.Size); err != nil {
			return nil, err
		}
	}
	if err := m.advance(ctx, log, now, signed, r); err != nil {
		return nil, err
	}
	for _, o := range shown {
		if err := m.compare(ctx, o, signed, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// advance goes on from what was seen to a checkpoint.
func (m *Monitor) advance(ctx context.Context, log Source, now *custody.Cosigned, signed []byte, r *Report) error {
	before := m.seen
	r.Size, r.Root = before.Size, before.Root
	switch {
	case now.Size < before.Size:
		return m.alarm(r, against(signed, m.signed), "the log was set back: size %d after size %d", now.Size, before.Size)
	case now.Size == before.Size && now.Root != before.Root:
		return m.alarm(r, against(m.signed, signed), "the log has another tree of size %d than before", now.Size)
	}
	ends := m.leaves.size
	wrong, err := m.fetch(ctx, log, now.Size)
	if err == nil && wrong == "" && m.root() != now.Root {
		wrong = fmt.Sprintf("the leaves that are served do not make the root of the checkpoint of size %d", now.Size)
	}
	if err != nil || wrong != "" {
		err = errors.Join(err, m.leaves.cut(ends))
	}
	if err != nil {
		return err
	}
	if wrong != "" {
		return m.explain(ctx, log, before, now, signed, wrong, r)
	}
	if err := m.repeats(ctx, ends, signed, r); err != nil {
		return err
	}
	r.Size, r.Root, r.Added = now.Size, now.Root, now.Size-before.Size
	return m.keep(now.Checkpoint, signed)
}

// explain says why leaves do not make a root: the log has another tree than the
// one seen before, which can be proven, or serves something that is not its own.
func (m *Monitor) explain(ctx context.Context, log Source, before custody.Checkpoint, now *custody.Cosigned, signed []byte, wrong string, r *Report) error {
	err := custody.Extends(before, now.Checkpoint, func(path string) ([]byte, error) { return log(ctx, path) })
	if found := new(custody.Contradiction); errors.As(err, &found) {
		return m.alarm(r, complete(found, m.signed, signed), "the tree of size %d does not begin with that of size %d, which was seen before", now.Size, before.Size)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		wrong += "; and " + err.Error()
	}
	return m.alarm(r, nil, "%s", wrong)
}

// fetch appends the leaves up to a size. What is wrong with them it says in words.
func (m *Monitor) fetch(ctx context.Context, log Source, size uint64) (wrong string, err error) {
	if err := Room(m.dir, size-m.leaves.size); err != nil {
		return "", err
	}
	for at := m.leaves.size; at < size; at = m.leaves.size {
		first := at / bundle * bundle
		list, err := readBundle(ctx, log, first, size)
		if errors.Is(err, errWrong) {
			return err.Error(), nil
		}
		if err != nil {
			return "", err
		}
		known := list[:at-first]
		err = m.leaves.each(first, at, func(i uint64, leaf custody.Leaf) error {
			if known[i-first] != leaf {
				wrong = fmt.Sprintf("leaf %d is served otherwise than before", i)
			}
			return nil
		})
		if err != nil || wrong != "" {
			return wrong, err
		}
		if err := m.leaves.append(list[at-first:]); err != nil {
			return "", err
		}
	}
	return "", nil
}

// errWrong says that a log serves something that it cannot be.
var errWrong = errors.New("what is served is wrong")

// readBundle reads the leaves of the bundle that begins at first, of a log of a
// size: errWrong where it is not to be had, ErrUnreachable where nobody answers.
func readBundle(ctx context.Context, log Source, first, size uint64) ([]custody.Leaf, error) {
	width := min(bundle, size-first)
	path := entriesPath(first/bundle, width)
	b, err := log(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is not served, though the checkpoint has it", errWrong, path)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	list, err := parseBundle(b, width)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errWrong, path, err)
	}
	return list, nil
}

// Leaves yields the leaves of a log of a size, as they are served. It verifies
// nothing.
func Leaves(ctx context.Context, log Source, size uint64, yield func(custody.Leaf) error) error {
	for first := uint64(0); first < size; first += bundle {
		list, err := readBundle(ctx, log, first, size)
		if err != nil {
			return err
		}
		for _, l := range list {
			if err := yield(l); err != nil {
				return err
			}
		}
	}
	return nil
}

// Leaf returns the leaf at an index of a log of a size, as it is served. It
// verifies nothing.
func Leaf(ctx context.Context, log Source, index, size uint64) (custody.Leaf, error) {
	if index >= size {
		return custody.Leaf{}, fmt.Errorf("a log of size %d has no leaf %d", size, index)
	}
	first := index / bundle * bundle
	list, err := readBundle(ctx, log, first, size)
	if err != nil {
		return custody.Leaf{}, err
	}
	return list[index-first], nil
}

// entriesPath is the path of a bundle of c2sp.org/tlog-tiles.
func entriesPath(n, width uint64) string {
	t := tlog.Tile{H: 8, L: -1, N: int64(n), W: int(width)}
	return "tile/entries/" + t.Path()[len("tile/8/data/"):]
}

// parseBundle reads exactly width leaves, each behind its length in two bytes.
func parseBundle(b []byte, width uint64) ([]custody.Leaf, error) {
	list := make([]custody.Leaf, 0, width)
	for len(b) > 0 {
		if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
			return nil, errors.New("the bundle ends within an entry")
		}
		n := int(binary.BigEndian.Uint16(b))
		leaf, err := custody.ParseLeaf(b[2 : 2+n])
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", len(list), err)
		}
		list, b = append(list, leaf), b[2+n:]
	}
	if uint64(len(list)) != width {
		return nil, fmt.Errorf("the bundle has %d entries instead of %d", len(list), width)
	}
	return list, nil
}

// asked is a checkpoint that somebody else was shown.
type asked struct {
	Other
	signed []byte
	*custody.Cosigned
}

func (m *Monitor) ask(ctx context.Context, others []Other, r *Report) (list []asked, err error) {
	for _, o := range others {
		b, err := o.Read(ctx, "checkpoint")
		if err != nil {
			r.Unreached = append(r.Unreached, fmt.Sprintf("%s: %v", o.Name, err))
			continue
		}
		c, err := m.trust.OpenCheckpoint(b)
		if err != nil {
			if err := m.alarm(r, nil, "what %s has is not a checkpoint of the log: %v", o.Name, err); err != nil {
				return nil, err
			}
			continue
		}
		list = append(list, asked{o, b, c})
	}
	return list, nil
}

// compare holds what somebody else was shown against the leaves.
func (m *Monitor) compare(ctx context.Context, o asked, signed []byte, r *Report) error {
	r.Compared = append(r.Compared, o.Name)
	if o.Size > m.seen.Size {
		err := custody.Extends(m.seen, o.Checkpoint, func(path string) ([]byte, error) { return o.Read(ctx, path) })
		if found := new(custody.Contradiction); errors.As(err, &found) {
			return m.alarm(r, complete(found, m.signed, o.signed), "%s was shown another log: its tree of size %d does not begin with this one of size %d", o.Name, o.Size, m.seen.Size)
		}
		return m.alarm(r, against(signed, o.signed), "%s was shown size %d before the log shows size %d here", o.Name, o.Size, m.seen.Size)
	}
	root, err := m.leaves.rootAt(o.Size)
	if err != nil || root == o.Root {
		return err
	}
	c := against(o.signed, m.signed)
	if o.Size < m.seen.Size {
		proof, err := tlog.ProveTree(int64(m.seen.Size), int64(o.Size), m.leaves)
		if err != nil {
			return err
		}
		c.Prefix = root
		for _, h := range proof {
			c.Proof = append(c.Proof, custody.Digest(h))
		}
	}
	return m.alarm(r, c, "%s was shown another log: another tree of size %d", o.Name, o.Size)
}

// against is what two checkpoints show that do not agree.
func against(first, second []byte) *custody.Contradiction {
	return complete(&custody.Contradiction{Proof: []custody.Digest{}}, first, second)
}

func complete(c *custody.Contradiction, first, second []byte) *custody.Contradiction {
	c.Format, c.First, c.Second = custody.ContradictionFormat, string(first), string(second)
	return c
}
