package paper

import (
	"fmt"
	"strings"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
)

// Certificate14 drafts a certificate of data copied from a device, medium or file,
// under FRE 902(14): per item what it was taken from, and the digest of original
// and copy: algorithm, value, who computed it, when and with what. What the records
// do not say is a blank.
func (p *Proof) Certificate14() *Document {
	d := p.new("Certificate of copied data (draft), FRE 902(14): "+p.subject(), true)
	d.add(p.caption())
	d.add(certifier("the process of digital identification described below"))
	for n, h := range p.items() {
		d.add(h.copied(n + 3))
	}
	d.add(p.identification(len(p.Verdict.Items) + 3))
	d.add(p.attachments(len(p.Verdict.Items) + 4))
	d.add(signature())
	d.add(notice())
	return d
}

// Certificate13 drafts a certificate of records that a system generated, under FRE
// 902(13): what the system is, and what of the period shows that its results are
// accurate, record by record.
func (p *Proof) Certificate13() *Document {
	d := p.new("Certificate of system-generated records (draft), FRE 902(13): "+p.subject(), true)
	d.add(p.caption())
	d.add(certifier("the system described below, and how it was operated in the period"))
	d.add(p.system())
	d.add(p.accuracy())
	d.add(p.limits())
	d.add(p.attachments(6))
	d.add(signature())
	d.add(notice())
	return d
}

// caption begins a certificate, with what its reader must not overlook.
func (p *Proof) caption() (part Part) {
	if alarm := p.alarm(); alarm != "" {
		part.strong("READ THIS FIRST. " + alarm + " Nothing is to be certified that this contradicts.")
	}
	part.text("For a qualified person to complete, correct and sign. A line is a blank to fill in: the records do not say it. Strike out what the person cannot certify from his own knowledge or from records that he may rely on.")
	part.blanks("Court, parties and docket number:")
	return part
}

func certifier(of string) (part Part) {
	part.Title = "1–2  Who certifies"
	part.blanks(
		"1. My name, occupation, employer and address:",
		"2. I am qualified to certify "+of+" because (training, experience, role; how I know what follows):",
	)
	return part
}

// copied drafts what is to be certified of one item.
func (h *history) copied(number int) (part Part) {
	i, q := h.about, h.about.Acquisition
	part.Title = fmt.Sprintf("%d  Exhibit %s", number, i.Exhibit)
	if h.seal == nil || q == nil {
		part.text("The item is not sealed: nothing is on record.")
		return part
	}
	if i.Thing() {
		part.text("It is a thing and no data: no digest of it is on record, and there is no copy to certify.")
		return part
	}
	if list := h.alarms(); len(list) > 0 {
		part.strong(strings.Join(list, " "))
	}
	part.facts(
		Fact{Label: "Source", Value: q.Source.String()},
		Fact{Label: "Taken", Value: fmt.Sprintf("on %s, at %s, by %s", q.CollectedAt, q.Place, h.taker())},
		Fact{Label: "Method, tool", Value: q.Method + "; " + h.tool()},
		Fact{Label: "Write blocker", Value: given(q.WriteBlock)},
		Fact{Label: "Could not be read", Value: h.unread()},
		Fact{Label: "Item", Value: i.Type + ": " + i.Name + ", " + plural(int(i.Artifact.Size), "byte") + " (" + string(i.Evidence) + ")"},
	)
	part.table(h.digests())
	if h.asReceived() {
		part.text("The records do not show that anybody but the service measured the original: the collector signed for the bytes of which the service said that it had received them.")
	}
	part.blanks(
		"When and with what program (name, version) the digest of the original was computed at the source, if not as above:",
		"How the copy that is offered in evidence was compared with it (who, when, with what; SHA-256 measured):",
	)
	return part
}

func (h *history) asReceived() bool {
	for _, d := range h.seal.AsReceived {
		if d == custody.DigestSHA256 {
			return true
		}
	}
	return false
}

