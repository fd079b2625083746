package house

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/storage/sql"
)

// kept is what the keeper needs to know of a sealed item.
type kept struct {
	id       custody.EvidenceID
	incident custody.IncidentID
	artifact custody.Artifact
	disposal custody.Disposal
	shredded bool // it is ordered that the keys of its incident be destroyed
	holds    int
	sealed   custody.Time
	kind     string    // of artifact
	until    time.Time // end of its retention
	checked  time.Time // when it was last read back, or sealed
	first    bool      // it was never read back: that is checkLoop's to do
	asked    bool
	damaged  bool
	thing    bool // it has no bytes
}

// gone says whether the item's bytes are to be had no more.
func (k kept) gone() bool { return k.disposal.Approved() || k.shredded }

// same says whether two items of an incident are the same bytes.
func (k kept) same(o kept) bool {
	return k.incident == o.incident && k.artifact == o.artifact && !k.thing && !o.thing
}

// comesAfter says whether the item has yet to be destroyed after another one of
// the list that is the same bytes.
func (k kept) comesAfter(other custody.EvidenceID, list []kept) bool {
	is := func(id custody.EvidenceID) int {
		return slices.IndexFunc(list, func(o kept) bool { return o.id == id })
	}
	n := is(other)
	return n >= 0 && !k.disposal.Done && k.same(list[n]) && is(k.id) > n
}

// items are the sealed items as the keeper knows them. Only streams that have
// grown since are looked at again.
type items struct {
	rows *sql.Store

	mu      sync.Mutex
	lengths map[custody.Stream]uint64 // up to which records are taken in
	known   map[custody.EvidenceID]kept
	sorted  []kept // the same, the first sealed first; never changed, only replaced
	rounds  uint64 // how often something was taken in
}

func newItems(rows *sql.Store) *items {
	return &items{rows: rows, lengths: map[custody.Stream]uint64{}, known: map[custody.EvidenceID]kept{}}
}

// grown are the streams that have records that were not taken in.
type grown struct {
	incidents map[custody.Stream]bool
	evidence  []custody.EvidenceID
	lengths   map[custody.Stream]uint64 // of all these
}

func (s *items) grown(ctx context.Context) (*grown, error) {
	g := &grown{incidents: map[custody.Stream]bool{}, lengths: map[custody.Stream]uint64{}}
	for _, kind := range []string{"incident", "evidence"} {
		lengths, err := s.rows.Proven(ctx, kind)
		if err != nil {
			return nil, err
		}
		for stream, n := range lengths {
			if s.lengths[stream] == n {
				continue
			}
			g.lengths[stream] = n
			if kind == "incident" {
				g.incidents[stream] = true
			} else {
				g.evidence = append(g.evidence, custody.EvidenceID(stream[len("evidence/"):]))
			}
		}
	}
	return g, nil
}

// survey lists the sealed items by their proven records, the first sealed first.
func (h *House) survey(ctx context.Context) ([]kept, error) {
	list, _, err := h.surveyed(ctx)
	return list, err
}

// surveyed is survey, and tells how often something new was found up to this list.
func (h *House) surveyed(ctx context.Context) ([]kept, uint64, error) {
	s := h.items
	s.mu.Lock()
	defer s.mu.Unlock()
	grown, err := s.grown(ctx)
	if err != nil {
		return nil, 0, err
	}
	if len(grown.lengths) == 0 {
		return s.sorted, s.rounds, nil
	}
	found := []kept{}
	err = h.guard.Survey(ctx, func(v custody.View) error {
		for _, k := range s.sorted {
			if grown.incidents[k.incident.Stream()] {
				if err := k.look(v); err != nil {
					return err
				}
				found = append(found, k)
			}
		}
		for _, id := range grown.evidence {
			k, err := keptIn(v, id)
			if errors.Is(err, custody.ErrUnknown) { // not sealed
				continue
			}
			if err != nil {
				return err
			}
			found = append(found, k)
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	maps.Copy(s.lengths, grown.lengths)
	s.rounds++
	for _, k := range found {
		s.known[k.id] = k
	}
	s.sorted = slices.SortedFunc(maps.Values(s.known), func(a, b kept) int {
		return cmp.Or(cmp.Compare(a.sealed, b.sealed), cmp.Compare(a.id, b.id))
	})
	return s.sorted, s.rounds, nil
}

// changes counts how often survey has found something new.
func (s *items) changes() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rounds
}

func keptIn(v custody.View, id custody.EvidenceID) (kept, error) {
	item, _, err := custody.ItemOf(v, id)
	if err != nil {
		return kept{}, err
	}
	k := kept{
		id: id, incident: item.Incident, artifact: item.Artifact, disposal: item.Disposal, holds: len(item.Holds),
		sealed: item.SealedAt, kind: item.Begun.Type, checked: max(item.CheckedAt, item.SealedAt).Time(), first: item.CheckedAt == 0,
		asked: item.CheckAsked, damaged: item.Damaged, thing: item.Begun.Type == custody.TypePhysical,
	}
	return k, k.look(v)
}

// look takes in what the item's incident says of it.
func (k *kept) look(v custody.View) error {
	item := custody.Item{Evidence: &custody.Evidence{Incident: k.incident, SealedAt: k.sealed}, Beginning: custody.Beginning{Begun: custody.BeginEvidence{Type: k.kind}}}
	until, err := custody.KeptUntil(v, item)
	if err != nil {
		return err
	}
	state, err := v.State(k.incident.Stream())
	if err != nil {
		return err
	}
	c, ok := state.(custody.Case)
	if !ok {
		return fmt.Errorf("%s: folded as %T", k.incident.Stream(), state)
	}
	k.until, k.shredded = until.Time(), c.Shredding().Approved()
	return nil
}
