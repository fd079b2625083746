package guard

import (
	"cmp"
	"slices"
)

// coverage says which places of an artifact were handed over: ranges in order
// that neither overlap nor touch. It may forget a range, and never makes one up,
// so that what it says is covered was handed over. The zero coverage is empty.
type coverage struct {
	ranges []Range
	forgot bool // a range that was handed over is not in ranges
}

// mostRanges bounds what one ticket can occupy, 16 KiB. A client that fetches
// pieces of an artifact side by side leaves a few holes at a time; only one that
// leaves a thousand reaches the bound.
const mostRanges = 1024

// add takes in a range that was handed over. It merges with those that it
// overlaps or touches. One that lies apart from all others is forgotten when
// there is no room for it.
func (c *coverage) add(r Range) {
	if r.Length == 0 {
		return
	}
	if r.end() < r.Offset {
		c.forgot = true
		return
	}
	from, _ := slices.BinarySearchFunc(c.ranges, r.Offset, func(have Range, offset uint64) int { return cmp.Compare(have.end(), offset) })
	to := from
	for to < len(c.ranges) && c.ranges[to].Offset <= r.end() {
		to++
	}
	if from == to && len(c.ranges) == mostRanges {
		c.forgot = true
		return
	}
	if from < to {
		begin, end := min(r.Offset, c.ranges[from].Offset), max(r.end(), c.ranges[to-1].end())
		r = Range{Offset: begin, Length: end - begin}
	}
	c.ranges = slices.Replace(c.ranges, from, to, r)
}

// whole says whether every byte of span was handed over. Of an empty span
// that is always so.
func (c *coverage) whole(span Range) bool {
	if span.Length == 0 {
		return true
	}
	i, _ := slices.BinarySearchFunc(c.ranges, span.Offset, func(have Range, offset uint64) int { return cmp.Compare(have.end(), offset+1) })
	return i < len(c.ranges) && c.ranges[i].Offset <= span.Offset && c.ranges[i].end() >= span.end()
}

// end returns the place after the last byte.
func (r Range) end() uint64 { return r.Offset + r.Length }
