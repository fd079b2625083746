// Package authoritytest runs time-stamping authorities for tests: OpenSSL's, which is
// somebody else's work, and ones with any clock. Both answer over HTTP, and can be
// made to fail.
package authoritytest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/stamp"
)

// Server is an authority over HTTP.
type Server struct {
	URL     string
	Trusted custody.TimeAuthority // who it is
	File    string                // PEM file with its root certificate

	mu      sync.Mutex
	answer  func(query []byte) ([]byte, error)
	instead http.HandlerFunc
	asked   int
}

// Instead has requests answered by something else; nil is the authority again.
func (s *Server) Instead(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instead = h
}

// Asked counts the requests.
func (s *Server) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// Answer is what the authority answers to a query.
func (s *Server) Answer(query []byte) ([]byte, error) { return s.answer(query) }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked++
	instead := s.instead
	s.mu.Unlock()
	if instead != nil {
		instead(w, r)
		return
	}
	query, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/timestamp-query" || err != nil {
		http.Error(w, "RFC 3161, section 3.4", http.StatusBadRequest)
		return
	}
	answer, err := s.answer(query)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	_, _ = w.Write(answer)
}

// chain is a root, and a key with a certificate below it, which is for time-stamping.
type chain struct {
	root, leaf *x509.Certificate
	key        crypto.Signer
}

func newChain(t testing.TB, key crypto.Signer) chain {
	t.Helper()
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	use, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	require.NoError(t, err)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the root of a test"}, NotBefore: time.Unix(0, 0), NotAfter: time.Now().AddDate(50, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "the authority of a test"}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: use}},
	}
	made := func(c, parent *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, c, parent, public, rootKey)
		require.NoError(t, err)
		parsed, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		return parsed
	}
	c := chain{key: key}
	c.root = made(root, root, rootKey.Public())
	c.leaf = made(leaf, c.root, key.Public())
	return c
}

func (c chain) serve(t testing.TB, name string, answer func(query []byte) ([]byte, error)) *Server {
	t.Helper()
	s := &Server{answer: answer, File: filepath.Join(t.TempDir(), "root.pem")}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.root.Raw})
	require.NoError(t, os.WriteFile(s.File, text, 0o600))
	s.Trusted = custody.TimeAuthority{Name: name, Kind: custody.ExternalAuthority, Certificates: string(text)}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL + "/tsa"
	return s
}

// Clock runs an authority with a clock of its own.
func Clock(t testing.TB, name string, now func() time.Time) *Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := newChain(t, key)
	signer := stamp.Signer{Certificate: c.leaf, Key: key, Policy: asn1.ObjectIdentifier{1, 2, 3, 4}, Accuracy: 1, Rand: rand.Reader}
	serial := int64(0)
	var mu sync.Mutex
	return c.serve(t, name, func(query []byte) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		serial++
		return signer.Answer(query, custody.TimeOf(now()), big.NewInt(serial))
	})
}

// OpenSSL runs OpenSSL's authority, with an RSA key.
func OpenSSL(t testing.TB, name string) *Server {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return openSSL(t, name, key)
}

// OpenSSLOnP256 runs OpenSSL's authority, with an ECDSA key.
func OpenSSLOnP256(t testing.TB, name string) *Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return openSSL(t, name, key)
}

func openSSL(t testing.TB, name string, key crypto.Signer) *Server {
	t.Helper()
	c := newChain(t, key)
	dir := t.TempDir()
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for name, b := range map[string][]byte{
		"key.pem":    pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
		"signer.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.leaf.Raw}),
		"serial":     []byte("01\n"),
		"tsa.conf": []byte(`[tsa]
default_tsa = tsa1
[tsa1]
serial = serial
signer_cert = signer.pem
signer_key = key.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha1, sha256
accuracy = secs:1, millisecs:500, microsecs:100
clock_precision_digits = 3
ordering = yes
tsa_name = yes
ess_cert_id_alg = sha256
`),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	var mu sync.Mutex // for serial
	return c.serve(t, name, func(query []byte) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		in, out := filepath.Join(dir, "query"), filepath.Join(dir, "answer")
		if err := os.WriteFile(in, query, 0o600); err != nil {
			return nil, err
		}
		cmd := exec.Command("openssl", "ts", "-reply", "-config", "tsa.conf", "-queryfile", in, "-out", out)
		cmd.Dir = dir
		if said, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w: %s", err, said)
		}
		return os.ReadFile(out)
	})
}

// OpenSSLAccepts asks OpenSSL whether a token is a stamp of a signed checkpoint, by an
// authority with these root certificates.
func OpenSSLAccepts(t testing.TB, token, checkpoint []byte, roots string) error {
	t.Helper()
	dir := t.TempDir()
	message, err := stamp.Message(checkpoint)
	require.NoError(t, err)
	for name, b := range map[string][]byte{"token": token, "message": message, "roots": []byte(roots)} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	cmd := exec.Command("openssl", "ts", "-verify", "-in", "token", "-token_in", "-data", "message", "-CAfile", "roots")
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	return nil
}
