package bundle_test

import (
	"bytes"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
)

// stride thins out the mutations of what all shapes of bundles have in common.
var stride = flag.Int("stride", 61, "mutate every so many bytes of what all shapes of bundles share; 1 takes minutes")

// full is a story with everything in it that may raise a false alarm: an erased
// record, a key that was revoked since and somebody who was suspended since, two
// sealed items and one that was announced.
func full(t testing.TB, seed byte) *guardtest.Story {
	t.Helper()
	s := newStory(t, seed)
	require.NoError(t, s.Others(t.Context()))
	act := erasing(t, s)
	again := *act
	again.Seconds = says(t, s, s.Lead, act)
	says(t, s, s.Counsel, &again)
	require.Eventually(t, func() bool {
		open, err := s.Store.Erasures(t.Context())
		require.NoError(t, err)
		return len(open) == 0
	}, 10*time.Second, time.Millisecond)
	second(t, s, []byte("what was in its memory\n"))
	announced(t, s, "EX-3")
	for _, act := range []custody.Act{
		&custody.RevokeKey{Principal: s.Engineer.ID, Key: s.Engineer.Key.Public().ID()},
		&custody.SuspendPrincipal{Principal: s.Lead.ID},
	} {
		says(t, s, s.Administrator, act)
	}
	return s
}

// shapes are the bundles that can be made of a story.
func shapes(t testing.TB, s *guardtest.Story, leaves bool) map[string][]byte {
	t.Helper()
	exhibit, incident := written(t, contents(t, s, leaves)), written(t, incidentContents(t, s, leaves))
	some := bundle.Stretch{Offset: 5, Length: 3}
	gone := func(c bundle.Choice) bool {
		return bundle.Others(c) || c.Kind == custody.KindRetrieveEvidence || c.Kind == "incident.assign"
	}
	return map[string][]byte{
		"of version 1":                       asV1(t, exhibit),
		"of an exhibit":                      exhibit,
		"of an exhibit, with its artifact":   withArtifact(t, exhibit, s.Artifact),
		"of an exhibit, in part":             redacted(t, exhibit, gone),
		"of an exhibit, with excerpts":       excerpted(t, exhibit, s, some),
		"of an incident":                     incident,
		"of an incident, in part, with some": excerpted(t, redacted(t, incident, gone), s, some),
	}
}

// TestNoFalseAlarm of any shape.
func TestNoFalseAlarm(t *testing.T) {
	s := full(t, 1)
	for _, leaves := range []bool{true, false} {
		for name, b := range shapes(t, s, leaves) {
			v := verify(b, s.Trust)
			require.Empty(t, v.Problems, name)
			require.Equal(t, leaves, v.Complete, name)
			require.Len(t, v.Erased, 1, name)
			require.Equal(t, strings.Contains(name, "in part"), len(v.Withheld) > 0, name)
			require.Equal(t, strings.Contains(name, "in part"), len(v.Warnings) > 0, name)
			signed, all := served(t, s)
			require.Empty(t, verifyWith(b, s.Trust, public(signed, all)).Problems, name)
		}
	}
}

// TestEveryByteOfEachShapeCounts changes bytes of each shape of bundle: all that only
// some have, and every so many of the rest.
func TestEveryByteOfEachShapeCounts(t *testing.T) {
	s := sealed(t, 1)
	require.NoError(t, s.Retrieve(t.Context()))
	second(t, s, []byte("what was in its memory\n"))
	for name, whole := range shapes(t, s, true) {
		t.Run(name, func(t *testing.T) {
			require.True(t, verify(whole, s.Trust).Verified)
			var places []int
			at := 0
			for _, m := range members(t, whole) {
				size := 512 + (len(m.content)+511)/512*512
				own := m.name == "bundle.json" || strings.HasSuffix(m.name, ".leaf") || strings.HasPrefix(m.name, "excerpts/")
				for n := at; n < at+size; n++ {
					if own && n-at-512 >= 0 && n-at-512 < len(m.content) || n%*stride == 0 {
						places = append(places, n)
					}
				}
				at += size
			}
			everyByte(t, len(places), func(n int) error {
				b, at := bytes.Clone(whole), places[n]
				b[at] ^= 1 << (n % 8)
				if v := verify(b, s.Trust); v.Verified || len(v.Problems) == 0 {
					return fmt.Errorf("byte %d of %d changed, and it still verifies", at, len(whole))
				}
				return nil
			})
		})
	}
}

