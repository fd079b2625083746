package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/format"
	"github.com/forensic-custody/custody/custody/format/ewf"
)

// inspection is what looking at an artifact's bytes yields.
type inspection struct {
	Format   string          `json:"format"`
	Header   []string        `json:"header"`   // what a container says of itself, "name: value"
	Says     []custody.Said  `json:"says"`     // what a container says of its acquisition
	Labels   []custody.Label `json:"labels"`   // digests of the media that a container states, and those measured
	Media    uint64          `json:"media"`    // bytes that a container contains; 0 when it is none
	Unread   uint64          `json:"unread"`   // bytes that the container says could not be read
	Damage   []string        `json:"damage"`   // of a container, at most 100
	Damages  int             `json:"damages"`  // how many there are
	Surplus  string          `json:"surplus"`  // why a digest differs though nothing is damaged; "" when there is no such reason
	Unseen   string          `json:"unseen"`   // what of it could not be looked at; "" when all was
	Segments string          `json:"segments"` // what is wrong with a container's segments; "" when they are all here
}

// inspectCommand is also what evidence add starts to look at an artifact: what
// reads bytes that an adversary may have made runs in a process of its own,
// which holds no key and cannot reach the network.
func (a *app) inspectCommand() *cobra.Command {
	var confined, sections, partial bool
	c := &cobra.Command{
		Use: "inspect FILE…", Short: "Say what a file is, and check the digests that it states", Args: atLeast(1),
		Long: `Says what a file is, going by its content: a raw image and its file systems, a
forensic container, a memory dump, a log. Of an EWF image (E01), given with all
its segments, every checksum is checked, and the digests that it states are
compared with those of the media in it; where they differ the command ends
with 1. Nothing is sent anywhere.`,
		Example: `  custody inspect web01.dd
  custody inspect web02.E01 web02.E02 --json`,
		RunE: func(c *cobra.Command, args []string) error {
			if confined {
				return a.inspectConfined(len(args), sections, partial)
			}
			return a.inspect(c.Context(), args)
		},
	}
	c.Flags().BoolVar(&confined, "confined", false, "the files are open already; limit this process")
	c.Flags().BoolVar(&sections, "sections", false, "do not read the media of a container")
	c.Flags().BoolVar(&partial, "beginning", false, "the file is the beginning of a pipe")
	_ = c.Flags().MarkHidden("beginning")
	_ = c.Flags().MarkHidden("confined") // all are defined above
	_ = c.Flags().MarkHidden("sections")
	return c
}

// inspect looks at files for a person.
func (a *app) inspect(ctx context.Context, paths []string) error {
	paths, err := allSegments(paths)
	if err != nil {
		return err
	}
	s, err := openSource(paths)
	if err != nil {
		return err
	}
	defer s.close() //nolint:errcheck // it was only read
	found, err := a.examine(ctx, s, false)
	if err != nil {
		return err
	}
	if err := a.answer(found, found.text()); err != nil {
		return err
	}
	if !found.sound() {
		return failure{exitRefused}
	}
	return nil
}

func (i *inspection) sound() bool {
	for _, l := range i.Labels {
		if !l.Matches() {
			return false
		}
	}
	return i.Damages == 0 && i.Segments == ""
}

func (i *inspection) text() string {
	text := i.Format + "\n"
	for _, h := range i.Header {
		text += "  " + h + "\n"
	}
	for _, l := range i.Labels {
		text += "  " + l.String() + "\n"
	}
	for _, w := range i.warnings() {
		text += "  " + w + "\n"
	}
	return text
}

// warnings are what must not be overlooked.
func (i *inspection) warnings() (list []string) {
	for _, l := range i.Labels {
		if !l.Matches() {
			list = append(list, "WARNING: the "+l.String())
		}
	}
	if i.Damages > 0 {
		list = append(list, fmt.Sprintf("WARNING: the container is damaged in %d places, the first: %s", i.Damages, i.Damage[0]))
	}
	if i.Segments != "" {
		list = append(list, "WARNING: "+i.Segments)
	}
	if i.Unseen != "" {
		list = append(list, "NOTE: "+i.Unseen)
	}
	if i.Surplus != "" {
		list = append(list, "NOTE: "+i.Surplus)
	}
	if i.Unread > 0 {
		list = append(list, fmt.Sprintf("NOTE: the container says that %d bytes of its source could not be read", i.Unread))
	}
	return list
}

// A child is told how much it may use, and ends when it uses more.
const (
	childMemory  = 4 << 30   // bytes of address space, of which Go reserves more than it uses
	childHeap    = 512 << 20 // bytes at which Go frees memory at any price
	childLeast   = 60 * time.Second
	childRate    = 10 << 20 // bytes a second that it reads at least
	childAnswers = 1 << 20  // bytes that it may print
)

