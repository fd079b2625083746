package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/deploy/lossyfs"
)

const mib = 1 << 20

// TestBadInput tells what a person meets who types something wrong, or whose
// file, disk or network fails: what is said, how the command ends, and that
// nothing is lost and nothing half-written is seen.
func TestBadInput(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	t.Run("wrong passphrase", func(t *testing.T) { wrongPassphrase(t, d) })
	t.Run("unknown incident", func(t *testing.T) { unknownIncident(t, d) })
	t.Run("what is missing", func(t *testing.T) { missing(t, d) })
	t.Run("no such verb", func(t *testing.T) { noSuchVerb(t, d) })
	t.Run("nothing there", func(t *testing.T) { require.Empty(t, d.listed(t)) })
	t.Run("an empty file", func(t *testing.T) { emptyFile(t, d) })
	t.Run("names", func(t *testing.T) { names(t, d) })
	t.Run("a file that grows", func(t *testing.T) { grows(t, d) })
	t.Run("a file on a disk that fails", func(t *testing.T) { diskFails(t, d) })
	t.Run("a client that is killed", func(t *testing.T) { clientKilled(t, d) })
	t.Run("get where a file is", func(t *testing.T) { getOver(t, d) })
	t.Run("bundles that do not verify", func(t *testing.T) { badBundles(t, d) })
	t.Run("keys", func(t *testing.T) { keys(t, d) })
	t.Run("json", func(t *testing.T) { jsonEverywhere(t, d) })
	t.Run("ranges", func(t *testing.T) { ranges(t, d) })
	t.Run("a second server", func(t *testing.T) { secondServer(t, d) })
	t.Run("a server that is killed", func(t *testing.T) { serverKilled(t, d) })
	t.Run("no server", func(t *testing.T) { noServer(t, d) })
}

func wrongPassphrase(t *testing.T, d *desk) {
	file := filepath.Join(t.TempDir(), "web01.dd")
	image(t, file, 1000)
	other := filepath.Join(t.TempDir(), "other")
	require.NoError(t, os.WriteFile(other, []byte("battery staple\n"), 0o600))
	ida := d.home(t, "ida", "Ida", "ed25519")
	refused(t, exitUsage, d.ada, []string{"principal", "enroll", filepath.Join(ida, requestFile), "--role", "administrator", "--role", "forensic-engineer"}, "holds no other role")
	id := word(t, done(t, d.ada, "principal", "enroll", filepath.Join(ida, requestFile), "--role", "forensic-engineer"), "id")
	done(t, ida, "login", "--principal", id)
	done(t, d.mona, "incident", "assign", d.incident, id, "--purpose", "disk forensics")
	before := d.exhibits(t)
	refused(t, exitRefused, ida, d.add(file, "EX-P", "--passphrase-file", other), "wrong passphrase", "nothing was sent")
	refused(t, exitRefused, ida, d.add(file, "EX-P", "--passphrase-file", other+".none"), other+".none", "no such file")
	require.Equal(t, before, d.exhibits(t), "nothing was announced")
	require.Equal(t, id, done(t, ida, "whoami")["id"], "the right one opens it")
}

func unknownIncident(t *testing.T, d *desk) {
	file := filepath.Join(t.TempDir(), "web01.dd")
	image(t, file, 1000)
	refused(t, exitRefused, d.eve, d.add(file, "EX-U", "--incident", "i-"+strings.Repeat("a", len(d.incident)-2)), "no such")
	refused(t, exitUsage, d.eve, d.add(file, "EX-U", "--incident", "4711"), `4711`, "custody help")
	uploads, err := os.ReadDir(filepath.Join(d.eve, "uploads"))
	require.True(t, err == nil || os.IsNotExist(err), "%v", err)
	require.Empty(t, uploads, "nothing to continue is remembered")
}

func missing(t *testing.T, d *desk) {
	file := filepath.Join(t.TempDir(), "web01.dd")
	image(t, file, 1000)
	refused(t, exitUsage, d.eve, d.add(file, "EX-M", "--source", "", "--purpose", ""), "without --purpose, --source")
	refused(t, exitUsage, d.eve, []string{"evidence", "add", file}, "--incident, --exhibit, --type, --purpose, --source")
	refused(t, exitUsage, d.eve, []string{"evidence", "add"}, "0 arguments instead of 1 or more", "add FILE…|-")
	refused(t, exitUsage, d.eve, d.add(t.TempDir(), "EX-M"), "is a folder", "pack it")
	refused(t, exitUsage, d.eve, d.add(file+".none", "EX-M"), file+".none", "no such file")
	refused(t, exitUsage, d.eve, []string{"evidence", "get", "e-" + d.incident[2:], "-o", "x"}, "--purpose")
}

