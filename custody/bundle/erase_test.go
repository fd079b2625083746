package bundle_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

// erasing is the order to erase the receipt of the story's retrieval.
func erasing(t testing.TB, s *guardtest.Story) *custody.EraseRecord {
	t.Helper()
	list, err := s.Store.Records(t.Context(), s.Evidence.Stream(), 0, 1000, true)
	require.NoError(t, err)
	for _, stored := range list {
		r, err := custody.ParseRecord(stored.Record)
		require.NoError(t, err)
		said, err := r.Envelope.Statement(investigate.Words())
		require.NoError(t, err)
		if act, ok := said.Act.(*custody.ReceiveEvidence); ok {
			return &custody.EraseRecord{
				Authority: "request 12/26", Commitment: stored.Commitment, Grant: act.Grant, Sequence: r.Sequence,
				Stream: s.Evidence.Stream(), Was: custody.KindReceiveEvidence,
			}
		}
	}
	require.Fail(t, "no receipt")
	return nil
}

// erasedStory is a story with one record erased.
func erasedStory(t testing.TB) (*guardtest.Story, *custody.EraseRecord) {
	t.Helper()
	s := newStory(t, 1)
	require.NoError(t, s.Others(t.Context()))
	act := erasing(t, s)
	second := *act
	second.Seconds = says(t, s, s.Lead, act)
	says(t, s, s.Counsel, &second)
	require.Eventually(t, func() bool {
		open, err := s.Store.Erasures(t.Context())
		require.NoError(t, err)
		return len(open) == 0
	}, 10*time.Second, time.Millisecond)
	return s, &second
}

// TestABundleWithAnErasedRecord verifies, and says by whose order.
func TestABundleWithAnErasedRecord(t *testing.T) {
	s, act := erasedStory(t)
	for _, leaves := range []bool{true, false} {
		c := contents(t, s, leaves)
		b := written(t, c)
		v := verify(b, s.Trust)
		require.Empty(t, v.Problems)
		require.Equal(t, leaves, v.Complete, "its leaf is there")
		require.Len(t, v.Erased, 1)
		require.Equal(t, bundle.Erased{
			Stream: act.Stream, Sequence: act.Sequence, Index: v.Erased[0].Index, Was: custody.KindReceiveEvidence,
			By: []bundle.Orderer{{ID: s.Lead.ID, Name: "Lena Lead"}, {ID: s.Counsel.ID, Name: "Clara Counsel"}},
			At: v.Erased[0].At, Authority: "request 12/26", Certified: true,
		}, v.Erased[0])
		var text strings.Builder
		require.NoError(t, v.Write(&text))
		require.Contains(t, text.String(), "by order of Lena Lead (p-")
		require.Contains(t, text.String(), "under the authority of request 12/26")

		var with bytes.Buffer
		require.NoError(t, bundle.AddArtifact(&with, bytes.NewReader(b), bytes.NewReader(s.Artifact), uint64(len(s.Artifact))))
		v = verify(with.Bytes(), s.Trust)
		require.Empty(t, v.Problems)
		require.Equal(t, bundle.ArtifactMatches, v.Items[0].ArtifactState)
	}
}

// TestOneWhoKeptWhatIsErased can show it: it is what the log has.
func TestOneWhoKeptWhatIsErased(t *testing.T) {
	s := newStory(t, 1)
	require.NoError(t, s.Others(t.Context()))
	kept := contents(t, s, true)
	act := erasing(t, s)
	second := *act
	second.Seconds = says(t, s, s.Lead, act)
	says(t, s, s.Counsel, &second)
	require.Eventually(t, func() bool {
		open, err := s.Store.Erasures(t.Context())
		require.NoError(t, err)
		return len(open) == 0
	}, 10*time.Second, time.Millisecond)
	require.Empty(t, verify(written(t, kept), s.Trust).Problems, "a bundle of before")
	c := contents(t, s, true)
	i := itemIn(c, s)
	before := kept.Streams[itemIn(kept, s)].Records[act.Sequence]
	c.Streams[i].Records[act.Sequence].Bytes = before.Bytes
	c.Streams[i].Records[act.Sequence].Receipt.Extra = before.Receipt.Extra
	v := verify(written(t, c), s.Trust)
	require.Empty(t, v.Problems)
	require.Len(t, v.Warnings, 1)
	require.Contains(t, v.Warnings[0].What, "somebody has kept it")
}

func itemIn(c *bundle.Contents, s *guardtest.Story) int {
	return slices.IndexFunc(c.Streams, func(st bundle.Stream) bool { return st.Name == s.Evidence.Stream() })
}

// without takes a record's bytes out of a bundle, as if it were erased.
func without(c *bundle.Contents, stream int, sequence uint64) *bundle.Contents {
	return edited(c, stream, func(list []bundle.Record) []bundle.Record {
		r := &list[sequence]
		r.Leaf, _ = r.Receipt.Leaf(r.Bytes) // it has what it takes
		receipt := *r.Receipt
		receipt.Extra = nil
		r.Bytes, r.Receipt = nil, &receipt
		return list
	})
}

