package authority_test

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/stamp"
	"github.com/forensic-custody/custody/ledger/authority"
	"github.com/forensic-custody/custody/ledger/authority/authoritytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func checkpoint(t testing.TB, size uint64) []byte {
	t.Helper()
	secret, _, err := note.GenerateKey(rand.Reader, "custody.example/test")
	require.NoError(t, err)
	signer, err := note.NewSigner(secret)
	require.NoError(t, err)
	signed, err := note.Sign(&note.Note{Text: custody.Checkpoint{Origin: "custody.example/test", Size: size, Root: custody.Hash(nil)}.String()}, signer)
	require.NoError(t, err)
	return signed
}

func ask(t testing.TB, a authority.Authority, signed []byte) ([]byte, *stamp.Stamp, error) {
	t.Helper()
	defer func() { require.NoError(t, a.Close()) }()
	return a.Stamp(t.Context(), signed)
}

// TestOpenSSLStamps: what OpenSSL's authority answers is a stamp, and OpenSSL itself
// still says so once it is in its one spelling.
func TestOpenSSLStamps(t *testing.T) {
	s := authoritytest.OpenSSL(t, "OpenSSL")
	signed := checkpoint(t, 7)
	before := time.Now()
	token, said, err := ask(t, authority.Remote(s.Trusted, s.URL), signed)
	require.NoError(t, err)
	require.WithinRange(t, said.Time.Time(), before.Add(-time.Second), time.Now())
	require.Equal(t, 1500*time.Millisecond+100*time.Microsecond, said.Accuracy)
	require.Equal(t, "1.2.3.4.1", said.Policy)
	require.Equal(t, "CN=the authority of a test", said.Signer)
	require.NoError(t, authoritytest.OpenSSLAccepts(t, token, signed, s.Trusted.Certificates))
	require.Error(t, authoritytest.OpenSSLAccepts(t, token, checkpoint(t, 8), s.Trusted.Certificates))
	altered := bytes.Clone(token)
	altered[len(altered)-1] ^= 1
	require.Error(t, authoritytest.OpenSSLAccepts(t, altered, signed, s.Trusted.Certificates))
	_, err = stamp.Verify(altered, signed, s.Trusted)
	require.Error(t, err)
}

// TestOpenSSLsOtherForm: an answer of OpenSSL's whose ECDSA signature has a high s is
// kept with the low one, and OpenSSL takes that for the same stamp; nothing that the
// authority signed is another.
func TestOpenSSLsOtherForm(t *testing.T) {
	s := authoritytest.OpenSSLOnP256(t, "OpenSSL")
	signed := checkpoint(t, 7)
	n := elliptic.P256().Params().N
	for range 64 { // half of its answers have a high s
		query, err := stamp.NewRequest(signed, big.NewInt(1))
		require.NoError(t, err)
		answer, err := s.Answer(query)
		require.NoError(t, err)
		before, high := signatureAtTheEnd(t, answer)
		if new(big.Int).Lsh(high, 1).Cmp(n) <= 0 {
			continue
		}
		token, _, err := stamp.Open(answer, signed, big.NewInt(1), s.Trusted)
		require.NoError(t, err)
		after, low := signatureAtTheEnd(t, token)
		require.Equal(t, n.String(), new(big.Int).Add(high, low).String())
		require.True(t, bytes.HasSuffix(before, after[len(after)-150:]), "what is signed stands before it as it was")
		require.NoError(t, authoritytest.OpenSSLAccepts(t, token, signed, s.Trusted.Certificates))
		return
	}
	t.Fatal("64 answers, and none has a high s")
}

// signatureAtTheEnd returns the ECDSA signature with which a token ends, as the second
// of its numbers, and what stands before it.
func signatureAtTheEnd(t *testing.T, der []byte) (before []byte, s *big.Int) {
	t.Helper()
	for size := 62; size <= 72; size++ { // of a signature on P-256
		at := len(der) - size
		var v struct{ R, S *big.Int }
		if rest, err := asn1.Unmarshal(der[at:], &v); err == nil && len(rest) == 0 && bytes.Equal(der[at-2:at], []byte{asn1.TagOctetString, byte(size)}) {
			return der[:at-2], v.S
		}
	}
	t.Fatal("it does not end with a signature")
	return nil, nil
}

