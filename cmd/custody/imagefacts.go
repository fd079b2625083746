package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/format/ewf"
)

// The facts that an image states of its acquisition, by the names under which
// they go on record.
const (
	saidAcquired = "acquired"
	saidExaminer = "examiner"
	saidModel    = "model"
	saidNumber   = "evidence number"
	saidSerial   = "serial"
	saidSoftware = "software"
	saidUnread   = "unread bytes"
)

// mostRanges is how many stretches that could not be read are told one by one.
const mostRanges = 20

// says lists what an image states of its acquisition, in lines.
func says(img *ewf.Image) []custody.Said {
	h := img.Header
	password := ""
	if h.Password {
		password = "set"
	}
	list := []custody.Said{}
	for _, f := range []custody.Said{
		{Name: "case", Text: h.Case}, {Name: saidNumber, Text: h.Evidence}, {Name: "description", Text: h.Description},
		{Name: saidExaminer, Text: h.Examiner}, {Name: "notes", Text: h.Notes}, {Name: saidAcquired, Text: imageTime(h.Acquired)},
		{Name: "system date", Text: imageTime(h.Set)}, {Name: saidSoftware, Text: h.Tool}, {Name: "operating system", Text: h.System},
		{Name: saidModel, Text: h.Model}, {Name: saidSerial, Text: h.Serial}, {Name: "password", Text: password},
		{Name: saidUnread, Text: unreadOf(img)},
	} {
		if f.Text = lineOf(f.Text); f.Text != "" {
			list = append(list, f)
		}
	}
	return list
}

// lineOf makes a line of a report of what somebody wrote into an image.
func lineOf(text string) string {
	const most = 300 // characters, each of which can become several
	if chars := []rune(text); len(chars) > most {
		text = string(chars[:most]) + " …"
	}
	name, err := custody.NewName([]byte(strings.TrimSpace(text)))
	if err != nil || custody.CheckLine("", name.Display) != nil {
		return ""
	}
	return name.Display
}

// imageTime reads a time of a header: seconds since 1970, or fields of a local
// time of which nobody knows the offset.
func imageTime(text string) string {
	if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil {
		if n <= 0 || n > 1<<33 {
			return ""
		}
		return time.Unix(n, 0).UTC().Format(time.RFC3339)
	}
	if t, err := time.Parse("2006 1 2 15 4 5", strings.TrimSpace(text)); err == nil {
		return t.Format("2006-01-02T15:04:05") + localTime
	}
	return text
}

const localTime = " (local time)"

// unreadOf says which bytes of the media could not be read, as the image states;
// "" when it states none.
func unreadOf(img *ewf.Image) string {
	if len(img.Unread) == 0 {
		return ""
	}
	size := uint64(img.Media.BytesPerSector)
	total, list := uint64(0), ""
	for n, r := range img.Unread {
		total += r.Count * size
		switch {
		case n < mostRanges:
			list += fmt.Sprintf(", %d to %d", r.First*size, (r.First+r.Count)*size-1)
		case n == mostRanges:
			list += fmt.Sprintf(", and %d more", len(img.Unread)-n)
		}
	}
	return fmt.Sprintf("%d: of the media the bytes %s", total, strings.TrimPrefix(list, ", "))
}

// imageSays is what the image that is to be taken in states.
type imageSays []custody.Said

func (i imageSays) get(name string) string {
	for _, s := range i {
		if s.Name == name {
			return s.Text
		}
	}
	return ""
}

// unread returns how many bytes could not be read, and where.
func (i imageSays) unread() (bytes uint64, where string, ok bool) {
	count, where, ok := strings.Cut(i.get(saidUnread), ": ")
	bytes, err := strconv.ParseUint(count, 10, 53)
	return bytes, where, ok && err == nil
}

