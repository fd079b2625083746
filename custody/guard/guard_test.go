package guard_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/decision"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/custody/policy"
	"github.com/forensic-custody/custody/investigate"
)

// enrolment returns the envelope by which somebody enrols himself.
func (w world) enrolment(p *guardtest.Person) []byte {
	w.t.Helper()
	proof, err := custody.ProvePossession(p.Key, "custody.example/test", p.Name)
	require.NoError(w.t, err)
	raw, err := p.Sign("", &custody.EnrolPrincipal{
		Contact: "+49", Key: p.Key.Public().Bytes(), Name: p.Name, Possession: proof, Title: "administrator",
	})
	require.NoError(w.t, err)
	return raw
}

func (w world) newcomer(name string) *guardtest.Person {
	w.t.Helper()
	p, err := w.Person(name)
	require.NoError(w.t, err)
	return p
}

func TestTheEnrolmentCodeAdmitsOne(t *testing.T) {
	w := newWorld(t)
	ada, eve := w.newcomer("Ada"), w.newcomer("Eve")
	w.sendWith(w.enrolment(ada), "").failed(guard.ErrUnauthenticated)
	w.sendWith(w.enrolment(ada), "let-me-out").failed(guard.ErrUnauthenticated)
	a := w.sendWith(w.enrolment(ada), guardtest.Code)
	a.recorded()
	w.sendWith(w.enrolment(eve), guardtest.Code).failed(guard.ErrUnauthenticated)
	again := w.sendWith(a.raw, "")
	require.True(t, again.recorded().Repeat, "the same enrolment is answered again")
	w.send(w.enrolment(eve)).failed(guard.ErrUnauthenticated)
}

func TestTheEnrolmentCodeExpires(t *testing.T) {
	w := newWorld(t)
	ada := w.newcomer("Ada")
	w.Pass(15*time.Minute - 2*time.Second)
	late := w.enrolment(ada)
	w.Pass(time.Second)
	w.sendWith(late, guardtest.Code).failed(guard.ErrUnauthenticated)
}

func TestTheEnrolmentCodeAdmitsNothingElse(t *testing.T) {
	w := newWorld(t)
	eve := w.newcomer("Eve")
	raw, err := eve.Sign("", &investigate.Open{Class: investigate.Security, Title: "x"})
	require.NoError(t, err)
	w.sendWith(raw, guardtest.Code).failed(guard.ErrMalformed)
	eve.ID = custody.NewPrincipalID(custody.Hash([]byte("Eve")))
	raw, err = eve.Sign("", &custody.OpenSession{Client: "x"})
	require.NoError(t, err)
	w.sendWith(raw, guardtest.Code).failed(guard.ErrUnauthenticated)
}

// TestWhatIsNotThereAndWhatIsNotYours look alike from outside.
func TestWhatIsNotThereAndWhatIsNotYours(t *testing.T) {
	s := newStage(t)
	nowhere := custody.NewEvidenceID(custody.Hash([]byte("nowhere")))
	noIncident := custody.NewIncidentID(custody.Hash([]byte("nowhere")))
	name, err := custody.NewName([]byte("x"))
	require.NoError(t, err)
	for _, c := range []struct {
		name            string
		forbids, absent custody.Act
	}{
		{"retrieve", &custody.RetrieveEvidence{Evidence: s.Evidence}, &custody.RetrieveEvidence{Evidence: nowhere}},
		{"retrieve too much", &custody.RetrieveEvidence{Evidence: s.Evidence, Length: 1 << 40}, &custody.RetrieveEvidence{Evidence: nowhere, Length: 1 << 40}},
		{"export", &custody.ExportEvidence{Evidence: s.Evidence}, &custody.ExportEvidence{Evidence: nowhere}},
		{"export all", &custody.ExportIncident{Incident: s.Incident}, &custody.ExportIncident{Incident: noIncident}},
		{
			"report",
			&custody.ReportEvidence{Evidence: s.Evidence, Paper: custody.PaperReport, SHA256: custody.Hash(nil), Size: 1},
			&custody.ReportEvidence{Evidence: nowhere, Paper: custody.PaperReport, SHA256: custody.Hash(nil), Size: 1},
		},
		{
			"begin",
			&custody.BeginEvidence{Exhibit: "EX-1", Incident: s.Incident, Name: name, Type: "disk"},
			&custody.BeginEvidence{Exhibit: "EX-1", Incident: noIncident, Name: name, Type: "disk"},
		},
		{"assign", &investigate.Assign{Incident: s.Incident, Principal: s.Outsider.ID}, &investigate.Assign{Incident: noIncident, Principal: s.Outsider.ID}},
		{"suspend", &custody.SuspendPrincipal{Principal: s.Lead.ID}, &custody.SuspendPrincipal{Principal: custody.NewPrincipalID(custody.Hash(nil))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			forbidden := s.as(s.Outsider).tries("curious", c.forbids)
			unknown := s.as(s.Outsider).tries("curious", c.absent)
			require.Equal(t, guard.RefusedText, forbidden.refused("").Reason)
			require.Equal(t, guard.RefusedText, unknown.refused("").Reason)
			for _, a := range []attempt{forbidden, unknown} {
				require.Equal(t, s.Outsider.ID.Stream(), a.record().Stream, "in the actor's stream: the thing's he must not know")
				require.Equal(t, unknown.record().Decision, a.record().Decision)
			}
		})
	}
}

// TestARefusalIsARecord with the fields of a grant; where the actor may know of
// the thing, in the thing's stream.
func TestARefusalIsARecord(t *testing.T) {
	s := newStage(t)
	granted := s.as(s.Engineer).tries("to look at it", s.Retrieval())
	granted.recorded()
	refused := s.as(s.Counsel).tries("to look at it", s.Retrieval())
	refused.refused(guard.RefusedText)
	require.Equal(t, fields(t, granted.answer.Record), fields(t, refused.answer.Record))
	require.Equal(t, s.Evidence.Stream(), refused.record().Stream, "counsel reads records, so the refusal stands with the item")
	require.NotEmpty(t, refused.record().Decision.Reason)

	told := s.as(s.Engineer).tries("to look at it", &custody.RetrieveEvidence{Evidence: s.Evidence, Length: 1 << 40})
	told.refused("not within the 21 bytes")
	again := s.send(told.raw)
	require.Equal(t, told.answer.Reason, again.refused("").Reason, "a repeat is answered alike")
}