// digests lists who measured the item's bytes, when and with what, in the order of
// recording. Only what a record says stands in it.
func (h *history) digests() *Table {
	t := &Table{Caption: "Digests on record. The algorithm is SHA-256 (FIPS 180-4) unless it says otherwise.", Columns: []Column{{"Of what, when", 0.2}, {"By whom, with what", 0.25}, {"Value", 0.55}}}
	row := func(of string, at custody.Time, by, with, value, note string) {
		who := Cell{{Text: by}}
		if with != "" {
			who = append(who, Line{Text: with})
		}
		cell := Cell{{Text: value, Exact: true}}
		if note != "" {
			cell = append(cell, Line{Text: note})
		}
		t.Rows = append(t.Rows, []Cell{{{Text: of}, {Text: utc(at)}}, who, cell})
	}
	sealed := h.seal.Artifact.SHA256
	switch {
	case h.asReceived():
		row("Copy, as received", h.sealed.Time, h.proof.name(h.sealed.Actor), "took it from the service", sealed.Hex(), "sealed")
	case h.scene != nil:
		row("Original, at the scene", h.scene.Time, h.proof.name(h.scene.Actor), "program: "+notRecorded, sealed.Hex(), "signed for at the scene; the seal says the same")
	default:
		row("Original, as brought", h.sealed.Time, h.proof.name(h.sealed.Actor), "program: "+notRecorded, sealed.Hex(), "signed for in the seal")
	}
	for _, l := range h.about.Labels {
		row("Of the "+l.Over, h.sealed.Time, h.proof.name(h.sealed.Actor), "the collector's program", l.Measured, labelNote(l))
	}
	for _, e := range h.events {
		if e.Permitted {
			h.measured(e, row)
		}
	}
	return t
}

// measured adds what a record says of the digest of a copy.
func (h *history) measured(e bundle.Event, row func(of string, at custody.Time, by, with, value, note string)) {
	sealed := h.seal.Artifact
	switch act := e.Statement.Act.(type) {
	case *custody.CheckEvidence:
		switch {
		case act.SHA256.IsZero():
			row("Stored copy", e.Time, "the service", "", "none", "could NOT be read")
		case act.Intact:
			row("Stored copy", e.Time, "the service", "", act.SHA256.Hex(), "equal to the sealed digest")
		default:
			row("Stored copy", e.Time, "the service", "", act.SHA256.Hex(), "NOT the sealed digest")
		}
	case *custody.ReceiveEvidence:
		note := "a part of the item"
		if act.Size == sealed.Size {
			if note = "equal to the sealed digest"; act.SHA256 != sealed.SHA256 {
				note = "NOT the sealed digest"
			}
		}
		row("Copy handed out, "+plural(int(act.Size), "byte"), e.Time, e.Name, "program: "+notRecorded, act.SHA256.Hex(), note)
	}
}

func labelNote(l custody.Label) string {
	switch {
	case l.Stated == "":
		return l.Algorithm
	case l.Matches():
		return l.Algorithm + ", as the " + l.StatedBy + " states"
	}
	return l.Algorithm + ": NOT what the " + l.StatedBy + " states, " + l.Stated
}

func (p *Proof) identification(number int) (part Part) {
	part.Title = fmt.Sprintf("%d  The process of digital identification", number)
	part.text("A SHA-256 digest is a value of 256 bits that is computed from all bytes of a file. Two files with the same digest have the same bytes: nobody is known to have found two different files with one SHA-256 digest. Where two digests above are equal, the copy is bit for bit what was measured first; where one is missing or differs, this certificate does not say so.")
	part.blanks("What else identifies the copy, if anything:")
	return part
}

// system describes the logging system, by what the bundle shows of it.
func (p *Proof) system() (part Part) {
	v := p.Verdict
	part.Title = "3  The system"
	part.text("Custody is a program that keeps evidence and a record of every act upon it. What a person does is a statement, signed with a private key of that person. What the program decided about it, permitted or refused, is a record. Each record is committed to an append-only log: a Merkle tree (RFC 6962) whose head, a checkpoint of origin, size and root, the log signs. A record cannot be changed, left out or put elsewhere later without another root.")
	facts := []Fact{{Label: "Log", Value: v.Origin}, {Label: "As of", Value: fmt.Sprintf("size %d, root %s", v.Size, v.Root.Hex())}}
	for _, h := range p.items() {
		if s := h.about.Store; s != nil && !h.about.Thing() {
			facts = append(facts, Fact{Label: "Store, as proven", Value: h.about.Exhibit + " was sealed into " + s.String()})
		}
	}
	part.facts(facts...)
	part.blanks(
		"The machines and places where it ran, and who operated it:",
		"The version of the program in the period:",
	)
	return part
}

