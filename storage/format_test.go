package storage_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/storage"
)

// A second reader of the formats, written from their description alone: what
// somebody has to write who is left with a bucket and a key.

type secrets struct {
	incident    custody.IncidentID
	data, names []byte
}

type place struct {
	key  string
	kind byte
	id   []byte
}

func secretsOf(t testing.TB, dir string, id *age.X25519Identity, incident custody.IncidentID) secrets {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "v1", string(incident), "k", "1"))
	require.NoError(t, err)
	return openSecrets(t, b, id, incident)
}

// openSecrets opens a file of wrapped keys.
func openSecrets(t testing.TB, b []byte, id age.Identity, incident custody.IncidentID) secrets {
	t.Helper()
	r, err := age.Decrypt(bytes.NewReader(b[32:]), id)
	require.NoError(t, err)
	plain, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Len(t, plain, 87)
	require.Equal(t, "\x01"+string(incident)+"\x00\x00\x00\x01", string(plain[:23]))
	return secrets{incident, plain[23:55], plain[55:]}
}

func (s secrets) name(parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, s.names)
	for _, p := range parts {
		mac.Write(p)
	}
	return mac.Sum(nil)
}

func (s secrets) chunk(d custody.Digest, length int) place {
	id := s.name([]byte("custody/v1/chunk"), d[:], binary.BigEndian.AppendUint32(nil, uint32(length)))
	return place{fmt.Sprintf("v1/%s/c/%x/%x", s.incident, id[:1], id), 'c', id}
}

func (s secrets) manifest(a custody.Artifact) place {
	var sizes [16]byte
	binary.BigEndian.PutUint64(sizes[:8], a.Size)
	binary.BigEndian.PutUint64(sizes[8:], 8<<20)
	id := s.name([]byte("custody/v1/manifest"), a.Root[:], sizes[:])
	return place{fmt.Sprintf("v1/%s/m/%x", s.incident, id), 'm', id}
}

func (s secrets) page(digest custody.Digest) place {
	id := s.name([]byte("custody/v1/page"), digest[:])
	return place{fmt.Sprintf("v1/%s/p/%x", s.incident, id), 'p', id}
}

// pages returns the places of an artifact's pages in a folder.
func (s secrets) pages(t testing.TB, dir string, a custody.Artifact) (all []place) {
	t.Helper()
	head := s.decrypt(t, dir, s.manifest(a))
	for rows := head[4+binary.BigEndian.Uint32(head):]; len(rows) > 0; rows = rows[70:] {
		require.Zero(t, binary.BigEndian.Uint16(rows[68:]), "a folder knows no versions")
		all = append(all, s.page(custody.Digest(rows[32:64])))
	}
	return all
}

func (s secrets) decrypt(t testing.TB, dir string, p place) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, p.key))
	require.NoError(t, err)
	require.Equal(t, []byte{1, p.kind, b[2], 0, 0, 0, 0, 1}, b[:8])
	key, err := hkdf.Key(sha256.New, s.data, nil, "custody/v1/object key"+string(p.kind)+string(p.id), 32)
	require.NoError(t, err)
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	aead, err := cipher.NewGCM(block)
	require.NoError(t, err)
	plain, err := aead.Open(nil, b[16:28], b[28:], bytes.Join([][]byte{b[:28], []byte(s.incident), p.id}, nil))
	require.NoError(t, err)
	if b[2] == 1 {
		require.EqualValues(t, 'c', p.kind)
		d, err := zstd.NewReader(nil)
		require.NoError(t, err)
		defer d.Close()
		plain, err = d.DecodeAll(plain, nil)
		require.NoError(t, err)
	} else {
		require.Zero(t, b[2])
	}
	require.EqualValues(t, len(plain), binary.BigEndian.Uint64(b[8:]))
	return plain
}

