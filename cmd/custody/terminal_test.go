package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// seated is a command at a terminal of its own.
type seated struct {
	*exec.Cmd
	keys, screen *os.File // the terminal's two ends
	shown        lockedBuffer
}

// sit starts a command at a terminal.
func sit(t *testing.T, home string, args ...string) *seated {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	screen, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	s := &seated{Cmd: exec.Command(os.Args[0], args...), keys: keys, screen: screen}
	s.Env = append(os.Environ(), asProgram+"=1", "CUSTODY_HOME="+home)
	s.Stdin, s.Stdout, s.Stderr = screen, screen, screen
	s.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, s.Start())
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := keys.Read(b)
			_, _ = s.shown.Write(b[:n])
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = s.Process.Kill()
		_ = keys.Close()
		_ = screen.Close()
	})
	return s
}

func (s *seated) asked(t *testing.T, what string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(s.shown.String(), what) }, patience, 5*time.Millisecond)
}

// left returns the exit code of a command that ends.
func (s *seated) left(t *testing.T) int {
	t.Helper()
	ended := make(chan struct{})
	go func() { _ = s.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatalf("it does not end:\n%s", s.shown.String())
	}
	return s.ProcessState.ExitCode()
}

func (s *seated) echoes(t *testing.T) bool {
	t.Helper()
	is, err := unix.IoctlGetTermios(int(s.screen.Fd()), unix.TCGETS)
	require.NoError(t, err)
	return is.Lflag&unix.ECHO != 0
}

// TestInterruptedAtAQuestion: whoever is asked can leave, and his terminal shows
// again what he types.
func TestInterruptedAtAQuestion(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	file := filepath.Join(t.TempDir(), "a")
	image(t, file, 1000)
	secret := []string{"key", "new", "--server", d.url, "--trust", filepath.Join(d.dir, "trust.json"), "--name", "Zoe", "--title", "x", "--contact", "x"}
	for name, leave := range map[string]func(s *seated) error{
		"Ctrl-C":  func(s *seated) error { _, err := s.keys.Write([]byte{3}); return err },
		"SIGTERM": func(s *seated) error { return s.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			s := sit(t, d.eve, "evidence", "add", file)
			s.asked(t, "incident")
			require.NoError(t, leave(s))
			require.Equal(t, exitInterrupted, s.left(t))

			s = sit(t, t.TempDir(), secret...)
			s.asked(t, "passphrase")
			require.Eventually(t, func() bool { return !s.echoes(t) }, patience, time.Millisecond)
			require.NoError(t, leave(s))
			require.Equal(t, exitInterrupted, s.left(t))
			require.True(t, s.echoes(t))
			require.False(t, bytes.Contains([]byte(s.shown.String()), []byte("differ")))
		})
	}
}
