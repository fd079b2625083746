package monitor_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/ledger/keep"
	"github.com/forensic-custody/custody/ledger/monitor"
	"github.com/forensic-custody/custody/ledger/trillian"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const origin = "log.example/watched"

// watched is a real log in a folder, and the trust file that outsiders have.
type watched struct {
	dir    string
	signer note.Signer
	key    note.Verifier
	trust  *custody.Trust
}

func newWatched(t testing.TB) *watched {
	t.Helper()
	secret, public, err := note.GenerateKey(rand.Reader, origin)
	require.NoError(t, err)
	w := &watched{dir: t.TempDir(), trust: &custody.Trust{Format: custody.TrustFormat, Genesis: custody.Hash(nil), Log: public, Origin: origin, Witnesses: custody.NoWitnesses}}
	w.signer, err = note.NewSigner(secret)
	require.NoError(t, err)
	w.key, err = note.NewVerifier(public)
	require.NoError(t, err)
	require.NoError(t, trillian.Create(t.Context(), filepath.Join(w.dir, "engine")))
	c, end := w.parts(t)
	defer end()
	require.NoError(t, ledger.Create(t.Context(), c))
	return w
}

func (w *watched) parts(t testing.TB) (ledger.Config, func()) {
	t.Helper()
	engine, err := trillian.Open(t.Context(), filepath.Join(w.dir, "engine"))
	require.NoError(t, err)
	lock, err := keep.OpenLock(t.Context(), filepath.Join(w.dir, "lock"))
	require.NoError(t, err)
	tiles, err := keep.OpenTiles(t.Context(), filepath.Join(w.dir, "tiles"))
	require.NoError(t, err)
	return ledger.Config{Origin: origin, Signer: w.signer, Keys: custody.LogKeys{w.key}, Engine: engine, Lock: lock, Tiles: tiles, Now: time.Now},
		func() { require.NoError(t, errors.Join(engine.Close(), lock.Close(), tiles.Close())) }
}

// copied is the log as it is now, somewhere else: what it was set back to, or what
// goes on from here in another way.
func (w *watched) copied(t testing.TB) *watched {
	t.Helper()
	c := *w
	c.dir = t.TempDir()
	require.NoError(t, os.CopyFS(c.dir, os.DirFS(w.dir)))
	return &c
}

// with opens the log for as long as do takes.
func (w *watched) with(t testing.TB, do func(*ledger.Log)) {
	t.Helper()
	c, end := w.parts(t)
	l, err := ledger.Open(t.Context(), c)
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()); end() }()
	do(l)
}

// adds n leaves that are named after what.
func (w *watched) adds(t testing.TB, what string, n int) {
	t.Helper()
	var leaves []custody.Leaf
	var ids []custody.Digest
	for i := range n {
		p := custody.Hash(fmt.Append(nil, what, i))
		leaves, ids = append(leaves, custody.NewLeaf(custody.Hash(p[:]), custody.Tag(p))), append(ids, custody.Identity(p))
	}
	w.with(t, func(l *ledger.Log) {
		_, err := l.Append(t.Context(), leaves, ids)
		require.NoError(t, err)
	})
}

// shown has what the log serves, as a mirror of it would have it.
type shown map[string][]byte

func (s shown) read(_ context.Context, path string) ([]byte, error) {
	if b, ok := s[path]; ok {
		return b, nil
	}
	return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
}

// shows returns everything that the log serves.
func (w *watched) shows(t testing.TB) shown {
	t.Helper()
	s := shown{}
	w.with(t, func(l *ledger.Log) {
		s["checkpoint"] = l.Checkpoint()
		c, err := custody.CheckpointBody(s["checkpoint"])
		require.NoError(t, err)
		add := func(path string) {
			b, err := l.Tile(t.Context(), path)
			require.NoError(t, err, path)
			s[path] = b
		}
		for n := c.Size; n > 0; n /= 256 {
			level := 0
			for m := c.Size; m > n; m /= 256 {
				level++
			}
			for _, kind := range []string{fmt.Sprint(level), "entries"} {
				if kind == "entries" && level > 0 {
					continue
				}
				for i := range n / 256 {
					add(fmt.Sprintf("tile/%s/%03d", kind, i))
				}
				if n%256 > 0 {
					add(fmt.Sprintf("tile/%s/%03d.p/%d", kind, n/256, n%256))
				}
			}
		}
	})
	return s
}

// watcher is somebody's monitor.
type watcher struct {
	t     testing.TB
	dir   string
	trust *custody.Trust
}

