package main

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/adler32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

// TestImageFacts: what an image states of its acquisition goes on record as just
// that, and where it contradicts the collector he is told before the seal.
func TestImageFacts(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	path := ewfImage(t, random(t, 1<<20), "-E", "EX-1", "-N", "two \u202eclicks")[0]
	badSector(t, path, 17, 3)

	inspected, _, code := run(t, d.eve, "inspect", path)
	require.Equal(t, exitDone, code)
	for _, says := range []string{"case: case 4711", "examiner: Eve", "software: 2", "operating system: Linux", `notes: two \u{202e}clicks`,
		"unread bytes: 1536: of the media the bytes 8704 to 10239", "acquired: 20"} {
		require.Contains(t, inspected, says)
	}

	// Nobody says when, with which version, and how much could not be read.
	args := slices.DeleteFunc(d.add(path, "EX-1"), func(a string) bool { return strings.HasPrefix(a, "2026-11-23T") || a == "7.2.646" || a == "0" })
	args = slices.DeleteFunc(args, func(a string) bool { return a == "--collected-at" || a == "--tool-version" || a == "--unread" })
	_, stderr, code := run(t, d.eve, args...)
	require.Equal(t, exitDone, code, stderr)
	require.NotContains(t, stderr, "WARNING")
	q := d.acquired(t, "EX-1")
	require.Equal(t, []any{"collectedAt", "tool.version", "unread"}, q["image"].(map[string]any)["filled"])
	require.Equal(t, map[string]any{"bytes": float64(1536), "filled": false, "note": "of the media the bytes 8704 to 10239"}, q["unread"])
	require.Contains(t, q["image"].(map[string]any)["says"], map[string]any{"name": "examiner", "text": "Eve"})
	proof := filepath.Join(t.TempDir(), "proof")
	done(t, d.eve, "bundle", "export", d.idOf(t, "EX-1"), "-o", proof, "--purpose", "disclosure")
	text, _, code := run(t, "", "bundle", "verify", proof, "--trust", filepath.Join(d.dir, "trust.json"))
	require.Equal(t, exitDone, code, text)
	require.Contains(t, text, "as the image says, and the collector did not: collectedAt, tool.version, unread")
	require.Contains(t, text, "the image says: case: case 4711")

	// Somebody says otherwise: his word stands, and the image's beside it.
	_, stderr, code = run(t, d.eve, d.add(path, "EX-2", "--collector", "Mallory", "--collector-title", "x", "--collector-contact", "x")...)
	require.Equal(t, exitDone, code, stderr)
	for _, says := range []string{
		`WARNING: the tool's version is given as "7.2.646", and the image says "2`,
		`WARNING: the collector is given as "Mallory", and the image says "Eve"`,
		"WARNING: 0 bytes are said to have been unreadable; the image says 1536",
		`NOTE: the image bears the evidence number "EX-1"; here it is the exhibit "EX-2"`,
	} {
		require.Contains(t, stderr, says)
	}
	q = d.acquired(t, "EX-2")
	require.Empty(t, q["image"].(map[string]any)["filled"])
	require.Equal(t, float64(0), q["unread"].(map[string]any)["bytes"])
	require.Contains(t, q["image"].(map[string]any)["says"], map[string]any{"name": "unread bytes", "text": "1536: of the media the bytes 8704 to 10239"})
}

func (d *desk) idOf(t testing.TB, exhibit string) string {
	t.Helper()
	for _, e := range d.items(t) {
		if e["exhibit"] == exhibit {
			return word(t, e, "id")
		}
	}
	require.Fail(t, "no "+exhibit)
	return ""
}

func (d *desk) acquired(t testing.TB, exhibit string) map[string]any {
	t.Helper()
	q, ok := done(t, d.eve, "evidence", "show", d.idOf(t, exhibit))["acquisition"].(map[string]any)
	require.True(t, ok)
	return q
}

