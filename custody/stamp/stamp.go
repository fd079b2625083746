// Package stamp reads what a time-stamping authority (RFC 3161) says of the log: that
// a checkpoint, and with it every record below its size, existed by some time.
//
// It promises:
//
//   - What Verify accepts was signed by a key that a root of the authority leads to, for
//     this checkpoint and nothing else, with time-stamping as its only use.
//   - A token has one spelling, into which Normal brings what an authority answered: no
//     byte of what it says, of who signed it or of his signature could be another and it
//     would say the same. Other certificates in it are their issuers' to spell.
//   - Who is an authority is told from outside, by a trust file. Nothing in a token, or
//     beside it, makes anybody one.
//
// It does not look at lists of revoked certificates, which go with whoever keeps
// the trust file, and does not ask anybody anything: the ledger does.
//
// Begin reading at Verify. FORMAT.md, section 19, says the same in words.
package stamp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// MaxToken is the largest token in bytes that anybody accepts.
const MaxToken = 64 << 10

// Stamp is what a token says of a checkpoint, once it is verified.
type Stamp struct {
	custody.Checkpoint
	Authority string                    // its name in the trust file
	Kind      custody.TimeAuthorityKind // what its word is worth, by the trust file
	Time      custody.Time              // the authority's (genTime, RFC 3161, section 2.4.2)
	Accuracy  time.Duration             // by how much Time may be off, as the authority says; 0 when it does not
	Serial    string                    // of the token, in decimal
	Policy    string                    // of the authority, an object identifier like 1.2.3.4
	Signer    string                    // subject of the certificate that it signed with
	nonce     *big.Int
}

// Message returns what is stamped of a signed checkpoint: its text, without the
// signatures, to which witnesses add theirs later.
func Message(checkpoint []byte) ([]byte, error) {
	body, err := custody.CheckpointBody(checkpoint)
	if err != nil {
		return nil, err
	}
	return []byte(body.String()), nil
}

// Read says what a token of whomever says of a signed checkpoint: that its signature is
// by the certificate in it, which is for time-stamping, and about this checkpoint. It
// fails for any other, and for one that is not in its one spelling. Whoever made it
// can have made that certificate himself: nothing follows before Verify finds his
// authority.
func Read(token, checkpoint []byte) (*Stamp, error) {
	t, err := parse(token)
	if err != nil {
		return nil, fmt.Errorf("time stamp: %w", err)
	}
	s, err := t.read(checkpoint)
	if err != nil {
		return nil, fmt.Errorf("time stamp: %w", err)
	}
	if normal, err := t.marshal(t.certificates); err != nil || !bytes.Equal(normal, token) {
		return nil, errors.Join(errors.New("time stamp: it is not in its one spelling"), err)
	}
	return s, nil
}

// Verify says what a token says of a signed checkpoint when it is the authority's. It
// fails for any other, and for one that is not in its one spelling. Whether the
// checkpoint is the log's it does not ask.
func Verify(token, checkpoint []byte, by custody.TimeAuthority) (*Stamp, error) {
	t, err := parse(token)
	if err != nil {
		return nil, fmt.Errorf("time stamp: %w", err)
	}
	s, paths, err := t.verify(checkpoint, by)
	if err != nil {
		return nil, fmt.Errorf("time stamp by %s: %w", by.Name, err)
	}
	for _, c := range t.certificates {
		if !onPath(paths, c) {
			return nil, fmt.Errorf("time stamp by %s: it carries the certificate of %s, over which no path leads to a root of the authority", by.Name, c.Subject)
		}
	}
	if normal, err := t.marshal(t.certificates); err != nil || !bytes.Equal(normal, token) {
		return nil, errors.Join(fmt.Errorf("time stamp by %s: it is not in its one spelling", by.Name), err)
	}
	return s, nil
}

// Normal returns a token in its one spelling, once it is verified in any: without
// what the authority's signature does not cover, and is not needed to verify it, and
// with an ECDSA signature in the form with the low s. It fails for what Verify would
// not accept in any spelling.
func Normal(token, checkpoint []byte, by custody.TimeAuthority) ([]byte, error) {
	t, err := parse(token)
	if err != nil {
		return nil, fmt.Errorf("time stamp: %w", err)
	}
	_, paths, err := t.verify(checkpoint, by)
	if err != nil {
		return nil, fmt.Errorf("time stamp by %s: %w", by.Name, err)
	}
	needed := slices.DeleteFunc(slices.Clone(t.certificates), func(c *x509.Certificate) bool { return !onPath(paths, c) })
	return t.marshal(needed)
}

