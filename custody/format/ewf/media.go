package ewf

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/adler32"
	"io"
)

// table says where chunks lie: a list of offsets, which is read when the media
// are.
type table struct {
	segment int
	entries int64  // offset of the first entry
	count   uint32 // entries of 4 bytes
	base    uint64 // what is added to each
	end     int64  // of the bytes in which the chunks lie
	sound   bool
}

// tableHead is how many bytes come before the entries.
const tableHead = 24

func (img *Image) parseTable(s, data section) (t table, err error) {
	b, err := img.body(s, tableHead)
	if err != nil {
		return t, err
	}
	t = table{
		segment: s.segment, entries: s.body() + tableHead, count: binary.LittleEndian.Uint32(b), base: binary.LittleEndian.Uint64(b[8:]),
		end: s.next, // of EnCase 1 and SMART, which put the chunks behind their table
	}
	if data.next != 0 && data.segment == s.segment {
		t.end = data.next
	}
	size := int64(t.count) * 4
	if size > s.size()-tableHead {
		return t, fmt.Errorf("%w: it has no room for %d entries", ErrFormat, t.count)
	}
	t.sound = sound(b)
	if s.size()-tableHead-size >= 4 && data.next != 0 {
		entries := adler32.New()
		if _, err := io.Copy(entries, io.NewSectionReader(img.segments[s.segment], t.entries, size)); err != nil {
			return t, err
		}
		b, err := readAt(img.segments[s.segment], t.entries+size, 4)
		if err != nil {
			return t, err
		}
		t.sound = t.sound && entries.Sum32() == binary.LittleEndian.Uint32(b)
	}
	return t, nil
}

func (img *Image) readTable(s, data section) error {
	t, err := img.parseTable(s, data)
	if err != nil {
		return err
	}
	if !t.sound {
		img.damaged("segment %d: the table at byte %d fails its checksum", s.segment+1, s.start)
	}
	img.tables = append(img.tables, t)
	return nil
}

// readTable2 reads the copy of a table, and puts it in the place of one that
// fails its checksum.
func (img *Image) readTable2(s, data section) error {
	t, err := img.parseTable(s, data)
	if err != nil {
		return err
	}
	if n := len(img.tables) - 1; n >= 0 && t.sound && !img.tables[n].sound && img.tables[n].segment == t.segment {
		img.tables[n] = t
	}
	return nil
}

// chunk is where one lies.
type chunk struct {
	offset, end int64
	compressed  bool
}

// WriteTo writes the media to w, in order, and returns how many bytes those
// were: as many as the image says, or an error. Of a chunk that fails its
// checksum the bytes are written as they are, of one that cannot be decompressed
// zeros; both are Damage.
func (img *Image) WriteTo(w io.Writer) (int64, error) {
	c := copier{
		img: img, w: w, left: img.Media.Size(),
		packed: make([]byte, img.Media.chunkSize()*2+1024), plain: make([]byte, img.Media.chunkSize()),
		sum: adler32.New(),
	}
	segment, reached := -1, int64(0)
	for _, t := range img.tables {
		if t.segment != segment {
			segment, reached = t.segment, 0
		}
		var err error
		if reached, err = c.table(t, reached); err != nil {
			return c.written, fmt.Errorf("segment %d: %w", t.segment+1, err)
		}
	}
	if c.left > 0 {
		return c.written, fmt.Errorf("%w: the last %d bytes of the media are missing", ErrFormat, c.left)
	}
	return c.written, nil
}

// copier is a WriteTo under way.
type copier struct {
	img           *Image
	w             io.Writer
	written       int64
	left          uint64 // bytes of the media still to come
	packed, plain []byte
	sum           hash.Hash32
	inflate       io.ReadCloser
	number        int // of the next chunk
}

// table writes the chunks of a table, which lie behind reached, and returns what
// is reached then.
func (c *copier) table(t table, reached int64) (int64, error) {
	r := bufio.NewReaderSize(io.NewSectionReader(c.img.segments[t.segment], t.entries, int64(t.count)*4), 64<<10)
	var this, next uint32
	if err := entry(r, &this, t.count > 0); err != nil {
		return reached, err
	}
	overflow := false
	for n := range t.count {
		if err := entry(r, &next, n+1 < t.count); err != nil {
			return reached, err
		}
		k, err := t.place(this, next, n+1 == t.count, &overflow)
		if err == nil && (k.offset < reached || k.end > c.img.segments[t.segment].Size) {
			err = fmt.Errorf("%w: chunk %d overlaps another", ErrFormat, c.number)
		}
		if err != nil {
			return reached, err
		}
		if err := c.chunk(t.segment, k); err != nil {
			return reached, err
		}
		reached, this = k.end, next
	}
	return reached, nil
}

