package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/deploy/lossyfs"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/ledger/trillian/trilliantest"
)

// rounds is how often the service is killed: CUSTODY_CHAOS_N, or a few times.
func rounds(t *testing.T) int {
	s := os.Getenv("CUSTODY_CHAOS_N")
	if s == "" {
		return 3
	}
	n, err := strconv.Atoi(s)
	require.NoError(t, err, "CUSTODY_CHAOS_N")
	return n
}

// witness remembers what a service has promised.
type witness struct {
	mu       sync.Mutex
	said     []*client.Said
	sealed   map[custody.EvidenceID][]byte // whose seal was acknowledged
	received map[custody.Digest]int        // bytes that came for each grant
	unproven int                           // statements whose answer never came
}

func (w *witness) saw(s *client.Said, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.unproven++
		return err
	}
	w.said = append(w.said, s)
	return nil
}

func (w *witness) sealedItems() []custody.EvidenceID {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := []custody.EvidenceID{}
	for id := range w.sealed {
		list = append(list, id)
	}
	return list
}

// TestChaosKill kills a loaded service at random moments, again and again.
// Afterwards every promise that anybody was given holds.
func TestChaosKill(t *testing.T) {
	chaos(t, filepath.Join(t.TempDir(), "service"), func(*team) {}, func(w *team, _ uint64) {
		w.kill()
	})
}

// TestChaosPowerLoss does the same, and each time the disk forgets what was not
// synced.
func TestChaosPowerLoss(t *testing.T) {
	top := t.TempDir()
	backing, point := filepath.Join(top, "disk"), filepath.Join(top, "mnt")
	require.NoError(t, os.Mkdir(backing, 0o700))
	require.NoError(t, os.Mkdir(point, 0o700))
	disk, err := lossyfs.Mount(backing, point, 1)
	require.NoError(t, err)
	t.Cleanup(func() { _ = disk.Unmount() })
	chaos(t, filepath.Join(point, "service"), func(*team) {}, func(w *team, seed uint64) {
		require.NoError(t, disk.PowerLoss())
		w.kill()
		require.NoError(t, disk.Unmount())
		unix.Sync()
		disk, err = lossyfs.Mount(backing, point, int64(seed))
		require.NoError(t, err)
	})
}

// TestChaosLogServer keeps the log on a Trillian log server, and kills by turns
// what the service runs on: the log server, the log signer, PostgreSQL, itself.
// It goes on by itself where it was not killed, and otherwise when whoever
// supervises it has started it often enough: the log server has to find
// PostgreSQL again, too.
func TestChaosLogServer(t *testing.T) {
	on := trilliantest.Start(t)
	round := 0
	chaos(t, filepath.Join(t.TempDir(), "service"), func(*team) {}, func(w *team, _ uint64) {
		supervised := func() {
			require.Eventually(t, func() bool { return w.tryStart() == nil }, patience, time.Second)
		}
		victims := [][]*trilliantest.Process{{on.LogServer}, {on.LogSigner}, {on.PostgreSQL}, {}, {on.PostgreSQL, on.LogServer, on.LogSigner}}[round%5]
		for _, v := range victims {
			v.Kill()
		}
		if round%5 > 2 {
			w.kill()
		}
		for _, v := range victims {
			v.Start()
		}
		if round%5 > 2 {
			supervised()
		}
		require.Eventually(t, w.ready, patience, 50*time.Millisecond)
		w.kill() // what was granted to those who are gone is put on record when it starts
		supervised()
		w.reconnect()
		round++
	}, "--trillian", on.Address)
}

func chaos(t *testing.T, dir string, ready func(*team), strike func(*team, uint64), more ...string) {
	w := newTeam(t, dir, 4, more...)
	ready(w)
	promised := &witness{sealed: map[custody.EvidenceID][]byte{}, received: map[custody.Digest]int{}}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := mathrand.New(mathrand.NewPCG(seed, 0))
	for round := range rounds(t) {
		load(t, w, promised, round, time.Duration(100+random.IntN(900))*time.Millisecond, func() { strike(w, seed+uint64(round)) })
		began := time.Now()
		if w.process == nil { // otherwise it has been
			w.start()
			w.reconnect()
		}
		t.Logf("round %d: %d promises, %d without an answer; ready after %s", round, len(promised.said), promised.unproven, time.Since(began))
		checkPromises(t, w, promised)
	}
}

// load lets everybody work until the strike.
func load(t *testing.T, w *team, promised *witness, round int, after time.Duration, strike func()) {
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for n, e := range w.engineers {
		group.Add(1)
		go func() {
			defer group.Done()
			for turn := 0; ctx.Err() == nil; turn++ {
				err := work(ctx, e, w.incident, promised, fmt.Sprintf("EX-%d-%d-%d", round, n, turn))
				var problem *client.Error
				if errors.As(err, &problem) && problem.Status < http.StatusInternalServerError {
					t.Errorf("what everybody may do is refused: %v", err) // and nothing would be tried here
				}
				if err != nil {
					return // the service is gone
				}
			}
		}()
	}
	time.Sleep(after) // under load; the moment of the strike is what is random here
	strike()
	stop()
	group.Wait()
}

