package sql_test

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

// contract is what guard.Store says, tried out. open returns a new, empty store.
func contract(t *testing.T, open func(*testing.T) guard.Store) {
	for name, try := range map[string]func(*testing.T, guard.Store){
		"what is committed is read back":                  readBack,
		"a record stands on one before it in the list":    standsOnEarlier,
		"a record in the middle fails the whole list":     failsWhole,
		"a record on an old head of its stream":           staleHead,
		"a record with another previous commitment":       stalePrevious,
		"a record on an old head of its basis":            staleBasis,
		"two on the same heads: one wins":                 raceForHeads,
		"the same statement twice":                        duplicateStatement,
		"a stream declared twice":                         duplicateStream,
		"a stream that nobody declared":                   undeclared,
		"the outbox keeps the order of commit":            outboxOrder,
		"the first receipt stays":                         firstReceipt,
		"a receipt for no record fails the whole list":    receiptForNothing,
		"proven records are the first ones of their kind": provenPrefix,
		"pages":                     pages,
		"a ticket's life":           ticketLife,
		"a failed list earns none":  ticketOfFailed,
		"uses of a ticket at once":  ticketUses,
		"a closed ticket is closed": ticketClosed,
		"an erased record":          erasedRecord,
	} {
		t.Run(name, func(t *testing.T) { try(t, open(t)) })
	}
}

func readBack(t *testing.T, s guard.Store) {
	h := newHistory(t)
	first := h.genesis(t)
	opened := newStream()
	second := h.record(t, custody.IncidentsStream, []custody.Stream{custody.IncidentsStream, custody.PolicyStream}, opened)
	require.NoError(t, s.Commit(t.Context(), []guard.Stored{first}))
	require.NoError(t, s.Commit(t.Context(), []guard.Stored{second}))

	got, err := s.ByPayload(t.Context(), second.Payload)
	require.NoError(t, err)
	require.Equal(t, second, got)
	_, err = s.ByPayload(t.Context(), custody.Hash(nil))
	require.ErrorIs(t, err, custody.ErrUnknown)

	prove(t, s, second)
	got, err = s.ByPayload(t.Context(), second.Payload)
	require.NoError(t, err)
	require.Equal(t, receiptFor(second), got.Receipt)

	list, err := s.Records(t.Context(), custody.PolicyStream, 0, 10, false)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, first.Opens, list[0].Opens)
	require.Equal(t, first.Leaf, list[0].Leaf)

	info, err := s.Stream(t.Context(), opened)
	require.NoError(t, err)
	require.Equal(t, guard.StreamInfo{TagKey: second.Opens[0].TagKey, DeclaredBy: second.Payload}, info)
	info, err = s.Stream(t.Context(), custody.IncidentsStream)
	require.NoError(t, err)
	require.Equal(t, guard.StreamInfo{TagKey: first.Opens[0].TagKey, DeclaredBy: first.Payload, Length: 1, Proven: 1}, info)
	_, err = s.Stream(t.Context(), newStream())
	require.ErrorIs(t, err, custody.ErrUnknown)
}

func standsOnEarlier(t *testing.T, s guard.Store) {
	h, streams := begin(t, s, 1)
	child := newStream()
	list := []guard.Stored{
		h.record(t, streams[0], nil, child),
		h.record(t, child, []custody.Stream{streams[0]}),
		h.record(t, child, slices.Sorted(slices.Values([]custody.Stream{child, streams[0]}))),
		h.record(t, streams[0], []custody.Stream{child}),
	}
	require.NoError(t, s.Commit(t.Context(), list))
	got, err := s.Records(t.Context(), child, 0, 10, false)
	require.NoError(t, err)
	require.Equal(t, payloads(list[1:3]), payloads(got))
}

