package custody

import (
	"errors"
	"fmt"
)

// RepetitionFormat names the version of the format of a Repetition.
const RepetitionFormat = "https://github.com/forensic-custody/custody/repetition/v1"

// Repetition is two leaves of one log that carry the same tag: two records for one
// place of one stream. It is a proof for everybody that the history of that stream
// is forked, and tells nobody which stream that is.
type Repetition struct {
	First  ProvenLeaf `json:"first"` // of the smaller index
	Format string     `json:"format"`
	Second ProvenLeaf `json:"second"`
}

// ProvenLeaf is a leaf with its proof.
type ProvenLeaf struct {
	Leaf  []byte `json:"leaf"`  // 65 bytes
	Proof string `json:"proof"` // c2sp.org/tlog-proof
}

// ParseRepetition accepts exactly what Encode writes. It verifies nothing.
func ParseRepetition(b []byte) (*Repetition, error) {
	r := new(Repetition)
	if err := Decode(b, r); err != nil {
		return nil, fmt.Errorf("repetition: %w", err)
	}
	if r.Format != RepetitionFormat {
		return nil, fmt.Errorf("repetition: format %.100q is not %q", r.Format, RepetitionFormat)
	}
	return r, nil
}

// Verify says whether both leaves are in the log of trust, at different places and
// with one tag, and returns the places.
func (r *Repetition) Verify(trust *Trust) (first, second uint64, err error) {
	a, at, err := r.First.verify(trust)
	if err != nil {
		return 0, 0, err
	}
	b, and, err := r.Second.verify(trust)
	switch {
	case err != nil:
		return 0, 0, err
	case at >= and:
		return 0, 0, errors.New("repetition: the first leaf does not come before the second")
	case a.Tag() != b.Tag():
		return 0, 0, errors.New("repetition: the two leaves have different tags")
	}
	return at, and, nil
}

func (p ProvenLeaf) verify(trust *Trust) (Leaf, uint64, error) {
	leaf, err := ParseLeaf(p.Leaf)
	if err != nil {
		return leaf, 0, fmt.Errorf("repetition: %w", err)
	}
	r, err := ParseReceipt([]byte(p.Proof))
	if err != nil {
		return leaf, 0, fmt.Errorf("repetition: %w", err)
	}
	_, err = r.Verify(trust, leaf)
	return leaf, r.Index, err
}
