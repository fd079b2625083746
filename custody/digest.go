package custody

import (
	"bytes"
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
	err := d.UnmarshalText([]byte(s))
	return d, err
}

// String returns the text form, "sha256:" and 64 hexadecimal digits.
func (d Digest) String() string { return digestPrefix + hex.EncodeToString(d[:]) }

// Hex returns the 64 hexadecimal digits alone, as sha256sum prints them.
func (d Digest) Hex() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether d is all zero bytes, which stands for "no digest".
func (d Digest) IsZero() bool { return d == Digest{} }

// AppendText implements encoding.TextAppender.
func (d Digest) AppendText(b []byte) ([]byte, error) {
	return hex.AppendEncode(append(b, digestPrefix...), d[:]), nil
}

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return d.AppendText(nil) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(b []byte) error {
	var v Digest
	var again [2 * len(v)]byte
	digits, ok := bytes.CutPrefix(b, []byte(digestPrefix))
	if ok = ok && len(digits) == len(again); ok {
		_, err := hex.Decode(v[:], digits)
		hex.Encode(again[:], v[:])
		ok = err == nil && bytes.Equal(digits, again[:])
	}
	if !ok {
		return fmt.Errorf("digest %.80q is not of the form sha256:<64 lower-case hexadecimal digits>", string(b))
	}
	*d = v
	return nil
}
