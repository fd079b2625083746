package custody

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sizes in bytes of what people write into statements.
const (
	maxLine = 1000 // a purpose, a place, a tool
	maxName = 4096 // the name of a file
)

// checkLine refuses what cannot stand in a line of a report: control
// characters, marks that change the direction or are invisible, and texts that
// are too long. required refuses the empty text too.
func checkLine(field, s string, required bool) error {
	switch {
	case required && strings.TrimSpace(s) == "":
		return fmt.Errorf("%s is missing", field)
	case len(s) > maxLine:
		return fmt.Errorf("%s is longer than %d bytes", field, maxLine)
	case s != strings.TrimSpace(s):
		return fmt.Errorf("%s begins or ends with white space", field)
	}
	for _, r := range s {
		if !printable(r) {
			return fmt.Errorf("%s contains the character %U, which cannot be shown", field, r)
		}
	}
	return nil
}

// printable says whether r shows as itself wherever it stands. Format
// characters (category Cf: bidirectional marks, zero-width joiners) do not.
func printable(r rune) bool {
	return r != utf8.RuneError && (r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r))
}

// Name is a name that somebody else chose, a file's for one. Names are bytes:
// one that is not clean UTF-8, or would not show as what it is, travels as
// bytes beside a form that can be shown.
type Name struct {
	Bytes   []byte `json:"bytes,omitempty"` // the name, when Display had to escape it
	Display string `json:"display"`
}

// NewName returns the name for raw.
func NewName(raw []byte) (Name, error) {
	if len(raw) == 0 {
		return Name{}, fmt.Errorf("the name is empty")
	}
	if len(raw) > maxName {
		return Name{}, fmt.Errorf("the name is %d bytes long; %d is the most", len(raw), maxName)
	}
	shown := escape(raw)
	if shown == string(raw) {
		return Name{Display: shown}, nil
	}
	return Name{Bytes: bytes.Clone(raw), Display: shown}, nil
}

// Raw returns the name's bytes.
func (n Name) Raw() []byte {
	if n.Bytes != nil {
		return n.Bytes
	}
	return []byte(n.Display)
}

// check refuses a name that NewName would not have made.
func (n Name) check() error {
	again, err := NewName(n.Raw())
	if err != nil {
		return err
	}
	if again.Display != n.Display || !bytes.Equal(again.Bytes, n.Bytes) {
		return fmt.Errorf("name %.80q is not shown as it must be", n.Display)
	}
	return nil
}

// escape shows what is printable as itself and everything else, the backslash
// included, as \xNN for a byte and \u{N} for a character.
func escape(raw []byte) string {
	var b strings.Builder
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		switch {
		case r == utf8.RuneError && size == 1, r < ' ', r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, raw[0])
			size = 1
		case r == '\\' || !printable(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
		raw = raw[size:]
	}
	return b.String()
}

// CheckLine refuses a text that is empty, longer than 1,000 bytes, or that
// would not show in a line of a report as what it is.
func CheckLine(field, s string) error { return checkLine(field, s, true) }

// CheckText refuses a text that is empty, longer than most bytes, or that would
// not show as what it is. It may have several lines, each by the rules of
// CheckLine but for its length; empty ones stand only between others.
func CheckText(field, s string, most int) error {
	if strings.TrimSpace(s) == "" {
		return fmt.Errorf("%s is missing", field)
	}
	if len(s) > most {
		return fmt.Errorf("%s is longer than %d bytes", field, most)
	}
	if s != strings.TrimSpace(s) {
		return fmt.Errorf("%s begins or ends with white space", field)
	}
	for r := range strings.SplitSeq(s, "\n") {
		for _, c := range r {
			if !printable(c) {
				return fmt.Errorf("%s contains the character %U, which cannot be shown", field, c)
			}
		}
	}
	return nil
}
