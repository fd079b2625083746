package storage

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/forensic-custody/custody/custody"
)

// Chunks, manifests and their pages lie in the bucket encrypted, all in one form:
//
//	offset  bytes
//	     0      1  version of the form, 1
//	     1      1  kind: 'c' chunk, 'm' manifest, 'p' page of a manifest, 'd'
//	               manifest of an artifact that is being disposed of
//	     2      1  codec: 0, the plaintext as it is; 1, zstd (chunks only)
//	     3      1  flags: 0
//	     4      4  number of the data key
//	     8      8  length of the plaintext
//	    16     12  nonce, random
//	    28      n  AES-256-GCM ciphertext of what the codec made of the plaintext
//	  28+n     16  tag
//
// Integers are big-endian. Each object has a key of its own, HKDF-SHA256 (RFC
// 5869) of the incident's data key, without salt, with "custody/v1/object key"
// || kind || id as info. The additional data are the 28 bytes of the header ||
// the incident's identifier || the 32 bytes of the object's id. So an object
// that lies under another name, in another incident, or with another header
// than it was made with does not open.
//
// Under codec 0, n is the length of the plaintext; under codec 1 it is smaller.
// Other codecs and flags are for versions to come and are refused.
const (
	formVersion = 1
	headerSize  = 28
	nonceSize   = 12
	tagSize     = 16
	overhead    = headerSize + tagSize
)

type objectKind byte

const (
	kindChunk    objectKind = 'c'
	kindManifest objectKind = 'm'
	kindPage     objectKind = 'p'
	kindDisposal objectKind = 'd'
)

// objectID names an object within its incident. It is an HMAC under the
// incident's name key, so that names tell nothing to those who know contents.
type objectID custody.Digest

// header is the first part of an object.
type header struct {
	kind      objectKind
	codec     codec
	keyNumber uint32
	length    uint64 // of the plaintext, in bytes
	nonce     [nonceSize]byte
}

func (h header) marshal() []byte {
	b := make([]byte, 0, headerSize)
	b = append(b, formVersion, byte(h.kind), byte(h.codec), 0)
	b = binary.BigEndian.AppendUint32(b, h.keyNumber)
	b = binary.BigEndian.AppendUint64(b, h.length)
	return append(b, h.nonce[:]...)
}

// parseHeader reads the header of an object and checks that the object has the
// length that its header says.
func parseHeader(object []byte) (header, error) {
	if len(object) < overhead {
		return header{}, fmt.Errorf("%d bytes are too few for an object", len(object))
	}
	h := header{
		kind:      objectKind(object[1]),
		codec:     codec(object[2]),
		keyNumber: binary.BigEndian.Uint32(object[4:]),
		length:    binary.BigEndian.Uint64(object[8:]),
	}
	copy(h.nonce[:], object[16:headerSize])
	stored := uint64(len(object) - overhead)
	switch {
	case object[0] != formVersion || object[3] != 0,
		h.codec != codecNone && (h.codec != codecZstd || h.kind != kindChunk):
		return header{}, fmt.Errorf("unknown form: version %d, codec %d, flags %d", object[0], object[2], object[3])
	case h.codec == codecNone && h.length != stored,
		h.codec != codecNone && (h.length <= stored || h.length > custody.ChunkSize):
		return header{}, fmt.Errorf("an object of %d bytes says that it holds %d", len(object), h.length)
	}
	return h, nil
}

// address is where an object belongs. It is bound into the object.
type address struct {
	incident custody.IncidentID
	kind     objectKind
	id       objectID
}

// key returns the object's key in the bucket.
func (a address) key() string {
	id := hex.EncodeToString(a.id[:])
	if a.kind == kindChunk {
		id = id[:2] + "/" + id
	}
	return incidentPrefix(a.incident) + string(rune(a.kind)) + "/" + id
}

func incidentPrefix(i custody.IncidentID) string { return "v1/" + string(i) + "/" }

