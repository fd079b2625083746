package bundle_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newStory lives the story up to the retrieved exhibit.
func newStory(t testing.TB, seed byte) *guardtest.Story {
	t.Helper()
	s := sealed(t, seed)
	require.NoError(t, s.Retrieve(t.Context()))
	return s
}

// sealed lives the story up to the sealed exhibit.
func sealed(t testing.TB, seed byte) *guardtest.Story {
	t.Helper()
	return sealedUnder(t, seed, guardtest.ShortPolicy)
}

// sealedUnder is sealed under a policy; empty means the default one.
func sealedUnder(t testing.TB, seed byte, policy string) *guardtest.Story {
	t.Helper()
	s := gathered(t, seed, policy)
	require.NoError(t, s.TakeIn(t.Context()))
	return s
}

// taken lives the story up to the seal of another artifact.
func taken(t testing.TB, artifact []byte) *guardtest.Story {
	t.Helper()
	s := gathered(t, 1, guardtest.ShortPolicy)
	s.Artifact = artifact
	require.NoError(t, s.TakeIn(t.Context()))
	return s
}

// gathered lives the story up to the opened incident and its team.
func gathered(t testing.TB, seed byte, policy string) *guardtest.Story {
	t.Helper()
	ctx := t.Context()
	w, err := guardtest.New(ctx, guardtest.Setup{Seed: seed, Policy: policy})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	s, err := w.Team(ctx)
	require.NoError(t, err)
	return s
}

func contents(t testing.TB, s *guardtest.Story, leaves bool) *bundle.Contents {
	t.Helper()
	c, err := s.Contents(t.Context(), s.Evidence, leaves)
	require.NoError(t, err)
	return c
}

func written(t testing.TB, c *bundle.Contents) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, bundle.Write(&b, c))
	return b.Bytes()
}

func verify(b []byte, trust *custody.Trust) *bundle.Verdict {
	return bundle.Verify(bytes.NewReader(b), trust, bundle.Options{Words: investigate.Words()})
}
