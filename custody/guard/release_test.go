package guard_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/custody/policy"
)

// login returns a session of somebody.
func (s stage) login(p *guardtest.Person) string {
	s.t.Helper()
	return s.as(p).tries("", &custody.OpenSession{Client: "a test"}).recorded().Token
}

// ticket returns a ticket of the engineer's for the whole artifact.
func (s stage) ticket() string {
	s.t.Helper()
	return s.as(s.Engineer).tries("to look at it", s.Retrieval()).recorded().Token
}

// released returns the last release on record.
func (s stage) released() *custody.ReleaseEvidence {
	s.t.Helper()
	_, _, last := s.history(s.Evidence.Stream())
	r, ok := last.Act.(*custody.ReleaseEvidence)
	require.True(s.t, ok, "the last record is %s", last.Kind)
	require.Equal(s.t, s.ServiceID(), last.Actor, "it is the service's word")
	return r
}

func TestATicketIsUsedOnceToTheEnd(t *testing.T) {
	s := newStage(t)
	session, token := s.login(s.Engineer), s.ticket()
	use, err := s.Begin(t.Context(), session, token)
	require.NoError(t, err)
	whole := guard.Range{Length: 21}
	require.NoError(t, use.Pass.Permits(whole, s.Now()))
	require.NoError(t, use.Pass.Permits(guard.Range{Offset: 20, Length: 1}, s.Now()))
	require.ErrorIs(t, use.Pass.Permits(guard.Range{Offset: 1, Length: 21}, s.Now()), guard.ErrNoPass)
	require.ErrorIs(t, use.Pass.Permits(guard.Range{Offset: 1, Length: 1<<64 - 1}, s.Now()), guard.ErrNoPass)
	require.ErrorIs(t, use.Pass.Permits(whole, s.Now().Add(24*time.Hour)), guard.ErrNoPass)
	require.ErrorIs(t, guard.Pass{}.Permits(guard.Range{}, s.Now()), guard.ErrNoPass, "the zero pass")
	require.Equal(t, s.Evidence, use.Pass.Evidence())
	require.Equal(t, s.Incident, use.Pass.Incident())
	require.Equal(t, custody.Hash(s.Artifact), use.Pass.Artifact().SHA256)
	require.NoError(t, use.Permitted(t.Context()))
	require.NoError(t, use.End(t.Context(), guard.Range{Length: 21}, true))
	r := s.released()
	require.Equal(t, custody.ReleaseFinished, r.Outcome)
	require.Equal(t, uint64(21), r.Sent)
	require.Equal(t, use.Pass.Grant(), r.Grant)
	_, err = s.Begin(t.Context(), session, token)
	require.ErrorIs(t, err, custody.ErrUnknown, "used up")
	s.verifies()
}

func TestATicketForAPart(t *testing.T) {
	s := newStage(t)
	session := s.login(s.Engineer)
	token := s.as(s.Engineer).tries("the header", &custody.RetrieveEvidence{Evidence: s.Evidence, Offset: 5, Length: 4}).recorded().Token
	use, err := s.Begin(t.Context(), session, token)
	require.NoError(t, err)
	require.Equal(t, guard.Range{Offset: 5, Length: 4}, use.Pass.Span())
	require.NoError(t, use.Pass.Permits(guard.Range{Offset: 5, Length: 4}, s.Now()))
	for _, r := range []guard.Range{{Offset: 4, Length: 1}, {Offset: 5, Length: 5}, {Offset: 9, Length: 1}, {Length: 21}} {
		require.ErrorIs(t, use.Pass.Permits(r, s.Now()), guard.ErrNoPass)
	}
	require.NoError(t, use.End(t.Context(), guard.Range{Offset: 5, Length: 4}, true))

	rest := s.as(s.Engineer).tries("the rest", &custody.RetrieveEvidence{Evidence: s.Evidence, Offset: 9}).recorded().Token
	use, err = s.Begin(t.Context(), session, rest)
	require.NoError(t, err)
	require.Equal(t, guard.Range{Offset: 9, Length: 12}, use.Pass.Span(), "length 0 is to the end")
	require.NoError(t, use.End(t.Context(), guard.Range{Offset: 9, Length: 12}, true))
}

