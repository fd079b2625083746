package custody

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The kinds of statement about evidence.
const (
	KindBeginEvidence    Kind = "evidence.begin"
	KindSealEvidence     Kind = "evidence.seal"
	KindCheckEvidence    Kind = "evidence.check"
	KindRetrieveEvidence Kind = "evidence.retrieve"
	KindReleaseEvidence  Kind = "evidence.release"
	KindReceiveEvidence  Kind = "evidence.receive"
	KindExportEvidence   Kind = "evidence.export"
	KindExportIncident   Kind = "incident.export"
	KindWithdrawEvidence Kind = "evidence.withdraw"
)

// ArtifactTypes lists what an artifact can be.
func ArtifactTypes() []string {
	return []string{"disk", "memory", "log", "network", "mobile", "cloud", "document", TypePhysical, TypePostMortem, "other"}
}

// TypePostMortem is the type of the text of a post-mortem: for those who learn from an
// incident, and for auditors, and for nobody outside. Each reading is on record, as
// that of any item.
const TypePostMortem = "post-mortem"

// images are the types whose examination takes legal clearance, once an incident has
// left its first stage: all that may hold what is a person's own, be it carved out of
// another.
var images = []string{"disk", "memory", "mobile", "cloud", "other"}

// MaxArtifact is the largest artifact in bytes: 16 TiB.
const MaxArtifact = 16 << 40

// Case is what evidence acts need to know of an incident. The fold of an
// incident stream implements it.
type Case interface {
	State
	// Assignees returns who is assigned to the incident, sorted.
	Assignees() []PrincipalID
	// Item returns the item that a record of the incident began.
	Item(EvidenceID) (Beginning, bool)
	// Items returns all items that were begun, in order of their records.
	Items() []EvidenceID
	// Exhibit returns the item that bears the exhibit number, unless it was
	// withdrawn.
	Exhibit(number string) (EvidenceID, bool)
	// Retention returns how many days items of a type are kept from their
	// seal on.
	Retention(kind string) uint64
	// Open says whether the incident takes in evidence.
	Open() bool
	// MayBegin returns an Unlawful error when somebody may not begin an item.
	MayBegin(by Principal, item *BeginEvidence) error
	// Cleared returns an Unlawful error when the images of an item may not be examined
	// by somebody at a time: no legal advisor, other than himself, cleared it.
	Cleared(item EvidenceID, by PrincipalID, at Time) error
	// Motions returns what was moved about the incident and awaits a second.
	Motions() Motions
	// Shredding returns how far the destruction of the incident's keys has come.
	Shredding() Disposal
}

// Beginning is what an incident says of an item: how it began, and whether it was
// withdrawn since.
type Beginning struct {
	Begun     BeginEvidence
	BegunBy   PrincipalID
	BegunAt   Time
	Withdrawn bool
}

// BeginEvidence announces an item to an incident. Its record belongs to the
// incident's stream and declares the item's.
type BeginEvidence struct {
	AtMost   uint64     `json:"atMost"`  // size in bytes that the artifact will not exceed
	Exhibit  string     `json:"exhibit"` // exhibit number, unique in the incident
	Incident IncidentID `json:"incident"`
	Name     Name       `json:"name"` // of the file or device, as its owner calls it
	Type     string     `json:"type"` // one of ArtifactTypes
}

func (*BeginEvidence) Kind() Kind         { return KindBeginEvidence }
func (*BeginEvidence) NeedsPurpose() bool { return true }
func (a *BeginEvidence) Subject() Subject { return Subject{Name: string(a.Incident)} }

// Check implements Act.
func (a *BeginEvidence) Check(*Statement) error {
	if _, err := ParseIncidentID(string(a.Incident)); err != nil {
		return err
	}
	if !slices.Contains(ArtifactTypes(), a.Type) {
		return fmt.Errorf("type %.40q is none of %q", a.Type, ArtifactTypes())
	}
	if a.AtMost > MaxArtifact {
		return fmt.Errorf("an artifact has at most %d bytes", uint64(MaxArtifact))
	}
	if err := checkLine("exhibit", a.Exhibit, true); err != nil {
		return err
	}
	return a.Name.check()
}

