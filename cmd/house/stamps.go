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
// Where the authority is one of the configuration it must verify; of one that was
// taken out since, its time is what it says.
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

// archivedStamps reads the stamps of the archive, in the order of size. What is none
// of this log is told to refused.
func (h *House) archivedStamps(ctx context.Context, a *archive.Archive, refused func(error) error) (list []sql.Stamp, err error) {
	known, err := h.trustedAuthorities(h.dir)
	if err != nil {
		return nil, err
	}
	err = a.Stamps(ctx, func(s archive.Stamp, err error) error {
		if err != nil {
			return refused(err)
		}
		row, err := h.archivedStamp(s, known)
		if errors.Is(err, errStamp) {
			return refused(fmt.Errorf("a stamp by %s: %w", s.Authority, err))
		}
		list = append(list, row)
		return err
	})
	slices.SortFunc(list, func(x, y sql.Stamp) int {
		return cmp.Or(cmp.Compare(x.Size, y.Size), cmp.Compare(x.Authority, y.Authority))
	})
	return list, err
}

// fsckStamps compares the stamps of archive and database, and their checkpoints with
// the log.
func (c *comparison) fsckStamps(ctx context.Context, h *House, a *archive.Archive) error {
	list, err := h.archivedStamps(ctx, a, func(err error) error { return c.say("archive: %v", err) })
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	archived := map[string]sql.Stamp{}
	for _, s := range list {
		archived[stampID(s)] = s
		point, err := custody.CheckpointBody(s.Checkpoint)
		if err != nil {
			return err
		}
		switch root, err := c.log.Root(ctx, s.Size); {
		case errors.Is(err, custody.ErrUnknown):
			_ = c.say("archive: %s has stamped the log at size %d, and it has %d: it was set back", s.Authority, s.Size, c.found.Records)
		case err != nil:
			return err
		case root != point.Root:
			_ = c.say("archive: %s has stamped another log at size %d", s.Authority, s.Size)
		}
	}
	for after := (sql.Stamp{}); ; {
		rows, err := c.rows.Stamps(ctx, after.Size, after.Authority, pageOfStamps)
		if err != nil {
			return err
		}
		for _, s := range rows {
			if is, ok := archived[stampID(s)]; !ok || is.Kind != s.Kind || is.Time != s.Time || !bytes.Equal(is.Token, s.Token) || !bytes.Equal(is.Checkpoint, s.Checkpoint) {
				_ = c.say("stamp of size %d by %s: the database has another than the archive, or the archive has none", s.Size, s.Authority)
			}
			delete(archived, stampID(s))
			after = s
		}
		c.found.Stamps += uint64(len(rows))
		if len(rows) < pageOfStamps {
			break
		}
	}
	for _, s := range archived {
		_ = c.say("stamp of size %d by %s: the database has none, and the archive has", s.Size, s.Authority)
	}
	return nil
}

// pageOfStamps is how many stamps are read at once.
const pageOfStamps = 500

func stampID(s sql.Stamp) string { return fmt.Sprintf("%d %s", s.Size, s.Authority) }
