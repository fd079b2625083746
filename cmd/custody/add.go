package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
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
	retry                                  time.Duration
	each, container                        bool   // what a folder becomes
	from                                   string // folder that custody collect wrote
	scene                                  bool   // without a network: neither incident nor exhibit number is known
	reading                                reading
	facts                                  facts
	acquired                               custody.Acquisition
}

// reading is how an artifact is read, and what it is compared with.
type reading struct {
	md5, sha1  bool
	expect     string // file of digests
	fill, asIs bool
	empty      bool   // the artifact is meant to have no bytes
	size       string // that the artifact has, as the caller says; "" when he does not
}

// foreseen is asSaid before anything is announced, where that can be known.
func (r *reading) foreseen(s *source) error {
	switch {
	case s.known:
		return r.asSaid(s.size)
	case s.head != nil && s.head.whole:
		return r.asSaid(uint64(s.head.size))
	}
	return nil
}

// asSaid refuses an artifact that has no bytes, unless that was meant, and one that
// is not as long as was said.
func (r *reading) asSaid(size uint64) error {
	if r.size != "" {
		said, err := parseSize(r.size)
		if err != nil {
			return usagef("--size: %w", err)
		}
		if said != size {
			return refusedf("%d bytes came, and not the %d of --size; nothing was sealed", size, said)
		}
	}
	if size == 0 && !r.empty {
		return refusedf("no bytes came: what made them may have failed. Nothing was sealed; --empty says that the artifact has none")
	}
	return nil
}

func (r *reading) flags(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&r.md5, "md5", false, "put the MD5 of the artifact on record, too")
	f.BoolVar(&r.sha1, "sha1", false, "put the SHA-1 of the artifact on record, too")
	f.StringVar(&r.expect, "expect", "", "file with digests of the artifact, of md5sum, sha256sum, the BSDs or FTK Imager: seal only what has them")
	f.StringVar(&r.size, "size", "", "how many bytes the artifact has: what has more or fewer is refused")
	f.BoolVar(&r.empty, "empty", false, "the artifact has no bytes, and is meant to have none")
	f.BoolVar(&r.fill, "fill-unreadable", false, "put zeros where the source cannot be read, and that on record")
	f.BoolVar(&r.asIs, "as-is", false, "take in the files that are named and no others, whether or not they are all segments of an image")
}

