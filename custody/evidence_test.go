package custody_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

// TestWhoHadAnItem in hand: who sealed it, who took it at the scene, and who was
// granted bytes of it that were not withheld; each from then on.
func TestWhoHadAnItem(t *testing.T) {
	s := newStory(t)
	require.NoError(t, s.Others(t.Context()))
	e := custody.NewEvidence()
	at := custody.Time(0)
	folds := func(who custody.PrincipalID, act custody.Act) custody.Digest {
		at += 10
		statement := &custody.Statement{Payload: custody.Hash([]byte{byte(at)}), Act: act}
		statement.Actor = who
		require.NoError(t, e.Apply(&custody.Record{Decision: custody.Decision{Permit: true}, Recorded: at}, statement))
		return statement.Payload
	}
	had := func(who custody.PrincipalID) bool { return e.HadBy(who, at+1) }

	require.False(t, had(s.Engineer.ID))
	seal := s.Seal()
	scene, err := custody.Sign(s.Lead.Key, withActor(header(s), s.Lead.ID), &custody.CollectEvidence{
		Acquisition: seal.Acquisition, Artifact: seal.Artifact, Labels: []custody.Label{}, Name: take(custody.NewName([]byte("disk.img"))), Type: "disk",
	})
	require.NoError(t, err)
	seal.Scene = scene
	folds(s.Engineer.ID, seal)
	require.True(t, had(s.Engineer.ID), "sealed it")
	require.True(t, had(s.Lead.ID), "took it at the scene")
	require.False(t, e.HadBy(s.Engineer.ID, at), "not before")
	require.False(t, e.HadBy(s.Lead.ID, at))
	require.False(t, had(s.Counsel.ID))

	grant := folds(s.Outsider.ID, s.Retrieval())
	require.True(t, had(s.Outsider.ID))
	require.False(t, e.HadBy(s.Outsider.ID, at))
	require.False(t, had(s.Counsel.ID), "another's grant")
	folds(s.Administrator.ID, &custody.ReleaseEvidence{Grant: grant, Outcome: custody.ReleaseWithheld})
	require.False(t, had(s.Outsider.ID), "none of it was handed over")
	for _, outcome := range []string{custody.ReleaseFinished, custody.ReleaseAborted, custody.ReleaseUnknown} {
		grant := folds(s.Counsel.ID, s.Retrieval())
		folds(s.Administrator.ID, &custody.ReleaseEvidence{Grant: grant, Outcome: outcome})
		require.True(t, had(s.Counsel.ID), outcome)
	}
}

func withActor(h custody.Header, who custody.PrincipalID) custody.Header {
	h.Actor = who
	return h
}

// TestAnErasedRelease: whoever folds the item without the record that was erased comes
// to the same as who had read it.
func TestAnErasedRelease(t *testing.T) {
	grant := custody.Hash([]byte("grant"))
	fold := func(erased bool) *custody.Evidence {
		e := custody.NewEvidence()
		for n, act := range []custody.Act{
			&custody.RetrieveEvidence{Length: 1},
			&custody.ReleaseEvidence{Grant: grant, Outcome: custody.ReleaseWithheld},
			&custody.EraseRecord{Grant: grant, Was: custody.KindReleaseEvidence},
		} {
			if n == 1 && erased {
				continue
			}
			s := &custody.Statement{Payload: grant, Act: act}
			require.NoError(t, e.Apply(&custody.Record{Decision: custody.Decision{Permit: true}, Recorded: 7}, s))
		}
		return e
	}
	require.Equal(t, fold(false), fold(true))
}
