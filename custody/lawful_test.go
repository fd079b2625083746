package custody_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

// asked is somebody's act after the story, and why it must not follow it;
// empty when it may.
type asked struct {
	name string
	who  *guardtest.Person
	act  custody.Act
	why  string
}

func (s asked) in(t *testing.T, story *guardtest.Story) {
	t.Helper()
	a, err := s.who.Does(t.Context(), "because", s.act)
	require.NoError(t, err)
	require.Equal(t, s.why == "", a.Permit, a.Reason)
	require.Contains(t, a.Reason, s.why)
}

// TestWhatMayFollow lets the acts come one after the other, each upon what the
// ones before it left. Policy permits them all.
func TestWhatMayFollow(t *testing.T) {
	s := newStory(t)
	require.NoError(t, s.Others(t.Context()))
	name := take(custody.NewName([]byte("second.img")))
	begin := func(exhibit string, atMost uint64) *custody.BeginEvidence {
		return &custody.BeginEvidence{AtMost: atMost, Exhibit: exhibit, Incident: s.Incident, Name: name, Type: "disk"}
	}
	raw, err := s.Engineer.Sign("another", begin("EX-2", 20))
	require.NoError(t, err)
	_, err = s.Admit(t.Context(), raw, "")
	require.NoError(t, err)
	first, second := s.Evidence, custody.NewEvidenceID(guardtest.PayloadOf(raw))
	announce := func(exhibit string) custody.EvidenceID {
		raw, err := s.Engineer.Sign("another", begin(exhibit, 20))
		require.NoError(t, err)
		_, err = s.Admit(t.Context(), raw, "")
		require.NoError(t, err)
		return custody.NewEvidenceID(guardtest.PayloadOf(raw))
	}
	third, fourth := announce("EX-9"), announce("EX-10")
	seal := func(e custody.EvidenceID, bytes string) *custody.SealEvidence {
		s.Evidence, s.Artifact = e, []byte(bytes)
		defer func() { s.Evidence = first }()
		return s.Seal()
	}
	report := func(e custody.EvidenceID) *custody.ReportEvidence {
		return &custody.ReportEvidence{Evidence: e, Paper: custody.PaperReport, SHA256: custody.Hash([]byte("a paper")), Size: 7}
	}
	const refusedHidden = "no such thing, or not for you"
	other := custody.Hash([]byte("other"))
	sealed := custody.Hash([]byte("what was on the disk\n"))
	further := take(guardtest.Key(7, "a further key"))
	possession := take(custody.ProvePossession(further, "custody.example/demo", string(s.Engineer.ID)))

	refused, ofNobody := summaryVector(s), summaryVector(s)
	ofNobody.Principal = custody.NewPrincipalID(other)

	for _, c := range []asked{
		{"an exhibit number twice", s.Engineer, begin("EX-1", 1), "exhibit number"},
		{"one that looks alike", s.Engineer, begin("ex -1", 1), "exhibit number"},
		{"another number", s.Engineer, begin("EX-3", 1), ""},

		{"retrieve what is not sealed", s.Engineer, &custody.RetrieveEvidence{Evidence: second}, refusedHidden},
		{"export what is not sealed", s.Engineer, &custody.ExportEvidence{Evidence: second}, refusedHidden},
		{"report of what is not sealed", s.Engineer, report(second), refusedHidden},
		{"seal another's item", s.Outsider, seal(second, "fits"), "who alone seals it"},
		{"seal more than was announced", s.Engineer, seal(second, "these are too many bytes"), "more than the 20 announced"},
		{"seal", s.Engineer, seal(second, "fits"), ""},
		{"report", s.Engineer, report(second), ""},
		{"withdraw what is sealed", s.Engineer, &custody.WithdrawEvidence{Evidence: second, Incident: s.Incident}, "is not withdrawn"},
		{"withdraw another's", s.Outsider, &custody.WithdrawEvidence{Evidence: third, Incident: s.Incident}, "who alone withdraws it"},
		{"withdraw in another incident", s.Engineer, &custody.WithdrawEvidence{Evidence: third, Incident: custody.NewIncidentID(other)}, refusedHidden},
		{"withdraw", s.Engineer, &custody.WithdrawEvidence{Evidence: third, Incident: s.Incident}, ""},
		{"withdraw twice", s.Engineer, &custody.WithdrawEvidence{Evidence: third, Incident: s.Incident}, "was withdrawn before"},
		{"seal what was withdrawn", s.Engineer, seal(third, "fits"), "was withdrawn"},
		{"its number once more", s.Engineer, begin("EX-9", 20), ""},
		{"and no third time", s.Engineer, begin("EX-9", 20), "exhibit number"},
		{"withdraw as a manager", s.Lead, &custody.WithdrawEvidence{Evidence: fourth, Incident: s.Incident}, ""},
		{"seal twice", s.Engineer, seal(second, "fits"), "is sealed"},
		{"seal the first again", s.Engineer, seal(first, "fits"), "is sealed"},

		{"retrieve beyond the end", s.Engineer, &custody.RetrieveEvidence{Evidence: first, Offset: 22}, "not within"},
		{"retrieve across the end", s.Engineer, &custody.RetrieveEvidence{Evidence: first, Offset: 20, Length: 2}, "not within"},
		{"a length that overflows", s.Engineer, &custody.RetrieveEvidence{Evidence: first, Offset: 20, Length: 1<<53 - 1}, "not within"},
		{"retrieve nothing at the end", s.Engineer, &custody.RetrieveEvidence{Evidence: first, Offset: 21}, ""},

		{"confirm another's grant", s.Lead, &custody.ReceiveEvidence{Evidence: first, Grant: s.Grant, SHA256: sealed, Size: 21}, "no grant"},
		{"confirm no grant", s.Engineer, &custody.ReceiveEvidence{Evidence: first, Grant: other, SHA256: sealed, Size: 21}, "no grant"},
		{"confirm a second time", s.Engineer, &custody.ReceiveEvidence{Evidence: first, Grant: s.Grant, SHA256: sealed, Size: 21}, "is on record"},
		{"release a second time", s.Engineer, &custody.ReleaseEvidence{Evidence: first, Grant: s.Grant, Outcome: custody.ReleaseAborted}, "is on record"},
		{"release no grant", s.Engineer, &custody.ReleaseEvidence{Evidence: first, Grant: other, Outcome: custody.ReleaseAborted}, "no grant"},
		{"a check that contradicts itself", s.Engineer, &custody.CheckEvidence{Evidence: first, Intact: true, SHA256: other}, "does not fit"},
		{"another that does", s.Engineer, &custody.CheckEvidence{Evidence: first, Intact: false, SHA256: sealed}, "does not fit"},
		{"a check that finds rot", s.Engineer, &custody.CheckEvidence{Evidence: first, Intact: false, SHA256: other}, ""},
		{"retrieve what is damaged", s.Engineer, s.Retrieval(), "is damaged"},
		{"retrieve a part of it, which may be sound", s.Engineer, &custody.RetrieveEvidence{Evidence: first, Offset: 1, Length: 1}, "so none are handed out, sound ones neither"},
		{"a check after it was restored", s.Engineer, &custody.CheckEvidence{Evidence: first, Intact: true, SHA256: sealed}, ""},
		{"retrieve it again", s.Engineer, s.Retrieval(), ""},

		{"assign twice", s.Lead, &investigate.Assign{Incident: s.Incident, Principal: s.Engineer.ID}, "is assigned already"},
		{"assign nobody", s.Lead, &investigate.Assign{Incident: s.Incident, Principal: custody.NewPrincipalID(other)}, "there is no principal"},
		{"unassign a stranger", s.Lead, &investigate.Unassign{Incident: s.Incident, Principal: s.Outsider.ID}, "is not assigned"},
		{"suspend", s.Administrator, &custody.SuspendPrincipal{Principal: s.Outsider.ID}, ""},
		{"suspend twice", s.Administrator, &custody.SuspendPrincipal{Principal: s.Outsider.ID}, "is suspended already"},
		{"assign somebody suspended", s.Lead, &investigate.Assign{Incident: s.Incident, Principal: s.Outsider.ID}, "is suspended"},
		{"reinstate", s.Administrator, &custody.ReinstatePrincipal{Principal: s.Outsider.ID}, ""},
		{"reinstate twice", s.Administrator, &custody.ReinstatePrincipal{Principal: s.Outsider.ID}, "is not suspended"},
		{"assign", s.Lead, &investigate.Assign{Incident: s.Incident, Principal: s.Outsider.ID}, ""},
		{"unassign", s.Lead, &investigate.Unassign{Incident: s.Incident, Principal: s.Outsider.ID}, ""},
		{"an incident that is not there", s.Lead, &investigate.Assign{Incident: custody.NewIncidentID(other), Principal: s.Lead.ID}, refusedHidden},

		{"a role twice", s.Administrator, &custody.GrantRole{Principal: s.Lead.ID, Role: custody.RoleIncidentManager}, "already"},
		{"a second role", s.Administrator, &custody.GrantRole{Principal: s.Lead.ID, Role: custody.RoleOnCall}, ""},
		{"administrator on top", s.Administrator, &custody.GrantRole{Principal: s.Lead.ID, Role: custody.RoleAdministrator}, "holds no other role"},
		{"revoke what is not held", s.Administrator, &custody.RevokeRole{Principal: s.Lead.ID, Role: custody.RoleExecutive}, "does not hold"},
		{"revoke", s.Administrator, &custody.RevokeRole{Principal: s.Lead.ID, Role: custody.RoleOnCall}, ""},
		{"a role of nobody", s.Administrator, &custody.GrantRole{Principal: custody.NewPrincipalID(other), Role: custody.RoleOnCall}, refusedHidden},

		{"a key of somebody else", s.Administrator, &custody.RevokeKey{Principal: s.Lead.ID, Key: s.Engineer.Key.Public().ID()}, "is not one of"},
		{"a further key", s.Engineer, &custody.EnrolKey{Key: further.Public().Bytes(), Possession: possession}, ""},
		{"the same again", s.Engineer, &custody.EnrolKey{Key: further.Public().Bytes(), Possession: possession}, "enrolled before"},
		{"another's further key", s.Lead, furtherKey(s.Lead, further), "enrolled before"},
		{"another's first key", s.Lead, furtherKey(s.Lead, s.Engineer.Key), "enrolled before"},
		{"the service's key", s.Lead, furtherKey(s.Lead, take(guardtest.Key(7, "the service"))), "enrolled before"},
		{"revoke it", s.Administrator, &custody.RevokeKey{Principal: s.Engineer.ID, Key: further.Public().ID()}, ""},
		{"another's further key that was revoked", s.Lead, furtherKey(s.Lead, further), "enrolled before"},
		{"revoke it again", s.Administrator, &custody.RevokeKey{Principal: s.Engineer.ID, Key: further.Public().ID()}, "revoked already"},
		{"enrol it once more", s.Engineer, &custody.EnrolKey{Key: further.Public().Bytes(), Possession: possession}, "enrolled before"},
		{"a summary of refusals", s.Engineer, refused, ""},
		{"the same summary", s.Engineer, refused, "is on record"},
		{"a summary for nobody", s.Engineer, ofNobody, refusedHidden},
		{"a key that another has", s.Administrator, enrolment(s.Lead.Key), "already enrolled"},
		{"a further key that another had", s.Administrator, enrolment(further), "already enrolled"},
	} {
		t.Run(c.name, func(t *testing.T) { c.in(t, s) })
	}
}

