package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/forensic-custody/custody/custody"
)

// Verdict is what a verification found.
type Verdict struct {
	Verified     bool                  `json:"verified"`               // nothing is wrong
	Scope        Scope                 `json:"scope"`                  // what the bundle is of
	Origin       string                `json:"origin"`                 // of the log, as the trust file names it
	Size         uint64                `json:"size"`                   // of the log at the checkpoint
	Root         custody.Digest        `json:"root"`                   // of the log at the checkpoint
	Complete     bool                  `json:"complete"`               // all leaves were there: no later record is left out as of Size
	Since        *Since                `json:"since,omitempty"`        // what the public log has of the bundle's streams, where it was read
	Quorum       custody.Quorum        `json:"quorum"`                 // whether the witnesses cosigned the checkpoint that the trust file asks for
	Cosigned     []custody.Cosignature `json:"cosigned,omitempty"`     // by witnesses of the trust file, and when
	AlsoCosigned []custody.Cosignature `json:"alsoCosigned,omitempty"` // by other witnesses, which the log's own records name
	Incident     custody.IncidentID    `json:"incident"`
	Title        string                `json:"title"`              // of the incident
	Items        []*Item               `json:"items"`              // in order of identifier; one where Scope is an exhibit
	Timeline     []Event               `json:"timeline"`           // in the order of recording
	Erased       []Erased              `json:"erased,omitempty"`   // records of the bundle's streams that are erased by order
	Withheld     []Withheld            `json:"withheld,omitempty"` // records of the bundle's streams that are not disclosed
	Times        string                `json:"times"`              // by whose clocks the times in the records are
	Stamps       []StampFound          `json:"stamps,omitempty"`   // by time-stamping authorities, in order of size
	Gaps         []Gap                 `json:"gaps,omitempty"`     // times that no stamp bears out, where there are stamps
	Notices      []Notice              `json:"notices,omitempty"`  // what the service put on record about authorities
	Problems     []Problem             `json:"problems"`           // empty when verified
	Warnings     []Problem             `json:"warnings"`           // what verifies, and may yet be disputed
	Around       []Event               `json:"-"`                  // what the bundle has of people, keys, the store and the log, in the order of recording
	foreign      bool                  // bytes were given that are of no item of the incident
	people       map[custody.PrincipalID]custody.Enrolment
	service      custody.PrincipalID
}

// Item is what a verification found of one item.
type Item struct {
	Evidence      custody.EvidenceID   `json:"evidence"`
	Exhibit       string               `json:"exhibit"`
	Name          string               `json:"name"`
	Type          string               `json:"type"`
	State         string               `json:"state"`                 // one of the three in incident.go; of an exhibit's bundle always sealed
	Artifact      *custody.Artifact    `json:"artifact"`              // as sealed
	Acquisition   *custody.Acquisition `json:"acquisition"`           // as its collector told it
	AsReceived    []string             `json:"asReceived,omitempty"`  // the artifact's digests that its collector took from the service
	Labels        []custody.Label      `json:"labels"`                // other digests, as compared at intake
	ArtifactState string               `json:"artifactState"`         // one of the three below
	Excerpts      []Excerpt            `json:"excerpts,omitempty"`    // stretches of it that are in the bundle, as sealed; in order
	Confirmed     bool                 `json:"confirmed"`             // the service read the bytes back and found the sealed digest
	Damaged       bool                 `json:"damaged"`               // the service's last check found other bytes, or none
	KeysLost      string               `json:"keysLost,omitempty"`    // damaged, since the service has lost the keys of the incident: how
	Destroyed     bool                 `json:"destroyed"`             // the bytes were, by order of two people; the records are what is left
	Destruction   *Destruction         `json:"destruction,omitempty"` // by whose order, and how; of what is destroyed
	Store         *custody.ProveStore  `json:"store"`                 // what the store was proven to do when the item was sealed; null when nothing is on record
}

// What is known of the artifact's bytes.
const (
	ArtifactMatches = "matches"      // they are the bytes that were sealed
	ArtifactOther   = "differs"      // they are not
	ArtifactAbsent  = "not supplied" // nobody gave them
)

