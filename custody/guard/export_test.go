package guard

import (
	"context"
	"errors"
)

// Sweep does at once what is done every half minute.
func (g *Guard) Sweep(ctx context.Context) error {
	return errors.Join(g.sweep(ctx, nil), g.summarise(ctx, g.now().Add(-summaryEvery)))
}
