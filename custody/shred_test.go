package custody_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

// retained says for how many days everything of the incident is kept, as two do.
func retained(t *testing.T, s *guardtest.Story, days uint64) {
	t.Helper()
	act := &investigate.Retain{Days: days, Incident: s.Incident}
	first := onRecord(t, s, s.Lead, act)
	onRecord(t, s, s.Outsider, &investigate.Retain{Days: days, Incident: s.Incident, Seconds: first})
}

func shred(s *guardtest.Story, seconds custody.Digest) custody.Act {
	return &custody.ShredIncident{Incident: s.Incident, Seconds: seconds}
}

// TestKeysAreDestroyedByTwo: not while anything of the incident has to stay, and
// afterwards nothing goes out and nothing comes in.
func TestKeysAreDestroyedByTwo(t *testing.T) {
	s := newStory(t)
	require.NoError(t, s.Others(t.Context()))
	var nothing custody.Digest
	item := func() custody.Item {
		i, err := s.Item(t.Context(), s.Evidence)
		require.NoError(t, err)
		return i
	}
	asked{"within the retention", s.Lead, shred(s, nothing), "is kept until"}.in(t, s)
	retained(t, s, 0)

	hold := onRecord(t, s, s.Lead, &custody.HoldEvidence{Authority: "a court", Evidence: s.Evidence})
	asked{"on hold", s.Lead, shred(s, nothing), "is on legal hold by a court"}.in(t, s)
	lift := &custody.LiftHold{Authority: "a court", Evidence: s.Evidence, Hold: hold}
	lift.Seconds = onRecord(t, s, s.Lead, lift)
	onRecord(t, s, s.Outsider, lift)

	name := must[custody.Name](t)(custody.NewName([]byte("second.img")))
	begin := func(exhibit string) custody.Act {
		return &custody.BeginEvidence{AtMost: 40, Exhibit: exhibit, Incident: s.Incident, Name: name, Type: "disk"}
	}
	begun := custody.NewEvidenceID(onRecord(t, s, s.Engineer, begin("EX-2")))
	asked{"during an upload", s.Lead, shred(s, nothing), "is being taken in"}.in(t, s)
	withdrawn := custody.NewEvidenceID(onRecord(t, s, s.Engineer, begin("EX-4")))
	onRecord(t, s, s.Engineer, &custody.WithdrawEvidence{Evidence: withdrawn, Incident: s.Incident})
	asked{"during an upload that was not withdrawn", s.Lead, shred(s, nothing), "item " + string(begun) + " is being taken in"}.in(t, s)
	s.Pass(7 * 24 * time.Hour)

	first := onRecord(t, s, s.Lead, shred(s, nothing))
	require.False(t, item().Shredding.Approved(), "moved is not done")
	asked{"second oneself", s.Lead, shred(s, first), "takes two people"}.in(t, s)
	asked{"second nothing", s.Outsider, shred(s, custody.Hash(nil)), "no such motion"}.in(t, s)

	dispose := onRecord(t, s, s.Lead, &custody.DisposeEvidence{Evidence: s.Evidence})
	certificate := func(order, bytes custody.Digest) custody.Act {
		return &custody.ShreddedEvidence{Evidence: s.Evidence, Method: "erased", Order: order, SHA256: bytes}
	}
	whole := func(order custody.Digest, items uint64) custody.Act {
		return &custody.ShreddedIncident{Incident: s.Incident, Items: items, Method: "erased", Order: order}
	}
	asked{"certify what one ordered", s.Lead, certificate(first, item().Artifact.SHA256), "no order"}.in(t, s)
	asked{"certify the incident", s.Lead, whole(first, 0), "no order"}.in(t, s)
	second := onRecord(t, s, s.Outsider, shred(s, first))
	require.Equal(t, custody.Disposal{Order: second, First: s.Lead.ID, Second: s.Outsider.ID, At: item().Shredding.At}, item().Shredding)

	seal := s.Seal()
	seal.Evidence = begun
	const gone = "the keys of its incident are destroyed"
	for _, c := range []asked{
		{"retrieve", s.Engineer, s.Retrieval(), gone},
		{"hold", s.Lead, &custody.HoldEvidence{Authority: "a court", Evidence: s.Evidence}, gone},
		{"verify", s.Lead, &custody.VerifyEvidence{Evidence: s.Evidence}, gone},
		{"dispose", s.Outsider, &custody.DisposeEvidence{Evidence: s.Evidence, Seconds: dispose}, gone},
		{"a check", s.Lead, &custody.CheckEvidence{Evidence: s.Evidence}, gone},
		{"keys that are lost", s.Lead, &custody.LoseKeys{Evidence: s.Evidence, State: custody.KeysMissing}, gone},
		{"take in", s.Engineer, begin("EX-3"), "takes nothing in"},
		{"go on taking in", s.Engineer, seal, "takes nothing in"},
		{"order it again", s.Lead, shred(s, nothing), "are destroyed"},
		{"certify the incident before its items", s.Lead, whole(second, 1), "not on record yet"},
		{"certify other bytes", s.Lead, certificate(second, custody.Hash(nil)), "another SHA-256"},
		{"certify", s.Lead, certificate(second, item().Artifact.SHA256), ""},
		{"certify twice", s.Lead, certificate(second, item().Artifact.SHA256), "is on record"},
		{"certify too many", s.Lead, whole(second, 2), "1 items are gone"},
		{"certify the incident", s.Lead, whole(second, 1), ""},
		{"certify it twice", s.Lead, whole(second, 1), "is on record"},
		{"export", s.Lead, &custody.ExportEvidence{Evidence: s.Evidence}, ""},
	} {
		t.Run(c.name, func(t *testing.T) { c.in(t, s) })
	}
	require.Equal(t, second, item().Shredded)
	require.True(t, item().Shredding.Done)
}

