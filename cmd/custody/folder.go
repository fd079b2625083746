package main

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
)

// listing is the last member of a container: what the folder held, an entry a
// line.
const listing = "custody-listing.jsonl"

// folder is a folder that is taken in. Nothing outside of it can be reached
// through it.
type folder struct {
	root    *os.Root
	path    string
	entries []folderEntry // sorted by name, a folder before what is in it
}

// folderEntry is something in a folder: a file, or what is only told of.
type folderEntry struct {
	name string // the path in the folder; bytes as the file system has them
	kind string // "file", "folder", "symlink", "socket", "pipe" or "device"
	to   string // of a symlink
	info fs.FileInfo
}

func openFolder(dir string) (*folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, usageError{err}
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	f := &folder{root: root, path: full}
	if err := f.walk("."); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return f, nil
}

func (f *folder) walk(dir string) error {
	d, err := f.root.Open(dir)
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	if err := errors.Join(err, d.Close()); err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		e := folderEntry{name: path.Join(dir, name)}
		if e.info, err = f.root.Lstat(e.name); err != nil {
			return err
		}
		if e.kind = kindOf(e.info.Mode()); e.kind == "symlink" {
			if e.to, err = f.root.Readlink(e.name); err != nil {
				return err
			}
		}
		f.entries = append(f.entries, e)
		if e.kind == "folder" {
			if err := f.walk(e.name); err != nil {
				return err
			}
		}
	}
	return nil
}

func kindOf(mode fs.FileMode) string {
	switch mode.Type() {
	case 0:
		return "file"
	case fs.ModeDir:
		return "folder"
	case fs.ModeSymlink:
		return "symlink"
	case fs.ModeSocket:
		return "socket"
	case fs.ModeNamedPipe:
		return "pipe"
	}
	return "device"
}

// open opens a file of the folder, which must still be the one that was listed.
func (f *folder) open(e folderEntry) (*source, error) {
	file, err := f.root.OpenFile(e.name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && (!os.SameFile(info, e.info) || !info.Mode().IsRegular()) {
		err = errChanged
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	s := newSource()
	s.parts = []segmentFile{{File: file, path: filepath.Join(f.path, e.name), info: e.info, size: e.info.Size()}}
	s.size, s.known = uint64(e.info.Size()), true
	return s, nil
}

// folderSummary is what became of the files of a folder.
type folderSummary struct {
	Items  []folderItem `json:"items"`
	Others []toldOf     `json:"others"` // what is no file, and was not taken in
	failed int
}

// folderItem is a file of a folder.
type folderItem struct {
	Exhibit string             `json:"exhibit"`
	Name    custody.Name       `json:"name"`
	ID      custody.EvidenceID `json:"id,omitempty"` // once it is sealed
	Size    uint64             `json:"bytes"`
	SHA256  custody.Digest     `json:"sha256"`
	Earlier bool               `json:"earlier"` // it was sealed when the command ran before
	Failure string             `json:"failure,omitempty"`
}

// toldOf is a line of a container's listing.
type toldOf struct {
	Kind   string         `json:"kind"`
	Name   custody.Name   `json:"name"`
	SHA256 custody.Digest `json:"sha256"` // of a file
	Size   uint64         `json:"size"`   // of a file
	Target *custody.Name  `json:"target,omitempty"`
}

func (e folderEntry) told() (toldOf, error) {
	name, err := custody.NewName([]byte(e.name))
	if err != nil {
		return toldOf{}, err
	}
	t := toldOf{Kind: e.kind, Name: name}
	if e.to != "" {
		to, err := custody.NewName([]byte(e.to))
		if err != nil {
			return toldOf{}, err
		}
		t.Target = &to
	}
	return t, nil
}

// addEach takes in every file of a folder as an item of its own. One that fails
// does not keep the others from being taken in, unless it is the service that
// cannot be reached.
func (a *app) addEach(ctx context.Context, in *intake, dir string) (err error) {
	f, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.root.Close()) }()
	cl, _, err := a.dialFor(ctx, in.retry)
	if err != nil {
		return err
	}
	held, err := a.heldUnder(ctx, cl, in)
	if err != nil {
		return err
	}
	sum := folderSummary{Items: []folderItem{}, Others: []toldOf{}}
	var marks []string
	for _, e := range f.entries {
		if e.kind != "file" {
			t, err := e.told()
			if err != nil {
				return err
			}
			if e.kind != "folder" {
				sum.Others = append(sum.Others, t)
			}
			continue
		}
		one := *in
		one.name, one.reading.asIs = e.name, true
		one.reading.empty = true // that a file of a folder has no bytes is a fact of the folder
		item, mark, err := a.addOne(ctx, cl, &one, f, e, held)
		if err != nil {
			if ctx.Err() != nil || exitCode(err) == exitUnreachable {
				return fmt.Errorf("%s: %w", e.name, err)
			}
			item.Failure = err.Error()
			sum.failed++
		}
		sum.Items, marks = append(sum.Items, item), append(marks, mark)
	}
	if len(sum.Items) == 0 {
		return refusedf("%s holds no files: nothing was taken in", dir)
	}
	if sum.failed == 0 { // else what is sealed is remembered, for the next try
		for _, mark := range marks {
			err = errors.Join(err, a.forgetUpload(mark))
		}
	}
	if err := errors.Join(err, a.keep(ctx, cl), a.answer(sum, sum.text())); err != nil {
		return err
	}
	if sum.failed > 0 {
		return failure{exitRefused}
	}
	return nil
}

