package storage

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

// maxChunkObject is the length in bytes of the largest chunk in the bucket.
const maxChunkObject = custody.ChunkSize + overhead

// defaultBuffers bounds the memory for chunks at about 100 MB for each of the two
// purposes.
const defaultBuffers = 12

// Config is what a vault is made of.
type Config struct {
	Bucket     Bucket           // where everything lies
	Identity   Identity         // the service's, which opens incidents' keys
	Recipients []age.Recipient  // whom incidents' keys are wrapped for: the service, and the escrow if there is one
	Rand       io.Reader        // keys and nonces, for use by several goroutines; nil: crypto/rand
	Now        func() time.Time // against which a pass expires; nil: time.Now
	Abilities  Abilities        // what the bucket's Probe returned; zero: nothing can be locked
	Buffers    int              // of 8 MiB, for all that is written and checked at one time; 0: 12. A chunk that comes holds one, a check up to three
	Readers    int              // buffers more for what is handed out; 0: 12. A reader holds up to three, all of one person all but one
}

// Vault keeps artifacts in a bucket, in chunks, encrypted under keys of their
// incident. Its methods may be called at the same time, and by several
// processes on one bucket that allows for that.
type Vault struct {
	bucket  Bucket
	ring    *keyring
	random  io.Reader
	now     func() time.Time
	buffers *buffers // for what comes in, and what the vault reads for itself
	readers *buffers // for what is handed out
	second  *buffers // in which a writer, who holds a buffer, looks at what is there
	press   *press
	zeros   []byte // a chunk of them

	abilities Abilities

	mu       sync.Mutex
	known    map[custody.IncidentID]*incidentKeys
	durable  map[custody.IncidentID]bool // whose keys may encrypt
	shredded map[custody.IncidentID]bool // by this vault
	gates    map[custody.IncidentID]*gate
}

// ErrMismatch says that bytes or chunks are not what they were announced as.
var ErrMismatch = errors.New("not what it was announced as")

// ErrDamaged says that what the bucket holds is not what was put there.
// errors.As a *DamageError tells where.
var ErrDamaged = errors.New("damaged in the bucket")

// DamageError tells what is damaged. errors.Is ErrDamaged.
type DamageError struct {
	Key    string      // of the object in the bucket
	Range  guard.Range // of the artifact's bytes that cannot be had; empty when the object belongs to no artifact
	Reason error       // what is wrong with the object
}

// Error implements error.
func (e *DamageError) Error() string {
	what := e.Key
	if e.Range.Length > 0 {
		what = fmt.Sprintf("%s, the artifact's %d bytes from %d,", e.Key, e.Range.Length, e.Range.Offset)
	}
	return fmt.Sprintf("%s: %v: %v", what, ErrDamaged, e.Reason)
}

// Is reports whether target is ErrDamaged, or ErrKeysLost where the object is a
// file of keys.
func (e *DamageError) Is(target error) bool {
	return target == ErrDamaged || target == ErrKeysLost && isKeyFile(e.Key)
}

