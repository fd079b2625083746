package custody

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"maps"
	"reflect"
	"slices"
)

// States makes the empty state of each kind of stream: policy, incidents,
// principal, incident, evidence.
type States map[string]func() State

// New returns the fold of an empty stream of this name.
func (m States) New(s Stream) (State, error) {
	create := m[s.Kind()]
	if create == nil {
		return nil, fmt.Errorf("%s: no fold for this kind of stream", s)
	}
	return create(), nil
}

// OpenedStream is a stream that a record declares, and its tag key.
type OpenedStream struct {
	Stream Stream
	TagKey TagKey
}

const labelState = "custody/v1/state"

// StateDigest names what all records come to: the folds of all streams and how far
// each of them has come. Two who hold the same records arrive at the same digest,
// as long as their programs are of the same version: it is no format.
type StateDigest struct{ of map[Stream]Digest }

// Add takes in a stream: its head, its fold, and what of it was ordered erased.
func (d *StateDigest) Add(h Head, s State, x *Erasures) {
	sum := sha256.New()
	sum.Write([]byte(labelState))
	w := stateWriter{sum}
	w.value(reflect.ValueOf(h))
	w.value(reflect.ValueOf(s))
	w.value(reflect.ValueOf(x))
	if d.of == nil {
		d.of = map[Stream]Digest{}
	}
	d.of[h.Stream] = Digest(sum.Sum(nil))
}

// Sum returns the digest of all streams that were added.
func (d *StateDigest) Sum() Digest {
	sum := sha256.New()
	sum.Write([]byte(labelState))
	for _, s := range slices.Sorted(maps.Keys(d.of)) {
		each := d.of[s]
		sum.Write(each[:])
	}
	return Digest(sum.Sum(nil))
}

// stateWriter writes what a fold holds, so that two differ when anything in them
// does: lengths before contents, entries of maps in order.
type stateWriter struct{ hash.Hash }

var publicKeyType = reflect.TypeFor[PublicKey]()

func (w stateWriter) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		w.flag(v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		w.number(uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		w.number(v.Uint())
	case reflect.String:
		w.number(uint64(v.Len()))
		w.Write([]byte(v.String()))
	case reflect.Slice, reflect.Array:
		w.number(uint64(v.Len()))
		if v.Type().Elem().Kind() == reflect.Uint8 {
			b := make([]byte, v.Len())
			for i := range b {
				b[i] = byte(v.Index(i).Uint())
			}
			w.Write(b)
			return
		}
		for i := range v.Len() {
			w.value(v.Index(i))
		}
	case reflect.Map:
		w.entries(v)
	case reflect.Pointer:
		w.flag(!v.IsNil())
		if !v.IsNil() {
			w.value(v.Elem())
		}
	case reflect.Struct:
		w.fields(v)
	default:
		panic(fmt.Sprintf("a fold has a %s, which no digest is made of", v.Type()))
	}
}

func (w stateWriter) fields(v reflect.Value) {
	if v.Type() == publicKeyType {
		w.value(v.FieldByName("der"))
		return
	}
	for i := range v.NumField() {
		w.value(v.Field(i))
	}
}

func (w stateWriter) entries(v reflect.Value) {
	list := make([]string, 0, v.Len())
	for entries := v.MapRange(); entries.Next(); {
		each := stateWriter{sha256.New()}
		each.value(entries.Key())
		each.value(entries.Value())
		list = append(list, string(each.Sum(nil)))
	}
	slices.Sort(list)
	w.number(uint64(len(list)))
	for _, e := range list {
		w.Write([]byte(e))
	}
}

func (w stateWriter) flag(set bool) {
	if set {
		w.number(1)
	} else {
		w.number(0)
	}
}

func (w stateWriter) number(n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	w.Write(b[:])
}
