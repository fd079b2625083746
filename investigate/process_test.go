package investigate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

// TestProcesses: whatever was done with evidence can be done again by what is said of
// it (S-31, S-32, S-38).
func TestProcesses(t *testing.T) {
	x := newExamined(t)
	disk := x.takesIn(x.eve, "EX-1", "disk", "a disk")
	files := x.takesIn(x.eve, "EX-2", "other", "its files")
	lines := x.takesIn(x.eve, "EX-3", "other", "its lines")
	unsealed := x.announce(x.eve, "EX-4", "disk")
	in := func(id custody.EvidenceID, bytes string) investigate.Input {
		return investigate.Input{Evidence: id, SHA256: custody.Hash([]byte(bytes))}
	}
	out := func(id custody.EvidenceID, bytes string) investigate.Output {
		return investigate.Output{Evidence: id, SHA256: custody.Hash([]byte(bytes)), Size: uint64(len(bytes))}
	}
	type process = investigate.Process
	good := &process{
		On: x.on, Happened: x.happened(), Deterministic: true, Environment: "Debian 13, TZ=UTC", Inputs: []investigate.Input{in(disk, "a disk")},
		Output: out(files, "its files"), Parameters: "-r -a", Tool: "tsk_recover", Validation: "CFTT 2025-3", Version: "4.12",
	}
	for _, c := range []struct {
		name   string
		change func(*process)
		why    string
	}{
		{"no tool", func(p *process) { p.Tool = "" }, "it lacks: the tool"},
		{"no version", func(p *process) { p.Version = "" }, "it lacks: its version"},
		{"no parameters", func(p *process) { p.Parameters = "" }, "it lacks: its parameters"},
		{"no environment", func(p *process) { p.Environment = "" }, "it lacks: its environment"},
		{"no input", func(p *process) { p.Inputs = nil }, "it lacks: its inputs"},
		{"no output", func(p *process) { p.Output = investigate.Output{} }, "it lacks: the digest of its output"},
		{"other input", func(p *process) { p.Inputs = []investigate.Input{in(disk, "another")} }, "has the SHA-256"},
		{"no such input", func(p *process) { p.Inputs = []investigate.Input{in(custody.NewEvidenceID(custody.Hash(nil)), "")} }, "the incident has no item"},
		{"input not sealed", func(p *process) { p.Inputs = []investigate.Input{in(unsealed, "")} }, "is not sealed"},
		{"other output", func(p *process) { p.Output = out(files, "another") }, "has the SHA-256"},
		{"other size", func(p *process) { p.Output.Size++ }, "has 9 bytes, and not 10"},
		{"out of itself", func(p *process) { p.Output = out(disk, "a disk") }, "does not come from itself"},
		{"repeats nothing", func(p *process) { p.Repeats = custody.Hash(nil) }, "there is no process"},
		{"differs from nothing", func(p *process) { p.Difference = "the time" }, "say of which"},
	} {
		t.Run(c.name, func(*testing.T) { x.refused(x.eve, with(good, c.change), c.why) })
	}
	x.refused(x.lee, good, "none of the roles")
	for name, change := range map[string]func(*process){
		"twice":      func(p *process) { p.Inputs = append(p.Inputs, p.Inputs[0]) },
		"at is":      func(p *process) { p.At = 0 },
		"later than": func(p *process) { p.At = x.now().Add(time.Hour) },
	} {
		x.malformed(with(good, change), name)
	}
	first := x.does(x.eve, good)

	again := with(good, func(p *process) { p.Repeats = first })
	for name, change := range map[string]func(*process){
		"tool":       func(p *process) { p.Tool = "7z" },
		"version":    func(p *process) { p.Version = "4.13" },
		"parameters": func(p *process) { p.Parameters = "-r" },
		"inputs":     func(p *process) { p.Inputs = []investigate.Input{in(lines, "its lines")} },
	} {
		t.Run("another "+name, func(*testing.T) { x.refused(x.fritz, with(again, change), "this does not repeat it") })
	}
	other := with(again, func(p *process) { p.Output = out("", "other files") })
	x.refused(x.fritz, other, "process P-1 is deterministic and gave the SHA-256")
	x.refused(x.fritz, with(other, func(p *process) { p.Deterministic = false }), "say why this differs")
	x.refused(x.fritz, with(again, func(p *process) { p.Difference = "the time" }), "there is no difference")
	x.does(x.fritz, again)
	x.does(x.fritz, with(other, func(p *process) { p.Difference = "the archive has the time of day in it" }))

	// What is derived from its own derivative is derived from itself.
	x.does(x.olga, with(good, func(p *process) {
		p.Inputs, p.Output = []investigate.Input{in(files, "its files"), in(disk, "a disk")}, out(lines, "its lines")
	}))
	x.refused(x.eve, with(good, func(p *process) {
		p.Inputs, p.Output = []investigate.Input{in(lines, "its lines")}, out(disk, "a disk")
	}), "does not come from itself")
	loose := with(good, func(p *process) { p.Deterministic, p.Output = false, out("", "at noon") })
	fourth := x.does(x.eve, loose)
	x.does(x.eve, with(loose, func(p *process) { p.Repeats, p.Output = fourth, out("", "at one") }))

	x.looks(func(v custody.View, i *investigate.Incident) {
		p, err := i.Picture(v, investigate.Opened{})
		require.NoError(t, err)
		require.Equal(t, []investigate.Derivative{{Evidence: files, Originals: []custody.EvidenceID{disk}}, {Evidence: lines, Originals: []custody.EvidenceID{disk}}}, p.Derived)
		require.Len(t, i.Processes, 6)
		require.Equal(t, "P-1", i.Processes[0].Label)
		require.Equal(t, x.eve.ID, i.Processes[0].By, "who operated it")
		require.Equal(t, "CFTT 2025-3", i.Processes[0].Act.Validation)
		require.Empty(t, i.Originals(disk))
		require.Equal(t, []custody.EvidenceID{disk}, i.Originals(files))
		require.Equal(t, []custody.EvidenceID{disk}, i.Originals(lines), "not what lies between")
	})
}