// New returns a vault on c.Bucket. It fails when c.Identity does not open what
// is wrapped for c.Recipients.
func New(c Config) (*Vault, error) {
	if c.Bucket == nil || c.Identity == nil || len(c.Recipients) == 0 {
		return nil, errors.New("a vault needs a bucket, an identity and its recipient")
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Buffers == 0 {
		c.Buffers = defaultBuffers
	}
	if c.Readers == 0 {
		c.Readers = defaultBuffers
	}
	spares := newSpares()
	ring, err := newKeyring(c.Identity, c.Recipients)
	if err != nil {
		return nil, err
	}
	press, err := newPress()
	if err != nil {
		return nil, err
	}
	return &Vault{
		bucket: c.Bucket, ring: ring, random: c.Rand, now: c.Now,
		buffers: newBuffers(c.Buffers, spares), readers: newBuffers(c.Readers, spares), second: newBuffers(2, spares), press: press, zeros: make([]byte, custody.ChunkSize),
		abilities: c.Abilities, shredded: map[custody.IncidentID]bool{}, gates: map[custody.IncidentID]*gate{},
		known: map[custody.IncidentID]*incidentKeys{}, durable: map[custody.IncidentID]bool{},
	}, nil
}

// PutChunk stores what source has, a chunk of 1 to custody.ChunkSize bytes whose
// digest is want (ErrMismatch when it is not), and returns it for Seal. It is
// durable once Seal has returned. The chunk is read into a buffer of the vault,
// which is waited for, and encrypted there: whoever brings it slowly should be
// given a limit of time. An error of source is returned.
//
// Zeros are not stored. A chunk that the incident has already is read and
// held against its tag. If it is sound, it is not written again; if it is damaged, the one
// that was brought is put over it, and with it whatever shares the chunk can be
// read again. ErrBusy as of Take.
func (v *Vault) PutChunk(ctx context.Context, incident custody.IncidentID, source io.Reader, want custody.Digest) (Chunk, error) {
	return v.BringChunk(ctx, incident, source, want, func(Chunk, bool) error { return nil })
}

// BringChunk is PutChunk for somebody who depends on the chunk: between its being
// stored, or found, and the return of note nothing of the incident is removed.
// note is told whether the chunk was put over a damaged one.
func (v *Vault) BringChunk(ctx context.Context, incident custody.IncidentID, source io.Reader, want custody.Digest, note func(c Chunk, mended bool) error) (Chunk, error) {
	c, err := v.bringChunk(ctx, incident, source, want, note)
	if err != nil {
		return Chunk{}, fmt.Errorf("put a chunk: %w", err)
	}
	return c, nil
}

func (v *Vault) bringChunk(ctx context.Context, incident custody.IncidentID, source io.Reader, want custody.Digest, note func(Chunk, bool) error) (Chunk, error) {
	early, err := v.Take(incident) // before anything is read for nothing
	if err != nil {
		return Chunk{}, err
	}
	early.End()
	buf, err := v.buffers.take(ctx)
	if err != nil {
		return Chunk{}, err
	}
	defer func() { v.buffers.give(buf) }()
	n, err := readChunkFrom(source, buf[headerSize:headerSize+custody.ChunkSize])
	if err == nil {
		err = v.measure(buf[headerSize:headerSize+n], want)
	}
	if err != nil {
		return Chunk{}, err
	}
	c := Chunk{Digest: want, Length: uint32(n)}
	taking, err := v.Take(incident) // not while a slow client sends
	if err != nil {
		return Chunk{}, err
	}
	defer taking.End()
	k, err := v.keysForWriting(ctx, incident)
	mended := false
	if err == nil && !c.Zero() {
		buf, c.Version, mended, err = v.putChunk(ctx, k, c, buf)
	}
	if err != nil {
		return Chunk{}, err
	}
	return c, note(c, mended)
}

// readChunkFrom reads all of source, which must fit into room.
func readChunkFrom(source io.Reader, room []byte) (int, error) {
	n, err := io.ReadFull(source, room)
	if err == nil {
		var more int
		if more, err = io.ReadFull(source, make([]byte, 1)); more > 0 {
			return 0, fmt.Errorf("%w: a chunk has at most %d bytes", ErrMismatch, len(room))
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return n, err
}

// measure returns nil when plain is the chunk with this digest. Zeros are not
// hashed.
func (v *Vault) measure(plain []byte, want custody.Digest) error {
	if len(plain) == 0 || len(plain) > custody.ChunkSize {
		return fmt.Errorf("%w: a chunk has 1 to %d bytes, not %d", ErrMismatch, custody.ChunkSize, len(plain))
	}
	var got custody.Digest
	if bytes.Equal(plain, v.zeros[:len(plain)]) {
		got = custody.ZeroChunk(uint64(len(plain)))
	} else {
		got = custody.ChunkDigest(plain)
	}
	if got != want {
		return fmt.Errorf("%w: the digest is %s instead of %s", ErrMismatch, got, want)
	}
	return nil
}

// putChunk stores a chunk, whose plaintext stands behind room for a header in
// buf, unless the bucket has it. It returns the buffer to go on with, which is
// buf or what buf was exchanged for, the version under which the bucket has the
// chunk, and whether it was put over a damaged one.
func (v *Vault) putChunk(ctx context.Context, k *incidentKeys, c Chunk, buf []byte) (_ []byte, version string, mended bool, err error) {
	there, err := v.current(ctx, k, c)
	if mended = errors.Is(err, ErrDamaged); !mended && !errors.Is(err, ErrNotFound) {
		return buf, there, false, err
	}
	put := v.bucket.Put
	if mended {
		put = v.bucket.Replace
	}
	codec, body := codecNone, buf[headerSize:headerSize+int(c.Length)]
	packed, err := v.buffers.exchange(buf, func(spare []byte) (err error) {
		body, err = v.press.pack(spare[headerSize:], body)
		return err
	})
	if err == nil {
		buf, codec = packed, codecZstd
	} else if !errors.Is(err, errDoesNotPay) {
		return buf, "", false, err
	}
	a := chunkAddress(k, c)
	object, err := seal(buf, k, a, codec, int(c.Length), body, v.random)
	if err != nil {
		return buf, "", false, err
	}
	version, err = put(ctx, a.key(), object)
	if errors.Is(err, ErrExists) { // since we looked, or we were first and the answer was lost
		version, err = v.current(ctx, k, c)
	}
	return buf, version, mended, err
}

// current reads what the bucket has under a chunk's name now, for somebody who
// holds a buffer, and returns its version where it is the chunk, as of authentic.
func (v *Vault) current(ctx context.Context, k *incidentKeys, c Chunk) (version string, err error) {
	c.Version = ""
	o, err := v.find(ctx, k, c)
	if err != nil {
		return "", err
	}
	buf, err := v.second.take(ctx)
	if err != nil {
		return "", err
	}
	defer v.second.give(buf)
	c.Version = o.Version
	return o.Version, v.authentic(ctx, k, c, buf)
}

// authentic reads a chunk's version, all of it, and returns nil when it is what the
// vault put there: the tag, which covers every byte, binds it to the address, and
// the address to the chunk's digest, which was verified before it was put. So
// whether a chunk is there already costs no decompression and no hash; whoever
// is handed bytes has both done again.
func (v *Vault) authentic(ctx context.Context, k *incidentKeys, c Chunk, buf []byte) error {
	a := chunkAddress(k, c)
	h, _, err := v.readObject(ctx, k, a, c.Version, buf[:uint64(c.Length)+overhead])
	if err == nil && h.length != uint64(c.Length) {
		err = &DamageError{Key: a.key(), Reason: fmt.Errorf("it holds %d bytes instead of %d", h.length, c.Length)}
	}
	return err
}

// Verify reads a chunk and returns it with the version under which it is sound, as
// the vault put it there: its own or, where that is damaged, one that was put over
// it. ErrDamaged when neither is.
func (v *Vault) Verify(ctx context.Context, incident custody.IncidentID, c Chunk) (Chunk, error) {
	if c.Zero() {
		return c, nil
	}
	k, err := v.keys(ctx, incident)
	if err != nil {
		return Chunk{}, damage(err, wrappedKey(incident, 1), guard.Range{})
	}
	buf, err := v.buffers.take(ctx)
	if err != nil {
		return Chunk{}, err
	}
	defer v.buffers.give(buf)
	if err = v.authentic(ctx, k, c, buf); err == nil {
		return c, nil
	}
	key := chunkAddress(k, c).key()
	if err = damage(err, key, guard.Range{}); !errors.Is(err, ErrDamaged) {
		return Chunk{}, err
	}
	c.Version = ""
	o, again := v.find(ctx, k, c)
	if again == nil {
		c.Version = o.Version
		again = v.authentic(ctx, k, c, buf)
	}
	if again == nil || !errors.Is(again, ErrDamaged) && !errors.Is(again, ErrNotFound) {
		return c, again
	}
	return Chunk{}, err
}

// find looks a chunk up under its version. ErrDamaged when what is there cannot
// be it.
func (v *Vault) find(ctx context.Context, k *incidentKeys, c Chunk) (Object, error) {
	key := chunkAddress(k, c).key()
	o, err := v.bucket.Stat(ctx, key, c.Version)
	if err != nil {
		return Object{}, err
	}
	if o.Size <= overhead || o.Size > int64(c.Length)+overhead {
		return Object{}, &DamageError{Key: key, Reason: fmt.Errorf("%d bytes cannot be a chunk of %d", o.Size, c.Length)}
	}
	return o, nil
}

// readChunk reads a chunk and verifies it. It returns its plaintext and the
// buffer that this is a part of: buf, or the one that buf was exchanged for.
// span is the chunk's place in an artifact. Where the chunk's version is damaged,
// one that was put over it serves.
func (v *Vault) readChunk(ctx context.Context, k *incidentKeys, c Chunk, span guard.Range, buf []byte) ([]byte, []byte, error) {
	plain, buf, err := v.readVersion(ctx, k, c, buf)
	if err = damage(err, chunkAddress(k, c).key(), span); !errors.Is(err, ErrDamaged) || c.Version == "" {
		return plain, buf, err
	}
	c.Version = ""
	plain, buf, again := v.readVersion(ctx, k, c, buf)
	switch {
	case again == nil:
		err = nil
	case !errors.Is(again, ErrDamaged) && !errors.Is(again, ErrNotFound) && !errors.Is(again, ErrTooLarge):
		err = again // not known
	}
	return plain, buf, err
}

// readVersion is readChunk of one version. It does not say which bytes of an
// artifact its errors are about.
func (v *Vault) readVersion(ctx context.Context, k *incidentKeys, c Chunk, buf []byte) ([]byte, []byte, error) {
	a := chunkAddress(k, c)
	h, plain, err := v.readObject(ctx, k, a, c.Version, buf[:uint64(c.Length)+overhead])
	if err == nil && h.length != uint64(c.Length) {
		err = &DamageError{Key: a.key(), Reason: fmt.Errorf("it holds %d bytes instead of %d", h.length, c.Length)}
	}
	if err == nil && h.codec == codecZstd {
		buf, err = v.buffers.exchange(buf, func(spare []byte) (err error) {
			plain, err = v.press.unpack(spare, plain, h.length)
			return err
		})
		if err != nil {
			err = &DamageError{Key: a.key(), Reason: err}
		}
	}
	if err == nil && custody.ChunkDigest(plain) != c.Digest {
		err = &DamageError{Key: a.key(), Reason: errors.New("the bytes do not have the chunk's digest")}
	}
	if err != nil {
		return nil, buf, err
	}
	return plain, buf, nil
}

// readObject reads and decrypts an object of at most len(buf) bytes, into buf.
func (v *Vault) readObject(ctx context.Context, k *incidentKeys, a address, version string, buf []byte) (header, []byte, error) {
	n, err := v.bucket.Get(ctx, a.key(), version, buf)
	if err != nil {
		return header{}, nil, err
	}
	h, body, err := unseal(buf[:n], k, a)
	if err != nil {
		return header{}, nil, &DamageError{Key: a.key(), Reason: err}
	}
	return h, body, nil
}

// damage says which bytes of an artifact an error is about when the error means
// that they are not in the bucket as they were put there.
func damage(err error, key string, span guard.Range) error {
	var d *DamageError
	switch {
	case errors.As(err, &d):
		return &DamageError{Key: d.Key, Range: span, Reason: d.Reason}
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrTooLarge):
		return &DamageError{Key: key, Range: span, Reason: err}
	}
	return err
}

// Open returns the bytes r of the artifact that pass is for. The pass must
// permit r now, and each chunk's part of it again at the time when that part is
// handed out (guard.ErrNoPass). The caller closes the reader.
func (v *Vault) Open(ctx context.Context, pass guard.Pass, r guard.Range) (*Reader, error) {
	permit := func(part guard.Range) error { return pass.Permits(part, v.now()) }
	if err := permit(r); err != nil {
		return nil, err
	}
	return v.open(ctx, pass.Incident(), pass.Artifact(), r, reading{v.readers, pass.Holder(), permit})
}

// reading is how an artifact is read: with which buffers, by whom, and what permits
// each part.
type reading struct {
	buffers *buffers
	who     custody.PrincipalID
	permit  func(guard.Range) error
}

func (v *Vault) open(ctx context.Context, incident custody.IncidentID, a custody.Artifact, r guard.Range, as reading) (*Reader, error) {
	if r.Offset > a.Size || r.Length > a.Size-r.Offset {
		return nil, fmt.Errorf("open the artifact %s: it has %d bytes, not %d from %d", a.Root, a.Size, r.Length, r.Offset)
	}
	k, err := v.keys(ctx, incident)
	if err != nil {
		err = damage(err, wrappedKey(incident, 1), guard.Range{Length: a.Size})
		return nil, fmt.Errorf("open the artifact %s: %w", a.Root, err)
	}
	m, err := v.readManifest(ctx, k, a.Root, a.Size)
	if err != nil {
		return nil, fmt.Errorf("open the artifact %s: %w", a.Root, err)
	}
	return newReader(ctx, v, k, m, r, as), nil
}

// Check reads a sealed artifact back whole and returns what it is: the root,
// which is as asked for, since every chunk was measured and the chunks give the
// root, and the SHA-256 of the stream. No byte of it leaves. ErrDamaged when the
// artifact cannot be had whole; ErrKeysLost too where it is the incident's keys
// that cannot be had.
func (v *Vault) Check(ctx context.Context, incident custody.IncidentID, root custody.Digest, size uint64) (custody.Artifact, error) {
	all := guard.Range{Length: size}
	// Whatever the vault remembers: keys that only it has are lost when it ends.
	if _, _, err := v.loadKeys(ctx, incident, v.ring); err != nil {
		return custody.Artifact{}, fmt.Errorf("check the artifact %s: %w", root, damage(err, wrappedKey(incident, 1), all))
	}
	r, err := v.open(ctx, incident, custody.Artifact{Root: root, Size: size}, all, reading{v.buffers, "", func(guard.Range) error { return nil }})
	if err != nil {
		return custody.Artifact{}, err
	}
	whole := sha256.New()
	n, err := r.WriteTo(whole)
	if err := errors.Join(err, r.Close()); err != nil {
		return custody.Artifact{}, fmt.Errorf("check the artifact %s: %w", root, err)
	}
	return custody.Artifact{
		Root: root, SHA256: custody.Digest(whole.Sum(nil)), Size: uint64(n), ChunkSize: custody.ChunkSize,
	}, nil
}
