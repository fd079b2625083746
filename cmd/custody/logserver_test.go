package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger/trillian/trilliantest"
)

// TestLogServer is the main job with the log on a Trillian log server: taken in,
// retrieved, exported, verified by who has nothing but the trust file, and read
// by a program of others. Nothing of Trillian shows.
func TestLogServer(t *testing.T) {
	on := trilliantest.Start(t)
	d := newDesk(t, filepath.Join(t.TempDir(), "service"), "--trillian", on.Address)
	file := filepath.Join(t.TempDir(), "sda.dd")
	image(t, file, 100_000)
	id := word(t, done(t, d.eve, d.add(file, "EX-1")...), "id")
	d.same(t, id, file)

	d.stop()
	require.Contains(t, done(t, "", "fsck", "--dir", d.dir), "records")
	d.serve()
	d.same(t, id, file)
	verified(t, d.trust, d.grow(t, custody.EvidenceID(id), 300))

	proof := filepath.Join(t.TempDir(), "proof")
	done(t, d.eve, "bundle", "export", id, "-o", proof, "--purpose", "disclosure")
	v := done(t, "", "bundle", "verify", proof, "--trust", filepath.Join(d.dir, "trust.json"), "--artifact", file)
	require.Equal(t, true, v["verified"])

	key := filepath.Join(t.TempDir(), "log.pub")
	require.NoError(t, os.WriteFile(key, []byte(d.trust.Log+"\n"), 0o600))
	told, _ := asks(t, "tessera-fsck", "-ui=false", "-N=200", "-storage_url="+d.url+"/log/", "-public_key="+key)
	require.Contains(t, told, "Successfully fsck'd log")
}
