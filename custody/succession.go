package custody

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A Succession says that a key of the log gave way to another, and with which
// checkpoint: the last that it signed. It is a signed note (c2sp.org/signed-note)
// of five lines, by both keys:
//
//	custody/v1/succession
//	custody.example/demo
//	custody.example/demo+8a1b2c3d+AZ…
//	7
//	CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
type Succession struct {
	Checkpoint        // the last that the old key signed
	To         string // verifier key of the new one
}

const successionHeader = "custody/v1/succession"

// Sign returns the note, by the old key and the new one.
func (s *Succession) Sign(from, to note.Signer) ([]byte, error) {
	return note.Sign(&note.Note{Text: s.text()}, from, to)
}

func (s *Succession) text() string {
	return fmt.Sprintf("%s\n%s\n%s\n%d\n%s\n", successionHeader, s.Origin, s.To, s.Size, base64.StdEncoding.EncodeToString(s.Root[:]))
}

// OpenSuccession verifies that a note is the succession of a log's key, by that key
// and the new one.
func OpenSuccession(signed []byte, from note.Verifier) (*Succession, error) {
	text, _, _ := strings.Cut(string(signed), "\n\n")
	lines := strings.Split(text, "\n")
	if len(lines) != 5 || lines[0] != successionHeader {
		return nil, fmt.Errorf("succession of a log's key: not five lines that begin with %q", successionHeader)
	}
	to, err := parseLogKey(lines[2])
	if err != nil {
		return nil, fmt.Errorf("succession of a log's key: %w", err)
	}
	text, good, unknown, err := openNote(signed, from, to)
	if err != nil {
		return nil, fmt.Errorf("succession of a log's key: %w", err)
	}
	s := &Succession{To: lines[2]}
	s.Origin = lines[1]
	if s.Size, err = strconv.ParseUint(lines[3], 10, 63); err != nil {
		return nil, fmt.Errorf("succession of a log's key: size: %w", err)
	}
	root, err := base64.StdEncoding.DecodeString(lines[4])
	if err != nil || len(root) != len(s.Root) {
		return nil, errors.New("succession of a log's key: its root is not 32 bytes in base64")
	}
	s.Root = Digest(root)
	switch {
	case s.text() != text:
		return nil, errors.New("succession of a log's key: not in canonical form")
	case len(unknown) > 0 || good[from].line == "" || good[to].line == "":
		return nil, errors.New("succession of a log's key: not signed by the old key and the new one, and no other")
	case s.Origin != from.Name() || to.Name() != from.Name() || to.KeyHash() == from.KeyHash():
		return nil, errors.New("succession of a log's key: the keys are not two of one log")
	}
	return s, nil
}

// LogKeys are the keys of a log, the oldest first, the one that signs now last. Each
// but that verifies only checkpoints up to the one with which it gave way.
type LogKeys []note.Verifier

// Now returns the key that signs now.
func (k LogKeys) Now() note.Verifier { return k[len(k)-1] }

// For returns the key that a note says it is signed with; the one that signs now when
// it says none of them.
func (k LogKeys) For(signed []byte) note.Verifier {
	if len(k) == 1 {
		return k[0]
	}
	claimed := new(note.UnverifiedNoteError)
	if _, err := note.Open(signed, note.VerifierList()); errors.As(err, &claimed) {
		for _, s := range claimed.Note.UnverifiedSigs {
			for _, v := range k {
				if s.Name == v.Name() && s.Hash == v.KeyHash() {
					return v
				}
			}
		}
	}
	return k.Now()
}

// NewLogKeys returns the keys of a log that began with the verifier key first, after
// these successions.
func NewLogKeys(first string, successions []string) (LogKeys, error) {
	keys, _, err := followKeys(first, successions)
	return keys, err
}

// followKeys returns the keys, and the text of the last.
func followKeys(first string, successions []string) (LogKeys, string, error) {
	v, err := parseLogKey(first)
	if err != nil {
		return nil, "", fmt.Errorf("log key: %w", err)
	}
	last := first
	var keys LogKeys
	size := uint64(0)
	for _, signed := range successions {
		s, err := OpenSuccession([]byte(signed), v)
		if err != nil {
			return nil, "", err
		}
		if s.Size < size {
			return nil, "", errors.New("succession of a log's key: of a smaller log than the one before it")
		}
		size, last = s.Size, s.To
		keys = append(keys, formerKey{v, s.Checkpoint})
		if v, err = parseLogKey(s.To); err != nil {
			return nil, "", fmt.Errorf("log key: %w", err)
		}
		for _, before := range keys {
			if before.KeyHash() == v.KeyHash() {
				return nil, "", errors.New("succession of a log's key: to a key that gave way before")
			}
		}
	}
	return append(keys, v), last, nil
}

// formerKey verifies checkpoints no larger than the last that its key signed, and of
// that size that one only.
type formerKey struct {
	note.Verifier
	last Checkpoint
}

// Verify implements note.Verifier.
func (k formerKey) Verify(text, sig []byte) bool {
	if !k.Verifier.Verify(text, sig) {
		return false
	}
	c, err := ParseCheckpoint(string(text))
	if err != nil {
		return false
	}
	return c.Size < k.last.Size || c == k.last
}

// KindReplaceLogKey is the kind of statement that a key of the log gave way.
const KindReplaceLogKey Kind = "log.rekey"

// ReplaceLogKey puts on record, as one of the first leaves under a new key of the
// log, that the old one gave way to it.
type ReplaceLogKey struct {
	Succession string `json:"succession"` // Succession.Sign
}

func (*ReplaceLogKey) Kind() Kind         { return KindReplaceLogKey }
func (*ReplaceLogKey) NeedsPurpose() bool { return false }
func (a *ReplaceLogKey) Subject() Subject {
	return Subject{Name: "log", SHA256: Hash([]byte(a.Succession))}
}

// Check implements Act.
func (a *ReplaceLogKey) Check(*Statement) error {
	if len(a.Succession) == 0 || len(a.Succession) > math.MaxUint16 {
		return errors.New("succession is missing, or too long")
	}
	return nil
}

// Lawful implements Act.
func (a *ReplaceLogKey) Lawful(v View, s *Statement) (Outcome, error) {
	p, err := PolicyOf(v)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Stream: PolicyStream, Resource: Resource{Type: "Custody", ID: s.Audience}}
	if _, err := NewLogKeys(p.Log, append(p.Successions[:len(p.Successions):len(p.Successions)], a.Succession)); err != nil {
		return out, unlawful("%s", err)
	}
	return out, nil
}
