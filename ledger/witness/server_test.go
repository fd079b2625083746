package witness_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger/witness"
)

// history is a log that others wrote: every size of it has a checkpoint, and every
// size proves that it goes on from every earlier one.
type history struct {
	origin   string
	key      string // verifier key
	signer   note.Signer
	hashes   []tlog.Hash
	n        int64
	trailing string // lines of the log's own
}

func newHistory(t testing.TB, origin string) *history {
	t.Helper()
	private, public, err := note.GenerateKey(rand.Reader, origin)
	require.NoError(t, err)
	signer, err := note.NewSigner(private)
	require.NoError(t, err)
	return &history{origin: origin, key: public, signer: signer}
}

func (h *history) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		list[i] = h.hashes[x]
	}
	return list, nil
}

// grow adds leaves named after what.
func (h *history) grow(t testing.TB, n int, what string) *history {
	t.Helper()
	for range n {
		more, err := tlog.StoredHashes(h.n, fmt.Appendf(nil, "%s %d", what, h.n), h)
		require.NoError(t, err)
		h.hashes, h.n = append(h.hashes, more...), h.n+1
	}
	return h
}

// fork returns a history of the same key that begins with the first n leaves.
func (h *history) fork(t testing.TB, n int64) *history {
	t.Helper()
	return &history{origin: h.origin, key: h.key, signer: h.signer, hashes: append([]tlog.Hash(nil), h.hashes[:tlog.StoredHashCount(n)]...), n: n}
}

func (h *history) root(t testing.TB, n int64) tlog.Hash {
	t.Helper()
	if n == 0 {
		return tlog.Hash(custody.Hash(nil))
	}
	root, err := tlog.TreeHash(n, h)
	require.NoError(t, err)
	return root
}

func (h *history) text(t testing.TB, n int64) string {
	t.Helper()
	root := h.root(t, n)
	return fmt.Sprintf("%s\n%d\n%s\n%s", h.origin, n, base64.StdEncoding.EncodeToString(root[:]), h.trailing)
}

func (h *history) checkpoint(t testing.TB, n int64) string {
	t.Helper()
	b, err := note.Sign(&note.Note{Text: h.text(t, n)}, h.signer)
	require.NoError(t, err)
	return string(b)
}

// request is what a client sends to have size n cosigned after old.
func (h *history) request(t testing.TB, old, n int64) string {
	t.Helper()
	lines := fmt.Sprintf("old %d\n", old)
	if old > 0 && old < n {
		proof, err := tlog.ProveTree(n, old, h)
		require.NoError(t, err)
		for _, p := range proof {
			lines += base64.StdEncoding.EncodeToString(p[:]) + "\n"
		}
	}
	return lines + "\n" + h.checkpoint(t, n)
}

// served is a witness that serves.
type served struct {
	*witness.Server
	url string
	dir string
	key ed25519.PrivateKey
}

func serve(t testing.TB, dir string, key ed25519.PrivateKey, logs ...string) *served {
	t.Helper()
	s, err := witness.NewServer("witness.example/w", key, logs, dir, time.Now, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return &served{s, h.URL, dir, key}
}

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}

// ask sends a request and returns status, content type and body.
func (s *served) ask(t testing.TB, body string) (int, string, string) {
	t.Helper()
	r, err := http.Post(s.url+"/add-checkpoint", "", strings.NewReader(body))
	require.NoError(t, err)
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return r.StatusCode, r.Header.Get("Content-Type"), string(b)
}

// agrees says that the witness cosigned a text, by its key alone.
func (s *served) agrees(t testing.TB, checkpoint, lines string) custody.Time {
	t.Helper()
	p, err := custody.ParseWitnessPolicy("witness w " + s.VerifierKey() + "\nquorum w\n")
	require.NoError(t, err)
	n, err := note.Open([]byte(checkpoint+lines), note.VerifierList(p.Verifiers()...))
	require.NoError(t, err)
	raw, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
	require.NoError(t, err)
	at := custody.CosignatureTime(raw)
	require.WithinDuration(t, time.Now(), at.Time(), 5*time.Second)
	return at
}

