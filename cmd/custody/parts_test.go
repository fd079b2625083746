package main

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/investigate"
)

// TestJointMembership: one command for a coordinated incident and its parts, with a
// record in each; which part refused, and why; again, it says nothing twice; and who is
// missing where is shown, as far as its reader may see (WP-26).
func TestJointMembership(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	person := func(name, roles string) (home, id string) {
		home = d.home(t, name, name, inAgent)
		id = word(t, done(t, d.ada, "principal", "enroll", filepath.Join(home, requestFile), "--role", roles), "id")
		done(t, home, "login", "--principal", id)
		return home, id
	}
	exa, _ := person("exa", "executive-incident-manager")
	kimHome, kim := person("kim", "forensic-engineer")
	olga, olgaID := person("olga", "on-call")
	eve := word(t, done(t, d.eve, "whoami"), "id")
	mona := word(t, done(t, d.mona, "whoami"), "id")
	says := func(home string, args ...string) string {
		t.Helper()
		stdout, stderr, code := run(t, home, args...)
		require.Equal(t, exitDone, code, "%q\n%s%s", args, stdout, stderr)
		return stdout
	}
	ready := func(by, who, role string, more ...string) {
		t.Helper()
		says(by, append([]string{"team", "qualify", who, "--role", role, "--training", "t", "--experience", "e", "--authority", "a", "--until", "2036-01-01T00:00:00Z"}, more...)...)
	}
	ready(exa, mona, "incident-manager", "--apprenticeship", "2025")
	ready(exa, eve, "incident-manager", "--apprenticeship", "2025")
	ready(d.mona, olgaID, "on-call")

	// Two parts of one that is coordinated. Mona leads one of them, and Eve the other.
	whole := d.incident
	part := func(leader, home, id, title string) string {
		t.Helper()
		i := word(t, done(t, d.eve, "incident", "open", "--title", title), "id")
		says(exa, "incident", "assign", i, olgaID, "--purpose", "called")
		says(exa, "incident", "assign", i, id, "--purpose", "she leads")
		says(d.mona, "incident", "appoint", i, "--purpose", "called", "--principal", olgaID, "--role", "on-call", "--instead", "there is no rota")
		says(olga, "incident", "appoint", i, "--purpose", "senior", "--principal", id, "--role", "incident-manager")
		says(home, "incident", "teams", i, "--purpose", "one intruder", "--owner", "cert", "--participating", leader, "--parent", whole)
		return i
	}
	says(exa, "incident", "assign", whole, mona, "--purpose", "she leads a part")
	mail, web := part("eve", d.eve, eve, "the mail tier"), part("mona", d.mona, mona, "the web tier")
	alone := word(t, done(t, d.eve, "incident", "open", "--title", "another matter"), "id")

	// Mona may not set the team of the part that Eve leads.
	stdout, stderr, code := run(t, d.mona, "incident", "assign", whole, kim, "--parts", "--purpose", "forensics")
	require.Equal(t, exitRefused, code, "%s%s", stdout, stderr)
	require.Regexp(t, "^"+whole+"  done, on record as leaf \\d+ of the log", stdout)
	require.Regexp(t, "\n"+web+"  done, ", stdout)
	require.Regexp(t, "\n"+mail+"  REFUSED  .*"+eve+" is the incident's manager, and alone decides that", stdout)
	require.NotContains(t, stdout, alone, "which is no part of it")

	status := says(d.mona, "incident", "status", whole)
	who := func(name, id string) string { return regexp.QuoteMeta(name + " (" + id + ")") }
	require.Regexp(t, `members      here: .*`+who("kim", kim), status)
	require.Regexp(t, `members      here: .*; not of it: `+who("olga", olgaID)+"\n", status)
	require.Regexp(t, `members      part `+web+` \(the web tier\): .*`+who("kim", kim)+`.*; not of it: `+who("Eve", eve)+"\n", status)
	require.Regexp(t, `members      part `+mail+` \(the mail tier\): .*; not of it: .*`+who("kim", kim), status)
	require.NotContains(t, status, alone)
	require.NotContains(t, says(d.mona, "incident", "status", web), "members", "which has no parts")

	// Again, by who may in all: only what is missing is said.
	stdout = says(exa, "incident", "assign", whole, kim, "--parts", "--purpose", "forensics")
	require.Regexp(t, "^"+whole+"  already\n"+mail+"  done, [^\n]*\n"+web+"  already\n$", stdout)
	stdout = says(exa, "incident", "assign", whole, kim, "--parts", "--purpose", "forensics")
	require.Equal(t, whole+"  already\n"+mail+"  already\n"+web+"  already\n", stdout)
	for i, records := range map[string]int{whole: 1, web: 1, mail: 2} { // there one was refused, on record
		history := says(exa, "record", "history", i)
		require.Len(t, regexp.MustCompile(`"incident":"`+i+`","principal":"`+kim).FindAllString(history, -1), records)
		require.Equal(t, records == 2, regexp.MustCompile(`incident\.assign .*REFUSED`).MatchString(history), history)
	}

	// Without --parts it is of one incident alone, and --parts leaves others alone.
	says(exa, "incident", "unassign", web, kim, "--purpose", "done there")
	says(exa, "incident", "assign", alone, kim, "--purpose", "another matter")
	stdout = says(exa, "incident", "unassign", whole, kim, "--parts", "--purpose", "done")
	require.Regexp(t, "^"+whole+"  done, [^\n]*\n"+mail+"  done, [^\n]*\n"+web+"  already\n$", stdout)
	require.Contains(t, says(exa, "incident", "show", alone), kim)
	for _, i := range []string{whole, web, mail} {
		require.NotContains(t, says(exa, "incident", "show", i), kim)
	}

	// Of what has no parts that is said, lest somebody believes them served.
	stdout = says(exa, "incident", "assign", alone, kim, "--parts", "--purpose", "another matter")
	require.Equal(t, alone+"  already\n"+alone+"  has no part that you may see (incident teams --parent)\n", stdout)

	// Who reads the whole and is of no part sees none of them, nor who is in them.
	says(exa, "incident", "assign", whole, kim, "--purpose", "forensics")
	seen := says(kimHome, "incident", "status", whole)
	require.NotContains(t, seen, "members")
	require.NotContains(t, seen, web)
	says(exa, "incident", "assign", web, kim, "--purpose", "forensics")
	seen = says(kimHome, "incident", "status", whole)
	require.Contains(t, seen, "members      part "+web)
	require.NotContains(t, seen, mail)

	// Who was called into a part for his own service knows that part, and nothing of what
	// it is a part of nor of the others, though his part names the whole.
	stefHome, stef := person("stef", "service-team-expert")
	ready(d.mona, stef, "service-team-expert")
	says(d.mona, "incident", "assign", web, stef, "--purpose", "runs the web tier")
	says(d.mona, "incident", "teams", web, "--purpose", "one service", "--owner", "cert", "--parent", whole, "--service", "web", "--replaces", latestTeams(t, d.mona, web))
	refused(t, exitRefused, d.mona, []string{"incident", "appoint", web, "--purpose", "mail", "--principal", stef, "--role", "service-team-expert", "--service", "mail"}, "the incident is about web alone")
	says(d.mona, "incident", "appoint", web, "--purpose", "web", "--principal", stef, "--role", "service-team-expert", "--service", "web")
	require.Contains(t, says(d.mona, "incident", "status", web), "role         service-team-expert of web: stef ("+stef+")")
	require.Contains(t, says(stefHome, "incident", "status", web), "the web tier")
	require.Contains(t, says(stefHome, "incident", "list"), web)
	for _, i := range []string{whole, mail, alone} {
		require.NotContains(t, says(stefHome, "incident", "list"), i)
		for _, command := range [][]string{{"incident", "status", i}, {"incident", "show", i}, {"evidence", "list", i}, {"record", "history", i}, {"incident", "timeline", i}} {
			refused(t, exitRefused, stefHome, command, "")
		}
	}
}

// latestTeams is the entry in force of who works on an incident.
func latestTeams(t *testing.T, home, incident string) string {
	t.Helper()
	var p investigate.Picture
	stdout, stderr, code := run(t, home, "incident", "status", incident, "--json")
	require.Equal(t, exitDone, code, stderr)
	require.NoError(t, json.Unmarshal([]byte(stdout), &p))
	require.NotEmpty(t, p.File.Teams)
	return p.File.Teams[len(p.File.Teams)-1].ID.String()
}
