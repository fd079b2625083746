package guard

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/decision"
)

// Config is what a Guard works with.
type Config struct {
	Origin  string             // name of the log, and audience of every statement
	Store   Store              // records and tickets
	Log     Log                // the transparency log
	LogKeys custody.LogKeys    // that it signs with, and has signed with
	Words   custody.Vocabulary // the statements that are understood
	States  custody.States     // the folds of streams
	Service custody.Signer     // the service's own key
	RowKey  [32]byte           // secret of the service: marks the rows of the store as its own
	Rand    io.Reader          // openings, tag keys, tokens
	Now     func() time.Time   // the wall clock

	// Before is done for statements of some kinds after they were found
	// permitted and before that is recorded: the vault looks after the bytes
	// of an evidence.seal. An Unlawful error refuses the statement; any other
	// error stops it without a record.
	Before map[custody.Kind]func(context.Context, *custody.Statement) error

	// Adopted, when not nil, is called with the witness policy in force after a record
	// that may have changed it is proven. It must not wait.
	Adopted func(*custody.WitnessPolicy)

	// Trouble, unless nil, is told what could not be done in the background, each
	// time that it was tried.
	Trouble func(error)

	// EnrolmentCode, when not empty, is the digest of the one-time code that
	// admits the first administrator until CodeExpires.
	EnrolmentCode custody.Digest
	CodeExpires   time.Time
}

// Guard is the reference monitor. Its methods may be called at once.
type Guard struct {
	Config
	judge decision.Judge

	mu     sync.Mutex // held while deciding; orders all decisions
	folds  *folds     // of all records, those not yet proven too
	queue  []*pending // decided, to be committed, in order
	wake   chan struct{}
	flight map[custody.Digest]*pending      // decided and not yet proven
	claims map[custody.Digest]chan struct{} // statements being decided; closed when that ends

	proofs chan []*pending // committed, to be proven, in order
	erase  chan struct{}   // an erasure was ordered, and the order is proven
	rescan bool            // records may be in the store that are not in flight

	reading sync.Mutex // held while folding for readers
	proven  *folds     // of proven records only

	refused *refusals // under mu

	sessions *tokens[Session]
	exports  *tokens[Export]
	uses     *uses

	run     [32]byte // random, different in every run
	stop    context.CancelFunc
	done    sync.WaitGroup
	service custody.PrincipalID
}

// The answers that are no receipt. API and command line tell them apart.
var (
	// ErrMalformed: the statement cannot be read. Nothing is recorded.
	ErrMalformed = errors.New("malformed statement")
	// ErrUnauthenticated: not signed by a live key of the actor, not for this
	// log, or not fresh. Nothing is recorded.
	ErrUnauthenticated = errors.New("not authenticated")
	// ErrTooMany: refused, and the actor was refused so often that it is only
	// counted, for one summary on record, so that no flood of refusals grows
	// the log.
	ErrTooMany = errors.New("too many refusals")
	// ErrErased: the statement was on record, and its record is erased by order. It
	// is not recorded a second time.
	ErrErased = errors.New("this statement was on record, and its record was erased by order of two people; it is not recorded again")
	// ErrUnavailable: the log or the store cannot take a record now. No right
	// is given; the same statement may be sent again.
	ErrUnavailable = errors.New("nothing can be put on record now")
)

// freshness is how far a clock may be ahead of the service's.
const freshness = 30 * time.Second

// Open starts a guard over a store that has its genesis. Records that were
// decided before and not proven are proven now, in the background; open
// tickets are closed with a record of what became of them.
func Open(ctx context.Context, c Config) (*Guard, error) {
	g := newGuard(c)
	st, err := g.policyState(ctx)
	if err != nil {
		return nil, err
	}
	if st.Origin != c.Origin {
		return nil, fmt.Errorf("the records are of log %q, not of %q", st.Origin, c.Origin)
	}
	g.service = st.Service
	p, err := custody.PrincipalOf(g.folds.view(ctx, g.now(), false), st.Service)
	if err != nil {
		return nil, err
	}
	if _, err := p.Key(c.Service.Public().ID()); err != nil {
		return nil, fmt.Errorf("the service's key is not the one on record: %w", err)
	}
	open, err := c.Store.OpenTickets(ctx)
	if err != nil {
		return nil, err
	}
	left := map[custody.Digest]bool{}
	for _, t := range open {
		left[t.Grant] = true
	}
	if _, err := io.ReadFull(c.Rand, g.run[:]); err != nil {
		return nil, err
	}
	g.rescan = true
	g.start(left)
	return g, nil
}

func newGuard(c Config) *Guard {
	g := &Guard{
		Config:   c,
		wake:     make(chan struct{}, 1),
		flight:   map[custody.Digest]*pending{},
		claims:   map[custody.Digest]chan struct{}{},
		refused:  newRefusals(),
		proofs:   make(chan []*pending, 1),
		erase:    make(chan struct{}, 1),
		sessions: newTokens[Session](c.Rand, c.Now),
		exports:  newTokens[Export](c.Rand, c.Now),
		uses:     &uses{held: map[custody.Digest]*used{}},
	}
	g.folds, g.proven = g.newFolds(false), g.newFolds(true)
	return g
}

