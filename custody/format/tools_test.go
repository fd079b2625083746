package format_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody/format"
)

// TestWhatToolsMake recognizes what the programs make that people use.
func TestWhatToolsMake(t *testing.T) {
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	const volume, table = "truncate -s $SIZE $F; ", `truncate -s 64M $F; printf "$TABLE" | sfdisk -q $F; `
	for _, c := range []struct {
		name, script, env string
		want              string
	}{
		{"FAT12", volume + "mkfs.vfat -F 12 $F", "SIZE=2M", "raw (FAT12)"},
		{"FAT16", volume + "mkfs.vfat -F 16 $F", "SIZE=32M", "raw (FAT16)"},
		{"FAT32", volume + "mkfs.vfat -F 32 $F", "SIZE=64M", "raw (FAT32)"},
		{"NTFS", volume + "mkntfs -F -q $F", "SIZE=8M", "raw (NTFS)"},
		{"XFS", volume + "mkfs.xfs -q $F", "SIZE=320M", "raw (XFS)"},
		{"ext4", volume + "mke2fs -q -t ext4 $F", "SIZE=8M", "raw (ext4)"},
		{"swap", volume + "mkswap -q $F", "SIZE=2M", "raw (swap space)"},
		{"MBR", table + "mkfs.vfat -F 16 --offset 2048 $F 32768", "TABLE=label: dos\\n2048,65536,6\\n", "raw (MBR: FAT16)"},
		{"MBR of two", table, "TABLE=label: dos\\n2048,8192,83\\n,,7\\n", "raw (MBR: type 0x83, type 0x07)"},
		{"GPT", table + "mkfs.vfat -F 16 --offset 2048 $F 32768", "TABLE=label: gpt\\n2048,65536\\n,8192\\n", "raw (GPT: FAT16, unknown)"},
		{"gzip", "echo x | gzip > $F", "", "gzip"},
		{"bzip2", "echo x | bzip2 > $F", "", "bzip2"},
		{"xz", "echo x | xz > $F", "", "xz"},
		{"zstd", "echo x | zstd -q > $F", "", "zstd"},
		{"zip", "echo x > a; zip -q $F.zip a; mv $F.zip $F", "", "zip"},
		{"7z", "echo x > a; 7zz a $F.7z a > /dev/null; mv $F.7z $F", "", "7z"},
		{"tar", "echo x > a; tar cf $F a", "", "tar (GNU)"},
		{"pax", "echo x > a; tar --format=pax -cf $F a", "", "tar (ustar)"},
		{"SQLite", `sqlite3 $F "create table a (b)"`, "", "sqlite"},
		{"core", "sleep 60 & gcore -o c $! > /dev/null 2>&1; kill $!; mv c.* $F", "", "elf-core"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "made")
			script := exec.Command("sh", "-ec", c.script)
			script.Dir, script.Env = t.TempDir(), append(os.Environ(), "F="+path, c.env)
			out, err := script.CombinedOutput()
			require.NoError(t, err, "%s", out)
			f, err := os.Open(path)
			require.NoError(t, err)
			defer f.Close()
			info, err := f.Stat()
			require.NoError(t, err)
			got := format.Recognize(f, info.Size()).String()
			require.True(t, strings.HasPrefix(got, c.want), "%s, not %s", got, c.want)
		})
	}
}
