package custody

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Witness is an independent cosigner of checkpoints, as a policy names it.
type Witness struct {
	Name     string // in the policy
	Key      string // verifier key, see WitnessKey
	URL      string // where it is asked (c2sp.org/tlog-witness); may be empty
	verifier *cosigner
}

// WitnessPolicy says which witnesses there are, and which of them must have
// cosigned a checkpoint (c2sp.org/tlog-policy):
//
//	witness athens witness.example.org/athens+8f4c2f0a+BHs… https://witness.example.org/athens
//	witness berlin berlin.example/w+1c7e9d52+BJk…
//	group both all athens berlin
//	quorum both
//
// Of that format this is one spelling: one space between the words of a line, no
// empty line, no comment, no log, and nothing behind the quorum. Where there is
// no witness it is "none".
type WitnessPolicy struct {
	Witnesses []Witness
	text      string
	groups    map[string]group
	quorum    string
}

// group is met when so many of its members are, witnesses or groups.
type group struct {
	least   int
	members []string
}

// NoWitnesses is the witness policy of a log without outside witnesses: a
// rollback of such a log shows only to whoever kept a receipt.
const NoWitnesses = "none"

// quorumNone is the name of the quorum that asks for nothing.
const quorumNone = "none"

// The bounds of a policy.
const (
	maxWitnesses     = 32
	maxGroups        = 32
	maxWitnessPolicy = 16 << 10
)

// ParseWitnessPolicy reads a policy in its one spelling.
func ParseWitnessPolicy(text string) (*WitnessPolicy, error) {
	p := &WitnessPolicy{text: text, groups: map[string]group{}}
	if text == NoWitnesses {
		return p, nil
	}
	if err := p.read(text); err != nil {
		return nil, fmt.Errorf("witness policy: %w", err)
	}
	return p, nil
}

func (p *WitnessPolicy) read(text string) error {
	if len(text) > maxWitnessPolicy || !strings.HasSuffix(text, "\n") {
		return fmt.Errorf("it does not end with a line feed, or is longer than %d bytes", maxWitnessPolicy)
	}
	for line := range strings.Lines(text) {
		words := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		if slices.ContainsFunc(words, func(w string) bool { return w == "" || strings.ContainsFunc(w, unprintable) }) {
			return fmt.Errorf("line %.200q: not words with one space between them", line)
		}
		if p.quorum != "" {
			return fmt.Errorf("line %.200q stands behind the quorum", line)
		}
		if err := p.line(words); err != nil {
			return fmt.Errorf("line %.200q: %w", line, err)
		}
	}
	switch {
	case p.quorum == "":
		return errors.New("it has no quorum")
	case len(p.Witnesses) == 0:
		return fmt.Errorf("it has no witness; that is written %q", NoWitnesses)
	}
	return nil
}

func unprintable(r rune) bool { return !printable(r) }

func (p *WitnessPolicy) line(words []string) error {
	switch n := len(words); {
	case words[0] == "witness" && (n == 3 || n == 4):
		return p.addWitness(words[1], words[2], strings.Join(words[3:], ""))
	case words[0] == "group" && n >= 4:
		return p.addGroup(words[1], words[2], words[3:])
	case words[0] == "quorum" && n == 2:
		if p.quorum = words[1]; p.quorum != quorumNone && !p.defines(p.quorum) {
			return fmt.Errorf("%q is neither a witness nor a group of a line before", p.quorum)
		}
		return nil
	}
	return errors.New("neither witness NAME KEY [URL], nor group NAME any|all|NUMBER MEMBER…, nor quorum NAME|none")
}

// defines says whether a witness or group has this name.
func (p *WitnessPolicy) defines(name string) bool {
	_, isGroup := p.groups[name]
	return isGroup || slices.ContainsFunc(p.Witnesses, func(w Witness) bool { return w.Name == name })
}

func (p *WitnessPolicy) addWitness(name, key, at string) error {
	v, err := parseWitnessKey(key)
	if err != nil {
		return err
	}
	if u, err := url.Parse(at); at != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(at, "/")) {
		return fmt.Errorf("%q is not a URL like https://witness.example/w1, without a slash at its end", at)
	}
	switch {
	case name == quorumNone || p.defines(name):
		return fmt.Errorf("the name %q is taken", name)
	case slices.ContainsFunc(p.Witnesses, func(w Witness) bool { return w.verifier.public.Equal(v.public) }):
		return errors.New("the key stands there twice, and would count twice")
	case len(p.Witnesses) == maxWitnesses:
		return fmt.Errorf("more than %d witnesses", maxWitnesses)
	}
	p.Witnesses = append(p.Witnesses, Witness{Name: name, Key: key, URL: at, verifier: v})
	return nil
}

func (p *WitnessPolicy) addGroup(name, least string, members []string) error {
	g := group{members: members}
	switch least {
	case "any":
		g.least = 1
	case "all":
		g.least = len(members)
	default:
		n, err := strconv.Atoi(least)
		if err != nil || n < 1 || n > len(members) || strconv.Itoa(n) != least {
			return fmt.Errorf("%q is not any, all or a number of 1 to %d", least, len(members))
		}
		g.least = n
	}
	for _, m := range members {
		if !p.defines(m) {
			return fmt.Errorf("%q is neither a witness nor a group of a line before", m)
		}
		if p.grouped(m) || countOf(members, m) > 1 {
			return fmt.Errorf("%q is the member of a group already, and would count twice", m)
		}
	}
	switch {
	case name == quorumNone || p.defines(name):
		return fmt.Errorf("the name %q is taken", name)
	case len(p.groups) == maxGroups:
		return fmt.Errorf("more than %d groups", maxGroups)
	}
	p.groups[name] = g
	return nil
}

