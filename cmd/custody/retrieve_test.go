package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/api/client"
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

// TestRetrievalBrokenOff: who loses the service on the way is told that what has come
// stays, and how to go on; who was refused, or has nothing yet, is not.
func TestRetrievalBrokenOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "copy.dd")
	p, err := openPart(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.close(false)) })
	const stays = ".part stays: run the same command again to continue"
	require.NotContains(t, p.brokenOff(client.ErrUnreachable).Error(), stays, "nothing has come")
	_, err = p.file.WriteString("retrieved")
	require.NoError(t, err)
	broken := p.brokenOff(client.ErrUnreachable)
	require.ErrorContains(t, broken, path+stays)
	require.Equal(t, exitUnreachable, exitCode(broken))
	require.NotContains(t, p.brokenOff(refusedf("not for you")).Error(), stays)
	require.NotContains(t, (*part)(nil).brokenOff(client.ErrUnreachable).Error(), stays, "to stdout")
}
