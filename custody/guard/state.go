package guard

import (
	"context"

	"github.com/forensic-custody/custody/custody"
)

// StateDigest names what the proven records of a store come to, by the folds of the
// guard itself: what a service that is opened upon it decides by. streams are all
// that the store has. A replay of the log has to arrive at the same.
func StateDigest(ctx context.Context, c Config, streams []custody.Stream) (custody.Digest, error) {
	f := newGuard(c).newFolds(true)
	var d custody.StateDigest
	for _, s := range streams {
		e, err := f.fold(ctx, s, false)
		if err != nil {
			return custody.Digest{}, err
		}
		d.Add(e.head, e.state, &e.erasures)
		delete(f.cache, s)
	}
	return d.Sum(), nil
}
