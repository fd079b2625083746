package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
)

// uploadBuffers bounds the memory of an upload: so many chunks are read,
// hashed and sent at once.
const uploadBuffers = 6

// Sparse is a source that knows where it has holes.
type Sparse interface {
	// Hole moves past the next n bytes and returns true when all of them are a
	// hole, which reads as zeros. Otherwise it moves nothing.
	Hole(n int64) bool
}

// Upload sends an artifact's bytes to an item that was begun, and returns what
// they are. Chunks of zeros, and those that the service has and would let the
// caller retrieve, are not sent: what an earlier try sent is not sent again.
// source is read once, from its beginning, and is told to skip holes if it is
// Sparse. settled, unless nil, is told of every stretch of bytes that is
// settled, in no order, and whether they were sent; it is called by several
// goroutines. While the service cannot be reached, a chunk is tried again for
// c.Patience.
func (c *Client) Upload(ctx context.Context, id custody.EvidenceID, source io.Reader, settled func(n int, sent bool)) (custody.Artifact, error) {
	if settled == nil {
		settled = func(int, bool) {}
	}
	group, ctx := errgroup.WithContext(ctx)
	u := &upload{
		client: c, id: id, source: source, settled: settled, group: group,
		free: make(chan *[custody.ChunkSize]byte, uploadBuffers), pieces: make(chan *piece, uploadBuffers),
	}
	for range uploadBuffers {
		u.free <- nil // made at first use
	}
	u.offers.Store(true)
	var artifact custody.Artifact
	group.Go(func() error { return u.read(ctx) })
	group.Go(func() (err error) { artifact, err = u.measure(ctx); return err })
	return artifact, group.Wait()
}

// upload is an Upload under way. Three kinds of goroutine work on it: one reads
// pieces, one for each piece hashes and sends it, one takes them in order for
// what is measured over the whole.
type upload struct {
	client  *Client
	id      custody.EvidenceID
	source  io.Reader
	settled func(int, bool)
	group   *errgroup.Group
	free    chan *[custody.ChunkSize]byte
	pieces  chan *piece    // in order
	flying  sync.WaitGroup // pieces being brought
	offers  atomic.Bool    // whether the service may have chunks that are not zeros
}

// piece is a chunk on its way.
type piece struct {
	index  uint64
	buffer *[custody.ChunkSize]byte // nil for a hole
	length uint64
	digest chan custody.Digest // comes when it is known
	shares atomic.Int32        // of the buffer
}

func (p *piece) bytes() []byte { return p.buffer[:p.length] }

// release gives up one share of a piece's buffer.
func (u *upload) release(p *piece) {
	if p.shares.Add(-1) == 0 && p.buffer != nil {
		u.free <- p.buffer
	}
}

// read cuts the source into pieces.
func (u *upload) read(ctx context.Context) error {
	defer close(u.pieces)
	sparse, _ := u.source.(Sparse)
	for index := uint64(0); ; index++ {
		p := &piece{index: index, length: custody.ChunkSize, digest: make(chan custody.Digest, 1)}
		if sparse != nil && sparse.Hole(custody.ChunkSize) {
			p.shares.Store(1)
			p.digest <- custody.ZeroChunk(custody.ChunkSize)
		} else if err := u.fill(ctx, p); err != nil {
			u.flying.Wait() // what was read is brought, and need not be again
			return err
		}
		if p.length == 0 {
			return nil
		}
		select {
		case u.pieces <- p:
		case <-ctx.Done():
			return ctx.Err()
		}
		if p.buffer != nil {
			u.flying.Add(1)
			u.group.Go(func() error {
				defer u.flying.Done()
				defer u.release(p)
				return u.bring(ctx, p)
			})
		}
		if p.length < custody.ChunkSize {
			return nil
		}
	}
}

