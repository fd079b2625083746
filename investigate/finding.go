package investigate

import "github.com/forensic-custody/custody/custody"

// stands says whether there is a finding of that name which was neither withdrawn
// nor corrected.
func (i *Incident) stands(id custody.Digest) bool { return false }

// undiagnosed lists what has to be on record before Diagnose is left.
func (i *Incident) undiagnosed(v custody.View, a *Move) ([]string, error) { return nil, nil }

// unknown lists what is not known of the customers affected, and which findings
// nobody reviewed.
func (i *Incident) unknown() []string { return nil }