func TestTheSameStatementTwiceIsOneRecord(t *testing.T) {
	s := newStage(t)
	for name, first := range map[string]attempt{
		"granted": s.as(s.Engineer).tries("to look at it", s.Retrieval()),
		"refused": s.as(s.Outsider).tries("to look at it", s.Retrieval()),
	} {
		n := s.records()
		again := s.send(first.raw)
		require.NoError(t, again.err, name)
		require.True(t, again.answer.Repeat)
		require.Equal(t, first.answer.Permit, again.answer.Permit)
		require.Equal(t, first.answer.Reason, again.answer.Reason)
		require.Equal(t, first.answer.Record, again.answer.Record)
		require.Equal(t, first.answer.Receipt.Marshal(), again.answer.Receipt.Marshal(), "byte for byte")
		require.Empty(t, again.answer.Token, "a token is handed out once")
		require.Equal(t, n, s.records())
	}
	require.NoError(t, s.Reopen(t.Context()))
	first := s.as(s.Engineer).tries("to look at it", s.Retrieval())
	s.Pass(time.Hour)
	require.NoError(t, s.Reopen(t.Context()))
	later := s.send(first.raw)
	require.Equal(t, first.answer.Receipt.Marshal(), later.recorded().Receipt.Marshal(), "after a restart, and long expired")
}

// TestAnotherSignatureIsNoRepeat: an ECDSA signature has a twin, and any other
// bytes may come instead; what is on record is answered to what was sent only.
func TestAnotherSignatureIsNoRepeat(t *testing.T) {
	s := newStage(t)
	first := s.as(s.Engineer).tries("to look at it", s.Retrieval())
	first.recorded()
	e, err := custody.ParseEnvelope(first.raw)
	require.NoError(t, err)
	e.Signatures[0].Sig[5] ^= 1
	raw, err := e.Marshal()
	require.NoError(t, err)
	s.send(raw).failed(guard.ErrMalformed)
}

// TestAHundredAtOnceAreOneRecord: and are decided once, so that nobody else's
// statement has to be decided again for them.
func TestAHundredAtOnceAreOneRecord(t *testing.T) {
	var prepared atomic.Int64
	s := newStage(t, func(c *guardtest.Setup) {
		c.Before = map[custody.Kind]func(context.Context, *custody.Statement) error{
			custody.KindRetrieveEvidence: func(context.Context, *custody.Statement) error {
				prepared.Add(1)
				time.Sleep(10 * time.Millisecond)
				return nil
			},
		}
	})
	for round := range 5 {
		raw, err := s.Engineer.Sign("to look at it", s.Retrieval())
		require.NoError(t, err)
		n := s.records()
		var wg sync.WaitGroup
		answers := make([]*guard.Admission, 100)
		failures := make([]error, len(answers))
		for i := range answers {
			wg.Go(func() { answers[i], failures[i] = s.Admit(t.Context(), raw, "") })
		}
		wg.Wait()
		tokens := 0
		for i, a := range answers {
			require.NoError(t, failures[i])
			require.Equal(t, answers[0].Receipt.Marshal(), a.Receipt.Marshal())
			if a.Token != "" {
				tokens++
			}
		}
		require.Equal(t, 1, tokens)
		require.Equal(t, n+1, s.records())
		require.Equal(t, int64(round+1), prepared.Load())
	}
}

