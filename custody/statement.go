package custody

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// The constants of a statement's form: in-toto Statement v1 in a DSSE envelope.
const (
	StatementType       = "https://in-toto.io/Statement/v1"
	PayloadType         = "application/vnd.in-toto+json"
	predicateTypePrefix = "https://github.com/forensic-custody/custody/statement/"
	predicateTypeSuffix = "/v1"
)

// MaxStatement is the largest envelope in bytes that anybody accepts.
const MaxStatement = 64 << 10

// MaxValidity is the longest time between a statement's time and its expiry.
const MaxValidity = 5 * time.Minute

// Kind is the type of a statement: "evidence.retrieve".
type Kind string

// Nonce makes two statements that say the same differ: 128 random bits, in
// text 32 hexadecimal digits.
type Nonce [16]byte

// AppendText implements encoding.TextAppender.
func (n Nonce) AppendText(b []byte) ([]byte, error) { return hex.AppendEncode(b, n[:]), nil }

// MarshalText implements encoding.TextMarshaler.
func (n Nonce) MarshalText() ([]byte, error) { return n.AppendText(nil) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *Nonce) UnmarshalText(b []byte) error {
	if len(b) != 2*len(n) {
		return errors.New("nonce is not 32 hexadecimal digits")
	}
	if _, err := hex.Decode(n[:], b); err != nil {
		return fmt.Errorf("nonce: %w", err)
	}
	return nil
}

// Statement is what a principal says and signs.
type Statement struct {
	Payload Digest // of the signed bytes: the statement's identity
	Signer  KeyID  // as the envelope names it
	Kind    Kind
	Header
	Act Act
}

// Header is what every statement says beside its act.
type Header struct {
	Actor    PrincipalID `json:"actor"`    // who speaks; empty in a statement that brings its own signer into being
	Audience string      `json:"audience"` // origin of the log that may record it
	Expires  Time        `json:"expires"`  // it may not be recorded later
	Nonce    Nonce       `json:"nonce"`
	Purpose  string      `json:"purpose"` // why, in the actor's words
	Time     Time        `json:"time"`    // when the actor signed
}

type payload struct {
	Type          string    `json:"_type"`
	Predicate     predicate `json:"predicate"`
	PredicateType string    `json:"predicateType"`
	Subject       []subject `json:"subject"`
}

// appendCanonical implements appender.
func (p *payload) appendCanonical(b []byte) []byte {
	act, err := Encode(p.Predicate.Act)
	if err != nil {
		return nil
	}
	h := &p.Predicate.Header
	b = appendString(append(b, `{"_type":`...), p.Type)
	b = append(append(b, `,"predicate":{"act":`...), act...)
	b = appendString(append(b, `,"actor":`...), h.Actor)
	b = appendString(append(b, `,"audience":`...), h.Audience)
	b = appendText(append(b, `,"expires":`...), h.Expires)
	b = appendText(append(b, `,"nonce":`...), h.Nonce)
	b = appendString(append(b, `,"purpose":`...), h.Purpose)
	b = appendText(append(b, `,"time":`...), h.Time)
	b = appendString(append(b, `},"predicateType":`...), p.PredicateType)
	b = appendList(append(b, `,"subject":`...), p.Subject, appendSubject)
	return append(b, '}')
}

func appendSubject(b []byte, s subject) []byte {
	b = appendString(append(b, `{"digest":{"sha256":`...), s.Digest.SHA256)
	b = appendString(append(b, `},"name":`...), s.Name)
	return append(b, '}')
}

type predicate struct {
	Act Act `json:"act"`
	Header
}

type subject struct {
	Digest subjectDigest `json:"digest"`
	Name   string        `json:"name"`
}

type subjectDigest struct {
	SHA256 string `json:"sha256"`
}

// Subject says what an act is about. Its digest in the statement is the
// artifact's when there is one, and otherwise SHA-256 of the name.
type Subject struct {
	Name   string
	SHA256 Digest // zero when there are no bytes yet
}

func (s Subject) encode() []subject {
	d := s.SHA256
	if d.IsZero() {
		d = Hash([]byte(s.Name))
	}
	return []subject{{Name: s.Name, Digest: subjectDigest{SHA256: d.Hex()}}}
}

// Vocabulary names the kinds of statement that a program knows. It is put
// together in one place and handed to whoever reads statements.
type Vocabulary map[Kind]func() Act

// With returns the union of both vocabularies.
func (v Vocabulary) With(other Vocabulary) Vocabulary {
	u := Vocabulary{}
	for _, w := range []Vocabulary{v, other} {
		for k, f := range w {
			u[k] = f
		}
	}
	return u
}

// Envelope is a DSSE envelope with one signature. Its bytes are canonical JSON.
type Envelope struct {
	Payload     []byte      `json:"payload"` // the signed bytes, base64
	PayloadType string      `json:"payloadType"`
	Signatures  []Signature `json:"signatures"` // exactly one
}