// Lawful implements Act.
func (a *BeginEvidence) Lawful(v View, s *Statement) (Outcome, error) {
	c, err := stateOf[Case](v, a.Incident.Stream())
	if err != nil {
		return Outcome{}, err
	}
	id := NewEvidenceID(s.Payload)
	out := Outcome{
		Stream:   a.Incident.Stream(),
		Declares: []Stream{id.Stream()},
		Resource: Resource{Type: "Incident", ID: string(a.Incident), Incident: a.Incident, Assigned: c.Assignees(), Artifact: a.Type},
	}
	if !c.Open() {
		return out, unlawful("incident %s is closed", a.Incident)
	}
	if d := c.Shredding(); d.Approved() {
		return out, unlawful("incident %s takes nothing in: its keys are destroyed, by order of %s and %s", a.Incident, d.First, d.Second)
	}
	if other, taken := c.Exhibit(a.Exhibit); taken {
		return out, unlawful("exhibit number %q is %s already", a.Exhibit, other)
	}
	by, err := PrincipalOf(v, s.Actor)
	if err != nil {
		return out, err
	}
	return out, c.MayBegin(by, a)
}

// WithdrawEvidence ends an upload that is not to be finished: of what was
// announced and cannot be sealed as it should be. The item's exhibit number is
// free again, and what arrived of it is discarded. Its record belongs to the
// incident's stream, as that of its beginning does, and stays. Whoever began the
// item says so, or an incident manager; of a sealed item nobody.
type WithdrawEvidence struct {
	Evidence EvidenceID `json:"evidence"`
	Incident IncidentID `json:"incident"`
}

func (*WithdrawEvidence) Kind() Kind         { return KindWithdrawEvidence }
func (*WithdrawEvidence) NeedsPurpose() bool { return true }
func (a *WithdrawEvidence) Subject() Subject { return Subject{Name: string(a.Evidence)} }

// Check implements Act.
func (a *WithdrawEvidence) Check(*Statement) error { return checkItem(a.Incident, a.Evidence) }

// Lawful implements Act.
func (a *WithdrawEvidence) Lawful(v View, s *Statement) (Outcome, error) {
	e, out, err := itemIn(v, a.Incident, a.Evidence)
	if err != nil {
		return out, err
	}
	out.Stream = a.Incident.Stream()
	by, err := PrincipalOf(v, s.Actor)
	switch {
	case err != nil:
		return out, err
	case e.Sealed:
		return out, unlawful("item %s is sealed: what is evidence is not withdrawn", a.Evidence)
	case e.Withdrawn:
		return out, unlawful("item %s was withdrawn before", a.Evidence)
	case e.BegunBy != s.Actor && !by.Has(RoleIncidentManager):
		return out, unlawful("item %s was begun by %s, who alone withdraws it, or an incident manager", a.Evidence, e.BegunBy)
	}
	return out, nil
}

// SealEvidence says which bytes the item is and how they were obtained. It is
// the first record of the item's stream: from here on the item exists.
type SealEvidence struct {
	Acquisition Acquisition `json:"acquisition"`
	Artifact    Artifact    `json:"artifact"`
	AsReceived  []string    `json:"asReceived,omitempty"` // which of the artifact's digests whoever signs did not measure, but took from the service's answer: DigestRoot, or DigestRoot and DigestSHA256
	Evidence    EvidenceID  `json:"evidence"`
	Format      string      `json:"format"` // what the bytes were recognized as, like "ewf"; empty when not looked at
	Incident    IncidentID  `json:"incident"`
	Labels      []Label     `json:"labels"`          // other digests, as compared at intake; at most 16
	Parts       []Part      `json:"parts,omitempty"` // the files whose bytes are the artifact, in order, where there are several
	Scene       *Envelope   `json:"scene,omitempty"` // the CollectEvidence that was signed at the scene
}

