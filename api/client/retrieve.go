package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
)

// fetchers is how many stretches of an artifact are fetched side by side, each
// with a buffer of one chunk.
const fetchers = 3

// runChunks is how many chunks are fetched with one request.
const runChunks = 4

// Received is what a retrieval brought.
type Received struct {
	Grant *Said // the statement that earned the ticket
	Size  uint64
	// SHA256 of the bytes received, measured here.
	SHA256 custody.Digest
	// Receipt is the signed confirmation of what arrived.
	Receipt *Said
}

// Place is where a retrieval puts what it brings: a file.
type Place interface {
	io.ReaderAt
	io.WriterAt
	// Truncate sets the size in bytes; what was never written reads as zeros.
	Truncate(size int64) error
}

// ErrWrongBytes says that bytes came that are not those that were sealed. None
// of them was kept.
var ErrWrongBytes = fmt.Errorf("%w: bytes came that are not those that were sealed", ErrUntrusted)

// Retrieve fetches a stretch of an item's bytes, length 0 meaning to its end,
// into w, in order, and confirms with a signed statement what arrived; got,
// unless nil, is told of every stretch as it comes, and whether it had to be
// sent. The stretch must begin where a block of 64 KiB does, and end where one
// does or the item (Blocks): less than that cannot be verified. Each chunk, or
// the part of one that was asked for, is verified before any of it is written to
// w. Only without an error is w what was asked for.
func (c *Client) Retrieve(ctx context.Context, purpose string, id custody.EvidenceID, offset, length uint64, w io.Writer, got func(n int, sent bool)) (*Received, error) {
	g, err := c.grant(ctx, purpose, id, offset, length, got)
	if err != nil {
		return nil, err
	}
	whole := sha256.New()
	out := io.MultiWriter(w, whole)
	err = g.walk(ctx, func(run run) error {
		if run.zeros {
			return g.writeZeros(out, run)
		}
		return g.fetch(ctx, run, new([custody.ChunkSize]byte), func(_ uint64, b []byte) error { _, err := out.Write(b); return err })
	})
	if err != nil {
		return nil, err
	}
	return g.confirm(ctx, whole)
}