// examine lets a child look at the source's files. Whatever becomes of the
// child, there is an answer: format unknown and why, when it fails.
func (a *app) examine(ctx context.Context, s *source, sections bool) (*inspection, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	found, err := examineWith(ctx, self, s, sections)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		a.say("WARNING: the artifact could not be looked into, and is on record as of an unknown format: %v", err)
		return &inspection{Format: format.Unknown}, nil
	}
	return found, nil
}

func examineWith(ctx context.Context, program string, s *source, sections bool) (*inspection, error) {
	ctx, cancel := context.WithTimeout(ctx, allowance(s.size))
	defer cancel()
	args := []string{"inspect", "--confined"}
	if sections {
		args = append(args, "--sections")
	}
	if s.partial {
		args = append(args, "--beginning")
	}
	var files []*os.File
	for _, f := range s.parts {
		files = append(files, f.File)
		args = append(args, "-")
	}
	for _, confine := range []uintptr{unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWIPC, 0} { // some kernels allow no one this
		out := &limited{left: childAnswers}
		c := exec.CommandContext(ctx, program, args...)
		c.ExtraFiles, c.Stdout = files, out
		c.Env = append(os.Environ(), fmt.Sprintf("GOMEMLIMIT=%d", childHeap), "GOTRACEBACK=none")
		c.WaitDelay = time.Second
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: confine, Pdeathsig: syscall.SIGKILL}
		if confine != 0 {
			c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
			c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
		}
		err := c.Start()
		if err != nil && confine != 0 {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := c.Wait(); err != nil {
			switch {
			case ctx.Err() != nil:
				err = fmt.Errorf("it took longer than %s", allowance(s.size))
			case out.left < 0:
				err = errTooMuch
			}
			return nil, err
		}
		return parseInspection(out.kept.Bytes())
	}
	return nil, errors.New("no process could be started")
}

// allowance is how long a child may take.
func allowance(size uint64) time.Duration {
	return childLeast + time.Duration(size/childRate)*time.Second
}

// limited keeps what is written to it up to a limit, and fails then.
type limited struct {
	kept bytes.Buffer // not embedded: its ReadFrom knows no limit
	left int
}

var errTooMuch = errors.New("it printed too much")

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errTooMuch
	}
	return l.kept.Write(p)
}

// parseInspection reads a child's answer, which is believed as little as what
// the child has read.
func parseInspection(b []byte) (*inspection, error) {
	i := new(inspection)
	if err := json.Unmarshal(b, i, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("its answer cannot be read: %w", err)
	}
	if err := custody.CheckLine("format", i.Format); err != nil {
		return nil, err
	}
	if len(i.Labels) > 4 || i.Damages < 0 || (i.Damages > 0) != (len(i.Damage) > 0) {
		return nil, errors.New("its answer makes no sense")
	}
	if err := (&custody.ImageFacts{Says: i.Says}).Check(); err != nil {
		return nil, err
	}
	for _, l := range i.Labels {
		if l.Over != custody.LabelMedia || l.StatedBy != "container" || !isDigest(l.Algorithm, l.Measured) || !isDigest(l.Algorithm, l.Stated) {
			return nil, errors.New("its answer makes no sense")
		}
	}
	return i, nil
}

// isDigest says whether text is a digest in lower-case hexadecimal digits.
func isDigest(algorithm, text string) bool {
	b, err := hex.DecodeString(text)
	sizes := map[string]int{"md5": md5.Size, "sha1": sha1.Size, "sha256": len(custody.Digest{})}
	return err == nil && len(b) == sizes[algorithm] && len(b) > 0 && text == strings.ToLower(text)
}

// inspectConfined is the child: it limits itself, looks at the files that were
// left open for it, and prints what it finds.
func (a *app) inspectConfined(count int, sections, partial bool) error {
	var files []ewf.Segment
	var size int64
	for n := range count {
		f := os.NewFile(uintptr(3+n), "artifact")
		length, err := f.Seek(0, io.SeekEnd)
		if err != nil {
			return err
		}
		files = append(files, ewf.Segment{ReaderAt: f, Size: length})
		size += length
	}
	seconds := uint64(allowance(uint64(size)) / time.Second)
	for what, most := range map[int]uint64{unix.RLIMIT_AS: childMemory, unix.RLIMIT_CPU: seconds, unix.RLIMIT_FSIZE: 0, unix.RLIMIT_CORE: 0} {
		if err := unix.Setrlimit(what, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return err
		}
	}
	debug.SetMemoryLimit(childHeap)
	found := glance
	if !partial {
		found = func(files []ewf.Segment) *inspection { return look(files, sections) }
	}
	b, err := json.Marshal(found(files))
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(b)
	return err
}

