package trillian_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"k8s.io/klog/v2"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/ledger/enginetest"
	"github.com/forensic-custody/custody/ledger/trillian"
)

// The environment that makes the test binary a victim: a program that fills
// the log in a file, beginning with an entry, until it is killed.
const (
	victimFile  = "ENGINE_VICTIM_FILE"
	victimStart = "ENGINE_VICTIM_START"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(victimFile); path != "" {
		fmt.Fprintln(os.Stderr, victim(path, os.Getenv(victimStart)))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// victim prints "queued <n>" once n entries are queued, and "head <n> <root>"
// once a head is known. It integrates after every third batch.
func victim(path, start string) error {
	ctx := context.Background()
	n, err := strconv.ParseUint(start, 10, 64)
	if err != nil {
		return err
	}
	e, err := trillian.Open(ctx, path)
	if err != nil {
		return err
	}
	klog.Info("Trillian says something")
	for batch := 1; ; batch++ {
		size := uint64(1 + batch*7%20)
		if err := e.Queue(ctx, enginetest.Entries(n, n+size)); err != nil {
			return err
		}
		n += size
		fmt.Println("queued", n)
		if batch%3 > 0 {
			continue
		}
		h, err := e.Integrate(ctx)
		if err != nil {
			return err
		}
		fmt.Println("head", h.Size, h.Root)
	}
}

// kill lets a victim loose on the log for so many acknowledgements and kills
// it: somewhere in the queueing or integrating that comes next. It returns how
// many entries were acknowledged and every head that was.
func kill(t *testing.T, path string, start uint64, acknowledgements int) (queued uint64, heads []ledger.Head) {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimFile+"="+path, fmt.Sprint(victimStart, "=", start))
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	queued = start
	for lines, seen := bufio.NewScanner(out), 0; lines.Scan(); seen++ {
		if seen == acknowledgements {
			require.NoError(t, cmd.Process.Kill())
		}
		var size uint64
		var root string
		if _, err := fmt.Sscanf(lines.Text(), "queued %d", &size); err == nil {
			queued = size
			continue
		}
		_, err := fmt.Sscanf(lines.Text(), "head %d %s", &size, &root)
		require.NoError(t, err, lines.Text())
		d, err := custody.ParseDigest(root)
		require.NoError(t, err)
		heads = append(heads, ledger.Head{Size: size, Root: d})
	}
	require.ErrorContains(t, cmd.Wait(), "signal: killed", "%s", &stderr)
	require.Empty(t, stderr.String(), "Trillian is to be silent")
	return queued, heads
}

// TestKilled: whatever was acknowledged before a kill -9 is there after it.
func TestKilled(t *testing.T) {
	path := place(t)
	chance := rand.New(rand.NewPCG(1, 2))
	var queued uint64
	for range 15 {
		var heads []ledger.Head
		queued, heads = kill(t, path, queued, 1+chance.IntN(25))
		for _, h := range heads {
			require.Equal(t, enginetest.Root(t, enginetest.Entries(0, h.Size)), h.Root)
		}
		e := open(t, path)
		before, err := e.Head(t.Context())
		require.NoError(t, err)
		if len(heads) > 0 {
			require.GreaterOrEqual(t, before.Size, heads[len(heads)-1].Size)
		}
		after, err := e.Integrate(t.Context())
		require.NoError(t, err)
		require.GreaterOrEqual(t, after.Size, queued, "acknowledged and lost")
		enginetest.Holds(t, e, enginetest.Entries(0, after.Size))
		require.NoError(t, e.Close())
	}
}