// seal encrypts body, which is what the codec made of a plaintext of length
// bytes, as the object at a, into buf, which must have room for it. body may
// begin at buf[headerSize], where its ciphertext comes, or must not overlap buf.
func seal(buf []byte, k *incidentKeys, a address, c codec, length int, body []byte, random io.Reader) ([]byte, error) {
	h := header{kind: a.kind, codec: c, keyNumber: k.number, length: uint64(length)}
	if _, err := io.ReadFull(random, h.nonce[:]); err != nil {
		return nil, fmt.Errorf("draw a nonce: %w", err)
	}
	aead, err := objectCipher(k, a)
	if err != nil {
		return nil, err
	}
	head := h.marshal()
	return aead.Seal(append(buf[:0], head...), h.nonce[:], body, additionalData(head, a)), nil
}

// unseal decrypts the object at a in place. It returns the header and what the
// codec made of the plaintext, both authentic as the vault's own at this
// address.
func unseal(object []byte, k *incidentKeys, a address) (header, []byte, error) {
	h, err := parseHeader(object)
	if err != nil {
		return h, nil, err
	}
	if h.kind != a.kind || h.keyNumber != k.number {
		return h, nil, fmt.Errorf("kind %q under data key %d instead of %q under %d", h.kind, h.keyNumber, a.kind, k.number)
	}
	aead, err := objectCipher(k, a)
	if err != nil {
		return h, nil, err
	}
	sealed := object[headerSize:]
	body, err := aead.Open(sealed[:0], h.nonce[:], sealed, additionalData(object[:headerSize], a))
	if err != nil {
		return h, nil, errors.New("the object is not authentic")
	}
	return h, body, nil
}

func additionalData(head []byte, a address) []byte {
	b := make([]byte, 0, headerSize+len(a.incident)+len(a.id))
	b = append(b, head...)
	b = append(b, a.incident...)
	return append(b, a.id[:]...)
}

func objectCipher(k *incidentKeys, a address) (cipher.AEAD, error) {
	info := "custody/v1/object key" + string(rune(a.kind)) + string(a.id[:])
	key, err := hkdf.Key(sha256.New, k.data[:], nil, info, 32)
	if err != nil {
		return nil, fmt.Errorf("derive an object's key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("derive an object's key: %w", err)
	}
	return cipher.NewGCM(block)
}

// chunkAddress is where a chunk belongs. Its id is HMAC-SHA256(name key,
// "custody/v1/chunk" || digest || uint32 length). The length is in it because
// the digest alone does not bind it, and a compressed object does not show it.
func chunkAddress(k *incidentKeys, c Chunk) address {
	b := binary.BigEndian.AppendUint32(c.Digest[:], c.Length)
	return address{k.incident, kindChunk, k.name("custody/v1/chunk", b)}
}

// manifestAddress is where the manifest of an artifact belongs. Its id is
// HMAC-SHA256(name key, "custody/v1/manifest" || root || uint64 size || uint64
// chunk size).
func manifestAddress(k *incidentKeys, root custody.Digest, size uint64) address {
	return address{k.incident, kindManifest, k.name("custody/v1/manifest", artifactName(root, size))}
}

// disposalAddress is where the note belongs that an artifact is being disposed
// of: its manifest. The id is as that of the manifest, with
// "custody/v1/disposal".
func disposalAddress(k *incidentKeys, root custody.Digest, size uint64) address {
	return address{k.incident, kindDisposal, k.name("custody/v1/disposal", artifactName(root, size))}
}

func artifactName(root custody.Digest, size uint64) []byte {
	b := binary.BigEndian.AppendUint64(root[:], size)
	return binary.BigEndian.AppendUint64(b, custody.ChunkSize)
}

// pageAddress is where a page belongs, by the SHA-256 of its plaintext. Its id is
// HMAC-SHA256(name key, "custody/v1/page" || digest).
func pageAddress(k *incidentKeys, digest custody.Digest) address {
	return address{k.incident, kindPage, k.name("custody/v1/page", digest[:])}
}

func (k *incidentKeys) name(label string, what []byte) objectID {
	mac := hmac.New(sha256.New, k.names[:])
	mac.Write([]byte(label))
	mac.Write(what)
	var id objectID
	mac.Sum(id[:0])
	return id
}
