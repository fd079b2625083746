package custody

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Trust is the trust file, trust.json: the only thing a verifier takes on
// faith. It always reaches the verifier by another way than what it verifies.
type Trust struct {
	// Authorities are those whose stamps say when a checkpoint existed. What a
	// stamp of any other says is not believed.
	Authorities []TimeAuthority `json:"authorities,omitempty"`

	Format  string     `json:"format"`  // TrustFormat
	Genesis Commitment `json:"genesis"` // commitment of the first record of the policy stream
	Log     string     `json:"log"`     // first verifier key of the log (c2sp.org/signed-note)
	Origin  string     `json:"origin"`  // name of the log, and the audience of every statement

	// Successions are the notes by which keys of the log gave way to others, in order.
	// Each is signed by the key before it, so they add nothing that the others
	// in the file do not vouch for.
	Successions []string `json:"successions,omitempty"`

	Witnesses string `json:"witnesses"` // witness policy, see WitnessPolicy; "none" where the log has no outside witness
}

// TrustFormat names the version of the trust file's format.
const TrustFormat = "https://github.com/forensic-custody/custody/trust/v1"

// ParseTrust reads a trust file and checks that its parts fit one another.
func ParseTrust(b []byte) (*Trust, error) {
	t := new(Trust)
	if err := Decode(b, t); err != nil {
		return nil, fmt.Errorf("trust file: %w", err)
	}
	if t.Format != TrustFormat {
		return nil, fmt.Errorf("trust file: format %.100q is not %q", t.Format, TrustFormat)
	}
	if t.Genesis.IsZero() {
		return nil, errors.New("trust file: no genesis commitment")
	}
	if err := checkAuthorities(t.Authorities); err != nil {
		return nil, fmt.Errorf("trust file: %w", err)
	}
	if _, err := t.LogKeys(); err != nil {
		return nil, err
	}
	if _, err := t.WitnessPolicy(); err != nil {
		return nil, err
	}
	return t, nil
}

// Marshal returns the trust file's bytes.
func (t *Trust) Marshal() ([]byte, error) { return Encode(t) }

// Fingerprint is the digest of the trust file as it was in the beginning, without
// successions, to be kept on paper.
func (t *Trust) Fingerprint() (Digest, error) {
	first := *t
	first.Successions = nil
	b, err := first.Marshal()
	if err != nil {
		return Digest{}, err
	}
	return Hash(b), nil
}

// LogKeys returns the log's keys, as far as the trust file knows them.
func (t *Trust) LogKeys() (LogKeys, error) {
	k, err := NewLogKeys(t.Log, t.Successions)
	if err != nil {
		return nil, fmt.Errorf("trust file: %w", err)
	}
	if k.Now().Name() != t.Origin {
		return nil, fmt.Errorf("trust file: log key is of %q, not of %q", k.Now().Name(), t.Origin)
	}
	return k, nil
}

// LogKey returns the verifier key that the log signs with now, as far as the trust
// file knows.
func (t *Trust) LogKey() (string, error) {
	_, key, err := followKeys(t.Log, t.Successions)
	return key, err
}

// Extend returns the trust file with the successions of another, which must be the
// same but for successions that this one does not have yet.
func (t *Trust) Extend(by *Trust) (*Trust, error) {
	was, err := t.Fingerprint()
	if err != nil {
		return nil, err
	}
	is, err := by.Fingerprint()
	if err != nil {
		return nil, err
	}
	if was != is {
		return nil, fmt.Errorf("trust file: the other one has the fingerprint %s, and this one %s: it is of another service, or asks for other witnesses or authorities", is, was)
	}
	if len(by.Successions) < len(t.Successions) || !slices.Equal(by.Successions[:len(t.Successions)], t.Successions) {
		return nil, errors.New("trust file: the other one does not go on from this one: a key of the log gave way twice, or the other file is older")
	}
	if _, err := by.LogKeys(); err != nil {
		return nil, err
	}
	return by, nil
}

// WitnessPolicy returns who must have cosigned a checkpoint.
func (t *Trust) WitnessPolicy() (*WitnessPolicy, error) {
	p, err := ParseWitnessPolicy(t.Witnesses)
	if err != nil {
		return nil, fmt.Errorf("trust file: %w", err)
	}
	return p, nil
}

// OpenCheckpoint verifies a signed checkpoint of the log, and says who cosigned
// it and whether that is the quorum.
func (t *Trust) OpenCheckpoint(signed []byte) (*Cosigned, error) {
	keys, err := t.LogKeys()
	if err != nil {
		return nil, err
	}
	p, err := t.WitnessPolicy()
	if err != nil {
		return nil, err
	}
	return p.Open(signed, keys.For(signed))
}

// parseLogKey reads a verifier key (c2sp.org/signed-note) in its one spelling:
// name, "+", key ID in eight lower-case hexadecimal digits, "+", base64.
func parseLogKey(text string) (note.Verifier, error) {
	v, err := note.NewVerifier(text)
	if err != nil {
		return nil, err
	}
	id, key, _ := strings.Cut(strings.TrimPrefix(text, v.Name()+"+"), "+")
	raw, err := base64.StdEncoding.Strict().DecodeString(key)
	if err != nil || id != fmt.Sprintf("%08x", v.KeyHash()) || base64.StdEncoding.EncodeToString(raw) != key {
		return nil, errors.New("not in canonical form")
	}
	if len(raw) != 1+ed25519.PublicKeySize {
		return nil, errors.New("not an Ed25519 key")
	}
	return v, checkEd25519(raw[1:])
}
