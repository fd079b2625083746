package sql_test

import (
	"context"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/storage/sql"
	"github.com/forensic-custody/custody/storage/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// busy keeps the writer busy until release is called.
func busy(t *testing.T, s *sql.Store) (release func()) {
	t.Helper()
	begun, end, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() { done <- s.Busy(func() { close(begun); <-end }) }()
	<-begun
	return func() {
		close(end)
		require.NoError(t, <-done)
	}
}

// requireWaiting waits until n calls wait for the writer, which is busy.
func requireWaiting(t *testing.T, n int) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	require.Eventually(t, func() bool {
		all := string(stacks[:runtime.Stack(stacks, true)])
		return strings.Count(all, "sql.(*Store).write(") == n+1
	}, time.Minute, time.Millisecond)
}

// TestFailureLeavesOthers: calls that wait together succeed and fail each by
// itself.
func TestFailureLeavesOthers(t *testing.T) {
	s := openNew(t)
	h, streams := begin(t, s, 40)
	for range 5 {
		before, err := s.Unproven(t.Context())
		require.NoError(t, err)
		outcome, good := make([]error, len(streams)), []custody.Digest{}
		var all sync.WaitGroup
		release := busy(t, s)
		for n, name := range streams {
			var list []guard.Stored
			switch side := h.aside(); n % 4 {
			case 1: // its second record stands on nothing
				list = only(side.record(t, name, nil))
				side.record(t, name, nil)
				list = append(list, side.record(t, name, nil))
			case 2:
				list = slices.Repeat(only(side.record(t, name, nil)), 2)
			default:
				list = only(h.record(t, name, nil))
				good = append(good, list[0].Payload)
			}
			all.Go(func() { outcome[n] = s.Commit(t.Context(), list) })
		}
		requireWaiting(t, len(streams))
		release()
		all.Wait()
		for n, err := range outcome {
			switch n % 4 {
			case 1:
				require.ErrorIs(t, err, guard.ErrStale)
			case 2:
				require.ErrorIs(t, err, guard.ErrDuplicate)
			default:
				require.NoError(t, err)
			}
		}
		after, err := s.Unproven(t.Context())
		require.NoError(t, err)
		require.ElementsMatch(t, good, payloads(after[len(before):]))
	}
}

// TestWaitingIsCalledOff: a call whose context ends while it waits changes
// nothing, and does not wait for the others.
func TestWaitingIsCalledOff(t *testing.T) {
	s := openNew(t)
	h, streams := begin(t, s, 1)
	release := busy(t, s)
	list := only(h.aside().record(t, streams[0], nil))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.Commit(ctx, list), context.DeadlineExceeded)
	release()
	require.NoError(t, s.Commit(t.Context(), only(h.record(t, streams[0], nil))), "the head has not moved")
}

func TestEveryCallHonoursItsContext(t *testing.T) {
	s := openNew(t)
	h, streams := begin(t, s, 1)
	k, r, u := earned(t, s, h, streams[0]), h.record(t, streams[0], nil), newUpload()
	require.NoError(t, s.AddUpload(t.Context(), u))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"Commit":      func() error { return s.Commit(ctx, only(r)) },
		"Prove":       func() error { return s.Prove(ctx, nil) },
		"Unproven":    func() error { _, err := s.Unproven(ctx); return err },
		"ByPayload":   func() error { _, err := s.ByPayload(ctx, r.Payload); return err },
		"Records":     func() error { _, err := s.Records(ctx, streams[0], 0, 1, false); return err },
		"Stream":      func() error { _, err := s.Stream(ctx, streams[0]); return err },
		"BeginUse":    func() error { _, err := s.BeginUse(ctx, k.Token); return err },
		"EndUse":      func() error { return s.EndUse(ctx, k.Grant, 0) },
		"OpenTickets": func() error { _, err := s.OpenTickets(ctx); return err },
		"CloseTicket": func() error { return s.CloseTicket(ctx, k.Grant) },
		"AddUpload":   func() error { return s.AddUpload(ctx, newUpload()) },
		"Upload":      func() error { _, err := s.Upload(ctx, u.Evidence); return err },
		"AddChunk": func() error {
			return s.AddChunks(ctx, u.Evidence, sql.Chunk{Index: 0, Digest: custody.Hash(nil), Length: 1, Version: ""})
		},
		"Chunks":        func() error { _, err := s.Chunks(ctx, u.Evidence, 0, 1); return err },
		"SealUpload":    func() error { return s.SealUpload(ctx, u.Evidence) },
		"SealedUploads": func() error { _, err := s.SealedUploads(ctx); return err },
		"RemoveUpload":  func() error { return s.RemoveUpload(ctx, u.Evidence) },
		"Check":         func() error { return s.Check(ctx) },
		"Erasures":      func() error { _, err := s.Erasures(ctx); return err },
		"Erase":         func() error { return s.Erase(ctx, guard.Erased{Stream: streams[0]}) },
		"EndErasure":    func() error { return s.EndErasure(ctx, r.Payload) },
	} {
		require.ErrorIs(t, call(), context.Canceled, name)
	}
}

