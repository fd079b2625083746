package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/stamp"
	"github.com/forensic-custody/custody/ledger/monitor"
)

// stamped is a stamp of the log, as JSON says it.
type stamped struct {
	Size       uint64                    `json:"size"`
	Time       custody.Time              `json:"time"` // the authority's
	AccuracyMs int64                     `json:"accuracyMs"`
	Authority  string                    `json:"authority"`
	Kind       custody.TimeAuthorityKind `json:"kind"`     // as the trust file has it; else as the service says
	Verified   bool                      `json:"verified"` // by an authority of the trust file
	Problem    string                    `json:"problem,omitempty"`
	unknown    bool                      // the trust file does not name the authority
}

// gap is a time in which the log grew, and for longer than the interval nothing
// shows when.
type gap struct {
	First uint64       `json:"first"` // of the records that came in it, by their place in the log
	Last  uint64       `json:"last"`
	From  custody.Time `json:"from"`
	To    custody.Time `json:"to"`
}

// asked is an authority that the service asks, by its own word.
type asked struct {
	Name    string                    `json:"name"`
	Kind    custody.TimeAuthorityKind `json:"kind"` // as the operator says
	Minutes int                       `json:"minutes"`
	Next    custody.Time              `json:"nextDue,omitzero"` // when the next stamp is due; none while the log does not grow
}

// stampReport is what custody log stamps found.
type stampReport struct {
	Asked     []asked   `json:"asked"`
	Size      uint64    `json:"size"` // of the log now
	Stamps    []stamped `json:"stamps"`
	Within    int       `json:"withinSeconds"` // the interval that gaps are measured by; 0 when nobody is asked
	Gaps      []gap     `json:"gaps"`
	Unstamped uint64    `json:"unstamped"` // records that no believed stamp covers yet
}

