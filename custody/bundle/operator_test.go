package bundle_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
)

// In these tests the operator of the service is the attacker: he has the log's
// key and the service's, and a person's where it was stolen.

// add puts one more record at the end of a whole stream.
func add(t *testing.T, f *forger, c *bundle.Contents, name custody.Stream, change func(*custody.Record)) custody.Commitment {
	i := slices.IndexFunc(c.Streams, func(st bundle.Stream) bool { return st.Name == name })
	st := &c.Streams[i]
	st.Records = slices.Clone(st.Records)
	last := st.Records[len(st.Records)-1]
	r, err := custody.ParseRecord(last.Bytes)
	require.NoError(t, err)
	l, _ := last.Receipt.Leaf(last.Bytes)
	r.Previous = l.Commitment()
	r.Sequence++
	for k := range r.Basis {
		if r.Basis[k].Stream == name {
			r.Basis[k].Length, r.Basis[k].Commitment = r.Sequence, l.Commitment()
		}
	}
	change(r)
	raw, err := r.Marshal()
	require.NoError(t, err)
	rc := new(custody.Receipt)
	rc.Open(custody.Opening{byte(r.Sequence), 3}, st.TagKey.Tag(r.Sequence))
	leaf, _ := rc.Leaf(raw)
	f.leaves = append(f.leaves, leaf)
	st.Records = append(st.Records, bundle.Record{Sequence: r.Sequence, Bytes: raw, Receipt: rc})
	return leaf.Commitment()
}

func forgerOf(t *testing.T, s *guardtest.Story) (*forger, *bundle.Contents) {
	t.Helper()
	_, signer, err := guardtest.LogKey("custody.example/test", 1)
	require.NoError(t, err)
	c := contents(t, s, true)
	f := &forger{signer: signer}
	require.NoError(t, c.Leaves(func(l custody.Leaf) error { f.leaves = append(f.leaves, l); return nil }))
	d := *c
	d.Streams = slices.Clone(c.Streams)
	return f, &d
}

// requireProblem wants a verdict of no, for this reason.
func requireProblem(t *testing.T, v *bundle.Verdict, says string) {
	t.Helper()
	require.False(t, v.Verified)
	require.True(t, slices.ContainsFunc(v.Problems, func(p bundle.Problem) bool { return strings.Contains(p.What, says) }), "%v", v.Problems)
}

// by replaces a record's statement, with one that principal signs when it is recorded.
func by(t *testing.T, r *custody.Record, s *guardtest.Story, who custody.PrincipalID, key custody.Signer, act custody.Act) {
	t.Helper()
	h, err := s.Engineer.Header("as found")
	require.NoError(t, err)
	h.Actor, h.Time, h.Expires = who, r.Recorded, r.Recorded.Add(time.Minute)
	e, err := custody.Sign(key, h, act)
	require.NoError(t, err)
	r.Envelope = *e
}

// rest makes a record's basis name these heads of principals and no others.
func rest(r *custody.Record, heads ...custody.Head) {
	r.Basis = slices.DeleteFunc(r.Basis, func(h custody.Head) bool { return h.Stream.Kind() == "principal" })
	r.Basis = append(r.Basis, heads...)
	slices.SortFunc(r.Basis, func(a, b custody.Head) int { return strings.Compare(string(a.Stream), string(b.Stream)) })
}

func planted(s *guardtest.Story) *custody.SealEvidence {
	tree := custody.NewTreeHash(nil)
	_, _ = tree.Write([]byte("what the operator wants it to be\n")) // fails only after Finish
	act := s.Seal()
	act.Artifact = tree.Finish()
	return act
}

func serviceKey(t *testing.T) custody.Signer {
	t.Helper()
	key, err := guardtest.Key(1, "the service")
	require.NoError(t, err)
	return key
}

