package custody_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/forensic-custody/custody/custody/guard/guardtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newStory lives the story up to the retrieved exhibit.
func newStory(t testing.TB) *guardtest.Story {
	t.Helper()
	ctx := t.Context()
	w, err := guardtest.New(ctx, guardtest.Setup{Origin: "custody.example/demo", Seed: 7, Policy: guardtest.ShortPolicy})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	s, err := w.Team(ctx)
	require.NoError(t, err)
	require.NoError(t, s.TakeIn(ctx))
	require.NoError(t, s.Retrieve(ctx))
	return s
}

// must returns v, or fails the test.
func must[T any](t testing.TB) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		require.NoError(t, err)
		return v
	}
}