// grouped says whether a name is a member of some group.
func (p *WitnessPolicy) grouped(name string) bool {
	for _, g := range p.groups {
		if slices.Contains(g.members, name) {
			return true
		}
	}
	return false
}

func countOf(list []string, s string) (n int) {
	for _, x := range list {
		if x == s {
			n++
		}
	}
	return n
}

// NormalWitnessPolicy returns a policy file, as people write and exchange them, in
// its one spelling. A log line in it must name logKey.
func NormalWitnessPolicy(file, logKey string) (string, error) {
	var b strings.Builder
	quorum, witnesses := "", 0
	for line := range strings.Lines(file) {
		words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' })
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		switch text := strings.Join(words, " ") + "\n"; words[0] {
		case "log":
			if len(words) < 2 || words[1] != logKey {
				return "", fmt.Errorf("witness policy: line %.200q names another log", line)
			}
		case "quorum":
			if quorum != "" {
				return "", errors.New("witness policy: two quorums")
			}
			quorum = text
		default:
			witnesses++
			b.WriteString(strings.TrimSuffix(text, "/\n"))
			if strings.HasSuffix(text, "/\n") {
				b.WriteByte('\n')
			}
		}
	}
	if witnesses == 0 && quorum == "quorum "+quorumNone+"\n" {
		return NoWitnesses, nil
	}
	text := b.String() + quorum
	_, err := ParseWitnessPolicy(text)
	return text, err
}

// String returns the policy in its one spelling.
func (p *WitnessPolicy) String() string { return p.text }

// Requires says whether a checkpoint needs cosignatures at all.
func (p *WitnessPolicy) Requires() bool { return p.quorum != "" && p.quorum != quorumNone }

// Met says whether the witnesses of these names are a quorum. It is false where
// none is asked for.
func (p *WitnessPolicy) Met(names ...string) bool { return p.Requires() && p.met(p.quorum, names) }

func (p *WitnessPolicy) met(name string, names []string) bool {
	g, ok := p.groups[name]
	if !ok {
		return slices.Contains(names, name)
	}
	n := 0
	for _, m := range g.members {
		if p.met(m, names) {
			n++
		}
	}
	return n >= g.least
}

// judge says what the cosignatures come to.
func (p *WitnessPolicy) judge(by []Cosignature) Quorum {
	names := make([]string, len(by))
	for i, c := range by {
		names[i] = c.Name
	}
	switch {
	case len(p.Witnesses) == 0:
		return NoWitness
	case !p.Requires():
		return NoQuorum
	case p.Met(names...):
		return QuorumMet
	}
	return QuorumNotMet
}

// Open verifies a signed checkpoint: the log's signature, and those of the
// witnesses. A line by one of these keys that does not verify is refused, and so is one
// that is not in its one spelling. Lines by other keys are set aside, as
// c2sp.org/signed-note asks: a log may have found witnesses that this policy
// does not know yet. That the quorum is met is not asked here.
func (p *WitnessPolicy) Open(signed []byte, log note.Verifier) (*Cosigned, error) {
	known := []note.Verifier{log}
	for _, w := range p.Witnesses {
		known = append(known, w.verifier)
	}
	text, good, unknown, err := openNote(signed, known...)
	if err != nil {
		return nil, err
	}
	if _, ok := good[log]; !ok {
		return nil, fmt.Errorf("checkpoint is not signed by the log %s with a key that the trust file knows; if the log has a new one, take the service's present trust.json over with custody trust extend", log.Name())
	}
	c := &Cosigned{Unknown: unknown}
	if c.Checkpoint, err = parseCheckpointOf(log, text); err != nil {
		return nil, err
	}
	for _, w := range p.Witnesses {
		if l, ok := good[w.verifier]; ok {
			c.By = append(c.By, Cosignature{Name: w.Name, Key: w.Key, Time: l.time()})
		}
	}
	c.Quorum = p.judge(c.By)
	return c, nil
}

// OpenOwn verifies a signed checkpoint against the log's key alone; all other lines
// are unknown.
func OpenOwn(signed []byte, log note.Verifier) (*Cosigned, error) {
	return (&WitnessPolicy{text: NoWitnesses}).Open(signed, log)
}

// String says in a line who cosigned, and what that comes to.
func (c *Cosigned) String() string {
	if len(c.By) == 0 && c.Quorum == NoWitness {
		return "no outside witness"
	}
	text := "cosigned by nobody"
	if len(c.By) > 0 {
		list := make([]string, len(c.By))
		for i, by := range c.By {
			list[i] = fmt.Sprintf("%s at %s", by.Name, by.Time)
		}
		text = "cosigned by " + strings.Join(list, ", ")
	}
	return text + "; quorum " + string(c.Quorum)
}
