package investigate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/forensic-custody/custody/custody"
)

// The kinds of statement about what is learned from an incident.
const (
	KindPostMortem     custody.Kind = "postmortem.issue"
	KindSummary        custody.Kind = "postmortem.summarise"
	KindApproveSummary custody.Kind = "postmortem.approve-summary"
	KindRepair         custody.Kind = "repair.item"
	KindReschedule     custody.Kind = "repair.reschedule"
	KindRepaired       custody.Kind = "repair.done"
)

// Headings lists what a post-mortem addresses, in order.
func Headings() []string {
	return []string{
		HeadingTechnical, "communication-lapses", "procedural-failures", "manual-errors", "process-flaws",
		"engineering-follow-up", "response-procedures", "procedure-updates", "revisions",
	}
}

// HeadingTechnical is of lapses that engineering follows up, by repair items.
const HeadingTechnical = "technical-lapses"

// Heading is what a post-mortem has under a heading: something, or that none was
// found.
type Heading struct {
	Found   bool   `json:"found"`
	Heading string `json:"heading"`
}

// Set reads a heading from its name, ":", and found or none.
func (h *Heading) Set(text string) error {
	name, found, ok := strings.Cut(text, ":")
	if !ok || !slices.Contains(Headings(), name) || found != "found" && found != "none" {
		return fmt.Errorf("%q is none of %s, with :found or :none", text, strings.Join(Headings(), ", "))
	}
	h.Heading, h.Found = name, found == "found"
	return nil
}

// PostMortem issues a post-mortem. Its text is an item of type post-mortem: no record
// has a word of it, so that no bundle and no list gives it away, and whoever reads it
// is on record.
type PostMortem struct {
	On
	Evidence custody.EvidenceID `json:"evidence" help:"the item that is its text"`
	Headings []Heading          `json:"headings" help:"a heading, with :found or :none (repeat for each)"`
	SHA256   custody.Digest     `json:"sha256" help:"of its text (default: as sealed)"`
	Replaces
}

// Kind implements custody.Act.
func (*PostMortem) Kind() custody.Kind { return KindPostMortem }

// Detail says in a line what a history tells of it.
func (a *PostMortem) Detail() string {
	return fmt.Sprintf("%s, SHA-256 %s", a.Evidence, a.SHA256.Hex())
}

// Check implements custody.Act.
func (a *PostMortem) Check(*custody.Statement) error {
	_, err := custody.ParseEvidenceID(string(a.Evidence))
	if len(a.Headings) > maxList {
		err = fmt.Errorf("%d headings; at most %d", len(a.Headings), maxList)
	}
	for _, h := range a.Headings {
		err = errors.Join(err, custody.CheckLine("heading", h.Heading))
	}
	return a.names(err)
}

// Lawful implements custody.Act.
func (a *PostMortem) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	if err := i.led(s.Actor, false); err != nil {
		return out, err
	}
	if i.Stage() != StageClose {
		return out, no("a post-mortem is issued in stage %s", StageClose)
	}
	if err := a.complete(i); err != nil {
		return out, err
	}
	item, err := i.document(v, a.Incident, a.Evidence, a.SHA256, custody.TypePostMortem)
	switch {
	case err != nil:
		return out, err
	case item.SealedBy != s.Actor:
		return out, no("%s sealed it: its author is the incident's manager", item.SealedBy)
	}
	return out, replaces(i.PostMortems, a.Replaces.Replaces)
}

// complete returns an Unlawful error when a heading is missing, or technical lapses
// have no repair item.
func (a *PostMortem) complete(i *Incident) error {
	for n, want := range Headings() {
		if n >= len(a.Headings) || a.Headings[n].Heading != want {
			return no("the heading %s is missing, or not in its place: each is filled, or says that none was found", want)
		}
		if want == HeadingTechnical && a.Headings[n].Found && len(i.Repairs) == 0 {
			return no("technical lapses are followed up: there is no repair item (repair.item)")
		}
	}
	if len(a.Headings) > len(Headings()) {
		return no("%q is no heading of a post-mortem", a.Headings[len(Headings())].Heading)
	}
	return nil
}

// document returns the sealed item that is a document's text: of the incident, of
// the type, with that digest, and neither damaged nor destroyed.
func (i *Incident) document(v custody.View, in custody.IncidentID, id custody.EvidenceID, sum custody.Digest, kind string) (custody.Item, error) {
	item, err := custody.ItemIn(v, in, id)
	switch {
	case errors.Is(err, custody.ErrUnknown):
		return item, no("the incident has no item %s", id)
	case err != nil:
		return item, err
	case !item.Sealed || item.Begun.Type != kind:
		return item, no("item %s is not sealed, or of type %s and not %s", id, item.Begun.Type, kind)
	case item.Artifact.SHA256 != sum:
		return item, no("item %s has the SHA-256 %s", id, item.Artifact.SHA256.Hex())
	case item.Damaged || item.Disposal.Approved() || item.Shredding.Approved():
		return item, no("item %s is damaged, or destroyed", id)
	}
	return item, nil
}

