package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

func (a *app) incidentCommand() *cobra.Command {
	c := group("incident", "Incidents: open, list, assign people, go through the stages",
		a.incidentOpen(), a.incidentList(), a.incidentShow(), a.incidentStatus(), a.incidentTimeline(), a.incidentRetain(), a.incidentShred(),
		a.onTeam("assign", "Make somebody a member of an incident's team", func(i custody.IncidentID, p custody.PrincipalID) custody.Act {
			return &investigate.Assign{Incident: i, Principal: p}
		}),
		a.onTeam("unassign", "End a membership, at once", func(i custody.IncidentID, p custody.PrincipalID) custody.Act {
			return &investigate.Unassign{Incident: i, Principal: p}
		}))
	c.AddCommand(a.verbsOf("incident")...)
	return c
}

func (a *app) incidentOpen() *cobra.Command {
	var title, class, detected string
	c := &cobra.Command{
		Use: "open --title TITLE", Short: "Open an incident", Args: exactly(0),
		Example: `  custody incident open --title "web server sends data to an unknown host" --detected 2026-11-23T08:15:00+01:00`,
		RunE: func(c *cobra.Command, _ []string) error {
			if title == "" {
				return usagef("give --title")
			}
			cl, _, err := a.dial(c.Context())
			if err != nil {
				return err
			}
			at := cl.Now()
			if detected != "" {
				if at, err = time.Parse(time.RFC3339, detected); err != nil {
					return usagef("--detected %q is not a time like 2026-11-23T08:15:00+01:00", detected)
				}
			}
			said, err := cl.Put(c.Context(), "", &investigate.Open{Class: class, DetectedAt: custody.TimeOf(at), Title: title})
			if err != nil {
				return err
			}
			id := custody.NewIncidentID(said.Payload)
			return a.saidOf(said, string(id), fmt.Sprintf("opened incident %s: %s", id, title))
		},
	}
	c.Flags().StringVar(&title, "title", "", "what it is about, in a line")
	c.Flags().StringVar(&class, "class", investigate.Security, "security or availability")
	c.Flags().StringVar(&detected, "detected", "", "when the first indication was (default: now)")
	return c
}

func (a *app) incidentList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the incidents that you may see", Args: exactly(0), Example: "  custody incident list",
		RunE: func(c *cobra.Command, _ []string) error {
			ask := func(cl *client.Client) (api.Incidents, error) { return cl.Incidents(c.Context()) }
			return display(c.Context(), a, ask, func(list api.Incidents) string {
				text := ""
				for _, i := range list.Incidents {
					text += showIncident(i)
				}
				return text
			})
		},
	}
}

func showIncident(i api.Incident) string {
	people := make([]string, len(i.Assigned))
	for n, p := range i.Assigned {
		people[n] = string(p)
	}
	stage := i.Stage
	if i.Closed != "" {
		stage = "closed: " + i.Closed
	}
	return fmt.Sprintf("%s  %s  %s  (%s)  [%s]\n", i.ID, i.DetectedAt, i.Title, stage, strings.Join(people, " "))
}

func (a *app) incidentShow() *cobra.Command {
	return &cobra.Command{
		Use: "show i-…", Short: "Show one incident and its evidence", Args: exactly(1), Example: "  custody incident show i-abcdefghijklmnop",
		RunE: func(c *cobra.Command, args []string) error {
			id, err := custody.ParseIncidentID(args[0])
			if err != nil {
				return usageError{err}
			}
			ask := func(cl *client.Client) (api.Incident, error) { return cl.Incident(c.Context(), id) }
			return display(c.Context(), a, ask, func(i api.Incident) string {
				text := showIncident(i)
				if d := i.Shredding; d != nil {
					text += fmt.Sprintf("  keys      destroyed by order of %s and %s at %s (done: %t)\n", d.First, d.Second, d.At, d.Done)
				}
				for _, e := range i.Evidence {
					text += "  " + evidenceLine(e)
				}
				return text
			})
		},
	}
}

