package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

// Received says what of an unfinished upload has arrived without a gap, from its
// first byte on, and is here for good.
type Received struct {
	Size   uint64          `json:"size"`             // bytes
	Chunks uint64          `json:"chunks"`           // that these bytes are
	Root   custody.Digest  `json:"root"`             // of these bytes
	SHA256 *custody.Digest `json:"sha256,omitempty"` // of these bytes, as the service measured it while they came as a stream; absent when it did not
	Next   uint64          `json:"next"`             // the byte to go on from: ?from= of the next PUT
	Broken bool            `json:"broken"`           // the last stream did not end as it should: these bytes are not sealed as received before one does
}

// putContent takes in an artifact, or the rest of one, as one stream of bytes:
// for those who have an HTTP client and nothing else. What has come of a stream
// that breaks is kept, chunk by chunk; a stream that ends is what there is: what
// an earlier one left behind its end is forgotten.
func (a *API) putContent(w http.ResponseWriter, r *http.Request) {
	u, err := a.uploading(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	asked, err := streamOf(r, u)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	leave, err := a.streams.enter(u.evidence, u.by)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	defer leave()
	m, err := a.goOn(r.Context(), u, asked)
	if err == nil {
		err = a.takeStream(w, r, u, m)
	}
	if err == nil {
		err = a.endStream(r, u, asked, m)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.replyReceived(w, r, u, m)
}

func (a *API) replyReceived(w http.ResponseWriter, r *http.Request, u upload, m *measured) {
	got := m.received()
	var err error
	if got.Broken, err = a.Intake.Broken(r.Context(), u.evidence); err != nil {
		a.fail(w, r, err)
		return
	}
	a.reply(w, r, http.StatusOK, got)
}

// stream is what a request says of the bytes that it brings.
type stream struct {
	from    uint64         // of the artifact, the first byte that comes
	content custody.Digest // of what this request brings; zero when it does not say
	whole   custody.Digest // of all the artifact, likewise
}

// streamOf reads a request's head, and refuses what cannot come to a good end
// before any of it is read.
func streamOf(r *http.Request, u upload) (s stream, err error) {
	if s.from, err = numberOf(r, "from", 0); err != nil {
		return s, err
	}
	switch {
	case u.sealed:
		return s, fmt.Errorf("%w: the item is sealed", ErrConflict)
	case s.from%custody.ChunkSize != 0:
		return s, fmt.Errorf("%w: from=%d is not a multiple of %d, the size of a chunk", guard.ErrMalformed, s.from, custody.ChunkSize)
	case r.Header.Get("Content-Range") != "":
		return s, fmt.Errorf("%w: give the first byte as ?from=, not in Content-Range", guard.ErrMalformed)
	case r.Header.Get("Content-Encoding") != "":
		return s, fmt.Errorf("%w: send the bytes as they are, without Content-Encoding", guard.ErrMalformed)
	case s.from > u.atMost, r.ContentLength > 0 && uint64(r.ContentLength) > u.atMost-s.from:
		return s, u.tooMuch()
	}
	return s, s.readDigests(r.Header)
}

func (u upload) tooMuch() error {
	return fmt.Errorf("%w: that is more than the %d bytes announced", ErrConflict, u.atMost)
}

// readDigests reads the fields Content-Digest and Repr-Digest, from the head or
// from the trailer of a request (RFC 9530). Of the algorithms SHA-256 counts: a
// field that has none could not be compared, and is refused.
func (s *stream) readDigests(h http.Header) error {
	for name, d := range map[string]*custody.Digest{"Content-Digest": &s.content, "Repr-Digest": &s.whole} {
		if len(h.Values(name)) == 0 {
			continue
		}
		found := false
		for member := range strings.SplitSeq(strings.Join(h.Values(name), ","), ",") {
			value, ok := strings.CutPrefix(strings.TrimSpace(member), "sha-256=")
			if !ok {
				continue
			}
			raw, err := base64.StdEncoding.Strict().DecodeString(strings.Trim(value, ":"))
			if err != nil || len(raw) != len(d) || len(value) < 2 || value[0] != ':' || value[len(value)-1] != ':' {
				return fmt.Errorf("%w: %s is not like sha-256=:…: with a SHA-256 in base64 (RFC 9530)", guard.ErrMalformed, name)
			}
			copy(d[:], raw)
			found = true
		}
		if !found {
			return fmt.Errorf("%w: %s has no sha-256=:…:, the only digest that is compared here: give that one, or none", guard.ErrMalformed, name)
		}
	}
	return nil
}

// measured is an upload as far as it is measured, while it comes.
type measured struct {
	root    custody.RootHash
	size    uint64
	whole   hash.Hash // SHA-256 of all of it; nil when its beginning was not measured
	content hash.Hash // SHA-256 of what this request has brought
}

// add takes in a chunk.
func (m *measured) add(digest custody.Digest, b []byte) {
	m.root.Add(digest)
	m.size += uint64(len(b))
	m.content.Write(b)
	if m.whole != nil {
		m.whole.Write(b)
	}
}

func (m *measured) received() Received {
	got := Received{Size: m.size, Chunks: m.root.Count(), Root: m.root.Root(), Next: m.size - m.size%custody.ChunkSize}
	if m.whole != nil {
		d := custody.Digest(m.whole.Sum(nil))
		got.SHA256 = &d
	}
	return got
}

// goOn returns the measure of what lies before the bytes that are to come.
func (a *API) goOn(ctx context.Context, u upload, s stream) (*measured, error) {
	m := &measured{whole: sha256.New(), content: sha256.New()}
	if s.from == 0 {
		return m, nil
	}
	here, err := a.arrived(ctx, u.evidence, s.from)
	if err != nil {
		return nil, err
	}
	if here.size != s.from {
		return nil, fmt.Errorf("%w: the first %d bytes are here; go on with ?from=%d", ErrConflict, here.size, here.received().Next)
	}
	if here.whole == nil && !s.whole.IsZero() {
		return nil, fmt.Errorf("%w: the SHA-256 of the first %d bytes is not known here any more, so that Repr-Digest could not be compared: "+
			"leave it out, or send all again", ErrConflict, s.from)
	}
	here.content = sha256.New()
	return here, nil
}

// arrived measures what of an upload is here without a gap, of the first most
// bytes.
func (a *API) arrived(ctx context.Context, e custody.EvidenceID, most uint64) (*measured, error) {
	m := &measured{}
	for more := m.size < most; more; {
		list, err := a.Intake.Have(ctx, e, m.root.Count(), chunkPage)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			if more = c.Index == m.root.Count() && m.size%custody.ChunkSize == 0 && m.size < most; !more {
				break
			}
			m.root.Add(c.Digest)
			m.size += c.Length
		}
		more = more && len(list) == chunkPage
	}
	m.whole = a.streams.whole(e, m.size, m.root.Root())
	return m, nil
}

// takeStream stores a request's body, chunk by chunk.
func (a *API) takeStream(w http.ResponseWriter, r *http.Request, u upload, m *measured) error {
	buffer := new([custody.ChunkSize]byte)
	for first := true; ; first = false {
		if !first { // whether he may still, is asked for each chunk
			if _, err := a.uploading(r); err != nil {
				return err
			}
		}
		ended, err := a.takeChunk(w, r, u, m, buffer, first)
		if ended || err != nil {
			return err
		}
	}
}

// takeChunk stores the next chunk of a request's body, if one comes. Only when
// it is here does it take a chunk's turn: a source may be slow.
func (a *API) takeChunk(w http.ResponseWriter, r *http.Request, u upload, m *measured, buffer *[custody.ChunkSize]byte, first bool) (ended bool, err error) {
	withinChunk(w)
	b, ended, err := fill(r.Body, buffer[:])
	if first && (err != nil || len(b) > 0) { // before anything of it is kept
		if failed := a.Intake.Break(context.WithoutCancel(r.Context()), u.incident, u.evidence, true); failed != nil {
			return false, failed
		}
	}
	if err != nil {
		next := m.received().Next
		return false, fmt.Errorf("%w: the stream broke off; %d bytes are here for good, go on with ?from=%d (%w)", guard.ErrMalformed, next, next, err)
	}
	switch {
	case len(b) == 0:
		return true, nil
	case m.size+uint64(len(b)) > u.atMost:
		return false, u.tooMuch()
	}
	digest := custody.ChunkDigest(b)
	withinChunk(w)
	if err := a.storeChunk(r, u, m.root.Count(), digest, b); err != nil {
		return false, err
	}
	m.add(digest, b)
	a.streams.note(u.evidence, m)
	return ended, nil
}

// withinChunk gives the next step of a chunk its time, to be read or to be stored.
func withinChunk(w http.ResponseWriter) {
	c, now := http.NewResponseController(w), time.Now()
	_, _ = c.SetReadDeadline(now.Add(chunkWithin)), c.SetWriteDeadline(now.Add(chunkWithin+answerWithin))
}

// How long it is waited before a chunk that could not be stored is tried again:
// the first time, and at most.
const (
	firstPause = 50 * time.Millisecond
	mostPause  = 2 * time.Second
)

// storeChunk stores a chunk of a stream, whose source has no other copy of it.
// While that cannot be, as when something of the incident is destroyed or the
// store does not answer, it tries again for a chunk's time, and waits without
// taking anybody's turn.
func (a *API) storeChunk(r *http.Request, u upload, index uint64, digest custody.Digest, b []byte) error {
	ctx, cancel := context.WithTimeout(r.Context(), chunkWithin)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		err := a.tryChunk(ctx, u, index, digest, b)
		if !errors.Is(err, guard.ErrUnavailable) && !errors.Is(err, guard.ErrTooMany) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
		if _, err := a.uploading(r); err != nil && !errors.Is(err, guard.ErrUnavailable) {
			return err
		}
	}
}

