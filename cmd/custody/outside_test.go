package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/errgroup"

	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/api/client/keyring"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/storage/buckettest"
)

// Programs of others against this log, and this witness against a log of others:
// nothing here but their input and their word is ours.

// outsider is a program of others that serves until the test ends.
func outsider(t testing.TB, program string, says *regexp.Regexp, args ...string) string {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	p := exec.Command(buckettest.Tool(t, program), args...)
	p.Stdout, p.Stderr = out, out
	require.NoError(t, p.Start())
	ended := make(chan struct{})
	go func() { _ = p.Wait(); close(ended) }()
	t.Cleanup(func() { _ = p.Process.Kill(); <-ended; require.NoError(t, out.Close()) })
	var found string
	require.Eventually(t, func() bool {
		b, err := os.ReadFile(out.Name())
		require.NoError(t, err)
		if m := says.FindSubmatch(b); m != nil {
			found = string(m[len(m)-1])
		}
		return found != ""
	}, patience, 5*time.Millisecond, "%s does not start", program)
	return found
}

// asks runs a program of others to its end, which must come soon, and returns what
// it says.
func asks(t testing.TB, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, buckettest.Tool(t, program), args...).CombinedOutput()
	return string(out), err
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}

// newLitewitness starts the witness of torchwood, which keeps its key in an
// ssh-agent.
func newLitewitness(t testing.TB) (w *witnessProcess, knows func(*custody.Trust)) {
	t.Helper()
	startAgent(t)
	id := addToAgent(t)
	list, err := exec.Command("ssh-add", "-l").Output()
	require.NoError(t, err)
	require.NotEmpty(t, id)
	w = &witnessProcess{name: "witness.example/lite", address: freeAddress(t)}
	db := filepath.Join(t.TempDir(), "w.db")
	w.key = outsider(t, "litewitness", regexp.MustCompile(`(witness\.example/lite\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+)`), "-name", w.name, "-db", db,
		"-key", strings.Fields(string(list))[1], "-ssh-agent", os.Getenv("SSH_AUTH_SOCK"), "-listen", w.address)
	return w, func(trust *custody.Trust) {
		empty := sha256.Sum256(nil)
		out, err := exec.Command("sqlite3", db, fmt.Sprintf("INSERT INTO log VALUES('%s',0,'%s'); INSERT INTO key VALUES('%s','%s');",
			trust.Origin, base64.StdEncoding.EncodeToString(empty[:]), trust.Origin, trust.Log)).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}

// newOmniwitness makes a witness of transparency-dev's, which starts when it is
// told of its log.
func newOmniwitness(t testing.TB) (w *witnessProcess, knows func(*custody.Trust)) {
	t.Helper()
	secret, public, err := note.GenerateKey(rand.Reader, "witness.example/omni")
	require.NoError(t, err)
	key, err := base64.StdEncoding.DecodeString(strings.SplitN(public, "+", 3)[2])
	require.NoError(t, err)
	key[0] = 4 // c2sp.org/tlog-cosignature: a timestamped signature
	id := sha256.Sum256(append([]byte("witness.example/omni\n"), key...))
	w = &witnessProcess{
		name: "witness.example/omni", address: freeAddress(t),
		key: fmt.Sprintf("witness.example/omni+%s+%s", hex.EncodeToString(id[:4]), base64.StdEncoding.EncodeToString(key)),
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key"), []byte(secret), 0o600))
	return w, func(trust *custody.Trust) {
		logs := fmt.Sprintf("Logs:\n  - Origin: %s\n    URL: https://%s\n    PublicKey: %s\n    Feeder: none\n", trust.Origin, trust.Origin, trust.Log)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "logs.yaml"), []byte(logs), 0o600))
		outsider(t, "omniwitness", regexp.MustCompile(`(?i)(listen|serving|witness)`), "-listen", w.address, "-metrics_listen", "", "-db_file", filepath.Join(dir, "db"),
			"-additional_logs", filepath.Join(dir, "logs.yaml"), "-private_key_path", filepath.Join(dir, "key"))
		require.Eventually(t, func() bool {
			c, err := new(net.Dialer).DialContext(t.Context(), "tcp", w.address)
			return err == nil && c.Close() == nil
		}, patience, 10*time.Millisecond)
	}
}

