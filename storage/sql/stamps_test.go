package sql_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/storage/sql"
)

// TestStampsAreKept in order, each once, and read from any place.
func TestStampsAreKept(t *testing.T) {
	s := openNew(t)
	ctx := t.Context()
	_, err := s.LastStamp(ctx, "a")
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
	last, err := s.LastStamp(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, all[2], last)
	list, err = s.StampsBetween(ctx, 1<<63, 1<<63, 10)
	require.NoError(t, err)
	require.Empty(t, list)
}
