package house

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"github.com/forensic-custody/custody/custody"
)

// keys are the service's own: for statements, for checkpoints, for the data
// keys of incidents, for the rows of its database. They lie in files of mode 0600, since the service starts
// without anybody at hand.
type keys struct {
	service  custody.Signer
	log      note.Signer
	verifier note.Verifier
	logKey   string // verifier key of the log
	storage  *age.X25519Identity
	rows     [32]byte // marks the rows of the records database
}

// makeKeys makes new keys in the folder.
func makeKeys(dir, origin string) error {
	if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(serviceKey)), 0o700); err != nil {
		return err
	}
	service, err := newServiceKey()
	if err != nil {
		return err
	}
	logSecret, logPublic, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return err
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	var rows [32]byte
	if _, err := rand.Read(rows[:]); err != nil {
		return err
	}
	return errors.Join(
		writeNew(filepath.Join(dir, serviceKey), service),
		writeNew(filepath.Join(dir, logKey), []byte(logSecret+"\n"+logPublic+"\n")),
		writeNew(filepath.Join(dir, storageKey), []byte(identity.String()+"\n")),
		writeNew(filepath.Join(dir, rowKey), []byte(hex.EncodeToString(rows[:])+"\n")),
	)
}

func readKeys(dir string) (*keys, error) {
	k := new(keys)
	var err error
	if k.service, err = readServiceKey(filepath.Join(dir, serviceKey)); err != nil {
		return nil, err
	}
	text, err := readSecret(filepath.Join(dir, logKey))
	if err != nil {
		return nil, err
	}
	secret, public, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	k.logKey = public
	if k.log, err = note.NewSigner(secret); err != nil {
		return nil, fmt.Errorf("%s: %w", logKey, err)
	}
	if k.verifier, err = note.NewVerifier(public); err != nil {
		return nil, fmt.Errorf("%s: %w", logKey, err)
	}
	if k.storage, err = readIdentity(filepath.Join(dir, storageKey)); err != nil {
		return nil, err
	}
	text, err = readSecret(filepath.Join(dir, rowKey))
	if err != nil {
		return nil, err
	}
	rows, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(rows) != len(k.rows) {
		return nil, fmt.Errorf("%s: not 64 hexadecimal digits", rowKey)
	}
	copy(k.rows[:], rows)
	return k, nil
}

// readSecret reads a file that nobody else may read.
func readSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others: chmod 600 it, and ask who has read it", path)
	}
	return os.ReadFile(path)
}

// writeNew writes a file that must not exist, mode 0600, durable with its
// folder's next sync.
func writeNew(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is there already", path)
		}
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close(), syncDir(filepath.Dir(path)))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
