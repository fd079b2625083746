package investigate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// The kinds of statement about who does what in an incident.
const (
	KindAppoint   custody.Kind = "incident.appoint"
	KindHandOver  custody.Kind = "incident.hand-over"
	KindDischarge custody.Kind = "incident.discharge"
	KindContact   custody.Kind = "incident.contact"
	KindTeams     custody.Kind = "incident.teams"
	KindShift     custody.Kind = "incident.shift"
	KindNote      custody.Kind = "incident.note"
)

// Appointable lists the roles that somebody has in an incident. All are predefined,
// and a person holds one there only who holds it in the service.
func Appointable() []custody.Role {
	return []custody.Role{
		custody.RoleOnCall, custody.RoleIncidentManager, custody.RoleForensicEngineer, custody.RoleCommunications,
		custody.RoleServiceExpert, custody.RoleCustomerSupport, custody.RoleExecutive, custody.RoleServiceOwner,
		custody.RoleLegalAdvisor, custody.RoleExternalAuditor,
	}
}

// single are the roles that one person holds at a time.
var single = []custody.Role{custody.RoleOnCall, custody.RoleIncidentManager, custody.RoleExecutive}

// Holder is somebody in a role, from when until when.
type Holder struct {
	Said
	Role      custody.Role        `json:"role"`
	Principal custody.PrincipalID `json:"principal"`
	Service   string              `json:"service,omitempty"` // of which a service team's expert or owner speaks
	Shadow    bool                `json:"shadow"`            // learns it, and holds none of its authority
	From      custody.Time        `json:"from"`
	Until     custody.Time        `json:"until,omitzero"` // zero while he holds it
	Ended     *Said               `json:"ended,omitempty"`
}

// holds says whether somebody has a role in the incident now, with its authority;
// of the actor of an act that is decided, whether he holds it in the service too.
func (i *Incident) holds(r custody.Role, p custody.PrincipalID) bool {
	if p == i.actor && p != "" && !slices.Contains(i.actors, r) {
		return false
	}
	return i.has(r, p)
}

// has says whether somebody has a role in the incident now, be it that he holds it
// in the service no more.
func (i *Incident) has(r custody.Role, p custody.PrincipalID) bool {
	return slices.ContainsFunc(i.Holders, func(h Holder) bool {
		return h.Role == r && h.Principal == p && h.Ended == nil && !h.Shadow
	})
}

// executive says whether the actor is an executive, of the incident or not: who steps
// in when its manager cannot.
func (i *Incident) executive(by custody.PrincipalID) bool {
	return by == i.actor && slices.Contains(i.actors, custody.RoleExecutive)
}

// holder returns who has a role that one person has at a time, or "".
func (i *Incident) holder(r custody.Role) custody.PrincipalID {
	for _, h := range i.Holders {
		if h.Role == r && h.Ended == nil && !h.Shadow {
			return h.Principal
		}
	}
	return ""
}

// led returns an Unlawful error unless somebody leads the incident: its manager;
// or while it has none, and early says so, who is on call for it.
func (i *Incident) led(by custody.PrincipalID, early bool) error {
	manager := i.holder(custody.RoleIncidentManager)
	switch {
	case i.holds(custody.RoleIncidentManager, by), early && manager == "" && i.holds(custody.RoleOnCall, by):
		return nil
	case manager == by && by != "":
		return no("%s does not hold the role %s any more: it is handed over", by, custody.RoleIncidentManager)
	case manager == "" && early:
		return no("the incident has no manager, and %s is not on call for it", by)
	case manager == "":
		return no("the incident has no manager: appoint one first")
	}
	return no("%s is the incident's manager, and alone decides that", manager)
}

// among returns an Unlawful error unless somebody has one of the roles in the
// incident.
func (i *Incident) among(by custody.PrincipalID, roles ...custody.Role) error {
	for _, r := range roles {
		if i.holds(r, by) {
			return nil
		}
	}
	return no("%s has in the incident none of the roles %q", by, roles)
}

