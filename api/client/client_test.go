package client_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/cmd/house"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is a real one, and those who use it.
type service struct {
	t        *testing.T
	url      string
	trust    *custody.Trust
	admin    *client.Client
	lead     *client.Client
	engineer *client.Client
	incident custody.IncidentID
}

const origin = "custody.example/test"

func newService(t *testing.T) *service {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "service")
	c := house.Default(origin)
	c.Listen = "127.0.0.1:0"
	trust, err := house.Create(t.Context(), dir, c)
	require.NoError(t, err)
	h, err := house.Open(t.Context(), dir, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	address, done := make(chan net.Addr, 1), make(chan error, 1)
	go func() { done <- h.Serve(ctx, func(a net.Addr) { address <- a }) }()
	s := &service{t: t, trust: trust}
	select {
	case a := <-address:
		s.url = "http://" + a.String()
	case err := <-done:
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
		require.NoError(t, h.Close())
	})
	s.admin = s.client(nil)
	act := s.newcomer(s.admin, "Ada Administrator")
	said, err := s.admin.Enrol(t.Context(), act, h.Code)
	require.NoError(t, err)
	s.admin.Actor = custody.NewPrincipalID(said.Payload)
	s.lead = s.enrol("Lena Lead", custody.RoleIncidentManager)
	s.engineer = s.enrol("Emil Engineer", custody.RoleForensicEngineer)
	opened, err := s.lead.Say(t.Context(), "", &investigate.Open{
		Class: investigate.Security, DetectedAt: custody.TimeOf(time.Now().Add(-time.Hour)), Title: "a login from two countries",
	})
	require.NoError(t, err)
	s.incident = custody.NewIncidentID(opened.Payload)
	_, err = s.lead.Say(t.Context(), "he examines the disk", &investigate.Assign{Incident: s.incident, Principal: s.engineer.Actor})
	require.NoError(t, err)
	return s
}

// client returns a client with a new key, or for somebody who has one.
func (s *service) client(like *client.Client, change ...func(*client.Config)) *client.Client {
	s.t.Helper()
	transport := &http.Transport{}
	s.t.Cleanup(transport.CloseIdleConnections)
	c := client.Config{Server: s.url, Trust: s.trust, Name: "a test", Now: time.Now, HTTP: &http.Client{Transport: transport}}
	if like == nil {
		_, key, err := ed25519.GenerateKey(nil)
		require.NoError(s.t, err)
		c.Signer, err = custody.NewSigner(key)
		require.NoError(s.t, err)
	} else {
		c.Signer, c.Actor = like.Signer, like.Actor
	}
	for _, f := range change {
		f(&c)
	}
	made, err := client.New(c)
	require.NoError(s.t, err)
	return made
}

func (s *service) newcomer(c *client.Client, name string) *custody.EnrolPrincipal {
	proof, err := custody.ProvePossession(c.Signer, origin, name)
	require.NoError(s.t, err)
	return &custody.EnrolPrincipal{Contact: "+49 30 1234", Key: c.Signer.Public().Bytes(), Name: name, Possession: proof, Title: "of the team"}
}

func (s *service) enrol(name string, role custody.Role) *client.Client {
	s.t.Helper()
	c := s.client(nil)
	said, err := s.admin.Say(s.t.Context(), "", s.newcomer(c, name))
	require.NoError(s.t, err)
	c.Actor = custody.NewPrincipalID(said.Payload)
	_, err = s.admin.Say(s.t.Context(), "", &custody.GrantRole{Principal: c.Actor, Role: role})
	require.NoError(s.t, err)
	return c
}

func (s *service) begin(exhibit string, size int) custody.EvidenceID {
	s.t.Helper()
	name, err := custody.NewName([]byte("disk.img"))
	require.NoError(s.t, err)
	said, err := s.engineer.Say(s.t.Context(), "to examine it", &custody.BeginEvidence{
		AtMost: uint64(size), Exhibit: exhibit, Incident: s.incident, Name: name, Type: "disk",
	})
	require.NoError(s.t, err)
	return custody.NewEvidenceID(said.Payload)
}

func (s *service) seal(e custody.EvidenceID, a custody.Artifact) {
	s.t.Helper()
	_, err := s.engineer.Say(s.t.Context(), "taken at the scene", &custody.SealEvidence{
		Acquisition: custody.Acquisition{
			Authority:   custody.Authority{Kind: "policy", Reference: "incident response policy 4.2"},
			CollectedAt: "2026-11-23T20:41:00+01:00", Method: "dead", Place: "office, room 4",
			Source: custody.Source{Description: "laptop", Serial: "SN 123"}, WriteBlock: "Tableau T8u",
			Tool: &custody.Tool{Name: "dd", Version: "9.1", Settings: "bs=1M"}, Unread: &custody.Unread{},
		},
		Artifact: a, Evidence: e, Incident: s.incident,
	})
	require.NoError(s.t, err)
}

