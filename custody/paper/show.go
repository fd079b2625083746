package paper

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// show returns text with every character that can is false for escaped, as names
// are (FORMAT.md, section 2): \u{…} for a character, \x… for a byte. A backslash in
// such a text is escaped too, so that nobody takes it for an escape.
func show(text string, can func(rune) bool) (shown string, escaped bool) {
	bad := func(r rune) bool { return r == utf8.RuneError || !can(r) }
	if !strings.ContainsFunc(text, bad) {
		return text, false
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case r == '\\' || bad(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
		text = text[size:]
	}
	return b.String(), true
}

// onScreen says whether a browser shows a character as what it is: nothing that is
// invisible, steers, or belongs to nobody.
func onScreen(r rune) bool { return r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r) }

// inPrint says whether a font's PDF shows a character as what it is. Scripts that
// run from right to left, and marks that join what they follow, need more than a
// glyph.
func (f glyphs) inPrint(r rune) bool {
	return onScreen(r) && f[r] && !unicode.In(r, unicode.M, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko)
}

// glyphs are the characters that a font has.
type glyphs map[rune]bool

// glyphsOf reads the characters below 65,536 that a TrueType font has from the
// segments of its "cmap" table (OpenType, cmap, format 4).
func glyphsOf(font []byte) (glyphs, error) {
	table, err := subtable4(font)
	if err != nil {
		return nil, err
	}
	u16 := func(at int) int {
		if at < 0 || at+2 > len(table) {
			return 0
		}
		return int(binary.BigEndian.Uint16(table[at:]))
	}
	found := glyphs{}
	count := u16(6) / 2
	for n := range count {
		end, start := u16(14+2*n), u16(16+2*count+2*n)
		delta, at := u16(16+4*count+2*n), 16+6*count+2*n
		for r := start; r <= end && r < 0xffff; r++ {
			glyph := r + delta
			if offset := u16(at); offset != 0 {
				if glyph = u16(at + offset + 2*(r-start)); glyph != 0 {
					glyph += delta
				}
			}
			if glyph&0xffff != 0 {
				found[rune(r)] = true
			}
		}
	}
	return found, nil
}

// subtable4 finds the format 4 subtable for Unicode.
func subtable4(font []byte) ([]byte, error) {
	missing := errors.New("the font has no table of characters")
	if len(font) < 12 {
		return nil, missing
	}
	for n := range int(binary.BigEndian.Uint16(font[4:])) {
		entry := 12 + 16*n
		if entry+16 > len(font) || string(font[entry:entry+4]) != "cmap" {
			continue
		}
		at := int(binary.BigEndian.Uint32(font[entry+8:]))
		if at+4 > len(font) {
			return nil, missing
		}
		cmap := font[at:]
		for m := range int(binary.BigEndian.Uint16(cmap[2:])) {
			record := 4 + 8*m
			if record+8 > len(cmap) {
				break
			}
			from := int(binary.BigEndian.Uint32(cmap[record+4:]))
			if from+2 <= len(cmap) && binary.BigEndian.Uint16(cmap[from:]) == 4 {
				return cmap[from:], nil
			}
		}
	}
	return nil, missing
}

// plural writes a number with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