// fill reads a piece, of length 0 at the end.
func (u *upload) fill(ctx context.Context, p *piece) error {
	select {
	case p.buffer = <-u.free:
	case <-ctx.Done():
		return ctx.Err()
	}
	if p.buffer == nil {
		p.buffer = new([custody.ChunkSize]byte)
	}
	p.shares.Store(2)
	n, err := io.ReadFull(u.source, p.buffer[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("read the artifact at byte %d: %w", p.index*custody.ChunkSize+uint64(n), err)
	}
	p.length = uint64(n)
	return nil
}

// bring hashes a piece and sends it unless that is not needed. Zeros are for
// measure to tell of.
func (u *upload) bring(ctx context.Context, p *piece) error {
	if isZero(p.bytes()) {
		p.digest <- custody.ZeroChunk(p.length)
		return nil
	}
	digest := custody.ChunkDigest(p.bytes())
	p.digest <- digest
	if u.offers.Load() {
		wanted, err := u.offer(ctx, []api.Chunk{{Index: p.index, Digest: digest, Length: p.length}})
		if err != nil {
			return err
		}
		if len(wanted) == 0 {
			u.settled(int(p.length), false)
			return nil
		}
	}
	err := u.client.persist(ctx, func() error { return u.client.putChunk(ctx, u.id, p.index, digest, p.bytes()) })
	if err == nil {
		u.settled(int(p.length), true)
	}
	return err
}

// mostOffered is how many chunks are offered at once.
const mostOffered = 1000

// measure takes the pieces in order: the SHA-256 over all, the root, and the
// chunks of zeros, of which the service is told together.
func (u *upload) measure(ctx context.Context) (custody.Artifact, error) {
	whole := sha256.New()
	var root custody.RootHash
	var size uint64
	var zeros []api.Chunk
	for p := range u.pieces {
		if p.buffer != nil {
			whole.Write(p.bytes())
		} else {
			hashZeros(whole, p.length)
		}
		u.release(p)
		var digest custody.Digest
		select {
		case digest = <-p.digest:
		case <-ctx.Done():
			return custody.Artifact{}, ctx.Err()
		}
		root.Add(digest)
		size += p.length
		if digest == custody.ZeroChunk(p.length) {
			zeros = append(zeros, api.Chunk{Index: p.index, Digest: digest, Length: p.length})
		}
		if len(zeros) == mostOffered {
			if err := u.offerZeros(ctx, zeros); err != nil {
				return custody.Artifact{}, err
			}
			zeros = zeros[:0]
		}
	}
	if err := u.offerZeros(ctx, zeros); err != nil {
		return custody.Artifact{}, err
	}
	a := custody.Artifact{Root: root.Root(), Size: size, ChunkSize: custody.ChunkSize}
	whole.Sum(a.SHA256[:0])
	return a, ctx.Err()
}

func (u *upload) offerZeros(ctx context.Context, zeros []api.Chunk) error {
	if len(zeros) == 0 {
		return nil
	}
	wanted, err := u.offer(ctx, zeros)
	if err != nil {
		return err
	}
	if len(wanted) > 0 {
		return fmt.Errorf("%w: it wants chunks of zeros sent", ErrUntrusted)
	}
	for _, z := range zeros {
		u.settled(int(z.Length), false)
	}
	return nil
}

// offer asks which chunks are wanted.
func (u *upload) offer(ctx context.Context, list []api.Chunk) (wanted []uint64, err error) {
	body, err := json.Marshal(api.Offer{Chunks: list})
	if err != nil {
		return nil, err
	}
	var answer api.Wanted
	err = u.client.persist(ctx, func() error {
		r, err := u.client.authed(ctx, func(string) (*http.Request, error) { //nolint:bodyclose // decode closes it
			q, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s/v1/evidence/%s/chunks", u.client.Server, u.id), bytes.NewReader(body))
			if err == nil {
				q.Header.Set("Content-Type", "application/json")
			}
			return q, err
		})
		if err != nil {
			return err
		}
		return decode(r, &answer)
	})
	if err == nil && !answer.Any {
		u.offers.Store(false)
	}
	return answer.Wanted, err
}

func (c *Client) putChunk(ctx context.Context, id custody.EvidenceID, index uint64, digest custody.Digest, b []byte) error {
	r, err := c.authed(ctx, func(string) (*http.Request, error) { //nolint:bodyclose // decode closes it
		q, err := http.NewRequestWithContext(ctx, http.MethodPut, fmt.Sprintf("%s/v1/evidence/%s/chunks/%d", c.Server, id, index), bytes.NewReader(b))
		if err == nil {
			q.Header.Set(api.ChunkDigest, digest.String())
		}
		return q, err
	})
	if err != nil {
		return fmt.Errorf("chunk %d: %w", index, err)
	}
	return decode(r, nil)
}

// firstPause is how long a request that failed waits before it is tried again;
// each time it waits twice as long.
const firstPause = 200 * time.Millisecond

// persist does what can be done again, while the service cannot be reached or
// says that it cannot now, for c.Patience.
func (c *Client) persist(ctx context.Context, do func() error) error {
	return c.persistFor(ctx, c.Patience, do)
}

func (c *Client) persistFor(ctx context.Context, patience time.Duration, do func() error) error {
	until := time.Now().Add(patience)
	for pause := firstPause; ; pause *= 2 {
		err := do()
		if err == nil || !passing(err) || time.Now().Add(pause).After(until) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// passing says whether an error may be over soon.
func passing(err error) bool {
	problem := new(Error)
	if errors.As(err, &problem) {
		return problem.Status == http.StatusServiceUnavailable || problem.Status == http.StatusTooManyRequests
	}
	return errors.Is(err, ErrUnreachable)
}

var zeroBlock [custody.BlockSize]byte

func isZero(b []byte) bool {
	for len(b) > 0 {
		n := min(len(b), len(zeroBlock))
		if !bytes.Equal(b[:n], zeroBlock[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}
