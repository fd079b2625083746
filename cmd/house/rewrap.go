package house

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/forensic-custody/custody/storage"
	"github.com/forensic-custody/custody/storage/archive"
)

// Rewrap gives the service in a folder, which must not run, a new identity for
// the keys of evidence, and wraps the keys of every incident for it and for the
// escrows of the configuration. No evidence is read or written. escrow is the
// path of an escrow's age identity, to use where the service's own is lost; empty
// where it is there. It returns how many incidents it wrapped anew.
//
// The new identity takes the old one's place when every incident is wrapped for
// it; interrupted before, Rewrap goes on where it was when it is called again.
func Rewrap(ctx context.Context, dir, escrow string) (int, error) {
	c, err := readConfig(dir)
	if err != nil {
		return 0, err
	}
	h := &House{Config: c, dir: dir, now: time.Now, logger: slog.New(slog.DiscardHandler)}
	n, err := h.rewrap(ctx, dir, escrow)
	return n, errors.Join(err, h.Close())
}

func (h *House) rewrap(ctx context.Context, dir, escrow string) (int, error) {
	if err := h.lock(dir); err != nil {
		return 0, err
	}
	current, next := filepath.Join(dir, storageKey), filepath.Join(dir, storageKey+".next")
	if _, err := os.Stat(next); errors.Is(err, fs.ErrNotExist) {
		identity, err := age.GenerateX25519Identity()
		if err != nil {
			return 0, err
		}
		if err := writeNew(next, []byte(identity.String()+"\n")); err != nil {
			return 0, err
		}
	}
	identity, err := readIdentity(next)
	if err != nil {
		return 0, err
	}
	bucket, _, err := h.bucket(dir)
	if err != nil {
		return 0, err
	}
	recipients, err := h.recipients(identity)
	if err != nil {
		return 0, err
	}
	vault, err := storage.New(storage.Config{Bucket: bucket, Identity: identity, Recipients: recipients})
	if err != nil {
		return 0, err
	}
	old := current
	if escrow != "" {
		old = escrow
	}
	n, err := wrapAnew(ctx, vault, current, escrow)
	if err == nil {
		err = wrapArchive(ctx, &archive.Archive{Bucket: bucket, Recipients: recipients, Identity: identity, Now: time.Now}, old)
	}
	if err != nil {
		return n, fmt.Errorf("%d incidents are wrapped anew, not all; the service still has its old key: %w", n, err)
	}
	return n, errors.Join(os.Rename(next, current), syncDir(filepath.Dir(current)))
}

func wrapAnew(ctx context.Context, vault *storage.Vault, current, escrow string) (int, error) {
	if escrow != "" {
		identity, err := readIdentity(escrow)
		if err != nil {
			return 0, err
		}
		return vault.Recover(ctx, identity)
	}
	old, err := readIdentity(current)
	if err != nil {
		return 0, fmt.Errorf("%w; where it is lost, give an escrow's identity", err)
	}
	return vault.Rewrap(ctx, old)
}

// wrapArchive encrypts the openings of archived records anew; the identity at
// the path old opens them.
func wrapArchive(ctx context.Context, a *archive.Archive, old string) error {
	identity, err := readIdentity(old)
	if err != nil {
		return err
	}
	return a.Rewrap(ctx, identity)
}

// recipients returns for whom the keys of incidents are wrapped.
func (h *House) recipients(own *age.X25519Identity) ([]age.Recipient, error) {
	list := []age.Recipient{own.Recipient()}
	for _, text := range h.Config.Escrow {
		r, err := age.ParseX25519Recipient(text)
		if err != nil {
			return nil, fmt.Errorf("escrow %.80q: %w", text, err)
		}
		list = append(list, r)
	}
	return list, nil
}

// readIdentity reads an age identity from a file that nobody else may read.
func readIdentity(path string) (*age.X25519Identity, error) {
	text, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		identity, err := age.ParseX25519Identity(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return identity, nil
	}
	return nil, fmt.Errorf("%s holds no age identity", path)
}
