package investigate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/forensic-custody/custody/custody"
)

// KindProcess is the kind of statement that says what was done with evidence.
const KindProcess custody.Kind = "process.record"

// Process is something that was done with evidence, told so that somebody else can
// do it again: what ran, on what, and what came out. Whoever signs it did it.
type Process struct {
	On
	Happened
	Deterministic bool           `json:"deterministic" help:"whether the same inputs always give the same output"`
	Difference    string         `json:"difference,omitempty" help:"why the output differs from that of the process that this one repeats"`
	Environment   string         `json:"environment" help:"where it ran: system, versions, time zone, whatever the output depends on"`
	Inputs        []Input        `json:"inputs" help:"an item that it read (repeat for several, in order)"`
	Output        Output         `json:"output" help:"what came out: the item as which it was taken in, or sha256:HEX:SIZE, or sha256:HEX:SIZE:ITEM"`
	Parameters    string         `json:"parameters" help:"the options, as they were given; or that there were none"`
	Repeats       custody.Digest `json:"repeats" help:"the process that this one repeats, P-1 (default: none)"`
	Tool          string         `json:"tool" help:"which program"`
	Validation    string         `json:"validation,omitempty" help:"where it is shown that this version of the tool works"`
	Version       string         `json:"version" help:"of the program"`
}

// Input is an item that a process read. Its text form is the item's identifier;
// the digest follows from the item.
type Input struct {
	Evidence custody.EvidenceID `json:"evidence"`
	SHA256   custody.Digest     `json:"sha256"` // as sealed
}

// String returns the text form.
func (x Input) String() string { return string(x.Evidence) }

// Set reads the text form that String writes. The digest stays as it is.
func (x *Input) Set(text string) error {
	id, err := custody.ParseEvidenceID(text)
	if err == nil {
		x.Evidence = id
	}
	return err
}

// Output is what came out of a process. Its text forms are
//
//	sha256:HEX:SIZE        bytes that are kept nowhere here
//	sha256:HEX:SIZE:e-…    bytes that were taken in as an item, the derivative
//	e-…                    the same; digest and size follow from the item
type Output struct {
	Evidence custody.EvidenceID `json:"evidence,omitempty"` // the derivative
	SHA256   custody.Digest     `json:"sha256"`
	Size     uint64             `json:"size"` // in bytes
}

// String returns the text form, with digest and size where they are known.
func (x Output) String() string {
	if x.SHA256.IsZero() {
		return string(x.Evidence)
	}
	text := fmt.Sprintf("%s:%d", x.SHA256, x.Size)
	if x.Evidence != "" {
		text += ":" + string(x.Evidence)
	}
	return text
}

// Set reads the text form that String writes.
func (x *Output) Set(text string) error {
	var said Output
	var err error
	parts := strings.Split(text, ":")
	if len(parts) == 1 {
		said.Evidence, err = custody.ParseEvidenceID(text)
	} else {
		said, err = parseOutput(parts)
	}
	if err == nil {
		*x = said
	}
	return err
}

func parseOutput(parts []string) (Output, error) {
	if len(parts) != 3 && len(parts) != 4 {
		return Output{}, errors.New("an output is an item, or sha256:HEX:SIZE, or sha256:HEX:SIZE:ITEM")
	}
	var x Output
	var err error
	if x.SHA256, err = custody.ParseDigest(parts[0] + ":" + parts[1]); err != nil {
		return Output{}, err
	}
	if x.Size, err = number(parts[2]); err == nil && len(parts) == 4 {
		x.Evidence, err = custody.ParseEvidenceID(parts[3])
	}
	return x, err
}

// Kind implements custody.Act.
func (*Process) Kind() custody.Kind { return KindProcess }

// Detail says in a line what a history tells of it.
func (a *Process) Detail() string {
	text := fmt.Sprintf("%s %s on %s, output SHA-256 %s", a.Tool, a.Version, a.Inputs, a.Output.SHA256.Hex())
	if a.Output.Evidence != "" {
		text += ", item " + string(a.Output.Evidence)
	}
	return text
}

// Check implements custody.Act.
func (a *Process) Check(s *custody.Statement) error {
	err := a.past(s)
	if len(a.Inputs) > maxList {
		err = fmt.Errorf("%d inputs; at most %d", len(a.Inputs), maxList)
	}
	for n, x := range a.Inputs {
		_, bad := custody.ParseEvidenceID(string(x.Evidence))
		err = errors.Join(err, bad)
		if slices.ContainsFunc(a.Inputs[:n], func(o Input) bool { return o.Evidence == x.Evidence }) {
			err = errors.Join(err, fmt.Errorf("input %s is there twice", x.Evidence))
		}
	}
	if a.Output.Evidence != "" {
		_, bad := custody.ParseEvidenceID(string(a.Output.Evidence))
		err = errors.Join(err, bad)
	}
	for _, t := range []struct{ field, text string }{{"environment", a.Environment}, {"parameters", a.Parameters}, {"difference", a.Difference}} {
		if t.text != "" {
			err = errors.Join(err, text(t.field, t.text))
		}
	}
	return a.names(err, optional("tool", a.Tool), optional("version", a.Version), optional("validation", a.Validation))
}

