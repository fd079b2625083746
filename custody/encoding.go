package custody

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxInteger is the largest integer that every reader of JSON reads as itself
// (RFC 8785, section 3.2.2.3; RFC 7493, section 2.2).
const maxInteger = 1<<53 - 1

// Encode returns the canonical JSON of v (RFC 8785). The types of this package
// use strings, integers, booleans, lists and objects only, so that no two
// implementations can differ about a number. It fails for an integer beyond
// 2^53-1, which some would round.
func Encode(v any) ([]byte, error) {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	canonical, err := inspect(b)
	if err != nil || canonical {
		return b, err
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
	rest := expected(b)
	if err := json.MarshalWrite(&rest, v, json.Deterministic(true)); err == nil && len(rest) == 0 {
		if canonical, err := inspect(b); err == nil && canonical {
			return nil
		}
	}
	again, err := Encode(v) // the slow way, also to say what is wrong
	if err != nil {
		return err
	}
	if !bytes.Equal(b, again) {
		return fmt.Errorf("not in canonical form: first difference at byte %d", firstDifference(b, again))
	}
	return nil
}

// expected is a writer that accepts exactly these bytes.
type expected []byte

func (e *expected) Write(p []byte) (int, error) {
	rest, ok := bytes.CutPrefix(*e, p)
	if !ok {
		return 0, errors.New("other bytes than expected")
	}
	*e = rest
	return len(p), nil
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

// inspect goes through JSON that an encoder wrote without white space. It says
// whether that is surely canonical, so that the slow way is not needed: no
// string has an escape, and all keys are ASCII and in order. It fails for a
// number that is no integer within maxInteger.
func inspect(b []byte) (canonical bool, err error) {
	canonical = bytes.IndexByte(b, '\\') < 0
	keys := make([][]byte, 0, 8) // of each open object or list, the last key seen
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '{' || c == '[':
			keys = append(keys, nil)
		case c == '}' || c == ']':
			keys = keys[:len(keys)-1]
		case c == '"':
			text := stringAt(b[i+1:])
			i += len(text) + 1
			if i+1 < len(b) && b[i+1] == ':' {
				last := &keys[len(keys)-1]
				canonical = canonical && isASCII(text) && (*last == nil || bytes.Compare(*last, text) < 0)
				*last = text
			}
		case c == '-' || c >= '0' && c <= '9':
			number := numberAt(b[i:])
			n, err := strconv.ParseInt(string(number), 10, 64)
			if err != nil || n > maxInteger || n < -maxInteger {
				return false, errors.New("a number is not an integer of at most 2^53-1")
			}
			canonical = canonical && string(number) != "-0"
			i += len(number) - 1
		}
	}
	return canonical, nil
}

// stringAt returns the string that b begins with, behind its opening quote.
func stringAt(b []byte) []byte {
	end := 0
	for {
		end += bytes.IndexByte(b[end:], '"')
		escapes := 0
		for escapes < end && b[end-escapes-1] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return b[:end]
		}
		end++
	}
}

// numberAt returns the number that b begins with.
func numberAt(b []byte) []byte {
	for n, c := range b {
		if c == ',' || c == ']' || c == '}' {
			return b[:n]
		}
	}
	return b
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
