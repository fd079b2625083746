package custody

import (
	"fmt"
	"time"
)

// Time is an instant in microseconds since 1970-01-01T00:00:00Z. Its text form
// is RFC 3339 in UTC with six decimals, 2026-11-23T21:05:00.000000Z, and
// nothing else parses.
type Time int64

const timeLayout = "2006-01-02T15:04:05.000000Z"

// TimeOf returns t, rounded down to a microsecond.
func TimeOf(t time.Time) Time { return Time(t.UnixMicro()) }

// Time returns the instant in UTC.
func (t Time) Time() time.Time { return time.UnixMicro(int64(t)).UTC() }

// Add returns t + d.
func (t Time) Add(d time.Duration) Time { return t + Time(d.Microseconds()) }

// String returns the text form.
func (t Time) String() string { return t.Time().Format(timeLayout) }

// MarshalText implements encoding.TextMarshaler.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Time) UnmarshalText(b []byte) error {
	v, err := time.Parse(timeLayout, string(b))
	if err != nil || v.Format(timeLayout) != string(b) {
		return fmt.Errorf("time %.60q is not of the form %s", b, timeLayout)
	}
	*t = TimeOf(v)
	return nil
}
