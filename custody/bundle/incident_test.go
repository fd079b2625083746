package bundle_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

// announced has the engineer announce an item.
func announced(t testing.TB, s *guardtest.Story, exhibit string) custody.EvidenceID {
	t.Helper()
	name, err := custody.NewName([]byte(exhibit + ".img"))
	require.NoError(t, err)
	return custody.NewEvidenceID(says(t, s, s.Engineer, &custody.BeginEvidence{AtMost: 1 << 24, Exhibit: exhibit, Incident: s.Incident, Name: name, Type: "disk"}))
}

// second takes another artifact in, as EX-2, and returns the item.
func second(t testing.TB, s *guardtest.Story, artifact []byte) custody.EvidenceID {
	t.Helper()
	first, bytesOf := s.Evidence, s.Artifact
	defer func() { s.Evidence, s.Artifact = first, bytesOf }()
	s.Evidence, s.Artifact = announced(t, s, "EX-2"), artifact
	says(t, s, s.Engineer, s.Seal())
	return s.Evidence
}

// busy is a story with four items, of which two are sealed, one was withdrawn, and one
// is only announced; and another incident.
func busy(t testing.TB) (s *guardtest.Story, items map[string]custody.EvidenceID) {
	t.Helper()
	s = newStory(t, 1)
	require.NoError(t, s.Others(t.Context()))
	items = map[string]custody.EvidenceID{"EX-1": s.Evidence, "EX-2": second(t, s, []byte("what was in its memory\n"))}
	items["EX-3"] = announced(t, s, "EX-3")
	items["EX-4"] = announced(t, s, "EX-4")
	says(t, s, s.Engineer, &custody.WithdrawEvidence{Evidence: items["EX-4"], Incident: s.Incident})
	elsewhere := custody.NewIncidentID(says(t, s, s.Lead, &investigate.Open{Class: investigate.Security, DetectedAt: custody.TimeOf(s.Now()), Title: "another one"}))
	says(t, s, s.Lead, &investigate.Assign{Incident: elsewhere, Principal: s.Engineer.ID})
	says(t, s, s.Counsel, &custody.ExportIncident{Incident: s.Incident})
	return s, items
}

func incidentContents(t testing.TB, s *guardtest.Story, leaves bool) *bundle.Contents {
	t.Helper()
	c, err := s.IncidentContents(t.Context(), s.Incident, leaves)
	require.NoError(t, err)
	return c
}

// TestAnIncident with all its items, in one bundle.
func TestAnIncident(t *testing.T) {
	s, items := busy(t)
	for _, leaves := range []bool{true, false} {
		b := written(t, incidentContents(t, s, leaves))
		v := verify(b, s.Trust)
		require.Empty(t, v.Problems)
		require.Empty(t, v.Warnings)
		require.Equal(t, leaves, v.Complete)
		require.Equal(t, bundle.ScopeIncident, v.Scope)
		require.Equal(t, s.Incident, v.Incident)
		require.Equal(t, "a login from two countries at once", v.Title)
		states := map[string]string{}
		for n, i := range v.Items {
			states[i.Exhibit] = i.State
			require.Equal(t, items[i.Exhibit], i.Evidence)
			require.Equal(t, i.State == bundle.StateSealed, i.Artifact != nil)
			require.True(t, n == 0 || v.Items[n-1].Evidence < i.Evidence)
		}
		require.Equal(t, map[string]string{
			"EX-1": bundle.StateSealed, "EX-2": bundle.StateSealed, "EX-3": bundle.StateAnnounced, "EX-4": bundle.StateWithdrawn,
		}, states)

		kinds, exhibits := []string{}, map[string]int{}
		for n, e := range v.Timeline {
			kinds = append(kinds, string(e.Kind))
			exhibits[e.Exhibit]++
			require.True(t, n == 0 || v.Timeline[n-1].Recorded <= e.Recorded)
		}
		require.Equal(t, []string{
			"incident.open", "incident.assign", "evidence.begin", "evidence.seal", "evidence.retrieve", "evidence.release", "evidence.receive",
			"evidence.begin", "evidence.seal", "evidence.begin", "evidence.begin", "evidence.withdraw", "incident.export",
		}, kinds)
		require.Equal(t, map[string]int{"": 8, "EX-1": 4, "EX-2": 1}, exhibits)

		said := text(t, v)
		require.Contains(t, said, "Incident    "+string(s.Incident)+": a login from two countries at once\n            4 items announced: 2 sealed, 1 not sealed, 1 withdrawn\n")
		require.Contains(t, said, "these 12 records of the incident and its items and the one that opened it")
		if leaves {
			require.Contains(t, said, "\n            The incident announced each of these items once, and no others")
		} else { // what came later is not excluded
			require.Contains(t, said, "\n            In these records the incident announced each of these items once, and no others")
		}
		require.Contains(t, said, "sealed the item: EX-2\n")
		require.Contains(t, said, "announced, and withdrawn: it is no evidence")
		require.NotContains(t, string(b), "another one")
		require.Equal(t, b, written(t, incidentContents(t, s, leaves)), "the same contents make the same bytes")
	}
	signed, leaves := served(t, s)
	v := verifyWith(written(t, incidentContents(t, s, false)), s.Trust, public(signed, leaves))
	require.Zero(t, later(t, v, s.Incident.Stream()))
	require.Contains(t, text(t, v), "exactly 7 records of the incident exist as of size")
	b := written(t, incidentContents(t, s, true))
	announced(t, s, "EX-5")
	signed, leaves = served(t, s)
	v = verifyWith(b, s.Trust, public(signed, leaves))
	require.EqualValues(t, 1, later(t, v, s.Incident.Stream()))
	require.Contains(t, text(t, v), "of the incident exist as of size 27; of these came later, and ARE NOT IN THIS BUNDLE: 1.")
}

