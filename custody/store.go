package custody

import "fmt"

// KindProveStore is the kind of statement by which the service says what its
// store of evidence was proven to do.
const KindProveStore Kind = "store.prove"

// ProveStore is what the service found when it tried its store at a start, on
// the live store and with objects of its own. It stands in the policy stream
// whenever it differs from what stood there before, so that whoever reads of an
// item knows what kept it from being deleted or altered, and what did not.
type ProveStore struct {
	Checksum       bool   `json:"checksum"`       // refuses bytes that were damaged on their way
	ConditionalPut bool   `json:"conditionalPut"` // refuses to replace
	Hold           bool   `json:"hold"`           // enforces legal holds
	Lock           bool   `json:"lock"`           // enforces retention: nobody deletes or shortens
	Store          string `json:"store"`          // one of Stores
	Versions       bool   `json:"versions"`       // keeps what is written over or deleted readable
}

// The kinds of store.
const (
	StoreFolder = "folder"
	StoreS3     = "s3"
)

// RuleUnlocked is the policy's rule that permits a seal where the store was not
// proven to lock what is sealed: the record of such a seal names it.
const RuleUnlocked = "seal-unlocked"

func (*ProveStore) Kind() Kind         { return KindProveStore }
func (*ProveStore) NeedsPurpose() bool { return false }
func (a *ProveStore) Subject() Subject { return Subject{Name: "store"} }

// Check implements Act.
func (a *ProveStore) Check(*Statement) error {
	if a.Store != StoreFolder && a.Store != StoreS3 {
		return fmt.Errorf("store %.20q is neither %q nor %q", a.Store, StoreFolder, StoreS3)
	}
	return nil
}

// Lawful implements Act.
func (a *ProveStore) Lawful(v View, s *Statement) (Outcome, error) {
	p, err := stateOf[*Policy](v, PolicyStream)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Stream: PolicyStream, Resource: Resource{Type: "Custody", ID: s.Audience}}
	if p.Store != nil && *p.Store == *a {
		return out, unlawful("this is on record")
	}
	return out, nil
}

// String says in a line what may be expected of the store.
func (a ProveStore) String() string {
	switch {
	case a.Store == StoreFolder:
		return "a folder: its write protection is advisory, deletion is found out and not prevented"
	case a.Lock:
		return "S3, proven to lock: what is sealed cannot be deleted or altered through it before its retention ends"
	default:
		return "S3, UNLOCKED: deletion is found out and not prevented"
	}
}
