package guard

import "context"

// Sweep does at once what is done every half minute.
func (g *Guard) Sweep(ctx context.Context) error { return g.sweep(ctx, nil) }
