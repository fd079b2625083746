package paper

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
)

// Report returns the report of the chain of custody: what was verified, what the
// item is and where it came from, who had it and who did what to it, and what
// somebody may object to.
func (p *Proof) Report() *Document {
	d := p.new("Chain of custody: "+p.subject(), false)
	d.attached = p.Bundle
	d.add(p.summary())
	for _, h := range p.items() {
		d.add(h.item())
		d.add(h.source())
		d.add(h.holders())
		d.add(h.acts())
		d.add(h.refusals())
	}
	if part := p.incidentActs(); len(part.Blocks) > 0 {
		d.add(part)
	}
	d.add(p.disputable())
	d.add(p.people())
	d.add(p.log())
	d.add(p.checked())
	d.add(p.howToCheck())
	return d
}

// subject names what the bundle is of.
func (p *Proof) subject() string {
	v := p.Verdict
	if len(v.Items) == 1 && v.Scope == bundle.ScopeExhibit {
		return "exhibit " + v.Items[0].Exhibit
	}
	return "incident " + string(v.Incident)
}

func (p *Proof) summary() (part Part) {
	v := p.Verdict
	extent := "Later records are not excluded."
	if v.Complete {
		of := "it"
		if v.Scope == bundle.ScopeIncident && p.withheld(v.Incident.Stream()) {
			of = "it and of the items below" // it may have others
		}
		extent = fmt.Sprintf("No record of %s is left out, as of log size %d.", of, v.Size)
	}
	every := "Every record in the bundle of this " + string(v.Scope)
	if len(v.Withheld)+len(v.Erased) > 0 {
		every = "Every record that the bundle of this " + string(v.Scope) + " discloses"
	}
	if alarm := p.alarm(); alarm != "" {
		part.strong("READ THIS FIRST. " + alarm)
	}
	part.strong("VERIFIED. " + every + " is signed by who it says, stands in the log in its place, and follows the one before it. " + extent)
	if n := len(p.concerns()); n > 0 {
		part.text(fmt.Sprintf("%s that somebody may object to: see “Gaps and disputable points”.", plural(n, "point")))
	}
	facts := []Fact{}
	if title := p.incidentTitle(); title != "" {
		facts = append(facts, Fact{Label: "Incident", Value: title + " (" + string(v.Incident) + ")"})
	}
	for _, h := range p.items() {
		i := h.about
		facts = append(facts, Fact{Label: "Exhibit " + i.Exhibit, Value: i.Type + ": " + i.Name + " (" + string(i.Evidence) + ")"})
		if i.Artifact != nil && !i.Thing() {
			facts = append(facts, Fact{Label: "SHA-256 of its bytes", Value: i.Artifact.SHA256.Hex(), Exact: true})
		}
	}
	part.facts(append(facts,
		Fact{Label: "Newest record", Value: utc(p.asOf())},
		Fact{Label: "Bundle, SHA-256", Value: p.SHA256.Hex(), Exact: true},
		Fact{Label: "Trust file, fingerprint", Value: p.Trust.Hex(), Exact: true},
	)...)
	part.text("This paper was made from that bundle by a program, and signed by nobody. Who issued it put its SHA-256 on record in the log: the receipt that lies beside it shows that. Without a receipt it is an unsigned draft.")
	return part
}

// withheld says whether records of a stream are.
func (p *Proof) withheld(s custody.Stream) bool {
	return slices.ContainsFunc(p.Verdict.Withheld, func(w bundle.Withheld) bool { return w.Stream == s })
}

// incidentTitle is what the incident was opened as.
func (p *Proof) incidentTitle() string {
	for _, e := range p.all() {
		if e.Stream == custody.IncidentsStream && e.Permitted && custody.NewIncidentID(e.Statement.Payload) == p.Verdict.Incident {
			return e.Statement.Act.Subject().Name
		}
	}
	return ""
}

// history is what is known of one item.
type history struct {
	proof  *Proof
	about  *bundle.Item
	events []bundle.Event // of the item, and the one that announced it
	seal   *custody.SealEvidence
	sealed bundle.Event
	scene  *custody.Statement // signed where the item was taken; nil when it was not
}

// items returns all items in order of their exhibit numbers.
func (p *Proof) items() []*history {
	of := p.Verdict.ByItem()
	var all []*history
	for _, i := range p.Verdict.Items {
		all = append(all, p.historyOf(i, of[i.Evidence]))
	}
	slices.SortStableFunc(all, func(a, b *history) int { return custody.CompareExhibits(a.about.Exhibit, b.about.Exhibit) })
	return all
}

