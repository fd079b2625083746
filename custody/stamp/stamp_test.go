package stamp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

// TestAStamp: what is said of a checkpoint is said, with keys of each kind.
func TestAStamp(t *testing.T) {
	root := certify(t, nil, newKey(t), "a root", authority)
	for name, w := range map[string]*world{
		"P-256": newWorld(t), "RSA": under(t, root, newRSA(t, 2048), stamps(true, timeStamping)),
	} {
		t.Run(name, func(t *testing.T) {
			signed := checkpoint(t, 7)
			token := w.stamped(t, signed)
			s, err := Verify(token, signed, w.trusted)
			require.NoError(t, err)
			require.Equal(t, uint64(7), s.Size)
			require.Equal(t, custody.TimeOf(now.Add(250*time.Millisecond)), s.Time)
			require.Equal(t, 2*time.Second, s.Accuracy)
			require.Equal(t, "17", s.Serial)
			require.Equal(t, "1.2.3.4", s.Policy)
			require.Equal(t, "CN=a signer", s.Signer)
			require.Equal(t, custody.ExternalAuthority, s.Kind)
			again, err := Normal(token, signed, w.trusted)
			require.NoError(t, err)
			require.Equal(t, token, again)

			cosigned := append(bytes.Clone(signed), "— a.witness AAAAAAA=\n"...)
			_, err = Verify(token, cosigned, w.trusted)
			require.NoError(t, err, "what is signed later changes nothing")
		})
	}
}

