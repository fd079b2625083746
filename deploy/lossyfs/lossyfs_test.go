package lossyfs_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/forensic-custody/custody/deploy/lossyfs"
)

// a disk is a backing folder and the mount that loses it.
type disk struct {
	*lossyfs.FS
	t        *testing.T
	backing  string
	mounted  string
	finished bool
	synced   bool // this case syncs the directory
}

func mount(t *testing.T, seed int64) *disk {
	t.Helper()
	dir := t.TempDir()
	d := &disk{t: t, backing: filepath.Join(dir, "disk"), mounted: filepath.Join(dir, "mnt")}
	require.NoError(t, os.Mkdir(d.backing, 0o755))
	require.NoError(t, os.Mkdir(d.mounted, 0o755))
	var err error
	d.FS, err = lossyfs.Mount(d.backing, d.mounted, seed)
	require.NoError(t, err)
	t.Cleanup(d.unmount)
	return d
}

func (d *disk) unmount() {
	if !d.finished {
		d.finished = true
		require.NoError(d.t, d.Unmount())
		left, err := filepath.Glob(filepath.Join(filepath.Dir(d.backing), ".lossyfs-*"))
		require.NoError(d.t, err)
		require.Empty(d.t, left)
	}
}

// lose pulls the plug and returns where what survived is.
func (d *disk) lose() string {
	require.NoError(d.t, d.PowerLoss())
	d.unmount()
	return d.backing
}

func (d *disk) at(name string) string { return filepath.Join(d.mounted, name) }

func (d *disk) write(name, text string) {
	d.t.Helper()
	require.NoError(d.t, os.WriteFile(d.at(name), []byte(text), 0o644))
}

func (d *disk) sync(name string) {
	d.t.Helper()
	f, err := os.Open(d.at(name))
	require.NoError(d.t, err)
	require.NoError(d.t, f.Sync())
	require.NoError(d.t, f.Close())
}

// keep writes a file that is safe.
func (d *disk) keep(name, text string) {
	d.t.Helper()
	d.write(name, text)
	d.sync(name)
	d.sync(filepath.Dir(name))
}

// tree returns the files below dir and their contents; directories end in "/".
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			found[name+"/"] = ""
			return nil
		}
		b, err := os.ReadFile(path)
		found[name] = string(b)
		return err
	}))
	return found
}

func TestNothingIsLostWithoutPowerLoss(t *testing.T) {
	d := mount(t, 0)
	d.write("a", "text")
	require.NoError(t, os.Mkdir(d.at("dir"), 0o755))
	d.write("dir/b", "more")
	require.NoError(t, os.Rename(d.at("a"), d.at("c")))
	want := map[string]string{"c": "text", "dir/": "", "dir/b": "more"}
	require.Equal(t, want, tree(t, d.mounted))
	d.unmount()
	require.Equal(t, want, tree(t, d.backing))
}

func TestFileSurvivesWithItsBytesAndItsNameSynced(t *testing.T) {
	d := mount(t, 0)
	d.write("neither", "text")
	d.write("name only", "text")
	d.write("safe", "text")
	d.sync("safe")
	d.sync(".")
	d.write("bytes only", "text")
	d.sync("bytes only")
	require.Equal(t, map[string]string{"neither": "", "name only": "", "safe": "text"}, tree(t, d.lose()))
}

