package replay_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/decision"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/custody/replay"
	"github.com/forensic-custody/custody/investigate"
)

// TestTheSameDecisions: what the guard decided is decided again, and comes to the
// state that the service has.
func TestTheSameDecisions(t *testing.T) {
	w := newWorld(t)
	list := w.records(t)
	r := w.audit(t, list, w.Log.Checkpoint())
	require.Empty(t, said(r))
	require.True(t, r.Agrees)
	require.EqualValues(t, len(list), r.Size)
	require.Equal(t, custody.QuorumMet, r.Quorum)
	require.EqualValues(t, len(list)-1, r.Signatures, "all but of the erased one")
	require.Equal(t, r.Signatures, r.Permitted+r.Refused)
	require.EqualValues(t, 4, r.Refused)
	require.EqualValues(t, len(list)-2, r.Brackets, "all but genesis and the erased one")
	require.Len(t, r.Bytes, 1, "the refusal of a seal")
	require.Equal(t, errOtherBytes.Why, r.Bytes[0].What)
	require.Len(t, r.Erased, 3, "the record, and the two orders")
	require.Equal(t, w.erased.Sequence, r.Erased[0].Sequence)
	require.EqualValues(t, len(w.streams(t)), r.Streams)

	service, err := guard.StateDigest(t.Context(), guard.Config{Store: w.Store, Words: investigate.Words(), States: investigate.States(), RowKey: [32]byte{}, Now: w.Now}, w.streams(t))
	require.NoError(t, err)
	require.Equal(t, service, r.State)

	shorter := w.audit(t, list[:len(list)-1], w.signed(t, list[:len(list)-1], custody.TimeOf(w.Now())))
	require.True(t, shorter.Agrees, said(shorter))
	require.NotEqual(t, service, shorter.State, "without the last record")
}

