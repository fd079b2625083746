package storage_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/buckettest"
	"github.com/forensic-custody/custody/storage/s3"
)

// network lies between the service and an S3 server, and breaks.
type network struct {
	server *httptest.Server
	proxy  *httputil.ReverseProxy
	fault  func(n *network, w http.ResponseWriter, r *http.Request)
	calls  atomic.Int64
	from   atomic.Int64 // the first request that breaks; 0: none
	to     atomic.Int64 // and the last
}

func newNetwork(t *testing.T, c *s3.Config, fault func(*network, http.ResponseWriter, *http.Request)) *network {
	t.Helper()
	behind, err := url.Parse(c.Endpoint)
	require.NoError(t, err)
	transport := &http.Transport{}
	n := &network{fault: fault, proxy: &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(behind)
		r.Out.Host = r.In.Host // it is signed
	}}}
	n.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if call := n.calls.Add(1); n.from.Load() > 0 && call >= n.from.Load() && call <= n.to.Load() {
			n.fault(n, w, r)
			return
		}
		n.proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { n.server.Close(); transport.CloseIdleConnections() })
	c.Endpoint = n.server.URL
	return n
}

// breaks has so many requests fail from the one with this number on.
func (n *network) breaks(from, count int64) {
	n.calls.Store(0)
	n.to.Store(from + count - 1)
	n.from.Store(from)
}

func (n *network) heals() { n.from.Store(0) }

// answer has the request served and returns what the answer would be.
func (n *network) answer(r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	n.proxy.ServeHTTP(rec, r)
	return rec
}

func (n *network) pass(w http.ResponseWriter, rec *httptest.ResponseRecorder, body []byte) {
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(body)
}

var faults = map[string]func(*network, http.ResponseWriter, *http.Request){
	"500": func(_ *network, w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusInternalServerError)
	},
	"503": func(_ *network, w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusServiceUnavailable)
	},
	"reset before": func(*network, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	"reset in the middle": func(_ *network, _ http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, 1000)
		panic(http.ErrAbortHandler)
	},
	"done, and the answer is lost": func(n *network, _ http.ResponseWriter, r *http.Request) {
		n.answer(r)
		panic(http.ErrAbortHandler)
	},
	"short body": func(n *network, w http.ResponseWriter, r *http.Request) {
		rec := n.answer(r)
		n.pass(w, rec, rec.Body.Bytes()[:rec.Body.Len()/2])
		if rec.Body.Len() > 0 {
			panic(http.ErrAbortHandler)
		}
	},
	"wrong body": func(n *network, w http.ResponseWriter, r *http.Request) {
		rec := n.answer(r)
		b := rec.Body.Bytes()
		for i := range b {
			b[i] ^= 0x20
		}
		n.pass(w, rec, b)
	},
	"wrong upload": func(n *network, w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if len(b) > 0 {
			b[len(b)/2] ^= 1
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
		n.proxy.ServeHTTP(w, r)
	},
	"missing object": func(_ *network, w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>")
	},
}

// The network to an S3 server breaks in every way, for one request or for all
// from then on. Nothing acknowledged is lost, no half of an artifact is seen, no
// wrong byte comes, and when the network is well again the same call completes.
func TestOutages(t *testing.T) {
	server := buckettest.StartMinIO(t)
	data := append(text(50_000, 1), buckettest.Bytes(50_000, 1)...)
	t.Run("all", func(t *testing.T) {
		for name, fault := range faults {
			for _, count := range []int64{1, 1 << 40} {
				conf := server.NewBucket(t)
				t.Run(fmt.Sprintf("%s %d", name, count), func(t *testing.T) {
					t.Parallel()
					direct := openS3(t, conf)
					n := newNetwork(t, &conf, fault)
					for at := int64(1); at < 40; at += 2 + 4*min(count-1, 1) {
						if !outage(t, n, openS3(t, conf), direct, data, at, count) {
							return
						}
						for _, o := range buckettest.Versions(t, direct, "") {
							require.NoError(t, direct.Delete(t.Context(), o.Key, o.Version))
						}
					}
				})
			}
		}
	})
}

// outage takes an artifact in and reads it while requests break, and returns
// whether any did.
func outage(t *testing.T, n *network, through, direct *s3.Bucket, data []byte, at, count int64) bool {
	t.Helper()
	id, a := newIdentity(t), artifactOf(data)
	vault := func(b storage.Bucket) *storage.Vault {
		v, err := storage.New(storage.Config{Bucket: b, Identity: id, Recipients: []age.Recipient{id.Recipient()}})
		require.NoError(t, err)
		return v
	}
	intake := func(v *storage.Vault) error {
		chunks, err := putAll(t.Context(), v, burglary, data)
		if err != nil {
			return err
		}
		return v.Seal(t.Context(), burglary, all(chunks), a.Size, a.Root, time.Time{})
	}
	n.breaks(at, count)
	v := vault(through)
	err := intake(v)
	got, readErr := read(t.Context(), v, burglary, a, guard.Range{Length: a.Size})
	require.True(t, bytes.HasPrefix(data, got), "a wrong byte")
	require.True(t, readErr != nil || len(got) == len(data))
	broke := n.calls.Load() >= at
	n.heals()

	_, checkErr := vault(direct).Check(t.Context(), burglary, a.Root, a.Size)
	if err == nil {
		require.NoError(t, checkErr, "acknowledged and lost")
	}
	if checkErr != nil {
		require.Empty(t, buckettest.List(t, direct, "v1/"+string(burglary)+"/m/"), "half of it is seen: %v", err)
	}
	require.NoError(t, intake(vault(through)), "the same again, after %v", err)
	measured, checkErr := vault(direct).Check(t.Context(), burglary, a.Root, a.Size)
	require.NoError(t, checkErr)
	require.Equal(t, a, measured)
	return broke
}