func (p *Proof) historyOf(i *bundle.Item, events []bundle.Event) *history {
	h := &history{proof: p, about: i, events: events}
	for _, e := range events {
		if seal, ok := e.Statement.Act.(*custody.SealEvidence); ok && e.Permitted {
			h.seal, h.sealed = seal, e
			h.scene, _ = seal.Collected() // of a verified bundle it can be read
		}
	}
	return h
}

// of says which item a part is about, where there are several.
func (h *history) of(title string) string {
	if len(h.proof.Verdict.Items) == 1 {
		return title
	}
	return title + " (" + h.about.Exhibit + ")"
}

const notRecorded = "not recorded"

// given returns a text, or says that nobody gave one.
func given(text string) string { return cmp.Or(text, notRecorded) }

func (h *history) item() (part Part) {
	i := h.about
	part.Title = h.of("Exhibit")
	facts := []Fact{
		{Label: "Exhibit number", Value: i.Exhibit},
		{Label: "Item", Value: string(i.Evidence) + ", of incident " + string(h.proof.Verdict.Incident)},
		{Label: "Type and name", Value: i.Type + ": " + i.Name},
	}
	if a := i.Artifact; a != nil && !i.Thing() {
		facts = append(facts,
			Fact{Label: "Size", Value: plural(int(a.Size), "byte")},
			Fact{Label: "SHA-256", Value: a.SHA256.Hex(), Exact: true},
			Fact{Label: "Root of its blocks", Value: a.Root.Hex(), Exact: true},
			Fact{Label: "Its bytes", Value: i.Bytes(h.proof.Verdict.Scope)},
		)
	}
	for _, x := range i.Excerpts {
		facts = append(facts,
			Fact{Label: "Excerpt, as sealed", Value: fmt.Sprintf("bytes %d to %d (%d of them) are in the bundle; their SHA-256:", x.Offset, x.Offset+x.Length-1, x.Length)},
			Fact{Value: x.SHA256.Hex(), Exact: true},
		)
	}
	for _, l := range i.Labels {
		facts = append(facts, Fact{Label: "Other digest", Value: l.String()})
	}
	if h.seal != nil && h.seal.Format != "" {
		facts = append(facts, Fact{Label: "Format", Value: h.seal.Format})
	}
	if h.seal != nil && len(h.seal.Parts) > 0 {
		for n, s := range h.seal.Parts {
			facts = append(facts, Fact{Label: fmt.Sprintf("File %d of %d", n+1, len(h.seal.Parts)), Value: fmt.Sprintf("%s, %s", s.Name.Display, plural(int(s.Size), "byte"))})
		}
	}
	switch {
	case i.Thing():
		facts = append(facts, Fact{Label: "Bytes", Value: bundle.ThingText})
	case i.Store != nil:
		facts = append(facts, Fact{Label: "Stored", Value: "by " + h.proof.Verdict.Origin + " in " + i.Store.String()})
	default:
		facts = append(facts, Fact{Label: "Stored", Value: "by " + h.proof.Verdict.Origin + "; what the store can do is " + notRecorded})
	}
	if i.Destruction != nil {
		facts = append(facts, Fact{Label: "Destroyed", Value: i.Destruction.String()})
	}
	part.facts(facts...)
	return part
}

// source tells where the item came from, each fact that a court asks for, given or
// not (ISO/IEC 27037, NIST SP 800-86).
func (h *history) source() (part Part) {
	part.Title = h.of("Source and acquisition, as the collector tells it")
	q := h.about.Acquisition
	if q == nil {
		part.text("The item is not sealed: nothing is recorded.")
		return part
	}
	s := q.Source
	part.facts(known(
		Fact{Label: "Taken from", Value: given(s.Description)},
		Fact{Label: "Model", Value: given(s.Model)},
		Fact{Label: "Serial number", Value: given(s.Serial)},
		Fact{Label: "Host", Value: given(s.Host)},
		Fact{Label: "IP address", Value: given(s.IP)},
		Fact{Label: "MAC address", Value: given(s.MAC)},
		Fact{Label: "Where the source stands", Value: given(s.Location)},
		Fact{Label: "Taken at", Value: given(q.Place)},
		Fact{Label: "Taken on", Value: given(q.CollectedAt)},
		Fact{Label: "Taken by", Value: h.taker()},
		Fact{Label: "By right of", Value: h.authority()},
		Fact{Label: "Method", Value: given(q.Method)},
		Fact{Label: "Tool", Value: h.tool()},
		Fact{Label: "Write blocker", Value: given(q.WriteBlock)},
		Fact{Label: "Changed on the source", Value: given(q.Changes)},
		Fact{Label: "Could not be read", Value: h.unread()},
		Fact{Label: "Clock of the source", Value: h.clock()},
		Fact{Label: "Events span", Value: h.coverage()},
		Fact{Label: "Order of collection", Value: h.order()},
		Fact{Label: "Not taken, and why", Value: given(q.NotTaken)},
		Fact{Label: "Bag and seal", Value: h.bag()},
	)...)
	if q.Image != nil {
		var says []string
		if len(q.Image.Filled) > 0 {
			says = append(says, "As the image says, and the collector did not: "+strings.Join(q.Image.Filled, ", ")+".")
		}
		for _, s := range q.Image.Says {
			says = append(says, s.Name+": "+s.Text)
		}
		part.text("What the image states of itself. Whoever made it could write what he liked:")
		part.list(says...)
	}
	return part
}

