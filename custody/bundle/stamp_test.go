package bundle_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
)

func authority(t testing.TB, seed byte, name string, kind custody.TimeAuthorityKind) *guardtest.TimeAuthority {
	t.Helper()
	a, err := guardtest.NewTimeAuthority(seed, name, kind)
	require.NoError(t, err)
	return a
}

// believing is a trust file that names authorities.
func believing(s *guardtest.Story, list ...*guardtest.TimeAuthority) *custody.Trust {
	trust := *s.Trust
	for _, a := range list {
		trust.Authorities = append(trust.Authorities, a.Trusted)
	}
	return &trust
}

// stampedStory is a story that two authorities and the operator's own clock stamped, now and
// then: the seal after a minute, the rest after some hours.
type stampedStory struct {
	*guardtest.Story
	one, two, own *guardtest.TimeAuthority
	sealed, late  custody.Time
}

func stampedBy(t testing.TB) *stampedStory {
	t.Helper()
	s := &stampedStory{
		Story: sealed(t, 1), one: authority(t, 1, "Example TSA", custody.QualifiedAuthority), two: authority(t, 1, "Other TSA", custody.ExternalAuthority),
		own: authority(t, 1, "own clock", custody.LocalAuthority),
	}
	require.NoError(t, s.Log.Stamp(s.own, custody.TimeOf(s.Now())))
	s.Pass(time.Minute)
	s.sealed = custody.TimeOf(s.Now().Truncate(time.Second))
	require.NoError(t, s.Log.Stamp(s.one, s.sealed))
	require.NoError(t, s.Log.Stamp(s.two, s.sealed.Add(time.Second)))
	require.NoError(t, s.Retrieve(t.Context()))
	s.Pass(5 * time.Hour)
	s.late = custody.TimeOf(s.Now().Truncate(time.Second))
	require.NoError(t, s.Log.Stamp(s.two, s.late))
	return s
}