func (w *watched) watcher(t testing.TB) *watcher { return &watcher{t, t.TempDir(), w.trust} }

// looks makes a round in a process of its own, so to speak.
func (w *watcher) looks(at shown, others ...monitor.Other) *monitor.Report {
	w.t.Helper()
	m, err := monitor.Open(w.dir, w.trust)
	require.NoError(w.t, err)
	r, err := m.Round(w.t.Context(), at.read, others...)
	require.NoError(w.t, err)
	require.NoError(w.t, m.Close())
	return r
}

// content wants a round without an alarm.
func (w *watcher) content(at shown, size int, others ...monitor.Other) {
	w.t.Helper()
	r := w.looks(at, others...)
	require.Empty(w.t, r.Alarms)
	require.Empty(w.t, r.Unreached)
	require.EqualValues(w.t, size, r.Size)
}

// alarmed wants one alarm of this round, and a proof where it says so. The next
// round reminds of a proof.
func (w *watcher) alarmed(at shown, says string, proof bool, others ...monitor.Other) string {
	w.t.Helper()
	r := w.looks(at, others...)
	require.Len(w.t, r.Alarms, 1, "%v", r.Alarms)
	require.Contains(w.t, r.Alarms[0].What, says)
	require.Equal(w.t, proof, r.Alarms[0].Proof != "", r.Alarms[0].What)
	if proof {
		again := w.looks(at, others...)
		require.Contains(w.t, again.Alarms[0].What, "an earlier round proved a lie")
		require.Equal(w.t, r.Alarms[0].Proof, again.Alarms[0].Proof)
	}
	return r.Alarms[0].Proof
}

// proves wants a contradiction that convinces others.
func (w *watcher) proves(path string, proven bool) {
	w.t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(w.t, err)
	c, err := custody.ParseContradiction(b)
	require.NoError(w.t, err)
	_, _, got, err := c.Verify(w.trust)
	require.NoError(w.t, err)
	require.Equal(w.t, proven, got)
}

func TestAnHonestLog(t *testing.T) {
	log := newWatched(t)
	w := log.watcher(t)
	size := 0
	w.content(log.shows(t), 0)
	for i, n := range []int{1, 2, 250, 3, 1, 600} {
		log.adds(t, fmt.Sprint("round ", i), n)
		size += n
		w.content(log.shows(t), size)
		w.content(log.shows(t), size)
	}
	log.watcher(t).content(log.shows(t), size, monitor.Other{Name: "a colleague", Read: log.shows(t).read})
}

// TestSetBack: T1, everything set back to an earlier state.
func TestSetBack(t *testing.T) {
	log := newWatched(t)
	log.adds(t, "before", 300)
	earlier := log.copied(t)
	log.adds(t, "after", 10)
	w := log.watcher(t)
	w.content(log.shows(t), 310)
	w.proves(w.alarmed(earlier.shows(t), "set back: size 300 after size 310", true), false)

	// And then it goes on, past where it was.
	w = log.watcher(t)
	w.content(log.shows(t), 310)
	earlier.adds(t, "another history", 5)
	w.proves(w.alarmed(earlier.shows(t), "size 305 after size 310", true), false)
	w = log.watcher(t)
	w.content(log.shows(t), 310)
	earlier.adds(t, "another history still", 5)
	w.proves(w.alarmed(earlier.shows(t), "another tree of size 310", true), true)
	w = log.watcher(t)
	w.content(log.shows(t), 310)
	earlier.adds(t, "yet", 300)
	w.proves(w.alarmed(earlier.shows(t), "does not begin with that of size 310", true), true)
}

