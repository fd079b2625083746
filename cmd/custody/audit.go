package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/cmd/house"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/replay"
)

// auditing are the flags of an audit.
type auditing struct {
	dir, folder, identity, trust, structure string
	checkpoint, log, state                  string
}

func (a *app) auditCommand() *cobra.Command {
	var f auditing
	c := &cobra.Command{
		Use: "audit", Short: "Decide every record of a log again, from its archive", Args: exactly(0),
		Long: `Reads all records and decides them again: that they are the leaves of the log, in
order and without a gap; that each statement was signed with a key that was live;
that each permission and each refusal is the one that the policy in force and the
rules lead to; that times lie between those of the witnesses. Names every
disagreement. Exit code 0 only when there is none.

Three can do it:

  the service     with --dir; it may run
  an auditor      with --archive: what "custody audit disclose" made for his key.
                  He sees what was said and by whom, and no evidence.
  one who may not see what was said, with --structure: what "custody audit
                  structure" made. He can tell that every leaf of the public log
                  has its place in a stream and that none has a gap.

The state at the end is a digest of what all records come to. "custody fsck" prints
the one that the service's database leads to: give it with --state, and it must be
the same (by programs of the same version).`,
		Example: `  custody audit --dir ./service
  custody audit --archive ./disclosed --identity auditor.key --trust trust.json --log https://custody.example/log/
  custody audit --structure structure.json --trust trust.json --log https://custody.example/log/`,
		RunE: func(c *cobra.Command, _ []string) error { return a.audit(c.Context(), f) },
	}
	s := c.Flags()
	s.StringVar(&f.dir, "dir", "", "the service's folder")
	s.StringVar(&f.folder, "archive", "", "folder with a disclosed archive")
	s.StringVar(&f.identity, "identity", "", "file with the age identity that it was disclosed to (made with age-keygen)")
	s.StringVar(&f.structure, "structure", "", "file with the structure of the log")
	s.StringVar(&f.trust, "trust", "", "trust file")
	s.StringVar(&f.checkpoint, "checkpoint", "", "file with the signed checkpoint to audit below (default: the service's last, or the one that was disclosed)")
	s.StringVar(&f.log, "log", "", "where the log is served (…/log/), or the folder of a mirror: what is audited must be its beginning")
	s.StringVar(&f.state, "state", "", "digest that the state must have (sha256:…)")
	c.AddCommand(a.auditDisclose(), a.auditStructure())
	return c
}

func (a *app) audit(ctx context.Context, f auditing) (err error) {
	if f.structure != "" {
		return a.auditShape(ctx, f)
	}
	source, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	checkpoint, err := f.signed(source)
	if err != nil {
		return err
	}
	if err := begins(ctx, f.log, source.Trust, checkpoint); err != nil {
		return err
	}
	report, err := source.Run(ctx, checkpoint, a.counting("decided again"))
	if err != nil {
		return err
	}
	if f.state != "" && report.State.String() != f.state {
		report.Agrees = false
		report.Disagrees = append(report.Disagrees, replay.Disagreement{Place: report.Size, What: "the state is another than " + f.state})
	}
	if err := a.answer(report, auditText(report)); err != nil {
		return err
	}
	if !report.Agrees {
		return refusedf("%d disagreements", uint64(len(report.Disagrees))+report.More)
	}
	return nil
}

// open opens what is audited.
func (f auditing) open(ctx context.Context) (*house.Audit, error) {
	switch {
	case (f.dir == "") == (f.folder == ""):
		return nil, usagef("give --dir, or --archive with --identity and --trust, or --structure with --trust and --log")
	case f.dir != "" && (f.trust != "" || f.identity != ""):
		return nil, usagef("with --dir, trust file and keys are the service's own")
	case f.dir != "":
		return house.OpenAudit(ctx, f.dir)
	case f.identity == "" || f.trust == "":
		return nil, usagef("--archive needs --identity and --trust")
	}
	trust, err := readTrust(f.trust)
	if err != nil {
		return nil, err
	}
	return house.OpenDisclosed(f.folder, f.identity, trust)
}

