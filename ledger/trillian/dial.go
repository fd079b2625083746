package trillian

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/google/trillian"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger"
)

// Remote names a tree on a Trillian log server.
type Remote struct {
	// Address is host:port of the server's gRPC.
	Address string
	// TLS says how the server is known; nil speaks in clear, which only a
	// loopback address may be spoken to. The server does not ask who calls: who
	// reaches it can delete trees.
	TLS *tls.Config
	// Tree is the tree's identifier, as CreateTree gave it.
	Tree int64
	// Places is the file that keeps where identities are in the tree. It is made
	// anew when it is not there, from all leaves of the tree.
	Places string
	// Patience is how long an answer is waited for, and growth of the tree; 0 is
	// 5 seconds.
	Patience time.Duration
}

const patience = 5 * time.Second

// CreateTree makes an empty tree for a log, whose name goes into its
// description, and returns its identifier. Every call makes one: a log's is made
// once. When it fails there may be a tree that nobody uses. Tree and Places of r
// do not matter.
func CreateTree(ctx context.Context, r Remote, name string) (int64, error) {
	tree, err := r.create(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("create a tree on the log server %s: %w", r.Address, err)
	}
	return tree, nil
}

func (r Remote) create(ctx context.Context, name string) (int64, error) {
	conn, err := r.connect()
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }() // nothing is under way
	ctx, cancel := context.WithTimeout(ctx, r.patience())
	defer cancel()
	tree, err := trillian.NewTrillianAdminClient(conn).CreateTree(ctx, &trillian.CreateTreeRequest{Tree: &trillian.Tree{
		TreeState: trillian.TreeState_ACTIVE, TreeType: trillian.TreeType_LOG, MaxRootDuration: durationpb.New(0),
		DisplayName: "custody", Description: name[:min(len(name), mostDescription)],
	}})
	if err != nil {
		return 0, err
	}
	if _, err := trillian.NewTrillianLogClient(conn).InitLog(ctx, &trillian.InitLogRequest{LogId: tree.TreeId}); err != nil {
		return 0, fmt.Errorf("begin tree %d, which was made: %w", tree.TreeId, err)
	}
	return tree.TreeId, nil
}

// mostDescription is how many characters Trillian's schemas have room for.
const mostDescription = 200

// Dial opens a tree on a log server. ledger.ErrFork when it is not one that
// CreateTree makes: deleted, frozen, of another type, or with a root duration,
// and when leaves came into it in another order than they were queued; another error when there is none or the server does not answer.
func Dial(ctx context.Context, r Remote) (*RemoteEngine, error) {
	e, err := r.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("open tree %d of the log server %s: %w", r.Tree, r.Address, err)
	}
	return e, nil
}

func (r Remote) dial(ctx context.Context) (*RemoteEngine, error) {
	conn, err := r.connect()
	if err != nil {
		return nil, err
	}
	if err := r.check(ctx, trillian.NewTrillianAdminClient(conn)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	p, err := openPlaces(ctx, r.Places, r.Tree)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &RemoteEngine{
		conn: conn, server: trillian.NewTrillianLogClient(conn), tree: r.Tree, patience: r.patience(), places: p,
		queueing: make(turn, 1), reading: make(turn, 1),
		known: ledger.Head{Size: p.seen()}, wait: map[custody.Digest]uint64{},
	}, nil
}

func (r Remote) check(ctx context.Context, admin trillian.TrillianAdminClient) error {
	ctx, cancel := context.WithTimeout(ctx, r.patience())
	defer cancel()
	t, err := admin.GetTree(ctx, &trillian.GetTreeRequest{TreeId: r.Tree})
	if status.Code(err) == codes.NotFound {
		return errors.New("it has no such tree")
	}
	if err != nil {
		return err
	}
	if t.TreeId != r.Tree {
		return fmt.Errorf("the server speaks of tree %d", t.TreeId)
	}
	return usable(t)
}

// usable refuses a tree in which a log cannot be kept, or not safely.
func usable(t *trillian.Tree) error {
	if t.Deleted || t.TreeState != trillian.TreeState_ACTIVE || t.TreeType != trillian.TreeType_LOG || t.MaxRootDuration.AsDuration() != 0 {
		return fmt.Errorf("%w: the tree is not an active LOG without a root duration", ledger.ErrFork)
	}
	return nil
}

func (r Remote) patience() time.Duration {
	if r.Patience == 0 {
		return patience
	}
	return r.Patience
}

// connect makes a connection, which comes about when it is used. A server that
// was away is found again within a second.
func (r Remote) connect() (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if r.TLS != nil {
		creds = credentials.NewTLS(r.TLS)
	} else if !loopback(r.Address) {
		return nil, errors.New("without TLS it must be a loopback address")
	}
	again := backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}
	return grpc.NewClient("passthrough:///"+r.Address, grpc.WithTransportCredentials(creds), grpc.WithNoProxy(),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: again, MinConnectTimeout: time.Second}))
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
