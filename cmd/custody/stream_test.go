package main

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

// TestStreams takes in what an HTTP client alone sends: curl, as in a script.
func TestStreams(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	t.Run("curl", func(t *testing.T) { curlSends(t, d) })
	t.Run("curl is broken off", func(t *testing.T) { curlIsBrokenOff(t, d) })
	t.Run("who measured", func(t *testing.T) { whoMeasured(t, d) })
	t.Run("what is missing", func(t *testing.T) { streamMistakes(t, d) })
	t.Run("nothing", func(t *testing.T) { nothingIsNotEvidence(t, d) })
	t.Run("withdrawn", func(t *testing.T) { withdrawn(t, d) })
	t.Run("not as expected", func(t *testing.T) { notAsExpected(t, d) })
}

// announce is evidence begin with the facts of d.add.
func (d *desk) announce(t testing.TB, exhibit, name string, more ...string) string {
	t.Helper()
	args := append([]string{"evidence", "begin", "--name", name}, d.add("x", exhibit)[3:]...)
	return word(t, done(t, d.eve, append(args, more...)...), "id")
}

// header is a file with eve's session, as the help says.
func (d *desk) header(t testing.TB) string {
	t.Helper()
	stdout, stderr, code := run(t, d.eve, "token")
	require.Equal(t, exitDone, code, stderr)
	path := filepath.Join(t.TempDir(), "header")
	require.NoError(t, os.WriteFile(path, []byte("Authorization: Bearer "+stdout), 0o600))
	return path
}

// curl sends, and returns the answer and curl's exit code.
func (d *desk) curl(t testing.TB, id, query string, args ...string) (answer map[string]any, code int) {
	t.Helper()
	c := exec.Command("curl", append([]string{"-sS", "--fail-with-body", "-H", "@" + d.header(t)}, append(args,
		"http://"+d.gate.address()+"/v1/evidence/"+id+query)...)...)
	out, _ := c.Output() // what matters is its exit code
	if len(out) > 0 {
		require.NoError(t, json.Unmarshal(out, &answer), "%s", out)
	}
	return answer, c.ProcessState.ExitCode()
}

func curlSends(t *testing.T, d *desk) {
	file := filepath.Join(t.TempDir(), "web01.dd")
	image(t, file, 19*mib+5)
	sum := custody.Hash(read(t, file))
	field := "Repr-Digest: sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	for n, c := range []struct {
		name string
		args []string
	}{
		{"with its length", []string{"-T", file}},
		{"as a pipe", []string{"-T", "-", "-H", field}},
		{"with a digest", []string{"-T", file, "-H", field}},
	} {
		id := d.announce(t, fmt.Sprintf("EX-C%d", n), "web01.dd", "--at-most", "1GiB")
		var got map[string]any
		if c.args[1] == "-" {
			script := `exec curl -sS --fail-with-body -H "@$1" -H "$2" -T - "$3" < "$4"`
			out, err := exec.Command("sh", "-c", script, "sh", d.header(t), field, "http://"+d.gate.address()+"/v1/evidence/"+id+"/content", file).Output()
			require.NoError(t, err, "%s", out)
			require.NoError(t, json.Unmarshal(out, &got))
		} else {
			var code int
			got, code = d.curl(t, id, "/content", c.args...)
			require.Zero(t, code, "%v", got)
		}
		require.EqualValues(t, 19*mib+5, got["size"])
		require.EqualValues(t, 3, got["chunks"])
		require.Equal(t, sum.String(), got["sha256"])
		require.NotContains(t, d.listed(t), fmt.Sprintf("EX-C%d", n))
		sealed := done(t, d.eve, "evidence", "seal", id, "--sha256", sum.Hex())
		require.Equal(t, got["root"], sealed["root"])
		d.same(t, id, file)
	}
	// other bytes than the digest says are refused, and nothing of them is there
	id := d.announce(t, "EX-C9", "web01.dd", "--at-most", "1GiB")
	other := filepath.Join(t.TempDir(), "other")
	image(t, other, 9*mib)
	got, code := d.curl(t, id, "/content", "-T", other, "-H", field)
	require.Equal(t, 22, code)
	require.Contains(t, got["type"], "malformed")
	got, code = d.curl(t, id, "/received")
	require.Zero(t, code)
	require.EqualValues(t, 0, got["size"])
}

