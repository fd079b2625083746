package house

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/custody/policy"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/ledger"
	"github.com/forensic-custody/custody/ledger/keep"
	"github.com/forensic-custody/custody/ledger/witness"
	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/archive"
	"github.com/forensic-custody/custody/storage/file"
	"github.com/forensic-custody/custody/storage/intake"
	"github.com/forensic-custody/custody/storage/s3"
	"github.com/forensic-custody/custody/storage/sql"
)

// House is a service, open in its folder.
type House struct {
	Config Config
	Trust  *custody.Trust
	Code   string // one-time code for the first administrator; empty when there is one

	dir       string
	logKeys   custody.LogKeys
	api       *api.API
	guard     *guard.Guard
	log       *ledger.Log
	witnesses *witness.Client
	intake    *intake.Intake
	vault     *storage.Vault
	keeping   *keeping
	stamping  *stamping
	rows      *sql.Store
	archive   *archive.Archive

	store   *watched    // the bucket, where that is on a server
	items   *items      // that are kept
	guarded *protection // of what is kept
	now     func() time.Time

	withdrawnList []withdrawnItem // disposeLoop's own, with the two below
	withdrawnAt   uint64          // after which change it was made
	pending       *pending        // what is to be destroyed, and waits

	logger   *slog.Logger
	registry *prometheus.Registry
	close    []func() error // in order of opening
}

// Create makes a service in a folder: keys, databases, log, genesis record,
// trust file. The configuration is written last: a folder without one is not a
// service, and Create refuses a folder with anything in it.
func Create(ctx context.Context, dir string, c Config) (*custody.Trust, error) {
	return CreateWitnessed(ctx, dir, c, custody.NoWitnesses)
}

// CreateWitnessed is Create with a first witness policy.
func CreateWitnessed(ctx context.Context, dir string, c Config, witnesses string) (*custody.Trust, error) {
	if _, err := custody.ParseWitnessPolicy(witnesses); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Trillian != nil && c.Trillian.Tree != 0 {
		return nil, errors.New("trillian: the tree of a new service is made with it")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty (%s): a service is made in a new folder, once", dir, entries[0].Name())
	}
	for _, a := range c.Authorities {
		if _, err := a.trusted(dir); err != nil && a.URL != "" { // the service's own is made below
			return nil, err
		}
	}
	if err := makeKeys(dir, c.Origin); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(c.Authorities, func(a Authority) bool { return a.URL == "" }) {
		if err := makeClock(dir, c.Origin, time.Now()); err != nil {
			return nil, err
		}
	}
	h := &House{Config: c, dir: dir, now: time.Now, logger: slog.New(slog.DiscardHandler)}
	trust, err := h.create(ctx, dir, witnesses)
	if err := errors.Join(err, h.Close()); err != nil {
		return nil, err
	}
	b, err := trust.Marshal()
	if err != nil {
		return nil, err
	}
	text, err := h.Config.explicit().marshal() // with what was made for it
	if err != nil {
		return nil, err
	}
	return trust, errors.Join(
		writeNew(filepath.Join(dir, trustFile), b),
		writeNew(filepath.Join(dir, configFile), text),
		syncDir(filepath.Dir(dir)),
	)
}

func (h *House) create(ctx context.Context, dir, witnesses string) (*custody.Trust, error) {
	k, err := readKeys(dir)
	if err != nil {
		return nil, err
	}
	h.logKeys = custody.LogKeys{k.verifier}
	rows, err := sql.Open(ctx, filepath.Join(dir, recordsFile), sql.Options{})
	if err != nil {
		return nil, err
	}
	h.closing(rows.Close)
	s, err := h.openStore(ctx, dir, k)
	if err != nil {
		return nil, err
	}
	lc, err := h.logConfig(ctx, dir, k, true)
	if err != nil {
		return nil, err
	}
	lc.Archive = archiver{s.archive, rows}
	if err := ledger.Create(ctx, lc); err != nil {
		return nil, err
	}
	if h.log, err = ledger.Open(ctx, lc); err != nil {
		return nil, err
	}
	h.closing(h.log.Close)
	gc := h.guardConfig(rows, k)
	trust, err := guard.Create(ctx, gc, k.logKey, policy.Default, witnesses)
	if err != nil {
		return nil, err
	}
	trust.Authorities, err = h.trustedAuthorities(dir)
	return trust, err
}

