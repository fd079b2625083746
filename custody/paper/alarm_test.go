package paper_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/paper"
	"github.com/forensic-custody/custody/investigate"
)

// withBoxes are the papers that begin with what must not be overlooked.
var withBoxes = []string{"custody-report", "certificate-902-13", "certificate-902-14"}

// firstPages returns what the first pages of those papers say, and their HTML as far
// as the second part, squeezed.
func firstPages(t *testing.T, p *paper.Proof) map[string]string {
	t.Helper()
	all, first := files(t, p), map[string]string{}
	for _, name := range withBoxes {
		page, _, _ := strings.Cut(fromPDF(t, all[name+".pdf"]), "\f")
		first[name+".pdf"] = squeezed(page)
		part, _, _ := strings.Cut(string(all[name+".html"]), "</section>")
		first[name+".html"] = squeezed(fromHTML([]byte(part)))
	}
	return first
}

// TestPageOneSays what must not be overlooked: damage, what is destroyed, and what is
// withheld or erased; and nothing of it where there is nothing.
func TestPageOneSays(t *testing.T) {
	page := func(p *paper.Proof, wants ...string) {
		t.Helper()
		for name, text := range firstPages(t, p) {
			require.Equal(t, len(wants) > 0, strings.Contains(text, squeezed("READ THIS FIRST.")), name)
			for _, want := range wants {
				require.True(t, strings.Contains(text, squeezed(want)), "%s lacks %q: %s", name, want, text)
			}
		}
	}
	l := live(t)
	l.takesIn("disk.img", "EX-1")
	l.attests(&custody.CheckEvidence{Evidence: l.Evidence, Intact: true, SHA256: custody.Hash(l.Artifact)})
	page(l.proof())

	l.attests(&custody.CheckEvidence{Evidence: l.Evidence, SHA256: custody.Hash([]byte("other bytes"))})
	damaged := l.proof()
	at := damaged.Verdict.Timeline[len(damaged.Verdict.Timeline)-1].Recorded.Time().Format("2006-01-02 15:04:05")
	page(damaged, "Exhibit EX-1: DAMAGED: the service's last check, of "+at+" UTC, found that its stored copy is not what was sealed.")
	says(t, files(t, damaged), "certificate-902-14", "3 Exhibit EX-1 DAMAGED:")

	l.Pass(time.Hour)
	l.attests(&custody.CheckEvidence{Evidence: l.Evidence, Intact: true, SHA256: custody.Hash(l.Artifact)})
	page(l.proof(), "Exhibit EX-1: The stored copy was found DAMAGED at "+at+" UTC; what is stored now was found right later.")
	says(t, files(t, l.proof()), "custody-report", "A check found at "+at+" UTC that its stored copy was not what was sealed")

	l.Pass(366 * 24 * time.Hour)
	first := l.does(l.Counsel, "retention is over", &custody.DisposeEvidence{Evidence: l.Evidence})
	second := l.does(l.Lead, "retention is over", &custody.DisposeEvidence{Evidence: l.Evidence, Seconds: first})
	l.attests(&custody.DisposedEvidence{Evidence: l.Evidence, Method: "every stored object deleted", Order: second, SHA256: custody.Hash(l.Artifact)})
	page(l.proof(), "Exhibit EX-1: DESTROYED by order of two people, Clara Counsel", "every stored object deleted")
	says(t, files(t, l.proof()), "custody-report", "Its stored bytes are destroyed")

	var b bytes.Buffer
	_, err := bundle.Redact(&b, bytes.NewReader(l.bundle()), bundle.OfKind(custody.KindDisposeEvidence, custody.KindCheckEvidence))
	require.NoError(t, err)
	p, err := paper.Read(b.Bytes(), l.Trust, investigate.Words())
	require.NoError(t, err)
	page(p, "5 records of the bundle WITHHELD: what they say is not told here.", "DESTROYED, by the word of the service")
}

// TestPageOneOfMany: of many damaged items page one tells of some, and how many more.
func TestPageOneOfMany(t *testing.T) {
	l := live(t)
	l.takesIn("disk.img", "EX-1")
	l.attests(&custody.CheckEvidence{Evidence: l.Evidence})
	p := l.proof()
	v := *p.Verdict
	v.Scope = bundle.ScopeIncident
	for range 6 {
		v.Items = append(v.Items, p.Verdict.Items[0])
	}
	p.Verdict = &v
	for name, text := range firstPages(t, p) {
		require.True(t, strings.Contains(text, squeezed("And 3 more exhibits: see the parts about them.")), "%s: %s", name, text)
		require.Equal(t, 4, strings.Count(text, squeezed("Exhibit EX-1: DAMAGED")), name)
	}
}

// TestPageOneOfErased records, and of keys that are lost.
func TestPageOneOfErased(t *testing.T) {
	l := live(t)
	l.takesIn("disk.img", "EX-1")
	require.NoError(t, l.Retrieve(t.Context()))
	l.attests(&custody.LoseKeys{Evidence: l.Evidence, State: custody.KeysMissing})
	list, err := l.Store.Records(t.Context(), l.Evidence.Stream(), 0, 10, true)
	require.NoError(t, err)
	var order *custody.EraseRecord
	for _, stored := range list {
		r, err := custody.ParseRecord(stored.Record)
		require.NoError(t, err)
		s, err := r.Envelope.Statement(investigate.Words())
		require.NoError(t, err)
		if act, ok := s.Act.(*custody.ReceiveEvidence); ok {
			order = &custody.EraseRecord{
				Authority: "a court", Commitment: stored.Commitment, Grant: act.Grant, Sequence: r.Sequence, Stream: r.Stream, Was: s.Kind,
			}
		}
	}
	require.NotNil(t, order)
	second := *order
	second.Seconds = l.does(l.Counsel, "a name in it", order)
	l.does(l.Lead, "a name in it", &second)
	require.Eventually(t, func() bool {
		open, err := l.Store.Erasures(t.Context())
		return err == nil && len(open) == 0
	}, 10*time.Second, time.Millisecond)
	for name, text := range firstPages(t, l.proof()) {
		require.True(t, strings.Contains(text, squeezed("1 record ERASED by order: what was said is not known.")), "%s: %s", name, text)
		require.True(t, strings.Contains(text, squeezed("LOST THE KEYS of the incident (missing)")), "%s: %s", name, text)
	}
}
