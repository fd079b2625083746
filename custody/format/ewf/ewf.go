// Package ewf reads the images that EnCase, FTK Imager and libewf write, of
// EWF version 1: E01, in one file or in segments. It is how what such an image
// says of itself is compared with what is in it.
//
// It promises:
//
//   - Every offset, size and count in the image is taken for hostile. Sections
//     go forward only and chunks do not overlap, so that reading ends, and what
//     comes out is at most 1032 times (the most that DEFLATE yields) what is
//     there; memory does not grow with the image.
//   - Every checksum of the format is checked, and the media are read to the
//     end although some do not hold: damage is counted and told, never hidden.
//
// It writes nothing, seeks nothing within the media, and reads neither logical
// evidence files (L01) nor EWF version 2 (Ex01).
//
// The layout is that of "Expert Witness Compression Format (EWF)", the
// specification of libewf. Begin reading at Open, then Image.WriteTo.
package ewf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"slices"
)

// Segment is a file of an image, of Size bytes.
type Segment struct {
	io.ReaderAt
	Size int64
}

// Image is an image whose sections have been read, and its media not yet.
type Image struct {
	Header Header
	Media  Media
	MD5    []byte  // that the image states of its media; nil when it states none
	SHA1   []byte  // likewise
	Unread []Range // that the source's device could not read, as the image states; at most 1000
	Damage []string

	// Surplus is what the last chunk holds behind the media, less than a sector
	// for one: of a source that was no whole number of sectors. A digest that the
	// image states can cover it. Known after WriteTo.
	Surplus []byte

	segments []Segment
	tables   []table
	finished bool // the last section of all was met
	damages  int
}

// Media is the source's size and shape.
type Media struct {
	Chunks          uint32 // into which it is cut
	SectorsPerChunk uint32
	BytesPerSector  uint32
	Sectors         uint64
}

// Size returns the media's bytes.
func (m Media) Size() uint64 { return m.Sectors * uint64(m.BytesPerSector) }

func (m Media) chunkSize() uint64 { return uint64(m.SectorsPerChunk) * uint64(m.BytesPerSector) }

// Range is a stretch of sectors.
type Range struct {
	First, Count uint64
}

// Bounds on what an image may claim.
const (
	maxSections = 1 << 16 // of all segments together
	maxChunk    = 32 << 20
	maxMedia    = 1 << 50
	maxDamage   = 100 // told one by one
	maxRanges   = 1000
)

const (
	signature  = "EVF\x09\x0d\x0a\xff\x00"
	fileHeader = 13
	descriptor = 76 // bytes of a section's descriptor
)

// ErrFormat says that a file is not a whole image of EWF version 1.
var ErrFormat = errors.New("not a sound EWF image")

// ErrSegments says that the segments are not all, not in order, or not of one
// image. It is an ErrFormat, too.
var ErrSegments = fmt.Errorf("%w: not the segments of one image, all and in order", ErrFormat)

// Number returns the segment number that the beginning of a file states, 1 for
// the first.
func Number(head []byte) (int, error) {
	if len(head) < fileHeader || string(head[:8]) != signature {
		return 0, fmt.Errorf("%w: it does not begin like a segment of one", ErrFormat)
	}
	if head[8] != 1 {
		return 0, fmt.Errorf("%w: its header's fields do not begin with 1", ErrFormat)
	}
	return int(binary.LittleEndian.Uint16(head[9:])), nil
}

// Open reads the sections of an image, whose segments must be given in order and
// all. What cannot be made sense of is an ErrFormat; a checksum that does not
// hold is Damage.
func Open(segments []Segment) (*Image, error) {
	img := &Image{segments: segments}
	sections := 0
	for n := range segments {
		if err := img.readSegment(n, &sections); err != nil {
			return nil, fmt.Errorf("segment %d: %w", n+1, err)
		}
	}
	switch {
	case img.Media.Sectors == 0:
		return nil, fmt.Errorf("%w: no section says how large the media are", ErrFormat)
	case !img.finished:
		return nil, fmt.Errorf("%w: the last is missing", ErrSegments)
	}
	return img, nil
}

func (img *Image) damaged(format string, args ...any) {
	if img.damages++; img.damages <= maxDamage {
		img.Damage = append(img.Damage, fmt.Sprintf(format, args...))
	}
}

// Damages returns how many checksums did not hold, more than Damage tells one
// by one.
func (img *Image) Damages() int { return img.damages }

// section is a stretch of a segment with a type.
type section struct {
	segment     int
	kind        string
	start, next int64 // of its descriptor, and of the next one's
}

func (s section) body() int64 { return s.start + descriptor }
func (s section) size() int64 { return s.next - s.body() }

func (img *Image) readSegment(n int, count *int) error {
	s := img.segments[n]
	head, err := readAt(s, 0, fileHeader)
	if err != nil {
		return err
	}
	number, err := Number(head)
	if err != nil {
		return err
	}
	if number != n+1 {
		return fmt.Errorf("%w: it says that it is segment %d", ErrSegments, number)
	}
	if img.finished {
		return fmt.Errorf("%w: it comes after the last", ErrSegments)
	}
	var data section // the latest of type sectors, which the next table is about
	for at := int64(fileHeader); ; {
		if *count++; *count > maxSections {
			return fmt.Errorf("%w: more than %d sections", ErrFormat, maxSections)
		}
		sec, last, err := img.readDescriptor(n, at)
		if err != nil {
			return err
		}
		if last {
			img.finished = sec.kind == "done"
			return nil
		}
		if err := img.readSection(sec, &data); err != nil {
			return fmt.Errorf("section %q at byte %d: %w", sec.kind, at, err)
		}
		at = sec.next
	}
}

