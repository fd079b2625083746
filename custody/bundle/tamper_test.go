package bundle_test

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

// TestEveryByteOfABundleCounts changes each byte of a whole bundle, with its
// leaves and artifact, one at a time.
func TestEveryByteOfABundleCounts(t *testing.T) {
	s := sealed(t, 1)
	c := contents(t, s, true)
	c.Artifact, c.Size = bytes.NewReader(s.Artifact), uint64(len(s.Artifact))
	whole := written(t, c)
	require.True(t, verify(whole, s.Trust).Verified)
	everyByte(t, len(whole), func(at int) error {
		b := bytes.Clone(whole)
		b[at] ^= 1 << (at % 8)
		if v := verify(b, s.Trust); v.Verified || len(v.Problems) == 0 {
			return fmt.Errorf("byte %d of %d changed, and it still verifies", at, len(whole))
		}
		return nil
	})
}

// TestEveryPrefixOfABundleIsRefused cuts a bundle off.
func TestEveryPrefixOfABundleIsRefused(t *testing.T) {
	s := newStory(t, 1)
	whole := written(t, contents(t, s, true))
	for n := 0; n < len(whole); n += 97 {
		require.False(t, verify(whole[:n], s.Trust).Verified, n)
	}
	require.False(t, verify(whole[:len(whole)-1], s.Trust).Verified)
	require.False(t, verify(append(bytes.Clone(whole), 0), s.Trust).Verified, "a byte more")
}

// TestEveryBitOfTheTrustFileCounts: with another trust file, the bundle does
// not verify.
func TestEveryBitOfTheTrustFileCounts(t *testing.T) {
	s := newStory(t, 1)
	whole := written(t, contents(t, s, true))
	trust, err := s.Trust.Marshal()
	require.NoError(t, err)
	everyByte(t, 8*len(trust), func(at int) error {
		b := bytes.Clone(trust)
		b[at/8] ^= 1 << (at % 8)
		other, err := custody.ParseTrust(b)
		if err == nil && verify(whole, other).Verified {
			return fmt.Errorf("bit %d of byte %d changed, and the bundle still verifies", at%8, at/8)
		}
		return nil
	})
}

// everyByte calls do for 0 to n-1, on all processors.
func everyByte(t *testing.T, n int, do func(at int) error) {
	t.Helper()
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	failed := make([]error, workers)
	for w := range workers {
		wg.Go(func() {
			for at := w; at < n && failed[w] == nil; at += workers {
				failed[w] = do(at)
			}
		})
	}
	wg.Wait()
	for _, err := range failed {
		require.NoError(t, err)
	}
}

// members takes a bundle apart.
type member struct {
	name    string
	content []byte
}

func members(t testing.TB, b []byte) (list []member) {
	t.Helper()
	for len(b) > 1024 {
		name, _, _ := bytes.Cut(b[:100], []byte{0})
		var size int
		_, err := fmt.Sscanf(string(b[124:135]), "%o", &size)
		require.NoError(t, err)
		list = append(list, member{string(name), b[512 : 512+size]})
		b = b[512+(size+511)/512*512:]
	}
	return list
}

// archive puts members together again, with the headers that they must have.
func archive(list []member) []byte {
	var b bytes.Buffer
	for _, m := range list {
		var h [512]byte
		copy(h[:], m.name)
		copy(h[100:], "0000444\x00"+"0000000\x00"+"0000000\x00")
		copy(h[124:], fmt.Sprintf("%011o\x00", len(m.content)))
		copy(h[136:], "00000000000\x00"+"        "+"0")
		copy(h[257:], "ustar\x0000")
		copy(h[329:], "0000000\x00"+"0000000\x00")
		sum := 0
		for _, c := range h {
			sum += int(c)
		}
		copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
		b.Write(h[:])
		b.Write(m.content)
		b.Write(make([]byte, (512-len(m.content)%512)%512))
	}
	b.Write(make([]byte, 1024))
	return b.Bytes()
}

