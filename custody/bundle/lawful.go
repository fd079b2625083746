package bundle

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/forensic-custody/custody/custody"
)

// entitled says whether a permitted statement is one that its signer could
// make at all, by the roles that his own stream and the policy stream give him
// in its basis. What the policy says beyond that is not decided here again.
func (c *check) entitled(e *entry, p custody.Principal) error {
	if !e.record.Decision.Permit {
		return nil
	}
	administrator := func(does bool) error {
		if !does {
			return fmt.Errorf("%s was no administrator when it was decided", p.ID)
		}
		return nil
	}
	service := p.ID == c.service
	switch act := e.statement.Act.(type) {
	case *custody.EnrolPrincipal, *custody.GrantRole, *custody.RevokeRole, *custody.SuspendPrincipal, *custody.ReinstatePrincipal,
		*custody.AdoptWitnesses:
		return administrator(p.Has(custody.RoleAdministrator))
	case *custody.EnrolKey:
	case *custody.RevokeKey:
		if act.Principal == c.service && !service {
			return errors.New("only the service revokes a key of the service")
		}
		return administrator(act.Principal == p.ID || p.Has(custody.RoleAdministrator))
	case *custody.CheckEvidence, *custody.ReleaseEvidence, *custody.DisposedEvidence, *custody.SummariseRefusals, *custody.ProveStore, *custody.ReplaceLogKey, *custody.NoticeTime,
		*custody.ShreddedEvidence, *custody.ShreddedIncident, *custody.LoseKeys, *custody.ErasedRecord:
		if !service {
			return errors.New("only the service says what it checked, released, destroyed and refused")
		}
	case *custody.EraseRecord:
		if !slices.ContainsFunc(custody.Erasers(), p.Has) {
			return fmt.Errorf("%s had none of the roles that may order a record erased", p.ID)
		}
	default:
		if service {
			return errors.New("the service says what it checked, released, destroyed and refused, changes its keys, and nothing else")
		}
	}
	return nil
}

// disputed notes a statement that stands in the log after the revocation of
// its key, or the suspension of its signer, though it was decided on a state of
// before. Whoever runs the log could have held it back.
func (c *check) disputed(e *entry, own *stream, known uint64) {
	for _, r := range own.records[min(known, uint64(len(own.records))):] {
		if r.record == nil {
			continue
		}
		act, ok := r.statement.Act.(*custody.RevokeKey)
		_, suspended := r.statement.Act.(*custody.SuspendPrincipal)
		if r.record.Decision.Permit && r.index < e.index && (ok && act.Key == e.statement.Signer || suspended) {
			c.verdict.Warnings = append(c.verdict.Warnings, Problem{Where: e.where, What: fmt.Sprintf(
				"stands in the log at %d, after the revocation or suspension at %d of what signed it", e.index, r.index)})
			return
		}
	}
}

// given is a grant in an item's stream.
type given struct {
	to                 custody.PrincipalID // empty when the grant is withheld
	released, received bool
}

// checkCourse checks that the permitted records of the item's stream can have
// followed one another: sealed once, first of all, by whoever began it; released
// and received what was granted, once.
func (c *check) checkCourse(s *stream, begunBy custody.PrincipalID, shredding *shredding) *keeping {
	sealed, assumed := false, maps.Clone(s.assumed)
	grants := map[custody.Digest]*given{}
	motions := custody.Motions{}
	kept := &keeping{holds: map[custody.Digest]bool{}, assumed: assumed, incident: c.head.Incident.Stream(), shredding: shredding}
	for e := range s.told() {
		if !e.record.Decision.Permit {
			continue
		}
		if err := step(e, begunBy, &sealed, grants, assumed); err != nil {
			c.problem(e.where, err)
		}
		carried := false
		if moved, ok := e.statement.Act.(mover); ok {
			m := moved.Motion(e.statement)
			if carried = assumed[m.Seconds] == asMotion; carried { // that it says the same as the first is not shown
				delete(assumed, m.Seconds)
			} else {
				if err := motions.Check(m, e.record.Recorded); err != nil {
					c.problem(e.where, err)
				}
				_, carried = motions.Apply(e.statement.Payload, m, e.record.Recorded)
			}
		}
		if err := kept.step(e, carried); err != nil {
			c.problem(e.where, err)
		}
	}
	return kept
}