// qualified returns an Unlawful error when somebody cannot have a role: he does not
// hold it in the service, or it is not on record that he is ready for it.
func qualified(v custody.View, i *Incident, id custody.PrincipalID, r custody.Role, shadow bool) error {
	p, err := custody.PrincipalOf(v, id)
	switch {
	case errors.Is(err, custody.ErrUnknown):
		return no("there is no principal %s", id)
	case err != nil:
		return err
	case p.Suspended:
		return no("%s is suspended", id)
	case !slices.Contains(i.Assignees(), id):
		return no("%s is not assigned to the incident", id)
	case shadow:
		return nil
	case !p.Has(r):
		return no("%s does not hold the role %s", id, r)
	}
	return p.Ready(r, v.Now())
}

// Appoint gives somebody who is assigned to the incident a role in it.
type Appoint struct {
	On
	Happened
	Instead   string              `json:"instead,omitempty" help:"why somebody is on call for it who is not on the rota"`
	Principal custody.PrincipalID `json:"principal" help:"who"`
	Role      custody.Role        `json:"role" help:"which role"`
	Service   string              `json:"service,omitempty" help:"the service whose expert or owner it is"`
	Shadow    bool                `json:"shadow" help:"as an apprentice, without authority"`
}

// Kind implements custody.Act.
func (*Appoint) Kind() custody.Kind { return KindAppoint }

// Detail says in a line what a history tells of it.
func (a *Appoint) Detail() string {
	text := fmt.Sprintf("%s as %s", a.Principal, a.Role)
	if a.Service != "" {
		text += " of " + a.Service
	}
	if a.Shadow {
		text += ", as an apprentice"
	}
	return text
}

// Check implements custody.Act.
func (a *Appoint) Check(s *custody.Statement) error {
	var err error
	if !slices.Contains(Appointable(), a.Role) {
		err = fmt.Errorf("role %.40q is none of %q", a.Role, Appointable())
	}
	return errors.Join(err, checkIDs(a.Incident, a.Principal), a.past(s), optional("instead", a.Instead), optional("service", a.Service))
}

// Lawful implements custody.Act.
func (a *Appoint) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	if err := i.mayAppoint(v, a, s.Actor); err != nil {
		return out, err
	}
	owner := a.Role == custody.RoleServiceExpert || a.Role == custody.RoleServiceOwner
	switch {
	case i.has(a.Role, a.Principal):
		return out, no("%s is %s already", a.Principal, a.Role)
	case !a.Shadow && slices.Contains(single, a.Role) && i.holder(a.Role) != "":
		return out, no("%s is %s: one hands over to another", i.holder(a.Role), a.Role)
	case owner != (a.Service != ""):
		return out, no("an expert or owner is of a service, and nobody else is: say of which")
	}
	if t := current(i.Teams); t != nil && owner && t.Service != "" && t.Service != a.Service {
		return out, no("the incident is about %s alone: an expert or owner of %s is appointed in the part that is about that", t.Service, a.Service)
	}
	return out, first(i.free(a), qualified(v, i, a.Principal, a.Role, a.Shadow))
}

// mayAppoint returns an Unlawful error unless the actor may appoint somebody to the
// role: to be on call, whom the rota names; as manager, who is on call, himself too,
// or the executive; else the manager.
func (i *Incident) mayAppoint(v custody.View, a *Appoint, by custody.PrincipalID) error {
	manager := a.Role == custody.RoleIncidentManager && !a.Shadow
	if a.Principal == by && !(manager && i.holds(custody.RoleOnCall, by)) {
		return no("nobody appoints himself")
	}
	switch {
	case a.Role == custody.RoleOnCall && !a.Shadow:
		return onRota(v, a)
	case manager:
		return i.among(by, custody.RoleOnCall, custody.RoleExecutive)
	case a.Role == custody.RoleExecutive && i.holder(custody.RoleIncidentManager) == "":
		return i.among(by, custody.RoleOnCall)
	}
	return i.led(by, false)
}

func onRota(v custody.View, a *Appoint) error {
	l, err := incidentsOf(v)
	if err != nil {
		return err
	}
	if a.Instead == "" && !l.OnDuty(a.Principal, a.At) {
		return no("%s is not on the rota at %s: say why it is not who is", a.Principal, a.At)
	}
	return nil
}

