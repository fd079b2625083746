package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/forensic-custody/custody/custody"
)

// ErrKeysLost says that what cannot be had is an incident's keys: the file of
// them is missing, or does not open. It is ErrDamaged too.
var ErrKeysLost = errors.New("the incident's keys are lost")

// ErrWrongIdentity says that there are files of keys and the vault's identity
// opens none of them.
var ErrWrongIdentity = errors.New("the service's storage identity opens no incident's keys")

// isKeyFile says whether an object is a file of keys, to go by its name.
func isKeyFile(key string) bool {
	parts := strings.Split(key, "/")
	return len(parts) == 4 && parts[0] == "v1" && parts[2] == "k"
}

// Recognize returns nil when the vault's identity opens the keys of an incident,
// or says itself that they were destroyed, or when there are none yet, and
// ErrWrongIdentity when it opens none that there are. With a wrong identity every
// artifact would look damaged and none is. It reads until it has found one.
func (v *Vault) Recognize(ctx context.Context) error {
	var wrong error
	err := v.bucket.Folders(ctx, "v1/", func(name string) error {
		incident, err := custody.ParseIncidentID(name)
		if err != nil {
			return nil //nolint:nilerror // not this program's
		}
		_, _, err = v.loadKeys(ctx, incident, v.ring)
		switch {
		case err == nil, errors.Is(err, ErrShredded):
			return errRecognized
		case errors.Is(err, ErrDamaged):
			wrong = fmt.Errorf("%w: %w", ErrWrongIdentity, err)
		case !errors.Is(err, ErrNotFound):
			return err
		}
		return nil
	})
	switch {
	case errors.Is(err, errRecognized):
		return nil
	case err != nil:
		return fmt.Errorf("look at the keys of incidents: %w", err)
	}
	return wrong
}

var errRecognized = errors.New("recognized")
