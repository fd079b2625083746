package house

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/storage/intake"
)

// How often the service looks for what is to be done: for what was just sealed,
// and for what is due, asked for or ordered.
const (
	checkEvery = 2 * time.Second
	keepEvery  = 2 * time.Second
)

// defaultFixity is within how many days everything is read back.
const defaultFixity = 7

// keeping are the figures of how evidence is kept.
type keeping struct {
	checks  *prometheus.CounterVec
	damaged prometheus.Gauge
	overdue prometheus.Gauge
	oldest  prometheus.Gauge
}

func newKeeping(r *prometheus.Registry) *keeping {
	k := &keeping{
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "custody_fixity_checks_total", Help: "Artifacts that were read back, by what was found.",
		}, []string{"found"}),
		damaged: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "custody_evidence_damaged", Help: "Items whose stored bytes are not those that were sealed. Alarm when above 0.",
		}),
		overdue: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "custody_fixity_overdue", Help: "Items that were not read back within the time that is configured. Alarm when it stays above 0.",
		}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "custody_fixity_oldest_seconds", Help: "Age of the oldest last check.",
		}),
	}
	r.MustRegister(k.checks, k.damaged, k.overdue, k.oldest)
	return k
}

// checkLoop reads back what was sealed, and puts on record what it found.
func (h *House) checkLoop(ctx context.Context) {
	every(ctx, checkEvery, func() {
		if err := h.intake.Check(ctx, h.sealed, h.found("read back after sealing")); err != nil && ctx.Err() == nil {
			h.logger.WarnContext(ctx, "sealed evidence could not be checked yet", "error", err)
		}
	})
}

// keepLoop does what is due: checks that were asked for or whose time has come,
// and disposals that two people ordered.
func (h *House) keepLoop(ctx context.Context) {
	every(ctx, keepEvery, func() {
		if err := h.keep(ctx); err != nil && ctx.Err() == nil {
			h.logger.WarnContext(ctx, "what is due for evidence could not be done yet", "error", err)
		}
		if err := h.discardWithdrawn(ctx); err != nil && ctx.Err() == nil {
			h.logger.WarnContext(ctx, "what arrived of withdrawn items could not be discarded yet", "error", err)
		}
	})
}

func every(ctx context.Context, pause time.Duration, do func()) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// kept is what the keeper needs to know of a sealed item.
type kept struct {
	id       custody.EvidenceID
	incident custody.IncidentID
	artifact custody.Artifact
	disposal custody.Disposal
	shredded bool // it is ordered that the keys of its incident be destroyed
	holds    int
	until    time.Time // end of its retention
	checked  time.Time // when it was last read back, or sealed
	first    bool      // it was never read back: that is checkLoop's to do
	asked    bool
	damaged  bool
	thing    bool // it has no bytes
}

// survey lists the sealed items.
func (h *House) survey(ctx context.Context) (list []kept, err error) {
	err = h.guard.Survey(ctx, func(v custody.View) error {
		state, err := v.State(custody.IncidentsStream)
		if err != nil {
			return err
		}
		incidents, ok := state.(*investigate.Incidents)
		if !ok {
			return fmt.Errorf("%s: folded as %T", custody.IncidentsStream, state)
		}
		for _, opened := range incidents.Opened {
			state, err := v.State(opened.ID.Stream())
			if err != nil {
				return err
			}
			i, ok := state.(*investigate.Incident)
			if !ok {
				return fmt.Errorf("%s: folded as %T", opened.ID.Stream(), state)
			}
			for _, id := range i.Items() {
				item, err := custody.ItemIn(v, opened.ID, id)
				if err != nil {
					return err
				}
				if !item.Sealed {
					continue
				}
				until, err := custody.KeptUntil(v, item)
				if err != nil {
					return err
				}
				list = append(list, kept{
					id: id, incident: opened.ID, artifact: item.Artifact, disposal: item.Disposal, shredded: item.Shredding.Approved(), holds: len(item.Holds),
					until: until.Time(), checked: max(item.CheckedAt, item.SealedAt).Time(), first: item.CheckedAt == 0,
					asked: item.CheckAsked, damaged: item.Damaged, thing: item.Begun.Type == custody.TypePhysical,
				})
			}
		}
		return nil
	})
	return list, err
}

