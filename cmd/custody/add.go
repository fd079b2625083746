package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
)

// intake is what evidence add is told about an artifact.
type intake struct {
	incident, exhibit, kind, name, purpose string
	atMost                                 string
	facts                                  facts
	acquired                               custody.Acquisition
}

func (a *app) evidenceAdd() *cobra.Command {
	var in intake
	c := &cobra.Command{
		Use: "add FILE|-", Short: "Take an artifact in", Args: exactly(1),
		Long: `Takes an artifact in: announces it, sends it in chunks, and seals it with your
signature over its SHA-256. Broken off, the same command continues where it was.
What is missing is asked for on a terminal, and refused elsewhere.`,
		Example: `  custody evidence add web01.dd --incident i-abcdefghijklmnop --exhibit EX-1 --type disk \
    --source "web01's system disk" --model "Samsung PM893" --serial S5YJNX0R --host web01 \
    --method dead --write-blocker "Tableau T8u" --unread 0 \
    --tool dc3dd --tool-version 7.2.646 --tool-settings "hash=sha256" \
    --collected-at 2026-11-23T09:40:00+01:00 --place "rack 12, Frankfurt" \
    --authority-kind policy --authority "incident response policy 4.2" --purpose "seized after alert 4711"
  custody evidence add web02.dd --incident i-abcdefghijklmnop --exhibit EX-2 --type disk \
    --facts web02.json --purpose "seized after alert 4711"`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.complete(&in, args[0]); err != nil {
				return err
			}
			return a.add(c.Context(), &in, args[0])
		},
	}
	f := c.Flags()
	f.StringVar(&in.incident, "incident", "", "the incident")
	f.StringVar(&in.exhibit, "exhibit", "", "exhibit number, unique in the incident")
	f.StringVar(&in.kind, "type", "", strings.Join(custody.ArtifactTypes(), ", "))
	f.StringVar(&in.name, "name", "", "name of the artifact (default: the file's)")
	f.StringVar(&in.purpose, "purpose", "", "why")
	in.facts.flags(c)
	f.StringVar(&in.atMost, "at-most", "1TiB", "the most bytes that will come through a pipe (FILE is -)")
	return c
}

// complete asks for what is missing where somebody can answer, and refuses,
// before anything is sent, what would be refused after it.
func (a *app) complete(in *intake, path string) (err error) {
	if in.name == "" && path != "-" {
		in.name = filepath.Base(path)
	}
	mayAsk := a.terminal() && path != "-"
	missing := []string{}
	for _, f := range []struct {
		flag, hint string
		value      *string
	}{
		{"incident", "", &in.incident},
		{"exhibit", "", &in.exhibit},
		{"type", " (" + strings.Join(custody.ArtifactTypes(), ", ") + ")", &in.kind},
		{"name", "", &in.name},
		{"purpose", "", &in.purpose},
	} {
		if *f.value == "" && mayAsk {
			if *f.value, err = a.ask(f.flag + f.hint); err != nil {
				return err
			}
		}
		if *f.value == "" {
			missing = append(missing, "--"+f.flag)
		}
	}
	if in.kind != "" && !slices.Contains(custody.ArtifactTypes(), in.kind) {
		return usagef("--type %q is none of %s", in.kind, strings.Join(custody.ArtifactTypes(), ", "))
	}
	in.acquired, err = in.facts.acquisition(a, in.kind, mayAsk && len(missing) == 0)
	var lacking lacksFacts
	switch {
	case errors.As(err, &lacking):
		missing = append(missing, lacking...)
	case err != nil:
		return err
	}
	if len(missing) > 0 {
		return usagef("evidence is not taken in without %s", strings.Join(missing, ", "))
	}
	for flag, text := range map[string]string{"exhibit": in.exhibit, "purpose": in.purpose} {
		if err := custody.CheckLine("--"+flag, text); err != nil {
			return usageError{err}
		}
	}
	if err := in.acquired.Check(custody.TimeOf(time.Now())); err != nil {
		return usageError{fmt.Errorf("what is sealed cannot be corrected, so look again: %w", err)}
	}
	return nil
}

// artifactFile is the file that is taken in, with what it was when opened.
type artifactFile struct {
	io.Reader
	file   *os.File
	info   fs.FileInfo
	atMost uint64
	resume string // file of the home that remembers the upload; "" for a pipe
}

