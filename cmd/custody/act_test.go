package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

// TestEveryActHasAVerb, and each of its flags says what it is for.
func TestEveryActHasAVerb(t *testing.T) {
	said := map[custody.Kind]int{
		investigate.KindOpen: 1, investigate.KindAssign: 1, investigate.KindUnassign: 1, investigate.KindRetain: 1, investigate.KindRota: 1, investigate.KindProcedure: 1, investigate.KindReviewDefaults: 1, // commands of their own
	}
	a := new(app)
	for _, n := range verbs {
		for _, v := range n.verbs {
			said[v.kind]++
			c := a.verbCommand(n.noun, v)
			c.Flags().VisitAll(func(f *pflag.Flag) {
				require.NotEmpty(t, f.Usage, "%s --%s", v.kind, f.Name)
			})
			for word := range strings.FieldsSeq(v.example) {
				if name, ok := strings.CutPrefix(word, "--"); ok {
					require.NotNil(t, c.Flags().Lookup(name), "the example of %s has --%s", v.kind, name)
				}
			}
		}
	}
	for _, v := range vulnerabilityVerbs {
		said[v.kind]++
		c := a.vulnerabilityVerb(v)
		c.Flags().VisitAll(func(f *pflag.Flag) {
			require.NotEmpty(t, f.Usage, "%s --%s", v.kind, f.Name)
		})
		for word := range strings.FieldsSeq(c.Example) {
			if name, ok := strings.CutPrefix(word, "--"); ok {
				require.NotNil(t, c.Flags().Lookup(name), "the example of %s has --%s", v.kind, name)
			}
		}
	}
	for kind := range investigate.Acts() {
		require.Equal(t, 1, said[kind], "verbs of %s", kind)
	}
}

// TestAReasonIsSaidInCommands: whatever act a rule asks for, whoever is refused
// is told the command for it.
func TestAReasonIsSaidInCommands(t *testing.T) {
	root := new(app).root()
	require.Equal(t, []string{"finding.record: say custody finding add", "evidence.verify: say custody evidence verify"},
		spoken(root, "a finding (finding.record), and again (finding.record); a check (evidence.verify); (no.act)"))
	asked := 0
	rules, err := filepath.Glob("../../investigate/*.go")
	require.NoError(t, err)
	for _, name := range rules {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`"[^"\n]*(\([a-z]+\.[a-z-]+\))[^"\n]*"`).FindAllStringSubmatch(string(source), -1) {
			asked++
			require.Len(t, spoken(root, m[1]), 1, "%s: %s", name, m[1])
		}
	}
	require.Greater(t, asked, 20)
}

// TestASignerIsShownEverything that a proposal says, each field of it.
func TestASignerIsShownEverything(t *testing.T) {
	at := custody.TimeOf(time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC))
	whole := investigate.Emergency{
		Alternatives: []string{"wait"}, ExpectedBack: at.Add(time.Hour), Findings: []custody.Digest{custody.Hash(nil)}, Impact: "no mail",
		NoticeDue: at, Outage: true, Rationale: "it spreads", Service: "mail", Text: "cut it off",
	}
	shown := proposed(&whole)
	fields := reflect.ValueOf(whole)
	for n := range fields.NumField() {
		if fields.Type().Field(n).Name == "On" {
			continue
		}
		require.False(t, fields.Field(n).IsZero(), fields.Type().Field(n).Name)
		less := whole
		reflect.ValueOf(&less).Elem().Field(n).SetZero()
		require.NotEqual(t, shown, proposed(&less), fields.Type().Field(n).Name)
	}
	require.Contains(t, shown, "  done to: mail\n  impact: no mail\n")
}

