package bundle

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/stamp"
)

// Stamp is a stamp of a time-stamping authority on a checkpoint of the log, in a
// Source.
type Stamp struct {
	Checkpoint []byte // signed
	Token      []byte // RFC 3161, in its one spelling
}

// Stamps is where Collect finds stamps.
type Stamps interface {
	// Authorities returns the names of all authorities that ever stamped the log. Of
	// more than MaxTokens the first ones' stamps are taken: those come first whom
	// somebody has reason to believe.
	Authorities(context.Context) ([]string, error)
	// Stamp returns an authority's stamp of the smallest size above one, or
	// custody.ErrUnknown.
	Stamp(ctx context.Context, authority string, above uint64) (Stamp, error)
	// LastStamp returns an authority's stamp of the largest size up to one, or
	// custody.ErrUnknown.
	LastStamp(ctx context.Context, authority string, upTo uint64) (Stamp, error)
	// Consistency proves (RFC 6962, section 2.1.2) that the log of one size is the
	// beginning of the log of another.
	Consistency(ctx context.Context, from, to uint64) ([]custody.Digest, error)
}

// Stamped is a checkpoint in a bundle with the stamps on it.
type Stamped struct {
	Size       uint64
	Checkpoint []byte           // with the log's signature alone
	Proof      []custody.Digest // that the bundle's checkpoint goes on from it
	Tokens     [][]byte
}

// The members of a stamped checkpoint.
func stampedName(size uint64) string    { return fmt.Sprintf("stamps/%d/checkpoint", size) }
func stampProofName(size uint64) string { return fmt.Sprintf("stamps/%d/proof", size) }
func tokenName(size uint64, n int) string {
	return fmt.Sprintf("stamps/%d/%d.tst", size, n)
}

// MaxTokens is how many tokens on one checkpoint a bundle has at most.
const MaxTokens = 32

// maxStampProof is the most bytes of a stamp's proof.
const maxStampProof = 64 * 45

// collectStamps gathers, of each authority, the first stamp that covers each record at
// one of the places, and the newest, up to the size of a checkpoint. What is no stamp, or
// is kept in another spelling than its one, is left out.
func collectStamps(ctx context.Context, src Stamps, places []uint64, size uint64) ([]Stamped, error) {
	found := map[uint64]*Stamped{}
	add := func(s Stamp) (uint64, error) {
		point, err := custody.CheckpointBody(s.Checkpoint)
		if err != nil || point.Size > size {
			return 0, err
		}
		if _, err := stamp.Read(s.Token, s.Checkpoint); err != nil { // with it nobody would accept the bundle
			return point.Size, nil
		}
		at := found[point.Size]
		if at == nil {
			at = &Stamped{Size: point.Size, Checkpoint: ownLine(s.Checkpoint)}
			found[point.Size] = at
		}
		if len(at.Tokens) < MaxTokens && !slices.ContainsFunc(at.Tokens, func(t []byte) bool { return bytes.Equal(t, s.Token) }) {
			at.Tokens = append(at.Tokens, s.Token)
		}
		return point.Size, nil
	}
	names, err := src.Authorities(ctx)
	if err != nil {
		return nil, err
	}
	places = slices.Sorted(slices.Values(places))
	for _, name := range names[:min(len(names), MaxTokens)] {
		covered := uint64(0) // below this size
		for _, place := range places {
			if place < covered {
				continue
			}
			s, err := src.Stamp(ctx, name, place)
			if errors.Is(err, custody.ErrUnknown) {
				break
			}
			if err != nil {
				return nil, err
			}
			if covered, err = add(s); err != nil {
				return nil, err
			}
			if covered == 0 { // of a log that went on since
				break
			}
		}
		last, err := src.LastStamp(ctx, name, size)
		if errors.Is(err, custody.ErrUnknown) {
			continue
		}
		if err == nil {
			_, err = add(last)
		}
		if err != nil {
			return nil, err
		}
	}
	list := []Stamped{}
	for _, n := range slices.Sorted(maps.Keys(found)) {
		s := found[n]
		if s.Proof, err = src.Consistency(ctx, n, size); err != nil {
			return nil, err
		}
		slices.SortFunc(s.Tokens, bytes.Compare)
		list = append(list, *s)
	}
	return list, nil
}

