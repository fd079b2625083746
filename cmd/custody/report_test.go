package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

// TestReport: papers are made and put on record, exactly those in the folder; from
// the proof that lies with them somebody without an account makes the same ones, byte
// for byte; and what they are, and who issued them, he can check.
func TestReport(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	lee := d.enrol(t, "lee", custody.RoleLegalAdvisor)
	file := filepath.Join(t.TempDir(), "web01.dd")
	image(t, file, 1000)
	id := word(t, done(t, d.eve, d.add(file, "EX-1")...), "id")
	trust := filepath.Join(d.dir, "trust.json")
	dir, again, more := filepath.Join(t.TempDir(), "EX-1"), filepath.Join(t.TempDir(), "again"), filepath.Join(t.TempDir(), "more")

	refused(t, exitUsage, lee, []string{"report", id, "-o", dir}, "--purpose")
	refused(t, exitUsage, lee, []string{"report", "-o", dir}, "--bundle and --trust")
	refused(t, exitUsage, lee, []string{"report", id, "-o", dir, "--purpose", "x", "--kind", "poem"}, "no kind of paper")
	require.NoDirExists(t, dir, "nothing is left of what was refused")
	refused(t, exitRefused, d.enrol(t, "fred", custody.RoleForensicEngineer), []string{"report", id, "-o", dir, "--purpose", "x"}, "not for you")
	require.NoDirExists(t, dir)

	made := done(t, lee, "report", id, "-o", dir, "--purpose", "disclosure to the defence")
	papers, ok := made["papers"].([]any)
	require.True(t, ok)
	require.Len(t, papers, 7)
	onRecord := map[string]string{}
	records, ok := done(t, lee, "evidence", "history", id)["records"].([]any)
	require.True(t, ok)
	for _, r := range records {
		if r := r.(map[string]any); r["kind"] == string(custody.KindReportEvidence) {
			act := r["act"].(map[string]any)
			onRecord[act["sha256"].(string)] = act["kind"].(string)
		}
	}
	require.Len(t, onRecord, 7)
	inFolder := 0
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		switch {
		case e.Name() == "proof.bundle":
			require.Equal(t, custody.Hash(b).String(), made["bundle"])
		case filepath.Ext(e.Name()) != ".receipt":
			inFolder++
			require.Contains(t, onRecord, custody.Hash(b).String(), e.Name())
			require.FileExists(t, filepath.Join(dir, e.Name()+".receipt"))
		}
	}
	require.Equal(t, 7, inFolder)

	second, ofTwo := filepath.Join(t.TempDir(), "web02.dd"), filepath.Join(t.TempDir(), "EX-2.bundle")
	image(t, second, 2000)
	done(t, lee, "bundle", "export", word(t, done(t, d.eve, d.add(second, "EX-2")...), "id"), "-o", ofTwo, "--purpose", "disclosure")
	all := filepath.Join(t.TempDir(), "all.bundle")
	done(t, lee, "bundle", "export", d.incident, "-o", all, "--purpose", "disclosure")
	refused(t, exitUsage, lee, []string{"report", id, "--bundle", all, "-o", more, "--purpose", "x"}, "is of a whole incident")
	require.NoDirExists(t, more)
	kept := filepath.Join(dir, "custody-report.pdf.receipt")
	proven := done(t, t.TempDir(), "log", "prove", kept, "--trust", trust, "--log", d.url+"/log/")
	require.Greater(t, proven["size"], proven["index"])
	done(t, t.TempDir(), "log", "consistency", kept, "--trust", trust, "--log", d.url+"/log/")
	refused(t, exitUsage, lee, []string{"log", "consistency", "--trust", trust, "--log", d.url + "/log/"}, "0 arguments instead of 1 or more")

	d.stop()
	stranger := t.TempDir()
	done(t, stranger, "report", "--bundle", filepath.Join(dir, "proof.bundle"), "--trust", trust, "-o", again)
	drafts, err := os.ReadDir(again)
	require.NoError(t, err)
	require.Len(t, drafts, 7)
	for _, e := range drafts {
		require.Contains(t, e.Name(), ".unsigned.")
		draft, err := os.ReadFile(filepath.Join(again, e.Name()))
		require.NoError(t, err)
		issued, err := os.ReadFile(filepath.Join(dir, strings.Replace(e.Name(), ".unsigned", "", 1)))
		require.NoError(t, err)
		require.Equal(t, issued, draft, e.Name())
	}
	paper := filepath.Join(dir, "custody-report.pdf")
	said := done(t, stranger, "report", "verify", paper, "--trust", trust)
	require.Equal(t, "lee", said["name"])
	require.Equal(t, "disclosure to the defence", said["purpose"])
	require.Equal(t, true, said["follows"])
	short := filepath.Join(t.TempDir(), "short.bundle")
	done(t, stranger, "bundle", "redact", filepath.Join(dir, "proof.bundle"), "-o", short, "--trust", trust, "--kind", "session.open")
	verify := []string{"report", "verify", paper, "--trust", trust, "--bundle"}
	require.Equal(t, false, done(t, stranger, append(verify, short)...)["follows"], "it was not made from this one")
	refused(t, exitRefused, stranger, append(verify, ofTwo), "of which the bundle is no proof")
	other, receipt := filepath.Join(dir, "custody-report.html"), []string{"--receipt", paper + ".receipt"}
	refused(t, exitRefused, stranger, append([]string{"report", "verify", other, "--trust", trust}, receipt...), "NOT VERIFIED", "this one has")

	b, err := os.ReadFile(filepath.Join(dir, "proof.bundle"))
	require.NoError(t, err)
	b[len(b)/2] ^= 1
	broken := filepath.Join(t.TempDir(), "broken.bundle")
	require.NoError(t, os.WriteFile(broken, b, 0o600))
	refused(t, exitRefused, stranger, []string{"report", "--bundle", broken, "--trust", trust, "-o", more}, "does not verify: no paper is made from it")
	require.NoDirExists(t, more)

	d.serve()
	done(t, lee, "report", id, "--bundle", filepath.Join(dir, "proof.bundle"), "-o", more, "--kind", "902-14", "--purpose", "once more")
	left, err := os.ReadDir(more)
	require.NoError(t, err)
	require.Len(t, left, 5, "two papers, their receipts and the proof")
}
