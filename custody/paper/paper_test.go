package paper_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/custody/paper"
	"github.com/forensic-custody/custody/custody/paper/caseuco"
	"github.com/forensic-custody/custody/investigate"
)

// squeezed is a text without white space: where lines break is no matter.
func squeezed(s string) string { return strings.Join(strings.Fields(s), "") }

// fromPDF reads a PDF's text back with a program of others.
func fromPDF(t *testing.T, b []byte) string {
	t.Helper()
	return run(t, "pdftotext", "-layout", inFolder(t, "paper.pdf", b), "-")
}

var tags = regexp.MustCompile(`<style>[^<]*</style>|<[^>]*>`)

// fromHTML returns what a page shows.
func fromHTML(b []byte) string { return html.UnescapeString(tags.ReplaceAllString(string(b), " ")) }

// says requires that both forms of a paper say each text.
func says(t *testing.T, all map[string][]byte, name string, texts ...string) {
	t.Helper()
	for form, text := range forms(t, all, name) {
		for _, want := range texts {
			require.True(t, strings.Contains(text, squeezed(want)), "%s.%s lacks %.300q", name, form, want)
		}
	}
}

// silent requires that neither form of a paper says any of the texts.
func silent(t *testing.T, all map[string][]byte, name string, texts ...string) {
	t.Helper()
	for form, text := range forms(t, all, name) {
		for _, not := range texts {
			require.False(t, strings.Contains(text, squeezed(not)), "%s.%s says %q", name, form, not)
		}
	}
}

// forms returns what the two forms of a paper say, squeezed.
func forms(t *testing.T, all map[string][]byte, name string) map[string]string {
	t.Helper()
	return map[string]string{"html": squeezed(fromHTML(all[name+".html"])), "pdf": cells(t, all[name+".pdf"])}
}

// everyPage is what stands on each page, and the head of a table that goes on there.
var everyPage = regexp.MustCompile(`BundleSHA-256[0-9a-f]{64}Page\d+of\d+(Chainofcustody:exhibit[^A-Z]*(EX-1|EX-<b>1</b>)|Certificateof[^:]*:exhibitEX-1)(LogWhenWhoWhat,andwhy|NameTitleandcontactRecords)?`)

// cells returns a PDF's text in the order in which it is drawn, squeezed, and without
// what stands on every page.
func cells(t *testing.T, b []byte) string {
	t.Helper()
	text := squeezed(run(t, "pdftotext", "-raw", inFolder(t, "paper.pdf", b), "-"))
	return everyPage.ReplaceAllString(text, "")
}

// TestTheReportSays what a report of a chain of custody has to (S-1 to S-10, S-21,
// S-22, S-30, S-39, S-45).
func TestTheReportSays(t *testing.T) {
	l := eventful(t)
	p := l.proof()
	all := files(t, p, custody.PaperReport)
	says(t, all, "custody-report",
		"VERIFIED. Every record in the bundle of this exhibit is signed by who it says",
		fmt.Sprintf("No record of it is left out, as of log size %d.", p.Verdict.Size),
		"a login from two countries at once", "disk: disk.img", custody.Hash(l.Artifact).Hex(), p.Verdict.Items[0].Artifact.Root.Hex(),
		"md5 of the artifact d41d8cd98f00b204e9800998ecf8427e",
		"laptop", "ThinkPad X1", "SN 123", "web01", "office, room 4", "2026-11-23T20:41:00+01:00", "incident response policy 4.2", "dd 9.1, settings: bs=1M", "Tableau T8u",
		"Officer Olga Öberg", "patrol officer", "+46 8 555 01 23", "not compared with another clock",
		"Not recorded IP address; MAC address; Where the source stands; Changed on the source",
		"Emil Engineer", "Clara Counsel", "Lena Lead", "of the team", "+49 30 1234",
		"Why: it may hold the attacker's tools", "Why: disclosure to the defence", "district court, docket 12-345", "read back from the store: the sealed bytes",
		"Why: I want to look at it myself", "Refused because: not permitted, or no such thing",
		"The source's clock was not compared with another.",
		"lie 84 minutes, of which the log knows only what the seal says.",
		"Emil Engineer was handed 4 bytes at 2026-11-23 22:05:18 UTC and has not confirmed on record here what arrived.",
		"S3, proven to lock",
		p.Verdict.Origin, p.Verdict.Root.Hex(), p.SHA256.Hex(), p.Trust.Hex(),
		"Without a receipt it is an unsigned draft.",
	)
	for _, a := range []string{"SHA-256 and origin", "proof.bundle"} {
		says(t, all, "custody-report", a)
	}
	for _, h := range p.Verdict.Handlers() {
		for _, k := range h.Keys {
			says(t, all, "custody-report", k.Hex())
		}
	}
	require.Len(t, p.Verdict.Handlers(), 4, "the engineer, the officer, counsel, and the lead who was refused")
}