func (s *service) takeIn(exhibit string, data []byte) custody.EvidenceID {
	s.t.Helper()
	e := s.begin(exhibit, len(data))
	a, err := s.engineer.Upload(s.t.Context(), e, bytes.NewReader(data), nil)
	require.NoError(s.t, err)
	s.seal(e, a)
	return e
}

// kinds returns which statements an item's stream holds.
func (s *service) kinds(e custody.EvidenceID) (list []custody.Kind) {
	s.t.Helper()
	records, err := s.engineer.Records(s.t.Context(), e.Stream())
	require.NoError(s.t, err)
	for _, r := range records {
		statement, err := r.Record.Envelope.Statement(investigate.Words())
		require.NoError(s.t, err)
		list = append(list, statement.Kind)
	}
	return list
}

func noise(n int, seed byte) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}

// lies passes answers on after lie has had its way with them.
type lies struct {
	honest http.RoundTripper
	lie    func(*http.Request, *http.Response)
}

func (l lies) RoundTrip(q *http.Request) (*http.Response, error) {
	r, err := l.honest.RoundTrip(q)
	if err == nil {
		l.lie(q, r)
	}
	return r, err
}

// liar returns a client of somebody whose answers are changed on their way.
func (s *service) liar(like *client.Client, lie func(*http.Request, *http.Response)) *client.Client {
	return s.client(like, func(c *client.Config) { c.HTTP.Transport = lies{c.HTTP.Transport, lie} })
}

// instead replaces a body.
func instead(r *http.Response, body []byte) {
	_ = r.Body.Close()
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}

// edit replaces a body by what change makes of it.
func edit(t *testing.T, r *http.Response, change func([]byte) []byte) {
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	instead(r, change(b))
}

// answered edits the answers to statements.
func answered(t *testing.T, change func(*api.Admitted)) func(*http.Request, *http.Response) {
	return func(q *http.Request, r *http.Response) {
		if q.URL.Path != "/v1/statements" || r.StatusCode/100 != 2 {
			return
		}
		edit(t, r, func(b []byte) []byte {
			var a api.Admitted
			require.NoError(t, json.Unmarshal(b, &a))
			change(&a)
			b, err := json.Marshal(a)
			require.NoError(t, err)
			return b
		})
	}
}

// TestLiesAboutStatements: a statement counts as admitted only when its own
// record is proven by this log.
func TestLiesAboutStatements(t *testing.T) {
	s := newService(t)
	var other api.Admitted
	said, err := s.engineer.Say(t.Context(), "", &custody.OpenSession{Client: "a test"})
	require.NoError(t, err)
	other.Record, other.Receipt = said.Raw, string(said.Receipt.Marshal())
	for name, change := range map[string]func(*api.Admitted){
		"another record and its receipt": func(a *api.Admitted) { a.Record, a.Receipt = other.Record, other.Receipt },
		"another receipt":                func(a *api.Admitted) { a.Receipt = other.Receipt },
		"another record":                 func(a *api.Admitted) { a.Record = other.Record },
		"no record":                      func(a *api.Admitted) { a.Record = nil },
		"no receipt":                     func(a *api.Admitted) { a.Receipt = "" },
		"no proof": func(a *api.Admitted) {
			lines := strings.Split(a.Receipt, "\n")
			a.Receipt = strings.Join(append(lines[:3:3], lines[slices.Index(lines, ""):]...), "\n")
		},
		"an unsigned checkpoint": func(a *api.Admitted) { a.Receipt = a.Receipt[:strings.Index(a.Receipt, "—")] },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.liar(s.engineer, answered(t, change)).Say(t.Context(), "", &custody.OpenSession{Client: "a test"})
			require.ErrorIs(t, err, client.ErrUntrusted)
		})
	}
	t.Run("any bit", func(t *testing.T) {
		for n := range 200 {
			_, err := s.liar(s.engineer, answered(t, func(a *api.Admitted) {
				receipt := []byte(a.Receipt)
				if n%2 == 0 {
					a.Record[n*len(a.Record)/200] ^= 1 << (n / 2 % 8)
				} else if at := n * len(receipt) / 200; receipt[at] < 0x80 {
					receipt[at] ^= 1 << (n / 2 % 7)
				} else {
					receipt[0] ^= 1 // a part of a dash would not be text
				}
				a.Receipt = string(receipt)
			})).Say(t.Context(), "", &custody.OpenSession{Client: "a test"})
			require.ErrorIs(t, err, client.ErrUntrusted, "bit in byte %d of 200", n)
		}
	})
	t.Run("by another log of the same name", func(t *testing.T) {
		_, public, err := note.GenerateKey(nil, origin)
		require.NoError(t, err)
		forged := *s.trust
		forged.Log = public
		c := s.client(s.engineer, func(c *client.Config) { c.Trust = &forged })
		_, err = c.Say(t.Context(), "", &custody.OpenSession{Client: "a test"})
		require.ErrorIs(t, err, client.ErrUntrusted)
		_, _, err = c.Checkpoint(t.Context())
		require.ErrorIs(t, err, client.ErrUntrusted)
	})
	point, signed, err := s.engineer.Checkpoint(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, signed)
	require.GreaterOrEqual(t, point.Size, uint64(200))
}

