package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

// A verb says by which command an act upon an incident is said. Its flags are the
// act's fields: their names and what they are for stand with them, in package
// investigate.
type verb struct {
	kind    custody.Kind
	name    string
	short   string
	example string
}

// verbs are the commands of each noun, in the order of an incident.
var verbs = []struct {
	noun, short string
	verbs       []verb
}{
	{"incident", "", []verb{
		{investigate.KindDetection, "detection", "Put on record where an indication came from", `--source monitoring-signature --reference "IDS alarm 4711" --properties confidentiality`},
		{investigate.KindAppoint, "appoint", "Give somebody of the team a role in the incident", `--principal p-… --role incident-manager`},
		{investigate.KindHandOver, "hand-over", "Pass a role on, from one to another", `--from p-… --to p-… --role on-call`},
		{investigate.KindDischarge, "discharge", "End somebody's time in a role", `--principal p-… --role forensic-engineer`},
		{investigate.KindContact, "contact", "Name somebody outside the team", `--party law-enforcement --name "Kim Park" --organisation "national police" --reach "+49 …"`},
		{investigate.KindTeams, "teams", "Say which response teams work on it", `--owner cert --participating network-team`},
		{investigate.KindShift, "shift", "Say who works on it from when to when", `--principal p-… --from 2026-11-23T08:00:00Z --to 2026-11-23T20:00:00Z`},
		{investigate.KindNote, "note", "Put on record what was done, advised, decided or told", `--type activity --text "restarted the collector"`},
		{investigate.KindStep, "step", "Say who does a step of a procedure, or that it is done", `--procedure intrusion --step "isolate the host" --owner p-… --done 2026-11-23T09:00:00Z`},
		{investigate.KindMove, "stage", "Take the incident into another stage", `--stage assess`},
		{investigate.KindAssess, "assess", "Assess impact and risk", `--security yes --privacy unknown --escalated --impact "web tier"`},
		{investigate.KindRate, "rate", "Set severity and priority", `--severity 1 --priority 2 --data-risk imminent`},
		{investigate.KindClassify, "classify", "Say whether it is a security incident, by the facts", `--access unauthorized --cause attack --results disclosure --flaw-by provider --basis "F-1"`},
		{investigate.KindScope, "scope", "Say whose responsibility it is", `--responsibility provider --model iaas --layer host`},
		{investigate.KindRequest, "customer-request", "Put on record that a customer asked for help in his area", `--customer Contoso --authority "their CISO" --reference "ticket 12"`},
		{investigate.KindTransfer, "transfer", "Pass it to another team, or take it from one", `--direction to --team operations --reference "OPS-9" --accepted "B. Lee"`},
		{investigate.KindDependency, "dependency", "Decide on another service at risk", `--service mail --team "mail team" --decision watch`},
		{investigate.KindConsult, "consult", "Put on record what another team answered", `--party operations --who "B. Lee" --question "…" --answer "…"`},
		{investigate.KindDeclare, "declare", "Declare a breach, or say why not", `--declared --limb "unauthorized access, disclosure"`},
		{investigate.KindCatalogue, "catalogue", "Catalogue an alert, event or item, and whether it was gone into", `--evidence e-… --what forensic-data --mark investigated`},
		{investigate.KindEvent, "event", "Put something that happened on the incident's timeline", `--at 2026-11-23T03:12:00Z --title "first login" --source "the gateway's clock" --citations e-…:for:line=120-140`},
		{investigate.KindCustomers, "customers", "Say whether customer data is affected, how, and whose", `--impacted yes --results disclosure --how "mailboxes were read" --customers Contoso --findings F-1`},
		{investigate.KindClear, "clear", "Clear the examination of images, as legal advisor", `--authority "works agreement 7" --conditions "no private mail"`},
		{investigate.KindWithdrawClearance, "withdraw-clearance", "End a clearance, at once", `--clearance L-1`},
		{investigate.KindClose, "close", "Close the incident", `--end resolved --restored 2026-11-25T10:00:00Z --notification "not triggered: no customer data left"`},
		{investigate.KindReopen, "reopen", "Take a closed incident into stage diagnose again", ""},
	}},
	{"finding", "Findings", []verb{
		{investigate.KindFinding, "add", "Record a finding", `--title "a web shell" --fact "…" --interpretation "…" --limits "…" --alternatives "…" --confidence high --status established --citations e-…:for:file=/var/www/x.php`},
		{investigate.KindReview, "review", "Review somebody else's finding", `--finding F-1 --verdict agrees --text "read the file myself"`},
		{investigate.KindWithdrawFinding, "withdraw", "Take a finding back", `--finding F-1 --reason "the file is older"`},
	}},
	{"process", "What was done with evidence, so that others can do it again", []verb{
		{investigate.KindProcess, "add", "Put on record what was done with evidence", `--tool fls --version 4.12 --parameters "-r -m /" --environment "Debian 13, UTC" --inputs e-… --output sha256:HEX:SIZE`},
	}},
	{"intelligence", "Intelligence reports", []verb{
		{investigate.KindIntelligence, "issue", "Issue an intelligence report, whose text is an item of type document", `--evidence e-… --title "the intruder" --status finished`},
	}},
	{"mitigation", "Recovery plan, measures, containment", []verb{
		{investigate.KindPlan, "plan", "Say how normal security and operations are restored", `--text "…" --findings F-1`},
		{investigate.KindMeasure, "add", "Add a measure", `--type containment --text "quarantine the host" --owner p-…`},
		{investigate.KindCarryOut, "carry-out", "Say that a measure was carried out", `--measure M-1 --how "port 443 is blocked"`},
		{investigate.KindTest, "test", "Put the test of a measure on record", `--measure M-1 --passed --how "scanned from outside"`},
		{investigate.KindDrop, "drop", "Give a measure up", `--measure M-2 --repair R-1`},
		{investigate.KindContainment, "containment", "Verify that a risk is contained", `--risk customer --contained --how "no traffic since"`},
	}},
	{"emergency", "Emergency mitigation: three signatures", []verb{
		{investigate.KindEmergency, "propose", "Propose an emergency mitigation", `--text "cut the region off" --impact "…" --alternatives "…" --rationale "…" --service mail --outage --notice-due 2026-11-23T10:00:00Z --expected-back 2026-11-23T12:00:00Z`},
		{investigate.KindSignEmergency, "sign", "Sign a proposal", `--proposal X-1 --as service-owner`},
		{investigate.KindWithdrawEmergency, "withdraw", "Take a proposal back that is not approved yet", `--proposal X-1 --reason "the relay is shut"`},
		{investigate.KindOutageNotice, "outage-notice", "Put on record that customers were told of the outage", `--proposal X-1 --reference "status page 88" --expected-back 2026-11-23T12:00:00Z`},
	}},
	{"postmortem", "Post-mortem and what of it may be told", []verb{
		{investigate.KindPostMortem, "issue", "Issue a post-mortem, whose text is an item of type post-mortem", exampleOfHeadings},
		{investigate.KindSummary, "summarise", "Present a summary for customers", `--evidence e-…`},
		{investigate.KindApproveSummary, "approve", "Approve a summary", `--summary S-1`},
	}},
	{"repair", "Inventory of repair items, over all incidents", []verb{
		{investigate.KindRepair, "add", "Add a repair item", `--type engineering --text "patch the gateway" --owner "gateway team" --due 2026-12-24T12:00:00Z`},
		{investigate.KindReschedule, "reschedule", "Give an item another owner, or another day", `--repair R-1 --owner "gateway team" --due 2027-01-15T12:00:00Z`},
		{investigate.KindRepaired, "done", "Say that an item is done", `--repair R-1 --how "version 2.1 is out"`},
	}},
}

