package storage

import (
	"context"
	"runtime"
	"sync"

	"github.com/forensic-custody/custody/custody"
)

// bufferSize has room for the largest chunk in the bucket's form, and for what
// zstd adds when it does not gain anything.
const bufferSize = maxChunkObject + 8<<10

// buffers is memory for chunks: so many, made when first needed, and no more. A
// vault has some for what comes in and is looked at by itself, and others for what
// is handed out, since nobody knows how slowly that is taken.
//
// A chunk is compressed, or expanded, from one buffer into another. That one comes
// from the spares, since whoever holds a buffer must not wait for another one
// of the same kind: all could. Nobody waits for anything while he holds a spare.
type buffers struct {
	free   chan []byte // nil where the buffer was not made yet
	spares chan []byte // the same, and shared with the vault's others

	mu     sync.Mutex
	shares map[custody.PrincipalID]*share // of those who read
}

func newBuffers(count int, spares chan []byte) *buffers {
	return &buffers{free: unmade(count), spares: spares, shares: map[custody.PrincipalID]*share{}}
}

func newSpares() chan []byte { return unmade(runtime.GOMAXPROCS(0)) }

func unmade(count int) chan []byte {
	c := make(chan []byte, count)
	for range count {
		c <- nil
	}
	return c
}

// share is what one person has of the buffers: all but one, so that whoever takes
// his bytes slowly leaves one for others.
type share struct {
	taken   chan struct{}
	readers int // of his
}

// join returns a person's share for one more reader of his, who has to part; nil for
// nobody, who has no bound but all.
func (b *buffers) join(who custody.PrincipalID) *share {
	if who == "" {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.shares[who]
	if s == nil {
		s = &share{taken: make(chan struct{}, max(1, cap(b.free)-1))}
		b.shares[who] = s
	}
	s.readers++
	return s
}

func (b *buffers) part(who custody.PrincipalID, s *share) {
	if s == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.readers--; s.readers == 0 {
		delete(b.shares, who)
	}
}

// takeOf is take, within a share.
func (b *buffers) takeOf(ctx context.Context, s *share) ([]byte, error) {
	if s != nil {
		select {
		case s.taken <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	buf, err := b.take(ctx)
	if err != nil {
		s.leave()
	}
	return buf, err
}

func (s *share) leave() {
	if s != nil {
		<-s.taken
	}
}

// take waits for a buffer that has room for any chunk in the bucket's form.
func (b *buffers) take(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case buf := <-b.free:
		return made(buf), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// tryTake returns a buffer if one is free, and another for whoever can do nothing
// without it: in all, and in the share. Otherwise nil.
func (b *buffers) tryTake(s *share) []byte {
	if s != nil {
		select {
		case s.taken <- struct{}{}:
		default:
			return nil
		}
	}
	if s == nil || len(s.taken) < cap(s.taken) {
		select {
		case buf := <-b.free:
			if len(b.free) > 0 {
				return made(buf)
			}
			b.free <- buf
		default:
		}
	}
	s.leave()
	return nil
}

// giveOf is give, within a share.
func (b *buffers) giveOf(s *share, buf []byte) {
	b.give(buf)
	s.leave()
}

func (b *buffers) give(buf []byte) { b.free <- buf }

// exchange has fill write into a spare what it reads from buf. It returns the
// buffer to go on with: the spare, buf having become one, or buf when fill
// failed.
func (b *buffers) exchange(buf []byte, fill func(spare []byte) error) ([]byte, error) {
	spare := made(<-b.spares)
	if err := fill(spare); err != nil {
		b.spares <- spare
		return buf, err
	}
	b.spares <- buf
	return spare, nil
}

func made(buf []byte) []byte {
	if buf == nil {
		buf = make([]byte, bufferSize)
	}
	return buf
}