// TestAnIncidentOfNothing has no items yet.
func TestAnIncidentOfNothing(t *testing.T) {
	s := gathered(t, 1, guardtest.ShortPolicy)
	v := verify(written(t, incidentContents(t, s, true)), s.Trust)
	require.Empty(t, v.Problems)
	require.Empty(t, v.Items)
	require.Contains(t, text(t, v), "0 items announced")
	require.NotNil(t, v.Items)
}

// TestAnItemThatIsLeftOut of an incident's bundle is missed, and one that is not its own
// is none.
func TestAnItemThatIsLeftOut(t *testing.T) {
	s, items := busy(t)
	for _, leaves := range []bool{true, false} {
		c := incidentContents(t, s, leaves)
		for exhibit, id := range items {
			d := *c
			d.Items = slices.DeleteFunc(slices.Clone(c.Items), func(e custody.EvidenceID) bool { return e == id })
			requireProblem(t, verify(written(t, &d), s.Trust), "which this bundle leaves out")
			d.Streams = slices.DeleteFunc(slices.Clone(c.Streams), func(st bundle.Stream) bool { return st.Name == id.Stream() })
			requireProblem(t, verify(written(t, &d), s.Trust), "which this bundle leaves out")
			d.Items = c.Items
			requireProblem(t, verify(written(t, &d), s.Trust), "is not included whole")
			_ = exhibit
		}
		d := *c
		d.Items = append(slices.Clone(c.Items), custody.NewEvidenceID(custody.Hash([]byte("nowhere"))))
		requireProblem(t, verify(written(t, &d), s.Trust), "is not included whole")

		for i, st := range c.Streams {
			d = *c
			d.Streams = slices.Delete(slices.Clone(c.Streams), i, i+1)
			require.False(t, verify(written(t, &d), s.Trust).Verified, "%s left out", st.Name)
		}

		// The incident's own stream in part, or the bundle of an item that calls itself one.
		i := slices.IndexFunc(c.Streams, func(st bundle.Stream) bool { return st.Name == s.Incident.Stream() })
		d = *c
		d.Streams = slices.Clone(c.Streams)
		d.Streams[i].Whole = false
		requireProblem(t, verify(written(t, &d), s.Trust), "the incident's stream is not included whole")
		e := contents(t, s, leaves)
		e.Scope = bundle.ScopeIncident
		requireProblem(t, verify(written(t, e), s.Trust), "the incident's stream is not included whole")
		c.Scope = bundle.ScopeExhibit
		requireProblem(t, verify(written(t, c), s.Trust), "4 items")
	}
}

