package house

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/intake"
	"github.com/forensic-custody/custody/storage/sql"
	"github.com/forensic-custody/custody/storage/sqlite"
)

// seal lets the vault seal an artifact before its seal is put on record.
func (h *House) seal(ctx context.Context, s *custody.Statement) error {
	act, ok := s.Act.(*custody.SealEvidence)
	if !ok {
		return fmt.Errorf("%s is not a seal", s.Kind)
	}
	err := h.intake.Seal(ctx, act)
	if notNow(err) != "" {
		return asAPI(err)
	}
	return err
}

// notNow says why the store does nothing now when that is what an error means,
// and otherwise "".
func notNow(err error) string {
	switch {
	case errors.Is(err, storage.ErrBusy):
		return "something of this incident is being destroyed, and nothing is taken into it meanwhile"
	case errors.Is(err, storage.ErrDenied):
		return errDenied.Error()
	case errors.Is(err, storage.ErrUnavailable):
		return "the store of the evidence cannot be reached"
	}
	return ""
}

// asAPI adds to an error of the storage floor what the API tells apart.
func asAPI(err error) error {
	if why := notNow(err); why != "" {
		return fmt.Errorf("%w: %w", guard.ErrUnavailable, guard.Stopped{Why: why, Cause: err})
	}
	if d := new(storage.DamageError); errors.As(err, &d) {
		return fmt.Errorf("%w: %w", api.Damage{Range: d.Range, Keys: keysState(err)}, err)
	}
	for _, pair := range []struct{ ours, theirs error }{
		{storage.ErrDamaged, api.ErrDamaged},
		{storage.ErrNotFound, api.ErrDamaged},
		{storage.ErrShredded, api.ErrConflict},
		{storage.ErrFull, api.ErrFull},
		{sqlite.ErrFull, api.ErrFull},
		{storage.ErrMismatch, api.ErrMismatch},
		{intake.ErrSealed, api.ErrConflict},
	} {
		if errors.Is(err, pair.ours) {
			return fmt.Errorf("%w: %w", pair.theirs, err)
		}
	}
	return err
}

// publicLog is the log as the guard wants it: it tells why it takes nothing.
type publicLog struct{ *ledger.Log }

// Ready implements guard.Log.
func (l publicLog) Ready() error {
	err := l.Log.Ready()
	if err == nil {
		return nil
	}
	why := "the log cannot be written"
	for _, known := range []struct {
		is  error
		why string
	}{
		{ledger.ErrClock, "the service's clock is behind the log's last checkpoint: it must be set right"},
		{ledger.ErrRollback, "the log is older than what it has signed, or than what a witness has seen of it: an administrator must look"},
		{ledger.ErrFork, "the log is not what it has signed, or not what a witness has seen of it: an administrator must look"},
		{sqlite.ErrFull, "the log's disk is full"},
		{errArchive, "what is recorded cannot be archived in the store, and nothing is signed that is not"},
		{storage.ErrFull, "the store is full, and nothing is signed that is not archived in it"},
		{storage.ErrDenied, "what is recorded cannot be archived: " + errDenied.Error()},
	} {
		if errors.Is(err, known.is) {
			why = known.why
		}
	}
	return guard.Stopped{Why: why, Cause: err}
}

// evidence is the vault as the API wants it.
type evidence struct {
	vault  *storage.Vault
	intake *intake.Intake
}

func (e evidence) Open(ctx context.Context, pass guard.Pass, r guard.Range) (io.ReadCloser, error) {
	content, err := e.vault.Open(ctx, pass, r)
	if err != nil {
		return nil, e.told(ctx, pass, err)
	}
	return explained{content, func(err error) error { return e.told(ctx, pass, err) }}, nil
}

// told is asAPI, and has those read back who share what was found damaged.
func (e evidence) told(ctx context.Context, pass guard.Pass, err error) error {
	if d := new(storage.DamageError); errors.As(err, &d) {
		err = errors.Join(err, e.intake.DamagedAt(context.WithoutCancel(ctx), pass.Incident(), pass.Evidence(), d.Range))
	}
	return asAPI(err)
}

func (e evidence) Digests(ctx context.Context, pass guard.Pass, page uint64) (api.Digests, error) {
	d, err := e.vault.Digests(ctx, pass, page)
	return api.Digests(d), asAPI(err)
}

type explained struct {
	io.ReadCloser
	told func(error) error
}

func (x explained) Read(p []byte) (int, error) {
	n, err := x.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = x.told(err)
	}
	return n, err
}

// uploads is the intake as the API wants it.
type uploads struct {
	in     *intake.Intake
	volume string // folder whose volume must keep room for records; "" where there is none
}

// Of a volume, uploads leave this share free, and no less than some bytes, so
// that records can be written when no evidence can.
const (
	reserveShare = 20 // one twentieth
	reserveLeast = 16 << 20
)

func (u *uploads) Put(ctx context.Context, i custody.IncidentID, e custody.EvidenceID, index uint64, d custody.Digest, source io.Reader) error {
	if err := u.room(); err != nil {
		return err
	}
	return asAPI(u.in.Put(ctx, i, e, index, d, source))
}

func (u *uploads) Offer(ctx context.Context, i custody.IncidentID, e custody.EvidenceID, offered []api.Chunk, may func(custody.EvidenceID) bool) ([]uint64, bool, error) {
	if err := u.room(); err != nil {
		return nil, false, err
	}
	rows := make([]sql.Chunk, len(offered))
	for n, c := range offered {
		rows[n] = sql.Chunk{Index: c.Index, Digest: c.Digest, Length: c.Length}
	}
	wanted, any, err := u.in.Offer(ctx, i, e, rows, may)
	return wanted, any, asAPI(err)
}

