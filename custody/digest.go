package custody

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Digest is a SHA-256 digest: the name of a sequence of bytes. Its text form is
// "sha256:" and 64 lower-case hexadecimal digits, and nothing else parses.
type Digest [sha256.Size]byte

const digestPrefix = "sha256:"

// Hash returns the SHA-256 digest of b.
func Hash(b []byte) Digest { return sha256.Sum256(b) }

// ParseDigest reads the text form that String writes.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != len(digestPrefix)+2*len(d) || s[:len(digestPrefix)] != digestPrefix {
		return Digest{}, fmt.Errorf("digest %.80q is not of the form sha256:<64 hexadecimal digits>", s)
	}
	digits := s[len(digestPrefix):]
	if _, err := hex.Decode(d[:], []byte(digits)); err != nil || hex.EncodeToString(d[:]) != digits {
		return Digest{}, fmt.Errorf("digest %.80q is not of the form sha256:<64 lower-case hexadecimal digits>", s)
	}
	return d, nil
}

// String returns the text form, "sha256:" and 64 hexadecimal digits.
func (d Digest) String() string { return digestPrefix + hex.EncodeToString(d[:]) }

// Hex returns the 64 hexadecimal digits alone, as sha256sum prints them.
func (d Digest) Hex() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether d is all zero bytes, which stands for "no digest".
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(b []byte) error {
	v, err := ParseDigest(string(b))
	if err != nil {
		return err
	}
	*d = v
	return nil
}
