package custody_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
)

const at = custody.Time(1_764_000_000_000_000)

func witnesses(t testing.TB, names ...string) (list []*guardtest.Witness) {
	t.Helper()
	for _, n := range names {
		list = append(list, must[*guardtest.Witness](t)(guardtest.NewWitness(7, n)))
	}
	return list
}

// policyOf is the policy of witnesses, with what follows their lines.
func policyOf(list []*guardtest.Witness, rest string) string {
	text := ""
	for _, w := range list {
		text += fmt.Sprintf("witness %s %s https://%s/w\n", w.Name, w.Key, w.Name)
	}
	return text + rest
}

// TestQuorums: groups of groups, any, all and numbers.
func TestQuorums(t *testing.T) {
	list := witnesses(t, "a.example", "b.example", "c.example", "d.example", "e.example")
	p, err := custody.ParseWitnessPolicy(policyOf(list, "group x any a.example b.example\ngroup y 2 c.example d.example e.example\ngroup z all x y\nquorum z\n"))
	require.NoError(t, err)
	require.True(t, p.Requires())
	for names, want := range map[string]bool{
		"": false, "a": false, "a b": false, "c d": false, "a c": false, "a c d": true, "b d e": true, "a b c d e": true, "z": false, "x y": false,
	} {
		full := []string{}
		for _, n := range strings.Fields(names) {
			full = append(full, n+".example")
		}
		require.Equal(t, want, p.Met(full...), names)
	}
	require.False(t, p.Met("z", "x", "y"), "the names of groups are no witnesses")

	p, err = custody.ParseWitnessPolicy(policyOf(list[:1], "quorum none\n"))
	require.NoError(t, err)
	require.False(t, p.Requires())
	require.False(t, p.Met("a.example"))
	p, err = custody.ParseWitnessPolicy(custody.NoWitnesses)
	require.NoError(t, err)
	require.False(t, p.Requires())
}

func TestWitnessPoliciesThatAreNone(t *testing.T) {
	list := witnesses(t, "a", "b")
	a, b := list[0], list[1]
	good := policyOf(list, "group g all a b\nquorum g\n")
	_, err := custody.ParseWitnessPolicy(good)
	require.NoError(t, err)
	for name, c := range map[string][2]string{
		"no line feed at the end":  {"quorum g\n", "quorum g"},
		"an empty line":            {"group g", "\ngroup g"},
		"a comment":                {"group g", "# two\ngroup g"},
		"two spaces":               {"group g", "group  g"},
		"a tab":                    {"group g", "group\tg"},
		"a space at the end":       {"quorum g", "quorum g "},
		"a carriage return":        {"quorum g\n", "quorum g\r\n"},
		"no quorum":                {"quorum g\n", ""},
		"two quorums":              {"quorum g\n", "quorum g\nquorum g\n"},
		"something behind it":      {"quorum g\n", "quorum g\ngroup h any a\n"},
		"a quorum of nobody":       {"quorum g", "quorum h"},
		"a quorum of two":          {"quorum g", "quorum a b"},
		"a member of nobody":       {"all a b", "all a c"},
		"a member twice":           {"all a b", "all a a"},
		"a member of two groups":   {"quorum g", "group h any a\nquorum g"},
		"a group of itself":        {"all a b", "all a g"},
		"no member":                {"all a b", "all"},
		"too many":                 {"all a b", "3 a b"},
		"too few":                  {"all a b", "0 a b"},
		"a number with a zero":     {"all a b", "02 a b"},
		"a group of a taken name":  {"group g", "group a"},
		"a witness of one":         {"witness b", "witness a"},
		"a witness called none":    {"witness b", "witness none"},
		"a group called none":      {"group g", "group none"},
		"a key twice":              {b.Key, a.Key},
		"a key of another name":    {a.Key, "b" + a.Key[1:]},
		"a key of another type":    {a.Key, strings.Replace(a.Key, "+B", "+A", 1)},
		"a key ID in capitals":     {a.Key, "a+" + strings.ToUpper(a.Key[2:10]) + a.Key[10:]},
		"a key cut short":          {a.Key, a.Key[:len(a.Key)-4]},
		"a URL of another kind":    {"https://b", "ftp://b"},
		"a URL with a slash":       {"https://b/w", "https://b/w/"},
		"a URL with a query":       {"https://b/w", "https://b/w?x"},
		"an unknown word":          {"group g", "log g"},
		"an invisible character":   {"witness a ", "witness a\u200b "},
		"no witness":               {good, "quorum none\n"},
		"none, as a line":          {good, "none\n"},
		"nothing":                  {good, ""},
		"too long":                 {good, policyOf(list, "group g all a b\nquorum "+strings.Repeat("g", 16<<10)+"\n")},
		"the quorum before all":    {good, "quorum a\n" + policyOf(list, "")},
		"a group before a witness": {good, "group g any a\n" + policyOf(list, "quorum g\n")},
	} {
		require.Contains(t, good, c[0], name)
		_, err := custody.ParseWitnessPolicy(strings.Replace(good, c[0], c[1], 1))
		require.Error(t, err, name)
	}
	many := []string{}
	for n := range 33 {
		many = append(many, fmt.Sprintf("w%d", n))
	}
	_, err = custody.ParseWitnessPolicy(policyOf(witnesses(t, many...), "quorum w0\n"))
	require.ErrorContains(t, err, "more than 32")
	small, err := custody.WitnessKey("small", ed25519.PublicKey(take(hex.DecodeString(smallOrder[4]))))
	require.NoError(t, err)
	_, err = custody.ParseWitnessPolicy("witness small " + small + "\nquorum small\n")
	require.ErrorContains(t, err, "small order")
}

