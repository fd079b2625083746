package ewf_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"hash/adler32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody/format/ewf"
)

// media makes bytes like a disk's: some that compress, some that do not, zeros.
func media(size int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, size)
	_, _ = r.Read(b[:size/2])
	copy(b[size/2:], bytes.Repeat([]byte("the quick brown fox "), size/80))
	return b
}

// acquire lets libewf make an image, and returns its segments in order.
func acquire(t testing.TB, media []byte, args ...string) []string {
	t.Helper()
	target := filepath.Join(t.TempDir(), "image")
	c := exec.Command("ewfacquirestream", append([]string{"-q", "-t", target, "-C", "case 4711", "-E", "EX-1", "-e", "Eve",
		"-D", "a disk", "-N", "none"}, args...)...)
	c.Stdin = bytes.NewReader(media)
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	paths, err := filepath.Glob(target + ".*")
	require.NoError(t, err)
	slices.Sort(paths)
	return paths
}

func load(t testing.TB, paths []string) [][]byte {
	t.Helper()
	var files [][]byte
	for _, p := range paths {
		b, err := os.ReadFile(p)
		require.NoError(t, err)
		files = append(files, b)
	}
	return files
}

func segments(files [][]byte) (list []ewf.Segment) {
	for _, b := range files {
		list = append(list, ewf.Segment{ReaderAt: bytes.NewReader(b), Size: int64(len(b))})
	}
	return list
}

// TestImages holds the reader against libewf: what it exports, and what it says
// of the image, for each way in which it can write one.
func TestImages(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
		args []string
	}{
		{"encase 6, as it is", 3 << 20, nil},
		{"compressed", 3 << 20, []string{"-c", "fast"}},
		{"best, in segments", 5<<20 + 512, []string{"-c", "best", "-S", "1MiB", "-d", "sha1"}},
		{"in segments, as it is", 5<<20 + 1024, []string{"-S", "1MiB", "-d", "sha1"}},
		{"empty blocks", 4 << 20, []string{"-c", "empty-block"}},
		{"one sector", 512, nil},
		{"large chunks", 1<<20 + 512*7, []string{"-b", "1024", "-c", "fast"}},
		{"small chunks", 1<<20 + 512*7, []string{"-b", "16"}},
		{"sectors of 4096", 1 << 20, []string{"-P", "4096"}},
		{"encase 2", 1 << 20, []string{"-f", "encase2", "-c", "fast"}},
		{"encase 5", 1 << 20, []string{"-f", "encase5"}},
		{"encase 7", 1 << 20, []string{"-f", "encase7", "-c", "fast"}},
		{"ftk", 1 << 20, []string{"-f", "ftk"}},
		{"linen 6", 1 << 20, []string{"-f", "linen6"}},
		{"ewfx", 1 << 20, []string{"-f", "ewfx"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			paths := acquire(t, media(c.size), c.args...)
			img, err := ewf.Open(segments(load(t, paths)))
			require.NoError(t, err)
			var got bytes.Buffer
			n, err := img.WriteTo(&got)
			require.NoError(t, err)
			require.EqualValues(t, got.Len(), n)
			require.Empty(t, img.Damage)
			target := filepath.Join(t.TempDir(), "exported")
			require.NoError(t, exec.Command("ewfexport", "-q", "-u", "-f", "raw", "-t", target, paths[0]).Run())
			exported := load(t, []string{target + ".raw"})[0]
			require.True(t, bytes.Equal(exported, got.Bytes()), "libewf reads other media: %d bytes, here %d", len(exported), n)
			require.True(t, bytes.Equal(media(c.size), got.Bytes()))
			sum, second := md5.Sum(exported), sha1.Sum(exported)
			require.Equal(t, sum[:], img.MD5)
			if slices.Contains(c.args, "sha1") {
				require.Equal(t, second[:], img.SHA1)
			}
			require.Equal(t, "case 4711", img.Header.Case)
			require.Equal(t, "Eve", img.Header.Examiner)
			require.Equal(t, "EX-1", img.Header.Evidence)
			require.EqualValues(t, c.size, img.Media.Size())
			require.NoError(t, exec.Command("ewfverify", "-q", paths[0]).Run())
		})
	}
}

