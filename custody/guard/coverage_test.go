package guard

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

// check says that the ranges are in order and apart.
func (c *coverage) check(t *testing.T) {
	t.Helper()
	for i, r := range c.ranges {
		require.NotZero(t, r.Length)
		require.True(t, i == 0 || c.ranges[i-1].end() < r.Offset, "%v", c.ranges)
	}
}

// TestCoverageIsWhatWasAdded, byte by byte, for ranges in any order.
func TestCoverageIsWhatWasAdded(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var c coverage
		var have [64]bool
		for range 1 + random.IntN(20) {
			r := Range{Offset: random.Uint64N(64)}
			r.Length = random.Uint64N(min(64-r.Offset, 10) + 1)
			c.add(r)
			for n := r.Offset; n < r.end(); n++ {
				have[n] = true
			}
			c.check(t)
		}
		require.False(t, c.forgot)
		for from := range uint64(64) {
			whole := true
			for to := from + 1; to <= 64; to++ {
				whole = whole && have[to-1]
				require.Equal(t, whole, c.whole(Range{Offset: from, Length: to - from}), "%d to %d of %v", from, to, c.ranges)
			}
		}
	}
}

// TestCoverageIsBounded: what has no room is forgotten, never made up.
func TestCoverageIsBounded(t *testing.T) {
	var c coverage
	for n := range uint64(mostRanges + 10) {
		c.add(Range{Offset: 2 * n, Length: 1})
	}
	c.check(t)
	require.Len(t, c.ranges, mostRanges)
	require.True(t, c.forgot)
	for n := range uint64(mostRanges + 10) {
		c.add(Range{Offset: 2*n + 1, Length: 1})
	}
	c.check(t)
	require.True(t, c.whole(Range{Length: 2 * mostRanges}))
	require.False(t, c.whole(Range{Length: 2*mostRanges + 2}), "one in there was forgotten")
	c.add(Range{Length: 2*mostRanges + 20})
	require.True(t, c.whole(Range{Length: 2*mostRanges + 20}), "handed over again")

	var wraps coverage
	wraps.add(Range{Offset: 5, Length: math.MaxUint64})
	require.False(t, wraps.whole(Range{Offset: 5, Length: 1}))
	require.False(t, wraps.whole(Range{Length: 1}))
}

// TestOutcomeOfWhatWasForgotten is unknown where all may have been handed over.
func TestOutcomeOfWhatWasForgotten(t *testing.T) {
	u := &uses{held: map[custody.Digest]*used{}}
	ticket := Ticket{Span: Range{Length: 4 * mostRanges}}
	for _, odd := range []uint64{0, 1} {
		for n := range uint64(2 * mostRanges) {
			require.True(t, u.begin(ticket.Token))
			_, finished := u.end(ticket, []Range{{Offset: 2*n + odd, Length: 1}}, true)
			require.False(t, finished)
			ticket.Begun, ticket.Ended, ticket.Sent = ticket.Begun+1, ticket.Ended+1, ticket.Sent+1
		}
	}
	require.Equal(t, custody.ReleaseUnknown, u.outcome(ticket))
}
