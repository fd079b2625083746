package bundle_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
)

// In these tests what is withheld is what somebody would like to hide.

// hidden takes records out of contents, as bundle.Redact does of a file.
func hidden(t *testing.T, c *bundle.Contents, s custody.Stream, sequences ...uint64) []byte {
	t.Helper()
	return redacted(t, written(t, c), bundle.At(s, sequences...))
}

// release says that the service released what a digest stands for.
func release(t *testing.T, s *guardtest.Story, grant custody.Digest) func(*custody.Record) {
	return func(r *custody.Record) {
		by(t, r, s, s.ServiceID(), serviceKey(t), &custody.ReleaseEvidence{Evidence: s.Evidence, Grant: grant, Outcome: custody.ReleaseFinished, Sent: 21})
		rest(r, custody.Head{Stream: s.ServiceID().Stream()})
	}
}

// TestWhatIsNamedAndNotHere can be what is withheld before it, of which there are
// enough.
func TestWhatIsNamedAndNotHere(t *testing.T) {
	s := newStory(t, 1) // seal, retrieval, release, receipt
	item := s.Evidence.Stream()
	nowhere, elsewhere := custody.Hash([]byte("nowhere")), custody.Hash([]byte("elsewhere"))
	one := func() *bundle.Contents {
		f, c := forgerOf(t, s)
		add(t, f, c, item, release(t, s, nowhere))
		add(t, f, c, item, func(r *custody.Record) {
			by(t, r, s, s.Engineer.ID, s.Engineer.Key, s.Retrieval())
			heads(t, c, r, s.Engineer.ID)
		})
		return f.prove(t, c)
	}()
	requireProblem(t, verify(written(t, one), s.Trust), "which no withheld record before it can be")
	requireProblem(t, verify(hidden(t, one, item, 5), s.Trust), "which no withheld record before it can be")
	v := verify(hidden(t, one, item, 3), s.Trust)
	require.Empty(t, v.Problems, "it cannot be told")
	require.Contains(t, text(t, v), "these 6 records of the item, 1 of them withheld")
	requireProblem(t, verify(hidden(t, one, item, 1), s.Trust), "which no withheld record before it can be") // the release names another retrieval

	f, c := forgerOf(t, s)
	add(t, f, c, item, release(t, s, nowhere))
	add(t, f, c, item, release(t, s, elsewhere))
	two := f.prove(t, c)
	requireProblem(t, verify(hidden(t, two, item, 3), s.Trust), "which no withheld record before it can be")
	require.Empty(t, verify(hidden(t, two, item, 2, 3), s.Trust).Problems)

	f, c = forgerOf(t, s)
	add(t, f, c, item, release(t, s, nowhere))
	add(t, f, c, item, release(t, s, nowhere))
	requireProblem(t, verify(hidden(t, f.prove(t, c), item, 3), s.Trust), "or was released before")

	f, c = forgerOf(t, s)
	add(t, f, c, item, release(t, s, nowhere))
	add(t, f, c, item, func(r *custody.Record) {
		by(t, r, s, s.Engineer.ID, s.Engineer.Key, &custody.LiftHold{Authority: "a court", Evidence: s.Evidence, Hold: nowhere})
		heads(t, c, r, s.Engineer.ID)
	})
	requireProblem(t, verify(hidden(t, f.prove(t, c), item, 2, 3), s.Trust), "another record names it as a grant")
}

// TestAHoldThatNeverWas: who names one that is not on record is found out, where
// nothing is withheld too.
func TestAHoldThatNeverWas(t *testing.T) {
	s := newStory(t, 1)
	f, c := forgerOf(t, s)
	add(t, f, c, s.Evidence.Stream(), func(r *custody.Record) {
		by(t, r, s, s.Engineer.ID, s.Engineer.Key, &custody.LiftHold{Authority: "a court", Evidence: s.Evidence, Hold: custody.Hash(nil)})
		heads(t, c, r, s.Engineer.ID)
	})
	requireProblem(t, verify(written(t, f.prove(t, c)), s.Trust), "names the hold")
}