// TestWhatAnOperatorCanForge: whoever has every key of the service, and alters the
// records and computes everything anew, is found out.
func TestWhatAnOperatorCanForge(t *testing.T) {
	w := newWorld(t)
	list := w.records(t)
	now := custody.TimeOf(w.Now())
	service, err := guardtest.Key(1, "the service")
	require.NoError(t, err)
	seal, retrieval := find(t, list, custody.KindSealEvidence, true), find(t, list, custody.KindRetrieveEvidence, true)
	refused := find(t, list, custody.KindRetrieveEvidence, false)
	revoked := find(t, list, custody.KindRevokeRole, true)
	last := len(list) - 1
	at := func(place int, change func(*custody.Record)) func(int, *custody.Record) {
		return func(i int, r *custody.Record) {
			if i == place {
				change(r)
			}
		}
	}
	for _, c := range []struct {
		name   string
		place  int
		change func(*custody.Record)
		says   string
	}{
		{"a refusal is made a permission", refused, func(r *custody.Record) {
			r.Decision = custody.Decision{Permit: true, Policy: r.Decision.Policy, Rules: []string{"retrieve"}}
		}, "was permitted, and should have been refused"},
		{"a permission is made a refusal", retrieval, func(r *custody.Record) {
			r.Decision.Permit, r.Decision.Reason, r.Decision.Rules = false, decision.Hidden, []string{}
		}, "and should have been permitted by"},
		{"a seal is refused as if it were not permitted", seal, func(r *custody.Record) {
			r.Decision.Permit, r.Decision.Reason, r.Decision.Rules = false, decision.Hidden, []string{}
		}, "and should have been permitted by"},
		{"another rule", retrieval, func(r *custody.Record) { r.Decision.Rules = []string{"export"} }, "was decided by the rules"},
		{"another reason", refused, func(r *custody.Record) { r.Decision.Reason = "because" }, "was refused because"},
		{"another policy", retrieval, func(r *custody.Record) { r.Decision.Policy = custody.Hash(nil) }, "another policy than the one in force"},
		{"what was revoked is forgotten", last, func(r *custody.Record) {
			for i := range r.Basis {
				if r.Basis[i].Stream == w.Engineer.ID.Stream() {
					r.Basis[i] = headOf(t, list, revoked)
				}
			}
			r.Decision = custody.Decision{Permit: true, Policy: r.Decision.Policy, Rules: []string{"retrieve"}}
		}, "not decided on the newest state"},
		{"a basis is left out", retrieval, func(r *custody.Record) { r.Basis = r.Basis[1:] }, "its basis lacks"},
		{"the service speaks for the engineer", retrieval, func(r *custody.Record) {
			s, err := r.Envelope.Statement(investigate.Words())
			require.NoError(t, err)
			e, err := custody.Sign(service, s.Header, s.Act)
			require.NoError(t, err)
			r.Envelope = *e
		}, "no key of its actor"},
		{"under the engineer's name", retrieval, func(r *custody.Record) {
			sig := slices.Clone(r.Envelope.Signatures[0].Sig)
			sig[9] ^= 1
			r.Envelope.Signatures = []custody.Signature{{KeyID: r.Envelope.Signatures[0].KeyID, Sig: sig}}
		}, "signature"},
		{"a statement of another log", retrieval, func(r *custody.Record) {
			s, err := r.Envelope.Statement(investigate.Words())
			require.NoError(t, err)
			s.Audience = "custody.example/other"
			e, err := custody.Sign(w.Engineer.Key, s.Header, s.Act)
			require.NoError(t, err)
			r.Envelope = *e
		}, "its statement is for"},
		{"held back and recorded late", last, func(r *custody.Record) { r.Recorded = r.Recorded.Add(time.Hour) }, "after its statement had expired"},
		{"recorded before it was signed", last, func(r *custody.Record) { r.Recorded = r.Recorded.Add(-time.Hour) }, "was signed at"},
		{"a checkpoint that never was", last, func(r *custody.Record) { r.Checkpoint.Root = custody.Hash(nil) }, "with another root than the records make"},
		{"a checkpoint of later", retrieval, func(r *custody.Record) {
			r.Checkpoint.Size = uint64(len(list))
		}, "later than itself"},
		{"an older checkpoint", last, func(r *custody.Record) { r.Checkpoint = custody.Anchor{Root: custody.Hash(nil)} }, "older than one before it"},
		{"a stream that nobody declares", seal, func(r *custody.Record) { r.Stream = "evidence/e-aaaaaaaaaaaaaaaa" }, "that no record declares"},
		{"another stream", refused, func(r *custody.Record) {
			r.Stream = w.Counsel.ID.Stream()
			r.Sequence = 1
			r.Previous = custody.Hash(nil)
		}, "belongs to principal/"},
		{"a stream that does not follow", seal, func(r *custody.Record) {
			r.Declares = append(r.Declares, custody.Declaration{Stream: "evidence/e-aaaaaaaaaaaaaaaa"})
		}, "declares other streams"},
		{"a hidden seal", seal, func(r *custody.Record) { r.Sequence = 5; r.Previous = custody.Hash(nil) }, "there is a gap"},
	} {
		t.Run(c.name, func(t *testing.T) {
			forged := w.forged(t, list, at(c.place, c.change))
			r := w.audit(t, forged, w.signed(t, forged, now))
			require.False(t, r.Agrees)
			require.True(t, slices.ContainsFunc(r.Disagrees, func(d replay.Disagreement) bool { return strings.Contains(d.What, c.says) }), "%q", said(r))
		})
	}
	untouched := w.forged(t, list, func(int, *custody.Record) {})
	require.Equal(t, list, untouched)
}

