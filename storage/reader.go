package storage

import (
	"context"
	"errors"
	"io"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

// Reader hands out a stretch of an artifact. It implements io.ReadCloser and
// io.WriterTo, and is for one goroutine. It holds one buffer of the vault
// while it stands within a chunk, and two more, when they are free and not the last
// ones, for the chunks after it, which it reads ahead. All readers of one person hold
// all buffers of readers but one at most. So whoever reads slowly keeps nobody
// from bringing anything, but others from reading at full speed, and should be
// given a limit of time. An error is final.
type Reader struct {
	vault  *Vault
	keys   *incidentKeys
	list   *manifest
	rows   []Chunk // of the page that was read last
	page   uint64  // its number
	permit func(guard.Range) error

	buffers *buffers
	who     custody.PrincipalID // who reads; "" for the vault itself
	share   *share              // his, of the buffers

	ctx    context.Context //nolint:containedctx // Read has none of its own
	cancel context.CancelFunc

	at    uint64        // offset in the artifact of the next part to load
	end   uint64        // offset after the last byte to hand out
	buf   []byte        // holds the current chunk; nil when there is none
	part  []byte        // what is left of it to hand out
	ahead []chan loaded // the chunks read ahead, from the one at at
	err   error
}

// maxAhead is how many chunks a reader reads ahead: enough to decrypt and hash
// on two processors while a third hands out.
const maxAhead = 2

// loaded is a chunk in a buffer.
type loaded struct {
	buf   []byte
	plain []byte // in buf
	err   error
}

var errClosed = errors.New("the reader is closed")

func newReader(ctx context.Context, v *Vault, k *incidentKeys, m *manifest, r guard.Range, as reading) *Reader {
	ctx, cancel := context.WithCancel(ctx)
	return &Reader{
		vault: v, keys: k, list: m, permit: as.permit,
		buffers: as.buffers, who: as.who, share: as.buffers.join(as.who),
		ctx: ctx, cancel: cancel,
		at: r.Offset, end: r.Offset + r.Length,
	}
}

// Read implements io.Reader. Every byte it returns is verified.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, r.err
	}
	if len(r.part) == 0 {
		if err := r.advance(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.part)
	r.taken(n)
	return n, nil
}

// WriteTo implements io.WriterTo. It writes a chunk's part at a time, without
// copying it.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		if len(r.part) == 0 {
			err := r.advance()
			if errors.Is(err, io.EOF) {
				return total, nil
			}
			if err != nil {
				return total, err
			}
		}
		n, err := w.Write(r.part)
		total += int64(n)
		r.taken(n)
		if err != nil {
			return total, err
		}
	}
}

// taken notes that n bytes more of the current chunk's part were handed out.
func (r *Reader) taken(n int) {
	if r.part = r.part[n:]; len(r.part) == 0 {
		r.release()
	}
}

// Close gives the buffers back and waits for what is being read ahead. It is
// to be called once Read and WriteTo have returned, and returns nil.
func (r *Reader) Close() error {
	r.cancel()
	r.finish(errClosed)
	return nil
}

// finish releases everything; from here on there is only err.
func (r *Reader) finish(err error) {
	r.release()
	for _, next := range r.ahead {
		if l := <-next; l.buf != nil {
			r.buffers.giveOf(r.share, l.buf)
		}
	}
	r.buffers.part(r.who, r.share)
	r.ahead, r.rows, r.share, r.err = nil, nil, nil, err
}

func (r *Reader) release() {
	if r.buf != nil {
		r.buffers.giveOf(r.share, r.buf)
	}
	r.buf, r.part = nil, nil
}

// advance makes the next chunk's part the current one, and has those after it
// read ahead.
func (r *Reader) advance() error {
	if r.err != nil {
		return r.err
	}
	r.release()
	if r.at == r.end {
		r.finish(io.EOF)
		return io.EOF
	}
	index := r.at / custody.ChunkSize
	begin := index * custody.ChunkSize
	stop := min(r.end, begin+chunkLength(index, r.list.size))
	l := r.load(index)
	if l.err == nil {
		// Last of all, so that a pass that expired meanwhile is refused.
		l.err = r.permit(guard.Range{Offset: r.at, Length: stop - r.at})
	}
	r.buf = l.buf
	if l.err != nil {
		r.finish(l.err)
		return l.err
	}
	r.part = l.plain[r.at-begin : stop-begin]
	r.at = stop
	r.readAhead()
	return nil
}

// load returns the chunk at r.at, verified, in a buffer unless none was to be
// had or it needs none.
func (r *Reader) load(index uint64) loaded {
	if len(r.ahead) > 0 {
		next := r.ahead[0]
		r.ahead = r.ahead[1:]
		return <-next
	}
	c, err := r.chunk(index)
	if err != nil {
		return loaded{err: err}
	}
	if c.Zero() {
		return loaded{plain: r.vault.zeros[:c.Length]}
	}
	buf, err := r.buffers.takeOf(r.ctx, r.share)
	if err != nil {
		return loaded{err: err}
	}
	return r.read(index, c, buf)
}

// chunk returns row number index of the manifest, and reads its page unless that
// was the last one.
func (r *Reader) chunk(index uint64) (Chunk, error) {
	if n := index / pageChunks; r.rows == nil || r.page != n {
		rows, err := r.vault.readPage(r.ctx, r.keys, r.list, n)
		if err != nil {
			return Chunk{}, err
		}
		r.rows, r.page = rows, n
	}
	return r.rows[index%pageChunks], nil
}

// readAhead starts to read the chunks from r.at for which buffers are free.
func (r *Reader) readAhead() {
	for len(r.ahead) < maxAhead {
		// r.at is where a chunk begins, unless it is the end.
		index := r.at/custody.ChunkSize + uint64(len(r.ahead))
		if r.at == r.end || index*custody.ChunkSize >= r.end {
			return
		}
		next := make(chan loaded, 1)
		c, err := r.chunk(index)
		if err != nil || c.Zero() {
			next <- loaded{plain: r.vault.zeros[:c.Length], err: err}
			r.ahead = append(r.ahead, next)
			continue
		}
		buf := r.buffers.tryTake(r.share)
		if buf == nil {
			return
		}
		r.ahead = append(r.ahead, next)
		go func() { next <- r.read(index, c, buf) }()
	}
}

// read reads a chunk into buf. It only looks at what stays the same.
func (r *Reader) read(index uint64, c Chunk, buf []byte) loaded {
	span := guard.Range{Offset: index * custody.ChunkSize, Length: uint64(c.Length)}
	plain, buf, err := r.vault.readChunk(r.ctx, r.keys, c, span, buf)
	return loaded{buf, plain, err}
}