func (a *PostMortem) apply(i *Incident, said Said) { amend(&i.PostMortems, said, *a) }

// Summary is what of a post-mortem customers may be told: a document of its own,
// which somebody else approves.
type Summary struct {
	On
	Evidence   custody.EvidenceID `json:"evidence" help:"the item of type document that is the summary"`
	PostMortem custody.Digest     `json:"postMortem" help:"the post-mortem (default: the newest)"`
	SHA256     custody.Digest     `json:"sha256" help:"of the summary (default: as sealed)"`
}

// Kind implements custody.Act.
func (*Summary) Kind() custody.Kind { return KindSummary }

// Detail says in a line what a history tells of it.
func (a *Summary) Detail() string { return fmt.Sprintf("%s, SHA-256 %s", a.Evidence, a.SHA256.Hex()) }

// Check implements custody.Act.
func (a *Summary) Check(*custody.Statement) error {
	_, err := custody.ParseEvidenceID(string(a.Evidence))
	return a.names(err)
}

// Lawful implements custody.Act.
func (a *Summary) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := onIncident(v, a.Incident, s)
	if err != nil {
		return out, err
	}
	p, err := i.summarised(v, a)
	if err != nil {
		return out, err
	}
	if p.Act.SHA256 == a.SHA256 {
		return out, no("item %s is the post-mortem itself, and no summary of it", a.Evidence)
	}
	return out, i.among(s.Actor, custody.RoleIncidentManager, custody.RoleCommunications)
}

// summarised returns the post-mortem of a summary, if it stands and the summary's text is
// there.
func (i *Incident) summarised(v custody.View, a *Summary) (*Entry[PostMortem], error) {
	p := find(i.PostMortems, a.PostMortem)
	if p == nil || p.Replaced != nil {
		return nil, no("there is no post-mortem %s, or it was corrected", a.PostMortem)
	}
	_, err := i.document(v, a.Incident, a.Evidence, a.SHA256, "document")
	return p, err
}

// Letter implements custody.Lettered.
func (*Summary) Letter() string { return "S" }

func (a *Summary) apply(i *Incident, said Said) {
	i.Summaries = append(i.Summaries, Summarised{Entry: Entry[Summary]{i.label(said, a), *a}})
}

// Summarised is a summary, and whether it may be given out.
type Summarised struct {
	Entry[Summary]
	Approved *Entry[ApproveSummary] `json:"approved,omitempty"`
}

// ApproveSummary approves a summary: from then on it may be given to customers.
type ApproveSummary struct {
	On
	Summary custody.Digest `json:"summary" help:"the summary, S-1"`
}

// Kind implements custody.Act.
func (*ApproveSummary) Kind() custody.Kind { return KindApproveSummary }

// Detail says in a line what a history tells of it.
func (a *ApproveSummary) Detail() string { return "approved for customers" }

// Check implements custody.Act.
func (a *ApproveSummary) Check(*custody.Statement) error { return a.names() }

// Lawful implements custody.Act.
func (a *ApproveSummary) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := onIncident(v, a.Incident, s)
	if err != nil {
		return out, err
	}
	m := i.summary(a.Summary)
	switch {
	case m == nil:
		return out, no("there is no summary %s", a.Summary)
	case m.Approved != nil:
		return out, no("%s approved it", m.Approved.By)
	case m.By == s.Actor:
		return out, no("nobody approves what he wrote himself")
	}
	if i.Definition >= stricter {
		if _, err := i.summarised(v, &m.Act); err != nil {
			return out, err
		}
	}
	return out, i.among(s.Actor, custody.RoleLegalAdvisor, custody.RoleExecutive)
}

func (i *Incident) summary(id custody.Digest) *Summarised {
	for n := range i.Summaries {
		if i.Summaries[n].ID == id {
			return &i.Summaries[n]
		}
	}
	return nil
}

func (a *ApproveSummary) apply(i *Incident, said Said) {
	if m := i.summary(a.Summary); m != nil {
		m.Approved = &Entry[ApproveSummary]{said, *a}
	}
}

// Repair puts something that is to be put right on the inventory, with its owner and
// the day by which it is done.
type Repair struct {
	On
	Due      custody.Time     `json:"due" help:"by when it is done"`
	Findings []custody.Digest `json:"findings" help:"a finding that it comes from, F-1 (repeat for several)"`
	Owner    string           `json:"owner" help:"who sees to it"`
	Text     string           `json:"text" help:"what is to be done"`
	Type     string           `json:"type" help:"engineering, procedure, policy, training or tool"`
}