// TestOpenSSLAcceptsOurs: the service's own stamps are ones to OpenSSL, and so are
// those by an authority with a root above it.
func TestOpenSSLAcceptsOurs(t *testing.T) {
	certificate, key, err := authority.NewClock("custody.example/test", time.Now())
	require.NoError(t, err)
	own := custody.TimeAuthority{Name: "own", Kind: custody.LocalAuthority, Certificates: string(certificate)}
	require.NoError(t, own.Check())
	clock, err := authority.OpenClock(own, key, time.Now)
	require.NoError(t, err)
	signed := checkpoint(t, 7)
	token, said, err := ask(t, clock, signed)
	require.NoError(t, err)
	require.Equal(t, custody.LocalAuthority, said.Kind)
	require.NoError(t, authoritytest.OpenSSLAccepts(t, token, signed, own.Certificates))

	s := authoritytest.Clock(t, "a clock", time.Now)
	token, _, err = ask(t, authority.Remote(s.Trusted, s.URL), signed)
	require.NoError(t, err)
	require.NoError(t, authoritytest.OpenSSLAccepts(t, token, signed, s.Trusted.Certificates))
	require.Error(t, authoritytest.OpenSSLAccepts(t, token, signed, own.Certificates))

	_, key, err = authority.NewClock("custody.example/test", time.Now())
	require.NoError(t, err)
	_, err = authority.OpenClock(own, key, time.Now)
	require.ErrorContains(t, err, "not the one in its certificate")
}

// TestOpenSSLsQueries: what OpenSSL asks is answered, also without a nonce, and
// OpenSSL takes the answer.
func TestOpenSSLsQueries(t *testing.T) {
	s := authoritytest.Clock(t, "a clock", time.Now)
	signed := checkpoint(t, 7)
	message, err := stamp.Message(signed)
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "message"), message, 0o600))
	openssl := func(args ...string) {
		cmd := exec.Command("openssl", append([]string{"ts"}, args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	for _, more := range [][]string{{"-cert"}, {"-cert", "-no_nonce"}} {
		openssl(append([]string{"-query", "-data", "message", "-sha256", "-out", "query"}, more...)...)
		query, err := os.ReadFile(filepath.Join(dir, "query"))
		require.NoError(t, err)
		answer, err := s.Answer(query)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "answer"), answer, 0o600))
		openssl("-verify", "-in", "answer", "-queryfile", "query", "-CAfile", s.File)
	}
	openssl("-query", "-data", "message", "-sha1", "-out", "query")
	query, err := os.ReadFile(filepath.Join(dir, "query"))
	require.NoError(t, err)
	_, err = s.Answer(query)
	require.Error(t, err)
}

// TestAuthoritiesThatFail: whatever an authority answers, it is a stamp or an error.
func TestAuthoritiesThatFail(t *testing.T) {
	s := authoritytest.Clock(t, "a clock", time.Now)
	signed := checkpoint(t, 7)
	var earlier []byte
	other := authoritytest.Clock(t, "a clock", time.Now) // another one of that name
	for name, c := range map[string]struct {
		instead http.HandlerFunc
		says    string
	}{
		"garbage":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "did not answer as RFC 3161"},
		"nothing":    {func(http.ResponseWriter, *http.Request) {}, "did not answer as RFC 3161"},
		"a failure":  {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) }, "503"},
		"elsewhere":  {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) }, "302"},
		"too much":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) }, "more than"},
		"an earlier": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(earlier) }, "another request"},
		"another's":  {other.ServeHTTP, "no path leads"},
	} {
		t.Run(name, func(t *testing.T) {
			query, err := stamp.NewRequest(signed, big.NewInt(1))
			require.NoError(t, err)
			earlier, err = s.Answer(query)
			require.NoError(t, err)
			s.Instead(c.instead)
			defer s.Instead(nil)
			_, _, err = ask(t, authority.Remote(s.Trusted, s.URL), signed)
			require.ErrorContains(t, err, c.says)
		})
	}
	t.Run("it hangs", func(t *testing.T) {
		hanging := make(chan struct{})
		s.Instead(func(http.ResponseWriter, *http.Request) { <-hanging })
		defer s.Instead(nil)
		defer close(hanging)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		a := authority.Remote(s.Trusted, s.URL)
		defer func() { require.NoError(t, a.Close()) }()
		_, _, err := a.Stamp(ctx, signed)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
	t.Run("it signs another hash", func(t *testing.T) {
		s.Instead(func(w http.ResponseWriter, r *http.Request) {
			query := make([]byte, r.ContentLength)
			_, _ = r.Body.Read(query)
			d := custody.Hash([]byte("something else"))
			message, _ := stamp.Message(signed)
			was := custody.Hash(message)
			answer, err := s.Answer(bytes.Replace(query, was[:], d[:], 1))
			if err != nil {
				panic(err)
			}
			_, _ = w.Write(answer)
		})
		defer s.Instead(nil)
		_, _, err := ask(t, authority.Remote(s.Trusted, s.URL), signed)
		require.ErrorContains(t, err, "something else than this checkpoint")
	})
}
