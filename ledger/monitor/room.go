package monitor

import (
	"fmt"
	"math/bits"

	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/custody"
)

// Room says whether so many leaves have room in the file system that holds path, with a
// tenth of what is free left over. A log can sign any size, and serve leaves without
// end: what is asked for before the first one is fetched fills nobody's disk.
func Room(path string, leaves uint64) error {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return fmt.Errorf("see what is free in %s: %w", path, err)
	}
	free := s.Bavail * uint64(s.Bsize)
	over, need := bits.Mul64(leaves, custody.LeafSize)
	if over > 0 || need > free/10*9 {
		return fmt.Errorf("%d leaves of the log are to be fetched, of %d bytes each; %s has %d bytes free: make room if the log may be that large, and do not believe it if it may not", leaves, custody.LeafSize, path, free)
	}
	return nil
}
