package custody

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is the head of the log (c2sp.org/tlog-checkpoint): the body of a
// signed note of three lines, origin, size in decimal, and root in base64.
//
//	custody.example/demo
//	7
//	CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
type Checkpoint struct {
	Origin string
	Size   uint64 // number of leaves
	Root   Digest // RFC 6962 root hash of the tree of that size
}

// String returns the note body, with its final newline.
func (c Checkpoint) String() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
}

// ParseCheckpoint accepts exactly what String writes. Extension lines, which
// c2sp.org/tlog-checkpoint discourages, are refused.
func ParseCheckpoint(body string) (Checkpoint, error) {
	lines := strings.SplitN(body, "\n", 4)
	if len(lines) != 4 || lines[0] == "" || lines[3] != "" {
		return Checkpoint{}, errors.New("checkpoint is not three lines: origin, size, root")
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint size %.40q is not a number", lines[1])
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != len(Digest{}) {
		return Checkpoint{}, fmt.Errorf("checkpoint root %.60q is not 32 bytes in base64", lines[2])
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: Digest(root)}
	if c.String() != body {
		return Checkpoint{}, errors.New("checkpoint is not in canonical form")
	}
	return c, nil
}

// OpenCheckpoint verifies a signed checkpoint against the log's key and
// returns what it says. Every signature on it must be by a key in known, which
// always includes the log's: an unknown line would be a line nothing covers.
func OpenCheckpoint(signed []byte, log note.Verifier, known ...note.Verifier) (Checkpoint, error) {
	text, good, unknown, err := openNote(signed, append([]note.Verifier{log}, known...)...)
	switch {
	case err != nil:
		return Checkpoint{}, err
	case len(unknown) > 0:
		return Checkpoint{}, fmt.Errorf("checkpoint: signature by unknown key: %.200q", unknown[0])
	case good[log].line == "":
		return Checkpoint{}, fmt.Errorf("checkpoint is not signed by the log %s", log.Name())
	}
	return parseCheckpointOf(log, text)
}

// parseCheckpointOf reads the text of a checkpoint of a log.
func parseCheckpointOf(log note.Verifier, text string) (Checkpoint, error) {
	c, err := ParseCheckpoint(text)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != log.Name() {
		return Checkpoint{}, fmt.Errorf("checkpoint is of log %q, not of %q", c.Origin, log.Name())
	}
	return c, nil
}

// Receipt proves that a leaf is in the log (c2sp.org/tlog-proof):
//
//	c2sp.org/tlog-proof@v1
//	extra <base64>
//	index 5
//	<base64 hash>
//	…
//
//	<signed checkpoint>
//
// In a receipt of Custody the extra data is the record's opening and its tag,
// so that record, receipt and trust file are all that a verification takes.
type Receipt struct {
	Extra      []byte   // 32 bytes of opening and 32 of tag, or empty
	Index      uint64   // position of the leaf in the log, from 0
	Proof      []Digest // RFC 6962 audit path, from the leaf up
	Checkpoint []byte   // signed note
}

const receiptHeader = "c2sp.org/tlog-proof@v1"

// hashLine is the length of a hash in base64.
const hashLine = (len(Digest{}) + 2) / 3 * 4

// maxReceipt bounds what ParseReceipt reads: 63 hashes and a checkpoint with
// many cosignatures fit.
const maxReceipt = 64 << 10

// Marshal returns the text form.
func (r *Receipt) Marshal() []byte {
	const lines = len(receiptHeader + "\nextra \nindex 18446744073709551615\n\n")
	extra := base64.StdEncoding.EncodedLen(len(r.Extra))
	b := make([]byte, 0, lines+extra+(hashLine+1)*len(r.Proof)+len(r.Checkpoint))
	b = append(b, receiptHeader+"\n"...)
	if len(r.Extra) > 0 {
		b = base64.StdEncoding.AppendEncode(append(b, "extra "...), r.Extra)
		b = append(b, '\n')
	}
	b = strconv.AppendUint(append(b, "index "...), r.Index, 10)
	b = append(b, '\n')
	for _, h := range r.Proof {
		b = append(base64.StdEncoding.AppendEncode(b, h[:]), '\n')
	}
	b = append(b, '\n')
	return append(b, r.Checkpoint...)
}

// ParseReceipt accepts exactly what Marshal writes. It verifies nothing.
func ParseReceipt(b []byte) (*Receipt, error) {
	if len(b) > maxReceipt {
		return nil, fmt.Errorf("receipt is larger than %d bytes", maxReceipt)
	}
	head, checkpoint, ok := bytes.Cut(b, []byte("\n\n"))
	lines := bytes.Split(head, []byte("\n"))
	if !ok || string(lines[0]) != receiptHeader {
		return nil, fmt.Errorf("receipt does not begin with %q", receiptHeader)
	}
	r := &Receipt{Checkpoint: bytes.Clone(checkpoint)}
	lines = lines[1:]
	var err error
	if len(lines) > 0 && bytes.HasPrefix(lines[0], []byte("extra ")) {
		if r.Extra, err = base64.StdEncoding.AppendDecode(nil, lines[0][len("extra "):]); err != nil {
			return nil, fmt.Errorf("receipt: extra data: %w", err)
		}
		lines = lines[1:]
	}
	if len(lines) == 0 || !bytes.HasPrefix(lines[0], []byte("index ")) {
		return nil, errors.New("receipt has no index line")
	}
	if r.Index, err = strconv.ParseUint(string(lines[0][len("index "):]), 10, 63); err != nil {
		return nil, fmt.Errorf("receipt: index: %w", err)
	}
	lines = lines[1:]
	r.Proof = slices.Grow(r.Proof, len(lines))
	for _, l := range lines {
		h, ok := parseHashLine(l)
		if !ok {
			return nil, fmt.Errorf("receipt: proof line %.60q is not a hash", l)
		}
		r.Proof = append(r.Proof, h)
	}
	if !bytes.Equal(r.Marshal(), b) {
		return nil, errors.New("receipt is not in canonical form")
	}
	return r, nil
}

func parseHashLine(l []byte) (Digest, bool) {
	if len(l) != hashLine {
		return Digest{}, false
	}
	var h [hashLine / 4 * 3]byte // the most that such a line can hold
	n, err := base64.StdEncoding.Decode(h[:], l)
	return Digest(h[:len(Digest{})]), err == nil && n == len(Digest{})
}

// Verify checks that leaf is in the log of trust, under a checkpoint that the
// log signed, and returns that checkpoint: who cosigned it and when, and whether
// that is the quorum that the trust file asks for. It does not fail where the
// quorum is not met: that is for the caller to weigh.
func (r *Receipt) Verify(trust *Trust, leaf Leaf) (*Cosigned, error) {
	c, err := trust.OpenCheckpoint(r.Checkpoint)
	if err != nil {
		return nil, err
	}
	return c, r.VerifyUnder(c.Checkpoint, leaf)
}

// VerifyUnder checks that leaf is in the tree of a checkpoint that the caller
// has verified before.
func (r *Receipt) VerifyUnder(c Checkpoint, leaf Leaf) error {
	proof := make(tlog.RecordProof, len(r.Proof))
	for i, h := range r.Proof {
		proof[i] = tlog.Hash(h)
	}
	if r.Index >= c.Size {
		return fmt.Errorf("receipt: index %d is outside the log of size %d", r.Index, c.Size)
	}
	if err := tlog.CheckRecord(proof, int64(c.Size), tlog.Hash(c.Root), int64(r.Index), tlog.RecordHash(leaf[:])); err != nil {
		return fmt.Errorf("receipt: leaf %d is not in the log of size %d: %w", r.Index, c.Size, err)
	}
	return nil
}

// Open makes the receipt carry a record's opening and tag.
func (r *Receipt) Open(o Opening, t Tag) {
	r.Extra = append(o[:], t[:]...)
}

// Leaf returns the leaf of record, from the opening and tag that the receipt
// carries.
func (r *Receipt) Leaf(record []byte) (Leaf, error) {
	const half = len(Opening{})
	if len(r.Extra) != 2*half {
		return Leaf{}, errors.New("receipt carries no opening and tag")
	}
	return NewLeaf(Commit(Opening(r.Extra[:half]), record), Tag(r.Extra[half:])), nil
}

// CheckpointBody reads a signed checkpoint without verifying it: for the log's
// own service, which verified it when it was made.
func CheckpointBody(signed []byte) (Checkpoint, error) {
	body, _, ok := strings.Cut(string(signed), "\n\n")
	if !ok {
		return Checkpoint{}, errors.New("checkpoint carries no signature")
	}
	return ParseCheckpoint(body + "\n")
}
