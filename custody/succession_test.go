package custody_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
)

// oneKey is a key of the log of these tests.
type oneKey struct {
	public string
	note.Signer
}

func logKeyOf(t *testing.T, origin string, seed byte) oneKey {
	t.Helper()
	public, signer, err := guardtest.LogKey(origin, seed)
	require.NoError(t, err)
	return oneKey{public, signer}
}

func pointOf(origin string, size uint64, root string) custody.Checkpoint {
	return custody.Checkpoint{Origin: origin, Size: size, Root: custody.Hash([]byte(root))}
}

func signedBy(t *testing.T, c custody.Checkpoint, by ...note.Signer) []byte {
	t.Helper()
	b, err := note.Sign(&note.Note{Text: c.String()}, by...)
	require.NoError(t, err)
	return b
}

const someLog = "custody.example/keys"

// trustOf is a trust file of a log that began with a key, after successions.
func trustOf(t *testing.T, first oneKey, successions ...[]byte) (*custody.Trust, error) {
	t.Helper()
	trust := &custody.Trust{Format: custody.TrustFormat, Genesis: custody.Hash(nil), Log: first.public, Origin: someLog, Witnesses: custody.NoWitnesses}
	for _, s := range successions {
		trust.Successions = append(trust.Successions, string(s))
	}
	b, err := trust.Marshal()
	require.NoError(t, err)
	return custody.ParseTrust(b)
}

// TestKeysOfALogGiveWay: each key verifies what it signed until it gave way and nothing
// later, and the trust file goes on from one to the next without anything that its
// first key does not vouch for.
func TestKeysOfALogGiveWay(t *testing.T) {
	a, b, c, thief := logKeyOf(t, someLog, 1), logKeyOf(t, someLog, 2), logKeyOf(t, someLog, 3), logKeyOf(t, someLog, 4)
	gives := func(at custody.Checkpoint, from, to oneKey) []byte {
		s, err := (&custody.Succession{Checkpoint: at, To: to.public}).Sign(from, to)
		require.NoError(t, err)
		return s
	}
	ten, twenty := pointOf(someLog, 10, "ten"), pointOf(someLog, 20, "twenty")
	ab, bc := gives(ten, a, b), gives(twenty, b, c)
	before, err := trustOf(t, a)
	require.NoError(t, err)
	trust, err := trustOf(t, a, ab, bc)
	require.NoError(t, err)
	key, err := trust.LogKey()
	require.NoError(t, err)
	require.Equal(t, c.public, key)

	for _, x := range []struct {
		name string
		c    custody.Checkpoint
		by   oneKey
		good bool
	}{
		{"the first, long ago", pointOf(someLog, 3, "x"), a, true},
		{"the first, its last", ten, a, true},
		{"the first, another of the size of its last", pointOf(someLog, 10, "x"), a, false},
		{"the first, after it gave way", pointOf(someLog, 11, "x"), a, false},
		{"the second", pointOf(someLog, 11, "x"), b, true},
		{"the second, its last", twenty, b, true},
		{"the second, after it gave way", pointOf(someLog, 21, "x"), b, false},
		{"the third", pointOf(someLog, 21, "x"), c, true},
		{"a stranger", pointOf(someLog, 21, "x"), thief, false},
	} {
		_, err := trust.OpenCheckpoint(signedBy(t, x.c, x.by))
		require.Equal(t, x.good, err == nil, "%s: %v", x.name, err)
	}
	_, err = before.OpenCheckpoint(signedBy(t, pointOf(someLog, 11, "x"), b))
	require.ErrorContains(t, err, "custody trust extend")

	was, err := before.Fingerprint()
	require.NoError(t, err)
	is, err := trust.Fingerprint()
	require.NoError(t, err)
	require.Equal(t, was, is, "what stands on paper stays")
	extended, err := before.Extend(trust)
	require.NoError(t, err)
	require.Equal(t, trust, extended)
	_, err = trust.Extend(before)
	require.ErrorContains(t, err, "does not go on from this one")
	other, err := trustOf(t, a, gives(ten, a, thief))
	require.NoError(t, err)
	_, err = trust.Extend(other)
	require.ErrorContains(t, err, "gave way twice")
	elsewhere, err := trustOf(t, b)
	require.NoError(t, err)
	_, err = before.Extend(elsewhere)
	require.ErrorContains(t, err, "fingerprint")

	byOne, err := note.Sign(&note.Note{Text: strings.SplitAfter(string(ab), "\n\n")[0][:len(strings.SplitAfter(string(ab), "\n\n")[0])-1]}, b)
	require.NoError(t, err)
	twice := append(bytes.Clone(ab), bytes.Split(gives(ten, a, thief), []byte("\n\n"))[1]...)
	foreign := logKeyOf(t, "custody.example/other", 9)
	for name, list := range map[string][][]byte{
		"not by the key before it":  {gives(ten, thief, b)},
		"by the new one alone":      {byOne},
		"with a further signature":  {twice},
		"in another order":          {bc, ab},
		"left out":                  {bc},
		"to a key that gave way":    {ab, gives(twenty, b, a)},
		"to itself":                 {gives(ten, a, a)},
		"back to a smaller log":     {ab, gives(pointOf(someLog, 9, "x"), b, c)},
		"to a key of another log":   {gives(ten, a, foreign)},
		"of another log":            {gives(pointOf("custody.example/other", 10, "ten"), a, b)},
		"not a succession":          {signedBy(t, ten, a, b)},
		"nothing":                   {nil},
		"a line too many":           {bytes.Replace(ab, []byte("\n\n"), []byte("\nmore\n\n"), 1)},
		"a number in two spellings": {bytes.Replace(ab, []byte("\n10\n"), []byte("\n010\n"), 1)},
	} {
		_, err := trustOf(t, a, list...)
		require.Error(t, err, name)
	}
	for i := range ab {
		changed := bytes.Clone(ab)
		changed[i] ^= 1
		_, err := trustOf(t, a, changed)
		require.Error(t, err, "byte %d", i)
	}
}
