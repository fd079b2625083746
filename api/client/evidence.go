package client

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
)

// Received is what a retrieval brought.
type Received struct {
	Grant *Said // the statement that earned the ticket
	Size  uint64
	// SHA256 of the bytes received, measured here.
	SHA256 custody.Digest
	// Receipt is the signed confirmation of what arrived.
	Receipt *Said
}

// Retrieve fetches a stretch of an item's bytes, length 0 meaning to its end,
// into w and confirms with a signed statement what arrived; got, unless nil, is
// told of every stretch as it comes. A whole artifact is compared with the seal
// in the log: where it differs, the confirmation says what arrived, and the
// error that it was not what was sealed. Only without an error is w what was
// asked for.
func (c *Client) Retrieve(ctx context.Context, purpose string, id custody.EvidenceID, offset, length uint64, w io.Writer, got func(int)) (*Received, error) {
	act := &custody.RetrieveEvidence{Evidence: id, Offset: offset, Length: length}
	grant, err := c.Say(ctx, purpose, act)
	if err != nil {
		return nil, err
	}
	artifact, err := c.sealed(ctx, id)
	if err != nil {
		return nil, err
	}
	if offset > artifact.Size || length > artifact.Size-offset {
		return nil, fmt.Errorf("%w: the item is not what was granted", ErrUntrusted)
	}
	length = act.Span(artifact.Size)
	r, err := c.authed(ctx, func(string) (*http.Request, error) {
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Server+"/v1/evidence/"+string(id)+"/content", nil)
		if err == nil {
			q.Header.Set(api.TicketHeader, grant.Token)
		}
		return q, err
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Body.Close() }()
	tree := custody.NewTreeHash(nil)
	n, err := io.CopyBuffer(io.MultiWriter(w, tree, counter(got)), io.LimitReader(r.Body, int64(length)+1), make([]byte, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("%w: the transfer broke off after %d of %d bytes (%w); nothing was kept: try once more, and if it breaks off at the same byte look at the item (custody evidence show): what is stored may be damaged", ErrUnreachable, n, length, err)
	}
	measured := tree.Finish()
	rec := &Received{Grant: grant, Size: measured.Size, SHA256: measured.SHA256}
	if measured.Size != length {
		return nil, fmt.Errorf("%d bytes came instead of %d", measured.Size, length)
	}
	rec.Receipt, err = c.Say(ctx, "", &custody.ReceiveEvidence{
		Evidence: id, Grant: grant.Payload, SHA256: measured.SHA256, Size: measured.Size,
	})
	if err != nil {
		return rec, fmt.Errorf("the bytes arrived; their receipt could not be put on record: %w", err)
	}
	if offset == 0 && length == artifact.Size && measured != artifact {
		return rec, fmt.Errorf("%w: the bytes that came have SHA-256 %s; sealed were those with %s", ErrUntrusted, measured.SHA256.Hex(), artifact.SHA256.Hex())
	}
	return rec, nil
}

// counter tells f how many bytes passed.
type counter func(int)

func (f counter) Write(p []byte) (int, error) {
	if f != nil {
		f(len(p))
	}
	return len(p), nil
}

// Bundle fetches the bundle of an item, which it is on record for. Verifying it
// is the caller's part.
func (c *Client) Bundle(ctx context.Context, purpose string, id custody.EvidenceID, leaves bool, w io.Writer) error {
	export, err := c.Say(ctx, purpose, &custody.ExportEvidence{Evidence: id})
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
