package sql

import "fmt"

// fixed is the place that a column of exactly 32 bytes is read into.
type fixed[T ~[32]byte] struct{ place *T }

func into[T ~[32]byte](place *T) fixed[T] { return fixed[T]{place} }

// Scan implements sql.Scanner.
func (f fixed[T]) Scan(v any) error {
	b, ok := v.([]byte)
	if !ok || len(b) != 32 {
		return fmt.Errorf("a value of type %T is not 32 bytes", v)
	}
	*f.place = T([32]byte(b))
	return nil
}