// TestAStampedBundle: by when each record existed, in whose word; what nobody stamped
// in time is told.
func TestAStampedBundle(t *testing.T) {
	s := stampedBy(t)
	b := written(t, contents(t, s.Story, true))
	v := verify(b, believing(s.Story, s.one, s.two, s.own))
	require.Empty(t, v.Problems)
	require.Empty(t, v.Warnings)
	require.Len(t, v.Stamps, 4)
	for _, f := range v.Stamps {
		require.True(t, f.Verified)
		require.Equal(t, int64(1000), f.Accuracy)
	}
	of := map[custody.Kind]*bundle.Existence{}
	for _, e := range v.Timeline {
		of[e.Kind] = e.Stamped
	}
	require.Equal(t, &bundle.Existence{By: s.sealed, Accuracy: 1000, Authority: "Example TSA", Kind: custody.QualifiedAuthority}, of[custody.KindSealEvidence])
	require.Equal(t, of[custody.KindSealEvidence], of[custody.KindBeginEvidence])
	require.Equal(t, &bundle.Existence{By: s.late, Accuracy: 1000, Authority: "Other TSA", Kind: custody.ExternalAuthority}, of[custody.KindReceiveEvidence])
	require.Len(t, v.Gaps, 1)
	require.Equal(t, s.late, v.Gaps[0].To)
	require.Greater(t, v.Gaps[0].From, s.sealed)
	said := text(t, v)
	require.Contains(t, said, "existed by "+s.sealed.String()+" ± 1s (Example TSA, qualified: presumed accurate by Article 41(2) eIDAS)")
	require.Contains(t, said, "existed by "+s.late.String()+" ± 1s (Other TSA, external)")
	require.Contains(t, said, "(own clock, local: the operator's own clock)")
	require.Contains(t, said, "GAP: 4 records of this bundle")
	require.Contains(t, said, "the first stamp here that covers them is of "+s.late.String())
	require.Contains(t, said, "records existed by "+s.late.String()+" ± 1s (Other TSA, external)", "as exactly as the authority says")

	// A later stamp is not needed, nor in the way: the first of each is taken, and the
	// newest.
	s.Pass(time.Hour)
	require.NoError(t, s.Log.Stamp(s.one, s.late.Add(2*time.Hour)))
	require.NoError(t, s.Log.Stamp(s.one, s.late.Add(3*time.Hour)))
	require.NoError(t, s.Log.Stamp(s.one, s.late.Add(4*time.Hour)))
	v = verify(written(t, contents(t, s.Story, false)), believing(s.Story, s.one, s.two))
	require.True(t, v.Verified)
	require.Len(t, v.Stamps, 5+1, "of the last size the first and the newest")
	require.Len(t, v.Warnings, 1, "the operator's clock is not believed")

	// The operator's clock counts for nothing where somebody else's does.
	require.NoError(t, s.Log.Stamp(s.own, s.sealed.Add(-30*time.Second)))
	v = verify(written(t, contents(t, s.Story, false)), believing(s.Story, s.one, s.two, s.own))
	require.True(t, v.Verified)
	require.Equal(t, "Example TSA", v.Timeline[1].Stamped.Authority)

	// A log that nobody stamped, and one without its newest.
	plain := newStory(t, 2)
	v = verify(written(t, contents(t, plain, true)), plain.Trust)
	require.Empty(t, v.Stamps)
	require.Contains(t, text(t, v), "by the service's own word: this bundle has no stamp", "it may have lost it on its way")
	require.NoError(t, plain.Log.Stamp(s.one, custody.TimeOf(plain.Now())))
	a, err := plain.Engineer.Does(t.Context(), "once more", plain.Retrieval())
	require.NoError(t, err)
	require.True(t, a.Permit)
	v = verify(written(t, contents(t, plain, true)), believing(plain, s.one))
	require.True(t, v.Verified)
	require.Nil(t, v.Timeline[len(v.Timeline)-1].Stamped)
	require.Equal(t, []bundle.Gap{{From: v.Timeline[len(v.Timeline)-1].Recorded, Records: 1}}, v.Gaps)
	require.Contains(t, text(t, v), "NOT STAMPED: 1 records")
}

// TestHowExactlyARecordExisted: what an authority says of its accuracy stands beside the
// time of each record, and a stamp that is a little later and exact says more than one
// that may be an hour off.
func TestHowExactlyARecordExisted(t *testing.T) {
	s := sealed(t, 1)
	vague, exact := authority(t, 1, "Vague TSA", custody.ExternalAuthority), authority(t, 1, "Exact TSA", custody.ExternalAuthority)
	at := custody.TimeOf(s.Now().Truncate(time.Second))
	vague.Within(3600)
	require.NoError(t, s.Log.Stamp(vague, at))
	v := verify(written(t, contents(t, s, true)), believing(s, vague, exact))
	require.Equal(t, &bundle.Existence{By: at, Accuracy: 3_600_000, Authority: "Vague TSA", Kind: custody.ExternalAuthority}, v.Timeline[0].Stamped)
	require.Contains(t, text(t, v), "                               existed by "+at.String()+" ± 1h0m0s (Vague TSA, external)\n")

	require.NoError(t, s.Log.Stamp(exact, at.Add(59*time.Minute)))
	v = verify(written(t, contents(t, s, true)), believing(s, vague, exact))
	require.Equal(t, "Exact TSA", v.Timeline[0].Stamped.Authority)
	require.Contains(t, text(t, v), "                               existed by "+at.Add(59*time.Minute).String()+" ± 1s (Exact TSA, external)\n")

	exact.Within(0)
	require.NoError(t, s.Log.Stamp(exact, at.Add(58*time.Minute)))
	v = verify(written(t, contents(t, s, true)), believing(s, vague, exact))
	require.Contains(t, text(t, v), "                               existed by "+at.Add(58*time.Minute).String()+" (Exact TSA, external)\n", "it does not say")
}