// TestSurplus: of a source that is no whole number of sectors, libewf stores the
// rest in the last chunk, states a digest over it, and does not count it.
func TestSurplus(t *testing.T) {
	source := media(1<<20 + 1300)
	for _, args := range [][]string{nil, {"-c", "best"}} {
		paths := acquire(t, source, args...)
		img, err := ewf.Open(segments(load(t, paths)))
		require.NoError(t, err)
		var got bytes.Buffer
		_, err = img.WriteTo(&got)
		require.NoError(t, err)
		require.Empty(t, img.Damage)
		whole := len(source) - len(source)%512
		require.True(t, bytes.Equal(source[:whole], got.Bytes()))
		require.Equal(t, source[whole:], img.Surplus)
		sum := md5.Sum(source)
		require.Equal(t, sum[:], img.MD5)
	}
}

func TestSegmentsThatAreNotAll(t *testing.T) {
	files := load(t, acquire(t, media(5<<20), "-S", "1MiB"))
	require.Greater(t, len(files), 3)
	other := load(t, acquire(t, media(4<<20), "-S", "1MiB"))
	for _, c := range []struct {
		name  string
		files [][]byte
		says  string
	}{
		{"none", nil, "no section says"},
		{"the last is missing", files[:len(files)-1], "the last is missing"},
		{"the first is missing", files[1:], "it says that it is segment 2"},
		{"one twice", [][]byte{files[0], files[0]}, "it says that it is segment 1"},
		{"one of another image", slices.Concat(files[:1], other[1:]), "other media"},
		{"one too many", append(slices.Clone(files), bytes.Replace(files[0], []byte("EVF\x09\r\n\xff\x00\x01\x01"), []byte("EVF\x09\r\n\xff\x00\x01"+string(rune(len(files)+1))), 1)), "after the last"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ewf.Open(segments(c.files))
			require.ErrorIs(t, err, ewf.ErrFormat)
			require.Equal(t, c.files != nil, errors.Is(err, ewf.ErrSegments))
			require.ErrorContains(t, err, c.says)
		})
	}
}

// find returns where the descriptor of the nth section of a kind is.
func find(t testing.TB, b []byte, kind string) int {
	t.Helper()
	for at := 13; at+76 <= len(b); {
		if strings.TrimRight(string(b[at:at+16]), "\x00") == kind {
			return at
		}
		next := int(binary.LittleEndian.Uint64(b[at+16:]))
		require.Greater(t, next, at)
		at = next
	}
	require.Fail(t, "no section "+kind)
	return 0
}

// sign puts the right checksum behind n bytes, as somebody who wants to deceive
// the reader does.
func sign(b []byte) { binary.LittleEndian.PutUint32(b[len(b)-4:], adler32.Checksum(b[:len(b)-4])) }

// TestDamage: what was altered in an image is told, with its place, and the
// digest of the media shows it.
func TestDamage(t *testing.T) {
	whole := load(t, acquire(t, media(1<<20), "-c", "fast"))[0]
	for _, c := range []struct {
		name, says string
		damage     func(b []byte)
	}{
		{"a compressed chunk", "cannot be decompressed", func(b []byte) { copy(b[find(t, b, "table")-2000:], make([]byte, 900)) }},
		{"the checksum behind a compressed chunk", "cannot be decompressed", func(b []byte) { b[find(t, b, "table")-1] ^= 1 }},
		{"a plain chunk", "fails its checksum", func(b []byte) { b[find(t, b, "sectors")+76+100] ^= 1 }},
		{"a table and its copy", "the table at byte", func(b []byte) {
			b[find(t, b, "table")+76+20] ^= 1
			b[find(t, b, "table2")+76+20] ^= 1
		}},
		{"the hash", "section hash fails", func(b []byte) { b[find(t, b, "hash")+76] ^= 1 }},
		{"the header", "cannot be decompressed", func(b []byte) { b[find(t, b, "header")+76+30] ^= 0xff }},
		{"the volume", "section volume fails", func(b []byte) { b[find(t, b, "volume")+76+700] ^= 1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := bytes.Clone(whole)
			c.damage(b)
			img, err := ewf.Open(segments([][]byte{b}))
			require.NoError(t, err)
			_, err = img.WriteTo(io.Discard)
			require.NoError(t, err)
			require.Contains(t, strings.Join(img.Damage, "\n"), c.says)
			require.Equal(t, len(img.Damage), img.Damages())
		})
	}
	t.Run("a table", func(t *testing.T) { // its copy serves
		b := bytes.Clone(whole)
		copy(b[find(t, b, "table")+76+24:], []byte{9, 9, 9, 9})
		img, err := ewf.Open(segments([][]byte{b}))
		require.NoError(t, err)
		sum := md5.New()
		_, err = img.WriteTo(sum)
		require.NoError(t, err)
		require.Equal(t, img.MD5, sum.Sum(nil))
		require.Len(t, img.Damage, 1)
	})
}

