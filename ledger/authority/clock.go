package authority

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/stamp"
)

// clock is the authority that the service is itself.
type clock struct {
	trusted custody.TimeAuthority
	signer  *stamp.Signer
	now     func() time.Time
}

// ownPolicy is the object identifier of the service's own authority's policy, which is
// that there is none (an arc of ITU-T X.667).
var ownPolicy = asn1.ObjectIdentifier{2, 25, 6017}

// ownAccuracy is the accuracy that it states, in seconds: it does not know better, and
// its time is cut off to seconds.
const ownAccuracy = 1

// lifetime is how long its certificate is valid.
const lifetime = 30 * 365 * 24 * time.Hour

// NewClock makes the certificate, and the key, both in PEM, of an authority that is the
// operator's own: signed by itself, and for time-stamping alone.
func NewClock(origin string, now time.Time) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := newNonce()
	if err != nil {
		return nil, nil, err
	}
	use, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}) // id-kp-timeStamping
	if err != nil {
		return nil, nil, err
	}
	name := pkix.Name{CommonName: "the operator's own clock", Organization: []string{origin}}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: name, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(lifetime), KeyUsage: x509.KeyUsageDigitalSignature,
		// Critical, as RFC 3161, section 2.3, wants it.
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: use}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), nil
}

// OpenClock returns the authority with this certificate and key, as NewClock made them,
// and with this clock.
func OpenClock(trusted custody.TimeAuthority, key []byte, now func() time.Time) (Authority, error) {
	roots, _, err := trusted.Chain()
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(key)
	if block == nil || len(rest) > 0 || len(roots) != 1 {
		return nil, errors.New("its key is not one key in PEM, or its certificate not one")
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := private.(*ecdsa.PrivateKey)
	if !ok || !signer.PublicKey.Equal(roots[0].PublicKey) {
		return nil, errors.New("its key is not the one in its certificate")
	}
	return &clock{trusted: trusted, now: now, signer: &stamp.Signer{
		Certificate: roots[0], Key: crypto.Signer(signer), Policy: ownPolicy, Accuracy: ownAccuracy, Rand: rand.Reader,
	}}, nil
}

// Name implements Authority.
func (c *clock) Name() string { return c.trusted.Name }

// Close implements Authority.
func (c *clock) Close() error { return nil }

// Stamp implements Authority. It goes the way that any other authority's stamps go.
func (c *clock) Stamp(_ context.Context, checkpoint []byte) ([]byte, *stamp.Stamp, error) {
	nonce, err := newNonce()
	if err != nil {
		return nil, nil, err
	}
	serial, err := newNonce()
	if err != nil {
		return nil, nil, err
	}
	query, err := stamp.NewRequest(checkpoint, nonce)
	if err != nil {
		return nil, nil, err
	}
	answer, err := c.signer.Answer(query, custody.TimeOf(c.now()), serial)
	if err != nil {
		return nil, nil, fmt.Errorf("authority %s: %w", c.trusted.Name, err)
	}
	return stamp.Open(answer, checkpoint, nonce, c.trusted)
}
