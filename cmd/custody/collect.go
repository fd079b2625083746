package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
)

// The files of a package. The statement is written last: without it a folder is
// none.
const (
	packageArtifact  = "artifact"       // the bytes
	packageChunks    = "chunks"         // the digest of each chunk, a line each
	packageKey       = "key"            // the collector's public key: PKIX, in base64
	packageStatement = "statement.json" // the envelope of a custody.CollectEvidence
)

func (a *app) collectCommand() *cobra.Command {
	var in intake
	var out string
	c := &cobra.Command{
		Use: "collect FILE…|- -o FOLDER", Short: "Sign for an artifact at a scene without a network", Args: atLeast(1),
		Long: `Copies an artifact into a folder, and puts your signature over its digests and the
facts beside it, there and then. Nothing is sent. Later, custody evidence add
--package checks that nothing has changed, and takes it in: the record then shows
both times. Whoever alters the folder meanwhile is found out.`,
		Example: `  custody collect /dev/sdb -o /media/case/sdb --type disk --facts sdb.json --purpose "search of 23 November"
  custody evidence add --package /media/case/sdb --incident i-abcdefghijklmnop --exhibit EX-7 \
    --purpose "collected on 23 November"`,
		RunE: func(c *cobra.Command, args []string) error {
			if out == "" {
				return usagef("give -o")
			}
			in.scene = true
			a.lookAhead(c.Context(), &in, args)
			if err := a.complete(&in, args[0]); err != nil {
				return err
			}
			return a.collect(c.Context(), &in, args, out)
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "folder to write, which must not exist")
	c.Flags().StringVar(&in.atMost, "at-most", "1TiB", "the most bytes that will come through a pipe (FILE is -)")
	in.flags(c)
	return c
}

func (a *app) collect(ctx context.Context, in *intake, paths []string, out string) (err error) {
	name, err := custody.NewName([]byte(in.name))
	if err != nil {
		return usageError{err}
	}
	cl, _, err := a.alone(ctx)
	if err != nil {
		return err
	}
	if key, ok := cl.Signer.(*asker); ok { // not after hours of copying
		if err := key.unlock(); err != nil {
			return err
		}
	}
	s, err := a.open(ctx, in, paths)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	expected, err := in.expectation(s)
	if err != nil {
		return err
	}
	if err := os.Mkdir(out, 0o700); err != nil {
		return usageError{err}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(out))
		}
	}()
	t, err := a.take(ctx, in, s, expected, func() (custody.Artifact, error) {
		bar := a.progress("copying "+name.Display, s.size, s.known)
		defer bar.done()
		return copyArtifact(ctx, out, s, bar.settled)
	})
	if err != nil {
		return err
	}
	envelope, err := cl.Sign(in.purpose, &custody.CollectEvidence{
		Acquisition: t.acquired, Artifact: t.artifact, Format: t.format, Labels: t.labels, Name: name, Parts: t.parts, Type: in.kind,
	})
	if err != nil {
		return err
	}
	raw, err := envelope.Marshal()
	if err != nil {
		return err
	}
	key := base64.StdEncoding.EncodeToString(cl.Signer.Public().Bytes()) + "\n"
	if err := errors.Join(writeSynced(out, packageKey, []byte(key)), writeSynced(out, packageStatement, raw), syncFolder(out)); err != nil {
		return err
	}
	said := struct {
		Package string          `json:"package"`
		Size    uint64          `json:"bytes"`
		SHA256  custody.Digest  `json:"sha256"`
		Root    custody.Digest  `json:"root"`
		Format  string          `json:"format"`
		Labels  []custody.Label `json:"labels"`
	}{out, t.artifact.Size, t.artifact.SHA256, t.artifact.Root, t.format, t.labels}
	return a.answer(said, fmt.Sprintf("collected and signed for, in %s\n%d bytes, SHA-256 %s\nwrite the SHA-256 down; later: custody evidence add --package %s …\n",
		out, t.artifact.Size, t.artifact.SHA256.Hex(), out))
}

