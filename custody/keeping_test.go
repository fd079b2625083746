package custody_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

// onRecord puts an act on record and returns its statement's digest.
func onRecord(t *testing.T, s *guardtest.Story, who *guardtest.Person, act custody.Act) custody.Digest {
	t.Helper()
	raw, err := who.Sign("because", act)
	require.NoError(t, err)
	a, err := s.Admit(t.Context(), raw, "")
	require.NoError(t, err)
	require.True(t, a.Permit, a.Reason)
	return guardtest.PayloadOf(raw)
}

// TestTwoPeople: retention is changed, a hold lifted and an item disposed of by
// two, and a hold comes before every retention.
func TestTwoPeople(t *testing.T) {
	s := newStory(t)
	require.NoError(t, s.Others(t.Context()))
	item := func() custody.Item {
		i, err := s.Item(t.Context(), s.Evidence)
		require.NoError(t, err)
		return i
	}
	dispose := func(seconds custody.Digest) custody.Act {
		return &custody.DisposeEvidence{Evidence: s.Evidence, Seconds: seconds}
	}
	retain := func(days uint64, kind string, seconds custody.Digest) custody.Act {
		return &investigate.Retain{Days: days, Incident: s.Incident, Seconds: seconds, Type: kind}
	}
	var nothing custody.Digest
	asked{"dispose within the retention of one year", s.Lead, dispose(nothing), "is kept until"}.in(t, s)

	first := onRecord(t, s, s.Lead, retain(0, "disk", nothing))
	asked{"moved is not done", s.Lead, dispose(nothing), "is kept until"}.in(t, s)
	asked{"second oneself", s.Lead, retain(0, "disk", first), "takes two people"}.in(t, s)
	asked{"second something else", s.Outsider, retain(1, "disk", first), "no such motion"}.in(t, s)
	asked{"second nothing", s.Outsider, retain(0, "disk", custody.Hash(nil)), "no such motion"}.in(t, s)
	onRecord(t, s, s.Outsider, retain(0, "disk", first))
	asked{"second twice", s.Engineer, retain(0, "disk", first), "no such motion"}.in(t, s)

	// The longest wins.
	all := onRecord(t, s, s.Lead, retain(5, "", nothing))
	onRecord(t, s, s.Outsider, retain(5, "", all))
	asked{"dispose within the retention of all types", s.Lead, dispose(nothing), "is kept until"}.in(t, s)
	all = onRecord(t, s, s.Lead, retain(0, "", nothing))
	onRecord(t, s, s.Outsider, retain(0, "", all))

	order := onRecord(t, s, s.Lead, dispose(nothing))
	hold := onRecord(t, s, s.Lead, &custody.HoldEvidence{Authority: "court of Frankfurt, 7 O 12/26", Evidence: s.Evidence})
	require.Len(t, item().Holds, 1)
	asked{"dispose on hold", s.Outsider, dispose(order), "is on legal hold by court of Frankfurt"}.in(t, s)
	lift := func(hold, seconds custody.Digest) custody.Act {
		return &custody.LiftHold{Authority: "court of Frankfurt", Evidence: s.Evidence, Hold: hold, Seconds: seconds}
	}
	asked{"lift another hold", s.Lead, lift(custody.Hash(nil), nothing), "no hold"}.in(t, s)
	moved := onRecord(t, s, s.Lead, lift(hold, nothing))
	asked{"lift alone", s.Lead, lift(hold, moved), "takes two people"}.in(t, s)
	require.Len(t, item().Holds, 1)
	onRecord(t, s, s.Outsider, lift(hold, moved))
	require.Empty(t, item().Holds)

	certificate := func(order, bytes custody.Digest) custody.Act {
		return &custody.DisposedEvidence{Evidence: s.Evidence, Method: "deleted", Order: order, SHA256: bytes}
	}
	asked{"certify what one ordered", s.Lead, certificate(order, item().Artifact.SHA256), "no order"}.in(t, s)
	second := onRecord(t, s, s.Outsider, dispose(order))
	require.Equal(t, custody.Disposal{Order: second, First: s.Lead.ID, Second: s.Outsider.ID, At: item().Disposal.At}, item().Disposal)
	for _, c := range []asked{
		{"retrieve", s.Engineer, s.Retrieval(), "is disposed of"},
		{"hold", s.Lead, &custody.HoldEvidence{Authority: "a court", Evidence: s.Evidence}, "is disposed of"},
		{"verify", s.Lead, &custody.VerifyEvidence{Evidence: s.Evidence}, "is disposed of"},
		{"a check that found nothing", s.Lead, &custody.CheckEvidence{Evidence: s.Evidence}, "is disposed of"},
		{"a check that was faster", s.Lead, &custody.CheckEvidence{Evidence: s.Evidence, Intact: true, SHA256: item().Artifact.SHA256}, ""},
		{"dispose again", s.Lead, dispose(nothing), "is disposed of"},
		{"certify other bytes", s.Lead, certificate(second, custody.Hash(nil)), "another SHA-256"},
		{"certify", s.Lead, certificate(second, item().Artifact.SHA256), ""},
		{"certify twice", s.Lead, certificate(second, item().Artifact.SHA256), "is on record"},
	} {
		c.in(t, s)
	}
	require.True(t, item().Disposal.Done)
}