// TestMembersOfEachShape removes, repeats, renames and moves members.
func TestMembersOfEachShape(t *testing.T) {
	s := sealed(t, 1)
	second(t, s, []byte("what was in its memory\n"))
	for name, whole := range shapes(t, s, true) {
		list := members(t, whole)
		require.Equal(t, whole, archive(list))
		refused := func(what string, list []member) {
			require.False(t, verify(archive(list), s.Trust).Verified, "%s: %s", name, what)
		}
		for i, m := range list {
			refused("removed: "+m.name, slices.Delete(slices.Clone(list), i, i+1))
			refused("repeated: "+m.name, slices.Insert(slices.Clone(list), i, m))
			refused("appended: "+m.name, append(slices.Clone(list), m))
			for _, hostile := range []string{m.name + "x", "/" + m.name, "../" + m.name, "./" + m.name, strings.ToUpper(m.name), "C:\\" + m.name} {
				renamed := slices.Clone(list)
				renamed[i].name = hostile[:min(len(hostile), 100)]
				refused("renamed: "+hostile, renamed)
			}
			emptied := slices.Clone(list)
			emptied[i].content = nil
			if len(m.content) > 0 {
				refused("emptied: "+m.name, emptied)
			}
			if i > 0 {
				moved := slices.Clone(list)
				moved[i], moved[i-1] = moved[i-1], moved[i]
				refused("exchanged with the one before: "+m.name, moved)
			}
		}
	}
}

// TestWhatAnotherLogSays: a whole bundle of each shape, consistent in itself, under
// other keys of the same names is nothing to this one's trust file.
func TestWhatAnotherLogSays(t *testing.T) {
	ours, theirs := full(t, 1), full(t, 2)
	stolen := *theirs.Trust // the log's key is theirs, too
	stolen.Genesis = ours.Trust.Genesis
	for name, b := range shapes(t, theirs, true) {
		require.True(t, verify(b, theirs.Trust).Verified, "%s: it is consistent in itself", name)
		requireProblem(t, verify(b, ours.Trust), "is not signed by the log")
		requireProblem(t, verify(b, &stolen), "is not the genesis record that the trust file names")
	}
	// Ours under a checkpoint that another key of the log's name signed, and theirs under
	// ours.
	_, signer, err := guardtest.LogKey("custody.example/test", 2)
	require.NoError(t, err)
	for _, c := range []*bundle.Contents{contents(t, ours, true), incidentContents(t, ours, true)} {
		body, err := custody.CheckpointBody(c.Checkpoint)
		require.NoError(t, err)
		other, err := note.Sign(&note.Note{Text: body.String()}, signer)
		require.NoError(t, err)
		mixed := func(checkpoint []byte) *bundle.Contents {
			d := *c
			d.Checkpoint = checkpoint
			d.Streams = slices.Clone(c.Streams)
			for i := range d.Streams {
				d.Streams[i].Records = slices.Clone(d.Streams[i].Records)
				for n := range d.Streams[i].Records {
					r := *d.Streams[i].Records[n].Receipt
					r.Checkpoint = checkpoint
					d.Streams[i].Records[n].Receipt = &r
				}
			}
			return &d
		}
		require.True(t, verify(written(t, mixed(c.Checkpoint)), ours.Trust).Verified)
		requireProblem(t, verify(written(t, mixed(other)), ours.Trust), "is not signed by the log")
		require.False(t, verify(written(t, mixed(contents(t, theirs, true).Checkpoint)), ours.Trust).Verified)
	}
}

// TestRecordsBetweenExhibits: none of one item's is another's.
func TestRecordsBetweenExhibits(t *testing.T) {
	s := newStory(t, 1)
	id := second(t, s, []byte("what was in its memory\n"))
	for _, leaves := range []bool{true, false} {
		clean := incidentContents(t, s, leaves)
		require.True(t, verify(written(t, clean), s.Trust).Verified) // and the streams stand in order now
		refused := func(c *bundle.Contents, format string, args ...any) {
			require.False(t, verify(written(t, c), s.Trust).Verified, fmt.Sprintf(format, args...))
		}
		at := func(e custody.EvidenceID) int {
			return slices.IndexFunc(clean.Streams, func(st bundle.Stream) bool { return st.Name == e.Stream() })
		}
		one, two := at(s.Evidence), at(id)
		for _, way := range [][2]int{{one, two}, {two, one}} {
			from, to := way[0], way[1]
			for n, r := range clean.Streams[from].Records {
				moved := r
				moved.Sequence = uint64(len(clean.Streams[to].Records))
				copied := edited(clean, to, func(list []bundle.Record) []bundle.Record { return append(list, moved) })
				refused(copied, "record %d copied", n)
				refused(edited(copied, from, func(list []bundle.Record) []bundle.Record {
					list = slices.Delete(list, n, n+1)
					for k := range list {
						list[k].Sequence = uint64(k)
					}
					return list
				}), "record %d moved", n)
				for k := range clean.Streams[to].Records {
					instead := r
					instead.Sequence = uint64(k)
					refused(edited(clean, to, func(list []bundle.Record) []bundle.Record { list[k] = instead; return list }), "record %d instead of %d", n, k)
				}
			}
		}
		swapped := *clean
		swapped.Streams = slices.Clone(clean.Streams)
		swapped.Streams[one].Records, swapped.Streams[two].Records = clean.Streams[two].Records, clean.Streams[one].Records
		refused(&swapped, "histories exchanged")
		swapped.Streams[one].TagKey, swapped.Streams[two].TagKey = clean.Streams[two].TagKey, clean.Streams[one].TagKey
		refused(&swapped, "histories and keys exchanged")
	}
}

