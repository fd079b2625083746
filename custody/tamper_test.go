package custody_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
)

// proven is a record with its receipt, and what verifies them.
type proven struct {
	record, receipt []byte
	trust           *custody.Trust
	key             custody.PublicKey // of the signer
	story           *guardtest.Story
}

func newProven(t testing.TB) proven {
	t.Helper()
	s := newStory(t)
	list, err := s.Store.Records(t.Context(), s.Evidence.Stream(), 3, 1, true)
	require.NoError(t, err)
	return proven{list[0].Record, list[0].Receipt, s.Trust, s.Engineer.Key.Public(), s}
}

// verify does what somebody does who is given a record, its receipt and the
// trust file.
func (p proven) verify(record, receipt []byte) error {
	r, err := custody.ParseReceipt(receipt)
	if err != nil {
		return err
	}
	leaf, err := r.Leaf(record)
	if err != nil {
		return err
	}
	_, err = r.Verify(p.trust, leaf)
	return err
}

// flips calls do with every change of one bit of b.
func flips(t *testing.T, b []byte, do func([]byte) error) {
	t.Helper()
	for at := range 8 * len(b) {
		c := bytes.Clone(b)
		c[at/8] ^= 1 << (at % 8)
		require.Error(t, do(c), "bit %d of byte %d (%q)", at%8, at/8, around(b, at/8))
	}
}

// changes calls do with every change of one byte of b to any other value.
func changes(t *testing.T, b []byte, do func([]byte) error) {
	t.Helper()
	for at := range b {
		for v := range 255 {
			c := bytes.Clone(b)
			c[at] += byte(v + 1)
			require.Error(t, do(c), "byte %d (%q) is %d", at, around(b, at), c[at])
		}
	}
}

func around(b []byte, at int) []byte { return b[max(0, at-10):min(len(b), at+10)] }

func TestEveryBitOfARecordCounts(t *testing.T) {
	p := newProven(t)
	require.NoError(t, p.verify(p.record, p.receipt))
	flips(t, p.record, func(b []byte) error { return p.verify(b, p.receipt) })
	flips(t, p.record, func(b []byte) error {
		r, err := custody.ParseRecord(b)
		if err != nil {
			return err
		}
		again, err := r.Marshal()
		require.NoError(t, err)
		require.Equal(t, b, again, "what parses encodes to the same bytes")
		return errors.New("another record")
	})
}

func TestEveryBitOfAReceiptCounts(t *testing.T) {
	p := newProven(t)
	flips(t, p.receipt, func(b []byte) error { return p.verify(p.record, b) })
	for n := range p.receipt {
		require.Error(t, p.verify(p.record, p.receipt[:n]))
	}
	require.Error(t, p.verify(p.record, append(bytes.Clone(p.receipt), '\n')))
}

func TestEveryBitOfAnEnvelopeCounts(t *testing.T) {
	p := newProven(t)
	r, err := custody.ParseRecord(p.record)
	require.NoError(t, err)
	raw, err := r.Envelope.Marshal()
	require.NoError(t, err)
	flips(t, raw, func(b []byte) error {
		e, err := custody.ParseEnvelope(b)
		if err != nil {
			return err
		}
		return e.Verify(p.key)
	})
}

func TestEveryByteOfACheckpointCounts(t *testing.T) {
	p := newProven(t)
	keys, err := p.trust.LogKeys()
	require.NoError(t, err)
	log := keys.Now()
	signed := p.story.Log.Checkpoint()
	_, err = custody.OpenCheckpoint(signed, log)
	require.NoError(t, err)
	changes(t, signed, func(b []byte) error { _, err := custody.OpenCheckpoint(b, log); return err })
	for n := range signed {
		_, err := custody.OpenCheckpoint(signed[:n], log)
		require.Error(t, err)
	}
}

// TestEveryByteOfATrustFileCounts: of a changed one either nothing is left, or
// it has another fingerprint and names another genesis.
func TestEveryByteOfATrustFileCounts(t *testing.T) {
	p := newProven(t)
	raw, err := p.trust.Marshal()
	require.NoError(t, err)
	want, err := p.trust.Fingerprint()
	require.NoError(t, err)
	changes(t, raw, func(b []byte) error {
		other, err := custody.ParseTrust(b)
		if err != nil {
			return err
		}
		got, err := other.Fingerprint()
		require.NoError(t, err)
		require.NotEqual(t, want, got)
		require.NotEqual(t, p.trust.Genesis, other.Genesis, "%s", b)
		return errors.New("another genesis")
	})
}

