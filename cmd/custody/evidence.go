package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

func (a *app) evidenceCommand() *cobra.Command {
	return group("evidence", "Evidence: take in, get, list, history; verify, hold, destroy",
		a.evidenceBegin(), a.evidenceSeal(), a.evidenceWithdraw(),
		a.evidenceVerify(), a.evidenceHold(), a.evidenceRelease(), a.evidenceDispose(),
		a.evidenceAdd(), a.evidenceGet(), a.evidenceList(), a.evidenceShow(), a.evidenceHistory(), a.evidenceFacts())
}

func (a *app) evidenceList() *cobra.Command {
	var incident string
	c := &cobra.Command{
		Use: "list i-…", Short: "List the sealed items of an incident, by exhibit number, and those that were withdrawn", Args: atMost(1), Example: "  custody evidence list i-abcdefghijklmnop",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 == (incident != "") {
				return usagef("name one incident: custody evidence list i-… (custody incident list shows them)")
			}
			id, err := custody.ParseIncidentID(cmp.Or(incident, strings.Join(args, "")))
			if err != nil {
				return usageError{err}
			}
			type items struct {
				Evidence  []api.Evidence `json:"evidence"`
				Withdrawn []api.Evidence `json:"withdrawn,omitempty"`
			}
			ask := func(cl *client.Client) (items, error) {
				i, err := cl.Incident(c.Context(), id)
				return items{i.Evidence, i.Withdrawn}, err
			}
			return display(c.Context(), a, ask, func(list items) string {
				text := ""
				for _, e := range slices.Concat(list.Evidence, list.Withdrawn) {
					text += evidenceLine(e)
				}
				return text
			})
		},
	}
	c.Flags().StringVar(&incident, "incident", "", "the incident, instead of as an argument")
	return c
}

func evidenceLine(e api.Evidence) string {
	state := "not sealed"
	if e.Withdrawn {
		state = "withdrawn"
	}
	size := uint64(0)
	if e.Artifact != nil {
		state, size = "sealed", e.Artifact.Size
	}
	if e.Confirmed {
		state = "sealed, read back"
	}
	if len(e.Holds) > 0 {
		state += ", on hold"
	}
	if e.Damaged {
		state = "DAMAGED"
	}
	if e.KeysLost != "" {
		state = "KEYS LOST"
	}
	switch {
	case e.Disposal != nil && e.Disposal.Done:
		state = "destroyed"
	case e.Shredding != nil && e.Shredding.Done:
		state = "destroyed with its incident's keys"
	case e.Disposal != nil || e.Shredding != nil:
		state = "to be destroyed"
	}
	return fmt.Sprintf("%s  %s  %s  %d bytes  %s  (%s)\n", e.ID, e.Exhibit, e.Type, size, e.Name.Display, state)
}

// wholeItem is all that is shown of an item.
func wholeItem(e api.Evidence) string {
	text := evidenceLine(e)
	if e.Artifact == nil || e.Acquisition == nil {
		return text
	}
	text += fmt.Sprintf("  SHA-256   %s\n  root      %s\n  sealed    %s by %s\n", e.Artifact.SHA256.Hex(), e.Artifact.Root.Hex(), e.SealedAt, e.SealedBy)
	if said := custody.AsReceivedText(e.AsReceived); said != "" {
		text += "  NOTE      " + said + "\n"
	}
	if e.Format != "" {
		text += "  format    " + e.Format + "\n"
	}
	for _, l := range e.Labels {
		text += "  digest    " + l.String() + "\n"
	}
	for _, p := range e.Parts {
		text += fmt.Sprintf("  part      %s, %d bytes\n", p.Name.Display, p.Size)
	}
	if e.Signed != 0 {
		text += fmt.Sprintf("  signed    at the scene by %s at %s\n", e.Collector, e.Signed)
	}
	if e.CheckedAt != 0 {
		text += fmt.Sprintf("  read back %s\n", e.CheckedAt)
	}
	text += fmt.Sprintf("  kept      until %s\n", e.KeptUntil)
	for _, h := range e.Holds {
		text += fmt.Sprintf("  hold      %s by %s since %s: %s\n", h.ID, h.Authority, h.At, h.Reason)
	}
	if d := e.Disposal; d != nil {
		text += fmt.Sprintf("  destroyed by order of %s and %s at %s (done: %t)\n", d.First, d.Second, d.At, d.Done)
	}
	if d := e.Shredding; d != nil {
		text += fmt.Sprintf("  keys      destroyed by order of %s and %s at %s (done: %t)\n", d.First, d.Second, d.At, d.Done)
	}
	for _, line := range e.Acquisition.Describe() {
		text += "  taken     " + line + "\n"
	}
	return text
}

