package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/paper"
	"github.com/forensic-custody/custody/investigate"
)

// reporting is what custody report is told.
type reporting struct {
	dir, purpose, bundle, trust string
	kinds                       []string
}

func (a *app) reportCommand() *cobra.Command {
	var r reporting
	c := &cobra.Command{
		Use: "report [e-…|i-…] -o DIR", Short: "Make the papers for court from the proof of an item or incident, and put them on record",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("custody report is of one item or incident")
			}
			return nil
		},
		Long: `Exports the proof of an item, or of an incident with all its items, which is on
record, verifies it, and makes from it in a new folder: the report of the chain of
custody and drafts of certificates under FRE 902(13) and 902(14), as HTML and PDF,
and the history as CASE/UCO. Each paper's SHA-256 is put on record, signed by you,
and its receipt kept beside it.
Without an identifier and with --bundle and --trust it makes the same papers, byte
for byte, without a service: unsigned drafts, which their names say. With both it
issues papers from a proof that was exported before.
A proof that does not verify makes no paper.

Broken off, it goes on where the same command is given again: the folder has its
proof, the papers are made from that, and what you have put on record already, with
the same purpose, is not put there again: its receipt comes from the history.`,
		Example: `  custody report e-abcdefghijklmnop -o EX-1 --purpose "disclosure to the defence"
  custody report i-abcdefghijklmnop -o all --purpose "handed to the public prosecutor"
  custody report --bundle EX-1/proof.bundle --trust trust.json -o mine
  custody report verify EX-1/custody-report.pdf --trust trust.json`,
		RunE: func(c *cobra.Command, args []string) error {
			if r.dir == "" {
				return usagef("give -o: a folder to make")
			}
			for _, k := range r.kinds {
				if !slices.Contains(custody.PaperKinds(), k) {
					return usagef("%q is no kind of paper: %s", k, strings.Join(custody.PaperKinds(), ", "))
				}
			}
			if len(args) == 0 {
				return a.draftPapers(r)
			}
			about, err := parseSubject(args[0])
			if err != nil {
				return err
			}
			if r.purpose == "" {
				return usagef("give --purpose")
			}
			return a.issuePapers(c.Context(), about, r)
		},
	}
	c.Flags().StringVarP(&r.dir, "output", "o", "", "folder to make, or that of a command that was broken off")
	c.Flags().StringVar(&r.purpose, "purpose", "", "why")
	c.Flags().StringVar(&r.bundle, "bundle", "", "a proof that was exported before, instead of a new one")
	c.Flags().StringVar(&r.trust, "trust", "", "trust file (with an identifier: of the same log as your own, which is the default)")
	c.Flags().StringSliceVar(&r.kinds, "kind", nil, "which papers: "+strings.Join(custody.PaperKinds(), ", ")+" (default: all)")
	c.AddCommand(a.reportVerify())
	return c
}

// draftPapers makes papers from a proof that lies here, and puts nothing on record.
func (a *app) draftPapers(r reporting) error {
	if r.bundle == "" || r.trust == "" {
		return usagef("give an item or incident, or --bundle and --trust")
	}
	trust, err := readTrust(r.trust)
	if err != nil {
		return err
	}
	p, files, err := makePapers(r, trust)
	if err != nil {
		return err
	}
	if err := os.Mkdir(r.dir, 0o700); err != nil {
		return usageError{err}
	}
	answer, text := []madePaper{}, ""
	for _, f := range files {
		ext := filepath.Ext(f.Name)
		f.Name = strings.TrimSuffix(f.Name, ext) + ".unsigned" + ext
		if err := savePaper(r.dir, f.Name, f.Bytes); err != nil {
			return err
		}
		m := madeOf(f)
		answer, text = append(answer, m), text+m.String()
	}
	if err := syncNew(r.dir); err != nil {
		return err
	}
	return a.answer(papersMade{r.dir, p.SHA256, answer}, text+"unsigned drafts: nothing was put on record\n")
}

// madePaper is what is said of a paper that was made.
type madePaper struct {
	Name   string         `json:"name"`
	Kind   string         `json:"kind"`
	SHA256 custody.Digest `json:"sha256"`
	Size   int            `json:"size"`
	Issued *proof         `json:"issued,omitempty"`
}

