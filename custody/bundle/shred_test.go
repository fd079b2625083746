package bundle_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

// says puts an act on record and returns its statement's digest.
func says(t testing.TB, s *guardtest.Story, who *guardtest.Person, act custody.Act) custody.Digest {
	t.Helper()
	raw, err := who.Sign("because", act)
	require.NoError(t, err)
	a, err := s.Admit(t.Context(), raw, "")
	require.NoError(t, err)
	require.True(t, a.Permit, a.Reason)
	return guardtest.PayloadOf(raw)
}

// attests lets the service say something.
func attests(t testing.TB, s *guardtest.Story, act custody.Act) {
	t.Helper()
	_, err := s.Attest(t.Context(), "because", act)
	require.NoError(t, err)
}

// keepNothing ends all retention, as two people say.
func keepNothing(t testing.TB, s *guardtest.Story) {
	t.Helper()
	act := investigate.Retain{Incident: s.Incident}
	second := act
	second.Seconds = says(t, s, s.Lead, &act)
	says(t, s, s.Engineer, &second)
}

// shredOrder has two people order the keys destroyed.
func shredOrder(t testing.TB, s *guardtest.Story) custody.Digest {
	t.Helper()
	first := says(t, s, s.Lead, &custody.ShredIncident{Incident: s.Incident})
	return says(t, s, s.Engineer, &custody.ShredIncident{Incident: s.Incident, Seconds: first})
}

func gone(s *guardtest.Story, order custody.Digest) *custody.ShreddedEvidence {
	return &custody.ShreddedEvidence{Evidence: s.Evidence, Method: "cryptographic erase", Order: order, SHA256: custody.Hash(s.Artifact)}
}

// TestDestroyedKeys: the exhibit's bundle says by whose order nobody can read it.
func TestDestroyedKeys(t *testing.T) {
	s := newStory(t, 1)
	keepNothing(t, s)
	order := shredOrder(t, s)
	attests(t, s, gone(s, order))
	attests(t, s, &custody.ShreddedIncident{Incident: s.Incident, Items: 1, Method: "cryptographic erase", Order: order})
	for _, leaves := range []bool{true, false} {
		v := verify(written(t, contents(t, s, leaves)), s.Trust)
		require.Empty(t, v.Problems)
		require.True(t, v.Items[0].Destroyed)
		require.Equal(t, &bundle.Destruction{
			What: bundle.DestroyedKeys, By: []bundle.Orderer{{ID: s.Lead.ID, Name: "Lena Lead"}, {ID: s.Engineer.ID, Name: "Emil Engineer"}},
			At: v.Items[0].Destruction.At, How: "cryptographic erase", Order: order.String(),
		}, v.Items[0].Destruction)
		var text strings.Builder
		require.NoError(t, v.Write(&text))
		require.Contains(t, text.String(), "DESTROYED with the keys of its incident, by order of two people, Lena Lead (p-")
		require.Contains(t, text.String(), "and Emil Engineer (p-")
		require.Contains(t, text.String(), "by the word of the service: cryptographic erase")
		require.Contains(t, text.String(), "destroyed here; a copy")
	}
}

// TestLostKeys are no damage of the evidence, and the verdict says so.
func TestLostKeys(t *testing.T) {
	s := newStory(t, 1)
	attests(t, s, &custody.LoseKeys{Evidence: s.Evidence, State: custody.KeysUnreadable})
	v := verify(written(t, contents(t, s, true)), s.Trust)
	require.Empty(t, v.Problems)
	require.True(t, v.Items[0].Damaged)
	require.Equal(t, custody.KeysUnreadable, v.Items[0].KeysLost)
	var text bytes.Buffer
	require.NoError(t, v.Write(&text))
	require.Contains(t, text.String(), "has lost the keys of the incident (unreadable)")
	require.NotContains(t, text.String(), "no longer what was sealed")
	attests(t, s, &custody.CheckEvidence{Evidence: s.Evidence, Intact: true, SHA256: custody.Hash(s.Artifact)})
	v = verify(written(t, contents(t, s, true)), s.Trust)
	require.False(t, v.Items[0].Damaged)
	require.Empty(t, v.Items[0].KeysLost)
}

