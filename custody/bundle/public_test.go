package bundle_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

// public is a log as it is served to everybody: these leaves, under a checkpoint.
func public(signed []byte, leaves []custody.Leaf) *bundle.PublicLog {
	return &bundle.PublicLog{Checkpoint: signed, Leaves: func(yield func(custody.Leaf) error) error {
		for _, l := range leaves {
			if err := yield(l); err != nil {
				return err
			}
		}
		return nil
	}}
}

// served is the story's log as it is now.
func served(t testing.TB, s *guardtest.Story) (signed []byte, leaves []custody.Leaf) {
	t.Helper()
	c := contents(t, s, true)
	require.NoError(t, c.Leaves(func(l custody.Leaf) error { leaves = append(leaves, l); return nil }))
	return c.Checkpoint, leaves
}

func verifyWith(b []byte, trust *custody.Trust, log *bundle.PublicLog) *bundle.Verdict {
	return bundle.Verify(bytes.NewReader(b), trust, bundle.Options{Words: investigate.Words(), Public: log})
}

// later returns how many later records of a stream the public log was found to
// have.
func later(t testing.TB, v *bundle.Verdict, stream custody.Stream) uint64 {
	t.Helper()
	require.Empty(t, v.Problems)
	require.NotNil(t, v.Since)
	i := slices.IndexFunc(v.Since.Streams, func(l bundle.LaterRecords) bool { return l.Stream == stream })
	require.GreaterOrEqual(t, i, 0)
	return v.Since.Streams[i].Later
}

// TestThePublicLogSince: of a bundle, with leaves or without, the public log tells
// that these are all records, or how many came since.
func TestThePublicLogSince(t *testing.T) {
	s := newStory(t, 1)
	item := s.Evidence.Stream()
	with, without := written(t, contents(t, s, true)), written(t, contents(t, s, false))
	signed, leaves := served(t, s)
	for _, b := range [][]byte{with, without} {
		v := verifyWith(b, s.Trust, public(signed, leaves))
		require.Zero(t, later(t, v, item))
		require.True(t, v.Complete)
		require.EqualValues(t, len(leaves), v.Since.Size)
		var text strings.Builder
		require.NoError(t, v.Write(&text))
		require.Contains(t, text.String(), "records of the item exist as of size")
		require.Contains(t, text.String(), "those of this bundle")
	}

	// More than are looked for in one pass.
	const more = 1030
	for range more {
		attests(t, s, &custody.CheckEvidence{Evidence: s.Evidence, Intact: true, SHA256: custody.Hash(s.Artifact)})
	}
	grown, all := served(t, s)
	for _, b := range [][]byte{with, without} {
		v := verifyWith(b, s.Trust, public(grown, all))
		require.EqualValues(t, more, later(t, v, item))
		require.Zero(t, later(t, v, s.Lead.ID.Stream()))
		require.True(t, v.Complete, "as of its own size")
		var text strings.Builder
		require.NoError(t, v.Write(&text))
		require.Contains(t, text.String(), "ARE NOT IN THIS BUNDLE: 1030.")
	}
	require.Zero(t, later(t, verifyWith(written(t, contents(t, s, false)), s.Trust, public(served(t, s))), item))
}

// TestAPublicLogThatLies: set back, another one, not what it signed, forked.
func TestAPublicLogThatLies(t *testing.T) {
	s := newStory(t, 1)
	early, few := served(t, s)
	f, c := forgerOf(t, s)
	stream := s.Evidence.Stream()
	i := slices.IndexFunc(c.Streams, func(st bundle.Stream) bool { return st.Name == stream })
	key, length := c.Streams[i].TagKey, uint64(len(c.Streams[i].Records))
	require.NoError(t, s.Others(t.Context()))
	b := written(t, contents(t, s, false))
	signed, leaves := served(t, s)
	require.Empty(t, verifyWith(b, s.Trust, public(signed, leaves)).Problems)

	tagged := func(n uint64) custody.Leaf {
		return custody.NewLeaf(custody.Hash([]byte("another record")), key.Tag(n))
	}
	forged := func(leaves []custody.Leaf) *bundle.PublicLog {
		f.leaves = leaves
		return public(f.prove(t, &bundle.Contents{}).Checkpoint, leaves)
	}
	other := slices.Clone(leaves)
	other[3] = custody.NewLeaf(custody.Hash(nil), custody.Tag{1})
	for name, c := range map[string]struct {
		log  *bundle.PublicLog
		says string
	}{
		"set back":               {public(early, few), "the log was set back, or another one is shown"},
		"another log":            {forged(other), "another tree of size"},
		"another log, later":     {forged(append(slices.Clone(other), tagged(1000000))), "another tree of size"},
		"not what it signed":     {public(signed, other), "do not make its checkpoint's root"},
		"fewer leaves":           {public(signed, leaves[:len(leaves)-1]), "its checkpoint is of size"},
		"signed by nobody":       {public(bytes.Replace(signed, []byte("\n— custody"), []byte("\n— Custody"), 1), leaves), "checkpoint"},
		"a forked place":         {forged(append(slices.Clone(leaves), tagged(length-1))), "the stream is forked"},
		"a fork among the later": {forged(append(slices.Clone(leaves), tagged(length+50), tagged(length+50))), "the stream is forked"},
	} {
		t.Run(name, func(t *testing.T) {
			v := verifyWith(b, s.Trust, c.log)
			require.False(t, v.Verified)
			require.Nil(t, v.Since)
			requireProblem(t, v, c.says)
		})
	}

	// A bundle that leaves out the item's last record does not get away with it.
	cut := contents(t, s, false)
	n := itemIn(cut, s)
	cut.Streams[n].Records = cut.Streams[n].Records[:len(cut.Streams[n].Records)-1]
	require.True(t, verify(written(t, cut), s.Trust).Verified, "it is unbroken, and says that later ones are not excluded")
	requireProblem(t, verifyWith(written(t, cut), s.Trust, public(signed, leaves)), "that this bundle leaves out")
}
