// Package investigate is the incident as a fold over its records: what has
// happened to it, and which statement may lawfully come next.
//
// It promises that the state of an incident follows from its records alone, so
// that whoever has the records comes to the same state and the same decisions.
// It does no I/O and keeps no clock. Who may act upon incidents at all is policy's
// part; which role in an incident decides what in it is said here.
//
// An act's form is checked by its Check; every rule about what may follow what stands
// in its Lawful, so that a refusal is on record. Its effect is its apply. WHITEPAPER.md
// says which rule comes from where, and which test tries to break it; DESIGN.md why it
// is built so.
//
// Begin reading at Incident and File, then Incident.missing for what each stage asks for.
package investigate
