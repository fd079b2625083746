package main

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody/bundle"
)

func vector(name string) string { return filepath.Join("../../custody/testdata/vectors", name) }

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		bundle, artifact string
		verified         bool
		says             string
	}{
		{"exhibit.bundle", "", true, "complete as of tree size 14"},
		{"exhibit-without-leaves.bundle", "", true, "later ones are not excluded"},
		{"exhibit-without-leaves.bundle", "trust.json", false, "The bytes that came with them are NOT the artifact"},
		{"exhibit-broken.bundle", "", false, "NOT VERIFIED"},
		{"trust.json", "", false, "this is not a bundle"},
	} {
		args := []string{"--trust", vector("trust.json")}
		if c.artifact != "" {
			args = append(args, "--artifact", vector(c.artifact))
		}
		var out bytes.Buffer
		verified, err := run(append(args, vector(c.bundle)), &out, io.Discard)
		require.NoError(t, err, c.bundle)
		require.Equal(t, c.verified, verified, c.bundle)
		require.Contains(t, out.String(), c.says)
		require.Contains(t, out.String(), "compare its fingerprint with the one on paper")

		out.Reset()
		verified, err = run(append(append(args, "--json"), vector(c.bundle)), &out, io.Discard)
		require.NoError(t, err)
		var v map[string]any
		require.NoError(t, json.Unmarshal(out.Bytes(), &v))
		require.Equal(t, c.verified, v["verified"])
		require.Equal(t, c.verified, verified)
	}
}

// TestCases: the program comes to what FORMAT.md says of each vector of a single rule.
func TestCases(t *testing.T) {
	b, err := os.ReadFile(vector("cases/cases.json"))
	require.NoError(t, err)
	var list []struct {
		Bundle, Trust string
		Verified      bool
	}
	require.NoError(t, json.Unmarshal(b, &list))
	require.NotEmpty(t, list)
	for _, c := range list {
		verified, err := run([]string{"--trust", vector("cases/" + c.Trust), vector("cases/" + c.Bundle)}, io.Discard, io.Discard)
		require.NoError(t, err, c.Bundle)
		require.Equal(t, c.Verified, verified, c.Bundle)
	}
}

func TestAskedTheWrongWay(t *testing.T) {
	for says, args := range map[string][]string{
		"give one bundle":     {vector("exhibit.bundle")},
		"give one":            {vector("exhibit.bundle"), "--trust", vector("trust.json"), vector("exhibit.bundle")},
		"and --trust":         {"--", vector("exhibit.bundle"), "--trust", vector("trust.json")},
		"one bundle":          {"--trust", vector("trust.json")},
		"not a trust file":    {"--trust", vector("exhibit.bundle"), vector("exhibit.bundle")},
		"no such file":        {"--trust", "nowhere", vector("exhibit.bundle")},
		"nowhere.bundle":      {"--trust", vector("trust.json"), "nowhere.bundle"},
		"no-artifact":         {"--trust", vector("trust.json"), "--artifact", "no-artifact", vector("exhibit.bundle")},
		"flag provided but n": {"--believe-it"},
	} {
		verified, err := run(args, io.Discard, io.Discard)
		require.ErrorContains(t, err, says)
		require.False(t, verified)
	}
}

// TestAnyOrder: flags may come behind the bundle, as they may with custody bundle
// verify; behind -- there are none.
func TestAnyOrder(t *testing.T) {
	b, trust := vector("exhibit.bundle"), vector("trust.json")
	for _, args := range [][]string{{b, "--trust", trust}, {"--trust", trust, b, "--json"}, {"--trust", trust, "--", b}, {"--trust=" + trust, b}} {
		verified, err := run(args, io.Discard, io.Discard)
		require.NoError(t, err, "%q", args)
		require.True(t, verified)
	}
}

// TestExcerpts are written out, into a folder that is made, of what verifies.
func TestExcerpts(t *testing.T) {
	artifact := []byte("what was on the disk\n")
	whole, err := os.ReadFile(vector("exhibit-without-leaves.bundle"))
	require.NoError(t, err)
	items, err := bundle.Items(bytes.NewReader(whole))
	require.NoError(t, err)
	var with bytes.Buffer
	require.NoError(t, bundle.AddExcerpts(&with, bytes.NewReader(whole), items[0], bytes.NewReader(artifact), bundle.Stretch{Offset: 5, Length: 3}))
	path, folder := filepath.Join(t.TempDir(), "some.bundle"), filepath.Join(t.TempDir(), "out")
	args := []string{path, "--trust", vector("trust.json"), "--excerpts", folder}

	require.NoError(t, os.WriteFile(path, with.Bytes()[:with.Len()-600], 0o600))
	verified, err := run(args, io.Discard, io.Discard)
	require.NoError(t, err)
	require.False(t, verified)
	require.NoDirExists(t, folder)

	require.NoError(t, os.WriteFile(path, with.Bytes(), 0o600))
	var said bytes.Buffer
	verified, err = run(args, io.Discard, &said)
	require.NoError(t, err)
	require.True(t, verified)
	name := filepath.Join(folder, string(items[0])+"-5-7.bin")
	require.Contains(t, said.String(), "wrote "+name)
	got, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, artifact[5:8], got)
	_, err = run(args, io.Discard, io.Discard)
	require.ErrorIs(t, err, fs.ErrExist, "nothing is written over")
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

// TestProgram: it is one static file, and its exit codes are as it says.
func TestProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "custody-verify")
	build := exec.Command("go", "build", "-trimpath", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)
	f, err := elf.Open(program)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	for _, p := range f.Progs {
		require.NotEqual(t, elf.PT_INTERP, p.Type, "it needs a loader")
	}
	libraries, err := f.ImportedLibraries()
	require.NoError(t, err)
	require.Empty(t, libraries)
	code := func(args ...string) int {
		c := exec.Command(program, args...)
		_ = c.Run()
		return c.ProcessState.ExitCode()
	}
	require.Equal(t, exitVerified, code("--trust", vector("trust.json"), vector("exhibit.bundle")))
	require.Equal(t, exitRefused, code("--trust", vector("trust.json"), vector("exhibit-broken.bundle")))
	require.Equal(t, exitUsage, code(vector("exhibit.bundle")))
	require.Equal(t, exitVerified, code("--help"))
}
