// Package format says what an artifact's bytes are, by looking at them: a raw
// image and the file systems in it, a forensic container, a memory dump, a log,
// an archive.
//
// It promises:
//
//   - It reads a bounded number of bytes, whatever the size of the artifact and
//     whatever its headers claim, and keeps none.
//   - It never panics, and never fails: what cannot be read or is not known is
//     Unknown.
//   - It goes by content alone. Names and extensions are not looked at.
//
// It does not decompress, decode or trust what it recognizes: that a header is
// there is no proof that what follows it is sound. The reader of EWF images,
// which does look at every byte, is in the folder ewf.
//
// Begin reading at Recognize; the signatures are in signatures.go, what a raw
// image holds in raw.go.
package format

import (
	"io"
	"strings"
)

// Unknown is the name of the format of bytes that nothing here recognizes.
const Unknown = "unknown"

// Format is what bytes were recognized as.
type Format struct {
	Name   string // one of Names
	Detail string // what the header says, in a line; empty when there is nothing to say
}

// String gives the name, and the detail in brackets: "ewf (segment 1)".
func (f Format) String() string {
	if f.Detail == "" {
		return f.Name
	}
	return f.Name + " (" + f.Detail + ")"
}

// Names lists the names that a Format can have.
func Names() []string {
	return strings.Fields(Unknown + " empty raw ewf ewf-logical ewf2 ewf2-logical aff4 vmdk qcow2 vhd vhdx vdi lime avml evtx " +
		"registry pcap pcapng gzip bzip2 xz zstd zip tar 7z pdf sqlite elf-core crash-dump hibernation journal json text")
}

// headSize is how much of the beginning is read at once: the farthest
// superblock that is looked for ends there.
const headSize = 68 << 10

// Recognize says what the size bytes of r are.
func Recognize(r io.ReaderAt, size int64) Format {
	if size <= 0 {
		return Format{Name: "empty"}
	}
	v := view{r: r, size: size}
	v.head = v.read(0, int(min(size, headSize)))
	for _, look := range []func(view) (Format, bool){bySignature, virtualDisk, rawImage, byTar, byText} {
		if f, ok := look(v); ok {
			return f
		}
	}
	return Format{Name: Unknown}
}

// view looks at places of an artifact.
type view struct {
	r    io.ReaderAt
	size int64
	head []byte
}

// at returns the n bytes at an offset; nil when they are not all there.
func (v view) at(offset int64, n int) []byte {
	if offset < 0 || n < 0 || offset > v.size-int64(n) {
		return nil
	}
	if end := offset + int64(n); end <= int64(len(v.head)) {
		return v.head[offset:end]
	}
	return v.read(offset, n)
}

func (v view) read(offset int64, n int) []byte {
	b := make([]byte, n)
	if got, err := v.r.ReadAt(b, offset); got < n && err != nil {
		return nil
	}
	return b
}

// has says whether the text stands at the offset.
func (v view) has(offset int64, text string) bool {
	return string(v.at(offset, len(text))) == text
}

// A field is an integer at an offset; one that is not there is 0.
func (v view) little(offset int64, n int) (x uint64) {
	b := v.at(offset, n)
	for i := len(b) - 1; i >= 0; i-- {
		x = x<<8 | uint64(b[i])
	}
	return x
}

func (v view) big(offset int64, n int) (x uint64) {
	for _, c := range v.at(offset, n) {
		x = x<<8 | uint64(c)
	}
	return x
}

// part is the view of a stretch that begins at an offset, for what is found
// there; it reads for itself.
func (v view) part(offset int64) view {
	return view{r: io.NewSectionReader(v.r, offset, v.size-offset), size: v.size - offset}
}
