package intake_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/file"
	"github.com/forensic-custody/custody/storage/intake"
	"github.com/forensic-custody/custody/storage/sql"
)

// place is an intake on a folder and a database of its own.
type place struct {
	*intake.Intake
	t      *testing.T
	folder string
}

func newPlace(t *testing.T) place {
	t.Helper()
	dir := t.TempDir()
	bucket, err := file.Open(filepath.Join(dir, "bucket"))
	require.NoError(t, err)
	rows, err := sql.Open(t.Context(), filepath.Join(dir, "records.db"), sql.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, errors.Join(rows.Close(), bucket.Close())) })
	key, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	vault, err := storage.New(storage.Config{Bucket: bucket, Identity: key, Recipients: []age.Recipient{key.Recipient()}})
	require.NoError(t, err)
	return place{&intake.Intake{Vault: vault, Bucket: bucket, Rows: rows, Now: time.Now}, t, filepath.Join(dir, "bucket")}
}

var (
	incident = custody.NewIncidentID(custody.Hash([]byte("incident")))
	item     = custody.NewEvidenceID(custody.Hash([]byte("item")))
	content  = bytes.Repeat([]byte("0123456789abcdef"), (2*custody.ChunkSize+4096)/16)
)

func chunk(n int) []byte {
	return content[n*custody.ChunkSize : min(len(content), (n+1)*custody.ChunkSize)]
}

func (p place) put(n int) error {
	return p.Put(p.t.Context(), incident, item, uint64(n), custody.ChunkDigest(chunk(n)), bytes.NewReader(chunk(n)))
}

func seal(b []byte) *custody.SealEvidence {
	tree := custody.NewTreeHash(nil)
	_, _ = tree.Write(b) // fails only after Finish
	return &custody.SealEvidence{Artifact: tree.Finish(), Evidence: item, Incident: incident}
}

func (p place) seal(act *custody.SealEvidence) error { return p.Seal(p.t.Context(), act) }

func TestAnUploadFromFirstChunkToCheck(t *testing.T) {
	p := newPlace(t)
	require.ErrorIs(t, p.Put(t.Context(), incident, item, 0, custody.ChunkDigest(chunk(1)), bytes.NewReader(chunk(2))), storage.ErrMismatch)
	require.NoError(t, p.put(2))
	require.NoError(t, p.put(0))

	missing := p.seal(seal(content))
	require.ErrorAs(t, missing, new(custody.Unlawful))
	require.ErrorContains(t, missing, "chunk 1 did not arrive")

	require.NoError(t, p.put(1))
	require.NoError(t, p.put(1), "the same again")
	have, err := p.Have(t.Context(), item, 1, 10)
	require.NoError(t, err)
	require.Len(t, have, 2)
	require.Equal(t, custody.ChunkDigest(chunk(1)), have[0].Digest)

	other := bytes.Clone(content)
	other[0] ^= 1
	require.ErrorAs(t, p.seal(seal(other)), new(custody.Unlawful), "another root than the chunks make")
	require.ErrorAs(t, p.seal(seal(content[:len(content)-1])), new(custody.Unlawful), "another size")

	require.NoError(t, p.seal(seal(content)))
	require.NoError(t, p.seal(seal(content)), "the same again")
	require.ErrorIs(t, p.put(0), intake.ErrSealed)

	// Nothing is checked before the seal is on record.
	checks := 0
	found := func(context.Context, intake.Checked) error { checks++; return nil }
	require.NoError(t, p.Check(t.Context(), recorded(seal(content).Artifact, false), found))
	require.Zero(t, checks)

	// What was found stays to be said until somebody has put it on record.
	failure := errors.New("the log is down")
	err = p.Check(t.Context(), recorded(seal(content).Artifact, true), func(context.Context, intake.Checked) error { return failure })
	require.ErrorIs(t, err, failure)
	require.NoError(t, p.Check(t.Context(), recorded(seal(content).Artifact, true), func(_ context.Context, c intake.Checked) error {
		checks++
		require.Equal(t, intake.Checked{Evidence: item, Intact: true, SHA256: custody.Hash(content)}, c)
		return nil
	}))
	require.NoError(t, p.Check(t.Context(), recorded(seal(content).Artifact, true), found))
	require.Equal(t, 1, checks, "once")
}

func recorded(a custody.Artifact, yes bool) func(context.Context, custody.EvidenceID) (custody.Artifact, bool, error) {
	return func(context.Context, custody.EvidenceID) (custody.Artifact, bool, error) { return a, yes, nil }
}

func TestAnEmptyArtifact(t *testing.T) {
	p := newPlace(t)
	require.NoError(t, p.seal(seal(nil)))
	require.NoError(t, p.Check(t.Context(), recorded(seal(nil).Artifact, true), func(_ context.Context, c intake.Checked) error {
		require.True(t, c.Intact)
		return nil
	}))
}

// TestWhatIsNotThereIsDamaged: the check tells, and does not try for ever.
func TestWhatIsNotThereIsDamaged(t *testing.T) {
	p := newPlace(t)
	for n := range 3 {
		require.NoError(t, p.put(n))
	}
	require.NoError(t, p.seal(seal(content)))
	removed := false
	require.NoError(t, filepath.WalkDir(p.folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || removed {
			return err
		}
		if !strings.Contains(path, "/c/") {
			return nil
		}
		removed = true
		return os.Remove(path)
	}))
	require.True(t, removed)
	said := false
	require.NoError(t, p.Check(t.Context(), recorded(seal(content).Artifact, true), func(_ context.Context, c intake.Checked) error {
		said = true
		require.ErrorIs(t, c.Damage, storage.ErrDamaged)
		c.Damage = nil
		require.Equal(t, intake.Checked{Evidence: item}, c)
		return nil
	}))
	require.True(t, said)
}

// TestASecondSealOfOtherBytes: what was sealed cannot be sealed as something else.
func TestASecondSealOfOtherBytes(t *testing.T) {
	p := newPlace(t)
	require.NoError(t, p.put(0))
	require.NoError(t, p.seal(seal(chunk(0))))
	require.ErrorAs(t, p.seal(seal(content)), new(custody.Unlawful))
}

// TestAChunkThatIsGoneBeforeTheSeal: the upload is begun again, and completes.
func TestAChunkThatIsGoneBeforeTheSeal(t *testing.T) {
	p := newPlace(t)
	for n := range 3 {
		require.NoError(t, p.put(n))
	}
	removeChunk(t, p.folder)
	gone := p.seal(seal(content))
	require.ErrorAs(t, gone, new(custody.Unlawful))
	require.ErrorContains(t, gone, "send the artifact again")
	have, err := p.Have(t.Context(), item, 0, 10)
	require.NoError(t, err)
	require.Empty(t, have)
	for n := range 3 {
		require.NoError(t, p.put(n))
	}
	require.NoError(t, p.seal(seal(content)))
}

// removeChunk removes a whole chunk from a folder bucket.
func removeChunk(t *testing.T, folder string) {
	t.Helper()
	removed := false
	require.NoError(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || removed {
			return err
		}
		if filepath.Base(filepath.Dir(filepath.Dir(path))) != "c" {
			return nil
		}
		removed = true
		return os.Remove(path)
	}))
	require.True(t, removed)
}
