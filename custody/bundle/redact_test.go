package bundle_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

// redacted is a bundle without the chosen records.
func redacted(t testing.TB, b []byte, chosen func(bundle.Choice) bool) []byte {
	t.Helper()
	var out bytes.Buffer
	n, err := bundle.Redact(&out, bytes.NewReader(b), chosen)
	require.NoError(t, err)
	leaves := 0
	for _, m := range members(t, out.Bytes()) {
		if strings.HasSuffix(m.name, ".leaf") {
			leaves++
		}
	}
	require.LessOrEqual(t, n, leaves) // of erased records too
	return out.Bytes()
}

// lived is a story with sessions, refusals, holds and exports in it.
func lived(t testing.TB) *guardtest.Story {
	t.Helper()
	s := newStory(t, 1)
	require.NoError(t, s.Others(t.Context()))
	for _, who := range []*guardtest.Person{s.Lead, s.Counsel} {
		a, err := who.Does(t.Context(), "", &custody.OpenSession{Client: "a test"})
		require.NoError(t, err)
		require.True(t, a.Permit)
	}
	a, err := s.Administrator.Does(t.Context(), "curious about EX-1", &custody.ExportEvidence{Evidence: s.Evidence})
	require.NoError(t, err)
	require.False(t, a.Permit)
	says(t, s, s.Counsel, &custody.ExportEvidence{Evidence: s.Evidence})
	hold := says(t, s, s.Counsel, &custody.HoldEvidence{Authority: "a court", Evidence: s.Evidence})
	lift := &custody.LiftHold{Authority: "a court", Evidence: s.Evidence, Hold: hold}
	second := *lift
	second.Seconds = says(t, s, s.Lead, lift)
	says(t, s, s.Counsel, &second)
	attests(t, s, &custody.CheckEvidence{Evidence: s.Evidence, Intact: true, SHA256: custody.Hash(s.Artifact)})
	return s
}

// secrets are what must not be in a bundle that withholds a record: what was
// signed, the record around it, and the opening.
func secrets(t testing.TB, r bundle.Record) map[string][]byte {
	t.Helper()
	parsed, err := custody.ParseRecord(r.Bytes)
	require.NoError(t, err)
	payload := parsed.Envelope.Payload
	return map[string][]byte{
		"the record":           r.Bytes,
		"its payload":          payload,
		"its payload, encoded": []byte(base64.StdEncoding.EncodeToString(payload)),
		"its signature":        []byte(base64.StdEncoding.EncodeToString(parsed.Envelope.Signatures[0].Sig)),
		"its opening":          r.Receipt.Extra[:32],
		"its opening, encoded": []byte(base64.StdEncoding.EncodeToString(r.Receipt.Extra))[:40],
	}
}

