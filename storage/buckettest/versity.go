package buckettest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/storage/s3"
)

// Versity is a running Versity S3 gateway on a folder, a process of its own: a
// second reading of what S3 means. It speaks TLS, since over clear text it takes no
// checksum that trails a body.
type Versity struct {
	config  s3.Config
	admin   *minio.Client
	buckets int
}

// StartVersity starts a gateway on a loopback port and a folder of the test's, and
// stops it when the test ends. Without the program the test fails.
func StartVersity(t testing.TB) *Versity {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"data", "versions"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
	}
	cert, key, roots := certificate(t, dir)
	address := freeAddress(t)
	v := &Versity{config: s3.Config{Endpoint: "https://" + address, AccessKey: "custodytest", SecretKey: "custodytest-secret", Roots: roots}}
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	server := exec.CommandContext(context.WithoutCancel(t.Context()), Tool(t, "versitygw"), "--port", address, "--quiet",
		"--cert", cert, "--key", key, "posix", "--versioning-dir", filepath.Join(dir, "versions"), filepath.Join(dir, "data"))
	server.Env = []string{"HOME=" + dir, "ROOT_ACCESS_KEY=" + v.config.AccessKey, "ROOT_SECRET_KEY=" + v.config.SecretKey}
	server.Stdout, server.Stderr = log, log
	require.NoError(t, server.Start())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Process.Kill()
		_ = server.Wait()
		_ = log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the S3 gateway said:\n%s", text)
		}
	})
	v.admin, err = minio.New(address, &minio.Options{
		Creds: credentials.NewStaticV4(v.config.AccessKey, v.config.SecretKey, ""), Region: "us-east-1", MaxRetries: 1, Secure: true, Transport: transport,
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := v.admin.ListBuckets(t.Context())
		return err == nil
	}, 30*time.Second, 50*time.Millisecond, "the S3 gateway does not answer")
	return v
}

// NewBucket makes a bucket with versions and object lock and says how to open it.
func (v *Versity) NewBucket(t testing.TB) s3.Config {
	t.Helper()
	return v.newBucket(t, true)
}

// NewBucketWithoutLock makes a bucket with versions that cannot lock objects.
func (v *Versity) NewBucketWithoutLock(t testing.TB) s3.Config {
	t.Helper()
	return v.newBucket(t, false)
}

func (v *Versity) newBucket(t testing.TB, locks bool) s3.Config {
	t.Helper()
	v.buckets++
	c := v.config
	c.Bucket = "bucket-" + strconv.Itoa(v.buckets)
	require.NoError(t, v.admin.MakeBucket(t.Context(), c.Bucket, minio.MakeBucketOptions{ObjectLocking: locks}))
	require.NoError(t, v.admin.EnableVersioning(t.Context(), c.Bucket))
	return c
}

// certificate makes a key and a certificate for loopback, which vouches for
// itself, and returns their files.
func certificate(t testing.TB, dir string) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(t, os.WriteFile(cert, text, 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	roots = x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(text))
	return cert, key, roots
}