// TestManyAtOnce: all get what a stranger can verify, and the streams stay
// whole.
func TestManyAtOnce(t *testing.T) {
	s := newStage(t)
	people := []*guardtest.Person{s.Engineer, s.Lead, s.Outsider, s.Counsel}
	var wg sync.WaitGroup
	for i, p := range people {
		for k := range 4 {
			wg.Go(func() {
				for n := range 10 {
					raw, err := p.Sign("", &custody.OpenSession{Client: fmt.Sprintf("%d %d %d", i, k, n)})
					if err != nil {
						t.Error(err)
						return
					}
					a, err := s.Admit(t.Context(), raw, "")
					if err != nil || !a.Permit {
						t.Errorf("%v %v", a, err)
						return
					}
					leaf, err := a.Receipt.Leaf(a.Record)
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := a.Receipt.Verify(s.Trust, leaf); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	for _, p := range people {
		_, records, _ := s.history(p.ID.Stream())
		for n, r := range records {
			require.Equal(t, uint64(n), r.Sequence)
		}
	}
	s.verifies()
}

// TestAClaimEndsWithItsClaimant: whoever gives up, fails or falls over while he has a
// statement to decide leaves it to the next; and nobody waits longer than he wants to.
func TestAClaimEndsWithItsClaimant(t *testing.T) {
	next := make(chan func(context.Context) error, 1)
	store := new(fallingStore)
	s := newStage(t, func(c *guardtest.Setup) {
		store.Store, c.Store = c.Store, store
		c.Before = map[custody.Kind]func(context.Context, *custody.Statement) error{
			custody.KindRetrieveEvidence: func(ctx context.Context, _ *custody.Statement) error { return (<-next)(ctx) },
		}
	})
	raw, err := s.Engineer.Sign("to look at it", s.Retrieval())
	require.NoError(t, err)
	admit := func(patience time.Duration) (*guard.Admission, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return s.Admit(ctx, raw, "")
	}
	store.falls.Store(true)
	require.Panics(t, func() { _, _ = admit(time.Minute) })
	next <- func(context.Context) error { panic("it fell over") }
	require.Panics(t, func() { _, _ = admit(time.Minute) })
	next <- func(context.Context) error { return errors.New("no store") }
	_, err = admit(10 * time.Second)
	require.ErrorContains(t, err, "no store")

	began := make(chan struct{})
	next <- func(ctx context.Context) error { close(began); <-ctx.Done(); return ctx.Err() }
	first, givesUp := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := s.Admit(first, raw, "")
		assert.ErrorIs(t, err, context.Canceled)
	})
	<-began
	_, err = admit(time.Millisecond)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	for range 20 {
		wg.Go(func() {
			a, err := admit(10 * time.Second)
			assert.NoError(t, err)
			assert.True(t, a != nil && a.Permit)
		})
	}
	next <- func(context.Context) error { return nil } // for one of them; the others get his answer
	givesUp()
	wg.Wait()
}

// fallingStore falls over once where it is asked for a statement.
type fallingStore struct {
	guard.Store
	falls atomic.Bool
}

func (s *fallingStore) ByPayload(ctx context.Context, payload custody.Digest) (guard.Stored, error) {
	if s.falls.CompareAndSwap(true, false) {
		panic("the store fell over")
	}
	return s.Store.ByPayload(ctx, payload)
}

// verifies checks the bundle of the exhibit.
func (s stage) verifies() *bundle.Verdict {
	s.t.Helper()
	var b bytes.Buffer
	require.NoError(s.t, s.Bundle(s.ctx, s.Evidence, true, &b))
	v := bundle.Verify(&b, s.Trust, bundle.Options{Words: investigate.Words()})
	require.Empty(s.t, v.Problems)
	require.True(s.t, v.Complete)
	return v
}

// TestEachHeaderFieldIsSigned changes one field at a time and keeps the
// signature.
func TestEachHeaderFieldIsSigned(t *testing.T) {
	s := newStage(t)
	h, err := s.Engineer.Header("to look at it")
	require.NoError(t, err)
	good, err := custody.Sign(s.Engineer.Key, h, s.Retrieval())
	require.NoError(t, err)
	for name, change := range map[string]func(*custody.Header, *custody.RetrieveEvidence){
		"actor":    func(h *custody.Header, _ *custody.RetrieveEvidence) { h.Actor = s.Lead.ID },
		"audience": func(h *custody.Header, _ *custody.RetrieveEvidence) { h.Audience = "custody.example/other" },
		"expires":  func(h *custody.Header, _ *custody.RetrieveEvidence) { h.Expires++ },
		"nonce":    func(h *custody.Header, _ *custody.RetrieveEvidence) { h.Nonce[0]++ },
		"purpose":  func(h *custody.Header, _ *custody.RetrieveEvidence) { h.Purpose = "to sell it" },
		"time":     func(h *custody.Header, _ *custody.RetrieveEvidence) { h.Time-- },
		"offset":   func(_ *custody.Header, a *custody.RetrieveEvidence) { a.Offset = 1; a.Length = 1 },
		"length":   func(_ *custody.Header, a *custody.RetrieveEvidence) { a.Length = 1 },
		"evidence": func(_ *custody.Header, a *custody.RetrieveEvidence) {
			a.Evidence = custody.NewEvidenceID(custody.Hash(nil))
		},
	} {
		h, act := h, s.Retrieval()
		change(&h, act)
		other, err := custody.Sign(s.Engineer.Key, h, act)
		require.NoError(t, err)
		require.NotEqual(t, good.Payload, other.Payload, name)
		other.Signatures = good.Signatures
		raw, err := other.Marshal()
		require.NoError(t, err)
		s.send(raw).failed(guard.ErrUnauthenticated)
	}
	raw, err := good.Marshal()
	require.NoError(t, err)
	s.send(raw).recorded()
}

func TestWhoSpeaksForWhom(t *testing.T) {
	s := newStage(t)
	mallory := s.newcomer("Mallory")
	mallory.ID = s.Engineer.ID
	s.as(mallory).tries("to look at it", s.Retrieval()).failed(guard.ErrUnauthenticated)

	h, err := s.Engineer.Header("to look at it")
	require.NoError(t, err)
	h.Actor = s.Lead.ID
	raw, err := guardtest.Seal(s.Engineer.Key, h, s.Retrieval())
	require.NoError(t, err)
	s.send(raw).failed(guard.ErrUnauthenticated)

	e, err := custody.Sign(mallory.Key, h, s.Retrieval())
	require.NoError(t, err)
	e.Signatures[0].KeyID = s.Lead.Key.Public().ID()
	raw, err = e.Marshal()
	require.NoError(t, err)
	s.send(raw).failed(guard.ErrUnauthenticated)
	s.send([]byte("{}")).failed(guard.ErrMalformed)
	s.send(nil).failed(guard.ErrMalformed)
}

func TestStatementsAreForThisLogAndThisHour(t *testing.T) {
	s := newStage(t)
	for _, c := range []struct {
		name   string
		change func(*custody.Header)
		good   bool
	}{
		{"now", func(*custody.Header) {}, true},
		{"for another log", func(h *custody.Header) { h.Audience = "custody.example/other" }, false},
		{"a clock a little ahead", func(h *custody.Header) { h.Time = h.Time.Add(30 * time.Second); h.Expires = h.Time.Add(time.Minute) }, true},
		{"a clock far ahead", func(h *custody.Header) { h.Time = h.Time.Add(31 * time.Second); h.Expires = h.Time.Add(time.Minute) }, false},
		{"just not expired", func(h *custody.Header) { h.Time = h.Time.Add(-time.Minute); h.Expires = h.Time.Add(time.Minute) }, true},
		{"expired", func(h *custody.Header) {
			h.Time = h.Time.Add(-time.Minute - time.Second)
			h.Expires = h.Time.Add(time.Minute)
		}, false},
	} {
		h, err := s.Engineer.Header("")
		require.NoError(t, err)
		c.change(&h)
		raw, err := guardtest.Seal(s.Engineer.Key, h, &custody.OpenSession{Client: c.name})
		require.NoError(t, err)
		if a := s.send(raw); c.good {
			a.recorded()
		} else {
			a.failed(guard.ErrUnauthenticated)
		}
	}
}

func TestARevokedKeyIsRefusedAtOnce(t *testing.T) {
	s := newStage(t)
	login := s.as(s.Engineer).tries("", &custody.OpenSession{Client: "a test"}).recorded()
	s.as(s.Engineer).tries("to look at it", s.Retrieval()).recorded()
	s.as(s.Administrator).tries("the laptop was stolen", &custody.RevokeKey{Principal: s.Engineer.ID, Key: s.Engineer.Key.Public().ID()}).recorded()
	s.as(s.Engineer).tries("to look at it", s.Retrieval()).failed(guard.ErrUnauthenticated)
	require.ErrorIs(t, s.Read(t.Context(), login.Token, func(*guard.Reader) error { return nil }), guard.ErrUnauthenticated, "its session is over")
	s.as(s.Administrator).tries("again", &custody.RevokeKey{Principal: s.Engineer.ID, Key: s.Engineer.Key.Public().ID()}).refused("revoked already")
	require.NoError(t, s.Reopen(t.Context()))
	s.wait("what became of the grant is on record", s.isReleased)
	s.as(s.Engineer).tries("to look at it", s.Retrieval()).failed(guard.ErrUnauthenticated)
	s.verifies()
}

func TestASuspendedPrincipalIsRefusedAtOnce(t *testing.T) {
	s := newStage(t)
	s.as(s.Administrator).tries("under investigation", &custody.SuspendPrincipal{Principal: s.Engineer.ID}).recorded()
	s.as(s.Engineer).tries("to look at it", s.Retrieval()).failed(guard.ErrUnauthenticated)
	s.verifies()
	s.as(s.Administrator).tries("cleared", &custody.ReinstatePrincipal{Principal: s.Engineer.ID}).recorded()
	s.as(s.Engineer).tries("to look at it", s.Retrieval()).recorded()
	s.verifies()
}

// further is the act by which somebody enrols a key of that name as his.
func (w world) further(p *guardtest.Person, name string) (custody.Signer, *custody.EnrolKey) {
	w.t.Helper()
	key, err := guardtest.Key(1, name)
	require.NoError(w.t, err)
	proof, err := custody.ProvePossession(key, "custody.example/test", string(p.ID))
	require.NoError(w.t, err)
	return key, &custody.EnrolKey{Key: key.Public().Bytes(), Possession: proof}
}

// TestAKeyIsOnePersonsForEver: also when it was revoked, and its holder
// suspended; as a further key and as a first one; and after a restart.
func TestAKeyIsOnePersonsForEver(t *testing.T) {
	s := newStage(t)
	key, act := s.further(s.Engineer, "Emil's token")
	s.as(s.Engineer).tries("", act).recorded()
	_, shared := s.further(s.Outsider, "Emil's token")
	_, service := s.further(s.Outsider, "the service")
	_, first := s.further(s.Outsider, "Emil Engineer")
	nobodyElse := func() {
		s.t.Helper()
		for _, act := range []custody.Act{shared, service, first} {
			s.as(s.Outsider).tries("", act).refused("enrolled before")
		}
		proof, err := custody.ProvePossession(key, "custody.example/test", "Eve")
		require.NoError(t, err)
		s.as(s.Administrator).tries("", &custody.EnrolPrincipal{
			Contact: "+49", Key: key.Public().Bytes(), Name: "Eve", Possession: proof, Title: "x",
		}).refused("already enrolled, for " + string(s.Engineer.ID))
	}
	nobodyElse()
	s.as(s.Administrator).tries("lost", &custody.RevokeKey{Principal: s.Engineer.ID, Key: key.Public().ID()}).recorded()
	nobodyElse()
	s.as(s.Administrator).tries("gone", &custody.SuspendPrincipal{Principal: s.Engineer.ID}).recorded()
	nobodyElse()
	require.NoError(t, s.Reopen(t.Context()))
	nobodyElse()
	s.verifies()
}

// TestAKeyOfTwoAtOnce: of two people who enrol it at the same time, at two
// replicas, one has it.
func TestAKeyOfTwoAtOnce(t *testing.T) {
	s := newStage(t)
	second, err := s.Replica(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, second.Close()) })
	for n := range 10 {
		answers := make(chan *guard.Admission, 4)
		for i, p := range []*guardtest.Person{s.Engineer, s.Outsider, s.Lead, s.Counsel} {
			_, act := s.further(p, fmt.Sprint("token ", n))
			raw, err := p.Sign("", act)
			require.NoError(t, err)
			go func() {
				a, err := []*guard.Guard{s.Guard, second}[i%2].Admit(s.ctx, raw, "")
				if err != nil {
					t.Error(err)
				}
				answers <- a
			}()
		}
		permitted := 0
		for range cap(answers) {
			if a := <-answers; a != nil && a.Permit {
				permitted++
			}
		}
		require.Equal(t, 1, permitted)
	}
	s.verifies()
}

func TestAFurtherKey(t *testing.T) {
	s := newStage(t)
	key, act := s.further(s.Engineer, "Emil's token")
	s.as(s.Engineer).tries("", act).recorded()
	s.as(s.Engineer).tries("", act).refused("enrolled before")
	old := s.Engineer.Key.Public().ID()
	s.Engineer.Key = key
	s.as(s.Engineer).tries("to look at it", s.Retrieval()).recorded()
	s.as(s.Engineer).tries("the first one is lost", &custody.RevokeKey{Principal: s.Engineer.ID, Key: old}).recorded()
	s.as(s.Engineer).tries("to look at it", s.Retrieval()).recorded()
	s.verifies()
}

func TestARevokedRoleAndAnEndedAssignment(t *testing.T) {
	s := newStage(t)
	s.as(s.Administrator).tries("", &custody.RevokeRole{Principal: s.Engineer.ID, Role: custody.RoleForensicEngineer}).recorded()
	s.as(s.Engineer).tries("to look at it", s.Retrieval()).refused(guard.RefusedText)
	s.as(s.Administrator).tries("", &custody.GrantRole{Principal: s.Engineer.ID, Role: custody.RoleForensicEngineer}).recorded()
	s.as(s.Lead).tries("she leaves", &investigate.Unassign{Incident: s.Incident, Principal: s.Engineer.ID}).recorded()
	s.as(s.Engineer).tries("to look at it", s.Retrieval()).refused(guard.RefusedText)
}

func TestAnAdministratorHasNoEvidence(t *testing.T) {
	s := newStage(t)
	s.as(s.Administrator).tries("I run this place", s.Retrieval()).refused(guard.RefusedText)
	s.as(s.Administrator).tries("I run this place", &custody.ExportEvidence{Evidence: s.Evidence}).refused(guard.RefusedText)
	s.as(s.Administrator).tries("I run this place", &investigate.Assign{Incident: s.Incident, Principal: s.Administrator.ID}).refused(guard.RefusedText)
	s.as(s.Administrator).tries("", &custody.GrantRole{Principal: s.Administrator.ID, Role: custody.RoleForensicEngineer}).refused("nobody grants a role to himself")
	s.as(s.Administrator).tries("", &custody.GrantRole{Principal: s.Engineer.ID, Role: custody.RoleAdministrator}).refused("holds no other role")
}

func TestNobodyGrantsHimself(t *testing.T) {
	s := newStage(t)
	for _, p := range []*guardtest.Person{s.Engineer, s.Lead, s.Outsider, s.Counsel} {
		s.as(p).tries("", &custody.GrantRole{Principal: p.ID, Role: custody.RoleExecutive}).refused(guard.RefusedText)
		s.as(p).tries("", &custody.GrantRole{Principal: p.ID, Role: custody.RoleAdministrator}).refused(guard.RefusedText)
	}
	s.as(s.Outsider).tries("I want to", &investigate.Assign{Incident: s.Incident, Principal: s.Outsider.ID}).refused(guard.RefusedText)
}

// TestOneAdministratorRemains: none can put the last one out.
func TestOneAdministratorRemains(t *testing.T) {
	s := newStage(t)
	ada := s.as(s.Administrator)
	ada.tries("", &custody.RevokeRole{Principal: s.Administrator.ID, Role: custody.RoleAdministrator}).refused("does not step down by himself")
	ada.tries("I leave", &custody.SuspendPrincipal{Principal: s.Administrator.ID}).refused("nobody suspends himself")
	ada.tries("I leave", &custody.RevokeKey{Principal: s.Administrator.ID, Key: s.Administrator.Key.Public().ID()}).refused("his last key")
	second := s.newcomer("Bert Administrator")
	require.NoError(t, s.Administrator.Enrols(t.Context(), second, custody.RoleAdministrator))
	s.as(second).tries("", &custody.RevokeRole{Principal: s.Administrator.ID, Role: custody.RoleAdministrator}).recorded()
	ada.tries("", &custody.GrantRole{Principal: s.Engineer.ID, Role: custody.RoleExecutive}).refused(guard.RefusedText)
	s.as(second).tries("", &custody.GrantRole{Principal: s.Engineer.ID, Role: custody.RoleExecutive}).recorded()
}

// TestTheServiceSpeaksForNobody: what only the service may say, people may not,
// and its identity is not changed like theirs.
func TestTheServiceSpeaksForNobody(t *testing.T) {
	s := newStage(t)
	check := &custody.CheckEvidence{Evidence: s.Evidence, Intact: true, SHA256: custody.Hash(s.Artifact)}
	s.as(s.Engineer).tries("I looked", check).refused(guard.RefusedText)
	s.as(s.Administrator).tries("", &custody.GrantRole{Principal: s.ServiceID(), Role: custody.RoleForensicEngineer}).refused("not changed like a person's")
	own, others, err := s.ServiceKeys(t.Context())
	require.NoError(t, err)
	require.Empty(t, others)
	s.as(s.Administrator).tries("why not", &custody.RevokeKey{Key: own, Principal: s.ServiceID()}).refused("the service revokes its keys itself")
	_, err = s.Attest(t.Context(), "a mistake", &custody.RevokeKey{Key: own, Principal: s.ServiceID()})
	require.ErrorContains(t, err, "with the one that takes its place")
	s.as(s.Administrator).tries("why not", &custody.SuspendPrincipal{Principal: s.ServiceID()}).refused("not changed like a person's")
	a, err := s.Attest(t.Context(), "read back", check)
	require.NoError(t, err)
	require.True(t, a.Permit)
	_, err = s.Attest(t.Context(), "read back", &custody.CheckEvidence{Evidence: s.Evidence, Intact: false, SHA256: custody.Hash(s.Artifact)})
	require.ErrorContains(t, err, "does not fit")
	require.True(t, s.verifies().Items[0].Confirmed)
}

// TestTheVaultHasItsSay: what is done before a decision is recorded can refuse
// it, or put it off.
func TestTheVaultHasItsSay(t *testing.T) {
	var says error
	seals := 0
	s := newStage(t, func(c *guardtest.Setup) {
		c.Before = map[custody.Kind]func(context.Context, *custody.Statement) error{
			custody.KindSealEvidence: func(context.Context, *custody.Statement) error { seals++; return says },
		}
	})
	require.Equal(t, 1, seals)
	name, err := custody.NewName([]byte("second.img"))
	require.NoError(t, err)
	begun := s.as(s.Engineer).tries("a second disk", &custody.BeginEvidence{AtMost: 100, Exhibit: "EX-2", Incident: s.Incident, Name: name, Type: "disk"})
	begun.recorded()
	s.Evidence = custody.NewEvidenceID(guardtest.PayloadOf(begun.raw))

	says = custody.Unlawful{Why: "chunk 3 is missing"}
	s.as(s.Engineer).tries("taken", s.Seal()).refused("chunk 3 is missing")
	says = errors.New("the bucket does not answer")
	late := s.as(s.Engineer).tries("taken", s.Seal())
	late.failed(guard.ErrUnavailable)
	says = nil
	s.send(late.raw).recorded()
	require.Equal(t, 4, seals)
	s.as(s.Outsider).tries("taken", s.Seal()).refused(guard.RefusedText)
	require.Equal(t, 4, seals, "nothing is done for somebody who may not")
	s.verifies()
}

func TestWithoutALogNothingIsPermitted(t *testing.T) {
	s := newStage(t)
	granted := s.as(s.Engineer).tries("to look at it", s.Retrieval())
	login := s.as(s.Engineer).tries("", &custody.OpenSession{Client: "a test"}).recorded()
	s.Log.Break(true)
	s.as(s.Engineer).tries("to look at it", s.Retrieval()).failed(guard.ErrUnavailable)
	require.Error(t, s.Ready())
	_, err := s.Begin(t.Context(), login.Token, granted.recorded().Token)
	require.ErrorIs(t, err, guard.ErrUnavailable, "no log, no byte")
	s.Log.Mend()
	s.as(s.Engineer).tries("to look at it", s.Retrieval()).recorded()
	use, err := s.Begin(t.Context(), login.Token, granted.recorded().Token)
	require.NoError(t, err)
	require.NoError(t, use.End(t.Context(), guard.Range{}, false))
}

// TestACrashBetweenCommitAndProof leaves a record that is proven after the
// restart, and the same statement gets its receipt.
func TestACrashBetweenCommitAndProof(t *testing.T) {
	s := newStage(t)
	s.Log.Break(false)
	raw, err := s.Engineer.Sign("", &custody.OpenSession{Client: "a test"})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	answered := make(chan error, 1)
	go func() { _, err := s.Admit(ctx, raw, ""); answered <- err }()
	s.wait("the record is committed", func() bool { return len(s.unproven()) == 1 })
	cancel()
	require.ErrorIs(t, <-answered, guard.ErrUnavailable)

	require.NoError(t, s.Close())
	require.Len(t, s.unproven(), 1)
	s.Log.Mend()
	require.NoError(t, s.Reopen(t.Context()))
	s.wait("the record is proven", func() bool { return len(s.unproven()) == 0 })
	require.True(t, s.send(raw).recorded().Repeat)
	s.verifies()
}

// TestALogThatFailsForAWhile is asked again, and in order.
func TestALogThatFailsForAWhile(t *testing.T) {
	s := newStage(t)
	s.Log.Break(false)
	answered := make(chan error, 3)
	for n := range cap(answered) {
		raw, err := s.Engineer.Sign("", &custody.OpenSession{Client: fmt.Sprint(n)})
		require.NoError(t, err)
		go func() { _, err := s.Admit(s.ctx, raw, ""); answered <- err }()
		s.wait("the record is committed", func() bool { return len(s.unproven()) == n+1 })
	}
	s.Log.Mend()
	for range cap(answered) {
		require.NoError(t, <-answered)
	}
	s.verifies()
}

// TestReadersSeeProvenRecordsOnly.
func TestReadersSeeProvenRecordsOnly(t *testing.T) {
	s := newStage(t)
	login := s.as(s.Counsel).tries("", &custody.OpenSession{Client: "a test"}).recorded()
	count := func() (n int) {
		require.NoError(t, s.Read(t.Context(), login.Token, func(r *guard.Reader) error {
			list, err := r.Records(s.Evidence.Stream(), 0, 100)
			n = len(list)
			return err
		}))
		return n
	}
	before := count()
	s.Log.Break(false)
	raw, err := s.Engineer.Sign("to look at it", s.Retrieval())
	require.NoError(t, err)
	answered := make(chan error, 1)
	go func() { _, err := s.Admit(s.ctx, raw, ""); answered <- err }()
	s.wait("the record is committed", func() bool { return len(s.unproven()) == 1 })
	require.Equal(t, before, count())
	s.Log.Mend()
	require.NoError(t, <-answered)
	require.Equal(t, before+1, count())
}

func TestWhoReadsWhat(t *testing.T) {
	s := newStage(t)
	token := func(p *guardtest.Person) string {
		return s.as(p).tries("", &custody.OpenSession{Client: "a test"}).recorded().Token
	}
	for _, c := range []struct {
		who    *guardtest.Person
		may    []custody.Stream
		mayNot []custody.Stream
	}{
		{s.Engineer, []custody.Stream{s.Evidence.Stream(), s.Incident.Stream()}, []custody.Stream{s.Lead.ID.Stream(), custody.IncidentsStream}},
		{s.Outsider, nil, []custody.Stream{s.Evidence.Stream(), s.Incident.Stream(), s.Engineer.ID.Stream()}},
		{s.Counsel, []custody.Stream{s.Evidence.Stream(), s.Incident.Stream(), s.Engineer.ID.Stream(), custody.PolicyStream}, nil},
		{s.Administrator, []custody.Stream{s.Engineer.ID.Stream()}, []custody.Stream{s.Evidence.Stream(), s.Incident.Stream()}},
	} {
		require.NoError(t, s.Read(t.Context(), token(c.who), func(r *guard.Reader) error {
			for _, stream := range c.may {
				require.NoError(t, r.MayRead(stream), "%s: %s", c.who.Name, stream)
			}
			nowhere := custody.NewEvidenceID(custody.Hash([]byte("nowhere"))).Stream()
			for _, stream := range append(c.mayNot, nowhere, "evidence/x", "") {
				require.ErrorIs(t, r.MayRead(stream), custody.ErrUnknown, "%s: %s", c.who.Name, stream)
				_, err := r.Records(stream, 0, 10)
				require.ErrorIs(t, err, custody.ErrUnknown)
			}
			return nil
		}))
	}
}

func TestSessionsEnd(t *testing.T) {
	s := newStage(t)
	none := func(*guard.Reader) error { return nil }
	login := func() string {
		return s.as(s.Engineer).tries("", &custody.OpenSession{Client: "a test"}).recorded().Token
	}
	require.ErrorIs(t, s.Read(t.Context(), "", none), guard.ErrUnauthenticated)
	require.ErrorIs(t, s.Read(t.Context(), "guessed", none), guard.ErrUnauthenticated)

	out := login()
	require.NoError(t, s.Read(t.Context(), out, none))
	s.Logout(out)
	require.ErrorIs(t, s.Read(t.Context(), out, none), guard.ErrUnauthenticated, "logged out")

	idle := login()
	s.Pass(59 * time.Minute)
	require.NoError(t, s.Read(t.Context(), idle, none))
	s.Pass(time.Hour)
	require.ErrorIs(t, s.Read(t.Context(), idle, none), guard.ErrUnauthenticated, "idle for an hour")

	long := login()
	for range 23 {
		s.Pass(30 * time.Minute)
		require.NoError(t, s.Read(t.Context(), long, none))
	}
	s.Pass(30 * time.Minute)
	require.ErrorIs(t, s.Read(t.Context(), long, none), guard.ErrUnauthenticated, "after twelve hours")

	restarted := login()
	require.NoError(t, s.Reopen(t.Context()))
	require.ErrorIs(t, s.Read(t.Context(), restarted, none), guard.ErrUnauthenticated, "a restart ends all")
}

// TestTwoReplicas write to the same streams by turns; each decides again when
// the other was first.
func TestTwoReplicas(t *testing.T) {
	s := newStage(t)
	second, err := s.Replica(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, second.Close()) })
	for n := range 4 {
		for _, g := range []*guard.Guard{s.Guard, second} {
			raw, err := s.Engineer.Sign("", &custody.OpenSession{Client: fmt.Sprint(n)})
			require.NoError(t, err)
			a, err := g.Admit(t.Context(), raw, "")
			require.NoError(t, err)
			require.True(t, a.Permit)
		}
	}
	raw, err := s.Engineer.Sign("to look at it", s.Retrieval())
	require.NoError(t, err)
	first, err := s.Admit(t.Context(), raw, "")
	require.NoError(t, err)
	again, err := second.Admit(t.Context(), raw, "")
	require.NoError(t, err)
	require.Equal(t, first.Receipt.Marshal(), again.Receipt.Marshal(), "a replay to the other replica")

	s.as(s.Administrator).tries("the laptop was stolen", &custody.RevokeKey{Principal: s.Engineer.ID, Key: s.Engineer.Key.Public().ID()}).recorded()
	raw, err = s.Engineer.Sign("to look at it", s.Retrieval())
	require.NoError(t, err)
	_, err = second.Admit(t.Context(), raw, "")
	require.ErrorIs(t, err, guard.ErrUnauthenticated, "revoked at one, refused at the other")
	s.verifies()
}

