package storage

import "context"

// buffers is the memory for chunks, shared by everything that reads or writes
// through one vault: so many, made when first needed, and no more.
type buffers struct {
	free chan []byte // nil where the buffer was not made yet
}

func newBuffers(count int) *buffers {
	b := &buffers{free: make(chan []byte, count)}
	for range count {
		b.free <- nil
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

func made(buf []byte) []byte {
	if buf == nil {
		buf = make([]byte, maxChunkObject)
	}
	return buf
}
