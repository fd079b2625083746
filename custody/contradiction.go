package custody

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Extends returns nil when the log of now begins with the tree of before, both of
// them verified. tile returns what the log serves under a path of
// c2sp.org/tlog-tiles, "tile/0/x001/067"; it is believed as far as it makes now's
// root. A *Contradiction, without its two checkpoints, when the trees are proven to be different ones.
func Extends(before, now Checkpoint, tile func(path string) ([]byte, error)) error {
	switch {
	case before.Origin != now.Origin:
		return errors.New("these are checkpoints of two logs")
	case before.Size == now.Size && before.Root == now.Root, before.Size == 0:
		return nil
	case before.Size == now.Size:
		return &Contradiction{}
	case before.Size > now.Size:
		return fmt.Errorf("size %d does not go on from size %d", now.Size, before.Size)
	}
	tree := tlog.Tree{N: int64(now.Size), Hash: tlog.Hash(now.Root)}
	hashes := tlog.TileHashReader(tree, &remoteTiles{tile})
	proof, err := tlog.ProveTree(tree.N, int64(before.Size), hashes)
	if err != nil {
		return fmt.Errorf("the log cannot show that size %d goes on from size %d: %w", now.Size, before.Size, err)
	}
	prefix, err := tlog.TreeHash(int64(before.Size), hashes)
	if err != nil {
		return fmt.Errorf("the log cannot show that size %d goes on from size %d: %w", now.Size, before.Size, err)
	}
	if Digest(prefix) == before.Root {
		return nil
	}
	c := &Contradiction{Prefix: Digest(prefix), Proof: make([]Digest, len(proof))}
	for i, h := range proof {
		c.Proof[i] = Digest(h)
	}
	return c
}

// ContradictionFormat names the version of the format of a Contradiction.
const ContradictionFormat = "https://github.com/forensic-custody/custody/contradiction/v1"

// Contradiction is two checkpoints that one log signed and that do not agree: what
// somebody can show who was shown another log than others, or than before.
//
// With Prefix it is a proof for everybody: Proof shows that the tree of Second
// begins with a tree of First's size whose root is Prefix, and First says another
// root. Two roots of one size need no more. Without, it says that the log showed
// First after Second, which is larger, and would not show that it is in it.
type Contradiction struct {
	First  string   `json:"first"` // signed checkpoint, of the smaller size
	Format string   `json:"format"`
	Prefix Digest   `json:"prefix"` // zero when it is not known
	Proof  []Digest `json:"proof"`  // RFC 6962 consistency proof
	Second string   `json:"second"` // signed checkpoint
}

func (*Contradiction) Error() string {
	return "THE LOG CONTRADICTS ITSELF: it signed two trees of which neither goes on from the other"
}

// ParseContradiction accepts exactly what Encode writes. It verifies nothing.
func ParseContradiction(b []byte) (*Contradiction, error) {
	c := new(Contradiction)
	if err := Decode(b, c); err != nil {
		return nil, fmt.Errorf("contradiction: %w", err)
	}
	if c.Format != ContradictionFormat {
		return nil, fmt.Errorf("contradiction: format %.100q is not %q", c.Format, ContradictionFormat)
	}
	return c, nil
}

// Verify says whether both checkpoints are signed by the log of trust, and returns
// them; proven is whether they prove that it signed two trees that exclude one
// another.
func (c *Contradiction) Verify(trust *Trust) (first, second *Cosigned, proven bool, err error) {
	if first, err = trust.OpenCheckpoint([]byte(c.First)); err != nil {
		return nil, nil, false, err
	}
	if second, err = trust.OpenCheckpoint([]byte(c.Second)); err != nil {
		return nil, nil, false, err
	}
	switch {
	case first.Checkpoint == second.Checkpoint:
		return nil, nil, false, errors.New("contradiction: the two checkpoints agree")
	case first.Size > second.Size:
		return nil, nil, false, errors.New("contradiction: the first checkpoint is the larger one")
	case first.Size == second.Size:
		return first, second, true, nil
	case c.Prefix.IsZero():
		return first, second, false, nil
	case c.Prefix == first.Root:
		return nil, nil, false, errors.New("contradiction: the two checkpoints agree")
	}
	proof := make(tlog.TreeProof, len(c.Proof))
	for i, h := range c.Proof {
		proof[i] = tlog.Hash(h)
	}
	if err := tlog.CheckTree(proof, int64(second.Size), tlog.Hash(second.Root), int64(first.Size), tlog.Hash(c.Prefix)); err != nil {
		return nil, nil, false, fmt.Errorf("contradiction: its proof does not verify: %w", err)
	}
	return first, second, true, nil
}
