package custody_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"testing"

	"filippo.io/edwards25519"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

// ed25519Prefix is what the PKIX DER of an Ed25519 key begins with (RFC 8410,
// section 4).
var ed25519Prefix = take(hex.DecodeString("302a300506032b6570032100"))

func take[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// smallOrder lists the encodings of the eight points whose order divides eight,
// and those that lax readers take for one of them.
var smallOrder = []string{
	"0100000000000000000000000000000000000000000000000000000000000000", // order 1
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // order 2
	"0000000000000000000000000000000000000000000000000000000000000000", // order 4
	"0000000000000000000000000000000000000000000000000000000000000080", // order 4
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // order 8
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85", // order 8
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", // order 8
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa", // order 8

	"0100000000000000000000000000000000000000000000000000000000000080", // order 1, sign bit set
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", // order 2, sign bit set
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p instead of 0
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", // the same, sign bit set
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p+1 instead of 1
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", // the same, sign bit set
}

func TestWeakEd25519KeysAreRefused(t *testing.T) {
	others := []string{
		"efffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p+2
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", // 2^255-1
		"f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p+3, a curve point written otherwise
		"0200000000000000000000000000000000000000000000000000000000000000", // not on the curve
	}
	for _, encoding := range append(smallOrder, others...) {
		point := take(hex.DecodeString(encoding))
		_, err := custody.NewPublicKey(ed25519.PublicKey(point))
		require.Error(t, err, encoding)
		_, err = custody.ParsePublicKey(append(append([]byte{}, ed25519Prefix...), point...))
		require.Error(t, err, encoding)
	}
	require.Equal(t, 1, new(edwards25519.Point).MultByCofactor(take(new(edwards25519.Point).SetBytes(take(hex.DecodeString(smallOrder[4]))))).
		Equal(edwards25519.NewIdentityPoint()), "the list is what it says")
}

func TestKeysOfOtherKindsAreRefused(t *testing.T) {
	p384 := take(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	p521 := take(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	rsaKey := take(rsa.GenerateKey(rand.Reader, 2048))
	x25519 := take(ecdh.X25519().GenerateKey(rand.Reader))
	for name, k := range map[string]crypto.PublicKey{
		"P-384": p384.Public(), "P-521": p521.Public(), "RSA": rsaKey.Public(), "X25519": x25519.Public(),
		"nothing": nil, "too short": ed25519.PublicKey{1, 2, 3}, "none": ed25519.PublicKey(nil),
	} {
		_, err := custody.NewPublicKey(k)
		require.Error(t, err, name)
		if der, err := x509.MarshalPKIXPublicKey(k); err == nil {
			_, err := custody.ParsePublicKey(der)
			require.Error(t, err, name)
		}
	}
	_, err := custody.NewSigner(rsaKey)
	require.Error(t, err)
	require.Error(t, custody.PublicKey{}.Verify(nil, nil), "the zero key verifies nothing")
}

func TestPublicKeysHaveOneEncoding(t *testing.T) {
	seed := sha256.Sum256([]byte("a key"))
	for _, signer := range []custody.Signer{
		take(custody.NewSigner(ed25519.NewKeyFromSeed(seed[:]))), newP256(t, seed[:]),
	} {
		der := signer.Public().Bytes()
		again, err := custody.ParsePublicKey(der)
		require.NoError(t, err)
		require.Equal(t, signer.Public().ID(), again.ID())
		require.Equal(t, custody.Hash(der), again.ID())
		_, err = custody.ParsePublicKey(append(der, 0))
		require.Error(t, err)
	}
	// The compressed form of a P-256 point is another encoding of the same key.
	key := take(ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:]))
	compressed := elliptic.MarshalCompressed(elliptic.P256(), key.X, key.Y)
	head := take(hex.DecodeString("3039301306072a8648ce3d020106082a8648ce3d030107032200"))
	_, err := custody.ParsePublicKey(append(head, compressed...))
	require.Error(t, err)
}

func TestSignaturesHaveOneForm(t *testing.T) {
	seed := sha256.Sum256([]byte("a key"))
	message := []byte("what was said")
	signer := newP256(t, seed[:])
	sig := take(signer.Sign(message))
	key := signer.Public()
	require.NoError(t, key.Verify(message, sig))
	require.Error(t, key.Verify([]byte("what was not said"), sig))

	var parts struct{ R, S *big.Int }
	take(asn1.Unmarshal(sig, &parts))
	p1363 := append(parts.R.FillBytes(make([]byte, 32)), parts.S.FillBytes(make([]byte, 32))...)
	long := append([]byte{0x30, 0x81, sig[1]}, sig[2:]...)
	padded := append([]byte{0x30, sig[1] + 1, 0x02, sig[3] + 1, 0}, sig[4:]...)
	negative := take(asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).Neg(parts.R), parts.S}))
	above := take(asn1.Marshal(struct{ R, S *big.Int }{parts.R, new(big.Int).Add(parts.S, order())}))
	zero := take(asn1.Marshal(struct{ R, S *big.Int }{big.NewInt(0), big.NewInt(0)}))
	for name, bad := range map[string][]byte{
		"IEEE P1363": p1363, "a long length": long, "a padded integer": padded, "a negative integer": negative,
		"s beyond the order": above, "zeros": zero, "trailing data": append(append([]byte{}, sig...), 0),
		"cut off": sig[:len(sig)-1], "nothing": {},
	} {
		require.Error(t, key.Verify(message, bad), name)
	}
	// Its mirror image is a signature too: statements are told apart by their
	// payload's digest, never by signature.
	mirrored := take(asn1.Marshal(struct{ R, S *big.Int }{parts.R, new(big.Int).Sub(order(), parts.S)}))
	require.NoError(t, key.Verify(message, mirrored))

	ed := take(custody.NewSigner(ed25519.NewKeyFromSeed(seed[:])))
	sig = take(ed.Sign(message))
	require.NoError(t, ed.Public().Verify(message, sig))
	require.Error(t, key.Verify(message, sig), "another algorithm's key")
	s := new(big.Int).Add(littleEndian(sig[32:]), edwardsOrder(t))
	beyond := append(append([]byte{}, sig[:32]...), reversed(s.FillBytes(make([]byte, 32)))...)
	require.Error(t, ed.Public().Verify(message, beyond), "s beyond the order (RFC 8032, section 5.1.7)")
	for at := range 8 * len(sig) {
		bad := append([]byte{}, sig...)
		bad[at/8] ^= 1 << (at % 8)
		require.Error(t, ed.Public().Verify(message, bad))
	}
	require.Error(t, ed.Public().Verify(message, append(sig, 0)))
}

