package investigate

import "github.com/forensic-custody/custody/custody"

// Words is every kind of statement that the service understands: those of package
// custody and those about incidents.
func Words() custody.Vocabulary { return custody.Acts().With(Acts()) }

// States makes the state of a stream that has no records yet, by the stream's type,
// for every type that the service has.
func States() custody.States {
	return custody.States{
		"policy":    func() custody.State { return custody.NewPolicy() },
		"principal": func() custody.State { return custody.NewStanding() },
		"evidence":  func() custody.State { return custody.NewEvidence() },
		"incidents": func() custody.State { return new(Incidents) },
		"incident":  func() custody.State { return NewIncident() },
	}
}
