package custody

import (
	"errors"
	"fmt"
)

// Act is what a statement does: its type's own fields and rules. An act is
// pure: it sees the world only through a View.
type Act interface {
	Kind() Kind
	// NeedsPurpose says whether the statement must give a purpose.
	NeedsPurpose() bool
	// Check refuses an act whose fields are malformed. It sees the statement
	// alone.
	Check(*Statement) error
	// Subject says what the act is about.
	Subject() Subject
	// Lawful says whether the act may follow what the view shows, and what
	// comes of it. The outcome names the resource even when the act is
	// unlawful, so that policy can say whether the actor may know why.
	// ErrUnknown means that the act names what does not exist.
	Lawful(View, *Statement) (Outcome, error)
}

// Outcome is what comes of an act.
type Outcome struct {
	Stream   Stream   // where its record belongs
	Declares []Stream // streams that it opens
	Resource Resource // what policy decides about
	Covers   []Cover  // what else is given away with it: policy decides about each
}

// Cover is a thing that an act upon another one gives away too, and the act by which
// it is given away alone: whom policy does not permit that one, gets it neither way.
type Cover struct {
	Action   Kind
	Resource Resource
}

// Resource is the thing that an act touches, as policy sees it.
type Resource struct {
	Type     string        // "Custody", "Principal", "Incident" or "Evidence"
	ID       string        // of the principal, incident or item; the origin for "Custody"
	Incident IncidentID    // of an incident or item
	Assigned []PrincipalID // who is assigned to that incident
	Artifact string        // type of the artifact of an item, or of the one that is begun; else empty
}

// View shows folded streams to an act. What an act looks at becomes the basis
// of the decision about it.
type View interface {
	// State returns the fold of a stream's records, or ErrUnknown when no
	// record declares the stream.
	State(Stream) (State, error)
	// Erasures returns what of a stream was ordered erased.
	Erasures(Stream) (*Erasures, error)
	// Record returns a record of a stream that is on record and not erased, with
	// its commitment; otherwise an Unlawful error.
	Record(s Stream, sequence uint64) (*Record, *Statement, Commitment, error)
	// Now returns the time of the decision.
	Now() Time
}

// State is the fold of one stream.
type State interface {
	// Apply takes in the next record of the stream. Refusals are applied too.
	Apply(*Record, *Statement) error
}

// ErrUnknown says that there is no such thing. To the outside it must look
// like a refusal.
var ErrUnknown = errors.New("no such thing")

// Unlawful is why an act cannot follow what is on record. Its text may be
// shown to an actor whom policy permits the act.
type Unlawful struct{ Why string }

func (u Unlawful) Error() string { return u.Why }

func unlawful(format string, args ...any) error { return Unlawful{fmt.Sprintf(format, args...)} }

// stateOf returns the state of a stream as the type that it has.
func stateOf[T State](v View, s Stream) (T, error) {
	var none T
	state, err := v.State(s)
	if err != nil {
		return none, err
	}
	t, ok := state.(T)
	if !ok {
		return none, fmt.Errorf("%s: folded as %T", s, state)
	}
	return t, nil
}

// Acts is the vocabulary of this package.
func Acts() Vocabulary {
	return Vocabulary{
		KindGenesis:             func() Act { return new(Genesis) },
		KindEnrolPrincipal:      func() Act { return new(EnrolPrincipal) },
		KindQualifyPrincipal:    func() Act { return new(QualifyPrincipal) },
		KindDisqualifyPrincipal: func() Act { return new(DisqualifyPrincipal) },
		KindSuspendPrincipal:    func() Act { return new(SuspendPrincipal) },
		KindReinstatePrincipal:  func() Act { return new(ReinstatePrincipal) },
		KindGrantRole:           func() Act { return new(GrantRole) },
		KindRevokeRole:          func() Act { return new(RevokeRole) },
		KindEnrolKey:            func() Act { return new(EnrolKey) },
		KindRevokeKey:           func() Act { return new(RevokeKey) },
		KindOpenSession:         func() Act { return new(OpenSession) },
		KindSummariseRefusals:   func() Act { return new(SummariseRefusals) },
		KindBeginEvidence:       func() Act { return new(BeginEvidence) },
		KindSealEvidence:        func() Act { return new(SealEvidence) },
		KindCheckEvidence:       func() Act { return new(CheckEvidence) },
		KindRetrieveEvidence:    func() Act { return new(RetrieveEvidence) },
		KindReleaseEvidence:     func() Act { return new(ReleaseEvidence) },
		KindReceiveEvidence:     func() Act { return new(ReceiveEvidence) },
		KindExportEvidence:      func() Act { return new(ExportEvidence) },
		KindReportEvidence:      func() Act { return new(ReportEvidence) },
		KindExportIncident:      func() Act { return new(ExportIncident) },
		KindReportIncident:      func() Act { return new(ReportIncident) },
		KindWithdrawEvidence:    func() Act { return new(WithdrawEvidence) },
		KindProveStore:          func() Act { return new(ProveStore) },
		KindAdoptWitnesses:      func() Act { return new(AdoptWitnesses) },
		KindReplaceLogKey:       func() Act { return new(ReplaceLogKey) },
		KindCollectEvidence:     func() Act { return new(CollectEvidence) },
		KindVerifyEvidence:      func() Act { return new(VerifyEvidence) },
		KindHoldEvidence:        func() Act { return new(HoldEvidence) },
		KindLiftHold:            func() Act { return new(LiftHold) },
		KindDisposeEvidence:     func() Act { return new(DisposeEvidence) },
		KindDisposedEvidence:    func() Act { return new(DisposedEvidence) },
		KindEraseRecord:         func() Act { return new(EraseRecord) },
		KindErasedRecord:        func() Act { return new(ErasedRecord) },
		KindShredIncident:       func() Act { return new(ShredIncident) },
		KindShreddedIncident:    func() Act { return new(ShreddedIncident) },
		KindShreddedEvidence:    func() Act { return new(ShreddedEvidence) },
		KindLoseKeys:            func() Act { return new(LoseKeys) },
		KindNoticeTime:          func() Act { return new(NoticeTime) },
	}
}