func onPath(paths [][]*x509.Certificate, c *x509.Certificate) bool {
	return slices.ContainsFunc(paths, func(p []*x509.Certificate) bool { return slices.ContainsFunc(p, c.Equal) })
}

// verify checks what the token says, and by whom. It returns the paths that lead from
// what signed it to a root.
func (t *token) verify(checkpoint []byte, by custody.TimeAuthority) (*Stamp, [][]*x509.Certificate, error) {
	s, err := t.read(checkpoint)
	if err != nil {
		return nil, nil, err
	}
	paths, err := t.paths(by)
	if err != nil {
		return nil, nil, err
	}
	s.Authority, s.Kind = by.Name, by.Kind
	return s, paths, nil
}

// read checks what the token says, by the certificate that is in it. Whose that is it
// does not say.
func (t *token) read(checkpoint []byte) (*Stamp, error) {
	point, err := custody.CheckpointBody(checkpoint)
	if err != nil {
		return nil, err
	}
	if err := t.info.about([]byte(point.String())); err != nil {
		return nil, err
	}
	accuracy, err := t.info.Accuracy.duration()
	if err != nil {
		return nil, err
	}
	if err := t.checkSignature(); err != nil {
		return nil, err
	}
	if err := t.checkUse(); err != nil {
		return nil, err
	}
	return &Stamp{
		Checkpoint: point, Time: t.time, Accuracy: accuracy,
		Serial: t.info.SerialNumber.String(), Policy: t.info.Policy.String(), Signer: t.signer.Subject.String(), nonce: t.info.Nonce,
	}, nil
}

// checkUse checks that the certificate that signed is for nothing but time-stamping, and
// says so critically (RFC 3161, section 2.3).
func (t *token) checkUse() error {
	use := slices.IndexFunc(t.signer.Extensions, func(e extension) bool { return e.Id.Equal(oidExtKeyUsage) })
	if use < 0 || !t.signer.Extensions[use].Critical || len(t.signer.UnknownExtKeyUsage) > 0 || !slices.Equal(t.signer.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}) {
		return fmt.Errorf("the certificate of %s is not for time-stamping alone", t.signer.Subject)
	}
	return nil
}

// about returns nil when what is said is about this message (RFC 3161, section 2.4.2).
func (i *tstInfo) about(message []byte) error {
	switch {
	case i.Version != 1:
		return fmt.Errorf("it is of version %d", i.Version)
	case !i.MessageImprint.HashAlgorithm.Algorithm.Equal(oidSHA256) || !i.MessageImprint.HashAlgorithm.plain():
		return errors.New("its hash is not SHA-256")
	}
	if d := custody.Hash(message); !bytes.Equal(i.MessageImprint.HashedMessage, d[:]) {
		return errors.New("it is about something else than this checkpoint")
	}
	for _, e := range i.Extensions {
		if e.Critical {
			return fmt.Errorf("it has the critical extension %s, which is not understood", e.Id)
		}
	}
	return nil
}

// duration reads an accuracy (RFC 3161, section 2.4.2): milliseconds and
// microseconds are from 1 to 999 where they are there.
func (a accuracy) duration() (time.Duration, error) {
	const mostSeconds = 366 * 24 * 3600
	if a.Seconds < 0 || a.Seconds > mostSeconds || a.Millis < 0 || a.Millis > 999 || a.Micros < 0 || a.Micros > 999 {
		return 0, errors.New("its accuracy is none")
	}
	return time.Duration(a.Seconds)*time.Second + time.Duration(a.Millis)*time.Millisecond + time.Duration(a.Micros)*time.Microsecond, nil
}

