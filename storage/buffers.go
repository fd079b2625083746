package storage

import (
	"context"
	"runtime"
)

// bufferSize has room for the largest chunk in the bucket's form, and for what
// zstd adds when it does not gain anything.
const bufferSize = maxChunkObject + 8<<10

// buffers is the memory for chunks, shared by everything that reads or writes
// through one vault: so many, made when first needed, and no more.
//
// A chunk is compressed, or expanded, from one buffer into another. That one comes
// from the spares, since whoever holds a buffer must not wait for another one
// of the same kind: all could. Nobody waits for anything while he holds a spare.
type buffers struct {
	free   chan []byte // nil where the buffer was not made yet
	spares chan []byte // the same
}

func newBuffers(count int) *buffers {
	b := &buffers{free: make(chan []byte, count), spares: make(chan []byte, runtime.GOMAXPROCS(0))}
	for range cap(b.free) {
		b.free <- nil
	}
	for range cap(b.spares) {
		b.spares <- nil
	}
	return b
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

// tryTake returns nil when no buffer is free.
func (b *buffers) tryTake() []byte {
	select {
	case buf := <-b.free:
		return made(buf)
	default:
		return nil
	}
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
