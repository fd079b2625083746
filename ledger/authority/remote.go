// Package authority asks time-stamping authorities (RFC 3161) to stamp checkpoints of
// the log, and is one, of which the operator's own clock is all that stands behind it.
//
// It promises that a stamp was verified, against the certificates that were given
// for its authority, before anybody has it; that the answer is to this request
// and no earlier one; and that no authority is waited for longer than some seconds.
//
// Begin reading at Authority.
package authority

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/stamp"
)

// Authority stamps checkpoints. Its methods may be called at once.
type Authority interface {
	// Name is the authority's, as in a trust file.
	Name() string

	// Stamp returns a token for a signed checkpoint, in its one spelling, and what it
	// says, verified. It returns within some seconds.
	Stamp(ctx context.Context, checkpoint []byte) (token []byte, s *stamp.Stamp, err error)

	// Close ends what is under way.
	Close() error
}

// answerWithin is how long an authority may take.
const answerWithin = 10 * time.Second

// remote is an authority that is asked over HTTP (RFC 3161, section 3.4).
type remote struct {
	trusted custody.TimeAuthority
	url     string
	http    *http.Client
}

// Remote returns the authority at an address.
func Remote(trusted custody.TimeAuthority, url string) Authority {
	return &remote{trusted: trusted, url: url, http: &http.Client{
		Timeout:       answerWithin,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: answerWithin},
	}}
}

// Name implements Authority.
func (r *remote) Name() string { return r.trusted.Name }

// Close implements Authority.
func (r *remote) Close() error {
	r.http.CloseIdleConnections()
	return nil
}

// Stamp implements Authority.
func (r *remote) Stamp(ctx context.Context, checkpoint []byte) ([]byte, *stamp.Stamp, error) {
	nonce, err := newNonce()
	if err != nil {
		return nil, nil, err
	}
	query, err := stamp.NewRequest(checkpoint, nonce)
	if err != nil {
		return nil, nil, err
	}
	answer, err := r.ask(ctx, query)
	if err != nil {
		return nil, nil, fmt.Errorf("authority %s: %w", r.trusted.Name, err)
	}
	token, s, err := stamp.Open(answer, checkpoint, nonce, r.trusted)
	if err != nil {
		return nil, nil, fmt.Errorf("authority %s: %w", r.trusted.Name, err)
	}
	return token, s, nil
}

func (r *remote) ask(ctx context.Context, query []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Content-Type", "application/timestamp-query")
	a, err := r.http.Do(q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = a.Body.Close() }()
	if a.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %s", a.Status)
	}
	b, err := io.ReadAll(io.LimitReader(a.Body, stamp.MaxToken+1))
	if err == nil && len(b) > stamp.MaxToken {
		err = fmt.Errorf("it answered with more than %d bytes", stamp.MaxToken)
	}
	return b, err
}

// newNonce returns a random number of 127 bits, so that it is positive in DER.
func newNonce() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}
