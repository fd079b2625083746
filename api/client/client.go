// Package client is how a Go program uses the service: it signs statements,
// sends them, and believes no answer that it has not verified.
//
// It promises:
//
//   - A statement counts as admitted only when the record that came back holds
//     exactly what was signed, and its receipt verifies under the trust file.
//   - Records that are read back are verified likewise, and follow one another
//     without a gap.
//   - What is retrieved is measured as it comes, held against the seal in the
//     log where all of an artifact was asked for, and confirmed with a signature
//     over the digest measured here.
//   - Redirections are not followed, so that no session or ticket goes elsewhere.
//
// Lists (Whoami, Principals, Incidents, Incident, Evidence) are what the
// service says, for finding one's way; what matters is in the records.
// Bytes reach the caller's writer before all of them are measured: they count
// when Retrieve returns without an error.
//
// Begin reading at Client.Say.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

// Config is what a Client needs to know.
type Config struct {
	Server string              // base URL
	Trust  *custody.Trust      // whom to believe
	Signer custody.Signer      // the actor's key; nil only reads what needs no session
	Actor  custody.PrincipalID // whose key that is; empty before enrolment
	HTTP   *http.Client        // nil means one with sane limits; of another, redirections are not followed either
	Name   string              // of the program, as sessions show it
	Token  string              // of a session opened before; may be empty
	Now    func() time.Time

	// Patience is for how long a transfer, what is read, and what Insist sends, is
	// tried again while the service cannot be reached, as when it restarts, or says
	// that it cannot now; 0 means not at all.
	Patience time.Duration
}

// Client talks to one service as one principal. Its methods may be called at
// once.
type Client struct {
	Config
	mu    sync.Mutex
	token string
}

// CheckServer refuses what is not the address of a service, and one to which the
// sessions would go in clear: http to anything but a loopback address. Names other
// than localhost are not looked up: what they mean can change.
func CheckServer(server string) error {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("server %q is not a URL like https://custody.example", server)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("server %q: your sessions and the evidence would go there in clear. Use https://, or a tunnel that begins on this machine, like ssh -L 8420:localhost:8420 %s, "+
			"and http://localhost:8420", server, u.Hostname())
	}
	return nil
}

// New returns a client. It refuses a Server as CheckServer does.
func New(c Config) (*Client, error) {
	if err := CheckServer(c.Server); err != nil {
		return nil, err
	}
	c.Server = strings.TrimSuffix(c.Server, "/")
	if c.HTTP == nil {
		c.HTTP = &http.Client{Transport: &http.Transport{
			MaxIdleConnsPerHost: 128, ResponseHeaderTimeout: 2 * time.Minute, DisableCompression: true,
			Proxy: http.ProxyFromEnvironment,
		}}
	}
	h := *c.HTTP
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.HTTP = &h
	return &Client{Config: c, token: c.Token}, nil
}

// Error is a problem that the service answered with.
type Error struct{ api.Problem }

func (e *Error) Error() string {
	if e.Detail != "" {
		return e.Title + ": " + e.Detail
	}
	return e.Title
}

// ErrUnreachable says that no answer came.
var ErrUnreachable = errors.New("the service cannot be reached")

// ErrUntrusted says that an answer is not what the trust file vouches for.
var ErrUntrusted = errors.New("the service's answer does not verify")

// Said is a statement that was admitted, with what proves it.
type Said struct {
	Payload   custody.Digest
	Record    *custody.Record
	Raw       []byte // the record's bytes
	Receipt   *custody.Receipt
	Point     *custody.Cosigned // that the receipt is under, and who cosigned it
	Token     string
	Statement []byte // the envelope as sent
}

// Say signs act and puts it on record. A refusal comes back as an *Error.
func (c *Client) Say(ctx context.Context, purpose string, act custody.Act) (*Said, error) {
	return c.say(ctx, purpose, act, nil)
}

