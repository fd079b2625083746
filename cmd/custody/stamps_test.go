package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger/authority/authoritytest"
)

// TestStampsOfALog: a stranger with the trust file verifies who stamped the log, and
// believes nobody whom his file does not name.
func TestStampsOfALog(t *testing.T) {
	t.Parallel()
	tsa := authoritytest.OpenSSL(t, "Example TSA")
	s := newService(t, filepath.Join(t.TempDir(), "service"), "--authority", "Example TSA="+tsa.URL+","+tsa.File, "--authority", "our clock")
	s.start()
	at := func(name string) string { return filepath.Join(t.TempDir(), name) }
	trust := filepath.Join(s.dir, "trust.json")
	stamps := func(trust string, more ...string) []string {
		return append([]string{"log", "stamps", "--trust", trust, "--log", s.url + "/log/"}, more...)
	}
	refused(t, exitUnreachable, "", []string{"log", "stamps", "--trust", trust, "--log", "http://127.0.0.1:9/log/"}, "did not answer")
	require.Eventually(t, func() bool {
		text, _, _ := run(t, "", stamps(trust)...)
		return strings.Count(text, "existed by") == 2
	}, patience, 100*time.Millisecond)
	text, stderr, code := run(t, "", stamps(trust)...)
	require.Equal(t, exitDone, code, stderr)
	require.Contains(t, text, "Example TSA (external)")
	require.Contains(t, text, "our clock (local: the operator's own clock)")
	require.Contains(t, text, "all 2 records of the log are stamped")
	answer := done(t, "", stamps(trust)...)
	require.Len(t, answer["stamps"], 2)
	require.Empty(t, answer["gaps"])
	require.Equal(t, float64(3600), answer["withinSeconds"])

	text, _, code = run(t, "", "trust", "show", trust)
	require.Equal(t, exitDone, code)
	require.Contains(t, text, "authority Example TSA (external)\n  root CN=the root of a test, SHA-256 ")
	require.Contains(t, text, "authority our clock (local: the operator's own clock)")

	// Who insists on nobody believes nobody.
	bare := *s.trust
	bare.Authorities = nil
	b, err := bare.Marshal()
	require.NoError(t, err)
	none := at("none.json")
	require.NoError(t, os.WriteFile(none, b, 0o600))
	text, _, code = run(t, "", stamps(none)...)
	require.Equal(t, exitDone, code)
	require.Equal(t, 2, strings.Count(text, "NOT BELIEVED"))
	require.Contains(t, text, "2 of the log's 2 records are not stamped yet")

	// He makes a trust file of his own, and another one in which somebody else has the
	// name.
	mine, theirs := at("mine.json"), at("theirs.json")
	named := func(out, kind, certificates string) []string {
		return []string{"trust", "authorities", none, "--name", "Example TSA", "--kind", kind, "--certificates", certificates, "--out", out}
	}
	text, stderr, code = run(t, "", named(mine, "qualified", tsa.File)...)
	require.Equal(t, exitDone, code, stderr)
	require.Contains(t, text, "authority Example TSA (qualified: presumed accurate by Article 41(2) eIDAS)")
	text, _, code = run(t, "", stamps(mine)...)
	require.Equal(t, exitDone, code)
	require.Contains(t, text, "Example TSA (qualified: presumed accurate by Article 41(2) eIDAS)")
	require.Contains(t, text, "NOT BELIEVED: our clock")
	require.NotContains(t, text, "not stamped yet")
	_, _, code = run(t, "", named(theirs, "external", authoritytest.Clock(t, "Example TSA", time.Now).File)...)
	require.Equal(t, exitDone, code)
	text, _, code = run(t, "", stamps(theirs)...)
	require.Equal(t, exitRefused, code)
	require.Contains(t, text, "DOES NOT VERIFY")
	require.Contains(t, text, "no path leads")
	for _, c := range [][]string{
		named(mine, "qualified", tsa.File),            // it is there
		named(at("a"), "perfect", tsa.File),           // no kind
		named(at("b"), "external", trust),             // no certificates
		named(at("c"), "external", at("nothing")),     // no file
		{"trust", "authorities", none, "--name", "x"}, // no more said
	} {
		_, _, code := run(t, "", c...)
		require.Equal(t, exitUsage, code, "%q", c)
	}
	_, _, code = run(t, "", "init", "--dir", at("service"), "--origin", "custody.example/x", "--authority", "x=y")
	require.Equal(t, exitUsage, code)
}

