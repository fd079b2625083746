package client

import (
	"context"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
)

// Received returns how far an item's upload has come without a gap, as the
// service says.
func (c *Client) Received(ctx context.Context, id custody.EvidenceID) (got api.Received, err error) {
	return got, c.get(ctx, "/v1/evidence/"+string(id)+"/received", &got)
}