// Kind implements custody.Act.
func (*Repair) Kind() custody.Kind { return KindRepair }

// Detail says in a line what a history tells of it.
func (a *Repair) Detail() string {
	return fmt.Sprintf("%s, by %s until %s: %s", a.Type, a.Owner, a.Due, firstLine(a.Text))
}

// Check implements custody.Act.
func (a *Repair) Check(*custody.Statement) error {
	return a.names(checkFindings(a.Findings), optional("owner", a.Owner), text("text", a.Text),
		oneOf("type", a.Type, []string{"engineering", "procedure", "policy", "training", "tool"}))
}

// Lawful implements custody.Act. Items come, and go on, after the closing.
func (a *Repair) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := onIncident(v, a.Incident, s)
	switch {
	case err != nil:
		return out, err
	case a.Owner == "" || a.Due <= s.Time:
		return out, no("a repair item has an owner, and a day to come by which it is done")
	}
	return out, first(i.led(s.Actor, false), i.found(a.Findings...))
}

// Letter implements custody.Lettered.
func (*Repair) Letter() string { return "R" }

func (a *Repair) apply(i *Incident, said Said) {
	i.Repairs = append(i.Repairs, RepairItem{Entry: Entry[Repair]{i.label(said, a), *a}, Owner: a.Owner, Due: a.Due})
}

// RepairItem is a repair item and how far it has come.
type RepairItem struct {
	Entry[Repair]
	Owner       string              `json:"owner"` // now
	Due         custody.Time        `json:"due"`   // now
	Rescheduled []Entry[Reschedule] `json:"rescheduled,omitempty"`
	Done        *Entry[Repaired]    `json:"done,omitempty"`
}

// Overdue says whether an item should be done by a time, and is not.
func (r RepairItem) Overdue(now custody.Time) bool { return r.Done == nil && r.Due < now }

func (i *Incident) repair(id custody.Digest) *RepairItem {
	for n := range i.Repairs {
		if i.Repairs[n].ID == id {
			return &i.Repairs[n]
		}
	}
	return nil
}

// openRepair returns the item that an act is about, if it is not done.
func (i *Incident) openRepair(id custody.Digest) error {
	switch r := i.repair(id); {
	case r == nil:
		return no("there is no repair item %s", id)
	case r.Done != nil:
		return no("repair item %s is done", r.Label)
	}
	return nil
}

// Reschedule gives a repair item another owner, or another day.
type Reschedule struct {
	On
	Due    custody.Time   `json:"due" help:"by when it is done now"`
	Owner  string         `json:"owner" help:"who sees to it now"`
	Repair custody.Digest `json:"repair" help:"the repair item, R-1"`
}

// Kind implements custody.Act.
func (*Reschedule) Kind() custody.Kind { return KindReschedule }

// Detail says in a line what a history tells of it.
func (a *Reschedule) Detail() string { return fmt.Sprintf("by %s until %s", a.Owner, a.Due) }

// Check implements custody.Act.
func (a *Reschedule) Check(*custody.Statement) error { return a.names(optional("owner", a.Owner)) }

// Lawful implements custody.Act.
func (a *Reschedule) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := onIncident(v, a.Incident, s)
	switch {
	case err != nil:
		return out, err
	case a.Owner == "" || a.Due <= s.Time:
		return out, no("a repair item has an owner, and a day to come by which it is done")
	}
	return out, first(i.led(s.Actor, false), i.openRepair(a.Repair))
}

func (a *Reschedule) apply(i *Incident, said Said) {
	if r := i.repair(a.Repair); r != nil {
		r.Owner, r.Due, r.Rescheduled = a.Owner, a.Due, append(r.Rescheduled, Entry[Reschedule]{said, *a})
	}
}

// Repaired says that a repair item is done, and how.
type Repaired struct {
	On
	Happened
	How    string         `json:"how" help:"what was done"`
	Repair custody.Digest `json:"repair" help:"the repair item, R-1"`
}

// Kind implements custody.Act.
func (*Repaired) Kind() custody.Kind { return KindRepaired }

// Detail says in a line what a history tells of it.
func (a *Repaired) Detail() string { return firstLine(a.How) }

// Check implements custody.Act.
func (a *Repaired) Check(s *custody.Statement) error { return a.names(a.past(s), text("how", a.How)) }

// Lawful implements custody.Act.
func (a *Repaired) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := onIncident(v, a.Incident, s)
	if err == nil {
		err = first(i.led(s.Actor, false), i.openRepair(a.Repair))
	}
	return out, err
}

func (a *Repaired) apply(i *Incident, said Said) {
	if r := i.repair(a.Repair); r != nil {
		r.Done = &Entry[Repaired]{said, *a}
	}
}
