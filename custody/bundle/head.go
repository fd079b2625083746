package bundle

import (
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/forensic-custody/custody/custody"
)

// Format names the version of the bundle's format that is written.
const Format = "https://github.com/forensic-custody/custody/bundle/v2"

// formatV1 names the version before, which is read too: of one item, with nothing
// withheld, without excerpts and stamps.
const formatV1 = "https://github.com/forensic-custody/custody/bundle/v1"

// Scope is what a bundle is the proof of.
type Scope string

// The scopes.
const (
	ScopeExhibit  Scope = "exhibit"  // one item
	ScopeIncident Scope = "incident" // an incident with all its items
)

// head is what bundle.json says.
type head struct {
	Artifact bool                 `json:"artifact"`           // the artifact's bytes are included
	Excerpts []stretch            `json:"excerpts,omitempty"` // of artifacts, in order of item and offset
	Format   string               `json:"format"`
	Incident custody.IncidentID   `json:"incident"`
	Items    []custody.EvidenceID `json:"items"`  // ascending
	Leaves   bool                 `json:"leaves"` // all leaves of the log are included
	Scope    Scope                `json:"scope"`
	Stamps   []uint64             `json:"stamps,omitempty"` // sizes of the checkpoints that are stamped, ascending
	Streams  []streamHead         `json:"streams"`          // in order of name
}

// stretch names bytes of an item's artifact.
type stretch struct {
	Evidence custody.EvidenceID `json:"evidence"`
	Length   uint64             `json:"length"` // in bytes, at least 1
	Offset   uint64             `json:"offset"` // of the first byte
}

// streamHead says which records of a stream are included: all of them from 0
// to Length-1 and the key to look for more, or single ones.
type streamHead struct {
	Erased   []uint64       `json:"erased,omitempty"` // sequences of a whole stream's records that are erased, ascending
	Length   uint64         `json:"length"`           // records of a whole stream; 0 of a stream of which single records are included
	Single   []uint64       `json:"single"`           // sequences, ascending; empty for a whole stream
	Stream   custody.Stream `json:"stream"`
	TagKey   []byte         `json:"tagKey,omitempty"`   // 32 bytes, of a whole stream
	Withheld []uint64       `json:"withheld,omitempty"` // sequences of a whole stream's records that are not disclosed, ascending
}

func (h streamHead) whole() bool { return len(h.TagKey) > 0 }

// headV1 is what bundle.json said in version 1.
type headV1 struct {
	Artifact bool               `json:"artifact"`
	Evidence custody.EvidenceID `json:"evidence"`
	Format   string             `json:"format"`
	Incident custody.IncidentID `json:"incident"`
	Leaves   bool               `json:"leaves"`
	Streams  []streamHeadV1     `json:"streams"`
}

type streamHeadV1 struct {
	Erased []uint64       `json:"erased,omitempty"`
	Length uint64         `json:"length"`
	Single []uint64       `json:"single"`
	Stream custody.Stream `json:"stream"`
	TagKey []byte         `json:"tagKey,omitempty"`
}

// parseHead accepts exactly what a writer of this version or of version 1 writes,
// and returns it as this version says it, its Format aside.
func parseHead(b []byte) (*head, error) {
	var is struct {
		Format string `json:"format"`
	}
	if err := json.Unmarshal(b, &is); err != nil {
		return nil, err
	}
	h := new(head)
	switch is.Format {
	case Format:
		if err := custody.Decode(b, h); err != nil {
			return nil, err
		}
	case formatV1:
		var old headV1
		if err := custody.Decode(b, &old); err != nil {
			return nil, err
		}
		*h = head{
			Artifact: old.Artifact, Format: old.Format, Incident: old.Incident, Items: []custody.EvidenceID{old.Evidence},
			Leaves: old.Leaves, Scope: ScopeExhibit, Streams: make([]streamHead, len(old.Streams)),
		}
		for n, s := range old.Streams {
			h.Streams[n] = streamHead{Erased: s.Erased, Length: s.Length, Single: s.Single, Stream: s.Stream, TagKey: s.TagKey}
		}
	default:
		return nil, fmt.Errorf("format %.100q is neither %q nor %q", is.Format, Format, formatV1)
	}
	return h, h.check()
}

func (h *head) check() error {
	if _, err := custody.ParseIncidentID(string(h.Incident)); err != nil {
		return err
	}
	for n, id := range h.Items {
		if _, err := custody.ParseEvidenceID(string(id)); err != nil {
			return err
		}
		if n > 0 && h.Items[n-1] >= id {
			return errors.New("the items are not in order")
		}
	}
	switch {
	case h.Scope != ScopeExhibit && h.Scope != ScopeIncident:
		return fmt.Errorf("scope %.40q is not known", h.Scope)
	case h.Scope == ScopeExhibit && len(h.Items) != 1:
		return fmt.Errorf("%d items; the bundle of an exhibit is of one", len(h.Items))
	case h.Scope == ScopeIncident && h.Artifact:
		return errors.New("has an artifact, and is of an incident")
	case h.Artifact && len(h.Excerpts) > 0:
		return errors.New("has its artifact, and excerpts of it")
	}
	if err := h.checkExcerpts(); err != nil {
		return err
	}
	if !ascending(h.Stamps) {
		return errors.New("the stamps are not in order")
	}
	for i, s := range h.Streams {
		if i > 0 && h.Streams[i-1].Stream >= s.Stream {
			return errors.New("the streams are not in order")
		}
		if err := s.check(); err != nil {
			return err
		}
	}
	return nil
}

func (h *streamHead) check() error {
	if _, err := custody.ParseStream(string(h.Stream)); err != nil {
		return err
	}
	within := func(list []uint64) bool {
		return ascending(list) && (len(list) == 0 || list[len(list)-1] < h.Length)
	}
	whole := len(h.TagKey) == len(custody.TagKey{})
	switch {
	case !within(h.Erased):
		return fmt.Errorf("the erased records of %s are not in order, or none of its", h.Stream)
	case !within(h.Withheld):
		return fmt.Errorf("the withheld records of %s are not in order, or none of its", h.Stream)
	case len(h.Withheld) > 0 && h.Stream == custody.PolicyStream:
		return errors.New("records of the policy are withheld, and none ever may be")
	case slices.ContainsFunc(h.Withheld, func(n uint64) bool { _, erased := slices.BinarySearch(h.Erased, n); return erased }):
		return fmt.Errorf("a record of %s is both erased and withheld", h.Stream)
	case whole == (len(h.Single) > 0), !whole && (len(h.TagKey) > 0 || h.Length > 0):
		return fmt.Errorf("%s is neither whole nor single records", h.Stream)
	case !ascending(h.Single):
		return fmt.Errorf("the single records of %s are not in order", h.Stream)
	}
	return nil
}

// ascending says whether the list is in order and has nothing twice.
func ascending(list []uint64) bool {
	for n := 1; n < len(list); n++ {
		if list[n-1] >= list[n] {
			return false
		}
	}
	return true
}