func (a *app) evidenceShow() *cobra.Command {
	return &cobra.Command{
		Use: "show e-…", Short: "Show one item", Args: exactly(1), Example: "  custody evidence show e-abcdefghijklmnop",
		RunE: func(c *cobra.Command, args []string) error {
			id, err := custody.ParseEvidenceID(args[0])
			if err != nil {
				return usageError{err}
			}
			ask := func(cl *client.Client) (api.Evidence, error) { return cl.Evidence(c.Context(), id) }
			return display(c.Context(), a, ask, wholeItem)
		},
	}
}

// line is one record of a history, as it is printed.
type line struct {
	Sequence  uint64              `json:"sequence"`
	Index     uint64              `json:"index"`
	Time      custody.Time        `json:"time"`
	Recorded  custody.Time        `json:"recorded"`
	Actor     custody.PrincipalID `json:"actor"`
	Kind      custody.Kind        `json:"kind"`
	Purpose   string              `json:"purpose"`
	Permitted bool                `json:"permitted"`
	Reason    string              `json:"reason,omitempty"`
	Act       custody.Act         `json:"act"`
	Erased    *erased             `json:"erased,omitempty"`
}

// erased is what is known of a record that is erased.
type erased struct {
	First     custody.PrincipalID `json:"first"`
	Second    custody.PrincipalID `json:"second"`
	At        custody.Time        `json:"at"`
	Authority string              `json:"authority"`
	Was       custody.Kind        `json:"was"`
	Refused   bool                `json:"refused"`
	Certified bool                `json:"certified"` // the service has put on record that it did so
}

// erasedLine is the line of a record that is erased.
func erasedLine(r client.Recorded) line {
	o := r.Erased
	return line{Sequence: r.Sequence, Index: r.Receipt.Index, Erased: &erased{
		o.First, o.Second, o.At, o.Act.Authority, o.Act.Was, o.Act.Refused, o.Done,
	}}
}

func (a *app) evidenceHistory() *cobra.Command {
	return &cobra.Command{
		Use: "history e-…", Short: "Show who did what to an item, and why", Args: exactly(1),
		Long: `Shows the records of an item, each verified here against the trust file: that it
is in the log, follows the one before it, and says what its hash says.`,
		Example: "  custody evidence history e-abcdefghijklmnop",
		RunE: func(c *cobra.Command, args []string) error {
			id, err := custody.ParseEvidenceID(args[0])
			if err != nil {
				return usageError{err}
			}
			return a.history(c.Context(), id.Stream())
		},
	}
}

func (a *app) history(ctx context.Context, s custody.Stream) error {
	cl, _, err := a.dial(ctx)
	if err != nil {
		return err
	}
	records, err := cl.Records(ctx, s)
	if err != nil {
		return err
	}
	names := map[custody.PrincipalID]string{}
	if people, err := cl.Principals(ctx); err == nil { // names are a convenience
		for _, p := range people.Principals {
			names[p.ID] = p.Name
		}
	}
	lines := []line{}
	text := ""
	for _, r := range records {
		if r.Record == nil {
			l := erasedLine(r)
			lines = append(lines, l)
			text += fmt.Sprintf("%d  ERASED by order of %s %s and %s %s at %s, by authority of %s\n  said to have been: %s, refused: %t\n", l.Sequence,
				l.Erased.First, names[l.Erased.First], l.Erased.Second, names[l.Erased.Second], l.Erased.At, l.Erased.Authority, l.Erased.Was, l.Erased.Refused)
			continue
		}
		st, err := r.Record.Envelope.Statement(investigate.Words())
		if err != nil {
			return err
		}
		l := line{
			Sequence: r.Record.Sequence, Index: r.Receipt.Index, Time: st.Time, Recorded: r.Record.Recorded, Actor: st.Actor,
			Kind: st.Kind, Purpose: st.Purpose, Permitted: r.Record.Decision.Permit, Reason: r.Record.Decision.Reason, Act: st.Act,
		}
		lines = append(lines, l)
		text += l.text(names[st.Actor])
	}
	size := uint64(0)
	if n := len(records); n > 0 {
		size = records[n-1].Point.Size
	}
	text += fmt.Sprintf("%d records, unbroken, each proven to be in the log %s\n", len(lines), cl.Trust.Origin)
	if err := a.answer(struct {
		Stream  custody.Stream `json:"stream"`
		Records []line         `json:"records"`
		Size    uint64         `json:"size"` // of the log, at the last record's receipt
	}{s, lines, size}, text); err != nil {
		return err
	}
	return a.keep(ctx, cl)
}

func (l line) text(name string) string {
	verdict := ""
	if !l.Permitted {
		verdict = "  REFUSED (" + l.Reason + ")"
	}
	act, err := json.Marshal(l.Act)
	if err != nil {
		act = nil
	}
	purpose := ""
	if l.Purpose != "" {
		purpose = fmt.Sprintf("  purpose: %s\n", l.Purpose)
	}
	return fmt.Sprintf("%d  %s  %s  %s %s%s\n%s  %s\n", l.Sequence, l.Time.Time().Format(time.RFC3339), l.Kind, l.Actor, name, verdict, purpose, act)
}