// ownLine is a checkpoint with its first signature line alone, which is the log's:
// nothing in the bundle covers the others.
func ownLine(signed []byte) []byte {
	text, lines, _ := strings.Cut(string(signed), "\n\n")
	first, _, _ := strings.Cut(lines, "\n")
	return []byte(text + "\n\n" + first + "\n")
}

// stamps writes the stamped checkpoints.
func (w writer) stamps(list []Stamped) error {
	for _, s := range list {
		var proof []byte
		for _, h := range s.Proof {
			proof = append(base64.StdEncoding.AppendEncode(proof, h[:]), '\n')
		}
		if err := errors.Join(w.bytes(stampedName(s.Size), s.Checkpoint), w.bytes(stampProofName(s.Size), proof)); err != nil {
			return err
		}
		for n, token := range s.Tokens {
			if err := w.bytes(tokenName(s.Size, n), token); err != nil {
				return err
			}
		}
	}
	return nil
}

// StampFound is what a verification found of a stamp.
type StampFound struct {
	Size      uint64                    `json:"size"`                // of the log that is stamped: all records at places below it existed then
	Time      custody.Time              `json:"time"`                // by the clock of whoever stamped it
	Accuracy  int64                     `json:"accuracyMs"`          // by how many milliseconds Time may be off, as he says; 0 when he does not
	Authority string                    `json:"authority,omitempty"` // as the trust file names it; empty when that names none that did
	Kind      custody.TimeAuthorityKind `json:"kind,omitempty"`      // as the trust file says
	Signer    string                    `json:"signer"`              // subject of the certificate that it is signed with
	Verified  bool                      `json:"verified"`            // by an authority of the trust file
}

// GiveOrTake says by how much Time may be off, behind it; nothing where that is not said.
func (s StampFound) GiveOrTake() string { return giveOrTake(s.Accuracy) }

func giveOrTake(ms int64) string {
	if ms == 0 {
		return ""
	}
	return fmt.Sprintf(" ± %s", time.Duration(ms)*time.Millisecond)
}

// Existence is by when a record stood in the log, as somebody says who stamped it: of
// those who did, the one by whom it existed first, however much his time may be off.
type Existence struct {
	By        custody.Time              `json:"by"`         // by the clock of whoever stamped it
	Accuracy  int64                     `json:"accuracyMs"` // by how many milliseconds By may be off, as he says; 0 when he does not
	Authority string                    `json:"authority"`
	Kind      custody.TimeAuthorityKind `json:"kind"`
}

// GiveOrTake says by how much By may be off, behind it; nothing where that is not said.
func (e Existence) GiveOrTake() string { return giveOrTake(e.Accuracy) }

// String says it for people.
func (e Existence) String() string {
	return fmt.Sprintf("existed by %s%s (%s, %s)", e.By, e.GiveOrTake(), e.Authority, e.Kind)
}

// latest is By, with all that it may be off.
func (e Existence) latest() custody.Time {
	return e.By.Add(time.Duration(e.Accuracy) * time.Millisecond)
}

// tells says whether there is more in an existence than in another, or none: the
// operator's own clock counts where nobody else's does.
func (e Existence) tells(more *Existence) bool {
	if more == nil {
		return true
	}
	if own := e.Kind == custody.LocalAuthority; own != (more.Kind == custody.LocalAuthority) {
		return !own
	}
	return e.latest() <= more.latest()
}

// Gap is a time in which records of the bundle were recorded, as the service says, and
// which nothing bears out but a stamp much later.
type Gap struct {
	From    custody.Time `json:"from"`    // when the first of them was recorded
	To      custody.Time `json:"to"`      // by when they existed; zero when no stamp covers them
	Records int          `json:"records"` // of the bundle
}

// stampedLate is how long after it was recorded a record is stamped at the latest, or
// there is a gap: a service has its log stamped once in an hour, where nobody says
// otherwise.
const stampedLate = 2 * time.Hour

