package main

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

// TestCollect: an artifact is signed for while there is no network, and taken in
// later; nothing that changed in between is.
func TestCollect(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	dir := t.TempDir()
	file, pack := filepath.Join(dir, "sdb.dd"), filepath.Join(dir, "sdb")
	image(t, file, 20*mib+77)
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(60*mib+77))
	require.NoError(t, f.Close())
	facts := d.add("x", "x")[7:] // --type and all that follows
	collect := func(args ...string) []string { return append(append([]string{"collect"}, args...), facts...) }

	d.stop()
	calls, _ := d.gate.count()
	sums := filepath.Join(dir, "sums")
	require.NoError(t, os.WriteFile(sums, []byte(custody.Hash(nil).Hex()+"  sdb.dd\n"), 0o600))
	refused(t, exitRefused, d.eve, collect(file, "-o", pack, "--expect", sums), "nothing was sealed")
	require.NoDirExists(t, pack, "what was not signed for is not left lying about")
	said := done(t, d.eve, collect(file, "-o", pack, "--md5")...)
	want := custody.Hash(read(t, file))
	require.Equal(t, want.String(), said["sha256"])
	sum := md5.Sum(read(t, file))
	require.Equal(t, hexOf(sum[:]), labelsOf(t, said)[0].Measured)
	require.True(t, bytes.Equal(read(t, file), read(t, filepath.Join(pack, packageArtifact))))
	refused(t, exitUsage, d.eve, collect(file, "-o", pack), "file exists")
	refused(t, exitUsage, d.eve, collect(file), "give -o")
	now, _ := d.gate.count()
	require.Equal(t, calls, now, "nobody was asked")

	d.serve()
	add := func(home, exhibit string) (string, string, int) {
		return run(t, home, "evidence", "add", "--package", pack, "--incident", d.incident, "--exhibit", exhibit, "--purpose", "collected on the 23rd")
	}
	before := d.exhibits(t)
	for _, c := range []struct {
		name, says string
		alter      func(b []byte) []byte
	}{
		{packageArtifact, "bytes 16777216 to 25165823 of ", func(b []byte) []byte { b[20*mib] ^= 1; return b }},
		{packageArtifact, "has 62914636 bytes", func(b []byte) []byte { return b[:len(b)-1] }},
		{packageArtifact, "has 62914638 bytes", func(b []byte) []byte { return append(b, 0) }},
		{packageChunks, "not those of the artifact", func(b []byte) []byte { b[20] = "10"[min(b[20], '1')-'0']; return b }},
		{packageChunks, "line 8", func(b []byte) []byte { return b[:len(b)-3] }},
		{packageKey, "was altered", func([]byte) []byte {
			return []byte(base64.StdEncoding.EncodeToString(newSigner(t).Public().Bytes()) + "\n")
		}},
		{packageStatement, "was altered", func(b []byte) []byte { return bytes.Replace(b, []byte(`"payload":"`), []byte(`"payload":"A`), 1) }},
		{packageStatement, "was altered", func(b []byte) []byte { b[100] ^= 1; return b }},
	} {
		path := filepath.Join(pack, c.name)
		whole := read(t, path)
		require.NoError(t, os.WriteFile(path, c.alter(bytes.Clone(whole)), 0o600))
		stdout, stderr, code := add(d.eve, "EX-C")
		require.Equal(t, exitRefused, code, "%s%s", stdout, stderr)
		require.Contains(t, stderr, c.says)
		require.Contains(t, stderr, pack)
		require.NoError(t, os.WriteFile(path, whole, 0o600))
	}
	require.Equal(t, before, d.exhibits(t), "nothing was announced")
	refused(t, exitUsage, d.eve, []string{"evidence", "add", "--package", pack, file}, "nothing else")
	refused(t, exitUsage, d.eve, []string{"evidence", "add", "--package", pack}, "--exhibit")
	refused(t, exitUsage, d.eve, []string{"evidence", "add", "--package", dir, "--incident", d.incident, "--exhibit", "x", "--purpose", "x"}, "is not a package")

	stdout, stderr, code := add(d.eve, "EX-C")
	require.Equal(t, exitDone, code, stderr)
	require.Contains(t, stdout, "signed for at the scene at ")
	require.Contains(t, stdout, " later\n")
	history := ""
	for _, i := range d.items(t) {
		if i["exhibit"] == "EX-C" {
			d.same(t, word(t, i, "id"), file)
			history, _, _ = run(t, d.eve, "evidence", "history", word(t, i, "id"))
		}
	}
	require.Contains(t, history, `"scene":{"payload":"`)
}