// Part is one of the files whose bytes, one after the other, are an artifact: a
// segment of a split image.
type Part struct {
	Name Name   `json:"name"`
	Size uint64 `json:"size"` // in bytes
}

// The digests that can be AsReceived. Whoever measures the SHA-256 of what he has
// and takes the root from the service is bound by the SHA-256: what is handed out
// later is held against both. Whoever takes both signs that these are the bytes
// of which the service said that it received them, and not that they are those
// which he had.
const (
	DigestRoot   = "root"
	DigestSHA256 = "sha256"
)

func (a *SealEvidence) checkAsReceived() error {
	if len(a.AsReceived) == 0 {
		return nil
	}
	if !slices.Equal(a.AsReceived, []string{DigestRoot}) && !slices.Equal(a.AsReceived, []string{DigestRoot, DigestSHA256}) {
		return fmt.Errorf("asReceived %.80q is neither root nor root and sha256", a.AsReceived)
	}
	if a.Scene != nil {
		return errors.New("what was signed for at the scene was measured there")
	}
	return nil
}

// AsReceivedText says in a sentence what a seal's AsReceived means for whoever
// relies on it; "" when all was measured.
func AsReceivedText(digests []string) string {
	switch {
	case slices.Contains(digests, DigestSHA256):
		return "nobody but the service measured these bytes when they were taken in: the collector signed what it said that it received"
	case slices.Contains(digests, DigestRoot):
		return "the collector measured the SHA-256; the root is of what the service said that it received"
	}
	return ""
}

// maxParts is how many parts an artifact has at most.
const maxParts = 1000

// maxLabels is how many labels a seal has at most.
const maxLabels = 16

func (*SealEvidence) Kind() Kind         { return KindSealEvidence }
func (*SealEvidence) NeedsPurpose() bool { return true }
func (a *SealEvidence) Subject() Subject {
	return Subject{Name: string(a.Evidence), SHA256: a.Artifact.SHA256}
}

// Check implements Act.
func (a *SealEvidence) Check(s *Statement) error {
	if err := checkItem(a.Incident, a.Evidence); err != nil {
		return err
	}
	if err := a.Artifact.check(); err != nil {
		return err
	}
	if err := checkLabels(a.Format, a.Labels); err != nil {
		return err
	}
	if err := checkParts(a.Parts, a.Artifact.Size); err != nil {
		return err
	}
	return errors.Join(a.checkAsReceived(), a.Acquisition.Check(s.Time), a.checkScene(s))
}

func checkParts(parts []Part, size uint64) error {
	if len(parts) == 0 {
		return nil
	}
	if len(parts) > maxParts {
		return fmt.Errorf("%d parts; at most %d", len(parts), maxParts)
	}
	for _, p := range parts {
		if err := p.Name.check(); err != nil {
			return err
		}
		if p.Size > size {
			return errors.New("the parts do not make up the artifact")
		}
		size -= p.Size
	}
	if size != 0 {
		return errors.New("the parts do not make up the artifact")
	}
	return nil
}

func checkLabels(format string, labels []Label) error {
	if len(labels) > maxLabels {
		return fmt.Errorf("%d labels; at most %d", len(labels), maxLabels)
	}
	for _, l := range labels {
		if err := l.check(); err != nil {
			return err
		}
	}
	return checkLine("format", format, false)
}

// noBytes is the artifact of an item without bytes.
func noBytes() Artifact { return NewTreeHash(nil).Finish() }

func (a Artifact) check() error {
	switch {
	case a.ChunkSize != ChunkSize:
		return fmt.Errorf("chunk size %d is not %d", a.ChunkSize, ChunkSize)
	case a.Size > MaxArtifact:
		return fmt.Errorf("an artifact has at most %d bytes", uint64(MaxArtifact))
	case a.Root.IsZero() || a.SHA256.IsZero():
		return errors.New("the artifact's digests are missing")
	}
	return nil
}

