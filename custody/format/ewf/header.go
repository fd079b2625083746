package ewf

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Header is what whoever made the image wrote about it.
type Header struct {
	Case, Evidence, Description, Examiner, Notes string
	Tool, System                                 string // the program's version, and the system it ran on
	Acquired, Set                                string // when, and by the system's clock, as the image has it: seconds since 1970, or fields of a local time
	Password                                     bool   // one was set
	Model, Serial                                string
}

// maxHeader bounds a header when it is decompressed.
const maxHeader = 256 << 10

// readHeader reads a section header, or header2, which is the same in UTF-16 and
// comes first.
func (img *Image) readHeader(s section) error {
	r, err := zlib.NewReader(io.NewSectionReader(img.segments[s.segment], s.body(), s.size()))
	if err != nil {
		img.damaged("segment %d: section %s cannot be decompressed", s.segment+1, s.kind)
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(r, maxHeader))
	if err != nil {
		img.damaged("segment %d: section %s cannot be decompressed", s.segment+1, s.kind)
		return nil
	}
	if img.Header == (Header{}) {
		img.Header = parseHeader(decode(text))
	}
	return nil
}

// decode makes text of UTF-16 with a byte order mark, and of ASCII.
func decode(b []byte) string {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		order = binary.LittleEndian
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	default:
		return strings.ToValidUTF8(string(b), string(utf8.RuneError))
	}
	units := make([]uint16, 0, len(b)/2)
	for b = b[2:]; len(b) >= 2; b = b[2:] {
		units = append(units, order.Uint16(b))
	}
	return string(utf16.Decode(units))
}

// parseHeader reads the values of the category main: a line of names, and one of
// values, with tabs between.
func parseHeader(text string) (h Header) {
	lines := strings.Split(strings.ReplaceAll(text, "\r", ""), "\n")
	for n := range lines {
		if lines[n] != "main" || n+2 >= len(lines) {
			continue
		}
		values := strings.Split(lines[n+2], "\t")
		fields := map[string]*string{
			"c": &h.Case, "n": &h.Evidence, "a": &h.Description, "e": &h.Examiner, "t": &h.Notes,
			"av": &h.Tool, "ov": &h.System, "m": &h.Acquired, "u": &h.Set, "md": &h.Model, "sn": &h.Serial,
		}
		for i, name := range strings.Split(lines[n+1], "\t") {
			if field := fields[name]; field != nil && i < len(values) {
				*field = values[i]
			}
			if name == "p" && i < len(values) { // a digest of it, or 0
				h.Password = strings.Trim(values[i], "0 ") != ""
			}
		}
		break
	}
	return h
}

// cutZero cuts b at its first zero.
func cutZero(b []byte) (before, after []byte, found bool) { return bytes.Cut(b, []byte{0}) }
