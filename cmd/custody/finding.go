package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

func (a *app) findingCommand() *cobra.Command {
	return group("finding", "Findings: record, review, list", append(a.verbsOf("finding"), a.findingList())...)
}

func (a *app) processCommand() *cobra.Command {
	return group("process", "What was done with evidence, so that others can do it again", a.verbsOf("process")...)
}

func (a *app) intelligenceCommand() *cobra.Command {
	return group("intelligence", "Intelligence reports", a.verbsOf("intelligence")...)
}

// warnUnseen warns whoever records a finding that he never had in hand what it cites.
func (a *app) warnUnseen(p investigate.Picture, label string) {
	for _, u := range p.Unseen {
		if u.Finding == label {
			a.say("warning: %s cites %s, of which you never had anything in hand: that stands beside it for everybody", label, u.Evidence)
		}
	}
}

// fileCommand is a command that shows something of an incident's file, and people by
// their names.
func (a *app) fileCommand(c *cobra.Command, show func(investigate.Picture) string) *cobra.Command {
	var names *strings.Replacer
	return showing(a, c, func(c *cobra.Command, cl *client.Client, args []string) (investigate.Picture, error) {
		id, err := custody.ParseIncidentID(args[0])
		if err != nil {
			return investigate.Picture{}, usageError{err}
		}
		people, err := cl.Principals(c.Context())
		if err != nil {
			return investigate.Picture{}, err
		}
		var pairs []string
		for _, p := range people.Principals {
			name := fmt.Sprintf("%s (%s)", p.Name, p.ID)
			if p.Suspended {
				name = fmt.Sprintf("%s (%s, suspended)", p.Name, p.ID)
			}
			pairs = append(pairs, string(p.ID), name)
		}
		names = strings.NewReplacer(pairs...)
		return cl.File(c.Context(), id)
	}, func(p investigate.Picture) string { return names.Replace(show(p)) })
}

func (a *app) findingList() *cobra.Command {
	return a.fileCommand(&cobra.Command{
		Use: "list i-…", Short: "Show an incident's findings, those taken back too", Args: exactly(1),
		Example: "  custody finding list i-abcdefghijklmnop",
	}, func(p investigate.Picture) string {
		var b strings.Builder
		for _, f := range p.File.Findings {
			showFinding(&b, f)
			for _, u := range p.Unseen {
				if u.Finding == f.Label {
					fmt.Fprintf(&b, "  warning         the author never had %s in hand\n", u.Evidence)
				}
			}
		}
		return b.String()
	})
}

func showFinding(b *strings.Builder, f investigate.Reviewed) {
	line := func(what, text string) { fmt.Fprintf(b, "  %-16s%s\n", what, within(text, 18)) }
	fmt.Fprintf(b, "%s  %s\n", f.Label, f.Act.Title)
	line("by", fmt.Sprintf("%s at %s", f.By, f.Recorded))
	line("status", fmt.Sprintf("%s, confidence %s", f.Act.Status, f.Act.Confidence))
	switch {
	case f.Withdrawn != nil:
		line("WITHDRAWN", fmt.Sprintf("by %s: %s", f.Withdrawn.By, f.Withdrawn.Act.Reason))
	case f.Replaced != nil:
		line("CORRECTED", "by a later finding")
	}
	line("fact", f.Act.Fact)
	line("interpretation", f.Act.Interpretation)
	line("limits", f.Act.Limits)
	for _, t := range f.Act.Alternatives {
		line("alternative", t)
	}
	for _, c := range f.Act.Citations {
		line("cites", fmt.Sprintf("%s, SHA-256 %s", c, c.SHA256.Hex()))
	}
	if len(f.Act.Techniques) > 0 {
		line("ATT&CK", strings.Join(f.Act.Techniques, " "))
	}
	for _, x := range f.Act.Indicators {
		line("indicator", x.String())
	}
	for _, r := range f.Reviews {
		line("review", fmt.Sprintf("%s %s: %s", r.By, r.Act.Verdict, r.Act.Text))
	}
	if f.Unreviewed() {
		line("review", "none yet")
	}
}

// within sets the lines of a text that follow its first apart from what is listed: no
// text looks like an entry of the list that it stands in.
func within(text string, indent int) string {
	return strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", indent)+"| ")
}

func (a *app) incidentTimeline() *cobra.Command {
	c := &cobra.Command{
		Use: "timeline i-…", Short: "Show what happened, by when it happened", Args: exactly(1),
		Long: `Shows the events and findings of an incident by when what they tell happened, and
those of the incidents that are parts of it, as far as you may see them. What was
put on record more than a day later is marked late.`,
		Example: "  custody incident timeline i-abcdefghijklmnop",
	}
	return showing(a, c, func(c *cobra.Command, cl *client.Client, args []string) ([]moment, error) {
		id, err := custody.ParseIncidentID(args[0])
		if err != nil {
			return nil, usageError{err}
		}
		list, err := cl.Incidents(c.Context())
		if err != nil {
			return nil, err
		}
		of := []custody.IncidentID{id}
		for _, i := range list.Incidents {
			if i.Parent == id {
				of = append(of, i.ID)
			}
		}
		all := []moment{}
		for _, i := range of {
			p, err := cl.File(c.Context(), i)
			if err != nil {
				return nil, err
			}
			for _, m := range p.Timeline {
				all = append(all, moment{i, m})
			}
		}
		slices.SortStableFunc(all, func(x, y moment) int { return cmp.Compare(x.At, y.At) })
		return all, nil
	}, showTimeline)
}

// moment is something that happened, and of which incident it is told.
type moment struct {
	Incident custody.IncidentID `json:"incident"`
	investigate.Moment
}

func showTimeline(all []moment) string {
	text := ""
	for _, m := range all {
		late := ""
		if m.LateSeconds > 0 {
			late = fmt.Sprintf("  (on record late, by %s)", time.Duration(m.LateSeconds)*time.Second)
		}
		text += fmt.Sprintf("%s %s  %s  %s  %s%s\n", m.At, m.Precision, m.Incident, m.Label, m.Title, late)
	}
	return text
}
