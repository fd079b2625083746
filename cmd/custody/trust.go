package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/custody"
)

// trusted is a trust file as JSON says it.
type trusted struct {
	Fingerprint custody.Digest `json:"fingerprint"`
	Origin      string         `json:"origin"`
	Log         string         `json:"log"`       // verifier key that the log signs with now
	Replaced    int            `json:"replaced"`  // how often a key of the log gave way
	Witnesses   string         `json:"witnesses"` // the policy
}

func trustedOf(t *custody.Trust) (trusted, string, error) {
	print, err := t.Fingerprint()
	if err != nil {
		return trusted{}, "", err
	}
	key, err := t.LogKey()
	if err != nil {
		return trusted{}, "", err
	}
	text := fmt.Sprintf("%s\nfingerprint %s\nlog key %s", t.Origin, print, key)
	if n := len(t.Successions); n > 0 {
		text += fmt.Sprintf(", after %d before it", n)
	}
	return trusted{print, t.Origin, key, len(t.Successions), t.Witnesses}, text + "\nwitnesses: " + t.Witnesses + "\n", nil
}

// trustIn reads a trust file; the one that is used here, where no path is given.
func (a *app) trustIn(path string) (*custody.Trust, error) {
	if path == "" {
		return a.readTrust()
	}
	return readTrust(path)
}

func (a *app) trustCommand() *cobra.Command {
	show := &cobra.Command{
		Use: "show [FILE]", Short: "Show a trust file, or the one that is used here", Args: cobra.MaximumNArgs(1),
		Long:    `Shows what a trust file says. Its fingerprint stays the same when a key of the log gives way to another.`,
		Example: `  custody trust show trust.json`,
		RunE: func(_ *cobra.Command, args []string) error {
			trust, err := a.trustIn(strings.Join(args, ""))
			if err != nil {
				return err
			}
			out, text, err := trustedOf(trust)
			if err != nil {
				return err
			}
			return a.answer(out, text)
		},
	}
	var old string
	extend := &cobra.Command{
		Use: "extend FILE", Short: "Take over that a key of the log gave way to another", Args: exactly(1),
		Long: `Takes from FILE, the service's present trust.json, that keys of the log gave way to
others. Nothing in it has to be believed: it must be the trust file that is used
here, with the same fingerprint, and each new key must be signed by the one before.
Receipts and bundles of before stay valid.`,
		Example: `  custody trust extend trust.json
  custody trust extend new.json --trust trust.json`,
		RunE: func(_ *cobra.Command, args []string) error {
			by, err := readTrust(args[0])
			if err != nil {
				return err
			}
			was, err := a.trustIn(old)
			if err != nil {
				return err
			}
			trust, err := was.Extend(by)
			if err != nil {
				return refusedf("%w", err)
			}
			b, err := trust.Marshal()
			if err != nil {
				return err
			}
			if old != "" {
				err = replaceFile(old, b)
			} else {
				err = a.writeFile(homeTrust, b)
			}
			if err != nil {
				return err
			}
			out, text, err := trustedOf(trust)
			if err != nil {
				return err
			}
			return a.answer(out, text)
		},
	}
	extend.Flags().StringVar(&old, "trust", "", "trust file to extend (default: the one that is used here)")
	return group("trust", "The trust file: the only thing that is believed", show, extend, a.trustWitnesses())
}

// trustWitnesses makes a trust file that asks for other witnesses.
func (a *app) trustWitnesses() *cobra.Command {
	var from, out string
	c := &cobra.Command{
		Use: "witnesses POLICY --out FILE", Short: "Make a trust file that insists on these witnesses", Args: exactly(1),
		Long: `Writes a trust file like the one that is used here, or --trust, but with another
witness policy: whoever goes by it insists on these witnesses from then on, in what
is proven to him. That is his own decision and not the service's. It has another
fingerprint: write it on paper, and hand the file over like the first one.`,
		Example: `  custody trust witnesses policy.txt --out trust.json`,
		RunE: func(_ *cobra.Command, args []string) error {
			if out == "" {
				return usagef("give --out")
			}
			trust, err := a.trustIn(from)
			if err != nil {
				return err
			}
			key, err := trust.LogKey()
			if err != nil {
				return err
			}
			if trust.Witnesses, err = readWitnessPolicy(args[0], key); err != nil {
				return err
			}
			b, err := trust.Marshal()
			if err != nil {
				return err
			}
			f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return usageError{err}
			}
			_, err = f.Write(b)
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
			said, text, err := trustedOf(trust)
			if err != nil {
				return err
			}
			return a.answer(said, text)
		},
	}
	c.Flags().StringVar(&from, "trust", "", "trust file to begin with (default: the one that is used here)")
	c.Flags().StringVar(&out, "out", "", "file to write")
	return c
}

// replaceFile writes a file beside another, and puts it in its place.
func replaceFile(path string, b []byte) error {
	next := path + ".new"
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}
