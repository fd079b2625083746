package trillian

import (
	"context"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger"
)

// contradiction says what does not fit together in the file, with
// ledger.ErrFork. Trillian refuses to build on such a file, but its errors are
// of no kind that could be told from a full disk.
func (e *Engine) contradiction(ctx context.Context) error {
	head, err := e.Head(ctx)
	if err != nil {
		return err
	}
	root, err := e.root(ctx, head.Size)
	if err != nil {
		return err
	}
	if root != head.Root {
		return fmt.Errorf("%w: the engine's head has root %s, its tree %s", ledger.ErrFork, head.Root, root)
	}
	var beyond int64
	if err := e.db.Read.QueryRowContext(ctx, "SELECT count(*) FROM LeafData WHERE TreeId = ? AND SequenceNumber >= ?",
		e.tree.TreeId, int64(head.Size)).Scan(&beyond); err != nil {
		return e.db.Explain(err)
	}
	if beyond > 0 {
		return fmt.Errorf("%w: the engine has %d leaves beyond its head", ledger.ErrFork, beyond)
	}
	return nil
}

// root computes the root of the tree's first leaves from its nodes.
func (e *Engine) root(ctx context.Context, size uint64) (root custody.Digest, err error) {
	if size == 0 {
		return custody.Digest(rfc6962.DefaultHasher.EmptyRoot()), nil
	}
	tx, err := e.store.SnapshotForTree(ctx, e.tree)
	if err != nil {
		return root, err
	}
	defer func() { err = errors.Join(err, tx.Close()) }()
	ids := compact.RangeNodes(0, size, nil)
	nodes, err := tx.GetMerkleNodes(ctx, ids)
	if err != nil {
		return root, err
	}
	if len(nodes) != len(ids) {
		return root, fmt.Errorf("%w: nodes of the tree are missing", ledger.ErrFork)
	}
	hashes := make([][]byte, len(nodes))
	for i, n := range nodes {
		hashes[i] = n.Hash
	}
	factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	edge, err := factory.NewRange(0, size, hashes)
	if err != nil {
		return root, err
	}
	b, err := edge.GetRootHash(nil)
	if err != nil {
		return root, err
	}
	return custody.Digest(b), nil
}
