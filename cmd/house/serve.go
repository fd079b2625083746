package house

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sys/unix"
)

// The bounds of the HTTP server.
const (
	headerWithin  = 5 * time.Second
	idleAtMost    = 60 * time.Second
	headerAtMost  = 32 << 10
	stopWithin    = 30 * time.Second
	streamsAtMost = 100
	collectFrom   = 122 << 20 // bytes, from where on garbage is collected whatever it costs
	collectAt     = 35        // percent of garbage beside what is in use: most of that is buffers of 8 MiB
)

// Serve serves until ctx ends, then lets what is under way come to its end.
// listening is called with the address once requests are accepted.
func (h *House) Serve(ctx context.Context, listening func(net.Addr)) error {
	if err := noCoreDumps(); err != nil {
		return err
	}
	debug.SetGCPercent(collectAt)
	debug.SetMemoryLimit(collectFrom)
	server := h.server(h.api)
	if h.Config.Certificate != "" {
		pair, err := h.certificate()
		if err != nil {
			return err
		}
		server.TLSConfig.Certificates = []tls.Certificate{pair}
	}
	config := net.ListenConfig{}
	l, err := config.Listen(ctx, "tcp", h.Config.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	servers := []*http.Server{server}
	failed := make(chan error, 2)
	go func() { failed <- h.serve(server, l) }()
	if h.Config.Metrics != "" {
		m, err := config.Listen(ctx, "tcp", h.Config.Metrics)
		if err != nil {
			return errors.Join(fmt.Errorf("metrics: %w", err), server.Close())
		}
		h.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", promhttp.HandlerFor(h.registry, promhttp.HandlerOpts{}))
		metrics := h.server(mux)
		servers = append(servers, metrics)
		go func() { failed <- metrics.Serve(m) }()
	}
	keeping, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	var kept sync.WaitGroup
	for _, loop := range []func(context.Context){h.checkLoop, h.protectLoop, h.readLoop, h.disposeLoop, h.stampLoop} {
		kept.Go(func() { loop(keeping) })
	}
	listening(l.Addr())
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	stopKeeping()
	kept.Wait()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	for _, s := range servers {
		if e := s.Shutdown(stopping); e != nil {
			err = errors.Join(err, s.Close())
		}
	}
	return err
}

func (h *House) server(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: headerWithin, IdleTimeout: idleAtMost, MaxHeaderBytes: headerAtMost,
		ErrorLog:  slog.NewLogLogger(h.logger.Handler(), slog.LevelDebug),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13},
		HTTP2:     &http.HTTP2Config{MaxConcurrentStreams: streamsAtMost},
	}
}

func (h *House) serve(s *http.Server, l net.Listener) error {
	if h.Config.Certificate != "" {
		return s.ServeTLS(l, "", "")
	}
	return s.Serve(l)
}

// certificate reads what TLS is served with. Nobody else may read the key.
func (h *House) certificate() (tls.Certificate, error) {
	chain, err := os.ReadFile(under(h.dir, h.Config.Certificate))
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := readSecret(under(h.dir, h.Config.Key))
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate %s and key %s: %w", h.Config.Certificate, h.Config.Key, err)
	}
	return pair, nil
}

// noCoreDumps keeps evidence and keys in memory out of files.
func noCoreDumps() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