// TestPolicyFiles: what people write becomes the one spelling.
func TestPolicyFiles(t *testing.T) {
	list := witnesses(t, "a", "b")
	want := policyOf(list, "group g all a b\nquorum g\n")
	logKey, _, err := guardtest.LogKey("custody.example/demo", 1)
	require.NoError(t, err)
	_, err = custody.NormalWitnessPolicy("# ours\n\nlog "+logKey+" https://x/\n  witness\ta "+list[0].Key+" https://a/w/\nquorum  g\nwitness b "+list[1].Key+" https://b/w\n", logKey)
	require.ErrorContains(t, err, "neither a witness nor a group")
	got, err := custody.NormalWitnessPolicy("# ours\n\nlog "+logKey+" https://x/\n  witness\ta "+list[0].Key+" https://a/w/\nwitness b "+list[1].Key+" https://b/w\ngroup g  all a b\nquorum  g\n", logKey)
	require.NoError(t, err)
	require.Equal(t, want, got)
	again, err := custody.NormalWitnessPolicy(want, "")
	require.NoError(t, err)
	require.Equal(t, want, again)
	_, err = custody.NormalWitnessPolicy("log "+logKey+"\n"+want, "another")
	require.ErrorContains(t, err, "another log")
	none, err := custody.NormalWitnessPolicy("quorum none\n", "")
	require.NoError(t, err)
	require.Equal(t, custody.NoWitnesses, none)
}

// cosigned is a checkpoint with witnesses, and how it is opened.
type cosigned struct {
	point  custody.Checkpoint
	bare   string // with the log's signature alone
	log    note.Verifier
	policy *custody.WitnessPolicy
	by     []*guardtest.Witness
}

func newCosigned(t testing.TB, rest string, names ...string) cosigned {
	t.Helper()
	text, signer, err := guardtest.LogKey("custody.example/demo", 1)
	require.NoError(t, err)
	c := cosigned{point: custody.Checkpoint{Origin: "custody.example/demo", Size: 7, Root: custody.Hash([]byte("x"))}, by: witnesses(t, names...)}
	c.log = must[note.Verifier](t)(note.NewVerifier(text))
	c.bare = string(must[[]byte](t)(note.Sign(&note.Note{Text: c.point.String()}, signer)))
	c.policy = must[*custody.WitnessPolicy](t)(custody.ParseWitnessPolicy(policyOf(c.by, rest)))
	return c
}

func (c cosigned) line(t testing.TB, n int, of custody.Checkpoint, when custody.Time) string {
	t.Helper()
	return must[string](t)(c.by[n].Cosign(of, when))
}

func (c cosigned) open(signed string) (*custody.Cosigned, error) {
	return c.policy.Open([]byte(signed), c.log)
}

