package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/custody"
)

// readWitnessPolicy reads a policy file; no path, or "none", is no witnesses.
func readWitnessPolicy(path, logKey string) (string, error) {
	if path == "" || path == custody.NoWitnesses {
		return custody.NoWitnesses, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", usageError{err}
	}
	text, err := custody.NormalWitnessPolicy(string(b), logKey)
	if err != nil {
		return "", usagef("%s: %w", path, err)
	}
	return text, nil
}

func (a *app) logAdopt() *cobra.Command {
	var purpose, second string
	c := &cobra.Command{
		Use: "adopt FILE|none --purpose WHY", Short: "Adopt a witness policy (two administrators)", Args: exactly(1),
		Long: `Adopts a witness policy (c2sp.org/tlog-policy): whom the service asks to cosign each
checkpoint of the log, and without whose quorum it hands out no evidence. The
trust files that people have do not change: whoever is to insist on these
witnesses makes himself a new one (custody trust witnesses).
` + twoPeople,
		Example: `  custody log adopt policy.txt --purpose "our first witnesses"`,
		RunE: func(c *cobra.Command, args []string) error {
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
			key, err := cl.Trust.LogKey()
			if err != nil {
				return err
			}
			policy, err := readWitnessPolicy(args[0], key)
			if err != nil {
				return err
			}
			said, err := cl.Put(c.Context(), purpose, &custody.AdoptWitnesses{Policy: policy, Seconds: first})
			if err != nil {
				return err
			}
			return a.moved(said, "", first, "the witness policy is to be\n"+policy, "custody log adopt "+args[0]+" --purpose …")
		},
	}
	c.Flags().StringVar(&purpose, "purpose", "", "why")
	c.Flags().StringVar(&second, "second", "", "the statement of the first administrator, at most 30 days old, sha256:…")
	return c
}
