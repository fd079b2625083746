package investigate_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/investigate"
)

// entries collects the labels in what is shown of an incident, by the digests of what
// they are of.
func entries(in any, of map[custody.Digest]string) {
	switch x := in.(type) {
	case []any:
		for _, e := range x {
			entries(e, of)
		}
	case map[string]any:
		id, _ := x["id"].(string)
		label, _ := x["label"].(string)
		var d custody.Digest
		if label != "" && d.UnmarshalText([]byte(id)) == nil {
			of[d] = label
		}
		for _, e := range x {
			entries(e, of)
		}
	}
}

// filed are the labels that the fold of the incident gives.
func (c *troupe) filed() map[custody.Digest]string {
	c.t.Helper()
	var file any
	c.looks(func(_ custody.View, i *investigate.Incident) {
		b, err := json.Marshal(&i.File)
		require.NoError(c.t, err)
		require.NoError(c.t, json.Unmarshal(b, &file))
	})
	of := map[custody.Digest]string{}
	entries(file, of)
	return of
}

// bundled is the incident's bundle.
func (c *troupe) bundled(change ...func(*bundle.Contents)) []byte {
	c.t.Helper()
	all, err := c.IncidentContents(c.t.Context(), c.incident, true)
	require.NoError(c.t, err)
	for _, f := range change {
		f(all)
	}
	var b bytes.Buffer
	require.NoError(c.t, bundle.Write(&b, all))
	return b.Bytes()
}

// verdict is that of a bundle that verifies, and the labels in it.
func (c *troupe) verdict(b []byte) (v *bundle.Verdict, labels map[custody.Digest]string) {
	c.t.Helper()
	v = bundle.Verify(bytes.NewReader(b), c.Trust, bundle.Options{Words: investigate.Words()})
	require.Empty(c.t, v.Problems)
	labels = map[custody.Digest]string{}
	for _, e := range slices.Concat(v.Timeline, v.Around) {
		if e.Label != "" {
			labels[e.Statement.Payload] = e.Label
		}
	}
	return v, labels
}

// labelled is a story with something of each letter, of two of them one that corrects
// another, and a finding between two that was refused.
func labelled(t *testing.T) *story {
	t.Helper()
	s := newStory(t).to(investigate.StageStabilize)
	s.tries("emil", changed(s.found(), func(f *investigate.Finding) { f.Limits = "" }), "what limits it")
	s.does("emil", changed(s.found(), func(f *investigate.Finding) { f.Replaces = s.finding }))
	s.finding = s.does("fay", s.found())
	event := s.does("olga", &investigate.Event{On: s.on, Happened: s.now(), Source: "the server's clock", Title: "a login"})
	s.does("fay", &investigate.Event{On: s.on, Happened: s.now(), Replaces: event, Source: "the server's clock", Title: "a login as root"})
	s.does("emil", &investigate.WithdrawEmergency{On: s.on, Proposal: s.does("emil", s.outage()), Reason: "it is not needed"})
	for range 2 {
		measure := s.does("lena", &investigate.Measure{On: s.on, Findings: []custody.Digest{s.finding}, Owner: s.id("emil"), Text: "cut it off", Type: investigate.MeasureContainment})
		s.does("lena", &investigate.Drop{On: s.on, Measure: measure})
	}
	s.does("lex", &investigate.Clear{On: s.on, Authority: "the service contract", Conditions: "none"})
	files := s.takes("emil", "EX-2", "other", "its files")
	s.does("emil", &investigate.Process{
		On: s.on, Happened: s.now(), Deterministic: true, Environment: "Debian 13", Inputs: []investigate.Input{{Evidence: s.item, SHA256: custody.Hash([]byte(logBytes))}},
		Output:     investigate.Output{Evidence: files, SHA256: custody.Hash([]byte("its files")), Size: uint64(len("its files"))},
		Parameters: "-r -a", Tool: "tsk_recover", Version: "4.12",
	})
	paper := s.takes("emil", "IR-1", "document", "what others should know")
	s.does("emil", &investigate.Intelligence{On: s.on, Evidence: paper, SHA256: custody.Hash([]byte("what others should know")), Status: investigate.ReportDraft, Title: "the intruder", Version: 1})
	s.does("lena", &investigate.Plan{On: s.on, Findings: []custody.Digest{s.finding}, Text: "rebuild the host"})
	s.does("emil", s.contains(investigate.RiskCustomer, true))
	s.does("stef", s.contains(investigate.RiskBusiness, true))
	s.does("lena", s.move(investigate.StageClose))
	s.postMortem()
	sum := s.takes("emil", "SUM-1", "document", "credentials were misused")
	s.does("carl", &investigate.Summary{On: s.on, Evidence: sum, PostMortem: s.issued, SHA256: custody.Hash([]byte("credentials were misused"))})
	s.does("lena", s.repair())
	return s
}

