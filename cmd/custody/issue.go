package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/paper"
	"github.com/forensic-custody/custody/investigate"
)

// issuing is a folder of papers while they are put on record.
type issuing struct {
	reporting
	subject
	cl    *client.Client
	trust *custody.Trust // that the papers are made with
	goes  bool           // on: the folder was there before
	old   bool           // the proof was exported before: papers of it may be on record

	// onRecord are the papers that the user has put on record with this purpose; nil
	// before that was asked for.
	onRecord map[paperOf]client.Recorded
}

// subject is what papers are issued about: an item, or an incident with all its items.
type subject struct {
	item     custody.EvidenceID // empty where it is an incident
	incident custody.IncidentID // empty where it is an item
}

// parseSubject reads an identifier of one.
func parseSubject(text string) (subject, error) {
	if id, err := custody.ParseEvidenceID(text); err == nil {
		return subject{item: id}, nil
	}
	id, err := custody.ParseIncidentID(text)
	if err != nil {
		return subject{}, usagef("%q is no identifier of an item (e-…) or an incident (i-…)", text)
	}
	return subject{incident: id}, nil
}

// paperOf says which paper about the subject.
type paperOf struct {
	kind   string
	sha256 custody.Digest
	size   uint64
}

func (s subject) stream() custody.Stream {
	if s.incident != "" {
		return s.incident.Stream()
	}
	return s.item.Stream()
}

// act issues a paper about it.
func (s subject) act(p paperOf) custody.Act {
	if s.incident != "" {
		return &custody.ReportIncident{Incident: s.incident, Paper: p.kind, SHA256: p.sha256, Size: p.size}
	}
	return &custody.ReportEvidence{Evidence: s.item, Paper: p.kind, SHA256: p.sha256, Size: p.size}
}

// issuedIn returns which paper about it an act issues.
func (s subject) issuedIn(act custody.Act) (p paperOf, ok bool) {
	switch act := act.(type) {
	case *custody.ReportEvidence:
		return paperOf{act.Paper, act.SHA256, act.Size}, act.Evidence == s.item
	case *custody.ReportIncident:
		return paperOf{act.Paper, act.SHA256, act.Size}, act.Incident == s.incident
	}
	return paperOf{}, false
}

// export fetches its proof.
func (s subject) export(ctx context.Context, cl *client.Client, purpose string, w io.Writer) error {
	if s.incident != "" {
		return cl.IncidentBundle(ctx, purpose, s.incident, true, w)
	}
	return cl.Bundle(ctx, purpose, s.item, true, w)
}

// check returns an error when a proof is not of it.
func (s subject) check(p *paper.Proof, path string) error {
	switch whole := p.Verdict.Scope == bundle.ScopeIncident; {
	case whole && s.incident == "":
		return usagef("%s is of a whole incident, and its papers are issued about that: custody report %s", path, p.Verdict.Incident)
	case !whole && s.incident != "":
		return usagef("%s is of one item, and its papers are issued about that: custody report e-…", path)
	case whole && !p.OfIncident(s.incident):
		return fmt.Errorf("%s is a proof of another incident", path)
	case !whole && !p.Of(s.item):
		return fmt.Errorf("%s is a proof of another item", path)
	}
	return nil
}

// issuePapers makes papers and puts each on record. What is in the folder before is
// on the disk before anything is said about it; what was said before is not said
// again.
func (a *app) issuePapers(ctx context.Context, about subject, r reporting) error {
	cl, _, err := a.dial(ctx)
	if err != nil {
		return err
	}
	i := &issuing{reporting: r, subject: about, cl: cl, trust: cl.Trust, old: r.bundle != ""}
	if r.trust != "" {
		if i.trust, err = readTrust(r.trust); err != nil {
			return err
		}
		if err := sameLog(cl.Trust, i.trust); err != nil {
			return refusedf("%s: %w", r.trust, err)
		}
	}
	if err := i.folder(); err != nil {
		return err
	}
	p, files, err := i.prepare(ctx, a)
	if err != nil && !i.goes {
		err = errors.Join(err, os.RemoveAll(r.dir)) // nothing is on record about what lies there
	}
	if err != nil {
		return err
	}
	answer, text := []madePaper{}, ""
	for _, f := range files {
		on, err := i.issue(ctx, p, f)
		if err != nil {
			return err
		}
		m := madeOf(f)
		m.Issued = on
		answer, text = append(answer, m), text+m.String()
	}
	if err := errors.Join(syncFolder(r.dir), a.keep(ctx, cl)); err != nil {
		return err
	}
	return a.answer(papersMade{r.dir, p.SHA256, answer}, text+fmt.Sprintf("%s holds the papers, their receipts, and the proof that they were made from\n", r.dir))
}