func TestAStatementThatWasHeldBack(t *testing.T) {
	s := newStory(t, 1)
	c := forge(t, s, 1, s.Evidence.Stream(), 3, func(r *custody.Record) { r.Recorded = r.Recorded.Add(365 * 24 * time.Hour) })
	requireProblem(t, verify(written(t, c), s.Trust), "after it had expired")
}

func TestAPolicyThatNeverWas(t *testing.T) {
	s := newStory(t, 1)
	c := forge(t, s, 1, s.Evidence.Stream(), 3, func(r *custody.Record) { r.Decision.Policy = custody.Hash([]byte("x")) })
	requireProblem(t, verify(written(t, c), s.Trust), "never in force")
}

func TestTheServiceSealsNothing(t *testing.T) {
	s := newStory(t, 1)
	f, c := forgerOf(t, s)
	add(t, f, c, s.Evidence.Stream(), func(r *custody.Record) {
		by(t, r, s, s.ServiceID(), serviceKey(t), planted(s))
		rest(r, custody.Head{Stream: s.ServiceID().Stream()})
	})
	v := verify(written(t, f.prove(t, c)), s.Trust)
	requireProblem(t, v, "and nothing else")
	requireProblem(t, v, "a second time")
}

func TestOnlyTheServiceChecks(t *testing.T) {
	s := newStory(t, 1)
	f, c := forgerOf(t, s)
	add(t, f, c, s.Evidence.Stream(), func(r *custody.Record) {
		by(t, r, s, s.Engineer.ID, s.Engineer.Key, &custody.CheckEvidence{Evidence: s.Evidence, Intact: true, SHA256: custody.Hash(s.Artifact)})
	})
	requireProblem(t, verify(written(t, f.prove(t, c)), s.Trust), "only the service")
}

// TestOnlyAdministratorsEnrol: the operator enrols a second person of the same
// name, with a key of his own.
func TestOnlyAdministratorsEnrol(t *testing.T) {
	s := newStory(t, 1)
	f, c := forgerOf(t, s)
	fake, err := guardtest.Key(66, "operator")
	require.NoError(t, err)
	proof, err := custody.ProvePossession(fake, "custody.example/test", "Emil Engineer")
	require.NoError(t, err)
	key := custody.TagKey{3}
	var id custody.PrincipalID
	add(t, f, c, custody.PolicyStream, func(r *custody.Record) {
		by(t, r, s, s.ServiceID(), serviceKey(t), &custody.EnrolPrincipal{
			Contact: "+49", Key: fake.Public().Bytes(), Name: "Emil Engineer", Possession: proof, Title: "x",
		})
		id = custody.NewPrincipalID(custody.Hash(r.Envelope.Payload))
		r.Declares = []custody.Declaration{{Stream: id.Stream(), TagKey: key.Digest()}}
		rest(r, custody.Head{Stream: s.ServiceID().Stream()})
	})
	c.Streams = append(c.Streams, bundle.Stream{Name: id.Stream(), Whole: true, TagKey: key})
	requireProblem(t, verify(written(t, f.prove(t, c)), s.Trust), "was no administrator")
}

// further is a further key of somebody: an act, and what is signed with it.
func further(t *testing.T, p *guardtest.Person, seed byte) (custody.Signer, *custody.EnrolKey) {
	t.Helper()
	key, err := guardtest.Key(seed, "a token")
	require.NoError(t, err)
	proof, err := custody.ProvePossession(key, "custody.example/test", string(p.ID))
	require.NoError(t, err)
	return key, &custody.EnrolKey{Key: key.Public().Bytes(), Possession: proof}
}

func enrols(t *testing.T, p *guardtest.Person, act *custody.EnrolKey) {
	t.Helper()
	a, err := p.Does(t.Context(), "", act)
	require.NoError(t, err)
	require.True(t, a.Permit, a.Reason)
}