func (u *uploads) room() error {
	if u.volume == "" {
		return nil
	}
	var s unix.Statfs_t
	if err := unix.Statfs(u.volume, &s); err != nil {
		return err
	}
	size := uint64(s.Bsize)
	if s.Bavail*size < max(s.Blocks*size/reserveShare, reserveLeast) {
		return fmt.Errorf("%w: the last of the volume is kept for records", api.ErrFull)
	}
	return nil
}

func (u *uploads) Have(ctx context.Context, e custody.EvidenceID, from uint64, limit int) ([]api.Chunk, error) {
	rows, err := u.in.Have(ctx, e, from, limit)
	if err != nil {
		return nil, err
	}
	list := make([]api.Chunk, len(rows))
	for n, r := range rows {
		list[n] = api.Chunk{Index: r.Index, Digest: r.Digest, Length: r.Length}
	}
	return list, nil
}

func (u *uploads) Cut(ctx context.Context, e custody.EvidenceID, from uint64) error {
	return asAPI(u.in.Cut(ctx, e, from))
}

func (u *uploads) Break(ctx context.Context, i custody.IncidentID, e custody.EvidenceID, broken bool) error {
	return asAPI(u.in.Break(ctx, i, e, broken))
}

func (u *uploads) Broken(ctx context.Context, e custody.EvidenceID) (bool, error) {
	broken, err := u.in.Broken(ctx, e)
	return broken, asAPI(err)
}

// bundle returns what writes the bundle of an export.
func (h *House) bundle(rows *sql.Store) func(context.Context, io.Writer, guard.Export, bool) error {
	return func(ctx context.Context, w io.Writer, e guard.Export, leaves bool) error {
		var c *bundle.Contents
		var err error
		if e.Incident != "" {
			c, err = bundle.CollectIncident(ctx, &source{h, rows}, e.Incident, leaves)
		} else {
			c, err = bundle.Collect(ctx, &source{h, rows}, e.Evidence, leaves)
		}
		if err != nil {
			return err
		}
		return bundle.Write(w, c)
	}
}

// source is records and log as a bundle wants them.
type source struct {
	h    *House
	rows *sql.Store
}

const sourcePage = 1000

func (s *source) Stream(ctx context.Context, name custody.Stream) ([]bundle.Found, custody.TagKey, error) {
	info, err := s.rows.Stream(ctx, name)
	if err != nil {
		return nil, custody.TagKey{}, err
	}
	found := []bundle.Found{}
	for {
		list, err := s.rows.Records(ctx, name, uint64(len(found)), sourcePage, true)
		if err != nil {
			return nil, custody.TagKey{}, err
		}
		for _, r := range list {
			found = append(found, foundOf(r))
		}
		if len(list) < sourcePage {
			return found, info.TagKey, nil
		}
	}
}

func foundOf(r guard.Stored) bundle.Found {
	return bundle.Found{Bytes: r.Record, Leaf: r.Leaf, Opening: r.Opening, Tag: r.Leaf.Tag(), Payload: r.Payload}
}

func (s *source) Record(ctx context.Context, payload custody.Digest) (bundle.Found, custody.Stream, error) {
	r, err := s.rows.ByPayload(ctx, payload)
	return foundOf(r), r.Stream, err
}

func (s *source) Declaring(ctx context.Context, name custody.Stream) (bundle.Found, custody.Stream, error) {
	info, err := s.rows.Stream(ctx, name)
	if err != nil {
		return bundle.Found{}, "", err
	}
	r, err := s.rows.ByPayload(ctx, info.DeclaredBy)
	return foundOf(r), r.Stream, err
}

func (s *source) Length(ctx context.Context, name custody.Stream) (uint64, error) {
	info, err := s.rows.Stream(ctx, name)
	return info.Length, err
}

// Authorities implements bundle.Stamps. Those come first whom the service knows: others
// can be anybody's who could write to the bucket before the database was made from it.
func (s *source) Authorities(ctx context.Context) ([]string, error) {
	names, err := s.rows.Authorities(ctx)
	known := s.h.knownAuthorities()
	return slices.Concat(slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !known[n] }), slices.DeleteFunc(names, func(n string) bool { return known[n] })), err
}

// Stamp implements bundle.Stamps.
func (s *source) Stamp(ctx context.Context, authority string, above uint64) (bundle.Stamp, error) {
	p, err := s.rows.NextStamp(ctx, authority, above)
	return bundle.Stamp{Checkpoint: p.Checkpoint, Token: p.Token}, err
}

// LastStamp implements bundle.Stamps.
func (s *source) LastStamp(ctx context.Context, authority string, upTo uint64) (bundle.Stamp, error) {
	p, err := s.rows.LastStamp(ctx, authority, upTo)
	return bundle.Stamp{Checkpoint: p.Checkpoint, Token: p.Token}, err
}

// Consistency implements bundle.Stamps.
func (s *source) Consistency(ctx context.Context, from, to uint64) ([]custody.Digest, error) {
	return s.h.log.Consistency(ctx, from, to)
}

func (s *source) Prove(ctx context.Context, identities []custody.Digest) ([]*custody.Receipt, []byte, error) {
	return s.h.log.Prove(ctx, identities)
}

func (s *source) Leaves(ctx context.Context, n uint64, yield func(custody.Leaf) error) error {
	return s.h.log.Leaves(ctx, n, yield)
}