// TestAnArtifactOfAnIncident: bytes beside the bundle are those of one of its items, and
// the verdict says of which; or of none. In it there are none.
func TestAnArtifactOfAnIncident(t *testing.T) {
	s, _ := busy(t)
	b := written(t, incidentContents(t, s, true))
	beside := func(artifact []byte) *bundle.Verdict {
		return bundle.Verify(bytes.NewReader(b), s.Trust, bundle.Options{Words: investigate.Words(), Artifact: bytes.NewReader(artifact)})
	}
	v := beside(s.Artifact)
	require.Empty(t, v.Problems)
	matching := 0
	for _, i := range v.Items {
		if i.ArtifactState == bundle.ArtifactMatches {
			matching++
			require.Equal(t, s.Evidence, i.Evidence)
		}
	}
	require.Equal(t, 1, matching)
	v = beside(append([]byte("not "), s.Artifact...))
	requireProblem(t, v, "no such of any item")
	require.NotContains(t, text(t, v), "Nothing that this bundle says may be relied upon", "the bundle is sound; the bytes are others")
	requireProblem(t, verify(withArtifactForced(t, b, s.Artifact), s.Trust), "has an artifact, and is of an incident")
	require.Error(t, bundle.AddArtifact(new(bytes.Buffer), bytes.NewReader(b), bytes.NewReader(s.Artifact), uint64(len(s.Artifact))))
}

func withArtifactForced(t testing.TB, b, artifact []byte) []byte {
	t.Helper()
	return archive(append(members(t, headed(t, b, `"artifact":false`, `"artifact":true`)), member{"artifact", artifact}))
}

// TestExcerptsOfTwoItems stand in one bundle, whichever was added first.
func TestExcerptsOfTwoItems(t *testing.T) {
	s := newStory(t, 1)
	other := noise(3*block + 5)
	id := second(t, s, other)
	plain := written(t, incidentContents(t, s, false))
	add := func(b []byte, e custody.EvidenceID, artifact []byte, list ...bundle.Stretch) []byte {
		var out bytes.Buffer
		require.NoError(t, bundle.AddExcerpts(&out, bytes.NewReader(b), e, bytes.NewReader(artifact), list...))
		return out.Bytes()
	}
	of1, of2 := []bundle.Stretch{{Offset: 3, Length: 4}}, []bundle.Stretch{{Offset: 7, Length: block}, {Offset: 3 * block, Length: 5}}
	b := add(add(plain, s.Evidence, s.Artifact, of1...), id, other, of2...)
	require.Equal(t, b, add(add(plain, id, other, of2...), s.Evidence, s.Artifact, of1...))
	v := verify(b, s.Trust)
	require.Empty(t, v.Problems)
	got := disclosed(t, v, b)
	want := map[custody.EvidenceID][][]byte{s.Evidence: {s.Artifact[3:7]}, id: {other[7 : block+7], other[3*block:]}}
	require.Equal(t, slices.Concat(want[v.Items[0].Evidence], want[v.Items[1].Evidence]), got)
	require.Error(t, bundle.AddExcerpts(new(bytes.Buffer), bytes.NewReader(plain), id, bytes.NewReader(s.Artifact), of1...), "the other item's bytes")

	// Those of one item under the name of the other.
	list := members(t, b)
	for i := range list {
		switch {
		case strings.HasPrefix(list[i].name, "excerpts/"+string(s.Evidence)):
			list[i].name = strings.Replace(list[i].name, string(s.Evidence), string(id), 1)
		case strings.HasPrefix(list[i].name, "excerpts/"):
			list[i].name = strings.Replace(list[i].name, string(id), string(s.Evidence), 1)
		}
	}
	require.False(t, verify(archive(list), s.Trust).Verified)
}