func (a *API) tryChunk(ctx context.Context, u upload, index uint64, digest custody.Digest, b []byte) error {
	leave, err := a.bodies.enter(ctx, u.by)
	if err != nil {
		return err
	}
	defer leave()
	return a.Intake.Put(ctx, u.incident, u.evidence, index, digest, bytes.NewReader(b))
}

// fill reads until the buffer is full or the stream has ended as it should. One
// that breaks off is an error, also in the middle: io.ReadFull does not tell.
func fill(r io.Reader, buffer []byte) (b []byte, ended bool, err error) {
	n := 0
	for n < len(buffer) {
		got, err := r.Read(buffer[n:])
		n += got
		if errors.Is(err, io.EOF) {
			return buffer[:n], true, nil
		}
		if err != nil {
			return nil, false, err
		}
	}
	return buffer[:n], false, nil
}

// endStream compares what came with what it was said to be. What is something
// else is not kept. A stream of no bytes, as of a program that failed before it
// wrote any, makes nothing be forgotten, unless a digest says that it is meant.
func (a *API) endStream(r *http.Request, u upload, asked stream, m *measured) error {
	// The trailer is there when the body has been read.
	err := asked.readDigests(r.Trailer)
	if err == nil && !asked.whole.IsZero() && m.whole == nil {
		err = fmt.Errorf("%w: the SHA-256 of all is not known here, so that Repr-Digest cannot be compared", ErrConflict)
	}
	other := func(said custody.Digest, got hash.Hash) bool {
		return !said.IsZero() && !bytes.Equal(said[:], got.Sum(nil))
	}
	keep := m.root.Count()
	switch {
	case err != nil, other(asked.content, m.content):
		keep = asked.from / custody.ChunkSize
		err = cmp.Or(err, ErrMismatch)
	case other(asked.whole, m.whole): // nobody knows where it differs
		keep, err = 0, ErrMismatch
	}
	if empty := m.size == asked.from; empty && (err != nil || asked.content.IsZero() && asked.whole.IsZero()) {
		return a.emptyStream(r, u, m, err)
	}
	if err != nil {
		a.streams.forget(u.evidence)
	}
	if cut := a.Intake.Cut(r.Context(), u.evidence, keep); cut != nil {
		return cut
	}
	if err == nil {
		err = a.Intake.Break(r.Context(), u.incident, u.evidence, false)
	}
	return err
}