// TestOthersAreWithheld: what people did elsewhere goes, and everything that is said
// of the item stays as it was.
func TestOthersAreWithheld(t *testing.T) {
	s := lived(t)
	for _, leaves := range []bool{true, false} {
		c := contents(t, s, leaves)
		whole := written(t, c)
		short := redacted(t, whole, bundle.Others)
		before, v := verify(whole, s.Trust), verify(short, s.Trust)
		require.Empty(t, v.Problems)
		require.Equal(t, leaves, v.Complete)
		require.Equal(t, before.Timeline, v.Timeline)
		require.Equal(t, before.Items, v.Items)
		require.Empty(t, before.Warnings)
		require.Empty(t, before.Withheld)

		var places []bundle.Withheld
		for _, st := range c.Streams {
			for _, r := range st.Records {
				parsed, err := custody.ParseRecord(r.Bytes)
				require.NoError(t, err)
				said, err := parsed.Envelope.Statement(investigate.Words())
				require.NoError(t, err)
				gone := st.Name.Kind() == "principal" && (said.Kind == custody.KindOpenSession || !parsed.Decision.Permit)
				for what, secret := range secrets(t, r) {
					require.Truef(t, bytes.Contains(whole, secret) || what == "its payload" || what == "its opening", "%s of %s", what, said.Kind)
					require.Equalf(t, !gone && bytes.Contains(whole, secret), bytes.Contains(short, secret), "%s of %s", what, said.Kind)
				}
				if gone {
					places = append(places, bundle.Withheld{Stream: st.Name, Sequence: r.Sequence, Index: r.Receipt.Index})
				}
			}
		}
		require.Len(t, places, 4)
		require.Equal(t, places, v.Withheld)
		require.NotContains(t, string(short), "curious")

		// Those of whom something is withheld, and who signed something here.
		require.Len(t, v.Warnings, 4)
		for _, who := range []*guardtest.Person{s.Administrator, s.Lead, s.Engineer, s.Counsel} {
			require.True(t, slices.ContainsFunc(v.Warnings, func(p bundle.Problem) bool {
				return p.Where == string(who.ID.Stream()) && strings.Contains(p.What, who.Name) && strings.Contains(p.What, "is not shown")
			}), who.Name)
		}
		said := text(t, v)
		require.Contains(t, said, "VERIFIED")
		require.Contains(t, said, "  WITHHELD    1 record of "+string(s.Lead.ID.Stream()))
		require.Contains(t, said, "  DISPUTABLE  principal/")
		require.NotContains(t, said, "of them withheld", "none of the item is")
	}
}

// TestOfAnItemARecordIsWithheld: the verdict says that and where, and counts it.
func TestOfAnItemARecordIsWithheld(t *testing.T) {
	s := lived(t)
	b := redacted(t, written(t, contents(t, s, true)), bundle.OfKind(custody.KindExportEvidence))
	v := verify(b, s.Trust)
	require.Empty(t, v.Problems)
	require.Len(t, v.Withheld, 2, "also the refused one, in its actor's stream")
	require.False(t, slices.ContainsFunc(v.Timeline, func(e bundle.Event) bool { return e.Kind == custody.KindExportEvidence }))
	require.Contains(t, text(t, v), "these 9 records of the item, 1 of them withheld, and the one that announced it, and no others")
	require.Contains(t, text(t, v), "is not told")

	// The public log says of it what it says of the others.
	signed, leaves := served(t, s)
	require.Zero(t, later(t, verifyWith(b, s.Trust, public(signed, leaves)), s.Evidence.Stream()))
	leaves[v.Withheld[0].Index] = custody.NewLeaf(custody.Hash(nil), custody.Tag{})
	f, _ := forgerOf(t, s)
	f.leaves = leaves
	require.False(t, verifyWith(b, s.Trust, public(f.prove(t, &bundle.Contents{}).Checkpoint, leaves)).Verified)
}

// TestEachRecordAlone is withheld, one after the other: the bundle then verifies,
// but for those without which nothing is left.
func TestEachRecordAlone(t *testing.T) {
	s := lived(t)
	c := contents(t, s, true)
	whole := written(t, c)
	verified := map[string]bool{}
	for _, st := range c.Streams {
		for _, r := range st.Records {
			var out bytes.Buffer
			_, err := bundle.Redact(&out, bytes.NewReader(whole), bundle.At(st.Name, r.Sequence))
			if !st.Whole || st.Name == custody.PolicyStream {
				require.Error(t, err, st.Name)
				continue
			}
			require.NoError(t, err)
			v := verify(out.Bytes(), s.Trust)
			parsed, err := custody.ParseRecord(r.Bytes)
			require.NoError(t, err)
			said, err := parsed.Envelope.Statement(investigate.Words())
			require.NoError(t, err)
			what := string(said.Kind)
			if lift, ok := said.Act.(*custody.LiftHold); ok && !lift.Seconds.IsZero() {
				what += ", second"
			}
			verified[what] = v.Verified
			require.Equal(t, []bundle.Withheld{{Stream: st.Name, Sequence: r.Sequence, Index: r.Receipt.Index}}, v.Withheld)
			for where, secret := range secrets(t, r) {
				require.False(t, bytes.Contains(out.Bytes(), secret), where)
			}
		}
	}
	require.Equal(t, map[string]bool{
		"evidence.seal": false, "evidence.retrieve": true, "evidence.release": true, "evidence.receive": true, "evidence.export": true,
		"evidence.hold": true, "evidence.lift-hold": true, "evidence.lift-hold, second": true, "evidence.check": true,
		"role.grant": true, "session.open": true,
	}, verified)
}

