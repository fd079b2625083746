package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/ledger/monitor"
)

func (a *app) bundleCommand() *cobra.Command {
	return group("bundle", "Portable proofs: export, verify, redact, excerpt", a.bundleExport(), a.bundleVerify(), a.bundleRedact(), a.bundleExcerpt())
}

func (a *app) bundleExport() *cobra.Command {
	var out, purpose string
	var noLeaves, withArtifact bool
	c := &cobra.Command{
		Use: "export e-…|i-… -o FILE --purpose WHY", Short: "Take out the proof of an item, or of an incident with all its items", Args: exactly(1),
		Long: `Writes one file with all records of the item, the policy, the enrolment of
everybody who signed, and the log's leaves. The export itself is on record.
It holds no evidence, so hand the artifact over beside it; or, up to 8 GiB and if
you may retrieve it, put it into the bundle with --with-artifact.

Of an incident it holds the incident's own records and those of all its items, also
of those that were announced and never sealed.

It also holds what everybody who signed has signed elsewhere in the same log, and
what they were refused: read it (custody bundle verify) before you hand it over, and
withhold what is nobody's business with custody bundle redact.`,
		Example: `  custody bundle export e-abcdefghijklmnop -o EX-1.bundle --purpose "disclosure to the defence"
  custody bundle export e-abcdefghijklmnop -o EX-1.bundle --with-artifact --purpose "expert opinion"
  custody bundle export i-abcdefghijklmnop -o incident.bundle --purpose "handed to the public prosecutor"`,
		RunE: func(c *cobra.Command, args []string) error {
			if out == "" || purpose == "" {
				return usagef("give -o and --purpose")
			}
			if i, err := custody.ParseIncidentID(args[0]); err == nil {
				if withArtifact {
					return usagef("the bundle of an incident holds no artifact")
				}
				return a.exportIncident(c.Context(), i, out, purpose, !noLeaves)
			}
			id, err := custody.ParseEvidenceID(args[0])
			if err != nil {
				return usageError{err}
			}
			if withArtifact {
				return a.exportWhole(c.Context(), id, out, purpose, !noLeaves)
			}
			return a.export(c.Context(), id, out, purpose, !noLeaves)
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "file to write, which must not exist")
	c.Flags().StringVar(&purpose, "purpose", "", "why")
	c.Flags().BoolVar(&withArtifact, "with-artifact", false, "retrieve the artifact, which goes on record, and put it into the bundle")
	c.Flags().BoolVar(&noLeaves, "no-leaves", false, "leave the log's leaves out: smaller, and then nobody can tell from it that no later record exists")
	return c
}

func (a *app) export(ctx context.Context, id custody.EvidenceID, out, purpose string, leaves bool) error {
	return a.exportTo(ctx, out, func(cl *client.Client, w io.Writer) error {
		if _, err := cl.Evidence(ctx, id); err != nil {
			return err
		}
		return cl.Bundle(ctx, purpose, id, leaves, w)
	})
}

func (a *app) exportIncident(ctx context.Context, id custody.IncidentID, out, purpose string, leaves bool) error {
	return a.exportTo(ctx, out, func(cl *client.Client, w io.Writer) error {
		if _, err := cl.Incident(ctx, id); err != nil {
			return err
		}
		return cl.IncidentBundle(ctx, purpose, id, leaves, w)
	})
}

// exportWhole exports a bundle with the artifact in it: retrieved first, so that
// the retrieval stands in the bundle.
func (a *app) exportWhole(ctx context.Context, id custody.EvidenceID, out, purpose string, leaves bool) error {
	if out == "-" {
		return usagef("a bundle with its artifact goes to a file")
	}
	return a.exportTo(ctx, out, func(cl *client.Client, w io.Writer) (err error) {
		if _, err := cl.Evidence(ctx, id); err != nil {
			return err
		}
		dir, err := os.MkdirTemp(filepath.Dir(out), ".custody-export-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		artifact, err := os.Create(filepath.Join(dir, "artifact"))
		if err != nil {
			return err
		}
		defer func() { _ = artifact.Close() }()
		got, err := cl.RetrieveInto(ctx, purpose, id, 0, 0, artifact, false, nil)
		if err != nil {
			return err
		}
		records, err := os.Create(filepath.Join(dir, "records"))
		if err != nil {
			return err
		}
		defer func() { _ = records.Close() }()
		if err := cl.Bundle(ctx, purpose, id, leaves, records); err != nil {
			return err
		}
		for _, f := range []*os.File{artifact, records} {
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				return err
			}
		}
		return bundle.AddArtifact(w, bufio.NewReaderSize(records, 1<<20), artifact, got.Size)
	})
}

// exportTo writes a bundle to a file, which is kept when it verifies.
func (a *app) exportTo(ctx context.Context, out string, write func(*client.Client, io.Writer) error) error {
	cl, _, err := a.dial(ctx)
	if err != nil {
		return err
	}
	w, finish, err := a.output(out)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(w, 1<<20)
	err = write(cl, buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if err := errors.Join(err, finish(err == nil)); err != nil {
		return err
	}
	if err := a.keep(ctx, cl); err != nil {
		return err
	}
	if out == "-" {
		return nil
	}
	v, err := a.verify(out, cl.Trust, "", nil)
	if err != nil {
		return err
	}
	if !v.Verified {
		return fmt.Errorf("the bundle that came does not verify: %s: %s", v.Problems[0].Where, v.Problems[0].What)
	}
	of := fmt.Sprintf("incident %s with %d items", v.Incident, len(v.Items))
	if v.Scope == bundle.ScopeExhibit {
		of = v.Items[0].Exhibit
	}
	return a.answer(v, fmt.Sprintf("wrote %s and verified it: %d records of %s, log size %d\n", out, len(v.Timeline), of, v.Size))
}

func (a *app) bundleVerify() *cobra.Command {
	var trustPath, artifact, log, excerpts string
	c := &cobra.Command{
		Use: "verify BUNDLE --trust trust.json [--artifact FILE] [--log ADDRESS] [--excerpts FOLDER]", Short: "Verify a proof: no network, no service, no account", Args: exactly(1),
		Long: `Verifies a bundle against a trust file that reached you another way than the
bundle. Says who did what to the item, when and why, and as of when that is
complete. Exit code 0 only when everything verifies. With --log it reads the public
log too, all of it, and says how many records of the item it has by now. With
--excerpts it writes the stretches of artifacts that the bundle holds into a folder,
after everything has been verified.`,
		Example: `  custody bundle verify EX-1.bundle --trust trust.json --artifact disk.img
  custody bundle verify EX-1.bundle --trust trust.json --log https://custody.example/log/`,
		RunE: func(c *cobra.Command, args []string) error {
			if trustPath == "" {
				return usagef("give --trust: the trust file is what you believe, and comes another way than the bundle")
			}
			trust, err := readTrust(trustPath)
			if err != nil {
				return err
			}
			print, err := trust.Fingerprint()
			if err != nil {
				return err
			}
			public, release, err := publicLog(c.Context(), log)
			if err != nil {
				return err
			}
			defer release()
			v, err := a.verify(args[0], trust, artifact, public)
			if err != nil {
				return err
			}
			var text strings.Builder
			if err := v.Write(&text); err != nil {
				return err
			}
			fmt.Fprintf(&text, "\nTrust file  %s\n            compare its fingerprint with the one on paper\n", print)
			if v.Verified && excerpts != "" {
				written, err := writeExcerpts(args[0], excerpts, v)
				if err != nil {
					return err
				}
				if len(written) == 0 {
					text.WriteString("no excerpts in it: nothing was written\n")
				}
				for _, name := range written {
					fmt.Fprintf(&text, "wrote %s\n", filepath.Join(excerpts, name))
				}
			}
			if err := a.answer(v, text.String()); err != nil {
				return err
			}
			if !v.Verified {
				return failure{exitRefused}
			}
			return nil
		},
	}
	c.Flags().StringVar(&trustPath, "trust", "", "trust file")
	c.Flags().StringVar(&artifact, "artifact", "", "the artifact's bytes, to compare with what was sealed")
	c.Flags().StringVar(&excerpts, "excerpts", "", "folder to write the stretches of artifacts to that the bundle holds, once all is verified; made where it is missing")
	c.Flags().StringVar(&log, "log", "", "where the log is served (…/log/), or the folder of a mirror: is there anything later?")
	return c
}

// publicLog fetches the log at an address or in a folder, whole, so that what does
// not answer is not taken for what does not verify; nil when none is given. release
// gives up what was fetched.
func publicLog(ctx context.Context, where string) (log *bundle.PublicLog, release func(), err error) {
	if where == "" {
		return nil, func() {}, nil
	}
	source, signed, err := shown(ctx, where)
	if err != nil {
		return nil, nil, err
	}
	at, err := custody.CheckpointBody(signed)
	if err != nil {
		return nil, nil, fmt.Errorf("what %s serves as its checkpoint: %w", where, err)
	}
	if err := monitor.Room(os.TempDir(), at.Size); err != nil {
		return nil, nil, err
	}
	file, err := os.CreateTemp("", "custody-leaves-")
	if err != nil {
		return nil, nil, err
	}
	release = func() { _ = file.Close() }
	if err = os.Remove(file.Name()); err == nil {
		w := bufio.NewWriterSize(file, 1<<20)
		err = monitor.Leaves(ctx, source, at.Size, func(l custody.Leaf) error { _, err := w.Write(l[:]); return err })
		err = errors.Join(err, w.Flush())
	}
	if err != nil {
		release()
		return nil, nil, unreached(err)
	}
	return &bundle.PublicLog{Checkpoint: signed, Leaves: func(yield func(custody.Leaf) error) error {
		r := bufio.NewReaderSize(io.NewSectionReader(file, 0, int64(at.Size*custody.LeafSize)), 1<<20)
		for range at.Size {
			var l custody.Leaf
			if _, err := io.ReadFull(r, l[:]); err != nil {
				return err
			}
			if err := yield(l); err != nil {
				return err
			}
		}
		return nil
	}}, release, nil
}

// verify verifies a bundle in a file.
func (a *app) verify(path string, trust *custody.Trust, artifact string, public *bundle.PublicLog) (v *bundle.Verdict, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usageError{err}
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	o := bundle.Options{Words: investigate.Words(), Public: public}
	if artifact != "" {
		beside, err := os.Open(artifact)
		if err != nil {
			return nil, usageError{err}
		}
		defer func() { _ = beside.Close() }()
		o.Artifact = beside
	}
	var r io.Reader = bufio.NewReaderSize(f, 1<<20)
	return bundle.Verify(r, trust, o), nil
}

func (a *app) logCommand() *cobra.Command {
	checkpoint := &cobra.Command{
		Use: "checkpoint", Short: "Show the log's latest checkpoint, verified", Args: exactly(0), Example: "  custody log checkpoint",
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.readProfile()
			if err != nil {
				return err
			}
			cl, err := a.client(c.Context(), p)
			if err != nil {
				return err
			}
			if err := a.follow(c.Context(), cl); err != nil {
				return err
			}
			point, signed, err := cl.Checkpoint(c.Context())
			if err != nil {
				return err
			}
			return a.answer(struct {
				Origin   string                `json:"origin"`
				Size     uint64                `json:"size"`
				Root     custody.Digest        `json:"root"`
				Quorum   custody.Quorum        `json:"quorum"`
				Cosigned []custody.Cosignature `json:"cosigned"`
				Signed   string                `json:"signed"`
			}{point.Origin, point.Size, point.Root, point.Quorum, append([]custody.Cosignature{}, point.By...), string(signed)},
				string(signed)+fmt.Sprintf("\n%s\n", point))
		},
	}
	return group("log", "The public log", checkpoint, a.logProve(), a.logConsistency(), a.logMonitor(), a.logStamps(), a.logAdopt(), a.logJudge())
}

// jsonTopic documents what --json prints.
func jsonTopic() *cobra.Command {
	return &cobra.Command{
		Use: "json", Short: "What --json prints",
		Long: `With --json a command prints one JSON value on stdout; progress and errors stay
on stderr. Digests are "sha256:<hex>", times RFC 3339 in UTC.

  init                     dir, origin, trust, fingerprint
  key new                  key, request, fingerprint
  key show                 server, principal, key, agent
  login, whoami            a principal: id, name, title, contact, roles, keys, suspended, enrolled
  logout                   ended: whether there was a session
  principal list           principals: a list of principals
  role list                roles
  incident list            incidents: id, title, class, detectedAt, openedAt, openedBy, assigned
  incident show            one incident, with evidence: a list of items
  incident assign --parts  a list of incident, outcome (done, already or refused), why, proof; unassign likewise
  vulnerability list       vulnerabilities: overdue, report, incidents; vulnerability show one of them
  evidence list            evidence: a list of items
  evidence show            an item: id, incident, exhibit, name {display, bytes}, type, sealed,
                           sealedAt, sealedBy, artifact {root, sha256, size, chunkSize},
                           acquisition {collectedAt, method, place, source, tool}, confirmed, damaged
  evidence add             id, payload, stream, index, size (of the log), receipt, exhibit,
                           bytes, sha256, root
  evidence get             grant and receipt (each payload, stream, index, size, receipt), bytes, sha256
  evidence history         stream, size, records: sequence, index, time, recorded, actor, kind,
                           purpose, permitted, reason, act
  log stamps               asked: name, kind, minutes, nextDue; size, stamps: size, time, accuracyMs, authority, kind, verified, problem;
                           withinSeconds, gaps: first, last, from, to; unstamped
  trust (every verb)       fingerprint, origin, log, replaced, witnesses, authorities: name, kind, roots
  log judge                proven, origin, sizes, quorum
  log prove                index, leaf (base64), size, root, quorum, receipt
  log consistency          size, root, quorum, from: a list of name, size, root
  log checkpoint           origin, size, root, quorum, cosigned {name, key, time}, signed
  bundle (every verb)      a verdict: verified, scope, origin, size, root, complete, quorum, cosigned, incident,
                           items (evidence, exhibit, name, type, artifact, acquisition, artifactState,
                           excerpts (offset, length, sha256), confirmed, damaged), timeline, withheld (stream, sequence, index),
                           times (by whose clocks they are), stamps (size, time, accuracyMs, authority, kind, signer, verified), gaps (from, to, records),
                           notices (authority, state, since, driftMs, recorded), problems {where, what}, warnings {where, what}
  report                   folder, bundle (its SHA-256), papers: name, kind, sha256, size, issued {payload, …}
  report verify            name, title, by, kind, evidence or incident, at, purpose, index, size, quorum
  everything else          payload, stream, index, size, receipt; id of what came into being`,
	}
}

// output opens what a bundle is written to. finish keeps it when it is good and
// else leaves nothing behind that could be taken for the bundle.
func (a *app) output(path string) (w io.Writer, finish func(good bool) error, err error) {
	if path == "-" {
		return a.stdout, func(bool) error { return nil }, nil
	}
	if _, err := os.Lstat(path); err == nil {
		return nil, nil, usagef("%s is there already", path)
	}
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, nil, usagef("%s is there already: another export writes it, or one was broken off; then remove it", part)
	}
	if err != nil {
		return nil, nil, err
	}
	return f, func(good bool) error {
		if !good {
			return errors.Join(f.Close(), os.Remove(part))
		}
		return errors.Join(f.Sync(), f.Close(), os.Rename(part, path), syncFolder(filepath.Dir(path)))
	}, nil
}
