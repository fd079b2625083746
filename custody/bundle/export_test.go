package bundle

// FirstStamps lets tests ask by when a record at a place of the log existed.
func FirstStamps(v *Verdict) func(place uint64) *Existence { return v.existences() }
