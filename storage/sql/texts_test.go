package sql

import (
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestParametersInOrder: SQLite counts $1, $2, … by first appearance and not by
// number, PostgreSQL by number.
func TestParametersInOrder(t *testing.T) {
	for _, text := range append(slices.Clone(writes), reads...) {
		seen := 0
		for _, m := range regexp.MustCompile(`\$(\d+)`).FindAllStringSubmatch(text, -1) {
			n, err := strconv.Atoi(m[1])
			require.NoError(t, err)
			require.LessOrEqual(t, n, seen+1, text)
			seen = max(seen, n)
		}
	}
}