// TestMembersOfABundle removes, repeats, moves and renames every member, and
// gives each the content of every other.
func TestMembersOfABundle(t *testing.T) {
	s := newStory(t, 1)
	whole := written(t, contents(t, s, true))
	list := members(t, whole)
	require.Equal(t, whole, archive(list))
	refused := func(what string, list []member) {
		require.False(t, verify(archive(list), s.Trust).Verified, what)
	}
	for i, m := range list {
		refused("removed: "+m.name, slices.Delete(slices.Clone(list), i, i+1))
		refused("repeated: "+m.name, slices.Insert(slices.Clone(list), i, m))
		refused("appended: "+m.name, append(slices.Clone(list), m))
		renamed := slices.Clone(list)
		renamed[i].name += "x"
		refused("renamed: "+m.name, renamed)
		for j := range i {
			moved := slices.Clone(list)
			moved[i], moved[j] = moved[j], moved[i]
			refused("exchanged: "+m.name+" and "+list[j].name, moved)
			if !bytes.Equal(m.content, list[j].content) {
				moved[i].name, moved[j].name = moved[j].name, moved[i].name
				refused("contents exchanged: "+m.name+" and "+list[j].name, moved)
			}
		}
	}
}

// TestRecordsOfABundle leaves records out, repeats and moves them, in bundles
// whose heads and names say so consistently.
func TestRecordsOfABundle(t *testing.T) {
	s := newStory(t, 1)
	for _, leaves := range []bool{true, false} {
		clean := contents(t, s, leaves)
		for i, st := range clean.Streams {
			for n := range st.Records {
				if len(st.Records) == 1 && !st.Whole {
					continue // see the declarations below
				}
				last := n == len(st.Records)-1
				c := edited(clean, i, func(r []bundle.Record) []bundle.Record { return slices.Delete(r, n, n+1) })
				v := verify(written(t, c), s.Trust)
				if last && !leaves && st.Name == s.Evidence.Stream() {
					require.True(t, v.Verified, "without the leaves, a later record is not excluded")
					require.False(t, v.Complete)
					continue
				}
				require.False(t, v.Verified, "%s: record %d left out, with leaves: %v", st.Name, n, leaves)
				c = edited(clean, i, func(r []bundle.Record) []bundle.Record {
					for k := n + 1; k < len(r); k++ {
						r[k].Sequence--
					}
					return slices.Delete(r, n, n+1)
				})
				require.False(t, last && leaves && verify(written(t, c), s.Trust).Verified, "%s: record %d left out, the others renumbered", st.Name, n)
				c = edited(clean, i, func(r []bundle.Record) []bundle.Record {
					again := r[n]
					again.Sequence = uint64(len(r))
					return append(r, again)
				})
				require.False(t, verify(written(t, c), s.Trust).Verified, "%s: record %d repeated", st.Name, n)
				for k := range n {
					c = edited(clean, i, func(r []bundle.Record) []bundle.Record {
						r[n], r[k] = r[k], r[n]
						r[n].Sequence, r[k].Sequence = r[k].Sequence, r[n].Sequence
						return r
					})
					require.False(t, verify(written(t, c), s.Trust).Verified, "%s: records %d and %d exchanged", st.Name, n, k)
				}
			}
			whole := *clean
			whole.Streams = slices.Delete(slices.Clone(clean.Streams), i, i+1)
			require.False(t, verify(written(t, &whole), s.Trust).Verified, "%s left out", st.Name)
			for j := range clean.Streams {
				if j == i || len(clean.Streams[j].Records) == 0 {
					continue
				}
				c := edited(clean, i, func(r []bundle.Record) []bundle.Record {
					moved := clean.Streams[j].Records[0]
					moved.Sequence = uint64(len(r))
					return append(r, moved)
				})
				require.False(t, verify(written(t, c), s.Trust).Verified, "a record of %s moved to %s", clean.Streams[j].Name, st.Name)
			}
		}
	}
}