// emptyStream ends a stream that brought nothing and was not said to be empty.
func (a *API) emptyStream(r *http.Request, u upload, m *measured, cause error) error {
	if cause != nil {
		return cause
	}
	behind, err := a.Intake.Have(r.Context(), u.evidence, m.root.Count(), 1)
	if err == nil && len(behind) > 0 {
		err = fmt.Errorf("%w: no bytes came, and chunks from byte %d on are here; none was forgotten. "+
			"If the artifact ends there, send the Content-Digest of no bytes", ErrConflict, m.size)
	}
	return err
}

// getReceived says how far an upload has come.
func (a *API) getReceived(w http.ResponseWriter, r *http.Request) {
	u, err := a.uploading(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	m, err := a.arrived(r.Context(), u.evidence, custody.MaxArtifact)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.replyReceived(w, r, u, m)
}

// streams knows of the uploads that come as streams: one at a time for an item,
// and a few at once, since each has a buffer of its own; of one person no more
// than leave some for others. How far the
// SHA-256 of a stream has come it remembers in memory, so that one that breaks
// can go on; a restart forgets it.
type streams struct {
	mu     sync.Mutex
	active map[custody.EvidenceID]custody.PrincipalID // whose it is
	known  map[custody.EvidenceID]known
}

// known is a SHA-256 under way: of the bytes with this size and root.
type known struct {
	size  uint64
	root  custody.Digest
	state []byte
}

const (
	maxStreams    = 4
	maxOwnStreams = 2
	maxKnown      = 1024
)

func newStreams() *streams {
	return &streams{active: map[custody.EvidenceID]custody.PrincipalID{}, known: map[custody.EvidenceID]known{}}
}

// enter lets a stream begin, and returns what ends it.
func (s *streams) enter(e custody.EvidenceID, by custody.PrincipalID) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := 0
	for _, p := range s.active {
		if p == by {
			own++
		}
	}
	_, active := s.active[e]
	switch {
	case active:
		return nil, fmt.Errorf("%w: another request is bringing this item", ErrConflict)
	case own >= maxOwnStreams:
		return nil, fmt.Errorf("%w: %d streams of yours are coming in, the most that one person can have; try again when one has ended", guard.ErrTooMany, own)
	case len(s.active) >= maxStreams:
		return nil, fmt.Errorf("%w: %d streams are coming in; try again", guard.ErrTooMany, maxStreams)
	}
	s.active[e] = by
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.active, e)
	}, nil
}