// TestAFirstSealThatIsWithheld would let the second one pass for the only one.
func TestAFirstSealThatIsWithheld(t *testing.T) {
	s := newStory(t, 1)
	item := s.Evidence.Stream()
	f, c := forgerOf(t, s)
	add(t, f, c, item, func(r *custody.Record) {
		by(t, r, s, s.Engineer.ID, s.Engineer.Key, planted(s))
		heads(t, c, r, s.Engineer.ID)
	})
	c = f.prove(t, c)
	requireProblem(t, verify(written(t, c), s.Trust), "a second time")
	requireProblem(t, verify(hidden(t, c, item, 0, 1, 2, 3), s.Trust), "which seal is the first cannot be told")
	requireProblem(t, verify(hidden(t, c, item, 0, 1, 2, 3, 4), s.Trust), "its seal is not here")
	v := verify(hidden(t, c, item, 4), s.Trust)
	require.Empty(t, v.Problems, "the second one cannot be told from anything else")
	require.Contains(t, text(t, v), "and even another seal")
}

// TestAGrantOfARightThatIsWithheld: a right that is asked for is shown.
func TestAGrantOfARightThatIsWithheld(t *testing.T) {
	s := newStory(t, 1)
	bert, err := s.Person("Bert Administrator")
	require.NoError(t, err)
	require.NoError(t, s.Administrator.Enrols(t.Context(), bert, custody.RoleAdministrator))
	require.NoError(t, bert.Enrols(t.Context(), s.Outsider, custody.RoleForensicEngineer))
	c := contents(t, s, true)
	require.Empty(t, verify(written(t, c), s.Trust).Problems)
	requireProblem(t, verify(hidden(t, c, bert.ID.Stream(), 0), s.Trust), "was no administrator")
}

// TestARevocationThatIsWithheld: that a key was live is then not shown, and the
// verdict names whose.
func TestARevocationThatIsWithheld(t *testing.T) {
	s := newStory(t, 1)
	a, err := s.Administrator.Does(t.Context(), "stolen", &custody.RevokeKey{Principal: s.Engineer.ID, Key: s.Engineer.Key.Public().ID()})
	require.NoError(t, err)
	require.True(t, a.Permit)
	own := s.Engineer.ID.Stream()
	f, c := forgerOf(t, s)
	n := len(c.Streams[slices.IndexFunc(c.Streams, func(st bundle.Stream) bool { return st.Name == own })].Records)
	add(t, f, c, s.Evidence.Stream(), func(r *custody.Record) {
		by(t, r, s, s.Engineer.ID, s.Engineer.Key, &custody.ExportEvidence{Evidence: s.Evidence})
		heads(t, c, r, s.Engineer.ID)
	})
	c = f.prove(t, c)
	requireProblem(t, verify(written(t, c), s.Trust), "is revoked")
	v := verify(hidden(t, c, own, uint64(n-1)), s.Trust)
	require.Empty(t, v.Problems)
	require.Len(t, v.Warnings, 1)
	require.Equal(t, string(own), v.Warnings[0].Where)
	require.Contains(t, v.Warnings[0].What, "Emil Engineer ("+string(s.Engineer.ID)+"), who signed records here, 1 record is withheld")
}

// disposed is a story whose item was held, let go, and destroyed: its item's stream
// and the sequences of hold, first and second lift, first and second order, and
// certificate.
func disposed(t *testing.T) (s *guardtest.Story, at [6]uint64) {
	t.Helper()
	s = newStory(t, 1)
	require.NoError(t, s.Others(t.Context()))
	keepNothing(t, s)
	hold := says(t, s, s.Counsel, &custody.HoldEvidence{Authority: "a court", Evidence: s.Evidence})
	lift := custody.LiftHold{Authority: "a court", Evidence: s.Evidence, Hold: hold}
	again := lift
	again.Seconds = says(t, s, s.Lead, &lift)
	says(t, s, s.Counsel, &again)
	first := says(t, s, s.Lead, &custody.DisposeEvidence{Evidence: s.Evidence})
	order := says(t, s, s.Counsel, &custody.DisposeEvidence{Evidence: s.Evidence, Seconds: first})
	attests(t, s, &custody.DisposedEvidence{Evidence: s.Evidence, Method: "deleted", Order: order, SHA256: custody.Hash(s.Artifact)})
	for n := range at {
		at[n] = uint64(4 + n)
	}
	return s, at
}