// TestTheLabelsOfAVerdict are those of the incident's fold, of each letter that there is.
// In the bundle of an exhibit, which has single records of the incident, there are none.
func TestTheLabelsOfAVerdict(t *testing.T) {
	s := labelled(t)
	want := s.filed()
	v, got := s.verdict(s.bundled())
	require.Equal(t, want, got)
	require.Equal(t, "F-3", got[s.finding], "what was refused is not counted")
	seen := map[custody.Kind]bool{}
	var text bytes.Buffer
	require.NoError(t, v.Write(&text))
	b, err := json.Marshal(v)
	require.NoError(t, err)
	for _, e := range v.Timeline {
		if e.Label != "" {
			seen[e.Kind] = true
			require.Contains(t, text.String(), " ("+e.Label+")\n")
			require.Contains(t, string(b), `"label":"`+e.Label+`"`)
		}
	}
	for kind, act := range investigate.Words() {
		if _, ok := act().(custody.Lettered); ok {
			require.True(t, seen[kind], "nothing of %s", kind)
		}
	}

	v, got = s.verdict(s.bundled(func(c *bundle.Contents) {
		c.Scope, c.Items = bundle.ScopeExhibit, []custody.EvidenceID{s.item}
		in := &c.Streams[slices.IndexFunc(c.Streams, func(x bundle.Stream) bool { return x.Name == s.incident.Stream() })]
		in.Whole = false
	}))
	require.True(t, slices.ContainsFunc(v.Timeline, func(e bundle.Event) bool { return e.Kind == investigate.KindFinding }))
	require.Empty(t, got)
}

// before keeps of labels those of records of the incident before one of them.
func before(v *bundle.Verdict, incident custody.IncidentID, labels map[custody.Digest]string, sequence uint64) map[custody.Digest]string {
	kept := map[custody.Digest]string{}
	for _, e := range v.Timeline {
		if l := labels[e.Statement.Payload]; l != "" && e.Stream == incident.Stream() && e.Sequence < sequence {
			kept[e.Statement.Payload] = l
		}
	}
	return kept
}

// TestNoLabelBehindWhatIsNotTold: a record that is withheld or erased could be of any
// letter, and whoever counted on would name something else.
func TestNoLabelBehindWhatIsNotTold(t *testing.T) {
	s := newStory(t).to(investigate.StageStabilize)
	exported := s.does("lena", &custody.ExportIncident{Incident: s.incident})
	second := s.does("emil", changed(s.found(), func(f *investigate.Finding) { f.Replaces = s.finding }))
	whole := s.bundled()
	all := s.filed()
	v, got := s.verdict(whole)
	require.Equal(t, all, got)
	require.Equal(t, "F-2", got[second])
	at := func(payload custody.Digest) uint64 {
		n := slices.IndexFunc(v.Timeline, func(e bundle.Event) bool { return e.Statement.Payload == payload })
		require.NotEqual(t, -1, n)
		return v.Timeline[n].Sequence
	}

	for _, payload := range []custody.Digest{s.finding, exported} { // one that has a label, and one that has none
		var hidden bytes.Buffer
		_, err := bundle.Redact(&hidden, bytes.NewReader(whole), bundle.At(s.incident.Stream(), at(payload)))
		require.NoError(t, err)
		_, got = s.verdict(hidden.Bytes())
		require.Equal(t, before(v, s.incident, all, at(payload)), got)
		require.NotEmpty(t, got)
		require.Empty(t, got[second])
	}

	stored, err := s.Store.ByPayload(t.Context(), exported)
	require.NoError(t, err)
	order := &custody.EraseRecord{
		Authority: "request 12/26", Commitment: stored.Commitment, Sequence: at(exported), Stream: s.incident.Stream(), Was: custody.KindExportIncident,
	}
	seconding := *order
	seconding.Seconds = s.does("lex", order)
	s.does("exa", &seconding)
	require.Eventually(t, func() bool {
		open, err := s.Store.Erasures(t.Context())
		require.NoError(t, err)
		return len(open) == 0
	}, 10*time.Second, time.Millisecond)
	erased, got := s.verdict(s.bundled())
	require.Len(t, erased.Erased, 1)
	require.Equal(t, before(v, s.incident, all, at(exported)), got)
	require.NotEmpty(t, got)
	require.Empty(t, got[second])
}