// Event is one record of the item's history.
type Event struct {
	Stream    custody.Stream      `json:"stream"`
	Sequence  uint64              `json:"sequence"`          // in its stream
	Index     uint64              `json:"index"`             // in the log
	Exhibit   string              `json:"exhibit,omitempty"` // number of the item whose stream it is
	Label     string              `json:"label,omitempty"`   // by which people of the incident name it, F-3; empty where the records here do not show it
	Time      custody.Time        `json:"time"`              // of the act, by its signer's clock
	Recorded  custody.Time        `json:"recorded"`
	Actor     custody.PrincipalID `json:"actor"`
	Name      string              `json:"name"` // of the actor, as enrolled
	Kind      custody.Kind        `json:"kind"`
	Purpose   string              `json:"purpose"`
	Permitted bool                `json:"permitted"`
	Reason    string              `json:"reason,omitempty"` // of a refusal
	Detail    string              `json:"detail"`
	About     []About             `json:"about,omitempty"`   // the records that it names, in the order in which it names them
	Undone    *About              `json:"undone,omitempty"`  // the last record that corrects it or takes it back; nil where none is here
	Stamped   *Existence          `json:"stamped,omitempty"` // by when it existed, as an authority says that the trust file names
	Signature string              `json:"signature"`         // algorithm of the key that signed; empty when that could not be verified
	Statement *custody.Statement  `json:"-"`                 // what was said
}

// About is a record of the same history that a statement names by its digest: the
// finding that is reviewed, the proposal that is signed.
type About struct {
	Stream   custody.Stream `json:"stream"`
	Sequence uint64         `json:"sequence"`
	Index    uint64         `json:"index"`
	Detail   string         `json:"detail"` // as of its event
}

// aboutLength is how many characters of another record's detail are repeated.
const aboutLength = 120

// String says it in a line.
func (a About) String() string {
	text := []rune(a.Detail)
	if len(text) > aboutLength {
		text = append(text[:aboutLength:aboutLength], '…')
	}
	return strings.TrimSuffix(fmt.Sprintf("record %s:%d, leaf %d: %s", a.Stream, a.Sequence, a.Index, string(text)), ": ")
}

// Problem is one thing that is wrong, and in which member.
type Problem struct {
	Where string `json:"where"`
	What  string `json:"what"`
}

func (c *check) timeline(s *stream) {
	labels := s.labels()
	for e := range s.told() {
		who := c.verdict.people[e.statement.Actor]
		c.verdict.Timeline = append(c.verdict.Timeline, Event{
			Stream: s.head.Stream, Sequence: e.record.Sequence, Index: e.index, Label: labels[e], Time: e.statement.Time, Recorded: e.record.Recorded,
			Actor: e.statement.Actor, Name: who.Name, Kind: e.statement.Kind, Purpose: e.statement.Purpose,
			Permitted: e.record.Decision.Permit, Reason: e.record.Decision.Reason, Detail: detail(e.statement.Act), Signature: e.algorithm, Statement: e.statement,
		})
	}
}

// labels returns the labels of a stream's records, as far as they can be counted: from
// the first on, up to one that is not told, which could have been of any letter. Of a
// stream that is not whole nobody knows how many came before.
func (s *stream) labels() map[*entry]string {
	of := map[*entry]string{}
	if !s.whole() {
		return of
	}
	count := custody.Letters{}
	for _, e := range s.records {
		if e.record == nil {
			break
		}
		if act, ok := e.statement.Act.(custody.Lettered); ok && e.record.Decision.Permit {
			of[e] = count.Next(act)
		}
	}
	return of
}

// refers says of the acts of an incident which other records here they name.
// Without it nobody could tell which finding was reviewed, or which of two proposals
// was signed: labels such as F-1 are no part of a statement, and behind a record that is
// not told there are none. And of what was corrected or taken back it says so where it
// stands: nobody has to read on to find that out.
func (c *check) refers() {
	named := make(map[string]*Event, len(c.verdict.Timeline))
	for n := range c.verdict.Timeline {
		e := &c.verdict.Timeline[n]
		named[e.Statement.Payload.String()] = e
	}
	for n := range c.verdict.Timeline {
		e := &c.verdict.Timeline[n]
		if _, of := e.Statement.Act.(teller); !of {
			continue
		}
		said, err := json.Marshal(e.Statement.Act)
		if err != nil {
			c.problem(string(e.Stream), err)
			continue
		}
		for d := json.NewDecoder(bytes.NewReader(said)); ; {
			token, err := d.Token()
			if err != nil {
				break // its end: it was made above
			}
			text, _ := token.(string)
			if o := named[text]; o != nil {
				e.About = append(e.About, o.about())
			}
		}
		if !e.Permitted {
			continue
		}
		var members map[string]any // not what people list: they can write any word before a name
		if err := json.Unmarshal(said, &members); err != nil {
			c.problem(string(e.Stream), err)
			continue
		}
		for _, m := range []string{"replaces", takesBack[e.Kind]} {
			id, _ := members[m].(string)
			if o := named[id]; o != nil {
				by := e.about()
				o.Undone = &by
			}
		}
	}
}

