package storage

import (
	"errors"
	"fmt"
	"sync"
)

// harm gathers the damage that is found while what can be done is done. Its methods
// may be called at once.
type harm struct {
	mu    sync.Mutex
	first []error
	more  int
}

// mostHarm is how many objects are named; of a bucket that is lost as a whole there
// would be millions.
const mostHarm = 16

// note takes err when it is damage, and returns it when it is not.
func (h *harm) note(err error) error {
	if err == nil || !errors.Is(err, ErrDamaged) {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.first) < mostHarm {
		h.first = append(h.first, err)
	} else {
		h.more++
	}
	return nil
}

// err returns all that was noted as one error; nil when there is none.
func (h *harm) err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := errors.Join(h.first...)
	if h.more > 0 {
		err = fmt.Errorf("%w\nand %d more", err, h.more)
	}
	return err
}
