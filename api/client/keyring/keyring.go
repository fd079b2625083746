// Package keyring is a person's own key: in a file under a passphrase, or in
// an ssh-agent, which never gives it away.
//
// It promises that a private key is on disk only encrypted (scrypt and NaCl
// secretbox, as sigstore's tools do it), in a file that nobody else may read.
//
// Begin reading at New, Open and Agent.
package keyring

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/forensic-custody/custody/custody"
)

// The kinds of key that New makes.
const (
	Ed25519 = "ed25519"
	P256    = "p256"
)

// leastPassphrase is the shortest passphrase in bytes that New takes.
const leastPassphrase = 8

// ErrPassphrase says that a passphrase does not open a key.
var ErrPassphrase = errors.New("wrong passphrase")

// New makes a key of a kind and writes it to a file that must not exist,
// encrypted under the passphrase.
func New(path, kind string, passphrase []byte) (custody.Signer, error) {
	if len(passphrase) < leastPassphrase {
		return nil, fmt.Errorf("the passphrase is shorter than %d bytes", leastPassphrase)
	}
	var key crypto.Signer
	var err error
	switch kind {
	case Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case P256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		err = fmt.Errorf("key type %q is neither %q nor %q", kind, Ed25519, P256)
	}
	if err != nil {
		return nil, err
	}
	der, err := cryptoutils.MarshalPrivateKeyToEncryptedDER(key, cryptoutils.StaticPasswordFunc(passphrase))
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: string(cryptoutils.EncryptedSigstorePrivateKeyPEMType), Bytes: der})
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s is there already; a key is never overwritten", path)
	}
	if err != nil {
		return nil, err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	return custody.NewSigner(key)
}

// Open reads a key that New wrote. passphrase is asked only when the file is
// there and readable by nobody else.
func Open(path string, passphrase func() ([]byte, error)) (custody.Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others: chmod 600 it, and consider the key stolen if somebody did", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	secret, err := passphrase()
	if err != nil {
		return nil, err
	}
	key, err := cryptoutils.UnmarshalPEMToPrivateKey(text, cryptoutils.StaticPasswordFunc(secret))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, ErrPassphrase)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s holds no signing key", path)
	}
	return custody.NewSigner(signer)
}

// Agent finds a key in the ssh-agent at a socket: the one with this name, or
// with the zero name the only one that can be used.
func Agent(ctx context.Context, socket string, id custody.KeyID) (custody.Signer, error) {
	if socket == "" {
		return nil, errors.New("no ssh-agent: SSH_AUTH_SOCK is not set")
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("ssh-agent: %w", err)
	}
	found, err := find(agent.NewClient(conn), id)
	if err != nil {
		return nil, fmt.Errorf("ssh-agent: %w", errors.Join(err, conn.Close()))
	}
	return found, nil // which needs the connection for as long as the program runs
}

// find chooses the agent's key.
func find(a agent.Agent, id custody.KeyID) (custody.Signer, error) {
	list, err := a.List()
	if err != nil {
		return nil, err
	}
	var found []agentSigner
	for _, k := range list {
		public, err := publicKey(k)
		if err != nil {
			continue // of a kind that is not used here
		}
		if id.IsZero() || public.ID() == id {
			found = append(found, agentSigner{a, k, public})
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, errors.New("it has no such key; add it with ssh-add")
	default:
		return nil, errors.New("it has several keys; name one by its id")
	}
}

func publicKey(k *agent.Key) (custody.PublicKey, error) {
	parsed, err := ssh.ParsePublicKey(k.Blob)
	if err != nil {
		return custody.PublicKey{}, err
	}
	c, ok := parsed.(ssh.CryptoPublicKey)
	if !ok {
		return custody.PublicKey{}, errors.New("not a plain key")
	}
	return custody.NewPublicKey(c.CryptoPublicKey())
}

type agentSigner struct {
	agent  agent.Agent
	key    *agent.Key
	public custody.PublicKey
}

func (s agentSigner) Public() custody.PublicKey { return s.public }

// Sign implements custody.Signer. An agent's Ed25519 signature is the plain
// one; its ECDSA signature is two SSH integers (RFC 5656, section 3.1.2).
func (s agentSigner) Sign(message []byte) ([]byte, error) {
	sig, err := s.agent.Sign(s.key, message)
	if err != nil {
		return nil, fmt.Errorf("ssh-agent: %w", err)
	}
	b := sig.Blob
	if sig.Format == ssh.KeyAlgoECDSA256 {
		var rs struct{ R, S *big.Int }
		if err := ssh.Unmarshal(b, &rs); err != nil {
			return nil, fmt.Errorf("ssh-agent: %w", err)
		}
		if b, err = asn1.Marshal(rs); err != nil {
			return nil, err
		}
	}
	if err := s.public.Verify(message, b); err != nil {
		return nil, fmt.Errorf("ssh-agent: %w", err)
	}
	return bytes.Clone(b), nil
}