func TestATicketIsForItsEarner(t *testing.T) {
	s := newStage(t)
	token := s.ticket()
	_, err := s.Begin(t.Context(), s.login(s.Lead), token)
	require.ErrorIs(t, err, custody.ErrUnknown, "another person's session")
	_, err = s.Begin(t.Context(), "", token)
	require.ErrorIs(t, err, guard.ErrUnauthenticated, "no session")
	_, err = s.Begin(t.Context(), s.login(s.Engineer), "guessed")
	require.ErrorIs(t, err, custody.ErrUnknown, "a guess")
	use, err := s.Begin(t.Context(), s.login(s.Engineer), token)
	require.NoError(t, err, "his own is good still")
	require.NoError(t, use.End(t.Context(), guard.Range{}, false))
}

func TestATicketExpires(t *testing.T) {
	s := newStage(t)
	session, token := s.login(s.Engineer), s.ticket()
	s.Pass(15 * time.Minute)
	_, err := s.Begin(t.Context(), session, token)
	require.ErrorIs(t, err, custody.ErrUnknown)
	require.NoError(t, s.Reopen(t.Context()))
	s.wait("what became of it is on record", s.isReleased)
	require.Equal(t, custody.ReleaseWithheld, s.released().Outcome)
	s.verifies()
}

func TestAnAbortedUseIsResumed(t *testing.T) {
	s := newStage(t)
	session, token := s.login(s.Engineer), s.ticket()
	n := s.records()
	use, err := s.Begin(t.Context(), session, token)
	require.NoError(t, err)
	require.NoError(t, use.End(t.Context(), guard.Range{Length: 10}, false))
	require.Equal(t, n, s.records(), "one record for each ticket, when it is over")
	use, err = s.Begin(t.Context(), session, token)
	require.NoError(t, err)
	require.NoError(t, use.End(t.Context(), guard.Range{Offset: 10, Length: 11}, true))
	require.Equal(t, custody.ReleaseFinished, s.released().Outcome)
	require.Equal(t, uint64(21), s.released().Sent)
}

// hands is a use that hands over a stretch: length bytes from offset.
func (s stage) hands(session, token string, offset, length uint64) {
	s.t.Helper()
	use, err := s.Begin(s.ctx, session, token)
	require.NoError(s.t, err)
	require.NoError(s.t, use.End(s.ctx, guard.Range{Offset: offset, Length: length}, true))
}

// TestTwoUsesAtOnce: the last to end says what became of both.
func TestTwoUsesAtOnce(t *testing.T) {
	s := newStage(t)
	session, token := s.login(s.Engineer), s.ticket()
	first, err := s.Begin(t.Context(), session, token)
	require.NoError(t, err)
	second, err := s.Begin(t.Context(), session, token)
	require.NoError(t, err)
	third, err := s.Begin(t.Context(), session, token)
	require.NoError(t, err)
	n := s.records()
	require.NoError(t, second.End(t.Context(), guard.Range{Offset: 10, Length: 11}, true))
	require.NoError(t, first.End(t.Context(), guard.Range{Length: 10}, false))
	require.Equal(t, n, s.records(), "another is under way, though all was handed over")
	require.NoError(t, third.End(t.Context(), guard.Range{Offset: 5, Length: 3}, false))
	require.Equal(t, uint64(24), s.released().Sent)
	require.Equal(t, custody.ReleaseFinished, s.released().Outcome)
}

