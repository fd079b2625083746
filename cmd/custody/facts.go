package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/custody"
)

// facts are what a collector tells of an item: flags, answers on a terminal, or
// a file that serves for several items. A flag comes before the file.
type facts struct {
	file   string
	said   map[string]*string // by the flag's name; empty when it was not given
	filled bool
	image  imageSays            // what the image that is taken in states
	before *custody.Acquisition // that were given earlier; nil when none were
}

// fact is one of them: its flag, the member of custody.Acquisition that it
// becomes, and what it is, in words for whoever is asked.
type fact struct {
	flag, member, what string
	set                func(q *custody.Acquisition, text string) error
}

// text sets a fact that is a line of text.
func text(field func(*custody.Acquisition) *string) func(*custody.Acquisition, string) error {
	return func(q *custody.Acquisition, said string) error { *field(q) = said; return nil }
}

// allFacts lists them in the order in which they are asked for.
func allFacts() []fact {
	tool := func(q *custody.Acquisition) *custody.Tool {
		if q.Tool == nil {
			q.Tool = &custody.Tool{}
		}
		return q.Tool
	}
	collector := func(q *custody.Acquisition) *custody.Person {
		if q.Collector == nil {
			q.Collector = &custody.Person{}
		}
		return q.Collector
	}
	coverage := func(q *custody.Acquisition) *custody.Coverage {
		if q.Coverage == nil {
			q.Coverage = &custody.Coverage{}
		}
		return q.Coverage
	}
	bag := func(q *custody.Acquisition) *custody.BagSeal {
		if q.Seal == nil {
			q.Seal = &custody.BagSeal{}
		}
		return q.Seal
	}
	unread := func(q *custody.Acquisition) *custody.Unread {
		if q.Unread == nil {
			q.Unread = &custody.Unread{}
		}
		return q.Unread
	}
	return []fact{
		{"source", "source.description", "what it was taken from", text(func(q *custody.Acquisition) *string { return &q.Source.Description })},
		{"serial", "source.serial", "the source's serial number", text(func(q *custody.Acquisition) *string { return &q.Source.Serial })},
		{"model", "source.model", "the source's model", text(func(q *custody.Acquisition) *string { return &q.Source.Model })},
		{"host", "source.host", "the source's host name", text(func(q *custody.Acquisition) *string { return &q.Source.Host })},
		{"ip", "source.ip", "the source's IP address", text(func(q *custody.Acquisition) *string { return &q.Source.IP })},
		{"mac", "source.mac", "the source's MAC address, in lower-case digits with colons", text(func(q *custody.Acquisition) *string { return &q.Source.MAC })},
		{"source-location", "source.location", "where the source stands", text(func(q *custody.Acquisition) *string { return &q.Source.Location })},
		{"method", "method", "how: " + strings.Join(custody.Methods(), ", "), text(func(q *custody.Acquisition) *string { return &q.Method })},
		{"write-blocker", "writeBlock", "which write blocker, or why none (of a dead source)", text(func(q *custody.Acquisition) *string { return &q.WriteBlock })},
		{"changes", "changes", "what taking it changed on the source, why that was unavoidable, who answers for it (of a live source)", text(func(q *custody.Acquisition) *string { return &q.Changes })},
		{"tool", "tool.name", "the tool's name", text(func(q *custody.Acquisition) *string { return &tool(q).Name })},
		{"tool-version", "tool.version", "the tool's version", text(func(q *custody.Acquisition) *string { return &tool(q).Version })},
		{"tool-settings", "tool.settings", `the tool's settings, "defaults" for none`, text(func(q *custody.Acquisition) *string { return &tool(q).Settings })},
		{"unread", "unread", "how many bytes of the source could not be read, 0 for none", func(q *custody.Acquisition, said string) (err error) {
			if unread(q).Bytes, err = parseSize(said); err != nil {
				err = usagef("--unread: %w", err)
			}
			return err
		}},
		{"unread-note", "unread.note", "where they are, what the device said, and what stands in their place", text(func(q *custody.Acquisition) *string { return &unread(q).Note })},
		{"collected-at", "collectedAt", "when, like 2026-11-23T09:40:00+01:00", text(func(q *custody.Acquisition) *string { return &q.CollectedAt })},
		{"clock-ahead", "clockError.aheadMs", "how far the source's clock was ahead, like 1.5s or -300ms (default: not measured)", func(q *custody.Acquisition, said string) error {
			d, err := time.ParseDuration(said)
			if err != nil {
				return usagef("--clock-ahead %q is not like 1.5s or -300ms", said)
			}
			q.ClockError.AheadMS, q.ClockError.Measured = d.Milliseconds(), true
			return nil
		}},
		{"clock-reference", "clockError.reference", "what the source's clock was compared with", text(func(q *custody.Acquisition) *string { return &q.ClockError.Reference })},
		{"place", "place", "where it was taken", text(func(q *custody.Acquisition) *string { return &q.Place })},
		{"authority-kind", "authority.kind", "by what right: " + strings.Join(custody.AuthorityKinds(), ", "), text(func(q *custody.Acquisition) *string { return &q.Authority.Kind })},
		{"authority", "authority.reference", "of that right, the docket number, clause or name", text(func(q *custody.Acquisition) *string { return &q.Authority.Reference })},
		{"authority-from", "authority.from", "since when that right holds, like 2026-11-01T00:00:00+01:00", text(func(q *custody.Acquisition) *string { return &q.Authority.From })},
		{"authority-until", "authority.until", "until when that right holds", text(func(q *custody.Acquisition) *string { return &q.Authority.Until })},
		{"first-event", "coverage.first", "time of a log's first event; of an empty one, from when on its source was logging", text(func(q *custody.Acquisition) *string { return &coverage(q).First })},
		{"last-event", "coverage.last", "time of a log's last event; of an empty one, until when its source was logging", text(func(q *custody.Acquisition) *string { return &coverage(q).Last })},
		{"order", "order", "place in the order of collection, 1 for what is most volatile", func(q *custody.Acquisition, said string) (err error) {
			if q.Order, err = strconv.ParseUint(said, 10, 32); err != nil {
				err = usagef("--order %q is not a number", said)
			}
			return err
		}},
		{"not-taken", "notTaken", "what was left behind on purpose, and why", text(func(q *custody.Acquisition) *string { return &q.NotTaken })},
		{"bag", "sealNumbers.bag", "number of a physical item's bag", text(func(q *custody.Acquisition) *string { return &bag(q).Bag })},
		{"seal", "sealNumbers.seal", "number of the bag's seal", text(func(q *custody.Acquisition) *string { return &bag(q).Seal })},
		{"collector", "collector.name", "who took it (default: you)", text(func(q *custody.Acquisition) *string { return &collector(q).Name })},
		{"collector-title", "collector.title", "that person's title", text(func(q *custody.Acquisition) *string { return &collector(q).Title })},
		{"collector-contact", "collector.contact", "that person's telephone or mail", text(func(q *custody.Acquisition) *string { return &collector(q).Contact })},
	}
}