func (a *app) logStamps() *cobra.Command {
	var trustPath, log string
	var within time.Duration
	c := &cobra.Command{
		Use: "stamps [--trust trust.json] [--log ADDRESS]", Short: "List and verify the time stamps on a log, and when it had none", Args: exactly(0),
		Long: `Reads the stamps of time-stamping authorities (RFC 3161) that a log serves, and
verifies each by the trust file: that the log signed what is stamped, and that the
stamp is by an authority which the file names. A stamp shows that all records below
its size existed by its time. What authorities say that the file does not name is
listed, and not believed.

A gap is a time, longer than the interval in which the service has the log stamped
(or --within), in which records came to the log and nothing shows when; what came in
it existed by its end. Stamps of the operator's own clock end no gap, unless there is
nothing else. Whom the service asks, how often, and when the next stamp is due is its
own word: an authority is asked when the log has grown. That the log goes on from what was stamped, custody log monitor tells.

Exit code 1 when a stamp by an authority of the trust file does not verify.`,
		Example: `  custody log stamps
  custody log stamps --trust trust.json --log https://custody.example/log/ --within 2h`,
		RunE: func(c *cobra.Command, _ []string) error {
			trust, err := a.trustIn(trustPath)
			if err != nil {
				return err
			}
			if log == "" {
				p, err := a.readProfile()
				if err != nil {
					return err
				}
				log = strings.TrimSuffix(p.Server, "/") + "/log/"
			}
			read, err := sourceOf(log)
			if err != nil {
				return err
			}
			source := func(ctx context.Context, path string) ([]byte, error) {
				b, err := read(ctx, path)
				if err != nil {
					err = fmt.Errorf("%w: %w", monitor.ErrUnreachable, err)
				}
				return b, err
			}
			r, err := readStamps(c.Context(), trust, source, within)
			if err != nil {
				return unreached(err)
			}
			if err := a.answer(r, r.text()); err != nil {
				return err
			}
			for _, s := range r.Stamps {
				if !s.Verified && !s.unknown {
					return failure{exitRefused}
				}
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&trustPath, "trust", "", "trust file (default: the one that is used here)")
	f.StringVar(&log, "log", "", "where the log is served, with the path of its tiles (…/log/), or the folder of a mirror (default: of the service that is used here)")
	f.DurationVar(&within, "within", 0, "the longest time that is no gap (default: as often as the service says that it asks)")
	return c
}

// readStamps reads the stamps of a log and verifies them.
func readStamps(ctx context.Context, trust *custody.Trust, log monitor.Source, within time.Duration) (*stampReport, error) {
	signed, err := log(ctx, "checkpoint")
	if err != nil {
		return nil, err
	}
	now, err := trust.OpenCheckpoint(signed)
	if err != nil {
		return nil, refusedf("%w", err)
	}
	r := &stampReport{Asked: []asked{}, Size: now.Size, Stamps: []stamped{}, Gaps: []gap{}}
	roots := map[uint64]custody.Digest{now.Size: now.Root}
	for from := uint64(0); ; {
		b, err := log(ctx, fmt.Sprintf("stamps/from/%d", from))
		if err != nil {
			return nil, err
		}
		var page api.StampList
		if err := json.Unmarshal(bytes.TrimSpace(b), &page); err != nil {
			return nil, fmt.Errorf("the log's list of stamps is not to be read: %w", err)
		}
		if within == 0 {
			within = interval(page.Authorities)
		}
		last := from
		for _, l := range page.Stamps {
			if l.Size > now.Size { // stamped since, or a list without end
				page.More = false
				break
			}
			if l.Size < last {
				return nil, fmt.Errorf("the log's list of stamps is not in order of size")
			}
			last = l.Size
			s, err := readStamp(ctx, trust, log, l, roots)
			if err != nil {
				return nil, err
			}
			r.Stamps = append(r.Stamps, s)
		}
		if !page.More || len(page.Stamps) == 0 {
			r.due(page.Authorities)
			break
		}
		from = last + 1
	}
	r.Within = int(within.Seconds())
	r.findGaps(within)
	return r, nil
}

// due finds out when each authority that is asked has its next stamp to give, by the
// newest that there is of it.
func (r *stampReport) due(authorities []api.StampAuthority) {
	for _, a := range authorities {
		on := asked{Name: a.Name, Kind: a.Kind, Minutes: a.Minutes}
		var size uint64
		for _, s := range r.Stamps {
			if s.Authority == a.Name && s.Time > on.Next {
				on.Next, size = s.Time, s.Size
			}
		}
		switch {
		case on.Next == 0 || size >= r.Size:
			on.Next = 0
		default:
			on.Next = on.Next.Add(time.Duration(a.Minutes) * time.Minute)
		}
		r.Asked = append(r.Asked, on)
	}
}

// text says it in a line. The names are what the log likes.
func (a asked) text() string {
	next := "next when the log has grown"
	if a.Next != 0 {
		next = "next due " + a.Next.String()
	}
	return fmt.Sprintf("asked: %s (%s), once in %d minutes when the log has grown; %s\n", oneLine(a.Name), oneLine(a.Kind.String()), a.Minutes, next)
}

// oneLine is a text of somebody else's, which begins no line of its own.
func oneLine(s string) string { return strings.Trim(strconv.Quote(s), `"`) }

// interval is how often the log is stamped by somebody else, or by the operator's own
// clock where nobody else is asked.
func interval(asked []api.StampAuthority) (shortest time.Duration) {
	for _, own := range []bool{false, true} {
		for _, a := range asked {
			if every := time.Duration(a.Minutes) * time.Minute; (a.Kind == custody.LocalAuthority) == own && (shortest == 0 || every < shortest) {
				shortest = every
			}
		}
		if shortest > 0 {
			break
		}
	}
	return shortest
}

// readStamp reads one stamp and verifies it. roots are those that the log signed, by
// size.
func readStamp(ctx context.Context, trust *custody.Trust, log monitor.Source, l api.ListedStamp, roots map[uint64]custody.Digest) (stamped, error) {
	s := stamped{Size: l.Size, Time: l.Time, Authority: l.Authority, Kind: l.Kind}
	at := slices.IndexFunc(trust.Authorities, func(a custody.TimeAuthority) bool { return a.Name == l.Authority })
	if at < 0 {
		s.unknown, s.Problem = true, "by an authority that your trust file does not name"
		return s, nil
	}
	s.Kind = trust.Authorities[at].Kind
	signed, err := log(ctx, fmt.Sprintf("stamps/%d/checkpoint", l.Size))
	if err != nil {
		return s, err
	}
	token, err := log(ctx, fmt.Sprintf("stamps/%d/%s.tst", l.Size, l.Name))
	if err != nil {
		return s, err
	}
	point, err := trust.OpenCheckpoint(signed)
	if err != nil {
		s.Problem = err.Error()
		return s, nil
	}
	root, seen := roots[point.Size]
	roots[point.Size] = point.Root
	said, err := stamp.Verify(token, signed, trust.Authorities[at])
	switch {
	case err != nil:
		s.Problem = err.Error()
	case point.Size != l.Size:
		s.Problem = fmt.Sprintf("it is of size %d", point.Size)
	case seen && root != point.Root:
		s.Problem = "the log signed another root of this size: it showed two histories"
	case said.Time != l.Time:
		s.Problem = fmt.Sprintf("the list says that its time is %s", l.Time)
		s.Time = said.Time
	default:
		s.Verified, s.AccuracyMs = true, said.Accuracy.Milliseconds()
	}
	return s, nil
}

// stampsLate is what a gap is longer than the interval at least: authorities are asked
// some time after it is over, and their clocks differ.
const stampsLate = 5 * time.Minute

// findGaps finds the gaps between the stamps that are believed, and what none covers.
func (r *stampReport) findGaps(within time.Duration) {
	believed := slices.DeleteFunc(slices.Clone(r.Stamps), func(s stamped) bool { return !s.Verified })
	if slices.ContainsFunc(believed, func(s stamped) bool { return s.Kind != custody.LocalAuthority }) {
		believed = slices.DeleteFunc(believed, func(s stamped) bool { return s.Kind == custody.LocalAuthority })
	}
	slices.SortStableFunc(believed, func(a, b stamped) int { return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Size, b.Size)) })
	r.Unstamped = r.Size
	var before *stamped // the earliest stamp of the largest size so far
	for i := range believed {
		s := &believed[i]
		if before != nil && s.Size > before.Size && s.Time > before.Time.Add(within+stampsLate) && within > 0 {
			r.Gaps = append(r.Gaps, gap{First: before.Size, Last: s.Size - 1, From: before.Time, To: s.Time})
		}
		if before == nil || s.Size >= before.Size {
			before = s
		}
		r.Unstamped = min(r.Unstamped, r.Size-min(s.Size, r.Size))
	}
}

