package paper

import (
	"fmt"
	"strings"

	"github.com/forensic-custody/custody/custody"
)

// mostAlarms is of how many items a box on page 1 tells what is wrong. Of the others
// it gives the number.
const mostAlarms = 4

// alarm is what must not be overlooked by who reads the first page only: what is
// withheld, erased, damaged and destroyed. It is empty where there is nothing.
func (p *Proof) alarm() string {
	v := p.Verdict
	var list []string
	if n := len(v.Withheld); n > 0 {
		say := "what they say"
		if n == 1 {
			say = "what it says"
		}
		list = append(list, fmt.Sprintf("%s of the bundle WITHHELD: %s is not told here.", plural(n, "record"), say))
	}
	if n := len(v.Erased); n > 0 {
		list = append(list, fmt.Sprintf("%s ERASED by order: what was said is not known.", plural(n, "record")))
	}
	shown, more := 0, 0
	for _, h := range p.items() {
		of := h.alarms()
		switch {
		case len(of) == 0:
		case shown == mostAlarms:
			more++
		default:
			shown++
			list = append(list, "Exhibit "+h.about.Exhibit+": "+strings.Join(of, " "))
		}
	}
	if more > 0 {
		list = append(list, fmt.Sprintf("And %s: see the parts about them.", plural(more, "more exhibit")))
	}
	return strings.Join(list, " ")
}

// alarms says what is wrong with one item.
func (h *history) alarms() (list []string) {
	i := h.about
	if i.Destruction != nil {
		list = append(list, capital(i.Destruction.String())+".")
	} else if i.Destroyed {
		list = append(list, "DESTROYED by order, which is not disclosed.")
	}
	found, damaged := h.foundDamaged()
	switch {
	case i.KeysLost != "":
		list = append(list, fmt.Sprintf("The service has LOST THE KEYS of the incident (%s): nobody can read its stored copy.", i.KeysLost))
	case i.Damaged && damaged:
		list = append(list, fmt.Sprintf("DAMAGED: the service's last check, of %s, found that its stored copy is not what was sealed.", utc(found)))
	case i.Damaged:
		list = append(list, "DAMAGED: the service has found that its stored copy is not what was sealed.")
	case damaged:
		list = append(list, fmt.Sprintf("The stored copy was found DAMAGED at %s; what is stored now was found right later.", utc(found)))
	}
	return list
}

// foundDamaged says when a check last found that what is stored was not what was
// sealed, and whether one did.
func (h *history) foundDamaged() (at custody.Time, found bool) {
	for _, e := range h.events {
		if act, ok := e.Statement.Act.(*custody.CheckEvidence); ok && e.Permitted && !act.Intact {
			at, found = e.Recorded, true
		}
	}
	return at, found
}
