package house

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger/keep"
)

// RekeyLog gives the log of the service in a folder, which must not run, a new key for
// checkpoints. Old and new key sign together with which checkpoint the one gave way
// to the other; that goes into the trust file, which it returns, and on record as a
// first leaf under the new key. The old private key is gone afterwards, and what it
// signed stays valid.
//
// Interrupted, RekeyLog goes on where it was when it is called again, and until then
// the service does not start.
func RekeyLog(ctx context.Context, dir string, logger *slog.Logger) (*custody.Trust, error) {
	if _, err := os.Lstat(filepath.Join(dir, logKey+".next")); errors.Is(err, fs.ErrNotExist) {
		err := within(ctx, dir, logger, func(h *House) error {
			may, err := h.guard.ServiceMay(ctx, custody.KindReplaceLogKey, custody.Resource{Type: "Custody", ID: h.Config.Origin})
			if err == nil && !may {
				err = errors.New("the policy that this log began with does not let its key be replaced")
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	if err := relog(ctx, dir); err != nil {
		return nil, err
	}
	var trust *custody.Trust
	err := within(ctx, dir, logger, func(h *House) error { // which has it put on record
		trust = h.Trust
		return nil
	})
	return trust, err
}

// relog replaces the log's key in the folder. What it needs lies beside what it
// replaces until it is done: the new key from before the old one signs it until it
// takes its place.
func relog(ctx context.Context, dir string) (err error) {
	c, err := readConfig(dir)
	if err != nil {
		return err
	}
	h := &House{Config: c, dir: dir, now: time.Now, logger: slog.New(slog.DiscardHandler)}
	defer func() { err = errors.Join(err, h.Close()) }()
	if err := h.lock(dir); err != nil {
		return err
	}
	path := filepath.Join(dir, logKey)
	secret, public, err := nextLogKey(path+".next", c.Origin)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(dir, trustFile))
	if err != nil {
		return err
	}
	trust, err := custody.ParseTrust(b)
	if err != nil {
		return err
	}
	now, err := trust.LogKey()
	if err != nil {
		return err
	}
	if now != public {
		if err := h.succeed(ctx, dir, trust, secret, public); err != nil {
			return err
		}
	}
	return errors.Join(os.Rename(path+".next", path), syncDir(filepath.Dir(path)))
}

// nextLogKey returns the key that waits, and makes it if need be.
func nextLogKey(path, origin string) (secret, public string, err error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if secret, public, err = note.GenerateKey(rand.Reader, origin); err != nil {
			return "", "", err
		}
		return secret, public, writeNew(path, []byte(secret+"\n"+public+"\n"))
	}
	text, err := readSecret(path)
	if err != nil {
		return "", "", err
	}
	secret, public, _ = strings.Cut(strings.TrimSpace(string(text)), "\n")
	return secret, public, nil
}

// succeed has the old key and the new one sign the succession, and adds it to the
// trust file.
func (h *House) succeed(ctx context.Context, dir string, trust *custody.Trust, secret, public string) error {
	k, err := readKeys(dir)
	if err != nil {
		return err
	}
	keys, err := trust.LogKeys()
	if err != nil {
		return err
	}
	lock, err := keep.OpenLock(ctx, under(dir, h.Config.LockFile))
	if err != nil {
		return err
	}
	signed, _, err := lock.Load(ctx)
	if err := errors.Join(err, lock.Close()); err != nil {
		return err
	}
	last, err := custody.OpenOwn(signed, keys.For(signed))
	if err != nil {
		return fmt.Errorf("the last checkpoint of the log: %w", err)
	}
	to, err := note.NewSigner(secret)
	if err != nil {
		return fmt.Errorf("%s.next: %w", logKey, err)
	}
	succession, err := (&custody.Succession{Checkpoint: last.Checkpoint, To: public}).Sign(k.log, to)
	if err != nil {
		return err
	}
	trust.Successions = append(trust.Successions, string(succession))
	b, err := trust.Marshal()
	if err == nil {
		_, err = custody.ParseTrust(b)
	}
	if err != nil {
		return err
	}
	path := filepath.Join(dir, trustFile)
	if err := os.Remove(path + ".next"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(path+".next", b); err != nil {
		return err
	}
	return errors.Join(os.Rename(path+".next", path), syncDir(dir))
}

// recordKeys puts on record by which successions keys of the log gave way.
func (h *House) recordKeys(ctx context.Context) error {
	known, err := h.guard.Successions(ctx)
	if err != nil {
		return err
	}
	if len(known) > len(h.Trust.Successions) {
		return fmt.Errorf("%s has %d successions of the log's key, and %d are on record: it is an old one", trustFile, len(h.Trust.Successions), len(known))
	}
	for _, s := range h.Trust.Successions[len(known):] {
		if _, err := h.guard.Attest(ctx, "", &custody.ReplaceLogKey{Succession: s}); err != nil {
			return err
		}
	}
	return nil
}
