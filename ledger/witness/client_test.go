package witness_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/ledger/keep"
	"github.com/forensic-custody/custody/ledger/trillian"
	"github.com/forensic-custody/custody/ledger/witness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const origin = "log.example/ours"

// ours is a folder with a log in it.
type ours struct {
	dir      string
	signer   note.Signer
	verifier note.Verifier
	key      string
}

func newOurs(t testing.TB) *ours {
	t.Helper()
	h := newHistory(t, origin)
	v, err := note.NewVerifier(h.key)
	require.NoError(t, err)
	o := &ours{dir: t.TempDir(), signer: h.signer, verifier: v, key: h.key}
	require.NoError(t, trillian.Create(t.Context(), filepath.Join(o.dir, "engine")))
	c, end := o.parts(t)
	defer end()
	require.NoError(t, ledger.Create(t.Context(), c))
	return o
}

func (o *ours) parts(t testing.TB) (c ledger.Config, end func()) {
	t.Helper()
	engine, err := trillian.Open(t.Context(), filepath.Join(o.dir, "engine"))
	require.NoError(t, err)
	lock, err := keep.OpenLock(t.Context(), filepath.Join(o.dir, "lock"))
	require.NoError(t, err)
	tiles, err := keep.OpenTiles(t.Context(), filepath.Join(o.dir, "tiles"))
	require.NoError(t, err)
	c = ledger.Config{Origin: origin, Signer: o.signer, Keys: custody.LogKeys{o.verifier}, Engine: engine, Lock: lock, Tiles: tiles, Now: time.Now}
	return c, func() { require.NoError(t, errors.Join(engine.Close(), lock.Close(), tiles.Close())) }
}

// copied returns a copy of a closed folder.
func (o *ours) copied(t testing.TB) *ours {
	t.Helper()
	c := *o
	c.dir = t.TempDir()
	require.NoError(t, os.CopyFS(c.dir, os.DirFS(o.dir)))
	return &c
}

// open opens the log with witnesses of a policy; close must be called.
func (o *ours) open(t testing.TB, policy string, spared ...string) (l *ledger.Log, c *witness.Client, closeAll func(), err error) {
	t.Helper()
	config, end := o.parts(t)
	c = witness.NewClient(custody.LogKeys{o.verifier}, time.Now, slog.New(slog.DiscardHandler), spared...)
	p, err := custody.ParseWitnessPolicy(policy)
	require.NoError(t, err)
	c.Adopt(p)
	config.Witnesses = c
	l, err = ledger.Open(t.Context(), config)
	return l, c, func() {
		if l != nil {
			require.NoError(t, l.Close())
		}
		require.NoError(t, c.Close())
		end()
	}, err
}

// add appends leaves that are named after what.
func add(t testing.TB, l *ledger.Log, what string, n int) ([]*custody.Receipt, []custody.Leaf) {
	t.Helper()
	var leaves []custody.Leaf
	var ids []custody.Digest
	for i := range n {
		p := custody.Hash(fmt.Append(nil, what, i))
		leaves, ids = append(leaves, custody.NewLeaf(custody.Hash(p[:]), custody.Tag(p))), append(ids, custody.Identity(p))
	}
	r, err := l.Append(t.Context(), leaves, ids)
	require.NoError(t, err)
	return r, leaves
}

// door is a witness behind a door that can be shut.
type door struct {
	*served
	name  string
	shut  atomic.Bool
	shown chan struct{} // closed: those who wait at the door go away
	lies  func([]byte) []byte
}

func newDoor(t testing.TB, name string, log string) *door {
	t.Helper()
	d := &door{name: name, shown: make(chan struct{})}
	d.served = serveAs(t, name, t.TempDir(), newKey(t), func(s http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if d.shut.Load() {
				select {
				case <-r.Context().Done():
				case <-d.shown:
				}
				return
			}
			if d.lies == nil {
				s.ServeHTTP(w, r)
				return
			}
			rec := httptest.NewRecorder()
			s.ServeHTTP(rec, r)
			said := rec.Body.Bytes()
			if rec.Code == http.StatusOK {
				said = d.lies(said)
			}
			for k, v := range rec.Header() {
				w.Header()[k] = v
			}
			w.WriteHeader(rec.Code)
			_, _ = w.Write(said)
		})
	}, log)
	t.Cleanup(func() { close(d.shown) })
	return d
}

