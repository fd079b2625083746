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
		"exhibit.bundle":                {true, true, bundle.ArtifactMatches},
		"exhibit-without-leaves.bundle": {true, false, bundle.ArtifactAbsent},
		"exhibit-broken.bundle":         {false, true, bundle.ArtifactOther},
	} {
		v := verify(vector(t, name), trust)
		require.Equal(t, want.verified, v.Verified, name)
		require.Equal(t, want.complete, v.Complete, name)
		require.Equal(t, want.artifact, v.ArtifactState, name)
	}
}

// FuzzBundle: only the bundles among the vectors verify under their trust file,
// and whatever else comes is refused without a panic.
func FuzzBundle(f *testing.F) {
	trust, err := custody.ParseTrust(vector(f, "trust.json"))
	require.NoError(f, err)
	whole, bare := vector(f, "exhibit.bundle"), vector(f, "exhibit-without-leaves.bundle")
	f.Add(whole)
	f.Add(bare)
	f.Add(vector(f, "exhibit-broken.bundle"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v := verify(b, trust)
		require.Equal(t, v.Verified, len(v.Problems) == 0)
		if v.Verified {
			require.True(t, bytes.Equal(b, whole) || bytes.Equal(b, bare))
		}
		require.NoError(t, v.Write(new(bytes.Buffer)))
	})
}
