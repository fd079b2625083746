package guard_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/storage/sql"
)

// breaking is a store whose erasures fail, before or after they were done.
type breaking struct {
	guard.Store
	mu                   sync.Mutex
	before, after, ended bool
	calls                int // of Erase
	sweeps               int // begun: calls of Erasures
}

var errBroken = errors.New("broken")

func (b *breaking) set(before, after, ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before, b.after, b.ended = before, after, ended
}

func (b *breaking) Erasures(ctx context.Context) ([]guard.Erasing, error) {
	b.mu.Lock()
	b.sweeps++
	b.mu.Unlock()
	return b.Store.Erasures(ctx)
}

func (b *breaking) Erase(ctx context.Context, e guard.Erased) error {
	b.mu.Lock()
	before, after := b.before, b.after
	b.calls++
	b.mu.Unlock()
	if before {
		return errBroken
	}
	if err := b.Store.Erase(ctx, e); err != nil || !after {
		return err
	}
	return errBroken
}

func (b *breaking) EndErasure(ctx context.Context, order custody.Digest) error {
	b.mu.Lock()
	ended := b.ended
	b.mu.Unlock()
	if ended {
		return errBroken
	}
	return b.Store.EndErasure(ctx, order)
}

// archive is a stage with a retrieval behind it, over a file of which the test
// sees the bytes.
type archive struct {
	stage
	path  string
	store *breaking
}

func newArchive(t *testing.T) archive {
	t.Helper()
	path := filepath.Join(t.TempDir(), "records.db")
	store, err := sql.Open(t.Context(), path, sql.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	b := &breaking{Store: store}
	s := newStage(t, func(u *guardtest.Setup) { u.Store = b })
	require.NoError(t, s.Retrieve(t.Context()))
	return archive{s, path, b}
}

// stored returns the record at a place.
func (a archive) stored(s custody.Stream, sequence uint64) guard.Stored {
	a.t.Helper()
	list, err := a.Store.Records(a.ctx, s, sequence, 1, false)
	require.NoError(a.t, err)
	require.Len(a.t, list, 1)
	return list[0]
}

// orderFor is the order to erase a record, as it is on record.
func (a archive) orderFor(s custody.Stream, sequence uint64) *custody.EraseRecord {
	a.t.Helper()
	stored := a.stored(s, sequence)
	r, err := custody.ParseRecord(stored.Record)
	require.NoError(a.t, err)
	said, err := r.Envelope.Statement(investigate.Words())
	require.NoError(a.t, err)
	act := &custody.EraseRecord{
		Authority: "GDPR 17, request 12/26", Commitment: stored.Commitment, Refused: !r.Decision.Permit, Sequence: sequence, Stream: s, Was: said.Kind,
	}
	if r.Decision.Permit {
		switch said := said.Act.(type) {
		case *custody.ReceiveEvidence:
			act.Grant = said.Grant
		case *custody.ReleaseEvidence:
			act.Grant = said.Grant
		}
	}
	return act
}

// place finds the last record of a kind.
func (a archive) place(s custody.Stream, kind custody.Kind, permitted bool) uint64 {
	a.t.Helper()
	list, err := a.Store.Records(a.ctx, s, 0, 1000, false)
	require.NoError(a.t, err)
	for n := len(list) - 1; n >= 0; n-- {
		r, err := custody.ParseRecord(list[n].Record)
		if err != nil {
			continue // erased
		}
		said, err := r.Envelope.Statement(investigate.Words())
		require.NoError(a.t, err)
		if said.Kind == kind && r.Decision.Permit == permitted {
			return r.Sequence
		}
	}
	require.Fail(a.t, "no such record", "%s in %s", kind, s)
	return 0
}

// order has the lead and the counsel order a record erased.
func (a archive) order(act *custody.EraseRecord) {
	a.t.Helper()
	first := a.as(a.Lead).tries("he asked for it", act)
	first.recorded()
	second := *act
	second.Seconds = guardtest.PayloadOf(first.raw)
	a.as(a.Counsel).tries("he may", &second).recorded()
}

func (a archive) isErased(s custody.Stream, sequence uint64) bool {
	return a.stored(s, sequence).Erased()
}

// certified waits for the certificate.
func (a archive) certified(act *custody.EraseRecord) {
	a.t.Helper()
	a.wait("the certificate", func() bool {
		open, err := a.Store.Erasures(a.ctx)
		require.NoError(a.t, err)
		return len(open) == 0 && a.isErased(act.Stream, act.Sequence)
	})
	info, err := a.Store.Stream(a.ctx, act.Stream)
	require.NoError(a.t, err)
	r, err := custody.ParseRecord(a.stored(act.Stream, info.Length-1).Record)
	require.NoError(a.t, err)
	said, err := r.Envelope.Statement(investigate.Words())
	require.NoError(a.t, err)
	require.Equal(a.t, act.Commitment, said.Act.(*custody.ErasedRecord).Commitment)
}

// inFiles says whether bytes are in the database's files.
func (a archive) inFiles(part []byte) (found bool) {
	a.t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		b, err := os.ReadFile(a.path + suffix)
		require.NoError(a.t, err)
		found = found || bytes.Contains(b, part)
	}
	return found
}