// badSector puts a section error2 behind the media of an image in one segment,
// as a program does whose source could not be read everywhere.
func badSector(t testing.TB, path string, first, count uint32) {
	t.Helper()
	b := read(t, path)
	sign := func(b []byte) { binary.LittleEndian.PutUint32(b[len(b)-4:], adler32.Checksum(b[:len(b)-4])) }
	at := strings.LastIndex(string(b), "hash\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	require.Positive(t, at)
	const size = 76 + 520 + 8 + 4
	s := make([]byte, size)
	copy(s, "error2")
	binary.LittleEndian.PutUint64(s[16:], uint64(at+size))
	binary.LittleEndian.PutUint64(s[24:], size)
	sign(s[:76])
	binary.LittleEndian.PutUint32(s[76:], 1)
	sign(s[76 : 76+520])
	binary.LittleEndian.PutUint32(s[76+520:], first)
	binary.LittleEndian.PutUint32(s[76+524:], count)
	sign(s[76+520:])
	tail := slices.Clone(b[at:])
	for _, start := range []int{0, 112} { // hash, done
		binary.LittleEndian.PutUint64(tail[start+16:], uint64(at+size+112))
		sign(tail[start : start+76])
	}
	require.NoError(t, os.WriteFile(path, slices.Concat(b[:at], s, tail), 0o600))
}

// TestFromImage: which of what an image says fills what, and what contradicts.
func TestFromImage(t *testing.T) {
	image := imageSays{
		{Name: saidAcquired, Text: "2026-11-23T08:40:00Z"}, {Name: saidModel, Text: "PM893"}, {Name: saidSerial, Text: "S5YJ"}, {Name: saidSoftware, Text: "7.1"},
	}
	var q custody.Acquisition
	image.fill(&q)
	require.Equal(t, []string{"collectedAt", "source.model", "source.serial"}, q.Image.Filled, "no version of a tool that nobody names")
	require.Equal(t, "S5YJ", q.Source.Serial)
	require.Empty(t, image.contradictions(&q, "EX-1"))

	q = custody.Acquisition{CollectedAt: "2026-11-23T09:40:00+01:00", Source: custody.Source{Serial: "s5yj", Model: "PM 893"}, Tool: &custody.Tool{Version: "7.2"}}
	image.fill(&q)
	require.Empty(t, q.Image.Filled)
	list := image.contradictions(&q, "")
	require.Len(t, list, 2)
	require.Contains(t, list[0], `given as "PM 893", and the image says "PM893"`)
	require.Contains(t, list[1], "7.2")

	local := imageSays{{Name: saidAcquired, Text: imageTime("2026 11 23 9 40 0")}}
	require.Equal(t, "2026-11-23T09:40:00 (local time)", local.get(saidAcquired))
	q = custody.Acquisition{}
	local.fill(&q)
	require.Empty(t, q.CollectedAt, "nobody knows the offset")
	for at, objections := range map[string]int{"2026-11-24T12:00:00-11:00": 0, "2026-11-26T12:00:00Z": 1} {
		q.CollectedAt = at
		require.Len(t, local.contradictions(&q, ""), objections, at)
	}
	require.Equal(t, "2026-11-23T08:40:00Z", imageTime("1795423200"))
	require.Empty(t, imageTime("99999999999999999"))
	var none imageSays
	q = custody.Acquisition{}
	none.fill(&q)
	require.Nil(t, q.Image)
}

// TestInspectAFF4: what a volume states is told, and that it was not compared.
func TestInspectAFF4(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.aff4")
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range [][2]string{{"container.description", "aff4://4711"}, {"information.turtle", `aff4:hash "` + strings.Repeat("AB", 20) + `"^^aff4:SHA1 .`}} {
		f, err := w.Create(m[0])
		require.NoError(t, err)
		_, err = f.Write([]byte(m[1]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	text, stderr, code := run(t, t.TempDir(), "inspect", path)
	require.Equal(t, exitDone, code, stderr)
	require.Contains(t, text, "states SHA1 "+strings.Repeat("ab", 20)+", which was not compared")
	require.Contains(t, text, "NOTE: the media of an AFF4 volume are not read here")
}
