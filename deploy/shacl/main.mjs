// shacl ONTOLOGY.ttl DATA.jsonld...: holds each file of JSON-LD against the SHACL shapes of an ontology, without network.
// Prints a line for each result: file, severity, what is wrong of what, why. Exit code 1 when one is worse than information.
import { readFile } from 'node:fs/promises'
import { Parser } from 'n3'
import jsonld from 'jsonld'
import rdf from 'rdf-ext'
import { Validator } from 'shacl-engine'
import { validations } from 'shacl-engine/sparql.js'

const read = text => new Parser({ factory: rdf }).parse(text)
const documentLoader = async url => { throw new Error(`no network: ${url}`) }

const [ontology, ...files] = process.argv.slice(2)
const shapes = rdf.dataset(read(await readFile(ontology, 'utf8')))
// Of the ontology the data's graph has what follows of its types, and nothing else: its own terms are not to be validated.
const [type, subClassOf] = ['http://www.w3.org/1999/02/22-rdf-syntax-ns#type', 'http://www.w3.org/2000/01/rdf-schema#subClassOf']
const above = rdf.termMap()
for (const q of shapes) {
	if (q.predicate.value === subClassOf) above.set(q.subject, [...above.get(q.subject) ?? [], q.object])
}
const classes = c => [c, ...(above.get(c) ?? []).flatMap(classes)]
const entailed = quads => quads.flatMap(q => q.predicate.value === type ? classes(q.object).map(c => rdf.quad(q.subject, q.predicate, c)) : [q])
const validator = new Validator(shapes, { factory: rdf, validations })
let failed = false
for (const file of files) {
	const things = read(await jsonld.toRDF(JSON.parse(await readFile(file, 'utf8')), { format: 'application/n-quads', documentLoader }))
	const { results } = await validator.validate({ dataset: rdf.dataset(entailed(things)) })
	for (const r of results) {
		const severity = r.severity.value.split('#').pop()
		failed ||= severity !== 'Info'
		const path = (r.path ?? []).flatMap(p => p.predicates.map(q => q.value)).join('/')
		console.log([file, severity, r.focusNode.value, path, r.message.map(m => m.value).join(' ')].join('\t'))
	}
	console.log(`${file}\t${things.length} statements, ${results.length} results`)
}
process.exit(failed ? 1 : 0)