// edited returns contents with the records of one stream changed.
func edited(c *bundle.Contents, stream int, change func([]bundle.Record) []bundle.Record) *bundle.Contents {
	d := *c
	d.Streams = slices.Clone(c.Streams)
	d.Streams[stream].Records = change(slices.Clone(c.Streams[stream].Records))
	return &d
}

// TestTheLastRecordOfAnItem: who leaves it out is found out when the leaves
// are there, and otherwise the verdict says less.
func TestTheLastRecordOfAnItem(t *testing.T) {
	s := newStory(t, 1)
	drop := func(c *bundle.Contents) *bundle.Contents {
		i := slices.IndexFunc(c.Streams, func(st bundle.Stream) bool { return st.Name == s.Evidence.Stream() })
		return edited(c, i, func(r []bundle.Record) []bundle.Record { return r[:len(r)-1] })
	}
	v := verify(written(t, drop(contents(t, s, true))), s.Trust)
	require.False(t, v.Verified)
	require.Contains(t, v.Problems[0].What, "leaves out")

	v = verify(written(t, drop(contents(t, s, false))), s.Trust)
	require.True(t, v.Verified)
	require.False(t, v.Complete)
	var text strings.Builder
	require.NoError(t, v.Write(&text))
	require.Contains(t, text.String(), "later ones are not excluded")
}

// TestForeignBundles: what another log says of people and items of the same
// names is nothing to this one.
func TestForeignBundles(t *testing.T) {
	ours, theirs := newStory(t, 1), newStory(t, 2)
	theirBundle := written(t, contents(t, theirs, true))
	require.True(t, verify(theirBundle, theirs.Trust).Verified, "it is consistent in itself")
	require.False(t, verify(theirBundle, ours.Trust).Verified)

	stolen := *theirs.Trust
	stolen.Genesis = ours.Trust.Genesis
	v := verify(theirBundle, &stolen)
	require.False(t, v.Verified, "the log's key alone is not enough")
	require.Contains(t, fmt.Sprint(v.Problems), "genesis")
}

// forger has the log's key: he makes any tree of leaves he likes, and signs it.
type forger struct {
	signer note.Signer
	leaves []custody.Leaf
}

// prove puts receipts under the forged tree into the bundle.
func (f *forger) prove(t *testing.T, c *bundle.Contents) *bundle.Contents {
	t.Helper()
	var hashes []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			found[i] = hashes[x]
		}
		return found, nil
	})
	for n, l := range f.leaves {
		more, err := tlog.StoredHashes(int64(n), l[:], read)
		require.NoError(t, err)
		hashes = append(hashes, more...)
	}
	root, err := tlog.TreeHash(int64(len(f.leaves)), read)
	require.NoError(t, err)
	body := custody.Checkpoint{Origin: f.signer.Name(), Size: uint64(len(f.leaves)), Root: custody.Digest(root)}
	d := *c
	d.Checkpoint, err = note.Sign(&note.Note{Text: body.String()}, f.signer)
	require.NoError(t, err)
	d.Streams = slices.Clone(c.Streams)
	for i := range d.Streams {
		d.Streams[i].Records = slices.Clone(d.Streams[i].Records)
		for k := range d.Streams[i].Records {
			r := &d.Streams[i].Records[k]
			leaf, err := r.Leaf, error(nil)
			if r.Bytes != nil {
				leaf, err = r.Receipt.Leaf(r.Bytes)
			}
			require.NoError(t, err)
			at := slices.Index(f.leaves, leaf)
			require.GreaterOrEqual(t, at, 0)
			proof, err := tlog.ProveRecord(int64(len(f.leaves)), int64(at), read)
			require.NoError(t, err)
			r.Receipt = &custody.Receipt{Extra: r.Receipt.Extra, Index: uint64(at), Checkpoint: d.Checkpoint}
			for _, h := range proof {
				r.Receipt.Proof = append(r.Receipt.Proof, custody.Digest(h))
			}
		}
	}
	d.Leaves = func(yield func(custody.Leaf) error) error {
		for _, l := range f.leaves {
			if err := yield(l); err != nil {
				return err
			}
		}
		return nil
	}
	return &d
}