func TestTrustFilesThatAreNone(t *testing.T) {
	p := newProven(t)
	raw, err := p.trust.Marshal()
	require.NoError(t, err)
	for name, change := range map[string]func(*custody.Trust){
		"another version":     func(f *custody.Trust) { f.Format += "0" },
		"another name":        func(f *custody.Trust) { f.Origin = "custody.example/other" },
		"no genesis":          func(f *custody.Trust) { f.Genesis = custody.Digest{} },
		"witnesses":           func(f *custody.Trust) { f.Witnesses = "quorum 1" },
		"no key":              func(f *custody.Trust) { f.Log = "" },
		"the key in capitals": func(f *custody.Trust) { f.Log = shouted(f.Log) },
		"a key of small order": func(f *custody.Trust) {
			f.Log = take(note.NewEd25519VerifierKey(f.Origin, take(hex.DecodeString(smallOrder[4]))))
		},
	} {
		f := *p.trust
		change(&f)
		b, err := f.Marshal()
		require.NoError(t, err)
		require.NotEqual(t, raw, b)
		_, err = custody.ParseTrust(b)
		require.Error(t, err, name)
	}
}

// TestCheckpoints tries checkpoints that are signed and say too much or little.
func TestCheckpoints(t *testing.T) {
	const root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
	text, signer, err := guardtest.LogKey("custody.example/demo", 1)
	require.NoError(t, err)
	log, err := note.NewVerifier(text)
	require.NoError(t, err)
	otherText, other, err := guardtest.LogKey("custody.example/demo", 2)
	require.NoError(t, err)
	otherKey, err := note.NewVerifier(otherText)
	require.NoError(t, err)
	for _, c := range []struct {
		name, body string
		good       bool
	}{
		{"as it should be", "custody.example/demo\n7\n" + root + "\n", true},
		{"empty", "custody.example/demo\n0\n" + root + "\n", true},
		{"the largest", "custody.example/demo\n9223372036854775807\n" + root + "\n", true},
		{"too large", "custody.example/demo\n9223372036854775808\n" + root + "\n", false},
		{"negative", "custody.example/demo\n-1\n" + root + "\n", false},
		{"a leading zero", "custody.example/demo\n07\n" + root + "\n", false},
		{"a plus", "custody.example/demo\n+7\n" + root + "\n", false},
		{"another log", "custody.example/other\n7\n" + root + "\n", false},
		{"an extension", "custody.example/demo\n7\n" + root + "\nmore\n", false},
		{"no root", "custody.example/demo\n7\n", false},
		{"a short root", "custody.example/demo\n7\nCsUY\n", false},
		{"another base64", "custody.example/demo\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n", false},
	} {
		signed, err := note.Sign(&note.Note{Text: c.body}, signer)
		require.NoError(t, err)
		_, err = custody.OpenCheckpoint(signed, log)
		require.Equal(t, c.good, err == nil, "%s: %v", c.name, err)
	}
	body := "custody.example/demo\n7\n" + root + "\n"
	both, err := note.Sign(&note.Note{Text: body}, signer, other)
	require.NoError(t, err)
	_, err = custody.OpenCheckpoint(both, log)
	require.ErrorContains(t, err, "unknown key")
	_, err = custody.OpenCheckpoint(both, log, otherKey)
	require.NoError(t, err)
	foreign, err := note.Sign(&note.Note{Text: body}, other)
	require.NoError(t, err)
	_, err = custody.OpenCheckpoint(foreign, log, otherKey)
	require.ErrorContains(t, err, "not signed by the log")
	twice := append(bytes.Clone(both), both[bytes.LastIndexByte(both[:len(both)-1], '\n')+1:]...)
	_, err = custody.OpenCheckpoint(twice, log, otherKey)
	require.Error(t, err, "a signature line twice")
}

// TestReceiptsThatAreNone tries other spellings, and proofs of something else.
func TestReceiptsThatAreNone(t *testing.T) {
	p := newProven(t)
	text := string(p.receipt)
	for name, c := range map[string][2]string{
		"another version":      {"proof@v1", "proof@v2"},
		"no index":             {"index 13\n", ""},
		"a leading zero":       {"index 13", "index 013"},
		"outside the log":      {"index 13", "index 14"},
		"another place":        {"index 13", "index 12"},
		"no opening":           {text[strings.Index(text, "extra"):strings.Index(text, "index")], ""},
		"an empty opening":     {text[strings.Index(text, "extra"):strings.Index(text, "index")], "extra \n"},
		"a line less":          {text[strings.Index(text, "index 13\n")+9 : strings.Index(text, "index 13\n")+54], ""},
		"a line more":          {"index 13\n", "index 13\nhlU5T3wqIsKL6EAs1t2+i2VxdeEcGzooWnHIRkcpbeY=\n"},
		"carriage returns":     {"index 13\n", "index 13\r\n"},
		"an empty line more":   {"\n\n", "\n\n\n"},
		"a line at the front":  {"c2sp.org", "\nc2sp.org"},
		"the opening again":    {"index 13", "extra AA==\nindex 13"},
		"the fields reordered": {text[:strings.Index(text, "\n")+1], "index 13\n"},
	} {
		require.Contains(t, text, c[0], name)
		require.Error(t, p.verify(p.record, []byte(strings.Replace(text, c[0], c[1], 1))), name)
	}
}