func (a *app) evidenceAdd() *cobra.Command {
	var in intake
	c := &cobra.Command{
		Use: "add FILE…|-", Short: "Take an artifact in",
		Long: `Takes an artifact in: announces it, sends it in chunks, and seals it with your
signature over its SHA-256. Broken off, the same command continues where it was;
custody evidence withdraw ends it for good. Bytes that are not those of --expect
are refused before anything is announced where that can be known: of files of up
to 4 GiB. Of larger ones and of pipes what was announced is withdrawn again.
What arrived and could not be sealed, as when the service did not answer, stays;
custody evidence seal e-… seals it as it was measured.
What is missing is asked for on a terminal, and refused elsewhere.

Several files are the parts of one artifact. Of an image in EWF segments the
first is enough. What the artifact is, and whether the digests that its container
states are those of the media in it, is found out here, by a process without
keys or network, and put on record; it is taken in either way. What an EWF image
states of its acquisition goes on record beside what you say, and in its place
where you say nothing, as what the image says; where both differ a warning comes
before the seal.

Of a folder every file becomes an item (--each), or all of it one (--container):
a tar that ends in a listing with the SHA-256 of each file. Links, sockets and
devices are told of and not followed. With --each the same command again goes on:
files whose name and bytes are sealed under this exhibit number already are known
again, and others get the next number that is free.

Of a pipe (FILE is -) the first 2 MiB are looked at, and the record says so; what
a container states at its end, as an EWF image does its digests, is not read, and
its acquisition facts are not offered: for that take in the file. That the program
which feeds the pipe failed is not seen here, with set -o pipefail neither: --size
or --expect refuses what came short. A pipe without any bytes is refused in any case.

FILE can be a block device. What it cannot be read ends the command, unless
--fill-unreadable is given: then zeros stand there, in stretches of 512 bytes or
what the system reads at least, and the record says where.`,
		Example: `  custody evidence add web01.dd --incident i-abcdefghijklmnop --exhibit EX-1 --type disk \
    --source "web01's system disk" --model "Samsung PM893" --serial S5YJNX0R --host web01 \
    --method dead --write-blocker "Tableau T8u" --unread 0 \
    --tool dc3dd --tool-version 7.2.646 --tool-settings "hash=sha256" \
    --collected-at 2026-11-23T09:40:00+01:00 --place "rack 12, Frankfurt" \
    --authority-kind policy --authority "incident response policy 4.2" --purpose "seized after alert 4711"
  custody evidence add web02.dd --incident i-abcdefghijklmnop --exhibit EX-2 --type disk \
    --facts web02.json --expect web02.dd.sha256 --purpose "seized after alert 4711"
  custody evidence add web03.E01 --md5 --incident i-abcdefghijklmnop --exhibit EX-3 --type disk \
    --facts web03.json --purpose "all segments of web03.E01"
  custody evidence add web04.001 web04.002 --incident i-abcdefghijklmnop --exhibit EX-4 --type disk \
    --facts web04.json --purpose "a raw image in two parts"
  custody evidence add ./triage --each --incident i-abcdefghijklmnop --exhibit EX-6 --type log \
    --facts triage.json --purpose "every file an item: EX-6/1, EX-6/2 …"
  custody evidence add --package /media/case/sdb --incident i-abcdefghijklmnop --exhibit EX-7 \
    --purpose "collected on 23 November"
  dc3dd if=/dev/sdb | custody evidence add - --name sdb.dd --incident i-abcdefghijklmnop --exhibit EX-5 \
    --type disk --facts sdb.json --purpose "imaged straight into custody"`,
		RunE: func(c *cobra.Command, args []string) error { return a.addWhat(c, &in, args) },
	}
	f := c.Flags()
	f.StringVar(&in.incident, "incident", "", "the incident")
	f.StringVar(&in.exhibit, "exhibit", "", "exhibit number, unique in the incident")
	f.BoolVar(&in.each, "each", false, "FILE is a folder: each file in it becomes an item, with exhibit numbers EX-1/1, EX-1/2 and so on")
	f.BoolVar(&in.container, "container", false, "FILE is a folder: all of it becomes one item, a tar with a listing")
	f.StringVar(&in.from, "package", "", "take in what custody collect has put into this folder, with the facts that were signed there")
	in.patience(c)
	f.StringVar(&in.atMost, "at-most", "1TiB", "the most bytes that will come through a pipe (FILE is -)")
	in.flags(c)
	return c
}

// patience adds the flag that says how long to try again.
func (in *intake) patience(c *cobra.Command) {
	c.Flags().DurationVar(&in.retry, "retry", 30*time.Second,
		"for how long to announce, send and seal again while the service cannot be reached, or takes nothing now")
}

// addWhat finds out what is to be taken in.
func (a *app) addWhat(c *cobra.Command, in *intake, args []string) error {
	switch {
	case in.from != "" && len(args) > 0:
		return usagef("--package is what is taken in: name nothing else")
	case in.from != "":
		if in.incident == "" || in.exhibit == "" || in.purpose == "" {
			return usagef("evidence is not taken in without --incident, --exhibit, --purpose")
		}
		return a.addPackage(c.Context(), in, in.from)
	}
	if err := atLeast(1)(c, args); err != nil {
		return err
	}
	if in.each && in.container {
		return usagef("--each or --container, not both")
	}
	if (in.each || in.container) && len(args) > 1 {
		return usagef("with --each and --container one folder is named")
	}
	if in.container && in.name == "" {
		in.name = filepath.Base(filepath.Clean(args[0])) + ".tar"
	}
	if !in.each && !in.container {
		a.lookAhead(c.Context(), in, args)
	}
	if err := a.complete(in, args[0]); err != nil {
		return err
	}
	switch {
	case in.each:
		return a.addEach(c.Context(), in, args[0])
	case in.container:
		return a.addContainer(c.Context(), in, args[0])
	}
	return a.add(c.Context(), in, args)
}

