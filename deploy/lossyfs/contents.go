package lossyfs

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
)

// sector is the number of bytes that a disk writes whole or not at all.
const sector = 512

// contents is what the disk holds of a file whose latest bytes no fsync has
// confirmed.
type contents struct {
	file *os.File         // the backing file, open for as long as this is needed
	size int64            // its confirmed length
	old  map[int64][]byte // confirmed sectors that were written over, by number
}

// openContents begins to remember the file that fd is open on. The file is
// opened anew, so that it outlives its name and its other users.
func openContents(fd int) (*contents, error) {
	file, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &contents{file: file, size: info.Size(), old: map[int64][]byte{}}, nil
}

// save remembers the confirmed sectors that lie in the bytes from start to end,
// before these are written over or cut off.
func (c *contents) save(start, end int64) error {
	end = min(end, c.size)
	for n := start / sector; n*sector < end; n++ {
		if _, known := c.old[n]; known {
			continue
		}
		b := make([]byte, min(sector, c.size-n*sector))
		if _, err := c.file.ReadAt(b, n*sector); err != nil && err != io.EOF {
			return err
		}
		c.old[n] = b
	}
	return nil
}

func loseContents(files map[uint64]*contents, chance *rand.Rand) error {
	var errs []error
	for _, number := range slices.Sorted(maps.Keys(files)) {
		errs = append(errs, files[number].lose(chance))
	}
	return errors.Join(errs...)
}

// lose brings the file back to its confirmed length and sectors, or to
// something between that and its present state.
func (c *contents) lose(chance *rand.Rand) error {
	info, err := c.file.Stat()
	if err != nil {
		return err
	}
	now, end := info.Size(), c.size
	switch {
	case now > c.size: // grown, perhaps in part
		end = min(now, c.size+upTo(chance, (now-c.size+sector-1)/sector)*sector)
	case now < c.size && upTo(chance, 1) == 1: // cut off, and that was kept
		end = now
	}
	for _, n := range slices.Sorted(maps.Keys(c.old)) {
		cut := n*sector+int64(len(c.old[n])) > now
		if !cut && upTo(chance, 1) == 1 {
			continue
		}
		if _, err := c.file.WriteAt(c.old[n], n*sector); err != nil {
			return err
		}
	}
	if err := c.file.Truncate(end); err != nil {
		return err
	}
	return c.loseGrowth(end, chance)
}

// loseGrowth empties some of the sectors between the confirmed length and end:
// the length had reached the disk, they had not.
func (c *contents) loseGrowth(end int64, chance *rand.Rand) error {
	for start := c.size; start < end; {
		next := min(end, (start/sector+1)*sector)
		if upTo(chance, 1) == 0 {
			if _, err := c.file.WriteAt(make([]byte, next-start), start); err != nil {
				return err
			}
		}
		start = next
	}
	return nil
}
