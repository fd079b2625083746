package policy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/policy"
)

const (
	me   = custody.PrincipalID("p-aaaaaaaaaaaaaaaa")
	them = custody.PrincipalID("p-bbbbbbbbbbbbbbbb")
)

// columns are the roles of the matrix; nobody is enrolled and has no role.
var columns = []struct {
	short string
	role  custody.Role
}{
	{"adm", custody.RoleAdministrator},
	{"onc", custody.RoleOnCall},
	{"mgr", custody.RoleIncidentManager},
	{"eng", custody.RoleForensicEngineer},
	{"com", custody.RoleCommunications},
	{"exp", custody.RoleServiceExpert},
	{"cus", custody.RoleCustomerSupport},
	{"exe", custody.RoleExecutive},
	{"leg", custody.RoleLegalAdvisor},
	{"aud", custody.RoleExternalAuditor},
	{"own", custody.RoleServiceOwner},
	{"svc", custody.RoleService},
	{"new", policy.RoleNewcomer},
	{"nob", ""},
}

// matrix says who may what under the default policy: "yes" always, "team" only
// when assigned to the incident, "." never.
const matrix = `
what                        on         adm  onc  mgr  eng  com  exp  cus  exe  leg  aud  own  svc  new  nob
principal.enrol             somebody   yes  .    .    .    .    .    .    .    .    .    .    .    yes  .
principal.suspend           somebody   yes  .    .    .    .    .    .    .    .    .    .    .    .    .
principal.suspend           himself    yes  .    .    .    .    .    .    .    .    .    .    .    .    .
principal.reinstate         somebody   yes  .    .    .    .    .    .    .    .    .    .    .    .    .
role.grant                  somebody   yes  .    .    .    .    .    .    .    .    .    .    .    .    .
role.grant                  himself    yes  .    .    .    .    .    .    .    .    .    .    .    .    .
role.revoke                 somebody   yes  .    .    .    .    .    .    .    .    .    .    .    .    .
key.enrol                   somebody   .    .    .    .    .    .    .    .    .    .    .    .    .    .
key.enrol                   himself    yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes
key.revoke                  somebody   yes  .    .    .    .    .    .    .    .    .    .    .    .    .
key.revoke                  himself    yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes
session.open                somebody   .    .    .    .    .    .    .    .    .    .    .    .    .    .
session.open                himself    yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes
refusals.summary            somebody   .    .    .    .    .    .    .    .    .    .    .    yes  .    .
refusals.summary            himself    .    .    .    .    .    .    .    .    .    .    .    yes  .    .
witness.adopt               custody    yes  .    .    .    .    .    .    .    .    .    .    .    .    .
store.prove                 custody    .    .    .    .    .    .    .    .    .    .    .    yes  .    .
time.notice                 custody    .    .    .    .    .    .    .    .    .    .    .    yes  .    .
log.rekey                   custody    .    .    .    .    .    .    .    .    .    .    .    yes  .    .
incident.open               custody    yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  .    .    yes
incident.assign             incident   .    yes  yes  .    .    .    .    yes  .    .    .    .    .    .
incident.unassign           incident   .    yes  yes  .    .    .    .    yes  .    .    .    .    .    .
evidence.begin              incident   .    team .    team .    .    team .    .    .    .    .    .    .
evidence.seal               evidence   .    team .    team .    .    team .    .    .    .    .    .    .
evidence.withdraw           evidence   .    team yes  team .    .    team .    .    .    .    .    .    .
evidence.check              evidence   .    .    .    .    .    .    .    .    .    .    .    yes  .    .
evidence.retrieve           evidence   .    .    .    team .    .    .    .    .    .    .    .    .    .
evidence.release            evidence   .    .    .    .    .    .    .    .    .    .    .    yes  .    .
evidence.receive            evidence   .    .    .    team .    .    .    .    .    .    .    .    .    .
evidence.export             evidence   .    .    yes  team .    .    .    .    yes  yes  .    .    .    .
evidence.report             evidence   .    .    yes  team .    .    .    .    yes  yes  .    .    .    .
evidence.verify             evidence   .    .    yes  team .    .    .    .    yes  yes  .    .    .    .
evidence.hold               evidence   .    .    yes  .    .    .    .    yes  yes  .    .    .    .    .
evidence.lift-hold          evidence   .    .    yes  .    .    .    .    yes  yes  .    .    .    .    .
evidence.dispose            evidence   .    .    yes  .    .    .    .    yes  yes  .    .    .    .    .
evidence.disposed           evidence   .    .    .    .    .    .    .    .    .    .    .    yes  .    .
evidence.shredded           evidence   .    .    .    .    .    .    .    .    .    .    .    yes  .    .
evidence.keys-lost          evidence   .    .    .    .    .    .    .    .    .    .    .    yes  .    .
record.erase                evidence   .    .    yes  .    .    .    .    yes  yes  .    .    .    .    .
record.erase                incident   .    .    yes  .    .    .    .    yes  yes  .    .    .    .    .
record.erase                somebody   .    .    yes  .    .    .    .    yes  yes  .    .    .    .    .
record.erase                himself    .    .    yes  .    .    .    .    yes  yes  .    .    .    .    .
record.erase                custody    .    .    yes  .    .    .    .    yes  yes  .    .    .    .    .
record.erased               custody    .    .    .    .    .    .    .    .    .    .    .    yes  .    .
incident.export             incident   .    .    yes  team .    .    .    .    yes  yes  .    .    .    .
incident.report             incident   .    .    yes  team .    .    .    .    yes  yes  .    .    .    .
incident.retain             incident   .    .    yes  .    .    .    .    yes  yes  .    .    .    .    .
incident.shred              incident   .    .    yes  .    .    .    .    yes  yes  .    .    .    .    .
incident.shredded           incident   .    .    .    .    .    .    .    .    .    .    .    yes  .    .
evidence.destroy            evidence   .    .    .    .    .    .    .    .    .    .    .    .    .    .
record.read                 incident   team team yes  team team team team yes  yes  yes  team team team team
record.read                 evidence   team team yes  team team team team yes  yes  yes  team team team team
record.read                 somebody   yes  .    yes  .    .    .    .    yes  yes  yes  .    .    .    .
record.read                 himself    yes  .    yes  .    .    .    .    yes  yes  yes  .    .    .    .
record.read                 custody    .    .    yes  .    .    .    .    yes  yes  yes  .    .    .    .
directory.read              custody    yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  .    yes
genesis                     custody    .    .    .    .    .    .    .    .    .    .    .    .    .    .
incident.appoint            incident   team yes  yes  team team team team team team team team team team team
incident.hand-over          incident   team team team team team team team yes  team team team team team team
incident.stage              incident   team team team team team team team team team team team team team team
incident.close              incident   team team team team team team team team team team team team team team
incident.note               incident   team team team team team team team team team team team team team team
incident.clear              incident   team team team team team team team team team team team team team team
emergency.withdraw          incident   team team team team team team team team team team team team team team
finding.record              incident   team team team team team team team team team team team team team team
mitigation.measure          incident   team team team team team team team team team team team team team team
emergency.sign              incident   team team team team team team team team team team team team team team
postmortem.issue            incident   team team team team team team team team team team team team team team
repair.done                 incident   team team team team team team team team team team team team team team
team.rota                   custody    .    .    yes  .    .    .    .    .    .    .    .    .    .    .
team.review-defaults        custody    yes  .    yes  .    .    .    .    yes  .    .    .    .    .    .
vulnerability.report        custody    yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  .    .    yes
vulnerability.assess        custody    .    yes  yes  .    .    .    .    yes  .    .    .    .    .    .
vulnerability.fix           custody    .    yes  yes  .    .    .    .    yes  .    .    .    .    .    .
vulnerability.accept        custody    .    .    yes  .    .    .    .    yes  .    .    .    .    .    .
vulnerability.link          incident   team team team team team team team team team team team team team team
principal.qualify           somebody   .    .    yes  .    .    .    .    yes  .    .    .    .    .    .
principal.disqualify        himself    .    .    yes  .    .    .    .    yes  .    .    .    .    .    .
evidence.begin              beginning  .    team team team .    .    team .    .    .    .    .    .    .
evidence.seal               post-mortem  .    team team team .    .    team .    .    .    .    .    .    .
evidence.retrieve           post-mortem  .    .    team team .    .    .    yes  yes  yes  .    .    .    .
evidence.receive            post-mortem  .    .    team team .    .    .    yes  yes  yes  .    .    .    .
`