func serveAs(t testing.TB, name, dir string, key ed25519.PrivateKey, wrap func(http.Handler) http.Handler, logs ...string) *served {
	t.Helper()
	s, err := witness.NewServer(name, key, logs, dir, time.Now, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	h := httptest.NewServer(wrap(s))
	t.Cleanup(h.Close)
	return &served{s, h.URL, dir, key}
}

func policyOf(quorum string, doors ...*door) string {
	text, members := "", ""
	for _, d := range doors {
		text += "witness " + d.name + " " + d.VerifierKey() + " " + d.url + "\n"
		members += " " + d.name
	}
	return text + "group q " + quorum + members + "\nquorum q\n"
}

// quorum says what a checkpoint of the log comes to under a policy.
func (o *ours) quorum(t testing.TB, signed []byte, policy string) *custody.Cosigned {
	t.Helper()
	p, err := custody.ParseWitnessPolicy(policy)
	require.NoError(t, err)
	c, err := p.Open(signed, o.verifier)
	require.NoError(t, err)
	require.Empty(t, c.Unknown)
	return c
}

// TestReceiptsAreCosigned, also of tiles that are full, and after a restart.
func TestReceiptsAreCosigned(t *testing.T) {
	o := newOurs(t)
	a, b := newDoor(t, "a", o.key), newDoor(t, "b", o.key)
	policy := policyOf("all", a, b)
	for round, n := range []int{1, 5, 600, 3, 300} {
		l, c, closeAll, err := o.open(t, policy)
		require.NoError(t, err)
		receipts, leaves := add(t, l, fmt.Sprint("round ", round), n)
		trust := &custody.Trust{Format: custody.TrustFormat, Genesis: custody.Hash([]byte("g")), Log: o.key, Origin: origin, Witnesses: policy}
		for i, r := range receipts {
			got, err := r.Verify(trust, leaves[i])
			require.NoError(t, err)
			require.Equal(t, custody.QuorumMet, got.Quorum)
		}
		require.Equal(t, custody.QuorumMet, o.quorum(t, l.Checkpoint(), policy).Quorum)
		for _, s := range c.States() {
			require.NoError(t, s.Err)
			require.Equal(t, o.quorum(t, l.Checkpoint(), policy).Size, s.Size)
		}
		tile, err := l.Tile(t.Context(), "checkpoint")
		require.NoError(t, err)
		require.Equal(t, l.Checkpoint(), tile)
		require.NoError(t, l.Check(t.Context()))
		closeAll()
	}
}

// TestASilentWitness (T50): the log goes on, at full speed after one wait of two
// seconds, says that the quorum is not met, and is cosigned late, without a new
// leaf, when the witness answers.
func TestASilentWitness(t *testing.T) {
	o := newOurs(t)
	a, b := newDoor(t, "a", o.key), newDoor(t, "b", o.key)
	policy := policyOf("all", a, b)
	l, _, closeAll, err := o.open(t, policy)
	require.NoError(t, err)
	defer closeAll()
	b.shut.Store(true)
	begun := time.Now()
	add(t, l, "first", 1)
	require.Less(t, time.Since(begun), 4*time.Second)
	require.GreaterOrEqual(t, time.Since(begun), 1900*time.Millisecond, "a quorum is waited for")
	begun = time.Now()
	for n := range 10 {
		add(t, l, fmt.Sprint("more", n), 1)
	}
	require.Less(t, time.Since(begun), 1500*time.Millisecond, "who does not answer is not waited for again")
	is := o.quorum(t, l.Checkpoint(), policy)
	require.Equal(t, custody.QuorumNotMet, is.Quorum)
	require.Len(t, is.By, 1)
	require.NoError(t, l.Ready(), "the log goes on")
	b.shut.Store(false)
	require.Eventually(t, func() bool { return o.quorum(t, l.Checkpoint(), policy).Quorum == custody.QuorumMet }, 15*time.Second, 20*time.Millisecond)
	require.Equal(t, is.Size, o.quorum(t, l.Checkpoint(), policy).Size)
	begun = time.Now()
	r, _ := add(t, l, "last", 1)
	require.Equal(t, custody.QuorumMet, o.quorum(t, r[0].Checkpoint, policy).Quorum)
	require.Less(t, time.Since(begun), time.Second)
}

// TestOneOfThreeIsBad (T12): two of three are enough whatever the third says, and
// what it says does not count.
func TestOneOfThreeIsBad(t *testing.T) {
	for name, lies := range map[string]func([]byte) []byte{
		"nothing":      func([]byte) []byte { return nil },
		"noise":        func([]byte) []byte { return []byte("ok\n") },
		"a forged one": func(b []byte) []byte { b[len(b)-10] ^= 1; return b },
		"another's": func(b []byte) []byte {
			return []byte(strings.Replace(string(b), "— c ", "— a ", 1))
		},
		"the same twice": func(b []byte) []byte { return append(b, b...) },
	} {
		t.Run(name, func(t *testing.T) {
			o := newOurs(t)
			a, b, c := newDoor(t, "a", o.key), newDoor(t, "b", o.key), newDoor(t, "c", o.key)
			c.lies = lies
			policy := policyOf("2", a, b, c)
			l, _, closeAll, err := o.open(t, policy)
			require.NoError(t, err)
			defer closeAll()
			r, _ := add(t, l, "x", 3)
			require.Equal(t, custody.QuorumMet, o.quorum(t, r[0].Checkpoint, policy).Quorum)
			all := policyOf("all", a, b, c)
			met := func() bool { return o.quorum(t, l.Checkpoint(), all).Quorum == custody.QuorumMet }
			if name == "the same twice" {
				require.Eventually(t, met, 5*time.Second, 10*time.Millisecond)
			} else {
				require.Never(t, met, 300*time.Millisecond, 10*time.Millisecond)
			}
		})
	}
}

// TestSetBackAsAWhole (T1): engine, lock and tiles are put back together. Without a
// witness the log opens, and only whoever kept a receipt knows; with one it does not.
func TestSetBackAsAWhole(t *testing.T) {
	for _, witnessed := range []bool{true, false} {
		t.Run(fmt.Sprint("witnessed: ", witnessed), func(t *testing.T) {
			o := newOurs(t)
			a := newDoor(t, "a", o.key)
			policy := custody.NoWitnesses
			if witnessed {
				policy = policyOf("all", a)
			}
			l, _, closeAll, err := o.open(t, policy)
			require.NoError(t, err)
			add(t, l, "before", 40)
			closeAll()
			snapshot := o.copied(t)
			l, _, closeAll, err = o.open(t, policy)
			require.NoError(t, err)
			add(t, l, "lost", 100)
			closeAll()

			l, _, closeAll, err = snapshot.open(t, policy)
			defer closeAll()
			if !witnessed {
				require.NoError(t, err, "nobody here can know")
				return
			}
			require.ErrorIs(t, err, ledger.ErrRollback)
			require.ErrorContains(t, err, "witness a has cosigned this log at size 140, and the last that it signed here is 40")
			require.Nil(t, l)
		})
	}
}

// TestSetBackUnseen: the witness does not answer at the start. Nothing is handed out, as
// the quorum is not met; and when it answers the log stops by itself.
func TestSetBackUnseen(t *testing.T) {
	o := newOurs(t)
	a := newDoor(t, "a", o.key)
	policy := policyOf("all", a)
	l, _, closeAll, err := o.open(t, policy)
	require.NoError(t, err)
	add(t, l, "before", 40)
	closeAll()
	snapshot := o.copied(t)
	l, _, closeAll, err = o.open(t, policy)
	require.NoError(t, err)
	add(t, l, "lost", 100)
	closeAll()
	a.shut.Store(true)
	l, _, closeAll, err = snapshot.open(t, policy)
	require.NoError(t, err)
	defer closeAll()
	require.Equal(t, custody.QuorumNotMet, o.quorum(t, l.Checkpoint(), policyOf("all", a)).Quorum)
	a.shut.Store(false)
	require.Eventually(t, func() bool { return errors.Is(l.Ready(), ledger.ErrRollback) }, 15*time.Second, 20*time.Millisecond)
	_, err = l.Append(t.Context(), []custody.Leaf{custody.NewLeaf(custody.Hash(nil), custody.Tag{})}, []custody.Digest{custody.Hash(nil)})
	require.ErrorIs(t, err, ledger.ErrRollback)
}

// TestTwoTreesOfOneKey (T2): the folder is copied, and both are gone on with. The
// second one to ask is stopped, in every order of sizes.
func TestTwoTreesOfOneKey(t *testing.T) {
	for _, more := range []int{5, 10, 20} {
		t.Run(fmt.Sprint("more: ", more), func(t *testing.T) {
			o := newOurs(t)
			a := newDoor(t, "a", o.key)
			policy := policyOf("all", a)
			l, _, closeAll, err := o.open(t, policy)
			require.NoError(t, err)
			add(t, l, "before", 40)
			closeAll()
			twin := o.copied(t)
			l, _, closeOne, err := o.open(t, policy)
			require.NoError(t, err)
			defer closeOne()
			second, _, closeTwo, err := twin.open(t, policy)
			require.NoError(t, err)
			defer closeTwo()
			add(t, l, "for one auditor", 10)
			p := custody.Hash([]byte("for the other"))
			var leaves []custody.Leaf
			var ids []custody.Digest
			for i := range more {
				d := custody.Hash(fmt.Append(p[:], i))
				leaves, ids = append(leaves, custody.NewLeaf(d, custody.Tag(d))), append(ids, custody.Identity(d))
			}
			_, err = second.Append(context.Background(), leaves, ids)
			if more < 10 {
				require.ErrorIs(t, err, ledger.ErrRollback)
			} else {
				require.ErrorIs(t, err, ledger.ErrFork)
			}
			require.Error(t, second.Ready())
			require.NoError(t, l.Ready())
		})
	}
}

// TestALyingWitnessIsSpared: one that claims to have seen more keeps the log from
// opening until an operator has it spared; its cosignature is then missing.
func TestALyingWitnessIsSpared(t *testing.T) {
	o := newOurs(t)
	a, b := newDoor(t, "a", o.key), newDoor(t, "b", o.key)
	liar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprintln(w, "1000000")
	}))
	defer liar.Close()
	b.url = liar.URL
	policy := policyOf("any", a, b)
	l, _, closeAll, err := o.open(t, policy)
	if err == nil { // the other one alone is a quorum, and may answer first
		require.Eventually(t, func() bool { err = l.Ready(); return err != nil }, 20*time.Second, time.Millisecond)
	}
	require.ErrorIs(t, err, ledger.ErrRollback)
	require.ErrorContains(t, err, "spareWitnesses")
	closeAll()
	l, c, closeAll, err := o.open(t, policy, "b")
	require.NoError(t, err)
	defer closeAll()
	r, _ := add(t, l, "x", 1)
	require.Equal(t, custody.QuorumMet, o.quorum(t, r[0].Checkpoint, policy).Quorum)
	require.ErrorContains(t, c.States()[1].Err, "not asked")
}

