package investigate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

// lessons is the text of a post-mortem. No word of it is in any other text here.
const lessons = "Kestrel\nquince: tangerine marzipan walnut\n"

// headings are all, with nothing found under any but some.
func headings(found ...string) []investigate.Heading {
	var list []investigate.Heading
	for _, h := range investigate.Headings() {
		is := false
		for _, f := range found {
			is = is || f == h
		}
		list = append(list, investigate.Heading{Heading: h, Found: is})
	}
	return list
}

// postMortem has the manager write and issue a post-mortem. Its text is kept as all
// evidence is.
func (s *story) postMortem() custody.EvidenceID {
	s.t.Helper()
	id := s.takes("lena", "PM-1", custody.TypePostMortem, lessons)
	s.readBack(id, lessons, lessons)
	s.does("lex", &custody.HoldEvidence{Authority: "court of Berlin", Evidence: id})
	s.issued = s.does("lena", s.issue(id))
	return id
}

func (s *story) issue(id custody.EvidenceID) *investigate.PostMortem {
	return &investigate.PostMortem{On: s.on, Evidence: id, Headings: headings(), SHA256: custody.Hash([]byte(lessons))}
}

// TestPostMortem: the manager writes it, in the last stage, and under each heading
// stands something or that nothing was found (WP-92, WP-93, WP-97).
func TestPostMortem(t *testing.T) {
	s := newStory(t).to(investigate.StageStabilize)
	s.tries("emil", beginning(t, s.incident, "PM-0", custody.TypePostMortem), "alone decides")
	s.tries("carl", beginning(t, s.incident, "PM-0", custody.TypePostMortem), hidden)
	s.tries("lena", beginning(t, s.incident, "PM-0", "document"), hidden)
	id := s.takes("lena", "PM-1", custody.TypePostMortem, lessons)
	p := s.issue(id)
	s.tries("lena", p, "is issued in stage close-post-mortem")
	s.to(investigate.StageClose)
	s.tries("emil", p, "alone decides")
	s.tries("exa", p, "alone decides")
	for n, h := range investigate.Headings() {
		s.tries("lena", changed(p, func(p *investigate.PostMortem) {
			all := headings()
			p.Headings = append(all[:n:n], all[n+1:]...)
		}), "the heading "+h+" is missing")
	}
	s.tries("lena", changed(p, func(p *investigate.PostMortem) { p.Headings = []investigate.Heading{} }), "is missing, or not in its place")
	s.tries("lena", changed(p, func(p *investigate.PostMortem) {
		p.Headings = append(headings(), investigate.Heading{Heading: "praise"})
	}), "is no heading")
	s.tries("lena", changed(p, func(p *investigate.PostMortem) { p.Headings[0], p.Headings[1] = p.Headings[1], p.Headings[0] }), "not in its place")
	p.Headings = headings()
	s.malformed("lena", changed(p, func(p *investigate.PostMortem) { p.Evidence = "PM-1" }), "PM-1")

	technical := changed(p, func(p *investigate.PostMortem) { p.Headings = headings(investigate.HeadingTechnical) })
	s.tries("lena", technical, "there is no repair item")
	s.does("lena", s.repair())

	s.tries("lena", changed(p, func(p *investigate.PostMortem) { p.SHA256 = nothing }), "has the SHA-256")
	s.tries("lena", changed(p, func(p *investigate.PostMortem) { p.Evidence = custody.NewEvidenceID(nothing) }), "has no item")
	s.tries("lena", changed(p, func(p *investigate.PostMortem) { p.Evidence, p.SHA256 = s.item, custody.Hash([]byte(logBytes)) }), "of type log")
	begun := s.begins("lena", "PM-2", custody.TypePostMortem)
	s.tries("lena", changed(p, func(p *investigate.PostMortem) { p.Evidence = begun }), "is not sealed")
	rotten := s.takes("lena", "PM-3", custody.TypePostMortem, lessons)
	s.readBack(rotten, lessons, "rot")
	s.tries("lena", changed(p, func(p *investigate.PostMortem) { p.Evidence = rotten }), "is damaged")
	first := s.does("lena", technical)
	s.tries("lena", p, "say that it replaces")

	// Who takes the incident over writes his own.
	s.does("lena", &investigate.HandOver{On: s.on, Happened: s.now(), From: s.id("lena"), To: s.id("mia"), Role: custody.RoleIncidentManager})
	p.Replaces.Replaces = first
	s.tries("lena", p, "alone decides")
	s.tries("mia", p, "its author is the incident's manager")
	own := s.takes("mia", "PM-4", custody.TypePostMortem, lessons)
	s.does("mia", changed(p, func(p *investigate.PostMortem) { p.Evidence = own }))
	s.looks(func(_ custody.View, i *investigate.Incident) {
		require.Len(t, i.PostMortems, 2)
		require.Equal(t, i.PostMortems[1].ID, *i.PostMortems[0].Replaced)
	})
}

