// Package buckettest says in tests what storage.Bucket says in words, and
// starts the S3 server that the tests of other packages need too.
//
// Run is the suite: every implementation of storage.Bucket must pass it. Begin
// there.
package buckettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/forensic-custody/custody/storage"
)

// Run runs the suite. open returns an empty bucket each time.
func Run(t *testing.T, open func(t *testing.T) storage.Bucket) {
	for name, test := range map[string]func(*testing.T, storage.Bucket){
		"what was put is got":           testPutGet,
		"nothing is replaced":           testNoReplacement,
		"what is damaged is replaced":   testReplace,
		"one of many wins a key":        testRace,
		"what is not there":             testNotFound,
		"too large for the buffer":      testTooLarge,
		"keys that name something else": testKeys,
		"listing":                       testList,
		"deletion":                      testDelete,
		"versions":                      testVersions,
		"folders":                       testFolders,
		"locks":                         testLock,
		"holds":                         testHold,
		"a context that is done":        testContext,
		"probe":                         testProbe,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// Get returns an object whole.
func Get(t *testing.T, b storage.Bucket, key, version string) []byte {
	t.Helper()
	o, err := b.Stat(t.Context(), key, version)
	require.NoError(t, err)
	buf := make([]byte, o.Size)
	n, err := b.Get(t.Context(), key, version, buf)
	require.NoError(t, err)
	require.EqualValues(t, o.Size, n)
	return buf
}

// List returns the sizes of the objects below a prefix by their keys.
func List(t *testing.T, b storage.Bucket, prefix string) map[string]int64 {
	t.Helper()
	found := map[string]int64{}
	require.NoError(t, b.List(t.Context(), prefix, func(o storage.Object) error {
		require.NotContains(t, found, o.Key)
		found[o.Key] = o.Size
		return nil
	}))
	return found
}

// Bytes returns n bytes that depend on seed only.
func Bytes(n int, seed byte) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func put(t *testing.T, b storage.Bucket, key string, data []byte) string {
	t.Helper()
	version, err := b.Put(t.Context(), key, data)
	require.NoError(t, err)
	return version
}

func testPutGet(t *testing.T, b storage.Bucket) {
	objects := map[string][]byte{
		"empty":                {},
		"v1/i/c/00/one":        {1},
		"v1/i/c/00/large":      Bytes(9<<20+1, 1),
		"tile/0/x001/067.p/8":  []byte("tile"),
		strings.Repeat("k", 9): Bytes(70000, 2),
	}
	versions := map[string]string{}
	for key, data := range objects {
		versions[key] = put(t, b, key, data)
	}
	require.NoError(t, b.Barrier(t.Context()))
	for key, data := range objects {
		require.True(t, bytes.Equal(data, Get(t, b, key, versions[key])), key)
		require.True(t, bytes.Equal(data, Get(t, b, key, "")), key)
		o, err := b.Stat(t.Context(), key, "")
		require.NoError(t, err)
		require.Equal(t, storage.Object{Key: key, Version: versions[key], Size: int64(len(data))}, o)

		larger := make([]byte, len(data)+10)
		n, err := b.Get(t.Context(), key, versions[key], larger)
		require.NoError(t, err)
		require.Equal(t, len(data), n)
	}
}

func testNoReplacement(t *testing.T, b storage.Bucket) {
	version := put(t, b, "a/b", []byte("first"))
	for _, second := range []string{"first", "other", ""} {
		_, err := b.Put(t.Context(), "a/b", []byte(second))
		require.ErrorIs(t, err, storage.ErrExists)
	}
	require.Equal(t, "first", string(Get(t, b, "a/b", "")))
	require.Equal(t, "first", string(Get(t, b, "a/b", version)))
}

func testReplace(t *testing.T, b storage.Bucket) {
	first := put(t, b, "a/b", []byte("first"))
	second, err := b.Replace(t.Context(), "a/b", []byte("the second"))
	require.NoError(t, err)
	require.NoError(t, b.Barrier(t.Context()))
	require.Equal(t, "the second", string(Get(t, b, "a/b", "")))
	require.Equal(t, "the second", string(Get(t, b, "a/b", second)))
	if first != "" {
		require.NotEqual(t, first, second)
		require.Equal(t, "first", string(Get(t, b, "a/b", first)), "as an older version")
	}
	require.Equal(t, map[string]int64{"a/b": 10}, List(t, b, "a/"))
}

func testRace(t *testing.T, b storage.Bucket) {
	for round := range 4 {
		key := fmt.Sprintf("race/%d", round)
		var (
			mu   sync.Mutex
			won  [][]byte
			race errgroup.Group
		)
		for i := range 8 {
			race.Go(func() error {
				data := Bytes(100_000, byte(i))
				_, err := b.Put(t.Context(), key, data)
				switch {
				case err == nil:
					mu.Lock()
					won = append(won, data)
					mu.Unlock()
				case !errors.Is(err, storage.ErrExists) && !errors.Is(err, storage.ErrUnavailable):
					return err
				}
				return nil
			})
		}
		require.NoError(t, race.Wait())
		require.Len(t, won, 1)
		require.True(t, bytes.Equal(won[0], Get(t, b, key, "")))
	}
}

func testNotFound(t *testing.T, b storage.Bucket) {
	put(t, b, "there", []byte("x"))
	for _, c := range [][2]string{
		{"nowhere", ""}, {"no/where", ""}, {"there/not", ""},
		{"there", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"},
	} {
		_, err := b.Get(t.Context(), c[0], c[1], make([]byte, 8))
		require.ErrorIs(t, err, storage.ErrNotFound, "%q", c)
		_, err = b.Stat(t.Context(), c[0], c[1])
		require.ErrorIs(t, err, storage.ErrNotFound, "%q", c)
	}
}

func testTooLarge(t *testing.T, b storage.Bucket) {
	version := put(t, b, "large", Bytes(100, 1))
	for _, n := range []int{0, 99} {
		_, err := b.Get(t.Context(), "large", version, make([]byte, n))
		require.ErrorIs(t, err, storage.ErrTooLarge)
	}
}

func testKeys(t *testing.T, b storage.Bucket) {
	for _, key := range []string{
		"", "/", "/etc/passwd", "..", "../x", "a/../../x", "a//b", "a/", "./a", ".staging/1", "a/.b",
		`a\b`, "a\x00b", "a b", "ä", "a\n", strings.Repeat("x", 201), strings.Repeat("x/", 600) + "x",
	} {
		_, err := b.Put(t.Context(), key, []byte("x"))
		require.ErrorContains(t, err, "key ", "%q", key)
		_, err = b.Get(t.Context(), key, "", make([]byte, 10))
		require.ErrorContains(t, err, "key ", "%q", key)
		_, err = b.Stat(t.Context(), key, "")
		require.ErrorContains(t, err, "key ", "%q", key)
		require.ErrorContains(t, b.Delete(t.Context(), key, ""), "key ", "%q", key)
		require.ErrorContains(t, b.Retain(t.Context(), key, "", time.Now()), "key ", "%q", key)
		require.ErrorContains(t, b.Hold(t.Context(), key, "", true), "key ", "%q", key)
	}
	for _, prefix := range []string{"a", "/", "../", ".staging/", "a//"} {
		require.Error(t, b.List(t.Context(), prefix, func(storage.Object) error { return nil }), "%q", prefix)
		require.Error(t, b.Versions(t.Context(), prefix, func(storage.Object) error { return nil }), "%q", prefix)
		require.Error(t, b.Folders(t.Context(), prefix, func(string) error { return nil }), "%q", prefix)
	}
	require.Empty(t, List(t, b, ""))
}

func testList(t *testing.T, b storage.Bucket) {
	require.Empty(t, List(t, b, ""))
	want := map[string]int64{}
	for i := range 1030 { // more than a page of an S3 server
		key := fmt.Sprintf("v1/a/c/%02x/%d", i%16, i)
		put(t, b, key, make([]byte, i%7))
		want[key] = int64(i % 7)
	}
	put(t, b, "v1/b/c", []byte("x"))
	put(t, b, "v1/ab", []byte("x"))
	require.Equal(t, want, List(t, b, "v1/a/"))
	require.Len(t, List(t, b, ""), len(want)+2)
	require.Len(t, List(t, b, "v1/a/c/0f/"), len(want)/16)
	require.Empty(t, List(t, b, "v2/"))

	stop, calls := errors.New("enough"), 0
	err := b.List(t.Context(), "v1/", func(storage.Object) error { calls++; return stop })
	require.Equal(t, stop, err)
	require.Equal(t, 1, calls)
	require.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(List(t, b, "v1/a/"))))
}

func testDelete(t *testing.T, b storage.Bucket) {
	version := put(t, b, "a/b", []byte("first"))
	put(t, b, "a/c", []byte("neighbour"))
	require.NoError(t, b.Delete(t.Context(), "a/b", version))
	require.NoError(t, b.Delete(t.Context(), "a/b", version))
	_, err := b.Stat(t.Context(), "a/b", "")
	require.ErrorIs(t, err, storage.ErrNotFound)
	require.Equal(t, map[string]int64{"a/c": 9}, List(t, b, ""))
	put(t, b, "a/b", []byte("again"))
	require.NoError(t, b.Barrier(t.Context()))
	require.Equal(t, "again", string(Get(t, b, "a/b", "")))
}

func testContext(t *testing.T, b storage.Bucket) {
	version := put(t, b, "a", []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.Put(ctx, "b", []byte("x"))
	require.ErrorIs(t, err, context.Canceled)
	_, err = b.Get(ctx, "a", version, make([]byte, 1))
	require.ErrorIs(t, err, context.Canceled)
	_, err = b.Stat(ctx, "a", version)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, b.List(ctx, "", func(storage.Object) error { return nil }), context.Canceled)
	require.ErrorIs(t, b.Delete(ctx, "a", version), context.Canceled)
	require.ErrorIs(t, b.Versions(ctx, "", func(storage.Object) error { return nil }), context.Canceled)
	require.ErrorIs(t, b.Folders(ctx, "", func(string) error { return nil }), context.Canceled)
	require.ErrorIs(t, b.Retain(ctx, "a", version, time.Now().Add(time.Hour)), context.Canceled)
	require.ErrorIs(t, b.Hold(ctx, "a", version, true), context.Canceled)
	require.ErrorIs(t, b.Barrier(ctx), context.Canceled)
	_, err = b.Probe(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, map[string]int64{"a": 1}, List(t, b, ""))
}

// Versions returns every version below a prefix.
func Versions(t *testing.T, b storage.Bucket, prefix string) (all []storage.Object) {
	t.Helper()
	require.NoError(t, b.Versions(t.Context(), prefix, func(o storage.Object) error {
		all = append(all, o)
		return nil
	}))
	return all
}

func testVersions(t *testing.T, b storage.Bucket) {
	require.Empty(t, Versions(t, b, ""))
	version := put(t, b, "a/b", []byte("first"))
	other := put(t, b, "a/c/d", []byte("x"))
	put(t, b, "ab", []byte("x"))
	require.ElementsMatch(t, []storage.Object{
		{Key: "a/b", Version: version, Size: 5}, {Key: "a/c/d", Version: other, Size: 1},
	}, Versions(t, b, "a/"))
	stop := errors.New("enough")
	require.Equal(t, stop, b.Versions(t.Context(), "a/", func(storage.Object) error { return stop }))
	for _, o := range Versions(t, b, "") {
		require.NoError(t, b.Delete(t.Context(), o.Key, o.Version))
	}
	require.Empty(t, Versions(t, b, ""))
}

func testFolders(t *testing.T, b storage.Bucket) {
	folders := func(prefix string) (all []string) {
		require.NoError(t, b.Folders(t.Context(), prefix, func(name string) error {
			all = append(all, name)
			return nil
		}))
		return all
	}
	require.Empty(t, folders(""))
	put(t, b, "v1/a/c/one", []byte("x"))
	put(t, b, "v1/a/k", []byte("x"))
	version := put(t, b, "v1/b/x", []byte("x"))
	put(t, b, "v1/file", []byte("x"))
	put(t, b, "v10/a/x", []byte("x"))
	require.ElementsMatch(t, []string{"v1", "v10"}, folders(""))
	require.ElementsMatch(t, []string{"a", "b"}, folders("v1/"))
	require.Empty(t, folders("v1/b/"))
	require.Empty(t, folders("v2/"))
	require.NoError(t, b.Delete(t.Context(), "v1/b/x", version))
	require.Equal(t, []string{"a"}, folders("v1/"))
	stop := errors.New("enough")
	require.Equal(t, stop, b.Folders(t.Context(), "v1/", func(string) error { return stop }))
}

// nowhere is the version of no object.
const nowhere = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"

func testLock(t *testing.T, b storage.Bucket) {
	proven, err := b.Probe(t.Context())
	require.NoError(t, err)
	version := put(t, b, "a", []byte("evidence"))
	if proven.Lock {
		t.Parallel() // it waits
	}
	until := time.Now().Add(15 * time.Second)
	err = b.Retain(t.Context(), "a", version, until)
	if !proven.Lock {
		require.ErrorIs(t, err, storage.ErrNoLock)
		require.NoError(t, b.Delete(t.Context(), "a", version))
		return
	}
	require.NoError(t, err)
	require.ErrorIs(t, b.Retain(t.Context(), "a", nowhere, time.Now().Add(time.Hour)), storage.ErrNotFound)
	require.ErrorIs(t, b.Retain(t.Context(), "b", version, time.Now().Add(time.Hour)), storage.ErrNotFound)
	o, err := b.Stat(t.Context(), "a", version)
	require.NoError(t, err)
	require.False(t, o.Until.Before(until), "locked until %v instead of %v", o.Until, until)
	require.WithinDuration(t, until, o.Until, time.Second)
	longer := o.Until.Add(2 * time.Second)
	require.NoError(t, b.Retain(t.Context(), "a", version, longer), "extended")
	require.NoError(t, b.Retain(t.Context(), "a", version, until), "never shortened")
	var locked *storage.LockedError
	err = b.Delete(t.Context(), "a", version)
	require.ErrorAs(t, err, &locked)
	require.ErrorIs(t, err, storage.ErrLocked)
	require.Equal(t, storage.LockedError{Key: "a", Until: longer}, *locked)
	require.Equal(t, "evidence", string(Get(t, b, "a", version)))
	require.Eventually(t, func() bool { return b.Delete(t.Context(), "a", version) == nil }, 60*time.Second, 100*time.Millisecond)
	require.False(t, time.Now().Before(longer))
}

func testHold(t *testing.T, b storage.Bucket) {
	proven, err := b.Probe(t.Context())
	require.NoError(t, err)
	version := put(t, b, "a", []byte("evidence"))
	err = b.Hold(t.Context(), "a", version, true)
	if !proven.Hold {
		require.ErrorIs(t, err, storage.ErrNoLock)
		return
	}
	require.NoError(t, err)
	require.ErrorIs(t, b.Hold(t.Context(), "a", nowhere, true), storage.ErrNotFound)
	require.ErrorIs(t, b.Hold(t.Context(), "b", version, true), storage.ErrNotFound)
	require.NoError(t, b.Hold(t.Context(), "a", version, true))
	o, err := b.Stat(t.Context(), "a", version)
	require.NoError(t, err)
	require.True(t, o.Hold)
	var locked *storage.LockedError
	require.ErrorAs(t, b.Delete(t.Context(), "a", version), &locked)
	require.Equal(t, storage.LockedError{Key: "a", Hold: true}, *locked)
	require.NoError(t, b.Hold(t.Context(), "a", version, false))
	require.NoError(t, b.Delete(t.Context(), "a", version))
}

func testProbe(t *testing.T, b storage.Bucket) {
	for range 2 {
		proven, err := b.Probe(t.Context())
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(proven.Lines), 4, "%q", proven.Lines)
		require.True(t, proven.ConditionalPut && proven.Checksum, "%+v", proven)
		require.Equal(t, proven.Lock, proven.Hold)
		require.Empty(t, List(t, b, ""))
	}
}