// TestTwoTrees: T2, others are shown another log.
func TestTwoTrees(t *testing.T) {
	log := newWatched(t)
	log.adds(t, "before", 300)
	behind := log.copied(t)
	other := log.copied(t)
	log.adds(t, "here", 10)
	here := log.shows(t)
	shownTo := func(s shown) monitor.Other { return monitor.Other{Name: "a colleague", Read: s.read} }
	kept := func(s shown) monitor.Other {
		return monitor.Other{Name: "kept", Read: shown{"checkpoint": s["checkpoint"]}.read}
	}
	log.watcher(t).content(here, 310, shownTo(behind.shows(t)), kept(behind.shows(t)))

	other.adds(t, "there", 5)
	w := log.watcher(t)
	w.proves(w.alarmed(here, "another tree of size 305", true, kept(other.shows(t))), true)
	other.adds(t, "there too", 5)
	w = log.watcher(t)
	w.proves(w.alarmed(here, "another tree of size 310", true, kept(other.shows(t))), true)
	other.adds(t, "and there", 600)
	w = log.watcher(t)
	w.proves(w.alarmed(here, "does not begin with this one of size 310", true, shownTo(other.shows(t))), true)
	w = log.watcher(t)
	w.proves(w.alarmed(here, "was shown size 910 before the log shows size 310 here", true, kept(other.shows(t))), false)

	stranger := newWatched(t)
	log.watcher(t).alarmed(here, "is not a checkpoint of the log", false, kept(stranger.shows(t)))
	r := log.watcher(t).looks(here, monitor.Other{Name: "nobody", Read: shown{}.read})
	require.Empty(t, r.Alarms)
	require.Len(t, r.Unreached, 1)
}

// TestARepeatedTag: the operator, who has every key, puts a second record where one
// is.
func TestARepeatedTag(t *testing.T) {
	log := newWatched(t)
	log.adds(t, "before", 300)
	tag := custody.Tag(custody.Hash(fmt.Append(nil, "before", 7)))
	second := custody.NewLeaf(custody.Hash([]byte("another record")), tag)
	forge := func(log *watched) {
		log.with(t, func(l *ledger.Log) {
			_, err := l.Append(t.Context(), []custody.Leaf{second}, []custody.Digest{custody.Identity(custody.Hash([]byte("another statement")))})
			require.NoError(t, err)
		})
	}
	w := log.watcher(t)
	w.content(log.shows(t), 300)
	forge(log)
	log.adds(t, "after", 20)
	for _, w := range []*watcher{w, log.watcher(t)} { // long after, and at once
		path := w.alarmed(log.shows(t), "leaves 7 and 300 have the same tag", true)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		r, err := custody.ParseRepetition(b)
		require.NoError(t, err)
		first, again, err := r.Verify(log.trust)
		require.NoError(t, err)
		require.Equal(t, [2]uint64{7, 300}, [2]uint64{first, again})
		_, _, err = r.Verify(newWatched(t).trust)
		require.Error(t, err)
		for _, alter := range []func(*custody.Repetition){
			func(r *custody.Repetition) { r.First, r.Second = r.Second, r.First },
			func(r *custody.Repetition) { r.Second = r.First },
			func(r *custody.Repetition) { r.First.Leaf[40] ^= 1 },
			func(r *custody.Repetition) { r.First.Leaf = r.First.Leaf[1:] },
			func(r *custody.Repetition) {
				r.Second.Proof = strings.Replace(r.Second.Proof, "index 300", "index 301", 1)
			},
			func(r *custody.Repetition) { r.Second.Proof = "" },
		} {
			altered, err := custody.ParseRepetition(b)
			require.NoError(t, err)
			alter(altered)
			_, _, err = altered.Verify(log.trust)
			require.Error(t, err)
		}
	}
}

// TestWhatIsServedIsNotTheLog: T3, seen from outside: tiles and leaves that are not
// what was signed.
func TestWhatIsServedIsNotTheLog(t *testing.T) {
	log := newWatched(t)
	log.adds(t, "what", 300)
	earlier := log.shows(t)
	log.adds(t, "more", 300)
	honest := log.shows(t)
	altered := func(path string, change func([]byte) []byte) shown {
		s := shown{}
		for k, v := range honest {
			s[k] = v
		}
		s[path] = change(append([]byte{}, s[path]...))
		if s[path] == nil {
			delete(s, path)
		}
		return s
	}
	flip := func(at int) func([]byte) []byte { return func(b []byte) []byte { b[at] ^= 1; return b } }
	for name, c := range map[string]struct {
		shows shown
		says  string
	}{
		"a leaf":               {altered("tile/entries/000", flip(10)), "do not make the root"},
		"a leaf at the end":    {altered("tile/entries/002.p/88", flip(88*67-1)), "do not make the root"},
		"no leaf of Custody":   {altered("tile/entries/001", flip(2)), "entry 0: leaf is not 65 bytes"},
		"a leaf too few":       {altered("tile/entries/001", func(b []byte) []byte { return b[67:] }), "255 entries instead of 256"},
		"a half leaf":          {altered("tile/entries/001", func(b []byte) []byte { return b[:len(b)-1] }), "ends within an entry"},
		"a bundle is withheld": {altered("tile/entries/001", func([]byte) []byte { return nil }), "tile/entries/001 is not served"},
		"the checkpoint":       {altered("checkpoint", flip(len(origin)+1)), "is not the log's"},
		"its signature":        {altered("checkpoint", func(b []byte) []byte { b[len(b)-9] ^= 2; return b }), "is not the log's"},
	} {
		t.Run(name, func(t *testing.T) {
			w := log.watcher(t)
			w.alarmed(c.shows, c.says, false)
			w.content(honest, 600) // nothing of it was believed
			w = log.watcher(t)
			w.content(earlier, 300)
			if name != "a leaf" { // which is not asked for again
				w.alarmed(c.shows, c.says, false)
			}
			w.content(honest, 600)
		})
	}
	w := log.watcher(t)
	w.content(earlier, 300)
	w.alarmed(altered("tile/entries/001", flip(10)), "leaf 256 is served otherwise than before", false)
}