func (a archive) verdict() *bundle.Verdict {
	a.t.Helper()
	var b bytes.Buffer
	require.NoError(a.t, a.Bundle(a.ctx, a.Evidence, true, &b))
	v := bundle.Verify(&b, a.Trust, bundle.Options{Words: investigate.Words()})
	require.Empty(a.t, v.Problems)
	return v
}

// TestARecordIsErased: its bytes and its opening are nowhere in the database's
// files any more; its place, its leaf and all proofs stay, and everybody who has
// the stream sees by whose order.
func TestARecordIsErased(t *testing.T) {
	a := newArchive(t)
	item := a.Evidence.Stream()
	receipt := a.as(a.Outsider).tries("curious", &custody.ExportEvidence{Evidence: a.Evidence}) // a refusal, in his own stream
	receipt.refused("")
	for name, c := range map[string]struct {
		stream    custody.Stream
		kind      custody.Kind
		permitted bool
	}{
		"a receipt":           {item, custody.KindReceiveEvidence, true},
		"a release":           {item, custody.KindReleaseEvidence, true},
		"a session":           {a.Engineer.ID.Stream(), custody.KindOpenSession, true},
		"a refusal, his only": {a.Outsider.ID.Stream(), custody.KindExportEvidence, false},
	} {
		t.Run(name, func(t *testing.T) {
			at := a.place(c.stream, c.kind, c.permitted)
			before := a.stored(c.stream, at)
			r, err := custody.ParseRecord(before.Record)
			require.NoError(t, err)
			envelope, err := r.Envelope.Marshal()
			require.NoError(t, err)
			parts := [][]byte{before.Opening[:], envelope, before.Record[len(before.Record)-400:], before.Receipt[:60]}
			for _, p := range parts {
				require.True(t, a.inFiles(p), "they are there before")
			}
			act := a.orderFor(c.stream, at)
			a.order(act)
			a.certified(act)
			for n, p := range parts {
				require.False(t, a.inFiles(p), "part %d", n)
			}
			after := a.stored(c.stream, at)
			require.Equal(t, before.Leaf, after.Leaf)
			require.Equal(t, before.Payload, after.Payload)
			left, err := custody.ParseReceipt(after.Receipt)
			require.NoError(t, err)
			require.Empty(t, left.Extra)
			_, err = left.Verify(a.Trust, after.Leaf)
			require.NoError(t, err, "what is left is proven still")

			n := a.records()
			_, err = a.Admit(a.ctx, envelope, "")
			require.ErrorIs(t, err, guard.ErrErased)
			require.Equal(t, n, a.records(), "nothing is recorded a second time")
		})
	}
	require.NoError(t, a.Reopen(a.ctx), "what is folded anew")
	v := a.verdict()
	require.Len(t, v.Erased, 3, "the outsider's stream is not in the bundle")
	require.Equal(t, []bundle.Orderer{{ID: a.Lead.ID, Name: "Lena Lead"}, {ID: a.Counsel.ID, Name: "Clara Counsel"}}, v.Erased[0].By)
	require.Equal(t, "GDPR 17, request 12/26", v.Erased[0].Authority)
	require.True(t, v.Erased[0].Certified)

	// What was settled is settled: neither is it received nor released again.
	again := &custody.ReceiveEvidence{Evidence: a.Evidence, Grant: a.Grant, SHA256: custody.Hash(a.Artifact), Size: uint64(len(a.Artifact))}
	a.as(a.Engineer).tries("", again).refused("is on record")
	_, err := a.Attest(a.ctx, "", &custody.ReleaseEvidence{Evidence: a.Evidence, Grant: a.Grant, Outcome: custody.ReleaseAborted})
	require.ErrorContains(t, err, "is on record")
	require.NoError(t, a.Read(a.ctx, a.login(a.Counsel), func(r *guard.Reader) error {
		list, err := r.Records(item, 0, 1000)
		require.NoError(t, err)
		erasures, err := r.View().Erasures(item)
		require.NoError(t, err)
		for _, s := range list {
			o, ordered := erasures.Of(s.Sequence)
			require.Equal(t, s.Erased(), ordered)
			require.Equal(t, s.Erased(), o.Done)
		}
		return nil
	}))
}

