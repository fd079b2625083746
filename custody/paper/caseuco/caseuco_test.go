package caseuco_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/custody/paper/caseuco"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/storage/buckettest"
)

// verdict is that of a story in which an item was taken in, retrieved and checked,
// and somebody was refused.
func verdict(t *testing.T) (*guardtest.Story, *bundle.Verdict) {
	t.Helper()
	ctx := t.Context()
	words := investigate.Words()
	w, err := guardtest.New(ctx, guardtest.Setup{Seed: 3})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	s, err := w.Team(ctx)
	require.NoError(t, err)
	require.NoError(t, s.TakeIn(ctx))
	require.NoError(t, s.Retrieve(ctx))
	_, err = s.Attest(ctx, "the schedule", &custody.CheckEvidence{Evidence: s.Evidence, Intact: true, SHA256: custody.Hash(s.Artifact)})
	require.NoError(t, err)
	refused, err := s.Lead.Does(ctx, "to look", s.Retrieval())
	require.NoError(t, err)
	require.False(t, refused.Permit)
	var b bytes.Buffer
	require.NoError(t, s.Bundle(ctx, s.Evidence, true, &b))
	v := bundle.Verify(&b, s.Trust, bundle.Options{Words: words})
	require.Empty(t, v.Problems)
	return s, v
}

// withPapers is the verdict of the story's incident, once papers were issued about its
// item and about itself.
func withPapers(t *testing.T, s *guardtest.Story) *bundle.Verdict {
	t.Helper()
	for _, act := range []custody.Act{
		&custody.ReportEvidence{Evidence: s.Evidence, Paper: custody.PaperReport, SHA256: custody.Hash([]byte("one")), Size: 3},
		&custody.ReportIncident{Incident: s.Incident, Paper: custody.PaperCase, SHA256: custody.Hash([]byte("other")), Size: 5},
	} {
		a, err := s.Lead.Does(t.Context(), "for the court", act)
		require.NoError(t, err)
		require.True(t, a.Permit, a.Reason)
	}
	c, err := s.IncidentContents(t.Context(), s.Incident, true)
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, bundle.Write(&b, c))
	v := bundle.Verify(&b, s.Trust, bundle.Options{Words: investigate.Words()})
	require.Empty(t, v.Problems)
	return v
}

func export(t *testing.T, v *bundle.Verdict) []byte {
	t.Helper()
	b, err := caseuco.Write(v, custody.Hash([]byte("the bundle")))
	require.NoError(t, err)
	return b
}

type thing map[string]any

func graph(t *testing.T, b []byte) (all []thing) {
	t.Helper()
	var d struct {
		Graph []thing `json:"@graph"`
	}
	require.NoError(t, json.Unmarshal(b, &d))
	return d.Graph
}

// of returns the things of a type.
func of(all []thing, kind string) (list []thing) {
	for _, x := range all {
		if x["@type"] == kind {
			list = append(list, x)
		}
	}
	return list
}

// TestTheHistory is in the export: exhibit, bytes and digests, people, and each act
// with who did it, when, with what, and upon what came before.
func TestTheHistory(t *testing.T) {
	s, v := verdict(t)
	b := export(t, v)
	require.Equal(t, b, export(t, v), "the same bytes")
	all := graph(t, b)
	require.Equal(t, "EX-1", of(all, "case-investigation:ProvenanceRecord")[0]["case-investigation:exhibitNumber"])
	require.Equal(t, "a login from two countries at once", of(all, "case-investigation:Investigation")[0]["uco-core:name"])
	require.Len(t, of(all, "uco-identity:Person"), 2)
	require.Contains(t, string(b), custody.Hash(s.Artifact).Hex())
	right := of(all, "case-investigation:Authorization")[0]
	require.Equal(t, "incident response policy 4.2", right["case-investigation:authorizationIdentifier"])
	acts := of(all, "case-investigation:InvestigativeAction")
	require.Len(t, acts, len(v.Timeline)+1, "the records, and the acquisition")
	require.Equal(t, "evidence acquisition", acts[0]["uco-core:name"])
	require.Equal(t, "Fail", acts[len(acts)-1]["uco-action:actionStatus"])
	for n, a := range acts {
		require.NotEmpty(t, a["uco-action:performer"])
		require.NotEmpty(t, a["uco-action:instrument"])
		if n > 0 {
			require.Equal(t, acts[n-1]["@id"], a["case-investigation:wasInformedBy"].(map[string]any)["@id"])
		}
	}
	seen := map[any]bool{}
	for _, x := range all {
		require.False(t, seen[x["@id"]], "%v stands there twice", x["@id"])
		seen[x["@id"]] = true
	}
	v.Verified = false
	_, err := caseuco.Write(v, custody.Digest{})
	require.Error(t, err)
}