// flags adds the flags that every way of taking something in has.
func (in *intake) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&in.kind, "type", "", strings.Join(custody.ArtifactTypes(), ", "))
	f.StringVar(&in.name, "name", "", "name of the artifact (default: the file's)")
	f.StringVar(&in.purpose, "purpose", "", "why")
	in.reading.flags(c)
	in.facts.flags(c)
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
		if in.scene && (f.flag == "incident" || f.flag == "exhibit") {
			continue
		}
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
	if _, _, told := in.facts.image.unread(); in.reading.fill && !told && *in.facts.said["unread"] == "" {
		*in.facts.said["unread"] = "0" // and what is met
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
		return usagef("evidence is not taken in without %s", flagList(missing))
	}
	lines := map[string]string{"purpose": in.purpose}
	if !in.scene {
		lines["exhibit"] = in.exhibit
	}
	for flag, text := range lines {
		if err := custody.CheckLine("--"+flag, text); err != nil {
			return usageError{err}
		}
	}
	if err := in.acquired.Check(custody.TimeOf(time.Now())); err != nil {
		return usageError{fmt.Errorf("what is sealed cannot be corrected, so look again: %w", err)}
	}
	for _, c := range in.facts.image.contradictions(&in.acquired, in.exhibit) {
		a.say("%s", c)
	}
	return nil
}

