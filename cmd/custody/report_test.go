package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/deploy/lossyfs"
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
	for _, r := range done(t, lee, "evidence", "history", id)["records"].([]any) {
		require.NotEqual(t, string(custody.KindExportEvidence), r.(map[string]any)["kind"], "nor was anything exported for it")
	}
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
	refused(t, exitUsage, lee, []string{"report", id, "--bundle", all, "-o", more, "--purpose", "x"}, "is of a whole incident", "custody report "+d.incident)
	require.NoDirExists(t, more)
	refused(t, exitUsage, lee, []string{"report", d.incident, "--bundle", ofTwo, "-o", more, "--purpose", "x"}, "is of one item")
	refused(t, exitUsage, lee, []string{"report", "EX-1", "-o", more, "--purpose", "x"}, "is no identifier of an item (e-…) or an incident (i-…)")
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

// issued lists the papers of an item that are on record.
func issued(t *testing.T, home, id string) (digests []string) {
	t.Helper()
	records, ok := done(t, home, "evidence", "history", id)["records"].([]any)
	require.True(t, ok)
	for _, r := range records {
		if r := r.(map[string]any); r["kind"] == string(custody.KindReportEvidence) {
			digests = append(digests, r["act"].(map[string]any)["sha256"].(string))
		}
	}
	return digests
}

// folderOf reads all files of a folder.
func folderOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		files[e.Name()] = string(b)
	}
	return files
}

// TestReportGoesOn: papers whose issue was broken off, at whatever step, are put on
// record once: the same command goes on, and fetches the receipts of what is there.
func TestReportGoesOn(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	lee := d.enrol(t, "lee", custody.RoleLegalAdvisor)
	file := filepath.Join(t.TempDir(), "web01.dd")
	image(t, file, 1000)
	id := word(t, done(t, d.eve, d.add(file, "EX-1")...), "id")
	dir := filepath.Join(t.TempDir(), "EX-1")
	command := []string{"report", id, "-o", dir, "--purpose", "disclosure"}

	f := d.front(t)
	f.hinder.Store(&hindrance{times: 1, of: "paper", answer: 503})
	refused(t, exitUnreachable, lee, command, "nothing shows that it is on record", "the same command again")
	require.Empty(t, issued(t, lee, id))
	f.hinder.Store(&hindrance{times: 1, of: "paper"})
	refused(t, exitUnreachable, lee, command, "nothing shows that it is on record", "the same command again")
	require.Len(t, issued(t, lee, id), 1, "it is, and its answer was lost")
	f.hinder.Store(nil)
	done(t, lee, command...)
	require.Len(t, issued(t, lee, id), 7, "each once")
	whole := folderOf(t, dir)
	require.Len(t, whole, 15, "seven papers, their receipts, and the proof")

	for _, name := range []string{"custody-report.pdf", "custody-report.pdf.receipt", "case.jsonld.receipt"} {
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "case.jsonld.receipt.part"), []byte("bro"), 0o600))
	made := done(t, lee, command...)
	require.Equal(t, whole, folderOf(t, dir), "what was lost is there again, byte for byte")
	for _, m := range made["papers"].([]any) {
		require.NotZero(t, m.(map[string]any)["issued"].(map[string]any)["index"])
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	kept := []string{"--bundle", filepath.Join(dir, "proof.bundle")}
	done(t, lee, append([]string{"report", id, "-o", elsewhere, "--purpose", "disclosure"}, kept...)...)
	require.Equal(t, whole, folderOf(t, elsewhere))
	require.Len(t, issued(t, lee, id), 7)
	another := []string{"report", id, "-o", filepath.Join(t.TempDir(), "appeal"), "--purpose", "appeal", "--kind", "case"}
	done(t, lee, append(another, kept...)...)
	require.Len(t, issued(t, lee, id), 8, "for another purpose it is issued once more")

	receipt := filepath.Join(dir, "case.jsonld.receipt")
	require.NoError(t, os.WriteFile(receipt, []byte(whole["certificate-902-14.pdf.receipt"]), 0o600))
	refused(t, exitRefused, lee, command, "case.jsonld.receipt")
	require.NoError(t, os.WriteFile(receipt, []byte(whole["case.jsonld.receipt"]), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "case.jsonld"), []byte("{}"), 0o600))
	refused(t, exitRefused, lee, command, "case.jsonld is not what")
	other := filepath.Join(t.TempDir(), "other.bundle")
	done(t, lee, "bundle", "export", id, "-o", other, "--purpose", "another")
	refused(t, exitUsage, lee, append(command, "--bundle", other), "with papers from another proof")
	require.NoError(t, os.Remove(filepath.Join(dir, "proof.bundle")))
	refused(t, exitUsage, lee, command, "holds no proof.bundle")
	late := d.enrol(t, "late", custody.RoleLegalAdvisor)
	refused(t, exitRefused, late, []string{"report", id, "-o", filepath.Join(t.TempDir(), "late"), "--purpose", "x", "--bundle", other}, "before you were enrolled")
}

