package bundle

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// ahead is how far a signer's clock may be ahead of the service's.
const ahead = 30 * time.Second

// checkHistory checks the records against one another: chains, declarations,
// signatures by keys that were live, and what became of the item.
func (c *check) checkHistory() {
	for _, s := range c.streams {
		c.checkChain(s)
	}
	c.checkGenesis()
	c.checkDeclarations()
	c.checkSignatures()
	c.checkWitnesses()
	for _, s := range c.streams {
		c.checkWithheld(s)
		c.checkErasures(s)
	}
	c.checkItems()
	c.notices()
	c.checkStamps()
}

// checkChain checks that a stream's records follow one another.
func (c *check) checkChain(s *stream) {
	var before *entry
	for e := range s.told() {
		r := e.record
		if n := r.Sequence; s.whole() && n > 0 && r.Previous != s.records[n-1].commitment {
			c.problem(e.where, errors.New("does not follow the record before it"))
		}
		if before != nil {
			if err := c.checkOrder(before, e); err != nil {
				c.problem(e.where, err)
			}
		}
		switch {
		case e.statement.Audience != c.trust.Origin:
			c.problem(e.where, fmt.Errorf("the statement is for %q", e.statement.Audience))
		case r.Recorded > e.statement.Expires:
			c.problem(e.where, fmt.Errorf("was recorded at %s, after it had expired at %s", r.Recorded, e.statement.Expires))
		case e.statement.Time > r.Recorded.Add(ahead):
			c.problem(e.where, fmt.Errorf("was signed at %s, after it was recorded at %s", e.statement.Time, r.Recorded))
		case !c.belongs(e):
			c.problem(e.where, fmt.Errorf("%s belongs to another history", e.statement.Kind))
		case r.Checkpoint.Size > e.index:
			c.problem(e.where, fmt.Errorf("names a checkpoint of size %d, which is later than itself at %d", r.Checkpoint.Size, e.index))
		}
		before = e
	}
}

// belongs says whether the record stands in the stream that its statement is
// about: whoever runs the log could put it into another. A refusal may stand in
// its actor's stream instead.
func (c *check) belongs(e *entry) bool {
	r, s := e.record, e.statement
	if !r.Decision.Permit && s.Actor != "" && r.Stream == s.Actor.Stream() {
		return true
	}
	switch a := s.Act.(type) {
	case *custody.Genesis, *custody.ProveStore, *custody.AdoptWitnesses, *custody.ReplaceLogKey, *custody.NoticeTime, *custody.EnrolPrincipal, *custody.EnrolKey:
		return r.Stream == custody.PolicyStream
	case *custody.GrantRole:
		return r.Stream == a.Principal.Stream()
	case *custody.RevokeRole:
		return r.Stream == a.Principal.Stream()
	case *custody.SuspendPrincipal:
		return r.Stream == a.Principal.Stream()
	case *custody.ReinstatePrincipal:
		return r.Stream == a.Principal.Stream()
	case *custody.QualifyPrincipal:
		return r.Stream == a.Principal.Stream()
	case *custody.DisqualifyPrincipal:
		return r.Stream == a.Principal.Stream()
	case *custody.RevokeKey:
		return r.Stream == a.Principal.Stream()
	case *custody.SummariseRefusals:
		return r.Stream == a.Principal.Stream()
	case *custody.OpenSession:
		return r.Stream == s.Actor.Stream()
	case *custody.BeginEvidence:
		return r.Stream == a.Incident.Stream()
	case *custody.WithdrawEvidence:
		return r.Stream == a.Incident.Stream()
	case *custody.SealEvidence:
		return r.Stream == a.Evidence.Stream() && a.Incident == c.head.Incident
	case *custody.CheckEvidence:
		return r.Stream == a.Evidence.Stream()
	case *custody.RetrieveEvidence:
		return r.Stream == a.Evidence.Stream()
	case *custody.ReleaseEvidence:
		return r.Stream == a.Evidence.Stream()
	case *custody.ReceiveEvidence:
		return r.Stream == a.Evidence.Stream()
	case *custody.ExportEvidence:
		return r.Stream == a.Evidence.Stream()
	case *custody.ReportEvidence:
		return r.Stream == a.Evidence.Stream()
	case *custody.ExportIncident:
		return r.Stream == a.Incident.Stream()
	case *custody.ReportIncident:
		return r.Stream == a.Incident.Stream()
	case *custody.VerifyEvidence:
		return r.Stream == a.Evidence.Stream()
	case *custody.HoldEvidence:
		return r.Stream == a.Evidence.Stream()
	case *custody.LiftHold:
		return r.Stream == a.Evidence.Stream()
	case *custody.DisposeEvidence:
		return r.Stream == a.Evidence.Stream()
	case *custody.DisposedEvidence:
		return r.Stream == a.Evidence.Stream()
	case *custody.ShreddedEvidence:
		return r.Stream == a.Evidence.Stream()
	case *custody.LoseKeys:
		return r.Stream == a.Evidence.Stream()
	case *custody.ShredIncident:
		return r.Stream == a.Incident.Stream()
	case *custody.ShreddedIncident:
		return r.Stream == a.Incident.Stream()
	case *custody.EraseRecord:
		return r.Stream == a.Stream
	case *custody.ErasedRecord:
		return r.Stream == a.Stream
	}
	// Acts upon incidents, which this package does not know: those of the register, some
	// of which have a name for their subject that anybody could have chosen, and those in
	// the incident's own stream, which have it for their subject.
	switch s.Kind {
	case kindOpenIncident, "team.rota", "team.procedure", "team.review-defaults",
		"vulnerability.report", "vulnerability.assess", "vulnerability.fix", "vulnerability.accept":
		return r.Stream == custody.IncidentsStream
	}
	return r.Stream.Kind() == "incident" && s.Act.Subject().Name == r.Stream.ID()
}