func (a *Appoint) apply(i *Incident, said Said) {
	i.Holders = append(i.Holders, Holder{Said: said, Role: a.Role, Principal: a.Principal, Service: a.Service, Shadow: a.Shadow, From: a.At})
}

// HandOver passes a role on: one act with both names, so that there is no moment
// without a holder.
type HandOver struct {
	On
	Happened
	From custody.PrincipalID `json:"from" help:"who had the role"`
	Role custody.Role        `json:"role" help:"which role"`
	To   custody.PrincipalID `json:"to" help:"who has it from now on"`
}

// Kind implements custody.Act.
func (*HandOver) Kind() custody.Kind { return KindHandOver }

// Detail says in a line what a history tells of it.
func (a *HandOver) Detail() string { return fmt.Sprintf("%s: from %s to %s", a.Role, a.From, a.To) }

// Check implements custody.Act.
func (a *HandOver) Check(s *custody.Statement) error {
	_, err := custody.ParseIncidentID(string(a.Incident))
	for _, p := range []struct {
		field string
		id    custody.PrincipalID
	}{{"from", a.From}, {"to", a.To}} {
		if _, wrong := custody.ParsePrincipalID(string(p.id)); wrong != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", p.field, wrong))
		}
	}
	return errors.Join(err, a.past(s), custody.CheckLine("role", string(a.Role)))
}

// Lawful implements custody.Act. It goes on after the incident's closing, since
// somebody keeps its repair items.
func (a *HandOver) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := onIncident(v, a.Incident, s)
	switch {
	case err != nil:
		return out, err
	case !i.has(a.Role, a.From):
		return out, no("%s is not %s", a.From, a.Role)
	case i.has(a.Role, a.To):
		return out, no("%s is %s already", a.To, a.Role)
	case (s.Actor != a.From || !i.holds(a.Role, s.Actor)) && i.led(s.Actor, true) != nil && !i.executive(s.Actor):
		return out, no("%s hands over himself, or the incident's manager or an executive lets him", a.From)
	case s.Actor == a.To:
		return out, no("nobody takes a role by himself")
	}
	return out, first(i.ends(a.Role, a.From, a.At), qualified(v, i, a.To, a.Role, false))
}

func (a *HandOver) apply(i *Incident, said Said) {
	service := i.end(a.Role, a.From, a.At, said)
	i.Holders = append(i.Holders, Holder{Said: said, Role: a.Role, Principal: a.To, Service: service, From: a.At})
}

// ends returns an Unlawful error when somebody came into a role only after a time.
func (i *Incident) ends(r custody.Role, p custody.PrincipalID, at custody.Time) error {
	for _, h := range i.Holders {
		if h.Role == r && h.Principal == p && h.Ended == nil && at < h.From {
			return no("%s is %s since %s, which is later than %s", p, r, h.From, at)
		}
	}
	return nil
}

// free returns an Unlawful error when somebody had a role of one person still after a
// time.
func (i *Incident) free(a *Appoint) error {
	for _, h := range i.Holders {
		if h.Role == a.Role && slices.Contains(single, a.Role) && !a.Shadow && !h.Shadow && a.At < h.Until {
			return no("%s was %s until %s, which is later than %s", h.Principal, h.Role, h.Until, a.At)
		}
	}
	return nil
}

// end ends somebody's time in a role, and returns of which service he spoke.
func (i *Incident) end(r custody.Role, p custody.PrincipalID, at custody.Time, said Said) (service string) {
	for n := range i.Holders {
		if h := &i.Holders[n]; h.Role == r && h.Principal == p && h.Ended == nil {
			h.Until, h.Ended, service = at, &said, h.Service
		}
	}
	return service
}

// Discharge ends somebody's time in a role of which others may be, or which is not
// needed any more.
type Discharge struct {
	On
	Happened
	Principal custody.PrincipalID `json:"principal" help:"who"`
	Role      custody.Role        `json:"role" help:"which role"`
}

// Kind implements custody.Act.
func (*Discharge) Kind() custody.Kind { return KindDischarge }

// Detail says in a line what a history tells of it.
func (a *Discharge) Detail() string { return fmt.Sprintf("%s is %s no more", a.Principal, a.Role) }

