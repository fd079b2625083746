package bundle_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody/bundle"
)

// TestItemsAreToldByNumber, and each record by its stream, sequence and leaf.
func TestItemsAreToldByNumber(t *testing.T) {
	s := newStory(t, 1)
	v := verify(written(t, contents(t, s, true)), s.Trust)
	require.Empty(t, v.Problems)
	for _, e := range v.Timeline {
		require.Contains(t, text(t, v), fmt.Sprintf("record %s:%d, leaf %d\n", e.Stream, e.Sequence, e.Index))
	}
	nine, ten := *v.Items[0], *v.Items[0]
	nine.Exhibit, ten.Exhibit = "EX-9", "EX-10"
	for _, list := range [][]*bundle.Item{{&nine, &ten}, {&ten, &nine}} {
		v.Items = list
		told := text(t, v)
		require.Less(t, strings.Index(told, "Exhibit     EX-9 "), strings.Index(told, "Exhibit     EX-10 "))
	}
}
