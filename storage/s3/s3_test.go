package s3_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"testing"
	"time"

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
	t.Parallel() // locks last, and are waited for
	server := buckettest.StartMinIO(t)
	buckettest.Run(t, func(t *testing.T) storage.Bucket { return open(t, server.NewBucket(t)) })

	t.Run("a bucket without locks", func(t *testing.T) {
		buckettest.Run(t, func(t *testing.T) storage.Bucket { return open(t, server.NewBucketWithoutLock(t)) })
		proven, err := open(t, server.NewBucketWithoutLock(t)).Probe(t.Context())
		require.NoError(t, err)
		require.False(t, proven.Lock || proven.Hold)
		require.True(t, proven.Versions)
	})

	t.Run("a bucket with locks", func(t *testing.T) {
		b := open(t, server.NewBucket(t))
		proven, err := b.Probe(t.Context())
		require.NoError(t, err)
		require.True(t, proven.Lock && proven.Hold && proven.Versions)
		left := buckettest.Versions(t, b, "")
		require.LessOrEqual(t, len(left), 3, "what is locked for some seconds, and what hides it: %v", left)
	})

	t.Run("a bucket that locks everything is refused", func(t *testing.T) {
		_, err := open(t, server.NewLockingBucket(t)).Probe(t.Context())
		require.ErrorContains(t, err, "by default")
	})

	t.Run("a server that locks nothing is found out", func(t *testing.T) { testLiars(t, server) })

	t.Run("a server whose clock is behind", func(t *testing.T) { testClockBehind(t, server) })

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
		require.ErrorIs(t, err, storage.ErrDenied)
		require.NotErrorIs(t, err, storage.ErrUnavailable)
		_, err = b.Stat(t.Context(), "key", "")
		require.ErrorIs(t, err, storage.ErrDenied)
		_, err = b.Get(t.Context(), "key", "", nil)
		require.ErrorIs(t, err, storage.ErrDenied)
		require.ErrorIs(t, b.Delete(t.Context(), "key", "some"), storage.ErrDenied)
		require.ErrorIs(t, b.List(t.Context(), "", func(storage.Object) error { return nil }), storage.ErrDenied)
		_, err = b.Probe(t.Context())
		require.ErrorIs(t, err, storage.ErrDenied)
	})

	t.Run("credentials that are renewed", func(t *testing.T) {
		c := server.NewBucket(t)
		right := c.SecretKey
		c.SecretKey += "x"
		c.Renew = func() (string, string, error) { return c.AccessKey, right, nil }
		b := open(t, c)
		_, err := b.Put(t.Context(), "key", []byte("x"))
		require.ErrorIs(t, err, storage.ErrDenied)
		b.Renew()
		_, err = b.Put(t.Context(), "key", []byte("x"))
		require.NoError(t, err)
	})
}

