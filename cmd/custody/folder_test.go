package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/custody"
)

// TestFolder takes in folders, one of which was made by somebody who wants
// something.
func TestFolder(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	t.Run("each file", func(t *testing.T) { eachFile(t, d) })
	t.Run("broken off", func(t *testing.T) { eachBrokenOff(t, d) })
	t.Run("again", func(t *testing.T) { eachAgain(t, d) })
	t.Run("as one", func(t *testing.T) { container(t, d) })
	t.Run("wrong", func(t *testing.T) {
		dir := hostile(t)
		refused(t, exitUsage, d.eve, d.add(dir, "EX-W", "--each", "--container"), "not both")
		refused(t, exitUsage, d.eve, d.add(filepath.Join(dir, "a.log"), "EX-W", "--each"), "not a directory")
		require.NoError(t, os.WriteFile(filepath.Join(dir, listing), nil, 0o600))
		refused(t, exitRefused, d.eve, d.add(dir, "EX-W", "--container"), listing)
	})
}

// hostile makes a folder with names and links that mislead.
func hostile(t testing.TB) string {
	t.Helper()
	top := t.TempDir()
	dir := filepath.Join(top, "triage")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "b", "deep"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(top, "secret"), []byte("outside"), 0o600))
	for name, text := range map[string]string{
		"a.log": "first\n", "b/deep/\xff\x1b[31m": "odd\n", "b/two\nlines": "", strings.Repeat("long", 60): "long\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	require.NoError(t, os.Symlink("../secret", filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink(top, filepath.Join(dir, "b", "up")))
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return dir
}

type summary struct {
	Items []struct {
		Exhibit, ID, SHA256, Failure string
		Name                         custody.Name
		Earlier                      bool
	}
	Others []struct {
		Kind string
		Name custody.Name
	}
}

func summaryOf(t testing.TB, stdout string) (s summary) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(stdout), &s, json.MatchCaseInsensitiveNames(true)), stdout)
	return s
}

func eachFile(t *testing.T, d *desk) {
	dir := hostile(t)
	stdout, stderr, code := run(t, d.eve, append(d.add(dir, "EX-5", "--each"), "--json")...)
	require.Equal(t, exitDone, code, stderr)
	s := summaryOf(t, stdout)
	var names []string
	for n, i := range s.Items {
		require.Equal(t, "EX-5/"+string(rune('1'+n)), i.Exhibit)
		names = append(names, string(i.Name.Raw()))
		d.same(t, i.ID, filepath.Join(dir, string(i.Name.Raw())))
	}
	require.Equal(t, []string{"a.log", "b/deep/\xff\x1b[31m", "b/two\nlines", strings.Repeat("long", 60)}, names)
	var others []string
	for _, o := range s.Others {
		others = append(others, o.Kind+" "+o.Name.Display)
	}
	require.Equal(t, []string{"symlink b/up", "symlink link", "pipe pipe", "socket socket"}, others)
	text, _, code := run(t, d.eve, d.add(dir, "EX-55", "--each")...)
	require.Equal(t, exitDone, code)
	require.Contains(t, text, "4 of 4 files are sealed")
	require.Contains(t, text, "not taken in: symlink  link")
	require.NotContains(t, text, "\x1b")
}

// eachAgain: what is sealed is known again, also when the folder has grown.
func eachAgain(t *testing.T, d *desk) {
	dir := t.TempDir()
	refused(t, exitRefused, d.eve, d.add(dir, "EX-8", "--each"), "holds no files")
	image(t, filepath.Join(dir, "b"), 1000)
	image(t, filepath.Join(dir, "d"), 1000)
	done(t, d.eve, d.add(dir, "EX-8", "--each")...)
	text, stderr, code := run(t, d.eve, d.add(dir, "EX-8", "--each")...)
	require.Equal(t, exitDone, code, stderr)
	require.Contains(t, text, "already EX-8/2: e-")
	require.Contains(t, text, "2 of 2 files are sealed")

	image(t, filepath.Join(dir, "a"), 1000) // before the others
	image(t, filepath.Join(dir, "d"), 1000) // not what it was
	stdout, stderr, code := run(t, d.eve, append(d.add(dir, "EX-8", "--each"), "--json")...)
	require.Equal(t, exitDone, code, stderr)
	s := summaryOf(t, stdout)
	var is []string
	for _, i := range s.Items {
		is = append(is, i.Name.Display+" "+i.Exhibit+" "+strconv.FormatBool(i.Earlier))
		d.same(t, i.ID, filepath.Join(dir, i.Name.Display))
	}
	require.Equal(t, []string{"a EX-8/3 false", "b EX-8/1 true", "d EX-8/4 false"}, is)
}

