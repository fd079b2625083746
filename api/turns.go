package api

import (
	"context"
	"fmt"
	"sync"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

// turns bounds how much of one kind is done at once, in all and for one person.
// Whoever has his share waits for his own turn, and keeps nobody else's place.
type turns struct {
	what    string // is done
	share   int    // of one person
	waiting int    // how many more of his can wait
	all     chan struct{}

	mu  sync.Mutex
	own map[custody.PrincipalID]*share // of those who are here
}

// share is what one person has of the turns.
type share struct {
	taken chan struct{}
	here  int // who have a turn or wait for one
}

func newTurns(what string, all, own, waiting int) *turns {
	return &turns{what: what, share: own, waiting: waiting, all: make(chan struct{}, all), own: map[custody.PrincipalID]*share{}}
}

// enter waits for a turn, and returns what ends it. It fails with guard.ErrTooMany
// when too many of the same person wait.
func (t *turns) enter(ctx context.Context, p custody.PrincipalID) (leave func(), err error) {
	s, err := t.join(p)
	if err != nil {
		return nil, err
	}
	for n, place := range []chan struct{}{s.taken, t.all} {
		select {
		case place <- struct{}{}:
		case <-ctx.Done():
			if n > 0 {
				<-s.taken
			}
			t.part(p, s)
			return nil, ctx.Err()
		}
	}
	return func() {
		<-t.all
		<-s.taken
		t.part(p, s)
	}, nil
}

func (t *turns) join(p custody.PrincipalID) (*share, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.own[p]
	if s == nil {
		s = &share{taken: make(chan struct{}, t.share)}
		t.own[p] = s
	}
	if s.here == t.share+t.waiting {
		return nil, fmt.Errorf("%w: %d of your %s are under way or wait for their turn; try again", guard.ErrTooMany, s.here, t.what)
	}
	s.here++
	return s, nil
}

func (t *turns) part(p custody.PrincipalID, s *share) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.here--; s.here == 0 {
		delete(t.own, p)
	}
}
