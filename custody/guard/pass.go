package guard

import (
	"errors"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// Range is a stretch of an artifact's bytes: Length bytes from Offset.
type Range struct {
	Offset uint64 `json:"offset"`
	Length uint64 `json:"length"`
}

// Pass is the permission to read bytes of one artifact. Only this package
// makes one, and only after the record that grants it is proven to be in the
// log. The zero Pass permits nothing.
type Pass struct {
	grant    custody.Digest // payload digest of the statement that earned it
	holder   custody.PrincipalID
	incident custody.IncidentID
	evidence custody.EvidenceID
	artifact custody.Artifact
	span     Range
	expires  time.Time
}

// ErrNoPass says that a Pass does not permit what was asked of it.
var ErrNoPass = errors.New("the pass does not permit this")

// Grant returns the payload digest of the statement that earned the pass.
func (p Pass) Grant() custody.Digest { return p.grant }

// Holder returns who earned it.
func (p Pass) Holder() custody.PrincipalID { return p.holder }

// Incident returns the incident whose keys protect the artifact.
func (p Pass) Incident() custody.IncidentID { return p.incident }

// Evidence returns the evidence item.
func (p Pass) Evidence() custody.EvidenceID { return p.evidence }

// Artifact returns what may be read.
func (p Pass) Artifact() custody.Artifact { return p.artifact }

// Span returns the stretch that may be read.
func (p Pass) Span() Range { return p.span }

// Permits returns nil when the pass permits to read r at the time now, and
// ErrNoPass otherwise, always so for the zero Pass.
func (p Pass) Permits(r Range, now time.Time) error {
	switch {
	case p.grant.IsZero(), !now.Before(p.expires):
		return ErrNoPass
	case r.Offset < p.span.Offset, r.Length > p.span.Length, r.Offset-p.span.Offset > p.span.Length-r.Length:
		return ErrNoPass
	}
	return nil
}