// Lawful implements Act. That the bytes are there and are these bytes is for
// the vault to say, before the decision is recorded.
func (a *SealEvidence) Lawful(v View, s *Statement) (Outcome, error) {
	e, out, err := itemIn(v, a.Incident, a.Evidence)
	if err != nil {
		return out, err
	}
	switch {
	case e.BegunBy != s.Actor:
		return out, unlawful("item %s was begun by %s, who alone seals it", a.Evidence, e.BegunBy)
	case e.Withdrawn:
		return out, unlawful("item %s was withdrawn", a.Evidence)
	case e.Sealed:
		return out, unlawful("item %s is sealed", a.Evidence)
	case e.Shredding.Approved():
		return out, unlawful("incident %s takes nothing in: its keys are destroyed", a.Incident)
	case a.Artifact.Size > e.Begun.AtMost:
		return out, unlawful("the artifact has %d bytes, more than the %d announced", a.Artifact.Size, e.Begun.AtMost)
	case e.Begun.Type == TypePhysical && a.Artifact != noBytes():
		return out, unlawful("a physical item has no bytes; give what is known of it as another item")
	}
	if missing := a.Acquisition.Lacks(e.Begun.Type); len(missing) > 0 {
		return out, unlawful("an item of type %s is not taken in without %s", e.Begun.Type, strings.Join(missing, ", "))
	}
	return out, a.lawfulScene(v, e.Begun)
}

// CheckEvidence is the service's word that it read the artifact back from the
// store, and what it found.
type CheckEvidence struct {
	Evidence EvidenceID `json:"evidence"`
	Intact   bool       `json:"intact"` // the bytes have the sealed root and SHA-256
	SHA256   Digest     `json:"sha256"` // as measured; zero when the bytes could not be read
}

func (*CheckEvidence) Kind() Kind         { return KindCheckEvidence }
func (*CheckEvidence) NeedsPurpose() bool { return true }
func (a *CheckEvidence) Subject() Subject {
	return Subject{Name: string(a.Evidence), SHA256: a.SHA256}
}

// Check implements Act.
func (a *CheckEvidence) Check(*Statement) error { return checkEvidence(a.Evidence) }

// Lawful implements Act. What two people ordered destroyed is not damaged.
func (a *CheckEvidence) Lawful(v View, _ *Statement) (Outcome, error) {
	e, out, err := ItemOf(v, a.Evidence)
	if err != nil {
		return out, err
	}
	switch {
	case e.Shredding.Approved(), e.Disposal.Approved() && !a.Intact:
		return out, e.going(a.Evidence)
	case a.Intact != (a.SHA256 == e.Artifact.SHA256):
		return out, unlawful("what was measured does not fit the verdict")
	}
	return out, nil
}

// RetrieveEvidence asks for bytes of an item. Permitted and proven, it earns a
// ticket for exactly this stretch.
type RetrieveEvidence struct {
	Evidence EvidenceID `json:"evidence"`
	Length   uint64     `json:"length"` // in bytes; 0 means to the end of the artifact
	Offset   uint64     `json:"offset"` // of the first byte
}

func (*RetrieveEvidence) Kind() Kind         { return KindRetrieveEvidence }
func (*RetrieveEvidence) NeedsPurpose() bool { return true }
func (a *RetrieveEvidence) Subject() Subject { return Subject{Name: string(a.Evidence)} }

// Check implements Act.
func (a *RetrieveEvidence) Check(*Statement) error { return checkEvidence(a.Evidence) }