// readStamps reads the stamped checkpoints: each must be one that the bundle's goes on
// from, and each token on it sound. Whether the trust file names who made it decides
// what it is worth.
func (c *check) readStamps() error {
	for _, size := range c.head.Stamps {
		signed, err := c.readMember(nil, stampedName(size), maxCheckpoint)
		if err != nil {
			return err
		}
		point, err := c.trust.OpenCheckpoint(signed)
		switch {
		case err != nil:
			return err
		case point.Size != size:
			return fmt.Errorf("is of size %d", point.Size)
		case len(point.By) > 0 || len(point.Unknown) > 0:
			return errors.New("bears signatures beside the log's")
		}
		proof, err := c.readMember(nil, stampProofName(size), maxStampProof)
		if err != nil {
			return err
		}
		if err := c.goesOnFrom(point.Checkpoint, proof); err != nil {
			return err
		}
		if err := c.readTokens(size, signed); err != nil {
			return err
		}
	}
	slices.SortStableFunc(c.verdict.Stamps, func(a, b StampFound) int { return cmp.Or(cmp.Compare(a.Size, b.Size), cmp.Compare(a.Time, b.Time)) })
	return nil
}

// goesOnFrom checks the proof that the bundle's checkpoint goes on from an earlier
// one.
func (c *check) goesOnFrom(point custody.Checkpoint, text []byte) error {
	var proof tlog.TreeProof
	for line := range strings.Lines(string(text)) {
		h, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(line, "\n"))
		if err != nil || len(h) != len(tlog.Hash{}) || base64.StdEncoding.EncodeToString(h)+"\n" != line {
			return errors.New("is not a line for each hash")
		}
		proof = append(proof, tlog.Hash(h))
	}
	if point.Size == 0 || point.Size > c.point.Size {
		return fmt.Errorf("is of size %d, which the bundle's checkpoint, of %d, does not go on from", point.Size, c.point.Size)
	}
	if err := tlog.CheckTree(proof, int64(c.point.Size), tlog.Hash(c.point.Root), int64(point.Size), tlog.Hash(point.Root)); err != nil {
		return fmt.Errorf("does not show that the bundle's checkpoint goes on from it: %w", err)
	}
	return nil
}

// readTokens reads the tokens on a checkpoint, at least one.
func (c *check) readTokens(size uint64, signed []byte) error {
	var before []byte
	for n := 0; ; n++ {
		if err := c.in.next(); err != nil {
			return err
		}
		if c.in.name != tokenName(size, n) {
			if n == 0 {
				return fmt.Errorf("stands where %s should", tokenName(size, n))
			}
			c.in.again = true
			return nil
		}
		if n == MaxTokens {
			return fmt.Errorf("more than %d stamps of one size", MaxTokens)
		}
		token, err := c.in.all(nil, stamp.MaxToken)
		if err != nil {
			return err
		}
		if bytes.Compare(before, token) >= 0 {
			return errors.New("the stamps of one size are not in order, or one is there twice")
		}
		before = token
		if err := c.readToken(token, signed); err != nil {
			return err
		}
	}
}

func (c *check) readToken(token, signed []byte) error {
	s, err := stamp.Read(token, signed)
	if err != nil {
		return err
	}
	for _, a := range c.trust.Authorities {
		if by, err := stamp.Verify(token, signed, a); err == nil {
			s = by
			break
		}
	}
	s.Signer = oneLine(s.Signer) // anybody can certify himself under any name
	c.verdict.Stamps = append(c.verdict.Stamps, StampFound{
		Size: s.Size, Time: s.Time, Accuracy: s.Accuracy.Milliseconds(), Authority: s.Authority, Kind: s.Kind, Signer: s.Signer, Verified: s.Authority != "",
	})
	if s.Authority == "" {
		c.verdict.Warnings = append(c.verdict.Warnings, Problem{Where: c.in.name, What: fmt.Sprintf(
			"a stamp of size %d at %s by an authority that your trust file does not name: %s", s.Size, s.Time, s.Signer)})
	}
	return nil
}

// existences returns what says by when a record at a place of the log existed; nil when no
// stamp that is believed covers it. There can be many stamps, and many records, so that
// each is looked at once.
func (v *Verdict) existences() func(place uint64) *Existence {
	first := make([]*Existence, len(v.Stamps)+1) // by the stamps from each on, which are in order of size
	for n, s := range slices.Backward(v.Stamps) {
		first[n] = first[n+1]
		if e := (Existence{By: s.Time, Accuracy: s.Accuracy, Authority: s.Authority, Kind: s.Kind}); s.Verified && e.tells(first[n]) {
			first[n] = &e
		}
	}
	return func(place uint64) *Existence {
		return first[sort.Search(len(v.Stamps), func(n int) bool { return v.Stamps[n].Size > place })]
	}
}

