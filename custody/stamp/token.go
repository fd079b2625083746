package stamp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha256" // what is hashed with
	_ "crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// A token (RFC 3161, section 2.4.2) is CMS signed data (RFC 5652, section 5):
//
//	ContentInfo { id-signedData, [0] SignedData {
//		3,
//		SET { hash },
//		{ id-ct-TSTInfo, [0] OCTET STRING TSTInfo },
//		[0] certificates,
//		SET { SignerInfo { 1, issuer and serial number, hash, [0] signed attributes, algorithm, signature } } } }
//
// Signed are TSTInfo, by its digest in the signed attributes, and these. All else is
// determined: certificates in the order of DER, hashes without parameters (RFC 5754,
// section 2), the algorithm as that of the key and the hash (RFC 3370, section 3.2;
// RFC 5754, section 3.3), and of the two forms of an ECDSA signature the one with the
// low s.
type contentInfo struct {
	ContentType asn1.ObjectIdentifier
	Content     signedData `asn1:"explicit,tag:0"`
}

type signedData struct {
	Version          int
	DigestAlgorithms []algorithm `asn1:"set"`
	Content          encapsulated
	Certificates     asn1.RawValue `asn1:"optional,tag:0"`
	CRLs             asn1.RawValue `asn1:"optional,tag:1"`
	SignerInfos      []signerInfo  `asn1:"set"`
}

type encapsulated struct {
	Type    asn1.ObjectIdentifier
	Content []byte `asn1:"explicit,optional,tag:0"`
}

type signerInfo struct {
	Version            int
	Signer             asn1.RawValue
	DigestAlgorithm    algorithm
	SignedAttributes   asn1.RawValue `asn1:"optional,tag:0"`
	SignatureAlgorithm algorithm
	Signature          []byte
	Unsigned           asn1.RawValue `asn1:"optional,tag:1"`
}

type algorithm struct {
	Algorithm  asn1.ObjectIdentifier
	Parameters asn1.RawValue `asn1:"optional"`
}

// plain says whether an algorithm has no parameters, or NULL for them.
func (a algorithm) plain() bool {
	return len(a.Parameters.FullBytes) == 0 || bytes.Equal(a.Parameters.FullBytes, asn1.NullBytes)
}

type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

type extension = pkix.Extension

type tstInfo struct {
	Version        int
	Policy         asn1.ObjectIdentifier
	MessageImprint imprint
	SerialNumber   *big.Int
	GenTime        asn1.RawValue // see instant
	Accuracy       accuracy      `asn1:"optional"`
	Ordering       bool          `asn1:"optional"`
	Nonce          *big.Int      `asn1:"optional"`
	TSA            asn1.RawValue `asn1:"optional,tag:0"`
	Extensions     []extension   `asn1:"optional,tag:1"`
}

// instant reads a time (RFC 3161, section 2.4.2): in UTC, with a fraction of a second
// that does not end with zeros, or none. What is beyond microseconds is cut off.
func instant(v asn1.RawValue) (custody.Time, error) {
	text := string(v.Bytes)
	if v.Class != asn1.ClassUniversal || v.Tag != asn1.TagGeneralizedTime || v.IsCompound || !wellFormed.MatchString(text) {
		return 0, errors.New("its time is none in UTC")
	}
	t, err := time.Parse("20060102150405Z", text)
	return custody.TimeOf(t), err
}

var wellFormed = regexp.MustCompile(`^[0-9]{14}(\.[0-9]{0,11}[1-9])?Z$`)

type imprint struct {
	HashAlgorithm algorithm
	HashedMessage []byte
}

type accuracy struct {
	Seconds int64 `asn1:"optional"`
	Millis  int64 `asn1:"optional,tag:0"`
	Micros  int64 `asn1:"optional,tag:1"`
}

// signingCertificateV2 names the certificate that a signature was made with (RFC
// 5035, section 3; RFC 5816, section 2.2.1).
type signingCertificateV2 struct {
	Certs    []essCertIDv2
	Policies asn1.RawValue `asn1:"optional"`
}

