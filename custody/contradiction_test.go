package custody_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
)

// logOf is a log of leaves with these names, which serves its tiles.
type logOf struct{ hashes []tlog.Hash }

func newLogOf(t testing.TB, n int, name func(int) string) *logOf {
	t.Helper()
	l := &logOf{}
	for i := range n {
		more, err := tlog.StoredHashes(int64(i), []byte(name(i)), l)
		require.NoError(t, err)
		l.hashes = append(l.hashes, more...)
	}
	return l
}

func (l *logOf) ReadHashes(indexes []int64) (list []tlog.Hash, err error) {
	for _, x := range indexes {
		list = append(list, l.hashes[x])
	}
	return list, nil
}

func (l *logOf) tile(path string) ([]byte, error) {
	p, err := tlog.ParseTilePath(strings.Replace(path, "tile/", "tile/8/", 1))
	if err != nil {
		return nil, err
	}
	return tlog.ReadTileData(p, l)
}

func (l *logOf) at(t testing.TB, n int64) custody.Checkpoint {
	t.Helper()
	root := custody.Hash(nil)
	if n > 0 {
		root = custody.Digest(must[tlog.Hash](t)(tlog.TreeHash(n, l)))
	}
	return custody.Checkpoint{Origin: "custody.example/demo", Size: uint64(n), Root: root}
}

// TestWhatGoesOn holds sizes on both sides of the widths of tiles against one
// another, and against those of a log that differs in one leaf.
func TestWhatGoesOn(t *testing.T) {
	const size = 70_000
	log := newLogOf(t, size, func(i int) string { return fmt.Sprint("leaf ", i) })
	fork := newLogOf(t, size, func(i int) string {
		if i == 300 {
			return "another"
		}
		return fmt.Sprint("leaf ", i)
	})
	key, signer, err := guardtest.LogKey("custody.example/demo", 1)
	require.NoError(t, err)
	trust := &custody.Trust{Format: custody.TrustFormat, Genesis: custody.Hash([]byte("g")), Log: key, Origin: "custody.example/demo", Witnesses: custody.NoWitnesses}
	sign := func(c custody.Checkpoint) string {
		return string(must[[]byte](t)(note.Sign(&note.Note{Text: c.String()}, signer)))
	}
	sizes := []int64{0, 1, 2, 255, 256, 257, 300, 301, 511, 512, 65535, 65536, 65537, size}
	for _, before := range sizes {
		for _, now := range sizes {
			err := custody.Extends(log.at(t, before), log.at(t, now), log.tile)
			require.Equal(t, before <= now || before == 0, err == nil, "%d, then %d: %v", before, now, err)
			if before > now {
				continue
			}
			err = custody.Extends(log.at(t, before), fork.at(t, now), fork.tile)
			c := new(custody.Contradiction)
			require.Equal(t, before > 300, errors.As(err, &c), "%d, then %d of the other: %v", before, now, err)
			if before <= 300 {
				require.NoError(t, err)
				continue
			}
			c.Format, c.First, c.Second = custody.ContradictionFormat, sign(log.at(t, before)), sign(fork.at(t, now))
			if c.Proof == nil {
				c.Proof = []custody.Digest{}
			}
			b := must[[]byte](t)(custody.Encode(c))
			again, err := custody.ParseContradiction(b)
			require.NoError(t, err)
			_, _, proven, err := again.Verify(trust)
			require.NoError(t, err)
			require.True(t, proven)
			if now == 65537 && before == 512 {
				flips(t, b, func(b []byte) error {
					other, err := custody.ParseContradiction(b)
					if err != nil {
						return err
					}
					_, _, proven, err := other.Verify(trust)
					if err == nil && !proven {
						err = errors.New("not proven")
					}
					return err
				})
			}
			require.Error(t, custody.Extends(log.at(t, before), fork.at(t, now), func(string) ([]byte, error) { return nil, errors.New("gone") }), "no tiles, no answer")
		}
	}
	honest := &custody.Contradiction{Format: custody.ContradictionFormat, First: sign(log.at(t, 300)), Second: sign(log.at(t, 512)), Proof: []custody.Digest{}}
	_, _, proven, err := honest.Verify(trust)
	require.NoError(t, err)
	require.False(t, proven, "two sizes prove nothing")
	proof := must[tlog.TreeProof](t)(tlog.ProveTree(512, 300, log))
	for _, h := range proof {
		honest.Proof = append(honest.Proof, custody.Digest(h))
	}
	honest.Prefix = custody.Hash([]byte("a lie"))
	_, _, _, err = honest.Verify(trust)
	require.Error(t, err, "nobody is accused with another root")
	honest.Prefix = log.at(t, 300).Root
	_, _, _, err = honest.Verify(trust)
	require.ErrorContains(t, err, "agree")
}