// TestAnIncidentIsRedacted: what then cannot be said of its items is not said.
func TestAnIncidentIsRedacted(t *testing.T) {
	s, items := busy(t)
	c := incidentContents(t, s, true)
	whole := written(t, c)
	incident := s.Incident.Stream()
	v := verify(redacted(t, whole, bundle.OfKind("incident.assign")), s.Trust)
	require.Empty(t, v.Problems)
	require.Len(t, v.Withheld, 1)
	require.NotContains(t, text(t, v), "each of these items once")
	require.Contains(t, text(t, v), "they may announce further items")
	require.Contains(t, text(t, v), "these 12 records of the incident and of the items above, 1 of them withheld, and")

	v = verify(redacted(t, whole, bundle.OfKind(custody.KindWithdrawEvidence)), s.Trust)
	require.Empty(t, v.Problems)
	i := slices.IndexFunc(v.Items, func(i *bundle.Item) bool { return i.Evidence == items["EX-4"] })
	require.Equal(t, bundle.StateAnnounced, v.Items[i].State)

	v = verify(redacted(t, whole, bundle.Others), s.Trust)
	require.Empty(t, v.Problems)
	require.Contains(t, text(t, v), "each of these items once")

	for n := range uint64(2) { // the announcements of EX-1 and EX-2
		requireProblem(t, verify(redacted(t, whole, bundle.At(incident, n+1)), s.Trust), "no record declares evidence/")
	}
	v = verify(redacted(t, whole, func(x bundle.Choice) bool {
		return x.Stream == items["EX-1"].Stream() && x.Kind != custody.KindSealEvidence
	}), s.Trust)
	require.Empty(t, v.Problems)
	require.Len(t, v.Withheld, 3)
	requireProblem(t, verify(redacted(t, whole, bundle.At(items["EX-2"].Stream(), 0)), s.Trust), "its seal is not here")
}

// TestAnIncidentWhoseKeysAreDestroyed says so of each item, and of the incident.
func TestAnIncidentWhoseKeysAreDestroyed(t *testing.T) {
	s := newStory(t, 1)
	memory := []byte("what was in its memory\n")
	id := second(t, s, memory)
	keepNothing(t, s)
	order := shredOrder(t, s)
	attests(t, s, gone(s, order))
	attests(t, s, &custody.ShreddedEvidence{Evidence: id, Method: "cryptographic erase", Order: order, SHA256: custody.Hash(memory)})
	attests(t, s, &custody.ShreddedIncident{Incident: s.Incident, Items: 2, Method: "cryptographic erase", Order: order})
	c := incidentContents(t, s, true)
	whole := written(t, c)
	v := verify(whole, s.Trust)
	require.Empty(t, v.Problems)
	for _, i := range v.Items {
		require.True(t, i.Destroyed)
		require.Equal(t, order.String(), i.Destruction.Order)
	}
	require.Contains(t, text(t, v), "and with them the bytes of its items")
	require.NotContains(t, text(t, v), "--artifact", "which is for the bundle of an exhibit")

	// The certificates need their order; where it is withheld, that of the incident may
	// stand, those of its items do not.
	for n, says := range map[uint64]string{5: "which no two people had ordered", 6: "which no two people had ordered", 7: ""} {
		v = verify(redacted(t, whole, bundle.At(s.Incident.Stream(), n)), s.Trust)
		if says == "" {
			require.Empty(t, v.Problems)
		} else {
			requireProblem(t, v, says)
			for _, p := range v.Problems {
				require.Contains(t, p.Where, "records/evidence/")
			}
		}
	}

	// The service says that of an order which nobody gave, or twice.
	for says, act := range map[string]*custody.ShreddedIncident{
		"which no two people had ordered": {Incident: s.Incident, Items: 2, Method: "erased", Order: custody.Hash(nil)},
		"says a second time":              {Incident: s.Incident, Items: 2, Method: "erased", Order: order},
	} {
		_, signer, err := guardtest.LogKey("custody.example/test", 1)
		require.NoError(t, err)
		f := &forger{signer: signer}
		require.NoError(t, c.Leaves(func(l custody.Leaf) error { f.leaves = append(f.leaves, l); return nil }))
		d := *c
		d.Streams = slices.Clone(c.Streams)
		add(t, f, &d, s.Incident.Stream(), func(r *custody.Record) {
			by(t, r, s, s.ServiceID(), serviceKey(t), act)
			rest(r, custody.Head{Stream: s.ServiceID().Stream()})
		})
		requireProblem(t, verify(written(t, f.prove(t, &d)), s.Trust), says)
	}
}