// forge rewrites one record of a stream, and everything that follows from it
// within the stream, and signs a log of it.
func forge(t *testing.T, s *guardtest.Story, seed byte, stream custody.Stream, sequence int, change func(*custody.Record)) *bundle.Contents {
	t.Helper()
	_, signer, err := guardtest.LogKey("custody.example/test", seed)
	require.NoError(t, err)
	c := contents(t, s, true)
	f := &forger{signer: signer}
	require.NoError(t, c.Leaves(func(l custody.Leaf) error { f.leaves = append(f.leaves, l); return nil }))
	i := slices.IndexFunc(c.Streams, func(st bundle.Stream) bool { return st.Name == stream })
	c = edited(c, i, func(list []bundle.Record) []bundle.Record {
		var before custody.Commitment
		for k := sequence; k < len(list); k++ {
			r, err := custody.ParseRecord(list[k].Bytes)
			require.NoError(t, err)
			if k == sequence {
				change(r)
			} else {
				r.Previous = before
			}
			for h := range r.Basis {
				if r.Basis[h].Stream == stream && r.Basis[h].Length == uint64(k) && k > sequence {
					r.Basis[h].Commitment = before
				}
			}
			old, err := list[k].Receipt.Leaf(list[k].Bytes)
			require.NoError(t, err)
			list[k].Bytes, err = r.Marshal()
			require.NoError(t, err)
			leaf, err := list[k].Receipt.Leaf(list[k].Bytes)
			require.NoError(t, err)
			f.leaves[slices.Index(f.leaves, old)] = leaf
			before = leaf.Commitment()
		}
		return list
	})
	return f.prove(t, c)
}