func eachBrokenOff(t *testing.T, d *desk) {
	dir := t.TempDir()
	image(t, filepath.Join(dir, "1"), 1000)
	image(t, filepath.Join(dir, "2"), large)
	image(t, filepath.Join(dir, "3"), 1000)
	command := append(d.add(dir, "EX-6", "--each"), "--json")
	d.gate.stopAt(midway)
	adding := begin(t, d.eve, command...)
	d.gate.stopped()
	adding.kill()
	d.gate.cut()
	stdout, stderr, code := run(t, d.eve, command...)
	require.Equal(t, exitDone, code, stderr)
	require.Contains(t, stderr, "continuing the upload of e-")
	s := summaryOf(t, stdout)
	require.Len(t, s.Items, 3)
	require.Equal(t, []bool{true, false, false}, []bool{s.Items[0].Earlier, s.Items[1].Earlier, s.Items[2].Earlier})
	for _, i := range s.Items {
		d.same(t, i.ID, filepath.Join(dir, string(i.Name.Raw())))
	}
	left, err := os.ReadDir(filepath.Join(d.eve, "uploads"))
	require.NoError(t, err)
	require.Empty(t, left, "what is done is not remembered")

	// one that cannot be taken in does not keep the others from it
	require.NoError(t, os.Rename(filepath.Join(dir, "3"), filepath.Join(dir, "4")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "3"), []byte("x"), 0o600))
	beside := filepath.Join(t.TempDir(), "sums")
	whole := custody.Hash([]byte("x")).Hex()
	require.NoError(t, os.WriteFile(beside, []byte(whole+"  1\n"+whole+"  2\n"+whole+"  3\n"+whole+"  4\n"), 0o600))
	stdout, _, code = run(t, d.eve, append(d.add(dir, "EX-7", "--each", "--expect", beside), "--json")...)
	require.Equal(t, exitRefused, code)
	s = summaryOf(t, stdout)
	require.Contains(t, s.Items[0].Failure, "nothing was sealed")
	require.Empty(t, s.Items[2].Failure)
	d.same(t, s.Items[2].ID, filepath.Join(dir, "3"))
}

func container(t *testing.T, d *desk) {
	dir := hostile(t)
	added := done(t, d.eve, d.add(dir, "EX-8", "--container")...)
	require.Equal(t, "tar (GNU)", added["format"])
	d.named(t, word(t, added, "id"), "triage.tar", "triage.tar")
	back := filepath.Join(t.TempDir(), "back.tar")
	done(t, d.eve, "evidence", "get", word(t, added, "id"), "-o", back, "--purpose", "compare")
	require.Equal(t, custody.Hash(read(t, back)).String(), added["sha256"])
	r := tar.NewReader(bytes.NewReader(read(t, back)))
	var members []string
	var last []byte
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		members = append(members, h.Name)
		last, err = io.ReadAll(r)
		require.NoError(t, err)
		require.NotContains(t, string(last), "outside")
	}
	require.Equal(t, []string{"a.log", "b/", "b/deep/", "b/deep/\xff\x1b[31m", "b/two\nlines", strings.Repeat("long", 60), listing}, members)
	lines := strings.Split(strings.TrimSpace(string(last)), "\n")
	require.Len(t, lines, 10)
	require.Equal(t, `{"kind":"file","name":{"display":"a.log"},"sha256":"`+custody.Hash([]byte("first\n")).String()+`","size":6}`, lines[0])
	require.Contains(t, string(last), `{"bytes":"Yi9kZWVwL/8bWzMxbQ==","display":"b/deep/\\xff\\x1b[31m"}`)
	require.Contains(t, string(last), `"target":{"display":"../secret"}`)
	require.Contains(t, string(last), `"kind":"socket"`)

	f, err := openFolder(dir) // the same bytes each time, so that an upload can be continued
	require.NoError(t, err)
	s, err := f.pack()
	require.NoError(t, err)
	again, err := io.ReadAll(s)
	require.NoError(t, err)
	require.True(t, bytes.Equal(read(t, back), again))
	require.Less(t, uint64(len(again)), s.size)
	require.NoError(t, s.close())

	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.log"), []byte("second\n"), 0o600))
	s, err = f.pack()
	require.NoError(t, err)
	_, err = io.ReadAll(s)
	require.ErrorIs(t, err, errChanged)
}
