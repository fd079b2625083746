package investigate

// Unknown is what an incident's picture says that is not known.
func (i *Incident) Unknown() []string { return i.unknown() }
