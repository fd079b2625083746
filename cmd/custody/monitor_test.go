package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAMonitorOutside: somebody with the trust file and the address, and nothing
// else, watches a service that is put back from a backup (T1) and goes on from
// there (T2).
func TestAMonitorOutside(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	trust, watch := filepath.Join(d.dir, "trust.json"), filepath.Join(t.TempDir(), "watch")
	monitor := func(more ...string) []string {
		return append([]string{"log", "monitor", "--trust", trust, "--log", "http://" + d.gate.address() + "/log/", "--dir", watch}, more...)
	}
	first := done(t, "", monitor()...)
	require.Equal(t, first["size"], first["added"])
	require.Empty(t, first["alarms"])
	d.stop()
	backup := filepath.Join(t.TempDir(), "backup")
	copyFolder(t, d.dir, backup)
	d.serve()
	open := func(title string) { done(t, d.eve, "incident", "open", "--title", title) }
	open("after the backup")
	open("and one more")
	kept := filepath.Join(t.TempDir(), "checkpoint")
	require.NoError(t, os.WriteFile(kept, []byte(get(t, d.url+"/log/checkpoint")), 0o600))
	text, stderr, code := run(t, "", monitor("--also", kept, "--also", d.url+"/log")...)
	require.Equal(t, exitDone, code, "%s%s", text, stderr)
	require.Contains(t, text, "compared with "+kept+", "+d.url)
	old, served := filepath.Join(t.TempDir(), "old.receipt"), d.url+"/log/"
	receipt := word(t, done(t, d.eve, "incident", "open", "--title", "whose receipt is kept"), "receipt")
	require.NoError(t, os.WriteFile(old, []byte(receipt), 0o600))
	open("after the receipt")
	of := func(command, what, log string, more ...string) []string {
		return append([]string{"log", command, what, "--trust", trust, "--log", log}, more...)
	}
	today := filepath.Join(t.TempDir(), "today.receipt")
	now := done(t, "", of("prove", old, served, "-o", today)...)
	require.NotEqual(t, receipt, now["receipt"])
	b, err := os.ReadFile(today)
	require.NoError(t, err)
	require.Equal(t, now["receipt"], string(b))
	require.Equal(t, now["receipt"], done(t, "", of("prove", today, served)...)["receipt"])
	first = done(t, "", of("prove", "0", served)...)
	require.NotEqual(t, first["leaf"], now["leaf"])
	require.NotContains(t, first["receipt"], "extra")
	both := done(t, "", append(of("consistency", kept, served), old)...)
	require.Len(t, both["from"], 2)
	require.Equal(t, now["size"], both["size"])
	refused(t, exitRefused, "", of("prove", "100000", served), "has no leaf 100000")
	refused(t, exitUsage, "", of("prove", "nothing", served), "neither an index")
	refused(t, exitUsage, "", of("consistency", "nothing", served), "no such file")
	refused(t, exitRefused, "", of("consistency", trust, served), "neither a checkpoint nor a receipt")
	stranger := done(t, "", "init", "--dir", filepath.Join(t.TempDir(), "stranger"), "--origin", "custody.example/test")
	refused(t, exitRefused, "", []string{"log", "prove", "0", "--trust", filepath.Join(word(t, stranger, "dir"), "trust.json"), "--log", served}, "serves as its checkpoint")

	judge := func(wantCode int, says string) {
		t.Helper()
		proofs, err := filepath.Glob(filepath.Join(watch, "proof-*.json"))
		require.NoError(t, err)
		require.Len(t, proofs, 1)
		text, stderr, code := run(t, "", "log", "judge", proofs[0], "--trust", trust)
		require.Equal(t, wantCode, code, "%s%s", text, stderr)
		require.Contains(t, text, says)
		require.NoError(t, os.Remove(proofs[0]))
	}
	d.stop()
	require.NoError(t, os.RemoveAll(d.dir))
	copyFolder(t, backup, d.dir)
	d.serve()
	text, _, code = run(t, "", monitor("--every", "1s")...) // it ends by itself
	require.Equal(t, exitRefused, code)
	require.Contains(t, text, "ALARM: the log was set back")
	judge(exitRefused, "NOT PROVEN by itself")
	lee := d.home(t, "lee", "Lee", inAgent)
	done(t, d.ada, "principal", "enroll", filepath.Join(lee, requestFile))
	for _, n := range []string{"bob", "kim", "max"} {
		done(t, d.ada, "principal", "enroll", filepath.Join(d.home(t, n, n, inAgent), requestFile))
	}
	text, _, code = run(t, "", monitor()...)
	require.Equal(t, exitRefused, code)
	require.Contains(t, text, "does not begin with that of size")
	judge(exitDone, "PROVEN: the log")
	for _, command := range []string{"consistency", "prove"} {
		_, text, code = run(t, t.TempDir(), of(command, old, d.url+"/log/")...)
		require.Equal(t, exitRefused, code, text)
		require.Contains(t, text, "THE LOG CONTRADICTS ITSELF")
	}
	fresh := filepath.Join(t.TempDir(), "another")
	text, _, code = run(t, "", "log", "monitor", "--trust", trust, "--log", d.url+"/log", "--dir", fresh, "--also", kept)
	require.Equal(t, exitRefused, code)
	require.Contains(t, text, kept+" was shown another log")

	d.stop()
	refused(t, exitUnreachable, "", monitor(), "did not answer")
	refused(t, exitUsage, "", monitor()[:6], "give --trust, --log and --dir")
	refused(t, exitUsage, "", []string{"log", "monitor", "--trust", trust, "--log", "/nowhere", "--dir", watch}, "neither an address")
	refused(t, exitUnreachable, "", append(monitor(), "--log", t.TempDir()), "no checkpoint is served there", "…/log/")
	refused(t, exitUsage, "", monitor("--every", "1ms"), "at least a second")
	refused(t, exitUsage, "", monitor("--also", "nobody"), "neither an address")
}

// TestWhatTheLogHasSince: a bundle, and the public log long after.
func TestWhatTheLogHasSince(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	file, proof := filepath.Join(t.TempDir(), "sda.dd"), filepath.Join(t.TempDir(), "EX-1.bundle")
	image(t, file, 100_000)
	id := word(t, done(t, d.eve, d.add(file, "EX-1")...), "id")
	d.same(t, id, file)
	done(t, d.eve, "bundle", "export", id, "-o", proof, "--purpose", "disclosure")
	verify := []string{"bundle", "verify", proof, "--trust", filepath.Join(d.dir, "trust.json"), "--log", d.url + "/log/"}
	text, stderr, code := run(t, "", verify...)
	require.Equal(t, exitDone, code, "%s%s", text, stderr)
	require.Contains(t, text, "those of this bundle")
	done(t, d.eve, "evidence", "verify", id, "--purpose", "before the hearing")
	text, stderr, code = run(t, "", verify...)
	require.Equal(t, exitDone, code, "%s%s", text, stderr)
	require.Contains(t, text, "ARE NOT IN THIS BUNDLE: ")
	d.stop()
	refused(t, exitUnreachable, "", verify, "did not answer")
	refused(t, exitUsage, "", append(verify[:6:6], "nowhere"), "neither an address")
}
