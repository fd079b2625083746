package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/forensic-custody/custody/custody"
)

// expectation is what a file beside an artifact says that its digests are.
type expectation struct {
	by      string            // the file's name
	media   bool              // they are of what a container contains
	digests map[string]string // by algorithm, in lower-case hexadecimal digits
	size    uint64            // in bytes; 0 when it does not say
}

// maxExpect bounds a file of digests.
const maxExpect = 64 << 20

// readExpectation reads a file of digests, and finds those of the artifact that
// has this name.
func readExpectation(file, artifact string) (*expectation, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, usageError{err}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxExpect+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxExpect {
		return nil, usagef("--expect %s is longer than %d bytes", file, maxExpect)
	}
	e, err := parseExpectation(plainText(b), path.Base(artifact))
	if err != nil {
		return nil, usagef("--expect %s: %w", file, err)
	}
	e.by = fileName(file)
	return e, nil
}

// plainText takes away a byte order mark, and turns UTF-16, which tools on
// Windows write, into UTF-8.
func plainText(b []byte) string {
	if !bytes.HasPrefix(b, []byte{0xff, 0xfe}) {
		return string(bytes.TrimPrefix(b, []byte("\ufeff")))
	}
	var units []uint16
	for b = b[2:]; len(b) >= 2; b = b[2:] {
		units = append(units, uint16(b[0])|uint16(b[1])<<8)
	}
	return string(utf16.Decode(units))
}

var (
	gnuLine   = regexp.MustCompile(`^(\\?)([0-9A-Fa-f]+) [ *](.+)$`)                // md5sum, sha1sum, sha256sum
	bsdLine   = regexp.MustCompile(`^(MD5|SHA1|SHA256) \((.+)\) = ([0-9A-Fa-f]+)$`) // md5 and sha256 of the BSDs, sha256sum --tag
	ftkLine   = regexp.MustCompile(`^\s*(MD5|SHA1) checksum:\s+([0-9A-Fa-f]+)(\s|$)`)
	sectors   = regexp.MustCompile(`(?i)^\s*Sector count:\s+([0-9,]+)\s*$`)
	perSector = regexp.MustCompile(`(?i)^\s*Bytes per Sector:\s+([0-9]+)\s*$`)
	bareLine  = regexp.MustCompile(`^[0-9A-Fa-f]{32,64}$`)
	algorithm = map[int]string{32: "md5", 40: "sha1", 64: "sha256"} // by digits
)

// parseExpectation reads the digests of a name from text in one of the styles
// of md5sum, of the BSDs, of FTK Imager, or that is nothing but a digest.
func parseExpectation(text, name string) (*expectation, error) {
	e := &expectation{digests: map[string]string{}}
	others, count, bytes := 0, uint64(0), uint64(0)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		said, digest := "", ""
		if m := gnuLine.FindStringSubmatch(line); m != nil && algorithm[len(m[2])] != "" {
			said, digest = m[3], m[2]
			if m[1] != "" {
				said = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r").Replace(said)
			}
		} else if m := bsdLine.FindStringSubmatch(line); m != nil {
			said, digest = m[2], m[3]
		} else if m := ftkLine.FindStringSubmatch(line); m != nil {
			said, digest, e.media = name, m[2], true
		} else if word := strings.TrimSpace(line); bareLine.MatchString(word) {
			said, digest = name, word
		} else {
			count, bytes = numberIn(sectors, line, count), numberIn(perSector, line, bytes)
			continue
		}
		if last(said) != name {
			others++
			continue
		}
		if err := e.add(digest); err != nil {
			return nil, err
		}
	}
	if len(e.digests) == 0 {
		return nil, fmt.Errorf("has no MD5, SHA-1 or SHA-256 of %q, and of %d other files", name, others)
	}
	if e.media && bytes > 0 && count <= custody.MaxArtifact/bytes {
		e.size = count * bytes
	}
	return e, nil
}