// TestFinishedMeansEveryByte: as many bytes as the stretch has, and its end
// among them, are not the stretch.
func TestFinishedMeansEveryByte(t *testing.T) {
	for name, handed := range map[string][]guard.Range{
		"the end twice":             {{Offset: 10, Length: 11}, {Offset: 10, Length: 11}},
		"two that overlap":          {{Offset: 2, Length: 15}, {Offset: 12, Length: 9}},
		"all but the first byte":    {{Offset: 1, Length: 20}, {Offset: 20, Length: 1}},
		"all but one in the middle": {{Length: 10}, {Offset: 11, Length: 10}, {Offset: 11, Length: 10}},
		"all but the last byte":     {{Length: 20}, {Length: 20}},
		"places outside of it":      {{Length: 11}, {Offset: 21, Length: 10}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			session, token := s.login(s.Engineer), s.ticket()
			n := s.records()
			for _, r := range handed {
				s.hands(session, token, r.Offset, r.Length)
			}
			require.Equal(t, n, s.records(), "it is not over")
			s.Pass(15 * time.Minute)
			require.NoError(t, s.Sweep(t.Context()))
			require.Contains(t, []string{custody.ReleaseAborted, custody.ReleaseUnknown}, s.released().Outcome)
		})
	}
}

// TestHolesAreFilled: what was handed over counts until the ticket is closed, in
// whatever order it was.
func TestHolesAreFilled(t *testing.T) {
	s := newStage(t)
	session, token := s.login(s.Engineer), s.ticket()
	n := s.records()
	for _, offset := range []uint64{18, 0, 9, 3, 15, 6} {
		s.hands(session, token, offset, 3)
	}
	require.Equal(t, n, s.records())
	s.hands(session, token, 12, 3)
	require.Equal(t, custody.ReleaseFinished, s.released().Outcome)
	require.Equal(t, uint64(21), s.released().Sent)
	s.verifies()
}

// TestPiecesAtOnce: many at a time, and one release of all.
func TestPiecesAtOnce(t *testing.T) {
	s := newStage(t)
	session, token := s.login(s.Engineer), s.ticket()
	var all sync.WaitGroup
	ended := make(chan error, 21)
	for n := range uint64(21) {
		all.Go(func() {
			use, err := s.Begin(s.ctx, session, token)
			if err == nil {
				err = use.End(s.ctx, guard.Range{Offset: n, Length: 1}, true)
			}
			ended <- err
		})
	}
	all.Wait()
	for range cap(ended) {
		require.NoError(t, <-ended)
	}
	require.Equal(t, custody.ReleaseFinished, s.released().Outcome)
	require.Equal(t, uint64(21), s.released().Sent)
	_, err := s.Begin(t.Context(), session, token)
	require.ErrorIs(t, err, custody.ErrUnknown)
}

// TestAnAbandonedUseIsUnknown, even where others have handed all over: how many
// bytes there were, nobody knows.
func TestAnAbandonedUseIsUnknown(t *testing.T) {
	s := newStage(t)
	session, token := s.login(s.Engineer), s.ticket()
	use, err := s.Begin(t.Context(), session, token)
	require.NoError(t, err)
	use.Abandon()
	s.hands(session, token, 0, 21)
	s.Pass(15 * time.Minute)
	require.NoError(t, s.Sweep(t.Context()))
	require.Equal(t, custody.ReleaseUnknown, s.released().Outcome)
	require.Equal(t, uint64(21), s.released().Sent)
}

// TestAnEmptyStretchTakesAnAnswer to be finished.
func TestAnEmptyStretchTakesAnAnswer(t *testing.T) {
	s := newStage(t)
	session := s.login(s.Engineer)
	token := s.as(s.Engineer).tries("nothing at all", &custody.RetrieveEvidence{Evidence: s.Evidence, Offset: 21}).recorded().Token
	use, err := s.Begin(t.Context(), session, token)
	require.NoError(t, err)
	n := s.records()
	require.NoError(t, use.End(t.Context(), guard.Range{}, false))
	require.Equal(t, n, s.records())
	s.hands(session, token, 21, 0)
	require.Equal(t, custody.ReleaseFinished, s.released().Outcome)
}

