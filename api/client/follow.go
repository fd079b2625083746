package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/forensic-custody/custody/custody"
)

// Memory keeps the last checkpoint that was seen of a log, from one program to the
// next.
type Memory interface {
	// Last returns the signed checkpoint kept last, or nothing.
	Last() ([]byte, error)
	// Keep keeps a signed checkpoint in its place.
	Keep(signed []byte) error
	// Accuse keeps for good what shows that the log contradicts itself, and returns
	// where it is.
	Accuse(*custody.Contradiction) (string, error)
}

// ErrContradicts says that the log is not the one that was seen before: it was set
// back, or another is shown here than elsewhere.
var ErrContradicts = errors.New("THE LOG CONTRADICTS WHAT IT SIGNED BEFORE")

// Follow gets the log's latest checkpoint and holds it against the last one seen:
// it must not be smaller, and its tree must begin with that one's, which tiles of
// the log prove. What contradicts is ErrContradicts, and kept. Then it is the last one seen.
func (c *Client) Follow(ctx context.Context, m Memory) (*custody.Cosigned, error) {
	last, err := m.Last()
	if err != nil {
		return nil, err
	}
	now, signed, err := c.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	if len(last) == 0 {
		return now, m.Keep(signed)
	}
	before, err := c.Trust.OpenCheckpoint(last)
	if err != nil {
		return nil, fmt.Errorf("the checkpoint that was seen last: %w", err)
	}
	found := new(custody.Contradiction)
	switch err := error(nil); {
	case now.Size < before.Size:
		return nil, accuse(m, &custody.Contradiction{First: string(signed), Second: string(last)}, fmt.Sprintf("size %d after size %d", now.Size, before.Size))
	default:
		err = custody.Extends(before.Checkpoint, now.Checkpoint, func(path string) ([]byte, error) { return c.tile(ctx, path) })
		if errors.As(err, &found) {
			found.First, found.Second = string(last), string(signed)
			return nil, accuse(m, found, fmt.Sprintf("another tree at size %d", before.Size))
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
		}
	}
	if now.Checkpoint == before.Checkpoint {
		return now, nil
	}
	return now, m.Keep(signed)
}

func accuse(m Memory, c *custody.Contradiction, what string) error {
	c.Format = custody.ContradictionFormat
	if c.Proof == nil {
		c.Proof = []custody.Digest{}
	}
	where, err := m.Accuse(c)
	return errors.Join(fmt.Errorf("%w: it shows %s. What shows it is in %s: give that to whoever watches over the log, and believe nothing until it is explained", ErrContradicts, what, where), err)
}

// tile returns a tile of the log.
func (c *Client) tile(ctx context.Context, path string) ([]byte, error) {
	return c.public(ctx, "/log/"+path)
}

// public reads what needs no session, a tile or a checkpoint.
func (c *Client) public(ctx context.Context, path string) (b []byte, err error) {
	err = c.persist(ctx, func() error {
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Server+path, nil)
		if err != nil {
			return err
		}
		r, err := c.do(q)
		if err != nil {
			return err
		}
		defer func() { _ = r.Body.Close() }()
		if b, err = io.ReadAll(io.LimitReader(r.Body, 64<<10)); err != nil {
			return fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		return nil
	})
	return b, err
}
