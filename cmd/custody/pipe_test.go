package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"
)

// piped takes in what comes through a pipe.
func (d *desk) piped(t testing.TB, exhibit string, b []byte, more ...string) (added map[string]any, stderr string) {
	t.Helper()
	c := exec.Command(os.Args[0], append(d.add("-", exhibit, more...), "--json", "--name", "sda.E01")...)
	c.Env = append(os.Environ(), asProgram+"=1", "CUSTODY_HOME="+d.eve, "CUSTODY_PASSPHRASE_FILE="+filepath.Join(d.eve, "passphrase"))
	var said bytes.Buffer
	c.Stdin, c.Stderr = struct{ io.Reader }{bytes.NewReader(b)}, &said
	out, err := c.Output()
	require.NoError(t, err, "%s", said.String())
	require.NoError(t, json.Unmarshal(out, &added))
	return added, said.String()
}

// TestPipesAreLookedAt as far as a pipe can be: what was not read is said.
func TestPipesAreLookedAt(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	media := random(t, 5<<20)
	long, short := read(t, ewfImage(t, media)...), read(t, ewfImage(t, media[:1<<20])...)

	added, stderr := d.piped(t, "EX-1", long)
	require.Equal(t, "ewf (segment 1); of a pipe, by its beginning", added["format"])
	require.Empty(t, labelsOf(t, added))
	require.Contains(t, stderr, "NOTE: the digests and the facts that the container states were not read")
	file := filepath.Join(t.TempDir(), "long")
	require.NoError(t, os.WriteFile(file, long, 0o600))
	d.same(t, word(t, added, "id"), file)

	// One that has come whole is looked at as a file is.
	added, stderr = d.piped(t, "EX-2", short)
	require.Equal(t, "ewf (segment 1)", added["format"])
	require.Len(t, labelsOf(t, added), 1)
	require.True(t, labelsOf(t, added)[0].Matches())
	require.NotContains(t, stderr, "not read")

	disk := make([]byte, 3<<20)
	copy(disk[510:], "\x55\xaa")
	copy(disk[446+4:], "\x83\x00\x00\x00\x00\x08\x00\x00\x00\x08")
	copy(disk[1<<20+3:], "NTFS    ")
	added, _ = d.piped(t, "EX-3", disk)
	require.Equal(t, "raw (MBR: NTFS); of a pipe, by its beginning", added["format"])
	added, _ = d.piped(t, "EX-4", nil, "--empty")
	require.Equal(t, "empty", added["format"])
}

// TestPeek: what was looked at comes again, and a pipe that fails is an error
// before anything is announced.
func TestPeek(t *testing.T) {
	for _, size := range []int{0, 1, peeked - 1, peeked, peeked + 1, 2*peeked + 7} {
		b := random(t, size)
		s := openPipe(iotest.HalfReader(bytes.NewReader(b)), 1<<30)
		require.NoError(t, s.peek())
		require.Equal(t, size < peeked, s.head.whole)
		got, err := io.ReadAll(s)
		require.NoError(t, err)
		require.True(t, bytes.Equal(b, got))
		require.NoError(t, s.close())
	}
	s := openPipe(iotest.ErrReader(os.ErrClosed), 1<<30)
	require.ErrorIs(t, s.peek(), os.ErrClosed)
}

// TestPipesAreLookedAtConfined: the same child looks at a pipe's beginning, and
// has nothing else of it.
func TestPipesAreLookedAtConfined(t *testing.T) {
	s := openPipe(bytes.NewReader(bytes.Repeat([]byte("x"), 3*peeked)), 1<<30)
	require.NoError(t, s.peek())
	defer s.close()
	out := filepath.Join(t.TempDir(), "seen")
	child := filepath.Join(t.TempDir(), "child")
	require.NoError(t, os.WriteFile(child, []byte("#!/bin/sh\n(echo \"$@\"; wc -c < /proc/self/fd/3; cat /proc/self/net/dev) > "+out+"\necho '{\"format\":\"raw\"}'\n"), 0o700))
	_, err := examineWith(context.Background(), child, s.visible(), false)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(read(t, out))), "\n")
	require.Equal(t, []string{"inspect --confined --beginning -", "2097152"}, lines[:2])
	require.Len(t, lines, 2+3, "loopback alone")
}