// TestReportOfAnotherLog: papers are made with a trust file of the log that they are
// put on record in, and with no other.
func TestReportOfAnotherLog(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	file := filepath.Join(t.TempDir(), "web01.dd")
	image(t, file, 1000)
	id := word(t, done(t, d.eve, d.add(file, "EX-1")...), "id")
	dir := filepath.Join(t.TempDir(), "EX-1")
	twin := newService(t, filepath.Join(t.TempDir(), "twin")) // of the same name
	foreign := filepath.Join(twin.dir, "trust.json")
	refused(t, exitRefused, d.eve, []string{"report", id, "-o", dir, "--purpose", "x", "--trust", foreign}, "a trust file of another log")
	require.NoDirExists(t, dir)
	require.Empty(t, issued(t, d.eve, id))
	kinds := done(t, d.eve, "evidence", "history", id)["records"].([]any)
	for _, r := range kinds {
		require.NotEqual(t, string(custody.KindExportEvidence), r.(map[string]any)["kind"], "nothing was exported")
	}

	strict := filepath.Join(t.TempDir(), "strict.json")
	b, err := os.ReadFile(filepath.Join(d.dir, "trust.json"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(strict, b, 0o600))
	done(t, d.eve, "report", id, "-o", dir, "--purpose", "x", "--trust", strict, "--kind", "case")
}

// TestBounded: a proof that comes without end is not written without end.
func TestBounded(t *testing.T) {
	var b strings.Builder
	w := &bounded{&b, 5}
	_, err := w.Write([]byte("123"))
	require.NoError(t, err)
	_, err = w.Write([]byte("45"))
	require.NoError(t, err)
	_, err = w.Write([]byte("6"))
	require.ErrorContains(t, err, "more than")
	require.Equal(t, "12345", b.String())
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("123456"), 0o600))
	_, err = readWhole(file, 5)
	require.ErrorContains(t, err, "more than 5 bytes")
	whole, err := readWhole(file, 6)
	require.NoError(t, err)
	require.Equal(t, "123456", string(whole))
}

