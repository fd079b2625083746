package guard

import (
	"sync"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// uses keeps, of each ticket that was used, under its token's digest, what is
// under way and what was handed over, until the ticket is closed. A restart
// forgets it, and ends all tickets.
type uses struct {
	mu   sync.Mutex
	held map[custody.Digest]*used
}

type used struct {
	active    int       // uses under way
	last      time.Time // when one began
	sent      uint64    // bytes handed over in all uses that ended
	covered   coverage
	answered  bool // one use handed over all that it was to
	abandoned bool // of one use nobody knows what it handed over
	over      bool // being settled, or settled: no use begins any more
}

// of returns what is known of a ticket. The caller holds u.mu.
func (u *uses) of(token custody.Digest) *used {
	if u.held[token] == nil {
		u.held[token] = &used{}
	}
	return u.held[token]
}

// begin counts a use, before the store is asked whether there is such a
// ticket, so that none begins unseen while the ticket is being settled. It
// returns false when it is.
func (u *uses) begin(token custody.Digest) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	w := u.of(token)
	if w.over {
		return false
	}
	w.active++
	return true
}

// cancel takes back a use that the store did not begin.
func (u *uses) cancel(token custody.Digest) {
	u.mu.Lock()
	defer u.mu.Unlock()
	w := u.of(token)
	w.active--
	if w.active == 0 && w.sent == 0 && !w.answered && !w.abandoned && !w.over {
		delete(u.held, token)
	}
}

// end ends one use. finished says that with it every byte of the stretch was
// handed over and nothing is under way; then no further use begins, and sent is
// how many bytes all uses have handed over.
func (u *uses) end(t Ticket, handed []Range, answered bool) (sent uint64, finished bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	w := u.of(t.Token)
	w.active--
	for _, r := range handed {
		w.sent += r.Length
		w.covered.add(r)
	}
	w.answered = w.answered || answered
	finished = !w.over && w.active == 0 && w.finished(t.Span)
	w.over = w.over || finished
	return w.sent, finished
}

// abandon ends one use of which it is not known what it handed over.
func (u *uses) abandon(token custody.Digest) {
	u.mu.Lock()
	defer u.mu.Unlock()
	w := u.of(token)
	w.active--
	w.abandoned = true
}

// finished says whether every byte of span was handed over, and it is known how
// many were in all. An empty span takes an answer.
func (w *used) finished(span Range) bool {
	return !w.abandoned && w.covered.whole(span) && (w.answered || span.Length > 0)
}

// outcome says what became of a ticket of which no use is under way. Of what
// an earlier run handed over only the store's counts are known, and they prove
// no release finished.
func (u *uses) outcome(t Ticket) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	w := u.of(t.Token)
	switch {
	case t.Begun > t.Ended || w.abandoned:
		return custody.ReleaseUnknown
	case w.finished(t.Span):
		return custody.ReleaseFinished
	case t.Sent == 0:
		return custody.ReleaseWithheld
	case t.Sent >= t.Span.Length && (w.covered.forgot || w.sent != t.Sent):
		return custody.ReleaseUnknown
	default:
		return custody.ReleaseAborted
	}
}

// close lets no further use of a ticket begin.
func (u *uses) close(token custody.Digest) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.of(token).over = true
}

// forget is for a ticket that the store has closed.
func (u *uses) forget(token custody.Digest) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.held, token)
}

// touch says whether a use of a ticket may begin now: it was earned, or another
// use began, less than ticketLife ago, and it was earned less than ticketMost
// ago.
func (u *uses) touch(t Ticket, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	w := u.of(t.Token)
	recent := now.Before(t.Expires) || now.Before(w.last.Add(ticketLife))
	if !recent || !now.Before(t.Expires.Add(ticketMost-ticketLife)) {
		return false
	}
	w.last = now
	return true
}

// busy returns the tickets of which uses are under way or may begin though they
// were earned long ago, by token.
func (u *uses) busy(now time.Time) map[custody.Digest]bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	list := map[custody.Digest]bool{}
	for token, w := range u.held {
		if w.active > 0 || now.Before(w.last.Add(ticketLife)) {
			list[token] = true
		}
	}
	return list
}
