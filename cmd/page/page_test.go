package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/paper"
	"github.com/forensic-custody/custody/investigate"
)

const vectors = "../../custody/testdata/vectors"

func vector(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(vectors, name))
	require.NoError(t, err)
	return path
}

// browser is the page in a browser, opened from a file.
type browser struct {
	t       *testing.T
	ctx     context.Context
	page    string
	mu      sync.Mutex
	reached []string // what the page asked for beside itself
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	require.NoError(t, err, "install chromium (deploy/tools.sh chromium)")
	page := filepath.Join(t.TempDir(), "custody-verify.html")
	require.NoError(t, run(t.Context(), page, io.Discard))
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.WindowSize(1000, 1400), chromedp.UserDataDir(t.TempDir()))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(allocator)
	t.Cleanup(end)
	require.NoError(t, chromedp.Do(ctx)) // starts it
	limited, cancel := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: limited, page: "file://" + page}
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		if asked, ok := event.(*network.EventRequestWillBeSent); ok && asked.Request.URL != b.page {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.reached = append(b.reached, asked.Request.URL)
		}
	}))
	_, err = chromedp.Call(ctx, network.Enable, network.EnableParams{})
	require.NoError(t, err)
	b.do(chromedp.Navigate(b.page))
	return b
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, actions...))
}

// value is what an expression comes to in the page, or a promise that it makes.
func value[T any](b *browser, js string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err)
	return v
}

// gives a file to one of the page's three fields, and waits until the page says
// something of it.
func (b *browser) gives(field, path, says string) {
	b.t.Helper()
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#"+field), []string{path}))
	b.says("#"+field+"-says", says)
}

func (b *browser) text(of string) string {
	b.t.Helper()
	return value[string](b, `document.querySelector("`+of+`").textContent`)
}

func (b *browser) says(of, what string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return strings.Contains(b.text(of), what) }, time.Minute, 20*time.Millisecond, "%s: %s", of, what)
}

func (b *browser) is(js string) bool {
	b.t.Helper()
	return value[bool](b, js)
}

// verifies presses the button, and returns the heading and the text of the verdict.
func (b *browser) verifies() (verdict, text string) {
	b.t.Helper()
	b.do(chromedp.WaitEnabled(chromedp.CSS("#verify")), chromedp.Click(chromedp.CSS("#verify")), chromedp.WaitVisible(chromedp.CSS("#verdict")))
	return b.text("#verdict"), b.text("#text")
}

// natively is the verdict of the same code outside the page.
func natively(t testing.TB, trustPath, path, artifact string) *bundle.Verdict {
	t.Helper()
	b, err := os.ReadFile(trustPath)
	require.NoError(t, err)
	trust, err := custody.ParseTrust(b)
	require.NoError(t, err)
	in, err := os.ReadFile(path)
	require.NoError(t, err)
	o := bundle.Options{Words: investigate.Words()}
	if artifact != "" {
		beside, err := os.ReadFile(artifact)
		require.NoError(t, err)
		o.Artifact = bytes.NewReader(beside)
	}
	return bundle.Verify(bytes.NewReader(in), trust, o)
}

