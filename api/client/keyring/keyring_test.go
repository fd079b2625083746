package keyring_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/forensic-custody/custody/api/client/keyring"
	"github.com/forensic-custody/custody/custody"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const passphrase = "correct horse"

func says(s string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(s), nil }
}

// never is asked for a passphrase where none is to be asked for.
func never(t *testing.T) func() ([]byte, error) {
	return func() ([]byte, error) {
		t.Error("the passphrase was asked for")
		return nil, errors.New("not asked for")
	}
}

// requireSigns checks that a signer signs as the key that it says it is.
func requireSigns(t *testing.T, s custody.Signer) {
	t.Helper()
	for _, message := range [][]byte{nil, []byte("what was signed"), bytes.Repeat([]byte{7}, 100_000)} {
		sig, err := s.Sign(message)
		require.NoError(t, err)
		require.NoError(t, s.Public().Verify(message, sig))
		require.Error(t, s.Public().Verify(append(bytes.Clone(message), 1), sig))
	}
}

func TestRoundTrip(t *testing.T) {
	for kind, algorithm := range map[string]string{keyring.Ed25519: "Ed25519", keyring.P256: "ECDSA P-256 with SHA-256"} {
		t.Run(kind, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key.pem")
			made, err := keyring.New(path, kind, []byte(passphrase))
			require.NoError(t, err)
			require.Equal(t, algorithm, made.Public().Algorithm())
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), info.Mode())
			opened, err := keyring.Open(path, says(passphrase))
			require.NoError(t, err)
			require.Equal(t, made.Public().ID(), opened.Public().ID())
			requireSigns(t, opened)

			other, err := keyring.New(filepath.Join(t.TempDir(), "key.pem"), kind, []byte(passphrase))
			require.NoError(t, err)
			require.NotEqual(t, made.Public().ID(), other.Public().ID())
		})
	}
}

// TestFileTellsNothing without the passphrase.
func TestFileTellsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	_, err := keyring.New(path, keyring.Ed25519, []byte(passphrase))
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	block, rest := pem.Decode(text)
	require.Equal(t, "ENCRYPTED SIGSTORE PRIVATE KEY", block.Type)
	require.Empty(t, rest)
	require.Contains(t, string(block.Bytes), "scrypt")
	for _, wrong := range []string{"", passphrase + " "} {
		_, err := keyring.Open(path, says(wrong))
		require.ErrorIs(t, err, keyring.ErrPassphrase)
	}
	stop := errors.New("interrupted")
	_, err = keyring.Open(path, func() ([]byte, error) { return nil, stop })
	require.ErrorIs(t, err, stop)
}

// TestDamagedFile opens under no passphrase, and the right one helps nothing.
func TestDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	_, err := keyring.New(path, keyring.Ed25519, []byte(passphrase))
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	at := bytes.LastIndexByte(text[:len(text)-40], '\n') - 20
	text[at] = map[bool]byte{true: 'B', false: 'A'}[text[at] == 'A']
	require.NoError(t, os.WriteFile(path, text, 0o600))
	_, err = keyring.Open(path, says(passphrase))
	require.Error(t, err)
	for _, other := range []string{"", "no PEM", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}))} {
		require.NoError(t, os.WriteFile(path, []byte(other), 0o600))
		_, err = keyring.Open(path, says(passphrase))
		require.Error(t, err)
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key.pem")
	_, err := keyring.New(path, keyring.Ed25519, []byte("7 bytes"))
	require.ErrorContains(t, err, "shorter than 8")
	_, err = keyring.New(path, "rsa", []byte(passphrase))
	require.ErrorContains(t, err, `"rsa"`)
	require.NoFileExists(t, path)
	_, err = keyring.Open(path, never(t))
	require.ErrorIs(t, err, os.ErrNotExist)

	_, err = keyring.New(path, keyring.Ed25519, []byte(passphrase))
	require.NoError(t, err)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	_, err = keyring.New(path, keyring.Ed25519, []byte(passphrase))
	require.ErrorContains(t, err, "never overwritten")
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)

	for _, mode := range []os.FileMode{0o640, 0o604, 0o644, 0o620, 0o601} {
		require.NoError(t, os.Chmod(path, mode))
		_, err = keyring.Open(path, never(t))
		require.ErrorContains(t, err, "can be read by others", "%o", mode)
	}
	_, err = keyring.New(filepath.Join(dir, "nowhere", "key.pem"), keyring.Ed25519, []byte(passphrase))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// startAgent starts an ssh-agent, and returns its socket.
func startAgent(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"ssh-agent", "ssh-add", "ssh-keygen"} {
		_, err := exec.LookPath(program)
		require.NoError(t, err, "install openssh-client")
	}
	dir, err := os.MkdirTemp("", "agent") // a socket's path is short
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	socket := filepath.Join(dir, "s")
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "ssh-agent", "-D", "-a", socket)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // killed
	})
	require.Eventually(t, func() bool {
		c, err := new(net.Dialer).DialContext(t.Context(), "unix", socket)
		return err == nil && c.Close() == nil
	}, 10*time.Second, time.Millisecond)
	return socket
}