// TestRulesOfAWitness goes through c2sp.org/tlog-witness: what is asked in which
// state, and the answer that it prescribes.
func TestRulesOfAWitness(t *testing.T) {
	h := newHistory(t, "log.example/a").grow(t, 20, "leaf")
	other := newHistory(t, "log.example/b").grow(t, 5, "leaf")
	twin := newHistory(t, "log.example/a").grow(t, 20, "leaf") // another key of the same name
	forked := h.fork(t, 10).grow(t, 10, "other")
	empty := newHistory(t, "log.example/a")
	empty.key, empty.signer = h.key, h.signer
	swap := func(old, new string) string {
		require.Contains(t, h.request(t, 10, 15), old)
		return strings.Replace(h.request(t, 10, 15), old, new, 1)
	}
	line := strings.SplitAfter(h.request(t, 10, 15), "\n")[1]
	badSignature := func(request string) string {
		at := strings.Index(request, "— ") + len("— log.example/a ") + 20
		return request[:at] + string('A'+(request[at]-'A'+1)%26) + request[at+1:]
	}
	notEmpty := strings.Replace(empty.text(t, 0), base64.StdEncoding.EncodeToString(sum(nil)), base64.StdEncoding.EncodeToString(sum([]byte("x"))), 1)
	signedNotEmpty, err := note.Sign(&note.Note{Text: notEmpty}, h.signer)
	require.NoError(t, err)
	for _, c := range []struct {
		name    string
		state   int64 // size that was cosigned before; -1 for none
		request string
		status  int
		size    string // in the answer to a conflict
	}{
		{"the first", -1, h.request(t, 0, 10), 200, ""},
		{"the first, empty", -1, empty.request(t, 0, 0), 200, ""},
		{"one that goes on", 10, h.request(t, 10, 15), 200, ""},
		{"the same again", 10, h.request(t, 10, 10), 200, ""},
		{"with a stranger's signature beside", 10, h.request(t, 10, 15) + "— stranger AAAAAAAA\n", 200, ""},
		{"an unknown log", -1, other.request(t, 0, 5), 404, ""},
		{"by another key of that name", 10, twin.request(t, 10, 15), 403, ""},
		{"a signature that fails", 10, badSignature(h.request(t, 10, 15)), 403, ""},
		{"an old size above the new", 15, h.request(t, 15, 15)[:0] + strings.Replace(h.request(t, 0, 10), "old 0", "old 15", 1), 400, ""},
		{"too old a size", 10, h.request(t, 5, 15), 409, "10\n"},
		{"too new a size", 10, h.request(t, 12, 15), 409, "10\n"},
		{"the first, that is none", -1, h.request(t, 5, 10), 409, "0\n"},
		{"no old size known", 10, h.request(t, 0, 15), 409, "10\n"},
		{"back to the past", 15, h.request(t, 10, 10), 409, "15\n"},
		{"a fork", 15, forked.request(t, 15, 20), 422, ""},
		{"another root of the same size", 15, forked.request(t, 15, 15), 422, ""},
		{"an empty log with a root", -1, "old 0\n\n" + string(signedNotEmpty), 422, ""},
		{"a proof from nothing", -1, strings.Replace(h.request(t, 0, 10), "old 0\n", "old 0\n"+line, 1), 422, ""},
		{"a proof of sameness", 10, strings.Replace(h.request(t, 10, 10), "old 10\n", "old 10\n"+line, 1), 422, ""},
		{"a line less", 10, swap(line, ""), 422, ""},
		{"a line more", 10, swap(line, line+line), 422, ""},
		{"another hash", 10, swap(line, base64.StdEncoding.EncodeToString(sum(nil))+"\n"), 422, ""},
		{"no old line", 10, swap("old 10\n", ""), 400, ""},
		{"another word", 10, swap("old 10", "new 10"), 400, ""},
		{"a leading zero", 10, swap("old 10", "old 010"), 400, ""},
		{"a plus", 10, swap("old 10", "old +10"), 400, ""},
		{"a negative size", 10, swap("old 10", "old -10"), 400, ""},
		{"two spaces", 10, swap("old 10", "old  10"), 400, ""},
		{"a short hash", 10, swap(line, "AAAA\n"), 400, ""},
		{"64 lines of proof", 10, swap(line, strings.Repeat(line, 64)), 400, ""},
		{"no checkpoint", 10, "old 10\n\n", 400, ""},
		{"no signature", 10, strings.TrimSuffix(h.request(t, 10, 15)[:strings.Index(h.request(t, 10, 15), "— ")], "\n"), 400, ""},
		{"nothing", 10, "", 400, ""},
		{"too much", 10, h.request(t, 10, 15) + strings.Repeat("— stranger AAAAAAAA\n", 10000), 400, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, t.TempDir(), newKey(t), h.key)
			if c.state >= 0 {
				status, _, _ := s.ask(t, h.request(t, 0, c.state))
				require.Equal(t, 200, status)
			}
			before := s.last(t, h.origin)
			status, kind, body := s.ask(t, c.request)
			require.Equal(t, c.status, status, body)
			switch status {
			case 200:
				_, checkpoint, _ := strings.Cut(c.request, "\n\n")
				s.agrees(t, checkpoint, body)
				require.Contains(t, s.last(t, h.origin), body, "it serves what it cosigned")
				return
			case 409:
				require.Equal(t, "text/x.tlog.size", kind)
				require.Equal(t, c.size, body)
			}
			require.Equal(t, before, s.last(t, h.origin), "nothing has changed")
		})
	}
}