// TestTheSameStatementAgain: the operator records a statement a second time, as what
// was decided before.
func TestTheSameStatementAgain(t *testing.T) {
	w := newWorld(t)
	list := w.records(t)
	twin := list[len(list)-1]
	r, err := custody.ParseRecord(twin.Bytes)
	require.NoError(t, err)
	r.Previous, r.Sequence = twin.Leaf.Commitment(), r.Sequence+1
	for i := range r.Basis {
		if r.Basis[i].Stream == r.Stream {
			r.Basis[i] = custody.Head{Stream: r.Stream, Commitment: r.Previous, Length: r.Sequence}
		}
	}
	twin.Sequence, twin.Opening = r.Sequence, custody.Opening{1}
	twin.Bytes, err = r.Marshal()
	require.NoError(t, err)
	info, err := w.Store.Stream(t.Context(), r.Stream)
	require.NoError(t, err)
	twin.Leaf = custody.NewLeaf(custody.Commit(twin.Opening, twin.Bytes), info.TagKey.Tag(r.Sequence))
	list = append(list, twin)
	report := w.audit(t, list, w.signed(t, list, custody.TimeOf(w.Now())))
	require.Len(t, report.Disagrees, 1)
	require.Equal(t, "its statement is on record twice", report.Disagrees[0].What)
}

// headOf is the head of a record's stream before it.
func headOf(t testing.TB, list []replay.Record, place int) custody.Head {
	t.Helper()
	r, err := custody.ParseRecord(list[place].Bytes)
	require.NoError(t, err)
	return custody.Head{Stream: r.Stream, Length: r.Sequence, Commitment: r.Previous}
}

// TestLeavesThatAreNoRecords: records that are missing, doubled, moved, or not what
// the log commits to.
func TestLeavesThatAreNoRecords(t *testing.T) {
	w := newWorld(t)
	list := w.records(t)
	retrieval, refused := find(t, list, custody.KindRetrieveEvidence, true), find(t, list, custody.KindRetrieveEvidence, false)
	for _, c := range []struct {
		name   string
		change func([]replay.Record) []replay.Record
		says   string
	}{
		{"one is left out", func(l []replay.Record) []replay.Record { return slices.Delete(l, retrieval, retrieval+1) }, "there is a gap"},
		{"one stands twice", func(l []replay.Record) []replay.Record { return slices.Insert(l, retrieval, l[retrieval]) }, "there is a gap"},
		{"two change places", func(l []replay.Record) []replay.Record {
			l[retrieval], l[refused] = l[refused], l[retrieval]
			return l
		}, "there is a gap"},
		{"one is missing that nobody ordered erased", func(l []replay.Record) []replay.Record {
			l[refused].Bytes, l[refused].Opening = nil, custody.Opening{}
			return l
		}, "no two people have ordered it"},
		{"one says something else than its leaf", func(l []replay.Record) []replay.Record {
			l[refused].Bytes = slices.Clone(l[refused].Bytes)
			l[refused].Bytes[len(l[refused].Bytes)/2] ^= 1
			return l
		}, "not what its leaf in the log commits to"},
		{"under another's digest", func(l []replay.Record) []replay.Record {
			l[refused].Payload = custody.Hash(nil)
			return l
		}, "the digest of another statement"},
		{"a leaf bears another tag", func(l []replay.Record) []replay.Record {
			l[refused].Leaf = custody.NewLeaf(l[refused].Leaf.Commitment(), custody.Tag{1})
			return l
		}, "the tag of another place"},
		{"a tag key is kept back", func(l []replay.Record) []replay.Record {
			i := find(t, l, custody.KindBeginEvidence, true)
			l[i].Opens = nil
			return l
		}, "tag key of evidence/"},
		{"another tag key", func(l []replay.Record) []replay.Record {
			i := find(t, l, custody.KindBeginEvidence, true)
			l[i].Opens = []custody.OpenedStream{{Stream: l[i].Opens[0].Stream, TagKey: custody.TagKey{1}}}
			return l
		}, "not the one that was declared"},
		{"genesis is gone", func(l []replay.Record) []replay.Record {
			l[0].Bytes = nil
			return l
		}, "the genesis record is not here"},
		{"another log's genesis", func(l []replay.Record) []replay.Record {
			l[0] = l[1]
			return l
		}, "is not the genesis record that the trust file names"},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := c.change(slices.Clone(list))
			r := w.audit(t, changed, w.signed(t, changed, custody.TimeOf(w.Now())))
			require.False(t, r.Agrees)
			require.True(t, slices.ContainsFunc(r.Disagrees, func(d replay.Disagreement) bool { return strings.Contains(d.What, c.says) }), "%q", said(r))
		})
	}
	t.Run("the end is missing", func(t *testing.T) {
		_, err := replay.Run(t.Context(), replay.Config{Trust: w.Trust, Words: investigate.Words(), States: investigate.States(), Checkpoint: w.Log.Checkpoint()}, all(list[:len(list)-1]))
		require.ErrorContains(t, err, "the end is missing")
	})
	t.Run("another root is signed", func(t *testing.T) {
		other := slices.Clone(list)
		other[refused].Leaf = custody.NewLeaf(other[refused].Leaf.Commitment(), custody.Tag{1})
		r := w.audit(t, list, w.signed(t, other, custody.TimeOf(w.Now())))
		require.Contains(t, strings.Join(said(r), "\n"), "and the checkpoint says")
	})
	t.Run("signed by nobody", func(t *testing.T) {
		b := slices.Clone(w.Log.Checkpoint())
		b[len(w.Trust.Origin)+2] ^= 1
		_, err := replay.Run(t.Context(), replay.Config{Trust: w.Trust, Words: investigate.Words(), States: investigate.States(), Checkpoint: b}, all(list))
		require.Error(t, err)
	})
}

