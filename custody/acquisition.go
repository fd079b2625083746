package custody

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Acquisition is how an item was obtained, as its collector tells it: the
// facts that ISO/IEC 27037 and NIST SP 800-86 ask of whoever takes evidence.
// Which of them an item needs follows from its type: Lacks says what is missing.
type Acquisition struct {
	Authority   Authority   `json:"authority"`             // by what right it was taken
	Changes     string      `json:"changes"`               // what taking it changed on the source, why that was unavoidable, and who answers for it; of a live source
	ClockError  ClockError  `json:"clockError"`            // of the source's clock
	CollectedAt string      `json:"collectedAt"`           // RFC 3339 with the UTC offset of the place
	Collector   *Person     `json:"collector,omitempty"`   // who took it; absent when whoever signs did
	Coverage    *Coverage   `json:"coverage,omitempty"`    // the time that a log's events span
	Image       *ImageFacts `json:"image,omitempty"`       // what the artifact, an image, states of itself
	Method      string      `json:"method"`                // one of Methods
	NotTaken    string      `json:"notTaken"`              // what was left behind on purpose, and why
	Order       uint64      `json:"order"`                 // place in the order of collection, the most volatile first; 0 where there was one thing to take
	Place       string      `json:"place"`                 // where it was taken
	Seal        *BagSeal    `json:"sealNumbers,omitempty"` // of a physical item's bag
	Source      Source      `json:"source"`                // what it was taken from
	Tool        *Tool       `json:"tool,omitempty"`        // absent for a physical item
	Unread      *Unread     `json:"unread,omitempty"`      // what of the source could not be read
	WriteBlock  string      `json:"writeBlock"`            // which write blocker, or why none; of a dead source
}

// Person is somebody who handled evidence and need not be enrolled here.
type Person struct {
	Contact string `json:"contact"` // telephone or mail
	Name    string `json:"name"`
	Title   string `json:"title"`
}

// Authority is the right by which evidence was taken.
type Authority struct {
	Kind      string `json:"kind"`      // one of AuthorityKinds
	From      string `json:"from"`      // RFC 3339; empty: without beginning
	Reference string `json:"reference"` // docket number, contract clause, name of the policy
	Until     string `json:"until"`     // RFC 3339; empty: without end
}

// ClockError is how far the source's clock was from a reference.
type ClockError struct {
	AheadMS   int64  `json:"aheadMs"` // milliseconds, negative when the clock was behind
	Measured  bool   `json:"measured"`
	Reference string `json:"reference"` // what it was compared with; empty when not measured
}

// Coverage is the time that the events of a log span.
type Coverage struct {
	First string `json:"first"` // RFC 3339, of the first event
	Last  string `json:"last"`  // RFC 3339, of the last event
}

// Source is what an item was taken from.
type Source struct {
	Description string `json:"description"`
	Host        string `json:"host"`
	IP          string `json:"ip"`
	Location    string `json:"location"` // where the source stands
	MAC         string `json:"mac"`
	Model       string `json:"model"`
	Serial      string `json:"serial"`
}

// Tool is what an item was taken with.
type Tool struct {
	Name     string `json:"name"`
	Settings string `json:"settings"` // options, as they were given
	Version  string `json:"version"`
}

// Unread is what of the source could not be read.
type Unread struct {
	Bytes  uint64 `json:"bytes"`  // 0 when all was read
	Filled bool   `json:"filled"` // zeros stand in the artifact in their place
	Note   string `json:"note"`   // where, and what the device said
}

// ImageFacts is what an image states of its acquisition, as the collector's
// program read it there. It is nobody's word: whoever made the image could write
// what he liked, and whoever seals it has not said that it is so.
type ImageFacts struct {
	Filled []string `json:"filled"` // the members of the acquisition that stand there as the image says, since the collector gave none; some of Fillable, each once
	Says   []Said   `json:"says"`   // at most 32
}

// Said is one of them.
type Said struct {
	Name string `json:"name"` // a required line, such as "examiner"
	Text string `json:"text"` // a required line
}

// Fillable lists the members of an acquisition that can stand there as an image
// says, by the names that Lacks has.
func Fillable() []string {
	return []string{"collectedAt", "source.model", "source.serial", "tool.version", "unread"}
}

// maxSaid is how much an image is quoted with.
const maxSaid = 32