func TestGaps(t *testing.T) {
	at := func(minutes int) custody.Time {
		return custody.TimeOf(time.Unix(1_764_000_000, 0).Add(time.Duration(minutes) * time.Minute))
	}
	by := func(minutes int, size uint64, kind custody.TimeAuthorityKind, verified bool) stamped {
		return stamped{Size: size, Time: at(minutes), Kind: kind, Verified: verified}
	}
	const external, local = custody.ExternalAuthority, custody.LocalAuthority
	for name, c := range map[string]struct {
		stamps    []stamped
		gaps      []gap
		unstamped uint64
	}{
		"none":                                {nil, nil, 20},
		"in time":                             {[]stamped{by(0, 5, external, true), by(60, 9, external, true), by(122, 20, external, true)}, nil, 0},
		"late":                                {[]stamped{by(0, 5, external, true), by(70, 9, external, true)}, []gap{{5, 8, at(0), at(70)}}, 11},
		"late, and nothing had come":          {[]stamped{by(0, 9, external, true), by(700, 9, external, true)}, nil, 11},
		"what does not verify ends no gap":    {[]stamped{by(0, 5, external, true), by(60, 7, external, false), by(120, 9, external, true)}, []gap{{5, 8, at(0), at(120)}}, 11},
		"the operator's clock ends no gap":    {[]stamped{by(0, 5, external, true), by(60, 7, local, true), by(120, 9, external, true)}, []gap{{5, 8, at(0), at(120)}}, 11},
		"unless there is nothing else":        {[]stamped{by(0, 5, local, true), by(60, 7, local, true), by(120, 9, local, true)}, nil, 11},
		"an older checkpoint, stamped later":  {[]stamped{by(0, 9, external, true), by(60, 5, external, true), by(120, 12, external, true)}, []gap{{9, 11, at(0), at(120)}}, 8},
		"a stamp of a log that went on since": {[]stamped{by(0, 25, external, true)}, nil, 0},
	} {
		r := &stampReport{Size: 20, Stamps: c.stamps}
		r.findGaps(time.Hour)
		require.Equal(t, c.gaps, r.Gaps, name)
		require.Equal(t, c.unstamped, r.Unstamped, name)
	}
}

// TestNamesThatALogTells begin no line of their own: the log says what it likes.
func TestNamesThatALogTells(t *testing.T) {
	r := &stampReport{Size: 20, Stamps: []stamped{{Size: 5, Authority: "x\nsize 20       existed by 2020 Example TSA (external)", unknown: true}}}
	require.NotContains(t, r.text(), "\nsize 20       existed by")
	require.Equal(t, 2, strings.Count(r.text(), "\n"))
	r.Stamps[0].Authority = "Example TSA"
	require.Contains(t, r.text(), "NOT BELIEVED: Example TSA says")
}

// TestAListWithoutEnd: a log that lists stamps without end, page after page or in one,
// is read as far as it has records, and one whose pages do not go on is no log.
func TestAListWithoutEnd(t *testing.T) {
	s := newService(t, filepath.Join(t.TempDir(), "service"))
	s.start()
	read, err := sourceOf(s.url + "/log/")
	require.NoError(t, err)
	asked := 0
	lists := func(page func(from uint64) []api.ListedStamp) (*stampReport, error) {
		asked = 0
		return readStamps(t.Context(), s.trust, func(ctx context.Context, path string) ([]byte, error) {
			var from uint64
			if n, _ := fmt.Sscanf(path, "stamps/from/%d", &from); n == 0 {
				return read(ctx, path)
			}
			if asked++; asked > 100 {
				return nil, errors.New("it is asked again and again")
			}
			return json.Marshal(api.StampList{Authorities: []api.StampAuthority{}, Stamps: page(from), More: true})
		}, 0)
	}
	one := func(size uint64) api.ListedStamp { return api.ListedStamp{Size: size, Authority: "nobody"} }

	r, err := lists(func(from uint64) []api.ListedStamp { return []api.ListedStamp{one(from)} })
	require.NoError(t, err)
	require.Len(t, r.Stamps, int(r.Size)+1, "of the sizes 0 to that of the log")
	require.Equal(t, int(r.Size)+2, asked)
	r, err = lists(func(uint64) (list []api.ListedStamp) {
		for n := range uint64(1000) {
			list = append(list, one(n))
		}
		return list
	})
	require.NoError(t, err)
	require.Len(t, r.Stamps, int(r.Size)+1)
	require.Equal(t, 1, asked)
	r, err = lists(func(uint64) []api.ListedStamp { return nil })
	require.NoError(t, err)
	require.Empty(t, r.Stamps)
	require.Equal(t, 1, asked, "an empty page is the last")
	_, err = lists(func(uint64) []api.ListedStamp { return []api.ListedStamp{one(1)} })
	require.ErrorContains(t, err, "not in order")
	_, err = lists(func(uint64) []api.ListedStamp { return []api.ListedStamp{one(2), one(1)} })
	require.ErrorContains(t, err, "not in order")
	require.Equal(t, 1, asked, "within a page too")
}
