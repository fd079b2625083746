// Package s3 is a bucket on an S3 server, reached through minio-go.
//
// It promises what storage.Bucket asks for, on a server that keeps versions:
// an object is one single PUT that the server refuses when the key is taken
// (If-None-Match: *) or the bytes that arrived are not those that were sent
// (x-amz-checksum-crc32c). What the server acknowledged it has to keep; Barrier
// adds nothing to it. Where the bucket was made with object lock, Retain locks in
// compliance mode. Probe proves on the live server that it does these things,
// since not every server does.
//
// It speaks TLS, or clear text to this machine only. It never makes a URL that
// would let somebody else at an object. It believes nothing that it reads: that
// is for whoever reads (storage.Vault).
//
// Read s3.go first; locks are in lock.go, what is tried at start in probe.go.
package s3

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/forensic-custody/custody/storage"
)

// Config says where the bucket is and who asks.
type Config struct {
	Endpoint  string                                          // https://host[:port], or http:// with a loopback address
	Bucket    string                                          // exists, with versioning on, and object lock if anything is to be locked
	Region    string                                          // "us-east-1" when empty
	AccessKey string                                          // with the right to get, put, list and delete objects and versions, and to get and put retention and legal hold
	SecretKey string                                          //
	Renew     func() (accessKey, secretKey string, err error) // where the server no longer accepts them: what to try next; nil: the same again
	Roots     *x509.CertPool                                  // who may vouch for the server; nil: whom the system trusts
}

// retries of a request that the server did not answer or answered with 5xx.
const retries = 4

// Bucket is a bucket on an S3 server. It implements storage.Bucket.
type Bucket struct {
	core      minio.Core
	keys      *credentials.Credentials
	transport *http.Transport
	name      string
}

var _ storage.Bucket = (*Bucket)(nil)

// Open returns the bucket. It does not talk to the server; Probe does.
func Open(c Config) (*Bucket, error) {
	endpoint, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("S3 endpoint: %w", err)
	}
	if err := checkEndpoint(endpoint); err != nil {
		return nil, fmt.Errorf("S3 endpoint %s: %w", endpoint.Redacted(), err)
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		ExpectContinueTimeout: 10 * time.Second,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   64,
		DisableCompression:    true,
		ForceAttemptHTTP2:     false,
	}
	region := c.Region
	if region == "" {
		region = "us-east-1"
	}
	keys := credentials.New(&renewed{first: credentials.Value{AccessKeyID: c.AccessKey, SecretAccessKey: c.SecretKey, SignerType: credentials.SignatureV4}, renew: c.Renew})
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds:           keys,
		Secure:          endpoint.Scheme == "https",
		Transport:       transport,
		Region:          region,
		TrailingHeaders: true, // or minio-go refuses to send the checksum header
		MaxRetries:      retries,
	})
	if err != nil {
		return nil, fmt.Errorf("S3 endpoint %s: %w", endpoint.Redacted(), err)
	}
	return &Bucket{core: minio.Core{Client: client}, keys: keys, transport: transport, name: c.Bucket}, nil
}

// renewed are credentials that may be exchanged for others.
type renewed struct {
	first credentials.Value
	renew func() (accessKey, secretKey string, err error)
	used  bool
}

// Retrieve implements credentials.Provider.
func (r *renewed) Retrieve() (credentials.Value, error) { return r.RetrieveWithCredContext(nil) }

// RetrieveWithCredContext implements credentials.Provider.
func (r *renewed) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	if !r.used || r.renew == nil {
		r.used = true
		return r.first, nil
	}
	access, secret, err := r.renew()
	if err != nil {
		return credentials.Value{}, err
	}
	r.first.AccessKeyID, r.first.SecretAccessKey = access, secret
	return r.first, nil
}

// IsExpired implements credentials.Provider: only the server can tell.
func (r *renewed) IsExpired() bool { return false }

// Renew has the next request use the credentials that Config.Renew returns then.
func (b *Bucket) Renew() { b.keys.Expire() }