// TestWhatTheOperatorCannotForge: whoever has the log's key and the service's
// still has none of the people's, and cannot bend what they signed.
func TestWhatTheOperatorCannotForge(t *testing.T) {
	s := newStory(t, 1)
	last := 3 // evidence.receive: nothing else stands on it
	untouched := forge(t, s, 1, s.Evidence.Stream(), last, func(*custody.Record) {})
	require.Empty(t, verify(written(t, untouched), s.Trust).Problems, "the forger's tools make a good bundle")

	other, err := s.Person("Emil Engineer the Second")
	require.NoError(t, err)
	received := &custody.ReceiveEvidence{
		Evidence: s.Evidence, Grant: s.Grant, SHA256: custody.Hash(s.Artifact), Size: uint64(len(s.Artifact)),
	}
	signed := func(key custody.Signer, change func(*custody.Header)) custody.Envelope {
		h, err := s.Engineer.Header("")
		require.NoError(t, err)
		h.Time = custody.TimeOf(s.Now()).Add(-10e9)
		h.Expires = h.Time.Add(60e9)
		change(&h)
		e, err := custody.Sign(key, h, received)
		require.NoError(t, err)
		return *e
	}
	same := func(*custody.Header) {}
	list, err := s.Store.Records(t.Context(), s.Evidence.Stream(), 1, 1, true)
	require.NoError(t, err)
	earlier, err := custody.ParseRecord(list[0].Record)
	require.NoError(t, err)
	for _, c := range []struct {
		name   string
		change func(*custody.Record)
		want   string
	}{
		{"another's key under the right name", func(r *custody.Record) { r.Envelope = signed(other.Key, same) }, "is not one of"},
		{"the name of the right key over another's signature", func(r *custody.Record) {
			e := signed(other.Key, same)
			e.Signatures[0].KeyID = s.Engineer.Key.Public().ID()
			r.Envelope = e
		}, "not by key"},
		{"a statement for another log", func(r *custody.Record) {
			r.Envelope = signed(s.Engineer.Key, func(h *custody.Header) { h.Audience = "custody.example/other" })
		}, `is for "custody.example/other"`},
		{"somebody who was never enrolled", func(r *custody.Record) {
			r.Envelope = signed(other.Key, func(h *custody.Header) { h.Actor = custody.NewPrincipalID(custody.Hash([]byte("x"))) })
		}, "never enrolled"},
		{"nobody", func(r *custody.Record) {
			r.Envelope = signed(other.Key, func(h *custody.Header) { h.Actor = "" })
		}, "actor is missing"},
		{"recorded before it was signed", func(r *custody.Record) { r.Recorded = r.Recorded.Add(-3600e9) }, "recorded"},
		{"another state of the policy", func(r *custody.Record) {
			r.Basis[head(r, custody.PolicyStream)].Commitment = custody.Hash([]byte("x"))
		}, "not the one here"},
		{"decided without the policy", func(r *custody.Record) {
			r.Basis = slices.Delete(r.Basis, head(r, custody.PolicyStream), head(r, custody.PolicyStream)+1)
		}, "lacks the policy"},
		{"decided without the actor", func(r *custody.Record) {
			i := head(r, s.Engineer.ID.Stream())
			r.Basis = slices.Delete(r.Basis, i, i+1)
		}, "lacks its actor"},
		{"an older state of the actor than the log had", func(r *custody.Record) {
			older(t, s, r, s.Engineer.ID.Stream(), 1)
		}, "an older state of principal/"},
		{"an older state of the policy than the record before", func(r *custody.Record) {
			older(t, s, r, custody.PolicyStream, 3)
		}, "an older state of policy than its predecessor"},
		{"before its actor was enrolled", func(r *custody.Record) {
			older(t, s, r, custody.PolicyStream, 1)
		}, "was not enrolled when it was decided"},
		{"another place of its own stream", func(r *custody.Record) {
			older(t, s, r, s.Evidence.Stream(), 2)
		}, "another place of its own stream"},
		{"recorded before its predecessor", func(r *custody.Record) { r.Recorded = r.Recorded.Add(-5e9) }, "before its predecessor"},
		{"an older checkpoint than its predecessor's", func(r *custody.Record) {
			r.Checkpoint = custody.Anchor{Root: custody.Hash(nil)}
		}, "names an older checkpoint"},
		{"a statement that is on record already", func(r *custody.Record) { r.Envelope = earlier.Envelope }, "repeats the statement"},
		{"a checkpoint that never was", func(r *custody.Record) { r.Checkpoint.Root = custody.Hash([]byte("x")) }, "not the log's"},
		{"a checkpoint later than itself", func(r *custody.Record) { r.Checkpoint.Size = 1 << 20 }, "later than itself"},
		{"another stream's declaration", func(r *custody.Record) {
			r.Declares = append(r.Declares, custody.Declaration{Stream: custody.NewEvidenceID(custody.Hash(nil)).Stream()})
		}, "not its to declare"},
		{"no predecessor", func(r *custody.Record) { r.Previous = custody.Hash([]byte("x")) }, "does not follow"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := verify(written(t, forge(t, s, 1, s.Evidence.Stream(), last, c.change)), s.Trust)
			require.False(t, v.Verified)
			require.Contains(t, fmt.Sprint(v.Problems), c.want)
		})
	}
}

func head(r *custody.Record, s custody.Stream) int {
	i, ok := slices.BinarySearchFunc(r.Basis, s, func(h custody.Head, s custody.Stream) int { return cmp.Compare(h.Stream, s) })
	if !ok {
		panic("no such head")
	}
	return i
}

// older sets a head of the basis back to an earlier length.
func older(t *testing.T, s *guardtest.Story, r *custody.Record, stream custody.Stream, length uint64) {
	t.Helper()
	h := &r.Basis[head(r, stream)]
	require.Less(t, length, h.Length)
	h.Length, h.Commitment = length, custody.Commitment{}
	if length > 0 {
		list, err := s.Store.Records(t.Context(), stream, length-1, 1, true)
		require.NoError(t, err)
		h.Commitment = list[0].Commitment
	}
}

