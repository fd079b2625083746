package custody

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The kinds of statement by which a person issues a paper: about an item, and about
// an incident with all its items.
const (
	KindReportEvidence Kind = "evidence.report"
	KindReportIncident Kind = "incident.report"
)

// ReportEvidence puts a paper about an item on record: its digest, said and signed
// by the person who issues it. The paper was made from a bundle and names the
// head of the log that it was drawn from; what it says is not the log's word.
type ReportEvidence struct {
	Evidence EvidenceID `json:"evidence"`
	Paper    string     `json:"kind"`   // one of PaperKinds
	SHA256   Digest     `json:"sha256"` // of the paper's bytes
	Size     uint64     `json:"size"`   // of the paper, in bytes; not 0
}

// The kinds of paper.
const (
	PaperReport = "custody-report" // the chain of custody
	Paper90213  = "902-13"         // draft of a certificate of a system, FRE 902(13)
	Paper90214  = "902-14"         // draft of a certificate of copies, FRE 902(14)
	PaperCase   = "case"           // the history as CASE/UCO JSON-LD
)

// PaperKinds lists what a paper can be.
func PaperKinds() []string { return []string{PaperReport, Paper90213, Paper90214, PaperCase} }

func (*ReportEvidence) Kind() Kind         { return KindReportEvidence }
func (*ReportEvidence) NeedsPurpose() bool { return true }
func (a *ReportEvidence) Subject() Subject {
	return Subject{Name: string(a.Evidence), SHA256: a.SHA256}
}

// Check implements Act.
func (a *ReportEvidence) Check(*Statement) error {
	if err := checkPaper(a.Paper, a.SHA256, a.Size); err != nil {
		return err
	}
	return checkEvidence(a.Evidence)
}

func checkPaper(kind string, d Digest, size uint64) error {
	switch {
	case !slices.Contains(PaperKinds(), kind):
		return fmt.Errorf("kind %.40q is none of %s", kind, strings.Join(PaperKinds(), ", "))
	case d.IsZero() || size == 0:
		return errors.New("the paper's digest or size is missing")
	}
	return nil
}

// Lawful implements Act.
func (a *ReportEvidence) Lawful(v View, _ *Statement) (Outcome, error) {
	_, out, err := ItemOf(v, a.Evidence)
	return out, err
}

// ReportIncident puts a paper about an incident on record, as ReportEvidence does one
// about an item. Whoever issues it must be permitted to issue one about each item.
type ReportIncident struct {
	Incident IncidentID `json:"incident"`
	Paper    string     `json:"kind"`   // one of PaperKinds
	SHA256   Digest     `json:"sha256"` // of the paper's bytes
	Size     uint64     `json:"size"`   // of the paper, in bytes; not 0
}

func (*ReportIncident) Kind() Kind         { return KindReportIncident }
func (*ReportIncident) NeedsPurpose() bool { return true }
func (a *ReportIncident) Subject() Subject {
	return Subject{Name: string(a.Incident), SHA256: a.SHA256}
}

// Check implements Act.
func (a *ReportIncident) Check(*Statement) error {
	if err := checkPaper(a.Paper, a.SHA256, a.Size); err != nil {
		return err
	}
	_, err := ParseIncidentID(string(a.Incident))
	return err
}

// Lawful implements Act.
func (a *ReportIncident) Lawful(v View, _ *Statement) (Outcome, error) {
	return withItems(v, a.Incident, KindReportEvidence)
}