// logConfig opens what the log is made of.
func (h *House) logConfig(ctx context.Context, dir string, k *keys, create bool) (ledger.Config, error) {
	c := ledger.Config{Origin: h.Config.Origin, Signer: k.log, Keys: h.logKeys, Now: h.now}
	engine, err := h.openEngine(ctx, dir, create)
	if err != nil {
		return c, err
	}
	h.closing(engine.Close)
	lock, err := keep.OpenLock(ctx, under(dir, h.Config.LockFile))
	if err != nil {
		return c, err
	}
	h.closing(lock.Close)
	tiles, err := keep.OpenTiles(ctx, filepath.Join(dir, tilesFile))
	if err != nil {
		return c, err
	}
	h.closing(tiles.Close)
	c.Engine, c.Lock, c.Tiles = engine, lock, tiles
	return c, nil
}

func under(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func (h *House) closing(f func() error) { h.close = append(h.close, f) }

func (h *House) guardConfig(rows guard.Store, k *keys) guard.Config {
	return guard.Config{
		Origin: h.Config.Origin, Store: rows, Log: publicLog{h.log}, LogKeys: h.logKeys, Words: investigate.Words(), States: investigate.States(),
		Service: k.service, RowKey: k.rows, Rand: rand.Reader, Now: h.now,
		Trouble: func(err error) { h.logger.Warn("what was ordered could not be done yet", "error", err) },
	}
}

// Open opens the service in a folder, which no other process may have open.
func Open(ctx context.Context, dir string, logger *slog.Logger) (*House, error) {
	return OpenAt(ctx, dir, logger, time.Now)
}

// OpenAt is Open with a clock, which everything that the service does goes by.
func OpenAt(ctx context.Context, dir string, logger *slog.Logger, now func() time.Time) (*House, error) {
	c, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	h := &House{Config: c, dir: dir, now: now, logger: logger, registry: prometheus.NewRegistry()}
	if err := h.open(ctx, dir); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (h *House) open(ctx context.Context, dir string) error {
	if err := h.lock(dir); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, storageKey+".next")); err == nil {
		return fmt.Errorf("a change of the service's key was interrupted: run custody rewrap --dir %s once more", dir)
	}
	k, err := h.readOwn(dir)
	if err != nil {
		return err
	}
	rows, err := sql.Open(ctx, filepath.Join(dir, recordsFile), sql.Options{MustExist: true})
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the database %s is gone: custody rebuild --dir %s makes it again from the bucket (%w)", recordsFile, dir, err)
	}
	if err != nil {
		return err
	}
	h.closing(rows.Close)
	s, err := h.openStore(ctx, dir, k)
	if err != nil {
		return err
	}
	lc, err := h.logConfig(ctx, dir, k, false)
	if err != nil {
		return err
	}
	lc.Archive = archiver{s.archive, rows}
	if err := h.askWitnesses(ctx, rows, k); err != nil {
		return err
	}
	lc.Witnesses = h.witnesses
	if h.log, err = ledger.Open(ctx, lc); err != nil {
		return err
	}
	h.closing(h.log.Close)
	return h.assemble(ctx, rows, k, s)
}

// lock keeps a second process out of the folder, for as long as this one lives.
func (h *House) lock(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, processLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("%s is in use by another process: stop that one first", dir), f.Close())
	}
	h.closing(f.Close)
	return nil
}

