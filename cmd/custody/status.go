package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

func (a *app) mitigationCommand() *cobra.Command {
	return group("mitigation", "Recovery plan, measures, containment", a.verbsOf("mitigation")...)
}

func (a *app) emergencyCommand() *cobra.Command {
	return group("emergency", "Emergency mitigation: three signatures", a.verbsOf("emergency")...)
}

func (a *app) postmortemCommand() *cobra.Command {
	return group("postmortem", "Post-mortem, and what of it may be told", a.verbsOf("postmortem")...)
}

func (a *app) repairCommand() *cobra.Command {
	return group("repair", "Inventory of repair items, over all incidents", append(a.verbsOf("repair"), a.repairList())...)
}

func (a *app) teamCommand() *cobra.Command {
	return group("team", "Who is on call, who is ready for which role, how the response does",
		a.teamRota(), a.teamList(), a.teamProcedure(), a.teamReviewDefaults(), a.teamQualify(), a.teamDisqualify(), a.teamReport())
}

// showing is a command that shows what the service answers.
func showing[T any](a *app, c *cobra.Command, ask func(c *cobra.Command, cl *client.Client, args []string) (T, error), show func(T) string) *cobra.Command {
	c.RunE = func(c *cobra.Command, args []string) error {
		return display(c.Context(), a, func(cl *client.Client) (T, error) { return ask(c, cl, args) }, show)
	}
	return c
}

func (a *app) incidentStatus() *cobra.Command {
	return a.fileCommand(&cobra.Command{
		Use: "status i-…", Short: "Show where an incident stands, and what it lacks to go on", Args: exactly(1),
		Example: "  custody incident status i-abcdefghijklmnop",
	}, showPicture)
}

func showPicture(p investigate.Picture) string {
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%-13s%s\n", what, fmt.Sprintf(format, args...))
	}
	line(string(p.ID), "  %s", p.Title)
	line("class", "%s", p.Class)
	line("detected", "%s", p.DetectedAt)
	switch c := p.File.Closed; {
	case c != nil:
		line("closed", "%s at %s by %s; notification: %s", c.Act.End, c.Act.At, c.By, c.Act.Notification)
	case p.Next == "":
		line("stage", "%s", p.Stage)
	default:
		line("stage", "%s; next: %s", p.Stage, p.Next)
	}
	line("phase", "%s, of ISO/IEC 27035-1", p.Phase)
	for _, s := range p.Phases {
		line("", "%s: %d acts on record, from %s to %s", s.Phase, s.Acts, s.First, s.Last)
	}
	if p.File.Definition != 0 {
		line("process", "version %d of the stages", p.File.Definition)
	}
	if n := len(p.File.Ratings); n > 0 {
		r := p.File.Ratings[n-1].Act
		line("rated", "severity %d, priority %d, risk to customer data: %s", r.Severity, r.Priority, r.DataRisk)
	}
	if n := len(p.File.Classifications); n > 0 {
		line("classified", "%s", p.File.Classifications[n-1].Act.Detail())
	}
	if n := len(p.File.Declarations); n > 0 {
		line("declared", "%s", p.File.Declarations[n-1].Act.Detail())
	}
	if n := len(p.File.Customers); n > 0 {
		line("customers", "%s", p.File.Customers[n-1].Act.Detail())
	}
	for _, d := range p.File.Detections {
		if d.Replaced == nil {
			line("indication", "%s  %s at %s", d.Label, d.Act.Detail(), d.Act.At)
		}
	}
	for _, c := range p.File.Clearances {
		if c.Withdrawn == nil {
			line("clearance", "%s  %s", c.Label, c.Act.Detail())
		}
	}
	if n := len(p.File.Scopes); n > 0 {
		line("scope", "%s", p.File.Scopes[n-1].Act.Detail())
	}
	for _, h := range p.File.Holders {
		if h.Ended == nil {
			role := string(h.Role)
			if h.Service != "" {
				role += " of " + h.Service
			}
			line("role", "%s: %s since %s", role, h.Principal, h.From)
		}
	}
	for _, x := range p.Parts {
		line("members", "%s", showPart(x, p.ID))
	}
	for _, d := range p.Derived {
		line("derived", "%s from %s", d.Evidence, join(d.Originals))
	}
	for _, s := range p.Steps {
		line("step", "%s", showStep(s))
	}
	for _, m := range p.File.Measures {
		line("measure", "%s", showMeasure(m))
	}
	for _, m := range p.File.Emergencies {
		line("emergency", "%s", showEmergency(m))
	}
	for _, o := range p.Outages {
		line("outage", "%s", showOutage(o))
	}
	for _, r := range p.File.Repairs {
		line("repair", "%s", showRepair(r))
	}
	for _, r := range p.Reports {
		line("vulnerability", "%s", showLinked(r))
	}
	for _, t := range []struct {
		what string
		is   *int64
	}{{"engaged", p.Times.Engaged}, {"diagnosed", p.Times.Diagnosed}, {"contained", p.Times.Contained}, {"restored", p.Times.Restored}} {
		if t.is != nil {
			line(t.what, "%s after the first indication", time.Duration(*t.is)*time.Second)
		}
	}
	for _, s := range p.Uncovered {
		line("uncovered", "nobody on shift from %s to %s, with customer data at risk", s.From, s.To)
	}
	for _, o := range p.Open {
		line("open", "%s", o)
	}
	for _, m := range p.Missing {
		line("missing", "%s", m)
	}
	return b.String()
}

