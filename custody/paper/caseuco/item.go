package caseuco

import (
	"fmt"
	"slices"
	"strings"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
)

// item writes an item: its artifact, where it came from, the record of its
// provenance, and every act upon it.
func (g *graph) item(i *bundle.Item, events []bundle.Event) {
	id := string(i.Evidence)
	artifact := g.artifact(i)
	var seal *bundle.Event
	for _, e := range events {
		if _, ok := e.Statement.Act.(*custody.SealEvidence); ok && e.Permitted {
			seal = &e
		}
	}
	before := node(nil)
	if seal != nil && i.Acquisition != nil {
		before = g.acquisition(i, seal, artifact)
	}
	provenance := g.member("provenance "+id, "case-investigation:ProvenanceRecord", node{
		"case-investigation:exhibitNumber": i.Exhibit,
		"uco-core:description":             "exhibit " + i.Exhibit + ", item " + id,
		"uco-core:object":                  artifact,
	})
	for _, e := range events {
		before = g.act(e, before, artifact, provenance)
	}
}

// incident writes the acts upon the incident itself that are of no single item.
func (g *graph) incident() {
	v := g.verdict
	if v.Scope != bundle.ScopeIncident {
		return
	}
	before := node(nil)
	for _, e := range v.Timeline {
		begun := e.Kind == custody.KindBeginEvidence && slices.ContainsFunc(v.Items, func(i *bundle.Item) bool {
			return custody.NewEvidenceID(e.Statement.Payload) == i.Evidence
		})
		if own := e.Stream == v.Incident.Stream() || e.Stream == custody.IncidentsStream; own && !begun {
			before = g.act(e, before, g.ref("investigation "+string(v.Incident)))
		}
	}
}

// artifact writes the item's bytes, with every digest of them.
func (g *graph) artifact(i *bundle.Item) node {
	id := string(i.Evidence)
	n := node{"uco-core:name": i.Name, "uco-core:description": i.Type, "uco-core:externalReference": g.reference("item "+id, id)}
	if a := i.Artifact; a != nil && !i.Thing() {
		hashes := []node{g.hash(id+" sha256", "SHA256", a.SHA256.Hex())}
		for k, l := range i.Labels {
			if l.Over == custody.LabelArtifact {
				hashes = append(hashes, g.hash(fmt.Sprintf("%s label %d", id, k), strings.ToUpper(l.Algorithm), l.Measured))
			}
		}
		n["uco-core:hasFacet"] = []node{
			g.add("content "+id, "uco-observable:ContentDataFacet", node{"uco-observable:hash": hashes, "uco-observable:sizeInBytes": integer(a.Size)}),
			g.add("file "+id, "uco-observable:FileFacet", node{"uco-observable:fileName": i.Name, "uco-observable:sizeInBytes": integer(a.Size)}),
		}
	}
	return g.member("artifact "+id, "uco-observable:ObservableObject", n)
}

func (g *graph) hash(name, method, value string) node {
	return g.add("hash "+name, "uco-types:Hash", node{"uco-types:hashMethod": method, "uco-types:hashValue": typed("hexBinary", value)})
}

