package custody

import "fmt"

// Lettered is an act whose record people call by a letter and a number, F-3: the third
// of that letter among the permitted records of the stream that it stands in. The
// number is no part of what is signed: whoever has the stream counts.
type Lettered interface {
	Act
	// Letter returns the letter.
	Letter() string
}

// Letters counts the records of a stream by their letters. The zero value cannot
// count; Letters{} can.
type Letters map[string]uint64

// Next takes in the stream's next permitted record, and returns the label of its act.
func (l Letters) Next(a Lettered) string {
	l[a.Letter()]++
	return fmt.Sprintf("%s-%d", a.Letter(), l[a.Letter()])
}
