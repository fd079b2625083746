package investigate

import (
	"fmt"
	"strings"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// KindCustomers is the kind of statement about the customers whose data an incident
// affects.
const KindCustomers custody.Kind = "incident.customers"

// Customers says whether customer data is affected, how, and whose. As long as that
// is not known, it stays open.
type Customers struct {
	On
	Customers []string         `json:"customers" help:"a customer whose data it is (repeat for several)"`
	Findings  []custody.Digest `json:"findings" help:"a finding that it rests on, F-1 (repeat for several)"`
	How       string           `json:"how,omitempty" help:"how the data is affected"`
	Impacted  string           `json:"impacted" help:"whether customer data is affected: yes, no or unknown"`
	Results   []string         `json:"results" help:"what became of it: alteration, disclosure, loss (repeat for several)"`
	Replaces
}

const (
	impactYes     = "yes"
	impactUnknown = "unknown"
)

// Kind implements custody.Act.
func (*Customers) Kind() custody.Kind { return KindCustomers }

// Detail says in a line what a history tells of it.
func (a *Customers) Detail() string {
	text := "customer data affected: " + a.Impacted
	if a.Impacted == impactYes {
		results := "what became of it is not determined"
		if len(a.Results) > 0 {
			results = strings.Join(a.Results, ", ")
		}
		text += fmt.Sprintf("; %s; whose: %s; %s", results, strings.Join(a.Customers, ", "), inLine(a.How))
	}
	return text
}

// Check implements custody.Act.
func (a *Customers) Check(*custody.Statement) error {
	var err error
	if a.How != "" {
		err = text("how", a.How)
	}
	return a.names(err, lines("customers", a.Customers), checkFindings(a.Findings), oneOf("impacted", a.Impacted, answers),
		someOf("results", a.Results, []string{ResultAlteration, ResultDisclosure, ResultLoss}))
}

// Lawful implements custody.Act.
func (a *Customers) Lawful(v custody.View, s *custody.Statement) (custody.Outcome, error) {
	i, out, err := a.upon(v, s)
	if err != nil {
		return out, err
	}
	if err := i.led(s.Actor, false); err != nil {
		return out, err
	}
	switch {
	case a.Impacted != impactUnknown && len(a.Findings) == 0:
		return out, no("whether customer data is affected is known by findings: cite them, or say that it is unknown")
	case a.Impacted == impactYes && a.How == "":
		return out, no("say how customer data is affected")
	case a.Impacted != impactYes && len(a.Results)+len(a.Customers) > 0:
		return out, no("customers, and what became of their data, are named where it is affected")
	}
	return out, first(i.found(a.Findings...), replaces(i.Customers, a.Replaces.Replaces))
}

func (a *Customers) apply(i *Incident, said Said) {
	amend(&i.Customers, said, *a)
	if a.Impacted == impactYes && len(a.Results) > 0 && i.Obligation == nil {
		i.Obligation = &Obligation{Since: said}
	}
}

// Obligation is that customers are to be notified. It began with the first statement
// by which their data was altered, disclosed or lost, and what was determined later
// does not end it: that takes a notification, or word of why none is due.
type Obligation struct {
	Since Said `json:"since"` // the statement with which it began
}

// Delay returns for how long a notification has been due at a time.
func (o Obligation) Delay(now custody.Time) time.Duration {
	return max(0, now.Time().Sub(o.Since.Recorded.Time()))
}

// CustomersUnknown lists what is not known of the customers affected, once the
// incident has come to its diagnosis.
func (i *Incident) CustomersUnknown() []string {
	c := current(i.Customers)
	switch {
	case c == nil && !i.entered(StageDiagnose):
		return nil
	case c == nil, c.Impacted == impactUnknown:
		return []string{"whether customer data is affected, how, and whose"}
	case c.Impacted == impactYes && len(c.Customers) == 0:
		return []string{"whose customer data is affected"}
	}
	return nil
}