// TestErasingTakesTwoWithTheRight to it, who said neither of it themselves, and
// who say what it was.
func TestErasingTakesTwoWithTheRight(t *testing.T) {
	a := newArchive(t)
	item := a.Evidence.Stream()
	act := a.orderFor(item, a.place(item, custody.KindReceiveEvidence, true))
	for _, p := range []*guardtest.Person{a.Administrator, a.Engineer, a.Outsider} {
		a.as(p).tries("because", act).refused("")
	}
	own := a.as(a.Counsel).tries("to look", a.Retrieval())
	own.refused("")
	mine := a.orderFor(item, a.place(item, custody.KindRetrieveEvidence, false))
	a.as(a.Counsel).tries("because", mine).refused("what he said himself")
	for name, change := range map[string]func(*custody.EraseRecord){
		"another commitment": func(x *custody.EraseRecord) { x.Commitment = custody.Hash(nil) },
		"another kind":       func(x *custody.EraseRecord) { x.Was = custody.KindReleaseEvidence },
		"another grant":      func(x *custody.EraseRecord) { x.Grant = custody.Hash(nil) },
		"a refusal":          func(x *custody.EraseRecord) { x.Refused, x.Grant = true, custody.Digest{} },
		"another place":      func(x *custody.EraseRecord) { x.Sequence-- },
		"no place":           func(x *custody.EraseRecord) { x.Sequence = 1000 },
	} {
		x := *act
		change(&x)
		require.Contains(t, a.as(a.Lead).tries(name, &x).refused("").Reason, "record", name)
	}
	hold := a.as(a.Counsel).tries("an order", &custody.HoldEvidence{Authority: "a court", Evidence: a.Evidence})
	hold.recorded()
	a.as(a.Lead).tries("because", act).refused("is on legal hold by a court")
	lift := &custody.LiftHold{Authority: "a court", Evidence: a.Evidence, Hold: guardtest.PayloadOf(hold.raw)}
	moved := a.as(a.Lead).tries("over", lift)
	moved.recorded()
	lift.Seconds = guardtest.PayloadOf(moved.raw)
	a.as(a.Counsel).tries("over", lift).recorded()

	first := a.as(a.Lead).tries("because", act)
	first.recorded()
	second := *act
	second.Seconds = guardtest.PayloadOf(first.raw)
	a.as(a.Lead).tries("because", &second).refused("takes two people")
	other := second
	other.Authority = "nobody"
	a.as(a.Counsel).tries("because", &other).refused("no such motion")
	require.False(t, a.isErased(item, act.Sequence))
	a.as(a.Counsel).tries("because", &second).recorded()
	a.certified(act)
	a.as(a.Lead).tries("because", act).refused("was ordered erased before")
	_, err := a.Attest(a.ctx, "", &custody.ErasedRecord{Commitment: act.Commitment, Method: "x", Order: custody.Hash(nil), Sequence: act.Sequence, Stream: item})
	require.ErrorContains(t, err, "no order")
	a.verdict()
}

// tried counts how often the store was asked to erase since the service was last
// started, once it has looked for what is ordered.
func (a archive) tried() int {
	a.t.Helper()
	a.store.set(false, false, false)
	a.store.mu.Lock()
	a.store.calls, a.store.sweeps = 0, 0
	a.store.mu.Unlock()
	require.NoError(a.t, a.Reopen(a.ctx))
	a.wait("a sweep is over", func() bool { // when another one begins, or it erased
		a.store.mu.Lock()
		defer a.store.mu.Unlock()
		return a.store.sweeps > 1 || a.store.calls > 0
	})
	a.store.mu.Lock()
	defer a.store.mu.Unlock()
	return a.store.calls
}

