package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/forensic-custody/custody/custody"
)

// Config says what a log is made of; every field but Archive and Witnesses is required. The log closes
// none of it: whoever opened the parts closes them, after the log.
type Config struct {
	Origin  string          // name of the log, and of its key
	Signer  note.Signer     // of checkpoints (c2sp.org/signed-note)
	Keys    custody.LogKeys // of what Signer signs, and of what was signed before
	Engine  Engine
	Lock    Lock
	Tiles   Tiles
	Archive Archive          // where leaves are kept before they are signed for; nil: nowhere
	Now     func() time.Time // the wall clock

	Witnesses Witnesses // who cosigns checkpoints; nil: nobody
}

// Log is an open log. Its methods may be called at once.
type Log struct {
	c         Config
	published atomic.Pointer[head]
	cache     tileCache

	requests chan *request
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	stopped  chan struct{} // closed when the publisher has ended

	mu       sync.Mutex
	signedAt time.Time // of the checkpoint in the lock, by the wall clock
	trouble  error     // why the last batch failed; nil when it did not
	halted   error     // why the log stopped; nil when it did not
}

// A head is a state of the log: a checkpoint and its tree. It never changes.
type head struct {
	tree       *tree
	checkpoint custody.Checkpoint
	signed     []byte // by the log alone, as it is in the lock
	shown      []byte // with the cosignatures of witnesses, as it is published
}

// Create begins a log: it signs the checkpoint of size 0. It refuses with
// ErrExists when lock, engine or tiles hold anything, so that a log is begun
// once. On return the checkpoint is on disk in the lock.
func Create(ctx context.Context, c Config) error {
	if err := c.create(ctx); err != nil {
		return fmt.Errorf("create the log %s: %w", c.Origin, err)
	}
	return nil
}

func (c *Config) create(ctx context.Context) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := c.vacant(ctx); err != nil {
		return err
	}
	h, err := c.sign(emptyTree())
	if err != nil {
		return err
	}
	if err := c.Lock.Swap(ctx, nil, h.signed, c.Now()); err != nil {
		return err
	}
	return c.Tiles.Put(ctx, nil, h.signed)
}

func (c *Config) check() error {
	if c.Signer == nil || len(c.Keys) == 0 || c.Engine == nil || c.Lock == nil || c.Tiles == nil || c.Now == nil {
		return errors.New("its configuration is incomplete")
	}
	if c.Origin == "" || c.Signer.Name() != c.Origin || c.Keys.Now().Name() != c.Origin || c.Signer.KeyHash() != c.Keys.Now().KeyHash() {
		return errors.New("its keys are not of one log of that name")
	}
	return nil
}

func (c *Config) vacant(ctx context.Context) error {
	_, _, err := c.Lock.Load(ctx)
	if err == nil {
		return fmt.Errorf("%w: the lock holds a checkpoint", ErrExists)
	}
	if !errors.Is(err, ErrNoHead) {
		return err
	}
	is, err := c.Engine.Integrate(ctx) // what is queued counts, too
	if err != nil {
		return err
	}
	if is.Size != 0 {
		return fmt.Errorf("%w: the engine holds %d leaves", ErrExists, is.Size)
	}
	signed, err := c.Tiles.Checkpoint(ctx)
	if err != nil {
		return err
	}
	if len(signed) != 0 {
		return fmt.Errorf("%w: a checkpoint has been published", ErrExists)
	}
	return nil
}

// Open opens a log that Create began. It brings the tiles up to the checkpoint
// in the lock, from the engine's leaves, checks that they give the root that
// was signed, and publishes what the engine holds beyond it. It fails with
// ErrNoHead where Create never was, and with ErrRollback or ErrFork where the
// parts contradict what was signed. A clock that is behind does not keep the
// log from being read. It asks the witnesses before it signs anything: when one of
// them has seen a larger tree than the lock says, it fails with ErrRollback. One that
// does not answer is waited for as long as for any checkpoint.
//
// How long it takes depends on what was not published when the log was last
// open, and not on the size of the log, unless the tiles are lost.
func Open(ctx context.Context, c Config) (*Log, error) {
	l := &Log{c: c, requests: make(chan *request), stopped: make(chan struct{})}
	if err := l.load(ctx); err != nil {
		return nil, fmt.Errorf("open the log %s: %w", c.Origin, err)
	}
	l.ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go l.publisher()
	return l, nil
}

func (l *Log) load(ctx context.Context) error {
	if err := l.c.check(); err != nil {
		return err
	}
	if _, _, err := l.c.Lock.Load(ctx); err != nil {
		return err
	}
	h, err := l.loadPublished(ctx)
	if err != nil {
		return err
	}
	l.published.Store(h)
	if err := l.follow(ctx); err != nil {
		return err
	}
	if err := l.cosignAgain(ctx); err != nil { // before anything new is signed
		return err
	}
	if l.clock() != nil {
		return nil
	}
	if err := l.serve(ctx, nil); halts(err) {
		return err
	}
	return ctx.Err()
}

// loadPublished returns the head that was published last, of which the tiles
// are kept. Its tree is checked when it is followed up to what was signed.
func (l *Log) loadPublished(ctx context.Context) (*head, error) {
	signed, err := l.c.Tiles.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	if len(signed) == 0 {
		return l.c.sign(emptyTree())
	}
	h, err := l.c.openShown(signed)
	if err != nil {
		return nil, fmt.Errorf("%w: the published one: %w", ErrFork, err)
	}
	if err := l.reaches(ctx, h.checkpoint); err != nil {
		return nil, err
	}
	h.tree, err = l.loadTree(ctx, h.checkpoint.Size)
	return h, err
}

