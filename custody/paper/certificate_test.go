package paper_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/custody/paper"
	"github.com/forensic-custody/custody/investigate"
)

// TestCertificateOfCopies: source, and every digest on record with who, when and
// with what; blanks for the rest; unsigned (S-40, S-42).
func TestCertificateOfCopies(t *testing.T) {
	l := eventful(t)
	part := l.does(l.Engineer, "the first bytes", &custody.RetrieveEvidence{Evidence: l.Evidence, Length: 4})
	l.attests(&custody.ReleaseEvidence{Evidence: l.Evidence, Grant: part, Outcome: custody.ReleaseFinished, Sent: 4})
	l.does(l.Engineer, "", &custody.ReceiveEvidence{Evidence: l.Evidence, Grant: part, SHA256: custody.Hash(l.Artifact[:4]), Size: 4})
	p := l.proof()
	says(t, files(t, p, custody.Paper90214), "certificate-902-14",
		"DRAFT. Not signed, and nobody's statement until it is completed and signed.",
		"FRE 902(14)", "Court, parties and docket number:", "I am qualified to certify",
		"laptop, model ThinkPad X1, S/N SN 123, host web01", "Officer Olga Öberg, patrol officer", "dd 9.1, settings: bs=1M",
		"Original, as", "signed for in the seal", "program: not recorded", custody.Hash(l.Artifact).Hex(),
		"equal to the sealed digest", custody.Hash(l.Artifact[:4]).Hex()[:50], "a part of the item", "d41d8cd98f00b204e9800998ecf8427e",
		"When and with what program (name, version) the digest of the original was computed at the source",
		"under penalty of perjury under the laws of the United States of America", "28 U.S.C. §1746(1)", "28 U.S.C. §1746(2)", "Signature:",
		"Record of notice (FRE 902(11))", "Notice given to (party, counsel):", "On (date), by (means), by whom:",
		p.SHA256.Hex(), p.Trust.Hex(), p.Verdict.Root.Hex(),
	)
}

// TestCertificatesClaimNoMore than the verdict shows: neither that the original was
// measured, nor that a copy is equal, nor that the store was read, where no record
// says so.
func TestCertificatesClaimNoMore(t *testing.T) {
	l := live(t)
	l.takesIn("disk.img", "EX-1", func(s *custody.SealEvidence) {
		s.AsReceived = []string{custody.DigestRoot, custody.DigestSHA256}
		s.Labels = []custody.Label{{Algorithm: "sha1", Measured: "da39a3ee5e6b4b0d3255bfef95601890afd80709", Over: custody.LabelMedia, Stated: "da39a3ee5e6b4b0d3255bfef95601890afd80700", StatedBy: "container"}}
	})
	all := files(t, l.proof())
	says(t, all, "certificate-902-14", "Copy, as received", "took it from the service",
		"The records do not show that anybody but the service measured the original",
		"NOT what the container states", "da39a3ee5e6b4b0d3255bfef95601890afd80700")
	silent(t, all, "certificate-902-14", "Original, as brought", "Original, at the scene", "equal to the sealed digest", "Stored copy")
	says(t, all, "certificate-902-13", "Readings of the stored bytes (fixity): none on record in the bundle.",
		"What the store was proven to do, when the service tried it: none on record in the bundle.",
		"No outside witness cosigned this head of the log.")
	says(t, all, "custody-report", "When it was sealed, the store was not proven to keep anybody from deleting it",
		"No record here says that the service read the stored bytes back since the seal.",
		"Nobody but the service measured these bytes when they were taken in",
		"NOT what the container states")
	silent(t, all, "custody-report", "the service has read them back", "equal to the sealed digest")

	l.attests(&custody.CheckEvidence{Evidence: l.Evidence, SHA256: custody.Hash([]byte("other bytes"))})
	all = files(t, l.proof())
	says(t, all, "certificate-902-14", "Stored copy", custody.Hash([]byte("other bytes")).Hex(), "NOT the sealed digest")
	says(t, all, "certificate-902-13", "read back from the store: NOT the sealed bytes")
	says(t, all, "custody-report", "The service's last check found that its stored copy is not what was sealed.")
}

