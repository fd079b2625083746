// Command page makes the verifier of bundles as one web page, which needs no
// network and no other file:
//
//	go run ./cmd/page -o bin/custody-verify.html
//
// It compiles cmd/wasm, and puts it, its loader and page.html into one. The same
// source and the same version of Go make the same bytes, so that whoever is handed
// a page can compare its SHA-256, which is printed, with one that he made.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

//go:embed page.html
var text string

//go:embed page.css
var style string

//go:embed page.js
var script string

func main() {
	out := flag.String("o", "bin/custody-verify.html", "file to write")
	flag.Parse()
	if err := run(context.Background(), *out, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "page: %v\n", err)
		os.Exit(1)
	}
}

// run writes the page to a file.
func run(ctx context.Context, out string, stdout io.Writer) error {
	program, err := compiled(ctx)
	if err != nil {
		return err
	}
	loader, err := fromGo(ctx, "lib/wasm/wasm_exec.js")
	if err != nil {
		return err
	}
	page, err := assembled(program, loader)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o750); err != nil {
		return err
	}
	if err := os.WriteFile(out, page, 0o644); err != nil { //nolint:gosec // it is for everybody
		return err
	}
	_, err = fmt.Fprintf(stdout, "wrote %s, %d bytes, SHA-256 %x\n", out, len(page), sha256.Sum256(page))
	return err
}

// compiled returns cmd/wasm as WebAssembly.
func compiled(ctx context.Context) (program []byte, err error) {
	dir, err := os.MkdirTemp("", "custody-page-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	made := filepath.Join(dir, "verify.wasm")
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", made, "github.com/forensic-custody/custody/cmd/wasm") //nolint:gosec // made is a folder of its own
	c.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0")
	if said, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile cmd/wasm: %w\n%s", err, said)
	}
	return os.ReadFile(made)
}

// fromGo reads a file of the Go that is used.
func fromGo(ctx context.Context, name string) ([]byte, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	return os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), filepath.FromSlash(name)))
}

// assembled returns the page: nothing but what lies here and in Go goes into it. Its content security policy lets it run this script and
// no other, and reach no network.
func assembled(program, loader []byte) ([]byte, error) {
	packed, err := gzipped(program)
	if err != nil {
		return nil, err
	}
	whole := string(loader) + "\n" + script
	if strings.Contains(strings.ToLower(whole), "</script") {
		return nil, errors.New("the script would end before its end")
	}
	hash := sha256.Sum256([]byte(whole))
	return []byte(strings.NewReplacer(
		"{{style}}", style, "{{script}}", whole, "{{script-hash}}", base64.StdEncoding.EncodeToString(hash[:]),
		"{{program}}", base64.StdEncoding.EncodeToString(packed), "{{go}}", runtime.Version(),
	).Replace(text)), nil
}

func gzipped(b []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	err = w.Close()
	return packed.Bytes(), err
}