// accuracy shows from the records of the period why the system's results are
// accurate, and what there is that speaks against it.
func (p *Proof) accuracy() (part Part) {
	part.Title = "4  Why its results are accurate: what the records of the period show"
	from, to := p.period()
	part.list(
		fmt.Sprintf("Period: %s to %s, from the first to the newest record in the bundle.", utc(from), utc(to)),
		p.signatures(),
		p.completeness(),
		p.vouched(),
		p.stamped(),
	)
	for _, t := range []*Table{p.passes(), p.stores(), p.keys()} {
		if len(t.Rows) > 0 {
			part.table(t)
		} else {
			part.text(t.Caption + ": none on record in the bundle.")
		}
	}
	part.blanks("Tests of the system, monitoring of its log, and how its keys were kept in the period (who had them, where):")
	return part
}

// all are the records of the bundle, those of the items and the others.
func (p *Proof) all() []bundle.Event {
	return append(append([]bundle.Event{}, p.Verdict.Around...), p.Verdict.Timeline...)
}

func (p *Proof) period() (from, to custody.Time) {
	for n, e := range p.all() {
		if n == 0 || e.Recorded < from {
			from = e.Recorded
		}
		to = max(to, e.Recorded)
	}
	return from, to
}

func (p *Proof) signatures() string {
	keys := map[custody.KeyID]bool{}
	refused := 0
	all := p.all()
	for _, e := range all {
		keys[e.Statement.Signer] = true
		if !e.Permitted {
			refused++
		}
	}
	return fmt.Sprintf("%s disclosed in the bundle, with the signature of each verified; %s signed. Refusals among them: %d; what is refused is recorded as what is permitted is.",
		plural(len(all), "record"), plural(len(keys), "key"), refused)
}

func (p *Proof) completeness() string {
	v := p.Verdict
	if !v.Complete {
		return "Each record of the item follows the one before it. The bundle has no leaves of the log: that none came later cannot be told from it."
	}
	text := fmt.Sprintf("All %d leaves of the log were recomputed to its root: of the items there are these records, and no others, up to that size.", v.Size)
	if n := len(v.Withheld); n > 0 {
		text += fmt.Sprintf(" %s of the bundle withheld: they are in the log, and what they say is not known from it.", capital(plural(n, "record")))
	}
	return text
}

func (p *Proof) vouched() string {
	v := p.Verdict
	if len(v.Cosigned)+len(v.AlsoCosigned) == 0 {
		return "No outside witness cosigned this head of the log."
	}
	text := "Outside witnesses cosigned this head of the log: "
	for n, c := range append(append([]custody.Cosignature{}, v.Cosigned...), v.AlsoCosigned...) {
		if n > 0 {
			text += "; "
		}
		text += c.Name + ", " + utc(c.Time)
	}
	return text + ". Quorum of the trust file: " + string(v.Quorum) + "."
}

// stamped says what time-stamping authorities bear out.
func (p *Proof) stamped() string {
	var list []string
	for _, s := range p.Verdict.Stamps {
		if s.Verified {
			list = append(list, fmt.Sprintf("the log's first %d records existed by %s%s (%s, %s)", s.Size, utc(s.Time), s.GiveOrTake(), s.Authority, s.Kind))
		}
	}
	if len(list) == 0 {
		return "The bundle has no time stamp by an authority of the trust file."
	}
	return "Time stamps (RFC 3161) by authorities of the trust file: " + strings.Join(list, "; ") + "."
}

// passes are the readings of what is stored.
func (p *Proof) passes() *Table {
	t := &Table{Caption: "Readings of the stored bytes (fixity)", Columns: []Column{{"Log", 0.1}, {"When", 0.22}, {"Item", 0.2}, {"Result", 0.48}}}
	for _, h := range p.items() {
		for _, e := range h.events {
			if e.Kind == custody.KindCheckEvidence && e.Permitted {
				t.Rows = append(t.Rows, []Cell{line(fmt.Sprint(e.Index)), line(utc(e.Recorded)), line(h.about.Exhibit), line(e.Detail)})
			}
		}
	}
	return t
}

// stores are what the store was proven to do, in the order of recording.
func (p *Proof) stores() *Table {
	t := &Table{Caption: "What the store was proven to do, when the service tried it", Columns: []Column{{"Log", 0.1}, {"When", 0.22}, {"Result", 0.68}}}
	for _, e := range p.Verdict.Around {
		if act, ok := e.Statement.Act.(*custody.ProveStore); ok && e.Permitted {
			t.Rows = append(t.Rows, []Cell{line(fmt.Sprint(e.Index)), line(utc(e.Recorded)), line(act.String())})
		}
	}
	return t
}