func failsWhole(t *testing.T, s guard.Store) {
	h, streams := begin(t, s, 2)
	again := h.record(t, streams[1], nil)
	require.NoError(t, s.Commit(t.Context(), []guard.Stored{again}))
	child := newStream()
	list := []guard.Stored{h.record(t, streams[0], nil, child), h.record(t, child, nil), again, h.record(t, streams[0], nil)}
	require.ErrorIs(t, s.Commit(t.Context(), list), guard.ErrDuplicate)

	_, err := s.ByPayload(t.Context(), list[0].Payload)
	require.ErrorIs(t, err, custody.ErrUnknown)
	_, err = s.Stream(t.Context(), child)
	require.ErrorIs(t, err, custody.ErrUnknown)
	info, err := s.Stream(t.Context(), streams[0])
	require.NoError(t, err)
	require.Zero(t, info.Length)
	outbox, err := s.Unproven(t.Context())
	require.NoError(t, err)
	require.NotContains(t, payloads(outbox), list[0].Payload)

	require.NoError(t, s.Commit(t.Context(), []guard.Stored{list[0], list[1], list[3]}), "without it they go in")
}

func staleHead(t *testing.T, s guard.Store) {
	h, streams := begin(t, s, 1)
	late := h.aside().record(t, streams[0], nil)
	require.NoError(t, s.Commit(t.Context(), []guard.Stored{h.record(t, streams[0], nil)}))
	require.ErrorIs(t, s.Commit(t.Context(), []guard.Stored{late}), guard.ErrStale)

	gap := h.aside()
	gap.record(t, streams[0], nil)
	require.ErrorIs(t, s.Commit(t.Context(), []guard.Stored{gap.record(t, streams[0], nil)}), guard.ErrStale, "one too far")
}

func stalePrevious(t *testing.T, s guard.Store) {
	h, streams := begin(t, s, 1)
	other := h.aside()
	other.record(t, streams[0], nil)
	require.NoError(t, s.Commit(t.Context(), []guard.Stored{h.record(t, streams[0], nil)}))
	require.ErrorIs(t, s.Commit(t.Context(), []guard.Stored{other.record(t, streams[0], nil)}), guard.ErrStale,
		"the right sequence upon a record that is not there")
}

func staleBasis(t *testing.T, s guard.Store) {
	h, streams := begin(t, s, 2)
	late := h.aside().record(t, streams[0], []custody.Stream{streams[1]})
	require.NoError(t, s.Commit(t.Context(), []guard.Stored{h.record(t, streams[1], nil)}))
	require.ErrorIs(t, s.Commit(t.Context(), []guard.Stored{late}), guard.ErrStale)

	fork := h.aside()
	fork.heads[streams[1]] = custody.Head{Stream: streams[1], Length: 1, Commitment: custody.Hash([]byte("another"))}
	require.ErrorIs(t, s.Commit(t.Context(), []guard.Stored{fork.record(t, streams[0], []custody.Stream{streams[1]})}), guard.ErrStale,
		"the right length with another commitment")
	require.NoError(t, s.Commit(t.Context(), []guard.Stored{h.record(t, streams[0], []custody.Stream{streams[1]})}))
}

func raceForHeads(t *testing.T, s guard.Store) {
	h, streams := begin(t, s, 2)
	basis := slices.Sorted(slices.Values(streams))
	for range 30 {
		sides := []*history{h.aside(), h.aside(), h.aside(), h.aside()}
		outcome := make([]error, len(sides))
		var ready, done sync.WaitGroup
		ready.Add(len(sides))
		for n, side := range sides {
			r := side.record(t, streams[n%2], basis)
			done.Go(func() {
				ready.Done()
				ready.Wait()
				outcome[n] = s.Commit(t.Context(), []guard.Stored{r})
			})
		}
		done.Wait()
		winner := -1
		for n, err := range outcome {
			if err == nil {
				require.Equal(t, -1, winner, "two won")
				winner, h = n, sides[n]
				continue
			}
			require.ErrorIs(t, err, guard.ErrStale)
		}
		require.NotEqual(t, -1, winner, "nobody won")
	}
}

func duplicateStatement(t *testing.T, s guard.Store) {
	h, streams := begin(t, s, 2)
	other := h.aside()
	first := h.record(t, streams[0], nil)
	require.NoError(t, s.Commit(t.Context(), []guard.Stored{first}))
	require.ErrorIs(t, s.Commit(t.Context(), []guard.Stored{first}), guard.ErrDuplicate, "rather than stale by its own doing")

	elsewhere := sameStatement(t, other, first, streams[1])
	require.ErrorIs(t, s.Commit(t.Context(), []guard.Stored{elsewhere}), guard.ErrDuplicate, "in another stream, at its head")
}

