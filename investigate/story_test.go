package investigate_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

// A story is an incident of the troupe that goes through its stages lawfully, as far
// as it is told to.
type story struct {
	*troupe
	item    custody.EvidenceID // a log, sealed, read back, on hold and catalogued; from Diagnose on
	finding custody.Digest     // established by it
	plan    custody.Digest     // from Stabilize & Recover on
	issued  custody.Digest     // the post-mortem, once told is its text
}

// logBytes are the bytes of the story's log.
const logBytes = "one\ntwo: root\nthree\n"

func newStory(t *testing.T) *story { return &story{troupe: newTroupe(t).ready().opened().staffed()} }

// order is the stages, as the white paper has them.
var order = []string{
	investigate.StageDetect, investigate.StageAssess, investigate.StageDiagnose, investigate.StageStabilize, investigate.StageClose,
}

// to takes the incident forward, into a stage that it has not passed.
func (s *story) to(stage string) *story {
	s.t.Helper()
	at := ""
	s.looks(func(_ custody.View, i *investigate.Incident) { at = i.Stage() })
	for n := slices.Index(order, at); n < slices.Index(order, stage); n++ {
		switch order[n] {
		case investigate.StageDetect:
			s.does("olga", &investigate.Detection{
				On: s.on, Happened: s.now(), Properties: []string{"confidentiality"}, Reference: "alarm 4711", Source: "monitoring-signature",
			})
		case investigate.StageAssess:
			s.does("olga", &investigate.Assess{On: s.on, Escalated: true, Impact: "web tier", Privacy: "no", Security: "yes"})
			s.does("olga", &investigate.Rate{On: s.on, DataRisk: investigate.RiskNone, Severity: 2, Priority: 2})
			s.does("lena", &investigate.Scope{On: s.on, Layer: "host", Model: "iaas", Responsibility: investigate.ByProvider})
		case investigate.StageDiagnose:
			s.diagnosed()
		case investigate.StageStabilize:
			s.plan = s.does("lena", &investigate.Plan{On: s.on, Findings: []custody.Digest{s.finding}, Text: "rebuild the host"})
			s.does("emil", s.contains(investigate.RiskCustomer, true))
			s.does("stef", s.contains(investigate.RiskBusiness, true))
		}
		s.does("lena", s.move(order[n+1]))
	}
	return s
}

// diagnosed puts on record what Diagnose is not left without.
func (s *story) diagnosed() {
	s.t.Helper()
	s.item = s.takes("emil", "EX-1", "log", logBytes)
	s.sound(s.item, logBytes)
	s.finding = s.does("emil", s.found())
	s.does("fay", &investigate.Review{On: s.on, Finding: s.finding, Text: "read it again", Verdict: investigate.VerdictAgrees})
	s.does("lena", &investigate.Customers{On: s.on, Findings: []custody.Digest{s.finding}, Impacted: "no"})
}

// found is a finding that lacks nothing.
func (s *story) found() *investigate.Finding {
	return &investigate.Finding{
		On: s.on, Alternatives: []string{"an administrator at work: nobody was"}, Confidence: "high", Fact: "line 2 has a login of root",
		Citations: []investigate.Citation{{
			Evidence: s.item, SHA256: custody.Hash([]byte(logBytes)), Stance: investigate.StanceFor, Place: investigate.Place{Kind: investigate.PlaceLine, From: 2, To: 2},
		}},
		Interpretation: "the intruder had root's password", Limits: "only the log was read", Status: investigate.FindingEstablished, Title: "a login as root",
	}
}

func (s *story) contains(risk string, contained bool) *investigate.Containment {
	return &investigate.Containment{On: s.on, Happened: s.now(), Contained: contained, How: "no traffic for an hour", Risk: risk}
}

// begins announces an item.
func (c *troupe) begins(who, exhibit, kind string) custody.EvidenceID {
	c.t.Helper()
	return custody.NewEvidenceID(c.does(who, beginning(c.t, c.incident, exhibit, kind)))
}

