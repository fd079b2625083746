package bundle_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/investigate"
)

// What somebody has who is to verify a bundle: the bundle, and a trust file that
// reached him another way.
const (
	exampleBundle = "../testdata/vectors/exhibit.bundle"
	exampleTrust  = "../testdata/vectors/trust.json"
)

// read returns a trust file, and the words of the service: the kinds of statement that
// are understood.
func read(path string) (*custody.Trust, custody.Vocabulary) {
	b, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	trust, err := custody.ParseTrust(b)
	if err != nil {
		log.Fatal(err)
	}
	return trust, investigate.Words()
}

// A bundle is read once, from its beginning to its end. Everything that it proves
// stands in the verdict; nothing else may be relied upon.
func ExampleVerify() {
	trust, words := read(exampleTrust)
	f, err := os.Open(exampleBundle)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = f.Close() }()

	v := bundle.Verify(f, trust, bundle.Options{Words: words})
	if !v.Verified {
		log.Fatal(v.Problems)
	}
	fmt.Printf("complete as of size %d: %t\n", v.Size, v.Complete)
	for _, item := range v.Items {
		fmt.Printf("%s: %d bytes, SHA-256 %.16s…, %s\n", item.Exhibit, item.Artifact.Size, item.Artifact.SHA256.Hex(), item.ArtifactState)
	}
	for _, e := range v.Timeline {
		fmt.Println(e.Recorded, e.Name, e.What())
	}
	// Output:
	// complete as of size 14: true
	// EX-1: 21 bytes, SHA-256 a34c0d78d216ecb4…, matches
	// 2026-11-23T21:05:08.000000Z Emil Engineer announced the item
	// 2026-11-23T21:05:09.000000Z Emil Engineer sealed the item
	// 2026-11-23T21:05:11.000000Z Emil Engineer retrieved the item
	// 2026-11-23T21:05:11.000000Z the service released bytes
	// 2026-11-23T21:05:12.000000Z Emil Engineer confirmed what arrived
}

// Records are withheld by whoever has the bundle. What is made so is verified before
// it is handed on: a record that another one stands upon cannot go.
func ExampleRedact() {
	trust, words := read(exampleTrust)
	b, err := os.ReadFile(exampleBundle)
	if err != nil {
		log.Fatal(err)
	}
	var short bytes.Buffer
	if _, err := bundle.Redact(&short, bytes.NewReader(b), bundle.Others); err != nil {
		log.Fatal(err)
	}
	v := bundle.Verify(&short, trust, bundle.Options{Words: words})
	fmt.Println("verified:", v.Verified)
	for _, w := range v.Withheld {
		fmt.Printf("withheld: record %d of somebody's own stream, leaf %d of the log\n", w.Sequence, w.Index)
	}

	var without bytes.Buffer
	if _, err := bundle.Redact(&without, bytes.NewReader(b), bundle.OfKind(custody.KindSealEvidence)); err != nil {
		log.Fatal(err)
	}
	fmt.Println("verified:", bundle.Verify(&without, trust, bundle.Options{Words: words}).Verified)
	// Output:
	// verified: true
	// withheld: record 1 of somebody's own stream, leaf 10 of the log
	// verified: false
}

// Some bytes of an artifact go into a bundle that has none of it. Whoever has the
// result can read them, once it is verified, and knows that they were sealed.
func ExampleAddExcerpts() {
	trust, words := read(exampleTrust)
	b, err := os.ReadFile("../testdata/vectors/exhibit-without-leaves.bundle")
	if err != nil {
		log.Fatal(err)
	}
	items, err := bundle.Items(bytes.NewReader(b))
	if err != nil {
		log.Fatal(err)
	}
	artifact := bytes.NewReader([]byte("what was on the disk\n")) // read once, to its end
	var out bytes.Buffer
	if err := bundle.AddExcerpts(&out, bytes.NewReader(b), items[0], artifact, bundle.Stretch{Offset: 16, Length: 4}); err != nil {
		log.Fatal(err)
	}

	v := bundle.Verify(bytes.NewReader(out.Bytes()), trust, bundle.Options{Words: words})
	err = v.Excerpts(bytes.NewReader(out.Bytes()), func(_ custody.EvidenceID, x bundle.Excerpt, content io.Reader) error {
		text, err := io.ReadAll(content)
		fmt.Printf("bytes %d to %d: %q\n", x.Offset, x.Offset+x.Length-1, text)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// bytes 16 to 19: "disk"
}