func resource(on string, assigned ...custody.PrincipalID) custody.Resource {
	const incident = custody.IncidentID("i-aaaaaaaaaaaaaaaa")
	switch on {
	case "himself":
		return custody.Resource{Type: "Principal", ID: string(me)}
	case "somebody":
		return custody.Resource{Type: "Principal", ID: string(them)}
	case "incident":
		return custody.Resource{Type: "Incident", ID: string(incident), Incident: incident, Assigned: assigned}
	case "evidence":
		return custody.Resource{Type: "Evidence", ID: "e-aaaaaaaaaaaaaaaa", Incident: incident, Assigned: assigned}
	case "beginning":
		return custody.Resource{Type: "Incident", ID: string(incident), Incident: incident, Assigned: assigned, Artifact: custody.TypePostMortem}
	case "post-mortem":
		return custody.Resource{Type: "Evidence", ID: "e-aaaaaaaaaaaaaaaa", Incident: incident, Assigned: assigned, Artifact: custody.TypePostMortem}
	default:
		return custody.Resource{Type: "Custody", ID: "custody.example/test"}
	}
}

func TestWhoMayWhat(t *testing.T) {
	p, err := policy.Parse(policy.Default)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(matrix), "\n")
	for i, name := range strings.Fields(lines[0])[2:] {
		require.Equal(t, columns[i].short, name)
	}
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		require.Len(t, cells, 2+len(columns), line)
		action, on := custody.Kind(cells[0]), cells[1]
		for i, c := range columns {
			r := policy.Request{Principal: me, Action: action, Purpose: "because"}
			if c.role != "" {
				r.Roles = []custody.Role{c.role}
			}
			want := cells[2+i]
			r.Resource = resource(on, them)
			require.Equal(t, want == "yes", p.Decide(r).Permit, "%s %s as %s, not of the team", action, on, c.short)
			r.Resource = resource(on, me, them)
			require.Equal(t, want != ".", p.Decide(r).Permit, "%s %s as %s, of the team", action, on, c.short)
		}
	}
}