// checkOrder checks what may only grow from one record of a stream to the next.
func (c *check) checkOrder(before, e *entry) error {
	a, b := before.record, e.record
	switch {
	case b.Recorded < a.Recorded:
		return fmt.Errorf("was recorded at %s, before its predecessor at %s", b.Recorded, a.Recorded)
	case b.Checkpoint.Size < a.Checkpoint.Size:
		return errors.New("names an older checkpoint than its predecessor")
	}
	for _, h := range a.Basis {
		if now, ok := findHead(b.Basis, h.Stream); ok && now.Length < h.Length {
			return fmt.Errorf("was decided on an older state of %s than its predecessor", h.Stream)
		}
	}
	return nil
}

func findHead(basis []custody.Head, s custody.Stream) (custody.Head, bool) {
	i, ok := slices.BinarySearchFunc(basis, s, func(h custody.Head, s custody.Stream) int { return cmp.Compare(h.Stream, s) })
	if !ok {
		return custody.Head{}, false
	}
	return basis[i], true
}

// checkGenesis ties the policy stream to the trust file.
func (c *check) checkGenesis() {
	s := c.stream(custody.PolicyStream)
	if s == nil || !s.whole() || len(s.records) == 0 {
		c.problem(headName, errors.New("the policy stream is not included whole"))
		return
	}
	e := s.records[0]
	if e.record == nil {
		c.problem(e.where, errors.New("the genesis record is not here"))
		return
	}
	g, ok := e.statement.Act.(*custody.Genesis)
	switch {
	case e.commitment != c.trust.Genesis:
		c.problem(e.where, fmt.Errorf("is not the genesis record that the trust file names"))
	case !ok || g.Log != c.trust.Log:
		c.problem(e.where, errors.New("does not name the log's key of the trust file"))
	}
}

// checkDeclarations checks that every stream was declared, with its tag key,
// by a permitted record of the stream that may do so.
func (c *check) checkDeclarations() {
	declared := map[custody.Stream]custody.Digest{}
	for _, s := range c.streams {
		for e := range s.told() {
			for _, d := range e.record.Declares {
				if !mayDeclare(e, d.Stream, c.head.Incident) {
					c.problem(e.where, fmt.Errorf("declares %s, which is not its to declare", d.Stream))
				}
				if _, twice := declared[d.Stream]; twice {
					c.problem(e.where, fmt.Errorf("declares %s a second time", d.Stream))
				}
				if said, ok := e.statement.TagKey(); ok && said.Digest() != d.TagKey {
					c.problem(e.where, fmt.Errorf("declares %s under another tag key than its statement's: there may be a second history", d.Stream))
				}
				declared[d.Stream] = d.TagKey
			}
		}
	}
	for _, s := range c.streams {
		key, ok := declared[s.head.Stream]
		switch {
		case !ok:
			c.problem(headName, fmt.Errorf("no record declares %s", s.head.Stream))
		case s.whole() && key != s.key.Digest():
			c.problem(headName, fmt.Errorf("the tag key of %s is not the one that was declared", s.head.Stream))
		}
	}
}

