package api

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/custody/policy"
	"github.com/forensic-custody/custody/investigate"
)

// Principal is somebody, as others may see him.
type Principal struct {
	ID        custody.PrincipalID        `json:"id"`
	Name      string                     `json:"name"`
	Title     string                     `json:"title"`
	Contact   string                     `json:"contact"`
	Roles     []custody.Role             `json:"roles"`
	Keys      []custody.KeyID            `json:"keys"` // live ones
	Suspended bool                       `json:"suspended"`
	Enrolled  custody.Time               `json:"enrolled"`
	Qualified []custody.QualifyPrincipal `json:"qualified"` // what is on record of his readiness, by role
}

func showPrincipal(p custody.Principal) Principal {
	return Principal{
		ID: p.ID, Name: p.Name, Title: p.Title, Contact: p.Contact, Roles: p.Roles(),
		Keys: p.Keys(), Suspended: p.Suspended, Enrolled: p.At, Qualified: p.Qualified(),
	}
}

func (a *API) whoami(_ *http.Request, read *guard.Reader) (any, error) {
	p, err := custody.PrincipalOf(read.View(), read.Principal)
	if err != nil {
		return nil, err
	}
	return showPrincipal(p), nil
}

// Principals is the directory.
type Principals struct {
	Principals []Principal `json:"principals"` // in order of name
}

