package format

import (
	"fmt"
	"strings"
)

// rawImage knows an image of a whole disk by its partition table, and of a
// volume by its superblock.
func rawImage(v view) (Format, bool) {
	if system := fileSystem(v); system != "" {
		return Format{"raw", system}, true
	}
	if detail, ok := gpt(v); ok {
		return Format{"raw", detail}, true
	}
	if detail, ok := mbr(v); ok {
		return Format{"raw", detail}, true
	}
	return Format{}, false
}

// A superblock is text at a place by which a file system, or what else a volume
// can hold, is known.
type superblock struct {
	offset     int64
	text, name string
}

func superblocks() []superblock {
	return []superblock{
		{3, "NTFS    ", "NTFS"},
		{3, "EXFAT   ", "exFAT"},
		{3, "-FVE-FS-", "BitLocker"},
		{54, "FAT12   ", "FAT12"},
		{54, "FAT16   ", "FAT16"},
		{82, "FAT32   ", "FAT32"},
		{0, "XFSB", "XFS"},
		{0, "LUKS\xba\xbe", "LUKS"},
		{32, "NXSB", "APFS"},
		{512, "LABELONE", "LVM"},
		{1024, "H+\x00\x04", "HFS+"},
		{4086, "SWAPSPACE2", "swap space"},
		{32769, "CD001", "ISO 9660"},
		{65600, "_BHRfS_M", "Btrfs"},
	}
}

// fileSystem names what lies at the beginning of a volume; "" when not known.
func fileSystem(v view) string {
	for _, s := range superblocks() {
		if v.has(s.offset, s.text) {
			return s.name
		}
	}
	return ext(v)
}

// ext tells ext2, ext3 and ext4 apart (Linux, Documentation/filesystems/ext4/super.rst).
func ext(v view) string {
	const (
		super      = 1024
		hasJournal = 0x4  // of the compatible features
		extents    = 0x40 // of the incompatible
	)
	if !v.has(super+56, "\x53\xef") || v.little(super+24, 4) > 6 { // blocks of at most 64 KiB
		return ""
	}
	switch {
	case v.little(super+96, 4)&extents != 0:
		return "ext4"
	case v.little(super+92, 4)&hasJournal != 0:
		return "ext3"
	}
	return "ext2"
}

// mostPartitions is how many partitions are looked into.
const mostPartitions = 16

// mbr reads a master boot record. Code can end in its signature, too: the
// entries must make sense.
func mbr(v view) (string, bool) {
	if !v.has(510, "\x55\xaa") {
		return "", false
	}
	var found []string
	for n := range int64(4) {
		entry := 446 + 16*n
		status, kind := v.little(entry, 1), v.little(entry+4, 1)
		first, count := v.little(entry+8, 4), v.little(entry+12, 4)
		if status&0x7f != 0 {
			return "", false
		}
		if kind == 0 || count == 0 {
			continue
		}
		found = append(found, describe(v, first, 512, fmt.Sprintf("type %#02x", kind)))
	}
	return "MBR: " + strings.Join(found, ", "), len(found) > 0
}

// gpt reads a GUID partition table, of sectors of 512 or 4096 bytes (UEFI 2.10, 5.3).
func gpt(v view) (string, bool) {
	for _, sector := range []int64{512, 4096} {
		if !v.has(sector, "EFI PART") {
			continue
		}
		table := v.little(sector+72, 8)
		count, size := v.little(sector+80, 4), v.little(sector+84, 4)
		if size < 128 || size > 4096 || table > uint64(v.size/sector) {
			return "GPT, damaged", true
		}
		var found []string
		for n := uint64(0); n < min(count, 128) && len(found) < mostPartitions; n++ {
			entry := int64(table)*sector + int64(n*size)
			if v.little(entry, 8) == 0 && v.little(entry+8, 8) == 0 {
				continue
			}
			found = append(found, describe(v, v.little(entry+32, 8), uint64(sector), "unknown"))
		}
		if len(found) == 0 {
			return "GPT without partitions", true
		}
		return "GPT: " + strings.Join(found, ", "), true
	}
	return "", false
}

// describe names what a partition holds, or else what its entry says.
func describe(v view, first, sector uint64, otherwise string) string {
	if first > uint64(v.size)/sector {
		return otherwise + " outside the image"
	}
	if system := fileSystem(v.part(int64(first * sector))); system != "" {
		return system
	}
	return otherwise
}