// curlIsBrokenOff: the script asks how far it came, and goes on there.
func curlIsBrokenOff(t *testing.T, d *desk) {
	file := filepath.Join(t.TempDir(), "sdb.dd")
	image(t, file, 40*mib+7)
	sum := custody.Hash(read(t, file))
	id := d.announce(t, "EX-CB", "sdb.dd", "--at-most", "1GiB")
	header := d.header(t)
	url := "http://" + d.gate.address() + "/v1/evidence/" + id
	d.gate.stopAt(20 * mib)
	c := exec.Command("curl", "-sS", "-f", "-H", "@"+header, "-T", file, url+"/content")
	require.NoError(t, c.Start())
	d.gate.stopped()
	d.gate.cut()
	require.Error(t, c.Wait())
	var next int
	require.Eventually(t, func() bool {
		got, code := d.curl(t, id, "/received")
		require.Zero(t, code)
		next = int(got["next"].(float64))
		return next == 16*mib && got["sha256"] != nil
	}, patience, 10*time.Millisecond)
	refused(t, exitRefused, d.eve, []string{"evidence", "seal", id, "--as-received"}, "broke off after 16777216 bytes", "from=16777216", "--size")
	refused(t, exitRefused, d.eve, []string{"evidence", "seal", id, "--as-received", "--size", "40MiB"}, "16777216 bytes came, and not the 41943040", "from=16777216")
	script := `tail -c +$(($3 + 1)) "$4" | curl -sS --fail-with-body --retry 5 --retry-all-errors -H "@$1" -T - "$2/content?from=$3"`
	out, err := exec.Command("sh", "-c", script, "sh", header, url, strconv.Itoa(next), file).Output()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), sum.String(), "the SHA-256 went on")
	sealed := done(t, d.eve, "evidence", "seal", id, "--sha256", "sha256:"+sum.Hex())
	require.EqualValues(t, 40*mib+7, sealed["bytes"])
	d.same(t, id, file)

	// Who knows that what arrived is all of it says so.
	id = d.announce(t, "EX-CS", "sdb.dd", "--at-most", "1GiB")
	c = exec.Command("sh", "-c", `{ head -c 8388608 "$1"; sleep 60; } | curl -sS --max-time 2 -H "@$2" -T - "$3"`,
		"sh", file, header, "http://"+d.gate.address()+"/v1/evidence/"+id+"/content")
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, c.Start())
	require.Eventually(t, func() bool {
		got, _ := d.curl(t, id, "/received")
		return got["size"] == float64(8*mib)
	}, patience, 50*time.Millisecond)
	refused(t, exitRefused, d.eve, []string{"evidence", "seal", id, "--as-received"}, "broke off after 8388608 bytes")
	require.NoError(t, syscall.Kill(-c.Process.Pid, syscall.SIGKILL))
	require.Error(t, c.Wait())
	require.Eventually(t, func() bool {
		_, _, code := run(t, d.eve, "evidence", "seal", id, "--as-received", "--size", "8MiB")
		return code == exitDone
	}, patience, 200*time.Millisecond)
}

// whoMeasured is on record, and in every proof.
func whoMeasured(t *testing.T, d *desk) {
	file := filepath.Join(t.TempDir(), "web02.dd")
	image(t, file, 9*mib)
	sum := custody.Hash(read(t, file))
	for n, c := range []struct {
		args []string
		want []any
		says string
	}{
		{[]string{file, "--md5"}, nil, ""},
		{[]string{"--sha256", sum.Hex()}, []any{"root"}, "the collector measured the SHA-256"},
		{[]string{"--as-received"}, []any{"root", "sha256"}, "nobody but the service measured"},
	} {
		exhibit := fmt.Sprintf("EX-W%d", n)
		id := d.announce(t, exhibit, "web02.dd", "--at-most", "9MiB")
		_, code := d.curl(t, id, "/content", "-T", file)
		require.Zero(t, code)
		sealed := done(t, d.eve, append([]string{"evidence", "seal", id}, c.args...)...)
		if c.want == nil {
			require.Nil(t, sealed["asReceived"])
			require.Equal(t, "unknown", sealed["format"])
			require.Len(t, labelsOf(t, sealed), 1)
		} else {
			require.Equal(t, c.want, sealed["asReceived"])
		}
		shown, _, _ := run(t, d.eve, "evidence", "show", id)
		require.Contains(t, shown, c.says)
		require.Contains(t, shown, "Tableau T8u", "the facts are those of evidence begin")
		proof := filepath.Join(t.TempDir(), "proof")
		done(t, d.eve, "bundle", "export", id, "-o", proof, "--purpose", "disclosure")
		text, _, code := run(t, "", "bundle", "verify", proof, "--trust", filepath.Join(d.dir, "trust.json"))
		require.Equal(t, exitDone, code, text)
		require.Contains(t, text, c.says)
		require.Equal(t, c.want == nil, !strings.Contains(text, "NOTE: the collector") && !strings.Contains(text, "NOTE: nobody"))
	}
}