// checkSignature verifies the signature over the signed attributes, and that these are
// of the content and of the certificate that made it (RFC 5652, section 5.4; RFC
// 3161, section 2.4.2; RFC 5816).
func (t *token) checkSignature() error {
	h := hashes[t.digest.String()]
	contentType, err := t.attribute(oidContentType)
	if err != nil {
		return err
	}
	var kind asn1.ObjectIdentifier
	if err := unmarshal(contentType, &kind); err != nil || !kind.Equal(oidTSTInfo) {
		return errors.New("its signature is for something else than a time")
	}
	digested, err := t.attribute(oidMessageDigest)
	if err != nil {
		return err
	}
	var sum []byte
	if err := unmarshal(digested, &sum); err != nil || !bytes.Equal(sum, sumOf(h, t.content)) {
		return errors.New("its signature is for another content")
	}
	if err := t.boundCertificate(); err != nil {
		return err
	}
	algorithm, err := signatureAlgorithm(t.signer, h)
	if err != nil {
		return err
	}
	if err := t.signer.CheckSignature(algorithm, t.signed, t.signature); err != nil {
		return errors.New("its signature does not verify")
	}
	return nil
}

// boundCertificate checks that the signature names the certificate that it is verified
// with, so that it cannot be passed for another's with the same key.
func (t *token) boundCertificate() error {
	value, err := t.attribute(oidSigningCertificateV2)
	if err != nil {
		return err
	}
	var named signingCertificateV2
	if err := unmarshal(value, &named); err != nil || len(named.Certs) == 0 {
		return errors.New("it does not say which certificate it is signed with")
	}
	first := named.Certs[0]
	h := crypto.SHA256
	if len(first.HashAlgorithm.Algorithm) > 0 {
		var ok bool
		if h, ok = hashes[first.HashAlgorithm.Algorithm.String()]; !ok || !first.HashAlgorithm.plain() {
			return errors.New("the certificate that it is signed with is named by a hash that is not of SHA-2")
		}
	}
	if !bytes.Equal(first.CertHash, sumOf(h, t.signer.Raw)) {
		return errors.New("it says that it is signed with another certificate")
	}
	if s := first.IssuerSerial; s.SerialNumber != nil && s.SerialNumber.Cmp(t.signer.SerialNumber) != 0 {
		return errors.New("it says that it is signed with a certificate of another number")
	}
	return nil
}

// How many bits a key of RSA has at least, and at most: one that fills a token, which
// anybody can certify himself, would keep a verifier busy for seconds each time.
const (
	leastRSA = 2048
	mostRSA  = 16384
)

func signatureAlgorithm(c *x509.Certificate, h crypto.Hash) (x509.SignatureAlgorithm, error) {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < leastRSA {
			return 0, fmt.Errorf("it is signed with an RSA key of %d bits", k.N.BitLen())
		}
		return map[crypto.Hash]x509.SignatureAlgorithm{crypto.SHA256: x509.SHA256WithRSA, crypto.SHA384: x509.SHA384WithRSA, crypto.SHA512: x509.SHA512WithRSA}[h], nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P224() {
			break
		}
		return map[crypto.Hash]x509.SignatureAlgorithm{crypto.SHA256: x509.ECDSAWithSHA256, crypto.SHA384: x509.ECDSAWithSHA384, crypto.SHA512: x509.ECDSAWithSHA512}[h], nil
	}
	return 0, errors.New("it is signed with a key that is neither RSA nor ECDSA on P-256, P-384 or P-521")
}

// paths returns the paths from the certificate that signed to roots of the authority, at
// the time that the token says (RFC 5280, section 6).
func (t *token) paths(by custody.TimeAuthority) ([][]*x509.Certificate, error) {
	roots, between, err := by.Chain()
	if err != nil {
		return nil, err
	}
	o := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(),
		CurrentTime: t.time.Time(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
	}
	for _, c := range roots {
		o.Roots.AddCert(c)
	}
	for _, c := range slices.Concat(between, t.certificates) {
		o.Intermediates.AddCert(c)
	}
	paths, err := t.signer.Verify(o)
	if err != nil {
		return nil, fmt.Errorf("no path leads from the certificate of %s to a root of the authority: %w", t.signer.Subject, err)
	}
	return paths, nil
}

// String says in a line what is stamped, when and by whom.
func (s *Stamp) String() string {
	text := fmt.Sprintf("size %d existed by %s", s.Size, s.Time)
	if s.Accuracy > 0 {
		text += fmt.Sprintf(" (± %s)", s.Accuracy)
	}
	return strings.TrimSpace(fmt.Sprintf("%s (%s, %s)", text, s.Authority, s.Kind))
}