// TestRetentionTakesTwo in the bundle of an incident: it is not one who says it twice, nor
// two who say different things, and what is withheld can be what was moved.
func TestRetentionTakesTwo(t *testing.T) {
	s := newStory(t, 1)
	moved := says(t, s, s.Lead, &investigate.Retain{Incident: s.Incident, Days: 5})
	_, signer, err := guardtest.LogKey("custody.example/test", 1)
	require.NoError(t, err)
	for name, try := range map[string]struct {
		who  *guardtest.Person
		days uint64
		says string
	}{
		"another person": {s.Engineer, 5, ""},
		"himself":        {s.Lead, 5, "it takes two people"},
		"something else": {s.Engineer, 6, "no such motion"},
	} {
		c := incidentContents(t, s, true)
		f := &forger{signer: signer}
		require.NoError(t, c.Leaves(func(l custody.Leaf) error { f.leaves = append(f.leaves, l); return nil }))
		add(t, f, c, s.Incident.Stream(), func(r *custody.Record) {
			by(t, r, s, try.who.ID, try.who.Key, &investigate.Retain{Incident: s.Incident, Days: try.days, Seconds: moved})
			heads(t, c, r, try.who.ID)
		})
		c = f.prove(t, c)
		if try.says == "" {
			v := verify(written(t, c), s.Trust)
			require.Empty(t, v.Problems, name)
			first, last := v.Timeline[len(v.Timeline)-2], v.Timeline[len(v.Timeline)-1]
			require.Equal(t, []bundle.About{{Stream: s.Incident.Stream(), Sequence: first.Sequence, Index: first.Index, Detail: first.Detail}}, last.About, "which statement was seconded")
			require.Empty(t, first.About)
			require.Contains(t, text(t, v), fmt.Sprintf("\n                               about record %s:%d, leaf %d: %s\n", first.Stream, first.Sequence, first.Index, first.Detail))
		} else {
			requireProblem(t, verify(written(t, c), s.Trust), try.says)
		}
		require.Empty(t, verify(hidden(t, c, s.Incident.Stream(), 2), s.Trust).Problems, "%s: it cannot be told", name)
	}
}

// TestAnItemThatIsWithdrawnAndSealed, or withdrawn twice, or never announced: the operator
// puts it on record.
func TestAnItemThatIsWithdrawnAndSealed(t *testing.T) {
	s, items := busy(t)
	nowhere := custody.NewEvidenceID(custody.Hash([]byte("nowhere")))
	for says, id := range map[string]custody.EvidenceID{
		"which is sealed": items["EX-1"], "a second time": items["EX-4"], "what was not announced": nowhere, "": items["EX-3"],
	} {
		_, signer, err := guardtest.LogKey("custody.example/test", 1)
		require.NoError(t, err)
		c := incidentContents(t, s, true)
		f := &forger{signer: signer}
		require.NoError(t, c.Leaves(func(l custody.Leaf) error { f.leaves = append(f.leaves, l); return nil }))
		add(t, f, c, s.Incident.Stream(), func(r *custody.Record) {
			by(t, r, s, s.Engineer.ID, s.Engineer.Key, &custody.WithdrawEvidence{Evidence: id, Incident: s.Incident})
			r.Basis = slices.DeleteFunc(r.Basis, func(h custody.Head) bool { return h.Stream.Kind() == "evidence" })
			heads(t, c, r, s.Engineer.ID)
		})
		v := verify(written(t, f.prove(t, c)), s.Trust)
		if says == "" {
			require.Empty(t, v.Problems)
		} else {
			requireProblem(t, v, says)
		}
	}
	// An act upon another incident does not stand in this one's history.
	f := new(forger)
	_, signer, err := guardtest.LogKey("custody.example/test", 1)
	require.NoError(t, err)
	c := incidentContents(t, s, true)
	f.signer = signer
	require.NoError(t, c.Leaves(func(l custody.Leaf) error { f.leaves = append(f.leaves, l); return nil }))
	report := investigate.OnVulnerability{Vulnerability: custody.Hash(nil)}
	others := []custody.Act{
		&investigate.Assign{Incident: custody.NewIncidentID(custody.Hash(nil)), Principal: s.Outsider.ID},
		&custody.ExportIncident{Incident: custody.NewIncidentID(custody.Hash(nil))},
		&custody.ReportIncident{Incident: custody.NewIncidentID(custody.Hash(nil)), Paper: custody.PaperCase, SHA256: custody.Hash(nil), Size: 1},
		&investigate.Open{Class: investigate.Security, Title: fmt.Sprint(s.Incident), DetectedAt: 1},
		&investigate.Procedure{Name: string(s.Incident), Steps: []investigate.ProcedureStep{{Name: "x", Stage: investigate.StageAssess}}, Version: 1},
		&investigate.ReportVulnerability{Happened: investigate.Happened{At: 1}, Affected: "x", Source: "scan", Text: "x", Title: string(s.Incident)},
		&investigate.ReviewDefaults{Document: string(s.Incident), Decided: "kept", Next: 1, SHA256: custody.Hash(nil)},
		&investigate.Rota{From: 1, Principal: s.Engineer.ID, To: 2},
		&investigate.AssessVulnerability{OnVulnerability: report, Verdict: "not-one"},
		&investigate.FixVulnerability{OnVulnerability: report, Happened: investigate.Happened{At: 1}, How: "x"},
		&investigate.AcceptVulnerability{OnVulnerability: report, Reason: "x"},
	}
	for kind, create := range investigate.Acts() {
		upon := reflect.ValueOf(create()).Elem().FieldByName("Incident").IsValid()
		tried := slices.ContainsFunc(others, func(a custody.Act) bool { return a.Kind() == kind })
		require.True(t, upon || tried, "%s is of no incident, and is not tried in one's history", kind)
	}
	for _, act := range others {
		g, d := *f, *c
		g.leaves, d.Streams = slices.Clone(f.leaves), slices.Clone(c.Streams)
		add(t, &g, &d, s.Incident.Stream(), func(r *custody.Record) {
			by(t, r, s, s.Lead.ID, s.Lead.Key, act)
			heads(t, &d, r, s.Lead.ID)
		})
		v := verify(written(t, g.prove(t, &d)), s.Trust)
		requireProblem(t, v, "belongs to another history")
	}
}