// TestTheSameWords: what was checked and what was not, a paper says as the text of
// the verdict does, with and without leaves, with and without witnesses.
func TestTheSameWords(t *testing.T) {
	l := eventful(t)
	cosigned := *l.Trust
	witness, err := guardtest.NewWitness(3, "witness.example/w1")
	require.NoError(t, err)
	cosigned.Witnesses = "witness witness.example/w1 " + witness.Key + " https://witness.example/w1\nquorum witness.example/w1\n"
	plain := l.bundle()
	require.NoError(t, l.Log.Witnessed(custody.TimeOf(l.Now()), witness))
	for name, c := range map[string]struct {
		bundle []byte
		trust  *custody.Trust
		want   string
	}{
		"complete":  {plain, l.Trust, "complete as of tree size"},
		"cosigned":  {l.bundle(), &cosigned, "as many as your trust file asks for"},
		"no leaves": {l.bundleOf(false), &cosigned, "later ones are not excluded"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := paper.Read(c.bundle, c.trust, investigate.Words())
			require.NoError(t, err)
			var text strings.Builder
			require.NoError(t, p.Verdict.Write(&text))
			var all []string
			for _, point := range p.Verdict.Checked() {
				all = append(all, point.Label+" "+point.Text)
				require.Contains(t, squeezed(text.String()), squeezed(point.Text))
			}
			joined := strings.Join(all, " ")
			require.Contains(t, joined, c.want)
			require.Contains(t, joined, "That the decisions were right under the policy was not checked.")
			says(t, files(t, p, custody.PaperReport), "custody-report", joined)
		})
	}
}

// TestThePDFHolds: its structure is sound, its fonts are in it, every page names the
// bundle and itself, and the bundle comes out of it byte for byte.
func TestThePDFHolds(t *testing.T) {
	l := eventful(t)
	p := l.proof()
	all := files(t, p)
	for name, b := range all {
		if filepath.Ext(name) != ".pdf" {
			continue
		}
		path := inFolder(t, name, b)
		require.Contains(t, run(t, "qpdf", "--check", path), "No syntax or stream encoding errors")
		require.Regexp(t, `CreationDate: +`+p.Verdict.Timeline[len(p.Verdict.Timeline)-1].Recorded.Time().Format("2006-01-02T15:04:05"), run(t, "pdfinfo", "-isodates", path), "of the newest record, whatever a clock says")
		fonts := strings.Split(strings.TrimSpace(run(t, "pdffonts", path)), "\n")[2:]
		require.Len(t, fonts, 3)
		for _, f := range fonts {
			require.Contains(t, f, "Identity-H       yes", "embedded")
		}
		pages := strings.Split(strings.TrimSuffix(fromPDF(t, b), "\f"), "\f")
		for n, text := range pages {
			require.Contains(t, text, fmt.Sprintf("Page %d of %d", n+1, len(pages)))
			require.Contains(t, text, "Bundle SHA-256 "+p.SHA256.Hex())
			require.Equal(t, name != "custody-report.pdf", strings.Contains(text, "DRAFT. Not signed"), "%s", text)
		}
	}
	path := inFolder(t, "report.pdf", all["custody-report.pdf"])
	out := filepath.Join(t.TempDir(), "out")
	run(t, "pdfdetach", "-save", "1", "-o", out, path)
	got, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, p.Bundle, got)
}