func edwardsOrder(t *testing.T) *big.Int {
	t.Helper()
	l, ok := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	require.True(t, ok)
	return l
}

func littleEndian(b []byte) *big.Int { return new(big.Int).SetBytes(reversed(b)) }

func reversed(b []byte) []byte {
	r := make([]byte, len(b))
	for i := range b {
		r[len(b)-1-i] = b[i]
	}
	return r
}

// TestPossession: a proof is for one key, one holder and one log.
func TestPossession(t *testing.T) {
	const origin = "custody.example/demo"
	mine, other := take(guardtest.Key(1, "mine")), take(guardtest.Key(1, "other"))
	h := custody.Header{Audience: origin, Time: 0, Expires: custody.Time(60e6), Nonce: custody.Nonce{1}}
	for _, c := range []struct {
		name  string
		proof []byte
		good  bool
	}{
		{"as it should be", take(custody.ProvePossession(mine, origin, "Zoë")), true},
		{"for another name", take(custody.ProvePossession(mine, origin, "Zoe")), false},
		{"for another log", take(custody.ProvePossession(mine, "custody.example/other", "Zoë")), false},
		{"by another key", take(custody.ProvePossession(other, origin, "Zoë")), false},
		{"none", []byte{}, false},
		{"a signature of the key in no context", take(mine.Sign(mine.Public().Bytes())), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			act := &custody.EnrolPrincipal{Contact: "+49", Key: mine.Public().Bytes(), Name: "Zoë", Title: "engineer", Possession: c.proof}
			e, err := custody.Sign(mine, h, act)
			require.NoError(t, err)
			_, err = e.Statement(investigate.Words())
			require.Equal(t, c.good, err == nil, "%v", err)
		})
	}
	t.Run("a further key", func(t *testing.T) {
		me := custody.NewPrincipalID(custody.Hash([]byte("me")))
		you := custody.NewPrincipalID(custody.Hash([]byte("you")))
		h.Actor = me
		for holder, good := range map[custody.PrincipalID]bool{me: true, you: false, "": false} {
			act := &custody.EnrolKey{Key: other.Public().Bytes(), Possession: take(custody.ProvePossession(other, origin, string(holder)))}
			e, err := custody.Sign(mine, h, act)
			require.NoError(t, err)
			_, err = e.Statement(investigate.Words())
			require.Equal(t, good, err == nil, "%v", err)
		}
		own := &custody.EnrolKey{Key: mine.Public().Bytes(), Possession: take(custody.ProvePossession(mine, origin, string(me)))}
		e, err := custody.Sign(mine, h, own)
		require.NoError(t, err)
		_, err = e.Statement(investigate.Words())
		require.Error(t, err, "a key does not vouch for itself")
	})
}