// takesBack are the kinds of statement by which what they name stands no more, and in
// which member they name it. What corrects something names it in "replaces".
var takesBack = map[custody.Kind]string{
	"emergency.withdraw": "proposal", "finding.withdraw": "finding", "incident.withdraw-clearance": "clearance", "mitigation.drop": "measure",
}

// about is the record as others name it.
func (e *Event) about() About {
	return About{Stream: e.Stream, Sequence: e.Sequence, Index: e.Index, Detail: e.Detail}
}

// teller is an act of another package that says of itself what a history tells.
type teller interface{ Detail() string }

func detail(act custody.Act) string {
	switch a := act.(type) {
	case teller:
		return a.Detail()
	case *custody.BeginEvidence:
		return fmt.Sprintf("exhibit %s, %s, %s", a.Exhibit, a.Type, a.Name.Display)
	case *custody.SealEvidence:
		text := fmt.Sprintf("%d bytes, SHA-256 %s", a.Artifact.Size, a.Artifact.SHA256.Hex())
		if scene, err := a.Collected(); err == nil && scene != nil {
			text += fmt.Sprintf("; signed at the scene by %s at %s", scene.Actor, scene.Time)
		}
		if said := custody.AsReceivedText(a.AsReceived); said != "" {
			text += "; " + said
		}
		return text
	case *custody.CheckEvidence:
		if a.Intact {
			return "read back from the store: the sealed bytes"
		}
		return "read back from the store: NOT the sealed bytes"
	case *custody.RetrieveEvidence:
		if a.Length == 0 && a.Offset == 0 {
			return "all bytes"
		}
		if a.Length == 0 {
			return fmt.Sprintf("all bytes from byte %d on", a.Offset)
		}
		return fmt.Sprintf("%d bytes from byte %d on", a.Length, a.Offset)
	case *custody.ReleaseEvidence:
		return fmt.Sprintf("%s, %d bytes handed over", a.Outcome, a.Sent)
	case *custody.ReceiveEvidence:
		return fmt.Sprintf("%d bytes arrived, SHA-256 %s", a.Size, a.SHA256.Hex())
	case *custody.ReportEvidence:
		return fmt.Sprintf("%s, %d bytes, SHA-256 %s", a.Paper, a.Size, a.SHA256.Hex())
	case *custody.ReportIncident:
		return fmt.Sprintf("%s, %d bytes, SHA-256 %s", a.Paper, a.Size, a.SHA256.Hex())
	case *custody.HoldEvidence:
		return "by authority of " + a.Authority
	case *custody.LiftHold:
		return "by authority of " + a.Authority + seconded(a.Seconds)
	case *custody.DisposeEvidence:
		return "the bytes, not the records" + seconded(a.Seconds)
	case *custody.DisposedEvidence:
		return fmt.Sprintf("%s; SHA-256 %s", a.Method, a.SHA256.Hex())
	case *custody.EraseRecord:
		return fmt.Sprintf("record %d of %s, by authority of %s", a.Sequence, a.Stream, a.Authority) + seconded(a.Seconds)
	case *custody.ErasedRecord:
		return fmt.Sprintf("record %d of %s: %s", a.Sequence, a.Stream, a.Method)
	case *custody.ShredIncident:
		return "with them the bytes of all its items, not the records" + seconded(a.Seconds)
	case *custody.ShreddedEvidence:
		return fmt.Sprintf("%s; SHA-256 %s", a.Method, a.SHA256.Hex())
	case *custody.ShreddedIncident:
		return fmt.Sprintf("%s; with them the bytes of %s", a.Method, plural(int(a.Items), "item", "items"))
	case *custody.WithdrawEvidence:
		return string(a.Evidence)
	case *custody.LoseKeys:
		return "they are " + a.State
	}
	return ""
}

// seconded says whether a motion is carried with this statement.
func seconded(first custody.Digest) string {
	if first.IsZero() {
		return "; without effect until another person says the same"
	}
	return "; the second of two people to say so"
}