// TestARefusalIsNoAdmission, though it is on record and proven.
func TestARefusalIsNoAdmission(t *testing.T) {
	s := newService(t)
	envelope, err := s.engineer.Sign("to see more", &custody.SuspendPrincipal{Principal: s.admin.Actor})
	require.NoError(t, err)
	_, err = s.engineer.Send(t.Context(), envelope, nil)
	problem := new(client.Error)
	require.ErrorAs(t, err, &problem)
	require.Equal(t, http.StatusForbidden, problem.Status)
	records, err := s.admin.Records(t.Context(), s.engineer.Actor.Stream())
	require.NoError(t, err)
	refusal := records[len(records)-1]
	require.False(t, refusal.Record.Decision.Permit)
	require.Equal(t, envelope.Payload, refusal.Record.Envelope.Payload)

	body, err := json.Marshal(api.Admitted{Record: refusal.Raw, Receipt: string(refusal.Receipt.Marshal())})
	require.NoError(t, err)
	_, err = s.liar(s.engineer, func(_ *http.Request, r *http.Response) {
		r.StatusCode = http.StatusCreated
		instead(r, body)
	}).Send(t.Context(), envelope, nil)
	require.ErrorIs(t, err, client.ErrUntrusted)
}

// TestLiesAboutStreams: left out, put in another order, from elsewhere.
func TestLiesAboutStreams(t *testing.T) {
	s := newService(t)
	for n := range 3 {
		s.begin(fmt.Sprintf("EX-%d", n), 10)
	}
	honest, err := s.lead.Records(t.Context(), s.incident.Stream())
	require.NoError(t, err)
	require.Len(t, honest, 4)
	number := func(n uint64) *uint64 { return &n }
	for name, change := range map[string]func(*api.Records){
		"the first is left out": func(p *api.Records) { p.Records = p.Records[1:] },
		"one is left out":       func(p *api.Records) { p.Records = slices.Delete(p.Records, 1, 2) },
		"two change places":     func(p *api.Records) { p.Records[1], p.Records[2] = p.Records[2], p.Records[1] },
		"one is there twice":    func(p *api.Records) { p.Records = append(p.Records, p.Records[3]) },
		"a receipt of another":  func(p *api.Records) { p.Records[1].Receipt = p.Records[2].Receipt },
		"no more pages to come": func(p *api.Records) { p.Records, p.Next = nil, number(0) },
		"a page is left out":    func(p *api.Records) { p.Records, p.Next = p.Records[:2], number(3) },
		"pages without an end":  func(p *api.Records) { p.Next = number(0) },
		"one is said to be erased": func(p *api.Records) {
			r := &p.Records[1]
			receipt, err := custody.ParseReceipt([]byte(r.Receipt))
			require.NoError(t, err)
			leaf, err := receipt.Leaf(r.Record)
			require.NoError(t, err)
			receipt.Extra = nil
			*r = api.Record{Record: []byte{}, Leaf: leaf[:], Receipt: string(receipt.Marshal()), Erased: &api.Erased{Was: custody.KindOpenSession}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.liar(s.lead, func(q *http.Request, r *http.Response) {
				if strings.HasSuffix(q.URL.Path, "/records") {
					edit(t, r, func(b []byte) []byte {
						var p api.Records
						require.NoError(t, json.Unmarshal(b, &p))
						change(&p)
						b, err := json.Marshal(p)
						require.NoError(t, err)
						return b
					})
				}
			})
			_, err := c.Records(t.Context(), s.incident.Stream())
			require.ErrorIs(t, err, client.ErrUntrusted)
		})
	}
	t.Run("another stream", func(t *testing.T) {
		c := s.client(s.lead, func(c *client.Config) {
			c.HTTP.Transport = rerouted{c.HTTP.Transport, s.incident.Stream(), custody.IncidentsStream}
		})
		_, err := c.Records(t.Context(), s.incident.Stream())
		require.ErrorIs(t, err, client.ErrUntrusted)
	})
}

// rerouted asks for another stream than it was asked to.
type rerouted struct {
	next     http.RoundTripper
	from, to custody.Stream
}

func (r rerouted) RoundTrip(q *http.Request) (*http.Response, error) {
	q = q.Clone(q.Context())
	q.URL.Path = strings.Replace(q.URL.Path, string(r.from), string(r.to), 1)
	return r.next.RoundTrip(q)
}