// open opens what is to be taken in.
func (a *app) open(ctx context.Context, in *intake, paths []string) (s *source, err error) {
	if len(paths) == 1 && paths[0] == "-" {
		most, err := parseSize(in.atMost)
		if err != nil {
			return nil, err
		}
		s := openPipe(a.stdin, most)
		return s, s.peek()
	}
	if !in.reading.asIs {
		if paths, err = allSegments(paths); err != nil {
			return nil, err
		}
	}
	if s, err = openSource(paths); err != nil {
		return nil, err
	}
	s.fill = in.reading.fill
	if !in.reading.asIs && len(s.parts) <= mostSegments && isFirstSegment(paths[0]) {
		found, err := a.examine(ctx, s, true)
		if err == nil && found.Segments != "" {
			err = refusedf("%s: %s; --as-is takes in what is there", paths[0], found.Segments)
		}
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

// taken is what was found out about an artifact while it was read.
type taken struct {
	acquired custody.Acquisition
	artifact custody.Artifact
	format   string
	labels   []custody.Label
	parts    []custody.Part
}

// expectation reads the file of digests that was named, if one was.
func (in *intake) expectation(s *source) (*expectation, error) {
	if in.reading.expect == "" {
		return nil, nil
	}
	e, err := readExpectation(in.reading.expect, in.name)
	if err == nil && len(s.parts) > 1 && !e.media {
		err = usagef("--expect %s has digests of single files, and the artifact is %d of them", in.reading.expect, len(s.parts))
	}
	return e, err
}

// take reads a source through transfer, which says what it read, and looks into
// it at the same time. Nothing is taken that changed meanwhile, or that is not
// what was expected.
func (a *app) take(ctx context.Context, in *intake, s *source, expected *expectation, transfer func() (custody.Artifact, error)) (t taken, err error) {
	for kind, wanted := range map[string]bool{"md5": in.reading.md5, "sha1": in.reading.sha1} {
		if wanted || expected != nil && expected.digests[kind] != "" {
			s.measure(kind)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	looked := a.lookInto(ctx, s)
	t.artifact, err = transfer()
	if err = s.unchanged(t.artifact.Size, err); err == nil {
		err = in.reading.asSaid(t.artifact.Size)
	}
	if err != nil {
		cancel()
		<-looked
		return t, err
	}
	found := <-looked
	if found == nil {
		return t, ctx.Err()
	}
	for _, w := range found.warnings() {
		a.say("%s", w)
	}
	t.format, t.acquired = found.Format, s.acquisition(in.acquired)
	if n := len(s.bad); n > 0 {
		a.say("NOTE: %d stretches of the source could not be read; zeros stand in their place, and the record says where", n)
	}
	if t.parts, err = s.names(); err != nil {
		return t, err
	}
	t.labels, err = labels(s, t.artifact, found, expected)
	return t, err
}

// lookInto lets a child look into the source's files. What comes is nil when ctx
// ended first.
func (a *app) lookInto(ctx context.Context, s *source) <-chan *inspection {
	c := make(chan *inspection, 1)
	visible := s.visible()
	if visible == nil {
		c <- &inspection{Format: s.made}
		return c
	}
	go func() {
		found, err := a.examine(ctx, visible, false)
		if err != nil {
			found = nil
		}
		c <- found
	}()
	return c
}

// labels puts together the digests beside the one that names the artifact.
func labels(s *source, artifact custody.Artifact, found *inspection, expected *expectation) ([]custody.Label, error) {
	list := found.Labels
	measured := map[string]string{"sha256": artifact.SHA256.Hex()}
	for _, kind := range []string{"md5", "sha1"} {
		if s.digest[kind] != nil {
			measured[kind] = s.measured(kind)
		}
	}
	over, inside := custody.LabelArtifact, map[string]string{}
	for _, l := range found.Labels {
		inside[l.Algorithm] = l.Measured
	}
	compared := measured
	if expected != nil && expected.media && strings.HasPrefix(found.Format, "ewf") {
		over, compared = custody.LabelMedia, inside
	}
	stated := map[string]bool{}
	if expected != nil {
		more, err := expected.compare(compared, over)
		if err != nil {
			return nil, err
		}
		for _, l := range more {
			stated[l.Algorithm] = over == custody.LabelArtifact
		}
		list = append(list, more...)
	}
	for _, kind := range []string{"md5", "sha1"} {
		if measured[kind] != "" && !stated[kind] {
			list = append(list, custody.Label{Algorithm: kind, Measured: measured[kind], Over: custody.LabelArtifact})
		}
	}
	return list, nil
}

func (a *app) add(ctx context.Context, in *intake, paths []string) (err error) {
	s, err := a.open(ctx, in, paths)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return a.addSource(ctx, in, s)
}

func (a *app) addSource(ctx context.Context, in *intake, s *source) error {
	cl, _, err := a.dialFor(ctx, in.retry)
	if err != nil {
		return err
	}
	sealed, err := a.intoCustody(ctx, cl, in, s)
	if err != nil {
		return err
	}
	return a.finish(ctx, cl, sealed)
}

// sealedItem is what evidence add says of an item that it sealed.
type sealedItem struct {
	proof
	Exhibit string          `json:"exhibit"`
	Size    uint64          `json:"bytes"`
	SHA256  custody.Digest  `json:"sha256"`
	Root    custody.Digest  `json:"root"`
	Format  string          `json:"format"`
	Labels  []custody.Label `json:"labels"`
	Locked  bool            `json:"locked"`          // the store was proven to lock it
	Scene   *sceneTimes     `json:"scene,omitempty"` // of what was collected without a network

	AsReceived []string `json:"asReceived,omitempty"` // the digests that were taken from the service

	resume string
	at     custody.Time // of the seal
}

// sceneTimes are when something was signed for, and when it came here.
type sceneTimes struct {
	Signed custody.Time `json:"signed"`
	Sealed custody.Time `json:"sealed"`
	Gap    string       `json:"gap"`
}

func (i *sealedItem) text() string {
	text := fmt.Sprintf("sealed %s as %s\n%d bytes, SHA-256 %s\n", i.Exhibit, i.ID, i.Size, i.SHA256.Hex())
	if i.Format != "" {
		text += "recognized as " + i.Format + "\n"
	}
	for _, l := range i.Labels {
		text += l.String() + "\n"
	}
	if t := i.Scene; t != nil {
		text += fmt.Sprintf("signed for at the scene at %s, sealed here at %s, %s later\n",
			t.Signed.Time().Format(time.RFC3339), t.Sealed.Time().Format(time.RFC3339), t.Gap)
	}
	if !i.Locked {
		text += "UNLOCKED: this store does not keep anybody from deleting it; that is found out, not prevented\n"
	}
	return text + fmt.Sprintf("on record as leaf %d of the log (proven at size %d)\n", i.Index, i.proof.Size)
}

// isLocked says whether the store was proven to lock what a statement sealed: by
// the rule on record that permitted it.
func isLocked(said *client.Said) bool {
	return !slices.Contains(said.Record.Decision.Rules, custody.RuleUnlocked)
}

// intoCustody announces, sends and seals what a source holds.
func (a *app) intoCustody(ctx context.Context, cl *client.Client, in *intake, s *source) (*sealedItem, error) {
	expected, err := in.expectation(s)
	if err != nil {
		return nil, err
	}
	if err := a.foresee(ctx, s, expected); err != nil {
		return nil, err
	}
	if err := in.reading.foreseen(s); err != nil {
		return nil, err
	}
	return a.deliver(ctx, cl, in, s, func(id custody.EvidenceID) (*custody.SealEvidence, error) {
		t, err := a.take(ctx, in, s, expected, func() (custody.Artifact, error) {
			bar := a.progress("sending "+in.name, s.size, s.known)
			defer bar.done()
			return cl.Upload(ctx, id, s, bar.settled)
		})
		return &custody.SealEvidence{
			Acquisition: t.acquired, Artifact: t.artifact, Evidence: id, Format: t.format, Incident: custody.IncidentID(in.incident),
			Labels: t.labels, Parts: t.parts,
		}, err
	})
}

// deliver announces an item, lets send bring its bytes, and seals it with what
// send found them to be.
func (a *app) deliver(ctx context.Context, cl *client.Client, in *intake, s *source, send func(custody.EvidenceID) (*custody.SealEvidence, error)) (*sealedItem, error) {
	incident, err := custody.ParseIncidentID(in.incident)
	if err != nil {
		return nil, usageError{err}
	}
	name, err := custody.NewName([]byte(in.name))
	if err != nil {
		return nil, usageError{err}
	}
	resume, err := s.mark(in.incident, in.exhibit)
	if err != nil {
		return nil, err
	}
	id, err := a.begin(ctx, cl, in, resume, &custody.BeginEvidence{
		AtMost: s.size, Exhibit: in.exhibit, Incident: incident, Name: name, Type: in.kind,
	})
	if err != nil {
		return nil, err
	}
	seal, err := send(id)
	if err != nil {
		return nil, a.unfinished(ctx, cl, in, resume, id, err)
	}
	// Remembered before it is signed for: what is here can always be sealed.
	if err := a.remember(id, begun{seal.Acquisition, in.purpose, seal}); err != nil {
		a.say("WARNING: what was measured could not be remembered: %v", err)
	}
	said, err := sealNow(ctx, cl, in.purpose, seal)
	if err != nil {
		return nil, a.unsealed(ctx, cl, in, resume, seal, err)
	}
	if err := a.forgetUpload(begunFile(id)); err != nil {
		a.say("NOTE: %v", err)
	}
	return &sealedItem{
		proof: proofOf(said, string(id)), Exhibit: in.exhibit, Size: seal.Artifact.Size, SHA256: seal.Artifact.SHA256, Root: seal.Artifact.Root,
		Format: seal.Format, Labels: seal.Labels, Locked: isLocked(said), resume: resume, at: said.Record.Recorded,
	}, nil
}

// sealNow puts a seal on record. While that cannot be, the same statement is
// sent again, and signed anew once when it has expired over that.
func sealNow(ctx context.Context, cl *client.Client, purpose string, seal *custody.SealEvidence) (*client.Said, error) {
	for again := false; ; again = true {
		valid := cl.Now().Add(custody.MaxValidity)
		envelope, err := cl.Sign(purpose, seal)
		if err != nil {
			return nil, err
		}
		said, err := cl.Insist(ctx, envelope)
		problem := new(client.Error)
		if again || cl.Now().Before(valid) || !errors.As(err, &problem) || problem.Status != http.StatusUnauthorized {
			return said, err
		}
	}
}

// begin announces the item, or finds the upload that was broken off.
func (a *app) begin(ctx context.Context, cl *client.Client, in *intake, resume string, act *custody.BeginEvidence) (custody.EvidenceID, error) {
	if id, ok, err := a.resumeUpload(ctx, cl, in, resume); err != nil {
		return "", err
	} else if ok {
		a.say("continuing the upload of %s", id)
		return id, nil
	}
	envelope, err := cl.Sign(in.purpose, act)
	if err != nil {
		return "", err
	}
	// Remembered before it is sent: what is announced can always be continued,
	// and of a pipe what arrived be sealed.
	id := custody.NewEvidenceID(custody.Hash(envelope.Payload))
	err = a.remember(id, begun{Acquisition: in.acquired, Purpose: in.purpose})
	if err == nil && resume != "" {
		err = a.writeFile(resume, []byte(id))
	}
	if err != nil {
		return "", err
	}
	if _, err := cl.Insist(ctx, envelope); err != nil {
		if exitCode(err) != exitUnreachable {
			return "", errors.Join(err, a.forgetUpload(resume), a.forgetUpload(begunFile(id)))
		}
		if resume == "" {
			err = fmt.Errorf("%w; %s may be announced all the same: custody evidence show %s says, and %s", err, id, id, freedBy(id, in.exhibit))
		}
		return "", err
	}
	return id, nil
}

// resumeUpload finds an upload that was broken off. It refuses what is not as it was
// announced: the announcement is on record and stays as it is.
func (a *app) resumeUpload(ctx context.Context, cl *client.Client, in *intake, resume string) (custody.EvidenceID, bool, error) {
	id, ok := a.remembered(resume)
	if !ok {
		return "", false, nil
	}
	e, err := cl.Evidence(ctx, id)
	if err != nil || e.Sealed || e.Withdrawn {
		return "", false, nil
	}
	before, known := a.recall(id)
	for _, f := range []struct{ flag, was, now string }{
		{"--type", e.Type, in.kind},
		{"--name", string(e.Name.Raw()), in.name},
		{"--purpose", before.Purpose, in.purpose},
	} {
		if f.was != f.now && (f.flag != "--purpose" || known) {
			return "", false, usagef("%s was announced with %s %q, not %q, and its upload broken off. To go on, repeat what was announced; otherwise: custody evidence withdraw %s --purpose …",
				id, f.flag, f.was, f.now, id)
		}
	}
	return id, true, nil
}

// remembered returns the item of an upload that was begun before.
func (a *app) remembered(mark string) (custody.EvidenceID, bool) {
	if mark == "" {
		return "", false
	}
	b, err := a.readFile(mark)
	if err != nil {
		return "", false
	}
	id, err := custody.ParseEvidenceID(string(b))
	return id, err == nil
}

func (a *app) forgetUpload(resume string) error {
	if resume == "" {
		return nil
	}
	path, err := a.file(resume)
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