// exampleOfHeadings has every heading: a post-mortem that leaves one out is refused.
var exampleOfHeadings = "--evidence e-… --headings " + strings.Join(investigate.Headings(), ":none --headings ") + ":found"

// actNamed is where a reason names an act that is to be said first.
var actNamed = regexp.MustCompile(`\(([a-z-]+)\.([a-z-]+)\)`)

// spoken says by which commands the acts are said that a reason names.
func spoken(root *cobra.Command, reason string) []string {
	var hints []string
	for _, m := range actNamed.FindAllStringSubmatch(reason, -1) {
		noun, name := m[1], m[2]
		for _, n := range verbs {
			for _, v := range n.verbs {
				if string(v.kind) == m[1]+"."+m[2] {
					noun, name = n.noun, v.name
				}
			}
		}
		c, rest, err := root.Find([]string{noun, name})
		if err != nil || len(rest) > 0 {
			continue
		}
		if hint := fmt.Sprintf("%s.%s: say %s", m[1], m[2], c.CommandPath()); !slices.Contains(hints, hint) {
			hints = append(hints, hint)
		}
	}
	return hints
}

// verbsOf makes the commands of a noun.
func (a *app) verbsOf(noun string) []*cobra.Command {
	var list []*cobra.Command
	for _, n := range verbs {
		if n.noun == noun {
			for _, v := range n.verbs {
				list = append(list, a.verbCommand(noun, v))
			}
		}
	}
	return list
}

