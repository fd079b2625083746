package paper

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/paper/caseuco"
)

// MaxBundle is how large a bundle that papers are made from may be: it is attached
// to them. One of an item with its artifact is larger; the same without it says as
// much.
const MaxBundle = 128 << 20

// ErrNotVerified says that a bundle does not verify: no paper is made from it.
var ErrNotVerified = errors.New("the bundle does not verify: no paper is made from it")

// Proof is a bundle that verified, as papers are made from it.
type Proof struct {
	Verdict *bundle.Verdict
	Bundle  []byte         // its bytes
	SHA256  custody.Digest // of them
	Trust   custody.Digest // fingerprint of the trust file
}

// Read verifies a bundle against a trust file. The error wraps ErrNotVerified when
// anything at all is wrong with it.
func Read(b []byte, trust *custody.Trust, words custody.Vocabulary) (*Proof, error) {
	if len(b) > MaxBundle {
		return nil, fmt.Errorf("the bundle has %d bytes; papers are made from one of at most %d: export it without its artifact", len(b), MaxBundle)
	}
	print, err := trust.Fingerprint()
	if err != nil {
		return nil, err
	}
	v := bundle.Verify(bytes.NewReader(b), trust, bundle.Options{Words: words})
	if !v.Verified {
		return nil, fmt.Errorf("%w: %s: %s", ErrNotVerified, v.Problems[0].Where, v.Problems[0].What)
	}
	return &Proof{Verdict: v, Bundle: b, SHA256: custody.Hash(b), Trust: print}, nil
}

// File is a paper as it lies in a folder.
type File struct {
	Name  string // of the file
	Kind  string // one of custody.PaperKinds
	Bytes []byte
}

// Make makes the papers of the kinds, in order of custody.PaperKinds; none means
// all. A kind that there is none of is an error.
func (p *Proof) Make(kinds ...string) (files []File, err error) {
	made := []struct {
		kind, name string
		document   func() *Document
	}{
		{custody.PaperReport, "custody-report", p.Report},
		{custody.Paper90213, "certificate-902-13", p.Certificate13},
		{custody.Paper90214, "certificate-902-14", p.Certificate14},
	}
	for _, k := range kinds {
		if !slices.Contains(custody.PaperKinds(), k) {
			return nil, fmt.Errorf("%.40q is no kind of paper", k)
		}
	}
	for _, m := range made {
		if len(kinds) > 0 && !slices.Contains(kinds, m.kind) {
			continue
		}
		d := m.document()
		page, err := d.HTML()
		if err != nil {
			return nil, fmt.Errorf("%s as HTML: %w", m.name, err)
		}
		sheet, err := d.PDF()
		if err != nil {
			return nil, fmt.Errorf("%s as PDF: %w", m.name, err)
		}
		files = append(files, File{m.name + ".html", m.kind, page}, File{m.name + ".pdf", m.kind, sheet})
	}
	if len(kinds) == 0 || slices.Contains(kinds, custody.PaperCase) {
		b, err := caseuco.Write(p.Verdict, p.SHA256)
		if err != nil {
			return nil, err
		}
		files = append(files, File{"case.jsonld", custody.PaperCase, b})
	}
	return files, nil
}

// asOf is the time of the newest record that the bundle's items have: papers are
// dated with it, since there is no clock here.
func (p *Proof) asOf() (at custody.Time) {
	for _, e := range p.Verdict.Timeline {
		at = max(at, e.Recorded)
	}
	return at
}

// new begins a document from the proof.
func (p *Proof) new(title string, draft bool) *Document {
	return &Document{
		Title: title, Draft: draft, Bundle: p.SHA256, At: p.asOf(), Code: p.Code(),
	}
}

// Code is what the QR code of a paper holds: which bundle it was made from, and
// which head of which log that is under.
//
//	custody/v1/paper
//	<SHA-256 of the bundle, 64 hexadecimal digits>
//	<origin>
//	<size>
//	<root, 64 hexadecimal digits>
func (p *Proof) Code() string {
	v := p.Verdict
	return fmt.Sprintf("custody/v1/paper\n%s\n%s\n%d\n%s\n", p.SHA256.Hex(), v.Origin, v.Size, v.Root.Hex())
}

// OfIncident says whether the proof is of an incident with all its items.
func (p *Proof) OfIncident(id custody.IncidentID) bool {
	return p.Verdict.Scope == bundle.ScopeIncident && p.Verdict.Incident == id
}

// Of says whether the proof is of an item.
func (p *Proof) Of(id custody.EvidenceID) bool {
	return slices.ContainsFunc(p.Verdict.Items, func(i *bundle.Item) bool { return i.Evidence == id })
}
