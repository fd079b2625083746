// Command custody-verify verifies a bundle, and does nothing else: for whoever is
// handed one and wants a program with as little in it as can be.
//
//	custody-verify BUNDLE --trust trust.json [--artifact FILE] [--excerpts FOLDER] [--json]
//
// It needs no network, no account and no other file, and says what custody bundle
// verify says. Exit code 0: everything verifies; 1: something does not; 2: it
// was asked the wrong way.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forensic-custody/custody/cmd/excerpts"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/investigate"
)

// The exit codes.
const (
	exitVerified = 0
	exitRefused  = 1
	exitUsage    = 2
)

func main() {
	verified, err := run(os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(exitVerified)
	case err != nil:
		fmt.Fprintf(os.Stderr, "custody-verify: %v\n", err)
		os.Exit(exitUsage)
	case !verified:
		os.Exit(exitRefused)
	}
}

// run prints the verdict on the bundle that args name, and returns whether it
// verifies. The error is about how it was asked, or about reading.
func run(args []string, stdout, stderr io.Writer) (verified bool, err error) {
	f := flag.NewFlagSet("custody-verify", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(stderr, "usage: custody-verify BUNDLE --trust trust.json [--artifact FILE] [--excerpts FOLDER] [--json]\n\n"+
			"Says what a bundle proves, by a trust file that reached you another way than the bundle.\n"+
			"Exit code 0: everything verifies; 1: something does not; 2: asked the wrong way.\n\n")
		f.PrintDefaults()
	}
	trustPath := f.String("trust", "", "trust file: what you believe")
	artifact := f.String("artifact", "", "the artifact's bytes, to compare with what was sealed")
	folder := f.String("excerpts", "", "folder to write the stretches of artifacts to that the bundle holds, once all is verified; made where it is missing")
	asJSON := f.Bool("json", false, "print the verdict as JSON")
	bundles, err := parse(f, args)
	if err != nil {
		return false, err
	}
	if len(bundles) != 1 || *trustPath == "" {
		f.Usage()
		return false, errors.New("give one bundle, and --trust with its file")
	}
	b, err := os.ReadFile(*trustPath)
	if err != nil {
		return false, err
	}
	trust, err := custody.ParseTrust(b)
	if err != nil {
		return false, fmt.Errorf("%s is not a trust file: %w", *trustPath, err)
	}
	in, err := os.Open(bundles[0]) //nolint:gosec // a file that whoever runs the program names
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	v, err := verify(in, *artifact, trust)
	if err != nil {
		return false, err
	}
	if err := tell(stdout, v, trust, *asJSON); err != nil {
		return false, err
	}
	if v.Verified && *folder != "" {
		err = writeExcerpts(in, *folder, v, stderr)
	}
	return v.Verified, err
}

// parse reads flags and arguments in whatever order they come, and returns the
// arguments.
func parse(f *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		if f.NArg() == 0 {
			return rest, nil
		}
		if ended := len(args) - f.NArg(); ended > 0 && args[ended-1] == "--" { // flags came to an end
			return append(rest, f.Args()...), nil
		}
		rest, args = append(rest, f.Arg(0)), f.Args()[1:]
	}
}

func writeExcerpts(in io.ReadSeeker, folder string, v *bundle.Verdict, stderr io.Writer) error {
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return err
	}
	written, err := excerpts.Write(bufio.NewReaderSize(in, 1<<20), folder, v)
	if err == nil && len(written) == 0 {
		_, err = fmt.Fprintln(stderr, "no excerpts in it: nothing was written")
	}
	for _, name := range written {
		_, _ = fmt.Fprintf(stderr, "wrote %s\n", filepath.Join(folder, name))
	}
	return err
}

func verify(in io.Reader, artifact string, trust *custody.Trust) (*bundle.Verdict, error) {
	o := bundle.Options{Words: investigate.Words()}
	if artifact != "" {
		beside, err := os.Open(artifact)
		if err != nil {
			return nil, err
		}
		defer func() { _ = beside.Close() }()
		o.Artifact = beside
	}
	return bundle.Verify(bufio.NewReaderSize(in, 1<<20), trust, o), nil
}

// tell prints the verdict, and the fingerprint of what was believed.
func tell(w io.Writer, v *bundle.Verdict, trust *custody.Trust, asJSON bool) error {
	if asJSON {
		return json.MarshalWrite(w, v, jsontext.Multiline(true))
	}
	print, err := trust.Fingerprint()
	if err != nil {
		return err
	}
	var text strings.Builder
	if err := v.Write(&text); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\nTrust file  %s\n            compare its fingerprint with the one on paper\n", text.String(), print)
	return err
}