// TestInputsAndOutputsInText: what they are on a command line.
func TestInputsAndOutputsInText(t *testing.T) {
	hex := strings.Repeat("0a", 32)
	for _, text := range []string{item, "sha256:" + hex + ":0", "sha256:" + hex + ":7:" + item} {
		var o investigate.Output
		require.NoError(t, o.Set(text), text)
		require.Equal(t, text, o.String())
	}
	for _, text := range []string{"", "e-short", "sha256:" + hex, "sha256:" + hex + ":07", "sha256:" + hex[2:] + ":7", "sha256:" + hex + ":7:", "md5:" + hex + ":7", "sha256:" + hex + ":7:" + item + ":"} {
		o := investigate.Output{Size: 3}
		require.Error(t, o.Set(text), text)
		require.Equal(t, investigate.Output{Size: 3}, o)
	}
	in := investigate.Input{SHA256: custody.Hash(nil)}
	require.NoError(t, in.Set(item))
	require.Equal(t, investigate.Input{Evidence: item, SHA256: custody.Hash(nil)}, in)
	require.Equal(t, item, in.String())
	require.Error(t, in.Set("EX-1"))
	require.Equal(t, item, in.String())
}

// TestOriginalsInACircle: whatever the records say, an answer is found.
func TestOriginalsInACircle(t *testing.T) {
	a, b := custody.NewEvidenceID(custody.Hash([]byte("a"))), custody.NewEvidenceID(custody.Hash([]byte("b")))
	i := investigate.NewIncident()
	apply(t, i, &investigate.Process{Inputs: []investigate.Input{{Evidence: a}}, Output: investigate.Output{Evidence: b}},
		&investigate.Process{Inputs: []investigate.Input{{Evidence: b}}, Output: investigate.Output{Evidence: a}})
	require.Empty(t, i.Originals(a))
}

// TestALongLine: what comes out of what comes out of … is shown while others wait for
// their turn to read. It took three minutes.
func TestALongLine(t *testing.T) {
	c := newTroupe(t).ready().opened()
	item := func(n int) custody.EvidenceID {
		return custody.NewEvidenceID(custody.Hash(fmt.Appendf(nil, "item %d", n)))
	}
	i := investigate.NewIncident()
	for n := range 2000 {
		apply(t, i, &investigate.Process{Inputs: []investigate.Input{{Evidence: item(n)}}, Output: investigate.Output{Evidence: item(n + 1)}})
	}
	c.looks(func(v custody.View, _ *investigate.Incident) {
		began := time.Now()
		p, err := i.Picture(v, investigate.Opened{})
		require.NoError(t, err)
		require.Less(t, time.Since(began), 20*time.Second)
		require.Len(t, p.Derived, 2000)
		require.Equal(t, []custody.EvidenceID{item(0)}, p.Derived[1999].Originals)
	})
}
