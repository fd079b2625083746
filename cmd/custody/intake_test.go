package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

// TestIntake takes in what people bring: containers and their digests, images
// in parts, files with holes.
func TestIntake(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	t.Run("an image in segments", func(t *testing.T) { ewfSegments(t, d) })
	t.Run("a container that states another digest", func(t *testing.T) { ewfMismatch(t, d) })
	t.Run("parts of a raw image", func(t *testing.T) { rawParts(t, d) })
	t.Run("digests beside it", func(t *testing.T) { expected(t, d) })
	t.Run("holes", func(t *testing.T) { holes(t, d) })
	t.Run("a disk with bad sectors", func(t *testing.T) { badSectors(t, d) })
	t.Run("a pipe", func(t *testing.T) { pipe(t, d) })
}

// ewfImage lets libewf make an image, and returns its segments.
func ewfImage(t testing.TB, media []byte, args ...string) []string {
	t.Helper()
	target := filepath.Join(t.TempDir(), "sda")
	c := exec.Command("ewfacquirestream", append([]string{"-q", "-t", target, "-C", "case 4711", "-e", "Eve"}, args...)...)
	c.Stdin = bytes.NewReader(media)
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	paths, err := filepath.Glob(target + ".*")
	require.NoError(t, err)
	slices.Sort(paths)
	return paths
}

func read(t testing.TB, paths ...string) (all []byte) {
	t.Helper()
	for _, p := range paths {
		b, err := os.ReadFile(p)
		require.NoError(t, err)
		all = append(all, b...)
	}
	return all
}

func random(t testing.TB, size int) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "random")
	image(t, path, int64(size))
	return read(t, path)
}

func hexOf(sum []byte) string { return hex.EncodeToString(sum) }

// labelsOf returns the labels of an answer.
func labelsOf(t testing.TB, v map[string]any) (list []custody.Label) {
	t.Helper()
	b, err := json.Marshal(v["labels"])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &list))
	return list
}

func ewfSegments(t *testing.T, d *desk) {
	media := random(t, 3<<20)
	paths := ewfImage(t, media, "-S", "1MiB", "-d", "sha1")
	require.Len(t, paths, 4)
	require.NoError(t, os.WriteFile(strings.TrimSuffix(paths[0], "E01")+"log", []byte("what libewf said"), 0o600))
	added := done(t, d.eve, d.add(paths[0], "EX-E1", "--md5")...)
	require.Equal(t, "ewf (4 segments)", added["format"])
	whole := filepath.Join(t.TempDir(), "whole")
	require.NoError(t, os.WriteFile(whole, read(t, paths...), 0o600))
	d.same(t, word(t, added, "id"), whole)
	first, second, artifact := md5.Sum(media), sha1.Sum(media), md5.Sum(read(t, paths...))
	require.Equal(t, []custody.Label{
		{Algorithm: "md5", Measured: hexOf(first[:]), Stated: hexOf(first[:]), Over: "media", StatedBy: "container"},
		{Algorithm: "sha1", Measured: hexOf(second[:]), Stated: hexOf(second[:]), Over: "media", StatedBy: "container"},
		{Algorithm: "md5", Measured: hexOf(artifact[:]), Over: "artifact"},
	}, labelsOf(t, added))
	shown := done(t, d.eve, "evidence", "show", word(t, added, "id"))
	require.Equal(t, labelsOf(t, added), labelsOf(t, shown))

	inspected := done(t, d.eve, append([]string{"inspect"}, paths[0])...)
	require.EqualValues(t, len(media), inspected["media"])
	require.Contains(t, inspected["header"], "case: case 4711")

	// named one by one, in any order but the right one, they are refused
	before := d.listed(t)
	tail := d.add("x", "EX-E2")[3:]
	add := func(paths ...string) []string { return slices.Concat([]string{"evidence", "add"}, paths, tail) }
	refused(t, exitRefused, d.eve, add(paths[0], paths[2]), "segment 3", "number 2")
	refused(t, exitRefused, d.eve, add(paths[1], paths[0]), "segment 2", "number 1")
	refused(t, exitUsage, d.eve, add(paths[0], paths[0]), "given twice")
	refused(t, exitRefused, d.eve, add(paths[0], paths[1]), "the last is missing")
	require.NoError(t, os.Rename(paths[1], paths[1]+".gone"))
	refused(t, exitRefused, d.eve, add(paths[0]), "sda.E03 is there", "sda.E02 is not", "--as-is")
	require.NoError(t, os.Rename(paths[3], paths[3]+".gone"))
	require.NoError(t, os.Rename(paths[2], paths[2]+".gone"))
	refused(t, exitRefused, d.eve, add(paths[0]), "the last is missing", "--as-is")
	require.Equal(t, before, d.listed(t))
	_, stderr, code := run(t, d.eve, append(add(paths[0]), "--as-is")...)
	require.Equal(t, exitDone, code, stderr)
	require.Contains(t, stderr, "WARNING", "what is missing is said all the same")
}