// note remembers how far the SHA-256 of an upload has come.
func (s *streams) note(e custody.EvidenceID, m *measured) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, e)
	state, ok := m.whole.(encoding.BinaryMarshaler)
	if !ok {
		return
	}
	b, err := state.MarshalBinary()
	if err != nil {
		return
	}
	for other := range s.known { // any: they are all as likely to be asked for
		if len(s.known) < maxKnown {
			break
		}
		delete(s.known, other)
	}
	s.known[e] = known{m.size, m.root.Root(), b}
}

// whole returns the SHA-256 of an upload's bytes, to go on with; nil when it is
// not known of just these.
func (s *streams) whole(e custody.EvidenceID, size uint64, root custody.Digest) hash.Hash {
	if size == 0 {
		return sha256.New()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.known[e]
	h := sha256.New()
	state, ok := h.(encoding.BinaryUnmarshaler)
	if k.size != size || k.root != root || !ok || state.UnmarshalBinary(k.state) != nil {
		return nil
	}
	return h
}

func (s *streams) forget(e custody.EvidenceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, e)
}

// streaming adds the routes of uploads that are streams. A stream has no
// deadline as a whole; each of its chunks has.
func (a *API) streaming(r chi.Router) {
	r.With(deadline(answerWithin)).Get("/evidence/{evidence}/received", a.getReceived)
	r.Put("/evidence/{evidence}/content", a.putContent)
}
