package custody_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
)

// TestSignedAtTheScene: what a collector signed without a network is taken in
// later by another, when it is what is sealed, and by somebody whose key is live.
func TestSignedAtTheScene(t *testing.T) {
	s := newStory(t)
	require.NoError(t, s.Others(t.Context()))
	name := must[custody.Name](t)(custody.NewName([]byte("disk.img")))
	raw, err := s.Engineer.Sign("seized", &custody.BeginEvidence{AtMost: 30, Exhibit: "EX-7", Incident: s.Incident, Name: name, Type: "disk"})
	require.NoError(t, err)
	_, err = s.Admit(t.Context(), raw, "")
	require.NoError(t, err)
	s.Evidence = custody.NewEvidenceID(guardtest.PayloadOf(raw))

	scene := func(change func(*custody.Header, *custody.CollectEvidence)) *custody.SealEvidence {
		seal := s.Seal()
		h := custody.Header{
			Actor: s.Outsider.ID, Audience: "custody.example/demo", Purpose: "seized at the scene",
			Time: custody.TimeOf(s.Now().Add(-36 * time.Hour)),
		}
		act := &custody.CollectEvidence{Acquisition: seal.Acquisition, Artifact: seal.Artifact, Name: name, Type: "disk"}
		act.Acquisition.CollectedAt = "2026-11-20T20:41:00+01:00"
		seal.Acquisition.CollectedAt = act.Acquisition.CollectedAt
		change(&h, act)
		h.Expires = h.Time.Add(custody.MaxValidity)
		seal.Scene, err = custody.Sign(s.Outsider.Key, h, act)
		require.NoError(t, err)
		return seal
	}
	malformed := func(change func(*custody.Header, *custody.CollectEvidence), why string) {
		raw, err := s.Engineer.Sign("because", scene(change))
		require.NoError(t, err)
		_, err = s.Admit(t.Context(), raw, "")
		require.ErrorContains(t, err, why)
	}
	malformed(func(_ *custody.Header, a *custody.CollectEvidence) { a.Artifact.SHA256 = custody.Hash(nil) }, "not those that were signed for")
	malformed(func(_ *custody.Header, a *custody.CollectEvidence) { a.Acquisition.Place = "elsewhere" }, "the facts are not those")
	malformed(func(_ *custody.Header, a *custody.CollectEvidence) { a.Format = "ewf" }, "the facts are not those")
	malformed(func(h *custody.Header, _ *custody.CollectEvidence) { h.Audience = "custody.example/other" }, "is for the log")
	malformed(func(h *custody.Header, _ *custody.CollectEvidence) { h.Time = custody.TimeOf(s.Now().Add(time.Hour)) }, "lies after the seal")

	same := func(*custody.Header, *custody.CollectEvidence) {}
	forged := scene(same)
	forged.Scene.Signatures[0].Sig[3] ^= 1
	for _, c := range []asked{
		{"for an item of another name", s.Engineer, scene(func(_ *custody.Header, a *custody.CollectEvidence) { a.Name.Display = "other.img" }), "signed for at the scene was disk other.img"},
		{"for an item of another type", s.Engineer, scene(func(_ *custody.Header, a *custody.CollectEvidence) { a.Type = "memory" }), "signed for at the scene was memory"},
		{"by somebody unknown", s.Engineer, scene(func(h *custody.Header, _ *custody.CollectEvidence) {
			h.Actor = custody.NewPrincipalID(custody.Hash(nil))
		}), "is not enrolled"},
		{"in another's name", s.Engineer, scene(func(h *custody.Header, _ *custody.CollectEvidence) { h.Actor = s.Lead.ID }), "is not one of"},
		{"with a forged signature", s.Engineer, forged, "cannot be accepted"},
		{"by itself", s.Engineer, &custody.CollectEvidence{Acquisition: s.Seal().Acquisition, Artifact: s.Seal().Artifact, Name: name, Type: "disk"}, "no such thing"},
	} {
		c.in(t, s)
	}
	sealed := scene(same)
	asked{"as it was signed", s.Engineer, sealed, ""}.in(t, s)
	item, err := s.Item(t.Context(), s.Evidence)
	require.NoError(t, err)
	require.Equal(t, s.Outsider.ID, item.Scene.Actor)
	require.Equal(t, s.Engineer.ID, item.SealedBy)
	require.Less(t, item.Scene.Time, item.SealedAt)
}
