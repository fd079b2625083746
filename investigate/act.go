package investigate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// On is the incident that an act is upon. Acts embed it, and have by it the
// subject of their statements: bundles tell by it where a record belongs.
type On struct {
	Incident custody.IncidentID `json:"incident"`
}

// NeedsPurpose implements custody.Act: whoever does something to an incident says
// why.
func (On) NeedsPurpose() bool { return true }

// Subject implements custody.Act.
func (o On) Subject() custody.Subject { return custody.Subject{Name: string(o.Incident)} }

// names refuses what is no incident, and whatever else an act's checks found.
func (o On) names(found ...error) error {
	_, err := custody.ParseIncidentID(string(o.Incident))
	return errors.Join(append([]error{err}, found...)...)
}

// upon folds the incident, and returns the outcome of a lawful act. After its
// closing an incident only takes in what onIncident is asked for.
func (o On) upon(v custody.View, s *custody.Statement) (*Incident, custody.Outcome, error) {
	i, out, err := onIncident(v, o.Incident, s)
	if err == nil && i.Closed != nil {
		err = no("incident %s is closed, by %s at %s: reopen it first", o.Incident, i.Closed.By, i.Closed.Recorded)
	}
	return i, out, err
}

// label gives an entry the name by which people call it: a letter and a number.
func (i *Incident) label(said Said, of custody.Lettered) Said {
	said.Label = i.labels.Next(of)
	return said
}

// effect is an act that changes its incident's fold. Only permitted ones come here.
type effect interface{ apply(*Incident, Said) }

// Said is who said something, when and why: of every entry of an incident's file.
type Said struct {
	ID       custody.Digest      `json:"id"`                 // payload digest of the statement: by it others name it
	Label    string              `json:"label,omitempty"`    // by which people name it, F-3
	By       custody.PrincipalID `json:"by"`                 //
	Signed   custody.Time        `json:"signed"`             // by the clock of whoever signed
	Recorded custody.Time        `json:"recorded"`           // by the service's
	Why      string              `json:"why"`                // the statement's purpose
	Replaced *custody.Digest     `json:"replaced,omitempty"` // by the later entry that corrects it
}

// Entry is an act in an incident's file, and who said it.
type Entry[A any] struct {
	Said
	Act A `json:"act"`
}

// current returns the newest of the acts that replace one another, or nil.
func current[A any](list []Entry[A]) *A {
	if len(list) == 0 {
		return nil
	}
	return &list[len(list)-1].Act
}

// replaces returns an Unlawful error unless id names the newest entry of a list, or
// nothing where there is none: whoever corrects something says what.
func replaces[A any](list []Entry[A], id custody.Digest) error {
	switch {
	case len(list) == 0 && id.IsZero():
		return nil
	case len(list) == 0:
		return no("there is no %s to replace", id)
	case list[len(list)-1].ID != id:
		return no("this was said before, as %s: say that it replaces that", list[len(list)-1].ID)
	}
	return nil
}

// amend appends an entry that replaces the newest of a list.
func amend[A any](list *[]Entry[A], said Said, act A) {
	if n := len(*list); n > 0 {
		(*list)[n-1].Replaced = &said.ID
	}
	*list = append(*list, Entry[A]{said, act})
}

// find returns the entry of a list with an identifier, or nil.
func find[A any](list []Entry[A], id custody.Digest) *Entry[A] {
	for n := range list {
		if list[n].ID == id {
			return &list[n]
		}
	}
	return nil
}

// Replaces names what a later statement corrects. Acts embed it.
type Replaces struct {
	Replaces custody.Digest `json:"replaces" help:"the entry that this one corrects (default: the newest)"`
}

// Late is how long after it happened something may be put on record without
// being marked late (S-35: notes are contemporaneous).
const Late = 24 * time.Hour

// Happened says when something happened, apart from when it was put on record.
// Acts embed it.
type Happened struct {
	At custody.Time `json:"at" help:"when it happened (default: now)"`
}

// past refuses what has not happened.
func (a Happened) past(s *custody.Statement) error {
	switch {
	case a.At <= 0:
		return errors.New("at is missing: when did it happen?")
	case a.At > s.Time:
		return fmt.Errorf("at %s is later than the statement: what has not happened is not put on record", a.At)
	}
	return nil
}

// LateBy returns by how much an entry was put on record later than Late allows.
func (a Happened) LateBy(s Said) time.Duration {
	return max(0, s.Recorded.Time().Sub(a.At.Time())-Late)
}

// no is an Unlawful error.
func no(format string, args ...any) error { return custody.Unlawful{Why: fmt.Sprintf(format, args...)} }

// first returns the first error of several.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// oneOf refuses a word that is none of a list.
func oneOf(field, word string, of []string) error {
	if slices.Contains(of, word) {
		return nil
	}
	return fmt.Errorf("%s %.40q is none of %s", field, word, strings.Join(of, ", "))
}

// someOf refuses a list with a word that is none of others, or with one twice, or
// not in order.
func someOf(field string, words, of []string) error {
	for n, w := range words {
		if err := oneOf(field, w, of); err != nil {
			return err
		}
		if n > 0 && words[n-1] >= w {
			return fmt.Errorf("%s are not in order, each once", field)
		}
	}
	return nil
}

// optional refuses a line that is there and cannot be shown.
func optional(field, text string) error {
	if text == "" {
		return nil
	}
	return custody.CheckLine(field, text)
}

// Bounds of an incident's file.
const (
	maxText = 16 << 10 // bytes of a text that has more than a line
	maxList = 100      // entries of a list in one statement
)

// text refuses a text that is missing, too long, or has what cannot be shown.
func text(field, s string) error { return custody.CheckText(field, s, maxText) }

// lines refuses a list that is too long or has what is no line.
func lines(field string, list []string) error {
	if len(list) > maxList {
		return fmt.Errorf("%d %s; at most %d", len(list), field, maxList)
	}
	for _, l := range list {
		if err := custody.CheckLine(field, l); err != nil {
			return err
		}
	}
	return nil
}

// wants lists what is missing, or open, in words.
type wants []string

// lacks notes it if it is so.
func (w *wants) lacks(is bool, what string) {
	if is {
		*w = append(*w, what)
	}
}

// several returns an Unlawful error that gives all that is missing, or nil.
func several(what string, missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	return no("%s: %s", what, strings.Join(missing, "; "))
}