// TestATicketThatExpiresInUse is settled when nothing is under way any more.
func TestATicketThatExpiresInUse(t *testing.T) {
	s := newStage(t)
	session, token := s.login(s.Engineer), s.ticket()
	s.hands(session, token, 0, 10)
	use, err := s.Begin(t.Context(), session, token)
	require.NoError(t, err)
	n := s.records()
	s.Pass(15 * time.Minute)
	require.NoError(t, s.Sweep(t.Context()))
	require.Equal(t, n, s.records(), "a use is under way")
	require.NoError(t, use.End(t.Context(), guard.Range{Offset: 10, Length: 11}, true))
	require.Equal(t, custody.ReleaseFinished, s.released().Outcome)
}

// TestARefusedUseEndsNothing: a use that was begun too late, while its ticket is
// being settled, does not say what became of it.
func TestARefusedUseEndsNothing(t *testing.T) {
	s := newStage(t)
	session, token := s.login(s.Engineer), s.ticket()
	s.hands(session, token, 0, 10)
	s.Pass(15 * time.Minute)
	_, err := s.Begin(t.Context(), session, token)
	require.ErrorIs(t, err, custody.ErrUnknown)
	require.NoError(t, s.Sweep(t.Context()))
	require.Equal(t, custody.ReleaseAborted, s.released().Outcome)
	require.Equal(t, uint64(10), s.released().Sent)
}

// TestARestartSettlesTickets: what a stopped service left is on record as what
// is known of it.
func TestARestartSettlesTickets(t *testing.T) {
	for _, c := range []struct {
		name    string
		uses    func(*testing.T, stage, string, string)
		outcome string
		sent    uint64
	}{
		{"never used", func(*testing.T, stage, string, string) {}, custody.ReleaseWithheld, 0},
		{"in use", func(t *testing.T, s stage, session, token string) {
			_, err := s.Begin(t.Context(), session, token)
			require.NoError(t, err)
		}, custody.ReleaseUnknown, 0},
		{"used in part", func(t *testing.T, s stage, session, token string) {
			use, err := s.Begin(t.Context(), session, token)
			require.NoError(t, err)
			require.NoError(t, use.End(t.Context(), guard.Range{Length: 5}, false))
		}, custody.ReleaseAborted, 5},
		{"used for as many bytes as there are", func(_ *testing.T, s stage, session, token string) {
			s.hands(session, token, 0, 20)
			s.hands(session, token, 19, 1)
		}, custody.ReleaseUnknown, 21},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t)
			session, token := s.login(s.Engineer), s.ticket()
			c.uses(t, s, session, token)
			require.NoError(t, s.Reopen(t.Context()))
			s.wait("what became of it is on record", s.isReleased)
			require.Equal(t, c.outcome, s.released().Outcome)
			require.Equal(t, c.sent, s.released().Sent)
			s.wait("its ticket is closed", func() bool {
				open, err := s.Store.OpenTickets(t.Context())
				return err == nil && len(open) == 0
			})
			_, err := s.Begin(t.Context(), s.login(s.Engineer), token)
			require.ErrorIs(t, err, custody.ErrUnknown)
			s.verifies()
		})
	}
}

// isReleased says whether the last record of the item is a release.
func (s stage) isReleased() bool {
	kinds, _, _ := s.history(s.Evidence.Stream())
	return kinds[len(kinds)-1] == custody.KindReleaseEvidence && len(s.unproven()) == 0
}