// wrong is a part of an export in which four things are wrong.
func wrong(t *testing.T, b []byte) []byte {
	t.Helper()
	var d map[string]any
	require.NoError(t, json.Unmarshal(b, &d))
	all := graph(t, b)
	hash, record, act := of(all, "uco-types:Hash")[0], of(all, "case-investigation:ProvenanceRecord")[0], of(all, "case-investigation:InvestigativeAction")[0]
	hash["uco-types:hashMethod"] = 256
	hash["uco-types:hashValue"] = "not typed"
	record["case-investigation:exhibitNumber"] = []string{"EX-1", "EX-2"}
	act["uco-action:location"] = "somewhere"
	d["@graph"] = []thing{hash, record, act}
	b, err := json.Marshal(d)
	require.NoError(t, err)
	return b
}

// TestShapes holds an export against the shapes of CASE 1.4.0 with a validator of
// others, and beside it a wrong one, which must be found out.
func TestShapes(t *testing.T) {
	s, v := verdict(t)
	b := export(t, v)
	whole := withPapers(t, s)
	papers := export(t, whole)
	require.Len(t, of(graph(t, papers), "case-investigation:InvestigativeAction"), len(whole.Timeline)+1, "the records, and the acquisition")
	there := map[any]bool{}
	for _, x := range graph(t, papers) {
		there[x["@id"]] = true
	}
	for _, x := range of(graph(t, papers), "case-investigation:InvestigativeAction") {
		require.True(t, there[x["uco-action:performer"].(map[string]any)["@id"]], "%v is done by somebody", x["uco-core:name"])
	}
	for _, about := range []string{"a paper about the item: custody-report", "a paper about the incident: case"} {
		require.Contains(t, string(papers), about)
	}
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, b, 0o600))
		return path
	}
	packed, err := os.Open(filepath.Join("testdata", "case-1.4.0.ttl.gz"))
	require.NoError(t, err)
	defer func() { _ = packed.Close() }()
	z, err := gzip.NewReader(packed)
	require.NoError(t, err)
	ontology, err := io.ReadAll(z)
	require.NoError(t, err)

	right, other, third := write("right.jsonld", b), write("wrong.jsonld", wrong(t, b)), write("papers.jsonld", papers)
	out, err := exec.Command(buckettest.Tool(t, "shacl"), write("case.ttl", ontology), right, other, third).Output()
	failed := new(exec.ExitError)
	require.True(t, errors.As(err, &failed), "the wrong one is found out: %s", out)
	require.Equal(t, 1, failed.ExitCode(), "%s", failed.Stderr)
	var found []string
	for l := range strings.Lines(string(out)) {
		if strings.HasPrefix(l, right) || strings.HasPrefix(l, third) {
			require.Contains(t, l, " statements, 0 results")
		} else {
			found = append(found, l)
		}
	}
	all := strings.Join(found, "")
	for _, path := range []string{"types/hashMethod", "types/hashValue", "investigation/exhibitNumber", "action/location"} {
		require.Regexp(t, "(Violation|Warning).*"+path, all)
	}
	require.Len(t, strings.Split(strings.TrimSpace(string(out)), "\n"), len(found)+2, "one line about each right one")
}

// TestWithheldRecords are counted, since the history is not whole without them.
func TestWithheldRecords(t *testing.T) {
	_, v := verdict(t)
	b, err := caseuco.Write(v, custody.Hash(nil))
	require.NoError(t, err)
	require.NotContains(t, string(b), "withheld")
	v.Withheld = []bundle.Withheld{{Sequence: 2}}
	b, err = caseuco.Write(v, custody.Hash(nil))
	require.NoError(t, err)
	require.Contains(t, string(b), "Records of the bundle that are withheld, and are not told here: 1.")
}

// TestWhatAnActionIsAbout: of two proposals an export says which was signed, and what of
// it was taken back; and by which label people name an action.
func TestWhatAnActionIsAbout(t *testing.T) {
	s, _ := verdict(t)
	v := withPapers(t, s)
	e := &v.Timeline[len(v.Timeline)-1]
	other := bundle.About{Stream: e.Stream, Sequence: 7, Index: 11, Detail: "unplug mail"}
	e.About, e.Undone, e.Label = []bundle.About{other}, &other, "X-2"
	b, err := caseuco.Write(v, custody.Digest{})
	require.NoError(t, err)
	require.Contains(t, string(b), `"issued a paper about the incident and all its items (X-2)"`)
	require.Contains(t, string(b), `"about `+other.String()+`"`)
	require.Contains(t, string(b), `"corrected or taken back by `+other.String()+`"`)
}

// TestWhatAnExportIsSilentAbout: nothing that a verdict warns of.
func TestWhatAnExportIsSilentAbout(t *testing.T) {
	_, v := verdict(t)
	says := func(text string) bool {
		b, err := caseuco.Write(v, custody.Digest{})
		require.NoError(t, err)
		return strings.Contains(string(b), text)
	}
	require.True(t, says("That the decisions were right under the policy was not checked."))
	require.False(t, says("Later records are not excluded."))
	require.False(t, says("Disputable"))
	v.Complete, v.Erased = false, []bundle.Erased{{}}
	v.Warnings = []bundle.Problem{{Where: "policy", What: "was signed with a key that was revoked"}}
	require.True(t, says("Later records are not excluded."))
	require.True(t, says("Records of it that are erased by order: 1."))
	require.True(t, says("Disputable: policy: was signed with a key that was revoked."))
}