// TestTheCode is read with a program of others, from the PDF as it prints and from
// the page's drawing.
func TestTheCode(t *testing.T) {
	p := eventful(t).proof()
	v := p.Verdict
	want := fmt.Sprintf("custody/v1/paper\n%s\n%s\n%d\n%s\n", p.SHA256.Hex(), v.Origin, v.Size, v.Root.Hex())
	all := files(t, p, custody.PaperReport)
	dir := t.TempDir()
	run(t, "pdftoppm", "-r", "150", "-png", inFolder(t, "report.pdf", all["custody-report.pdf"]), filepath.Join(dir, "page"))
	pages, err := filepath.Glob(filepath.Join(dir, "page-*.png"))
	require.NoError(t, err)
	last := pages[len(pages)-1]
	require.Equal(t, want, run(t, "zbarimg", "-q", "--raw", "-Sbinary", last))
	drawn := inFolder(t, "code.png", drawing(t, all["custody-report.html"]))
	require.Equal(t, want, run(t, "zbarimg", "-q", "--raw", "-Sbinary", drawn))
}

// drawing paints the squares of a page's SVG.
func drawing(t *testing.T, page []byte) []byte {
	t.Helper()
	const scale = 6
	size := 0
	_, err := fmt.Sscanf(regexp.MustCompile(`viewBox="[^"]*"`).FindString(string(page)), `viewBox="0 0 %d `, &size)
	require.NoError(t, err)
	img := image.NewGray(image.Rect(0, 0, size*scale, size*scale))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	for _, m := range regexp.MustCompile(`M\d+ \d+h1v1h-1z`).FindAllString(string(page), -1) {
		var x, y int
		_, err := fmt.Sscanf(m, "M%d %dh1v1h-1z", &x, &y)
		require.NoError(t, err)
		for i := range scale * scale {
			img.SetGray(x*scale+i%scale, y*scale+i/scale, color.Gray{})
		}
	}
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, img))
	return b.Bytes()
}

// TestTheSameBytes: the same bundle makes the same papers.
func TestTheSameBytes(t *testing.T) {
	l := eventful(t)
	first, second := files(t, l.proof()), files(t, l.proof())
	require.Len(t, first, 7)
	for name := range first {
		require.True(t, bytes.Equal(first[name], second[name]), name)
	}
}

// TestNoPaper is made from what does not verify, nor of a kind that there is not.
func TestNoPaper(t *testing.T) {
	l := eventful(t)
	b := l.bundle()
	other := *l.Trust
	other.Genesis[0] ^= 1
	for name, c := range map[string]struct {
		bundle []byte
		trust  *custody.Trust
	}{
		"another trust file": {b, &other},
		"a changed byte":     {append(append(bytes.Clone(b[:5000]), b[5000]^1), b[5001:]...), l.Trust},
		"cut off":            {b[:len(b)-512], l.Trust},
		"nothing":            {nil, l.Trust},
	} {
		p, err := paper.Read(c.bundle, c.trust, investigate.Words())
		require.ErrorIs(t, err, paper.ErrNotVerified, name)
		require.Nil(t, p, name)
	}
	_, err := paper.Read(make([]byte, paper.MaxBundle+1), l.Trust, investigate.Words())
	require.ErrorContains(t, err, "export it without its artifact")
	_, err = l.proof().Make("poem")
	require.ErrorContains(t, err, "no kind of paper")
}