func noSuchVerb(t *testing.T, d *desk) {
	refused(t, exitUsage, d.eve, []string{"evidence", "delete"}, `custody evidence has no verb "delete"`, "custody help")
	refused(t, exitUsage, d.eve, []string{"evidense"}, `no such command: custody "evidense"`, "custody help")
	refused(t, exitUsage, d.eve, []string{"evidence", "list", "--incidnet", "x"}, "--incidnet")
	t.Log("with flags, too, what is said is about the name; and the name of an act leads to its command")
	refused(t, exitUsage, d.eve, []string{"evidence", "delete", "e-1", "--purpose", "x"}, `custody evidence has no verb "delete"`)
	refused(t, exitUsage, d.eve, []string{"evidense", "--purpose", "x"}, `no such command: custody "evidense"`)
	refused(t, exitUsage, d.eve, []string{"finding.record", "i-1", "--title", "x"}, `no such command: custody "finding.record"`, "say custody finding add")
	refused(t, exitUsage, d.eve, []string{"finding", "finding.record"}, `custody finding has no verb "finding.record"`, "say custody finding add")
	refused(t, exitUsage, d.eve, []string{"serve"}, "--dir")
	refused(t, exitUsage, d.ada, []string{"principal", "enroll", "a.json", "b.json"}, "the request of whom to enroll")
	refused(t, exitUsage, d.ada, []string{"principal", "enroll", "--first", "--code", "x", "b.json"}, "--first takes no request")
}

func emptyFile(t *testing.T, d *desk) {
	dir := t.TempDir()
	file, proof := filepath.Join(dir, "empty"), filepath.Join(dir, "EX-0.bundle")
	image(t, file, 0)
	added := done(t, d.eve, d.add(file, "EX-0", "--empty")...)
	require.Equal(t, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", added["sha256"])
	id := word(t, added, "id")
	d.same(t, id, file)
	done(t, d.eve, "bundle", "export", id, "-o", proof, "--purpose", "disclosure")
	v := done(t, "", "bundle", "verify", proof, "--trust", filepath.Join(d.dir, "trust.json"), "--artifact", file)
	require.Equal(t, true, v["verified"])
}

// names are shown so that they steer no terminal and mislead no reader, and
// their bytes are kept.
func names(t *testing.T, d *desk) {
	dir := t.TempDir()
	file := filepath.Join(dir, "plain")
	image(t, file, 100)
	for n, c := range []struct{ name, shown string }{
		{"a\x1b[31mred", `a\x1b[31mred`},
		{"invoice\u202egpj.exe", `invoice\u{202e}gpj.exe`},
		{"two\nlines", `two\x0alines`},
		{"back\\slash", `back\u{5c}slash`},
		{strings.Repeat("ü", 2048), strings.Repeat("ü", 2048)}, // 4 KiB
	} {
		exhibit := fmt.Sprintf("EX-N%d", n)
		id := word(t, done(t, d.eve, d.add(file, exhibit, "--name", c.name)...), "id")
		d.named(t, id, c.name, c.shown)
	}
	odd := "\xff\xfe disk.img"
	image(t, filepath.Join(dir, odd), 100)
	id := word(t, done(t, d.eve, d.add(filepath.Join(dir, odd), "EX-N9")...), "id")
	d.named(t, id, odd, `\xff\xfe disk.img`)
	d.same(t, id, filepath.Join(dir, odd))

	refused(t, exitUsage, d.eve, d.add(file, "EX-NL", "--name", strings.Repeat("x", 4097)), "4097 bytes long", "4096 is the most")
	refused(t, exitUsage, d.eve, d.add(file, "EX-NS", "--source", "two\nlines"), "source")
	refused(t, exitUsage, d.eve, d.add(file, "EX-NP", "--purpose", "\xff"), "purpose")
	require.NotContains(t, strings.Join(d.listed(t), " "), "EX-NL")
}

// named checks how an item's name is shown, and that its bytes come back.
func (d *desk) named(t *testing.T, id, raw, shown string) {
	t.Helper()
	name, ok := done(t, d.eve, "evidence", "show", id)["name"].(map[string]any)
	require.True(t, ok)
	require.Equal(t, shown, name["display"])
	back := shown
	if b, odd := name["bytes"].(string); odd {
		decoded, err := base64.StdEncoding.DecodeString(b)
		require.NoError(t, err)
		back = string(decoded)
	}
	require.Equal(t, raw, back)
	text, _, _ := run(t, d.eve, "evidence", "list", "--incident", d.incident)
	require.Contains(t, text, "  "+shown+"  (sealed")
}

// Sizes of an upload, and how much of it passes before something happens:
// five chunks are sent at once, so that of eight some have been answered.
const (
	large    = 128 * mib
	midway   = 64 * mib
	answered = 8 * mib
)

func grows(t *testing.T, d *desk) {
	file := filepath.Join(t.TempDir(), "live.log")
	image(t, file, large)
	d.gate.stopAt(midway)
	adding := begin(t, d.eve, d.add(file, "EX-G")...)
	d.gate.stopped()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("one more line\n")
	require.NoError(t, errors.Join(err, f.Close()))
	d.gate.stopAt(-1)
	stdout, stderr, code := adding.wait()
	require.Equal(t, exitRefused, code, stderr)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "changed while it was read")
	require.Contains(t, stderr, "was withdrawn, and the exhibit number EX-G is free again")
	require.NotContains(t, d.listed(t), "EX-G")
	d.same(t, word(t, done(t, d.eve, d.add(file, "EX-G")...), "id"), file)
}

