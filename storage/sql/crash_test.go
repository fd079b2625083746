package sql_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/deploy/lossyfs"
	"github.com/forensic-custody/custody/storage/sql"
	"github.com/forensic-custody/custody/storage/sqlite"
)

// together is how many records TestVictim commits at a time.
const together = 5

// victimsFile names the environment variable with the database of TestVictim.
const victimsFile = "CUSTODY_TEST_VICTIM"

// TestVictim commits until it dies, and says what was acknowledged. Only the
// tests below run it, in a process of its own.
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
			for side := h.aside(); ; {
				list, proofs := []guard.Stored{}, []guard.Proof{}
				for range together {
					r := side.record(t, name, nil)
					list, proofs = append(list, r), append(proofs, guard.Proof{Payload: r.Payload, Receipt: receiptFor(r)})
				}
				if s.Commit(t.Context(), list) != nil {
					return
				}
				fmt.Printf("committed %s %d\n", name, side.heads[name].Length)
				if s.Prove(t.Context(), proofs) != nil {
					return
				}
				fmt.Printf("proven %s %d\n", name, side.heads[name].Length)
			}
		})
	}
	all.Wait()
}

// A line of the victim says how long a stream is now: "committed" or "proven".
type line struct {
	what   string
	stream custody.Stream
}

// victim runs a victim on the database at path until it has said some lines,
// lets it meet its end, and returns the last length that it said of each kind
// before that.
func victim(t *testing.T, path string, lines int, end func(*os.Process)) map[line]uint64 {
	t.Helper()
	v := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestVictim$")
	v.Env = append(os.Environ(), victimsFile+"="+path)
	out, err := v.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, v.Start())
	said := map[line]uint64{}
	scanner := bufio.NewScanner(out)
	for n := 0; scanner.Scan(); {
		var l line
		var length uint64
		if _, err := fmt.Sscanf(scanner.Text(), "%s %s %d", &l.what, &l.stream, &length); err != nil || n == lines {
			continue // go test says something, too
		}
		said[l] = length
		if n++; n == lines {
			end(v.Process)
		}
	}
	require.NoError(t, scanner.Err())
	require.Error(t, v.Wait())
	require.NotEmpty(t, said)
	return said
}

// TestKill kills a process that commits.
func TestKill(t *testing.T) {
	for _, lines := range []int{1, 20, 150} {
		path := filepath.Join(t.TempDir(), "records.db")
		said := victim(t, path, lines, func(p *os.Process) { require.NoError(t, p.Kill()) })
		requireAcknowledged(t, path, said)
	}
}

// TestPowerLoss pulls the plug on a disk that keeps only what was fsynced.
func TestPowerLoss(t *testing.T) {
	for seed, lines := range []int{1, 20, 150} {
		dir := t.TempDir()
		disk, mounted := filepath.Join(dir, "disk"), filepath.Join(dir, "mnt")
		require.NoError(t, os.Mkdir(disk, 0o700))
		require.NoError(t, os.Mkdir(mounted, 0o700))
		lossy, err := lossyfs.Mount(disk, mounted, int64(seed))
		require.NoError(t, err)
		said := victim(t, filepath.Join(mounted, "records.db"), lines, func(p *os.Process) {
			require.NoError(t, lossy.PowerLoss())
			_ = p.Kill() // it may have ended by itself
		})
		require.NoError(t, lossy.Unmount())
		requireAcknowledged(t, filepath.Join(disk, "records.db"), said)
	}
}

// requireAcknowledged opens what a victim left: all that was acknowledged is
// there, and no half of a list.
func requireAcknowledged(t *testing.T, path string, said map[line]uint64) {
	t.Helper()
	s := openAt(t, path, sql.Options{MustExist: true})
	require.NoError(t, s.Check(t.Context()))
	unproven := uint64(0)
	for _, name := range victims(t, s) {
		info, err := s.Stream(t.Context(), name)
		require.NoError(t, err)
		require.GreaterOrEqual(t, info.Length, said[line{"committed", name}])
		require.GreaterOrEqual(t, info.Proven, said[line{"proven", name}])
		require.Zero(t, info.Length%together)
		require.Zero(t, info.Proven%together)
		requireChain(t, s, name, info)
		unproven += info.Length - info.Proven
	}
	outbox, err := s.Unproven(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, unproven+5, len(outbox), "genesis and what opened the streams are not proven either")
}

// victims returns the streams that a victim commits to.
func victims(t *testing.T, s *sql.Store) (names []custody.Stream) {
	t.Helper()
	list, err := s.Records(t.Context(), custody.PolicyStream, 1, 10, false)
	require.NoError(t, err)
	for _, r := range list {
		names = append(names, r.Opens[0].Stream)
	}
	require.Len(t, names, 4)
	return names
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

	var lists [][]guard.Stored
	acknowledged, failed := make([]uint64, len(streams)), make([]error, len(streams))
	for errors.Join(failed...) == nil {
		lists = nil
		var all sync.WaitGroup
		release := busy(t, s)
		for n, name := range streams {
			list := []guard.Stored{}
			for range together {
				list = append(list, h.record(t, name, nil))
			}
			lists = append(lists, list)
			all.Go(func() {
				if failed[n] = s.Commit(t.Context(), list); failed[n] == nil {
					acknowledged[n] += together
				}
			})
		}
		requireWaiting(t, len(streams))
		release()
		all.Wait()
	}
	for n, name := range streams {
		if failed[n] != nil {
			require.ErrorIs(t, failed[n], sqlite.ErrFull)
		}
		info, err := s.Stream(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, acknowledged[n], info.Length)
		requireChain(t, s, name, info)
	}
	require.NoError(t, os.Remove(ballast))
	for n, list := range lists {
		if failed[n] != nil {
			require.NoError(t, s.Commit(t.Context(), list))
		}
	}
	require.NoError(t, s.Check(t.Context()))
}