func TestUploadAndRetrieve(t *testing.T) {
	s := newService(t)
	for n, size := range []int{0, 1, custody.ChunkSize, 2*custody.ChunkSize + 77} {
		data := noise(size, byte(n))
		e := s.begin(fmt.Sprintf("EX-%d", n), size)
		var sent, got atomic.Int64
		a, err := s.engineer.Upload(t.Context(), e, bytes.NewReader(data), func(n int, _ bool) { sent.Add(int64(n)) })
		require.NoError(t, err)
		require.EqualValues(t, size, sent.Load())
		v := a.NewVerifier()
		_, err = v.Write(data)
		require.NoError(t, errors.Join(err, v.Close()))
		s.seal(e, a)

		var w bytes.Buffer
		received, err := s.engineer.Retrieve(t.Context(), "to examine it", e, 0, 0, &w, func(n int, _ bool) { got.Add(int64(n)) })
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, w.Bytes()))
		require.EqualValues(t, size, got.Load())
		require.Equal(t, custody.Hash(data), received.SHA256)
		require.EqualValues(t, size, received.Size)
		require.Subset(t, s.kinds(e), []custody.Kind{
			custody.KindSealEvidence, custody.KindRetrieveEvidence, custody.KindReleaseEvidence, custody.KindReceiveEvidence,
		})
		if size > 100 {
			w.Reset()
			received, err = s.engineer.Retrieve(t.Context(), "the partition table", e, 0, min(custody.BlockSize, uint64(size)), &w, nil)
			require.NoError(t, err)
			first := data[:min(custody.BlockSize, size)]
			require.Equal(t, first, w.Bytes())
			require.Equal(t, custody.Hash(first), received.SHA256)
		}
	}
}

// TestUploadGoesOn where an earlier one broke off: what is there is not sent again.
func TestUploadGoesOn(t *testing.T) {
	s := newService(t)
	data := noise(4*custody.ChunkSize+5, 1)
	e := s.begin("EX-1", len(data))
	_, err := s.engineer.Upload(t.Context(), e, io.MultiReader(bytes.NewReader(data[:2*custody.ChunkSize]), broken{}), nil)
	require.ErrorContains(t, err, "read the artifact at byte 16777216")
	var puts atomic.Int64
	c := s.liar(s.engineer, func(q *http.Request, _ *http.Response) {
		if q.Method == http.MethodPut {
			puts.Add(1)
		}
	})
	a, err := c.Upload(t.Context(), e, bytes.NewReader(data), nil)
	require.NoError(t, err)
	require.EqualValues(t, 3, puts.Load())
	s.seal(e, a)
	var w bytes.Buffer
	_, err = s.engineer.Retrieve(t.Context(), "to examine it", e, 0, 0, &w, nil)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, w.Bytes()))
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the disk has a bad sector") }

// TestUploadStops at the first chunk that is refused.
func TestUploadStops(t *testing.T) {
	s := newService(t)
	e := s.begin("EX-1", custody.ChunkSize)
	_, err := s.engineer.Upload(t.Context(), e, bytes.NewReader(noise(3*custody.ChunkSize, 1)), nil)
	require.ErrorContains(t, err, "beyond")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.engineer.Upload(ctx, e, bytes.NewReader(nil), nil)
	require.ErrorIs(t, err, context.Canceled)
}