func TestCosignatures(t *testing.T) {
	c := newCosigned(t, "group g 2 a b d\nquorum g\n", "a", "b", "d")
	a, b := c.line(t, 0, c.point, at), c.line(t, 1, c.point, at.Add(3*time.Second))
	other := c.point
	other.Size++
	stranger := must[string](t)(witnesses(t, "x")[0].Cosign(c.point, at))
	impostor := must[string](t)(must[*guardtest.Witness](t)(guardtest.NewWitness(8, "a")).Cosign(c.point, at))
	forged := strings.Replace(a, a[len(a)-40:len(a)-20], strings.Repeat("A", 20), 1)
	for _, x := range []struct {
		name, lines string
		by          []string
		quorum      custody.Quorum
		unknown     int
		refused     string
	}{
		{name: "nobody", quorum: custody.QuorumNotMet},
		{name: "one of two", lines: a, by: []string{"a"}, quorum: custody.QuorumNotMet},
		{name: "two of three", lines: b + a, by: []string{"a", "b"}, quorum: custody.QuorumMet},
		{name: "a stranger", lines: a + stranger, by: []string{"a"}, quorum: custody.QuorumNotMet, unknown: 1},
		{name: "another key of the same name", lines: b + impostor, by: []string{"b"}, quorum: custody.QuorumNotMet, unknown: 1},
		{name: "a forged one", lines: forged + b, refused: "invalid signature"},
		{name: "of another checkpoint", lines: c.line(t, 0, other, at), refused: "invalid signature"},
		{name: "a line twice", lines: a + a, refused: "twice"},
		{name: "two by one witness", lines: a + c.line(t, 0, c.point, at.Add(time.Minute)), refused: "twice"},
		{name: "a stranger twice", lines: stranger + stranger, refused: "twice"},
		{name: "another spelling", lines: strings.Replace(a, "— a ", "— a  ", 1), refused: "malformed note"},
		{name: "something behind it", lines: a + "\n", refused: "malformed note"},
	} {
		got, err := c.open(c.bare + x.lines)
		if x.refused != "" {
			require.ErrorContains(t, err, x.refused, x.name)
			continue
		}
		require.NoError(t, err, x.name)
		names := []string(nil)
		for _, by := range got.By {
			names = append(names, by.Name)
		}
		require.Equal(t, x.by, names, x.name)
		require.Equal(t, x.quorum, got.Quorum, x.name)
		require.Len(t, got.Unknown, x.unknown, x.name)
		require.Equal(t, c.point, got.Checkpoint)
	}
	got, err := c.open(c.bare + a + b)
	require.NoError(t, err)
	require.Equal(t, at, got.By[0].Time, "whole seconds")
	require.Equal(t, at.Add(3*time.Second), got.By[1].Time)
	require.Equal(t, "cosigned by a at 2025-11-24T16:00:00.000000Z, b at 2025-11-24T16:00:03.000000Z; quorum met", got.String())
	_, err = c.open(strings.Replace(c.bare, c.bare[strings.Index(c.bare, "— "):], a+b, 1))
	require.ErrorContains(t, err, "not signed by the log")
}

// TestTheTimeIsSigned: a cosignature of before, or of a time that cannot be, does
// not become another one.
func TestTheTimeIsSigned(t *testing.T) {
	c := newCosigned(t, "quorum a\n", "a")
	line := c.line(t, 0, c.point, at)
	later := c.line(t, 0, c.point, at.Add(time.Hour))
	require.NotEqual(t, line, later)
	raw, again := decodeLine(t, line), decodeLine(t, later)
	copy(raw[4:12], again[4:12])
	_, err := c.open(c.bare + "— a " + encode64(raw) + "\n")
	require.ErrorContains(t, err, "invalid signature", "the time of one with the signature of the other")
	for name, when := range map[string]custody.Time{"zero": 0, "before 1970": -1_000_000, "beyond what a time says": math.MaxInt64} {
		_, err := c.by[0].Cosign(c.point, when)
		require.Error(t, err, name)
	}
}

// TestEveryByteOfACosignedCheckpointCounts: of a changed one either nothing is
// left, or a witness less, and then the quorum of all is not met.
func TestEveryByteOfACosignedCheckpointCounts(t *testing.T) {
	c := newCosigned(t, "group g all a b\nquorum g\n", "a", "b")
	signed := c.bare + c.line(t, 0, c.point, at) + c.line(t, 1, c.point, at)
	is := func(b []byte) error {
		got, err := c.open(string(b))
		if err == nil && got.Quorum != custody.QuorumMet {
			err = errors.New("quorum not met")
		}
		return err
	}
	require.NoError(t, is([]byte(signed)))
	changes(t, []byte(signed), is)
	for n := range signed {
		require.Error(t, is([]byte(signed)[:n]))
	}
	require.Error(t, is(append([]byte(signed), '\n')))
	_, err := custody.OpenCheckpoint([]byte(signed), c.log)
	require.ErrorContains(t, err, "unknown key")
	_, err = custody.OpenCheckpoint([]byte(signed), c.log, c.policy.Verifiers()...)
	require.NoError(t, err)
}