// Check refuses what is malformed.
func (i *ImageFacts) Check() error {
	if len(i.Says) > maxSaid {
		return fmt.Errorf("image: says %d things; at most %d", len(i.Says), maxSaid)
	}
	for _, s := range i.Says {
		if err := errors.Join(checkLine("image.says.name", s.Name, true), checkLine("image.says.text", s.Text, true)); err != nil {
			return err
		}
	}
	for n, f := range i.Filled {
		if !slices.Contains(Fillable(), f) || slices.Contains(i.Filled[:n], f) {
			return fmt.Errorf("image: filled %.40q is none of %s, each once", f, strings.Join(Fillable(), ", "))
		}
	}
	return nil
}

// filled says whether a member stands there as the image says.
func (q *Acquisition) filled(member string) bool {
	return q.Image != nil && slices.Contains(q.Image.Filled, member)
}

// BagSeal is what a physical item is closed with.
type BagSeal struct {
	Bag  string `json:"bag"`
	Seal string `json:"seal"`
}

// Methods lists how an item can be taken: from a source that is switched off,
// from one that runs, as files or by an interface that the source offers, from
// another over the network, or as the thing itself.
func Methods() []string { return []string{"dead", "live", "logical", "remote", "seizure"} }

// AuthorityKinds lists by what right evidence can be taken.
func AuthorityKinds() []string {
	return []string{"consent", "contract", "order", "policy", "warrant"}
}

// TypePhysical is the type of an item that is a thing and has no bytes.
const TypePhysical = "physical"

// Lacks lists what an item of this type must be told of and this acquisition
// is not, by the names of the JSON members, dotted: "tool.version". Empty means
// that nothing is missing (after ISO/IEC 27037 and NIST SP 800-86).
func (q *Acquisition) Lacks(kind string) []string {
	var missing []string
	need := func(name string, here bool) {
		if !here {
			missing = append(missing, name)
		}
	}
	need("source.description", q.Source.Description != "")
	need("method", q.Method != "")
	need("collectedAt", q.CollectedAt != "")
	need("place", q.Place != "")
	need("authority.kind", q.Authority.Kind != "")
	need("authority.reference", q.Authority.Reference != "")
	if q.Collector != nil {
		need("collector.name", q.Collector.Name != "")
		need("collector.title", q.Collector.Title != "")
		need("collector.contact", q.Collector.Contact != "")
	}
	if kind == TypePhysical {
		need("sealNumbers.bag", q.Seal != nil && q.Seal.Bag != "")
		return missing
	}
	need("tool.name", q.Tool != nil && q.Tool.Name != "")
	need("tool.version", q.Tool != nil && q.Tool.Version != "")
	need("tool.settings", q.Tool != nil && q.Tool.Settings != "")
	need("writeBlock", q.Method != "dead" || q.WriteBlock != "")
	need("changes", q.Method != "live" || q.Changes != "")
	need("unread", q.Unread != nil || !slices.Contains([]string{"disk", "memory", "mobile"}, kind))
	if kind == "log" {
		need("coverage.first", q.Coverage != nil && q.Coverage.First != "")
		need("coverage.last", q.Coverage != nil && q.Coverage.Last != "")
	}
	return missing
}

// Check refuses facts that are malformed, or lie after the time at which they
// are signed. That none is missing is for Lacks to say, which knows the type.
func (q *Acquisition) Check(signed Time) error {
	for _, f := range q.lines() {
		if err := checkLine(f.field, f.text, false); err != nil {
			return err
		}
	}
	if q.Image != nil {
		if err := q.Image.Check(); err != nil {
			return err
		}
	}
	if q.Method != "" && !slices.Contains(Methods(), q.Method) {
		return fmt.Errorf("method %.40q is none of %s", q.Method, strings.Join(Methods(), ", "))
	}
	if k := q.Authority.Kind; k != "" && !slices.Contains(AuthorityKinds(), k) {
		return fmt.Errorf("authority.kind %.40q is none of %s", k, strings.Join(AuthorityKinds(), ", "))
	}
	if err := q.Source.check(); err != nil {
		return err
	}
	if q.ClockError.Measured != (q.ClockError.Reference != "") || !q.ClockError.Measured && q.ClockError.AheadMS != 0 {
		return errors.New("clockError: one that was measured, and only such a one, has a reference and a size")
	}
	return q.checkTimes(signed)
}

type namedLine struct{ field, text string }