// TestKeysOfWhatWasDisposedOf: what was disposed of is in nobody's way, and needs
// no second certificate; what is being disposed of is waited for.
func TestKeysOfWhatWasDisposedOf(t *testing.T) {
	s := newStory(t)
	require.NoError(t, s.Others(t.Context()))
	retained(t, s, 0)
	dispose := &custody.DisposeEvidence{Evidence: s.Evidence}
	dispose.Seconds = onRecord(t, s, s.Lead, dispose)
	order := onRecord(t, s, s.Outsider, dispose)
	asked{"while it is disposed of", s.Lead, shred(s, custody.Digest{}), "is being disposed of"}.in(t, s)
	sha256 := custody.Hash(s.Artifact)
	onRecord(t, s, s.Lead, &custody.DisposedEvidence{Evidence: s.Evidence, Method: "deleted", Order: order, SHA256: sha256})
	retained(t, s, 10)
	first := onRecord(t, s, s.Lead, shred(s, custody.Digest{}))
	second := onRecord(t, s, s.Outsider, shred(s, first))
	asked{"certify what was gone before", s.Lead, &custody.ShreddedEvidence{Evidence: s.Evidence, Method: "erased", Order: second, SHA256: sha256}, "was disposed of before"}.in(t, s)
	asked{"certify", s.Lead, &custody.ShreddedIncident{Incident: s.Incident, Method: "erased", Order: second}, ""}.in(t, s)
}

// TestKeysThatAreLost are on record as such until a check finds the item intact.
func TestKeysThatAreLost(t *testing.T) {
	s := newStory(t)
	item := func() custody.Item {
		i, err := s.Item(t.Context(), s.Evidence)
		require.NoError(t, err)
		return i
	}
	onRecord(t, s, s.Lead, &custody.VerifyEvidence{Evidence: s.Evidence})
	onRecord(t, s, s.Lead, &custody.LoseKeys{Evidence: s.Evidence, State: custody.KeysMissing})
	require.True(t, item().Damaged)
	require.Equal(t, custody.KeysMissing, item().KeysLost)
	require.False(t, item().CheckAsked, "that is the answer")
	asked{"retrieve", s.Engineer, s.Retrieval(), "the keys of its incident are lost (missing)"}.in(t, s)
	onRecord(t, s, s.Lead, &custody.CheckEvidence{Evidence: s.Evidence, Intact: true, SHA256: custody.Hash(s.Artifact)})
	require.False(t, item().Damaged)
	require.Empty(t, item().KeysLost)
	asked{"retrieve again", s.Engineer, s.Retrieval(), ""}.in(t, s)
	onRecord(t, s, s.Lead, &custody.LoseKeys{Evidence: s.Evidence, State: custody.KeysUnreadable})
	onRecord(t, s, s.Lead, &custody.CheckEvidence{Evidence: s.Evidence})
	require.True(t, item().Damaged)
	require.Empty(t, item().KeysLost, "the keys are there, the bytes are not")

	b, err := s.Lead.Sign("because", &custody.LoseKeys{Evidence: s.Evidence, State: "mislaid"})
	require.NoError(t, err)
	_, err = s.Admit(t.Context(), b, "")
	require.ErrorContains(t, err, "is none of")
}
