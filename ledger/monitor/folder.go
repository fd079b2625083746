package monitor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/custody"
)

// Monitor follows one log. It is for one goroutine, and its folder for one process.
type Monitor struct {
	trust  *custody.Trust
	dir    string
	lock   *os.File
	leaves *leaves
	seen   custody.Checkpoint // the last that was verified; of size 0 before there is one
	signed []byte
}

// The files of a monitor's folder.
const (
	checkpointFile = "checkpoint" // signed; says how many of the leaves were verified
	leavesFile     = "leaves"     // 65 bytes each
	logFile        = "log"        // verifier key of the log that is followed
	lockFile       = "process.lock"
)

// Open opens the monitor in a folder, made where there is none. What it saw before
// is held against its leaves: ErrAltered where they are not those any more.
func Open(dir string, trust *custody.Trust) (*Monitor, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	m := &Monitor{trust: trust, dir: dir, lock: lock, seen: custody.Checkpoint{Origin: trust.Origin, Root: custody.Hash(nil)}}
	if err := m.open(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// ErrAltered says that the monitor's own folder is not as it left it.
var ErrAltered = errors.New("the monitor's folder was altered")

func (m *Monitor) open() error {
	if err := unix.Flock(int(m.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("%s is in use by another process: stop that one first", m.dir)
	}
	of, err := os.ReadFile(filepath.Join(m.dir, logFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := m.write(logFile, []byte(m.trust.Log)); err != nil {
			return err
		}
	case err != nil:
		return err
	case string(of) != m.trust.Log:
		return fmt.Errorf("%s follows the log %.200q, and the trust file is of %q: take another folder", m.dir, of, m.trust.Log)
	}
	m.signed, err = os.ReadFile(filepath.Join(m.dir, checkpointFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		c, err := m.trust.OpenCheckpoint(m.signed)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrAltered, checkpointFile, err)
		}
		m.seen = c.Checkpoint
	}
	if m.leaves, err = openLeaves(filepath.Join(m.dir, leavesFile), m.seen.Size); err != nil {
		return fmt.Errorf("%w: %w", ErrAltered, err)
	}
	if len(m.signed) > 0 && m.root() != m.seen.Root {
		return fmt.Errorf("%w: %s does not make the root of %s", ErrAltered, leavesFile, checkpointFile)
	}
	return nil
}

func (m *Monitor) root() custody.Digest {
	root, err := rootOf(m.leaves.tree)
	if err != nil {
		return custody.Digest{} // nobody's
	}
	return root
}

// keep makes a checkpoint the one that was seen last: first its leaves are durable,
// then it takes the other one's place.
func (m *Monitor) keep(c custody.Checkpoint, signed []byte) error {
	if err := m.leaves.file.Sync(); err != nil {
		return err
	}
	if err := m.write(checkpointFile, signed); err != nil {
		return err
	}
	m.seen, m.signed = c, signed
	return nil
}

// write puts a file in the place of another, durably.
func (m *Monitor) write(name string, b []byte) error {
	next := filepath.Join(m.dir, name+".next")
	f, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(next, filepath.Join(m.dir, name)); err != nil {
		return err
	}
	d, err := os.Open(m.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// alarm notes something that must not be, and keeps what proves it.
func (m *Monitor) alarm(r *Report, proof any, format string, args ...any) error {
	a := Alarm{What: fmt.Sprintf(format, args...)}
	if proof != nil {
		b, err := custody.Encode(proof)
		if err != nil {
			return err
		}
		name := proofPrefix + custody.Hash(b).Hex()[:16] + ".json"
		if err := m.write(name, b); err != nil {
			return err
		}
		a.Proof = filepath.Join(m.dir, name)
	}
	r.Alarms = append(r.Alarms, a)
	return nil
}

// proofPrefix begins the names of what proves lies.
const proofPrefix = "proof-"

// remind says what was proven in earlier rounds.
func (m *Monitor) remind(r *Report) error {
	kept, err := filepath.Glob(filepath.Join(m.dir, proofPrefix+"*.json"))
	for _, path := range kept {
		r.Alarms = append(r.Alarms, Alarm{"an earlier round proved a lie: judge it, and move it away when it is explained", path})
	}
	return err
}

// Close gives the folder up.
func (m *Monitor) Close() error {
	err := m.lock.Close()
	if m.leaves != nil {
		err = errors.Join(err, m.leaves.file.Close())
	}
	return err
}
