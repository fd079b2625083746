package house

import (
	"cmp"
	"context"
	"errors"
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
	until    time.Time // end of its retention
	checked  time.Time // when it was last read back, or sealed
	first    bool      // it was never read back: that is checkLoop's to do
	asked    bool
	damaged  bool
	thing    bool // it has no bytes
}

// gone says whether the item's bytes are to be had no more.
func (k kept) gone() bool { return k.disposal.Approved() || k.shredded }

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

// grown returns the streams of items that have records that were not taken in,
// those of an incident that has some included: it says how long they are kept.
// It returns also what to remember when they are taken in.
func (s *items) grown(ctx context.Context) ([]custody.EvidenceID, map[custody.Stream]uint64, error) {
	incidents, err := s.rows.Proven(ctx, "incident")
	if err != nil {
		return nil, nil, err
	}
	evidence, err := s.rows.Proven(ctx, "evidence")
	if err != nil {
		return nil, nil, err
	}
	now, list := map[custody.Stream]uint64{}, []custody.EvidenceID{}
	for stream, n := range incidents {
		if s.lengths[stream] != n {
			now[stream] = n
		}
	}
	for stream, n := range evidence {
		id := custody.EvidenceID(stream[len("evidence/"):])
		_, longer := now[s.known[id].incident.Stream()]
		if s.lengths[stream] != n {
			now[stream] = n
		} else if !longer {
			continue
		}
		list = append(list, id)
	}
	return list, now, nil
}

// survey lists the sealed items by their proven records, the first sealed first.
func (h *House) survey(ctx context.Context) ([]kept, error) {
	s := h.items
	s.mu.Lock()
	defer s.mu.Unlock()
	list, lengths, err := s.grown(ctx)
	if err != nil {
		return nil, err
	}
	if len(lengths) == 0 {
		return s.sorted, nil
	}
	found := []kept{}
	err = h.guard.Survey(ctx, func(v custody.View) error {
		for _, id := range list {
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
		return nil, err
	}
	maps.Copy(s.lengths, lengths)
	s.rounds++
	for _, k := range found {
		s.known[k.id] = k
	}
	s.sorted = slices.SortedFunc(maps.Values(s.known), func(a, b kept) int {
		return cmp.Or(cmp.Compare(a.sealed, b.sealed), cmp.Compare(a.id, b.id))
	})
	return s.sorted, nil
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
	until, err := custody.KeptUntil(v, item)
	if err != nil {
		return kept{}, err
	}
	return kept{
		id: id, incident: item.Incident, artifact: item.Artifact, disposal: item.Disposal, shredded: item.Shredding.Approved(),
		holds: len(item.Holds), sealed: item.SealedAt,
		until: until.Time(), checked: max(item.CheckedAt, item.SealedAt).Time(), first: item.CheckedAt == 0,
		asked: item.CheckAsked, damaged: item.Damaged, thing: item.Begun.Type == custody.TypePhysical,
	}, nil
}