// Signature is one signature over an envelope's payload.
type Signature struct {
	KeyID KeyID  `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// Sign makes an envelope of what act says under header.
func Sign(s Signer, h Header, act Act) (*Envelope, error) {
	b, err := Encode(payload{
		Type:          StatementType,
		Predicate:     predicate{Act: act, Header: h},
		PredicateType: predicateTypePrefix + string(act.Kind()) + predicateTypeSuffix,
		Subject:       act.Subject().encode(),
	})
	if err != nil {
		return nil, err
	}
	sig, err := s.Sign(dsse.PAE(PayloadType, b))
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", act.Kind(), err)
	}
	return &Envelope{Payload: b, PayloadType: PayloadType, Signatures: []Signature{{KeyID: s.Public().ID(), Sig: sig}}}, nil
}

// Marshal returns the envelope's canonical bytes.
func (e *Envelope) Marshal() ([]byte, error) { return Encode(e) }

// ParseEnvelope accepts exactly what Marshal writes.
func ParseEnvelope(b []byte) (*Envelope, error) {
	if len(b) > MaxStatement {
		return nil, fmt.Errorf("statement: larger than %d bytes", MaxStatement)
	}
	e := new(Envelope)
	if err := Decode(b, e); err != nil {
		return nil, fmt.Errorf("statement: envelope: %w", err)
	}
	return e, nil
}

// appendCanonical implements appender.
func (e *Envelope) appendCanonical(b []byte) []byte {
	b = appendBase64(append(b, `{"payload":`...), e.Payload)
	b = appendString(append(b, `,"payloadType":`...), e.PayloadType)
	b = appendList(append(b, `,"signatures":`...), e.Signatures, appendSignature)
	return append(b, '}')
}

func appendSignature(b []byte, s Signature) []byte {
	b = appendText(append(b, `{"keyid":`...), s.KeyID)
	b = appendBase64(append(b, `,"sig":`...), s.Sig)
	return append(b, '}')
}

// Verify checks the envelope's one signature.
func (e *Envelope) Verify(key PublicKey) error {
	if len(e.Signatures) != 1 || e.Signatures[0].KeyID != key.ID() {
		return errors.New("statement: not signed by exactly this key")
	}
	if e.PayloadType != PayloadType {
		return fmt.Errorf("statement: payload type %.80q is not %q", e.PayloadType, PayloadType)
	}
	if err := key.Verify(dsse.PAE(e.PayloadType, e.Payload), e.Signatures[0].Sig); err != nil {
		return fmt.Errorf("statement: %w", err)
	}
	return nil
}

// Statement reads what the envelope says. It checks the form, not the
// signature.
func (e *Envelope) Statement(v Vocabulary) (*Statement, error) {
	if len(e.Signatures) != 1 {
		return nil, fmt.Errorf("statement: has %d signatures instead of one", len(e.Signatures))
	}
	if e.PayloadType != PayloadType {
		return nil, fmt.Errorf("statement: payload type %.80q is not %q", e.PayloadType, PayloadType)
	}
	kind := claimedKind(e.Payload)
	create := v[kind]
	if create == nil {
		return nil, fmt.Errorf("statement: unknown kind %.100q", kind)
	}
	p := payload{Predicate: predicate{Act: create()}}
	if err := Decode(e.Payload, &p); err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	if p.Type != StatementType {
		return nil, fmt.Errorf("statement: type %.80q is not %q", p.Type, StatementType)
	}
	if p.PredicateType != predicateTypePrefix+string(kind)+predicateTypeSuffix {
		return nil, fmt.Errorf("statement: predicate type %.100q is not of %s", p.PredicateType, kind)
	}
	if p.Predicate.Act == nil {
		return nil, fmt.Errorf("%s: act is missing", kind)
	}
	s := &Statement{
		Payload: Hash(e.Payload),
		Signer:  e.Signatures[0].KeyID,
		Kind:    kind,
		Header:  p.Predicate.Header,
		Act:     p.Predicate.Act,
	}
	if err := s.check(p.Subject); err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	return s, nil
}

// claimedKind finds the kind of statement that a payload seems to be, so that
// its act is decoded as one in the same pass: Statement then sees whether the
// payload says so. What is looked for cannot stand within a string of JSON,
// where quotation marks are escaped, nor in what follows the predicate's type.
func claimedKind(payload []byte) Kind {
	key := []byte(`"predicateType":"` + predicateTypePrefix)
	at := bytes.LastIndex(payload, key)
	if at < 0 {
		return ""
	}
	kind, _, _ := bytes.Cut(payload[at+len(key):], []byte(predicateTypeSuffix+`"`))
	return Kind(kind)
}

func (s *Statement) check(said []subject) error {
	if s.Actor != "" {
		if _, err := ParsePrincipalID(string(s.Actor)); err != nil {
			return err
		}
	} else if s.Kind != KindGenesis && s.Kind != KindEnrolPrincipal {
		return errors.New("actor is missing")
	}
	if s.Audience == "" {
		return errors.New("audience is missing")
	}
	if s.Expires <= s.Time || s.Expires > s.Time.Add(MaxValidity) {
		return fmt.Errorf("expires %s is not within %s after its time %s", s.Expires, MaxValidity, s.Time)
	}
	if err := checkLine("purpose", s.Purpose, s.Act.NeedsPurpose()); err != nil {
		return err
	}
	if err := s.Act.Check(s); err != nil {
		return err
	}
	if want := s.Act.Subject().encode(); len(said) != 1 || said[0] != want[0] {
		return errors.New("the subject is not what the act is about")
	}
	return nil
}