func (q *Acquisition) lines() []namedLine {
	list := []namedLine{
		{"authority.reference", q.Authority.Reference},
		{"changes", q.Changes},
		{"clockError.reference", q.ClockError.Reference},
		{"notTaken", q.NotTaken},
		{"place", q.Place},
		{"source.description", q.Source.Description},
		{"source.host", q.Source.Host},
		{"source.location", q.Source.Location},
		{"source.model", q.Source.Model},
		{"source.serial", q.Source.Serial},
		{"writeBlock", q.WriteBlock},
	}
	if p := q.Collector; p != nil {
		list = append(list, namedLine{"collector.contact", p.Contact}, namedLine{"collector.name", p.Name}, namedLine{"collector.title", p.Title})
	}
	if t := q.Tool; t != nil {
		list = append(list, namedLine{"tool.name", t.Name}, namedLine{"tool.settings", t.Settings}, namedLine{"tool.version", t.Version})
	}
	if q.Unread != nil {
		list = append(list, namedLine{"unread.note", q.Unread.Note})
	}
	if q.Seal != nil {
		list = append(list, namedLine{"sealNumbers.bag", q.Seal.Bag}, namedLine{"sealNumbers.seal", q.Seal.Seal})
	}
	return list
}

// String names the source in a line.
func (s Source) String() string {
	text := s.Description
	for _, f := range []namedLine{
		{"model", s.Model}, {"S/N", s.Serial}, {"host", s.Host}, {"IP", s.IP}, {"MAC", s.MAC}, {"in", s.Location},
	} {
		if f.text != "" {
			text += ", " + f.field + " " + f.text
		}
	}
	return text
}

func (s *Source) check() error {
	if s.IP != "" {
		if _, err := netip.ParseAddr(s.IP); err != nil {
			return fmt.Errorf("source.ip %.60q is not an address like 192.0.2.7 or 2001:db8::7", s.IP)
		}
	}
	if s.MAC != "" && !hardwareAddress.MatchString(s.MAC) {
		return fmt.Errorf("source.mac %.60q is not an address like 00:00:5e:00:53:01", s.MAC)
	}
	return nil
}

// hardwareAddress is an EUI-48 or EUI-64 in lower-case digits with colons.
var hardwareAddress = regexp.MustCompile(`^([0-9a-f]{2}:){5}([0-9a-f]{2}:[0-9a-f]{2}:)?[0-9a-f]{2}$`)

func (q *Acquisition) checkTimes(signed Time) error {
	times := []namedLine{{"authority.from", q.Authority.From}, {"authority.until", q.Authority.Until}, {"collectedAt", q.CollectedAt}}
	if q.Coverage != nil {
		times = append(times, namedLine{"coverage.first", q.Coverage.First}, namedLine{"coverage.last", q.Coverage.Last})
	}
	at := map[string]time.Time{}
	for _, f := range times {
		if f.text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, f.text)
		if err != nil {
			return fmt.Errorf("%s %.60q is not a time like 2026-11-23T21:05:00+01:00", f.field, f.text)
		}
		at[f.field] = t
	}
	if at["collectedAt"].After(signed.Time()) {
		return fmt.Errorf("collectedAt %s lies after the time of signing: nothing is collected in the future", q.CollectedAt)
	}
	if c := q.Coverage; c != nil && c.First != "" && c.Last != "" && at["coverage.last"].Before(at["coverage.first"]) {
		return errors.New("coverage.last lies before coverage.first")
	}
	if a := q.Authority; a.From != "" && a.Until != "" && at["authority.until"].Before(at["authority.from"]) {
		return errors.New("authority.until lies before authority.from")
	}
	return nil
}

// Concerns says in sentences what somebody may object to in this acquisition,
// though it is complete: evidence that was taken outside the validity of its
// authority, that could not be read whole, from a clock that nobody compared.
func (q *Acquisition) Concerns() []string {
	var list []string
	at, _ := time.Parse(time.RFC3339, q.CollectedAt) // Check has parsed them all
	if from, err := time.Parse(time.RFC3339, q.Authority.From); err == nil && at.Before(from) {
		list = append(list, fmt.Sprintf("it was taken at %s, before its authority began at %s", q.CollectedAt, q.Authority.From))
	}
	if until, err := time.Parse(time.RFC3339, q.Authority.Until); err == nil && at.After(until) {
		list = append(list, fmt.Sprintf("it was taken at %s, after its authority had ended at %s", q.CollectedAt, q.Authority.Until))
	}
	if u := q.Unread; u != nil && u.Bytes > 0 {
		what := "they are missing"
		switch {
		case u.Filled:
			what = "zeros stand in their place"
		case q.filled("unread"):
			what = "so the image says, and not what stands in their place"
		}
		list = append(list, fmt.Sprintf("%d bytes of the source could not be read; %s", u.Bytes, what))
	}
	if !q.ClockError.Measured {
		list = append(list, "the source's clock was not compared with another")
	}
	return list
}