// TestNoStamp: what is not the authority's word about this checkpoint is refused, by
// Verify and by Normal.
func TestNoStamp(t *testing.T) {
	w := newWorld(t)
	signed := checkpoint(t, 7)
	good := w.stamped(t, signed)
	other := newWorld(t)
	with := func(change func(*x509.Certificate)) *world { return under(t, w.root, newKey(t), change) }
	expired := func(c *x509.Certificate) {
		stamps(true, timeStamping)(c)
		c.NotAfter = now.Add(-time.Minute)
	}
	elsewhere := newWorld(t)
	limited := certify(t, elsewhere.root, newKey(t), "one between", func(c *x509.Certificate) {
		authority(c)
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	elsewhere.leaf = certify(t, limited, newKey(t), "a signer", stamps(true, timeStamping))
	elsewhere.signer.Certificate, elsewhere.signer.Key = elsewhere.leaf.certificate, elsewhere.leaf.key
	elsewhere.trusted.Certificates = pemOf(limited, elsewhere.root)
	small, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	borrowed := *w.signer // another's key with its own certificate
	borrowed.Key = newKey(t)
	misnamed := with(stamps(true, timeStamping))
	twin := certify(t, misnamed.between, misnamed.leaf.key, "a signer", stamps(true, timeStamping)) // same key and name, another number
	for _, c := range []struct {
		name  string
		token []byte
		as    *world
		says  string
	}{
		{"of another checkpoint", w.stamped(t, checkpoint(t, 8)), w, "something else than this checkpoint"},
		{"of another authority of this name", other.stamped(t, signed), w, "no path leads"},
		{"for any use", with(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }).stamped(t, signed), w, "not for time-stamping alone"},
		{"for another use", with(stamps(true, 3)).stamped(t, signed), w, "not for time-stamping alone"},
		{"for another use too", with(stamps(true, timeStamping, 3)).stamped(t, signed), w, "not for time-stamping alone"},
		{"for a use that nobody knows, too", with(stamps(true, timeStamping, 99)).stamped(t, signed), w, "not for time-stamping alone"},
		{"for a use that is not critical", with(stamps(false, timeStamping)).stamped(t, signed), w, "not for time-stamping alone"},
		{"expired then", with(expired).stamped(t, signed), w, "no path leads"},
		{"before it was valid", w.saying(t, signed, func(i *tstInfo) { i.GenTime.Bytes = []byte("20261127100000Z") }), w, "no path leads"},
		{"with a small key", under(t, w.root, small, stamps(true, timeStamping)).stamped(t, signed), w, "neither RSA nor ECDSA"},
		{"with a short key", under(t, w.root, newRSA(t, 1024), stamps(true, timeStamping)).stamped(t, signed), w, "RSA key of 1024 bits"},
		{"with a huge key", under(t, w.root, huge{}, stamps(true, timeStamping)).stamped(t, signed), w, "RSA key of 20001 bits"},
		{"under a certificate for another use", elsewhere.stamped(t, signed), elsewhere, "no path leads"},
		{"of SHA-1", w.saying(t, signed, func(i *tstInfo) {
			sum := sha1.Sum(signed)
			i.MessageImprint = imprint{algorithm{Algorithm: asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}}, sum[:]}
		}), w, "not SHA-256"},
		{"of the signed note", w.saying(t, signed, func(i *tstInfo) { d := custody.Hash(signed); i.MessageImprint.HashedMessage = d[:] }), w, "something else"},
		{"of version 2", w.saying(t, signed, func(i *tstInfo) { i.Version = 2 }), w, "version 2"},
		{"with what is not understood", w.saying(t, signed, func(i *tstInfo) {
			i.Extensions = []extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}), w, "critical extension"},
		{"with an accuracy of less than nothing", w.saying(t, signed, func(i *tstInfo) { i.Accuracy.Seconds = -5 }), w, "accuracy"},
		{"with a second of a thousand milliseconds", w.saying(t, signed, func(i *tstInfo) { i.Accuracy.Millis = 1000 }), w, "accuracy"},
		{"of local time", w.saying(t, signed, func(i *tstInfo) { i.GenTime.Bytes = []byte("20261127120000+0100") }), w, "none in UTC"},
		{"of no time", w.saying(t, signed, func(i *tstInfo) { i.GenTime.Bytes = []byte("20261327120000Z") }), w, "month out of range"},
		{"with a fraction that ends with a zero", w.saying(t, signed, func(i *tstInfo) { i.GenTime.Bytes = []byte("20261127120000.10Z") }), w, "none in UTC"},
		{"signed by another", (&world{signer: &borrowed}).stamped(t, signed), w, "does not verify"},
		{"with the name of another certificate of the same key", rewritten(t, misnamed.stamped(t, signed), func(c *contentInfo) {
			c.Content.Certificates.FullBytes, c.Content.Certificates.Bytes = nil, twin.certificate.Raw
			id, err := identifierOf(twin.certificate)
			require.NoError(t, err)
			c.Content.SignerInfos[0].Signer = asn1.RawValue{FullBytes: id}
		}), misnamed, "signed with another certificate"},
		{"without its certificate", rewritten(t, good, func(c *contentInfo) {
			c.Content.Certificates.FullBytes, c.Content.Certificates.Bytes = nil, w.between.certificate.Raw
		}), w, "does not carry the certificate"},
		{"without signed attributes", rewritten(t, good, func(c *contentInfo) { c.Content.SignerInfos[0].SignedAttributes = asn1.RawValue{} }), w, "no signed attributes"},
		{"with two signatures", rewritten(t, good, func(c *contentInfo) {
			c.Content.SignerInfos = append(c.Content.SignerInfos, c.Content.SignerInfos[0])
		}), w, "2 signatures"},
		{"with none", rewritten(t, good, func(c *contentInfo) { c.Content.SignerInfos = nil }), w, "0 signatures"},
		{"with something behind it", append(bytes.Clone(good), 0), w, "bytes follow"},
		{"huge", append(bytes.Clone(good), make([]byte, MaxToken)...), w, "are the most"},
		{"nothing", nil, w, "no token"},
		{"other signed data", rewritten(t, good, func(c *contentInfo) { c.Content.Content.Type = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1} }), w, "other signed data"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Verify(c.token, signed, c.as.trusted)
			require.ErrorContains(t, err, c.says)
			_, err = Normal(c.token, signed, c.as.trusted)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// TestSignedAttributes: what is signed beside the time is there, once, and right.
func TestSignedAttributes(t *testing.T) {
	w := newWorld(t)
	signed := checkpoint(t, 7)
	read, err := parse(w.stamped(t, signed))
	require.NoError(t, err)
	sum, own := custody.Hash(read.content), custody.Hash(w.leaf.certificate.Raw)
	named := func(id essCertIDv2) signedAttribute {
		return signedAttribute{oidSigningCertificateV2, []any{signingCertificateV2{Certs: []essCertIDv2{id}}}}
	}
	issuer := asn1.RawValue{FullBytes: w.leaf.certificate.RawIssuer}
	kind, digest, certificate := signedAttribute{oidContentType, []any{oidTSTInfo}}, signedAttribute{oidMessageDigest, []any{sum[:]}}, named(essCertIDv2{CertHash: own[:]})
	wide := sumOf(crypto.SHA512, w.leaf.certificate.Raw)
	for name, c := range map[string]struct {
		list []signedAttribute
		says string
	}{
		"as it should be":    {[]signedAttribute{kind, digest, certificate}, ""},
		"with a further one": {[]signedAttribute{kind, digest, certificate, {asn1.ObjectIdentifier{1, 2, 3}, []any{17}}}, ""},
		"named by number":    {[]signedAttribute{kind, digest, named(essCertIDv2{CertHash: own[:], IssuerSerial: issuerSerial{issuer, w.leaf.certificate.SerialNumber}})}, ""},
		"named by SHA-512":   {[]signedAttribute{kind, digest, named(essCertIDv2{HashAlgorithm: algorithm{Algorithm: oidSHA512}, CertHash: wide})}, ""},
		"another number":     {[]signedAttribute{kind, digest, named(essCertIDv2{CertHash: own[:], IssuerSerial: issuerSerial{issuer, big.NewInt(1 << 40)}})}, "of another number"},
		"named by SHA-1":     {[]signedAttribute{kind, digest, named(essCertIDv2{HashAlgorithm: algorithm{Algorithm: asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}}, CertHash: own[:20]})}, "not of SHA-2"},
		"no name":            {[]signedAttribute{kind, digest, {oidSigningCertificateV2, []any{signingCertificateV2{}}}}, "which certificate"},
		"another kind":       {[]signedAttribute{{oidContentType, []any{oidSignedData}}, digest, certificate}, "something else than a time"},
		"another content":    {[]signedAttribute{kind, {oidMessageDigest, []any{own[:]}}, certificate}, "another content"},
		"no kind":            {[]signedAttribute{digest, certificate}, "lacks"},
		"no content":         {[]signedAttribute{kind, certificate}, "lacks"},
		"no certificate":     {[]signedAttribute{kind, digest}, "lacks"},
		"two contents":       {[]signedAttribute{kind, digest, {oidMessageDigest, []any{own[:]}}, certificate}, "more than once"},
		"two values":         {[]signedAttribute{kind, {oidMessageDigest, []any{sum[:], own[:]}}, certificate}, "more than once"},
	} {
		token, err := w.signer.signWith(read.content, c.list)
		require.NoError(t, err)
		_, err = Verify(token, signed, w.trusted)
		if c.says == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, c.says, name)
	}
}