// TestADatabaseThatWasChangedIsNotBelieved.
func TestADatabaseThatWasChangedIsNotBelieved(t *testing.T) {
	s := newStage(t, func(c *guardtest.Setup) { c.Store = &lyingStore{Store: c.Store} })
	lying, ok := s.Store.(*lyingStore)
	require.True(t, ok)
	lying.lie = func(r *guard.Stored) {
		r.Record = bytes.Replace(r.Record, []byte(`"permit":true`), []byte(`"permit":false`), 1)
	}
	require.Error(t, s.Reopen(t.Context()))
	for name, lie := range map[string]func(*guard.Stored){
		"all commitments": func(r *guard.Stored) { r.Commitment[0] ^= 1 },
		"the last commitment": func(r *guard.Stored) {
			if r.Sequence == 5 {
				r.Commitment[0] ^= 1
			}
		},
		"a row that this service did not write": func(r *guard.Stored) {
			if r.Sequence == 5 {
				r.Mark = [32]byte{}
			}
		},
		"the last opening": func(r *guard.Stored) {
			if r.Sequence == 5 {
				r.Opening[0] ^= 1
			}
		},
	} {
		lying.lie = lie
		_, err := s.Replica(t.Context())
		require.ErrorContains(t, err, "in the database", name)
	}
	lying.lie = nil
	require.NoError(t, s.Reopen(t.Context()))
}

