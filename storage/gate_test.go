package storage_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/buckettest"
)

// TestNothingIsTakenInMeanwhile: while a disposal is at work nothing is taken into
// its incident, and whoever asks is told so at once; other incidents go on. It
// waits for those who were inside.
func TestNothingIsTakenInMeanwhile(t *testing.T) {
	v := newVault(t, openFolder(t, t.TempDir()), newIdentity(t))
	data, a := bytesOf(chunk+100, 1)
	chunks := take(t, v, burglary, data, a)

	inside, err := v.Take(burglary)
	require.NoError(t, err)
	asked, disposed := make(chan struct{}, 10), make(chan error, 1)
	goOn := make(chan struct{})
	go func() {
		_, err := v.Dispose(t.Context(), burglary, a.Root, a.Size, func(context.Context) (storage.Kept, error) {
			asked <- struct{}{}
			<-goOn
			return storage.Kept{}, nil
		})
		disposed <- err
	}()
	<-asked
	goOn <- struct{}{} // it has looked ahead
	select {
	case <-asked:
		require.Fail(t, "it went on while somebody was inside")
	case <-time.After(time.Second):
	}
	require.NoError(t, inside.Seal(t.Context(), all(chunks), a.Size, a.Root, time.Time{}), "who is inside goes on")
	inside.End()
	<-asked // it is at work
	_, err = v.PutChunk(t.Context(), burglary, bytes.NewReader(data[:chunk]), chunks[0].Digest)
	require.ErrorIs(t, err, storage.ErrBusy)
	require.ErrorIs(t, v.Seal(t.Context(), burglary, all(chunks), a.Size, a.Root, time.Time{}), storage.ErrBusy)
	take(t, v, fraud, data, a)
	close(goOn)
	require.NoError(t, <-disposed)
	_, err = v.Check(t.Context(), fraud, a.Root, a.Size)
	require.NoError(t, err)
	take(t, v, burglary, data, a)
	require.NoError(t, checkOf(t, v, a))
}

// TestALongSealKeepsNobodyOut: while a disposal waits for something long that is
// being taken in, as the seal of many TiB, chunks come in, now and then; and the
// disposal goes on when that has ended.
func TestALongSealKeepsNobodyOut(t *testing.T) {
	v := newVault(t, openFolder(t, t.TempDir()), newIdentity(t))
	data, a := bytesOf(1000, 1)
	take(t, v, burglary, data, a)
	long, err := v.Take(burglary)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := v.Dispose(t.Context(), burglary, a.Root, a.Size, keep(storage.Kept{}))
		done <- err
	}()
	for n := range 3 {
		require.Eventually(t, func() bool { // it is shut
			in, err := v.Take(burglary)
			if err == nil {
				in.End()
			}
			return errors.Is(err, storage.ErrBusy)
		}, 10*time.Second, time.Millisecond)
		part := buckettest.Bytes(100, byte(n))
		require.Eventually(t, func() bool {
			_, err := v.PutChunk(t.Context(), burglary, bytes.NewReader(part), custody.ChunkDigest(part))
			return err == nil
		}, 10*time.Second, time.Millisecond)
	}
	long.End()
	require.NoError(t, <-done)
}

// TestWhatComesInBetween is taken in after a disposal has looked ahead: it stays,
// since what must stay is asked for again when nothing can come in any more.
func TestWhatComesInBetween(t *testing.T) {
	v := newVault(t, openFolder(t, t.TempDir()), newIdentity(t))
	data, whole := bytesOf(2*chunk+100, 1)
	short := artifactOf(data[:chunk])
	chunks := take(t, v, burglary, data, whole)
	var kept storage.Kept
	done, err := v.Dispose(t.Context(), burglary, whole.Root, whole.Size, func(ctx context.Context) (storage.Kept, error) {
		before := kept
		if len(kept.Artifacts) == 0 {
			require.NoError(t, v.Seal(ctx, burglary, all(chunks[:1]), short.Size, short.Root, time.Time{}))
			kept.Artifacts = []custody.Artifact{short}
		}
		return before, nil
	})
	require.NoError(t, err)
	require.Equal(t, storage.Removed{Chunks: 2, Bytes: chunk + 100, SharedChunks: 1, SharedBytes: chunk, Whole: true}, done)
	require.NoError(t, checkOf(t, v, short))
}