// copyArtifact copies a source into a package, holes as holes, and writes down
// the digests of its chunks. When it returns, both are on the disk.
func copyArtifact(ctx context.Context, dir string, s *source, settled func(int, bool)) (artifact custody.Artifact, err error) {
	f, err := os.OpenFile(filepath.Join(dir, packageArtifact), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return artifact, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var chunks bytes.Buffer
	tree := custody.NewTreeHash(func(d custody.Digest) { chunks.WriteString(d.String() + "\n") })
	b, zeros := make([]byte, custody.ChunkSize), make([]byte, custody.ChunkSize)
	for {
		if err := ctx.Err(); err != nil {
			return artifact, err
		}
		if s.Hole(custody.ChunkSize) {
			_, _ = tree.Write(zeros) // it fails only when finished
			settled(len(zeros), false)
			continue
		}
		n, err := io.ReadFull(s, b)
		if n > 0 {
			if _, err := f.WriteAt(b[:n], int64(tree.Size())); err != nil {
				return artifact, err
			}
			_, _ = tree.Write(b[:n])
			settled(n, true)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return artifact, fmt.Errorf("read the artifact at byte %d: %w", tree.Size(), err)
		}
		if tree.Size() > s.size {
			return artifact, refusedf("more than %d bytes came", s.size)
		}
	}
	artifact = tree.Finish()
	if err := errors.Join(f.Truncate(int64(artifact.Size)), f.Sync()); err != nil {
		return artifact, err
	}
	return artifact, writeSynced(dir, packageChunks, chunks.Bytes())
}

func writeSynced(dir, name string, b []byte) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// scene is a package that was read and verified.
type scene struct {
	envelope *custody.Envelope
	at       custody.Time
	by       custody.PrincipalID
	said     *custody.CollectEvidence
}

// openPackage reads a package, and holds all of it against what was signed.
// Whether whoever signed is enrolled is for the service to say.
func openPackage(dir, audience string) (*scene, error) {
	b, err := os.ReadFile(filepath.Join(dir, packageStatement))
	if err != nil {
		return nil, usageError{fmt.Errorf("%s is not a package of custody collect: %w", dir, err)}
	}
	altered := func(name string, err error) error {
		return refusedf("%s was altered since it was signed at the scene: %w", filepath.Join(dir, name), err)
	}
	p := &scene{}
	if p.envelope, err = custody.ParseEnvelope(b); err != nil {
		return nil, altered(packageStatement, err)
	}
	s, err := p.envelope.Statement(custody.Vocabulary{custody.KindCollectEvidence: func() custody.Act { return new(custody.CollectEvidence) }})
	if err != nil {
		return nil, altered(packageStatement, err)
	}
	key, err := readKey(filepath.Join(dir, packageKey))
	if err != nil {
		return nil, altered(packageKey, err)
	}
	if err := p.envelope.Verify(key); err != nil {
		return nil, altered(packageStatement, err)
	}
	if s.Audience != audience {
		return nil, refusedf("%s was signed for the log %q; yours is %q", dir, s.Audience, audience)
	}
	p.said, p.at, p.by = s.Act.(*custody.CollectEvidence), s.Time, s.Actor // no other kind is read
	return p, p.verify(dir)
}

func readKey(path string) (custody.PublicKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return custody.PublicKey{}, err
	}
	der, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(string(b), "\n"))
	if err != nil {
		return custody.PublicKey{}, err
	}
	return custody.ParsePublicKey(der)
}

// verify holds the bytes against what was signed, and names the first place that
// differs.
func (p *scene) verify(dir string) error {
	want, path := p.said.Artifact, filepath.Join(dir, packageArtifact)
	digests, err := readChunks(filepath.Join(dir, packageChunks))
	if err != nil {
		return err
	}
	root, err := custody.RootOfChunks(digests, want.Size)
	if err == nil && root != want.Root {
		err = errors.New("its digests are not those of the artifact")
	}
	if err != nil {
		return refusedf("%s was altered since it was signed at the scene: %w", filepath.Join(dir, packageChunks), err)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if uint64(info.Size()) != want.Size {
		return refusedf("%s has %d bytes; %d were signed for at the scene", path, info.Size(), want.Size)
	}
	b, whole := make([]byte, custody.ChunkSize), custody.NewTreeHash(nil)
	for n, d := range digests {
		at := uint64(n) * custody.ChunkSize
		b := b[:min(custody.ChunkSize, want.Size-at)]
		if _, err := io.ReadFull(f, b); err != nil {
			return fmt.Errorf("read %s at byte %d: %w", path, at, err)
		}
		if custody.ChunkDigest(b) != d {
			return refusedf("bytes %d to %d of %s are not those that were signed for at the scene", at, at+uint64(len(b))-1, path)
		}
		_, _ = whole.Write(b) // it fails only when finished
	}
	if whole.Finish() != want {
		return refusedf("%s is not what was signed for at the scene", path)
	}
	return nil
}

func readChunks(path string) (list []custody.Digest, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		d, err := custody.ParseDigest(lines.Text())
		if err != nil {
			return nil, refusedf("%s was altered since it was signed at the scene: line %d: %w", path, len(list)+1, err)
		}
		list = append(list, d)
	}
	return list, lines.Err()
}

// addPackage takes in what was signed for at a scene.
func (a *app) addPackage(ctx context.Context, in *intake, dir string) (err error) {
	cl, _, err := a.dialFor(ctx, in.retry)
	if err != nil {
		return err
	}
	p, err := openPackage(dir, cl.Trust.Origin)
	if err != nil {
		return err
	}
	in.name, in.kind, in.acquired = string(p.said.Name.Raw()), p.said.Type, p.said.Acquisition
	s, err := openSource([]string{filepath.Join(dir, packageArtifact)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	a.say("signed for at the scene at %s by %s", p.at.Time().Format(time.RFC3339), p.by)
	sealed, err := a.deliver(ctx, cl, in, s, func(id custody.EvidenceID) (*custody.SealEvidence, error) {
		bar := a.progress("sending "+p.said.Name.Display, s.size, true)
		defer bar.done()
		artifact, err := cl.Upload(ctx, id, s, bar.settled)
		if err := s.unchanged(artifact.Size, err); err != nil {
			return nil, err
		}
		if artifact != p.said.Artifact {
			return nil, errChanged
		}
		return &custody.SealEvidence{
			Acquisition: p.said.Acquisition, Artifact: artifact, Evidence: id, Format: p.said.Format, Incident: custody.IncidentID(in.incident),
			Labels: p.said.Labels, Parts: p.said.Parts, Scene: p.envelope,
		}, nil
	})
	if err != nil {
		return err
	}
	sealed.Scene = &sceneTimes{Signed: p.at, Sealed: sealed.at, Gap: sealed.at.Time().Sub(p.at.Time()).String()}
	return a.finish(ctx, cl, sealed)
}

// finish forgets the upload of an item that is sealed, and tells of it.
func (a *app) finish(ctx context.Context, cl *client.Client, sealed *sealedItem) error {
	if err := errors.Join(a.forgetUpload(sealed.resume), a.keep(ctx, cl)); err != nil {
		return err
	}
	return a.answer(sealed, sealed.text())
}
