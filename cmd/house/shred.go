package house

import (
	"context"
	"errors"
	"fmt"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/intake"
)

// shredMethod is what the certificates say of how an incident's keys were
// destroyed.
const shredMethod = "cryptographic erase: every wrapped copy of the keys of the incident deleted from the store; its encrypted objects stay there and cannot be read"

// condemned is an incident whose keys two people ordered destroyed.
type condemned struct {
	id    custody.IncidentID
	order custody.Digest
	all   []custody.EvidenceID // that were begun
	open  []custody.EvidenceID // whose own history has yet to say that they are gone
	bytes map[custody.EvidenceID]custody.Digest
	gone  uint64 // whose history says so
}

// shredOrdered destroys keys as two people ordered, and certifies it: first in
// the history of each item, last in the incident's, so that interrupted anywhere
// it goes on. Destroying what is destroyed changes nothing.
func (h *House) shredOrdered(ctx context.Context) error {
	list, err := h.condemned(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, c := range list {
		if err := h.shred(ctx, c); err != nil {
			failed = append(failed, fmt.Errorf("destroy the keys of %s: %w", c.id, err))
		}
	}
	return errors.Join(failed...)
}

func (h *House) shred(ctx context.Context, c *condemned) error {
	if err := h.guard.Ready(); err != nil {
		return err
	}
	if err := h.vault.Shred(ctx, c.id); err != nil {
		return err
	}
	for _, id := range c.all {
		if err := h.intake.Rows.RemoveUpload(ctx, id); err != nil {
			return err
		}
	}
	for _, id := range c.open {
		if _, err := h.guard.Attest(ctx, "", &custody.ShreddedEvidence{
			Evidence: id, Method: shredMethod, Order: c.order, SHA256: c.bytes[id],
		}); err != nil {
			return err
		}
	}
	_, err := h.guard.Attest(ctx, "", &custody.ShreddedIncident{
		Incident: c.id, Items: c.gone + uint64(len(c.open)), Method: shredMethod, Order: c.order,
	})
	return err
}

// condemned lists the incidents whose keys are ordered destroyed, on proven
// record, and not yet certified destroyed.
func (h *House) condemned(ctx context.Context) (list []*condemned, err error) {
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
			c, err := condemnedOf(v, opened.ID)
			if err != nil {
				return err
			}
			if c != nil {
				list = append(list, c)
			}
		}
		return nil
	})
	return list, err
}

// condemnedOf returns nil for an incident whose keys stay, or are gone.
func condemnedOf(v custody.View, id custody.IncidentID) (*condemned, error) {
	state, err := v.State(id.Stream())
	if err != nil {
		return nil, err
	}
	i, ok := state.(custody.Case)
	if !ok {
		return nil, fmt.Errorf("%s: folded as %T", id.Stream(), state)
	}
	d := i.Shredding()
	if !d.Approved() || d.Done {
		return nil, nil
	}
	c := &condemned{id: id, order: d.Order, all: i.Items(), bytes: map[custody.EvidenceID]custody.Digest{}}
	for _, e := range c.all {
		item, err := custody.ItemIn(v, id, e)
		switch {
		case err != nil:
			return nil, err
		case !item.Shredded.IsZero():
			c.gone++
		case item.HasBytes():
			c.open, c.bytes[e] = append(c.open, e), item.Artifact.SHA256
		}
	}
	return c, nil
}

// recognize keeps a service with another storage identity than its own from
// running: it would find all evidence damaged, and say so on record, for ever.
func recognize(ctx context.Context, vault *storage.Vault) error {
	err := vault.Recognize(ctx)
	if errors.Is(err, storage.ErrWrongIdentity) {
		return fmt.Errorf("%s is not the identity that the keys in the bucket are wrapped for, or every file of them is damaged: "+
			"put the right one back, or run custody rewrap with the escrow's; if it is the right one, restore the files of keys, or move the damaged ones away, which puts their loss on record: %w", storageKey, err)
	}
	return err
}

// isLost says whether an error means that an artifact cannot be had, rather than
// that nobody knows.
func isLost(err error) bool {
	return errors.Is(err, storage.ErrDamaged) || errors.Is(err, storage.ErrShredded)
}

// keysState returns how an incident's keys are lost when that is what the error
// means, and otherwise "".
func keysState(err error) string {
	d := new(storage.DamageError)
	switch {
	case errors.Is(err, storage.ErrShredded):
		return custody.KeysDestroyed
	case !errors.Is(err, storage.ErrKeysLost):
		return ""
	case errors.As(err, &d) && errors.Is(d.Reason, storage.ErrNotFound):
		return custody.KeysMissing
	}
	return custody.KeysUnreadable
}

// keysLost puts on record that an item cannot be read for want of its incident's
// keys.
func (h *House) keysLost(ctx context.Context, c intake.Checked, why, state string) error {
	h.logger.ErrorContext(ctx, "KEYS LOST", "evidence", c.Evidence, "state", state, "error", c.Damage)
	_, err := h.guard.Attest(ctx, why, &custody.LoseKeys{Evidence: c.Evidence, State: state})
	if err == nil {
		h.keeping.checks.WithLabelValues("keys lost").Inc()
	}
	return err
}