func (a *app) verbCommand(noun string, v verb) *cobra.Command {
	act := investigate.Acts()[v.kind]()
	var why string
	c := &cobra.Command{
		Use: v.name + " i-… --purpose WHY", Short: v.short, Args: exactly(1),
		Example: strings.TrimRight(fmt.Sprintf("  custody %s %s i-abcdefghijklmnop --purpose \"why\" %s", noun, v.name, v.example), " "),
	}
	f := flags{c: c}
	f.of(reflect.ValueOf(act).Elem())
	c.Flags().StringVar(&why, "purpose", "", "why")
	c.RunE = func(c *cobra.Command, args []string) error {
		id, err := custody.ParseIncidentID(args[0])
		if err != nil {
			return usageError{err}
		}
		if why == "" {
			return usagef("give --purpose")
		}
		if err := f.unsaid(); err != nil {
			return err
		}
		cl, _, err := a.dial(c.Context())
		if err != nil {
			return err
		}
		reflect.ValueOf(act).Elem().FieldByName("Incident").Set(reflect.ValueOf(id))
		if err := a.fill(c.Context(), &f, cl, id, act); err != nil {
			return err
		}
		said, err := cl.Put(c.Context(), why, act)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("%s: %s", v.kind, detailOf(act))
		look := cl.Outline
		if v.kind == investigate.KindFinding {
			look = cl.File
		}
		if p, err := look(c.Context(), id); err == nil {
			if label := labelOf(reflect.ValueOf(p.File), said.Payload); label != "" {
				text = label + " " + text
				a.warnUnseen(p, label)
			}
			text += f.about(p.File)
		}
		return a.saidOf(said, said.Payload.String(), text)
	}
	return c
}

func detailOf(act custody.Act) string {
	if t, ok := act.(interface{ Detail() string }); ok {
		return t.Detail()
	}
	return ""
}

// flags fills an act's fields from a command line: what a field is called, and what
// it is for, is said by its tags.
type flags struct {
	c     *cobra.Command
	asked []string    // that have to be given, yes or no: the act says either
	refs  []reference // to entries of the incident's file, which have to be looked up
	times []*custody.Time
}

// reference is a field that names one entry, or several, by label or digest.
type reference struct {
	name string
	one  *custody.Digest
	many *[]custody.Digest
	said []string
}

// settable is a field, or the element of a list, that reads itself from a text.
type settable interface{ Set(string) error }

var (
	timeType   = reflect.TypeFor[custody.Time]()
	digestType = reflect.TypeFor[custody.Digest]()
)

// of adds the flags of a struct's fields, and of those that it embeds.
func (f *flags) of(v reflect.Value) {
	for n := range v.NumField() {
		field, at := v.Type().Field(n), v.Field(n)
		name, help := flagName(field), field.Tag.Get("help")
		switch {
		case field.Type == reflect.TypeFor[investigate.On](), field.Name == "Vulnerability": // arguments
		case at.Kind() == reflect.Struct && help == "":
			f.of(at)
		default:
			f.field(name, help, at)
		}
	}
}

// flagName returns the name of a field's flag: that of its JSON member, with hyphens.
func flagName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func (f *flags) field(name, help string, v reflect.Value) {
	set := f.c.Flags()
	into := v.Addr().Interface()
	switch {
	case v.Type() == timeType:
		set.Var(timeFlag{into.(*custody.Time)}, name, help)
		if name == "at" {
			f.times = append(f.times, into.(*custody.Time))
		}
	case v.Type() == digestType && name == "sha256": // of what is sealed: looked up
	case v.Type() == digestType:
		f.refs = append(f.refs, reference{name: name, one: into.(*custody.Digest)})
		set.Var(refFlag{&f.refs, len(f.refs) - 1, "entry"}, name, help)
	case v.Type() == reflect.SliceOf(digestType):
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		f.refs = append(f.refs, reference{name: name, many: into.(*[]custody.Digest)})
		set.Var(refFlag{&f.refs, len(f.refs) - 1, "entries"}, name, help)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		set.Var(listFlag{v}, name, help)
	case v.Kind() == reflect.String:
		set.Var(stringFlag{v}, name, help)
	case v.Kind() == reflect.Bool:
		if slices.Contains(bothWays, name) {
			f.asked = append(f.asked, name)
			help += " (has to be given: =true or =false)"
		} else if !strings.Contains(help, "(default: ") {
			help += " (not given, the record says no)"
		}
		set.BoolVar(into.(*bool), name, false, help)
	case v.Kind() == reflect.Uint64:
		set.Uint64Var(into.(*uint64), name, 0, help)
	case v.Kind() == reflect.Struct:
		set.Var(setFlag{into.(settable)}, name, help)
	default:
		panic(fmt.Sprintf("no flag for --%s, a %s", name, v.Type()))
	}
}