// TestProofsOfOtherPlaces: each record with the proof of each other one, and with its
// own of a smaller tree.
func TestProofsOfOtherPlaces(t *testing.T) {
	s := newStory(t, 1)
	before := contents(t, s, false)
	says(t, s, s.Engineer, &custody.ExportEvidence{Evidence: s.Evidence})
	clean := contents(t, s, false)
	whole := written(t, clean)
	leaf := redacted(t, whole, bundle.At(s.Evidence.Stream(), 2))
	require.True(t, verify(leaf, s.Trust).Verified)
	for i, st := range clean.Streams {
		for n, r := range st.Records {
			put := func(index uint64, proof []custody.Digest, checkpoint []byte) *bundle.Contents {
				return edited(clean, i, func(list []bundle.Record) []bundle.Record {
					list[n].Receipt = &custody.Receipt{Extra: r.Receipt.Extra, Index: index, Proof: proof, Checkpoint: checkpoint}
					return list
				})
			}
			require.True(t, verify(written(t, put(r.Receipt.Index, r.Receipt.Proof, clean.Checkpoint)), s.Trust).Verified)
			for j, other := range clean.Streams {
				for k, q := range other.Records {
					if i == j && k == n {
						continue
					}
					require.False(t, verify(written(t, put(q.Receipt.Index, q.Receipt.Proof, clean.Checkpoint)), s.Trust).Verified)
					require.False(t, verify(written(t, put(q.Receipt.Index, r.Receipt.Proof, clean.Checkpoint)), s.Trust).Verified)
					require.False(t, verify(written(t, put(r.Receipt.Index, q.Receipt.Proof, clean.Checkpoint)), s.Trust).Verified)
				}
			}
			old := slices.IndexFunc(before.Streams, func(b bundle.Stream) bool { return b.Name == st.Name })
			if n >= len(before.Streams[old].Records) {
				continue
			}
			q := before.Streams[old].Records[n].Receipt
			require.Equal(t, r.Receipt.Index, q.Index)
			require.False(t, verify(written(t, put(q.Index, q.Proof, clean.Checkpoint)), s.Trust).Verified, "of a smaller tree")
			require.False(t, verify(written(t, put(q.Index, q.Proof, before.Checkpoint)), s.Trust).Verified, "under its checkpoint")
		}
	}
	list := members(t, leaf) // and that of a leaf in place of a record
	at := slices.IndexFunc(list, func(m member) bool { return strings.HasSuffix(m.name, ".leaf") })
	for _, st := range clean.Streams {
		for _, r := range st.Records {
			if st.Name == s.Evidence.Stream() && r.Sequence == 2 {
				continue
			}
			again := slices.Clone(list)
			again[at+1].content = (&custody.Receipt{Index: r.Receipt.Index, Proof: r.Receipt.Proof, Checkpoint: clean.Checkpoint}).Marshal()
			require.False(t, verify(archive(again), s.Trust).Verified)
		}
	}
}

// TestEachRecordOfAnIncident is left out, repeated and exchanged with each other of its
// stream, in bundles whose heads say so consistently.
func TestEachRecordOfAnIncident(t *testing.T) {
	s := newStory(t, 1)
	second(t, s, []byte("what was in its memory\n"))
	for _, leaves := range []bool{true, false} {
		clean := incidentContents(t, s, leaves)
		for i, st := range clean.Streams {
			for n := range st.Records {
				renumbered := func(list []bundle.Record) []bundle.Record {
					for k := range list {
						if st.Whole {
							list[k].Sequence = uint64(k)
						}
					}
					return list
				}
				last := n == len(st.Records)-1
				c := edited(clean, i, func(r []bundle.Record) []bundle.Record { return renumbered(slices.Delete(r, n, n+1)) })
				require.False(t, (!last || leaves) && verify(written(t, c), s.Trust).Verified, "%s: record %d left out", st.Name, n)
				c = edited(clean, i, func(r []bundle.Record) []bundle.Record {
					again := r[n]
					again.Sequence = r[len(r)-1].Sequence + 1
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
		}
	}
}