// ready says whether the service can put something on record.
func (s *service) ready() bool {
	r, err := http.Get(s.url + "/readyz")
	if err != nil {
		return false
	}
	_ = r.Body.Close()
	return r.StatusCode == http.StatusOK
}

// work takes a small artifact in, and retrieves one that is there.
func work(ctx context.Context, e *person, i custody.IncidentID, promised *witness, exhibit string) error {
	content := bytes.Repeat([]byte(exhibit+" "), 10_000)
	said, err := e.Say(ctx, "chaos", &custody.BeginEvidence{
		AtMost: uint64(len(content)), Exhibit: exhibit, Incident: i, Name: custody.Name{Display: exhibit}, Type: "disk",
	})
	if promised.saw(said, err) != nil {
		return err
	}
	id := custody.NewEvidenceID(said.Payload)
	artifact, err := e.Upload(ctx, id, bytes.NewReader(content), nil)
	if err != nil {
		return err
	}
	said, err = e.Say(ctx, "chaos", &custody.SealEvidence{Acquisition: acquisition(), Artifact: artifact, Evidence: id, Incident: i})
	if promised.saw(said, err) != nil {
		return err
	}
	promised.mu.Lock()
	promised.sealed[id] = content
	promised.mu.Unlock()
	var got counting
	grant, err := e.Retrieve(ctx, "chaos", id, 0, 0, &got, nil)
	if grant != nil && grant.Grant != nil {
		promised.mu.Lock()
		promised.received[grant.Grant.Payload] = got.n
		promised.mu.Unlock()
		if promised.saw(grant.Grant, nil) != nil || grant.Receipt != nil && promised.saw(grant.Receipt, nil) != nil {
			return err
		}
	}
	return err
}

type counting struct{ n int }

func (c *counting) Write(p []byte) (int, error) { c.n += len(p); return len(p), nil }

// checkPromises is the whole invariant.
func checkPromises(t *testing.T, w *team, promised *witness) {
	ctx := context.Background()

	// Every receipt ever given verifies, and the same statement gets it again.
	for _, s := range promised.said {
		leaf, err := s.Receipt.Leaf(s.Raw)
		require.NoError(t, err)
		_, err = s.Receipt.Verify(w.trust, leaf)
		require.NoError(t, err)
		envelope, err := custody.ParseEnvelope(s.Statement)
		require.NoError(t, err)
		again, err := w.engineers[0].Send(ctx, envelope, nil)
		require.NoError(t, err)
		require.Equal(t, string(s.Receipt.Marshal()), string(again.Receipt.Marshal()), "the first receipt")
		require.Equal(t, s.Raw, again.Raw)
	}

	// What was acknowledged is there and whole; what is listed can be had.
	incident, err := w.legal.Incident(ctx, w.incident)
	require.NoError(t, err)
	listed := map[custody.EvidenceID]custody.Digest{}
	for _, e := range incident.Evidence {
		require.True(t, e.Sealed)
		listed[e.ID] = e.Artifact.SHA256
	}
	for id, content := range promised.sealed {
		require.Equal(t, custody.Hash(content), listed[id], "an acknowledged item")
	}
	for id := range listed {
		var got bytes.Buffer
		_, err := w.engineers[0].Retrieve(ctx, "afterwards", id, 0, 0, &got, nil)
		require.NoError(t, err)
		require.Equal(t, listed[id], custody.Hash(got.Bytes()))
	}

	// No byte came without a record, and what became of each grant is on
	// record too, in an unbroken history that a bundle proves.
	granted := map[custody.Digest]bool{}
	for id := range listed {
		require.Eventually(t, func() bool { return settled(ctx, w.legal, id, granted) }, 30*time.Second, 50*time.Millisecond)
	}
	for grant, n := range promised.received {
		require.True(t, n == 0 || granted[grant], "%d bytes came for a grant that is not on record", n)
	}
	for _, id := range promised.sealedItems() {
		var b bytes.Buffer
		require.NoError(t, w.legal.Bundle(ctx, "afterwards", id, true, &b))
		v := bundle.Verify(&b, w.trust, bundle.Options{Words: investigate.Words()})
		require.True(t, v.Verified && v.Complete, "%v", v.Problems)
		break // one is enough: the others stand in the same log
	}
}

// settled says whether every grant of an item has its release on record.
func settled(ctx context.Context, c *person, id custody.EvidenceID, granted map[custody.Digest]bool) bool {
	records, err := c.Records(ctx, id.Stream())
	if err != nil {
		return false
	}
	open := map[custody.Digest]bool{}
	for _, r := range records {
		s, err := r.Record.Envelope.Statement(investigate.Words())
		if err != nil {
			return false
		}
		switch act := s.Act.(type) {
		case *custody.RetrieveEvidence:
			open[s.Payload], granted[s.Payload] = true, true
		case *custody.ReleaseEvidence:
			delete(open, act.Grant)
		}
	}
	return len(open) == 0
}
