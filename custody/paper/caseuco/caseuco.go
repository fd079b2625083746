// Package caseuco writes the history of evidence as CASE/UCO 1.4.0 in JSON-LD
// (caseontology.org), for tools that exchange investigations.
//
// It promises:
//
//   - The same verdict makes the same bytes.
//   - What it writes obeys the shapes of CASE 1.4.0: a test validates it against
//     them, without network.
//   - The same thing has the same identifier in every export of the same log, so
//     that two exports can be put together.
//
// It is a translation and proves nothing: the bundle does.
package caseuco

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
)

// node is one thing of the graph, with the keys of JSON-LD.
type node map[string]any

// context are the prefixes in use.
var context = map[string]string{
	"case-investigation": "https://ontology.caseontology.org/case/investigation/",
	"uco-action":         "https://ontology.unifiedcyberontology.org/uco/action/",
	"uco-core":           "https://ontology.unifiedcyberontology.org/uco/core/",
	"uco-identity":       "https://ontology.unifiedcyberontology.org/uco/identity/",
	"uco-location":       "https://ontology.unifiedcyberontology.org/uco/location/",
	"uco-observable":     "https://ontology.unifiedcyberontology.org/uco/observable/",
	"uco-tool":           "https://ontology.unifiedcyberontology.org/uco/tool/",
	"uco-types":          "https://ontology.unifiedcyberontology.org/uco/types/",
	"xsd":                "http://www.w3.org/2001/XMLSchema#",
}

// Write returns the history that a verdict shows, and names the bundle, by its
// SHA-256, that it was made from. The verdict must be of a bundle that verified.
func Write(v *bundle.Verdict, made custody.Digest) ([]byte, error) {
	if !v.Verified {
		return nil, fmt.Errorf("the bundle does not verify")
	}
	g := &graph{verdict: v}
	g.investigation(made)
	b, err := json.Marshal(map[string]any{"@context": context, "@graph": g.nodes}, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return nil, fmt.Errorf("CASE: %w", err)
	}
	return append(b, '\n'), nil
}

// graph is an export under way.
type graph struct {
	verdict *bundle.Verdict
	nodes   []node
	members []node // references to what the investigation has
	rights  []node // references to its authorizations
}

// iri names a thing: a UUID by its name in this log (RFC 4122, with SHA-256 in place
// of SHA-1; UCO asks for the form).
func (g *graph) iri(name string) string {
	d := sha256.Sum256([]byte("custody/v1/case\n" + g.verdict.Origin + "\n" + name))
	d[6], d[8] = d[6]&0x0f|0x50, d[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", d[:4], d[4:6], d[6:8], d[8:10], d[10:16])
}

// ref refers to a thing by its name.
func (g *graph) ref(name string) node { return node{"@id": g.iri(name)} }

// add puts a thing into the graph under a name.
func (g *graph) add(name, kind string, n node) node {
	n["@id"], n["@type"] = g.iri(name), kind
	g.nodes = append(g.nodes, n)
	return g.ref(name)
}

// member is add for what belongs to the investigation.
func (g *graph) member(name, kind string, n node) node {
	r := g.add(name, kind, n)
	g.members = append(g.members, r)
	return r
}

// put sets a string, unless it is empty.
func (n node) put(key, value string) {
	if value != "" {
		n[key] = value
	}
}

func typed(kind, value string) node { return node{"@type": "xsd:" + kind, "@value": value} }

func instant(t custody.Time) node { return typed("dateTime", t.String()) }

func integer(n uint64) node { return typed("integer", fmt.Sprint(n)) }

// putTime sets a time that somebody wrote in RFC 3339, unless it is none.
func (n node) putTime(key, text string) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		n[key] = typed("dateTime", t.Format(time.RFC3339))
	}
}

func (g *graph) investigation(made custody.Digest) {
	v := g.verdict
	for _, h := range v.Handlers() {
		g.person(h)
	}
	g.member(g.identity(v.Service()), "uco-identity:Identity", node{
		"uco-core:name": "the service of " + v.Origin, "uco-core:description": "keeps the evidence, and says what it checked and released",
	})
	g.member(program, "uco-tool:Tool", node{"uco-core:name": "Custody"})
	of := v.ByItem()
	for _, i := range v.Items {
		g.item(i, of[i.Evidence])
	}
	g.incident()
	from := fmt.Sprintf("Made from the bundle with SHA-256 %s, verified under the head of log %s of size %d with root %s.", made.Hex(), v.Origin, v.Size, v.Root.Hex())
	if len(v.Withheld) > 0 {
		from += fmt.Sprintf(" Records of the bundle that are withheld, and are not told here: %d.", len(v.Withheld))
	}
	if len(v.Erased) > 0 {
		from += fmt.Sprintf(" Records of it that are erased by order: %d.", len(v.Erased))
	}
	if !v.Complete {
		from += " Later records are not excluded."
	}
	for _, w := range v.Warnings {
		from += fmt.Sprintf(" Disputable: %s: %s.", w.Where, w.What)
	}
	from += " That the decisions were right under the policy was not checked."
	n := node{
		"case-investigation:investigationForm": "incident",
		"uco-core:name":                        g.title(),
		"uco-core:description":                 from,
		"uco-core:externalReference":           g.reference("incident "+string(v.Incident), string(v.Incident)),
		"uco-core:object":                      g.members,
	}
	if len(g.rights) > 0 {
		n["case-investigation:relevantAuthorization"] = g.rights
	}
	g.add("investigation "+string(v.Incident), "case-investigation:Investigation", n)
}

// title is what the incident was opened as, or its identifier.
func (g *graph) title() string {
	for _, e := range append(append([]bundle.Event{}, g.verdict.Around...), g.verdict.Timeline...) {
		if e.Stream == custody.IncidentsStream && e.Permitted && custody.NewIncidentID(e.Statement.Payload) == g.verdict.Incident {
			return e.Statement.Act.Subject().Name
		}
	}
	return string(g.verdict.Incident)
}

// reference says under what identifier the log has something.
func (g *graph) reference(name, identifier string) node {
	return g.add("reference "+name, "uco-core:ExternalReference", node{
		"uco-core:definingContext": g.verdict.Origin, "uco-core:externalIdentifier": identifier,
	})
}

// program is the name of the node of what all acts are done with.
const program = "program"

// identity is the name of a principal's node.
func (g *graph) identity(id custody.PrincipalID) string { return "identity " + string(id) }

// named is the name of a person's node who need not be enrolled.
func (g *graph) named(h bundle.Handler) string {
	if h.ID != "" {
		return g.identity(h.ID)
	}
	return "person " + h.Name + "\n" + h.Title + "\n" + h.Contact
}

func (g *graph) person(h bundle.Handler) {
	n := node{"uco-core:name": h.Name, "uco-core:description": []string{"title: " + h.Title, "contact: " + h.Contact}}
	if h.ID != "" {
		n["uco-core:externalReference"] = g.reference("principal "+string(h.ID), string(h.ID))
	}
	g.member(g.named(h), "uco-identity:Person", n)
}
