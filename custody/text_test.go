package custody_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

// namesToTry are names that people gave files, and that others gave them to
// deceive.
func namesToTry() []string {
	return []string{
		"disk.img", "a file with spaces", "Zoë's Müll.txt", "事件.log", "🐟.raw",
		"line\nfeed", "nul\x00byte", "tab\tstop", "\x1b[31mred", "del\x7f",
		"latin1 \xe9", "\xff\xfe", "half of \xf0\x9f", "surrogate \xed\xa0\x80", "overlong \xc0\xaf",
		"photo\u202egpj.exe", "\u2066isolated\u2069", "zero\u200bwidth", "join\u200der", "\ufeffmark", "soft\u00adhyphen",
		"no\u00a0break", "line\u2028separator", "replacement \ufffd", `back\slash`, `\x41`, `\u{202e}`,
		"/etc/passwd", "../../up", ".", "trailing ", " leading", "C:\\Users\\e", "e\u0301 and \u00e9",
		strings.Repeat("a", 4096), strings.Repeat("\x00", 4096),
	}
}

func TestNames(t *testing.T) {
	for _, raw := range namesToTry() {
		n, err := custody.NewName([]byte(raw))
		require.NoError(t, err)
		require.Equal(t, raw, string(n.Raw()), "a name keeps its bytes")
		require.True(t, utf8.ValidString(n.Display))
		for _, r := range n.Display {
			require.False(t, r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff,
				"%q shows %U", raw, r)
		}
		if n.Bytes == nil {
			require.Equal(t, raw, n.Display)
		}
	}
}

func TestNamesThatDifferShowDifferently(t *testing.T) {
	shown := map[string]string{}
	for _, raw := range namesToTry() {
		n, err := custody.NewName([]byte(raw))
		require.NoError(t, err)
		require.NotContains(t, shown, n.Display, "%q and %q", raw, shown[n.Display])
		shown[n.Display] = raw
	}
}

func TestNamesThatAreNone(t *testing.T) {
	for _, raw := range []string{"", strings.Repeat("a", 4097)} {
		_, err := custody.NewName([]byte(raw))
		require.Error(t, err)
	}
}

// TestANameIsShownAsItMustBe: a statement cannot show another name than it has.
func TestANameIsShownAsItMustBe(t *testing.T) {
	s := newStory(t)
	h := header(s)
	for name, n := range map[string]custody.Name{
		"another text":           {Bytes: []byte("virus\n.exe"), Display: "holiday.jpg"},
		"bytes without need":     {Bytes: []byte("disk.img"), Display: "disk.img"},
		"a mark in the text":     {Display: "photo\u202egpj.exe"},
		"an unescaped backslash": {Display: `a\b`},
		"nothing":                {},
	} {
		act := &custody.BeginEvidence{AtMost: 1, Exhibit: "EX-1", Incident: s.Incident, Name: n, Type: "disk"}
		e, err := custody.Sign(s.Engineer.Key, h, act)
		require.NoError(t, err, name)
		_, err = e.Statement(investigate.Words())
		require.Error(t, err, name)
	}
}

func TestCheckLine(t *testing.T) {
	for _, good := range []string{"a", "Zoë Müller", "+49 30 1234", "事件", strings.Repeat("a", 1000)} {
		require.NoError(t, custody.CheckLine("title", good))
	}
	for _, bad := range []string{
		"", " ", " a", "a ", "a\nb", "a\tb", "a\x00b", "a\u202eb", "a\u200bb", "a\u00a0b", "a\xffb", "\u3000a",
		"\ufffd", "a\u2028b", strings.Repeat("a", 1001),
	} {
		require.Error(t, custody.CheckLine("title", bad), "%q", bad)
	}
}

func FuzzName(f *testing.F) {
	for _, raw := range namesToTry() {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		n, err := custody.NewName(raw)
		if err != nil {
			require.True(t, len(raw) == 0 || len(raw) > 4096)
			return
		}
		require.Equal(t, raw, n.Raw())
		again, err := custody.NewName(n.Raw())
		require.NoError(t, err)
		require.Equal(t, n, again)
		require.True(t, utf8.ValidString(n.Display))
		require.NotContains(t, n.Display, "\n")
	})
}
