package investigate

import (
	"fmt"

	"github.com/forensic-custody/custody/custody"
)

// KindIntelligence is the kind of statement that issues an intelligence report.
const KindIntelligence custody.Kind = "intelligence.issue"

// The states of an intelligence report.
const (
	ReportDraft    = "draft"
	ReportFinished = "finished"
)

// Intelligence issues a version of an intelligence report: what others should know
// of the intruder and of how he went about it. Its text is an item.
type Intelligence struct {
	On
	Evidence custody.EvidenceID `json:"evidence" help:"the item of type document that is its text"`
	SHA256   custody.Digest     `json:"sha256" help:"of its text (default: as sealed)"`
	Status   string             `json:"status" help:"draft or finished"`
	Title    string             `json:"title" help:"by which its versions belong together"`
	Version  uint64             `json:"version" help:"of the report, counted from 1 (default: the next)"`
}

// Kind implements custody.Act.
func (*Intelligence) Kind() custody.Kind { return KindIntelligence }

// Detail says in a line what a history tells of it.
func (a *Intelligence) Detail() string {
	return fmt.Sprintf("%s, version %d, %s: %s, SHA-256 %s", a.Title, a.Version, a.Status, a.Evidence, a.SHA256.Hex())
}

// Check implements custody.Act.
func (a *Intelligence) Check(*custody.Statement) error {
	_, err := custody.ParseEvidenceID(string(a.Evidence))
	return a.names(err, oneOf("status", a.Status, []string{ReportDraft, ReportFinished}), custody.CheckLine("title", a.Title))
}

// Lawful implements custody.Act.
func (a *Intelligence) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	if err := i.among(s.Actor, custody.RoleForensicEngineer); err != nil {
		return out, err
	}
	if next := i.NextVersion(a.Title); a.Version != next {
		return out, no("the next version of report %q is %d", a.Title, next)
	}
	_, err = i.document(v, a.Incident, a.Evidence, a.SHA256, "document")
	return out, err
}

// NextVersion returns the number of the version of an intelligence report that
// comes next.
func (i *File) NextVersion(title string) uint64 {
	next := uint64(1)
	for _, r := range i.Reports {
		if r.Act.Title == title {
			next++
		}
	}
	return next
}

// Letter implements custody.Lettered.
func (*Intelligence) Letter() string { return "I" }

func (a *Intelligence) apply(i *Incident, said Said) {
	said = i.label(said, a)
	for n := range i.Reports {
		if r := &i.Reports[n]; r.Act.Title == a.Title && r.Replaced == nil {
			r.Replaced = &said.ID
		}
	}
	i.Reports = append(i.Reports, Entry[Intelligence]{said, *a})
}
