package witness

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/httprate"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/forensic-custody/custody/custody"
)

// The bounds of a server.
const (
	maxRequest  = 64 << 10
	atOnce      = 64  // requests under way
	perSecond   = 500 // requests of one address
	emptySize   = 0
	sizeType    = "text/x.tlog.size"
	stateFolder = "logs"
)

// Server is a witness: an HTTP handler of c2sp.org/tlog-witness with a folder that
// remembers the last checkpoint it cosigned of each log.
//
// The folder must never be set back. A witness that forgot what it cosigned would
// cosign another history; when its folder is lost, or only a backup is left, it
// has to begin anew under another key.
type Server struct {
	name   string
	key    crypto.Signer
	vkey   string
	dir    string
	now    func() time.Time
	logger *slog.Logger
	logs   map[string]*watched // by origin
	slots  chan struct{}
	mux    http.Handler
}

// watched is a log that the witness knows.
type watched struct {
	keys []note.Verifier
	path string

	mu   sync.Mutex // held from the comparison until the new state is on disk
	last seen
}

// seen is the last checkpoint that was cosigned; its zero value is that none was.
type seen struct {
	size   uint64
	root   tlog.Hash
	at     custody.Time
	signed []byte // by the log and the witness
}

// NewServer returns a witness of this name and Ed25519 key for the logs of these
// verifier keys, with its memory in dir, which one process may use at a time. What lies there
// and is not what this witness cosigned is an error.
func NewServer(name string, key crypto.Signer, logKeys []string, dir string, now func() time.Time, logger *slog.Logger) (*Server, error) {
	vkey, err := Key(name, key)
	if err != nil {
		return nil, err
	}
	s := &Server{name: name, key: key, vkey: vkey, dir: filepath.Join(dir, stateFolder), now: now, logger: logger,
		logs: map[string]*watched{}, slots: make(chan struct{}, atOnce)}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	for _, text := range logKeys {
		v, err := note.NewVerifier(text)
		if err != nil {
			return nil, fmt.Errorf("log %.200q: %w", text, err)
		}
		l := s.logs[v.Name()]
		if l == nil {
			l = &watched{path: filepath.Join(s.dir, custody.Hash([]byte(v.Name())).Hex())}
			s.logs[v.Name()] = l
		}
		l.keys = append(l.keys, v)
	}
	for origin, l := range s.logs {
		if err := s.load(l); err != nil {
			return nil, fmt.Errorf("what this witness cosigned last of %s, in %s: %w", origin, l.path, err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", s.addCheckpoint)
	mux.HandleFunc("GET /{hash}/checkpoint", s.checkpoint)
	s.mux = httprate.LimitBy(perSecond, time.Second, byPeer)(mux)
	return s, nil
}

// Key returns the verifier key of the witness with this name and Ed25519 key.
func Key(name string, key crypto.Signer) (string, error) {
	p, err := custody.NewPublicKey(key.Public())
	if err != nil {
		return "", err
	}
	raw := p.Ed25519()
	if raw == nil {
		return "", errors.New("a witness signs with an Ed25519 key")
	}
	return custody.WitnessKey(name, raw)
}

// VerifierKey returns what policies name the witness by.
func (s *Server) VerifierKey() string { return s.vkey }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		http.Error(w, "too many requests at once", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	s.mux.ServeHTTP(w, r)
}

// load reads a log's state back, which must carry a cosignature by this witness.
func (s *Server) load(l *watched) error {
	b, err := os.ReadFile(l.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	p, err := custody.ParseWitnessPolicy("witness w " + s.vkey + "\nquorum w\n")
	if err != nil {
		return err
	}
	n, err := note.Open(b, note.VerifierList(append(p.Verifiers(), l.keys...)...))
	if err != nil {
		return err
	}
	own := p.Verifiers()[0]
	for _, sig := range n.Sigs {
		if sig.Name == own.Name() && sig.Hash == own.KeyHash() {
			c, err := parseText(n.Text)
			if err != nil {
				return err
			}
			raw, err := base64.StdEncoding.DecodeString(sig.Base64)
			if err != nil {
				return err
			}
			l.last = seen{size: c.size, root: c.root, at: custody.CosignatureTime(raw), signed: b}
			return nil
		}
	}
	return errors.New("it is not by this witness's key")
}

// text is what a log's checkpoint says. Lines after the third are the log's own.
type text struct {
	origin string
	size   uint64
	root   tlog.Hash
}

func parseText(t string) (c text, err error) {
	lines := strings.SplitN(t, "\n", 4)
	if len(lines) != 4 {
		return c, errors.New("a checkpoint has at least three lines")
	}
	c.origin = lines[0]
	if c.size, err = decimal(lines[1]); err != nil {
		return c, err
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != len(c.root) {
		return c, errors.New("a root is 32 bytes in base64")
	}
	copy(c.root[:], root)
	return c, nil
}

func decimal(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%.40q is not a size", s)
	}
	return n, nil
}

// refusal is an answer that is no cosignature.
type refusal struct {
	status int
	why    string
	size   uint64 // of a conflict
}

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status: status, why: fmt.Sprintf(format, args...)}
}

// request is an add-checkpoint request.
type request struct {
	old    uint64
	proof  tlog.TreeProof
	signed []byte
	note   *note.Note // of the lines that a key of the log made
	text
}

func (s *Server) addCheckpoint(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, "the request cannot be read, or is longer than 64 KiB", http.StatusBadRequest)
		return
	}
	line, no := s.cosign(body)
	switch {
	case no == nil:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, line)
	case no.status == http.StatusConflict:
		w.Header().Set("Content-Type", sizeType)
		w.WriteHeader(no.status)
		_, _ = fmt.Fprintf(w, "%d\n", no.size)
	default:
		http.Error(w, no.why, no.status)
	}
}

