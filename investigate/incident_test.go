package investigate_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

var permitted = &custody.Record{Decision: custody.Decision{Permit: true}, Recorded: 7}

func person(n int) custody.PrincipalID {
	return custody.NewPrincipalID(custody.Hash(fmt.Appendf(nil, "person %d", n)))
}

// apply folds acts into a state, each by a statement of its own.
func apply(t *testing.T, state custody.State, acts ...custody.Act) (payloads []custody.Digest) {
	t.Helper()
	for n, act := range acts {
		s := &custody.Statement{Payload: custody.Hash(fmt.Appendf(nil, "%d %T", n, act)), Kind: act.Kind(), Act: act}
		s.Actor = person(n)
		require.NoError(t, state.Apply(permitted, s))
		payloads = append(payloads, s.Payload)
	}
	return payloads
}

func TestTheTeamIsSorted(t *testing.T) {
	incident := custody.NewIncidentID(custody.Hash(nil))
	i := investigate.NewIncident()
	want := []custody.PrincipalID{}
	for n := range 20 {
		apply(t, i, &investigate.Assign{Incident: incident, Principal: person(n)})
		want = append(want, person(n))
	}
	require.ElementsMatch(t, want, i.Assignees())
	require.IsIncreasing(t, i.Assignees())
	before := i.Assignees()
	kept := append([]custody.PrincipalID{}, before...)
	for n := 0; n < 20; n += 2 {
		apply(t, i, &investigate.Unassign{Incident: incident, Principal: person(n)})
		require.NotContains(t, i.Assignees(), person(n))
	}
	require.Len(t, i.Assignees(), 10)
	require.IsIncreasing(t, i.Assignees())
	require.Equal(t, kept, before, "a list that was given out is never changed")
}

func TestItemsOfAnIncident(t *testing.T) {
	incident := custody.NewIncidentID(custody.Hash(nil))
	i := investigate.NewIncident()
	payloads := apply(t, i,
		&custody.BeginEvidence{Exhibit: "EX-1", Incident: incident, Type: "disk"},
		&custody.BeginEvidence{Exhibit: "EX-2", Incident: incident, Type: "memory"},
	)
	first, second := custody.NewEvidenceID(payloads[0]), custody.NewEvidenceID(payloads[1])
	require.Equal(t, []custody.EvidenceID{first, second}, i.Items(), "in order of their records")
	item, ok := i.Item(second)
	require.True(t, ok)
	require.Equal(t, "memory", item.Begun.Type)
	require.Equal(t, person(1), item.BegunBy)
	_, ok = i.Item(custody.NewEvidenceID(custody.Hash([]byte("none"))))
	require.False(t, ok)
	for _, number := range []string{"EX-1", "ex-1", " e x - 1", "Ex\u00a0-1"} {
		id, ok := i.Exhibit(number)
		require.True(t, ok, "%q looks like EX-1", number)
		require.Equal(t, first, id)
	}
	_, ok = i.Exhibit("EX-11")
	require.False(t, ok)
}

// TestAWithdrawnItem stays, and its exhibit number is free.
func TestAWithdrawnItem(t *testing.T) {
	incident := custody.NewIncidentID(custody.Hash(nil))
	begin := &custody.BeginEvidence{Exhibit: "EX-1", Incident: incident, Type: "disk"}
	i := investigate.NewIncident()
	first := custody.NewEvidenceID(apply(t, i, begin)[0])
	withdrawn := func() bool { b, _ := i.Item(first); return b.Withdrawn }
	require.False(t, withdrawn())
	apply(t, i, &custody.WithdrawEvidence{Evidence: first, Incident: incident})
	require.True(t, withdrawn())
	_, taken := i.Exhibit("ex-1")
	require.False(t, taken)
	_, ok := i.Item(first)
	require.True(t, ok)
	second := custody.NewEvidenceID(apply(t, i, &investigate.Assign{Incident: incident, Principal: person(1)}, begin)[1])
	id, taken := i.Exhibit("EX-1")
	require.True(t, taken)
	require.Equal(t, second, id)
	require.NotEqual(t, first, second)
	require.Equal(t, []custody.EvidenceID{first, second}, i.Items())
}

func TestIncidentsAreListedInOrder(t *testing.T) {
	list := &investigate.Incidents{}
	payloads := apply(t, list,
		&investigate.Open{Class: investigate.Security, Title: "first"},
		&investigate.Open{Class: investigate.Availability, Title: "second"},
	)
	require.Len(t, list.Opened, 2)
	for n, o := range list.Opened {
		require.Equal(t, custody.NewIncidentID(payloads[n]), o.ID)
		require.Equal(t, person(n), o.By)
		require.Equal(t, custody.Time(7), o.Recorded)
	}
	require.Equal(t, "second", list.Opened[1].Act.Title)
}

// TestOtherActsChangeNothing: the folds take in their own kinds only.
func TestOtherActsChangeNothing(t *testing.T) {
	i, list := investigate.NewIncident(), &investigate.Incidents{}
	acts := []custody.Act{&custody.OpenSession{}, &custody.SealEvidence{}, &custody.GrantRole{}}
	apply(t, i, acts...)
	apply(t, list, acts...)
	require.Equal(t, investigate.NewIncident(), i)
	require.Empty(t, list.Opened)
}

// TestFoldsOfAForgedLog: what an operator puts on record against the law is found by who
// decides it again, and breaks no fold.
func TestFoldsOfAForgedLog(t *testing.T) {
	for kind, act := range investigate.Acts() {
		i := investigate.NewIncident()
		require.NotPanics(t, func() { apply(t, i, act(), act()) }, kind)
		require.NotPanics(t, func() { i.Outline(investigate.Opened{}, 1) }, kind)
	}
}