// Create makes the bucket, with versions and object lock, which it can be given
// at no later time. storage.ErrExists when there is one of that name.
func (b *Bucket) Create(ctx context.Context, region string) error {
	err := b.core.MakeBucket(ctx, b.name, minio.MakeBucketOptions{Region: region, ObjectLocking: true})
	if code := minio.ToErrorResponse(err).Code; code == minio.BucketAlreadyOwnedByYou || code == minio.BucketAlreadyExists {
		return fmt.Errorf("make bucket %s: %w", b.name, storage.ErrExists)
	}
	if err != nil {
		return fmt.Errorf("make bucket %s: %w", b.name, typed(ctx, err))
	}
	return nil
}

// Close ends idle connections.
func (b *Bucket) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}

// checkEndpoint refuses clear text to anything but a loopback address. Names
// other than localhost are not looked up: what they mean can change.
func checkEndpoint(u *url.URL) error {
	if u.Host == "" || u.User != nil || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("is not of the form https://host[:port]")
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case u.Scheme == "https", u.Scheme == "http" && local:
		return nil
	case u.Scheme == "http":
		return errors.New("clear text is for loopback addresses only")
	}
	return errors.New("is neither https nor http")
}

// Put implements storage.Bucket.
func (b *Bucket) Put(ctx context.Context, key string, data []byte) (string, error) {
	version, err := b.put(ctx, key, data, crc32.Checksum(data, castagnoli), false)
	if err != nil {
		return "", fmt.Errorf("put %s: %w", key, err)
	}
	return version, nil
}

// Replace implements storage.Bucket: what was there stays as an older version.
func (b *Bucket) Replace(ctx context.Context, key string, data []byte) (string, error) {
	version, err := b.put(ctx, key, data, crc32.Checksum(data, castagnoli), true)
	if err != nil {
		return "", fmt.Errorf("replace %s: %w", key, err)
	}
	return version, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// put sends data with a checksum for the server to compare. The body is not
// hashed for the signature: the checksum header is signed, and what is stored
// is authenticated by whoever reads it.
func (b *Bucket) put(ctx context.Context, key string, data []byte, checksum uint32, over bool) (string, error) {
	if err := storage.CheckKey(key); err != nil {
		return "", err
	}
	opts := minio.PutObjectOptions{
		DisableContentSha256: true,
		UserMetadata: map[string]string{
			"x-amz-checksum-crc32c": base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, checksum)),
		},
	}
	if !over {
		opts.SetMatchETagExcept("*") // If-None-Match, RFC 9110, section 13.1.2
	}
	info, err := b.core.PutObject(ctx, b.name, key, bytes.NewReader(data), int64(len(data)), "", "", opts)
	if err != nil {
		return "", typed(ctx, err)
	}
	if info.VersionID == "" {
		return "", errors.New("the server gave the object no version: versioning is not on")
	}
	return info.VersionID, nil
}

// Get implements storage.Bucket.
func (b *Bucket) Get(ctx context.Context, key, version string, buf []byte) (int, error) {
	n, err := b.get(ctx, key, version, buf)
	if err != nil {
		return 0, fmt.Errorf("get %s: %w", key, err)
	}
	return n, nil
}

func (b *Bucket) get(ctx context.Context, key, version string, buf []byte) (int, error) {
	if err := storage.CheckKey(key); err != nil {
		return 0, err
	}
	body, info, _, err := b.core.GetObject(ctx, b.name, key, minio.GetObjectOptions{VersionID: version})
	if err != nil {
		return 0, typed(ctx, err)
	}
	defer body.Close() // all that was asked for has been read
	if info.Size > int64(len(buf)) {
		return 0, storage.ErrTooLarge
	}
	n, err := io.ReadFull(body, buf[:max(info.Size, 0)])
	if err != nil {
		return n, typed(ctx, err)
	}
	return n, nil
}