func diskFails(t *testing.T, d *desk) {
	dir := t.TempDir()
	backing, point := filepath.Join(dir, "disk"), filepath.Join(dir, "mnt")
	require.NoError(t, errors.Join(os.Mkdir(backing, 0o700), os.Mkdir(point, 0o700)))
	image(t, filepath.Join(backing, "sda.dd"), large)
	disk, err := lossyfs.Mount(backing, point, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = disk.Unmount() })
	command := d.add(filepath.Join(point, "sda.dd"), "EX-D")
	d.gate.stopAt(midway)
	adding := begin(t, d.eve, command...)
	d.gate.stopped()
	require.NoError(t, disk.PowerLoss())
	d.gate.stopAt(-1)
	stdout, stderr, code := adding.wait()
	require.Equal(t, exitRefused, code, stderr)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "read the artifact at byte ")
	require.Regexp(t, `bytes \d+ to \d+ of .*sda.dd, perhaps more, cannot be read: .*input/output error; --fill-unreadable`, stderr)
	require.NotContains(t, d.listed(t), "EX-D")

	require.NoError(t, disk.Unmount()) // another cable
	disk, err = lossyfs.Mount(backing, point, 0)
	require.NoError(t, err)
	d.continues(t, command, filepath.Join(backing, "sda.dd"))
}

// continues runs a command again that was broken off midway.
func (d *desk) continues(t *testing.T, command []string, file string) {
	t.Helper()
	d.gate.stopAt(-1)
	stdout, stderr, code := run(t, d.eve, append([]string{"--json"}, command...)...)
	require.Equal(t, exitDone, code, stderr)
	require.Contains(t, stderr, "continuing the upload of e-")
	_, passed := d.gate.count()
	require.Less(t, passed, int64(large-answered+mib), "what was there is sent once only")
	var added map[string]any
	require.NoError(t, json.Unmarshal([]byte(stdout), &added), stdout)
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, custody.Hash(want).String(), added["sha256"])
	d.same(t, word(t, added, "id"), file)
}

func clientKilled(t *testing.T, d *desk) {
	file := filepath.Join(t.TempDir(), "sdb.dd")
	image(t, file, large)
	command := d.add(file, "EX-K")
	d.gate.stopAt(midway)
	adding := begin(t, d.eve, command...)
	d.gate.stopped()
	adding.kill()
	d.gate.cut()
	require.NotContains(t, d.listed(t), "EX-K")
	d.continues(t, command, file)
}

func serverKilled(t *testing.T, d *desk) {
	file := filepath.Join(t.TempDir(), "sdc.dd")
	image(t, file, large)
	command := d.add(file, "EX-S")
	d.gate.stopAt(midway)
	adding := begin(t, d.eve, append(command, "--retry", "0s")...)
	d.gate.stopped()
	d.kill()
	d.gate.cut()
	stdout, stderr, code := adding.wait()
	require.Equal(t, exitUnreachable, code, stderr)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "cannot be reached")
	require.Contains(t, stderr, "run the same command again to continue")
	d.serve()
	require.NotContains(t, d.listed(t), "EX-S")
	d.continues(t, command, file)
}

