package custody

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"filippo.io/edwards25519"
	"github.com/sigstore/sigstore/pkg/signature"
)

// KeyID names a public key: the digest of its PKIX (SubjectPublicKeyInfo) DER.
type KeyID = Digest

// PublicKey is an Ed25519 or ECDSA P-256 public key. Its text form is the
// base64 of its PKIX DER. The zero value verifies nothing.
type PublicKey struct {
	der      []byte
	id       KeyID
	verifier signature.Verifier
	ecdsa    bool
}

// NewPublicKey accepts an ed25519.PublicKey of large order or an
// *ecdsa.PublicKey on P-256, and refuses everything else.
func NewPublicKey(key crypto.PublicKey) (PublicKey, error) {
	_, isECDSA := key.(*ecdsa.PublicKey)
	switch k := key.(type) {
	case ed25519.PublicKey:
		if err := checkEd25519(k); err != nil {
			return PublicKey{}, err
		}
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return PublicKey{}, errors.New("key: of the ECDSA curves only P-256 is accepted")
		}
	default:
		return PublicKey{}, fmt.Errorf("key: %T is neither Ed25519 nor ECDSA P-256", key)
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return PublicKey{}, fmt.Errorf("key: %w", err)
	}
	v, err := signature.LoadVerifier(key, crypto.SHA256)
	if err != nil {
		return PublicKey{}, fmt.Errorf("key: %w", err)
	}
	return PublicKey{der: der, id: Hash(der), verifier: v, ecdsa: isECDSA}, nil
}

// checkEd25519 refuses points of small order, under which a signature can be
// valid for several messages, and encodings that are not the point's own.
func checkEd25519(k ed25519.PublicKey) error {
	p, err := new(edwards25519.Point).SetBytes(k)
	if err != nil || !bytes.Equal(p.Bytes(), k) {
		return errors.New("key: not the encoding of an Ed25519 point")
	}
	if new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return errors.New("key: an Ed25519 point of small order")
	}
	return nil
}

// ParsePublicKey accepts exactly the DER that Bytes returns.
func ParsePublicKey(der []byte) (PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return PublicKey{}, fmt.Errorf("key: %w", err)
	}
	k, err := NewPublicKey(key)
	if err != nil {
		return PublicKey{}, err
	}
	if !bytes.Equal(k.der, der) {
		return PublicKey{}, errors.New("key: not in canonical DER")
	}
	return k, nil
}

// Bytes returns the PKIX DER.
func (k PublicKey) Bytes() []byte { return bytes.Clone(k.der) }

// ID names the key.
func (k PublicKey) ID() KeyID { return k.id }

// Ed25519 returns the key as crypto/ed25519 has it, or nil when it is of another
// kind.
func (k PublicKey) Ed25519() ed25519.PublicKey {
	if key, err := x509.ParsePKIXPublicKey(k.der); err == nil {
		if ed, ok := key.(ed25519.PublicKey); ok {
			return ed
		}
	}
	return nil
}

// Algorithm names what the key signs with.
func (k PublicKey) Algorithm() string {
	if k.ecdsa {
		return "ECDSA P-256 with SHA-256"
	}
	return "Ed25519"
}

// Verify checks a signature over message: 64 bytes for Ed25519 (RFC 8032),
// minimal ASN.1 DER for ECDSA (over SHA-256), and no other form.
func (k PublicKey) Verify(message, sig []byte) error {
	if k.verifier == nil {
		return errors.New("signature: no key")
	}
	if k.ecdsa {
		if err := checkECDSASignature(sig); err != nil {
			return err
		}
	}
	if err := k.verifier.VerifySignature(bytes.NewReader(sig), bytes.NewReader(message)); err != nil {
		return fmt.Errorf("signature: not by key %s: %w", k.ID(), err)
	}
	return nil
}

// checkECDSASignature refuses the second encoding that a lax reader accepts.
func checkECDSASignature(sig []byte) error {
	var v struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(sig, &v); err != nil || len(rest) > 0 {
		return errors.New("signature: not the ASN.1 DER of an ECDSA signature")
	}
	if again, err := asn1.Marshal(v); err != nil || !bytes.Equal(again, sig) {
		return errors.New("signature: not in minimal DER")
	}
	return nil
}

// Signer signs messages with one private key, wherever that key lives.
type Signer interface {
	Public() PublicKey
	// Sign returns a signature that Public().Verify accepts.
	Sign(message []byte) ([]byte, error)
}

// NewSigner signs with a private key held in memory.
func NewSigner(key crypto.Signer) (Signer, error) {
	pub, err := NewPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	s, err := signature.LoadSigner(key, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return memorySigner{pub, s}, nil
}

type memorySigner struct {
	public PublicKey
	signer signature.Signer
}

func (s memorySigner) Public() PublicKey { return s.public }

func (s memorySigner) Sign(message []byte) ([]byte, error) {
	return s.signer.SignMessage(bytes.NewReader(message))
}

// possession is what a new key signs to prove that its holder has it: for
// whom, at which log.
type possession struct {
	Audience string `json:"audience"`
	Holder   string `json:"holder"` // a name at enrolment, a principal's identifier for a further key
	Key      []byte `json:"key"`
	Label    string `json:"label"`
}

const labelPossession = "custody/v1/possession"

func possessionMessage(audience, holder string, key PublicKey) ([]byte, error) {
	return Encode(possession{Audience: audience, Holder: holder, Key: key.der, Label: labelPossession})
}

// ProvePossession signs, with the new key itself, that holder has it.
func ProvePossession(s Signer, audience, holder string) ([]byte, error) {
	m, err := possessionMessage(audience, holder, s.Public())
	if err != nil {
		return nil, err
	}
	return s.Sign(m)
}

// checkPossession verifies what ProvePossession made.
func checkPossession(key PublicKey, audience, holder string, proof []byte) error {
	m, err := possessionMessage(audience, holder, key)
	if err != nil {
		return err
	}
	if err := key.Verify(m, proof); err != nil {
		return fmt.Errorf("proof of possession: %w", err)
	}
	return nil
}
