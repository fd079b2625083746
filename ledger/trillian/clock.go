package trillian

import (
	"sync"
	"time"

	"github.com/google/trillian/util/clock"
)

// steady is a clock for Trillian that never goes back and never stands still:
// Trillian refuses to integrate when its clock is behind its last head. What
// the log's clock must be is for the log to say; these times prove nothing.
type steady struct {
	now func() time.Time

	mu   sync.Mutex
	last time.Time
}

// Now implements clock.TimeSource.
func (s *steady) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = s.last.Add(time.Nanosecond)
	if t := s.now().Round(0); t.After(s.last) {
		s.last = t
	}
	return s.last
}

// NewTimer implements clock.TimeSource.
func (s *steady) NewTimer(d time.Duration) clock.Timer { return clock.System.NewTimer(d) }