// TestAKeyOfTwo: the operator lets a second person enrol a key that is one's
// already, who is willing.
func TestAKeyOfTwo(t *testing.T) {
	s := newStory(t, 1)
	_, act := further(t, s.Engineer, 5)
	enrols(t, s.Engineer, act)
	_, lead := further(t, s.Lead, 5)
	f, c := forgerOf(t, s)
	add(t, f, c, custody.PolicyStream, func(r *custody.Record) { by(t, r, s, s.Lead.ID, s.Lead.Key, lead) })
	requireProblem(t, verify(written(t, f.prove(t, c)), s.Trust), "though it is the key of "+string(s.Engineer.ID))
}

// TestAFurtherKeyOfNobody: the operator enrols a further key of a person, with no
// key of hers, who signed nothing else here, so that her stream is not included.
func TestAFurtherKeyOfNobody(t *testing.T) {
	s := newStory(t, 1)
	require.NoError(t, s.Others(t.Context()))
	own, act := further(t, s.Outsider, 5)
	enrols(t, s.Outsider, act)
	f, c := forgerOf(t, s)
	require.False(t, slices.ContainsFunc(c.Streams, func(st bundle.Stream) bool { return st.Name == s.Outsider.ID.Stream() }))
	require.Empty(t, verify(written(t, c), s.Trust).Problems)
	_, another := further(t, s.Outsider, 6)
	stranger, _ := further(t, s.Outsider, 7)
	for _, try := range []struct {
		signer custody.Signer
		says   string
	}{
		{own, ""}, {s.Outsider.Key, ""}, {s.Engineer.Key, "is not one of"}, {serviceKey(t), "is not one of"}, {stranger, "is not one of"},
	} {
		g, d := *f, *c
		g.leaves, d.Streams = slices.Clone(f.leaves), slices.Clone(c.Streams)
		add(t, &g, &d, custody.PolicyStream, func(r *custody.Record) { by(t, r, s, s.Outsider.ID, try.signer, another) })
		v := verify(written(t, g.prove(t, &d)), s.Trust)
		if try.says == "" {
			require.Empty(t, v.Problems)
		} else {
			requireProblem(t, v, try.says)
		}
	}
}

// TestAKeyBeforeItsEnrolment signs nothing: what counts is the basis.
func TestAKeyBeforeItsEnrolment(t *testing.T) {
	s := newStory(t, 1)
	key, act := further(t, s.Engineer, 5)
	f, c := forgerOf(t, s)
	add(t, f, c, custody.PolicyStream, func(r *custody.Record) { by(t, r, s, s.Engineer.ID, s.Engineer.Key, act) })
	add(t, f, c, s.Evidence.Stream(), func(r *custody.Record) {
		by(t, r, s, s.Engineer.ID, key, &custody.ExportEvidence{Evidence: s.Evidence})
	})
	requireProblem(t, verify(written(t, f.prove(t, c)), s.Trust), "is not one of")
}

// TestAFurtherKeyElsewhere: one that stands in its holder's own stream, where it
// would be seen by nobody else, is none.
func TestAFurtherKeyElsewhere(t *testing.T) {
	s := newStory(t, 1)
	_, act := further(t, s.Engineer, 5)
	f, c := forgerOf(t, s)
	add(t, f, c, s.Engineer.ID.Stream(), func(r *custody.Record) { by(t, r, s, s.Engineer.ID, s.Engineer.Key, act) })
	requireProblem(t, verify(written(t, f.prove(t, c)), s.Trust), "belongs to another history")
}

// TestAKeyThatGoesOnAfterItsRevocation verifies, as it may have been signed and
// decided before; the verdict says that it can be disputed.
func TestAKeyThatGoesOnAfterItsRevocation(t *testing.T) {
	s := newStory(t, 1)
	a, err := s.Administrator.Does(t.Context(), "stolen", &custody.RevokeKey{Principal: s.Engineer.ID, Key: s.Engineer.Key.Public().ID()})
	require.NoError(t, err)
	require.True(t, a.Permit)
	f, c := forgerOf(t, s)
	add(t, f, c, s.Evidence.Stream(), func(r *custody.Record) {
		by(t, r, s, s.Engineer.ID, s.Engineer.Key, &custody.ExportEvidence{Evidence: s.Evidence})
	})
	v := verify(written(t, f.prove(t, c)), s.Trust)
	require.Len(t, v.Warnings, 1)
	require.Contains(t, v.Warnings[0].What, "after the revocation")
	var text strings.Builder
	require.NoError(t, v.Write(&text))
	require.Contains(t, text.String(), "DISPUTABLE")
}

