package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
)

// tokenCommand is for scripts whose HTTP client does the sending.
func (a *app) tokenCommand() *cobra.Command {
	return &cobra.Command{
		Use: "token", Short: "Print your session's token, for an HTTP client", Args: exactly(0),
		Long: `Prints the token of your session. Whoever has it reads and sends as you, signs
nothing, and retrieves nothing, until you log out or it is an hour unused. On a
command line others see it: give it to curl in a file (curl -H @FILE, or -K).`,
		Example: `  printf 'Authorization: Bearer %s\n' "$(custody token)" > header    # in a folder of your own
  curl -T web01.dd -H @header https://custody.example/v1/evidence/e-abcdefghijklmnop/content`,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, _, err := a.dial(c.Context())
			if err != nil {
				return err
			}
			if _, err := cl.Whoami(c.Context()); err != nil { // one that is over is renewed
				return err
			}
			token, err := cl.Session(c.Context())
			if err != nil {
				return err
			}
			if err := a.keep(c.Context(), cl); err != nil {
				return err
			}
			return a.answer(struct {
				Token string `json:"token"`
			}{token}, token+"\n")
		},
	}
}

// begun is what is remembered of an item that was announced, for evidence seal.
type begun struct {
	Acquisition custody.Acquisition   `json:"acquisition"`
	Purpose     string                `json:"purpose"`
	Measured    *custody.SealEvidence `json:"measured,omitempty"` // what evidence add sent and measured, and was to sign
}

// remember keeps what evidence seal is to know.
func (a *app) remember(id custody.EvidenceID, what begun) error {
	b, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return a.writeFile(begunFile(id), b)
}

// recall returns what was remembered of an item; nothing when that is not here.
func (a *app) recall(id custody.EvidenceID) (what begun, known bool) {
	b, err := a.readFile(begunFile(id))
	if err != nil || json.Unmarshal(b, &what, json.RejectUnknownMembers(true)) != nil {
		return begun{}, false
	}
	return what, true
}

func begunFile(id custody.EvidenceID) string { return filepath.Join("begun", string(id)) }

func (a *app) evidenceBegin() *cobra.Command {
	in := intake{}
	c := &cobra.Command{
		Use: "begin", Short: "Announce an item whose bytes another program sends", Args: exactly(0),
		Long: `Announces an item, and remembers its facts for custody evidence seal. Its bytes
are sent with any HTTP client, as one stream:

  PUT /v1/evidence/e-…/content            with Authorization: Bearer (custody token)

of which the length need not be known, up to --at-most. The answer says how many
bytes arrived, and their SHA-256. When Content-Digest or Repr-Digest (RFC 9530)
is given, bytes that are others are refused. Of a stream that breaks off, the
chunks of 8388608 bytes that came whole are kept: GET …/received says "broken" and
"next", and PUT …/content?from=NEXT goes on there. Then sign, with custody evidence
seal.`,
		Example: `  id=$(custody evidence begin --incident i-abcdefghijklmnop --exhibit EX-8 --type disk --name web01.dd --at-most 2TiB \
    --facts web01.json --purpose "seized after alert 4711" --json | jq -r .id)
  dc3dd if=/dev/sdb hash=sha256 hlog=web01.hashes | curl -f -T - -H @header https://custody.example/v1/evidence/$id/content
  custody evidence seal $id --sha256 …`,
		RunE: func(c *cobra.Command, _ []string) error { return a.beginItem(c.Context(), &in) },
	}
	f := c.Flags()
	f.StringVar(&in.incident, "incident", "", "the incident")
	f.StringVar(&in.exhibit, "exhibit", "", "exhibit number, unique in the incident")
	f.StringVar(&in.atMost, "at-most", "1TiB", "the most bytes that will come")
	f.StringVar(&in.kind, "type", "", strings.Join(custody.ArtifactTypes(), ", "))
	f.StringVar(&in.name, "name", "", "name of the artifact")
	f.StringVar(&in.purpose, "purpose", "", "why")
	in.facts.flags(c)
	return c
}

