package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// vectors are those of the formats.
const vectors = "../../custody/testdata/vectors/"

// TestBundlesAreRedacted, with nothing at hand but a bundle and a trust file.
func TestBundlesAreRedacted(t *testing.T) {
	home, dir := t.TempDir(), t.TempDir()
	whole, trust := vectors+"exhibit-v1.bundle", vectors+"trust.json"
	to := func(name string) string { return filepath.Join(dir, name) }

	v := done(t, home, "bundle", "verify", whole, "--trust", trust)
	require.Nil(t, v["withheld"])
	v = done(t, home, "bundle", "redact", whole, "-o", to("short.bundle"), "--trust", trust, "--others")
	require.Len(t, v["withheld"], 1)
	gone := v["withheld"].([]any)[0].(map[string]any)
	require.Contains(t, gone["stream"], "principal/")
	record := fmt.Sprintf("records/%s/%08.0f.json", gone["stream"], gone["sequence"])
	for file, there := range map[string]bool{whole: true, to("short.bundle"): false} {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, there, bytes.Contains(b, []byte(record)), file)
	}
	v = done(t, home, "bundle", "verify", to("short.bundle"), "--trust", trust)
	require.Len(t, v["withheld"], 1)
	require.Len(t, v["warnings"], 1)

	item := v["items"].([]any)[0].(map[string]any)["evidence"].(string)
	v = done(t, home, "bundle", "redact", to("short.bundle"), "-o", to("shorter.bundle"), "--trust", trust,
		"--withhold", "evidence/"+item+":1-2", "--kind", "evidence.receive")
	require.Len(t, v["withheld"], 4)
	stdout, _, code := run(t, home, "bundle", "verify", to("shorter.bundle"), "--trust", trust)
	require.Equal(t, exitDone, code)
	require.Contains(t, stdout, "these 4 records of the item, 3 of them withheld")

	// What does not verify is not kept, and nothing is written over.
	refused(t, exitRefused, home, []string{"bundle", "redact", whole, "-o", to("none.bundle"), "--trust", trust, "--withhold", "evidence/" + item + ":0"},
		"does not verify, and is not kept", "its seal is not here")
	refused(t, exitRefused, home, []string{"bundle", "redact", whole, "-o", to("none.bundle"), "--trust", trust, "--kind", "genesis"}, "is never withheld")
	refused(t, exitRefused, home, []string{"bundle", "redact", vectors + "exhibit-broken.bundle", "-o", to("none.bundle"), "--trust", trust, "--others"}, "is not kept")
	refused(t, exitUsage, home, []string{"bundle", "redact", whole, "-o", to("short.bundle"), "--trust", trust, "--others"}, "is there already")
	for _, args := range [][]string{ // a slip must not pass for a redaction
		{"--withhold", "evidence/e-aaaaaaaaaaaaaaaa:1"},
		{"--withhold", "evidence/" + item + ":99"},
		{"--withhold", "evidence/" + item + ":2-99"},
		{"--kind", "evidence.dispose"},
		{"--others", "--kind", "evidence.dispose"},
	} {
		refused(t, exitUsage, home, append([]string{"bundle", "redact", whole, "-o", to("none.bundle"), "--trust", trust}, args...), args[len(args)-1]+" fits", "nothing was written")
	}
	for _, args := range [][]string{
		{"--others"},
		{"--trust", trust},
		{"--trust", trust, "--kind", "evidence.eat"},
		{"--trust", trust, "--withhold", "evidence/" + item},
		{"--trust", trust, "--withhold", "evidence/" + item + ":1-"},
		{"--trust", trust, "--withhold", "evidence/" + item + ":5-3"},
		{"--trust", trust, "--withhold", "evidence/" + item + ":0-99999999999"},
		{"--trust", trust, "--withhold", "somewhere:1"},
	} {
		refused(t, exitUsage, home, append([]string{"bundle", "redact", whole, "-o", to("none.bundle")}, args...), "custody help")
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2, "%v", left)
}
