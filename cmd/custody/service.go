package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/cmd/house"
	"github.com/forensic-custody/custody/custody"
)

func (a *app) initCommand() *cobra.Command {
	var dir, origin, listen string
	var s3 house.S3
	var witnesses string
	var escrow []string
	var log house.Trillian
	var unlocked, create bool
	var authorities []string
	c := &cobra.Command{
		Use: "init --dir DIR --origin NAME", Short: "Make a service in a new folder", Args: exactly(0),
		Long: `Makes keys, databases and the log of a new service, and its genesis record.
Prints the fingerprint of the trust file: write it on paper. Whoever verifies
anything later compares it with the trust file he was given.`,
		Example: `  custody init --dir ./service --origin custody.example/team
  custody init --dir ./service --origin custody.example/team --witnesses policy.txt
  custody init --dir ./service --origin custody.example/team --s3-create \
    --s3-endpoint https://s3.example --s3-bucket evidence \
    --s3-access-key-file a.key --s3-secret-key-file s.key
  custody init --dir ./service --origin custody.example/team --trillian 127.0.0.1:8090
  custody init --dir ./service --origin custody.example/team \
    --authority "Example TSA=https://tsa.example/tsr,tsa.pem" --authority "our clock"`,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" || origin == "" {
				return usagef("give --dir and --origin")
			}
			config := house.Default(origin)
			config.Listen, config.Escrow, config.Unlocked = listen, escrow, unlocked
			if s3.Endpoint != "" {
				if err := absolute(&s3.AccessKeyFile, &s3.SecretKeyFile); err != nil {
					return err
				}
				config.Folder, config.S3 = "", &s3
				if create {
					if err := house.MakeBucket(c.Context(), s3); err != nil {
						return err
					}
				}
			}
			if log.Address != "" {
				if log.CA != "" {
					if err := absolute(&log.CA); err != nil {
						return err
					}
				}
				config.Trillian = &log
			}
			for _, text := range authorities {
				named, err := parseAuthority(text)
				if err != nil {
					return err
				}
				config.Authorities = append(config.Authorities, named)
			}
			policy, err := readWitnessPolicy(witnesses, "")
			if err != nil {
				return err
			}
			trust, err := house.CreateWitnessed(c.Context(), dir, config, policy)
			if err != nil {
				return err
			}
			print, err := trust.Fingerprint()
			if err != nil {
				return err
			}
			path := filepath.Join(dir, "trust.json")
			a.say("warning: the lock file lies beside the log; set lockFile in %s to another volume, so that restoring one does not turn back the other", filepath.Join(dir, "config.json"))
			return a.answer(struct {
				Dir         string `json:"dir"`
				Origin      string `json:"origin"`
				Trust       string `json:"trust"`
				Fingerprint string `json:"fingerprint"`
			}{dir, origin, path, print.String()},
				fmt.Sprintf("made the service %s in %s\ntrust file   %s\nfingerprint  %s\nWrite the fingerprint on paper. Next: custody serve --dir %s\n", origin, dir, path, print, dir))
		},
	}
	f := c.Flags()
	f.StringVar(&dir, "dir", "", "the new folder")
	f.StringVar(&origin, "origin", "", "name of the log: like custody.example/team, used by nobody else, never changed")
	f.StringVar(&listen, "listen", "127.0.0.1:8420", "address to serve at; beyond loopback only with TLS (config.json)")
	f.StringVar(&witnesses, "witnesses", "", "file with the log's witness policy (c2sp.org/tlog-policy): without its quorum nothing is handed out")
	f.StringArrayVar(&authorities, "authority", nil, "a time-stamping authority (RFC 3161), NAME=URL,CERTIFICATES[,KIND]: where it is asked, the PEM file of its root, external (default) or qualified; NAME alone is the service's own clock")
	f.StringVar(&s3.Endpoint, "s3-endpoint", "", "keep evidence on this S3 server: https://host[:port], or http:// on loopback")
	f.StringVar(&s3.Bucket, "s3-bucket", "", "its bucket, which exists, with versions and object lock")
	f.BoolVar(&create, "s3-create", false, "make the bucket, with versions and object lock")
	f.BoolVar(&unlocked, "unlocked", false, "take evidence in on a bucket without object lock; every bundle will say so")
	f.StringArrayVar(&escrow, "escrow", nil, "an age recipient for whom the keys of evidence are wrapped too: age1…")
	f.StringVar(&log.Address, "trillian", "", "keep the log on this Trillian log server, in a new tree: host:port of its gRPC")
	f.StringVar(&log.CA, "trillian-ca", "", "PEM file with the certificates by which it is known; needed beyond loopback")
	f.StringVar(&s3.Region, "s3-region", "", "its region")
	f.StringVar(&s3.AccessKeyFile, "s3-access-key-file", "", "file with the access key, mode 0600")
	f.StringVar(&s3.SecretKeyFile, "s3-secret-key-file", "", "file with the secret key, mode 0600")
	return c
}

// parseAuthority reads NAME=URL,CERTIFICATES[,KIND], or NAME.
func parseAuthority(text string) (house.Authority, error) {
	name, rest, asked := strings.Cut(text, "=")
	named := house.Authority{Name: name, Kind: custody.LocalAuthority}
	if !asked {
		return named, nil
	}
	parts := strings.Split(rest, ",")
	if len(parts) < 2 || len(parts) > 3 {
		return named, usagef("--authority %s is not NAME=URL,CERTIFICATES[,KIND]", text)
	}
	named.URL, named.Certificates, named.Kind = parts[0], parts[1], custody.ExternalAuthority
	if len(parts) == 3 {
		kind, err := custody.ParseTimeAuthorityKind(parts[2])
		if err != nil {
			return named, usageError{err}
		}
		named.Kind = kind
	}
	return named, absolute(&named.Certificates)
}