func streamMistakes(t *testing.T, d *desk) {
	dir := t.TempDir()
	file, other := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	image(t, file, 1000)
	image(t, other, 1000)
	refused(t, exitUsage, d.eve, []string{"evidence", "begin", "--incident", d.incident}, "--exhibit, --type, --name, --purpose, --source")
	id := d.announce(t, "EX-M1", "a", "--at-most", "1000")
	_, code := d.curl(t, id, "/content", "-T", file)
	require.Zero(t, code)
	seal := func(more ...string) []string { return append([]string{"evidence", "seal", id}, more...) }
	refused(t, exitUsage, d.eve, seal(), "say who measured")
	refused(t, exitUsage, d.eve, seal("--as-received", file), "one of them")
	refused(t, exitUsage, d.eve, seal("--sha256", "4711"), "is no SHA-256")
	refused(t, exitUsage, d.eve, seal("--as-received", "--md5"), "need the FILE")
	refused(t, exitRefused, d.eve, seal("--sha256", custody.Hash(read(t, other)).Hex()), "not the one that you measured")
	refused(t, exitRefused, d.eve, seal(other), "is not what is in")
	done(t, d.eve, seal("--as-received", "--place", "another place")...)
	refused(t, exitRefused, d.eve, seal("--as-received"), "is sealed already")
	shown, _, _ := run(t, d.eve, "evidence", "show", id)
	require.Contains(t, shown, "another place", "what is given with the seal comes first")
	got, code := d.curl(t, id, "/content", "-T", file)
	require.Equal(t, 22, code)
	require.Contains(t, got["detail"], "sealed")
}

// nothingIsNotEvidence: no bytes are sealed only when that is meant.
func nothingIsNotEvidence(t *testing.T, d *desk) {
	file, one := filepath.Join(t.TempDir(), "empty"), filepath.Join(t.TempDir(), "one")
	image(t, file, 0)
	image(t, one, 3*mib)
	refused(t, exitRefused, d.eve, d.add(file, "EX-N"), "no bytes came", "--empty")
	refused(t, exitRefused, d.eve, d.add("/dev/null", "EX-N"))
	_, stderr, code := d.pipe(t, "EX-N", nil)
	require.Equal(t, exitRefused, code, stderr)
	require.Contains(t, stderr, "no bytes came")
	refused(t, exitRefused, d.eve, d.add(one, "EX-N", "--size", "4MiB"), "3145728 bytes came, and not the 4194304 of --size")
	_, stderr, code = d.pipe(t, "EX-N5", read(t, one), "--size", "4MiB")
	require.Equal(t, exitRefused, code, stderr)
	require.Contains(t, stderr, "3145728 bytes came, and not the 4194304 of --size")
	done(t, d.eve, d.add(file, "EX-N", "--empty", "--size", "0")...)
	_, stderr, code = d.pipe(t, "EX-N2", read(t, one), "--size", "3MiB")
	require.Equal(t, exitDone, code, stderr)

	id := d.announce(t, "EX-N3", "x", "--at-most", "1GiB")
	refused(t, exitRefused, d.eve, []string{"evidence", "seal", id, "--as-received"}, "no bytes came", "--empty")
	refused(t, exitRefused, d.eve, []string{"evidence", "seal", id, file}, "no bytes came")
	done(t, d.eve, "evidence", "seal", id, "--as-received", "--empty")
}

