// Command custody-verify verifies a bundle, and does nothing else: for whoever is
// handed one and wants a program with as little in it as can be.
//
//	custody-verify --trust trust.json [--artifact FILE] [--json] BUNDLE
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
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

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
		fmt.Fprint(stderr, "usage: custody-verify --trust trust.json [--artifact FILE] [--json] BUNDLE\n\n"+
			"Says what a bundle proves, by a trust file that reached you another way than the bundle.\n"+
			"Exit code 0: everything verifies; 1: something does not; 2: asked the wrong way.\n\n")
		f.PrintDefaults()
	}
	trustPath := f.String("trust", "", "trust file: what you believe")
	artifact := f.String("artifact", "", "the artifact's bytes, to compare with what was sealed")
	asJSON := f.Bool("json", false, "print the verdict as JSON")
	if err := f.Parse(args); err != nil {
		return false, err
	}
	if f.NArg() != 1 || *trustPath == "" {
		f.Usage()
		return false, errors.New("give one bundle, behind --trust and its file")
	}
	b, err := os.ReadFile(*trustPath)
	if err != nil {
		return false, err
	}
	trust, err := custody.ParseTrust(b)
	if err != nil {
		return false, fmt.Errorf("%s is not a trust file: %w", *trustPath, err)
	}
	v, err := verify(f.Arg(0), *artifact, trust)
	if err != nil {
		return false, err
	}
	return v.Verified, tell(stdout, v, trust, *asJSON)
}

func verify(path, artifact string, trust *custody.Trust) (v *bundle.Verdict, err error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	o := bundle.Options{Words: custody.Acts().With(investigate.Acts())}
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
