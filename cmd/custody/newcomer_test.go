package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
)

// TestWhatSomebodyNewTries: names in the forms in which they are shown, lists in the
// order in which people count, and slips that are told.
func TestWhatSomebodyNewTries(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	to := func(name string) string { return filepath.Join(t.TempDir(), name) }
	file, ids := to("web.dd"), map[string]string{}
	image(t, file, 1000)
	for _, exhibit := range []string{"EX-10", "EX-9", "EX-2"} {
		ids[exhibit] = word(t, done(t, d.eve, d.add(file, exhibit)...), "id")
	}

	for _, list := range [][]string{{"evidence", "list", d.incident}, {"evidence", "list", "--incident", d.incident}, {"incident", "show", d.incident}} {
		text, stderr, code := run(t, d.eve, list...)
		require.Equal(t, exitDone, code, stderr)
		two, nine, ten := strings.Index(text, "EX-2 "), strings.Index(text, "EX-9 "), strings.Index(text, "EX-10 ")
		require.True(t, 0 <= two && two < nine && nine < ten, text)
	}
	refused(t, exitUsage, d.eve, []string{"evidence", "list"}, "custody evidence list i-…")
	refused(t, exitUsage, d.eve, []string{"evidence", "list", d.incident, "--incident", d.incident}, "name one incident")
	refused(t, exitUsage, d.eve, []string{"evidence", "list", "i-1"})

	all, trust := to("all.bundle"), filepath.Join(d.dir, "trust.json")
	done(t, d.eve, "bundle", "export", d.incident, "-o", all, "--purpose", "a look")
	text, _, code := run(t, d.eve, "bundle", "verify", all, "--trust", trust)
	require.Equal(t, exitDone, code)
	two, nine, ten := strings.Index(text, "Exhibit     EX-2 "), strings.Index(text, "Exhibit     EX-9 "), strings.Index(text, "Exhibit     EX-10 ")
	require.True(t, 0 <= two && two < nine && nine < ten, text)
	require.Contains(t, text, "record evidence/"+ids["EX-2"]+":0, leaf ")

	hold := []string{"evidence", "hold", ids["EX-2"], "--authority", "a court, 7 O 12/26", "--purpose", "an order"}
	done(t, d.eve, hold...)
	refused(t, exitUsage, d.eve, hold, "is on hold by a court, 7 O 12/26 already", "--again")
	require.Len(t, done(t, d.eve, "evidence", "show", ids["EX-2"])["holds"], 1)
	done(t, d.eve, append(hold, "--again")...)
	require.Len(t, done(t, d.eve, "evidence", "show", ids["EX-2"])["holds"], 2)

	short := []string{"bundle", "redact", all, "-o", to("short.bundle"), "--trust", trust, "--withhold"}
	refused(t, exitUsage, d.eve, append(short, "evidence/EX-2:3"), "names no stream", "an identifier e-…")
	refused(t, exitUsage, d.eve, append(short, ids["EX-2"]+":99"), "fits 0 records")
	done(t, d.eve, "record", "history", ids["EX-2"])

	empty := to("empty.log")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	command := d.add(empty, "EX-11", "--empty")
	for i, flag := range command {
		if flag == "--type" {
			command[i+1] = "log"
		}
	}
	refused(t, exitUsage, d.eve, command, "--first-event", "of a log without events: from when and until when its source was logging")
	done(t, d.eve, append(command, "--first-event", "2026-11-01T00:00:00Z", "--last-event", "2026-11-02T00:00:00Z")...)
}

// TestTrustAuthoritiesSays what is wrong with how it was asked.
func TestTrustAuthoritiesSays(t *testing.T) {
	s := newService(t, filepath.Join(t.TempDir(), "service"), "--authority", "our clock")
	trust, home := filepath.Join(s.dir, "trust.json"), t.TempDir()
	to := func(name string) string { return filepath.Join(t.TempDir(), name) }
	certificates := to("tsa.pem")
	require.NoError(t, os.WriteFile(certificates, []byte(s.trust.Authorities[0].Certificates), 0o600))
	with := func(more ...string) []string {
		return append([]string{"trust", "authorities", "--name", "x", "--certificates", certificates}, more...)
	}
	refused(t, exitUsage, home, with(trust), "missing: --kind, --out")
	refused(t, exitUsage, home, with("--kind", "external", "--out", to("a")), "no trust file is used here yet")
	refused(t, exitUsage, home, with(trust, "--kind", "good", "--out", to("a")), "--kind: good is none of external, qualified and local")
	refused(t, exitUsage, home, with(trust, trust, "--kind", "external", "--out", to("a")), "2 arguments instead of 1 or fewer")
	refused(t, exitUsage, home, with(trust, "--trust", trust, "--kind", "external", "--out", to("a")), "name one trust file")
	refused(t, exitUsage, home, with(trust, "--kind", "external", "--out", trust), "trust.json is there already")
	refused(t, exitUsage, home, []string{"trust", "authorities", trust, "--name", "x", "--kind", "external", "--certificates", trust, "--out", to("a")},
		"trust.json: no certificate in PEM (-----BEGIN CERTIFICATE-----) is in it")
	v := done(t, home, with("--trust", trust, "--kind", "external", "--out", to("a"))...)
	require.Len(t, v["authorities"], 2)
}

// TestStampsThatAreDue: an authority is asked an interval after its newest stamp, when
// the log has grown since.
func TestStampsThatAreDue(t *testing.T) {
	at := func(minutes int) custody.Time {
		return custody.TimeOf(time.Unix(1_764_000_000, 0).Add(time.Duration(minutes) * time.Minute))
	}
	r := &stampReport{Size: 20, Stamps: []stamped{
		{Size: 5, Time: at(0), Authority: "A"}, {Size: 7, Time: at(65), Authority: "A"}, {Size: 9, Time: at(60), Authority: "A"}, {Size: 20, Time: at(70), Authority: "B"},
	}}
	r.due([]api.StampAuthority{{Name: "A", Kind: "external", Minutes: 45}, {Name: "B", Kind: "local", Minutes: 60}, {Name: "C\nsize 1", Kind: "external", Minutes: 60}})
	require.Equal(t, []asked{{"A", "external", 45, at(110)}, {"B", "local", 60, 0}, {"C\nsize 1", "external", 60, 0}}, r.Asked)
	text := r.text()
	require.Contains(t, text, "asked: A (external), once in 45 minutes when the log has grown; next due "+at(110).String()+"\n")
	require.Contains(t, text, "asked: B (local: the operator's own clock), once in 60 minutes when the log has grown; next when the log has grown\n")
	require.NotContains(t, text, "\nsize 1")
}