// TestARedactedBundle is redacted again, gets its artifact, and is read where it was
// of the version before.
func TestARedactedBundle(t *testing.T) {
	s := lived(t)
	b := written(t, contents(t, s, true))
	item := s.Evidence.Stream()
	both := redacted(t, b, func(c bundle.Choice) bool { return c.Stream == item && (c.Sequence == 3 || c.Sequence == 5) })
	require.Equal(t, both, redacted(t, redacted(t, b, bundle.At(item, 5)), bundle.At(item, 3)))
	require.Equal(t, both, redacted(t, both, bundle.At(item, 3)), "what is withheld stays so")
	require.Equal(t, both, redacted(t, asV1(t, b), bundle.At(item, 3, 5)))

	var with bytes.Buffer
	require.NoError(t, bundle.AddArtifact(&with, bytes.NewReader(both), bytes.NewReader(s.Artifact), uint64(len(s.Artifact))))
	require.Equal(t, bundle.ArtifactMatches, verify(with.Bytes(), s.Trust).Items[0].ArtifactState)
	again := redacted(t, with.Bytes(), bundle.At(item, 4))
	require.Equal(t, bundle.ArtifactMatches, verify(again, s.Trust).Items[0].ArtifactState)
	require.Len(t, verify(again, s.Trust).Withheld, 3)

	for says, c := range map[string]func(bundle.Choice) bool{
		"is never withheld":           bundle.At(custody.PolicyStream, 2),
		"since the bundle needs it":   bundle.OfKind(custody.KindBeginEvidence),
		"/00000001.json: a record of": bundle.OfKind(custody.KindEnrolPrincipal),
	} {
		_, err := bundle.Redact(new(bytes.Buffer), bytes.NewReader(b), c)
		require.ErrorContains(t, err, says)
	}
	for n := 0; n < len(b); n += 997 {
		_, err := bundle.Redact(new(bytes.Buffer), bytes.NewReader(b[:n]), bundle.Others)
		require.Error(t, err, "cut off at %d", n)
	}
}

// TestWhatIsSaidToBeWithheld: heads that say other things of what is withheld than
// the bundle has.
func TestWhatIsSaidToBeWithheld(t *testing.T) {
	s := lived(t)
	b := redacted(t, written(t, contents(t, s, true)), bundle.At(s.Evidence.Stream(), 3, 5))
	require.True(t, verify(b, s.Trust).Verified)
	for name, c := range map[string]struct{ old, new, says string }{
		"one less":           {`"withheld":[3,5]`, `"withheld":[3]`, "stands where"},
		"one more":           {`"withheld":[3,5]`, `"withheld":[3,4,5]`, "stands where"},
		"none":               {`,"withheld":[3,5]`, ``, "stands where"},
		"out of order":       {`"withheld":[3,5]`, `"withheld":[5,3]`, "not in order"},
		"one twice":          {`"withheld":[3,5]`, `"withheld":[3,3,5]`, "not in order"},
		"behind the end":     {`"withheld":[3,5]`, `"withheld":[3,5,99]`, "none of its"},
		"one of them erased": {`{"length":9`, `{"erased":[3],"length":9`, "both erased and withheld"},
		"both only erased":   {`"length":9,"single":[],"stream":"evidence/`, `"erased":[3,5],"length":9,"single":[],"stream":"evidence/`, "both erased and withheld"},
		"a single record":    {`"length":0,"single":[0],"stream":"incidents"`, `"length":0,"single":[0],"stream":"incidents","withheld":[0]`, "none of its"},
	} {
		t.Run(name, func(t *testing.T) { requireProblem(t, verify(headed(t, b, c.old, c.new), s.Trust), c.says) })
	}

	// Withheld records that are said to be erased are not: nobody ordered it.
	list := members(t, b)
	head := strings.Replace(string(list[0].content), `,"withheld":[3,5]`, ``, 1)
	i := strings.Index(head, `{"length":9`)
	require.Positive(t, i)
	list[0].content = []byte(head[:i] + `{"erased":[3,5],` + head[i+1:])
	requireProblem(t, verify(archive(list), s.Trust), "no two people have ordered it erased")

	// A whole policy with something withheld.
	list = members(t, b)
	head = string(list[0].content)
	i = strings.Index(head, `"stream":"policy"`)
	j := i + strings.Index(head[i:], "}")
	list[0].content = []byte(head[:j] + `,"withheld":[1]` + head[j:])
	requireProblem(t, verify(archive(list), s.Trust), "records of the policy are withheld")
}

