package client

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
)

// Bundle fetches the bundle of an item, which it is on record for. Verifying it
// is the caller's part.
func (c *Client) Bundle(ctx context.Context, purpose string, id custody.EvidenceID, leaves bool, w io.Writer) error {
	return c.bundle(ctx, purpose, &custody.ExportEvidence{Evidence: id}, leaves, w)
}

// IncidentBundle fetches the bundle of an incident and all its items, which it is
// on record for. Verifying it is the caller's part.
func (c *Client) IncidentBundle(ctx context.Context, purpose string, id custody.IncidentID, leaves bool, w io.Writer) error {
	return c.bundle(ctx, purpose, &custody.ExportIncident{Incident: id}, leaves, w)
}

func (c *Client) bundle(ctx context.Context, purpose string, act custody.Act, leaves bool, w io.Writer) error {
	export, err := c.Say(ctx, purpose, act)
	if err != nil {
		return err
	}
	path := "/v1/bundle?leaves=1"
	if !leaves {
		path = "/v1/bundle?leaves=0"
	}
	r, err := c.authed(ctx, func(string) (*http.Request, error) {
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Server+path, nil)
		if err == nil {
			q.Header.Set(api.ExportHeader, export.Token)
		}
		return q, err
	})
	if err != nil {
		return err
	}
	defer func() { _ = r.Body.Close() }()
	if _, err := io.Copy(w, r.Body); err != nil {
		return fmt.Errorf("the bundle broke off: %w", err)
	}
	return nil
}
