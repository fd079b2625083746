package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

// about is a command about one item, with a purpose.
func (a *app) about(verb, what, long, example string, do func(c *cobra.Command, cl *client.Client, id custody.EvidenceID, purpose string) error) *cobra.Command {
	var purpose string
	c := &cobra.Command{
		Use: verb + " e-…", Short: what, Long: long, Example: example, Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := custody.ParseEvidenceID(args[0])
			if err != nil {
				return usageError{err}
			}
			if purpose == "" {
				return usagef("give --purpose")
			}
			cl, _, err := a.dial(c.Context())
			if err != nil {
				return err
			}
			return errors.Join(do(c, cl, id, purpose), a.keep(c.Context(), cl))
		},
	}
	c.Flags().StringVar(&purpose, "purpose", "", "why")
	return c
}

func (a *app) evidenceVerify() *cobra.Command {
	within := time.Duration(0)
	c := a.about("verify", "Have the service read an artifact back now, and compare it with its seal",
		`Has the service read the whole artifact back and compare it with its seal. What it
finds goes on record. It does the same by itself, on a schedule.
Waits for the result: exit code 1 when the bytes are not those that were sealed.`,
		`  custody evidence verify e-abcdefghijklmnop --purpose "before the hearing"`,
		func(c *cobra.Command, cl *client.Client, id custody.EvidenceID, purpose string) error {
			asked, err := cl.Put(c.Context(), purpose, &custody.VerifyEvidence{Evidence: id})
			if err != nil {
				return err
			}
			e, err := a.checked(c.Context(), cl, id, asked, within)
			if err != nil {
				return err
			}
			text := fmt.Sprintf("%s is intact: its stored bytes have the sealed SHA-256 %s (read back %s)\n", id, e.Artifact.SHA256.Hex(), e.CheckedAt)
			switch {
			case e.KeysLost != "":
				text = fmt.Sprintf("%s cannot be read: the keys of its incident are LOST (%s) (found %s)\n", id, e.KeysLost, e.CheckedAt)
			case e.Damaged:
				text = fmt.Sprintf("%s is DAMAGED: its stored bytes are not those that were sealed (read back %s)\n", id, e.CheckedAt)
			}
			if err := a.answer(struct {
				proof
				Intact    bool         `json:"intact"`
				CheckedAt custody.Time `json:"checkedAt"`
			}{proofOf(asked, string(id)), !e.Damaged, e.CheckedAt}, text); err != nil {
				return err
			}
			if e.Damaged {
				return errors.New("the item is damaged")
			}
			return nil
		})
	c.Flags().DurationVar(&within, "within", 24*time.Hour, "how long to wait for the result")
	return c
}

