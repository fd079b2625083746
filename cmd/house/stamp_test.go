package house_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/cmd/house"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/stamp"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/ledger/authority"
	"github.com/forensic-custody/custody/ledger/authority/authoritytest"
	"github.com/forensic-custody/custody/storage/archive"
)

// createStamped makes a service whose log is stamped by authorities, and has metrics.
func createStamped(t *testing.T, list ...house.Authority) (dir string, trust *custody.Trust) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "service")
	c := house.Default(origin)
	c.Listen, c.Metrics, c.Authorities = "127.0.0.1:0", free(t), list
	trust, err := house.Create(t.Context(), dir, c)
	require.NoError(t, err)
	return dir, trust
}

func external(s *authoritytest.Server) house.Authority {
	return house.Authority{Name: s.Trusted.Name, Kind: s.Trusted.Kind, URL: s.URL, Certificates: s.File}
}

var own = house.Authority{Name: "own clock", Kind: custody.LocalAuthority}

// fetch reads what the service serves below the log.
func (r *running) fetch(path string) []byte {
	r.t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	a, b := get(r.t, &http.Client{Transport: transport}, "http://"+r.address+"/log/"+path)
	require.Equal(r.t, http.StatusOK, a.StatusCode, path)
	return []byte(b)
}

func (r *running) stamps() (list api.StampList) {
	r.t.Helper()
	require.NoError(r.t, json.Unmarshal(r.fetch("stamps/from/0"), &list))
	return list
}

// stampedBy says whether an authority has stamped the log so often, to wait for.
func (r *running) stampedBy(name string, times int) func() bool {
	return func() bool {
		n := 0
		for _, s := range r.stamps().Stamps {
			if s.Authority == name {
				n++
			}
		}
		return n >= times
	}
}

// TestTheLogIsStamped by somebody else's authority, and by the service's own; what it
// serves is what both OpenSSL and the trust file accept.
func TestTheLogIsStamped(t *testing.T) {
	t.Parallel()
	s := authoritytest.OpenSSL(t, "OpenSSL")
	dir, trust := createStamped(t, external(s), own)
	require.Len(t, trust.Authorities, 2)
	require.Equal(t, s.Trusted, trust.Authorities[0])
	require.Equal(t, custody.LocalAuthority, trust.Authorities[1].Kind)
	r := start(t, dir)
	require.Eventually(t, func() bool { return len(r.stamps().Stamps) == 2 }, patience, 20*time.Millisecond)
	list := r.stamps()
	require.Equal(t, []api.StampAuthority{{Name: "OpenSSL", Kind: "external", Minutes: 60}, {Name: "own clock", Kind: "local", Minutes: 60}}, list.Authorities)
	require.False(t, list.More)
	for i, l := range list.Stamps {
		signed := r.fetch(fmt.Sprintf("stamps/%d/checkpoint", l.Size))
		_, err := trust.OpenCheckpoint(signed)
		require.NoError(t, err)
		token := r.fetch(fmt.Sprintf("stamps/%d/%s.tst", l.Size, l.Name))
		said, err := stamp.Verify(token, signed, trust.Authorities[i])
		require.NoError(t, err)
		require.Equal(t, l.Time, said.Time)
		require.Equal(t, l.Kind, said.Kind)
		require.NoError(t, authoritytest.OpenSSLAccepts(t, token, signed, trust.Authorities[i].Certificates))
	}
	for _, path := range []string{"stamps/from/x", "stamps/from/01", "stamps/9999/checkpoint", "stamps/1/x", "stamps/1/0000000000000000.tst", "stamps/-1/checkpoint"} {
		transport := &http.Transport{}
		a, _ := get(t, &http.Client{Transport: transport}, "http://"+r.address+"/log/"+path)
		transport.CloseIdleConnections()
		require.Equal(t, http.StatusNotFound, a.StatusCode, path)
	}
}

// notices returns what stands on record of authorities, the oldest first.
func notices(t *testing.T, auditor *client.Client) (list []custody.NoticeTime) {
	t.Helper()
	said, err := auditor.Records(t.Context(), custody.PolicyStream)
	if err != nil {
		return nil // it is waited for, too
	}
	for _, s := range said {
		st, err := s.Record.Envelope.Statement(investigate.Words())
		require.NoError(t, err)
		if act, ok := st.Act.(*custody.NoticeTime); ok {
			list = append(list, *act)
		}
	}
	return list
}