// TestNames does one thing to a safe state and pulls the plug, once without and
// once with an fsync of the directory.
func TestNames(t *testing.T) {
	before := map[string]string{"a": "1", "b": "2", "dir/": "", "dir/inside": "3", "empty/": ""}
	for _, c := range []struct {
		name  string
		do    func(d *disk) error
		sync  string
		after func(m map[string]string)
	}{
		{
			"create", func(d *disk) error { d.keepBytes("new", "4"); return nil }, ".",
			func(m map[string]string) { m["new"] = "4" },
		},
		{
			"rename", func(d *disk) error { return os.Rename(d.at("a"), d.at("c")) }, ".",
			func(m map[string]string) { delete(m, "a"); m["c"] = "1" },
		},
		{
			"rename over", func(d *disk) error { return os.Rename(d.at("a"), d.at("b")) }, ".",
			func(m map[string]string) { delete(m, "a"); m["b"] = "1" },
		},
		{
			"link elsewhere", func(d *disk) error { return os.Link(d.at("a"), d.at("dir/c")) }, "dir",
			func(m map[string]string) { m["dir/c"] = "1" },
		},
		{
			"unlink", func(d *disk) error { return os.Remove(d.at("a")) }, ".",
			func(m map[string]string) { delete(m, "a") },
		},
		{
			"unlink, then the same name again", func(d *disk) error {
				if err := os.Remove(d.at("a")); err != nil {
					return err
				}
				d.keepBytes("a", "4")
				return nil
			}, ".",
			func(m map[string]string) { m["a"] = "4" },
		},
		{
			"mkdir", func(d *disk) error { return os.Mkdir(d.at("new"), 0o755) }, ".",
			func(m map[string]string) { m["new/"] = "" },
		},
		{
			"rmdir", func(d *disk) error { return os.Remove(d.at("empty")) }, ".",
			func(m map[string]string) { delete(m, "empty/") },
		},
		{
			"symlink", func(d *disk) error { return os.Symlink("a", d.at("s")) }, ".",
			func(m map[string]string) { m["s"] = "1" },
		},
		{
			"empty and remove a directory", func(d *disk) error { return os.RemoveAll(d.at("dir")) }, ".",
			func(m map[string]string) { delete(m, "dir/"); delete(m, "dir/inside") },
		},
		{
			"a new directory where one was", func(d *disk) error {
				if err := os.RemoveAll(d.at("dir")); err != nil {
					return err
				}
				if d.synced {
					d.sync(".")
				}
				return os.Mkdir(d.at("dir"), 0o755)
			}, ".",
			func(m map[string]string) { delete(m, "dir/inside") },
		},
	} {
		for _, synced := range []bool{false, true} {
			t.Run(c.name+map[bool]string{false: " lost", true: " kept"}[synced], func(t *testing.T) {
				d := mount(t, 0)
				d.synced = synced
				require.NoError(t, os.Mkdir(d.at("dir"), 0o755))
				require.NoError(t, os.Mkdir(d.at("empty"), 0o755))
				d.keep("a", "1")
				d.keep("b", "2")
				d.keep("dir/inside", "3")
				require.NoError(t, c.do(d))
				want := map[string]string{}
				for k, v := range before {
					want[k] = v
				}
				if synced {
					d.sync(c.sync)
					c.after(want)
				}
				require.Equal(t, want, tree(t, d.lose()))
			})
		}
	}
}

// keepBytes writes a file whose bytes are safe and whose name is not.
func (d *disk) keepBytes(name, text string) {
	d.write(name, text)
	d.sync(name)
}

func TestRefusedRenames(t *testing.T) {
	d := mount(t, 0)
	require.NoError(t, os.Mkdir(d.at("dir"), 0o755))
	d.write("a", "1")
	require.ErrorIs(t, os.Rename(d.at("a"), d.at("dir/a")), syscall.EXDEV)
	require.ErrorIs(t, os.Rename(d.at("dir"), d.at("other")), syscall.EOPNOTSUPP)
	require.ErrorIs(t, syscall.Rmdir(d.at("a")), syscall.ENOTDIR)
	d.write("dir/b", "1")
	require.ErrorIs(t, os.Remove(d.at("dir")), syscall.ENOTEMPTY)
}

func TestUnsyncedBytesOfASafeFile(t *testing.T) {
	const safe = "0123456789"
	for _, c := range []struct {
		name string
		flag int
		do   func(f *os.File) error
	}{
		{"overwrite", os.O_WRONLY, func(f *os.File) error { _, err := f.WriteAt([]byte("xx"), 3); return err }},
		{"append", os.O_WRONLY | os.O_APPEND, func(f *os.File) error { _, err := f.WriteString("more"); return err }},
		{"truncate", os.O_WRONLY, func(f *os.File) error { return f.Truncate(4) }},
		{"truncate on open", os.O_WRONLY | os.O_TRUNC, func(f *os.File) error { _, err := f.WriteString("x"); return err }},
		{"truncate and grow", os.O_RDWR, func(f *os.File) error { return errors.Join(f.Truncate(0), f.Truncate(20)) }},
		{"allocate", os.O_RDWR, func(f *os.File) error { return syscall.Fallocate(int(f.Fd()), 0, 0, 4096) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := mount(t, 0)
			d.keep("f", safe)
			f, err := os.OpenFile(d.at("f"), c.flag, 0)
			require.NoError(t, err)
			require.NoError(t, c.do(f))
			require.NoError(t, f.Close())
			require.Equal(t, map[string]string{"f": safe}, tree(t, d.lose()))
		})
	}
}

