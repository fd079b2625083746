package main

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	cosigner "github.com/forensic-custody/custody/ledger/witness"
)

// The files of a witness's folder.
const (
	witnessKeyFile  = "key.pem"
	witnessNameFile = "name"
	witnessLogsFile = "logs.txt"
	witnessLockFile = "process.lock"
)

// logsHeader is what a new logs.txt says.
const logsHeader = `# The logs that this witness cosigns, a line each (c2sp.org/tlog-policy):
# log VERIFIER-KEY [URL]
`

func (a *app) witnessCommand() *cobra.Command {
	var dir, listen, name string
	c := &cobra.Command{
		Use: "witness --dir DIR --listen ADDRESS", Short: "Be a witness: cosign the checkpoints of others' logs", Args: exactly(0),
		Long: `Serves c2sp.org/tlog-witness: cosigns each checkpoint that goes on from what it
cosigned before of the same log, and no other. It sees sizes and hashes only. What it
is good for is that somebody else runs it: on another machine, of another
organisation.

The first start takes --name, makes a key, and prints the verifier key that policies
name the witness by. The logs stand in DIR/logs.txt, a line each: log VERIFIER-KEY;
of a Custody log that is the member "log" of its trust file. A change there takes a restart.
Serves in clear: put a server with TLS in front where others are to reach it.

Never put the folder back from a backup: a witness that forgot what it cosigned
would cosign another history. When it is lost, make a new one, with a new key.`,
		Example: `  custody witness --dir ./witness --name witness.example/w1 --listen 127.0.0.1:7380`,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" || listen == "" {
				return usagef("give --dir and --listen")
			}
			return a.witness(c.Context(), dir, name, listen)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "the witness's folder")
	c.Flags().StringVar(&listen, "listen", "", "address to serve at")
	c.Flags().StringVar(&name, "name", "", "name of a new witness, like witness.example/w1: never changed")
	return c
}

func (a *app) witness(ctx context.Context, dir, name, listen string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(dir, witnessLockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("%s is in use by another process: stop that one first", dir)
	}
	name, key, err := witnessIdentity(dir, name)
	if err != nil {
		return err
	}
	logs, err := witnessLogs(filepath.Join(dir, witnessLogsFile))
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewJSONHandler(a.stderr, nil))
	s, err := cosigner.NewServer(name, key, logs, dir, time.Now, logger)
	if err != nil {
		return err
	}
	config := net.ListenConfig{}
	l, err := config.Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	a.say("custody: witness %s at http://%s, for %d logs\ncustody: verifier key %s", name, l.Addr(), len(logs), s.VerifierKey())
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(stopping)
}

// witnessIdentity reads the witness's name and key, and makes them where there are none.
func witnessIdentity(dir, name string) (string, crypto.Signer, error) {
	b, err := os.ReadFile(filepath.Join(dir, witnessNameFile))
	if errors.Is(err, fs.ErrNotExist) {
		if name == "" {
			return "", nil, usagef("%s holds no witness yet: give --name to make one", dir)
		}
		if err := makeWitness(dir, name); err != nil {
			return "", nil, err
		}
		b = []byte(name + "\n")
	} else if err != nil {
		return "", nil, err
	}
	is := strings.TrimSpace(string(b))
	if name != "" && name != is {
		return "", nil, usagef("%s is the witness %s: a name is never changed", dir, is)
	}
	path := filepath.Join(dir, witnessKeyFile)
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", nil, fmt.Errorf("%s can be read by others: chmod 600 it, and ask who has read it", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return "", nil, fmt.Errorf("%s is not PEM", path)
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := private.(ed25519.PrivateKey)
	if !ok {
		return "", nil, fmt.Errorf("%s: not an Ed25519 key", path)
	}
	return is, key, nil
}

// makeWitness makes a key; the name is written last: without one there is no witness.
func makeWitness(dir, name string) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	if _, err := cosigner.Key(name, private); err != nil {
		return usageError{err}
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		b    []byte
	}{
		{witnessKeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})},
		{witnessLogsFile, []byte(logsHeader)},
		{witnessNameFile, []byte(name + "\n")},
	} {
		path := filepath.Join(dir, f.name)
		if _, err := os.Lstat(path); err == nil && f.name == witnessLogsFile {
			continue // written by hand before
		}
		w, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = w.Write(f.b)
		if err := errors.Join(err, w.Sync(), w.Close()); err != nil {
			return err
		}
	}
	return nil
}

// witnessLogs reads the verifier keys of logs.txt.
func witnessLogs(path string) (keys []string, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if words[0] != "log" || len(words) < 2 || len(words) > 3 {
			return nil, fmt.Errorf("%s: line %.200q is not log VERIFIER-KEY [URL]", path, line)
		}
		keys = append(keys, words[1])
	}
	return keys, nil
}
