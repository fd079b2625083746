package api

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/custody/policy"
	"github.com/forensic-custody/custody/investigate"
)

// file answers with an incident's file and what follows from it, or with its outline,
// which looks at no evidence. It is written out here, since it shares what the fold
// holds.
func (a *API) file(r *http.Request, read *guard.Reader) (any, error) {
	opened, err := openedOf(r, read)
	if err != nil {
		return nil, err
	}
	_, i, err := a.showIncident(read, opened)
	if err != nil {
		return nil, err
	}
	if r.URL.Query().Get("outline") == "true" {
		return written(i.Outline(opened, read.View().Now()))
	}
	p, err := i.Picture(read.View(), opened)
	if err != nil {
		return nil, err
	}
	parts, err := a.partsOf(read, opened)
	if err != nil {
		return nil, err
	}
	p.Parts = append(p.Parts, parts...)
	return written(p)
}

// partsOf returns an incident, and those of its parts that the reader may read; nothing
// when there are none.
func (a *API) partsOf(read *guard.Reader, whole investigate.Opened) ([]investigate.Part, error) {
	opened, err := incidentsOf(read)
	if err != nil {
		return nil, err
	}
	var list, parts []investigate.Part
	for _, o := range opened {
		shown, _, err := a.showIncident(read, o)
		p := investigate.Part{ID: o.ID, Title: o.Act.Title, Assigned: shown.Assigned}
		switch {
		case isUnknown(err):
		case err != nil:
			return nil, err
		case o.ID == whole.ID:
			list = append(list, p)
		case shown.Parent == whole.ID:
			parts = append(parts, p)
		}
	}
	if len(parts) == 0 {
		return nil, nil
	}
	list = append(list, parts...)
	investigate.Coordinate(list)
	return list, nil
}

func written(v any) (jsontext.Value, error) {
	b, err := custody.Encode(v)
	return b, err
}

// RepairItem is an item of the inventory, and of which incident it is.
type RepairItem struct {
	Incident custody.IncidentID     `json:"incident"`
	Overdue  bool                   `json:"overdue"`
	Item     investigate.RepairItem `json:"item"`
}

// Repairs is the inventory of repair items over all incidents that a reader may
// know of, closed ones too.
type Repairs struct {
	Repairs []RepairItem `json:"repairs"` // what is not done first, in order of the day by which it is
}

