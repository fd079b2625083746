package custody

import (
	"bytes"
	"encoding"
	"encoding/base64"
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
	if v, ok := v.(appender); ok && bytes.Equal(b, v.appendCanonical(make([]byte, 0, len(b)))) {
		return nil
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

// appender is what a type can be that is decoded often. It appends the bytes
// that Encode returns, at a fraction of the cost, or other bytes for what
// Encode refuses: Decode asks Encode about all that it does not find the same.
type appender interface {
	appendCanonical(b []byte) []byte
}

// The parts that appenders are made of. Where there is no canonical form they
// append nothing, which is no JSON.

func appendString[T ~string](b []byte, s T) []byte {
	if quoted, err := jsontext.AppendQuote(b, s); err == nil {
		return quoted
	}
	return b
}

func appendInteger(b []byte, n uint64) []byte {
	if n > maxInteger {
		return b
	}
	return strconv.AppendUint(b, n, 10)
}

func appendBase64(b, value []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(append(b, '"'), value), '"')
}

// appendText is for values whose text needs no escapes.
func appendText[T encoding.TextAppender](b []byte, v T) []byte {
	text, err := v.AppendText(append(b, '"'))
	if err != nil {
		return b
	}
	return append(text, '"')
}

func appendList[T any](b []byte, list []T, each func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = each(b, v)
	}
	return append(b, ']')
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