// Enrol enrols the client's own key as the first administrator, with the
// service's one-time code.
func (c *Client) Enrol(ctx context.Context, act *custody.EnrolPrincipal, code string) (*Said, error) {
	return c.say(ctx, "", act, http.Header{api.EnrolmentCode: {code}})
}

func (c *Client) say(ctx context.Context, purpose string, act custody.Act, h http.Header) (*Said, error) {
	envelope, err := c.Sign(purpose, act)
	if err != nil {
		return nil, err
	}
	return c.Send(ctx, envelope, h)
}

// Sign makes the envelope of a statement, valid from now on.
func (c *Client) Sign(purpose string, act custody.Act) (*custody.Envelope, error) {
	if c.Signer == nil {
		return nil, errors.New("no key to sign with")
	}
	now := custody.TimeOf(c.Now())
	h := custody.Header{Actor: c.Actor, Audience: c.Trust.Origin, Time: now, Expires: now.Add(custody.MaxValidity), Purpose: purpose}
	if _, err := io.ReadFull(rand.Reader, h.Nonce[:]); err != nil {
		return nil, err
	}
	return custody.Sign(c.Signer, h, act)
}

// Send puts a signed statement on record. Sent again it returns the same.
func (c *Client) Send(ctx context.Context, envelope *custody.Envelope, h http.Header) (*Said, error) {
	raw, err := envelope.Marshal()
	if err != nil {
		return nil, err
	}
	var a api.Admitted
	if err := c.call(ctx, http.MethodPost, "/v1/statements", h, raw, &a); err != nil {
		return nil, err
	}
	s := &Said{Payload: custody.Hash(envelope.Payload), Raw: a.Record, Token: a.Token, Statement: raw}
	if s.Record, s.Receipt, s.Point, err = verify(c.Trust, a.Record, a.Receipt); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	back, err := s.Record.Envelope.Marshal()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(back, raw) || !s.Record.Decision.Permit {
		return nil, fmt.Errorf("%w: the record is not of the statement that was sent", ErrUntrusted)
	}
	return s, nil
}

// Insist is Send for a statement that earns no token, which comes once only:
// the same is sent again for c.Patience while no answer comes, or none that
// decides. After an error that decides nothing it may be on record.
func (c *Client) Insist(ctx context.Context, envelope *custody.Envelope) (said *Said, err error) {
	err = c.persist(ctx, func() (err error) {
		said, err = c.Send(ctx, envelope, nil)
		return err
	})
	return said, err
}

// settle is for how long at least Put sends a statement again.
const settle = 10 * time.Second

// Put is Say for an act that earns no token: while the service says that it cannot
// now, or does not answer, the same statement is sent again, for c.Patience and for 10
// seconds at least. It is on record once, however often it was sent.
func (c *Client) Put(ctx context.Context, purpose string, act custody.Act) (said *Said, err error) {
	envelope, err := c.Sign(purpose, act)
	if err != nil {
		return nil, err
	}
	err = c.persistFor(ctx, max(c.Patience, settle), func() (err error) {
		said, err = c.Send(ctx, envelope, nil)
		return err
	})
	return said, err
}

// verify checks that a record is in the log.
func verify(trust *custody.Trust, raw []byte, text string) (*custody.Record, *custody.Receipt, *custody.Cosigned, error) {
	record, err := custody.ParseRecord(raw)
	if err != nil {
		return nil, nil, nil, err
	}
	receipt, err := custody.ParseReceipt([]byte(text))
	if err != nil {
		return nil, nil, nil, err
	}
	leaf, err := receipt.Leaf(raw)
	if err != nil {
		return nil, nil, nil, err
	}
	point, err := receipt.Verify(trust, leaf)
	return record, receipt, point, err
}

