package buckettest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Folder returns where the server keeps a bucket's bytes.
func (m *MinIO) Folder(bucket string) string { return filepath.Join(m.data, bucket) }

// Tool finds a program in $CUSTODY_TOOLS, the repository's .tools/bin or the
// path. Without it the test fails.
func Tool(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("CUSTODY_TOOLS")
	if dir == "" {
		dir = filepath.Join(repository(t), ".tools", "bin")
	}
	program := filepath.Join(dir, name)
	if info, err := os.Stat(program); err == nil && info.Mode().IsRegular() {
		return program
	}
	program, err := exec.LookPath(name)
	require.NoError(t, err, "install it with\n\n\tdeploy/tools.sh %s\n", name)
	return program
}