// heldUnder is what the service has under a folder's exhibit number, when the
// command has run before.
type heldUnder struct {
	prefix    string
	sealed    map[string][]api.Evidence // by the file's name
	announced map[string]string         // exhibit numbers of uploads that were broken off, likewise
	used      map[string]bool           // exhibit numbers
	last      int                       // the last number that was given
}

func (a *app) heldUnder(ctx context.Context, cl *client.Client, in *intake) (*heldUnder, error) {
	h := &heldUnder{prefix: in.exhibit + "/", sealed: map[string][]api.Evidence{}, announced: map[string]string{}, used: map[string]bool{}}
	incident, err := custody.ParseIncidentID(in.incident)
	if err != nil {
		return nil, usageError{err}
	}
	shown, err := cl.Incident(ctx, incident)
	if err != nil {
		return nil, err
	}
	for _, e := range shown.Evidence {
		if strings.HasPrefix(e.Exhibit, h.prefix) {
			name := string(e.Name.Raw())
			h.sealed[name], h.used[e.Exhibit] = append(h.sealed[name], e), true
		}
	}
	uploads, err := a.file("uploads")
	if err != nil {
		return nil, err
	}
	marks, err := os.ReadDir(uploads)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, m := range marks {
		id, ok := a.remembered(filepath.Join("uploads", m.Name()))
		if !ok {
			continue
		}
		e, err := cl.Evidence(ctx, id)
		if err == nil && e.Incident == incident && !e.Sealed && !e.Withdrawn && strings.HasPrefix(e.Exhibit, h.prefix) {
			h.announced[string(e.Name.Raw())], h.used[e.Exhibit] = e.Exhibit, true
		}
	}
	return h, nil
}

// number returns the exhibit number of a file that is not sealed yet: that of its
// upload which was broken off, or the next one that is free.
func (h *heldUnder) number(name string) string {
	if exhibit, ok := h.announced[name]; ok {
		return exhibit
	}
	for {
		h.last++
		if exhibit := h.prefix + strconv.Itoa(h.last); !h.used[exhibit] {
			return exhibit
		}
	}
}

// find returns the item that is a file: the same name and the same bytes.
func (h *heldUnder) find(name string, f *folder, e folderEntry) (api.Evidence, bool, error) {
	var sum custody.Digest
	for _, item := range h.sealed[name] {
		if item.Artifact == nil || item.Artifact.Size != uint64(e.info.Size()) {
			continue
		}
		if sum.IsZero() {
			s, err := f.open(e)
			if err != nil {
				return item, false, err
			}
			whole := sha256.New()
			_, err = io.Copy(whole, struct{ io.Reader }{s})
			if err := errors.Join(err, s.close()); err != nil {
				return item, false, err
			}
			whole.Sum(sum[:0])
		}
		if item.Artifact.SHA256 == sum {
			return item, true, nil
		}
	}
	return api.Evidence{}, false, nil
}

