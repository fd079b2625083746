package bundle

import "github.com/forensic-custody/custody/custody"

// deeds says in the words of a person what the acts upon incidents do, which this
// package does not know but by their kinds.
var deeds = map[custody.Kind]string{
	"incident.assign":   "made somebody a member of the incident's team",
	"incident.unassign": "ended somebody's membership of the incident's team",
	"incident.retain":   "moved how long items are kept",

	"incident.stage":  "took the incident into another stage",
	"incident.close":  "closed the incident",
	"incident.reopen": "reopened the incident",

	"incident.appoint":   "gave somebody a role in the incident",
	"incident.hand-over": "had a role handed over",
	"incident.discharge": "ended somebody's time in a role",
	"incident.contact":   "named a contact outside the team",
	"incident.teams":     "said which teams work on the incident",
	"incident.shift":     "said who is on shift",
	"incident.note":      "noted",

	"incident.detection":          "said where an indication came from",
	"incident.classify":           "classified the incident",
	"incident.scope":              "said whose responsibility it is",
	"incident.customer-request":   "put a customer's request on record",
	"incident.transfer":           "transferred the incident",
	"incident.declare":            "decided on the declaration of a breach",
	"incident.assess":             "assessed the incident",
	"incident.rate":               "set severity and priority",
	"incident.dependency":         "decided on a service at risk",
	"incident.consult":            "put another team's answer on record",
	"incident.catalogue":          "catalogued what is there",
	"incident.event":              "put an event on the timeline",
	"incident.customers":          "said which customers are affected",
	"incident.clear":              "cleared the examination of images",
	"incident.withdraw-clearance": "withdrew a clearance",

	"finding.record":     "recorded a finding",
	"finding.review":     "reviewed a finding",
	"finding.withdraw":   "took a finding back",
	"process.record":     "put on record what was done with evidence",
	"intelligence.issue": "issued an intelligence report",

	"mitigation.plan":         "said how the incident is recovered from",
	"mitigation.measure":      "added a measure",
	"mitigation.carry-out":    "carried a measure out",
	"mitigation.test":         "tested a measure",
	"mitigation.drop":         "gave a measure up",
	"mitigation.containment":  "verified whether a risk is contained",
	"emergency.propose":       "proposed an emergency mitigation",
	"emergency.sign":          "signed an emergency mitigation",
	"emergency.withdraw":      "took the proposal of an emergency mitigation back",
	"emergency.outage-notice": "put the notice of an outage on record",

	"postmortem.issue":           "issued the post-mortem",
	"postmortem.summarise":       "presented a summary of the post-mortem",
	"postmortem.approve-summary": "approved a summary of the post-mortem",
	"repair.item":                "added a repair item",
	"repair.reschedule":          "rescheduled a repair item",
	"repair.done":                "said that a repair item is done",

	"vulnerability.report": "reported a vulnerability",
	"vulnerability.assess": "assessed the report of a vulnerability",
	"vulnerability.fix":    "said that a vulnerability is fixed",
	"vulnerability.accept": "accepted a vulnerability",
	"vulnerability.link":   "linked the report of a vulnerability",

	"incident.step":        "spoke of a step of a procedure",
	"team.procedure":       "adopted a procedure",
	"team.review-defaults": "reviewed the defaults of the service",
	"team.rota":            "put somebody on call",
	"principal.qualify":    "said that somebody is ready for a role",
	"principal.disqualify": "took back that somebody is ready for a role",
}