// keeping is how an item was kept, as far as its records have come.
type keeping struct {
	holds     map[custody.Digest]bool
	order     custody.Digest            // by which it is destroyed; zero when there is none
	bytes     custody.Digest            // SHA-256 of what was sealed
	certified *custody.DisposedEvidence // that it was destroyed; nil when it was not
	assumed   map[custody.Digest]role   // statements that withheld records may be of

	incident    custody.Stream
	shredding   *shredding // of the incident's keys; nil when the bundle has no order
	ordered     bool       // the records that the order looked at are past
	heldAtOrder bool       // a hold was on the item then
}

// step checks that an item is destroyed by an order that two people gave, when
// no hold was on it, and that nobody was given its bytes afterwards. carried says
// that the record is the second of two people's.
func (k *keeping) step(e *entry, carried bool) error {
	if err := k.shred(e); err != nil {
		return err
	}
	switch act := e.statement.Act.(type) {
	case *custody.SealEvidence:
		k.bytes = act.Artifact.SHA256
	case *custody.EraseRecord:
		if len(k.holds) > 0 {
			return errors.New("orders a record of the item erased while it was on legal hold")
		}
	case *custody.ErasedRecord:
		if len(k.holds) > 0 {
			return errors.New("says that a record of the item was erased while it was on legal hold")
		}
	case *custody.HoldEvidence:
		k.holds[e.statement.Payload] = true
	case *custody.LiftHold:
		if carried {
			delete(k.holds, act.Hold)
		}
	case *custody.DisposeEvidence:
		if !carried {
			return nil
		}
		if len(k.holds) > 0 {
			return errors.New("orders the item destroyed while it was on legal hold")
		}
		k.order = e.statement.Payload
	case *custody.DisposedEvidence:
		withheld := k.assumed[act.Order] == asOrder
		switch {
		case (k.order.IsZero() || act.Order != k.order) && !withheld || act.SHA256 != k.bytes:
			return errors.New("says that the item was destroyed, which no two people had ordered")
		case withheld && len(k.holds) > 0: // nobody puts a hold on what is ordered destroyed: it was there before
			return errors.New("says that the item was destroyed, by an order that is withheld, while it was on legal hold")
		}
		k.certified, k.order = act, act.Order
	case *custody.RetrieveEvidence:
		if !k.order.IsZero() {
			return errors.New("was granted after the item was ordered destroyed")
		}
	}
	return nil
}

func step(e *entry, begunBy custody.PrincipalID, sealed *bool, grants map[custody.Digest]*given, assumed map[custody.Digest]role) error {
	act, isSeal := e.statement.Act.(*custody.SealEvidence)
	switch {
	case isSeal && *sealed:
		return fmt.Errorf("seals the item a second time, as SHA-256 %s", act.Artifact.SHA256.Hex())
	case isSeal && e.statement.Actor != begunBy:
		return fmt.Errorf("seals the item that %s began", begunBy)
	case isSeal:
		*sealed = true
		return nil
	case !*sealed:
		return errors.New("stands before the seal")
	}
	for d, as := range refersTo(e.statement) {
		if as == asGrant && assumed[d] == asGrant && grants[d] == nil {
			grants[d] = new(given)
		}
	}
	switch act := e.statement.Act.(type) {
	case *custody.RetrieveEvidence:
		grants[e.statement.Payload] = &given{to: e.statement.Actor}
	case *custody.ReleaseEvidence:
		if g := grants[act.Grant]; g == nil || g.released {
			return errors.New("releases what was not granted, or was released before")
		}
		grants[act.Grant].released = true
	case *custody.EraseRecord:
		recall(act, grants)
	case *custody.ReceiveEvidence:
		if g := grants[act.Grant]; g == nil || g.received || g.to != "" && g.to != e.statement.Actor {
			return errors.New("confirms what was not granted to its signer, or was confirmed before")
		}
		grants[act.Grant].received = true
	}
	return nil
}