// What says what happened, in the words of a person, and by which label it goes.
func (e Event) What() string {
	words := map[custody.Kind]string{
		custody.KindBeginEvidence:    "announced the item",
		custody.KindSealEvidence:     "sealed the item",
		custody.KindCheckEvidence:    "checked the item",
		custody.KindRetrieveEvidence: "retrieved the item",
		custody.KindReleaseEvidence:  "released bytes",
		custody.KindReceiveEvidence:  "confirmed what arrived",
		custody.KindExportEvidence:   "took the item's records out",
		custody.KindReportEvidence:   "issued a paper about the item",
		custody.KindReportIncident:   "issued a paper about the incident and all its items",
		custody.KindExportIncident:   "took the records of the incident and all its items out",
		custody.KindWithdrawEvidence: "withdrew an item that was announced",
		custody.KindShreddedIncident: "DESTROYED the keys of the incident, and with them the bytes of its items",
		kindOpenIncident:             "opened the incident",
		custody.KindVerifyEvidence:   "asked for a check of the item",
		custody.KindHoldEvidence:     "put the item on legal hold",
		custody.KindLiftHold:         "moved to lift a legal hold",
		custody.KindDisposeEvidence:  "ordered the item destroyed",
		custody.KindDisposedEvidence: "DESTROYED the item's bytes",
		custody.KindEraseRecord:      "ordered a record erased",
		custody.KindErasedRecord:     "ERASED a record",
		custody.KindShredIncident:    "ordered the keys of the item's incident destroyed",
		custody.KindShreddedEvidence: "DESTROYED the keys of the item's incident, and with them its bytes",
		custody.KindLoseKeys:         "could NOT READ the item: the keys of its incident are lost",
	}
	what := words[e.Kind]
	if what == "" {
		what = deeds[e.Kind]
	}
	if what == "" {
		what = string(e.Kind)
	}
	if !e.Permitted {
		return "was REFUSED: " + string(e.Kind)
	}
	if e.Label != "" {
		what += " (" + e.Label + ")"
	}
	return what
}

// oneLine is a text in which somebody else than this program may have a say (names of
// members, subjects of certificates, reasons), as it stands in a line: it cannot
// begin another one, nor steer a terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r) {
			return r
		}
		return '\uFFFD'
	}, strings.ReplaceAll(s, "\n", " "))
}

// recordedLate is after how long the time of recording is printed beside that
// of the act.
const recordedLate = 10 * time.Second