type essCertIDv2 struct {
	HashAlgorithm algorithm `asn1:"optional"` // SHA-256 when it is not there
	CertHash      []byte
	IssuerSerial  issuerSerial `asn1:"optional"`
}

type issuerSerial struct {
	Issuer       asn1.RawValue
	SerialNumber *big.Int
}

// The object identifiers of all that.
var (
	oidSignedData           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo              = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningCertificateV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidExtKeyUsage          = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidSHA256               = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384               = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512               = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	oidRSA                  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
)

// hashes are those that something may be signed with, by identifier.
var hashes = map[string]crypto.Hash{oidSHA256.String(): crypto.SHA256, oidSHA384.String(): crypto.SHA384, oidSHA512.String(): crypto.SHA512}

// withECDSA are the identifiers of ECDSA with a hash (RFC 5754, section 3.3).
var withECDSA = map[crypto.Hash]asn1.ObjectIdentifier{
	crypto.SHA256: {1, 2, 840, 10045, 4, 3, 2}, crypto.SHA384: {1, 2, 840, 10045, 4, 3, 3}, crypto.SHA512: {1, 2, 840, 10045, 4, 3, 4},
}

func sumOf(h crypto.Hash, b []byte) []byte {
	w := h.New()
	w.Write(b)
	return w.Sum(nil)
}

// unmarshal reads a value in DER that nothing follows.
func unmarshal(der []byte, v any) error {
	rest, err := asn1.Unmarshal(der, v)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes follow it", len(rest))
	}
	return err
}

// token is a token as it is read, in any spelling.
type token struct {
	content      []byte // TSTInfo
	info         tstInfo
	certificates []*x509.Certificate
	signer       *x509.Certificate // one of them
	time         custody.Time      // that info says
	digest       asn1.ObjectIdentifier
	signed       []byte // the signed attributes as a SET, which is what is signed (RFC 5652, section 5.4)
	attributes   []attribute
	signature    []byte
}

// parse reads a token, and finds the certificate that it is signed with. It verifies
// nothing.
func parse(b []byte) (*token, error) {
	if len(b) > MaxToken {
		return nil, fmt.Errorf("it has %d bytes; %d are the most", len(b), MaxToken)
	}
	var c contentInfo
	if err := unmarshal(b, &c); err != nil {
		return nil, fmt.Errorf("it is no token of RFC 3161: %w", err)
	}
	d := &c.Content
	switch {
	case !c.ContentType.Equal(oidSignedData) || !d.Content.Type.Equal(oidTSTInfo):
		return nil, errors.New("it is no token of RFC 3161, but other signed data")
	case len(d.SignerInfos) != 1:
		return nil, fmt.Errorf("it has %d signatures instead of one", len(d.SignerInfos))
	}
	s := &d.SignerInfos[0]
	t := &token{content: d.Content.Content, digest: s.DigestAlgorithm.Algorithm, signature: s.Signature}
	if _, ok := hashes[t.digest.String()]; !ok || !s.DigestAlgorithm.plain() {
		return nil, errors.New("it is signed with a hash that is not SHA-256, SHA-384 or SHA-512")
	}
	if err := unmarshal(t.content, &t.info); err != nil {
		return nil, fmt.Errorf("what it says of the time is not to be read: %w", err)
	}
	var err error
	if t.time, err = instant(t.info.GenTime); err != nil {
		return nil, err
	}
	if len(s.SignedAttributes.Bytes) == 0 {
		return nil, errors.New("it has no signed attributes")
	}
	if t.signed, err = asn1.Marshal(asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: s.SignedAttributes.Bytes}); err != nil {
		return nil, err
	}
	if _, err := asn1.UnmarshalWithParams(t.signed, &t.attributes, "set"); err != nil {
		return nil, fmt.Errorf("its signed attributes are not to be read: %w", err)
	}
	if t.certificates, err = x509.ParseCertificates(d.Certificates.Bytes); err != nil {
		return nil, fmt.Errorf("its certificates are not to be read: %w", err)
	}
	for _, c := range t.certificates {
		if k, ok := c.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() > mostRSA {
			return nil, fmt.Errorf("it carries an RSA key of %d bits; %d are the most", k.N.BitLen(), mostRSA)
		}
	}
	return t, t.findSigner(s.Signer.FullBytes)
}