// numberIn returns the number that a line states, or what is known otherwise.
func numberIn(pattern *regexp.Regexp, line string, otherwise uint64) uint64 {
	m := pattern.FindStringSubmatch(line)
	if m == nil {
		return otherwise
	}
	n, err := strconv.ParseUint(strings.ReplaceAll(m[1], ",", ""), 10, 53)
	if err != nil {
		return otherwise
	}
	return n
}

// last returns the last element of a path of whichever system.
func last(name string) string { return name[strings.LastIndexAny(name, `/\`)+1:] }

func (e *expectation) add(digest string) error {
	digest = strings.ToLower(digest)
	kind := algorithm[len(digest)]
	if _, err := hex.DecodeString(digest); kind == "" || err != nil {
		return fmt.Errorf("%.80q is no MD5, SHA-1 or SHA-256", digest)
	}
	if other, ok := e.digests[kind]; ok && other != digest {
		return fmt.Errorf("has two values of %s: %s and %s", kind, other, digest)
	}
	e.digests[kind] = digest
	return nil
}

// compare holds what is expected against what was measured, and returns the
// labels that say so.
func (e *expectation) compare(measured map[string]string, over string) (labels []custody.Label, err error) {
	for _, kind := range []string{"md5", "sha1", "sha256"} {
		want, ok := e.digests[kind]
		if !ok {
			continue
		}
		got := measured[kind]
		if got == "" {
			return nil, otherBytes{refusedf("%s states the %s of the %s, %s, and it could not be measured; nothing was sealed", e.by, kind, over, want)}
		}
		if got != want {
			return nil, otherBytes{refusedf("the %s of the %s is %s, and %s states %s; nothing was sealed", kind, over, got, e.by, want)}
		}
		labels = append(labels, custody.Label{Algorithm: kind, Measured: got, Over: over, Stated: want, StatedBy: e.by})
	}
	return labels, nil
}

// hashFirst is how many bytes are read twice at most, so that bytes that are not
// those expected are never announced.
const hashFirst = 4 << 30

// foresee finds out, before anything is announced, what can be known of whether
// a source is what was expected: its size, and of files that are not too large
// its digests. What cannot be read here is for the reading that counts.
func (a *app) foresee(ctx context.Context, s *source, e *expectation) error {
	if e == nil || len(s.parts) == 0 {
		return nil
	}
	small := s.size <= hashFirst
	found, err := a.examine(ctx, s, !small || !e.media)
	if err != nil {
		return err
	}
	over, size := custody.LabelArtifact, s.size
	if e.media && strings.HasPrefix(found.Format, "ewf") {
		over, size = custody.LabelMedia, found.Media
	}
	if e.size != 0 && size != e.size && found.Damages == 0 {
		return otherBytes{refusedf("the %s has %d bytes, and %s states %d; nothing was announced", over, size, e.by, e.size)}
	}
	measured := map[string]string{}
	switch {
	case !small:
		return nil
	case over == custody.LabelMedia:
		for _, l := range found.Labels {
			measured[l.Algorithm] = l.Measured
		}
	default:
		if measured = s.foretaste(ctx, e.digests); measured == nil {
			return ctx.Err()
		}
	}
	_, err = e.compare(measured, over)
	return err
}

// foretaste hashes regular files without moving in them; nil when that cannot be
// done.
func (s *source) foretaste(ctx context.Context, kinds map[string]string) map[string]string {
	made := map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New}
	var all []io.Writer
	digests := map[string]hash.Hash{}
	for kind := range kinds {
		digests[kind] = made[kind]()
		all = append(all, digests[kind])
	}
	for _, f := range s.parts {
		if !f.info.Mode().IsRegular() {
			return nil
		}
		r := io.NewSectionReader(f.File, 0, f.size)
		for n := int64(1); n > 0; {
			var err error
			if n, err = io.CopyN(io.MultiWriter(all...), r, 4<<20); err != nil && !errors.Is(err, io.EOF) || ctx.Err() != nil {
				return nil
			}
		}
	}
	measured := map[string]string{}
	for kind, h := range digests {
		measured[kind] = hex.EncodeToString(h.Sum(nil))
	}
	return measured
}
