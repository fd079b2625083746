package lossyfs

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// A journal holds the changes of names that no fsync of their directory has
// confirmed, oldest first.
type journal struct {
	changes []change
	held    string         // folder of the inodes that undoing would bring back, named by number
	users   map[uint64]int // how many changes need each of them
}

// A change is one operation on the names of one directory.
type change struct {
	dir    uint64 // the directory's inode
	path   string // and its place in the backing folder
	before []entry
}

// An entry says what a name stood for.
type entry struct {
	name  string
	inode uint64 // 0: nothing
}

// inode returns the number of the inode at path, 0 if there is none.
func inode(path string) (number uint64, isDir bool, err error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	return info.Sys().(*syscall.Stat_t).Ino, info.IsDir(), nil
}

// begin notes what the names in the directory at path stand for, and holds on
// to it. The change counts once it is given to commit; else it goes to release.
func (j *journal) begin(path string, names ...string) (change, error) {
	dir, _, err := inode(path)
	if err != nil {
		return change{}, err
	}
	c := change{dir: dir, path: path}
	for _, name := range names {
		number, err := j.hold(filepath.Join(path, name))
		if err != nil {
			j.release(c)
			return change{}, err
		}
		c.before = append(c.before, entry{name, number})
	}
	return c, nil
}

func (j *journal) commit(c change) { j.changes = append(j.changes, c) }

// hold keeps the inode at path from being freed. A file gets one more link; a
// directory is moved to its place by whoever removes it.
func (j *journal) hold(path string) (uint64, error) {
	number, isDir, err := inode(path)
	if err != nil || number == 0 {
		return 0, err
	}
	if j.users[number] == 0 && !isDir {
		if err := os.Link(path, j.place(number)); err != nil {
			return 0, err
		}
	}
	j.users[number]++
	return number, nil
}

// place is where the inode is held.
func (j *journal) place(number uint64) string {
	return filepath.Join(j.held, strconv.FormatUint(number, 10))
}

// release lets go of what c holds. What nothing needs any more is removed; with
// a directory go the unconfirmed changes inside it.
func (j *journal) release(c change) {
	for _, e := range c.before {
		if e.inode == 0 {
			continue
		}
		if j.users[e.inode]--; j.users[e.inode] > 0 {
			continue
		}
		delete(j.users, e.inode)
		if os.Remove(j.place(e.inode)) == nil {
			j.confirm(e.inode)
		}
	}
}

// confirm makes the changes in a directory durable.
func (j *journal) confirm(dir uint64) {
	var rest, confirmed []change
	for _, c := range j.changes {
		if c.dir == dir {
			confirmed = append(confirmed, c)
		} else {
			rest = append(rest, c)
		}
	}
	j.changes = rest
	for _, c := range confirmed {
		j.release(c)
	}
}

// lose undoes the changes, newest first, but for the first few of each
// directory.
func (j *journal) lose(chance *rand.Rand) error {
	total := map[uint64]int64{}
	order := []uint64{}
	for _, c := range j.changes {
		if total[c.dir]++; total[c.dir] == 1 {
			order = append(order, c.dir)
		}
	}
	surviving := map[uint64]int64{}
	for _, dir := range order {
		surviving[dir] = upTo(chance, total[dir])
	}
	var errs []error
	for i := len(j.changes) - 1; i >= 0; i-- {
		c := j.changes[i]
		if total[c.dir]--; total[c.dir] >= surviving[c.dir] {
			errs = append(errs, j.undo(c))
		}
	}
	return errors.Join(errs...)
}

// undo gives the names of a change back their former meaning. A directory that
// has itself gone stays gone.
func (j *journal) undo(c change) error {
	if dir, _, err := inode(c.path); err != nil || dir != c.dir {
		return err
	}
	for _, e := range c.before {
		if err := j.restore(filepath.Join(c.path, e.name), e.inode); err != nil {
			return err
		}
	}
	return nil
}

func (j *journal) restore(path string, number uint64) error {
	if err := os.RemoveAll(path); err != nil || number == 0 {
		return err
	}
	_, isDir, err := inode(j.place(number))
	if err != nil {
		return err
	}
	if isDir {
		return os.Rename(j.place(number), path)
	}
	return os.Link(j.place(number), path)
}
