package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
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
	Authorities []authority    `json:"authorities,omitempty"`
}

// authority is an authority of a trust file as JSON says it.
type authority struct {
	Name  string                    `json:"name"`
	Kind  custody.TimeAuthorityKind `json:"kind"`
	Roots []custody.Digest          `json:"roots"` // SHA-256 of each root's DER, as most programs print it
}

func authoritiesOf(t *custody.Trust) (list []authority, text string, err error) {
	for _, a := range t.Authorities {
		roots, between, err := a.Chain()
		if err != nil {
			return nil, "", err
		}
		said := authority{Name: a.Name, Kind: a.Kind}
		text += fmt.Sprintf("authority %s (%s)\n", a.Name, a.Kind)
		for _, c := range roots {
			said.Roots = append(said.Roots, custody.Hash(c.Raw))
			text += fmt.Sprintf("  root %s, SHA-256 %s\n", c.Subject, custody.Hash(c.Raw).Hex())
		}
		for _, c := range between {
			text += fmt.Sprintf("  below it %s\n", c.Subject)
		}
		list = append(list, said)
	}
	return list, text, nil
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
	authorities, named, err := authoritiesOf(t)
	if err != nil {
		return trusted{}, "", err
	}
	text += "\nwitnesses: " + strings.TrimSuffix(t.Witnesses, "\n") + "\n" + named
	return trusted{print, t.Origin, key, len(t.Successions), t.Witnesses, authorities}, text, nil
}

// trustIn reads a trust file; the one that is used here, where no path is given.
func (a *app) trustIn(path string) (*custody.Trust, error) {
	if path != "" {
		return readTrust(path)
	}
	trust, err := a.readTrust()
	if errors.Is(err, fs.ErrNotExist) {
		err = usagef("no trust file is used here yet: name one")
	}
	return trust, err
}

func (a *app) trustCommand() *cobra.Command {
	show := &cobra.Command{
		Use: "show [FILE]", Short: "Show a trust file, or the one that is used here", Args: atMost(1),
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
	return group("trust", "The trust file: the only thing that is believed", show, extend, a.trustWitnesses(), a.trustAuthorities())
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
			return a.newTrust(trust, out)
		},
	}
	c.Flags().StringVar(&from, "trust", "", "trust file to begin with (default: the one that is used here)")
	c.Flags().StringVar(&out, "out", "", "file to write")
	return c
}

// trustAuthorities makes a trust file that believes another time-stamping authority.
func (a *app) trustAuthorities() *cobra.Command {
	var named custody.TimeAuthority
	var certificates, kind, from, out string
	c := &cobra.Command{
		Use: "authorities [TRUST] --name NAME --kind KIND --certificates FILE --out FILE", Short: "Make a trust file that believes a time-stamping authority", Args: atMost(1),
		Long: `Writes a trust file like TRUST, or the one that is used here, that also believes a
time-stamping authority (RFC 3161) about when the log was how large; one that it
has under that name is replaced. FILE has the authority's root certificate and, where
its tokens do not carry them, those below it, in PEM.

KIND is external, qualified or local. Say qualified only where a supervisory body
lists the service as a qualified electronic time stamp: what it stamps is then shown
as presumed accurate (Article 41(2) of Regulation (EU) 910/2014). What is local is
the operator's own clock, and proves nothing to others.

Whom to believe is the decision of whoever goes by the file, and not the service's.
The new file has another fingerprint: write it on paper, and hand the file over like
the first one.`,
		Example: `  custody trust authorities trust.json --name "Example TSA" --kind external --certificates tsa.pem --out new.json`,
		RunE: func(_ *cobra.Command, args []string) error {
			var missing []string
			for _, f := range []struct{ name, said string }{{"name", named.Name}, {"kind", kind}, {"certificates", certificates}, {"out", out}} {
				if f.said == "" {
					missing = append(missing, "--"+f.name)
				}
			}
			if len(missing) > 0 {
				return usagef("missing: %s", strings.Join(missing, ", "))
			}
			if from != "" && len(args) > 0 {
				return usagef("name one trust file to begin with: as an argument, or with --trust")
			}
			var err error
			if named.Kind, err = custody.ParseTimeAuthorityKind(kind); err != nil {
				return usagef("--kind: %s is none of external, qualified and local", kind)
			}
			trust, err := a.trustIn(cmp.Or(from, strings.Join(args, "")))
			if err != nil {
				return err
			}
			b, err := os.ReadFile(certificates)
			if err != nil {
				return usageError{err}
			}
			if named.Certificates, err = custody.NormalCertificates(b); err != nil {
				return usagef("%s: %w", certificates, err)
			}
			if err := named.Check(); err != nil {
				return usageError{err}
			}
			trust.Authorities = slices.DeleteFunc(trust.Authorities, func(b custody.TimeAuthority) bool { return b.Name == named.Name })
			trust.Authorities = append(trust.Authorities, named)
			return a.newTrust(trust, out)
		},
	}
	f := c.Flags()
	f.StringVar(&named.Name, "name", "", "what to call the authority")
	f.StringVar(&kind, "kind", "", "external, qualified or local")
	f.StringVar(&certificates, "certificates", "", "PEM file with its root certificate, and those below it")
	f.StringVar(&from, "trust", "", "trust file to begin with, instead of as an argument (default: the one that is used here)")
	f.StringVar(&out, "out", "", "file to write")
	return c
}

// newTrust writes a trust file that was not there, and says what is in it.
func (a *app) newTrust(trust *custody.Trust, out string) error {
	b, err := trust.Marshal()
	if err != nil {
		return err
	}
	if _, err := custody.ParseTrust(b); err != nil {
		return usageError{err}
	}
	f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return usagef("%s is there already", out)
	}
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
}

// replaceFile writes a file beside another, and puts it in its place.
func replaceFile(path string, b []byte) error {
	next := path + ".new"
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}
