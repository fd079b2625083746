package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

// TestAnIncidentsFile is for those who may read the incident, and shows what is on
// record, what is missing and what is open; the inventory, the rota and the programme
// span incidents, each as far as its reader may see.
func TestAnIncidentsFile(t *testing.T) {
	s := newService(t)
	executive, err := s.Person("Exa Executive")
	require.NoError(t, err)
	require.NoError(t, s.Administrator.Enrols(t.Context(), executive, custody.RoleExecutive))
	says := func(who string, purpose string, act custody.Act) {
		t.Helper()
		p := map[string]*guardtest.Person{"lead": s.Lead, "engineer": s.Engineer, "administrator": s.Administrator, "executive": executive}[who]
		require.Equal(t, http.StatusCreated, s.say(p, purpose, act).StatusCode, "%s: %s", who, act.Kind())
	}
	at := func(d time.Duration) custody.Time { return custody.TimeOf(s.Now()).Add(d) }
	now := func() investigate.Happened { return investigate.Happened{At: at(0)} }
	on := investigate.On{Incident: s.Incident}
	ready := custody.QualifyPrincipal{
		Principal: s.Lead.ID, Role: custody.RoleIncidentManager, Training: "t", Experience: "e", Authority: "a", Apprenticeship: "2025", Until: at(1000 * time.Hour),
	}
	says("executive", "", &ready)
	ready.Principal, ready.Role, ready.Apprenticeship = s.Engineer.ID, custody.RoleOnCall, ""
	says("administrator", "", &custody.GrantRole{Principal: s.Engineer.ID, Role: custody.RoleOnCall})
	says("lead", "", &ready)
	says("lead", "", &investigate.Rota{From: at(-time.Hour), Principal: s.Engineer.ID, To: at(24 * time.Hour)})
	says("engineer", "he leads", &investigate.Assign{Incident: s.Incident, Principal: s.Lead.ID})
	says("lead", "called", &investigate.Appoint{On: on, Happened: now(), Principal: s.Engineer.ID, Role: custody.RoleOnCall})
	says("engineer", "senior", &investigate.Appoint{On: on, Happened: now(), Principal: s.Lead.ID, Role: custody.RoleIncidentManager})
	says("engineer", "seen", &investigate.Detection{On: on, Happened: now(), Properties: []string{"integrity"}, Reference: "alarm 7", Source: "operator"})
	says("lead", "lesson", &investigate.Repair{On: on, Due: at(3 * time.Second), Owner: "web team", Text: "patch", Type: "engineering"})
	says("lead", "real", &investigate.Move{On: on, Happened: now(), Definition: 1, Stage: investigate.StageAssess})

	lead, outsider, counsel := s.login(s.Lead), s.login(s.Outsider), s.login(s.Counsel)
	path := "/v1/incidents/" + string(s.Incident) + "/file"
	for _, reader := range []*visitor{lead, counsel} {
		var p investigate.Picture
		a := s.get(reader, path)
		require.Equal(t, http.StatusOK, a.StatusCode)
		require.NoError(t, json.Unmarshal(a.body, &p))
		require.Equal(t, investigate.StageAssess, p.Stage)
		require.Equal(t, investigate.StageDiagnose, p.Next)
		require.Contains(t, p.Missing, "severity and priority (incident.rate)")
		require.Contains(t, p.Open, "repair item R-1 is overdue")
		require.Len(t, p.File.Holders, 2)
		require.Equal(t, "called", p.File.Holders[0].Why)
		require.NotNil(t, p.Times.Engaged)
	}
	require.Equal(t, http.StatusNotFound, s.get(outsider, path).StatusCode)
	require.Equal(t, http.StatusNotFound, s.get(lead, "/v1/incidents/i-aaaaaaaaaaaaaaaa/file").StatusCode)

	var repairs api.Repairs
	require.NoError(t, json.Unmarshal(s.get(lead, "/v1/repairs").body, &repairs))
	require.Len(t, repairs.Repairs, 1)
	require.True(t, repairs.Repairs[0].Overdue)
	require.Equal(t, "R-1", repairs.Repairs[0].Item.Label)
	require.NoError(t, json.Unmarshal(s.get(outsider, "/v1/repairs").body, &repairs))
	require.Empty(t, repairs.Repairs, "who may not see the incident sees none of its items")

	var team api.Team
	require.NoError(t, json.Unmarshal(s.get(outsider, "/v1/team").body, &team))
	require.Len(t, team.Rota, 1)
	require.Len(t, team.Unmanned, 1, "after that nobody is on call")
	require.True(t, team.Defaults.Overdue, "nobody reviewed them")

	var p investigate.Programme
	require.NoError(t, json.Unmarshal(s.get(lead, "/v1/programme").body, &p))
	require.Equal(t, 1, p.Incidents.Opened)
	require.Equal(t, 1, p.Overdue)
	require.Equal(t, 1, p.Sources["operator"].Opened)
	require.NoError(t, json.Unmarshal(s.get(outsider, "/v1/programme").body, &p))
	require.Zero(t, p.Incidents.Opened)
}
