package guardtest

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

// Store keeps records and tickets in memory. It implements guard.Store.
type Store struct {
	mu      sync.Mutex
	records []*guard.Stored // in order of commit
	payload map[custody.Digest]*guard.Stored
	streams map[custody.Stream]*kept
	tickets map[custody.Digest]*guard.Ticket // by grant
	closed  map[custody.Digest]bool          // tickets, by grant
	ended   map[custody.Digest]bool          // erasures, by order
}

type kept struct {
	info    guard.StreamInfo
	records []*guard.Stored
}

var _ guard.Store = (*Store)(nil)

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{payload: map[custody.Digest]*guard.Stored{}, streams: map[custody.Stream]*kept{}, tickets: map[custody.Digest]*guard.Ticket{}, closed: map[custody.Digest]bool{}, ended: map[custody.Digest]bool{}}
}

// Commit implements guard.Store.
func (s *Store) Commit(_ context.Context, records []guard.Stored) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.records)
	for _, r := range records {
		if err := s.add(r); err != nil {
			s.forget(before)
			return err
		}
	}
	return nil
}

func (s *Store) add(r guard.Stored) error {
	if s.find(r.Payload) != nil {
		return guard.ErrDuplicate
	}
	for _, o := range r.Opens {
		if s.streams[o.Stream] != nil {
			return guard.ErrDuplicate
		}
	}
	for _, h := range r.Basis {
		if s.head(h.Stream) != h {
			return guard.ErrStale
		}
	}
	for _, o := range r.Opens {
		s.streams[o.Stream] = &kept{info: guard.StreamInfo{TagKey: o.TagKey, DeclaredBy: r.Payload}}
	}
	home := s.streams[r.Stream]
	if home == nil {
		return custody.ErrUnknown
	}
	parsed, err := custody.ParseRecord(r.Record)
	if err != nil {
		return err
	}
	if h := s.head(r.Stream); h.Length != r.Sequence || h.Commitment != parsed.Previous {
		return guard.ErrStale
	}
	r.Receipt = nil
	if r.Ticket != nil {
		t := *r.Ticket
		s.tickets[r.Payload] = &t
	}
	s.records, s.payload[r.Payload] = append(s.records, &r), &r
	home.records = append(home.records, &r)
	home.info.Length++
	return nil
}

// forget takes back all records but the first n.
func (s *Store) forget(n int) {
	for _, r := range s.records[n:] {
		delete(s.tickets, r.Payload)
		delete(s.payload, r.Payload)
		for _, o := range r.Opens {
			delete(s.streams, o.Stream)
		}
		if home := s.streams[r.Stream]; home != nil {
			home.records = home.records[:r.Sequence]
			home.info.Length = r.Sequence
		}
	}
	s.records = s.records[:n]
}

func (s *Store) head(name custody.Stream) custody.Head {
	h := custody.Head{Stream: name}
	if k := s.streams[name]; k != nil && len(k.records) > 0 {
		h.Length = uint64(len(k.records))
		h.Commitment = k.records[h.Length-1].Commitment
	}
	return h
}

func (s *Store) find(payload custody.Digest) *guard.Stored {
	return s.payload[payload]
}

// Prove implements guard.Store.
func (s *Store) Prove(_ context.Context, proofs []guard.Proof) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range proofs {
		r := s.find(p.Payload)
		if r == nil {
			return custody.ErrUnknown
		}
		if r.Receipt == nil {
			r.Receipt = p.Receipt
			s.streams[r.Stream].info.Proven++
		}
	}
	return nil
}

// Unproven implements guard.Store.
func (s *Store) Unproven(context.Context) ([]guard.Stored, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []guard.Stored
	for _, r := range s.records {
		if r.Receipt == nil {
			list = append(list, *r)
		}
	}
	return list, nil
}

// ByPayload implements guard.Store.
func (s *Store) ByPayload(_ context.Context, payload custody.Digest) (guard.Stored, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.find(payload); r != nil {
		return *r, nil
	}
	return guard.Stored{}, custody.ErrUnknown
}

// Records implements guard.Store.
func (s *Store) Records(_ context.Context, name custody.Stream, from uint64, limit int, proven bool) ([]guard.Stored, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []guard.Stored
	k := s.streams[name]
	if k == nil {
		return nil, nil
	}
	for n := from; n < uint64(len(k.records)) && len(list) < limit; n++ {
		if proven && k.records[n].Receipt == nil {
			break
		}
		list = append(list, *k.records[n])
	}
	return list, nil
}

// Stream implements guard.Store.
func (s *Store) Stream(_ context.Context, name custody.Stream) (guard.StreamInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.streams[name]; k != nil {
		return k.info, nil
	}
	return guard.StreamInfo{}, custody.ErrUnknown
}

// Len returns the number of records that were committed.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.records)
}

// Nth returns the record that was committed after n others.
func (s *Store) Nth(n int) guard.Stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.records[n]
}

// BeginUse implements guard.Store.
func (s *Store) BeginUse(_ context.Context, token custody.Digest) (guard.Ticket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tickets {
		if t.Token == token {
			t.Begun++
			return *t, nil
		}
	}
	return guard.Ticket{}, custody.ErrUnknown
}

// EndUse implements guard.Store.
func (s *Store) EndUse(ctx context.Context, grant custody.Digest, sent uint64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tickets[grant]
	if t == nil && s.closed[grant] {
		return nil
	}
	if t == nil {
		return custody.ErrUnknown
	}
	t.Ended++
	t.Sent += sent
	return nil
}

// OpenTickets implements guard.Store.
func (s *Store) OpenTickets(context.Context) ([]guard.Ticket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []guard.Ticket
	for _, t := range s.tickets {
		list = append(list, *t)
	}
	slices.SortFunc(list, func(a, b guard.Ticket) int { return cmp.Compare(a.Grant.String(), b.Grant.String()) })
	return list, nil
}

// CloseTicket implements guard.Store.
func (s *Store) CloseTicket(_ context.Context, grant custody.Digest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tickets, grant)
	s.closed[grant] = true
	return nil
}

// Erasures implements guard.Store.
func (s *Store) Erasures(context.Context) ([]guard.Erasing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []guard.Erasing
	for _, r := range s.records {
		if r.Erases != nil && !s.ended[r.Payload] {
			list = append(list, *r.Erases)
		}
	}
	return list, nil
}

// Erase implements guard.Store.
func (s *Store) Erase(_ context.Context, e guard.Erased) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.streams[e.Stream]
	if k == nil || e.Sequence >= uint64(len(k.records)) || k.records[e.Sequence].Receipt == nil {
		return custody.ErrUnknown
	}
	r := k.records[e.Sequence]
	r.Record, r.Opening, r.Basis, r.Mark, r.Receipt = nil, custody.Opening{}, nil, e.Mark, e.Receipt
	return nil
}

// EndErasure implements guard.Store.
func (s *Store) EndErasure(_ context.Context, order custody.Digest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended[order] = true
	return nil
}