// TestAHoldStopsAnErasure that is ordered and not done, until it is lifted; and
// what was refused of an item, wherever it stands, stays during a hold.
func TestAHoldStopsAnErasure(t *testing.T) {
	a := newArchive(t)
	item := a.Evidence.Stream()
	a.as(a.Outsider).tries("curious", &custody.ExportEvidence{Evidence: a.Evidence}).refused("")
	act := a.orderFor(item, a.place(item, custody.KindReceiveEvidence, true))
	a.store.set(true, false, false)
	a.order(act)
	hold := a.as(a.Counsel).tries("an order", &custody.HoldEvidence{Authority: "a court", Evidence: a.Evidence})
	hold.recorded()
	require.Zero(t, a.tried())
	require.False(t, a.isErased(item, act.Sequence))
	elsewhere := a.orderFor(a.Outsider.ID.Stream(), a.place(a.Outsider.ID.Stream(), custody.KindExportEvidence, false))
	a.as(a.Lead).tries("because", elsewhere).refused("is on legal hold by a court")
	lift := &custody.LiftHold{Authority: "a court", Evidence: a.Evidence, Hold: guardtest.PayloadOf(hold.raw)}
	moved := a.as(a.Lead).tries("over", lift)
	moved.recorded()
	lift.Seconds = guardtest.PayloadOf(moved.raw)
	a.as(a.Counsel).tries("over", lift).recorded()
	a.tried()
	a.certified(act)
	a.verdict()
}

// TestNothingIsErasedThatCannotBeCertified: with the log down it waits.
func TestNothingIsErasedThatCannotBeCertified(t *testing.T) {
	a := newArchive(t)
	item := a.Evidence.Stream()
	act := a.orderFor(item, a.place(item, custody.KindReceiveEvidence, true))
	a.store.set(true, false, false)
	a.order(act)
	a.Log.Break(true)
	require.Zero(t, a.tried())
	require.False(t, a.isErased(item, act.Sequence))
	a.Log.Mend()
	a.certified(act)
}

// TestTheFirstMustStandByIt: who lost his place since cannot be seconded.
func TestTheFirstMustStandByIt(t *testing.T) {
	a := newArchive(t)
	item := a.Evidence.Stream()
	act := a.orderFor(item, a.place(item, custody.KindReceiveEvidence, true))
	first := a.as(a.Lead).tries("because", act)
	first.recorded()
	a.as(a.Administrator).tries("left", &custody.SuspendPrincipal{Principal: a.Lead.ID}).recorded()
	second := *act
	second.Seconds = guardtest.PayloadOf(first.raw)
	a.as(a.Counsel).tries("he may", &second).refused("is suspended or has no live key any more")
	a.as(a.Administrator).tries("back", &custody.ReinstatePrincipal{Principal: a.Lead.ID}).recorded()
	a.as(a.Counsel).tries("he may", &second).recorded()
	a.certified(act)
}

// TestWhatIsNeverErased tries every record of the story, and every kind.
func TestWhatIsNeverErased(t *testing.T) {
	may := map[custody.Kind]bool{
		custody.KindOpenSession: true, custody.KindExportEvidence: true, custody.KindExportIncident: true, custody.KindVerifyEvidence: true,
		custody.KindReceiveEvidence: true, custody.KindReleaseEvidence: true,
	}
	for kind := range investigate.Words() {
		x := &custody.EraseRecord{Was: kind}
		if kind == custody.KindReceiveEvidence || kind == custody.KindReleaseEvidence {
			x.Grant = custody.Hash(nil)
		}
		require.Equal(t, may[kind], x.Erasable() == nil, "%s, permitted", kind)
		x.Refused, x.Grant = true, custody.Digest{}
		require.Equal(t, kind != custody.KindEraseRecord && kind != custody.KindErasedRecord, x.Erasable() == nil, "%s, refused", kind)
	}

	a := newArchive(t)
	item := a.Evidence.Stream()
	a.as(a.Counsel).tries("before the hearing", &custody.VerifyEvidence{Evidence: a.Evidence}).recorded()
	verify := a.orderFor(item, a.place(item, custody.KindVerifyEvidence, true))
	a.as(a.Lead).tries("because", verify).refused("is not on record yet")
	_, err := a.Attest(a.ctx, "because", &custody.CheckEvidence{Evidence: a.Evidence, Intact: true, SHA256: custody.Hash(a.Artifact)})
	require.NoError(t, err)
	a.as(a.Lead).tries("because", verify).recorded()
	tried := map[custody.Kind]bool{}
	for _, s := range []custody.Stream{
		custody.PolicyStream, custody.IncidentsStream, a.Incident.Stream(), item,
		a.Engineer.ID.Stream(), a.Lead.ID.Stream(), a.Administrator.ID.Stream(), a.Outsider.ID.Stream(),
	} {
		info, err := a.Store.Stream(a.ctx, s)
		require.NoError(t, err)
		for n := range info.Length {
			act := a.orderFor(s, n)
			if may[act.Was] || act.Refused {
				continue
			}
			said := a.as(a.Counsel).tries("because", act)
			require.NoError(t, said.err)
			require.False(t, said.answer.Permit, act.Was)
			require.Regexp(t, "never erased|what he said himself", said.answer.Reason, act.Was)
			tried[act.Was] = true
		}
	}
	require.GreaterOrEqual(t, len(tried), 10, "%v", tried)
}