// sameLog returns an error when another trust file is of another log than one's own,
// which the service was asked by. About witnesses and authorities they may differ.
func sameLog(own, other *custody.Trust) error {
	switch n := min(len(own.Successions), len(other.Successions)); {
	case own.Origin != other.Origin, own.Log != other.Log, own.Genesis != other.Genesis:
		return fmt.Errorf("a trust file of another log (%s) than that of the service (%s)", other.Origin, own.Origin)
	case !slices.Equal(own.Successions[:n], other.Successions[:n]):
		return errors.New("a trust file in which another key follows the log's than in your own")
	}
	return nil
}

// folder makes the folder, or finds that of a command that was broken off.
func (i *issuing) folder() error {
	err := os.Mkdir(i.dir, 0o700)
	if !errors.Is(err, fs.ErrExist) {
		if err != nil {
			err = usageError{err}
		}
		return err
	}
	kept := filepath.Join(i.dir, paper.BundleName)
	if _, err := os.Lstat(kept); err != nil {
		return usagef("%s is there already, and holds no %s that could be gone on from", i.dir, paper.BundleName)
	}
	i.goes, i.old = true, true
	if i.bundle != "" {
		given, err := readWhole(i.bundle, paper.MaxBundle+1)
		if err != nil {
			return err
		}
		has, err := readWhole(kept, paper.MaxBundle+1)
		if err != nil {
			return err
		}
		if !bytes.Equal(given, has) {
			return usagef("%s is there already, with papers from another proof than %s", i.dir, i.bundle)
		}
	}
	i.bundle = kept
	return nil
}

// prepare writes the proof of the subject and the papers made from it, as far as they
// are not there.
func (i *issuing) prepare(ctx context.Context, a *app) (*paper.Proof, []paper.File, error) {
	kept := filepath.Join(i.dir, paper.BundleName)
	if i.bundle == "" {
		i.bundle = kept
		err := saveNew(i.dir, paper.BundleName, func(w io.Writer) error {
			return i.export(ctx, i.cl, i.purpose, &bounded{w, paper.MaxBundle})
		})
		if err != nil {
			return nil, nil, err
		}
	}
	p, files, err := makePapers(i.reporting, i.trust)
	if err != nil {
		return nil, nil, err
	}
	if err := i.check(p, i.bundle); err != nil {
		return nil, nil, err
	}
	if n := len(p.Verdict.Withheld); n > 0 {
		a.say("note: %d records are withheld in this proof, and each paper says so", n)
	}
	if p.Verdict.Enrolled(i.cl.Actor).Name == "" {
		return nil, nil, refusedf("%s was exported before you were enrolled: nobody could check with it that the papers are issued by you; leave --bundle out, and a new one is exported", i.bundle)
	}
	if i.bundle != kept {
		if err := savePaper(i.dir, paper.BundleName, p.Bundle); err != nil {
			return nil, nil, err
		}
	}
	for _, f := range files {
		if err := i.put(f); err != nil {
			return nil, nil, err
		}
	}
	return p, files, syncNew(i.dir)
}

// put writes a paper that is not in the folder. One that is must be the same.
func (i *issuing) put(f paper.File) error {
	path := filepath.Join(i.dir, f.Name)
	if _, err := os.Lstat(path); err == nil {
		has, err := readWhole(path, maxPaper)
		if err == nil && !bytes.Equal(has, f.Bytes) {
			err = fmt.Errorf("%s is not what %s makes: it was made by another version of the program or with another trust file, or was changed; give another folder", path, i.bundle)
		}
		return err
	}
	return savePaper(i.dir, f.Name, f.Bytes)
}

