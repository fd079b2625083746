package guardtest

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/custody/policy"
	"github.com/forensic-custody/custody/investigate"
)

// Setup says what a World is made of. Everything has a default.
type Setup struct {
	Origin string      // name of the log: "custody.example/test"
	Seed   byte        // of all keys and all randomness
	Policy string      // policy.Default
	Store  guard.Store // one in memory

	Witnesses string // the first witness policy: custody.NoWitnesses

	Before  map[custody.Kind]func(context.Context, *custody.Statement) error // as in guard.Config
	Adopted func(*custody.WitnessPolicy)                                     // likewise
}

// ShortPolicy permits what the story needs. It stays as it is when the default policy
// changes, so that test vectors do, and takes little space.
const ShortPolicy = `@id("people")
permit (principal in Role::"administrator", action, resource is Principal);
@id("newcomer")
permit (principal in Role::"newcomer", action, resource);
@id("team")
permit (principal, action, resource) unless { principal in Role::"administrator" };
`

// Code is the one-time code of every World, valid for 15 minutes.
const Code = "let-me-in"

// World is a service with its log, and the people who use it.
type World struct {
	*guard.Guard
	Store  guard.Store
	Log    *Log
	Trust  *custody.Trust
	config guard.Config
	clock  *clock
	seed   byte
}

// New makes a World: its genesis is on record, and nobody is enrolled.
func New(ctx context.Context, s Setup) (*World, error) {
	if s.Origin == "" {
		s.Origin = "custody.example/test"
	}
	if s.Policy == "" {
		s.Policy = policy.Default
	}
	if s.Store == nil {
		s.Store = NewStore()
	}
	if s.Witnesses == "" {
		s.Witnesses = custody.NoWitnesses
	}
	logKey, logSigner, err := LogKey(s.Origin, s.Seed)
	if err != nil {
		return nil, err
	}
	log, err := NewLog(logSigner)
	if err != nil {
		return nil, err
	}
	keys, err := custody.NewLogKeys(logKey, nil)
	if err != nil {
		return nil, err
	}
	service, err := Key(s.Seed, "the service")
	if err != nil {
		return nil, err
	}
	w := &World{Store: s.Store, Log: log, clock: &clock{now: start}, seed: s.Seed}
	w.config = guard.Config{
		Origin: s.Origin, Store: s.Store, Log: log, LogKeys: keys, Words: investigate.Words(), States: investigate.States(), Service: service,
		Rand: randomness(s.Seed, "the service"), Now: w.clock.read, Before: s.Before, Adopted: s.Adopted,
		EnrolmentCode: custody.Hash([]byte(Code)), CodeExpires: start.Add(15 * time.Minute),
	}
	if w.Trust, err = guard.Create(ctx, w.config, logKey, s.Policy, s.Witnesses); err != nil {
		return nil, err
	}
	w.Guard, err = guard.Open(ctx, w.config)
	return w, err
}

// Reopen starts the service again, as after a crash, upon the same store and
// log. When that fails, the stopped one stays.
func (w *World) Reopen(ctx context.Context) error {
	if err := w.Close(); err != nil {
		return err
	}
	opened, err := guard.Open(ctx, w.config)
	if err == nil {
		w.Guard = opened
	}
	return err
}

// Replica starts a second service upon the same store and log.
func (w *World) Replica(ctx context.Context) (*guard.Guard, error) { return guard.Open(ctx, w.config) }

// Bundle writes the bundle of an item.
func (w *World) Bundle(ctx context.Context, e custody.EvidenceID, leaves bool, out io.Writer) error {
	c, err := w.Contents(ctx, e, leaves)
	if err != nil {
		return err
	}
	return bundle.Write(out, c)
}

// Contents gathers the bundle of an item.
func (w *World) Contents(ctx context.Context, e custody.EvidenceID, leaves bool) (*bundle.Contents, error) {
	return bundle.Collect(ctx, source{w.Store, w.Log}, e, leaves)
}