// TestADestructionInPart: what is withheld of it, and what the verdict then says.
func TestADestructionInPart(t *testing.T) {
	s, at := disposed(t)
	item := s.Evidence.Stream()
	hold, first, second, order, seconded, certificate := at[0], at[1], at[2], at[3], at[4], at[5]
	c := contents(t, s, true)
	whole := verify(written(t, c), s.Trust)
	require.Empty(t, whole.Problems)
	require.Equal(t, "Lena Lead", whole.Items[0].Destruction.By[0].Name)

	for name, try := range map[string]struct {
		withheld []uint64
		says     string
	}{
		"the hold":                         {[]uint64{hold}, ""},
		"the motion to lift it":            {[]uint64{first}, ""},
		"all of the hold":                  {[]uint64{hold, first, second}, ""},
		"that it was lifted":               {[]uint64{second}, "while it was on legal hold"},
		"the lifting":                      {[]uint64{first, second}, "while it was on legal hold"},
		"the lifting and the order":        {[]uint64{second, order, seconded}, "while it was on legal hold"},
		"the motion to destroy it":         {[]uint64{order}, ""},
		"the order":                        {[]uint64{seconded}, ""},
		"both":                             {[]uint64{order, seconded}, ""},
		"all but the certificate":          {[]uint64{hold, first, second, order, seconded}, ""},
		"everything":                       {[]uint64{hold, first, second, order, seconded, certificate}, ""},
		"the certificate":                  {[]uint64{certificate}, ""},
		"all that speaks of a destruction": {[]uint64{order, seconded, certificate}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := verify(hidden(t, c, item, try.withheld...), s.Trust)
			if try.says != "" {
				requireProblem(t, v, try.says)
				return
			}
			require.Empty(t, v.Problems)
			require.Len(t, v.Withheld, len(try.withheld))
			certified := !slices.Contains(try.withheld, certificate)
			require.Equal(t, certified, v.Items[0].Destroyed)
			require.Equal(t, certified, v.Items[0].Destruction != nil)
			require.Equal(t, certified, strings.Contains(text(t, v), "that no legal hold was on it then"), "a hold could be among them")
			switch {
			case !certified:
				require.Contains(t, text(t, v), "or a destruction may be among them")
			case slices.Contains(try.withheld, order) || slices.Contains(try.withheld, seconded):
				require.Contains(t, text(t, v), "DESTROYED, by the word of the service: by order of two people, who are not disclosed; what was done: deleted")
			default:
				require.Equal(t, whole.Items[0].Destruction, v.Items[0].Destruction)
			}
		})
	}

	// An order of nobody's does not become one since something else is withheld, behind
	// it; nor does a certificate of another artifact.
	f, d := forgerOf(t, s)
	certify := func(change func(*custody.DisposedEvidence)) {
		add(t, f, d, item, func(r *custody.Record) {
			act := &custody.DisposedEvidence{Evidence: s.Evidence, Method: "deleted", Order: custody.Hash(nil), SHA256: custody.Hash(s.Artifact)}
			change(act)
			by(t, r, s, s.ServiceID(), serviceKey(t), act)
			rest(r, custody.Head{Stream: s.ServiceID().Stream()})
		})
	}
	certify(func(act *custody.DisposedEvidence) { act.SHA256 = custody.Hash(nil) })
	requireProblem(t, verify(hidden(t, f.prove(t, d), item, hold, first, second), s.Trust), "which no two people had ordered")
}

// TestErasuresInPart: an erasure whose orders are withheld is none, unless the
// erased record itself is called withheld.
func TestErasuresInPart(t *testing.T) {
	s, act := erasedStory(t)
	item, erased := s.Evidence.Stream(), act.Sequence
	first, second, certificate := erased+1, erased+2, erased+3
	c := contents(t, s, true)
	require.Len(t, verify(written(t, c), s.Trust).Erased, 1)
	for name, try := range map[string]struct {
		withheld []uint64
		says     string
	}{
		"the certificate":        {[]uint64{certificate}, ""},
		"the first one's order":  {[]uint64{first}, "no two people have ordered it erased"},
		"the second one's order": {[]uint64{second}, "no two people have ordered it erased"},
		"both orders":            {[]uint64{first, second}, "no two people have ordered it erased"},
		"what is erased":         {[]uint64{erased}, ""},
		"that and one order":     {[]uint64{erased, first}, ""},
		"that and the other":     {[]uint64{erased, second}, ""},
		"that and both":          {[]uint64{erased, first, second}, ""},
		"all of it":              {[]uint64{erased, first, second, certificate}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := verify(hidden(t, c, item, try.withheld...), s.Trust)
			if try.says != "" {
				requireProblem(t, v, try.says)
				return
			}
			require.Empty(t, v.Problems)
			require.Len(t, v.Withheld, len(try.withheld))
			require.Equal(t, slices.Contains(try.withheld, erased), len(v.Erased) == 0)
			require.Equal(t, name == "the certificate", len(v.Erased) == 1 && !v.Erased[0].Certified)
			require.Equal(t, len(v.Erased) == 1, strings.Contains(text(t, v), "that no legal hold was on it then"))
		})
	}
}