// text is the report for people.
func (r *stampReport) text() string {
	var b strings.Builder
	for _, s := range r.Stamps {
		switch {
		case s.Verified:
			fmt.Fprintf(&b, "size %-8d existed by %s", s.Size, s.Time)
			if s.AccuracyMs > 0 {
				fmt.Fprintf(&b, " ± %s", time.Duration(s.AccuracyMs)*time.Millisecond)
			}
			fmt.Fprintf(&b, "  %s (%s)\n", s.Authority, s.Kind)
		case s.unknown:
			fmt.Fprintf(&b, "size %-8d NOT BELIEVED: %s says %s: %s\n", s.Size, oneLine(s.Authority), s.Time, s.Problem)
		default:
			fmt.Fprintf(&b, "size %-8d DOES NOT VERIFY: %s\n", s.Size, s.Problem)
		}
	}
	for _, g := range r.Gaps {
		fmt.Fprintf(&b, "GAP: the records %d to %d came between %s and %s, %s later: more than %s\n", g.First, g.Last, g.From, g.To,
			g.To.Time().Sub(g.From.Time()).Round(time.Second), time.Duration(r.Within)*time.Second)
	}
	for _, a := range r.Asked {
		b.WriteString(a.text())
	}
	if r.Unstamped > 0 {
		fmt.Fprintf(&b, "%d of the log's %d records are not stamped yet\n", r.Unstamped, r.Size)
	} else {
		fmt.Fprintf(&b, "all %d records of the log are stamped\n", r.Size)
	}
	return b.String()
}