// keys are the records about keys, people's rights and witnesses.
func (p *Proof) keys() *Table {
	t := &Table{Caption: "Keys, people, witnesses and clocks: what changed, and by whose word", Columns: []Column{{"Log", 0.1}, {"When", 0.22}, {"By", 0.26}, {"What", 0.42}}}
	about := map[custody.Kind]string{
		custody.KindGenesis:            "the log began; key of the service",
		custody.KindEnrolPrincipal:     "a person enrolled, with a key",
		custody.KindSuspendPrincipal:   "a person suspended",
		custody.KindReinstatePrincipal: "a person reinstated",
		custody.KindEnrolKey:           "a further key enrolled",
		custody.KindRevokeKey:          "a key revoked",
		custody.KindReplaceLogKey:      "a key of the log gave way to another",
		custody.KindAdoptWitnesses:     "witnesses moved or adopted (takes two)",
		custody.KindNoticeTime:         "a time-stamping authority was lost, is back, or disagrees about the time",
	}
	for _, e := range p.Verdict.Around {
		what, ok := about[e.Kind]
		if !ok || !e.Permitted {
			continue
		}
		cell := Cell{{Text: what}}
		switch act := e.Statement.Act.(type) {
		case *custody.EnrolPrincipal:
			cell = Cell{{Text: what + ": " + act.Name}}
		case *custody.SuspendPrincipal:
			cell = append(cell, Line{Text: string(act.Principal), Exact: true})
		case *custody.RevokeKey:
			cell = append(cell, Line{Text: act.Key.String(), Exact: true})
		case *custody.NoticeTime:
			cell = append(cell, Line{Text: act.String()})
		}
		by := e.Name
		if e.Actor == "" {
			by = "the new key itself"
		}
		t.Rows = append(t.Rows, []Cell{line(fmt.Sprint(e.Index)), line(utc(e.Recorded)), line(by), cell})
	}
	return t
}

// limits are what the records do not show: a certificate that hides them would be
// worth nothing.
func (p *Proof) limits() (part Part) {
	part.Title = "5  What the records do not show"
	list := []string{
		"That what a person signed was true. The records show that he signed it.",
		"That the decisions were right under the policy: this was not checked.",
		"That the clocks of signers and of the service were right, beyond what witnesses and time-stamping authorities saw.",
	}
	part.list(append(list, p.concerns()...)...)
	return part
}

func (p *Proof) attachments(number int) (part Part) {
	v := p.Verdict
	part.Title = fmt.Sprintf("%d  What this certificate was drafted from", number)
	part.facts(
		Fact{Label: "Bundle, SHA-256", Value: p.SHA256.Hex(), Exact: true},
		Fact{Label: "Trust file, fingerprint", Value: p.Trust.Hex(), Exact: true},
		Fact{Label: "Log", Value: fmt.Sprintf("%s, size %d", v.Origin, v.Size)},
		Fact{Label: "Root", Value: v.Root.Hex(), Exact: true},
		Fact{Label: "Verified with", Value: "custody bundle verify " + BundleName + " --trust trust.json"},
	)
	part.Blocks = append(part.Blocks, Block{Code: true})
	return part
}

func signature() (part Part) {
	part.Title = "Signature"
	part.text("Within the United States, its territories, possessions or commonwealths: I declare (or certify, verify, or state) under penalty of perjury that the foregoing is true and correct. Executed on the date below. (28 U.S.C. §1746(2))")
	part.text("Elsewhere: I declare (or certify, verify, or state) under penalty of perjury under the laws of the United States of America that the foregoing is true and correct. Executed on the date below. (28 U.S.C. §1746(1)) Strike out one of the two.")
	part.blanks("Date and place:", "Signature:", "Name in print:")
	return part
}

func notice() (part Part) {
	part.Title = "Record of notice (FRE 902(11))"
	part.text("Reasonable written notice of the intent to offer the record, and the record and this certificate made available for inspection, before trial or hearing. Not part of what is certified above.")
	part.blanks(
		"Notice given to (party, counsel):",
		"On (date), by (means), by whom:",
		"What was made available with it (this certificate, the bundle, the trust file, the artifact), when and where:",
	)
	return part
}
