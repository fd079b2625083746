package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/api/client/keyring"
	"github.com/forensic-custody/custody/custody"
)

func (a *app) keyCommand() *cobra.Command {
	return group("key", "Your own keys", a.keyNew(), a.keyShow(), a.keyEnroll(), a.keyRevoke())
}

func (a *app) keyNew() *cobra.Command {
	var r request
	var server, trustPath, kind, agentKey string
	var useAgent bool
	c := &cobra.Command{
		Use: "new --server URL --trust FILE --name NAME --title TITLE --contact HOW", Short: "Make your key, and the request to be enrolled with it",
		Long: `Makes a key in your folder (--home), encrypted under a passphrase, or takes one
from ssh-agent. --server is https://, or http:// with a loopback address, as of a
tunnel. Writes enrolment.json: give it to an administrator. Compare the
fingerprint that is printed with the one on paper.`,
		Example: `  custody key new --server https://custody.example --trust trust.json \
    --name "Eve Okoye" --title "forensic engineer" --contact "+44 20 7946 0000"`,
		Args: exactly(0),
		RunE: func(c *cobra.Command, _ []string) error {
			if server == "" || trustPath == "" || r.Name == "" || r.Title == "" || r.Contact == "" {
				return usagef("give --server, --trust, --name, --title and --contact")
			}
			b, err := os.ReadFile(trustPath)
			if err != nil {
				return usageError{err}
			}
			trust, err := custody.ParseTrust(b)
			if err != nil {
				return usagef("%s is not a trust file: %w", trustPath, err)
			}
			if _, err := client.New(client.Config{Server: server}); err != nil {
				return usageError{err}
			}
			signer, err := a.newSigner(c, kind, useAgent, agentKey)
			if err != nil {
				return err
			}
			r.Audience, r.Key = trust.Origin, signer.Public().Bytes()
			if r.Possession, err = custody.ProvePossession(signer, trust.Origin, r.Name); err != nil {
				return err
			}
			if err := a.writeFile(homeTrust, b); err != nil {
				return err
			}
			text, err := json.Marshal(r, jsontext.WithIndent("  "))
			if err != nil {
				return err
			}
			if err := a.writeFile(requestFile, append(text, '\n')); err != nil {
				return err
			}
			if err := a.writeProfile(profile{Server: server, Key: signer.Public().ID(), Agent: useAgent}); err != nil {
				return err
			}
			print, err := trust.Fingerprint()
			if err != nil {
				return err
			}
			path, err := a.file(requestFile)
			if err != nil {
				return err
			}
			return a.answer(struct {
				Key         custody.KeyID `json:"key"`
				Request     string        `json:"request"`
				Fingerprint string        `json:"fingerprint"`
			}{signer.Public().ID(), path, print.String()},
				fmt.Sprintf("key          %s (%s)\nlog          %s\nfingerprint  %s (compare it with the one on paper)\nrequest      %s (give it to an administrator)\n",
					signer.Public().ID(), signer.Public().Algorithm(), trust.Origin, print, path))
		},
	}
	f := c.Flags()
	f.StringVar(&server, "server", "", "address of the service")
	f.StringVar(&trustPath, "trust", "", "trust file, as you were given it")
	f.StringVar(&r.Name, "name", "", "your name")
	f.StringVar(&r.Title, "title", "", "your title")
	f.StringVar(&r.Contact, "contact", "", "how you can be reached, years from now too")
	f.StringVar(&kind, "type", keyring.Ed25519, "ed25519 or p256")
	f.BoolVar(&useAgent, "agent", false, "use a key in ssh-agent instead of making one")
	f.StringVar(&agentKey, "agent-key", "", "which one, if it has several: sha256:…")
	return c
}

func (a *app) newSigner(c *cobra.Command, kind string, useAgent bool, agentKey string) (custody.Signer, error) {
	if useAgent {
		var id custody.KeyID
		if agentKey != "" {
			if err := id.UnmarshalText([]byte(agentKey)); err != nil {
				return nil, usageError{err}
			}
		}
		return keyring.Agent(c.Context(), a.getenv("SSH_AUTH_SOCK"), id)
	}
	path, err := a.file(keyFile)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err == nil {
		return nil, fmt.Errorf("%s is there already; a key is never overwritten", path)
	}
	secret, err := a.secret("new passphrase for "+path, true)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return keyring.New(path, kind, secret)
}

func (a *app) keyShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show which key and principal you are", Args: exactly(0), Example: "  custody key show",
		RunE: func(*cobra.Command, []string) error {
			p, err := a.readProfile()
			if err != nil {
				return err
			}
			return a.answer(p, fmt.Sprintf("key        %s\nprincipal  %s\nserver     %s\n", p.Key, p.Principal, p.Server))
		},
	}
}

