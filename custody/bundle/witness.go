package bundle

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// checkWitnesses looks at the signature lines of the checkpoint that the trust
// file says nothing about: each must be by a witness that two administrators
// adopted on record. Then no byte of the bundle is left that nothing covers.
func (c *check) checkWitnesses() {
	for _, text := range c.adopted {
		if len(c.point.Unknown) == 0 {
			break
		}
		c.resolve(text)
	}
	for _, line := range c.point.Unknown {
		c.problem(checkpointName, fmt.Errorf("nobody whom the log's records name signed with %.200q", line))
	}
	by := slices.Concat(c.verdict.Cosigned, c.verdict.AlsoCosigned)
	if len(by) == 0 {
		return
	}
	first := slices.MinFunc(by, func(a, b custody.Cosignature) int { return cmp.Compare(a.Time, b.Time) })
	for _, s := range c.streams {
		for e := range s.told() {
			if e.record.Recorded > first.Time.Add(clocksDiffer) {
				c.verdict.Warnings = append(c.verdict.Warnings, Problem{Where: e.where, What: fmt.Sprintf(
					"says that it was recorded at %s, though %s had seen it by %s", e.record.Recorded, first.Name, first.Time)})
			}
		}
	}
}

// clocksDiffer is by how much the clocks of the service and of a witness may.
const clocksDiffer = 5 * time.Minute

// resolve takes out of the unknown lines those of one adopted policy's witnesses.
func (c *check) resolve(text string) {
	p, err := custody.ParseWitnessPolicy(text)
	if err != nil {
		return // a genesis or an adoption that does not parse is no statement
	}
	keys, err := c.trust.LogKeys()
	if err != nil {
		return
	}
	again, err := p.Open(c.signed, keys.For(c.signed))
	if err != nil {
		c.problem(checkpointName, errors.Join(errors.New("a witness that the log's records name"), err))
		return
	}
	for _, by := range again.By {
		if !slices.ContainsFunc(slices.Concat(c.verdict.Cosigned, c.verdict.AlsoCosigned), func(x custody.Cosignature) bool { return x.Key == by.Key }) {
			c.verdict.AlsoCosigned = append(c.verdict.AlsoCosigned, by)
		}
	}
	c.point.Unknown = slices.DeleteFunc(c.point.Unknown, func(line string) bool { return !slices.Contains(again.Unknown, line) })
}

// asOf says for whom, besides the log, the size of the verdict stands, and since when.
func (v *Verdict) asOf() string {
	if len(v.Cosigned) == 0 {
		return ""
	}
	last := slices.MaxFunc(v.Cosigned, func(a, b custody.Cosignature) int { return cmp.Compare(a.Time, b.Time) })
	return ", cosigned at " + last.Time.String()
}

// witnesses says what is known from outside the log.
func (v *Verdict) witnesses() string {
	also := ""
	if len(v.AlsoCosigned) > 0 {
		also = "            also cosigned by " + names(v.AlsoCosigned) + ": witnesses that the log's records name, and your trust file does not\n"
	}
	switch {
	case v.Quorum == custody.QuorumMet:
		return "Witnesses   cosigned by " + names(v.Cosigned) + "\n            as many as your trust file asks for\n" + also
	case v.Quorum == custody.QuorumNotMet:
		return "Witnesses   NOT as many as your trust file asks for\n" + also
	case len(v.Cosigned) > 0:
		return "Witnesses   cosigned by " + names(v.Cosigned) + "\n            your trust file asks for none of them\n" + also
	}
	return "            No outside witness of your trust file cosigned the log: that nobody was shown another log cannot be told from here.\n" + also
}

func names(by []custody.Cosignature) string {
	list := make([]string, len(by))
	for i, c := range by {
		list[i] = c.Name + " at " + c.Time.String()
	}
	return strings.Join(list, ", ")
}
