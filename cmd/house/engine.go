package house

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/ledger/trillian"
)

// engineFile is what the log's engine keeps in the folder: the log, or where in
// the log server's tree everything is.
func (c Config) engineFile() string {
	if c.Trillian != nil {
		return placesFile
	}
	return logFile
}

// openEngine opens the log's engine in a folder. When it is to be created, a tree
// on a log server gets its number in the configuration.
func (h *House) openEngine(ctx context.Context, dir string, create bool) (ledger.Engine, error) {
	if h.Config.Trillian != nil {
		return h.dialEngine(ctx, dir, create)
	}
	path := filepath.Join(dir, logFile)
	if create {
		if err := trillian.Create(ctx, path); err != nil {
			return nil, err
		}
	}
	return noNil(trillian.Open(ctx, path))
}

func (h *House) dialEngine(ctx context.Context, dir string, create bool) (ledger.Engine, error) {
	r, err := h.Config.Trillian.remote(dir)
	if err != nil {
		return nil, err
	}
	if create {
		if r.Tree, err = trillian.CreateTree(ctx, r, h.Config.Origin); err != nil {
			return nil, err
		}
		made := *h.Config.Trillian
		made.Tree = r.Tree
		h.Config.Trillian = &made
	}
	return noNil(trillian.Dial(ctx, r))
}

// noNil returns an engine, or nil that is one.
func noNil[E ledger.Engine](e E, err error) (ledger.Engine, error) {
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (t Trillian) check() error {
	host, _, err := net.SplitHostPort(t.Address)
	if err != nil || host == "" {
		return fmt.Errorf("trillian: address %q is not host:port", t.Address)
	}
	if t.CA == "" && !loopback(t.Address) {
		return fmt.Errorf("trillian: %s is not a loopback address like 127.0.0.1:8090; go elsewhere only with ca", t.Address)
	}
	return nil
}

// remote is the tree as the engine wants it.
func (t Trillian) remote(dir string) (trillian.Remote, error) {
	r := trillian.Remote{Address: t.Address, Tree: t.Tree, Places: filepath.Join(dir, placesFile)}
	if t.CA == "" {
		return r, nil
	}
	b, err := os.ReadFile(under(dir, t.CA))
	if err != nil {
		return r, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b) {
		return r, errors.New("trillian: there is no certificate in " + t.CA)
	}
	host, _, err := net.SplitHostPort(t.Address)
	r.TLS = &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS13}
	return r, err
}