// TestOneSpelling: what the authority's signature does not cover is in one spelling,
// into which Normal brings it.
func TestOneSpelling(t *testing.T) {
	for name, w := range map[string]*world{"P-256": newWorld(t), "RSA": under(t, certify(t, nil, newKey(t), "a root", authority), newRSA(t, 2048), stamps(true, timeStamping))} {
		signed := checkpoint(t, 7)
		good := w.stamped(t, signed)
		stranger := certify(t, nil, newKey(t), "a stranger", authority)
		certificates := func(list ...*holder) func(*contentInfo) {
			return func(c *contentInfo) {
				c.Content.Certificates.FullBytes, c.Content.Certificates.Bytes = nil, nil
				for _, h := range list {
					c.Content.Certificates.Bytes = append(c.Content.Certificates.Bytes, h.certificate.Raw...)
				}
			}
		}
		for what, change := range map[string]func(*contentInfo){
			"a certificate that is not needed":   certificates(w.leaf, stranger),
			"its certificate twice":              certificates(w.leaf, w.leaf),
			"the hash with parameters":           func(c *contentInfo) { c.Content.SignerInfos[0].DigestAlgorithm.Parameters = asn1.NullRawValue },
			"another hash among those announced": func(c *contentInfo) { c.Content.DigestAlgorithms = []algorithm{{Algorithm: oidSHA512}} },
			"another version":                    func(c *contentInfo) { c.Content.Version = 5 },
			"a signer of another version":        func(c *contentInfo) { c.Content.SignerInfos[0].Version = 3 },
			"another name of the algorithm": func(c *contentInfo) {
				c.Content.SignerInfos[0].SignatureAlgorithm = algorithm{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, Parameters: asn1.NullRawValue}
			},
			"an unsigned attribute": func(c *contentInfo) {
				c.Content.SignerInfos[0].Unsigned = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, IsCompound: true, Bytes: []byte{0x30, 0}}
			},
			"a list of revocations": func(c *contentInfo) {
				c.Content.CRLs = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, IsCompound: true, Bytes: []byte{0x30, 0}}
			},
		} {
			t.Run(name+": "+what, func(t *testing.T) {
				token := rewritten(t, good, change)
				require.NotEqual(t, good, token)
				_, err := Verify(token, signed, w.trusted)
				require.Error(t, err)
				if what != "a certificate that is not needed" {
					_, err = Read(token, signed)
					require.ErrorContains(t, err, "one spelling")
				}
				normal, err := Normal(token, signed, w.trusted)
				require.NoError(t, err)
				require.Equal(t, good, normal)
			})
		}
		t.Run(name+": a certificate that is not needed, in its place", func(t *testing.T) {
			read, err := parse(good)
			require.NoError(t, err)
			token, err := read.marshal([]*x509.Certificate{w.leaf.certificate, stranger.certificate})
			require.NoError(t, err)
			_, err = Read(token, signed)
			require.NoError(t, err)
			_, err = Verify(token, signed, w.trusted)
			require.ErrorContains(t, err, "it carries the certificate of CN=a stranger")
		})
		t.Run(name+": certificates that are needed", func(t *testing.T) {
			far := w.trusted
			far.Certificates = pemOf(w.root)
			_, err := Verify(good, signed, far)
			require.ErrorContains(t, err, "no path leads")
			token, err := Normal(rewritten(t, good, certificates(w.between, stranger, w.root, w.leaf)), signed, far)
			require.NoError(t, err)
			_, err = Verify(token, signed, far)
			require.NoError(t, err)
			_, err = Verify(token, signed, w.trusted)
			require.NoError(t, err)
		})
	}
}