// TestTheOrdersOfAnErasure: an order whose object is gone is held against what is
// left, and without earlier records at hand everything else is still decided.
func TestTheOrdersOfAnErasure(t *testing.T) {
	w := newWorld(t)
	list := w.records(t)
	now := custody.TimeOf(w.Now())
	second := find(t, list, custody.KindErasedRecord, true) - 1
	forged := w.forged(t, list, func(i int, r *custody.Record) {
		if i != second {
			return
		}
		s, err := r.Envelope.Statement(investigate.Words())
		require.NoError(t, err)
		s.Actor = w.Lead.ID // who has moved it
		e, err := custody.Sign(w.Lead.Key, s.Header, s.Act)
		require.NoError(t, err)
		r.Envelope = *e
	})
	r := w.audit(t, forged, w.signed(t, forged, now))
	require.Contains(t, strings.Join(said(r), "\n"), "was permitted, and should have been refused")

	alone, err := replay.Run(t.Context(), replay.Config{Trust: w.Trust, Words: investigate.Words(), States: investigate.States(), Checkpoint: w.Log.Checkpoint()}, all(list))
	require.NoError(t, err)
	require.True(t, alone.Agrees, said(alone))
}

// TestTimesOfWitnesses: what was recorded lies between what witnesses saw before
// and after, and what they saw is these records.
func TestTimesOfWitnesses(t *testing.T) {
	w := newWorld(t)
	list := w.records(t)
	now := custody.TimeOf(w.Now())
	n := len(list) / 2
	published := func(places map[int][]byte) *replay.Report {
		l := slices.Clone(list)
		for place, c := range places {
			l[place].Published = c
		}
		return w.audit(t, l, w.Log.Checkpoint())
	}
	early := w.signed(t, list[:n], now)
	good := published(map[int][]byte{n: early, n + 1: early, len(list) - 1: w.signed(t, list[:len(list)-2], now)})
	require.True(t, good.Agrees, said(good))
	require.EqualValues(t, 3, good.Checkpoints)

	other := slices.Clone(list[:n])
	other[3].Leaf = custody.NewLeaf(other[3].Leaf.Commitment(), custody.Tag{1})
	for _, c := range []struct {
		places map[int][]byte
		says   string
	}{
		{map[int][]byte{n: w.signed(t, list[:n], now.Add(-time.Hour))}, "a witness had seen it by"},
		{map[int][]byte{n: w.signed(t, list[:n], now.Add(time.Hour))}, "a witness first saw at"},
		{map[int][]byte{n: w.signed(t, other, now)}, "the log was forked"},
		{map[int][]byte{n: early, n + 1: w.signed(t, other, now)}, "the log was forked"},
		{map[int][]byte{n - 1: early}, "of a log that had size"},
		{map[int][]byte{n: []byte("nothing\n")}, "a checkpoint that was published before: "},
	} {
		require.Contains(t, strings.Join(said(published(c.places)), "\n"), c.says)
	}
}