// flags adds the facts' flags to a command.
func (f *facts) flags(c *cobra.Command) {
	f.said = map[string]*string{}
	for _, fact := range allFacts() {
		f.said[fact.flag] = c.Flags().String(fact.flag, "", fact.what)
	}
	c.Flags().StringVar(&f.file, "facts", "", "file of facts, as JSON; flags come before it")
	c.Flags().BoolVar(&f.filled, "unread-filled", false, "zeros stand in the artifact where the source could not be read")
}

// acquisition puts together what was said, and asks for what an item of this
// type still lacks, where somebody can answer.
func (f *facts) acquisition(a *app, kind string, mayAsk bool) (custody.Acquisition, error) {
	q, err := f.fromFile()
	if err != nil {
		return q, err
	}
	list := allFacts()
	for _, fact := range list {
		if said := *f.said[fact.flag]; said != "" {
			if err := fact.set(&q, said); err != nil {
				return q, err
			}
		}
	}
	if f.filled && q.Unread != nil {
		q.Unread.Filled = true
	}
	f.image.fill(&q)
	return q, complete(a, &q, kind, mayAsk)
}

// complete asks for what is lacking until nothing is: an answer can make
// another necessary, as a dead source's write blocker.
func complete(a *app, q *custody.Acquisition, kind string, mayAsk bool) error {
	for members := q.Lacks(kind); len(members) > 0; members = q.Lacks(kind) {
		var missing []string
		for _, fact := range allFacts() {
			if !slices.Contains(members, fact.member) {
				continue
			}
			if answered, err := fact.ask(a, q, mayAsk); err != nil {
				return err
			} else if !answered {
				missing = append(missing, "--"+fact.flag)
			}
		}
		if len(missing) > 0 {
			return lacksFacts(missing)
		}
	}
	return nil
}