// known puts those of which nothing is recorded behind the others, in one line.
func known(list ...Fact) (facts []Fact) {
	var missing []string
	for _, f := range list {
		if f.Value == notRecorded {
			missing = append(missing, f.Label)
			continue
		}
		facts = append(facts, f)
	}
	if len(missing) > 0 {
		facts = append(facts, Fact{Label: "Not recorded", Value: strings.Join(missing, "; ")})
	}
	return facts
}

func (h *history) taker() string {
	q := h.about.Acquisition
	if p := q.Collector; p != nil {
		return fmt.Sprintf("%s, %s, %s; not enrolled here, named by whoever sealed the item", p.Name, p.Title, p.Contact)
	}
	by := h.sealed.Actor
	if h.scene != nil {
		by = h.scene.Actor
	}
	return h.proof.name(by)
}

func (h *history) authority() string {
	a := h.about.Acquisition.Authority
	text := a.Kind + ": " + a.Reference
	if a.From != "" {
		text += ", from " + a.From
	}
	if a.Until != "" {
		text += ", until " + a.Until
	}
	return text
}

func (h *history) tool() string {
	t := h.about.Acquisition.Tool
	if t == nil {
		return "none"
	}
	return fmt.Sprintf("%s %s, settings: %s", t.Name, t.Version, t.Settings)
}

func (h *history) unread() string {
	u := h.about.Acquisition.Unread
	switch {
	case u == nil:
		return notRecorded
	case u.Bytes == 0 && u.Note == "":
		return "nothing: all was read"
	}
	text := plural(int(u.Bytes), "byte")
	if u.Filled {
		text += ", zeros stand in their place"
	}
	if u.Note != "" {
		text += "; " + u.Note
	}
	return text
}

func (h *history) clock() string {
	c := h.about.Acquisition.ClockError
	switch {
	case !c.Measured:
		return "not compared with another clock"
	case c.AheadMS < 0:
		return fmt.Sprintf("%d ms behind %s", -c.AheadMS, c.Reference)
	}
	return fmt.Sprintf("%d ms ahead of %s", c.AheadMS, c.Reference)
}

func (h *history) coverage() string {
	c := h.about.Acquisition.Coverage
	if c == nil {
		return notRecorded
	}
	return c.First + " to " + c.Last
}

func (h *history) order() string {
	if n := h.about.Acquisition.Order; n > 0 {
		return fmt.Sprintf("number %d", n)
	}
	return notRecorded
}

func (h *history) bag() string {
	b := h.about.Acquisition.Seal
	if b == nil {
		return notRecorded
	}
	return "bag " + given(b.Bag) + ", seal " + given(b.Seal)
}

// name says who somebody is, as enrolled.
func (p *Proof) name(id custody.PrincipalID) string {
	if id == p.Verdict.Service() {
		return "the service"
	}
	who := p.Verdict.Enrolled(id)
	return fmt.Sprintf("%s, %s (%s)", who.Name, who.Title, id)
}

