package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

// Seal makes chunks, which PutChunk returned, in this order the artifact of
// size bytes with this root. It goes through them twice, and they must be the
// same both times; it holds some thousand of them at most. ErrMismatch when they
// are not that artifact, *AbsentError when some of them are not in the bucket. An
// error of chunks' own is returned. When Seal returns nil, the artifact is
// durable and can be read; before, it cannot be. Sealing again changes nothing.
// The size may be 0, without chunks.
//
// Everything is locked until the time given, chunks first, the manifest's head
// last, when the bucket can lock: what is locked for longer stays so, a zero time
// locks nothing. After an error, what was locked stays locked.
//
// ErrBusy as of Take.
func (v *Vault) Seal(ctx context.Context, incident custody.IncidentID, chunks iter.Seq2[Chunk, error], size uint64, root custody.Digest, until time.Time) error {
	t, err := v.Take(incident)
	if err != nil {
		return fmt.Errorf("seal the artifact %s: %w", root, err)
	}
	defer t.End()
	return t.Seal(ctx, chunks, size, root, until)
}

// AbsentError tells which chunks of what was to be sealed are not in the bucket:
// those of the first page where any are missing. errors.Is ErrNotFound.
type AbsentError struct{ Chunks []Chunk }

// Error implements error.
func (e *AbsentError) Error() string {
	return fmt.Sprintf("%d chunks: %v", len(e.Chunks), ErrNotFound)
}

// Is reports whether target is ErrNotFound.
func (e *AbsentError) Is(target error) bool { return target == ErrNotFound }

// sealed is Seal for somebody who has leave to take in.
func (v *Vault) sealed(ctx context.Context, incident custody.IncidentID, chunks iter.Seq2[Chunk, error], size uint64, root custody.Digest, until time.Time) error {
	err := checkChunks(chunks, size, root)
	if err == nil {
		err = v.seal(ctx, incident, chunks, size, root, until)
	}
	if err != nil {
		return fmt.Errorf("seal the artifact %s: %w", root, err)
	}
	return nil
}

func (v *Vault) seal(ctx context.Context, incident custody.IncidentID, chunks iter.Seq2[Chunk, error], size uint64, root custody.Digest, until time.Time) error {
	k, err := v.keysForWriting(ctx, incident)
	if err != nil {
		return err
	}
	a := manifestAddress(k, root, size)
	_, err = v.bucket.Stat(ctx, a.key(), "")
	if errors.Is(err, ErrNotFound) {
		if err = v.putManifest(ctx, k, chunks, size, root, until, v.putObject); !errors.Is(err, ErrExists) {
			return err
		}
		err = nil // another was first, or we were and the answer was lost
	}
	if err != nil {
		return err
	}
	// The manifest that is there may name other versions of the chunks.
	err = v.eachObject(ctx, incident, root, size, func(ctx context.Context, o Object) error { return v.retain(ctx, o, until) })
	if errors.Is(err, ErrDamaged) { // with the chunks that were brought it is whole again
		return v.putManifest(ctx, k, chunks, size, root, until, v.replaceObject)
	}
	return err
}

// putManifest puts the pages, and the head once they and all chunks are durable
// and locked, by putHead, which says whether over another.
func (v *Vault) putManifest(ctx context.Context, k *incidentKeys, chunks iter.Seq2[Chunk, error], size uint64, root custody.Digest, until time.Time,
	putHead func(context.Context, *incidentKeys, address, []byte) (string, error),
) error {
	var list []page
	for rows, err := range pages(chunks) {
		if err != nil {
			return err
		}
		p, err := v.putPage(ctx, k, rows, uint64(len(list)), size, until)
		if err != nil {
			return err
		}
		list = append(list, p)
	}
	m, err := newManifest(list, size, root)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	if err := v.bucket.Barrier(ctx); err != nil {
		return err
	}
	plain, err := m.marshal()
	if err != nil {
		return err
	}
	a := manifestAddress(k, root, size)
	version, err := putHead(ctx, k, a, plain)
	if err != nil {
		return err
	}
	if err := v.retain(ctx, Object{Key: a.key(), Version: version}, until); err != nil {
		return err
	}
	return v.bucket.Barrier(ctx)
}