// TestWhoReadsPostMortems: nobody who works with customers, and nobody without saying
// why; auditors do, and each reading is on record, the refused ones too (WP-94, WP-96).
func TestWhoReadsPostMortems(t *testing.T) {
	s := newStory(t).to(investigate.StageClose)
	id := s.postMortem()
	read := &custody.RetrieveEvidence{Evidence: id, Length: uint64(len(lessons))}
	tried := 0
	for _, who := range []string{"cleo", "carl", "stef", "owen", "olga", "nina", "ada"} {
		s.tries(who, read, hidden)
		tried++
	}
	for _, who := range []string{"aude", "aude", "lex", "exa", "lena", "emil"} {
		s.does(who, read)
		tried++
	}
	s.unpurposed("aude", read)
	s.does("lena", &investigate.Discharge{On: s.on, Happened: s.now(), Principal: s.id("fay"), Role: custody.RoleForensicEngineer})
	s.does("lena", &investigate.Unassign{Incident: s.incident, Principal: s.id("fay")})
	s.tries("fay", read, hidden)
	tried++
	on := 0
	s.records(func(_ *custody.Record, st *custody.Statement) {
		if act, ok := st.Act.(*custody.RetrieveEvidence); ok && act.Evidence == id {
			require.Equal(t, "because", st.Purpose)
			on++
		}
	})
	require.Equal(t, tried, on, "a record of each reading, and of each that was refused")
}

// records goes through all that was put on record.
func (c *troupe) records(do func(*custody.Record, *custody.Statement)) {
	c.t.Helper()
	store := c.Store.(*guardtest.Store)
	for n := range store.Len() {
		r, err := custody.ParseRecord(store.Nth(n).Record)
		require.NoError(c.t, err)
		s, err := r.Envelope.Statement(investigate.Words())
		require.NoError(c.t, err)
		do(r, s)
	}
}

// TestNoWordOfAPostMortem stands in any record, nor in what is shown of the incident
// (WP-94, WP-95). A bundle has nothing else in it.
func TestNoWordOfAPostMortem(t *testing.T) {
	s := newStory(t).to(investigate.StageClose)
	s.closed()
	words := strings.FieldsFunc(lessons, func(r rune) bool { return r < 'A' || r > 'z' })
	require.Len(t, words, 5)
	silent := func(where string, b []byte) {
		t.Helper()
		for _, w := range words {
			require.NotContains(t, string(b), w, where)
		}
	}
	store := s.Store.(*guardtest.Store)
	for n := range store.Len() {
		silent("a record", store.Nth(n).Record)
		r, err := custody.ParseRecord(store.Nth(n).Record)
		require.NoError(t, err)
		silent("a statement", r.Envelope.Payload)
	}
	b, err := custody.Encode(s.picture())
	require.NoError(t, err)
	require.Contains(t, string(b), `"postMortems":[`)
	silent("the picture", b)
}