// Stat implements storage.Bucket.
func (b *Bucket) Stat(ctx context.Context, key, version string) (storage.Object, error) {
	if err := storage.CheckKey(key); err != nil {
		return storage.Object{}, err
	}
	info, err := b.core.StatObject(ctx, b.name, key, minio.StatObjectOptions{VersionID: version})
	if err != nil {
		return storage.Object{}, fmt.Errorf("look up %s: %w", key, typed(ctx, err))
	}
	o := storage.Object{Key: key, Version: info.VersionID, Size: info.Size}
	l := lockOf(info)
	if o.Hold = l.hold; l.mode == minio.Compliance { // anything less can be got around
		o.Until = l.until
	}
	return o, nil
}

// List implements storage.Bucket. The versions it gives are "": the server
// does not say them in a listing of what is current.
func (b *Bucket) List(ctx context.Context, prefix string, yield func(storage.Object) error) error {
	return b.list(ctx, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}, func(info minio.ObjectInfo) error {
		return yield(storage.Object{Key: info.Key, Size: info.Size})
	})
}

// Versions implements storage.Bucket.
func (b *Bucket) Versions(ctx context.Context, prefix string, yield func(storage.Object) error) error {
	return b.versions(ctx, prefix, func(info minio.ObjectInfo) error {
		return yield(storage.Object{Key: info.Key, Version: info.VersionID, Size: info.Size, Marker: info.IsDeleteMarker})
	})
}

func (b *Bucket) versions(ctx context.Context, prefix string, yield func(minio.ObjectInfo) error) error {
	return b.list(ctx, minio.ListObjectsOptions{Prefix: prefix, Recursive: true, WithVersions: true}, yield)
}

// Folders implements storage.Bucket.
func (b *Bucket) Folders(ctx context.Context, prefix string, yield func(string) error) error {
	return b.list(ctx, minio.ListObjectsOptions{Prefix: prefix}, func(info minio.ObjectInfo) error {
		if name, ok := strings.CutSuffix(strings.TrimPrefix(info.Key, prefix), "/"); ok {
			return yield(name)
		}
		return nil // an object
	})
}

func (b *Bucket) list(ctx context.Context, opts minio.ListObjectsOptions, yield func(minio.ObjectInfo) error) error {
	if err := storage.CheckPrefix(opts.Prefix); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for info := range b.core.ListObjectsIter(ctx, b.name, opts) {
		if info.Err != nil {
			return fmt.Errorf("list %s: %w", opts.Prefix, typed(ctx, info.Err))
		}
		if err := yield(info); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Delete implements storage.Bucket. Without a version it would only hide the
// object, so it asks for one.
func (b *Bucket) Delete(ctx context.Context, key, version string) error {
	if err := storage.CheckKey(key); err != nil {
		return err
	}
	if version == "" {
		return fmt.Errorf("delete %s: no version given", key)
	}
	err := b.core.RemoveObject(ctx, b.name, key, minio.RemoveObjectOptions{VersionID: version})
	if err == nil || errors.Is(typed(ctx, err), storage.ErrNotFound) {
		return ctx.Err()
	}
	return fmt.Errorf("delete %s: %w", key, b.deletionRefused(ctx, key, version, err))
}

// Barrier implements storage.Bucket: what the server acknowledged is durable.
func (b *Bucket) Barrier(ctx context.Context) error { return ctx.Err() }

// typed gives an error of the server or the network the kind that callers know.
func typed(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
	}
	switch {
	case answer.StatusCode == http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %w", storage.ErrExists, err)
	case answer.Code == minio.NoSuchKey, answer.Code == "NoSuchVersion":
		return fmt.Errorf("%w: %w", storage.ErrNotFound, err)
	case answer.StatusCode == http.StatusInsufficientStorage, answer.Code == "XMinioStorageFull":
		return fmt.Errorf("%w: %w", storage.ErrFull, err)
	case answer.StatusCode == http.StatusForbidden, answer.StatusCode == http.StatusUnauthorized,
		answer.Code == "ExpiredToken", answer.Code == "InvalidToken": // 400
		return fmt.Errorf("%w: %w", storage.ErrDenied, err)
	case answer.StatusCode == http.StatusConflict, // ConditionalRequestConflict: another is putting the same key
		answer.StatusCode == http.StatusTooManyRequests, answer.StatusCode >= 500:
		return fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
	}
	return err
}