// TestWhoseClock: that a record's times are its signer's and the service's, every form of
// the verdict says.
func TestWhoseClock(t *testing.T) {
	const says = "The times in the records are by the clocks of their signers and of the service; nothing but stamps and witnesses bounds them from outside."
	s := stampedBy(t)
	b := written(t, contents(t, s.Story, true))
	for _, trust := range []*custody.Trust{s.Trust, believing(s.Story, s.one)} {
		v := verify(b, trust)
		require.Equal(t, 1, strings.Count(text(t, v), "            "+says+"\n"))
		require.Contains(t, v.Checked(), bundle.Point{Text: says}, "as papers tell it")
		whole, err := json.Marshal(v)
		require.NoError(t, err)
		require.Contains(t, string(whole), `"times":"`+says+`"`)
	}
}

// TestFirstStamps: of each record the first stamp is the one that a search through all of
// them finds.
func TestFirstStamps(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	kinds := []custody.TimeAuthorityKind{custody.ExternalAuthority, custody.QualifiedAuthority, custody.LocalAuthority}
	for range 200 {
		v := &bundle.Verdict{}
		for n := range random.IntN(12) {
			v.Stamps = append(v.Stamps, bundle.StampFound{
				Size: 1 + random.Uint64N(10), Time: custody.Time(1000 * random.IntN(8)).Add(time.Hour), Accuracy: random.Int64N(3), Authority: fmt.Sprint(n),
				Kind: kinds[random.IntN(len(kinds))], Verified: random.IntN(4) > 0,
			})
		}
		slices.SortFunc(v.Stamps, func(a, b bundle.StampFound) int { return cmp.Compare(a.Size, b.Size) })
		found := bundle.FirstStamps(v)
		for place := range uint64(12) {
			var want *bundle.StampFound
			for n, s := range v.Stamps {
				own := func(s bundle.StampFound) bool { return s.Kind == custody.LocalAuthority }
				latest := func(s bundle.StampFound) custody.Time {
					return s.Time.Add(time.Duration(s.Accuracy) * time.Millisecond)
				}
				if s.Verified && s.Size > place && (want == nil || own(*want) && !own(s) || own(*want) == own(s) && latest(s) < latest(*want)) {
					want = &v.Stamps[n]
				}
			}
			got := found(place)
			require.Equal(t, want == nil, got == nil)
			if want != nil {
				require.Equal(t, bundle.Existence{By: want.Time, Accuracy: want.Accuracy, Authority: want.Authority, Kind: want.Kind}, *got)
			}
		}
	}
}

// TestAStampedIncident: the bundle of an incident carries stamps as that of an exhibit
// does.
func TestAStampedIncident(t *testing.T) {
	s := stampedBy(t)
	c, err := s.IncidentContents(t.Context(), s.Incident, true)
	require.NoError(t, err)
	v := verify(written(t, c), believing(s.Story, s.one, s.two, s.own))
	require.Empty(t, v.Problems)
	require.Len(t, v.Stamps, 4)
	require.NotEmpty(t, v.Timeline)
	for _, e := range v.Timeline {
		require.NotNil(t, e.Stamped, e.Kind)
	}
}

// TestStampsOfStrangers prove nothing, and are no forgery.
func TestStampsOfStrangers(t *testing.T) {
	s := stampedBy(t)
	b := written(t, contents(t, s.Story, true))
	for name, trust := range map[string]*custody.Trust{
		"nobody is named":           s.Trust,
		"others have their names":   believing(s.Story, authority(t, 9, "Example TSA", custody.QualifiedAuthority), authority(t, 9, "Other TSA", custody.ExternalAuthority)),
		"somebody else is believed": believing(s.Story, authority(t, 9, "Third TSA", custody.QualifiedAuthority)),
	} {
		v := verify(b, trust)
		require.True(t, v.Verified, name)
		require.Len(t, v.Warnings, 4, name)
		require.Contains(t, v.Warnings[0].What, "by an authority that your trust file does not name")
		for _, f := range v.Stamps {
			require.False(t, f.Verified)
			require.Empty(t, f.Authority)
		}
		for _, e := range v.Timeline {
			require.Nil(t, e.Stamped)
		}
		require.Empty(t, v.Gaps)
		require.Contains(t, text(t, v), "by the service's own word", name)
	}
	v := verify(b, believing(s.Story, s.own))
	require.Contains(t, text(t, v), "existed by "+v.Stamps[0].Time.String()+" ± 1s (own clock, local: the operator's own clock)")
}