// signed returns the checkpoint to audit below.
func (f auditing) signed(source *house.Audit) ([]byte, error) {
	if f.checkpoint != "" {
		b, err := os.ReadFile(f.checkpoint)
		if err != nil {
			return nil, usageError{err}
		}
		return b, nil
	}
	if b := source.Checkpoint(); len(b) > 0 {
		return b, nil
	}
	return nil, usagef("the service's own checkpoint is lost: give --checkpoint")
}

// begins returns an error unless the public log begins with the tree of a checkpoint.
func begins(ctx context.Context, log string, trust *custody.Trust, checkpoint []byte) error {
	public, release, err := publicLog(ctx, log)
	if err != nil || public == nil {
		return err
	}
	defer release()
	want, err := trust.OpenCheckpoint(checkpoint)
	if err != nil {
		return err
	}
	now, err := trust.OpenCheckpoint(public.Checkpoint)
	if err != nil {
		return err
	}
	var tree custody.RootHash
	found := want.Size == 0
	err = public.Leaves(func(l custody.Leaf) error {
		tree.Add(custody.LeafHash(l))
		found = found || tree.Count() == want.Size && tree.Root() == want.Root
		return nil
	})
	switch {
	case err != nil:
		return err
	case tree.Root() != now.Root:
		return refusedf("the leaves of the public log do not make its checkpoint's root")
	case !found:
		return refusedf("the public log, of size %d, does not begin with what is audited, of size %d: two logs are shown, or one was set back", now.Size, want.Size)
	}
	return nil
}

// auditShape audits without contents.
func (a *app) auditShape(ctx context.Context, f auditing) error {
	if f.trust == "" || f.log == "" || f.dir != "" || f.folder != "" {
		return usagef("--structure needs --trust and --log, and nothing else")
	}
	trust, err := readTrust(f.trust)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(f.structure)
	if err != nil {
		return usageError{err}
	}
	structure, err := replay.ParseStructure(b)
	if err != nil {
		return err
	}
	public, release, err := publicLog(ctx, f.log)
	if err != nil {
		return err
	}
	defer release()
	shape, err := structure.Check(trust, public.Checkpoint, public.Leaves)
	if err != nil {
		return err
	}
	if err := a.answer(shape, shapeText(shape)); err != nil {
		return err
	}
	if !shape.Agrees {
		return refusedf("%d disagreements", uint64(len(shape.Disagrees))+shape.More)
	}
	return nil
}

func auditText(r *replay.Report) string {
	var b strings.Builder
	listed(&b, r.Disagrees, r.More)
	if r.Agrees {
		fmt.Fprintf(&b, "AGREES: all %d records of %s were decided again, in %d streams: %d permitted, %d refused, as on record\n",
			r.Permitted+r.Refused, r.Origin, r.Streams, r.Permitted, r.Refused)
	} else {
		fmt.Fprintf(&b, "DOES NOT AGREE: %s, %d records in %d streams\n", r.Origin, r.Size, r.Streams)
	}
	fmt.Fprintf(&b, "signatures verified: %d\n", r.Signatures)
	for _, e := range r.Erased {
		fmt.Fprintf(&b, "record %d (%d of %s): %s\n", e.Place, e.Sequence, e.Stream, e.What)
	}
	for _, e := range r.Bytes {
		fmt.Fprintf(&b, "record %d (%d of %s): refused for its bytes, by the word of the service: %s\n", e.Place, e.Sequence, e.Stream, e.What)
	}
	if r.Brackets > 0 {
		fmt.Fprintf(&b, "times held against witnesses: of %d records, by %d checkpoints\n", r.Brackets, r.Checkpoints)
	} else {
		fmt.Fprintf(&b, "times: by the word of the service, no witness dated any of the %d checkpoints\n", r.Checkpoints)
	}
	fmt.Fprintf(&b, "as of log size %d, root %s; quorum of witnesses: %s\nstate %s\n", r.Size, r.Root, r.Quorum, r.State)
	return b.String()
}

func shapeText(s *replay.Shape) string {
	var b strings.Builder
	listed(&b, s.Disagrees, s.More)
	if s.Agrees {
		fmt.Fprintf(&b, "AGREES: all %d leaves of %s have their place in %d streams, without a gap. What they say was not looked at.\n", s.Size, s.Origin, len(s.Streams))
	} else {
		fmt.Fprintf(&b, "DOES NOT AGREE: %s, %d leaves, %d streams\n", s.Origin, s.Size, len(s.Streams))
	}
	fmt.Fprintf(&b, "as of log size %d; the public log has size %d, root %s; quorum of witnesses: %s\n", s.Size, s.Log, s.Root, s.Quorum)
	return b.String()
}

