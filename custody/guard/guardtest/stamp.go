package guardtest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/stamp"
)

// TimeAuthority is a time-stamping authority with keys that follow from a seed and its
// name, whose stamps are the same in every run.
type TimeAuthority struct {
	Trusted custody.TimeAuthority // who it is
	signer  stamp.Signer
	serial  int64
}

// NewTimeAuthority returns an authority of a kind, which signs with ECDSA on P-256.
func NewTimeAuthority(seed byte, name string, kind custody.TimeAuthorityKind) (*TimeAuthority, error) {
	key, err := curveKey(seed, name)
	if err != nil {
		return nil, err
	}
	return timeAuthority(seed, name, kind, key)
}

// NewRSATimeAuthority returns an authority of a kind, which signs with RSA.
func NewRSATimeAuthority(seed byte, name string, kind custody.TimeAuthorityKind) (*TimeAuthority, error) {
	key, err := rsaKey(seed, name)
	if err != nil {
		return nil, err
	}
	return timeAuthority(seed, name, kind, key)
}

func timeAuthority(seed byte, name string, kind custody.TimeAuthorityKind, key crypto.Signer) (*TimeAuthority, error) {
	use, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	if err != nil {
		return nil, err
	}
	rootKey, err := curveKey(seed, "root of "+name)
	if err != nil {
		return nil, err
	}
	from, to := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root of " + name}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: []byte{1},
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: to, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: use}},
	}
	rootDER, err := x509.CreateCertificate(nil, root, root, rootKey.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	leafDER, err := x509.CreateCertificate(nil, leaf, root, key.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(leafDER)
	if err != nil {
		return nil, err
	}
	a := &TimeAuthority{
		Trusted: custody.TimeAuthority{Name: name, Kind: kind, Certificates: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}))},
		signer:  stamp.Signer{Certificate: certificate, Key: key, Policy: asn1.ObjectIdentifier{1, 2, 3, 4}, Accuracy: 1},
	}
	return a, a.Trusted.Check()
}

// curveKey returns a P-256 key that follows from a seed and a name.
func curveKey(seed byte, name string) (*ecdsa.PrivateKey, error) {
	d := custody.Hash(fmt.Appendf([]byte{seed}, "time-stamping authority %s", name))
	return ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:])
}

// rsaKey returns an RSA key of 2048 bits that follows from a seed and a name.
func rsaKey(seed byte, name string) (*rsa.PrivateKey, error) {
	const exponent = 65537
	random, one := randomness(seed, "RSA key of "+name), big.NewInt(1)
	key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: big.NewInt(1), E: exponent}}
	phi := big.NewInt(1)
	for len(key.Primes) < 2 {
		b := make([]byte, 128)
		if _, err := io.ReadFull(random, b); err != nil {
			return nil, err
		}
		b[0], b[len(b)-1] = b[0]|0xc0, b[len(b)-1]|1
		p := new(big.Int).SetBytes(b)
		for !p.ProbablyPrime(20) || new(big.Int).Mod(p, big.NewInt(exponent)).Cmp(one) == 0 {
			p.Add(p, big.NewInt(2))
		}
		key.Primes = append(key.Primes, p)
		key.N.Mul(key.N, p)
		phi.Mul(phi, new(big.Int).Sub(p, one))
	}
	key.D = new(big.Int).ModInverse(big.NewInt(exponent), phi)
	key.Precompute()
	return key, key.Validate()
}

// Within has the authority say of its stamps from now on that their time may be off by
// so many seconds. It begins with one.
func (a *TimeAuthority) Within(seconds int64) { a.signer.Accuracy = seconds }

// Stamp returns a token for a signed checkpoint.
func (a *TimeAuthority) Stamp(checkpoint []byte, at custody.Time) ([]byte, error) {
	a.serial++
	nonce := big.NewInt(a.serial)
	query, err := stamp.NewRequest(checkpoint, nonce)
	if err != nil {
		return nil, err
	}
	answer, err := a.signer.Answer(query, at, nonce)
	if err != nil {
		return nil, err
	}
	token, _, err := stamp.Open(answer, checkpoint, nonce, a.Trusted)
	return token, err
}

// keptStamp is a stamp of a log.
type keptStamp struct {
	authority string
	size      uint64
	stamp     bundle.Stamp
}

// Stamp has the log's latest checkpoint stamped.
func (l *Log) Stamp(by *TimeAuthority, at custody.Time) error {
	signed := l.Checkpoint()
	token, err := by.Stamp(signed, at)
	if err != nil {
		return err
	}
	return l.KeepStamp(by.Trusted.Name, bundle.Stamp{Checkpoint: signed, Token: token})
}

// KeepStamp keeps what is called a stamp of an authority, whatever it is.
func (l *Log) KeepStamp(authority string, s bundle.Stamp) error {
	point, err := custody.CheckpointBody(s.Checkpoint)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stamps = append(l.stamps, keptStamp{authority, point.Size, s})
	return nil
}

func (s source) Authorities(context.Context) (names []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.stamps {
		if !slices.Contains(names, p.authority) {
			names = append(names, p.authority)
		}
	}
	return names, nil
}

func (s source) Stamp(_ context.Context, authority string, above uint64) (bundle.Stamp, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.stamps { // in order of size
		if p.authority == authority && p.size > above {
			return p.stamp, nil
		}
	}
	return bundle.Stamp{}, custody.ErrUnknown
}

func (s source) LastStamp(_ context.Context, authority string, upTo uint64) (found bundle.Stamp, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err = custody.ErrUnknown
	for _, p := range s.stamps {
		if p.authority == authority && p.size <= upTo {
			found, err = p.stamp, nil
		}
	}
	return found, err
}

func (s source) Consistency(_ context.Context, from, to uint64) ([]custody.Digest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from == to {
		return nil, nil
	}
	proof, err := tlog.ProveTree(int64(to), int64(from), tlog.HashReaderFunc(s.read))
	if err != nil {
		return nil, err
	}
	list := make([]custody.Digest, len(proof))
	for i, h := range proof {
		list[i] = custody.Digest(h)
	}
	return list, nil
}
