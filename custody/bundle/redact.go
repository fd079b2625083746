package bundle

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/forensic-custody/custody/custody"
)

// Choice is a record of a bundle that could be withheld.
type Choice struct {
	Stream    custody.Stream
	Sequence  uint64
	Kind      custody.Kind // of its statement; empty when the record is erased
	Permitted bool
}

// Others chooses what people did in their own streams and nothing follows from:
// sessions that they opened, and what they were refused. Their keys and rights
// stay.
func Others(c Choice) bool {
	if c.Stream.Kind() != "principal" || c.Kind == "" {
		return false
	}
	return !c.Permitted || c.Kind == custody.KindOpenSession || c.Kind == custody.KindSummariseRefusals
}

// OfKind chooses the records of these kinds of statement, refused ones too.
func OfKind(kinds ...custody.Kind) func(Choice) bool {
	return func(c Choice) bool { return slices.Contains(kinds, c.Kind) }
}

// At chooses records of a stream by their sequences.
func At(s custody.Stream, sequences ...uint64) func(Choice) bool {
	return func(c Choice) bool { return c.Stream == s && slices.Contains(sequences, c.Sequence) }
}

// Redact copies a bundle from r to w and withholds the records that are chosen: of
// each its leaf stays, with the proof that the log has it, and neither its bytes
// nor its opening, without which nobody can test a guess of what they were. It
// returns how many are withheld, those that were before included.
//
// A record of the policy is never withheld, nor one of a stream of which only
// single records are included: then it fails. Everything else is for Verify to
// say, which whoever redacts must ask before he hands the result on: a seal, or
// what a visible record stands upon, cannot be withheld, and the verdict names
// the record that lacks it. Redact reads r twice and verifies nothing.
func Redact(w io.Writer, r io.ReadSeeker, chosen func(Choice) bool) (withheld int, err error) {
	start, err := r.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	h, err := choose(&reader{r: r}, chosen)
	if err != nil {
		return 0, err
	}
	if _, err := r.Seek(start, io.SeekStart); err != nil {
		return 0, err
	}
	for _, s := range h.Streams {
		withheld += len(s.Withheld)
	}
	return withheld, redact(w, &reader{r: r}, h)
}

// choose reads a bundle and returns the head of what it is without the chosen
// records.
func choose(in *reader, chosen func(Choice) bool) (*head, error) {
	h, err := in.head()
	if err != nil {
		return nil, err
	}
	h.Format = Format
	for {
		err := in.next()
		if errors.Is(err, errEnd) {
			return h, h.check()
		}
		if err != nil {
			return nil, err
		}
		c, isRecord := h.named(in.name)
		if !isRecord {
			if err := in.skip(); err != nil {
				return nil, err
			}
			continue
		}
		b, err := in.all(nil, maxRecord)
		if err != nil {
			return nil, err
		}
		if in.name == recordName(c.Stream, c.Sequence) {
			if c.Kind, c.Permitted, err = said(b); err != nil {
				return nil, fmt.Errorf("%s: %w", in.name, err)
			}
		}
		if !chosen(c) {
			continue
		}
		if err := h.withhold(c); err != nil {
			return nil, fmt.Errorf("%s: %w", in.name, err)
		}
	}
}

// named returns which record a member is, or was before it was erased; false when it is
// none. It takes the name apart: how many records there are, a head can say of any
// number.
func (h *head) named(member string) (Choice, bool) {
	name, _ := strings.CutPrefix(member, "records/")
	stream, file := path.Split(name)
	digits, _, _ := strings.Cut(file, ".")
	n, err := strconv.ParseUint(digits, 10, 53)
	i := slices.IndexFunc(h.Streams, func(s streamHead) bool { return string(s.Stream) == strings.TrimSuffix(stream, "/") })
	if err != nil || i < 0 {
		return Choice{}, false
	}
	s := &h.Streams[i]
	_, erased := slices.BinarySearch(s.Erased, n)
	return Choice{Stream: s.Stream, Sequence: n}, member == recordName(s.Stream, n) || erased && member == leafName(s.Stream, n)
}

// said returns what a record is of, whatever kind that is.
func said(record []byte) (custody.Kind, bool, error) {
	r, err := custody.ParseRecord(record)
	if err != nil {
		return "", false, err
	}
	var p struct {
		Type string `json:"predicateType"`
	}
	if err := json.Unmarshal(r.Envelope.Payload, &p); err != nil {
		return "", false, err
	}
	return kindOf(p.Type), r.Decision.Permit, nil
}

// withhold notes a record as withheld.
func (h *head) withhold(c Choice) error {
	i := slices.IndexFunc(h.Streams, func(s streamHead) bool { return s.Stream == c.Stream })
	s := &h.Streams[i]
	switch {
	case c.Stream == custody.PolicyStream:
		return errors.New("a record of the policy is never withheld")
	case !s.whole():
		return errors.New("is there since the bundle needs it, and is not withheld")
	}
	s.Erased = slices.DeleteFunc(s.Erased, func(n uint64) bool { return n == c.Sequence })
	at, _ := slices.BinarySearch(s.Withheld, c.Sequence)
	s.Withheld = slices.Insert(s.Withheld, at, c.Sequence)
	return nil
}

// redact copies a bundle under another head, without the records that it says are
// withheld.
func redact(w io.Writer, in *reader, h *head) error {
	out := writer{w}
	if err := out.head(h); err != nil {
		return err
	}
	if _, err := in.head(); err != nil {
		return err
	}
	withheld := map[string]string{} // record to leaf
	for _, s := range h.Streams {
		for _, n := range s.Withheld {
			withheld[recordName(s.Stream, n)] = leafName(s.Stream, n)
		}
	}
	for {
		err := in.next()
		if errors.Is(err, errEnd) {
			return out.close()
		}
		if err != nil {
			return err
		}
		leaf, gone := withheld[in.name]
		if gone {
			err = out.leafOf(in, leaf)
		} else {
			err = out.member(in.name, in.size, in)
		}
		if err != nil {
			return err
		}
	}
}

// leafOf writes the leaf of the record at which in is, and the proof that follows
// it without what it opens.
func (w writer) leafOf(in *reader, name string) error {
	record, err := in.all(nil, maxRecord)
	if err != nil {
		return err
	}
	if err := in.next(); err != nil {
		return err
	}
	proof, err := in.all(nil, maxProof)
	if err != nil {
		return err
	}
	receipt, err := custody.ParseReceipt(proof)
	if err != nil {
		return fmt.Errorf("%s: %w", in.name, err)
	}
	leaf, err := receipt.Leaf(record)
	if err != nil {
		return fmt.Errorf("%s: %w", in.name, err)
	}
	receipt.Extra = nil
	return errors.Join(w.bytes(name, leaf[:]), w.bytes(in.name, receipt.Marshal()))
}

// head writes the head of a bundle.
func (w writer) head(h *head) error {
	b, err := custody.Encode(h)
	if err != nil {
		return err
	}
	return w.bytes(headName, b)
}

// head reads the head of a bundle.
func (r *reader) head() (*head, error) {
	if err := r.next(); err != nil || r.name != headName {
		return nil, errors.Join(errors.New("this is not a bundle"), err)
	}
	b, err := r.all(nil, maxHead)
	if err != nil {
		return nil, err
	}
	return parseHead(b)
}

// skip passes over the rest of the current member.
func (r *reader) skip() error {
	_, err := io.Copy(io.Discard, r)
	return err
}
