package bundle_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
)

const vectors = "../testdata/vectors"

func vector(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectors, name))
	require.NoError(t, err)
	return b
}

// TestVectorsVerify: the bundles among the vectors lead to what is said of them.
func TestVectorsVerify(t *testing.T) {
	trust, err := custody.ParseTrust(vector(t, "trust.json"))
	require.NoError(t, err)
	for name, want := range map[string]struct {
		verified, complete bool
		artifact           string
	}{
		"exhibit.bundle":                   {true, true, bundle.ArtifactMatches},
		"exhibit-without-leaves.bundle":    {true, false, bundle.ArtifactAbsent},
		"exhibit-redacted.bundle":          {true, true, bundle.ArtifactMatches},
		"exhibit-excerpt.bundle":           {true, false, bundle.ArtifactAbsent},
		"exhibit-broken.bundle":            {false, true, bundle.ArtifactOther},
		"exhibit-v1.bundle":                {true, true, bundle.ArtifactMatches},
		"exhibit-v1-without-leaves.bundle": {true, false, bundle.ArtifactAbsent},
		"exhibit-v1-broken.bundle":         {false, true, bundle.ArtifactOther},
	} {
		v := verify(vector(t, name), trust)
		require.Equal(t, want.verified, v.Verified, name)
		require.Equal(t, want.complete, v.Complete, name)
		require.Equal(t, want.artifact, v.Items[0].ArtifactState, name)
	}
}

// TestTheIncidentAmongTheVectors: its bundle leads to what is said of it.
func TestTheIncidentAmongTheVectors(t *testing.T) {
	trust, err := custody.ParseTrust(vector(t, "trust.json"))
	require.NoError(t, err)
	v := verify(vector(t, "incident.bundle"), trust)
	require.Empty(t, v.Problems)
	require.True(t, v.Complete)
	require.Len(t, v.Items, 2)
}

// FuzzBundle overwrites and cuts off a good bundle at some place: it verifies
// exactly when that changed nothing.
func FuzzBundle(f *testing.F) {
	trust, err := custody.ParseTrust(vector(f, "trust.json"))
	require.NoError(f, err)
	whole := vector(f, "exhibit.bundle")
	f.Add(uint32(0), []byte("bundle.json"), uint32(0))
	f.Add(uint32(512), []byte(`{"artifact":false`), uint32(0))
	f.Add(uint32(124), []byte("77777777777"), uint32(0))
	f.Add(uint32(len(whole)), make([]byte, 512), uint32(1024))
	f.Fuzz(func(t *testing.T, at uint32, patch []byte, cut uint32) {
		b := bytes.Clone(whole[:max(0, len(whole)-int(cut%2048))])
		start := int(at) % (len(b) + 1)
		b = append(b[:start:start], append(bytes.Clone(patch), b[min(len(b), start+len(patch)):]...)...)
		v := verify(b, trust)
		require.Equal(t, bytes.Equal(b, whole), v.Verified)
		require.Equal(t, v.Verified, len(v.Problems) == 0)
		require.NoError(t, v.Write(new(bytes.Buffer)))
	})
}