// putPage puts page i of a manifest, once all its chunks are found and locked,
// and locks it.
func (v *Vault) putPage(ctx context.Context, k *incidentKeys, rows []Chunk, i, size uint64, until time.Time) (page, error) {
	root, err := rootOfRows(rows, i, size)
	if err != nil {
		return page{}, fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	var mu sync.Mutex
	absent := new(AbsentError)
	err = forEach(ctx, rows, func(ctx context.Context, c Chunk) error {
		o, err := v.find(ctx, k, c)
		if errors.Is(err, ErrNotFound) {
			mu.Lock()
			defer mu.Unlock()
			absent.Chunks = append(absent.Chunks, c)
			return nil
		}
		if err != nil {
			return err
		}
		return v.retain(ctx, o, until)
	})
	if err == nil && len(absent.Chunks) > 0 {
		err = absent
	}
	if err != nil {
		return page{}, err
	}
	plain := marshalRows(rows)
	p := page{root: root, digest: custody.Hash(plain), length: uint32(len(plain))}
	a := pageAddress(k, p.digest)
	there := Object{Key: a.key()}
	there.Version, err = v.putObject(ctx, k, a, plain)
	p.version = there.Version
	if errors.Is(err, ErrExists) { // a seal that was interrupted, or another artifact that begins alike
		if there, err = v.bucket.Stat(ctx, a.key(), ""); err == nil {
			p.version = there.Version
			if _, err = v.readRows(ctx, k, p, i, size); errors.Is(err, ErrDamaged) || errors.Is(err, ErrTooLarge) {
				there = Object{Key: a.key()}
				there.Version, err = v.replaceObject(ctx, k, a, plain)
				p.version = there.Version
			}
		}
	}
	if err != nil {
		return page{}, err
	}
	return p, v.retain(ctx, there, until)
}

// putObject encrypts plain and puts it.
func (v *Vault) putObject(ctx context.Context, k *incidentKeys, a address, plain []byte) (version string, err error) {
	object, err := seal(make([]byte, 0, len(plain)+overhead), k, a, codecNone, len(plain), plain, v.random)
	if err != nil {
		return "", err
	}
	return v.bucket.Put(ctx, a.key(), object)
}

// replaceObject is putObject over one that is damaged.
func (v *Vault) replaceObject(ctx context.Context, k *incidentKeys, a address, plain []byte) (version string, err error) {
	object, err := seal(make([]byte, 0, len(plain)+overhead), k, a, codecNone, len(plain), plain, v.random)
	if err != nil {
		return "", err
	}
	return v.bucket.Replace(ctx, a.key(), object)
}

// atOnce is how many objects are looked up, locked or removed at one time.
const atOnce = 16

// forEach does something with each chunk of a page but zeros, once for those that
// are there more than once, some at a time.
func forEach(ctx context.Context, rows []Chunk, do func(context.Context, Chunk) error) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	seen := make(map[Chunk]bool, len(rows))
	for _, c := range rows {
		if inner.Err() != nil {
			break
		}
		if !c.Zero() && !seen[c] {
			seen[c] = true
			group.Go(func() error { return do(inner, c) })
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// readManifest reads the manifest of a sealed artifact. That it is missing is
// damage too.
func (v *Vault) readManifest(ctx context.Context, k *incidentKeys, root custody.Digest, size uint64) (*manifest, error) {
	a := manifestAddress(k, root, size)
	m, err := v.findManifest(ctx, k, a, "")
	if err == nil && (m.root != root || m.size != size) {
		err = &DamageError{Key: a.key(), Reason: errors.New("it is another artifact's")}
	}
	return m, damage(err, a.key(), guard.Range{Length: size})
}

// findManifest reads a version of a manifest's head, "" for the current one.
func (v *Vault) findManifest(ctx context.Context, k *incidentKeys, a address, version string) (*manifest, error) {
	o, err := v.bucket.Stat(ctx, a.key(), version)
	if err != nil {
		return nil, err
	}
	if o.Size > maxManifest+overhead {
		return nil, ErrTooLarge
	}
	_, plain, err := v.readObject(ctx, k, a, o.Version, make([]byte, o.Size))
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(plain)
	if err != nil {
		return nil, &DamageError{Key: a.key(), Reason: err}
	}
	m.object = o
	return m, nil
}

// readPage reads page i of a manifest. What is wrong with it is damage of the
// bytes that it describes.
func (v *Vault) readPage(ctx context.Context, k *incidentKeys, m *manifest, i uint64) ([]Chunk, error) {
	rows, err := v.readRows(ctx, k, m.pages[i], i, m.size)
	return rows, damage(err, pageAddress(k, m.pages[i].digest).key(), pageRange(i, m.size))
}

func (v *Vault) readRows(ctx context.Context, k *incidentKeys, p page, i, size uint64) ([]Chunk, error) {
	a := pageAddress(k, p.digest)
	_, plain, err := v.readObject(ctx, k, a, p.version, make([]byte, uint64(p.length)+overhead))
	if err != nil {
		return nil, err
	}
	wrong := func(err error) error { return &DamageError{Key: a.key(), Reason: err} }
	if custody.Hash(plain) != p.digest {
		return nil, wrong(errors.New("the page does not have its digest"))
	}
	rows, err := parseRows(plain)
	if err != nil {
		return nil, wrong(err)
	}
	root, err := rootOfRows(rows, i, size)
	if err != nil {
		return nil, wrong(err)
	}
	if root != p.root {
		return nil, wrong(errors.New("the page's chunks do not give its root"))
	}
	return rows, nil
}