// TestLiesAboutEvidence: what is not the sealed artifact is not believed to be.
func TestLiesAboutEvidence(t *testing.T) {
	s := newService(t)
	data := noise(custody.ChunkSize+100, 1)
	e := s.takeIn("EX-1", data)
	other := append(bytes.Clone(data[:len(data)-1]), data[len(data)-1]^1)
	tree := custody.NewTreeHash(nil)
	_, err := tree.Write(other)
	require.NoError(t, err)
	forged := tree.Finish()
	content := func(change func(*http.Response)) func(*http.Request, *http.Response) {
		return func(q *http.Request, r *http.Response) {
			if strings.HasSuffix(q.URL.Path, "/content") {
				change(r)
			}
		}
	}
	tampered := func(change func(*api.Digests)) func(*http.Request, *http.Response) {
		return func(q *http.Request, r *http.Response) {
			if !strings.HasSuffix(q.URL.Path, "/digests") {
				return
			}
			edit(t, r, func(b []byte) []byte {
				var d api.Digests
				require.NoError(t, json.Unmarshal(b, &d))
				change(&d)
				b, err := json.Marshal(d)
				require.NoError(t, err)
				return b
			})
		}
	}
	const digests = "the digests of page 0 are not those"
	for name, c := range map[string]struct {
		lie  func(*http.Request, *http.Response)
		says string
	}{
		"a bit was changed": {content(func(r *http.Response) { instead(r, other) }), "bytes 8388608 to 8388707"},
		"and the item's description, to fit": {func(q *http.Request, r *http.Response) {
			if strings.HasSuffix(q.URL.Path, "/content") {
				instead(r, other)
			} else if strings.HasSuffix(q.URL.Path, "/"+string(e)) {
				edit(t, r, func(b []byte) []byte {
					var item api.Evidence
					require.NoError(t, json.Unmarshal(b, &item))
					item.Artifact = &forged
					b, err := json.Marshal(item)
					require.NoError(t, err)
					return b
				})
			}
		}, "bytes 8388608 to 8388707"},
		"the digests, to fit":   {tampered(func(d *api.Digests) { d.Chunks[1] = custody.ChunkDigest(other[custody.ChunkSize:]) }), digests},
		"a chunk is said zeros": {tampered(func(d *api.Digests) { d.Chunks[0] = custody.ZeroChunk(custody.ChunkSize) }), digests},
		"a proof too long":      {tampered(func(d *api.Digests) { d.Rest = append(d.Rest, d.Chunks[0]) }), digests},
		"a digest too few":      {tampered(func(d *api.Digests) { d.Chunks, d.Rest = d.Chunks[:1], d.Chunks[1:] }), digests},
		"no digests":            {tampered(func(d *api.Digests) { *d = api.Digests{} }), digests},
		"less came":             {content(func(r *http.Response) { instead(r, data[:1000]) }), "broke off at byte 1000"},
		"more came":             {content(func(r *http.Response) { instead(r, append(bytes.Clone(data), 0)) }), "more than were asked for"},
		"it broke off": {content(func(r *http.Response) {
			_ = r.Body.Close()
			r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(data[:1000]), broken{}))
		}), "broke off at byte 1000"},
		"a page of HTML came": {content(func(r *http.Response) { instead(r, []byte("<html>log in to the Wi-Fi</html>")) }), "broke off at byte 32"},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(s.kinds(e))
			var w bytes.Buffer
			received, err := s.liar(s.engineer, c.lie).Retrieve(t.Context(), "to examine it", e, 0, 0, &w, nil)
			require.ErrorContains(t, err, c.says)
			require.Nil(t, received)
			require.True(t, bytes.HasPrefix(data, w.Bytes()), "no wrong byte is written")
			require.NotContains(t, s.kinds(e)[before:], custody.KindReceiveEvidence)
		})
	}
}

// TestRetrieveInto: side by side, sparse, and going on where it broke off.
func TestRetrieveInto(t *testing.T) {
	s := newService(t)
	parts := [][]byte{
		noise(2*custody.ChunkSize, 1), make([]byte, 5*custody.ChunkSize), noise(6*custody.ChunkSize, 2), make([]byte, custody.ChunkSize+5), noise(77, 3),
	}
	data := bytes.Join(parts, nil)
	e := s.takeIn("EX-1", data)
	file, err := os.Create(filepath.Join(t.TempDir(), "copy"))
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()

	var sent, saved atomic.Int64
	count := func(n int, carried bool) {
		if carried {
			sent.Add(int64(n))
		} else {
			saved.Add(int64(n))
		}
	}
	received, err := s.engineer.RetrieveInto(t.Context(), "to examine it", e, 0, 0, file, false, count)
	require.NoError(t, err)
	require.Equal(t, custody.Hash(data), received.SHA256)
	back, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, back))
	require.EqualValues(t, len(data)-6*custody.ChunkSize, sent.Load(), "zeros are not sent")
	require.EqualValues(t, 6*custody.ChunkSize, saved.Load())
	var disk unix.Stat_t
	require.NoError(t, unix.Stat(file.Name(), &disk))
	require.Less(t, disk.Blocks*512, int64(len(data)-5*custody.ChunkSize), "sparse where the original was")
	require.Contains(t, s.kinds(e), custody.KindReleaseEvidence, "zeros count as handed over")

	// Two chunks are missing, one is wrong, one zero chunk is not.
	_, err = file.WriteAt([]byte("x"), 8*custody.ChunkSize)
	require.NoError(t, err)
	_, err = file.WriteAt([]byte("x"), 3*custody.ChunkSize)
	require.NoError(t, err)
	require.NoError(t, file.Truncate(12*custody.ChunkSize))
	sent.Store(0)
	received, err = s.engineer.RetrieveInto(t.Context(), "to examine it", e, 0, 0, file, true, count)
	require.NoError(t, err)
	require.Equal(t, custody.Hash(data), received.SHA256)
	back, err = os.ReadFile(file.Name())
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, back))
	require.LessOrEqual(t, sent.Load(), int64(7*custody.ChunkSize))

	// A stretch alone, from inside a chunk to inside another.
	require.NoError(t, file.Truncate(0))
	const from, length = 2*custody.ChunkSize - 9*custody.BlockSize, 6*custody.ChunkSize + 20*custody.BlockSize
	received, err = s.engineer.RetrieveInto(t.Context(), "to examine it", e, from, length, file, false, nil)
	require.NoError(t, err)
	back, err = os.ReadFile(file.Name())
	require.NoError(t, err)
	require.True(t, bytes.Equal(data[from:from+length], back))
	require.Equal(t, custody.Hash(back), received.SHA256)
}