func (a *API) principals(_ *http.Request, read *guard.Reader) (any, error) {
	if !read.May(policy.ReadDirectory, custody.Resource{Type: "Custody", ID: a.Guard.Origin}) {
		return nil, custody.ErrUnknown
	}
	state, err := read.View().State(custody.PolicyStream)
	if err != nil {
		return nil, err
	}
	st, ok := state.(*custody.Policy)
	if !ok {
		return nil, fmt.Errorf("policy stream is folded as %T", state)
	}
	list := []Principal{}
	for id := range st.Enrolments {
		p, err := custody.PrincipalOf(read.View(), id)
		if err != nil {
			return nil, err
		}
		list = append(list, showPrincipal(p))
	}
	slices.SortFunc(list, func(a, b Principal) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return Principals{list}, nil
}

// Incident is an incident as its readers see it.
type Incident struct {
	ID         custody.IncidentID    `json:"id"`
	Title      string                `json:"title"`
	Class      string                `json:"class"`
	Stage      string                `json:"stage"`
	Closed     string                `json:"closed,omitempty"` // how it ended
	Parent     custody.IncidentID    `json:"parent,omitempty"` // the coordinated incident that it is a part of
	DetectedAt custody.Time          `json:"detectedAt"`
	OpenedAt   custody.Time          `json:"openedAt"`
	OpenedBy   custody.PrincipalID   `json:"openedBy"`
	Assigned   []custody.PrincipalID `json:"assigned"`
	Shredding  *Disposal             `json:"shredding,omitempty"` // its keys are to be destroyed, or are
	Evidence   []Evidence            `json:"evidence,omitempty"`  // what is sealed, in order of exhibit numbers; where one incident is asked for
	Withdrawn  []Evidence            `json:"withdrawn,omitempty"` // what was announced and withdrawn, likewise
}

// Incidents lists what a reader may know of.
type Incidents struct {
	Incidents []Incident `json:"incidents"` // in order of opening
}

func (a *API) incidents(_ *http.Request, read *guard.Reader) (any, error) {
	opened, err := incidentsOf(read)
	if err != nil {
		return nil, err
	}
	list := []Incident{}
	for _, o := range opened {
		shown, _, err := a.showIncident(read, o)
		if isUnknown(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, shown)
	}
	return Incidents{list}, nil
}

func incidentsOf(read *guard.Reader) ([]investigate.Opened, error) {
	l, err := register(read)
	if err != nil {
		return nil, err
	}
	return l.Opened, nil
}

func (a *API) showIncident(read *guard.Reader, o investigate.Opened) (Incident, *investigate.Incident, error) {
	if err := read.MayRead(o.ID.Stream()); err != nil {
		return Incident{}, nil, err
	}
	state, err := read.View().State(o.ID.Stream())
	if err != nil {
		return Incident{}, nil, err
	}
	i, ok := state.(*investigate.Incident)
	if !ok {
		return Incident{}, nil, fmt.Errorf("incident stream is folded as %T", state)
	}
	shown := Incident{
		ID: o.ID, Title: o.Act.Title, Class: o.Act.Class, Stage: i.Stage(), DetectedAt: o.Act.DetectedAt,
		OpenedAt: o.Recorded, OpenedBy: o.By, Assigned: append([]custody.PrincipalID{}, i.Assignees()...),
	}
	if i.Closed != nil {
		shown.Closed = i.Closed.Act.End
	}
	if n := len(i.Teams); n > 0 {
		shown.Parent = i.Teams[n-1].Act.Parent
	}
	shown.Shredding = showDisposal(i.Shredding())
	return shown, i, nil
}

// openedOf returns the incident that a request is about.
func openedOf(r *http.Request, read *guard.Reader) (investigate.Opened, error) {
	opened, err := incidentsOf(read)
	if err != nil {
		return investigate.Opened{}, err
	}
	n := slices.IndexFunc(opened, func(o investigate.Opened) bool { return string(o.ID) == chi.URLParam(r, "incident") })
	if n < 0 {
		return investigate.Opened{}, custody.ErrUnknown
	}
	return opened[n], nil
}

func (a *API) incident(r *http.Request, read *guard.Reader) (any, error) {
	opened, err := openedOf(r, read)
	if err != nil {
		return nil, err
	}
	shown, i, err := a.showIncident(read, opened)
	if err != nil {
		return nil, err
	}
	shown.Evidence = []Evidence{}
	for _, id := range i.Items() {
		e, err := showEvidence(read, shown.ID, id)
		if err != nil {
			return nil, err
		}
		switch {
		case e.Sealed:
			shown.Evidence = append(shown.Evidence, e)
		case e.Withdrawn:
			shown.Withdrawn = append(shown.Withdrawn, e)
		}
	}
	for _, list := range [][]Evidence{shown.Evidence, shown.Withdrawn} {
		slices.SortStableFunc(list, func(a, b Evidence) int { return custody.CompareExhibits(a.Exhibit, b.Exhibit) })
	}
	return shown, nil
}

func isUnknown(err error) bool { return errors.Is(err, custody.ErrUnknown) }

// Evidence is an item as its readers see it. An item that is neither sealed nor
// withdrawn is listed nowhere; asked for by its begetter, it shows how far it is.
type Evidence struct {
	ID          custody.EvidenceID   `json:"id"`
	Incident    custody.IncidentID   `json:"incident"`
	Exhibit     string               `json:"exhibit"`
	Name        custody.Name         `json:"name"`
	Type        string               `json:"type"`
	Sealed      bool                 `json:"sealed"`
	Withdrawn   bool                 `json:"withdrawn,omitempty"` // it was announced, and will not come
	SealedAt    custody.Time         `json:"sealedAt,omitzero"`
	SealedBy    custody.PrincipalID  `json:"sealedBy,omitempty"`
	Artifact    *custody.Artifact    `json:"artifact,omitempty"`
	Acquisition *custody.Acquisition `json:"acquisition,omitempty"`
	AsReceived  []string             `json:"asReceived,omitempty"` // the digests that the collector took from the service
	Format      string               `json:"format,omitempty"`     // what its bytes were recognized as
	Labels      []custody.Label      `json:"labels,omitempty"`     // other digests, as compared at intake
	Parts       []custody.Part       `json:"parts,omitempty"`      // the files it was, in order, where there were several
	Signed      custody.Time         `json:"signedAtScene,omitzero"`
	Collector   custody.PrincipalID  `json:"collector,omitempty"` // who signed at the scene
	CheckedAt   custody.Time         `json:"checkedAt,omitzero"`  // when it was last read back
	KeptUntil   custody.Time         `json:"keptUntil,omitzero"`  // when its retention ends
	Holds       []Hold               `json:"holds,omitempty"`
	Disposal    *Disposal            `json:"disposal,omitempty"`
	Shredding   *Disposal            `json:"shredding,omitempty"` // of its incident's keys; done when its own history says so
	KeysLost    string               `json:"keysLost,omitempty"`  // damaged, since its incident's keys are missing, unreadable or destroyed
	Confirmed   bool                 `json:"confirmed"`           // read back from the store and found right
	Damaged     bool                 `json:"damaged"`
}

// Hold is a legal hold on an item.
type Hold struct {
	ID        custody.Digest      `json:"id"`
	Authority string              `json:"authority"`
	Reason    string              `json:"reason"`
	By        custody.PrincipalID `json:"by"`
	At        custody.Time        `json:"at"`
}

// Disposal is an order by two people to destroy an item's bytes, or an
// incident's keys.
type Disposal struct {
	First  custody.PrincipalID `json:"first"`
	Second custody.PrincipalID `json:"second"`
	At     custody.Time        `json:"at"`
	Done   bool                `json:"done"`
}

// showDisposal returns nil for what two people did not order.
func showDisposal(d custody.Disposal) *Disposal {
	if !d.Approved() {
		return nil
	}
	return &Disposal{d.First, d.Second, d.At, d.Done}
}

func showEvidence(read *guard.Reader, i custody.IncidentID, id custody.EvidenceID) (Evidence, error) {
	item, err := custody.ItemIn(read.View(), i, id)
	if err != nil {
		return Evidence{}, err
	}
	e := Evidence{
		ID: id, Incident: i, Exhibit: item.Begun.Exhibit, Name: item.Begun.Name, Type: item.Begun.Type,
		Sealed: item.Sealed, Withdrawn: item.Withdrawn, Confirmed: item.Confirmed, Damaged: item.Damaged,
	}
	if item.Sealed {
		artifact, acquisition := item.Artifact, item.Acquisition
		e.SealedAt, e.SealedBy, e.Artifact, e.Acquisition = item.SealedAt, item.SealedBy, &artifact, &acquisition
		e.Format, e.Labels, e.Parts, e.CheckedAt = item.Format, item.Labels, item.Parts, item.CheckedAt
		e.AsReceived = item.AsReceived
		if e.KeptUntil, err = custody.KeptUntil(read.View(), item); err != nil {
			return Evidence{}, err
		}
		if item.Scene != nil {
			e.Signed, e.Collector = item.Scene.Time, item.Scene.Actor
		}
		for _, h := range item.Holds {
			e.Holds = append(e.Holds, Hold(h))
		}
		e.Disposal, e.KeysLost = showDisposal(item.Disposal), item.KeysLost
		if e.Shredding = showDisposal(item.Shredding); e.Shredding != nil {
			e.Shredding.Done = !item.Shredded.IsZero()
		}
	}
	return e, nil
}

func (a *API) evidence(r *http.Request, read *guard.Reader) (any, error) {
	id, err := custody.ParseEvidenceID(chi.URLParam(r, "evidence"))
	if err != nil {
		return nil, custody.ErrUnknown
	}
	if err := read.MayRead(id.Stream()); err != nil {
		return nil, err
	}
	res, err := read.Resource(id.Stream())
	if err != nil {
		return nil, err
	}
	e, err := showEvidence(read, res.Incident, id)
	if err != nil {
		return nil, err
	}
	if !e.Sealed && !e.Withdrawn {
		if _, _, err := read.Uploading(id); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// Records is a page of a stream's records, in order.
type Records struct {
	Stream  custody.Stream `json:"stream"`
	Records []Record       `json:"records"`
	Next    *uint64        `json:"next,omitempty"` // sequence to go on from, when there may be more
}

// Record is a record with its first receipt, which carries opening and tag. Of an
// erased one there is what the log has, and by whose order: record is empty, and
// the receipt carries nothing.
type Record struct {
	Record  []byte  `json:"record"`
	Receipt string  `json:"receipt"`
	Leaf    []byte  `json:"leaf,omitempty"`
	Erased  *Erased `json:"erased,omitempty"`
}

// Erased says what an erased record was, and by whose order it is erased.
type Erased struct {
	Was       custody.Kind `json:"was"`
	Refused   bool         `json:"refused"`
	Authority string       `json:"authority"`
	Order     Disposal     `json:"order"` // done when it is certified
}

// pageSize is how many records a page has at most.
const pageSize = 200

func (a *API) records(r *http.Request, read *guard.Reader) (any, error) {
	name := chi.URLParam(r, "kind")
	if id := chi.URLParam(r, "id"); id != "" {
		name += "/" + id
	}
	from, err := numberOf(r, "from", 0)
	if err != nil {
		return nil, err
	}
	limit, err := numberOf(r, "limit", pageSize)
	if err != nil {
		return nil, err
	}
	limit = max(1, min(limit, pageSize))
	list, err := read.Records(custody.Stream(name), from, int(limit))
	if err != nil {
		return nil, err
	}
	page := Records{Stream: custody.Stream(name), Records: []Record{}}
	erasures, err := read.View().Erasures(custody.Stream(name))
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		page.Records = append(page.Records, showRecord(s, erasures))
	}
	if uint64(len(list)) == limit {
		next := from + limit
		page.Next = &next
	}
	return page, nil
}

func showRecord(s guard.Stored, erasures *custody.Erasures) Record {
	shown := Record{Record: s.Record, Receipt: string(s.Receipt)}
	if s.Erased() {
		shown.Record, shown.Leaf = []byte{}, s.Leaf[:]
		if o, ok := erasures.Of(s.Sequence); ok {
			shown.Erased = &Erased{o.Act.Was, o.Act.Refused, o.Act.Authority, Disposal{o.First, o.Second, o.At, o.Done}}
		}
	}
	return shown
}

// numberOf reads a number from the query.
func numberOf(r *http.Request, name string, otherwise uint64) (uint64, error) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(s, 10, 53)
	if err != nil {
		return 0, fmt.Errorf("%w: %s is not a number", guard.ErrMalformed, name)
	}
	return n, nil
}
