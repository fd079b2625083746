package monitor

import (
	"encoding/binary"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

// BenchmarkRepeats looks for a repeated tag among 256 new leaves and two million
// before them: what a round costs a monitor of such a log.
func BenchmarkRepeats(b *testing.B) {
	const before, added = 2_000_000, 256
	l, err := openLeaves(filepath.Join(b.TempDir(), "leaves"), 0)
	require.NoError(b, err)
	m := &Monitor{leaves: l, dir: b.TempDir()}
	list := make([]custody.Leaf, 0, 1<<14)
	for i := range uint64(before + added) {
		var tag custody.Tag
		binary.BigEndian.PutUint64(tag[:], i)
		if list = append(list, custody.NewLeaf(custody.Digest(tag), tag)); len(list) == cap(list) {
			require.NoError(b, l.append(list))
			list = list[:0]
		}
	}
	require.NoError(b, l.append(list))
	b.SetBytes((before + added) * custody.LeafSize)
	for b.Loop() {
		r := new(Report)
		require.NoError(b, m.repeats(b.Context(), before, nil, r))
		require.Empty(b, r.Alarms)
	}
	require.NoError(b, l.file.Close())
}
