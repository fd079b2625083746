package guardtest

import (
	"context"
	"fmt"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/investigate"
)

// Story is what happens in every World that lives one: an administrator enrols
// a team; an engineer takes an exhibit in, and retrieves it.
type Story struct {
	*World
	Administrator *Person
	Lead          *Person // incident manager and on call
	Engineer      *Person // assigned to the incident
	Outsider      *Person // a forensic engineer too, not assigned; see Others
	Counsel       *Person // legal advisor; see Others
	Incident      custody.IncidentID
	Evidence      custody.EvidenceID
	Artifact      []byte
	Session       string // the engineer's
	Grant         custody.Digest
}

// Team lets the administrator enrol the lead and the engineer, and the lead open
// the incident.
func (w *World) Team(ctx context.Context) (*Story, error) {
	s := &Story{World: w, Artifact: []byte("what was on the disk\n")}
	for name, p := range map[string]**Person{
		"Ada Administrator": &s.Administrator, "Lena Lead": &s.Lead, "Emil Engineer": &s.Engineer,
		"Otto Outsider": &s.Outsider, "Clara Counsel": &s.Counsel,
	} {
		var err error
		if *p, err = w.Person(name); err != nil {
			return nil, err
		}
	}
	for _, e := range []struct {
		who   *Person
		roles []custody.Role
	}{
		{s.Administrator, nil},
		{s.Lead, []custody.Role{custody.RoleIncidentManager}},
		{s.Engineer, []custody.Role{custody.RoleForensicEngineer}},
	} {
		if err := s.Administrator.Enrols(ctx, e.who, e.roles...); err != nil {
			return nil, err
		}
	}
	opened, err := s.Lead.must(ctx, "", &investigate.Open{
		Class: investigate.Security, DetectedAt: custody.TimeOf(w.Now()), Title: "a login from two countries at once",
	})
	if err != nil {
		return nil, err
	}
	s.Incident = custody.NewIncidentID(opened)
	if _, err := s.Lead.must(ctx, "she examines the disk", &investigate.Assign{Incident: s.Incident, Principal: s.Engineer.ID}); err != nil {
		return nil, err
	}
	return s, nil
}

// Others lets the administrator enrol those who are not of the incident.
func (s *Story) Others(ctx context.Context) error {
	if err := s.Administrator.Enrols(ctx, s.Outsider, custody.RoleForensicEngineer); err != nil {
		return err
	}
	return s.Administrator.Enrols(ctx, s.Counsel, custody.RoleLegalAdvisor)
}

// TakeIn lets the engineer take the artifact in.
func (s *Story) TakeIn(ctx context.Context) error {
	name, err := custody.NewName([]byte("disk.img"))
	if err != nil {
		return err
	}
	begun, err := s.Engineer.must(ctx, "it may hold the attacker's tools", &custody.BeginEvidence{
		AtMost: max(1<<20, uint64(len(s.Artifact))), Exhibit: "EX-1", Incident: s.Incident, Name: name, Type: "disk",
	})
	if err != nil {
		return err
	}
	s.Evidence = custody.NewEvidenceID(begun)
	_, err = s.Engineer.must(ctx, "taken at the scene", s.Seal())
	return err
}

// Seal returns the act that seals the story's artifact.
func (s *Story) Seal() *custody.SealEvidence {
	tree := custody.NewTreeHash(nil)
	_, _ = tree.Write(s.Artifact) // fails only after Finish
	return &custody.SealEvidence{
		Acquisition: custody.Acquisition{
			Authority:   custody.Authority{Kind: "policy", Reference: "incident response policy 4.2"},
			CollectedAt: "2026-11-23T20:41:00+01:00", Method: "dead", Place: "office, room 4",
			Source: custody.Source{Description: "laptop", Serial: "SN 123"}, WriteBlock: "Tableau T8u",
			Tool: &custody.Tool{Name: "dd", Version: "9.1", Settings: "bs=1M"}, Unread: &custody.Unread{},
		},
		Artifact: tree.Finish(), Evidence: s.Evidence, Incident: s.Incident,
	}
}

// Retrieval returns the act that asks for the whole artifact.
func (s *Story) Retrieval() *custody.RetrieveEvidence {
	return &custody.RetrieveEvidence{Evidence: s.Evidence, Length: uint64(len(s.Artifact))}
}

// Retrieve lets the engineer log in, retrieve the artifact and confirm it.
func (s *Story) Retrieve(ctx context.Context) error {
	login, err := s.Engineer.Does(ctx, "", &custody.OpenSession{Client: "a test"})
	if err := permitted(login, err); err != nil {
		return err
	}
	s.Session = login.Token
	raw, err := s.Engineer.Sign("to look for the tools", s.Retrieval())
	if err != nil {
		return err
	}
	s.Grant = PayloadOf(raw)
	a, err := s.Admit(ctx, raw, "")
	if err := permitted(a, err); err != nil {
		return err
	}
	use, err := s.Begin(ctx, s.Session, a.Token)
	if err != nil {
		return err
	}
	if err := use.Pass.Permits(guard.Range{Length: uint64(len(s.Artifact))}, s.Now()); err != nil {
		return err
	}
	if err := use.End(ctx, guard.Range{Length: uint64(len(s.Artifact))}, true); err != nil {
		return err
	}
	_, err = s.Engineer.must(ctx, "", &custody.ReceiveEvidence{
		Evidence: s.Evidence, Grant: s.Grant, SHA256: custody.Hash(s.Artifact), Size: uint64(len(s.Artifact)),
	})
	return err
}

// must sends a statement that has to be permitted, and returns its payload digest.
func (p *Person) must(ctx context.Context, purpose string, act custody.Act) (custody.Digest, error) {
	raw, err := p.Sign(purpose, act)
	if err != nil {
		return custody.Digest{}, err
	}
	a, err := p.world.Admit(ctx, raw, "")
	if err := permitted(a, err); err != nil {
		return custody.Digest{}, fmt.Errorf("%s: %s: %w", p.Name, act.Kind(), err)
	}
	return PayloadOf(raw), nil
}