// TestMotionsExpire: what one person moved is seconded within 30 days or not at
// all, in the item's stream and in the incident's.
func TestMotionsExpire(t *testing.T) {
	s := newStory(t)
	require.NoError(t, s.Others(t.Context()))
	hold := onRecord(t, s, s.Lead, &custody.HoldEvidence{Authority: "a court", Evidence: s.Evidence})
	lift := func(seconds custody.Digest) custody.Act {
		return &custody.LiftHold{Authority: "a court", Evidence: s.Evidence, Hold: hold, Seconds: seconds}
	}
	retain := func(seconds custody.Digest) custody.Act {
		return &investigate.Retain{Days: 0, Incident: s.Incident, Seconds: seconds}
	}
	moved := func(act func(custody.Digest) custody.Act) custody.Digest {
		return onRecord(t, s, s.Lead, act(custody.Digest{}))
	}

	lifted, retained := moved(lift), moved(retain)
	s.Pass(custody.MotionLife)
	asked{"a hold, late", s.Outsider, lift(lifted), "could be seconded for 30 days"}.in(t, s)
	asked{"a retention, late", s.Outsider, retain(retained), "move it anew"}.in(t, s)

	lifted, retained = moved(lift), moved(retain)
	s.Pass(custody.MotionLife - time.Minute)
	asked{"a hold, in time", s.Outsider, lift(lifted), ""}.in(t, s)
	asked{"a retention, in time", s.Outsider, retain(retained), ""}.in(t, s)
	i, err := s.Item(t.Context(), s.Evidence)
	require.NoError(t, err)
	require.Empty(t, i.Holds)
}

// TestLateSecondsChangeNothing: a fold takes what stands on record by its own
// time, whoever permitted it.
func TestLateSecondsChangeNothing(t *testing.T) {
	m := custody.Motions{}
	payload, at := custody.Hash([]byte("first")), custody.Time(0)
	m.Apply(payload, custody.Motion{By: "p-1", What: "dispose"}, at)
	second := custody.Motion{By: "p-2", What: "dispose", Seconds: payload}
	_, carried := m.Apply(custody.Hash([]byte("late")), second, at.Add(custody.MotionLife)+1)
	require.False(t, carried)
	own := custody.Motion{By: "p-1", What: "dispose", Seconds: payload}
	_, carried = m.Apply(custody.Hash([]byte("his own")), own, at)
	require.False(t, carried)
	first, carried := m.Apply(custody.Hash([]byte("in time")), second, at.Add(custody.MotionLife))
	require.True(t, carried)
	require.Equal(t, custody.PrincipalID("p-1"), first)
	_, carried = m.Apply(custody.Hash([]byte("again")), second, at)
	require.False(t, carried)
}

// TestACheckIsAskedFor: until there is one.
func TestACheckIsAskedFor(t *testing.T) {
	s := newStory(t)
	onRecord(t, s, s.Lead, &custody.VerifyEvidence{Evidence: s.Evidence})
	i, err := s.Item(t.Context(), s.Evidence)
	require.NoError(t, err)
	require.True(t, i.CheckAsked)
	onRecord(t, s, s.Lead, &custody.CheckEvidence{Evidence: s.Evidence, Intact: true, SHA256: i.Artifact.SHA256})
	i, err = s.Item(t.Context(), s.Evidence)
	require.NoError(t, err)
	require.False(t, i.CheckAsked)
	require.NotZero(t, i.CheckedAt)
}

// TestAThingHasNoBytes: it is sealed without any, and nothing is retrieved.
func TestAThingHasNoBytes(t *testing.T) {
	s := newStory(t)
	name, err := custody.NewName([]byte("laptop"))
	require.NoError(t, err)
	raw, err := s.Engineer.Sign("seized", &custody.BeginEvidence{AtMost: 30, Exhibit: "EX-9", Incident: s.Incident, Name: name, Type: custody.TypePhysical})
	require.NoError(t, err)
	_, err = s.Admit(t.Context(), raw, "")
	require.NoError(t, err)
	id := custody.NewEvidenceID(guardtest.PayloadOf(raw))
	s.Evidence = id
	seal := s.Seal()
	asked{"with bytes", s.Engineer, seal, "has no bytes"}.in(t, s)
	s.Artifact = nil
	seal = s.Seal()
	asked{"without the bag's number", s.Engineer, seal, "sealNumbers.bag"}.in(t, s)
	seal.Acquisition.Seal = &custody.BagSeal{Bag: "B-1", Seal: "4711"}
	asked{"in its bag", s.Engineer, seal, ""}.in(t, s)
	asked{"retrieve", s.Engineer, &custody.RetrieveEvidence{Evidence: id}, "is a thing"}.in(t, s)
}