// TestReportOfAnIncident: papers about an incident with all its items are put on record
// in its own history, once, and verified with its proof and no other.
func TestReportOfAnIncident(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	lee := d.enrol(t, "lee", custody.RoleLegalAdvisor)
	file := filepath.Join(t.TempDir(), "web01.dd")
	image(t, file, 1000)
	item := word(t, done(t, d.eve, d.add(file, "EX-1")...), "id")
	done(t, d.eve, d.add(file, "EX-2")...)
	dir, trust := filepath.Join(t.TempDir(), "all"), filepath.Join(d.dir, "trust.json")
	command := []string{"report", d.incident, "-o", dir, "--purpose", "disclosure"}
	outsider := d.enrol(t, "fred", custody.RoleForensicEngineer)
	refused(t, exitRefused, outsider, command, "not for you")
	require.NoDirExists(t, dir)

	onRecord := func() (digests []string) {
		for _, r := range done(t, lee, "record", "history", d.incident)["records"].([]any) {
			if r := r.(map[string]any); r["kind"] == string(custody.KindReportIncident) {
				digests = append(digests, r["act"].(map[string]any)["sha256"].(string))
			}
		}
		return digests
	}
	f := d.front(t)
	f.hinder.Store(&hindrance{times: 1, of: "paper"})
	refused(t, exitUnreachable, lee, command, "the same command again")
	require.Len(t, onRecord(), 1, "it is, and its answer was lost")
	done(t, lee, command...)
	require.Len(t, onRecord(), 7, "each once")
	require.Empty(t, issued(t, lee, item), "none about the item alone")
	whole := folderOf(t, dir)
	require.Len(t, whole, 15)
	for name, text := range whole {
		if filepath.Ext(name) != ".receipt" && name != "proof.bundle" {
			require.Contains(t, onRecord(), custody.Hash([]byte(text)).String(), name)
		}
	}
	report, stranger := filepath.Join(dir, "custody-report.pdf"), t.TempDir()
	said := done(t, stranger, "report", "verify", report, "--trust", trust)
	require.Equal(t, "lee", said["name"])
	require.Equal(t, d.incident, said["incident"])
	require.Nil(t, said["evidence"])
	require.Equal(t, true, said["follows"])
	text, _, code := run(t, stranger, "report", "verify", report, "--trust", trust)
	require.Equal(t, exitDone, code)
	require.Contains(t, text, "as custody-report of "+d.incident)

	one, later := filepath.Join(t.TempDir(), "one.bundle"), filepath.Join(t.TempDir(), "later.bundle")
	done(t, lee, "bundle", "export", item, "-o", one, "--purpose", "x")
	refused(t, exitRefused, stranger, []string{"report", "verify", report, "--trust", trust, "--bundle", one}, "of which the bundle is no proof")
	done(t, lee, "bundle", "export", d.incident, "-o", later, "--purpose", "x")
	told, _, code := run(t, stranger, "bundle", "verify", later, "--trust", trust)
	require.Equal(t, exitDone, code)
	require.Contains(t, told, "issued a paper about the incident and all its items")
	require.Contains(t, told, "custody-report, "+strconv.Itoa(len(whole["custody-report.pdf"]))+" bytes, SHA-256 "+custody.Hash([]byte(whole["custody-report.pdf"])).Hex())
}

// TestReportAndPowerLoss: the papers and their proof are on the disk before anybody
// signs for them, and what the command said that it wrote stays there.
func TestReportAndPowerLoss(t *testing.T) {
	top := t.TempDir()
	backing, point := filepath.Join(top, "disk"), filepath.Join(top, "mnt")
	require.NoError(t, os.Mkdir(backing, 0o700))
	require.NoError(t, os.Mkdir(point, 0o700))
	disk, err := lossyfs.Mount(backing, point, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = disk.Unmount() })
	lose := func() {
		require.NoError(t, disk.PowerLoss())
		require.NoError(t, disk.Unmount())
		disk, err = lossyfs.Mount(backing, point, 0)
		require.NoError(t, err)
	}
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	file := filepath.Join(t.TempDir(), "web01.dd")
	image(t, file, 1000)
	id := word(t, done(t, d.eve, d.add(file, "EX-1")...), "id")
	dir := filepath.Join(point, "EX-1")
	command := []string{"report", id, "-o", dir, "--purpose", "disclosure"}

	f := d.front(t)
	f.hinder.Store(&hindrance{times: 1, of: "paper"})
	refused(t, exitUnreachable, d.eve, command, "the same command again")
	lose()
	require.Len(t, folderOf(t, dir), 8, "the papers and the proof")
	made := done(t, d.eve, command...)
	lose()
	require.Len(t, folderOf(t, dir), 15)
	require.Len(t, issued(t, d.eve, id), 7)
	proof, trust := filepath.Join(dir, "proof.bundle"), filepath.Join(d.dir, "trust.json")
	b, err := os.ReadFile(proof)
	require.NoError(t, err)
	require.Equal(t, word(t, made, "bundle"), custody.Hash(b).String())

	exported, drafts := filepath.Join(point, "EX-1.bundle"), filepath.Join(point, "drafts")
	done(t, d.eve, "bundle", "export", id, "-o", exported, "--purpose", "disclosure")
	lose()
	done(t, t.TempDir(), "bundle", "verify", exported, "--trust", trust)
	done(t, t.TempDir(), "report", "--bundle", proof, "--trust", trust, "-o", drafts)
	lose()
	require.Len(t, folderOf(t, drafts), 7)
}