// lacksFacts are the flags of what is missing.
type lacksFacts []string

func (l lacksFacts) Error() string { return "missing: " + flagList(l) }

// flagList lists flags that are missing. What a log without events has of a time, they say.
func flagList(flags []string) string {
	text := strings.Join(flags, ", ")
	if slices.Contains(flags, "--first-event") || slices.Contains(flags, "--last-event") {
		text += " (of a log without events: from when and until when its source was logging)"
	}
	return text
}

func (fact fact) ask(a *app, q *custody.Acquisition, mayAsk bool) (answered bool, err error) {
	if !mayAsk {
		return false, nil
	}
	said, err := a.ask(fact.flag + " (" + fact.what + ")")
	if err != nil || said == "" {
		return false, err
	}
	return true, fact.set(q, said)
}

// fromFile reads the file of facts.
func (f *facts) fromFile() (q custody.Acquisition, err error) {
	switch {
	case f.file == "" && f.before != nil:
		return *f.before, nil
	case f.file == "":
		return q, nil
	}
	b, err := os.ReadFile(f.file)
	if err != nil {
		return q, usageError{err}
	}
	if err := json.Unmarshal(b, &q, json.RejectUnknownMembers(true)); err != nil {
		return q, usageError{fmt.Errorf("--facts %s is not as custody evidence facts prints it: %w", f.file, err)}
	}
	q.Image = nil // it speaks for itself
	dropEmpty(&q.Collector)
	dropEmpty(&q.Coverage)
	dropEmpty(&q.Seal)
	dropEmpty(&q.Tool)
	return q, nil
}

// dropEmpty removes what was not filled in.
func dropEmpty[T comparable](p **T) {
	var empty T
	if *p != nil && **p == empty {
		*p = nil
	}
}

// evidenceFacts prints an empty file of facts to fill in.
func (a *app) evidenceFacts() *cobra.Command {
	return &cobra.Command{
		Use: "facts", Short: "Print an empty file of facts for evidence add --facts", Args: exactly(0),
		Long: `Prints an empty file of facts. What stays empty, or null, is not stated, and asked
for or refused where it is needed; "unread" is then like
{"bytes": 0, "filled": false, "note": ""}, 0 when every byte could be read.`,
		Example: "  custody evidence facts > web01.json",
		RunE: func(*cobra.Command, []string) error {
			q := custody.Acquisition{
				Collector: &custody.Person{}, Coverage: &custody.Coverage{}, Seal: &custody.BagSeal{}, Tool: &custody.Tool{},
			}
			b, err := json.Marshal(q, jsontext.WithIndent("  "))
			if err != nil {
				return err
			}
			// Nobody has said yet that every byte could be read: null is not stated.
			_, err = fmt.Fprintln(a.stdout, strings.TrimSuffix(string(b), "\n}")+",\n  \"unread\": null\n}")
			return err
		},
	}
}
