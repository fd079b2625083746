package archive

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/forensic-custody/custody/custody"
)

// Two objects for each stretch of the log that was published together, of the
// records from place FIRST to LAST (16 digits each, decimal), and HH which is
// FIRST / 65536:
//
//	records/HH/FIRST-LAST       locked
//	openings/HH/FIRST-LAST.N    not locked; of several, the one with the highest N counts
//
// An object of records is
//
//	"custody/v1/records\n" || uint64 first || uint32 count ||
//	count times:  leaf (65 bytes) || payload digest (32) || nonce (12) ||
//	              uint32 length || AES-256-GCM ciphertext and tag of the record's bytes
//	text: the checkpoint, signed and cosigned, that the log had published last, or nothing
//
// under a key of the record's own, HKDF-SHA256 (RFC 5869) of its opening, without
// salt, with "custody/v1/archived record" as info; the additional data are the
// leaf. Without the opening it cannot be read. An object of openings is an age
// file (age-encryption.org/v1) for the service and, if there is one, the escrow,
// of
//
//	"custody/v1/openings\n" || uint64 first || uint32 count ||
//	count times:  opening (32 bytes; zeros when it was erased) || uint64 sequence || text of the stream ||
//	              uint16 n || n times: text of a stream that the record declares || tag key (32)
//
// A text is a uint16 length and its bytes. Integers are big-endian.
const (
	recordsPrefix  = "records/"
	openingsPrefix = "openings/"
	recordsMagic   = "custody/v1/records\n"
	openingsMagic  = "custody/v1/openings\n"
	recordInfo     = "custody/v1/archived record"
	nonceSize      = 12
	tagSize        = 16

	// mostBytes bounds an object: a record is at most some MiB.
	mostBytes = 256 << 20
)

// span is a stretch of the log.
type span struct{ first, count uint64 }

func (s span) end() uint64 { return s.first + s.count }

// key is where an object for the stretch lies, below a prefix.
func (s span) key(prefix string) string {
	return fmt.Sprintf("%s%04d/%016d-%016d", prefix, s.first>>16, s.first, s.end()-1)
}

func recordsKey(s span) string { return s.key(recordsPrefix) }

func openingsKey(s span, n uint32) string { return fmt.Sprintf("%s.%d", s.key(openingsPrefix), n) }

// spanOf reads a key, and accepts exactly what key writes.
func spanOf(key, prefix string) (span, bool) {
	_, name, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
	from, to, _ := strings.Cut(name, "-")
	first, err := strconv.ParseUint(from, 10, 62)
	if err != nil {
		return span{}, false
	}
	last, err := strconv.ParseUint(to, 10, 62)
	if err != nil || last < first || last-first >= most {
		return span{}, false
	}
	s := span{first, last - first + 1}
	return s, s.key(prefix) == key
}

func (s span) head(magic string) []byte {
	b := binary.BigEndian.AppendUint64([]byte(magic), s.first)
	return binary.BigEndian.AppendUint32(b, uint32(s.count))
}

// sealedRecord is a record as its segment has it.
type sealedRecord struct {
	leaf    custody.Leaf
	payload custody.Digest
	nonce   [nonceSize]byte
	body    []byte
}

