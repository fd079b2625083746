package custody

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// The labels that separate the uses of hash and MAC from one another.
const (
	labelCommitment = "custody/v1/commitment"
	labelTag        = "custody/v1/tag"
	labelTagKey     = "custody/v1/tag-key"
	labelItemKey    = "custody/v1/item-tag-key"
	labelIdentity   = "custody/v1/identity"
)

// LeafSize is the size in bytes of every leaf of the log.
const LeafSize = 1 + 32 + 32

const leafVersion = 0x01

// Leaf is what the log holds of a record: 0x01 || commitment || tag. It
// discloses nothing to those who have neither the opening nor the tag key.
type Leaf [LeafSize]byte

// Commitment binds a record without disclosing it. See Commit.
type Commitment = Digest

// Opening is 32 random bytes, fresh for each record. Without it a commitment
// cannot be tested against a guess, so destroying it erases the record.
type Opening [32]byte

// TagKey is the secret key of one stream: random, or that of Statement.TagKey.
// Whoever holds it can find the stream's leaves in the public log and tell
// whether any is missing.
type TagKey [32]byte

// Tag marks the leaf of one place in one stream. See TagKey.Tag.
type Tag [32]byte

// Commit returns HMAC-SHA256(labelCommitment, opening || uint64 length || record)
// where length is the big-endian size of record in bytes.
func Commit(opening Opening, record []byte) Commitment {
	m := hmac.New(sha256.New, []byte(labelCommitment))
	m.Write(opening[:])
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(record)))
	m.Write(n[:])
	m.Write(record)
	return Commitment(m.Sum(nil))
}

// Tag returns HMAC-SHA256(key, labelTag || uint64 sequence), the sequence
// big-endian and counted from 0.
func (k TagKey) Tag(sequence uint64) Tag {
	m := hmac.New(sha256.New, k[:])
	m.Write([]byte(labelTag))
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], sequence)
	m.Write(n[:])
	return Tag(m.Sum(nil))
}

// Digest commits to the key: SHA-256(labelTagKey || key). The record that
// declares a stream carries it, so the key cannot be changed afterwards.
func (k TagKey) Digest() Digest {
	return Hash(append([]byte(labelTagKey), k[:]...))
}

// TagKey returns the tag key of the stream that the statement opens, where the
// statement itself says it: that of an item, by the statement that began it. It
// is HMAC-SHA256(nonce, labelItemKey || payload digest).
//
// An item's identifier is a digest of the same statement, so one item has one
// key: an operator who told its history twice, to different people, would repeat
// its tags, which everybody who has the leaves can see. The price is that whoever
// may read of the item's beginning can count the records about it. Other
// streams have random keys, whose beginnings more people read.
func (s *Statement) TagKey() (key TagKey, ok bool) {
	if s.Kind != KindBeginEvidence {
		return TagKey{}, false
	}
	m := hmac.New(sha256.New, s.Nonce[:])
	m.Write([]byte(labelItemKey))
	m.Write(s.Payload[:])
	return TagKey(m.Sum(nil)), true
}

// Identity returns SHA-256(labelIdentity || payload digest): the name under
// which the log's engine refuses the same statement twice.
func Identity(payload Digest) Digest {
	return Hash(append([]byte(labelIdentity), payload[:]...))
}

// NewLeaf assembles a leaf.
func NewLeaf(c Commitment, t Tag) Leaf {
	var l Leaf
	l[0] = leafVersion
	copy(l[1:33], c[:])
	copy(l[33:], t[:])
	return l
}

// ParseLeaf accepts exactly what NewLeaf makes.
func ParseLeaf(b []byte) (Leaf, error) {
	if len(b) != LeafSize || b[0] != leafVersion {
		return Leaf{}, errors.New("leaf is not 65 bytes that begin with 0x01")
	}
	return Leaf(b), nil
}

// Commitment returns the commitment in the leaf.
func (l Leaf) Commitment() Commitment { return Commitment(l[1:33]) }

// Tag returns the tag in the leaf.
func (l Leaf) Tag() Tag { return Tag(l[33:]) }

// LeafHash returns the hash of a leaf in the log's tree (RFC 6962, section 2.1).
func LeafHash(l Leaf) Digest {
	var b [1 + len(l)]byte
	copy(b[:], leafPrefix)
	copy(b[1:], l[:])
	return sha256.Sum256(b[:])
}