// Describe tells the acquisition in lines for a report, its concerns last.
func (q *Acquisition) Describe() []string {
	list := []string{fmt.Sprintf("%s, at %s, %s", q.Source, q.Place, q.CollectedAt)}
	how := q.Method
	if q.WriteBlock != "" {
		how += ", write blocker: " + q.WriteBlock
	}
	if t := q.Tool; t != nil {
		how += fmt.Sprintf(", with %s %s (%s)", t.Name, t.Version, t.Settings)
	}
	list = append(list, how)
	if p := q.Collector; p != nil {
		list = append(list, fmt.Sprintf("by %s, %s, %s", p.Name, p.Title, p.Contact))
	}
	list = append(list, fmt.Sprintf("by right of %s: %s", q.Authority.Kind, q.Authority.Reference))
	if q.Changes != "" {
		list = append(list, "changed on the source: "+q.Changes)
	}
	if q.NotTaken != "" {
		list = append(list, "not taken: "+q.NotTaken)
	}
	if q.Order > 0 {
		list = append(list, fmt.Sprintf("number %d in the order of collection", q.Order))
	}
	if q.ClockError.Measured {
		list = append(list, fmt.Sprintf("the source's clock was %d ms ahead of %s", q.ClockError.AheadMS, q.ClockError.Reference))
	}
	if c := q.Coverage; c != nil {
		list = append(list, fmt.Sprintf("its events span %s to %s", c.First, c.Last))
	}
	if b := q.Seal; b != nil {
		list = append(list, fmt.Sprintf("bag %s, seal %s", b.Bag, b.Seal))
	}
	if i := q.Image; i != nil {
		if len(i.Filled) > 0 {
			list = append(list, "as the image says, and the collector did not: "+strings.Join(i.Filled, ", "))
		}
		for _, s := range i.Says {
			list = append(list, fmt.Sprintf("the image says: %s: %s", s.Name, s.Text))
		}
	}
	for _, c := range q.Concerns() {
		list = append(list, "NOTE: "+c)
	}
	return list
}

// Label is a digest of the artifact beside the one that names it: in an
// algorithm of old that an acquisition's report has, or as the artifact's
// container or a file beside it states it. It is compared, never relied upon.
type Label struct {
	Algorithm string `json:"algorithm"` // "md5", "sha1" or "sha256"
	Measured  string `json:"measured"`  // in lower-case hexadecimal digits, as computed by the collector's program
	Over      string `json:"over"`      // LabelArtifact or LabelMedia
	Stated    string `json:"stated"`    // what it was said to be; empty when nobody said
	StatedBy  string `json:"statedBy"`  // who said: "container", or the name of the file beside
}

// What a Label can be a digest of.
const (
	LabelArtifact = "artifact" // the artifact's bytes
	LabelMedia    = "media"    // the bytes that the artifact contains as a container
)

// Matches says whether the digest is what it was said to be, or nobody said.
func (l Label) Matches() bool { return l.Stated == "" || l.Stated == l.Measured }

// String tells the label in a line for a report.
func (l Label) String() string {
	text := fmt.Sprintf("%s of the %s %s", l.Algorithm, l.Over, l.Measured)
	switch {
	case l.Stated == "":
	case l.Matches():
		text += ", as the " + l.StatedBy + " states"
	default:
		text += ": NOT what the " + l.StatedBy + " states, " + l.Stated
	}
	return text
}

func (l Label) check() error {
	sizes := map[string]int{"md5": 16, "sha1": 20, "sha256": 32}
	size, ok := sizes[l.Algorithm]
	switch {
	case !ok:
		return fmt.Errorf("label: algorithm %.20q is none of md5, sha1, sha256", l.Algorithm)
	case l.Over != LabelArtifact && l.Over != LabelMedia:
		return fmt.Errorf("label: over %.20q is neither %q nor %q", l.Over, LabelArtifact, LabelMedia)
	case (l.Stated == "") != (l.StatedBy == ""):
		return errors.New("label: who states a digest, and only he, is named")
	}
	for _, d := range []string{l.Measured, l.Stated} {
		raw, err := hex.DecodeString(d)
		if d == l.Stated && d == "" {
			continue
		}
		if err != nil || len(raw) != size || d != strings.ToLower(d) {
			return fmt.Errorf("label: %.80q is not a %s in lower-case hexadecimal digits", d, l.Algorithm)
		}
	}
	return checkLine("label.statedBy", l.StatedBy, false)
}
