package archive

import (
	"bytes"
	"testing"

	"github.com/forensic-custody/custody/custody"
)

// FuzzOpenings: what is read as openings is written as the same bytes.
func FuzzOpenings(f *testing.F) {
	s := span{7, 2}
	f.Add(marshalOpenings(s, []Record{
		{Stream: "policy", Sequence: 3, Opening: custody.Opening{1}, Opens: []custody.OpenedStream{{Stream: "incidents", TagKey: custody.TagKey{2}}}},
		{Stream: "incidents", Sequence: 1},
	}), uint64(7), uint8(2))
	f.Fuzz(func(t *testing.T, b []byte, first uint64, count uint8) {
		s := span{first, uint64(count)}
		list, err := parseOpenings(b, s)
		if err != nil {
			return
		}
		records := make([]Record, len(list))
		for i, o := range list {
			records[i] = Record{Stream: o.stream, Sequence: o.sequence, Opening: o.opening, Opens: o.opens}
		}
		if !bytes.Equal(marshalOpenings(s, records), b) {
			t.Fatal("it reads as something else than it is")
		}
	})
}

// FuzzRecords: what is read as records says of itself how long it is.
func FuzzRecords(f *testing.F) {
	s := span{0, 1}
	empty, err := sealRecords(s, []Record{{Leaf: custody.NewLeaf(custody.Commitment{1}, custody.Tag{2})}}, []byte("checkpoint"), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(empty, uint64(0), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, first uint64, count uint8) {
		s := span{first, uint64(count)}
		list, published, err := parseRecords(b, s)
		if err != nil {
			return
		}
		n := len(s.head(recordsMagic)) + 2 + len(published)
		for _, r := range list {
			n += len(r.leaf) + len(r.payload) + len(r.nonce) + 4 + len(r.body)
		}
		if n != len(b) || len(list) != int(count) {
			t.Fatalf("%d records of %d bytes in %d", len(list), n, len(b))
		}
	})
}

// FuzzKeys: a key in the bucket names one stretch, and that stretch has this key.
func FuzzKeys(f *testing.F) {
	f.Add("records/0000/0000000000000000-0000000000000003")
	f.Fuzz(func(t *testing.T, key string) {
		if s, ok := spanOf(key, recordsPrefix); ok && recordsKey(s) != key {
			t.Fatal(key)
		}
	})
}
