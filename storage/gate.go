package storage

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// ErrBusy says that something of the incident is being removed, and nothing is
// taken into it meanwhile. It is over with the step that is being done: the look
// at what the incident's other items name, and the removal of 4096 objects at
// most. That takes seconds, or minutes in an incident of many TiB: try again. Where
// the step waits for something that is being taken in, as for the seal of many TiB,
// nothing else is for some seconds, and then again for four times as long.
var ErrBusy = errors.New("something of the incident is being destroyed")

// gate is shut while something of an incident is removed, and open for what is
// taken in.
type gate struct {
	remover chan struct{} // held by the one who removes

	mu     sync.Mutex
	taking int           // how many are inside
	shut   bool          // nobody comes in
	idle   chan struct{} // closed when it is shut and nobody is inside
	turned bool          // somebody was turned away since it was shut
}

func (v *Vault) gate(incident custody.IncidentID) *gate {
	v.mu.Lock()
	defer v.mu.Unlock()
	g := v.gates[incident]
	if g == nil {
		g = &gate{remover: make(chan struct{}, 1)}
		v.gates[incident] = g
	}
	return g
}

// Taking is leave to take something into an incident: until End, nothing of the
// incident is removed through this vault. Whoever finds a chunk and then notes
// that he depends on it does both under one Taking, so that Keep sees the note.
type Taking struct {
	vault    *Vault
	incident custody.IncidentID
	gate     *gate
}

// Take returns leave to take something into an incident. It does not wait:
// ErrBusy while something of the incident is being removed.
func (v *Vault) Take(incident custody.IncidentID) (*Taking, error) {
	g := v.gate(incident)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		g.turned = true
		return nil, ErrBusy
	}
	g.taking++
	return &Taking{v, incident, g}, nil
}

// End gives the leave back. It is called once.
func (t *Taking) End() {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	t.gate.taking--
	if t.gate.shut && t.gate.taking == 0 {
		close(t.gate.idle)
	}
}

// Seal is Vault.Seal under this leave.
func (t *Taking) Seal(ctx context.Context, chunks iter.Seq2[Chunk, error], size uint64, root custody.Digest, until time.Time) error {
	return t.vault.sealed(ctx, t.incident, chunks, size, root, until)
}

// For how long the gate is shut at first and at most to wait for those inside, and
// for how many times as long it is open afterwards when they did not come out.
const (
	idleFirst = 100 * time.Millisecond
	idleMost  = 5 * time.Second
	idleAgain = 4
)

// removing shuts an incident's gate and calls do once nobody is inside and
// nobody else removes. While somebody stays inside, it opens the gate for others
// again and again. It returns for how long it was shut in the end, zero when nobody
// was turned away then.
func (v *Vault) removing(ctx context.Context, incident custody.IncidentID, do func() error) (shut time.Duration, err error) {
	g := v.gate(incident)
	select {
	case g.remover <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-g.remover }()
	for wait := idleFirst; ; wait = min(2*wait, idleMost) {
		began := time.Now()
		if g.emptied(ctx, wait) {
			defer func() {
				if g.open() {
					shut = time.Since(began)
				}
			}()
			return 0, do()
		}
		g.open()
		if err := pause(ctx, idleAgain*wait); err != nil {
			return 0, err
		}
	}
}

// emptied shuts the gate and says whether everybody came out in time.
func (g *gate) emptied(ctx context.Context, wait time.Duration) bool {
	enough := time.NewTimer(wait)
	defer enough.Stop()
	select {
	case <-g.close():
		return true
	case <-enough.C:
	case <-ctx.Done():
	}
	return false
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

func (g *gate) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut, g.turned, g.idle = true, false, make(chan struct{})
	if g.taking == 0 {
		close(g.idle)
	}
	return g.idle
}

func (g *gate) open() (turned bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = false
	return g.turned
}

// removingInTurns is removing, after which the gate stays open for as long as it
// was shut if somebody was turned away, so that both come forward.
func (v *Vault) removingInTurns(ctx context.Context, incident custody.IncidentID, do func() error) error {
	shut, err := v.removing(ctx, incident, do)
	if err != nil || shut == 0 {
		return err
	}
	return pause(ctx, shut)
}