// TestAPageNeedsNothing else: no script, no address, and a policy that forbids them.
func TestAPageNeedsNothing(t *testing.T) {
	for name, b := range files(t, eventful(t).proof()) {
		if filepath.Ext(name) != ".html" {
			continue
		}
		page := string(b)
		require.Contains(t, page, `content="default-src 'none'; style-src 'sha256-`, name)
		style := page[strings.Index(page, "<style>")+len("<style>") : strings.Index(page, "</style>")]
		hash := sha256.Sum256([]byte(style))
		require.Contains(t, html.UnescapeString(page), "style-src 'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+"'", "or no browser applies it")
		require.Contains(t, style, "Page \" counter(page) \" of \" counter(pages)")
		require.Regexp(t, `Bundle SHA-256 [0-9a-f]{64}"`, style)
		require.Contains(t, page, `<html lang="en">`)
		require.Equal(t, 1, strings.Count(page, "<h1>"))
		require.NotContains(t, page, "<dt></dt>")
		require.Equal(t, strings.Count(page, "<dt>"), strings.Count(page, "<div><dt>"))
		require.Equal(t, strings.Count(page, "<div"), strings.Count(page, "</div>"))
		for _, not := range []string{"<script", "<link", "<img", "<iframe", " src=", " href=", "url(", "@import", "http://", "https://", " style="} {
			require.False(t, strings.Contains(page, not), "%s has %q", name, not)
		}
		for n := range strings.Count(page, "<table>") {
			table := strings.SplitN(page, "<table>", n+2)[n+1]
			require.True(t, strings.HasPrefix(strings.TrimSpace(table), "<caption>"), name)
			require.Contains(t, strings.SplitN(table, "</table>", 2)[0], `<th scope="col">`)
		}
	}
}

// hostile are texts that somebody may write into a record to do harm in a paper, as
// far as a record takes them.
var hostile = struct{ name, line, person, foreign string }{
	name:    "</td></table><script>alert('x')</script>\u202egnp.\x00\x1b[2J\n" + strings.Repeat("verylong", 450) + ".img",
	line:    `"><img src=x onerror=alert(1)> {{.Bundle}} \ ` + strings.Repeat("w", 900),
	person:  `</bdi></main><style>*{display:none}</style>`,
	foreign: "證人 مريم Ελένη Nguyễn Łukasz Мария עדות e\u0301",
}

// TestHostileTexts do no harm, and are in the paper, all of them.
func TestHostileTexts(t *testing.T) {
	l := live(t)
	l.takesIn(hostile.name, "EX-<b>1</b>", func(s *custody.SealEvidence) {
		s.Acquisition.Collector = &custody.Person{Name: hostile.person, Title: hostile.foreign, Contact: hostile.line[:500]}
		s.Acquisition.Place = hostile.line
	})
	l.refused(l.Lead, hostile.line, l.Retrieval())
	p := l.proof()
	all := files(t, p)
	page := string(all["custody-report.html"])
	for _, not := range []string{"<script", "<img", "<b>1", "<style>*", "{{", "\u202e", "\x1b", "\x00"} {
		require.False(t, strings.Contains(strings.ReplaceAll(page, "{{.Bundle}}", ""), not), "%q", not)
	}
	shown := squeezed(fromHTML(all["custody-report.html"]))
	display := p.Verdict.Items[0].Name
	require.Contains(t, display, `\u{202e}`, "the record has it so")
	for _, want := range []string{display, hostile.line, hostile.person, hostile.foreign} {
		require.True(t, strings.Contains(shown, squeezed(want)), "%.100q", want)
	}
	sheet := cells(t, all["custody-report.pdf"])
	for _, want := range []string{
		display, hostile.line, hostile.person,
		`\u{8b49}\u{4eba} \u{645}\u{631}\u{64a}\u{645} Ελένη Nguyễn Łukasz Мария \u{5e2}\u{5d3}\u{5d5}\u{5ea} e\u{301}`,
		`They stand as \u{…} with the number of the character in Unicode`,
	} {
		require.True(t, strings.Contains(sheet, squeezed(want)), "%.200q", want)
	}
	for name, b := range all {
		if filepath.Ext(name) == ".pdf" {
			require.Contains(t, run(t, "qpdf", "--check", inFolder(t, name, b)), "No syntax or stream encoding errors")
		}
	}
	inside(t, all["custody-report.pdf"])
}

// inside requires that no word of a PDF stands outside its page's margins.
func inside(t *testing.T, b []byte) {
	t.Helper()
	boxes := run(t, "pdftotext", "-bbox", inFolder(t, "paper.pdf", b), "-")
	words := regexp.MustCompile(`<word xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">`).FindAllStringSubmatch(boxes, -1)
	require.NotEmpty(t, words)
	for _, w := range words {
		var x0, y0, x1, y1 float64
		_, err := fmt.Sscan(strings.Join(w[1:], " "), &x0, &y0, &x1, &y1)
		require.NoError(t, err)
		const mm = 72 / 25.4
		require.GreaterOrEqual(t, x0, 19.9*mm, w[0])
		require.LessOrEqual(t, x1, 190.5*mm, w[0])
		require.GreaterOrEqual(t, y0, 8*mm, w[0])
		require.LessOrEqual(t, y1, 272*mm, w[0])
	}
}

// TestWordsStayInside the margins of every paper.
func TestWordsStayInside(t *testing.T) {
	for name, b := range files(t, eventful(t).proof()) {
		if filepath.Ext(name) == ".pdf" {
			inside(t, b)
		}
	}
}

// TestSeveralItems: a paper about more than one item says of each what is its own.
func TestSeveralItems(t *testing.T) {
	l := live(t)
	l.takesIn("first.img", "EX-1")
	one := l.proof()
	first := l.Evidence
	l.Artifact = []byte("what was on the other disk\n")
	l.takesIn("second.img", "EX-2")
	l.attests(&custody.CheckEvidence{Evidence: l.Evidence, Intact: true, SHA256: custody.Hash(l.Artifact)})
	p := l.proof()
	require.True(t, p.Of(l.Evidence))
	require.False(t, p.Of(first))
	v := *p.Verdict
	v.Scope, v.Items = bundle.ScopeIncident, append(one.Verdict.Items, v.Items...)
	v.Timeline = append(one.Verdict.Timeline, v.Timeline...)
	p.Verdict = &v
	all := files(t, p)
	require.Len(t, all, 7)
	says(t, all, "custody-report",
		"Chain of custody: incident "+string(l.Incident), "Every record in the bundle of this incident",
		"not in the bundle of an incident; compare the SHA-256 with sha256sum, or give the file with --artifact",
		"Exhibit (EX-1)", "first.img", "Exhibit (EX-2)", "second.img", "What was done with it (EX-2)",
		"EX-1: No record here says that the service read the stored bytes back since the seal.")
	silent(t, all, "custody-report", "EX-2: No record here says that the service read")
	certificate := string(all["certificate-902-14.html"])
	require.Equal(t, 1, strings.Count(certificate, one.Verdict.Items[0].Artifact.SHA256.Hex()), "sealed")
	require.Equal(t, 2, strings.Count(certificate, custody.Hash(l.Artifact).Hex()), "sealed, and read back")
	for _, list := range [][]*bundle.Item{{v.Items[0], v.Items[1]}, {v.Items[1], v.Items[0]}} {
		ten, nine := *list[0], *list[1]
		ten.Exhibit, nine.Exhibit = "EX-10", "EX-9"
		v := v
		v.Items = []*bundle.Item{&ten, &nine}
		numbered := *p
		numbered.Verdict = &v
		says(t, files(t, &numbered, custody.Paper90214), "certificate-902-14", "3 Exhibit EX-9", "4 Exhibit EX-10")
	}
	says(t, all, "certificate-902-14", "3 Exhibit EX-1", "4 Exhibit EX-2", "5 The process of digital identification", "6 What this certificate was drafted from")
}

// TestOfAnIncident: the paper of an incident's bundle has its own history too, and
// what was announced and withdrawn.
func TestOfAnIncident(t *testing.T) {
	l := live(t)
	l.takesIn("first.img", "EX-1")
	l.takesIn("second.img", "EX-2")
	name, err := custody.NewName([]byte("never.img"))
	require.NoError(t, err)
	withdrawn := custody.NewEvidenceID(l.does(l.Engineer, "to be taken", &custody.BeginEvidence{AtMost: 1, Exhibit: "EX-3", Incident: l.Incident, Name: name, Type: "disk"}))
	l.does(l.Engineer, "it was the wrong disk", &custody.WithdrawEvidence{Evidence: withdrawn, Incident: l.Incident})
	c, err := l.IncidentContents(t.Context(), l.Incident, true)
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, bundle.Write(&b, c))
	p, err := paper.Read(b.Bytes(), l.Trust, investigate.Words())
	require.NoError(t, err)
	all := files(t, p)
	says(t, all, "custody-report", "Chain of custody: incident "+string(l.Incident), "Every record in the bundle of this incident", "a login from two countries at once ("+string(l.Incident)+")",
		"What was done with it (EX-1)", "What was done with it (EX-2)", "What was done with the incident", "never.img", "Why: it was the wrong disk", "Why: she examines the disk",
		"Lena Lead")
	silent(t, all, "custody-report", "EX-3: When it was sealed")
	says(t, all, "certificate-902-14", "3 Exhibit EX-1", "4 Exhibit EX-2", "5 Exhibit EX-3")
}