// mayDeclare says whether a record of this kind opens a stream of this name.
func mayDeclare(e *entry, s custody.Stream, incident custody.IncidentID) bool {
	id := e.statement.Payload
	switch e.record.Stream {
	case custody.PolicyStream:
		if e.statement.Kind == custody.KindGenesis {
			return s == custody.PolicyStream || s == custody.IncidentsStream || s == custody.NewPrincipalID(id).Stream()
		}
		return s == custody.NewPrincipalID(id).Stream()
	case custody.IncidentsStream:
		return s == custody.NewIncidentID(id).Stream()
	case incident.Stream():
		return s == custody.NewEvidenceID(id).Stream()
	}
	return false
}

// signer is a principal while its own stream is folded forward.
type signer struct {
	id       custody.PrincipalID
	enrolled []enrolment // with his first key, then with each further one
	standing *custody.Standing
	applied  uint64
	signed   []*entry
}

// enrolment is what a record of the policy stream made of one.
type enrolment struct {
	custody.Enrolment
	at uint64 // sequence of the record
}

// asOf returns the principal as the basis of a record knows him, his own stream
// as far as it is folded; false when he was not enrolled.
func (p *signer) asOf(e *entry) (custody.Principal, bool) {
	h, _ := findHead(e.record.Basis, custody.PolicyStream)
	for _, en := range slices.Backward(p.enrolled) {
		if en.at < h.Length {
			return custody.Principal{Enrolment: en.Enrolment, Standing: p.standing}, true
		}
	}
	return custody.Principal{}, false
}

// checkSignatures checks that every statement was signed with a key of its
// actor that was live in the basis of its record.
func (c *check) checkSignatures() {
	people := c.enrolled()
	for _, s := range c.streams {
		for e := range s.told() {
			who := e.statement.Actor
			if who == "" {
				c.checkOwnSignature(e)
			} else if p := people[who]; p == nil {
				c.problem(e.where, fmt.Errorf("its actor %s was never enrolled", who))
			} else {
				p.signed = append(p.signed, e)
			}
			if err := c.checkScene(e, people); err != nil {
				c.problem(e.where, err)
			}
			c.checkBasis(e)
			if e.record.Decision.Policy != c.policy {
				c.problem(e.where, errors.New("was decided under a policy that was never in force"))
			}
		}
	}
	for _, p := range people {
		c.checkSigner(p)
	}
	byPlace := func(a, b Problem) int { return cmp.Compare(a.Where, b.Where) }
	slices.SortStableFunc(c.verdict.Problems, byPlace)
	slices.SortStableFunc(c.verdict.Warnings, byPlace)
}

// enrolled folds the policy stream.
func (c *check) enrolled() map[custody.PrincipalID]*signer {
	people := map[custody.PrincipalID]*signer{}
	policy := custody.NewPolicy()
	s := c.stream(custody.PolicyStream)
	if s == nil {
		return people
	}
	motions := custody.Motions{}
	for e := range s.told() {
		if act, ok := e.statement.Act.(*custody.AdoptWitnesses); ok && e.record.Decision.Permit {
			m := act.Motion(e.statement)
			if err := motions.Check(m, e.record.Recorded); err != nil {
				c.problem(e.where, err)
			}
			motions.Apply(e.statement.Payload, m, e.record.Recorded)
		}
		if err := policy.Apply(e.record, e.statement); err != nil {
			c.problem(e.where, err)
			continue
		}
		id := custody.NewPrincipalID(e.statement.Payload)
		if e.statement.Kind == custody.KindEnrolKey {
			id = e.statement.Actor
		}
		en, ok := policy.Enrolments[id]
		if !ok {
			continue
		}
		if people[id] == nil {
			people[id] = &signer{id: id, standing: custody.NewStanding()}
		}
		people[id].enrolled = append(people[id].enrolled, enrolment{en, e.record.Sequence})
	}
	c.verdict.people, c.verdict.service = policy.Enrolments, policy.Service
	c.service, c.policy, c.adopted = policy.Service, policy.Digest, policy.Adopted
	return people
}

// firstEnrolled returns the place of the first permitted enrolment in the policy
// stream, 0 when there is none.
func (c *check) firstEnrolled() uint64 {
	s := c.stream(custody.PolicyStream)
	if s == nil {
		return 0
	}
	for e := range s.told() {
		if e.statement.Kind == custody.KindEnrolPrincipal && e.record.Decision.Permit {
			return e.record.Sequence
		}
	}
	return 0
}