// TestARightLostBetweenDecisionAndRelease: the retrieval was permitted; before
// it is proven, the key is revoked. No ticket, and that is on record.
func TestARightLostBetweenDecisionAndRelease(t *testing.T) {
	for name, takes := range map[string]func(stage) (*guardtest.Person, custody.Act){
		"the key": func(s stage) (*guardtest.Person, custody.Act) {
			return s.Administrator, &custody.RevokeKey{Principal: s.Engineer.ID, Key: s.Engineer.Key.Public().ID()}
		},
		"the person": func(s stage) (*guardtest.Person, custody.Act) {
			return s.Administrator, &custody.SuspendPrincipal{Principal: s.Engineer.ID}
		},
		"the role": func(s stage) (*guardtest.Person, custody.Act) {
			return s.Administrator, &custody.RevokeRole{Principal: s.Engineer.ID, Role: custody.RoleForensicEngineer}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			release := s.Log.Hold()
			retrieval, err := s.Engineer.Sign("to look at it", s.Retrieval())
			require.NoError(t, err)
			retrieved := make(chan error, 1)
			go func() { _, err := s.Admit(s.ctx, retrieval, ""); retrieved <- err }()
			s.wait("the retrieval is decided", func() bool { return len(s.unproven()) == 1 })

			who, act := takes(s)
			revocation, err := who.Sign("at once", act)
			require.NoError(t, err)
			revoked := make(chan error, 1)
			go func() { _, err := s.Admit(s.ctx, revocation, ""); revoked <- err }()
			s.wait("the revocation is decided", func() bool { return len(s.unproven()) == 2 })
			release()

			require.NoError(t, <-revoked)
			require.ErrorIs(t, <-retrieved, guard.ErrWithdrawn)
			require.Equal(t, custody.ReleaseWithheld, s.released().Outcome)
			require.Equal(t, guardtest.PayloadOf(retrieval), s.released().Grant)
			require.Equal(t, uint64(0), s.released().Sent)
			s.verifies()
		})
	}
}

// TestARightLostWhileBytesFlow: who asks again is told.
func TestARightLostWhileBytesFlow(t *testing.T) {
	s := newStage(t)
	session, token := s.login(s.Engineer), s.ticket()
	use, err := s.Begin(t.Context(), session, token)
	require.NoError(t, err)
	require.NoError(t, use.Permitted(t.Context()))
	s.as(s.Administrator).tries("at once", &custody.SuspendPrincipal{Principal: s.Engineer.ID}).recorded()
	require.ErrorIs(t, use.Permitted(t.Context()), guard.ErrWithdrawn)
	require.NoError(t, use.End(t.Context(), guard.Range{Length: 5}, false))
	_, err = s.Begin(t.Context(), session, token)
	require.ErrorIs(t, err, guard.ErrWithdrawn)
}

// TestDamagedEvidenceIsNotReleased: the service's own check stops it.
func TestDamagedEvidenceIsNotReleased(t *testing.T) {
	s := newStage(t)
	session, token := s.login(s.Engineer), s.ticket()
	_, err := s.Attest(t.Context(), "read back", &custody.CheckEvidence{Evidence: s.Evidence, SHA256: custody.Hash([]byte("rot"))})
	require.NoError(t, err)
	_, err = s.Begin(t.Context(), session, token)
	require.ErrorIs(t, err, guard.ErrFoundDamaged, "and not that a right was withdrawn")
	s.as(s.Engineer).tries("to look at it", s.Retrieval()).refused("is damaged")
	require.True(t, s.verifies().Items[0].Damaged)

	s.as(s.Administrator).tries("", &custody.RevokeRole{Principal: s.Engineer.ID, Role: custody.RoleForensicEngineer}).recorded()
	_, err = s.Begin(t.Context(), session, token)
	require.ErrorIs(t, err, guard.ErrWithdrawn, "who has lost the right is not told of the damage")
}