// TestARecordDatedAfterItsStamp is disputed.
func TestARecordDatedAfterItsStamp(t *testing.T) {
	s := newStory(t, 1)
	one := authority(t, 1, "Example TSA", custody.ExternalAuthority)
	require.NoError(t, s.Log.Stamp(one, custody.TimeOf(s.Now().Add(-time.Hour))))
	v := verify(written(t, contents(t, s, true)), believing(s, one))
	require.True(t, v.Verified)
	require.NotEmpty(t, v.Warnings)
	require.Contains(t, v.Warnings[0].What, "though Example TSA had stamped it by")
	before := len(v.Warnings)
	a, err := s.Engineer.Does(t.Context(), "once more", s.Retrieval()) // which nobody stamped
	require.NoError(t, err)
	require.True(t, a.Permit)
	require.Len(t, verify(written(t, contents(t, s, true)), believing(s, one)).Warnings, before)
	own := authority(t, 1, "own", custody.LocalAuthority)
	other := newStory(t, 1)
	require.NoError(t, other.Log.Stamp(own, custody.TimeOf(other.Now().Add(-time.Hour))))
	require.Empty(t, verify(written(t, contents(t, other, true)), believing(other, own)).Warnings)
}

// TestEveryByteOfAStampCounts: no byte of what a bundle has of stamps can be another.
func TestEveryByteOfAStampCounts(t *testing.T) {
	s := sealed(t, 1)
	one := authority(t, 1, "Example TSA", custody.QualifiedAuthority)
	require.NoError(t, s.Log.Stamp(one, custody.TimeOf(s.Now())))
	require.NoError(t, s.Retrieve(t.Context()))
	b := written(t, contents(t, s, false))
	trust := believing(s, one)
	require.True(t, verify(b, trust).Stamps[0].Verified)
	end := bytes.Index(b, []byte("records/"))
	begin := bytes.Index(b, []byte("stamps/"))
	everyByte(t, end-begin, func(at int) error {
		altered := bytes.Clone(b)
		altered[begin+at] ^= 1 << (at % 8)
		if v := verify(altered, trust); v.Verified {
			return fmt.Errorf("byte %d of %d changed, and it still verifies", at, end-begin)
		}
		return nil
	})
}

