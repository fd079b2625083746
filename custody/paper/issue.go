package paper

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/forensic-custody/custody/custody"
)

// IssueFormat names the version of the format of a paper's receipt.
const IssueFormat = "https://github.com/forensic-custody/custody/paper-receipt/v1"

// Issue is the receipt that lies beside a paper: the record by which somebody
// issued it, and the proof that this is in the log.
type Issue struct {
	Format string `json:"format"` // IssueFormat
	Proof  string `json:"proof"`  // custody.Receipt, as text
	Record []byte `json:"record"` // of evidence.report or incident.report
}

// Marshal returns the receipt's bytes, canonical JSON.
func (i *Issue) Marshal() ([]byte, error) { return custody.Encode(i) }

// Issued is what a receipt proves.
type Issued struct {
	Name     string              `json:"name"` // of who issued the paper, as enrolled
	Title    string              `json:"title"`
	By       custody.PrincipalID `json:"by"`
	Kind     string              `json:"kind"`
	Evidence custody.EvidenceID  `json:"evidence,omitempty"` // that it is about; empty when about an incident
	Incident custody.IncidentID  `json:"incident,omitempty"` // that it is about, with all its items; else empty
	At       custody.Time        `json:"at"`
	Purpose  string              `json:"purpose"`
	Index    uint64              `json:"index"` // in the log
	Size     uint64              `json:"size"`  // of the log that the proof is under
	Quorum   custody.Quorum      `json:"quorum"`
	Follows  bool                `json:"follows"` // the bundle makes just this paper
}

// VerifyIssue says who issued a paper, given its bytes, its receipt, the trust file,
// and the bundle that it was made from, which has the keys of who signed in it.
// The error says what does not fit: other bytes, a record that is not in the log, a
// refusal, a signature by a key that the bundle does not know.
func (p *Proof) VerifyIssue(paper, receipt []byte, trust *custody.Trust, words custody.Vocabulary) (*Issued, error) {
	var i Issue
	if err := custody.Decode(receipt, &i); err != nil {
		return nil, fmt.Errorf("receipt of the paper: %w", err)
	}
	if i.Format != IssueFormat {
		return nil, fmt.Errorf("receipt of the paper: format %.100q is not %q", i.Format, IssueFormat)
	}
	record, err := custody.ParseRecord(i.Record)
	if err != nil {
		return nil, err
	}
	proof, err := custody.ParseReceipt([]byte(i.Proof))
	if err != nil {
		return nil, err
	}
	leaf, err := proof.Leaf(i.Record)
	if err != nil {
		return nil, err
	}
	point, err := proof.Verify(trust, leaf)
	if err != nil {
		return nil, err
	}
	if point.Quorum == custody.QuorumNotMet {
		return nil, fmt.Errorf("the witnesses that the trust file asks for did not cosign what the receipt is under: %s", point)
	}
	s, err := record.Envelope.Statement(words)
	if err != nil {
		return nil, err
	}
	act, err := issueOf(s)
	switch {
	case err != nil:
		return nil, err
	case !record.Decision.Permit:
		return nil, errors.New("the record is of a refusal: the paper was not issued")
	case s.Audience != trust.Origin || record.Stream != act.stream():
		return nil, errors.New("the record stands where it does not belong")
	case !p.isAbout(act):
		return nil, fmt.Errorf("the paper was issued of %s, of which the bundle is no proof", act.stream().ID())
	case act.SHA256 != custody.Hash(paper) || act.Size != uint64(len(paper)):
		return nil, fmt.Errorf("what was issued is a paper with SHA-256 %s; this one has %s", act.SHA256.Hex(), custody.Hash(paper).Hex())
	}
	key, err := p.keyOf(s.Actor, s.Signer)
	if err != nil {
		return nil, err
	}
	if err := record.Envelope.Verify(key); err != nil {
		return nil, err
	}
	made, err := p.Make(act.Paper)
	if err != nil {
		return nil, err
	}
	who := p.Verdict.Enrolled(s.Actor)
	return &Issued{
		Follows: slices.ContainsFunc(made, func(f File) bool { return bytes.Equal(f.Bytes, paper) }),
		Name:    who.Name, Title: who.Title, By: s.Actor, Kind: act.Paper, Evidence: act.Evidence, Incident: act.incident, At: s.Time, Purpose: s.Purpose,
		Index: proof.Index, Size: point.Size, Quorum: point.Quorum,
	}, nil
}

// issue is what a statement says of the paper that it issues.
type issue struct {
	*custody.ReportEvidence                    // of a paper about an incident without the item
	incident                custody.IncidentID // that it is about; else empty
}

// issueOf reads which paper a statement issues.
func issueOf(s *custody.Statement) (issue, error) {
	switch act := s.Act.(type) {
	case *custody.ReportEvidence:
		return issue{act, ""}, nil
	case *custody.ReportIncident:
		return issue{&custody.ReportEvidence{Paper: act.Paper, SHA256: act.SHA256, Size: act.Size}, act.Incident}, nil
	}
	return issue{}, fmt.Errorf("the record is of %s, which issues no paper", s.Kind)
}

// stream is where the record belongs.
func (i issue) stream() custody.Stream {
	if i.incident != "" {
		return i.incident.Stream()
	}
	return i.Evidence.Stream()
}

// isAbout says whether the bundle is a proof of what a paper is about.
func (p *Proof) isAbout(i issue) bool {
	if i.incident != "" {
		return p.OfIncident(i.incident)
	}
	return p.Of(i.Evidence)
}

// keyOf finds a key that the bundle's records enrolled for somebody.
func (p *Proof) keyOf(who custody.PrincipalID, id custody.KeyID) (custody.PublicKey, error) {
	for _, e := range p.Verdict.Around {
		if !e.Permitted {
			continue
		}
		var der []byte
		switch act := e.Statement.Act.(type) {
		case *custody.EnrolPrincipal:
			if custody.NewPrincipalID(e.Statement.Payload) == who {
				der = act.Key
			}
		case *custody.EnrolKey:
			if e.Actor == who {
				der = act.Key
			}
		}
		if der == nil || custody.Hash(der) != custody.Digest(id) {
			continue
		}
		return custody.ParsePublicKey(der)
	}
	return custody.PublicKey{}, fmt.Errorf("the bundle does not know key %s of %s, who issued the paper", id, who)
}