func (a *app) beginItem(ctx context.Context, in *intake) error {
	if err := a.complete(in, "-"); err != nil {
		return err
	}
	incident, err := custody.ParseIncidentID(in.incident)
	if err != nil {
		return usageError{err}
	}
	name, err := custody.NewName([]byte(in.name))
	if err != nil {
		return usageError{err}
	}
	most, err := parseSize(in.atMost)
	if err != nil {
		return err
	}
	cl, _, err := a.dial(ctx)
	if err != nil {
		return err
	}
	said, err := cl.Put(ctx, in.purpose, &custody.BeginEvidence{AtMost: most, Exhibit: in.exhibit, Incident: incident, Name: name, Type: in.kind})
	if err != nil {
		return err
	}
	id := custody.NewEvidenceID(said.Payload)
	if err := errors.Join(a.remember(id, begun{Acquisition: in.acquired, Purpose: in.purpose}), a.keep(ctx, cl)); err != nil {
		return err
	}
	put := cl.Server + "/v1/evidence/" + string(id) + "/content"
	return a.answer(struct {
		proof
		Exhibit string `json:"exhibit"`
		Put     string `json:"put"`
	}{proofOf(said, string(id)), in.exhibit, put},
		fmt.Sprintf("announced %s as %s; not sealed\nsend its bytes: PUT %s\nthen:           custody evidence seal %s …\n", in.exhibit, id, put, id))
}

// sealing is what evidence seal is told.
type sealing struct {
	intake
	sha256     string
	asReceived bool
	measured   *custody.SealEvidence // by evidence add; nil when something else is given
}

func (a *app) evidenceSeal() *cobra.Command {
	var in sealing
	c := &cobra.Command{
		Use: "seal e-… [FILE… | --sha256 DIGEST | --as-received]", Short: "Sign for an item whose bytes have arrived", Args: atLeast(1),
		Long: `Signs for what was sent to an item of custody evidence begin, with the facts given
there; facts that are given here come before them. What your signature proves
depends on who measured the bytes, and the record says who did:

  FILE…           This program reads the file, and signs its own measure: as
                  good as custody evidence add. Nothing is believed.
  --sha256        Another program of yours measured the SHA-256 before the bytes
                  left your hands. You sign that they have this SHA-256; the root,
                  for which few programs are made, is taken from the service's
                  answer. If the service kept other bytes than these, every
                  retrieval and every read-back shows it, since both must fit.
                  Record: asReceived root.
  --as-received   Nobody measured: you sign for what the service says that it
                  received. From here on nothing can be changed unseen; whether
                  these are the bytes that you had, nobody can be shown.
                  Record: asReceived root, sha256. Of a stream that broke off this
                  is refused, until the rest came or --size says that this is all.

Of an item that custody evidence add sent whole and could not seal, nothing need
be given: it is signed for as it was measured then.

A SHA-256 that the service measured differently is refused. When it does not know
one, as of a stream that went on after it was restarted, a wrong --sha256 is found
when the service reads the bytes back, and the item is on record as damaged.`,
		Example: `  custody evidence seal e-abcdefghijklmnop --sha256 "$(cut -d' ' -f1 web01.dd.sha256)"
  custody evidence seal e-abcdefghijklmnop web01.dd --md5
  custody evidence seal e-abcdefghijklmnop --as-received --json
  custody evidence seal e-abcdefghijklmnop`,
		RunE: func(c *cobra.Command, args []string) error {
			id, err := custody.ParseEvidenceID(args[0])
			if err != nil {
				return usageError{err}
			}
			return a.sealItem(c.Context(), &in, id, args[1:])
		},
	}
	f := c.Flags()
	f.StringVar(&in.sha256, "sha256", "", "the SHA-256 that you measured, in hexadecimal digits")
	f.BoolVar(&in.asReceived, "as-received", false, "sign for what the service says that it received")
	f.StringVar(&in.purpose, "purpose", "", "why (default: as when it was announced)")
	in.patience(c)
	in.reading.flags(c)
	in.facts.flags(c)
	return c
}

