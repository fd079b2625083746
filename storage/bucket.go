package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Bucket is a place for objects that are written once. storage/file keeps them
// in a folder, storage/s3 on an S3 server; storage/buckettest says in tests
// what this comment says in words.
//
// Keys are as CheckKey wants them. No key may be another key followed by a
// slash and more, since in a folder a name is a file or a directory.
//
// Methods may be called at the same time. They return promptly with the
// context's error once it is done. ErrUnavailable from any of them means that
// the outcome is not known: a Put that failed with it may have happened, and
// putting the same again, even within one call after a lost answer, then gives
// ErrExists. Whoever must know compares what is there.
type Bucket interface {
	// Put stores data whole under a key that is free and returns the version
	// under which it can be read, "" where the bucket knows no versions. It
	// never replaces: ErrExists when the key is taken. Nobody ever sees a
	// part of data. It is durable once Barrier has returned. ErrFull when the
	// bucket has no room. data is not kept.
	Put(ctx context.Context, key string, data []byte) (version string, err error)

	// Replace is Put over an object that is there and damaged. Where the bucket
	// knows versions the one that was there stays, under its version; elsewhere it
	// is gone, and whoever reads meanwhile sees the one or the other, whole.
	Replace(ctx context.Context, key string, data []byte) (version string, err error)

	// Get reads a whole object into buf and returns its length in bytes.
	// Version "" is the current one. ErrNotFound when it is not there,
	// ErrTooLarge when it is longer than buf. What buf holds after an error
	// is undefined.
	Get(ctx context.Context, key, version string, buf []byte) (int, error)

	// Stat says what is stored under a key, and until when it is locked. Version
	// "" is the current one. ErrNotFound when it is not there.
	Stat(ctx context.Context, key, version string) (Object, error)

	// List calls yield for the current version of every object below prefix,
	// in no particular order. The prefix is "" or ends with a slash. An error
	// from yield ends the listing and is returned.
	List(ctx context.Context, prefix string, yield func(Object) error) error

	// Versions calls yield for every version of every object below prefix, what
	// was written over and what hides a deleted object included, in no
	// particular order; where the bucket knows no versions, it is List.
	Versions(ctx context.Context, prefix string, yield func(Object) error) error

	// Folders calls yield for each name directly below prefix that has objects
	// below it, in no particular order.
	Folders(ctx context.Context, prefix string, yield func(name string) error) error

	// Delete removes one version for good; "" where the bucket knows no
	// versions. It succeeds when there is no such thing. A *LockedError when it
	// is locked.
	Delete(ctx context.Context, key, version string) error

	// Retain locks one version: until the time given nobody can remove it,
	// change it, or take the lock away, the bucket's owner included. Locked for
	// longer already, it stays so. ErrNoLock where the bucket cannot; ErrNotFound
	// when there is no such version.
	Retain(ctx context.Context, key, version string, until time.Time) error

	// Hold sets a legal hold on one version, or takes it off. While it is set
	// nobody can remove the version; whoever may set it may take it off. ErrNoLock
	// where the bucket cannot; ErrNotFound when there is no such version.
	Hold(ctx context.Context, key, version string, on bool) error

	// Barrier returns once everything is durable that any Put stored, found
	// taken, or any Stat found, and every Retain, Hold and Delete, if that call
	// had returned before. An error is final: the bucket can no longer vouch for what it
	// holds and every later Barrier fails too.
	Barrier(ctx context.Context) error

	// Probe proves on the live bucket, with objects of its own, what this
	// interface promises, and returns what it found the bucket able to do. A
	// bucket that says that it can lock must prove it. An error means that the
	// bucket must not be used. What a probe has to leave, because it is locked for
	// some seconds, the next one removes.
	Probe(ctx context.Context) (Abilities, error)
}

// Object is what a bucket says about one of its objects.
type Object struct {
	Key     string
	Version string    // "" where the bucket knows no versions
	Size    int64     // in bytes
	Marker  bool      // it is no object but hides one that was deleted; from Versions only
	Until   time.Time // locked until then; zero when it is not; from Stat only
	Hold    bool      // a legal hold is set; from Stat only
}

// Abilities are what a bucket was found able to do.
type Abilities struct {
	Versions       bool     // what is written over or deleted can still be read by its version
	Lock           bool     // Retain works, and nobody gets around it
	Hold           bool     // Hold works
	ConditionalPut bool     // Put on a taken key is refused
	Checksum       bool     // a body that was damaged on its way is refused
	Lines          []string // the same, and what the bucket does not promise, for people
}

// The kinds of error that a caller may act on.
var (
	ErrNotFound    = errors.New("no such object")
	ErrExists      = errors.New("the key is taken")
	ErrTooLarge    = errors.New("the object is larger than expected")
	ErrFull        = errors.New("the bucket is full")
	ErrUnavailable = errors.New("the bucket cannot be reached")
	ErrDenied      = errors.New("the bucket does not accept the service's credentials, or they lack a right") // nothing was done
	ErrNoLock      = errors.New("the bucket cannot lock objects")
	ErrLocked      = errors.New("the object is locked")
)

// LockedError tells why an object cannot be removed. errors.Is ErrLocked.
type LockedError struct {
	Key   string    // of the object
	Until time.Time // it is locked until then; zero when it is only held
	Hold  bool      // a legal hold is set
}

// Error implements error.
func (e *LockedError) Error() string {
	var why []string
	if !e.Until.IsZero() {
		why = append(why, "until "+e.Until.UTC().Format(time.RFC3339))
	}
	if e.Hold {
		why = append(why, "by a legal hold")
	}
	return fmt.Sprintf("%s: %v %s", e.Key, ErrLocked, strings.Join(why, " and "))
}

// Is reports whether target is ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// Longest key and longest part of one between slashes, in bytes: what both S3
// and file systems take.
const (
	maxKey  = 1000
	maxPart = 200
)

// CheckKey refuses what is not a key: parts of A-Z a-z 0-9 . _ - separated by
// single slashes, none of them beginning with a dot, so that no key can name
// anything outside the bucket or what the bucket keeps for itself.
func CheckKey(key string) error {
	if key == "" || len(key) > maxKey {
		return fmt.Errorf("key of %d bytes: it must have 1 to %d", len(key), maxKey)
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part[0] == '.' || len(part) > maxPart || strings.ContainsFunc(part, notInKey) {
			return fmt.Errorf("key %.100q: %.100q is not 1 to %d of A-Z a-z 0-9 . _ - without a leading dot", key, part, maxPart)
		}
	}
	return nil
}

func notInKey(r rune) bool {
	return !('A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '.' || r == '_' || r == '-')
}

// CheckPrefix refuses what is not a prefix to list: "" or a key and a slash.
func CheckPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	key, ok := strings.CutSuffix(prefix, "/")
	if !ok {
		return fmt.Errorf("prefix %.100q does not end with a slash", prefix)
	}
	return CheckKey(key)
}