// checkOwnSignature checks a statement that brings its own signer into being.
func (c *check) checkOwnSignature(e *entry) {
	var der []byte
	switch act := e.statement.Act.(type) {
	case *custody.Genesis:
		der = act.Key
	case *custody.EnrolPrincipal:
		der = act.Key
	}
	first := e.record.Stream == custody.PolicyStream && (e.record.Sequence == 0 || c.firstEnrolled() == e.record.Sequence)
	key, err := custody.ParsePublicKey(der)
	if err == nil {
		err = e.record.Envelope.Verify(key)
	}
	if err != nil || !first {
		c.problem(e.where, errors.Join(errors.New("names no actor, and is neither genesis nor the first enrolment"), err))
	}
}

// checkBasis checks that the heads a decision was folded from are those of the
// records here, and that they include what decides about its signer.
func (c *check) checkBasis(e *entry) {
	for _, h := range e.record.Basis {
		s := c.stream(h.Stream)
		if s == nil || !s.whole() {
			continue
		}
		switch {
		case h.Length > uint64(len(s.records)) || h.Length > 0 && s.records[h.Length-1].commitment != h.Commitment:
			c.problem(e.where, fmt.Errorf("was decided on a state of %s that is not the one here", h.Stream))
		case s.earliest(h.Length) < e.record.Checkpoint.Size:
			c.problem(e.where, fmt.Errorf("was decided on an older state of %s than its checkpoint shows", h.Stream))
		}
		if h.Stream == e.record.Stream && h.Length != e.record.Sequence {
			c.problem(e.where, errors.New("was decided on another place of its own stream"))
		}
	}
	if e.statement.Kind == custody.KindGenesis {
		return
	}
	if _, ok := findHead(e.record.Basis, custody.PolicyStream); !ok {
		c.problem(e.where, errors.New("its basis lacks the policy"))
	}
	if who := e.statement.Actor; who != "" {
		if _, ok := findHead(e.record.Basis, who.Stream()); !ok {
			c.problem(e.where, errors.New("its basis lacks its actor"))
		}
	}
}

// checkSigner checks all statements of one principal, in the order of what was
// known of him, folding his own stream along.
func (c *check) checkSigner(p *signer) {
	own := c.stream(p.id.Stream())
	if own == nil && !slices.ContainsFunc(p.signed, needsSigner) {
		for _, e := range p.signed {
			c.checkSignature(e, p)
		}
		return
	}
	if own == nil || !own.whole() {
		if len(p.signed) > 0 {
			c.problem(headName, fmt.Errorf("the stream of %s, who signed records, is not included whole", p.id))
		}
		return
	}
	c.warnOfWithheld(p, own)
	known := func(e *entry) uint64 {
		h, _ := findHead(e.record.Basis, p.id.Stream())
		return h.Length
	}
	slices.SortStableFunc(p.signed, func(a, b *entry) int { return cmp.Compare(known(a), known(b)) })
	for _, e := range p.signed {
		for p.applied < min(known(e), uint64(len(own.records))) {
			r := own.records[p.applied]
			p.applied++
			if r.record == nil { // what may be erased changes nobody's standing; of what is withheld see warnOfWithheld
				continue
			}
			if err := p.standing.Apply(r.record, r.statement); err != nil {
				c.problem(r.where, err)
			}
		}
		if c.checkSignature(e, p) {
			c.disputed(e, own, known(e))
		}
	}
}

// checkScene has the statement that was signed at the scene checked as one of
// its signer, in the basis of the seal that carries it.
func (c *check) checkScene(e *entry, people map[custody.PrincipalID]*signer) error {
	act, ok := e.statement.Act.(*custody.SealEvidence)
	if !ok || !e.record.Decision.Permit {
		return nil
	}
	said, err := act.Collected()
	if err != nil || said == nil {
		return err
	}
	p := people[said.Actor]
	if p == nil {
		return fmt.Errorf("%s, who signed at the scene, was never enrolled", said.Actor)
	}
	if _, ok := findHead(e.record.Basis, said.Actor.Stream()); !ok {
		return fmt.Errorf("its basis lacks %s, who signed at the scene", said.Actor)
	}
	scene, record := *e, *e.record
	record.Envelope = *act.Scene
	scene.record, scene.statement = &record, said
	p.signed = append(p.signed, &scene)
	return nil
}