// add makes a key with ssh-keygen and gives it to the agent.
func add(t *testing.T, socket string, arguments ...string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	out, err := exec.CommandContext(t.Context(), "ssh-keygen", append([]string{"-q", "-N", "", "-f", path}, arguments...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	cmd := exec.CommandContext(t.Context(), "ssh-add", "-q", path)
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
	out, err = cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestAgent(t *testing.T) {
	socket := startAgent(t)
	_, err := keyring.Agent(t.Context(), socket, custody.KeyID{})
	require.ErrorContains(t, err, "no such key")

	add(t, socket, "-t", "rsa", "-b", "2048") // of a kind that is not used here
	add(t, socket, "-t", "ecdsa", "-b", "384")
	_, err = keyring.Agent(t.Context(), socket, custody.KeyID{})
	require.ErrorContains(t, err, "no such key")

	add(t, socket, "-t", "ed25519")
	first, err := keyring.Agent(t.Context(), socket, custody.KeyID{})
	require.NoError(t, err)
	require.Equal(t, "Ed25519", first.Public().Algorithm())
	requireSigns(t, first)

	add(t, socket, "-t", "ecdsa", "-b", "256")
	_, err = keyring.Agent(t.Context(), socket, custody.KeyID{})
	require.ErrorContains(t, err, "several keys")
	again, err := keyring.Agent(t.Context(), socket, first.Public().ID())
	require.NoError(t, err)
	require.Equal(t, first.Public().ID(), again.Public().ID())
	_, err = keyring.Agent(t.Context(), socket, custody.KeyID{1})
	require.ErrorContains(t, err, "no such key")
}

// TestAgentECDSA: the agent's two integers become the DER that is signed with
// elsewhere, whether their first bit is set or not.
func TestAgentECDSA(t *testing.T) {
	socket := startAgent(t)
	add(t, socket, "-t", "ecdsa", "-b", "256")
	s, err := keyring.Agent(t.Context(), socket, custody.KeyID{})
	require.NoError(t, err)
	require.Equal(t, "ECDSA P-256 with SHA-256", s.Public().Algorithm())
	for range 20 {
		requireSigns(t, s)
	}
}

// TestAgentSignsStatements that verify like any other's.
func TestAgentSignsStatements(t *testing.T) {
	for _, arguments := range [][]string{{"-t", "ed25519"}, {"-t", "ecdsa", "-b", "256"}} {
		socket := startAgent(t)
		add(t, socket, arguments...)
		s, err := keyring.Agent(t.Context(), socket, custody.KeyID{})
		require.NoError(t, err)
		now := custody.TimeOf(time.Now())
		e, err := custody.Sign(s, custody.Header{
			Actor: "p-aaaaaaaaaaaaaaaa", Audience: "custody.example/test", Time: now, Expires: now.Add(time.Minute),
		}, &custody.OpenSession{Client: "a test"})
		require.NoError(t, err)
		require.NoError(t, e.Verify(s.Public()))
	}
}

func TestNoAgent(t *testing.T) {
	_, err := keyring.Agent(t.Context(), "", custody.KeyID{})
	require.ErrorContains(t, err, "SSH_AUTH_SOCK")
	_, err = keyring.Agent(t.Context(), filepath.Join(t.TempDir(), "none"), custody.KeyID{})
	require.ErrorContains(t, err, "ssh-agent")
}

// forger is an agent that signs something else than it is asked to.
type forger struct{ agent.Agent }

func (f forger) Sign(key ssh.PublicKey, _ []byte) (*ssh.Signature, error) {
	return f.Agent.Sign(key, []byte("I owe you a million"))
}

// TestLyingAgent: a signature is verified before it is used.
func TestLyingAgent(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	for name, key := range map[string]any{"ed25519": ed, "p256": ec} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "agent")
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
			l, err := new(net.ListenConfig).Listen(t.Context(), "unix", filepath.Join(dir, "s"))
			require.NoError(t, err)
			served := make(chan error, 1)
			var conn net.Conn
			go func() {
				var err error
				if conn, err = l.Accept(); err == nil {
					ring := agent.NewKeyring()
					err = errors.Join(ring.Add(agent.AddedKey{PrivateKey: key}), agent.ServeAgent(forger{ring}, conn))
				}
				served <- err
			}()
			s, err := keyring.Agent(t.Context(), l.Addr().String(), custody.KeyID{})
			require.NoError(t, err)
			_, err = s.Sign([]byte("what is to be signed"))
			require.ErrorContains(t, err, "ssh-agent")
			require.NoError(t, conn.Close())
			require.Error(t, <-served)
			require.NoError(t, l.Close())
		})
	}
}