// stored counts the chunks in the bucket.
func (d *desk) stored(t testing.TB) (n int) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && strings.Contains(path, "/c/") {
			n++
		}
		return nil // what is gone meanwhile
	}))
	return n
}

// withdrawn: what will not come frees its number and its room, and stays on
// record.
func withdrawn(t *testing.T, d *desk) {
	dir := t.TempDir()
	kept, other := filepath.Join(dir, "kept"), filepath.Join(dir, "other")
	image(t, kept, 16*mib)
	image(t, other, 8*mib)
	sealed := word(t, done(t, d.eve, d.add(kept, "EX-WA")...), "id")
	before := d.stored(t)
	id := d.announce(t, "EX-WB", "both", "--at-most", "1GiB")
	both := filepath.Join(dir, "both")
	require.NoError(t, os.WriteFile(both, append(read(t, kept), read(t, other)...), 0o600))
	_, code := d.curl(t, id, "/content", "-T", both)
	require.Zero(t, code)
	require.Equal(t, before+1, d.stored(t))

	refused(t, exitRefused, d.eve, []string{"evidence", "withdraw", sealed, "--purpose", "x"}, "is not withdrawn")
	refused(t, exitUsage, d.eve, []string{"evidence", "withdraw", id}, "--purpose")
	done(t, d.eve, "evidence", "withdraw", id, "--purpose", "the wrong disk")
	refused(t, exitRefused, d.eve, []string{"evidence", "withdraw", id, "--purpose", "again"}, "withdrawn before")
	require.Eventually(t, func() bool { return d.stored(t) == before }, patience, 20*time.Millisecond, "what nobody else uses is gone")
	d.same(t, sealed, kept)

	got, code := d.curl(t, id, "/content", "-T", other)
	require.Equal(t, 22, code)
	require.Contains(t, got["detail"], "withdrawn")
	refused(t, exitRefused, d.eve, []string{"evidence", "seal", id, "--as-received"}, "withdrawn")
	shown, _, _ := run(t, d.eve, "evidence", "show", id)
	require.Contains(t, shown, "(withdrawn)")
	list, _, _ := run(t, d.eve, "evidence", "list", "--incident", d.incident)
	require.Contains(t, list, id+"  EX-WB")
	again := word(t, done(t, d.eve, d.add(other, "EX-WB")...), "id")
	d.same(t, again, other)
}

// notAsExpected: bytes that are not those expected announce nothing where that
// can be known, and else free what they announced.
func notAsExpected(t *testing.T, d *desk) {
	dir := t.TempDir()
	file := filepath.Join(dir, "sdc.dd")
	image(t, file, 100_000)
	beside := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	before := d.exhibits(t)
	wrong := beside("wrong", fmt.Sprintf("%x  sdc.dd\n", sha256.Sum256(nil)))
	refused(t, exitRefused, d.eve, d.add(file, "EX-NE", "--expect", wrong), "wrong states")
	ftk := "[Drive Geometry]\r\n Bytes per Sector: 512\r\n Sector Count: 1,024\r\n MD5 checksum:    d41d8cd98f00b204e9800998ecf8427e\r\n"
	refused(t, exitRefused, d.eve, d.add(file, "EX-NE", "--expect", beside("sdc.dd.txt", ftk)), "100000 bytes", "states 524288")
	refused(t, exitUsage, d.eve, d.add(file, "EX-NE", "--expect", beside("none", "nothing\n")), "has no MD5")
	require.Equal(t, before, d.exhibits(t), "nothing was announced")

	// Of a pipe it is known at the end.
	c := exec.Command("sh", "-c", `exec "$0" "$@" < `+file, os.Args[0])
	c.Args = append(c.Args, d.add("-", "EX-NP", "--name", "sdc.dd", "--expect", wrong)...)
	c.Env = append(os.Environ(), asProgram+"=1", "CUSTODY_HOME="+d.eve, "CUSTODY_PASSPHRASE_FILE="+filepath.Join(d.eve, "passphrase"))
	out, err := c.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "wrong states")
	require.Contains(t, string(out), "was withdrawn, and the exhibit number EX-NP is free again")
	done(t, d.eve, d.add(file, "EX-NP")...)
}