// TestStampsThatAreNot: what a forger can do with the members of stamps.
func TestStampsThatAreNot(t *testing.T) {
	s := stampedBy(t)
	b := written(t, contents(t, s.Story, true))
	trust := believing(s.Story, s.one, s.two, s.own)
	list := members(t, b)
	at := func(list []member, name string) int {
		n := slices.IndexFunc(list, func(m member) bool { return m.name == name })
		require.GreaterOrEqual(t, n, 0, name)
		return n
	}
	var h map[string]any
	require.NoError(t, json.Unmarshal(list[0].content, &h))
	sizes := h["stamps"].([]any)
	first, last := fmt.Sprintf("stamps/%v/", sizes[0]), fmt.Sprintf("stamps/%v/", sizes[len(sizes)-1])
	another := newStory(t, 2)
	require.NoError(t, another.Log.Stamp(s.one, s.sealed))
	other := members(t, written(t, contents(t, another, true)))
	foreign := other[slices.IndexFunc(other, func(m member) bool { return strings.HasSuffix(m.name, "/0.tst") })].content
	set := func(name string, content []byte) func([]member) []member {
		return func(l []member) []member {
			l[at(l, name)].content = content
			return l
		}
	}
	heads := func(text string) func([]member) []member {
		return func(l []member) []member {
			old, err := json.Marshal(sizes)
			require.NoError(t, err)
			require.Contains(t, string(l[0].content), `"stamps":`+string(old))
			l[0].content = bytes.Replace(l[0].content, []byte(`"stamps":`+string(old)), []byte(text), 1)
			return l
		}
	}
	token := list[at(list, first+"0.tst")].content
	for name, c := range map[string]struct {
		do   func([]member) []member
		says string
	}{
		"a token of another log":  {set(first+"0.tst", foreign), "something else than this checkpoint"},
		"a token of another size": {set(first+"0.tst", list[at(list, last+"0.tst")].content), "something else than this checkpoint"},
		"no token":                {func(l []member) []member { n := at(l, last+"0.tst"); return slices.Delete(l, n, n+1) }, "where"},
		"garbage":                 {set(first+"0.tst", []byte("<html>")), "no token"},
		"a token twice": {func(l []member) []member {
			n := at(l, last+"0.tst")
			return slices.Insert(l, n+1, member{last + "1.tst", l[n].content})
		}, "there twice"},
		"a huge one":                       {set(first+"0.tst", append(bytes.Clone(token), make([]byte, 64<<10)...)), "are the most"},
		"another checkpoint":               {set(first+"checkpoint", list[at(list, last+"checkpoint")].content), "is of size"},
		"no checkpoint":                    {set(first+"checkpoint", nil), ""},
		"a checkpoint with another's line": {set(first+"checkpoint", append(bytes.Clone(list[at(list, first+"checkpoint")].content), "— a.example AAAAAAA=\n"...)), "signatures beside"},
		"no proof":                         {set(first+"proof", nil), "goes on from"},
		"another proof":                    {set(first+"proof", append(bytes.Repeat([]byte("A"), 43), '=', '\n')), "goes on from"},
		"a proof in another spelling":      {set(first+"proof", append(list[at(list, first+"proof")].content, '\n')), "line for each hash"},
		"a proof without its end":          {set(first+"proof", bytes.TrimSuffix(list[at(list, first+"proof")].content, []byte("\n"))), "line for each hash"},
		"a proof where none is needed":     {set(last+"proof", append(bytes.Repeat([]byte("A"), 43), '=', '\n')), "goes on from"},
		"stamps that are not listed":       {heads(`"Stamps":[1]`), ""},
		"none are listed":                  {heads(`"stamps":[]`), "canonical"},
		"one that is not there":            {heads(fmt.Sprintf(`"stamps":[1,%v,%v]`, sizes[0], sizes[1])), "stands where"},
		"one is not listed":                {heads(fmt.Sprintf(`"stamps":[%v]`, sizes[0])), "stands where"},
		"in another order": {func(l []member) []member {
			n := at(l, first+"0.tst")
			l[n].content, l[n+1].content = l[n+1].content, l[n].content
			return l
		}, "not in order"},
	} {
		t.Run(name, func(t *testing.T) {
			v := verify(archive(c.do(slices.Clone(list))), trust)
			require.False(t, v.Verified)
			require.Contains(t, v.Problems[0].What, c.says)
		})
	}
}

// TestStampsAreKept: a bundle without its stamps is one, and says less; what is
// redacted, or gets its artifact, keeps them.
func TestStampsAreKept(t *testing.T) {
	s := stampedBy(t)
	c := contents(t, s.Story, true)
	b := written(t, c)
	trust := believing(s.Story, s.one, s.two, s.own)
	var with, short bytes.Buffer
	require.NoError(t, bundle.AddArtifact(&with, bytes.NewReader(b), bytes.NewReader(s.Artifact), uint64(len(s.Artifact))))
	_, err := bundle.Redact(&short, bytes.NewReader(b), bundle.Others)
	require.NoError(t, err)
	for _, b := range [][]byte{with.Bytes(), short.Bytes()} {
		v := verify(b, trust)
		require.True(t, v.Verified)
		require.Len(t, v.Stamps, 4)
	}
	c.Stamps = nil
	v := verify(written(t, c), trust)
	require.True(t, v.Verified)
	require.Empty(t, v.Stamps)
}