func listed(b *strings.Builder, list []replay.Disagreement, more uint64) {
	for _, d := range list {
		fmt.Fprintf(b, "DISAGREES: record %d", d.Place)
		if d.Stream != "" {
			fmt.Fprintf(b, " (%d of %s)", d.Sequence, d.Stream)
		}
		fmt.Fprintf(b, ": %s\n", d.What)
	}
	if more > 0 {
		fmt.Fprintf(b, "and %d more\n", more)
	}
}

func (a *app) auditDisclose() *cobra.Command {
	var f auditing
	var out string
	var to []string
	c := &cobra.Command{
		Use: "disclose --dir DIR --to RECIPIENT --out FOLDER", Short: "Give an auditor all records, for his key", Args: exactly(0),
		Long: `Copies all records of a service, which may run, into a folder, encrypted for an
auditor's age key (age1…, made with age-keygen). He audits them with "custody audit
--archive". He can read everything that was ever said, by whom and why; he gets no
evidence, and no key to any. Called again, it adds what came since.

This leaves no record: whoever has the service's folder and keys can read all of it
anyway. What is erased later stays in what was disclosed before.`,
		Example: `  custody audit disclose --dir ./service --to age1… --out ./disclosed`,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if f.dir == "" || out == "" || len(to) == 0 {
				return usagef("give --dir, --to and --out")
			}
			source, checkpoint, err := f.own(c.Context())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, source.Close()) }()
			if err := source.Disclose(c.Context(), checkpoint, out, to); err != nil {
				return err
			}
			return a.disclosed(source, checkpoint, out)
		},
	}
	c.Flags().StringVar(&f.dir, "dir", "", "the service's folder")
	c.Flags().StringVar(&out, "out", "", "folder to write to")
	c.Flags().StringArrayVar(&to, "to", nil, "age recipient who can read it; may be given again")
	return c
}

func (a *app) auditStructure() *cobra.Command {
	var f auditing
	var out string
	c := &cobra.Command{
		Use: "structure --dir DIR --out FILE", Short: "Give an auditor what tells that nothing is left out, without what it says", Args: exactly(0),
		Long: `Writes the tag keys of all streams of a service, which may run. With them and the
public log anybody can tell that every leaf has its place and that no stream has a
gap ("custody audit --structure"), and count how many records each has; not what a
stream is about. Whoever has the file can go on counting: give it to auditors only.`,
		Example: `  custody audit structure --dir ./service --out structure.json`,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if f.dir == "" || out == "" {
				return usagef("give --dir and --out")
			}
			source, checkpoint, err := f.own(c.Context())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, source.Close()) }()
			s, err := source.Structure(c.Context(), checkpoint)
			if err != nil {
				return err
			}
			b, err := custody.Encode(s)
			if err != nil {
				return err
			}
			file, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return usageError{err}
			}
			if _, err = file.Write(b); err != nil {
				return errors.Join(err, file.Close())
			}
			if err := file.Close(); err != nil {
				return err
			}
			return a.disclosed(source, checkpoint, out)
		},
	}
	c.Flags().StringVar(&f.dir, "dir", "", "the service's folder")
	c.Flags().StringVar(&out, "out", "", "file to write")
	return c
}

// own opens the service's own archive, and its last checkpoint.
func (f auditing) own(ctx context.Context) (*house.Audit, []byte, error) {
	source, err := house.OpenAudit(ctx, f.dir)
	if err != nil {
		return nil, nil, err
	}
	checkpoint, err := f.signed(source)
	if err != nil {
		return nil, nil, errors.Join(err, source.Close())
	}
	return source, checkpoint, nil
}

// disclosed says what was written.
func (a *app) disclosed(source *house.Audit, checkpoint []byte, out string) error {
	point, err := source.Trust.OpenCheckpoint(checkpoint)
	if err != nil {
		return err
	}
	return a.answer(struct {
		Out string       `json:"out"`
		Log checkpointed `json:"log"`
	}{out, checkpointed{point.Size, point.Root}}, fmt.Sprintf("%s: %d records, to log size %d, root %s\n", out, point.Size, point.Size, point.Root))
}