// sealRecords writes an object of records. One that was erased has no bytes, and
// none can be made again.
func sealRecords(s span, records []Record, published []byte, random io.Reader) ([]byte, error) {
	if len(published) > math.MaxUint16 {
		return nil, fmt.Errorf("a checkpoint of %d bytes", len(published))
	}
	b := s.head(recordsMagic)
	for i, r := range records {
		var nonce [nonceSize]byte
		var body []byte
		if !r.Erased() {
			if _, err := io.ReadFull(random, nonce[:]); err != nil {
				return nil, err
			}
			aead, err := recordCipher(r.Opening)
			if err != nil {
				return nil, err
			}
			if custody.Commit(r.Opening, r.Bytes) != r.Leaf.Commitment() {
				return nil, fmt.Errorf("record %d is not the one in its leaf", s.first+uint64(i))
			}
			body = aead.Seal(nil, nonce[:], r.Bytes, r.Leaf[:])
		}
		b = append(b, r.Leaf[:]...)
		b = append(b, r.Payload[:]...)
		b = append(b, nonce[:]...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
		b = append(b, body...)
	}
	return append(binary.BigEndian.AppendUint16(b, uint16(len(published))), published...), nil
}

func recordCipher(o custody.Opening) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, o[:], nil, recordInfo, 32)
	if err != nil {
		return nil, fmt.Errorf("derive a record's key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// open decrypts a record and holds it against its leaf.
func (r sealedRecord) open(o opening) (Record, error) {
	out := Record{Stream: o.stream, Sequence: o.sequence, Leaf: r.leaf, Payload: r.payload, Opening: o.opening, Opens: o.opens}
	if out.Erased() {
		return out, nil
	}
	aead, err := recordCipher(o.opening)
	if err != nil {
		return Record{}, err
	}
	if out.Bytes, err = aead.Open(nil, r.nonce[:], r.body, r.leaf[:]); err != nil {
		return Record{}, errors.New("it does not open")
	}
	if custody.Commit(o.opening, out.Bytes) != r.leaf.Commitment() {
		return Record{}, errors.New("it is not the one in its leaf")
	}
	said, err := custody.ParseRecord(out.Bytes)
	if err != nil {
		return Record{}, err
	}
	if said.Stream != o.stream || said.Sequence != o.sequence || custody.Hash(said.Envelope.Payload) != r.payload {
		return Record{}, errors.New("what stands beside it says something else")
	}
	return out, nil
}

// cursor reads what the objects are made of. After an error it reads zeros.
type cursor struct {
	rest []byte
	err  error
}

func (c *cursor) bytes(n int) []byte {
	if c.err == nil && len(c.rest) < n {
		c.err = io.ErrUnexpectedEOF
	}
	if c.err != nil {
		return make([]byte, min(n, 1<<10))
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) uint16() int    { return int(binary.BigEndian.Uint16(c.bytes(2))) }
func (c *cursor) uint32() int    { return int(binary.BigEndian.Uint32(c.bytes(4))) }
func (c *cursor) uint64() uint64 { return binary.BigEndian.Uint64(c.bytes(8)) }
func (c *cursor) text() string   { return string(c.bytes(c.uint16())) }

// begin reads the head of an object, which must be that of the stretch.
func (c *cursor) begin(magic string, s span) {
	if want := s.head(magic); !bytes.Equal(c.bytes(len(want)), want) && c.err == nil {
		c.err = errors.New("it is not what its name says")
	}
}

// end returns nil when all was read, and nothing is left.
func (c *cursor) end() error {
	if c.err == nil && len(c.rest) > 0 {
		c.err = fmt.Errorf("%d bytes too many", len(c.rest))
	}
	return c.err
}

// parseRecords accepts exactly what sealRecords writes.
func parseRecords(b []byte, s span) (list []sealedRecord, published []byte, err error) {
	c := &cursor{rest: b}
	c.begin(recordsMagic, s)
	list = make([]sealedRecord, 0, s.count)
	for range s.count {
		var r sealedRecord
		leaf, err := custody.ParseLeaf(c.bytes(len(r.leaf)))
		if c.err == nil && err != nil {
			c.err = err
		}
		r.leaf = leaf
		copy(r.payload[:], c.bytes(len(r.payload)))
		copy(r.nonce[:], c.bytes(nonceSize))
		r.body = c.bytes(c.uint32())
		list = append(list, r)
	}
	published = c.bytes(c.uint16())
	return list, published, c.end()
}

// opening is what an object of openings has of a record.
type opening struct {
	opening  custody.Opening
	stream   custody.Stream
	sequence uint64
	opens    []custody.OpenedStream
}

// erase forgets the opening, and with it the record, and says whether it was
// there.
func (o *opening) erase() bool {
	was := o.opening != custody.Opening{}
	o.opening = custody.Opening{}
	return was
}

func marshalOpenings(s span, records []Record) []byte {
	text := func(b []byte, t custody.Stream) []byte {
		return append(binary.BigEndian.AppendUint16(b, uint16(len(t))), t...)
	}
	b := s.head(openingsMagic)
	for _, r := range records {
		b = append(b, r.Opening[:]...)
		b = binary.BigEndian.AppendUint64(b, r.Sequence)
		b = text(b, r.Stream)
		b = binary.BigEndian.AppendUint16(b, uint16(len(r.Opens)))
		for _, o := range r.Opens {
			b = append(text(b, o.Stream), o.TagKey[:]...)
		}
	}
	return b
}

// parseOpenings accepts exactly what marshalOpenings writes.
func parseOpenings(b []byte, s span) ([]opening, error) {
	c := &cursor{rest: b}
	c.begin(openingsMagic, s)
	list := make([]opening, 0, s.count)
	for range s.count {
		var o opening
		copy(o.opening[:], c.bytes(len(o.opening)))
		o.sequence = c.uint64()
		o.stream = custody.Stream(c.text())
		for range c.uint16() {
			opened := custody.OpenedStream{Stream: custody.Stream(c.text())}
			copy(opened.TagKey[:], c.bytes(len(opened.TagKey)))
			o.opens = append(o.opens, opened)
			if c.err != nil {
				break
			}
		}
		list = append(list, o)
	}
	return list, c.end()
}
