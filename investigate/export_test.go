package investigate

import "github.com/forensic-custody/custody/custody"

// Unknown is what an incident's picture says that is not known.
func (i *Incident) Unknown(now custody.Time) []string { return i.unknown(now) }

// Undiagnosed is what has to be on record before Diagnose is left.
func (i *Incident) Undiagnosed(v custody.View) ([]string, error) { return i.undiagnosed(v, &Move{}) }

// Originals shows of an item what it was derived from.
func (i *Incident) Originals(e custody.EvidenceID) []custody.EvidenceID {
	return i.lineage().originals(e)
}