// TestAnAuthorityIsLostAndComesBack: nothing else stops meanwhile, all of it is on
// record, and what was not stamped then is stamped later, with its true time.
func TestAnAuthorityIsLostAndComesBack(t *testing.T) {
	t.Parallel()
	clock := &moved{}
	var ahead atomic.Int64
	s := authoritytest.Clock(t, "Example TSA", func() time.Time { return clock.now().Add(time.Duration(ahead.Load())) })
	dir, trust := createStamped(t, external(s))
	failing, drifting := `custody_timestamp_failing{authority="Example TSA"}`, `custody_timestamp_drifting{authority="Example TSA"}`
	r := startAt(t, dir, slog.DiscardHandler, clock.now)
	require.Eventually(t, r.stampedBy("Example TSA", 1), patience, 20*time.Millisecond)
	administrator, engineer, incident := r.team()
	auditor := r.colleague(administrator, "Otto Outsider", custody.RoleExternalAuditor)
	waiting := func(seconds float64) func() bool {
		return func() bool {
			age, err := r.figure(`custody_timestamp_age_seconds{authority="Example TSA"}`)
			return err == nil && age > seconds
		}
	}
	require.Eventually(t, waiting(0), patience, 20*time.Millisecond)
	require.Equal(t, 1, s.Asked(), "once in an hour")
	clock.pass(61 * time.Minute)
	require.Eventually(t, r.stampedBy("Example TSA", 2), patience, 20*time.Millisecond)
	require.Equal(t, 2, s.Asked())
	require.Zero(t, r.metric(failing))

	var taken []custody.EvidenceID
	for _, c := range []http.HandlerFunc{
		func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	} {
		s.Instead(c)
		taken = append(taken, takeIn(t, r.as(engineer), incident, fmt.Sprintf("EX-%d", len(taken)), noise(1000, 1)))
		clock.pass(61 * time.Minute)
		require.Eventually(t, r.shows(failing, 1), patience, 20*time.Millisecond)
	}
	lostAt := custody.TimeOf(clock.now())
	clock.pass(61 * time.Minute) // for an interval
	require.Eventually(t, func() bool { return len(notices(t, r.as(auditor))) == 1 }, patience, 20*time.Millisecond)
	require.Eventually(t, waiting(3600), patience, 20*time.Millisecond)
	s.Instead(nil)
	clock.pass(6 * time.Minute)
	require.Eventually(t, r.stampedBy("Example TSA", 3), patience, 20*time.Millisecond)
	require.Eventually(t, func() bool { return len(notices(t, r.as(auditor))) == 2 }, patience, 20*time.Millisecond)
	require.Zero(t, r.metric(failing))
	last := r.stamps().Stamps[2]
	require.Greater(t, last.Time, lostAt, "with its true time")

	ahead.Store(int64(5 * time.Minute))
	clock.pass(61 * time.Minute)
	require.Eventually(t, r.shows(drifting, 1), patience, 20*time.Millisecond)
	require.Eventually(t, func() bool { return len(notices(t, r.as(auditor))) == 3 }, patience, 20*time.Millisecond)
	require.InDelta(t, 300, r.metric(`custody_timestamp_drift_seconds{authority="Example TSA"}`), 3)
	ahead.Store(0)
	clock.pass(61 * time.Minute)
	require.Eventually(t, r.shows(drifting, 0), patience, 20*time.Millisecond)
	require.Eventually(t, func() bool { return len(notices(t, r.as(auditor))) == 4 }, patience, 20*time.Millisecond)
	list := notices(t, r.as(auditor))
	var states []string
	for _, n := range list {
		states = append(states, n.State)
		require.Equal(t, "Example TSA", n.Authority)
	}
	require.Equal(t, []string{custody.TimeLost, custody.TimeBack, custody.TimeDrift, custody.TimeBack}, states)
	require.Less(t, list[0].Since, lostAt)
	require.InDelta(t, 300_000, list[2].DriftMs, 3000)
	for _, l := range r.stamps().Stamps {
		_, err := stamp.Verify(r.fetch(fmt.Sprintf("stamps/%d/%s.tst", l.Size, l.Name)), r.fetch(fmt.Sprintf("stamps/%d/checkpoint", l.Size)), trust.Authorities[0])
		require.NoError(t, err)
	}

	// A bundle has it all.
	var b bytes.Buffer
	require.NoError(t, r.as(engineer).Bundle(t.Context(), "for the court", taken[0], true, &b))
	v := bundle.Verify(&b, trust, bundle.Options{Words: investigate.Words()})
	require.Empty(t, v.Problems)
	require.Len(t, v.Notices, 4)
	require.Equal(t, last.Time, v.Gaps[0].To)
	for _, e := range v.Timeline {
		if e.Kind == custody.KindSealEvidence {
			require.Equal(t, &bundle.Existence{By: last.Time, Accuracy: 1000, Authority: "Example TSA", Kind: custody.ExternalAuthority}, e.Stamped)
		}
	}
	require.Nil(t, v.Timeline[len(v.Timeline)-1].Stamped, "the export itself")
}