// cosign does what a request asks for, and returns the signature line.
func (s *Server) cosign(body []byte) (string, *refusal) {
	q, no := parseRequest(body)
	if no != nil {
		return "", no
	}
	l := s.logs[q.origin]
	if l == nil {
		return "", refuse(http.StatusNotFound, "this witness does not know the log %.200q", q.origin)
	}
	if no := q.verify(l.keys); no != nil {
		return "", no
	}
	if q.old > q.size {
		return "", refuse(http.StatusBadRequest, "old size %d is larger than the checkpoint's %d", q.old, q.size)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if q.old != l.last.size {
		return "", &refusal{status: http.StatusConflict, size: l.last.size}
	}
	if no := q.consistent(l.last); no != nil {
		s.logger.Error("A LOG CONTRADICTS ITSELF", "origin", q.origin, "cosigned", string(l.last.signed), "presented", string(q.signed), "why", no.why)
		return "", no
	}
	line, err := s.persist(l, q)
	if err != nil {
		s.logger.Error("cosign", "origin", q.origin, "error", err)
		return "", refuse(http.StatusInternalServerError, "the witness cannot cosign now")
	}
	return line, nil
}

func parseRequest(body []byte) (*request, *refusal) {
	head, signed, ok := bytes.Cut(body, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	size, isOld := strings.CutPrefix(lines[0], "old ")
	if !ok || !isOld {
		return nil, refuse(http.StatusBadRequest, "a request is a line old SIZE, a proof, an empty line and a checkpoint")
	}
	q := &request{signed: signed}
	var err error
	if q.old, err = decimal(size); err != nil {
		return nil, refuse(http.StatusBadRequest, "old size: %v", err)
	}
	if len(lines)-1 > maxProofLines {
		return nil, refuse(http.StatusBadRequest, "a proof has at most %d lines", maxProofLines)
	}
	for _, line := range lines[1:] {
		b, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(b) != tlog.HashSize {
			return nil, refuse(http.StatusBadRequest, "a line of a proof is not 32 bytes in base64")
		}
		q.proof = append(q.proof, tlog.Hash(b))
	}
	body, _, ok = bytes.Cut(signed, []byte("\n\n"))
	if q.text, err = parseText(string(body) + "\n"); !ok || err != nil {
		return nil, refuse(http.StatusBadRequest, "the checkpoint cannot be read")
	}
	return q, nil
}

// verify checks that a key of the log signed.
func (q *request) verify(keys []note.Verifier) *refusal {
	n, err := note.Open(q.signed, note.VerifierList(keys...))
	switch invalid, unverified := new(note.InvalidSignatureError), new(note.UnverifiedNoteError); {
	case errors.As(err, &invalid), errors.As(err, &unverified):
		return refuse(http.StatusForbidden, "no signature by a key of the log that this witness knows, or one that fails")
	case err != nil:
		return refuse(http.StatusBadRequest, "the checkpoint is not a signed note")
	}
	again, err := parseText(n.Text)
	if err != nil || again != q.text {
		return refuse(http.StatusBadRequest, "the checkpoint cannot be read")
	}
	q.note = n
	return nil
}

// consistent checks that a request goes on from what was seen of the log.
func (q *request) consistent(last seen) *refusal {
	empty := tlog.Hash(custody.Hash(nil))
	switch {
	case q.size == emptySize && q.root != empty:
		return refuse(http.StatusUnprocessableEntity, "a log of size 0 has another root")
	case (q.old == emptySize || q.old == q.size) && len(q.proof) > 0:
		return refuse(http.StatusUnprocessableEntity, "a proof where there is nothing to prove")
	case q.old == emptySize:
		return nil
	case q.old == q.size:
		if q.root != last.root {
			return refuse(http.StatusUnprocessableEntity, "this witness cosigned another root at size %d", q.size)
		}
		return nil
	}
	if err := tlog.CheckTree(q.proof, int64(q.size), q.root, int64(q.old), last.root); err != nil {
		return refuse(http.StatusUnprocessableEntity, "size %d is not shown to go on from what this witness cosigned at size %d", q.size, q.old)
	}
	return nil
}

// persist cosigns a request and makes that the log's last checkpoint, on disk. The
// caller holds l.mu.
func (s *Server) persist(l *watched, q *request) (string, error) {
	at := custody.TimeOf(s.now().Truncate(time.Second))
	if at < l.last.at {
		return "", fmt.Errorf("it is %s, and the last cosignature was made at %s: the clock was set back", at, l.last.at)
	}
	line, err := custody.CosignText(s.name, s.key, q.note.Text, at)
	if err != nil {
		return "", err
	}
	signed := []byte(q.note.Text + "\n")
	for _, sig := range q.note.Sigs {
		signed = append(signed, "— "+sig.Name+" "+sig.Base64+"\n"...)
	}
	signed = append(signed, line...)
	if err := replace(l.path, signed); err != nil {
		return "", err
	}
	l.last = seen{size: q.size, root: q.root, at: at, signed: signed}
	return line, nil
}

// replace puts a file in the place of another: after a crash it is the one or the
// other, whole; on return it is the new one.
func replace(path string, b []byte) error {
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// checkpoint serves the last cosigned checkpoint of a log.
func (s *Server) checkpoint(w http.ResponseWriter, r *http.Request) {
	for origin, l := range s.logs {
		if custody.Hash([]byte(origin)).Hex() != r.PathValue("hash") {
			continue
		}
		l.mu.Lock()
		b := l.last.signed
		l.mu.Unlock()
		if len(b) > 0 {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = w.Write(b)
			return
		}
	}
	http.Error(w, "this witness has cosigned no checkpoint of that log", http.StatusNotFound)
}

// byPeer names whom a request comes from: the other end of the connection. Behind a
// proxy all requests are the proxy's.
func byPeer(r *http.Request) (string, error) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	return host, err
}
