package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/api/client/keyring"
	"github.com/forensic-custody/custody/custody"
)

// profile is what the program remembers of its user, in profile.json.
type profile struct {
	Server    string              `json:"server"`
	Principal custody.PrincipalID `json:"principal,omitempty"` // once enrolled
	Key       custody.KeyID       `json:"key"`
	Agent     bool                `json:"agent"` // the key is in ssh-agent
}

// The files of a person's home.
const (
	profileFile = "profile.json"
	keyFile     = "key.pem"
	homeTrust   = "trust.json"
	sessionFile = "session"
	requestFile = "enrolment.json"
)

// homeDir returns the folder of the user's own files.
func (a *app) homeDir() (string, error) {
	if a.home != "" {
		return a.home, nil
	}
	if dir := a.getenv("CUSTODY_HOME"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", usagef("no folder for your key: give --home (%v)", err)
	}
	return filepath.Join(dir, "custody"), nil
}

func (a *app) file(name string) (string, error) {
	dir, err := a.homeDir()
	return filepath.Join(dir, name), err
}

// writeFile replaces a file of the home, mode 0600.
func (a *app) writeFile(name string, b []byte) error {
	path, err := a.file(name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	next := path + ".new"
	if err := os.WriteFile(next, b, 0o600); err != nil { //nolint:gosec // in the folder that the user named
		return err
	}
	return os.Rename(next, path)
}

func (a *app) readFile(name string) ([]byte, error) {
	path, err := a.file(name)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

func (a *app) readProfile() (profile, error) {
	var p profile
	b, err := a.readFile(profileFile)
	if errors.Is(err, fs.ErrNotExist) {
		dir, _ := a.homeDir()
		return p, usagef("%s holds no key yet: make one with custody key new", dir)
	}
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(b, &p, json.RejectUnknownMembers(true)); err != nil {
		return p, fmt.Errorf("%s: %w", profileFile, err)
	}
	return p, nil
}

func (a *app) writeProfile(p profile) error {
	b, err := json.Marshal(p, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	return a.writeFile(profileFile, append(b, '\n'))
}

func (a *app) readTrust() (*custody.Trust, error) {
	b, err := a.readFile(homeTrust)
	if err != nil {
		return nil, err
	}
	return custody.ParseTrust(b)
}

// signer finds the user's key.
func (a *app) signer(ctx context.Context, p profile) (custody.Signer, error) {
	if p.Agent {
		return keyring.Agent(ctx, a.getenv("SSH_AUTH_SOCK"), p.Key)
	}
	path, err := a.file(keyFile)
	if err != nil {
		return nil, err
	}
	s, err := keyring.Open(path, func() ([]byte, error) { return a.secret("passphrase of "+path, false) })
	if errors.Is(err, keyring.ErrPassphrase) {
		return nil, fmt.Errorf("%w; nothing was sent", err)
	}
	return s, err
}

// asker signs with a key that is unlocked when it is first needed, so that
// reading under a session asks for no passphrase.
type asker struct {
	find   func() (custody.Signer, error)
	signer custody.Signer
	public custody.PublicKey
}

func (s *asker) unlock() error {
	if s.signer != nil {
		return nil
	}
	found, err := s.find()
	if err != nil {
		return err
	}
	s.signer, s.public = found, found.Public()
	return nil
}

// Public implements custody.Signer.
func (s *asker) Public() custody.PublicKey { return s.public }

// Sign implements custody.Signer.
func (s *asker) Sign(message []byte) ([]byte, error) {
	if err := s.unlock(); err != nil {
		return nil, err
	}
	return s.signer.Sign(message)
}

// dial returns a client for the user, who must be enrolled, once the log has shown
// that it goes on from what he saw of it last.
func (a *app) dial(ctx context.Context) (*client.Client, profile, error) {
	return a.dialFor(ctx, 0)
}

// dialFor is dial that tries again for as long as patience lasts, and so does the
// client from then on.
func (a *app) dialFor(ctx context.Context, patience time.Duration) (*client.Client, profile, error) {
	c, p, err := a.alone(ctx)
	if err == nil {
		c.Patience = patience
		err = a.follow(ctx, c)
	}
	return c, p, err
}

// alone is dial for who has no network yet: nobody is asked.
func (a *app) alone(ctx context.Context) (*client.Client, profile, error) {
	p, err := a.readProfile()
	if err != nil {
		return nil, p, err
	}
	if p.Principal == "" {
		return nil, p, usagef("you have not logged in yet: an administrator enrolls you by %s and says who you are, then custody login --principal p-…", requestFile)
	}
	c, err := a.client(ctx, p)
	return c, p, err
}

// memory is from how many bytes on a command of a person's collects its garbage
// whatever it costs: what it needs is less, whatever the size of what it moves.
const memory = 136 << 20

func (a *app) client(ctx context.Context, p profile) (*client.Client, error) {
	debug.SetMemoryLimit(memory)
	trust, err := a.readTrust()
	if err != nil {
		return nil, err
	}
	token, err := a.readFile(sessionFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return client.New(client.Config{
		Server: p.Server, Trust: trust, Actor: p.Principal, Name: "custody", Now: time.Now,
		Signer: &asker{find: func() (custody.Signer, error) { return a.signer(ctx, p) }},
		Token:  strings.TrimSpace(string(token)),
	})
}

// keep remembers the client's session for the next command.
func (a *app) keep(ctx context.Context, c *client.Client) error {
	token, err := c.Session(ctx)
	if err != nil {
		return err
	}
	return a.writeFile(sessionFile, []byte(token+"\n"))
}

// display answers with what the service shows, as text in words, and keeps the
// session for the next command.
func display[T any](ctx context.Context, a *app, ask func(*client.Client) (T, error), words func(T) string) error {
	cl, _, err := a.dial(ctx)
	if err != nil {
		return err
	}
	v, err := ask(cl)
	if err != nil {
		return err
	}
	return errors.Join(a.answer(v, words(v)), a.keep(ctx, cl))
}

// request is what a newcomer gives to an administrator.
type request struct {
	Audience   string `json:"audience"`
	Contact    string `json:"contact"`
	Key        []byte `json:"key"`
	Name       string `json:"name"`
	Possession []byte `json:"possession"`
	Title      string `json:"title"`
}

func (r request) act() *custody.EnrolPrincipal {
	return &custody.EnrolPrincipal{Contact: r.Contact, Key: r.Key, Name: r.Name, Possession: r.Possession, Title: r.Title}
}

func readRequest(path string) (request, error) {
	var r request
	b, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r, json.RejectUnknownMembers(true)); err != nil {
		return r, usagef("%s is not an enrolment request, as custody key new makes it: %w", path, err)
	}
	return r, nil
}