// issue puts a paper on record, unless it is, and its receipt beside it, and returns
// what proves it.
func (i *issuing) issue(ctx context.Context, p *paper.Proof, f paper.File) (*proof, error) {
	name := f.Name + ".receipt"
	path := filepath.Join(i.dir, name)
	if _, err := os.Lstat(path); err == nil {
		b, err := readWhole(path, maxPaper)
		if err == nil {
			_, err = p.VerifyIssue(f.Bytes, b, i.trust, investigate.Words())
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return i.proven(b)
	}
	b, err := i.receipt(ctx, f)
	if err == nil {
		err = savePaper(i.dir, name, b)
	}
	if err != nil {
		return nil, err
	}
	return i.proven(b)
}

// receipt returns the receipt of a paper: of the record that there is, or else of one
// that it makes.
func (i *issuing) receipt(ctx context.Context, f paper.File) ([]byte, error) {
	of := paperOf{f.Kind, custody.Hash(f.Bytes), uint64(len(f.Bytes))}
	was, found, err := i.before(ctx, of)
	if err != nil {
		return nil, err
	}
	if found {
		return (&paper.Issue{Format: paper.IssueFormat, Proof: string(was.Receipt.Marshal()), Record: was.Raw}).Marshal()
	}
	said, err := i.cl.Say(ctx, i.purpose, i.act(of))
	if refusal := new(client.Error); errors.As(err, &refusal) && refusal.Status == http.StatusForbidden {
		return nil, fmt.Errorf("%s is made, and that you issue it was refused: without its receipt it is an unsigned draft: %w", filepath.Join(i.dir, f.Name), err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s is made, and nothing shows that it is on record; the same command again puts it there, or fetches its receipt if it is: %w", filepath.Join(i.dir, f.Name), err)
	}
	return (&paper.Issue{Format: paper.IssueFormat, Proof: string(said.Receipt.Marshal()), Record: said.Raw}).Marshal()
}

// before finds the record by which the user issued a paper before, with the same
// purpose. A proof that was just exported makes papers that nobody has issued.
func (i *issuing) before(ctx context.Context, of paperOf) (client.Recorded, bool, error) {
	if !i.old {
		return client.Recorded{}, false, nil
	}
	if i.onRecord == nil {
		list, err := i.cl.Records(ctx, i.stream())
		if err != nil {
			return client.Recorded{}, false, err
		}
		i.onRecord = map[paperOf]client.Recorded{}
		for _, r := range list {
			if r.Record == nil || !r.Record.Decision.Permit {
				continue
			}
			s, err := r.Record.Envelope.Statement(investigate.Words())
			if err != nil {
				return client.Recorded{}, false, err
			}
			if said, ok := i.issuedIn(s.Act); ok && s.Actor == i.cl.Actor && s.Purpose == i.purpose {
				i.onRecord[said] = r
			}
		}
	}
	r, found := i.onRecord[of]
	return r, found, nil
}

// proven returns what a receipt that verifies proves.
func (i *issuing) proven(receipt []byte) (*proof, error) {
	var is paper.Issue
	if err := custody.Decode(receipt, &is); err != nil {
		return nil, err
	}
	record, err := custody.ParseRecord(is.Record)
	if err != nil {
		return nil, err
	}
	r, err := custody.ParseReceipt([]byte(is.Proof))
	if err != nil {
		return nil, err
	}
	leaf, err := r.Leaf(is.Record)
	if err != nil {
		return nil, err
	}
	point, err := r.Verify(i.trust, leaf)
	if err != nil {
		return nil, err
	}
	said := proofOf(&client.Said{Payload: custody.Hash(record.Envelope.Payload), Record: record, Receipt: r, Point: point}, "")
	return &said, nil
}

// bounded writes no more than left bytes.
type bounded struct {
	w    io.Writer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, fmt.Errorf("it has more than the %d bytes that papers are made from", int64(paper.MaxBundle))
	}
	return b.w.Write(p)
}

// syncNew forces the names in a new folder, and its own, to the disk.
func syncNew(dir string) error {
	return errors.Join(syncFolder(dir), syncFolder(filepath.Dir(filepath.Clean(dir))))
}
