package intake_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
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

// TestAChunkThatIsGoneBeforeTheSeal: it alone is brought again, and the upload
// completes.
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
	require.Contains(t, []int{1, 2}, len(have), "the first two are the same bytes, and which one is gone is chance")
	left, err := p.Rows.Leftovers(t.Context(), item, sql.Chunk{}, 10)
	require.NoError(t, err)
	require.Len(t, left, 1)
	for n := range 3 {
		if !slices.ContainsFunc(have, func(c sql.Chunk) bool { return c.Index == uint64(n) }) {
			require.NoError(t, p.put(n))
		}
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

// uploads is what of uploads must stay, as the service tells the vault: the chunks
// of those that are under way, and the artifacts of those that are sealed.
func (p place) uploads(ctx context.Context, but custody.EvidenceID) (kept storage.Kept, err error) {
	open, err := p.Rows.OpenUploads(ctx, incident)
	if err != nil {
		return kept, err
	}
	var list []storage.Chunk
	for _, up := range open {
		if up.Evidence == but {
			continue
		}
		rows, err := p.Rows.Chunks(ctx, up.Evidence, 0, 100)
		if err != nil {
			return kept, err
		}
		its := []storage.Chunk{}
		for _, c := range rows {
			its = append(its, storage.Chunk{Digest: c.Digest, Length: uint32(c.Length), Version: c.Version})
		}
		if !up.Sealed {
			list = append(list, its...)
			continue
		}
		a, ok, err := storage.ArtifactOf(each(its))
		if err != nil || !ok {
			return kept, errors.Join(err, errors.New("its chunks make no artifact"))
		}
		kept.Artifacts = append(kept.Artifacts, a)
	}
	kept.Uploads = each(list)
	return kept, nil
}

func each(list []storage.Chunk) iter.Seq2[storage.Chunk, error] {
	return func(yield func(storage.Chunk, error) bool) {
		for _, c := range list {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// TestTheWindowOfADisposal: an upload that uses chunks of an item comes, and is
// sealed, exactly between the look at what must stay and the removal. It is held
// back, before it depends on anything; what came before the look stays.
func TestTheWindowOfADisposal(t *testing.T) {
	second := custody.NewEvidenceID(custody.Hash([]byte("second")))
	all := []sql.Chunk{}
	for n := range 3 {
		all = append(all, sql.Chunk{Index: uint64(n), Digest: custody.ChunkDigest(chunk(n)), Length: uint64(len(chunk(n)))})
	}
	anybody := func(custody.EvidenceID) bool { return true }
	another := seal(content)
	another.Evidence = second
	// bring does what a client does, as far as it comes.
	bring := func(ctx context.Context, p place) (acknowledged bool, err error) {
		wanted, _, err := p.Offer(ctx, incident, second, all, anybody)
		for _, n := range wanted {
			if err == nil {
				err = p.Put(ctx, incident, second, n, all[n].Digest, bytes.NewReader(chunk(int(n))))
			}
		}
		if err != nil {
			return false, err
		}
		return true, p.Seal(ctx, another)
	}
	for at := range 6 {
		p := newPlace(t)
		for n := range 3 {
			require.NoError(t, p.put(n))
		}
		require.NoError(t, p.seal(seal(content)))
		require.NoError(t, p.Rows.CheckUpload(t.Context(), item))
		a := seal(content).Artifact
		calls := 0
		var acknowledged bool
		var brought error
		done, disposed := p.Vault.Dispose(t.Context(), incident, a.Root, a.Size, func(ctx context.Context) (storage.Kept, error) {
			kept, err := p.uploads(ctx, item)
			if calls++; calls == at+1 { // now the service knows what must stay, and nothing has been removed since
				acknowledged, brought = bring(ctx, p)
			}
			return kept, err
		})
		if at > 0 {
			require.Equal(t, calls > at, errors.Is(brought, storage.ErrBusy), "call %d of %d: %v", at, calls, brought)
		} else {
			require.NoError(t, brought, "while it looks ahead")
			require.NoError(t, disposed)
			require.True(t, done.Same)
			require.True(t, acknowledged)
			_, err := p.Vault.Check(t.Context(), incident, a.Root, a.Size)
			require.NoError(t, err, "what was acknowledged and sealed is there")
			continue
		}
		require.NoError(t, disposed)
		require.False(t, acknowledged)
		require.NoError(t, p.Rows.RemoveUpload(t.Context(), item))
		acknowledged, brought = bring(t.Context(), p)
		require.True(t, acknowledged)
		require.NoError(t, brought, "once it is over the same goes on")
		_, err := p.Vault.Check(t.Context(), incident, a.Root, a.Size)
		require.NoError(t, err)
	}
}

// TestADamagedChunkIsNotOffered: what lies in the bucket is read before it counts
// as being here, and who shares it is told.
func TestADamagedChunkIsNotOffered(t *testing.T) {
	p := newPlace(t)
	var told []string
	p.Damaged = func(_ custody.IncidentID, sharing []custody.EvidenceID, mended bool) {
		told = append(told, fmt.Sprint(sharing, mended))
	}
	for n := range 3 {
		require.NoError(t, p.put(n))
	}
	require.NoError(t, p.seal(seal(content)))
	second := custody.NewEvidenceID(custody.Hash([]byte("second")))
	anybody := func(custody.EvidenceID) bool { return true }
	offered := []sql.Chunk{{Index: 0, Digest: custody.ChunkDigest(chunk(2)), Length: uint64(len(chunk(2)))}}
	wanted, _, err := p.Offer(t.Context(), incident, second, offered, anybody)
	require.NoError(t, err)
	require.Empty(t, wanted)

	require.NoError(t, filepath.WalkDir(p.folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, "/c/") {
			return err
		}
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		b[len(b)/2] ^= 1
		require.NoError(t, os.Chmod(path, 0o600))
		return os.WriteFile(path, b, 0o600)
	}))
	third := custody.NewEvidenceID(custody.Hash([]byte("third")))
	wanted, _, err = p.Offer(t.Context(), incident, third, offered, anybody)
	require.NoError(t, err)
	require.Equal(t, []uint64{0}, wanted)
	require.Equal(t, []string{fmt.Sprint([]custody.EvidenceID{item}, false)}, told)

	require.NoError(t, p.Put(t.Context(), incident, third, 0, custody.ChunkDigest(chunk(2)), bytes.NewReader(chunk(2))))
	require.Equal(t, fmt.Sprint([]custody.EvidenceID{item}, true), told[1])
	require.NoError(t, p.Put(t.Context(), incident, third, 0, custody.ChunkDigest(chunk(2)), bytes.NewReader(chunk(2))))
	require.Len(t, told, 2, "it is sound now")
}