// pageSize is how many records are read from the store at once.
const pageSize = 512

func (g *Guard) newFolds(proven bool) *folds {
	return &folds{
		source: func(ctx context.Context, s custody.Stream, from uint64) ([]Stored, error) {
			return g.Store.Records(ctx, s, from, pageSize, proven)
		},
		one:      g.at,
		describe: g.Store.Stream,
		genuine:  g.genuine,
		words:    g.Words,
		states:   g.States,
		cache:    map[custody.Stream]*folded{},
	}
}

func (g *Guard) start(left map[custody.Digest]bool) {
	ctx, stop := context.WithCancel(context.Background())
	g.stop = stop
	g.done.Add(4)
	go func() { defer g.done.Done(); g.commitLoop(ctx) }()
	go func() { defer g.done.Done(); g.proveLoop(ctx) }()
	go func() { defer g.done.Done(); g.sweepLoop(ctx, left) }()
	go func() { defer g.done.Done(); g.eraseLoop(ctx) }()
	g.poke()
}

// lastWords is how long Close tries to put counted refusals on record.
const lastWords = 5 * time.Second

// Close puts on record the refusals that were only counted, and stops the guard.
// What was decided and not yet committed fails. Nothing may be admitted any
// more: a refusal that comes while it closes may be lost. An error says what of
// the counts is not on record.
func (g *Guard) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	_ = g.summarise(ctx, g.now()+1) // what failed is lost
	g.stop()
	g.done.Wait()
	return g.refused.lost()
}

// ServiceKeys returns the name of the key that the service signs with, and those
// of its other live keys.
func (g *Guard) ServiceKeys(ctx context.Context) (own custody.KeyID, others []custody.KeyID, err error) {
	own = g.Service.Public().ID()
	p, err := custody.PrincipalOf(g.folds.view(ctx, g.now(), false), g.service)
	if err != nil {
		return own, nil, err
	}
	return own, slices.DeleteFunc(p.Keys(), func(k custody.KeyID) bool { return k == own }), nil
}

// ServiceID returns the service's own principal.
func (g *Guard) ServiceID() custody.PrincipalID { return g.service }

// Ready returns nil, or why nothing can be put on record.
func (g *Guard) Ready() error { return g.Log.Ready() }

func (g *Guard) now() custody.Time { return custody.TimeOf(g.Now()) }

func (g *Guard) policyState(ctx context.Context) (*custody.Policy, error) {
	state, err := g.folds.view(ctx, g.now(), false).State(custody.PolicyStream)
	if err != nil {
		return nil, fmt.Errorf("policy stream: %w", err)
	}
	return state.(*custody.Policy), nil
}

// Admission is what was decided about a statement, and the proof that this
// decision is on record.
type Admission struct {
	Record  []byte           // canonical bytes
	Receipt *custody.Receipt // carries the opening and the tag
	Permit  bool
	Reason  string // why it was refused, as the actor may know it
	Token   string // for a session, a retrieval or an export: what it earned; once only
	Repeat  bool   // the statement was on record before
}

// RefusedText is the whole answer to an actor who may not know more: the same
// for what does not exist and for what is not his.
const RefusedText = decision.HiddenText

// Admit takes a signed statement in: verifies it, decides, puts the decision
// on record, waits until the log proves that, and answers. A statement that is
// on record already is answered with its first receipt, and nothing is written.
// code is the one-time code of a first enrolment, and otherwise empty.
func (g *Guard) Admit(ctx context.Context, envelope []byte, code string) (*Admission, error) {
	e, err := custody.ParseEnvelope(envelope)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	a, release, err := g.first(ctx, e, envelope)
	if a != nil || err != nil {
		return a, err
	}
	defer release()
	s, err := e.Statement(g.Words)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := g.authenticate(ctx, e, s, code); err != nil {
		return nil, err
	}
	if err := g.Log.Ready(); err != nil {
		return nil, fmt.Errorf("%w: the log cannot be appended to: %w", ErrUnavailable, err)
	}
	objection, err := g.prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	return g.admit(ctx, e, s, objection, release)
}

// prepare does the work that a statement needs outside the decision, if it would
// be permitted now. It returns what that work has against the statement.
func (g *Guard) prepare(ctx context.Context, s *custody.Statement) (objection, err error) {
	before := g.Before[s.Kind]
	if before == nil {
		return nil, nil
	}
	g.mu.Lock()
	d, err := g.decide(ctx, s)
	g.mu.Unlock()
	if err != nil || !d.Permit {
		return nil, err
	}
	if err = before(ctx, s); errors.As(err, new(custody.Unlawful)) {
		return err, nil
	} else if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil, nil
}

// attempts bounds how often a decision is made again when another replica's
// record came between.
const attempts = 5