// TestMoreAuthoritiesThanABundleTakes: those that whoever has the stamps calls first are in
// it.
func TestMoreAuthoritiesThanABundleTakes(t *testing.T) {
	s := sealed(t, 1)
	one := authority(t, 1, "Example TSA", custody.ExternalAuthority)
	require.NoError(t, s.Log.Stamp(one, custody.TimeOf(s.Now())))
	for n := range 35 {
		require.NoError(t, s.Log.Stamp(authority(t, 2, fmt.Sprintf("A %d", n), custody.ExternalAuthority), custody.TimeOf(s.Now())))
	}
	v := verify(written(t, contents(t, s, true)), believing(s, one))
	require.Empty(t, v.Problems)
	require.Len(t, v.Stamps, 32)
	require.NotNil(t, v.Timeline[0].Stamped)
}

// TestWhatIsNoStampSpoilsNoBundle: what was kept in another spelling, or is garbage, is
// left out of a bundle, which would be refused with it.
func TestWhatIsNoStampSpoilsNoBundle(t *testing.T) {
	s := sealed(t, 1)
	one, two := authority(t, 1, "Example TSA", custody.ExternalAuthority), authority(t, 1, "Other TSA", custody.ExternalAuthority)
	token, err := one.Stamp(s.Log.Checkpoint(), custody.TimeOf(s.Now()))
	require.NoError(t, err)
	require.NoError(t, s.Log.KeepStamp("Example TSA", bundle.Stamp{Checkpoint: s.Log.Checkpoint(), Token: otherForm(t, token)}))
	require.NoError(t, s.Log.KeepStamp("Third TSA", bundle.Stamp{Checkpoint: s.Log.Checkpoint(), Token: []byte("<html>")}))
	v := verify(written(t, contents(t, s, true)), believing(s, one, two))
	require.Empty(t, v.Problems)
	require.Empty(t, v.Stamps)
	require.NoError(t, s.Log.Stamp(two, custody.TimeOf(s.Now())))
	v = verify(written(t, contents(t, s, true)), believing(s, one, two))
	require.Empty(t, v.Problems)
	require.Len(t, v.Stamps, 1)
	require.Equal(t, "Other TSA", v.Stamps[0].Authority)
}

// TestAStampedCheckpointIsTheLogsAlone: what witnesses signed on it, which nothing
// covers, is left out.
func TestAStampedCheckpointIsTheLogsAlone(t *testing.T) {
	s := sealed(t, 1)
	one := authority(t, 1, "Example TSA", custody.QualifiedAuthority)
	w, err := guardtest.NewWitness(1, "witness.example/w1")
	require.NoError(t, err)
	require.NoError(t, s.Log.Witnessed(custody.TimeOf(s.Now()), w))
	require.NoError(t, s.Log.Stamp(one, custody.TimeOf(s.Now())))
	require.NoError(t, s.Log.Witnessed(0))
	v := verify(written(t, contents(t, s, true)), believing(s, one))
	require.Empty(t, v.Problems)
	require.True(t, v.Stamps[0].Verified)
}

// TestNoticesOfAuthorities are told from the policy's own history.
func TestNoticesOfAuthorities(t *testing.T) {
	s := newStory(t, 1)
	since := custody.TimeOf(s.Now())
	act := &custody.NoticeTime{Authority: "Example TSA", Since: since, State: custody.TimeLost}
	_, err := s.Attest(t.Context(), "", act)
	require.NoError(t, err)
	_, err = s.Attest(t.Context(), "", act)
	require.ErrorContains(t, err, "is on record")
	v := verify(written(t, contents(t, s, true)), s.Trust)
	require.Empty(t, v.Problems)
	require.Len(t, v.Notices, 1)
	require.Equal(t, *act, v.Notices[0].NoticeTime)
	require.Contains(t, text(t, v), "time-stamping authority Example TSA has not stamped since "+since.String())
}