func (a *app) rewrapCommand() *cobra.Command {
	var dir, escrow string
	c := &cobra.Command{
		Use: "rewrap --dir DIR", Short: "Give a stopped service a new key for the keys of evidence", Args: exactly(0),
		Long: `Makes a new identity for a service that does not run, and wraps the keys of every
incident for it: after a theft, a change of staff, or from time to time. With
--escrow, from an escrow's identity, when the service's own is lost. No evidence
is read or written. Interrupted, the same command goes on.`,
		Example: `  custody rewrap --dir ./service
  custody rewrap --dir ./service --escrow /media/safe/escrow.age`,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" {
				return usagef("give --dir")
			}
			n, err := house.Rewrap(c.Context(), dir, escrow)
			if err != nil {
				return err
			}
			return a.answer(struct {
				Incidents int `json:"incidents"`
			}{n}, fmt.Sprintf("the keys of %d incidents are wrapped for the service's new identity, which is in keys/storage.age: back it up\n", n))
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "the service's folder")
	c.Flags().StringVar(&escrow, "escrow", "", "file with an escrow's age identity, mode 0600")
	return c
}

func (a *app) rekeyCommand() *cobra.Command {
	var dir string
	var log bool
	c := &cobra.Command{
		Use: "rekey --dir DIR", Short: "Give a stopped service a new key for what it says, or its log one", Args: exactly(0),
		Long: `Makes a new key for the statements of a service that does not run: after a theft,
a change of staff, or from time to time. The old key enrols the new one, the new
one revokes the old, both on record. What the old one signed stays valid.
Interrupted, the same command goes on.

With --log it is the key of the log that gives way to a new one: both sign with which
checkpoint, on record and in trust.json. Give the new trust.json to everybody who has
the old one: they take it over with "custody trust extend", which believes nothing in
it that the old one does not vouch for. Witnesses of others have to be told the new
key, which is printed, beside the old one.`,
		Example: `  custody rekey --dir ./service
  custody rekey --dir ./service --log`,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" {
				return usagef("give --dir")
			}
			if log {
				return a.relog(c.Context(), dir)
			}
			id, err := house.Rekey(c.Context(), dir, slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
			if err != nil {
				return err
			}
			return a.answer(struct {
				Key custody.KeyID `json:"key"`
			}{id}, fmt.Sprintf("the service signs with the key %s from now on, which is in keys/service.pem: back it up\n", id))
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "the service's folder")
	c.Flags().BoolVar(&log, "log", false, "the key of the log")
	return c
}

// relog replaces the key of the log.
func (a *app) relog(ctx context.Context, dir string) error {
	trust, err := house.RekeyLog(ctx, dir, slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return err
	}
	out, text, err := trustedOf(trust)
	if err != nil {
		return err
	}
	return a.answer(out, text+"the log signs with this key from now on, which is in keys/log.note: back it up, and give everybody the new trust.json\n")
}

func absolute(paths ...*string) error {
	for _, p := range paths {
		full, err := filepath.Abs(*p)
		if err != nil {
			return err
		}
		*p = full
	}
	return nil
}

func (a *app) serveCommand() *cobra.Command {
	var dir string
	var verbose bool
	c := &cobra.Command{
		Use: "serve --dir DIR", Short: "Run the service", Args: exactly(0),
		Long: `Runs the service in its folder until it is interrupted. The first start of a new
service prints a one-time code that enrols the first administrator; it is valid
for 15 minutes, and a restart prints another.`,
		Example: `  custody serve --dir ./service`,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" {
				return usagef("give --dir")
			}
			level := slog.LevelInfo
			if verbose {
				level = slog.LevelDebug
			}
			logger := slog.New(slog.NewJSONHandler(a.stderr, &slog.HandlerOptions{Level: level}))
			begun := time.Now()
			h, err := house.Open(c.Context(), dir, logger)
			if err != nil {
				return err
			}
			err = h.Serve(c.Context(), func(at net.Addr) { a.serving(h, dir, at, begun) })
			if closing := h.Close(); err == nil {
				err = closing
			}
			return err
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "the service's folder")
	c.Flags().BoolVar(&verbose, "verbose", false, "log every request")
	return c
}

// serving tells whoever started the service what to do next.
func (a *app) serving(h *house.House, dir string, at net.Addr, begun time.Time) {
	scheme := "http"
	if h.Config.Certificate != "" {
		scheme = "https"
	}
	url := scheme + "://" + at.String()
	a.say("custody: serving %s at %s (ready in %d ms)", h.Config.Origin, url, time.Since(begun).Milliseconds())
	switch is, err := h.Witnessed(context.Background()); {
	case err != nil:
		a.say("custody: who cosigned the log cannot be told: %v", err)
	case is.Quorum == custody.NoWitness:
		a.say("custody: no outside witness: a rollback of this log can be told only by whoever kept a receipt")
	case is.Quorum == custody.QuorumNotMet:
		a.say("custody: NOTHING IS HANDED OUT until the witnesses answer: the log at size %d is %s", is.Size, is)
	default:
		a.say("custody: the log at size %d is %s", is.Size, is)
	}
	if h.Code != "" {
		a.say(`custody: nobody is enrolled yet. The first administrator runs, within 15 minutes:
  custody key new --server %s --trust %s --name "…" --title "…" --contact "…"
  custody principal enroll --first --code %s`, url, filepath.Join(dir, "trust.json"), h.Code)
	}
}