// needsSigner says whether a bundle with this record needs the stream of its
// actor. One that enrols a further key of somebody who signed nothing else here
// decides about nothing in it; it stands in the policy stream so that nobody else
// can have that key.
func needsSigner(e *entry) bool {
	return e.statement.Kind != custody.KindEnrolKey || e.record.Stream != custody.PolicyStream
}

// checkSignature checks one statement of a principal, whose own stream is folded
// as far as its basis says.
func (c *check) checkSignature(e *entry, p *signer) bool {
	who, ok := p.asOf(e)
	if !ok {
		c.problem(e.where, fmt.Errorf("%s was not enrolled when it was decided", p.id))
		return false
	}
	key, err := who.Key(e.statement.Signer)
	if err == nil {
		err = e.record.Envelope.Verify(key)
	}
	if err != nil {
		c.problem(e.where, err)
		return false
	}
	e.algorithm = key.Algorithm()
	if err := c.entitled(e, who); err != nil {
		c.problem(e.where, err)
	}
	return true
}

// storeAt returns what the store of evidence was proven to do at that time; nil
// when nothing was on record yet.
func (c *check) storeAt(t custody.Time) (found *custody.ProveStore) {
	s := c.stream(custody.PolicyStream)
	if s == nil {
		return nil
	}
	for e := range s.told() {
		if act, ok := e.statement.Act.(*custody.ProveStore); ok && e.record.Decision.Permit && e.record.Recorded <= t {
			found = act
		}
	}
	return found
}

// checkItems folds the streams of the items, and draws up what was done.
func (c *check) checkItems() {
	in, opened := c.stream(c.head.Incident.Stream()), c.stream(custody.IncidentsStream)
	if in != nil {
		c.timeline(in)
	}
	if opened != nil && c.head.Scope == ScopeIncident {
		c.timeline(opened)
	}
	shredding := c.checkShredding()
	for _, v := range c.verdict.Items {
		c.checkItem(v, shredding.of(v.Evidence))
	}
	if c.head.Scope == ScopeIncident {
		c.checkIncident(in, shredding)
	}
	c.chosen()
	c.titles()
	slices.SortStableFunc(c.verdict.Timeline, func(a, b Event) int { return cmp.Compare(a.Recorded, b.Recorded) })
	c.refers()
	c.around()
}

// checkItem folds an item's own stream.
func (c *check) checkItem(v *Item, shredding *shredding) {
	s := c.stream(v.Evidence.Stream())
	if s == nil || !s.whole() {
		c.problem(headName, fmt.Errorf("the stream of %s is not included whole", v.Evidence))
		return
	}
	c.sealComesFirst(s)
	item := custody.NewEvidence()
	for e := range s.told() {
		if err := item.Apply(e.record, e.statement); err != nil {
			c.problem(e.where, err)
		}
	}
	if item.Sealed {
		v.State = StateSealed
		v.Artifact, v.Acquisition = &item.Artifact, &item.Acquisition
		v.Labels, v.ArtifactState = item.Labels, ArtifactAbsent
		v.AsReceived = item.AsReceived
	} else if v.State = StateAnnounced; c.head.Scope == ScopeExhibit {
		c.problem(headName, errors.New("the item is not sealed"))
	}
	v.Confirmed, v.Damaged, v.KeysLost = item.Confirmed, item.Damaged, item.KeysLost
	v.Store = c.storeAt(item.SealedAt)
	c.timeline(s)
	begunBy := c.begun(v)
	kept := c.checkCourse(s, begunBy, shredding)
	c.destroyed(v, item, shredding, kept)
	c.warnOfDestruction(v, s)
}

// begun finds the record that announced an item, and returns who did.
func (c *check) begun(v *Item) (by custody.PrincipalID) {
	if in := c.stream(c.head.Incident.Stream()); in != nil {
		for e := range in.told() {
			begun, ok := e.statement.Act.(*custody.BeginEvidence)
			if ok && custody.NewEvidenceID(e.statement.Payload) == v.Evidence {
				v.Exhibit, v.Name, v.Type = begun.Exhibit, begun.Name.Display, begun.Type
				by = e.statement.Actor
			}
		}
	}
	if v.Exhibit == "" {
		c.problem(headName, errors.New("no record of the incident begins this item"))
	}
	return by
}
