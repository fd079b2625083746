package format

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A signature is the text at the beginning by which a format is known; detail,
// unless nil, reads the header that follows, and may find that it is not one.
type signature struct {
	text, name string
	detail     func(view) (string, bool)
}

func fixed(detail string) func(view) (string, bool) {
	return func(view) (string, bool) { return detail, true }
}

// signatures lists what begins with something of its own.
func signatures() []signature {
	return []signature{
		{"EVF\x09\x0d\x0a\xff\x00", "ewf", segment(9, 2)},                                   // libewf, EWF format, 3.1
		{"LVF\x09\x0d\x0a\xff\x00", "ewf-logical", segment(9, 2)},                           // L01
		{"EVF2\x0d\x0a\x81\x00", "ewf2", segment(12, 4)},                                    // Ex01
		{"LEF2\x0d\x0a\x81\x00", "ewf2-logical", segment(12, 4)},                            // Lx01
		{"KDMV", "vmdk", sparseVMDK},                                                        // VMware Virtual Disk Format 5.0
		{"COWD", "vmdk", fixed("sparse, of an ESX host")},                                   //
		{"# Disk DescriptorFile", "vmdk", fixed("descriptor; the extents are other files")}, //
		{"QFI\xfb", "qcow2", qcow2},                                                         // QEMU docs/interop/qcow2
		{"vhdxfile", "vhdx", nil},                                                           // MS-VHDX, 2.2.1
		{"EMiL", "lime", lime},                                                              // LiME, doc/README, struct lime_mem_range_header
		{"AVML", "avml", avml},                                                              // AVML, src/image.rs
		{"ElfFile\x00", "evtx", evtx},                                                       // libevtx, 2
		{"regf", "registry", nil},                                                           // libregf, 2
		{"\xd4\xc3\xb2\xa1", "pcap", fixed("microseconds, little-endian")},                  // draft-ietf-opsawg-pcap, 4
		{"\xa1\xb2\xc3\xd4", "pcap", fixed("microseconds, big-endian")},                     //
		{"\x4d\x3c\xb2\xa1", "pcap", fixed("nanoseconds, little-endian")},                   //
		{"\xa1\xb2\x3c\x4d", "pcap", fixed("nanoseconds, big-endian")},                      //
		{"\x0a\x0d\x0d\x0a", "pcapng", pcapng},                                              // draft-ietf-opsawg-pcapng, 4.1
		{"\x1f\x8b\x08", "gzip", nil},                                                       // RFC 1952, 2.3.1
		{"BZh", "bzip2", bzip2},                                                             //
		{"\xfd7zXZ\x00", "xz", nil},                                                         // The .xz File Format, 2.1.1.1
		{"\x28\xb5\x2f\xfd", "zstd", nil},                                                   // RFC 8878, 3.1.1
		{"PK\x03\x04", "zip", nil},                                                          // APPNOTE, 4.3.7
		{"PK\x05\x06", "zip", fixed("empty")},                                               //
		{"PK\x07\x08", "zip", fixed("in parts")},                                            //
		{"7z\xbc\xaf\x27\x1c", "7z", nil},                                                   //
		{"%PDF-", "pdf", nil},                                                               // ISO 32000-2, 7.5.2
		{"SQLite format 3\x00", "sqlite", nil},                                              // sqlite.org/fileformat2, 1.3
		{"\x7fELF", "elf-core", elfCore},                                                    // System V ABI, chapter 4
		{"PAGEDU64", "crash-dump", fixed("Windows kernel, 64 bits")},                        //
		{"PAGEDUMP", "crash-dump", fixed("Windows kernel, 32 bits")},                        //
		{"MDMP", "crash-dump", fixed("Windows minidump")},                                   // MINIDUMP_HEADER
		{"hibr", "hibernation", hibernation},                                                // PO_MEMORY_IMAGE, of Windows 7 and before; resumed: "wake"
		{"HIBR", "hibernation", hibernation},                                                // of Windows 8 and later
		{"wake", "hibernation", hibernation},
		{"WAKE", "hibernation", hibernation},
		{"RSTR", "hibernation", hibernation},
		{"LPKSHHRH", "journal", nil}, // systemd, Journal File Format
	}
}

func bySignature(v view) (Format, bool) {
	for _, s := range signatures() {
		if !v.has(0, s.text) {
			continue
		}
		f, ok := Format{Name: s.name}, true
		if s.detail != nil {
			f.Detail, ok = s.detail(v)
		}
		if s.name == "zip" && isAFF4(v) {
			f = Format{Name: "aff4", Detail: "the digests that it states are not compared here"}
		}
		if ok {
			return f, true
		}
	}
	return Format{}, false
}

func segment(offset int64, n int) func(view) (string, bool) {
	return func(v view) (string, bool) {
		return fmt.Sprintf("segment %d", v.little(offset, n)), v.size > offset+int64(n)
	}
}

func sparseVMDK(v view) (string, bool) {
	const compressed = 1 << 16
	detail := "sparse"
	if v.little(8, 4)&compressed != 0 {
		detail = "stream-optimised"
	}
	return fmt.Sprintf("%s, %d sectors", detail, v.little(12, 8)), v.size >= 512
}