// ewfMismatch: evidence is evidence, and what is wrong with it is on record.
func ewfMismatch(t *testing.T, d *desk) {
	media := random(t, 1<<20)
	path := ewfImage(t, media)[0]
	b := read(t, path)
	at := bytes.Index(b, media[5000:5100])
	require.Positive(t, at)
	b[at] ^= 1
	require.NoError(t, os.WriteFile(path, b, 0o600))
	stdout, stderr, code := run(t, d.eve, append(d.add(path, "EX-E3"), "--json")...)
	require.Equal(t, exitDone, code, stderr)
	require.Contains(t, stderr, "WARNING: the md5 of the media ")
	require.Contains(t, stderr, "NOT what the container states")
	require.Contains(t, stderr, "damaged in 1 places")
	var added map[string]any
	require.NoError(t, json.Unmarshal([]byte(stdout), &added))
	require.False(t, labelsOf(t, added)[0].Matches())
	text, _, code := run(t, d.eve, "inspect", path)
	require.Equal(t, exitRefused, code)
	require.Contains(t, text, "NOT what the container states")
}

// TestSurplus: libewf states the digest of a source that is no whole number of
// sectors over all of it, and counts whole sectors.
func TestSurplus(t *testing.T) {
	path := ewfImage(t, random(t, 100_000))[0]
	text, _, code := run(t, t.TempDir(), "inspect", path)
	require.Equal(t, exitRefused, code)
	require.Contains(t, text, "covers 160 bytes more than its media")
	require.NotContains(t, text, "damaged")
}

func rawParts(t *testing.T, d *desk) {
	dir := t.TempDir()
	var paths []string
	for _, ext := range []string{"001", "002", "003"} {
		paths = append(paths, filepath.Join(dir, "sdb."+ext))
		image(t, paths[len(paths)-1], 5*mib+7)
	}
	tail := d.add("x", "EX-R1")[3:]
	add := func(paths ...string) []string { return slices.Concat([]string{"evidence", "add"}, paths, tail) }
	refused(t, exitRefused, d.eve, add(paths[0], paths[2]), "does not follow")
	refused(t, exitRefused, d.eve, add(paths[1], paths[2]), "not the first part")
	added := done(t, d.eve, add(paths...)...)
	whole := filepath.Join(dir, "whole")
	require.NoError(t, os.WriteFile(whole, read(t, paths...), 0o600))
	d.same(t, word(t, added, "id"), whole)
	history, stderr, code := run(t, d.eve, "evidence", "history", word(t, added, "id"))
	require.Equal(t, exitDone, code, stderr)
	require.Contains(t, history, `"parts":[{"name":{"display":"sdb.001"},"size":5242887},{"name":{"display":"sdb.002"}`)
}

