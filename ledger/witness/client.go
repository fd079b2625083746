// Package witness asks witnesses to cosign checkpoints, and is one
// (c2sp.org/tlog-witness).
//
// As a client it promises that all witnesses are asked at once and none is waited
// for longer than two seconds, nor at all while it does not answer; that a
// cosignature counts only after it was verified and when its time is about now; and that a
// witness which has seen more of the log than the log has signed, or another log under
// its name, is an error and never overlooked.
//
// As a witness it promises that it cosigns no checkpoint that is not a continuation of all
// that it cosigned before of the same log: what it cosigns is on disk before anybody
// has the cosignature, and of two requests at once that exclude one another one fails.
//
// Begin reading at Client.Cosign and Server.
package witness

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger"
)

// The patience of a client.
const (
	quorumWithin  = 2 * time.Second // how long a checkpoint waits for its quorum
	answerWithin  = 5 * time.Second // how long a request may take
	clocksDiffer  = 5 * time.Minute // by how much a witness's clock may
	firstPause    = time.Second     // after a failure, doubled after each
	longestPause  = time.Minute
	maxAnswer     = 64 << 10
	maxConflicts  = 3 // how often in a row a witness may say that it knows another size
	maxProofLines = 63
)

// prover returns a consistency proof from an earlier size.
type prover = func(ctx context.Context, from uint64) ([]custody.Digest, error)

// Client asks the witnesses of a policy. It implements ledger.Witnesses. Its methods
// may be called at once.
type Client struct {
	log    custody.LogKeys
	http   *http.Client
	now    func() time.Time
	logger *slog.Logger
	spared map[string]bool // names of witnesses that are not asked
	late   chan struct{}
	ctx    context.Context
	stop   context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	policy  *custody.WitnessPolicy
	asked   map[string]*asked // by key
	target  *target
	highest uint64 // the largest size that was ever asked for
	fatal   error
}

var _ ledger.Witnesses = (*Client)(nil)

// target is a checkpoint that is to be cosigned.
type target struct {
	signed []byte
	point  custody.Checkpoint
	prove  prover
	ended  chan struct{} // signalled when a request ended; room for many
	waited bool          // Cosign is waiting for it
}

// asked is what is known of one witness.
type asked struct {
	witness custody.Witness
	busy    bool    // a request is under way
	slow    bool    // the last one took too long: it is not waited for until one does not
	known   bool    // size is what it cosigned last
	size    uint64  // see known
	of      *target // that it cosigned
	line    string  // with which it did
	at      time.Time
	err     error // of the last request
	pause   time.Duration
	resting bool // it will be asked again after a pause
}