// Check implements custody.Act.
func (a *Discharge) Check(s *custody.Statement) error {
	return errors.Join(checkIDs(a.Incident, a.Principal), a.past(s), custody.CheckLine("role", string(a.Role)))
}

// Lawful implements custody.Act.
func (a *Discharge) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	switch {
	case err != nil:
		return out, err
	case !slices.ContainsFunc(i.Holders, func(h Holder) bool { return h.Role == a.Role && h.Principal == a.Principal && h.Ended == nil }):
		return out, no("%s is not %s", a.Principal, a.Role)
	case a.Role == custody.RoleIncidentManager && i.has(a.Role, a.Principal):
		return out, no("an open incident always has a manager: he hands over to another")
	}
	return out, first(i.led(s.Actor, true), i.ends(a.Role, a.Principal, a.At))
}

func (a *Discharge) apply(i *Incident, said Said) { i.end(a.Role, a.Principal, a.At, said) }

// The kinds of contact outside the team.
const (
	ContactLaw       = "law-enforcement"
	ContactRegulator = "regulator"
	ContactCustomer  = "customer"
	ContactPartner   = "partner"
	ContactOwner     = "service-owner"
)

// Contact names somebody whom the incident has to do with and who has no account
// here.
type Contact struct {
	On
	Instrument   string `json:"instrument,omitempty" help:"by what right he is involved: a request, an order, a contract"`
	Name         string `json:"name" help:"who"`
	Organisation string `json:"organisation" help:"of which organisation"`
	Party        string `json:"party" help:"law-enforcement, regulator, customer, partner or service-owner"`
	Reach        string `json:"reach" help:"a number or an address"`
}

// Kind implements custody.Act.
func (*Contact) Kind() custody.Kind { return KindContact }

// Detail says in a line what a history tells of it.
func (a *Contact) Detail() string { return fmt.Sprintf("%s: %s, %s", a.Party, a.Name, a.Organisation) }

// Check implements custody.Act.
func (a *Contact) Check(*custody.Statement) error {
	return a.names(oneOf("party", a.Party, []string{ContactLaw, ContactRegulator, ContactCustomer, ContactPartner, ContactOwner}),
		custody.CheckLine("name", a.Name), custody.CheckLine("organisation", a.Organisation), custody.CheckLine("reach", a.Reach),
		optional("instrument", a.Instrument))
}

// Lawful implements custody.Act.
func (a *Contact) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err == nil {
		err = i.led(s.Actor, true)
	}
	return out, err
}

func (a *Contact) apply(i *Incident, said Said) {
	i.Contacts = append(i.Contacts, Entry[Contact]{said, *a})
}

// Teams says which response team owns the incident and which take part, where they
// sit together, and of which larger incident it is a part. What is the part of one
// service is for no other service's experts: who is called into it learns of it alone,
// and of nothing else in the larger one.
type Teams struct {
	On
	Location      string             `json:"location,omitempty" help:"where they work together"`
	Owner         string             `json:"owner" help:"the response team that owns the incident"`
	Parent        custody.IncidentID `json:"parent,omitempty" help:"the coordinated incident that this one is a part of"`
	Participating []string           `json:"participating" help:"another response team (repeat for several)"`
	Service       string             `json:"service,omitempty" help:"the service that it is about: no other's experts and owners are appointed"`
	Replaces
}

// Kind implements custody.Act.
func (*Teams) Kind() custody.Kind { return KindTeams }

// Detail says in a line what a history tells of it.
func (a *Teams) Detail() string {
	text := "owned by " + a.Owner
	if len(a.Participating) > 0 {
		text += ", with " + strings.Join(a.Participating, ", ")
	}
	if a.Parent != "" {
		text += ", part of " + string(a.Parent)
	}
	if a.Service != "" {
		text += ", about " + a.Service + " alone"
	}
	return text
}

// Check implements custody.Act.
func (a *Teams) Check(*custody.Statement) error {
	var err error
	if a.Parent != "" {
		_, err = custody.ParseIncidentID(string(a.Parent))
	}
	return a.names(err, custody.CheckLine("owner", a.Owner), lines("participating", a.Participating), optional("location", a.Location), optional("service", a.Service))
}

