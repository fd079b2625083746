package ledger

import (
	"bytes"
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/forensic-custody/custody/custody"
)

// cosigned returns a head that is in the lock with what the witnesses say of it.
// Its tiles must be stored. A witness that has seen more, or something else, is
// an error that stops the log: it was set back, or its key signed for another.
func (l *Log) cosigned(ctx context.Context, h *head) (*head, error) {
	if l.c.Witnesses == nil {
		return h, nil
	}
	lines, err := l.c.Witnesses.Cosign(ctx, h.signed, view{head: h, log: l}.consistency)
	if err != nil {
		return nil, fmt.Errorf("have the checkpoint of size %d cosigned: %w", h.checkpoint.Size, err)
	}
	with := *h
	with.shown = append(bytes.Clone(h.signed), lines...)
	return &with, nil
}

// consistency proves that the tree of an earlier size is the beginning of the
// view's.
func (v view) consistency(ctx context.Context, from uint64) ([]custody.Digest, error) {
	return v.proveTree(ctx, from, v.tree.size)
}

// proveTree is consistency for an earlier size of the tree than the view's.
func (v view) proveTree(ctx context.Context, from, to uint64) ([]custody.Digest, error) {
	if from == 0 || from == to {
		return nil, nil
	}
	proof, err := tlog.ProveTree(int64(to), int64(from), v.hashes(ctx))
	if err != nil {
		return nil, err
	}
	list := make([]custody.Digest, len(proof))
	for i, h := range proof {
		list[i] = custody.Digest(h)
	}
	return list, nil
}

// late returns the channel that tells of late cosignatures.
func (l *Log) late() <-chan struct{} {
	if l.c.Witnesses == nil {
		return nil
	}
	return l.c.Witnesses.Late()
}

// cosignAgain shows the published head with the cosignatures that came since.
func (l *Log) cosignAgain(ctx context.Context) error {
	is := l.published.Load()
	h, err := l.cosigned(ctx, is)
	if err != nil || bytes.Equal(h.shown, is.shown) {
		return err
	}
	return l.show(ctx, h, nil)
}

// openShown verifies a checkpoint as it is shown, with cosignatures, of which it
// knows nothing. The head is without a tree.
func (c *Config) openShown(shown []byte) (*head, error) {
	by, err := custody.OpenOwn(shown, c.Keys.For(shown))
	if err != nil {
		return nil, err
	}
	bare := shown
	for _, line := range by.Unknown {
		bare = bytes.Replace(bare, []byte(line), nil, 1)
	}
	h, err := c.open(bare)
	if err != nil {
		return nil, err
	}
	h.shown = shown
	return h, nil
}