func (h *House) assemble(ctx context.Context, rows *sql.Store, k *keys, s *store) error {
	vault, err := storage.New(storage.Config{Bucket: s.bucket, Identity: k.storage, Recipients: s.recipients, Abilities: s.proven, Buffers: vaultBuffers, Readers: readBuffers, Now: h.now})
	if err != nil {
		return err
	}
	if err := recognize(ctx, vault); err != nil {
		return err
	}
	h.vault, h.keeping, h.guarded = vault, newKeeping(h.registry), newProtection()
	h.rows, h.archive = rows, s.archive
	h.items = newItems(rows)
	h.intake = &intake.Intake{Vault: vault, Bucket: s.bucket, Rows: rows, Now: h.now, Damaged: h.damaged}
	h.pending = &pending{now: h.now, logger: h.logger, items: map[custody.EvidenceID]*wait{}}
	code, err := newCode()
	if err != nil {
		return err
	}
	gc := h.guardConfig(records{rows, s.archive}, k)
	gc.EnrolmentCode, gc.CodeExpires = custody.Hash([]byte(code)), h.now().Add(codeLife)
	gc.Adopted = h.witnesses.Adopt
	gc.Before = map[custody.Kind]func(context.Context, *custody.Statement) error{custody.KindSealEvidence: h.seal}
	if h.guard, err = guard.Open(ctx, gc); err != nil {
		return err
	}
	h.closing(h.guard.Close)
	h.registry.MustRegister(newWitnessMetrics(h))
	if err := h.openStamping(ctx, rows); err != nil {
		return err
	}
	if err := h.recordKeys(ctx); err != nil {
		return err
	}
	if err := h.recordStore(ctx, s.proven); err != nil {
		return err
	}
	people, err := h.guard.People(ctx)
	if err != nil {
		return err
	}
	if people == 0 {
		h.Code = code
	}
	serves := func() error { return nil }
	if h.store != nil {
		serves = h.store.Ready
	}
	h.api = api.New(api.Config{
		Store: serves,
		Guard: h.guard, Log: h.log, Stamps: publicStamps{h}, Vault: evidence{vault, h.intake}, Intake: &uploads{h.intake, s.volume},
		Bundle: h.bundle(rows), Logger: h.logger, Registry: h.registry, Secure: h.Config.Certificate != "",
	})
	return nil
}

// vaultBuffers is how many chunks of what comes in and is read back the vault holds
// at once, and readBuffers of what is handed out, 8 MiB each. They are most of the
// service's memory. api lets fewer come in at once than vaultBuffers.
const (
	vaultBuffers = 5
	readBuffers  = 4
)

// codeLife is how long the code for the first administrator is valid.
const codeLife = 15 * time.Minute

// newCode returns a code of 80 bits that a person can type.
func newCode() (string, error) {
	var b [10]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	s := strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
	return s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:], nil
}

// bucket opens the bucket. volume is the folder on whose volume it lies, or "".
func (h *House) bucket(dir string) (b storage.Bucket, volume string, err error) {
	if h.Config.S3 == nil {
		path := under(dir, h.Config.Folder)
		b, err := file.Open(path)
		if err != nil {
			return nil, "", err
		}
		h.closing(b.Close)
		return b, path, nil
	}
	remote, err := openS3(dir, *h.Config.S3)
	if err != nil {
		return nil, "", err
	}
	h.closing(remote.Close)
	h.store = watch(remote, remote.Renew, h.logger)
	return h.store, "", nil
}

func openS3(dir string, s S3) (*s3.Bucket, error) {
	keys := func() (access, secret string, err error) {
		a, err := readSecret(under(dir, s.AccessKeyFile))
		if err != nil {
			return "", "", err
		}
		b, err := readSecret(under(dir, s.SecretKeyFile))
		return strings.TrimSpace(string(a)), strings.TrimSpace(string(b)), err
	}
	access, secret, err := keys()
	if err != nil {
		return nil, err
	}
	return s3.Open(s3.Config{
		Endpoint: s.Endpoint, Bucket: s.Bucket, Region: s.Region, AccessKey: access, SecretKey: secret, Renew: keys,
	})
}

// MakeBucket makes the bucket of a configuration, with versions and object lock.
// The paths of s are absolute.
func MakeBucket(ctx context.Context, s S3) error {
	b, err := openS3("", s)
	if err != nil {
		return err
	}
	return errors.Join(b.Create(ctx, s.Region), b.Close())
}

// Close closes everything, the last opened first.
func (h *House) Close() error {
	var err error
	for i := len(h.close) - 1; i >= 0; i-- {
		err = errors.Join(err, h.close[i]())
	}
	h.close = nil
	return err
}