// Lawful implements custody.Act. Who names a parent is of its team: nobody learns by
// it of an incident that is not his. Who leads a part and is not of the whole leaves
// the parent that it has: that is not looked at, and his record does not say how far
// it has come.
func (a *Teams) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	has := current(i.Teams)
	if stays := i.Definition >= stricter && has != nil && has.Parent == a.Parent; a.Parent != "" && !stays {
		parent, _, err := onIncident(v, a.Parent, s)
		switch {
		case err != nil && !errors.Is(err, custody.ErrUnknown):
			return out, err
		case err != nil, !slices.Contains(parent.Assignees(), s.Actor):
			return out, no("you are not assigned to an incident %s", a.Parent)
		case a.Parent == a.Incident:
			return out, no("an incident is no part of itself")
		}
	}
	return out, first(i.led(s.Actor, true), replaces(i.Teams, a.Replaces.Replaces), i.others(a.Service))
}

// others returns an Unlawful error when somebody speaks in the incident for another
// service than the one that it is to be about.
func (i *Incident) others(service string) error {
	for _, h := range i.Holders {
		if service != "" && h.Ended == nil && h.Service != "" && h.Service != service {
			return no("%s is %s of %s here, and not of %s: discharge him first", h.Principal, h.Role, h.Service, service)
		}
	}
	return nil
}

func (a *Teams) apply(i *Incident, said Said) { amend(&i.Teams, said, *a) }

// Shift says who works on the incident from when to when, so that it can be shown
// that it was worked on round the clock.
type Shift struct {
	On
	From      custody.Time        `json:"from" help:"when it begins"`
	Principal custody.PrincipalID `json:"principal" help:"who"`
	To        custody.Time        `json:"to" help:"when it ends"`
}

// Kind implements custody.Act.
func (*Shift) Kind() custody.Kind { return KindShift }

// Detail says in a line what a history tells of it.
func (a *Shift) Detail() string { return fmt.Sprintf("%s from %s to %s", a.Principal, a.From, a.To) }

// Check implements custody.Act.
func (a *Shift) Check(*custody.Statement) error {
	err := checkSpan(a.From, a.To, longestShift)
	return errors.Join(err, checkIDs(a.Incident, a.Principal))
}

// How long one person works at most before another does, and how long he can be
// called.
const (
	longestShift = 24 * time.Hour
	longestDuty  = 7 * 24 * time.Hour
)

func checkSpan(from, to custody.Time, longest time.Duration) error {
	switch {
	case from <= 0 || to <= 0:
		return errors.New("from and to are needed: when it begins, and when it ends")
	case to <= from:
		return fmt.Errorf("it ends at %s, and begins at %s: not after", to, from)
	case to > from.Add(longest):
		return fmt.Errorf("from %s to %s is longer than %d hours", from, to, longest/time.Hour)
	}
	return nil
}

// Lawful implements custody.Act.
func (a *Shift) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	switch {
	case err != nil:
		return out, err
	case !slices.Contains(i.Assignees(), a.Principal):
		return out, no("%s is not assigned to the incident", a.Principal)
	case a.From < s.Time.Add(-Late):
		return out, no("a shift is put on record before, or within %s of its beginning, and not afterwards", Late)
	}
	return out, i.led(s.Actor, true)
}

func (a *Shift) apply(i *Incident, said Said) { i.Shifts = append(i.Shifts, Entry[Shift]{said, *a}) }

// Span is a stretch of time.
type Span struct {
	From custody.Time `json:"from"`
	To   custody.Time `json:"to"`
}

// gaps returns the parts of a span that none of others covers, in order.
func gaps(of Span, by []Span) []Span {
	slices.SortFunc(by, func(a, b Span) int { return int(a.From - b.From) })
	var open []Span
	at := of.From
	for _, s := range by {
		if s.From > at && at < of.To {
			open = append(open, Span{at, min(s.From, of.To)})
		}
		at = max(at, s.To)
	}
	if at < of.To {
		open = append(open, Span{at, of.To})
	}
	return open
}