// TestEveryByteOfAPolicyInATrustFileCounts: it is the trust file's fingerprint
// that a person compares; a changed policy gives another one.
func TestEveryByteOfAPolicyInATrustFileCounts(t *testing.T) {
	p := newProven(t)
	trust := *p.trust
	trust.Witnesses = policyOf(witnesses(t, "a", "b"), "group g all a b\nquorum g\n")
	raw := must[[]byte](t)(trust.Marshal())
	again, err := custody.ParseTrust(raw)
	require.NoError(t, err)
	require.Equal(t, &trust, again)
	want := must[custody.Digest](t)(trust.Fingerprint())
	flips(t, raw, func(b []byte) error {
		other, err := custody.ParseTrust(b)
		if err != nil {
			return err
		}
		require.NotEqual(t, want, must[custody.Digest](t)(other.Fingerprint()))
		return errors.New("another fingerprint")
	})
}

// TestReceiptsSayWhoCosigned: a receipt verifies under a trust file without
// witnesses, and says whether the quorum of another is met.
func TestReceiptsSayWhoCosigned(t *testing.T) {
	p := newProven(t)
	list := witnesses(t, "a", "b")
	require.NoError(t, p.story.Log.Witnessed(at, list[0]))
	receipts, _, err := p.story.Log.Prove(t.Context(), []custody.Digest{custody.Identity(guardtest.PayloadOf(envelopeOf(t, p.record)))})
	require.NoError(t, err)
	old := must[*custody.Receipt](t)(custody.ParseReceipt(p.receipt))
	leaf := must[custody.Leaf](t)(old.Leaf(p.record))
	receipts[0].Extra = old.Extra
	for policy, want := range map[string]custody.Quorum{
		custody.NoWitnesses:                           custody.NoWitness,
		policyOf(list, "quorum none\n"):               custody.NoQuorum,
		policyOf(list, "quorum a\n"):                  custody.QuorumMet,
		policyOf(list, "quorum b\n"):                  custody.QuorumNotMet,
		policyOf(list, "group g any a b\nquorum g\n"): custody.QuorumMet,
		policyOf(list, "group g all a b\nquorum g\n"): custody.QuorumNotMet,
		policyOf(list[1:], "quorum b\n"):              custody.QuorumNotMet,
	} {
		trust := *p.trust
		trust.Witnesses = policy
		c, err := receipts[0].Verify(&trust, leaf)
		require.NoError(t, err)
		require.Equal(t, want, c.Quorum, policy)
	}
	trust := *p.trust
	trust.Witnesses = policyOf(list[:1], "quorum a\n")
	text := receipts[0].Marshal()
	changes(t, text, func(b []byte) error {
		r, err := custody.ParseReceipt(b)
		if err != nil {
			return err
		}
		leaf, err := r.Leaf(p.record)
		if err != nil {
			return err
		}
		c, err := r.Verify(&trust, leaf)
		if err == nil && c.Quorum != custody.QuorumMet {
			err = errors.New("quorum not met")
		}
		return err
	})
}

func envelopeOf(t testing.TB, record []byte) []byte {
	t.Helper()
	r := must[*custody.Record](t)(custody.ParseRecord(record))
	return must[[]byte](t)(r.Envelope.Marshal())
}

func FuzzWitnessPolicy(f *testing.F) {
	list := witnesses(f, "a", "b")
	f.Add(policyOf(list, "group g all a b\nquorum g\n"))
	f.Add("none")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := custody.ParseWitnessPolicy(text)
		if err != nil {
			return
		}
		require.Equal(t, text, p.String())
		normal, err := custody.NormalWitnessPolicy(text, "")
		if text != custody.NoWitnesses {
			require.NoError(t, err)
			require.Equal(t, text, normal, "the one spelling is its own")
		}
		require.False(t, p.Met(), "nobody is a quorum")
	})
}

func FuzzCosigned(f *testing.F) {
	c := newCosigned(f, "quorum a\n", "a")
	f.Add([]byte(c.bare + c.line(f, 0, c.point, at)))
	f.Add([]byte(c.bare))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := c.policy.Open(b, c.log)
		if err != nil {
			return
		}
		require.Equal(t, c.point, got.Checkpoint, "nobody but the log signs for it")
		if got.Quorum == custody.QuorumMet {
			require.True(t, bytes.Contains(b, []byte("— a ")))
		}
	})
}

func decodeLine(t testing.TB, line string) []byte {
	t.Helper()
	_, b64, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "— ")), " ")
	return must[[]byte](t)(base64.StdEncoding.DecodeString(b64))
}

func encode64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