// bothWays are the flags by which an act says one thing or its opposite, both of weight:
// nobody signs either by leaving the flag out.
var bothWays = []string{"contained", "declared", "outage", "passed"}

// unsaid returns a usage error when such a flag was not given.
func (f *flags) unsaid() error {
	for _, name := range f.asked {
		if !f.c.Flags().Changed(name) {
			return usagef("give --%s, or --%s=false: the act says either", name, name)
		}
	}
	return nil
}

type timeFlag struct{ t *custody.Time }

func (f timeFlag) String() string {
	if f.t == nil || *f.t == 0 {
		return ""
	}
	return f.t.String()
}
func (f timeFlag) Type() string { return "time" }
func (f timeFlag) Set(s string) error {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return fmt.Errorf("%q is not a time like 2026-11-23T08:15:00+01:00", s)
	}
	*f.t = custody.TimeOf(t)
	return nil
}

type refFlag struct {
	refs *[]reference
	n    int
	kind string
}

func (f refFlag) String() string     { return "" }
func (f refFlag) Type() string       { return f.kind }
func (f refFlag) Set(s string) error { r := &(*f.refs)[f.n]; r.said = append(r.said, s); return nil }

type stringFlag struct{ v reflect.Value }

func (f stringFlag) String() string {
	if !f.v.IsValid() {
		return ""
	}
	return f.v.String()
}
func (f stringFlag) Type() string       { return "text" }
func (f stringFlag) Set(s string) error { f.v.SetString(s); return nil }

// listFlag appends to a list what is given again and again: words as they are, and
// other things as they read themselves.
type listFlag struct{ v reflect.Value }

func (f listFlag) String() string { return "" }
func (f listFlag) Type() string   { return "text" }
func (f listFlag) Set(s string) error {
	e := reflect.New(f.v.Type().Elem())
	if t, ok := e.Interface().(settable); ok {
		if err := t.Set(s); err != nil {
			return err
		}
	} else {
		e.Elem().SetString(s)
	}
	f.v.Set(reflect.Append(f.v, e.Elem()))
	return nil
}

type setFlag struct{ s settable }

func (f setFlag) String() string     { return "" }
func (f setFlag) Type() string       { return "text" }
func (f setFlag) Set(s string) error { return f.s.Set(s) }

// fill fills in what need not be said: that it happened now, which entry is
// corrected, what is sealed; and looks up the entries that were named by a label.
func (a *app) fill(ctx context.Context, f *flags, cl *client.Client, id custody.IncidentID, act custody.Act) (err error) {
	for _, t := range f.times {
		if *t == 0 {
			*t = custody.TimeOf(cl.Now())
		}
	}
	var file investigate.File
	if _, moves := act.(*investigate.Move); moves || len(f.refs) > 0 {
		p, err := cl.Outline(ctx, id)
		if err != nil {
			return err
		}
		file = p.File
	}
	if err := a.look(f, file, act); err != nil {
		return err
	}
	switch act := act.(type) {
	case *investigate.Step:
		if act.Version == 0 {
			if act.Version, err = inForce(ctx, cl, act.Procedure); err != nil {
				return err
			}
		}
	case *investigate.Detection:
		if act.Rules != "" && act.Version == 0 {
			if act.Version, err = inForce(ctx, cl, act.Rules); err != nil {
				return err
			}
		}
	case *investigate.Move:
		if act.Definition == 0 {
			act.Definition = file.Definition
		}
		if act.Definition == 0 {
			act.Definition = investigate.Newest().Version
		}
	case *investigate.SignEmergency:
		if err := a.showProposal(ctx, cl, id, act.Proposal); err != nil {
			return err
		}
	case *investigate.Intelligence:
		if act.Version == 0 {
			p, err := cl.File(ctx, id)
			if err != nil {
				return err
			}
			act.Version = p.File.NextVersion(act.Title)
		}
	case *investigate.Classify:
		incident, example := act.Facts.Decide()
		if !f.c.Flags().Changed("security-incident") {
			act.SecurityIncident = incident
		}
		if !f.c.Flags().Changed("example") {
			act.Example = example
		}
	}
	if p, ok := act.(*investigate.PostMortem); ok {
		slices.SortStableFunc(p.Headings, func(x, y investigate.Heading) int {
			return slices.Index(investigate.Headings(), x.Heading) - slices.Index(investigate.Headings(), y.Heading)
		})
	}
	sortWords(reflect.ValueOf(act).Elem())
	return digests(ctx, cl, reflect.ValueOf(act).Elem())
}

