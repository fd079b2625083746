package guard

import (
	"encoding/base64"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// tokens keeps what bearer tokens stand for, in memory, under the tokens'
// digests. A restart forgets them.
type tokens[T any] struct {
	random io.Reader
	now    func() time.Time
	mu     sync.Mutex
	held   map[custody.Digest]held[T]
}

type held[T any] struct {
	what    T
	used    time.Time
	expires time.Time
	idle    time.Duration
}

// maxTokens bounds what a flood of logins can occupy.
const maxTokens = 100_000

func newTokens[T any](random io.Reader, now func() time.Time) *tokens[T] {
	return &tokens[T]{random: random, now: now, held: map[custody.Digest]held[T]{}}
}

// newToken returns 256 random bits in text, and their digest.
func newToken(random io.Reader) (string, custody.Digest, error) {
	var b [32]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", custody.Digest{}, err
	}
	t := base64.RawURLEncoding.EncodeToString(b[:])
	return t, custody.Hash([]byte(t)), nil
}

// issue returns a new token for what, valid for life and no longer than idle
// without use.
func (t *tokens[T]) issue(what T, life, idle time.Duration) (string, error) {
	token, digest, err := newToken(t.random)
	if err != nil {
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if len(t.held) >= maxTokens {
		for d, h := range t.held {
			if h.dead(now) {
				delete(t.held, d)
			}
		}
		if len(t.held) >= maxTokens {
			return "", fmt.Errorf("%w: too many sessions", ErrUnavailable)
		}
	}
	t.held[digest] = held[T]{what: what, used: now, expires: now.Add(life), idle: idle}
	return token, nil
}

func (h held[T]) dead(now time.Time) bool {
	return !now.Before(h.expires) || now.Sub(h.used) >= h.idle
}

// find returns what a live token stands for.
func (t *tokens[T]) find(token string) (T, bool) {
	digest := custody.Hash([]byte(token))
	t.mu.Lock()
	defer t.mu.Unlock()
	h, ok := t.held[digest]
	now := t.now()
	if !ok || h.dead(now) {
		delete(t.held, digest)
		var none T
		return none, false
	}
	h.used = now
	t.held[digest] = h
	return h.what, true
}

// drop ends a token.
func (t *tokens[T]) drop(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.held, custody.Hash([]byte(token)))
}
