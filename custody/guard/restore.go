package guard

import (
	"github.com/forensic-custody/custody/custody"
)

// Restore makes the row of a record that comes from elsewhere than the store, an
// archive, one of this service's own: marked, with its place in its stream and its
// basis. The record must have been held against its leaf, or be erased and have
// no bytes; that the leaf is in the log, and that the streams fold, is not told
// here but when the store is opened and read.
func Restore(rowKey [32]byte, s Stored) (Stored, error) {
	s.Commitment = s.Leaf.Commitment()
	if s.Erased() {
		s.Mark = erasedMarkOf(rowKey, s)
		return s, nil
	}
	r, err := custody.ParseRecord(s.Record)
	if err != nil {
		return Stored{}, err
	}
	s.Stream, s.Sequence, s.Basis = r.Stream, r.Sequence, r.Basis
	s.Mark = markOf(rowKey, s)
	return s, nil
}