func join[ID ~string](ids []ID) string {
	list := make([]string, len(ids))
	for n, id := range ids {
		list[n] = string(id)
	}
	return strings.Join(list, ", ")
}

// showPart tells of a coordinated incident, or of a part of it, who is of its team and
// who of the others' is not.
func showPart(x investigate.Part, of custody.IncidentID) string {
	where := "part " + string(x.ID) + " (" + x.Title + ")"
	if x.ID == of {
		where = "here"
	}
	text := where + ": " + join(x.Assigned)
	if len(x.Assigned) == 0 {
		text = where + ": nobody"
	}
	if len(x.Lacking) > 0 {
		text += "; not of it: " + join(x.Lacking)
	}
	return text
}

func showStep(s investigate.StepDue) string {
	owner, due := "nobody's yet", "due when its stage is entered"
	if s.Owner != "" {
		owner = string(s.Owner)
	}
	switch {
	case s.Done != 0:
		due = "done at " + s.Done.String()
	case s.Due != 0:
		due = "due at " + s.Due.String()
	}
	if s.Automated {
		owner += ", automated"
	}
	return fmt.Sprintf("%s %d: %s  (%s; %s)", s.Procedure, s.Version, s.Step, owner, due)
}

func showEmergency(m investigate.Mitigation) string {
	how := fmt.Sprintf("%d of 3 signatures", len(m.Signatures))
	if w := m.Withdrawn; w != nil {
		how = fmt.Sprintf("withdrawn by %s at %s: %s", w.By, w.Recorded, w.Act.Detail())
	}
	return fmt.Sprintf("%s  %s  (%s)", m.Label, m.Act.Detail(), how)
}

func showOutage(o investigate.Outage) string {
	text := o.String()
	if o.Sent != 0 {
		text += fmt.Sprintf(" (%s), was sent at %s, and that put on record at %s", cmp.Or(o.Why, "in time"), o.Sent, o.Recorded)
		if o.Due == 0 {
			text = fmt.Sprintf("the outage notice for %s was sent at %s", o.Emergency, o.Sent)
		}
	}
	if o.ExpectedBack != 0 {
		text += fmt.Sprintf("; the service is expected back at %s", o.ExpectedBack)
	}
	return text
}

func showMeasure(m investigate.Measured) string {
	how := "not carried out"
	switch {
	case m.Dropped != nil:
		how = "dropped"
	case m.Effective():
		how = "carried out and tested"
	case m.CarriedOut != nil:
		how = "carried out, not tested with success"
	}
	return fmt.Sprintf("%s  %s  (%s; %s)", m.Label, m.Act.Detail(), m.Act.Owner, how)
}

func showRepair(r investigate.RepairItem) string {
	done := "by " + r.Due.String()
	if r.Done != nil {
		done = "done at " + r.Done.Act.At.String()
	}
	return fmt.Sprintf("%s  %s  (%s; %s)", r.Label, within(r.Act.Text, 13), r.Owner, done)
}

