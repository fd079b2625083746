package trillian_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/ledger/enginetest"
	"github.com/forensic-custody/custody/ledger/trillian"
	"github.com/forensic-custody/custody/ledger/trillian/trilliantest"
)

// onServer makes a new tree on a server.
func onServer(t testing.TB, on *trilliantest.Installation) trillian.Remote {
	t.Helper()
	r := trillian.Remote{Address: on.Address, Places: filepath.Join(t.TempDir(), "places.db"), Patience: time.Minute} // a busy machine takes its time
	var err error
	r.Tree, err = trillian.CreateTree(context.Background(), r, "log.example/test")
	require.NoError(t, err)
	return r
}

func dial(t testing.TB, r trillian.Remote) *trillian.RemoteEngine {
	t.Helper()
	e, err := trillian.Dial(context.Background(), r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// TestRemoteEngine has the signer work while somebody waits for it, and at no
// other time: the suite tries what is queued and not in the tree.
func TestRemoteEngine(t *testing.T) {
	t.Parallel()
	on := trilliantest.Start(t)
	on.LogSigner.Pause()
	signer := &signer{process: on.LogSigner}
	enginetest.Run(t, func(t *testing.T) enginetest.Place {
		r := onServer(t, on)
		return func(t *testing.T) ledger.Engine {
			e, err := trillian.Dial(t.Context(), r)
			require.NoError(t, err)
			return &driven{e, signer}
		}
	})
}

// signer is a signer that works while there is somebody for whom it does.
type signer struct {
	process *trilliantest.Process
	mu      sync.Mutex
	waiting int
}

func (s *signer) work(more int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.waiting += more; {
	case more > 0 && s.waiting == more:
		s.process.Resume()
	case s.waiting == 0:
		s.process.Pause()
	}
}

type driven struct {
	*trillian.RemoteEngine
	signer *signer
}

func (e *driven) Integrate(ctx context.Context) (ledger.Head, error) {
	e.signer.work(1)
	defer e.signer.work(-1)
	return e.RemoteEngine.Integrate(ctx)
}

// TestCreatedOnServers: every tree is made by somebody who wants one, and a
// place file is of one tree.
func TestCreatedOnServers(t *testing.T) {
	t.Parallel()
	ctx, on := t.Context(), trilliantest.Start(t)
	first, second := onServer(t, on), onServer(t, on)
	require.NotEqual(t, first.Tree, second.Tree)
	e := dial(t, first)
	require.NoError(t, e.Queue(ctx, enginetest.Entries(0, 300)))
	_, err := e.Integrate(ctx)
	require.NoError(t, err)
	require.NoError(t, e.Close())
	enginetest.Holds(t, dial(t, second), nil)

	for name, c := range map[string]struct {
		change func(*trillian.Remote)
		says   string
	}{
		"no such tree":                 {func(r *trillian.Remote) { r.Tree++ }, "it has no such tree"},
		"the places of another tree":   {func(r *trillian.Remote) { r.Tree = second.Tree }, "is of tree"},
		"nobody listens":               {func(r *trillian.Remote) { r.Address = "127.0.0.1:1" }, "connection refused"},
		"in clear, to somewhere else":  {func(r *trillian.Remote) { r.Address = "192.0.2.1:8090" }, "must be a loopback address"},
		"TLS with one who speaks none": {func(r *trillian.Remote) { r.TLS = &tls.Config{MinVersion: tls.VersionTLS13} }, "handshake"},
	} {
		r := first
		c.change(&r)
		_, err := trillian.Dial(ctx, r)
		require.ErrorContains(t, err, c.says, name)
	}

	require.NoError(t, os.Remove(first.Places)) // what is lost here is made again
	enginetest.Holds(t, dial(t, first), enginetest.Entries(0, 300))
}

// TestServerRefuses: what is not the tree that CreateTree made is not opened, and
// what becomes another while it is open takes nothing.
func TestServerRefuses(t *testing.T) {
	t.Parallel()
	ctx, on := t.Context(), trilliantest.Start(t)
	for _, c := range []struct {
		name, change, back string
		queues             bool
	}{
		{"a frozen tree", "TreeState = 'FROZEN'", "TreeState = 'ACTIVE'", false},
		{"a tree that is being drained", "TreeState = 'DRAINING'", "TreeState = 'ACTIVE'", false},
		{"a preordered tree", "TreeType = 'PREORDERED_LOG'", "TreeType = 'LOG'", false},
		{"a tree with a root duration", "MaxRootDurationMillis = 3600000", "MaxRootDurationMillis = 0", true},
		{"a deleted tree", "Deleted = true, DeleteTimeMillis = 1764000000000", "Deleted = NULL, DeleteTimeMillis = NULL", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := onServer(t, on)
			e := dial(t, r)
			require.NoError(t, e.Queue(ctx, enginetest.Entries(0, 3)))
			_, err := e.Integrate(ctx)
			require.NoError(t, err)
			on.Edit(t, fmt.Sprintf("UPDATE Trees SET %s WHERE TreeId = %d", c.change, r.Tree))
			if err := e.Queue(ctx, enginetest.Entries(3, 4)); !c.queues {
				require.Error(t, err)
			}
			_, err = trillian.Dial(ctx, r)
			require.ErrorIs(t, err, ledger.ErrFork)

			on.Edit(t, fmt.Sprintf("UPDATE Trees SET %s WHERE TreeId = %d", c.back, r.Tree))
			require.NoError(t, e.Queue(ctx, enginetest.Entries(3, 4)))
			_, err = e.Integrate(ctx)
			require.NoError(t, err)
			enginetest.Holds(t, e, enginetest.Entries(0, 4))
			require.NoError(t, e.Close())
			enginetest.Holds(t, dial(t, r), enginetest.Entries(0, 4))
		})
	}
	t.Run("no tree any more", func(t *testing.T) {
		r := onServer(t, on)
		e := dial(t, r)
		require.NoError(t, e.Queue(ctx, enginetest.Entries(0, 3)))
		_, err := e.Integrate(ctx)
		require.NoError(t, err)
		on.Edit(t, fmt.Sprintf("DELETE FROM Trees WHERE TreeId = %d", r.Tree))
		require.Error(t, e.Queue(ctx, enginetest.Entries(3, 4)))
		_, err = e.Head(ctx)
		require.Error(t, err)
		require.NoError(t, e.Close())
		_, err = trillian.Dial(ctx, r)
		require.ErrorContains(t, err, "it has no such tree")
	})
}

// TestRowsEditedOnServers: what the engine can see of an edit it reports; what it
// cannot see, the log finds out, which computes the root from the leaves.
func TestRowsEditedOnServers(t *testing.T) {
	t.Parallel()
	ctx, on := t.Context(), trilliantest.Start(t)
	honest, other := enginetest.Entries(0, 60), enginetest.Entries(900, 901)[0].Leaf
	hash := rfc6962.DefaultHasher.HashLeaf(other[:])
	at := func(n int) string {
		return fmt.Sprintf("LeafIdentityHash = (SELECT LeafIdentityHash FROM SequencedLeafData WHERE TreeId = $TREE AND SequenceNumber = %d)", n)
	}
	contradicts := func(t *testing.T, e ledger.Engine) {
		_, err := e.Leaves(ctx, 0, 60)
		require.ErrorIs(t, err, ledger.ErrFork)
		_, err = e.Leaves(ctx, 5, 6)
		require.ErrorIs(t, err, ledger.ErrFork)
		for _, r := range [][2]uint64{{0, 5}, {6, 60}} {
			got, err := e.Leaves(ctx, r[0], r[1])
			require.NoError(t, err)
			require.Equal(t, honest[r[0]:r[1]], got)
		}
	}
	head := func(want error) func(*testing.T, ledger.Engine) {
		return func(t *testing.T, e ledger.Engine) {
			_, err := e.Head(ctx)
			require.ErrorIs(t, err, want)
			_, err = e.Integrate(ctx)
			require.ErrorIs(t, err, want)
			_, err = e.Leaves(ctx, 0, 10)
			require.ErrorIs(t, err, want)
		}
	}
	const newest = "TreeId = $TREE AND TreeHeadTimestamp = (SELECT max(TreeHeadTimestamp) FROM TreeHead WHERE TreeId = $TREE)"
	for _, c := range []struct {
		name, statement string
		found           func(*testing.T, ledger.Engine)
	}{
		{"a leaf's value", fmt.Sprintf(`UPDATE LeafData SET LeafValue = '\x%x' WHERE TreeId = $TREE AND %s`, other, at(5)), contradicts},
		{"a leaf's value that is none", `UPDATE LeafData SET LeafValue = '\x00' WHERE TreeId = $TREE AND ` + at(5), contradicts},
		{"a leaf's hash", fmt.Sprintf(`UPDATE SequencedLeafData SET MerkleLeafHash = '\x%x' WHERE TreeId = $TREE AND SequenceNumber = 5`, hash), contradicts},
		{"a leaf taken away", "DELETE FROM LeafData WHERE TreeId = $TREE AND " + at(5), contradicts},
		{"a leaf's place taken away", "DELETE FROM SequencedLeafData WHERE TreeId = $TREE AND SequenceNumber = 5", contradicts},
		{"the last leaf taken away", "DELETE FROM LeafData WHERE TreeId = $TREE AND " + at(59), func(t *testing.T, e ledger.Engine) {
			_, err := e.Leaves(ctx, 0, 60)
			require.ErrorIs(t, err, ledger.ErrFork)
			got, err := e.Leaves(ctx, 0, 59)
			require.NoError(t, err)
			require.Equal(t, honest[:59], got)
		}},
		{"all leaves taken away", "DELETE FROM LeafData WHERE TreeId = $TREE", func(t *testing.T, e ledger.Engine) {
			_, err := e.Leaves(ctx, 0, 60)
			require.ErrorIs(t, err, ledger.ErrFork)
		}},
		{"two places exchanged", "UPDATE SequencedLeafData SET SequenceNumber = 1000 - SequenceNumber WHERE TreeId = $TREE AND SequenceNumber BETWEEN 5 AND 6;" +
			"UPDATE SequencedLeafData SET SequenceNumber = SequenceNumber - 989 WHERE TreeId = $TREE AND SequenceNumber > 900", func(t *testing.T, e ledger.Engine) {
			got, err := e.Leaves(ctx, 0, 60)
			require.NoError(t, err)
			is, err := e.Head(ctx)
			require.NoError(t, err)
			require.NotEqual(t, enginetest.Root(t, got), is.Root)
		}},
		{"a leaf at two places", `UPDATE SequencedLeafData SET (LeafIdentityHash, MerkleLeafHash) = (SELECT LeafIdentityHash, MerkleLeafHash
			FROM SequencedLeafData WHERE TreeId = $TREE AND SequenceNumber = 5) WHERE TreeId = $TREE AND SequenceNumber = 6`, func(t *testing.T, e ledger.Engine) {
			got, err := e.Leaves(ctx, 0, 60)
			require.NoError(t, err)
			require.Equal(t, got[5], got[6])
			is, err := e.Head(ctx)
			require.NoError(t, err)
			require.NotEqual(t, enginetest.Root(t, got), is.Root)
		}},
		{"the head's root", fmt.Sprintf(`UPDATE TreeHead SET RootHash = '\x%x' WHERE `+newest, hash), head(ledger.ErrFork)},
		{"the head taken away", "DELETE FROM TreeHead WHERE " + newest, head(ledger.ErrRollback)},
		{"the head's size", "UPDATE TreeHead SET TreeSize = 59 WHERE " + newest, head(ledger.ErrRollback)},
		{"the head's size, grown", "UPDATE TreeHead SET TreeSize = 61 WHERE " + newest, func(t *testing.T, e ledger.Engine) {
			_, err := e.Integrate(ctx)
			require.ErrorIs(t, err, ledger.ErrFork)
		}},
		{"a head that is none", `UPDATE TreeHead SET RootHash = '\x00' WHERE ` + newest, func(t *testing.T, e ledger.Engine) {
			_, err := e.Integrate(ctx)
			require.ErrorContains(t, err, "a head that is none")
			require.NotErrorIs(t, err, ledger.ErrFork)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := onServer(t, on)
			e := dial(t, r)
			require.NoError(t, e.Queue(ctx, honest[:30]))
			_, err := e.Integrate(ctx)
			require.NoError(t, err)
			require.NoError(t, e.Queue(ctx, honest[30:]))
			_, err = e.Integrate(ctx)
			require.NoError(t, err)
			enginetest.Holds(t, e, honest)
			on.Edit(t, strings.ReplaceAll(c.statement, "$TREE", fmt.Sprint(r.Tree)))
			c.found(t, e)
			if c.name == "a leaf at two places" { // as one sees who reads it for the first time
				r.Places += ".new"
				_, err := dial(t, r).Integrate(ctx)
				require.ErrorIs(t, err, ledger.ErrFork)
			}
		})
	}
}

// TestStalledSigner: leaves that the signer does not put into the tree are not
// in the log, whoever asks, until it does.
func TestStalledSigner(t *testing.T) {
	t.Parallel()
	ctx, on := t.Context(), trilliantest.Start(t)
	r := onServer(t, on)
	r.Patience = 3 * time.Second
	e := dial(t, r)
	require.NoError(t, e.Queue(ctx, enginetest.Entries(0, 3)))
	_, err := e.Integrate(ctx)
	require.NoError(t, err)
	on.LogSigner.Pause()
	require.NoError(t, e.Queue(ctx, enginetest.Entries(3, 5)))
	for range 2 {
		_, err := e.Integrate(ctx)
		require.ErrorIs(t, err, trillian.ErrStalled)
	}
	enginetest.Holds(t, e, enginetest.Entries(0, 3))
	_, ok, err := e.Index(ctx, enginetest.Entries(3, 4)[0].Identity)
	require.NoError(t, err)
	require.False(t, ok)
	on.LogSigner.Resume()
	is, err := e.Integrate(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 5, is.Size)
	enginetest.Holds(t, e, enginetest.Entries(0, 5))

	on.LogServer.Pause()
	begun := time.Now()
	require.Error(t, e.Queue(ctx, enginetest.Entries(5, 6)))
	_, err = e.Integrate(ctx)
	require.Error(t, err)
	_, err = e.Head(ctx)
	require.Error(t, err)
	require.Less(t, time.Since(begun), time.Minute, "it is not waited for longer than told")
	on.LogServer.Resume()
	require.NoError(t, e.Queue(ctx, enginetest.Entries(5, 6))) // whether or not it was taken in before
	is, err = e.Integrate(ctx)
	require.NoError(t, err)
	enginetest.Holds(t, e, enginetest.Entries(0, 6))
}

// TestServerWithTLS: a server is known by its certificate.
func TestServerWithTLS(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "certificate") // which the server's user can read
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	known, cert, key := certificate(t, dir, "one")
	on := trilliantest.Start(t, "-tls_cert_file="+cert, "-tls_key_file="+key)
	r := trillian.Remote{Address: on.Address, TLS: known, Places: filepath.Join(t.TempDir(), "places.db"), Patience: 10 * time.Second}
	r.Tree, err = trillian.CreateTree(t.Context(), r, "log.example/test")
	require.NoError(t, err)
	e := dial(t, r)
	require.NoError(t, e.Queue(t.Context(), enginetest.Entries(0, 3)))
	_, err = e.Integrate(t.Context())
	require.NoError(t, err)
	enginetest.Holds(t, e, enginetest.Entries(0, 3))

	other, _, _ := certificate(t, dir, "another")
	renamed := known.Clone()
	renamed.ServerName = "log.example"
	for _, c := range []*tls.Config{nil, other, renamed} {
		r.TLS = c
		_, err := trillian.Dial(t.Context(), r)
		require.Error(t, err)
		_, err = trillian.CreateTree(t.Context(), r, "log.example/test")
		require.Error(t, err)
	}
}

// certificate makes a certificate for 127.0.0.1, its files, and what knows it.
func certificate(t *testing.T, dir, name string) (known *tls.Config, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o644))
	is, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(is)
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, cert, key
}