type papersMade struct {
	Folder string         `json:"folder"`
	Bundle custody.Digest `json:"bundle"` // SHA-256
	Papers []madePaper    `json:"papers"`
}

func madeOf(f paper.File) madePaper {
	return madePaper{Name: f.Name, Kind: f.Kind, SHA256: custody.Hash(f.Bytes), Size: len(f.Bytes)}
}

// String says it in a line.
func (m madePaper) String() string {
	text := fmt.Sprintf("%-34s SHA-256 %s", m.Name, m.SHA256.Hex())
	if m.Issued != nil {
		text += fmt.Sprintf("  on record as leaf %d", m.Issued.Index)
	}
	return text + "\n"
}

// maxPaper is how large a file can be that is read to verify a paper: a PDF holds the
// bundle, and what is told of it besides.
const maxPaper = 2 * paper.MaxBundle

// readWhole reads a file into memory, if it has at most so many bytes.
func readWhole(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usageError{err}
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = usagef("%s has more than %d bytes", path, most)
	}
	return b, err
}

// makePapers reads the proof that lies here and makes its papers.
func makePapers(r reporting, trust *custody.Trust) (*paper.Proof, []paper.File, error) {
	b, err := readWhole(r.bundle, paper.MaxBundle+1)
	if err != nil {
		return nil, nil, err
	}
	p, err := paper.Read(b, trust, investigate.Words())
	if err != nil {
		return nil, nil, err
	}
	files, err := p.Make(r.kinds...)
	if err != nil {
		return nil, nil, usageError{err}
	}
	return p, files, nil
}

// savePaper writes a file that does not exist, whole or not at all. Its name is on the
// disk only once its folder is synced.
func savePaper(dir, name string, b []byte) error {
	return saveNew(dir, name, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// saveNew is savePaper for what write writes. What was broken off before stands under
// another name, and is written over.
func saveNew(dir, name string, write func(io.Writer) error) error {
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return renameNew(f.Name(), path)
}

func (a *app) reportVerify() *cobra.Command {
	var trustPath, receipt, proof string
	c := &cobra.Command{
		Use: "verify PAPER --trust trust.json", Short: "Say who issued a paper: no network, no service, no account", Args: exactly(1),
		Long: `Holds a paper against its receipt, and that against the trust file, with the proof
that the paper was made from: was it issued, by whom, when and why, and is it what
that proof makes.`,
		Example: "  custody report verify EX-1/custody-report.pdf --trust trust.json",
		RunE: func(_ *cobra.Command, args []string) error {
			if trustPath == "" {
				return usagef("give --trust")
			}
			trust, err := readTrust(trustPath)
			if err != nil {
				return err
			}
			if receipt == "" {
				receipt = args[0] + ".receipt"
			}
			if proof == "" {
				proof = filepath.Join(filepath.Dir(args[0]), paper.BundleName)
			}
			var read [3][]byte
			for n, path := range []string{args[0], receipt, proof} {
				if read[n], err = readWhole(path, maxPaper); err != nil {
					return err
				}
			}
			p, err := paper.Read(read[2], trust, investigate.Words())
			if err != nil {
				return err
			}
			i, err := p.VerifyIssue(read[0], read[1], trust, investigate.Words())
			if err != nil {
				return fmt.Errorf("NOT VERIFIED: %w", err)
			}
			follows := "and it is what this proof makes"
			if !i.Follows {
				follows = "but this proof makes ANOTHER PAPER: it was made from another proof, or by another version of the program, and what it says is not shown"
			}
			return a.answer(i, fmt.Sprintf("VERIFIED as issued, %s\n\nissued by %s, %s (%s), at %s, as %s of %s\npurpose: %s\non record as leaf %d of the log (proven at size %d, quorum of witnesses: %s)\n",
				follows, i.Name, i.Title, i.By, i.At, i.Kind, cmp.Or(string(i.Evidence), string(i.Incident)), i.Purpose, i.Index, i.Size, i.Quorum))
		},
	}
	c.Flags().StringVar(&trustPath, "trust", "", "trust file")
	c.Flags().StringVar(&receipt, "receipt", "", "its receipt (default: PAPER.receipt)")
	c.Flags().StringVar(&proof, "bundle", "", "the proof that it was made from (default: "+paper.BundleName+" beside it)")
	return c
}