// TestStructure: who has only the tag keys can tell that each leaf has its place.
func TestStructure(t *testing.T) {
	w := newWorld(t)
	list := w.records(t)
	s, err := replay.StructureOf(w.Trust.Origin, all(list))
	require.NoError(t, err)
	b, err := custody.Encode(s)
	require.NoError(t, err)
	s, err = replay.ParseStructure(b)
	require.NoError(t, err)
	for _, r := range list {
		require.NotContains(t, string(b), string(r.Stream))
	}
	leaves := func(list []replay.Record) func(func(custody.Leaf) error) error {
		return func(yield func(custody.Leaf) error) error {
			for _, r := range list {
				if err := yield(r.Leaf); err != nil {
					return err
				}
			}
			return nil
		}
	}
	shape, err := s.Check(w.Trust, w.Log.Checkpoint(), leaves(list))
	require.NoError(t, err)
	require.True(t, shape.Agrees, shape.Disagrees)
	total := uint64(0)
	for _, n := range shape.Streams {
		total += n
	}
	require.EqualValues(t, len(list), total)

	i := find(t, list, custody.KindRetrieveEvidence, true)
	for name, changed := range map[string][]replay.Record{
		"a gap":            slices.Delete(slices.Clone(list), i, i+1),
		"a second history": slices.Insert(slices.Clone(list), i+1, list[i]),
		"a foreign leaf":   slices.Insert(slices.Clone(list), i+1, replay.Record{Leaf: custody.NewLeaf(custody.Hash(nil), custody.Tag{1})}),
	} {
		again := *s
		again.Size = uint64(len(changed))
		shape, err = again.Check(w.Trust, w.signed(t, changed, custody.TimeOf(w.Now())), leaves(changed))
		require.NoError(t, err)
		require.False(t, shape.Agrees, name)
		require.Contains(t, shape.Disagrees[0].What, "stands in none of the streams", name)
	}
	shape, err = s.Check(w.Trust, w.Log.Checkpoint(), leaves(list[:len(list)-1]))
	require.NoError(t, err)
	require.False(t, shape.Agrees)
	_, err = s.Check(w.Trust, w.signed(t, list[:len(list)-1], custody.TimeOf(w.Now())), leaves(list[:len(list)-1]))
	require.ErrorContains(t, err, "set back")
	say(t, w.Story, w.Counsel, &custody.OpenSession{Client: "later"}, true)
	shape, err = s.Check(w.Trust, w.Log.Checkpoint(), leaves(w.records(t)))
	require.NoError(t, err)
	require.True(t, shape.Agrees, "the log goes on")
	require.Equal(t, shape.Size+1, shape.Log)

	hidden := *s
	hidden.Keys = s.Keys[1:]
	shape, err = hidden.Check(w.Trust, w.Log.Checkpoint(), leaves(list))
	require.NoError(t, err)
	require.False(t, shape.Agrees, "a stream is kept back")
	hidden.Keys = append(slices.Clone(s.Keys), s.Keys[0])
	_, err = hidden.Check(w.Trust, w.Log.Checkpoint(), leaves(list))
	require.Error(t, err)
}
