package guardtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/forensic-custody/custody/custody"
)

// Log is a transparency log in memory. It implements guard.Log.
type Log struct {
	signer note.Signer

	mu         sync.Mutex
	leaves     []custody.Leaf
	hashes     []tlog.Hash
	known      map[custody.Digest]int64
	checkpoint []byte
	broken     error         // what Append fails with
	ready      error         // what Ready says
	held       chan struct{} // Append waits until it is closed
	witnesses  []*Witness
	at         custody.Time // at which they sign
	stamps     []keptStamp
}

// NewLog returns an empty log that signs with signer.
func NewLog(signer note.Signer) (*Log, error) {
	l := &Log{signer: signer, known: map[custody.Digest]int64{}}
	return l, l.publish()
}

// Append implements guard.Log.
func (l *Log) Append(ctx context.Context, leaves []custody.Leaf, identities []custody.Digest) ([]*custody.Receipt, error) {
	l.mu.Lock()
	held := l.held
	l.mu.Unlock()
	if held != nil {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-held:
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return nil, l.broken
	}
	at := make([]int64, len(leaves))
	for i, leaf := range leaves {
		n, ok := l.known[identities[i]]
		if ok && l.leaves[n] != leaf {
			return nil, fmt.Errorf("leaf %d has this identity and is another", n)
		}
		if !ok {
			n = int64(len(l.leaves))
			hashes, err := tlog.StoredHashes(n, leaf[:], tlog.HashReaderFunc(l.read))
			if err != nil {
				return nil, err
			}
			l.leaves, l.hashes, l.known[identities[i]] = append(l.leaves, leaf), append(l.hashes, hashes...), n
		}
		at[i] = n
	}
	if err := l.publish(); err != nil {
		return nil, err
	}
	return l.receipts(at)
}

func (l *Log) receipts(at []int64) ([]*custody.Receipt, error) {
	list := make([]*custody.Receipt, len(at))
	for i, n := range at {
		proof, err := tlog.ProveRecord(int64(len(l.leaves)), n, tlog.HashReaderFunc(l.read))
		if err != nil {
			return nil, err
		}
		list[i] = &custody.Receipt{Index: uint64(n), Checkpoint: l.checkpoint}
		for _, h := range proof {
			list[i].Proof = append(list[i].Proof, custody.Digest(h))
		}
	}
	return list, nil
}

func (l *Log) publish() error {
	root, err := tlog.TreeHash(int64(len(l.leaves)), tlog.HashReaderFunc(l.read))
	if err != nil {
		return err
	}
	if len(l.leaves) == 0 {
		root = tlog.Hash(custody.Hash(nil)) // RFC 6962, section 2.1
	}
	c := custody.Checkpoint{Origin: l.signer.Name(), Size: uint64(len(l.leaves)), Root: custody.Digest(root)}
	if l.checkpoint, err = note.Sign(&note.Note{Text: c.String()}, l.signer); err != nil {
		return err
	}
	for _, w := range l.witnesses {
		line, err := w.Cosign(c, l.at)
		if err != nil {
			return err
		}
		l.checkpoint = append(l.checkpoint, line...)
	}
	return nil
}

// Witnessed has the latest checkpoint, and each after it, cosigned by these
// witnesses, at that time.
func (l *Log) Witnessed(at custody.Time, by ...*Witness) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.witnesses, l.at = by, at
	return l.publish()
}

func (l *Log) read(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		found[i] = l.hashes[x]
	}
	return found, nil
}

// Checkpoint implements guard.Log.
func (l *Log) Checkpoint() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.checkpoint
}

// Ready implements guard.Log.
func (l *Log) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ready
}

// Break makes every Append fail until Mend. A log that knows says so when it is
// asked whether it is ready.
func (l *Log) Break(knows bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = errors.New("the volume is full")
	if knows {
		l.ready = l.broken
	}
}

// Mend ends Break.
func (l *Log) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken, l.ready = nil, nil
}

// Hold makes every Append wait until the function that it returns is called.
func (l *Log) Hold() (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := make(chan struct{})
	l.held = held
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.held = nil
		close(held)
	}
}

// Prove returns receipts of the leaves with these identities, all under the
// latest checkpoint, and that.
func (l *Log) Prove(_ context.Context, identities []custody.Digest) ([]*custody.Receipt, []byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := make([]int64, len(identities))
	for i, id := range identities {
		n, ok := l.known[id]
		if !ok {
			return nil, nil, custody.ErrUnknown
		}
		at[i] = n
	}
	list, err := l.receipts(at)
	return list, l.checkpoint, err
}

// Leaves calls yield for the first n leaves.
func (l *Log) Leaves(_ context.Context, n uint64, yield func(custody.Leaf) error) error {
	l.mu.Lock()
	leaves := slices.Clone(l.leaves[:n])
	l.mu.Unlock()
	for _, leaf := range leaves {
		if err := yield(leaf); err != nil {
			return err
		}
	}
	return nil
}