// TestAnAuthorityThatHangs keeps no other one, nor anything else, from its work, and a
// service stops while it does.
func TestAnAuthorityThatHangs(t *testing.T) {
	t.Parallel()
	s := authoritytest.Clock(t, "Example TSA", time.Now)
	hanging, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	var ended atomic.Int64
	s.Instead(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // before, it is not seen that the client went away
		select {
		case <-hanging.Done():
		case <-r.Context().Done():
		}
		ended.Add(1)
	})
	dir, _ := createStamped(t, external(s), own)
	r := start(t, dir)
	require.Eventually(t, func() bool { return s.Asked() > 0 }, patience, 20*time.Millisecond)
	require.Eventually(t, r.stampedBy("own clock", 1), patience, 20*time.Millisecond)
	require.Zero(t, ended.Load(), "it still hangs")
	_, engineer, incident := r.team()
	takeIn(t, engineer, incident, "EX-1", noise(1000, 1))
	began := time.Now()
	r.stop()
	require.Less(t, time.Since(began), 8*time.Second, "it is not waited for")
}

// TestStampsAreMadeAgain from the bucket, and compared with it.
func TestStampsAreMadeAgain(t *testing.T) {
	t.Parallel()
	dir, _ := createStamped(t, own)
	liveIn(t, dir)
	found, err := house.Fsck(t.Context(), dir, quiet)
	require.NoError(t, err)
	require.Empty(t, found.Disagreements)
	require.NotZero(t, found.Stamps)
	stamps, err := filepath.Glob(filepath.Join(dir, "bucket", "stamps", "*"))
	require.NoError(t, err)
	require.Len(t, stamps, int(found.Stamps))
	change := func(text string) {
		db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "records.db"))
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), text)
		require.NoError(t, err)
		require.NoError(t, db.Close())
	}
	says := func(want string) {
		t.Helper()
		found, err := house.Fsck(t.Context(), dir, quiet)
		require.NoError(t, err)
		require.Contains(t, joined(found.Disagreements), want)
	}
	change(`CREATE TABLE kept AS SELECT * FROM stamps`)
	back := func() { change(`DELETE FROM stamps`); change(`INSERT INTO stamps SELECT * FROM kept`) }
	change(`DELETE FROM stamps`)
	says("the database has none, and the archive has")
	back()
	change(`UPDATE stamps SET token = x'00'`)
	says("the database has another than the archive")
	back()
	change(`UPDATE stamps SET stamped = stamped - 1`)
	says("the database has another than the archive")
	back()

	kept, err := os.ReadFile(stamps[0])
	require.NoError(t, err)
	replace := func(b []byte) {
		require.NoError(t, os.Chmod(stamps[0], 0o600))
		require.NoError(t, os.WriteFile(stamps[0], b, 0o600))
	}
	var object struct {
		Authority, Checkpoint, Kind string
		Token                       []byte
	}
	require.NoError(t, json.Unmarshal(kept, &object))
	object.Token[len(object.Token)-1] ^= 1
	forged, err := custody.Encode(map[string]any{"authority": object.Authority, "checkpoint": object.Checkpoint, "kind": object.Kind, "token": object.Token})
	require.NoError(t, err)
	for name, b := range map[string][]byte{"damaged": kept[:100], "forged": forged} {
		replace(b)
		says("archive")
		lose(t, dir, databases...)
		made, err := house.Rebuild(t.Context(), dir, nil, quiet)
		require.NoError(t, err, name)
		require.Len(t, made.SetAside, 1, name)
		require.Equal(t, found.Stamps-1, made.Stamps)
	}
	replace(kept)

	// Nor is there one by an authority that nobody knows any more, unless it is signed.
	forged, err = custody.Encode(map[string]any{"authority": "Somebody", "checkpoint": object.Checkpoint, "kind": object.Kind, "token": object.Token})
	require.NoError(t, err)
	size, _, _ := strings.Cut(filepath.Base(stamps[0]), "-")
	planted := filepath.Join(filepath.Dir(stamps[0]), size+"-"+archive.StampName("Somebody"))
	require.NoError(t, os.WriteFile(planted, forged, 0o600))
	says("a stamp by Somebody: it is no stamp of this log")
	lose(t, dir, databases...)
	made, err := house.Rebuild(t.Context(), dir, nil, quiet)
	require.NoError(t, err)
	require.Len(t, made.SetAside, 1)
	require.Equal(t, found.Stamps, made.Stamps)
	require.NoError(t, os.Remove(planted))

	lose(t, dir, databases...)
	made, err = house.Rebuild(t.Context(), dir, nil, quiet)
	require.NoError(t, err)
	require.Empty(t, made.SetAside)
	require.Equal(t, found.Stamps, made.Stamps)
	found, err = house.Fsck(t.Context(), dir, quiet)
	require.NoError(t, err)
	require.Empty(t, found.Disagreements)

	// What was stamped cannot be missing, though nobody kept a checkpoint.
	clock := &moved{}
	clock.pass(2 * time.Hour)
	r := startAt(t, dir, slog.DiscardHandler, clock.now)
	require.Eventually(t, r.stampedBy(own.Name, int(found.Stamps)+1), patience, 20*time.Millisecond)
	r.stop()
	segments, err := filepath.Glob(filepath.Join(dir, "bucket", "records", "*", "*"))
	require.NoError(t, err)
	slices.Sort(segments)
	require.NoError(t, os.Remove(segments[len(segments)-1]))
	lose(t, dir, append([]string{"lock.db"}, databases...)...)
	_, err = house.Rebuild(t.Context(), dir, nil, quiet)
	require.ErrorIs(t, err, ledger.ErrRollback)
	require.ErrorContains(t, err, "own clock has stamped")
}