// TestCertificateOfTheSystem: what it is, and record by record why its results are
// accurate; what the records do not show (S-41).
func TestCertificateOfTheSystem(t *testing.T) {
	l := eventful(t)
	l.does(l.Administrator, "a laptop was lost", &custody.RevokeKey{Key: l.Engineer.Key.Public().ID(), Principal: l.Engineer.ID})
	p := l.proof()
	says(t, files(t, p, custody.Paper90213), "certificate-902-13",
		"DRAFT. Not signed, and nobody's statement until it is completed and signed.", "FRE 902(13)",
		"The machines and places where it ran, and who operated it:", "The version of the program in the period:",
		"Period: 2026-11-23 21:05:00 UTC to", "5 keys signed. Refusals among them: 1",
		"leaves of the log were recomputed to its root", "S3, proven to lock", "read back from the store: the sealed bytes",
		"the log began; key of the service", "a person enrolled, with a key: Emil Engineer", "a key revoked", l.Engineer.Key.Public().ID().String(),
		"how its keys were kept in the period", "That the decisions were right under the policy: this was not checked.",
		"28 U.S.C. §1746", "Record of notice (FRE 902(11))",
	)
}

// TestSignedAtTheScene: the digest that the collector signed for at the scene is the
// original's.
func TestSignedAtTheScene(t *testing.T) {
	l := live(t)
	var at custody.Time
	l.takesIn("disk.img", "EX-1", func(s *custody.SealEvidence) {
		name, err := custody.NewName([]byte("disk.img"))
		require.NoError(t, err)
		h, err := l.Outsider.Header("taken at the scene")
		require.NoError(t, err)
		at = h.Time
		s.Scene, err = custody.Sign(l.Outsider.Key, h, &custody.CollectEvidence{
			Acquisition: s.Acquisition, Artifact: s.Artifact, Format: s.Format, Labels: s.Labels, Name: name, Type: "disk",
		})
		require.NoError(t, err)
		l.Pass(time.Minute)
	})
	p := l.proof()
	all := files(t, p)
	says(t, all, "certificate-902-14", "Original, at the", "Otto Outsider", "signed for at the scene; the seal says the same")
	says(t, all, "custody-report", "Taken by Otto Outsider", "The bytes were signed for at "+at.Time().Format("2006-01-02 15:04:05")+" UTC by the clock of the signer, and are the same.")
	handlers := p.Verdict.Handlers()
	require.Len(t, handlers, 2)
	require.True(t, handlers[1].Scene)
	require.Equal(t, "Otto Outsider", handlers[1].Name)
}

// TestIssued: a receipt shows who issued which paper, and no other paper, person or
// log.
func TestIssued(t *testing.T) {
	l := live(t)
	l.takesIn("disk.img", "EX-1")
	before := l.bundle()
	newcomer, err := l.Person("Nora Newcomer")
	require.NoError(t, err)
	require.NoError(t, l.Administrator.Enrols(t.Context(), newcomer, custody.RoleLegalAdvisor))
	p := l.proof()
	report := files(t, p, custody.PaperReport)["custody-report.pdf"]
	issue := func(act custody.Act) []byte {
		a, err := newcomer.Does(t.Context(), "for the court", act)
		require.NoError(t, err)
		b, err := (&paper.Issue{Format: paper.IssueFormat, Proof: string(a.Receipt.Marshal()), Record: a.Record}).Marshal()
		require.NoError(t, err)
		return b
	}
	act := &custody.ReportEvidence{Evidence: l.Evidence, Paper: custody.PaperReport, SHA256: custody.Hash(report), Size: uint64(len(report))}
	receipt := issue(act)
	got, err := p.VerifyIssue(report, receipt, l.Trust, investigate.Words())
	require.NoError(t, err)
	require.Equal(t, "Nora Newcomer", got.Name)
	require.Equal(t, newcomer.ID, got.By)
	require.Equal(t, "for the court", got.Purpose)
	require.Equal(t, custody.PaperReport, got.Kind)
	v := l.proof().Verdict
	last := v.Timeline[len(v.Timeline)-1]
	require.Equal(t, "issued a paper about the item", last.What())
	require.Contains(t, last.Detail, custody.Hash(report).Hex())

	for name, c := range map[string]struct {
		paper, receipt []byte
		want           string
	}{
		"another paper":     {append([]byte{}, report[1:]...), receipt, "this one has"},
		"an export":         {report, issue(&custody.ExportEvidence{Evidence: l.Evidence}), "issues no paper"},
		"a smaller paper":   {report, issue(&custody.ReportEvidence{Evidence: l.Evidence, Paper: custody.PaperReport, SHA256: custody.Hash(report), Size: 7}), "this one has"},
		"of nothing":        {report, issue(&custody.ReportEvidence{Evidence: custody.NewEvidenceID(custody.Hash(nil)), Paper: custody.PaperReport, SHA256: custody.Hash(report), Size: uint64(len(report))}), "was not issued"},
		"no receipt":        {report, []byte("{}"), "receipt of the paper"},
		"a changed receipt": {report, changed(receipt), ""},
	} {
		_, err := p.VerifyIssue(c.paper, c.receipt, l.Trust, investigate.Words())
		require.Error(t, err, name)
		require.ErrorContains(t, err, c.want, name)
	}
	stranger := *l.Trust
	stranger.Log, _, err = guardtest.LogKey(stranger.Origin, 9)
	require.NoError(t, err)
	_, err = p.VerifyIssue(report, receipt, &stranger, investigate.Words())
	require.ErrorContains(t, err, "not signed by the log")
	early, err := paper.Read(before, l.Trust, investigate.Words())
	require.NoError(t, err)
	_, err = early.VerifyIssue(report, receipt, l.Trust, investigate.Words())
	require.ErrorContains(t, err, "does not know key")
}

