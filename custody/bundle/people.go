package bundle

import (
	"cmp"
	"slices"

	"github.com/forensic-custody/custody/custody"
)

// Handler is a human being who handled an item, or tried to.
type Handler struct {
	ID       custody.PrincipalID // empty of one who is not enrolled
	Name     string
	Title    string
	Contact  string
	Enrolled custody.Time        // zero of one who is not
	By       custody.PrincipalID // who enrolled him; empty for the first administrator
	Acts     int                 // permitted records of the items that he signed
	Refused  int                 // refused ones
	Keys     []custody.KeyID     // that he signed them with
	Scene    bool                // took an item, as its seal says, here or at the scene
}

// Handlers returns everybody who signed a record of the timeline, or took an item,
// as enrolled, or as the seal names him who is not. The service is none. They stand
// in order of their first record.
func (v *Verdict) Handlers() []Handler {
	var list []*Handler
	handler := func(id custody.PrincipalID) *Handler {
		for _, h := range list {
			if h.ID == id {
				return h
			}
		}
		who := v.people[id]
		h := &Handler{ID: id, Name: who.Name, Title: who.Title, Contact: who.Contact, Enrolled: who.At, By: who.By}
		list = append(list, h)
		return h
	}
	for _, e := range v.Timeline {
		if e.Actor == v.service || e.Actor == "" {
			continue
		}
		h := handler(e.Actor)
		if e.Permitted {
			h.Acts++
		} else {
			h.Refused++
		}
		if !slices.Contains(h.Keys, e.Statement.Signer) {
			h.Keys = append(h.Keys, e.Statement.Signer)
		}
		seal, ok := e.Statement.Act.(*custody.SealEvidence)
		if !ok || !e.Permitted {
			continue
		}
		taker := h
		if said, err := seal.Collected(); err == nil && said != nil {
			taker = handler(said.Actor)
			if !slices.Contains(taker.Keys, said.Signer) {
				taker.Keys = append(taker.Keys, said.Signer)
			}
		}
		if p := seal.Acquisition.Collector; p != nil {
			taker = &Handler{Name: p.Name, Title: p.Title, Contact: p.Contact}
			if !slices.ContainsFunc(list, func(h *Handler) bool {
				return h.ID == "" && h.Name == p.Name && h.Title == p.Title && h.Contact == p.Contact
			}) {
				list = append(list, taker)
			}
		}
		taker.Scene = true
	}
	all := make([]Handler, len(list))
	for n, h := range list {
		all[n] = *h
	}
	return all
}

// Service returns the identity that the service signs with.
func (v *Verdict) Service() custody.PrincipalID { return v.service }

// around draws up the records of the streams that are not the items': people,
// keys, the store and the log.
func (c *check) around() {
	items := c.verdict.Timeline
	c.verdict.Timeline = nil
	for _, s := range c.streams {
		opening := s.head.Stream == custody.IncidentsStream && c.head.Scope == ScopeIncident // in the timeline
		if kind := s.head.Stream.Kind(); kind != "evidence" && kind != "incident" && !opening {
			c.timeline(s)
		}
	}
	c.verdict.Around, c.verdict.Timeline = c.verdict.Timeline, items
	slices.SortStableFunc(c.verdict.Around, func(a, b Event) int { return cmp.Compare(a.Recorded, b.Recorded) })
}

// Enrolled returns what the bundle's records say of somebody's enrolment; the zero
// value of who is not enrolled.
func (v *Verdict) Enrolled(id custody.PrincipalID) custody.Enrolment { return v.people[id] }