// TestErasingIsInterrupted anywhere, and goes on at the next start.
func TestErasingIsInterrupted(t *testing.T) {
	for name, c := range map[string]struct{ before, after, ended, certificate bool }{
		"between order and erasure":           {before: true},
		"between erasure and its answer":      {after: true},
		"between erasure and certificate":     {certificate: true},
		"between certificate and the list":    {ended: true},
		"before the erasure, and after it":    {before: true, ended: true},
		"where nothing breaks but the answer": {after: true, certificate: true},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t)
			item := a.Evidence.Stream()
			act := a.orderFor(item, a.place(item, custody.KindReceiveEvidence, true))
			before := a.stored(item, act.Sequence)
			a.store.set(c.before, c.after, c.ended)
			first := a.as(a.Lead).tries("because", act)
			first.recorded()
			act.Seconds = guardtest.PayloadOf(first.raw)
			release := func() {}
			if c.certificate {
				a.store.set(true, false, false) // until the log takes nothing any more
			}
			a.as(a.Counsel).tries("because", act).recorded()
			if c.certificate {
				release = a.Log.Hold()
				a.store.set(c.before, c.after, c.ended)
				a.wait("the erasure", func() bool { return a.isErased(item, act.Sequence) })
			}
			if c.after {
				a.wait("the erasure", func() bool { return a.isErased(item, act.Sequence) })
			}
			if c.before {
				require.False(t, a.isErased(item, act.Sequence))
			}
			open, err := a.Store.Erasures(a.ctx)
			require.NoError(t, err)
			require.Len(t, open, 1)
			stopped := make(chan error, 1)
			go func() { stopped <- a.Close() }()
			release()
			require.NoError(t, <-stopped)
			a.store.set(false, false, false)
			require.NoError(t, a.Reopen(a.ctx))
			act.Seconds = custody.Digest{}
			a.certified(act)
			require.False(t, a.inFiles(before.Opening[:]))
			kinds := 0
			for _, e := range a.verdict().Timeline {
				if e.Kind == custody.KindErasedRecord {
					kinds++
				}
			}
			require.Equal(t, 1, kinds, "it is certified once")
		})
	}
}

// TestARowThatLostItsBytes is an error, and no erasure: without the service's mark,
// and with it too, where nobody ordered it.
func TestARowThatLostItsBytes(t *testing.T) {
	for name, marked := range map[string]bool{"without the mark": false, "with it": true} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t)
			item := a.Evidence.Stream()
			row := a.stored(item, a.place(item, custody.KindReceiveEvidence, true))
			receipt, err := custody.ParseReceipt(row.Receipt)
			require.NoError(t, err)
			receipt.Extra = nil
			e := guard.Erased{Stream: item, Sequence: row.Sequence, Receipt: receipt.Marshal()}
			if marked { // as the service itself would, whose key of rows is zero here
				m := hmac.New(sha256.New, make([]byte, 32))
				m.Write([]byte("custody/v1/erased-row"))
				m.Write(row.Payload[:])
				m.Write(row.Leaf[:])
				e.Mark = [32]byte(m.Sum(nil))
			}
			require.NoError(t, a.Store.Erase(a.ctx, e))
			require.NoError(t, a.Reopen(a.ctx))
			_, err = a.Item(a.ctx, a.Evidence)
			want := "was not written by this service"
			if marked {
				want = "no two people have ordered it"
			}
			require.ErrorContains(t, err, want)
			_, err = a.as(a.Engineer).person.Does(a.ctx, "to look", a.Retrieval())
			require.ErrorIs(t, err, guard.ErrUnavailable, "nothing is decided on such a history")
			var b bytes.Buffer
			require.NoError(t, a.Bundle(a.ctx, a.Evidence, true, &b))
			v := bundle.Verify(&b, a.Trust, bundle.Options{Words: investigate.Words()})
			require.False(t, v.Verified)
			require.Contains(t, v.Problems[0].What, "no two people have ordered it erased")
		})
	}
}