// holders says who had the item at any time, and who was given a copy.
func (h *history) holders() (part Part) {
	part.Title = h.of("Who had it, and who was given copies")
	t := &Table{Caption: "From, until, and who", Columns: []Column{{"From", 0.24}, {"Until", 0.24}, {"Who", 0.52}}}
	row := func(from, until, who string) { t.Rows = append(t.Rows, []Cell{line(from), line(until), line(who)}) }
	if h.seal == nil {
		part.text("The item is not sealed.")
		return part
	}
	row(given(h.seal.Acquisition.CollectedAt), utc(h.sealed.Recorded), h.taker()+". Of this time the log knows only what the seal says.")
	until := "as of " + utc(h.proof.asOf())
	if p := h.proof; p.withheld(h.about.Evidence.Stream()) {
		until += ", as far as is disclosed"
	}
	switch d := h.about.Destruction; {
	case d != nil && d.At == 0:
		until = "destroyed; when that was ordered is not disclosed"
	case d != nil:
		until = "destroyed, ordered " + utc(d.At)
	}
	keeper := "The service of " + h.proof.Verdict.Origin + ", in its store."
	if h.about.Thing() {
		keeper = "Not told by these records: the service of " + h.proof.Verdict.Origin + " keeps no things."
	}
	row(utc(h.sealed.Recorded), until, keeper)
	for _, e := range h.events {
		act, ok := e.Statement.Act.(*custody.ReleaseEvidence)
		if !ok || !e.Permitted || act.Sent == 0 && act.Outcome != custody.ReleaseUnknown {
			continue
		}
		who := "A copy to somebody whose record is not here"
		if g, ok := h.grant(act.Grant); ok {
			who = "Copy to " + h.proof.name(g.Actor) + ": " + g.Detail
		}
		row(utc(e.Recorded), "", fmt.Sprintf("%s; %s, %s handed over.", who, act.Outcome, plural(int(act.Sent), "byte")))
	}
	part.table(t)
	return part
}

// grant finds the permitted retrieval of that payload.
func (h *history) grant(payload custody.Digest) (bundle.Event, bool) {
	i := slices.IndexFunc(h.events, func(e bundle.Event) bool {
		return e.Kind == custody.KindRetrieveEvidence && e.Permitted && e.Statement.Payload == payload
	})
	if i < 0 {
		return bundle.Event{}, false
	}
	return h.events[i], true
}

func line(text string) Cell { return Cell{{Text: text}} }

func eventTable(caption string) *Table {
	return &Table{Caption: caption, Columns: []Column{{"Log", 0.07}, {"When", 0.16}, {"Who", 0.22}, {"What, and why", 0.55}}}
}

// row tells an event.
func (p *Proof) row(e bundle.Event, outcome string) []Cell {
	who := Cell{{Text: e.Name, Strong: true}}
	if e.Actor != p.Verdict.Service() {
		who = append(who, Line{Text: p.Verdict.Enrolled(e.Actor).Title})
	}
	who = append(who, Line{Text: string(e.Actor), Exact: true})
	what := Cell{{Text: outcome, Strong: true}}
	what = append(what, detail(e.Detail)...)
	for _, o := range e.About {
		what = append(what, Line{Text: "About " + o.String()})
	}
	if e.Undone != nil {
		what = append(what, Line{Text: "CORRECTED OR TAKEN BACK by " + e.Undone.String(), Strong: true})
	}
	if e.Purpose != "" {
		what = append(what, Line{Text: "Why: " + e.Purpose})
	}
	if !e.Permitted {
		what = append(what, Line{Text: "Refused because: " + e.Reason})
	}
	when := Cell{{Text: utc(e.Time)}}
	if e.Recorded > e.Time.Add(late) {
		when = append(when, Line{Text: "recorded " + utc(e.Recorded)})
	}
	if s := e.Stamped; s != nil {
		when = append(when, Line{Text: "existed by " + utc(s.By) + s.GiveOrTake()}, Line{Text: fmt.Sprintf("%s (%s)", s.Authority, s.Kind)})
	}
	return []Cell{line(fmt.Sprint(e.Index)), when, who, what}
}

// detail tells what an act was of, a digest on a line of its own.
func detail(text string) (lines Cell) {
	if text == "" {
		return nil
	}
	before, digest, found := strings.Cut(text, "SHA-256 ")
	if !found || len(digest) < 64 || strings.Trim(digest[:64], "0123456789abcdef") != "" {
		return line(text)
	}
	lines = Cell{{Text: before + "SHA-256"}, {Text: digest[:64], Exact: true}}
	if after := strings.TrimPrefix(digest[64:], "; "); after != "" {
		lines = append(lines, Line{Text: after})
	}
	return lines
}

// late is after how many nanoseconds the time of recording is told beside that of
// the act, as in the text of a verdict.
const late = 10e9

func (h *history) acts() (part Part) {
	part.Title = h.of("What was done with it")
	t := eventTable("In the order of recording; times by the signer's clock. “Log” is the position in the log.")
	for _, e := range h.events {
		if e.Permitted {
			t.Rows = append(t.Rows, h.proof.row(e, e.What()))
		}
	}
	part.table(t)
	return part
}