func expected(t *testing.T, d *desk) {
	dir := t.TempDir()
	file := filepath.Join(dir, "sdc.dd")
	image(t, file, 100_000)
	b := read(t, file)
	first, second := md5.Sum(b), sha1.Sum(b)
	whole := custody.Hash(b).Hex()
	beside := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	other := strings.Repeat("ab", 32)
	bad := beside("wrong.sha256", other+"  sdc.dd\n")
	refused(t, exitRefused, d.eve, d.add(file, "EX-X0", "--expect", bad), "nothing was sealed", whole, other)
	require.NotContains(t, d.listed(t), "EX-X0")
	refused(t, exitUsage, d.eve, d.add(file, "EX-X", "--expect", beside("none", whole+"  other.dd\n")), "1 other files")
	refused(t, exitUsage, d.eve, d.add(file, "EX-X", "--expect", beside("two", whole+"  sdc.dd\n"+other+"  sdc.dd\n")), "two values")
	ftk := "Created By AccessData\r\n[Computed Hashes]\r\n MD5 checksum:    " + hexOf(first[:]) + "\r\n SHA1 checksum:   " + hexOf(second[:]) + "\r\n"
	for n, c := range []struct{ name, text, kinds string }{
		{"SHA256SUMS", other + "  a\n" + whole + " *./images/sdc.dd\n", "sha256"},
		{"md5", "MD5 (sdc.dd) = " + strings.ToUpper(hexOf(first[:])) + "\n", "md5"},
		{"sdc.hash", hexOf(second[:]) + "\n", "sha1"},
		{"sdc.dd.txt", ftk, "md5 sha1"},
	} {
		added := done(t, d.eve, d.add(file, "EX-X"+string(rune('1'+n)), "--expect", beside(c.name, c.text))...)
		var kinds []string
		for _, l := range labelsOf(t, added) {
			kinds = append(kinds, l.Algorithm)
			require.Equal(t, c.name, l.StatedBy)
			require.Equal(t, "artifact", l.Over)
			require.Equal(t, l.Stated, l.Measured)
		}
		require.Equal(t, c.kinds, strings.Join(kinds, " "))
	}
	media := random(t, 1<<20)
	first = md5.Sum(media)
	img := ewfImage(t, media)[0]
	text := "\ufeff MD5 checksum:    " + hexOf(first[:]) + " : verified\r\n"
	added := done(t, d.eve, d.add(img, "EX-X9", "--expect", beside("sda.E01.txt", text))...)
	last := labelsOf(t, added)[1]
	require.Equal(t, custody.Label{Algorithm: "md5", Measured: hexOf(first[:]), Stated: hexOf(first[:]), Over: "media", StatedBy: "sda.E01.txt"}, last)
}

func holes(t *testing.T, d *desk) {
	file := filepath.Join(t.TempDir(), "sparse.dd")
	f, err := os.Create(file)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(20<<30))
	_, err = f.WriteAt([]byte("here"), 11<<30+3)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	s, err := openSource([]string{file})
	require.NoError(t, err)
	require.True(t, s.Hole(11<<30), "what was never written is not read")
	require.False(t, s.Hole(custody.ChunkSize))
	b := make([]byte, custody.ChunkSize)
	n, err := s.Read(b)
	require.NoError(t, err)
	require.Equal(t, "here", string(b[3:7]))
	require.Equal(t, len(b), n)
	require.True(t, s.Hole(custody.ChunkSize))
	require.NoError(t, s.close())

	require.NoError(t, os.Truncate(file, 100<<20+5))
	f, err = os.OpenFile(file, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("here"), 50<<20)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	_, before := d.gate.count()
	added := done(t, d.eve, d.add(file, "EX-H1", "--md5")...)
	_, after := d.gate.count()
	require.Less(t, after-before, int64(9<<20), "holes are not sent")
	require.Equal(t, false, added["locked"], "a folder locks nothing, and the receipt says so")
	want := md5.Sum(read(t, file))
	require.Equal(t, hexOf(want[:]), labelsOf(t, added)[0].Measured)
	d.same(t, word(t, added, "id"), file)
}

// items lists the items of the incident.
func (d *desk) items(t testing.TB) (list []map[string]any) {
	t.Helper()
	items, ok := done(t, d.eve, "evidence", "list", "--incident", d.incident)["evidence"].([]any)
	require.True(t, ok)
	for _, i := range items {
		item, ok := i.(map[string]any)
		require.True(t, ok)
		list = append(list, item)
	}
	return list
}

// exhibits are the numbers of all that was announced in the incident, sealed or
// not. The log itself grows by what the keeper finds, whenever it finds it.
func (d *desk) exhibits(t testing.TB) []string {
	t.Helper()
	numbers := []string{}
	for _, item := range d.items(t) {
		numbers = append(numbers, word(t, item, "exhibit"))
	}
	return numbers
}

// badFile is a file of a FUSE mount in which some sectors cannot be read.
type badFile struct {
	fs.Inode
	bytes []byte
	bad   []int64 // sectors
}