func (a *app) sealItem(ctx context.Context, in *sealing, id custody.EvidenceID, files []string) error {
	ways := 0
	for _, given := range []bool{len(files) > 0, in.sha256 != "", in.asReceived} {
		if given {
			ways++
		}
	}
	before, known := a.recall(id)
	if ways > 1 || ways == 0 && before.Measured == nil {
		return usagef("say who measured the bytes: name the FILE, or give --sha256, or --as-received; one of them")
	}
	if len(files) == 0 && (in.reading.expect != "" || in.reading.md5 || in.reading.sha1) {
		return usagef("--expect, --md5 and --sha1 need the FILE to be read here")
	}
	cl, _, err := a.dialFor(ctx, in.retry)
	if err != nil {
		return err
	}
	item, err := cl.Evidence(ctx, id)
	if err != nil {
		return err
	}
	switch {
	case item.Sealed:
		return refusedf("%s is sealed already", id)
	case item.Withdrawn:
		return refusedf("%s was withdrawn", id)
	}
	a.lookAhead(ctx, &in.intake, files)
	if known {
		in.facts.before = &before.Acquisition
		in.purpose = cmp.Or(in.purpose, before.Purpose)
	}
	in.incident, in.exhibit, in.kind, in.name = string(item.Incident), item.Exhibit, item.Type, string(item.Name.Raw())
	if err := a.complete(&in.intake, "-"); err != nil {
		return err
	}
	if ways == 0 {
		in.measured = before.Measured
	}
	got, err := cl.Received(ctx, id)
	if err != nil {
		return err
	}
	if err := in.asLong(ctx, cl, id, got); err != nil {
		return err
	}
	seal, err := a.sealOf(ctx, in, item, got, files)
	if err != nil {
		return err
	}
	said, err := sealNow(ctx, cl, in.purpose, seal)
	if err != nil {
		return err
	}
	if text := custody.AsReceivedText(seal.AsReceived); text != "" {
		a.say("NOTE: %s", text)
	}
	return a.finish(ctx, cl, &sealedItem{
		proof: proofOf(said, string(id)), Exhibit: item.Exhibit, Size: seal.Artifact.Size, SHA256: seal.Artifact.SHA256, Root: seal.Artifact.Root,
		Format: seal.Format, Labels: seal.Labels, Locked: isLocked(said), AsReceived: seal.AsReceived, resume: begunFile(id), at: said.Record.Recorded,
	})
}

// asLong refuses what did not arrive whole, as far as somebody can tell: the
// caller, who says the size, or the service, to which a stream broke off.
func (in *sealing) asLong(ctx context.Context, cl *client.Client, id custody.EvidenceID, got api.Received) error {
	if err := in.reading.asSaid(got.Size); err != nil {
		return fmt.Errorf("%w; PUT …/content?from=%d goes on", err, got.Next)
	}
	switch {
	case !got.Broken || !in.asReceived:
		return nil
	case in.reading.size == "":
		return refusedf("the stream broke off after %d bytes; nothing was sealed. Send the rest, PUT …/content?from=%d, or say with --size that this is all of it",
			got.Size, got.Next)
	case got.Size != got.Next:
		return refusedf("the stream broke off, and the last bytes here are of an earlier one; nothing was sealed. Send the rest: PUT …/content?from=%d", got.Next)
	}
	return cl.Ends(ctx, id, got.Next)
}

