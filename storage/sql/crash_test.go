package sql_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/storage/sql"
	"github.com/forensic-custody/custody/storage/sqlite"
)

// together is how many records TestVictim commits at a time.
const together = 5

// victimsFile names the environment variable with the database of TestVictim.
const victimsFile = "CUSTODY_TEST_VICTIM"

// TestVictim commits until it is killed, and says what was acknowledged. Only
// TestKill runs it, in a process of its own.
func TestVictim(t *testing.T) {
	path := os.Getenv(victimsFile)
	if path == "" {
		return
	}
	s := openAt(t, path, sql.Options{})
	h, streams := begin(t, s, 4)
	var all sync.WaitGroup
	for _, name := range streams {
		all.Go(func() {
			side := h.aside()
			for {
				list := []guard.Stored{}
				for range together {
					list = append(list, side.record(t, name, nil))
				}
				if s.Commit(t.Context(), list) != nil {
					return
				}
				fmt.Printf("committed %s %d\n", name, side.heads[name].Length)
				prove(t, s, list...)
				fmt.Printf("proven %s %d\n", name, side.heads[name].Length)
			}
		})
	}
	all.Wait()
}

// TestKill kills a process that commits. All that was acknowledged is there,
// and no half of a list.
func TestKill(t *testing.T) {
	for _, lines := range []int{1, 20, 150} {
		path := filepath.Join(t.TempDir(), "records.db")
		said := kill(t, path, lines)
		s := openAt(t, path, sql.Options{MustExist: true})
		require.NoError(t, s.Check(t.Context()))
		open := 5 // genesis, and what opened the streams
		names := map[custody.Stream]bool{}
		for what := range said {
			names[what.stream] = true
		}
		require.NotEmpty(t, names)
		for name := range names {
			info, err := s.Stream(t.Context(), name)
			require.NoError(t, err)
			require.GreaterOrEqual(t, info.Length, said[line{"committed", name}])
			require.GreaterOrEqual(t, info.Proven, said[line{"proven", name}])
			require.Zero(t, info.Length%together)
			require.Zero(t, info.Proven%together)
			requireChain(t, s, name, info)
		}
		list, err := s.Unproven(t.Context())
		require.NoError(t, err)
		for _, r := range list {
			if names[r.Stream] {
				info, err := s.Stream(t.Context(), r.Stream)
				require.NoError(t, err)
				require.GreaterOrEqual(t, r.Sequence, info.Proven)
			} else if r.Stream == custody.PolicyStream {
				open--
			}
		}
		require.Zero(t, open)
	}
}

// line is what a line of the victim is about; its number is a length.
type line struct {
	what   string
	stream custody.Stream
}

// kill runs the victim, kills it after some lines, and returns the last number
// of each kind of line.
func kill(t *testing.T, path string, lines int) map[line]uint64 {
	t.Helper()
	victim := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestVictim$") //nolint:gosec // this test
	victim.Env = append(os.Environ(), victimsFile+"="+path)
	out, err := victim.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, victim.Start())
	said := map[line]uint64{}
	n, scanner := 0, bufio.NewScanner(out)
	for scanner.Scan() {
		var l line
		var length uint64
		if !strings.HasPrefix(scanner.Text(), "committed ") && !strings.HasPrefix(scanner.Text(), "proven ") {
			continue
		}
		_, err := fmt.Sscanf(scanner.Text(), "%s %s %d", &l.what, &l.stream, &length)
		require.NoError(t, err)
		said[l] = length
		if n++; n == lines {
			require.NoError(t, victim.Process.Kill())
		}
	}
	require.NoError(t, scanner.Err())
	require.ErrorContains(t, victim.Wait(), "killed")
	return said
}

// requireChain reads a whole stream, whose records must follow one another and
// be what their commitments say.
func requireChain(t *testing.T, s *sql.Store, name custody.Stream, info guard.StreamInfo) {
	t.Helper()
	list, err := s.Records(t.Context(), name, 0, int(info.Length)+1, false)
	require.NoError(t, err)
	require.Len(t, list, int(info.Length))
	var previous custody.Commitment
	for n, r := range list {
		said, err := custody.ParseRecord(r.Record)
		require.NoError(t, err)
		require.Equal(t, previous, said.Previous)
		require.Equal(t, custody.NewLeaf(custody.Commit(r.Opening, r.Record), info.TagKey.Tag(uint64(n))), r.Leaf)
		require.Equal(t, uint64(n) < info.Proven, r.Receipt != nil)
		previous = r.Commitment
	}
}

// TestFullDisk: when the disk is full calls say so and leave nothing; when
// there is room again they go through.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=6m"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	ballast := filepath.Join(dir, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 3<<20), 0o600))
	s, err := sql.Open(t.Context(), filepath.Join(dir, "records.db"), sql.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	h, streams := begin(t, s, 4)

	acknowledged, refused := make([]uint64, len(streams)), make([][]guard.Stored, len(streams))
	failed := make([]error, len(streams))
	var all sync.WaitGroup
	for n, name := range streams {
		side := h.aside()
		all.Go(func() {
			for failed[n] == nil {
				refused[n] = nil
				for range together {
					refused[n] = append(refused[n], side.record(t, name, nil))
				}
				if failed[n] = s.Commit(t.Context(), refused[n]); failed[n] == nil {
					acknowledged[n] += together
				}
			}
		})
	}
	all.Wait()
	for n, name := range streams {
		require.ErrorIs(t, failed[n], sqlite.ErrFull)
		info, err := s.Stream(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, acknowledged[n], info.Length)
		requireChain(t, s, name, info)
	}
	require.NoError(t, os.Remove(ballast))
	for _, list := range refused {
		require.NoError(t, s.Commit(t.Context(), list))
	}
	require.NoError(t, s.Check(t.Context()))
}