// RetrieveInto fetches a stretch of an item's bytes into a file, whose first byte
// will be the stretch's: several chunks side by side, zeros not at all. With
// resume, what a retrieval that broke off has left there is verified and not
// fetched again; without, the file must be empty.
// Otherwise it does as Retrieve does; after an error the file holds nothing but
// verified bytes and holes, and can be given to RetrieveInto again.
func (c *Client) RetrieveInto(ctx context.Context, purpose string, id custody.EvidenceID, offset, length uint64, file Place, resume bool, got func(n int, sent bool)) (*Received, error) {
	g, err := c.grant(ctx, purpose, id, offset, length, got)
	if err != nil {
		return nil, err
	}
	if err := file.Truncate(int64(g.length)); err != nil {
		return nil, err
	}
	group, inner := errgroup.WithContext(ctx)
	runs := make(chan run, fetchers)
	trail := &trail{done: map[uint64]stretch{}}
	trail.more = sync.NewCond(&trail.mu)
	whole := sha256.New()
	var fetching sync.WaitGroup
	for range fetchers {
		fetching.Add(1)
		group.Go(func() error {
			defer fetching.Done()
			buffer := new([custody.ChunkSize]byte)
			for run := range runs {
				if err := g.place(inner, run, buffer, file, resume, trail); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(runs)
		return g.walk(inner, func(run run) error {
			select {
			case runs <- run:
				return nil
			case <-inner.Done():
				return inner.Err()
			}
		})
	})
	group.Go(func() error { fetching.Wait(); trail.end(); return nil })
	group.Go(func() error { return trail.follow(inner, file, whole, g.length) })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return g.confirm(ctx, whole)
}

// Blocks returns the smallest stretch of whole blocks that holds the one asked
// for, of an item of size bytes; length 0 means to its end.
func Blocks(offset, length, size uint64) (uint64, uint64) {
	from := offset / custody.BlockSize * custody.BlockSize
	if length == 0 {
		return from, 0
	}
	end := offset + length
	if over := end % custody.BlockSize; over > 0 {
		end += custody.BlockSize - over
	}
	if end >= size && offset+length <= size {
		end = size
	}
	return from, end - from
}

// retrieval is a retrieval under way.
type retrieval struct {
	client         *Client
	id             custody.EvidenceID
	said           *Said
	artifact       custody.Artifact
	offset, length uint64 // of the stretch
	got            func(n int, sent bool)
}

// grant earns the ticket, and finds out from the log what was sealed.
func (c *Client) grant(ctx context.Context, purpose string, id custody.EvidenceID, offset, length uint64, got func(int, bool)) (*retrieval, error) {
	if offset%custody.BlockSize != 0 {
		return nil, fmt.Errorf("a stretch from byte %d begins within a block of %d bytes: it could not be verified", offset, custody.BlockSize)
	}
	act := &custody.RetrieveEvidence{Evidence: id, Offset: offset, Length: length}
	// Signed anew each time, as only the first answer has the ticket: if one is lost,
	// two retrievals are on record, of which one handed nothing over.
	var said *Said
	err := c.persist(ctx, func() (err error) {
		said, err = c.Say(ctx, purpose, act)
		return err
	})
	if err != nil {
		return nil, err
	}
	artifact, err := c.sealed(ctx, id)
	if err != nil {
		return nil, err
	}
	if offset > artifact.Size || length > artifact.Size-offset {
		return nil, fmt.Errorf("%w: the item is not what was granted", ErrUntrusted)
	}
	if end := offset + act.Span(artifact.Size); end%custody.BlockSize != 0 && end != artifact.Size {
		return nil, fmt.Errorf("a stretch to byte %d ends within a block of %d bytes: it cannot be verified", end-1, custody.BlockSize)
	}
	if got == nil {
		got = func(int, bool) {}
	}
	return &retrieval{client: c, id: id, said: said, artifact: artifact, offset: offset, length: act.Span(artifact.Size), got: got}, nil
}

// run is a stretch of an artifact that is fetched with one request, or zeros.
type run struct {
	offset, length uint64  // in the artifact
	zeros          bool    // all of it
	chunks         []chunk // that it touches
}

// chunk is what the bytes of a chunk, or of the part of it that is in the stretch,
// are verified against.
type chunk struct {
	digest custody.Digest
	rest   []custody.Digest // completes a part's blocks to the digest
}

// walk calls do with the runs of the stretch, in order. It holds the digests of
// one page of chunks at a time, each verified against the root that was sealed.
func (g *retrieval) walk(ctx context.Context, do func(run) error) error {
	const page = api.PageChunks * custody.ChunkSize
	if g.length == 0 {
		return g.touch(ctx)
	}
	end := g.offset + g.length
	for at := g.offset; at < end; {
		chunks, err := g.page(ctx, at/page)
		if err != nil {
			return err
		}
		stop := min(end, at/page*page+page)
		for at < stop {
			r := g.next(at, stop, chunks)
			chunks = chunks[len(r.chunks):]
			if err := do(r); err != nil {
				return err
			}
			at += r.length
		}
	}
	return nil
}

// next returns the run at an offset, which is that of the first of chunks.
func (g *retrieval) next(at, stop uint64, chunks []chunk) run {
	r := run{offset: at, zeros: chunks[0].digest == g.zero(at)}
	for _, c := range chunks {
		if at == stop || (c.digest == g.zero(at)) != r.zeros || !r.zeros && len(r.chunks) == runChunks {
			break
		}
		r.chunks = append(r.chunks, c)
		at = min(stop, (at/custody.ChunkSize+1)*custody.ChunkSize)
	}
	r.length = at - r.offset
	return r
}

// zero returns the digest that the chunk at an offset has if it is zeros.
func (g *retrieval) zero(at uint64) custody.Digest {
	return custody.ZeroChunk(g.chunkAt(at))
}

// chunkAt returns the length of the chunk at an offset.
func (g *retrieval) chunkAt(at uint64) uint64 {
	begin := at / custody.ChunkSize * custody.ChunkSize
	return min(custody.ChunkSize, g.artifact.Size-begin)
}

// page fetches the digests of the chunks on a page that the stretch touches, and
// verifies that they are the artifact's.
func (g *retrieval) page(ctx context.Context, number uint64) ([]chunk, error) {
	var d api.Digests
	err := g.client.persist(ctx, func() error {
		r, err := g.request(ctx, fmt.Sprintf("digests?page=%d", number), "") //nolint:bodyclose // decode closes it
		if err != nil {
			return err
		}
		return decode(r, &d)
	})
	if err != nil {
		return nil, err
	}
	first := max(number*api.PageChunks, g.offset/custody.ChunkSize)
	end := min((number+1)*api.PageChunks, custody.ChunkCount(g.offset+g.length))
	root, err := custody.RangeRoot(custody.ChunkCount(g.artifact.Size), first, d.Chunks, d.Rest)
	if err != nil || root != g.artifact.Root || uint64(len(d.Chunks)) != end-first {
		return nil, fmt.Errorf("%w: the digests of page %d are not those of what was sealed", ErrUntrusted, number)
	}
	chunks := make([]chunk, len(d.Chunks))
	for i, c := range d.Chunks {
		chunks[i].digest = c
	}
	chunks[len(chunks)-1].rest = d.Last
	if len(chunks) == 1 || d.First != nil {
		chunks[0].rest = d.First
	}
	return chunks, nil
}

// verify says whether b, at an offset, is the part of a chunk that it has to be.
// Between a chunk's ends a part begins and ends where blocks do.
func (g *retrieval) verify(offset uint64, b []byte, c chunk) bool {
	length := g.chunkAt(offset)
	if uint64(len(b)) == length {
		return custody.ChunkDigest(b) == c.digest
	}
	first := offset % custody.ChunkSize / custody.BlockSize
	d, err := custody.RangeRoot(custody.BlockCount(length), first, custody.BlockDigests(b), c.rest)
	return err == nil && d == c.digest
}

// touch uses the ticket for an artifact without bytes, so that the release goes
// on record.
func (g *retrieval) touch(ctx context.Context) error {
	r, err := g.request(ctx, "content", "")
	if err != nil {
		return err
	}
	defer func() { _ = r.Body.Close() }()
	if n, err := io.Copy(io.Discard, io.LimitReader(r.Body, 1)); err != nil || n != 0 {
		return errors.Join(ErrWrongBytes, err)
	}
	return nil
}

// request asks for something under the ticket.
func (g *retrieval) request(ctx context.Context, what, span string) (*http.Response, error) {
	return g.client.authed(ctx, func(string) (*http.Request, error) {
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/v1/evidence/%s/%s", g.client.Server, g.id, what), nil)
		if err == nil {
			q.Header.Set(api.TicketHeader, g.said.Token)
			if span != "" {
				q.Header.Set("Range", span)
			}
		}
		return q, err
	})
}

// fetch fetches a run into buffer, a chunk at a time, and has each kept once it
// is verified. What breaks off is asked for again from the chunk on where it did.
func (g *retrieval) fetch(ctx context.Context, r run, buffer *[custody.ChunkSize]byte, keep func(offset uint64, b []byte) error) error {
	var unkept error
	err := g.client.persist(ctx, func() error {
		err := g.fetchOnce(ctx, &r, buffer, func(offset uint64, b []byte) error {
			unkept = keep(offset, b)
			return unkept
		})
		if unkept != nil {
			return nil
		}
		return err
	})
	return errors.Join(unkept, err)
}

func (g *retrieval) fetchOnce(ctx context.Context, r *run, buffer *[custody.ChunkSize]byte, keep func(uint64, []byte) error) error {
	if r.length == 0 {
		return nil
	}
	answer, err := g.request(ctx, "content", fmt.Sprintf("bytes=%d-%d", r.offset, r.offset+r.length-1))
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	for r.length > 0 {
		part := min(r.length, custody.ChunkSize-r.offset%custody.ChunkSize)
		b := buffer[:part]
		if n, err := io.ReadFull(answer.Body, b); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%w: the transfer broke off at byte %d: %w", ErrUnreachable, r.offset+uint64(n), err)
		}
		if !g.verify(r.offset, b, r.chunks[0]) {
			return fmt.Errorf("%w: bytes %d to %d", ErrWrongBytes, r.offset, r.offset+part-1)
		}
		if err := keep(r.offset, b); err != nil {
			return err
		}
		g.got(int(part), true)
		r.offset, r.length, r.chunks = r.offset+part, r.length-part, r.chunks[1:]
	}
	if n, _ := answer.Body.Read(buffer[:1]); n > 0 {
		return fmt.Errorf("%w: more than were asked for", ErrWrongBytes)
	}
	return nil
}

func (g *retrieval) writeZeros(w io.Writer, r run) error {
	for left := r.length; left > 0; {
		n := min(left, uint64(len(zeroBlock)))
		if _, err := w.Write(zeroBlock[:n]); err != nil {
			return err
		}
		left -= n
	}
	g.got(int(r.length), false)
	return nil
}

// place brings a run into the file, unless it is there.
func (g *retrieval) place(ctx context.Context, r run, buffer *[custody.ChunkSize]byte, file Place, resume bool, t *trail) error {
	if !resume && r.zeros { // a hole
		t.note(r.offset-g.offset, stretch{r.length, true})
		g.got(int(r.length), false)
		return nil
	}
	for resume && r.length > 0 { // what is there, from an earlier try, or as a hole
		part := min(r.length, custody.ChunkSize-r.offset%custody.ChunkSize)
		b := buffer[:part]
		if _, err := file.ReadAt(b, int64(r.offset-g.offset)); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		there := isZero(b)
		if !r.zeros {
			there = !there && g.verify(r.offset, b, r.chunks[0])
		} else if !there {
			if _, err := file.WriteAt(make([]byte, part), int64(r.offset-g.offset)); err != nil {
				return err
			}
			there = true
		}
		if !there {
			break
		}
		g.got(int(part), false)
		t.note(r.offset-g.offset, stretch{part, r.zeros})
		r.offset, r.length, r.chunks = r.offset+part, r.length-part, r.chunks[1:]
	}
	return g.fetch(ctx, r, buffer, func(offset uint64, b []byte) error {
		if _, err := file.WriteAt(b, int64(offset-g.offset)); err != nil {
			return err
		}
		t.note(offset-g.offset, stretch{uint64(len(b)), false})
		return nil
	})
}

// trail hashes a file in order behind those who write it in any. Zeros it does
// not read: they are a hole, which the system would fill memory with.
type trail struct {
	mu    sync.Mutex
	more  *sync.Cond
	done  map[uint64]stretch // by offset, what is written and not yet hashed
	ended bool
}

// stretch is a part of the file.
type stretch struct {
	length uint64
	zeros  bool // all of it
}

func (t *trail) note(offset uint64, s stretch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done[offset] = s
	t.more.Signal()
}

// end says that nothing more will be written.
func (t *trail) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	t.more.Signal()
}

