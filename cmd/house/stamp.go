package house

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/stamp"
	"github.com/forensic-custody/custody/ledger/authority"
	"github.com/forensic-custody/custody/storage/archive"
	"github.com/forensic-custody/custody/storage/sql"
)

// How often the service looks for what is to be stamped, and how long it rests
// after an authority failed: at first, then twice as long each time.
const (
	stampEvery        = 2 * time.Second
	firstStampPause   = 5 * time.Second
	longestStampPause = 5 * time.Minute
)

// driftAtMost is by how much the service's clock may differ from an authority's,
// beyond what the authority says of its accuracy.
const driftAtMost = time.Minute

// stamping has the log stamped by the authorities of the configuration.
type stamping struct {
	list []*stamper
}

// stamper has the log stamped by one authority.
type stamper struct {
	authority.Authority
	trusted custody.TimeAuthority
	every   time.Duration

	mu       sync.Mutex
	size     uint64        // of the log at the newest stamp
	at       time.Time     // when that was made, by the service's clock; zero when there is none
	grown    time.Time     // since when the log is larger; zero when it is not
	failing  time.Time     // since when it fails; zero when it does not
	err      error         // of the last try
	again    time.Time     // not to be tried before
	pause    time.Duration // after the next failure
	drift    time.Duration // by which its time was ahead, at the newest stamp of this run
	drifting bool          // by too much
	fresh    bool          // it stamped in this run: before, nobody knows whether it is back
}

// openStamping makes the authorities of the configuration, and finds what they stamped
// last.
func (h *House) openStamping(ctx context.Context, rows *sql.Store) error {
	h.stamping = &stamping{}
	for _, c := range h.Config.Authorities {
		s := &stamper{every: c.every()}
		var err error
		if s.trusted, err = c.trusted(h.dir); err != nil {
			return err
		}
		if s.Authority, err = h.openAuthority(c, s.trusted); err != nil {
			return fmt.Errorf("authority %s: %w", c.Name, err)
		}
		h.closing(s.Close)
		last, err := rows.LastStamp(ctx, c.Name, 1<<62)
		if err == nil {
			s.size, s.at = last.Size, last.Time.Time()
			if now := h.now(); s.at.After(now) { // its clock was ahead
				s.at = now
			}
		} else if !errors.Is(err, custody.ErrUnknown) {
			return err
		}
		h.stamping.list = append(h.stamping.list, s)
	}
	h.registry.MustRegister(&stampMetrics{h})
	return nil
}

// trusted says who an authority of the configuration is to a verifier.
func (c Authority) trusted(dir string) (custody.TimeAuthority, error) {
	path := c.Certificates
	if c.URL == "" {
		path = clockCertificate
	}
	b, err := os.ReadFile(under(dir, path))
	if c.URL == "" && errors.Is(err, os.ErrNotExist) {
		err = errors.New("the service has no key of its own for time stamps: custody init makes one, when it is told of such an authority")
	}
	if err != nil {
		return custody.TimeAuthority{}, fmt.Errorf("authority %s: %w", c.Name, err)
	}
	t := custody.TimeAuthority{Kind: c.Kind, Name: c.Name}
	if t.Certificates, err = custody.NormalCertificates(b); err != nil {
		return t, fmt.Errorf("authority %s: %s: %w", c.Name, path, err)
	}
	return t, t.Check()
}