// TestALeafInPlaceOfARecord is the log's at that place, and carries nothing.
func TestALeafInPlaceOfARecord(t *testing.T) {
	s := lived(t)
	c := contents(t, s, false)
	whole := written(t, c)
	b := redacted(t, whole, bundle.At(s.Evidence.Stream(), 3))
	require.True(t, verify(b, s.Trust).Verified)
	list := members(t, b)
	at := slices.IndexFunc(list, func(m member) bool { return strings.HasSuffix(m.name, ".leaf") })
	require.Equal(t, fmt.Sprintf("records/%s/00000003.leaf", s.Evidence.Stream()), list[at].name)
	records := c.Streams[itemIn(c, s)].Records
	leafOf := func(n int) []byte {
		l, err := records[n].Receipt.Leaf(records[n].Bytes)
		require.NoError(t, err)
		return l[:]
	}
	require.Equal(t, leafOf(3), list[at].content)
	for name, change := range map[string]func(leaf, proof *member){
		"another record's leaf":  func(leaf, _ *member) { leaf.content = leafOf(4) },
		"another record's proof": func(_, proof *member) { proof.content = list[at+3].content },
		"the opening is still there": func(_, proof *member) {
			proof.content = records[3].Receipt.Marshal()
		},
		"both another's": func(leaf, proof *member) {
			leaf.content = leafOf(4)
			r := *records[4].Receipt
			r.Extra = nil
			proof.content = r.Marshal()
		},
		"a commitment of something else": func(leaf, _ *member) { leaf.content[1] ^= 1 },
		"a longer leaf":                  func(leaf, _ *member) { leaf.content = append(leaf.content, 0) },
		"another version of leaves":      func(leaf, _ *member) { leaf.content[0] = 2 },
	} {
		again := slices.Clone(list)
		leaf, proof := again[at], again[at+1]
		leaf.content = bytes.Clone(leaf.content)
		change(&leaf, &proof)
		again[at], again[at+1] = leaf, proof
		require.False(t, verify(archive(again), s.Trust).Verified, name)
	}
}

// TestALengthOfAnyNumber in the head of a bundle takes no memory before it is believed.
func TestALengthOfAnyNumber(t *testing.T) {
	s := newStory(t, 1)
	b := headed(t, written(t, contents(t, s, true)), `{"length":4,"single":[],"stream":"evidence/`, `{"length":9007199254740991,"single":[],"stream":"evidence/`)
	var out bytes.Buffer
	require.NotPanics(t, func() { _, _ = bundle.Redact(&out, bytes.NewReader(b), bundle.OfKind(custody.KindReleaseEvidence)) })
	require.False(t, verify(out.Bytes(), s.Trust).Verified)
}
