package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"strings"
	"unicode/utf16"

	"github.com/forensic-custody/custody/custody"
)

// expectation is what a file beside an artifact says that its digests are.
type expectation struct {
	by      string            // the file's name
	media   bool              // they are of what a container contains
	digests map[string]string // by algorithm, in lower-case hexadecimal digits
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
	bareLine  = regexp.MustCompile(`^[0-9A-Fa-f]{32,64}$`)
	algorithm = map[int]string{32: "md5", 40: "sha1", 64: "sha256"} // by digits
)

// parseExpectation reads the digests of a name from text in one of the styles
// of md5sum, of the BSDs, of FTK Imager, or that is nothing but a digest.
func parseExpectation(text, name string) (*expectation, error) {
	e := &expectation{digests: map[string]string{}}
	others := 0
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
	return e, nil
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
			return nil, refusedf("%s states the %s of the %s, %s, and it could not be measured; nothing was sealed", e.by, kind, over, want)
		}
		if got != want {
			return nil, refusedf("the %s of the %s is %s, and %s states %s; nothing was sealed", kind, over, got, e.by, want)
		}
		labels = append(labels, custody.Label{Algorithm: kind, Measured: got, Over: over, Stated: want, StatedBy: e.by})
	}
	return labels, nil
}
