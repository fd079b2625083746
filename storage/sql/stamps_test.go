package sql_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/storage/sql"
)

// TestStampsAreKept in order, each once, and read from any place.
func TestStampsAreKept(t *testing.T) {
	s := openNew(t)
	ctx := t.Context()
	_, err := s.LastStamp(ctx, "a", 1<<62)
	require.ErrorIs(t, err, custody.ErrUnknown)
	p := func(size uint64, authority string) sql.Stamp {
		return sql.Stamp{Size: size, Authority: authority, Kind: custody.ExternalAuthority, Time: custody.Time(size * 1000), Checkpoint: []byte("c"), Token: []byte{byte(size)}}
	}
	all := []sql.Stamp{p(3, "a"), p(3, "b"), p(7, "a"), p(8, "b"), p(9, "b")}
	for _, i := range []int{4, 0, 2, 1, 3, 0} {
		require.NoError(t, s.AddStamp(ctx, all[i]))
	}
	other := p(3, "a")
	other.Token = []byte("another")
	require.NoError(t, s.AddStamp(ctx, other), "the first stays")
	list, err := s.Stamps(ctx, 0, "", 10)
	require.NoError(t, err)
	require.Equal(t, all, list)
	list, err = s.Stamps(ctx, 3, "a", 2)
	require.NoError(t, err)
	require.Equal(t, all[1:3], list)
	list, err = s.StampsBetween(ctx, 4, 8, 10)
	require.NoError(t, err)
	require.Equal(t, all[2:4], list)
	list, err = s.StampsBetween(ctx, 0, 1<<63, 10)
	require.NoError(t, err)
	require.Equal(t, all, list)
	names, err := s.Authorities(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, names)
	for _, c := range []struct {
		of   func(context.Context, string, uint64) (sql.Stamp, error)
		size uint64
		want *sql.Stamp
	}{
		{s.LastStamp, 1 << 63, &all[2]}, {s.LastStamp, 7, &all[2]}, {s.LastStamp, 6, &all[0]}, {s.LastStamp, 2, nil},
		{s.NextStamp, 0, &all[0]}, {s.NextStamp, 2, &all[0]}, {s.NextStamp, 3, &all[2]}, {s.NextStamp, 7, nil},
	} {
		got, err := c.of(ctx, "a", c.size)
		if c.want == nil {
			require.ErrorIs(t, err, custody.ErrUnknown)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, *c.want, got)
	}
	list, err = s.StampsBetween(ctx, 1<<63, 1<<63, 10)
	require.NoError(t, err)
	require.Empty(t, list)
}
