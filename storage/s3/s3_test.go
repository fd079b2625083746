package s3_test

import (
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/buckettest"
	"github.com/forensic-custody/custody/storage/s3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, c s3.Config) *s3.Bucket {
	t.Helper()
	b, err := s3.Open(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

func TestMinIO(t *testing.T) {
	server := buckettest.StartMinIO(t)
	buckettest.Run(t, func(t *testing.T) storage.Bucket { return open(t, server.NewBucket(t)) })

	t.Run("a bucket without versions is refused", func(t *testing.T) {
		b := open(t, server.NewUnversionedBucket(t))
		_, err := b.Probe(t.Context())
		require.ErrorContains(t, err, "versioning")
		_, err = b.Put(t.Context(), "key", []byte("x"))
		require.ErrorContains(t, err, "versioning is not on")
	})

	t.Run("what was written over is read by its version", func(t *testing.T) {
		c := server.NewBucket(t)
		b := open(t, c)
		version, err := b.Put(t.Context(), "key", []byte("evidence"))
		require.NoError(t, err)
		server.Replace(t, c.Bucket, "key", []byte("forged"))
		require.Equal(t, "evidence", string(buckettest.Get(t, b, "key", version)))
		require.Equal(t, "forged", string(buckettest.Get(t, b, "key", "")))
	})

	t.Run("somebody without rights", func(t *testing.T) {
		c := server.NewBucket(t)
		c.SecretKey += "x"
		b := open(t, c)
		_, err := b.Put(t.Context(), "key", []byte("x"))
		require.Error(t, err)
		require.NotErrorIs(t, err, storage.ErrUnavailable)
		_, err = b.Probe(t.Context())
		require.Error(t, err)
	})
}

func TestNobodyAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	b := open(t, s3.Config{Endpoint: "http://" + l.Addr().String(), Bucket: "bucket", AccessKey: "a", SecretKey: "s"})
	_, err = b.Put(t.Context(), "key", []byte("x"))
	require.ErrorIs(t, err, storage.ErrUnavailable)
	_, err = b.Get(t.Context(), "key", "", nil)
	require.ErrorIs(t, err, storage.ErrUnavailable)
	_, err = b.Probe(t.Context())
	require.ErrorIs(t, err, storage.ErrUnavailable)
}

// A server that says yes to everything is found out by the probe.
func TestServerThatEnforcesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amz-Version-Id", "v")
		if r.URL.Query().Has("versioning") {
			_, _ = w.Write([]byte("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"))
		}
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); <-done })

	b := open(t, s3.Config{Endpoint: "http://" + l.Addr().String(), Bucket: "bucket", AccessKey: "a", SecretKey: "s"})
	_, err = b.Probe(t.Context())
	require.ErrorContains(t, err, "putting on a taken key gave <nil>")
}

func TestEndpoints(t *testing.T) {
	for endpoint, ok := range map[string]bool{
		"https://s3.example.com":       true,
		"https://s3.example.com:9000/": true,
		"https://192.0.2.1":            true,
		"http://127.0.0.1:9000":        true,
		"http://127.9.9.9":             true,
		"http://[::1]:9000":            true,
		"http://localhost:9000":        true,
		"http://s3.example.com":        false,
		"http://192.0.2.1:9000":        false,
		"http://0.0.0.0:9000":          false,
		"http://localhost.example.com": false,
		"http://127.0.0.1.example.com": false,
		"https://user:pw@example.com":  false,
		"https://example.com/path":     false,
		"https://example.com?x=y":      false,
		"ftp://127.0.0.1":              false,
		"127.0.0.1:9000":               false,
		"":                             false,
	} {
		_, err := s3.Open(s3.Config{Endpoint: endpoint, Bucket: "bucket", AccessKey: "a", SecretKey: "s"})
		require.Equal(t, ok, err == nil, "%s: %v", endpoint, err)
		if err != nil {
			require.NotContains(t, err.Error(), "pw")
		}
	}
}