// write puts an object at p that is authentic, whatever its contents.
func (s secrets) write(t testing.TB, dir string, p place, plain []byte) {
	t.Helper()
	s.writeForm(t, dir, p, 0, len(plain), plain)
}

// writeForm puts an object that says that it holds length bytes in this codec.
func (s secrets) writeForm(t testing.TB, dir string, p place, codec byte, length int, plain []byte) {
	t.Helper()
	head := append([]byte{1, p.kind, codec, 0, 0, 0, 0, 1}, make([]byte, 20)...)
	binary.BigEndian.PutUint64(head[8:], uint64(length))
	key, err := hkdf.Key(sha256.New, s.data, nil, "custody/v1/object key"+string(p.kind)+string(p.id), 32)
	require.NoError(t, err)
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	aead, err := cipher.NewGCM(block)
	require.NoError(t, err)
	object := aead.Seal(bytes.Clone(head), head[16:28], plain, bytes.Join([][]byte{head, []byte(s.incident), p.id}, nil))
	name := filepath.Join(dir, p.key)
	require.NoError(t, os.Remove(name))
	require.NoError(t, os.WriteFile(name, object, 0o444))
}

// Even objects that the service itself encrypted under the right name are not
// believed: memory errs, and keys get stolen.
func TestAuthenticButWrong(t *testing.T) {
	dir, id := t.TempDir(), newIdentity(t)
	v := newVault(t, openFolder(t, dir), id)
	b, a := bytesOf(1000, 1)
	other, otherArtifact := bytesOf(1000, 2)
	take(t, v, burglary, b, a)
	take(t, v, burglary, other, otherArtifact)
	s := secretsOf(t, dir, id, burglary)
	require.NoError(t, checkOf(t, v, a))

	s.write(t, dir, s.chunk(custody.ChunkDigest(b), len(b)), other)
	require.ErrorIs(t, checkOf(t, v, a), storage.ErrDamaged)
	s.write(t, dir, s.chunk(custody.ChunkDigest(b), len(b)), b)
	require.NoError(t, checkOf(t, v, a))

	s.write(t, dir, s.manifest(a), s.decrypt(t, dir, s.manifest(otherArtifact)))
	require.ErrorIs(t, checkOf(t, v, a), storage.ErrDamaged)
}

func checkOf(t testing.TB, v *storage.Vault, a custody.Artifact) error {
	t.Helper()
	got, err := v.Check(t.Context(), burglary, a.Root, a.Size)
	if err == nil {
		require.Equal(t, a, got)
	}
	return err
}

func chunkFile(t testing.TB, dir string, id *age.X25519Identity, incident custody.IncidentID, c storage.Chunk) string {
	t.Helper()
	return secretsOf(t, dir, id, incident).chunk(c.Digest, int(c.Length)).key
}

func manifestFile(t testing.TB, dir string, id *age.X25519Identity, incident custody.IncidentID, a custody.Artifact) string {
	t.Helper()
	return secretsOf(t, dir, id, incident).manifest(a).key
}

func pageFile(t testing.TB, dir string, id *age.X25519Identity, incident custody.IncidentID, a custody.Artifact) string {
	t.Helper()
	s := secretsOf(t, dir, id, incident)
	return s.pages(t, dir, a)[0].key
}