// Lawful implements Act.
func (a *RetrieveEvidence) Lawful(v View, s *Statement) (Outcome, error) {
	e, out, err := ItemOf(v, a.Evidence)
	if err != nil {
		return out, err
	}
	if slices.Contains(images, e.Begun.Type) {
		c, err := stateOf[Case](v, e.Incident.Stream())
		if err != nil {
			return out, err
		}
		if err := c.Cleared(a.Evidence, s.Actor, v.Now()); err != nil {
			return out, err
		}
	}
	if err := e.going(a.Evidence); err != nil && e.Begun.Type != TypePhysical {
		return out, err
	}
	switch {
	case e.Begun.Type == TypePhysical:
		return out, unlawful("item %s is a thing and has no bytes", a.Evidence)
	case e.KeysLost != "":
		return out, unlawful("item %s cannot be read: the keys of its incident are lost (%s)", a.Evidence, e.KeysLost)
	case e.Damaged:
		return out, unlawful("item %s is damaged: not all of its bytes are those that were sealed, so none are handed out, sound ones neither", a.Evidence)
	case a.Offset > e.Artifact.Size || a.Length > e.Artifact.Size-a.Offset:
		return out, unlawful("%d bytes from byte %d are not within the %d bytes of the artifact", a.Length, a.Offset, e.Artifact.Size)
	}
	return out, nil
}

// Span returns how many bytes the act asks of an artifact of size bytes.
func (a *RetrieveEvidence) Span(size uint64) uint64 {
	if a.Length == 0 {
		return size - a.Offset
	}
	return a.Length
}

// The ways a release can end.
const (
	ReleaseFinished = "finished" // all bytes of the stretch were handed over, sent or told to be zeros
	ReleaseAborted  = "aborted"  // some were; Sent says how many
	ReleaseWithheld = "withheld" // none were
	ReleaseUnknown  = "unknown"  // nobody knows which any more, as after a stop of the service; up to all were
)

// ReleaseEvidence is the service's word on what became of a grant: how many
// bytes it handed over.
type ReleaseEvidence struct {
	Evidence EvidenceID `json:"evidence"`
	Grant    Digest     `json:"grant"` // payload digest of the RetrieveEvidence
	Outcome  string     `json:"outcome"`
	Sent     uint64     `json:"sent"` // bytes, over all uses of the ticket
}

func (*ReleaseEvidence) Kind() Kind         { return KindReleaseEvidence }
func (*ReleaseEvidence) NeedsPurpose() bool { return false }
func (a *ReleaseEvidence) Subject() Subject { return Subject{Name: string(a.Evidence)} }

// Check implements Act.
func (a *ReleaseEvidence) Check(*Statement) error {
	if !slices.Contains([]string{ReleaseFinished, ReleaseAborted, ReleaseWithheld, ReleaseUnknown}, a.Outcome) {
		return fmt.Errorf("outcome %.40q is not known", a.Outcome)
	}
	return checkEvidence(a.Evidence)
}

// Lawful implements Act.
func (a *ReleaseEvidence) Lawful(v View, _ *Statement) (Outcome, error) {
	e, out, err := ItemOf(v, a.Evidence)
	if err != nil {
		return out, err
	}
	g := e.grants[a.Grant]
	switch {
	case g == nil:
		return out, unlawful("no grant %s", a.Grant)
	case g.released:
		return out, unlawful("what became of grant %s is on record", a.Grant)
	}
	return out, nil
}

// ReceiveEvidence is the receiver's word on what arrived.
type ReceiveEvidence struct {
	Evidence EvidenceID `json:"evidence"`
	Grant    Digest     `json:"grant"`  // payload digest of the RetrieveEvidence
	SHA256   Digest     `json:"sha256"` // of the bytes received, as the receiver measured it
	Size     uint64     `json:"size"`   // bytes received
}

func (*ReceiveEvidence) Kind() Kind         { return KindReceiveEvidence }
func (*ReceiveEvidence) NeedsPurpose() bool { return false }
func (a *ReceiveEvidence) Subject() Subject {
	return Subject{Name: string(a.Evidence), SHA256: a.SHA256}
}

// Check implements Act.
func (a *ReceiveEvidence) Check(*Statement) error { return checkEvidence(a.Evidence) }