// TestAWitnessOfAnotherTime: a cosignature of long ago, or of the future, does not
// count.
func TestAWitnessOfAnotherTime(t *testing.T) {
	o := newOurs(t)
	for _, off := range []time.Duration{time.Hour, -time.Hour} {
		key := newKey(t)
		s, err := witness.NewServer("late", key, []string{o.key}, t.TempDir(), func() time.Time { return time.Now().Add(off) }, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		h := httptest.NewServer(s)
		d := &door{served: &served{s, h.URL, "", key}, name: "late"}
		policy := policyOf("all", d)
		l, c, closeAll, err := o.open(t, policy)
		require.NoError(t, err)
		require.Equal(t, custody.QuorumNotMet, o.quorum(t, l.Checkpoint(), policy).Quorum)
		require.ErrorContains(t, c.States()[0].Err, "one clock is wrong")
		closeAll()
		h.Close()
	}
}

// TestAdoptedWhileItRuns: a policy that comes into force has the published
// checkpoint cosigned, without a new leaf.
func TestAdoptedWhileItRuns(t *testing.T) {
	o := newOurs(t)
	a := newDoor(t, "a", o.key)
	l, c, closeAll, err := o.open(t, custody.NoWitnesses)
	require.NoError(t, err)
	defer closeAll()
	add(t, l, "x", 300)
	require.Empty(t, c.States())
	policy := policyOf("all", a)
	p, err := custody.ParseWitnessPolicy(policy)
	require.NoError(t, err)
	c.Adopt(p)
	require.Eventually(t, func() bool { return o.quorum(t, l.Checkpoint(), policy).Quorum == custody.QuorumMet }, 5*time.Second, 10*time.Millisecond)
}