// TestRecordsThatAreNone tries records that encode well and contradict themselves.
func TestRecordsThatAreNone(t *testing.T) {
	p := newProven(t)
	d := custody.Hash([]byte("x"))
	stream := custody.NewEvidenceID(d).Stream()
	for name, change := range map[string]func(*custody.Record){
		"another version":             func(r *custody.Record) { r.Format += "0" },
		"no stream":                   func(r *custody.Record) { r.Stream = "" },
		"a first record that follows": func(r *custody.Record) { r.Sequence = 0 },
		"one that follows nothing":    func(r *custody.Record) { r.Previous = custody.Digest{} },
		"a basis out of order":        func(r *custody.Record) { r.Basis[0], r.Basis[1] = r.Basis[1], r.Basis[0] },
		"a head twice":                func(r *custody.Record) { r.Basis[1] = r.Basis[0] },
		"a head of no stream":         func(r *custody.Record) { r.Basis[0].Stream = "aaa" },
		"an empty head with a digest": func(r *custody.Record) { r.Basis[0].Length = 0 },
		"a full head without":         func(r *custody.Record) { r.Basis[0].Commitment = custody.Digest{} },
		"permitted, with a reason":    func(r *custody.Record) { r.Decision.Reason = "x" },
		"refused, without a reason":   func(r *custody.Record) { r.Decision.Permit = false },
		"rules out of order":          func(r *custody.Record) { r.Decision.Rules = []string{"b", "a"} },
		"a declaration of no stream":  func(r *custody.Record) { r.Declares = []custody.Declaration{{Stream: "x", TagKey: d}} },
		"a declaration twice": func(r *custody.Record) {
			r.Declares = []custody.Declaration{{Stream: stream, TagKey: d}, {Stream: stream, TagKey: d}}
		},
		"a refusal that declares": func(r *custody.Record) { refuse(r); r.Declares = []custody.Declaration{{Stream: stream, TagKey: d}} },
		"declarations in wrong order": func(r *custody.Record) {
			r.Declares = []custody.Declaration{{Stream: "policy", TagKey: d}, {Stream: stream, TagKey: d}}
		},
		"an integer that gets rounded": nil,
	} {
		r, err := custody.ParseRecord(p.record)
		require.NoError(t, err)
		if change == nil {
			r.Sequence = 1 << 60
			_, err := r.Marshal()
			require.Error(t, err, name)
			continue
		}
		change(r)
		b, err := r.Marshal()
		require.NoError(t, err)
		_, err = custody.ParseRecord(b)
		require.Error(t, err, name)
	}
	r, err := custody.ParseRecord(p.record)
	require.NoError(t, err)
	refuse(r)
	_, err = custody.ParseRecord(take(r.Marshal()))
	require.NoError(t, err, "a refusal is a record")
}

func refuse(r *custody.Record) { r.Decision.Permit, r.Decision.Reason = false, "not permitted" }

// TestLeaves: what a leaf is made of, written out once more.
func TestLeaves(t *testing.T) {
	var opening custody.Opening
	var key custody.TagKey
	c := custody.Commit(opening, []byte("record"))
	require.NotEqual(t, c, custody.Commit(custody.Opening{1}, []byte("record")))
	require.NotEqual(t, c, custody.Commit(opening, []byte("records")))
	require.NotEqual(t, key.Tag(0), key.Tag(1))
	require.NotEqual(t, key.Tag(0), custody.TagKey{1}.Tag(0))
	l := custody.NewLeaf(c, key.Tag(0))
	require.Equal(t, c, l.Commitment())
	require.Equal(t, key.Tag(0), l.Tag())
	again, err := custody.ParseLeaf(l[:])
	require.NoError(t, err)
	require.Equal(t, l, again)
	for _, bad := range [][]byte{nil, l[:64], append(l[:], 0), append([]byte{2}, l[1:]...)} {
		_, err := custody.ParseLeaf(bad)
		require.Error(t, err)
	}
}