// inForce returns the version of a procedure that is in force; 1, which nobody adopted
// then either, where there is no such procedure.
func inForce(ctx context.Context, cl *client.Client, procedure string) (uint64, error) {
	t, err := cl.Team(ctx)
	version := uint64(1)
	for _, p := range t.Procedures {
		if p.Act.Name == procedure {
			version = p.Act.Version
		}
	}
	return version, err
}

// look finds the entries that were named; what is replaced and was not named is the
// newest.
func (a *app) look(f *flags, file investigate.File, act custody.Act) error {
	for _, r := range f.refs {
		var found []custody.Digest
		for _, s := range r.said {
			d, err := entryOf(file, s)
			if err != nil {
				return usagef("--%s: %w", r.name, err)
			}
			found = append(found, d)
		}
		switch {
		case r.many != nil:
			*r.many = append(*r.many, found...)
		case len(found) > 1:
			return usagef("--%s is given twice", r.name)
		case len(found) == 1:
			*r.one = found[0]
		default:
			if *r.one = file.Newest(act, r.name); r.name == "replaces" && !r.one.IsZero() {
				entries(reflect.ValueOf(file), func(e investigate.Said) {
					if e.ID == *r.one {
						a.say("this replaces what %s said at %s (%s): --replaces names another", e.By, e.Recorded, e.Why)
					}
				})
			}
		}
	}
	return nil
}

// showProposal prints what is about to be signed, as it stands in the verified
// history of the incident and not as the service tells it.
func (a *app) showProposal(ctx context.Context, cl *client.Client, id custody.IncidentID, proposal custody.Digest) error {
	records, err := cl.Records(ctx, id.Stream())
	if err != nil {
		return err
	}
	for _, r := range records {
		if r.Record == nil || custody.Hash(r.Record.Envelope.Payload) != proposal {
			continue
		}
		s, err := r.Record.Envelope.Statement(investigate.Words())
		if err != nil {
			return err
		}
		if e, ok := s.Act.(*investigate.Emergency); ok && r.Record.Decision.Permit {
			a.say("you sign, as %s proposed at %s:\n%s  %s", s.Actor, r.Record.Recorded, proposed(e), proposal)
			return nil
		}
	}
	return refusedf("--proposal: %s is no proposal in the verified history of the incident, as X-1 of custody incident status is; nothing was signed", proposal)
}

// proposed is all that a proposal says.
func proposed(e *investigate.Emergency) string {
	text := "  " + within(e.Text, 4) + "\n"
	for _, line := range [][2]string{
		{"done to", e.Service}, {"impact", e.Impact}, {"rationale", e.Rationale}, {"alternatives", strings.Join(e.Alternatives, "; ")}, {"outage", outageOf(e)},
	} {
		text += "  " + line[0] + ": " + within(line[1], 4) + "\n"
	}
	for _, f := range e.Findings {
		text += "  rests on: finding " + f.String() + "\n"
	}
	return text
}

// outageOf says whether a proposal causes an outage, and its times.
func outageOf(e *investigate.Emergency) string {
	text := fmt.Sprint(e.Outage)
	if e.NoticeDue != 0 {
		text += fmt.Sprintf("; its notice is due at %s, the service expected back at %s", e.NoticeDue, e.ExpectedBack)
	}
	return text
}

// about tells of each entry that was named what it is: a label is a typing error away
// from another one's.
func (f *flags) about(file investigate.File) (text string) {
	for _, r := range f.refs {
		ids := []custody.Digest{}
		if r.one != nil {
			ids = append(ids, *r.one)
		} else {
			ids = append(ids, *r.many...)
		}
		for _, id := range ids {
			if label, detail := entry(reflect.ValueOf(file), id); detail != "" {
				if told := []rune(detail); len(told) > 120 {
					detail = string(told[:120]) + "…"
				}
				text += strings.TrimRight("\nabout "+label, " ") + ": " + detail
			}
		}
	}
	return text
}