// TestHostile: headers that lie, with right checksums.
func TestHostile(t *testing.T) {
	whole := load(t, acquire(t, media(1<<20), "-c", "fast"))[0]
	put64, put32 := binary.LittleEndian.PutUint64, binary.LittleEndian.PutUint32
	for _, c := range []struct {
		name, says string
		harm       func(b []byte)
	}{
		{"a section that leads back", "leads to byte", func(b []byte) {
			at := find(t, b, "sectors")
			put64(b[at+16:], 13)
			sign(b[at : at+76])
		}},
		{"a section that leads to itself", "leads to byte", func(b []byte) {
			at := find(t, b, "sectors")
			put64(b[at+16:], uint64(at))
			sign(b[at : at+76])
		}},
		{"a section that leads out", "leads to byte", func(b []byte) {
			at := find(t, b, "sectors")
			put64(b[at+16:], 1<<63)
			sign(b[at : at+76])
		}},
		{"chunks of 2 TiB", "chunks of", func(b []byte) {
			at := find(t, b, "volume") + 76
			put32(b[at+8:], 1<<31)
			sign(b[at : at+1052])
		}},
		{"chunks of nothing", "chunks of 0 sectors", func(b []byte) {
			at := find(t, b, "volume") + 76
			put32(b[at+8:], 0)
			sign(b[at : at+1052])
		}},
		{"media that wrap round", "media of", func(b []byte) {
			at := find(t, b, "volume") + 76
			put64(b[at+16:], 1<<60)
			sign(b[at : at+1052])
		}},
		{"media larger than the chunks", "are missing", func(b []byte) {
			for _, kind := range []string{"volume", "data"} {
				at := find(t, b, kind) + 76
				put64(b[at+16:], 1<<30)
				sign(b[at : at+1052])
			}
		}},
		{"media smaller than the chunks", "more chunks than media", func(b []byte) {
			for _, kind := range []string{"volume", "data"} {
				at := find(t, b, kind) + 76
				put64(b[at+16:], 1)
				sign(b[at : at+1052])
			}
		}},
		{"a table of 4 billion", "no room", func(b []byte) {
			at := find(t, b, "table") + 76
			put32(b[at:], 1<<32-1)
			sign(b[at : at+24])
		}},
		{"a table far away", "overlaps", func(b []byte) {
			at := find(t, b, "table") + 76
			put64(b[at+8:], 1<<40)
			sign(b[at : at+24])
		}},
		{"a table beyond all", "base", func(b []byte) {
			at := find(t, b, "table") + 76
			put64(b[at+8:], 1<<63)
			sign(b[at : at+24])
		}},
		{"one chunk for all", "before it begins", func(b []byte) {
			at := find(t, b, "table") + 76
			n := int(binary.LittleEndian.Uint32(b[at:]))
			for i := 1; i < n; i++ {
				copy(b[at+24+4*i:], b[at+24:at+28])
			}
			sign(b[at+24 : at+24+4*n+4])
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := bytes.Clone(whole)
			c.harm(b)
			img, err := ewf.Open(segments([][]byte{b}))
			if err == nil {
				_, err = img.WriteTo(io.Discard)
			}
			require.ErrorIs(t, err, ewf.ErrFormat)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// TestCutOff cuts an image everywhere in its sections' heads, and elsewhere now
// and then: none is taken for whole.
func TestCutOff(t *testing.T) {
	whole := load(t, acquire(t, media(64<<10), "-c", "fast"))[0]
	for n := 0; n < len(whole)-76; n += 1 + n/500 {
		_, err := ewf.Open(segments([][]byte{whole[:n]}))
		require.Error(t, err, "%d bytes", n)
	}
}

// unreadable puts a section error2 into an image of one segment.
func unreadable(t testing.TB, b []byte, ranges ...ewf.Range) []byte {
	t.Helper()
	at := find(t, b, "hash")
	body := make([]byte, 520+8*len(ranges)+4)
	binary.LittleEndian.PutUint32(body, uint32(len(ranges)))
	sign(body[:520])
	for n, r := range ranges {
		binary.LittleEndian.PutUint32(body[520+8*n:], uint32(r.First))
		binary.LittleEndian.PutUint32(body[524+8*n:], uint32(r.Count))
	}
	sign(body[520:])
	section := append(make([]byte, 76), body...)
	copy(section, "error2")
	binary.LittleEndian.PutUint64(section[16:], uint64(at+len(section)))
	binary.LittleEndian.PutUint64(section[24:], uint64(len(section)))
	sign(section[:76])
	tail := bytes.Clone(b[at:])
	binary.LittleEndian.PutUint64(tail[16:], uint64(at+len(section)+112))
	sign(tail[:76])
	end := tail[112:]
	binary.LittleEndian.PutUint64(end[16:], uint64(at+len(section)+112)) // the last one leads to itself
	sign(end[:76])
	return slices.Concat(b[:at], section, tail)
}

// TestUnread reads which sectors the image says could not be read, as ewfinfo
// does.
func TestUnread(t *testing.T) {
	want := []ewf.Range{{First: 17, Count: 3}, {First: 100, Count: 1}}
	b := unreadable(t, load(t, acquire(t, media(64<<10)))[0], want...)
	img, err := ewf.Open(segments([][]byte{b}))
	require.NoError(t, err)
	require.Empty(t, img.Damage)
	require.Equal(t, want, img.Unread)
	require.NotNil(t, img.MD5)
	path := filepath.Join(t.TempDir(), "image.E01")
	require.NoError(t, os.WriteFile(path, b, 0o600))
	out, err := exec.Command("ewfinfo", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, says := range []string{"total number: 2", "17 - 19", "100 - 100"} {
		require.Contains(t, strings.ReplaceAll(string(out), "\t", " "), says)
	}
}

// TestHeader reads what ewfinfo reads.
func TestHeader(t *testing.T) {
	for _, form := range []string{"encase2", "encase5", "encase6", "encase7", "ftk", "linen6", "ewfx"} {
		path := acquire(t, media(64<<10), "-f", form)[0]
		img, err := ewf.Open(segments(load(t, []string{path})))
		require.NoError(t, err)
		out, err := exec.Command("ewfinfo", "-d", "iso8601", path).CombinedOutput()
		require.NoError(t, err, "%s", out)
		h := img.Header
		for name, value := range map[string]string{
			"Case number": h.Case, "Description": h.Description, "Examiner name": h.Examiner, "Evidence number": h.Evidence,
			"Notes": h.Notes, "Operating system used": h.System, "Software version used": h.Tool,
		} {
			require.NotEmpty(t, value, "%s: %s", form, name)
			require.Regexp(t, regexp.QuoteMeta(name)+`:\s+`+regexp.QuoteMeta(value)+"\n", string(out), form)
		}
		require.NotEmpty(t, h.Acquired)
		require.NotEmpty(t, h.Set)
		require.False(t, h.Password)
	}
}

// FuzzOpen: whatever the bytes, the reader returns, and writes no more than
// DEFLATE can make of them.
func FuzzOpen(f *testing.F) {
	for _, args := range [][]string{{"-c", "fast"}, {"-c", "none", "-b", "16"}} {
		f.Add(load(f, acquire(f, media(4<<10), args...))[0])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, signed(b)} {
			img, err := ewf.Open(segments([][]byte{b}))
			if err != nil {
				continue
			}
			n, err := img.WriteTo(io.Discard)
			require.LessOrEqual(t, n, int64(len(b)+64)*1032)
			if err == nil {
				require.EqualValues(t, img.Media.Size(), n)
			}
		}
	})
}

// signed puts right the checksums of the sections that can be reached, so that
// what is behind them is reached, too.
func signed(b []byte) []byte {
	b = bytes.Clone(b)
	for at := 13; at+76 <= len(b); {
		sign(b[at : at+76])
		next := binary.LittleEndian.Uint64(b[at+16:])
		if next < uint64(at+76) || next > uint64(len(b)) {
			break
		}
		body := b[at+76 : next]
		sizes := map[string]int{"volume": 1052, "data": 1052, "table": 24, "table2": 24, "hash": 36, "digest": 80, "error2": 520}
		if size := sizes[strings.TrimRight(string(b[at:at+16]), "\x00")]; size > 0 && size <= len(body) {
			sign(body[:size])
		}
		at = int(next)
	}
	return b
}