// TestNoRoom: a log may sign any size. Nothing is fetched that has no room here.
func TestNoRoom(t *testing.T) {
	require.NoError(t, monitor.Room(t.TempDir(), 0))
	require.NoError(t, monitor.Room(t.TempDir(), 1000))
	for _, n := range []uint64{1 << 45, 1 << 62, 1<<63 - 1} {
		require.ErrorContains(t, monitor.Room(t.TempDir(), n), "make room")
	}
	require.ErrorContains(t, monitor.Room(filepath.Join(t.TempDir(), "nowhere"), 1), "see what is free")
	w := newWatched(t)
	huge := custody.Checkpoint{Origin: w.trust.Origin, Size: 1 << 50, Root: custody.Hash([]byte("x"))}
	signed, err := note.Sign(&note.Note{Text: huge.String()}, w.signer)
	require.NoError(t, err)
	m, err := monitor.Open(t.TempDir(), w.trust)
	require.NoError(t, err)
	_, err = m.Round(t.Context(), func(_ context.Context, path string) ([]byte, error) {
		require.Equal(t, "checkpoint", path, "nothing else is asked for")
		return signed, nil
	})
	require.ErrorContains(t, err, "make room")
	require.NoError(t, m.Close())
}

// TestNoQuorum: the trust file asks for a witness that did not cosign.
func TestNoQuorum(t *testing.T) {
	log := newWatched(t)
	log.adds(t, "what", 3)
	public, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	key, err := custody.WitnessKey("witness.example/w", public)
	require.NoError(t, err)
	trust := *log.trust
	trust.Witnesses = "witness witness.example/w " + key + " https://witness.example\nquorum witness.example/w\n"
	_, err = trust.WitnessPolicy()
	require.NoError(t, err)
	w := &watcher{t, t.TempDir(), &trust}
	w.alarmed(log.shows(t), "is not cosigned by the witnesses that the trust file asks for", false)
}

// TestItsOwnFolder: what a monitor believes of its own past, it verifies.
func TestItsOwnFolder(t *testing.T) {
	log := newWatched(t)
	log.adds(t, "what", 300)
	w := log.watcher(t)
	w.content(log.shows(t), 300)
	for name, c := range map[string]struct {
		file string
		b    func([]byte) []byte
	}{
		"a leaf altered":     {"leaves", func(b []byte) []byte { b[100] ^= 1; return b }},
		"a leaf missing":     {"leaves", func(b []byte) []byte { return b[:len(b)-65] }},
		"checkpoint altered": {"checkpoint", func(b []byte) []byte { b[len(origin)+1] ^= 1; return b }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(w.dir)))
			path := filepath.Join(dir, c.file)
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, c.b(b), 0o600))
			_, err = monitor.Open(dir, log.trust)
			require.ErrorIs(t, err, monitor.ErrAltered)
		})
	}
	// What was fetched and not verified when it ended is fetched again.
	f, err := os.OpenFile(filepath.Join(w.dir, "leaves"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.Write(make([]byte, 1000))
	require.NoError(t, errors.Join(err, f.Close()))
	log.adds(t, "more", 300)
	w.content(log.shows(t), 600)

	m, err := monitor.Open(w.dir, log.trust)
	require.NoError(t, err)
	_, err = monitor.Open(w.dir, log.trust)
	require.ErrorContains(t, err, "in use")
	_, err = m.Round(t.Context(), shown{}.read)
	require.ErrorIs(t, err, monitor.ErrUnreachable)
	require.NoError(t, m.Close())
	_, err = monitor.Open(w.dir, newWatched(t).trust)
	require.ErrorContains(t, err, "take another folder")
}