// onTeam is a verb that takes an incident, a principal and a purpose, and with --parts
// goes on with the incident's parts.
func (a *app) onTeam(verb, what string, act func(custody.IncidentID, custody.PrincipalID) custody.Act) *cobra.Command {
	var why string
	var parts bool
	c := &cobra.Command{
		Use: verb + " i-… p-… --purpose WHY [--parts]", Short: what, Args: exactly(2),
		Example: fmt.Sprintf("  custody incident %s i-abcdefghijklmnop p-abcdefghijklmnop --purpose \"disk forensics\"", verb),
		Long: what + `.

--parts does the same in the incidents that are parts of it (incident teams --parent),
as far as you may see them: with a record in each, since each has a team of its own.
What is refused in one does not keep it from the others; exit code 1 then. It can be
repeated: where it is so already, nothing is said again.`,
		RunE: func(c *cobra.Command, args []string) error {
			i, err := custody.ParseIncidentID(args[0])
			if err != nil {
				return usageError{err}
			}
			p, err := custody.ParsePrincipalID(args[1])
			if err != nil {
				return usageError{err}
			}
			if why == "" {
				return usagef("give --purpose")
			}
			cl, _, err := a.dial(c.Context())
			if err != nil {
				return err
			}
			if parts {
				return a.onParts(c.Context(), cl, i, p, verb == "assign", func(in custody.IncidentID) (*client.Said, error) {
					return cl.Put(c.Context(), why, act(in, p))
				})
			}
			said, err := cl.Put(c.Context(), why, act(i, p))
			if err != nil {
				return err
			}
			return a.said(said, fmt.Sprintf("%s %s, %s: done", verb, i, p))
		},
	}
	c.Flags().StringVar(&why, "purpose", "", "why")
	c.Flags().BoolVar(&parts, "parts", false, "in the incidents that are parts of it too")
	return c
}

// membership is what became of it in one of several incidents.
type membership struct {
	Incident custody.IncidentID `json:"incident"`
	Outcome  string             `json:"outcome"` // done, already or refused
	Why      string             `json:"why,omitempty"`
	Proof    *proof             `json:"proof,omitempty"`
}

// onParts gives or takes somebody's membership in an incident and its parts, where it is
// not so already.
func (a *app) onParts(ctx context.Context, cl *client.Client, whole custody.IncidentID, p custody.PrincipalID, member bool, say func(custody.IncidentID) (*client.Said, error)) error {
	known, err := cl.Incidents(ctx)
	if err != nil {
		return err
	}
	is := map[custody.IncidentID]bool{}
	of := []custody.IncidentID{whole}
	for _, i := range known.Incidents {
		if i.ID == whole || i.Parent == whole {
			is[i.ID] = slices.Contains(i.Assigned, p) == member
		}
		if i.Parent == whole && i.ID != whole {
			of = append(of, i.ID)
		}
	}
	list, text, refused := []membership{}, "", false
	for _, i := range of {
		m := membership{Incident: i, Outcome: "already"}
		if !is[i] {
			said, err := say(i)
			problem := new(client.Error)
			switch {
			case err == nil:
				shown := proofOf(said, "")
				m.Outcome, m.Proof = "done", &shown
			case errors.As(err, &problem) && exitCode(err) == exitRefused:
				m.Outcome, m.Why, refused = "refused", err.Error(), true
			default:
				return errors.Join(a.answer(list, text), fmt.Errorf("in %s: %w; say it again", i, err))
			}
		}
		list, text = append(list, m), text+showMembership(m)
	}
	if len(of) == 1 {
		text += fmt.Sprintf("%s  has no part that you may see (incident teams --parent)\n", whole)
	}
	if err := a.answer(list, text); err != nil {
		return err
	}
	if refused {
		return failure{exitRefused}
	}
	return nil
}

func showMembership(m membership) string {
	switch {
	case m.Proof != nil:
		return fmt.Sprintf("%s  done, on record as leaf %d of the log (proven at size %d)\n", m.Incident, m.Proof.Index, m.Proof.Size)
	case m.Why != "":
		return fmt.Sprintf("%s  REFUSED  %s\n", m.Incident, m.Why)
	}
	return fmt.Sprintf("%s  %s\n", m.Incident, m.Outcome)
}
