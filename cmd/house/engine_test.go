package house_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/cmd/house"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/ledger/trillian/trilliantest"
)

// configOf reads a service's configuration as it is on disk.
func configOf(t *testing.T, dir string) house.Config {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "config.json"))
	require.NoError(t, err)
	var c house.Config
	require.NoError(t, json.Unmarshal(b, &c))
	return c
}

// TestServiceOnALogServer: a service whose log is on a Trillian log server does
// the same, loses its folder's databases, and is found out when the log server's
// is altered or set back.
func TestServiceOnALogServer(t *testing.T) {
	t.Parallel()
	on := trilliantest.Start(t)
	dir := filepath.Join(t.TempDir(), "service")
	c := house.Default(origin)
	c.Listen, c.Trillian = "127.0.0.1:0", &house.Trillian{Address: on.Address}
	_, err := house.Create(t.Context(), dir, c)
	require.NoError(t, err)
	require.Zero(t, c.Trillian.Tree, "the caller's")
	tree := configOf(t, dir).Trillian.Tree
	require.NotZero(t, tree)
	require.NoFileExists(t, filepath.Join(dir, "log.db"))

	l := liveIn(t, dir)
	young := on.Backup(t)
	found, err := house.Fsck(t.Context(), dir, quiet)
	require.NoError(t, err)
	require.Empty(t, found.Disagreements)

	lose(t, dir, "records.db", "places.db", "tiles.db")
	made, err := house.Rebuild(t.Context(), dir, nil, quiet)
	require.NoError(t, err)
	require.Equal(t, found.Checkpoint, made.Checkpoint, "the same log")
	again := configOf(t, dir).Trillian.Tree
	require.NotEqual(t, tree, again, "in another tree")
	found, err = house.Fsck(t.Context(), dir, quiet)
	require.NoError(t, err)
	require.Empty(t, found.Disagreements)

	r := start(t, dir)
	engineer := r.as(l.engineer)
	for _, s := range l.streams {
		after, err := engineer.Records(t.Context(), s)
		require.NoError(t, err)
		for i, record := range l.before[s] {
			require.Equal(t, record.Raw, after[i].Raw, "%s %d", s, i)
		}
	}
	var back, proof bytes.Buffer
	_, err = engineer.Retrieve(t.Context(), "to examine it again", l.item, 0, 0, &back, nil)
	require.NoError(t, err)
	require.True(t, bytes.Equal(l.data, back.Bytes()))
	require.NoError(t, engineer.Bundle(t.Context(), "to prove it", l.item, true, &proof))
	v := bundle.Verify(&proof, r.Trust, bundle.Options{Words: investigate.Words(), Artifact: &back})
	require.True(t, v.Verified && v.Complete, "%v", v.Problems)
	r.stop()
	trust, err := house.RekeyLog(t.Context(), dir, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Len(t, trust.Successions, 1)
	start(t, dir).stop() // decides all of it again

	old := on.Backup(t)
	on.Edit(t, fmt.Sprintf("UPDATE LeafData SET LeafValue = '\\x%x' WHERE TreeId = %d AND LeafIdentityHash = "+
		"(SELECT LeafIdentityHash FROM SequencedLeafData WHERE TreeId = %d AND SequenceNumber = 1)", custody.Leaf{1}, again, again))
	found, err = house.Fsck(t.Context(), dir, quiet)
	require.NoError(t, err)
	require.Contains(t, joined(found.Disagreements), "altered or split")
	on.Restore(t, old)

	r = start(t, dir)
	takeIn(t, r.as(l.engineer), l.incident, "EX-2", l.data)
	r.stop()
	on.Restore(t, old)
	_, err = house.Open(t.Context(), dir, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, ledger.ErrRollback)
	found, err = house.Fsck(t.Context(), dir, quiet)
	require.NoError(t, err)
	require.Contains(t, joined(found.Disagreements), "rolled back")
	on.Restore(t, young) // from before the new tree was made
	_, err = house.Open(t.Context(), dir, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "it has no such tree")

	lose(t, dir, "records.db", "places.db", "tiles.db") // the way back: the bucket is the archive
	made, err = house.Rebuild(t.Context(), dir, nil, quiet)
	require.NoError(t, err)
	require.NotNil(t, made.Compared, "with what the lock says was signed")
	r = start(t, dir)
	takeIn(t, r.as(l.engineer), l.incident, "EX-3", l.data)
	r.stop()
}

// TestTrillianInTheConfiguration: a tree is named by who made it, and who could
// listen in is not spoken to.
func TestTrillianInTheConfiguration(t *testing.T) {
	for _, c := range []struct {
		is   house.Trillian
		says string
	}{
		{house.Trillian{Address: "127.0.0.1:8090", Tree: 7}, "is made with it"},
		{house.Trillian{Address: "127.0.0.1"}, "not host:port"},
		{house.Trillian{Address: ":8090"}, "not host:port"},
		{house.Trillian{Address: "log.example:8090"}, "only with ca"},
		{house.Trillian{Address: "log.example:8090", CA: "/nowhere.pem"}, "no such file"},
		{house.Trillian{Address: "127.0.0.1:1"}, "refused"},
	} {
		config := house.Default(origin)
		config.Trillian = &c.is
		dir := filepath.Join(t.TempDir(), "service")
		_, err := house.Create(t.Context(), dir, config)
		require.ErrorContains(t, err, c.says)
		require.NoFileExists(t, filepath.Join(dir, "config.json"), "it is no service")
	}
	dir, _ := create(t)
	for text, says := range map[string]string{
		`{"address":"127.0.0.1:8090"}`:                "tree is missing",
		`{"address":"log.example:8090","tree":7}`:     "only with ca",
		`{"address":"127.0.0.1:8090","trees":7}`:      "trees",
		`{"address":"127.0.0.1:8090","tree":"seven"}`: "tree",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"),
			fmt.Appendf(nil, `{"origin":%q,"listen":"127.0.0.1:0","lockFile":"lock.db","folder":"bucket","trillian":%s}`, origin, text), 0o600))
		_, err := house.Open(t.Context(), dir, slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, says)
	}
}