func noServer(t *testing.T, d *desk) {
	file := filepath.Join(t.TempDir(), "later.dd")
	image(t, file, 1000)
	d.stop()
	refused(t, exitUnreachable, d.eve, []string{"whoami"}, "cannot be reached")
	refused(t, exitUnreachable, d.eve, d.add(file, "EX-L", "--retry", "0s"), "cannot be reached")
	d.serve()
	d.same(t, word(t, done(t, d.eve, d.add(file, "EX-L")...), "id"), file)
}

func secondServer(t *testing.T, d *desk) {
	refused(t, exitRefused, "", []string{"serve", "--dir", d.dir}, d.dir+" is in use by another process")
	done(t, d.eve, "whoami")
}

func getOver(t *testing.T, d *desk) {
	dir := t.TempDir()
	file, there := filepath.Join(dir, "in"), filepath.Join(dir, "there")
	image(t, file, 1000)
	id := word(t, done(t, d.eve, d.add(file, "EX-O")...), "id")
	get := []string{"evidence", "get", id, "-o", there, "--purpose", "look"}
	calls, _ := d.gate.count()
	require.NoError(t, os.WriteFile(there, []byte("precious"), 0o600))
	refused(t, exitUsage, d.eve, get, there+" is there already")
	b, err := os.ReadFile(there)
	require.NoError(t, err)
	require.Equal(t, "precious", string(b))
	require.NoError(t, os.Rename(there, there+".part"))
	after, _ := d.gate.count()
	require.Equal(t, calls, after, "the service was not asked")

	// What a retrieval left is gone on with, whatever is in it; but not while
	// another one writes it.
	part, err := os.Open(there + ".part")
	require.NoError(t, err)
	require.NoError(t, unix.Flock(int(part.Fd()), unix.LOCK_EX))
	refused(t, exitUsage, d.eve, get, "is being written by another retrieval")
	require.NoError(t, part.Close())
	done(t, d.eve, get...)
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	b, err = os.ReadFile(there)
	require.NoError(t, err)
	require.Equal(t, want, b)
}

func badBundles(t *testing.T, d *desk) {
	dir := t.TempDir()
	file, proof, stranger := filepath.Join(dir, "in"), filepath.Join(dir, "EX-B.bundle"), filepath.Join(dir, "other")
	trust := filepath.Join(d.dir, "trust.json")
	image(t, file, 100_000)
	id := word(t, done(t, d.eve, d.add(file, "EX-B")...), "id")
	done(t, d.eve, "bundle", "export", id, "-o", proof, "--purpose", "disclosure")
	whole := filepath.Join(dir, "whole.bundle")
	v := done(t, d.eve, "bundle", "export", id, "-o", whole, "--with-artifact", "--purpose", "expert opinion")
	require.Equal(t, "matches", onlyItem(t, v)["artifactState"])
	w, err := os.ReadFile(whole)
	require.NoError(t, err)
	w[len(w)-5000] ^= 1 // in the artifact
	require.NoError(t, os.WriteFile(whole, w, 0o600))
	_, _, code := run(t, "", "bundle", "verify", whole, "--trust", trust)
	require.Equal(t, exitRefused, code)
	left, err := filepath.Glob(filepath.Join(dir, ".custody-export-*"))
	require.NoError(t, err)
	require.Empty(t, left, "no evidence is left lying about")
	all := filepath.Join(dir, "incident.bundle")
	v = done(t, d.eve, "bundle", "export", d.incident, "-o", all, "--purpose", "handed to the prosecutor")
	require.Equal(t, "incident", v["scope"])
	shown := len(done(t, d.eve, "incident", "show", d.incident)["evidence"].([]any))
	require.GreaterOrEqual(t, len(v["items"].([]any)), shown, "those that were withdrawn too")
	require.Equal(t, true, done(t, "", "bundle", "verify", all, "--trust", trust)["verified"])
	refused(t, exitUsage, d.eve, []string{"bundle", "export", d.incident, "-o", all + ".1", "--with-artifact", "--purpose", "why"}, "holds no artifact")
	refused(t, exitRefused, d.ada, []string{"bundle", "export", d.incident, "-o", all + ".1", "--purpose", "I run this place"}, "not for you")
	require.NoFileExists(t, all+".1")
	twin := filepath.Join(dir, "twin") // another service that took the same name
	done(t, "", "init", "--dir", twin, "--origin", "custody.example/test", "--listen", "127.0.0.1:0")
	done(t, "", "init", "--dir", stranger, "--origin", "custody.example/other", "--listen", "127.0.0.1:0")
	b, err := os.ReadFile(proof)
	require.NoError(t, err)
	cut, other := filepath.Join(dir, "cut.bundle"), filepath.Join(dir, "different")
	require.NoError(t, os.WriteFile(cut, b[:len(b)/2], 0o600))
	image(t, other, 100_000)

	verify := func(args ...string) []string { return append([]string{"bundle", "verify"}, args...) }
	done(t, "", verify(proof, "--trust", trust, "--artifact", file)...)
	refused(t, exitUsage, "", verify(proof), "give --trust")
	refused(t, exitUsage, "", verify(proof, "--trust", trust+".none"), "no such file")
	refused(t, exitUsage, "", verify(proof, "--trust", file), "trust file")
	for _, c := range []struct {
		says string
		args []string
	}{
		{`the trust file is for "custody.example/other"`, verify(proof, "--trust", filepath.Join(stranger, "trust.json"))},
		{"not signed by the log", verify(proof, "--trust", filepath.Join(twin, "trust.json"))},
		{"is cut off", verify(cut, "--trust", trust)},
		{"artifact", verify(proof, "--trust", trust, "--artifact", other)},
	} {
		stdout, stderr, code := run(t, "", c.args...)
		require.Equal(t, exitRefused, code, "%s%s", stdout, stderr)
		require.Contains(t, stdout, c.says)
		stdout, stderr, code = run(t, "", append(c.args, "--json")...)
		require.Equal(t, exitRefused, code, stderr)
		var v map[string]any
		require.NoError(t, json.Unmarshal([]byte(stdout), &v), stdout)
		require.Equal(t, false, v["verified"])
		require.NotEmpty(t, v["problems"])
	}
}