// IncidentContents gathers the bundle of an incident.
func (w *World) IncidentContents(ctx context.Context, i custody.IncidentID, leaves bool) (*bundle.Contents, error) {
	return bundle.CollectIncident(ctx, source{w.Store, w.Log}, i, leaves)
}

// source lets bundle.Collect read a store and a log.
type source struct {
	store guard.Store
	*Log
}

func (s source) Stream(ctx context.Context, name custody.Stream) ([]bundle.Found, custody.TagKey, error) {
	info, err := s.store.Stream(ctx, name)
	if err != nil {
		return nil, custody.TagKey{}, err
	}
	records, err := s.store.Records(ctx, name, 0, int(info.Proven), true)
	if err != nil {
		return nil, custody.TagKey{}, err
	}
	list := make([]bundle.Found, len(records))
	for i, r := range records {
		list[i] = found(r)
	}
	return list, info.TagKey, nil
}

func (s source) Record(ctx context.Context, payload custody.Digest) (bundle.Found, custody.Stream, error) {
	r, err := s.store.ByPayload(ctx, payload)
	return found(r), r.Stream, err
}

func (s source) Declaring(ctx context.Context, name custody.Stream) (bundle.Found, custody.Stream, error) {
	info, err := s.store.Stream(ctx, name)
	if err != nil {
		return bundle.Found{}, "", err
	}
	r, err := s.store.ByPayload(ctx, info.DeclaredBy)
	return found(r), r.Stream, err
}

func (s source) Length(ctx context.Context, name custody.Stream) (uint64, error) {
	info, err := s.store.Stream(ctx, name)
	return info.Length, err
}

func found(r guard.Stored) bundle.Found {
	return bundle.Found{Bytes: r.Record, Leaf: r.Leaf, Opening: r.Opening, Tag: r.Leaf.Tag(), Payload: r.Payload}
}

// Person is somebody with a key, enrolled or not.
type Person struct {
	Name  string
	ID    custody.PrincipalID // empty until enrolled
	Key   custody.Signer
	world *World
	nonce io.Reader
}

// Person returns somebody of that name whom nobody has enrolled. The same name
// is the same key.
func (w *World) Person(name string) (*Person, error) {
	key, err := Key(w.seed, name)
	return &Person{Name: name, Key: key, world: w, nonce: randomness(w.seed, "nonces of "+name)}, err
}

// Header returns the header of the next statement of p. A second passes.
func (p *Person) Header(purpose string) (custody.Header, error) {
	now := custody.TimeOf(p.world.clock.pass(time.Second))
	h := custody.Header{
		Actor: p.ID, Audience: p.world.config.Origin, Time: now, Expires: now.Add(time.Minute), Purpose: purpose,
	}
	_, err := io.ReadFull(p.nonce, h.Nonce[:])
	return h, err
}

// Sign returns the bytes of an envelope.
func (p *Person) Sign(purpose string, act custody.Act) ([]byte, error) {
	h, err := p.Header(purpose)
	if err != nil {
		return nil, err
	}
	return Seal(p.Key, h, act)
}

// Seal signs act under header and returns the bytes of the envelope.
func Seal(key custody.Signer, h custody.Header, act custody.Act) ([]byte, error) {
	e, err := custody.Sign(key, h, act)
	if err != nil {
		return nil, err
	}
	return e.Marshal()
}

// Does signs a statement and sends it.
func (p *Person) Does(ctx context.Context, purpose string, act custody.Act) (*guard.Admission, error) {
	b, err := p.Sign(purpose, act)
	if err != nil {
		return nil, err
	}
	return p.world.Admit(ctx, b, "")
}