// TestARecordThatIsMissing without the lawful orders of two people is no erasure.
func TestARecordThatIsMissing(t *testing.T) {
	s := newStory(t, 1)
	require.NoError(t, s.Others(t.Context()))
	act := erasing(t, s)
	c := contents(t, s, true)
	item := itemIn(c, s)
	const unordered = "no two people have ordered it erased"
	requireProblem(t, verify(written(t, without(c, item, act.Sequence)), s.Trust), unordered)

	// With the order of one.
	first := says(t, s, s.Lead, act)
	c = contents(t, s, true)
	requireProblem(t, verify(written(t, without(c, item, act.Sequence)), s.Trust), unordered)

	// With that of one who says it twice; of two of whom one has no right to it, or
	// who administers; in the name of the service.
	second := *act
	second.Seconds = first
	for name, try := range map[string]struct {
		who  custody.PrincipalID
		key  custody.Signer
		says string
	}{
		"himself":           {s.Lead.ID, s.Lead.Key, "it takes two people"},
		"an engineer":       {s.Engineer.ID, s.Engineer.Key, "none of the roles"},
		"an administrator":  {s.Administrator.ID, s.Administrator.Key, "none of the roles"},
		"the service alone": {s.ServiceID(), serviceKey(t), "none of the roles"},
	} {
		f, d := forgerOf(t, s)
		add(t, f, d, s.Evidence.Stream(), func(r *custody.Record) {
			by(t, r, s, try.who, try.key, &second)
			heads(t, d, r, try.who)
		})
		v := verify(written(t, f.prove(t, without(d, item, act.Sequence))), s.Trust)
		require.False(t, v.Verified, name)
		requireProblem(t, v, try.says)
	}

	// Of another record than what they ordered, or of one that nobody may order.
	says(t, s, s.Counsel, &second)
	require.Eventually(t, func() bool {
		open, err := s.Store.Erasures(t.Context())
		require.NoError(t, err)
		return len(open) == 0
	}, 10*time.Second, time.Millisecond)
	c = contents(t, s, true)
	for n := range c.Streams[item].Records {
		if uint64(n) == act.Sequence {
			continue
		}
		requireProblem(t, verify(written(t, without(c, item, uint64(n))), s.Trust), unordered)
	}
	policy := slices.IndexFunc(c.Streams, func(st bundle.Stream) bool { return st.Name == custody.PolicyStream })
	requireProblem(t, verify(written(t, without(c, policy, 0)), s.Trust), "the genesis record is not here")
}

// heads makes a record's basis name its actor's stream as it is in the bundle.
func heads(t *testing.T, c *bundle.Contents, r *custody.Record, who custody.PrincipalID) {
	t.Helper()
	h := custody.Head{Stream: who.Stream()}
	for _, st := range c.Streams {
		if st.Name != h.Stream || len(st.Records) == 0 {
			continue
		}
		last := st.Records[len(st.Records)-1]
		l, err := last.Receipt.Leaf(last.Bytes)
		require.NoError(t, err)
		h.Length, h.Commitment = uint64(len(st.Records)), l.Commitment()
	}
	rest(r, h)
}

// TestASealIsNeverErased, whoever orders it: the operator puts an order on record
// that the service would refuse.
func TestASealIsNeverErased(t *testing.T) {
	s := newStory(t, 1)
	require.NoError(t, s.Others(t.Context()))
	f, c := forgerOf(t, s)
	item := itemIn(c, s)
	seal := c.Streams[item].Records[0]
	leaf, err := seal.Receipt.Leaf(seal.Bytes)
	require.NoError(t, err)
	act := &custody.EraseRecord{Authority: "nobody", Commitment: leaf.Commitment(), Stream: s.Evidence.Stream(), Was: custody.KindSealEvidence}
	for _, who := range []*guardtest.Person{s.Lead, s.Counsel} {
		var payload custody.Digest
		add(t, f, c, s.Evidence.Stream(), func(r *custody.Record) {
			by(t, r, s, who.ID, who.Key, act)
			heads(t, c, r, who.ID)
			payload = custody.Hash(r.Envelope.Payload)
		})
		second := *act
		second.Seconds = payload
		act = &second
	}
	v := verify(written(t, f.prove(t, without(c, item, 0))), s.Trust)
	requireProblem(t, v, "is never erased")
	requireProblem(t, v, "no two people have ordered it erased")
}

// TestErasedByNobodysOrder: the service alone cannot have erased a record.
func TestErasedByNobodysOrder(t *testing.T) {
	s := newStory(t, 1)
	act := erasing(t, s)
	f, c := forgerOf(t, s)
	add(t, f, c, s.Evidence.Stream(), func(r *custody.Record) {
		by(t, r, s, s.ServiceID(), serviceKey(t), &custody.ErasedRecord{
			Commitment: act.Commitment, Method: "erased", Order: custody.Hash(nil), Sequence: act.Sequence, Stream: act.Stream,
		})
		rest(r, custody.Head{Stream: s.ServiceID().Stream()})
	})
	requireProblem(t, verify(written(t, f.prove(t, c)), s.Trust), "no order")
}

// TestErasedInSpiteOfAHold: the operator puts two people's order on record, who are
// willing, though the item is on legal hold.
func TestErasedInSpiteOfAHold(t *testing.T) {
	s := newStory(t, 1)
	require.NoError(t, s.Others(t.Context()))
	act := erasing(t, s)
	says(t, s, s.Counsel, &custody.HoldEvidence{Authority: "a court", Evidence: s.Evidence})
	f, c := forgerOf(t, s)
	require.Empty(t, verify(written(t, c), s.Trust).Problems)
	for _, who := range []*guardtest.Person{s.Lead, s.Counsel} {
		var payload custody.Digest
		add(t, f, c, s.Evidence.Stream(), func(r *custody.Record) {
			by(t, r, s, who.ID, who.Key, act)
			heads(t, c, r, who.ID)
			payload = custody.Hash(r.Envelope.Payload)
		})
		second := *act
		second.Seconds = payload
		act = &second
	}
	requireProblem(t, verify(written(t, f.prove(t, without(c, itemIn(c, s), act.Sequence))), s.Trust), "orders a record of the item erased while it was on legal hold")
}