// entry returns the label of an entry, if it has one, and what its act says of itself.
func entry(v reflect.Value, id custody.Digest) (label, detail string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return entry(v.Elem(), id)
		}
	case reflect.Slice:
		for n := range v.Len() {
			if label, detail = entry(v.Index(n), id); detail != "" {
				return label, detail
			}
		}
	case reflect.Struct:
		said, act := v.FieldByName("Said"), v.FieldByName("Act")
		if said.IsValid() && act.IsValid() && said.Interface().(investigate.Said).ID == id {
			a := reflect.New(act.Type())
			a.Elem().Set(act)
			if told, ok := a.Interface().(interface{ Detail() string }); ok {
				return said.Interface().(investigate.Said).Label, told.Detail()
			}
		}
		for n := range v.NumField() {
			if v.Type().Field(n).IsExported() {
				if label, detail = entry(v.Field(n), id); detail != "" {
					return label, detail
				}
			}
		}
	}
	return "", ""
}

// entryOf returns the entry of a file that has a label, like F-1, or a digest, of
// which the beginning will do.
func entryOf(file investigate.File, s string) (custody.Digest, error) {
	if d := (custody.Digest{}); d.UnmarshalText([]byte(s)) == nil {
		return d, nil
	}
	var found []custody.Digest
	entries(reflect.ValueOf(file), func(e investigate.Said) {
		begins := len(s) >= 8 && strings.HasPrefix(strings.TrimPrefix(e.ID.String(), "sha256:"), strings.TrimPrefix(s, "sha256:"))
		if (begins || e.Label != "" && strings.EqualFold(e.Label, s)) && !slices.Contains(found, e.ID) {
			found = append(found, e.ID)
		}
	})
	switch len(found) {
	case 0:
		return custody.Digest{}, fmt.Errorf("the incident has no entry %q", s)
	case 1:
		return found[0], nil
	}
	return custody.Digest{}, fmt.Errorf("%q can be %d entries: give more of the digest", s, len(found))
}

// entries goes through all entries of a file.
func entries(v reflect.Value, do func(investigate.Said)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			entries(v.Elem(), do)
		}
	case reflect.Slice:
		for n := range v.Len() {
			entries(v.Index(n), do)
		}
	case reflect.Struct:
		if s, ok := v.Interface().(investigate.Said); ok {
			do(s)
			return
		}
		for n := range v.NumField() {
			if v.Type().Field(n).IsExported() {
				entries(v.Field(n), do)
			}
		}
	}
}

func labelOf(file reflect.Value, id custody.Digest) (label string) {
	entries(file, func(e investigate.Said) {
		if e.ID == id && e.Label != "" {
			label = e.Label
		}
	})
	return label
}

// sortWords puts the lists of words of which the order says nothing in theirs.
func sortWords(v reflect.Value) {
	for n := range v.NumField() {
		switch name, at := v.Type().Field(n).Name, v.Field(n); {
		case at.Kind() == reflect.Struct:
			sortWords(at)
		case name == "Properties" || name == "Results" || name == "Techniques":
			slices.Sort(at.Interface().([]string))
		}
	}
}

// digests fills in the SHA-256 of the items that an act cites, as they are sealed.
func digests(ctx context.Context, cl *client.Client, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Slice:
		for n := range v.Len() {
			if err := digests(ctx, cl, v.Index(n)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		if err := ownDigest(ctx, cl, v); err != nil {
			return err
		}
		for n := range v.NumField() {
			if v.Type().Field(n).IsExported() {
				if err := digests(ctx, cl, v.Field(n)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func ownDigest(ctx context.Context, cl *client.Client, v reflect.Value) error {
	id, sum := v.FieldByName("Evidence"), v.FieldByName("SHA256")
	if !id.IsValid() || !sum.IsValid() || id.String() == "" || !sum.IsZero() {
		return nil
	}
	e, err := cl.Evidence(ctx, custody.EvidenceID(id.String()))
	if err != nil {
		return err
	}
	if e.Artifact == nil {
		return errors.New("item " + string(e.ID) + " is not sealed")
	}
	sum.Set(reflect.ValueOf(e.Artifact.SHA256))
	if size := v.FieldByName("Size"); size.IsValid() && size.IsZero() {
		size.SetUint(e.Artifact.Size)
	}
	return nil
}