// TestTwoItemsUnderOneNumber are told apart by nothing on paper, so it is said.
func TestTwoItemsUnderOneNumber(t *testing.T) {
	s, _ := busy(t)
	again := announced(t, s, "EX-4") // free again, since it was withdrawn
	whole := written(t, incidentContents(t, s, true))
	require.Empty(t, verify(whole, s.Trust).Warnings)
	v := verify(redacted(t, whole, bundle.OfKind(custody.KindWithdrawEvidence)), s.Trust)
	require.Empty(t, v.Problems)
	require.Len(t, v.Warnings, 1)
	require.Contains(t, v.Warnings[0].What, "EX-4")
	require.Contains(t, v.Warnings[0].Where+v.Warnings[0].What, string(again))
}

// TestAnotherItemsHistory in an exhibit's bundle is not counted as the exhibit's.
func TestAnotherItemsHistory(t *testing.T) {
	s, items := busy(t)
	says(t, s, s.Counsel, &custody.ExportEvidence{Evidence: items["EX-2"]})
	c := incidentContents(t, s, true)
	c.Scope, c.Items = bundle.ScopeExhibit, []custody.EvidenceID{items["EX-1"]}
	signed, leaves := served(t, s)
	v := verifyWith(redacted(t, written(t, c), bundle.OfKind(custody.KindExportEvidence)), s.Trust, public(signed, leaves))
	require.Empty(t, v.Problems)
	require.Len(t, v.Withheld, 1)
	require.Contains(t, text(t, v), "these 4 records of the item and the one that announced it")
	require.Equal(t, 1, strings.Count(text(t, v), "records of the item exist as of size"))
}