func beginning(t *testing.T, in custody.IncidentID, exhibit, kind string) *custody.BeginEvidence {
	t.Helper()
	name, err := custody.NewName([]byte(exhibit + ".bin"))
	require.NoError(t, err)
	return &custody.BeginEvidence{AtMost: 1 << 20, Exhibit: exhibit, Incident: in, Name: name, Type: kind}
}

// sealing says which bytes an item is, and has all that any type of item asks for.
func sealing(t *testing.T, in custody.IncidentID, id custody.EvidenceID, bytes string) *custody.SealEvidence {
	t.Helper()
	tree := custody.NewTreeHash(nil)
	_, err := tree.Write([]byte(bytes))
	require.NoError(t, err)
	return &custody.SealEvidence{
		Acquisition: custody.Acquisition{
			Authority:   custody.Authority{Kind: "policy", Reference: "incident response policy 4.2"},
			CollectedAt: "2026-11-23T20:41:00+01:00", Method: "dead", Place: "office, room 4", WriteBlock: "Tableau T8u",
			Source: custody.Source{Description: "server"}, Tool: &custody.Tool{Name: "dd", Version: "9.1", Settings: "bs=1M"},
			Coverage: &custody.Coverage{First: "2026-11-20T00:00:00Z", Last: "2026-11-22T00:00:00Z"},
			Unread:   &custody.Unread{}, Seal: &custody.BagSeal{Bag: "B-1", Seal: "S-1"},
		},
		Artifact: tree.Finish(), Evidence: id, Incident: in,
	}
}

// takes takes an item in.
func (c *troupe) takes(who, exhibit, kind, bytes string) custody.EvidenceID {
	c.t.Helper()
	id := c.begins(who, exhibit, kind)
	c.does(who, sealing(c.t, c.incident, id, bytes))
	return id
}

// sound has an item read back, put on hold, and catalogued.
func (c *troupe) sound(id custody.EvidenceID, bytes string) {
	c.t.Helper()
	c.readBack(id, bytes, bytes)
	c.does("lex", &custody.HoldEvidence{Authority: "court of Berlin", Evidence: id})
	c.does("emil", &investigate.Catalogue{On: c.on, Evidence: id, Mark: investigate.MarkInvestigated, What: "forensic-data"})
}

// readBack is the service's word on what it found in its store.
func (c *troupe) readBack(id custody.EvidenceID, sealed, found string) {
	c.t.Helper()
	a, err := c.Attest(c.t.Context(), "read back", &custody.CheckEvidence{Evidence: id, Intact: sealed == found, SHA256: custody.Hash([]byte(found))})
	require.NoError(c.t, err)
	require.True(c.t, a.Permit, a.Reason)
}

// looks shows the incident's fold. Nothing is recorded by it.
func (c *troupe) looks(at func(custody.View, *investigate.Incident)) {
	c.t.Helper()
	require.NoError(c.t, c.Survey(c.t.Context(), func(v custody.View) error {
		state, err := v.State(c.incident.Stream())
		require.NoError(c.t, err)
		i, ok := state.(*investigate.Incident)
		require.True(c.t, ok)
		at(v, i)
		return nil
	}))
}

// picture is the incident's picture.
func (c *troupe) picture() (p investigate.Picture) {
	c.t.Helper()
	c.looks(func(v custody.View, i *investigate.Incident) {
		state, err := v.State(custody.IncidentsStream)
		require.NoError(c.t, err)
		list, ok := state.(*investigate.Incidents)
		require.True(c.t, ok)
		for _, o := range list.Opened {
			if o.ID == c.incident {
				p, err = i.Picture(v, o)
				require.NoError(c.t, err)
			}
		}
	})
	return p
}

// unpurposed lets somebody ask without saying why.
func (c *troupe) unpurposed(who string, act custody.Act) {
	c.t.Helper()
	raw, err := c.people[who].Sign("", act)
	require.NoError(c.t, err)
	before := c.Store.(*guardtest.Store).Len()
	_, err = c.Admit(c.t.Context(), raw, "")
	require.ErrorContains(c.t, err, "purpose")
	require.Equal(c.t, before, c.Store.(*guardtest.Store).Len(), "what is no statement is not on record")
}

// changed is an act with something else in it.
func changed[T any](act *T, change func(*T)) *T {
	c := *act
	change(&c)
	return &c
}
