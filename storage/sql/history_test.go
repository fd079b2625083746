package sql_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

// A history makes records that follow one another, as a guard does: it knows
// the head that each stream has once all it made are committed.
type history struct {
	signer custody.Signer
	heads  map[custody.Stream]custody.Head
	keys   map[custody.Stream]custody.TagKey
}

// newHistory has no streams yet.
func newHistory(t testing.TB) *history {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	s, err := custody.NewSigner(key)
	require.NoError(t, err)
	return &history{signer: s, heads: map[custody.Stream]custody.Head{}, keys: map[custody.Stream]custody.TagKey{}}
}

// aside is the same history, to be continued otherwise.
func (h *history) aside() *history {
	return &history{signer: h.signer, heads: maps.Clone(h.heads), keys: maps.Clone(h.keys)}
}

func random[T ~[32]byte]() (b T) {
	_, _ = rand.Read(b[:])
	return b
}

// newStream is the name of a stream that nobody has used.
func newStream() custody.Stream { return custody.NewEvidenceID(random[custody.Digest]()).Stream() }

// genesis opens the two first streams, as the first record of one of them.
func (h *history) genesis(t testing.TB) guard.Stored {
	t.Helper()
	return h.record(t, custody.PolicyStream, nil, custody.IncidentsStream, custody.PolicyStream)
}

// record makes the next record of a stream, decided on the streams of basis,
// both in order, and opens others.
func (h *history) record(t testing.TB, stream custody.Stream, basis []custody.Stream, opens ...custody.Stream) guard.Stored {
	t.Helper()
	now := custody.TimeOf(time.Now())
	e, err := custody.Sign(h.signer, custody.Header{
		Actor: custody.NewPrincipalID(custody.Digest{}), Audience: "custody.example/test",
		Time: now, Expires: now.Add(time.Minute), Nonce: newNonce(),
	}, &custody.OpenSession{Client: "a test"})
	require.NoError(t, err)
	r := &custody.Record{
		Basis: []custody.Head{}, Decision: custody.Decision{Permit: true, Rules: []string{}}, Declares: []custody.Declaration{},
		Envelope: *e, Format: custody.RecordFormat, Recorded: now, Stream: stream,
		Previous: h.heads[stream].Commitment, Sequence: h.heads[stream].Length,
	}
	s := guard.Stored{Stream: stream, Sequence: r.Sequence, Payload: custody.Hash(e.Payload), Opening: random[custody.Opening]()}
	for _, b := range basis {
		r.Basis = append(r.Basis, h.heads[b])
	}
	s.Basis = r.Basis
	for _, o := range opens {
		key := random[custody.TagKey]()
		h.keys[o], h.heads[o] = key, custody.Head{Stream: o}
		s.Opens = append(s.Opens, custody.OpenedStream{Stream: o, TagKey: key})
		r.Declares = append(r.Declares, custody.Declaration{Stream: o, TagKey: key.Digest()})
	}
	s.Record, err = r.Marshal()
	require.NoError(t, err)
	s.Commitment = custody.Commit(s.Opening, s.Record)
	s.Leaf = custody.NewLeaf(s.Commitment, h.keys[stream].Tag(r.Sequence))
	h.heads[stream] = custody.Head{Stream: stream, Length: r.Sequence + 1, Commitment: s.Commitment}
	return s
}

// begin commits the genesis and n streams that it opens besides.
func begin(t testing.TB, s guard.Store, n int) (*history, []custody.Stream) {
	t.Helper()
	h := newHistory(t)
	first := h.genesis(t)
	streams := make([]custody.Stream, n)
	for i := range streams {
		streams[i] = newStream()
	}
	list := []guard.Stored{first}
	for _, name := range streams {
		list = append(list, h.record(t, custody.PolicyStream, nil, name))
	}
	require.NoError(t, s.Commit(t.Context(), list))
	return h, streams
}

// receiptFor is bytes that stand for the receipt of a record.
func receiptFor(r guard.Stored) []byte { return []byte("receipt for " + r.Payload.String()) }

func prove(t testing.TB, s guard.Store, records ...guard.Stored) {
	t.Helper()
	list := []guard.Proof{}
	for _, r := range records {
		list = append(list, guard.Proof{Payload: r.Payload, Receipt: receiptFor(r)})
	}
	require.NoError(t, s.Prove(t.Context(), list))
}

func payloads(list []guard.Stored) []custody.Digest {
	names := []custody.Digest{}
	for _, r := range list {
		names = append(names, r.Payload)
	}
	return names
}

func newNonce() (n custody.Nonce) {
	_, _ = rand.Read(n[:])
	return n
}

func only(r guard.Stored) []guard.Stored { return []guard.Stored{r} }
