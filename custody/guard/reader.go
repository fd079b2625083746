package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/policy"
)

// Session is somebody's reading, opened by an admitted session.open.
type Session struct {
	Principal custody.PrincipalID
	Key       custody.KeyID
}

// How long sessions and export tokens live.
const (
	sessionLife = 12 * time.Hour
	sessionIdle = time.Hour
	exportLife  = 15 * time.Minute
)

// Export is what an admitted evidence.export or incident.export earned: the bundle
// of an item, or that of an incident.
type Export struct {
	Evidence  custody.EvidenceID  // empty when it is of an incident
	Incident  custody.IncidentID  // empty when it is of an item
	Principal custody.PrincipalID // who earned it, and alone can use it
}

// Reader reads records for the holder of a session: proven ones only, and only
// what policy lets him know. What he may not know looks to him as if it were
// not there: custody.ErrUnknown.
type Reader struct {
	g *Guard
	Session
	view  *view
	roles []custody.Role
	rules *policy.Policy
}

// Read calls do with a reader for a session token. The reader must not be used
// after do has returned. It fails with ErrUnauthenticated when the session is
// over, or its principal's key no longer live.
func (g *Guard) Read(ctx context.Context, token string, do func(*Reader) error) error {
	s, ok := g.sessions.find(token)
	if !ok {
		return fmt.Errorf("%w: the session is over; log in again", ErrUnauthenticated)
	}
	if err := g.live(ctx, s); err != nil {
		g.sessions.drop(token)
		return err
	}
	g.reading.Lock()
	defer g.reading.Unlock()
	r := &Reader{g: g, Session: s, view: g.proven.view(ctx, g.now(), true)}
	p, err := custody.PrincipalOf(r.view, s.Principal)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	r.roles = p.Roles()
	if r.rules, err = g.judge.InForce(r.view); err != nil {
		return err
	}
	return do(r)
}

// live checks a session's key against all records, those not yet proven too.
func (g *Guard) live(ctx context.Context, s Session) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	p, err := custody.PrincipalOf(g.folds.view(ctx, g.now(), false), s.Principal)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if _, err := p.Key(s.Key); err != nil {
		return errNoLiveKey
	}
	return nil
}

// Logout ends a session.
func (g *Guard) Logout(token string) { g.sessions.drop(token) }

// May says whether policy permits the action, which is not a statement's, upon
// the resource.
func (r *Reader) May(action custody.Kind, on custody.Resource) bool {
	return r.rules.Decide(policy.Request{Principal: r.Principal, Roles: r.roles, Action: action, Resource: on, Purpose: "reading"}).Permit
}

// View returns the folded streams, unchecked: for callers that have asked May.
func (r *Reader) View() custody.View { return r.view }

// Roles returns the roles of the session's principal.
func (r *Reader) Roles() []custody.Role { return r.roles }

// Resource returns the resource that a stream is about.
func (r *Reader) Resource(s custody.Stream) (custody.Resource, error) {
	info, err := r.g.Store.Stream(r.view.ctx, s)
	if err != nil {
		return custody.Resource{}, err
	}
	switch s.Kind() {
	case "principal":
		return custody.Resource{Type: "Principal", ID: string(s[len("principal/"):])}, nil
	case "incident":
		return r.incident(s)
	case "evidence":
		declared, err := r.g.Store.ByPayload(r.view.ctx, info.DeclaredBy)
		if err != nil {
			return custody.Resource{}, err
		}
		res, err := r.incident(declared.Stream)
		if err != nil {
			return custody.Resource{}, err
		}
		res.Type, res.ID = "Evidence", string(s[len("evidence/"):])
		item, err := custody.ItemIn(r.view, res.Incident, custody.EvidenceID(res.ID))
		res.Artifact = item.Begun.Type
		return res, err
	default:
		return custody.Resource{Type: "Custody", ID: r.g.Origin}, nil
	}
}

func (r *Reader) incident(s custody.Stream) (custody.Resource, error) {
	state, err := r.view.State(s)
	if err != nil {
		return custody.Resource{}, err
	}
	c, ok := state.(custody.Case)
	if !ok {
		return custody.Resource{}, errors.New("an evidence item is declared outside an incident")
	}
	id := string(s[len("incident/"):])
	return custody.Resource{Type: "Incident", ID: id, Incident: custody.IncidentID(id), Assigned: c.Assignees()}, nil
}

// MayRead returns nil when the session may read the stream's records.
func (r *Reader) MayRead(s custody.Stream) error {
	if _, err := custody.ParseStream(string(s)); err != nil {
		return custody.ErrUnknown
	}
	res, err := r.Resource(s)
	if err != nil {
		return err
	}
	if !r.May(policy.ReadRecords, res) {
		return custody.ErrUnknown
	}
	return nil
}

// maxPage bounds what one call of Records returns.
const maxPage = 1000