// TestPurposesAreAsked: evidence is neither begun nor retrieved without one.
func TestPurposesAreAsked(t *testing.T) {
	p, err := policy.Parse(policy.Default)
	require.NoError(t, err)
	for action, on := range map[custody.Kind]string{custody.KindBeginEvidence: "incident", custody.KindRetrieveEvidence: "evidence"} {
		r := policy.Request{Principal: me, Roles: []custody.Role{custody.RoleForensicEngineer}, Action: action, Resource: resource(on, me)}
		require.False(t, p.Decide(r).Permit, action)
		r.Purpose = "because"
		require.True(t, p.Decide(r).Permit, action)
	}
}

// TestASealSaysWhetherItIsLocked by the rule that permits it.
func TestASealSaysWhetherItIsLocked(t *testing.T) {
	p, err := policy.Parse(policy.Default)
	require.NoError(t, err)
	for locks, rule := range map[bool]string{true: "seal", false: custody.RuleUnlocked} {
		for role, permit := range map[custody.Role]bool{custody.RoleForensicEngineer: true, custody.RoleLegalAdvisor: false} {
			got := p.Decide(policy.Request{
				Principal: me, Roles: []custody.Role{role}, Action: custody.KindSealEvidence, Resource: resource("evidence", me), Locks: locks,
			})
			require.Equal(t, permit, got.Permit)
			if permit {
				require.Equal(t, []string{rule}, got.Rules)
			}
		}
	}
}

// TestRolesAddUp: rights are the union of roles.
func TestRolesAddUp(t *testing.T) {
	p, err := policy.Parse(policy.Default)
	require.NoError(t, err)
	r := policy.Request{
		Principal: me, Roles: []custody.Role{custody.RoleCommunications, custody.RoleForensicEngineer},
		Action: custody.KindRetrieveEvidence, Resource: resource("evidence", me), Purpose: "because",
	}
	require.Equal(t, policy.Answer{Permit: true, Rules: []string{"retrieve"}}, p.Decide(r))
}

