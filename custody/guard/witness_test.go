package guard_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
)

func witness(t *testing.T, name string) *guardtest.Witness {
	t.Helper()
	w, err := guardtest.NewWitness(1, name)
	require.NoError(t, err)
	return w
}

func quorumOf(w *guardtest.Witness) string {
	return "witness " + w.Name + " " + w.Key + "\nquorum " + w.Name + "\n"
}

// TestNoByteWithoutTheQuorum: while the witnesses do not answer, a retrieval is on
// record and gets nothing; taking evidence in goes on.
func TestNoByteWithoutTheQuorum(t *testing.T) {
	w := witness(t, "w.example")
	s := newStage(t, func(setup *guardtest.Setup) { setup.Witnesses = quorumOf(w) })
	session := s.login(s.Engineer)
	a := s.as(s.Engineer).tries("to look at it", s.Retrieval())
	require.ErrorIs(t, a.err, guard.ErrUnavailable)
	stopped := guard.Stopped{}
	require.True(t, errors.As(a.err, &stopped))
	require.Contains(t, stopped.Why, "cosigned by nobody; quorum not met")
	require.Equal(t, custody.ReleaseWithheld, s.released().Outcome)
	is, err := s.Witnessed(t.Context())
	require.NoError(t, err)
	require.Equal(t, custody.QuorumNotMet, is.Quorum)

	require.NoError(t, s.Log.Witnessed(custody.TimeOf(s.Now()), witness(t, "x.example")))
	require.ErrorIs(t, s.as(s.Engineer).tries("to look at it", s.Retrieval()).err, guard.ErrUnavailable, "a stranger is no witness")

	require.NoError(t, s.Log.Witnessed(custody.TimeOf(s.Now()), w))
	token := s.ticket()
	use, err := s.Begin(t.Context(), session, token)
	require.NoError(t, err)
	require.NoError(t, use.Pass.Permits(guard.Range{Length: 21}, s.Now()))
	require.NoError(t, use.End(t.Context(), guard.Range{Length: 21}, true))
	require.Equal(t, s.Trust.Witnesses, quorumOf(w))
	is, err = s.Witnessed(t.Context())
	require.NoError(t, err)
	require.Equal(t, custody.QuorumMet, is.Quorum)
}

// TestALaterCheckpointServes: a record of before the witnesses answered is covered
// by the first checkpoint that they cosign.
func TestALaterCheckpointServes(t *testing.T) {
	w := witness(t, "w.example")
	s := newStage(t, func(setup *guardtest.Setup) { setup.Witnesses = quorumOf(w) })
	require.NoError(t, s.Log.Witnessed(custody.TimeOf(s.Now()), w))
	session, token := s.login(s.Engineer), s.ticket()
	other := witness(t, "y.example")
	ada, bert := s.Administrator, s.newcomer("Bert Administrator")
	require.NoError(t, ada.Enrols(t.Context(), bert, custody.RoleAdministrator))
	act := &custody.AdoptWitnesses{Policy: quorumOf(other)}
	first := s.as(ada).tries("w retires", act)
	first.recorded()
	s.as(bert).tries("w retires", &custody.AdoptWitnesses{Policy: act.Policy, Seconds: guardtest.PayloadOf(first.raw)}).recorded()
	_, err := s.Begin(t.Context(), session, token)
	require.ErrorIs(t, err, guard.ErrUnavailable, "the new witness has not seen the log")
	require.NoError(t, s.Log.Witnessed(custody.TimeOf(s.Now()), other))
	use, err := s.Begin(t.Context(), session, token)
	require.NoError(t, err)
	require.NoError(t, use.End(t.Context(), guard.Range{Length: 21}, true))
}

// TestTwoAdministratorsAdoptWitnesses, and nobody else, and not one alone.
func TestTwoAdministratorsAdoptWitnesses(t *testing.T) {
	told := make(chan *custody.WitnessPolicy, 100)
	s := newStage(t, func(u *guardtest.Setup) { u.Adopted = func(p *custody.WitnessPolicy) { told <- p } })
	w := witness(t, "w.example")
	act := &custody.AdoptWitnesses{Policy: quorumOf(w)}
	for _, p := range []*guardtest.Person{s.Engineer, s.Lead, s.Counsel} {
		s.as(p).tries("I want to", act).refused(guard.RefusedText)
	}
	inForce := func() string {
		p, err := guard.Witnesses(t.Context(), s.config())
		require.NoError(t, err)
		return p.String()
	}
	ada := s.as(s.Administrator)
	bert := s.newcomer("Bert Administrator")
	require.NoError(t, s.Administrator.Enrols(t.Context(), bert, custody.RoleAdministrator))
	ada.tries("none is needed", &custody.AdoptWitnesses{Policy: custody.NoWitnesses}).refused("in force")
	first := ada.tries("the first witness", act)
	first.recorded()
	require.Equal(t, custody.NoWitnesses, inForce(), "one alone changes nothing")
	second := *act
	second.Seconds = guardtest.PayloadOf(first.raw)
	ada.tries("me too", &second).refused("it takes two people")
	other := custody.AdoptWitnesses{Policy: quorumOf(witness(t, "x.example")), Seconds: second.Seconds}
	s.as(bert).tries("another one", &other).refused("no such motion")
	s.as(s.Engineer).tries("I second it", &second).refused(guard.RefusedText)
	s.as(bert).tries("I second it", &second).recorded()
	require.Equal(t, act.Policy, inForce())
	last := ""
	for len(told) > 0 {
		last = (<-told).String()
	}
	require.Equal(t, act.Policy, last, "the log's side is told")

	first = ada.tries("back", &custody.AdoptWitnesses{Policy: custody.NoWitnesses})
	first.recorded()
	s.Pass(31 * 24 * time.Hour)
	s.as(bert).tries("late", &custody.AdoptWitnesses{Policy: custody.NoWitnesses, Seconds: guardtest.PayloadOf(first.raw)}).refused("30 days")
	require.Equal(t, act.Policy, inForce())
}

func (s stage) config() guard.Config { return s.Config }