// lookAhead reads what the image that was named states, before its facts are
// asked for. What is wrong with it is found when it is opened for good.
func (a *app) lookAhead(ctx context.Context, in *intake, paths []string) {
	if len(paths) == 0 {
		return
	}
	if _, err := segmentNumber(paths[0]); err != nil {
		return
	}
	if !in.reading.asIs {
		all, err := allSegments(paths)
		if err != nil {
			return
		}
		paths = all
	}
	s, err := openSource(paths)
	if err != nil {
		return
	}
	defer s.close() //nolint:errcheck // it was only read
	if found, err := a.examine(ctx, s, true); err == nil {
		in.facts.image = found.Says
	}
}

// fill puts what the image states where the person gave nothing, and all that it
// states beside it.
func (i imageSays) fill(q *custody.Acquisition) {
	if len(i) == 0 {
		return
	}
	q.Image = &custody.ImageFacts{Filled: []string{}, Says: i}
	put := func(member string, field *string, text string) {
		if *field == "" && text != "" {
			*field = text
			q.Image.Filled = append(q.Image.Filled, member)
		}
	}
	if at := i.get(saidAcquired); !strings.HasSuffix(at, localTime) {
		if _, err := time.Parse(time.RFC3339, at); err == nil {
			put("collectedAt", &q.CollectedAt, at)
		}
	}
	put("source.model", &q.Source.Model, i.get(saidModel))
	put("source.serial", &q.Source.Serial, i.get(saidSerial))
	if q.Tool != nil {
		put("tool.version", &q.Tool.Version, i.get(saidSoftware))
	}
	if bytes, where, ok := i.unread(); ok && q.Unread == nil {
		q.Unread = &custody.Unread{Bytes: bytes, Note: where}
		q.Image.Filled = append(q.Image.Filled, "unread")
	}
}

// The longest time between two accounts of one acquisition that need no word: it
// takes long, and of a local time the offset is not known.
const (
	acquisitionTakes = 24 * time.Hour
	offsetUnknown    = 14 * time.Hour
)

// contradictions says where the person and the image differ.
func (i imageSays) contradictions(q *custody.Acquisition, exhibit string) (list []string) {
	if len(i) == 0 {
		return nil
	}
	differ := func(what, given, said string) {
		if given != "" && said != "" && !strings.EqualFold(strings.Join(strings.Fields(given), " "), strings.Join(strings.Fields(said), " ")) {
			list = append(list, fmt.Sprintf("WARNING: %s is given as %q, and the image says %q", what, given, said))
		}
	}
	differ("the source's model", q.Source.Model, i.get(saidModel))
	differ("the source's serial number", q.Source.Serial, i.get(saidSerial))
	if q.Tool != nil {
		differ("the tool's version", q.Tool.Version, i.get(saidSoftware))
	}
	if q.Collector != nil {
		differ("the collector", q.Collector.Name, i.get(saidExaminer))
	}
	said, slack := i.get(saidAcquired), acquisitionTakes
	if local, ok := strings.CutSuffix(said, localTime); ok {
		said, slack = local+"Z", acquisitionTakes+offsetUnknown
	}
	at, err := time.Parse(time.RFC3339, said)
	if given, bad := time.Parse(time.RFC3339, q.CollectedAt); err == nil && bad == nil && given.Sub(at).Abs() > slack {
		list = append(list, fmt.Sprintf("WARNING: the time of collection is given as %s, and the image says that it was acquired at %s", q.CollectedAt, i.get(saidAcquired)))
	}
	if bytes, where, ok := i.unread(); ok && q.Unread != nil && q.Unread.Bytes != bytes {
		list = append(list, fmt.Sprintf("WARNING: %d bytes are said to have been unreadable; the image says %d: %s", q.Unread.Bytes, bytes, where))
	}
	if n := i.get(saidNumber); exhibit != "" && n != "" && !strings.EqualFold(n, exhibit) {
		list = append(list, fmt.Sprintf("NOTE: the image bears the evidence number %q; here it is the exhibit %q", n, exhibit))
	}
	return list
}