// TestVersity: a second server, with another reading of what S3 means. It locks,
// but does not tell of a lock any more when the version was written over, so that
// nobody could know what is locked: with locks it is refused, and the reason said.
func TestVersity(t *testing.T) {
	t.Parallel() // as TestMinIO
	server := buckettest.StartVersity(t)
	t.Run("a bucket without locks", func(t *testing.T) {
		b := open(t, server.NewBucketWithoutLock(t))
		proven, err := b.Probe(t.Context())
		require.NoError(t, err)
		require.True(t, proven.Versions && proven.ConditionalPut && proven.Checksum)
		require.False(t, proven.Lock || proven.Hold)
		version, err := b.Put(t.Context(), "key", []byte("evidence"))
		require.NoError(t, err)
		require.ErrorIs(t, b.Retain(t.Context(), "key", version, time.Now().Add(time.Hour)), storage.ErrNoLock)
		require.ErrorIs(t, b.Hold(t.Context(), "key", version, true), storage.ErrNoLock)
	})
	t.Run("a bucket with locks is refused", func(t *testing.T) {
		_, err := open(t, server.NewBucket(t)).Probe(t.Context())
		require.ErrorContains(t, err, "does not tell of it any more")
	})
	t.Run("what its locks do", func(t *testing.T) {
		b := open(t, server.NewBucket(t))
		version, err := b.Put(t.Context(), "key", []byte("evidence"))
		require.NoError(t, err)
		until := time.Now().Add(15 * time.Second).Truncate(time.Second).UTC()
		require.NoError(t, b.Retain(t.Context(), "key", version, until))
		require.NoError(t, b.Retain(t.Context(), "key", version, until.Add(-time.Second)), "locked for longer stays so")
		there, err := b.Stat(t.Context(), "key", version)
		require.NoError(t, err)
		require.True(t, until.Equal(there.Until))
		require.ErrorIs(t, b.Delete(t.Context(), "key", version), storage.ErrLocked)
		time.Sleep(time.Until(until.Add(time.Second)))
		require.NoError(t, b.Delete(t.Context(), "key", version))

		version, err = b.Put(t.Context(), "held", []byte("evidence"))
		require.NoError(t, err)
		require.NoError(t, b.Hold(t.Context(), "held", version, true))
		require.ErrorIs(t, b.Delete(t.Context(), "held", version), storage.ErrLocked)
		require.NoError(t, b.Hold(t.Context(), "held", version, false))
		require.NoError(t, b.Delete(t.Context(), "held", version))
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

// testLiars puts proxies in front of a server that keep some of what they are
// asked for from it, and answer that all is well.
func testLiars(t *testing.T, server *buckettest.MinIO) {
	until := ""
	for name, c := range map[string]struct {
		swallow func(*http.Request) bool
		claim   func(http.Header)
		want    string
	}{
		"retention": {func(r *http.Request) bool { return r.Method == http.MethodPut && r.URL.Query().Has("retention") }, nil,
			"took a lock until"},
		"retention, and claims it": {
			func(r *http.Request) bool {
				if r.Method != http.MethodPut || !r.URL.Query().Has("retention") {
					return false
				}
				body, _ := io.ReadAll(r.Body)
				if found := regexp.MustCompile("<RetainUntilDate>(.*)</RetainUntilDate>").FindSubmatch(body); until == "" && found != nil {
					until = string(found[1])
				}
				return true
			},
			func(h http.Header) {
				h.Set("X-Amz-Object-Lock-Mode", "COMPLIANCE")
				h.Set("X-Amz-Object-Lock-Retain-Until-Date", until)
			},
			"allowed the removal of a locked version"},
		"legal hold": {func(r *http.Request) bool { return r.Method == http.MethodPut && r.URL.Query().Has("legal-hold") }, nil,
			"does not know of it"},
	} {
		t.Run(name, func(t *testing.T) {
			conf := server.NewBucket(t)
			behind, err := url.Parse(conf.Endpoint)
			require.NoError(t, err)
			proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(behind)
				r.Out.Host = r.In.Host // it is signed
			}}
			defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			if c.claim != nil {
				proxy.ModifyResponse = func(r *http.Response) error {
					if r.Request.Method == http.MethodHead && until != "" {
						c.claim(r.Header)
					}
					return nil
				}
			}
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !c.swallow(r) {
					proxy.ServeHTTP(w, r)
				}
			}))
			defer front.Close()
			conf.Endpoint = front.URL
			_, err = open(t, conf).Probe(t.Context())
			require.ErrorContains(t, err, c.want)
		})
	}
}

// testClockBehind has a proxy refuse a deletion as a server does by whose clock a
// lock lasts that has ended by ours: that is a lock, and no want of a right.
func testClockBehind(t *testing.T, server *buckettest.MinIO) {
	for name, c := range map[string]struct {
		ended  time.Duration // ago; 0: there is no lock
		locked bool
	}{
		"just ended": {time.Minute, true}, "ended long ago": {time.Hour, false}, "never locked": {0, false},
	} {
		t.Run(name, func(t *testing.T) {
			conf := server.NewBucketWithoutLock(t)
			behind, err := url.Parse(conf.Endpoint)
			require.NoError(t, err)
			proxy := &httputil.ReverseProxy{
				Rewrite: func(r *httputil.ProxyRequest) {
					r.SetURL(behind)
					r.Out.Host = r.In.Host // it is signed
				},
				ModifyResponse: func(r *http.Response) error {
					if r.Request.Method == http.MethodHead && c.ended > 0 {
						r.Header.Set("X-Amz-Object-Lock-Mode", "COMPLIANCE")
						r.Header.Set("X-Amz-Object-Lock-Retain-Until-Date", time.Now().Add(-c.ended).UTC().Format(time.RFC3339))
					}
					return nil
				},
			}
			defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodDelete {
					w.WriteHeader(http.StatusForbidden)
					return
				}
				proxy.ServeHTTP(w, r)
			}))
			defer front.Close()
			conf.Endpoint = front.URL
			b := open(t, conf)
			version, err := b.Put(t.Context(), "key", []byte("evidence"))
			require.NoError(t, err)
			err = b.Delete(t.Context(), "key", version)
			var locked *storage.LockedError
			require.Equal(t, c.locked, errors.As(err, &locked), "%v", err)
			require.Equal(t, !c.locked, errors.Is(err, storage.ErrDenied), "%v", err)
			if c.locked {
				require.WithinDuration(t, time.Now().Add(time.Minute), locked.Until, 10*time.Second)
			}
		})
	}
}

// A server that says yes to everything is found out by the probe.
func TestServerThatEnforcesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amz-Version-Id", "v")
		if r.URL.Query().Has("object-lock") {
			_, _ = w.Write([]byte("<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>"))
		}
		if r.URL.Query().Has("versions") || r.URL.Query().Has("list-type") {
			_, _ = w.Write([]byte("<ListVersionsResult></ListVersionsResult>"))
		}
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