func (a *app) openArtifact(in *intake, path string) (*artifactFile, error) {
	if path == "-" {
		most, err := parseSize(in.atMost)
		return &artifactFile{Reader: a.stdin, atMost: most}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, usageError{err}
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if info.IsDir() {
		return nil, errors.Join(usagef("%s is a folder; an artifact is a file: pack it, or add its files one by one", path), f.Close())
	}
	size := info.Size()
	if info.Mode()&fs.ModeDevice != 0 {
		if size, err = f.Seek(0, io.SeekEnd); err == nil {
			_, err = f.Seek(0, io.SeekStart)
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	mark := custody.Hash(fmt.Appendf(nil, "%s\x00%d\x00%d\x00%s\x00%s", full, size, info.ModTime().UnixNano(), in.incident, in.exhibit))
	return &artifactFile{Reader: f, file: f, info: info, atMost: uint64(size), resume: filepath.Join("uploads", mark.Hex())}, nil
}

var errChanged = errors.New("the file changed while it was read; nothing was sealed: copy it first, and take the copy in under another exhibit number, since this one stays announced")

// unchanged turns the outcome of an upload into errChanged when the file is no
// longer what it was when it was opened: also that of one that failed, which a
// file that grows makes it do.
func (f *artifactFile) unchanged(size uint64, outcome error) error {
	if f.file == nil {
		return outcome
	}
	now, err := f.file.Stat()
	if err != nil {
		return errors.Join(outcome, err)
	}
	if now.Size() != f.info.Size() || !now.ModTime().Equal(f.info.ModTime()) || outcome == nil && size != f.atMost {
		return errChanged
	}
	return outcome
}

func (f *artifactFile) close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

func (a *app) add(ctx context.Context, in *intake, path string) (err error) {
	incident, err := custody.ParseIncidentID(in.incident)
	if err != nil {
		return usageError{err}
	}
	name, err := custody.NewName([]byte(in.name))
	if err != nil {
		return usageError{err}
	}
	f, err := a.openArtifact(in, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	cl, _, err := a.dial(ctx)
	if err != nil {
		return err
	}
	id, err := a.begin(ctx, cl, f, in.purpose, &custody.BeginEvidence{
		AtMost: f.atMost, Exhibit: in.exhibit, Incident: incident, Name: name, Type: in.kind,
	})
	if err != nil {
		return err
	}
	bar := a.progress("sending "+name.Display, f.atMost, path != "-")
	artifact, err := cl.Upload(ctx, id, f, bar.settled)
	bar.done()
	if err := f.unchanged(artifact.Size, err); err != nil {
		if f.resume != "" && exitCode(err) == exitUnreachable {
			err = fmt.Errorf("%w; run the same command again to continue", err)
		}
		return err
	}
	said, err := cl.Say(ctx, in.purpose, &custody.SealEvidence{Acquisition: in.acquired, Artifact: artifact, Evidence: id, Incident: incident})
	if err != nil {
		return fmt.Errorf("sent, not sealed: %w", err)
	}
	if err := errors.Join(a.forgetUpload(f), a.keep(ctx, cl)); err != nil {
		return err
	}
	return a.answer(struct {
		proof
		Exhibit string         `json:"exhibit"`
		Size    uint64         `json:"bytes"`
		SHA256  custody.Digest `json:"sha256"`
		Root    custody.Digest `json:"root"`
	}{proofOf(said, string(id)), in.exhibit, artifact.Size, artifact.SHA256, artifact.Root},
		fmt.Sprintf("sealed %s as %s\n%d bytes, SHA-256 %s\non record as leaf %d of the log (proven at size %d)\n",
			in.exhibit, id, artifact.Size, artifact.SHA256.Hex(), said.Receipt.Index, said.Point.Size))
}

// begin announces the item, or finds the upload that was broken off.
func (a *app) begin(ctx context.Context, cl *client.Client, f *artifactFile, purpose string, act *custody.BeginEvidence) (custody.EvidenceID, error) {
	if id, ok := a.resumeUpload(ctx, cl, f); ok {
		a.say("continuing the upload of %s", id)
		return id, nil
	}
	envelope, err := cl.Sign(purpose, act)
	if err != nil {
		return "", err
	}
	// Remembered before it is sent: what is announced can always be continued.
	id := custody.NewEvidenceID(custody.Hash(envelope.Payload))
	if f.resume != "" {
		if err := a.writeFile(f.resume, []byte(id)); err != nil {
			return "", err
		}
	}
	if _, err := cl.Send(ctx, envelope, nil); err != nil {
		if exitCode(err) != exitUnreachable {
			err = errors.Join(err, a.forgetUpload(f))
		}
		return "", err
	}
	return id, nil
}

func (a *app) resumeUpload(ctx context.Context, cl *client.Client, f *artifactFile) (custody.EvidenceID, bool) {
	if f.resume == "" {
		return "", false
	}
	b, err := a.readFile(f.resume)
	if err != nil {
		return "", false
	}
	id, err := custody.ParseEvidenceID(string(b))
	if err != nil {
		return "", false
	}
	e, err := cl.Evidence(ctx, id)
	return id, err == nil && !e.Sealed
}

func (a *app) forgetUpload(f *artifactFile) error {
	if f.resume == "" {
		return nil
	}
	path, err := a.file(f.resume)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// parseSize reads a number of bytes like 4096, 20GiB, 1TiB.
func parseSize(s string) (uint64, error) {
	for unit, factor := range map[string]uint64{"TiB": 1 << 40, "GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10} {
		if digits, ok := strings.CutSuffix(s, unit); ok {
			n, err := strconv.ParseUint(digits, 10, 20)
			if err != nil || n > custody.MaxArtifact/factor {
				return 0, usagef("size %q is not a number of bytes like 4096, 20GiB or 1TiB, up to 16TiB", s)
			}
			return n * factor, nil
		}
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, usagef("size %q is not a number of bytes like 4096, 20GiB or 1TiB", s)
	}
	return n, nil
}
