package paper_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/custody/paper"
	"github.com/forensic-custody/custody/investigate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// living is a story of which papers are made.
type living struct {
	*guardtest.Story
	t *testing.T
}

// live lives the story up to the sealed exhibit, with a name of the file and of who
// takes it.
func live(t *testing.T) *living {
	t.Helper()
	ctx := t.Context()
	w, err := guardtest.New(ctx, guardtest.Setup{Seed: 3})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	s, err := w.Team(ctx)
	require.NoError(t, err)
	require.NoError(t, s.Others(ctx))
	return &living{s, t}
}

// does lets somebody do what is permitted.
func (l *living) does(p *guardtest.Person, why string, act custody.Act) custody.Digest {
	l.t.Helper()
	raw, err := p.Sign(why, act)
	require.NoError(l.t, err)
	a, err := l.Admit(l.t.Context(), raw, "")
	require.NoError(l.t, err)
	require.True(l.t, a.Permit, a.Reason)
	return guardtest.PayloadOf(raw)
}

// refused lets somebody try what is not.
func (l *living) refused(p *guardtest.Person, why string, act custody.Act) {
	l.t.Helper()
	a, err := p.Does(l.t.Context(), why, act)
	require.NoError(l.t, err)
	require.False(l.t, a.Permit)
}

// attests lets the service say something.
func (l *living) attests(act custody.Act) {
	l.t.Helper()
	_, err := l.Attest(l.t.Context(), "the schedule", act)
	require.NoError(l.t, err)
}

// takesIn lets the engineer take an item in.
func (l *living) takesIn(name, exhibit string, change ...func(*custody.SealEvidence)) {
	l.t.Helper()
	n, err := custody.NewName([]byte(name))
	require.NoError(l.t, err)
	l.Evidence = custody.NewEvidenceID(l.does(l.Engineer, "it may hold the attacker's tools", &custody.BeginEvidence{
		AtMost: 1 << 20, Exhibit: exhibit, Incident: l.Incident, Name: n, Type: "disk",
	}))
	seal := l.Seal()
	for _, c := range change {
		c(seal)
	}
	l.does(l.Engineer, "taken at the scene", seal)
}

// eventful lives a story with something of everything: a check, a retrieval that
// was confirmed and one that was not, a refusal, a hold, an export.
func eventful(t *testing.T) *living {
	t.Helper()
	l := live(t)
	l.attests(&custody.ProveStore{Checksum: true, ConditionalPut: true, Hold: true, Lock: true, Store: custody.StoreS3, Versions: true})
	l.takesIn("disk.img", "EX-1", func(s *custody.SealEvidence) {
		s.Acquisition.Collector = &custody.Person{Name: "Officer Olga Öberg", Title: "patrol officer", Contact: "+46 8 555 01 23"}
		s.Acquisition.Source.Model, s.Acquisition.Source.Host = "ThinkPad X1", "web01"
		s.Labels = []custody.Label{{Algorithm: "md5", Measured: "d41d8cd98f00b204e9800998ecf8427e", Over: custody.LabelArtifact}}
	})
	require.NoError(t, l.Retrieve(t.Context()))
	l.Pass(time.Hour)
	l.attests(&custody.CheckEvidence{Evidence: l.Evidence, Intact: true, SHA256: custody.Hash(l.Artifact)})
	l.does(l.Counsel, "before the hearing", &custody.HoldEvidence{Authority: "district court, docket 12-345", Evidence: l.Evidence})
	grant := l.does(l.Engineer, "partition table", &custody.RetrieveEvidence{Evidence: l.Evidence, Length: 4})
	l.attests(&custody.ReleaseEvidence{Evidence: l.Evidence, Grant: grant, Outcome: custody.ReleaseFinished, Sent: 4})
	l.refused(l.Lead, "I want to look at it myself", l.Retrieval())
	l.does(l.Counsel, "disclosure to the defence", &custody.ExportEvidence{Evidence: l.Evidence})
	return l
}

func (l *living) bundle() []byte { return l.bundleOf(true) }

// bundleOf returns the bundle of the item, with the log's leaves or without.
func (l *living) bundleOf(leaves bool) []byte {
	l.t.Helper()
	c, err := l.Contents(l.t.Context(), l.Evidence, leaves)
	require.NoError(l.t, err)
	var b bytes.Buffer
	require.NoError(l.t, bundle.Write(&b, c))
	return b.Bytes()
}

func (l *living) proof() *paper.Proof {
	l.t.Helper()
	p, err := paper.Read(l.bundle(), l.Trust, investigate.Words())
	require.NoError(l.t, err)
	return p
}

func files(t *testing.T, p *paper.Proof, kinds ...string) map[string][]byte {
	t.Helper()
	made, err := p.Make(kinds...)
	require.NoError(t, err)
	all := map[string][]byte{}
	for _, f := range made {
		all[f.Name] = f.Bytes
	}
	return all
}

// inFolder writes a file where programs find it.
func inFolder(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return path
}

// run runs a program, which must not fail, and returns what it prints.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	var said bytes.Buffer
	c := exec.Command(name, args...)
	c.Stderr = &said
	out, err := c.Output()
	require.NoError(t, err, "%s: %s", name, said.String())
	return string(out)
}
