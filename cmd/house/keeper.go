package house

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/storage"
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
	waiting prometheus.Gauge
	lacking prometheus.Gauge
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
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "custody_destruction_waiting", Help: "Items that were ordered destroyed, or withdrawn, and are still stored after five minutes. The log says why.",
		}),
		lacking: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "custody_protection_incomplete", Help: "Items of which a part is missing, so that only the rest is locked or on hold as it should be. Alarm when above 0.",
		}),
	}
	r.MustRegister(k.checks, k.damaged, k.overdue, k.oldest, k.waiting, k.lacking)
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

// protectLoop brings locks and holds about, and keeps the figures. It waits for no
// reading and no destroying.
func (h *House) protectLoop(ctx context.Context) {
	every(ctx, keepEvery, func() {
		if h.store != nil {
			h.store.look(ctx)
		}
		list, err := h.survey(ctx)
		if err == nil {
			h.figures(list)
			err = h.protect(ctx, list)
		}
		h.notYet(ctx, "locks and holds could not be brought about yet", err)
	})
}

// readLoop reads back what somebody asked for, and what is due.
func (h *House) readLoop(ctx context.Context) {
	every(ctx, keepEvery, func() { h.notYet(ctx, "stored evidence could not be read back yet", h.readDue(ctx)) })
}

// disposeLoop destroys what two people ordered destroyed, and what arrived of items
// that were withdrawn.
func (h *House) disposeLoop(ctx context.Context) {
	var shredded, disposed uint64 // up to which change nothing is ordered that is not done
	every(ctx, keepEvery, func() {
		list, now, err := h.surveyed(ctx)
		if err == nil && now != shredded {
			if err = h.shredOrdered(ctx); err == nil {
				shredded = now
			}
		}
		if list != nil && now != disposed {
			switch failed := h.disposeOrdered(ctx, list); {
			case failed == nil:
				disposed = now
			case !errors.Is(failed, errWaits): // which is logged, once for each lock
				err = errors.Join(err, failed)
			}
		}
		err = errors.Join(err, h.discardWithdrawn(ctx))
		h.keeping.waiting.Set(float64(h.pending.late()))
		h.notYet(ctx, "what is to be destroyed could not be yet", err)
	})
}

func (h *House) notYet(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		h.logger.WarnContext(ctx, what, "error", err)
	}
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

// fixity is the time within which everything is read back.
func (h *House) fixity() time.Duration {
	days := h.Config.Fixity
	if days == 0 {
		days = defaultFixity
	}
	return time.Duration(days) * 24 * time.Hour
}

// figures tells in figures how the items are.
func (h *House) figures(list []kept) {
	now, damaged, overdue, lacking := h.now(), 0, 0, 0
	oldest := now
	for _, k := range list {
		if k.damaged && !k.disposal.Done {
			damaged++
		}
		if k.thing || k.gone() {
			continue
		}
		if now.Sub(k.checked) > h.fixity() {
			overdue++
		}
		if lacks, _ := h.guarded.lacking(k, now); lacks {
			lacking++
		}
		if k.checked.Before(oldest) {
			oldest = k.checked
		}
	}
	h.keeping.damaged.Set(float64(damaged))
	h.keeping.overdue.Set(float64(overdue))
	h.keeping.lacking.Set(float64(lacking))
	h.keeping.oldest.Set(now.Sub(oldest).Seconds())
}

// early is the share of that time after which an item is read back, so that it
// is done when the time is over.
const early = 0.8

// readDue reads back what is due, each item once; of what is due then always the
// most urgent.
func (h *House) readDue(ctx context.Context) error {
	tried := map[custody.EvidenceID]bool{}
	var failed []error
	for ctx.Err() == nil && h.guard.Ready() == nil { // what is found can be put on record
		list, err := h.survey(ctx)
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		k, why, any := h.mostUrgent(list, tried)
		if !any {
			break
		}
		tried[k.id] = true
		if err := h.readBack(ctx, k, why); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", k.id, err))
		}
	}
	return errors.Join(failed...)
}