// findSigner finds the certificate that a SignerInfo names by issuer and serial
// number.
func (t *token) findSigner(named []byte) error {
	for _, c := range t.certificates {
		if is, err := identifierOf(c); err == nil && bytes.Equal(is, named) {
			t.signer = c
			return nil
		}
	}
	return errors.New("it does not carry the certificate that it is signed with")
}

// identifierOf is IssuerAndSerialNumber (RFC 5652, section 10.2.4) of a certificate.
func identifierOf(c *x509.Certificate) ([]byte, error) {
	return asn1.Marshal(issuerSerial{asn1.RawValue{FullBytes: c.RawIssuer}, c.SerialNumber})
}

// attribute returns the one value of a signed attribute that is there once.
func (t *token) attribute(id asn1.ObjectIdentifier) (value []byte, err error) {
	for _, a := range t.attributes {
		if !a.Type.Equal(id) {
			continue
		}
		if value != nil || len(a.Values) != 1 {
			return nil, fmt.Errorf("its signed attribute %s stands there more than once", id)
		}
		value = a.Values[0].FullBytes
	}
	if value == nil {
		return nil, fmt.Errorf("it lacks the signed attribute %s", id)
	}
	return value, nil
}

// marshal writes the token in its one spelling, with some of its certificates.
func (t *token) marshal(certificates []*x509.Certificate) ([]byte, error) {
	h := hashes[t.digest.String()]
	digest := algorithm{Algorithm: t.digest}
	signature := algorithm{Algorithm: withECDSA[h]}
	if _, ok := t.signer.PublicKey.(*rsa.PublicKey); ok {
		signature = algorithm{oidRSA, asn1.NullRawValue}
	}
	signer, err := identifierOf(t.signer)
	if err != nil {
		return nil, err
	}
	var attributes asn1.RawValue
	if err := unmarshal(t.signed, &attributes); err != nil {
		return nil, err
	}
	// DER orders the elements of a SET by their bytes.
	ordered := slices.SortedFunc(slices.Values(certificates), func(a, b *x509.Certificate) int { return bytes.Compare(a.Raw, b.Raw) })
	var set []byte
	for _, c := range slices.CompactFunc(ordered, (*x509.Certificate).Equal) {
		set = append(set, c.Raw...)
	}
	return asn1.Marshal(contentInfo{oidSignedData, signedData{
		Version: 3, DigestAlgorithms: []algorithm{digest}, Content: encapsulated{oidTSTInfo, t.content},
		Certificates: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: set},
		SignerInfos: []signerInfo{{
			Version: 1, Signer: asn1.RawValue{FullBytes: signer}, DigestAlgorithm: digest,
			SignedAttributes: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: attributes.Bytes}, SignatureAlgorithm: signature, Signature: lowS(t.signer.PublicKey, t.signature),
		}},
	}})
}

// lowS returns the one of the two forms of an ECDSA signature (r, s) and (r, n-s), which
// verify alike, whose second number is at most half of n, the order of the group. What is
// no such signature it returns as it is.
func lowS(key any, signature []byte) []byte {
	k, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return signature
	}
	var v struct{ R, S *big.Int }
	n := k.Curve.Params().N
	if err := unmarshal(signature, &v); err != nil || v.S.Sign() <= 0 || v.S.Cmp(n) >= 0 || new(big.Int).Lsh(v.S, 1).Cmp(n) <= 0 {
		return signature
	}
	v.S.Sub(n, v.S)
	low, err := asn1.Marshal(v)
	if err != nil {
		return signature
	}
	return low
}
