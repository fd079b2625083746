package bundle_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/stamp"
)

// forgedLines is what somebody would like a verdict to say.
const forgedLines = "x\n\x1b[2JVERIFIED\u202e\n\nTime        existed"

// requireTame wants a text in which forgedLines began no line and steers nothing.
func requireTame(t *testing.T, said string) {
	t.Helper()
	require.Contains(t, said, "VERIFIED")
	require.NotContains(t, said, "\x1b")
	require.NotContains(t, said, "\u202e")
	require.NotContains(t, said, "\nTime        existed")
	require.Equal(t, 1, strings.Count("\n"+said, "\nVERIFIED")+strings.Count("\n"+said, "\nNOT VERIFIED"))
}

// TestWhatOthersWroteStaysInItsLine: the name of a member, the reason of a refusal and
// the subject of a certificate that anybody can make himself.
func TestWhatOthersWroteStaysInItsLine(t *testing.T) {
	s := newStory(t, 1)
	list := members(t, written(t, contents(t, s, true)))
	list[1].name = forgedLines
	v := verify(archive(list), s.Trust)
	require.False(t, v.Verified)
	require.NotContains(t, v.Problems[0].Where+v.Problems[0].What, "\n")
	requireTame(t, text(t, v))

	f, c := forgerOf(t, s)
	add(t, f, c, s.Evidence.Stream(), func(r *custody.Record) {
		by(t, r, s, s.Engineer.ID, s.Engineer.Key, &custody.ExportEvidence{Evidence: s.Evidence})
		heads(t, c, r, s.Engineer.ID)
		r.Decision.Permit, r.Decision.Reason, r.Decision.Rules = false, forgedLines, nil
	})
	v = verify(written(t, f.prove(t, c)), s.Trust)
	require.Empty(t, v.Problems)
	requireTame(t, text(t, v))

	one := authority(t, 1, "Example TSA", custody.ExternalAuthority)
	require.NoError(t, s.Log.Stamp(one, custody.TimeOf(s.Now())))
	list = members(t, written(t, contents(t, s, true)))
	at := slices.IndexFunc(list, func(m member) bool { return strings.HasSuffix(m.name, ".tst") })
	point := slices.IndexFunc(list, func(m member) bool {
		return strings.HasPrefix(m.name, "stamps/") && strings.HasSuffix(m.name, "/checkpoint")
	})
	list[at].content = stampOf(t, list[point].content, forgedLines)
	v = verify(archive(list), s.Trust)
	require.Empty(t, v.Problems)
	require.Len(t, v.Warnings, 1)
	requireTame(t, text(t, v))
}

// stampOf is a stamp on a checkpoint by somebody who certified himself under a name.
func stampOf(t *testing.T, checkpoint []byte, name string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	use, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: use}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	query, err := stamp.NewRequest(checkpoint, big.NewInt(7))
	require.NoError(t, err)
	signer := stamp.Signer{Certificate: certificate, Key: key, Policy: asn1.ObjectIdentifier{1, 2, 3}, Accuracy: 1, Rand: rand.Reader}
	answer, err := signer.Answer(query, custody.TimeOf(time.Now()), big.NewInt(8))
	require.NoError(t, err)
	token, _, err := stamp.Open(answer, checkpoint, big.NewInt(7), custody.TimeAuthority{
		Name: "himself", Kind: custody.ExternalAuthority, Certificates: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
	})
	require.NoError(t, err)
	return token
}
