package house

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/stamp"
	"github.com/forensic-custody/custody/storage/archive"
	"github.com/forensic-custody/custody/storage/sql"
)

// publicStamps are the stamps as the API serves them.
type publicStamps struct{ h *House }

// From implements api.Stamps.
func (p publicStamps) From(ctx context.Context, size uint64) (api.StampList, error) {
	list := api.StampList{Authorities: []api.StampAuthority{}, Stamps: []api.ListedStamp{}}
	for _, a := range p.h.Config.Authorities {
		list.Authorities = append(list.Authorities, api.StampAuthority{Name: a.Name, Kind: a.Kind, Minutes: int(a.every().Minutes())})
	}
	found, err := p.h.rows.StampsBetween(ctx, size, 1<<62, pageOfStamps+1)
	if err != nil {
		return list, err
	}
	if list.More = len(found) > pageOfStamps; list.More {
		last := found[len(found)-1].Size // which may not be all here
		for len(found) > 0 && found[len(found)-1].Size == last {
			found = found[:len(found)-1]
		}
	}
	for _, s := range found {
		list.Stamps = append(list.Stamps, api.ListedStamp{Size: s.Size, Authority: s.Authority, Kind: s.Kind, Name: archive.StampName(s.Authority), Time: s.Time})
	}
	return list, nil
}

// Checkpoint implements api.Stamps.
func (p publicStamps) Checkpoint(ctx context.Context, size uint64) ([]byte, error) {
	found, err := p.h.rows.StampsBetween(ctx, size, size, 1)
	if err != nil || len(found) == 0 {
		return nil, orUnknown(err)
	}
	return found[0].Checkpoint, nil
}

// Token implements api.Stamps.
func (p publicStamps) Token(ctx context.Context, size uint64, name string) ([]byte, error) {
	found, err := p.h.rows.StampsBetween(ctx, size, size, pageOfStamps)
	if err != nil {
		return nil, err
	}
	for _, s := range found {
		if archive.StampName(s.Authority) == name {
			return s.Token, nil
		}
	}
	return nil, custody.ErrUnknown
}

func orUnknown(err error) error {
	if err == nil {
		err = custody.ErrUnknown
	}
	return err
}

// errStamp marks a stamp in the archive that is not one of this log.
var errStamp = errors.New("it is no stamp of this log")

// archivedStamp reads a stamp of the archive: its checkpoint must be signed by the log.
// Where the authority is a known one it must verify; of another its time is what it
// says.
func (h *House) archivedStamp(a archive.Stamp, known []custody.TimeAuthority) (sql.Stamp, error) {
	signed := []byte(a.Checkpoint)
	point, err := custody.OpenOwn(signed, h.logKeys.For(signed))
	if err != nil {
		return sql.Stamp{}, fmt.Errorf("%w: %w", errStamp, err)
	}
	row := sql.Stamp{Size: point.Size, Authority: a.Authority, Kind: a.Kind, Checkpoint: signed, Token: a.Token}
	for _, by := range known {
		if by.Name == a.Authority {
			said, err := stamp.Verify(a.Token, signed, by)
			if err != nil {
				return row, fmt.Errorf("%w: %w", errStamp, err)
			}
			row.Time = said.Time
			return row, nil
		}
	}
	said, err := stamp.Read(a.Token, signed) // what is none would spoil every bundle that it comes into
	if err != nil {
		return row, fmt.Errorf("%w: %w", errStamp, err)
	}
	row.Time = said.Time
	return row, nil
}

