package custody

import "golang.org/x/mod/sumdb/note"

// KindAdoptWitnesses is the kind of statement that changes the witness policy of
// the log.
const KindAdoptWitnesses Kind = "witness.adopt"

// AdoptWitnesses makes a witness policy the one in force: whom the service asks
// to cosign checkpoints, and without which of them it hands out no evidence. It
// takes two administrators. The trust files that people have stay as they are:
// each verifier goes on asking for the quorum of his own.
type AdoptWitnesses struct {
	Policy  string `json:"policy"`  // see WitnessPolicy
	Seconds Digest `json:"seconds"` // payload digest of the first one's statement; zero in his
}

func (*AdoptWitnesses) Kind() Kind         { return KindAdoptWitnesses }
func (*AdoptWitnesses) NeedsPurpose() bool { return true }
func (a *AdoptWitnesses) Subject() Subject {
	return Subject{Name: "witnesses", SHA256: Hash([]byte(a.Policy))}
}

// Check implements Act.
func (a *AdoptWitnesses) Check(*Statement) error {
	_, err := ParseWitnessPolicy(a.Policy)
	return err
}

// Lawful implements Act.
func (a *AdoptWitnesses) Lawful(v View, s *Statement) (Outcome, error) {
	p, err := stateOf[*Policy](v, PolicyStream)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Stream: PolicyStream, Resource: Resource{Type: "Custody", ID: s.Audience}}
	if p.Witnesses == a.Policy {
		return out, unlawful("this witness policy is in force")
	}
	return out, p.motions.Check(a.Motion(s), v.Now())
}

// Motion is what the statement moves or seconds.
func (a *AdoptWitnesses) Motion(s *Statement) Motion {
	return Motion{By: s.Actor, What: "adopt the witness policy " + Hash([]byte(a.Policy)).String(), Seconds: a.Seconds}
}

// Verifiers returns the keys of the policy's witnesses.
func (p *WitnessPolicy) Verifiers() []note.Verifier {
	list := make([]note.Verifier, len(p.Witnesses))
	for i, w := range p.Witnesses {
		list[i] = w.verifier
	}
	return list
}
