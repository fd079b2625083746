// Package policy decides an access: a pure function of the policy's text, the
// facts and the request, written in Cedar (https://www.cedarpolicy.com).
//
// It promises to deny whatever is not permitted, and whatever it could not
// decide without an error: by Cedar's rules an erring policy is left out, so
// that an erring forbid would forbid nothing.
//
// Begin reading at default.cedar, then Policy.Decide.
package policy

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"

	"github.com/cedar-policy/cedar-go"

	"github.com/forensic-custody/custody/custody"
)

// Default is the text of the policy that genesis adopts.
//
//go:embed default.cedar
var Default string

// RoleNewcomer is who enrols himself: a request's principal that nobody has
// enrolled. The guard allows that once, for the first administrator.
const RoleNewcomer custody.Role = "newcomer"

// The actions that are no statement: reading under a session.
const (
	ReadRecords   custody.Kind = "record.read"
	ReadDirectory custody.Kind = "directory.read"
)

// Policy is a parsed policy text.
type Policy struct {
	set    *cedar.PolicySet
	digest custody.Digest
	named  map[custody.Kind]bool // actions that a rule names
	any    bool                  // a rule is about whatever action
}

var (
	namesAction = regexp.MustCompile(`Action::"([^"\\]*)"`)
	anyAction   = regexp.MustCompile(`\baction,`)
)

// Parse reads a policy text. Every policy in it has an @id of its own, by
// which decisions name it.
func Parse(text string) (*Policy, error) {
	list, err := cedar.NewPolicyListFromBytes("policy.cedar", []byte(text))
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	set := cedar.NewPolicySet()
	read := &Policy{set: set, digest: custody.Hash([]byte(text)), named: map[custody.Kind]bool{}}
	for _, p := range list {
		id := cedar.PolicyID(p.Annotations()["id"])
		if id == "" {
			return nil, fmt.Errorf("policy: the policy in line %d has no @id", p.Position().Line)
		}
		if !set.Add(id, p) {
			return nil, fmt.Errorf("policy: two policies have the @id %q", id)
		}
		rule := p.MarshalCedar() // without its comments
		for _, m := range namesAction.FindAllSubmatch(rule, -1) {
			read.named[custody.Kind(m[1])] = true
		}
		read.any = read.any || anyAction.Match(rule)
	}
	return read, nil
}

// Knows says whether a rule of the policy is about the action: what none is about is
// permitted to nobody, as when the policy is older than the action. It is for telling
// people why; Decide does not go by it.
func (p *Policy) Knows(action custody.Kind) bool { return p.any || p.named[action] }

// Digest names the policy's text.
func (p *Policy) Digest() custody.Digest { return p.digest }

// Request is one question to a policy.
type Request struct {
	Principal custody.PrincipalID // a newcomer's is empty
	Roles     []custody.Role
	Action    custody.Kind
	Resource  custody.Resource
	Purpose   string
	Locks     bool // the store was proven to lock what is sealed
}

// Answer is a policy's answer, and the ids of the policies that gave it,
// sorted. Nothing that permits and nothing that forbids is a denial without
// ids.
type Answer struct {
	Permit bool
	Rules  []string
}

// Decide answers a request.
func (p *Policy) Decide(r Request) Answer {
	entities, request := r.cedar()
	decision, diagnostic := cedar.Authorize(p.set, entities, request)
	a := Answer{Permit: decision == cedar.Allow, Rules: []string{}}
	for _, reason := range diagnostic.Reasons {
		a.Rules = append(a.Rules, string(reason.PolicyID))
	}
	if len(diagnostic.Errors) > 0 {
		a = Answer{Rules: []string{}}
		for _, e := range diagnostic.Errors {
			a.Rules = append(a.Rules, "error:"+string(e.PolicyID))
		}
	}
	slices.Sort(a.Rules)
	a.Rules = slices.Compact(a.Rules)
	return a
}

func (r Request) cedar() (cedar.EntityMap, cedar.Request) {
	principal := entity("Principal", string(r.Principal))
	roles := make([]cedar.EntityUID, len(r.Roles))
	for i, role := range r.Roles {
		roles[i] = entity("Role", string(role))
	}
	assigned := make([]cedar.Value, len(r.Resource.Assigned))
	for i, id := range r.Resource.Assigned {
		assigned[i] = entity("Principal", string(id))
	}
	resource := entity(r.Resource.Type, r.Resource.ID)
	entities := cedar.EntityMap{}
	entities[resource] = cedar.Entity{
		UID:        resource,
		Attributes: cedar.NewRecord(cedar.RecordMap{"artifact": cedar.String(r.Resource.Artifact), "assigned": cedar.NewSet(assigned...)}),
	}
	if principal == resource {
		entities[resource] = cedar.Entity{UID: resource, Parents: cedar.NewEntityUIDSet(roles...), Attributes: entities[resource].Attributes}
	} else {
		entities[principal] = cedar.Entity{UID: principal, Parents: cedar.NewEntityUIDSet(roles...)}
	}
	return entities, cedar.Request{
		Principal: principal,
		Action:    entity("Action", string(r.Action)),
		Resource:  resource,
		Context:   cedar.NewRecord(cedar.RecordMap{"locks": cedar.Boolean(r.Locks), "purpose": cedar.String(r.Purpose)}),
	}
}

func entity(kind, id string) cedar.EntityUID {
	return cedar.NewEntityUID(cedar.EntityType(kind), cedar.String(id))
}