// session returns a session's token, opening one where there is none.
func (c *Client) session(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != "" {
		return c.token, nil
	}
	var s *Said
	err := c.persist(ctx, func() (err error) { // signed anew each time: a session is opened by its own statement
		s, err = c.Say(ctx, "", &custody.OpenSession{Client: c.Name})
		return err
	})
	if err != nil {
		return "", err
	}
	c.token = s.Token
	return c.token, nil
}

// Session returns the token of the client's session, which it opens if needed.
func (c *Client) Session(ctx context.Context) (string, error) { return c.session(ctx) }

func (c *Client) forget(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token == token {
		c.token = ""
	}
}

// authed does a request under the session, once more with a new session when
// the old one is over.
func (c *Client) authed(ctx context.Context, make func(token string) (*http.Request, error)) (*http.Response, error) {
	for again := false; ; again = true {
		token, err := c.session(ctx)
		if err != nil {
			return nil, err
		}
		q, err := make(token)
		if err != nil {
			return nil, err
		}
		q.Header.Set("Authorization", "Bearer "+token)
		r, err := c.do(q)
		problem := new(Error)
		if errors.As(err, &problem) && problem.Status == http.StatusUnauthorized && !again {
			c.forget(token)
			continue
		}
		return r, err
	}
}

// do sends a request and turns every answer but a success into an error.
func (c *Client) do(q *http.Request) (*http.Response, error) {
	r, err := c.HTTP.Do(q)
	if err != nil {
		if q.Context().Err() != nil {
			return nil, q.Context().Err()
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if r.StatusCode/100 == 2 {
		return r, nil
	}
	defer func() { _ = r.Body.Close() }()
	e := new(Error)
	b, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err != nil || json.Unmarshal(b, &e.Problem) != nil || e.Title == "" {
		return nil, fmt.Errorf("%w: answered %s", ErrUnreachable, r.Status)
	}
	e.Status = r.StatusCode
	return nil, e
}

// maxAnswer bounds an answer that is held in memory.
const maxAnswer = 64 << 20

func (c *Client) call(ctx context.Context, method, path string, h http.Header, body []byte, answer any) error {
	q, err := http.NewRequestWithContext(ctx, method, c.Server+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for k, v := range h {
		q.Header[http.CanonicalHeaderKey(k)] = v
	}
	r, err := c.do(q) //nolint:bodyclose // decode closes it
	if err != nil {
		return err
	}
	return decode(r, answer)
}

func decode(r *http.Response, answer any) error {
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(b, answer); err != nil {
		return fmt.Errorf("%w: its answer cannot be read: %w", ErrUnreachable, err)
	}
	return nil
}

// get reads JSON under the session.
func (c *Client) get(ctx context.Context, path string, answer any) error {
	return c.persist(ctx, func() error {
		r, err := c.authed(ctx, func(string) (*http.Request, error) { //nolint:bodyclose // decode closes it
			return http.NewRequestWithContext(ctx, http.MethodGet, c.Server+path, nil)
		})
		if err != nil {
			return err
		}
		return decode(r, answer)
	})
}

// Whoami returns the session's principal.
func (c *Client) Whoami(ctx context.Context) (p api.Principal, err error) {
	return p, c.get(ctx, "/v1/whoami", &p)
}

// Principals returns the directory.
func (c *Client) Principals(ctx context.Context) (p api.Principals, err error) {
	return p, c.get(ctx, "/v1/principals", &p)
}

// Incidents returns the incidents that the session may read.
func (c *Client) Incidents(ctx context.Context) (l api.Incidents, err error) {
	return l, c.get(ctx, "/v1/incidents", &l)
}

// Incident returns one incident with its items.
func (c *Client) Incident(ctx context.Context, id custody.IncidentID) (i api.Incident, err error) {
	return i, c.get(ctx, "/v1/incidents/"+string(id), &i)
}

// File returns an incident's file, and what follows from it.
func (c *Client) File(ctx context.Context, id custody.IncidentID) (p investigate.Picture, err error) {
	return p, c.get(ctx, "/v1/incidents/"+string(id)+"/file", &p)
}

// Outline returns an incident's file without what takes a look at its evidence: the
// timeline, what is missing, and what findings cite that their authors never had.
func (c *Client) Outline(ctx context.Context, id custody.IncidentID) (p investigate.Picture, err error) {
	return p, c.get(ctx, "/v1/incidents/"+string(id)+"/file?outline=true", &p)
}

// Repairs returns the inventory of repair items over all incidents that the session
// may read.
func (c *Client) Repairs(ctx context.Context) (l api.Repairs, err error) {
	return l, c.get(ctx, "/v1/repairs", &l)
}

// Vulnerabilities returns the reports of vulnerabilities that the session may see.
func (c *Client) Vulnerabilities(ctx context.Context) (l api.Vulnerabilities, err error) {
	return l, c.get(ctx, "/v1/vulnerabilities", &l)
}

// Team returns who is on call, and when nobody is.
func (c *Client) Team(ctx context.Context) (t api.Team, err error) {
	return t, c.get(ctx, "/v1/team", &t)
}

// Programme returns how the response did over the incidents that the session may
// read, and whose first indication was between two times; zero sets no bound.
func (c *Client) Programme(ctx context.Context, from, to custody.Time) (p investigate.Programme, err error) {
	q := url.Values{}
	if from != 0 {
		q.Set("from", from.String())
	}
	if to != 0 {
		q.Set("to", to.String())
	}
	return p, c.get(ctx, "/v1/programme?"+q.Encode(), &p)
}

// Evidence returns one item.
func (c *Client) Evidence(ctx context.Context, id custody.EvidenceID) (e api.Evidence, err error) {
	return e, c.get(ctx, "/v1/evidence/"+string(id), &e)
}

// Recorded is a record as it was read back, verified. Of an erased one there is no
// Record and no Raw: only its leaf is verified, and that other records of the
// stream order it erased.
type Recorded struct {
	Record   *custody.Record // nil when erased
	Receipt  *custody.Receipt
	Point    *custody.Cosigned
	Raw      []byte
	Sequence uint64
	Erased   *custody.Erasure // nil unless erased
}

// Records returns all records of a stream that are proven, each verified
// against the trust file, and in an unbroken chain.
func (c *Client) Records(ctx context.Context, s custody.Stream) ([]Recorded, error) {
	list := []Recorded{}
	erasures, err := c.walk(ctx, s, allAtOnce, func(r Recorded) bool {
		list = append(list, r)
		return true
	})
	if err != nil {
		return nil, err
	}
	for i, r := range list {
		if r.Record == nil {
			o, _ := erasures.Of(r.Sequence)
			list[i].Erased = &o
		}
	}
	return list, nil
}

// How many records are asked for at once: all that a page holds, or the few
// among which a seal is found.
const (
	allAtOnce = 200
	fewAtOnce = 8
)

// walk calls yield with the records of a stream from the first on, verified
// and in an unbroken chain, until it returns false. At their end those that are
// erased must be ordered erased. It returns what is.
func (c *Client) walk(ctx context.Context, s custody.Stream, limit int, yield func(Recorded) bool) (*custody.Erasures, error) {
	w := &walk{trust: c.Trust, stream: s, erased: map[uint64]custody.Commitment{}}
	for {
		var page api.Records
		if err := c.get(ctx, fmt.Sprintf("/v1/streams/%s/records?from=%d&limit=%d", s, w.next, limit), &page); err != nil {
			return nil, err
		}
		for _, r := range page.Records {
			read, err := w.step(r)
			if err != nil {
				return nil, fmt.Errorf("%w: record %d of %s: %w", ErrUntrusted, w.next, s, err)
			}
			w.next++
			if !yield(read) {
				return &w.erasures, nil
			}
		}
		if page.Next == nil {
			return &w.erasures, w.account()
		}
		if len(page.Records) == 0 || *page.Next != w.next {
			return nil, fmt.Errorf("%w: the page after record %d of %s is said to begin at %d", ErrUntrusted, w.next, s, *page.Next)
		}
	}
}

// walk is a stream while its records are verified, one after the other.
type walk struct {
	trust    *custody.Trust
	stream   custody.Stream
	next     uint64
	previous custody.Commitment
	erasures custody.Erasures
	erased   map[uint64]custody.Commitment
}

// step verifies the next record.
func (w *walk) step(r api.Record) (Recorded, error) {
	if len(r.Record) == 0 {
		return w.skip(r)
	}
	record, receipt, point, err := verify(w.trust, r.Record, r.Receipt)
	if err != nil {
		return Recorded{}, err
	}
	if record.Stream != w.stream || record.Sequence != w.next || record.Previous != w.previous {
		return Recorded{}, errors.New("it does not follow the one before it")
	}
	leaf, err := receipt.Leaf(r.Record)
	if err != nil {
		return Recorded{}, err
	}
	w.previous = leaf.Commitment()
	return Recorded{Record: record, Receipt: receipt, Point: point, Raw: r.Record, Sequence: w.next}, w.erasures.Take(record)
}

// skip verifies what is left of an erased record.
func (w *walk) skip(r api.Record) (Recorded, error) {
	leaf, err := custody.ParseLeaf(r.Leaf)
	if err != nil {
		return Recorded{}, err
	}
	receipt, err := custody.ParseReceipt([]byte(r.Receipt))
	if err != nil {
		return Recorded{}, err
	}
	point, err := receipt.Verify(w.trust, leaf)
	w.previous, w.erased[w.next] = leaf.Commitment(), leaf.Commitment()
	return Recorded{Receipt: receipt, Point: point, Sequence: w.next}, err
}

// account returns an error when a record is missing that nobody ordered erased.
func (w *walk) account() error {
	for sequence, commitment := range w.erased {
		if !w.erasures.Allows(sequence, commitment) {
			return fmt.Errorf("%w: record %d of %s is missing, and no two people have ordered it erased", ErrUntrusted, sequence, w.stream)
		}
	}
	return nil
}

// sealed returns what an item is by the seal that is in the log.
func (c *Client) sealed(ctx context.Context, id custody.EvidenceID) (custody.Artifact, error) {
	var found *custody.SealEvidence
	var broken error
	_, err := c.walk(ctx, id.Stream(), fewAtOnce, func(r Recorded) bool {
		if r.Record == nil || !r.Record.Decision.Permit {
			return true
		}
		s, err := r.Record.Envelope.Statement(custody.Acts())
		if err != nil {
			broken = fmt.Errorf("%w: record %d of %s: %w", ErrUntrusted, r.Record.Sequence, id.Stream(), err)
			return false
		}
		act, ok := s.Act.(*custody.SealEvidence)
		if ok && act.Evidence == id {
			found = act
		}
		return found == nil
	})
	if err := errors.Join(err, broken); err != nil {
		return custody.Artifact{}, err
	}
	if found == nil {
		return custody.Artifact{}, fmt.Errorf("%w: the log has no seal of %s", ErrUntrusted, id)
	}
	return found.Artifact, nil
}

// Checkpoint returns the log's latest checkpoint, verified, who cosigned it, and
// its bytes.
func (c *Client) Checkpoint(ctx context.Context) (*custody.Cosigned, []byte, error) {
	signed, err := c.public(ctx, "/log/checkpoint")
	if err != nil {
		return nil, nil, err
	}
	point, err := c.Trust.OpenCheckpoint(signed)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	return point, signed, nil
}

// Logout ends the client's session.
func (c *Client) Logout(ctx context.Context) error {
	c.mu.Lock()
	token := c.token
	c.token = ""
	c.mu.Unlock()
	return c.call(ctx, http.MethodDelete, "/v1/session", http.Header{"Authorization": {"Bearer " + token}}, nil, nil)
}
