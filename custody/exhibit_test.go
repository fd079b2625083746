package custody_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

// TestExhibitsAreOrderedAsPeopleCount, whatever order they come in.
func TestExhibitsAreOrderedAsPeopleCount(t *testing.T) {
	want := []string{"", "002", "2", "10", "99999999999999999999999", "100000000000000000000000", "EX", "EX-1", "EX-1a", "EX-02", "EX-2", "EX-3/9", "EX-3/10", "EX-10", "EX-10/1", "EY-1"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, custody.CompareExhibits)
	require.Equal(t, want, got)
	for _, a := range want {
		for _, b := range want {
			require.Equal(t, a == b, custody.CompareExhibits(a, b) == 0, "%q, %q", a, b)
			require.Equal(t, custody.CompareExhibits(a, b) < 0, custody.CompareExhibits(b, a) > 0, "%q, %q", a, b)
		}
	}
}