func TestAnExportIsForItsEarner(t *testing.T) {
	s := newStage(t)
	earned := s.as(s.Counsel).tries("for the court", &custody.ExportEvidence{Evidence: s.Evidence}).recorded()
	require.NotEmpty(t, earned.Token)
	s.as(s.Outsider).tries("for myself", &custody.ExportEvidence{Evidence: s.Evidence}).refused(guard.RefusedText)
	s.as(s.Outsider).tries("for myself", &custody.ExportIncident{Incident: s.Incident}).refused(guard.RefusedText)
	all := s.as(s.Counsel).tries("for the court", &custody.ExportIncident{Incident: s.Incident}).recorded()
	require.NotEmpty(t, all.Token)

	// What each is for, nobody else uses, and each only as long as the right is there.
	login := s.as(s.Counsel).tries("", &custody.OpenSession{Client: "a test"}).recorded().Token
	lead := s.as(s.Lead).tries("", &custody.OpenSession{Client: "a test"}).recorded().Token
	exporting := func(session, token string) (e guard.Export, err error) {
		err = s.Read(t.Context(), session, func(r *guard.Reader) error { e, err = r.Exporting(token); return err })
		return e, err
	}
	for token, want := range map[string]guard.Export{
		earned.Token: {Evidence: s.Evidence, Principal: s.Counsel.ID}, all.Token: {Incident: s.Incident, Principal: s.Counsel.ID},
	} {
		got, err := exporting(login, token)
		require.NoError(t, err)
		require.Equal(t, want, got)
		_, err = exporting(lead, token)
		require.ErrorIs(t, err, custody.ErrUnknown)
	}
	s.as(s.Administrator).tries("", &custody.RevokeRole{Principal: s.Counsel.ID, Role: custody.RoleLegalAdvisor}).recorded()
	for _, token := range []string{earned.Token, all.Token} {
		_, err := exporting(login, token)
		require.ErrorIs(t, err, custody.ErrUnknown)
	}
}

// TestAnExportOfAllIsOfEach: what policy forbids of one item, it forbids in the export
// of the incident and in papers about it too, to whom it forbids it, and from then on.
func TestAnExportOfAllIsOfEach(t *testing.T) {
	item := newStage(t).Evidence
	s := newStage(t, func(s *guardtest.Setup) {
		s.Policy = policy.Default + `
@id("not-this-one")
forbid (principal, action in [Action::"evidence.export", Action::"evidence.report"], resource == Evidence::"` + string(item) + `")
when { principal in Role::"external-auditor" };
`
	})
	require.Equal(t, item, s.Evidence, "the same story")
	s.as(s.Counsel).tries("for the court", &custody.ExportIncident{Incident: s.Incident}).recorded()
	all := s.as(s.Lead).tries("for the court", &custody.ExportIncident{Incident: s.Incident}).recorded().Token
	login := s.as(s.Lead).tries("", &custody.OpenSession{Client: "a test"}).recorded().Token

	grant := func(role custody.Role) {
		s.as(s.Administrator).tries("", &custody.GrantRole{Principal: s.Lead.ID, Role: role}).recorded()
	}
	grant(custody.RoleExternalAuditor)
	s.as(s.Lead).tries("for the court", &custody.ExportEvidence{Evidence: item}).refused(guard.RefusedText)
	refused := s.as(s.Lead).tries("for the court", &custody.ExportIncident{Incident: s.Incident}).refused("not permitted for each item of the incident")
	record, err := custody.ParseRecord(refused.Record)
	require.NoError(t, err)
	require.Equal(t, []string{"not-this-one"}, record.Decision.Rules)
	paper := &custody.ReportIncident{Incident: s.Incident, Paper: custody.PaperReport, SHA256: custody.Hash(nil), Size: 1}
	s.as(s.Counsel).tries("for the court", paper).recorded()
	s.as(s.Lead).tries("for the court", paper).refused("not permitted for each item of the incident")
	err = s.Read(t.Context(), login, func(r *guard.Reader) error { _, err := r.Exporting(all); return err })
	require.ErrorIs(t, err, custody.ErrUnknown, "what was earned before is of no use any more")
	s.as(s.Outsider).tries("for myself", &custody.ExportIncident{Incident: s.Incident}).refused(guard.RefusedText)
}

// TestAnExportOfAllIsOfEachType: a rule about a type of artifact holds for the export of
// all, as it does for that of one.
func TestAnExportOfAllIsOfEachType(t *testing.T) {
	s := newStage(t, func(s *guardtest.Setup) {
		s.Policy = policy.Default + `
@id("no-disks")
forbid (principal, action == Action::"evidence.export", resource is Evidence) when { resource.artifact == "disk" };
`
	})
	s.as(s.Counsel).tries("for the court", &custody.ExportEvidence{Evidence: s.Evidence}).refused(guard.RefusedText)
	s.as(s.Counsel).tries("for the court", &custody.ExportIncident{Incident: s.Incident}).refused("not permitted for each item of the incident")
}
