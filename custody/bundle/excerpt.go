package bundle

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/forensic-custody/custody/custody"
)

// Excerpt is a stretch of an artifact whose bytes are in the bundle, and are
// proven to be those that were sealed without the rest of the artifact.
type Excerpt struct {
	Offset uint64         `json:"offset"` // of the first byte in the artifact
	Length uint64         `json:"length"` // in bytes
	SHA256 custody.Digest `json:"sha256"` // of these bytes
}

// Stretch names bytes of an artifact: Length of them from Offset on.
type Stretch struct{ Offset, Length uint64 }

// maxProofs is the most bytes that the proofs of an item's excerpts have.
const maxProofs = 64 << 20

// An excerpt has two parts in a bundle: the whole blocks in which its bytes lie,
// and the roots of the largest subtrees beside them.

func excerptName(e custody.EvidenceID, offset uint64) string {
	return fmt.Sprintf("excerpts/%s/%d", e, offset)
}

func proofsName(e custody.EvidenceID) string { return fmt.Sprintf("excerpts/%s/proofs", e) }

// proofs are those of all excerpts of an item, in order.
type proofs struct {
	Excerpts []proof `json:"excerpts"`
}

// proof is that of one excerpt. Its SHA-256 proves nothing by itself: it covers
// what the head says of where the excerpt begins and ends within its blocks.
type proof struct {
	Beside []custody.Digest `json:"beside"` // the roots of the largest subtrees beside the blocks, from left to right
	SHA256 custody.Digest   `json:"sha256"` // of the excerpt
}

// blocks returns the blocks in which the stretch lies, from lo up to hi.
func (s stretch) blocks() (lo, hi uint64) {
	return s.Offset / custody.BlockSize, (s.Offset+s.Length-1)/custody.BlockSize + 1
}

// covered returns the bytes that these blocks have in an artifact of size bytes.
func (s stretch) covered(size uint64) (begin, end uint64) {
	lo, hi := s.blocks()
	return lo * custody.BlockSize, min(hi*custody.BlockSize, size)
}

func (h *head) checkExcerpts() error {
	for n, x := range h.Excerpts {
		if _, ok := slices.BinarySearch(h.Items, x.Evidence); !ok {
			return fmt.Errorf("an excerpt is of %.40q, which is none of the items", x.Evidence)
		}
		if x.Length == 0 || x.Offset > custody.MaxArtifact || x.Length > custody.MaxArtifact-x.Offset {
			return fmt.Errorf("an excerpt of %d bytes from byte %d on is none of an artifact", x.Length, x.Offset)
		}
		if n == 0 || h.Excerpts[n-1].Evidence < x.Evidence {
			continue
		}
		_, before := h.Excerpts[n-1].blocks()
		if lo, _ := x.blocks(); h.Excerpts[n-1].Evidence > x.Evidence || before > lo {
			return errors.New("the excerpts are not in order, or two lie in the same block of 65536 bytes: give those as one")
		}
	}
	return nil
}

// excerptsOf returns the stretches of an item.
func (h *head) excerptsOf(e custody.EvidenceID) (list []stretch) {
	first, _ := slices.BinarySearchFunc(h.Excerpts, e, func(x stretch, e custody.EvidenceID) int { return cmp.Compare(x.Evidence, e) })
	for _, x := range h.Excerpts[first:] {
		if x.Evidence != e {
			break
		}
		list = append(list, x)
	}
	return list
}

// readExcerpts checks that the bytes of the excerpts are of the sealed artifacts.
func (c *check) readExcerpts() error {
	for _, item := range c.verdict.Items {
		list := c.head.excerptsOf(item.Evidence)
		if len(list) == 0 {
			continue
		}
		if item.Artifact == nil {
			return fmt.Errorf("has an excerpt of %s, which is not sealed", item.Evidence)
		}
		if err := c.readExcerptsOf(item, list); err != nil {
			return err
		}
	}
	return nil
}