func qcow2(v view) (string, bool) {
	version := v.big(4, 4)
	detail := fmt.Sprintf("version %d, %d bytes", version, v.big(24, 8))
	if v.big(8, 8) != 0 {
		detail += ", over a backing file, which is another artifact"
	}
	if v.big(32, 4) != 0 {
		detail += ", encrypted"
	}
	return detail, version == 2 || version == 3
}

func lime(v view) (string, bool) {
	first, last := v.little(8, 8), v.little(16, 8)
	return fmt.Sprintf("first range %#x to %#x", first, last), v.little(4, 4) == 1 && first <= last && v.size >= 32
}

func avml(v view) (string, bool) {
	version := v.little(4, 4)
	detail := fmt.Sprintf("version %d", version)
	if version == 2 {
		detail += ", compressed"
	}
	return detail, version > 0 && version < 16 && v.size >= 32
}

func evtx(v view) (string, bool) {
	return fmt.Sprintf("version %d.%d, %d chunks", v.little(38, 2), v.little(36, 2), v.little(42, 2)), v.size >= 128
}

// hibernation tells a hiberfil.sys from text that begins with one of its words:
// it is whole pages, and what follows the word is no text.
func hibernation(v view) (string, bool) {
	const page = 4096
	return "Windows", v.size >= page && v.size%page == 0 && bytes.IndexByte(v.at(4, 60), 0) >= 0
}

func pcapng(v view) (string, bool) {
	const order = "\x1a\x2b\x3c\x4d"
	return "", v.has(8, order) || v.has(8, "\x4d\x3c\x2b\x1a")
}

func bzip2(v view) (string, bool) {
	level := v.little(3, 1)
	return "", level >= '1' && level <= '9' && (v.has(4, "\x31\x41\x59\x26\x53\x59") || v.has(4, "\x17\x72\x45\x38\x50\x90"))
}

func elfCore(v view) (string, bool) {
	const core = 4 // ET_CORE
	kind := v.little(16, 2)
	if v.little(5, 1) == 2 {
		kind = v.big(16, 2)
	}
	return "", kind == core
}

// isAFF4 looks for what an AFF4 volume has and other zips do not: its URN as
// the archive's comment, or the member that holds it, which comes first (AFF4
// Standard 1.0, 4).
func isAFF4(v view) bool {
	n := int(v.little(26, 2))
	name := string(v.at(30, n))
	if name == "container.description" || name == "information.turtle" {
		return true
	}
	const end = 22 // bytes of an end of central directory without comment
	tail := v.at(max(0, v.size-(end+1024)), int(min(v.size, end+1024)))
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	return at >= 0 && len(tail) >= at+end && bytes.HasPrefix(tail[at+end:], []byte("aff4://"))
}

// virtualDisk knows the formats whose signature does not come first.
func virtualDisk(v view) (Format, bool) {
	if v.has(0x40, "\x7f\x10\xda\xbe") { // VirtualBox, VDIPREHEADER
		return Format{"vdi", fmt.Sprintf("%d bytes", v.little(0x170, 8))}, true
	}
	kinds := map[uint64]string{2: "fixed", 3: "dynamic", 4: "differencing"}
	for _, footer := range []int64{0, v.size - 512} {
		if !v.has(footer, "conectix") { // Virtual Hard Disk Image Format Specification, hard disk footer
			continue
		}
		if kind := kinds[v.big(footer+60, 4)]; kind != "" {
			return Format{"vhd", fmt.Sprintf("%s, %d bytes", kind, v.big(footer+48, 8))}, true
		}
	}
	return Format{}, false
}

// byTar knows a tar by the checksum of its first header, which every variant
// has (POSIX pax, ustar interchange format).
func byTar(v view) (Format, bool) {
	header := v.at(0, 512)
	if header == nil || header[0] == 0 {
		return Format{}, false
	}
	var stated, sum uint64
	for _, c := range bytes.Trim(header[148:156], " \x00") {
		if c < '0' || c > '7' {
			return Format{}, false
		}
		stated = stated<<3 | uint64(c-'0')
	}
	for n, c := range header {
		if n >= 148 && n < 156 {
			c = ' '
		}
		sum += uint64(c)
	}
	variants := map[string]string{"ustar\x0000": "ustar", "ustar  \x00": "GNU"}
	return Format{"tar", variants[string(header[257:265])]}, stated == sum
}

// byText knows text in UTF-8, and JSON, as a whole or a value a line.
func byText(v view) (Format, bool) {
	b := v.head[:min(len(v.head), 4<<10)]
	cut := int64(len(b)) < v.size
	if i := slices.IndexFunc(b, func(c byte) bool { return c < ' ' && !strings.ContainsRune("\t\n\r\f\x1b", rune(c)) || c == 0x7f }); i >= 0 || len(b) == 0 {
		return Format{}, false
	}
	for n := 0; cut && n < utf8.UTFMax && !utf8.Valid(b); n++ { // a character that the cut divides
		b = b[:len(b)-1]
	}
	if !utf8.Valid(b) {
		return Format{}, false
	}
	line, rest, more := bytes.Cut(bytes.TrimLeft(b, " \t\r\n"), []byte("\n"))
	object := bytes.HasPrefix(line, []byte("{")) || bytes.HasPrefix(line, []byte("["))
	switch {
	case object && json.Valid(line) && more && len(bytes.TrimSpace(rest)) > 0:
		return Format{"json", "a value a line"}, true
	case object && !cut && json.Valid(b):
		return Format{Name: "json"}, true
	}
	return Format{Name: "text"}, true
}
