package custody

import (
	"bytes"
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

// AppendText implements encoding.TextAppender.
func (t Time) AppendText(b []byte) ([]byte, error) { return t.Time().AppendFormat(b, timeLayout), nil }

// MarshalText implements encoding.TextMarshaler.
func (t Time) MarshalText() ([]byte, error) { return t.AppendText(nil) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Time) UnmarshalText(b []byte) error {
	var again [len(timeLayout)]byte
	v, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil || !bytes.Equal(v.AppendFormat(again[:0], timeLayout), b) {
		return fmt.Errorf("time %.60q is not of the form %s", string(b), timeLayout)
	}
	*t = TimeOf(v)
	return nil
}