// TestASecondHistory: the operator tells one person a history of the item and
// another person another, both in one log. Under a second tag key he is found
// out by the item's beginning, under the one that follows from it by the leaves.
func TestASecondHistory(t *testing.T) {
	s := newStory(t, 1)
	f, c := forgerOf(t, s)
	name := s.Evidence.Stream()
	item := slices.IndexFunc(c.Streams, func(st bundle.Stream) bool { return st.Name == name })
	started := c.Streams[item].Records[0]

	other := custody.TagKey{7}
	second := *f
	second.leaves = slices.Clone(f.leaves)
	d := edited(c, item, func(list []bundle.Record) []bundle.Record {
		for i := range list {
			old, err := list[i].Receipt.Leaf(list[i].Bytes)
			require.NoError(t, err)
			list[i].Receipt = retagged(list[i].Receipt, other.Tag(list[i].Sequence))
			leaf, err := list[i].Receipt.Leaf(list[i].Bytes)
			require.NoError(t, err)
			second.leaves[slices.Index(second.leaves, old)] = leaf
		}
		return list
	})
	d.Streams[item].TagKey = other
	incident := slices.IndexFunc(d.Streams, func(st bundle.Stream) bool { return st.Name == s.Incident.Stream() })
	d = edited(d, incident, func(list []bundle.Record) []bundle.Record {
		for i := range list {
			r, err := custody.ParseRecord(list[i].Bytes)
			require.NoError(t, err)
			if len(r.Declares) != 1 || r.Declares[0].Stream != name {
				continue
			}
			old, err := list[i].Receipt.Leaf(list[i].Bytes)
			require.NoError(t, err)
			r.Declares[0].TagKey = other.Digest()
			list[i].Bytes, err = r.Marshal()
			require.NoError(t, err)
			leaf, err := list[i].Receipt.Leaf(list[i].Bytes)
			require.NoError(t, err)
			second.leaves[slices.Index(second.leaves, old)] = leaf
		}
		return list
	})
	proven := second.prove(t, d)
	proven.Leaves = nil // the anchors would show first that leaves were exchanged
	requireProblem(t, verify(written(t, proven), s.Trust), "there may be a second history")

	r, err := custody.ParseRecord(started.Bytes)
	require.NoError(t, err)
	r.Recorded = r.Recorded.Add(time.Second)
	raw, err := r.Marshal()
	require.NoError(t, err)
	twin, err := retagged(started.Receipt, c.Streams[item].TagKey.Tag(0)).Leaf(raw)
	require.NoError(t, err)
	f.leaves = append(f.leaves, twin)
	requireProblem(t, verify(written(t, f.prove(t, c)), s.Trust), "the stream is forked")
}

// retagged is a receipt for a leaf with another tag. Its proof is not made yet.
func retagged(r *custody.Receipt, tag custody.Tag) *custody.Receipt {
	again := new(custody.Receipt)
	again.Open(custody.Opening(r.Extra[:32]), tag)
	return again
}

// TestDestroyedByNobodysOrder: the service alone cannot have destroyed an item.
func TestDestroyedByNobodysOrder(t *testing.T) {
	s := newStory(t, 1)
	f, c := forgerOf(t, s)
	add(t, f, c, s.Evidence.Stream(), func(r *custody.Record) {
		by(t, r, s, s.ServiceID(), serviceKey(t), &custody.DisposedEvidence{
			Evidence: s.Evidence, Method: "deleted", Order: custody.Hash(nil), SHA256: custody.Hash(s.Artifact),
		})
		rest(r, custody.Head{Stream: s.ServiceID().Stream()})
	})
	v := verify(written(t, f.prove(t, c)), s.Trust)
	requireProblem(t, v, "which no two people had ordered")
	require.False(t, v.Items[0].Destroyed)
}