// TestToolsOfOthers: two witnesses of others cosign this log; fsck, mirror and
// migration of Tessera and torchwood's verifier and client take it as it is, and not
// when it is altered.
func TestToolsOfOthers(t *testing.T) {
	lite, liteKnows := newLitewitness(t)
	omni, omniKnows := newOmniwitness(t)
	policy := policyFile(t, "group both all witness.example/lite witness.example/omni\nquorum both", lite, omni)
	d := &desk{service: newService(t, filepath.Join(t.TempDir(), "service"), "--witnesses", policy), gate: newGate(t)}
	liteKnows(d.trust)
	omniKnows(d.trust)
	d.settle(t)
	file := filepath.Join(t.TempDir(), "sda.dd")
	image(t, file, 100_000)
	added := done(t, d.eve, d.add(file, "EX-1")...)
	require.Equal(t, "met", word(t, added, "quorum"))
	id := word(t, added, "id")
	d.same(t, id, file)
	said := d.grow(t, custody.EvidenceID(id), 600)
	verified(t, d.trust, said)
	require.Equal(t, "met", word(t, done(t, d.eve, "log", "checkpoint"), "quorum"))

	key := filepath.Join(t.TempDir(), "log.pub")
	require.NoError(t, os.WriteFile(key, []byte(d.trust.Log+"\n"), 0o600))
	fsck := func(address string) string {
		told, _ := asks(t, "tessera-fsck", "-ui=false", "-N=200", "-storage_url="+address, "-public_key="+key) // its exit code is always 0
		return told
	}
	log := d.url + "/log/"
	const success = "Successfully fsck'd log"
	require.Contains(t, fsck(log), success)

	mirror := ""
	require.Eventually(t, func() bool { // the service may say something of its own meanwhile
		mirror = t.TempDir()
		told, err := asks(t, "tessera-mirror", "-storage_dir="+mirror, "-source_url="+log)
		return err == nil && told != "" && get(t, log+"checkpoint") == string(read(t, filepath.Join(mirror, "checkpoint")))
	}, patience, 10*time.Millisecond)
	c, err := d.trust.OpenCheckpoint(read(t, filepath.Join(mirror, "checkpoint")))
	require.NoError(t, err)
	paths := 0
	require.NoError(t, filepath.WalkDir(mirror, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		paths++
		name, err := filepath.Rel(mirror, path)
		require.NoError(t, err)
		if name != "checkpoint" {
			require.Equal(t, get(t, log+name), string(read(t, path)), name)
		}
		return nil
	}))
	require.Equal(t, 8, paths, "the checkpoint, three bundles, three tiles and the one above them")
	require.Contains(t, fsck("file://"+mirror+"/"), success)

	reads := func(address string) (string, error) { return asks(t, "torchwood-read", d.trust.Log, address) }
	told, err := reads(log)
	require.NoError(t, err, told)
	copied := httptest.NewServer(http.FileServer(http.Dir(mirror)))
	defer copied.Close()
	told, err = reads(copied.URL + "/")
	require.NoError(t, err, told)
	require.Equal(t, fmt.Sprintf("read and verified %d entries\n", c.Size), told)

	moved := t.TempDir()
	told, err = asks(t, "tessera-migrate", "-storage_dir="+moved, "-source_url="+log)
	require.NoError(t, err, told)
	require.Contains(t, told, "Migration successful")
	require.Contains(t, string(read(t, filepath.Join(moved, ".state", "treeState"))), base64.StdEncoding.EncodeToString(c.Root[:]))

	for _, name := range []string{"checkpoint", "tile/0/000", "tile/entries/001", "tile/entries/000"} {
		path := filepath.Join(mirror, filepath.FromSlash(name))
		whole := read(t, path)
		altered := bytes.Clone(whole)
		altered[len(altered)/3] ^= 1
		require.NoError(t, os.WriteFile(path, altered, 0o600))
		require.NotContains(t, fsck("file://"+mirror+"/"), success, name)
		_, err := reads(copied.URL + "/")
		require.Error(t, err, name)
		require.NoError(t, os.WriteFile(path, whole, 0o600))
	}
	require.Contains(t, fsck("file://"+mirror+"/"), success, "whole again")
}