type lyingStore struct {
	guard.Store
	lie func(*guard.Stored)
}

func (l *lyingStore) Records(ctx context.Context, s custody.Stream, from uint64, limit int, proven bool) ([]guard.Stored, error) {
	list, err := l.Store.Records(ctx, s, from, limit, proven)
	if l.lie != nil {
		for i := range list {
			l.lie(&list[i])
		}
	}
	return list, err
}

// flood has somebody refused as often as is put on record, and then n times
// more, and returns the payload digests of those.
func (s stage) flood(p *guardtest.Person, n int) []custody.Digest {
	s.t.Helper()
	for range 100 {
		s.as(p).tries("again", s.Retrieval()).refused(guard.RefusedText)
	}
	before := string(s.Log.Checkpoint())
	list := []custody.Digest{}
	for range n {
		over := s.as(p).tries("again", s.Retrieval())
		over.failed(guard.ErrTooMany)
		require.ErrorContains(s.t, over.err, "summary")
		list = append(list, guardtest.PayloadOf(over.raw))
	}
	require.Equal(s.t, before, string(s.Log.Checkpoint()), "nothing was recorded")
	return list
}

// summary returns the last record of somebody's stream, a summary.
func (s stage) summary(p *guardtest.Person) *custody.SummariseRefusals {
	s.t.Helper()
	_, _, last := s.history(p.ID.Stream())
	require.Equal(s.t, s.ServiceID(), last.Actor, "it is the service's word")
	act, ok := last.Act.(*custody.SummariseRefusals)
	require.True(s.t, ok, "the last record is %s", last.Kind)
	return act
}

