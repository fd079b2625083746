package client

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
)

// Received returns how far an item's upload has come without a gap, as the
// service says.
func (c *Client) Received(ctx context.Context, id custody.EvidenceID) (got api.Received, err error) {
	return got, c.get(ctx, "/v1/evidence/"+string(id)+"/received", &got)
}

// Ends says that an item's artifact ends at a byte, a multiple of
// custody.ChunkSize, as far as its upload has come: what a broken stream brought is
// then all of it.
func (c *Client) Ends(ctx context.Context, id custody.EvidenceID, at uint64) error {
	r, err := c.authed(ctx, func(string) (*http.Request, error) { //nolint:bodyclose // decode closes it
		q, err := http.NewRequestWithContext(ctx, http.MethodPut, fmt.Sprintf("%s/v1/evidence/%s/content?from=%d", c.Server, id, at), nil)
		if err == nil {
			nothing := custody.Hash(nil)
			q.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(nothing[:])+":")
		}
		return q, err
	})
	if err != nil {
		return err
	}
	return decode(r, nil)
}
