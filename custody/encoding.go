package custody

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Encode returns the canonical JSON of v (RFC 8785). The types of this package
// use strings, integers, booleans, lists and objects only, so that no two
// implementations can differ about a number.
func Encode(v any) ([]byte, error) {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	text := jsontext.Value(b)
	if err := text.Canonicalize(); err != nil {
		return nil, err
	}
	return text, nil
}

// Decode reads canonical JSON into v and refuses every input that Encode would
// not have written: unknown or repeated keys, another order, white space,
// another spelling of a string or number, trailing data.
func Decode(b []byte, v any) error {
	if err := json.Unmarshal(b, v, json.RejectUnknownMembers(true)); err != nil {
		return err
	}
	again, err := Encode(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(b, again) {
		return fmt.Errorf("not in canonical form: first difference at byte %d", firstDifference(b, again))
	}
	return nil
}

func firstDifference(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
