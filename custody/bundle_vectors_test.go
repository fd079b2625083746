package custody_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

// frozen are the vectors of versions that are not written any more. Nothing makes
// them again: they are what somebody has kept.
var frozen = map[string]string{
	"exhibit-v1.bundle":                "286ae5e26f97769bed84ac8bdd1d483debd0068976f80ed1e4a3c65a1f733a76",
	"exhibit-v1-broken.bundle":         "2773dd98a70523cbfbd161e74849c26afc3a3ad7739c3208a803f1bf47b7721d",
	"exhibit-v1-cosigned.bundle":       "d847895cab9110cb057afd09eaa0b8215ca42ce56b284ae813a995ded07ab289",
	"exhibit-v1-without-leaves.bundle": "3d8a2fdfe3513b08e4a06afb97787addb7a71f639698dff86cbb14f57702b760",
}

// TestFrozenVectors: a vector of an older version is what it was.
func TestFrozenVectors(t *testing.T) {
	for name, want := range frozen {
		require.Equal(t, want, custody.Hash(kept(t, name)).Hex(), name)
	}
}

// kept reads a vector.
func kept(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectors, name))
	require.NoError(t, err)
	return b
}

// bundleVectors makes the bundles of the story, and the verdict on each and on
// the frozen ones.
func bundleVectors(t *testing.T, s *guardtest.Story, all map[string][]byte, put func(string, any)) {
	t.Helper()
	judge := func(name string, b []byte) {
		put(name+".verdict.json", bundle.Verify(bytes.NewReader(b), s.Trust, bundle.Options{Words: investigate.Words()}))
	}
	add := func(name string, b []byte) {
		all[name+".bundle"] = b
		judge(name, b)
	}
	whole := func(leaves, artifact bool) []byte {
		c, err := s.Contents(t.Context(), s.Evidence, leaves)
		require.NoError(t, err)
		if artifact {
			c.Artifact, c.Size = bytes.NewReader(s.Artifact), uint64(len(s.Artifact))
		}
		var b bytes.Buffer
		require.NoError(t, bundle.Write(&b, c))
		return b.Bytes()
	}
	add("exhibit", whole(true, true))
	add("exhibit-without-leaves", whole(false, false))
	broken := whole(true, true)
	broken[len(broken)-1024-512] ^= 1 // the first byte of the artifact
	add("exhibit-broken", broken)
	var short bytes.Buffer
	_, err := bundle.Redact(&short, bytes.NewReader(all["exhibit.bundle"]), func(c bundle.Choice) bool {
		return bundle.Others(c) || c.Kind == custody.KindRetrieveEvidence
	})
	require.NoError(t, err)
	add("exhibit-redacted", short.Bytes())
	var some bytes.Buffer
	require.NoError(t, bundle.AddExcerpts(&some, bytes.NewReader(all["exhibit-without-leaves.bundle"]), s.Evidence, bytes.NewReader(s.Artifact), bundle.Stretch{Offset: 5, Length: 3}))
	add("exhibit-excerpt", some.Bytes())
	for _, name := range []string{"exhibit-v1", "exhibit-v1-without-leaves", "exhibit-v1-broken"} {
		judge(name, kept(t, name+".bundle"))
	}
	witnessVectors(t, s, all, put)
}

// stampVectors has the story's log stamped, by an authority that one trust file names.
func stampVectors(t *testing.T, s *guardtest.Story, all map[string][]byte, put func(string, any)) {
	t.Helper()
	a := must[*guardtest.TimeAuthority](t)(guardtest.NewTimeAuthority(7, "Example TSA", custody.QualifiedAuthority))
	all["stamped.checkpoint"] = s.Log.Checkpoint()
	all["stamp.tst"] = must[[]byte](t)(a.Stamp(s.Log.Checkpoint(), custody.TimeOf(s.Now())))
	require.NoError(t, s.Log.Stamp(a, custody.TimeOf(s.Now())))
	trust := *s.Trust
	trust.Authorities = []custody.TimeAuthority{a.Trusted}
	all["trust-authorities.json"] = must[[]byte](t)(trust.Marshal())
	var b bytes.Buffer
	c, err := s.Contents(t.Context(), s.Evidence, true)
	require.NoError(t, err)
	require.NoError(t, bundle.Write(&b, c))
	all["exhibit-stamped.bundle"] = b.Bytes()
	put("exhibit-stamped.verdict.json", bundle.Verify(bytes.NewReader(b.Bytes()), &trust, bundle.Options{Words: investigate.Words()}))
	put("exhibit-stamped-stranger.verdict.json", bundle.Verify(bytes.NewReader(b.Bytes()), s.Trust, bundle.Options{Words: investigate.Words()}))
}

// incidentVectors makes the bundle of the story's incident, after a second item was
// announced.
func incidentVectors(t *testing.T, s *guardtest.Story, all map[string][]byte, put func(string, any)) {
	t.Helper()
	name := must[custody.Name](t)(custody.NewName([]byte("memory.raw")))
	a, err := s.Engineer.Does(t.Context(), "what was running", &custody.BeginEvidence{AtMost: 1 << 30, Exhibit: "EX-2", Incident: s.Incident, Name: name, Type: "memory"})
	require.NoError(t, err)
	require.True(t, a.Permit)
	require.NoError(t, s.Log.Witnessed(custody.TimeOf(s.Now())))
	c, err := s.IncidentContents(t.Context(), s.Incident, true)
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, bundle.Write(&b, c))
	all["incident.bundle"] = b.Bytes()
	put("incident.verdict.json", bundle.Verify(bytes.NewReader(b.Bytes()), s.Trust, bundle.Options{Words: investigate.Words()}))
}

// witnessVectors cosigns the story's log by one of two witnesses: enough for one
// policy, and not for another.
func witnessVectors(t *testing.T, s *guardtest.Story, all map[string][]byte, put func(string, any)) {
	t.Helper()
	list := witnesses(t, "witness.example/w1", "witness.example/w2")
	require.NoError(t, s.Log.Witnessed(custody.TimeOf(s.Now()), list[0]))
	all["cosigned.checkpoint"] = s.Log.Checkpoint()
	var b bytes.Buffer
	c, err := s.Contents(t.Context(), s.Evidence, true)
	require.NoError(t, err)
	require.NoError(t, bundle.Write(&b, c))
	all["exhibit-cosigned.bundle"] = b.Bytes()
	for _, quorum := range []string{"any", "all"} {
		trust := *s.Trust
		trust.Witnesses = policyOf(list, "group w "+quorum+" witness.example/w1 witness.example/w2\nquorum w\n")
		all["trust-"+quorum+".json"] = must[[]byte](t)(trust.Marshal())
		for name, b := range map[string][]byte{"exhibit-cosigned": b.Bytes(), "exhibit-v1-cosigned": kept(t, "exhibit-v1-cosigned.bundle")} {
			put(name+"-"+quorum+".verdict.json", bundle.Verify(bytes.NewReader(b), &trust, bundle.Options{Words: investigate.Words()}))
		}
	}
}