// trustedAuthorities says who the authorities of the configuration are.
func (h *House) trustedAuthorities(dir string) (list []custody.TimeAuthority, err error) {
	for _, c := range h.Config.Authorities {
		t, err := c.trusted(dir)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, nil
}

// knownAuthorities are the names of those that the configuration or the service's trust
// file has.
func (h *House) knownAuthorities() map[string]bool {
	known := map[string]bool{}
	for _, a := range h.Config.Authorities {
		known[a.Name] = true
	}
	for _, a := range h.Trust.Authorities {
		known[a.Name] = true
	}
	return known
}

// openAuthority makes what asks an authority, or is it.
func (h *House) openAuthority(c Authority, trusted custody.TimeAuthority) (authority.Authority, error) {
	if c.URL != "" {
		return authority.Remote(trusted, c.URL), nil
	}
	key, err := readSecret(filepath.Join(h.dir, clockKey))
	if err != nil {
		return nil, err
	}
	return authority.OpenClock(trusted, key, h.now)
}

// makeClock makes key and certificate of the service's own authority.
func makeClock(dir, origin string, now time.Time) error {
	certificate, key, err := authority.NewClock(origin, now)
	if err != nil {
		return err
	}
	return errors.Join(writeNew(filepath.Join(dir, clockKey), key), writeNew(filepath.Join(dir, clockCertificate), certificate))
}

// stampLoop has the log stamped. Authorities wait for none of each other.
func (h *House) stampLoop(ctx context.Context) {
	var all sync.WaitGroup
	for _, s := range h.stamping.list {
		all.Go(func() {
			every(ctx, stampEvery, func() { h.stampDue(ctx, s) })
		})
	}
	all.Wait()
}

// stampDue has the log's checkpoint stamped by one authority when it is due, and puts
// on record what changed about the authority.
func (h *House) stampDue(ctx context.Context, s *stamper) {
	if signed, due := s.due(h.log.Checkpoint(), h.now()); due {
		s.ended(ctx, h, h.stampOnce(ctx, s, signed))
	}
	h.notYet(ctx, "what changed about a time-stamping authority could not be put on record yet", h.notice(ctx, s))
}

// due says whether a checkpoint is to be stamped now.
func (s *stamper) due(signed []byte, now time.Time) ([]byte, bool) {
	point, err := custody.CheckpointBody(signed)
	if err != nil {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.at.IsZero() && point.Size <= s.size {
		return nil, false
	}
	if s.grown.IsZero() {
		s.grown = now
	}
	rested := s.at.IsZero() || !now.Before(s.at.Add(s.every)) || now.Before(s.at) // or the clock was set back
	return signed, rested && !now.Before(s.again)
}

// stampOnce has a checkpoint stamped, and keeps the stamp.
func (h *House) stampOnce(ctx context.Context, s *stamper, signed []byte) error {
	asked := h.now()
	token, said, err := s.Stamp(ctx, signed)
	if err != nil {
		return err
	}
	got := h.now()
	kept, err := h.archive.KeepStamp(ctx, archive.Stamp{Authority: s.Name(), Checkpoint: string(signed), Kind: s.trusted.Kind, Token: token})
	if err != nil {
		return err
	}
	if err := h.keepStamp(ctx, h.rows, kept, s.trusted); err != nil {
		return err
	}
	s.stamped(said, asked, got)
	return nil
}

// keepStamp puts an archived stamp of a known authority into the database.
func (h *House) keepStamp(ctx context.Context, rows *sql.Store, a archive.Stamp, by custody.TimeAuthority) error {
	said, err := stamp.Verify(a.Token, []byte(a.Checkpoint), by)
	if err != nil {
		return err
	}
	return rows.AddStamp(ctx, sql.Stamp{
		Size: said.Size, Authority: a.Authority, Kind: a.Kind, Time: said.Time, Checkpoint: []byte(a.Checkpoint), Token: a.Token,
	})
}

// stamped notes a stamp, for which the authority was asked between two times of the
// service's clock.
func (s *stamper) stamped(said *stamp.Stamp, asked, got time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size, s.at, s.grown, s.fresh = said.Size, got, time.Time{}, true
	s.drift = 0
	switch at := said.Time.Time(); {
	case at.After(got):
		s.drift = at.Sub(got)
	case at.Before(asked):
		s.drift = at.Sub(asked)
	}
	s.drifting = s.drift.Abs() > driftAtMost+said.Accuracy
}

// ended notes how a try ended, and says so when that is news.
func (s *stamper) ended(ctx context.Context, h *House, err error) {
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := h.now()
	if err == nil {
		if !s.failing.IsZero() {
			h.logger.InfoContext(ctx, "the time-stamping authority stamps the log again", "authority", s.Name(), "since", s.failing, "size", s.size)
		}
		s.failing, s.err, s.again, s.pause = time.Time{}, nil, time.Time{}, 0
		return
	}
	if s.failing.IsZero() {
		s.failing = now
		h.logger.WarnContext(ctx, "the time-stamping authority does not stamp the log; the service goes on, and tries again", "authority", s.Name(), "error", err)
	}
	s.err, s.pause = err, min(max(2*s.pause, firstStampPause), longestStampPause)
	s.again = now.Add(s.pause)
}

// standing says how the service stands with the authority: in the words of a notice.
func (s *stamper) standing(now time.Time) custody.NoticeTime {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := custody.NoticeTime{Authority: s.Name(), State: custody.TimeBack, Since: custody.TimeOf(now)}
	switch {
	case !s.failing.IsZero() && now.Sub(s.failing) >= s.every:
		n.State, n.Since = custody.TimeLost, custody.TimeOf(s.failing)
	case s.drifting:
		n.State, n.Since, n.DriftMs = custody.TimeDrift, custody.TimeOf(s.at), s.drift.Milliseconds()
	case !s.failing.IsZero() || !s.fresh:
		n.State = "" // not to be told yet
	}
	return n
}

// notice puts on record that the service stands otherwise with an authority than it
// did, where the policy in force lets the service say so.
func (h *House) notice(ctx context.Context, s *stamper) error {
	is := s.standing(h.now())
	if is.State == "" {
		return nil
	}
	was, err := h.guard.TimeNotice(ctx, s.Name())
	if err != nil || was.State == is.State {
		return err
	}
	may, err := h.guard.ServiceMay(ctx, custody.KindNoticeTime, custody.Resource{Type: "Custody", ID: h.Config.Origin})
	if err != nil || !may || h.guard.Ready() != nil {
		return err
	}
	if _, err := h.guard.Attest(ctx, "", &is); err != nil {
		return err
	}
	if is.State == custody.TimeDrift {
		h.logger.ErrorContext(ctx, "THE SERVICE'S CLOCK AND A TIME-STAMPING AUTHORITY DISAGREE: set the clock right, or ask the authority", "authority", s.Name(), "the authority's time is ahead by", s.drift.String())
	} else {
		h.logger.InfoContext(ctx, "on record: "+is.String())
	}
	return nil
}

// stampMetrics are what is known of the authorities, as Prometheus asks for it.
type stampMetrics struct{ h *House }

var (
	stampAge = prometheus.NewDesc("custody_timestamp_age_seconds",
		"For how long the log has had records that the authority has not stamped; 0 when all are stamped. Alarm when above twice the interval.", []string{"authority"}, nil)
	stampFailing = prometheus.NewDesc("custody_timestamp_failing", "1 when the authority did not stamp the log when it was last asked.", []string{"authority"}, nil)
	stampDrift   = prometheus.NewDesc("custody_timestamp_drift_seconds", "By how much the authority's time was ahead of the service's clock at the newest stamp of this run.", []string{"authority"}, nil)
	stampAlarm   = prometheus.NewDesc("custody_timestamp_drifting", "1 when that is more than is allowed: one of the clocks is wrong. Alarm when above 0.", []string{"authority"}, nil)
)

// Describe implements prometheus.Collector.
func (m *stampMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{stampAge, stampFailing, stampDrift, stampAlarm} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m *stampMetrics) Collect(to chan<- prometheus.Metric) {
	now := m.h.now()
	for _, s := range m.h.stamping.list {
		s.mu.Lock()
		age := 0.0
		if !s.grown.IsZero() {
			age = now.Sub(s.grown).Seconds()
		}
		for d, v := range map[*prometheus.Desc]float64{
			stampAge: age, stampFailing: count(!s.failing.IsZero()), stampDrift: s.drift.Seconds(), stampAlarm: count(s.drifting),
		} {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, s.Name())
		}
		s.mu.Unlock()
	}
}

func count(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