func sum(b []byte) []byte { d := custody.Hash(b); return d[:] }

// last returns what the witness serves of a log, or the status.
func (s *served) last(t testing.TB, origin string) string {
	t.Helper()
	r, err := http.Get(s.url + "/" + custody.Hash([]byte(origin)).Hex() + "/checkpoint")
	require.NoError(t, err)
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	if r.StatusCode != http.StatusOK {
		require.Equal(t, http.StatusNotFound, r.StatusCode)
		return ""
	}
	return string(b)
}

// TestLinesOfTheLogsOwn: extension lines are cosigned as they are.
func TestLinesOfTheLogsOwn(t *testing.T) {
	h := newHistory(t, "log.example/a").grow(t, 3, "leaf")
	h.trailing = "an extension\nanother\n"
	s := serve(t, t.TempDir(), newKey(t), h.key)
	status, _, body := s.ask(t, h.request(t, 0, 3))
	require.Equal(t, 200, status, body)
	s.agrees(t, h.checkpoint(t, 3), body)
}

// TestOfTwoThatExcludeOneAnotherOneWins, whichever comes first.
func TestOfTwoThatExcludeOneAnotherOneWins(t *testing.T) {
	h := newHistory(t, "log.example/a").grow(t, 10, "leaf")
	s := serve(t, t.TempDir(), newKey(t), h.key)
	status, _, _ := s.ask(t, h.request(t, 0, 10))
	require.Equal(t, 200, status)
	requests := []string{}
	for n := range 16 {
		requests = append(requests, h.fork(t, 10).grow(t, 1+n%4, fmt.Sprint("fork ", n)).request(t, 10, int64(11+n%4)))
	}
	won := make([]int, len(requests))
	var all sync.WaitGroup
	for n, q := range requests {
		all.Go(func() { won[n], _, _ = s.ask(t, q) })
	}
	all.Wait()
	wins := 0
	for n, status := range won {
		if status == 200 {
			wins++
			_, checkpoint, _ := strings.Cut(requests[n], "\n\n")
			text, _, _ := strings.Cut(checkpoint, "\n\n")
			require.Contains(t, s.last(t, h.origin), text)
		} else {
			require.Contains(t, []int{409, 422}, status)
		}
	}
	require.Equal(t, 1, wins)
}

// TestAWitnessRemembers: after a restart it is where it was; of another key, or of a
// changed file, it wants to know nothing.
func TestAWitnessRemembers(t *testing.T) {
	h := newHistory(t, "log.example/a").grow(t, 20, "leaf")
	dir, key := t.TempDir(), newKey(t)
	s := serve(t, dir, key, h.key)
	status, _, _ := s.ask(t, h.request(t, 0, 10))
	require.Equal(t, 200, status)
	before := s.last(t, h.origin)
	again := serve(t, dir, key, h.key)
	require.Equal(t, before, again.last(t, h.origin))
	status, _, size := again.ask(t, h.request(t, 0, 20))
	require.Equal(t, 409, status)
	require.Equal(t, "10\n", size)

	_, err := witness.NewServer("witness.example/w", newKey(t), []string{h.key}, dir, time.Now, slog.New(slog.DiscardHandler))
	require.Error(t, err, "another key")
	path := filepath.Join(dir, "logs", custody.Hash([]byte(h.origin)).Hex())
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	for at := range b {
		c := bytes.Clone(b)
		c[at] ^= 1
		require.NoError(t, os.WriteFile(path, c, 0o600))
		_, err = witness.NewServer("witness.example/w", key, []string{h.key}, dir, time.Now, slog.New(slog.DiscardHandler))
		if err == nil { // a byte of the log's own signature: its line is unknown then
			require.Contains(t, string(b[bytes.Index(b, []byte("— log")):bytes.Index(b, []byte("— witness"))]), string(b[at:at+1]))
		}
	}
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err = witness.NewServer("witness.example/w", key, []string{h.key}, dir, time.Now, slog.New(slog.DiscardHandler))
	require.Error(t, err, "an empty file")
}

