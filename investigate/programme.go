package investigate

import (
	"slices"

	"github.com/forensic-custody/custody/custody"
)

// NewProgramme counts incidents as they are at a time.
func NewProgramme(pictures []Picture, now custody.Time) Programme {
	p := Programme{Incidents: newTally(), Exercises: newTally(), Sources: map[string]Tally{}, Unmanned: []Span{}, Vulnerabilities: TallyVulnerabilities(nil, now)}
	for _, x := range pictures {
		source, exercise := whence(x.File.Detections)
		if exercise {
			p.Exercises.add(x)
			if len(x.File.unruled()) > 0 {
				p.Unruled++
			}
			continue
		}
		p.Incidents.add(x)
		if source != "" {
			t, ok := p.Sources[source]
			if !ok {
				t = newTally()
			}
			t.add(x)
			p.Sources[source] = t
		}
		for _, r := range x.File.Repairs {
			if r.Overdue(now) {
				p.Overdue++
			}
		}
	}
	p.Incidents.finish()
	p.Exercises.finish()
	for s, t := range p.Sources {
		t.finish()
		p.Sources[s] = t
	}
	return p
}

// whence returns where the earliest indication came from, of those that were not
// corrected, and whether all of them are of an exercise: what was detected for real
// is real.
func whence(list []Entry[Detection]) (source string, exercise bool) {
	var first custody.Time
	real := false
	for _, d := range list {
		if d.Replaced != nil {
			continue
		}
		if source == "" || d.Act.At < first {
			source, first = d.Act.Source, d.Act.At
		}
		real = real || !d.Act.Exercise
	}
	return source, source != "" && !real
}

// TallyVulnerabilities counts reports of vulnerabilities as they are at a time.
func TallyVulnerabilities(reports []Vulnerability, now custody.Time) VulnerabilityTally {
	t := VulnerabilityTally{States: map[string]int{}}
	for _, r := range reports {
		t.Reported++
		t.States[r.State]++
		if r.Overdue(now) {
			t.Overdue++
		}
	}
	return t
}

func newTally() Tally { return Tally{Closed: map[string]int{}} }

func (t *Tally) add(x Picture) {
	t.Opened++
	if c := x.File.Closed; c != nil {
		t.Closed[c.Act.End]++
		if c.Act.End == EndFalse {
			t.FalsePositives++
		}
	}
	if c := current(x.File.Classifications); c != nil && c.SecurityIncident {
		t.Security++
	}
	for _, m := range []struct {
		of *[]int64
		is *int64
	}{{&t.engaged, x.Times.Engaged}, {&t.contained, x.Times.Contained}, {&t.restored, x.Times.Restored}} {
		if m.is != nil {
			*m.of = append(*m.of, *m.is)
		}
	}
}

func (t *Tally) finish() {
	t.Engaged, t.Contained, t.Restored = median(t.engaged), median(t.contained), median(t.restored)
}

func median(of []int64) int64 {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return of[len(of)/2]
}