// sealOf makes the statement, from what was measured and what is believed.
func (a *app) sealOf(ctx context.Context, in *sealing, item api.Evidence, got api.Received, files []string) (*custody.SealEvidence, error) {
	seal := &custody.SealEvidence{
		Acquisition: in.acquired, Evidence: item.ID, Incident: item.Incident,
		Artifact:   custody.Artifact{Root: got.Root, Size: got.Size, ChunkSize: custody.ChunkSize},
		AsReceived: []string{custody.DigestRoot},
	}
	switch {
	case in.measured != nil:
		was := in.measured.Artifact
		if got.Root != was.Root || got.Size != was.Size {
			return nil, refusedf("what arrived, %d bytes, is not what was measured here, %d bytes; nothing was sealed", got.Size, was.Size)
		}
		again := *in.measured
		again.Acquisition = in.acquired
		return &again, nil
	case len(files) > 0:
		return seal, a.measureFiles(ctx, in, seal, files)
	case in.sha256 != "":
		b, err := hex.DecodeString(strings.TrimPrefix(in.sha256, "sha256:"))
		if err != nil || len(b) != len(seal.Artifact.SHA256) {
			return nil, usagef("--sha256 %.80q is no SHA-256 in hexadecimal digits", in.sha256)
		}
		copy(seal.Artifact.SHA256[:], b)
		if got.SHA256 == nil {
			a.say("NOTE: the service does not know the SHA-256 of what arrived: yours is compared when it reads the bytes back")
		} else if *got.SHA256 != seal.Artifact.SHA256 {
			return nil, refusedf("what arrived, %d bytes, has the SHA-256 %s, and not the one that you measured; nothing was sealed", got.Size, got.SHA256.Hex())
		}
	case got.SHA256 == nil:
		return nil, refusedf("the service does not know the SHA-256 of what arrived: name the FILE, or give --sha256")
	default:
		seal.Artifact.SHA256 = *got.SHA256
		seal.AsReceived = append(seal.AsReceived, custody.DigestSHA256)
	}
	return seal, nil
}

// measureFiles reads the files that were sent, and fills in the seal.
func (a *app) measureFiles(ctx context.Context, in *sealing, seal *custody.SealEvidence, files []string) (err error) {
	s, err := a.open(ctx, &in.intake, files)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	expected, err := in.expectation(s)
	if err != nil {
		return err
	}
	want := seal.Artifact
	t, err := a.take(ctx, &in.intake, s, expected, func() (custody.Artifact, error) {
		bar := a.progress("measuring "+in.name, s.size, s.known)
		defer bar.done()
		tree := custody.NewTreeHash(nil)
		_, err := io.Copy(tree, metered{s, bar.settled})
		return tree.Finish(), err
	})
	if err != nil {
		return err
	}
	if t.artifact.Size != want.Size || t.artifact.Root != want.Root {
		return refusedf("what arrived, %d bytes, is not what is in %s, %d bytes; nothing was sealed", want.Size, strings.Join(files, ", "), t.artifact.Size)
	}
	seal.Artifact, seal.AsReceived = t.artifact, nil
	seal.Acquisition, seal.Format, seal.Labels, seal.Parts = t.acquired, t.format, t.labels, t.parts
	return nil
}

// metered tells how much is read.
type metered struct {
	r       io.Reader
	settled func(int, bool)
}

func (t metered) Read(b []byte) (int, error) {
	n, err := t.r.Read(b)
	t.settled(n, true)
	return n, err
}

// reasonOf makes a purpose of an error: a line, whatever names it has in it.
func reasonOf(cause error) string {
	const most = 200 // bytes, of which each can become several
	text := "not finished: " + cause.Error()
	name, err := custody.NewName([]byte(text[:min(len(text), most)]))
	if err != nil || custody.CheckLine("purpose", name.Display) != nil {
		return "not finished"
	}
	return name.Display
}

func (a *app) evidenceWithdraw() *cobra.Command {
	return a.about("withdraw", "End the upload of an item that is not to be sealed, and free its exhibit number",
		`Ends the upload of an item that was announced and cannot be sealed as it should be.
The service discards what arrived of it; its exhibit number can be used again. That
it was announced and withdrawn, by whom and why, stays on record. What is sealed
is not withdrawn. Whoever announced the item says so, or an incident manager.`,
		`  custody evidence withdraw e-abcdefghijklmnop --purpose "the disk is read again with another cable"`,
		func(c *cobra.Command, cl *client.Client, id custody.EvidenceID, purpose string) error {
			item, err := cl.Evidence(c.Context(), id)
			if err != nil {
				return err
			}
			said, err := cl.Put(c.Context(), purpose, &custody.WithdrawEvidence{Evidence: id, Incident: item.Incident})
			if err != nil {
				return err
			}
			if err := a.forgetUpload(begunFile(id)); err != nil {
				return err
			}
			return a.answer(struct {
				proof
				Exhibit string `json:"exhibit"`
			}{proofOf(said, string(id)), item.Exhibit}, fmt.Sprintf("%s is withdrawn; the exhibit number %s is free\n", id, item.Exhibit))
		})
}