// TestTheOtherFormOfASignature: of the two forms of an ECDSA signature the one with the
// low s is its one spelling, on each curve, and whichever an authority answers with.
func TestTheOtherFormOfASignature(t *testing.T) {
	root := certify(t, nil, newKey(t), "a root", authority)
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		t.Run(curve.Params().Name, func(t *testing.T) {
			key, err := ecdsa.GenerateKey(curve, rand.Reader)
			require.NoError(t, err)
			w := under(t, root, key, stamps(true, timeStamping))
			signed := checkpoint(t, 7)
			for range 8 { // half of what it signs has a high s
				good := w.stamped(t, signed)
				_, err := Verify(good, signed, w.trusted)
				require.NoError(t, err)
				require.LessOrEqual(t, new(big.Int).Lsh(sOf(t, good), 1).Cmp(curve.Params().N), 0)

				other := rewritten(t, good, func(c *contentInfo) {
					c.Content.SignerInfos[0].Signature = otherForm(t, curve, c.Content.SignerInfos[0].Signature)
				})
				read, err := parse(other)
				require.NoError(t, err)
				require.NoError(t, read.checkSignature(), "it is a signature too")
				_, err = Verify(other, signed, w.trusted)
				require.ErrorContains(t, err, "one spelling")
				_, err = Read(other, signed)
				require.ErrorContains(t, err, "one spelling")
				normal, err := Normal(other, signed, w.trusted)
				require.NoError(t, err)
				require.Equal(t, good, normal, "nothing else is changed")
				answer, err := asn1.Marshal(response{Token: asn1.RawValue{FullBytes: other}})
				require.NoError(t, err)
				opened, _, err := Open(answer, signed, big.NewInt(5), w.trusted)
				require.NoError(t, err)
				require.Equal(t, good, opened)
			}
		})
	}
}

// sOf returns the second number of a token's ECDSA signature.
func sOf(t *testing.T, der []byte) *big.Int {
	t.Helper()
	read, err := parse(der)
	require.NoError(t, err)
	var v struct{ R, S *big.Int }
	require.NoError(t, unmarshal(read.signature, &v))
	return v.S
}

// otherForm returns the other signature that anybody can make of one.
func otherForm(t *testing.T, curve elliptic.Curve, signature []byte) []byte {
	t.Helper()
	var v struct{ R, S *big.Int }
	require.NoError(t, unmarshal(signature, &v))
	v.S.Sub(curve.Params().N, v.S)
	der, err := asn1.Marshal(v)
	require.NoError(t, err)
	return der
}