func (c *check) readExcerptsOf(item *Item, list []stretch) error {
	var found []Excerpt
	var leaves [][]custody.Digest
	for _, x := range list {
		begin, end := x.covered(item.Artifact.Size)
		if x.Length > item.Artifact.Size || x.Offset > item.Artifact.Size-x.Length {
			return fmt.Errorf("has an excerpt of %d bytes from byte %d on; %s has %d bytes", x.Length, x.Offset, item.Evidence, item.Artifact.Size)
		}
		if err := c.expect(excerptName(item.Evidence, x.Offset)); err != nil {
			return err
		}
		if c.in.size != end-begin {
			return fmt.Errorf("has %d bytes; the blocks of %d bytes from byte %d on have %d", c.in.size, x.Length, x.Offset, end-begin)
		}
		inner := &inner{hash: sha256.New(), skip: x.Offset - begin, left: x.Length}
		digests, err := blockDigests(io.TeeReader(&c.in, inner), end-begin)
		if err != nil {
			return err
		}
		leaves = append(leaves, digests)
		found = append(found, Excerpt{Offset: x.Offset, Length: x.Length, SHA256: custody.Digest(inner.hash.Sum(nil))})
	}
	b, err := c.readMember(nil, proofsName(item.Evidence), maxProofs)
	if err != nil {
		return err
	}
	var given proofs
	if err := custody.Decode(b, &given); err != nil {
		return err
	}
	if len(given.Excerpts) != len(list) {
		return fmt.Errorf("has %d proofs of %d excerpts", len(given.Excerpts), len(list))
	}
	for n, x := range list {
		lo, _ := x.blocks()
		root, err := custody.RangeRoot(custody.BlockCount(item.Artifact.Size), lo, leaves[n], given.Excerpts[n].Beside)
		if err != nil {
			return err
		}
		if root != item.Artifact.Root || given.Excerpts[n].SHA256 != found[n].SHA256 {
			return fmt.Errorf("the %d bytes from byte %d on are not those of the artifact that was sealed", x.Length, x.Offset)
		}
	}
	item.Excerpts = found
	return nil
}

// blockDigests returns the leaf hashes of the blocks of size bytes of r.
func blockDigests(r io.Reader, size uint64) (list []custody.Digest, err error) {
	block := make([]byte, custody.BlockSize)
	for size > 0 {
		b := block[:min(size, custody.BlockSize)]
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		list = append(list, custody.BlockDigests(b)...)
		size -= uint64(len(b))
	}
	return list, nil
}

// inner hashes what lies within of what is written to it.
type inner struct {
	hash       hash.Hash
	skip, left uint64
}

func (i *inner) Write(p []byte) (int, error) {
	n := min(uint64(len(p)), i.skip)
	i.skip -= n
	rest := p[n:]
	rest = rest[:min(uint64(len(rest)), i.left)]
	i.left -= uint64(len(rest))
	i.hash.Write(rest)
	return len(p), nil
}

// Excerpts reads a bundle once more, after it was verified, and gives the bytes of
// each excerpt to do. It fails when the verdict is not good, and when the bytes are
// not those that were verified: then what do took in before is worth nothing.
func (v *Verdict) Excerpts(r io.Reader, do func(custody.EvidenceID, Excerpt, io.Reader) error) error {
	if !v.Verified {
		return errors.New("the bundle does not verify: none of its bytes are written out")
	}
	in := &reader{r: r}
	if _, err := in.head(); err != nil {
		return err
	}
	for _, item := range v.Items {
		for _, x := range item.Excerpts {
			if err := in.seek(excerptName(item.Evidence, x.Offset)); err != nil {
				return err
			}
			s := stretch{Evidence: item.Evidence, Length: x.Length, Offset: x.Offset}
			begin, _ := s.covered(item.Artifact.Size)
			if _, err := io.CopyN(io.Discard, in, int64(x.Offset-begin)); err != nil {
				return err
			}
			sum := sha256.New()
			content := io.TeeReader(io.LimitReader(in, int64(x.Length)), sum)
			if err := do(item.Evidence, x, content); err != nil {
				return err
			}
			if _, err := io.Copy(io.Discard, content); err != nil {
				return err
			}
			if custody.Digest(sum.Sum(nil)) != x.SHA256 {
				return errors.New("the bundle is not the one that was verified")
			}
			if err := in.skip(); err != nil {
				return err
			}
		}
	}
	return nil
}

// seek goes on to the member of this name.
func (r *reader) seek(name string) error {
	for {
		if err := r.next(); err != nil {
			return err
		}
		if r.name == name {
			return nil
		}
		if err := r.skip(); err != nil {
			return err
		}
	}
}