func (a *app) keyEnroll() *cobra.Command {
	return &cobra.Command{
		Use: "enroll REQUEST", Short: "Add a further key of your own, signed by this one", Args: exactly(1),
		Long: `Adds a key to yours. Make the request with custody key new in another --home,
with your principal's identifier as --name.`,
		Example: "  custody --home ./laptop2 key new --name p-… …\n  custody key enroll ./laptop2/enrolment.json",
		RunE: func(c *cobra.Command, args []string) error {
			r, err := readRequest(args[0])
			if err != nil {
				return err
			}
			cl, p, err := a.dial(c.Context())
			if err != nil {
				return err
			}
			if r.Name != string(p.Principal) {
				return usagef("the request is for %q; a further key of yours is requested with --name %s", r.Name, p.Principal)
			}
			said, err := cl.Put(c.Context(), "", &custody.EnrolKey{Key: r.Key, Possession: r.Possession})
			if err != nil {
				return err
			}
			return a.said(said, fmt.Sprintf("key %s is yours now; in its home run: custody login --principal %s", custody.Hash(r.Key), p.Principal))
		},
	}
}

func (a *app) keyRevoke() *cobra.Command {
	var who, why string
	c := &cobra.Command{
		Use: "revoke KEY --purpose WHY", Short: "Make a key unusable, at once", Args: exactly(1),
		Long:    "Makes a key unusable from now on. What it signed before stays valid.",
		Example: `  custody key revoke sha256:… --purpose "laptop stolen"`,
		RunE: func(c *cobra.Command, args []string) error {
			var key custody.KeyID
			if err := key.UnmarshalText([]byte(args[0])); err != nil {
				return usageError{err}
			}
			cl, p, err := a.dial(c.Context())
			if err != nil {
				return err
			}
			holder := p.Principal
			if who != "" {
				holder = custody.PrincipalID(who)
			}
			said, err := cl.Put(c.Context(), why, &custody.RevokeKey{Key: key, Principal: holder})
			if err != nil {
				return err
			}
			return a.said(said, "revoked "+args[0])
		},
	}
	c.Flags().StringVar(&who, "principal", "", "whose key it is (default: yours)")
	c.Flags().StringVar(&why, "purpose", "", "why")
	return c
}

// proof is what every command that puts something on record prints with --json.
type proof struct {
	ID      string         `json:"id,omitempty"` // of what came into being
	Payload custody.Digest `json:"payload"`      // of the statement
	Stream  custody.Stream `json:"stream"`
	Index   uint64         `json:"index"`  // in the log
	Size    uint64         `json:"size"`   // of the log at the checkpoint
	Quorum  custody.Quorum `json:"quorum"` // of witnesses over the checkpoint, by the trust file
	Receipt string         `json:"receipt"`
}

func proofOf(s *client.Said, id string) proof {
	return proof{
		ID: id, Payload: s.Payload, Stream: s.Record.Stream, Index: s.Receipt.Index,
		Size: s.Point.Size, Quorum: s.Point.Quorum, Receipt: string(s.Receipt.Marshal()),
	}
}

// said prints that something is on record.
func (a *app) said(s *client.Said, what string) error { return a.saidOf(s, "", what) }

func (a *app) saidOf(s *client.Said, id, what string) error {
	return a.answer(proofOf(s, id), fmt.Sprintf("%s\non record as leaf %d of the log (proven at size %d; %s)\n", what, s.Receipt.Index, s.Point.Size, s.Point))
}

func (a *app) loginCommand() *cobra.Command {
	var who string
	c := &cobra.Command{
		Use: "login [--principal p-…]", Short: "Open a session", Args: exactly(0),
		Long: `Opens a session with a signed statement and remembers it for the next commands.
--principal says who you are, once, after an administrator has enrolled you.`,
		Example: "  custody login --principal p-abcdefghijklmnop",
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.readProfile()
			if err != nil {
				return err
			}
			if who != "" {
				if p.Principal, err = custody.ParsePrincipalID(who); err != nil {
					return usageError{err}
				}
			}
			if p.Principal == "" {
				return usagef("say who you are, once: --principal p-… (the administrator who enrolled you knows)")
			}
			if err := a.writeFile(sessionFile, nil); err != nil {
				return err
			}
			cl, err := a.client(c.Context(), p)
			if err != nil {
				return err
			}
			if err := a.keep(c.Context(), cl); err != nil {
				return err
			}
			if err := a.writeProfile(p); err != nil {
				return err
			}
			return a.whoami(c, cl)
		},
	}
	c.Flags().StringVar(&who, "principal", "", "who you are")
	return c
}