// addOne takes in one file of a folder, unless it was sealed before.
func (a *app) addOne(ctx context.Context, cl *client.Client, in *intake, f *folder, e folderEntry, held *heldUnder) (item folderItem, mark string, err error) {
	known, earlier, err := held.find(in.name, f, e)
	if in.exhibit = known.Exhibit; !earlier {
		in.exhibit = held.number(in.name)
	}
	item = folderItem{Exhibit: in.exhibit}
	if err != nil {
		return item, "", err
	}
	if item.Name, err = custody.NewName([]byte(e.name)); err != nil {
		return item, "", err
	}
	s, err := f.open(e)
	if err != nil {
		return item, "", err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	s.fill = in.reading.fill
	if mark, err = s.mark(in.incident, in.exhibit); err != nil {
		return item, "", err
	}
	if earlier {
		item.ID, item.Size, item.SHA256, item.Earlier = known.ID, known.Artifact.Size, known.Artifact.SHA256, true
		return item, mark, nil
	}
	sealed, err := a.intoCustody(ctx, cl, in, s)
	if err != nil {
		return item, mark, err
	}
	item.ID, item.Size, item.SHA256 = custody.EvidenceID(sealed.ID), sealed.Size, sealed.SHA256
	return item, mark, nil
}

func (s *folderSummary) text() string {
	text, size := "", uint64(0)
	for _, i := range s.Items {
		state := string(i.ID)
		switch {
		case i.Failure != "":
			state = "NOT TAKEN IN: " + i.Failure
		case i.Earlier:
			state = "already " + i.Exhibit + ": " + state
		}
		size += i.Size
		text += fmt.Sprintf("%s  %s  %d bytes  %s\n", i.Exhibit, i.Name.Display, i.Size, state)
	}
	for _, o := range s.Others {
		text += fmt.Sprintf("not a file, and not taken in: %s  %s\n", o.Kind, o.Name.Display)
	}
	return text + fmt.Sprintf("%d of %d files are sealed, %d bytes\n", len(s.Items)-s.failed, len(s.Items), size)
}

// addContainer takes in a folder as one item: a tar of what is in it.
func (a *app) addContainer(ctx context.Context, in *intake, dir string) (err error) {
	f, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.root.Close()) }()
	s, err := f.pack()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return a.addSource(ctx, in, s)
}

// pack makes a source of the folder: a tar in GNU format, whose bytes follow
// from what the folder holds, so that an upload can be continued.
func (f *folder) pack() (*source, error) {
	most := uint64(64 << 10)
	identity := fmt.Appendf(nil, "container\x00%s", f.path)
	for _, e := range f.entries {
		if e.name == listing {
			return nil, refusedf("%s has a file %s, which is what the container's own listing is called", f.path, listing)
		}
		t, err := e.told()
		if err != nil {
			return nil, err
		}
		line, err := custody.Encode(t)
		if err != nil {
			return nil, err
		}
		const around = 8 << 10 // headers, padding, a long name
		most += around + uint64(len(line))
		if e.kind == "file" {
			most += uint64(e.info.Size())
		}
		identity = fmt.Appendf(identity, "\x00%s\x00%d\x00%d", line, e.info.Size(), e.info.ModTime().UnixNano())
	}
	r, w := io.Pipe()
	s := newSource()
	s.pipe, s.size, s.made, s.identity, s.stop = r, most, "tar (GNU)", identity, r
	go func() {
		out := bufio.NewWriterSize(w, 1<<20)
		w.CloseWithError(errors.Join(f.write(tar.NewWriter(out)), out.Flush()))
	}()
	return s, nil
}

func (f *folder) write(w *tar.Writer) error {
	var lines strings.Builder
	for _, e := range f.entries {
		t, err := e.told()
		if err != nil {
			return err
		}
		switch e.kind {
		case "folder":
			h := e.header()
			h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
			err = w.WriteHeader(h)
		case "file":
			t.Size = uint64(e.info.Size())
			t.SHA256, err = f.writeFile(w, e)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name.Display, err)
		}
		line, err := custody.Encode(t)
		if err != nil {
			return err
		}
		lines.Write(line)
		lines.WriteByte('\n')
	}
	h := &tar.Header{Typeflag: tar.TypeReg, Name: listing, Size: int64(lines.Len()), Mode: 0o444, Format: tar.FormatGNU}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	if _, err := io.WriteString(w, lines.String()); err != nil {
		return err
	}
	return w.Close()
}

func (e folderEntry) header() *tar.Header {
	h := &tar.Header{Name: e.name, Mode: int64(e.info.Mode().Perm()), ModTime: e.info.ModTime().Truncate(1e9), Format: tar.FormatGNU}
	if stat, ok := e.info.Sys().(*syscall.Stat_t); ok {
		h.Uid, h.Gid = int(stat.Uid), int(stat.Gid)
	}
	return h
}

func (f *folder) writeFile(w *tar.Writer, e folderEntry) (d custody.Digest, err error) {
	s, err := f.open(e)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	h := e.header()
	h.Typeflag, h.Size = tar.TypeReg, e.info.Size()
	if err := w.WriteHeader(h); err != nil {
		return d, err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), struct{ io.Reader }{s})
	if err := s.unchanged(uint64(n), err); err != nil {
		return d, err
	}
	sum.Sum(d[:0])
	return d, nil
}