// TestEveryByteOfATokenCounts: a token in which one byte is another is refused.
func TestEveryByteOfATokenCounts(t *testing.T) {
	root := certify(t, nil, newKey(t), "a root", authority)
	for name, w := range map[string]*world{"P-256": newWorld(t), "RSA": under(t, root, newRSA(t, 2048), stamps(true, timeStamping))} {
		signed := checkpoint(t, 7)
		good := w.stamped(t, signed)
		_, err := Verify(good, signed, w.trusted)
		require.NoError(t, err)
		for i := range good {
			for _, mask := range []byte{1, 2, 4, 0x0a, 0x20, 0x80, 0xff} {
				altered := bytes.Clone(good)
				altered[i] ^= mask
				if _, err := Verify(altered, signed, w.trusted); err == nil {
					t.Fatalf("%s: byte %d of %d may be %#x instead of %#x", name, i, len(good), altered[i], good[i])
				}
			}
			_, err := Verify(good[:i], signed, w.trusted)
			require.Error(t, err, "cut off after %d bytes", i)
		}
	}
}

// TestAnswers: an answer counts for the request that it answers.
func TestAnswers(t *testing.T) {
	w := newWorld(t)
	signed := checkpoint(t, 7)
	nonce := big.NewInt(1 << 40)
	query, err := NewRequest(signed, nonce)
	require.NoError(t, err)
	answer, err := w.signer.Answer(query, custody.TimeOf(now), big.NewInt(3))
	require.NoError(t, err)
	token, s, err := Open(answer, signed, nonce, w.trusted)
	require.NoError(t, err)
	require.Equal(t, custody.TimeOf(now), s.Time)
	_, err = Verify(token, signed, w.trusted)
	require.NoError(t, err)

	_, _, err = Open(answer, signed, big.NewInt(1<<41), w.trusted)
	require.ErrorContains(t, err, "nonce")
	_, _, err = Open(answer, checkpoint(t, 8), nonce, w.trusted)
	require.ErrorContains(t, err, "something else than this checkpoint")
	_, _, err = Open(append(bytes.Clone(answer), 0), signed, nonce, w.trusted)
	require.ErrorContains(t, err, "bytes follow")
	_, _, err = Open([]byte("<html>"), signed, nonce, w.trusted)
	require.ErrorContains(t, err, "did not answer as RFC 3161")
	_, _, err = Open(make([]byte, MaxToken+1), signed, nonce, w.trusted)
	require.ErrorContains(t, err, "more than")
	bare, err := asn1.Marshal(response{Status: statusInfo{Status: 0}, Token: asn1.RawValue{FullBytes: w.stamped(t, signed)}})
	require.NoError(t, err)
	_, _, err = Open(bare, signed, nonce, w.trusted)
	require.ErrorContains(t, err, "nonce")
	refusal, err := asn1.Marshal(response{Status: statusInfo{Status: 2, Text: []asn1.RawValue{{Tag: asn1.TagUTF8String, Bytes: []byte("not today")}}, FailInfo: asn1.BitString{Bytes: []byte{0x80}, BitLength: 1}}})
	require.NoError(t, err)
	_, _, err = Open(refusal, signed, nonce, w.trusted)
	require.ErrorContains(t, err, "not today")

	for name, q := range map[string][]byte{"nothing": nil, "something behind it": append(bytes.Clone(query), 0), "no query": answer} {
		_, err := w.signer.Answer(q, custody.TimeOf(now), big.NewInt(3))
		require.Error(t, err, name)
	}
}

// FuzzToken: no token makes the verifier fail otherwise than with an error, and what is
// normal is verified.
func FuzzToken(f *testing.F) {
	vector := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join("..", "testdata", "vectors", name))
		require.NoError(f, err)
		return b
	}
	signed := vector("stamped.checkpoint")
	trust, err := custody.ParseTrust(vector("trust-authorities.json"))
	require.NoError(f, err)
	good := vector("stamp.tst")
	_, err = Verify(good, signed, trust.Authorities[0])
	require.NoError(f, err)
	f.Add(good)
	f.Fuzz(func(t *testing.T, token []byte) {
		if normal, err := Normal(token, signed, trust.Authorities[0]); err == nil {
			if _, err := Verify(normal, signed, trust.Authorities[0]); err != nil {
				t.Fatal(err)
			}
		}
		if parsed, err := parse(token); err == nil {
			if _, err := parsed.marshal(parsed.certificates); err != nil {
				t.Fatal(err)
			}
		}
	})
}