// Keys that nobody, or one alone, ordered destroyed, or that were ordered so
// while the item had to stay: the service alone cannot have done it.
func TestKeysDestroyedByNobodysOrder(t *testing.T) {
	s := newStory(t, 1)
	keepNothing(t, s)
	ordered := shredOrder(t, s)
	service := func(act custody.Act) func(*custody.Record) {
		return func(r *custody.Record) {
			by(t, r, s, s.ServiceID(), serviceKey(t), act)
			rest(r, custody.Head{Stream: s.ServiceID().Stream()})
		}
	}

	f, c := forgerOf(t, s) // without the orders, which are on record
	add(t, f, c, s.Evidence.Stream(), service(gone(s, ordered)))
	v := verify(written(t, f.prove(t, c)), s.Trust)
	requireProblem(t, v, "which no two people had ordered")

	attests(t, s, gone(s, ordered))
	f, c = forgerOf(t, s)
	requireGood := func(c *bundle.Contents) {
		t.Helper()
		require.Empty(t, verify(written(t, c), s.Trust).Problems)
	}
	requireGood(f.prove(t, c))
	incident := slices.IndexFunc(c.Streams, func(st bundle.Stream) bool { return st.Name == s.Incident.Stream() })
	require.Len(t, c.Streams[incident].Records, 3)
	for name, without := range map[string]int{"the first": 1, "the second": 2} {
		d := edited(c, incident, func(list []bundle.Record) []bundle.Record { return slices.Delete(list, without, without+1) })
		v = verify(written(t, f.prove(t, d)), s.Trust)
		require.False(t, v.Verified, name)
		requireProblem(t, v, "which no two people had ordered")
		require.Nil(t, v.Items[0].Destruction, name)
	}

	// An order of one person, who seconds himself.
	f, c = forgerOf(t, s)
	d := edited(c, incident, func(list []bundle.Record) []bundle.Record {
		r, err := custody.ParseRecord(list[2].Bytes)
		require.NoError(t, err)
		act := &custody.ShredIncident{Incident: s.Incident, Seconds: payloadOf(t, list[1])}
		by(t, r, s, s.Lead.ID, s.Lead.Key, act)
		list[2].Bytes = replaced(t, f, list[2], r)
		return list
	})
	v = verify(written(t, anchorless(t, f, d)), s.Trust)
	requireProblem(t, v, "it takes two people")

	// An order that did not look at the item, and one given though it was on hold.
	f, c = forgerOf(t, s)
	d = edited(c, incident, func(list []bundle.Record) []bundle.Record {
		r, err := custody.ParseRecord(list[2].Bytes)
		require.NoError(t, err)
		r.Basis = slices.DeleteFunc(r.Basis, func(h custody.Head) bool { return h.Stream == s.Evidence.Stream() })
		list[2].Bytes = replaced(t, f, list[2], r)
		return list
	})
	requireProblem(t, verify(written(t, anchorless(t, f, d)), s.Trust), "did not look at this item")

	f, c = forgerOf(t, s)
	add(t, f, c, s.Evidence.Stream(), func(r *custody.Record) { by(t, r, s, s.Engineer.ID, s.Engineer.Key, s.Retrieval()) })
	requireProblem(t, verify(written(t, f.prove(t, c)), s.Trust), "was granted after the keys of the incident were ordered destroyed")
}

// TestKeysDestroyedInSpiteOfAHold: the order is refused by who verifies, though
// the guard, which the operator owns, let it pass.
func TestKeysDestroyedInSpiteOfAHold(t *testing.T) {
	s := newStory(t, 1)
	keepNothing(t, s)
	order := shredOrder(t, s)
	attests(t, s, gone(s, order))
	f, c := forgerOf(t, s)
	item := slices.IndexFunc(c.Streams, func(st bundle.Stream) bool { return st.Name == s.Evidence.Stream() })
	d := edited(c, item, func(list []bundle.Record) []bundle.Record {
		n := len(list) - 2 // what the order looked at ends here
		r, err := custody.ParseRecord(list[n].Bytes)
		require.NoError(t, err)
		by(t, r, s, s.Lead.ID, s.Lead.Key, &custody.HoldEvidence{Authority: "a court", Evidence: s.Evidence})
		list[n].Bytes = replaced(t, f, list[n], r)
		return list
	})
	requireProblem(t, verify(written(t, anchorless(t, f, d)), s.Trust), "while the item was on legal hold")
}

// anchorless proves without leaves: the anchors would show first that some were
// exchanged.
func anchorless(t *testing.T, f *forger, c *bundle.Contents) *bundle.Contents {
	t.Helper()
	proven := f.prove(t, c)
	proven.Leaves = nil
	return proven
}

func payloadOf(t *testing.T, r bundle.Record) custody.Digest {
	t.Helper()
	parsed, err := custody.ParseRecord(r.Bytes)
	require.NoError(t, err)
	return custody.Hash(parsed.Envelope.Payload)
}

// replaced puts another record in one's place, in the log too, and returns its
// bytes.
func replaced(t *testing.T, f *forger, old bundle.Record, r *custody.Record) []byte {
	t.Helper()
	before, err := old.Receipt.Leaf(old.Bytes)
	require.NoError(t, err)
	raw, err := r.Marshal()
	require.NoError(t, err)
	after, err := old.Receipt.Leaf(raw)
	require.NoError(t, err)
	f.leaves[slices.Index(f.leaves, before)] = after
	return raw
}
