package paper

import (
	"fmt"
	"slices"
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
)

// concerns says in sentences what somebody may object to, though everything
// verifies: what the verdict warns of, gaps in the custody, and what nobody did
// that one would expect.
func (p *Proof) concerns() (list []string) {
	v := p.Verdict
	for _, w := range v.Warnings {
		list = append(list, w.Where+" "+w.What+".")
	}
	for _, e := range v.Erased {
		list = append(list, "Erased: "+e.String()+".")
	}
	for _, s := range v.Undisclosed() {
		list = append(list, s+".")
	}
	if !v.Complete {
		list = append(list, "The bundle has no leaves of the log: that no later record exists cannot be told from it.")
	}
	if v.Quorum != custody.QuorumMet {
		list = append(list, "No quorum of outside witnesses was asked for or met: that nobody was shown another log rests on who keeps earlier heads of it.")
	}
	list = append(list, p.times()...)
	for _, h := range p.items() {
		for _, c := range h.concerns() {
			if len(v.Items) > 1 {
				c = h.about.Exhibit + ": " + c
			}
			list = append(list, c)
		}
	}
	return list
}

// times says of which records nobody but the service says when they were made.
func (p *Proof) times() (list []string) {
	v := p.Verdict
	switch {
	case !slices.ContainsFunc(v.Stamps, func(s bundle.StampFound) bool { return s.Verified }):
		return []string{"The bundle has no time stamp by an authority of the trust file: when a record was made, its signer and the service say."}
	case !slices.ContainsFunc(v.Stamps, func(s bundle.StampFound) bool { return s.Verified && s.Kind != custody.LocalAuthority }):
		list = append(list, "The bundle has no time stamp but of the operator's own clock: when a record was made, its signer and the service say.")
	}
	for _, g := range v.Gaps {
		when := "have no time stamp in it"
		if g.To != 0 {
			when = "have their first time stamp in it at " + utc(g.To)
		}
		list = append(list, fmt.Sprintf("%s of the bundle, recorded from %s on as the service says, %s.", plural(g.Records, "record"), utc(g.From), when))
	}
	return list
}

// concerns says what of it is about one item.
func (h *history) concerns() (list []string) {
	i := h.about
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	switch {
	case i.KeysLost != "":
		say("The service has lost the keys of the incident (%s): nobody can read its stored copy.", i.KeysLost)
	case i.Damaged:
		say("The service's last check found that its stored copy is not what was sealed.")
	default:
		if at, damaged := h.foundDamaged(); damaged {
			say("A check found at %s that its stored copy was not what was sealed; what is stored now was found right later.", utc(at))
		}
	}
	if i.Destroyed {
		say("Its stored bytes are destroyed: a copy can be held against the digests on record, and against nothing else.")
	}
	if text := custody.AsReceivedText(i.AsReceived); text != "" {
		say("%s.", capital(text))
		if len(i.Excerpts) > 0 {
			say("That the excerpts in the bundle are as sealed stands upon the root, which is the word of the service.")
		}
	}
	for _, l := range i.Labels {
		if !l.Matches() {
			say("%s.", l.String())
		}
	}
	if i.Acquisition != nil {
		for _, c := range i.Acquisition.Concerns() {
			say("%s.", capital(c))
		}
		say("%s", h.beforeTheSeal())
	}
	if i.Thing() {
		say("It is a thing: who had it since the seal, and where, the records do not tell.")
		return list
	}
	if i.Artifact != nil && (i.Store == nil || !i.Store.Lock) {
		say("When it was sealed, the store was not proven to keep anybody from deleting it: deletion is found out, and not prevented.")
	}
	if !i.Confirmed && i.Artifact != nil {
		say("No record here says that the service read the stored bytes back since the seal.")
	}
	return append(list, h.transfers()...)
}

// beforeTheSeal is the time of which the log knows nothing.
func (h *history) beforeTheSeal() string {
	at, err := time.Parse(time.RFC3339, h.about.Acquisition.CollectedAt)
	if err != nil {
		return "When it was taken is not recorded."
	}
	gap := h.sealed.Recorded.Time().Sub(at)
	text := fmt.Sprintf("Between taking it (%s) and the seal (%s) lie %s, of which the log knows only what the seal says.", h.about.Acquisition.CollectedAt, utc(h.sealed.Recorded), duration(gap))
	if h.scene != nil {
		text += fmt.Sprintf(" The bytes were signed for at %s by the clock of the signer, and are the same.", utc(h.scene.Time))
	}
	return text
}

// transfers says what is open about bytes that were handed out.
func (h *history) transfers() (list []string) {
	released, received := map[custody.Digest]bool{}, map[custody.Digest]bool{}
	for _, e := range h.events {
		if !e.Permitted {
			continue
		}
		switch act := e.Statement.Act.(type) {
		case *custody.ReleaseEvidence:
			released[act.Grant] = true
		case *custody.ReceiveEvidence:
			received[act.Grant] = true
		}
	}
	for _, e := range h.events {
		if !e.Permitted {
			continue
		}
		switch act := e.Statement.Act.(type) {
		case *custody.RetrieveEvidence:
			if !released[e.Statement.Payload] {
				list = append(list, fmt.Sprintf("What became of the retrieval by %s of %s is not on record here.", e.Name, utc(e.Time)))
			}
		case *custody.ReleaseEvidence:
			g, known := h.grant(act.Grant)
			who := "somebody"
			if known {
				who = g.Name
			}
			switch {
			case act.Outcome == custody.ReleaseUnknown:
				list = append(list, fmt.Sprintf("How much of the item %s was given at %s is not known: at most what was granted.", who, utc(e.Recorded)))
			case act.Sent > 0 && !received[act.Grant]:
				list = append(list, fmt.Sprintf("%s was handed %s at %s and has not confirmed on record here what arrived.", who, plural(int(act.Sent), "byte"), utc(e.Recorded)))
			}
		}
	}
	return list
}

// capital begins a sentence.
func capital(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}
