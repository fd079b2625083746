package custody

import (
	"bytes"
	"errors"
	"fmt"
)

// KindCollectEvidence is the kind of statement that a collector signs at the
// scene.
const KindCollectEvidence Kind = "evidence.collect"

// CollectEvidence is a collector's word, signed at the scene and without a
// network, on what he has taken. It is never sent by itself: the seal of the
// item carries it later, and goes through only when it says the same. So the
// record shows both times, and what came between cannot have changed a byte.
type CollectEvidence struct {
	Acquisition Acquisition `json:"acquisition"`
	Artifact    Artifact    `json:"artifact"`
	Format      string      `json:"format"`
	Labels      []Label     `json:"labels"`
	Name        Name        `json:"name"`
	Parts       []Part      `json:"parts,omitempty"`
	Type        string      `json:"type"` // one of ArtifactTypes
}

func (*CollectEvidence) Kind() Kind         { return KindCollectEvidence }
func (*CollectEvidence) NeedsPurpose() bool { return true }
func (a *CollectEvidence) Subject() Subject {
	return Subject{Name: a.Name.Display, SHA256: a.Artifact.SHA256}
}

// Check implements Act.
func (a *CollectEvidence) Check(s *Statement) error {
	if err := a.Artifact.check(); err != nil {
		return err
	}
	if missing := a.Acquisition.Lacks(a.Type); len(missing) > 0 {
		return fmt.Errorf("lacks %q", missing)
	}
	if err := checkLabels(a.Format, a.Labels); err != nil {
		return err
	}
	return errors.Join(a.Name.check(), checkParts(a.Parts, a.Artifact.Size), a.Acquisition.Check(s.Time))
}

// Lawful implements Act.
func (a *CollectEvidence) Lawful(View, *Statement) (Outcome, error) {
	return Outcome{}, unlawful("what was collected is taken in with its seal")
}

// Collected returns the statement that was signed at the scene; nil when there
// is none. It checks the form, not the signature.
func (a *SealEvidence) Collected() (*Statement, error) {
	if a.Scene == nil {
		return nil, nil
	}
	return a.Scene.Statement(Vocabulary{KindCollectEvidence: func() Act { return new(CollectEvidence) }})
}

// checkScene checks that what was signed at the scene is what is sealed, for
// the same log, and earlier.
func (a *SealEvidence) checkScene(seal *Statement) error {
	s, err := a.Collected()
	if err != nil || s == nil {
		return err
	}
	said := s.Act.(*CollectEvidence) // no other kind is read
	same, err := equal(said.Acquisition, a.Acquisition)
	if err != nil {
		return err
	}
	labels, err := equal(said.Labels, a.Labels)
	if err != nil {
		return err
	}
	parts, err := equal(said.Parts, a.Parts)
	switch {
	case err != nil:
		return err
	case said.Artifact != a.Artifact:
		return errors.New("the bytes are not those that were signed for at the scene")
	case !same || !labels || !parts || said.Format != a.Format:
		return errors.New("the facts are not those that were signed for at the scene")
	case s.Audience != seal.Audience:
		return fmt.Errorf("what was signed at the scene is for the log %q", s.Audience)
	case s.Time > seal.Time:
		return fmt.Errorf("what was signed at the scene at %s lies after the seal", s.Time)
	}
	return nil
}

// lawfulScene checks that who signed at the scene is enrolled with a key that is
// live, and signed for an item of this name and type.
func (a *SealEvidence) lawfulScene(v View, begun BeginEvidence) error {
	s, err := a.Collected()
	if err != nil || s == nil {
		return err
	}
	p, err := PrincipalOf(v, s.Actor)
	if errors.Is(err, ErrUnknown) {
		return unlawful("%s, who signed at the scene, is not enrolled", s.Actor)
	}
	if err != nil {
		return err
	}
	key, err := p.Key(s.Signer)
	if err == nil {
		err = a.Scene.Verify(key)
	}
	if err != nil {
		return unlawful("what was signed at the scene cannot be accepted: %s", err)
	}
	said := s.Act.(*CollectEvidence) // no other kind is read
	if said.Type != begun.Type || !bytes.Equal(said.Name.Raw(), begun.Name.Raw()) {
		return unlawful("the item was begun as %s %s; signed for at the scene was %s %s", begun.Type, begun.Name.Display, said.Type, said.Name.Display)
	}
	return nil
}

func equal(a, b any) (bool, error) {
	x, err := Encode(a)
	if err != nil {
		return false, err
	}
	y, err := Encode(b)
	return bytes.Equal(x, y), err
}
