package buckettest

import (
	"bytes"
	"context"
	"fmt"
	"net"
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

// MinIO is a running S3 server, a process of its own.
type MinIO struct {
	endpoint string
	address  string
	access   string
	secret   string
	admin    *minio.Client
	buckets  int
	data     string // the server's folder
	log      *os.File
	process  *exec.Cmd
}

// StartMinIO starts a server on a loopback port and a folder of the test's, and
// stops it when the test ends. Without the program the test fails.
func StartMinIO(t testing.TB) *MinIO {
	t.Helper()
	m := &MinIO{address: freeAddress(t)}
	m.endpoint = "http://" + m.address
	dir := t.TempDir()
	m.data = filepath.Join(dir, "data")
	var err error
	m.log, err = os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	t.Cleanup(func() {
		m.stop()
		_ = m.log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(m.log.Name())
			t.Logf("the S3 server said:\n%s", text)
		}
	})
	m.start(t, "custodytest", "custodytest-secret")
	return m
}

// Restart ends the server and starts it with other credentials, on the same
// address and what is stored there. Those of before are not accepted any more.
func (m *MinIO) Restart(t testing.TB, access, secret string) {
	t.Helper()
	m.stop()
	m.start(t, access, secret)
}

func (m *MinIO) stop() {
	_ = m.process.Process.Kill()
	_ = m.process.Wait()
}

func (m *MinIO) start(t testing.TB, access, secret string) {
	t.Helper()
	m.access, m.secret = access, secret
	m.process = exec.CommandContext(context.WithoutCancel(t.Context()), Tool(t, "minio"),
		"server", m.data, "--address", m.address, "--console-address", freeAddress(t))
	m.process.Env = []string{
		"HOME=" + filepath.Dir(m.data), "MINIO_ROOT_USER=" + access, "MINIO_ROOT_PASSWORD=" + secret,
		"MINIO_UPDATE=off", "MINIO_BROWSER=off",
	}
	m.process.Stdout, m.process.Stderr = m.log, m.log
	require.NoError(t, m.process.Start())
	var err error
	m.admin, err = minio.New(m.address, &minio.Options{
		Creds: credentials.NewStaticV4(access, secret, ""), Region: "us-east-1", MaxRetries: 1,
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := m.admin.ListBuckets(t.Context())
		return err == nil
	}, 30*time.Second, 50*time.Millisecond, "the S3 server does not answer")
}

// NewBucket makes a bucket with versions and object lock and says how to open it.
func (m *MinIO) NewBucket(t testing.TB) s3.Config {
	t.Helper()
	return m.newBucket(t, minio.MakeBucketOptions{ObjectLocking: true}) // which switches versions on
}

// NewBucketWithoutLock makes a bucket with versions that cannot lock objects.
func (m *MinIO) NewBucketWithoutLock(t testing.TB) s3.Config {
	t.Helper()
	c := m.NewUnversionedBucket(t)
	require.NoError(t, m.admin.EnableVersioning(t.Context(), c.Bucket))
	return c
}

// NewLockingBucket makes a bucket that locks every object for a day, which
// nothing can be cleaned out of.
func (m *MinIO) NewLockingBucket(t testing.TB) s3.Config {
	t.Helper()
	c := m.NewBucket(t)
	mode, days, unit := minio.Compliance, uint(1), minio.Days
	require.NoError(t, m.admin.SetObjectLockConfig(t.Context(), c.Bucket, &mode, &days, &unit))
	return c
}

// NewUnversionedBucket makes a bucket that keeps no versions, which no product
// may use.
func (m *MinIO) NewUnversionedBucket(t testing.TB) s3.Config {
	t.Helper()
	return m.newBucket(t, minio.MakeBucketOptions{})
}

func (m *MinIO) newBucket(t testing.TB, opts minio.MakeBucketOptions) s3.Config {
	t.Helper()
	m.buckets++
	name := "bucket-" + strconv.Itoa(m.buckets)
	require.NoError(t, m.admin.MakeBucket(t.Context(), name, opts))
	return s3.Config{Endpoint: m.endpoint, Bucket: name, AccessKey: m.access, SecretKey: m.secret}
}

// Replace puts data over whatever the bucket holds under the key, as somebody
// with the right to write to the bucket can.
func (m *MinIO) Replace(t testing.TB, bucket, key string, data []byte) {
	t.Helper()
	_, err := m.admin.PutObject(t.Context(), bucket, key, bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{})
	require.NoError(t, err)
}

// Hide deletes an object without saying which version, as somebody with the right
// to delete can: the versions stay.
func (m *MinIO) Hide(t testing.TB, bucket, key string) {
	t.Helper()
	require.NoError(t, m.admin.RemoveObject(t.Context(), bucket, key, minio.RemoveObjectOptions{}))
}

// repository returns the folder that go.mod is in.
func repository(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		require.NotEqual(t, filepath.Dir(dir), dir, "no go.mod above the test")
	}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return fmt.Sprint(l.Addr())
}