// rootOf is RFC 6962's hash over digests, by another implementation.
func rootOf(t *testing.T, list []custody.Digest) custody.Digest {
	t.Helper()
	var hashes []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		found := []tlog.Hash{}
		for _, n := range at {
			found = append(found, hashes[n])
		}
		return found, nil
	})
	for n, d := range list {
		more, err := tlog.StoredHashes(int64(n), d[:], read)
		require.NoError(t, err)
		hashes = append(hashes, more...)
	}
	root, err := tlog.TreeHash(int64(len(list)), read)
	require.NoError(t, err)
	return custody.Digest(root)
}

// TestAFloodOfRefusalsEnds: nobody grows the log by being refused, and how often
// he was goes on record, once for an hour of it.
func TestAFloodOfRefusalsEnds(t *testing.T) {
	s := newStage(t)
	over := s.flood(s.Counsel, 7)
	s.as(s.Engineer).tries("others are not concerned", s.Retrieval()).recorded()
	n := s.records()
	s.Pass(57 * time.Minute)
	require.NoError(t, s.Sweep(t.Context()))
	require.Equal(t, n+1, s.records(), "the engineer's ticket expired; the hour is not over")
	over = append(over, s.overflow(s.Counsel))
	s.Pass(4 * time.Minute)
	require.NoError(t, s.Sweep(t.Context()))
	require.Equal(t, n+2, s.records())
	got := s.summary(s.Counsel)
	require.EqualValues(t, 8, got.Count)
	require.Equal(t, rootOf(t, over), got.Root)
	require.Equal(t, s.Counsel.ID, got.Principal)
	require.Less(t, got.From, got.To)
	require.NoError(t, s.Sweep(t.Context()))
	require.Equal(t, n+2, s.records(), "once")
	s.as(s.Counsel).tries("after an hour", s.Retrieval()).refused(guard.RefusedText)
	s.verifies()
}