func (f *badFile) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Size, out.Mode = uint64(len(f.bytes)), 0o400
	return 0
}

func (f *badFile) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, 0
}

func (f *badFile) Read(_ context.Context, _ fs.FileHandle, b []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	end := min(offset+int64(len(b)), int64(len(f.bytes)))
	for _, n := range f.bad {
		if n*sector < end && offset < (n+1)*sector {
			return nil, syscall.EIO
		}
	}
	return fuse.ReadResultData(f.bytes[min(offset, end):end]), 0
}

func badSectors(t *testing.T, d *desk) {
	point := t.TempDir()
	bad := &badFile{bytes: random(t, 9*mib+100), bad: []int64{3, 4, 9 * mib / sector, 7000}}
	root := &fs.Inode{}
	server, err := fs.Mount(point, root, &fs.Options{
		OnAdd: func(ctx context.Context) {
			root.AddChild("sda", root.NewPersistentInode(ctx, bad, fs.StableAttr{Mode: syscall.S_IFREG}), false)
		},
		MountOptions: fuse.MountOptions{DirectMount: true},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Unmount() })
	file := filepath.Join(point, "sda")
	refused(t, exitRefused, d.eve, d.add(file, "EX-B1"), "bytes 1536 to 2559 of "+file, "input/output error", "--fill-unreadable")
	require.NotContains(t, d.listed(t), "EX-B1")

	_, stderr, code := run(t, d.eve, d.add(file, "EX-B2", "--fill-unreadable", "--unread", "", "--unread-note", "two heads click")...)
	require.Equal(t, exitDone, code, stderr)
	require.Contains(t, stderr, "3 stretches of the source could not be read")
	want := bytes.Clone(bad.bytes)
	for _, n := range bad.bad {
		clear(want[n*sector : min(len(want), int(n+1)*sector)])
	}
	good := filepath.Join(t.TempDir(), "good")
	require.NoError(t, os.WriteFile(good, want, 0o600))
	var item map[string]any
	for _, e := range d.items(t) {
		if e["exhibit"] == "EX-B2" {
			item = e
		}
	}
	require.NotNil(t, item)
	d.same(t, word(t, item, "id"), good)
	acquired, ok := done(t, d.eve, "evidence", "show", word(t, item, "id"))["acquisition"].(map[string]any)
	require.True(t, ok)
	require.Equal(t, map[string]any{
		"bytes": float64(3*sector + 100), "filled": true,
		"note": "two heads click; bytes 1536 to 2559: input/output error; bytes 3584000 to 3584511: input/output error; bytes 9437184 to 9437283: input/output error",
	}, acquired["unread"])
}

func pipe(t *testing.T, d *desk) {
	file := filepath.Join(t.TempDir(), "in")
	image(t, file, 9*mib)
	f, err := os.Open(file)
	require.NoError(t, err)
	c := exec.Command(os.Args[0], append(d.add("-", "EX-P1", "--name", "in"), "--json", "--sha1")...)
	c.Env = append(os.Environ(), asProgram+"=1", "CUSTODY_HOME="+d.eve, "CUSTODY_PASSPHRASE_FILE="+filepath.Join(d.eve, "passphrase"))
	c.Stdin = f
	out, err := c.Output()
	require.NoError(t, err)
	var added map[string]any
	require.NoError(t, json.Unmarshal(out, &added))
	want := sha1.Sum(read(t, file))
	require.Equal(t, hexOf(want[:]), labelsOf(t, added)[0].Measured)
	d.same(t, word(t, added, "id"), file)
}

