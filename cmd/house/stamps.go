package house

import (
	"context"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/storage/archive"
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
