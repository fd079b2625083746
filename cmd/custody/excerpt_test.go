package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExcerptsOfAnArtifact are added and written out, with nothing at hand but a
// bundle, the artifact and a trust file.
func TestExcerptsOfAnArtifact(t *testing.T) {
	home, dir := t.TempDir(), t.TempDir()
	whole, trust := vectors+"exhibit-without-leaves.bundle", vectors+"trust.json"
	to := func(name string) string { return filepath.Join(dir, name) }
	artifact := []byte("what was on the disk\n")
	require.NoError(t, os.WriteFile(to("disk.img"), artifact, 0o600))
	require.NoError(t, os.WriteFile(to("other.img"), append(artifact, '\n'), 0o600))

	args := []string{"bundle", "excerpt", whole, "-o", to("some.bundle"), "--trust", trust, "--artifact", to("disk.img"), "--range", "5-7"}
	v := done(t, home, args...)
	item := v["items"].([]any)[0].(map[string]any)
	require.Len(t, item["excerpts"], 1)
	refused(t, exitUsage, home, args, "is there already")

	stdout, _, code := run(t, home, "bundle", "verify", to("some.bundle"), "--trust", trust, "--excerpts", to("out"))
	require.Equal(t, exitDone, code)
	name := item["evidence"].(string) + "-5-7.bin"
	require.Contains(t, stdout, "bytes 5 to 7 (3 of them), SHA-256 ")
	require.Contains(t, stdout, "wrote "+filepath.Join(to("out"), name))
	got, err := os.ReadFile(filepath.Join(to("out"), name))
	require.NoError(t, err)
	require.Equal(t, artifact[5:8], got)
	refused(t, exitUsage, home, []string{"bundle", "verify", to("some.bundle"), "--trust", trust, "--excerpts", to("out")}, "is there already")
	refused(t, exitUsage, home, []string{"bundle", "verify", to("some.bundle"), "--trust", trust, "--excerpts", to("nowhere/here")}, "nowhere")
	require.NoError(t, os.Mkdir(to("there"), 0o700))
	stdout, _, code = run(t, home, "bundle", "verify", to("some.bundle"), "--trust", trust, "--excerpts", to("there"))
	require.Equal(t, exitDone, code)
	require.Contains(t, stdout, "wrote "+filepath.Join(to("there"), name))
	stdout, _, code = run(t, home, "bundle", "verify", whole, "--trust", trust, "--excerpts", to("none"))
	require.Equal(t, exitDone, code)
	require.Contains(t, stdout, "no excerpts in it: nothing was written")
	require.NoDirExists(t, to("none"))

	// What does not verify is not written out.
	b, err := os.ReadFile(to("some.bundle"))
	require.NoError(t, err)
	b[len(b)-1024-1024-512-512] ^= 1 // in the excerpt's block
	require.NoError(t, os.WriteFile(to("bad.bundle"), b, 0o600))
	require.NoError(t, os.Mkdir(to("empty"), 0o700))
	stdout, _, code = run(t, home, "bundle", "verify", to("bad.bundle"), "--trust", trust, "--excerpts", to("empty"))
	require.Equal(t, exitRefused, code)
	require.Contains(t, stdout, "NOT VERIFIED")
	left, err := os.ReadDir(to("empty"))
	require.NoError(t, err)
	require.Empty(t, left)

	excerpt := func(more ...string) []string {
		return append([]string{"bundle", "excerpt", whole, "-o", to("none.bundle"), "--trust", trust}, more...)
	}
	refused(t, exitRefused, home, excerpt("--artifact", to("other.img"), "--range", "5-7"), "sealed were 21 bytes")
	refused(t, exitRefused, home, excerpt("--artifact", to("disk.img"), "--range", "20-21"), "not within the 21 bytes")
	refused(t, exitRefused, home, excerpt("--artifact", to("disk.img"), "--range", "5-7", "--item", "e-aaaaaaaaaaaaaaaa"), "is not of item")
	for _, more := range [][]string{
		{"--artifact", to("disk.img")}, {"--range", "5-7"}, {"--artifact", to("nothing.img"), "--range", "5-7"},
		{"--artifact", to("disk.img"), "--range", "5"}, {"--artifact", to("disk.img"), "--range", "5:3"}, {"--artifact", to("disk.img"), "--range", "5-4"}, {"--artifact", to("disk.img"), "--range", "-5-7"},
		{"--artifact", to("disk.img"), "--range", "5-7", "--item", "EX-1"},
	} {
		refused(t, exitUsage, home, excerpt(more...))
	}
	refused(t, exitUsage, home, excerpt("--artifact", to("disk.img"), "--range", "0:512"), "is not FIRST-LAST", "0-511")
	require.NoFileExists(t, to("none.bundle"))
	require.NoFileExists(t, to("none.bundle.part"))
}