func showLinked(r investigate.Linked) string {
	text := fmt.Sprintf("  %s  %s: %s", r.Label, r.Affected, r.Title)
	if r.Identifier != "" {
		text += " (" + r.Identifier + ")"
	}
	if r.Overdue {
		return text + "  (overdue)"
	}
	return text + "  (" + r.State + ")"
}

func (a *app) repairList() *cobra.Command {
	var overdue bool
	c := &cobra.Command{
		Use: "list [--overdue]", Short: "List repair items of all incidents that you may see, closed ones too", Args: exactly(0),
		Example: "  custody repair list --overdue",
	}
	c.Flags().BoolVar(&overdue, "overdue", false, "only those that should be done, and are not")
	return showing(a, c, func(c *cobra.Command, cl *client.Client, _ []string) (api.Repairs, error) {
		l, err := cl.Repairs(c.Context())
		if overdue {
			l.Repairs = slices.DeleteFunc(l.Repairs, func(r api.RepairItem) bool { return !r.Overdue })
		}
		return l, err
	}, func(l api.Repairs) string {
		text := ""
		for _, r := range l.Repairs {
			mark := ""
			if r.Overdue {
				mark = "OVERDUE  "
			}
			text += fmt.Sprintf("%s  %s%s\n", r.Incident, mark, showRepair(r.Item))
		}
		return text
	})
}

func (a *app) teamRota() *cobra.Command {
	var act investigate.Rota
	c := &cobra.Command{
		Use: "rota p-… --from TIME --to TIME", Short: "Put somebody on call", Args: exactly(1),
		Example: "  custody team rota p-abcdefghijklmnop --from 2026-11-23T08:00:00Z --to 2026-11-24T08:00:00Z",
		RunE: func(c *cobra.Command, args []string) (err error) {
			if act.Principal, err = custody.ParsePrincipalID(args[0]); err != nil {
				return usageError{err}
			}
			return a.speak(c, "", &act)
		},
	}
	c.Flags().Var(timeFlag{&act.From}, "from", "when it begins")
	c.Flags().Var(timeFlag{&act.To}, "to", "when it ends")
	return c
}

// speak says an act and prints that it is on record.
func (a *app) speak(c *cobra.Command, why string, act custody.Act) error {
	cl, _, err := a.dial(c.Context())
	if err != nil {
		return err
	}
	said, err := cl.Put(c.Context(), why, act)
	if err != nil {
		return err
	}
	return a.saidOf(said, said.Payload.String(), fmt.Sprintf("%s: %s", act.Kind(), detailOf(act)))
}