// Write prints the verdict for people.
func (v *Verdict) Write(w io.Writer) error {
	var b strings.Builder
	if v.Verified {
		b.WriteString("VERIFIED\n\n")
	} else {
		b.WriteString("NOT VERIFIED\n\n")
		for _, p := range v.Problems {
			fmt.Fprintf(&b, "  %s: %s\n", p.Where, p.What)
		}
		if !v.onlyArtifactDiffers() {
			b.WriteString("\nNothing that this bundle says may be relied upon.\n")
			_, err := io.WriteString(w, b.String())
			return err
		}
		b.WriteString("\nThe records below verify. The bytes that came with them are NOT the artifact that was sealed.\n\n")
	}
	if v.Scope == ScopeIncident {
		b.WriteString(v.incidentText() + "\n")
	}
	for _, i := range v.byExhibit() {
		hidden := slices.ContainsFunc(v.Withheld, func(w Withheld) bool { return w.Stream == i.Evidence.Stream() })
		b.WriteString(i.text(v.Incident, v.Scope, hidden))
	}
	b.WriteString("\n" + v.checked() + "\n")
	b.WriteString(v.withheldText())
	for _, e := range v.Erased {
		fmt.Fprintf(&b, "  ERASED      %s\n", e)
	}
	for _, w := range v.Warnings {
		fmt.Fprintf(&b, "  DISPUTABLE  %s: %s\n", w.Where, w.What)
	}
	for _, e := range v.Timeline {
		about := ""
		if v.Scope == ScopeIncident && e.Exhibit != "" {
			about = ": " + e.Exhibit
		}
		fmt.Fprintf(&b, "  %s  %s (%s) %s%s\n", e.Time, e.Name, e.Actor, e.What(), about)
		if !e.Permitted {
			fmt.Fprintf(&b, "                               because: %s\n", oneLine(e.Reason))
		}
		if e.Recorded > e.Time.Add(recordedLate) {
			fmt.Fprintf(&b, "                               recorded at %s\n", e.Recorded)
		}
		fmt.Fprintf(&b, "                               record %s:%d, leaf %d\n", e.Stream, e.Sequence, e.Index)
		if e.Stamped != nil {
			fmt.Fprintf(&b, "                               %s\n", e.Stamped)
		}
		if e.Detail != "" {
			fmt.Fprintf(&b, "                               %s\n", e.Detail)
		}
		for _, o := range e.About {
			fmt.Fprintf(&b, "                               about %s\n", o)
		}
		if e.Undone != nil {
			fmt.Fprintf(&b, "                               CORRECTED OR TAKEN BACK by %s\n", e.Undone)
		}
		if e.Purpose != "" {
			fmt.Fprintf(&b, "                               purpose: %s\n", e.Purpose)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// ThingText is told of an item that is a thing, in place of its digests and of where it
// is kept: they would be those of nothing.
const ThingText = "none: it is a thing, and of a thing the service keeps nothing but what is said of it"

// Thing says whether the item is a thing and has no bytes.
func (i *Item) Thing() bool { return i.Type == custody.TypePhysical }

// byExhibit returns the items in order of their exhibit numbers.
func (v *Verdict) byExhibit() []*Item {
	return slices.SortedStableFunc(slices.Values(v.Items), func(a, b *Item) int { return custody.CompareExhibits(a.Exhibit, b.Exhibit) })
}

// ByItem returns the events of each item, the one that announced it among them, in the
// order of recording: one look at all of them, however many items there are.
func (v *Verdict) ByItem() map[custody.EvidenceID][]Event {
	of := map[custody.EvidenceID][]Event{}
	for _, e := range v.Timeline {
		switch {
		case e.Stream.Kind() == "evidence":
			id := custody.EvidenceID(e.Stream.ID())
			of[id] = append(of[id], e)
		case e.Kind == custody.KindBeginEvidence:
			id := custody.NewEvidenceID(e.Statement.Payload)
			of[id] = append(of[id], e)
		}
	}
	return of
}

// text says what was found of an item, for people.
func (i *Item) text(incident custody.IncidentID, scope Scope, hidden bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Exhibit     %s (%s, incident %s)\n", i.Exhibit, i.Evidence, incident)
	fmt.Fprintf(&b, "Item        %s: %s\n", i.Type, i.Name)
	switch i.State {
	case StateAnnounced:
		b.WriteString("            announced, and not sealed: it is no evidence\n")
	case StateWithdrawn:
		b.WriteString("            announced, and withdrawn: it is no evidence\n")
	}
	if i.Thing() && i.Artifact != nil {
		b.WriteString("Artifact    " + ThingText + "\n")
	} else if i.Artifact != nil {
		fmt.Fprintf(&b, "Artifact    %d bytes, SHA-256 %s\n", i.Artifact.Size, i.Artifact.SHA256.Hex())
		fmt.Fprintf(&b, "            its bytes: %s\n", i.bytesText(scope))
		b.WriteString(i.excerptsText())
	}
	if text := custody.AsReceivedText(i.AsReceived); text != "" {
		fmt.Fprintf(&b, "            NOTE: %s\n", text)
	}
	for _, l := range i.Labels {
		fmt.Fprintf(&b, "            %s\n", l)
	}
	switch {
	case i.Confirmed && !i.Damaged && hidden:
		b.WriteString("            the service has read them back from its store and found them right; what LATER CHECKS found may be among what is WITHHELD\n")
	case i.Confirmed && !i.Damaged:
		b.WriteString("            the service has read them back from its store and found them right\n")
	}
	if i.Store != nil && !i.Thing() {
		fmt.Fprintf(&b, "            kept in %s\n", i.Store)
	}
	if i.Destruction != nil {
		b.WriteString("            " + i.Destruction.String() + "\n")
	}
	switch {
	case i.KeysLost != "":
		fmt.Fprintf(&b, "            WARNING: the service has lost the keys of the incident (%s): nobody can read its stored copy (see below)\n", i.KeysLost)
	case i.Damaged:
		b.WriteString("            WARNING: the service has found that its stored copy is no longer what was sealed (see below)\n")
	}
	if i.Acquisition != nil {
		for n, line := range i.Acquisition.Describe() {
			label := ""
			if n == 0 {
				label = "Taken from"
			}
			fmt.Fprintf(&b, "%-11s %s\n", label, line)
		}
	}
	return b.String()
}

// main says whether a stream is one whose history the verdict tells: the item's, or
// the incident's and those of all its items. A bundle may hold another item's too, of
// which nothing is told.
func (v *Verdict) main(s custody.Stream) bool {
	if s.Kind() != "evidence" {
		return v.Scope == ScopeIncident && s == v.Incident.Stream()
	}
	_, ok := slices.BinarySearchFunc(v.Items, s.ID(), func(i *Item, id string) int { return strings.Compare(string(i.Evidence), id) })
	return ok
}

func (v *Verdict) completeness() string {
	n, withheld, announced := 0, 0, true
	for _, e := range v.Timeline {
		if v.main(e.Stream) {
			n++
		}
	}
	for _, e := range v.Erased {
		if v.main(e.Stream) {
			n++
		}
	}
	for _, e := range v.Withheld {
		if v.main(e.Stream) {
			withheld++
		}
		announced = announced && e.Stream != v.Incident.Stream()
	}
	records, others, once := fmt.Sprintf("these %d records of the item", n+withheld), "the one that announced it", ""
	if v.Scope == ScopeIncident {
		records, others = fmt.Sprintf("these %d records of the incident and its items", n+withheld), "the one that opened it"
		switch {
		case !announced: // of what is not disclosed there are other histories
			records = fmt.Sprintf("these %d records of the incident and of the items above", n+withheld)
		case v.Complete:
			once = "\n            The incident announced each of these items once, and no others"
		default:
			once = "\n            In these records the incident announced each of these items once, and no others"
		}
	}
	if withheld > 0 {
		records += fmt.Sprintf(", %d of them withheld,", withheld)
	}
	if v.Complete {
		return fmt.Sprintf("complete as of tree size %d%s: %s and %s, and no others;\n"+
			"            nor is there a second history of it in this log.%s\n"+
			"            Attempts of people who may not even know of the item stand in their own histories", v.Size, v.asOf(), records, others, once)
	}
	return fmt.Sprintf("unbroken through %s and %s; later ones are not excluded\n"+
		"            (the bundle has no leaves)%s", records, others, once)
}

// sinceText says what the public log has, for people.
func (v *Verdict) sinceText() string {
	var b strings.Builder
	var others []string
	s := v.Since
	fmt.Fprintf(&b, "Public log  read whole, %d records; quorum of witnesses: %s\n", s.Size, s.Quorum)
	for _, l := range s.Streams {
		of := "the item"
		switch {
		case v.Scope == ScopeIncident && l.Stream == v.Incident.Stream():
			of = "the incident"
		case v.Scope == ScopeIncident:
			of = l.Stream.ID()
		}
		switch {
		case v.main(l.Stream) && l.Later == 0:
			fmt.Fprintf(&b, "            exactly %d records of %s exist as of size %d: those of this bundle\n", l.Records, of, s.Size)
		case v.main(l.Stream):
			fmt.Fprintf(&b, "            exactly %d records of %s exist as of size %d; of these came later, and ARE NOT IN THIS BUNDLE: %d. Ask for a newer one\n", l.Records+l.Later, of, s.Size, l.Later)
		case l.Later > 0:
			others = append(others, fmt.Sprintf("%s (%d)", l.Stream, l.Later))
		}
	}
	if len(others) > 0 {
		fmt.Fprintf(&b, "            later records of others too: %s\n", strings.Join(others, ", "))
	}
	return b.String()
}

// onlyArtifactDiffers says whether nothing is wrong but the artifact's bytes.
func (v *Verdict) onlyArtifactDiffers() bool {
	return len(v.Problems) == 1 && v.Problems[0].Where == artifactName && (v.foreign || v.only() != nil && v.only().ArtifactState == ArtifactOther)
}

// only returns the item of a bundle that has one; else nil.
func (v *Verdict) only() *Item {
	if len(v.Items) != 1 {
		return nil
	}
	return v.Items[0]
}

// bytesText is artifactText for a bundle of this scope.
func (i *Item) bytesText(scope Scope) string {
	switch absent := scope == ScopeIncident && i.ArtifactState == ArtifactAbsent; {
	case absent && i.Destroyed:
		return "destroyed here; of a copy that somebody has compare the SHA-256 with sha256sum"
	case absent:
		return "not in the bundle of an incident; compare the SHA-256 with sha256sum, or give the file with --artifact"
	}
	return i.artifactText()
}

func (i *Item) artifactText() string {
	switch i.ArtifactState {
	case ArtifactMatches:
		return "supplied, and bit for bit what was sealed"
	case ArtifactOther:
		return "supplied, and NOT what was sealed"
	default:
		if i.Destroyed {
			return "destroyed here; a copy that somebody has is held against the SHA-256 with --artifact"
		}
		return "not supplied; compare the SHA-256 with sha256sum, or give the file with --artifact"
	}
}