// Lawful implements custody.Act.
func (a *Process) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	by := i.among(s.Actor, custody.RoleForensicEngineer, custody.RoleIncidentManager, custody.RoleOnCall, custody.RoleServiceExpert, custody.RoleCustomerSupport)
	if err := first(by, a.complete(), i.repeated(a)); err != nil {
		return out, err
	}
	for _, x := range a.Inputs {
		if _, err := sealedItem(v, a.Incident, x.Evidence, x.SHA256); err != nil {
			return out, err
		}
	}
	return out, i.derived(v, a)
}

// complete returns an Unlawful error when nobody could repeat the process by what is
// said of it.
func (a *Process) complete() error {
	var missing wants
	lacks := missing.lacks
	lacks(a.Tool == "", "the tool")
	lacks(a.Version == "", "its version")
	lacks(a.Parameters == "", "its parameters")
	lacks(a.Environment == "", "its environment")
	lacks(len(a.Inputs) == 0, "its inputs")
	lacks(a.Output.SHA256.IsZero(), "the digest of its output")
	return several("nobody could repeat the process: it lacks", missing)
}

// repeated returns an Unlawful error when a process does not repeat the one that it
// names, or gave something else without saying why.
func (i *Incident) repeated(a *Process) error {
	if a.Repeats.IsZero() {
		if a.Difference != "" {
			return no("a difference is from the output of a process that is repeated: say of which")
		}
		return nil
	}
	before := find(i.Processes, a.Repeats)
	if before == nil {
		return no("there is no process %s", a.Repeats)
	}
	was := before.Act
	same := was.Output.SHA256 == a.Output.SHA256 && was.Output.Size == a.Output.Size
	switch {
	case was.Tool != a.Tool || was.Version != a.Version || was.Parameters != a.Parameters || !slices.Equal(was.Inputs, a.Inputs):
		return no("process %s had another tool, version, other parameters or inputs: this does not repeat it", before.Label)
	case !same && a.Difference == "" && (was.Deterministic || a.Deterministic):
		return no("process %s is deterministic and gave the SHA-256 %s: say why this differs", before.Label, was.Output.SHA256.Hex())
	case same && a.Difference != "":
		return no("process %s gave the same output: there is no difference", before.Label)
	}
	return nil
}

// derived returns an Unlawful error when a process's output is not the item that it
// names, or the item is one that its inputs come from.
func (i *Incident) derived(v custody.View, a *Process) error {
	id := a.Output.Evidence
	if id == "" {
		return nil
	}
	item, err := sealedItem(v, a.Incident, id, a.Output.SHA256)
	switch {
	case err != nil:
		return err
	case item.Artifact.Size != a.Output.Size:
		return no("item %s has %d bytes, and not %d", id, item.Artifact.Size, a.Output.Size)
	}
	inputs := make([]custody.EvidenceID, len(a.Inputs))
	for n, x := range a.Inputs {
		inputs[n] = x.Evidence
	}
	if slices.Contains(inputs, id) || slices.Contains(i.lineage().ancestors(inputs...), id) {
		return no("item %s does not come from itself", id)
	}
	return nil
}

// Letter implements custody.Lettered.
func (*Process) Letter() string { return "P" }

func (a *Process) apply(i *Incident, said Said) {
	i.Processes = append(i.Processes, Entry[Process]{i.label(said, a), *a})
}

// lineage has of each item that came out of processes their inputs, each once, in the
// order in which they were recorded.
type lineage map[custody.EvidenceID][]custody.EvidenceID

// lineage takes one look at the processes: whoever asks for many items keeps it.
func (i *Incident) lineage() lineage {
	l, known := lineage{}, map[[2]custody.EvidenceID]bool{}
	for _, p := range i.Processes {
		out := p.Act.Output.Evidence
		for _, x := range p.Act.Inputs {
			if edge := [2]custody.EvidenceID{out, x.Evidence}; out != "" && !known[edge] {
				known[edge] = true
				l[out] = append(l[out], x.Evidence)
			}
		}
	}
	return l
}

// originals lists the items that an item was derived from, and that were derived from
// none themselves, as far as processes on record say; none for an original.
func (l lineage) originals(e custody.EvidenceID) []custody.EvidenceID {
	return slices.DeleteFunc(l.ancestors(e), func(a custody.EvidenceID) bool { return len(l[a]) > 0 })
}

// ancestors lists the items that some were derived from, those between too, each
// once.
func (l lineage) ancestors(of ...custody.EvidenceID) []custody.EvidenceID {
	var list []custody.EvidenceID
	known := map[custody.EvidenceID]bool{}
	add := func(e custody.EvidenceID) {
		for _, s := range l[e] {
			if !known[s] {
				known[s] = true
				list = append(list, s)
			}
		}
	}
	for _, e := range of {
		add(e)
	}
	for n := 0; n < len(list); n++ {
		add(list[n])
	}
	return list
}
