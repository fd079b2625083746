package storage

import (
	"context"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

// OpenAs is Open with a pass of the test's own making, since only the guard
// makes real ones; and OpenFor of somebody's.
func (v *Vault) OpenAs(ctx context.Context, incident custody.IncidentID, a custody.Artifact, r guard.Range, permit func(guard.Range) error) (*Reader, error) {
	return v.open(ctx, incident, a, r, reading{v.readers, "", permit})
}

func (v *Vault) OpenFor(ctx context.Context, who custody.PrincipalID, incident custody.IncidentID, a custody.Artifact) (*Reader, error) {
	return v.open(ctx, incident, a, guard.Range{Length: a.Size}, reading{v.readers, who, func(guard.Range) error { return nil }})
}

// BuffersTaken returns how many buffers are in use.
func (v *Vault) BuffersTaken() int {
	return cap(v.buffers.free) - len(v.buffers.free) + cap(v.readers.free) - len(v.readers.free)
}

// MarshalManifest writes the head of a manifest of at most one page.
func MarshalManifest(a custody.Artifact, version string, rows []Chunk) []byte {
	m := &manifest{root: a.Root, size: a.Size}
	if len(rows) > 0 {
		plain := marshalRows(rows)
		m.pages = []page{{root: a.Root, digest: custody.Hash(plain), length: uint32(len(plain)), version: version}}
	}
	b, err := m.marshal()
	if err != nil {
		panic(err)
	}
	return b
}

// ParseManifest reads the head of a manifest and writes it again.
func ParseManifest(b []byte) ([]byte, error) {
	m, err := parseManifest(b)
	if err != nil {
		return nil, err
	}
	return m.marshal()
}

// How pages are written and read.
var (
	MarshalRows = marshalRows
	ParseRows   = parseRows
)

// ParseHeader reads an object's header and writes it again.
func ParseHeader(b []byte) ([]byte, error) {
	h, err := parseHeader(b)
	return h.marshal(), err
}

func somewhere() (*incidentKeys, address) {
	k := &incidentKeys{incident: custody.NewIncidentID(custody.Digest{}), number: 1}
	return k, chunkAddress(k, Chunk{Digest: custody.Digest{1}, Length: 9})
}

// SealObject encrypts plain with fixed secrets.
func SealObject(plain []byte) ([]byte, error) {
	k, a := somewhere()
	return seal(nil, k, a, codecNone, len(plain), plain, zeros{})
}

// UnsealObject opens what SealObject wrote.
func UnsealObject(b []byte) ([]byte, error) {
	k, a := somewhere()
	_, plain, err := unseal(b, k, a)
	return plain, err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