func (h *history) refusals() (part Part) {
	part.Title = h.of("What was refused")
	t := eventTable("Attempts that were refused, in the order of recording")
	for _, e := range h.events {
		if !e.Permitted {
			t.Rows = append(t.Rows, h.proof.row(e, string(e.Kind)))
		}
	}
	if len(t.Rows) == 0 {
		part.text("Nothing, as far as the item's own records go that are disclosed. Attempts of people who may not even know of the item stand in their own histories.")
		return part
	}
	part.table(t)
	return part
}

// incidentActs are records of the incident that are about no single one of the items.
func (p *Proof) incidentActs() (part Part) {
	t := eventTable("In the order of recording")
	for _, e := range p.Verdict.Timeline {
		begins := e.Kind == custody.KindBeginEvidence && p.Of(custody.NewEvidenceID(e.Statement.Payload))
		if of := e.Stream == p.Verdict.Incident.Stream() || e.Stream == custody.IncidentsStream; of && !begins {
			t.Rows = append(t.Rows, p.row(e, e.What()))
		}
	}
	if len(t.Rows) > 0 {
		part.Title = "What was done with the incident"
		part.table(t)
	}
	return part
}

func (p *Proof) disputable() (part Part) {
	part.Title = "Gaps and disputable points"
	list := p.concerns()
	if len(list) == 0 {
		part.text("None was found.")
		return part
	}
	part.list(list...)
	return part
}

func (p *Proof) people() (part Part) {
	part.Title = "Everybody who handled it, and how to reach them"
	t := &Table{Caption: "As enrolled in the log; in the order of their first record", Columns: []Column{{"Name", 0.22}, {"Title and contact", 0.23}, {"Records", 0.55}}}
	for _, h := range p.Verdict.Handlers() {
		name := Cell{{Text: h.Name, Strong: true}}
		what := Cell{}
		if h.ID == "" {
			name = append(name, Line{Text: "not enrolled"})
			what = append(what, Line{Text: "took the item, as whoever sealed it says"})
		} else {
			name = append(name, Line{Text: string(h.ID), Exact: true})
			what = append(what, Line{Text: plural(h.Acts, "record") + " signed, " + plural(h.Refused, "attempt") + " refused"})
		}
		for _, k := range h.Keys {
			what = append(what, Line{Text: "signed with the key whose SHA-256 is"}, Line{Text: k.Hex(), Exact: true})
		}
		t.Rows = append(t.Rows, []Cell{name, {{Text: h.Title}, {Text: h.Contact}}, what})
	}
	part.table(t)
	if len(p.Verdict.Withheld) > 0 {
		part.text("Whoever signed nothing but withheld records is not in this list.")
	}
	return part
}

func (p *Proof) log() (part Part) {
	v := p.Verdict
	part.Title = "The log, and who vouches for it"
	facts := []Fact{
		{Label: "Log", Value: v.Origin},
		{Label: "Size", Value: plural(int(v.Size), "record")},
		{Label: "Root", Value: v.Root.Hex(), Exact: true},
		{Label: "Witnesses asked for", Value: "quorum of the trust file: " + string(v.Quorum)},
	}
	for _, c := range v.Cosigned {
		facts = append(facts, Fact{Label: "Cosigned by", Value: c.Name + ", " + utc(c.Time)})
	}
	for _, c := range v.AlsoCosigned {
		facts = append(facts, Fact{Label: "Also cosigned by", Value: c.Name + ", " + utc(c.Time) + ": a witness that the log's records name, and the trust file does not"})
	}
	part.facts(facts...)
	return part
}

func (p *Proof) checked() (part Part) {
	part.Title = "What was checked, and what was not"
	facts := []Fact{}
	for _, c := range p.Verdict.Checked() {
		facts = append(facts, Fact{Label: c.Label, Value: c.Text})
	}
	part.facts(facts...)
	return part
}

func (p *Proof) howToCheck() (part Part) {
	part.Title = "How to check this paper"
	part.list(
		"Take the trust file from somebody other than who gave you this paper, and compare its fingerprint with the one on page 1.",
		"The PDF of this paper carries the bundle as an attachment called "+BundleName+"; its SHA-256 is at the foot of every page.",
		"custody bundle verify "+BundleName+" --trust trust.json says the verdict again, without a network and without an account. custody report --bundle "+BundleName+" --trust trust.json -o DIR makes this paper again, byte for byte.",
		"The code below holds the bundle's SHA-256 and origin, size and root of the log.",
	)
	part.Blocks = append(part.Blocks, Block{Code: true})
	return part
}
