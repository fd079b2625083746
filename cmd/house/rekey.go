package house

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/forensic-custody/custody/custody"
)

// Rekey gives the service in a folder, which must not run, a new key for what it
// says, and returns that key's name. The old key enrols the new one and the new one
// revokes the old, both on record; what the old one signed stays valid.
//
// Interrupted, Rekey goes on where it was when it is called again: the new key
// waits beside the old one until it is enrolled, and when it has taken its place
// the service's other live keys are revoked.
func Rekey(ctx context.Context, dir string, logger *slog.Logger) (custody.KeyID, error) {
	next := filepath.Join(dir, serviceKey+".next")
	own, others, err := serviceKeys(ctx, dir, logger, nil)
	if err != nil {
		return own, err
	}
	if _, err := os.Stat(next); errors.Is(err, fs.ErrNotExist) {
		if len(others) > 0 { // an earlier call ended before it revoked them
			return own, revokeOthers(ctx, dir, logger)
		}
		b, err := newServiceKey()
		if err != nil {
			return own, err
		}
		if err := writeNew(next, b); err != nil {
			return own, err
		}
	} else if err != nil {
		return own, err
	}
	signer, err := readServiceKey(next)
	if err != nil {
		return own, err
	}
	if _, _, err := serviceKeys(ctx, dir, logger, signer); err != nil {
		return own, err
	}
	if err := errors.Join(os.Rename(next, filepath.Join(dir, serviceKey)), syncDir(filepath.Dir(next))); err != nil {
		return own, err
	}
	return signer.Public().ID(), revokeOthers(ctx, dir, logger)
}

// serviceKeys returns the key that the service has, and its other live ones. With
// next it has that enrolled first, unless it is.
func serviceKeys(ctx context.Context, dir string, logger *slog.Logger, next custody.Signer) (own custody.KeyID, others []custody.KeyID, err error) {
	err = within(ctx, dir, logger, func(h *House) error {
		own, others, err = h.guard.ServiceKeys(ctx)
		if err != nil || next == nil {
			return err
		}
		id := next.Public().ID()
		for _, k := range others {
			if k == id {
				return nil
			}
		}
		proof, err := custody.ProvePossession(next, h.Config.Origin, string(h.guard.ServiceID()))
		if err != nil {
			return err
		}
		_, err = h.guard.Attest(ctx, "change of the service's key", &custody.EnrolKey{Key: next.Public().Bytes(), Possession: proof})
		return err
	})
	return own, others, err
}

// revokeOthers has the service revoke all its keys but the one that it has.
func revokeOthers(ctx context.Context, dir string, logger *slog.Logger) error {
	return within(ctx, dir, logger, func(h *House) error {
		_, others, err := h.guard.ServiceKeys(ctx)
		for _, k := range others {
			if err == nil {
				_, err = h.guard.Attest(ctx, "change of the service's key", &custody.RevokeKey{Key: k, Principal: h.guard.ServiceID()})
			}
		}
		return err
	})
}

// within opens the service in a folder for as long as do takes.
func within(ctx context.Context, dir string, logger *slog.Logger, do func(*House) error) error {
	h, err := Open(ctx, dir, logger)
	if err != nil {
		return err
	}
	return errors.Join(do(h), h.Close())
}

func newServiceKey() ([]byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// readServiceKey reads the key that the service signs its statements with.
func readServiceKey(path string) (custody.Signer, error) {
	b, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM", path)
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := private.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: not an Ed25519 key", path)
	}
	return custody.NewSigner(key)
}
