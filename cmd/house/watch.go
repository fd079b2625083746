package house

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/storage"
)

// watched is a bucket that knows whether the store accepts the service's
// credentials, and says so once when that changes.
type watched struct {
	storage.Bucket
	renew  func() // has the credentials read again
	logger *slog.Logger

	mu     sync.Mutex
	denied map[string]error // by what was asked for
}

func watch(b storage.Bucket, renew func(), logger *slog.Logger) *watched {
	return &watched{Bucket: b, renew: renew, logger: logger, denied: map[string]error{}}
}

// errDenied is what a client may know of it.
var errDenied = errors.New("the store does not accept the service's credentials, which an operator has to put right")

// Ready returns an error while the store refuses something.
func (w *watched) Ready() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.denied) > 0 {
		return guard.Stopped{Why: errDenied.Error(), Cause: errDenied}
	}
	return nil
}

// noted notes how the store answered.
func (w *watched) noted(ctx context.Context, what string, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := len(w.denied)
	switch {
	case errors.Is(err, storage.ErrDenied):
		w.denied[what] = err
		w.renew()
		if before == 0 {
			w.logger.ErrorContext(ctx, "THE STORE REFUSES THE SERVICE: nothing is taken in, read or locked. "+
				"Put the right keys into the files that accessKeyFile and secretKeyFile of config.json name, or give the old ones their rights back; the service tries again by itself",
				"refused", what, "error", err)
		}
	case err == nil && w.denied[what] != nil:
		delete(w.denied, what)
		if len(w.denied) == 0 {
			w.logger.InfoContext(ctx, "the store accepts the service again")
		}
	}
	return err
}

// look tries again whether the store accepts the service, for as long as it does
// not: nobody else may ask it for anything.
func (w *watched) look(ctx context.Context) {
	if w.Ready() == nil {
		return
	}
	err := w.List(ctx, "probe/", func(storage.Object) error { return nil })
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for what := range w.denied { // whether it has each right is seen when it is used
		delete(w.denied, what)
	}
	w.logger.InfoContext(ctx, "the store accepts the service again")
}

// Put implements storage.Bucket.
func (w *watched) Put(ctx context.Context, key string, data []byte) (string, error) {
	version, err := w.Bucket.Put(ctx, key, data)
	return version, w.noted(ctx, "put", err)
}

// Replace implements storage.Bucket.
func (w *watched) Replace(ctx context.Context, key string, data []byte) (string, error) {
	version, err := w.Bucket.Replace(ctx, key, data)
	return version, w.noted(ctx, "put", err)
}

// Get implements storage.Bucket.
func (w *watched) Get(ctx context.Context, key, version string, buf []byte) (int, error) {
	n, err := w.Bucket.Get(ctx, key, version, buf)
	return n, w.noted(ctx, "get", err)
}

// Stat implements storage.Bucket.
func (w *watched) Stat(ctx context.Context, key, version string) (storage.Object, error) {
	o, err := w.Bucket.Stat(ctx, key, version)
	return o, w.noted(ctx, "look up", err)
}

// List implements storage.Bucket.
func (w *watched) List(ctx context.Context, prefix string, yield func(storage.Object) error) error {
	return w.noted(ctx, "list", w.Bucket.List(ctx, prefix, yield))
}

// Versions implements storage.Bucket.
func (w *watched) Versions(ctx context.Context, prefix string, yield func(storage.Object) error) error {
	return w.noted(ctx, "list versions", w.Bucket.Versions(ctx, prefix, yield))
}

// Folders implements storage.Bucket.
func (w *watched) Folders(ctx context.Context, prefix string, yield func(string) error) error {
	return w.noted(ctx, "list folders", w.Bucket.Folders(ctx, prefix, yield))
}

// Delete implements storage.Bucket.
func (w *watched) Delete(ctx context.Context, key, version string) error {
	return w.noted(ctx, "delete", w.Bucket.Delete(ctx, key, version))
}

// Retain implements storage.Bucket.
func (w *watched) Retain(ctx context.Context, key, version string, until time.Time) error {
	return w.noted(ctx, "lock", w.Bucket.Retain(ctx, key, version, until))
}

// Hold implements storage.Bucket.
func (w *watched) Hold(ctx context.Context, key, version string, on bool) error {
	return w.noted(ctx, "hold", w.Bucket.Hold(ctx, key, version, on))
}
