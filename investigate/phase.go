package investigate

import (
	"github.com/forensic-custody/custody/custody"
)

// Phase is a phase of incident management as ISO/IEC 27035-1 has them, by its name
// there. Stages and acts map to phases so that whoever audits by that standard finds
// here what he looks for; no decision depends on it.
type Phase string

// The phases, in order.
const (
	PhasePrepare Phase = "plan and prepare"
	PhaseDetect  Phase = "detect and report"
	PhaseAssess  Phase = "assess and decide"
	PhaseRespond Phase = "respond"
	PhaseLearn   Phase = "learn lessons"
)

// Phases lists the phases in order.
func Phases() []Phase {
	return []Phase{PhasePrepare, PhaseDetect, PhaseAssess, PhaseRespond, PhaseLearn}
}

// PhaseOfStage returns the phase in which a stage lies; "" of what is no stage. None
// lies in the first phase: that is before there is an incident.
func PhaseOfStage(stage string) Phase {
	return map[string]Phase{
		StageDetect: PhaseDetect, StageAssess: PhaseAssess, StageDiagnose: PhaseRespond, StageStabilize: PhaseRespond, StageClose: PhaseLearn,
	}[stage]
}

// PhaseOf returns the phase to which a kind of act belongs; "" of what is no kind. What
// is said in more than one phase has that which asks for it: responsibilities are given
// in the third, resources found in the fourth. People, rights, keys and the log itself
// are of the first, keeping and destroying what is there of the last.
func PhaseOf(kind custody.Kind) Phase {
	switch kind {
	case custody.KindGenesis, custody.KindEnrolPrincipal, custody.KindSuspendPrincipal, custody.KindReinstatePrincipal,
		custody.KindGrantRole, custody.KindRevokeRole, custody.KindEnrolKey, custody.KindRevokeKey, custody.KindOpenSession,
		custody.KindQualifyPrincipal, custody.KindDisqualifyPrincipal, KindRota, KindProcedure, KindReviewDefaults,
		custody.KindSummariseRefusals, custody.KindProveStore, custody.KindAdoptWitnesses, custody.KindReplaceLogKey, custody.KindNoticeTime:
		return PhasePrepare
	case KindOpen, KindDetection, KindReportVulnerability:
		return PhaseDetect
	case KindAssign, KindUnassign, KindAppoint, KindHandOver, KindDischarge,
		KindMove, KindAssess, KindRate, KindClassify, KindScope, KindTransfer, KindDeclare, KindDependency, KindConsult,
		KindAssessVulnerability:
		return PhaseAssess
	case KindContact, KindTeams, KindShift, KindNote, KindStep, KindReopen, KindRequest,
		custody.KindBeginEvidence, custody.KindWithdrawEvidence, custody.KindCollectEvidence, custody.KindSealEvidence, custody.KindCheckEvidence, custody.KindVerifyEvidence,
		custody.KindRetrieveEvidence, custody.KindReleaseEvidence, custody.KindReceiveEvidence, custody.KindHoldEvidence, custody.KindLiftHold, custody.KindLoseKeys,
		custody.KindExportEvidence, custody.KindReportEvidence, custody.KindExportIncident, custody.KindReportIncident,
		KindFinding, KindReview, KindWithdrawFinding, KindProcess, KindCatalogue, KindEvent, KindCustomers, KindClear, KindWithdrawClearance, KindIntelligence,
		KindPlan, KindMeasure, KindCarryOut, KindTest, KindDrop, KindContainment,
		KindEmergency, KindSignEmergency, KindWithdrawEmergency, KindOutageNotice,
		KindFixVulnerability, KindAcceptVulnerability, KindLinkVulnerability:
		return PhaseRespond
	case KindClose, KindPostMortem, KindSummary, KindApproveSummary, KindRepair, KindReschedule, KindRepaired,
		KindRetain, custody.KindDisposeEvidence, custody.KindDisposedEvidence, custody.KindShredIncident, custody.KindShreddedIncident, custody.KindShreddedEvidence,
		custody.KindEraseRecord, custody.KindErasedRecord:
		return PhaseLearn
	}
	return ""
}

// Stretch is what is on record of an incident in a phase: how many acts, and from when
// to when, by the service's clock. Phases overlap, as the acts do. What the incident's
// fold does not take in is not counted: exports, whose records can be erased, above all.
type Stretch struct {
	Phase Phase        `json:"phase"`
	Acts  uint64       `json:"acts"`
	First custody.Time `json:"first"`
	Last  custody.Time `json:"last"`
}

// count adds an act that was recorded at a time, later than those before.
func (s *Stretch) count(at custody.Time) {
	if s.Acts == 0 || at < s.First {
		s.First = at
	}
	s.Acts++
	s.Last = max(s.Last, at)
}

// stretches lists the phases in which something is on record of the incident, the
// record that opened it among it, in order.
func (i *Incident) stretches(o Opened) []Stretch {
	list := []Stretch{}
	for _, phase := range Phases() {
		s := i.phases[phase]
		s.Phase = phase
		if phase == PhaseOf(KindOpen) {
			s.count(o.Recorded)
		}
		if s.Acts > 0 {
			list = append(list, s)
		}
	}
	return list
}