func (a *app) teamList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Show who is on call, and when nobody is; the procedures; and when the defaults were reviewed", Args: exactly(0), Example: "  custody team list",
		Long: `Shows who is on call, and when nobody is within the next 14 days, and the versions of
the procedures; and when the service's defaults were reviewed last, and that it is time
to do so again. Exit code 1 when there is a time without anybody.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, _, err := a.dial(c.Context())
			if err != nil {
				return err
			}
			t, err := cl.Team(c.Context())
			if err != nil {
				return err
			}
			if err := errors.Join(a.answer(t, showTeam(t)), a.keep(c.Context(), cl)); err != nil {
				return err
			}
			if len(t.Unmanned) > 0 {
				return failure{exitRefused}
			}
			return nil
		},
	}
}

func showTeam(t api.Team) string {
	text := ""
	for _, d := range t.Rota {
		text += fmt.Sprintf("%s  %s  %s\n", d.Act.From, d.Act.To, d.Act.Principal)
	}
	for _, p := range t.Procedures {
		text += fmt.Sprintf("procedure %s  by %s at %s: %s\n", p.Act.Detail(), p.By, p.Recorded, p.Why)
	}
	return text + showDefaults(t.Defaults) + showUnmanned(t.Unmanned)
}

// showDefaults says what was decided of the service's defaults, how long ago, and
// whether it is time to look again.
func showDefaults(d investigate.Defaults) string {
	if len(d.Reviews) == 0 {
		return "DEFAULTS OF THE SERVICE NEVER REVIEWED\n"
	}
	last := d.Reviews[len(d.Reviews)-1]
	text := fmt.Sprintf("defaults reviewed %d days ago by %s at %s: %s\n", d.AgeSeconds/(24*60*60), last.By, last.Recorded, last.Act.Detail())
	if d.Overdue {
		text += fmt.Sprintf("REVIEW OF THE DEFAULTS OVERDUE since %s\n", last.Act.Next)
	}
	return text
}

func showUnmanned(spans []investigate.Span) string {
	text := ""
	for _, s := range spans {
		text += fmt.Sprintf("NOBODY ON CALL from %s to %s\n", s.From, s.To)
	}
	return text
}

func (a *app) teamQualify() *cobra.Command {
	var act custody.QualifyPrincipal
	var role string
	c := &cobra.Command{
		Use: "qualify p-… --role ROLE --training T --experience E --authority A --until TIME", Args: exactly(1),
		Short: "Put on record that somebody is ready for a role",
		Example: `  custody team qualify p-abcdefghijklmnop --role forensic-engineer --training "GCFA 2025" \
    --experience "four years" --authority "head of response" --until 2027-12-31T00:00:00Z`,
		RunE: func(c *cobra.Command, args []string) (err error) {
			if act.Principal, err = custody.ParsePrincipalID(args[0]); err != nil {
				return usageError{err}
			}
			act.Role = custody.Role(role)
			return a.speak(c, "", &act)
		},
	}
	f := c.Flags()
	f.StringVar(&role, "role", "", "which role")
	f.StringVar(&act.Training, "training", "", "what was learned, where and when")
	f.StringVar(&act.Experience, "experience", "", "what was done")
	f.StringVar(&act.Authority, "authority", "", "by whom, or what, the authority is given")
	f.StringVar(&act.Apprenticeship, "apprenticeship", "", "of an incident manager: where, when and under whom")
	f.Var(timeFlag{&act.Until}, "until", "when it has to be said anew")
	return c
}

func (a *app) teamDisqualify() *cobra.Command {
	var why, role string
	c := &cobra.Command{
		Use: "disqualify p-… --role ROLE --purpose WHY", Short: "Take back that somebody is ready for a role, at once", Args: exactly(1),
		Example: `  custody team disqualify p-abcdefghijklmnop --role on-call --purpose "moved to another team"`,
		RunE: func(c *cobra.Command, args []string) error {
			p, err := custody.ParsePrincipalID(args[0])
			if err != nil {
				return usageError{err}
			}
			if why == "" {
				return usagef("give --purpose")
			}
			return a.speak(c, why, &custody.DisqualifyPrincipal{Principal: p, Role: custody.Role(role)})
		},
	}
	c.Flags().StringVar(&role, "role", "", "which role")
	c.Flags().StringVar(&why, "purpose", "", "why")
	return c
}

func (a *app) teamReport() *cobra.Command {
	var from, to custody.Time
	c := &cobra.Command{
		Use: "report [--from TIME] [--to TIME]", Short: "Count incidents, how they ended and how long it took", Args: exactly(0),
		Example: "  custody team report --from 2026-10-01T00:00:00Z --to 2027-01-01T00:00:00Z",
		Long: `Counts the incidents that you may see, by where the first indication came from and