// TestSecondedTooLate: the operator lets a second one's word of later count for
// what was moved long ago.
func TestSecondedTooLate(t *testing.T) {
	s := newStory(t, 1)
	require.NoError(t, s.Others(t.Context()))
	say := func(who *guardtest.Person, act custody.Act) custody.Digest {
		raw, err := who.Sign("because", act)
		require.NoError(t, err)
		a, err := s.Admit(t.Context(), raw, "")
		require.NoError(t, err)
		require.True(t, a.Permit, a.Reason)
		return guardtest.PayloadOf(raw)
	}
	hold := say(s.Outsider, &custody.HoldEvidence{Authority: "a court", Evidence: s.Evidence})
	moved := say(s.Lead, &custody.LiftHold{Authority: "a court", Evidence: s.Evidence, Hold: hold})
	lift := &custody.LiftHold{Authority: "a court", Evidence: s.Evidence, Hold: hold, Seconds: moved}
	for _, late := range []time.Duration{0, 1} {
		f, c := forgerOf(t, s)
		add(t, f, c, s.Evidence.Stream(), func(r *custody.Record) {
			r.Recorded = r.Recorded.Add(custody.MotionLife) + custody.Time(late)
			by(t, r, s, s.Outsider.ID, s.Outsider.Key, lift)
		})
		v := verify(written(t, f.prove(t, c)), s.Trust)
		says := func(p bundle.Problem) bool { return strings.Contains(p.What, "could be seconded for 30 days") }
		require.Equal(t, late > 0, slices.ContainsFunc(v.Problems, says), "%v", v.Problems)
	}
}

// TestTheServicesKeys: it changes them itself, and nobody else revokes one.
func TestTheServicesKeys(t *testing.T) {
	s := newStory(t, 1)
	key, err := guardtest.Key(77, "the service's next")
	require.NoError(t, err)
	proof, err := custody.ProvePossession(key, "custody.example/test", string(s.ServiceID()))
	require.NoError(t, err)
	attests(t, s, &custody.EnrolKey{Key: key.Public().Bytes(), Possession: proof})
	attests(t, s, &custody.RevokeKey{Key: key.Public().ID(), Principal: s.ServiceID()})
	f, c := forgerOf(t, s)
	require.Empty(t, verify(written(t, c), s.Trust).Problems)
	own := slices.IndexFunc(c.Streams, func(st bundle.Stream) bool { return st.Name == s.ServiceID().Stream() })
	admin := slices.IndexFunc(c.Streams, func(st bundle.Stream) bool { return st.Name == s.Administrator.ID.Stream() })
	d := edited(c, own, func(list []bundle.Record) []bundle.Record {
		last := &list[len(list)-1]
		r, err := custody.ParseRecord(last.Bytes)
		require.NoError(t, err)
		by(t, r, s, s.Administrator.ID, s.Administrator.Key, &custody.RevokeKey{Key: key.Public().ID(), Principal: s.ServiceID()})
		theirs := c.Streams[admin].Records
		head := custody.Head{Stream: s.Administrator.ID.Stream(), Length: uint64(len(theirs))}
		if n := len(theirs); n > 0 {
			l, _ := theirs[n-1].Receipt.Leaf(theirs[n-1].Bytes)
			head.Commitment = l.Commitment()
		}
		rest(r, head)
		last.Bytes = replaced(t, f, *last, r)
		return list
	})
	requireProblem(t, verify(written(t, anchorless(t, f, d)), s.Trust), "only the service revokes a key of the service")
}