// TestSummaries: what customers may be told is a document of its own, which somebody
// else approves (WP-95).
func TestSummaries(t *testing.T) {
	s := newStory(t).to(investigate.StageClose)
	const text = "credentials were misused; they are rotated now"
	id := s.takes("emil", "SUM-1", "document", text)
	sum := &investigate.Summary{On: s.on, Evidence: id, PostMortem: nothing, SHA256: custody.Hash([]byte(text))}
	s.tries("carl", sum, "there is no post-mortem")
	of := s.postMortem()
	sum.PostMortem = s.issued
	s.tries("carl", changed(sum, func(x *investigate.Summary) { x.Evidence, x.SHA256 = of, custody.Hash([]byte(lessons)) }), "of type post-mortem and not document")
	s.tries("carl", changed(sum, func(x *investigate.Summary) { x.SHA256 = nothing }), "has the SHA-256")
	s.tries("emil", sum, "none of the roles")
	first := s.does("carl", sum)
	second := s.does("lena", sum)
	approve := func(id custody.Digest) *investigate.ApproveSummary {
		return &investigate.ApproveSummary{On: s.on, Summary: id}
	}
	s.tries("lex", approve(nothing), "there is no summary")
	s.tries("carl", approve(first), "nobody approves what he wrote himself")
	s.tries("carl", approve(second), "none of the roles")
	s.tries("lena", approve(first), "none of the roles")
	s.does("lex", approve(first))
	s.tries("exa", approve(first), "approved it")
	s.looks(func(_ custody.View, i *investigate.Incident) {
		require.NotNil(t, i.Summaries[0].Approved)
		require.Nil(t, i.Summaries[1].Approved)
	})

	// Of a post-mortem that was corrected there is no summary any more; and it goes on
	// after the closing.
	s.issued = s.does("lena", changed(s.issue(of), func(p *investigate.PostMortem) { p.Replaces.Replaces = s.issued }))
	s.tries("carl", sum, "or it was corrected")
	s.tries("exa", approve(second), "or it was corrected")
	sum.PostMortem = s.issued
	third := s.does("carl", sum)
	s.does("lena", &investigate.Classify{On: s.on, Basis: "the log", Example: "b", Facts: fact(func(f *investigate.Facts) { f.Cause = investigate.CauseIssue })})
	s.does("lena", s.end())
	s.does("exa", approve(third))
}

