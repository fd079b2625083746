package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/custody"
)

func (a *app) incidentShred() *cobra.Command {
	var purpose, second string
	c := &cobra.Command{
		Use: "shred i-… --purpose WHY", Short: "Destroy an incident's keys, and with them its evidence (two people)", Args: exactly(1),
		Long: `Destroys the keys that an incident's evidence is encrypted under: nobody can read
it again, wherever copies of it lie. Lawful when every item's retention is over and
no hold is on any, or it is disposed of, and nothing is being taken in. From the
second person's statement on nothing is handed out, and nothing is taken in any
more. The records stay, and verify as ever; each item's history says that its bytes
are gone, by whose order, and how.
` + twoPeople,
		Example: `  custody incident shred i-abcdefghijklmnop --purpose "case closed, retention over"`,
		RunE: func(c *cobra.Command, args []string) error {
			id, err := custody.ParseIncidentID(args[0])
			if err != nil {
				return usageError{err}
			}
			if purpose == "" {
				return usagef("give --purpose")
			}
			first, err := digestFlag("second", second)
			if err != nil {
				return err
			}
			cl, _, err := a.dial(c.Context())
			if err != nil {
				return err
			}
			said, err := cl.Put(c.Context(), purpose, &custody.ShredIncident{Incident: id, Seconds: first})
			if err != nil {
				return err
			}
			return a.moved(said, string(id), first, fmt.Sprintf("the keys of %s are to be destroyed", id),
				fmt.Sprintf("custody incident shred %s --purpose …", id))
		},
	}
	c.Flags().StringVar(&purpose, "purpose", "", "why")
	c.Flags().StringVar(&second, "second", "", "the statement of the first person, sha256:…")
	return c
}
