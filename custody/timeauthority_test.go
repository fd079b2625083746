package custody_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

// certificateOf is a certificate in PEM; a root when the names are the same.
func certificateOf(t testing.TB, name, issuer string) string {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, c, &x509.Certificate{Subject: pkix.Name{CommonName: issuer}}, key.Public(), key))
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// TestATrustFileNamesAuthorities: they are part of what is trusted, and of the
// fingerprint; a trust file without them is what it was.
func TestATrustFileNamesAuthorities(t *testing.T) {
	s := newStory(t)
	before := must[[]byte](t)(s.Trust.Marshal())
	require.NotContains(t, string(before), "authorities")
	was := must[custody.Digest](t)(s.Trust.Fingerprint())
	root, between := certificateOf(t, "a root", "a root"), certificateOf(t, "one between", "a root")

	trust := *s.Trust
	trust.Authorities = []custody.TimeAuthority{{Name: "one", Kind: custody.QualifiedAuthority, Certificates: between + root}, {Name: "two", Kind: custody.LocalAuthority, Certificates: root}}
	b := must[[]byte](t)(trust.Marshal())
	read, err := custody.ParseTrust(b)
	require.NoError(t, err)
	require.Equal(t, trust.Authorities, read.Authorities)
	require.NotEqual(t, was, must[custody.Digest](t)(trust.Fingerprint()))
	roots, chain, err := read.Authorities[0].Chain()
	require.NoError(t, err)
	require.Len(t, roots, 1)
	require.Len(t, chain, 1)
	require.Equal(t, "one between", chain[0].Subject.CommonName)
	_, err = s.Trust.Extend(&trust)
	require.ErrorContains(t, err, "or asks for other witnesses or authorities")

	written := "a comment\n" + strings.ReplaceAll(root, "\n", "\r\n") + "\nanother\n" + between
	normal, err := custody.NormalCertificates([]byte(written))
	require.NoError(t, err)
	require.Equal(t, root+between, normal)

	for name, a := range map[string]custody.TimeAuthority{
		"no name":            {Kind: custody.ExternalAuthority, Certificates: root},
		"a name of lines":    {Name: "a\nb", Kind: custody.ExternalAuthority, Certificates: root},
		"no kind":            {Name: "three", Certificates: root},
		"another kind":       {Name: "three", Kind: "Qualified", Certificates: root},
		"no certificate":     {Name: "three", Kind: custody.ExternalAuthority},
		"no root":            {Name: "three", Kind: custody.ExternalAuthority, Certificates: between},
		"one twice":          {Name: "three", Kind: custody.ExternalAuthority, Certificates: root + root},
		"another spelling":   {Name: "three", Kind: custody.ExternalAuthority, Certificates: root + "\n"},
		"a comment":          {Name: "three", Kind: custody.ExternalAuthority, Certificates: "x\n" + root},
		"other line lengths": {Name: "three", Kind: custody.ExternalAuthority, Certificates: strings.Replace(root, "\n", "", 2)},
		"a key":              {Name: "three", Kind: custody.ExternalAuthority, Certificates: root + "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"},
		"damaged":            {Name: "three", Kind: custody.ExternalAuthority, Certificates: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))},
		"too much":           {Name: "three", Kind: custody.ExternalAuthority, Certificates: root + strings.Repeat("x", 64<<10)},
		"a name that is had": {Name: "two", Kind: custody.ExternalAuthority, Certificates: root},
	} {
		bad := trust
		bad.Authorities = append(trust.Authorities[:2:2], a)
		_, err := custody.ParseTrust(must[[]byte](t)(bad.Marshal()))
		require.Error(t, err, name)
	}
	many := trust
	for n := range 33 {
		many.Authorities = append(many.Authorities, custody.TimeAuthority{Name: strings.Repeat("x", n+1), Kind: custody.ExternalAuthority, Certificates: root})
	}
	_, err = custody.ParseTrust(must[[]byte](t)(many.Marshal()))
	require.ErrorContains(t, err, "more than 32")
	empty := strings.Replace(string(before), "{", `{"authorities":[],`, 1)
	_, err = custody.ParseTrust([]byte(empty))
	require.ErrorContains(t, err, "canonical")
}