// Lawful implements Act.
func (a *ReceiveEvidence) Lawful(v View, s *Statement) (Outcome, error) {
	e, out, err := ItemOf(v, a.Evidence)
	if err != nil {
		return out, err
	}
	g := e.grants[a.Grant]
	switch {
	case g == nil || g.actor != s.Actor:
		return out, unlawful("no grant %s to %s", a.Grant, s.Actor)
	case g.received:
		return out, unlawful("the receipt of grant %s is on record", a.Grant)
	case a.Size > g.length:
		return out, unlawful("grant %s was for %d bytes", a.Grant, g.length)
	}
	return out, nil
}

// ExportEvidence asks for the bundle of an item: its records and what proves
// them, without the artifact's bytes.
type ExportEvidence struct {
	Evidence EvidenceID `json:"evidence"`
}

func (*ExportEvidence) Kind() Kind         { return KindExportEvidence }
func (*ExportEvidence) NeedsPurpose() bool { return true }
func (a *ExportEvidence) Subject() Subject { return Subject{Name: string(a.Evidence)} }

// Check implements Act.
func (a *ExportEvidence) Check(*Statement) error { return checkEvidence(a.Evidence) }

// Lawful implements Act.
func (a *ExportEvidence) Lawful(v View, _ *Statement) (Outcome, error) {
	_, out, err := ItemOf(v, a.Evidence)
	return out, err
}

// ExportIncident asks for the bundle of an incident: its own records and those of
// all its items, and what proves them, without any artifact's bytes. Whoever asks must
// be permitted to export each of them.
type ExportIncident struct {
	Incident IncidentID `json:"incident"`
}

func (*ExportIncident) Kind() Kind         { return KindExportIncident }
func (*ExportIncident) NeedsPurpose() bool { return true }
func (a *ExportIncident) Subject() Subject { return Subject{Name: string(a.Incident)} }

// Check implements Act.
func (a *ExportIncident) Check(*Statement) error {
	_, err := ParseIncidentID(string(a.Incident))
	return err
}

// Lawful implements Act.
func (a *ExportIncident) Lawful(v View, _ *Statement) (Outcome, error) {
	return withItems(v, a.Incident, KindExportEvidence)
}

// withItems is the outcome of an act upon an incident that gives away what another act
// does of one item, of all of them.
func withItems(v View, i IncidentID, of Kind) (Outcome, error) {
	c, out, err := caseOf(v, i)
	if err != nil {
		return out, err
	}
	for _, id := range c.Items() {
		item, _ := c.Item(id)
		out.Covers = append(out.Covers, Cover{of, onItem(c, i, id, item)})
	}
	return out, nil
}

func checkItem(i IncidentID, e EvidenceID) error {
	if _, err := ParseIncidentID(string(i)); err != nil {
		return err
	}
	_, err := ParseEvidenceID(string(e))
	return err
}

func checkEvidence(e EvidenceID) error {
	_, err := ParseEvidenceID(string(e))
	return err
}

// Item is an evidence item with what its incident says of it.
type Item struct {
	*Evidence
	Beginning
	Shredding Disposal // of its incident's keys
}

// ItemOf folds a sealed item, or returns ErrUnknown. The outcome is that of an
// act upon the item.
func ItemOf(v View, id EvidenceID) (Item, Outcome, error) {
	e, err := stateOf[*Evidence](v, id.Stream())
	if err != nil {
		return Item{}, Outcome{}, err
	}
	if !e.Sealed {
		return Item{}, Outcome{}, ErrUnknown
	}
	return itemIn(v, e.Incident, id)
}

// ItemIn folds an item of an incident, sealed or not, or returns ErrUnknown.
func ItemIn(v View, i IncidentID, id EvidenceID) (Item, error) {
	item, _, err := itemIn(v, i, id)
	return item, err
}