// TestAWitnessSetBack shows why its folder must not be put back from a backup: it
// cosigns another history. The command's help says so.
func TestAWitnessSetBack(t *testing.T) {
	h := newHistory(t, "log.example/a").grow(t, 20, "leaf")
	dir, key := t.TempDir(), newKey(t)
	s := serve(t, dir, key, h.key)
	status, _, _ := s.ask(t, h.request(t, 0, 10))
	require.Equal(t, 200, status)
	path := filepath.Join(dir, "logs", custody.Hash([]byte(h.origin)).Hex())
	backup, err := os.ReadFile(path)
	require.NoError(t, err)
	status, _, _ = s.ask(t, h.request(t, 10, 20))
	require.Equal(t, 200, status)
	require.NoError(t, os.WriteFile(path, backup, 0o600))
	forked := h.fork(t, 10).grow(t, 5, "other")
	status, _, _ = s.ask(t, forked.request(t, 15, 15))
	require.Equal(t, 409, status, "as long as it runs it knows")
	status, _, _ = serve(t, dir, key, h.key).ask(t, forked.request(t, 10, 15))
	require.Equal(t, 200, status)
}

// TestAClockSetBack: a witness does not say that it saw less at a later time.
func TestAClockSetBack(t *testing.T) {
	h := newHistory(t, "log.example/a").grow(t, 20, "leaf")
	now := time.Now()
	s, err := witness.NewServer("witness.example/w", newKey(t), []string{h.key}, t.TempDir(), func() time.Time { return now }, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	w := &served{Server: s, url: server.URL}
	status, _, _ := w.ask(t, h.request(t, 0, 10))
	require.Equal(t, 200, status)
	now = now.Add(-time.Hour)
	status, _, _ = w.ask(t, h.request(t, 10, 20))
	require.Equal(t, 500, status)
	now = now.Add(2 * time.Hour)
	status, _, _ = w.ask(t, h.request(t, 10, 20))
	require.Equal(t, 200, status)
}

// TestAWitnessKilled: whatever it cosigned is there after kill -9. The process is
// this test's own.
func TestAWitnessKilled(t *testing.T) {
	if dir := os.Getenv("WITNESS_TO_KILL"); dir != "" {
		serveForever(t, dir)
		return
	}
	h := newHistory(t, "log.example/a").grow(t, 2000, "leaf")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "log"), []byte(h.key), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "seed"), newKey(t).Seed(), 0o600))
	cosigned := int64(0)
	for round := range 8 {
		c := exec.Command(os.Args[0], "-test.run", "^TestAWitnessKilled$")
		c.Env = append(os.Environ(), "WITNESS_TO_KILL="+dir)
		out, err := c.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, c.Start())
		line := make([]byte, 64)
		n, err := out.Read(line)
		require.NoError(t, err)
		url := strings.TrimSpace(string(line[:n]))
		s := &served{url: url}
		status, _, size := s.ask(t, h.request(t, 2000, 2000))
		require.Equal(t, 409, status)
		require.GreaterOrEqual(t, number(t, size), cosigned, "round %d: a cosignature is forgotten", round)
		cosigned = number(t, size)
		kill := time.AfterFunc(time.Duration(20+round*15)*time.Millisecond, func() { _ = c.Process.Signal(syscall.SIGKILL) })
		for {
			r, err := http.Post(url+"/add-checkpoint", "", strings.NewReader(h.request(t, cosigned, cosigned+1)))
			if err != nil {
				break
			}
			b, err := io.ReadAll(r.Body)
			_ = r.Body.Close()
			if err != nil {
				break
			}
			require.Equal(t, 200, r.StatusCode, "%s", b)
			cosigned++
		}
		kill.Stop()
		_ = c.Wait()
	}
	require.Positive(t, cosigned)
}

func number(t *testing.T, s string) (n int64) {
	t.Helper()
	_, err := fmt.Sscan(s, &n)
	require.NoError(t, err)
	return n
}

func serveForever(t *testing.T, dir string) {
	seed, err := os.ReadFile(filepath.Join(dir, "seed"))
	require.NoError(t, err)
	log, err := os.ReadFile(filepath.Join(dir, "log"))
	require.NoError(t, err)
	s := serve(t, dir, ed25519.NewKeyFromSeed(seed), string(log))
	fmt.Println(s.url)
	select {}
}