// overflow is one more refusal that is only counted.
func (s stage) overflow(p *guardtest.Person) custody.Digest {
	s.t.Helper()
	over := s.as(p).tries("again", s.Retrieval())
	over.failed(guard.ErrTooMany)
	return guardtest.PayloadOf(over.raw)
}

// TestAStopSaysWhatWasCounted: of each person, before the hour is over.
func TestAStopSaysWhatWasCounted(t *testing.T) {
	s := newStage(t)
	of := map[*guardtest.Person][]custody.Digest{s.Counsel: s.flood(s.Counsel, 3), s.Outsider: s.flood(s.Outsider, 5)}
	require.NoError(t, s.Reopen(t.Context()))
	for p, over := range of {
		got := s.summary(p)
		require.EqualValues(t, len(over), got.Count)
		require.Equal(t, rootOf(t, over), got.Root)
	}
	s.as(s.Counsel).tries("the count begins anew", s.Retrieval()).refused(guard.RefusedText)
	s.verifies()
}

// TestACountWaitsForTheLog: it is kept while the log takes nothing, and a stop
// that cannot put it on record says so.
func TestACountWaitsForTheLog(t *testing.T) {
	s := newStage(t)
	over := s.flood(s.Counsel, 2)
	s.Pass(61 * time.Minute)
	s.Log.Break(true)
	require.ErrorIs(t, s.Sweep(t.Context()), guard.ErrUnavailable)
	s.Log.Mend()
	require.NoError(t, s.Sweep(t.Context()))
	require.Equal(t, rootOf(t, over), s.summary(s.Counsel).Root)

	s.flood(s.Counsel, 4)
	s.Log.Break(true)
	require.ErrorContains(t, s.Close(), "4 refusals of "+string(s.Counsel.ID))
	s.Log.Mend()
}

