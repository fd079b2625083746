package stamp

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/forensic-custody/custody/custody"
)

// Signer is what an authority stamps with: for the one that the service is itself, and
// for tests. Everything else comes as an argument.
type Signer struct {
	Certificate *x509.Certificate
	Key         crypto.Signer         // its key: RSA, or ECDSA on a curve of NIST
	Policy      asn1.ObjectIdentifier // by which it stamps
	Accuracy    int64                 // in seconds, by how much its time may be off
	Rand        io.Reader
}

// signedAttribute is an attribute to be signed; asn1 puts a SET of them into the order
// of DER.
type signedAttribute struct {
	Type   asn1.ObjectIdentifier
	Values []any `asn1:"set"`
}

// Answer returns the authority's answer to a query (RFC 3161, section 2.4), with a
// token of this time and number. The time is cut off to seconds. The certificate
// comes with it whether it was asked for or not: a stamp without it is none here. It
// fails when there is no answer to the query.
func (s *Signer) Answer(query []byte, at custody.Time, serial *big.Int) ([]byte, error) {
	var q request
	if err := unmarshal(query, &q); err != nil {
		return nil, fmt.Errorf("it is no query of RFC 3161: %w", err)
	}
	if q.Version != 1 || !q.MessageImprint.HashAlgorithm.Algorithm.Equal(oidSHA256) || !q.MessageImprint.HashAlgorithm.plain() || len(q.MessageImprint.HashedMessage) != 32 {
		return nil, errors.New("it asks for something else than a stamp on a SHA-256")
	}
	if len(q.Policy) > 0 && !q.Policy.Equal(s.Policy) {
		return nil, fmt.Errorf("it asks for a stamp by policy %s", q.Policy)
	}
	info, err := asn1.Marshal(tstInfo{
		Version: 1, Policy: s.Policy, MessageImprint: q.MessageImprint, SerialNumber: serial,
		GenTime:  asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagGeneralizedTime, Bytes: []byte(at.Time().UTC().Format("20060102150405Z"))},
		Accuracy: accuracy{Seconds: s.Accuracy}, Nonce: q.Nonce,
	})
	if err != nil {
		return nil, err
	}
	token, err := s.sign(info)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(response{Status: statusInfo{Status: 0}, Token: asn1.RawValue{FullBytes: token}})
}

// sign makes a token of a TSTInfo.
func (s *Signer) sign(info []byte) ([]byte, error) {
	sum := custody.Hash(info)
	own := custody.Hash(s.Certificate.Raw)
	return s.signWith(info, []signedAttribute{
		{oidContentType, []any{oidTSTInfo}},
		{oidMessageDigest, []any{sum[:]}},
		{oidSigningCertificateV2, []any{signingCertificateV2{Certs: []essCertIDv2{{CertHash: own[:]}}}}},
	})
}

// signWith makes a token with these signed attributes.
func (s *Signer) signWith(info []byte, list []signedAttribute) ([]byte, error) {
	attributes, err := asn1.MarshalWithParams(list, "set")
	if err != nil {
		return nil, err
	}
	digest := custody.Hash(attributes)
	signature, err := s.Key.Sign(s.Rand, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	t := token{
		content: info, digest: oidSHA256, signer: s.Certificate, signed: attributes, signature: signature,
	}
	return t.marshal([]*x509.Certificate{s.Certificate})
}