// TestSecondedTwice: what one person moved two others cannot second each, though it
// is withheld; nor can they order erased what nobody may.
func TestSecondedTwice(t *testing.T) {
	s, at := disposed(t)
	item := s.Evidence.Stream()
	f, c := forgerOf(t, s)
	moved := payloadOf(t, c.Streams[itemIn(c, s)].Records[at[3]])
	add(t, f, c, item, func(r *custody.Record) {
		by(t, r, s, s.Engineer.ID, s.Engineer.Key, &custody.DisposeEvidence{Evidence: s.Evidence, Seconds: moved})
		heads(t, c, r, s.Engineer.ID)
	})
	c = f.prove(t, c)
	requireProblem(t, verify(written(t, c), s.Trust), "no such motion")
	requireProblem(t, verify(hidden(t, c, item, at[3]), s.Trust), "no such motion")

	f, c = forgerOf(t, s)
	seal, err := c.Streams[itemIn(c, s)].Records[0].Receipt.Leaf(c.Streams[itemIn(c, s)].Records[0].Bytes)
	require.NoError(t, err)
	add(t, f, c, item, func(r *custody.Record) {
		by(t, r, s, s.Counsel.ID, s.Counsel.Key, &custody.EraseRecord{
			Authority: "nobody", Commitment: seal.Commitment(), Stream: item, Was: custody.KindSealEvidence, Seconds: custody.Hash(nil),
		})
		heads(t, c, r, s.Counsel.ID)
	})
	requireProblem(t, verify(hidden(t, f.prove(t, c), item, at[5]), s.Trust), "is never erased")
}

// TestARetrievalAfterADestruction is none, though the order of it is withheld.
func TestARetrievalAfterADestruction(t *testing.T) {
	s, at := disposed(t)
	item := s.Evidence.Stream()
	f, c := forgerOf(t, s)
	add(t, f, c, item, func(r *custody.Record) {
		by(t, r, s, s.Engineer.ID, s.Engineer.Key, s.Retrieval())
		heads(t, c, r, s.Engineer.ID)
	})
	c = f.prove(t, c)
	requireProblem(t, verify(written(t, c), s.Trust), "was granted after the item was ordered destroyed")
	requireProblem(t, verify(hidden(t, c, item, at[3], at[4]), s.Trust), "was granted after the item was ordered destroyed")
	require.Empty(t, verify(hidden(t, c, item, at[3], at[4], at[5]), s.Trust).Problems, "then nothing of it can be told")
}

// TestWhatLaterChecksFound: that the service found the bytes right is said of its last
// check, and not without a word where a later one is withheld.
func TestWhatLaterChecksFound(t *testing.T) {
	s := newStory(t, 1)
	item := s.Evidence.Stream()
	f, c := forgerOf(t, s)
	check := func(intact bool) uint64 {
		act := &custody.CheckEvidence{Evidence: s.Evidence, Intact: intact}
		if intact {
			act.SHA256 = custody.Hash(s.Artifact)
		}
		add(t, f, c, item, func(r *custody.Record) {
			by(t, r, s, s.ServiceID(), serviceKey(t), act)
			rest(r, custody.Head{Stream: s.ServiceID().Stream()})
		})
		return uint64(len(c.Streams[itemIn(c, s)].Records) - 1)
	}
	check(true)
	found := text(t, verify(written(t, f.prove(t, c)), s.Trust))
	require.Contains(t, found, "found them right\n")
	last := check(false)
	whole := f.prove(t, c)
	require.NotContains(t, text(t, verify(written(t, whole), s.Trust)), "found them right")
	v := verify(hidden(t, whole, item, last), s.Trust)
	require.Empty(t, v.Problems)
	require.Contains(t, text(t, v), "found them right; what LATER CHECKS found may be among what is WITHHELD")
}