// TestLockedByAnother: a call waits for another process to be done writing.
func TestLockedByAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.db")
	s := openAt(t, path, sql.Options{})
	h, streams := begin(t, s, 1)
	other, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.NoError(t, err)
	tx, err := other.Write.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	outcome := make(chan error, 1)
	go func() { outcome <- s.Commit(t.Context(), only(h.record(t, streams[0], nil))) }()
	select {
	case err := <-outcome:
		require.Fail(t, "it did not wait", "%v", err)
	case <-time.After(50 * time.Millisecond):
	}
	require.NoError(t, tx.Rollback())
	require.NoError(t, <-outcome)
	require.NoError(t, other.Close())
}

// TestClose: what is being written is finished; what waits and what comes later
// fails.
func TestClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.db")
	s := openAt(t, path, sql.Options{})
	h, streams := begin(t, s, 1)
	r := h.record(t, streams[0], nil)
	release := busy(t, s)
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	require.Eventually(t, func() bool { return s.Commit(t.Context(), only(r)) != nil }, time.Minute, time.Millisecond)
	select {
	case err := <-closed:
		require.Fail(t, "it closed under the writer", "%v", err)
	case <-time.After(50 * time.Millisecond):
	}
	release()
	require.NoError(t, <-closed)
	require.Error(t, s.Commit(t.Context(), only(r)))
	require.NoError(t, s.Close())
	s = openAt(t, path, sql.Options{MustExist: true})
	require.NoError(t, s.Commit(t.Context(), only(r)))
}

// TestRefusesARowOfAnotherRecord: nothing is kept under a name that it does not
// bear itself.
func TestRefusesARowOfAnotherRecord(t *testing.T) {
	s := openNew(t)
	h, streams := begin(t, s, 2)
	for name, alter := range map[string]func(*guard.Stored){
		"stream":     func(r *guard.Stored) { r.Stream = streams[1] },
		"sequence":   func(r *guard.Stored) { r.Sequence++ },
		"payload":    func(r *guard.Stored) { r.Payload[0]++ },
		"basis":      func(r *guard.Stored) { r.Basis = nil },
		"commitment": func(r *guard.Stored) { r.Commitment[0]++ },
		"record":     func(r *guard.Stored) { r.Record = r.Record[:len(r.Record)-1] },
		"opens":      func(r *guard.Stored) { r.Opens = nil },
		"ticket":     func(r *guard.Stored) { r.Ticket = newTicket(guard.Stored{}) },
		"tag key":    func(r *guard.Stored) { r.Opens[0].TagKey[0]++ },
	} {
		r := h.aside().record(t, streams[0], []custody.Stream{custody.PolicyStream}, newStream())
		alter(&r)
		err := s.Commit(t.Context(), only(r))
		require.ErrorContains(t, err, "record", name)
		_, err = s.ByPayload(t.Context(), r.Payload)
		require.ErrorIs(t, err, custody.ErrUnknown, name)
	}
}
