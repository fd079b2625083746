package investigate_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

// TestEveryActHasAPhase, and every stage (WP-10).
func TestEveryActHasAPhase(t *testing.T) {
	used := map[investigate.Phase]bool{}
	for kind := range investigate.Words() {
		phase := investigate.PhaseOf(kind)
		require.Contains(t, investigate.Phases(), phase, "%s has no phase: give it one, in phase.go and in WHITEPAPER.md", kind)
		used[phase] = true
	}
	require.Len(t, used, len(investigate.Phases()), "no phase is of nothing")
	at := 0
	for _, stage := range investigate.Newest().Stages {
		phase := slices.Index(investigate.Phases(), investigate.PhaseOfStage(stage))
		require.Positive(t, phase, "stage %s has no phase, or that before there is an incident", stage)
		require.GreaterOrEqual(t, phase, at, "stages come in the order of the phases")
		at = phase
	}
	require.Empty(t, investigate.PhaseOf("incident.dream"))
	require.Empty(t, investigate.PhaseOfStage("dream"))
}

// TestTheTableOfPhases: WHITEPAPER.md says what the functions say, in the same order
// (WP-10).
func TestTheTableOfPhases(t *testing.T) {
	b, err := os.ReadFile("WHITEPAPER.md")
	require.NoError(t, err)
	_, text, found := strings.Cut(string(b), "\n## Phases of ISO/IEC 27035-1\n")
	require.True(t, found)
	text, _, _ = strings.Cut(text, "\n## ")
	rows := regexp.MustCompile(`(?m)^\| ([a-z ]+) \| ([^|]*) \| ([^|]*) \|$`).FindAllStringSubmatch(text, -1)
	require.Len(t, rows, len(investigate.Phases()))
	for n, phase := range investigate.Phases() {
		require.Equal(t, string(phase), rows[n][1])
		var stages, kinds []string
		for _, s := range investigate.Newest().Stages {
			if investigate.PhaseOfStage(s) == phase {
				stages = append(stages, s)
			}
		}
		for _, k := range slices.Sorted(maps.Keys(investigate.Words())) {
			if investigate.PhaseOf(k) == phase {
				kinds = append(kinds, string(k))
			}
		}
		require.Equal(t, quoted(stages), rows[n][2], "stages of %s", phase)
		require.Equal(t, quoted(kinds), rows[n][3], "acts of %s", phase)
	}
}

func quoted(list []string) string {
	if len(list) == 0 {
		return "—"
	}
	return fmt.Sprintf("`%s`", strings.Join(list, "` `"))
}

// TestPhasesOfAnIncident: how much is on record of each, and from when to when; what was
// refused is not counted (WP-10).
func TestPhasesOfAnIncident(t *testing.T) {
	s := newStory(t)
	before := s.picture()
	require.Equal(t, investigate.PhaseDetect, before.Phase)
	require.Equal(t, []investigate.Phase{investigate.PhaseDetect, investigate.PhaseAssess}, phases(before), "who has which role is decided")
	require.Equal(t, investigate.Stretch{Phase: investigate.PhaseDetect, Acts: 1, First: before.OpenedAt, Last: before.OpenedAt}, before.Phases[0], "it was opened")
	s.tries("emil", s.contains(investigate.RiskCustomer, true), "that is for the stages")
	require.Equal(t, before.Phases, s.picture().Phases)
	s.to(investigate.StageDiagnose)
	p := s.picture()
	require.Equal(t, investigate.PhaseRespond, p.Phase)
	detected := p.Phases[0]
	require.EqualValues(t, 2, detected.Acts)
	require.Equal(t, p.OpenedAt, detected.First)
	require.Equal(t, p.File.Detections[0].Recorded, detected.Last)
	require.Equal(t, p.File.Stages[1].Recorded, p.Phases[1].Last, "assessed until it went to Diagnose")
	s.to(investigate.StageClose)
	s.closed()
	p = s.picture()
	s.does("lex", &custody.ExportIncident{Incident: s.incident})
	require.Equal(t, p.Phases, s.picture().Phases, "that record can be erased, and the fold is to be the same then")
	require.Equal(t, investigate.PhaseLearn, p.Phase)
	require.Equal(t, investigate.Phases()[1:], phases(p), "what was prepared is of no incident")
	require.Equal(t, p.File.Closed.Recorded, p.Phases[3].Last)
	acts := uint64(0)
	for _, x := range p.Phases {
		acts += x.Acts
	}
	permitted := uint64(1) // that opened it
	s.records(func(r *custody.Record, x *custody.Statement) {
		if r.Stream == s.incident.Stream() && r.Decision.Permit && x.Kind != custody.KindExportIncident {
			permitted++
		}
	})
	require.Equal(t, permitted, acts, "each act is counted, once")
}

func phases(p investigate.Picture) (list []investigate.Phase) {
	for _, x := range p.Phases {
		list = append(list, x.Phase)
	}
	return list
}
