package stamp

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"github.com/forensic-custody/custody/custody"
)

// The messages by which an authority is asked (RFC 3161, sections 2.4.1 and 2.4.2).
type request struct {
	Version        int
	MessageImprint imprint
	Policy         asn1.ObjectIdentifier `asn1:"optional"`
	Nonce          *big.Int              `asn1:"optional"`
	CertReq        bool                  `asn1:"optional"`
}

type response struct {
	Status statusInfo
	Token  asn1.RawValue `asn1:"optional"`
}

type statusInfo struct {
	Status   int
	Text     []asn1.RawValue `asn1:"optional"`
	FailInfo asn1.BitString  `asn1:"optional"`
}

// NewRequest returns what an authority is asked for a stamp of a signed checkpoint:
// DER, to be sent as application/timestamp-query (RFC 3161, section 3.4). The nonce is
// a random number that was not used before.
func NewRequest(checkpoint []byte, nonce *big.Int) ([]byte, error) {
	message, err := Message(checkpoint)
	if err != nil {
		return nil, err
	}
	d := custody.Hash(message)
	return asn1.Marshal(request{
		Version: 1, MessageImprint: imprint{algorithm{Algorithm: oidSHA256, Parameters: asn1.NullRawValue}, d[:]}, Nonce: nonce, CertReq: true,
	})
}

// Open verifies what an authority answered to NewRequest, and returns the token that
// is in it, in its one spelling.
func Open(answer, checkpoint []byte, nonce *big.Int, by custody.TimeAuthority) (token []byte, s *Stamp, err error) {
	if len(answer) > MaxToken {
		return nil, nil, fmt.Errorf("it answered with more than %d bytes", MaxToken)
	}
	var r response
	if err := unmarshal(answer, &r); err != nil {
		return nil, nil, fmt.Errorf("it did not answer as RFC 3161 says: %w", err)
	}
	if r.Status.Status != 0 && r.Status.Status != 1 { // granted, also with modifications
		return nil, nil, fmt.Errorf("it refused, with status %d: %.200q", r.Status.Status, text(r.Status.Text))
	}
	if token, err = Normal(r.Token.FullBytes, checkpoint, by); err != nil {
		return nil, nil, err
	}
	if s, err = Verify(token, checkpoint, by); err != nil {
		return nil, nil, err
	}
	if s.nonce == nil || nonce == nil || s.nonce.Cmp(nonce) != 0 {
		return nil, nil, errors.New("it answered to another request: the nonce is another")
	}
	return token, s, nil
}

// text joins the strings of a status, of which it shows nothing that is not quoted.
func text(list []asn1.RawValue) []byte {
	parts := make([][]byte, len(list))
	for i, s := range list {
		parts[i] = s.Bytes
	}
	return bytes.Join(parts, []byte(" "))
}
