package investigate

import (
	"errors"
	"fmt"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// KindReviewDefaults is the kind of statement that says that the defaults of the
// service were reviewed.
const KindReviewDefaults custody.Kind = "team.review-defaults"

// longestReview is for how long defaults stay without another review, at most.
const longestReview = 366 * 24 * time.Hour

// ReviewDefaults says that the defaults of the service, as a document describes them,
// were reviewed by those who deploy it, and what was decided. Its record belongs to the
// stream incidents.
type ReviewDefaults struct {
	Decided  string         `json:"decided"`  // what is kept and what is changed, in words
	Document string         `json:"document"` // which document, by its name
	Next     custody.Time   `json:"next"`     // by when they are reviewed again
	SHA256   custody.Digest `json:"sha256"`   // of the document
}

// Kind implements custody.Act.
func (*ReviewDefaults) Kind() custody.Kind { return KindReviewDefaults }

// NeedsPurpose implements custody.Act.
func (*ReviewDefaults) NeedsPurpose() bool { return true }

// Subject implements custody.Act.
func (a *ReviewDefaults) Subject() custody.Subject { return custody.Subject{Name: a.Document} }

// Detail says in a line what a history tells of it.
func (a *ReviewDefaults) Detail() string {
	return fmt.Sprintf("%s, %s: %s; to be reviewed again by %s", a.Document, a.SHA256, firstLine(a.Decided), a.Next)
}

// Check implements custody.Act.
func (a *ReviewDefaults) Check(*custody.Statement) error {
	err := custody.CheckLine("document", a.Document)
	if a.Decided != "" {
		err = errors.Join(err, text("decided", a.Decided))
	}
	if a.Next < 0 {
		err = errors.Join(err, errors.New("next is no time"))
	}
	return err
}

// Lawful implements custody.Act.
func (a *ReviewDefaults) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	out := custody.Outcome{Stream: custody.IncidentsStream, Resource: custody.Resource{Type: "Custody", ID: s.Audience}}
	now := v.Now()
	switch {
	case a.SHA256.IsZero():
		return out, no("a review names the document by its digest, so that it is known what was read")
	case a.Decided == "":
		return out, no("a review says what was decided: what is kept, and what is changed")
	case a.Next <= now:
		return out, no("the next review is due later than now, not at %s", a.Next)
	case a.Next > now.Add(longestReview):
		return out, no("the next review is due within %d days, by %s", longestReview/(24*time.Hour), now.Add(longestReview))
	}
	return out, nil
}

// Defaults is how the review of the service's defaults stands at a time.
type Defaults struct {
	Reviews    []Entry[ReviewDefaults] `json:"reviews"`             // all, in order of their records
	AgeSeconds int64                   `json:"ageSeconds,omitzero"` // since the last
	Overdue    bool                    `json:"overdue"`             // there was none, or the next is due
}

// DefaultsAt returns how the review of the service's defaults stands at a time.
func (l *Incidents) DefaultsAt(now custody.Time) Defaults {
	d := Defaults{Reviews: append([]Entry[ReviewDefaults]{}, l.Reviews...), Overdue: true}
	if n := len(d.Reviews); n > 0 {
		last := d.Reviews[n-1]
		d.AgeSeconds = int64(now.Time().Sub(last.Recorded.Time()) / time.Second)
		d.Overdue = last.Act.Next <= now
	}
	return d
}