// UncoveredRisk lists when customer data was at risk and nobody was on shift, up to
// a time.
func (i *Incident) UncoveredRisk(now custody.Time) []Span {
	var shifts []Span
	for _, s := range i.Shifts {
		shifts = append(shifts, Span{s.Act.From, s.Act.To})
	}
	var open []Span
	for n, r := range i.Ratings {
		until := now
		if n+1 < len(i.Ratings) {
			until = i.Ratings[n+1].Recorded
		}
		if r.Act.DataRisk != RiskNone && r.Recorded < until {
			open = append(open, gaps(Span{r.Recorded, until}, shifts)...)
		}
	}
	return open
}

// The kinds of note.
const (
	NoteActivity  = "activity"         // what somebody did: troubleshooting, collecting
	NoteAdvice    = "advice"           // of an expert, a lawyer, an executive
	NoteDraft     = "draft"            // of what is to be communicated
	NoteCustomers = "customer-update"  // what customers were told
	NoteSupport   = "support-update"   // what support and service organisations were told
	NoteExecutive = "executive-update" // what executives, the customers' too, were told
	NoteDecision  = "decision"         // of the manager or the executive
)

// noted says who takes which kind of note: a communications manager what is
// communicated, an executive what executives are told.
var noted = map[string][]custody.Role{
	NoteActivity:  nil,
	NoteAdvice:    nil,
	NoteDraft:     {custody.RoleCommunications},
	NoteCustomers: {custody.RoleCommunications},
	NoteSupport:   {custody.RoleCommunications},
	NoteExecutive: {custody.RoleExecutive, custody.RoleCommunications},
	NoteDecision:  {custody.RoleIncidentManager, custody.RoleExecutive},
}

// Note puts on record what somebody of the team did, advised, decided or told
// others.
type Note struct {
	On
	Happened
	Audience     string                `json:"audience,omitempty" help:"who was told"`
	Contributors []custody.PrincipalID `json:"contributors" help:"who contributed to it (repeat for several)"`
	Text         string                `json:"text" help:"what was done, advised, decided or told"`
	Type         string                `json:"type" help:"activity, advice, draft, customer-update, support-update, executive-update or decision"`
}

// Kind implements custody.Act.
func (*Note) Kind() custody.Kind { return KindNote }

// Detail says in a line what a history tells of it.
func (a *Note) Detail() string { return a.Type + ": " + firstLine(a.Text) }

// firstLine returns what of a text stands in a history.
func firstLine(s string) string {
	for n, r := range s {
		if r == '\n' {
			return s[:n] + " …"
		}
	}
	return s
}

// Check implements custody.Act.
func (a *Note) Check(s *custody.Statement) error {
	var err error
	if _, ok := noted[a.Type]; !ok {
		err = fmt.Errorf("type %.40q is no kind of note", a.Type)
	}
	for _, p := range a.Contributors {
		err = errors.Join(err, checkIDs(a.Incident, p))
	}
	if len(a.Contributors) > maxList {
		err = fmt.Errorf("%d contributors; at most %d", len(a.Contributors), maxList)
	}
	return a.names(err, a.past(s), text("text", a.Text), optional("audience", a.Audience))
}

// Lawful implements custody.Act.
func (a *Note) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	told := a.Type == NoteCustomers || a.Type == NoteSupport || a.Type == NoteExecutive
	switch {
	case told && a.Audience == "":
		return out, no("say who was told")
	case (told || a.Type == NoteDraft) && !slices.ContainsFunc(a.Contributors, func(p custody.PrincipalID) bool { return p != s.Actor }):
		return out, no("what is communicated names who else contributed to it, the incident's manager or an expert")
	}
	for _, p := range a.Contributors {
		if !slices.Contains(i.Assignees(), p) {
			return out, no("%s is not assigned to the incident", p)
		}
	}
	if roles := noted[a.Type]; roles != nil {
		return out, i.among(s.Actor, roles...)
	}
	if !slices.Contains(i.Assignees(), s.Actor) {
		return out, no("%s is not assigned to the incident", s.Actor)
	}
	return out, nil
}

func (a *Note) apply(i *Incident, said Said) { i.Notes = append(i.Notes, Entry[Note]{said, *a}) }