// TestFlagsFillAnAct: words, times, lists, and what reads itself.
func TestFlagsFillAnAct(t *testing.T) {
	act := new(investigate.Finding)
	c := new(cobra.Command)
	f := flags{c: c}
	f.of(reflect.ValueOf(act).Elem())
	item := custody.NewEvidenceID(custody.Hash([]byte("item")))
	require.NoError(t, c.ParseFlags([]string{
		"--title", "a web shell", "--alternatives", "an update", "--alternatives", "a test", "--event-at", "2026-11-23T03:12:07+01:00",
		"--citations", string(item) + ":against:line=120-140", "--indicators", "ip:203.0.113.9", "--replaces", "F-1",
	}))
	require.Equal(t, "a web shell", act.Title)
	require.Equal(t, []string{"an update", "a test"}, act.Alternatives)
	require.Equal(t, "2026-11-23T02:12:07.000000Z", act.EventAt.String())
	require.Len(t, act.Citations, 1)
	require.Equal(t, item, act.Citations[0].Evidence)
	require.Equal(t, investigate.StanceAgainst, act.Citations[0].Stance)
	require.EqualValues(t, 140, act.Citations[0].Place.To)
	require.Equal(t, []string{}, act.Techniques, "what was not given is there and empty")

	first := custody.Hash([]byte("first"))
	file := investigate.File{}
	file.Findings = []investigate.Reviewed{{Entry: investigate.Entry[investigate.Finding]{Said: investigate.Said{ID: first, Label: "F-1"}}}}
	require.NoError(t, new(app).look(&f, file, act))
	require.Equal(t, first, act.Replaces)
	for _, wrong := range [][]string{
		{"--citations", "e-nothing:for"}, {"--citations", string(item) + ":perhaps"}, {"--indicators", "203.0.113.9"}, {"--event-at", "yesterday"},
	} {
		require.Error(t, c.ParseFlags(wrong))
	}
}

// TestEntries are named by label, by digest, or by enough of it.
func TestEntries(t *testing.T) {
	one, two := custody.Hash([]byte("one")), custody.Hash([]byte("two"))
	file := investigate.File{}
	file.Measures = []investigate.Measured{{Entry: investigate.Entry[investigate.Measure]{Said: investigate.Said{ID: one, Label: "M-1"}}}}
	file.Repairs = []investigate.RepairItem{{Entry: investigate.Entry[investigate.Repair]{Said: investigate.Said{ID: two, Label: "R-1"}}}}
	for _, name := range []string{"M-1", "m-1", one.String(), one.String()[:len("sha256:")+8], one.Hex()[:12]} {
		found, err := entryOf(file, name)
		require.NoError(t, err, name)
		require.Equal(t, one, found)
	}
	file.Shifts = []investigate.Entry[investigate.Shift]{{Said: investigate.Said{ID: custody.Hash([]byte("three"))}}} // without a label
	for _, name := range []string{"M-2", "F-1", one.Hex()[:4], ""} {
		_, err := entryOf(file, name)
		require.ErrorContains(t, err, "has no entry", name)
	}
	unknown := custody.Hash([]byte("unknown"))
	found, err := entryOf(file, unknown.String())
	require.NoError(t, err, "whether there is such an entry says the service")
	require.Equal(t, unknown, found)
}

// TestNothingOfWeightIsSaidByDefault: a breach is neither declared nor taken back, and
// no test passed or failed, by leaving a flag out.
func TestNothingOfWeightIsSaidByDefault(t *testing.T) {
	for name, act := range map[string]custody.Act{
		"declared": new(investigate.Declare), "passed": new(investigate.Test), "contained": new(investigate.Containment), "outage": new(investigate.Emergency),
	} {
		for args, why := range map[string]string{"": "give --" + name, "--" + name: "", "--" + name + "=false": ""} {
			c := new(cobra.Command)
			f := flags{c: c}
			f.of(reflect.ValueOf(act).Elem())
			require.NoError(t, c.ParseFlags(strings.Fields(args)))
			if err := f.unsaid(); why == "" {
				require.NoError(t, err, args)
			} else {
				require.ErrorContains(t, err, why)
			}
		}
	}
}

// TestNoTextLooksLikeAnEntry of the list in which it stands: a finding says nothing of its
// reviews, nor a repair item of others.
func TestNoTextLooksLikeAnEntry(t *testing.T) {
	f := investigate.Reviewed{}
	f.Act.Fact = "a login\n  review          p-somebody agrees: read it myself\nF-9  another"
	var b strings.Builder
	showFinding(&b, f)
	r := investigate.RepairItem{}
	r.Act.Text = "patch\ni-another  OVERDUE  R-1  all of it"
	for line := range strings.SplitSeq(b.String()+showRepair(r), "\n") {
		require.NotRegexp(t, `^( *review +p-|F-9|i-another)`, line)
	}
	require.Contains(t, b.String(), "read it myself")
}