// keys: a person with a key on P-256 adds one for a second machine, and
// revokes it again.
func keys(t *testing.T, d *desk) {
	home := d.home(t, "kim", "Kim", "p256")
	kim := word(t, done(t, d.ada, "principal", "enroll", filepath.Join(home, requestFile)), "id")
	done(t, home, "login", "--principal", kim)

	laptop := d.home(t, "laptop", kim, "ed25519")
	refused(t, exitRefused, laptop, []string{"login", "--principal", kim}, "key")
	wrong := d.home(t, "wrong", "somebody else", "ed25519")
	refused(t, exitUsage, home, []string{"key", "enroll", filepath.Join(wrong, requestFile)}, "--name "+kim)
	done(t, home, "key", "enroll", filepath.Join(laptop, requestFile))
	require.Equal(t, kim, done(t, laptop, "login", "--principal", kim)["id"])
	require.Equal(t, kim, done(t, laptop, "whoami")["id"])

	done(t, home, "key", "revoke", word(t, done(t, laptop, "key", "show"), "key"), "--purpose", "laptop stolen")
	refused(t, exitRefused, laptop, []string{"whoami"}) // the session that was open
	refused(t, exitRefused, laptop, []string{"login", "--principal", kim})
	require.Equal(t, kim, done(t, home, "whoami")["id"], "the other key is as good as ever")
	refused(t, exitUsage, home, []string{"key", "revoke", "4711"}, "4711")
}

// jsonEverywhere runs with --json what the other stories do not: done parses
// all of stdout as one value.
func jsonEverywhere(t *testing.T, d *desk) {
	file, out := filepath.Join(t.TempDir(), "in"), filepath.Join(t.TempDir(), "out")
	image(t, file, 1000)
	eve := word(t, done(t, d.eve, "whoami"), "id")
	id := word(t, done(t, d.eve, d.add(file, "EX-J")...), "id")
	got := done(t, d.eve, "evidence", "get", id, "-o", out, "--range", "0-511", "--purpose", "partition table")
	require.EqualValues(t, 512, got["bytes"])
	require.Equal(t, read(t, file)[:512], read(t, out))
	for _, c := range [][]string{
		{"evidence", "show", id}, {"evidence", "history", id}, {"evidence", "list", "--incident", d.incident},
		{"incident", "show", d.incident}, {"incident", "list"},
		{"principal", "list"}, {"principal", "show", eve}, {"role", "list"}, {"key", "show"}, {"log", "checkpoint"},
	} {
		done(t, d.eve, c...)
	}
	finn := word(t, done(t, d.ada, "principal", "enroll", filepath.Join(d.home(t, "finn", "Finn", inAgent), requestFile)), "id")
	for _, c := range [][]string{
		{"role", "grant", finn, "external-auditor"}, {"role", "revoke", finn, "external-auditor"},
		{"principal", "suspend", finn, "--purpose", "away"}, {"principal", "reinstate", finn, "--purpose", "back"},
	} {
		done(t, d.ada, c...)
	}
	for _, c := range [][]string{
		{"incident", "assign", d.incident, finn, "--purpose", "disk"}, {"incident", "unassign", d.incident, finn, "--purpose", "done"},
	} {
		done(t, d.eve, c...)
	}
	done(t, d.eve, "logout")
	done(t, d.eve, "login")

	stdout, stderr, code := run(t, d.eve, "evidence", "get", id, "-o", "-", "--purpose", "pipe")
	require.Equal(t, exitDone, code, stderr)
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, string(want) == stdout, "stdout is the artifact's alone")
	stdout, stderr, code = run(t, "", "completion", "bash")
	require.Equal(t, exitDone, code, stderr)
	require.Contains(t, stdout, "__start_custody")
}