func (a *app) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "End the session", Args: exactly(0), Example: "  custody logout",
		RunE: func(c *cobra.Command, _ []string) error {
			cl, _, err := a.dial(c.Context())
			if err != nil {
				return err
			}
			if cl.Token != "" {
				if err := cl.Logout(c.Context()); err != nil {
					return err
				}
			}
			if err := a.writeFile(sessionFile, nil); err != nil {
				return err
			}
			return a.answer(struct {
				Ended bool `json:"ended"` // there was a session
			}{cl.Token != ""}, "")
		},
	}
}

func (a *app) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Show who you are to the service", Args: exactly(0), Example: "  custody whoami",
		RunE: func(c *cobra.Command, _ []string) error {
			cl, _, err := a.dial(c.Context())
			if err != nil {
				return err
			}
			if err := a.whoami(c, cl); err != nil {
				return err
			}
			return a.keep(c.Context(), cl)
		},
	}
}

func (a *app) whoami(c *cobra.Command, cl *client.Client) error {
	p, err := cl.Whoami(c.Context())
	if err != nil {
		return err
	}
	return a.answer(p, showPrincipal(p))
}

func showPrincipal(p api.Principal) string {
	state := ""
	if p.Suspended {
		state = "  SUSPENDED"
	}
	roles := make([]string, len(p.Roles))
	for i, r := range p.Roles {
		roles[i] = string(r)
	}
	return fmt.Sprintf("%s  %s, %s (%s)  [%s]%s\n", p.ID, p.Name, p.Title, p.Contact, strings.Join(roles, " "), state)
}

func (a *app) principalCommand() *cobra.Command {
	return group("principal", "People: enroll, list, suspend",
		a.principalEnroll(), a.principalList(), a.principalShow(),
		a.onPrincipal("suspend", "Make all keys of somebody unusable, at once", func(id custody.PrincipalID) custody.Act {
			return &custody.SuspendPrincipal{Principal: id}
		}),
		a.onPrincipal("reinstate", "End a suspension", func(id custody.PrincipalID) custody.Act {
			return &custody.ReinstatePrincipal{Principal: id}
		}),
	)
}

func (a *app) principalEnroll() *cobra.Command {
	var first bool
	var code string
	var roles []string
	c := &cobra.Command{
		Use: "enroll REQUEST [--role ROLE …]", Short: "Enroll somebody with his key, and grant roles", Args: cobra.ArbitraryArgs,
		Long: `Enrolls whoever made the request (custody key new). Ask him for his key's id
another way, and compare. --first enrolls yourself as the first administrator,
with the code that the service printed.`,
		Example: `  custody principal enroll --first --code abcd-efgh-ijkl-mnop
  custody principal enroll eve/enrolment.json --role forensic-engineer`,
		RunE: func(c *cobra.Command, args []string) error {
			if first && len(args) > 0 {
				return usagef("--first takes no request: it enrolls yourself")
			}
			if first {
				return a.enrollFirst(c, code)
			}
			if len(args) != 1 {
				return usagef("give one file, the request of whom to enroll")
			}
			for _, r := range roles {
				if !slices.Contains(custody.Roles(), custody.Role(r)) {
					return usagef("role %q is none of %q", r, custody.Roles())
				}
			}
			if len(roles) > 1 && slices.Contains(roles, string(custody.RoleAdministrator)) {
				return usagef("an administrator holds no other role, so that who decides about rights has none over evidence")
			}
			r, err := readRequest(args[0])
			if err != nil {
				return err
			}
			cl, _, err := a.dial(c.Context())
			if err != nil {
				return err
			}
			said, err := cl.Put(c.Context(), "", r.act())
			if err != nil {
				return err
			}
			id := custody.NewPrincipalID(said.Payload)
			for _, role := range roles {
				if _, err := cl.Put(c.Context(), "", &custody.GrantRole{Principal: id, Role: custody.Role(role)}); err != nil {
					return fmt.Errorf("%s is enrolled as %s; granting %s: %w", r.Name, id, role, err)
				}
			}
			held := strings.Join(roles, " ")
			if held == "" {
				held = fmt.Sprintf("none yet, so they can do nothing: custody role grant %s ROLE", id)
			}
			return a.saidOf(said, string(id), fmt.Sprintf("enrolled %s as %s, key %s\nroles: %s\nThey run: custody login --principal %s",
				r.Name, id, custody.Hash(r.Key), held, id))
		},
	}
	c.Flags().BoolVar(&first, "first", false, "enroll yourself as the first administrator")
	c.Flags().StringVar(&code, "code", "", "the one-time code that the service printed at its start")
	c.Flags().StringSliceVar(&roles, "role", nil, "grant this role too; may be repeated")
	return c
}

