package custody_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

func whole() custody.Acquisition {
	return custody.Acquisition{
		Authority:   custody.Authority{Kind: "warrant", Reference: "7 Gs 12/26"},
		CollectedAt: "2026-11-23T20:41:00+01:00", Method: "dead", Place: "office",
		Source: custody.Source{Description: "laptop"}, WriteBlock: "Tableau T8u",
		Tool: &custody.Tool{Name: "dc3dd", Version: "7.2", Settings: "hash=sha256"}, Unread: &custody.Unread{},
	}
}

// TestWhatAnItemMustBeToldOf: each missing fact is named, for the types that need it.
func TestWhatAnItemMustBeToldOf(t *testing.T) {
	for _, kind := range custody.ArtifactTypes() {
		if q := whole(); kind != "log" && kind != custody.TypePhysical {
			require.Empty(t, q.Lacks(kind), kind)
		}
	}
	for name, c := range map[string]struct {
		kind   string
		change func(*custody.Acquisition)
		lacks  []string
	}{
		"nothing said": {"disk", func(q *custody.Acquisition) { *q = custody.Acquisition{} }, []string{
			"source.description", "method", "collectedAt", "place", "authority.kind", "authority.reference",
			"tool.name", "tool.version", "tool.settings", "unread",
		}},
		"a dead source without a write blocker": {"disk", func(q *custody.Acquisition) { q.WriteBlock = "" }, []string{"writeBlock"}},
		"a live source":                         {"memory", func(q *custody.Acquisition) { q.Method = "live" }, []string{"changes"}},
		"a document needs no count of sectors":  {"document", func(q *custody.Acquisition) { q.Unread = nil }, nil},
		"a log":                                 {"log", func(*custody.Acquisition) {}, []string{"coverage.first", "coverage.last"}},
		"a thing without a bag":                 {custody.TypePhysical, func(q *custody.Acquisition) { q.Tool = nil }, []string{"sealNumbers.bag"}},
		"a collector without a name":            {"disk", func(q *custody.Acquisition) { q.Collector = &custody.Person{Contact: "+49"} }, []string{"collector.name", "collector.title"}},
	} {
		q := whole()
		c.change(&q)
		require.Equal(t, c.lacks, q.Lacks(c.kind), name)
	}
}

// TestConcerns: what is on record and may be objected to is said.
func TestConcerns(t *testing.T) {
	q := whole()
	q.ClockError = custody.ClockError{Measured: true, Reference: "NTP", AheadMS: -20}
	require.Empty(t, q.Concerns())
	for says, change := range map[string]func(*custody.Acquisition){
		"before its authority began":    func(q *custody.Acquisition) { q.Authority.From = "2026-11-23T19:42:00Z" },
		"after its authority had ended": func(q *custody.Acquisition) { q.Authority.Until = "2026-11-23T19:40:00Z" },
		"zeros stand in their place":    func(q *custody.Acquisition) { q.Unread = &custody.Unread{Bytes: 512, Filled: true} },
		"was not compared":              func(q *custody.Acquisition) { q.ClockError = custody.ClockError{} },
	} {
		changed := q
		change(&changed)
		require.Len(t, changed.Concerns(), 1)
		require.Contains(t, changed.Concerns()[0], says)
	}
}

func TestLabelsCompare(t *testing.T) {
	l := custody.Label{Algorithm: "md5", Measured: "d41d8cd98f00b204e9800998ecf8427e", Over: custody.LabelMedia}
	require.True(t, l.Matches())
	l.Stated, l.StatedBy = l.Measured, "container"
	require.True(t, l.Matches())
	l.Stated = "00000000000000000000000000000000"
	require.False(t, l.Matches())
	require.Contains(t, l.String(), "NOT what the container states")
}