// enrolment enrols somebody else with a key.
func enrolment(key custody.Signer) *custody.EnrolPrincipal {
	return &custody.EnrolPrincipal{
		Contact: "+49", Key: key.Public().Bytes(), Name: "Somebody Else", Title: "x",
		Possession: take(custody.ProvePossession(key, "custody.example/demo", "Somebody Else")),
	}
}

func furtherKey(p *guardtest.Person, key custody.Signer) *custody.EnrolKey {
	return &custody.EnrolKey{
		Key: key.Public().Bytes(), Possession: take(custody.ProvePossession(key, "custody.example/demo", string(p.ID))),
	}
}

// TestFoldsForgetRefusals: what was refused changes nothing.
func TestFoldsForgetRefusals(t *testing.T) {
	s := newStory(t)
	r := &custody.Record{Decision: custody.Decision{Reason: "refused"}}
	e := custody.NewEvidence()
	for kind, act := range actVectors(t, s) {
		for _, state := range []custody.State{custody.NewPolicy(), custody.NewStanding(), e, investigate.NewIncident(), &investigate.Incidents{}} {
			require.NoError(t, state.Apply(r, &custody.Statement{Kind: kind, Act: act}))
		}
	}
	require.Equal(t, custody.NewEvidence(), e)
	standing := custody.NewStanding()
	for kind, act := range actVectors(t, s) {
		require.NoError(t, standing.Apply(r, &custody.Statement{Kind: kind, Act: act}))
	}
	require.Equal(t, custody.NewStanding(), standing)
}
