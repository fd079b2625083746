package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"github.com/forensic-custody/custody/custody"
)

// Stamp is a stamp of a time-stamping authority on a checkpoint of the log, as it is
// kept. The database does not verify it.
type Stamp struct {
	Size       uint64 // of the log
	Authority  string // its name
	Kind       custody.TimeAuthorityKind
	Time       custody.Time // the authority's
	Checkpoint []byte       // signed
	Token      []byte       // DER
}

const (
	insertStamp = `INSERT INTO stamps (size, authority, kind, stamped, checkpoint, token) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (size, authority) DO NOTHING`
	selectStamps = `SELECT size, authority, kind, stamped, checkpoint, token FROM stamps WHERE (size, authority) > ($1, $2)
		ORDER BY size, authority LIMIT $3`
	selectLastStamp  = `SELECT size, authority, kind, stamped, checkpoint, token FROM stamps WHERE authority = $1 AND size <= $2 ORDER BY size DESC LIMIT 1`
	selectNextStamp  = `SELECT size, authority, kind, stamped, checkpoint, token FROM stamps WHERE authority = $1 AND size > $2 ORDER BY size LIMIT 1`
	selectStampers   = `SELECT DISTINCT authority FROM stamps ORDER BY authority`
	selectFirstStamp = `SELECT size, authority, kind, stamped, checkpoint, token FROM stamps WHERE size >= $1 AND size <= $2
		ORDER BY size, authority LIMIT $3`
)

// AddStamp keeps a stamp. One of the same authority on the same size that is there
// already stays as it is.
func (s *Store) AddStamp(ctx context.Context, p Stamp) error {
	err := s.write(ctx, func(t *transaction) error {
		_, err := t.exec(insertStamp, p.Size, p.Authority, string(p.Kind), int64(p.Time), p.Checkpoint, p.Token)
		return err
	})
	if err != nil {
		return fmt.Errorf("stamp of size %d by %s: %w", p.Size, p.Authority, err)
	}
	return nil
}

// Stamps returns stamps in the order of size and of the authority's name: those
// after one of that size and authority, at most limit of them. After 0 and "" they
// begin with the first.
func (s *Store) Stamps(ctx context.Context, size uint64, authority string, limit int) ([]Stamp, error) {
	if size > math.MaxInt64 {
		return nil, nil
	}
	return s.stamps(ctx, selectStamps, size, authority, limit)
}

// StampsBetween returns the stamps of sizes from one to another, both included, in
// the order of size and of the authority's name, at most limit of them.
func (s *Store) StampsBetween(ctx context.Context, from, to uint64, limit int) ([]Stamp, error) {
	if from > math.MaxInt64 {
		return nil, nil
	}
	return s.stamps(ctx, selectFirstStamp, from, min(to, math.MaxInt64), limit)
}

func (s *Store) stamps(ctx context.Context, text string, args ...any) (list []Stamp, err error) {
	err = s.rows(ctx, text, args, func(scan func(...any) error) error {
		p, err := scanStamp(scan)
		list = append(list, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("stamps: %w", err)
	}
	return list, nil
}

// Authorities returns the names of all authorities whose stamps are kept, in order.
func (s *Store) Authorities(ctx context.Context) (list []string, err error) {
	err = s.rows(ctx, selectStampers, nil, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		list = append(list, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("authorities of stamps: %w", err)
	}
	return list, nil
}

// LastStamp returns an authority's stamp of the largest size up to one;
// custody.ErrUnknown when it has none.
func (s *Store) LastStamp(ctx context.Context, authority string, upTo uint64) (Stamp, error) {
	return s.oneStamp(ctx, selectLastStamp, authority, min(upTo, math.MaxInt64))
}

// NextStamp returns an authority's stamp of the smallest size above one;
// custody.ErrUnknown when it has none.
func (s *Store) NextStamp(ctx context.Context, authority string, above uint64) (Stamp, error) {
	return s.oneStamp(ctx, selectNextStamp, authority, min(above, math.MaxInt64))
}

func (s *Store) oneStamp(ctx context.Context, text, authority string, size uint64) (Stamp, error) {
	p, err := scanStamp(func(to ...any) error { return s.row(ctx, text, []any{authority, size}, to...) })
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Stamp{}, custody.ErrUnknown
	case err != nil:
		return Stamp{}, fmt.Errorf("a stamp by %s: %w", authority, err)
	}
	return p, nil
}

func scanStamp(scan func(...any) error) (p Stamp, err error) {
	var at int64
	err = scan(&p.Size, &p.Authority, &p.Kind, &at, &p.Checkpoint, &p.Token)
	p.Time = custody.Time(at)
	return p, err
}
