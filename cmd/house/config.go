// Package house puts the service together from one folder: keys, databases,
// log and bucket, wired by hand, in one place.
//
// It promises that a folder is made once and completely or not at all, that
// one process at a time works in it, and that what is on disk is checked
// against what was promised before anything is served.
//
// Begin reading at Create and Open.
package house

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forensic-custody/custody/custody"
)

// Config is the service's configuration, config.json in its folder. Unknown
// keys are errors. Paths are relative to the folder.
type Config struct {
	// Origin is the name of the log, like custody.example/team: a name without
	// scheme that nobody else uses. It cannot be changed.
	Origin string `json:"origin"`

	// Listen is the address to serve at. Without TLS it must be a loopback
	// address.
	Listen string `json:"listen"`

	// Certificate and Key are the PEM files to serve TLS with; both empty
	// serve in clear, on loopback only.
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`

	// Metrics is the loopback address of the Prometheus metrics; empty serves
	// none.
	Metrics string `json:"metrics,omitempty"`

	// LockFile keeps the last checkpoint that was signed. It should lie on
	// another volume than the folder, so that restoring the one does not turn
	// back the other.
	LockFile string `json:"lockFile"`

	// Folder is the folder that keeps the evidence, when S3 is not given.
	Folder string `json:"folder,omitempty"`

	// S3 is the bucket that keeps the evidence.
	S3 *S3 `json:"s3,omitempty"`

	// Unlocked takes evidence in on an S3 bucket that does not lock objects. It
	// is on record, and every bundle says so.
	Unlocked bool `json:"unlocked,omitempty"`

	// Trillian is the log server that keeps the log; without it the log is kept
	// in the folder. It cannot be changed.
	Trillian *Trillian `json:"trillian,omitempty"`

	// Fixity is within how many days every artifact is read back and compared
	// with its seal, again and again; 0 is 7 days.
	Fixity int `json:"fixityDays,omitempty"`

	// Archive is for how many days the archived records of the log are locked in
	// a bucket that locks, from when they are kept; 0 is 365 days. It cannot be
	// shortened for what is kept already.
	Archive int `json:"archiveDays,omitempty"`

	// SpareWitnesses are names of witnesses of the policy in force that are not asked:
	// the way out when one is wrong about this log and keeps it from starting. What
	// they would cosign is missing from the quorum.
	SpareWitnesses []string `json:"spareWitnesses,omitempty"`

	// Authorities are the time-stamping authorities (RFC 3161) that stamp the log: when
	// records existed has then not to be believed of the service alone.
	Authorities []Authority `json:"authorities,omitempty"`

	// Escrow lists age recipients to whom the keys of evidence are wrapped
	// beside the service's own, so that losing the service's key loses
	// nothing. Their identities are to be kept offline.
	Escrow []string `json:"escrow,omitempty"`
}

// S3 names a bucket on an S3 server.
type S3 struct {
	// Endpoint is https://host[:port], or http:// with a loopback address.
	Endpoint string `json:"endpoint"`
	// Bucket is the bucket's name. It must exist, with versioning enabled.
	Bucket string `json:"bucket"`
	// Region is the bucket's region; empty asks the server.
	Region string `json:"region,omitempty"`
	// AccessKeyFile and SecretKeyFile hold the credentials, mode 0600.
	AccessKeyFile string `json:"accessKeyFile"`
	SecretKeyFile string `json:"secretKeyFile"`
}

// Trillian names a tree on a Trillian log server, with a log signer that works on
// it.
type Trillian struct {
	// Address is host:port of the log server's gRPC. Without CA it must be a
	// loopback address. Nobody but the service may reach it: the log server does
	// not ask who calls.
	Address string `json:"address"`
	// CA is the PEM file with the certificates by which the log server's is
	// known; empty speaks in clear.
	CA string `json:"ca,omitempty"`
	// Tree is the number of the tree, which custody init has made.
	Tree int64 `json:"tree"`
}

// Authority is a time-stamping authority (RFC 3161).
type Authority struct {
	// Name is what it is called, in trust files too. It cannot be changed for what it
	// stamped already.
	Name string `json:"name"`
	// Kind is external, qualified or local. Whom a verifier believes, and as what, his
	// own trust file says.
	Kind custody.TimeAuthorityKind `json:"kind"`
	// URL is where it is asked. http is enough: what is sent is a digest, and what comes
	// back is signed; who is on the way can do no more than hold it back. Without one
	// the service itself stamps, by its own clock: then Kind is local.
	URL string `json:"url,omitempty"`
	// Certificates is the PEM file with its root certificate, and those below it that
	// its answers do not carry. What does not lead to it is not kept.
	Certificates string `json:"certificates,omitempty"`
	// Minutes is once in how many minutes it is asked, when the log has grown; 0 is 60.
	Minutes int `json:"minutes,omitempty"`
}

// defaultMinutes is how often an authority is asked.
const defaultMinutes = 60

func (a Authority) every() time.Duration {
	if a.Minutes == 0 {
		return defaultMinutes * time.Minute
	}
	return time.Duration(a.Minutes) * time.Minute
}

func checkAuthorities(list []Authority) error {
	for i, a := range list {
		if err := a.check(); err != nil {
			return fmt.Errorf("authority %q: %w", a.Name, err)
		}
		for _, b := range list[:i] {
			if a.Name == b.Name || a.URL == "" && b.URL == "" {
				return fmt.Errorf("authority %q: it stands there twice", a.Name)
			}
		}
	}
	return nil
}

func (a Authority) check() error {
	if a.Name == "" || a.Name != strings.TrimSpace(a.Name) || len(a.Name) > 200 || strings.ContainsFunc(a.Name, func(r rune) bool { return r != ' ' && !unicode.IsGraphic(r) }) {
		return errors.New("its name is not a line of text")
	}
	if _, err := custody.ParseTimeAuthorityKind(string(a.Kind)); err != nil {
		return err
	}
	if a.Minutes < 0 || a.Minutes > 7*24*60 {
		return errors.New("minutes is not between 1 and 10080")
	}
	if a.URL == "" {
		if a.Kind != custody.LocalAuthority || a.Certificates != "" {
			return errors.New("without a url the service itself stamps: then its kind is local, and it has no certificates file")
		}
		return nil
	}
	u, err := url.Parse(a.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("url %q is not one of https or http", a.URL)
	case a.Certificates == "":
		return errors.New("certificates is missing")
	}
	return nil
}

// The files of the folder.
const (
	configFile  = "config.json"
	trustFile   = "trust.json"
	recordsFile = "records.db"
	logFile     = "log.db"
	placesFile  = "places.db" // instead of logFile, with Trillian
	tilesFile   = "tiles.db"
	processLock = "process.lock"
	serviceKey  = "keys/service.pem"
	logKey      = "keys/log.note"
	storageKey  = "keys/storage.age"
	rowKey      = "keys/rows.key"

	clockKey         = "keys/clock.pem" // of the service's own time-stamping authority, where it is one
	clockCertificate = "keys/clock.crt"
)

// Default returns the configuration of a new folder.
func Default(origin string) Config {
	return Config{Origin: origin, Listen: "127.0.0.1:8420", LockFile: "lock.db", Folder: "bucket"}
}

func readConfig(dir string) (Config, error) {
	path := filepath.Join(dir, configFile)
	b, err := os.ReadFile(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return Config{}, fmt.Errorf("%s holds no service, which would have %s there: give its folder with --dir, or make one with custody init", dir, configFile)
		}
		return Config{}, err
	}
	var c Config
	if err := json.Unmarshal(b, &c, json.RejectUnknownMembers(true)); err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	if err := c.check(); err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	if c.Trillian != nil && c.Trillian.Tree == 0 {
		return Config{}, fmt.Errorf("%s: trillian: tree is missing", path)
	}
	return c, nil
}

// explicit is the configuration with the numbers in it that hold where none are given,
// for who reads the file.
func (c Config) explicit() Config {
	c.Fixity = cmp.Or(c.Fixity, defaultFixity)
	c.Archive = cmp.Or(c.Archive, defaultArchive)
	c.Authorities = slices.Clone(c.Authorities)
	for i := range c.Authorities {
		c.Authorities[i].Minutes = cmp.Or(c.Authorities[i].Minutes, defaultMinutes)
	}
	return c
}

func (c Config) marshal() ([]byte, error) {
	b, err := json.Marshal(c, jsontext.WithIndent("  "))
	return append(bytes.TrimSpace(b), '\n'), err
}

func (c Config) check() error {
	switch {
	case c.Origin == "" || strings.ContainsFunc(c.Origin, notInOrigin):
		return fmt.Errorf("origin %q is not a name like custody.example/team: letters, digits and . - _ /", c.Origin)
	case (c.Certificate == "") != (c.Key == ""):
		return errors.New("certificate and key go together")
	case c.Certificate == "" && !loopback(c.Listen):
		return fmt.Errorf("listen: %s is not a loopback address like 127.0.0.1:8420; serve elsewhere only with certificate and key", c.Listen)
	case c.Metrics != "" && !loopback(c.Metrics):
		return fmt.Errorf("metrics: %s is not a loopback address", c.Metrics)
	case c.Fixity < 0 || c.Fixity > 365:
		return errors.New("fixityDays is not between 1 and 365")
	case c.Archive < 0 || c.Archive > 36500:
		return errors.New("archiveDays is not between 1 and 36500")
	case c.LockFile == "":
		return errors.New("lockFile is missing")
	case (c.Folder == "") == (c.S3 == nil):
		return errors.New("give either folder or s3")
	}
	if err := checkAuthorities(c.Authorities); err != nil {
		return err
	}
	if c.Trillian != nil {
		return c.Trillian.check()
	}
	return nil
}

func notInOrigin(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(".-_/", r))
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