// changed is a receipt with another byte in its record.
func changed(b []byte) []byte {
	c := append([]byte{}, b...)
	c[len(c)/2] ^= 1
	return c
}

// TestWithheld: a paper from a bundle in which records are withheld says so first of
// all, and says nothing that only they could tell (S-44).
func TestWithheld(t *testing.T) {
	l := eventful(t)
	var b bytes.Buffer
	_, err := bundle.Redact(&b, bytes.NewReader(l.bundle()), bundle.OfKind(custody.KindHoldEvidence, custody.KindCheckEvidence))
	require.NoError(t, err)
	p, err := paper.Read(b.Bytes(), l.Trust, investigate.Words())
	require.NoError(t, err)
	require.Len(t, p.Verdict.Withheld, 2)
	all := files(t, p)
	for _, name := range []string{"custody-report", "certificate-902-13", "certificate-902-14"} {
		silent(t, all, name, "district court, docket 12-345", "read back from the store")
	}
	says(t, all, "custody-report", "2 records of the bundle WITHHELD: what they say is not told here.",
		"Withheld: 2 records of "+string(l.Evidence.Stream()), "2 of them withheld", "No record here says that the service read the stored bytes back since the seal.",
		"What happened to an item in its withheld records is not told: a failed check, a hold, a release or a destruction may be among them",
		"Whoever signed nothing but withheld records is not in this list.",
		"VERIFIED. Every record that the bundle of this exhibit discloses is signed by who it says", ", as far as is disclosed")
	silent(t, all, "custody-report", "Every record in the bundle")
	says(t, all, "certificate-902-13", "2 records of the bundle withheld: they are in the log", "What happened to an item in its withheld records is not told")
	says(t, files(t, l.proof(), custody.PaperReport), "custody-report", "district court, docket 12-345", "read back from the store")
	silent(t, files(t, l.proof(), custody.PaperReport), "custody-report", "ithheld")
}

