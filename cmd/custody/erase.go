package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

func (a *app) recordCommand() *cobra.Command {
	return group("record", "Records: show those of a stream, erase one by order of two people", a.recordHistory(), a.recordErase())
}

func (a *app) recordHistory() *cobra.Command {
	return &cobra.Command{
		Use: "history STREAM", Short: "Show the records of a stream", Args: exactly(1),
		Long: `Shows the records of a stream (policy, incidents, incident/i-…, evidence/e-…,
principal/p-…), each verified here against the trust file: that it is in the log and
follows the one before it, or is erased by order of two people.`,
		Example: "  custody record history p-abcdefghijklmnop",
		RunE: func(c *cobra.Command, args []string) error {
			s, err := parseStream(args[0])
			if err != nil {
				return err
			}
			return a.history(c.Context(), s)
		},
	}
}

func (a *app) recordErase() *cobra.Command {
	var authority, purpose, second string
	c := &cobra.Command{
		Use: "erase STREAM SEQUENCE --authority WHO --purpose WHY", Short: "Erase a record (two people)", Args: exactly(2),
		Long: `Destroys a record's bytes and its opening, so that nobody can tell any more what
stands for it in the log; its place there, and every proof, stay. Whoever reads the
stream sees that it was erased, and by whose order. What can be erased: refusals,
sessions, exports, requests for a check that were answered, receipts, releases that
finished. What later decisions depend on cannot, nor a record of an item on legal
hold, nor what you said yourself. What others have kept of it is not reached.
` + twoPeople,
		Example: `  custody record erase e-abcdefghijklmnop 5 --authority "GDPR 17, request 12/26" --purpose "he asked for it"`,
		RunE: func(c *cobra.Command, args []string) error {
			s, err := parseStream(args[0])
			if err != nil {
				return err
			}
			sequence, err := strconv.ParseUint(args[1], 10, 53)
			if err != nil {
				return usagef("%q is not the sequence of a record", args[1])
			}
			if authority == "" || purpose == "" {
				return usagef("give --authority and --purpose")
			}
			first, err := digestFlag("second", second)
			if err != nil {
				return err
			}
			cl, _, err := a.dial(c.Context())
			if err != nil {
				return err
			}
			act, err := erasing(c.Context(), cl, s, sequence)
			if err != nil {
				return err
			}
			act.Authority, act.Seconds = authority, first
			said, err := cl.Put(c.Context(), purpose, act)
			if err != nil {
				return err
			}
			return a.moved(said, string(s), first, fmt.Sprintf("record %d of %s (%s) is to be erased", sequence, s, act.Was),
				fmt.Sprintf("custody record erase %s %d --authority %q --purpose …", s, sequence, authority))
		},
	}
	c.Flags().StringVar(&authority, "authority", "", "who or what asks for it, with a reference")
	c.Flags().StringVar(&purpose, "purpose", "", "why")
	c.Flags().StringVar(&second, "second", "", "the statement of the first person, sha256:…")
	return c
}

// erasing says of a record what an order to erase it has to, as it was read back
// and verified here.
func erasing(ctx context.Context, cl *client.Client, s custody.Stream, sequence uint64) (*custody.EraseRecord, error) {
	list, err := cl.Records(ctx, s)
	if err != nil {
		return nil, err
	}
	if sequence >= uint64(len(list)) {
		return nil, usagef("%s has %d records, from 0", s, len(list))
	}
	r := list[sequence]
	if r.Record == nil {
		return nil, usagef("record %d of %s is erased", sequence, s)
	}
	leaf, err := r.Receipt.Leaf(r.Raw)
	if err != nil {
		return nil, err
	}
	said, err := r.Record.Envelope.Statement(investigate.Words())
	if err != nil {
		return nil, err
	}
	act := &custody.EraseRecord{Commitment: leaf.Commitment(), Refused: !r.Record.Decision.Permit, Sequence: sequence, Stream: s, Was: said.Kind}
	if act.Refused {
		return act, nil
	}
	switch said := said.Act.(type) {
	case *custody.ReceiveEvidence:
		act.Grant = said.Grant
	case *custody.ReleaseEvidence:
		act.Grant = said.Grant
	}
	return act, nil
}