func (a *API) repairs(_ *http.Request, read *guard.Reader) (any, error) {
	list := Repairs{Repairs: []RepairItem{}}
	err := a.each(read, func(p investigate.Picture) {
		for _, r := range p.File.Repairs {
			list.Repairs = append(list.Repairs, RepairItem{p.ID, r.Overdue(read.View().Now()), r})
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(list.Repairs, func(x, y RepairItem) int {
		if done := x.Item.Done != nil; done != (y.Item.Done != nil) {
			if done {
				return 1
			}
			return -1
		}
		return int(x.Item.Due - y.Item.Due)
	})
	return written(list)
}

// each goes through the outlines of the incidents that the reader may read.
func (a *API) each(read *guard.Reader, do func(investigate.Picture)) error {
	opened, err := incidentsOf(read)
	if err != nil {
		return err
	}
	for _, o := range opened {
		switch _, i, err := a.showIncident(read, o); {
		case isUnknown(err):
		case err != nil:
			return err
		default:
			do(i.Outline(o, read.View().Now()))
		}
	}
	return nil
}

// Vulnerability is a report of a vulnerability, as its reader may see it.
type Vulnerability struct {
	Overdue   bool                      `json:"overdue"`
	Report    investigate.Vulnerability `json:"report"`
	Incidents []custody.IncidentID      `json:"incidents"` // to which it is linked, of those that he may read
}

// Vulnerabilities lists reports of vulnerabilities: all for those who assess them and
// those who oversee; for others what they reported themselves.
type Vulnerabilities struct {
	Vulnerabilities []Vulnerability `json:"vulnerabilities"` // in order of their records
}

func (a *API) vulnerabilities(_ *http.Request, read *guard.Reader) (any, error) {
	reports, err := a.reported(read)
	if err != nil {
		return nil, err
	}
	linked := map[custody.Digest][]custody.IncidentID{}
	err = a.each(read, func(p investigate.Picture) {
		for _, e := range p.File.Links {
			linked[e.Act.Vulnerability] = append(linked[e.Act.Vulnerability], p.ID)
		}
	})
	if err != nil {
		return nil, err
	}
	list := Vulnerabilities{Vulnerabilities: []Vulnerability{}}
	for _, r := range reports {
		list.Vulnerabilities = append(list.Vulnerabilities, Vulnerability{r.Overdue(read.View().Now()), r, append([]custody.IncidentID{}, linked[r.ID]...)})
	}
	return written(list)
}

// reported returns the reports of vulnerabilities as the reader may see them.
func (a *API) reported(read *guard.Reader) ([]investigate.Vulnerability, error) {
	l, err := register(read)
	if err != nil {
		return nil, err
	}
	here := custody.Resource{Type: "Custody", ID: a.Guard.Origin}
	if read.May(policy.ReadRecords, here) || read.May(investigate.KindAssessVulnerability, here) {
		return l.Vulnerabilities, nil
	}
	var own []investigate.Vulnerability
	for _, r := range l.Vulnerabilities {
		if r.By == read.Principal {
			own = append(own, r.ForReporter())
		}
	}
	return own, nil
}

// rotaAhead is for how long the programme looks for times without anybody on call.
const rotaAhead = 14 * 24 * time.Hour

// Team is who is on call, and when nobody is; the procedures; and how the review of the
// service's defaults stands.
type Team struct {
	Rota     []investigate.Entry[investigate.Rota] `json:"rota"`
	Unmanned []investigate.Span                    `json:"unmanned"` // within the next 14 days

	Procedures []investigate.Entry[investigate.Procedure] `json:"procedures"` // all versions, in order
	Defaults   investigate.Defaults                       `json:"defaults"`   // how the review of the service's defaults stands
}

func (a *API) team(_ *http.Request, read *guard.Reader) (any, error) {
	if !read.May(policy.ReadDirectory, custody.Resource{Type: "Custody", ID: a.Guard.Origin}) {
		return nil, custody.ErrUnknown
	}
	l, err := register(read)
	if err != nil {
		return nil, err
	}
	able, err := l.Able(read.View())
	if err != nil {
		return nil, err
	}
	now := read.View().Now()
	t := Team{Rota: []investigate.Entry[investigate.Rota]{}, Unmanned: able.Unmanned(now, now.Add(rotaAhead)),
		Procedures: append([]investigate.Entry[investigate.Procedure]{}, l.Procedures...), Defaults: l.DefaultsAt(now),
	}
	for _, d := range l.Rota {
		if d.Act.To > now {
			t.Rota = append(t.Rota, d)
		}
	}
	if t.Unmanned == nil {
		t.Unmanned = []investigate.Span{}
	}
	return written(t)
}

func (a *API) programme(r *http.Request, read *guard.Reader) (any, error) {
	l, err := register(read)
	if err != nil {
		return nil, err
	}
	from, to, err := spanOf(r)
	if err != nil {
		return nil, err
	}
	var all []investigate.Picture
	err = a.each(read, func(p investigate.Picture) {
		if p.DetectedAt >= from && (to == 0 || p.DetectedAt < to) {
			all = append(all, p)
		}
	})
	if err != nil {
		return nil, err
	}
	able, err := l.Able(read.View())
	if err != nil {
		return nil, err
	}
	now := read.View().Now()
	p := investigate.NewProgramme(all, now)
	p.Unmanned = append(p.Unmanned, able.Unmanned(now, now.Add(rotaAhead))...)
	reports, err := a.reported(read)
	if err != nil {
		return nil, err
	}
	p.Vulnerabilities = investigate.TallyVulnerabilities(slices.DeleteFunc(slices.Clone(reports), func(v investigate.Vulnerability) bool {
		return v.Act.At < from || to != 0 && v.Act.At >= to
	}), now)
	return written(p)
}

// spanOf reads a stretch of time from the query: from, and to; zero where not given.
func spanOf(r *http.Request) (from, to custody.Time, err error) {
	for _, q := range []struct {
		name string
		into *custody.Time
	}{{"from", &from}, {"to", &to}} {
		if s := r.URL.Query().Get(q.name); s != "" {
			if err := q.into.UnmarshalText([]byte(s)); err != nil {
				return 0, 0, fmt.Errorf("%w: %s: %w", guard.ErrMalformed, q.name, err)
			}
		}
	}
	return from, to, nil
}

// register returns the fold of the stream incidents.
func register(read *guard.Reader) (*investigate.Incidents, error) {
	state, err := read.View().State(custody.IncidentsStream)
	if err != nil {
		return nil, err
	}
	l, ok := state.(*investigate.Incidents)
	if !ok {
		return nil, fmt.Errorf("incidents stream is folded as %T", state)
	}
	return l, nil
}