func itemIn(v View, i IncidentID, id EvidenceID) (Item, Outcome, error) {
	c, err := stateOf[Case](v, i.Stream())
	if err != nil {
		return Item{}, Outcome{}, err
	}
	begun, ok := c.Item(id)
	if !ok {
		return Item{}, Outcome{}, ErrUnknown
	}
	e, err := stateOf[*Evidence](v, id.Stream())
	if err != nil {
		return Item{}, Outcome{}, err
	}
	return Item{e, begun, c.Shredding()}, Outcome{
		Stream:   id.Stream(),
		Resource: onItem(c, i, id, begun),
	}, nil
}

// onItem is the resource that an item is to policy.
func onItem(c Case, i IncidentID, id EvidenceID, begun Beginning) Resource {
	return Resource{Type: "Evidence", ID: string(id), Incident: i, Assigned: c.Assignees(), Artifact: begun.Begun.Type}
}

// Evidence is the fold of an evidence item's stream.
type Evidence struct {
	Sealed      bool
	Incident    IncidentID // from the seal on
	SealedAt    Time
	SealedBy    PrincipalID
	Artifact    Artifact
	Acquisition Acquisition
	AsReceived  []string
	Format      string
	Labels      []Label
	Parts       []Part
	Scene       *Statement // as signed at the scene; nil when it was not
	Confirmed   bool       // the service has read the bytes back and found the sealed SHA-256
	Damaged     bool       // the last check found other bytes, or none
	KeysLost    string     // Damaged, since the incident's keys are lost: how; else empty
	Shredded    Digest     // the order by which they were destroyed, once that is certified here; else zero
	CheckedAt   Time       // of the last check; zero before the first
	CheckAsked  bool       // somebody asked for a check since
	Holds       []Hold
	Disposal    Disposal
	Method      string // how the bytes were destroyed, as certified
	grants      map[Digest]*grant
	motions     Motions
}

type grant struct {
	actor              PrincipalID
	at                 Time // when it was recorded
	length             uint64
	released, received bool
	withheld           bool // none of its bytes were handed over
}

// HadBy says whether somebody had an item in hand before a time: he sealed it, or
// took it at the scene, or was granted some of its bytes, which were not withheld
// from him.
func (e *Evidence) HadBy(p PrincipalID, before Time) bool {
	if e.Sealed && e.SealedAt < before && (e.SealedBy == p || e.Scene != nil && e.Scene.Actor == p) {
		return true
	}
	for _, g := range e.grants {
		if g.actor == p && g.at < before && !g.withheld {
			return true
		}
	}
	return false
}

// NewEvidence returns the fold of an empty evidence stream.
func NewEvidence() *Evidence { return &Evidence{grants: map[Digest]*grant{}, motions: Motions{}} }

// Apply implements State.
func (e *Evidence) Apply(r *Record, s *Statement) error {
	if !r.Decision.Permit {
		return nil
	}
	switch act := s.Act.(type) {
	case *SealEvidence:
		e.Sealed, e.Incident, e.SealedAt, e.SealedBy = true, act.Incident, r.Recorded, s.Actor
		e.Artifact, e.Acquisition, e.Format, e.Labels = act.Artifact, act.Acquisition, act.Format, act.Labels
		e.Parts, e.AsReceived = act.Parts, act.AsReceived
		scene, err := act.Collected()
		if err != nil {
			return err
		}
		e.Scene = scene
	case *CheckEvidence:
		e.Confirmed = e.Confirmed || act.Intact
		e.Damaged, e.KeysLost = !act.Intact, ""
		e.CheckedAt, e.CheckAsked = r.Recorded, false
	case *RetrieveEvidence:
		e.grants[s.Payload] = &grant{actor: s.Actor, at: r.Recorded, length: act.Span(e.Artifact.Size)}
	case *ReleaseEvidence:
		if g := e.grants[act.Grant]; g != nil {
			g.released, g.withheld = true, act.Outcome == ReleaseWithheld
		}
	case *ReceiveEvidence:
		if g := e.grants[act.Grant]; g != nil {
			g.received = true
		}
	case *EraseRecord:
		e.recall(act)
	default:
		e.applyKeeping(r, s)
		e.applyKeys(r, s)
	}
	return nil
}