// TestWhatARowTells: by which label people name it, and of what was taken back that it
// was; and only a digest is set apart as one.
func TestWhatARowTells(t *testing.T) {
	l := live(t)
	l.takesIn("first.img", "EX-1")
	c, err := l.IncidentContents(t.Context(), l.Incident, true)
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, bundle.Write(&b, c))
	p, err := paper.Read(b.Bytes(), l.Trust, investigate.Words())
	require.NoError(t, err)
	e := &p.Verdict.Timeline[1]
	e.Detail = "activity: the SHA-256 is the one on the label, sagt Jörg Müller, der sie mit der auf dem Etikett verglichen hat"
	e.Undone = &bundle.About{Stream: e.Stream, Sequence: 7, Index: 11, Detail: "it was another label"}
	e.Label = "F-2"
	found := 0
	for _, part := range p.Report().Parts {
		for _, block := range part.Blocks {
			if block.Table == nil {
				continue
			}
			for _, row := range block.Table.Rows {
				if cell := row[len(row)-1]; slices.Contains(cell, paper.Line{Text: e.Detail}) {
					require.Contains(t, cell, paper.Line{Text: "CORRECTED OR TAKEN BACK by " + e.Undone.String(), Strong: true})
					require.Equal(t, "made somebody a member of the incident's team (F-2)", cell[0].Text)
					found++
				}
			}
		}
	}
	require.Equal(t, 1, found)
}