// TestTheSameArtifactStays: what another item consists of is not removed, also
// when that item came while the disposal looked ahead.
func TestTheSameArtifactStays(t *testing.T) {
	b := openFolder(t, t.TempDir())
	v := newVault(t, b, newIdentity(t))
	data, a := bytesOf(chunk+100, 1)
	take(t, v, burglary, data, a)
	kept := storage.Kept{}
	done, err := v.Dispose(t.Context(), burglary, a.Root, a.Size, func(context.Context) (storage.Kept, error) {
		before := kept
		kept.Artifacts = []custody.Artifact{a}
		return before, nil
	})
	require.NoError(t, err)
	require.Equal(t, storage.Removed{Same: true}, done)
	require.NoError(t, checkOf(t, v, a))
	done, err = v.Dispose(t.Context(), burglary, a.Root, a.Size, keep(storage.Kept{}))
	require.NoError(t, err)
	require.Equal(t, storage.Removed{Chunks: 2, Bytes: chunk + 100, Whole: true}, done)
	done, err = v.Dispose(t.Context(), burglary, a.Root, a.Size, keep(storage.Kept{}))
	require.NoError(t, err)
	require.Equal(t, storage.Removed{Unlisted: true}, done, "nothing is counted of what was gone")
}

// TestWhatStaysIsNotKnown: nothing is removed, before and between the steps.
func TestWhatStaysIsNotKnown(t *testing.T) {
	for at := range 4 {
		b := openFolder(t, t.TempDir())
		v := newVault(t, b, newIdentity(t))
		data, a := bytesOf(chunk+100, 1)
		take(t, v, burglary, data, a)
		unknown := errors.New("nobody knows")
		_, err := v.Dispose(t.Context(), burglary, a.Root, a.Size, func(context.Context) (storage.Kept, error) {
			if at--; at < 0 {
				return storage.Kept{}, unknown
			}
			return storage.Kept{}, nil
		})
		require.ErrorIs(t, err, unknown)
		_, err = v.Take(burglary)
		require.NoError(t, err, "the gate is open again")
	}
}

// TestTakingAndDisposingAtOnce takes in and disposes of artifacts that share a
// chunk. Whoever has noted under a Taking that he needs it, has it, and what was
// sealed stays whole until its own turn comes.
func TestTakingAndDisposingAtOnce(t *testing.T) {
	v := newVault(t, openFolder(t, t.TempDir()), newIdentity(t))
	s := &shelf{noted: map[custody.Digest][]storage.Chunk{}}
	var takers, both sync.WaitGroup
	for n := range 4 {
		takers.Go(func() {
			for round := range 8 {
				if err := s.takeIn(t.Context(), v, byte(4*round+n)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	over := make(chan struct{})
	both.Go(func() { takers.Wait(); close(over) })
	both.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(time.Millisecond):
			}
			if a, ok := s.oldest(); ok {
				if _, err := v.Dispose(t.Context(), burglary, a.Root, a.Size, s.keep); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	both.Wait()
	for _, a := range s.sealed {
		require.NoError(t, checkOf(t, v, a))
	}
}

// shelf is who knows what must stay.
type shelf struct {
	mu     sync.Mutex
	noted  map[custody.Digest][]storage.Chunk // of uploads, by their root
	sealed []custody.Artifact
}

func (s *shelf) keep(context.Context) (storage.Kept, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := storage.Kept{Artifacts: slices.Clone(s.sealed)}
	var list []storage.Chunk
	for _, chunks := range s.noted {
		list = append(list, chunks...)
	}
	if len(list) > 0 {
		k.Uploads = all(list)
	}
	return k, nil
}

// oldest takes what was sealed first off the shelf, when there are some.
func (s *shelf) oldest() (custody.Artifact, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sealed) < 3 {
		return custody.Artifact{}, false
	}
	a := s.sealed[0]
	s.sealed = s.sealed[1:]
	return a, true
}

// enter waits for leave to take in.
func enter(v *storage.Vault) *storage.Taking {
	for {
		in, err := v.Take(burglary)
		if err == nil {
			return in
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// takeIn brings an artifact of a chunk that all have and one that only it has,
// each chunk and the seal by a leave of its own.
func (s *shelf) takeIn(ctx context.Context, v *storage.Vault, seed byte) error {
	shared, _ := bytesOf(chunk, 1)
	own, _ := bytesOf(100, seed)
	a := artifactOf(append(shared, own...))
	put := func(b []byte) error {
		for {
			_, err := v.BringChunk(ctx, burglary, bytes.NewReader(b), custody.ChunkDigest(b), func(c storage.Chunk, _ bool) error {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.noted[a.Root] = append(s.noted[a.Root], c)
				return nil
			})
			if !errors.Is(err, storage.ErrBusy) {
				return err
			}
			time.Sleep(100 * time.Microsecond)
		}
	}
	if err := errors.Join(put(shared[:chunk]), put(own)); err != nil {
		return err
	}
	s.mu.Lock()
	mine := s.noted[a.Root]
	s.mu.Unlock()
	in := enter(v)
	defer in.End()
	err := in.Seal(ctx, all(mine), a.Size, a.Root, time.Time{})
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.noted, a.Root)
	s.sealed = append(s.sealed, a)
	return err
}