// TestTagsAndTheirKeys: a record under the tag of another place, or a stream
// under another key, would hide from whoever looks for what is missing.
func TestTagsAndTheirKeys(t *testing.T) {
	s := newStory(t, 1)
	c := forge(t, s, 1, s.Evidence.Stream(), 3, func(*custody.Record) {})
	_, signer, err := guardtest.LogKey("custody.example/test", 1)
	require.NoError(t, err)
	f := &forger{signer: signer}
	require.NoError(t, c.Leaves(func(l custody.Leaf) error { f.leaves = append(f.leaves, l); return nil }))
	i := slices.IndexFunc(c.Streams, func(st bundle.Stream) bool { return st.Name == s.Evidence.Stream() })
	c = edited(c, i, func(list []bundle.Record) []bundle.Record {
		last := &list[len(list)-1]
		old, err := last.Receipt.Leaf(last.Bytes)
		require.NoError(t, err)
		forged := *last.Receipt
		forged.Open(custody.Opening(forged.Extra[:32]), c.Streams[i].TagKey.Tag(77))
		last.Receipt = &forged
		f.leaves[slices.Index(f.leaves, old)], err = forged.Leaf(last.Bytes)
		require.NoError(t, err)
		return list
	})
	v := verify(written(t, f.prove(t, c)), s.Trust)
	require.Contains(t, fmt.Sprint(v.Problems), "does not have the tag of its place")

	c = contents(t, s, true)
	i = slices.IndexFunc(c.Streams, func(st bundle.Stream) bool { return st.Name == s.Administrator.ID.Stream() })
	require.True(t, c.Streams[i].Whole)
	require.Empty(t, c.Streams[i].Records)
	c.Streams[i].TagKey[0] ^= 1
	v = verify(written(t, c), s.Trust)
	require.Contains(t, fmt.Sprint(v.Problems), "is not the one that was declared")
}

// TestReceiptsAreCheckedWithoutLeavesToo changes every hash of every receipt.
func TestReceiptsAreCheckedWithoutLeavesToo(t *testing.T) {
	s := newStory(t, 1)
	clean := contents(t, s, false)
	for i, st := range clean.Streams {
		for n, r := range st.Records {
			for k := range r.Receipt.Proof {
				c := edited(clean, i, func(list []bundle.Record) []bundle.Record {
					forged := *list[n].Receipt
					forged.Proof = slices.Clone(forged.Proof)
					forged.Proof[k][31] ^= 1
					list[n].Receipt = &forged
					return list
				})
				require.False(t, verify(written(t, c), s.Trust).Verified)
			}
		}
	}
}

// TestHostileArchives are no bundles, whatever other readers make of them.
func TestHostileArchives(t *testing.T) {
	s := newStory(t, 1)
	whole := written(t, contents(t, s, true))
	list := members(t, whole)
	renamed := func(name string) []byte {
		c := slices.Clone(list)
		c[0].name = name
		return archive(c)
	}
	patched := func(at int, b string) []byte {
		w := bytes.Clone(whole)
		copy(w[at:], b)
		w[148], w[149] = 0, 0
		sum := 8 * int(' ')
		for i, c := range w[:512] {
			if i < 148 || i >= 156 {
				sum += int(c)
			}
		}
		copy(w[148:], fmt.Sprintf("%06o\x00 ", sum))
		return w
	}
	require.True(t, verify(patched(0, "bundle.json"), s.Trust).Verified, "patching nothing keeps it")
	for name, b := range map[string][]byte{
		"empty":                      {},
		"only zeros":                 make([]byte, 1024),
		"text":                       []byte(strings.Repeat("not an archive ", 100)),
		"an absolute path":           renamed("/etc/passwd"),
		"a path upwards":             renamed("../bundle.json"),
		"the same path otherwise":    renamed("./bundle.json"),
		"a name after the name":      patched(len("bundle.json")+1, "x"),
		"a symbolic link":            patched(156, "2"),
		"a hard link":                patched(156, "1"),
		"a pax header":               patched(156, "x"),
		"a GNU long name":            patched(156, "L"),
		"an old regular file":        patched(156, "\x00"),
		"a link's name":              patched(157, "bundle.json"),
		"an owner":                   patched(108, "0000001\x00"),
		"a time":                     patched(136, "00000000001\x00"),
		"the mode of a program":      patched(100, "0000777\x00"),
		"GNU's magic":                patched(257, "ustar  \x00"),
		"a prefix":                   patched(345, "records"),
		"an owner's name":            patched(265, "root"),
		"something in the rest":      patched(500, "x"),
		"a size in base 256":         patched(124, "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00"),
		"a size ended by a space":    patched(135, " "),
		"a negative size":            patched(124, "-0000000001\x00"),
		"a huge size":                patched(124, "77777777777\x00"),
		"another checksum's padding": append(append(bytes.Clone(whole[:154]), ' ', '\x00'), whole[156:]...),
		"three blocks at the end":    append(bytes.Clone(whole), make([]byte, 512)...),
	} {
		v := verify(b, s.Trust)
		require.False(t, v.Verified, name)
		require.NotEmpty(t, v.Problems, name)
	}
}