// take waits for what is written at an offset and returns it, of length 0 when
// nothing will be.
func (t *trail) take(offset uint64) stretch {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.done[offset].length == 0 && !t.ended {
		t.more.Wait()
	}
	s := t.done[offset]
	delete(t.done, offset)
	return s
}

func (t *trail) follow(ctx context.Context, file io.ReaderAt, whole hash.Hash, length uint64) error {
	buffer := make([]byte, 256<<10)
	for at := uint64(0); at < length && ctx.Err() == nil; {
		s := t.take(at)
		if s.length == 0 {
			return ctx.Err()
		}
		if s.zeros {
			hashZeros(whole, s.length)
		} else if _, err := io.CopyBuffer(struct{ io.Writer }{whole}, struct{ io.Reader }{io.NewSectionReader(file, int64(at), int64(s.length))}, buffer); err != nil {
			return err
		}
		at += s.length
	}
	return ctx.Err()
}

func hashZeros(whole hash.Hash, n uint64) {
	for n > 0 {
		part := min(n, uint64(len(zeroBlock)))
		whole.Write(zeroBlock[:part])
		n -= part
	}
}

// confirm signs for what arrived. What is whole is compared with the seal.
func (g *retrieval) confirm(ctx context.Context, whole hash.Hash) (*Received, error) {
	rec := &Received{Grant: g.said, Size: g.length}
	whole.Sum(rec.SHA256[:0])
	var err error
	rec.Receipt, err = g.client.Say(ctx, "", &custody.ReceiveEvidence{Evidence: g.id, Grant: g.said.Payload, SHA256: rec.SHA256, Size: rec.Size})
	if err != nil {
		return rec, fmt.Errorf("the bytes arrived; their receipt could not be put on record: %w", err)
	}
	if g.length == g.artifact.Size && rec.SHA256 != g.artifact.SHA256 {
		return rec, fmt.Errorf("%w: their SHA-256 is %s; sealed were those with %s", ErrWrongBytes, rec.SHA256.Hex(), g.artifact.SHA256.Hex())
	}
	return rec, nil
}