// TestChildThatFails: what looks into an artifact may die, hang or lie.
func TestChildThatFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "in")
	image(t, file, 1000)
	s, err := openSource([]string{file})
	require.NoError(t, err)
	defer s.close()
	script := func(text string) string {
		path := filepath.Join(t.TempDir(), "child")
		require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700))
		return path
	}
	for _, c := range []struct{ text, says string }{
		{"kill -SEGV $$", "segmentation fault"},
		{"exit 1", "exit status 1"},
		{"echo nonsense", "cannot be read"},
		{`echo '{"format":""}'`, "format is missing"},
		{`printf '{"format":"a\\u001b[31m"}'`, "cannot be shown"},
		{`echo '{"format":"raw","labels":[{"algorithm":"md5","measured":"00","over":"media","stated":"00","statedBy":"container"}]}'`, "makes no sense"},
		{"yes", "printed too much"},
	} {
		_, err := examineWith(context.Background(), script(c.text), s, false)
		require.ErrorContains(t, err, c.says, c.text)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err = examineWith(ctx, script("exec sleep 60"), s, false)
	require.Error(t, err)
	require.Less(t, time.Since(begun), 10*time.Second)

	var stderr bytes.Buffer
	a := &app{stderr: &stderr}
	t.Setenv(asProgram, "1")
	end, _, err := os.Pipe() // in which the child cannot look about
	require.NoError(t, err)
	found, err := a.examine(context.Background(), &source{parts: []segmentFile{{File: end}}}, false)
	require.NoError(t, err)
	require.Equal(t, "unknown", found.Format)
	require.Contains(t, stderr.String(), "unknown format")
}

// TestChildIsConfined: it has no network to reach, and little memory.
func TestChildIsConfined(t *testing.T) {
	file := filepath.Join(t.TempDir(), "in")
	image(t, file, 1000)
	s, err := openSource([]string{file})
	require.NoError(t, err)
	defer s.close()
	out := filepath.Join(t.TempDir(), "net")
	child := filepath.Join(t.TempDir(), "child")
	require.NoError(t, os.WriteFile(child, []byte("#!/bin/sh\ncat /proc/self/net/dev > "+out+"\necho '{\"format\":\"raw\"}'\n"), 0o700))
	found, err := examineWith(context.Background(), child, s, false)
	require.NoError(t, err)
	require.Equal(t, "raw", found.Format)
	require.NotContains(t, string(read(t, out)), "eth0")
	require.Equal(t, 3, strings.Count(string(read(t, out)), "\n"), "loopback alone: %s", read(t, out))
}

// TestNobodyStatedThatAllWasRead: an empty file of facts states nothing.
func TestNobodyStatedThatAllWasRead(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	stdout, stderr, code := run(t, d.eve, "evidence", "facts")
	require.Equal(t, exitDone, code, stderr)
	var empty map[string]any
	require.NoError(t, json.Unmarshal([]byte(stdout), &empty))
	require.Contains(t, empty, "unread")
	require.Nil(t, empty["unread"])
	facts, file := filepath.Join(t.TempDir(), "facts.json"), filepath.Join(t.TempDir(), "a")
	require.NoError(t, os.WriteFile(facts, []byte(stdout), 0o600))
	image(t, file, 1000)
	add := []string{"evidence", "add", file, "--incident", d.incident, "--exhibit", "EX-1", "--type", "disk", "--facts", facts, "--purpose", "x"}
	refused(t, exitUsage, d.eve, add, "--unread", "--source")
	add = d.add(file, "EX-1", "--facts", facts)
	for n, arg := range add {
		if arg == "--unread" {
			add = append(add[:n:n], add[n+2:]...)
			break
		}
	}
	refused(t, exitUsage, d.eve, add, "without --unread")
	done(t, d.eve, d.add(file, "EX-1", "--facts", facts)...)
}

// TestGoingOnAsAnnounced: what was announced is on record, and what differs is not
// dropped unsaid.
func TestGoingOnAsAnnounced(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	file := filepath.Join(t.TempDir(), "a")
	image(t, file, 20*mib)
	d.gate.stopAt(10 * mib)
	first := begin(t, d.eve, d.add(file, "EX-1")...)
	d.gate.stopped()
	first.kill()
	d.gate.cut()
	refused(t, exitUsage, d.eve, d.add(file, "EX-1", "--type", "memory"), `--type "disk", not "memory"`, "evidence withdraw e-")
	refused(t, exitUsage, d.eve, d.add(file, "EX-1", "--purpose", "another"), `--purpose "alert 4711", not "another"`)
	refused(t, exitUsage, d.eve, d.add(file, "EX-1", "--name", "b"), `--name "a", not "b"`)
	_, stderr, code := run(t, d.eve, d.add(file, "EX-1")...)
	require.Equal(t, exitDone, code, stderr)
	require.Contains(t, stderr, "continuing")
	left, err := filepath.Glob(filepath.Join(d.eve, "begun", "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}