// TestAnErringPolicyDenies: by Cedar's own rules an erring policy is left out,
// so that a forbid whose condition errs would forbid nothing.
func TestAnErringPolicyDenies(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		rules []string
	}{
		"an erring forbid": {`@id("all") permit (principal, action, resource);
			@id("broken") forbid (principal, action, resource) when { principal.clearance > 3 };`, []string{"error:broken"}},
		"an erring permit": {`@id("all") permit (principal, action, resource);
			@id("broken") permit (principal, action, resource) when { resource.assigned > 3 };`, []string{"error:broken"}},
		"an overflow": {`@id("all") permit (principal, action, resource);
			@id("sum") permit (principal, action, resource) when { 9223372036854775807 + 1 > 0 };`, []string{"error:sum"}},
		"two of them": {`@id("b") permit (principal, action, resource) when { context.x };
			@id("a") forbid (principal, action, resource) when { context.y };`, []string{"error:a", "error:b"}},
	} {
		p, err := policy.Parse(c.text)
		require.NoError(t, err, name)
		require.Equal(t, policy.Answer{Rules: c.rules}, p.Decide(policy.Request{Principal: me, Action: "x", Resource: resource("custody")}), name)
	}
}

func TestAnswersNameTheirRules(t *testing.T) {
	p, err := policy.Parse(`@id("b") permit (principal, action, resource);
		@id("a") permit (principal, action, resource);
		@id("never") forbid (principal, action == Action::"burn", resource);`)
	require.NoError(t, err)
	ask := func(action custody.Kind) policy.Answer {
		return p.Decide(policy.Request{Principal: me, Action: action, Resource: resource("custody")})
	}
	require.Equal(t, policy.Answer{Permit: true, Rules: []string{"a", "b"}}, ask("keep"))
	require.Equal(t, policy.Answer{Rules: []string{"never"}}, ask("burn"), "a forbid wins")

	none, err := policy.Parse("")
	require.NoError(t, err)
	require.Equal(t, policy.Answer{Rules: []string{}}, none.Decide(policy.Request{Principal: me, Action: "keep", Resource: resource("custody")}), "what nothing permits is denied")
}

func TestPoliciesThatAreNone(t *testing.T) {
	for name, text := range map[string]string{
		"no id":        `permit (principal, action, resource);`,
		"an empty id":  `@id("") permit (principal, action, resource);`,
		"an id twice":  `@id("a") permit (principal, action, resource); @id("a") forbid (principal, action, resource);`,
		"no syntax":    `@id("a") permit principal`,
		"another word": `@id("a") allow (principal, action, resource);`,
	} {
		_, err := policy.Parse(text)
		require.Error(t, err, name)
	}
}

func TestThePolicyIsNamedByItsText(t *testing.T) {
	p, err := policy.Parse(policy.Default)
	require.NoError(t, err)
	require.Equal(t, custody.Hash([]byte(policy.Default)), p.Digest())
}

// TestKnows: which actions a policy is about, whatever stands in its comments.
func TestKnows(t *testing.T) {
	p, err := policy.Parse(`@id("a") // Action::"evidence.seal" is not here
permit (principal, action in [Action::"evidence.export", Action::"evidence.report"], resource)
when { context.purpose != "" && action != Action::"evidence.receive" };`)
	require.NoError(t, err)
	for action, want := range map[custody.Kind]bool{
		custody.KindExportEvidence: true, custody.KindReportEvidence: true, custody.KindReceiveEvidence: true, custody.KindSealEvidence: false, custody.KindExportIncident: false,
	} {
		require.Equal(t, want, p.Knows(action), action)
	}
	p, err = policy.Parse(`@id("a") permit (principal, action, resource);`)
	require.NoError(t, err)
	require.True(t, p.Knows(custody.KindExportIncident))
	p, err = policy.Parse(policy.Default)
	require.NoError(t, err)
	for kind := range custody.Acts() {
		require.Equal(t, kind != custody.KindGenesis && kind != custody.KindCollectEvidence, p.Knows(kind), kind)
	}
}