// keep goes through all items once.
func (h *House) keep(ctx context.Context) error {
	if err := h.shredOrdered(ctx); err != nil {
		return err
	}
	list, err := h.survey(ctx)
	if err != nil {
		return err
	}
	now, damaged, overdue := time.Now(), 0, 0
	oldest := now
	var failed []error
	for _, k := range list {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if k.damaged && !k.disposal.Done {
			damaged++
		}
		if err := h.keepOne(ctx, k, list, now); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", k.id, err))
		}
		if !k.thing && !k.disposal.Approved() && !k.shredded {
			if now.Sub(k.checked) > h.fixity() {
				overdue++
			}
			if k.checked.Before(oldest) {
				oldest = k.checked
			}
		}
	}
	h.keeping.damaged.Set(float64(damaged))
	h.keeping.overdue.Set(float64(overdue))
	h.keeping.oldest.Set(now.Sub(oldest).Seconds())
	return errors.Join(failed...)
}

// fixity is the time within which everything is read back.
func (h *House) fixity() time.Duration {
	days := h.Config.Fixity
	if days == 0 {
		days = defaultFixity
	}
	return time.Duration(days) * 24 * time.Hour
}

// early is the share of that time after which an item is read back, so that it
// is done when the time is over.
const early = 0.8

func (h *House) keepOne(ctx context.Context, k kept, all []kept, now time.Time) error {
	switch {
	case k.disposal.Done, k.shredded:
		return nil
	case k.disposal.Approved():
		return h.dispose(ctx, k)
	case k.thing:
		return nil
	}
	if err := h.protect(ctx, k, all); isLost(err) && !k.damaged {
		k.asked = true // what is missing is to be on record
	} else if err != nil && !isLost(err) {
		return err
	}
	due := now.Sub(k.checked) > time.Duration(early*float64(h.fixity()))
	if h.guard.Ready() == nil && (k.asked || due && !k.first) { // what is found can be put on record
		why := "read back on schedule"
		if k.asked {
			why = "read back because somebody asked"
		}
		return h.readBack(ctx, k, why)
	}
	return nil
}

// readBack reads an artifact and puts on record what was found.
func (h *House) readBack(ctx context.Context, k kept, why string) error {
	c := intake.Checked{Evidence: k.id}
	got, err := h.vault.Check(ctx, k.incident, k.artifact.Root, k.artifact.Size)
	switch {
	case err == nil:
		c.SHA256, c.Intact = got.SHA256, got == k.artifact
	case !isLost(err):
		return err // not known: try again later
	default:
		c.Damage = err
		h.logger.ErrorContext(ctx, "damage found", "evidence", k.id, "error", err)
	}
	return h.found(why)(ctx, c)
}

// sealed tells whether an item's seal is on record, and which artifact it is.
func (h *House) sealed(ctx context.Context, e custody.EvidenceID) (custody.Artifact, bool, error) {
	item, err := h.guard.Item(ctx, e)
	if errors.Is(err, custody.ErrUnknown) {
		return custody.Artifact{}, false, nil
	}
	if err != nil {
		return custody.Artifact{}, false, err
	}
	return item.Artifact, !item.Shredding.Approved(), nil
}

// found returns what puts on record what reading an artifact back has found.
func (h *House) found(why string) func(context.Context, intake.Checked) error {
	return func(ctx context.Context, c intake.Checked) error {
		if state := keysState(c.Damage); state != "" {
			return h.keysLost(ctx, c, why, state)
		}
		said := "intact"
		if !c.Intact {
			said = "damaged"
			h.logger.ErrorContext(ctx, "EVIDENCE DAMAGED", "evidence", c.Evidence)
		}
		_, err := h.guard.Attest(ctx, why, &custody.CheckEvidence{Evidence: c.Evidence, Intact: c.Intact, SHA256: c.SHA256})
		if err == nil {
			h.keeping.checks.WithLabelValues(said).Inc()
		}
		return err
	}
}