// AddExcerpts copies a bundle from r to w, and adds stretches of an item's
// artifact to it with the proofs that they are of what was sealed. It reads the
// artifact once, whole, and fails when it is not the one that the item's seal in
// the bundle names. A proof reaches down to a block of 64 KiB, so that the whole
// blocks in which the stretches lie go along, and are disclosed; two stretches
// do not lie in one block. It verifies nothing of the bundle itself: that is for
// Verify. What was written to w is worth nothing when it fails.
func AddExcerpts(w io.Writer, r io.Reader, e custody.EvidenceID, artifact io.Reader, stretches ...Stretch) error {
	in := &reader{r: r}
	h, err := in.head()
	if err != nil {
		return err
	}
	switch {
	case !slices.Contains(h.Items, e):
		return fmt.Errorf("the bundle is not of item %s", e)
	case h.Artifact:
		return errors.New("the bundle has its whole artifact")
	case len(h.excerptsOf(e)) > 0:
		return fmt.Errorf("the bundle has excerpts of %s: give all of them at once, to a bundle without", e)
	case len(stretches) == 0:
		return errors.New("no stretch is given")
	}
	h.Format = Format
	for _, s := range stretches {
		h.Excerpts = append(h.Excerpts, stretch{Evidence: e, Length: s.Length, Offset: s.Offset})
	}
	slices.SortFunc(h.Excerpts, func(a, b stretch) int {
		return cmp.Or(cmp.Compare(a.Evidence, b.Evidence), cmp.Compare(a.Offset, b.Offset))
	})
	if err := h.check(); err != nil {
		return err
	}
	out := writer{w}
	if err := out.head(h); err != nil {
		return err
	}
	x := &excerpting{out: out, of: e, list: h.excerptsOf(e), artifact: artifact}
	for {
		err := in.next()
		if err != nil && !errors.Is(err, errEnd) {
			return err
		}
		if at, is := strings.CutPrefix(in.name, "excerpts/"); !x.done && (err != nil || is && at > string(e)) {
			if err := x.add(); err != nil {
				return err
			}
		}
		if err != nil {
			return out.close()
		}
		if err := x.pass(in); err != nil {
			return err
		}
	}
}

// excerpting adds the excerpts of one item.
type excerpting struct {
	out      writer
	of       custody.EvidenceID
	list     []stretch
	artifact io.Reader
	sealed   *custody.Artifact // as the item's seal says
	done     bool
}

// pass copies a member, and looks for the seal.
func (x *excerpting) pass(in *reader) error {
	if x.sealed != nil || !strings.HasPrefix(in.name, "records/"+string(x.of.Stream())+"/") || !strings.HasSuffix(in.name, ".json") {
		return x.out.member(in.name, in.size, in)
	}
	b, err := in.all(nil, maxRecord)
	if err != nil {
		return err
	}
	r, err := custody.ParseRecord(b)
	if err != nil {
		return fmt.Errorf("%s: %w", in.name, err)
	}
	if kind, permitted, err := said(b); err == nil && permitted && kind == custody.KindSealEvidence {
		s, err := r.Envelope.Statement(custody.Acts())
		if err != nil {
			return fmt.Errorf("%s: %w", in.name, err)
		}
		x.sealed = &s.Act.(*custody.SealEvidence).Artifact
	}
	return x.out.bytes(in.name, b)
}