// TestAStretch: of an item of several chunks every kind of stretch of whole blocks
// arrives, verified, with the digests of no chunk that it does not touch; and what
// is not the item's is refused, be it one byte.
func TestAStretch(t *testing.T) {
	const b, c = custody.BlockSize, custody.ChunkSize
	s := newService(t)
	data := bytes.Join([][]byte{noise(2*c, 1), make([]byte, c+3*b), noise(2*c+5, 2)}, nil)
	size := uint64(len(data))
	e := s.takeIn("EX-1", data)
	var told []api.Digests
	note := func(q *http.Request, r *http.Response) {
		if strings.HasSuffix(q.URL.Path, "/digests") {
			edit(t, r, func(b []byte) []byte {
				var d api.Digests
				require.NoError(t, json.Unmarshal(b, &d))
				told = append(told, d)
				return b
			})
		}
	}
	for _, x := range []struct{ from, to uint64 }{
		{0, b}, {b, 2 * b}, {127 * b, c}, {127 * b, 129 * b}, {5 * b, 3*c + 7*b}, {c, 2 * c}, {2 * c, 3 * c}, {2*c + b, 2*c + 2*b},
		{3 * c, 3*c + 3*b}, {3*c + 2*b, 3*c + 4*b}, {size - size%b, size}, {4*c + b, size}, {0, size},
	} {
		told = nil
		var w bytes.Buffer
		received, err := s.liar(s.engineer, note).Retrieve(t.Context(), "a stretch", e, x.from, x.to-x.from, &w, nil)
		require.NoError(t, err, "%d to %d", x.from, x.to)
		require.True(t, bytes.Equal(data[x.from:x.to], w.Bytes()), "%d to %d", x.from, x.to)
		require.Equal(t, custody.Hash(data[x.from:x.to]), received.SHA256)
		require.Len(t, told, 1)
		require.EqualValues(t, custody.ChunkCount(x.to)-x.from/c, len(told[0].Chunks), "%d to %d", x.from, x.to)

		zeros := x.from >= 2*c && x.to <= 3*c
		for _, at := range []uint64{x.from, (x.from + x.to) / 2, x.to - 1} {
			if zeros || at >= 2*c && at < 3*c { // never sent
				continue
			}
			lie := s.liar(s.engineer, func(q *http.Request, r *http.Response) {
				var first, last uint64
				if n, _ := fmt.Sscanf(q.Header.Get("Range"), "bytes=%d-%d", &first, &last); n == 2 && first <= at && at <= last {
					edit(t, r, func(b []byte) []byte { b[at-first] ^= 1; return b })
				}
			})
			w.Reset()
			_, err = lie.Retrieve(t.Context(), "a stretch", e, x.from, x.to-x.from, &w, nil)
			require.ErrorIs(t, err, client.ErrWrongBytes, "byte %d of %d to %d", at, x.from, x.to)
			require.LessOrEqual(t, uint64(w.Len()), at-x.from, "no wrong byte is written")
		}
	}
	for _, x := range []struct{ from, length uint64 }{{1, b}, {b - 1, 0}, {0, b - 1}, {0, size - 1}, {c, b + 1}} {
		var w bytes.Buffer
		_, err := s.engineer.Retrieve(t.Context(), "a stretch", e, x.from, x.length, &w, nil)
		require.ErrorContains(t, err, "within a block")
		require.Zero(t, w.Len())
	}
}

func TestBlocks(t *testing.T) {
	const b = custody.BlockSize
	for _, x := range []struct{ offset, length, size, from, span uint64 }{
		{0, 0, 5, 0, 0}, {0, 1, 5, 0, 5}, {4, 1, 5, 0, 5}, {0, 512, 9 * b, 0, b}, {b - 1, 2, 9 * b, 0, 2 * b}, {b, b, 9 * b, b, b},
		{b + 1, 0, 9 * b, b, 0}, {8*b + 7, 1, 8*b + 9, 8 * b, 9}, {8*b + 7, 99, 8*b + 9, 8 * b, b},
	} {
		from, span := client.Blocks(x.offset, x.length, x.size)
		require.Equal(t, [2]uint64{x.from, x.span}, [2]uint64{from, span}, "%+v", x)
	}
}

// front is a server before the service that passes on each request, and lets pass say
// what comes of the answer.
func (s *service) front(pass func(http.ResponseWriter, *http.Request, *http.Response)) *httptest.Server {
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q, err := http.NewRequestWithContext(r.Context(), r.Method, s.url+r.URL.RequestURI(), r.Body)
		if err != nil {
			panic(err)
		}
		q.Header = r.Header.Clone()
		a, err := http.DefaultTransport.RoundTrip(q)
		if err != nil {
			panic(err)
		}
		defer func() { _ = a.Body.Close() }()
		pass(w, r, a)
	}))
	s.t.Cleanup(func() { front.Close(); http.DefaultTransport.(*http.Transport).CloseIdleConnections() })
	return front
}

