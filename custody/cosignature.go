package custody

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/mod/sumdb/note"
)

// Cosigned is a checkpoint that the log signed, and who else says that he saw
// it. What a witness says with his cosignature (c2sp.org/tlog-cosignature) is
// that at that time the largest tree that he knew of this log was this one, and
// that all that he saw before is in it.
type Cosigned struct {
	Checkpoint
	By      []Cosignature // of witnesses of the policy, in its order
	Quorum  Quorum        // whether they are as many as the policy asks for
	Unknown []string      // signature lines by keys that the policy does not know, which say nothing
}

// Cosignature is one witness's word.
type Cosignature struct {
	Name string `json:"name"` // of the witness in the policy
	Key  string `json:"key"`  // its verifier key
	Time Time   `json:"time"` // by its clock, in whole seconds
}

// Quorum says whether a checkpoint was cosigned as a witness policy asks.
type Quorum string

// The answers.
const (
	QuorumMet    Quorum = "met"
	QuorumNotMet Quorum = "not met"
	NoQuorum     Quorum = "none asked for" // there are witnesses, and the policy asks for none of them
	NoWitness    Quorum = "no witness"     // the policy has none
)

// The parts of a cosignature of Ed25519.
const (
	cosignatureV1   = 0x04 // signature type
	cosignatureSize = 8 + ed25519.SignatureSize
	latestSecond    = 253402300799 // the last that a Time has a text for
)

// cosignatureMessage is what a witness signs: that it saw a checkpoint's text at a time,
// in seconds since 1970.
func cosignatureMessage(seconds uint64, text []byte) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", seconds, text)
}

// cosigner verifies the cosignatures of one witness.
type cosigner struct {
	name   string
	id     uint32
	public ed25519.PublicKey
}

// Name implements note.Verifier.
func (c *cosigner) Name() string { return c.name }

// KeyHash implements note.Verifier.
func (c *cosigner) KeyHash() uint32 { return c.id }

// Verify implements note.Verifier.
func (c *cosigner) Verify(text, sig []byte) bool {
	if len(sig) != cosignatureSize {
		return false
	}
	seconds := binary.BigEndian.Uint64(sig)
	return seconds > 0 && seconds <= latestSecond && ed25519.Verify(c.public, cosignatureMessage(seconds, text), sig[8:])
}

// WitnessKey returns the verifier key of a witness: its name, "+", key ID in
// eight lower-case hexadecimal digits, "+", base64 of 0x04 and the key.
func WitnessKey(name string, public ed25519.PublicKey) (string, error) {
	if err := checkKeyName(name); err != nil {
		return "", err
	}
	if len(public) != ed25519.PublicKeySize {
		return "", errors.New("witness key: not an Ed25519 key")
	}
	raw := append([]byte{cosignatureV1}, public...)
	return fmt.Sprintf("%s+%08x+%s", name, keyHash(name, raw), base64.StdEncoding.EncodeToString(raw)), nil
}

// keyHash is the key ID of c2sp.org/signed-note; raw begins with the type.
func keyHash(name string, raw []byte) uint32 {
	d := sha256.Sum256(append([]byte(name+"\n"), raw...))
	return binary.BigEndian.Uint32(d[:])
}

func checkKeyName(name string) error {
	if name == "" || len(name) > maxLine || strings.Contains(name, "+") ||
		strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || !printable(r) }) {
		return fmt.Errorf("key name %.80q has a space or a plus, or cannot be shown", name)
	}
	return nil
}

// parseWitnessKey accepts exactly what WitnessKey writes.
func parseWitnessKey(text string) (*cosigner, error) {
	name, rest, _ := strings.Cut(text, "+")
	_, key, _ := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.Strict().DecodeString(key)
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != cosignatureV1 {
		return nil, fmt.Errorf("witness key %.200q is not NAME+ID+KEY with an Ed25519 key for cosignatures, of type 4", text)
	}
	public := ed25519.PublicKey(raw[1:])
	again, err := WitnessKey(name, public)
	if err != nil {
		return nil, err
	}
	if again != text {
		return nil, fmt.Errorf("witness key %.200q is not in canonical form", text)
	}
	return &cosigner{name: name, id: keyHash(name, raw), public: public}, checkEd25519(public)
}