// loadTree returns the right edge of the tree of the given size: the lowest
// level from the engine's last leaves, the others from tiles.
func (l *Log) loadTree(ctx context.Context, size uint64) (*tree, error) {
	n, _ := edgeIndex(size, 0)
	t := emptyTree()
	t.size = n << tileHeight
	for level := 1; level < tileLevels; level++ {
		n, width := edgeIndex(size, level)
		if width == 0 {
			continue
		}
		b, err := l.c.Tiles.Tile(ctx, level, n)
		if err != nil && !errors.Is(err, custody.ErrUnknown) {
			return nil, err
		}
		if t.edge[level], err = parseTile(b, width); err != nil {
			return nil, fmt.Errorf("%w: tile %d of level %d: %w", ErrFork, n, level, err)
		}
	}
	entries, err := l.readBack(ctx, t.size, size)
	if err != nil {
		return nil, err
	}
	t, _ = t.grow(entries)
	return t, nil
}

// readBack reads entries from the engine, which must have them.
func (l *Log) readBack(ctx context.Context, start, end uint64) ([]Entry, error) {
	if start == end {
		return nil, nil
	}
	entries, err := l.c.Engine.Leaves(ctx, start, end)
	if err != nil {
		return nil, err
	}
	if uint64(len(entries)) != end-start {
		return nil, fmt.Errorf("%w: of the leaves %d to %d the engine has %d", ErrFork, start, end-1, len(entries))
	}
	return entries, nil
}

// reaches checks that the engine is not behind a signed checkpoint, nor at it
// with another root. One that is ahead is checked when its leaves are read.
func (l *Log) reaches(ctx context.Context, c custody.Checkpoint) error {
	is, err := l.c.Engine.Head(ctx)
	if err != nil {
		return err
	}
	if is.Size < c.Size {
		return fmt.Errorf("%w: the engine holds %d leaves, and %d were signed", ErrRollback, is.Size, c.Size)
	}
	if is.Size == c.Size && is.Root != c.Root {
		return fmt.Errorf("%w: the engine's root of size %d is not the one that was signed", ErrFork, c.Size)
	}
	return nil
}

// sign makes a head of a tree, and verifies the signature on it.
func (c *Config) sign(t *tree) (*head, error) {
	root, err := t.root()
	if err != nil {
		return nil, err
	}
	text := custody.Checkpoint{Origin: c.Origin, Size: t.size, Root: root}.String()
	signed, err := note.Sign(&note.Note{Text: text}, c.Signer)
	if err != nil {
		return nil, fmt.Errorf("sign the checkpoint of size %d: %w", t.size, err)
	}
	h, err := c.open(signed)
	if err != nil {
		return nil, fmt.Errorf("sign the checkpoint of size %d: %w", t.size, err)
	}
	h.tree = t
	return h, nil
}

// open verifies a signed checkpoint of this log. The head is without a tree.
func (c *Config) open(signed []byte) (*head, error) {
	cp, err := custody.OpenCheckpoint(signed, c.Keys.For(signed))
	if err != nil {
		return nil, err
	}
	return &head{checkpoint: cp, signed: signed, shown: signed}, nil
}

// check compares a head's tree with its checkpoint.
func (h *head) check() error {
	root, err := h.tree.root()
	if err != nil {
		return err
	}
	if h.tree.size != h.checkpoint.Size || root != h.checkpoint.Root {
		return fmt.Errorf("%w: tiles and leaves do not give the root of size %d that was signed", ErrFork, h.checkpoint.Size)
	}
	return nil
}

// Checkpoint returns the latest published checkpoint, signed.
func (l *Log) Checkpoint() []byte { return append([]byte(nil), l.published.Load().shown...) }

// Ready returns nil, or why nothing can be appended now: ErrRollback, ErrFork
// or ErrConflict when the log has stopped until it is opened again, ErrClock,
// ErrClosed, or what went wrong with the last batch, until it is overcome: the
// log tries again by itself.
func (l *Log) Ready() error {
	l.mu.Lock()
	halted, trouble := l.halted, l.trouble
	l.mu.Unlock()
	switch {
	case l.ctx.Err() != nil:
		return ErrClosed
	case halted != nil:
		return halted
	case trouble != nil:
		return trouble
	}
	return l.clock()
}

// clock refuses a time before the last checkpoint's.
func (l *Log) clock() error {
	l.mu.Lock()
	last := l.signedAt
	l.mu.Unlock()
	if now := l.now(); now.Before(last) {
		return fmt.Errorf("%w: it is %s, and the last checkpoint was signed at %s", ErrClock,
			now.Format(time.RFC3339Nano), last.Format(time.RFC3339Nano))
	}
	return nil
}

// now is the time on the wall. The monotonic clock, which Round strips, would
// not show that the wall clock was set back.
func (l *Log) now() time.Time { return l.c.Now().Round(0).UTC() }

// Close ends the log. A batch on its way is given up: as after a crash, its
// leaves may be in the log or not, and appending them again is safe.
func (l *Log) Close() error {
	l.cancel()
	<-l.stopped
	return nil
}