// TestForgedIssue: whoever runs the log can put a record into it that nobody signed;
// it issues no paper.
func TestForgedIssue(t *testing.T) {
	l := eventful(t)
	p := l.proof()
	report := []byte("a paper that counsel never saw")
	act := &custody.ReportEvidence{Evidence: l.Evidence, Paper: custody.PaperReport, SHA256: custody.Hash(report), Size: uint64(len(report))}
	a, err := l.Counsel.Does(t.Context(), "for the court", &custody.ExportEvidence{Evidence: l.Evidence})
	require.NoError(t, err)
	forged := func(key custody.Signer, named custody.KeyID, change func(*custody.Record)) error {
		r, err := custody.ParseRecord(a.Record)
		require.NoError(t, err)
		h, err := l.Counsel.Header("for the court")
		require.NoError(t, err)
		e, err := custody.Sign(key, h, act)
		require.NoError(t, err)
		e.Signatures[0].KeyID = named
		r.Envelope = *e
		change(r)
		raw, err := r.Marshal()
		require.NoError(t, err)
		leaf := custody.NewLeaf(custody.Commit(custody.Opening{1}, raw), custody.Tag{2})
		receipts, err := l.Log.Append(t.Context(), []custody.Leaf{leaf}, []custody.Digest{custody.Hash(raw)})
		require.NoError(t, err)
		receipts[0].Open(custody.Opening{1}, custody.Tag{2})
		issue, err := (&paper.Issue{Format: paper.IssueFormat, Proof: string(receipts[0].Marshal()), Record: raw}).Marshal()
		require.NoError(t, err)
		_, err = p.VerifyIssue(report, issue, l.Trust, investigate.Words())
		return err
	}
	own, other := l.Counsel.Key.Public().ID(), l.Lead.Key.Public().ID()
	nothing := func(*custody.Record) {}
	require.NoError(t, forged(l.Counsel.Key, own, nothing), "the control: he signed")
	require.ErrorContains(t, forged(l.Lead.Key, own, nothing), "signature")
	require.ErrorContains(t, forged(l.Lead.Key, other, nothing), "does not know key")
	require.ErrorContains(t, forged(l.Counsel.Key, own, func(r *custody.Record) { r.Stream = l.Counsel.ID.Stream() }), "does not belong")
	require.ErrorContains(t, forged(l.Counsel.Key, own, func(r *custody.Record) { r.Decision.Permit, r.Decision.Reason = false, "no" }), "was not issued")
}

// TestDestroyed: by whose order the bytes are gone, and until when they were kept.
func TestDestroyed(t *testing.T) {
	l := live(t)
	l.takesIn("disk.img", "EX-1")
	l.Pass(366 * 24 * time.Hour)
	first := l.does(l.Counsel, "retention is over", &custody.DisposeEvidence{Evidence: l.Evidence})
	l.Pass(time.Minute)
	second := l.does(l.Lead, "retention is over", &custody.DisposeEvidence{Evidence: l.Evidence, Seconds: first})
	l.attests(&custody.DisposedEvidence{Evidence: l.Evidence, Method: "every stored object deleted", Order: second, SHA256: custody.Hash(l.Artifact)})
	p := l.proof()
	ordered := p.Verdict.Items[0].Destruction.At.Time().Format("2006-01-02 15:04:05")
	says(t, files(t, p, custody.PaperReport), "custody-report",
		"DESTROYED by order of two people, Clara Counsel", "and Lena Lead", "every stored object deleted",
		"destroyed, ordered", ordered, "DESTROYED the item's bytes",
		"destroyed here; a copy that somebody has is held against the SHA-256 with --artifact",
		"; without effect", "; the second of two people")

	// Where the order is withheld, it has no date.
	var b bytes.Buffer
	_, err := bundle.Redact(&b, bytes.NewReader(l.bundle()), bundle.OfKind(custody.KindDisposeEvidence))
	require.NoError(t, err)
	p, err = paper.Read(b.Bytes(), l.Trust, investigate.Words())
	require.NoError(t, err)
	all := files(t, p, custody.PaperReport)
	says(t, all, "custody-report", "destroyed; when that was", "ordered is not disclosed", "DESTROYED, by the word of the service")
	silent(t, all, "custody-report", "1970-01-01")
}

// TestExcerpts: which bytes of an item come with the bundle, and upon whose word they
// are those that were sealed.
func TestExcerpts(t *testing.T) {
	for _, asReceived := range []bool{false, true} {
		l := live(t)
		l.takesIn("disk.img", "EX-1", func(s *custody.SealEvidence) {
			if asReceived {
				s.AsReceived = []string{custody.DigestRoot}
			}
		})
		var b bytes.Buffer
		require.NoError(t, bundle.AddExcerpts(&b, bytes.NewReader(l.bundle()), l.Evidence, bytes.NewReader(l.Artifact), bundle.Stretch{Offset: 5, Length: 7}))
		p, err := paper.Read(b.Bytes(), l.Trust, investigate.Words())
		require.NoError(t, err)
		all := files(t, p, custody.PaperReport)
		says(t, all, "custody-report", "bytes 5 to 11 (7 of them) are in the bundle", custody.Hash(l.Artifact[5:12]).Hex())
		const upon = "stands upon the root, which is the word of the service."
		if asReceived {
			says(t, all, "custody-report", upon)
		} else {
			silent(t, all, "custody-report", upon)
		}
	}
}