func TestSynchronousWritesSurvive(t *testing.T) {
	d := mount(t, 0)
	d.keep("f", "")
	f, err := os.OpenFile(d.at("f"), os.O_WRONLY|syscall.O_DSYNC, 0)
	require.NoError(t, err)
	_, err = f.WriteString("text")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.Equal(t, map[string]string{"f": "text"}, tree(t, d.lose()))
}

// tear overwrites a safe file of old bytes, and one sector more, with new ones,
// and returns what a power loss leaves of it.
func tear(t *testing.T, seed int64) []byte {
	const size = 64 * 512
	d := mount(t, seed)
	d.keep("f", string(bytes.Repeat([]byte("o"), size)))
	f, err := os.OpenFile(d.at("f"), os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.Write(bytes.Repeat([]byte("n"), size+8*512))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	left, err := os.ReadFile(filepath.Join(d.lose(), "f"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(left), size)
	return left
}

func TestTornWrite(t *testing.T) {
	seen := map[string]bool{}
	for seed := int64(1); seed <= 5; seed++ {
		left := tear(t, seed)
		require.Equal(t, left, tear(t, seed), "the same seed, another loss")
		kinds := map[byte]int{}
		for start := 0; start < len(left); start += 512 {
			s := left[start:min(start+512, len(left))]
			require.Equal(t, bytes.Repeat(s[:1], len(s)), s, "a torn sector")
			kinds[s[0]]++
		}
		require.NotZero(t, kinds['o'])
		require.NotZero(t, kinds['n'])
		seen[string(left)] = true
	}
	require.Len(t, seen, 5)
}

// TestFirstNamesSurvive: with a seed, the unconfirmed changes of a directory
// survive up to some point and not beyond.
func TestFirstNamesSurvive(t *testing.T) {
	counts := map[int]bool{}
	for seed := int64(1); seed <= 12; seed++ {
		d := mount(t, seed)
		for _, name := range []string{"1", "2", "3", "4"} {
			d.write(name, "")
		}
		left := tree(t, d.lose())
		for _, name := range []string{"1", "2", "3", "4"}[:len(left)] {
			require.Contains(t, left, name)
		}
		counts[len(left)] = true
	}
	require.Greater(t, len(counts), 2)
}

func TestNothingAnswersAfterPowerLoss(t *testing.T) {
	d := mount(t, 0)
	d.keep("f", "text")
	require.NoError(t, os.Symlink("f", d.at("s")))
	f, err := os.OpenFile(d.at("f"), os.O_RDWR, 0)
	require.NoError(t, err)
	dir, err := os.Open(d.mounted)
	require.NoError(t, err)
	require.NoError(t, d.PowerLoss())
	require.NoError(t, d.PowerLoss())

	_, errStat := os.Stat(d.at("f"))
	_, errOpen := os.Open(d.at("f"))
	_, errCreate := os.Create(d.at("g"))
	_, errWrite := f.Write([]byte("x"))
	_, errList := dir.ReadDir(0)
	_, errLink := os.Readlink(d.at("s"))
	_, errFolder := os.ReadDir(d.mounted)
	for _, err := range []error{
		errStat, errOpen, errCreate, errWrite, errList, errLink, errFolder,
		f.Sync(), f.Truncate(0), dir.Sync(), os.Remove(d.at("f")), os.Rename(d.at("f"), d.at("g")),
		os.Link(d.at("f"), d.at("g")), os.Mkdir(d.at("dir"), 0o755), syscall.Statfs(d.mounted, new(syscall.Statfs_t)),
	} {
		require.ErrorIs(t, err, syscall.EIO)
	}
	require.NoError(t, f.Close())
	require.NoError(t, dir.Close())
	require.Equal(t, map[string]string{"f": "text"}, tree(t, d.lose()))
}

func TestSurvivorsMountAgain(t *testing.T) {
	d := mount(t, 0)
	d.keep("f", "text")
	d.write("g", "gone")
	d.lose()
	again, err := lossyfs.Mount(d.backing, d.mounted, 0)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"f": "text"}, tree(t, d.mounted))
	require.NoError(t, again.Unmount())
}

func TestMountNeedsAFolder(t *testing.T) {
	dir := t.TempDir()
	_, err := lossyfs.Mount(filepath.Join(dir, "absent"), dir, 0)
	require.ErrorIs(t, err, os.ErrNotExist)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestMain(m *testing.M) {
	if path := os.Getenv(victimFile); path != "" {
		victim(path, os.Getenv(victimSync))
	}
	goleak.VerifyTestMain(m)
}