// TestAThing has no bytes: nobody certifies the digest of nothing, and no store has it.
func TestAThing(t *testing.T) {
	l := live(t)
	l.attests(&custody.ProveStore{Checksum: true, ConditionalPut: true, Hold: true, Lock: true, Store: custody.StoreS3, Versions: true})
	name, err := custody.NewName([]byte("laptop"))
	require.NoError(t, err)
	l.Evidence, l.Artifact = custody.NewEvidenceID(l.does(l.Engineer, "it may hold the attacker's tools", &custody.BeginEvidence{
		AtMost: 1, Exhibit: "EX-1", Incident: l.Incident, Name: name, Type: custody.TypePhysical,
	})), nil
	seal := l.Seal()
	seal.Acquisition.Seal = &custody.BagSeal{Bag: "B-17", Seal: "S-99"}
	l.does(l.Engineer, "taken at the scene", seal)
	p, err := paper.Read(l.bundle(), l.Trust, investigate.Words())
	require.NoError(t, err)
	all := files(t, p)
	says(t, all, "custody-report", "it is a thing", "bag B-17, seal S-99", "keeps no things", "who had it since the seal, and where, the records do not tell")
	for _, file := range []string{"custody-report", "certificate-902-14", "certificate-902-13"} {
		silent(t, all, file, "SHA-256 of its bytes", "in its store.", "Original, as brought", "the store was not proven to keep", "read the stored bytes back", "EX-1 was sealed into")
	}
	says(t, all, "certificate-902-14", "there is no copy to certify")
	var text strings.Builder
	require.NoError(t, p.Verdict.Write(&text))
	require.Contains(t, text.String(), bundle.ThingText)
	require.NotContains(t, text.String(), "kept in")
	require.NotContains(t, text.String(), "sha256sum")
}

// TestThousandsOfItems are told in one look at their records, in papers and in CASE.
func TestThousandsOfItems(t *testing.T) {
	l := live(t)
	l.takesIn("first.img", "EX-1")
	c, err := l.IncidentContents(t.Context(), l.Incident, true)
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, bundle.Write(&b, c))
	p, err := paper.Read(b.Bytes(), l.Trust, investigate.Words())
	require.NoError(t, err)
	v := p.Verdict
	first, events := *v.Items[0], v.Timeline
	for n := range 3000 {
		item := first
		item.Evidence, item.Exhibit = custody.NewEvidenceID(custody.Hash(fmt.Appendf(nil, "item %d", n))), fmt.Sprintf("EX-%d", n+2)
		v.Items = append(v.Items, &item)
		for _, e := range events {
			if e.Stream == first.Evidence.Stream() {
				e.Stream = item.Evidence.Stream()
				v.Timeline = append(v.Timeline, e, e, e, e)
			}
		}
	}
	began := time.Now()
	require.NotEmpty(t, p.Report().Parts)
	_, err = caseuco.Write(v, p.SHA256)
	require.NoError(t, err)
	require.Less(t, time.Since(began), 10*time.Second)
}
