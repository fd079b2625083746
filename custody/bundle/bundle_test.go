package bundle_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/investigate"
)

func TestABundleVerifies(t *testing.T) {
	s := newStory(t, 1)
	for _, leaves := range []bool{true, false} {
		c := contents(t, s, leaves)
		b := written(t, c)
		v := verify(b, s.Trust)
		require.Empty(t, v.Problems)
		require.True(t, v.Verified)
		require.Equal(t, leaves, v.Complete)
		require.Equal(t, bundle.ArtifactAbsent, v.Items[0].ArtifactState)
		require.Equal(t, "EX-1", v.Items[0].Exhibit)
		require.Equal(t, custody.Hash(s.Artifact), v.Items[0].Artifact.SHA256)
		kinds := []custody.Kind{}
		for _, e := range v.Timeline {
			kinds = append(kinds, e.Kind)
			require.True(t, e.Permitted)
			require.Equal(t, "Ed25519", e.Signature)
		}
		require.Equal(t, []custody.Kind{
			custody.KindBeginEvidence, custody.KindSealEvidence, custody.KindRetrieveEvidence,
			custody.KindReleaseEvidence, custody.KindReceiveEvidence,
		}, kinds)
		require.Equal(t, b, written(t, contents(t, s, leaves)), "the same contents make the same bytes")
	}
}

// TestTheVerdictSaysWhatSigned: a further key of another algorithm is named as
// what it is, where it signed.
func TestTheVerdictSaysWhatSigned(t *testing.T) {
	s := newStory(t, 1)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	further, err := custody.NewSigner(private)
	require.NoError(t, err)
	proof, err := custody.ProvePossession(further, "custody.example/test", string(s.Engineer.ID))
	require.NoError(t, err)
	a, err := s.Engineer.Does(t.Context(), "", &custody.EnrolKey{Key: further.Public().Bytes(), Possession: proof})
	require.NoError(t, err)
	require.True(t, a.Permit, a.Reason)
	s.Engineer.Key = further
	a, err = s.Engineer.Does(t.Context(), "once more", s.Retrieval())
	require.NoError(t, err)
	require.True(t, a.Permit, a.Reason)
	v := verify(written(t, contents(t, s, true)), s.Trust)
	require.Empty(t, v.Problems)
	require.Equal(t, "Ed25519", v.Timeline[1].Signature)
	require.Equal(t, "ECDSA P-256 with SHA-256", v.Timeline[len(v.Timeline)-1].Signature)
}

func TestTheArtifactIsMeasured(t *testing.T) {
	s := newStory(t, 1)
	other := bytes.Clone(s.Artifact)
	other[3] ^= 1
	for _, c := range []struct {
		name  string
		bytes []byte
		want  string
	}{
		{"the sealed bytes", s.Artifact, bundle.ArtifactMatches},
		{"one bit is another", other, bundle.ArtifactOther},
		{"cut off", s.Artifact[:5], bundle.ArtifactOther},
		{"nothing", []byte{}, bundle.ArtifactOther},
	} {
		t.Run("in the bundle: "+c.name, func(t *testing.T) {
			in := contents(t, s, true)
			in.Artifact, in.Size = bytes.NewReader(c.bytes), uint64(len(c.bytes))
			v := verify(written(t, in), s.Trust)
			require.Equal(t, c.want, v.Items[0].ArtifactState)
			require.Equal(t, c.want == bundle.ArtifactMatches, v.Verified)
		})
		t.Run("beside it: "+c.name, func(t *testing.T) {
			b := written(t, contents(t, s, true))
			v := bundle.Verify(bytes.NewReader(b), s.Trust, bundle.Options{Words: investigate.Words(), Artifact: bytes.NewReader(c.bytes)})
			require.Equal(t, c.want, v.Items[0].ArtifactState)
			require.Equal(t, c.want == bundle.ArtifactMatches, v.Verified)
		})
	}
}

// TestAnArtifactIsAdded: a bundle to which its artifact is added is the bundle
// that would have been written with it.
func TestAnArtifactIsAdded(t *testing.T) {
	s := newStory(t, 1)
	c := contents(t, s, true)
	without := written(t, c)
	c.Artifact, c.Size = bytes.NewReader(s.Artifact), uint64(len(s.Artifact))
	with := written(t, c)
	var b bytes.Buffer
	require.NoError(t, bundle.AddArtifact(&b, bytes.NewReader(without), bytes.NewReader(s.Artifact), uint64(len(s.Artifact))))
	require.Equal(t, with, b.Bytes())
	require.Equal(t, bundle.ArtifactMatches, verify(b.Bytes(), s.Trust).Items[0].ArtifactState)
	require.Error(t, bundle.AddArtifact(&b, bytes.NewReader(with), bytes.NewReader(s.Artifact), uint64(len(s.Artifact))), "a second time")
	require.Error(t, bundle.AddArtifact(&b, bytes.NewReader(s.Artifact), bytes.NewReader(s.Artifact), 1), "no bundle")
}

// TestAnArtifactBesideOneInTheBundle is measured too: whoever gives his own copy is told
// about that one.
func TestAnArtifactBesideOneInTheBundle(t *testing.T) {
	s := newStory(t, 1)
	c := contents(t, s, true)
	c.Artifact, c.Size = bytes.NewReader(s.Artifact), uint64(len(s.Artifact))
	b := written(t, c)
	for want, beside := range map[string][]byte{bundle.ArtifactMatches: s.Artifact, bundle.ArtifactOther: []byte("another image")} {
		v := bundle.Verify(bytes.NewReader(b), s.Trust, bundle.Options{Words: investigate.Words(), Artifact: bytes.NewReader(beside)})
		require.Equal(t, want, v.Items[0].ArtifactState)
		require.Equal(t, want == bundle.ArtifactMatches, v.Verified)
	}
	c.Artifact, c.Size = bytes.NewReader([]byte("another image")), 13
	v := bundle.Verify(bytes.NewReader(written(t, c)), s.Trust, bundle.Options{Words: investigate.Words(), Artifact: bytes.NewReader(s.Artifact)})
	require.Equal(t, bundle.ArtifactOther, v.Items[0].ArtifactState, "the one beside it does not make it good")
	require.False(t, v.Verified)
}