// TestWhatAnActIsAbout is told to whoever named it, by a label that is soon mistyped.
func TestWhatAnActIsAbout(t *testing.T) {
	file := investigate.File{}
	for n, text := range []string{"quarantine web01", strings.Repeat("ü", 200)} {
		said := investigate.Said{ID: custody.Hash([]byte{byte(n)}), Label: fmt.Sprintf("X-%d", n+1)}
		file.Emergencies = append(file.Emergencies, investigate.Mitigation{Entry: investigate.Entry[investigate.Emergency]{Said: said, Act: investigate.Emergency{Text: text}}})
	}
	for label, want := range map[string]string{
		"X-1": "\nabout X-1: quarantine web01; impact: ; rationale: ; instead of: ",
		"X-2": "\nabout X-2: " + strings.Repeat("ü", 120) + "…",
	} {
		f := flags{c: new(cobra.Command)}
		act := new(investigate.SignEmergency)
		f.of(reflect.ValueOf(act).Elem())
		require.NoError(t, f.c.ParseFlags([]string{"--proposal", label}))
		require.NoError(t, new(app).look(&f, file, act))
		require.Equal(t, want, f.about(file))
	}
}

// TestATallyOfNothing does not say that what never happened took no time.
func TestATallyOfNothing(t *testing.T) {
	require.Contains(t, showTally("exercises", investigate.Tally{}), "engaged after –, contained –, restored –\n")
	require.Contains(t, showTally("incidents", investigate.Tally{Engaged: 90}), "engaged after 1m30s, contained –")
}

// TestPhasesInWords: an auditor reads off the status in which phase an incident is, and
// what is on record in each.
func TestPhasesInWords(t *testing.T) {
	at := custody.TimeOf(time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC))
	text := showPicture(investigate.Picture{
		Phase: investigate.PhaseRespond, Phases: []investigate.Stretch{{Phase: investigate.PhaseDetect, Acts: 2, First: at, Last: at.Add(time.Minute)}},
	})
	require.Contains(t, text, "phase        respond, of ISO/IEC 27035-1\n")
	require.Contains(t, text, "detect and report: 2 acts on record, from 2026-11-23T08:00:00.000000Z to 2026-11-23T08:01:00.000000Z\n")
}

// TestDefaultsInWords: that nobody reviewed them, how long ago somebody did, and that it
// is time to.
func TestDefaultsInWords(t *testing.T) {
	require.Equal(t, "DEFAULTS OF THE SERVICE NEVER REVIEWED\n", showDefaults(investigate.Defaults{Overdue: true}))
	d := investigate.Defaults{AgeSeconds: 3 * 24 * 60 * 60, Reviews: []investigate.Entry[investigate.ReviewDefaults]{
		{Act: investigate.ReviewDefaults{Document: "an older one"}}, {Act: investigate.ReviewDefaults{Document: "OPERATING.md", Decided: "kept"}},
	}}
	require.Contains(t, showDefaults(d), "defaults reviewed 3 days ago by ")
	require.Contains(t, showDefaults(d), "OPERATING.md, sha256:")
	require.NotContains(t, showDefaults(d), "OVERDUE")
	d.Overdue = true
	require.Contains(t, showDefaults(d), "REVIEW OF THE DEFAULTS OVERDUE since ")
}

// TestOutagesInWords: when a notice is due, by how much it is late or was, and why; and
// whoever signs sees the times.
func TestOutagesInWords(t *testing.T) {
	at := custody.TimeOf(time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC))
	due := investigate.Outage{Emergency: "X-1", Due: at, ExpectedBack: at, LateSeconds: 90}
	sent := due
	sent.Sent, sent.Recorded, sent.Why = at, at, "the page was down"
	for want, o := range map[string]investigate.Outage{
		"the outage notice for X-1": {Emergency: "X-1"},
		"the outage notice for X-1, due at 2026-11-23T08:00:00.000000Z: late by 1m30s; the service is expected back at 2026-11-23T08:00:00.000000Z":                                                                                                                     due,
		"the outage notice for X-1, due at 2026-11-23T08:00:00.000000Z: late by 1m30s (the page was down), was sent at 2026-11-23T08:00:00.000000Z, and that put on record at 2026-11-23T08:00:00.000000Z; the service is expected back at 2026-11-23T08:00:00.000000Z": sent,
		"the outage notice for X-2 was sent at 2026-11-23T08:00:00.000000Z": {Emergency: "X-2", Sent: at, Recorded: at},
	} {
		require.Equal(t, want, showOutage(o))
	}
	require.Equal(t, "false", outageOf(&investigate.Emergency{}))
	require.Equal(t, "true; its notice is due at 2026-11-23T08:00:00.000000Z, the service expected back at 2026-11-23T08:00:00.000000Z",
		outageOf(&investigate.Emergency{Outage: true, NoticeDue: at, ExpectedBack: at}))
}
