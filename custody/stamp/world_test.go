package stamp

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
	"io"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/forensic-custody/custody/custody"
)

var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// checkpoint returns a signed checkpoint of a log of some size.
func checkpoint(t testing.TB, size uint64) []byte {
	t.Helper()
	secret, _, err := note.GenerateKey(rand.Reader, "custody.example/test")
	require.NoError(t, err)
	signer, err := note.NewSigner(secret)
	require.NoError(t, err)
	signed, err := note.Sign(&note.Note{Text: custody.Checkpoint{Origin: "custody.example/test", Size: size, Root: custody.Hash([]byte{byte(size)})}.String()}, signer)
	require.NoError(t, err)
	return signed
}

// holder is somebody with a key and a certificate.
type holder struct {
	key         crypto.Signer
	certificate *x509.Certificate
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

var serials int64

// certify makes a certificate for a key, by another holder or, without one, by itself.
func certify(t testing.TB, by *holder, key crypto.Signer, name string, change func(*x509.Certificate)) *holder {
	t.Helper()
	serials++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serials), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), BasicConstraintsValid: true,
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(t, err)
	c, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &holder{key, c}
}

func authority(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign }

// stamps makes a certificate one for time-stamping.
func stamps(critical bool, uses ...int) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		var list []asn1.ObjectIdentifier
		for _, u := range uses {
			list = append(list, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, u})
		}
		der, err := asn1.Marshal(list)
		if err != nil {
			panic(err)
		}
		c.KeyUsage = x509.KeyUsageDigitalSignature
		c.ExtraExtensions = []pkix.Extension{{Id: oidExtKeyUsage, Critical: critical, Value: der}}
	}
}

const timeStamping = 8

// world is an authority with a root, an intermediate and a signer.
type world struct {
	root, between, leaf *holder
	signer              *Signer
	trusted             custody.TimeAuthority
}

func newWorld(t testing.TB) *world {
	t.Helper()
	root := certify(t, nil, newKey(t), "a root", authority)
	return under(t, root, newKey(t), stamps(true, timeStamping))
}

// under makes a world whose signer has this key and certificate.
func under(t testing.TB, root *holder, key crypto.Signer, change func(*x509.Certificate)) *world {
	t.Helper()
	between := certify(t, root, newKey(t), "one between", authority)
	leaf := certify(t, between, key, "a signer", change)
	return &world{
		root: root, between: between, leaf: leaf,
		signer:  &Signer{Certificate: leaf.certificate, Key: leaf.key, Policy: asn1.ObjectIdentifier{1, 2, 3, 4}, Accuracy: 2, Rand: rand.Reader},
		trusted: custody.TimeAuthority{Name: "an authority", Kind: custody.ExternalAuthority, Certificates: pemOf(between, root)},
	}
}

func pemOf(list ...*holder) (text string) {
	for _, h := range list {
		text += string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.certificate.Raw}))
	}
	return text
}

func newRSA(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	require.NoError(t, err)
	return key
}

// stamped returns a token for a checkpoint.
func (w *world) stamped(t testing.TB, signed []byte) []byte {
	t.Helper()
	return w.saying(t, signed, nil)
}

// saying is stamped with something else in what it says.
func (w *world) saying(t testing.TB, signed []byte, change func(*tstInfo)) []byte {
	t.Helper()
	message, err := Message(signed)
	require.NoError(t, err)
	d := custody.Hash(message)
	info := tstInfo{
		Version: 1, Policy: w.signer.Policy, MessageImprint: imprint{algorithm{Algorithm: oidSHA256}, d[:]}, SerialNumber: big.NewInt(17),
		GenTime: asn1.RawValue{Tag: asn1.TagGeneralizedTime, Bytes: []byte(now.Format("20060102150405.25Z"))}, Accuracy: accuracy{Seconds: 2}, Nonce: big.NewInt(5),
	}
	info.GenTime.Bytes = []byte("20261127120000.25Z")
	if change != nil {
		change(&info)
	}
	der, err := asn1.Marshal(info)
	require.NoError(t, err)
	token, err := w.signer.sign(der)
	require.NoError(t, err)
	return token
}

// rewritten returns a token in another spelling.
func rewritten(t testing.TB, token []byte, change func(*contentInfo)) []byte {
	t.Helper()
	var c contentInfo
	require.NoError(t, unmarshal(token, &c))
	change(&c)
	der, err := asn1.Marshal(c)
	require.NoError(t, err)
	return der
}

// huge is a key of RSA that is larger than anybody's. It signs nothing right.
type huge struct{}

func (huge) Public() crypto.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), 20000)
	return &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 65537}
}

func (huge) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return make([]byte, 2501), nil
}