// TestRepairItems: each has an owner and a day, what is overdue shows, and the
// inventory goes on after the closing (WP-88, WP-98, WP-125).
func TestRepairItems(t *testing.T) {
	s := newStory(t).to(investigate.StageClose)
	r := s.repair()
	s.tries("lena", changed(r, func(r *investigate.Repair) { r.Owner = "" }), "has an owner, and a day to come")
	s.tries("lena", changed(r, func(r *investigate.Repair) { r.Due = 0 }), "has an owner, and a day to come")
	s.tries("lena", changed(r, func(r *investigate.Repair) { r.Due = s.in(-time.Hour) }), "has an owner, and a day to come")
	s.tries("lena", changed(r, func(r *investigate.Repair) { r.Findings = []custody.Digest{nothing} }), "there is no finding")
	s.tries("emil", r, "alone decides")
	s.malformed("lena", changed(r, func(r *investigate.Repair) { r.Type = "magic" }), "is none of")
	s.malformed("lena", changed(r, func(r *investigate.Repair) { r.Text = "" }), "text is missing")
	first := s.does("lena", changed(r, func(r *investigate.Repair) { r.Findings = []custody.Digest{s.finding} }))
	s.closed()
	second := s.does("lena", r)

	later := &investigate.Reschedule{On: s.on, Due: s.in(200 * 24 * time.Hour), Owner: "Eva", Repair: first}
	done := &investigate.Repaired{On: s.on, Happened: s.now(), How: "rotated", Repair: second}
	s.tries("lena", changed(later, func(r *investigate.Reschedule) { r.Owner = "" }), "has an owner, and a day to come")
	s.tries("lena", changed(later, func(r *investigate.Reschedule) { r.Due = s.in(-time.Hour) }), "has an owner, and a day to come")
	s.tries("lena", changed(later, func(r *investigate.Reschedule) { r.Repair = nothing }), "there is no repair item")
	s.tries("emil", later, "alone decides")
	s.tries("emil", done, "alone decides")
	s.tries("lena", changed(done, func(r *investigate.Repaired) { r.Repair = nothing }), "there is no repair item")
	s.malformed("lena", changed(done, func(r *investigate.Repaired) { r.How = "" }), "how is missing")
	s.malformed("lena", changed(done, func(r *investigate.Repaired) { r.At = s.in(time.Hour) }), "what has not happened")
	s.does("lena", later)

	s.Pass(100 * 24 * time.Hour)
	require.Equal(t, []string{"repair item R-2 is overdue"}, s.picture().Open)
	require.Equal(t, 1, investigate.NewProgramme([]investigate.Picture{s.picture()}, s.in(0)).Overdue)
	done.Happened = s.now()
	s.does("lena", done)
	require.Empty(t, s.picture().Open)
	s.tries("lena", changed(done, func(r *investigate.Repaired) { r.Happened = s.now() }), "repair item R-2 is done")
	s.tries("lena", changed(later, func(x *investigate.Reschedule) { x.Repair, x.Due = second, s.in(time.Hour) }), "repair item R-2 is done")
	s.looks(func(_ custody.View, i *investigate.Incident) {
		require.Equal(t, "Eva", i.Repairs[0].Owner)
		require.Len(t, i.Repairs[0].Rescheduled, 1)
		require.Equal(t, "Ben of the mail team", i.Repairs[0].Act.Owner, "as it was first said")
	})
}

// TestASummaryIsAnotherText: the post-mortem itself is no summary of it (WP-95).
func TestASummaryIsAnotherText(t *testing.T) {
	s := newStory(t).to(investigate.StageClose)
	s.postMortem()
	id := s.takes("emil", "SUM-1", "document", lessons)
	s.tries("carl", &investigate.Summary{On: s.on, Evidence: id, PostMortem: s.issued, SHA256: custody.Hash([]byte(lessons))}, "is the post-mortem itself")
}

// TestWhatIsApprovedIsThere: a summary is approved of the post-mortem that stands, and as
// a text that is there (WP-95).
func TestWhatIsApprovedIsThere(t *testing.T) {
	const text = "credentials were misused"
	s := newStory(t).to(investigate.StageClose)
	of := s.postMortem()
	id := s.takes("emil", "SUM-1", "document", text)
	sum := s.does("carl", &investigate.Summary{On: s.on, Evidence: id, PostMortem: s.issued, SHA256: custody.Hash([]byte(text))})
	approve := &investigate.ApproveSummary{On: s.on, Summary: sum}
	s.readBack(id, text, "rotten")
	s.tries("lex", approve, "is damaged, or destroyed")
	s.readBack(id, text, text)
	s.does("lena", changed(s.issue(of), func(p *investigate.PostMortem) { p.Replaces.Replaces = s.issued }))
	s.tries("lex", approve, "or it was corrected")
}

// TestApprovedByTheFirstVersion: what was not looked at when it was decided is not looked
// at when it is decided again.
func TestApprovedByTheFirstVersion(t *testing.T) {
	const text = "credentials were misused"
	s := newStory(t)
	s.version = 1
	s.to(investigate.StageClose)
	s.postMortem()
	id := s.takes("emil", "SUM-1", "document", text)
	sum := s.does("carl", &investigate.Summary{On: s.on, Evidence: id, PostMortem: s.issued, SHA256: custody.Hash([]byte(text))})
	s.readBack(id, text, "rotten")
	s.does("lex", &investigate.ApproveSummary{On: s.on, Summary: sum})
}