// add reads the artifact, and writes the excerpts and their proofs.
func (x *excerpting) add() error {
	x.done = true
	if x.sealed == nil {
		return fmt.Errorf("the bundle has no seal of item %s", x.of)
	}
	size := x.sealed.Size
	provers, inners := make([]*prover, len(x.list)), make([]*inner, len(x.list))
	for n, s := range x.list {
		if s.Length > size || s.Offset > size-s.Length {
			return fmt.Errorf("%d bytes from byte %d on are not within the %d bytes of the artifact", s.Length, s.Offset, size)
		}
		lo, hi := s.blocks()
		inners[n] = &inner{hash: sha256.New(), skip: s.Offset, left: s.Length}
		provers[n] = newProver(custody.BlockCount(size), lo, hi)
	}
	whole, tree, block := sha256.New(), custody.RootHash{}, make([]byte, custody.BlockSize)
	list, read := x.list, uint64(0)
	for {
		n, readErr := io.ReadFull(x.artifact, block)
		if n > 0 {
			b, d := block[:n], custody.BlockDigests(block[:n])[0]
			whole.Write(b)
			for k, p := range provers {
				p.block(tree.Count(), d)
				_, _ = inners[k].Write(b) // never fails
			}
			var err error
			if list, err = x.write(list, tree.Count(), b); err != nil {
				return err
			}
			tree.Add(d)
			read += uint64(n)
		}
		if errors.Is(readErr, io.EOF) || errors.Is(readErr, io.ErrUnexpectedEOF) {
			break
		}
		if readErr != nil {
			return fmt.Errorf("artifact: %w", readErr)
		}
	}
	got := custody.Artifact{Root: tree.Root(), SHA256: custody.Digest(whole.Sum(nil)), Size: read, ChunkSize: custody.ChunkSize}
	if got != *x.sealed {
		return fmt.Errorf("these %d bytes have SHA-256 %s; sealed were %d bytes with %s", got.Size, got.SHA256.Hex(), size, x.sealed.SHA256.Hex())
	}
	var all proofs
	for n, p := range provers {
		all.Excerpts = append(all.Excerpts, proof{Beside: p.roots, SHA256: custody.Digest(inners[n].hash.Sum(nil))})
	}
	enc, err := custody.Encode(all)
	if err != nil {
		return err
	}
	return x.out.bytes(proofsName(x.of), enc)
}

// write writes a block of the artifact where it belongs to the first of list, and
// returns those that are not written yet.
func (x *excerpting) write(list []stretch, n uint64, block []byte) ([]stretch, error) {
	if len(list) == 0 {
		return list, nil
	}
	lo, hi := list[0].blocks()
	if n < lo {
		return list, nil
	}
	begin, end := list[0].covered(x.sealed.Size)
	if n == lo {
		h, err := header(excerptName(x.of, list[0].Offset), end-begin)
		if err != nil {
			return nil, err
		}
		if _, err := x.out.w.Write(h[:]); err != nil {
			return nil, err
		}
	}
	if _, err := x.out.w.Write(block); err != nil {
		return nil, err
	}
	if n+1 < hi {
		return list, nil
	}
	_, err := x.out.w.Write(make([]byte, padding(end-begin)))
	return list[1:], err
}

// prover makes the proof of a stretch as the blocks of the artifact go by.
type prover struct {
	places [][2]uint64 // of the subtrees whose roots are still wanted
	tree   custody.RootHash
	roots  []custody.Digest
}

func newProver(blocks, lo, hi uint64) *prover {
	p := &prover{roots: []custody.Digest{}}
	custody.ProveRange(blocks, lo, hi, func(begin, end uint64) custody.Digest {
		p.places = append(p.places, [2]uint64{begin, end})
		return custody.Digest{}
	})
	return p
}

func (p *prover) block(n uint64, d custody.Digest) {
	if len(p.places) == 0 || n < p.places[0][0] {
		return
	}
	if p.tree.Add(d); n+1 == p.places[0][1] {
		p.roots = append(p.roots, p.tree.Root())
		p.places, p.tree = p.places[1:], custody.RootHash{}
	}
}

// excerptsText lists the excerpts, for people.
func (i *Item) excerptsText() string {
	var b strings.Builder
	for _, x := range i.Excerpts {
		begin, end := stretch{Length: x.Length, Offset: x.Offset}.covered(i.Artifact.Size)
		fmt.Fprintf(&b, "            in this bundle, as sealed: bytes %d to %d (%d of them), SHA-256 %s\n", x.Offset, x.Offset+x.Length-1, x.Length, x.SHA256.Hex())
		if begin < x.Offset || end > x.Offset+x.Length {
			fmt.Fprintf(&b, "            with the rest of their blocks: bytes %d to %d\n", begin, end-1)
		}
	}
	if len(i.Excerpts) > 0 && len(i.AsReceived) > 0 {
		b.WriteString("            \"as sealed\" of these stretches stands upon the root, which is the word of the service (see the note)\n")
	}
	return b.String()
}

// Items returns of which items the bundle is that r begins with, by its own word: it
// verifies nothing.
func Items(r io.Reader) ([]custody.EvidenceID, error) {
	h, err := (&reader{r: r}).head()
	if err != nil {
		return nil, err
	}
	return h.Items, nil
}