// acquisition writes how the item was taken, as its collector tells it.
func (g *graph) acquisition(i *bundle.Item, seal *bundle.Event, artifact node) node {
	id, q := string(i.Evidence), i.Acquisition
	act := seal.Statement.Act.(*custody.SealEvidence) // the caller looked
	device := node{}
	device.put("uco-observable:model", q.Source.Model)
	device.put("uco-observable:serialNumber", q.Source.Serial)
	source := g.member("source "+id, "uco-observable:ObservableObject", node{
		"uco-core:name":     q.Source.String(),
		"uco-core:hasFacet": g.add("device "+id, "uco-observable:DeviceFacet", device),
	})
	right := node{"case-investigation:authorizationType": q.Authority.Kind, "case-investigation:authorizationIdentifier": q.Authority.Reference}
	right.putTime("uco-core:startTime", q.Authority.From)
	right.putTime("uco-core:endTime", q.Authority.Until)
	g.rights = append(g.rights, g.member("authority "+id, "case-investigation:Authorization", right))
	taker := bundle.Handler{ID: seal.Actor}
	if said, err := act.Collected(); err == nil && said != nil {
		taker.ID = said.Actor
	}
	if p := q.Collector; p != nil {
		taker = bundle.Handler{Name: p.Name, Title: p.Title, Contact: p.Contact}
	}
	n := node{
		"uco-core:name":        "evidence acquisition",
		"uco-core:description": strings.Join(q.Describe(), "\n"),
		"uco-action:performer": g.ref(g.named(taker)),
		"uco-action:object":    source,
		"uco-action:result":    artifact,
		"uco-action:location":  g.member("place "+id, "uco-location:Location", node{"uco-core:name": q.Place}),
	}
	n.putTime("uco-action:startTime", q.CollectedAt)
	if t := q.Tool; t != nil {
		n["uco-action:instrument"] = g.member("tool "+id, "uco-tool:Tool", node{
			"uco-core:name": t.Name, "uco-tool:version": t.Version, "uco-core:description": "settings: " + t.Settings,
		})
	}
	return g.member("acquisition "+id, "case-investigation:InvestigativeAction", n)
}

// act writes a record as an action upon objects that follows the one before it.
func (g *graph) act(e bundle.Event, before node, objects ...node) node {
	payload := e.Statement.Payload.String()
	status := "Success"
	text := []string{e.What()}
	if e.Detail != "" {
		text = append(text, e.Detail)
	}
	for _, o := range e.About {
		text = append(text, "about "+o.String())
	}
	if e.Undone != nil {
		text = append(text, "corrected or taken back by "+e.Undone.String())
	}
	if e.Purpose != "" {
		text = append(text, "purpose: "+e.Purpose)
	}
	if !e.Permitted {
		status = "Fail"
		text = append(text, "refused because: "+e.Reason)
	}
	n := node{
		"uco-core:name":              string(e.Kind),
		"uco-core:description":       text,
		"uco-core:externalReference": g.reference("record "+payload, fmt.Sprintf("%s, leaf %d", payload, e.Index)),
		"uco-action:actionStatus":    status,
		"uco-action:startTime":       instant(e.Time),
		"uco-action:endTime":         instant(e.Recorded),
		"uco-action:object":          objects,
		"uco-action:instrument":      g.ref(program),
	}
	if e.Actor != "" {
		n["uco-action:performer"] = g.ref(g.identity(e.Actor))
	}
	if e.Permitted {
		if results := g.results(e, payload); len(results) > 0 {
			n["uco-action:result"] = results
		}
	}
	if before != nil {
		n["case-investigation:wasInformedBy"] = before
	}
	return g.member("action "+payload, "case-investigation:InvestigativeAction", n)
}

// results are what an act measured or made: bytes with a digest.
func (g *graph) results(e bundle.Event, payload string) (list []node) {
	bytesOf := func(name, what string, size uint64, sized bool, d custody.Digest) {
		content := node{"uco-observable:hash": g.hash(payload+name, "SHA256", d.Hex())}
		if sized {
			content["uco-observable:sizeInBytes"] = integer(size)
		}
		list = append(list, g.member(name+payload, "uco-observable:ObservableObject", node{
			"uco-core:name":     what,
			"uco-core:hasFacet": g.add("content "+name+payload, "uco-observable:ContentDataFacet", content),
		}))
	}
	switch act := e.Statement.Act.(type) {
	case *custody.SealEvidence:
		list = append(list, g.ref("artifact "+string(act.Evidence)))
	case *custody.CheckEvidence:
		if !act.SHA256.IsZero() {
			bytesOf("stored ", "the stored copy, as read back", 0, false, act.SHA256)
		}
	case *custody.ReceiveEvidence:
		bytesOf("copy ", "the copy that was handed out, as received", act.Size, true, act.SHA256)
	case *custody.ReportEvidence:
		bytesOf("paper ", "a paper about the item: "+act.Paper, act.Size, true, act.SHA256)
	case *custody.ReportIncident:
		bytesOf("paper ", "a paper about the incident: "+act.Paper, act.Size, true, act.SHA256)
	}
	return list
}
