package api

import "time"

// Pace is a pace, for tests.
type Pace struct{ pace }

// Deadline is pace.deadline.
func (p *Pace) Deadline(sent uint64, n int, now time.Time) time.Time { return p.deadline(sent, n, now) }
