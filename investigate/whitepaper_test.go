package investigate_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheTableOfTheWhitePaper has every number once and in order, and each names tests
// that there are, or is open.
func TestTheTableOfTheWhitePaper(t *testing.T) {
	b, err := os.ReadFile("WHITEPAPER.md")
	require.NoError(t, err)
	row := regexp.MustCompile(`(?m)^\| WP-(\d+) \|.*\| ([^|]*) \|$`)
	named := regexp.MustCompile("`([a-z/]+)\\.(Test[A-Za-z0-9]+)`")
	rows := row.FindAllStringSubmatch(string(b), -1)
	require.Len(t, rows, 98)
	for n, r := range rows {
		require.Equal(t, fmt.Sprint(n+1), r[1])
		tests := named.FindAllStringSubmatch(r[2], -1)
		require.Len(t, tests, strings.Count(r[2], "`")/2, "WP-%s: all that is quoted are tests", r[1])
		require.Equal(t, len(tests) == 0, strings.Contains(r[0], "**Open**") && r[2] == "—", "WP-%s is met, or open", r[1])
		for _, x := range tests {
			require.True(t, declares(t, filepath.Join("..", x[1]), x[2]), "WP-%s: %s has no %s", r[1], x[1], x[2])
		}
	}
	for trap := 'a'; trap <= 'h'; trap++ {
		require.Contains(t, string(b), fmt.Sprintf("(T-%c)", trap))
	}
}

// declares says whether a test of a folder has a function of that name.
func declares(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	require.NoError(t, err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		if strings.Contains(string(b), "\nfunc "+name+"(t *testing.T) {") {
			return true
		}
	}
	return false
}
