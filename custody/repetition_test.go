package custody_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

// FuzzRepetition: what is read as one is written the same again.
func FuzzRepetition(f *testing.F) {
	r := &custody.Repetition{
		First: custody.ProvenLeaf{Leaf: make([]byte, custody.LeafSize), Proof: "p"}, Format: custody.RepetitionFormat,
		Second: custody.ProvenLeaf{Leaf: []byte{1}, Proof: "q"},
	}
	b, err := custody.Encode(r)
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := custody.ParseRepetition(b)
		if err != nil {
			return
		}
		again, err := custody.Encode(r)
		require.NoError(t, err)
		require.Equal(t, b, again)
	})
}
