// Package investigate is the incident as a fold over its records: what has
// happened to it, and which statement may lawfully come next.
//
// It promises that the state of an incident follows from its records alone, so
// that whoever has the records comes to the same state and the same decisions.
// It does no I/O, keeps no clock and decides nothing about rights: that is
// policy's part.
//
// So far an incident can be opened and people can be assigned to it; its
// stages, findings and notices follow.
//
// Begin reading at Incident.
package investigate