// ranges: the file gets the range alone, the record says which blocks came, and
// what was broken off goes on.
func ranges(t *testing.T, d *desk) {
	dir := t.TempDir()
	file := filepath.Join(dir, "in")
	image(t, file, 2*custody.ChunkSize+100_001)
	id, all := word(t, done(t, d.eve, d.add(file, "EX-R")...), "id"), read(t, file)
	get := func(out string, from, to int) []string {
		return []string{"evidence", "get", id, "-o", out, "--range", fmt.Sprintf("%d-%d", from, to-1), "--purpose", "a part"}
	}
	for i, r := range [][2]int{
		{0, 1}, {512, 1024}, {custody.ChunkSize - 1, custody.ChunkSize + 1}, {custody.BlockSize, 2 * custody.BlockSize},
		{70_000, 2*custody.ChunkSize + 100_000}, {len(all) - 1, len(all)}, {0, len(all)},
	} {
		out, want := filepath.Join(dir, fmt.Sprint("out", i)), all[r[0]:r[1]]
		if i == 4 { // something of an earlier try is there
			require.NoError(t, os.WriteFile(out+".part", bytes.Clone(all[custody.BlockSize:custody.ChunkSize+7]), 0o600))
		}
		got := done(t, d.eve, get(out, r[0], r[1])...)
		require.True(t, bytes.Equal(want, read(t, out)), "%v", r)
		require.EqualValues(t, len(want), got["bytes"])
		require.Equal(t, custody.Hash(want).String(), got["sha256"])
		came, ok := got["retrieved"].(map[string]any)
		require.True(t, ok)
		from, n := int(came["offset"].(float64)), int(came["bytes"].(float64)) //nolint:forcetypeassert // numbers, or the test fails
		require.True(t, from%custody.BlockSize == 0 && from <= r[0] && r[0]-from < custody.BlockSize, "%v: %v", r, came)
		require.True(t, from+n >= r[1] && from+n-r[1] < custody.BlockSize && from+n <= len(all), "%v: %v", r, came)
		require.Equal(t, custody.Hash(all[from:from+n]).String(), came["sha256"])

		stdout, stderr, code := run(t, d.eve, get("-", r[0], r[1])...)
		require.Equal(t, exitDone, code, stderr)
		require.True(t, string(want) == stdout, "%v", r)
		require.Contains(t, stderr, custody.Hash(want).Hex())
	}
	refused(t, exitRefused, d.eve, get(filepath.Join(dir, "no"), len(all), len(all)+1), "not within")
	refused(t, exitUsage, d.eve, get(filepath.Join(dir, "no"), 9, 9), "FIRST-LAST")
}

// TestDiskFull fills the volume of a service.
func TestDiskFull(t *testing.T) {
	top := t.TempDir()
	volume := filepath.Join(top, "volume")
	require.NoError(t, os.Mkdir(volume, 0o700))
	require.NoError(t, unix.Mount("tmpfs", volume, "tmpfs", 0, "size=192m"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(volume, unix.MNT_DETACH)) })
	d := newDesk(t, filepath.Join(volume, "service"))
	filler, file := filepath.Join(volume, "filler"), filepath.Join(top, "sda.dd")
	image(t, filler, 96*mib)
	image(t, file, large)
	command := d.add(file, "EX-F")
	refused(t, exitUnreachable, d.eve, append(command, "--retry", "0s"), "The store is full", "run the same command again to continue")
	require.Empty(t, d.listed(t), "records still find room, and nothing is sealed")
	require.NoError(t, os.Remove(filler))
	d.continues(t, command, file)
}
