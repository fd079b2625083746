package replay_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/custody/replay"
	"github.com/forensic-custody/custody/investigate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a service with a witness, the people of the story, and what they did:
// permitted and refused, a seal refused for its bytes, a record erased.
type world struct {
	*guardtest.Story
	witness *guardtest.Witness
	erased  *custody.EraseRecord
}

var errOtherBytes = custody.Unlawful{Why: "the bytes that arrived are others"}

func newWorld(t testing.TB) *world {
	t.Helper()
	ctx := t.Context()
	witness, err := guardtest.NewWitness(1, "witness.example/w1")
	require.NoError(t, err)
	refused := false
	w, err := guardtest.New(ctx, guardtest.Setup{
		Seed: 1, Witnesses: "witness w1 " + witness.Key + "\nquorum w1\n",
		Before: map[custody.Kind]func(context.Context, *custody.Statement) error{
			custody.KindSealEvidence: func(context.Context, *custody.Statement) error {
				if refused {
					return nil
				}
				refused = true
				return errOtherBytes
			},
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	require.NoError(t, w.Log.Witnessed(custody.TimeOf(w.Now()), witness))
	s, err := w.Team(ctx)
	require.NoError(t, err)
	require.ErrorContains(t, s.TakeIn(ctx), errOtherBytes.Why)
	say(t, s, s.Engineer, s.Seal(), true)
	require.NoError(t, s.Others(ctx))
	require.NoError(t, w.Log.Witnessed(custody.TimeOf(w.Now()), witness))
	require.NoError(t, s.Retrieve(ctx))
	say(t, s, s.Outsider, s.Retrieval(), false)
	say(t, s, s.Lead, &custody.WithdrawEvidence{Evidence: s.Evidence, Incident: s.Incident}, false)
	out := &world{Story: s, witness: witness}
	out.erased = out.erases(t)
	say(t, s, s.Administrator, &custody.RevokeRole{Principal: s.Engineer.ID, Role: custody.RoleForensicEngineer}, true)
	say(t, s, s.Engineer, s.Retrieval(), false)
	return out
}

// say has somebody say something, which is permitted or refused.
func say(t testing.TB, s *guardtest.Story, who *guardtest.Person, act custody.Act, permit bool) custody.Digest {
	t.Helper()
	raw, err := who.Sign("because", act)
	require.NoError(t, err)
	a, err := s.Admit(t.Context(), raw, "")
	require.NoError(t, err)
	require.Equal(t, permit, a.Permit, a.Reason)
	return guardtest.PayloadOf(raw)
}

// erases has the receipt of the story's retrieval erased by two people.
func (w *world) erases(t testing.TB) *custody.EraseRecord {
	t.Helper()
	list, err := w.Store.Records(t.Context(), w.Evidence.Stream(), 0, 1000, true)
	require.NoError(t, err)
	i := slices.IndexFunc(list, func(s guard.Stored) bool { return kindOf(t, s.Record) == custody.KindReceiveEvidence })
	act := &custody.EraseRecord{
		Authority: "request 12/26", Commitment: list[i].Commitment, Grant: w.Grant, Sequence: list[i].Sequence,
		Stream: w.Evidence.Stream(), Was: custody.KindReceiveEvidence,
	}
	second := *act
	second.Seconds = say(t, w.Story, w.Lead, act, true)
	say(t, w.Story, w.Counsel, &second, true)
	require.Eventually(t, func() bool {
		open, err := w.Store.Erasures(t.Context())
		require.NoError(t, err)
		return len(open) == 0
	}, 10*time.Second, time.Millisecond)
	return act
}

func kindOf(t testing.TB, raw []byte) custody.Kind {
	t.Helper()
	r, err := custody.ParseRecord(raw)
	require.NoError(t, err)
	s, err := r.Envelope.Statement(investigate.Words())
	require.NoError(t, err)
	return s.Kind
}

// streams lists all streams of the store, as the records declare them.
func (w *world) streams(t testing.TB) []custody.Stream {
	t.Helper()
	found := []custody.Stream{custody.PolicyStream}
	for i := 0; i < len(found); i++ {
		list, err := w.Store.Records(t.Context(), found[i], 0, 1000, true)
		require.NoError(t, err)
		for _, s := range list {
			for _, o := range s.Opens {
				if o.Stream != custody.PolicyStream {
					found = append(found, o.Stream)
				}
			}
		}
	}
	return found
}

// records returns all records in the order of the log.
func (w *world) records(t testing.TB) []replay.Record {
	t.Helper()
	by := map[custody.Leaf]guard.Stored{}
	for _, name := range w.streams(t) {
		list, err := w.Store.Records(t.Context(), name, 0, 1000, true)
		require.NoError(t, err)
		for _, s := range list {
			by[s.Leaf] = s
		}
	}
	out := []replay.Record{}
	signed, err := custody.CheckpointBody(w.Log.Checkpoint())
	require.NoError(t, err)
	require.NoError(t, w.Log.Leaves(t.Context(), signed.Size, func(l custody.Leaf) error {
		s, ok := by[l]
		require.True(t, ok)
		out = append(out, replay.Record{
			Leaf: l, Stream: s.Stream, Sequence: s.Sequence, Payload: s.Payload, Opening: s.Opening, Bytes: s.Record, Opens: s.Opens,
		})
		return nil
	}))
	return out
}

func all(list []replay.Record) iter.Seq2[replay.Record, error] {
	return func(yield func(replay.Record, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// audit replays records under a checkpoint.
func (w *world) audit(t testing.TB, list []replay.Record, checkpoint []byte) *replay.Report {
	t.Helper()
	r, err := replay.Run(t.Context(), replay.Config{
		Trust: w.Trust, Words: investigate.Words(), States: investigate.States(), Checkpoint: checkpoint,
		At: func(_ context.Context, place uint64) (replay.Record, error) {
			if place >= uint64(len(list)) {
				return replay.Record{}, errors.New("no such record")
			}
			return list[place], nil
		},
	}, all(list))
	require.NoError(t, err)
	return r
}

// signed is a checkpoint over records, by the log and, at a time, the witness.
func (w *world) signed(t testing.TB, list []replay.Record, at custody.Time) []byte {
	t.Helper()
	var tree custody.RootHash
	for _, r := range list {
		tree.Add(custody.LeafHash(r.Leaf))
	}
	_, signer, err := guardtest.LogKey(w.Trust.Origin, 1)
	require.NoError(t, err)
	c := custody.Checkpoint{Origin: w.Trust.Origin, Size: tree.Count(), Root: tree.Root()}
	b, err := note.Sign(&note.Note{Text: c.String()}, signer)
	require.NoError(t, err)
	line, err := w.witness.Cosign(c, at)
	require.NoError(t, err)
	return append(b, line...)
}

// forged is what an operator can make of records who has all of the service's keys:
// he changes some, and computes everything anew that follows from them. Only the
// signatures of others he cannot make.
func (w *world) forged(t testing.TB, list []replay.Record, change func(place int, r *custody.Record)) []replay.Record {
	t.Helper()
	out := slices.Clone(list)
	became := map[custody.Commitment]custody.Commitment{}
	follow := func(c custody.Commitment) custody.Commitment {
		if now, ok := became[c]; ok {
			return now
		}
		return c
	}
	var tree custody.RootHash
	roots := []custody.Digest{tree.Root()}
	for i := range out {
		r := &out[i]
		if r.Bytes != nil {
			rec, err := custody.ParseRecord(r.Bytes)
			require.NoError(t, err)
			rec.Previous = follow(rec.Previous)
			for j := range rec.Basis {
				rec.Basis[j].Commitment = follow(rec.Basis[j].Commitment)
			}
			rec.Checkpoint.Root = roots[rec.Checkpoint.Size]
			if change(i, rec); i > 0 {
				r.Bytes, err = rec.Marshal()
				require.NoError(t, err)
				r.Payload = custody.Hash(rec.Envelope.Payload)
				r.Leaf = custody.NewLeaf(custody.Commit(r.Opening, r.Bytes), r.Leaf.Tag())
				became[list[i].Leaf.Commitment()] = r.Leaf.Commitment()
			}
		}
		tree.Add(custody.LeafHash(r.Leaf))
		roots = append(roots, tree.Root())
	}
	return out
}

// find returns the place of the n-th record of a kind that was permitted or refused.
func find(t testing.TB, list []replay.Record, kind custody.Kind, permit bool) int {
	t.Helper()
	for i, r := range list {
		if r.Bytes == nil || kindOf(t, r.Bytes) != kind {
			continue
		}
		if rec, err := custody.ParseRecord(r.Bytes); err == nil && rec.Decision.Permit == permit {
			return i
		}
	}
	require.Fail(t, "no such record", "%s %t", kind, permit)
	return -1
}

// said lists what is wrong by a report, in words.
func said(r *replay.Report) []string {
	list := []string{}
	for _, d := range r.Disagrees {
		list = append(list, fmt.Sprintf("%d: %s", d.Place, d.What))
	}
	return list
}