// heads passes on an answer's status and headers.
func heads(w http.ResponseWriter, a *http.Response) {
	for k, v := range a.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(a.StatusCode)
}

// TestTransferCutShort: the connection ends before the length that was said.
func TestTransferCutShort(t *testing.T) {
	s := newService(t)
	data := noise(3*custody.ChunkSize, 1)
	e := s.takeIn("EX-1", data)
	var asked atomic.Int64
	front := s.front(func(w http.ResponseWriter, r *http.Request, a *http.Response) {
		heads(w, a)
		if strings.HasSuffix(r.URL.Path, "/content") {
			if asked.Add(1) < 3 {
				_, _ = io.CopyN(w, a.Body, custody.ChunkSize+70_000)
				panic(http.ErrAbortHandler)
			}
		}
		_, _ = io.Copy(w, a.Body)
	})
	c := s.client(s.engineer, func(c *client.Config) { c.Server = front.URL })
	received, err := c.Retrieve(t.Context(), "to examine it", e, 0, 0, io.Discard, nil)
	require.ErrorIs(t, err, client.ErrUnreachable)
	require.Nil(t, received)
	require.NotContains(t, s.kinds(e), custody.KindReceiveEvidence)

	// With patience it asks for the rest.
	asked.Store(0)
	patient := s.client(s.engineer, func(c *client.Config) { c.Server, c.Patience = front.URL, time.Minute })
	var w bytes.Buffer
	_, err = patient.Retrieve(t.Context(), "to examine it", e, 0, 0, &w, nil)
	require.NoError(t, err)
	require.Equal(t, custody.Hash(data), custody.Hash(w.Bytes()))
}

// TestPut sends the same statement again while no answer comes, and what is refused
// once only: it is on record once, however often it was sent.
func TestPut(t *testing.T) {
	s := newService(t)
	var sent atomic.Int64
	front := s.front(func(w http.ResponseWriter, _ *http.Request, a *http.Response) {
		if sent.Add(1) == 1 {
			panic(http.ErrAbortHandler) // it is on record, and nobody is told
		}
		heads(w, a)
		_, _ = io.Copy(w, a.Body)
	})
	lead := s.client(s.lead, func(c *client.Config) { c.Server = front.URL })
	unassign := &investigate.Unassign{Incident: s.incident, Principal: s.engineer.Actor}
	_, err := lead.Put(t.Context(), "he is done", unassign)
	require.NoError(t, err)
	require.EqualValues(t, 2, sent.Load())
	records, err := s.lead.Records(t.Context(), s.incident.Stream())
	require.NoError(t, err)
	require.Len(t, records, 2, "assigned, and unassigned once")

	sent.Store(1)
	_, err = lead.Put(t.Context(), "he is done", unassign)
	require.ErrorContains(t, err, "is not assigned")
	require.EqualValues(t, 2, sent.Load(), "a refusal is an answer")
	sent.Store(0)
	_, err = lead.Say(t.Context(), "again", &investigate.Assign{Incident: s.incident, Principal: s.engineer.Actor})
	require.ErrorIs(t, err, client.ErrUnreachable, "and Say sends once")
}

// TestRedirectionsAreNotFollowed: nothing that is secret goes elsewhere.
func TestRedirectionsAreNotFollowed(t *testing.T) {
	s := newService(t)
	var asked atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		moved := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
		t.Cleanup(moved.Close)
		for _, own := range []bool{true, false} {
			c := s.client(s.engineer, func(c *client.Config) {
				c.Server, c.Token = moved.URL, "a session's token"
				if own {
					c.HTTP = nil
				}
			})
			_, err := c.Say(t.Context(), "", &custody.OpenSession{Client: "a test"})
			require.ErrorIs(t, err, client.ErrUnreachable)
			_, err = c.Whoami(t.Context())
			require.ErrorIs(t, err, client.ErrUnreachable)
			c.HTTP.CloseIdleConnections()
		}
	}
	require.Zero(t, asked.Load())
}

// TestAnswersThatAreNone: of a proxy, of a captive portal, of nobody.
func TestAnswersThatAreNone(t *testing.T) {
	s := newService(t)
	for _, c := range []struct {
		status int
		body   string
	}{
		{200, "<html>Log in to the Wi-Fi</html>"}, {200, ""}, {200, "{"}, {200, "[]"},
		{502, "<html>Bad gateway</html>"}, {500, ""}, {404, `{}`}, {403, `{"title":""}`}, {503, `"title"`},
	} {
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}))
		t.Cleanup(front.Close)
		made := s.client(s.engineer, func(k *client.Config) { k.Server = front.URL })
		_, err := made.Say(t.Context(), "", &custody.OpenSession{Client: "a test"})
		require.ErrorIs(t, err, client.ErrUnreachable, "%d %s", c.status, c.body)
		made.Token = "x"
		_, err = made.Principals(t.Context())
		require.Error(t, err)
		_, _, err = made.Checkpoint(t.Context())
		require.Error(t, err)
	}
	nobody := s.client(s.engineer, func(c *client.Config) { c.Server = "http://127.0.0.1:1" })
	_, err := nobody.Whoami(t.Context())
	require.ErrorIs(t, err, client.ErrUnreachable)
	for _, server := range []string{"", "custody.example", "ftp://custody.example", "http://", "://"} {
		_, err := client.New(client.Config{Server: server})
		require.Error(t, err, server)
	}
}