// admit puts a statement on record that the caller has claimed, and releases it
// once it is in flight.
func (g *Guard) admit(ctx context.Context, e *custody.Envelope, s *custody.Statement, objection error, release func()) (*Admission, error) {
	raw, err := e.Marshal()
	if err != nil {
		return nil, err
	}
	defer func() { release() }()
	for range attempts {
		p, err := g.enqueue(ctx, e, s, objection)
		release()
		if err == nil {
			err = g.await(ctx, p)
		}
		if err == nil {
			return g.admission(ctx, p)
		}
		if !overtaken(err) {
			return nil, err
		}
		var a *Admission
		if a, release, err = g.first(ctx, e, raw); a != nil || err != nil {
			return a, err
		}
	}
	return nil, fmt.Errorf("%w: too many others write to the same streams", ErrUnavailable)
}

// overtaken says whether a record could not be committed because another came
// before it. What was decided is decided again.
func overtaken(err error) bool { return errors.Is(err, ErrStale) || errors.Is(err, ErrDuplicate) }

// Attest puts a statement of the service itself on record.
func (g *Guard) Attest(ctx context.Context, purpose string, act custody.Act) (*Admission, error) {
	now := g.now()
	h := custody.Header{Actor: g.service, Audience: g.Origin, Time: now, Expires: now.Add(custody.MaxValidity), Purpose: purpose}
	if _, err := io.ReadFull(g.Rand, h.Nonce[:]); err != nil {
		return nil, err
	}
	e, err := custody.Sign(g.Service, h, act)
	if err != nil {
		return nil, err
	}
	raw, err := e.Marshal()
	if err != nil {
		return nil, err
	}
	a, err := g.Admit(ctx, raw, "")
	if err == nil && !a.Permit {
		err = fmt.Errorf("%s of the service was refused: %s", act.Kind(), a.Reason)
	}
	return a, err
}

func answerRepeat(stored Stored, raw []byte) (*Admission, error) {
	r, err := custody.ParseRecord(stored.Record)
	if err != nil {
		return nil, err
	}
	same, err := r.Envelope.Marshal()
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(same, raw) {
		return nil, fmt.Errorf("%w: this statement is on record under another signature", ErrMalformed)
	}
	receipt, err := custody.ParseReceipt(stored.Receipt)
	if err != nil {
		return nil, err
	}
	a := &Admission{Record: stored.Record, Receipt: receipt, Permit: r.Decision.Permit, Repeat: true}
	if !a.Permit {
		a.Reason = RefusedText
		if r.Decision.Reason != decision.Hidden {
			a.Reason = r.Decision.Reason
		}
	}
	return a, nil
}

// authenticate checks that a statement is by a live key of its actor, for this
// log, and fresh. Its failures leave no record.
func (g *Guard) authenticate(ctx context.Context, e *custody.Envelope, s *custody.Statement, code string) error {
	if s.Audience != g.Origin {
		return fmt.Errorf("%w: the statement is for %q; this is %q", ErrUnauthenticated, s.Audience, g.Origin)
	}
	if now := g.now(); s.Time > now.Add(freshness) {
		return fmt.Errorf("%w: the statement's time %s lies ahead of the service's %s; set your clock", ErrUnauthenticated, s.Time, now)
	} else if s.Expires < now {
		return fmt.Errorf("%w: the statement expired at %s; it is %s here; sign it again, or set your clock", ErrUnauthenticated, s.Expires, now)
	}
	key, err := g.signerKey(ctx, s, code)
	if err != nil {
		return err
	}
	if err := e.Verify(key); err != nil {
		return fmt.Errorf("%w: %w", ErrUnauthenticated, err)
	}
	return nil
}

var errNoLiveKey = fmt.Errorf("%w: this key is not accepted for the principal it names: the identifier is wrong, or the key was revoked or the principal suspended; an administrator knows", ErrUnauthenticated)

func (g *Guard) signerKey(ctx context.Context, s *custody.Statement, code string) (custody.PublicKey, error) {
	if s.Actor == "" {
		return g.newcomerKey(s, code)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	p, err := custody.PrincipalOf(g.folds.view(ctx, g.now(), false), s.Actor)
	if isUnknown(err) {
		return custody.PublicKey{}, errNoLiveKey
	}
	if err != nil {
		return custody.PublicKey{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	key, err := p.Key(s.Signer)
	if err != nil {
		return custody.PublicKey{}, errNoLiveKey
	}
	return key, nil
}

// newcomerKey lets the holder of the one-time code in, with the key that the
// statement enrols. Whether he is the first is for the decision to say.
func (g *Guard) newcomerKey(s *custody.Statement, code string) (custody.PublicKey, error) {
	act, ok := s.Act.(*custody.EnrolPrincipal)
	if !ok {
		return custody.PublicKey{}, errNoLiveKey
	}
	digest := sha256.Sum256([]byte(code))
	if g.EnrolmentCode.IsZero() || !hmac.Equal(digest[:], g.EnrolmentCode[:]) || !g.Now().Before(g.CodeExpires) {
		return custody.PublicKey{}, fmt.Errorf("%w: the one-time enrolment code is wrong, used or expired; an administrator can enrol you, or restart the service of a log without administrators for a new code", ErrUnauthenticated)
	}
	return custody.ParsePublicKey(act.Key)
}