// verified has torchwood's verifier look at a receipt. It wants the proof as
// c2sp.org/tlog-proof was before it had a name in its first line.
func verified(t testing.TB, trust *custody.Trust, said *client.Said) {
	t.Helper()
	leaf, err := said.Receipt.Leaf(said.Raw)
	require.NoError(t, err)
	_, proof, ok := bytes.Cut(said.Receipt.Marshal(), []byte("\nindex "))
	require.True(t, ok)
	path := filepath.Join(t.TempDir(), "leaf")
	verify := func(leaf, proof []byte) (string, error) {
		require.NoError(t, os.WriteFile(path, leaf, 0o600))
		require.NoError(t, os.WriteFile(path+".spicy", append([]byte("index "), proof...), 0o600))
		return asks(t, "spicy", "-verify", trust.Log, path)
	}
	told, err := verify(leaf[:], proof)
	require.NoError(t, err, told)
	require.Contains(t, told, "verified")
	altered := leaf
	altered[64] ^= 1
	told, err = verify(altered[:], proof)
	require.Error(t, err)
	require.Contains(t, told, "could not verify inclusion")
	told, err = verify(leaf[:], bytes.Replace(proof, []byte(trust.Origin+"\n"), []byte(trust.Origin+"\n1"), 1))
	require.Error(t, err)
	require.Contains(t, told, "could not verify checkpoint")
}

// grow puts n more records on record, and returns one of them.
func (d *desk) grow(t testing.TB, id custody.EvidenceID, n int) (said *client.Said) {
	t.Helper()
	known := done(t, d.eve, "key", "show")
	var key custody.KeyID
	require.NoError(t, key.UnmarshalText([]byte(word(t, known, "key"))))
	signer, err := keyring.Agent(t.Context(), os.Getenv("SSH_AUTH_SOCK"), key)
	require.NoError(t, err)
	eve := d.person("Eve", custody.PrincipalID(word(t, known, "principal")), signer)
	var g errgroup.Group
	g.SetLimit(32)
	for range n {
		g.Go(func() error {
			_, err := eve.Say(t.Context(), "to fill the log", &custody.RetrieveEvidence{Evidence: id})
			return err
		})
	}
	require.NoError(t, g.Wait())
	said, err = eve.Say(t.Context(), "to fill the log", &custody.RetrieveEvidence{Evidence: id})
	require.NoError(t, err)
	return said
}

// TestAWitnessOfOthersLogs: a log that Tessera keeps has this witness cosign it,
// as it grows; of a log that forgot what it had, nothing.
func TestAWitnessOfOthersLogs(t *testing.T) {
	secret, public, err := note.GenerateKey(rand.Reader, "log.example/theirs")
	require.NoError(t, err)
	w := newWitness(t, "witness.example/w")
	w.knows(t, &custody.Trust{Log: public, Origin: "log.example/theirs"})
	dir := t.TempDir()
	key, log := filepath.Join(dir, "key"), filepath.Join(dir, "log")
	require.NoError(t, os.WriteFile(key, []byte(secret), 0o600))
	policy := policyFile(t, "quorum witness.example/w", w)
	adds := func(log, what string, n int) (string, error) {
		entries := t.TempDir()
		for i := range n {
			require.NoError(t, os.WriteFile(filepath.Join(entries, fmt.Sprintf("%03d", i)), fmt.Appendf(nil, "%s %d", what, i), 0o600))
		}
		return asks(t, "tessera-log", "-storage_dir="+log, "-entries="+entries+"/*", "-private_key="+key, "-witness_policy_file="+policy)
	}
	for i, n := range []int{3, 300, 1} {
		said, err := adds(log, fmt.Sprint("round ", i), n)
		require.NoError(t, err, said)
		require.Contains(t, string(read(t, filepath.Join(log, "checkpoint"))), "\n— witness.example/w ")
	}
	said, err := adds(filepath.Join(dir, "another"), "another history", 310)
	require.Error(t, err, said)
	if b, err := os.ReadFile(filepath.Join(dir, "another", "checkpoint")); err == nil {
		require.NotContains(t, string(b), "\n— witness.example/w ")
	}
}
