package bundle

import (
	"fmt"
	"strings"
)

// Point is something that was checked, or was not, under a word for it.
type Point struct {
	Label string
	Text  string
}

// Checked says what was checked, as of when, and what was not, in the words of
// Write. It is of use only of what verifies.
func (v *Verdict) Checked() (list []Point) {
	for line := range strings.Lines(v.checked()) {
		label, text := "", strings.TrimSpace(line)
		if !strings.HasPrefix(line, " ") {
			label, text, _ = strings.Cut(text, " ")
		}
		if label == "Public" {
			label, text = "Public log", strings.TrimPrefix(strings.TrimSpace(text), "log")
		}
		text = strings.TrimSpace(text)
		if last := len(list) - 1; label == "" && last >= 0 && goesOn(list[last].Text, text) {
			list[last].Text += " " + text
			continue
		}
		list = append(list, Point{label, text})
	}
	return list
}

// goesOn says whether a line goes on with what the one before it began.
func goesOn(before, text string) bool {
	return strings.HasSuffix(before, ";") || strings.HasSuffix(before, ",") || strings.HasPrefix(text, "(")
}

// Undisclosed says which records are withheld, and what that means, in the words of
// Write; nothing where none is.
func (v *Verdict) Undisclosed() []string {
	lists, meaning := v.undisclosed()
	for n, s := range lists {
		lists[n] = "Withheld: " + s
	}
	for _, s := range meaning {
		lists = append(lists, strings.ReplaceAll(s, "\n", " "))
	}
	return lists
}

// checked says the same in the form that Write prints.
func (v *Verdict) checked() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Log         %s, %d records, root %s\n", v.Origin, v.Size, v.Root.Hex())
	fmt.Fprintf(&b, "History     %s\n", v.completeness())
	if v.Since != nil {
		b.WriteString(v.sinceText())
	}
	b.WriteString("            That the decisions were right under the policy was not checked.\n")
	b.WriteString(v.witnesses() + v.stamps())
	return b.String()
}

// Bytes says what is known of the item's bytes, in the words of Write, for a bundle of
// this scope.
func (i *Item) Bytes(scope Scope) string { return i.bytesText(scope) }
