// Package decision says what is decided about a statement: a pure function of
// the statement, what is on record and the time. The guard decides by it, and
// whoever replays the log decides by it again.
//
// It promises that whatever is not lawful and permitted is refused, and that two
// who see the same records come to the same decision, reason and rules included.
//
// It does not verify the signature: it says which key has to have made it.
//
// Begin reading at Judge.Decide.
package decision

import (
	"errors"
	"fmt"
	"sync"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/policy"
)

// Hidden is the reason on record of a refusal whose actor may not know more than
// that he was refused.
const Hidden = "not permitted, or no such thing"

// HiddenText is the whole answer to such an actor: the same for what does not
// exist and for what is not his.
const HiddenText = "no such thing, or not for you"

// NotEach is the reason of a refusal of what covers several things, to who is
// permitted the act but not each of them. Which it is stays hidden.
const NotEach = "not permitted for each item of the incident; export those one by one that are for you"

// NoRuleText tells an actor that nobody is permitted an act, by a policy that is older
// than the act. It says nothing of the thing that he asked for.
func NoRuleText(k custody.Kind) string {
	return fmt.Sprintf("no rule of this log's policy is about %s, so nobody may do it: the log began with the policy of an older version, and a log's policy cannot be changed yet; a log that is begun with this version has a rule for it", k)
}

// ErrNoKey says that the statement's signer is no live key of its actor, or that
// the actor is unknown and has no stream in which that could be recorded.
var ErrNoKey = errors.New("the signer is no live key of the actor")

// Decision is what was decided, as it is put on record, and what goes with it.
type Decision struct {
	custody.Decision
	Told     string            // to the actor, when it was refused
	Stream   custody.Stream    // where the record belongs
	Declares []custody.Stream  // that it opens
	Key      custody.PublicKey // that has to have signed
}

// Object refuses what was permitted, for a reason that does not stand in the
// records: bytes that are not as the statement says.
func (d *Decision) Object(why string) {
	d.Permit, d.Reason, d.Told, d.Declares = false, why, why, nil
}

// Judge decides. It keeps the policies that it has read. The zero value is ready,
// and its methods may be called at once.
type Judge struct {
	policies sync.Map // of *policy.Policy, by custody.Digest
}

// Decide says whether a statement is lawful and permitted, by what the view shows.
// ErrNoKey means that there is no such actor, or not with that key; any other
// error that nothing could be decided.
func (j *Judge) Decide(v custody.View, s *custody.Statement) (*Decision, error) {
	d := &Decision{Decision: custody.Decision{Rules: []string{}}}
	roles, err := d.actor(v, s)
	if err != nil {
		return nil, err
	}
	state, err := custody.PolicyOf(v)
	if err != nil {
		return nil, err
	}
	rules, err := j.inForce(state)
	if err != nil {
		return nil, err
	}
	d.Policy = rules.Digest()

	out, lawErr := s.Act.Lawful(v, s)
	unknown := errors.Is(lawErr, custody.ErrUnknown)
	if lawErr != nil && !unknown && !errors.As(lawErr, new(custody.Unlawful)) {
		return nil, lawErr
	}
	request := policy.Request{
		Principal: s.Actor, Roles: roles, Action: s.Kind, Resource: out.Resource, Purpose: s.Purpose,
		Locks: state.Store != nil && state.Store.Lock,
	}
	if out.Resource.Type != "" {
		answer := rules.Decide(request)
		d.Permit, d.Rules = answer.Permit, answer.Rules
	}
	var forbid []string
	notEach := false
	if d.Permit {
		forbid, notEach = notCovered(rules, request, out.Covers)
	}
	switch {
	case d.Permit && lawErr == nil && notEach:
		d.Permit, d.Rules, d.Reason, d.Told = false, forbid, NotEach, NotEach
	case !d.Permit, unknown:
		d.Permit, d.Reason, d.Told = false, Hidden, HiddenText
		if !rules.Knows(s.Kind) {
			d.Told = NoRuleText(s.Kind)
		}
	case lawErr != nil:
		d.Permit, d.Reason, d.Told = false, lawErr.Error(), lawErr.Error()
	default:
		d.Stream, d.Declares = out.Stream, out.Declares
	}
	if !d.Permit {
		d.Stream = refusalStream(rules, request, out)
	}
	if d.Stream == "" {
		return nil, ErrNoKey // a newcomer's refusal: he has no stream
	}
	if _, err := v.State(d.Stream); err != nil {
		return nil, err
	}
	return d, nil
}

// notCovered asks policy about each thing that an act covers. It says whether one is
// not permitted, and by which rules.
func notCovered(rules *policy.Policy, r policy.Request, covers []custody.Cover) ([]string, bool) {
	for _, c := range covers {
		r.Action, r.Resource = c.Action, c.Resource
		if answer := rules.Decide(r); !answer.Permit {
			return answer.Rules, true
		}
	}
	return nil, false
}

// refusalStream says where a refusal is recorded: with the thing, if the actor
// may know that it exists, and else in his own stream.
func refusalStream(rules *policy.Policy, r policy.Request, out custody.Outcome) custody.Stream {
	if out.Stream != "" {
		r.Action = policy.ReadRecords
		if rules.Decide(r).Permit {
			return out.Stream
		}
	}
	if r.Principal == "" {
		return ""
	}
	return r.Principal.Stream()
}

// actor notes the key that must have signed, which must be live, and returns the
// roles of its holder.
func (d *Decision) actor(v custody.View, s *custody.Statement) ([]custody.Role, error) {
	if s.Actor == "" {
		act, ok := s.Act.(*custody.EnrolPrincipal)
		if !ok {
			return nil, ErrNoKey
		}
		var err error
		d.Key, err = custody.ParsePublicKey(act.Key)
		return []custody.Role{policy.RoleNewcomer}, err
	}
	p, err := custody.PrincipalOf(v, s.Actor)
	if errors.Is(err, custody.ErrUnknown) {
		return nil, ErrNoKey
	}
	if err != nil {
		return nil, err
	}
	if d.Key, err = p.Key(s.Signer); err != nil {
		return nil, ErrNoKey
	}
	return p.Roles(), nil
}

// InForce returns the policy that is in force by what the view shows.
func (j *Judge) InForce(v custody.View) (*policy.Policy, error) {
	state, err := custody.PolicyOf(v)
	if err != nil {
		return nil, err
	}
	return j.inForce(state)
}

func (j *Judge) inForce(state *custody.Policy) (*policy.Policy, error) {
	if p, ok := j.policies.Load(state.Digest); ok {
		return p.(*policy.Policy), nil
	}
	p, err := policy.Parse(state.Text)
	if err != nil {
		return nil, err
	}
	j.policies.Store(state.Digest, p)
	return p, nil
}