// Records returns proven records of a stream from a sequence on, in order, at
// most limit of them.
func (r *Reader) Records(s custody.Stream, from uint64, limit int) ([]Stored, error) {
	if err := r.MayRead(s); err != nil {
		return nil, err
	}
	return r.g.Store.Records(r.view.ctx, s, from, min(limit, maxPage), true)
}

// Uploading returns the item of an upload that the session's principal may
// continue: his own, not sealed.
func (r *Reader) Uploading(id custody.EvidenceID) (custody.Item, custody.IncidentID, error) {
	res, err := r.Resource(id.Stream())
	if err != nil {
		return custody.Item{}, "", err
	}
	item, err := custody.ItemIn(r.view, res.Incident, id)
	if err != nil {
		return custody.Item{}, "", err
	}
	if item.BegunBy != r.Principal || !r.May(custody.KindSealEvidence, res) {
		return custody.Item{}, "", custody.ErrUnknown
	}
	return item, res.Incident, nil
}

// MayRetrieve returns nil when the session's principal could retrieve the item
// now: policy permits it to him, and its bytes are there.
func (r *Reader) MayRetrieve(id custody.EvidenceID) error {
	act := &custody.RetrieveEvidence{Evidence: id}
	out, err := act.Lawful(r.view, &custody.Statement{Header: custody.Header{Actor: r.Principal}})
	if err == nil && !r.May(act.Kind(), out.Resource) {
		err = custody.ErrUnknown
	}
	return err
}

// Exporting returns what an export token was earned for: custody.ErrUnknown
// unless the session's principal earned it and policy permits it to him still.
func (r *Reader) Exporting(token string) (Export, error) {
	e, ok := r.g.exports.find(token)
	if !ok || e.Principal != r.Principal {
		return Export{}, custody.ErrUnknown
	}
	var act custody.Act = &custody.ExportEvidence{Evidence: e.Evidence}
	if e.Incident != "" {
		act = &custody.ExportIncident{Incident: e.Incident}
	}
	out, err := act.Lawful(r.view, nil)
	if err != nil {
		return Export{}, err
	}
	covers := append(out.Covers, custody.Cover{Action: act.Kind(), Resource: out.Resource})
	for _, c := range covers {
		if !r.May(c.Action, c.Resource) {
			return Export{}, custody.ErrUnknown
		}
	}
	return e, nil
}

// People counts the principals that were enrolled, the service aside.
func (g *Guard) People(ctx context.Context) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	st, err := g.policyState(ctx)
	if err != nil {
		return 0, err
	}
	return len(st.Enrolments) - 1, nil
}

// Item returns a sealed item as it stands, records not yet proven included: for the
// service's own work, which shows it to nobody.
func (g *Guard) Item(ctx context.Context, e custody.EvidenceID) (custody.Item, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	item, _, err := custody.ItemOf(g.folds.view(ctx, g.now(), false), e)
	if err != nil {
		return custody.Item{}, err
	}
	folded := *item.Evidence
	item.Evidence = &folded
	return item, nil
}

// Survey calls do with the folded streams, of proven records only, for the
// service's own work, which shows them to nobody: what is done on their word
// cannot be undone. Nobody reads meanwhile, so do must be quick and keep nothing
// of the folds.
func (g *Guard) Survey(ctx context.Context, do func(custody.View) error) error {
	g.reading.Lock()
	defer g.reading.Unlock()
	return do(g.proven.view(ctx, g.now(), true))
}

// Successions returns by which notes keys of the log gave way, as on record, records
// not yet proven included.
func (g *Guard) Successions(ctx context.Context) ([]string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	st, err := g.policyState(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Clone(st.Successions), nil
}

// ServiceMay says whether the policy in force permits the service an act.
func (g *Guard) ServiceMay(ctx context.Context, action custody.Kind, on custody.Resource) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	rules, err := g.judge.InForce(g.folds.view(ctx, g.now(), false))
	if err != nil {
		return false, err
	}
	return rules.Decide(policy.Request{Principal: g.service, Roles: []custody.Role{custody.RoleService}, Action: action, Resource: on}).Permit, nil
}

// TimeNotice returns how the service last said that it stands with a time-stamping
// authority, records not yet proven included: as custody.TimeBack where it said
// nothing.
func (g *Guard) TimeNotice(ctx context.Context, authority string) (custody.NoticeTime, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	st, err := g.policyState(ctx)
	if err != nil {
		return custody.NoticeTime{}, err
	}
	n, ok := st.Notices[authority]
	if !ok {
		n = custody.NoticeTime{Authority: authority, State: custody.TimeBack}
	}
	return n, nil
}

// StoreProven returns what the store was last proven to do, records not yet
// proven included; nil before the first time.
func (g *Guard) StoreProven(ctx context.Context) (*custody.ProveStore, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	st, err := g.policyState(ctx)
	if err != nil {
		return nil, err
	}
	return st.Store, nil
}