// TestStatusIsTheAnswers: what a body says of its status counts for nothing.
func TestStatusIsTheAnswers(t *testing.T) {
	s := newService(t)
	c := s.liar(s.engineer, func(_ *http.Request, r *http.Response) {
		r.StatusCode = http.StatusForbidden
		instead(r, []byte(`{"type":"x","title":"Fine","status":200}`))
	})
	_, err := c.Say(t.Context(), "", &custody.OpenSession{Client: "a test"})
	problem := new(client.Error)
	require.ErrorAs(t, err, &problem)
	require.Equal(t, http.StatusForbidden, problem.Status)
}

// TestSessionIsOpenedAgain, once, without a word, when it is over.
func TestSessionIsOpenedAgain(t *testing.T) {
	s := newService(t)
	var logins atomic.Int64
	c := s.client(s.engineer, func(c *client.Config) {
		c.Token = base64.RawURLEncoding.EncodeToString(noise(32, 1)) // of a session that is over
		c.HTTP.Transport = lies{c.HTTP.Transport, func(q *http.Request, _ *http.Response) {
			if q.URL.Path == "/v1/statements" {
				logins.Add(1)
			}
		}}
	})
	me, err := c.Whoami(t.Context())
	require.NoError(t, err)
	require.Equal(t, s.engineer.Actor, me.ID)
	require.EqualValues(t, 1, logins.Load())
	token, err := c.Session(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, c.Token, token)

	same := s.client(s.engineer, func(c *client.Config) { c.Token = token })
	require.NoError(t, same.Logout(t.Context()))
	_, err = c.Incidents(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, logins.Load())

	_, err = s.admin.Say(t.Context(), "he left", &custody.SuspendPrincipal{Principal: s.engineer.Actor})
	require.NoError(t, err)
	_, err = c.Whoami(t.Context())
	problem := new(client.Error)
	require.ErrorAs(t, err, &problem)
	require.Equal(t, http.StatusUnauthorized, problem.Status)
	require.EqualValues(t, 3, logins.Load(), "no more than one more try")
}

// TestOneSessionForMany: those who need one at once share it.
func TestOneSessionForMany(t *testing.T) {
	s := newService(t)
	c := s.client(s.engineer)
	results := make(chan error, 20)
	for range cap(results) {
		go func() {
			_, err := c.Whoami(t.Context())
			results <- err
		}()
	}
	for range cap(results) {
		require.NoError(t, <-results)
	}
	records, err := s.admin.Records(t.Context(), s.engineer.Actor.Stream())
	require.NoError(t, err)
	opened := 0
	for _, r := range records {
		statement, err := r.Record.Envelope.Statement(investigate.Words())
		require.NoError(t, err)
		if statement.Kind == custody.KindOpenSession {
			opened++
		}
	}
	require.Equal(t, 1, opened)
}

func TestBundle(t *testing.T) {
	s := newService(t)
	e := s.takeIn("EX-1", []byte("what was on the disk"))
	var whole, short bytes.Buffer
	require.NoError(t, s.engineer.Bundle(t.Context(), "for the court", e, false, &short))
	require.NoError(t, s.engineer.Bundle(t.Context(), "for the court", e, true, &whole))
	require.Greater(t, whole.Len(), short.Len())
	err := s.enrol("Otto Outsider", custody.RoleForensicEngineer).Bundle(t.Context(), "curious", e, true, io.Discard)
	problem := new(client.Error)
	require.ErrorAs(t, err, &problem)
	require.Equal(t, http.StatusForbidden, problem.Status)
}

// TestNothingGoesInClear over a network: neither sessions nor evidence.
func TestNothingGoesInClear(t *testing.T) {
	for server, good := range map[string]bool{
		"https://custody.example": true, "https://10.0.0.5:8420": true, "http://127.0.0.1:8420": true, "http://[::1]:8420": true, "http://localhost:8420": true,
		"http://custody.example": false, "http://10.0.0.5:8420": false, "http://localhost.example": false, "http://0.0.0.0:8420": false, "ftp://127.0.0.1": false, "": false,
	} {
		_, err := client.New(client.Config{Server: server})
		require.Equal(t, good, err == nil, "%s: %v", server, err)
	}
	require.ErrorContains(t, client.CheckServer("http://custody.example"), "ssh -L")
}