// checked waits until the service has read the item back after it was asked to.
func (a *app) checked(ctx context.Context, cl *client.Client, id custody.EvidenceID, asked *client.Said, within time.Duration) (api.Evidence, error) {
	until := time.Now().Add(within)
	for {
		e, err := cl.Evidence(ctx, id)
		if err != nil || e.CheckedAt > asked.Record.Recorded && e.Artifact != nil {
			return e, err
		}
		if time.Now().After(until) {
			return e, fmt.Errorf("%w: the result is not there after %s; look later: custody evidence show %s", client.ErrUnreachable, within, id)
		}
		select {
		case <-ctx.Done():
			return e, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (a *app) evidenceHold() *cobra.Command {
	authority, again := "", false
	c := a.about("hold", "Put an item on legal hold: it is not destroyed, whatever its retention says",
		`Puts an item on legal hold. Several can be on it, each lifted apart; a second one by
the same authority, in the same words, is taken for a slip unless --again is given.`,
		`  custody evidence hold e-abcdefghijklmnop --authority "Regional Court Frankfurt, 7 O 12/26" --purpose "order of 24 November"`,
		func(c *cobra.Command, cl *client.Client, id custody.EvidenceID, purpose string) error {
			if e, err := cl.Evidence(c.Context(), id); err == nil && !again { // whether it can be held, the service says
				for _, h := range e.Holds {
					if h.Authority == authority {
						return usagef("%s is on hold by %s already, since %s (hold %s); with --again another one is put on it, which has to be lifted too", id, authority, h.At, h.ID)
					}
				}
			}
			said, err := cl.Put(c.Context(), purpose, &custody.HoldEvidence{Authority: authority, Evidence: id})
			if err != nil {
				return err
			}
			return a.saidOf(said, string(id), fmt.Sprintf("%s is on legal hold by %s", id, authority))
		})
	c.Flags().StringVar(&authority, "authority", "", "who ordered it, with a reference")
	c.Flags().BoolVar(&again, "again", false, "although a hold by this authority is on it")
	return c
}

// twoPeople explains what takes two.
const twoPeople = `It takes two different people: the first one's statement has no effect until
the second one says the same, with --second and the first one's statement.`

// moved says what became of something that takes two people.
func (a *app) moved(said *client.Said, id string, second custody.Digest, what, again string) error {
	if second.IsZero() {
		what += fmt.Sprintf(": without effect until another person runs\n  %s --second %s", again, said.Payload)
	}
	return a.saidOf(said, id, what)
}

// digestFlag reads a flag that names a statement.
func digestFlag(name, text string) (d custody.Digest, err error) {
	if text == "" {
		return d, nil
	}
	if d, err = custody.ParseDigest(text); err != nil {
		err = usageError{fmt.Errorf("--%s: %w", name, err)}
	} else if d.IsZero() {
		err = usagef("--%s: a digest of zeros names nothing", name)
	}
	return d, err
}

func (a *app) evidenceRelease() *cobra.Command {
	var authority, hold, second string
	c := a.about("release", "Lift a legal hold (two people)", "Lifts a legal hold.\n"+twoPeople,
		`  custody evidence release e-abcdefghijklmnop --authority "Regional Court Frankfurt, 7 O 12/26" --purpose "order of 3 March"`,
		func(c *cobra.Command, cl *client.Client, id custody.EvidenceID, purpose string) error {
			act := &custody.LiftHold{Authority: authority, Evidence: id}
			var err, err2 error
			act.Hold, err = digestFlag("hold", hold)
			act.Seconds, err2 = digestFlag("second", second)
			if err := errors.Join(err, err2); err != nil {
				return err
			}
			if act.Hold.IsZero() {
				e, err := cl.Evidence(c.Context(), id)
				if err != nil {
					return err
				}
				if len(e.Holds) != 1 {
					return usagef("%s has %d holds: name one with --hold (custody evidence show %s)", id, len(e.Holds), id)
				}
				act.Hold = e.Holds[0].ID
			}
			said, err := cl.Put(c.Context(), purpose, act)
			if err != nil {
				return err
			}
			return a.moved(said, string(id), act.Seconds, fmt.Sprintf("hold %s on %s is to be lifted", act.Hold, id),
				fmt.Sprintf("custody evidence release %s --hold %s --authority %q --purpose …", id, act.Hold, authority))
		})
	c.Flags().StringVar(&authority, "authority", "", "who lifts it, with a reference")
	c.Flags().StringVar(&hold, "hold", "", "which hold (default: the only one)")
	c.Flags().StringVar(&second, "second", "", "the statement of the first person, at most 30 days old, sha256:…")
	return c
}

func (a *app) evidenceDispose() *cobra.Command {
	second := ""
	c := a.about("dispose", "Destroy an item's bytes after its retention (two people)", `Destroys an item's bytes, when its retention is over and no hold is on it. Its
records stay, and verify as ever; the service's certificate is one of them.
`+twoPeople,
		`  custody evidence dispose e-abcdefghijklmnop --purpose "case closed, retention over"`,
		func(c *cobra.Command, cl *client.Client, id custody.EvidenceID, purpose string) error {
			first, err := digestFlag("second", second)
			if err != nil {
				return err
			}
			said, err := cl.Put(c.Context(), purpose, &custody.DisposeEvidence{Evidence: id, Seconds: first})
			if err != nil {
				return err
			}
			return a.moved(said, string(id), first, fmt.Sprintf("%s is to be destroyed", id),
				fmt.Sprintf("custody evidence dispose %s --purpose …", id))
		})
	c.Flags().StringVar(&second, "second", "", "the statement of the first person, at most 30 days old, sha256:…")
	return c
}

func (a *app) incidentRetain() *cobra.Command {
	var purpose, second string
	act := &investigate.Retain{}
	c := &cobra.Command{
		Use: "retain i-… --days N", Short: "Say how long evidence is kept (two people)", Args: exactly(1),
		Long: fmt.Sprintf(`Says for how many days items are kept from their seal on; %d where nobody says
anything. Of what is said for a type and for all types the longest counts.
`, custody.DefaultRetention) + twoPeople,
		Example: `  custody incident retain i-abcdefghijklmnop --type disk --days 3650 --purpose "statute of limitations"`,
		RunE: func(c *cobra.Command, args []string) (err error) {
			if act.Incident, err = custody.ParseIncidentID(args[0]); err != nil {
				return usageError{err}
			}
			if purpose == "" || !c.Flags().Changed("days") {
				return usagef("give --days and --purpose")
			}
			if act.Seconds, err = digestFlag("second", second); err != nil {
				return err
			}
			cl, _, err := a.dial(c.Context())
			if err != nil {
				return err
			}
			said, err := cl.Put(c.Context(), purpose, act)
			if err != nil {
				return err
			}
			what := "evidence"
			again := fmt.Sprintf("custody incident retain %s --days %d --purpose …", act.Incident, act.Days)
			if act.Type != "" {
				what = "evidence of type " + act.Type
				again += " --type " + act.Type
			}
			return a.moved(said, string(act.Incident), act.Seconds, fmt.Sprintf("%s of %s is kept for %d days", what, act.Incident, act.Days), again)
		},
	}
	c.Flags().Uint64Var(&act.Days, "days", 0, "days from the seal on")
	c.Flags().StringVar(&act.Type, "type", "", "only items of this type")
	c.Flags().StringVar(&purpose, "purpose", "", "why")
	c.Flags().StringVar(&second, "second", "", "the statement of the first person, at most 30 days old, sha256:…")
	return c
}