// sameStatement is another record of the statement of r.
func sameStatement(t *testing.T, h *history, r guard.Stored, stream custody.Stream) guard.Stored {
	t.Helper()
	said, err := custody.ParseRecord(r.Record)
	require.NoError(t, err)
	said.Stream, said.Sequence, said.Previous = stream, h.heads[stream].Length, h.heads[stream].Commitment
	r.Stream, r.Sequence = stream, said.Sequence
	r.Record, err = said.Marshal()
	require.NoError(t, err)
	r.Commitment = custody.Commit(r.Opening, r.Record)
	r.Leaf = custody.NewLeaf(r.Commitment, h.keys[stream].Tag(r.Sequence))
	return r
}

func duplicateStream(t *testing.T, s guard.Store) {
	h, streams := begin(t, s, 2)
	before, err := s.Stream(t.Context(), streams[1])
	require.NoError(t, err)
	require.ErrorIs(t, s.Commit(t.Context(), []guard.Stored{h.record(t, streams[0], nil, streams[1])}), guard.ErrDuplicate)
	after, err := s.Stream(t.Context(), streams[1])
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func undeclared(t *testing.T, s guard.Store) {
	h, _ := begin(t, s, 0)
	require.ErrorIs(t, s.Commit(t.Context(), []guard.Stored{h.record(t, newStream(), nil)}), custody.ErrUnknown)
	list, err := s.Records(t.Context(), newStream(), 0, 10, false)
	require.NoError(t, err)
	require.Empty(t, list)
}

func outboxOrder(t *testing.T, s guard.Store) {
	h, streams := begin(t, s, 3)
	list, err := s.Unproven(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 4)
	prove(t, s, list...)
	list, err = s.Unproven(t.Context())
	require.NoError(t, err)
	require.Empty(t, list)

	want := []guard.Stored{}
	for n := range 12 {
		if n%4 == 0 {
			want = append(want, h.record(t, streams[n*7%3], []custody.Stream{custody.PolicyStream}, newStream()))
			continue
		}
		want = append(want, h.record(t, streams[n*7%3], nil))
	}
	require.NoError(t, s.Commit(t.Context(), want[:5]))
	require.NoError(t, s.Commit(t.Context(), want[5:]))
	prove(t, s, want[2], want[6])
	want = slices.Delete(slices.Delete(want, 6, 7), 2, 3)
	list, err = s.Unproven(t.Context())
	require.NoError(t, err)
	require.Equal(t, payloads(want), payloads(list))
	for n, r := range list {
		require.Equal(t, want[n].Record, r.Record)
		require.Equal(t, want[n].Opens, r.Opens)
		require.ElementsMatch(t, want[n].Basis, r.Basis)
		require.Nil(t, r.Receipt)
	}
	more := h.record(t, streams[0], nil)
	require.NoError(t, s.Commit(t.Context(), []guard.Stored{more}))
	list, err = s.Unproven(t.Context())
	require.NoError(t, err)
	require.Equal(t, more.Payload, list[len(list)-1].Payload)
}

func firstReceipt(t *testing.T, s guard.Store) {
	h, streams := begin(t, s, 1)
	r := h.record(t, streams[0], nil)
	require.NoError(t, s.Commit(t.Context(), []guard.Stored{r}))
	prove(t, s, r)
	require.NoError(t, s.Prove(t.Context(), []guard.Proof{{Payload: r.Payload, Receipt: []byte("another")}}))
	got, err := s.ByPayload(t.Context(), r.Payload)
	require.NoError(t, err)
	require.Equal(t, receiptFor(r), got.Receipt)
	info, err := s.Stream(t.Context(), streams[0])
	require.NoError(t, err)
	require.EqualValues(t, 1, info.Proven)
}

func receiptForNothing(t *testing.T, s guard.Store) {
	err := s.Prove(t.Context(), []guard.Proof{{Payload: custody.Hash(nil), Receipt: []byte("x")}})
	require.ErrorIs(t, err, custody.ErrUnknown)
}

func provenPrefix(t *testing.T, s guard.Store) {
	h, streams := begin(t, s, 1)
	var list []guard.Stored
	for range 6 {
		list = append(list, h.record(t, streams[0], nil))
	}
	require.NoError(t, s.Commit(t.Context(), list))
	for n := range list {
		prove(t, s, list[n])
		got, err := s.Records(t.Context(), streams[0], 0, 10, true)
		require.NoError(t, err)
		require.Equal(t, payloads(list[:n+1]), payloads(got))
		require.Equal(t, receiptFor(list[n]), got[n].Receipt)
		all, err := s.Records(t.Context(), streams[0], 0, 10, false)
		require.NoError(t, err)
		require.Len(t, all, len(list))
		info, err := s.Stream(t.Context(), streams[0])
		require.NoError(t, err)
		require.EqualValues(t, n+1, info.Proven)
		require.EqualValues(t, len(list), info.Length)
	}
}

func pages(t *testing.T, s guard.Store) {
	h, streams := begin(t, s, 2)
	var list []guard.Stored
	for range 10 {
		list = append(list, h.record(t, streams[0], nil), h.record(t, streams[1], nil))
	}
	require.NoError(t, s.Commit(t.Context(), list))
	want := []custody.Digest{}
	for n := 0; n < len(list); n += 2 {
		want = append(want, list[n].Payload)
	}
	for _, c := range []struct {
		from     uint64
		limit, n int
	}{{0, 10, 10}, {0, 3, 3}, {3, 3, 3}, {9, 3, 1}, {10, 3, 0}, {math.MaxUint64, 3, 0}, {0, 0, 0}} {
		got, err := s.Records(t.Context(), streams[0], c.from, c.limit, false)
		require.NoError(t, err)
		require.Len(t, got, c.n)
		if c.n > 0 {
			require.Equal(t, want[c.from:int(c.from)+c.n], payloads(got))
		}
	}
}

// earned commits a record that earns a ticket for it, and returns that.
func earned(t *testing.T, s guard.Store, h *history, stream custody.Stream) guard.Ticket {
	t.Helper()
	r := h.record(t, stream, nil)
	r.Ticket = newTicket(r)
	require.NoError(t, s.Commit(t.Context(), only(r)))
	return *r.Ticket
}

func newTicket(r guard.Stored) *guard.Ticket {
	return &guard.Ticket{
		Token: random[custody.Digest](), Grant: r.Payload,
		Principal: custody.NewPrincipalID(random[custody.Digest]()), Key: random[custody.KeyID](),
		Evidence: custody.NewEvidenceID(random[custody.Digest]()),
		Span:     guard.Range{Offset: 1 << 40, Length: 1 << 33},
		Expires:  time.Date(2026, 11, 23, 20, 0, 0, 123456000, time.UTC),
	}
}

func ticketLife(t *testing.T, s guard.Store) {
	h, streams := begin(t, s, 1)
	_, err := s.BeginUse(t.Context(), random[custody.Digest]())
	require.ErrorIs(t, err, custody.ErrUnknown)
	k := earned(t, s, h, streams[0])
	open, err := s.OpenTickets(t.Context())
	require.NoError(t, err)
	require.Equal(t, []guard.Ticket{k}, open)

	used, err := s.BeginUse(t.Context(), k.Token)
	require.NoError(t, err)
	k.Begun = 1
	require.Equal(t, k, used)
	require.NoError(t, s.EndUse(t.Context(), k.Grant, 1<<33))
	open, err = s.OpenTickets(t.Context())
	require.NoError(t, err)
	k.Ended, k.Sent = 1, 1<<33
	require.Equal(t, []guard.Ticket{k}, open)
}

func ticketOfFailed(t *testing.T, s guard.Store) {
	h, streams := begin(t, s, 1)
	r := h.record(t, streams[0], nil)
	r.Ticket = newTicket(r)
	require.ErrorIs(t, s.Commit(t.Context(), []guard.Stored{r, r}), guard.ErrDuplicate)
	_, err := s.BeginUse(t.Context(), r.Ticket.Token)
	require.ErrorIs(t, err, custody.ErrUnknown)
	open, err := s.OpenTickets(t.Context())
	require.NoError(t, err)
	require.Empty(t, open)
}

func ticketUses(t *testing.T, s guard.Store) {
	h, streams := begin(t, s, 1)
	k := earned(t, s, h, streams[0])
	const uses = 20
	var all sync.WaitGroup
	failed := make(chan error, uses)
	for range uses {
		all.Go(func() {
			if _, err := s.BeginUse(t.Context(), k.Token); err != nil {
				failed <- err
				return
			}
			failed <- s.EndUse(t.Context(), k.Grant, 5)
		})
	}
	all.Wait()
	for range uses {
		require.NoError(t, <-failed)
	}
	open, err := s.OpenTickets(t.Context())
	require.NoError(t, err)
	k.Begun, k.Ended, k.Sent = uses, uses, uses*5
	require.Equal(t, []guard.Ticket{k}, open)
}

func ticketClosed(t *testing.T, s guard.Store) {
	h, streams := begin(t, s, 1)
	k, other := earned(t, s, h, streams[0]), earned(t, s, h, streams[0])
	_, err := s.BeginUse(t.Context(), k.Token)
	require.NoError(t, err)
	require.NoError(t, s.CloseTicket(t.Context(), k.Grant))
	require.NoError(t, s.EndUse(t.Context(), k.Grant, 7), "a use that was under way ends")
	require.NoError(t, s.CloseTicket(t.Context(), k.Grant))
	_, err = s.BeginUse(t.Context(), k.Token)
	require.ErrorIs(t, err, custody.ErrUnknown)
	open, err := s.OpenTickets(t.Context())
	require.NoError(t, err)
	require.Equal(t, []guard.Ticket{other}, open)
}

// erasedRecord: what it disclosed is gone, its place and its digest stay, and so
// does what is not erased.
func erasedRecord(t *testing.T, s guard.Store) {
	h, streams := begin(t, s, 1)
	first, second := h.record(t, streams[0], nil), h.record(t, streams[0], nil)
	second.Erases = &guard.Erasing{Order: second.Payload, Stream: streams[0], Sequence: first.Sequence}
	require.NoError(t, s.Commit(t.Context(), []guard.Stored{first, second}))
	open, err := s.Erasures(t.Context())
	require.NoError(t, err)
	require.Equal(t, []guard.Erasing{*second.Erases}, open)
	e := guard.Erased{Stream: streams[0], Sequence: first.Sequence, Mark: [32]byte{1}, Receipt: []byte("what is left")}
	require.ErrorIs(t, s.Erase(t.Context(), e), custody.ErrUnknown, "it is not proven")
	prove(t, s, first, second)
	for range 2 {
		require.NoError(t, s.Erase(t.Context(), e))
		got, err := s.ByPayload(t.Context(), first.Payload)
		require.NoError(t, err)
		require.True(t, got.Erased())
		require.Equal(t, guard.Stored{
			Stream: streams[0], Sequence: first.Sequence, Payload: first.Payload, Commitment: first.Commitment, Leaf: first.Leaf,
			Mark: e.Mark, Receipt: e.Receipt,
		}, got)
		list, err := s.Records(t.Context(), streams[0], 0, 10, true)
		require.NoError(t, err)
		require.Equal(t, payloads([]guard.Stored{first, second}), payloads(list)[len(list)-2:])
	}
	require.ErrorIs(t, s.Commit(t.Context(), []guard.Stored{first}), guard.ErrDuplicate, "it is not recorded again")
	e.Sequence = 1000
	require.ErrorIs(t, s.Erase(t.Context(), e), custody.ErrUnknown)
	require.NoError(t, s.EndErasure(t.Context(), second.Payload))
	open, err = s.Erasures(t.Context())
	require.NoError(t, err)
	require.Empty(t, open)
}