func TestFormats(t *testing.T) {
	dir, id := t.TempDir(), newIdentity(t)
	v := newVault(t, openFolder(t, dir), id)
	b, a := bytesOf(chunk+77, 1)
	take(t, v, burglary, b, a)
	s := secretsOf(t, dir, id, burglary)

	var rows []byte
	for _, part := range [][]byte{b[:chunk], b[chunk:]} {
		d := custody.ChunkDigest(part)
		rows = append(rows, d[:]...)
		rows = binary.BigEndian.AppendUint32(rows, uint32(len(part)))
		rows = append(rows, 0, 0) // a folder knows no versions
		require.True(t, bytes.Equal(part, s.decrypt(t, dir, s.chunk(d, len(part)))))
	}
	digest := custody.Hash(rows)
	require.Equal(t, rows, s.decrypt(t, dir, s.page(digest)))

	head := fmt.Sprintf(`{"chunkSize":8388608,"format":"custody/v2/manifest","pageSize":4096,"root":"%s","size":%d}`, a.Root, a.Size)
	want := binary.BigEndian.AppendUint32(nil, uint32(len(head)))
	want = append(want, head...)
	want = append(want, a.Root[:]...) // the only page has the whole tree
	want = append(want, digest[:]...)
	want = binary.BigEndian.AppendUint32(want, uint32(len(rows)))
	want = append(want, 0, 0)
	require.Equal(t, want, s.decrypt(t, dir, s.manifest(a)))

	wrapped, err := os.ReadFile(filepath.Join(dir, "v1", string(burglary), "k", "1"))
	require.NoError(t, err)
	tagKey, err := hkdf.Key(sha256.New, []byte(id.String()), nil, "custody/v1/wrapping tag key", 32)
	require.NoError(t, err)
	mac := hmac.New(sha256.New, tagKey)
	mac.Write([]byte("custody/v1/wrapped keys" + string(burglary) + "\x00\x00\x00\x01"))
	mac.Write(wrapped[32:])
	require.Equal(t, hex.EncodeToString(mac.Sum(nil)), hex.EncodeToString(wrapped[:32]))
}

// Nonces and keys must never repeat: the same bytes are stored as other bytes.
func TestNothingIsEncryptedTheSameTwice(t *testing.T) {
	seen := map[string]bool{}
	for range 3 {
		dir, id := t.TempDir(), newIdentity(t)
		v := newVault(t, openFolder(t, dir), id)
		b, a := bytesOf(100, 1)
		take(t, v, burglary, b, a)
		s := secretsOf(t, dir, id, burglary)
		for _, p := range []place{s.manifest(a), s.chunk(custody.ChunkDigest(b), len(b))} {
			object, err := os.ReadFile(filepath.Join(dir, p.key))
			require.NoError(t, err)
			for _, part := range []string{p.key, string(object[16:28]), string(object[28:])} {
				require.False(t, seen[part])
				seen[part] = true
			}
		}
	}
}

func FuzzManifest(f *testing.F) {
	b, a := bytesOf(100, 1)
	chunks := []storage.Chunk{{Digest: custody.ChunkDigest(b), Length: 100, Version: "v"}}
	for _, good := range [][]byte{storage.MarshalManifest(a, "v", chunks), storage.MarshalManifest(artifactOf(nil), "", nil)} {
		_, err := storage.ParseManifest(good)
		require.NoError(f, err)
		f.Add(good)
		f.Add(good[:len(good)-1])
		f.Add(append(bytes.Clone(good), 0))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := storage.ParseManifest(b)
		if err == nil {
			require.Equal(t, b, again, "what is accepted is not what is written")
		}
	})
}

func FuzzPage(f *testing.F) {
	good := storage.MarshalRows([]storage.Chunk{
		{Digest: custody.Digest{1}, Length: chunk, Version: "v"}, {Digest: custody.Digest{2}, Length: 100},
	})
	_, err := storage.ParseRows(good)
	require.NoError(f, err)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, err := storage.ParseRows(b)
		if err == nil {
			require.Equal(t, b, append([]byte{}, storage.MarshalRows(rows)...), "what is accepted is not what is written")
		}
	})
}

func FuzzObject(f *testing.F) {
	good, err := storage.SealObject([]byte("plaintext"))
	require.NoError(f, err)
	f.Add(good)
	f.Add(good[:44])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := storage.ParseHeader(b)
		if err == nil {
			require.Equal(t, b[:28], again, "what is accepted is not what is written")
		}
		if !bytes.Equal(b, good) {
			_, err := storage.UnsealObject(bytes.Clone(b))
			require.Error(t, err)
		}
	})
}
