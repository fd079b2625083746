package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/forensic-custody/custody/custody/format/ewf"
)

var (
	ewfExtension      = regexp.MustCompile(`^\.([EeSs]\d\d|[E-Ze-z][A-Za-z]{2})$`)
	ewfFirst          = regexp.MustCompile(`^\.[EeSs]01$`)
	numberedExtension = regexp.MustCompile(`^\.\d{3,4}$`)
	letteredExtension = regexp.MustCompile(`^\.[a-z]{2,3}$`)
)

// allSegments finds the segments of the EWF image whose first one was named, and
// otherwise returns what was named, once it has seen that none is missing.
func allSegments(paths []string) ([]string, error) {
	if len(paths) == 1 {
		if !isFirstSegment(paths[0]) {
			return paths, nil
		}
		return followSegments(paths[0])
	}
	for n, path := range paths {
		if slices.Contains(paths[:n], path) {
			return nil, usagef("%s is given twice", path)
		}
	}
	return paths, inOrder(paths)
}

func isFirstSegment(path string) bool {
	if !ewfFirst.MatchString(filepath.Ext(path)) {
		return false
	}
	n, err := segmentNumber(path)
	return err == nil && n == 1
}

func segmentNumber(path string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, usageError{err}
	}
	defer f.Close()
	head := make([]byte, 13)
	if _, err := f.ReadAt(head, 0); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return ewf.Number(head)
}

// segmentExtension returns the extension of the nth segment: .E01 to .E99, and
// then .EAA to .EZZ, .FAA and so on.
func segmentExtension(first string, n int) string {
	letter := first[1]
	if n < 100 {
		return fmt.Sprintf(".%c%02d", letter, n)
	}
	a := byte('A')
	if letter >= 'a' {
		a = 'a'
	}
	n -= 100
	return string([]byte{'.', letter + byte(n/676), a + byte(n/26%26), a + byte(n%26)})
}

// mostSegments is how many files an item has at most.
const mostSegments = 1000

func followSegments(first string) ([]string, error) {
	base, ext := strings.TrimSuffix(first, filepath.Ext(first)), filepath.Ext(first)
	paths := []string{first}
	for n := 2; n <= mostSegments; n++ {
		path := base + segmentExtension(ext, n)
		if _, err := os.Lstat(path); err != nil {
			break
		}
		paths = append(paths, path)
	}
	beside, err := os.ReadDir(filepath.Dir(first))
	if err != nil {
		return nil, err
	}
	for _, e := range beside {
		path := filepath.Join(filepath.Dir(first), e.Name())
		of := strings.TrimSuffix(path, filepath.Ext(path))
		if of != filepath.Clean(base) || !ewfExtension.MatchString(filepath.Ext(path)) || isOneOf(path, paths) {
			continue
		}
		if _, err := segmentNumber(path); err == nil { // a .log or .txt has such an extension, too
			return nil, refusedf("%s is there, and %s is not: a segment is missing; --as-is takes in what is named alone, as it is",
				path, base+segmentExtension(ext, len(paths)+1))
		}
	}
	return paths, numbered(paths)
}

func isOneOf(path string, paths []string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return filepath.Clean(p) == filepath.Clean(path) })
}

// numbered checks that EWF segments are numbered one by one.
func numbered(paths []string) error {
	for n, path := range paths {
		number, err := segmentNumber(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if number != n+1 {
			return refusedf("%s says that it is segment %d, and comes as number %d: one is missing, repeated or out of order; --as-is takes them in so", path, number, n+1)
		}
	}
	return nil
}

// inOrder checks that files which were named one by one follow one another, as
// far as their content or extensions tell.
func inOrder(paths []string) error {
	if _, err := segmentNumber(paths[0]); err == nil {
		return numbered(paths)
	}
	all := func(pattern *regexp.Regexp) bool {
		return !slices.ContainsFunc(paths, func(p string) bool { return !pattern.MatchString(filepath.Ext(p)) })
	}
	var place func(ext string) int
	switch {
	case all(numberedExtension):
		place = func(ext string) int { n, _ := strconv.Atoi(ext[1:]); return n }
		if first := place(filepath.Ext(paths[0])); first > 1 {
			return refusedf("%s is not the first part; --as-is takes them in so", paths[0])
		}
	case all(letteredExtension):
		place = func(ext string) (n int) {
			for _, c := range ext[1:] {
				n = n*26 + int(c-'a')
			}
			return n
		}
		if place(filepath.Ext(paths[0])) != 0 {
			return refusedf("%s is not the first part; --as-is takes them in so", paths[0])
		}
	default:
		return nil
	}
	for n := 1; n < len(paths); n++ {
		if place(filepath.Ext(paths[n])) != place(filepath.Ext(paths[n-1]))+1 {
			return refusedf("%s does not follow %s: a part is missing, repeated or out of order; --as-is takes them in so", paths[n], paths[n-1])
		}
	}
	return nil
}

// refusedf is what is wrong with the evidence, not with how it was asked for.
func refusedf(format string, args ...any) error { return fmt.Errorf(format, args...) }