func entry(r io.Reader, e *uint32, there bool) error {
	if !there {
		return nil
	}
	var b [4]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return err
	}
	*e = binary.LittleEndian.Uint32(b[:])
	return nil
}

// place says where the chunk of an entry lies: up to the next one's. An entry's
// highest bit says that it is compressed, but behind 2 GiB, where EnCase 6 and
// 7 need that bit, too.
func (t table) place(this, next uint32, last bool, overflow *bool) (chunk, error) {
	const packed = 1 << 31
	k := chunk{offset: int64(this &^ packed), compressed: this&packed != 0}
	end := int64(next &^ packed)
	if *overflow {
		k.offset, k.compressed = int64(this), false
		end = int64(next)
	} else if !last && end < k.offset && int64(next) > k.offset {
		*overflow = true
		end = int64(next)
	}
	if t.base > 1<<62 {
		return k, fmt.Errorf("%w: a table's base is %d", ErrFormat, t.base)
	}
	k.offset += int64(t.base)
	k.end = end + int64(t.base)
	if last {
		k.end = t.end
	}
	if k.end <= k.offset {
		return k, fmt.Errorf("%w: a chunk ends at byte %d, before it begins at %d", ErrFormat, k.end, k.offset)
	}
	return k, nil
}

// chunk writes one chunk of the media.
func (c *copier) chunk(segment int, k chunk) error {
	want := min(c.img.Media.chunkSize(), c.left)
	if want == 0 {
		return fmt.Errorf("%w: there are more chunks than media", ErrFormat)
	}
	packed := c.packed[:min(int64(len(c.packed)), k.end-k.offset)]
	if n, err := c.img.segments[segment].ReadAt(packed, k.offset); n < len(packed) {
		return err
	}
	stored := int(want)
	if want == c.left { // there can be more in the last one
		stored = len(c.plain)
	}
	plain, at := c.plain[:stored], place{c.number, segment + 1, k.offset}
	if k.compressed {
		plain = c.inflated(plain, packed, int(want), at)
	} else {
		plain = c.copied(plain, packed, int(want), at)
	}
	if want == c.left {
		c.img.Surplus = bytes.Clone(plain[want:])
	}
	n, err := c.w.Write(plain[:want])
	c.written += int64(n)
	c.left -= want
	c.number++
	return err
}

// place is where a chunk is, for who looks for it.
type place struct {
	number, segment int
	offset          int64
}

func (p place) String() string {
	return fmt.Sprintf("chunk %d (segment %d, byte %d)", p.number, p.segment, p.offset)
}

// copied takes a chunk that is not compressed, with its checksum behind it: of
// at least want bytes.
func (c *copier) copied(plain, packed []byte, want int, at place) []byte {
	for _, n := range []int{want, min(len(plain), len(packed)-4)} {
		if n < want || len(packed) < n+4 {
			break
		}
		c.sum.Reset()
		c.sum.Write(packed[:n])
		if c.sum.Sum32() == binary.LittleEndian.Uint32(packed[n:]) {
			return plain[:copy(plain, packed[:n])]
		}
	}
	clear(plain[copy(plain[:want], packed):want])
	if len(packed) < want+4 {
		c.img.damaged("%s is cut off", at)
	} else {
		c.img.damaged("%s fails its checksum", at)
	}
	return plain[:want]
}

// inflated takes a compressed chunk, of at least want bytes.
func (c *copier) inflated(plain, packed []byte, want int, at place) []byte {
	n, err := c.decompress(plain, packed)
	if err != nil || n < want {
		clear(plain)
		c.img.damaged("%s cannot be decompressed", at)
		return plain[:want]
	}
	return plain[:n]
}

// decompress puts into plain what packed yields, which must not be more than
// fits, with the right checksum.
func (c *copier) decompress(plain, packed []byte) (n int, err error) {
	in := bytes.NewReader(packed)
	if c.inflate == nil {
		c.inflate, err = zlib.NewReader(in)
	} else {
		err = c.inflate.(zlib.Resetter).Reset(in, nil)
	}
	if err != nil {
		c.inflate = nil
		return 0, err
	}
	for n < len(plain) {
		m, err := c.inflate.Read(plain[n:])
		n += m
		if err == io.EOF { // and the checksum was right
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	var more [1]byte
	if extra, err := c.inflate.Read(more[:]); extra > 0 || err != io.EOF {
		return n, fmt.Errorf("%w: a chunk is longer than it may be", ErrFormat)
	}
	return n, nil
}
