package guard_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/storage/sql"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a service over a real store, SQLite in a file, under the default
// policy; only its log is one of the tests'.
type world struct {
	*guardtest.World
	t   *testing.T
	ctx context.Context
}

func newWorld(t *testing.T, change ...func(*guardtest.Setup)) world {
	t.Helper()
	store, err := sql.Open(t.Context(), filepath.Join(t.TempDir(), "records.db"), sql.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	s := guardtest.Setup{Seed: 1, Store: store}
	for _, c := range change {
		c(&s)
	}
	w, err := guardtest.New(t.Context(), s)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	return world{w, t, t.Context()}
}

// stage is a world in which the story was lived up to the sealed exhibit.
type stage struct {
	world
	tale
}

// tale keeps the story below the world, whose methods are the stage's.
type tale struct{ *guardtest.Story }

func newStage(t *testing.T, change ...func(*guardtest.Setup)) stage {
	t.Helper()
	w := newWorld(t, change...)
	s, err := w.Team(w.ctx)
	require.NoError(t, err)
	require.NoError(t, s.Others(w.ctx))
	require.NoError(t, s.TakeIn(w.ctx))
	return stage{w, tale{s}}
}

// records counts what is on record, proven or not.
func (w world) records() int {
	w.t.Helper()
	c, err := custody.CheckpointBody(w.Log.Checkpoint())
	require.NoError(w.t, err)
	return int(c.Size) + len(w.unproven())
}

func (w world) unproven() []guard.Stored {
	w.t.Helper()
	list, err := w.Store.Unproven(w.ctx)
	require.NoError(w.t, err)
	return list
}

// wait waits until something holds.
func (w world) wait(what string, holds func() bool) {
	w.t.Helper()
	require.Eventually(w.t, holds, 30*time.Second, time.Millisecond, what)
}

// as lets somebody act.
func (w world) as(p *guardtest.Person) actor { return actor{w, p} }

type actor struct {
	world
	person *guardtest.Person
}

// attempt is what came of sending a statement.
type attempt struct {
	world
	raw     []byte
	answer  *guard.Admission
	err     error
	records int // before it
}

// tries signs a statement, and sends it.
func (a actor) tries(purpose string, act custody.Act) attempt {
	a.t.Helper()
	raw, err := a.person.Sign(purpose, act)
	require.NoError(a.t, err)
	return a.send(raw)
}

func (w world) send(raw []byte) attempt { return w.sendWith(raw, "") }

func (w world) sendWith(raw []byte, code string) attempt {
	w.t.Helper()
	n := w.records()
	a, err := w.Admit(w.ctx, raw, code)
	return attempt{w, raw, a, err, n}
}

// recorded says that the act was permitted, and that a record proves it.
func (a attempt) recorded() *guard.Admission {
	a.t.Helper()
	require.NoError(a.t, a.err)
	require.True(a.t, a.answer.Permit, a.answer.Reason)
	require.Empty(a.t, a.answer.Reason)
	a.proven()
	return a.answer
}

// refused says that the act was refused for this reason, as the actor is told
// it, and that a record proves it.
func (a attempt) refused(told string) *guard.Admission {
	a.t.Helper()
	require.NoError(a.t, a.err)
	require.False(a.t, a.answer.Permit)
	require.Contains(a.t, a.answer.Reason, told)
	require.Empty(a.t, a.answer.Token)
	a.proven()
	return a.answer
}

// failed says that there was no decision, and that nothing was written.
func (a attempt) failed(want error) {
	a.t.Helper()
	require.ErrorIs(a.t, a.err, want)
	require.Nil(a.t, a.answer)
	require.Equal(a.t, a.records, a.world.records(), "nothing is written")
}

// proven checks the record and the receipt of the answer as anybody may who has
// the trust file.
func (a attempt) proven() {
	a.t.Helper()
	leaf, err := a.answer.Receipt.Leaf(a.answer.Record)
	require.NoError(a.t, err)
	_, err = a.answer.Receipt.Verify(a.Trust, leaf)
	require.NoError(a.t, err)
	r := a.record()
	raw, err := r.Envelope.Marshal()
	require.NoError(a.t, err)
	require.Equal(a.t, a.raw, raw, "the statement is kept as it was signed")
	require.Equal(a.t, a.answer.Permit, r.Decision.Permit)
	if !a.answer.Repeat {
		require.Greater(a.t, a.world.records(), a.records)
	}
}

func (a attempt) record() *custody.Record {
	a.t.Helper()
	r, err := custody.ParseRecord(a.answer.Record)
	require.NoError(a.t, err)
	return r
}

// fields lists the names of a record's fields, all the way down.
func fields(t *testing.T, record []byte) map[string]bool {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal(record, &v))
	names := map[string]bool{}
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				names[prefix+k] = true
				walk(prefix+k+".", e)
			}
		case []any:
			for _, e := range v {
				walk(prefix, e)
			}
		}
	}
	walk("", v)
	return names
}

// history returns the statements of a stream, in order.
func (w world) history(s custody.Stream) (kinds []custody.Kind, records []*custody.Record, last *custody.Statement) {
	w.t.Helper()
	list, err := w.Store.Records(w.ctx, s, 0, 1000, false)
	require.NoError(w.t, err)
	for _, stored := range list {
		r, err := custody.ParseRecord(stored.Record)
		require.NoError(w.t, err)
		last, err = r.Envelope.Statement(investigate.Words())
		require.NoError(w.t, err)
		kinds, records = append(kinds, last.Kind), append(records, r)
	}
	return kinds, records, last
}