// mostUrgent returns the item to be read back next, and why: one that somebody
// asked for, or found a part of missing; then the one whose last check is the
// longest ago.
func (h *House) mostUrgent(list []kept, tried map[custody.EvidenceID]bool) (next kept, why string, any bool) {
	now := h.now()
	for _, k := range list {
		if k.thing || k.gone() || tried[k.id] {
			continue
		}
		if k.asked {
			return k, "read back because somebody asked", true
		}
		if h.guarded.missing(k.id) && !k.damaged {
			return k, "read back because a part was found missing", true
		}
		if h.guarded.sharing(k) && !k.first {
			return k, "read back because bytes that it shares were found damaged, or put right", true
		}
		due := !k.first && now.Sub(k.checked) > time.Duration(early*float64(h.fixity()))
		if due && (!any || k.checked.Before(next.checked)) {
			next, why, any = k, "read back on schedule", true
		}
	}
	return next, why, any
}

// readBack reads an artifact and puts on record what was found.
func (h *House) readBack(ctx context.Context, k kept, why string) error {
	c := intake.Checked{Evidence: k.id}
	mended, shares := h.guarded.looked(k.id)
	got, err := h.vault.Check(ctx, k.incident, k.artifact.Root, k.artifact.Size)
	switch {
	case err == nil:
		c.SHA256, c.Intact = got.SHA256, got == k.artifact
		h.guarded.found(k.id)
	case !isLost(err):
		if shares {
			h.guarded.shares([]custody.EvidenceID{k.id}, mended)
		}
		return err // not known: try again later
	default:
		c.Damage = err
		if d := new(storage.DamageError); !k.damaged && errors.As(err, &d) {
			if err := h.intake.DamagedAt(ctx, k.incident, k.id, d.Range); err != nil {
				return err
			}
			h.guarded.looked(k.id) // of those that share, this one was read
		}
	}
	return h.found(why)(ctx, c)
}

// damaged has what shares bytes that were found damaged read back soon.
func (h *House) damaged(i custody.IncidentID, sharing []custody.EvidenceID, mended bool) {
	h.logger.Error("stored bytes are damaged", "incident", i, "shared by", sharing, "put right with what was brought", mended)
	h.guarded.shares(sharing, mended)
}

// sealed tells whether an item's seal is on record and it is to be had, and which
// artifact it is.
func (h *House) sealed(ctx context.Context, e custody.EvidenceID) (custody.Artifact, bool, error) {
	item, err := h.guard.Item(ctx, e)
	if errors.Is(err, custody.ErrUnknown) {
		return custody.Artifact{}, false, nil
	}
	if err != nil {
		return custody.Artifact{}, false, err
	}
	return item.Artifact, !ordered(item), nil
}

// ordered says whether two people have ordered that an item's bytes be destroyed.
func ordered(i custody.Item) bool { return i.Disposal.Approved() || i.Shredding.Approved() }

// found returns what puts on record what reading an artifact back has found: no
// damage of what was ordered destroyed meanwhile.
func (h *House) found(why string) func(context.Context, intake.Checked) error {
	return func(ctx context.Context, c intake.Checked) error {
		if gone, err := h.overtaken(ctx, c); gone || err != nil {
			return err
		}
		err := h.attestFound(ctx, c, why)
		if err != nil {
			if gone, failed := h.overtaken(ctx, c); gone && failed == nil {
				return nil // just now
			}
		}
		return err
	}
}

// overtaken says whether what was found is what an order to destroy has brought
// about.
func (h *House) overtaken(ctx context.Context, c intake.Checked) (bool, error) {
	if c.Intact {
		return false, nil
	}
	item, err := h.guard.Item(ctx, c.Evidence)
	if err != nil || !ordered(item) {
		return false, err
	}
	h.logger.InfoContext(ctx, "what was being read back was ordered destroyed", "evidence", c.Evidence)
	return true, nil
}

// attestFound says in a record what was found.
func (h *House) attestFound(ctx context.Context, c intake.Checked, why string) error {
	if state := keysState(c.Damage); state != "" {
		return h.keysLost(ctx, c, why, state)
	}
	said := "intact"
	if !c.Intact {
		said = "damaged"
		h.logger.ErrorContext(ctx, "EVIDENCE DAMAGED", "evidence", c.Evidence, "error", c.Damage)
	}
	_, err := h.guard.Attest(ctx, why, &custody.CheckEvidence{Evidence: c.Evidence, Intact: c.Intact, SHA256: c.SHA256})
	if err == nil {
		h.keeping.checks.WithLabelValues(said).Inc()
	}
	return err
}
