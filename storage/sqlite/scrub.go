package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Truncate moves what is in the write-ahead log into the database file and
// empties the log, so that nothing old stays in it. It waits for readers, and
// fails when one stays for longer than they may keep a writer waiting.
func (db *DB) Truncate(ctx context.Context) error {
	var busy, frames, moved int
	if err := db.Write.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved); err != nil {
		return db.Explain(err)
	}
	if busy != 0 {
		return errors.New("the write-ahead log could not be emptied: somebody reads the database")
	}
	return nil
}

// Rewrite writes the whole database anew, so that nothing is left in it but what
// its rows hold, and empties the log. It needs room for two more copies, and
// nobody else writes meanwhile.
func (db *DB) Rewrite(ctx context.Context) error {
	if _, err := db.Write.ExecContext(ctx, "VACUUM"); err != nil {
		return db.Explain(err)
	}
	return db.Truncate(ctx)
}

// Holds says whether any of some strings of bytes is in one of the database's
// files, wherever in it.
func (db *DB) Holds(ctx context.Context, parts [][]byte) (bool, error) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		found, err := holds(ctx, db.path+suffix, parts)
		if errors.Is(err, os.ErrNotExist) && suffix != "" {
			continue
		}
		if err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// window is how much of a file is looked at once, in bytes.
const window = 1 << 20

func holds(ctx context.Context, path string, parts [][]byte) (found bool, err error) {
	longest := 0
	for _, p := range parts {
		longest = max(longest, len(p))
	}
	// Closing it takes no lock from SQLite, whose locks are those of its own open
	// files.
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf, kept := make([]byte, window+longest), 0
	for {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		n, err := io.ReadFull(f, buf[kept:])
		text := buf[:kept+n]
		for _, p := range parts {
			if bytes.Contains(text, p) {
				return true, nil
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("%s: %w", path, err)
		}
		kept = copy(buf, text[len(text)-longest:])
	}
}