// byBeginning is what the format says that was found out by a pipe's beginning.
const byBeginning = "; of a pipe, by its beginning"

// glance recognizes an artifact of which only the beginning is here. What there
// is to be found at its end, or by going back and forth, is not looked for.
func glance(files []ewf.Segment) *inspection {
	const unknowable = 1 << 60 // nothing is taken to be its end
	f := format.Recognize(files[0], unknowable)
	i := &inspection{Format: f.String() + byBeginning, Header: []string{}, Says: []custody.Said{}, Labels: []custody.Label{}, Damage: []string{}}
	if strings.HasPrefix(f.Name, "ewf") || f.Name == "aff4" {
		i.Unseen = "the digests and the facts that the container states were not read, since it came through a pipe; custody inspect reads them from a file"
	}
	return i
}

// look recognizes an artifact, and reads it where it is an EWF image.
func look(files []ewf.Segment, sections bool) *inspection {
	f := format.Recognize(files[0], files[0].Size)
	i := &inspection{Format: f.String(), Header: []string{}, Says: []custody.Said{}, Labels: []custody.Label{}, Damage: []string{}}
	if f.Name == "aff4" {
		i.volume(files)
	}
	if f.Name != "ewf" {
		return i
	}
	if len(files) > 1 {
		i.Format = fmt.Sprintf("%s (%d segments)", f.Name, len(files))
	}
	img, err := ewf.Open(files)
	switch {
	case errors.Is(err, ewf.ErrSegments):
		i.Segments = err.Error()
		return i
	case err != nil:
		i.Damages, i.Damage = 1, []string{err.Error()}
		return i
	}
	i.Says = says(img)
	i.Header, i.Media = header(i.Says, img.Media.Size()), img.Media.Size()
	for _, r := range img.Unread {
		i.Unread += r.Count * uint64(img.Media.BytesPerSector)
	}
	if !sections {
		i.compare(img)
	}
	i.Damage, i.Damages = append(i.Damage, img.Damage...), i.Damages+img.Damages()
	return i
}

func header(says []custody.Said, media uint64) (list []string) {
	for _, s := range says {
		list = append(list, fmt.Sprintf("%s: %s", s.Name, s.Text))
	}
	return append(list, fmt.Sprintf("media: %d bytes", media))
}

// volume tells which digests an AFF4 volume states: its media are not read here,
// so they are not compared.
func (i *inspection) volume(files []ewf.Segment) {
	list, err := format.AFF4Stated(files[0], files[0].Size)
	if err != nil {
		i.Damages, i.Damage = 1, []string{lineOf(err.Error())}
		return
	}
	i.Unseen = "the media of an AFF4 volume are not read here: what it states was not compared"
	for _, d := range list {
		i.Says = append(i.Says, custody.Said{Name: "states " + d.Algorithm, Text: strings.ToLower(d.Hex)})
		i.Header = append(i.Header, fmt.Sprintf("states %s %s, which was not compared", d.Algorithm, strings.ToLower(d.Hex)))
	}
}

// compare holds the digests that an image states against those of its media.
func (i *inspection) compare(img *ewf.Image) {
	first, second := md5.New(), sha1.New()
	both := io.MultiWriter(first, second)
	if _, err := img.WriteTo(both); err != nil {
		i.Damages, i.Damage = i.Damages+1, append(i.Damage, err.Error())
		return // of a part of the media there is no digest
	}
	digests := []struct {
		algorithm        string
		stated, measured []byte
		over             hash.Hash
	}{{"md5", img.MD5, first.Sum(nil), first}, {"sha1", img.SHA1, second.Sum(nil), second}}
	_, _ = both.Write(img.Surplus) // digests take everything
	for _, d := range digests {
		if len(img.Surplus) > 0 && bytes.Equal(d.stated, d.over.Sum(nil)) {
			i.Surplus = fmt.Sprintf("the %s that the container states covers %d bytes more than its media, which are whole sectors", d.algorithm, len(img.Surplus))
		}
		if d.stated != nil {
			i.Labels = append(i.Labels, custody.Label{
				Algorithm: d.algorithm, Measured: hex.EncodeToString(d.measured), Over: custody.LabelMedia,
				Stated: hex.EncodeToString(d.stated), StatedBy: "container",
			})
		}
	}
}

// fileName returns the name of a file as it is shown.
func fileName(path string) string {
	name, err := custody.NewName([]byte(filepath.Base(path)))
	if err != nil {
		return "a file"
	}
	return name.Display
}
