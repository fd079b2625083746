package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRetrievedBesideAnother: a file that comes to stand under the name while it is
// being retrieved is not replaced.
func TestRetrievedBesideAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "copy.dd")
	p, err := openPart(path)
	require.NoError(t, err)
	_, err = p.file.WriteString("retrieved")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
	require.ErrorContains(t, p.close(true), "is there by now")
	for name, want := range map[string]string{path: "precious", path + ".part": "retrieved"} {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, want, string(b))
	}

	require.NoError(t, os.Remove(path))
	p, err = openPart(path)
	require.NoError(t, err)
	require.NoError(t, p.close(true))
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "retrieved", string(b))
	require.NoFileExists(t, path+".part")
}