// Cosign returns the signature line, with its line feed, by which the witness of
// that name and Ed25519 key says that it saw a checkpoint at a time, of which
// whole seconds count.
func Cosign(name string, key crypto.Signer, c Checkpoint, at Time) (string, error) {
	return CosignText(name, key, c.String(), at)
}

// CosignText is Cosign for the text of any log's checkpoint, which may have further
// lines.
func CosignText(name string, key crypto.Signer, text string, at Time) (string, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("cosign: not an Ed25519 key")
	}
	witness, err := WitnessKey(name, public)
	if err != nil {
		return "", err
	}
	v, err := parseWitnessKey(witness)
	if err != nil {
		return "", err
	}
	seconds := uint64(at.Time().Unix())
	sig, err := key.Sign(nil, cosignatureMessage(seconds, []byte(text)), crypto.Hash(0))
	if err != nil {
		return "", fmt.Errorf("cosign: %w", err)
	}
	sig = append(binary.BigEndian.AppendUint64(nil, seconds), sig...)
	if !v.Verify([]byte(text), sig) {
		return "", fmt.Errorf("cosign: a signature that does not verify, or a time that cannot be, %s", at)
	}
	return signatureLine(name, append(binary.BigEndian.AppendUint32(nil, v.id), sig...)), nil
}

func signatureLine(name string, raw []byte) string {
	return "— " + name + " " + base64.StdEncoding.EncodeToString(raw) + "\n"
}

// A noteLine is a signature line of a note.
type noteLine struct {
	line string
	name string
	id   uint32
	sig  []byte // without the key ID
}

// openNote takes a signed note apart, verifies the lines of known keys, and
// refuses one that fails. It returns the text, the lines that verify, by key, and the others.
// What comes back is all that the bytes say: each line is in its one spelling and
// stands there once.
func openNote(signed []byte, known ...note.Verifier) (text string, good map[note.Verifier]noteLine, unknown []string, err error) {
	n, err := note.Open(signed, note.VerifierList(known...))
	if unverified := new(note.UnverifiedNoteError); errors.As(err, &unverified) {
		n, err = unverified.Note, nil
	}
	if err != nil {
		return "", nil, nil, fmt.Errorf("checkpoint: %w", err)
	}
	lines, err := signatures(strings.TrimPrefix(string(signed), n.Text+"\n"))
	if err != nil {
		return "", nil, nil, err
	}
	if len(lines) != len(n.Sigs)+len(n.UnverifiedSigs) {
		return "", nil, nil, errors.New("checkpoint: a signature stands there twice")
	}
	good = map[note.Verifier]noteLine{}
	for _, l := range lines {
		i := indexOfKey(known, l.name, l.id)
		if i < 0 {
			unknown = append(unknown, l.line)
			continue
		}
		good[known[i]] = l
	}
	if len(good) != len(n.Sigs) {
		return "", nil, nil, errors.New("checkpoint: two signatures by one key")
	}
	return n.Text, good, unknown, nil
}

// time is when a cosignature was made that has been verified.
func (l noteLine) time() Time { return secondsOf(l.sig) }

func secondsOf(sig []byte) Time {
	return Time(binary.BigEndian.Uint64(sig)) * Time(time.Second/time.Microsecond)
}

// CosignatureTime returns when a cosignature was made that has been verified: of
// the bytes of its line, key ID included.
func CosignatureTime(raw []byte) Time {
	if len(raw) != 4+cosignatureSize {
		return 0
	}
	return secondsOf(raw[4:])
}

func indexOfKey(known []note.Verifier, name string, id uint32) int {
	for i, v := range known {
		if v.Name() == name && v.KeyHash() == id {
			return i
		}
	}
	return -1
}

// signatures reads the signature lines of a note, each of which must be in its
// one spelling.
func signatures(text string) (list []noteLine, err error) {
	for line := range strings.Lines(text) {
		name, b64, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(line, "— "), "\n"), " ")
		raw, err := base64.StdEncoding.Strict().DecodeString(b64)
		if err != nil || len(raw) <= 4 || signatureLine(name, raw) != line {
			return nil, errors.New("checkpoint is not in canonical form")
		}
		list = append(list, noteLine{line: line, name: name, id: binary.BigEndian.Uint32(raw), sig: raw[4:]})
	}
	return list, nil
}
