package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

// TestVerifyFindsRot: what is no longer what was sealed is found when somebody
// asks, and from then on nobody gets it.
func TestVerifyFindsRot(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	file := filepath.Join(t.TempDir(), "web01.dd")
	image(t, file, 20*mib)
	id := word(t, done(t, d.eve, d.add(file, "EX-1")...), "id")
	verify := []string{"evidence", "verify", id, "--purpose", "before the hearing"}
	require.Equal(t, true, done(t, d.eve, verify...)["intact"])

	spoil(t, filepath.Join(d.dir, "bucket"))
	stdout, stderr, code := run(t, d.eve, verify...)
	require.Equal(t, exitRefused, code, stderr)
	require.Contains(t, stdout, id+" is DAMAGED")
	refused(t, exitRefused, d.eve, []string{"evidence", "get", id, "-o", filepath.Join(t.TempDir(), "x"), "--purpose", "look"}, "is damaged")
	shown, _, _ := run(t, d.eve, "evidence", "list", "--incident", d.incident)
	require.Contains(t, shown, "DAMAGED")
}

// TestAGoodOriginalMends: what shares damaged bytes is found, and the original,
// taken in again, puts all of it right.
func TestAGoodOriginalMends(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	file := filepath.Join(t.TempDir(), "web01.dd")
	image(t, file, 8*mib)
	first := word(t, done(t, d.eve, d.add(file, "EX-1")...), "id")
	second := word(t, done(t, d.eve, d.add(file, "EX-2")...), "id")
	is := func(id, key string) func() bool {
		return func() bool {
			items, _ := done(t, d.eve, "evidence", "list", "--incident", d.incident)["evidence"].([]any)
			for _, i := range items {
				if e, ok := i.(map[string]any); ok && e["id"] == id {
					return e[key] == true
				}
			}
			return false
		}
	}
	require.Eventually(t, is(second, "confirmed"), patience, 100*time.Millisecond)
	spoil(t, filepath.Join(d.dir, "bucket"))
	_, _, code := run(t, d.eve, "evidence", "verify", first, "--purpose", "before the hearing")
	require.Equal(t, exitRefused, code)
	require.Eventually(t, is(second, "damaged"), patience, 100*time.Millisecond, "nobody asked for this one")

	third := word(t, done(t, d.eve, d.add(file, "EX-3")...), "id")
	require.Eventually(t, is(third, "confirmed"), patience, 100*time.Millisecond)
	require.False(t, is(third, "damaged")())
	for _, id := range []string{first, second} {
		require.Eventually(t, func() bool { return !is(id, "damaged")() }, patience, 100*time.Millisecond)
		d.same(t, id, file)
	}
}

// spoil changes a byte of the largest object of an item in a folder bucket, as a disk
// would.
func spoil(t *testing.T, bucket string) {
	t.Helper()
	var largest string
	var size int64
	require.NoError(t, filepath.WalkDir(filepath.Join(bucket, "v1"), func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Size() > size {
			largest, size = path, info.Size()
		}
		return err
	}))
	require.NoError(t, os.Chmod(largest, 0o600))
	f, err := os.OpenFile(largest, os.O_RDWR, 0)
	require.NoError(t, err)
	b := make([]byte, 1)
	_, err = f.ReadAt(b, size/2)
	require.NoError(t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b, size/2)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// enrol makes somebody with a role, logged in, and returns his home.
func (d *desk) enrol(t *testing.T, name string, role custody.Role) string {
	t.Helper()
	home := d.home(t, name, name, inAgent)
	id := word(t, done(t, d.ada, "principal", "enroll", filepath.Join(home, requestFile), "--role", string(role)), "id")
	done(t, home, "login", "--principal", id)
	return home
}

// objects counts the files in a folder bucket.
func objects(t *testing.T, bucket string) (n int) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(bucket, func(_ string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			n++
		}
		return err
	}))
	return n
}

// TestHoldsAndRetentionTakeTwo: as two people type it.
func TestHoldsAndRetentionTakeTwo(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	lee, kim := d.enrol(t, "lee", custody.RoleLegalAdvisor), d.enrol(t, "kim", custody.RoleIncidentManager)
	file := filepath.Join(t.TempDir(), "web01.dd")
	image(t, file, 1000)
	id := word(t, done(t, d.eve, d.add(file, "EX-1")...), "id")

	dispose := []string{"evidence", "dispose", id, "--purpose", "case closed"}
	refused(t, exitRefused, lee, dispose, "is kept until")
	refused(t, exitRefused, d.enrol(t, "fred", custody.RoleForensicEngineer), dispose, "not for you")
	retain := []string{"incident", "retain", d.incident, "--days", "0", "--purpose", "test data"}
	first := word(t, done(t, lee, retain...), "payload")
	refused(t, exitRefused, lee, append(retain, "--second", first), "takes two people")
	done(t, kim, append(retain, "--second", first)...)

	done(t, lee, "evidence", "hold", id, "--authority", "a court, 7 O 12/26", "--purpose", "an order")
	refused(t, exitRefused, lee, dispose, "is on legal hold by a court, 7 O 12/26")
	shown, _, _ := run(t, lee, "evidence", "show", id)
	require.Contains(t, shown, "by a court, 7 O 12/26")
	lift := []string{"evidence", "release", id, "--authority", "the same court", "--purpose", "an order"}
	for _, flag := range []string{"--hold", "--second"} {
		refused(t, exitUsage, lee, append(lift[:len(lift):len(lift)], flag, "sha256:"+strings.Repeat("0", 64)), "names nothing")
	}
	first = word(t, done(t, lee, lift...), "payload")
	done(t, kim, append(lift, "--second", first)...)
	shown, _, _ = run(t, lee, "evidence", "show", id)
	require.False(t, strings.Contains(shown, "  hold "), shown)

	// Ordered by two, the bytes are destroyed, and the records say so.
	before := objects(t, filepath.Join(d.dir, "bucket", "v1"))
	first = word(t, done(t, lee, dispose...), "payload")
	done(t, kim, append(dispose, "--second", first)...)
	refused(t, exitRefused, d.eve, []string{"evidence", "get", id, "-o", filepath.Join(t.TempDir(), "x"), "--purpose", "look"}, "is disposed of")
	require.Eventually(t, func() bool {
		shown, _, _ = run(t, lee, "evidence", "show", id)
		return strings.Contains(shown, "(destroyed)")
	}, patience, 200*time.Millisecond, "%s", shown)
	require.Less(t, objects(t, filepath.Join(d.dir, "bucket", "v1")), before)
	proof := filepath.Join(t.TempDir(), "EX-1.bundle")
	done(t, lee, "bundle", "export", id, "-o", proof, "--purpose", "the file is closed")
	text, _, code := run(t, "", "bundle", "verify", proof, "--trust", filepath.Join(d.dir, "trust.json"))
	require.Equal(t, exitDone, code, text)
	require.Contains(t, text, "DESTROYED by order of two people")
	require.Contains(t, text, "what was done, by the word of the service: deleted")
	require.Contains(t, text, "kept in a folder: its write protection is advisory")
}
