package format_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody/format"
)

// tool runs a program that writes a file, and returns the file.
func tool(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made")
	for n := range args {
		args[n] = strings.ReplaceAll(args[n], "MADE", path)
	}
	if name == "mke2fs" {
		require.NoError(t, os.WriteFile(path, make([]byte, 4<<20), 0o600))
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %q: %s", name, args, out)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}

// at makes size bytes with texts at places.
func at(size int, places map[int]string) []byte {
	b := make([]byte, size)
	for offset, text := range places {
		copy(b[offset:], text)
	}
	return b
}

func tarOf(t testing.TB, form tar.Format) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "a", Size: 1, Mode: 0o600, Format: form}))
	_, err := w.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func zipOf(t testing.TB, member, comment string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	require.NoError(t, w.SetComment(comment))
	f, err := w.Create(member)
	require.NoError(t, err)
	_, err = f.Write([]byte("aff4://4711"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func gzipOf(t testing.TB) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// disk puts volumes behind a master boot record, at 1 MiB and at 5 MiB.
func disk(volumes ...[]byte) []byte {
	b := make([]byte, 1<<20)
	for n, v := range volumes {
		entry := b[446+16*n:]
		entry[4] = 0x83
		binary.LittleEndian.PutUint32(entry[8:], uint32(len(b)/512))
		binary.LittleEndian.PutUint32(entry[12:], uint32(len(v)/512))
		b = append(b, v...)
	}
	copy(b[510:], "\x55\xaa")
	return b
}

func gptDisk(sector int, volume []byte) []byte {
	b := make([]byte, 1<<20)
	copy(b[sector:], "EFI PART")
	binary.LittleEndian.PutUint64(b[sector+72:], 2)
	binary.LittleEndian.PutUint32(b[sector+80:], 128)
	binary.LittleEndian.PutUint32(b[sector+84:], 128)
	copy(b[2*sector:], "a type's sixteen")
	binary.LittleEndian.PutUint64(b[2*sector+32:], uint64(len(b)/sector))
	return append(b, volume...)
}

type sample struct {
	name, detail string // of the format; of the detail a part
	bytes        []byte
}

// samples are artifacts that the programs of others made, and headers as their
// specifications have them.
func samples(t testing.TB) []sample {
	ext4 := tool(t, "mke2fs", "-q", "-t", "ext4", "MADE")
	footer := func(kind string) string {
		return string(at(512, map[int]string{0: "conectix", 60: "\x00\x00\x00" + kind}))
	}
	return []sample{
		{"empty", "", nil},
		{"unknown", "", make([]byte, 1000)},
		{"unknown", "", []byte("\x00\xff\x80")},
		{"raw", "ext4", ext4},
		{"raw", "ext3", tool(t, "mke2fs", "-q", "-t", "ext3", "MADE")},
		{"raw", "ext2", tool(t, "mke2fs", "-q", "-t", "ext2", "MADE")},
		{"raw", "MBR: ext4, ext4", disk(ext4, ext4)},
		{"raw", "MBR: type 0x83", disk(make([]byte, 512))},
		{"raw", "GPT: ext4", gptDisk(512, ext4)},
		{"raw", "GPT: ext4", gptDisk(4096, ext4)},
		{"raw", "NTFS", at(512, map[int]string{3: "NTFS    "})},
		{"raw", "FAT32", at(512, map[int]string{82: "FAT32   "})},
		{"raw", "XFS", at(512, map[int]string{0: "XFSB"})},
		{"raw", "ISO 9660", at(40000, map[int]string{32769: "CD001"})},
		{"raw", "LVM", at(4096, map[int]string{512: "LABELONE"})},
		{"raw", "Btrfs", at(70000, map[int]string{65600: "_BHRfS_M"})},
		{"ewf", "segment 1", at(600, map[int]string{0: "EVF\x09\r\n\xff\x00\x01\x01\x00"})},
		{"ewf-logical", "segment 2", at(600, map[int]string{0: "LVF\x09\r\n\xff\x00\x01\x02\x00"})},
		{"ewf2", "segment 1", at(600, map[int]string{0: "EVF2\r\n\x81\x00\x02\x01\x00\x00\x01\x00"})},
		{"ewf2-logical", "segment 1", at(600, map[int]string{0: "LEF2\r\n\x81\x00\x02\x01\x00\x00\x01\x00"})},
		{"aff4", "not compared", zipOf(t, "container.description", "")},
		{"aff4", "not compared", zipOf(t, "data", "aff4://4711")},
		{"zip", "", zipOf(t, "data", "")},
		{"vmdk", "sparse, 8192 sectors", tool(t, "qemu-img", "create", "-q", "-f", "vmdk", "MADE", "4M")},
		{"vmdk", "stream-optimised", tool(t, "qemu-img", "create", "-q", "-f", "vmdk", "-o", "subformat=streamOptimized", "MADE", "4M")},
		{"vmdk", "descriptor", tool(t, "qemu-img", "create", "-q", "-f", "vmdk", "-o", "subformat=monolithicFlat", "MADE", "4M")},
		{"qcow2", "version 3, 4194304 bytes", tool(t, "qemu-img", "create", "-q", "-f", "qcow2", "MADE", "4M")},
		{"qcow2", "version 2", tool(t, "qemu-img", "create", "-q", "-f", "qcow2", "-o", "compat=0.10", "MADE", "4M")},
		{"vhd", "dynamic", tool(t, "qemu-img", "create", "-q", "-f", "vpc", "MADE", "4M")},
		{"vhd", "fixed", tool(t, "qemu-img", "create", "-q", "-f", "vpc", "-o", "subformat=fixed", "MADE", "4M")},
		{"vhd", "differencing", []byte(footer("\x04"))},
		{"vhdx", "", tool(t, "qemu-img", "create", "-q", "-f", "vhdx", "MADE", "4M")},
		{"vdi", "4194304 bytes", tool(t, "qemu-img", "create", "-q", "-f", "vdi", "MADE", "4M")},
		{"lime", "0x1000 to 0x9efff", at(64, map[int]string{0: "EMiL\x01\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\xff\xef\x09"})},
		{"avml", "version 2, compressed", at(64, map[int]string{0: "AVML\x02"})},
		{"evtx", "version 3.1, 5 chunks", at(4096, map[int]string{0: "ElfFile", 36: "\x01\x00\x03\x00\x00\x10\x05"})},
		{"registry", "", at(4096, map[int]string{0: "regf"})},
		{"pcap", "microseconds, little", at(24, map[int]string{0: "\xd4\xc3\xb2\xa1\x02\x00\x04"})},
		{"pcap", "nanoseconds, big", at(24, map[int]string{0: "\xa1\xb2\x3c\x4d\x00\x02\x00\x04"})},
		{"pcapng", "", at(28, map[int]string{0: "\x0a\x0d\x0d\x0a\x1c", 8: "\x4d\x3c\x2b\x1a"})},
		{"gzip", "", gzipOf(t)},
		{"bzip2", "", []byte("BZh91AY&SY....")},
		{"xz", "", []byte("\xfd7zXZ\x00\x00\x04")},
		{"zstd", "", []byte("\x28\xb5\x2f\xfd\x00")},
		{"tar", "ustar", tarOf(t, tar.FormatUSTAR)},
		{"tar", "GNU", tarOf(t, tar.FormatGNU)},
		{"7z", "", []byte("7z\xbc\xaf\x27\x1c\x00\x04")},
		{"pdf", "", []byte("%PDF-1.7\n")},
		{"sqlite", "", at(4096, map[int]string{0: "SQLite format 3\x00"})},
		{"elf-core", "", at(64, map[int]string{0: "\x7fELF\x02\x01\x01", 16: "\x04\x00"})},
		{"elf-core", "", at(64, map[int]string{0: "\x7fELF\x01\x02\x01", 16: "\x00\x04"})},
		{"crash-dump", "64 bits", at(8192, map[int]string{0: "PAGEDU64"})},
		{"hibernation", "Windows", at(8192, map[int]string{0: "HIBR\x00\x00\x00\x00"})},
		{"hibernation", "Windows", at(8192, map[int]string{0: "wake"})},
		{"crash-dump", "minidump", at(8192, map[int]string{0: "MDMP\x93\xa7"})},
		{"raw", "APFS", at(4096, map[int]string{32: "NXSB"})},
		{"journal", "", at(272, map[int]string{0: "LPKSHHRH"})},
		{"json", "a value a line", []byte("{\"a\":1}\n{\"a\":2}\n")},
		{"json", "", []byte("{\n\"a\":1}\n")},
		{"text", "", []byte("Nov 24 01:00:00 web01 sshd[1]: Grüße\n")},
		{"text", "", bytes.Repeat([]byte("ü"), 5000)}, // one is divided where reading ends
		{"text", "", bytes.Repeat([]byte("aü"), 3001)},
	}
}

func TestRecognize(t *testing.T) {
	for _, s := range samples(t) {
		f := format.Recognize(bytes.NewReader(s.bytes), int64(len(s.bytes)))
		require.Equal(t, s.name, f.Name, "%s %q", s.detail, s.bytes[:min(len(s.bytes), 32)])
		require.Contains(t, f.Detail, s.detail)
		require.Equal(t, s.detail == "", f.Detail == "", "%s: %q", s.name, f.Detail)
		require.Contains(t, format.Names(), f.Name)
	}
}

// TestNotRecognized: what only begins like something is not it.
func TestNotRecognized(t *testing.T) {
	for _, s := range []string{
		"EVF\x09\r\n\xff\x00", "KDMV", "QFI\xfb\x00\x00\x00\x09", "EMiL\x02\x00\x00\x00", "AVML\x00", "ElfFile\x00", "BZh0\x01", "BZhello\x01",
		"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00", "\x0a\x0d\x0d\x0a\x00\x00\x00\x00", "\xff\xfe",
		string(at(512, map[int]string{510: "\x55\xaa"})),
		"wake up, Neo", strings.Repeat("HIBR", 1024),
		string(at(512, map[int]string{446: "\x42", 450: "\x83", 458: "\x01", 510: "\x55\xaa"})),
	} {
		f := format.Recognize(strings.NewReader(s), int64(len(s)))
		require.Contains(t, []string{format.Unknown, "text"}, f.Name, "%q: %s", s, f)
	}
	require.Equal(t, "raw (GPT, damaged)", format.Recognize(bytes.NewReader(at(2048, map[int]string{512: "EFI PART"})), 2048).String())
}

// counted counts what is read, and ends where its bytes do.
type counted struct {
	io.ReaderAt
	bytes int
}

func (c *counted) ReadAt(b []byte, offset int64) (int, error) {
	c.bytes += len(b)
	return c.ReaderAt.ReadAt(b, offset)
}

// TestBounded: cut off anywhere, or with a size that is a lie, nothing breaks,
// and little is read.
func TestBounded(t *testing.T) {
	for _, s := range samples(t) {
		for n := 0; n < len(s.bytes); n += 1 + n/7 {
			format.Recognize(bytes.NewReader(s.bytes[:n]), int64(n))
		}
		r := &counted{ReaderAt: bytes.NewReader(s.bytes)}
		format.Recognize(r, 1<<50)
		require.Less(t, r.bytes, 256<<10)
	}
	fatal := bytes.Repeat([]byte{0xff}, 128<<10)
	for _, text := range []string{"EFI PART", "conectix", "PK\x03\x04", "EMiL"} {
		for _, offset := range []int{0, 512, 4096, len(fatal) - 512} {
			b := slices.Clone(fatal)
			copy(b[offset:], text)
			format.Recognize(bytes.NewReader(b), int64(len(b)))
		}
	}
}

func FuzzRecognize(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.bytes[:min(len(s.bytes), 4096)])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &counted{ReaderAt: bytes.NewReader(b)}
		found := format.Recognize(r, int64(len(b)))
		require.Contains(t, format.Names(), found.Name)
		require.Less(t, r.bytes, 256<<10)
		require.Less(t, len(found.String()), 1000)
	})
}