// TestAReaderThatFails is not a verdict of the bundle's.
func TestAReaderThatFails(t *testing.T) {
	s := newStory(t, 1)
	whole := written(t, contents(t, s, true))
	v := bundle.Verify(io.MultiReader(bytes.NewReader(whole[:2000]), failing{}), s.Trust, bundle.Options{Words: investigate.Words()})
	require.False(t, v.Verified)
	require.Contains(t, fmt.Sprint(v.Problems), "the cable is out")
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, fmt.Errorf("the cable is out") }

// TestHistoryOutlivesKeys: what a key signed before it was revoked, or its
// holder suspended, still verifies.
func TestHistoryOutlivesKeys(t *testing.T) {
	s := newStory(t, 1)
	ctx := t.Context()
	for _, act := range []custody.Act{
		&custody.RevokeKey{Principal: s.Engineer.ID, Key: s.Engineer.Key.Public().ID()},
		&custody.SuspendPrincipal{Principal: s.Engineer.ID},
		&custody.SuspendPrincipal{Principal: s.Lead.ID},
	} {
		a, err := s.Administrator.Does(ctx, "the laptop was stolen", act)
		require.NoError(t, err)
		require.True(t, a.Permit, a.Reason)
	}
	v := verify(written(t, contents(t, s, true)), s.Trust)
	require.Empty(t, v.Problems)
	require.True(t, v.Complete)
}

// TestAStatementBelongsWhereItSays: the operator cannot put what was signed
// about one item into the history of another.
func TestAStatementBelongsWhereItSays(t *testing.T) {
	s := newStory(t, 1)
	ctx := t.Context()
	first := s.Evidence
	name, err := custody.NewName([]byte("other.img"))
	require.NoError(t, err)
	raw, err := s.Engineer.Sign("another disk", &custody.BeginEvidence{AtMost: 1 << 20, Exhibit: "EX-2", Incident: s.Incident, Name: name, Type: "disk"})
	require.NoError(t, err)
	a, err := s.Admit(ctx, raw, "")
	require.NoError(t, err)
	require.True(t, a.Permit)
	s.Evidence = custody.NewEvidenceID(guardtest.PayloadOf(raw))
	h, err := s.Engineer.Header("taken at the scene")
	require.NoError(t, err)
	elsewhere, err := custody.Sign(s.Engineer.Key, h, s.Seal())
	require.NoError(t, err)
	s.Evidence = first

	v := verify(written(t, forge(t, s, 1, first.Stream(), 3, func(r *custody.Record) { r.Envelope = *elsewhere })), s.Trust)
	require.False(t, v.Verified)
	require.Contains(t, fmt.Sprint(v.Problems), "belongs to another history")
	open := &investigate.Open{Class: investigate.Security, Title: "x", DetectedAt: h.Time}
	h.Nonce[0]++
	stray, err := custody.Sign(s.Engineer.Key, h, open)
	require.NoError(t, err)
	v = verify(written(t, forge(t, s, 1, first.Stream(), 3, func(r *custody.Record) { r.Envelope = *stray })), s.Trust)
	require.Contains(t, fmt.Sprint(v.Problems), "belongs to another history")
}