// TestSelfMadeStamps: somebody who can write to the bucket puts stamps there that he made
// himself, under as many names. The real ones come back with the database, and into
// bundles, whatever the names; nor is one of his taken for that of an authority which
// the trust file names and the configuration no more.
func TestSelfMadeStamps(t *testing.T) {
	t.Parallel()
	dir, trust := createStamped(t, own)
	l := liveIn(t, dir)
	stamps, err := filepath.Glob(filepath.Join(dir, "bucket", "stamps", "*"))
	require.NoError(t, err)
	var real struct {
		Authority, Checkpoint, Kind string
		Token                       []byte
	}
	b, err := os.ReadFile(stamps[0])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &real))
	mallory := authoritytest.Clock(t, "Mallory", time.Now)
	plant := func(name, checkpoint string) {
		asked := authority.Remote(mallory.Trusted, mallory.URL)
		token, said, err := asked.Stamp(t.Context(), []byte(checkpoint))
		require.NoError(t, err)
		require.NoError(t, asked.Close())
		b, err := custody.Encode(map[string]any{"authority": name, "checkpoint": checkpoint, "kind": "external", "token": token})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "bucket", "stamps", fmt.Sprintf("%016d-%s", said.Size, archive.StampName(name))), b, 0o600))
	}
	for n := range 36 {
		plant(fmt.Sprintf("A %d", n), real.Checkpoint)
		plant(fmt.Sprintf("B %d", n), string(l.checkpoint))
	}
	c := house.Default(origin)
	c.Listen = "127.0.0.1:0"
	config, err := json.Marshal(c)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600)) // without the authority
	plant(own.Name, string(l.checkpoint))

	lose(t, dir, databases...)
	made, err := house.Rebuild(t.Context(), dir, nil, quiet)
	require.NoError(t, err)
	require.Len(t, made.SetAside, 5+4+1)
	require.Equal(t, 5+4, strings.Count(joined(made.SetAside), "more than 32 stamps of one size"))
	require.Equal(t, 1, strings.Count(joined(made.SetAside), "a stamp by own clock: it is no stamp of this log"))
	require.EqualValues(t, 2*32, made.Stamps)
	found, err := house.Fsck(t.Context(), dir, quiet)
	require.NoError(t, err)
	require.ElementsMatch(t, made.SetAside, trimmed(found.Disagreements, "archive: "), "and nothing else")

	r := start(t, dir)
	defer r.stop()
	var out bytes.Buffer
	require.NoError(t, r.as(l.engineer).Bundle(t.Context(), "for the court", l.item, true, &out))
	v := bundle.Verify(&out, trust, bundle.Options{Words: investigate.Words()})
	require.Empty(t, v.Problems)
	require.Len(t, v.Stamps, 32)
	require.True(t, slices.ContainsFunc(v.Stamps, func(s bundle.StampFound) bool { return s.Verified && s.Authority == own.Name }))
}

func trimmed(list []string, prefix string) (all []string) {
	for _, s := range list {
		all = append(all, strings.TrimPrefix(s, prefix))
	}
	return all
}