// TestOnlyTheServiceSummarises: whoever could would hide what he was refused.
func TestOnlyTheServiceSummarises(t *testing.T) {
	s := newStage(t)
	var r custody.Refusals
	r.Add(custody.Hash([]byte("one")), custody.TimeOf(s.Now()))
	for _, p := range []*guardtest.Person{s.Counsel, s.Administrator, s.Engineer} {
		s.as(p).tries("", r.Summary(s.Counsel.ID)).refused(guard.RefusedText)
		s.as(p).tries("", r.Summary(p.ID)).refused(guard.RefusedText)
	}
}

// TestAFloodOfObjectionsEnds: what the vault refuses counts like any refusal.
func TestAFloodOfObjectionsEnds(t *testing.T) {
	var says error
	s := newStage(t, func(c *guardtest.Setup) {
		c.Before = map[custody.Kind]func(context.Context, *custody.Statement) error{
			custody.KindSealEvidence: func(context.Context, *custody.Statement) error { return says },
		}
	})
	name, err := custody.NewName([]byte("second.img"))
	require.NoError(t, err)
	begun := s.as(s.Engineer).tries("a second disk", &custody.BeginEvidence{AtMost: 100, Exhibit: "EX-2", Incident: s.Incident, Name: name, Type: "disk"})
	begun.recorded()
	s.Evidence = custody.NewEvidenceID(guardtest.PayloadOf(begun.raw))
	says = custody.Unlawful{Why: "chunk 3 is missing"}
	for range 100 {
		s.as(s.Engineer).tries("again", s.Seal()).refused("chunk 3 is missing")
	}
	before := string(s.Log.Checkpoint())
	s.as(s.Engineer).tries("again", s.Seal()).failed(guard.ErrTooMany)
	require.Equal(t, before, string(s.Log.Checkpoint()), "nothing was recorded")
	says = nil
	s.as(s.Engineer).tries("at last", s.Seal()).recorded()
}

// TestAPolicyOlderThanTheAct: whoever is refused since no rule is about what he asks
// for is told so, of whatever thing he asks; on record it is a refusal as any other.
func TestAPolicyOlderThanTheAct(t *testing.T) {
	s := newStage(t, func(s *guardtest.Setup) {
		s.Policy = strings.NewReplacer(`, Action::"evidence.report"`, "", `in [Action::"incident.export", Action::"incident.report"]`, `== Action::"incident.retain"`).Replace(policy.Default)
	})
	paper := &custody.ReportEvidence{Evidence: s.Evidence, Paper: custody.PaperReport, SHA256: custody.Hash(nil), Size: 1}
	elsewhere := *paper
	elsewhere.Evidence = custody.NewEvidenceID(custody.Hash(nil))
	about := &custody.ReportIncident{Incident: s.Incident, Paper: custody.PaperReport, SHA256: custody.Hash(nil), Size: 1}
	for _, act := range []custody.Act{paper, &elsewhere, &custody.ExportIncident{Incident: s.Incident}, about} {
		told := s.as(s.Counsel).tries("for the court", act).refused("no rule of this log's policy is about " + string(act.Kind()))
		record, err := custody.ParseRecord(told.Record)
		require.NoError(t, err)
		require.Equal(t, decision.Hidden, record.Decision.Reason)
	}
	s.as(s.Outsider).tries("for myself", &custody.ExportEvidence{Evidence: s.Evidence}).refused(guard.RefusedText)
}