func (a *app) enrollFirst(c *cobra.Command, code string) error {
	if code == "" {
		return usagef("give --code: the service printed it at its start")
	}
	p, err := a.readProfile()
	if err != nil {
		return err
	}
	path, err := a.file(requestFile)
	if err != nil {
		return err
	}
	r, err := readRequest(path)
	if err != nil {
		return err
	}
	p.Principal = ""
	cl, err := a.client(c.Context(), p)
	if err != nil {
		return err
	}
	said, err := cl.Enrol(c.Context(), r.act(), code)
	if err != nil {
		return err
	}
	p.Principal = custody.NewPrincipalID(said.Payload)
	if err := a.writeProfile(p); err != nil {
		return err
	}
	return a.saidOf(said, string(p.Principal), fmt.Sprintf("you are %s, the first administrator", p.Principal))
}

func (a *app) principalList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List everybody", Args: exactly(0), Example: "  custody principal list",
		RunE: func(c *cobra.Command, _ []string) error {
			ask := func(cl *client.Client) (api.Principals, error) { return cl.Principals(c.Context()) }
			return display(c.Context(), a, ask, func(list api.Principals) string {
				text := ""
				for _, p := range list.Principals {
					text += showPrincipal(p)
				}
				return text
			})
		},
	}
}

func (a *app) principalShow() *cobra.Command {
	return &cobra.Command{
		Use: "show p-…", Short: "Show one principal", Args: exactly(1), Example: "  custody principal show p-abcdefghijklmnop",
		RunE: func(c *cobra.Command, args []string) error {
			ask := func(cl *client.Client) (api.Principal, error) {
				list, err := cl.Principals(c.Context())
				if err != nil {
					return api.Principal{}, err
				}
				n := slices.IndexFunc(list.Principals, func(p api.Principal) bool { return string(p.ID) == args[0] })
				if n < 0 {
					return api.Principal{}, fmt.Errorf("no such principal: %s", args[0])
				}
				return list.Principals[n], nil
			}
			return display(c.Context(), a, ask, func(p api.Principal) string {
				text := showPrincipal(p)
				for _, k := range p.Keys {
					text += "  key " + k.String() + "\n"
				}
				return text
			})
		},
	}
}

// onPrincipal is a verb that takes a principal and a purpose.
func (a *app) onPrincipal(verb, what string, act func(custody.PrincipalID) custody.Act) *cobra.Command {
	var why string
	c := &cobra.Command{
		Use: verb + " p-… --purpose WHY", Short: what, Args: exactly(1),
		Example: fmt.Sprintf("  custody principal %s p-abcdefghijklmnop --purpose \"…\"", verb),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := custody.ParsePrincipalID(args[0])
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
			said, err := cl.Put(c.Context(), why, act(id))
			if err != nil {
				return err
			}
			return a.said(said, verb+" "+args[0]+": done")
		},
	}
	c.Flags().StringVar(&why, "purpose", "", "why")
	return c
}

func (a *app) roleCommand() *cobra.Command {
	verb := func(verb, what string, act func(custody.PrincipalID, custody.Role) custody.Act) *cobra.Command {
		return &cobra.Command{
			Use: verb + " p-… ROLE", Short: what, Args: exactly(2),
			Example: fmt.Sprintf("  custody role %s p-abcdefghijklmnop legal-advisor", verb),
			RunE: func(c *cobra.Command, args []string) error {
				id, err := custody.ParsePrincipalID(args[0])
				if err != nil {
					return usageError{err}
				}
				if !slices.Contains(custody.Roles(), custody.Role(args[1])) {
					return usagef("role %q is none of %q", args[1], custody.Roles())
				}
				cl, _, err := a.dial(c.Context())
				if err != nil {
					return err
				}
				said, err := cl.Put(c.Context(), "", act(id, custody.Role(args[1])))
				if err != nil {
					return err
				}
				return a.said(said, fmt.Sprintf("%s %s %s: done", verb, args[0], args[1]))
			},
		}
	}
	list := &cobra.Command{
		Use: "list", Short: "List the roles", Args: exactly(0), Example: "  custody role list",
		RunE: func(*cobra.Command, []string) error {
			text := ""
			for _, r := range custody.Roles() {
				text += string(r) + "\n"
			}
			return a.answer(struct {
				Roles []custody.Role `json:"roles"`
			}{custody.Roles()}, text)
		},
	}
	return group("role", "What people may do",
		verb("grant", "Grant a role", func(id custody.PrincipalID, r custody.Role) custody.Act {
			return &custody.GrantRole{Principal: id, Role: r}
		}),
		verb("revoke", "Revoke a role, at once", func(id custody.PrincipalID, r custody.Role) custody.Act {
			return &custody.RevokeRole{Principal: id, Role: r}
		}),
		list)
}
