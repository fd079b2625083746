package custody

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// RecordFormat names the version of the record's format.
const RecordFormat = "https://github.com/forensic-custody/custody/record/v1"

// Record is a statement and what was decided about it. Its bytes are canonical
// JSON; what stands in the log is a commitment to them. It carries no second
// signature: the checkpoint over its leaf is the service's word.
type Record struct {
	Basis      []Head        `json:"basis"`      // heads the decision was folded from, in order of stream
	Checkpoint Anchor        `json:"checkpoint"` // latest checkpoint when it was decided: not before
	Decision   Decision      `json:"decision"`
	Declares   []Declaration `json:"declares"` // streams that it opens, in order of stream
	Envelope   Envelope      `json:"envelope"` // the statement, as signed
	Format     string        `json:"format"`   // RecordFormat
	Previous   Commitment    `json:"previous"` // of the record before it in its stream; zero for the first
	Recorded   Time          `json:"recorded"` // when it was decided; the statement has the time of the act
	Sequence   uint64        `json:"sequence"` // place in its stream, from 0
	Stream     Stream        `json:"stream"`
}

// Head is how far a stream had come: Length records, of which the last has
// this commitment. An empty stream has length 0 and the zero commitment.
type Head struct {
	Commitment Commitment `json:"commitment"`
	Length     uint64     `json:"length"`
	Stream     Stream     `json:"stream"`
}

// Anchor names a checkpoint of the log.
type Anchor struct {
	Root Digest `json:"root"`
	Size uint64 `json:"size"`
}

// Declaration opens a stream and commits to its tag key, so that nothing can
// hide in a stream that nobody declared.
type Declaration struct {
	Stream Stream `json:"stream"`
	TagKey Digest `json:"tagKey"` // TagKey.Digest
}

// Decision is what was decided about a statement.
type Decision struct {
	Permit bool     `json:"permit"`
	Policy Digest   `json:"policy"` // of the policy in force
	Reason string   `json:"reason"` // why it was refused; empty when it was permitted
	Rules  []string `json:"rules"`  // the policy's rules that decided, sorted
}

// Marshal returns the record's canonical bytes.
func (r *Record) Marshal() ([]byte, error) { return Encode(r) }

// ParseRecord accepts exactly what Marshal writes.
func ParseRecord(b []byte) (*Record, error) {
	r := &Record{Basis: make([]Head, 0, 4)} // mostly: the item, the incident, the policy, the actor
	if err := Decode(b, r); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return r, nil
}

// appendCanonical implements appender.
func (r *Record) appendCanonical(b []byte) []byte {
	b = appendList(append(b, `{"basis":`...), r.Basis, appendHead)
	b = appendText(append(b, `,"checkpoint":{"root":`...), r.Checkpoint.Root)
	b = appendInteger(append(b, `,"size":`...), r.Checkpoint.Size)
	b = strconv.AppendBool(append(b, `},"decision":{"permit":`...), r.Decision.Permit)
	b = appendText(append(b, `,"policy":`...), r.Decision.Policy)
	b = appendString(append(b, `,"reason":`...), r.Decision.Reason)
	b = appendList(append(b, `,"rules":`...), r.Decision.Rules, appendString)
	b = appendList(append(b, `},"declares":`...), r.Declares, appendDeclaration)
	b = r.Envelope.appendCanonical(append(b, `,"envelope":`...))
	b = appendString(append(b, `,"format":`...), r.Format)
	b = appendText(append(b, `,"previous":`...), r.Previous)
	b = appendText(append(b, `,"recorded":`...), r.Recorded)
	b = appendInteger(append(b, `,"sequence":`...), r.Sequence)
	b = appendString(append(b, `,"stream":`...), r.Stream)
	return append(b, '}')
}

func appendHead(b []byte, h Head) []byte {
	b = appendText(append(b, `{"commitment":`...), h.Commitment)
	b = appendInteger(append(b, `,"length":`...), h.Length)
	b = appendString(append(b, `,"stream":`...), h.Stream)
	return append(b, '}')
}

func appendDeclaration(b []byte, d Declaration) []byte {
	b = appendString(append(b, `{"stream":`...), d.Stream)
	b = appendText(append(b, `,"tagKey":`...), d.TagKey)
	return append(b, '}')
}

func (r *Record) check() error {
	if r.Format != RecordFormat {
		return fmt.Errorf("format %.100q is not %q", r.Format, RecordFormat)
	}
	if _, err := ParseStream(string(r.Stream)); err != nil {
		return err
	}
	if (r.Sequence == 0) != r.Previous.IsZero() {
		return errors.New("the first record of a stream, and only it, has no previous one")
	}
	byStream := func(a, b Head) int { return cmp.Compare(a.Stream, b.Stream) }
	if !slices.IsSortedFunc(r.Basis, byStream) || hasRepeats(r.Basis, byStream) {
		return errors.New("the basis is not in order of stream")
	}
	for _, h := range r.Basis {
		if _, err := ParseStream(string(h.Stream)); err != nil {
			return err
		}
		if (h.Length == 0) != h.Commitment.IsZero() {
			return errors.New("a head without records, and only it, has no commitment")
		}
	}
	if r.Decision.Permit != (r.Decision.Reason == "") {
		return errors.New("a refusal, and only a refusal, has a reason")
	}
	if !r.Decision.Permit && len(r.Declares) > 0 {
		return errors.New("a refusal declares no stream")
	}
	byName := func(a, b Declaration) int { return cmp.Compare(a.Stream, b.Stream) }
	if !slices.IsSortedFunc(r.Declares, byName) || hasRepeats(r.Declares, byName) {
		return errors.New("the declarations are not in order of stream")
	}
	for _, d := range r.Declares {
		if _, err := ParseStream(string(d.Stream)); err != nil {
			return err
		}
	}
	if !slices.IsSorted(r.Decision.Rules) {
		return errors.New("the rules are not in order")
	}
	return nil
}

func hasRepeats[T any](list []T, compare func(a, b T) int) bool {
	for i := 1; i < len(list); i++ {
		if compare(list[i-1], list[i]) == 0 {
			return true
		}
	}
	return false
}