// TestPage: a lawyer opens the page from a file and drops on it what he was
// handed. It says what the program says, and asks nobody for anything.
func TestPage(t *testing.T) {
	b := newBrowser(t)
	trust := vector(t, "trust.json")
	require.True(t, b.is(`document.querySelector("#verify").disabled`))
	b.gives("trust", vector(t, "exhibit.bundle"), "is not a trust file")
	require.True(t, b.is(`document.querySelector("#paper").hidden`))
	b.gives("trust", trust, "Log custody.example/")
	require.True(t, b.is(`document.querySelector("#verify").disabled`), "there is no bundle yet")

	raw, err := os.ReadFile(trust)
	require.NoError(t, err)
	parsed, err := custody.ParseTrust(raw)
	require.NoError(t, err)
	print, err := parsed.Fingerprint()
	require.NoError(t, err)
	b.do(chromedp.SendKeys(chromedp.CSS("#print"), print.Hex()[:63]+"x"))
	b.says("#print-says", "NOT the same")
	require.True(t, b.is(`(document.querySelector("#print").value = "") === ""`))
	b.do(chromedp.SendKeys(chromedp.CSS("#print"), strings.ToUpper(print.Hex()[:32])+" "+print.Hex()[32:]))
	b.says("#print-says", "The same")

	// Nothing is verified by a trust file that is not the paper's, nor does a verdict of
	// before stand beside such a fingerprint.
	b.gives("bundle", vector(t, "exhibit.bundle"), "exhibit.bundle")
	require.False(t, b.is(`document.querySelector("#verify").disabled`))
	verdict, _ := b.verifies()
	require.Equal(t, "VERIFIED", verdict)
	b.do(chromedp.SendKeys(chromedp.CSS("#print"), "x"))
	b.says("#print-says", "NOT the same")
	require.True(t, b.is(`document.querySelector("#verify").disabled`))
	require.True(t, b.is(`document.querySelector("#result").hidden`))
	b.do(chromedp.SendKeys(chromedp.CSS("#print"), "\b"))
	b.says("#print-says", "The same")
	require.False(t, b.is(`document.querySelector("#verify").disabled`))

	for _, c := range []struct {
		bundle, artifact, verdict string
	}{
		{"exhibit.bundle", "", "VERIFIED"},
		{"exhibit-broken.bundle", "", "NOT VERIFIED"},
		{"exhibit-without-leaves.bundle", "", "VERIFIED"},
		{"exhibit-v1.bundle", "", "VERIFIED"},
		{"exhibit-without-leaves.bundle", trust, "NOT VERIFIED"}, // what is beside it is not the artifact
		{"trust.json", "", "NOT VERIFIED"},
	} {
		b.gives("bundle", vector(t, c.bundle), c.bundle)
		require.True(t, b.is(`document.querySelector("#result").hidden`), "the verdict on another file is gone")
		if c.artifact == "" {
			b.is(`(() => { const f = document.querySelector("#artifact"); f.value = ""; return f.dispatchEvent(new Event("change")) })()`)
		} else {
			b.gives("artifact", c.artifact, filepath.Base(c.artifact))
		}
		verdict, text := b.verifies()
		require.Equal(t, c.verdict, verdict, c.bundle)
		var want strings.Builder
		require.NoError(t, natively(t, trust, vector(t, c.bundle), c.artifact).Write(&want))
		require.Equal(t, want.String(), text, c.bundle)
		require.Contains(t, b.text("#means"), print.String())
		require.Equal(t, c.verdict != "VERIFIED", b.is(`document.querySelector("#report").hidden`))
		report := value[string](b, `document.querySelector("#report").srcdoc`)
		if c.verdict != "VERIFIED" {
			require.Empty(t, report, "no paper is made from what does not verify")
			continue
		}
		raw, err := os.ReadFile(vector(t, c.bundle))
		require.NoError(t, err)
		p, err := paper.Read(raw, parsed, investigate.Words())
		require.NoError(t, err)
		made, err := p.Report().HTML()
		require.NoError(t, err)
		require.Equal(t, string(made), report, "the report that custody report makes")
	}
	require.True(t, b.is(`document.querySelector("#save").href.startsWith("blob:")`))
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, asked := range b.reached {
		require.True(t, strings.HasPrefix(asked, "blob:"), "the page asked for %s", asked)
	}
}

// TestTheSameBytes: whoever makes the page again has the same one.
func TestTheSameBytes(t *testing.T) {
	var pages [2][]byte
	for n := range pages {
		out := filepath.Join(t.TempDir(), "page.html")
		require.NoError(t, run(t.Context(), out, io.Discard))
		var err error
		pages[n], err = os.ReadFile(out)
		require.NoError(t, err)
		require.NotContains(t, string(pages[n]), "{{")
	}
	require.True(t, bytes.Equal(pages[0], pages[1]))
}

// TestPageReachesNobody: its policy keeps even a script of its own from the
// network, and another script from running.
func TestPageReachesNobody(t *testing.T) {
	b := newBrowser(t)
	b.gives("trust", vector(t, "trust.json"), "Log custody.example/")
	for _, reach := range []string{`fetch("http://127.0.0.1:9/x")`, `fetch("data:,x")`, `new Promise((ok, no) => {
		const i = new Image();
		i.onload = ok;
		i.onerror = no;
		i.src = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=";
	})`} {
		require.Equal(t, "refused", value[string](b, reach+`.then(() => "reached", () => "refused")`), reach)
	}
	require.Equal(t, "script-src-elem", value[string](b, `new Promise((done) => {
		document.addEventListener("securitypolicyviolation", (e) => done(e.effectiveDirective));
		const s = document.createElement("script");
		s.textContent = "document.title = 'taken over'";
		document.body.append(s);
	})`))
	require.False(t, b.is(`document.title === "taken over"`))
}

// TestPageReadsInPieces: a file is never held whole, and what it was is said when
// it is gone.
func TestPageReadsInPieces(t *testing.T) {
	b := newBrowser(t)
	large := filepath.Join(t.TempDir(), "large.dd")
	f, err := os.Create(large)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(96<<20))
	require.NoError(t, f.Close())
	b.gives("trust", vector(t, "trust.json"), "Log custody.example/")
	b.gives("bundle", vector(t, "exhibit-without-leaves.bundle"), ".bundle")
	b.gives("artifact", large, "101 MB")
	verdict, text := b.verifies()
	require.Equal(t, "NOT VERIFIED", verdict)
	require.Contains(t, text, "these 100663296 bytes have SHA-256")
	require.NoError(t, os.Remove(large))
	b.do(chromedp.Click(chromedp.CSS("#verify")))
	b.says("#means", "Nothing was decided")
	require.Empty(t, b.text("#text"))
}