// archivedStamps gives the stamps of the archive to take, in the order of size and of the
// authority's name. What is none of this log is told to refused, and so is what is more
// than a bundle takes of one size. Those of known authorities are never that: anybody who
// can write to the bucket can put others there.
func (h *House) archivedStamps(ctx context.Context, a *archive.Archive, refused func(error) error, take func(sql.Stamp) error) error {
	trusted, err := h.trustedAuthorities(h.dir)
	if err != nil {
		return err
	}
	for _, t := range h.Trust.Authorities { // and those that were taken out of the configuration since
		if !slices.ContainsFunc(trusted, func(c custody.TimeAuthority) bool { return c.Name == t.Name }) {
			trusted = append(trusted, t)
		}
	}
	known := h.knownAuthorities()
	var of []sql.Stamp // one size
	done := func() error {
		slices.SortFunc(of, inOrder)
		for _, s := range of {
			if err := take(s); err != nil {
				return err
			}
		}
		of = of[:0]
		return nil
	}
	err = a.Stamps(ctx, func(s archive.Stamp, err error) error {
		if err != nil {
			return refused(err)
		}
		row, err := h.archivedStamp(s, trusted)
		if errors.Is(err, errStamp) {
			return refused(fmt.Errorf("a stamp by %s: %w", s.Authority, err))
		}
		if err == nil && len(of) > 0 && of[0].Size != row.Size {
			err = done()
		}
		if err != nil {
			return err
		}
		if of = append(of, row); len(of) <= bundle.MaxTokens {
			return nil
		}
		slices.SortFunc(of, func(x, y sql.Stamp) int {
			return cmp.Or(cmp.Compare(count(known[y.Authority]), count(known[x.Authority])), inOrder(x, y))
		})
		last := of[len(of)-1]
		of = of[:len(of)-1]
		return refused(fmt.Errorf("a stamp of size %d by %s: there are more than %d stamps of one size", last.Size, last.Authority, bundle.MaxTokens))
	})
	if err != nil {
		return err
	}
	return done()
}

// stampRows reads the stamps of the database, in the order of size and of the
// authority's name.
type stampRows struct {
	rows  *sql.Store
	page  []sql.Stamp
	after sql.Stamp
	end   bool // there is no page behind this one
}

// next returns the next stamp; nil behind the last.
func (r *stampRows) next(ctx context.Context) (*sql.Stamp, error) {
	if len(r.page) == 0 && !r.end {
		var err error
		if r.page, err = r.rows.Stamps(ctx, r.after.Size, r.after.Authority, pageOfStamps); err != nil {
			return nil, err
		}
		r.end = len(r.page) < pageOfStamps
	}
	if len(r.page) == 0 {
		return nil, nil
	}
	s := r.page[0]
	r.page, r.after = r.page[1:], s
	return &s, nil
}

// fsckStamps compares the stamps of archive and database, and their checkpoints with
// the log.
func (c *comparison) fsckStamps(ctx context.Context, h *House, a *archive.Archive) error {
	rows := &stampRows{rows: c.rows}
	row, err := rows.next(ctx)
	if err != nil {
		return err
	}
	// upTo says what the database has before a stamp, and the archive has not.
	upTo := func(s *sql.Stamp) error {
		for row != nil && (s == nil || inOrder(*row, *s) < 0) {
			c.found.Stamps++
			if err := c.say("stamp of size %d by %s: the database has another than the archive, or the archive has none", row.Size, row.Authority); err != nil {
				return err
			}
			if row, err = rows.next(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	err = h.archivedStamps(ctx, a, func(err error) error { return c.say("archive: %v", err) }, func(s sql.Stamp) error {
		if err := errors.Join(c.stampOfTheLog(ctx, s), upTo(&s)); err != nil {
			return err
		}
		if row == nil || inOrder(*row, s) > 0 {
			return c.say("stamp of size %d by %s: the database has none, and the archive has", s.Size, s.Authority)
		}
		c.found.Stamps++
		if s.Kind != row.Kind || s.Time != row.Time || !bytes.Equal(s.Token, row.Token) || !bytes.Equal(s.Checkpoint, row.Checkpoint) {
			if err := c.say("stamp of size %d by %s: the database has another than the archive, or the archive has none", s.Size, s.Authority); err != nil {
				return err
			}
		}
		var err error
		row, err = rows.next(ctx)
		return err
	})
	if err == nil {
		err = upTo(nil)
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	return err
}

// stampOfTheLog says of a stamp in the archive that it is of another log than there is.
func (c *comparison) stampOfTheLog(ctx context.Context, s sql.Stamp) error {
	point, err := custody.CheckpointBody(s.Checkpoint)
	if err != nil {
		return err
	}
	switch root, err := c.log.Root(ctx, s.Size); {
	case errors.Is(err, custody.ErrUnknown):
		return c.say("archive: %s has stamped the log at size %d, and it has %d: it was set back", s.Authority, s.Size, c.found.Records)
	case err != nil:
		return err
	case root != point.Root:
		return c.say("archive: %s has stamped another log at size %d", s.Authority, s.Size)
	}
	return nil
}

// inOrder compares stamps by size, then by the authority's name.
func inOrder(a, b sql.Stamp) int {
	return cmp.Or(cmp.Compare(a.Size, b.Size), cmp.Compare(a.Authority, b.Authority))
}

// pageOfStamps is how many stamps are read at once.
const pageOfStamps = 500