// Enrols enrols another with roles. The administrator who enrols himself is the first.
func (p *Person) Enrols(ctx context.Context, other *Person, roles ...custody.Role) error {
	proof, err := custody.ProvePossession(other.Key, p.world.config.Origin, other.Name)
	if err != nil {
		return err
	}
	b, err := p.Sign("", &custody.EnrolPrincipal{
		Contact: "+49 30 1234", Key: other.Key.Public().Bytes(), Name: other.Name, Possession: proof, Title: "of the team",
	})
	if err != nil {
		return err
	}
	code := ""
	if p == other {
		code = Code
	}
	a, err := p.world.Admit(ctx, b, code)
	if err = permitted(a, err); err != nil {
		return fmt.Errorf("enrol %s: %w", other.Name, err)
	}
	other.ID = custody.NewPrincipalID(PayloadOf(b))
	for _, r := range roles {
		a, err := p.Does(ctx, "", &custody.GrantRole{Principal: other.ID, Role: r})
		if err := permitted(a, err); err != nil {
			return fmt.Errorf("grant %s %s: %w", other.Name, r, err)
		}
	}
	return nil
}

func permitted(a *guard.Admission, err error) error {
	if err == nil && !a.Permit {
		err = errors.New(a.Reason)
	}
	return err
}

// PayloadOf returns the payload digest of an envelope, zero for what is none.
func PayloadOf(envelope []byte) custody.Digest {
	e, err := custody.ParseEnvelope(envelope)
	if err != nil {
		return custody.Digest{}
	}
	return custody.Hash(e.Payload)
}

// start is when every World begins.
var start = time.Date(2026, time.November, 23, 21, 5, 0, 0, time.UTC)

// Pass lets time pass.
func (w *World) Pass(d time.Duration) { w.clock.pass(d) }

// Now returns the time of the service.
func (w *World) Now() time.Time { return w.clock.read() }

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time { return c.pass(0) }

func (c *clock) pass(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

// Key returns the Ed25519 key of a name.
func Key(seed byte, name string) (custody.Signer, error) {
	return custody.NewSigner(ed25519.NewKeyFromSeed(digest(seed, name)))
}

// LogKey returns a log's key: for verifiers in text, and to sign with.
func LogKey(origin string, seed byte) (string, note.Signer, error) {
	private := digest(seed, "the log "+origin)
	public, ok := ed25519.NewKeyFromSeed(private).Public().(ed25519.PublicKey)
	if !ok {
		return "", nil, errors.New("not an Ed25519 key")
	}
	verifier, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return "", nil, err
	}
	v, err := note.NewVerifier(verifier)
	if err != nil {
		return "", nil, err
	}
	const ed25519Key = 1 // c2sp.org/signed-note, signature types
	signer, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", origin, v.KeyHash(),
		base64.StdEncoding.EncodeToString(append([]byte{ed25519Key}, private...))))
	return verifier, signer, err
}

// Witness is a witness of the log, with a key of its own.
type Witness struct {
	Name string // in policies, and of its key
	Key  string // verifier key
	key  ed25519.PrivateKey
}

// NewWitness returns the witness of a name.
func NewWitness(seed byte, name string) (*Witness, error) {
	w := &Witness{Name: name, key: ed25519.NewKeyFromSeed(digest(seed, "the witness "+name))}
	public, ok := w.key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("not an Ed25519 key")
	}
	var err error
	w.Key, err = custody.WitnessKey(name, public)
	return w, err
}

// Cosign returns the line by which the witness says that it saw a checkpoint.
func (w *Witness) Cosign(c custody.Checkpoint, at custody.Time) (string, error) {
	return custody.Cosign(w.Name, w.key, c, at)
}

func digest(seed byte, name string) []byte {
	d := sha256.Sum256(binary.BigEndian.AppendUint16([]byte(name), uint16(seed)))
	return d[:]
}

// randomness returns bytes that depend on seed and name only, to as many as ask.
func randomness(seed byte, name string) io.Reader {
	return &randomBytes{seed: digest(seed, "randomness of "+name)}
}

// randomBytes are the SHA-256 of a seed and a number, number after number.
type randomBytes struct {
	mu   sync.Mutex
	seed []byte
	n    uint64
	left []byte
}

func (r *randomBytes) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.left) == 0 {
		block := sha256.Sum256(binary.BigEndian.AppendUint64(r.seed[:len(r.seed):len(r.seed)], r.n))
		r.left = block[:]
		r.n++
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}