how they ended, with the middle of the times from it. Exercises are counted apart.
Counts the reports of vulnerabilities that you may know of, by when they came in.`,
	}
	c.Flags().Var(timeFlag{&from}, "from", "only incidents whose first indication was then or later, and likewise reports")
	c.Flags().Var(timeFlag{&to}, "to", "only incidents whose first indication was before")
	return showing(a, c, func(c *cobra.Command, cl *client.Client, _ []string) (investigate.Programme, error) {
		return cl.Programme(c.Context(), from, to)
	}, func(p investigate.Programme) string {
		text := showTally("incidents", p.Incidents) + showTally("exercises", p.Exercises)
		if p.Unruled > 0 {
			text += fmt.Sprintf("  of them by no rules of engagement: %d\n", p.Unruled)
		}
		for _, s := range slices.Sorted(maps.Keys(p.Sources)) {
			text += showTally("  from "+s, p.Sources[s])
		}
		return text + fmt.Sprintf("repair items overdue: %d\n", p.Overdue) + showReported(p.Vulnerabilities) + showUnmanned(p.Unmanned)
	})
}

func showReported(t investigate.VulnerabilityTally) string {
	text := fmt.Sprintf("vulnerabilities: %d reported, %d overdue", t.Reported, t.Overdue)
	for _, s := range slices.Sorted(maps.Keys(t.States)) {
		text += fmt.Sprintf(", %d %s", t.States[s], s)
	}
	return text + "\n"
}

func (a *app) teamProcedure() *cobra.Command {
	act := investigate.Procedure{Steps: []investigate.ProcedureStep{}}
	var why string
	c := &cobra.Command{
		Use: "procedure NAME --steps STAGE:MINUTES:STEP … --purpose WHY", Short: "Adopt a procedure, or its next version", Args: exactly(1),
		Example: `  custody team procedure intrusion --steps "assess:30:inform the service owner" --steps "diagnose:60:isolate the host" --purpose "lessons of i-…"`,
		RunE: func(c *cobra.Command, args []string) error {
			if why == "" {
				return usagef("give --purpose")
			}
			act.Name = args[0]
			cl, _, err := a.dial(c.Context())
			if err != nil {
				return err
			}
			if act.Version == 0 {
				t, err := cl.Team(c.Context())
				if err != nil {
					return err
				}
				act.Version = 1
				for _, p := range t.Procedures {
					if p.Act.Name == act.Name {
						act.Version = p.Act.Version + 1
					}
				}
			}
			said, err := cl.Put(c.Context(), why, &act)
			if err != nil {
				return err
			}
			return a.saidOf(said, said.Payload.String(), fmt.Sprintf("%s: %s", act.Kind(), act.Detail()))
		},
	}
	c.Flags().Var(listFlag{reflect.ValueOf(&act.Steps).Elem()}, "steps", "a step: in which stage, due how many minutes after it is first entered, and its name (repeat for several)")
	c.Flags().Uint64Var(&act.Version, "version", 0, "of the procedure (default: the next)")
	c.Flags().StringVar(&why, "purpose", "", "why")
	return c
}

func (a *app) teamReviewDefaults() *cobra.Command {
	var act investigate.ReviewDefaults
	var why string
	c := &cobra.Command{
		Use: "review-defaults FILE --decided WHAT --next TIME --purpose WHY", Args: exactly(1),
		Short: "Put on record that the service's defaults were reviewed, as a document describes them",
		Long: `Puts on record that the defaults of the service were reviewed, and what was decided.
FILE is the document that describes them, deploy/OPERATING.md; its digest goes on
record, so that it is known what was read. An administrator, incident manager or
executive says it. The newest review counts, of whatever file it was.`,
		Example: `  custody team review-defaults deploy/OPERATING.md --decided "kept, but for the archive: 730 days" \
    --next 2027-05-01T00:00:00Z --purpose "yearly review"`,
		RunE: func(c *cobra.Command, args []string) error {
			if why == "" {
				return usagef("give --purpose")
			}
			b, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			act.Document, act.SHA256 = filepath.Base(args[0]), custody.Hash(b)
			return a.speak(c, why, &act)
		},
	}
	f := c.Flags()
	f.StringVar(&act.Decided, "decided", "", "what is kept and what is changed")
	f.Var(timeFlag{&act.Next}, "next", "by when they are reviewed again")
	f.StringVar(&why, "purpose", "", "why")
	return c
}

func showTally(what string, t investigate.Tally) string {
	of := func(s int64) string {
		if s == 0 { // of none yet
			return "–"
		}
		return (time.Duration(s) * time.Second).String()
	}
	return fmt.Sprintf("%s: %d opened, %d closed, %d security incidents, %d false alarms; engaged after %s, contained %s, restored %s\n",
		what, t.Opened, sum(t.Closed), t.Security, t.FalsePositives, of(t.Engaged), of(t.Contained), of(t.Restored))
}

func sum(m map[string]int) (n int) {
	for _, c := range m {
		n += c
	}
	return n
}