// checkStamps holds what the records say of their time against the stamps.
func (c *check) checkStamps() {
	existed := c.verdict.existences()
	for _, list := range [][]Event{c.verdict.Timeline, c.verdict.Around} {
		for i := range list {
			list[i].Stamped = existed(list[i].Index)
		}
	}
	for _, s := range c.streams {
		for e := range s.told() {
			c.datedAfter(e, existed(e.index))
		}
	}
	c.findGaps(existed)
}

// datedAfter warns of a record that says it was recorded after somebody else had
// stamped it.
func (c *check) datedAfter(e *entry, first *Existence) {
	if first != nil && first.Kind != custody.LocalAuthority && e.record.Recorded > first.latest().Add(clocksDiffer) {
		c.verdict.Warnings = append(c.verdict.Warnings, Problem{Where: e.where, What: fmt.Sprintf(
			"says that it was recorded at %s, though %s had stamped it by %s%s", e.record.Recorded, first.Authority, first.By, first.GiveOrTake())})
	}
}

// findGaps lists the times that no stamp bears out, where the bundle has one that is
// believed.
func (c *check) findGaps(existed func(place uint64) *Existence) {
	if existed(0) == nil {
		return
	}
	type dated struct{ recorded, by custody.Time }
	var late []dated
	for _, s := range c.streams {
		for e := range s.told() {
			switch first := existed(e.index); {
			case first == nil:
				late = append(late, dated{e.record.Recorded, 0})
			case first.latest() > e.record.Recorded.Add(stampedLate):
				late = append(late, dated{e.record.Recorded, first.By})
			}
		}
	}
	slices.SortFunc(late, func(a, b dated) int { // what nobody stamped yet comes last
		return cmp.Or(cmp.Compare(uint64(a.by)-1, uint64(b.by)-1), cmp.Compare(a.recorded, b.recorded))
	})
	for _, d := range late {
		if n := len(c.verdict.Gaps); n > 0 && c.verdict.Gaps[n-1].To == d.by {
			c.verdict.Gaps[n-1].Records++
			continue
		}
		c.verdict.Gaps = append(c.verdict.Gaps, Gap{From: d.recorded, To: d.by, Records: 1})
	}
}

// whoseClocks is what no verdict leaves unsaid of the times in it.
const whoseClocks = "The times in the records are by the clocks of their signers and of the service; nothing but stamps and witnesses bounds them from outside."

// stamps says what is known of the time from outside the log, for people. A bundle
// verifies without its stamps too, so that nothing is said of what is not here.
func (v *Verdict) stamps() string {
	var b strings.Builder
	believed := slices.DeleteFunc(slices.Clone(v.Stamps), func(s StampFound) bool { return !s.Verified })
	if len(believed) == 0 {
		b.WriteString("Time        by the service's own word: this bundle has no stamp by an authority of your trust file.\n")
	}
	for n, s := range believed {
		label := ""
		if n == 0 {
			label = "Time"
		}
		fmt.Fprintf(&b, "%-11s the log's first %d records existed by %s%s (%s, %s).\n", label, s.Size, s.Time, s.GiveOrTake(), s.Authority, s.Kind)
	}
	for _, g := range v.Gaps {
		if g.To == 0 {
			fmt.Fprintf(&b, "            NOT STAMPED: %d records of this bundle, recorded from %s on as the service says: no stamp here covers them.\n", g.Records, g.From)
			continue
		}
		fmt.Fprintf(&b, "            GAP: %d records of this bundle, recorded from %s on as the service says: the first stamp here that covers them is of %s.\n", g.Records, g.From, g.To)
	}
	b.WriteString("            " + whoseClocks + "\n")
	for _, n := range v.Notices {
		fmt.Fprintf(&b, "            on record at %s: %s.\n", n.Recorded, n.NoticeTime)
	}
	return b.String()
}

// Notice is what the service put on record about a time-stamping authority.
type Notice struct {
	custody.NoticeTime
	Recorded custody.Time `json:"recorded"`
}

// notices lists what the policy stream says of authorities.
func (c *check) notices() {
	s := c.stream(custody.PolicyStream)
	if s == nil {
		return
	}
	for e := range s.told() {
		if act, ok := e.statement.Act.(*custody.NoticeTime); ok && e.record.Decision.Permit {
			c.verdict.Notices = append(c.verdict.Notices, Notice{*act, e.record.Recorded})
		}
	}
}