// TestWhatWasTakenBack is told where it was said, and not only where it was taken back.
func TestWhatWasTakenBack(t *testing.T) {
	s := newStory(t, 1)
	first := says(t, s, s.Lead, &investigate.Retain{Incident: s.Incident, Days: 5})
	_, signer, err := guardtest.LogKey("custody.example/test", 1)
	require.NoError(t, err)
	on := investigate.On{Incident: s.Incident}
	for name, act := range map[string]custody.Act{
		"taken back": &investigate.WithdrawFinding{On: on, Finding: first, Reason: "it does not hold"},
		"corrected":  &investigate.Plan{On: on, Replaces: investigate.Replaces{Replaces: first}, Text: "it does not hold"},
		"given up":   &investigate.Drop{On: on, Measure: first},
		"instead":    &investigate.Drop{On: on, Repair: first},
		"reviewed":   &investigate.Review{On: on, Finding: first, Text: "it does not hold", Verdict: investigate.VerdictDisagrees},
	} {
		c, f := incidentContents(t, s, true), &forger{signer: signer}
		require.NoError(t, c.Leaves(func(l custody.Leaf) error { f.leaves = append(f.leaves, l); return nil }))
		add(t, f, c, s.Incident.Stream(), func(r *custody.Record) {
			by(t, r, s, s.Lead.ID, s.Lead.Key, act)
			heads(t, c, r, s.Lead.ID)
		})
		v := verify(written(t, f.prove(t, c)), s.Trust)
		require.Empty(t, v.Problems, name)
		said, last := v.Timeline[len(v.Timeline)-2], v.Timeline[len(v.Timeline)-1]
		require.Len(t, last.About, 1, name)
		require.Nil(t, last.Undone, name)
		if name == "reviewed" || name == "instead" {
			require.Nil(t, said.Undone, name)
			continue
		}
		require.Equal(t, &bundle.About{Stream: last.Stream, Sequence: last.Sequence, Index: last.Index, Detail: last.Detail}, said.Undone, name)
		require.Contains(t, text(t, v), "CORRECTED OR TAKEN BACK by "+said.Undone.String(), name)
	}
}

// TestRecordsThatSomebodyChose: who makes the bundle of an exhibit can add records of
// the incident, and leave out what took them back. They are in the log, and the verdict
// says that they were chosen.
func TestRecordsThatSomebodyChose(t *testing.T) {
	s, _ := busy(t)
	gone := says(t, s, s.Lead, &investigate.Unassign{Incident: s.Incident, Principal: s.Engineer.ID})
	for _, leaves := range []bool{true, false} {
		require.Empty(t, verify(written(t, contents(t, s, leaves)), s.Trust).Warnings)
		c := incidentContents(t, s, leaves)
		c.Scope, c.Items = bundle.ScopeExhibit, []custody.EvidenceID{s.Evidence}
		in := &c.Streams[slices.IndexFunc(c.Streams, func(st bundle.Stream) bool { return st.Name == s.Incident.Stream() })]
		in.Whole, in.Records = false, slices.DeleteFunc(slices.Clone(in.Records), func(r bundle.Record) bool { return payloadOf(t, r) == gone })
		v := verify(written(t, c), s.Trust)
		require.Empty(t, v.Problems)
		require.Contains(t, text(t, v), "made somebody a member")
		require.NotContains(t, text(t, v), "ended somebody's membership")
		require.Len(t, v.Warnings, 1)
		require.Equal(t, string(s.Incident.Stream()), v.Warnings[0].Where)
		require.Contains(t, v.Warnings[0].What, "here that the proof does not need")
	}
}

// TestNobodyTakesBackByWords: what stands in a list that people write does not take
// anything back, whatever stands before it; and a proposal that is withdrawn says so.
func TestNobodyTakesBackByWords(t *testing.T) {
	s := newStory(t, 1)
	first := says(t, s, s.Lead, &investigate.Retain{Incident: s.Incident, Days: 5})
	_, signer, err := guardtest.LogKey("custody.example/test", 1)
	require.NoError(t, err)
	on := investigate.On{Incident: s.Incident}
	for name, act := range map[string]custody.Act{
		"listed":    &investigate.Emergency{On: on, Alternatives: []string{"replaces", first.String()}, Impact: "x", Rationale: "x", Text: "x"},
		"withdrawn": &investigate.WithdrawEmergency{On: on, Proposal: first, Reason: "x"},
	} {
		c, f := incidentContents(t, s, true), &forger{signer: signer}
		require.NoError(t, c.Leaves(func(l custody.Leaf) error { f.leaves = append(f.leaves, l); return nil }))
		add(t, f, c, s.Incident.Stream(), func(r *custody.Record) {
			by(t, r, s, s.Lead.ID, s.Lead.Key, act)
			heads(t, c, r, s.Lead.ID)
		})
		v := verify(written(t, f.prove(t, c)), s.Trust)
		require.Empty(t, v.Problems, name)
		said := v.Timeline[len(v.Timeline)-2]
		require.Equal(t, name == "withdrawn", said.Undone != nil, name)
	}
}