// readDescriptor reads the descriptor of a section, and says whether it is the
// segment's last.
func (img *Image) readDescriptor(n int, at int64) (s section, last bool, err error) {
	b, err := readAt(img.segments[n], at, descriptor)
	if err != nil {
		return s, false, err
	}
	if !sound(b) {
		return s, false, fmt.Errorf("%w: the descriptor at byte %d fails its checksum", ErrFormat, at)
	}
	kind, _, _ := cutZero(b[:16])
	s = section{segment: n, kind: string(kind), start: at}
	if s.kind == "done" || s.kind == "next" {
		return s, true, nil
	}
	next := binary.LittleEndian.Uint64(b[16:])
	if next > uint64(img.segments[n].Size) || int64(next) < s.body() {
		return s, false, fmt.Errorf("%w: section %.16q at byte %d leads to byte %d", ErrFormat, s.kind, at, next)
	}
	s.next = int64(next)
	return s, false, nil
}

func (img *Image) readSection(s section, data *section) error {
	switch s.kind {
	case "header", "header2":
		return img.readHeader(s)
	case "volume", "disk", "data":
		return img.readMedia(s)
	case "sectors":
		*data = s
	case "table":
		return img.readTable(s, *data)
	case "table2":
		return img.readTable2(s, *data)
	case "hash", "digest":
		return img.readDigests(s)
	case "error2":
		return img.readErrors(s)
	}
	return nil
}

// readMedia reads a section volume, or data, which repeats it.
func (img *Image) readMedia(s section) error {
	const encase, smart = 1052, 94
	m := Media{}
	switch {
	case s.size() >= encase:
		b, err := img.body(s, encase)
		if err != nil {
			return err
		}
		if !sound(b) {
			img.damaged("segment %d: section %s fails its checksum", s.segment+1, s.kind)
		}
		m = Media{
			Chunks: binary.LittleEndian.Uint32(b[4:]), SectorsPerChunk: binary.LittleEndian.Uint32(b[8:]),
			BytesPerSector: binary.LittleEndian.Uint32(b[12:]), Sectors: binary.LittleEndian.Uint64(b[16:]),
		}
	case s.size() >= smart:
		b, err := img.body(s, smart)
		if err != nil {
			return err
		}
		if !sound(b) {
			img.damaged("segment %d: section %s fails its checksum", s.segment+1, s.kind)
		}
		m = Media{
			Chunks: binary.LittleEndian.Uint32(b[4:]), SectorsPerChunk: binary.LittleEndian.Uint32(b[8:]),
			BytesPerSector: binary.LittleEndian.Uint32(b[12:]), Sectors: uint64(binary.LittleEndian.Uint32(b[16:])),
		}
	default:
		return fmt.Errorf("%w: it is too short", ErrFormat)
	}
	if img.Media != (Media{}) && img.Media != m {
		return fmt.Errorf("%w: it describes other media than the first", ErrSegments)
	}
	img.Media = m
	return m.check()
}

func (m Media) check() error {
	switch {
	case m.BytesPerSector == 0 || m.SectorsPerChunk == 0 || m.chunkSize() > maxChunk:
		return fmt.Errorf("%w: chunks of %d sectors of %d bytes", ErrFormat, m.SectorsPerChunk, m.BytesPerSector)
	case m.Sectors > maxMedia/uint64(m.BytesPerSector):
		return fmt.Errorf("%w: media of %d sectors", ErrFormat, m.Sectors)
	}
	return nil
}

// readDigests reads a section hash (an MD5) or digest (an MD5 and a SHA-1).
func (img *Image) readDigests(s section) error {
	size := 36
	if s.kind == "digest" {
		size = 80
	}
	b, err := img.body(s, size)
	if err != nil {
		return err
	}
	if !sound(b) {
		img.damaged("segment %d: section %s fails its checksum", s.segment+1, s.kind)
		return nil
	}
	if stated(b[:16]) {
		img.MD5 = b[:16]
	}
	if s.kind == "digest" && stated(b[16:36]) {
		img.SHA1 = b[16:36]
	}
	return nil
}

func stated(b []byte) bool { return slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) }

// readErrors reads which sectors the source's device could not read.
func (img *Image) readErrors(s section) error {
	const head, entry = 520, 8
	b, err := img.body(s, head)
	if err != nil {
		return err
	}
	if !sound(b) {
		img.damaged("segment %d: section error2 fails its checksum", s.segment+1)
		return nil
	}
	count := int64(binary.LittleEndian.Uint32(b))
	if count > (s.size()-head)/entry {
		return fmt.Errorf("%w: it has no room for %d entries", ErrFormat, count)
	}
	b, err = readAt(img.segments[s.segment], s.body()+head, int(min(count, maxRanges)*entry))
	if err != nil {
		return err
	}
	img.Unread = nil // a later segment repeats what an earlier one has
	for ; len(b) > 0; b = b[entry:] {
		img.Unread = append(img.Unread, Range{uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:]))})
	}
	return nil
}

// body reads the first n bytes of a section's body.
func (img *Image) body(s section, n int) ([]byte, error) {
	if s.size() < int64(n) {
		return nil, fmt.Errorf("%w: it is too short", ErrFormat)
	}
	return readAt(img.segments[s.segment], s.body(), n)
}

// sound checks the Adler-32 in the last four bytes.
func sound(b []byte) bool {
	n := len(b) - 4
	return binary.LittleEndian.Uint32(b[n:]) == adler32.Checksum(b[:n])
}

func readAt(s Segment, offset int64, n int) ([]byte, error) {
	if offset < 0 || offset > s.Size-int64(n) {
		return nil, fmt.Errorf("%w: it ends before byte %d", ErrFormat, offset+int64(n))
	}
	b := make([]byte, n)
	if got, err := s.ReadAt(b, offset); got < n {
		return nil, err
	}
	return b, nil
}