// NewClient returns a client for the log with this key. It asks nobody until Adopt. Of
// the witnesses whose names are spared nobody asks, whatever the policy says: the
// way out when one lies. Close ends it.
func NewClient(log custody.LogKeys, now func() time.Time, logger *slog.Logger, spared ...string) *Client {
	c := &Client{
		log: log, now: now, logger: logger, spared: map[string]bool{}, late: make(chan struct{}, 1), asked: map[string]*asked{},
		http: &http.Client{
			Timeout:       answerWithin,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for _, name := range spared {
		c.spared[name] = true
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.policy, _ = custody.ParseWitnessPolicy(custody.NoWitnesses)
	return c
}

// Close ends all requests. The log must have been closed before.
func (c *Client) Close() error {
	c.stop()
	c.done.Wait()
	c.http.CloseIdleConnections()
	return nil
}

// Adopt makes a policy the one by which witnesses are asked. The same again changes
// nothing.
func (c *Client) Adopt(p *custody.WitnessPolicy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.String() == c.policy.String() {
		return
	}
	c.policy = p
	before := c.asked
	c.asked = map[string]*asked{}
	for _, w := range p.Witnesses {
		if c.spared[w.Name] || w.URL == "" {
			continue
		}
		a := before[w.Key]
		if a == nil {
			a = &asked{}
		}
		a.witness = w
		c.asked[w.Key] = a
	}
	c.tell()
}

// tell signals that Cosign would return something else now.
func (c *Client) tell() {
	select {
	case c.late <- struct{}{}:
	default:
	}
}

// Late implements ledger.Witnesses.
func (c *Client) Late() <-chan struct{} { return c.late }

// Cosign implements ledger.Witnesses.
func (c *Client) Cosign(ctx context.Context, signed []byte, prove prover) ([]byte, error) {
	timer := time.NewTimer(quorumWithin)
	defer timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.asked) == 0 {
		return nil, c.fatal
	}
	point, err := custody.OpenCheckpoint(signed, c.log.For(signed))
	if err != nil {
		return nil, err
	}
	t := c.begin(signed, point, prove)
	t.waited = true
	defer func() { t.waited = false }()
	for c.fatal == nil && c.awaited(t) {
		c.mu.Unlock()
		over := false
		select {
		case <-t.ended:
		case <-timer.C:
			over = true
		case <-ctx.Done():
			over = true
		}
		c.mu.Lock()
		if over {
			for _, a := range c.asked {
				a.slow = a.slow || a.busy
			}
			break
		}
	}
	if c.fatal != nil {
		return nil, c.fatal
	}
	return c.lines(t), ctx.Err()
}

// begin makes a checkpoint the target, and asks all witnesses that are idle. The
// caller holds c.mu, as for what follows.
func (c *Client) begin(signed []byte, point custody.Checkpoint, prove prover) *target {
	if c.target == nil || !bytes.Equal(c.target.signed, signed) {
		c.target = &target{signed: signed, point: point, prove: prove, ended: make(chan struct{}, 1)}
		c.highest = max(c.highest, point.Size)
	}
	for _, a := range c.asked {
		c.ask(a)
	}
	return c.target
}

// ask has a witness asked for the target, unless it is or was.
func (c *Client) ask(a *asked) {
	if a.busy || a.of == c.target || c.target == nil || c.fatal != nil || c.ctx.Err() != nil || c.asked[a.witness.Key] != a {
		return
	}
	a.busy = true
	t, w, known, size := c.target, a.witness, a.known, a.size
	c.done.Go(func() {
		ctx, cancel := context.WithTimeout(c.ctx, answerWithin)
		defer cancel()
		got, err := c.request(ctx, w, t, known, size)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.answered(a, t, got, err)
	})
}

// answered notes how a request ended.
func (c *Client) answered(a *asked, t *target, line string, err error) {
	a.busy, a.err = false, err
	switch {
	case errors.Is(err, ledger.ErrRollback), errors.Is(err, ledger.ErrFork):
		c.logger.Error("A WITNESS CONTRADICTS THE LOG", "witness", a.witness.Name, "error", err)
		c.fatal = err
		c.tell()
	case err != nil:
		a.known = false
		a.slow = a.slow || errors.Is(err, context.DeadlineExceeded)
		a.pause = min(max(2*a.pause, firstPause), longestPause)
		c.logger.Warn("witness", "name", a.witness.Name, "error", err, "again", a.pause.String())
		if pause := a.pause; !a.resting {
			a.resting = true
			c.done.Go(func() { c.again(a, pause) })
		}
	default:
		a.of, a.line, a.at = t, line, c.now()
		a.known, a.size, a.slow, a.pause = true, t.point.Size, false, 0
		if t == c.target && !t.waited {
			c.tell()
		}
		c.ask(a) // the target may be another by now
	}
	select {
	case t.ended <- struct{}{}:
	default:
	}
}

// again asks a witness once more after a pause.
func (c *Client) again(a *asked, pause time.Duration) {
	select {
	case <-c.ctx.Done():
	case <-time.After(pause):
		c.mu.Lock()
		defer c.mu.Unlock()
		a.resting = false
		c.ask(a)
	}
}

// awaited says whether waiting can bring about the quorum of a target.
func (c *Client) awaited(t *target) bool {
	pending := false
	for _, a := range c.asked {
		pending = pending || a.busy && !a.slow
	}
	return pending && (!c.policy.Requires() || !c.policy.Met(c.by(t)...))
}

// by returns who cosigned a target.
func (c *Client) by(t *target) (names []string) {
	for _, w := range c.policy.Witnesses {
		if a := c.asked[w.Key]; a != nil && a.of == t {
			names = append(names, w.Name)
		}
	}
	return names
}

// lines returns the cosignatures of a target, in the order of the policy.
func (c *Client) lines(t *target) (b []byte) {
	for _, w := range c.policy.Witnesses {
		if a := c.asked[w.Key]; a != nil && a.of == t {
			b = append(b, a.line...)
		}
	}
	return b
}

// request has one witness cosign a checkpoint, and returns its line.
func (c *Client) request(ctx context.Context, w custody.Witness, t *target, known bool, old uint64) (string, error) {
	if !known {
		old = t.point.Size // a witness that knows less, or more, says so
	}
	for range maxConflicts {
		answer, err := c.post(ctx, w, t, old)
		conflict := conflictError(0)
		if !errors.As(err, &conflict) {
			if err != nil {
				return "", err
			}
			return c.verify(w, t, answer)
		}
		if old = uint64(conflict); old > t.point.Size {
			return "", c.ahead(w, t, old)
		}
	}
	return "", errors.New("it names another size each time that it is asked")
}

// ahead is the error of a witness that has seen more than a checkpoint. Where the
// log itself has signed more since, the witness may have seen that.
func (c *Client) ahead(w custody.Witness, t *target, size uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if size <= c.highest {
		return fmt.Errorf("it is at size %d already, and %d was asked for", size, t.point.Size)
	}
	return fmt.Errorf("%w: witness %s has cosigned this log at size %d, and the last that it signed here is %d; "+
		"was a backup put back, or the key used elsewhere? If the witness is wrong, name it in spareWitnesses of config.json", ledger.ErrRollback, w.Name, size, t.point.Size)
}

// conflictError is the size that a witness knows.
type conflictError uint64

func (c conflictError) Error() string { return fmt.Sprintf("it knows size %d", uint64(c)) }

func (c *Client) post(ctx context.Context, w custody.Witness, t *target, old uint64) ([]byte, error) {
	proof, err := t.prove(ctx, old)
	if err != nil {
		return nil, fmt.Errorf("prove that size %d continues %d: %w", t.point.Size, old, err)
	}
	body := fmt.Appendf(nil, "old %d\n", old)
	for _, h := range proof {
		body = append(base64.StdEncoding.AppendEncode(body, h[:]), '\n')
	}
	body = append(append(body, '\n'), t.signed...)
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL+"/add-checkpoint", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r, err := c.http.Do(q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	switch r.StatusCode {
	case http.StatusOK:
		return answer, nil
	case http.StatusConflict:
		n, err := strconv.ParseUint(strings.TrimSuffix(string(answer), "\n"), 10, 63)
		if err != nil || r.Header.Get("Content-Type") != "text/x.tlog.size" {
			return nil, errors.New("it answered 409 without the size that it knows")
		}
		return nil, conflictError(n)
	case http.StatusUnprocessableEntity:
		return nil, fmt.Errorf("%w: witness %s has cosigned another log than this at size %d; "+
			"if the witness is wrong, name it in spareWitnesses of config.json", ledger.ErrFork, w.Name, old)
	}
	return nil, fmt.Errorf("it answered %s: %.200q", r.Status, answer)
}

// verify returns the line of an answer that is the witness's cosignature. Other lines
// are ignored, as c2sp.org/tlog-witness asks.
func (c *Client) verify(w custody.Witness, t *target, answer []byte) (string, error) {
	p, err := custody.ParseWitnessPolicy("witness " + w.Name + " " + w.Key + "\nquorum " + w.Name + "\n")
	if err != nil {
		return "", err
	}
	err = errors.New("its answer has no line by its key")
	for line := range strings.Lines(string(answer)) {
		got, bad := p.Open(append(bytes.Clone(t.signed), line...), c.log.For(t.signed))
		if bad != nil {
			err = bad
			continue
		}
		if got.Quorum != custody.QuorumMet {
			continue
		}
		if d := c.now().Sub(got.By[0].Time.Time()); d > clocksDiffer || d < -clocksDiffer {
			return "", fmt.Errorf("it says that it is %s, which is %s off: one clock is wrong", got.By[0].Time, d.Round(time.Second))
		}
		return line, nil
	}
	return "", err
}

// State is how it stands with one witness.
type State struct {
	Name string
	Size uint64    // of the last tree that it cosigned here; 0 when it did not yet
	At   time.Time // when
	Err  error     // of the last request; nil when that succeeded
}

// States returns how it stands with the witnesses that are asked.
func (c *Client) States() (list []State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.policy.Witnesses {
		a := c.asked[w.Key]
		if a == nil {
			list = append(list, State{Name: w.Name, Err: errors.New("it is not asked")})
			continue
		}
		s := State{Name: w.Name, At: a.at, Err: a.err}
		if a.of != nil {
			s.Size = a.of.point.Size
		}
		list = append(list, s)
	}
	return list
}