// otherBytes is an error for good: the bytes are not those that were to be taken
// in, and reading them again does not help.
type otherBytes struct{ error }

func (o otherBytes) Unwrap() error { return o.error }

// withdrawWithin is how long the end of a command waits for a withdrawal.
const withdrawWithin = 10 * time.Second

// decided says whether an error is the service's decision against something,
// which it would make again. Everything else may be over soon, or is not known.
func decided(err error) bool {
	problem := new(client.Error)
	if !errors.As(err, &problem) {
		return false
	}
	switch problem.Status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusGone, http.StatusRequestEntityTooLarge:
		return true
	}
	return false
}

// freedBy says what frees an item's exhibit number.
func freedBy(id custody.EvidenceID, exhibit string) string {
	return fmt.Sprintf("custody evidence withdraw %s frees the exhibit number %s", id, exhibit)
}

// unfinished says what becomes of an item that was announced, and of which not
// all was sent. It is withdrawn when the bytes are not those that were to come;
// of a pipe, which the same command cannot continue, also when the service
// decided against it. Otherwise it stays, with what arrived.
func (a *app) unfinished(ctx context.Context, cl *client.Client, in *intake, resume string, id custody.EvidenceID, cause error) error {
	switch {
	case errors.As(cause, new(otherBytes)), resume == "" && decided(cause):
		return a.withdraw(ctx, cl, in, resume, id, cause)
	case resume != "":
		return fmt.Errorf("%w; %s stays announced: run the same command again to continue, or %s", cause, id, freedBy(id, in.exhibit))
	}
	return fmt.Errorf("%w; %s stays announced, with what arrived of it: custody evidence begin --help says how the rest is sent as a stream, "+
		"and custody evidence seal %s … seals it then; %s", cause, id, id, freedBy(id, in.exhibit))
}

// unsealed says what becomes of an item that was sent whole, and of which it is
// not known that it is sealed.
func (a *app) unsealed(ctx context.Context, cl *client.Client, in *intake, resume string, seal *custody.SealEvidence, cause error) error {
	id := seal.Evidence
	again := fmt.Sprintf("custody evidence seal %s seals the %d bytes that were measured here, with the SHA-256 %s", id, seal.Artifact.Size, seal.Artifact.SHA256.Hex())
	if !decided(cause) {
		return fmt.Errorf("sent; whether it is sealed is not known: %w; custody evidence show %s says. If it is not, it stays announced, and all of it is there: %s; %s",
			cause, id, again, freedBy(id, in.exhibit))
	}
	cause = fmt.Errorf("sent, not sealed: %w", cause)
	if resume == "" {
		return a.withdraw(ctx, cl, in, resume, id, cause)
	}
	return fmt.Errorf("%w; %s stays announced, and all of it is there: when that is set right %s; %s", cause, id, again, freedBy(id, in.exhibit))
}

// withdraw ends the upload of an item for a cause, and says what became of it.
func (a *app) withdraw(ctx context.Context, cl *client.Client, in *intake, resume string, id custody.EvidenceID, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawWithin)
	defer cancel()
	if _, err := cl.Put(ctx, reasonOf(cause), &custody.WithdrawEvidence{Evidence: id, Incident: custody.IncidentID(in.incident)}); err != nil {
		return fmt.Errorf("%w; %s stays announced: %s", cause, id, freedBy(id, in.exhibit))
	}
	return errors.Join(fmt.Errorf("%w; %s was withdrawn, and the exhibit number %s is free again", cause, id, in.exhibit),
		a.forgetUpload(resume), a.forgetUpload(begunFile(id)))
}
